// The stored filter of a query lets through what its text says, told the plain way of the labels that
// records show; and labels read by columns are those of the whole record.

import { expect, it } from 'vitest'
import { openBlock, readGroup } from '../../src/block/parquet.ts'
import { sealBlocks } from '../../src/block/seal.ts'
import { type StoredBatch, storedSegment } from '../../src/block/stored.ts'
import type { Own } from '../../src/logql/entry.ts'
import { METADATA_COLUMNS, STREAM_LABELS } from '../../src/logql/labels.ts'
import { OwnReader, ownOf } from '../../src/logql/own.ts'
import { selectionOf } from '../../src/logql/selection.ts'
import type { LabelFilter, LogQuery, Matcher, Stage } from '../../src/logql/syntax.ts'
import { Matcher as RecordMatcher } from '../../src/match/scan.ts'
import { recordView } from '../../src/match/view.ts'
import { LEVELS, labelName } from '../../src/record.ts'
import { randomOf } from '../batches.ts'
import { JSONS, KEYS, MESSAGES, randomBatch, SCALARS, TEXTS } from '../match/random-batch.ts'
import { type Random, randomFrom } from '../query/random-filter.ts'

const ROUNDS = Number(process.env.ROUNDS ?? 60)
const SEED = Number(process.env.SEED ?? 1)

const NAMES = [
  ...STREAM_LABELS.keys(),
  ...METADATA_COLUMNS,
  ...KEYS.map(labelName),
  'user_address_city_name',
  'user_city',
  'user_a',
  'scope_name',
  'scope_version',
  'body_city',
  'none',
]
const VALUES = [
  ...TEXTS,
  ...SCALARS.map(String),
  ...JSONS.filter(Array.isArray).map(String),
  ...LEVELS,
]
const REGEXES = [
  '.*',
  '.+',
  '',
  'api|web|200',
  'a.*',
  '\\d+',
  '(?i)X y',
  'info|error',
  '.*e.*|',
  'x.y',
]

/** What the regular expressions above mean to the runtime. */
const whole = (source: string): RegExp => {
  const isFolded = source.startsWith('(?i)')
  return new RegExp(`^(?:${isFolded ? source.slice(4) : source})$`, isFolded ? 'is' : 's')
}

function randomMatcher({ pick }: Random): Matcher {
  const op = pick(['=', '!=', '=~', '!~'] as const)
  return { name: pick(NAMES), op, value: pick(op.endsWith('~') ? REGEXES : VALUES) }
}

function randomLabelFilter(random: Random, depth: number): LabelFilter {
  const { pick, below } = random
  if (depth > 0 && below(3) === 0) {
    const of = [randomLabelFilter(random, depth - 1), randomLabelFilter(random, depth - 1)]
    return { kind: pick(['and', 'or'] as const), of }
  }
  if (below(2) === 0) return { kind: 'match', matcher: randomMatcher(random) }
  const op = pick(['==', '!=', '>', '>=', '<', '<='] as const)
  const name = pick(NAMES.filter((name) => !name.endsWith('level')))
  return { kind: 'compare', name, op, value: pick([0, 1.5, 200, 503]), unit: 'number' }
}

function randomStage(random: Random): Stage {
  const { pick, below } = random
  if (below(2) === 0) return { kind: 'label', filter: randomLabelFilter(random, 2) }
  const op = pick(['|=', '!=', '|~', '!~'] as const)
  const parts = [...MESSAGES, ...MESSAGES.map((text) => text.slice(2, 8)), 'ion', 'T']
  const regexes = ['time(out|s)', '^GET .* \\d+ ms$', '^$', 'x']
  const text = () => pick(op.endsWith('~') ? regexes : parts)
  return { kind: 'line', op, texts: Array.from({ length: 1 + below(2) }, text) }
}

const labelValue = ({ stream, metadata }: Own, name: string) =>
  stream.get(name) ?? metadata.get(name) ?? ''

function matches({ name, op, value }: Matcher, own: Own): boolean {
  const label = labelValue(own, name)
  const isIt = op.endsWith('~') ? whole(value).test(label) : label === value
  return op.startsWith('!') ? !isIt : isIt
}

