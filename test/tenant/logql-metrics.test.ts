// Metric queries through shards: what catalogs count, what is scanned, and what happens when something
// can not be read. Numbers are those of a plain loop.

import { describe, expect, it, vi } from 'vitest'
import type { MetricExpr, RangeAggregation } from '../../src/logql/syntax.ts'
import type { Steps } from '../../src/logql/windows.ts'
import { err } from '../../src/result.ts'
import type { Asking } from '../../src/tenant/logql-asking.ts'
import { readMetric } from '../../src/tenant/logql-metrics.ts'
import { QUERY_BUDGET } from '../../src/tenant/reader.ts'
import { type RecordSpec, randomOf } from '../batches.ts'
import { keyOf, PlainError, type PlainRecord, plainAt } from '../logql/metric-oracle.ts'
import {
  plainRecord,
  randomExpr,
  randomSpec,
  randomSteps,
  START_MS,
} from '../logql/metric-random.ts'
import { randomFrom } from '../query/random-filter.ts'
import { must, store, type World, worldOf } from './model-world.ts'

vi.spyOn(console, 'error').mockImplementation(() => {})

const MINUTE = 60_000
const SEED = Number(process.env.SEED ?? 1)
const ROUNDS = Number(process.env.ROUNDS ?? 60)

const askingOf = (world: World, options: Asking['options'] = {}): Asking => ({
  access: world.access,
  workspaceId: null,
  options,
  nowMs: START_MS,
})

const everything: RangeAggregation = {
  kind: 'range',
  function: 'count_over_time',
  parameter: null,
  query: { kind: 'log', matchers: [{ name: 'service_name', op: '=~', value: '.+' }], stages: [] },
  unwrap: null,
  rangeMs: MINUTE,
  offsetMs: 0,
  grouping: null,
}

const sumBy = (labels: string[], of: MetricExpr = everything): MetricExpr => ({
  kind: 'aggregation',
  function: 'sum',
  parameter: null,
  of,
  grouping: { isWithout: false, labels },
})

const minutes = (count: number, from = 1): Steps => ({
  start: { ms: START_MS + from * MINUTE, ns: 0 },
  stepMs: MINUTE,
  count,
})

/** So many records of services a and b and two levels, evenly over four minutes. */
const specs = (count: number): RecordSpec[] =>
  Array.from({ length: count }, (_, i) => ({
    ms: START_MS + Math.floor((i * 4 * MINUTE) / count),
    level: i % 4 === 0 ? 4 : 2,
    message: `job ${i} done`,
    text: { service: i % 2 === 0 ? 'a' : 'b' },
    attributes: { took: i % 10 },
  }))

async function sealedWorld(): Promise<World> {
  const world = worldOf(2)
  for (const shard of world.shards) {
    shard.isReal = true
    await store(shard, [specs(400)], 'hot')
  }
  return world
}

/** Values by labels and step. */
function valuesOf(series: { labels: object; points: { at: number; value: number }[] }[]) {
  return Object.fromEntries(
    series.map(({ labels, points }) => [
      JSON.stringify(labels),
      points.map(({ at, value }) => [at, value]),
    ]),
  )
}

describe('catalogs count whole minutes', () => {
  const cases: [name: string, expr: MetricExpr, expected: object][] = [
    [
      'by level',
      sumBy(['level']),
      { '{"level":"error"}': [50, 50, 50, 50], '{"level":"info"}': [150, 150, 150, 150] },
    ],
    [
      'by two names of the level',
      sumBy(['level', 'detected_level']),
      {
        '{"detected_level":"error","level":"error"}': [50, 50, 50, 50],
        '{"detected_level":"info","level":"info"}': [150, 150, 150, 150],
      },
    ],
    [
      'as rates',
      sumBy(['level'], { ...everything, function: 'rate' }),
      {
        '{"level":"error"}': Array(4).fill(50 / 60),
        '{"level":"info"}': Array(4).fill(150 / 60),
      },
    ],
    ['all together', sumBy([]), { '{}': [200, 200, 200, 200] }],
    [
      'in windows that overlap',
      sumBy(['level'], { ...everything, rangeMs: 3 * MINUTE }),
      { '{"level":"error"}': [50, 100, 150, 150], '{"level":"info"}': [150, 300, 450, 450] },
    ],
    [
      'of an expression',
      { ...sumBy(['level'], sumBy(['level', 'detected_level'])), function: 'max' } as MetricExpr,
      { '{"level":"error"}': [50, 50, 50, 50], '{"level":"info"}': [150, 150, 150, 150] },
    ],
  ]
  for (const [name, expr, expected] of cases) {
    it(`${name}, and no block is opened`, async () => {
      const world = await sealedWorld()
      const answer = must(await readMetric(world.env, askingOf(world), expr, minutes(4)))
      const points = Object.fromEntries(
        Object.entries(expected).map(([key, values]) => [
          key,
          values.map((value: number, at: number) => [at, value]),
        ]),
      )
      expect(valuesOf(answer.series)).toEqual(points)
      expect([answer.kind, answer.warnings, answer.stats.blocks.opened]).toEqual(['vector', [], 0])
      expect(answer.stats.blocks.considered).toBe(2)
    })
  }

  it('not those that a step cuts, and the numbers are the same', async () => {
    const world = await sealedWorld()
    const start = { ms: START_MS + MINUTE + 30_000, ns: 0 }
    const steps = { start, stepMs: MINUTE, count: 2 }
    const answer = must(await readMetric(world.env, askingOf(world), sumBy([]), steps))
    expect(valuesOf(answer.series)).toEqual({
      '{}': [
        [0, 200],
        [1, 200],
      ],
    })
    expect(answer.stats.blocks.opened).toBe(2)
  })

  it('not from a nanosecond behind a minute', async () => {
    const world = await sealedWorld()
    const steps = { ...minutes(2), start: { ms: START_MS + MINUTE, ns: 1 } }
    const answer = must(await readMetric(world.env, askingOf(world), sumBy([]), steps))
    // The first record of each minute is in the window before.
    expect(valuesOf(answer.series)).toEqual({
      '{}': [
        [0, 200],
        [1, 200],
      ],
    })
    expect(answer.stats.blocks.opened).toBe(2)
  })
})

