// The sealed blocks of a shard: what is known of each, and where its bytes are.
//
// The narrow rows are held in memory, because every query asks them all: built at start, changed only
// after a transaction committed. Filters, details and bytes stay in their tables and are read one by
// one. The `write…` methods are to be called inside a transaction, `apply` after it.

import type { BlockDetail } from '../block/detail.ts'
import { decodeDetail } from '../block/detail-wire.ts'
import { SLICES_MAX, sliceOf } from '../block/filter.ts'
import type { SealedBlock } from '../block/sealed.ts'
import type { PruneSource } from '../prune/facts.ts'

/** One block. `id` is never given again, so it also tells which of two blocks was made later. */
export interface BlockRow {
  id: number
  firstSeq: number
  lastSeq: number
  records: number
  /** UTC day on which all its records were received. */
  day: string
  /** When its last record was received, ms. */
  receivedMs: number
  createdMs: number
  /** How often its records were merged into a larger block; 0: as sealed. */
  compactions: number
  minMs: number
  maxMs: number
  /** Records by level, in the order of LEVELS. */
  levels: number[]
  rawBytes: number
  /** Of the Parquet file. */
  bytes: number
  /** Of its filters and detail. */
  catalogBytes: number
  idsSlices: number
  wordsSlices: number
  /** Where it lies in R2; null: in `block_data`. */
  key: string | null
}

/** A block to be stored, with what its maker does not know. */
export interface NewBlock {
  sealed: SealedBlock
  day: string
  receivedMs: number
  compactions: number
}

export type FilterKind = 'ids' | 'words'

/** Texts of patterns held in memory; a shard sees few. */
const PATTERN_TEXTS_MAX = 4096
/** Patterns kept of one shard; the longest unseen go first. */
const PATTERNS_MAX = 20_000

export class Catalog {
  readonly #sql: SqlStorage
  /** By sequence number. */
  #blocks: BlockRow[] = []
  #byId = new Map<number, BlockRow>()
  readonly #patternTexts = new Map<string, string>()
  /** Pattern ids and the last day each was seen; null until a block is stored or patterns are swept. */
  #patternDays: Map<string, string> | null = null
  readonly #patternsMax: number

  constructor(sql: SqlStorage, patternsMax = PATTERNS_MAX) {
    this.#sql = sql
    this.#patternsMax = patternsMax
    const rows = sql.exec<StoredRow>('select * from block order by first_seq')
    for (const row of rows) this.#blocks.push(rowOf(row))
    for (const block of this.#blocks) this.#byId.set(block.id, block)
  }

  /** By sequence number; the catalog's own: read it, and keep nothing. */
  get blocks(): readonly BlockRow[] {
    return this.#blocks
  }

  get(id: number): BlockRow | undefined {
    return this.#byId.get(id)
  }

  /** The Parquet file of a block that lies here, or null. */
  readBytes(id: number): Uint8Array | null {
    const row = this.#sql
      .exec<{ bytes: ArrayBuffer }>('select bytes from block_data where id = ?', id)
      .toArray()[0]
    return row ? new Uint8Array(row.bytes) : null
  }

  #readDetail(id: number): BlockDetail | null {
    const row = this.#sql
      .exec<{ detail: ArrayBuffer }>('select detail from block_detail where id = ?', id)
      .toArray()[0]
    return row ? decodeDetail(new Uint8Array(row.detail)) : null
  }

  /** What pruning may ask of a block, read when it asks. */
  sourceOf(block: BlockRow): PruneSource {
    let detail: BlockDetail | null | undefined
    // A phrase asks the same few slices word by word.
    const read = new Map<number, Uint8Array | null>()
    return {
      filterSlice: (kind, hash) => {
        const slices = kind === 'ids' ? block.idsSlices : block.wordsSlices
        if (slices === 0) return null
        const id = sliceId(block.id, kind, sliceOf(hash, slices))
        if (!read.has(id)) read.set(id, this.#readSlice(id))
        return read.get(id) ?? null
      },
      detail: () => {
        if (detail === undefined) detail = this.#readDetail(block.id)
        return detail
      },
      patternText: (id) => this.patternText(id),
    }
  }

  /** One slice of a filter, or null where there is none. */
  #readSlice(id: number): Uint8Array | null {
    const row = this.#sql
      .exec<{ bits: ArrayBuffer }>('select bits from block_filter where id = ?', id)
      .toArray()[0]
    return row ? new Uint8Array(row.bits) : null
  }

