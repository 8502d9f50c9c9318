// The rows of the OTLP vectors, and how a stored record is compared to one: a list of differences,
// empty when the record is what the row allows. Free of I/O, so it runs in Node and in workerd.

import type { RecordView } from '../src/match/view.ts'

export interface VectorIndex {
  vectors: Vector[]
  http: HttpCase[]
}

export interface Vector {
  file: string
  contentType: string
  contentEncoding?: string
  /** Allowed statuses, the preferred one first. */
  status: number[]
  /** Allowed numbers of stored records for a 200. */
  records: number[]
  note?: string
  expect?: Expected[]
  /** `expect` is the first records only. */
  expectIsPrefix?: boolean
  /** Alternatives for members of the record. */
  alsoOk?: Partial<Expected>
  attributesAnyOf?: Record<string, unknown[]>
  /** Keys that may be missing, or may be there. */
  attributesOptional?: string[]
  bodyAnyOf?: unknown[]
  bodyFree?: boolean
  timestampFree?: boolean
  timestampToleranceNs?: number
  levelAnyOf?: string[]
  serviceAnyOf?: string[]
  expectSeverityAnyOf?: number[]
}

export interface Expected {
  /** Effective time; null for the time of arrival. */
  timestampNs: string | null
  observedTimestampNs?: string
  severityNumber: number
  severityText?: string
  /** Four levels: debug stands for trace too, error for fatal. */
  level: string
  body: unknown
  traceId: string | null
  spanId: string | null
  flags?: number
  droppedAttributesCount?: number
  eventName?: string
  attributes?: Record<string, unknown>
  resource?: Record<string, unknown>
  scope?: { name?: string; version?: string; attributes?: Record<string, unknown> }
  service: string
  columns: Record<string, string>
}

export interface HttpCase {
  id: string
  method?: string
  path?: string
  file?: string
  bodyText?: string
  headers: Record<string, string>
  status: number[]
  records?: number
  responseContentType?: string
  responseJson?: unknown
  responseHex?: string
  responseStatusMessage?: boolean
}

/** When the test sent the request: a record without a time has one in between, in ms. */
export interface Sent {
  fromMs: number
  untilMs: number
}

/** What differs between the records stored for a row, in request order, and what it expects. */
export function compareRecords(vector: Vector, records: RecordView[], sent: Sent): string[] {
  const expected = vector.expect ?? []
  const wrong: string[] = []
  if (!vector.records.includes(records.length)) {
    wrong.push(`${records.length} records, not ${vector.records.join(' or ')}`)
  }
  if (records.length > 0) {
    expected.forEach((want, i) => {
      const record = records[i]
      if (record === undefined) wrong.push(`no record ${i}`)
      else for (const text of compareRecord(vector, want, record, sent)) wrong.push(`${i}: ${text}`)
    })
  }
  return wrong
}

const COLUMNS = [
  'service',
  'environment',
  'event_type',
  'source_location',
  'request_id',
  'workspace_id',
  'project_id',
  'user_id',
  'version',
  'instance_id',
] as const

