// A live tail over real HTTP: readers are cut off at random moments while records come in a steady
// stream, are sealed and archived, shards are added and the collector is killed. Each has every record
// once, in each shard's order of arrival.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { randomOf } from '../batches.ts'
import { type App, type Client, clientOf, type FoundRecord } from './client.ts'
import { bundledInto, type Collector, startCollector } from './collector.ts'
import { TailReader } from './tail-reader.ts'

const SEED = Number(process.env.SEED ?? 1)
const RECONNECTS = Number(process.env.RECONNECTS ?? 25)

let collector: Collector
let client: Client
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'worker-logs-tail-'))
  collector = await startCollector(await bundledInto(folder))
  client = clientOf(collector.url, collector.adminKey)
}, 100_000)
afterAll(async () => {
  await collector?.stop()
  await rm(folder, { recursive: true, force: true })
})

const tail = (app: App, query = '', lastId: string | null = null) =>
  new TailReader(`${collector.url}/logs/tail?${query}`, app.readKey, lastId)

/** Sends small requests, some of them large, until told to stop. A lost answer is not sent again. */
function stream(app: App, random: () => number) {
  let isStopped = false
  let number = 0
  const run = async () => {
    while (!isStopped) {
      const count = random() < 0.03 ? 3000 : 1 + Math.floor(random() * 8)
      const logs = Array.from({ length: count }, () => ({
        level: random() < 0.5 ? 'warn' : 'info',
        message: `record ${number++} ${'x'.repeat(random() * 100)}`,
        timestamp: Date.now() - Math.floor(random() * 60_000),
      }))
      await send(app, logs).catch(() => sleep(200))
      await sleep(random() * 15)
    }
  }
  const running = run()
  return {
    stop: async () => {
      isStopped = true
      await running
    },
  }
}

async function send(app: App, logs: object[]): Promise<void> {
  const answer = await fetch(`${collector.url}/logs`, {
    method: 'POST',
    headers: { 'x-api-key': app.ingestKey, 'content-type': 'application/json' },
    body: JSON.stringify(logs),
  })
  await answer.arrayBuffer()
  if (!answer.ok) throw new Error(`POST /logs answered ${answer.status}`)
}

/** Every record of the store once, and in each shard's order. */
async function expectAll(app: App, reader: TailReader, parameters: Record<string, string> = {}) {
  const stored = (await client.findLogs(app, parameters)).map(({ id }) => id)
  const deadline = Date.now() + 60_000
  while (reader.records.length < stored.length && Date.now() < deadline) await sleep(50)
  await sleep(200)
  expect(reader.dropped).toEqual([])
  const ids = reader.records.map(({ id }) => id)
  expect(ids.length, 'each once').toBe(new Set(ids).size)
  expect(ids.length).toBe(stored.length)
  expect(new Set(ids)).toEqual(new Set(stored))
  for (const [shard, seqs] of byShard(reader.records)) {
    const sorted = [...seqs].sort((a, b) => a - b)
    expect(seqs, `the order of shard ${shard}`).toEqual(sorted)
  }
}

function byShard(records: FoundRecord[]): Map<string, number[]> {
  const shards = new Map<string, number[]>()
  for (const { id } of records) {
    const [shard = '', seq] = id.split('-')
    shards.set(shard, [...(shards.get(shard) ?? []), Number(seq)])
  }
  return shards
}

describe('a live tail', () => {
  it(`has every record once over ${RECONNECTS} reconnects, a raise, flushes and a kill (seed ${SEED})`, async () => {
    const random = randomOf(SEED)
    const app = await client.makeApp('tail-cut')
    const readers = [
      tail(app).start(),
      tail(app, 'level=warn').start(),
      // Reads slower than records come, so it is served from the store as well.
      tail(app).start(() => (random() < 0.02 ? 20 : 0)),
    ]
    for (const reader of readers) await reader.ready()
    const sending = stream(app, random)
    const isDone = () => readers.every(({ connections }) => connections > RECONNECTS)
    for (let cut = 0; cut < 20 || !isDone(); cut++) {
      await sleep(random() * 400)
      for (const reader of readers) if (random() < 0.8) reader.cut()
      if (cut % 5 === 2) await client.admin('POST', '/flush', { app_id: app.appId })
      if (cut === 8) await client.admin('PATCH', `/apps/${app.appId}/settings`, { shards: 3 })
      if (cut === 16) await collector.restart()
    }
    await sending.stop()
    await expectAll(app, readers[0]!)
    await expectAll(app, readers[1]!, { level: 'warn' })
    await expectAll(app, readers[2]!)
    expect(byShard(readers[0]!.records).size).toBe(3)
    for (const reader of readers) await reader.stop()
  }, 180_000)

  it('brings a reader that comes back what was stored meanwhile, and then what comes', async () => {
    const app = await client.makeApp('tail-back')
    const first = await tail(app).start().ready()
    await send(app, [{ message: 'a' }])
    while (first.records.length < 1) await sleep(5)
    await first.stop()
    await send(app, [{ message: 'b' }, { message: 'c' }])
    await client.admin('POST', '/flush', { app_id: app.appId })
    await send(app, [{ message: 'd' }])
    const second = tail(app, `after=${first.lastId}`).start()
    while (second.records.length < 3) await sleep(5)
    await send(app, [{ message: 'e' }])
    while (second.records.length < 4) await sleep(5)
    expect(second.records.map(({ message }) => message)).toEqual(['b', 'c', 'd', 'e'])
    await second.stop()
  })

  it('tells a reader that is too far behind how many records it passed over', async () => {
    const app = await client.makeApp('tail-far')
    const logs = Array.from({ length: 4000 }, (_, i) => ({ message: `m${i}` }))
    for (let sent = 0; sent < 26; sent++) await send(app, logs)
    const reader = tail(app, 'after=0').start()
    while (reader.records.length < 100_000) await sleep(50)
    await send(app, [{ message: 'live' }])
    while (reader.records.length < 100_001) await sleep(50)
    expect(reader.dropped).toEqual([{ reason: 'too_far_behind', shard: 0, records: 4000 }])
    const seqs = reader.records.map(({ id }) => Number(id.split('-')[1]))
    expect(seqs).toEqual(Array.from({ length: 100_001 }, (_, i) => 4001 + i))
    await reader.stop()
  }, 90_000)

  it('ends with its key, and says so', async () => {
    const app = await client.makeApp('tail-revoked')
    const { key, key_id } = await client.admin<{ key: string; key_id: string }>(
      'POST',
      `/apps/${app.appId}/keys`,
      { role: 'read' },
    )
    const reader = await new TailReader(`${collector.url}/logs/tail`, key).start().ready()
    const other = await tail(app).start().ready()
    await client.admin('DELETE', `/apps/${app.appId}/keys/${key_id}`)
    while (reader.closed === null) await sleep(5)
    expect(reader.closed).toMatchObject({ code: 'unauthorized' })
    await send(app, [{ message: 'after' }])
    while (other.records.length < 1) await sleep(5)
    expect(reader.records).toEqual([])
    await client.admin('DELETE', `/apps/${app.appId}?confirm=${app.appId}`)
    while (other.closed === null) await sleep(5)
    expect(other.closed).toMatchObject({ code: 'not_found' })
  })
})
