// What counts against plain loops over records as people see them: random batches as segments and as
// blocks of which only the needed columns are read, some rows of each. SEED=7 ROUNDS=2000 for more.

import { describe, expect, it } from 'vitest'
import { typeOf } from '../../src/block/detail.ts'
import { encodeBlock, openBlock, readGroup } from '../../src/block/parquet.ts'
import { choosePatterns, patternId, patternOf } from '../../src/block/pattern.ts'
import { decodeSegment, encodeSegment } from '../../src/block/segment.ts'
import { type StoredBatch, storedSegment } from '../../src/block/stored.ts'
import { AggregateCounter } from '../../src/count/aggregate.ts'
import {
  type Counter,
  Counting,
  FacetsCounter,
  HistogramCounter,
} from '../../src/count/counting.ts'
import { FieldsCounter } from '../../src/count/counting-fields.ts'
import { PatternsCounter } from '../../src/count/counting-patterns.ts'
import { type RecordView, recordView } from '../../src/match/view.ts'
import { type AggregateFunction, emptyCounted, type GroupField } from '../../src/query/ask.ts'
import { FIELD_COLUMNS } from '../../src/query/filter.ts'
import { parseFieldName, parseSearch } from '../../src/query/search.ts'
import { labelName } from '../../src/record.ts'
import { randomOf } from '../batches.ts'
import { matches, valuesOf } from '../match/naive.ts'
import { KEYS, randomBatch } from '../match/random-batch.ts'
import { type Random, randomFrom } from '../query/random-filter.ts'

const SEED = Number(process.env.SEED ?? 1)
const ROUNDS = Number(process.env.ROUNDS ?? 100)
const SHARD = 3

/** A batch of some rows, and the same rows as people see them. */
interface Part {
  stored: StoredBatch
  bytes: Uint8Array | null
  rows: number[]
  views: RecordView[]
}

async function randomPart(random: Random, firstSeq: number): Promise<Part> {
  const { below } = random
  const batch = decodeSegment(encodeSegment(randomBatch(random)))
  for (let row = 0; row < batch.length; row++) batch.timeNs[row] = below(2) * 7
  let stored = storedSegment(batch, firstSeq, 5)
  let bytes: Uint8Array | null = null
  if (below(2) === 0) {
    choosePatterns([stored])
    const keeps = below(3) > 0
    if (!keeps) stored.patterns = stored.patterns!.map((one) => (below(3) === 0 ? null : one))
    bytes = await encodeBlock([stored], SHARD, async () => {})
    stored = readGroup(openBlock(bytes), 0, 'all')
  }
  const rows = [...stored.seqs.keys()].filter(() => below(4) > 0)
  const views = rows.map((row) => recordView(stored.batch, row, SHARD, stored.seqs[row]!))
  return { stored, bytes, rows, views }
}

/** Counts the parts, each with the columns that the counter needs and no others. */
function run(counter: Counter, parts: Part[]): void {
  const sink = new Counting(counter)
  for (const { stored, bytes, rows } of parts) {
    const batch = bytes ? readGroup(openBlock(bytes), 0, sink.needed) : stored
    expect(sink.wanted(batch, rows, SHARD)).toEqual([])
  }
}

const partsOf = async (random: Random): Promise<Part[]> => {
  const parts: Part[] = []
  for (let i = 0; i <= random.below(3); i++) parts.push(await randomPart(random, 1 + i * 100))
  return parts
}

function randomField({ below, pick }: Random): GroupField {
  const names = [...KEYS, 'user.address.city.name', 'user.city', 'name', 'none', 'a', 'city']
  return pick<() => GroupField>([
    () => ({ in: 'level' }),
    () => ({ in: 'pattern' }),
    () => ({ in: 'column', name: pick(FIELD_COLUMNS) }),
    () => ({ in: 'column', name: 'service' }),
    () => ({ in: below(2) === 0 ? 'bare' : 'attr', name: pick(names) }),
    () => ({ in: 'attr', name: pick(names) }),
    () => ({ in: pick(['resource', 'scope', 'body'] as const), name: pick(names) }),
    () => ({ in: 'label', name: labelName(pick(names)) }),
  ])()
}

