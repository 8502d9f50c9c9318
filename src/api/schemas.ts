// What the doors answer, as schemas: /openapi.json is made of them, and every answer that a test gets is
// held to them. They are strict, so that a member nobody described is found.

import * as z from 'zod'
import { LEVELS, TEXT_COLUMNS } from '../record.ts'

/** By the names they have in the document. */
export const named = z.registry<{ id: string }>()

const count = z.int().min(0)
const share = z.number().min(0).max(1)
/** Milliseconds since 1970. */
const ms = z.int().describe('Milliseconds since 1970.')
const iso = z.string().describe('ISO 8601, UTC.')
const level = z.enum(LEVELS)
const levelCounts = z.partialRecord(level, count)
const textOrNull = z.string().nullable()

const ERROR_DETAILS =
  'What a program may act on: `parameter` and `column` of a bad parameter, `shards` that did not answer, `max` of a bound, and the like.'

export const ErrorAnswer = z
  .strictObject({
    ok: z.literal(false),
    error: z.strictObject({
      code: z.string(),
      message: z.string(),
      details: z.record(z.string(), z.unknown()).optional().describe(ERROR_DETAILS),
    }),
  })
  .register(named, { id: 'Error' })

// Records.

const columns = Object.fromEntries(TEXT_COLUMNS.map((column) => [column, textOrNull]))

const LogRecord = z
  .strictObject({
    id: z.string().describe('`<shard>-<number>`: what GET /logs/{id} takes.'),
    timestamp: ms,
    time_unix_nano: z.string().describe('The same time with all digits, in nanoseconds.'),
    observed_time_unix_nano: textOrNull,
    level,
    severity_number: z.int(),
    severity_text: textOrNull,
    message: z.string(),
    ...columns,
    metadata: z
      .strictObject({
        attributes: z.record(z.string(), z.unknown()).optional(),
        resource: z.record(z.string(), z.unknown()).optional(),
        scope: z.record(z.string(), z.unknown()).optional(),
        body: z.unknown().optional().describe('The body, where it was no text.'),
        otel: z.record(z.string(), z.unknown()).optional(),
        cut: z
          .array(z.strictObject({ field: z.string(), bytes: count }))
          .optional()
          .describe('What was longer than its bound, with its bytes as sent.'),
      })
      .describe('What no column holds. Members that would be empty are left out.'),
  })
  .register(named, { id: 'LogRecord' })

// How an answer came about.

const PartialReason = z
  .discriminatedUnion('code', [
    z.strictObject({ code: z.literal('budget') }),
    z.strictObject({ code: z.literal('shard_unreachable'), shard: count }),
    z.strictObject({
      code: z.enum(['block_missing', 'block_corrupt']),
      shard: count,
      block: count.describe('The number of its first record.'),
    }),
  ])
  .register(named, { id: 'PartialReason' })

const Stats = z
  .strictObject({
    blocks: z.strictObject({
      considered: count,
      skipped: z
        .strictObject({ time: count, values: count, filter: count, pattern: count })
        .describe('Blocks that can hold no match, by what told so.'),
      opened: count,
    }),
    bytes: count.describe('Stored bytes of what was opened.'),
    rows: count.describe('Records looked at.'),
    r2_reads: count,
    ms: z.number().min(0),
  })
  .describe('What was skipped without being opened, and what was read.')
  .register(named, { id: 'Stats' })

const Explanation = z
  .strictObject({
    lines: z.array(
      z.strictObject({
        shard: count,
        block: count.describe('The number of its first record.'),
        records: count,
        min_time: ms,
        max_time: ms,
        place: z.enum(['unsealed', 'hot', 'cold']),
        fate: z.enum(['time', 'values', 'filter', 'pattern', 'counted', 'opened', 'unread']),
      }),
    ),
    more: count.describe('Blocks and rows beyond those that are listed.'),
  })
  .describe('With explain=true: what became of every block and unsealed row.')
  .register(named, { id: 'Explanation' })

const partial = {
  partial: z.boolean().describe('Whether something is missing; partial_reasons names it.'),
  partial_reasons: z.array(PartialReason),
}
const told = {
  ...partial,
  covered: z
    .strictObject({ since: ms, until: ms.nullable() })
    .nullable()
    .optional()
    .describe('Of a partial answer: the time that was looked through whole.'),
  stats: Stats,
  explain: Explanation.optional(),
}
const nextCursor = textOrNull.describe('Of the next page; null: this is the last.')

