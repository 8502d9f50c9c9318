// An OTLP request in protobuf, read in one pass straight to columns: no message object is ever made.
//
// Fields may come in any order, and a resource after the records it belongs to: an envelope is
// walked twice, once for what all its records share, once for the records. The first walk only
// hops over lengths. A field with another wire type than ours is an unknown field, and skipped.
//
// Bodies come from strangers: every length is held against the end of its parent, values inside
// values are counted, and a record with too many of them is refused alone.

import {
  BadBytes,
  isSame,
  type Reader,
  readDouble,
  readEnd,
  readerOf,
  readFixed32,
  readFixed64,
  readInt32,
  readTag,
  readText,
  readVarint64,
  skipField,
} from '../bytes.ts'
import { PROTOBUF_DEPTH_MAX } from '../limits.ts'
import type { RecordBatch } from '../record.ts'
import { err, ok, type Result } from '../result.ts'
import { newJsonBytes } from './json-bytes.ts'
import type { Key } from './keys.ts'
import { type Arrival, BatchWriter } from './map.ts'
import { endValue, readAnyValue, setNull, VALUE_TAGS, type ValueReader } from './otlp-value.ts'
import { TooLarge } from './too-large.ts'
import { newValue } from './value.ts'

/** The tag bytes the reader knows, by message and field: number << 3 | wire type. */
export const TAGS = {
  ExportLogsServiceRequest: { resource_logs: 0x0a },
  ResourceLogs: { resource: 0x0a, scope_logs: 0x12, schema_url: 0x1a },
  Resource: { attributes: 0x0a, dropped_attributes_count: 0x10 },
  ScopeLogs: { scope: 0x0a, log_records: 0x12, schema_url: 0x1a },
  InstrumentationScope: {
    name: 0x0a,
    version: 0x12,
    attributes: 0x1a,
    dropped_attributes_count: 0x20,
  },
  LogRecord: {
    time_unix_nano: 0x09,
    observed_time_unix_nano: 0x59,
    severity_number: 0x10,
    severity_text: 0x1a,
    body: 0x2a,
    attributes: 0x32,
    dropped_attributes_count: 0x38,
    flags: 0x45,
    trace_id: 0x4a,
    span_id: 0x52,
    event_name: 0x62,
  },
} as const

const RESOURCE_LOGS = TAGS.ResourceLogs
const RESOURCE = TAGS.Resource
const SCOPE_LOGS = TAGS.ScopeLogs
const SCOPE = TAGS.InstrumentationScope
const RECORD = TAGS.LogRecord
const KEY_VALUE = VALUE_TAGS.KeyValue
const ANY = VALUE_TAGS.AnyValue

/** A key as it lies in the body, so that the next one is compared byte by byte, never decoded. */
interface SeenKey {
  start: number
  length: number
  key: Key
  /** The one that came behind it the last time. */
  next: SeenKey | null
}

interface Decoder extends ValueReader {
  w: BatchWriter
  /** By a hash of some bytes. Strangers choose the keys, so a chain stays short. */
  seen: SeenKey[][]
  last: SeenKey
  /** Of the ScopeLogs being read. */
  scope: { name: string; version: string; dropped: number }
  /** The member of the record that is too deep; '' for none. */
  tooDeep: string
}

const SEEN_SLOTS = 1024
const SEEN_CHAIN_MAX = 4

/**
 * Decodes an ExportLogsServiceRequest. One bad byte refuses the whole body, as protobuf has it; a
 * record nested too deep is only left out, and listed in `rejected`.
 */
export function decodeOtlpProtobuf(body: Uint8Array, arrival: Arrival): Result<RecordBatch> {
  const w = new BatchWriter(arrival)
  const d: Decoder = {
    r: readerOf(body),
    out: newJsonBytes(),
    value: newValue(),
    member: 0,
    textStart: 0,
    textEnd: 0,
    mapMessage: '',
    mapMsg: '',
    w,
    seen: [],
    last: { start: 0, length: 0, key: w.key(''), next: null },
    scope: { name: '', version: '', dropped: 0 },
    tooDeep: '',
    isTooDeep: false,
  }
  try {
    readRequest(d, body.length)
    return ok(w.batch)
  } catch (e) {
    if (e instanceof BadBytes) return err('bad_protobuf', e.message, { offset: e.offset })
    if (e instanceof TooLarge) return e.answer
    throw e
  }
}

