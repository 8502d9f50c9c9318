import { describe, expect, it } from 'vitest'
import { patternId } from '../../src/block/pattern.ts'
import { type Fate, preparePrune, prune } from '../../src/prune/prune.ts'
import {
  allOf,
  attributeIs,
  type Filter,
  fieldIs,
  levelIn,
  textIs,
} from '../../src/query/filter.ts'
import type { RecordSpec } from '../batches.ts'
import { type Asked, catalogOf, filterOf, type Lacking, RECORDS } from './catalog-of.ts'

const MINUTE = 60_000

async function fateOf(asked: Asked, lacking: Lacking = [], records = RECORDS): Promise<Fate> {
  const { row, source } = await catalogOf(records, lacking)
  return prune(preparePrune(filterOf(asked)), row, source)
}

const is = (fate: Fate, name: string, asked: Asked, lacking: Lacking = []) =>
  it(`${fate}: ${name}`, async () => expect(await fateOf(asked, lacking)).toBe(fate))

const where = (fate: Fate, filter: string | Filter) =>
  is(fate, typeof filter === 'string' ? filter : JSON.stringify(filter), { where: filter })

const start = 2 * MINUTE
const end = 4 * MINUTE + 1

describe('prune by time and level', () => {
  is('open', 'no condition', {})
  is('time', 'since after the last', { since: [end, 1] })
  is('time', 'since after the last millisecond', { since: [end + 1, 0] })
  is('open', 'since the last, which the ceiling hides', { since: [end, 0] })
  is('time', 'until the first, which is excluded', { until: [start, 0] })
  is('open', 'until just after the first', { until: [start, 1] })
  is('time', 'until before the first', { until: [start - 1, 999_999] })
  is('time', 'a minute between records', { since: [3 * MINUTE, 0], until: [4 * MINUTE, 0] })
  is('open', 'that minute and the next', { since: [3 * MINUTE, 0], until: [4 * MINUTE, 1] })
  is('time', 'a minute without the level', { where: 'level:error', until: [3 * MINUTE, 0] })
  is('pattern', 'a part of a minute where no pattern is', {
    since: [start + 11, 0],
    until: [3 * MINUTE + 1, 0],
  })

  where('open', 'level:info')
  where('values', 'level:fatal')
  where('values', { kind: 'or', of: [] })
  where('values', 'level:info level:warn')
  where('values', '-(level:info OR level:warn OR level:error)')
  where('open', '-level:info')
  where('values', '-(level:info OR level:warn OR level:error OR connection)')
})

describe('prune by values', () => {
  where('open', 'trace_id:aa')
  where('filter', 'trace_id:cc')
  where('filter', 'span_id:aa')
  where('filter', 'service:aa')
  where('values', 'service:api service:web')
  where('values', 'trace_id:aa trace_id:bb')
  where('open', 'service:api OR service:web')
  where('filter', 'level:fatal OR service:aa')
  where('open', 'level:error OR service:aa')
  where('values', '-environment:production')
  where('open', '-service:api')
  where('values', '-(service:api OR service:web)')
  where('values', '-service:*')
  where('open', '-trace_id:*')
  where('values', 'span_id:*')
  where('open', 'service:a*')
  where('values', 'service:b*')
  where('values', 'service:/^[b-v]/')
  where('values', 'version:>=1')
  where('values', 'service:>=1')
  where('values', 'service:api -service:a*')
  where('values', 'severity_text:*')
  where('values', 'severity_number:>=17')
  where('pattern', 'level:error service:web')

  is('values', 'no filters', { where: 'level:fatal OR service:aa' }, ['filters'])
  is('values', 'no filters, a range of an absent attribute', { where: 'attr.none:>=500' }, [
    'filters',
  ])
  is('open', 'neither', { where: 'trace_id:zz' }, ['filters', 'detail'])
  is('open', 'too little is told', { where: 'severity_text:*' }, ['new'])

  it('of many values knows how many records have none', async () => {
    const specs = Array.from({ length: 100 }, (_, i) => ({ text: { trace_id: `t${i}` } }))
    expect(await fateOf({ where: '-trace_id:*' }, [], specs)).toBe('values')
    expect(await fateOf({ where: '-trace_id:t1' }, [], specs)).toBe('open')
    expect(await fateOf({ where: '-trace_id:*' }, ['new'], specs)).toBe('open')
  })
})

