import { describe, expect, it } from 'vitest'
import { patternId } from '../../src/block/pattern.ts'
import { countByCatalog, recordsByCatalog } from '../../src/prune/catalog-count.ts'
import { preparePrune } from '../../src/prune/prune.ts'
import type { Ask, Buckets, GroupField } from '../../src/query/ask.ts'
import { LEVELS } from '../../src/record.ts'
import type { RecordSpec } from '../batches.ts'
import { type Asked, catalogOf, filterOf, type Lacking, RECORDS } from './catalog-of.ts'

const MINUTE = 60_000
const start = 2 * MINUTE
const end = 4 * MINUTE + 1

async function counted(ask: Ask, asked: Asked, lacking: Lacking = [], records = RECORDS) {
  const { row, source } = await catalogOf(records, lacking)
  return countByCatalog(preparePrune(filterOf(asked)), row, source, ask)
}

describe('recordsByCatalog', () => {
  const counts = (
    expected: number | null,
    name: string,
    asked: Asked,
    lacking: Lacking = [],
    records = RECORDS,
  ) =>
    it(`${expected}: ${name}`, async () => {
      const { row, source } = await catalogOf(records, lacking)
      const prepared = preparePrune(filterOf(asked))
      expect(recordsByCatalog(prepared, row, source)).toBe(expected)
      const sum = expected === null ? null : { records: expected, groups: new Map() }
      const found = countByCatalog(prepared, row, source, { kind: 'count' })
      expect(found).toEqual(sum && { ...sum, patterns: new Map() })
    })
  const where = (expected: number | null, q: string) => counts(expected, q, { where: q })

  counts(3, 'all', {})
  counts(3, 'all, by a range that holds them', { since: [start, 0], until: [end, 1] })
  counts(0, 'another time', { since: [end, 1] })
  counts(2, 'whole minutes', { since: [2 * MINUTE, 0], until: [3 * MINUTE, 0] })
  counts(1, 'whole minutes and a level', { where: 'level:warn', until: [4 * MINUTE, 0] })
  counts(0, 'whole minutes without a record', { since: [3 * MINUTE, 0], until: [4 * MINUTE, 0] })
  counts(1, 'since a minute', { since: [4 * MINUTE, 0] })
  counts(null, 'since within a minute', { since: [4 * MINUTE, 1] })
  counts(1, 'until within a minute, but between patterns', { until: [start + 1, 0] })
  counts(1, 'until within a minute that has none of the level', {
    where: 'level:warn',
    until: [4 * MINUTE, 1],
  })
  counts(null, 'until the end that a ceiling hides', { until: [end, 0] })
  counts(2, 'a part of the first minute, in which the block begins', {
    since: [start - 1, 0],
    until: [3 * MINUTE, 0],
  })

  where(1, 'level:warn')
  where(2, 'level:>=warn')
  where(2, '-level:info')
  where(0, 'level:fatal')
  where(2, 'service:api')
  where(1, '-service:api')
  where(0, 'service:other')
  where(3, '-service:other')
  where(0, 'service:api service:web')
  where(3, 'service:api OR service:web')
  where(2, 'service:a*')
  where(3, 'service:/./')
  where(1, 'trace_id:aa')
  where(2, 'trace_id:*')
  where(1, '-trace_id:*')
  where(0, 'version:*')
  where(0, 'severity_number:>=1')
  // Its message has a variable, so its pattern tells of more records than one.
  where(null, 'service:api trace_id:aa')
  where(1, 'service:api level:error')
  where(1, 'service:api connection')
  where(2, 'level:error OR service:web')
  // All records have it, so it chooses none.
  where(3, 'environment:production')
  where(2, 'environment:production service:api')
  where(1, 'environment:production level:error')
  where(2, 'environment:production connection')
  where(2, 'service:api level:>=info')

  where(2, 'connection')
  where(1, '"connection reset"')
  where(0, '"reset connection"')
  where(1, '-connection')
  where(1, 'connection refused')
  where(2, 'refused OR took')
  where(1, 'connection level:error')
  where(1, 'took')
  where(null, '"took 5 ms"')
  where(0, '"took 5 ms" level:error')
  where(2, '*onnect*  -took')
  where(1, `pattern:${patternId('took <_> ms')}`)
  where(2, `-pattern:${patternId('took <_> ms')}`)
  where(0, 'any:nowhere')
  where(3, '-any:nowhere')
  counts(1, 'words of one pattern in the range', { where: 'connection', since: [3 * MINUTE, 0] })
  counts(null, 'words of a pattern that may reach out of the range', {
    where: 'connection',
    until: [end, 0],
  })
  counts(null, 'words without the pattern', { where: 'connection' }, ['texts'])

  where(null, 'attr.code:200')
  where(1, 'attr.code:*')
  where(2, '-attr.code:*')
  where(3, 'attr.ok:*')
  where(null, 'attr.ok:true')
  where(0, 'attr.none:200')
  where(0, 'attr.ok:>=1')
  where(null, 'attr.user.city:*')
  where(null, 'code:*')
  where(3, 'ok:*')
  counts(null, 'without a detail', { where: 'service:api' }, ['detail'])
  counts(1, 'levels without a detail', { where: 'level:error' }, ['detail', 'filters'])
  counts(3, 'what the filters rule out', { where: '-trace_id:zz' }, ['detail'])

  const more: RecordSpec[] = [...RECORDS, { ms: start, message: 'a <_>', level: 5 }]
  counts(null, 'a record without a pattern may match', { where: 'connection' }, [], more)
  counts(2, 'it has another level', { where: 'connection -level:fatal' }, [], more)
  const many = Array.from({ length: 1100 }, (_, i) => ({ ms: i * MINUTE, message: 'm' }))
  counts(null, 'too many minutes', { since: [MINUTE, 0] }, [], many)
})

