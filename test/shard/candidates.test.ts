import { describe, expect, it } from 'vitest'
import {
  CANDIDATES_MAX,
  type CandidatesRequest,
  chooseCandidates,
} from '../../src/shard/candidates.ts'
import { WalIndex } from '../../src/shard/wal-index.ts'
import { randomOf } from '../batches.ts'

const wal = new WalIndex()
const add = (seq: number, minMs: number, maxMs: number, level = 2) => {
  const levels = [0, 0, 0, 0, 0, 0].map((_, i) => (i === level ? 5 : 0))
  wal.push(seq, 10, { records: 5, minMs, maxMs, levels })
}
add(1, 100, 200)
add(6, 50, 300, 4)
add(11, 150, 160)
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
      expect(chosen.chosen.map(({ seq }) => seq)).toEqual(seqs)
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

  for (const order of ['asc', 'desc'] as const) {
    it(`many replies give every row once, in order: ${order}`, () => {
      const random = randomOf(order.length)
      const many = new WalIndex()
      for (let i = 0; i < 5 * CANDIDATES_MAX; i++) {
        const minMs = Math.floor(random() * 500)
        const summary = {
          records: 2,
          minMs,
          maxMs: minMs + Math.floor(random() * 50),
          levels: [0, 1],
        }
        many.push(1 + i * 2, 10, summary)
      }
      const seen: { ms: number; seq: number }[] = []
      let after: CandidatesRequest['after'] = null
      for (let reply = 0; reply < 100; reply++) {
        const bytesMax = 10 * (1 + Math.floor(random() * 3000))
        const { chosen, next } = chooseCandidates(many, { ...request, order, bytesMax, after }, 1e9)
        for (const { seq, minMs, maxMs } of chosen)
          seen.push({ seq, ms: order === 'asc' ? minMs : maxMs })
        after = next
        if (next === null) break
      }
      expect(new Set(seen.map(({ seq }) => seq)).size).toBe(many.length)
      expect(seen.length).toBe(many.length)
      const sign = order === 'asc' ? 1 : -1
      expect(seen).toEqual([...seen].sort((a, b) => (a.ms - b.ms || a.seq - b.seq) * sign))
    })
  }
})
