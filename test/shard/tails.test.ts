// What a shard sends to open tails: in order, once, no more than they can take, and none after the key
// or the app ended; and that a tail outlives hibernation.

import { evictDurableObject } from 'cloudflare:test'
import { describe, expect, it, vi } from 'vitest'
import { SEGMENT_RECORDS_MAX, TAIL_UNTAKEN_CHARS_MAX } from '../../src/limits.ts'
import { readFrame, readLine } from '../../src/match/tail-wire.ts'
import { planFilter, type RecordFilter } from '../../src/query/parameters.ts'
import type { Result } from '../../src/result.ts'
import type { ShardCaller } from '../../src/shard/shard.ts'
import type { TailWelcome } from '../../src/shard/tails.ts'
import type { RecordSpec } from '../batches.ts'
import { appendOf, must, OWNER, type ShardStub, settingsWith, shardOf } from './open.ts'

const filterOf = (parameters: Record<string, string> = {}): RecordFilter =>
  must(planFilter(parameters, Date.now()))

/** A tail as its Worker sees it. What it is sent is taken unless `takes` is false. */
async function tailOf(
  stub: ShardStub,
  {
    filter = filterOf(),
    caller = OWNER,
    takes = true,
  }: { filter?: RecordFilter; caller?: ShardCaller; takes?: boolean } = {},
) {
  const response = await stub.fetch('https://shard/', { headers: { Upgrade: 'websocket' } })
  const socket = response.webSocket!
  const results: Result<TailWelcome>[] = []
  const stretches: [number, number][] = []
  const records: { id: string; message: string }[] = []
  const closed: number[] = []
  socket.addEventListener('message', ({ data }) => {
    const text = data as string
    if (text.startsWith('{')) {
      results.push(JSON.parse(text))
      return
    }
    if (takes) socket.send(String(text.length))
    const { afterSeq, lastSeq, lines } = readFrame(text)
    stretches.push([afterSeq, lastSeq])
    for (const line of lines) {
      const { seq, json } = readLine(line)
      const record = JSON.parse(json)
      expect(record.id).toBe(`0-${seq}`)
      records.push(record)
    }
  })
  socket.addEventListener('close', ({ code }) => {
    closed.push(code)
  })
  socket.accept()
  socket.send(JSON.stringify({ caller, filter }))
  await vi.waitFor(() => expect(results).toHaveLength(1))
  return {
    ...{ socket, results, stretches, records, closed },
    messages: () => records.map(({ message }) => message),
    sees: (messages: string[]) =>
      vi.waitFor(() => expect(records.map(({ message }) => message)).toEqual(messages), 20_000),
  }
}

const append = async (stub: ShardStub, records: (string | RecordSpec)[]) =>
  must(await stub.append(OWNER, appendOf(records)))

describe('an open tail', () => {
  it('is told what is stored, and sent what comes after', async () => {
    const { stub } = await shardOf('tails-first')
    await append(stub(), ['a', 'b'])
    const tail = await tailOf(stub())
    expect(tail.results[0]).toEqual({ ok: true, data: { maxSeq: 2, firstSeq: 1, expiresMs: null } })
    await append(stub(), ['c'])
    await append(stub(), ['d', 'e'])
    await tail.sees(['c', 'd', 'e'])
    expect(tail.stretches).toEqual([
      [2, 3],
      [3, 5],
    ])
  })

  it('is sent what its filter lets through, in stretches without a gap', async () => {
    const { stub } = await shardOf('tails-filter')
    const all = await tailOf(stub())
    const words = await tailOf(stub(), { filter: filterOf({ q: 'deploy*' }) })
    const since = await tailOf(stub(), { filter: filterOf({ since: '2026-01-01' }) })
    for (let round = 0; round < 5; round++) {
      await append(stub(), [
        { message: `deployed ${round}`, ms: Date.parse('2026-02-01') },
        { message: `other ${round}`, ms: Date.parse('2025-12-31') },
      ])
    }
    const rounds = [0, 1, 2, 3, 4]
    await all.sees(rounds.flatMap((n) => [`deployed ${n}`, `other ${n}`]))
    await words.sees(rounds.map((n) => `deployed ${n}`))
    await since.sees(rounds.map((n) => `deployed ${n}`))
    for (const { stretches } of [all, words, since]) {
      expect(stretches[0]![0]).toBe(0)
      for (const [i, [after]] of stretches.entries()) {
        if (i > 0) expect(after).toBe(stretches[i - 1]![1])
      }
    }
  })

  it('is told how far it is where nothing matches, once a second at most', async () => {
    const { stub } = await shardOf('tails-progress')
    const tail = await tailOf(stub(), { filter: filterOf({ q: 'never' }) })
    for (let i = 0; i < 10; i++) await append(stub(), [`${i}`])
    await vi.waitFor(() => expect(tail.stretches.length).toBeGreaterThan(0))
    expect(tail.stretches.length).toBeLessThanOrEqual(3)
    expect(tail.records).toEqual([])
  })

  it('sends a large request in order, in several frames', async () => {
    const { stub } = await shardOf('tails-large')
    const tail = await tailOf(stub())
    const messages = Array.from({ length: SEGMENT_RECORDS_MAX + 100 }, (_, i) => `record ${i}`)
    // More than may be under way at once, so its Worker finds gaps, and nothing twice.
    await append(stub(), messages.slice(0, 1500))
    await tail.sees(messages.slice(0, 1500))
    expect(tail.stretches.length).toBeGreaterThan(1)
    await append(stub(), messages)
    await vi.waitFor(() => expect(tail.stretches.at(-1)![1]).toBe(1500 + messages.length))
    for (const [i, [after]] of tail.stretches.entries()) {
      if (i > 0) expect(after).toBeGreaterThanOrEqual(tail.stretches[i - 1]![1])
    }
    const seqs = tail.records.map(({ id }) => Number(id.split('-')[1]))
    expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b))
  })

  it('that takes nothing is told of a gap, and is sent the rest once it takes again', async () => {
    const { stub } = await shardOf('tails-slow')
    const slow = await tailOf(stub(), { takes: false })
    const quick = await tailOf(stub())
    const large = 'x'.repeat(200_000)
    let sent = 0
    for (; sent < 4 + TAIL_UNTAKEN_CHARS_MAX / large.length; sent++) await append(stub(), [large])
    await vi.waitFor(() => expect(quick.records).toHaveLength(sent))
    await vi.waitFor(() => expect(slow.stretches.at(-1)).toEqual([sent, sent]))
    expect(slow.records.length).toBeLessThan(6)
    // It takes what it was sent: the next comes whole again.
    slow.socket.send(String(10 * TAIL_UNTAKEN_CHARS_MAX))
    await vi.waitFor(async () => {
      await append(stub(), ['more'])
      expect(slow.messages()).toContain('more')
    })
    expect(slow.closed).toEqual([])
  })

  it('outlives hibernation', async () => {
    const { stub } = await shardOf('tails-hibernate')
    const tail = await tailOf(stub(), { filter: filterOf({ q: 'seen OR later' }) })
    await append(stub(), ['seen', 'other'])
    await tail.sees(['seen'])
    await evictDurableObject(stub())
    await append(stub(), ['later', 'other'])
    await tail.sees(['seen', 'later'])
    expect(tail.stretches).toEqual([
      [0, 2],
      [2, 4],
    ])
    expect(tail.closed).toEqual([])
  })

  it('with a filter too large to outlive it has to come again', async () => {
    const { stub } = await shardOf('tails-large-filter')
    const parameters = ['a', 'b', 'c'].map((name) => [`attr.${name}`, 'x'.repeat(4000)])
    const tail = await tailOf(stub(), { filter: filterOf(Object.fromEntries(parameters)) })
    await append(stub(), ['one'])
    await evictDurableObject(stub())
    await append(stub(), ['two'])
    await vi.waitFor(() => expect(tail.closed).toEqual([1012]))
  })

  it('closed by its Worker costs nothing more', async () => {
    const { stub } = await shardOf('tails-closed')
    const tail = await tailOf(stub())
    tail.socket.close(1000, 'done')
    await append(stub(), ['unseen'])
    expect(tail.records).toEqual([])
  })
})

