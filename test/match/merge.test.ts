// A page: the best records first, whatever order they come in, and no more of them than it may hold.

import { describe, expect, it } from 'vitest'
import { storedSegment } from '../../src/block/stored.ts'
import { PAGE_BYTES_MAX } from '../../src/limits.ts'
import { Page, Tally } from '../../src/match/merge.ts'
import { EVERYTHING } from '../../src/query/filter.ts'
import type { Plan } from '../../src/query/plan.ts'
import type { RecordBatch } from '../../src/record.ts'
import { batchOf, randomOf } from '../batches.ts'

const T = 1_720_000_000_000

const planOf = (order: 'asc' | 'desc', limit: number): Plan => ({
  filter: EVERYTHING,
  since: null,
  until: null,
  order,
  limit,
  hash: '',
  maxSeqs: [],
  after: null,
})

/** A record in an answer: `ms.ns`, told apart by its id. */
type Place = [ms: number, ns?: number]
interface Part {
  shard: number
  seq: number
  places: Place[]
}
const part = (shard: number, seq: number, ...places: Place[]): Part => ({ shard, seq, places })

function pageOf(order: 'asc' | 'desc', limit: number, parts: Part[]): Page {
  const page = new Page(planOf(order, limit))
  for (const { shard, seq, places } of parts) {
    const batch = batchOf(places.map(([ms, ns = 0]) => ({ ms, ns })))
    addTo(page, batch, seq, shard)
  }
  return page
}

/** All records of a batch, as a scan adds them. */
function addTo(page: Page, batch: RecordBatch, seq: number, shard = 0): void {
  const stored = storedSegment(batch, seq, T)
  page.add(stored, page.wanted(stored, [...batch.timeMs.keys()], shard), shard)
}
const idsOf = (page: Page) => page.records().map(({ id }) => id)

describe('a page', () => {
  const shows = (name: string, order: 'asc' | 'desc', parts: Part[], ids: string[], limit = 10) =>
    it(name, () => expect(idsOf(pageOf(order, limit, parts))).toEqual(ids))

  shows('nothing', 'asc', [], [])
  shows('oldest first', 'asc', [part(0, 1, [5], [3], [4])], ['0-2', '0-3', '0-1'])
  shows('newest first', 'desc', [part(0, 1, [5], [3], [4])], ['0-1', '0-3', '0-2'])
  shows('nanoseconds', 'asc', [part(0, 1, [5, 2], [5, 1], [4, 9])], ['0-3', '0-2', '0-1'])
  shows(
    'ties by shard, then number',
    'asc',
    [part(1, 1, [5], [5]), part(0, 7, [5])],
    ['0-7', '1-1', '1-2'],
  )
  shows('the reverse of it', 'desc', [part(1, 1, [5], [5]), part(0, 7, [5])], ['1-2', '1-1', '0-7'])
  shows(
    'the best of what came late',
    'asc',
    [part(0, 1, [5], [6], [7]), part(0, 4, [1])],
    ['0-4', '0-1'],
    2,
  )
  shows(
    'none of what came late and is worse',
    'asc',
    [part(0, 1, [5], [6], [7]), part(0, 4, [9])],
    ['0-1', '0-2'],
    2,
  )

  it('is the best of all for any order of arrival, by seed', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = randomOf(seed)
      const below = (n: number) => Math.floor(random() * n)
      const [order, limit] = [below(2) === 0 ? 'asc' : 'desc', 1 + below(12)] as const
      const parts = Array.from({ length: 1 + below(6) }, (_, i) =>
        part(
          below(3),
          1 + i * 100,
          ...Array.from({ length: below(8) }, (): Place => [below(6), below(3)]),
        ),
      )
      const all = parts.flatMap(({ shard, seq, places }) =>
        places.map(([ms, ns = 0], row) => ({ ms, ns, shard, seq: seq + row })),
      )
      all.sort((a, b) => a.ms - b.ms || a.ns - b.ns || a.shard - b.shard || a.seq - b.seq)
      if (order === 'desc') all.reverse()
      const page = pageOf(order, limit, parts)
      const shown = all.slice(0, limit)
      expect(idsOf(page), `seed ${seed}`).toEqual(shown.map(({ shard, seq }) => `${shard}-${seq}`))
      expect(page.lastBeforeMore(), `seed ${seed}`).toEqual(
        all.length > limit ? shown.at(-1) : null,
      )
    }
  })
})

