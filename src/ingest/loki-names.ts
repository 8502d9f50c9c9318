// The names that Loki's users give to what has a column here. Labels cannot have dots, so none of
// OpenTelemetry's names can come as they are; and there were names before it, of which Loki itself
// knows a service by fifteen. They count behind all names that every door knows, and at the door of
// Loki's push alone: at another an attribute `job` or `app` may well mean something else.

import { type Places, type Sources, tableWith } from './precedence.ts'

/** Each in the structured metadata of the entry, then among the labels of its stream. */
const both = (...names: string[]) => names.flatMap((name) => [`A ${name}`, `R ${name}`]).join(', ')

const LOKI_SOURCES: Sources = {
  // The order of Loki's own discovery, for labels alone; `name` of an entry may be anyone's.
  service:
    'R service_name, A service_name, R service, R app, R application, R app_name, R name, ' +
    'R app_kubernetes_io_name, R container, R container_name, R k8s_container_name, R component, ' +
    'R workload, R job, R k8s_job_name',
  environment: both('deployment_environment_name', 'deployment_environment', 'environment', 'env'),
  event_type: both('event_type', 'event_name'),
  trace_id: both('trace_id', 'traceID', 'traceId', 'traceid'),
  span_id: both('span_id', 'spanID', 'spanId', 'spanid'),
  request_id: both('request_id', 'http_request_header_x_request_id'),
  user_id: both('user_id', 'enduser_id'),
  version: both('service_version', 'version', 'app_kubernetes_io_version'),
  instance_id: both(
    'instance_id',
    'service_instance_id',
    'k8s_pod_name',
    'pod',
    'pod_name',
    'instance',
    'hostname',
    'host_name',
    'host',
  ),
  code_file: 'A code_file_path, A code_filepath',
  code_line: 'A code_line_number, A code_lineno',
}

/** Where labels (as the resource's) and structured metadata (as the record's) go. */
export const LOKI_TABLE: Places = tableWith(LOKI_SOURCES)

/**
 * The names of a level, the best first. `detected_level` is the last: Loki makes it of the others,
 * or guesses it from the line.
 */
const LEVEL_NAMES = ['level', 'severity', 'severity_text', 'lvl', 'log_level', 'detected_level']
/** Names that no rule makes of those. */
const LEVEL_NAMES_MORE = { SeverityText: 2, Severity_Text: 2, 'log.level': 4 }

/** By name, also in capitals and with one: `level`, `LEVEL`, `Level`. Lower wins. */
export const LEVEL_RANKS: ReadonlyMap<string, number> = new Map([
  ...LEVEL_NAMES.flatMap((name, rank) =>
    [name, name.toUpperCase(), name[0]!.toUpperCase() + name.slice(1)].map(
      (form) => [form, rank] as const,
    ),
  ),
  ...Object.entries(LEVEL_NAMES_MORE),
])

/** OpenTelemetry's number, 1 to 24, which decides before any text. */
export const SEVERITY_NUMBER_NAMES: ReadonlySet<string> = new Set([
  'severity_number',
  'SeverityNumber',
])
