// A sealed block with all that the catalog keeps of it, as the Sealer makes it and the shard stores it.

import type { BlockSummary } from './summary.ts'

/** Plain data: it crosses an RPC. */
export interface SealedBlock {
  /** The Parquet file (parquet.ts), under ROW_BYTES_MAX. */
  bytes: Uint8Array
  summary: BlockSummary
  /** The lowest and the highest sequence number in it. */
  firstSeq: number
  lastSeq: number
  /** Bytes of its records before any encoding, about (RecordBatch.bytes added up). */
  rawBytes: number
  /** BlockDetail, encoded (detail.ts). */
  detail: Uint8Array
  /** The slices of the ids filter (filter.ts); empty where it would take too much: all is "maybe". */
  ids: Uint8Array[]
  /** The same of the words filter. */
  words: Uint8Array[]
  /** The texts of the patterns that `detail` names by id. */
  patterns: { id: string; text: string }[]
}
