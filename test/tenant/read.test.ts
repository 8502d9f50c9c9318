// What readers show of records that lie unsealed, in blocks and in the archive: the same, whatever
// holds them; and what they say when the archive fails, blocks move, or shards become more.

import { beforeEach, describe, expect, it, vi } from 'vitest'
import { GROUP_RECORDS_MAX } from '../../src/block/layout.ts'
import type { Env } from '../../src/env.ts'
import { planFilter } from '../../src/query/parameters.ts'
import { planQuery } from '../../src/query/plan.ts'
import { err } from '../../src/result.ts'
import { countShards, queryShards, readRecord } from '../../src/tenant/read.ts'
import { batchOf, type RecordSpec } from '../batches.ts'
import type { ModelArchive, ModelShard } from '../model-shard.ts'
import { must, store, type World, worldOf } from './model-world.ts'

const T = 1_720_000_000_000

const planOf = (parameters: Record<string, string> = {}) =>
  must(planQuery(Object.entries(parameters), { tenantId: 't', workspaceId: null }, T))
const query = async (world: World, parameters?: Record<string, string>) =>
  must(await queryShards(world.env, world.access, planOf(parameters)))
const count = async (world: World, parameters?: Record<string, string>) =>
  must(await countShards(world.env, world.access, planOf(parameters)))
const idsOf = ({ logs }: { logs: { id: string }[] }) => logs.map(({ id }) => id)

/** Three rows of three records, a second apart, numbered 1 to 9. */
const NINE = [0, 1, 2].map((row) =>
  [0, 1, 2].map((i) => ({ ms: T + (row * 3 + i) * 1000, message: `record ${row * 3 + i + 1}` })),
)
const ALL = [9, 8, 7, 6, 5, 4, 3, 2, 1].map((seq) => `0-${seq}`)

// What can not be read is logged; here it is meant to be.
const logged = vi.spyOn(console, 'error').mockImplementation(() => {})
beforeEach(() => {
  logged.mockClear()
})

describe('records are shown alike, unsealed, hot and cold:', () => {
  const ROWS: RecordSpec[][] = Array.from({ length: 5 }, (_, row) =>
    Array.from({ length: 40 }, (_, i) => ({
      ms: T + ((row * 40 + i * 7) % 90) * 1000,
      ns: i % 3,
      level: i % 6,
      message: [`user ${i} logged in`, 'disk full', `a "quoted" ${row}`, 'Ünïcode été'][i % 4]!,
      text: { service: ['api', 'web'][i % 2]!, ...(i % 3 === 0 && { user_id: `u${i % 5}` }) },
      attributes: { code: [200, '200', 1.5, true][i % 4]!, ...(i % 7 === 0 && { rare: `r${i}` }) },
      ...(i % 11 === 0 && { rest: '{"list":[1,{"a":null}],"nested":{"b":"c"}}' }),
    })),
  )
  const KINDS = ['segments', 'hot', 'cold'] as const

  const alike = (parameters: Record<string, string>) =>
    it(JSON.stringify(parameters), async () => {
      const pages: unknown[] = []
      for (const kind of KINDS) {
        const world = worldOf()
        await store(world.shards[0]!, ROWS, kind)
        world.shards[0]!.rowsMax = 2
        const first = await query(world, parameters)
        const cursor = first.next_cursor
        const second = cursor === null ? null : await query(world, { ...parameters, cursor })
        expect([first.partial, second?.partial ?? false]).toEqual([false, false])
        const { limit: _, order: __, ...filter } = parameters
        pages.push([first.logs, second?.logs, (await count(world, filter)).count])
        expect(first.stats.r2_reads > 0).toBe(kind === 'cold')
      }
      expect(pages[1]).toEqual(pages[0])
      expect(pages[2]).toEqual(pages[0])
      expect((pages[0] as unknown[][])[0]!.length).toBeGreaterThan(0)
    })

  alike({})
  alike({ order: 'asc', limit: '150' })
  alike({ limit: '7' })
  alike({ q: 'user', limit: '20' })
  alike({ q: '"user 16"' })
  alike({ q: 'été', order: 'asc' })
  alike({ service: 'api', user_id: 'u3' })
  alike({ level: '>=error', limit: '30' })
  alike({ 'attr.code': '200', 'attr.rare': 'r21' })
  alike({ 'attr.nested': '{"b":"c"}' })
  alike({ since: String(T + 20_000), until: String(T + 40_000), limit: '9' })
})

