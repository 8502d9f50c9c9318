// Rows of a shard's wal and catalog, made of the few members a test is about.

import type { PruneSource } from '../../src/prune/facts.ts'
import type { BlockRow } from '../../src/shard/catalog.ts'
import { WalIndex } from '../../src/shard/wal-index.ts'

export interface WalRowSpec {
  records?: number
  bytes?: number
  rawBytes?: number
  receivedMs?: number
  minMs?: number
  maxMs?: number
  levels?: number[]
}

/** Rows one after the other, numbered from `firstSeq` on. */
export function walOf(rows: WalRowSpec[], firstSeq = 1): WalIndex {
  const wal = new WalIndex()
  let seq = firstSeq
  for (const row of rows) {
    const {
      records = 10,
      bytes = 100,
      rawBytes = 400,
      receivedMs = 0,
      minMs = 0,
      maxMs = minMs,
    } = row
    const { levels = [0, 0, records, 0, 0, 0] } = row
    wal.push(seq, { bytes, rawBytes }, { records, minMs, maxMs, levels }, receivedMs)
    seq += records
  }
  return wal
}

/** A block by its id; where nothing else is said it is small, hot and as sealed, and holds ten records. */
export function blockOf(block: Partial<BlockRow> & { id: number }): BlockRow {
  const { id, firstSeq = 10 * id - 9, records = 10, receivedMs = 0, minMs = 0 } = block
  return {
    firstSeq,
    lastSeq: firstSeq + records - 1,
    records,
    day: new Date(receivedMs).toISOString().slice(0, 10),
    receivedMs,
    createdMs: receivedMs,
    compactions: 0,
    minMs,
    maxMs: minMs,
    levels: [0, 0, records, 0, 0, 0],
    rawBytes: 1000,
    bytes: 100,
    catalogBytes: 10,
    idsSlices: 0,
    wordsSlices: 0,
    key: null,
    ...block,
  }
}

/** A block of which only the narrow row is known. */
export const NO_SOURCE: PruneSource = {
  filterSlice: () => null,
  detail: () => null,
  patternText: () => null,
}