export const LogPage = z
  .strictObject({
    logs: z.array(LogRecord),
    next_cursor: nextCursor,
    ...partial,
    stats: Stats,
    explain: Explanation.optional(),
  })
  .register(named, { id: 'LogPage' })

export const OneRecord = LogRecord

export const RecordContext = z
  .strictObject({
    record: LogRecord,
    scope: z.enum(['service', 'trace', 'all']),
    before: z.array(LogRecord).describe('The oldest first.'),
    after: z.array(LogRecord).describe('The oldest first.'),
    more: z
      .strictObject({ before: z.boolean(), after: z.boolean() })
      .describe('Whether there are others beyond.'),
    ...told,
  })
  .register(named, { id: 'RecordContext' })

export const Trace = z
  .strictObject({
    trace_id: z.string(),
    count,
    services: z.array(
      z.strictObject({
        service: textOrNull,
        count,
        first: ms,
        last: ms,
        errors: count.describe('Records of level error or fatal.'),
      }),
    ),
    other_services: count.describe('Records of services beyond those.'),
    levels: levelCounts,
    first_error: z
      .strictObject({
        id: z.string(),
        timestamp: ms,
        time_unix_nano: z.string(),
        level,
        service: textOrNull,
        message: z.string(),
      })
      .nullable(),
    started: ms.nullable(),
    ended: ms.nullable(),
    started_unix_nano: textOrNull,
    ended_unix_nano: textOrNull,
    duration_ms: z.number().nullable(),
    records: z.array(LogRecord).describe('One page, the oldest first.'),
    next_cursor: nextCursor,
    ...told,
  })
  .register(named, { id: 'Trace' })

// Counts.

export const Count = z.strictObject({ count, ...told }).register(named, { id: 'Count' })

const isComplete = z
  .boolean()
  .describe('False: there were too many values to tell all apart, and `other` has the rest.')

export const Histogram = z
  .strictObject({
    since: ms,
    until: ms,
    interval_ms: z.int().min(1),
    by: textOrNull,
    buckets: z.array(
      z.strictObject({
        time: ms,
        count,
        values: z
          .record(z.string(), count)
          .optional()
          .describe("With `by`: records by value; '' stands for records without one."),
        other: count.optional().describe('With `by`: records of values that are not shown.'),
      }),
    ),
    values: z.array(z.strictObject({ value: textOrNull, count })).optional(),
    total: count,
    is_complete: isComplete.optional(),
    ...told,
  })
  .register(named, { id: 'Histogram' })

export const Facets = z
  .strictObject({
    fields: z.array(
      z.strictObject({
        field: z.string(),
        values: z.array(z.strictObject({ value: z.string(), count, share })),
        distinct: count.describe('How many values there are; at least so many if not complete.'),
        missing: count.describe('Records without a value.'),
        other: count.describe('Records of values that are not shown.'),
        is_complete: isComplete,
      }),
    ),
    total: count,
    ...told,
  })
  .register(named, { id: 'Facets' })

export const Fields = z
  .strictObject({
    fields: z.array(
      z.strictObject({
        name: z.string().describe('As it is written before a colon in a search.'),
        scope: z.enum(['column', 'attr']),
        types: z.array(z.string()),
        count: count.describe('Records that have it; at most so many where it is not exact.'),
        share,
        is_exact: z.boolean(),
      }),
    ),
    distinct: count,
    total: count,
    is_complete: isComplete,
    ...told,
  })
  .register(named, { id: 'Fields' })

export const Patterns = z
  .strictObject({
    patterns: z.array(
      z.strictObject({
        id: z.string().describe('`q=pattern:<id>` finds its records.'),
        pattern: textOrNull.describe('`<_>` stands for a variable; null: only the id is known.'),
        count,
        share,
        levels: levelCounts,
        services: z.record(z.string(), count),
        histogram: z.array(z.number().min(0)),
        first_seen: ms,
        last_seen: ms,
        sample_id: z.string().describe('The id of its latest record.'),
        change: z.enum(['new', 'gone', 'more', 'less', 'same']).optional(),
        count_before: count.optional(),
      }),
    ),
    histogram: z.strictObject({ since: ms, interval_ms: z.int().min(1) }),
    distinct: count,
    total: count,
    unpatterned: count.describe('Records whose message has no pattern.'),
    other: count.describe('Records of patterns that are not shown.'),
    is_complete: isComplete,
    compare: z
      .strictObject({ since: ms, until: ms, total: count, unpatterned: count, ...told })
      .optional(),
    ...told,
  })
  .register(named, { id: 'Patterns' })

