// What is known of every wal row, in typed arrays: a row takes 45 bytes here, an object a row took
// 236, and a tenant of small requests has many rows until they are sealed.
//
// Rows stand in order of arrival, so by sequence number. Sealed rows go, most often from the front.

import type { BlockSummary } from '../block/summary.ts'

const ROWS_MIN = 256

/** What a row takes, and what its records took before they were encoded. */
export interface WalSize {
  bytes: number
  rawBytes: number
}

export class WalIndex {
  length = 0
  /** Of all rows together. */
  totalBytes = 0
  totalRecords = 0
  seq = new Float64Array(ROWS_MIN)
  /** When the row was stored, ms. */
  receivedMs = new Float64Array(ROWS_MIN)
  minMs = new Float64Array(ROWS_MIN)
  maxMs = new Float64Array(ROWS_MIN)
  records = new Uint32Array(ROWS_MIN)
  bytes = new Uint32Array(ROWS_MIN)
  /** Of its records before encoding, about. */
  rawBytes = new Uint32Array(ROWS_MIN)
  /** Bit i: the row holds records of LEVELS[i]. */
  levelMask = new Uint8Array(ROWS_MIN)

  push(seq: number, size: WalSize, summary: BlockSummary, receivedMs: number): void {
    const { bytes, rawBytes } = size
    if (this.length === this.seq.length) this.#resize(this.length * 2)
    const row = this.length++
    this.seq[row] = seq
    this.receivedMs[row] = receivedMs
    this.bytes[row] = bytes
    this.rawBytes[row] = rawBytes
    this.records[row] = summary.records
    this.minMs[row] = summary.minMs
    this.maxMs[row] = summary.maxMs
    this.levelMask[row] = summary.levels.reduce((mask, n, i) => (n > 0 ? mask | (1 << i) : mask), 0)
    this.totalBytes += bytes
    this.totalRecords += summary.records
  }

  /** Removes rows by their first sequence number. */
  remove(seqs: number[]): void {
    const gone = new Set(seqs)
    let to = 0
    for (let row = 0; row < this.length; row++) {
      if (gone.has(this.seq[row]!)) {
        this.totalBytes -= this.bytes[row]!
        this.totalRecords -= this.records[row]!
        continue
      }
      if (to < row) for (const column of this.#columns()) column[to] = column[row]!
      to++
    }
    this.length = to
    if (to < this.seq.length / 4) this.#resize(Math.max(ROWS_MIN, to * 2))
  }

  #columns() {
    const { seq, receivedMs, minMs, maxMs, records, bytes, rawBytes, levelMask } = this
    return [seq, receivedMs, minMs, maxMs, records, bytes, rawBytes, levelMask]
  }

  #resize(rows: number): void {
    if (rows === this.seq.length) return
    const resized = <T extends Float64Array | Uint32Array | Uint8Array>(from: T, to: T): T => {
      to.set(from.subarray(0, this.length))
      return to
    }
    this.seq = resized(this.seq, new Float64Array(rows))
    this.receivedMs = resized(this.receivedMs, new Float64Array(rows))
    this.minMs = resized(this.minMs, new Float64Array(rows))
    this.maxMs = resized(this.maxMs, new Float64Array(rows))
    this.records = resized(this.records, new Uint32Array(rows))
    this.bytes = resized(this.bytes, new Uint32Array(rows))
    this.rawBytes = resized(this.rawBytes, new Uint32Array(rows))
    this.levelMask = resized(this.levelMask, new Uint8Array(rows))
  }
}