describe('a block of many row groups', () => {
  const specs = Array.from({ length: 2 * GROUP_RECORDS_MAX + 500 }, (_, i) => ({
    ms: T + i,
    message: i % 1000 === 0 ? 'rare' : 'common',
  }))
  const large = (async () => {
    const world = worldOf()
    await store(world.shards[0]!, [specs], 'cold')
    return world
  })()

  const shows = (parameters: Record<string, string>, first: number, length: number, rows: number) =>
    it(`${JSON.stringify(parameters)}: ${rows} rows are scanned`, async () => {
      const { logs, stats } = await query(await large, parameters)
      expect([logs[0]?.timestamp, logs.length]).toEqual([T + first, length])
      expect(stats).toMatchObject({ rows, r2_reads: 1, blocks: { opened: 1 } })
    })

  shows({ limit: '10' }, specs.length - 1, 10, 500)
  shows({ limit: '600' }, specs.length - 1, 600, 500 + GROUP_RECORDS_MAX)
  shows({ limit: '10', order: 'asc' }, 0, 10, GROUP_RECORDS_MAX)
  shows({ limit: '1000', q: 'rare' }, 16_000, 17, specs.length)
  shows({ limit: '10', until: String(T + 100) }, 99, 10, specs.length)
})

describe('a request that nobody waits for any more', () => {
  it('stops reading', async () => {
    const world = worldOf()
    await store(world.shards[0]!, NINE, 'cold')
    const waiting = new AbortController()
    world.archive.before = async (_key, nth) => {
      if (nth === 1) waiting.abort()
    }
    const { signal } = waiting
    const answer = await queryShards(world.env, world.access, planOf({ q: 'record' }), { signal })
    expect(answer).toMatchObject({ ok: false, error: { message: 'the request was cancelled' } })
    expect(world.archive.reads.length).toBe(1)
  })

  it('stops between two rows of messages', async () => {
    const world = worldOf()
    const message = 'x'.repeat(60_000)
    const records = Array.from({ length: 300 }, (_, i) => ({ message: `${message}${i}` }))
    await store(world.shards[0]!, [records], 'segments')
    const waiting = new AbortController()
    setTimeout(() => waiting.abort(), 0)
    const options = { signal: waiting.signal }
    const plan = planOf({ q: 'message:/(x*y|x*z)*!/' })
    expect(await countShards(world.env, world.access, plan, options)).toMatchObject({ ok: false })
  })
})

describe('explain', () => {
  it('tells the fate of every row', async () => {
    const world = worldOf()
    world.shards[0]!.isReal = true
    await store(world.shards[0]!, NINE.slice(0, 1), 'cold')
    await store(world.shards[0]!, NINE.slice(1, 2), 'hot')
    await store(world.shards[0]!, NINE.slice(2), 'segments')
    const fates = async (parameters: Record<string, string>) => {
      const options = { explain: true }
      const plan = planOf(parameters)
      const { explain } = must(await queryShards(world.env, world.access, plan, options))
      expect(explain?.more).toBe(0)
      return explain?.lines.map(({ block, records, place, fate }) => [block, records, place, fate])
    }
    expect(await fates({ limit: '2' })).toEqual([
      [7, 3, 'unsealed', 'opened'],
      [4, 3, 'hot', 'unread'],
      [1, 3, 'cold', 'unread'],
    ])
    expect(await fates({ q: '"record 5"' })).toEqual([
      [7, 3, 'unsealed', 'opened'],
      [4, 3, 'hot', 'opened'],
      [1, 3, 'cold', 'filter'],
    ])
    expect(await fates({ until: String(T + 3000), level: 'error' })).toEqual([
      [7, 3, 'unsealed', 'time'],
      [4, 3, 'hot', 'values'],
      [1, 3, 'cold', 'values'],
    ])
    const counted = await countShards(world.env, world.access, planOf(), { explain: true })
    const { explain } = must(counted)
    expect(explain?.lines.map(({ fate }) => fate)).toEqual(['opened', 'counted', 'counted'])
  })
})

