// Exports: every record once and in order, whatever moves meanwhile; no more read than is taken; and an
// end that can not be taken for a whole one when something can not be read.

import { beforeEach, describe, expect, it, vi } from 'vitest'
import { LINES } from '../../src/api/format.ts'
import { recordStream } from '../../src/api/record-stream.ts'
import { EXPORT_PAGE_RECORDS } from '../../src/limits.ts'
import { planQuery } from '../../src/query/plan.ts'
import { err } from '../../src/result.ts'
import { type Export, type ExportStep, exportSteps } from '../../src/tenant/export.ts'
import { queryShards } from '../../src/tenant/read.ts'
import { QUERY_BUDGET } from '../../src/tenant/reader.ts'
import type { RecordSpec } from '../batches.ts'
import { must, store, type World, worldOf } from './model-world.ts'

const T = 1_720_000_000_000

const planOf = (parameters: Record<string, string> = {}, limit = Number.MAX_SAFE_INTEGER) => {
  const bounds = { max: limit, otherwise: limit }
  const scope = { tenantId: 't', workspaceId: null }
  return must(planQuery(Object.entries(parameters), scope, T, [], bounds))
}

interface Run {
  steps: ReturnType<typeof exportSteps>
  /** Waits before repeats, ms. */
  waits: number[]
  stop: AbortController
}

function run(world: World, wanted: Partial<Export> = {}): Run {
  const waits: number[] = []
  const stop = new AbortController()
  const steps = exportSteps(world.env, world.access, {
    plan: planOf(),
    goesPastGaps: false,
    signal: stop.signal,
    pause: async (ms) => void waits.push(ms),
    ...wanted,
  })
  return { steps, waits, stop }
}

/** All ids of an export, and how it ended. */
async function idsOf({ steps }: Run) {
  const ids: string[] = []
  let gaps: ExportStep['gaps'] = []
  for await (const step of steps) {
    if (!step.ok) return { ids, gaps, error: step.error }
    ids.push(...step.data.records.map(({ id }) => id))
    gaps = step.data.gaps
  }
  return { ids, gaps }
}

/** The same by paging through GET /logs. */
async function pagedIds(world: World, parameters: Record<string, string> = {}) {
  const ids: string[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const given: Record<string, string> = { ...parameters, ...(cursor && { cursor }) }
    const page = must(await queryShards(world.env, world.access, planOf(given, 700)))
    ids.push(...page.logs.map(({ id }) => id))
    cursor = page.next_cursor
  }
  return ids
}

const rowsOf = (rows: number, each: number, from = 0): RecordSpec[][] =>
  Array.from({ length: rows }, (_, row) =>
    Array.from({ length: each }, (_, i) => ({
      ms: T + from + row * 500 + ((i * 37) % 700),
      ns: i % 2,
      message: `record ${i} of ${row}`,
      text: { service: ['api', 'web', 'db'][i % 3]! },
    })),
  )

/** Records over two shards: unsealed, in blocks and in the archive. */
async function mixed(rows: number, each: number): Promise<World> {
  const world = worldOf(2)
  for (const [i, shard] of world.shards.entries()) {
    await store(shard, rowsOf(rows, each, i * 100), 'cold')
    await store(shard, rowsOf(rows, each, i * 100 + 3000), 'hot')
    await store(shard, rowsOf(rows, each, i * 100 + 6000), 'segments')
  }
  return world
}

const logged = vi.spyOn(console, 'error').mockImplementation(() => {})
beforeEach(() => {
  logged.mockClear()
})

