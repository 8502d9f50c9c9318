// A deletion in force: which records of a shard are hidden, until they are rewritten away.

import type { RecordFilter } from './parameters.ts'

/** Plain data: it travels with every answer of `candidates` and to the Sealer. */
export interface Tombstone {
  /** Ascending in one shard, in order of creation. */
  id: number
  /** Only records up to this sequence number: what came later is not touched. */
  maxSeq: number
  match: RecordFilter
  /** A retention rule spares what an earlier rule already speaks for. */
  unless: RecordFilter[]
}
