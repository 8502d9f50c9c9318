// Pruning and counting by the catalog against records one by one: random blocks, random trees, by seed.
// Some of the catalog is held back, as blocks of older versions lack it. SEED=7 ROUNDS=2000 for more.

import { describe, expect, it } from 'vitest'
import { decodeDetail } from '../../src/block/detail-wire.ts'
import { sliceOf } from '../../src/block/filter.ts'
import { openBlock, readGroup } from '../../src/block/parquet.ts'
import { patternId, patternOf } from '../../src/block/pattern.ts'
import { sealBlocks } from '../../src/block/seal.ts'
import type { SealedBlock } from '../../src/block/sealed.ts'
import { keepRows, type StoredBatch, storedSegment } from '../../src/block/stored.ts'
import { type RecordView, recordView } from '../../src/match/view.ts'
import { countByCatalog, recordsByCatalog } from '../../src/prune/catalog-count.ts'
import type { PruneSource } from '../../src/prune/facts.ts'
import { preparePrune, prune } from '../../src/prune/prune.ts'
import {
  type Ask,
  type Buckets,
  type Counted,
  facetKey,
  fieldKey,
  type GroupField,
  valueKey,
} from '../../src/query/ask.ts'
import {
  EVERYTHING,
  FIELD_COLUMNS,
  type Field,
  type Filter,
  fieldIs,
  levelIn,
  normalFilter,
  type TextTest,
  textIs,
  type ValueTest,
} from '../../src/query/filter.ts'
import type { RecordFilter } from '../../src/query/parameters.ts'
import { LEVELS, type RecordBatch, TEXT_COLUMNS } from '../../src/record.ts'
import { randomOf } from '../batches.ts'
import { matches, valuesOf } from '../match/naive.ts'
import {
  JSONS,
  KEYS,
  LABELS,
  MESSAGES,
  PARTS,
  randomBatch,
  SCALARS,
  TEXTS,
} from '../match/random-batch.ts'
import { olderDetail } from '../prune/catalog-of.ts'
import { type Random, randomFrom } from '../query/random-filter.ts'

const SEED = Number(process.env.SEED ?? 1)
const ROUNDS = Number(process.env.ROUNDS ?? 120)
const FILTERS = 40
const MINUTE_MS = 60_000
const START_MS = 1_720_000_020_000
const noPause = async () => {}

/** Records over a few minutes, some of whose columns have one value or as many as there are records. */
function randomRecords(random: Random): RecordBatch {
  const { below, pick } = random
  const batch = randomBatch(random)
  const minutes = 1 + below(3)
  const service = pick([null, null, pick(TEXTS)])
  const isFlat = below(3) === 0
  const level = below(6)
  const message = pick(MESSAGES)
  for (let row = 0; row < batch.length; row++) {
    batch.timeMs[row] = START_MS + below(minutes) * MINUTE_MS + pick([0, 1, below(MINUTE_MS)])
    batch.timeNs[row] = pick([0, 0, 1, 999_999])
    if (service !== null) batch.text.service[row] = service
    batch.text.environment[row] = pick(['production', 'staging'])
    batch.text.span_id[row] = below(3) === 0 ? null : `${below(1000)}`
    if (isFlat) batch.level[row] = level
    if (isFlat && batch.body[row] === null) batch.message[row] = message
  }
  return batch
}

/** One over the bounds of the catalog's lists. */
function largeRecords(random: Random): RecordBatch {
  const parts = Array.from({ length: 12 }, () => randomRecords(random))
  const batch = parts.find(({ length }) => length > 20) ?? parts[0]!
  const letters = 'abcdefghijklmnopqrstuvwxyz'
  const rest = Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`k${i}`, i]))
  batch.attributesRest[0] = JSON.stringify(rest)
  const all = storedSegment(batch, 1, START_MS)
  // A row taken often is many records.
  const rows = Array.from({ length: 420 }, (_, i) => i % batch.length)
  const { batch: many } = keepRows(all, rows)
  for (let row = 0; row < many.length; row++) {
    if (many.body[row] !== null || random.below(4) === 0) continue
    const [a, b] = [letters[row % 26], letters[(row / 26) | 0]]
    many.message[row] = `timeout z${a}z${b}`
    many.text.trace_id[row] = `${row}`
  }
  return { ...many, attributes: [] }
}

