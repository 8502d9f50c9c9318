// Loki's doors, but for those of logs in.

import type * as z from 'zod'
import { choice, type Parameter, text, whole } from '../query/parameter-table.ts'
import { ENTRIES_DEFAULT, ENTRIES_MAX } from './loki-parameters.ts'
import * as schemas from './loki-schemas.ts'
import { type DoorParameter, inHeader, inPath, type Operation, READ } from './operation.ts'

const ROOT = '/loki/api/v1'

const inQuery = (name: string, parameter: Parameter): DoorParameter => ({
  name,
  in: 'query',
  ...parameter,
})

const QUERY = inQuery('query', text('LogQL.', '{service_name="shop"} |= "timeout"'))
const SELECTOR = inQuery(
  'query',
  text('A stream selector; without it everything.', '{service_name="shop"}'),
)
const RANGE = [
  inQuery(
    'start',
    text(
      'Nanoseconds or seconds since 1970, or RFC 3339; an hour before the end where it is missing.',
    ),
  ),
  inQuery('end', text('The same, exclusive; now where it is missing.')),
  inQuery('since', text('How long before the end the range begins.', '15m')),
]
const STEP = inQuery(
  'step',
  text('A duration or seconds; a 250th of the range where it is missing.', '1m'),
)
const LIMIT = inQuery(
  'limit',
  whole('Lines.', { minimum: 1, maximum: ENTRIES_MAX, default: ENTRIES_DEFAULT }),
)
const DIRECTION = inQuery('direction', choice('Newest or oldest first.', 'backward', 'forward'))
const MATCH = text('Stream selectors, as often as there are any.', '{service_name="shop"}')
const NAME = inPath('name', 'A label.')
const LINE_LIMIT = inQuery(
  'line_limit',
  whole('Newest lines that are looked at.', {
    minimum: 1,
    maximum: ENTRIES_MAX,
    default: ENTRIES_DEFAULT,
  }),
)
const VOLUME = [
  QUERY,
  ...RANGE,
  inQuery('limit', whole('Series.', { minimum: 1, maximum: 1_000_000, default: 100 })),
  inQuery(
    'targetLabels',
    text('Labels that are told apart; those of the selector where it is missing.', 'level'),
  ),
  inQuery('aggregateBy', choice('Series, or each label by itself.', 'series', 'labels')),
]

const VOLUME_BYTES =
  'Records times the average size of one: of sealed records, or of the newest 100 lines that match where none is.'

type Door = Pick<
  Operation,
  'path' | 'id' | 'summary' | 'description' | 'parameters' | 'example'
> & {
  description?: string
  schema: z.ZodType
  failure?: z.ZodType
}

const OF_QUERY = [QUERY, ...RANGE]
const WANTED = 'query={service_name="shop"}'

