/// <reference types="@cloudflare/vitest-plugin/types" />
// Real shards behind stubs that do as they are told: lost before or after the call, overloaded, or
// told to say less in one reply.

import { runInDurableObject } from 'cloudflare:test'
import { env as bound } from 'cloudflare:workers'
import type { Env } from '../../src/env.ts'
import type { Result } from '../../src/result.ts'
import type { CandidatesReply, CandidatesRequest } from '../../src/shard/candidates.ts'
import type { Stored } from '../../src/shard/commit.ts'
import type { LogShard, ShardCaller } from '../../src/shard/shard.ts'
import type { Append } from '../../src/shard/store.ts'
import { askRegistry } from '../../src/tenant/keys.ts'
import type { ShardAccess } from '../../src/tenant/route.ts'
import { must, newApp } from './registry-fixtures.ts'

/** What happens to one call: the shard is not reached, or its answer is not; else it throws this. */
export type Fate = 'lost before' | 'lost after' | Error

export interface Shards {
  env: Env
  access: ShardAccess
  /** Calls by name and shard, in order: `append 0`. */
  calls: string[]
  /** Fates of the next calls to a shard, first come first; an endless one is `always`. */
  fates: Map<number, Fate[]>
  always: Map<number, Fate>
  /** Called before each candidates call reaches its shard; what it returns is asked instead. */
  ask: (shard: number, request: CandidatesRequest, nth: number) => Promise<CandidatesRequest>
  /** The shards as they are. */
  real: (shard: number) => RealShard
  /** Something done to a shard's own tables. */
  inside: (shard: number, change: (sql: SqlStorage) => void) => Promise<void>
}

interface RealShard {
  append(caller: ShardCaller, append: Append): Promise<Result<Stored>>
  candidates(caller: ShardCaller, request: CandidatesRequest): Promise<Result<CandidatesReply>>
  destroy(): Promise<void>
}

/** A new app with so many shards. */
export async function shardsOf(appId: string, count: number): Promise<Shards> {
  const real = bound as Env
  must(must(await askRegistry(real, (registry) => registry.createApp(newApp(appId, count)))))
  const tenant = must(await askRegistry(real, (registry) => registry.tenantForApp(appId)))!
  const stubOf = (name: string) => real.LOG_SHARD.getByName(name)
  const shards: Shards = {
    env: real,
    access: { tenant, keyId: null },
    calls: [],
    fates: new Map(),
    always: new Map(),
    ask: async (_shard, request) => request,
    real: (shard) => stubOf(`${tenant.tenantId}-${shard}`) as unknown as RealShard,
    inside: (shard, change) =>
      runInDurableObject(stubOf(`${tenant.tenantId}-${shard}`), (_, { storage }) =>
        change(storage.sql),
      ),
  }
  const LOG_SHARD = {
    getByName: (name: string) => toldStub(shards, Number(name.split('-')[1]), stubOf(name)),
  }
  shards.env = { ...real, LOG_SHARD: LOG_SHARD as unknown as Env['LOG_SHARD'] }
  return shards
}

function toldStub(shards: Shards, shard: number, stub: DurableObjectStub<LogShard>) {
  const call = async (
    name: 'append' | 'candidates' | 'note' | 'stats' | 'fetch',
    args: unknown[],
  ) => {
    shards.calls.push(`${name} ${shard}`)
    const fate = shards.fates.get(shard)?.shift() ?? shards.always.get(shard)
    if (fate instanceof Error) throw fate
    if (fate === 'lost before') throw new Error('Network connection lost.')
    if (name === 'candidates') {
      const nth = shards.calls.filter((text) => text === `candidates ${shard}`).length
      args[1] = await shards.ask(shard, args[1] as CandidatesRequest, nth)
    }
    const methods = stub as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>
    const answer = await methods[name]!(...args)
    if (fate === 'lost after') throw new Error('Network connection lost.')
    return answer
  }
  return {
    append: (...args: unknown[]) => call('append', args),
    candidates: (...args: unknown[]) => call('candidates', args),
    note: (...args: unknown[]) => call('note', args),
    stats: (...args: unknown[]) => call('stats', args),
    fetch: (...args: unknown[]) => call('fetch', args),
  }
}

/** What the platform throws when an object has too much to do. */
export const overloaded = () => Object.assign(new Error('overloaded'), { overloaded: true })
