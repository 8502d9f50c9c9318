// What became of every row of the catalogs in one query: the answer to `explain=true`. Bounded: a
// shard may hold a hundred thousand blocks, and the first thousand tell how a query is planned.

import type { Candidate, RowFate, RowPlace } from '../shard/candidates.ts'

const LINES_MAX = 1000

/** One wal row or block. */
export interface ExplainLine {
  shard: number
  /** Its first sequence number. */
  block: number
  records: number
  /** Milliseconds since 1970, both ends included. */
  min_time: number
  max_time: number
  place: RowPlace
  /**
   * Why it was not opened, or how: `counted` by the catalog alone; `unread`, because the answer was whole
   * before its turn came or the budget was spent.
   */
  fate: RowFate['why'] | 'opened' | 'unread'
}

export interface Explanation {
  lines: ExplainLine[]
  /** Rows beyond those that are listed. */
  more: number
}

export class Explainer {
  readonly #lines = new Map<string, ExplainLine>()
  #more = 0

  /** What a shard did not send. */
  skipped(shard: number, fates: RowFate[]): void {
    for (const { seq, records, minMs, maxMs, place, why } of fates) {
      this.#put({ shard, block: seq, records, min_time: minMs, max_time: maxMs, place, fate: why })
    }
  }

  /** A row that was sent: what becomes of it is told again when it is opened. */
  sent(shard: number, candidate: Candidate, fate: 'opened' | 'unread'): void {
    const { seq, records, minMs, maxMs, from } = candidate
    const place = from.kind === 'segments' ? 'unsealed' : from.kind === 'block' ? 'hot' : 'cold'
    this.#put({ shard, block: seq, records, min_time: minMs, max_time: maxMs, place, fate })
  }

  told(): Explanation {
    const lines = [...this.#lines.values()].sort(
      (a, b) => b.max_time - a.max_time || a.shard - b.shard || b.block - a.block,
    )
    return { lines, more: this.#more }
  }

  #put(line: ExplainLine): void {
    const name = `${line.shard} ${line.block}`
    if (this.#lines.has(name) || this.#lines.size < LINES_MAX) this.#lines.set(name, line)
    else this.#more++
  }
}
