// The shard's stored data and what is known of it without reading it: every SQL text is here.
//
// `wal` rows are named by the first sequence number they hold; a row is written once and holds the
// segments of one group commit. Their narrow columns are also kept in memory, because every query
// asks them and an index would cost a billed row a commit. Memory follows storage: it is built from
// the rows at start and changed only after a transaction committed.

import { packSegments, type Segment } from '../block/segment.ts'
import type { BlockSummary } from '../block/summary.ts'
import { mergeSummaries } from '../block/summary.ts'
import { concatBytes } from '../bytes.ts'
import { BATCH_ID_MS, DATABASE_BYTES_MAX, ROW_BYTES_MAX, WAL_ROWS_MAX } from '../limits.ts'
import { LEVELS } from '../record.ts'
import { BATCH_ID_BYTES, BatchIds } from './batch-ids.ts'
import { migrate } from './schema.ts'
import { WalIndex } from './wal-index.ts'

/** One request's records, as the Worker hands them to a shard. */
export interface Append {
  segments: Segment[]
  /** 16 bytes, or null for a request that can not be told from another like it. */
  batchId: Uint8Array | null
  /** What was cut or refused in the request, counted by name. */
  notes: Record<string, number>
}

/** Counts of one UTC day, by the day received. */
export interface DayCounts {
  records: number
  levels: number[]
  /** Refused requests, refused records and cut fields, by reason. */
  notes: Record<string, number>
}

interface Row {
  seq: number
  segments: Uint8Array
  summary: BlockSummary
  notes: Record<string, number>
  batchIds: Uint8Array
}

export class BlockStore {
  readonly #storage: DurableObjectStorage
  readonly #sql: SqlStorage
  readonly #wal = new WalIndex()
  readonly #batchIds = new BatchIds()
  readonly #days = new Map<string, DayCounts>()
  #nextSeq = 1
  #rowsWritten = 0
  #sizeReadMs = 0
  #databaseBytes = 0

  constructor(storage: DurableObjectStorage, nowMs: number) {
    this.#storage = storage
    this.#sql = storage.sql
    migrate(storage)
    this.#load(nowMs)
  }

