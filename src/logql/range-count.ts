// One range aggregation while its records are read: each becomes a sample of a series, and is added
// to what is kept of that series in its interval. Then it is evaluated step by step.

import type { Needed } from '../block/parquet.ts'
import type { StoredBatch } from '../block/stored.ts'
import { SLOW_ROWS_MAX } from '../count/field-values.ts'
import type { Sink } from '../match/merge.ts'
import { type Counted, keyValue } from '../query/ask.ts'
import { bug, type Failure } from '../result.ts'
import type { Labels } from './label-sets.ts'
import type { SampleSource } from './range-columns.ts'
import { Distributions, type NumberBounds } from './range-quantile.ts'
import type { SeriesTable } from './range-series.ts'
import { QuantileSliding, type Sliding, StateSliding } from './range-sliding.ts'
import { KINDS, type KindName, type Sample, States } from './range-states.ts'
import { Refusal } from './refusal.ts'
import { firstInterval, intervalOf, type Windows } from './windows.ts'

/** Intervals with samples of all series: up to 56 B each, and the isolate has 128 MB for everything. */
const STATES_MAX = 1_000_000

/** What is made of the samples of a window. */
export interface Measuring {
  kind: KindName
  /** Of a quantile; 0 for all others. */
  part: number
  /** Rates are by the second: the seconds of a range. 1 for all others. */
  divisor: number
}

/** Sequence numbers of a shard stay far below, and 64 shards of so many are whole numbers still. */
const SHARD_ORDER = 2 ** 46

export class RangeCounter implements Sink {
  readonly needed: Needed
  readonly rowsMax: number
  /** Set once there is no answer: then nothing more needs to be read. */
  failure: Failure | null = null
  readonly #windows: Windows
  readonly #measuring: Measuring
  readonly #source: SampleSource
  readonly #series: SeriesTable
  /** Labels whose one value a catalog counts by. */
  readonly #countedBy: string[]
  readonly #states: States
  readonly #distributions: Distributions | null
  readonly #sample: Sample = { value: 1, ms: 0, ns: 0, order: 0 }

  constructor(
    windows: Windows,
    measuring: Measuring,
    source: SampleSource,
    series: SeriesTable,
    countedBy: string[],
    bounds?: NumberBounds,
  ) {
    this.#windows = windows
    this.#measuring = measuring
    this.#source = source
    this.#series = series
    this.#countedBy = countedBy
    this.needed = source.needed
    this.rowsMax = source.isSlow ? SLOW_ROWS_MAX : Number.POSITIVE_INFINITY
    this.#states = new States(KINDS[measuring.kind])
    this.#distributions = measuring.kind === 'quantile' ? new Distributions(bounds) : null
  }

  /** The part of a number that quantiles may be off by; null: they are exact. */
  get relativeError(): number | null {
    return this.#distributions?.relativeError ?? null
  }

  mayHold(): boolean {
    return this.failure === null
  }

  wanted(stored: StoredBatch, rows: number[], shard: number): number[] {
    if (this.failure === null && rows.length > 0) {
      this.#refusing(() => this.#count(stored, rows, shard))
    }
    return []
  }

  add(): void {}

  absorb({ groups }: Counted): void {
    if (this.failure !== null) return
    this.#refusing(() => {
      for (const [key, counts] of groups) {
        const value = keyValue(key) ?? ''
        for (const [interval, records] of counts.entries()) {
          if (records === 0 || interval >= this.#windows.intervals) continue
          const series = this.#series.numberOf(this.#countedBy.map((name) => [name, value]))
          const place = this.#placeOf(series, interval)
          if (this.#states.kind !== KINDS.count) bug('a catalog counted what is no count')
          this.#states.numbers[place]! += records
        }
      }
    })
  }

  #refusing(count: () => void): void {
    try {
      count()
    } catch (e) {
      if (!(e instanceof Refusal)) throw e
      this.failure = e.failure
    }
  }

  /** Reads all it needs before it adds anything: of a damaged batch nothing is counted. */
  #count(stored: StoredBatch, rows: number[], shard: number): void {
    const { timeMs, timeNs } = stored.batch
    const intervals = new Int32Array(rows.length)
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!
      intervals[i] = intervalOf(this.#windows, timeMs[row]!, timeNs[row]!)
    }
    const { series, values } = this.#source.read(stored, rows, intervals)
    const { kind } = this.#measuring
    const seqs = kind === 'first' || kind === 'last' ? stored.seqs : null
    const sample = this.#sample
    for (let i = 0; i < rows.length; i++) {
      if (series[i]! < 0) continue
      const row = rows[i]!
      const { size } = this.#states
      const place = this.#placeOf(series[i]!, intervals[i]!)
      sample.value = values ? values[i]! : 1
      if (seqs) {
        sample.ms = timeMs[row]!
        sample.ns = timeNs[row]!
        sample.order = shard * SHARD_ORDER + seqs[row]!
      }
      if (this.#distributions) this.#distributions.add(place, sample.value)
      else {
        const { kind, numbers } = this.#states
        kind.add(numbers, place * kind.width, sample, this.#states.size > size)
      }
    }
  }

  #placeOf(series: number, interval: number): number {
    const place = this.#states.placeOf(series, interval)
    if (place < STATES_MAX) return place
    throw new Refusal(
      `the query keeps numbers of more than ${STATES_MAX} intervals of series: take a longer step, a shorter time, or group by labels with fewer values`,
    )
  }

  /** The series, once all records were brought. */
  evaluated(): RangeSeries[] {
    const { part, divisor } = this.#measuring
    const all = this.#states.bySeries(this.#series.labels.length)
    return all.map((own, i) => ({
      labels: this.#series.labels[i]!,
      divisor,
      sliding: this.#distributions
        ? new QuantileSliding(part, own, this.#distributions)
        : new StateSliding(this.#states, own),
    }))
  }
}

/** A series, whose value at a step is that of `sliding` divided. */
export interface RangeSeries {
  labels: Labels
  divisor: number
  sliding: Sliding
}

/** The series that have samples in a step's window, and what these make. Steps come in order. */
export function* seriesAt(
  windows: Windows,
  series: RangeSeries[],
  step: number,
): Generator<{ labels: Labels; value: number }> {
  const from = firstInterval(windows, step)
  for (const { labels, divisor, sliding } of series) {
    if (sliding.move(from, from + windows.width)) yield { labels, value: sliding.value / divisor }
  }
}
