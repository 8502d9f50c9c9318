// Numbers of what matches, by group and over time: how many, their sum, the smallest, percentiles.
// Percentiles are exact while all numbers together can be kept, then sketches stand for them.

import type { Needed } from '../block/parquet.ts'
import type { StoredBatch } from '../block/stored.ts'
import {
  AGGREGATE_SERIES_MAX,
  ELEMENTS_MAX,
  EXACT_NUMBERS_MAX,
  GROUP_CHARS_MAX,
  GROUPS_MAX,
  SKETCH_BINS_MAX,
} from '../limits.ts'
import { NOTHING_NEEDED } from '../match/merge.ts'
import { bothNeeded } from '../match/scan.ts'
import type { AggregateFunction, Buckets, GroupField } from '../query/ask.ts'
import { bucketsOf, type Counter } from './counting.ts'
import { FieldReader, type FieldValues } from './field-values.ts'
import { quantilePlaces, Resolution, Sketch } from './sketch.ts'

export interface Aggregation {
  /** Null: records are counted. */
  value: GroupField | null
  by: { name: string; field: GroupField }[]
  functions: AggregateFunction[]
  /** Null: all together. */
  buckets: Buckets | null
}

/** How many numbers and percentiles are held. */
export interface AggregateBounds {
  numbers: number
  bins: number
}

type Numbers = Record<string, number | null>

export interface GroupView {
  by: Record<string, string | null>
  count: number
  [name: string]: unknown
  points?: ({ time: number } & Numbers)[]
}

interface Group {
  values: (string | null)[]
  count: number
  /** By bucket; 0 where there are none. */
  series: Map<number, Series>
}

export class AggregateCounter implements Counter {
  readonly needed: Needed
  readonly isSlow: boolean
  /** Records that match. */
  records = 0
  /** Of these, records that have no number. */
  withoutValue = 0
  /** False once a group found no place. */
  isComplete = true
  readonly #aggregation: Aggregation
  readonly #value: FieldReader | null
  readonly #by: FieldReader[]
  readonly #groups = new Map<string, Group>()
  readonly #groupsMax: number
  #chars = 0
  readonly #keeping: Keeping

  constructor(
    aggregation: Aggregation,
    bounds: AggregateBounds = { numbers: EXACT_NUMBERS_MAX, bins: SKETCH_BINS_MAX },
  ) {
    const { value, by, buckets, functions } = aggregation
    this.#aggregation = aggregation
    this.#value = value && new FieldReader(value)
    this.#by = by.map(({ field }) => new FieldReader(field))
    this.needed = [...this.#by, this.#value].reduce(
      (needed, reader) => (reader ? bothNeeded(needed, reader.needed) : needed),
      NOTHING_NEEDED,
    )
    this.isSlow = [...this.#by, this.#value].some((reader) => reader?.isSlow)
    const points = buckets?.count ?? 1
    this.#groupsMax = Math.min(GROUPS_MAX, Math.floor(AGGREGATE_SERIES_MAX / points))
    const keepsNumbers = functions.some(({ is }) => is === 'quantile')
    this.#keeping = new Keeping(keepsNumbers, bounds)
  }

  get size(): number {
    return this.#groups.size
  }

  /** The part of a number that a percentile may be off by; null: they are exact. */
  get relativeError(): number | null {
    return this.#keeping.relativeError
  }

  count(stored: StoredBatch, rows: number[]): void {
    const { buckets } = this.#aggregation
    const places = buckets && bucketsOf(buckets, stored, rows)
    const groups = this.#groupsOf(stored, rows)
    let row = -1
    let others: (Group | null)[] | null = null
    const add = (i: number, number: number | null) => {
      const place = places ? places[i]! : 0
      if (place < 0) return
      const group = groups.first(i)
      if (group) this.#add(group, place, number)
      // A row's numbers come together, and its groups may be many.
      if (i !== row) others = groups.others(i)
      row = i
      if (others) for (const other of others) if (other) this.#add(other, place, number)
    }
    const found = this.#value?.numbers(stored, rows)
    this.records += rows.length
    if (!found) {
      for (let i = 0; i < rows.length; i++) add(i, null)
      return
    }
    const { at, numbers } = found
    const hasNumber = new Uint8Array(rows.length)
    for (let k = 0; k < at.length; k++) {
      hasNumber[at[k]!] = 1
      add(at[k]!, numbers[k]!)
    }
    for (const has of hasNumber) if (has === 0) this.withoutValue++
  }

  absorb(): void {}

  #add(group: Group, place: number, number: number | null): void {
    group.count++
    let series = group.series.get(place)
    if (!series) {
      series = this.#keeping.series()
      group.series.set(place, series)
    }
    series.count++
    if (number !== null) this.#keeping.add(series, number)
  }

