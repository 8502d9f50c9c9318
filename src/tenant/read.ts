// Records out: a page, a count, one record. Every door that reads ends here; tenant/reader.ts does the
// reading, and here it is said what is read and what the answer looks like.

import type { Env } from '../env.ts'
import { Page, type Sink, Tally } from '../match/merge.ts'
import type { RecordView } from '../match/view.ts'
import { EVERYTHING } from '../query/filter.ts'
import { everythingOf, type Plan, writeCursor } from '../query/plan.ts'
import { err, ok, type Result } from '../result.ts'
import type { Explanation } from './explain.ts'
import { type Budget, type PartialReason, Reader, type Reading } from './reader.ts'
import { type ShardAccess, withShards } from './route.ts'
import type { QueryStats } from './stats.ts'

export interface QueryAnswer {
  logs: RecordView[]
  next_cursor: string | null
  partial: boolean
  partial_reasons: PartialReason[]
  stats: QueryStats
  explain?: Explanation
}

/** How an answer came about, and what it lacks. */
export interface Told {
  partial: boolean
  partial_reasons: PartialReason[]
  /**
   * Of a partial answer: the time that was looked through whole, `until` null where there is no end.
   * null: some of every time may be missing.
   */
  covered?: { since: number; until: number | null } | null
  stats: QueryStats
  explain?: Explanation
}

/** How a query is carried out, apart from what it asks. */
export interface QueryOptions {
  /** Tell what became of every block. */
  explain?: boolean
  /** Tell nothing of blocks: whether one was opened tells what other workspaces hold. */
  hidesBlocks?: boolean
  signal?: AbortSignal
  budget?: Budget
  /**
   * After a page that lacks stored records which can not be read comes the next one, and not the same
   * again: for who tells of the gap and wants the rest.
   */
  goesPastGaps?: boolean
}

export interface CountAnswer extends Told {
  count: number
}

/** One page of the records that match, over all shards. What can not be read makes it partial. */
export const queryShards = (
  env: Env,
  access: ShardAccess,
  plan: Plan,
  options: QueryOptions = {},
): Promise<Result<QueryAnswer>> =>
  withShards(env, access, (access) => readPage(env, access, plan, options))

/** `sinkOf`: what stands before the page and lets through only some of the records that match. */
export async function readPage(
  env: Env,
  access: ShardAccess,
  plan: Plan,
  options: QueryOptions,
  sinkOf: (page: Page) => Sink = (page) => page,
): Promise<Result<QueryAnswer>> {
  const page = new Page(plan)
  const read = await readInto(env, access, { plan, ask: null, ...options }, sinkOf(page))
  if (!read.ok) return read
  const reader = read.data
  const { reasons, maxSeqs, explainer, frontierMs } = reader
  if (frontierMs !== null) page.endAt(frontierMs)
  const lacks = reasons.some(
    ({ code }) => code === 'shard_unreachable' || (code !== 'budget' && !options.goesPastGaps),
  )
  const last = page.lastBeforeMore()
  return ok({
    logs: page.records(),
    // A page that lacks something is offered again, over the set that is known by now.
    next_cursor: lacks
      ? writeCursor(plan, maxSeqs, plan.after)
      : last && writeCursor(plan, maxSeqs, last),
    partial: reasons.length > 0,
    partial_reasons: reasons,
    stats: reader.toldStats,
    ...(explainer && { explain: explainer.told() }),
  })
}

/** How many records match, over all shards, as much of it as possible from their catalogs. */
export const countShards = (
  env: Env,
  access: ShardAccess,
  plan: Plan,
  options: QueryOptions = {},
): Promise<Result<CountAnswer>> =>
  withShards(env, access, (access) => readCount(env, access, plan, options))

async function readCount(
  env: Env,
  access: ShardAccess,
  plan: Plan,
  options: QueryOptions,
): Promise<Result<CountAnswer>> {
  const tally = new Tally()
  const read = await readInto(env, access, { plan, ask: { kind: 'count' }, ...options }, tally)
  return read.ok ? ok({ count: tally.records, ...toldOf(read.data) }) : read
}

/** Reads all shards of the plan's set into a sink. The reader tells how that went. */
export async function readInto(
  env: Env,
  access: ShardAccess,
  reading: Omit<Reading, 'shards' | 'onlyRange'>,
  sink: Sink,
): Promise<Result<Reader>> {
  const { maxSeqs } = reading.plan
  // Shards that were made after the first page hold nothing of its set.
  const count = Math.min(access.tenant.shards, maxSeqs.length || access.tenant.shards)
  const shards = Array.from({ length: count }, (_, shard) => shard)
  const reader = new Reader(env, access, { ...reading, shards, onlyRange: null }, sink)
  const failure = await reader.run()
  return failure ? { ok: false, error: failure } : ok(reader)
}

/** What an answer that is no page says of how it came about. */
export function toldOf(reader: Reader): Told {
  const { reasons, explainer } = reader
  return {
    partial: reasons.length > 0,
    partial_reasons: reasons,
    ...(reasons.length > 0 && { covered: reader.covered }),
    stats: reader.toldStats,
    ...(explainer && { explain: explainer.told() }),
  }
}

/** One record by its id, or null. */
export const readRecord = (
  env: Env,
  access: ShardAccess,
  shard: number,
  seq: number,
): Promise<Result<RecordView | null>> =>
  withShards(env, access, (access) => readOne(env, access, shard, seq))

async function readOne(
  env: Env,
  access: ShardAccess,
  shard: number,
  seq: number,
): Promise<Result<RecordView | null>> {
  if (shard >= access.tenant.shards) return ok(null)
  const plan = everythingOf({ filter: EVERYTHING, since: null, until: null })
  const page = new Page(plan)
  const onlyRange = { firstSeq: seq, lastSeq: seq }
  const reader = new Reader(env, access, { plan, shards: [shard], onlyRange, ask: null }, page)
  const failure = await reader.run()
  if (failure) return { ok: false, error: failure }
  const [record] = page.records()
  const [reason] = reader.reasons
  if (record || !reason) return ok(record ?? null)
  if (reason.code === 'shard_unreachable' || reason.code === 'budget') {
    return err('unavailable', 'the shard did not answer; retry in a second', { shard })
  }
  const text = `the block of this record can not be read: ${reason.code}, shard ${shard}, block ${reason.block}`
  return err('unavailable', text, { ...reason })
}