const numberOrNull = z.number().nullable()

export const Aggregate = z
  .strictObject({
    since: ms.optional(),
    until: ms.optional(),
    interval_ms: z.int().min(1).optional(),
    value: textOrNull,
    groups: z.array(
      z
        .object({
          by: z.record(z.string(), textOrNull),
          count,
          points: z
            .array(z.object({ time: ms }).catchall(numberOrNull))
            .optional()
            .describe('With `interval`: the buckets that have records.'),
        })
        .catchall(numberOrNull)
        .describe('One member a function: `avg`, `p95` …'),
    ),
    distinct: count,
    total: count,
    without_value: count.optional().describe('Records without a number.'),
    is_complete: isComplete,
    is_exact: z.boolean().describe('False: percentiles are estimated.'),
    relative_error: z.number().optional(),
    ...told,
  })
  .register(named, { id: 'Aggregate' })

export const AppStats = z
  .strictObject({
    app_id: z.string(),
    days: z.array(
      z.strictObject({
        day: z.string(),
        records: count,
        levels: levelCounts,
        notes: z
          .record(z.string(), count)
          .describe('What was refused or cut, by name: `refused_request_<code>`, `cut_<field>` …'),
      }),
    ),
    storage: z.strictObject({ rows_written: count, database_bytes: count }),
  })
  .register(named, { id: 'AppStats' })

export const Health = z
  .strictObject({ status: z.literal('up'), version: z.string() })
  .register(named, { id: 'Health' })

// Logs in.

export const Accepted = z
  .strictObject({
    accepted: count,
    rejected: z.array(z.strictObject({ index: count, field: z.string(), message: z.string() })),
    rejected_not_shown: count.optional(),
  })
  .register(named, { id: 'Accepted' })

/** ExportLogsServiceResponse, in JSON. */
export const OtlpAccepted = z
  .strictObject({
    partialSuccess: z
      .strictObject({ rejectedLogRecords: z.string(), errorMessage: z.string() })
      .optional(),
  })
  .describe('ExportLogsServiceResponse')
  .register(named, { id: 'OtlpAccepted' })

export const OtlpStatus = z
  .strictObject({
    code: z.int(),
    message: z.string(),
    details: z.array(z.record(z.string(), z.unknown())).optional(),
  })
  .describe('google.rpc.Status')
  .register(named, { id: 'OtlpStatus' })

// Apps, keys, settings.

export const App = z
  .strictObject({
    app_id: z.string(),
    name: textOrNull,
    created_at: iso,
    shards: z.int().min(1),
    location_hint: textOrNull,
  })
  .register(named, { id: 'App' })

export const Apps = z.strictObject({ apps: z.array(App) }).register(named, { id: 'Apps' })

const keyMembers = {
  key_id: z.string(),
  role: z.enum(['ingest', 'read', 'admin']),
  name: textOrNull,
  workspace_id: textOrNull,
  prefix: z.string(),
  created_at: iso,
  expires_at: iso.nullable(),
}

export const Key = z
  .strictObject({ ...keyMembers, last_used: textOrNull.describe('A UTC day.') })
  .register(named, { id: 'Key' })

export const Keys = z.strictObject({ keys: z.array(Key) }).register(named, { id: 'Keys' })

export const NewKey = z
  .strictObject({ ...keyMembers, key: z.string().describe('Shown this once.') })
  .register(named, { id: 'NewKey' })

export const AppDeleted = z
  .strictObject({ app_id: z.string(), deleted: z.literal(true) })
  .register(named, { id: 'AppDeleted' })
export const KeyDeleted = z
  .strictObject({ key_id: z.string(), deleted: z.literal(true) })
  .register(named, { id: 'KeyDeleted' })

export const Settings = z
  .strictObject({
    shards: z.int().min(1),
    retention: z.array(
      z.strictObject({
        filter: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
        days: z.int().min(1),
      }),
    ),
    hot_days: count,
    hot_bytes: count,
    columns: z.record(z.string(), z.array(z.string())),
  })
  .register(named, { id: 'Settings' })

// Jobs and storage.

export const JobStarted = z
  .strictObject({ job_id: z.string(), state: z.literal('running') })
  .register(named, { id: 'JobStarted' })

const blocksDone = z.strictObject({ done: count, total: count })

