// Metric queries against a plain loop: random expressions over random records, as segments and as
// blocks of which only the needed columns are read. SEED=7 ROUNDS=20000 for more.

import { describe, expect, it } from 'vitest'
import { encodeBlock, openBlock } from '../../src/block/parquet.ts'
import { choosePatterns } from '../../src/block/pattern.ts'
import { decodeSegment, encodeSegment } from '../../src/block/segment.ts'
import { storedSegment } from '../../src/block/stored.ts'
import { formatLogql } from '../../src/logql/format.ts'
import { parseLogql } from '../../src/logql/parse.ts'
import type { MetricExpr } from '../../src/logql/syntax.ts'
import type { AnswerSeries } from '../../src/logql/vector.ts'
import type { Steps } from '../../src/logql/windows.ts'
import { batchOf, randomOf } from '../batches.ts'
import { type Random, randomFrom } from '../query/random-filter.ts'
import { keyOf, type Plain, PlainError, type PlainRecord, plainAt } from './metric-oracle.ts'
import { plainRecord, randomExpr, randomRange, randomSpec, randomSteps } from './metric-random.ts'
import { type Part, runMetric } from './metric-run.ts'

const SEED = Number(process.env.SEED ?? 1)
const ROUNDS = Number(process.env.ROUNDS ?? 800)

interface Stored {
  parts: Part[]
  records: PlainRecord[]
}

async function randomStored(random: Random): Promise<Stored> {
  const { below } = random
  const parts: Part[] = []
  const records: PlainRecord[] = []
  for (let i = 0; i <= below(3); i++) {
    const shard = below(2)
    const specs = Array.from({ length: 1 + below(80) }, () => randomSpec(random))
    const firstSeq = 1 + 100 * i
    const stored = storedSegment(decodeSegment(encodeSegment(batchOf(specs))), firstSeq, 5)
    specs.forEach((spec, row) => {
      records.push(plainRecord(spec, shard * 1e6 + firstSeq + row))
    })
    if (below(2) === 0) {
      parts.push({ stored, file: null, shard })
      continue
    }
    choosePatterns([stored])
    const file = openBlock(await encodeBlock([stored], shard, async () => {}))
    parts.push({ stored, file, shard })
  }
  return { parts, records }
}

const plainSteps = ({ start, stepMs, count }: Steps) => ({
  start: BigInt(start.ms) * 1_000_000n + BigInt(start.ns),
  step: BigInt(stepMs) * 1_000_000n,
  count,
})

/** What the plain loop says at each step; null: the query fails. */
function plainAnswer(records: PlainRecord[], expr: MetricExpr, steps: Steps, named: string[] = []) {
  try {
    const all: Map<string, number>[] = []
    for (let step = 0; step < steps.count; step++) {
      const found: Plain = plainAt(records, expr, plainSteps(steps), step, named)
      const series = typeof found === 'number' ? [{ labels: {}, value: found }] : found
      const values = new Map(series.map(({ labels, value }) => [keyOf(labels), value]))
      if (values.size < series.length) return null
      all.push(values)
    }
    return all
  } catch (e) {
    if (e instanceof PlainError) return null
    throw e
  }
}

function byStep(series: AnswerSeries[], count: number): Map<string, number>[] {
  const all = Array.from({ length: count }, () => new Map<string, number>())
  for (const { labels, points } of series) {
    for (const { at, value } of points) all[at]!.set(keyOf(labels), value)
  }
  return all
}

/** Sums are rounded in another order. */
const isNear = (a: number, b: number) =>
  Object.is(a, b) || a === b || Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(a), Math.abs(b))

function expectSame(found: Map<string, number>[], plain: Map<string, number>[], where: string) {
  for (const [step, values] of plain.entries()) {
    const at = `${where} step ${step}`
    expect([...found[step]!.keys()].sort(), at).toEqual([...values.keys()].sort())
    for (const [key, value] of values) {
      const own = found[step]!.get(key)!
      expect(isNear(own, value), `${at} ${key}: ${own} instead of ${value}`).toBe(true)
    }
  }
}