async function randomBlocks(random: Random): Promise<SealedBlock[]> {
  const batch = random.below(30) === 0 ? largeRecords(random) : randomRecords(random)
  const all = storedSegment(batch, 1, START_MS)
  const side = allRows(all).map(() => random.below(2))
  const parts = [1, 0].map((one) =>
    keepRows(
      all,
      allRows(all).filter((row) => side[row] === one),
    ),
  )
  const blocks = await sealBlocks(parts, 0, noPause)
  if (random.below(3) > 0) return blocks
  // As a later job makes them again of some of their records.
  const kept = blocks.flatMap(({ bytes }) =>
    groupsOf(bytes).map((stored) =>
      keepRows(
        stored,
        allRows(stored).filter(() => random.below(3) > 0),
      ),
    ),
  )
  return sealBlocks(kept, 0, noPause)
}

const allRows = ({ batch }: StoredBatch) => Array.from({ length: batch.length }, (_, row) => row)

function groupsOf(bytes: Uint8Array): StoredBatch[] {
  const file = openBlock(bytes)
  return file.groups.map((_, group) => readGroup(file, group, 'all'))
}

/** A record as people see it, and the pattern that its block has of it. */
interface Known {
  view: RecordView
  seq: number
  kept: string | null
}

const knownOf = (bytes: Uint8Array): Known[] =>
  groupsOf(bytes).flatMap((stored) =>
    allRows(stored).map((row) => {
      const seq = stored.seqs[row]!
      const view = recordView(stored.batch, row, 0, seq)
      return { view, seq, kept: stored.patterns?.[row] ?? null }
    }),
  )

const NAMES = [...KEYS, 'user.address.city.name', 'user.city', 'name', 'attributes.code', 'none']
const PHRASES = [
  'timeout',
  'Connection reset',
  'reset connection',
  'été',
  '连接',
  'ab',
  '42',
  'took',
  'get api users',
  'x y',
  'STRASSE',
  'done',
  'cafe',
  'api',
  'zaza',
  'disconnection',
]
const GLOBS = [
  ['time', ''],
  ['', 'meou', ''],
  ['connection reset by', ''],
  ['', 'reset by', ''],
  ['', ' y'],
  ['/api/', ''],
  ['', '/users'],
  ['x ', ''],
  ['10.', '.1'],
  ['', '连', ''],
  ['reset', ' peer'],
  ['t', ''],
  ['2', ''],
  ['nothing of ', 'this'],
]
const REGEXES = [
  'time(out|s)',
  '^GET .* \\d+ ms$',
  'tion reset by peer',
  '(?i)TION RESET BY PEER',
  '(?i)a top b',
  '/api/users',
  '^x y$',
  '^\\d+$',
  'no such thing',
  '\\bab\\b',
]

function randomTest({ below, pick }: Random): ValueTest {
  const bound = () =>
    below(3) === 0 ? null : { value: pick([0, 1.5, 200, 503, 1000]), isInside: below(2) === 0 }
  const texts = [...TEXTS, ...SCALARS.map(String), ...JSONS.map((one) => JSON.stringify(one))]
  return pick<() => ValueTest>([
    () => ({ is: 'equal', value: pick(texts) }),
    () => ({ is: 'equal', value: pick([...TEXTS, 'production', '7', '8']) }),
    () => ({ is: 'glob', parts: pick(GLOBS) }),
    () => ({ is: 'regex', source: pick(REGEXES) }),
    () => ({ is: 'range', from: bound(), to: bound() }),
    () => ({ is: 'exists' }),
  ])()
}