describe('wanted', () => {
  const wants = (
    name: string,
    order: 'asc' | 'desc',
    limit: number,
    times: number[],
    rows: number[],
  ) =>
    it(`${name}: ${rows.join(' ') || 'none'}`, () => {
      const page = pageOf(order, limit, [part(0, 1, [10], [20], [30])])
      const stored = storedSegment(batchOf(times.map((ms) => ({ ms }))), 11, T)
      // Nothing but times and numbers is looked at.
      stored.batch.message = []
      const wanted = page.wanted(stored, [...times.keys()], 0)
      expect(wanted.sort((a, b) => a - b)).toEqual(rows)
    })

  wants('all while there is room', 'asc', 10, [5, 40], [0, 1])
  wants('what is better than the worst kept', 'asc', 2, [25, 30, 35], [0])
  wants('no more of them than fit', 'asc', 2, [1, 2, 3, 4, 5], [0, 1, 2])
  wants('newest first, the newest', 'desc', 2, [1, 40, 50, 60, 70], [2, 3, 4])
  wants('a tie that comes later', 'asc', 2, [30], [])
  wants('newest first, a tie that came later', 'desc', 2, [10], [0])
})

describe('a tally', () => {
  it('counts what it is given and wants no record', () => {
    const tally = new Tally()
    const stored = storedSegment(batchOf([{}, {}, {}]), 1, T)
    expect(tally.wanted(stored, [0, 2])).toEqual([])
    expect(tally.wanted(stored, [1])).toEqual([])
    expect(tally.records).toBe(3)
    expect(tally.mayHold()).toBe(true)
  })
})

describe('mayHold', () => {
  const three = [part(0, 1, [10], [20], [30])]
  const holds = (name: string, order: 'asc' | 'desc', limit: number, ms: number, may: boolean) =>
    it(`${name}: ${may}`, () => expect(pageOf(order, limit, three).mayHold(ms)).toBe(may))

  holds('anything while there is room', 'asc', 3, 1e9, true)
  holds('what is better than the one kept to know of more', 'asc', 2, 29, true)
  holds('what ties with it: its nanoseconds may be better', 'asc', 2, 30, true)
  holds('nothing worse', 'asc', 2, 31, false)
  holds('newest first, what is newer', 'desc', 2, 11, true)
  holds('newest first, what ties', 'desc', 2, 10, true)
  holds('newest first, nothing older', 'desc', 2, 9, false)
})

describe('a page of large records', () => {
  /** Records of a quarter of what a page may hold, at these times. */
  const QUARTER = 'x'.repeat(PAGE_BYTES_MAX / 4 - 2000)
  function largeOf(order: 'asc' | 'desc', ...batches: number[][]): Page {
    const page = new Page(planOf(order, 100))
    let seq = 1
    for (const times of batches) {
      const batch = batchOf(times.map((ms) => ({ ms, message: QUARTER })))
      addTo(page, batch, seq)
      seq += times.length
    }
    return page
  }
  const timesOf = (page: Page) => page.records().map(({ timestamp }) => timestamp)

  it('holds what fits and says that there is more', () => {
    const page = largeOf('asc', [1, 2, 3, 4, 5, 6])
    expect(timesOf(page)).toEqual([1, 2, 3, 4])
    expect(page.lastBeforeMore()).toEqual({ ms: 4, ns: 0, shard: 0, seq: 4 })
    expect([page.mayHold(3), page.mayHold(5)]).toEqual([true, false])
  })

  it('that fits has no more', () => {
    const page = largeOf('asc', [1, 2], [3, 4])
    expect(timesOf(page)).toEqual([1, 2, 3, 4])
    expect(page.lastBeforeMore()).toBeNull()
  })

  it('gives way to better ones, and takes no worse one back', () => {
    const page = largeOf('asc', [3, 4, 5, 6, 7], [1, 2], [8])
    expect(timesOf(page)).toEqual([1, 2, 3, 4])
    expect(page.lastBeforeMore()).toMatchObject({ ms: 4 })
  })

  it('shows one at least', () => {
    const page = new Page(planOf('asc', 100))
    const message = 'x'.repeat(PAGE_BYTES_MAX + 1)
    addTo(
      page,
      batchOf([
        { ms: 1, message },
        { ms: 2, message: 'small' },
      ]),
      1,
    )
    expect(timesOf(page)).toEqual([1])
    expect(page.lastBeforeMore()).toMatchObject({ ms: 1 })
  })
})
