// A tail over real shards: whatever happens between shard, Worker and reader - a slow reader, a shard
// that hibernates, restarts or is silent, blocks that can not be read - it has every record once, in
// order, or is told what it lacks.

import { evictDurableObject, runInDurableObject } from 'cloudflare:test'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Env } from '../../src/env.ts'
import { planFilter } from '../../src/query/parameters.ts'
import { askRegistry } from '../../src/tenant/keys.ts'
import type { ShardAccess } from '../../src/tenant/route.ts'
import { type Dropped, openTail, type Tail } from '../../src/tenant/tail.ts'
import { hookedShard } from '../shard/hooked.ts'
import { appendOf, must, OWNER } from '../shard/open.ts'
import { newKey } from './registry-fixtures.ts'
import { shardsOf } from './shard-fixtures.ts'

// What can not be read or reached is logged; here it is meant to be.
vi.spyOn(console, 'error').mockImplementation(() => {})

const open: Tail[] = []
afterEach(() => {
  for (const tail of open.splice(0)) tail.close()
})

/** A tail and what its reader heard so far. */
async function readerOf(
  env: Env,
  access: ShardAccess,
  { after = null, q }: { after?: number[] | null; q?: string } = {},
) {
  const filter = must(planFilter(q === undefined ? {} : { q }, Date.now()))
  const tail = must(await openTail(env, access, filter, after))
  open.push(tail)
  const messages: string[] = []
  const ids: string[] = []
  const dropped: Dropped[] = []
  const reader = {
    ...{ tail, messages, ids, dropped },
    closed: null as string | null,
    /** Takes what comes, until this holds. */
    until: async (holds: () => boolean) => {
      while (!holds()) {
        const events = await tail.next()
        if (events === null) throw new Error('the tail is over')
        for (const event of events) {
          if (event.kind === 'closed') reader.closed = event.failure.code
          else ids.push(event.id)
          if (event.kind === 'record') messages.push(JSON.parse(event.json).message)
          if (event.kind === 'dropped') dropped.push(event.dropped)
        }
      }
    },
    reads: async (count: number) => {
      await reader.until(() => messages.length >= count)
      return messages
    },
  }
  return reader
}

const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => `record ${from + i}`)