describe('prune by attributes', () => {
  where('open', 'http.route:"/api/users"')
  where('filter', 'http.route:"/users/api"')
  where('filter', 'http.route:"/API/users"')
  where('open', 'attr.address:10.1.2.3')
  where('filter', 'attr.address:3.2.1.10')
  where('values', 'attr.none:10.1.2.3')
  where('open', 'attr.code:200')
  where('open', 'attr.code:201')
  where('values', 'attr.code:true')
  where('open', 'attr.code:>=200')
  where('values', 'attr.none:>=200')
  where('values', 'attr.ok:>=200')
  where('values', 'attr.ok:1')
  where('open', 'attr.ok:true')
  where('values', 'attr.name:12')
  where('values', '-attr.ok:*')
  where('open', '-attr.code:*')
  // Elements of arrays count; of null nothing does but itself.
  where('open', attributeIs('list', '["x y",1]'))
  where('open', attributeIs('list', '["x y",2]'))
  where('filter', attributeIs('list', '["y x",1]'))
  where('open', 'attr.list:"x y"')
  where('open', 'attr.list:1')
  where('open', 'attr.nothing:null')
  where('filter', 'attr.ok:yes')
  // Paths into maps, and what falls back to the resource.
  where('open', 'attr.user.city:oslo')
  where('filter', 'attr.user.city:paris')
  where('open', 'attr.user.town:*')
  where('values', 'attr.code.city:*')
  where('open', 'code:>=500')
  where('open', 'none:>=500')
  where('filter', 'none:paris')
  where('open', 'resource.service.name:svc')
  where('filter', 'resource.service.name:paris')
  // Words that have both their ends in the part.
  const route = (...parts: string[]) =>
    fieldIs({ in: 'attr', name: 'http.route' }, { is: 'glob', parts })
  where('open', route('/api/', ''))
  where('filter', route('/apo/', ''))
  where('open', route('/ap', ''))
  where('values', fieldIs({ in: 'attr', name: 'code' }, { is: 'glob', parts: ['api ', ''] }))
  where('filter', String.raw`http.route:/\/apo\/u/`)
  where('open', String.raw`http.route:/\/api\/u/`)

  it('knows no key to be absent where there are more than are listed', async () => {
    const many = Array.from({ length: 600 }, (_, i) => [`k${i}`, i])
    const rest = JSON.stringify(Object.fromEntries(many))
    const records: RecordSpec[] = [...RECORDS, { ms: start, rest }]
    expect(await fateOf({ where: 'attr.none:1' }, [], records)).toBe('open')
    expect(await fateOf({ where: 'attr.none:"of words"' }, [], records)).toBe('filter')
  })
})

describe('prune by messages', () => {
  where('open', 'connection')
  where('open', '"connection reset" peer')
  where('filter', 'disconnection')
  where('filter', 'connection disconnection')
  where('open', 'connection OR disconnection')
  where('open', '-disconnection')
  // Words that are in the block, and not together in one of its messages.
  where('pattern', '"peer connection"')
  where('pattern', 'connection took')
  where('pattern', 'ann')
  where('pattern', 'level:error reset')
  where('pattern', '-connection -took')
  where('open', 'level:warn reset')
  where('open', 'level:error OR reset')
  is('pattern', 'a pattern of another time', { where: 'reset', since: [3 * MINUTE, 0] })
  // A variable may be any word with a digit.
  where('open', '"took 5 ms"')
  where('open', '"took 10 ms"')
  where('open', 'conn*')
  const glob = (...parts: string[]) => textIs('message', { is: 'glob', parts })
  where('open', glob('connection re', ''))
  where('pattern', allOf([levelIn(16), glob('connection res', '')]))
  where('filter', glob('connection and re', ''))
  where('pattern', allOf([levelIn(16), glob('', 'reset', '')]))
  const regex = (source: string) => textIs('message', { is: 'regex', source })
  where('open', regex('reset by me'))
  where('pattern', allOf([levelIn(8), regex('reset by me')]))
  where('filter', regex('reset in me'))
  where('open', 'any:ann')
  where('open', 'any:"ann lee"')
  where('filter', 'any:anna')

  where('open', `pattern:${patternId('took <_> ms')}`)
  where('values', `pattern:${patternId('none')}`)
  where('pattern', `pattern:${patternId('took <_> ms')} level:error`)

  is('open', 'no filters', { where: 'connection attr.name:zz' }, ['filters'])
  is('open', 'no detail', { where: '"peer connection"' }, ['detail'])
  is('open', 'no text of a pattern', { where: '"peer connection"' }, ['texts'])

  it('opens what has records without a pattern, unless of another level', async () => {
    const records: RecordSpec[] = [...RECORDS, { ms: start, message: 'a <_>', level: 5 }]
    const fate = (q: string) => fateOf({ where: q }, [], records)
    expect(await fate('"peer connection"')).toBe('open')
    expect(await fate('"peer connection" level:info')).toBe('pattern')
    // All patterns are listed, so it has none of them.
    expect(await fate(`level:fatal pattern:${patternId('took <_> ms')}`)).toBe('pattern')
  })

  it('of more patterns than are kept knows none to be absent, unless by its words', async () => {
    const letters = 'abcdefghijklmnopq'
    const records = Array.from({ length: 289 }, (_, i) => ({
      message: `g${letters[i % 17]} g${letters[(i / 17) | 0]} i`,
    }))
    const last = `pattern:${patternId('gq gq i')}`
    expect(await fateOf({ where: last }, [], records)).toBe('open')
    const { row, source } = await catalogOf(records)
    const known = { ...source, patternText: () => 'nothing of this' }
    expect(prune(preparePrune(filterOf({ where: last })), row, known)).toBe('filter')
  })
})

describe('prune reads', () => {
  const reads = (what: string[], name: string, asked: Asked) =>
    it(`${what.join(', ') || 'nothing'} for ${name}`, async () => {
      const { row, source, read } = await catalogOf(RECORDS)
      prune(preparePrune(filterOf(asked)), row, source)
      expect(read).toEqual(what)
    })
  reads([], 'no condition', {})
  reads([], 'levels', { where: 'level:info' })
  reads([], 'another time', { since: [end, 1], where: 'connection' })
  reads(['ids'], 'an id that is not there', { where: 'reset trace_id:zz' })
  reads(['words'], 'words of which the longest is not there', {
    where: '"reset disconnected by"',
  })
  reads(['ids', 'detail'], 'a value', { where: 'service:api' })
  reads([], 'what may match whatever else is told', { where: 'level:error OR service:api' })
  reads(['detail'], 'what is not to be, of which filters tell nothing', { where: '-service:api' })
})
