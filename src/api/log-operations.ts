// The doors of records: how they come in, how they are read, and how they are counted.

import {
  EXPORT_PAGE_RECORDS,
  FIELDS_LIMIT_MAX,
  PATTERN_BUCKETS_MAX,
  PATTERNS_LIMIT_MAX,
  TRACE_LIMIT_DEFAULT,
  TRACE_LIMIT_MAX,
  VALUES_LIMIT_MAX,
} from '../limits.ts'
import {
  AGGREGATE_PARAMETERS,
  FACETS_PARAMETERS,
  FIELDS_PARAMETERS,
  HISTOGRAM_PARAMETERS,
  PATTERNS_PARAMETERS,
} from '../query/count-parameters.ts'
import {
  BY_SEVERAL,
  COUNT_PARAMETERS,
  choice,
  PAGE_PARAMETERS,
  type Parameter,
  text,
  whole,
} from '../query/parameter-table.ts'
import { LokiPush } from './loki-schemas.ts'
import {
  APP,
  type DoorParameter,
  INGEST,
  inHeader,
  inPath,
  type Operation,
  ofTable,
  READ,
} from './operation.ts'
import * as schemas from './schemas.ts'

const RECORD: DoorParameter = {
  ...inPath('id', 'A record, as answers name it.'),
  schema: { type: 'string', pattern: '^[0-9]{1,3}-[0-9]{1,15}$', examples: ['0-17'] },
}

const CODINGS = ['identity', 'gzip', 'x-gzip', 'deflate', 'zlib', 'zstd']

const sentWithLogs = (...codings: string[]): DoorParameter[] => [
  inHeader(
    'Idempotency-Key',
    text(
      'Requests with the same key and body are stored once within ten minutes; at most 128 characters.',
    ),
  ),
  inHeader('Content-Encoding', choice('How the body is compressed.', ...codings)),
]
const SENT_WITH_LOGS = sentWithLogs(...CODINGS)

const limitOf = (what: string, maximum: number, otherwise: number): Parameter =>
  whole(what, { minimum: 1, maximum, default: otherwise })

export const INGEST_OPERATIONS: Operation[] = [
  ...(['/v1/logs', '/otlp/v1/logs'] as const).map(
    (path): Operation => ({
      method: 'post',
      path,
      id: path === '/v1/logs' ? 'exportLogs' : 'exportLogsLoki',
      tag: 'Logs in',
      summary: path === '/v1/logs' ? 'OTLP/HTTP, protobuf or JSON' : 'The same, at Loki’s path',
      description:
        'ExportLogsServiceRequest. Errors are google.rpc.Status in the encoding of the request; 503 has `Retry-After`.',
      parameters: SENT_WITH_LOGS,
      body: {
        schema: schemas.OtlpRequest,
        media: ['application/json', 'application/x-protobuf'],
        example: {
          resourceLogs: [
            {
              scopeLogs: [
                { logRecords: [{ severityText: 'WARN', body: { stringValue: 'hello' } }] },
              ],
            },
          ],
        },
      },
      answer: {
        is: 'raw',
        media: { 'application/json': schemas.OtlpAccepted, 'application/x-protobuf': null },
        description: 'ExportLogsServiceResponse, in the encoding of the request.',
      },
      errors: [...INGEST, 'bad_json', 'bad_protobuf', 'method_not_allowed'],
      failsIn: 'otlp',
      needs: 'ingest',
      example: path,
    }),
  ),
  ...(['/loki/api/v1/push', '/api/prom/push'] as const).map(
    (path): Operation => ({
      method: 'post',
      path,
      id: path === '/api/prom/push' ? 'pushLokiFirst' : 'pushLoki',
      tag: 'Logs in',
      summary: path === '/api/prom/push' ? 'The same, at Loki’s first path' : 'Loki’s push',
      description:
        'PushRequest, as JSON or as protobuf in snappy. Labels become resource attributes, structured metadata attributes of the record. Errors are plain text; entries that can not be stored are named with 400, the others are stored.',
      parameters: sentWithLogs(...CODINGS, 'snappy'),
      body: {
        schema: LokiPush,
        media: ['application/json', 'application/x-protobuf'],
        example: {
          streams: [
            {
              stream: { service_name: 'shop', level: 'warn' },
              values: [['1720000000123456789', 'stock is low', { sku: 'A-1' }]],
            },
          ],
        },
      },
      answer: { is: 'nothing', description: 'All entries are stored.' },
      errors: [...INGEST, 'bad_json', 'bad_protobuf'],
      failsIn: 'text',
      needs: 'ingest',
      example: path,
    }),
  ),
  ...(['/logs', '/log'] as const).map(
    (path): Operation => ({
      method: 'post',
      path,
      id: path === '/logs' ? 'postLogs' : 'postLog',
      tag: 'Logs in',
      summary: 'A record, an array, {"logs": […]} or NDJSON',
      description:
        'Members that are no columns become attributes. A record that can not be stored is listed in `rejected`, the others are stored; when all are refused the status is 400.',
      parameters: [...ofTable(['app_id']), ...SENT_WITH_LOGS],
      body: {
        schema: schemas.LogsRequest,
        media: ['application/json', 'application/x-ndjson'],
        example: { level: 'warn', message: 'stock is low', service: 'shop', sku: 'A-1', left: 3 },
      },
      answer: { is: 'data', schema: schemas.Accepted },
      errors: [...INGEST, 'bad_json'],
      needs: 'ingest',
      example: path,
    }),
  ),
]

