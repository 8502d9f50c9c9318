import { describe, expect, it } from 'vitest'
import { buildDetail } from '../../src/block/detail.ts'
import { buildFilter, sliceOf } from '../../src/block/filter.ts'
import { choosePatterns, patternId } from '../../src/block/pattern.ts'
import { storedSegment } from '../../src/block/stored.ts'
import { summarize } from '../../src/block/summary.ts'
import { tokensOf } from '../../src/block/tokens.ts'
import { countByCatalog } from '../../src/query/catalog-count.ts'
import type { PruneRow, PruneSource } from '../../src/query/facts.ts'
import { type StoredCondition as Condition, storedFilter } from '../../src/query/filter.ts'
import type { RecordFilter } from '../../src/query/parameters.ts'
import { type Fate, preparePrune, prune } from '../../src/query/prune.ts'
import type { TextColumn } from '../../src/record.ts'
import { batchOf, type RecordSpec } from '../batches.ts'

const MINUTE = 60_000
const noPause = async () => {}
const [INFO, WARN, ERROR] = [4, 8, 16]

/** What the catalog would hold of a block of these records. */
async function catalogOf(specs: RecordSpec[], without: ('filters' | 'detail' | 'texts')[] = []) {
  const part = storedSegment(batchOf(specs), 1, 0)
  choosePatterns([part])
  const detail = await buildDetail([part], noPause)
  const tokens = await tokensOf([part], noPause)
  const slices = {
    ids: buildFilter(tokens.ids, 30, 1e5),
    words: buildFilter(tokens.words, 30, 1e5),
  }
  const texts = new Map(part.patterns!.map((text) => [text && patternId(text), text]))
  const read: string[] = []
  const source: PruneSource = {
    filterSlice: (filter, hash) => {
      read.push(filter)
      if (without.includes('filters')) return null
      return slices[filter][sliceOf(hash, slices[filter].length)]!
    },
    detail: () => {
      read.push('detail')
      return without.includes('detail') ? null : detail
    },
    patternText: (id) => (without.includes('texts') ? null : (texts.get(id) ?? null)),
  }
  return { row: summarize(part.batch, 0, specs.length), source, read }
}

interface Asked {
  where?: Condition[]
  since?: [number, number]
  until?: [number, number]
}
const filterOf = ({ where = [], since, until }: Asked): RecordFilter => ({
  filter: storedFilter(where),
  since: since ? { ms: since[0], ns: since[1] } : null,
  until: until ? { ms: until[0], ns: until[1] } : null,
})
const level = (mask: number): Condition => ({ kind: 'level', mask })
const column = (name: TextColumn, value: string): Condition => ({
  kind: 'column',
  column: name,
  value,
})
const attribute = (key: string, value: string): Condition => ({ kind: 'attribute', key, value })
const words = (...phrases: string[]): Condition => ({
  kind: 'words',
  phrases: phrases.map((phrase) => phrase.split(' ')),
})

/** Three minutes, 120,000 ms to 240,001 ms: the last record has 5 ns. */
const RECORDS: RecordSpec[] = [
  {
    ms: 2 * MINUTE,
    message: 'took 5 ms',
    text: { service: 'api', environment: 'production', trace_id: 'aa' },
    attributes: { code: 200, 'http.route': '/api/users', ok: true, name: 'ann lee' },
  },
  {
    ms: 2 * MINUTE + 10,
    level: 3,
    message: 'connection reset by peer',
    text: { service: 'web', environment: 'production', trace_id: 'bb' },
    attributes: { address: '10.1.2.3', other: 'from peers' },
    rest: '{"list":["x y",1],"nothing":null}',
  },
  {
    ms: 4 * MINUTE,
    ns: 5,
    level: 4,
    message: 'connection refused',
    text: { service: 'api', environment: 'production' },
  },
]

