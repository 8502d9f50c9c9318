// When R2 fails, and when stored bytes are damaged: nothing is lost, the job that met it says so,
// waits and comes again, the others go on, and a query names what it lacks.

import { env } from 'cloudflare:workers'
import { describe, expect, it, vi } from 'vitest'
import { type Archive, type ArchiveCall, hookedShard } from './hooked.ts'

type Shard = Awaited<ReturnType<typeof hookedShard>>

// What fails is logged; here it is meant to.
vi.spyOn(console, 'error').mockImplementation(() => {})

// A call that waits for R2 is given up after ten seconds; here after twenty milliseconds.
const { setTimeout: realTimeout } = globalThis
vi.spyOn(globalThis, 'setTimeout').mockImplementation(((run: () => void, ms = 0) =>
  realTimeout(run, ms >= 10_000 ? 20 : ms)) as typeof setTimeout)

const broken = () => new Error('We encountered an internal error. Please try again. (10001)')

/** What the archive does with one call. */
const FATES: Record<string, (call: ArchiveCall) => Promise<unknown>> = {
  'answers an error': async () => {
    throw broken()
  },
  'does it and answers an error': async ({ real }) => {
    await real()
    throw broken()
  },
  'never answers': () => new Promise(() => {}),
  'does it and never answers': async ({ real }) => {
    await real()
    await new Promise(() => {})
  },
}

const only =
  (name: ArchiveCall['name'], fate: Archive): Archive =>
  (call) =>
    call.name === name ? fate(call) : call.real()

const cutShort: Archive = async ({ real }) => {
  const object = (await real()) as R2ObjectBody
  const bytes = await object.arrayBuffer()
  return { arrayBuffer: async () => bytes.slice(0, bytes.byteLength - 7) }
}
const breaksOff: Archive = async () => ({
  arrayBuffer: async () => {
    throw new Error('Network connection lost.')
  },
})

const MESSAGES = ['keep 1', 'drop 2', 'keep 3']

async function archived(appId: string): Promise<Shard> {
  const shard = await hookedShard(appId)
  await shard.append(MESSAGES)
  await shard.flush('job_1')
  await shard.settle('job_1')
  return shard
}

/** The job failed, says why, and waits. */
async function expectFailure(shard: Shard, name: string, error: string | RegExp): Promise<void> {
  await shard.until(async () => {
    expect(await shard.upkeep(name)).toMatchObject({ error: expect.stringMatching(error) })
  })
  const { nextRunMs, lastRunMs } = (await shard.upkeep(name))!
  expect(nextRunMs! - lastRunMs!).toBeGreaterThanOrEqual(2000)
}

