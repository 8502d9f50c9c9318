// Snappy's block format, which Loki's protobuf comes in: a length as a varint, then literals and
// copies of what is already out. Bodies come from strangers: the length is held against what so many
// bytes can become before anything is allocated, and no element may read or write past its end.
//
// Ours, because the library there is (snappyjs 0.7.0) goes backwards and for ever on a literal with
// a length of 2^31 or more, and takes a body that ends before its length is reached.

import { err, ok, type Result } from '../result.ts'

/** The most that three bytes become, by a copy of 64; nothing is denser. */
const BYTES_OF_A_BYTE_MAX = 64 / 3
/** Up to here a loop is faster than a call. */
const LOOP_BYTES_MAX = 32

/** A body that is no snappy. Caught at the entry. */
class BadSnappy extends Error {}

interface Cursor {
  bytes: Uint8Array
  pos: number
}

/** Uncompresses a whole block; `too_large` where it says it is of more than `max` bytes. */
export function uncompressSnappy(bytes: Uint8Array, max: number): Result<Uint8Array> {
  const c: Cursor = { bytes, pos: 0 }
  try {
    const length = readLength(c)
    if (length > max) {
      const text = `the body is of ${length} bytes by its snappy header; the most is ${max}`
      return err('too_large', text, { max })
    }
    if (length > (bytes.length - c.pos) * BYTES_OF_A_BYTE_MAX) {
      throw new BadSnappy(`${bytes.length} bytes cannot become ${length}`)
    }
    const out = new Uint8Array(length)
    const end = readElements(c, out)
    if (end < length) throw new BadSnappy(`it ends after ${end} of ${length} bytes`)
    return ok(out)
  } catch (e) {
    if (!(e instanceof BadSnappy)) throw e
    return err('bad_protobuf', `the body is not valid snappy: ${e.message}`, { offset: c.pos })
  }
}

/** The length of what comes out: a varint of 32 bits. */
function readLength(c: Cursor): number {
  let length = 0
  for (let i = 0; i < 5; i++) {
    const byte = c.bytes[c.pos]
    if (byte === undefined) throw new BadSnappy('its length is cut off')
    c.pos++
    length += (byte & 127) * 2 ** (7 * i)
    if (byte < 128 && length < 2 ** 32) return length
  }
  throw new BadSnappy('its length is more than 32 bits')
}

/** Reads all elements and returns how many bytes they made. */
function readElements(c: Cursor, out: Uint8Array): number {
  const { bytes } = c
  let at = 0
  while (c.pos < bytes.length) {
    const tag = bytes[c.pos]!
    const kind = tag & 3
    if (kind === 0) {
      at = readLiteral(c, out, at)
      continue
    }
    const start = c.pos++
    const length = kind === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1
    // An offset of 11 bits has its high three in the tag.
    const offset =
      kind === 1 ? (tag >> 5) * 256 + readNumber(c, 1) : readNumber(c, kind === 2 ? 2 : 4)
    if (offset === 0 || offset > at) {
      throw new BadSnappy(`a copy from ${offset} bytes back at byte ${start}, with ${at} bytes out`)
    }
    if (length > out.length - at) throw new BadSnappy(`too long a copy at byte ${start}`)
    // Byte by byte: a copy may reach into what it writes.
    for (const end = at + length; at < end; at++) out[at] = out[at - offset]!
  }
  return at
}

function readLiteral(c: Cursor, out: Uint8Array, at: number): number {
  const { bytes } = c
  const start = c.pos
  const short = bytes[c.pos++]! >> 2
  const length = (short < 60 ? short : readNumber(c, short - 59)) + 1
  const from = c.pos
  if (length > bytes.length - from || length > out.length - at) {
    throw new BadSnappy(`too long a literal at byte ${start}`)
  }
  c.pos = from + length
  if (length > LOOP_BYTES_MAX) out.set(bytes.subarray(from, c.pos), at)
  else for (let i = 0; i < length; i++) out[at + i] = bytes[from + i]!
  return at + length
}

/** An unsigned number of so many bytes, the lowest first. */
function readNumber(c: Cursor, count: number): number {
  let number = 0
  for (let i = 0; i < count; i++) {
    const byte = c.bytes[c.pos]
    if (byte === undefined) throw new BadSnappy(`an element is cut off at byte ${c.pos}`)
    c.pos++
    number += byte * 2 ** (8 * i)
  }
  return number
}
