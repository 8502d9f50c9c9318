// Which rows and blocks a reply holds, in what order, and where the next goes on.

import { describe, expect, it } from 'vitest'
import { emptyCounted } from '../../src/query/ask.ts'
import { EVERYTHING, levelIn } from '../../src/query/filter.ts'
import type { Tombstone } from '../../src/query/tombstone.ts'
import {
  CANDIDATES_MAX,
  type CandidatesRequest,
  type Choice,
  chooseCandidates,
  type Holdings,
  PRUNES_MAX,
} from '../../src/shard/candidates.ts'
import type { BlockRow } from '../../src/shard/catalog.ts'
import { blockOf, NO_SOURCE, type WalRowSpec, walOf } from './rows.ts'

const ALL_RECORDS = { filter: EVERYTHING, since: null, until: null }
const REQUEST: CandidatesRequest = {
  filter: ALL_RECORDS,
  minMs: 0,
  maxMs: 1e9,
  levelMask: 0b111111,
  order: 'desc',
  maxSeq: null,
  onlyRange: null,
  bytesMax: 1e9,
  mayBeEmpty: false,
  after: null,
  ask: null,
  explain: false,
}
const ERRORS = { filter: levelIn(1 << 4), since: null, until: null }

function holdingsOf(
  blocks: BlockRow[],
  rows: WalRowSpec[],
  tombstones: Tombstone[] = [],
): Holdings {
  const wal = walOf(rows, (blocks.at(-1)?.lastSeq ?? 0) + 1)
  const maxSeq = (blocks.at(-1)?.lastSeq ?? 0) + wal.totalRecords
  return { wal, blocks, sourceOf: () => NO_SOURCE, tombstones, maxSeq }
}

/** What was chosen, by first sequence number, new blocks negative. */
const seqsOf = ({ chosen }: Choice, { wal }: Holdings) =>
  chosen.map((row) => {
    if (row.kind === 'wal') return wal.seq[row.row]!
    return row.isNew ? -row.block.firstSeq : row.block.firstSeq
  })

const levels = (level: number) => [0, 0, 0, 0, 0, 0].map((_, i) => (i === level ? 10 : 0))

// 1 and 11 are blocks, 21, 31 and 41 wal rows, of ten records and a hundred bytes each.
const HOLDINGS = holdingsOf(
  [
    blockOf({ id: 1, minMs: 100, maxMs: 200 }),
    blockOf({ id: 2, minMs: 90, maxMs: 250, levels: levels(4) }),
  ],
  [
    { minMs: 110, maxMs: 200 },
    { minMs: 50, maxMs: 300, levels: levels(4) },
    { minMs: 150, maxMs: 160 },
  ],
)

