// Things that happen while others are under way: a batch again, at every stage of its first attempt;
// deletions under jobs that write blocks; readers of blocks that move; a key that is revoked.

import { describe, expect, it, vi } from 'vitest'
import type { Env } from '../../src/env.ts'
import { planQuery } from '../../src/query/plan.ts'
import type { CandidatesRequest } from '../../src/shard/candidates.ts'
import type { ShardCaller } from '../../src/shard/shard.ts'
import { askRegistry } from '../../src/tenant/keys.ts'
import { queryShards } from '../../src/tenant/read.ts'
import { appendRecords, type ShardAccess } from '../../src/tenant/route.ts'
import { batchOf } from '../batches.ts'
import { newKey } from '../tenant/registry-fixtures.ts'
import { gate, hookedShard } from './hooked.ts'
import { must } from './open.ts'

// What can not be read is logged; here it is meant to be.
vi.spyOn(console, 'error').mockImplementation(() => {})

type Shard = Awaited<ReturnType<typeof hookedShard>>

describe('a batch that is sent again', () => {
  const TWO = ['one of two', 'two of two']
  const again = (name: string, between: (shard: Shard) => Promise<void>, left = TWO) =>
    it(`${name}: is not stored again`, async () => {
      const shard = await hookedShard(`again-${name.replace(/\W+/g, '-')}`)
      expect(await shard.append(TWO, 7)).toEqual({ duplicate: false })
      await between(shard)
      expect(await shard.append(TWO, 7)).toEqual({ duplicate: true })
      expect(await shard.messages()).toEqual(left)
      expect(await shard.count()).toBe(left.length)
    })
  const seal = async (shard: Shard) => {
    await shard.flush('job_seal', false)
    await shard.settle('job_seal')
  }
  const archive = async (shard: Shard) => {
    await shard.flush('job_archive')
    await shard.settle('job_archive')
  }
  const remove = (shard: Shard) => shard.deleteRecords('job_delete', { q: 'two' })
  const removed = async (shard: Shard) => {
    await remove(shard)
    await shard.settle('job_delete')
  }

  again('after a restart', (shard) => shard.restart())
  again('after the seal', seal)
  again('after the seal and a restart', async (shard) => {
    await seal(shard)
    await shard.restart()
  })
  again('after it was archived', archive)
  again('after its deletion', remove, [])
  again(
    'after its deletion and a restart',
    async (shard) => {
      await remove(shard)
      await shard.restart()
    },
    [],
  )
  again('after it was deleted from the wal', removed, [])
  again(
    'after it was deleted from a block, and a restart',
    async (shard) => {
      await seal(shard)
      await removed(shard)
      await shard.restart()
    },
    [],
  )
  again(
    'after it was deleted from the archive',
    async (shard) => {
      await archive(shard)
      await removed(shard)
    },
    [],
  )

  it('while its first attempt is not committed: shares its end, and is stored once', async () => {
    const shard = await hookedShard('again-uncommitted')
    await shard.append(['before'])
    const answers = await Promise.all([1, 2, 3].map(() => shard.append(TWO, 7)))
    expect(answers.filter(({ duplicate }) => !duplicate).length).toBe(1)
    expect(await shard.messages()).toEqual(['before', ...TWO])
  })

  it('while its rows are being sealed: is not stored again', async () => {
    const shard = await hookedShard('again-sealing')
    const held = gate()
    shard.hooks.build = async (_, real) => {
      await held.pass()
      return real()
    }
    await shard.append(TWO, 7)
    await shard.flush('job_1')
    await held.reached
    expect(await shard.append(TWO, 7)).toEqual({ duplicate: true })
    held.open()
    await shard.settle('job_1')
    expect(await shard.append(TWO, 7)).toEqual({ duplicate: true })
    expect(await shard.messages()).toEqual(TWO)
  })
})

