// AnyValue in protobuf. A scalar becomes a Value; an array or a map becomes its JSON text as it is
// read. AnyValue is a oneof: of several members on the wire the last one counts, and an array or a
// map that comes twice in a row is one, as protobuf merges messages.

import { Buffer } from 'node:buffer'
import {
  type Reader,
  readDouble,
  readEnd,
  readTag,
  readText,
  readVarint64,
  skipField,
} from '../bytes.ts'
import { PROTOBUF_DEPTH_MAX } from '../limits.ts'
import {
  clear,
  type JsonBytes,
  textFrom,
  writeAscii,
  writeByte,
  writeString,
} from './json-bytes.ts'
import type { Value } from './value.ts'

/** Tag bytes: number << 3 | wire type. */
export const VALUE_TAGS = {
  AnyValue: {
    string_value: 0x0a,
    bool_value: 0x10,
    int_value: 0x18,
    double_value: 0x21,
    array_value: 0x2a,
    kvlist_value: 0x32,
    bytes_value: 0x3a,
  },
  ArrayValue: { values: 0x0a },
  KeyValueList: { values: 0x0a },
  KeyValue: { key: 0x0a, value: 0x12 },
} as const

const ANY = VALUE_TAGS.AnyValue
const KEY_VALUE = VALUE_TAGS.KeyValue
const VALUES = VALUE_TAGS.ArrayValue.values

export interface ValueReader {
  r: Reader
  out: JsonBytes
  /** The value read last, complete after endValue. */
  value: Value
  /** The tag of the member read last; 0 for none yet. */
  member: number
  /**
   * AnyValues inside each other beyond PROTOBUF_DEPTH_MAX: they were skipped. No exception, for
   * unwinding a hundred frames costs more than reading them.
   */
  isTooDeep: boolean
  /** Where the string written last lies in the body. */
  textStart: number
  textEnd: number
  /** Of the map being read, if they are texts. */
  mapMessage: string
  mapMsg: string
}

const COMMA = 44
const OPEN_ARRAY = 91
const CLOSE_ARRAY = 93
const OPEN_MAP = 123
const CLOSE_MAP = 125

/**
 * Reads one occurrence of an AnyValue that ends at `end`. The caller clears `member` before the
 * first, and calls endValue after the last.
 */
export function readAnyValue(d: ValueReader, end: number): void {
  const { r, value } = d
  while (r.pos < end) {
    const tag = readTag(r, end)
    switch (tag) {
      case ANY.string_value:
        value.type = 'text'
        value.text = readText(r, readEnd(r, end))
        break
      case ANY.bool_value:
        readVarint64(r, end)
        value.type = 'bool'
        value.number = (r.lo | r.hi) === 0 ? 0 : 1
        break
      case ANY.int_value:
        readVarint64(r, end)
        setInt(r, value)
        break
      case ANY.double_value:
        setDouble(readDouble(r, end), value)
        break
      case ANY.array_value:
      case ANY.kvlist_value:
        if (d.member !== tag) {
          clear(d.out)
          value.depth = 1
          d.mapMessage = ''
          d.mapMsg = ''
        }
        writeContainer(d, tag, d.member === tag, readEnd(r, end), 1)
        // Last, because numbers inside pass through the same value.
        value.type = 'json'
        break
      case ANY.bytes_value: {
        const bytesEnd = readEnd(r, end)
        value.type = 'text'
        value.text = base64(r, bytesEnd)
        break
      }
      default:
        skipField(r, tag, end)
        continue
    }
    d.member = tag
  }
}

/** Completes the value: what was written becomes its text, and no member at all becomes null. */
export function endValue(d: ValueReader): void {
  const { value, out } = d
  if (d.member === 0) setNull(value)
  else if (value.type === 'json') {
    value.text = textFrom(out)
    value.bytes = out.total
    value.message = d.member === ANY.kvlist_value ? d.mapMessage || d.mapMsg : ''
  }
}

export function setNull(value: Value): void {
  value.type = 'json'
  value.text = 'null'
  value.bytes = 4
  value.depth = 0
  value.message = ''
}

/** Takes the varint just read as an int64: a number where a double holds it, else its digits. */
function setInt(r: Reader, value: Value): void {
  const high = r.hi | 0
  const number = high * 4294967296 + r.lo
  if (Number.isSafeInteger(number)) {
    value.type = 'int'
    value.number = number
  } else {
    value.type = 'text'
    value.text = int64Text(r)
  }
}

function int64Text(r: Reader): string {
  return BigInt.asIntN(64, (BigInt(r.hi) << 32n) | BigInt(r.lo)).toString()
}

/** JSON knows no NaN and no infinity: they are texts. -0 becomes 0. */
export function setDouble(number: number, value: Value): void {
  if (Number.isFinite(number)) {
    value.type = 'num'
    value.number = number + 0
  } else {
    value.type = 'text'
    value.text = String(number)
  }
}

function base64(r: Reader, end: number): string {
  const { bytes, pos } = r
  r.pos = end
  return Buffer.from(bytes.buffer, bytes.byteOffset + pos, end - pos).toString('base64')
}

