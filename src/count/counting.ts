// Counts of what matches: over time, by value. They count while the scan goes over a batch, and need
// no record whole; what catalogs counted of other records is added.

import type { Needed } from '../block/parquet.ts'
import type { StoredBatch } from '../block/stored.ts'
import { NOTHING_NEEDED, type Sink } from '../match/merge.ts'
import { bothNeeded } from '../match/scan.ts'
import { type Ask, type Buckets, type Counted, keyValue, readFacetKey } from '../query/ask.ts'
import { FieldReader, SLOW_ROWS_MAX } from './field-values.ts'
import { Groups, MISSING, OTHERS } from './groups.ts'

type AskOf<Kind extends Ask['kind']> = Extract<Ask, { kind: Kind }>

/** Counts of one kind. */
export interface Counter {
  readonly needed: Needed
  /** It takes long over a record. */
  readonly isSlow: boolean
  /**
   * Counts these rows of a batch that has the columns of `needed`. It reads all it needs before it
   * counts: of a damaged batch nothing is counted.
   */
  count(stored: StoredBatch, rows: number[], shard: number): void
  /** Adds what a shard's catalog counted. */
  absorb(counted: Counted, shard: number): void
}

/** The sink of a counter: it needs all records, and none of them whole. */
export class Counting implements Sink {
  readonly needed: Needed
  readonly rowsMax: number
  readonly #counter: Counter

  constructor(counter: Counter) {
    this.needed = counter.needed
    this.rowsMax = counter.isSlow ? SLOW_ROWS_MAX : Number.POSITIVE_INFINITY
    this.#counter = counter
  }

  mayHold(): boolean {
    return true
  }

  wanted(stored: StoredBatch, rows: number[], shard: number): number[] {
    if (rows.length > 0) this.#counter.count(stored, rows, shard)
    return []
  }

  add(): void {}

  absorb(counted: Counted, shard: number): void {
    this.#counter.absorb(counted, shard)
  }
}

/** The bucket that each row lies in, -1 for none. */
export function bucketsOf(
  { startMs, stepMs, count }: Buckets,
  { batch: { timeMs } }: StoredBatch,
  rows: number[],
): Int32Array {
  const places = new Int32Array(rows.length)
  for (let i = 0; i < rows.length; i++) {
    const place = Math.floor((timeMs[rows[i]!]! - startMs) / stepMs)
    places[i] = place >= 0 && place < count ? place : -1
  }
  return places
}

export interface HistogramView {
  buckets: { time: number; count: number; values?: Record<string, number>; other?: number }[]
  values?: { value: string | null; count: number }[]
  total: number
  is_complete?: boolean
}

export class HistogramCounter implements Counter {
  readonly needed: Needed
  readonly isSlow: boolean
  /** Records by bucket, whatever their values. */
  readonly totals: Float64Array
  readonly #buckets: Buckets
  readonly #reader: FieldReader | null
  readonly #groups: Groups

  constructor({ buckets, by }: AskOf<'histogram'>) {
    this.#buckets = buckets
    this.#reader = by && new FieldReader(by)
    this.needed = this.#reader?.needed ?? NOTHING_NEEDED
    this.isSlow = this.#reader?.isSlow ?? false
    this.totals = new Float64Array(buckets.count)
    this.#groups = new Groups(Math.max(1, buckets.count))
  }