export const READ_OPERATIONS: Operation[] = [
  {
    method: 'get',
    path: '/logs',
    id: 'listLogs',
    tag: 'Logs out',
    summary: 'A page of the records that match',
    description:
      'The order is time, then shard, then arrival. The first page fixes the set: later pages show exactly the records that were there then.',
    parameters: ofTable([...PAGE_PARAMETERS, 'format', 'explain']),
    takesAttributes: true,
    answer: { is: 'data', schema: schemas.LogPage, lines: true },
    errors: READ,
    needs: 'read',
    example: '/logs?q=level:>=warn timeout&since=15m',
  },
  {
    method: 'get',
    path: '/logs/export',
    id: 'exportRecords',
    tag: 'Logs out',
    summary: 'All records that match, as a stream',
    description: `NDJSON or CSV, read ${EXPORT_PAGE_RECORDS} records at a time while the client takes them. An answer that can not be finished is broken off.`,
    parameters: ofTable([...PAGE_PARAMETERS, 'format', 'partial'], {
      limit: whole('How many records at most; without it all.', {
        minimum: 1,
        maximum: 999_999_999,
      }),
      format: choice('The form of the answer.', 'ndjson', 'csv'),
    }),
    takesAttributes: true,
    answer: {
      is: 'raw',
      media: { 'application/x-ndjson': schemas.OneRecord, 'text/csv': null },
      description: 'One record a line.',
    },
    errors: READ,
    needs: 'read',
    example: '/logs/export?service=api&since=1d&format=csv',
  },
  {
    method: 'get',
    path: '/logs/{id}',
    id: 'getLog',
    tag: 'Logs out',
    summary: 'One record',
    parameters: [RECORD, ...ofTable(['app_id'])],
    answer: { is: 'data', schema: schemas.OneRecord },
    errors: READ,
    needs: 'read',
    example: '/logs/0-17',
  },
  {
    method: 'get',
    path: '/logs/{id}/context',
    id: 'getContext',
    tag: 'Logs out',
    summary: 'The neighbours of a record in time',
    parameters: [RECORD, ...ofTable([...COUNT_PARAMETERS, 'before', 'after', 'scope', 'format'])],
    takesAttributes: true,
    answer: { is: 'data', schema: schemas.RecordContext, lines: true },
    errors: READ,
    needs: 'read',
    example: '/logs/0-17/context?before=20&after=5',
  },
  {
    method: 'get',
    path: '/traces/{trace_id}',
    id: 'getTrace',
    tag: 'Logs out',
    summary: 'Everything of one trace, over all services, in time order',
    parameters: [
      inPath('trace_id', 'A trace id, also as a traceparent or a UUID.'),
      ...ofTable(['app_id', 'since', 'until', 'limit', 'cursor', 'format', 'explain'], {
        limit: limitOf('Records of a page.', TRACE_LIMIT_MAX, TRACE_LIMIT_DEFAULT),
      }),
    ],
    answer: { is: 'data', schema: schemas.Trace, lines: true },
    errors: READ,
    needs: 'read',
    example: '/traces/4bf92f3577b34da6a3ce929d0e0e4736',
  },
  {
    method: 'get',
    path: '/logs/tail',
    id: 'tailLogs',
    tag: 'Logs out',
    summary: 'Records as they arrive, as server-sent events',
    description:
      'An event is one record, in the order of arrival; its id is a position in all shards. Whoever comes back with the last id, as `Last-Event-ID` or `after`, gets what was stored meanwhile and then what arrives. `event: dropped` says what was left out.',
    parameters: [
      ...ofTable([...COUNT_PARAMETERS, 'after'], {
        after: text(
          'The id of the last event that was seen; the header goes before it.',
          '12.0.55',
        ),
      }),
      inHeader('Last-Event-ID', text('The id of the last event that was seen.', '12.0.55')),
    ],
    takesAttributes: true,
    answer: {
      is: 'raw',
      media: { 'text/event-stream': null },
      description: 'Events: `data` is one record as JSON.',
    },
    errors: [...READ, 'too_many'],
    needs: 'read',
    example: '/logs/tail?q=level:>=warn',
  },
]

