// Ranges of sequence numbers against a set of them.

import { describe, expect, it } from 'vitest'
import { SeqRanges } from '../../src/match/seq-ranges.ts'
import { randomOf } from '../batches.ts'

describe('ranges of sequence numbers', () => {
  it('hold what was added and nothing else, by seed', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = randomOf(seed)
      const below = (n: number) => Math.floor(random() * n)
      const ranges = new SeqRanges()
      const model = new Set<number>()
      for (let i = 0; i < 12; i++) {
        const firstSeq = below(40)
        // An empty range too: an intersection may be one.
        const lastSeq = firstSeq - 1 + below(8)
        ranges.add({ firstSeq, lastSeq })
        for (let seq = firstSeq; seq <= lastSeq; seq++) model.add(seq)
        const all = Array.from({ length: 50 }, (_, seq) => seq)
        const held = all.filter((seq) => ranges.has(seq))
        expect(held, `seed ${seed} step ${i}`).toEqual([...model].sort((a, b) => a - b))
        const asked = { firstSeq: below(50), lastSeq: below(50) }
        const touches = [...model].some((seq) => seq >= asked.firstSeq && seq <= asked.lastSeq)
        if (asked.firstSeq <= asked.lastSeq) {
          expect(ranges.touches(asked), `seed ${seed} step ${i}`).toBe(touches)
        }
      }
    }
  })
})
