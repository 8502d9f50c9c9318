// What wakes a shard, and what a job that fails does to the others. The clock stands at tomorrow noon, so
// that no alarm goes off by itself: each is run by hand.

import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { encodeSegments } from '../../src/block/segment.ts'
import { SEAL_MS, SEAL_RECORDS, WAL_BYTES_MAX } from '../../src/limits.ts'
import { EVERYTHING, levelIn, textIs } from '../../src/query/filter.ts'
import type { BuildRequest } from '../../src/shard/sealer.ts'
import type { LogShard } from '../../src/shard/shard.ts'
import { BlockStore } from '../../src/shard/store.ts'
import { batchOf } from '../batches.ts'
import {
  ALL,
  appendOf,
  messagesOf,
  must,
  OWNER,
  type ShardStub,
  settingsWith,
  shardOf,
} from './open.ts'

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000
/** One test may cross no midnight. */
const START = Math.floor(Date.now() / DAY_MS) * DAY_MS + DAY_MS + 12 * HOUR_MS
const TODAY = START - 12 * HOUR_MS

const clock = vi.spyOn(Date, 'now')
let nowMs = START
const logged = vi.spyOn(console, 'error')
beforeEach(() => {
  nowMs = START
  clock.mockImplementation(() => nowMs)
  logged.mockImplementation(() => {})
})
afterEach(() => {
  logged.mockClear()
})

const alarmOf = (stub: ShardStub) =>
  runInDurableObject(stub, (_shard, { storage }) => storage.getAlarm())

/** Runs alarms that are due, one after the other, and says for when the next is set. */
async function runAlarms(stub: ShardStub): Promise<number | null> {
  for (let turn = 0; turn < 20; turn++) {
    const nextMs = await alarmOf(stub)
    if (nextMs === null || nextMs > nowMs) return nextMs
    await runDurableObjectAlarm(stub)
  }
  throw new Error('the alarm never rests')
}

/** Gives a shard other bindings; to be called before its first call. */
const bind = (stub: ShardStub, bindings: object) =>
  runInDurableObject(stub, (shard: LogShard) => {
    Object.assign(shard, { env: { ...env, ...bindings } })
  })

const jobsOf = async (stub: ShardStub) => {
  const { jobs } = must(await stub.storage(OWNER))
  return Object.fromEntries(jobs.map((job) => [job.name, job]))
}

const flushAll = async (stub: ShardStub, jobId: string, olderThanMs = nowMs + 1) =>
  must(await stub.flush(OWNER, { jobId, olderThanMs }))

const ALL_RECORDS = { filter: EVERYTHING, since: null, until: null }

describe('nothing wakes a shard', () => {
  it('that holds nothing', async () => {
    const { stub } = await shardOf('alarm-empty')
    must(await stub().candidates(OWNER, ALL))
    expect(await alarmOf(stub())).toBeNull()
  })

  it('with unsealed records before they are ten minutes old', async () => {
    const { stub } = await shardOf('alarm-unsealed')
    must(await stub().append(OWNER, appendOf(['a'])))
    nowMs += 1000
    must(await stub().append(OWNER, appendOf(['b'])))
    expect(await alarmOf(stub())).toBe(START + SEAL_MS)
  })

  it('that is sealed before its blocks are to be archived', async () => {
    const { stub } = await shardOf('alarm-sealed')
    must(await stub().append(OWNER, appendOf(['a'])))
    await flushAll(stub(), 'job_1', 0)
    expect(await runAlarms(stub())).toBe(START + 3 * DAY_MS)
    expect(must(await stub().job(OWNER, 'job_1'))).toMatchObject({ state: 'done' })
    expect(must(await stub().storage(OWNER)).blocks).toMatchObject([{ tier: 'hot', records: 1 }])
  })

  it('that is archived before its records expire', async () => {
    const { stub } = await shardOf('alarm-archived')
    must(await stub().append(OWNER, appendOf(['a'])))
    await flushAll(stub(), 'job_1')
    expect(await runAlarms(stub())).toBe(TODAY + 31 * DAY_MS)
    expect(must(await stub().storage(OWNER)).blocks).toMatchObject([{ tier: 'cold', records: 1 }])
  })

  it('without an archive before its records expire', async () => {
    const { stub } = await shardOf('alarm-no-archive')
    await bind(stub(), { ARCHIVE: undefined })
    must(await stub().append(OWNER, appendOf(['a'])))
    await flushAll(stub(), 'job_1')
    expect(await runAlarms(stub())).toBe(TODAY + 31 * DAY_MS)
    expect(must(await stub().storage(OWNER))).toMatchObject({
      archive: 'none',
      blocks: [{ tier: 'hot', records: 1 }],
    })
    expect(must(await stub().job(OWNER, 'job_1'))?.error).toContain('no archive')
  })

  it('of which all was deleted, once its objects are surely gone', async () => {
    const { stub } = await shardOf('alarm-deleted')
    must(await stub().append(OWNER, appendOf(['a'])))
    await flushAll(stub(), 'job_1')
    await runAlarms(stub())
    must(await stub().deleteRecords(OWNER, { jobId: 'job_2', match: ALL_RECORDS }))
    expect(await runAlarms(stub())).toBe(START + HOUR_MS)
    expect(must(await stub().storage(OWNER))).toMatchObject({ pendingObjects: 1, tombstones: 0 })
    nowMs += HOUR_MS
    expect(await runAlarms(stub())).toBeNull()
    expect(must(await stub().storage(OWNER))).toMatchObject({ pendingObjects: 0, blocks: [] })
  })
})