const flat = (value: unknown): unknown[] =>
  Array.isArray(value) && value.length > 0 ? value.flatMap(flat) : [value]

const patternIn = (view: RecordView): string | null =>
  view.metadata.body === undefined ? patternOf(view.message) : null

/** The values under which a record is counted. */
function plainValues(field: GroupField, view: RecordView): unknown[] {
  if (field.in === 'level') return [view.level]
  if (field.in !== 'pattern') return valuesOf(field, view).flatMap(flat)
  const pattern = patternIn(view)
  return pattern === null ? [] : [patternId(pattern)]
}

const textOf = (value: unknown) =>
  typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value)

const textsOf = (field: GroupField, view: RecordView): string[] => [
  ...new Set(plainValues(field, view).map(textOf)),
]

const byName = (a: [string | null, number], b: [string | null, number]) =>
  JSON.stringify(a[0]) < JSON.stringify(b[0]) ? -1 : 1

/** How often each is there, as [name, count] in order of name. */
function tally(names: (string | null)[]): [string | null, number][] {
  const counts = new Map<string | null, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return [...counts].sort(byName)
}

const valuesWithNull = (field: GroupField, view: RecordView): (string | null)[] => {
  const texts = textsOf(field, view)
  return texts.length > 0 ? texts : [null]
}

const rounds = (name: string, round: (random: Random, where: string) => Promise<void>) =>
  it(`${name}, ${ROUNDS} rounds from seed ${SEED}`, async () => {
    for (let i = 0; i < ROUNDS; i++) {
      await round(randomFrom(randomOf(SEED * 1_000_003 + i)), `round ${i}`)
    }
  })