  count(stored: StoredBatch, rows: number[]): void {
    const places = bucketsOf(this.#buckets, stored, rows)
    const found = this.#reader?.values(stored, rows)
    for (const place of places) if (place >= 0) this.totals[place]!++
    if (!found) return
    const groups = this.#groups
    const { values, codes, more } = found
    // A value takes a line when one of its records lies in a bucket.
    const lines = new Int32Array(values.length).fill(-1)
    const add = (code: number, place: number) => {
      if (place < 0) return
      if (code >= 0 && lines[code]! < 0) lines[code] = groups.lineOf(values[code]!)
      groups.add(code < 0 ? MISSING : lines[code]!, place, 1)
    }
    for (let i = 0; i < codes.length; i++) add(codes[i]!, places[i]!)
    if (more) for (const [i, others] of more) for (const code of others) add(code, places[i]!)
  }

  /** Catalogs count by fields that have one value a record, so all values together are the records. */
  absorb({ groups }: Counted): void {
    for (const [key, counts] of groups) {
      if (counts.every((records) => records === 0)) continue
      const value = keyValue(key)
      const line = value === null || !this.#reader ? MISSING : this.#groups.lineOf(value)
      for (const [place, records] of counts.entries()) {
        if (place >= this.totals.length) break
        this.totals[place]! += records
        if (this.#reader) this.#groups.add(line, place, records)
      }
    }
  }

  /** The answer, with so many values. In a bucket '' stands for records without one. */
  view(limit: number): HistogramView {
    const { startMs, stepMs } = this.#buckets
    const buckets: HistogramView['buckets'] = Array.from(this.totals, (count, i) => ({
      time: startMs + i * stepMs,
      count,
    }))
    const total = this.totals.reduce((sum, count) => sum + count, 0)
    if (!this.#reader) return { buckets, total }
    const all = [...this.#groups.byCount(true)]
    const lines = this.lines(limit)
    const rest = [...all.slice(limit).map(({ line }) => line), OTHERS].map((line) =>
      this.#groups.counts(line),
    )
    for (const [i, bucket] of buckets.entries()) {
      const values = new Map<string, number>()
      for (const { value, counts } of lines) {
        const name = value ?? ''
        if (counts[i]! > 0) values.set(name, (values.get(name) ?? 0) + counts[i]!)
      }
      bucket.values = Object.fromEntries(values)
      bucket.other = rest.reduce((sum, counts) => sum + counts[i]!, 0)
    }
    return {
      buckets,
      values: lines.map(({ value, count }) => ({ value, count })),
      total,
      is_complete: this.#groups.isComplete,
    }
  }

  /** So many values, the most frequent first, with the numbers of each bucket. */
  lines(limit: number): { value: string | null; count: number; counts: Float64Array }[] {
    return [...this.#groups.byCount(true)]
      .slice(0, limit)
      .map(({ value, count, line }) => ({ value, count, counts: this.#groups.counts(line) }))
  }

  get groups(): Pick<Groups, 'size' | 'isComplete'> {
    return this.#groups
  }

  /** Records without a value. */
  get missing(): number {
    return this.#groups.sum(MISSING)
  }
}

export interface FacetView {
  field: string
  values: { value: string; count: number; share: number }[]
  /** How many different values there are; at least so many where it is not complete. */
  distinct: number
  missing: number
  other: number
  is_complete: boolean
}

export class FacetsCounter implements Counter {
  readonly needed: Needed
  readonly isSlow: boolean
  records = 0
  readonly #fields: { reader: FieldReader; groups: Groups }[]

  constructor({ fields }: AskOf<'facets'>) {
    this.#fields = fields.map((field) => ({
      reader: new FieldReader(field),
      groups: new Groups(1),
    }))
    this.isSlow = this.#fields.some(({ reader }) => reader.isSlow)
    this.needed = this.#fields.reduce(
      (needed, { reader }) => bothNeeded(needed, reader.needed),
      NOTHING_NEEDED,
    )
  }

  count(stored: StoredBatch, rows: number[]): void {
    const found = this.#fields.map(({ reader }) => reader.values(stored, rows))
    this.records += rows.length
    for (const [f, { groups }] of this.#fields.entries()) {
      const { values, codes, more } = found[f]!
      // By code + 1: those without a value come first.
      const counts = new Uint32Array(values.length + 1)
      for (let i = 0; i < codes.length; i++) counts[codes[i]! + 1]!++
      if (more) for (const others of more.values()) for (const code of others) counts[code + 1]!++
      groups.add(MISSING, 0, counts[0]!)
      for (const [code, value] of values.entries()) {
        if (counts[code + 1]! > 0) groups.add(groups.lineOf(value), 0, counts[code + 1]!)
      }
    }
  }

  absorb({ records, groups }: Counted): void {
    this.records += records
    for (const [key, [count = 0]] of groups) {
      if (count === 0) continue
      const { field, value } = readFacetKey(key)
      const to = this.#fields[field]?.groups
      to?.add(value === null ? MISSING : to.lineOf(value), 0, count)
    }
  }

  /** The answer, with so many values of each field. */
  view(names: string[], limit: number): FacetView[] {
    return this.#fields.map(({ groups }, i) => {
      const all = [...groups.byCount(false)]
      const rest = all.slice(limit).reduce((sum, { count }) => sum + count, 0)
      return {
        field: names[i]!,
        values: all.slice(0, limit).map(({ value, count }) => ({
          value: value ?? '',
          count,
          share: shareOf(count, this.records),
        })),
        distinct: groups.size,
        missing: groups.sum(MISSING),
        other: rest + groups.sum(OTHERS),
        is_complete: groups.isComplete,
      }
    })
  }
}

/** A part of a whole, to six digits. */
export const shareOf = (count: number, total: number): number =>
  total === 0 ? 0 : Math.round((count / total) * 1e6) / 1e6