/** Writes an array or map, or goes on with one that was closed. `level` counts AnyValues. */
function writeContainer(
  d: ValueReader,
  tag: number,
  isReopened: boolean,
  end: number,
  level: number,
): void {
  const { r, out } = d
  const isArray = tag === ANY.array_value
  if (level > d.value.depth) d.value.depth = level
  const open = isArray ? OPEN_ARRAY : OPEN_MAP
  if (isReopened) takeBackByte(out)
  else writeByte(out, open)
  let isEmpty = !isReopened || out.bytes[out.length - 1] === open
  while (r.pos < end) {
    const itemTag = readTag(r, end)
    if (itemTag !== VALUES) {
      skipField(r, itemTag, end)
      continue
    }
    if (!isEmpty) writeByte(out, COMMA)
    isEmpty = false
    const itemEnd = readEnd(r, end)
    if (isArray) writeItem(d, itemEnd, level + 1)
    else writeMapItem(d, itemEnd, level + 1)
  }
  writeByte(out, isArray ? CLOSE_ARRAY : CLOSE_MAP)
}

function takeBackByte(out: JsonBytes): void {
  // Past the bound nothing was written that could be taken back.
  if (out.length === out.total) out.length--
  out.total--
}

function writeItem(d: ValueReader, end: number, level: number): void {
  const { length, total } = d.out
  if (writeAnyValue(d, end, level, length, total, 0) === 0) writeAscii(d.out, 'null')
}

/** Writes a KeyValue. The key may follow the value on the wire, so it is looked for first. */
function writeMapItem(d: ValueReader, end: number, level: number): void {
  const { r, out } = d
  const start = r.pos
  let keyStart = start
  let keyEnd = start
  while (r.pos < end) {
    const tag = readTag(r, end)
    if (tag === KEY_VALUE.key) {
      keyEnd = readEnd(r, end)
      keyStart = r.pos
      r.pos = keyEnd
    } else skipField(r, tag, end)
  }
  writeString(out, r.bytes, keyStart, keyEnd)
  writeByte(out, 58)
  const { length, total } = out
  let member = 0
  r.pos = start
  while (r.pos < end) {
    const tag = readTag(r, end)
    if (tag !== KEY_VALUE.value) skipField(r, tag, end)
    else member = writeAnyValue(d, readEnd(r, end), level, length, total, member)
  }
  if (member === 0) writeAscii(out, 'null')
  if (level === 2) noteMessage(d, keyStart, keyEnd, member)
}

/** Keeps the text of a body's `message` or `msg`, which becomes the record's message. */
function noteMessage(d: ValueReader, keyStart: number, keyEnd: number, member: number): void {
  const { r } = d
  const length = keyEnd - keyStart
  if (length !== 7 && length !== 3) return
  const key = r.latin1.substring(keyStart, keyEnd)
  if (key !== 'message' && key !== 'msg') return
  let text = ''
  if (member === ANY.string_value) {
    const after = r.pos
    r.pos = d.textStart
    text = readText(r, d.textEnd)
    r.pos = after
  }
  if (key === 'message') d.mapMessage = text
  else d.mapMsg = text
}

/**
 * Writes one occurrence of a nested AnyValue as JSON and returns the tag of its member, 0 for none.
 * `length` and `total` are where its text begins: a later member takes the place of an earlier one.
 */
function writeAnyValue(
  d: ValueReader,
  end: number,
  level: number,
  length: number,
  total: number,
  before: number,
): number {
  const { r, out, value } = d
  if (level > PROTOBUF_DEPTH_MAX) {
    d.isTooDeep = true
    r.pos = end
    return 0
  }
  let member = before
  while (r.pos < end) {
    const tag = readTag(r, end)
    const isReopened = tag === member && (tag === ANY.array_value || tag === ANY.kvlist_value)
    const isKnown = tag <= ANY.bytes_value && KNOWN_MEMBERS[tag] === true
    if (isKnown && !isReopened) {
      out.length = length
      out.total = total
    }
    switch (tag) {
      case ANY.string_value: {
        const textEnd = readEnd(r, end)
        writeString(out, r.bytes, r.pos, textEnd)
        d.textStart = r.pos
        d.textEnd = textEnd
        r.pos = textEnd
        break
      }
      case ANY.bool_value:
        readVarint64(r, end)
        writeAscii(out, (r.lo | r.hi) === 0 ? 'false' : 'true')
        break
      case ANY.int_value:
        readVarint64(r, end)
        setInt(r, value)
        writeNumber(out, value)
        break
      case ANY.double_value:
        setDouble(readDouble(r, end), value)
        writeNumber(out, value)
        break
      case ANY.array_value:
      case ANY.kvlist_value:
        writeContainer(d, tag, isReopened, readEnd(r, end), level)
        break
      case ANY.bytes_value: {
        const bytesEnd = readEnd(r, end)
        writeBase64(out, r, bytesEnd)
        break
      }
      default:
        skipField(r, tag, end)
        continue
    }
    member = tag
  }
  return member
}

const KNOWN_MEMBERS: boolean[] = []
for (const tag of Object.values(ANY)) KNOWN_MEMBERS[tag] = true

/** Writes what setInt or setDouble left: a number, or a text of digits or letters. */
function writeNumber(out: JsonBytes, value: Value): void {
  writeAscii(out, value.type === 'text' ? `"${value.text}"` : String(value.number))
}

function writeBase64(out: JsonBytes, r: Reader, end: number): void {
  // In pieces of whole triples, so that a value of megabytes is not written as one text.
  writeByte(out, 34)
  while (r.pos < end) writeAscii(out, base64(r, Math.min(end, r.pos + 768)))
  writeByte(out, 34)
}