function readRequest(d: Decoder, end: number): void {
  const { r } = d
  while (r.pos < end) {
    const tag = readTag(r, end)
    if (tag === TAGS.ExportLogsServiceRequest.resource_logs) readResourceLogs(d, readEnd(r, end))
    else skipField(r, tag, end)
  }
}

function readResourceLogs(d: Decoder, end: number): void {
  const { r, w } = d
  const start = r.pos
  let url = ''
  let dropped = 0
  w.beginResource()
  while (r.pos < end) {
    const tag = readTag(r, end)
    if (tag === RESOURCE_LOGS.resource) dropped = readResource(d, readEnd(r, end), dropped)
    else if (tag === RESOURCE_LOGS.schema_url) url = readText(r, readEnd(r, end))
    else skipField(r, tag, end)
  }
  w.endResource(dropped, url)
  r.pos = start
  while (r.pos < end) {
    const tag = readTag(r, end)
    if (tag === RESOURCE_LOGS.scope_logs) readScopeLogs(d, readEnd(r, end))
    else skipField(r, tag, end)
  }
}

/** Returns the dropped count, which an earlier occurrence of the resource may have set. */
function readResource(d: Decoder, end: number, before: number): number {
  const { r } = d
  let dropped = before
  while (r.pos < end) {
    const tag = readTag(r, end)
    if (tag === RESOURCE.attributes) readContextAttribute(d, readEnd(r, end), true)
    else if (tag === RESOURCE.dropped_attributes_count) dropped = readInt32(r, end) >>> 0
    else skipField(r, tag, end)
  }
  return dropped
}

function readScopeLogs(d: Decoder, end: number): void {
  const { r, w } = d
  const start = r.pos
  const { scope } = d
  scope.name = ''
  scope.version = ''
  scope.dropped = 0
  let url = ''
  w.beginScope()
  while (r.pos < end) {
    const tag = readTag(r, end)
    if (tag === SCOPE_LOGS.scope) readScope(d, readEnd(r, end))
    else if (tag === SCOPE_LOGS.schema_url) url = readText(r, readEnd(r, end))
    else skipField(r, tag, end)
  }
  w.endScope(scope.name, scope.version, scope.dropped, url)
  r.pos = start
  while (r.pos < end) {
    const tag = readTag(r, end)
    if (tag === SCOPE_LOGS.log_records) readLogRecord(d, readEnd(r, end))
    else skipField(r, tag, end)
  }
}

function readScope(d: Decoder, end: number): void {
  const { r, scope } = d
  while (r.pos < end) {
    const tag = readTag(r, end)
    if (tag === SCOPE.name) scope.name = readText(r, readEnd(r, end))
    else if (tag === SCOPE.version) scope.version = readText(r, readEnd(r, end))
    else if (tag === SCOPE.attributes) readContextAttribute(d, readEnd(r, end), false)
    else if (tag === SCOPE.dropped_attributes_count) scope.dropped = readInt32(r, end) >>> 0
    else skipField(r, tag, end)
  }
}

/** An attribute of a resource or scope. One that is too deep is kept as null, and listed as cut. */
function readContextAttribute(d: Decoder, end: number, isResource: boolean): void {
  const { r, w, value } = d
  const start = r.pos
  const name = readKeyValue(d, end)
  if (d.isTooDeep) {
    setNull(value)
    value.bytes = end - start
    value.depth = PROTOBUF_DEPTH_MAX + 1
  }
  if (isResource) w.resourceAttribute(name, value)
  else w.scopeAttribute(name, value)
}

function readLogRecord(d: Decoder, end: number): void {
  const { w } = d
  w.begin()
  d.tooDeep = ''
  readRecordFields(d, end)
  if (d.tooDeep === '') w.end()
  else w.reject(d.tooDeep, `values more than ${PROTOBUF_DEPTH_MAX} deep`)
}