describe('a block with one byte changed, anywhere', () => {
  it('is read right, or is named', async () => {
    const world = worldOf()
    await store(world.shards[0]!, NINE.slice(0, 1), 'hot')
    const row = world.shards[0]!.rows[0]!
    if (row.from.kind !== 'block') throw new Error('it is no block')
    const { bytes } = row.from
    const parameters = [{}, { q: 'record' }, { q: '3' }, { since: String(T + 1000), q: 'rec*' }]
    const right = await Promise.all(parameters.map(async (one) => idsOf(await query(world, one))))
    let corrupt = 0
    for (let at = 0; at < bytes.length; at += 7) {
      const changed = bytes.map((byte, i) => (i === at ? byte ^ 0x41 : byte))
      row.from = { kind: 'block', bytes: changed }
      for (const [i, one] of parameters.entries()) {
        const answer = await query(world, one)
        if (!answer.partial) expect(idsOf(answer), `byte ${at}`).toEqual(right[i])
        else expect(answer.partial_reasons[0]?.code).toBe('block_corrupt')
        if (answer.partial) corrupt++
      }
    }
    expect(corrupt).toBeGreaterThan(100)
  })
})

describe('the archive', () => {
  it('is read no further than the page needs', async () => {
    const world = worldOf()
    await store(world.shards[0]!, NINE, 'cold')
    const { logs, stats } = await query(world, { limit: '2' })
    expect(logs.length).toBe(2)
    expect(stats).toMatchObject({ r2_reads: 1, rows: 3, blocks: { opened: 1 } })
    expect(world.archive.reads).toEqual(['app/0-7-g3.parquet'])
  })

  it('is not read when newer records suffice', async () => {
    const world = worldOf()
    await store(world.shards[0]!, NINE.slice(0, 2), 'cold')
    await store(world.shards[0]!, NINE.slice(2), 'segments')
    expect((await query(world, { limit: '2' })).stats.r2_reads).toBe(0)
  })

  it('is read ahead when one object did not suffice, never by more than four at once', async () => {
    const world = worldOf(2)
    const rows = Array.from({ length: 12 }, (_, i) => [{ ms: T + i, message: 'x' }])
    for (const shard of world.shards) await store(shard, rows, 'cold')
    let under = 0
    const most: number[] = []
    world.archive.before = async () => {
      most.push(++under)
      await new Promise((resolve) => setTimeout(resolve, 2))
      under--
    }
    const { stats } = await query(world, { q: 'nothing' })
    expect(stats).toMatchObject({ r2_reads: 24, rows: 24, blocks: { opened: 24 } })
    expect(most[0]).toBe(1)
    expect(Math.max(...most)).toBe(4)
    const objects = [...world.archive.objects.values()]
    expect(stats.bytes).toBe(objects.reduce((sum, { length }) => sum + length, 0))
  })

  const lacks = (name: string, break_: (world: World) => void, code: string, reads: number) =>
    it(`${name}: ${code}, and the rest is shown`, async () => {
      const world = worldOf()
      await store(world.shards[0]!, NINE, 'cold')
      break_(world)
      const answer = await query(world)
      const lost = ['0-4', '0-5', '0-6']
      expect(idsOf(answer)).toEqual(ALL.filter((id) => !lost.includes(id)))
      expect(answer).toMatchObject({
        partial: true,
        partial_reasons: [{ code, shard: 0, block: 4 }],
        stats: { r2_reads: reads },
      })
      const one = await readRecord(world.env, world.access, 0, 5)
      expect(one).toMatchObject({
        ok: false,
        error: { code: 'unavailable', details: { code, shard: 0, block: 4 } },
      })
      expect(await readRecord(world.env, world.access, 0, 1)).toMatchObject({ ok: true })

      // The page is offered again, and is whole when the archive is.
      world.archive.before = async () => {}
      for (const [key, bytes] of whole) world.archive.objects.set(key, bytes)
      const again = await query(world, { cursor: answer.next_cursor! })
      expect(idsOf(again)).toEqual(ALL)
      expect(again).toMatchObject({ partial: false, next_cursor: null })
    })
  let whole: [string, Uint8Array][] = []
  const KEY = 'app/0-4-g2.parquet'
  const broken = (change: (archive: ModelArchive) => void) => (world: World) => {
    whole = [...world.archive.objects]
    change(world.archive)
  }
  const failing = broken((archive) => {
    archive.before = async (key) => {
      if (key === KEY) throw new Error('internal error (10001)')
    }
  })

  lacks('that fails for one', failing, 'block_missing', 5)
  lacks(
    'that lost one',
    broken(({ objects }) => objects.delete(KEY)),
    'block_missing',
    4,
  )
  lacks(
    'that cut one short',
    broken(({ objects }) => objects.set(KEY, objects.get(KEY)!.subarray(0, 500))),
    'block_corrupt',
    5,
  )
  lacks(
    'that holds something else',
    broken(({ objects }) => objects.set(KEY, new Uint8Array(objects.get(KEY)!.length))),
    'block_corrupt',
    5,
  )

  it('that is not bound is named for each block, and what is hot is shown', async () => {
    const world = worldOf()
    await store(world.shards[0]!, NINE.slice(0, 2), 'cold')
    await store(world.shards[0]!, NINE.slice(2), 'hot')
    const { ARCHIVE: _, ...env } = world.env
    const answer = must(await queryShards(env as Env, world.access, planOf()))
    expect(idsOf(answer)).toEqual(ALL.slice(0, 3))
    const reason = { code: 'block_missing', shard: 0 }
    expect(answer.partial_reasons).toEqual([
      { ...reason, block: 4 },
      { ...reason, block: 1 },
    ])
  })
})

