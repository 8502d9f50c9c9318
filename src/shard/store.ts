// The shard's records: the wal, where they arrive, and the blocks they are sealed into (catalog.ts).
//
// `wal` rows are named by the first sequence number they hold; a row is written once and holds the
// segments of one group commit. Their narrow columns are also kept in memory, because every query
// asks them and an index would cost a billed row a commit. Memory follows storage: it is built from
// the rows at start and changed only after a transaction committed.
//
// Whatever a job does to records is one `replace`: wal rows and blocks out, blocks in, all or nothing.

import { packSegments, type Segment } from '../block/segment.ts'
import type { BlockSummary } from '../block/summary.ts'
import { mergeSummaries } from '../block/summary.ts'
import { concatBytes } from '../bytes.ts'
import { BATCH_ID_MS, BLOCK_RAW_BYTES_MAX, DATABASE_BYTES_MAX, ROW_BYTES_MAX } from '../limits.ts'
import { LEVELS } from '../record.ts'
import { BATCH_ID_BYTES, BatchIds } from './batch-ids.ts'
import { type BlockRow, Catalog, type NewBlock } from './catalog.ts'
import { Ledger } from './ledger.ts'
import { migrate } from './schema.ts'
import { WalIndex, type WalSize } from './wal-index.ts'

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
  rawBytes: number
  summary: BlockSummary
  notes: Record<string, number>
  batchIds: Uint8Array
}

/** What a job makes of records. */
export interface Replacement {
  /** First sequence numbers of wal rows that go. */
  wal: number[]
  /** Blocks that go. */
  blocks: BlockRow[]
  added: NewBlock[]
  /** Records left out, by the tombstone that hides them. */
  removed: { tombstone: number; records: number }[]
}

export class BlockStore {
  readonly catalog: Catalog
  readonly ledger: Ledger
  readonly #storage: DurableObjectStorage
  readonly #sql: SqlStorage
  readonly #wal = new WalIndex()
  readonly #batchIds = new BatchIds()
  readonly #days = new Map<string, DayCounts>()
  #nextSeq = 1
  #nextBlockId = 1
  #rowsWritten = 0
  #appended = { appends: 0, records: 0 }
  #sizeReadMs = 0
  #databaseBytes = 0

  constructor(storage: DurableObjectStorage, nowMs: number) {
    this.#storage = storage
    this.#sql = storage.sql
    migrate(storage)
    this.catalog = new Catalog(this.#sql)
    this.ledger = new Ledger(this.#sql)
    this.#load(nowMs)
  }

  #load(nowMs: number): void {
    const next = this.#meta('next')
    if (next !== null) {
      const { seq, block } = JSON.parse(next) as { seq: number; block: number }
      this.#nextSeq = seq
      this.#nextBlockId = block
    }
    for (const row of this.#sql.exec<{ day: string; levels: string }>(
      'select day, levels from received',
    )) {
      addLevels(this.#day(row.day), JSON.parse(row.levels) as number[])
    }
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
      const levels = JSON.parse(row.levels) as number[]
      const summary = {
        records: row.records,
        minMs: row.min_ms,
        maxMs: row.max_ms,
        levels: levels.slice(0, LEVELS.length),
      }
      const notes = row.notes === null ? {} : JSON.parse(row.notes)
      const rawBytes = levels[LEVELS.length] ?? row.bytes * RAW_BYTES_GUESSED
      this.#remember(row.seq, { bytes: row.bytes, rawBytes }, summary, row.received_ms, notes)
    }
    const ids = this.#sql.exec<{ received_ms: number; batch_ids: ArrayBuffer }>(
      `select last_ms as received_ms, ids as batch_ids from batch where last_ms > ?1
       union all
       select received_ms, batch_ids from wal where batch_ids is not null and received_ms > ?1`,
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

  /** The lowest sequence number that is stored and the highest given out. */
  get span(): { firstSeq: number; maxSeq: number } {
    const { maxSeq } = this
    const wal = this.#wal.length > 0 ? this.#wal.seq[0]! : maxSeq + 1
    return { firstSeq: Math.min(wal, this.catalog.blocks[0]?.firstSeq ?? wal), maxSeq }
  }

  /** The rows written since this object started, as the platform bills them, and the bytes stored. */
  get usage() {
    const rowsWritten = this.#rowsWritten + this.ledger.rowsWritten
    return { rows_written: rowsWritten, database_bytes: this.#sql.databaseSize }
  }

  /** The platform bills a row for each alarm that is set. */
  countAlarm(): void {
    this.#rowsWritten++
  }

  /** Appends and records stored since this object started. */
  get appended() {
    return this.#appended
  }

  /** Whether the shard is as large as it may get; SQLite is asked for its size once a second at most. */
  isFull(nowMs: number): boolean {
    if (nowMs - this.#sizeReadMs >= 1000) {
      this.#sizeReadMs = nowMs
      this.#databaseBytes = this.#sql.databaseSize
    }
    return this.#databaseBytes >= DATABASE_BYTES_MAX
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
    this.#appended.appends += group.length
    for (const row of rows) {
      this.#appended.records += row.summary.records
      const { seq, summary, notes } = row
      this.#remember(seq, sizeOf(row), summary, nowMs, notes)
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
      // Behind the levels, because a column of its own would have come behind the BLOB.
      JSON.stringify([...summary.levels, row.rawBytes]),
      Object.keys(notes).length > 0 ? JSON.stringify(notes) : null,
      batchIds.length > 0 ? batchIds : null,
      row.segments.length,
      row.segments,
    ).rowsWritten
  }

  #remember(
    seq: number,
    size: WalSize,
    summary: BlockSummary,
    receivedMs: number,
    notes: Record<string, number>,
  ): void {
    this.#wal.push(seq, size, summary, receivedMs)
    this.#nextSeq = Math.max(this.#nextSeq, seq + summary.records)
    const day = this.#day(dayOf(receivedMs))
    addLevels(day, summary.levels)
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
      counts = emptyDay()
      this.#days.set(day, counts)
    }
    return counts
  }

