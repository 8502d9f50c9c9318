// What a tenant has stored: blocks by tier, what waits, what went wrong, and its objects in the archive.

import { Buffer } from 'node:buffer'
import { ownsKey } from '../block/object-key.ts'
import type { Env } from '../env.ts'
import { err, ok, type Result } from '../result.ts'
import type { ArchiveObject, BlocksView, ShardStorage } from '../shard/storage-view.ts'
import { type Estimate, estimateCost } from './costs.ts'
import { callShard, type ShardAccess, withShards } from './route.ts'

/** R2 takes no longer key, and so has none. */
const KEY_BYTES_MAX = 1024

/** Sealed or archived blocks of one level of compaction. */
export interface BlocksAnswer {
  tier: BlocksView['tier']
  level: number
  blocks: number
  records: number
  raw_bytes: number
  bytes: number
  ratio: number | null
}

interface Counts {
  rows: number
  records: number
  bytes: number
}

export interface StorageSums {
  /** Sealed or not. */
  records: number
  /** Of the sealed records before and after they were encoded. */
  raw_bytes: number
  bytes: number
  ratio: number | null
  oldest: string | null
  newest: string | null
  blocks: BlocksAnswer[]
  pending: Counts
  poison: Counts
  database_bytes: number
  /** Since the objects were started. */
  rows_written: number
  pending_objects: number
  tombstones: number
}

export interface UpkeepAnswer {
  name: string
  last_run: string | null
  next_run: string | null
  error: string | null
}

export interface StorageAnswer extends StorageSums {
  archive: ShardStorage['archive']
  jobs: (UpkeepAnswer & { shard: number })[]
  warnings: { shard: number; message: string }[]
  estimate: Estimate
  shards: (StorageSums & { shard: number; started_at: string })[]
}

/** What all shards hold, in sum and one by one. */
export const readHoldings = (env: Env, access: ShardAccess): Promise<Result<StorageAnswer>> =>
  withShards(env, access, async (access) => {
    const views = await askAll(access, (shard) =>
      callShard(env, access, shard, (stub, caller) => stub.storage(caller)),
    )
    return views.ok ? ok(storageAnswer(views.data)) : views
  })

/** The blocks of all shards that lie in the archive, by key. */
export const listArchive = (env: Env, access: ShardAccess) =>
  withShards(env, access, async (access) => {
    const lists = await askAll(access, (shard) =>
      callShard(env, access, shard, (stub, caller) => stub.archive(caller)),
    )
    if (!lists.ok) return lists
    const objects: (ArchiveObject & { shard: number })[] = lists.data.flatMap((list, shard) =>
      list.objects.map((object) => ({ ...object, shard })),
    )
    objects.sort((a, b) => (a.key < b.key ? -1 : 1))
    return ok({ objects })
  })

/** One of the tenant's objects. Another tenant's is not found, whether it is there or not. */
export async function openArchived(
  env: Env,
  { tenant }: ShardAccess,
  key: string,
): Promise<Result<R2ObjectBody>> {
  if (!env.ARCHIVE) {
    return err('not_found', 'this deployment has no archive: its Worker has no R2 binding ARCHIVE')
  }
  const missing = err('not_found', 'the archive of this app has no such object')
  if (!ownsKey(tenant, key) || Buffer.byteLength(key) > KEY_BYTES_MAX) return missing
  try {
    const object = await env.ARCHIVE.get(key)
    return object === null ? missing : ok(object)
  } catch (e) {
    // Whatever R2 fails of, the next attempt may succeed.
    console.error(`R2 failed to bring ${key}`, e)
    return err('unavailable', 'the archive did not answer; retry in a second')
  }
}

/** What every shard answers, by shard; the first failure if one does not. */
async function askAll<T>(
  { tenant }: ShardAccess,
  call: (shard: number) => Promise<Result<T>>,
): Promise<Result<T[]>> {
  const replies = await Promise.all(Array.from({ length: tenant.shards }, (_, i) => call(i)))
  const data: T[] = []
  for (const reply of replies) {
    if (!reply.ok) return reply
    data.push(reply.data)
  }
  return ok(data)
}