describe('a tail', () => {
  it('serves a reader who takes nothing for long from the store', async () => {
    const shard = await hookedShard('tail-slow')
    const reader = await readerOf(shard.env, shard.access)
    const large = (n: number) => `${n} ${'x'.repeat(100_000)}`
    for (let n = 1; n <= 40; n++) await shard.append([large(n)])
    const messages = await reader.reads(40)
    expect(messages.map((text) => text.split(' ')[0])).toEqual(
      numbers(1, 40).map((_, i) => `${i + 1}`),
    )
    expect(reader.dropped).toEqual([])
    await shard.append(['and live again'])
    expect((await reader.reads(41)).at(-1)).toBe('and live again')
  })

  it('goes on when its shard hibernates', async () => {
    const shard = await hookedShard('tail-hibernates')
    const reader = await readerOf(shard.env, shard.access)
    await shard.append(numbers(1, 2))
    await reader.reads(2)
    await shard.restart()
    await shard.append(numbers(3, 4))
    expect(await reader.reads(4)).toEqual(numbers(1, 4))
  })

  it('goes on when its socket is lost, and nothing is lost with it', async () => {
    const shard = await hookedShard('tail-lost')
    const reader = await readerOf(shard.env, shard.access)
    for (let round = 0; round < 5; round++) {
      await shard.append(numbers(3 * round + 1, 3 * round + 2))
      await evictDurableObject(shard.stub(), { webSockets: 'close' })
      await shard.append([`record ${3 * round + 3}`])
    }
    expect(await reader.reads(15)).toEqual(numbers(1, 15))
    expect(reader.dropped).toEqual([])
  })

  it('begins behind a position, in windows of sealed, archived and unsealed records', async () => {
    const shard = await hookedShard('tail-resumes')
    await shard.append(numbers(1, 5000))
    await shard.flush('archived')
    await shard.settle('archived')
    await shard.append(numbers(5001, 9000))
    await shard.flush('sealed', false)
    await shard.settle('sealed')
    await shard.append(numbers(9001, 9010))
    const all = await readerOf(shard.env, shard.access, { after: [0] })
    expect(await all.reads(9010)).toEqual(numbers(1, 9010))
    expect(all.ids.at(-1)).toBe('9010')
    const some = await readerOf(shard.env, shard.access, { after: [4990], q: '5000 OR 9005' })
    expect(await some.reads(2)).toEqual(['record 5000', 'record 9005'])
    await shard.append(['5000 again'])
    expect((await some.reads(3)).at(-1)).toBe('5000 again')
    expect([...all.dropped, ...some.dropped]).toEqual([])
  })

  it('waits for an archive that does not answer', async () => {
    const shard = await hookedShard('tail-archive')
    await shard.append(numbers(1, 10))
    await shard.flush('archived')
    await shard.settle('archived')
    let failures = 3
    shard.hooks.archive = ({ name, real }) => {
      if (name !== 'get' || failures-- <= 0) return real()
      return Promise.reject(new Error('no answer'))
    }
    const reader = await readerOf(shard.env, shard.access, { after: [3] })
    expect(await reader.reads(7)).toEqual(numbers(4, 10))
    expect(reader.dropped).toEqual([])
  })

  it('names a block that can not be read, once, and goes on behind it', async () => {
    const shard = await hookedShard('tail-corrupt')
    await shard.append(numbers(1, 10))
    await shard.flush('sealed', false)
    await shard.settle('sealed')
    await shard.append(numbers(11, 12))
    await shard.inside((sql) => sql.exec('update block_data set bytes = ?', new Uint8Array(100)))
    const reader = await readerOf(shard.env, shard.access, { after: [2] })
    expect(await reader.reads(2)).toEqual(numbers(11, 12))
    expect(reader.dropped).toEqual([{ reason: 'block_corrupt', shard: 0, block: 1, records: null }])
  })

  it('tells of records that are not stored any more', async () => {
    const shard = await hookedShard('tail-gone')
    await shard.append(numbers(1, 10))
    await shard.flush('sealed', false)
    await shard.settle('sealed')
    await shard.deleteRecords('all', {})
    await shard.settle('all')
    await shard.append(numbers(11, 12))
    const reader = await readerOf(shard.env, shard.access, { after: [4] })
    expect(await reader.reads(2)).toEqual(numbers(11, 12))
    expect(reader.dropped).toEqual([{ reason: 'gone', shard: 0, records: 6 }])
  })

  it('ends when its key does', async () => {
    const shard = await hookedShard('tail-expires')
    const ref = { appId: 'tail-expires', tenantId: null }
    const expiresMs = Date.now() + 700
    const key = await askRegistry(shard.env, (registry) =>
      registry.createKey(ref, newKey({ role: 'read', expiresMs })),
    )
    const { keyId } = must(must(key))
    const reader = await readerOf(shard.env, { ...shard.access, keyId })
    await reader.until(() => reader.closed !== null)
    expect(reader.closed).toBe('unauthorized')
    expect(Date.now()).toBeGreaterThanOrEqual(expiresMs)
    expect(await reader.tail.next()).toBe(null)
  })

  it('leaves no socket behind', async () => {
    const shard = await hookedShard('tail-left')
    const reader = await readerOf(shard.env, shard.access)
    const sockets = () =>
      runInDurableObject(shard.stub(), (_, state) => state.getWebSockets().length)
    expect(await sockets()).toBe(1)
    reader.tail.close()
    await vi.waitFor(async () => expect(await sockets()).toBe(0))
    expect(await reader.tail.next()).toBe(null)
  })
})

describe('a tail over several shards', () => {
  const appendTo = async (
    { real }: Awaited<ReturnType<typeof shardsOf>>,
    shard: number,
    messages: string[],
  ) => must(await real(shard).append(OWNER, appendOf(messages)))

  it('carries the position in each', async () => {
    const shards = await shardsOf('tail-shards', 3)
    const reader = await readerOf(shards.env, shards.access)
    expect(reader.tail.position).toBe('0.0.0')
    await appendTo(shards, 1, ['a', 'b'])
    await reader.reads(2)
    await appendTo(shards, 2, ['c'])
    await reader.reads(3)
    expect(reader.ids).toEqual(['0.1.0', '0.2.0', '0.2.1'])
    await appendTo(shards, 0, ['d'])
    const back = await readerOf(shards.env, shards.access, { after: [0, 1] })
    expect((await back.reads(3)).sort()).toEqual(['b', 'c', 'd'])
    expect(back.tail.position).toBe('1.2.1')
  })

  it('serves the others while one is silent, and then it', async () => {
    const shards = await shardsOf('tail-silent', 2)
    await appendTo(shards, 0, ['a'])
    await appendTo(shards, 1, ['b'])
    shards.always.set(1, 'lost before')
    const reader = await readerOf(shards.env, shards.access, { after: [0, 0] })
    expect(await reader.reads(1)).toEqual(['a'])
    await appendTo(shards, 0, ['c'])
    expect(await reader.reads(2)).toEqual(['a', 'c'])
    shards.always.delete(1)
    await appendTo(shards, 1, ['d'])
    expect(await reader.reads(4)).toEqual(['a', 'c', 'b', 'd'])
  })

  it('from now on can not begin while one is silent', async () => {
    const shards = await shardsOf('tail-no-now', 2)
    shards.always.set(1, 'lost before')
    const filter = must(planFilter({}, Date.now()))
    const opened = await openTail(shards.env, shards.access, filter, null)
    expect(opened).toMatchObject({ ok: false, error: { code: 'unavailable' } })
  })
})
