// How records go when their time is over: by the day they were received, by the first rule that
// matches, looked at once a day. The clock stands still and is moved on; alarms are run by hand.

import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { packSegments } from '../../src/block/segment.ts'
import type { BuildRequest } from '../../src/shard/sealer.ts'
import type { LogShard } from '../../src/shard/shard.ts'
import type { RetentionRule } from '../../src/tenant/settings.ts'
import type { RecordSpec } from '../batches.ts'
import { ALL, appendOf, messagesOf, must, OWNER, settingsWith, shardOf } from './open.ts'

const DAY_MS = 86_400_000
const TODAY = Math.floor(Date.now() / DAY_MS) * DAY_MS + DAY_MS
const NOON = TODAY + DAY_MS / 2

const clock = vi.spyOn(Date, 'now')
let nowMs = NOON
const logged = vi.spyOn(console, 'error')
beforeEach(() => {
  nowMs = NOON
  clock.mockImplementation(() => nowMs)
  logged.mockImplementation(() => {})
})
afterEach(() => {
  logged.mockClear()
})

const [DEBUG, INFO, ERROR] = [1, 2, 4]

/** A shard with these rules, and what was built for it and read of its archive. */
async function keeping(appId: string, retention: RetentionRule[]) {
  const { stub, copy } = await shardOf(appId)
  const built: BuildRequest[] = []
  const build = (request: BuildRequest) => {
    built.push(request)
    return env.SEALER.getByName(appId).build(request)
  }
  await runInDurableObject(stub(), (shard: LogShard) => {
    Object.assign(shard, { env: { ...env, SEALER: { getByName: () => ({ build }) } } })
  })
  let version = 1000
  const configure = (rules: RetentionRule[]) =>
    stub().configure(copy(version++, { settings: settingsWith({ retention: rules }) }))
  await configure(retention)
  const alarmMs = () => runInDurableObject(stub(), (_shard, { storage }) => storage.getAlarm())
  /** Runs the alarms that are due by now. */
  const run = async () => {
    for (let turn = 0; turn < 20; turn++) {
      const nextMs = await alarmMs()
      if (nextMs === null || nextMs > nowMs) return
      await runDurableObjectAlarm(stub())
    }
    throw new Error('the alarm never rests')
  }
  let jobs = 0
  return {
    stub,
    built,
    configure,
    alarmMs,
    run,
    append: async (...records: (string | RecordSpec)[]) =>
      must(await stub().append(OWNER, appendOf(records))),
    /** Seals, and archives where it is asked to. */
    flush: async (isArchived = false) => {
      const olderThanMs = isArchived ? nowMs + 1 : 0
      must(await stub().flush(OWNER, { jobId: `job_${jobs++}`, olderThanMs }))
      await run()
    },
    /** Moves the clock on to so many days from the first, a moment after midnight. */
    day: async (day: number) => {
      nowMs = TODAY + day * DAY_MS + 1
      await run()
    },
    messages: async () => messagesOf(must(await stub().candidates(OWNER, ALL))),
    storage: async () => must(await stub().storage(OWNER)),
    expire: async () => {
      const { jobs } = must(await stub().storage(OWNER))
      return jobs.find(({ name }) => name === 'expire')!
    },
  }
}

const level = (name: string): RetentionRule['filter'] => ({ level: name })
const rest = (days: number): RetentionRule => ({ filter: null, days })