describe('a hot block that can not be read', () => {
  it('is named, and the rest is shown', async () => {
    const world = worldOf()
    await store(world.shards[0]!, NINE, 'hot')
    world.shards[0]!.rows[1]!.from = { kind: 'block', bytes: new Uint8Array(600) }
    const answer = await query(world)
    expect(idsOf(answer)).toEqual(ALL.filter((id) => !/[456]$/.test(id)))
    expect(answer.partial_reasons).toEqual([{ code: 'block_corrupt', shard: 0, block: 4 }])
    expect(logged).toHaveBeenCalledOnce()
  })
})

describe('a block that is gone', () => {
  /** Nine cold records whose middle block moves when its object is read for the first time. */
  async function moving(move: (shard: ModelShard) => Promise<void>) {
    const world = worldOf()
    const shard = world.shards[0]!
    await store(shard, NINE, 'cold')
    let hasMoved = false
    world.archive.before = async (key) => {
      if (key !== 'app/0-4-g2.parquet' || hasMoved) return
      hasMoved = true
      await move(shard)
    }
    return world
  }

  const isFound = (name: string, move: (shard: ModelShard) => Promise<void>) =>
    it(`is asked for again by its range: ${name}`, async () => {
      const world = await moving(move)
      const answer = await query(world)
      expect(idsOf(answer)).toEqual(ALL)
      expect(answer.partial).toBe(false)
      const ranges = world.asked.map(({ request }) => request.onlyRange)
      expect(ranges.filter((range) => range !== null)).toEqual([{ firstSeq: 4, lastSeq: 6 }])
      const [first, again] = world.asked
      expect(again!.request.maxSeq).toBe(9)
      expect(again!.request.filter).toEqual(first!.request.filter)
    })

  isFound('rewritten', (shard) => shard.build(1, 1))
  isFound('rewritten and archived', async (shard) => {
    await shard.build(1, 1)
    shard.freeze(1)
  })
  isFound('merged with what was scanned', (shard) => shard.build(1, 2))

  it('is merged with what is still to come: each is asked for, and each record shown once', async () => {
    let moved = () => {}
    const hasMoved = new Promise<void>((resolve) => {
      moved = resolve
    })
    const world = await moving(async (shard) => {
      await shard.build(0, 3)
      shard.freeze(0)
      moved()
    })
    const { before } = world.archive
    world.archive.before = async (key, nth) => {
      // It is read ahead, and must not be there any more when that read is carried out.
      if (key === 'app/0-1-g1.parquet') await hasMoved
      await before(key, nth)
    }
    const answer = await query(world)
    expect(idsOf(answer)).toEqual(ALL)
    const ranges = world.asked.map(({ request }) => request.onlyRange?.firstSeq)
    expect(ranges).toEqual([undefined, 4, 1])
  })

  it('whose records were deleted meanwhile lacks nothing', async () => {
    const world = await moving(async (shard) => {
      shard.delete(must(planFilter({}, T)))
      shard.rows.splice(1, 1)
      shard.archive.objects.delete('app/0-4-g2.parquet')
    })
    const answer = await query(world)
    // What was on the page before the deletion stays there, what came after it is hidden.
    expect(idsOf(answer)).toEqual(['0-9', '0-8', '0-7'])
    expect(answer.partial).toBe(false)
  })

  it('twice is named', async () => {
    const world = await moving(async (shard) => {
      await shard.build(1, 1)
      shard.freeze(1)
      shard.archive.objects.delete('app/0-4-g4.parquet')
    })
    const answer = await query(world)
    expect(idsOf(answer)).toEqual(ALL.filter((id) => !/[456]$/.test(id)))
    expect(answer.partial_reasons).toEqual([{ code: 'block_missing', shard: 0, block: 4 }])
  })

  it('and whose shard falls silent, is the shard that is lacking', async () => {
    const world = await moving(async (shard) => void shard.archive.objects.clear())
    world.told.set(0, (ask) => async (request) => {
      if (request.onlyRange) throw new Error('Network connection lost.')
      return ask(request)
    })
    const answer = await query(world)
    expect(idsOf(answer)).toEqual(['0-9', '0-8', '0-7'])
    expect(answer.partial_reasons).toEqual([{ code: 'shard_unreachable', shard: 0 }])
  })

  it('is found for one record too', async () => {
    const world = await moving((shard) => shard.build(0, 3))
    const record = await readRecord(world.env, world.access, 0, 5)
    expect(record).toMatchObject({ ok: true, data: { id: '0-5', message: 'record 5' } })
  })
})

