// What is kept of the samples that a series has in an interval: a few numbers, such that those of two
// intervals make those of both. Windows overlap, and no sample is looked at again for the next one.
//
// All states lie in one array, a series with a sample in every minute of a month would else be forty
// thousand objects.

/** One number of one record. */
export interface Sample {
  value: number
  ms: number
  ns: number
  /** Tells records of one time apart, always alike. */
  order: number
}

/** States of one kind: `width` numbers from a place on. Before the first sample they are 0. */
export interface Kind {
  width: number
  add(to: Float64Array, at: number, sample: Sample, isFirst: boolean): void
  /** Adds a state of later samples. Both have samples. */
  merge(to: Float64Array, at: number, from: Float64Array, fromAt: number): void
  value(of: Float64Array, at: number): number
}

/** Neumaier's sum: a million durations add up whatever their order. */
function addTo(to: Float64Array, at: number, value: number): void {
  const before = to[at]!
  const sum = before + value
  to[at + 1]! += Math.abs(before) >= Math.abs(value) ? before - sum + value : value - sum + before
  to[at] = sum
}

function mergeSums(to: Float64Array, at: number, from: Float64Array, fromAt: number): void {
  addTo(to, at, from[fromAt]!)
  to[at + 1]! += from[fromAt + 1]!
}

/** What is lost to rounding is no number once the sum is infinite. */
const sumOf = (of: Float64Array, at: number): number =>
  Number.isFinite(of[at]!) ? of[at]! + of[at + 1]! : of[at]!

const COUNT: Kind = {
  width: 1,
  add: (to, at) => {
    to[at]!++
  },
  merge: (to, at, from, fromAt) => {
    to[at]! += from[fromAt]!
  },
  value: (of, at) => of[at]!,
}

const SUM: Kind = {
  width: 2,
  add: (to, at, { value }) => addTo(to, at, value),
  merge: mergeSums,
  value: sumOf,
}

const AVERAGE: Kind = {
  width: 3,
  add: (to, at, { value }) => {
    addTo(to, at, value)
    to[at + 2]!++
  },
  merge: (to, at, from, fromAt) => {
    mergeSums(to, at, from, fromAt)
    to[at + 2]! += from[fromAt + 2]!
  },
  value: (of, at) => sumOf(of, at) / of[at + 2]!,
}

/** The number for which `beats` says so; NaN only where there is nothing else. */
function extreme(beats: (a: number, b: number) => boolean): Kind {
  const take = (to: Float64Array, at: number, value: number) => {
    if (beats(value, to[at]!) || Number.isNaN(to[at]!)) to[at] = value
  }
  return {
    width: 1,
    add: (to, at, { value }, isFirst) => {
      if (isFirst) to[at] = value
      else take(to, at, value)
    },
    merge: (to, at, from, fromAt) => take(to, at, from[fromAt]!),
    value: (of, at) => of[at]!,
  }
}

/** Value, milliseconds, nanoseconds and order of a sample. */
function outermost(isLast: boolean): Kind {
  const take = (to: Float64Array, at: number, { value, ms, ns, order }: Sample) => {
    to[at] = value
    to[at + 1] = ms
    to[at + 2] = ns
    to[at + 3] = order
  }
  return {
    width: 4,
    add: (to, at, sample, isFirst) => {
      const isLater =
        (sample.ms - to[at + 1]! || sample.ns - to[at + 2]! || sample.order - to[at + 3]!) > 0
      if (isFirst || isLater === isLast) take(to, at, sample)
    },
    merge: (to, at, from, fromAt) => {
      if (isLast) to.set(from.subarray(fromAt, fromAt + 4), at)
    },
    value: (of, at) => of[at]!,
  }
}

