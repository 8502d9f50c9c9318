// What fills the columns of a record: for each slot the text with the lowest rank so far, beginning
// with what the resource has. Only the slots a record touched are set back for the next one, for
// most records touch three of sixteen.

import {
  FALLBACK_RANK,
  FIELD_RANK,
  NO_RANK,
  type Place,
  type PlacesByName,
  SLOTS,
  slotOf,
  TABLE_RANK_FIRST,
  validId,
} from './precedence.ts'
import { textOf, type Value } from './value.ts'

const SLOT_COUNT = SLOTS.length
const SERVICE = slotOf('service')
const TRACE_ID = slotOf('trace_id')
const SPAN_ID = slotOf('span_id')
/** Where a sender that does not know its service says so: by OpenTelemetry's name, and as a label. */
const SERVICE_NAMES: ReadonlySet<string> = new Set(['service.name', 'service_name'])

export class Slots {
  /** By slot; '' for none. */
  readonly texts: string[] = new Array(SLOT_COUNT).fill('')
  readonly #ranks: number[] = new Array(SLOT_COUNT).fill(NO_RANK)
  readonly #touched: number[] = []
  readonly #resourcePlaces: PlacesByName
  /** By name of the attribute: of two with one name the last counts. */
  readonly #resourceOffers = new Map<string, string>()
  readonly #resourceTexts: string[] = new Array(SLOT_COUNT).fill('')
  readonly #resourceRanks: number[] = new Array(SLOT_COUNT).fill(NO_RANK)

  constructor(resourcePlaces: PlacesByName) {
    this.#resourcePlaces = resourcePlaces
  }

  beginResource(): void {
    // Clearing allocates, and a request may hold ten million empty resources.
    if (this.#resourceOffers.size > 0) this.#resourceOffers.clear()
  }

  offerOfResource(name: string, value: Value): void {
    if (this.#resourcePlaces.has(name)) this.#resourceOffers.set(name, textOf(value))
  }

  endResource(): void {
    const texts = this.#resourceTexts.fill('')
    const ranks = this.#resourceRanks.fill(NO_RANK)
    for (const [name, text] of this.#resourceOffers) {
      const isUnknown = SERVICE_NAMES.has(name) && /^unknown_service(:|$)/.test(text)
      for (const { slot, rank } of this.#resourcePlaces.get(name)!) {
        const offered = isUnknown ? FALLBACK_RANK : rank
        const kept = keptIn(slot, text)
        if (kept === '' || offered > ranks[slot]!) continue
        ranks[slot] = offered
        texts[slot] = kept
      }
    }
    if (texts[SERVICE] === '') texts[SERVICE] = 'unknown_service'
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      this.#ranks[slot] = ranks[slot]!
      this.texts[slot] = texts[slot]!
    }
    this.#touched.length = 0
  }

  /** Starts a record, or starts it again, from its resource. */
  restart(): void {
    for (let i = 0; i < this.#touched.length; i++) {
      const slot = this.#touched[i]!
      this.#ranks[slot] = this.#resourceRanks[slot]!
      this.texts[slot] = this.#resourceTexts[slot]!
    }
    this.#touched.length = 0
  }

  /** Lets a record attribute fill its slots, unless something that ranks before it already did. */
  offer(places: readonly Place[], text: string): void {
    for (let i = 0; i < places.length; i++) this.#offerTo(places[i]!, text)
  }

  #offerTo({ slot, rank }: Place, text: string): void {
    if (text === '' || rank > this.#ranks[slot]!) return
    const kept = keptIn(slot, text)
    if (kept !== '') this.#fill(slot, rank, kept)
  }

  /** Fills a slot from a field of the record itself; '' is no value. */
  set(slot: number, text: string): void {
    if (text !== '') this.#fill(slot, FIELD_RANK, text)
  }

  /** Whether a field, or an attribute the app chose for it, has filled the slot. */
  isChosen(slot: number): boolean {
    return this.#ranks[slot]! < TABLE_RANK_FIRST
  }

  #fill(slot: number, rank: number, text: string): void {
    this.#ranks[slot] = rank
    this.texts[slot] = text
    this.#touched.push(slot)
  }
}

/** The text as the slot takes it; '' where it does not. */
function keptIn(slot: number, text: string): string {
  if (slot === TRACE_ID) return validId(text, 32)
  return slot === SPAN_ID ? validId(text, 16) : text
}
