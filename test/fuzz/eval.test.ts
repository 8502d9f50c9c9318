// The evaluation of filters against the naive one: random filters over random batches, in memory, from
// a segment and from a block of which only the needed columns are read. SEED=7 ROUNDS=2000 for more.

import { describe, expect, it } from 'vitest'
import { encodeBlock, openBlock, readGroup } from '../../src/block/parquet.ts'
import { choosePatterns, patternId, patternOf } from '../../src/block/pattern.ts'
import { decodeSegment, encodeSegment } from '../../src/block/segment.ts'
import { type StoredBatch, storedSegment } from '../../src/block/stored.ts'
import { Evaluator } from '../../src/query/eval.ts'
import {
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
import { recordView } from '../../src/query/view.ts'
import type { AttributeType, RecordBatch } from '../../src/record.ts'
import { batchOf, type RecordSpec, randomOf } from '../batches.ts'
import { matches } from '../query/naive.ts'
import { type Random, randomFrom } from '../query/random-filter.ts'

const SEED = Number(process.env.SEED ?? 1)
const ROUNDS = Number(process.env.ROUNDS ?? 120)
const FILTERS = 40
const SHARD = 3

const MESSAGES = [
  'Connection reset by peer',
  'reset-connection: Timeout after 30s',
  'GET /api/users/42 took 17 ms',
  'GET /api/users/43 took 9 ms',
  'timeout',
  'timeouts: 5',
  'ÉTÉ chaud, e\u0301te\u0301 froid',
  'ΟΔΟΣ:Α ΟΔΟΣ',
  'İstanbul STRASSE straße',
  '数据库连接失败 timeout',
  'holds <_> itself',
  'job 5f3a-b1c2 done',
  'a_b a-b ab',
  'ſtop',
  '{"k":"v"}',
  '',
]
const TEXTS = [
  'api',
  'web',
  '200',
  '-0',
  '1.5',
  '1e3',
  'true',
  'null',
  'x y',
  'X Y',
  'timeout',
  '10.0.0.1',
  '/api/users',
  '["x","y"]',
  '{"a":"x y"}',
  'ΟΔΟΣ',
  'aba',
  'ab',
  '',
]
const SCALARS = [200, -0, 0, 1.5, 1e21, 503, true, false]
const JSONS: unknown[] = [
  null,
  [],
  ['x', 'y'],
  [200, '503'],
  { a: 'x y' },
  { city: 'api', zip: 503 },
  [{ city: 'web' }, { city: ['api', 200] }],
  { 'address.city': 'web', address: { city: 'api' } },
  { address: { city: { name: 'x' } } },
  { address: 5 },
  { 'address.city': 5, address: { city: { name: 'x' } } },
]
const KEYS = [
  'code',
  'user',
  'user.address',
  'user.address.city',
  'http.route',
  '__proto__',
  'toString',
  'x"y',
  'e\u0301',
  '.a',
  'a.',
]
const NAMES = [
  ...KEYS,
  'user.address.city.name',
  'user.city',
  'code.city',
  '__proto__.city',
  'name',
  'attributes.code',
  'none',
]
const GLOBS = [
  ['time', ''],
  ['', 'out'],
  ['', 'meou', ''],
  ['con', 'peer'],
  ['', 'a', 'b', ''],
  ['/api', ''],
  ['', '连', ''],
  ['连', ''],
  ['t', ''],
  ['οδος', ''],
  ['', 'σ'],
  ['x', ''],
  ['', '', ''],
  ['', ' '],
  ['é', ''],
  ['i', ''],
]
const REGEXES = [
  'time(out|s)',
  '^GET .* \\d+ ms$',
  '[a-z]+-[0-9a-f]+',
  '(?i)timeout',
  '(?i)stop',
  '(?i)ÉTÉ',
  '^$',
  'x',
  '^\\d+$',
  '(?i)reset|peer',
  '\\bab\\b',
]
const PHRASES = [
  'timeout',
  'Connection reset',
  'reset connection',
  'été',
  '连接',
  '失',
  'a_b',
  'ab',
  '30s',
  '42',
  'took',
  'get api users',
  'x y',
  'istanbul',
  'STRASSE',
  'done',
  'b1c2',
  'cafe',
  'api',
  '200',
  'οδος',
  '5',
  'v',
]

function randomBatch(random: Random): RecordBatch {
  const { below, pick } = random
  const some = <T>(values: readonly T[]): T[] =>
    Array.from({ length: 1 + below(5) }, () => pick(values))
  const [messages, texts, keys] = [some(MESSAGES), some(TEXTS), some(KEYS)]
  const scalars = [...texts, ...some(SCALARS)]
  const jsons = some(JSONS)
  const specs: RecordSpec[] = Array.from({ length: 1 + below(30) }, () => {
    const rest = own(
      keys.filter(() => below(3) === 0).map((key) => [key, pick([...jsons, ...scalars])]),
    )
    return {
      ms: 1000 + below(20),
      level: below(6),
      message: pick(messages),
      text: {
        ...(below(2) === 0 && { service: pick(texts) }),
        ...(below(3) === 0 && { version: pick(texts) }),
        ...(below(4) === 0 && { trace_id: pick(['ab', 'cd']) }),
      },
      ...(below(3) === 0 && { rest: JSON.stringify(rest) }),
    }
  })
  const batch = batchOf(specs)
  addAttributes(batch, random, keys, [...scalars, ...jsons])
  const maps = () => own(some(KEYS).map((key) => [key, pick([...TEXTS, ...SCALARS, ...JSONS])]))
  batch.resources = ['{}', JSON.stringify(maps()), JSON.stringify(maps())]
  batch.scopes = ['{}', JSON.stringify({ name: pick(TEXTS), attributes: maps() })]
  for (let row = 0; row < batch.length; row++) {
    batch.resource[row] = below(3)
    batch.scope[row] = below(2)
    batch.severityNumber[row] = pick([0, 9, 17])
    batch.severityText[row] = pick([null, 'NOTICE', 'x y'])
    if (below(5) === 0) batch.otel[row] = JSON.stringify({ event_name: pick(TEXTS), flags: 1 })
    if (below(6) === 0) {
      const body = pick<unknown>([maps(), [maps()], pick(JSONS), pick(MESSAGES)])
      batch.body[row] = JSON.stringify(body)
      batch.message[row] = typeof body === 'string' ? body : JSON.stringify(body)
    }
  }
  return batch
}

/** `__proto__` too: an object literal would lose it. */
const own = (members: [string, unknown][]): Record<string, unknown> => Object.fromEntries(members)

/** A record has a key once: in a column of its type, unless its rest has it. */
function addAttributes(
  batch: RecordBatch,
  { below, pick }: Random,
  keys: string[],
  values: unknown[],
) {
  for (let row = 0; row < batch.length; row++) {
    const rest = JSON.parse(batch.attributesRest[row] ?? '{}')
    for (const key of new Set(keys)) {
      if (below(2) === 0 || Object.hasOwn(rest, key)) continue
      const value = pick(values)
      const type = typeOf(value)
      let column = batch.attributes.find((one) => one.key === key && one.type === type)
      if (!column) {
        column = { key, type, rows: [], values: [] }
        batch.attributes.push(column)
      }
      column.rows.push(row)
      column.values.push(type === 'json' ? JSON.stringify(value) : (value as string))
    }
  }
}

function typeOf(value: unknown): AttributeType {
  if (typeof value === 'string') return 'text'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value !== 'number') return 'json'
  return Number.isSafeInteger(value) && !Object.is(value, -0) ? 'int' : 'num'
}