  /** The group of a row, and the others that it has by an array; null: one that found no place. */
  #groupsOf(stored: StoredBatch, rows: number[]) {
    const fields = this.#by.map((reader) => reader.values(stored, rows))
    const known = new Map<number, Group | null>()
    const groupAt = (place: number, codesOf: () => number[]): Group | null => {
      let group = known.get(place)
      if (group === undefined) {
        const values = codesOf().map((code, f) => (code < 0 ? null : fields[f]!.values[code]!))
        group = this.#groupFor(values)
        known.set(place, group)
      }
      return group
    }
    // Codes begin at -1; a batch has too few values for the product to be no whole number any more.
    const next = (place: number, f: number, code: number) =>
      place * (fields[f]!.values.length + 1) + code + 1
    return {
      first: (i: number): Group | null => {
        let place = 0
        for (let f = 0; f < fields.length; f++) place = next(place, f, fields[f]!.codes[i]!)
        return groupAt(place, () => fields.map(({ codes }) => codes[i]!))
      },
      others: (i: number): (Group | null)[] | null => {
        if (!fields.some(({ more }) => more?.has(i))) return null
        return combinationsOf(fields, i)
          .slice(1)
          .map((codes) => {
            const place = codes.reduce((place, code, f) => next(place, f, code), 0)
            return groupAt(place, () => codes)
          })
      },
    }
  }

  #groupFor(values: (string | null)[]): Group | null {
    const key = JSON.stringify(values)
    const known = this.#groups.get(key)
    if (known) return known
    if (this.#groups.size >= this.#groupsMax || this.#chars + key.length > GROUP_CHARS_MAX) {
      this.isComplete = false
      return null
    }
    this.#chars += key.length
    const group: Group = { values: JSON.parse(key), count: 0, series: new Map() }
    this.#groups.set(key, group)
    return group
  }

  /** So many groups, the largest first; those without a number are left out. */
  view(limit: number): GroupView[] {
    const { by, buckets, functions } = this.#aggregation
    const shown = [...this.#groups]
      .filter(([, { count }]) => count > 0)
      .sort(([a, x], [b, y]) => y.count - x.count || (a < b ? -1 : 1))
      .slice(0, limit)
    return shown.map(([, { values, count, series }]) => {
      const names = Object.fromEntries(by.map(({ name }, i) => [name, values[i]!]))
      if (!buckets) return { by: names, count, ...series.get(0)!.numbers(functions) }
      const points = [...series]
        .sort(([a], [b]) => a - b)
        .map(([place, one]) => ({
          time: buckets.startMs + place * buckets.stepMs,
          ...one.numbers(functions),
        }))
      return { by: names, count, points: points as NonNullable<GroupView['points']> }
    })
  }
}

/** Every combination of the values that a row has; where they are too many, the first of them. */
function combinationsOf(fields: FieldValues[], i: number): number[][] {
  let all: number[][] = [[]]
  for (const { codes, more } of fields) {
    const own = [codes[i]!, ...(more?.get(i) ?? [])]
    const next: number[][] = []
    for (const codes of all) {
      for (const code of own) if (next.length < ELEMENTS_MAX) next.push([...codes, code])
    }
    all = next
  }
  return all
}

