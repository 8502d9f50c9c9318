// Jobs over several shards, some of which do not answer.

import { describe, expect, it, vi } from 'vitest'
import type { Env } from '../../src/env.ts'
import { EVERYTHING } from '../../src/query/filter.ts'
import { err, ok, type Result } from '../../src/result.ts'
import type { ShardCaller } from '../../src/shard/shard.ts'
import type { JobView } from '../../src/shard/storage-view.ts'
import {
  deleteFromShards,
  flushAll,
  flushShards,
  jobAnswer,
  readJob,
} from '../../src/tenant/jobs.ts'
import type { Tenant } from '../../src/tenant/registry.ts'
import type { ShardAccess } from '../../src/tenant/route.ts'

const MATCH = { filter: EVERYTHING, since: null, until: { ms: 5, ns: 0 } }
const RUNNING: JobView = {
  kind: 'delete',
  state: 'running',
  createdMs: 1000,
  doneMs: null,
  records: 2,
  blocksDone: 1,
  blocksTotal: 3,
  error: null,
}
const DONE: JobView = { ...RUNNING, state: 'done', doneMs: 5000, blocksDone: 3 }

const tenantOf = (appId: string, shards: number): Tenant => ({
  tenantId: appId.padEnd(32, '0'),
  appId,
  shards,
  locationHint: null,
  columns: {},
})
const accessOf = (shards: number): ShardAccess => ({
  tenant: tenantOf('a', shards),
  keyId: 'key_a',
})

type Answer = (shard: number, nth: number, appId: string) => Result<unknown> | Error

/** Shards that answer as told, and what they were called with. */
function shardsThat(answer: Answer) {
  const calls: { method: string; shard: number; caller: ShardCaller; given: unknown }[] = []
  const nths = new Map<string, number>()
  const getByName = (name: string) => {
    const [tenantId = '', number] = name.split('-')
    const shard = Number(number)
    const method = (method: string) => async (caller: ShardCaller, given: unknown) => {
      calls.push({ method, shard, caller, given })
      const nth = (nths.get(name) ?? 0) + 1
      nths.set(name, nth)
      const told = answer(shard, nth, tenantId.replace(/0+$/, ''))
      if (told instanceof Error) throw told
      return told
    }
    return { deleteRecords: method('deleteRecords'), flush: method('flush'), job: method('job') }
  }
  return { env: { LOG_SHARD: { getByName } } as unknown as Env, calls }
}

const lost = () => new Error('Network connection lost.')
const quiet = () => vi.spyOn(console, 'error').mockImplementation(() => {})

describe('a deletion', () => {
  it('is told to every shard under one id', async () => {
    const { env, calls } = shardsThat(() => ok(null))
    const started = await deleteFromShards(env, accessOf(3), MATCH)
    expect(started).toEqual({
      ok: true,
      data: { job_id: expect.stringMatching(/^job_[0-9a-f]{24}03$/), state: 'running' },
    })
    const jobId = started.ok && started.data.job_id
    expect(calls).toEqual(
      [0, 1, 2].map((shard) => ({
        method: 'deleteRecords',
        shard,
        caller: { keyId: 'key_a', shards: 3 },
        given: { jobId, match: MATCH },
      })),
    )
  })

  it('is told again, under its id, where the call was lost', async () => {
    const said = quiet()
    const { env, calls } = shardsThat((shard, nth) =>
      shard === 1 && nth === 1 ? lost() : ok(null),
    )
    expect(await deleteFromShards(env, accessOf(2), MATCH)).toMatchObject({ ok: true })
    expect(calls.map(({ shard }) => shard)).toEqual([0, 1, 1])
    expect(calls[1]?.given).toEqual(calls[2]?.given)
    said.mockRestore()
  })

  it('names the shards that did not confirm it', async () => {
    const said = quiet()
    const { env } = shardsThat((shard) => (shard % 2 === 1 ? lost() : ok(null)))
    expect(await deleteFromShards(env, accessOf(4), MATCH)).toMatchObject({
      error: {
        code: 'unavailable',
        message: expect.stringContaining('shards 1, 3'),
        details: { shards: [1, 3], job_id: expect.stringMatching(/^job_/) },
      },
    })
    said.mockRestore()
  })

  it('of a key that was revoked is refused as the shard says', async () => {
    const { env } = shardsThat((shard) => (shard === 1 ? err('unauthorized', 'no') : ok(null)))
    expect(await deleteFromShards(env, accessOf(2), MATCH)).toEqual(err('unauthorized', 'no'))
  })
})