describe('a deletion made while', () => {
  /** Holds the first call to the Sealer that passes. */
  const holdBuild = (shard: Shard, passes: (sources: number) => boolean) => {
    const held = gate()
    let builds = 0
    shard.hooks.build = async ({ sources }, real) => {
      if (!passes(sources.length)) return real()
      // Built before the deletion, and answered after it.
      const built = await real()
      if (builds++ === 0) await held.pass()
      return built
    }
    return { ...held, builds: () => builds }
  }
  const expectGone = async (shard: Shard, left: string[], count: number) => {
    expect(await shard.messages()).toEqual(left)
    await shard.settle('job_delete')
    expect(await shard.messages()).toEqual(left)
    expect(await shard.job('job_delete')).toMatchObject({ records: count, error: null })
    expect(await shard.storage()).toMatchObject({ tombstones: 0 })
  }

  it('rows are being sealed is not undone by the block', async () => {
    const shard = await hookedShard('during-seal')
    const held = holdBuild(shard, () => true)
    await shard.append(['keep 1', 'drop 2'])
    await shard.flush('job_1')
    await held.reached
    await shard.deleteRecords('job_delete', { q: 'drop' })
    expect(await shard.messages()).toEqual(['keep 1'])
    await shard.append(['drop 3 is later'])
    held.open()
    await expectGone(shard, ['keep 1', 'drop 3 is later'], 1)
    expect(held.builds()).toBeGreaterThan(1)
  })

  it('blocks are being merged is not undone by the merged one', async () => {
    const shard = await hookedShard('during-merge')
    const held = holdBuild(shard, (sources) => sources === 8)
    for (let i = 0; i < 8; i++) {
      await shard.append([`keep ${i}`, `drop ${i}`])
      await shard.flush(`job_${i}`, false)
      if (i < 7) await shard.settle(`job_${i}`)
    }
    await held.reached
    await shard.deleteRecords('job_delete', { q: 'drop' })
    held.open()
    const left = Array.from({ length: 8 }, (_, i) => `keep ${i}`)
    await expectGone(shard, left, 8)
  })

  it('another is being carried out is carried out too', async () => {
    const shard = await hookedShard('during-purge')
    await shard.append(['keep 1', 'drop 2', 'lose 3'])
    await shard.flush('job_1')
    await shard.settle('job_1')
    const held = holdBuild(shard, () => true)
    await shard.deleteRecords('job_first', { q: 'lose' })
    await held.reached
    await shard.deleteRecords('job_delete', { q: 'drop' })
    held.open()
    await expectGone(shard, ['keep 1'], 1)
    expect(await shard.job('job_first')).toMatchObject({ state: 'done', records: 1 })
  })

  it('a block is on its way to the archive leaves nothing of it there', async () => {
    const shard = await hookedShard('during-archive')
    const held = gate()
    shard.hooks.archive = async ({ name, real }) => {
      if (name === 'put') await held.pass()
      return real()
    }
    await shard.append(['keep 1', 'drop 2'])
    await shard.flush('job_1')
    await held.reached
    const [before] = (await shard.inside((sql) =>
      sql.exec<{ key: string }>('select key from pending_object').toArray(),
    )) as { key: string }[]
    await shard.deleteRecords('job_delete', { q: 'drop' })
    held.open()
    await expectGone(shard, ['keep 1'], 1)
    await shard.settle('job_1')
    await shard.until(async () => {
      const objects = await shard.objects()
      expect(objects.length).toBe(1)
      expect(objects).not.toContain(before!.key)
    })
    expect(await shard.messages()).toEqual(['keep 1'])
  })
})

describe('a deletion that is cut short', () => {
  const cut = (name: string, interrupt: (shard: Shard) => Promise<void>) =>
    it(`${name} leaves no pattern of what it removed before`, async () => {
      const shard = await hookedShard(`cut-${name.replace(/\W+/g, '-')}`)
      await shard.append(['keep one', 'drop it now'])
      await shard.flush('job_1')
      await shard.settle('job_1')
      // It has no pattern and its filter says maybe, so it is read, and holds nothing to remove.
      await shard.append(['it may <_> drop'])
      await shard.flush('job_2')
      await shard.settle('job_2')
      const second = (await shard.objects()).find((key) => key.includes('-0-3-'))
      shard.hooks.archive = async ({ key, real }) => {
        if (key === second) throw new Error('get: We encountered an internal error. (10001)')
        return real()
      }
      await shard.deleteRecords('job_delete', { q: '"drop it"' })
      await shard.until(async () => {
        expect((await shard.upkeep('purge'))?.error).toContain('internal error')
      })
      await interrupt(shard)
      shard.hooks.archive = ({ real }) => real()
      await shard.settle('job_delete')
      expect(await shard.job('job_delete')).toMatchObject({ records: 1, error: null })
      const texts = await shard.inside((sql) => sql.exec('select text from pattern').toArray())
      expect(texts.map(({ text }) => text)).toEqual(['keep one'])
      expect(await shard.messages()).toEqual(['keep one', 'it may <_> drop'])
    })

  cut('by a block that can not be read', async () => {})
  cut('by a restart', (shard) => shard.restart())
})

