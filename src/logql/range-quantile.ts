// The numbers of each state of a quantile: themselves while all together can be kept, and from then
// on sketches of them, whose error is told.

import { Resolution, Sketch } from '../count/sketch.ts'
import { EXACT_NUMBERS_MAX, SKETCH_BINS_MAX } from '../limits.ts'

/** How many numbers are kept, and bins of sketches. */
export interface NumberBounds {
  numbers: number
  bins: number
}

const BOUNDS: NumberBounds = { numbers: EXACT_NUMBERS_MAX, bins: SKETCH_BINS_MAX }

/** Numbers and how often each is there; null: once each entry. */
export interface Distribution {
  numbers: Float64Array
  counts: Int32Array | null
}

export class Distributions {
  readonly #bounds: NumberBounds
  #numbers = new Float64Array(1024)
  #places = new Int32Array(1024)
  #size = 0
  /** By place; null: the numbers themselves are kept. */
  #sketches: Sketch[] | null = null
  /** Of states with sketches, by place: how often each number is there that no bin can hold. */
  readonly #odd = new Map<number, Map<number, number>>()
  #resolution: Resolution | null = null
  #bins = 0
  /** The numbers by place, once all are there. */
  #starts: Int32Array | null = null
  #sorted = new Float64Array(0)

  constructor(bounds: NumberBounds = BOUNDS) {
    this.#bounds = bounds
  }

  /** The part of a number that it may be off by; null: all are exact. */
  get relativeError(): number | null {
    return this.#resolution?.relativeError ?? null
  }

  /** Adds to the state at a place. States come to be one after another. */
  add(place: number, number: number): void {
    if (this.#sketches) {
      this.#addToSketch(this.#sketches, place, number)
      this.#boundBins(this.#sketches)
      return
    }
    if (this.#size === this.#bounds.numbers) {
      this.#toSketches()
      this.add(place, number)
      return
    }
    if (this.#size === this.#numbers.length) this.#grow()
    this.#numbers[this.#size] = number
    this.#places[this.#size] = place
    this.#size++
  }

  /** Of a state; nothing may be added any more. */
  at(place: number): Distribution {
    if (this.#sketches) {
      const odd = this.#odd.get(place) ?? []
      const all = [...this.#sketches[place]!.counts(), ...odd].filter(([, count]) => count > 0)
      return {
        numbers: Float64Array.from(all, ([number]) => number),
        counts: Int32Array.from(all, ([, count]) => count),
      }
    }
    const starts = this.#starts ?? this.#sort()
    return { numbers: this.#sorted.subarray(starts[place]!, starts[place + 1]!), counts: null }
  }

  #grow(): void {
    const numbers = new Float64Array(2 * this.#size)
    numbers.set(this.#numbers)
    this.#numbers = numbers
    const places = new Int32Array(2 * this.#size)
    places.set(this.#places)
    this.#places = places
  }

  #sort(): Int32Array {
    let last = -1
    for (let i = 0; i < this.#size; i++) last = Math.max(last, this.#places[i]!)
    const starts = new Int32Array(last + 2)
    for (let i = 0; i < this.#size; i++) starts[this.#places[i]! + 1]!++
    for (let place = 0; place <= last; place++) starts[place + 1]! += starts[place]!
    const next = starts.slice()
    this.#sorted = new Float64Array(this.#size)
    for (let i = 0; i < this.#size; i++) {
      this.#sorted[next[this.#places[i]!]!++] = this.#numbers[i]!
    }
    this.#starts = starts
    return starts
  }

  #toSketches(): void {
    this.#resolution = new Resolution()
    const sketches: Sketch[] = []
    this.#sketches = sketches
    for (let i = 0; i < this.#size; i++) {
      this.#addToSketch(sketches, this.#places[i]!, this.#numbers[i]!)
    }
    this.#numbers = new Float64Array(0)
    this.#places = new Int32Array(0)
    this.#boundBins(sketches)
  }

  #addToSketch(sketches: Sketch[], place: number, number: number): void {
    while (sketches.length <= place) sketches.push(new Sketch(this.#resolution!))
    if (Number.isFinite(number)) {
      this.#bins += sketches[place]!.add(number)
      return
    }
    const odd = this.#odd.get(place) ?? new Map<number, number>()
    this.#odd.set(place, odd.set(number, (odd.get(number) ?? 0) + 1))
  }

  #boundBins(sketches: Sketch[]): void {
    const resolution = this.#resolution!
    while (this.#bins > this.#bounds.bins && resolution.relativeError < 0.9) {
      resolution.halve()
      this.#bins = 0
      for (const sketch of sketches) {
        sketch.coarsen()
        this.#bins += sketch.bins
      }
    }
  }
}
