// What stands around a record: its neighbours in time, and everything of one trace.

import { TraceSink, type TraceTotals } from '../count/trace.ts'
import type { Env } from '../env.ts'
import type { RecordView } from '../match/view.ts'
import { allOf, columnIs, type Filter, fieldIs, notOf } from '../query/filter.ts'
import { type Plan, type Position, writeCursor } from '../query/plan.ts'
import { err, ok, type Result } from '../result.ts'
import {
  type QueryAnswer,
  type QueryOptions,
  queryShards,
  readInto,
  type Told,
  toldOf,
} from './read.ts'
import type { PartialReason } from './reader.ts'
import { type ShardAccess, withShards } from './route.ts'
import { bothStats, nothingRead } from './stats.ts'

export const CONTEXT_SCOPES = ['service', 'trace', 'all'] as const
export type ContextScope = (typeof CONTEXT_SCOPES)[number]

/** Which neighbours of a record. */
export interface ContextWish {
  before: number
  after: number
  scope: ContextScope
}

export interface ContextAnswer extends Told {
  record: RecordView
  scope: ContextScope
  /** The neighbours, the oldest first. */
  before: RecordView[]
  after: RecordView[]
  /** Whether there are others beyond them. */
  more: { before: boolean; after: boolean }
}

/** The neighbours of a record in the order of answers: of those that `plan` lets through, and its own kind. */
export async function readContext(
  env: Env,
  access: ShardAccess,
  plan: Plan,
  record: RecordView,
  wish: ContextWish,
  options: QueryOptions,
): Promise<Result<ContextAnswer>> {
  const { scope } = wish
  const kin = kinOf(record, scope)
  if (!kin.ok) return kin
  const around = { ...plan, filter: allOf([plan.filter, kin.data]), after: positionOf(record) }
  const read = (order: 'asc' | 'desc', limit: number) =>
    limit === 0 ? ok(NO_PAGE) : queryShards(env, access, { ...around, order, limit }, options)
  const [before, after] = await Promise.all([read('desc', wish.before), read('asc', wish.after)])
  if (!before.ok) return before
  if (!after.ok) return after
  return ok({
    record,
    scope,
    before: before.data.logs.reverse(),
    after: after.data.logs,
    more: { before: before.data.next_cursor !== null, after: after.data.next_cursor !== null },
    ...bothTold(before.data, after.data),
  })
}

/** The records that belong together with this one. */
function kinOf(record: RecordView, scope: ContextScope): Result<Filter> {
  if (scope === 'all') return ok(allOf([]))
  if (scope === 'service') {
    const { service } = record
    const hasService = fieldIs({ in: 'column', name: 'service' }, { is: 'exists' })
    return ok(service === null ? notOf(hasService) : columnIs('service', service))
  }
  if (record.trace_id !== null) return ok(columnIs('trace_id', record.trace_id))
  const text = `the record ${record.id} has no trace_id: ask with scope=service or scope=all`
  return err('bad_request', text, { parameter: 'scope' })
}

function positionOf({ id, time_unix_nano }: RecordView): Position {
  const [shard = 0, seq = 0] = id.split('-').map(Number)
  return {
    ms: Number(time_unix_nano.slice(0, -6)),
    ns: Number(time_unix_nano.slice(-6)),
    shard,
    seq,
  }
}

const NO_PAGE: QueryAnswer = {
  logs: [],
  next_cursor: null,
  partial: false,
  partial_reasons: [],
  stats: nothingRead(),
}

/** What an answer tells that took two queries, done at the same time. */
function bothTold(a: QueryAnswer, b: QueryAnswer): Told {
  const reasons = new Map<string, PartialReason>()
  for (const reason of [...a.partial_reasons, ...b.partial_reasons]) {
    reasons.set(JSON.stringify(reason), reason)
  }
  return {
    partial: a.partial || b.partial,
    partial_reasons: [...reasons.values()],
    stats: bothStats(a.stats, b.stats),
  }
}

export interface TraceAnswer extends TraceTotals, Told {
  trace_id: string
  /** One page, the oldest first. */
  records: RecordView[]
  next_cursor: string | null
}

/**
 * A page of the plan's records, which are those of one trace, and what all of them come to. Both are
 * found in one go. Where the budget ends it before, the totals are of what was seen, and the page is
 * read by itself, so that pages get on.
 */
export const readTrace = (
  env: Env,
  access: ShardAccess,
  plan: Plan,
  traceId: string,
  options: QueryOptions,
): Promise<Result<TraceAnswer>> =>
  withShards(env, access, (access) => readTraceOnce(env, access, plan, traceId, options))

async function readTraceOnce(
  env: Env,
  access: ShardAccess,
  plan: Plan,
  traceId: string,
  options: QueryOptions,
): Promise<Result<TraceAnswer>> {
  const sink = new TraceSink(plan)
  const whole = { ...plan, after: null }
  const read = await readInto(env, access, { plan: whole, ask: null, ...options }, sink)
  if (!read.ok) return read
  const reader = read.data
  const told = toldOf(reader)
  const answer = (records: RecordView[], next_cursor: string | null) =>
    ok({ trace_id: traceId, ...sink.totals(), records, next_cursor, ...told })
  if (reader.frontierMs !== null) {
    const page = await queryShards(env, access, { ...plan, maxSeqs: reader.maxSeqs }, options)
    return page.ok ? answer(page.data.logs, page.data.next_cursor) : page
  }
  // A page that lacks something is offered again, as in GET /logs.
  const last = told.partial ? plan.after : sink.page.lastBeforeMore()
  const isOver = last === null && !told.partial
  return answer(sink.page.records(), isOver ? null : writeCursor(plan, reader.maxSeqs, last))
}