describe('a flush', () => {
  it('says what is to be archived', async () => {
    const { env, calls } = shardsThat(() => ok(null))
    expect(await flushShards(env, accessOf(1), 77)).toMatchObject({ ok: true })
    expect(calls).toMatchObject([{ method: 'flush', given: { olderThanMs: 77 } }])
  })

  const tenants = ['a', 'b', 'c', 'd', 'e'].map((appId) => tenantOf(appId, 2))

  it('of all apps is a job for each', async () => {
    const { env, calls } = shardsThat(() => ok(null))
    const flushed = await flushAll(env, tenants, 77)
    expect(flushed.ok && flushed.data.jobs.map(({ app_id }) => app_id)).toEqual([...'abcde'])
    expect(calls).toHaveLength(10)
    expect(calls[0]?.caller.keyId).toBeNull()
  })

  it('names the apps that could not be flushed, and passes over those that are gone', async () => {
    const said = quiet()
    const { env } = shardsThat((shard, _, appId) => {
      if (appId === 'b' && shard === 1) return lost()
      return appId === 'd' ? err('not_found', 'gone') : ok(null)
    })
    const flushed = await flushAll(env, tenants, 77)
    expect(flushed).toMatchObject({
      error: {
        code: 'unavailable',
        details: {
          jobs: [{ app_id: 'a' }, { app_id: 'c' }, { app_id: 'e' }],
          failed: [{ app_id: 'b', message: expect.stringContaining('shards 1 ') }],
        },
      },
    })
    said.mockRestore()
  })

  it('of more shards than one request may call is refused before any is called', async () => {
    const { env, calls } = shardsThat(() => ok(null))
    const many = Array.from({ length: 79 }, (_, i) => tenantOf(`x${i}`, 64))
    expect(await flushAll(env, many, 77)).toMatchObject({
      error: { code: 'bad_request', message: expect.stringContaining('5000') },
    })
    expect(calls).toEqual([])
  })
})

describe('the progress of a job', () => {
  const ID = `job_${'ab'.repeat(12)}02`

  it('is the sum over its shards, running while one of them is', () => {
    expect(jobAnswer(ID, [DONE, RUNNING])).toEqual({
      job_id: ID,
      kind: 'delete',
      state: 'running',
      created_at: '1970-01-01T00:00:01.000Z',
      done_at: null,
      records: 4,
      blocks: { done: 4, total: 6 },
      shards: [
        { shard: 0, state: 'done', records: 2, blocks: { done: 3, total: 3 }, error: null },
        { shard: 1, state: 'running', records: 2, blocks: { done: 1, total: 3 }, error: null },
      ],
      error: null,
    })
  })

  it('is done when all are, at the last one', () => {
    const later = { ...DONE, createdMs: 900, doneMs: 6000 }
    expect(jobAnswer(ID, [DONE, later])).toMatchObject({
      state: 'done',
      created_at: '1970-01-01T00:00:00.900Z',
      done_at: '1970-01-01T00:00:06.000Z',
    })
  })

  it('shows an error of the last run', () => {
    const trouble = { ...RUNNING, error: 'R2 is away' }
    expect(jobAnswer(ID, [DONE, trouble])).toMatchObject({ state: 'running', error: 'R2 is away' })
    expect(jobAnswer(ID, [DONE, { ...DONE, state: 'failed' }])?.state).toBe('failed')
  })

  it('is incomplete where a shard never heard of it', () => {
    expect(jobAnswer(ID, [DONE, null])).toMatchObject({
      state: 'incomplete',
      done_at: null,
      shards: [{ state: 'done' }, { state: 'unknown', records: 0 }],
    })
    expect(jobAnswer(ID, [null, null])).toBeNull()
  })

  it('asks the shards that were told of it, not those added since', async () => {
    const { env, calls } = shardsThat(() => ok(DONE))
    expect(await readJob(env, accessOf(8), ID)).toMatchObject({ data: { state: 'done' } })
    expect(calls.map(({ shard }) => shard)).toEqual([0, 1])
  })

  it('of an id that is none of ours asks nobody', async () => {
    const { env, calls } = shardsThat(() => ok(DONE))
    for (const id of ['', 'job_', 'x', `${ID}0`, ID.toUpperCase()]) {
      expect(await readJob(env, accessOf(2), id)).toEqual({ ok: true, data: null })
    }
    expect(calls).toEqual([])
  })

  it('is not told while a shard is silent', async () => {
    const said = quiet()
    const { env } = shardsThat((shard) => (shard === 1 ? lost() : ok(DONE)))
    expect(await readJob(env, accessOf(2), ID)).toMatchObject({ error: { code: 'unavailable' } })
    said.mockRestore()
  })
})
