// Parameters as a plan: what each one becomes, what is refused, and what a cursor carries and
// belongs to.

import { describe, expect, it } from 'vitest'
import { QUERY_ATTRIBUTES_MAX, QUERY_TEXT_CHARS_MAX } from '../../src/limits.ts'
import {
  ALL_LEVELS,
  allOf,
  attributeIs,
  columnIs,
  EVERYTHING,
  type Filter,
  fieldIs,
  levelIn,
  NOTHING,
  notOf,
  someOf,
  textIs,
} from '../../src/query/filter.ts'
import { matchesEverything, planFilter, type QueryScope } from '../../src/query/parameters.ts'
import { type Plan, planAll, planQuery, rangeOf, writeCursor } from '../../src/query/plan.ts'
import { formatSearch } from '../../src/query/search-text.ts'

const NOW = 1_720_000_000_000
const MINE: QueryScope = { tenantId: 't1', workspaceId: null }
const BOUND: QueryScope = { tenantId: 't1', workspaceId: 'w1' }

const planOf = (query: string, scope = MINE) => planQuery(new URLSearchParams(query), scope, NOW)

function must(query: string, scope = MINE): Plan {
  const plan = planOf(query, scope)
  if (!plan.ok) throw new Error(plan.error.message)
  return plan.data
}

