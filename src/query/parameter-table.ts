// Every parameter of the doors that read, with what it says and the form of its value. What is not here
// no door can take, and what a door takes /openapi.json tells from here. The values themselves are read,
// and their bounds held, by parameters.ts, plan.ts and count-parameters.ts.

import {
  AGGREGATE_FIELDS_MAX,
  AGGREGATE_FUNCTIONS_MAX,
  BUCKETS_MAX,
  CONTEXT_DEFAULT,
  CONTEXT_MAX,
  FACET_FIELDS_MAX,
  QUERY_LIMIT_DEFAULT,
  QUERY_LIMIT_MAX,
  QUERY_TEXT_CHARS_MAX,
} from '../limits.ts'
import { LEVELS, TEXT_COLUMNS } from '../record.ts'

/** A JSON schema. */
export type JsonSchema = Readonly<Record<string, unknown>>

export interface Parameter {
  description: string
  schema: JsonSchema
}

const TEXT = { type: 'string', minLength: 1, maxLength: QUERY_TEXT_CHARS_MAX } as const

export const text = (description: string, ...examples: string[]): Parameter => ({
  description,
  schema: { ...TEXT, ...(examples.length > 0 && { examples }) },
})
export const whole = (
  description: string,
  bounds: { minimum: number; maximum: number; default?: number },
): Parameter => ({ description, schema: { type: 'integer', ...bounds } })
/** One of a few words; the first is taken where none is given. */
export const choice = (description: string, ...choices: string[]): Parameter => ({
  description,
  schema: { type: 'string', enum: choices, default: choices[0] },
})
const is = (column: string) => text(`Records whose \`${column}\` is exactly this.`)
const isId = (column: string) => text(`Records with this \`${column}\`, in any case.`)

const TIMES =
  'ISO 8601 (without a zone: UTC), a number since 1970 (seconds, ms, µs or ns, by its size), or relative: `30s`, `15m`, `2h`, `7d`, `1w`.'

export const PARAMETERS = {
  app_id: text(
    'The app. A key implies it; with `ADMIN_KEY` it is needed, or the header `X-App-Id`.',
  ),
  level: text(
    `One level (${LEVELS.join(', ')}), a list, or \`>=\` and a level; any name of a level is taken.`,
    'error',
    'warn,error',
    '>=warn',
  ),
  service: is('service'),
  environment: is('environment'),
  event_type: is('event_type'),
  trace_id: isId('trace_id'),
  span_id: isId('span_id'),
  request_id: is('request_id'),
  workspace_id: is('workspace_id'),
  project_id: is('project_id'),
  user_id: is('user_id'),
  version: is('version'),
  instance_id: is('instance_id'),
  q: text(
    'A search: words, "phrases", `time*`, `service:api`, `status:>=500`, `field:/regex/`, AND, OR, NOT. `/docs#search` shows them all.',
    'level:>=warn service:api "upstream timeout" -retry',
  ),
  since: text(`From this time on. ${TIMES}`, '15m', '2026-01-31T09:00:00Z'),
  until: text(`Before this time. ${TIMES}`, '5m', '2026-01-31T10:00:00Z'),
  limit: whole('Records of a page.', {
    minimum: 1,
    maximum: QUERY_LIMIT_MAX,
    default: QUERY_LIMIT_DEFAULT,
  }),
  order: choice('By time: the newest first, or the oldest.', 'desc', 'asc'),
  cursor: text('`next_cursor` of the page before, with the same other parameters.'),
  format: choice(
    'The form of the answer; without it `Accept` decides. NDJSON and CSV are one record a line.',
    'json',
    'ndjson',
    'csv',
  ),
  explain: choice(
    'Tell what became of every block and unsealed row. Not for keys bound to a workspace.',
    'false',
    'true',
  ),
  partial: choice(
    'What an export does about stored records that can not be read: end there, or go on and say so in its last line (NDJSON).',
    'refuse',
    'allow',
  ),
  before: whole('Neighbours before the record.', {
    minimum: 0,
    maximum: CONTEXT_MAX,
    default: CONTEXT_DEFAULT,
  }),
  after: whole('Neighbours after the record.', {
    minimum: 0,
    maximum: CONTEXT_MAX,
    default: CONTEXT_DEFAULT,
  }),
  scope: choice(
    'Whose neighbours: of the same service, the same trace, or all.',
    'service',
    'trace',
    'all',
  ),
  interval: text('The length of a bucket, instead of `buckets`.', '30s', '5m', '1h', '1d'),
  buckets: whole('About how many buckets the time is cut into.', {
    minimum: 1,
    maximum: BUCKETS_MAX,
    default: 60,
  }),
  by: text(
    'The field whose values are told apart: `level`, `pattern`, a column or an attribute.',
    'service',
    'level',
  ),
  fields: text(
    `Fields by comma, at most ${FACET_FIELDS_MAX}. Default: \`service,level,environment\`.`,
    'service,level,http.route',
  ),
  compare: text(
    'A time to compare with: a length (the time before `since`), or `since..until`.',
    '1h',
    '2026-01-30T09:00:00Z..2026-01-30T10:00:00Z',
  ),
  value: text('The field whose numbers are taken.', 'duration_ms'),
  fn: text(
    `Functions by comma, at most ${AGGREGATE_FUNCTIONS_MAX}: count, sum, avg, min, max, and p0 to p100. Default: \`count\`, and with \`value\` \`count,avg,min,max,p50,p95,p99\`.`,
    'count,p50,p99',
  ),
} as const satisfies Record<string, Parameter>

export type ParameterName = keyof typeof PARAMETERS

/** `by` where it may name several. */
export const BY_SEVERAL = `Fields by comma whose values are told apart, at most ${AGGREGATE_FIELDS_MAX}.`

/** attr.<name>, which every door takes that chooses records. */
export const ATTRIBUTE_PARAMETER: Parameter = {
  description:
    'Records whose attribute is this as text: `attr.code=200` finds 200 and "200". Any number of names, at most 32.',
  schema: {
    type: 'object',
    patternProperties: { '^attr\\..+$': TEXT },
    additionalProperties: false,
    examples: [{ 'attr.code': '200' }],
  },
}

/** The columns that are parameters: `source_location` is found by `q` alone. */
export const COLUMN_PARAMETERS = TEXT_COLUMNS.filter((column) => column !== 'source_location')

/** The parameters that choose records; attr.<name> beside them. */
export const FILTER_PARAMETERS: readonly ParameterName[] = [
  'level',
  ...COLUMN_PARAMETERS,
  'q',
  'since',
  'until',
]
/** Of what counts all records and has no page. */
export const COUNT_PARAMETERS: readonly ParameterName[] = ['app_id', ...FILTER_PARAMETERS]
export const PAGE_PARAMETERS: readonly ParameterName[] = [
  ...COUNT_PARAMETERS,
  'limit',
  'order',
  'cursor',
]