  /** The wal rows, oldest first. The index is the store's own: read it, and keep nothing. */
  get wal(): WalIndex {
    return this.#wal
  }

  /**
   * Carries a replacement out, all or nothing: batch ids and counts of the wal rows that go are kept,
   * objects of the blocks that go are noted to be removed. Sequence numbers are never given again.
   */
  replace({ wal, blocks, added, removed }: Replacement, nowMs: number): void {
    const rows: BlockRow[] = []
    let written = 0
    try {
      this.#storage.transactionSync(() => {
        if (wal.length > 0) written += this.#removeWal(wal, nowMs)
        for (const block of blocks) {
          written += this.catalog.deleteBlock(block.id)
          if (block.key !== null) this.ledger.noteObject(block.key, nowMs, 'remove')
        }
        for (const [i, block] of added.entries()) {
          const made = this.catalog.writeBlock(this.#nextBlockId + i, block, nowMs)
          rows.push(made.row)
          written += made.rowsWritten
        }
        this.ledger.countRemoved(removed)
        const next = { seq: this.#nextSeq, block: this.#nextBlockId + added.length }
        written += this.#setMeta('next', JSON.stringify(next))
      })
    } catch (e) {
      this.catalog.forgetPatterns()
      this.ledger.reload()
      throw e
    }
    this.#rowsWritten += written
    this.#nextBlockId += added.length
    this.#wal.remove(wal)
    this.catalog.apply({ removed: blocks.map((block) => block.id), added: rows })
  }

  /** Drops the patterns that no block holds any more; `pause` as in Catalog.sweepPatterns. */
  async sweepPatterns(pause: () => Promise<void>): Promise<void> {
    this.#rowsWritten += await this.catalog.sweepPatterns(pause)
  }