describe('between two replies', () => {
  it('what is sealed is neither missed nor shown twice', async () => {
    for (const [order, at, merged] of [
      ['desc', 0, 3],
      ['desc', 1, 2],
      ['asc', 0, 2],
      ['asc', 0, 3],
    ] as const) {
      const world = worldOf()
      const shard = world.shards[0]!
      await store(shard, NINE, 'segments')
      shard.rowsMax = 1
      let nth = 0
      world.told.set(0, (ask) => async (request) => {
        if (++nth === 2) await shard.build(at, merged)
        return ask(request)
      })
      const ids = idsOf(await query(world, { order }))
      expect(ids).toEqual(order === 'desc' ? ALL : [...ALL].reverse())
    }
  })

  it('what arrived later and was sealed with them is not in the set', async () => {
    const world = worldOf()
    const shard = world.shards[0]!
    await store(shard, NINE, 'segments')
    shard.rowsMax = 1
    let nth = 0
    world.told.set(0, (ask) => async (request) => {
      if (++nth === 2) {
        shard.append(batchOf([{ ms: T, message: 'late' }]))
        await shard.build(0, 4)
      }
      return ask(request)
    })
    const first = await query(world, { limit: '7' })
    const cursor = first.next_cursor!
    const second = await query(world, { limit: '7', cursor })
    expect([...idsOf(first), ...idsOf(second)]).toEqual(ALL)
    expect(second.next_cursor).toBeNull()
  })

  it('a moved block that the page can not hold does not end it', async () => {
    const world = worldOf()
    const shard = world.shards[0]!
    await store(shard, NINE.slice(0, 1), 'segments')
    await store(shard, [[{ ms: T - 9000 }], [{ ms: T - 8000 }]], 'segments')
    await store(shard, NINE.slice(1), 'segments')
    shard.rowsMax = 2
    let nth = 0
    world.told.set(0, (ask) => async (request) => {
      if (++nth === 2) await shard.build(1, 2)
      return ask(request)
    })
    // The two old ones are sealed into a block that is sent first in the second reply.
    const { logs } = await query(world, { limit: '7' })
    expect(logs.map(({ timestamp }) => (timestamp - T) / 1000)).toEqual([8, 7, 6, 5, 4, 3, 2])
  })

  it('a key that is revoked ends the query', async () => {
    const world = worldOf()
    await store(world.shards[0]!, NINE, 'segments')
    world.shards[0]!.rowsMax = 1
    world.told.set(
      0,
      (ask) => async (request) =>
        request.after ? err('unauthorized', 'this key is not valid any more') : ask(request),
    )
    const answer = await queryShards(world.env, world.access, planOf())
    expect(answer).toMatchObject({ ok: false, error: { code: 'unauthorized' } })
  })
})

