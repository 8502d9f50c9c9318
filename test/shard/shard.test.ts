// The shard itself: what survives an eviction, what a failed write leaves behind.

import { evictDurableObject, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import { encodeSegments } from '../../src/block/segment.ts'
import type { Result } from '../../src/result.ts'
import type { CandidatesReply } from '../../src/shard/candidates.ts'
import type { LogShard } from '../../src/shard/shard.ts'
import type { Append } from '../../src/shard/store.ts'
import { batchOf } from '../batches.ts'
import { makeApp } from '../flow/client.ts'

const OWNER = { keyId: null }
const ALL = {
  minMs: 0,
  maxMs: Number.MAX_SAFE_INTEGER,
  levelMask: 63,
  order: 'asc',
  maxSeq: null,
  onlySeq: null,
  bytesMax: 1e6,
  after: null,
} as const

function appendOf(messages: string[], id: number | null = null): Append {
  return {
    segments: encodeSegments(batchOf(messages.map((message) => ({ message })))),
    batchId: id === null ? null : new Uint8Array(16).fill(id),
    notes: {},
  }
}

async function shardOf(appId: string) {
  await makeApp(appId)
  const tenant = await env.REGISTRY.getByName('registry').tenantForApp(appId)
  const name = `${tenant?.tenantId}-0`
  return { stub: () => env.LOG_SHARD.getByName(name) as DurableObjectStub<LogShard> }
}

async function recordsOf(stub: DurableObjectStub<LogShard>): Promise<[number, number][]> {
  const reply = (await stub.candidates(OWNER, ALL)) as Result<CandidatesReply>
  if (!reply.ok) throw new Error(reply.error.message)
  return reply.data.candidates.map(({ seq, records }) => [seq, records])
}

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
      return { bytes, summary }
    }
    const segments = [noise(1), noise(2), noise(3), noise(4), noise(5)]
    await stub().append(OWNER, { segments, batchId: new Uint8Array(16).fill(9), notes: {} })
    const rows = await runInDurableObject(stub(), (_shard, state) =>
      state.storage.sql.exec('select seq, records, length(segments) as n from wal').toArray(),
    )
    expect(rows.map(({ seq, records }) => [seq, records])).toEqual([
      [1, 20],
      [21, 20],
      [41, 10],
    ])
    for (const { n } of rows) expect(Number(n)).toBeLessThan(1_900_000)
  })

  it('appends that arrive together share a row', async () => {
    const { stub } = await shardOf('grouped')
    await Promise.all(
      Array.from({ length: 64 }, (_, i) => stub().append(OWNER, appendOf([`m${i}`], i + 1))),
    )
    const rows = await recordsOf(stub())
    expect(rows.reduce((sum, [, records]) => sum + records, 0)).toBe(64)
    expect(rows.length).toBeLessThanOrEqual(6)
  })

  it('refuses a key it never heard of, and an app that is not', async () => {
    const { stub } = await shardOf('unheard')
    const refused = await stub().append({ keyId: 'nobody' }, appendOf(['a']))
    expect(refused).toMatchObject({ ok: false, error: { code: 'unauthorized' } })
    const nobody = env.LOG_SHARD.getByName('0123456789abcdef-0') as DurableObjectStub<LogShard>
    const unknown = await nobody.append(OWNER, appendOf(['a']))
    expect(unknown).toMatchObject({ ok: false, error: { code: 'not_found' } })
  })
})