describe('countByCatalog: histogram', () => {
  const groups = async (by: GroupField | null, buckets: Buckets, asked: Asked = {}) => {
    const found = await counted({ kind: 'histogram', buckets, by }, asked)
    return found && { records: found.records, ...Object.fromEntries(found.groups) }
  }
  const minutes = { startMs: 0, stepMs: MINUTE, count: 10 }
  const service: GroupField = { in: 'column', name: 'service' }
  const code: GroupField = { in: 'attr', name: 'code' }

  it('by level of whole minutes', async () => {
    expect(await groups({ in: 'level' }, minutes)).toEqual({
      records: 3,
      '=info': [0, 0, 1],
      '=warn': [0, 0, 1],
      '=error': [0, 0, 0, 0, 1],
    })
  })
  it('of all together, with a filter', async () => {
    expect(await groups(null, minutes, { where: 'level:>=warn' })).toEqual({
      records: 2,
      '-': [0, 0, 1, 0, 1],
    })
  })
  it('leaves out what lies in no bucket', async () => {
    expect(await groups(null, { ...minutes, count: 4 })).toEqual({ records: 2, '-': [0, 0, 2] })
    expect(await groups(null, { ...minutes, startMs: 9 * MINUTE })).toEqual({ records: 0 })
  })
  it('needs no detail for a bucket that holds the block', async () => {
    const hour = { startMs: 0, stepMs: 60 * MINUTE, count: 2 }
    const ask: Ask = { kind: 'histogram', buckets: hour, by: { in: 'level' } }
    const found = await counted(ask, {}, ['detail', 'filters'])
    expect(found?.groups).toEqual(new Map(['info', 'warn', 'error'].map((l) => [`=${l}`, [1]])))
  })
  it('by a column that is one for all', async () => {
    const environment: GroupField = { in: 'column', name: 'environment' }
    const two = [0, 0, 2, 0, 1]
    expect(await groups(environment, minutes)).toEqual({ records: 3, '=production': two })
    expect(await groups({ in: 'column', name: 'version' }, minutes)).toEqual({
      records: 3,
      '-': two,
    })
    expect(await groups({ in: 'attr', name: 'none' }, minutes)).toEqual({ records: 3, '-': two })
    expect(await groups(code, minutes)).toBe(null)
    expect(await groups({ in: 'bare', name: 'none' }, minutes)).toBe(null)
  })
  it('by service where each pattern lies in one bucket', async () => {
    const both = { records: 3, '=api': [0, 0, 1, 0, 1], '=web': [0, 0, 1] }
    expect(await groups(service, { ...minutes, stepMs: MINUTE })).toEqual(both)
  })
  it('by pattern, and none where minutes are cut', async () => {
    const found = await groups({ in: 'pattern' }, minutes, { where: 'connection' })
    expect(found).toEqual({
      records: 2,
      [`=${patternId('connection reset by peer')}`]: [0, 0, 1],
      [`=${patternId('connection refused')}`]: [0, 0, 0, 0, 1],
    })
    const specs = [0, 1, 2, 3].map((i) => ({ ms: start + i * 10_000, message: 'm' }))
    const ask: Ask = { kind: 'histogram', buckets: { ...minutes, stepMs: 15_000 }, by: null }
    expect(await counted(ask, {}, [], specs)).toBe(null)
  })
})

