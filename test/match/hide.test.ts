// What deletions hide: up to their sequence number, what they match, and not what an earlier rule
// speaks for.

import { describe, expect, it } from 'vitest'
import { type StoredBatch, storedSegment } from '../../src/block/stored.ts'
import { Hide } from '../../src/match/hide.ts'
import { recordView } from '../../src/match/view.ts'
import { planFilter, type RecordFilter } from '../../src/query/parameters.ts'
import type { Tombstone } from '../../src/query/tombstone.ts'
import { batchOf, type RecordSpec, randomOf } from '../batches.ts'
import { matches } from './naive.ts'

const filterOf = (members: object): RecordFilter => {
  const filter = planFilter(members, 0)
  if (!filter.ok) throw new Error(filter.error.message)
  return filter.data
}

interface Told {
  maxSeq?: number
  match?: object
  unless?: object[]
}
const tombstoneOf = ({ maxSeq = 1000, match = {}, unless = [] }: Told, i: number): Tombstone => ({
  id: i + 1,
  maxSeq,
  match: filterOf(match),
  unless: unless.map(filterOf),
})

const SPECS: RecordSpec[] = [
  { ms: 1000, level: 4, message: 'disk full', text: { service: 'api' } },
  { ms: 2000, level: 2, message: 'user 7 in', text: { service: 'web' } },
  { ms: 3000, level: 4, message: 'user 8 in', text: { service: 'api', user_id: '8' } },
  { ms: 4000, level: 1, message: 'ready' },
]
/** Their numbers are 11 to 14. */
const stored = () => storedSegment(batchOf(SPECS), 11, 0)

describe('tombstones', () => {
  const hide = (name: string, told: Told[], by: number[] | null) =>
    it(name, () => {
      const tombstones = told.map(tombstoneOf)
      const found = new Hide(tombstones).hiddenBy(stored())
      expect(found && [...found]).toEqual(by)
      const visible = [0, 1, 2, 3].filter((row) => !by?.[row])
      expect(new Hide(tombstones).visible(stored(), [0, 1, 2, 3])).toEqual(visible)
      expect(new Hide(tombstones).visible(stored(), [1])).toEqual(visible.filter((x) => x === 1))
    })

  hide('none hide nothing', [], null)
  hide('that match nothing hide nothing', [{ match: { service: 'other' } }], null)
  hide('of everything', [{}], [1, 1, 1, 1])
  hide('of a column', [{ match: { service: 'api' } }], [1, 0, 1, 0])
  hide('of words', [{ match: { q: 'user in' } }], [0, 1, 1, 0])
  hide('of a time', [{ match: { until: '3.0000005' } }], [1, 1, 1, 0])
  hide('spare what came later', [{ maxSeq: 12 }], [1, 1, 0, 0])
  hide('from before this batch', [{ maxSeq: 10 }], null)
  hide('the first that hides it counts', [{ match: { q: 'user' } }, {}], [2, 1, 1, 2])
  hide('spare what another rule speaks for', [{ unless: [{ level: 'error' }] }], [0, 1, 0, 1])
  hide(
    'spare what any of them speaks for',
    [{ unless: [{ level: 'error' }, { q: 'ready' }] }],
    [0, 1, 0, 0],
  )
  hide('spare all', [{ unless: [{}] }], null)
  hide(
    'that spare, beside one that does not',
    [{ match: { q: 'user' }, unless: [{ user_id: '8' }] }, { match: { service: 'api' } }],
    [2, 1, 2, 0],
  )
})

describe('what deletions read', () => {
  const reads = (
    name: string,
    told: Told[],
    columns: string[],
    attributes: string[],
    messages: boolean,
  ) =>
    it(name, () => {
      const { needed, readsMessages } = new Hide(told.map(tombstoneOf))
      expect([...needed.columns].sort()).toEqual(columns)
      expect(needed.attributes).toEqual(attributes)
      expect(readsMessages).toBe(messages)
    })

  reads('nothing without one', [], [], [], false)
  reads('nothing for a time', [{ match: { until: '3' } }], [], [], false)
  reads(
    'columns of all',
    [{ match: { service: 'a' } }, { match: { level: 'info' } }],
    ['level', 'service'],
    [],
    false,
  )
  reads(
    'those of exceptions too',
    [{ unless: [{ q: 'x', 'attr.a': '1' }] }],
    ['pattern'],
    ['a'],
    true,
  )
})

describe('hiding, against a plain filter', () => {
  it('agrees by seed', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = randomOf(seed)
      const below = (n: number) => Math.floor(random() * n)
      const some = () => {
        const filters = [{ service: 'api' }, { level: '>=warn' }, { since: '2' }, { q: 'user' }, {}]
        return filters[below(filters.length)]!
      }
      const told = Array.from({ length: below(4) }, () => ({
        maxSeq: 10 + below(6),
        match: some(),
        unless: Array.from({ length: below(3) }, some),
      }))
      const tombstones = told.map(tombstoneOf)
      const batch = stored()
      const naive = Array.from({ length: 4 }, (_, row) => {
        const passes = (filter: RecordFilter) => plainly(filter, batch, row)
        const by = tombstones.find(
          ({ maxSeq, match, unless }) =>
            11 + row <= maxSeq && passes(match) && !unless.some(passes),
        )
        return by?.id ?? 0
      })
      const found = new Hide(tombstones).hiddenBy(batch) ?? [0, 0, 0, 0]
      expect([...found], `seed ${seed}`).toEqual(naive)
    }
  })
})

function plainly({ filter, since }: RecordFilter, { batch, seqs }: StoredBatch, row: number) {
  if (since && batch.timeMs[row]! < since.ms) return false
  return matches(filter, recordView(batch, row, 0, seqs[row]!))
}