describe('chooseCandidates', () => {
  const chooses = (name: string, change: Partial<CandidatesRequest>, seqs: number[]) =>
    it(name, () => {
      const choice = chooseCandidates(HOLDINGS, { ...REQUEST, ...change })
      expect(seqsOf(choice, HOLDINGS)).toEqual(seqs)
    })

  chooses('newest first by the latest time', {}, [31, 11, 21, 1, 41])
  chooses('oldest first by the earliest time', { order: 'asc' }, [31, 11, 1, 21, 41])
  chooses('a range leaves out what lies wholly outside', { minMs: 201 }, [31, 11])
  chooses('both ends of the range count', { minMs: 200, maxMs: 200 }, [31, 11, 21, 1])
  chooses('a level leaves out rows without it', { levelMask: 1 << 4 }, [31, 11])
  chooses('a filter leaves out blocks, rows are opened', { filter: ERRORS }, [31, 11, 21, 41])
  chooses('a set fixed earlier holds nothing later', { maxSeq: 30 }, [11, 21, 1])
  chooses('a set that ends in a block', { maxSeq: 12 }, [11, 1])
  chooses('a set of nothing', { maxSeq: 0 }, [])
  chooses('one record is in one row', { onlyRange: { firstSeq: 40, lastSeq: 40 } }, [31])
  chooses('one record is in one block', { onlyRange: { firstSeq: 20, lastSeq: 20 } }, [11])
  chooses(
    'all that reaches into a range',
    { onlyRange: { firstSeq: 20, lastSeq: 31 } },
    [31, 11, 21],
  )
  chooses('a record that is not there', { onlyRange: { firstSeq: 51, lastSeq: 51 } }, [])
  chooses('up to the bytes asked for', { bytesMax: 350 }, [31, 11, 21])
  chooses('one row at least, whatever its bytes', { bytesMax: 1 }, [31])
  chooses('none where its place will do', { bytesMax: 1, mayBeEmpty: true }, [])
  chooses('that fit, where its place would do', { bytesMax: 350, mayBeEmpty: true }, [31, 11, 21])
  chooses('goes on after a block', { after: place(250, 11, 2) }, [21, 1, 41])
  chooses('goes on after a row', { after: place(200, 21, 2) }, [1, 41])

  it('names the place before the first row where it sends none', () => {
    for (const order of ['asc', 'desc'] as const) {
      const ask = (change: Partial<CandidatesRequest>) =>
        chooseCandidates(HOLDINGS, { ...REQUEST, order, ...change })
      const { next } = ask({ bytesMax: 1, mayBeEmpty: true })
      expect(seqsOf(ask({ after: next }), HOLDINGS)).toEqual(seqsOf(ask({}), HOLDINGS))
    }
  })

  it('names the place to go on from, and nothing when all was given', () => {
    const first = chooseCandidates(HOLDINGS, { ...REQUEST, bytesMax: 200 })
    expect(first.next).toMatchObject(place(250, 11, 2))
    const second = chooseCandidates(HOLDINGS, { ...REQUEST, after: first.next })
    expect(second.next).toBeNull()
    expect(seqsOf(second, HOLDINGS)).toEqual([21, 1, 41])
  })

  it('a block in the archive takes no bytes of the reply', () => {
    const blocks = HOLDINGS.blocks.map((block) => ({ ...block, key: 'k', bytes: 1e9 }))
    const choice = chooseCandidates({ ...HOLDINGS, blocks }, { ...REQUEST, bytesMax: 300 })
    expect(seqsOf(choice, HOLDINGS)).toEqual([31, 11, 21, 1, 41])
  })

  it('says in the first reply what it skipped and why, of the whole set', () => {
    const request = { ...REQUEST, maxMs: 140, levelMask: 1 << 4, bytesMax: 1 }
    const first = chooseCandidates(HOLDINGS, request)
    const told = ({ considered, skipped }: Choice) => ({ considered, ...skipped })
    expect(told(first)).toEqual({ considered: 5, time: 1, values: 2, filter: 0, pattern: 0 })
    const second = chooseCandidates(HOLDINGS, { ...request, after: first.next })
    expect(seqsOf(second, HOLDINGS)).toEqual([11])
    expect(told(second)).toEqual({ considered: 0, time: 0, values: 0, filter: 0, pattern: 0 })
  })

  it('says of the set alone what was considered', () => {
    const onlyRange = { firstSeq: 11, lastSeq: 40 }
    expect(chooseCandidates(HOLDINGS, { ...REQUEST, onlyRange }).considered).toBe(3)
    expect(chooseCandidates(HOLDINGS, { ...REQUEST, maxSeq: 25 }).considered).toBe(3)
  })

  it('says in every reply what the catalog skipped on its way', () => {
    const request = { ...REQUEST, filter: ERRORS, bytesMax: 250 }
    const first = chooseCandidates(HOLDINGS, request)
    expect([seqsOf(first, HOLDINGS), first.skipped.values]).toEqual([[31, 11], 0])
    const second = chooseCandidates(HOLDINGS, { ...request, after: first.next })
    expect([seqsOf(second, HOLDINGS), second.skipped.values]).toEqual([[21, 41], 1])
  })
})