describe('retention', () => {
  it('drops whole blocks by the catalog alone, hot and cold', async () => {
    const shard = await keeping('keep-whole', [rest(30)])
    await shard.append('a', { message: 'b', level: ERROR })
    await shard.flush(true)
    await shard.append('c')
    await shard.flush()
    const { length } = shard.built
    await shard.day(30)
    expect(await shard.messages()).toEqual(['a', 'b', 'c'])
    const get = vi.spyOn(env.ARCHIVE!, 'get')
    await shard.day(31)
    expect(await shard.messages()).toEqual([])
    expect(shard.built.length).toBe(length)
    expect(get).not.toHaveBeenCalled()
    get.mockRestore()
    expect((await env.ARCHIVE!.list({ prefix: 'keep-whole/' })).objects).toEqual([])
    expect(await shard.storage()).toMatchObject({ tombstones: 0, blocks: [] })
  })

  it('goes by the day received, not by the time of the record', async () => {
    const shard = await keeping('keep-received', [rest(30)])
    await shard.append({ message: 'backfilled', ms: TODAY - 700 * DAY_MS })
    await shard.flush()
    await shard.day(30)
    expect(await shard.messages()).toEqual(['backfilled'])
    await shard.append({ message: 'ahead', ms: TODAY + 700 * DAY_MS })
    await shard.day(31)
    expect(await shard.messages()).toEqual(['ahead'])
    await shard.day(61)
    expect(await shard.messages()).toEqual([])
  })

  it('is by the first rule that matches: a mixed block is rewritten, step by step', async () => {
    const shard = await keeping('keep-mixed', [
      { filter: { event_type: 'audit' }, days: 400 },
      { filter: level('debug'), days: 3 },
      { filter: level('>=error'), days: 90 },
      rest(30),
    ])
    const audit = { event_type: 'audit' }
    await shard.append(
      { message: 'debug', level: DEBUG },
      { message: 'debug audit', level: DEBUG, text: audit },
      { message: 'info', level: INFO },
      { message: 'error', level: ERROR },
      { message: 'error audit', level: ERROR, text: audit },
      { message: 'info audit', level: INFO, text: audit },
    )
    await shard.flush(true)
    const left = async (day: number) => {
      await shard.day(day)
      const messages = (await shard.messages()).map((text) =>
        text
          .replace(' audit', '+')
          .replace('debug', 'd')
          .replace('info', 'i')
          .replace('error', 'e'),
      )
      return messages.join(' ')
    }
    expect(await left(3)).toBe('d d+ i e e+ i+')
    expect(await left(4)).toBe('d+ i e e+ i+')
    expect(await left(30)).toBe('d+ i e e+ i+')
    expect(await left(31)).toBe('d+ e e+ i+')
    expect(await left(90)).toBe('d+ e e+ i+')
    expect(await left(91)).toBe('d+ e+ i+')
    expect(await left(400)).toBe('d+ e+ i+')
    expect(await left(401)).toBe('')
    expect((await env.ARCHIVE!.list({ prefix: 'keep-mixed/' })).objects).toEqual([])
  })

  it('touches what was received too late by no rule', async () => {
    const shard = await keeping('keep-later', [{ filter: level('debug'), days: 3 }, rest(30)])
    for (const day of [0, 1, 2]) {
      await shard.day(day)
      await shard.append({ message: `debug ${day}`, level: DEBUG }, `info ${day}`)
      await shard.flush()
    }
    await shard.day(5)
    expect(await shard.messages()).toEqual(['info 0', 'info 1', 'debug 2', 'info 2'])
  })

  it('takes what was never sealed, too', async () => {
    const shard = await keeping('keep-unsealed', [rest(1)])
    await shard.append('a')
    nowMs = TODAY + 2 * DAY_MS
    await shard.append('b')
    await shard.run()
    expect(await shard.messages()).toEqual(['b'])
  })

  it('is looked at once a day', async () => {
    const shard = await keeping('keep-daily', [rest(3)])
    await shard.append('a')
    await shard.flush()
    await shard.day(1)
    await shard.append('b')
    await shard.flush()
    await shard.day(4)
    expect(await shard.messages()).toEqual(['b'])
    const { lastRunMs, nextRunMs } = await shard.expire()
    expect([lastRunMs, nextRunMs]).toEqual([nowMs, TODAY + 5 * DAY_MS])
    // A rule that would take it today comes a day later, after a restart as well.
    await shard.configure([rest(1)])
    await shard.flush()
    await evictDurableObject(shard.stub())
    await shard.configure([rest(1)])
    nowMs += DAY_MS / 2
    await shard.flush()
    expect(await shard.messages()).toEqual(['b'])
    expect((await shard.expire()).lastRunMs).toBe(lastRunMs)
    expect(await shard.storage()).toMatchObject({ tombstones: 0 })
    await shard.day(5)
    expect(await shard.messages()).toEqual([])
  })

  it('makes no tombstone and builds nothing where a rule touches nothing', async () => {
    const shard = await keeping('keep-untouched', [{ filter: level('debug'), days: 1 }, rest(30)])
    await shard.append('a', { message: 'b', level: ERROR })
    await shard.flush()
    const { length } = shard.built
    const written = (await shard.storage()).rowsWritten
    await shard.day(2)
    expect((await shard.expire()).lastRunMs).toBe(nowMs)
    expect(shard.built.length).toBe(length)
    const table = await runInDurableObject(shard.stub(), (_shard, { storage }) =>
      storage.sql.exec("select value from meta where key = 'tombstone'").toArray(),
    )
    expect(table).toEqual([])
    // The day, the job, the next alarm; the table of jobs has no index.
    expect((await shard.storage()).rowsWritten - written).toBeLessThanOrEqual(3)
  })

  it('that was shortened is looked at on the same day', async () => {
    const shard = await keeping('keep-shortened', [rest(30)])
    await shard.append('a')
    await shard.flush(true)
    await shard.day(10)
    expect(await shard.messages()).toEqual(['a'])
    await shard.configure([rest(3)])
    expect(await shard.alarmMs()).toBe(nowMs)
    await shard.run()
    expect(await shard.messages()).toEqual([])
  })

  it('by a rule that is not understood any more deletes nothing, and says so', async () => {
    const shard = await keeping('keep-unread', [{ filter: { colour: 'red' }, days: 1 }, rest(1)])
    await shard.append('a')
    await shard.flush()
    await shard.day(2)
    expect(await shard.messages()).toEqual(['a'])
    expect(await shard.expire()).toMatchObject({ nextRunMs: nowMs + 2000 })
    expect((await shard.expire()).error).toContain('colour')
    await shard.append('b')
    await shard.flush()
    expect(await shard.storage()).toMatchObject({ pending: { rows: 0 } })
    await shard.configure([rest(1)])
    nowMs += 2000
    await shard.run()
    expect(await shard.messages()).toEqual(['b'])
  })

  it('reads what it spared no second time for the same rules', async () => {
    const rules = [{ filter: { event_type: 'audit' }, days: 400 }, rest(30)]
    const shard = await keeping('keep-spared', rules)
    const text = { event_type: 'audit' }
    await shard.append({ message: 'audit', text }, 'a', { message: 'error', level: ERROR })
    await shard.flush(true)
    await shard.day(31)
    expect(await shard.messages()).toEqual(['audit'])
    const { length } = shard.built
    const get = vi.spyOn(env.ARCHIVE!, 'get')
    for (const day of [32, 33]) {
      await shard.append(`later ${day}`)
      await shard.flush()
      const { length } = shard.built
      await shard.day(day)
      expect([shard.built.length, get.mock.calls.length]).toEqual([length, 0])
    }
    await evictDurableObject(shard.stub())
    await shard.configure(rules)
    await shard.day(34)
    expect(get).not.toHaveBeenCalled()
    get.mockRestore()
    expect(shard.built.length).toBe(length + 2)
    // Other rules look at all of it again.
    await shard.configure([{ filter: level('info'), days: 20 }, rest(30)])
    await shard.day(35)
    expect(await shard.messages()).toEqual(['later 32', 'later 33'])
  })

  it('has one tombstone a rule, however long a block can not be read', async () => {
    const shard = await keeping('keep-unreadable', [{ filter: level('error'), days: 90 }, rest(30)])
    for (const day of [0, 1, 2]) {
      await shard.day(day)
      await shard.append(`info ${day}`, { message: `error ${day}`, level: ERROR })
      await shard.flush(true)
    }
    const get = vi.spyOn(env.ARCHIVE!, 'get').mockRejectedValue(new Error('down'))
    for (const day of [31, 32, 33]) {
      await shard.day(day)
      expect(await shard.storage()).toMatchObject({ tombstones: 1 })
    }
    get.mockRestore()
    nowMs += DAY_MS / 2
    await shard.run()
    expect(await shard.messages()).toEqual(['error 0', 'error 1', 'error 2'])
    expect(await shard.storage()).toMatchObject({ tombstones: 0 })
  })

  /** One segment that can not be read. */
  const noise = () => {
    const bytes = crypto.getRandomValues(new Uint8Array(100))
    const summary = { records: 1, minMs: NOON, maxMs: NOON, levels: [0, 0, 1, 0, 0, 0] }
    return { segments: [{ bytes, rawBytes: 100, summary }], batchId: null, notes: {} }
  }

  it('leaves a row that can not be sealed to a person, and rests', async () => {
    const shard = await keeping('keep-poison', [rest(1)])
    must(await shard.stub().append(OWNER, noise()))
    await shard.append('a')
    await shard.flush()
    await shard.day(2)
    const storage = await shard.storage()
    expect(storage).toMatchObject({ tombstones: 0, blocks: [], poison: { rows: 1 } })
    expect(await shard.alarmMs()).toBeGreaterThan(nowMs + DAY_MS / 4)
  })

  it('takes a row that could not be sealed once it is', async () => {
    const shard = await keeping('keep-poison-later', [rest(1)])
    must(await shard.stub().append(OWNER, noise()))
    await shard.append('a')
    await shard.flush()
    await shard.day(2)
    await runInDurableObject(shard.stub(), (_shard, { storage }) => {
      const [good] = appendOf(['healed']).segments
      storage.sql.exec('update wal set segments = ?', packSegments([good!.bytes]))
    })
    // Retention is looked at before it is tried again.
    await shard.day(3)
    expect(await shard.messages()).toEqual(['healed'])
    expect(await shard.storage()).toMatchObject({ pending: { rows: 0 } })
    await shard.day(4)
    expect(await shard.messages()).toEqual([])
  })
})