describe('prune', () => {
  const is = (
    fate: Fate,
    name: string,
    asked: Asked,
    without: Parameters<typeof catalogOf>[1] = [],
  ) =>
    it(`${fate}: ${name}`, async () => {
      const { row, source } = await catalogOf(RECORDS, without)
      expect(prune(preparePrune(filterOf(asked)), row, source)).toBe(fate)
    })
  const where = (fate: Fate, ...conditions: Condition[]) =>
    is(fate, JSON.stringify(conditions), { where: conditions })
  const start = 2 * MINUTE
  const end = 4 * MINUTE + 1

  is('open', 'no condition', {})
  is('time', 'since after the last', { since: [end, 1] })
  is('time', 'since after the last millisecond', { since: [end + 1, 0] })
  is('open', 'since the last, which the ceiling hides', { since: [end, 0] })
  is('time', 'until the first, which is excluded', { until: [start, 0] })
  is('open', 'until just after the first', { until: [start, 1] })
  is('time', 'until before the first', { until: [start - 1, 999_999] })
  is('time', 'a minute between records', { since: [3 * MINUTE, 0], until: [4 * MINUTE, 0] })
  is('open', 'that minute and the next', { since: [3 * MINUTE, 0], until: [4 * MINUTE, 1] })
  is('time', 'a minute without the level', { where: [level(ERROR)], until: [3 * MINUTE, 0] })

  where('open', level(INFO))
  where('values', level(32))
  where('values', level(INFO), level(WARN))
  where('values', level(0))

  where('open', column('trace_id', 'aa'))
  where('filter', column('trace_id', 'AA'))
  where('filter', column('span_id', 'aa'))
  where('filter', column('service', 'aa'))
  where('values', column('service', 'api'), column('service', 'web'))

  where('open', attribute('http.route', '/api/users'))
  where('filter', attribute('http.route', '/users/api'))
  where('filter', attribute('http.route', '/API/users'))
  where('open', attribute('address', '10.1.2.3'))
  where('filter', attribute('address', '3.2.1.10'))
  where('values', attribute('none', '10.1.2.3'))
  where('open', attribute('code', '200'))
  where('open', attribute('code', '201'))
  where('values', attribute('code', 'true'))
  where('open', attribute('ok', 'true'))
  where('open', attribute('ok', 'false'))
  where('values', attribute('ok', '1'))
  where('values', attribute('name', '12'))
  where('open', attribute('list', '["x y",1]'))
  where('open', attribute('list', '["x y",2]'))
  where('filter', attribute('list', '["y x",1]'))
  where('open', attribute('nothing', 'null'))
  where('open', attribute('nothing', '0'))
  where('values', attribute('name', 'null'))
  where('filter', attribute('ok', 'yes'))

  where('open', words('connection'))
  where('open', words('connection reset', 'peer'))
  where('filter', words('disconnection'))
  where('filter', words('connection', 'disconnection'))
  // Words that are in the block, and not together in one of its messages.
  where('pattern', words('peer connection'))
  where('pattern', words('connection', 'took'))
  where('pattern', words('ann'))
  where('pattern', level(ERROR), words('reset'))
  where('open', level(WARN), words('reset'))
  is('pattern', 'a pattern of another time', { where: [words('reset')], since: [3 * MINUTE, 0] })
  // A variable may be any word with a digit.
  where('open', words('took 5 ms'))
  where('open', words('took 10 ms'))

  is('open', 'no filters', { where: [words('connection'), attribute('name', 'zz')] }, ['filters'])
  is('open', 'neither', { where: [column('trace_id', 'zz')] }, ['filters', 'detail'])
  is('values', 'no filters, but all values', { where: [column('service', 'zz')] }, ['filters'])
  is('open', 'no detail', { where: [words('peer connection')] }, ['detail'])
  is('open', 'no text of a pattern', { where: [words('peer connection')] }, ['texts'])

  it('opens what has records without a pattern, unless of another level', async () => {
    const { row, source } = await catalogOf([...RECORDS, { ms: start, message: 'a <_>', level: 5 }])
    const fateOf = (...conditions: Condition[]) =>
      prune(preparePrune(filterOf({ where: conditions })), row, source)
    expect(fateOf(words('peer connection'))).toBe('open')
    expect(fateOf(words('peer connection'), level(INFO))).toBe('pattern')
  })

  it('knows no key to be absent where there are more than are listed', async () => {
    const many = Array.from({ length: 600 }, (_, i) => [`k${i}`, i])
    const rest = JSON.stringify(Object.fromEntries(many))
    const { row, source } = await catalogOf([...RECORDS, { ms: start, rest }])
    const prepared = preparePrune(filterOf({ where: [attribute('none', '1')] }))
    expect(prune(prepared, row, source)).toBe('open')
  })

  const reads = (what: string[], name: string, asked: Asked) =>
    it(`reads ${what.join(', ') || 'nothing'} for ${name}`, async () => {
      const { row, source, read } = await catalogOf(RECORDS)
      prune(preparePrune(filterOf(asked)), row, source)
      expect(read).toEqual(what)
    })
  reads([], 'no condition', {})
  reads([], 'levels', { where: [level(INFO)] })
  reads([], 'another time', { since: [end, 1], where: [words('connection')] })
  reads(['ids'], 'an id that is not there', { where: [column('trace_id', 'zz'), words('reset')] })
  reads(['words'], 'words of which the longest is not there', {
    where: [words('reset disconnected by')],
  })
  reads(['ids', 'detail'], 'a value', { where: [column('service', 'api')] })
})

