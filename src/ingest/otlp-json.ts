// An OTLP request in JSON: JSON.parse, then a walk that feeds the same writer as the protobuf
// reader. Names are lowerCamelCase, and snake_case too because senders exist (otlp.md J1). A wrong
// type is refused with the path to it; null is a field left out.
//
// Objects from JSON.parse own all their members, `__proto__` among them, so reading a name we know
// never meets a stranger's prototype, and nothing here assigns to a name they chose.

import type { RecordBatch } from '../record.ts'
import { err, ok, type Result } from '../result.ts'
import { parseJson } from './json.ts'
import { type Arrival, BatchWriter } from './map.ts'
import {
  AnyValueWalk,
  BadJson,
  type Json,
  list,
  member,
  object,
  readText,
} from './otlp-json-value.ts'
import { validId } from './precedence.ts'
import { TooLarge } from './too-large.ts'

/** The names of SeverityNumber, which must not be sent and are (otlp.md J3). */
const SEVERITY_NAME =
  /^SEVERITY_NUMBER_(?:(UNSPECIFIED)|(TRACE|DEBUG|INFO|WARN|ERROR|FATAL)([234]?))$/
const SEVERITY_WORDS = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL']

/**
 * Decodes an ExportLogsServiceRequest. One wrong member refuses the whole body; details then have
 * `field`, the path to it, and `description`.
 */
export function decodeOtlpJson(body: Uint8Array, arrival: Arrival): Result<RecordBatch> {
  const parsed = parseJson(body)
  if (!parsed.ok) return parsed
  const w = new BatchWriter(arrival)
  try {
    const request = parsed.data
    if (typeof request !== 'object' || request === null || Array.isArray(request)) {
      throw new BadJson('', 'must be an object')
    }
    readRequest(w, request as Json)
    return ok(w.batch)
  } catch (e) {
    if (e instanceof TooLarge) return e.answer
    if (!(e instanceof BadJson)) throw e
    const message = `${e.field === '' ? 'the body' : e.field} ${e.message}`
    return err('bad_json', message, { field: e.field, description: e.message })
  }
}

function readRequest(w: BatchWriter, request: Json): void {
  const walk = new AnyValueWalk()
  list(member(request, 'resourceLogs', 'resource_logs'), 'resourceLogs', (entry, path) => {
    readResourceLogs(w, walk, object(entry, path), path)
  })
}

function readResourceLogs(w: BatchWriter, walk: AnyValueWalk, logs: Json, path: string): void {
  w.beginResource()
  let dropped = 0
  const resource = member(logs, 'resource')
  if (resource !== null) {
    const at = `${path}.resource`
    const holder = object(resource, at)
    walk.attributes(holder, `${at}.attributes`, (name) => w.resourceAttribute(name, walk.value))
    dropped = droppedCount(holder, at)
  }
  w.endResource(dropped, schemaUrl(logs, path))
  const scopes = member(logs, 'scopeLogs', 'scope_logs')
  if (scopes === null) return
  list(scopes, `${path}.scopeLogs`, (entry, at) => readScopeLogs(w, walk, object(entry, at), at))
}

function readScopeLogs(w: BatchWriter, walk: AnyValueWalk, logs: Json, path: string): void {
  w.beginScope()
  const scope = member(logs, 'scope')
  if (scope === null) w.endScope('', '', 0, schemaUrl(logs, path))
  else {
    const at = `${path}.scope`
    const holder = object(scope, at)
    walk.attributes(holder, `${at}.attributes`, (name) => w.scopeAttribute(name, walk.value))
    w.endScope(
      readText(member(holder, 'name'), `${at}.name`),
      readText(member(holder, 'version'), `${at}.version`),
      droppedCount(holder, at),
      schemaUrl(logs, path),
    )
  }
  const records = member(logs, 'logRecords', 'log_records')
  if (records === null) return
  list(records, `${path}.logRecords`, (entry, at) => readRecord(w, walk, object(entry, at), at))
}

function readRecord(w: BatchWriter, walk: AnyValueWalk, record: Json, path: string): void {
  w.begin()
  const time = readTime(member(record, 'timeUnixNano', 'time_unix_nano'), `${path}.timeUnixNano`)
  w.setTime(Number(time >> 32n), Number(time & 0xffffffffn))
  const observed = readTime(
    member(record, 'observedTimeUnixNano', 'observed_time_unix_nano'),
    `${path}.observedTimeUnixNano`,
  )
  w.setObservedTime(Number(observed >> 32n), Number(observed & 0xffffffffn))
  w.severityNumber = readSeverity(
    member(record, 'severityNumber', 'severity_number'),
    `${path}.severityNumber`,
  )
  const text = member(record, 'severityText', 'severity_text')
  w.severityText = readText(text, `${path}.severityText`) || null
  w.eventName = readText(member(record, 'eventName', 'event_name'), `${path}.eventName`)
  w.flags = Number(BigInt.asUintN(32, readInteger(member(record, 'flags'), `${path}.flags`)))
  w.droppedAttributes = droppedCount(record, path)
  w.traceId = validId(readText(member(record, 'traceId', 'trace_id'), `${path}.traceId`), 32)
  w.spanId = validId(readText(member(record, 'spanId', 'span_id'), `${path}.spanId`), 16)
  const body = member(record, 'body')
  if (body !== null) {
    const isText = walk.read(body, `${path}.body`)
    if (isText) w.bodyText(walk.value.text)
    else w.body(walk.value)
  }
  walk.attributes(record, `${path}.attributes`, (name) => w.attribute(name, walk.value))
  w.end()
}

function schemaUrl(logs: Json, path: string): string {
  const url = member(logs, 'schemaUrl', 'schema_url')
  return url === null ? '' : readText(url, `${path}.schemaUrl`)
}

function droppedCount(holder: Json, path: string): number {
  const name = 'droppedAttributesCount'
  const given = member(holder, name, 'dropped_attributes_count')
  if (given === null) return 0
  const count = readInteger(given, `${path}.${name}`)
  if (count < 0n || count > 0xffffffffn) throw new BadJson(`${path}.${name}`, 'is no uint32')
  return Number(count)
}

/** Unsigned nanoseconds. */
function readTime(value: unknown, path: string): bigint {
  const time = readInteger(value, path)
  if (time < 0n || time > 0xffffffffffffffffn) {
    throw new BadJson(path, 'must be nanoseconds since 1970 that fit 64 bits')
  }
  return time
}

/** An integer as a number or a decimal text; null is 0. */
function readInteger(value: unknown, path: string): bigint {
  if (value === null) return 0n
  if (typeof value === 'number' && Number.isInteger(value)) return BigInt(value)
  if (typeof value === 'string' && /^-?\d{1,20}$/.test(value)) return BigInt(value)
  throw new BadJson(path, 'must be an integer, as a number or a decimal text')
}

function readSeverity(value: unknown, path: string): number {
  const name = typeof value === 'string' ? SEVERITY_NAME.exec(value) : null
  if (name !== null) {
    return name[1] ? 0 : SEVERITY_WORDS.indexOf(name[2]!) * 4 + Number(name[3] || 1)
  }
  return Number(BigInt.asIntN(32, readInteger(value, path)))
}
