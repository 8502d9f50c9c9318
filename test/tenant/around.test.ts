// Neighbours and traces where something lacks: a budget that is spent, a shard that is silent, a block
// that is gone; and records without a service.

import { describe, expect, it, vi } from 'vitest'
import type { RecordView } from '../../src/match/view.ts'
import { planAll, planQuery } from '../../src/query/plan.ts'
import { err } from '../../src/result.ts'
import { type ContextScope, readContext, readTrace } from '../../src/tenant/around.ts'
import { type QueryOptions, readRecord } from '../../src/tenant/read.ts'
import { must, store, type World, worldOf } from './model-world.ts'

const T = 1_720_000_000_000
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const SCOPE = { tenantId: 't', workspaceId: null }

vi.spyOn(console, 'error').mockImplementation(() => {})

/** Blocks of ten records, one second after another, every second record of the trace. */
const blocks = (count: number) =>
  Array.from({ length: count }, (_, block) =>
    Array.from({ length: 10 }, (_, i) => ({
      ms: T + block * 1000 + i,
      level: block === 2 && i === 4 ? 4 : 2,
      message: `${block}.${i}`,
      text: {
        ...(i % 2 === 0 && { trace_id: TRACE }),
        ...(i % 5 > 0 && { service: 'api' }),
      },
    })),
  )

async function trace(world: World, given: Record<string, string> = {}, options: QueryOptions = {}) {
  const parameters = Object.entries({ trace_id: TRACE, order: 'asc', ...given })
  const plan = must(planQuery(parameters, SCOPE, T))
  return must(await readTrace(world.env, world.access, plan, TRACE, options))
}

async function context(world: World, seq: number, scope: ContextScope) {
  const plan = must(planAll([], SCOPE, T))
  const record = must(await readRecord(world.env, world.access, 0, seq)) as RecordView
  return readContext(world.env, world.access, plan, record, { before: 3, after: 3, scope }, {})
}

const messages = (records: RecordView[]) => records.map(({ message }) => message)

describe('a trace', () => {
  it('over the budget is told so far, and its pages get to the end', async () => {
    const world = worldOf()
    await store(world.shards[0]!, blocks(6), 'hot')
    const whole = await trace(world)
    expect(whole).toMatchObject({ count: 30, partial: false })
    const budget = { blocks: 2, bytes: 1e9, rows: 1e9 }
    const shown: string[] = []
    let pages = 0
    for (let cursor: string | null = ''; cursor !== null && pages < 50; pages++) {
      const page = await trace(world, { limit: '7', ...(cursor && { cursor }) }, { budget })
      shown.push(...messages(page.records))
      expect(page.partial_reasons).toContainEqual({ code: 'budget' })
      expect(page.count).toBeLessThan(30)
      cursor = page.next_cursor
    }
    expect(shown).toEqual(messages(whole.records))
  })

  it('that lacks a block or a shard is told to be partial, and offered again', async () => {
    const world = worldOf(2)
    for (const shard of world.shards) await store(shard, blocks(3), 'cold')
    const whole = await trace(world)
    expect(whole).toMatchObject({ count: 30, partial: false, first_error: { id: '0-25' } })
    const bytes = world.archive.objects.get('app/0-11-g2.parquet')!
    world.archive.objects.delete('app/0-11-g2.parquet')
    const lacking = await trace(world)
    expect(lacking).toMatchObject({
      count: 25,
      partial: true,
      partial_reasons: [{ code: 'block_missing', shard: 0, block: 11 }],
    })
    world.archive.objects.set('app/0-11-g2.parquet', bytes)
    world.told.set(1, () => async () => err('unavailable', 'the shard did not answer'))
    const silent = await trace(world, { cursor: lacking.next_cursor! })
    expect(silent.partial_reasons).toEqual([{ code: 'shard_unreachable', shard: 1 }])
    world.told.clear()
    const { records, count, next_cursor } = await trace(world, { cursor: silent.next_cursor! })
    expect([messages(records), count, next_cursor]).toEqual([messages(whole.records), 30, null])
  })
})

describe('neighbours', () => {
  it('of a record without a service have none either', async () => {
    const world = worldOf()
    await store(world.shards[0]!, blocks(3), 'hot')
    const { before, after } = must(await context(world, 11, 'service'))
    expect(messages(before)).toEqual(['0.0', '0.5'])
    expect(messages(after)).toEqual(['1.5', '2.0', '2.5'])
    const api = must(await context(world, 12, 'service'))
    expect(messages(api.after)).toEqual(['1.2', '1.3', '1.4'])
  })

  it('read what is next to the record, and tell what they lack', async () => {
    const world = worldOf()
    await store(world.shards[0]!, blocks(9), 'cold')
    const whole = must(await context(world, 45, 'all'))
    expect(messages(whole.before)).toEqual(['4.1', '4.2', '4.3'])
    expect(messages(whole.after)).toEqual(['4.5', '4.6', '4.7'])
    expect(whole.stats.blocks.opened).toBe(2)
    const edge = must(await context(world, 50, 'all'))
    expect(messages(edge.after)).toEqual(['5.0', '5.1', '5.2'])
    world.archive.objects.delete('app/0-51-g6.parquet')
    const lacking = must(await context(world, 50, 'all'))
    expect(messages(lacking.after)).toEqual(['6.0', '6.1', '6.2'])
    expect(lacking).toMatchObject({
      partial: true,
      partial_reasons: [{ code: 'block_missing', shard: 0, block: 51 }],
    })
  })

  it('of a trace need a trace', async () => {
    const world = worldOf()
    await store(world.shards[0]!, blocks(1), 'hot')
    expect(messages(must(await context(world, 5, 'trace')).after)).toEqual(['0.6', '0.8'])
    const error = { code: 'bad_request', details: { parameter: 'scope' } }
    expect(await context(world, 6, 'trace')).toMatchObject({ ok: false, error })
  })
})
