// A real shard whose archive and Sealer do as they are told: calls are let through, held, lost before
// or after they were carried out, or answered otherwise. And what a reader makes of the shard then.

import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { env as bound } from 'cloudflare:workers'
import { expect, vi } from 'vitest'
import type { Env } from '../../src/env.ts'
import { planFilter } from '../../src/query/parameters.ts'
import { planQuery } from '../../src/query/plan.ts'
import type { Result } from '../../src/result.ts'
import type { BuildRequest, Built } from '../../src/shard/sealer.ts'
import { countShards, queryShards } from '../../src/tenant/read.ts'
import { appendOf, must, OWNER, shardOf } from './open.ts'

export interface ArchiveCall {
  name: 'put' | 'get' | 'delete'
  key: string
  /** Carries it out. */
  real: () => Promise<unknown>
}
export type Archive = (call: ArchiveCall) => Promise<unknown>
export type Build = (
  request: BuildRequest,
  real: () => Promise<Result<Built>>,
) => Promise<Result<Built>>

interface Remote {
  deleteRecords(caller: object, job: object): Promise<Result<null>>
}

/** A new app's shard; `archive` and `build` may be set at any time, and hold for readers too. */
export async function hookedShard(appId: string) {
  const { tenant, stub } = await shardOf(appId)
  const hooks: { archive: Archive; build: Build } = {
    archive: ({ real }) => real(),
    build: (_, real) => real(),
  }
  const env = hookedEnv(bound as Env, hooks)
  const hook = () =>
    runInDurableObject(stub(), (instance) => {
      Object.assign(instance, { env })
    })
  await hook()
  const access = { tenant, keyId: null }
  const shard = {
    ...{ hooks, env, access, stub },
    append: async (messages: string[], id: number | null = null) =>
      must(await stub().append(OWNER, appendOf(messages, id))),
    deleteRecords: async (jobId: string, filter: Record<string, string>) => {
      const match = must(planFilter(filter, Date.now()))
      must(await (stub() as unknown as Remote).deleteRecords(OWNER, { jobId, match }))
    },
    job: async (jobId: string) => must(await stub().job(OWNER, jobId)),
    storage: async () => must(await stub().storage(OWNER)),
    /** What the last run of a job of the shard's own said, and when it comes again. */
    upkeep: async (name: string) =>
      (await shard.storage()).jobs.find((job) => job.name === name) ?? null,
    /** Starts a flush: seals all, and archives it too unless told otherwise. */
    flush: async (jobId: string, isArchived = true) => {
      const olderThanMs = isArchived ? Date.now() + 1000 : 0
      must(await stub().flush(OWNER, { jobId, olderThanMs }))
    },
    alarm: () => runDurableObjectAlarm(stub()),
    /** Runs the alarm until a job is done. */
    settle: (jobId: string) =>
      shard.until(async () => expect((await shard.job(jobId))?.doneMs).not.toBe(null)),
    /** Runs the alarm until nothing is expected in vain any more. */
    until: (holds: () => Promise<void>) =>
      vi.waitFor(
        async () => {
          await shard.alarm()
          await holds()
        },
        { timeout: 25_000, interval: 50 },
      ),
    /** A crash of the object between two of its steps: its memory is gone, its tables stay. */
    restart: async (change?: (sql: SqlStorage) => void) => {
      if (change) await shard.inside(change)
      await evictDurableObject(stub())
      await hook()
    },
    inside: <T>(work: (sql: SqlStorage) => T): Promise<T> =>
      runInDurableObject(stub(), (_, { storage }) => work(storage.sql)),
    /** A page of up to a thousand records, oldest first. */
    read: async (parameters: Record<string, string> = {}) => {
      const asked = Object.entries({ order: 'asc', limit: '1000', ...parameters })
      const scope = { tenantId: tenant.tenantId, workspaceId: null }
      return must(await queryShards(env, access, must(planQuery(asked, scope, Date.now()))))
    },
    /** Its messages; nothing may be lacking. */
    messages: async () => {
      const { logs, partial_reasons } = await shard.read()
      expect(partial_reasons).toEqual([])
      return logs.map(({ message }) => message)
    },
    count: async () => {
      const scope = { tenantId: tenant.tenantId, workspaceId: null }
      return must(await countShards(env, access, must(planQuery([], scope, Date.now())))).count
    },
    /** Keys of its objects in R2. */
    objects: async () => {
      const { objects } = await bound.ARCHIVE!.list({ prefix: `${appId}/` })
      return objects.map(({ key }) => key)
    },
  }
  return shard
}

function hookedEnv(env: Env, hooks: { archive: Archive; build: Build }): Env {
  const bucket = env.ARCHIVE!
  const call =
    (name: ArchiveCall['name']) =>
    (key: string, ...rest: unknown[]) => {
      const methods = bucket as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>
      return hooks.archive({ name, key, real: () => methods[name]!(key, ...rest) })
    }
  const ARCHIVE = { put: call('put'), get: call('get'), delete: call('delete') }
  const SEALER = {
    getByName: (name: string) => ({
      build: (request: BuildRequest) =>
        hooks.build(request, () => {
          const built: Promise<unknown> = env.SEALER.getByName(name).build(request)
          return built as Promise<Result<Built>>
        }),
    }),
  }
  return { ...env, ARCHIVE, SEALER } as unknown as Env
}

/** Something that waits until it is let go; `reached` resolves when it began to wait. */
export function gate() {
  const reached = Promise.withResolvers<void>()
  const open = Promise.withResolvers<void>()
  return {
    reached: reached.promise,
    open: () => open.resolve(),
    pass: async () => {
      reached.resolve()
      await open.promise
    },
  }
}