describe('a tail ends', () => {
  it('with its key', async () => {
    const shard = await shardOf('tails-key')
    const copy = (version: number, keyIds: string[]) =>
      shard.copy(version, {
        settings: settingsWith({}),
        keys: keyIds.map((keyId) => ({ keyId, expiresMs: null })),
      })
    await shard.stub().configure(copy(1e6, ['k1', 'k2']))
    const ended = await tailOf(shard.stub(), { caller: { keyId: 'k1', shards: 1 } })
    const other = await tailOf(shard.stub(), { caller: { keyId: 'k2', shards: 1 } })
    await shard.stub().configure(copy(1e6 + 1, ['k2']))
    await vi.waitFor(() => expect(ended.closed).toEqual([4401]))
    expect(ended.results[1]).toMatchObject({ ok: false, error: { code: 'unauthorized' } })
    await append(shard.stub(), ['after'])
    await other.sees(['after'])
    expect(ended.records).toEqual([])
    const late = await tailOf(shard.stub(), { caller: { keyId: 'k1', shards: 1 } })
    expect(late.results[0]).toMatchObject({ ok: false, error: { code: 'unauthorized' } })
  })

  it('with its key also when the shard slept', async () => {
    const shard = await shardOf('tails-key-slept')
    const keys = [{ keyId: 'k1', expiresMs: null }]
    await shard.stub().configure(shard.copy(1e6, { keys }))
    const tail = await tailOf(shard.stub(), { caller: { keyId: 'k1', shards: 1 } })
    await evictDurableObject(shard.stub())
    await shard.stub().configure(shard.copy(1e6 + 1, { keys: [] }))
    await vi.waitFor(() => expect(tail.closed).toEqual([4401]))
  })

  it('at the time its key ends', async () => {
    const shard = await shardOf('tails-expiry')
    const expiresMs = Date.now() + 300
    await shard.stub().configure(shard.copy(1e6, { keys: [{ keyId: 'k1', expiresMs }] }))
    const tail = await tailOf(shard.stub(), { caller: { keyId: 'k1', shards: 1 } })
    expect(tail.results[0]).toMatchObject({ ok: true, data: { expiresMs } })
    await new Promise((resolve) => setTimeout(resolve, 400))
    await append(shard.stub(), ['too late'])
    await vi.waitFor(() => expect(tail.closed).toEqual([4401]))
    expect(tail.records).toEqual([])
  })

  it('when there are more shards than it knows of', async () => {
    const shard = await shardOf('tails-raised')
    const tail = await tailOf(shard.stub(), { caller: { keyId: null, shards: 1 } })
    const tenant = { ...shard.tenant, shards: 2 }
    await shard.stub().configure(shard.copy(1e6, { tenant }))
    await vi.waitFor(() => expect(tail.closed).toEqual([4409]))
    expect(tail.results[1]).toMatchObject({ ok: false, error: { details: { stale: true } } })
  })

  it('with its app', async () => {
    const shard = await shardOf('tails-destroyed')
    const tail = await tailOf(shard.stub())
    await (shard.stub() as unknown as { destroy(): Promise<void> }).destroy()
    await vi.waitFor(() => expect(tail.closed).toEqual([4404]))
    expect(tail.results[1]).toMatchObject({ ok: false, error: { code: 'not_found' } })
  })
})