describe('what can not be read', () => {
  it('of a shard is no answer', async () => {
    const world = worldOf(2)
    for (const shard of world.shards) await store(shard, [specs(40)], 'segments')
    world.told.set(1, () => async () => err('unavailable', 'gone'))
    const found = await readMetric(world.env, askingOf(world), sumBy([]), minutes(4))
    expect(found).toMatchObject({ ok: false, error: { code: 'unavailable' } })
  })

  it('of an archive is a warning', async () => {
    const world = worldOf(1)
    await store(world.shards[0]!, [specs(40), specs(60)], 'cold')
    const [key] = world.archive.objects.keys()
    world.archive.objects.delete(key!)
    const expr = sumBy([], { ...everything, function: 'bytes_over_time', rangeMs: 4 * MINUTE })
    const answer = must(await readMetric(world.env, askingOf(world), expr, minutes(1, 4)))
    const bytes = specs(60).reduce((sum, { message }) => sum + message!.length, 0)
    expect(valuesOf(answer.series)).toEqual({ '{}': [[0, bytes]] })
    expect(answer.warnings).toHaveLength(1)
    expect(answer.warnings[0]).toMatch(/shard 0/)
  })

  it('within the budget is no answer', async () => {
    const world = worldOf(1)
    const rows = [0, 1, 2, 3].map((i) => specs(400).slice(i * 100, i * 100 + 100))
    await store(world.shards[0]!, rows, 'segments')
    const options = { budget: { ...QUERY_BUDGET, blocks: 2 } }
    const found = await readMetric(world.env, askingOf(world, options), sumBy([]), minutes(4))
    expect(found).toMatchObject({ ok: false, error: { code: 'bad_query' } })
  })
})

describe('bounds', () => {
  const refused = async (expr: MetricExpr, steps: Steps, text: RegExp) => {
    const world = worldOf(1)
    await store(world.shards[0]!, [specs(1200)], 'segments')
    const found = await readMetric(world.env, askingOf(world), expr, steps)
    expect(found).toMatchObject({ ok: false, error: { code: 'bad_query' } })
    expect(!found.ok && found.error.message).toMatch(text)
  }
  const byTook: RangeAggregation = {
    ...everything,
    function: 'count_over_time',
    rangeMs: 4 * MINUTE,
  }

  it('of steps', () =>
    refused(sumBy([]), minutes(11_001), /^exceeded maximum resolution of 11,000/))

  it('of series in an answer', async () => {
    const world = worldOf(1)
    const many = specs(1200).map((spec, i) => ({ ...spec, text: { service: `s${i % 501}` } }))
    await store(world.shards[0]!, [many], 'segments')
    const ask = (count: MetricExpr) => readMetric(world.env, askingOf(world), count, minutes(1, 4))
    const found = await ask(sumBy(['service_name'], byTook))
    expect(found).toMatchObject({ ok: false, error: { code: 'bad_query' } })
    expect(!found.ok && found.error.message).toMatch(/maximum number of series \(500\)/)
    const topk = { ...sumBy([], sumBy(['service_name'], byTook)), function: 'topk', parameter: 3 }
    expect(must(await ask(topk as MetricExpr)).series).toHaveLength(3)
  })

  it('of a number where series are wanted', () =>
    refused(sumBy([], { kind: 'number', value: 1 }), minutes(1), /sum takes series/))

  it('of a range shorter than a millisecond', () =>
    refused(sumBy([], { ...everything, rangeMs: 0.5 }), minutes(1), /whole milliseconds/))
})

describe('a number', () => {
  it('is a scalar at every step, and nothing is read', async () => {
    const world = worldOf(1)
    const expr: MetricExpr = {
      kind: 'binary',
      op: '/',
      left: { kind: 'number', value: 1 },
      right: { kind: 'number', value: 4 },
      isBool: false,
      matching: null,
      group: null,
    }
    const answer = must(await readMetric(world.env, askingOf(world), expr, minutes(2)))
    expect([answer.kind, valuesOf(answer.series)]).toEqual([
      'scalar',
      {
        '{}': [
          [0, 0.25],
          [1, 0.25],
        ],
      },
    ])
    expect(world.asked).toEqual([])
  })
})