/** Pure. */
export function storageAnswer(views: ShardStorage[]): StorageAnswer {
  const hot = sumBlocks(views, 'hot')
  const cold = sumBlocks(views, 'cold')
  const recentDays = Math.max(...views.map(({ recent }) => recent.days))
  const hasArchive = views.some(({ archive }) => archive === 'configured')
  return {
    ...sumsOf(views),
    archive: hasArchive ? 'configured' : 'none',
    jobs: views.flatMap(({ jobs }, shard) =>
      jobs.map(({ name, lastRunMs, nextRunMs, error }) => ({
        shard,
        name,
        last_run: iso(lastRunMs),
        next_run: iso(nextRunMs),
        error,
      })),
    ),
    warnings: views.flatMap(({ warnings }, shard) =>
      warnings.map((message) => ({ shard, message })),
    ),
    estimate: estimateCost({
      databaseBytes: sum(views, (view) => view.databaseBytes),
      archive: cold,
      hot,
      hasArchive,
      seen: {
        rowsWritten: sum(views, (view) => view.rowsWritten),
        records: sum(views, (view) => view.records),
        appends: sum(views, (view) => view.appends),
      },
      recent: { records: sum(views, ({ recent }) => recent.records), days: recentDays },
    }),
    shards: views.map((view, shard) => ({
      shard,
      started_at: new Date(view.startedMs).toISOString(),
      ...sumsOf([view]),
    })),
  }
}

function sumsOf(views: ShardStorage[]): StorageSums {
  const blocks = blocksOf(views)
  const raw = sum(blocks, (tier) => tier.raw_bytes)
  const bytes = sum(blocks, (tier) => tier.bytes)
  const pending = countsOf(views.map((view) => view.pending))
  const oldest = views.map(({ oldestMs }) => oldestMs).filter((ms) => ms !== null)
  const newest = views.map(({ newestMs }) => newestMs).filter((ms) => ms !== null)
  return {
    records: sum(blocks, (tier) => tier.records) + pending.records,
    raw_bytes: raw,
    bytes,
    ratio: ratioOf(raw, bytes),
    oldest: oldest.length === 0 ? null : iso(Math.min(...oldest)),
    newest: newest.length === 0 ? null : iso(Math.max(...newest)),
    blocks,
    pending,
    poison: countsOf(views.map((view) => view.poison)),
    database_bytes: sum(views, (view) => view.databaseBytes),
    rows_written: sum(views, (view) => view.rowsWritten),
    pending_objects: sum(views, (view) => view.pendingObjects),
    tombstones: sum(views, (view) => view.tombstones),
  }
}

/** Blocks of all shards by tier and level, hot ones first. */
function blocksOf(views: ShardStorage[]): BlocksAnswer[] {
  const tiers = new Map<string, BlocksAnswer>()
  for (const { tier, level, ...counts } of views.flatMap(({ blocks }) => blocks)) {
    const name = `${tier === 'hot' ? 0 : 1} ${String(level).padStart(3, '0')}`
    const found = tiers.get(name)
    const all = found ?? { tier, level, blocks: 0, records: 0, raw_bytes: 0, bytes: 0, ratio: null }
    if (!found) tiers.set(name, all)
    all.blocks += counts.blocks
    all.records += counts.records
    all.raw_bytes += counts.rawBytes
    all.bytes += counts.bytes
    all.ratio = ratioOf(all.raw_bytes, all.bytes)
  }
  return [...tiers].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, tier]) => tier)
}

function sumBlocks(views: ShardStorage[], tier: BlocksView['tier']) {
  const some = views.flatMap(({ blocks }) => blocks).filter((one) => one.tier === tier)
  return {
    bytes: sum(some, (one) => one.bytes),
    records: sum(some, (one) => one.records),
    blocks: sum(some, (one) => one.blocks),
  }
}

const countsOf = (all: Counts[]): Counts => ({
  rows: sum(all, (one) => one.rows),
  records: sum(all, (one) => one.records),
  bytes: sum(all, (one) => one.bytes),
})

const sum = <T>(all: T[], of: (one: T) => number) => all.reduce((n, one) => n + of(one), 0)
const ratioOf = (raw: number, bytes: number) =>
  bytes === 0 ? null : Math.round((100 * raw) / bytes) / 100
const iso = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString())
