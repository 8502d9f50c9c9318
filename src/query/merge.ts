// The records of one page, best first, gathered from segments that come in any order and from many
// shards. It holds one record more than the page shows, to know whether there is a next page, and no
// more bytes than PAGE_BYTES_MAX: a page of very large records ends early.

import { PAGE_BYTES_MAX } from '../limits.ts'
import type { RecordBatch } from '../record.ts'
import type { Plan, Position } from './plan.ts'
import { comparePositions } from './scan.ts'
import { type RecordView, recordView } from './view.ts'

interface Hit extends Position {
  view: RecordView | null
  bytes: number
}

export class Page {
  readonly #sign: number
  readonly #limit: number
  #hits: Hit[] = []
  /** Set once hits were dropped for their bytes: there is more, however few are shown. */
  #isCut = false

  constructor(plan: Plan) {
    this.#sign = plan.order === 'asc' ? 1 : -1
    this.#limit = plan.limit
  }

  /** False when a record at `ms` or beyond it, in the page's order, can not be on the page. */
  mayHold(ms: number): boolean {
    const worst = this.#worst()
    return worst === null || (ms - worst.ms) * this.#sign <= 0
  }

  /** Adds the rows of a batch that match. */
  add(batch: RecordBatch, rows: number[], shard: number, firstSeq: number): void {
    const worst = this.#worst()
    const added: Hit[] = []
    for (const row of rows) {
      const ms = batch.timeMs[row]!
      const ns = batch.timeNs[row]!
      const hit: Hit = { ms, ns, shard, seq: firstSeq + row, view: null, bytes: 0 }
      if (worst === null || this.#compare(hit, worst) < 0) added.push(hit)
    }
    if (added.length === 0) return
    this.#hits = [...this.#hits, ...added]
      .sort((a, b) => this.#compare(a, b))
      .slice(0, this.#limit + 1)
    let bytes = 0
    for (const hit of this.#hits) {
      // A hit that stays on the page lets go of its batch at once: pages may span many segments.
      if (hit.view === null) {
        hit.view = recordView(batch, hit.seq - firstSeq, shard, hit.seq)
        hit.bytes = JSON.stringify(hit.view).length
      }
      bytes += hit.bytes
      if (bytes > PAGE_BYTES_MAX) break
    }
    this.#dropBeyond(PAGE_BYTES_MAX)
  }

  /** The records to show, in order. */
  records(): RecordView[] {
    return this.#shown().map((hit) => hit.view as RecordView)
  }

  /** The last record shown when others follow it, else null. */
  lastBeforeMore(): Position | null {
    const hasMore = this.#isCut || this.#hits.length > this.#limit
    const last = this.#shown().at(-1)
    if (!hasMore || !last) return null
    return { ms: last.ms, ns: last.ns, shard: last.shard, seq: last.seq }
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
