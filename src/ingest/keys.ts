// The attribute keys of a batch. A decoder asks for a key once and keeps it, so that a value goes to
// its column without its name being looked up again.

import { ATTRIBUTE_KEY_BYTES_MAX } from '../limits.ts'
import type { AttributeColumn, AttributeType } from '../record.ts'
import { bytesOver, cutText, hashedKey } from './cut.ts'
import type { Place, PlacesByName } from './precedence.ts'

/** Where the values of an attribute go. */
export interface Key {
  name: string
  /** The columns its values can fill; nearly always none. */
  places: readonly Place[]
  columns: Record<AttributeType, AttributeColumn | null>
  /** False for one that is made anew each time it is asked for: it never gets a column. */
  isKept: boolean
  /** Position in the request of the last record that had it, and where its value went (null: the rest). */
  seen: number
  column: AttributeColumn | null
  /** Bytes of the key as sent, where it was cut; else 0. */
  cutBytes: number
  /** Its name where another key of the record has the same start; '' where it was not cut. */
  hashedName: string
}

/** Which long keys of one record or resource have their plain start as a name: the first of each. */
export class LongKeys {
  readonly #owners = new Map<string, string>()

  clear(): void {
    if (this.#owners.size > 0) this.#owners.clear()
  }

  /** `isTaken` says whether something has the name of that start already. */
  nameOf(start: string, hashedName: string, isTaken: boolean): string {
    const owner = this.#owners.get(start) ?? (isTaken ? '' : hashedName)
    this.#owners.set(start, owner)
    return owner === hashedName ? start : hashedName
  }
}

/** A million keys must not make a million objects: what comes later is not remembered. */
const KEYS_MAX = 4096
const NO_PLACES: readonly Place[] = []

export class Keys {
  /** Those seen so far that can fill a slot. */
  readonly ofSlots: Key[] = []
  readonly #keys = new Map<string, Key>()
  readonly #places: PlacesByName

  constructor(places: PlacesByName) {
    this.#places = places
  }

  get(sentName: string): Key {
    const known = this.#keys.get(sentName)
    if (known !== undefined) return known
    const cutBytes = bytesOver(sentName, ATTRIBUTE_KEY_BYTES_MAX)
    // The long name itself is not remembered: a thousand of them are megabytes.
    if (cutBytes > 0) {
      const start = cutText(sentName, ATTRIBUTE_KEY_BYTES_MAX)
      return newKey(start, NO_PLACES, cutBytes, hashedKey(sentName))
    }
    const key = newKey(sentName, this.#places.get(sentName) ?? NO_PLACES, 0, '')
    // Keys that fill a slot are few and must be found again, however many came before.
    if (key.places.length === 0 && this.#keys.size >= KEYS_MAX) return key
    key.isKept = true
    this.#keys.set(sentName, key)
    if (key.places.length > 0) this.ofSlots.push(key)
    return key
  }
}

function newKey(name: string, places: readonly Place[], cutBytes: number, hashedName: string): Key {
  return {
    name,
    places,
    columns: { text: null, int: null, num: null, bool: null, json: null },
    isKept: false,
    seen: -1,
    column: null,
    cutBytes,
    hashedName,
  }
}