// They wait for their turns, two seconds and more, so they may as well do so together.
describe.concurrent('a put', () => {
  const survives = (name: keyof typeof FATES) =>
    it(`that ${name} loses nothing, and is done later`, async () => {
      const shard = await hookedShard(`put-${name.replace(/\W+/g, '-')}`)
      const deleted: string[] = []
      shard.hooks.archive = async (call) => {
        if (call.name === 'delete') deleted.push(call.key)
        return call.name === 'put' ? FATES[name]!(call) : call.real()
      }
      await shard.append(MESSAGES)
      await shard.flush('job_1')
      await expectFailure(shard, 'archive', /internal error|did not answer/)
      expect(await shard.messages()).toEqual(MESSAGES)
      expect(await shard.storage()).toMatchObject({ pendingObjects: 1 })
      expect(await shard.job('job_1')).toMatchObject({ state: 'running' })

      shard.hooks.archive = only('delete', async ({ key, real }) => {
        deleted.push(key)
        return real()
      })
      await shard.settle('job_1')
      expect(await shard.upkeep('archive')).toMatchObject({ error: null })
      expect(await shard.messages()).toEqual(MESSAGES)
      expect(await shard.storage()).toMatchObject({ pendingObjects: 0, blocks: [{ tier: 'cold' }] })
      // A delete that is still under way when the put is repeated would take the block with it.
      expect(deleted).toEqual([])
    })
  for (const name of Object.keys(FATES)) survives(name)

  it('that fails twice is repeated at once', async () => {
    const shard = await hookedShard('put-twice')
    let puts = 0
    shard.hooks.archive = only('put', ({ real }) =>
      ++puts < 3 ? Promise.reject(broken()) : real(),
    )
    await shard.append(MESSAGES)
    await shard.flush('job_1')
    await shard.settle('job_1')
    expect(puts).toBe(3)
    expect(await shard.upkeep('archive')).toMatchObject({ error: null })
  })

  it('that fails holds no other job up', async () => {
    const shard = await hookedShard('put-others')
    shard.hooks.archive = only('put', () => Promise.reject(broken()))
    await shard.append(MESSAGES)
    await shard.flush('job_1')
    await expectFailure(shard, 'archive', 'internal error')
    await shard.append(['keep 4'])
    await shard.deleteRecords('job_2', { q: 'drop' })
    await shard.settle('job_2')
    expect(await shard.messages()).toEqual(['keep 1', 'keep 3', 'keep 4'])
    expect(await shard.storage()).toMatchObject({ pending: { rows: 0 }, tombstones: 0 })
  })

  it('of a block that a deletion rewrote leaves no object, or the deletion is not done', async () => {
    const shard = await hookedShard('put-orphan')
    shard.hooks.archive = only('put', FATES['does it and answers an error']!)
    await shard.append(MESSAGES)
    await shard.flush('job_1')
    await expectFailure(shard, 'archive', 'internal error')
    const [orphan] = await shard.objects()
    shard.hooks.archive = () => Promise.reject(broken())
    await shard.deleteRecords('job_2', { q: 'drop' })
    await expectFailure(shard, 'purge', 'could not be removed')
    expect(await shard.job('job_2')).toMatchObject({ state: 'running', records: 1 })
    shard.hooks.archive = ({ real }) => real()
    await shard.settle('job_2')
    expect(await shard.objects()).not.toContain(orphan)
    await shard.settle('job_1')
    expect(await shard.messages()).toEqual(['keep 1', 'keep 3'])
    expect((await shard.objects()).length).toBe(1)
  })

  it('whose answer a restart cut off is done again under the same key', async () => {
    const shard = await hookedShard('put-cut')
    shard.hooks.archive = only('put', FATES['does it and answers an error']!)
    await shard.append(MESSAGES)
    await shard.flush('job_1')
    await expectFailure(shard, 'archive', 'internal error')
    const objects = await shard.objects()
    shard.hooks.archive = ({ real }) => real()
    await shard.restart()
    await shard.settle('job_1')
    expect(await shard.objects()).toEqual(objects)
    expect(await shard.messages()).toEqual(MESSAGES)
    expect(await shard.storage()).toMatchObject({ pendingObjects: 0 })
  })

  it('that lands after its object was removed is removed again an hour later', async () => {
    const shard = await archived('put-late')
    const [key] = await shard.objects()
    const bytes = await (await env.ARCHIVE!.get(key!))!.arrayBuffer()
    await shard.deleteRecords('job_2', { q: 'drop' })
    await shard.settle('job_2')
    await shard.until(async () => expect(await shard.objects()).not.toContain(key))
    await env.ARCHIVE!.put(key!, bytes)
    const pending = () =>
      shard.inside((sql) => sql.exec('select * from pending_object').toArray()) as Promise<
        { key: string; next_ms: number; deletes_left: number }[]
      >
    const [row] = await pending()
    expect(row).toMatchObject({ key, deletes_left: 1 })
    expect(row!.next_ms).toBeGreaterThan(Date.now() + 3_500_000)
    await shard.restart((sql) => sql.exec('update pending_object set next_ms = 1'))
    await shard.until(async () => expect(await pending()).toEqual([]))
    expect(await shard.objects()).not.toContain(key)
    expect(await shard.messages()).toEqual(['keep 1', 'keep 3'])
  })
})

describe.concurrent('a delete', () => {
  for (const name of Object.keys(FATES)) {
    it(`that ${name} is done later`, async () => {
      const shard = await archived(`delete-${name.replace(/\W+/g, '-')}`)
      const [key] = await shard.objects()
      shard.hooks.archive = only('delete', FATES[name]!)
      await shard.deleteRecords('job_2', { q: 'drop' })
      // Its records are in no block any more; but an object still holds them.
      await expectFailure(shard, 'purge', /internal error|did not answer/)
      expect(await shard.storage()).toMatchObject({ pendingObjects: 1 })
      expect(await shard.job('job_2')).toMatchObject({
        state: 'running',
        error: expect.stringContaining('could not be removed'),
      })
      expect(await shard.messages()).toEqual(['keep 1', 'keep 3'])
      shard.hooks.archive = ({ real }) => real()
      await shard.settle('job_2')
      expect(await shard.job('job_2')).toMatchObject({ records: 1, error: null })
      expect(await shard.objects()).not.toContain(key)
      expect(await shard.messages()).toEqual(['keep 1', 'keep 3'])
    })
  }
})