const fieldOf = ({ below, pick }: Random): Field =>
  below(2) === 0
    ? { in: 'column', name: pick([...FIELD_COLUMNS, 'service', 'environment']) }
    : pick<() => Field>([
        () => ({
          in: pick(['attr', 'attr', 'bare', 'resource', 'scope', 'body']),
          name: pick(NAMES),
        }),
        () => ({ in: 'label', name: pick(LABELS) }),
      ])()

function randomLeaf(random: Random): Filter {
  const { below, pick } = random
  const textTest = () =>
    pick<() => TextTest>([
      () => ({ is: 'phrase', text: pick(PHRASES) }),
      () => ({ is: 'phrase', text: pick(PHRASES) }),
      () => ({ is: 'glob', parts: pick(GLOBS) }),
      () => ({ is: 'regex', source: pick(REGEXES) }),
      () => ({ is: 'contains', text: pick(PARTS) }),
    ])()
  return pick<() => Filter>([
    () => levelIn(below(64)),
    () => levelIn(1 << below(6)),
    () => textIs('message', textTest()),
    () => textIs('any', textTest()),
    () => fieldIs(fieldOf(random), randomTest(random)),
    () => fieldIs(fieldOf(random), randomTest(random)),
    () => ({ kind: 'pattern', id: patternId(patternOf(pick(MESSAGES)) ?? '') }),
  ])()
}

function randomTree(random: Random, depth: number): Filter {
  const { below, pick } = random
  if (depth === 0 || below(3) === 0) return below(8) === 0 ? EVERYTHING : randomLeaf(random)
  const of = () => Array.from({ length: 1 + below(3) }, () => randomTree(random, depth - 1))
  return pick<() => Filter>([
    () => ({ kind: 'and', of: of() }),
    () => ({ kind: 'or', of: of() }),
    () => ({ kind: 'not', of: randomTree(random, depth - 1) }),
  ])()
}

function randomFilter(random: Random): RecordFilter {
  const { below, pick } = random
  const tree = randomTree(random, below(4))
  const time = () => ({
    ms: START_MS + (below(4) - 1) * MINUTE_MS + pick([0, 0, 1, below(MINUTE_MS)]),
    ns: pick([0, 0, 1]),
  })
  return {
    filter: below(2) === 0 ? tree : normalFilter(tree),
    since: below(4) === 0 ? time() : null,
    until: below(4) === 0 ? time() : null,
  }
}

function randomAsk(random: Random): Ask {
  const { below, pick } = random
  const stepMs = pick([7000, 30_000, MINUTE_MS, 10 * MINUTE_MS])
  const startMs = START_MS - (START_MS % stepMs) + (below(3) - 1) * stepMs
  const buckets = { startMs, stepMs, count: 1 + below(20) }
  const group = () =>
    pick<() => GroupField>([
      () => ({ in: 'level' }),
      () => ({ in: 'pattern' }),
      () => ({ in: 'column', name: pick(['service', 'service', 'environment', 'version']) }),
      () => fieldOf(random),
    ])()
  return pick<() => Ask>([
    () => ({ kind: 'histogram', buckets, by: null }),
    () => ({ kind: 'histogram', buckets, by: group() }),
    () => ({ kind: 'facets', fields: Array.from({ length: 1 + below(2) }, group) }),
    () => ({ kind: 'fields' }),
    () => ({ kind: 'patterns', buckets }),
  ])()
}

function sourceOf(block: SealedBlock, random: Random): PruneSource {
  const texts = new Map(block.patterns.map(({ id, text }) => [id, text]))
  const lacks = random.below(3) === 0 ? random.below(5) : -1
  return {
    filterSlice: (filter, hash) => {
      const slices = block[filter]
      return slices.length > 0 && lacks !== 0 ? slices[sliceOf(hash, slices.length)]! : null
    },
    detail: () => {
      const detail = decodeDetail(block.detail)
      return lacks === 1 ? null : lacks === 2 ? olderDetail(detail) : detail
    },
    patternText: (id) => (lacks === 3 ? null : (texts.get(id) ?? null)),
  }
}