  /** What a pattern's id stands for, or null where it is not known any more. */
  patternText(id: string): string | null {
    const known = this.#patternTexts.get(id)
    if (known !== undefined) return known
    const row = this.#sql
      .exec<{ text: string }>('select text from pattern where id = ?', id)
      .toArray()[0]
    if (!row) return null
    if (this.#patternTexts.size >= PATTERN_TEXTS_MAX) this.#patternTexts.clear()
    this.#patternTexts.set(id, row.text)
    return row.text
  }

  /** Writes a block's rows under an id; the rows written. Its bytes go to `block_data`. */
  writeBlock(id: number, block: NewBlock, nowMs: number): { row: BlockRow; rowsWritten: number } {
    const { sealed, day } = block
    const row = newRow(id, block, nowMs)
    let rowsWritten = this.#sql.exec(
      `insert into block (id, first_seq, last_seq, records, day, received_ms, created_ms, compactions,
         min_ms, max_ms, levels, raw_bytes, bytes, catalog_bytes, ids_slices, words_slices, r2_key)
       values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, null)`,
      id,
      row.firstSeq,
      row.lastSeq,
      row.records,
      day,
      row.receivedMs,
      nowMs,
      row.compactions,
      row.minMs,
      row.maxMs,
      JSON.stringify(row.levels),
      row.rawBytes,
      row.bytes,
      row.catalogBytes,
      row.idsSlices,
      row.wordsSlices,
    ).rowsWritten
    const put = (text: string, key: number, bytes: Uint8Array) => {
      rowsWritten += this.#sql.exec(text, key, bytes).rowsWritten
    }
    put('insert into block_data (id, bytes) values (?, ?)', id, sealed.bytes)
    put('insert into block_detail (id, detail) values (?, ?)', id, sealed.detail)
    const slices = 'insert into block_filter (id, bits) values (?, ?)'
    for (const [i, bits] of sealed.ids.entries()) put(slices, sliceId(id, 'ids', i), bits)
    for (const [i, bits] of sealed.words.entries()) put(slices, sliceId(id, 'words', i), bits)
    rowsWritten += this.#writePatterns(sealed.patterns, day)
    return { row, rowsWritten }
  }