describe('the alarm is set', () => {
  /** How often it is set meanwhile. */
  const settings = (stub: ShardStub, work: (shard: LogShard) => Promise<unknown>) =>
    runInDurableObject(stub, async (shard: LogShard, { storage }) => {
      const set = vi.spyOn(Object.getPrototypeOf(storage), 'setAlarm')
      await work(shard)
      const calls = set.mock.calls.filter((_, i) => set.mock.contexts[i] === storage)
      set.mockRestore()
      return calls.map(([ms]) => ms)
    })

  it('once for a hundred appends', async () => {
    const { stub } = await shardOf('alarm-hundred')
    const calls = await settings(stub(), async (shard) => {
      for (let i = 0; i < 100; i++) {
        nowMs += 100
        await shard.append(OWNER, appendOf(['a']))
      }
    })
    expect(calls).toEqual([START + 100 + SEAL_MS])
  })

  it('never later than it is set already', async () => {
    const { stub } = await shardOf('alarm-earlier')
    await runInDurableObject(stub(), (_, { storage }) => storage.setAlarm(START + SEAL_MS / 2))
    const calls = await settings(stub(), (shard) => shard.append(OWNER, appendOf(['a'])))
    expect(calls).toEqual([])
  })

  it('again when a bound is reached, and then once', async () => {
    const { stub } = await shardOf('alarm-bound')
    const many = Array.from({ length: SEAL_RECORDS }, () => 'b')
    const calls = await settings(stub(), async (shard) => {
      await shard.append(OWNER, appendOf(['a']))
      await shard.append(OWNER, appendOf(many))
      for (let i = 0; i < 5; i++) await shard.append(OWNER, appendOf(['c']))
    })
    expect(calls).toEqual([START + SEAL_MS, START])
  })

  it('not by queries, and not by a repeated flush', async () => {
    const { stub } = await shardOf('alarm-queries')
    must(await stub().append(OWNER, appendOf(['a'])))
    await flushAll(stub(), 'job_1')
    const calls = await settings(stub(), async (shard) => {
      await shard.candidates(OWNER, ALL)
      await shard.storage(OWNER)
      await shard.flush(OWNER, { jobId: 'job_1', olderThanMs: nowMs })
    })
    expect(calls).toEqual([])
  })

  it('by new settings that bring the archive forward', async () => {
    const { stub, copy } = await shardOf('alarm-settings')
    must(await stub().append(OWNER, appendOf(['a'])))
    await flushAll(stub(), 'job_1', 0)
    await runAlarms(stub())
    await stub().configure(copy(1000, { settings: settingsWith({ hotDays: 1 }) }))
    expect(await alarmOf(stub())).toBe(START + DAY_MS)
  })
})