describe('planQuery', () => {
  const filters = (query: string, filter: Filter, scope = MINE) =>
    it(`${query || 'nothing'} filters by ${formatSearch(filter)}`, () =>
      expect(must(query, scope).filter).toEqual(filter))
  const has = (query: string, members: Partial<Plan>) =>
    it(`${query || 'nothing'} has ${Object.keys(members).join(', ')}`, () =>
      expect(must(query)).toMatchObject(members))
  const refuses = (query: string, code: string, parameter: string, text: string, scope = MINE) =>
    it(`refuses ${query.slice(0, 40)}: ${code}`, () => {
      const details = { parameter }
      const plan = planOf(query, scope)
      expect(plan).toMatchObject({ ok: false, error: { code, details } })
      expect(!plan.ok && plan.error.message).toContain(text)
    })
  const words = (text: string) => textIs('message', { is: 'phrase', text })

  filters('', EVERYTHING)
  filters('app_id=whatever', EVERYTHING)
  filters('level=error', { kind: 'level', mask: 1 << 4 })
  filters('level=trace,FATAL', { kind: 'level', mask: 0b100001 })
  filters('level=>=warn', { kind: 'level', mask: 0b111000 })
  filters('level=>=trace', EVERYTHING)
  filters('service=api', {
    kind: 'field',
    field: { in: 'column', name: 'service' },
    test: { is: 'equal', value: 'api' },
  })
  filters('user_id=Ab', columnIs('user_id', 'Ab'))
  filters('trace_id=AB', columnIs('trace_id', 'ab'))
  filters('span_id=AB', columnIs('span_id', 'ab'))
  filters('attr.a.b=1', {
    kind: 'field',
    field: { in: 'attr', name: 'a.b' },
    test: { is: 'equal', value: '1' },
  })
  filters('attr.b=1&attr.a=2&service=x', {
    kind: 'and',
    of: [columnIs('service', 'x'), attributeIs('a', '2'), attributeIs('b', '1')],
  })
  filters('workspace_id=w2', columnIs('workspace_id', 'w2'))
  filters('', columnIs('workspace_id', 'w1'), BOUND)
  filters('level=info&q=a OR b', {
    kind: 'and',
    of: [levelIn(1 << 2), { kind: 'or', of: [words('a'), words('b')] }],
  })
  // The key's condition comes first, whatever is asked.
  filters(
    'workspace_id=w1',
    allOf([columnIs('workspace_id', 'w1'), columnIs('workspace_id', 'w1')]),
    BOUND,
  )
  filters(
    'q=a OR b',
    allOf([columnIs('workspace_id', 'w1'), someOf([words('a'), words('b')])]),
    BOUND,
  )
  filters('level=info&q=level:>=info', levelIn(1 << 2))
  filters('level=info&q=level:warn', NOTHING)

  filters('q=One "two THREE"', allOf([words('One'), words('two THREE')]))
  filters('q=a-b', words('a-b'))
  filters('q=level:error', levelIn(1 << 4))
  filters('q=a NOT b', allOf([words('a'), notOf(words('b'))]))
  filters('q=a (b)', allOf([words('a'), words('b')]))
  filters('q=conn*', textIs('message', { is: 'glob', parts: ['conn', ''] }))
  filters('q=-retry', notOf(words('retry')))
  filters('q=any:x', textIs('any', { is: 'phrase', text: 'x' }))
  filters(
    'q=status:>=500',
    fieldIs(
      { in: 'bare', name: 'status' },
      { is: 'range', from: { value: 500, isInside: true }, to: null },
    ),
  )

  has('', { order: 'desc', limit: 100, since: null, until: null, maxSeqs: [], after: null })
  has('order=asc&limit=1000', { order: 'asc', limit: 1000 })
  has('limit=1', { limit: 1 })
  has('since=15m', { since: { ms: NOW - 900_000, ns: 0 } })
  has('until=1720000000123456789', { until: { ms: 1_720_000_000_123, ns: 456_789 } })

  refuses('workspace_id=w2', 'forbidden', 'workspace_id', 'w', BOUND)
  refuses('sevrice=a', 'bad_request', 'sevrice', 'unknown')
  refuses('source_location=a', 'bad_request', 'source_location', 'unknown')
  refuses('level=info&level=warn', 'bad_request', 'level', 'twice')
  refuses('level=', 'bad_request', 'level', 'no value')
  refuses('level=info,', 'bad_request', 'level', '""')
  refuses('level=>=loud', 'bad_request', 'level', '"loud"')
  refuses('order=DESC', 'bad_request', 'order', '"DESC"')
  refuses('limit=1.5', 'bad_request', 'limit', '"1.5"')
  refuses('limit=0', 'bad_request', 'limit', '1 to 1000')
  refuses('limit=1001', 'bad_request', 'limit', '1 to 1000')
  refuses('since=soon', 'bad_request', 'since', 'soon')
  refuses('until=soon', 'bad_request', 'until', 'soon')
  refuses('since=1h&until=2h', 'bad_request', 'until', 'until "2h" is before since "1h"')
  has('since=1h&until=1h', { since: { ms: NOW - 3_600_000, ns: 0 } })
  refuses(`service=${'x'.repeat(QUERY_TEXT_CHARS_MAX + 1)}`, 'bad_request', 'service', '4096')
  refuses('q=a "b', 'bad_query', 'q', 'column 3')
  refuses('q=a (b', 'bad_query', 'q', 'column 3')
  refuses('q=level:loud', 'bad_query', 'q', 'column 7')
  refuses('q=a NOT', 'bad_query', 'q', 'column 6')
  refuses('q=a OR', 'bad_query', 'q', 'column 5')
  refuses('q=x:/(/', 'bad_query', 'q', 'column 3')
  refuses('q=""', 'bad_query', 'q', 'no word')
  refuses(`q=${'w '.repeat(65)}`, 'bad_query', 'q', 'more than 64')

  it('takes as many attributes as it says, and no more', () => {
    const many = (n: number) => Array.from({ length: n }, (_, i) => `attr.k${i}=v`).join('&')
    const { filter } = must(many(QUERY_ATTRIBUTES_MAX))
    expect(filter.kind === 'and' && filter.of.length).toBe(QUERY_ATTRIBUTES_MAX)
    expect(planOf(many(QUERY_ATTRIBUTES_MAX + 1))).toMatchObject({ ok: false })
  })
})