describe('an export', () => {
  it('is what paging shows, in both orders and filtered', async () => {
    const world = await mixed(2, 1500)
    for (const parameters of [{}, { order: 'asc' }, { service: 'web', q: '12' }] as Record<
      string,
      string
    >[]) {
      const { ids, error } = {
        error: null,
        ...(await idsOf(run(world, { plan: planOf(parameters) }))),
      }
      expect(error).toBeNull()
      expect(ids).toEqual(await pagedIds(world, parameters))
      expect(new Set(ids).size).toBe(ids.length)
    }
  })

  it('of 60,000 records reads a page when it is taken, and keeps none', async () => {
    const world = await mixed(4, 2500)
    const { steps } = run(world)
    expect(world.asked.length).toBe(0)
    let records = 0
    let last = ''
    for await (const step of steps) {
      const page = must(step).records
      expect(page.length).toBeLessThanOrEqual(EXPORT_PAGE_RECORDS)
      records += page.length
      const asked = world.asked.length
      await new Promise((resolve) => setTimeout(resolve, 5))
      expect(world.asked.length).toBe(asked)
      last = page.at(-1)?.id ?? last
    }
    expect(records).toBe(60_000)
    expect(last).toBe((await pagedIds(world, { order: 'asc', until: String(T + 1) }))[0])
  }, 60_000)

  it('shows the set of its first page, whatever arrives, is sealed, merged and archived', async () => {
    const world = await mixed(3, 1400)
    const before = await pagedIds(world)
    const ids: string[] = []
    let round = 0
    for await (const step of run(world).steps) {
      ids.push(...must(step).records.map(({ id }) => id))
      for (const shard of world.shards) {
        await store(shard, rowsOf(1, 50, round * 1000), 'segments')
        const unsealed = shard.rows.findIndex(({ id }) => id === 0)
        await shard.build(round % 2 === 0 ? unsealed : 0, 2)
        shard.freeze(shard.rows.length - 2)
      }
      round++
    }
    expect(round).toBeGreaterThan(4)
    expect(ids).toEqual(before)
  }, 60_000)

  it('goes on where the budget of one query ends', async () => {
    const world = await mixed(4, 300)
    const parameters = { q: '"record 7"', order: 'asc' }
    const all = await pagedIds(world, parameters)
    const { blocks } = QUERY_BUDGET
    QUERY_BUDGET.blocks = 3
    try {
      const export_ = run(world, { plan: planOf(parameters) })
      expect(await idsOf(export_)).toEqual({ ids: all, gaps: [] })
      expect(export_.waits).toEqual([])
      const asked = world.asked.length
      await idsOf(run(world, { plan: planOf(parameters) }))
      // More than one page for each shard: the budget did end some.
      expect(world.asked.length - asked).toBeGreaterThan(4)
    } finally {
      QUERY_BUDGET.blocks = blocks
    }
  })

  it('ends after limit= records', async () => {
    const world = await mixed(2, 1000)
    const all = await pagedIds(world)
    for (const limit of [1, 999, EXPORT_PAGE_RECORDS, EXPORT_PAGE_RECORDS + 1]) {
      const { ids } = await idsOf(run(world, { plan: planOf({}, limit) }))
      expect(ids).toEqual(all.slice(0, limit))
    }
    expect(await idsOf(run(worldOf()))).toEqual({ ids: [], gaps: [] })
  })
})

describe('what can not be read', () => {
  const three = () =>
    Array.from({ length: 3 }, (_, row) =>
      Array.from({ length: 4000 }, (_, i) => ({ ms: T + row * 4000 + i, message: 'm' })),
    )
  const SECOND = 'app/0-4001-g2.parquet'

  it('is asked for again, and the export is whole when it is back', async () => {
    const world = worldOf()
    await store(world.shards[0]!, three(), 'cold')
    const all = await pagedIds(world)
    let failures = 0
    world.archive.before = async (key) => {
      if (key === SECOND && failures++ < 3) throw new Error('internal error (10001)')
    }
    const export_ = run(world)
    expect(await idsOf(export_)).toEqual({ ids: all, gaps: [] })
    expect(export_.waits.length).toBeGreaterThan(0)
    expect(export_.waits).toEqual([250, 500, 1000, 2000].slice(0, export_.waits.length))
  })

  it('ends it with a failure that names what is lacking', async () => {
    const world = worldOf()
    await store(world.shards[0]!, three(), 'cold')
    world.archive.objects.delete(SECOND)
    const export_ = run(world)
    const { ids, error } = await idsOf(export_)
    expect(ids).toEqual([])
    expect(error).toMatchObject({
      code: 'unavailable',
      details: { partial_reasons: [{ code: 'block_missing', shard: 0, block: 4001 }] },
    })
    expect(export_.waits).toEqual([250, 500, 1000, 2000])
  })

  it('is gone past where that is allowed, once waited for, and told of', async () => {
    const world = worldOf()
    await store(world.shards[0]!, [...three(), ...three()], 'cold')
    const all = await pagedIds(world)
    world.archive.objects.delete(SECOND)
    const export_ = run(world, { goesPastGaps: true })
    const { ids, gaps } = await idsOf(export_)
    const lost = (id: string) => {
      const seq = Number(id.split('-')[1])
      return seq > 4000 && seq <= 8000
    }
    expect(ids).toEqual(all.filter((id) => !lost(id)))
    expect(gaps).toEqual([{ code: 'block_missing', shard: 0, block: 4001 }])
    expect(export_.waits).toEqual([250, 500, 1000, 2000])
  })

  it('of a silent shard ends it even so', async () => {
    const world = worldOf(2)
    for (const shard of world.shards) await store(shard, three(), 'hot')
    world.told.set(1, () => async () => err('unavailable', 'the shard did not answer'))
    const { ids, error } = await idsOf(run(world, { goesPastGaps: true }))
    expect(ids).toEqual([])
    expect(error?.details).toEqual({ partial_reasons: [{ code: 'shard_unreachable', shard: 1 }] })
  })

  it('by a key that was revoked meanwhile ends it at once', async () => {
    const world = worldOf()
    await store(world.shards[0]!, three(), 'hot')
    const export_ = run(world)
    expect(must((await export_.steps.next()).value!).records.length).toBe(EXPORT_PAGE_RECORDS)
    world.told.set(0, () => async () => err('unauthorized', 'the key is unknown'))
    expect(await idsOf(export_)).toMatchObject({ ids: [], error: { code: 'unauthorized' } })
    expect(export_.waits).toEqual([])
  })
})

