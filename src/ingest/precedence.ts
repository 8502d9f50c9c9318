// Which attribute feeds which column: otlp.md section 4 as a table. R is a resource attribute, A one
// of the record; the first that is not empty wins, left to right. Names an app chose for a column come
// before the table's, each first as an attribute of the record, then as one of the resource; those
// that one door knows alone (loki-names.ts) come behind it.

import { COLUMN_NAMES_MAX } from '../limits.ts'
import { type ColumnNames, TEXT_COLUMNS, type TextColumn } from '../record.ts'

/** What a record's attributes can fill: the text columns, and four parts that others are made of. */
export const SLOTS = [
  ...TEXT_COLUMNS,
  'code_file',
  'code_line',
  'exception_type',
  'exception_message',
] as const
export type Slot = (typeof SLOTS)[number]

/** The rank of a field of the record itself, which beats every attribute. */
export const FIELD_RANK = 0
/** `unknown_service` and its kind: kept when nothing better is known. */
export const FALLBACK_RANK = 98
export const NO_RANK = 99

const PRECEDENCE: Record<Slot, string> = {
  service:
    'R service.name, R faas.name, R cloudflare.script_name, R k8s.deployment.name, R k8s.statefulset.name, ' +
    'R k8s.daemonset.name, R k8s.cronjob.name, R k8s.job.name, R k8s.container.name, R container.name, A service.name',
  environment:
    'R deployment.environment.name, R deployment.environment, A deployment.environment.name, ' +
    'A deployment.environment, A environment',
  event_type: 'A otel.event.name, A event.name, A event_type',
  source_location: 'A source_location',
  trace_id: 'A trace_id',
  span_id: 'A span_id',
  request_id:
    'A request_id, A request.id, A http.request.header.x-request-id, A cloudflare.ray_id, ' +
    'A http.request.header.cf-ray, A faas.invocation_id, A aws.request_id, A azure.service.request.id',
  workspace_id:
    'A workspace_id, A workspace.id, R workspace_id, R workspace.id, A tenant.id, A tenant_id, R tenant.id, R tenant_id',
  project_id: 'A project_id, A project.id, R project_id, R project.id',
  user_id: 'A user.id, A enduser.id, A user_id, A enduser.pseudo.id, R user.id, R enduser.id',
  version:
    'R service.version, R faas.version, R cloudflare.script_version.id, R cf.worker.version.id, ' +
    'R vcs.ref.head.revision, R app.build_id, A service.version, A version',
  instance_id:
    'A instance_id, A cloudflare.durable_object.id, R cloudflare.durable_object.id, R service.instance.id, ' +
    'R faas.instance, R k8s.pod.uid, R k8s.pod.name, R container.id, R host.id, R host.name',
  code_file: 'A code.file.path, A code.filepath',
  code_line: 'A code.line.number, A code.lineno',
  exception_type: 'A exception.type',
  exception_message: 'A exception.message',
}

/** Where an attribute's value goes: an index into SLOTS, and its rank there (lower wins). */
export interface Place {
  slot: number
  rank: number
}

/** By name of the attribute. */
export type PlacesByName = ReadonlyMap<string, readonly Place[]>
export interface Places {
  record: PlacesByName
  resource: PlacesByName
}

/** An app's own names rank from 1, so the table's begin behind them. */
export const TABLE_RANK_FIRST = 2 * COLUMN_NAMES_MAX + 1

/** What a door knows beside the table, in its form; it counts behind it. */
export type Sources = Partial<Record<Slot, string>>

/** The table with the sources of one door. */
export function tableWith(more: Sources): Places {
  return { record: tableOf('A', more), resource: tableOf('R', more) }
}

function tableOf(kind: 'A' | 'R', more: Sources): PlacesByName {
  const found = new Map<string, Place[]>()
  SLOTS.forEach((name, slot) => {
    const sources = [...PRECEDENCE[name].split(', '), ...(more[name]?.split(', ') ?? [])]
    // A source that is there twice has its first rank.
    for (const [i, source] of [...new Set(sources)].entries()) {
      if (source.startsWith(`${kind} `)) add(found, source.slice(2), slot, TABLE_RANK_FIRST + i)
    }
  })
  return found
}

export const TABLE: Places = tableWith({})

/** Where the attributes of an app's records go at a door with this table. */
export function placesOf(columns: ColumnNames | undefined, table: Places): Places {
  const own = Object.entries(columns ?? {}) as [TextColumn, string[]][]
  if (own.length === 0) return table
  const record = new Map(table.record)
  const resource = new Map(table.resource)
  for (const [column, names] of own) {
    names.forEach((name, i) => {
      add(record, name, slotOf(column), 2 * i + 1)
      add(resource, name, slotOf(column), 2 * i + 2)
    })
  }
  return { record, resource }
}

function add(places: Map<string, readonly Place[]>, name: string, slot: number, rank: number) {
  places.set(name, [...(places.get(name) ?? []), { slot, rank }])
}

export const slotOf = (name: Slot): number => SLOTS.indexOf(name)

/** 16 or 8 bytes as hexadecimal digits of any case, not all zero (otlp.md D7); else ''. */
export function validId(text: string, digits: 32 | 16): string {
  if (text.length !== digits || !/^[0-9a-fA-F]+$/.test(text) || /^0+$/.test(text)) return ''
  return text.toLowerCase()
}