describe('a job that fails', () => {
  const failing = (text: string) => async () => {
    throw new Error(text)
  }

  it('is recorded, waits longer each time, lets the others go on, and is done in the end', async () => {
    const { stub } = await shardOf('alarm-failing')
    let build: (request: BuildRequest) => Promise<unknown> = failing('no sealer')
    const sealer = { build: (request: BuildRequest) => build(request) }
    await bind(stub(), { SEALER: { getByName: () => sealer } })
    must(await stub().append(OWNER, appendOf(['a'])))
    nowMs += SEAL_MS

    expect(await runAlarms(stub())).toBe(nowMs + 2000)
    expect((await jobsOf(stub())).seal).toMatchObject({
      lastRunMs: nowMs,
      nextRunMs: nowMs + 2000,
      error: 'no sealer',
    })
    nowMs += 1999
    await runDurableObjectAlarm(stub())
    expect((await jobsOf(stub())).seal).toMatchObject({ lastRunMs: nowMs - 1999 })
    nowMs += 1
    expect(await runAlarms(stub())).toBe(nowMs + 4000)
    // An append brings it no earlier.
    must(await stub().append(OWNER, appendOf(['b'])))
    expect(await alarmOf(stub())).toBe(nowMs + 4000)

    nowMs = TODAY + 31 * DAY_MS
    build = failing('still no sealer')
    await runAlarms(stub())
    const jobs = await jobsOf(stub())
    expect(jobs.seal).toMatchObject({ nextRunMs: nowMs + 8000, error: 'still no sealer' })
    expect(jobs.expire).toMatchObject({ lastRunMs: nowMs, error: null })
    expect(jobs.purge?.error).toContain('unsealed row 1')

    build = (request) => env.SEALER.getByName('alarm-failing').build(request)
    nowMs += 8000
    await runAlarms(stub())
    expect((await jobsOf(stub())).seal).toMatchObject({ error: null })
    expect(must(await stub().storage(OWNER))).toMatchObject({
      tombstones: 0,
      pending: { rows: 0 },
      blocks: [],
    })
  })

  it('keeps its pause after a restart', async () => {
    const { stub } = await shardOf('alarm-restart')
    await bind(stub(), { SEALER: { getByName: () => ({ build: failing('no sealer') }) } })
    must(await stub().append(OWNER, appendOf(['a'])))
    nowMs += SEAL_MS
    await runAlarms(stub())
    await evictDurableObject(stub())
    expect((await jobsOf(stub())).seal).toMatchObject({
      nextRunMs: nowMs + 2000,
      error: 'no sealer',
    })
  })

  it('does not run again and again while the registry can not be asked', async () => {
    const { stub } = await shardOf('alarm-no-registry')
    must(await stub().append(OWNER, appendOf(['a'])))
    await evictDurableObject(stub())
    const asked = vi.fn(failing('no registry'))
    await bind(stub(), { REGISTRY: { getByName: () => ({ keyCopy: asked }) } })
    nowMs += SEAL_MS
    expect(await runAlarms(stub())).toBe(nowMs + 30_000)
    expect(asked).toHaveBeenCalledTimes(1)
  })

  it('does not run again and again while the tables can not be written', async () => {
    const { stub } = await shardOf('alarm-read-only')
    must(await stub().append(OWNER, appendOf(['a'])))
    await runInDurableObject(stub(), (_shard, { storage }) => {
      for (const table of ['job', 'block']) {
        storage.sql.exec(
          `create trigger no_${table} before insert on ${table} begin select raise(abort, 'full'); end`,
        )
      }
    })
    nowMs += SEAL_MS
    expect(await runAlarms(stub())).toBe(nowMs + 30_000)
    await runInDurableObject(stub(), (_shard, { storage }) => {
      for (const table of ['job', 'block']) storage.sql.exec(`drop trigger no_${table}`)
    })
    nowMs += 30_000
    await runAlarms(stub())
    expect(must(await stub().storage(OWNER))).toMatchObject({ blocks: [{ records: 1 }] })
  })

  it('does not run again and again for an app that is gone', async () => {
    const { stub } = await shardOf('alarm-gone')
    must(await stub().append(OWNER, appendOf(['a'])))
    await evictDurableObject(stub())
    const asked = vi.fn(async () => null)
    await bind(stub(), { REGISTRY: { getByName: () => ({ keyCopy: asked }) } })
    nowMs += SEAL_MS
    expect(await runAlarms(stub())).toBe(nowMs + 30_000)
    expect(asked).toHaveBeenCalledTimes(1)
  })
})