describe.concurrent('an object that a deletion has to rewrite', () => {
  const waits = (name: string, fate: Archive, error: string) =>
    it(`and ${name}: stays hidden, and is rewritten later`, async () => {
      const shard = await archived(`rewrite-${name.replace(/\W+/g, '-')}`)
      shard.hooks.archive = only('get', fate)
      await shard.deleteRecords('job_2', { q: 'drop' })
      await expectFailure(shard, 'purge', error)
      expect(await shard.job('job_2')).toMatchObject({
        state: 'running',
        error: expect.stringContaining(error),
      })
      // The others go on.
      await shard.append(['keep 4'])
      await shard.flush('job_3', false)
      await shard.settle('job_3')
      shard.hooks.archive = ({ real }) => real()
      expect(await shard.messages()).toEqual(['keep 1', 'keep 3', 'keep 4'])
      await shard.settle('job_2')
      expect(await shard.job('job_2')).toMatchObject({ records: 1, error: null })
      expect(await shard.upkeep('purge')).toMatchObject({ error: null })
      expect(await shard.messages()).toEqual(['keep 1', 'keep 3', 'keep 4'])
    })

  waits('get answers an error', FATES['answers an error']!, 'internal error')
  waits('get never answers', FATES['never answers']!, 'did not answer')
  waits('get finds nothing', async () => null, 'is not in the archive')
  waits('its body is cut short', cutShort, 'and was stored with')
  waits('its body breaks off', breaksOff, 'connection lost')
})

describe.concurrent('a reader of the archive', () => {
  const lacks = (
    name: string,
    harm: (key: string) => Promise<unknown>,
    code: string,
    get?: Archive,
  ) =>
    it(`names ${name}, and shows the rest`, async () => {
      const shard = await archived(`read-${name.replace(/\W+/g, '-')}`)
      await shard.append(['keep 4'])
      const [key] = await shard.objects()
      await harm(key!)
      if (get) shard.hooks.archive = only('get', get)
      const page = await shard.read()
      expect(page.logs.map(({ message }) => message)).toEqual(['keep 4'])
      expect(page).toMatchObject({ partial: true, partial_reasons: [{ code, shard: 0, block: 1 }] })
    })
  lacks('an object that is gone', (key) => env.ARCHIVE!.delete(key), 'block_missing')
  lacks(
    'an object of other bytes',
    async (key) => {
      const { size } = (await env.ARCHIVE!.head(key))!
      await env.ARCHIVE!.put(key, new Uint8Array(size).fill(7))
    },
    'block_corrupt',
  )
  lacks('an object that is cut short', (key) => env.ARCHIVE!.put(key, 'PAR1'), 'block_corrupt')
  const intact = async () => {}
  lacks('an archive that fails', intact, 'block_missing', FATES['answers an error']!)
  lacks('an archive that is silent', intact, 'block_missing', FATES['never answers']!)
  lacks('a body that is cut short', intact, 'block_corrupt', cutShort)
  lacks('a body that breaks off', intact, 'block_missing', breaksOff)
})

