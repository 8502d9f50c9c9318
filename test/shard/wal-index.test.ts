// The wal's rows in typed arrays against the same rows in a list, at random by seed.

import { describe, expect, it } from 'vitest'
import { WalIndex } from '../../src/shard/wal-index.ts'
import { randomOf } from '../batches.ts'

interface Row {
  seq: number
  receivedMs: number
  records: number
  bytes: number
  rawBytes: number
  minMs: number
  maxMs: number
  levels: number[]
}

const columnsOf = (wal: WalIndex) =>
  Array.from({ length: wal.length }, (_, row) => ({
    seq: wal.seq[row],
    receivedMs: wal.receivedMs[row],
    records: wal.records[row],
    bytes: wal.bytes[row],
    rawBytes: wal.rawBytes[row],
    minMs: wal.minMs[row],
    maxMs: wal.maxMs[row],
    levelMask: wal.levelMask[row],
  }))

describe('WalIndex', () => {
  it('holds what was added and not removed, in order, through all sizes', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = randomOf(seed)
      const upTo = (n: number) => Math.floor(random() * (n + 1))
      const wal = new WalIndex()
      let rows: Row[] = []
      let nextSeq = 1
      for (let step = 0; step < 12; step++) {
        for (let n = upTo(700); n > 0; n--) {
          const levels = [upTo(2), 0, upTo(9), 0, upTo(1), upTo(1)]
          const records = 1 + upTo(20)
          const [minMs, maxMs] = [1.7e12 + upTo(1e6), 1.8e12 + upTo(1e6)]
          const row = { seq: nextSeq, receivedMs: 1.75e12 + step, records, minMs, maxMs, levels }
          rows.push({ ...row, bytes: 1 + upTo(1_900_000), rawBytes: upTo(16_000_000) })
          wal.push(row.seq, rows.at(-1)!, row, row.receivedMs)
          nextSeq += records
        }
        // From the front, as the seal takes them, or here and there.
        const isFront = random() < 0.7
        const share = random()
        const gone = rows.filter((_, i) => (isFront ? i < rows.length * share : random() < share))
        wal.remove([...gone.map(({ seq }) => seq), -5])
        rows = rows.filter((row) => !gone.includes(row))
        expect(columnsOf(wal)).toEqual(
          rows.map(({ levels, ...row }) => ({
            ...row,
            levelMask: levels.reduce((mask, n, i) => mask | (n > 0 ? 1 << i : 0), 0),
          })),
        )
        const sum = (of: (row: Row) => number) => rows.reduce((n, row) => n + of(row), 0)
        expect([wal.totalBytes, wal.totalRecords]).toEqual([
          sum(({ bytes }) => bytes),
          sum(({ records }) => records),
        ])
      }
    }
  })
})