describe('counts are those of plain loops:', () => {
  rounds('a histogram', async (random, where) => {
    const parts = await partsOf(random)
    const views = parts.flatMap(({ views }) => views)
    const by = random.below(4) === 0 ? null : randomField(random)
    const buckets = { startMs: 1000, stepMs: 1 + random.below(6), count: 1 + random.below(12) }
    const counter = new HistogramCounter({ kind: 'histogram', buckets, by })
    run(counter, parts)
    const view = counter.view(1000)
    for (const [i, { time, count, values }] of view.buckets.entries()) {
      expect(time).toBe(1000 + i * buckets.stepMs)
      const inside = views.filter(
        ({ timestamp }) => timestamp >= time && timestamp < time + buckets.stepMs,
      )
      expect(count, where).toBe(inside.length)
      if (!by) continue
      const names = inside.flatMap((one) => valuesWithNull(by, one).map((value) => value ?? ''))
      expect(tallyOf(values!), `${where} ${JSON.stringify(by)}`).toEqual(tally(names))
    }
    const end = 1000 + buckets.count * buckets.stepMs
    const all = views.filter(({ timestamp }) => timestamp < end)
    expect(view.total).toBe(all.length)
    if (by) {
      const expected = tally(all.flatMap((one) => valuesWithNull(by, one)))
      expect(sorted(view.values!), where).toEqual(expected)
    }
  })

  rounds('facets', async (random, where) => {
    const parts = await partsOf(random)
    const views = parts.flatMap(({ views }) => views)
    const fields = Array.from({ length: 1 + random.below(4) }, () => randomField(random))
    const counter = new FacetsCounter({ kind: 'facets', fields })
    run(counter, parts)
    const limit = random.below(2) === 0 ? 1000 : 2
    const shown = counter.view(fields.map(String), limit)
    expect(counter.records).toBe(views.length)
    for (const [i, field] of fields.entries()) {
      const facet = shown[i]!
      const at = `${where} ${JSON.stringify(field)}`
      const expected = tally(views.flatMap((view) => textsOf(field, view)))
      const counts = expected.map(([, count]) => count).sort((a, b) => b - a)
      expect(
        facet.values.map(({ count }) => count),
        at,
      ).toEqual(counts.slice(0, limit))
      if (limit === 1000) expect(sorted(facet.values), at).toEqual(expected)
      expect(facet.distinct, at).toBe(expected.length)
      expect(facet.missing, at).toBe(
        views.filter((view) => textsOf(field, view).length === 0).length,
      )
      const others = counts.slice(limit).reduce((sum, count) => sum + count, 0)
      expect(facet.other, at).toBe(others)
    }
  })

  rounds('a value of a facet finds as many records', async (random, where) => {
    const parts = await partsOf(random)
    const views = parts.flatMap(({ views }) => views)
    const field = randomField(random)
    if (field.in === 'level' || field.in === 'pattern') return
    const counter = new FacetsCounter({ kind: 'facets', fields: [field] })
    run(counter, parts)
    for (const { value, count } of counter.view([''], 1000)[0]!.values) {
      const test = { is: 'equal', value } as const
      const found = views.filter((view) => matches({ kind: 'field', field, test }, view)).length
      // An array as a whole is equal to its JSON, too.
      const isAlone = !views.some((view) => JSON.stringify(view).includes('['))
      if (isAlone) expect(found, `${where} ${value}`).toBe(count)
      else expect(found, `${where} ${value}`).toBeGreaterThanOrEqual(count)
    }
  })

  rounds('fields', async (random, where) => {
    const parts = await partsOf(random)
    const views = parts.flatMap(({ views }) => views)
    const counter = new FieldsCounter()
    run(counter, parts)
    const fields = counter.view(10_000)
    const names: string[] = []
    const types = new Map<string, Set<string>>()
    for (const view of views) {
      names.push('column level')
      for (const name of FIELD_COLUMNS) {
        if (view[name] !== null && view[name] !== 0) names.push(`column ${name}`)
      }
      for (const [key, value] of Object.entries(view.metadata.attributes ?? {})) {
        names.push(`attr ${key}`)
        types.set(key, (types.get(key) ?? new Set()).add(typeOf(value)))
      }
    }
    const read = fields.map(({ name, scope, count }) => {
      if (name === 'level') return { value: 'column level', count }
      const field = parseFieldName(name)
      if (!field.ok || !('name' in field.data)) throw new Error(`${where} ${name}`)
      expect(scope, name).toBe(field.data.in === 'column' ? 'column' : 'attr')
      return { value: `${scope} ${field.data.name}`, count }
    })
    expect(sorted(read), where).toEqual(tally(names))
    expect(fields.every(({ is_exact }) => is_exact)).toBe(true)
    for (const { name, scope, types: shown } of fields) {
      const field = parseFieldName(name)
      if (scope === 'column' || !field.ok || !('name' in field.data)) continue
      // A double that happens to be whole is one where it has a column.
      const plain = (type: string) => (type === 'num' ? 'int' : type)
      const known = [...types.get(field.data.name)!].map(plain)
      expect(new Set(shown.map(plain)), where).toEqual(new Set(known))
    }
  })

  rounds('patterns', async (random, where) => {
    const parts = await partsOf(random)
    const views = parts.flatMap(({ views }) => views)
    const buckets = { startMs: 1000, stepMs: 5, count: 4 }
    const counter = new PatternsCounter(buckets)
    run(counter, parts)
    const shown = counter.view(1000, null)
    const patterns = views.map(patternIn)
    const expected = tally(patterns.filter((pattern) => pattern !== null))
    expect(sorted(shown.map(({ pattern, count }) => ({ value: pattern, count }))), where).toEqual(
      expected,
    )
    expect(counter.unpatterned, where).toBe(patterns.filter((one) => one === null).length)
    for (const one of shown) {
      const own = views.filter((view) => patternIn(view) === one.pattern)
      expect(one.id).toBe(patternId(one.pattern!))
      const search = parseSearch(`pattern:${one.id}`)
      expect(views.filter((view) => search.ok && matches(search.data, view))).toEqual(own)
      expect(tallyOf(one.levels), where).toEqual(tally(own.map(({ level }) => level)))
      expect(tallyOf(one.services), where).toEqual(tally(own.map((view) => view.service ?? '')))
      const histogram = [0, 0, 0, 0]
      for (const { timestamp } of own) histogram[Math.floor((timestamp - 1000) / 5)]!++
      expect(one.histogram, where).toEqual(histogram)
      const times = own.map((view) => Number(view.time_unix_nano) / 1e6)
      expect(one.first_seen, where).toBe(Math.floor(Math.min(...times)))
      expect(one.last_seen, where).toBe(Math.ceil(Math.max(...times)))
      const sample = own.find(({ id }) => id === one.sample_id)!
      expect(Math.ceil(Number(sample.time_unix_nano) / 1e6), where).toBe(one.last_seen)
    }
  })

  rounds('numbers by group', async (random, where) => {
    const { below, pick } = random
    const parts = await partsOf(random)
    const views = parts.flatMap(({ views }) => views)
    const value = below(4) === 0 ? null : pick([randomField(random), NUMBER])
    const by = Array.from({ length: below(3) }, (_, i) => ({
      name: `f${i}`,
      field: randomField(random),
    }))
    const buckets = below(2) === 0 ? null : { startMs: 1000, stepMs: 7, count: 3 }
    const functions = value ? FUNCTIONS : FUNCTIONS.slice(0, 1)
    const counter = new AggregateCounter({ value, by, functions, buckets })
    run(counter, parts)
    const expected = new Map<string, { count: number; points: Map<number, number[]> }>()
    let without = 0
    for (const view of views) {
      const numbers = value ? plainValues(value, view).map(numberOf) : [0]
      const finite = numbers.filter((number) => Number.isFinite(number))
      if (finite.length === 0) without++
      let groups: (string | null)[][] = [[]]
      for (const { field } of by) {
        groups = groups.flatMap((one) => valuesWithNull(field, view).map((next) => [...one, next]))
      }
      const place = buckets ? Math.floor((view.timestamp - 1000) / 7) : 0
      for (const group of finite.length > 0 ? groups : []) {
        const key = JSON.stringify(group)
        const known = expected.get(key) ?? { count: 0, points: new Map<number, number[]>() }
        expected.set(key, known)
        known.count += finite.length
        known.points.set(place, [...(known.points.get(place) ?? []), ...finite])
      }
    }
    expect(counter.records).toBe(views.length)
    if (value) expect(counter.withoutValue, where).toBe(without)
    const shown = counter.view(10_000)
    expect(shown.length, where).toBe(expected.size)
    for (const group of shown) {
      const known = expected.get(JSON.stringify(by.map(({ name }) => group.by[name])))!
      expect(group.count, where).toBe(known.count)
      const points: Record<string, unknown>[] = buckets ? group.points! : [group]
      expect(points.length).toBe(known.points.size)
      for (const point of points) {
        const place = buckets ? ((point.time as number) - 1000) / 7 : 0
        const numbers = known.points.get(place)!
        for (const { name } of functions) {
          expect(point[name], `${where} ${name}`).toBeCloseTo(plainly(name, numbers), 6)
        }
      }
    }
  })
})