/** What differs between a record as GET /logs shows it and one expected by the row. */
export function compareRecord(
  vector: Vector,
  want: Expected,
  record: RecordView,
  sent: Sent,
): string[] {
  const wrong: string[] = []
  const { metadata } = record
  const also = vector.alsoOk ?? {}
  const check = (name: string, have: unknown, ...allowed: unknown[]) => {
    if (allowed.some((value) => isSame(have, value))) return
    wrong.push(`${name} is ${JSON.stringify(have)}, not ${JSON.stringify(allowed[0])}`)
  }
  const checkOr = <K extends keyof Expected>(name: K, have: unknown, value: unknown) =>
    check(name, have, value, ...(name in also ? [also[name]] : []))

  if (!vector.timestampFree) compareTime(vector, want, record, sent, check)
  check('observed', record.observed_time_unix_nano, want.observedTimestampNs ?? null)
  const severities = vector.expectSeverityAnyOf ?? [want.severityNumber]
  check('severity_number', record.severity_number, ...severities)
  check('severity_text', record.severity_text, want.severityText ?? null)
  const level = { trace: 'debug', fatal: 'error' }[record.level as string] ?? record.level
  check('level', level, ...(vector.levelAnyOf ?? [want.level]))
  checkOr('traceId', record.trace_id, want.traceId)
  checkOr('spanId', record.span_id, want.spanId)
  checkOr('flags', metadata.otel?.flags ?? 0, want.flags ?? 0)
  const dropped = metadata.otel?.dropped_attributes_count ?? 0
  check('dropped_attributes_count', dropped, want.droppedAttributesCount ?? 0)
  check('event_name', metadata.otel?.event_name ?? null, want.eventName ?? null)
  compareBody(vector, want, record, check)
  compareAttributes(vector, want, record, check)
  check('resource', metadata.resource ?? {}, want.resource ?? {})
  check('scope', scopeOf(metadata.scope), scopeOf(want.scope))
  for (const name of COLUMNS) {
    const allowed = name === 'service' ? vector.serviceAnyOf : undefined
    check(name, record[name], ...(allowed ?? [want.columns[name] ?? null]))
  }
  return wrong
}

type Check = (name: string, have: unknown, ...allowed: unknown[]) => void

function compareTime(
  vector: Vector,
  want: Expected,
  record: RecordView,
  sent: Sent,
  check: Check,
): void {
  const have = record.time_unix_nano
  check('timestamp', record.timestamp, Number(BigInt(have) / 1_000_000n))
  if (want.timestampNs === null) {
    const isArrival = record.timestamp >= sent.fromMs && record.timestamp <= sent.untilMs
    check('time_unix_nano', isArrival ? 'arrival' : have, 'arrival')
    return
  }
  const off = BigInt(have) - BigInt(want.timestampNs)
  const isNear = (off < 0n ? -off : off) <= BigInt(vector.timestampToleranceNs ?? 0)
  check('time_unix_nano', isNear ? want.timestampNs : have, want.timestampNs)
}

/** A text body is the message alone; any other is kept as it is. */
function compareBody(vector: Vector, want: Expected, record: RecordView, check: Check): void {
  if (vector.bodyFree) return
  const { body } = record.metadata
  const allowed = vector.bodyAnyOf ?? [want.body]
  if (allowed.every((value) => typeof value === 'string')) {
    check('message', record.message, ...allowed)
    if (body !== undefined) check('body', body, ...allowed)
    return
  }
  check('body', body ?? null, ...allowed)
  check('message', record.message, want.columns.message)
}

function compareAttributes(vector: Vector, want: Expected, record: RecordView, check: Check): void {
  const have = new Map(Object.entries(record.metadata.attributes ?? {}))
  const expected = new Map(Object.entries(want.attributes ?? {}))
  const optional = new Set(vector.attributesOptional ?? [])
  const anyOf = new Map(Object.entries(vector.attributesAnyOf ?? {}))
  for (const key of new Set([...have.keys(), ...expected.keys(), ...anyOf.keys()])) {
    if (optional.has(key) && (!have.has(key) || !expected.has(key))) continue
    const allowed = anyOf.get(key) ?? [expected.has(key) ? expected.get(key) : 'nothing']
    check(`attributes.${key}`, have.has(key) ? have.get(key) : 'nothing', ...allowed)
  }
}

/** Name, version and attributes; schema_url is not in the rows. */
function scopeOf(scope: Expected['scope'] | Record<string, unknown> | undefined): unknown {
  const { name = '', version = '', attributes = {} } = scope ?? {}
  return { name, version, attributes }
}

/** Equal as JSON values, the order of members aside. */
function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const names = Object.keys(a)
  if (names.length !== Object.keys(b).length) return false
  return names.every(
    (name) =>
      Object.hasOwn(b, name) &&
      isSame((a as Record<string, unknown>)[name], (b as Record<string, unknown>)[name]),
  )
}
