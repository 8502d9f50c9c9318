// The two encodings of Parquet that pack integers by bits, for a reader and a writer that make no
// BigInt a value.
//
// DELTA_BINARY_PACKED: the first value, then the steps between values in blocks of 128: the least
// step of the block, then four times 32 steps above it, each 32 with as many bits as they need.
//
//   block size · minis a block · values · first value    then a block:  least step · 4 widths · bits
//
// The RLE hybrid, of levels and dictionary places: runs of one value, or groups of 8 bit by bit.

const BLOCK = 128
const MINIS = 4
const MINI = BLOCK / MINIS
/** Steps above this are not exact in a double once added up. */
export const STEP_MAX = 2 ** 51

/** `first` and the `steps` after it, which are integers within ±STEP_MAX. */
export function encodeDelta(first: bigint, steps: Float64Array): Uint8Array {
  const blocks = Math.ceil(steps.length / BLOCK)
  const out = new BitWriter(40 + blocks * (10 + MINIS + BLOCK * 7))
  out.varint(BLOCK)
  out.varint(MINIS)
  out.varint(steps.length + 1)
  out.varint64(BigInt.asUintN(64, (first << 1n) ^ (first >> 63n)))
  const above = new Float64Array(BLOCK)
  for (let from = 0; from < steps.length; from += BLOCK) {
    const count = Math.min(BLOCK, steps.length - from)
    let least = steps[from]!
    for (let i = 1; i < count; i++) if (steps[from + i]! < least) least = steps[from + i]!
    // The last block is filled up with steps that cost no bit.
    above.fill(0)
    for (let i = 0; i < count; i++) above[i] = steps[from + i]! - least
    out.zigzag(least)
    const widths = Array.from({ length: MINIS }, (_, mini) => widthOf(above, mini * MINI))
    for (const width of widths) out.byte(width)
    for (let mini = 0; mini * MINI < count; mini++) {
      const width = widths[mini]!
      for (let i = 0; i < MINI; i++) out.bits(above[mini * MINI + i]!, width)
    }
  }
  return out.done()
}

function widthOf(above: Float64Array, from: number): number {
  let most = 0
  for (let i = from; i < from + MINI; i++) if (above[i]! > most) most = above[i]!
  return most < 2 ** 32 ? 32 - Math.clz32(most) : 32 + (32 - Math.clz32(most / 2 ** 32))
}

/** What is being written: a page's worth is copied out at its end, and nothing yields before. */
let scratch = new Uint8Array(64 * 1024)

class BitWriter {
  readonly #bytes: Uint8Array
  #at = 0
  #held = 0
  #heldBits = 0

  constructor(bytesMax: number) {
    if (scratch.length < bytesMax) scratch = new Uint8Array(bytesMax)
    this.#bytes = scratch
  }

  byte(value: number): void {
    this.#bytes[this.#at++] = value
  }

  varint(value: number): void {
    let rest = value
    while (rest >= 128) {
      this.byte((rest % 128) | 128)
      rest = Math.floor(rest / 128)
    }
    this.byte(rest)
  }

  varint64(value: bigint): void {
    let rest = value
    while (rest >= 128n) {
      this.byte(Number(rest & 127n) | 128)
      rest >>= 7n
    }
    this.byte(Number(rest))
  }

  zigzag(value: number): void {
    this.varint(value < 0 ? -2 * value - 1 : 2 * value)
  }

  /** The low bit first; 32 values of any width end at a whole byte. */
  bits(value: number, width: number): void {
    if (width > 24) {
      this.bits(value % 2 ** 24, 24)
      this.bits(Math.floor(value / 2 ** 24), width - 24)
      return
    }
    let held = this.#held | (value << this.#heldBits)
    let heldBits = this.#heldBits + width
    while (heldBits >= 8) {
      this.#bytes[this.#at++] = held
      held >>>= 8
      heldBits -= 8
    }
    this.#held = held
    this.#heldBits = heldBits
  }

  /** Values `from`..`to` (exclusive) of the RLE hybrid as groups of 8, the last filled up with 0. */
  groups(values: Uint32Array, from: number, to: number, width: number): void {
    if (from === to) return
    const groups = Math.ceil((to - from) / 8)
    this.varint(groups * 2 + 1)
    const bytes = this.#bytes
    let at = this.#at
    let held = 0
    let heldBits = 0
    for (let i = from; i < from + groups * 8; i++) {
      if (i < to) held |= values[i]! << heldBits
      heldBits += width
      while (heldBits >= 8) {
        bytes[at++] = held
        held >>>= 8
        heldBits -= 8
      }
    }
    this.#at = at
  }

  done(): Uint8Array {
    return this.#bytes.slice(0, this.#at)
  }
}

export interface Delta {
  first: bigint
  steps: Float64Array
  /** Where the encoded bytes end. */
  end: number
}

