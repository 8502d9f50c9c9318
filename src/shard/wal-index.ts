// What is known of every wal row, in typed arrays: a row takes 33 bytes here, an object a row took
// 236, and a tenant of small requests has hundreds of thousands of rows until they are sealed.
//
// Rows stand in order of arrival, so by sequence number. They are only ever added.

import type { BlockSummary } from '../block/summary.ts'

const ROWS_MIN = 256

export class WalIndex {
  length = 0
  seq = new Float64Array(ROWS_MIN)
  minMs = new Float64Array(ROWS_MIN)
  maxMs = new Float64Array(ROWS_MIN)
  records = new Uint32Array(ROWS_MIN)
  bytes = new Uint32Array(ROWS_MIN)
  /** Bit i: the row holds records of LEVELS[i]. */
  levelMask = new Uint8Array(ROWS_MIN)

  push(seq: number, bytes: number, summary: BlockSummary): void {
    if (this.length === this.seq.length) this.#grow()
    const row = this.length++
    this.seq[row] = seq
    this.bytes[row] = bytes
    this.records[row] = summary.records
    this.minMs[row] = summary.minMs
    this.maxMs[row] = summary.maxMs
    this.levelMask[row] = summary.levels.reduce((mask, n, i) => (n > 0 ? mask | (1 << i) : mask), 0)
  }

  /** The row that holds a record, or -1. */
  rowOf(seq: number): number {
    let low = 0
    let high = this.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.seq[middle]! <= seq) low = middle + 1
      else high = middle
    }
    const row = low - 1
    return row >= 0 && seq < this.seq[row]! + this.records[row]! ? row : -1
  }

  #grow(): void {
    const grown = <T extends Float64Array | Uint32Array | Uint8Array>(from: T, to: T): T => {
      to.set(from)
      return to
    }
    const rows = this.length * 2
    this.seq = grown(this.seq, new Float64Array(rows))
    this.minMs = grown(this.minMs, new Float64Array(rows))
    this.maxMs = grown(this.maxMs, new Float64Array(rows))
    this.records = grown(this.records, new Uint32Array(rows))
    this.bytes = grown(this.bytes, new Uint32Array(rows))
    this.levelMask = grown(this.levelMask, new Uint8Array(rows))
  }
}