describe('a workspace', () => {
  it('sees its own records only', async () => {
    const world = worldOf(1)
    const own = specs(40).map((spec, i) => ({
      ...spec,
      text: { ...spec.text, workspace_id: i % 4 === 0 ? 'mine' : 'theirs' },
    }))
    await store(world.shards[0]!, [own], 'hot')
    const asking = { ...askingOf(world), workspaceId: 'mine' }
    const answer = must(await readMetric(world.env, asking, sumBy(['workspace_id']), minutes(4)))
    expect(valuesOf(answer.series)).toEqual({
      '{"workspace_id":"mine"}': [0, 1, 2, 3].map((at) => [at, 2.5 * (at % 2 === 0 ? 1.2 : 0.8)]),
    })
  })
})

describe('random queries', () => {
  it(`say what a plain loop says, ${ROUNDS} from seed ${SEED}`, async () => {
    let answers = 0
    let fromCatalogs = 0
    for (let round = 0; round < ROUNDS; round++) {
      const random = randomFrom(randomOf(SEED * 3_000_017 + round))
      const { world, records } = await randomWorld(random)
      for (let i = 0; i < 4; i++) {
        const steps = randomSteps(random)
        // Whole minutes, now and then, by what a catalog knows.
        const isEven = random.below(2) === 0
        if (isEven) steps.start = { ms: START_MS + MINUTE * random.below(6), ns: 0 }
        const isCounted = isEven && random.below(2) === 0
        if (isCounted) steps.stepMs = MINUTE
        const expr = isCounted ? sumBy(random.pick(COUNTED)) : randomExpr(random, steps)
        const where = `round ${round}: ${JSON.stringify({ expr, steps })}`
        const found = await readMetric(world.env, askingOf(world), expr, steps)
        const plain = plainAnswer(records, expr, steps)
        expect(found.ok, `${where}: ${JSON.stringify(found).slice(0, 300)}`).toBe(plain !== null)
        if (!found.ok || !plain) continue
        answers++
        if (found.data.stats.blocks.opened < world.shards.flatMap(({ rows }) => rows).length) {
          fromCatalogs++
        }
        expectNear(found.data.series, plain, where)
      }
    }
    expect(answers).toBeGreaterThan(2 * ROUNDS)
    expect(fromCatalogs).toBeGreaterThan(ROUNDS / 2)
  }, 300_000)
})

const COUNTED = [[], ['level'], ['service_name'], ['level', 'detected_level'], ['environment']]

async function randomWorld(random: ReturnType<typeof randomFrom>) {
  const world = worldOf(1 + random.below(3))
  const records: PlainRecord[] = []
  for (const [i, shard] of world.shards.entries()) {
    shard.isReal = true
    for (let row = 0; row <= random.below(3); row++) {
      const specs = Array.from({ length: 1 + random.below(60) }, () => randomSpec(random))
      for (const [k, spec] of specs.entries()) {
        records.push(plainRecord(spec, i * 1e6 + shard.maxSeq + 1 + k))
      }
      await store(shard, [specs], random.pick(['segments', 'hot', 'cold'] as const))
    }
  }
  return { world, records }
}

function plainAnswer(records: PlainRecord[], expr: MetricExpr, { start, stepMs, count }: Steps) {
  const steps = {
    start: BigInt(start.ms) * 1_000_000n + BigInt(start.ns),
    step: BigInt(stepMs) * 1_000_000n,
    count,
  }
  try {
    const all: Map<string, number>[] = []
    for (let step = 0; step < count; step++) {
      const found = plainAt(records, expr, steps, step)
      const series = typeof found === 'number' ? [{ labels: {}, value: found }] : found
      all.push(new Map(series.map(({ labels, value }) => [keyOf(labels), value])))
      if (all[step]!.size < series.length) return null
    }
    return all
  } catch (e) {
    if (e instanceof PlainError) return null
    throw e
  }
}

function expectNear(
  series: { labels: Record<string, string>; points: { at: number; value: number }[] }[],
  plain: Map<string, number>[],
  where: string,
) {
  const points = series.flatMap(({ labels, points }) =>
    points.map(({ at, value }) => ({ name: `${at} ${keyOf(labels)}`, value })),
  )
  const expected = new Map(
    plain.flatMap((values, at) => [...values].map(([key, value]) => [`${at} ${key}`, value])),
  )
  expect(points.map(({ name }) => name).sort(), where).toEqual([...expected.keys()].sort())
  for (const { name, value } of points) {
    const other = expected.get(name)!
    const isSame =
      Object.is(value, other) || Math.abs(value - other) <= 1e-9 * Math.max(1, Math.abs(other))
    expect(isSame || value === other, `${where} ${name}: ${value}, not ${other}`).toBe(true)
  }
}
