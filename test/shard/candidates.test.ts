import { describe, expect, it } from 'vitest'
import { type CandidatesRequest, chooseCandidates } from '../../src/shard/candidates.ts'
import type { WalEntry } from '../../src/shard/store.ts'

const entry = (seq: number, minMs: number, maxMs: number, level = 2, bytes = 10): WalEntry => ({
  seq,
  records: 5,
  minMs,
  maxMs,
  levels: [0, 0, 0, 0, 0, 0].map((_, i) => (i === level ? 5 : 0)),
  receivedMs: 0,
  bytes,
})
const wal = [entry(1, 100, 200), entry(6, 50, 300, 4), entry(11, 150, 160)]
const request: CandidatesRequest = {
  minMs: 0,
  maxMs: 1e9,
  levelMask: 0b111111,
  order: 'desc',
  maxSeq: null,
  onlySeq: null,
  bytesMax: 1000,
  after: null,
}

describe('chooseCandidates', () => {
  const chooses = (name: string, change: Partial<CandidatesRequest>, seqs: number[]) =>
    it(name, () => {
      const chosen = chooseCandidates(wal, { ...request, ...change }, 15)
      expect(chosen.entries.map(({ seq }) => seq)).toEqual(seqs)
    })

  chooses('newest first by the latest time', {}, [6, 1, 11])
  chooses('oldest first by the earliest time', { order: 'asc' }, [6, 1, 11])
  chooses('a range leaves out what lies wholly outside', { minMs: 201 }, [6])
  chooses('both ends of the range count', { minMs: 200, maxMs: 200 }, [6, 1])
  chooses('a level leaves out rows without it', { levelMask: 1 << 4 }, [6])
  chooses('a set fixed earlier holds nothing later', { maxSeq: 10 }, [6, 1])
  chooses('one record is in one row', { onlySeq: 10 }, [6])
  chooses('a record that is not there', { onlySeq: 16 }, [])
  chooses('one row at least, whatever its bytes', { bytesMax: 1 }, [6])
  chooses('goes on after a place', { after: { ms: 300, seq: 6 } }, [1, 11])

  it('names the place to go on from, and nothing when all was given', () => {
    const first = chooseCandidates(wal, { ...request, bytesMax: 20 }, 15)
    expect(first.next).toEqual({ ms: 200, seq: 1 })
    expect(chooseCandidates(wal, { ...request, after: first.next }, 15).next).toBeNull()
  })

  it('says what it skipped and why', () => {
    const { considered, skipped } = chooseCandidates(
      wal,
      { ...request, minMs: 180, levelMask: 1 << 4 },
      15,
    )
    expect({ considered, skipped }).toEqual({ considered: 3, skipped: { time: 1, values: 1 } })
  })
})