function isInTime({ since, until }: RecordFilter, { view }: Known): boolean {
  const time = BigInt(view.time_unix_nano)
  const nanoseconds = (at: { ms: number; ns: number }) => BigInt(at.ms) * 1_000_000n + BigInt(at.ns)
  return !(since && time < nanoseconds(since)) && !(until && time >= nanoseconds(until))
}

/** What the record is counted under; the catalog knows no field that has several values. */
function groupsIn(field: GroupField, { view }: Known): (string | null)[] {
  if (field.in === 'level') return [view.level]
  if (field.in === 'pattern') {
    const pattern = view.metadata.body === undefined ? patternOf(view.message) : null
    return [pattern === null ? null : patternId(pattern)]
  }
  const values = valuesOf(field, view)
  return values.length === 0 ? [null] : values.map(String)
}

function add(groups: Counted['groups'], key: string, at: number): void {
  const counts = groups.get(key) ?? []
  while (counts.length <= at) counts.push(0)
  counts[at]!++
  groups.set(key, counts)
}

const bucketOf = ({ startMs, stepMs, count }: Buckets, { view }: Known): number => {
  const at = Math.floor((view.timestamp - startMs) / stepMs)
  return at >= 0 && at < count ? at : -1
}

function typeOf(value: unknown) {
  if (typeof value === 'string') return 'text'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value !== 'number') return 'json'
  return Number.isSafeInteger(value) && !Object.is(value, -0) ? 'int' : 'num'
}

/** What is counted in groups, record by record. */
function counted(ask: Ask, records: Known[]): Counted {
  const found: Counted = { records: 0, groups: new Map(), patterns: new Map() }
  for (const record of records) {
    const { view } = record
    const at = ask.kind === 'histogram' ? bucketOf(ask.buckets, record) : 0
    if (at < 0) continue
    found.records++
    if (ask.kind === 'histogram') {
      const values = ask.by === null ? [null] : groupsIn(ask.by, record)
      for (const value of values) add(found.groups, valueKey(value), at)
    }
    if (ask.kind === 'facets') {
      for (const [i, field] of ask.fields.entries()) {
        for (const value of groupsIn(field, record)) add(found.groups, facetKey(i, value), 0)
      }
    }
    if (ask.kind === 'fields') {
      for (const name of [...TEXT_COLUMNS, 'severity_text'] as const) {
        if (view[name] !== null) add(found.groups, fieldKey('column', 'text', name), 0)
      }
      if (view.severity_number !== 0) {
        add(found.groups, fieldKey('column', 'int', 'severity_number'), 0)
      }
      for (const [key, value] of Object.entries(view.metadata.attributes ?? {})) {
        add(found.groups, fieldKey('attr', typeOf(value), key), 0)
      }
    }
  }
  return found
}

/** The same groups, but for columns of which the catalog counts all records. */
function expectGroups(got: Counted, expected: Counted, where: string): void {
  for (const [key, counts] of [...got.groups]) {
    const name = /^column \? (.*)$/.exec(key)?.[1]
    if (name === undefined) continue
    expect(counts, where).toEqual([got.records])
    got.groups.delete(key)
    for (const type of ['text', 'int'] as const) {
      expected.groups.delete(fieldKey('column', type, name))
    }
  }
  const sorted = ({ groups }: Counted) => [...groups].sort(([a], [b]) => (a < b ? -1 : 1))
  expect(sorted(got), where).toEqual(sorted(expected))
}

