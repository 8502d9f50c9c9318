// Random numbers from a seed, the same on every machine (sfc32: 128 bits of state, passes PractRand).

export interface Random {
  /** 0 <= x < 1. */
  fraction(): number
  /** A whole number, 0 <= x < limit. */
  below(limit: number): number
  /** Mean 0, deviation 1. */
  normal(): number
  bytes(length: number): Uint8Array
}

export function randomOf(seed: number): Random {
  let a = 0x9e3779b9
  let b = 0x243f6a88
  let c = 0xb7e15162
  let d = seed | 0
  const next = () => {
    const t = (((a + b) | 0) + d) | 0
    d = (d + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + t) | 0
    return t >>> 0
  }
  for (let i = 0; i < 15; i++) next()
  const fraction = () => next() / 2 ** 32
  return {
    fraction,
    below: (limit) => Math.floor(fraction() * limit),
    normal: () => Math.sqrt(-2 * Math.log(1 - fraction())) * Math.cos(2 * Math.PI * fraction()),
    bytes: (length) => Uint8Array.from({ length }, () => next() & 255),
  }
}

/** Ranks 0..count-1 where rank k comes up in proportion to 1 / (k + 1)^exponent. */
export function zipf(count: number, exponent: number): (random: Random) => number {
  const cumulative = new Float64Array(count)
  let sum = 0
  for (let k = 0; k < count; k++) {
    sum += (k + 1) ** -exponent
    cumulative[k] = sum
  }
  return (random) => indexAbove(cumulative, random.fraction() * sum)
}

/** One of `items`, each in proportion to its weight. */
export function weighted<T>(items: readonly T[], weights: readonly number[]) {
  let sum = 0
  const cumulative = Float64Array.from(weights, (weight) => {
    sum += weight
    return sum
  })
  return { pick: (random: Random): T => items[indexAbove(cumulative, random.fraction() * sum)]! }
}

/** The first index whose entry is above x; the last one where rounding left none. */
function indexAbove(cumulative: Float64Array, x: number): number {
  let low = 0
  let high = cumulative.length - 1
  while (low < high) {
    const middle = (low + high) >> 1
    if (cumulative[middle]! > x) high = middle
    else low = middle + 1
  }
  return low
}
