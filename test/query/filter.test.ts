// The one form of what means the same, and filters that were stored before there was a tree.

import { describe, expect, it } from 'vitest'
import { cutsOf, EVERYTHING, NOTHING, normalFilter, storedFilter } from '../../src/query/filter.ts'
import { planFilter } from '../../src/query/parameters.ts'
import { formatSearch } from '../../src/query/search-text.ts'

describe('storedFilter', () => {
  const reads = (members: object, text: string) =>
    it(JSON.stringify(members), () => {
      const stored = planFilter(members, 0)
      if (!stored.ok) throw new Error(stored.error.message)
      const filter = storedFilter(JSON.parse(JSON.stringify(stored.data.filter)))
      expect(formatSearch(filter)).toBe(text)
      expect(storedFilter(filter)).toBe(filter)
    })
  reads({}, '*')
  reads({ level: '>=warn', service: 'api' }, 'level:>=warn service:api')
  reads({ 'attr.code': 200, 'attr.user.city': 'x y' }, 'attr.code:200 attr.user.city:"x y"')
  reads({ q: 'Disk "is Full"', trace_id: 'AB' }, 'trace_id:ab disk "is full"')
  reads({ level: 'trace,debug,info,warn,error,fatal' }, '*')
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
