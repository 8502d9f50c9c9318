// The only code that knows there is more than one shard: which shard takes a batch, and how the
// answers of all of them become one. Every door ends in appendRecords, queryShards or readRecord.

import { decodeSegment, encodeSegments, unpackSegments } from '../block/segment.ts'
import type { Env } from '../env.ts'
import { APPEND_BYTES_MAX, CANDIDATE_BYTES_FIRST, CANDIDATE_BYTES_MAX } from '../limits.ts'
import { Page } from '../query/merge.ts'
import { ALL_LEVELS, type Plan, rangeOf, writeCursor } from '../query/plan.ts'
import { scan } from '../query/scan.ts'
import { type RecordView, recordView } from '../query/view.ts'
import type { RecordBatch } from '../record.ts'
import { err, type Failure, ok, type Result } from '../result.ts'
import type { Candidate, CandidatesReply, CandidatesRequest } from '../shard/candidates.ts'
import type { Stored } from '../shard/commit.ts'
import type { LogShard, ShardCaller } from '../shard/shard.ts'
import { forgetApp, forgetKey } from './keys.ts'
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
 * Stores a batch whole on one shard: durable and visible to every query once it resolves. With a
 * batch id it may be repeated, and is here, once, when the shard was lost on the way.
 */
export async function appendRecords(
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

export interface QueryStats {
  blocks: {
    considered: number
    skipped: { time: number; values: number; filter: number; pattern: number }
    opened: number
  }
  bytes: number
  rows: number
  r2_reads: number
  ms: number
}

/** What an answer lacks: a shard that can not be heard, or a stored batch that can not be read. */
export type PartialReason =
  | { code: 'shard_unreachable'; shard: number }
  | { code: 'block_corrupt'; shard: number; block: number }

export interface QueryAnswer {
  logs: RecordView[]
  next_cursor: string | null
  partial: boolean
  partial_reasons: PartialReason[]
  stats: QueryStats
}

const newStats = (): QueryStats => ({
  blocks: { considered: 0, skipped: { time: 0, values: 0, filter: 0, pattern: 0 }, opened: 0 },
  bytes: 0,
  rows: 0,
  r2_reads: 0,
  ms: 0,
})

/** What is left to scan of one shard, in the plan's order. */
interface Source {
  shard: number
  maxSeq: number
  left: Candidate[]
  next: CandidatesReply['next']
}

/** One page of the records that match, over all shards. A shard that does not answer makes it partial. */
export async function queryShards(
  env: Env,
  access: ShardAccess,
  plan: Plan,
): Promise<Result<QueryAnswer>> {
  const startedMs = Date.now()
  const stats = newStats()
  const page = new Page(plan)
  const silent = new Map<number, Failure>()
  const corrupt: PartialReason[] = []
  const shards = Array.from({ length: access.tenant.shards }, (_, shard) => shard)
  const replies = await Promise.all(
    shards.map((shard) =>
      askCandidates(env, access, plan, shard, null, shareOf(access, CANDIDATE_BYTES_FIRST)),
    ),
  )
  const sources: Source[] = []
  for (const [shard, reply] of replies.entries()) {
    if (!reply.ok && !isSilence(reply.error)) return reply
    if (!reply.ok) silent.set(shard, reply.error)
    else sources.push(sourceOf(shard, reply.data, stats))
  }
  if (sources.length === 0) return { ok: false, error: [...silent.values()][0]! }
  const maxSeqs = shards.map((shard) => plan.maxSeqs[shard] ?? null)
  for (const source of sources) maxSeqs[source.shard] = source.maxSeq

  const slices = new Slices()
  for (let source = takeNext(plan, sources); source; source = takeNext(plan, sources)) {
    const candidate = source.left.shift()!
    if (!page.mayHold(placeMs(plan, candidate))) break
    try {
      await scanCandidate(plan, candidate, source.shard, page, stats, slices)
    } catch (e) {
      // Bytes that were stored and can not be read: the answer says so and shows the rest.
      if (!(e instanceof CorruptSegment)) throw e
      console.error(`shard ${source.shard} row ${candidate.seq} is corrupt`, e)
      corrupt.push({ code: 'block_corrupt', shard: source.shard, block: candidate.seq })
    }
    if (source.left.length === 0 && source.next) {
      const more = await refill(env, access, plan, source, maxSeqs)
      if (more) silent.set(source.shard, more)
    }
  }
  stats.ms = Date.now() - startedMs
  const last = page.lastBeforeMore()
  const reasons: PartialReason[] = [...corrupt]
  for (const shard of silent.keys()) reasons.push({ code: 'shard_unreachable', shard })
  const isPartial = reasons.length > 0
  return ok({
    logs: page.records(),
    // A page that lacks a shard is offered again, over the set the others fixed.
    next_cursor: isPartial
      ? writeCursor(plan, maxSeqs, plan.after)
      : last && writeCursor(plan, maxSeqs, last),
    partial: isPartial,
    partial_reasons: reasons,
    stats,
  })
}

/** One record by its id, or null. */
export async function readRecord(
  env: Env,
  access: ShardAccess,
  shard: number,
  seq: number,
): Promise<Result<RecordView | null>> {
  if (shard >= access.tenant.shards) return ok(null)
  const request: CandidatesRequest = {
    minMs: 0,
    maxMs: Number.MAX_SAFE_INTEGER,
    levelMask: ALL_LEVELS,
    order: 'asc',
    maxSeq: null,
    onlySeq: seq,
    bytesMax: CANDIDATE_BYTES_FIRST,
    after: null,
  }
  const reply = await callShard(env, access, shard, (stub, caller) =>
    stub.candidates(caller, request),
  )
  if (!reply.ok) return reply
  for (const candidate of reply.data.candidates) {
    for (const { batch, firstSeq } of batchesOf(candidate)) {
      if (seq < firstSeq + batch.length) return ok(recordView(batch, seq - firstSeq, shard, seq))
    }
  }
  return ok(null)
}

/** The counts of all shards, added up by day. */
export async function readStats(env: Env, access: ShardAccess) {
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

/** A scan gives way after this long: in a local run it shares its thread with the shards. */
const SLICE_MS = 8
/** Characters of messages scanned between two looks at the clock. */
const SLICE_CHARS = 64 * 1024

class Slices {
  #startedMs = Date.now()

  /** To be awaited where others may run; waits only when the slice is over. */
  async yield(): Promise<void> {
    if (Date.now() - this.#startedMs < SLICE_MS) return
    await new Promise((resolve) => setTimeout(resolve, 0))
    this.#startedMs = Date.now()
  }
}

class CorruptSegment extends Error {}

/** A row's batches, decoded one by one, each with its first record's sequence number. */
function* batchesOf(candidate: Candidate) {
  let firstSeq = candidate.seq
  for (const bytes of unpackSegments(candidate.segments)) {
    const batch = readSegment(bytes)
    yield { batch, firstSeq }
    firstSeq += batch.length
  }
}

function readSegment(bytes: Uint8Array): RecordBatch {
  try {
    return decodeSegment(bytes)
  } catch (e) {
    throw new CorruptSegment('a stored segment can not be read', { cause: e })
  }
}

async function scanCandidate(
  plan: Plan,
  candidate: Candidate,
  shard: number,
  page: Page,
  stats: QueryStats,
  slices: Slices,
): Promise<void> {
  for (const { batch, firstSeq } of batchesOf(candidate)) {
    await slices.yield()
    const matching: number[] = []
    for (let from = 0; from < batch.length; ) {
      let to = from
      for (let chars = 0; to < batch.length && chars < SLICE_CHARS; to++) {
        chars += batch.message[to]!.length + 32
      }
      for (const row of scan(plan, batch, shard, firstSeq, from, to)) matching.push(row)
      await slices.yield()
      from = to
    }
    page.add(batch, matching, shard, firstSeq)
    stats.rows += batch.length
  }
  stats.blocks.opened++
  stats.bytes += candidate.segments.length
}

const placeMs = (plan: Plan, candidate: Candidate) =>
  plan.order === 'desc' ? candidate.maxMs : candidate.minMs

/** The source whose next candidate comes first in the plan's order, or null when none is left. */
function takeNext(plan: Plan, sources: Source[]): Source | null {
  const sign = plan.order === 'asc' ? 1 : -1
  let best: Source | null = null
  for (const source of sources) {
    const candidate = source.left[0]
    if (!candidate) continue
    if (!best || (placeMs(plan, candidate) - placeMs(plan, best.left[0]!)) * sign < 0) best = source
  }
  return best
}

/** One shard's part of the bytes that all shards together may have in a Worker's memory. */
const shareOf = ({ tenant }: ShardAccess, bytes: number) => Math.floor(bytes / tenant.shards)

function askCandidates(
  env: Env,
  access: ShardAccess,
  plan: Plan,
  shard: number,
  after: CandidatesReply['next'],
  bytesMax: number,
  maxSeq = plan.maxSeqs[shard] ?? null,
): Promise<Result<CandidatesReply>> {
  const { order } = plan
  const request = { ...rangeOf(plan), order, maxSeq, onlySeq: null, bytesMax, after }
  return callShard(env, access, shard, (stub, caller) => stub.candidates(caller, request))
}

function sourceOf(shard: number, reply: CandidatesReply, stats: QueryStats): Source {
  stats.blocks.considered += reply.considered
  stats.blocks.skipped.time += reply.skipped.time
  stats.blocks.skipped.values += reply.skipped.values
  return { shard, maxSeq: reply.maxSeq, left: reply.candidates, next: reply.next }
}

/** Brings the source's next candidates, of the set its first reply fixed; the failure if it can not. */
async function refill(
  env: Env,
  access: ShardAccess,
  plan: Plan,
  source: Source,
  maxSeqs: (number | null)[],
): Promise<Failure | null> {
  const { shard } = source
  const maxSeq = maxSeqs[shard] ?? null
  const bytesMax = shareOf(access, CANDIDATE_BYTES_MAX)
  let { next } = source
  source.next = null
  // A reply may be empty and still have a next, where what it chose was gone when it was read.
  do {
    const reply = await askCandidates(env, access, plan, shard, next, bytesMax, maxSeq)
    if (!reply.ok) return reply.error
    source.left = reply.data.candidates
    next = reply.data.next
  } while (source.left.length === 0 && next !== null)
  source.next = next
  return null
}

/** Whether a failure means the shard can not be heard, and not that the caller may not. */
const isSilence = (failure: Failure) =>
  failure.code === 'unavailable' || failure.code === 'overloaded'

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
async function callShard<T>(
  env: Env,
  access: ShardAccess,
  shard: number,
  call: (stub: DurableObjectStub<LogShard>, caller: ShardCaller) => Promise<Result<T>>,
): Promise<Result<T>> {
  try {
    const result = await call(shardStub(env, access.tenant, shard), { keyId: access.keyId })
    if (result.ok) return result
    // What this isolate remembers of the key or the app is out of date.
    if (result.error.code === 'unauthorized' && access.keyId) forgetKey(access.keyId)
    if (result.error.code === 'not_found') forgetApp(access.tenant.appId)
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
