// A stored record as people and programs see it: one object of the answer of GET /logs.

import {
  LEVELS,
  type Level,
  type RecordBatch,
  type TEXT_COLUMNS,
  type TextColumn,
} from '../record.ts'

export type RecordView = {
  id: string
  /** Milliseconds since 1970; `time_unix_nano` has all digits. */
  timestamp: number
  time_unix_nano: string
  observed_time_unix_nano: string | null
  level: Level
  severity_number: number
  severity_text: string | null
  message: string
  metadata: RecordMetadata
} & Record<TextColumn, string | null>

/** What no column holds. A member that would be empty is left out. */
export interface RecordMetadata {
  attributes?: Record<string, unknown>
  resource?: Record<string, unknown>
  scope?: Record<string, unknown>
  body?: unknown
  otel?: Record<string, unknown>
  cut?: { field: string; bytes: number }[]
}

/** The record at `row`, which the shard knows by `seq`. Objects are plain, and the caller's own. */
export function recordView(
  batch: RecordBatch,
  row: number,
  shard: number,
  seq: number,
): RecordView {
  const text = (name: TextColumn) => batch.text[name][row] ?? null
  const observedMs = batch.observedMs[row]!
  return {
    id: `${shard}-${seq}`,
    timestamp: batch.timeMs[row]!,
    time_unix_nano: unixNano(batch.timeMs[row]!, batch.timeNs[row]!),
    observed_time_unix_nano: observedMs < 0 ? null : unixNano(observedMs, batch.observedNs[row]!),
    level: LEVELS[batch.level[row]!]!,
    severity_number: batch.severityNumber[row]!,
    severity_text: batch.severityText[row] ?? null,
    service: text('service'),
    environment: text('environment'),
    event_type: text('event_type'),
    message: batch.message[row]!,
    source_location: text('source_location'),
    trace_id: text('trace_id'),
    span_id: text('span_id'),
    request_id: text('request_id'),
    workspace_id: text('workspace_id'),
    project_id: text('project_id'),
    user_id: text('user_id'),
    version: text('version'),
    instance_id: text('instance_id'),
    metadata: metadataOf(batch, row),
  } satisfies Record<(typeof TEXT_COLUMNS)[number], unknown> & RecordView
}

/** Nanoseconds since 1970 in decimal: a double cannot hold them. */
export function unixNano(ms: number, ns: number): string {
  return ms === 0 ? String(ns) : `${ms}${String(ns).padStart(6, '0')}`
}

function metadataOf(batch: RecordBatch, row: number): RecordMetadata {
  const metadata: RecordMetadata = {}
  const attributes = attributesOf(batch, row)
  if (attributes !== null) metadata.attributes = attributes
  const resource = batch.resources[batch.resource[row]!]!
  if (resource !== '{}') metadata.resource = JSON.parse(resource)
  const scope = batch.scopes[batch.scope[row]!]!
  if (scope !== '{}') metadata.scope = JSON.parse(scope)
  const body = batch.body[row] ?? null
  if (body !== null) metadata.body = JSON.parse(body)
  const otel = batch.otel[row] ?? null
  if (otel !== null) metadata.otel = JSON.parse(otel)
  const cut = batch.cut[row] ?? null
  if (cut !== null) metadata.cut = JSON.parse(cut)
  return metadata
}

function attributesOf(batch: RecordBatch, row: number): Record<string, unknown> | null {
  const attributes: Record<string, unknown> = {}
  let isEmpty = true
  for (const { key, type, rows, values } of batch.attributes) {
    const i = indexOf(rows, row)
    if (i < 0) continue
    isEmpty = false
    setMember(attributes, key, type === 'json' ? JSON.parse(values[i] as string) : values[i])
  }
  const rest = batch.attributesRest[row] ?? null
  if (rest !== null) {
    isEmpty = false
    for (const [key, value] of Object.entries(JSON.parse(rest))) setMember(attributes, key, value)
  }
  return isEmpty ? null : attributes
}

/** Assigning to `__proto__` would set the prototype and lose the member. */
function setMember(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key !== '__proto__') object[key] = value
  else {
    const property = { value, enumerable: true, configurable: true, writable: true }
    Object.defineProperty(object, key, property)
  }
}

/** Where `row` is in the ascending `rows`, or -1. */
function indexOf(rows: number[], row: number): number {
  let low = 0
  let high = rows.length - 1
  while (low <= high) {
    const middle = (low + high) >> 1
    const found = rows[middle]!
    if (found === row) return middle
    if (found < row) low = middle + 1
    else high = middle - 1
  }
  return -1
}