describe('a cursor', () => {
  const AFTER = { ms: NOW, ns: 5, shard: 1, seq: 7 }
  const cursorOf = (query: string, scope = MINE) =>
    writeCursor(must(query, scope), [7, null, 9], AFTER)
  const follow = (query: string, cursor: string, scope = MINE) =>
    planQuery([...new URLSearchParams(query), ['cursor', cursor]], scope, NOW + 60_000)

  const takes = (name: string, first: string, next: string, scope = MINE) =>
    it(`is taken: ${name}`, () => {
      const plan = follow(next, cursorOf(first, scope), scope)
      expect(plan).toMatchObject({ ok: true, data: { maxSeqs: [7, null, 9], after: AFTER } })
    })
  const refuses = (name: string, first: string, next: string, scopes = [MINE, MINE]) =>
    it(`is refused: ${name}`, () => {
      const error = { code: 'bad_request', details: { parameter: 'cursor' } }
      const plan = follow(next, cursorOf(first, scopes[0]), scopes[1])
      expect(plan).toMatchObject({ ok: false, error })
    })

  takes('under the same query', 'service=a&q=b&order=asc', 'order=asc&q=b&service=a')
  takes('with another limit', 'limit=5', 'limit=7')
  takes('with an app_id added', '', 'app_id=mine')
  takes('of a key bound to a workspace', '', '', BOUND)
  refuses('under another filter', 'service=a', 'service=b')
  refuses('with a filter added', '', 'level=info')
  refuses('with a filter dropped', 'level=info', '')
  refuses('under another order', 'order=asc', 'order=desc')
  refuses('under another since', 'since=15m', 'since=16m')
  refuses('under another until', 'until=15m', 'until=16m')
  refuses('of another app', '', '', [MINE, { ...MINE, tenantId: 't2' }])
  refuses('of another workspace', '', '', [BOUND, { ...BOUND, workspaceId: 'w2' }])
  refuses('of a key bound to none', '', 'workspace_id=w1', [MINE, BOUND])

  it('keeps the range of the first page, though time goes on', () => {
    const plan = follow('since=15m&until=1m', cursorOf('since=15m&until=1m'))
    const [since, until] = [
      { ms: NOW - 900_000, ns: 0 },
      { ms: NOW - 60_000, ns: 0 },
    ]
    expect(plan).toMatchObject({ ok: true, data: { since, until } })
  })

  it('has that range also where a relative since has gone past until', () => {
    const query = `since=1s&until=${NOW}`
    const later = planQuery(
      new URLSearchParams(`${query}&cursor=${cursorOf(query)}`),
      MINE,
      NOW + 60_000,
    )
    expect(later).toMatchObject({ ok: true, data: { since: { ms: NOW - 1000 } } })
  })

  it('may stand before the first record', () => {
    const plan = must('')
    const again = follow('', writeCursor(plan, [3], null))
    expect(again).toMatchObject({ ok: true, data: { maxSeqs: [3], after: null } })
  })

  const isNone = (name: string, change: (wire: Record<string, unknown>) => unknown) =>
    it(`is none of ours: ${name}`, () => {
      const wire = JSON.parse(Buffer.from(cursorOf(''), 'base64url').toString())
      const text = Buffer.from(JSON.stringify(change(wire))).toString('base64url')
      expect(follow('', text)).toMatchObject({ ok: false, error: { code: 'bad_request' } })
    })

  isNone('null', () => null)
  isNone('a number', () => 7)
  isNone('another version', (wire) => ({ ...wire, v: 2 }))
  isNone('no sequence numbers', ({ seqs: _, ...wire }) => wire)
  isNone('a sequence number that is text', (wire) => ({ ...wire, seqs: ['7'] }))
  isNone('of no shard', (wire) => ({ ...wire, seqs: [] }))
  isNone('more shards than there can be', (wire) => ({ ...wire, seqs: new Array(65).fill(1) }))
  isNone('a time without nanoseconds', (wire) => ({ ...wire, since: { ms: 1 } }))
  isNone('a place without a shard', (wire) => ({ ...wire, after: { ms: 1, ns: 1, seq: 1 } }))
  isNone('a fraction', (wire) => ({ ...wire, after: { ...AFTER, ms: 1.5 } }))

  it('is none of ours: cut short, or no base64', () => {
    for (const text of [cursorOf('').slice(0, -4), 'a', '====', '{}']) {
      expect(follow('', text), text).toMatchObject({ ok: false, error: { code: 'bad_request' } })
    }
  })
})

describe('planAll', () => {
  const countOf = (query: string) => planAll(new URLSearchParams(query), BOUND, NOW)

  it('chooses records as planQuery does', () => {
    const query = 'level=>=warn&service=a&attr.code=200&q=b&since=15m&until=1m'
    const { filter, since, until } = must(query, BOUND)
    expect(countOf(query)).toMatchObject({ ok: true, data: { filter, since, until } })
  })

  const refuses = (query: string, code: string, parameter: string) =>
    it(`refuses ${query}`, () =>
      expect(countOf(query)).toMatchObject({ ok: false, error: { code, details: { parameter } } }))

  refuses('limit=5', 'bad_request', 'limit')
  refuses('order=asc', 'bad_request', 'order')
  refuses('cursor=x', 'bad_request', 'cursor')
  refuses('workspace_id=w2', 'forbidden', 'workspace_id')
  refuses('q=(a', 'bad_query', 'q')
})