describe.concurrent('a wal row that can not be read', () => {
  it('stops nothing: its neighbours are sealed, it stays, is shown, and is tried again', async () => {
    const shard = await hookedShard('poison')
    for (let i = 1; i <= 5; i++) await shard.append([`row ${i}`])
    const good = await shard.inside((sql) => {
      const { segments } = sql.exec('select segments from wal where seq = 3').one()
      sql.exec('update wal set segments = zeroblob(bytes) where seq = 3')
      return segments as ArrayBuffer
    })
    await shard.flush('job_1')
    await shard.settle('job_1')
    expect(await shard.storage()).toMatchObject({
      pending: { rows: 1, records: 1 },
      poison: { rows: 1, records: 1 },
      warnings: [expect.stringContaining('from record 3')],
    })
    const lacking = await shard.read()
    expect(lacking.logs.map(({ message }) => message)).toEqual(['row 1', 'row 2', 'row 4', 'row 5'])
    expect(lacking.partial_reasons).toEqual([{ code: 'block_corrupt', shard: 0, block: 3 }])

    // What comes later is not held up, nor is a restart.
    await shard.restart()
    await shard.append(['row 6'])
    await shard.flush('job_2')
    await shard.settle('job_2')
    expect(await shard.storage()).toMatchObject({ pending: { rows: 1 }, poison: { rows: 1 } })
    expect(await shard.upkeep('seal')).toMatchObject({ error: null })

    // A day later it is tried again; by then it can be read.
    await shard.restart((sql) => {
      sql.exec('update wal set segments = ? where seq = 3', good)
      sql.exec('update poison set at_ms = 1')
    })
    await shard.until(async () => {
      await shard.flush('job_3')
      expect(await shard.storage()).toMatchObject({ pending: { rows: 0 }, warnings: [] })
    })
    expect(await shard.messages()).toEqual([1, 2, 3, 4, 5, 6].map((i) => `row ${i}`))
  })

  it('keeps a deletion that may touch it in force', async () => {
    const shard = await hookedShard('poison-deleted')
    await shard.append(['keep 1', 'drop 2'])
    await shard.append(['drop 3'])
    await shard.inside((sql) => sql.exec('update wal set segments = zeroblob(9) where seq = 3'))
    await shard.deleteRecords('job_1', { q: 'drop' })
    await expectFailure(shard, 'purge', 'unsealed row 3')
    expect(await shard.storage()).toMatchObject({ tombstones: 1, pending: { rows: 1 } })
    expect((await shard.read()).logs.map(({ message }) => message)).toEqual(['keep 1'])
  })
})

describe.concurrent('a hot block that can not be read', () => {
  async function corrupted(appId: string): Promise<Shard> {
    const shard = await hookedShard(appId)
    for (const [i, messages] of [
      ['keep 1', 'drop 2'],
      ['keep 3', 'drop 4'],
      ['keep 5'],
    ].entries()) {
      await shard.append(messages)
      await shard.flush(`job_${i}`, false)
      await shard.settle(`job_${i}`)
    }
    await shard.inside((sql) =>
      sql.exec('update block_data set bytes = zeroblob(length(bytes)) where id = 2'),
    )
    return shard
  }

  it('is named to queries, and the rest is shown', async () => {
    const shard = await corrupted('corrupt-read')
    const page = await shard.read()
    expect(page.logs.map(({ message }) => message)).toEqual(['keep 1', 'drop 2', 'keep 5'])
    expect(page.partial_reasons).toEqual([{ code: 'block_corrupt', shard: 0, block: 3 }])
  })

  it('is named by a deletion, which goes on with the others', async () => {
    const shard = await corrupted('corrupt-purge')
    await shard.deleteRecords('job_delete', { q: 'drop' })
    await expectFailure(shard, 'purge', 'block from record 3')
    expect(await shard.job('job_delete')).toMatchObject({ state: 'running', records: 1 })
    expect((await shard.read()).logs.map(({ message }) => message)).toEqual(['keep 1', 'keep 5'])
    const left = await shard.inside((sql) => sql.exec('select records from block').toArray())
    expect(left.map(({ records }) => records).sort()).toEqual([1, 1, 2])
  })

  it('is left out of merging, which goes on with later ones', async () => {
    const shard = await corrupted('corrupt-merge')
    for (let i = 10; i < 23; i++) {
      await shard.append([`keep ${i}`])
      await shard.flush(`job_${i}`, false)
      await shard.settle(`job_${i}`)
    }
    await shard.until(async () => {
      const merged = await shard.inside((sql) =>
        sql.exec('select records from block where compactions = 1').toArray(),
      )
      expect(merged).toEqual([{ records: 8 }])
    })
    expect((await shard.read()).logs.length).toBe(3 + 13)
  })
})

describe.concurrent('a Sealer that is lost', () => {
  it('is called again, and nothing is lost', async () => {
    const shard = await hookedShard('sealer-lost')
    shard.hooks.build = () => Promise.reject(new Error('Network connection lost.'))
    await shard.append(MESSAGES)
    await shard.flush('job_1')
    await expectFailure(shard, 'seal', 'connection lost')
    // Whoever does not answer says nothing of the rows.
    expect(await shard.storage()).toMatchObject({ poison: { rows: 0 }, pending: { rows: 1 } })
    expect(await shard.messages()).toEqual(MESSAGES)
    shard.hooks.build = (_, real) => real()
    await shard.settle('job_1')
    expect(await shard.upkeep('seal')).toMatchObject({ error: null })
    expect(await shard.messages()).toEqual(MESSAGES)
  })
})
