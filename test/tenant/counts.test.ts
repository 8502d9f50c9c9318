// What counts say when shards are silent, blocks are damaged or the budget ends, and that a batch which
// is counted in slices is counted once.

import { describe, expect, it, vi } from 'vitest'
import { planAll } from '../../src/query/plan.ts'
import { err, ok } from '../../src/result.ts'
import {
  type Counts,
  readAggregate,
  readFacets,
  readHistogram,
  readPatterns,
} from '../../src/tenant/counts.ts'
import type { QueryOptions } from '../../src/tenant/read.ts'
import { QUERY_BUDGET } from '../../src/tenant/reader.ts'
import type { RecordSpec } from '../batches.ts'
import { must, store, type World, worldOf } from './model-world.ts'

const T = 1_720_000_020_000
const MINUTE = 60_000
vi.spyOn(console, 'error').mockImplementation(() => {})

/** The model knows no range of time, so both ends are given. */
function countsOf(
  world: World,
  parameters: Record<string, string> = {},
  options: QueryOptions = {},
) {
  const range = { since: String(T), until: String(T + 10 * MINUTE) }
  const given = Object.entries({ ...range, ...parameters })
  const plan = must(planAll(given, { tenantId: 't', workspaceId: null }, T))
  const counts: Counts = { access: world.access, plan, workspaceId: null, options, nowMs: T }
  return counts
}

const minutes = { cut: { intervalMs: MINUTE }, by: null, limit: 10 }
const messages = (count: number, from = 0): RecordSpec[] =>
  Array.from({ length: count }, (_, i) => ({
    ms: T + ((from + i) % 600) * 1000,
    message: [`job ${from + i} done`, 'idle', `Ünïcode ${i}`][i % 3]!,
    attributes: { n: i },
  }))

const ALL = { buckets: 10, limit: 50, compare: null }
const pattern = { name: 'pattern', field: { in: 'pattern' } } as const

describe('a batch of many records', () => {
  for (const kind of ['segments', 'hot'] as const) {
    it(`is counted once, in slices: ${kind}`, async () => {
      const world = worldOf(2)
      await store(world.shards[0]!, [messages(1800)], kind)
      await store(world.shards[1]!, [messages(600, 7)], kind)
      const { patterns, total, unpatterned } = must(
        await readPatterns(world.env, countsOf(world), ALL),
      )
      expect([total, unpatterned]).toEqual([2400, 0])
      expect(patterns.map(({ pattern, count }) => [pattern, count]).sort()).toEqual([
        ['idle', 800],
        ['job <_> done', 800],
        ['Ünïcode <_>', 800],
      ])
      const facets = must(
        await readFacets(world.env, countsOf(world), { fields: [pattern], limit: 5 }),
      )
      expect(facets.fields[0]).toMatchObject({ distinct: 3, missing: 0, other: 0 })
      expect(facets.fields[0]!.values.map(({ count }) => count)).toEqual([800, 800, 800])
      const histogram = must(
        await readHistogram(world.env, countsOf(world), { ...minutes, by: pattern }),
      )
      expect(histogram.buckets.map(({ count }) => count)).toEqual(
        Array.from({ length: 10 }, () => 240),
      )
    })
  }
})

describe('what can not be read', () => {
  it('is named, and the rest is counted', async () => {
    const world = worldOf(3)
    for (const shard of world.shards) await store(shard, [messages(60)], 'segments')
    world.told.set(1, () => async () => err('unavailable', 'gone'))
    const found = must(await readHistogram(world.env, countsOf(world), minutes))
    expect(found).toMatchObject({
      total: 120,
      partial: true,
      partial_reasons: [{ code: 'shard_unreachable', shard: 1 }],
    })
  })

  it('is no answer when it is everything', async () => {
    const world = worldOf(1)
    world.told.set(0, () => async () => err('unavailable', 'gone'))
    const found = await readHistogram(world.env, countsOf(world), minutes)
    expect(found).toMatchObject({ ok: false, error: { code: 'unavailable' } })
  })

  it('of an archive is named with its block', async () => {
    const world = worldOf(1)
    await store(world.shards[0]!, [messages(60), messages(30, 60)], 'cold')
    world.archive.objects.clear()
    const found = must(await readHistogram(world.env, countsOf(world, { q: 'n:>=0' }), minutes))
    expect(found).toMatchObject({ total: 0, partial: true })
    expect(found.partial_reasons.map(({ code }) => code)).toEqual([
      'block_missing',
      'block_missing',
    ])
  })

  it('beyond the budget is told by what was covered', async () => {
    const world = worldOf(1)
    const rows = [0, 60, 120, 180].map((from) => messages(60, from))
    await store(world.shards[0]!, rows, 'segments')
    world.shards[0]!.rowsMax = 1
    const options = { budget: { ...QUERY_BUDGET, blocks: 2 } }
    const found = must(await readHistogram(world.env, countsOf(world, {}, options), minutes))
    expect(found.partial_reasons).toMatchObject([{ code: 'budget' }])
    const since = found.covered!.since
    expect(since).toBeGreaterThan(T)
    const inside = found.buckets.filter(({ time }) => time >= since && time < T + 4 * MINUTE)
    expect(inside.length).toBeGreaterThan(0)
    for (const { count } of inside) expect(count).toBe(60)
  })
})

describe('the range of time', () => {
  it('is asked of the shards where it is not given', async () => {
    const world = worldOf(2)
    await store(world.shards[0]!, [messages(60)], 'segments')
    const extents = [ok({ minMs: T, maxMs: T + 59_000 }), ok(null)]
    const { getByName } = world.env.LOG_SHARD as unknown as { getByName(name: string): object }
    const LOG_SHARD = {
      getByName: (name: string) => ({
        ...getByName(name),
        extent: async () => extents[Number(name.split('-')[1])],
      }),
    }
    const env = { ...world.env, LOG_SHARD } as unknown as World['env']
    const plan = { ...countsOf(world).plan, since: null, until: null }
    const counts = { ...countsOf(world), plan }
    const found = must(await readHistogram(env, counts, { ...minutes, cut: { buckets: 60 } }))
    expect([found.since, found.until, found.interval_ms]).toEqual([T, T + 59_001, 1000])
    expect(found.total).toBe(60)
    const later = { ...counts, nowMs: T + 2 * MINUTE }
    expect(must(await readHistogram(env, later, minutes)).until).toBe(T + 2 * MINUTE)
    const points = must(
      await readAggregate(env, counts, {
        value: { name: 'n', field: { in: 'attr', name: 'n' } },
        by: [],
        functions: [{ name: 'max', is: 'max' }],
        intervalMs: MINUTE,
        limit: 10,
      }),
    )
    expect(points.groups).toEqual([{ by: {}, count: 60, points: [{ time: T, max: 59 }] }])
  })
})
