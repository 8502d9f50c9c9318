// The primitives of a protobuf reader, as plain functions over a cursor. The bytes come from
// strangers: a length is checked against the end of its own parent before anything uses it, a
// varint has ten bytes at most, a group may hold groups only so deep. Nothing is clamped.
//
// Texts: the whole body is turned into one Latin-1 string at the start, which costs a memory copy.
// An ASCII text, which is nearly every one, is then a substring; anything else goes through a
// TextDecoder. One call into the runtime per text would cost more than all the rest.

import { Buffer } from 'node:buffer'

/** Foreign bytes that are no protobuf. Decoders catch it at their public entry. */
export class BadBytes extends Error {
  readonly offset: number
  constructor(message: string, offset: number) {
    super(message)
    this.offset = offset
  }
}

export interface Reader {
  readonly bytes: Uint8Array
  /** The same bytes, four at a time. */
  readonly view: DataView
  /** The bytes as one string, a character a byte. */
  readonly latin1: string
  pos: number
  /** The halves of the 64-bit value that readVarint64 or readFixed64 read last, unsigned. */
  lo: number
  hi: number
}

/** Groups inside groups that are skipped; protobuf parsers stop at 100 messages. */
const GROUP_DEPTH_MAX = 100

export const VARINT = 0
export const FIXED64 = 1
export const LENGTH = 2
export const FIXED32 = 5

const UTF8 = new TextDecoder('utf-8', { ignoreBOM: true, fatal: false })

export function readerOf(bytes: Uint8Array): Reader {
  const { buffer, byteOffset, byteLength } = bytes
  const view = new DataView(buffer, byteOffset, byteLength)
  const latin1 = Buffer.from(buffer, byteOffset, byteLength).toString('latin1')
  return { bytes, view, latin1, pos: 0, lo: 0, hi: 0 }
}

/** Reads a field's tag: the number in the high bits, the wire type in the low three. */
export function readTag(r: Reader, end: number): number {
  const pos = r.pos
  const byte = pos < end ? r.bytes[pos]! : 0
  if (byte > 7 && byte < 128) {
    r.pos = pos + 1
    return byte
  }
  readVarint64(r, end)
  if (r.hi !== 0 || r.lo < 8) throw new BadBytes(`no field number at byte ${pos}`, pos)
  return r.lo
}

/** Reads a length and returns where the field ends: never past `end`, the end of its parent. */
export function readEnd(r: Reader, end: number): number {
  const at = r.pos
  const byte = at < end ? r.bytes[at]! : 128
  let length = byte
  if (byte < 128) r.pos = at + 1
  else {
    readVarint64(r, end)
    length = r.hi * 4294967296 + r.lo
  }
  const fieldEnd = r.pos + length
  if (fieldEnd > end) throw new BadBytes(`length ${length} at byte ${at} runs past ${end}`, at)
  return fieldEnd
}

/** Reads a varint of up to ten bytes, of which redundant ones are legal, into `lo` and `hi`. */
export function readVarint64(r: Reader, end: number): void {
  const { bytes, pos: start } = r
  let lo = 0
  let hi = 0
  for (let i = 0; i < 10; i++) {
    const pos = start + i
    if (pos >= end) throw new BadBytes(`varint cut off at byte ${start}`, start)
    const byte = bytes[pos]!
    const bits = byte & 127
    if (i < 4) lo |= bits << (7 * i)
    else if (i === 4) {
      lo |= bits << 28
      hi = bits >>> 4
    } else hi |= bits << (7 * i - 32)
    if (byte < 128) {
      r.pos = pos + 1
      r.lo = lo >>> 0
      r.hi = hi >>> 0
      return
    }
  }
  throw new BadBytes(`varint of more than 10 bytes at byte ${start}`, start)
}

/** Reads a varint and keeps its low 32 bits, signed: int32 and enum as protobuf has them. */
export function readInt32(r: Reader, end: number): number {
  const byte = r.pos < end ? r.bytes[r.pos]! : 128
  if (byte < 128) {
    r.pos++
    return byte
  }
  readVarint64(r, end)
  return r.lo | 0
}

export function readFixed32(r: Reader, end: number): number {
  const { pos } = r
  if (pos + 4 > end) throw new BadBytes(`32-bit value cut off at byte ${pos}`, pos)
  r.pos = pos + 4
  return r.view.getUint32(pos, true)
}

/** Reads 8 bytes into `lo` and `hi`. */
export function readFixed64(r: Reader, end: number): void {
  const { pos, view } = r
  if (pos + 8 > end) throw new BadBytes(`64-bit value cut off at byte ${pos}`, pos)
  r.lo = view.getUint32(pos, true)
  r.hi = view.getUint32(pos + 4, true)
  r.pos = pos + 8
}

export function readDouble(r: Reader, end: number): number {
  const { pos } = r
  if (pos + 8 > end) throw new BadBytes(`64-bit value cut off at byte ${pos}`, pos)
  r.pos = pos + 8
  return r.view.getFloat64(pos, true)
}

/** Reads the text up to `end`, which readEnd gave. What is no UTF-8 becomes U+FFFD. */
export function readText(r: Reader, end: number): string {
  const start = r.pos
  r.pos = end
  if (isAscii(r, start, end)) return r.latin1.substring(start, end)
  return UTF8.decode(r.bytes.subarray(start, end))
}

function isAscii(r: Reader, start: number, end: number): boolean {
  const { bytes, view } = r
  let any = 0
  let i = start
  for (; i + 4 <= end; i += 4) any |= view.getInt32(i, true)
  for (; i < end; i++) any |= bytes[i]!
  return (any & 0x80808080) === 0
}

/** Whether `length` bytes are the same at both places. */
export function isSame(r: Reader, a: number, b: number, length: number): boolean {
  const { bytes, view } = r
  let i = 0
  for (; i + 4 <= length; i += 4) {
    if (view.getInt32(a + i, true) !== view.getInt32(b + i, true)) return false
  }
  for (; i < length; i++) if (bytes[a + i] !== bytes[b + i]) return false
  return true
}

/** Skips a field whose tag was just read; groups too, with all that is in them. */
export function skipField(r: Reader, tag: number, end: number, depth = 0): void {
  const at = r.pos
  switch (tag & 7) {
    case VARINT:
      readVarint64(r, end)
      return
    case FIXED64:
      readFixed64(r, end)
      return
    case LENGTH:
      r.pos = readEnd(r, end)
      return
    case 3:
      if (depth >= GROUP_DEPTH_MAX) {
        throw new BadBytes(`groups more than ${GROUP_DEPTH_MAX} deep at byte ${at}`, at)
      }
      skipGroup(r, tag >>> 3, end, depth + 1)
      return
    case FIXED32:
      readFixed32(r, end)
      return
    default:
      throw new BadBytes(`wire type ${tag & 7} before byte ${at}`, at)
  }
}

function skipGroup(r: Reader, field: number, end: number, depth: number): void {
  const at = r.pos
  while (r.pos < end) {
    const tag = readTag(r, end)
    if ((tag & 7) !== 4) skipField(r, tag, end, depth)
    else if (tag >>> 3 === field) return
    else throw new BadBytes(`group ${field} closed as ${tag >>> 3} before byte ${r.pos}`, r.pos)
  }
  throw new BadBytes(`group ${field} not closed at byte ${at}`, at)
}

/** All the parts, one after the other. */
export function concatBytes(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
