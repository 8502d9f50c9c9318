// Jobs that people ask for: deletions and flushes. A job has one id on all shards, and each shard keeps
// its own part of it; nothing else does. The id's end says how many shards were asked, so that one
// which never heard of the job is told from one that was added since.

import { Buffer } from 'node:buffer'
import type { Env } from '../env.ts'
import type { RecordFilter } from '../query/parameters.ts'
import { err, ok, type Result } from '../result.ts'
import type { LogShard, ShardCaller } from '../shard/shard.ts'
import type { JobView } from '../shard/storage-view.ts'
import type { Tenant } from './registry.ts'
import { callShard, type ShardAccess, withShards } from './route.ts'

export interface StartedJob {
  job_id: string
  state: 'running'
}

export interface JobPart {
  shard: number
  /** `unknown`: it never heard of the job, or has forgotten it. */
  state: JobView['state'] | 'unknown'
  records: number
  blocks: { done: number; total: number }
  error: string | null
}

export interface JobAnswer {
  job_id: string
  kind: JobView['kind']
  /** `incomplete`: some shards are done, and others know nothing of it. */
  state: JobView['state'] | 'incomplete'
  created_at: string
  done_at: string | null
  records: number
  blocks: { done: number; total: number }
  shards: JobPart[]
  error: string | null
}

const JOB_ID = /^job_[0-9a-f]{24}([0-9a-f]{2})$/
/** Apps that are asked to flush at once, each of up to 64 shards. */
const APPS_AT_ONCE = 4
/** Shards that one request asks to flush: a request may make 10,000 calls. */
const FLUSH_SHARDS_MAX = 5000

type Start = (
  stub: DurableObjectStub<LogShard>,
  caller: ShardCaller,
  jobId: string,
) => Promise<Result<null>>

/**
 * Starts a deletion of all stored records that match. In force on every shard once it is answered, or
 * `unavailable` names those where it may not be; then it is to be asked for again.
 */
export const deleteFromShards = (env: Env, access: ShardAccess, match: RecordFilter) =>
  withShards(env, access, (access) =>
    startJob(env, access, (stub, caller, jobId) => stub.deleteRecords(caller, { jobId, match })),
  )

/** Starts sealing all that is stored, and archiving what was received before `olderThanMs`. */
export const flushShards = (env: Env, access: ShardAccess, olderThanMs: number) =>
  withShards(env, access, (access) =>
    startJob(env, access, (stub, caller, jobId) => stub.flush(caller, { jobId, olderThanMs })),
  )

/** The same for several apps; those that could not be flushed are named, the others are. */
export async function flushAll(env: Env, tenants: Tenant[], olderThanMs: number) {
  const shards = tenants.reduce((sum, tenant) => sum + tenant.shards, 0)
  if (shards > FLUSH_SHARDS_MAX) {
    const text = `all apps have ${shards} shards together, and one request flushes ${FLUSH_SHARDS_MAX}: name one by app_id`
    return err('bad_request', text, { max: FLUSH_SHARDS_MAX })
  }
  const jobs: { app_id: string; job_id: string }[] = []
  const failed: { app_id: string; message: string }[] = []
  for (let at = 0; at < tenants.length; at += APPS_AT_ONCE) {
    const some = tenants.slice(at, at + APPS_AT_ONCE)
    const started = await Promise.all(
      some.map((tenant) => flushShards(env, { tenant, keyId: null }, olderThanMs)),
    )
    for (const [i, result] of started.entries()) {
      const { appId: app_id } = some[i]!
      if (result.ok) jobs.push({ app_id, job_id: result.data.job_id })
      // An app that was deleted meanwhile has nothing to flush.
      else if (result.error.code !== 'not_found') {
        failed.push({ app_id, message: result.error.message })
      }
    }
  }
  if (failed.length === 0) return ok({ jobs })
  const names = failed.map(({ app_id }) => app_id).join(', ')
  return err('unavailable', `not all shards of ${names} answered; repeat the request`, {
    jobs,
    failed,
  })
}