function randomTest({ below, pick }: Random): ValueTest {
  const bound = () =>
    below(3) === 0 ? null : { value: pick([0, 1.5, 200, 503, 1000]), isInside: below(2) === 0 }
  return pick<() => ValueTest>([
    () => ({
      is: 'equal',
      value: pick([...TEXTS, ...SCALARS.map(String), ...JSONS.map((one) => JSON.stringify(one))]),
    }),
    () => ({ is: 'equal', value: pick(TEXTS) }),
    () => ({
      is: 'glob',
      parts: pick([
        ...GLOBS,
        ['', 'pi'],
        ['a', ''],
        ['x', 'y'],
        ['1', '.', ''],
        ['ab', 'ba'],
        ['a', 'b', 'b'],
      ]),
    }),
    () => ({ is: 'regex', source: pick(REGEXES) }),
    () => ({ is: 'range', from: bound(), to: bound() }),
    () => ({ is: 'exists' }),
  ])()
}

function randomFilter(random: Random, depth: number): Filter {
  const { below, pick } = random
  if (depth > 0 && below(3) > 0) {
    const of = () => Array.from({ length: 1 + below(3) }, () => randomFilter(random, depth - 1))
    return pick<() => Filter>([
      () => ({ kind: 'and', of: of() }),
      () => ({ kind: 'or', of: of() }),
      () => ({ kind: 'not', of: randomFilter(random, depth - 1) }),
    ])()
  }
  const field = (): Field =>
    below(3) === 0
      ? { in: 'column', name: pick([...FIELD_COLUMNS, 'service', 'version']) }
      : { in: pick(['attr', 'bare', 'resource', 'scope', 'body'] as const), name: pick(NAMES) }
  const textTest = (): TextTest =>
    pick<() => TextTest>([
      () => ({ is: 'phrase', text: pick(PHRASES) }),
      () => ({ is: 'phrase', text: pick(PHRASES) }),
      () => ({ is: 'glob', parts: pick(GLOBS) }),
      () => ({ is: 'regex', source: pick(REGEXES) }),
    ])()
  return pick<() => Filter>([
    () => levelIn(below(64)),
    () => textIs('message', textTest()),
    () => textIs('message', textTest()),
    () => textIs('any', textTest()),
    () => fieldIs(field(), randomTest(random)),
    () => fieldIs(field(), randomTest(random)),
    () => ({ kind: 'pattern', id: patternId(patternOf(pick(MESSAGES)) ?? '') }),
  ])()
}