  /** Deletes all rows of a block; the rows written. */
  deleteBlock(id: number): number {
    const from = sliceId(id, 'ids', 0)
    return (
      this.#sql.exec('delete from block where id = ?', id).rowsWritten +
      this.#sql.exec('delete from block_data where id = ?', id).rowsWritten +
      this.#sql.exec('delete from block_detail where id = ?', id).rowsWritten +
      this.#sql.exec(
        'delete from block_filter where id >= ? and id < ?',
        from,
        from + 2 * SLICES_MAX,
      ).rowsWritten
    )
  }

  /** Notes that a block's bytes lie in R2 and drops them here; the rows written. */
  writePlace(id: number, key: string): number {
    return (
      this.#sql.exec('update block set r2_key = ? where id = ?', key, id).rowsWritten +
      this.#sql.exec('delete from block_data where id = ?', id).rowsWritten
    )
  }

  /** Changes the memory as a committed transaction changed the tables. */
  apply(change: { removed?: number[]; added?: BlockRow[]; moved?: { id: number; key: string } }) {
    const { removed = [], added = [], moved } = change
    if (moved) {
      const block = this.#byId.get(moved.id)
      if (block) block.key = moved.key
    }
    if (removed.length === 0 && added.length === 0) return
    for (const id of removed) this.#byId.delete(id)
    for (const block of added) this.#byId.set(block.id, block)
    const gone = new Set(removed)
    const last = this.#blocks.at(-1)
    const isAppend = gone.size === 0 && added.every((b) => !last || b.firstSeq > last.firstSeq)
    if (isAppend) this.#blocks.push(...added)
    else {
      this.#blocks = [...this.#blocks.filter((block) => !gone.has(block.id)), ...added]
      this.#blocks.sort((a, b) => a.firstSeq - b.firstSeq)
    }
  }

  /** A pattern costs a row when it is new, and one on each later day it is seen. */
  #writePatterns(patterns: SealedBlock['patterns'], day: string): number {
    const days = this.#loadPatternDays()
    let rowsWritten = 0
    for (const { id, text } of patterns) {
      const seen = days.get(id)
      if (seen !== undefined && seen >= day) continue
      rowsWritten += this.#sql.exec(
        `insert into pattern (id, first_day, last_day, text) values (?, ?, ?, ?)
         on conflict (id) do update set last_day = excluded.last_day`,
        id,
        day,
        day,
        text,
      ).rowsWritten
      days.set(id, day)
    }
    if (days.size > this.#patternsMax) rowsWritten += this.#dropQuietPatterns(days)
    return rowsWritten
  }

  #loadPatternDays(): Map<string, string> {
    if (this.#patternDays) return this.#patternDays
    const days = new Map<string, string>()
    for (const row of this.#sql.exec<{ id: string; last_day: string }>(
      'select id, last_day from pattern',
    )) {
      days.set(row.id, row.last_day)
    }
    this.#patternDays = days
    return days
  }

  /** Down to nine tenths of the bound, so that it does not come about at every block. */
  #dropQuietPatterns(days: Map<string, string>): number {
    const quiet = [...days].sort(([, a], [, b]) => (a < b ? -1 : 1))
    const count = days.size - 0.9 * this.#patternsMax
    return this.#dropPatterns(quiet.slice(0, count).map(([id]) => id))
  }

  #dropPatterns(ids: string[]): number {
    let rowsWritten = 0
    for (const id of ids) {
      rowsWritten += this.#sql.exec('delete from pattern where id = ?', id).rowsWritten
      this.#patternDays?.delete(id)
      this.#patternTexts.delete(id)
    }
    return rowsWritten
  }

  /** The memory of patterns follows a transaction that did not commit: it is read again. */
  forgetPatterns(): void {
    this.#patternDays = null
    this.#patternTexts.clear()
  }

  /**
   * Drops the patterns that no block holds; the rows written. `pause` is awaited between blocks; a
   * pattern that a block brings meanwhile stays.
   */
  async sweepPatterns(pause: () => Promise<void>): Promise<number> {
    const unused = new Set(this.#loadPatternDays().keys())
    for (let after = 0; unused.size > 0; ) {
      // By id, so that a block made meanwhile is met too.
      const row = this.#sql
        .exec<{ id: number; detail: ArrayBuffer }>(
          'select id, detail from block_detail where id > ? order by id limit 1',
          after,
        )
        .toArray()[0]
      if (!row) break
      after = row.id
      for (const { id } of decodeDetail(new Uint8Array(row.detail)).patterns) unused.delete(id)
      await pause()
    }
    return this.#dropPatterns([...unused])
  }
}

type StoredRow = {
  id: number
  first_seq: number
  last_seq: number
  records: number
  day: string
  received_ms: number
  created_ms: number
  compactions: number
  min_ms: number
  max_ms: number
  levels: string
  raw_bytes: number
  bytes: number
  catalog_bytes: number
  ids_slices: number
  words_slices: number
  r2_key: string | null
}

const rowOf = (row: StoredRow): BlockRow => ({
  id: row.id,
  firstSeq: row.first_seq,
  lastSeq: row.last_seq,
  records: row.records,
  day: row.day,
  receivedMs: row.received_ms,
  createdMs: row.created_ms,
  compactions: row.compactions,
  minMs: row.min_ms,
  maxMs: row.max_ms,
  levels: JSON.parse(row.levels) as number[],
  rawBytes: row.raw_bytes,
  bytes: row.bytes,
  catalogBytes: row.catalog_bytes,
  idsSlices: row.ids_slices,
  wordsSlices: row.words_slices,
  key: row.r2_key,
})

function newRow(id: number, block: NewBlock, nowMs: number): BlockRow {
  const { sealed } = block
  const filters = [...sealed.ids, ...sealed.words].reduce((sum, bits) => sum + bits.length, 0)
  return {
    id,
    firstSeq: sealed.firstSeq,
    lastSeq: sealed.lastSeq,
    records: sealed.summary.records,
    day: block.day,
    receivedMs: block.receivedMs,
    createdMs: nowMs,
    compactions: block.compactions,
    minMs: sealed.summary.minMs,
    maxMs: sealed.summary.maxMs,
    levels: sealed.summary.levels,
    rawBytes: sealed.rawBytes,
    bytes: sealed.bytes.length,
    catalogBytes: filters + sealed.detail.length,
    idsSlices: sealed.ids.length,
    wordsSlices: sealed.words.length,
    key: null,
  }
}

/** The key of a slice: `block id * 128 + slice`, and 64 more for words. */
const sliceId = (id: number, kind: FilterKind, slice: number) =>
  id * 2 * SLICES_MAX + (kind === 'words' ? SLICES_MAX : 0) + slice