export const Job = z
  .strictObject({
    job_id: z.string(),
    kind: z.enum(['delete', 'flush']),
    state: z.enum(['running', 'done', 'failed', 'incomplete']),
    created_at: iso,
    done_at: iso.nullable(),
    records: count,
    blocks: blocksDone,
    shards: z.array(
      z.strictObject({
        shard: count,
        state: z.enum(['running', 'done', 'failed', 'unknown']),
        records: count,
        blocks: blocksDone,
        error: textOrNull,
      }),
    ),
    error: textOrNull,
  })
  .register(named, { id: 'Job' })

export const FlushStarted = z
  .strictObject({ jobs: z.array(z.strictObject({ app_id: z.string(), job_id: z.string() })) })
  .register(named, { id: 'FlushStarted' })

const rowCounts = z.strictObject({ rows: count, records: count, bytes: count })
const ratio = z.number().nullable()
const sums = {
  records: count,
  raw_bytes: count,
  bytes: count,
  ratio,
  oldest: iso.nullable(),
  newest: iso.nullable(),
  blocks: z.array(
    z.strictObject({
      tier: z.enum(['hot', 'cold']),
      level: count,
      blocks: count,
      records: count,
      raw_bytes: count,
      bytes: count,
      ratio,
    }),
  ),
  pending: rowCounts,
  poison: rowCounts,
  database_bytes: count,
  rows_written: count,
  pending_objects: count,
  tombstones: count,
}
const dollars = z.number().min(0)

export const Storage = z
  .strictObject({
    app_id: z.string(),
    ...sums,
    archive: z.enum(['configured', 'none']),
    jobs: z.array(
      z.strictObject({
        shard: count,
        name: z.string(),
        last_run: iso.nullable(),
        next_run: iso.nullable(),
        error: textOrNull,
      }),
    ),
    warnings: z.array(z.strictObject({ shard: count, message: z.string() })),
    estimate: z.strictObject({
      currency: z.literal('USD'),
      month: dollars,
      parts: z.strictObject({
        object_storage: dollars,
        archive_storage: dollars,
        rows_written: dollars,
        requests: dollars,
        archive_writes: dollars,
      }),
      from: z.strictObject({
        records_a_month: count,
        rows_per_record: z.number(),
        records_per_request: z.number(),
        records_per_block: count,
        assumed: z.boolean(),
      }),
    }),
    shards: z.array(z.strictObject({ shard: count, ...sums, started_at: iso })),
  })
  .register(named, { id: 'Storage' })

export const Archive = z
  .strictObject({
    objects: z.array(
      z.strictObject({
        key: z.string(),
        bytes: count,
        records: count,
        day: z.string(),
        shard: count,
      }),
    ),
  })
  .register(named, { id: 'Archive' })

/** Of a deletion: a job, or with `dry_run` what it would delete. */
export const JobOrCount = z.union([JobStarted, Count]).register(named, { id: 'JobOrCount' })

// What the doors take that read it by hand: ingest/lines.ts and the readers of OTLP say what is wrong.

/** ExportLogsServiceRequest, in JSON. */
export const OtlpRequest = z
  .object({ resourceLogs: z.array(z.record(z.string(), z.unknown())).optional() })
  .describe('ExportLogsServiceRequest of opentelemetry/proto/collector/logs/v1')
  .register(named, { id: 'OtlpRequest' })

const text = z.string().optional()
const SentLog = z
  .looseObject({
    level: z
      .union([z.string(), z.number()])
      .optional()
      .describe("Any name of a level, or pino's 10 to 60."),
    message: z.unknown().optional().describe('Also `msg`.'),
    timestamp: z
      .union([z.string(), z.number()])
      .optional()
      .describe('Also `time`; without it, when it arrived.'),
    ...Object.fromEntries(TEXT_COLUMNS.map((column) => [column, text])),
    attributes: z
      .record(z.string(), z.unknown())
      .optional()
      .describe('Also `context` and `metadata`: their members are attributes.'),
  })
  .describe('Every other member is an attribute under its name.')
  .register(named, { id: 'SentLog' })

export const LogsRequest = z
  .union([SentLog, z.array(SentLog), z.strictObject({ logs: z.array(SentLog) })])
  .register(named, { id: 'LogsRequest' })

export const Document = z
  .looseObject({ openapi: z.string() })
  .describe('An OpenAPI document.')
  .register(named, { id: 'Document' })
