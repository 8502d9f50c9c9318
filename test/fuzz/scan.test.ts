// The scan against a plain filter over whole records: random batches, random plans, by seed.
// SEED=7 ROUNDS=5000 npm run fuzz for more.

import { describe, expect, it } from 'vitest'
import { encodeBlock, openBlock, readGroup } from '../../src/block/parquet.ts'
import { choosePatterns } from '../../src/block/pattern.ts'
import { decodeSegment, encodeSegment } from '../../src/block/segment.ts'
import { type StoredBatch, storedSegment } from '../../src/block/stored.ts'
import { comparePositions, Matcher, rowsInSet } from '../../src/match/scan.ts'
import { type RecordView, recordView } from '../../src/match/view.ts'
import {
  allOf,
  type Filter,
  notOf,
  type StoredCondition,
  someOf,
  storedFilter,
} from '../../src/query/filter.ts'
import type { Plan } from '../../src/query/plan.ts'
import { batchOf, type RecordSpec, randomOf } from '../batches.ts'
import { matches } from '../match/naive.ts'
import { randomFilter, randomFrom } from '../query/random-filter.ts'

const SEED = Number(process.env.SEED ?? 1)
const ROUNDS = Number(process.env.ROUNDS ?? 300)
const SHARD = 3

const MESSAGES = [
  'Connection reset by peer',
  'reset-connection: Timeout after 30s',
  'timeout',
  'ÉTÉ chaud, été froid',
  '数据库连接失败 timeout',
  'a_b a-b ab',
  '',
]
const WORDS = ['connection', 'reset', 'timeout', 'été', '数', '接', 'a_b', 'a', 'b', 'ab', '30s']

function naive(plan: Plan, view: RecordView): boolean {
  const time = BigInt(view.time_unix_nano)
  const nanoseconds = (at: { ms: number; ns: number }) => BigInt(at.ms) * 1_000_000n + BigInt(at.ns)
  if (plan.since && time < nanoseconds(plan.since)) return false
  if (plan.until && time >= nanoseconds(plan.until)) return false
  const [shard = 0, seq = 0] = view.id.split('-').map(Number)
  if (seq > (plan.maxSeqs[shard] ?? Number.POSITIVE_INFINITY)) return false
  if (plan.after) {
    const at = { ms: Number(time / 1_000_000n), ns: Number(time % 1_000_000n), shard, seq }
    const order = comparePositions(at, plan.after)
    if (plan.order === 'asc' ? order <= 0 : order >= 0) return false
  }
  return matches(plan.filter, view)
}

/** The records that a scan lets through, by number. */
function scanned(plan: Plan, stored: StoredBatch): number[] {
  const maxSeq = plan.maxSeqs[SHARD] ?? Number.POSITIVE_INFINITY
  const rows = rowsInSet(plan, stored, SHARD, maxSeq)
  return new Matcher(plan).rows(stored, rows).map((row) => stored.seqs[row]!)
}

/** The same batch read back from a block, with the columns the plan needs and no others. */
async function readFromBlock(plan: Plan, part: StoredBatch): Promise<StoredBatch> {
  choosePatterns([part])
  const file = openBlock(await encodeBlock([part], SHARD, async () => {}))
  const { needed } = new Matcher(plan)
  const stored = readGroup(file, 0, needed)
  const message = readGroup(file, 0, { columns: new Set(['message']), attributes: [] }).batch
    .message
  return { ...stored, batch: { ...stored.batch, message } }
}

describe('scan', () => {
  it(`lets through what a plain filter does, ${ROUNDS} rounds from seed ${SEED}`, async () => {
    const seen = { some: 0, all: 0 }
    for (let round = 0; round < ROUNDS; round++) {
      const random = randomOf(SEED * 1_000_003 + round)
      const below = (n: number) => Math.floor(random() * n)
      const pick = <T>(values: readonly T[]) => values[below(values.length)]!
      const specs: RecordSpec[] = Array.from({ length: 1 + below(40) }, () => ({
        ms: 1000 + below(20),
        ns: below(3),
        level: below(6),
        message: pick(MESSAGES),
        ...(below(2) === 0 && {
          text: { service: pick(['api', 'web']), user_id: pick(['1', '2']) },
        }),
        ...(below(2) === 0 && { attributes: { code: pick([200, '200', 1.5, true, 'x']) } }),
        ...(below(8) === 0 && { rest: '{"far":200,"near":"x"}' }),
      }))
      const batch = decodeSegment(encodeSegment(batchOf(specs)))
      const plan = randomPlan(random)
      const firstSeq = 1 + below(5)
      const views = specs.map((_, row) => recordView(batch, row, SHARD, firstSeq + row))
      const expected = views.flatMap((view, row) => (naive(plan, view) ? [firstSeq + row] : []))
      const where = `round ${round}: ${JSON.stringify(plan)}`
      const part = storedSegment(batch, firstSeq, 5)
      expect(scanned(plan, part), where).toEqual(expected)
      const sealed = scanned(plan, await readFromBlock(plan, part))
      expect(
        sealed.sort((a, b) => a - b),
        `${where} in a block`,
      ).toEqual(expected)
      if (expected.length > 0) seen.some++
      if (expected.length === specs.length) seen.all++
    }
    // Without these the test would pass for a scan that lets nothing through, or everything.
    expect(seen.some, JSON.stringify(seen)).toBeGreaterThan(ROUNDS / 4)
    expect(seen.all, JSON.stringify(seen)).toBeLessThan(ROUNDS / 3)
  })
})

function randomPlan(random: () => number): Plan {
  const { below, pick } = randomFrom(random)
  const phrase = () => Array.from({ length: 1 + below(2) }, () => pick(WORDS))
  const conditions: (() => StoredCondition)[] = [
    () => ({ kind: 'level', mask: below(64) }),
    () => ({ kind: 'column', column: 'service', value: pick(['api', 'web', 'none']) }),
    () => ({ kind: 'column', column: 'user_id', value: pick(['1', '2']) }),
    () => ({ kind: 'attribute', key: 'code', value: pick(['200', '1.5', 'true', 'x']) }),
    () => ({
      kind: 'attribute',
      key: pick(['far', 'near', 'toString']),
      value: pick(['200', 'x']),
    }),
    () => ({ kind: 'words', phrases: Array.from({ length: 1 + below(2) }, phrase) }),
  ]
  const listed = () => storedFilter(Array.from({ length: below(3) }, () => pick(conditions)()))
  const filter = pick<() => Filter>([
    listed,
    () => someOf([listed(), notOf(listed())]),
    () => randomFilter(randomFrom(random), 3),
    () => allOf([listed(), randomFilter(randomFrom(random), 2)]),
  ])()
  const time = () => ({ ms: 1000 + below(20), ns: below(3) })
  return {
    filter,
    since: below(3) === 0 ? time() : null,
    until: below(3) === 0 ? time() : null,
    order: pick(['asc', 'desc']),
    limit: 10,
    hash: '',
    maxSeqs: below(3) === 0 ? [null, null, null, below(40)] : [],
    after: below(3) === 0 ? { ...time(), shard: 2 + below(3), seq: below(40) } : null,
  }
}