describe('planFilter', () => {
  const takes = (filter: object, query: string) =>
    it(`takes ${JSON.stringify(filter)}`, () => {
      const { filter: conditions, since, until } = must(query)
      expect(planFilter(filter, NOW)).toEqual({
        ok: true,
        data: { filter: conditions, since, until },
      })
    })
  const refuses = (filter: unknown, parameter: string, text: string, code = 'bad_request') =>
    it(`refuses ${JSON.stringify(filter)}`, () => {
      const planned = planFilter(filter, NOW)
      expect(planned).toMatchObject({ ok: false, error: { code, details: { parameter } } })
      expect(!planned.ok && planned.error.message).toContain(text)
    })

  takes({}, '')
  takes({ level: '>=warn', service: 'a' }, 'level=>=warn&service=a')
  takes({ 'attr.code': 200, 'attr.ok': true }, 'attr.code=200&attr.ok=true')
  takes({ q: 'One "two THREE"' }, 'q=One "two THREE"')
  takes({ workspace_id: 'w1' }, 'workspace_id=w1')
  takes({ since: '15m', until: 1_719_999_999 }, 'since=15m&until=1719999999')
  takes({ until: '2024-01-01' }, 'until=2024-01-01')

  refuses(null, 'filter', 'an object')
  refuses('level=info', 'filter', 'an object')
  refuses([['level', 'info']], 'filter', 'an object')
  refuses({ level: ['info'] }, 'level', 'text or a number')
  refuses({ service: null }, 'service', 'text or a number')
  refuses({ service: '' }, 'service', 'no value')
  refuses({ sevrice: 'a' }, 'sevrice', 'unknown')
  refuses({ limit: 5 }, 'limit', 'unknown')
  refuses({ order: 'asc' }, 'order', 'unknown')
  refuses({ cursor: 'x' }, 'cursor', 'unknown')
  refuses({ app_id: 'mine' }, 'app_id', 'unknown')
  refuses({ until: 'soon' }, 'until', 'soon')
  refuses({ q: 'a "b' }, 'q', 'column 3', 'bad_query')
})

describe('matchesEverything', () => {
  const says = (filter: object, everything: boolean) =>
    it(`${JSON.stringify(filter)}: ${everything}`, () => {
      const planned = planFilter(filter, NOW)
      expect(planned.ok && matchesEverything(planned.data)).toBe(everything)
    })

  says({}, true)
  says({ level: '>=trace' }, true)
  says({ since: 0 }, true)
  says({ since: 1 }, false)
  says({ until: '2024-01-01' }, false)
  says({ level: '>=debug' }, false)
  says({ service: 'a' }, false)
  says({ q: 'a' }, false)
})

describe('rangeOf', () => {
  const gives = (name: string, change: Partial<Plan>, range: Partial<ReturnType<typeof rangeOf>>) =>
    it(name, () => expect(rangeOf({ ...must('level=>=warn'), ...change })).toMatchObject(range))
  const after = { ms: 500, ns: 1, shard: 0, seq: 1 }

  gives('the levels of the filter', {}, { levelMask: 0b111000 })
  gives('all levels without one', { filter: EVERYTHING }, { levelMask: ALL_LEVELS })
  const filter = (q: string) => ({ filter: must(new URLSearchParams({ q }).toString()).filter })
  gives('levels that all of some hold', filter('a level:<=error'), { levelMask: 0b011111 })
  gives('levels that one of some has', filter('(a level:warn) OR level:info'), {
    levelMask: 0b001100,
  })
  gives('all levels where one asks none', filter('a OR level:info'), { levelMask: ALL_LEVELS })
  gives('all levels under a not', filter('-(a level:info)'), { levelMask: ALL_LEVELS })
  gives('all of time', {}, { minMs: 0, maxMs: Number.MAX_SAFE_INTEGER })
  gives(
    'since and until',
    { since: { ms: 5, ns: 9 }, until: { ms: 9, ns: 1 } },
    { minMs: 5, maxMs: 9 },
  )
  gives('up to the place reached, whose nanoseconds count', { after }, { minMs: 0, maxMs: 501 })
  gives(
    'from the place reached',
    { after, order: 'asc' },
    { minMs: 500, maxMs: Number.MAX_SAFE_INTEGER },
  )
  gives('until, when the place is later', { after, until: { ms: 9, ns: 0 } }, { maxMs: 9 })
  gives(
    'since, when the place is earlier',
    { after, order: 'asc', since: { ms: 900, ns: 0 } },
    { minMs: 900 },
  )
})