describe('a reader', () => {
  /** A reader to whom something happens after the nth reply of the shard, before it reads on. */
  async function readWith(
    shard: Shard,
    parameters: Record<string, string>,
    happen: (nth: number) => Promise<void>,
    archive?: R2Bucket,
  ) {
    let nth = 0
    const stub = shard.stub()
    const LOG_SHARD = {
      getByName: () => ({
        candidates: async (caller: ShardCaller, request: CandidatesRequest) => {
          // Small replies, so that there are several.
          const reply = await stub.candidates(caller, { ...request, bytesMax: 1 })
          await happen(++nth)
          return reply
        },
      }),
    }
    const env = { ...shard.env, LOG_SHARD, ...(archive && { ARCHIVE: archive }) } as unknown as Env
    const scope = { tenantId: shard.access.tenant.tenantId, workspaceId: null }
    const plan = must(planQuery(Object.entries(parameters), scope, Date.now()))
    return must(await queryShards(env, shard.access, plan))
  }

  it('whose object is rewritten and removed by a deletion reads the new one', async () => {
    const shard = await hookedShard('reader-purge')
    await shard.append(['keep 1', 'drop 2', 'keep 3'])
    await shard.flush('job_1')
    await shard.settle('job_1')
    const page = await readWith(shard, { order: 'asc' }, async (nth) => {
      if (nth > 1) return
      const [key] = await shard.objects()
      await shard.deleteRecords('job_delete', { q: 'drop' })
      await shard.settle('job_delete')
      await shard.until(async () => expect(await shard.objects()).not.toContain(key))
    })
    expect(page.partial_reasons).toEqual([])
    expect(page.logs.map(({ message }) => message)).toEqual(['keep 1', 'keep 3'])
  })

  for (const order of ['asc', 'desc'] as const) {
    it(`pages ${order} through seal, merge, archive and deletion: each record once`, async () => {
      const shard = await hookedShard(`reader-${order}`)
      const expected: string[] = []
      for (let i = 0; i < 7; i++) {
        const messages = [`row ${i} a`, `row ${i} b`, `victim ${i}`]
        await shard.append(messages)
        expected.push(...messages.slice(0, 2))
        await shard.flush(`job_${i}`, false)
        await shard.settle(`job_${i}`)
      }
      await shard.append(['row 7 a', 'row 7 b', 'victim 7'])
      expected.push('row 7 a', 'row 7 b')
      const events = [
        () => shard.flush('job_7', false).then(() => shard.settle('job_7')),
        () => shard.append(['later, not of the set']).then(() => {}),
        () => shard.flush('job_8').then(() => shard.settle('job_8')),
        () => shard.deleteRecords('job_9', { q: 'victim' }).then(() => shard.settle('job_9')),
      ]
      const shown: string[] = []
      let cursor: string | null = null
      do {
        const parameters = { order, limit: '4', q: 'row', ...(cursor !== null && { cursor }) }
        const page = await readWith(shard, parameters, async (nth) => {
          if (nth % 2 === 1) await events.shift()?.()
        })
        expect(page.partial_reasons).toEqual([])
        shown.push(...page.logs.map(({ message }) => message))
        cursor = page.next_cursor
      } while (cursor !== null)
      expect(events).toEqual([])
      expect(shown.toSorted()).toEqual(expected.toSorted())
    })
  }
})

describe('a key that is revoked', () => {
  it('opens nothing to a Worker that still holds it', async () => {
    const shard = await hookedShard('held-key')
    await shard.append(['secret'])
    const { appId } = shard.access.tenant
    const ref = { appId, tenantId: null }
    const made = must(
      must(await askRegistry(shard.env, (registry) => registry.createKey(ref, newKey()))),
    )
    const held: ShardAccess = { ...shard.access, keyId: made.keyId }
    const ask = async () => {
      const plan = must(planQuery([], { tenantId: '', workspaceId: null }, Date.now()))
      const read = await queryShards(shard.env, held, plan)
      const sent = await appendRecords(shard.env, held, batchOf([{ message: 'x' }]), null)
      return [read, sent].map((result) => (result.ok ? 'ok' : result.error.code))
    }
    expect(await ask()).toEqual(['ok', 'ok'])
    must(must(await askRegistry(shard.env, (registry) => registry.deleteKey(ref, made.keyId))))
    expect(await ask()).toEqual(['unauthorized', 'unauthorized'])
    // Also when the shard has forgotten what it was told.
    await shard.restart()
    expect(await ask()).toEqual(['unauthorized', 'unauthorized'])
    expect(await shard.messages()).toEqual(['secret', 'x'])
  })
})