function expectPatterns(got: Counted, records: Known[], buckets: Buckets, where: string): void {
  const byId = Map.groupBy(records, ({ kept }) => (kept === null ? '' : patternId(kept)))
  expect([...got.patterns.keys()].sort(), where).toEqual([...byId.keys()].sort())
  for (const [id, all] of byId) {
    const sum = got.patterns.get(id)!
    expect(sum.records, where).toBe(all.length)
    const levels = LEVELS.map((level) => all.filter(({ view }) => view.level === level).length)
    expect(sum.levels, where).toEqual(levels)
    // Of records without a pattern older details tell little.
    if (id === '' && sum.sample.seq === -1) continue
    const inside = all.map((record) => bucketOf(buckets, record)).filter((at) => at >= 0)
    const sumOfBuckets = sum.buckets.reduce((total, count) => total + count, 0)
    if (inside.length === all.length) expect(sumOfBuckets, where).toBe(all.length)
    if (new Set(inside).size === 1 && sum.firstMs === sum.lastMs) {
      expect(sum.buckets[inside[0]!], where).toBe(inside.length)
    }
    expect(sum.text, where).toBeOneOf([all[0]!.kept, null])
    const services = Map.groupBy(all, ({ view }) => view.service ?? '')
    const sizes = [...services].map(([name, of]) => [name, of.length])
    expect([...sum.services].sort(), where).toEqual(sizes.sort())
    const ends = all.map(({ view }) => Number(BigInt(view.time_unix_nano) % 1_000_000n > 0n))
    const ceilings = all.map(({ view }, i) => view.timestamp + ends[i]!)
    expect(sum.firstMs, where).toBe(Math.min(...all.map(({ view }) => view.timestamp)))
    expect(sum.lastMs, where).toBe(Math.max(...ceilings))
    const latest = all.filter((_, i) => ceilings[i] === sum.lastMs).map(({ seq }) => seq)
    expect(latest, where).toContain(sum.sample.seq)
  }
}

describe('prune and countByCatalog', () => {
  it(`never hide a match nor count wrongly, ${ROUNDS} rounds from seed ${SEED}`, async () => {
    const fates = { open: 0, time: 0, values: 0, filter: 0, pattern: 0 }
    const some = { count: 0, histogram: 0, facets: 0, fields: 0, patterns: 0 }
    const seen = { none: 0, needless: 0, ...some }
    for (let round = 0; round < ROUNDS; round++) {
      const random = randomFrom(randomOf(SEED * 1_000_003 + round))
      for (const block of await randomBlocks(random)) {
        const records = knownOf(block.bytes)
        for (let i = 0; i < FILTERS; i++) {
          const filter = randomFilter(random)
          const prepared = preparePrune(filter)
          const source = sourceOf(block, random)
          const found = records.filter(
            (record) => isInTime(filter, record) && matches(filter.filter, record.view),
          )
          const where = `round ${round}, ${JSON.stringify(filter)}`
          const fate = prune(prepared, block.summary, source)
          if (found.length > 0) expect(fate, where).toBe('open')
          else seen.none++
          if (found.length === 0 && fate === 'open') seen.needless++
          fates[fate]++
          const count = recordsByCatalog(prepared, block.summary, source)
          if (count !== null) expect(count, where).toBe(found.length)
          if (count !== null && count > 0) seen.count++
          const ask = randomAsk(random)
          const got = countByCatalog(prepared, block.summary, source, ask)
          if (got === null) continue
          const what = `${where}, ${JSON.stringify(ask)}`
          const expected = counted(ask, found)
          expect(got.records, what).toBe(expected.records)
          if (ask.kind === 'patterns') expectPatterns(got, found, ask.buckets, what)
          else expectGroups(got, expected, what)
          if (expected.records > 0) seen[ask.kind]++
        }
      }
    }
    // Without these the test would pass for code that decides nothing.
    const asked = ROUNDS * FILTERS
    const told = JSON.stringify({ asked, ...fates, ...seen })
    expect(Math.min(...Object.values(fates)), told).toBeGreaterThan(asked / 1000)
    expect(seen.needless, told).toBeLessThan(seen.none / 3)
    expect(seen.count, told).toBeGreaterThan(asked / 8)
    expect(Math.min(seen.histogram, seen.facets, seen.fields, seen.patterns), told).toBeGreaterThan(
      asked / 100,
    )
    if (process.env.ROUNDS) console.log(told)
  })
})
