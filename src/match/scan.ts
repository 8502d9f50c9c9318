// Which records of a batch a query is about: those of its set, in its range of time, that its filter
// lets through. Serves segments, blocks and what is deleted.

import type { Needed } from '../block/parquet.ts'
import type { StoredBatch } from '../block/stored.ts'
import type { RecordFilter } from '../query/parameters.ts'
import type { Plan, Position } from '../query/plan.ts'
import type { RecordBatch } from '../record.ts'
import { Evaluator } from './eval.ts'
import type { Sieved } from './step.ts'

/** A filter made ready. What it learns of patterns it keeps: make it once for many batches. */
export class Matcher {
  /** The columns it reads. Messages are not among them: `look` alone reads those. */
  readonly needed: Needed
  readonly readsMessages: boolean
  /** What a character of a message costs in `look`, in those of a search for words. */
  readonly lookCost: number
  /** Rows to ask at once where a slice of time counts. */
  readonly rowsAtOnce: number
  readonly #range: Pick<RecordFilter, 'since' | 'until'>
  readonly #evaluator: Evaluator

  constructor(filter: RecordFilter) {
    this.#range = filter
    this.#evaluator = new Evaluator(filter.filter)
    this.needed = this.#evaluator.needed
    this.readsMessages = this.#evaluator.readsMessages
    this.lookCost = this.#evaluator.lookCost
    this.rowsAtOnce = this.#evaluator.rowsAtOnce
  }

  /** Those of `rows` that pass. */
  rows(stored: StoredBatch, rows: number[]): number[] {
    return this.#evaluator.rows(stored, rowsInTime(this.#range, stored.batch, rows))
  }

  /** All that can be said of `rows` without a message. */
  sieve(stored: StoredBatch, rows: number[]): Sieved {
    return this.#evaluator.sieve(stored, rowsInTime(this.#range, stored.batch, rows))
  }

  /** Those that pass of rows that `sieve` left to be looked at. */
  look(stored: StoredBatch, rows: number[]): number[] {
    return this.#evaluator.look(stored, rows)
  }
}

export const bothNeeded = (a: Needed, b: Needed): Needed => ({
  columns: new Set([...a.columns, ...b.columns]),
  attributes:
    a.attributes === 'all' || b.attributes === 'all'
      ? 'all'
      : [...new Set([...a.attributes, ...b.attributes])],
  ...((a.labels || b.labels) && { labels: [...(a.labels ?? []), ...(b.labels ?? [])] }),
})

/**
 * The rows of the set a plan is about, ascending: those up to `maxSeq` that stand behind the page
 * before. The plan's filter is not asked.
 */
export function rowsInSet(
  { after, order }: Pick<Plan, 'after' | 'order'>,
  { batch, seqs }: StoredBatch,
  shard: number,
  maxSeq: number,
): number[] {
  const sign = order === 'asc' ? 1 : -1
  const rows: number[] = []
  for (let row = 0; row < batch.length; row++) {
    const seq = seqs[row]!
    // Rows of a block stand by time, so later ones may well belong to the set.
    if (seq > maxSeq) continue
    if (after) {
      const ms = batch.timeMs[row]!
      const order = ms - after.ms || batch.timeNs[row]! - after.ns || shard - after.shard
      if ((order || seq - after.seq) * sign <= 0) continue
    }
    rows.push(row)
  }
  return rows
}

/** Negative when `a` comes first in an answer with the oldest first. */
export const comparePositions = (a: Position, b: Position) =>
  a.ms - b.ms || a.ns - b.ns || a.shard - b.shard || a.seq - b.seq

function rowsInTime(
  { since, until }: Pick<RecordFilter, 'since' | 'until'>,
  batch: RecordBatch,
  rows: number[],
): number[] {
  if (!since && !until) return rows
  const { timeMs, timeNs } = batch
  return rows.filter((row) => {
    const ms = timeMs[row]!
    const ns = timeNs[row]!
    if (since && (ms < since.ms || (ms === since.ms && ns < since.ns))) return false
    return !(until && (ms > until.ms || (ms === until.ms && ns >= until.ns)))
  })
}