/** Reads `count` values that encodeDelta wrote at `at`. Throws where it could not have. */
export function decodeDelta(bytes: Uint8Array, at: number, count: number): Delta {
  const r = new BitReader(bytes, at)
  if (r.varint() !== BLOCK || r.varint() !== MINIS) throw new Error('steps in unknown blocks')
  if (r.varint() !== count) throw new Error(`not ${count} values at byte ${at}`)
  const zigzag = r.varint64()
  const first = BigInt.asIntN(64, (zigzag >> 1n) ^ -(zigzag & 1n))
  const steps = new Float64Array(Math.max(0, count - 1))
  for (let from = 0; from < steps.length; from += BLOCK) {
    const least = r.zigzag()
    const widths = r.at
    r.at += MINIS
    const to = Math.min(from + BLOCK, steps.length)
    for (let mini = 0; from + mini * MINI < to; mini++) {
      const start = from + mini * MINI
      r.unpack(bytes[widths + mini]!, least, steps, start, Math.min(start + MINI, to))
    }
  }
  if (r.at > bytes.length) throw new Error(`steps cut off at byte ${bytes.length}`)
  return { first, steps, end: r.at }
}

class BitReader {
  readonly #bytes: Uint8Array
  at: number

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes
    this.at = at
  }

  varint(): number {
    let value = 0
    for (let scale = 1; scale < 2 ** 63; scale *= 128) {
      const byte = this.#bytes[this.at++]
      if (byte === undefined) break
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
    throw new Error(`no varint before byte ${this.at}`)
  }

  varint64(): bigint {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.at++]
      if (byte === undefined) break
      value |= BigInt(byte & 127) << shift
      if (byte < 128) return value
    }
    throw new Error(`no varint before byte ${this.at}`)
  }

  zigzag(): number {
    const value = this.varint()
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  /** Reads MINI values of `width` bits, of which `from`..`to` (exclusive) of `out` are wanted. */
  unpack(width: number, least: number, out: Float64Array, from: number, to: number): void {
    const start = this.at
    this.at += (width * MINI) / 8
    if (!(width <= 53) || this.at > this.#bytes.length) {
      throw new Error(`steps cut off at byte ${start}`)
    }
    if (width <= 24) {
      const bytes = this.#bytes
      const mask = (1 << width) - 1
      let at = start
      let held = 0
      let heldBits = 0
      for (let i = from; i < to; i++) {
        for (; heldBits < width; heldBits += 8) held |= bytes[at++]! << heldBits
        out[i] = least + (held & mask)
        held >>>= width
        heldBits -= width
      }
      return
    }
    for (let i = from, bit = start * 8; i < to; i++, bit += width) {
      let value = bitsAt(this.#bytes, bit, 24)
      value += bitsAt(this.#bytes, bit + 24, Math.min(24, width - 24)) * 2 ** 24
      if (width > 48) value += bitsAt(this.#bytes, bit + 48, width - 48) * 2 ** 48
      out[i] = least + value
    }
  }
}

/** Up to 24 bits from bit `bit` on; bits past the end are 0. */
function bitsAt(bytes: Uint8Array, bit: number, width: number): number {
  const at = bit >>> 3
  const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
  return (word >>> (bit & 7)) & ((1 << width) - 1)
}

/** Bits that a run must stand for: it takes a header, its value, and a header of what follows. */
const RUN_BITS_MIN = 40

/** The first `count` values, of `width` bits each, at most 16. */
export function encodeHybrid(values: Uint32Array, count: number, width: number): Uint8Array {
  const out = new BitWriter(16 + Math.ceil(count / 8) * (width + 4))
  // Bits from here on are not written yet.
  let from = 0
  for (let at = 0; at < count; ) {
    const value = values[at]!
    let end = at + 1
    while (end < count && values[end] === value) end++
    // Groups of 8 begin at a multiple of 8 from `from`, and only the last may be short.
    const start = at + ((from - at) & 7)
    if (end - start >= 8 && ((end - start) * width >= RUN_BITS_MIN || width === 0)) {
      out.groups(values, from, start, width)
      out.varint((end - start) * 2)
      for (let left = width; left > 0; left -= 8) out.byte((value >>> (width - left)) & 255)
      from = end
    }
    at = end
  }
  out.groups(values, from, count, width)
  return out.done()
}

/** Reads `out.length` values of `width` bits. Throws where a run leaves the bytes or the values. */
export function decodeHybrid(
  bytes: Uint8Array,
  at: number,
  end: number,
  width: number,
  out: Uint8Array | Uint16Array,
): void {
  if (width > 16) throw new Error(`values of ${width} bits`)
  const count = out.length
  const mask = (1 << width) - 1
  let pos = at
  let done = 0
  while (done < count) {
    let header = 0
    let scale = 1
    let byte = 128
    while (byte >= 128) {
      if (pos >= end || scale > 2 ** 28) throw new Error(`no run at byte ${pos}`)
      byte = bytes[pos++]!
      header += (byte & 127) * scale
      scale *= 128
    }
    const length = Math.floor(header / 2)
    if (header % 2 === 1) {
      const size = length * width
      if (size > end - pos) throw new Error(`bits run past byte ${end}`)
      const to = Math.min(count, done + length * 8)
      let from = pos
      let held = 0
      let heldBits = 0
      for (; done < to; done++) {
        for (; heldBits < width; heldBits += 8) held |= bytes[from++]! << heldBits
        out[done] = held & mask
        held >>>= width
        heldBits -= width
      }
      pos += size
    } else {
      const size = (width + 7) >> 3
      if (length > count - done || length === 0 || size > end - pos) {
        throw new Error(`a run of ${length} at byte ${pos}`)
      }
      let value = 0
      for (let i = 0; i < size; i++) value |= bytes[pos++]! << (8 * i)
      out.fill(value, done, done + length)
      done += length
    }
  }
}