  #load(nowMs: number): void {
    const rows = this.#sql.exec<{
      seq: number
      records: number
      received_ms: number
      min_ms: number
      max_ms: number
      levels: string
      notes: string | null
      bytes: number
    }>(
      'select seq, records, received_ms, min_ms, max_ms, levels, notes, bytes from wal order by seq',
    )
    for (const row of rows) {
      const summary = {
        records: row.records,
        minMs: row.min_ms,
        maxMs: row.max_ms,
        levels: JSON.parse(row.levels) as number[],
      }
      const notes = row.notes === null ? {} : JSON.parse(row.notes)
      this.#remember(row.seq, row.bytes, summary, row.received_ms, notes)
    }
    const ids = this.#sql.exec<{ received_ms: number; batch_ids: ArrayBuffer }>(
      'select received_ms, batch_ids from wal where batch_ids is not null and received_ms > ? order by seq',
      nowMs - BATCH_ID_MS,
    )
    for (const row of ids) this.#rememberIds(new Uint8Array(row.batch_ids), row.received_ms)
    for (const row of this.#sql.exec<{ day: string; name: string; count: number }>(
      'select day, name, count from daily',
    )) {
      add(this.#day(row.day).notes, row.name, row.count)
    }
  }

  /** The highest sequence number given out; 0 before the first. */
  get maxSeq(): number {
    return this.#nextSeq - 1
  }

  /** The rows written since this object started, as the platform bills them, and the bytes stored. */
  get usage() {
    return { rows_written: this.#rowsWritten, database_bytes: this.#sql.databaseSize }
  }

  /** Whether the shard has reached a bound; SQLite is asked for its size once a second at most. */
  isFull(nowMs: number): boolean {
    if (nowMs - this.#sizeReadMs >= 1000) {
      this.#sizeReadMs = nowMs
      this.#databaseBytes = this.#sql.databaseSize
    }
    return this.#databaseBytes >= DATABASE_BYTES_MAX || this.#wal.length >= WAL_ROWS_MAX
  }

  hasBatch(id: Uint8Array, nowMs: number): boolean {
    return this.#batchIds.has(id, nowMs)
  }

  /** Stores all of a group or nothing, in order. Durable once `storage.sync()` resolves after it. */
  appendGroup(group: Append[], nowMs: number): void {
    const rows = rowsOfGroup(group, this.#nextSeq)
    let written = 0
    this.#storage.transactionSync(() => {
      for (const row of rows) written += this.#insert(row, nowMs)
    })
    this.#rowsWritten += written
    for (const row of rows) {
      this.#remember(row.seq, row.segments.length, row.summary, nowMs, row.notes)
      this.#rememberIds(row.batchIds, nowMs)
    }
  }

  #insert(row: Row, nowMs: number): number {
    const { summary, notes, batchIds } = row
    return this.#sql.exec(
      `insert into wal (seq, records, received_ms, min_ms, max_ms, levels, notes, batch_ids, bytes, segments)
       values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      row.seq,
      summary.records,
      nowMs,
      summary.minMs,
      summary.maxMs,
      JSON.stringify(summary.levels),
      Object.keys(notes).length > 0 ? JSON.stringify(notes) : null,
      batchIds.length > 0 ? batchIds : null,
      row.segments.length,
      row.segments,
    ).rowsWritten
  }

  #remember(
    seq: number,
    bytes: number,
    summary: BlockSummary,
    receivedMs: number,
    notes: Record<string, number>,
  ): void {
    this.#wal.push(seq, bytes, summary)
    this.#nextSeq = seq + summary.records
    const day = this.#day(dayOf(receivedMs))
    day.records += summary.records
    for (let i = 0; i < LEVELS.length; i++) day.levels[i]! += summary.levels[i]!
    for (const [name, count] of Object.entries(notes)) add(day.notes, name, count)
  }

  #rememberIds(ids: Uint8Array, receivedMs: number): void {
    for (let at = 0; at < ids.length; at += BATCH_ID_BYTES) {
      this.#batchIds.add(ids.subarray(at, at + BATCH_ID_BYTES), receivedMs)
    }
  }

  #day(day: string): DayCounts {
    let counts = this.#days.get(day)
    if (!counts) {
      counts = { records: 0, levels: new Array<number>(LEVELS.length).fill(0), notes: {} }
      this.#days.set(day, counts)
    }
    return counts
  }

  /** The wal rows, oldest first. The index is the store's own: read it, and keep nothing. */
  get wal(): WalIndex {
    return this.#wal
  }

  /** The segments of one wal row, packed as block/segment.ts says, or null when it is gone. */
  readSegments(seq: number): Uint8Array | null {
    const row = this.#sql
      .exec<{ segments: ArrayBuffer }>('select segments from wal where seq = ?', seq)
      .toArray()[0]
    return row ? new Uint8Array(row.segments) : null
  }

  /** Adds to the counts of a day what never became a row: requests refused whole. */
  addNotes(counts: Record<string, number>, nowMs: number): void {
    const day = dayOf(nowMs)
    this.#storage.transactionSync(() => {
      for (const [name, count] of Object.entries(counts)) {
        this.#rowsWritten += this.#sql.exec(
          `insert into daily (day, name, count) values (?, ?, ?)
           on conflict (day, name) do update set count = count + excluded.count`,
          day,
          name,
          count,
        ).rowsWritten
      }
    })
    for (const [name, count] of Object.entries(counts)) add(this.#day(day).notes, name, count)
  }

  /** Counts by UTC day received, oldest first; what was deleted since still counts. */
  days(): (DayCounts & { day: string })[] {
    return [...this.#days.entries()]
      .map(([day, counts]) => ({ day, ...counts }))
      .sort((a, b) => (a.day < b.day ? -1 : 1))
  }
}

/** One row for the group, or as many as the row bound asks for. */
function rowsOfGroup(group: Append[], firstSeq: number): Row[] {
  const rows: Row[] = []
  let seq = firstSeq
  let segments: Segment[] = []
  let ids: Uint8Array[] = []
  let notes: Record<string, number> = {}
  let bytes = 0
  const close = () => {
    if (segments.length === 0) return
    const summary = mergeSummaries(segments.map((segment) => segment.summary))
    const packed = packSegments(segments.map((segment) => segment.bytes))
    rows.push({ seq, segments: packed, summary, notes, batchIds: concatBytes(ids) })
    seq += summary.records
    segments = []
    ids = []
    notes = {}
    bytes = 0
  }
  for (const append of group) {
    append.segments.forEach((segment, i) => {
      if (bytes + segment.bytes.length > ROW_BYTES_MAX) close()
      // With its first segment: one transaction writes them all, so where is free.
      if (i === 0 && append.batchId) ids.push(append.batchId)
      if (i === 0) for (const [name, n] of Object.entries(append.notes)) add(notes, name, n)
      segments.push(segment)
      bytes += segment.bytes.length + 4
    })
  }
  close()
  return rows
}

function add(counts: Record<string, number>, name: string, count: number): void {
  counts[name] = (counts[name] ?? 0) + count
}

export const dayOf = (ms: number) => new Date(ms).toISOString().slice(0, 10)