const allRows = ({ batch }: StoredBatch) => Array.from({ length: batch.length }, (_, row) => row)

/** The numbers of the records that pass, each half decided apart and in no order. */
function found(evaluator: Evaluator, stored: StoredBatch, random: Random): number[] {
  const rows = allRows(stored).sort(() => random.below(3) - 1)
  const cut = random.below(rows.length + 1)
  const passed = [rows.slice(0, cut), rows.slice(cut)].flatMap((part) => {
    const kept = evaluator.rows(stored, part)
    // They keep their order.
    expect(kept).toEqual(part.filter((row) => kept.includes(row)))
    return kept
  })
  return passed.map((row) => stored.seqs[row]!).sort((a, b) => a - b)
}

/** A row group with the needed columns alone; messages are read when they are asked. */
function readNeeded(bytes: Uint8Array, { needed }: Evaluator, onMessage: () => void): StoredBatch {
  const file = openBlock(bytes)
  const stored = readGroup(file, 0, needed)
  const messages = readGroup(file, 0, { columns: new Set(['message']), attributes: [] }).batch
    .message
  const batch = Object.defineProperty({ ...stored.batch }, 'message', {
    get: () => {
      onMessage()
      return messages
    },
  })
  return { ...stored, batch }
}

describe('an evaluator', () => {
  it(`lets through what the naive one does, ${ROUNDS} rounds from seed ${SEED}`, async () => {
    const seen = { some: 0, all: 0, spared: 0, sealed: 0, sure: 0, look: 0 }
    for (let round = 0; round < ROUNDS; round++) {
      const random = randomFrom(randomOf(SEED * 1_000_003 + round))
      const batch = decodeSegment(encodeSegment(randomBatch(random)))
      const part = storedSegment(batch, 1, 5)
      const views = allRows(part).map((row) => recordView(batch, row, SHARD, row + 1))
      const sealed = storedSegment(batch, 1, 5)
      choosePatterns([sealed])
      if (random.below(2) === 0) {
        sealed.patterns = sealed.patterns!.map((one) => (random.below(4) === 0 ? null : one))
      }
      const bytes = await encodeBlock([sealed], SHARD, async () => {})
      for (let i = 0; i < FILTERS; i++) {
        const raw = randomFilter(random, 3)
        const filter = random.below(2) === 0 ? raw : normalFilter(raw)
        const where = `round ${round}: ${JSON.stringify(filter)}`
        const expected = views.flatMap((view, row) => (matches(filter, view) ? [row + 1] : []))
        const evaluator = new Evaluator(filter)
        expect(found(evaluator, part, random), where).toEqual(expected)
        let reads = 0
        const stored = readNeeded(bytes, evaluator, () => reads++)
        expect(found(evaluator, stored, random), `${where} in a block`).toEqual(expected)
        const { sure, look } = evaluator.sieve(stored, allRows(stored))
        seen.sure += sure.length
        seen.look += look.length
        seen.sealed++
        if (reads === 0 && evaluator.readsMessages) seen.spared++
        if (expected.length > 0) seen.some++
        if (expected.length === batch.length) seen.all++
      }
    }
    const asked = ROUNDS * FILTERS
    expect(seen.some, JSON.stringify(seen)).toBeGreaterThan(asked / 3)
    expect(seen.all, JSON.stringify(seen)).toBeLessThan(asked / 2)
    expect(seen.spared, JSON.stringify(seen)).toBeGreaterThan(asked / 50)
    expect(seen.sure, JSON.stringify(seen)).toBeGreaterThan(seen.look)
  })
})