function passes(filter: LabelFilter, own: Own): boolean {
  if (filter.kind === 'match') return matches(filter.matcher, own)
  if (filter.kind !== 'compare') {
    const found = filter.of.map((one) => passes(one, own))
    return filter.kind === 'and' ? !found.includes(false) : found.includes(true)
  }
  const label = labelValue(own, filter.name)
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(label)) return false
  const number = Number(label)
  const { value, op } = filter
  const byOp = {
    '==': number === value,
    '!=': number !== value,
    '>': number > value,
    '>=': number >= value,
    '<': number < value,
    '<=': number <= value,
  }
  return byOp[op]
}

function stagePasses(stage: Stage, own: Own, line: string): boolean {
  if (stage.kind === 'label') return passes(stage.filter, own)
  if (stage.kind !== 'line') return true
  const isRegex = stage.op.endsWith('~')
  const some = stage.texts.some((text) =>
    isRegex ? new RegExp(text).test(line) : line.includes(text),
  )
  return stage.op.startsWith('!') ? !some : some
}

const allRows = ({ batch }: StoredBatch) => Array.from({ length: batch.length }, (_, row) => row)

it(`lets through what its text says, ${ROUNDS} rounds from seed ${SEED}`, async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const random = randomFrom(randomOf(SEED * 1000 + round))
    const stored = storedSegment(randomBatch(random), 1, 1_767_225_600_000)
    const [block] = await sealBlocks([stored], 0, async () => {})
    const file = openBlock(block!.bytes)
    const sealed = readGroup(file, 0, 'all')
    for (let i = 0; i < 20; i++) {
      const query: LogQuery = {
        kind: 'log',
        matchers: Array.from({ length: random.below(3) }, () => randomMatcher(random)),
        stages: Array.from({ length: random.below(3) }, () => randomStage(random)),
      }
      const { filter, rest } = selectionOf(query)
      expect(rest).toEqual([])
      const matcher = new RecordMatcher({ filter, since: null, until: null })
      for (const [batch, whole] of [
        [stored, stored],
        [readGroup(file, 0, matcher.needed), sealed],
      ] as const) {
        const expected = allRows(whole).filter((row) => {
          const view = recordView(whole.batch, row, 0, 0)
          const own = ownOf(view)
          const { matchers, stages } = query
          return (
            matchers.every((one) => matches(one, own)) &&
            stages.every((one) => stagePasses(one, own, view.message))
          )
        })
        const found = matcher.rows(batch, allRows(batch))
        expect(found, `round ${round}: ${JSON.stringify(query)}`).toEqual(expected)
      }
    }
  }
})

it(`labels read by columns are the record's, ${ROUNDS} rounds from seed ${SEED}`, async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const random = randomFrom(randomOf(SEED * 7000 + round))
    const stored = storedSegment(randomBatch(random), 1, 1_767_225_600_000)
    const [block] = await sealBlocks([stored], 0, async () => {})
    const file = openBlock(block!.bytes)
    const names = new Set(Array.from({ length: 1 + random.below(6) }, () => random.pick(NAMES)))
    for (const reads of [names, 'all'] as const) {
      const reader = new OwnReader(reads)
      const sealed = readGroup(file, 0, reader.needed)
      for (const batch of [stored, sealed]) {
        const whole = batch === stored ? stored : readGroup(file, 0, 'all')
        const expected = allRows(whole).map((row) => {
          const { stream, metadata } = ownOf(recordView(whole.batch, row, 0, 0))
          const shown = (labels: ReadonlyMap<string, string>) =>
            Object.fromEntries([...labels].filter(([name]) => reads === 'all' || reads.has(name)))
          return { stream: shown(stream), metadata: shown(metadata) }
        })
        const found = reader.read(batch, allRows(batch)).map(({ stream, metadata }) => ({
          stream: Object.fromEntries(stream),
          metadata: Object.fromEntries(metadata),
        }))
        expect(found, `round ${round}`).toEqual(expected)
      }
    }
  }
})

it('leaves to the pipeline what a stage before has changed', () => {
  const line: Stage = { kind: 'line', op: '|=', texts: ['a'] }
  const label: Stage = {
    kind: 'label',
    filter: { kind: 'match', matcher: { name: 'x', op: '=', value: '1' } },
  }
  const rest = (...stages: Stage[]) => selectionOf({ kind: 'log', matchers: [], stages }).rest
  const json: Stage = { kind: 'json', fields: [] }
  const format: Stage = { kind: 'line_format', template: '{{.x}}' }
  expect(rest(line, label)).toEqual([])
  expect(rest(json, line, label)).toEqual([json, label])
  expect(rest(format, label, line)).toEqual([format, line])
  expect(rest({ kind: 'drop', labels: ['y'] }, label).length).toBe(2)
})