/** Tells all shards of a new job, once more where the first call was lost. */
async function startJob(env: Env, access: ShardAccess, start: Start): Promise<Result<StartedJob>> {
  const { shards } = access.tenant
  const jobId = newJobId(shards)
  const outcomes = await Promise.all(
    upTo(shards).map(async (shard) => {
      const call = () => callShard(env, access, shard, (stub, caller) => start(stub, caller, jobId))
      const first = await call()
      return !first.ok && first.error.details?.lost === true ? call() : first
    }),
  )
  const silent: number[] = []
  for (const [shard, outcome] of outcomes.entries()) {
    if (outcome.ok) continue
    const { code } = outcome.error
    if (code !== 'unavailable' && code !== 'overloaded') return outcome
    silent.push(shard)
  }
  if (silent.length === 0) return ok({ job_id: jobId, state: 'running' })
  return err(
    'unavailable',
    `shards ${silent.join(', ')} did not confirm the job, the others work on it; repeat the request, which is safe`,
    { shards: silent, job_id: jobId },
  )
}

/** How far a job is, over all shards; null: none of them knows it. */
export const readJob = (
  env: Env,
  access: ShardAccess,
  jobId: string,
): Promise<Result<JobAnswer | null>> =>
  withShards(env, access, (access) => readJobOnce(env, access, jobId))

async function readJobOnce(
  env: Env,
  access: ShardAccess,
  jobId: string,
): Promise<Result<JobAnswer | null>> {
  const asked = Number.parseInt(JOB_ID.exec(jobId)?.[1] ?? '0', 16)
  const count = Math.min(asked, access.tenant.shards)
  const replies = await Promise.all(
    upTo(count).map((shard) =>
      callShard(env, access, shard, (stub, caller) => stub.job(caller, jobId)),
    ),
  )
  const views: (JobView | null)[] = []
  for (const reply of replies) {
    if (!reply.ok) return reply
    views.push(reply.data)
  }
  return ok(jobAnswer(jobId, views))
}

/** The parts of a job as one; null where there is none. Pure. */
export function jobAnswer(jobId: string, views: (JobView | null)[]): JobAnswer | null {
  const known = views.filter((view) => view !== null)
  const first = known[0]
  if (first === undefined) return null
  const sum = (of: (view: JobView) => number) => known.reduce((n, view) => n + of(view), 0)
  const isDone = known.length === views.length && known.every(({ doneMs }) => doneMs !== null)
  const states = known.map(({ state }) => state)
  return {
    job_id: jobId,
    kind: first.kind,
    state: stateOf(states, views.length),
    created_at: iso(Math.min(...known.map(({ createdMs }) => createdMs))),
    done_at: isDone ? iso(Math.max(...known.map(({ doneMs }) => doneMs!))) : null,
    records: sum(({ records }) => records),
    blocks: { done: sum(({ blocksDone }) => blocksDone), total: sum((view) => view.blocksTotal) },
    shards: views.map((view, shard) => ({
      shard,
      state: view?.state ?? 'unknown',
      records: view?.records ?? 0,
      blocks: { done: view?.blocksDone ?? 0, total: view?.blocksTotal ?? 0 },
      error: view?.error ?? null,
    })),
    error: known.find(({ error }) => error !== null)?.error ?? null,
  }
}

function stateOf(states: JobView['state'][], shards: number): JobAnswer['state'] {
  if (states.includes('running')) return 'running'
  if (states.includes('failed')) return 'failed'
  return states.length < shards ? 'incomplete' : 'done'
}

function newJobId(shards: number): string {
  const random = Buffer.from(crypto.getRandomValues(new Uint8Array(12))).toString('hex')
  return `job_${random}${shards.toString(16).padStart(2, '0')}`
}

const upTo = (count: number) => Array.from({ length: count }, (_, shard) => shard)
const iso = (ms: number) => new Date(ms).toISOString()