describe('as a body', () => {
  async function bodyOf(
    world: World,
    { format = 'ndjson' as 'ndjson' | 'csv', allow = false } = {},
  ) {
    const export_ = run(world, { goesPastGaps: allow })
    const first = must((await export_.steps.next()).value!)
    const broken: unknown[] = []
    const body = recordStream(first, export_.steps, LINES[format], {
      onBroken: (e) => broken.push(e),
      onCancel: () => export_.stop.abort(),
    })
    return { body, broken, export_ }
  }

  const big = () =>
    Array.from({ length: 6 }, (_, row) =>
      Array.from({ length: 2500 }, (_, i) => ({
        ms: T + row * 2500 + i,
        message: 'x'.repeat(200),
      })),
    )

  it('holds a line for each record, in pieces that are not large', async () => {
    const world = worldOf()
    await store(world.shards[0]!, big(), 'segments')
    const { body } = await bodyOf(world)
    let text = ''
    for await (const piece of body as unknown as AsyncIterable<Uint8Array>) {
      expect(piece.length).toBeLessThan(70_000)
      text += new TextDecoder().decode(piece)
    }
    const lines = text.trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line).id)).toEqual(await pagedIds(world))
  })

  it('is not read ahead of a slow client, and no further once it has gone', async () => {
    const world = worldOf()
    await store(world.shards[0]!, big(), 'segments')
    const { body, export_, broken } = await bodyOf(world)
    const asked = world.asked.length
    const reader = body.getReader()
    for (let i = 0; i < 3; i++) {
      await reader.read()
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    expect(world.asked.length).toBe(asked)
    await reader.cancel()
    await new Promise((resolve) => setTimeout(resolve, 10))
    expect(world.asked.length).toBe(asked)
    expect(export_.stop.signal.aborted).toBe(true)
    expect(await export_.steps.next()).toEqual({ done: true, value: undefined })
    expect(broken).toEqual([])
  })

  it('that is cancelled while a page is read ends that too', async () => {
    const world = worldOf()
    await store(world.shards[0]!, big(), 'segments')
    const { body, export_, broken } = await bodyOf(world)
    const reader = body.getReader()
    let goOn = () => {}
    const isAsked = new Promise<void>((isAsked) => {
      world.told.set(0, (ask) => async (request) => {
        isAsked()
        await new Promise<void>((resolve) => {
          goOn = resolve
        })
        return ask(request)
      })
    })
    const reading = (async () => {
      while (!(await reader.read()).done);
    })()
    await isAsked
    await reader.cancel()
    await reading
    const asked = world.asked.length
    goOn()
    await vi.waitFor(async () => expect((await export_.steps.next()).done).toBe(true))
    expect(world.asked.length).toBe(asked)
    expect(broken).toEqual([])
  })

  async function takenOf(body: ReadableStream<Uint8Array>) {
    let text = ''
    try {
      for await (const piece of body as unknown as AsyncIterable<Uint8Array>) {
        text += new TextDecoder().decode(piece)
      }
      return { text, isWhole: true }
    } catch {
      return { text, isWhole: false }
    }
  }

  for (const format of ['ndjson', 'csv'] as const) {
    it(`is broken off when the rest can not be read: ${format}`, async () => {
      const world = worldOf()
      await store(world.shards[0]!, big(), 'segments')
      const { body, broken } = await bodyOf(world, { format })
      world.told.set(0, () => async () => err('unavailable', 'the shard did not answer'))
      const { text, isWhole } = await takenOf(body)
      expect(isWhole).toBe(false)
      expect(broken).toHaveLength(1)
      const end = format === 'csv' ? '\r\n' : '\n'
      expect(text.endsWith(end)).toBe(true)
      const lines = text.slice(0, -end.length).split(end)
      expect(lines).toHaveLength(EXPORT_PAGE_RECORDS + 1)
      if (format === 'ndjson') {
        expect(JSON.parse(lines.at(-1)!)).toMatchObject({ error: { code: 'unavailable' } })
      }
    })
  }

  it('with gaps that are allowed ends whole, its last line telling of them', async () => {
    const world = worldOf()
    await store(world.shards[0]!, big(), 'cold')
    world.archive.objects.delete('app/0-2501-g2.parquet')
    const { body } = await bodyOf(world, { allow: true })
    const { text, isWhole } = await takenOf(body)
    expect(isWhole).toBe(true)
    const lines = text.trimEnd().split('\n')
    expect(lines).toHaveLength(12_500 + 1)
    expect(JSON.parse(lines.at(-1)!).error.details).toEqual({
      partial_reasons: [{ code: 'block_missing', shard: 0, block: 2501 }],
    })
  })
})