function readRecordFields(d: Decoder, end: number): void {
  const { r, w } = d
  let bodies: number[] | null = null
  let bodyStart = -1
  let bodyEnd = 0
  while (r.pos < end) {
    const tag = readTag(r, end)
    switch (tag) {
      case RECORD.time_unix_nano:
        readFixed64(r, end)
        w.setTime(r.hi, r.lo)
        break
      case RECORD.observed_time_unix_nano:
        readFixed64(r, end)
        w.setObservedTime(r.hi, r.lo)
        break
      case RECORD.severity_number:
        w.severityNumber = readInt32(r, end)
        break
      case RECORD.severity_text:
        w.severityText = readText(r, readEnd(r, end)) || null
        break
      case RECORD.body:
        // Read last: a second occurrence merges with it, and attributes may lie between.
        if (bodyStart >= 0) {
          bodies ??= []
          bodies.push(bodyStart, bodyEnd)
        }
        bodyEnd = readEnd(r, end)
        bodyStart = r.pos
        r.pos = bodyEnd
        break
      case RECORD.attributes:
        readAttribute(d, readEnd(r, end))
        break
      case RECORD.dropped_attributes_count:
        w.droppedAttributes = readInt32(r, end) >>> 0
        break
      case RECORD.flags:
        w.flags = readFixed32(r, end)
        break
      case RECORD.trace_id:
        w.traceId = readTraceId(r, readEnd(r, end))
        break
      case RECORD.span_id:
        w.spanId = readSpanId(r, readEnd(r, end))
        break
      case RECORD.event_name:
        w.eventName = readText(r, readEnd(r, end))
        break
      default:
        skipField(r, tag, end)
    }
  }
  if (bodyStart >= 0) readBody(d, bodies, bodyStart, bodyEnd)
}

/** Reads the body, and before it the earlier occurrences of it, which are rarely there. */
function readBody(d: Decoder, bodies: number[] | null, start: number, end: number): void {
  const { r, w, value } = d
  const after = r.pos
  d.member = 0
  d.isTooDeep = false
  for (let i = 0; bodies !== null && i < bodies.length; i += 2) {
    r.pos = bodies[i]!
    readAnyValue(d, bodies[i + 1]!)
  }
  r.pos = start
  readAnyValue(d, end)
  r.pos = after
  endValue(d)
  if (d.isTooDeep) d.tooDeep ||= 'body'
  else if (d.member === ANY.string_value) w.bodyText(value.text)
  else w.body(value)
}

/** A plain attribute is a short key, then a value of one member; the rest takes the long way. */
function readAttribute(d: Decoder, end: number): void {
  const { r } = d
  const { bytes, pos } = r
  const keyLength = bytes[pos + 1]!
  const valueTag = pos + 2 + keyLength
  if (bytes[pos] === KEY_VALUE.key && keyLength < 128 && valueTag + 2 < end) {
    if (bytes[valueTag] === KEY_VALUE.value && !d.w.isFull) {
      r.pos = valueTag + 1
      if (readEnd(r, end) === end && readScalar(d, pos + 2, keyLength, end)) return
      r.pos = pos
    }
  }
  const name = readKeyValue(d, end)
  if (d.isTooDeep) d.tooDeep ||= `attributes.${name}`
  else d.w.attribute(name, d.value)
}

/** Reads an AnyValue that is one string or number up to `end`. False, and nothing done, if not. */
function readScalar(d: Decoder, keyStart: number, keyLength: number, end: number): boolean {
  const { r, w } = d
  const tag = r.bytes[r.pos]
  if (r.pos >= end) return false
  r.pos++
  if (tag === ANY.string_value) {
    if (readEnd(r, end) !== end) return false
    const start = r.pos
    const key = keyAt(d, keyStart, keyLength)
    r.pos = start
    w.attributeText(key, readText(r, end))
    return true
  }
  if (tag === ANY.int_value) {
    const int = readInt(r, end)
    if (r.pos !== end || !Number.isSafeInteger(int)) return false
    w.attributeNumber(keyAt(d, keyStart, keyLength), 'int', int)
  } else if (tag === ANY.double_value) {
    if (r.pos + 8 !== end) return false
    const double = readDouble(r, end)
    if (!Number.isFinite(double)) return false
    w.attributeNumber(keyAt(d, keyStart, keyLength), 'num', double + 0)
  } else if (tag === ANY.bool_value) {
    if (r.pos + 1 !== end || r.bytes[r.pos]! > 1) return false
    // Before the key: reading a new one moves the cursor.
    const bool = r.bytes[r.pos] === 1
    w.attributeBool(keyAt(d, keyStart, keyLength), bool)
  } else return false
  r.pos = end
  return true
}

