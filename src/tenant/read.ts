// Records out: a page, a count, one record. Every door that reads ends here; tenant/reader.ts does the
// reading, and here it is said what is read and what the answer looks like.

import type { Env } from '../env.ts'
import { EVERYTHING } from '../query/filter.ts'
import { Page, Tally } from '../query/merge.ts'
import { everythingOf, type Plan, writeCursor } from '../query/plan.ts'
import type { RecordView } from '../query/view.ts'
import { err, ok, type Result } from '../result.ts'
import { type PartialReason, type QueryStats, Reader, type Reading } from './reader.ts'
import { type ShardAccess, withShards } from './route.ts'

export interface QueryAnswer {
  logs: RecordView[]
  next_cursor: string | null
  partial: boolean
  partial_reasons: PartialReason[]
  stats: QueryStats
}

/** How an answer came about, and what it lacks. */
export interface Told {
  partial: boolean
  partial_reasons: PartialReason[]
  stats: QueryStats
}

export interface CountAnswer extends Told {
  count: number
}

/** One page of the records that match, over all shards. What can not be read makes it partial. */
export const queryShards = (
  env: Env,
  access: ShardAccess,
  plan: Plan,
): Promise<Result<QueryAnswer>> => withShards(env, access, (access) => readPage(env, access, plan))

async function readPage(env: Env, access: ShardAccess, plan: Plan): Promise<Result<QueryAnswer>> {
  const page = new Page(plan)
  // Shards that were made after the first page hold nothing of its set.
  const count = Math.min(access.tenant.shards, plan.maxSeqs.length || access.tenant.shards)
  const reading: Reading = { plan, shards: upTo(count), onlyRange: null, ask: null }
  const reader = new Reader(env, access, reading, page)
  const failure = await reader.run()
  if (failure) return { ok: false, error: failure }
  const { reasons, maxSeqs, stats } = reader
  const isPartial = reasons.length > 0
  const last = page.lastBeforeMore()
  return ok({
    logs: page.records(),
    // A page that lacks something is offered again, over the set that is known by now.
    next_cursor: isPartial
      ? writeCursor(plan, maxSeqs, plan.after)
      : last && writeCursor(plan, maxSeqs, last),
    partial: isPartial,
    partial_reasons: reasons,
    stats,
  })
}

/** How many records match, over all shards, as much of it as possible from their catalogs. */
export const countShards = (
  env: Env,
  access: ShardAccess,
  plan: Plan,
): Promise<Result<CountAnswer>> => withShards(env, access, (access) => readCount(env, access, plan))

async function readCount(env: Env, access: ShardAccess, plan: Plan): Promise<Result<CountAnswer>> {
  const tally = new Tally()
  const reading = {
    plan,
    shards: upTo(access.tenant.shards),
    onlyRange: null,
    ask: { kind: 'count' as const },
  }
  const reader = new Reader(env, access, reading, tally)
  const failure = await reader.run()
  if (failure) return { ok: false, error: failure }
  return ok({ count: tally.records, ...toldOf(reader) })
}

/** What an answer that is no page says of how it came about. */
export const toldOf = ({ reasons, stats }: Reader): Told => ({
  partial: reasons.length > 0,
  partial_reasons: reasons,
  stats,
})

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
  if (reason.code === 'shard_unreachable') {
    return err('unavailable', 'the shard did not answer; retry in a second', { shard })
  }
  const text = `the block of this record can not be read: ${reason.code}, shard ${shard}, block ${reason.block}`
  return err('unavailable', text, { ...reason })
}

const upTo = (count: number) => Array.from({ length: count }, (_, shard) => shard)