describe('countByCatalog: facets', () => {
  const groups = async (fields: GroupField[], asked: Asked = {}, lacking: Lacking = []) => {
    const found = await counted({ kind: 'facets', fields }, asked, lacking)
    return found && { records: found.records, ...Object.fromEntries(found.groups) }
  }
  const service: GroupField = { in: 'column', name: 'service' }
  const trace: GroupField = { in: 'column', name: 'trace_id' }

  it('of columns and levels', async () => {
    expect(await groups([service, { in: 'level' }, trace])).toEqual({
      records: 3,
      '0 =api': [2],
      '0 =web': [1],
      '1 =info': [1],
      '1 =warn': [1],
      '1 =error': [1],
      '2 =aa': [1],
      '2 =bb': [1],
      '2 -': [1],
    })
  })
  it('of services by what patterns decide', async () => {
    const found = { records: 2, '0 =api': [1], '0 =web': [1] }
    expect(await groups([service], { where: 'connection' })).toEqual(found)
    expect(await groups([service], { where: 'level:>=warn' })).toEqual(found)
    expect(await groups([service], { where: 'level:>=warn' }, ['new'])).toBe(null)
  })
  it('only where all fields can be answered', async () => {
    expect(await groups([trace], { where: 'level:error' })).toBe(null)
    expect(await groups([service, { in: 'attr', name: 'code' }])).toBe(null)
    expect(await groups([{ in: 'attr', name: 'user.city' }])).toBe(null)
  })
  it('of an attribute that no record has, if all are listed', async () => {
    const ask: Ask = { kind: 'facets', fields: [{ in: 'attr', name: 'k599' }] }
    const recordsOf = (keys: number) => {
      const members = Array.from({ length: keys }, (_, i) => [`k${i}`, i])
      return [{ rest: JSON.stringify(Object.fromEntries(members)) }]
    }
    expect((await counted(ask, {}, [], recordsOf(5)))?.groups).toEqual(new Map([['0 -', [1]]]))
    expect(await counted(ask, {}, [], recordsOf(600))).toBe(null)
  })
})

describe('countByCatalog: fields', () => {
  const fields = async (asked: Asked, lacking: Lacking = [], records = RECORDS) => {
    const found = await counted({ kind: 'fields' }, asked, lacking, records)
    return found && Object.fromEntries([...found.groups].map(([key, [count]]) => [key, count]))
  }
  const known = {
    'column text service': 3,
    'column text environment': 3,
    'column text trace_id': 2,
    'attr bool ok': 3,
    'attr int code': 1,
    'attr text http.route': 1,
    'attr text name': 1,
    'attr text address': 1,
    'attr text other': 1,
    'attr json list': 1,
    'attr json nothing': 1,
    'attr json user': 1,
  }
  it('of a whole block', async () => {
    expect(await fields({})).toEqual(known)
    expect(await fields({ where: 'environment:production' })).toEqual(known)
  })
  it('of an older block counts columns it has too many values of, or does not list, whole', async () => {
    const severity = { 'column ? severity_text': 3, 'column ? severity_number': 3 }
    expect(await fields({}, ['new'])).toEqual({ ...known, ...severity })
    const specs = Array.from({ length: 70 }, (_, i) =>
      i < 66 ? { text: { span_id: `${i}` } } : {},
    )
    expect(await fields({}, [], specs)).toEqual({ 'column text span_id': 66 })
    expect(await fields({}, ['new'], specs)).toMatchObject({ 'column ? span_id': 70 })
  })
  it('of no record, and not of a part', async () => {
    expect(await fields({ where: 'level:fatal' })).toEqual({})
    expect(await fields({ where: 'level:error' })).toBe(null)
  })
  it('not where there are more keys than are listed', async () => {
    const rest = JSON.stringify(Object.fromEntries(Array.from({ length: 600 }, (_, i) => [i, i])))
    expect(await fields({}, [], [{ rest }])).toBe(null)
  })
})