/** All replies of a query, one after the other. */
function repliesOf(request: CandidatesRequest, holdingsNow: () => Holdings): [Choice, Holdings][] {
  const replies: [Choice, Holdings][] = []
  let { after, maxSeq } = request
  do {
    const holdings = holdingsNow()
    const choice = chooseCandidates(holdings, { ...request, after, maxSeq })
    replies.push([choice, holdings])
    maxSeq = choice.maxSeq
    after = choice.next
    expect(replies.length).toBeLessThan(1000)
  } while (after !== null)
  return replies
}

describe('a reply is bounded', () => {
  it('by rows', () => {
    const holdings = holdingsOf(
      [],
      Array.from({ length: CANDIDATES_MAX + 1 }, () => ({})),
    )
    const sizes = repliesOf(REQUEST, () => holdings).map(([{ chosen }]) => chosen.length)
    expect(sizes).toEqual([CANDIDATES_MAX, 1])
  })

  it('by the blocks the catalog is asked about', () => {
    const blocks = Array.from({ length: 2 * PRUNES_MAX + 1 }, (_, i) => blockOf({ id: i + 1 }))
    let asked = 0
    const sourceOf = () => {
      asked++
      return NO_SOURCE
    }
    const holdings = { ...holdingsOf(blocks, []), sourceOf }
    const replies = repliesOf({ ...REQUEST, filter: ERRORS }, () => holdings)
    expect(replies.map(([{ skipped }]) => skipped.values)).toEqual([PRUNES_MAX, PRUNES_MAX, 1])
    expect(replies.flatMap(([{ chosen }]) => chosen)).toEqual([])
    expect(asked).toBe(blocks.length)
  })

  it('and no block is asked about that can not be on it', () => {
    const blocks = [blockOf({ id: 1, minMs: 5 }), blockOf({ id: 2, minMs: 1 })]
    const rows = Array.from({ length: CANDIDATES_MAX + 1 }, () => ({ minMs: 3 }))
    const asked: number[] = []
    const sourceOf = ({ id }: BlockRow) => {
      asked.push(id)
      return NO_SOURCE
    }
    chooseCandidates({ ...holdingsOf(blocks, rows), sourceOf }, REQUEST)
    expect(asked).toEqual([1])
  })
})

describe('blocks made since the reply before', () => {
  // One small row a reply: two wal rows are read, then they are sealed with a third and a fourth.
  const request = { ...REQUEST, order: 'asc' as const, bytesMax: 1 }
  const rows = [1, 2, 3, 4, 5].map((minMs) => ({ minMs }))
  const before = holdingsOf([], rows)
  const sealed = holdingsOf([blockOf({ id: 1, records: 40, minMs: 1, maxMs: 4 })], rows.slice(4))
  const two = chooseCandidates(before, { ...request, bytesMax: 200, maxSeq: null })

  it('come first, out of order, and once', () => {
    const replies = repliesOf({ ...request, after: two.next, maxSeq: 50 }, () => sealed)
    expect(replies.map(([choice, holdings]) => seqsOf(choice, holdings))).toEqual([[-1], [41]])
  })

  it('come once though their place is still ahead', () => {
    const ahead = holdingsOf([blockOf({ id: 1, records: 50, minMs: 9 })], [])
    const replies = repliesOf({ ...request, after: two.next, maxSeq: 50 }, () => ahead)
    expect(replies.flatMap(([choice, holdings]) => seqsOf(choice, holdings))).toEqual([-1])
  })

  it('come once though replies go on after them', () => {
    const blocks = [
      blockOf({ id: 1, firstSeq: 1, records: 20, minMs: 1 }),
      blockOf({ id: 2, firstSeq: 21, records: 20, minMs: 8 }),
    ]
    const holdings = holdingsOf(blocks, [{ minMs: 9 }])
    const replies = repliesOf({ ...request, after: two.next, maxSeq: 50 }, () => holdings)
    const seqs = replies.flatMap(([choice]) => seqsOf(choice, holdings))
    expect(seqs).toEqual([-1, -21, 41])
  })

  it('stay out where they hold nothing of the set, or nothing that is asked for', () => {
    const later = holdingsOf(
      [...sealed.blocks, blockOf({ id: 2, firstSeq: 61, minMs: 1 })],
      rows.slice(4),
    )
    const of = (change: Partial<CandidatesRequest>) =>
      chooseCandidates(later, {
        ...request,
        after: two.next,
        maxSeq: 50,
        bytesMax: 1e6,
        ...change,
      })
    expect(seqsOf(of({}), later)).toContain(-1)
    expect(seqsOf(of({}), later)).not.toContain(-61)
    expect(of({ minMs: 5 }).chosen).not.toContainEqual(expect.objectContaining({ kind: 'block' }))
    const asked = of({ filter: ERRORS })
    expect([seqsOf(asked, later).includes(-1), asked.skipped.values]).toEqual([false, 1])
  })
})