  /** A block's bytes lie in R2 under `key`, which was noted before it was written. */
  setPlace(id: number, key: string): void {
    try {
      this.#storage.transactionSync(() => {
        this.#rowsWritten += this.catalog.writePlace(id, key)
        this.ledger.dropObject(key)
      })
    } catch (e) {
      this.ledger.reload()
      throw e
    }
    this.catalog.apply({ moved: { id, key } })
  }

  /** Deletes wal rows; what else they told goes to tables that stay. */
  #removeWal(seqs: number[], nowMs: number): number {
    const days = new Map<string, DayCounts>()
    const ids: Uint8Array[] = []
    let lastMs = 0
    let written = 0
    for (const seq of seqs) {
      const row = this.#sql
        .exec<{
          received_ms: number
          levels: string
          notes: string | null
          batch_ids: ArrayBuffer | null
        }>('select received_ms, levels, notes, batch_ids from wal where seq = ?', seq)
        .one()
      const day = dayOf(row.received_ms)
      const counts = days.get(day) ?? emptyDay()
      days.set(day, counts)
      addLevels(counts, JSON.parse(row.levels) as number[])
      if (row.notes !== null) addAll(counts.notes, JSON.parse(row.notes))
      if (row.batch_ids !== null && row.received_ms > nowMs - BATCH_ID_MS) {
        ids.push(new Uint8Array(row.batch_ids))
        lastMs = Math.max(lastMs, row.received_ms)
      }
      written += this.#sql.exec('delete from wal where seq = ?', seq).rowsWritten
      this.ledger.dropPoison(seq)
    }
    written += this.#sql.exec(
      'delete from batch where last_ms <= ?',
      nowMs - BATCH_ID_MS,
    ).rowsWritten
    if (ids.length > 0) {
      const text = 'insert into batch (last_ms, ids) values (?, ?)'
      written += this.#sql.exec(text, lastMs, concatBytes(ids)).rowsWritten
    }
    for (const [day, counts] of days) written += this.#keepDay(day, counts)
    return written
  }

  #keepDay(day: string, counts: DayCounts): number {
    const stored = this.#sql
      .exec<{ levels: string }>('select levels from received where day = ?', day)
      .toArray()[0]
    if (stored) addLevels(counts, JSON.parse(stored.levels) as number[])
    const { rowsWritten } = this.#sql.exec(
      'insert or replace into received (day, levels) values (?, ?)',
      day,
      JSON.stringify(counts.levels),
    )
    return rowsWritten + this.#writeNotes(day, counts.notes)
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
      this.#rowsWritten += this.#writeNotes(day, counts)
    })
    addAll(this.#day(day).notes, counts)
  }

  #writeNotes(day: string, counts: Record<string, number>): number {
    let written = 0
    for (const [name, count] of Object.entries(counts)) {
      written += this.#sql.exec(
        `insert into daily (day, name, count) values (?, ?, ?)
         on conflict (day, name) do update set count = count + excluded.count`,
        day,
        name,
        count,
      ).rowsWritten
    }
    return written
  }

  /** A word kept for later starts, or null. */
  #meta(key: string): string | null {
    const row = this.#sql
      .exec<{ value: string }>('select value from meta where key = ?', key)
      .toArray()[0]
    return row?.value ?? null
  }

  #setMeta(key: string, value: string): number {
    const text = 'insert or replace into meta (key, value) values (?, ?)'
    return this.#sql.exec(text, key, value).rowsWritten
  }

  /** The object's own name: an alarm is not told it. */
  get name(): string | null {
    return this.#meta('name')
  }

  set name(name: string) {
    this.#rowsWritten += this.#setMeta('name', name)
  }

  /**
   * The last UTC day on which retention was looked at, or ''; and up to which sequence number each
   * rule was carried out, or is by a tombstone in force.
   */
  get expired(): { day: string; upTo: Record<string, number> } {
    const expired = this.#meta('expired')
    return expired === null ? { day: '', upTo: {} } : JSON.parse(expired)
  }

  set expired(expired: { day: string; upTo: Record<string, number> }) {
    this.#rowsWritten += this.#setMeta('expired', JSON.stringify(expired))
  }

  /** Counts by UTC day received, oldest first; what was deleted since still counts. */
  days(): (DayCounts & { day: string })[] {
    return [...this.#days.entries()]
      .map(([day, counts]) => ({ day, ...counts }))
      .sort((a, b) => (a.day < b.day ? -1 : 1))
  }
}

/** Rows of before it was kept: what our segments compress to, and more. */
const RAW_BYTES_GUESSED = 20

const sizeOf = ({ segments, rawBytes }: Row): WalSize => ({ bytes: segments.length, rawBytes })

/** One row for the group, or as many as the row bound asks for. */
function rowsOfGroup(group: Append[], firstSeq: number): Row[] {
  const rows: Row[] = []
  let seq = firstSeq
  let segments: Segment[] = []
  let ids: Uint8Array[] = []
  let notes: Record<string, number> = {}
  let bytes = 0
  let rawBytes = 0
  const close = () => {
    if (segments.length === 0) return
    const summary = mergeSummaries(segments.map((segment) => segment.summary))
    const packed = packSegments(segments.map((segment) => segment.bytes))
    rows.push({ seq, segments: packed, rawBytes, summary, notes, batchIds: concatBytes(ids) })
    seq += summary.records
    segments = []
    ids = []
    notes = {}
    bytes = 0
    rawBytes = 0
  }
  for (const append of group) {
    append.segments.forEach((segment, i) => {
      const isFull =
        bytes + segment.bytes.length > ROW_BYTES_MAX ||
        rawBytes + segment.rawBytes > BLOCK_RAW_BYTES_MAX
      if (isFull) close()
      // With its first segment: one transaction writes them all, so where is free.
      if (i === 0 && append.batchId) ids.push(append.batchId)
      if (i === 0) for (const [name, n] of Object.entries(append.notes)) add(notes, name, n)
      segments.push(segment)
      bytes += segment.bytes.length + 4
      rawBytes += segment.rawBytes
    })
  }
  close()
  return rows
}

const emptyDay = (): DayCounts => ({
  records: 0,
  levels: new Array<number>(LEVELS.length).fill(0),
  notes: {},
})

function addLevels(day: DayCounts, levels: number[]): void {
  for (let i = 0; i < LEVELS.length; i++) {
    day.levels[i]! += levels[i]!
    day.records += levels[i]!
  }
}

function addAll(counts: Record<string, number>, more: Record<string, number>): void {
  for (const [name, count] of Object.entries(more)) add(counts, name, count)
}

function add(counts: Record<string, number>, name: string, count: number): void {
  counts[name] = (counts[name] ?? 0) + count
}

export const dayOf = (ms: number) => new Date(ms).toISOString().slice(0, 10)
