// What a scan reads and decides: patterns spare messages, and blocks need not stand by number.
// Whether it lets through what it should is test/fuzz/scan.test.ts.

import { describe, expect, it } from 'vitest'
import { patternOf } from '../../src/block/pattern.ts'
import { type StoredBatch, storedSegment } from '../../src/block/stored.ts'
import { neededOf } from '../../src/match/eval.ts'
import { Matcher, rowsInSet } from '../../src/match/scan.ts'
import { planFilter, type RecordFilter } from '../../src/query/parameters.ts'
import { batchOf } from '../batches.ts'

const filterOf = (members: object): RecordFilter => {
  const filter = planFilter(members, 0)
  if (!filter.ok) throw new Error(filter.error.message)
  return filter.data
}
const MESSAGES = ['user 17 in', 'disk full', 'user 18 in', 'ready']

/** Messages of which only those of `shown` may be looked at; every second has no pattern. */
function storedOf(
  messages: string[],
  { lacks = [] as number[], mayLook = true } = {},
): StoredBatch {
  const stored = storedSegment(batchOf(messages.map((message) => ({ message }))), 1, 0)
  stored.patterns = messages.map((text, row) => (lacks.includes(row) ? null : patternOf(text)))
  if (mayLook) return stored
  const batch = Object.defineProperty(stored.batch, 'message', {
    get: () => {
      throw new Error('a message was read')
    },
  })
  return { ...stored, batch }
}

describe('a matcher', () => {
  const sieves = (q: string, sure: number[], look: number[], lacks: number[] = []) =>
    it(`${q}: sure of ${sure.join(' ') || 'none'}, looks at ${look.join(' ') || 'none'}`, () => {
      const matcher = new Matcher(filterOf({ q }))
      const stored = storedOf(MESSAGES, { lacks, mayLook: false })
      expect(matcher.sieve(stored, [0, 1, 2, 3])).toEqual({ sure, look })
    })

  sieves('user', [0, 2], [])
  sieves('user', [0], [2], [2])
  sieves('17', [], [0, 2])
  sieves('"disk full"', [1], [])
  sieves('"full disk"', [], [])
  sieves('user 17', [], [0, 2])
  sieves('17 user', [], [0, 2])
  sieves('user full', [], [])
  sieves('nothing', [], [])
  sieves('nothing', [], [1, 3], [1, 3])

  it('reads no message where patterns decide', () => {
    const stored = storedOf(MESSAGES, { mayLook: false })
    expect(new Matcher(filterOf({ q: 'user' })).rows(stored, [0, 1, 2, 3])).toEqual([0, 2])
  })

  it('reads none for rows that fail otherwise', () => {
    const stored = storedOf(MESSAGES, { mayLook: false })
    expect(new Matcher(filterOf({ q: '17', level: 'error' })).rows(stored, [0, 1, 2, 3])).toEqual(
      [],
    )
  })

  it('puts what it looked at in its place', () => {
    const stored = storedOf(['user in', 'user 17', 'user in 17', 'x'], { lacks: [1] })
    expect(new Matcher(filterOf({ q: 'user' })).rows(stored, [0, 1, 2, 3])).toEqual([0, 1, 2])
  })

  it('looks at all messages where nobody computed patterns', () => {
    const stored = { ...storedOf(MESSAGES), patterns: null }
    const matcher = new Matcher(filterOf({ q: 'user' }))
    expect(matcher.sieve(stored, [0, 1])).toEqual({ sure: [], look: [0, 1] })
    expect(matcher.rows(stored, [0, 1, 2])).toEqual([0, 2])
  })
})

describe('neededOf', () => {
  const needs = (members: object, columns: string[], attributes: string[] = []) =>
    it(JSON.stringify(members), () => {
      const needed = neededOf(filterOf(members).filter)
      expect([...needed.columns].sort()).toEqual(columns)
      expect(needed.attributes).toEqual(attributes)
    })

  needs({}, [])
  needs({ since: '5', until: '7' }, [])
  needs({ level: 'info' }, ['level'])
  needs({ service: 'a', trace_id: 'b' }, ['service', 'trace_id'])
  needs({ 'attr.code': 200, 'attr.x': true }, [], ['code', 'x'])
  needs({ q: 'a "b c"' }, ['pattern'])
})

describe('rowsInSet', () => {
  const order = 'asc' as const
  it('skips what is beyond the set wherever it stands', () => {
    const stored = storedSegment(batchOf([{}, {}, {}, {}]), 1, 0)
    stored.seqs.set([4, 1, 3, 2])
    expect(rowsInSet({ after: null, order }, stored, 0, 2)).toEqual([1, 3])
  })

  it('starts behind the page before, told by time, shard and number', () => {
    const stored = storedSegment(batchOf([{ ms: 1 }, { ms: 2 }, { ms: 2 }, { ms: 3 }]), 1, 0)
    const after = { ms: 2, ns: 0, shard: 1, seq: 2 }
    const rows = (order: 'asc' | 'desc', shard: number) =>
      rowsInSet({ after, order }, stored, shard, 99)
    expect(rows('asc', 1)).toEqual([2, 3])
    expect(rows('asc', 0)).toEqual([3])
    expect(rows('asc', 2)).toEqual([1, 2, 3])
    expect(rows('desc', 1)).toEqual([0])
    expect(rows('desc', 0)).toEqual([0, 1, 2])
  })
})
