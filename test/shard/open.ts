/// <reference types="@cloudflare/vitest-plugin/types" />
// A shard of an app of its own, and what tests ask of it.

import { env } from 'cloudflare:workers'
import { openBlock, readGroup } from '../../src/block/parquet.ts'
import { decodeSegment, encodeSegments, unpackSegments } from '../../src/block/segment.ts'
import { EVERYTHING } from '../../src/query/filter.ts'
import type { Result } from '../../src/result.ts'
import type { CandidatesReply, CandidatesRequest } from '../../src/shard/candidates.ts'
import type { Stored } from '../../src/shard/commit.ts'
import type { LogShard, ShardCaller } from '../../src/shard/shard.ts'
import type { ArchiveObject, JobView, ShardStorage } from '../../src/shard/storage-view.ts'
import type { Append, DayCounts } from '../../src/shard/store.ts'
import type { KeyCopy } from '../../src/tenant/registry.ts'
import { DEFAULT_SETTINGS, type Settings } from '../../src/tenant/settings.ts'
import { batchOf, type RecordSpec } from '../batches.ts'
import { makeApp } from '../flow/client.ts'

export const OWNER: ShardCaller = { keyId: null, shards: 64 }
export const ALL: CandidatesRequest = {
  filter: { filter: EVERYTHING, since: null, until: null },
  minMs: 0,
  maxMs: Number.MAX_SAFE_INTEGER,
  levelMask: 63,
  order: 'asc',
  maxSeq: null,
  onlyRange: null,
  bytesMax: 1e6,
  mayBeEmpty: false,
  after: null,
  ask: null,
  explain: false,
}

interface Days {
  days: (Omit<DayCounts, 'levels'> & { day: string; levels: Record<string, number> })[]
}

/** The remote surface by its own types: the platform's take a Result apart. */
interface Calls {
  append(caller: ShardCaller, append: Append): Promise<Result<Stored>>
  candidates(caller: ShardCaller, request: CandidatesRequest): Promise<Result<CandidatesReply>>
  stats(caller: ShardCaller): Promise<Result<Days>>
  flush(caller: ShardCaller, job: { jobId: string; olderThanMs: number }): Promise<Result<null>>
  job(caller: ShardCaller, jobId: string): Promise<Result<JobView | null>>
  storage(caller: ShardCaller): Promise<Result<ShardStorage>>
  archive(caller: ShardCaller): Promise<Result<{ objects: ArchiveObject[] }>>
  configure(copy: KeyCopy): Promise<void>
}
export type ShardStub = Calls & DurableObjectStub<LogShard>

/** The first shard of a new app. */
export async function shardOf(appId: string) {
  await makeApp(appId)
  const found = await env.REGISTRY.getByName('registry').tenantForApp(appId)
  if (found === null) throw new Error(`no app ${appId}`)
  const { tenantId, shards, locationHint, columns } = found
  const tenant = { appId, tenantId, shards, locationHint, columns }
  return {
    appId,
    tenant,
    stub: () => env.LOG_SHARD.getByName(`${tenantId}-0`) as unknown as ShardStub,
    copy: (version: number, change: Partial<KeyCopy> = {}): KeyCopy => ({
      version,
      tenant,
      settings: DEFAULT_SETTINGS,
      keys: [],
      ...change,
    }),
  }
}

/** The settings of an app that set these. */
export const settingsWith = (change: Partial<Settings>): Settings => ({
  ...DEFAULT_SETTINGS,
  ...change,
})

/** One request with these messages, or records; the id makes sixteen bytes. */
export function appendOf(records: (string | RecordSpec)[], id: number | null = null): Append {
  const specs = records.map((one) => (typeof one === 'string' ? { message: one } : one))
  return {
    segments: encodeSegments(batchOf(specs)),
    batchId: id === null ? null : new Uint8Array(16).fill(id),
    notes: {},
  }
}

export function must<T>(result: Result<T>): T {
  if (!result.ok) throw new Error(result.error.message)
  return result.data
}

/** The messages of all that candidates bring, in order of arrival. */
export const messagesOf = async (reply: CandidatesReply): Promise<string[]> =>
  (await numberedOf(reply)).map(([, text]) => text)

/** The same, each with its sequence number. */
export async function numberedOf({ candidates }: CandidatesReply): Promise<[number, string][]> {
  const found: [number, string][] = []
  for (const { seq, from } of candidates) {
    if (from.kind === 'segments') {
      const messages = unpackSegments(from.bytes).flatMap((bytes) => decodeSegment(bytes).message)
      found.push(...messages.map((text, i): [number, string] => [seq + i, text]))
      continue
    }
    const bytes =
      from.kind === 'block'
        ? from.bytes
        : new Uint8Array(await (await env.ARCHIVE!.get(from.key))!.arrayBuffer())
    const file = openBlock(bytes)
    for (let group = 0; group < file.groups.length; group++) {
      const { seqs, batch } = readGroup(file, group, 'all')
      found.push(...batch.message.map((text, row): [number, string] => [seqs[row]!, text]))
    }
  }
  return found.sort(([a], [b]) => a - b)
}