describe('a metric query says what a plain loop says', () => {
  it(`${ROUNDS} queries from seed ${SEED}`, async () => {
    const seen = { answers: 0, values: 0, failures: 0, parsed: 0 }
    for (let round = 0; round < ROUNDS; round++) {
      const random = randomFrom(randomOf(SEED * 1_000_003 + round))
      const { parts, records } = await randomStored(random)
      const steps = randomSteps(random)
      const written = randomExpr(random, steps)
      const parsed = parseLogql(formatLogql(written))
      // The parser refuses what Loki does, such as an aggregation of a number.
      const isParsed = parsed.ok && parsed.data.kind !== 'log'
      if (isParsed) seen.parsed++
      const expr = isParsed ? (parsed.data as MetricExpr) : written
      const where = `round ${round}: ${JSON.stringify({ expr, steps })}`
      const plain = plainAnswer(records, written, steps)
      const found = runMetric(parts, expr, steps, { pieceMax: random.pick([1, 7, 1000]) })
      if (plain === null) {
        expect(found, where).toMatchObject({ ok: false, error: { code: 'bad_query' } })
        seen.failures++
        continue
      }
      if (!found.ok) throw new Error(`${where}: ${found.error.message}`)
      expectSame(byStep(found.data.series, steps.count), plain, where)
      seen.answers++
      for (const values of plain) seen.values += values.size
    }
    // The queries find something, and are not only those that can not.
    expect(seen.answers).toBeGreaterThan(ROUNDS * 0.6)
    expect(seen.values).toBeGreaterThan(ROUNDS * 2)
    expect(seen.failures).toBeGreaterThan(0)
    expect(seen.parsed).toBeGreaterThan(ROUNDS * 0.6)
  }, 300_000)

  it(`topk and bottomk of a random range, ${ROUNDS / 10} queries`, async () => {
    for (let round = 0; round < ROUNDS / 10; round++) {
      const random = randomFrom(randomOf(SEED * 7_000_003 + round))
      const { parts, records } = await randomStored(random)
      const steps = randomSteps(random)
      const of = randomRange(random, steps)
      const name = random.pick(['topk', 'bottomk'] as const)
      const parameter = 1 + random.below(4)
      const grouping = { isWithout: false, labels: random.pick([[], ['level'], ['user']]) }
      const expr = { kind: 'aggregation', function: name, parameter, of, grouping } as const
      const where = `round ${round}: ${JSON.stringify({ expr, steps })}`
      const plain = plainAnswer(records, of, steps, grouping.labels)
      const found = runMetric(parts, expr, steps)
      expect(found.ok, where).toBe(plain !== null)
      if (!found.ok || plain === null) continue
      for (const [step, values] of byStep(found.data.series, steps.count).entries()) {
        const best = bestOf(plain[step]!, grouping.labels, parameter, name === 'topk' ? -1 : 1)
        const own = bestOf(values, grouping.labels, parameter, name === 'topk' ? -1 : 1)
        expect(values.size, where).toBe(best.length)
        for (const [i, value] of best.entries()) expect(isNear(own[i]!, value), where).toBe(true)
        for (const [key, value] of values) {
          expect(isNear(value, plain[step]!.get(key)!), where).toBe(true)
        }
      }
    }
  }, 300_000)
})

/** The values that are chosen, in order of their groups. */
function bestOf(values: Map<string, number>, by: string[], count: number, sign: number): number[] {
  const groups = new Map<string, number[]>()
  for (const [key, value] of values) {
    const group = JSON.stringify(JSON.parse(key).filter(([name]: [string]) => by.includes(name)))
    groups.set(group, [...(groups.get(group) ?? []), value])
  }
  return [...groups]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([, own]) => own.sort((a, b) => (a - b) * sign).slice(0, count))
}
