// Shards and an archive in memory behind the bindings that readers know: what is asked of them is noted,
// and a test may stand between.

import type { Env } from '../../src/env.ts'
import type { Result } from '../../src/result.ts'
import type { CandidatesReply, CandidatesRequest } from '../../src/shard/candidates.ts'
import type { ShardAccess } from '../../src/tenant/route.ts'
import { batchOf, type RecordSpec } from '../batches.ts'
import { ModelArchive, ModelShard } from '../model-shard.ts'

export type Ask = (request: CandidatesRequest) => Promise<Result<CandidatesReply>>
export interface World {
  shards: ModelShard[]
  archive: ModelArchive
  env: Env
  access: ShardAccess
  /** Requests of each shard, in order. */
  asked: { shard: number; shards: number; request: CandidatesRequest }[]
  /** What stands between the reader and a shard. */
  told: Map<number, (ask: Ask) => Ask>
}

export function worldOf(count = 1): World {
  const archive = new ModelArchive()
  const shards = Array.from({ length: count }, (_, i) => new ModelShard(i, archive))
  const tenant = { tenantId: 't', appId: 'app', shards: count, locationHint: null, columns: {} }
  const world: World = {
    shards,
    archive,
    env: {} as Env,
    access: { tenant, keyId: null },
    asked: [],
    told: new Map(),
  }
  const getByName = (name: string) => {
    const shard = Number(name.split('-')[1])
    const ask: Ask = async (request) => shards[shard]!.candidates(request)
    return {
      candidates: (caller: { shards: number }, request: CandidatesRequest) => {
        world.asked.push({ shard, shards: caller.shards, request })
        return (world.told.get(shard)?.(ask) ?? ask)(request)
      },
    }
  }
  world.env = { LOG_SHARD: { getByName }, ARCHIVE: archive.bucket } as unknown as Env
  return world
}

/** What a call that must not fail answers. */
export function must<T>(result: Result<T>): T {
  if (!result.ok) throw new Error(`${result.error.code}: ${result.error.message}`)
  return result.data
}

/** A shard with a wal row for each of these, sealed one by one where they are to be blocks. */
export async function store(
  shard: ModelShard,
  rows: RecordSpec[][],
  as: 'segments' | 'hot' | 'cold',
) {
  for (const specs of rows) {
    shard.append(batchOf(specs))
    if (as !== 'segments') await shard.build(shard.rows.length - 1, 1)
    if (as === 'cold') shard.freeze(shard.rows.length - 1)
  }
}
