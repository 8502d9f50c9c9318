// What becomes of the records that match: a page of the best of them, or their count. They are
// gathered from batches that come in any order and from many shards.

import type { Needed } from '../block/parquet.ts'
import type { StoredBatch } from '../block/stored.ts'
import { PAGE_BYTES_MAX } from '../limits.ts'
import type { Counted } from '../query/ask.ts'
import type { Plan, Position } from '../query/plan.ts'
import { comparePositions } from './scan.ts'
import { type RecordView, recordView } from './view.ts'

/** Where a scan puts what it finds. */
export interface Sink {
  /** The columns that `wanted` reads, but for time and sequence number, which always come, and messages, which are decoded when they are read. */
  readonly needed: Needed
  /** Rows that `wanted` is done with in a few ms; absent: however many a batch has. */
  readonly rowsMax?: number
  /** False when no record at `ms` or beyond it, in the order of the answer, is needed any more. */
  mayHold(ms: number): boolean
  /** Those of the matching rows that are needed whole. Times and sequence numbers decide: `stored` may lack the rest. */
  wanted(stored: StoredBatch, rows: number[], shard: number): number[]
  /** Takes the wanted rows of a batch that has all its columns. */
  add(stored: StoredBatch, rows: number[], shard: number): void
  /** Takes what a shard's catalog counted of records that are then not brought. */
  absorb(counted: Counted, shard: number): void
}

export const NOTHING_NEEDED: Needed = { columns: new Set(), attributes: [] }

/** Counts what matches, and needs no record whole. */
export class Tally implements Sink {
  readonly needed = NOTHING_NEEDED
  records = 0

  mayHold(): boolean {
    return true
  }

  wanted(_stored: StoredBatch, rows: number[]): number[] {
    this.records += rows.length
    return []
  }

  add(): void {}

  absorb(counted: Counted): void {
    this.records += counted.records
  }
}

const NS_PER_MS = 1_000_000

interface Hit extends Position {
  row: number
  view: RecordView | null
  bytes: number
}

/**
 * The records of one page, best first. It holds one record more than the page shows, to know whether
 * there is a next page, and no more bytes than PAGE_BYTES_MAX: a page of very large records ends early.
 */
export class Page implements Sink {
  readonly needed = NOTHING_NEEDED
  readonly #sign: number
  readonly #limit: number
  #hits: Hit[] = []
  /** Set once hits were dropped for their bytes: there is more, however few are shown. */
  #isCut = false
  /** Where the records that are certain to be next end, and others may follow. */
  #end: Position | null = null

  constructor(plan: Plan) {
    this.#sign = plan.order === 'asc' ? 1 : -1
    this.#limit = plan.limit
  }

  mayHold(ms: number): boolean {
    const worst = this.#worst()
    return worst === null || (ms - worst.ms) * this.#sign <= 0
  }

  wanted(stored: StoredBatch, rows: number[], shard: number): number[] {
    const best = this.#best(this.#better(stored, rows, shard))
    // Those that are on the page already have their view.
    return best.filter(({ view }) => view === null).map(({ row }) => row)
  }

  add(stored: StoredBatch, rows: number[], shard: number): void {
    const added = this.#better(stored, rows, shard)
    if (added.length === 0) return
    this.#hits = this.#best(added)
    let bytes = 0
    for (const hit of this.#hits) {
      // A hit that stays on the page lets go of its batch at once: pages may span many batches.
      if (hit.view === null) {
        hit.view = recordView(stored.batch, hit.row, shard, hit.seq)
        hit.bytes = JSON.stringify(hit.view).length
      }
      bytes += hit.bytes
      if (bytes > PAGE_BYTES_MAX) break
    }
    this.#dropBeyond(PAGE_BYTES_MAX)
  }

  absorb(): void {}

  /** The records to show, in order. */
  records(): RecordView[] {
    return this.#shown().map((hit) => hit.view as RecordView)
  }

  /**
   * Nothing from `ms` on, in the order of the answer, was looked at whole: what was found there is not
   * shown, and the next page begins there.
   */
  endAt(ms: number): void {
    const certain = this.#hits.filter((hit) => (hit.ms - ms) * this.#sign < 0)
    if (certain.length > this.#limit || (this.#isCut && certain.length === this.#hits.length))
      return
    this.#hits = certain
    this.#isCut = false
    // Just before the first that can have this time.
    this.#end = { ms, ns: this.#sign > 0 ? -1 : NS_PER_MS, shard: 0, seq: 0 }
  }

  /** Where the next page begins: behind the last record shown, when others follow it. null: nothing follows. */
  lastBeforeMore(): Position | null {
    if (this.#end !== null) return this.#end
    const hasMore = this.#isCut || this.#hits.length > this.#limit
    const last = this.#shown().at(-1)
    if (!hasMore || !last) return null
    return { ms: last.ms, ns: last.ns, shard: last.shard, seq: last.seq }
  }

  /** The rows that beat the page's worst, as hits. */
  #better({ batch, seqs }: StoredBatch, rows: number[], shard: number): Hit[] {
    const worst = this.#worst()
    const better: Hit[] = []
    for (const row of rows) {
      const ms = batch.timeMs[row]!
      if (worst !== null && (ms - worst.ms) * this.#sign > 0) continue
      const ns = batch.timeNs[row]!
      const hit: Hit = { ms, ns, shard, seq: seqs[row]!, row, view: null, bytes: 0 }
      if (worst === null || this.#compare(hit, worst) < 0) better.push(hit)
    }
    return better
  }

  /** The page's hits when these join them. */
  #best(added: Hit[]): Hit[] {
    return [...this.#hits, ...added].sort((a, b) => this.#compare(a, b)).slice(0, this.#limit + 1)
  }

  #shown(): Hit[] {
    return this.#hits.slice(0, this.#limit)
  }

  /** The hit that a newcomer must beat, when the page is full. */
  #worst(): Hit | null {
    const isFull = this.#isCut || this.#hits.length > this.#limit
    return isFull ? (this.#hits.at(-1) ?? null) : null
  }

  #compare(a: Position, b: Position): number {
    return comparePositions(a, b) * this.#sign
  }

  #dropBeyond(bytesMax: number): void {
    let bytes = 0
    for (const [i, hit] of this.#hits.entries()) {
      bytes += hit.bytes
      if (i === 0 || (hit.view !== null && bytes <= bytesMax)) continue
      this.#hits.length = i
      this.#isCut = true
      return
    }
  }
}