const DOORS: Door[] = [
  {
    path: '/query_range',
    id: 'lokiQueryRange',
    summary: 'Lines, or numbers over time',
    parameters: [
      ...OF_QUERY,
      STEP,
      LIMIT,
      DIRECTION,
      inHeader(
        'X-Loki-Response-Encoding-Flags',
        text('`categorize-labels`: structured metadata and parsed labels stand apart.'),
      ),
    ],
    schema: schemas.LokiResult,
    example: `/query_range?${WANTED} |= "timeout"&since=15m`,
  },
  {
    path: '/query',
    id: 'lokiQuery',
    summary: 'Numbers at one time',
    parameters: [QUERY, inQuery('time', text('As start of a range; now where it is missing.'))],
    schema: schemas.LokiResult,
    example: '/query?query=sum by (level) (count_over_time({service_name=~".+"}[5m]))',
  },
  ...(['labels', 'label'] as const).map(
    (name): Door => ({
      path: `/${name}`,
      id: name === 'labels' ? 'lokiLabels' : 'lokiLabel',
      summary: name === 'labels' ? 'Labels of streams that records have' : 'The same',
      parameters: [SELECTOR, ...RANGE],
      schema: schemas.LokiNames,
      example: `/${name}?since=1h`,
    }),
  ),
  {
    path: '/label/{name}/values',
    id: 'lokiLabelValues',
    summary: 'Values of a label of streams',
    parameters: [NAME, SELECTOR, ...RANGE],
    schema: schemas.LokiNames,
    example: '/label/service_name/values?since=1h',
  },
  {
    path: '/series',
    id: 'lokiSeries',
    summary: 'Sets of labels that streams have',
    parameters: [inQuery('match', MATCH), inQuery('match[]', MATCH), ...RANGE],
    schema: schemas.LokiSeries,
    example: '/series?match={service_name=~".+"}',
  },
  {
    path: '/index/stats',
    id: 'lokiIndexStats',
    summary: 'How much a selector chooses',
    parameters: [SELECTOR, ...RANGE],
    schema: schemas.LokiIndexStats,
    example: `/index/stats?${WANTED}`,
  },
  {
    path: '/index/volume',
    id: 'lokiVolume',
    summary: 'Bytes by labels',
    description: VOLUME_BYTES,
    parameters: VOLUME,
    schema: schemas.LokiResult,
    example: '/index/volume?query={service_name=~".+"}',
  },
  {
    path: '/index/volume_range',
    id: 'lokiVolumeRange',
    summary: 'Bytes by labels, over time',
    description: VOLUME_BYTES,
    parameters: [...VOLUME, STEP],
    schema: schemas.LokiResult,
    example: '/index/volume_range?query={service_name=~".+"}&step=1m',
  },
  {
    path: '/detected_labels',
    id: 'lokiDetectedLabels',
    summary: 'Labels of streams, with how many values each has',
    description: 'Labels whose values are all numbers or UUIDs are left out.',
    parameters: [SELECTOR, ...RANGE],
    schema: schemas.LokiDetectedLabels,
    example: `/detected_labels?${WANTED}`,
  },
  {
    path: '/detected_fields',
    id: 'lokiDetectedFields',
    summary: 'Fields of the newest lines',
    parameters: [
      ...OF_QUERY,
      LINE_LIMIT,
      inQuery('limit', whole('Fields.', { minimum: 1, maximum: 10_000, default: 1000 })),
    ],
    schema: schemas.LokiDetectedFields,
    example: `/detected_fields?${WANTED}`,
  },
  {
    path: '/detected_field/{name}/values',
    id: 'lokiFieldValues',
    summary: 'Values that a field has in the newest lines',
    parameters: [
      inPath('name', 'A field.'),
      ...OF_QUERY,
      LINE_LIMIT,
      inQuery('limit', whole('Values.', { minimum: 1, maximum: 10_000, default: 1000 })),
    ],
    schema: schemas.LokiFieldValues,
    example: `/detected_field/sku/values?${WANTED}`,
  },
  {
    path: '/patterns',
    id: 'lokiPatterns',
    summary: 'Message patterns over time',
    description:
      'Of stages the query may have those that ask a record as it is stored. A pattern known by its id alone is left out.',
    parameters: [...OF_QUERY, STEP],
    schema: schemas.LokiPatterns,
    example: `/patterns?${WANTED}`,
  },
  {
    path: '/format_query',
    id: 'lokiFormatQuery',
    summary: 'A query on lines of its own',
    parameters: [QUERY],
    schema: schemas.LokiFormatted,
    failure: schemas.LokiUnformatted,
    example: `/format_query?${WANTED} |= "timeout" | json`,
  },
  {
    path: '/drilldown-limits',
    id: 'lokiDrilldownLimits',
    summary: 'What Logs Drilldown may ask for',
    parameters: [],
    schema: schemas.LokiDrilldownLimits,
    example: '/drilldown-limits',
  },
]

/** Each takes its parameters in the URL, and by POST as a form. */
const twoOf = ({ path, id, example, schema, ...door }: Door): Operation[] =>
  (['get', 'post'] as const).map((method) => ({
    ...door,
    method,
    path: ROOT + path,
    id: method === 'get' ? id : `${id}Post`,
    tag: 'Loki',
    ...(method === 'post' && { takesForm: true }),
    answer: { is: 'raw', media: { 'application/json': schema }, description: 'The answer.' },
    errors: method === 'get' ? READ : [...READ, 'too_large'],
    failsIn: 'text',
    needs: 'read',
    example: ROOT + example,
  }))

export const LOKI_OPERATIONS: Operation[] = [
  ...DOORS.flatMap(twoOf),
  {
    method: 'get',
    path: `${ROOT}/tail`,
    id: 'lokiTail',
    tag: 'Loki',
    summary: 'Lines as they arrive, as a WebSocket',
    description:
      'First the newest lines since `start`, then what arrives: `{"streams":[{"stream":{…},"values":[…]}]}`, and `dropped_entries` where something is left out.',
    parameters: [
      QUERY,
      inQuery('start', text('As start of a range.')),
      LIMIT,
      inQuery('delay_for', whole('Taken, and not needed.', { minimum: 0, maximum: 5, default: 0 })),
    ],
    answer: { is: 'socket', description: 'The socket.' },
    errors: [...READ, 'too_many'],
    failsIn: 'text',
    needs: 'read',
    example: `${ROOT}/tail?${WANTED}`,
  },
  {
    method: 'get',
    path: `${ROOT}/status/buildinfo`,
    id: 'lokiBuildInfo',
    tag: 'Loki',
    summary: 'Which Loki this is like',
    parameters: [],
    answer: {
      is: 'raw',
      media: { 'application/json': schemas.LokiBuildInfo },
      description: 'The answer.',
    },
    errors: ['not_configured'],
    failsIn: 'text',
    needs: null,
    example: `${ROOT}/status/buildinfo`,
  },
  {
    method: 'get',
    path: '/ready',
    id: 'lokiReady',
    tag: 'Loki',
    summary: 'Whether it is up and has its secret',
    parameters: [],
    answer: { is: 'raw', media: { 'text/plain': null }, description: '`ready`.' },
    errors: ['not_configured'],
    failsIn: 'text',
    needs: null,
    example: '/ready',
  },
]