/** A signed varint as a number; exact only where a double is. */
function readInt(r: Reader, end: number): number {
  const byte = r.pos < end ? r.bytes[r.pos]! : 128
  if (byte < 128) {
    r.pos++
    return byte
  }
  readVarint64(r, end)
  return (r.hi | 0) * 4294967296 + r.lo
}

/** Reads a KeyValue into `value` and returns its key, which may follow it on the wire. */
function readKeyValue(d: Decoder, end: number): string {
  const { r } = d
  const start = r.pos
  let name = ''
  while (r.pos < end) {
    const tag = readTag(r, end)
    if (tag === KEY_VALUE.key) name = readText(r, readEnd(r, end))
    else skipField(r, tag, end)
  }
  d.member = 0
  d.isTooDeep = false
  r.pos = start
  while (r.pos < end) {
    const tag = readTag(r, end)
    if (tag === KEY_VALUE.value) readAnyValue(d, readEnd(r, end))
    else skipField(r, tag, end)
  }
  endValue(d)
  return name
}

/** The key that lies at `start`: most often the one that came after the last one before. */
function keyAt(d: Decoder, start: number, length: number): Key {
  const { r, last } = d
  const next = last.next
  if (next !== null && next.length === length && isSame(r, next.start, start, length)) {
    d.last = next
    return next.key
  }
  const found = findKey(d, start, length)
  last.next = found
  d.last = found
  return found.key
}

function findKey(d: Decoder, start: number, length: number): SeenKey {
  const { r, seen } = d
  const { bytes } = r
  const middle = bytes[start + (length >> 1)]!
  const hash = length * 31 + bytes[start]! * 7 + middle * 131 + bytes[start + length - 1]! * 17
  const slot = hash & (SEEN_SLOTS - 1)
  const chain = seen[slot] ?? []
  for (const known of chain) {
    if (known.length === length && isSame(r, known.start, start, length)) return known
  }
  r.pos = start
  const key: SeenKey = { start, length, key: d.w.key(readText(r, start + length)), next: null }
  if (chain.length < SEEN_CHAIN_MAX) chain.push(key)
  seen[slot] = chain
  return key
}

const HEX = '0123456789abcdef'
const HIGH = Uint8Array.from({ length: 256 }, (_, byte) => HEX.charCodeAt(byte >> 4))
const LOW = Uint8Array.from({ length: 256 }, (_, byte) => HEX.charCodeAt(byte & 15))

/** A trace id as hexadecimal digits; one of another length, or all zero, is none (otlp.md D7). */
function readTraceId(r: Reader, end: number): string {
  const p = r.pos
  r.pos = end
  return end - p === 16 && !isZero(r.bytes, p, end) ? hex8(r.bytes, p) + hex8(r.bytes, p + 8) : ''
}

function readSpanId(r: Reader, end: number): string {
  const p = r.pos
  r.pos = end
  return end - p === 8 && !isZero(r.bytes, p, end) ? hex8(r.bytes, p) : ''
}

function isZero(bytes: Uint8Array, start: number, end: number): boolean {
  let any = 0
  for (let i = start; i < end; i++) any |= bytes[i]!
  return any === 0
}

/** Eight bytes in one call: sixteen digits added one by one would be sixteen strings. */
function hex8(bytes: Uint8Array, p: number): string {
  const a = bytes[p]!
  const b = bytes[p + 1]!
  const c = bytes[p + 2]!
  const d = bytes[p + 3]!
  const e = bytes[p + 4]!
  const f = bytes[p + 5]!
  const g = bytes[p + 6]!
  const h = bytes[p + 7]!
  // biome-ignore format: one pair a byte
  return String.fromCharCode(
    HIGH[a]!, LOW[a]!, HIGH[b]!, LOW[b]!, HIGH[c]!, LOW[c]!, HIGH[d]!, LOW[d]!,
    HIGH[e]!, LOW[e]!, HIGH[f]!, LOW[f]!, HIGH[g]!, LOW[g]!, HIGH[h]!, LOW[h]!,
  )
}