describe('a row that can not be sealed', () => {
  const noise = () => {
    const bytes = crypto.getRandomValues(new Uint8Array(1000))
    const summary = { records: 3, minMs: START, maxMs: START, levels: [0, 0, 3, 0, 0, 0] }
    return { segments: [{ bytes, rawBytes: 1000, summary }], batchId: null, notes: {} }
  }

  it('stays and is shown, and the others are sealed', async () => {
    const { stub } = await shardOf('alarm-poison')
    for (const append of [appendOf(['a']), appendOf(['b']), noise(), appendOf(['c'])])
      must(await stub().append(OWNER, append))
    nowMs += SEAL_MS
    expect(await runAlarms(stub())).toBe(nowMs + DAY_MS)
    const storage = must(await stub().storage(OWNER))
    expect(storage.poison).toMatchObject({ rows: 1, records: 3 })
    expect(storage.pending).toMatchObject({ rows: 1, records: 3 })
    expect(storage.blocks).toMatchObject([{ records: 3 }])
    expect(storage.warnings[0]).toContain('from record 3')
    const { candidates } = must(await stub().candidates(OWNER, ALL))
    expect(candidates.map(({ seq, from }) => [seq, from.kind])).toContainEqual([3, 'segments'])
  })

  it('is tried again a day later, and what comes behind it is not held up', async () => {
    const { stub } = await shardOf('alarm-poison-later')
    must(await stub().append(OWNER, noise()))
    nowMs += SEAL_MS
    await runAlarms(stub())
    must(await stub().append(OWNER, appendOf(['a'])))
    expect(await alarmOf(stub())).toBe(nowMs + SEAL_MS)
    nowMs += SEAL_MS
    await runAlarms(stub())
    const { poison, pending } = must(await stub().storage(OWNER))
    expect([poison.rows, pending.rows]).toEqual([1, 1])
    await runInDurableObject(stub(), (_shard, { storage }) => {
      // A version that can read it.
      const [good] = encodeSegments(batchOf([{ message: 'x' }, { message: 'y' }, { message: 'z' }]))
      const packed = new Uint8Array(4 + good!.bytes.length)
      new DataView(packed.buffer).setUint32(0, good!.bytes.length, true)
      packed.set(good!.bytes, 4)
      storage.sql.exec('update wal set segments = ?', packed)
    })
    nowMs += DAY_MS
    await runAlarms(stub())
    expect(must(await stub().storage(OWNER))).toMatchObject({
      poison: { rows: 0 },
      pending: { rows: 0 },
    })
  })
})