const NUMBER: GroupField = { in: 'column', name: 'severity_number' }
const FUNCTIONS: AggregateFunction[] = [
  { name: 'count', is: 'count' },
  { name: 'sum', is: 'sum' },
  { name: 'avg', is: 'avg' },
  { name: 'min', is: 'min' },
  { name: 'max', is: 'max' },
  { name: 'p50', is: 'quantile', part: 0.5 },
  { name: 'p99', is: 'quantile', part: 0.99 },
]

function numberOf(value: unknown): number {
  if (typeof value === 'number') return value
  const isDecimal = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i
  return typeof value === 'string' && isDecimal.test(value) ? Number(value) : Number.NaN
}

function plainly(name: string, numbers: number[]): number {
  const sum = numbers.reduce((sum, number) => sum + number, 0)
  const sorted = [...numbers].sort((a, b) => a - b)
  const quantile = (part: number) => {
    const place = (sorted.length - 1) * part
    const [low, high] = [sorted[Math.floor(place)]!, sorted[Math.ceil(place)]!]
    return low * (1 - (place % 1)) + high * (place % 1)
  }
  const by: Record<string, number> = {
    count: numbers.length,
    sum,
    avg: sum / numbers.length,
    min: sorted[0]!,
    max: sorted.at(-1)!,
    p50: quantile(0.5),
    p99: quantile(0.99),
  }
  return by[name]!
}