export const COUNT_OPERATIONS: Operation[] = [
  {
    method: 'get',
    path: '/logs/count',
    id: 'countLogs',
    tag: 'Counts',
    summary: 'How many records match',
    parameters: ofTable([...COUNT_PARAMETERS, 'explain']),
    takesAttributes: true,
    answer: { is: 'data', schema: schemas.Count },
    errors: READ,
    needs: 'read',
    example: '/logs/count?level=>=error&since=1d',
  },
  {
    method: 'get',
    path: '/logs/histogram',
    id: 'histogram',
    tag: 'Counts',
    summary: 'Counts over time, by the values of a field',
    parameters: ofTable([...COUNT_PARAMETERS, 'explain', ...HISTOGRAM_PARAMETERS], {
      limit: limitOf('Values of `by` that are shown.', VALUES_LIMIT_MAX, 10),
    }),
    takesAttributes: true,
    answer: { is: 'data', schema: schemas.Histogram },
    errors: READ,
    needs: 'read',
    example: '/logs/histogram?by=level&since=1d&interval=1h',
  },
  {
    method: 'get',
    path: '/logs/facets',
    id: 'facets',
    tag: 'Counts',
    summary: 'The most frequent values of fields',
    parameters: ofTable([...COUNT_PARAMETERS, 'explain', ...FACETS_PARAMETERS], {
      limit: limitOf('Values of a field.', VALUES_LIMIT_MAX, 10),
    }),
    takesAttributes: true,
    answer: { is: 'data', schema: schemas.Facets },
    errors: READ,
    needs: 'read',
    example: '/logs/facets?fields=service,level,http.route',
  },
  {
    method: 'get',
    path: '/logs/fields',
    id: 'fields',
    tag: 'Counts',
    summary: 'The fields that records have, with types and shares',
    parameters: ofTable([...COUNT_PARAMETERS, 'explain', ...FIELDS_PARAMETERS], {
      limit: limitOf('Fields that are shown.', FIELDS_LIMIT_MAX, 100),
    }),
    takesAttributes: true,
    answer: { is: 'data', schema: schemas.Fields },
    errors: READ,
    needs: 'read',
    example: '/logs/fields?service=api',
  },
  {
    method: 'get',
    path: '/logs/patterns',
    id: 'patterns',
    tag: 'Counts',
    summary: 'Message patterns, and what is new or gone',
    parameters: ofTable([...COUNT_PARAMETERS, 'explain', ...PATTERNS_PARAMETERS], {
      limit: limitOf('Patterns that are shown.', PATTERNS_LIMIT_MAX, 50),
      buckets: whole('About how many buckets each small histogram has.', {
        minimum: 1,
        maximum: PATTERN_BUCKETS_MAX,
        default: 24,
      }),
    }),
    takesAttributes: true,
    answer: { is: 'data', schema: schemas.Patterns },
    errors: READ,
    needs: 'read',
    example: '/logs/patterns?since=1h&compare=1h',
  },
  {
    method: 'get',
    path: '/logs/aggregate',
    id: 'aggregate',
    tag: 'Counts',
    summary: 'Numbers by group and over time',
    parameters: ofTable([...COUNT_PARAMETERS, 'explain', ...AGGREGATE_PARAMETERS], {
      limit: limitOf('Groups that are shown.', VALUES_LIMIT_MAX, 10),
      by: text(BY_SEVERAL, 'service', 'service,http.route'),
    }),
    takesAttributes: true,
    answer: { is: 'data', schema: schemas.Aggregate },
    errors: READ,
    needs: 'read',
    example: '/logs/aggregate?value=duration_ms&by=service&fn=count,p50,p99',
  },
  {
    method: 'get',
    path: '/stats/{app_id}',
    id: 'stats',
    tag: 'Counts',
    summary: 'What was received, by UTC day and level',
    description: 'Never reduced by deletion.',
    parameters: [APP],
    answer: { is: 'data', schema: schemas.AppStats },
    errors: READ,
    needs: 'read',
    example: '/stats/shop',
  },
]