describe('a deletion', () => {
  it('that comes while a block is built is not lost on it', async () => {
    const { stub } = await shardOf('alarm-overtaken')
    const removed: number[] = []
    let before: (() => Promise<unknown>) | null = null
    const build = async (request: BuildRequest) => {
      const built = await env.SEALER.getByName('alarm-overtaken').build(request)
      if (built.ok) removed.push(built.data.removed.reduce((n, { records }) => n + records, 0))
      await before?.()
      before = null
      return built
    }
    await bind(stub(), { SEALER: { getByName: () => ({ build }) } })
    must(await stub().append(OWNER, appendOf([{ message: 'keep' }, { message: 'drop', level: 4 }])))
    const match = { ...ALL_RECORDS, filter: levelIn(1 << 4) }
    await runInDurableObject(stub(), (shard: LogShard) => {
      before = () => shard.deleteRecords(OWNER, { jobId: 'job_1', match })
    })
    nowMs += SEAL_MS
    await runAlarms(stub())
    expect(removed).toEqual([0, 1])
    expect(must(await stub().job(OWNER, 'job_1'))).toMatchObject({ state: 'done', records: 1 })
    expect(must(await stub().storage(OWNER))).toMatchObject({
      tombstones: 0,
      blocks: [{ records: 1 }],
    })
  })

  it('that can not read a block comes back to that one alone, and others do not wait for it', async () => {
    const { stub } = await shardOf('alarm-unread')
    for (const word of ['pear', 'plum', 'fig']) {
      must(await stub().append(OWNER, appendOf([`a ${word}`, { message: `b ${word}`, level: 4 }])))
      await flushAll(stub(), `flush ${word}`)
      await runAlarms(stub())
    }
    const objects = must(await stub().archive(OWNER)).objects.map(({ key }) => key)
    expect(objects.length).toBe(3)
    const real = env.ARCHIVE!.get.bind(env.ARCHIVE)
    const asked = new Set<string>()
    let lost: string | undefined = objects[0]
    const get = vi.spyOn(env.ARCHIVE!, 'get').mockImplementation((async (key: string) => {
      asked.add(key)
      return key === lost ? null : real(key)
    }) as R2Bucket['get'])
    const words = (word: string) => ({
      ...ALL_RECORDS,
      filter: textIs('message', { is: 'phrase', text: word }),
    })
    const errors = { ...ALL_RECORDS, filter: levelIn(1 << 4) }
    must(await stub().deleteRecords(OWNER, { jobId: 'errors', match: errors }))
    must(await stub().deleteRecords(OWNER, { jobId: 'fig', match: words('fig') }))
    expect(await runAlarms(stub())).toBe(nowMs + 2000)
    // What is hidden whole is not read.
    expect(asked).toEqual(new Set(objects.slice(0, 2)))
    expect(must(await stub().job(OWNER, 'fig'))).toMatchObject({ state: 'done', records: 2 })
    const job = async () => must(await stub().job(OWNER, 'errors'))
    expect(await job()).toMatchObject({ state: 'running', records: 1 })
    expect((await job())?.error).toContain(lost)
    asked.clear()
    nowMs += 2000
    expect(await runAlarms(stub())).toBe(nowMs + 4000)
    expect(asked).toEqual(new Set([lost]))
    lost = undefined
    nowMs += 4000
    await runAlarms(stub())
    get.mockRestore()
    expect(await job()).toMatchObject({ state: 'done', records: 2, error: null })
    expect(await messagesOf(must(await stub().candidates(OWNER, ALL)))).toEqual([
      'a pear',
      'a plum',
    ])
  })

  it('that could not be stored is no deletion, and can be asked for again', async () => {
    const { stub } = await shardOf('alarm-unstored')
    must(await stub().append(OWNER, appendOf(['a'])))
    await runInDurableObject(stub(), async (shard: LogShard, { storage }) => {
      const { sql } = storage
      sql.exec(
        "create trigger no before insert on tombstone begin select raise(abort, 'full'); end",
      )
      const job = { jobId: 'job_1', match: ALL_RECORDS }
      await expect(shard.deleteRecords(OWNER, job)).rejects.toThrow('full')
      expect(await shard.job(OWNER, 'job_1')).toEqual({ ok: true, data: null })
      sql.exec('drop trigger no')
      expect(await shard.deleteRecords(OWNER, job)).toMatchObject({ ok: true })
    })
    expect(must(await stub().candidates(OWNER, ALL)).tombstones).toMatchObject([{ maxSeq: 1 }])
  })
})

describe('a shard with too much unsealed', () => {
  it('refuses appends until it is sealed, and wakes for it', async () => {
    const { stub } = await shardOf('alarm-overloaded')
    must(await stub().append(OWNER, appendOf(['a'])))
    const { get } = Object.getOwnPropertyDescriptor(BlockStore.prototype, 'wal')!
    let totalBytes = WAL_BYTES_MAX
    const wal = vi.spyOn(BlockStore.prototype, 'wal', 'get').mockImplementation(function (
      this: BlockStore,
    ) {
      return Object.create(get!.call(this), { totalBytes: { value: totalBytes } })
    })
    expect(await stub().append(OWNER, appendOf(['b']))).toMatchObject({
      ok: false,
      error: { code: 'overloaded', details: { max: WAL_BYTES_MAX } },
    })
    totalBytes--
    expect(await stub().append(OWNER, appendOf(['b']))).toMatchObject({ ok: true })
    wal.mockRestore()
    expect(await alarmOf(stub())).toBe(START + SEAL_MS)
  })
})
