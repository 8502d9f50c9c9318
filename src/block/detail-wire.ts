// The detail of a block (detail.ts) as it is stored: brotli(JSON), lists as columns. `v` grows when an
// older reader would misread; members that came later are optional.

import { Buffer } from 'node:buffer'
import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib'
import { type AttributeType, TEXT_COLUMNS, type TextColumn } from '../record.ts'
import { bug } from '../result.ts'
import { type BlockDetail, LACKING_COLUMNS, type PatternCount } from './detail.ts'

export const DETAIL_VERSION = 1

interface Wire {
  v: number
  /** A list a minute: minutes since the one before, then its counts by level. */
  minutes: number[][] | null
  values: { [column in TextColumn]?: { texts: string[]; counts: number[]; absent: number } }
  keys: { texts: string[]; types: AttributeType[]; counts: number[] }
  moreKeys: boolean
  /**
   * `ids` back to back; times as offsets from `base`. Of services a place in values.service.texts (-1:
   * none) and its records, for each; of only one the place alone.
   */
  patterns: {
    ids: string
    levels: number[][]
    base: number
    first: number[]
    last: number[]
    seqs: number[]
    services?: number[][] | undefined
  }
  patternsMax?: number
  unpatterned: number[]
  patternless?: { first: number; last: number; seq: number; services?: number[] | undefined }
  /** As LACKING_COLUMNS. */
  lacking?: number[]
}

const ID_CHARS = 16
/** What a block kept before it was said. */
const PATTERNS_MAX_FIRST = 256
const CHUNK_BYTES = 64 * 1024
const BROTLI = { chunkSize: CHUNK_BYTES, params: { [constants.BROTLI_PARAM_QUALITY]: 5 } }
const UNBROTLI = { chunkSize: CHUNK_BYTES }

export function encodeDetail(detail: BlockDetail): Uint8Array {
  const { keys, patterns, patternless, lacking } = detail
  const values: Wire['values'] = {}
  for (const column of TEXT_COLUMNS) {
    const known = detail.values[column]
    if (known === null) continue
    const { counts, absent } = known
    values[column] = { texts: [...counts.keys()], counts: [...counts.values()], absent }
  }
  let minute = 0
  const minutes = detail.minutes?.map((count) => {
    const step = count.minute - minute
    minute = count.minute
    return [step, ...count.levels]
  })
  const places = new Map([...(detail.values.service?.counts.keys() ?? [])].map((t, i) => [t, i]))
  let base = Number.MAX_SAFE_INTEGER
  for (const { firstMs } of patterns) base = Math.min(base, firstMs)
  const wire: Wire = {
    v: DETAIL_VERSION,
    minutes: minutes ?? null,
    values,
    keys: {
      texts: keys.map(({ key }) => key),
      types: keys.map(({ type }) => type),
      counts: keys.map(({ records }) => records),
    },
    moreKeys: detail.hasMoreKeys,
    patterns: {
      ids: patterns.map(({ id }) => id).join(''),
      levels: patterns.map(({ levels }) => levels),
      base,
      first: patterns.map(({ firstMs }) => firstMs - base),
      last: patterns.map(({ lastMs }) => lastMs - base),
      seqs: patterns.map(({ seq }) => seq),
      ...(patterns[0]?.services && {
        services: patterns.map(({ services }) => serviceWire(services!, places)),
      }),
    },
    patternsMax: detail.patternsMax,
    unpatterned: detail.unpatterned,
    ...(patternless && {
      patternless: {
        first: patternless.firstMs,
        last: patternless.lastMs,
        seq: patternless.seq,
        ...(patternless.services && { services: serviceWire(patternless.services, places) }),
      },
    }),
    ...(lacking && { lacking: LACKING_COLUMNS.map((column) => lacking[column]) }),
  }
  return brotliCompressSync(Buffer.from(JSON.stringify(wire)), BROTLI)
}

/** Bytes are our own: a fault in them throws. */
export function decodeDetail(bytes: Uint8Array): BlockDetail {
  const wire = JSON.parse(brotliDecompressSync(bytes, UNBROTLI).toString('utf8')) as Wire
  if (wire.v !== DETAIL_VERSION) bug(`detail of unknown version ${wire.v}`)
  const values = {} as BlockDetail['values']
  for (const column of TEXT_COLUMNS) {
    const known = wire.values[column]
    values[column] = known
      ? {
          counts: new Map(known.texts.map((text, i) => [text, known.counts[i]!])),
          absent: known.absent,
        }
      : null
  }
  let minute = 0
  const { keys, patterns } = wire
  return {
    minutes:
      wire.minutes?.map(([step, ...levels]) => {
        minute += step!
        return { minute, levels }
      }) ?? null,
    values,
    lacking: wire.lacking && lackingOf(wire.lacking),
    keys: keys.texts.map((key, i) => ({ key, type: keys.types[i]!, records: keys.counts[i]! })),
    hasMoreKeys: wire.moreKeys,
    patterns: patterns.levels.map((_, i) => new WirePattern(wire, i)),
    patternsMax: wire.patternsMax ?? PATTERNS_MAX_FIRST,
    unpatterned: wire.unpatterned,
    patternless: patternlessOf(wire),
  }
}

/** One of hundreds: its services, which few ask for, are made when they are. */
class WirePattern implements PatternCount {
  readonly id: string
  readonly records: number
  readonly levels: number[]
  readonly firstMs: number
  readonly lastMs: number
  readonly seq: number
  readonly #wire: Wire
  readonly #at: number

  constructor(wire: Wire, at: number) {
    const { ids, levels, base, first, last, seqs } = wire.patterns
    this.id = ids.slice(at * ID_CHARS, (at + 1) * ID_CHARS)
    this.levels = levels[at]!
    this.records = countOf(this.levels)
    this.firstMs = base + first[at]!
    this.lastMs = base + last[at]!
    this.seq = seqs[at]!
    this.#wire = wire
    this.#at = at
  }

  get services(): Map<string, number> | undefined {
    return servicesOf(this.#wire.patterns.services?.[this.#at], this.records, this.#wire)
  }
}

const countOf = (levels: number[]) => levels.reduce((sum, count) => sum + count, 0)

const lackingOf = (counts: number[]) =>
  Object.fromEntries(LACKING_COLUMNS.map((column, i) => [column, counts[i]!])) as NonNullable<
    BlockDetail['lacking']
  >

function patternlessOf(wire: Wire): PatternCount | undefined {
  const { patternless, unpatterned: levels } = wire
  if (!patternless) return undefined
  const { first: firstMs, last: lastMs, seq } = patternless
  const records = countOf(levels)
  const services = servicesOf(patternless.services, records, wire)
  return { id: '', records, levels, firstMs, lastMs, seq, services }
}

function serviceWire(services: Map<string, number>, places: Map<string, number>): number[] {
  const wire = [...services].flatMap(([name, records]) => [places.get(name) ?? -1, records])
  return services.size === 1 ? wire.slice(0, 1) : wire
}

function servicesOf(
  places: number[] | undefined,
  records: number,
  { values }: Wire,
): PatternCount['services'] {
  if (!places) return undefined
  const nameOf = (place: number) => (place < 0 ? '' : values.service!.texts[place]!)
  if (places.length === 1) return new Map([[nameOf(places[0]!), records]])
  const services = new Map<string, number>()
  for (let i = 0; i < places.length; i += 2) services.set(nameOf(places[i]!), places[i + 1]!)
  return services
}