const tallyOf = (counts: Record<string, number>) => Object.entries(counts).sort(byName)
const sorted = (values: { value: string | null; count: number }[]) =>
  values.map(({ value, count }): [string | null, number] => [value, count]).sort(byName)

describe('what catalogs counted is added', () => {
  it('to a histogram, facets, fields and patterns', () => {
    const histogram = new HistogramCounter({
      kind: 'histogram',
      buckets: { startMs: 0, stepMs: 10, count: 2 },
      by: { in: 'level' },
    })
    const groups = new Map([
      ['=info', [1, 2]],
      ['-', [0, 4]],
    ])
    histogram.absorb({ ...emptyCounted(), records: 7, groups })
    histogram.absorb({ ...emptyCounted(), records: 1, groups: new Map([['=info', [1]]]) })
    expect(histogram.view(1)).toEqual({
      buckets: [
        { time: 0, count: 2, values: { info: 2 }, other: 0 },
        { time: 10, count: 6, values: { info: 2 }, other: 4 },
      ],
      values: [{ value: 'info', count: 4 }],
      total: 8,
      is_complete: true,
    })
    const facets = new FacetsCounter({ kind: 'facets', fields: [{ in: 'level' }, NUMBER] })
    const counts = new Map([
      ['0 =info', [3]],
      ['1 =9', [1]],
      ['1 -', [2]],
    ])
    facets.absorb({ ...emptyCounted(), records: 3, groups: counts })
    expect(facets.view(['level', 'n'], 5).map(({ values, missing }) => [values, missing])).toEqual([
      [[{ value: 'info', count: 3, share: 1 }], 0],
      [[{ value: '9', count: 1, share: 0.333333 }], 2],
    ])
    const fields = new FieldsCounter()
    const keys = new Map([
      ['column ? trace_id', [3]],
      ['attr int a b', [1]],
      ['attr text a b', [1]],
    ])
    fields.absorb({ ...emptyCounted(), records: 4, groups: keys })
    const level = {
      name: 'level',
      scope: 'column',
      types: ['text'],
      count: 4,
      share: 1,
      is_exact: true,
    }
    expect(fields.view(5)).toEqual([
      level,
      {
        name: 'trace_id',
        scope: 'column',
        types: ['text'],
        count: 3,
        share: 0.75,
        is_exact: false,
      },
      {
        name: '"a b"',
        scope: 'attr',
        types: ['int', 'text'],
        count: 2,
        share: 0.5,
        is_exact: true,
      },
    ])
  })

  it('to patterns, whose sample is of the shard', () => {
    const counter = new PatternsCounter({ startMs: 0, stepMs: 10, count: 2 })
    const sum = {
      records: 2,
      levels: [0, 0, 2, 0, 0, 0],
      services: new Map([['api', 2]]),
      buckets: [2],
      firstMs: 1,
      lastMs: 5,
      text: null,
      sample: { shard: -1, seq: 9 },
    }
    const unkept = { ...sum, records: 3 }
    const patterns = new Map([
      ['aaaa', sum],
      ['', unkept],
    ])
    counter.absorb({ ...emptyCounted(), records: 5, patterns }, 7)
    counter.absorb(
      {
        ...emptyCounted(),
        records: 2,
        patterns: new Map([['aaaa', { ...sum, text: 'a <_>', buckets: [0, 2], lastMs: 4 }]]),
      },
      8,
    )
    expect([counter.records, counter.unpatterned, sum.records]).toEqual([7, 3, 2])
    expect(counter.view(5, null)).toEqual([
      {
        id: 'aaaa',
        pattern: 'a <_>',
        count: 4,
        share: 0.571429,
        levels: { info: 4 },
        services: { api: 4 },
        histogram: [2, 2],
        first_seen: 1,
        last_seen: 5,
        sample_id: '7-9',
      },
    ])
  })
})
