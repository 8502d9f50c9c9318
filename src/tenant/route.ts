// Which shard takes a batch, and how a shard is called. With tenant/read.ts this is the only code that
// knows there is more than one; every door that writes ends in appendRecords.

import { encodeSegments } from '../block/segment.ts'
import type { Env } from '../env.ts'
import { APPEND_BYTES_MAX } from '../limits.ts'
import type { RecordBatch } from '../record.ts'
import { err, ok, type Result } from '../result.ts'
import type { Stored } from '../shard/commit.ts'
import type { LogShard, ShardCaller } from '../shard/shard.ts'
import { forgetApp, forgetKey, tenantForApp } from './keys.ts'
import type { Tenant } from './registry.ts'

/** Whose data, and by which key (null: the owner, or a Worker of the account). */
export interface ShardAccess {
  tenant: Tenant
  keyId: string | null
}

/** The stub of one shard. Objects are named by the tenant's id, so a name made again meets no old data. */
export function shardStub(env: Env, tenant: Tenant, shard: number) {
  const options = tenant.locationHint === null ? {} : { locationHint: tenant.locationHint }
  return env.LOG_SHARD.getByName(`${tenant.tenantId}-${shard}`, options)
}

/**
 * Runs a call with the tenant as this isolate remembers it. When a shard knows that there are more
 * shards by now, the registry is asked and the whole call repeated, once.
 */
export async function withShards<T>(
  env: Env,
  access: ShardAccess,
  call: (access: ShardAccess) => Promise<Result<T>>,
): Promise<Result<T>> {
  const first = await call(access)
  if (!isStale(first)) return first
  const { appId, tenantId } = access.tenant
  const tenant = await tenantForApp(env, appId, Date.now())
  if (!tenant.ok) return tenant
  if (tenant.data?.tenantId !== tenantId) return err('not_found', 'this app has been deleted')
  const second = await call({ ...access, tenant: tenant.data })
  if (!isStale(second)) return second
  return err('unavailable', 'the number of shards is being raised; retry in a second')
}

const isStale = (result: Result<unknown>) => !result.ok && result.error.details?.stale === true

/**
 * Stores a batch whole on one shard: durable and visible to every query once it resolves. With a
 * batch id it may be repeated, and is here, once, when the shard was lost on the way.
 */
export const appendRecords = (
  env: Env,
  access: ShardAccess,
  batch: RecordBatch,
  batchId: Uint8Array | null,
): Promise<Result<Stored>> =>
  withShards(env, access, (access) => appendOnce(env, access, batch, batchId))

async function appendOnce(
  env: Env,
  access: ShardAccess,
  batch: RecordBatch,
  batchId: Uint8Array | null,
): Promise<Result<Stored>> {
  const notes = notesOf(batch)
  if (batch.length === 0) {
    if (Object.keys(notes).length > 0) await noteRefused(env, access, notes)
    return ok({ duplicate: false })
  }
  const segments = encodeSegments(batch)
  const bytes = segments.reduce((sum, segment) => sum + segment.bytes.length, 0)
  if (bytes > APPEND_BYTES_MAX) {
    const text = `the records take ${bytes} bytes stored; at most ${APPEND_BYTES_MAX} in one request: send smaller batches`
    return err('too_large', text, { max: APPEND_BYTES_MAX })
  }
  const append = { segments, batchId, notes }
  const { shards } = access.tenant
  const pick = batchId ?? crypto.getRandomValues(new Uint8Array(4))
  const shard = new DataView(pick.buffer, pick.byteOffset).getUint32(0) % shards
  const call = () => callShard(env, access, shard, (stub, caller) => stub.append(caller, append))
  const first = await call()
  // Only a batch that is known again may be sent again: else a lost answer would store it twice.
  const isLost = !first.ok && first.error.details?.lost === true
  return isLost && batchId !== null ? call() : first
}

