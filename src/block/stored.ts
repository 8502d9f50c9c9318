// Records as a shard keeps them: a batch, with what only the shard knows of each record. Segments,
// hot and cold blocks all become this before anything looks at them.

import type { RecordBatch } from '../record.ts'

/**
 * Every array has `batch.length` entries. Read from a block, `batch` may hold only the columns that
 * were asked for: the others are empty arrays.
 */
export interface StoredBatch {
  batch: RecordBatch
  /** The sequence number of each record in its shard. */
  seqs: Float64Array
  /** When the shard stored each record, ms. */
  receivedMs: Float64Array
  /** The pattern of each message, null where it has none; the whole is null where nobody computed it. */
  patterns: (string | null)[] | null
}

/** The batch of one segment, whose records the shard numbered from `firstSeq` on. */
export function storedSegment(
  batch: RecordBatch,
  firstSeq: number,
  receivedMs: number,
): StoredBatch {
  const seqs = new Float64Array(batch.length)
  for (let row = 0; row < batch.length; row++) seqs[row] = firstSeq + row
  return { batch, seqs, receivedMs: new Float64Array(batch.length).fill(receivedMs), patterns: null }
}
