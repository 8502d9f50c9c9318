// One log line as we keep it. OTLP and every other format is mapped to this at the edge and never
// seen again. In memory a batch is columns, one array a field: decoders push values, the scanner
// reads columns, and no object is ever made per record.
//
// Time is two numbers, whole milliseconds since 1970 and the nanoseconds left (0..999,999): a
// double holds no nanosecond of our century exactly.

export const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const
export type Level = (typeof LEVELS)[number]
export const INFO = 2

/** The schema's columns that are text and may be absent, in the order answers show them. */
export const TEXT_COLUMNS = [
  'service',
  'environment',
  'event_type',
  'source_location',
  'trace_id',
  'span_id',
  'request_id',
  'workspace_id',
  'project_id',
  'user_id',
  'version',
  'instance_id',
] as const
export type TextColumn = (typeof TEXT_COLUMNS)[number]

/** An app's own attribute names for columns, before those everyone has: the first that is there fills it. */
export type ColumnNames = Partial<Record<TextColumn, string[]>>

/**
 * What an attribute column holds. `text` string; `int` an integer within ±(2^53-1); `num` any other
 * finite double (and doubles that happen to be whole); `bool`; `json` the JSON text of an array, a
 * map or null. NaN, the infinities and int64 beyond 2^53 are text (otlp.md D11), bytes are base64.
 */
export type AttributeType = 'text' | 'int' | 'num' | 'bool' | 'json'

/** The values of one (key, type), sparse: `values[i]` belongs to record `rows[i]`, rows ascending. */
export interface AttributeColumn {
  key: string
  type: AttributeType
  rows: number[]
  values: (string | number | boolean)[]
}

/** A record that can never be stored: its place in the request, the member at fault, and why. */
export interface Rejected {
  index: number
  field: string
  message: string
}

/**
 * Records in the order they arrived. Every array but `attributes`, `resources`, `scopes` and
 * `rejected` has `length` entries; `resource[i]` and `scope[i]` index `resources` and `scopes`.
 */
export interface RecordBatch {
  length: number
  /** When the Worker took the request, ms; the time of records that brought none. */
  receivedMs: number
  /** How many records brought no time of their own. */
  untimed: number
  timeMs: number[]
  timeNs: number[]
  /** -1 where the record has no observed time. */
  observedMs: number[]
  observedNs: number[]
  /** Index into LEVELS. */
  level: number[]
  /** As sent; 0 where unspecified. */
  severityNumber: number[]
  severityText: (string | null)[]
  message: string[]
  text: Record<TextColumn, (string | null)[]>
  /** JSON text of a body that is not a string; null for a string body and for none. */
  body: (string | null)[]
  /** The first ATTRIBUTE_COLUMNS_MAX (key, type) pairs seen, in order of first sight. */
  attributes: AttributeColumn[]
  /** JSON text of an object with the attributes that found no column; null for none. */
  attributesRest: (string | null)[]
  resource: number[]
  /** JSON texts of resource attributes; '{}' for none. */
  resources: string[]
  scope: number[]
  /** JSON texts of `{name, version, attributes, schema_url}`, empty members left out. */
  scopes: string[]
  /** JSON text of the members of `metadata.otel`; null for none. */
  otel: (string | null)[]
  /** JSON text of `[{field, bytes}]`, what was over a bound as sent; null for none. */
  cut: (string | null)[]
  /** About how many bytes the record takes in memory and in a segment before compression. */
  bytes: number[]
  /** Records of the request that are not in the batch. */
  rejected: Rejected[]
}

export function emptyBatch(receivedMs: number): RecordBatch {
  return {
    length: 0,
    receivedMs,
    untimed: 0,
    timeMs: [],
    timeNs: [],
    observedMs: [],
    observedNs: [],
    level: [],
    severityNumber: [],
    severityText: [],
    message: [],
    text: {
      service: [],
      environment: [],
      event_type: [],
      source_location: [],
      trace_id: [],
      span_id: [],
      request_id: [],
      workspace_id: [],
      project_id: [],
      user_id: [],
      version: [],
      instance_id: [],
    },
    body: [],
    attributes: [],
    attributesRest: [],
    resource: [],
    resources: [],
    scope: [],
    scopes: [],
    otel: [],
    cut: [],
    bytes: [],
    rejected: [],
  }
}

/** Every word that names a level, in any case. Other text leaves the level at info. */
const LEVEL_WORDS: Record<Level, string> = {
  trace: 'trace silly finest trace2 trace3 trace4',
  debug: 'debug verbose fine debug2 debug3 debug4',
  info: 'info information informational log notice http info2 info3 info4',
  warn: 'warn warning warn2 warn3 warn4',
  error: 'error err error2 error3 error4',
  fatal: 'fatal panic critical crit alert emerg emergency fatal2 fatal3 fatal4',
}
const LEVEL_OF_WORD = new Map<string, number>(
  LEVELS.flatMap((level, i) => LEVEL_WORDS[level].split(' ').map((word) => [word, i] as const)),
)

/** The level a word names, as an index into LEVELS, or undefined. */
export function levelOfWord(word: string): number | undefined {
  return LEVEL_OF_WORD.get(word) ?? LEVEL_OF_WORD.get(word.trim().toLowerCase())
}

/**
 * The level of an OpenTelemetry record (otlp.md D4-D6): a number 1..24 decides, else the text, else
 * info. Nothing is guessed from the body.
 */
export function levelOf(severityNumber: number, severityText: string | null): number {
  if (severityNumber >= 1 && severityNumber <= 24) return (severityNumber - 1) >> 2
  return (severityText !== null ? levelOfWord(severityText) : undefined) ?? INFO
}

/** By character: what takes two units of UTF-16 becomes one `_`, as with them. */
const NOT_IN_LABELS = /[^a-zA-Z0-9_]/gu

/** An attribute's key as Prometheus and Loki name a label: `http.route` is `http_route`. */
export function labelName(key: string): string {
  const name = key.replace(NOT_IN_LABELS, '_')
  return /^[0-9]/.test(name) ? `_${name}` : name
}