describe('countByCatalog: patterns', () => {
  const took = (ms: number, level = 2, service = 'api'): RecordSpec => ({
    ms,
    level,
    message: `took ${ms} ms`,
    text: { service },
  })
  const SPECS = [took(0), took(10), took(29, 2, 'web'), { ms: 35, message: 'done', level: 4 }]
  const buckets = { startMs: 0, stepMs: 10, count: 4 }
  const patterns = async (asked: Asked, records: RecordSpec[] = SPECS, lacking: Lacking = []) =>
    (await counted({ kind: 'patterns', buckets }, asked, lacking, records))?.patterns
  const levels = (given: Partial<Record<(typeof LEVELS)[number], number>>) =>
    LEVELS.map((level) => given[level] ?? 0)
  const tookSum = {
    records: 3,
    levels: levels({ info: 3 }),
    services: new Map([
      ['api', 2],
      ['web', 1],
    ]),
    buckets: [1, 1, 1, 0],
    firstMs: 0,
    lastMs: 29,
    text: 'took <_> ms',
    sample: { shard: -1, seq: 3 },
  }
  const doneSum = {
    records: 1,
    levels: levels({ error: 1 }),
    services: new Map([['', 1]]),
    buckets: [0, 0, 0, 1],
    firstMs: 35,
    lastMs: 35,
    text: 'done',
    sample: { shard: -1, seq: 4 },
  }

  it('tell all of them', async () => {
    expect(await patterns({})).toEqual(
      new Map([
        [patternId('took <_> ms'), tookSum],
        [patternId('done'), doneSum],
      ]),
    )
  })
  it('of a level, of words, of a time between patterns', async () => {
    const done = new Map([[patternId('done'), doneSum]])
    expect(await patterns({ where: 'level:error' })).toEqual(done)
    expect(await patterns({ where: 'done' })).toEqual(done)
    expect(await patterns({ since: [30, 0] })).toEqual(done)
    expect(await patterns({ where: 'level:fatal' })).toEqual(new Map())
  })
  it('not of a part of one', async () => {
    expect(await patterns({ where: 'level:error' }, [...SPECS, took(5, 4)])).toBe(undefined)
    expect(await patterns({ since: [10, 0] })).toBe(undefined)
    expect(await patterns({ where: 'service:api' })).toBe(undefined)
  })
  it('spread a count over the buckets in whole numbers that add up', async () => {
    const sumOf = async (times: number[]) =>
      (
        await patterns(
          {},
          times.map((ms) => took(ms)),
        )
      )?.get(patternId('took <_> ms'))?.buckets
    expect(await sumOf([0, 1, 2, 3, 20])).toEqual([3, 2, 0, 0])
    expect(await sumOf([5, 5, 5, 5, 5, 5, 5, 25])).toEqual([2, 4, 2, 0])
    expect(await sumOf([7, 7])).toEqual([2, 0, 0, 0])
    // What is past the last bucket is in none.
    expect(await sumOf([0, 0, 0, 80])).toEqual([1, 0, 1, 0])
  })
  it('count records without one', async () => {
    const found = await patterns({}, [...SPECS, { ms: 8, message: 'a <_>' }])
    const sum = { records: 1, firstMs: 8, lastMs: 8, text: null, sample: { shard: -1, seq: 5 } }
    expect(found?.get('')).toMatchObject(sum)
    expect(found?.size).toBe(3)
  })
  it('of older blocks, where there is one service', async () => {
    expect(await patterns({}, SPECS, ['new'])).toBe(undefined)
    const alone = await patterns({}, [took(0), took(10), { ...took(7), message: 'a <_>' }], ['new'])
    const sum = alone?.get(patternId('took <_> ms'))
    expect(sum).toMatchObject({ records: 2, services: new Map([['api', 2]]) })
    expect(alone?.get('')).toMatchObject({ records: 1, sample: { shard: -1, seq: -1 } })
  })
})
