// A set of tokens in a few bits each, which may say a false yes and never a false no: a Bloom filter,
// cut into slices so that a question reads one row of a page of SQLite and not the whole.
//
//   slice: 0x01 | k | bits; bit i is `1 << (i & 7)` of the byte 2 + (i >> 3)
//
// The upper bits of a token's hash name its slice, and all its k bits lie there. So a slice is a
// filter of its own, and how many there are has to be known only to find it. No slices at all means
// "maybe" to everything: there was too little room to tell anything.
//
// The hash is part of the format: a change of it takes another first byte, and old slices must stay
// readable. What is hashed is told in tokens.ts.

const FORMAT_VERSION = 1
const HEADER_BYTES = 2
/** Below four bits a token one question in seven is answered wrongly: not worth its bytes. */
const BITS_MIN = 4
/** A row as long as a page of SQLite (4 KB) has room for: a shorter one leaves the rest empty. */
export const SLICE_BYTES = 4056
/** As many as a shard's keys have room for. */
export const SLICES_MAX = 64
const PROBES_MAX = 16

/** Two unsigned 32-bit halves; `b` is odd. */
export interface Hash {
  a: number
  b: number
}

/** The hash of `text`, or of its characters `from`..`to` (exclusive). Other seeds, other hashes. */
export function hashOf(text: string, seed: number, from = 0, to = text.length): Hash {
  let a = seed ^ 0x9e3779b9
  let b = seed ^ 0x85ebca6b
  for (let i = from; i < to; i++) {
    const c = text.charCodeAt(i)
    a = Math.imul(a ^ c, 0x9e3779b1)
    b = Math.imul(b ^ c, 0x5f356495)
  }
  const mixed = mix(a ^ ((b << 15) | (b >>> 17)))
  return { a: mixed, b: (mix(b + Math.imul(mixed, 0xc2b2ae35)) | 1) >>> 0 }
}

/** The last step of murmur3: every bit of the result hangs on every bit of `x`. */
function mix(x: number): number {
  let mixed = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}

/** Distinct hashes: an open table of pairs, where `b` of 0 is a free place. */
export class TokenSet {
  size = 0
  #table = new Uint32Array(2 * 4096)

  add({ a, b }: Hash): void {
    const table = this.#table
    const mask = table.length - 2
    let at = (2 * a) & mask
    for (; table[at + 1] !== 0; at = (at + 2) & mask) {
      if (table[at] === a && table[at + 1] === b) return
    }
    table[at] = a
    table[at + 1] = b
    this.size++
    if (this.size > 0.3 * table.length) this.#grow()
  }

  forEach(see: (hash: Hash) => void): void {
    const table = this.#table
    for (let at = 0; at < table.length; at += 2) {
      if (table[at + 1] !== 0) see({ a: table[at]!, b: table[at + 1]! })
    }
  }

  #grow(): void {
    const larger = new TokenSet()
    larger.#table = new Uint32Array(2 * this.#table.length)
    this.forEach((hash) => {
      larger.add(hash)
    })
    this.#table = larger.#table
  }
}

/**
 * The slices of a filter of about `bitsWanted` bits a token, or fewer to fit `bytesMax` in all. A
 * filter of more than one slice has whole pages.
 */
export function buildFilter(tokens: TokenSet, bitsWanted: number, bytesMax: number): Uint8Array[] {
  const bytesWanted = HEADER_BYTES + 1 + Math.ceil((tokens.size * bitsWanted) / 8)
  const { count, sliceBytes } = shapeOf(bytesWanted, bytesMax)
  const bits = (sliceBytes - HEADER_BYTES) * 8
  const bitsEach = tokens.size > 0 ? (count * bits) / tokens.size : 8
  if (bits <= 0 || bitsEach < BITS_MIN) return []
  const probes = Math.min(PROBES_MAX, Math.max(1, Math.round(bitsEach * Math.LN2)))
  const slices = Array.from({ length: count }, () => {
    const slice = new Uint8Array(sliceBytes)
    slice[0] = FORMAT_VERSION
    slice[1] = probes
    return slice
  })
  tokens.forEach(({ a, b }) => {
    const slice = slices[sliceOf({ a, b }, count)]!
    let at = a
    let step = b
    for (let i = 0; i < probes; i++) {
      const bit = at % bits
      slice[HEADER_BYTES + (bit >> 3)]! |= 1 << (bit & 7)
      at = (at + step) >>> 0
      step = (step + i) >>> 0
    }
  })
  return slices
}

function shapeOf(bytesWanted: number, bytesMax: number) {
  const bytes = Math.floor(Math.min(bytesWanted, bytesMax))
  if (bytes <= SLICE_BYTES) return { count: 1, sliceBytes: bytes }
  // To the next page, unless it would be mostly empty without need.
  const pages = Math.ceil(bytesWanted / SLICE_BYTES - 0.25)
  const count = Math.min(pages, Math.floor(bytesMax / SLICE_BYTES), SLICES_MAX)
  return { count, sliceBytes: SLICE_BYTES }
}

/** Which of `count` slices tells of a token. */
export const sliceOf = ({ a }: Hash, count: number): number => Math.floor((a * count) / 2 ** 32)

/** False: the token is surely not among those of the filter. `slice` is the one sliceOf names. */
export function mayContain(slice: Uint8Array, { a, b }: Hash): boolean {
  if (slice[0] !== FORMAT_VERSION) return true
  const bits = (slice.length - HEADER_BYTES) * 8
  const probes = slice[1]!
  let at = a
  let step = b
  for (let i = 0; i < probes; i++) {
    const bit = at % bits
    if ((slice[HEADER_BYTES + (bit >> 3)]! & (1 << (bit & 7))) === 0) return false
    at = (at + step) >>> 0
    step = (step + i) >>> 0
  }
  return true
}
