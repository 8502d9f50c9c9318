// Percentiles of numbers that are too many to keep. A sketch counts numbers in bins whose bounds grow
// by a factor, so what it says of a number is off by at most a part of it (DDSketch: Masson, Rim and
// Lee, 2019). Where all sketches together have too many bins, pairs of bins become one, in all of them
// alike, and the error about doubles (UDDSketch: Epicoco and others, 2020).

/** How fine the bins are: of all sketches of one answer the same. */
export class Resolution {
  /** At most this part of a number is the error. */
  relativeError = 0.01
  #growth = Math.log((1 + this.relativeError) / (1 - this.relativeError))

  /** The bin of a number above 0: bin i reaches from growth^(i-1), exclusive, to growth^i. */
  binOf(number: number): number {
    return Math.ceil(Math.log(number) / this.#growth)
  }

  /** What stands for the numbers of a bin: no further from one bound than from the other. */
  numberOf(bin: number): number {
    const number = Math.exp(bin * this.#growth + Math.log(1 - this.relativeError))
    return Math.min(number, Number.MAX_VALUE)
  }

  /** From here on two bins are one. Every sketch has to be told, by `coarsen`. */
  halve(): void {
    this.relativeError = (2 * this.relativeError) / (1 + this.relativeError ** 2)
    this.#growth *= 2
  }
}

export class Sketch {
  readonly #resolution: Resolution
  #above = new Map<number, number>()
  #below = new Map<number, number>()
  #zeros = 0

  constructor(resolution: Resolution) {
    this.#resolution = resolution
  }

  get bins(): number {
    return this.#above.size + this.#below.size
  }

  /** How many bins came to be. */
  add(number: number): number {
    if (number === 0) {
      this.#zeros++
      return 0
    }
    const side = number > 0 ? this.#above : this.#below
    const bin = this.#resolution.binOf(Math.abs(number))
    const known = side.get(bin) ?? 0
    side.set(bin, known + 1)
    return known === 0 ? 1 : 0
  }

  /** To be called once after each `halve`. */
  coarsen(): void {
    this.#above = halved(this.#above)
    this.#below = halved(this.#below)
  }

  /** The numbers that stand for its bins, ascending, and how many numbers each has; of 0 there may be none. */
  counts(): (readonly [number: number, count: number])[] {
    const numberOf = (bin: number) => this.#resolution.numberOf(bin)
    const below = descending(this.#below).map(([bin, count]) => [-numberOf(bin), count] as const)
    const above = descending(this.#above).map(([bin, count]) => [numberOf(bin), count] as const)
    return [...below, [0, this.#zeros], ...above.reverse()]
  }

  /** About the numbers at these places, ascending from 0, of all numbers in their order. */
  at(places: number[]): number[] {
    const steps = this.counts()
    let step = 0
    let end = steps[0]![1]
    return places.map((place) => {
      while (place >= end && step < steps.length - 1) end += steps[++step]![1]
      return steps[step]![0]
    })
  }
}

const descending = (bins: Map<number, number>) => [...bins].sort((a, b) => b[0] - a[0])

function halved(bins: Map<number, number>): Map<number, number> {
  const half = new Map<number, number>()
  for (const [bin, count] of bins) {
    const to = Math.ceil(bin / 2)
    half.set(to, (half.get(to) ?? 0) + count)
  }
  return half
}

/**
 * The places whose numbers make up a quantile of `count` numbers, and how far between the two it lies:
 * linear interpolation, as numpy and Prometheus have it. `part` is 0 to 1.
 */
export function quantilePlaces(count: number, part: number) {
  const place = (count - 1) * part
  const low = Math.floor(place)
  return { low, high: Math.min(low + 1, count - 1), between: place - low }
}