describe('deletions', () => {
  for (const kind of ['segments', 'hot', 'cold'] as const) {
    it(`hide records that lie ${kind}`, async () => {
      const world = worldOf()
      const shard = world.shards[0]!
      await store(shard, NINE, kind)
      shard.delete(must(planFilter({ q: 'record 5' }, T)))
      shard.delete(must(planFilter({ until: String(T + 2500) }, T)), [
        must(planFilter({ q: '2' }, T)),
      ])
      await store(shard, [[{ ms: T, message: 'record 5, said later' }]], kind)
      const left = ['0-9', '0-8', '0-7', '0-6', '0-4', '0-2', '0-10']
      expect(idsOf(await query(world))).toEqual(left)
      expect(idsOf(await query(world, { q: 'record', limit: '3' }))).toEqual(left.slice(0, 3))
      expect((await count(world)).count).toBe(left.length)
      const one = (seq: number) => readRecord(world.env, world.access, 0, seq)
      expect(await one(5)).toEqual({ ok: true, data: null })
      expect(await one(4)).toMatchObject({ ok: true, data: { id: '0-4' } })
      expect(await one(10)).toMatchObject({ ok: true, data: { id: '0-10' } })
    })
  }

  it('that are made while a query reads hide what it reads from then on', async () => {
    const world = worldOf()
    const shard = world.shards[0]!
    await store(shard, NINE, 'hot')
    shard.rowsMax = 1
    let nth = 0
    world.told.set(0, (ask) => async (request) => {
      if (++nth === 2) shard.delete(must(planFilter({ q: '5' }, T)))
      return ask(request)
    })
    expect(idsOf(await query(world))).toEqual(ALL.filter((id) => id !== '0-5'))
  })
})

describe('a count', () => {
  it('of what catalogs know opens nothing', async () => {
    const world = worldOf(2)
    for (const shard of world.shards) await store(shard, NINE, 'hot')
    const answer = await count(world, { q: 'record' })
    expect(answer).toMatchObject({ count: 18, partial: false, partial_reasons: [] })
    expect(answer.stats).toMatchObject({ rows: 0, bytes: 0, r2_reads: 0, blocks: { opened: 0 } })
  })

  it('adds what it has to scan', async () => {
    const world = worldOf()
    await store(world.shards[0]!, NINE.slice(0, 2), 'cold')
    await store(world.shards[0]!, NINE.slice(2), 'segments')
    const answer = await count(world)
    expect(answer).toMatchObject({ count: 9, stats: { rows: 3, blocks: { opened: 1 } } })
  })

  it('lacks a shard that is silent', async () => {
    const world = worldOf(2)
    for (const shard of world.shards) await store(shard, NINE, 'hot')
    world.told.set(1, () => async () => err('unavailable', 'no answer'))
    expect(await count(world)).toMatchObject({
      count: 9,
      partial: true,
      partial_reasons: [{ code: 'shard_unreachable', shard: 1 }],
    })
  })
})

describe('when there are more shards than this isolate knows', () => {
  /** Two shards, of which the isolate knows one until it asks the registry. */
  async function raised(registryKnows = 2) {
    const world = worldOf(2)
    for (const shard of world.shards) await store(shard, [[{ ms: T + shard.shard }]], 'segments')
    const { tenant } = world.access
    let lookups = 0
    const tenantForApp = async () => {
      lookups++
      return { ...tenant, shards: registryKnows }
    }
    world.env = { ...world.env, REGISTRY: { getByName: () => ({ tenantForApp }) } } as never
    world.access = { ...world.access, tenant: { ...tenant, appId: crypto.randomUUID(), shards: 1 } }
    const stale = err('conflict', 'there are 2 shards', { stale: true })
    world.told.set(0, (ask) => async (request) => {
      const { shards } = world.asked.at(-1)!
      return shards < 2 ? stale : ask(request)
    })
    return { world, lookups: () => lookups }
  }

  it('a query is repeated over all of them', async () => {
    const { world, lookups } = await raised()
    expect(idsOf(await query(world))).toEqual(['1-1', '0-1'])
    expect((await count(world)).count).toBe(2)
    expect(await readRecord(world.env, world.access, 1, 1)).toMatchObject({ ok: true })
    expect(lookups()).toBeGreaterThan(0)
  })

  it('and the registry does not know it either, the caller is to try again', async () => {
    const { world } = await raised(1)
    const answer = await queryShards(world.env, world.access, planOf())
    expect(answer).toMatchObject({ ok: false, error: { code: 'unavailable' } })
    expect(world.asked.length).toBe(2)
  })

  it('a page that follows shows the set of the first', async () => {
    const { world } = await raised()
    await store(world.shards[0]!, [[{ ms: T - 1 }]], 'segments')
    world.told.clear()
    const first = await query(world, { limit: '1' })
    expect(idsOf(first)).toEqual(['0-1'])
    world.access = { ...world.access, tenant: { ...world.access.tenant, shards: 2 } }
    const second = await query(world, { limit: '5', cursor: first.next_cursor! })
    expect(idsOf(second)).toEqual(['0-2'])
    expect(world.asked.filter(({ shard }) => shard === 1)).toEqual([])
  })
})
