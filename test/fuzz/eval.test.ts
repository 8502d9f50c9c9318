// The evaluation of filters against the naive one: random filters over random batches, in memory, from
// a segment and from a block of which only the needed columns are read. SEED=7 ROUNDS=2000 for more.

import { describe, expect, it } from 'vitest'
import { encodeBlock, openBlock, readGroup } from '../../src/block/parquet.ts'
import { choosePatterns, patternId, patternOf } from '../../src/block/pattern.ts'
import { decodeSegment, encodeSegment } from '../../src/block/segment.ts'
import { type StoredBatch, storedSegment } from '../../src/block/stored.ts'
import { Evaluator } from '../../src/match/eval.ts'
import { recordView } from '../../src/match/view.ts'
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
import { randomOf } from '../batches.ts'
import { matches } from '../match/naive.ts'
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
import { type Random, randomFrom } from '../query/random-filter.ts'

const SEED = Number(process.env.SEED ?? 1)
const ROUNDS = Number(process.env.ROUNDS ?? 120)
const FILTERS = 40
const SHARD = 3

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
      : pick<() => Field>([
          () => ({
            in: pick(['attr', 'bare', 'resource', 'scope', 'body'] as const),
            name: pick(NAMES),
          }),
          () => ({ in: 'label', name: pick(LABELS) }),
        ])()
  const textTest = (): TextTest =>
    pick<() => TextTest>([
      () => ({ is: 'phrase', text: pick(PHRASES) }),
      () => ({ is: 'phrase', text: pick(PHRASES) }),
      () => ({ is: 'glob', parts: pick(GLOBS) }),
      () => ({ is: 'regex', source: pick(REGEXES) }),
      () => ({ is: 'contains', text: pick(PARTS) }),
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