/** Cut fields and refused records, by name, for /stats. */
function notesOf(batch: RecordBatch): Record<string, number> {
  const notes: Record<string, number> = {}
  const count = (name: string) => {
    notes[name] = (notes[name] ?? 0) + 1
  }
  for (const { field } of batch.rejected) count(`refused_record_${field.split('.')[0] || 'line'}`)
  for (const text of batch.cut) {
    if (text === null) continue
    for (const { field } of JSON.parse(text) as { field: string }[]) {
      count(`cut_${field.split('.')[0]}`)
    }
  }
  return notes
}

/** Counts requests refused at the edge in the tenant's statistics. Best effort: it never fails a request. */
export async function noteRefused(
  env: Env,
  access: ShardAccess,
  counts: Record<string, number>,
): Promise<void> {
  await callShard(env, access, 0, async (stub, caller) => ok(await stub.note(caller, counts)))
}

/** The counts of all shards, added up by day. */
export const readStats = (env: Env, access: ShardAccess) =>
  withShards(env, access, (access) => readStatsOnce(env, access))

async function readStatsOnce(env: Env, access: ShardAccess) {
  const shards = Array.from({ length: access.tenant.shards }, (_, shard) => shard)
  const replies = await Promise.all(
    shards.map((shard) => callShard(env, access, shard, (stub, caller) => stub.stats(caller))),
  )
  const days = new Map<string, { records: number; levels: Counts; notes: Counts }>()
  const storage = { rows_written: 0, database_bytes: 0 }
  for (const reply of replies) {
    if (!reply.ok) return reply
    storage.rows_written += reply.data.storage.rows_written
    storage.database_bytes += reply.data.storage.database_bytes
    for (const { day, records, levels, notes } of reply.data.days) {
      const sum = days.get(day) ?? { records: 0, levels: {}, notes: {} }
      sum.records += records
      addCounts(sum.levels, levels)
      addCounts(sum.notes, notes)
      days.set(day, sum)
    }
  }
  const sorted = [...days].sort(([a], [b]) => (a < b ? -1 : 1))
  return ok({ days: sorted.map(([day, counts]) => ({ day, ...counts })), storage })
}

type Counts = Record<string, number>
function addCounts(to: Counts, counts: Counts): void {
  for (const [name, count] of Object.entries(counts)) to[name] = (to[name] ?? 0) + count
}

/** What the platform marks the errors of a call to an object with. */
interface PlatformError {
  overloaded?: boolean
  retryable?: boolean
  durableObjectReset?: boolean
  remote?: boolean
}

/**
 * Calls one shard. That it restarts, is overloaded or can not be reached is the platform's everyday:
 * the answer is then 503, with `lost` where the call may or may not have been carried out.
 */
export async function callShard<T>(
  env: Env,
  access: ShardAccess,
  shard: number,
  call: (stub: DurableObjectStub<LogShard>, caller: ShardCaller) => Promise<Result<T>>,
): Promise<Result<T>> {
  try {
    const { keyId, tenant } = access
    const caller = { keyId, shards: tenant.shards }
    const result = await call(shardStub(env, tenant, shard), caller)
    if (result.ok) return result
    // What this isolate remembers of the key or the app is out of date.
    if (result.error.code === 'unauthorized' && keyId) forgetKey(keyId)
    if (result.error.code === 'not_found' || isStale(result)) forgetApp(tenant.appId)
    return result
  } catch (e) {
    const failed = e as PlatformError
    // Thrown by the shard's own code, and not by what happened to it: a bug, and no use to retry.
    const isOfShard = failed.remote && !failed.retryable && !failed.durableObjectReset
    if (isOfShard && !failed.overloaded) throw e
    console.error(`shard ${shard} failed`, e)
    if (failed.overloaded) {
      return err('overloaded', 'the shard has too much to do; retry in a second', { shard })
    }
    return err('unavailable', 'the shard did not answer; retry in a second', { shard, lost: true })
  }
}
