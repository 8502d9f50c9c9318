// The shard itself: what survives an eviction, what a failed write leaves behind, whom it refuses.

import { evictDurableObject, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { DATABASE_BYTES_MAX } from '../../src/limits.ts'
import type { Result } from '../../src/result.ts'
import type { LogShard } from '../../src/shard/shard.ts'
import { ALL, appendOf, must, OWNER, type ShardStub, shardOf } from './open.ts'

async function recordsOf(stub: ShardStub): Promise<[number, number][]> {
  const { candidates } = must(await stub.candidates(OWNER, ALL))
  return candidates.map(({ seq, records }) => [seq, records])
}

const daysOf = async (stub: ShardStub) => must(await stub.stats(OWNER)).days

// A failed commit is logged; here it is meant to fail.
const logged = vi.spyOn(console, 'error').mockImplementation(() => {})
afterEach(() => {
  for (const [text] of logged.mock.calls) expect(text).toBe('commit failed')
})

describe('LogShard', () => {
  it('an eviction loses no record, no number and no batch id', async () => {
    const { stub } = await shardOf('evicted')
    await stub().append(OWNER, appendOf(['a', 'b'], 1))
    await evictDurableObject(stub())
    expect(await stub().append(OWNER, appendOf(['a', 'b'], 1))).toEqual({
      ok: true,
      data: { duplicate: true },
    })
    await stub().append(OWNER, appendOf(['c'], 2))
    expect(await recordsOf(stub())).toEqual([
      [1, 2],
      [3, 1],
    ])
  })

  it('a write that fails answers 503, stores nothing, and can be repeated', async () => {
    const { stub } = await shardOf('failing')
    // The first call makes the tables.
    await recordsOf(stub())
    await runInDurableObject(stub(), async (shard: LogShard, state) => {
      const { sql } = state.storage
      sql.exec("create trigger full before insert on wal begin select raise(abort, 'full'); end")
      const failed = await Promise.all([
        shard.append(OWNER, appendOf(['a'], 1)),
        shard.append(OWNER, appendOf(['b'], 2)),
      ])
      for (const result of failed)
        expect(result).toMatchObject({ ok: false, error: { code: 'unavailable' } })
      sql.exec('drop trigger full')
      expect(await shard.append(OWNER, appendOf(['a'], 1))).toEqual({
        ok: true,
        data: { duplicate: false },
      })
    })
    expect(await recordsOf(stub())).toEqual([[1, 1]])
  })

  it('a request larger than a row is stored whole in several, numbered on', async () => {
    const { stub } = await shardOf('rows')
    const noise = (seed: number) => {
      const bytes = new Uint8Array(900_000)
      for (let at = 0; at < bytes.length; at += 65_536) {
        crypto.getRandomValues(bytes.subarray(at, at + 65_536))
      }
      bytes[0] = seed
      const summary = { records: 10, minMs: 0, maxMs: 1, levels: [0, 0, 10, 0, 0, 0] }
      return { bytes, rawBytes: bytes.length, summary }
    }
    const segments = [noise(1), noise(2), noise(3), noise(4), noise(5)]
    const rows = await runInDurableObject(stub(), async (shard: LogShard, { storage }) => {
      // As much as is sealed at once, and noise can not be.
      const alarm = vi
        .spyOn(Object.getPrototypeOf(storage), 'setAlarm')
        .mockResolvedValue(undefined)
      await shard.append(OWNER, { segments, batchId: new Uint8Array(16).fill(9), notes: {} })
      alarm.mockRestore()
      return storage.sql.exec('select seq, records, length(segments) as n from wal').toArray()
    })
    expect(rows.map(({ seq, records }) => [seq, records])).toEqual([
      [1, 20],
      [21, 20],
      [41, 10],
    ])
    for (const { n } of rows) expect(Number(n)).toBeLessThan(1_900_000)
  })

  it('appends that arrive together share a row', async () => {
    const { stub } = await shardOf('grouped')
    await stub().candidates(OWNER, ALL)
    await runInDurableObject(stub(), (shard: LogShard) =>
      Promise.all(
        Array.from({ length: 64 }, (_, i) => shard.append(OWNER, appendOf([`m${i}`], i + 1))),
      ),
    )
    expect(await recordsOf(stub())).toEqual([
      [1, 1],
      [2, 63],
    ])
  })

  it('refuses a key it never heard of, and an app that is not', async () => {
    const { stub } = await shardOf('unheard')
    const refused = await stub().append({ ...OWNER, keyId: 'nobody' }, appendOf(['a']))
    expect(refused).toMatchObject({ ok: false, error: { code: 'unauthorized' } })
    const nobody = env.LOG_SHARD.getByName('0123456789abcdef-0') as unknown as ShardStub
    const unknown = await nobody.append(OWNER, appendOf(['a']))
    expect(unknown).toMatchObject({ ok: false, error: { code: 'not_found' } })
  })
})

describe('a caller that believes in fewer shards than there are', () => {
  it('is told so, whatever it asks, and stores nothing', async () => {
    const { stub, tenant, copy } = await shardOf('raised')
    await stub().configure(copy(1000, { tenant: { ...tenant, shards: 4 } }))
    const stale = { ok: false, error: { code: 'conflict', details: { stale: true } } }
    const caller = { keyId: null, shards: 3 }
    expect(await stub().append(caller, appendOf(['a']))).toMatchObject(stale)
    expect(await stub().candidates(caller, ALL)).toMatchObject(stale)
    expect(await stub().stats(caller)).toMatchObject(stale)
    expect(await stub().storage(caller)).toMatchObject(stale)
    expect(await stub().flush(caller, { jobId: 'job_1', olderThanMs: 0 })).toMatchObject(stale)
    for (const shards of [4, 5])
      expect(await stub().candidates({ keyId: null, shards }, ALL)).toMatchObject({
        data: { maxSeq: 0 },
      })
  })
})

describe('an eviction', () => {
  it('loses no count: days, levels, notes of records and of refused requests', async () => {
    const { stub } = await shardOf('counted')
    const notes = { cut_message: 2, refused_record_body: 1 }
    await stub().append(OWNER, { ...appendOf(['a', 'b'], 1), notes })
    await stub().note(OWNER, { refused_request_bad_json: 3 })
    const before = await daysOf(stub())
    expect(before).toMatchObject([
      {
        records: 2,
        levels: { info: 2, error: 0 },
        notes: { ...notes, refused_request_bad_json: 3 },
      },
    ])
    await evictDurableObject(stub())
    expect(await daysOf(stub())).toEqual(before)
    await stub().note(OWNER, { refused_request_bad_json: 1 })
    await stub().append(OWNER, { ...appendOf(['c'], 2), notes: { cut_message: 1 } })
    await daysOf(stub())
    await evictDurableObject(stub())
    expect(await daysOf(stub())).toMatchObject([
      { records: 3, notes: { ...notes, cut_message: 3, refused_request_bad_json: 4 } },
    ])
  })

  it('keeps a count on the day it was received', async () => {
    const { stub } = await shardOf('counted-days')
    await stub().append(OWNER, appendOf(['a'], 1))
    await runInDurableObject(stub(), (_shard, { storage }) => {
      storage.sql.exec('update wal set received_ms = 1720000000000')
      storage.sql.exec("insert into daily values ('2024-07-04', 'refused_request_bad_json', 5)")
    })
    await evictDurableObject(stub())
    await stub().append(OWNER, appendOf(['b'], 2))
    expect(await daysOf(stub())).toMatchObject([
      { day: '2024-07-03', records: 1, notes: {} },
      { day: '2024-07-04', records: 0, notes: { refused_request_bad_json: 5 } },
      { day: new Date().toISOString().slice(0, 10), records: 1, notes: {} },
    ])
  })

  const remembers = (minutes: number, isDuplicate: boolean) =>
    it(`${isDuplicate ? 'keeps' : 'drops'} a batch id of ${minutes} minutes ago`, async () => {
      const { stub } = await shardOf(`aged-${minutes}`)
      await stub().append(OWNER, appendOf(['a'], 1))
      await runInDurableObject(stub(), (_shard, { storage }) => {
        storage.sql.exec('update wal set received_ms = ?', Date.now() - minutes * 60_000)
      })
      await evictDurableObject(stub())
      const again = await stub().append(OWNER, appendOf(['a'], 1))
      expect(again).toEqual({ ok: true, data: { duplicate: isDuplicate } })
    })

  remembers(0, true)
  remembers(9, true)
  remembers(11, false)
})

describe('a full shard', () => {
  it('answers 503 with its size, stores nothing, is still read, and takes records again', async () => {
    const { stub } = await shardOf('full')
    await stub().append(OWNER, appendOf(['a'], 1))
    await runInDurableObject(stub(), async (shard: LogShard, { storage }) => {
      const size = vi.spyOn(Object.getPrototypeOf(storage.sql), 'databaseSize', 'get')
      const clock = vi.spyOn(Date, 'now')
      // The size is asked for once a second at most.
      const laterWith = (bytes: number) => {
        size.mockReturnValue(bytes)
        clock.mockReturnValue(Date.now() + 2000)
      }
      laterWith(DATABASE_BYTES_MAX)
      expect(await shard.append(OWNER, appendOf(['b'], 2))).toMatchObject({
        ok: false,
        error: { code: 'unavailable', details: { database_bytes: DATABASE_BYTES_MAX } },
      })
      expect(await shard.candidates(OWNER, ALL)).toMatchObject({ data: { maxSeq: 1 } })
      laterWith(DATABASE_BYTES_MAX - 1)
      expect(await shard.append(OWNER, appendOf(['b'], 2))).toMatchObject({ ok: true })
      clock.mockRestore()
      size.mockRestore()
    })
    expect(await recordsOf(stub())).toEqual([
      [1, 1],
      [2, 1],
    ])
  })
})

describe('keys', () => {
  const UNAUTHORIZED = { ok: false, error: { code: 'unauthorized' } }

  it('are refused from the moment they expire', async () => {
    const { stub, copy } = await shardOf('expiring')
    const expiresMs = Date.now() + 60_000
    const key = { keyId: 'key_a', expiresMs }
    await stub().configure(copy(1000, { keys: [key] }))
    const asks = () => stub().candidates({ ...OWNER, keyId: 'key_a' }, ALL)
    expect(await asks()).toMatchObject({ ok: true })
    const clock = vi.spyOn(Date, 'now')
    clock.mockReturnValue(expiresMs - 1)
    expect(await asks()).toMatchObject({ ok: true })
    clock.mockReturnValue(expiresMs)
    expect(await asks()).toMatchObject(UNAUTHORIZED)
    clock.mockRestore()
  })

  it('are those of the highest version heard, in whatever order they are told', async () => {
    const { stub, copy } = await shardOf('versions')
    const tell = (version: number, ...keyIds: string[]) =>
      stub().configure(copy(version, { keys: keyIds.map((keyId) => ({ keyId, expiresMs: null })) }))
    const live = async () => {
      const codes: string[] = []
      for (const keyId of ['a', 'b', 'c']) {
        const reply = await stub().candidates({ ...OWNER, keyId }, ALL)
        if (reply.ok) codes.push(keyId)
        else expect(reply.error.code).toBe('unauthorized')
      }
      return codes
    }
    await tell(1000, 'a', 'b')
    expect(await live()).toEqual(['a', 'b'])
    await tell(1002, 'b')
    expect(await live()).toEqual(['b'])
    await tell(1001, 'a', 'b', 'c')
    expect(await live()).toEqual(['b'])
    await tell(1002, 'c')
    expect(await live()).toEqual(['b'])
    await tell(1003, 'c')
    expect(await live()).toEqual(['c'])
  })

  it('are asked for again after an eviction, with what was revoked before', async () => {
    const { stub, appId } = await shardOf('asked-again')
    const registry = env.REGISTRY.getByName('registry')
    const keys = (await registry.listKeys({ appId, tenantId: null })) as Result<{ keyId: string }[]>
    const [gone, live] = keys.ok ? keys.data.map(({ keyId }) => keyId) : []
    await registry.deleteKey({ appId, tenantId: null }, gone!)
    await evictDurableObject(stub())
    expect(await stub().candidates({ ...OWNER, keyId: live! }, ALL)).toMatchObject({ ok: true })
    expect(await stub().candidates({ ...OWNER, keyId: gone! }, ALL)).toMatchObject(UNAUTHORIZED)
  })
})

describe('destroy', () => {
  const GONE = { ok: false, error: { code: 'not_found' } }
  const tablesOf = (stub: ShardStub) =>
    runInDurableObject(stub, (_shard, { storage }) =>
      storage.sql
        .exec("select name from sqlite_master where name not like '\\_%' escape '\\'")
        .toArray(),
    )

  it('refuses every later call, though the registry still has the app, and leaves nothing', async () => {
    const { stub } = await shardOf('destroyed')
    await stub().append(OWNER, appendOf(['a'], 1))
    await stub().note(OWNER, { refused_request_bad_json: 1 })
    expect((await tablesOf(stub())).length).toBeGreaterThan(0)
    await stub().destroy()
    expect(await stub().append(OWNER, appendOf(['a'], 1))).toMatchObject(GONE)
    expect(await stub().append(OWNER, appendOf(['b'], 2))).toMatchObject(GONE)
    expect(await stub().candidates(OWNER, ALL)).toMatchObject(GONE)
    expect(await stub().stats(OWNER)).toMatchObject(GONE)
    await stub().note(OWNER, { refused_request_bad_json: 1 })
    expect(await tablesOf(stub())).toEqual([])
    await stub().destroy()
    expect(await tablesOf(stub())).toEqual([])
  })

  it('stays refused when keys are told after it', async () => {
    const { stub, copy } = await shardOf('destroyed-told')
    await stub().destroy()
    await stub().configure(copy(1000, { keys: [{ keyId: 'a', expiresMs: null }] }))
    expect(await stub().candidates({ ...OWNER, keyId: 'a' }, ALL)).toMatchObject(GONE)
    expect(await stub().candidates(OWNER, ALL)).toMatchObject(GONE)
  })

  it('answers the appends that wait, and stores none of them', async () => {
    const { stub } = await shardOf('destroyed-waiting')
    await stub().candidates(OWNER, ALL)
    await runInDurableObject(stub(), async (shard: LogShard) => {
      const appends = [1, 2, 3].map((id) => shard.append(OWNER, appendOf(['a'], id)))
      // The first is on its way once its caller is known; the others wait for it.
      await Promise.resolve()
      await Promise.resolve()
      await Promise.resolve()
      const gone = shard.destroy()
      const [, second, third] = await Promise.all(appends)
      await gone
      expect(second).toMatchObject(GONE)
      expect(third).toMatchObject(GONE)
    })
    expect(await tablesOf(stub())).toEqual([])
  })

  it('of a deleted app leaves an object without tables, also after it is called again', async () => {
    const { stub, appId } = await shardOf('destroyed-app')
    await stub().append(OWNER, appendOf(['a'], 1))
    await env.REGISTRY.getByName('registry').deleteApp({ appId, tenantId: null })
    await evictDurableObject(stub())
    expect(await stub().append(OWNER, appendOf(['b'], 2))).toMatchObject(GONE)
    expect(await stub().candidates(OWNER, ALL)).toMatchObject(GONE)
    expect(await tablesOf(stub())).toEqual([])
  })
})
