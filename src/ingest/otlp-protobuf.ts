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
  type Reader,
  readEnd,
  readerOf,
  readFixed32,
  readFixed64,
  readInt32,
  readTag,
  readText,
  skipField,
} from '../bytes.ts'
import { PROTOBUF_DEPTH_MAX } from '../limits.ts'
import type { RecordBatch } from '../record.ts'
import { err, ok, type Result } from '../result.ts'
import { newJsonBytes } from './json-bytes.ts'
import { type Arrival, BatchWriter, type Key, TooManyRecords, tooManyRecords } from './map.ts'
import {
  endValue,
  readAnyValue,
  setNull,
  TooDeep,
  VALUE_TAGS,
  type ValueReader,
} from './otlp-value.ts'
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
  next: SeenKey | null
  /** How many follow: strangers choose the keys, so a chain stays short. */
  more: number
}

interface Decoder extends ValueReader {
  w: BatchWriter
  seen: (SeenKey | null)[]
  /** The member being read, for the message if it is too deep. */
  field: string
}

const SEEN_SLOTS = 1024
const SEEN_CHAIN_MAX = 4

/**
 * Decodes an ExportLogsServiceRequest. One bad byte refuses the whole body, as protobuf has it; a
 * record nested too deep is only left out, and listed in `rejected`.
 */
export function decodeOtlpProtobuf(body: Uint8Array, arrival: Arrival): Result<RecordBatch> {
  const d: Decoder = {
    r: readerOf(body),
    out: newJsonBytes(),
    value: newValue(),
    member: 0,
    mapMessage: '',
    mapMsg: '',
    w: new BatchWriter(arrival),
    seen: new Array(SEEN_SLOTS).fill(null),
    field: '',
  }
  try {
    readRequest(d, body.length)
    return ok(d.w.batch)
  } catch (e) {
    if (e instanceof BadBytes) return err('bad_protobuf', e.message, { offset: e.offset })
    if (e instanceof TooManyRecords) return tooManyRecords()
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
  const scope = { name: '', version: '', dropped: 0 }
  let url = ''
  w.beginScope()
  while (r.pos < end) {
    const tag = readTag(r, end)
    if (tag === SCOPE_LOGS.scope) readScope(d, readEnd(r, end), scope)
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

function readScope(
  d: Decoder,
  end: number,
  scope: { name: string; version: string; dropped: number },
): void {
  const { r } = d
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
  let name = ''
  try {
    name = readKeyValue(d, end)
  } catch (e) {
    if (!(e instanceof TooDeep)) throw e
    name = d.field
    setNull(value)
    value.bytes = end - start
    value.depth = PROTOBUF_DEPTH_MAX + 1
    r.pos = end
  }
  if (isResource) w.resourceAttribute(name, value)
  else w.scopeAttribute(name, value)
}

function readLogRecord(d: Decoder, end: number): void {
  const { w } = d
  w.begin()
  try {
    readRecordFields(d, end)
    w.end()
  } catch (e) {
    if (!(e instanceof TooDeep)) throw e
    w.reject(d.field, `values more than ${PROTOBUF_DEPTH_MAX} deep`)
    d.r.pos = end
  }
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
        w.traceId = readId(r, readEnd(r, end), 16)
        break
      case RECORD.span_id:
        w.spanId = readId(r, readEnd(r, end), 8)
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
  d.field = 'body'
  d.member = 0
  for (let i = 0; bodies !== null && i < bodies.length; i += 2) {
    r.pos = bodies[i]!
    readAnyValue(d, bodies[i + 1]!)
  }
  r.pos = start
  readAnyValue(d, end)
  r.pos = after
  endValue(d)
  if (d.member === ANY.string_value) w.bodyText(value.text)
  else w.body(value)
}

/** A plain attribute is a key, then a value of one member; anything else takes the long way. */
function readAttribute(d: Decoder, end: number): void {
  const { r, w } = d
  const { bytes, pos } = r
  const keyLength = bytes[pos + 1]!
  const keyEnd = pos + 2 + keyLength
  const start = keyEnd + 2
  if (
    bytes[pos] === KEY_VALUE.key &&
    keyLength < 128 &&
    start < end &&
    bytes[keyEnd] === KEY_VALUE.value &&
    bytes[keyEnd + 1] === end - start &&
    end - start < 128
  ) {
    const tag = bytes[start]
    const first = bytes[start + 1]!
    if (tag === ANY.string_value && start + 2 + first === end && first < 128) {
      const key = keyAt(d, pos + 2, keyLength)
      r.pos = start + 2
      w.attributeText(key, readText(r, end))
      return
    }
    if (tag === ANY.int_value && start + 2 === end && first < 128) {
      w.attributeNumber(keyAt(d, pos + 2, keyLength), 'int', first)
      r.pos = end
      return
    }
  }
  const name = readKeyValue(d, end)
  w.attribute(w.key(name), d.value)
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
  d.field = `attributes.${name}`
  d.member = 0
  r.pos = start
  while (r.pos < end) {
    const tag = readTag(r, end)
    if (tag === KEY_VALUE.value) readAnyValue(d, readEnd(r, end))
    else skipField(r, tag, end)
  }
  endValue(d)
  return name
}

/** The key that lies at `start`. */
function keyAt(d: Decoder, start: number, length: number): Key {
  const { r, seen } = d
  const { bytes } = r
  const slot =
    (length * 31 +
      bytes[start]! * 7 +
      bytes[start + (length >> 1)]! * 131 +
      bytes[start + length - 1]! * 17) &
    (SEEN_SLOTS - 1)
  const head = seen[slot] ?? null
  for (let at = head; at !== null; at = at.next) {
    if (at.length === length && isSame(bytes, at.start, start, length)) return at.key
  }
  r.pos = start
  const key = d.w.key(readText(r, start + length))
  const more = head === null ? 0 : head.more + 1
  if (more < SEEN_CHAIN_MAX) seen[slot] = { start, length, key, next: head, more }
  return key
}

function isSame(bytes: Uint8Array, a: number, b: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (bytes[a + i] !== bytes[b + i]) return false
  return true
}

const ZEROS: Record<number, string> = { 8: '0'.repeat(16), 16: '0'.repeat(32) }
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** An id as hexadecimal digits; one of another length, or all zero, is none (otlp.md D7). */
function readId(r: Reader, end: number, length: 8 | 16): string {
  const { bytes, pos } = r
  r.pos = end
  if (end - pos !== length) return ''
  let text = ''
  for (let i = pos; i < end; i++) text += HEX[bytes[i]!]
  return text === ZEROS[length] ? '' : text
}
