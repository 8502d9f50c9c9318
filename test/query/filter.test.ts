// The one form of what means the same, and filters that were stored before there was a tree.

import { describe, expect, it } from 'vitest'
import {
  cutsOf,
  EVERYTHING,
  type Filter,
  NOTHING,
  normalFilter,
  type StoredCondition,
  storedFilter,
} from '../../src/query/filter.ts'
import { planFilter } from '../../src/query/parameters.ts'
import { formatSearch } from '../../src/query/search-text.ts'

describe('storedFilter', () => {
  const reads = (name: string, stored: Filter | StoredCondition[], text: string) =>
    it(name, () => {
      const filter = storedFilter(JSON.parse(JSON.stringify(stored)))
      expect(formatSearch(filter)).toBe(text)
      expect(storedFilter(filter)).toBe(filter)
    })
  const tree = (members: object, text: string) => {
    const planned = planFilter(members, 0)
    if (!planned.ok) throw new Error(planned.error.message)
    reads(JSON.stringify(members), planned.data.filter, text)
  }
  tree({}, '*')
  tree({ level: '>=warn', service: 'api' }, 'level:>=warn service:api')
  tree({ 'attr.code': 200, 'attr.user.city': 'x y' }, 'attr.code:200 attr.user.city:"x y"')
  tree({ q: 'Disk "is Full"', trace_id: 'AB' }, 'trace_id:ab Disk "is Full"')
  tree({ level: 'trace,debug,info,warn,error,fatal' }, '*')

  const list = (stored: StoredCondition[], text: string) =>
    reads(`the list before the tree: ${text}`, stored, text)
  list([], '*')
  list([{ kind: 'level', mask: 0b111000 }], 'level:>=warn')
  list(
    [
      { kind: 'column', column: 'service', value: 'api' },
      { kind: 'attribute', key: 'user.city', value: 'x y' },
    ],
    'service:api attr.user.city:"x y"',
  )
  list([{ kind: 'words', phrases: [['disk'], ['is', 'full']] }], 'disk "is full"')
  list([{ kind: 'level', mask: 0 }], '-*')
})

describe('normalFilter', () => {
  it('knows what is everything and what is nothing', () => {
    expect(normalFilter({ kind: 'not', of: { kind: 'level', mask: 63 } })).toEqual(NOTHING)
    expect(normalFilter({ kind: 'or', of: [NOTHING, EVERYTHING] })).toEqual(EVERYTHING)
    expect(normalFilter({ kind: 'and', of: [NOTHING, EVERYTHING] })).toEqual(NOTHING)
    expect(
      normalFilter({ kind: 'text', in: 'any', test: { is: 'glob', parts: ['', '', ''] } }),
    ).toEqual(EVERYTHING)
  })
})

describe('cutsOf', () => {
  it('gives the longest first', () => expect(cutsOf('a.b.c')).toEqual(['a.b.c', 'a.b', 'a']))
  it('leaves a dot at the start', () => expect(cutsOf('.a.b')).toEqual(['.a.b', '.a']))
  it('refuses what has too many', () => expect(cutsOf('a.'.repeat(40))).toBe(null))
})
