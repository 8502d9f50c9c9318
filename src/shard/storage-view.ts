// What a shard tells about its own storage and jobs: plain data, for the doors of administrators.

/** A job someone asked for: one shard's part of it. */
export interface JobView {
  kind: 'delete' | 'flush'
  state: 'running' | 'done' | 'failed'
  createdMs: number
  /** null: not done. */
  doneMs: number | null
  /** Deleted so far, or sealed and archived so far; final once the job is done. */
  records: number
  blocksDone: number
  blocksTotal: number
  /** Of the last run, where it failed; the job goes on all the same while it is `running`. */
  error: string | null
}

/** The blocks of one tier and level of compaction together. */
export interface BlocksView {
  tier: 'hot' | 'cold'
  level: number
  blocks: number
  records: number
  /** Of the records before they were encoded, and of the blocks. */
  rawBytes: number
  bytes: number
}

/** One of the shard's own alarm jobs. */
export interface UpkeepView {
  name: string
  lastRunMs: number | null
  nextRunMs: number | null
  error: string | null
}

export interface ShardStorage {
  blocks: BlocksView[]
  /** Times of the oldest and the newest record, sealed or not; null: there is none. */
  oldestMs: number | null
  newestMs: number | null
  /** Rows of `wal`, poison rows included. */
  pending: { rows: number; records: number; bytes: number }
  /** Rows that can not be sealed and stay in `wal`. */
  poison: { rows: number; records: number; bytes: number }
  databaseBytes: number
  /** Since `startedMs`, when this object was last started: rows as the platform bills them, and what was appended. */
  startedMs: number
  rowsWritten: number
  appends: number
  records: number
  /** Records received in the last 30 UTC days, and how many days the first of them is ago, today included. */
  recent: { records: number; days: number }
  jobs: UpkeepView[]
  archive: 'configured' | 'none'
  /** R2 objects being written, or replaced and to be removed. */
  pendingObjects: number
  tombstones: number
  warnings: string[]
}

/** A block in the archive. */
export interface ArchiveObject {
  key: string
  bytes: number
  records: number
  /** YYYY-MM-DD, the UTC day its records were received on. */
  day: string
}
