// One series of a range aggregation at one step after another. Windows only ever move on, so each
// state comes in once and goes out once.

import type { Distributions } from './range-quantile.ts'
import type { SeriesStates, States } from './range-states.ts'

export interface Sliding {
  /** Of the window that it moved to last. */
  value: number
  /** Moves to the intervals from `from` to before `to`, which is further on; false: no sample there. */
  move(from: number, to: number): boolean
}

/**
 * The states of a window as a queue of two stacks. Of the older ones it is known what each makes with
 * all that follow it there, so the oldest goes without anything to be taken away; of the newer ones,
 * what they make together. When the older ones are used up, the newer ones become them.
 */
export class StateSliding implements Sliding {
  value = 0
  readonly #states: States
  readonly #own: SeriesStates
  #head = 0
  #tail = 0
  /** From here on states are newer ones. */
  #middle = 0
  /** What the states from each place on make, up to `middle`; the first is that of `#suffixFrom`. */
  #suffixes = new Float64Array(0)
  #suffixFrom = 0
  readonly #newer: Float64Array
  readonly #all: Float64Array

  constructor(states: States, own: SeriesStates) {
    this.#states = states
    this.#own = own
    this.#newer = new Float64Array(states.kind.width)
    this.#all = new Float64Array(states.kind.width)
  }

  move(from: number, to: number): boolean {
    const { intervals } = this.#own
    while (this.#tail < intervals.length && intervals[this.#tail]! < to) this.#push()
    while (this.#head < this.#tail && intervals[this.#head]! < from) this.#pop()
    if (this.#head === this.#tail) return false
    this.value = this.#merged()
    return true
  }

  #push(): void {
    const { kind, numbers } = this.#states
    const at = this.#own.places[this.#tail]! * kind.width
    if (this.#tail > this.#middle) kind.merge(this.#newer, 0, numbers, at)
    else this.#newer.set(numbers.subarray(at, at + kind.width))
    this.#tail++
  }

  #pop(): void {
    if (this.#head === this.#middle) this.#turn()
    this.#head++
  }

  /** The newer states become the older ones. */
  #turn(): void {
    const { kind, numbers } = this.#states
    const { width } = kind
    const length = this.#tail - this.#head
    this.#suffixes = new Float64Array(length * width)
    this.#suffixFrom = this.#head
    for (let i = length - 1; i >= 0; i--) {
      const at = this.#own.places[this.#head + i]! * width
      this.#suffixes.set(numbers.subarray(at, at + width), i * width)
      if (i < length - 1) kind.merge(this.#suffixes, i * width, this.#suffixes, (i + 1) * width)
    }
    this.#middle = this.#tail
  }

  #merged(): number {
    const { kind } = this.#states
    if (this.#head === this.#middle) return kind.value(this.#newer, 0)
    const at = (this.#head - this.#suffixFrom) * kind.width
    if (this.#tail === this.#middle) return kind.value(this.#suffixes, at)
    this.#all.set(this.#suffixes.subarray(at, at + kind.width))
    kind.merge(this.#all, 0, this.#newer, 0)
    return kind.value(this.#all, 0)
  }
}

/**
 * The numbers of a window as counts in a tree over all numbers of the series (Fenwick), which finds
 * the number at a place in as many looks as there are bits in how many they are.
 */
export class QuantileSliding implements Sliding {
  value = 0
  readonly #part: number
  readonly #own: SeriesStates
  /** All different numbers, ascending; NaN is the lowest. */
  readonly #numbers: Float64Array
  /** Of each state, places in `#numbers` and how often. */
  readonly #ranks: Int32Array[]
  readonly #counts: (Int32Array | null)[]
  readonly #tree: Int32Array
  #head = 0
  #tail = 0
  #size = 0

  constructor(part: number, own: SeriesStates, distributions: Distributions) {
    this.#part = part
    this.#own = own
    const all = Array.from(own.places, (place) => distributions.at(place))
    this.#numbers = distinct(all.map(({ numbers }) => numbers))
    this.#ranks = all.map(({ numbers }) => ranksOf(numbers, this.#numbers))
    this.#counts = all.map(({ counts }) => counts)
    this.#tree = new Int32Array(this.#numbers.length + 1)
  }

  move(from: number, to: number): boolean {
    const { intervals } = this.#own
    for (; this.#tail < intervals.length && intervals[this.#tail]! < to; this.#tail++) {
      this.#add(this.#tail, 1)
    }
    for (; this.#head < this.#tail && intervals[this.#head]! < from; this.#head++) {
      this.#add(this.#head, -1)
    }
    if (this.#head === this.#tail) return false
    this.value = this.#quantile()
    return true
  }

  #add(state: number, sign: 1 | -1): void {
    const ranks = this.#ranks[state]!
    const counts = this.#counts[state]!
    for (let i = 0; i < ranks.length; i++) {
      const count = sign * (counts ? counts[i]! : 1)
      this.#size += count
      for (let at = ranks[i]! + 1; at < this.#tree.length; at += at & -at) this.#tree[at]! += count
    }
  }

  /** Linear interpolation between the two numbers next to the place, as Prometheus has it. */
  #quantile(): number {
    if (this.#part < 0) return Number.NEGATIVE_INFINITY
    if (this.#part > 1) return Number.POSITIVE_INFINITY
    const place = this.#part * (this.#size - 1)
    const low = Math.floor(place)
    const between = place - low
    const lower = this.#at(low)
    // An infinite neighbour that has no part in it would make it no number.
    return between === 0 ? lower : lower * (1 - between) + this.#at(low + 1) * between
  }

  /** The number at a place, from 0 on. */
  #at(place: number): number {
    let rank = 0
    let left = place
    for (let bit = 2 ** Math.floor(Math.log2(this.#tree.length)); bit >= 1; bit /= 2) {
      const next = rank + bit
      if (next < this.#tree.length && this.#tree[next]! <= left) {
        rank = next
        left -= this.#tree[next]!
      }
    }
    return this.#numbers[rank]!
  }
}

/** Ascending; NaN first, as Loki has it. */
function distinct(all: Float64Array[]): Float64Array {
  let length = 0
  for (const { length: own } of all) length += own
  const sorted = new Float64Array(length)
  let at = 0
  for (const numbers of all) {
    sorted.set(numbers, at)
    at += numbers.length
  }
  // This sort has NaN last, and -0 before 0.
  sorted.sort()
  let count = 0
  if (length > 0 && Number.isNaN(sorted[length - 1]!)) {
    while (length > 0 && Number.isNaN(sorted[length - 1]!)) length--
    sorted.copyWithin(1, 0, length)
    sorted[0] = Number.NaN
    length++
  }
  for (let i = 0; i < length; i++) {
    if (i === 0 || sorted[i] !== sorted[count - 1]) sorted[count++] = sorted[i]!
  }
  return sorted.slice(0, count)
}

function ranksOf(numbers: Float64Array, sorted: Float64Array): Int32Array {
  const hasNaN = Number.isNaN(sorted[0]!) ? 1 : 0
  return Int32Array.from(numbers, (number) => {
    if (Number.isNaN(number)) return 0
    let low = hasNaN
    let high = sorted.length - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if (sorted[middle]! < number) low = middle + 1
      else high = middle
    }
    return low
  })
}
