// Tables of counts that are full, and aggregations whose groups or numbers are too many.

import { describe, expect, it } from 'vitest'
import { storedSegment } from '../../src/block/stored.ts'
import { AggregateCounter } from '../../src/count/aggregate.ts'
import { FacetsCounter } from '../../src/count/counting.ts'
import { Groups, MISSING, OTHERS } from '../../src/count/groups.ts'
import {
  AGGREGATE_SERIES_MAX,
  ELEMENTS_MAX,
  GROUP_CELLS_MAX,
  GROUP_CHARS_MAX,
  GROUPS_MAX,
} from '../../src/limits.ts'
import { batchOf } from '../batches.ts'

describe('a table of groups', () => {
  it('keeps the first values, and counts what comes after them as others', () => {
    const groups = new Groups(1)
    for (let i = 0; i < GROUPS_MAX + 5; i++) groups.add(groups.lineOf(`v${i}`), 0, 1)
    groups.add(groups.lineOf('v7'), 0, 2)
    expect([groups.size, groups.sum(OTHERS), groups.isComplete]).toEqual([GROUPS_MAX, 5, false])
    expect([...groups.byCount(false)][0]).toMatchObject({ value: 'v7', count: 3 })
  })

  it('holds no more characters, and no more numbers, than it may', () => {
    const long = new Groups(1)
    const text = 'x'.repeat(64 * 1024)
    for (let i = 0; i < 40; i++) long.add(long.lineOf(text + i), 0, 1)
    expect(long.size).toBe(Math.floor(GROUP_CHARS_MAX / (text.length + 1.5)))
    expect(long.sum(OTHERS)).toBe(40 - long.size)
    const wide = new Groups(2000)
    for (let i = 0; i < 2000; i++) wide.add(wide.lineOf(`v${i}`), 1999, 1)
    expect(wide.size).toBe(GROUP_CELLS_MAX / 2000)
    expect(wide.sum(OTHERS)).toBe(2000 - wide.size)
  })

  it('lists by count, then by value, those without one last', () => {
    const groups = new Groups(2)
    for (const value of ['b', 'a', 'c', '']) groups.add(groups.lineOf(value), 1, 1)
    groups.add(groups.lineOf('c'), 0, 1)
    groups.add(MISSING, 0, 1)
    const listed = (withMissing: boolean) =>
      [...groups.byCount(withMissing)].map(({ value, count }) => [value, count])
    expect(listed(false)).toEqual([
      ['c', 2],
      ['', 1],
      ['a', 1],
      ['b', 1],
    ])
    expect(listed(true).at(-1)).toEqual([null, 1])
  })
})

const many = (count: number, from = 0) =>
  storedSegment(
    batchOf(
      Array.from({ length: count }, (_, i) => ({
        ms: 1000 + i,
        attributes: { n: from + i, same: i % 10 },
      })),
    ),
    1,
    0,
  )
const rowsOf = (count: number) => Array.from({ length: count }, (_, row) => row)
const attr = (name: string) => ({ name, field: { in: 'attr', name } as const })

describe('more than can be told apart', () => {
  it('facets say so, and what they show is exact', () => {
    const counter = new FacetsCounter({ kind: 'facets', fields: [attr('n').field] })
    for (const from of [0, 6000, 0]) counter.count(many(6000, from), rowsOf(6000))
    const [facet] = counter.view(['n'], 2)
    expect(facet).toEqual({
      field: 'n',
      values: [
        { value: '0', count: 2, share: 0.000111 },
        { value: '1', count: 2, share: 0.000111 },
      ],
      distinct: GROUPS_MAX,
      missing: 0,
      other: 18_000 - 4,
      is_complete: false,
    })
  })

  it('an aggregation says so', () => {
    const buckets = { startMs: 0, stepMs: 1000, count: 2000 }
    const count = { name: 'count', is: 'count' } as const
    const of = { value: null, by: [attr('n')], functions: [count], buckets }
    const counter = new AggregateCounter(of)
    counter.count(many(100), rowsOf(100))
    expect([counter.size, counter.isComplete]).toEqual([AGGREGATE_SERIES_MAX / 2000, false])
  })
})

describe('a record with long arrays', () => {
  it('adds every number to each of its groups', () => {
    const rest = JSON.stringify({ n: Array.from({ length: 3000 }, (_, i) => i) })
    const stored = storedSegment(batchOf(Array.from({ length: 20 }, () => ({ rest }))), 1, 0)
    const functions = [{ name: 'sum', is: 'sum' } as const]
    const of = { value: attr('n').field, by: [attr('n')], functions, buckets: null }
    const counter = new AggregateCounter(of)
    counter.count(stored, rowsOf(20))
    expect(counter.size).toBe(ELEMENTS_MAX)
    expect(counter.view(1)).toMatchObject([{ by: { n: '0' }, sum: 20 * 2999 * 1500 }])
  })
})

describe('percentiles of more numbers than are kept', () => {
  const functions = [
    { name: 'p50', is: 'quantile', part: 0.5 },
    { name: 'p99', is: 'quantile', part: 0.99 },
    { name: 'max', is: 'max' },
    { name: 'sum', is: 'sum' },
  ] as const
  const run = (numbers: number, bins: number) => {
    const of = { value: attr('n').field, by: [], functions: [...functions], buckets: null }
    const counter = new AggregateCounter(of, { numbers, bins })
    counter.count(many(5000), rowsOf(5000))
    return { counter, group: counter.view(1)[0]! as unknown as Record<string, number> }
  }

  it('are exact up to the bound', () => {
    const { counter, group } = run(5000, 10)
    expect(counter.relativeError).toBe(null)
    expect(group).toMatchObject({ p50: 2499.5, p99: 4949.01, max: 4999 })
  })

  it('are off by one hundredth beyond it', () => {
    const { counter, group } = run(4000, 10_000)
    expect(counter.relativeError).toBe(0.01)
    expect(Math.abs(group.p50! / 2499.5 - 1)).toBeLessThan(0.01)
    expect(Math.abs(group.p99! / 4949.01 - 1)).toBeLessThan(0.01)
    expect(group).toMatchObject({ max: 4999, sum: 12_497_500 })
  })

  it('are off by more when the bins are too many, and say by how much', () => {
    const { counter, group } = run(4000, 50)
    const error = counter.relativeError!
    expect(error).toBeGreaterThan(0.01)
    expect(error).toBeLessThan(0.2)
    expect(Math.abs(group.p50! / 2499.5 - 1)).toBeLessThan(error)
  })
})
