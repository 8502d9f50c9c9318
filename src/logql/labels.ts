// What of a record is a Loki label. The columns that have few values are the labels of its stream;
// everything else is structured metadata, under its key with `_` for what a label's name may not hold.

import type { GroupField } from '../query/ask.ts'
import type { FieldColumn } from '../query/filter.ts'

type StreamColumn =
  | 'service'
  | 'environment'
  | 'event_type'
  | 'workspace_id'
  | 'project_id'
  | 'version'
  | 'instance_id'

/** The labels of a stream, and where their values lie. */
export const STREAM_LABELS: ReadonlyMap<
  string,
  { in: 'level' } | { in: 'column'; name: StreamColumn }
> = new Map([
  ['service_name', { in: 'column', name: 'service' }],
  ['service', { in: 'column', name: 'service' }],
  ['level', { in: 'level' }],
  ['detected_level', { in: 'level' }],
  ['environment', { in: 'column', name: 'environment' }],
  ['event_type', { in: 'column', name: 'event_type' }],
  ['workspace_id', { in: 'column', name: 'workspace_id' }],
  ['project_id', { in: 'column', name: 'project_id' }],
  ['version', { in: 'column', name: 'version' }],
  ['instance_id', { in: 'column', name: 'instance_id' }],
])

/** Columns that are structured metadata. */
export const METADATA_COLUMNS: readonly FieldColumn[] = [
  'source_location',
  'trace_id',
  'span_id',
  'request_id',
  'user_id',
  'severity_number',
  'severity_text',
]

/** Where the value of a label lies, of the stream or of structured metadata. */
export function labelField(name: string): GroupField {
  const label = STREAM_LABELS.get(name)
  if (label) return label
  const column = METADATA_COLUMNS.find((one) => one === name)
  return column ? { in: 'column', name: column } : { in: 'label', name }
}