/** The numbers of one group, in one bucket. */
class Series {
  count = 0
  min = Number.POSITIVE_INFINITY
  max = Number.NEGATIVE_INFINITY
  #sum = 0
  /** What the sum lost to rounding (Neumaier): a million durations add up whatever their order. */
  #lost = 0
  numbersKept: number[] = []
  sketch: Sketch | null = null

  add(number: number): void {
    if (number < this.min) this.min = number
    if (number > this.max) this.max = number
    const sum = this.#sum + number
    const isLarger = Math.abs(this.#sum) >= Math.abs(number)
    this.#lost += isLarger ? this.#sum - sum + number : number - sum + this.#sum
    this.#sum = sum
  }

  numbers(functions: AggregateFunction[]): Numbers {
    const isEmpty = this.min > this.max
    const sum = Number.isFinite(this.#sum) ? this.#sum + this.#lost : null
    const numbers: Numbers = {}
    const quantiles = this.#quantiles(functions)
    for (const [i, { name, is }] of functions.entries()) {
      if (is === 'count') numbers[name] = this.count
      else if (isEmpty) numbers[name] = null
      else if (is === 'sum') numbers[name] = sum
      else if (is === 'avg') numbers[name] = sum === null ? null : sum / this.count
      else numbers[name] = is === 'quantile' ? quantiles[i]! : this[is]
    }
    return numbers
  }

  /** By the place of the function. */
  #quantiles(functions: AggregateFunction[]): number[] {
    const found: number[] = []
    if (!this.sketch && this.numbersKept.length === 0) return found
    const sorted = this.sketch ? null : Float64Array.from(this.numbersKept).sort()
    for (const [i, one] of functions.entries()) {
      if (one.is !== 'quantile') continue
      const { low, high, between } = quantilePlaces(this.count, one.part)
      const [a, b] = this.sketch ? this.sketch.at([low, high]) : [sorted![low], sorted![high]]
      const number = a! * (1 - between) + b! * between
      // Of what a sketch says, two things are known better.
      found[i] = Math.min(Math.max(number, this.min), this.max)
    }
    return found
  }
}

/** Keeps the numbers of all series while they are few, and then their sketches. */
class Keeping {
  readonly #keepsNumbers: boolean
  readonly #bounds: AggregateBounds
  readonly #all: Series[] = []
  #resolution: Resolution | null = null
  #numbers = 0
  #bins = 0

  constructor(keepsNumbers: boolean, bounds: AggregateBounds) {
    this.#keepsNumbers = keepsNumbers
    this.#bounds = bounds
  }

  get relativeError(): number | null {
    return this.#resolution?.relativeError ?? null
  }

  series(): Series {
    const series = new Series()
    if (this.#keepsNumbers) this.#all.push(series)
    if (this.#resolution) series.sketch = new Sketch(this.#resolution)
    return series
  }

  add(series: Series, number: number): void {
    series.add(number)
    if (!this.#keepsNumbers) return
    if (series.sketch) {
      this.#bins += series.sketch.add(number)
      this.#boundBins()
    } else {
      series.numbersKept.push(number)
      if (++this.#numbers > this.#bounds.numbers) this.#toSketches()
    }
  }

  #toSketches(): void {
    this.#resolution = new Resolution()
    for (const series of this.#all) {
      const { numbersKept } = series
      series.numbersKept = []
      series.sketch = new Sketch(this.#resolution)
      for (const number of numbersKept) this.#bins += series.sketch.add(number)
    }
    this.#boundBins()
  }

  /** Ends, because a sketch comes down to four bins, and series are bounded. */
  #boundBins(): void {
    while (this.#bins > this.#bounds.bins && this.#resolution!.relativeError < 0.9) {
      this.#resolution!.halve()
      this.#bins = 0
      for (const { sketch } of this.#all) {
        sketch!.coarsen()
        this.#bins += sketch!.bins
      }
    }
  }
}