/** Count, mean and the sum of squared distances from it (Welford; merged as Chan and others do). */
const moments = (value: (variance: number) => number): Kind => ({
  width: 3,
  add: (to, at, sample) => {
    const count = to[at]! + 1
    const distance = sample.value - to[at + 1]!
    to[at] = count
    to[at + 1]! += distance / count
    to[at + 2]! += distance * (sample.value - to[at + 1]!)
  },
  merge: (to, at, from, fromAt) => {
    const [a, b] = [to[at]!, from[fromAt]!]
    const distance = from[fromAt + 1]! - to[at + 1]!
    to[at] = a + b
    to[at + 1]! += (distance * b) / (a + b)
    to[at + 2]! += from[fromAt + 2]! + (distance * distance * a * b) / (a + b)
  },
  value: (of, at) => value(of[at + 2]! / of[at]!),
})

/** Numbers of a quantile are kept elsewhere. */
const NOTHING: Kind = { width: 0, add: () => {}, merge: () => {}, value: () => Number.NaN }

export const KINDS = {
  count: COUNT,
  sum: SUM,
  avg: AVERAGE,
  min: extreme((a, b) => a < b),
  max: extreme((a, b) => a > b),
  first: outermost(false),
  last: outermost(true),
  stddev: moments(Math.sqrt),
  stdvar: moments((variance) => variance),
  quantile: NOTHING,
} as const
export type KindName = keyof typeof KINDS

/** The states of all series and intervals that have samples. */
export class States {
  readonly kind: Kind
  size = 0
  numbers: Float64Array
  #series = new Int32Array(FIRST)
  #intervals = new Int32Array(FIRST)
  /** Places by hash, from 1 on; 0 is free. Twice as many as states. */
  #table = new Int32Array(2 * FIRST)

  constructor(kind: Kind) {
    this.kind = kind
    this.numbers = new Float64Array(FIRST * kind.width)
  }

  /** The place of a state. It is a new one if `size` grew. */
  placeOf(series: number, interval: number): number {
    let at = this.#find(series, interval)
    const known = this.#table[at]!
    if (known > 0) return known - 1
    if (this.size === this.#series.length) {
      this.#grow()
      at = this.#find(series, interval)
    }
    const place = this.size++
    this.#series[place] = series
    this.#intervals[place] = interval
    this.#table[at] = place + 1
    return place
  }

  /** Where in the table the state is, or would be. */
  #find(series: number, interval: number): number {
    const mask = this.#table.length - 1
    let hash = Math.imul(series, 0x9e3779b1) ^ Math.imul(interval, 0x85ebca6b)
    hash ^= hash >>> 15
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const place = this.#table[at]! - 1
      if (place < 0) return at
      if (this.#series[place] === series && this.#intervals[place] === interval) return at
    }
  }

  #grow(): void {
    const length = 2 * this.#series.length
    this.#series = longer(this.#series, length)
    this.#intervals = longer(this.#intervals, length)
    const numbers = new Float64Array(length * this.kind.width)
    numbers.set(this.numbers)
    this.numbers = numbers
    this.#table = new Int32Array(2 * length)
    for (let place = 0; place < this.size; place++) {
      this.#table[this.#find(this.#series[place]!, this.#intervals[place]!)] = place + 1
    }
  }

  /** The states of each of so many series, in order of time. */
  bySeries(count: number): SeriesStates[] {
    const ends = new Int32Array(count + 1)
    for (let place = 0; place < this.size; place++) ends[this.#series[place]! + 1]!++
    for (let series = 0; series < count; series++) ends[series + 1]! += ends[series]!
    const starts = ends.slice()
    const places = new Int32Array(this.size)
    for (let place = 0; place < this.size; place++) {
      places[starts[this.#series[place]!]!++] = place
    }
    const intervals = this.#intervals
    return Array.from({ length: count }, (_, series) => {
      const own = places.subarray(ends[series]!, ends[series + 1]!)
      own.sort((a, b) => intervals[a]! - intervals[b]!)
      return { places: own, intervals: Int32Array.from(own, (place) => intervals[place]!) }
    })
  }
}

const FIRST = 1024

function longer(array: Int32Array<ArrayBuffer>, length: number): Int32Array<ArrayBuffer> {
  const long = new Int32Array(length)
  long.set(array)
  return long
}

/** Where the states of one series are, and their intervals, ascending. */
export interface SeriesStates {
  places: Int32Array
  intervals: Int32Array
}