const countOf = (filter: RecordFilter, row: PruneRow, source: PruneSource) =>
  countByCatalog(preparePrune(filter), row, source, { kind: 'count' })?.records ?? null

describe('countByCatalog', () => {
  const counts = (
    expected: number | null,
    name: string,
    asked: Asked,
    without: Parameters<typeof catalogOf>[1] = [],
  ) =>
    it(`${expected}: ${name}`, async () => {
      const { row, source } = await catalogOf(RECORDS, without)
      expect(countOf(filterOf(asked), row, source)).toBe(expected)
    })
  const where = (expected: number | null, ...conditions: Condition[]) =>
    counts(expected, JSON.stringify(conditions), { where: conditions })
  const start = 2 * MINUTE
  const end = 4 * MINUTE + 1

  counts(3, 'all', {})
  counts(3, 'all, by a range that holds them', { since: [start, 0], until: [end, 1] })
  counts(0, 'another time', { since: [end, 1] })
  counts(2, 'whole minutes', { since: [2 * MINUTE, 0], until: [3 * MINUTE, 0] })
  counts(1, 'whole minutes and a level', { where: [level(WARN)], until: [4 * MINUTE, 0] })
  counts(0, 'whole minutes without a record', { since: [3 * MINUTE, 0], until: [4 * MINUTE, 0] })
  counts(1, 'since a minute', { since: [4 * MINUTE, 0] })
  counts(null, 'since within a minute', { since: [4 * MINUTE, 1] })
  counts(1, 'until within a minute, but between patterns', { until: [start, 1] })
  counts(1, 'until within a minute that has none of the level', {
    where: [level(WARN)],
    until: [4 * MINUTE, 1],
  })
  counts(null, 'until the end that a ceiling hides', { until: [end, 0] })

  where(1, level(WARN))
  where(2, level(WARN | ERROR))
  where(0, level(32))

  where(2, column('service', 'api'))
  where(0, column('service', 'other'))
  where(0, column('service', 'api'), column('service', 'web'))
  where(2, column('service', 'api'), column('service', 'api'))
  where(1, column('trace_id', 'aa'))
  where(null, column('service', 'api'), column('trace_id', 'aa'))
  where(0, column('service', 'api'), column('trace_id', 'zz'))
  where(1, column('service', 'api'), level(ERROR))
  where(1, column('service', 'api'), words('connection'))
  counts(1, 'a value in a part of the time', {
    where: [column('service', 'api')],
    since: [3 * MINUTE, 0],
  })
  // All records have it, so it chooses none.
  where(3, column('environment', 'production'))
  where(2, column('environment', 'production'), column('service', 'api'))
  where(1, column('environment', 'production'), level(ERROR))
  where(2, column('environment', 'production'), words('connection'))
  where(2, column('service', 'api'), level(INFO | WARN | ERROR))

  where(2, words('connection'))
  where(1, words('connection reset'))
  where(0, words('reset connection'))
  where(1, words('connection'), words('refused'))
  where(1, words('connection'), level(ERROR))
  where(1, words('took'))
  where(null, words('took 5 ms'))
  where(0, words('took 5 ms'), level(ERROR))
  counts(1, 'words of one pattern in the range', {
    where: [words('connection')],
    since: [3 * MINUTE, 0],
  })
  counts(null, 'words of a pattern that may reach out of the range', {
    where: [words('connection')],
    until: [end, 0],
  })
  counts(null, 'words without the pattern', { where: [words('connection')] }, ['texts'])

  where(null, attribute('code', '200'))
  where(0, attribute('none', '200'))
  counts(null, 'without a detail', { where: [column('service', 'api')] }, ['detail'])
  counts(1, 'levels without a detail', { where: [level(ERROR)] }, ['detail', 'filters'])

  it('is not known where a record without a pattern may match', async () => {
    const { row, source } = await catalogOf([...RECORDS, { ms: start, message: 'a <_>', level: 5 }])
    const countedOf = (...conditions: Condition[]) =>
      countOf(filterOf({ where: conditions }), row, source)
    expect(countedOf(words('connection'))).toBe(null)
    expect(countedOf(words('connection'), level(WARN | ERROR))).toBe(2)
  })

  it('of minutes is not known where they are too many', async () => {
    const specs = Array.from({ length: 1100 }, (_, i) => ({ ms: i * MINUTE }))
    const { row, source } = await catalogOf(specs)
    const prepared = preparePrune(filterOf({ since: [MINUTE, 0] }))
    expect(countByCatalog(prepared, row, source, { kind: 'count' })).toBe(null)
    expect(prune(prepared, row, source)).toBe('open')
  })
})