const COUNT = { kind: 'count' } as const

describe('counts', () => {
  const counts = (
    name: string,
    change: Partial<CandidatesRequest>,
    counted: { records: number; ranges: [number, number][] },
    holdings = HOLDINGS,
  ) =>
    it(name, () => {
      const choice = chooseCandidates(holdings, { ...REQUEST, ask: COUNT, ...change })
      expect(choice.counted).toEqual({ ...emptyCounted(), ...counted })
      const inBlocks = (seq: number) => holdings.blocks.some(({ firstSeq }) => firstSeq === seq)
      const opened = seqsOf(choice, holdings).filter(inBlocks)
      for (const [first] of counted.ranges) expect(opened).not.toContain(first)
    })
  const NOTHING = { records: 0, ranges: [] }
  const hiding = (tombstone: Partial<Tombstone>) => ({
    ...HOLDINGS,
    tombstones: [{ id: 1, maxSeq: 50, match: ALL_RECORDS, unless: [], ...tombstone }],
  })
  const BOTH: [number, number][] = [
    [11, 20],
    [1, 10],
  ]

  counts('blocks that match whole', {}, { records: 20, ranges: BOTH })
  counts('nothing unless it is asked to', { ask: null }, NOTHING)
  counts('by level', { filter: ERRORS }, { records: 10, ranges: [[11, 20]] })
  counts('no block that the range cuts', { filter: { ...ALL_RECORDS, since: time(150) } }, NOTHING)
  counts('no block that the set cuts', { maxSeq: 15 }, { records: 10, ranges: [[1, 10]] })
  counts(
    'no block that the range of numbers cuts',
    { onlyRange: { firstSeq: 2, lastSeq: 20 } },
    { records: 10, ranges: [[11, 20]] },
  )
  counts('no block behind its end', { onlyRange: { firstSeq: 1, lastSeq: 9 } }, NOTHING)
  counts('no block that may hold deleted records', {}, NOTHING, hiding({}))
  counts(
    'blocks behind the deletion',
    {},
    { records: 10, ranges: [[11, 20]] },
    hiding({ maxSeq: 10 }),
  )
  counts(
    'blocks the deletion is not about',
    {},
    { records: 10, ranges: [[1, 10]] },
    hiding({ match: ERRORS }),
  )
  counts(
    'blocks in the archive too',
    {},
    { records: 20, ranges: BOTH },
    {
      ...HOLDINGS,
      blocks: HOLDINGS.blocks.map((block) => ({ ...block, key: 'k' })),
    },
  )
  counts('no block made since the reply before', { after: place(400, 0) }, NOTHING)
  counts(
    'no block before the place',
    { after: place(200, 21, 2) },
    { records: 10, ranges: [[1, 10]] },
  )
})

function time(ms: number) {
  return { ms, ns: 0 }
}

function place(ms: number, seq: number, lastBlock = 0) {
  return { ms, seq, knownBlock: lastBlock, lastBlock }
}
