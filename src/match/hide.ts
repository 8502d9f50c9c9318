// Which records the deletions in force hide. A tombstone speaks for what it matches up to a sequence
// number, and spares what an earlier retention rule speaks for.

import type { Needed } from '../block/parquet.ts'
import type { StoredBatch } from '../block/stored.ts'
import type { Tombstone } from '../query/tombstone.ts'
import { bothNeeded, Matcher } from './scan.ts'

interface Stone {
  id: number
  maxSeq: number
  match: Matcher
  unless: Matcher[]
}

/** Tombstones made ready: make it once for many batches. */
export class Hide {
  /** The columns it reads, messages apart. */
  readonly needed: Needed = { columns: new Set(), attributes: [] }
  readonly readsMessages: boolean = false
  readonly #stones: Stone[] = []

  constructor(tombstones: Iterable<Tombstone>) {
    for (const { id, maxSeq, match, unless } of tombstones) {
      const stone = {
        id,
        maxSeq,
        match: new Matcher(match),
        unless: unless.map((f) => new Matcher(f)),
      }
      this.#stones.push(stone)
      for (const matcher of [stone.match, ...stone.unless]) {
        this.needed = bothNeeded(this.needed, matcher.needed)
        this.readsMessages ||= matcher.readsMessages
      }
    }
  }

  /** Those of `rows` that nothing hides. */
  visible(stored: StoredBatch, rows: number[]): number[] {
    let left = rows
    for (const stone of this.#stones) {
      const hidden = hiddenRows(stone, stored, left)
      if (hidden.length > 0) left = without(left, hidden, stored.batch.length)
    }
    return left
  }

  /** For each row the id of the first tombstone that hides it, 0 for none; null: nothing is hidden. */
  hiddenBy(stored: StoredBatch): Float64Array | null {
    const { length } = stored.batch
    let left = Array.from({ length }, (_, row) => row)
    let by: Float64Array | null = null
    for (const stone of this.#stones) {
      const hidden = hiddenRows(stone, stored, left)
      if (hidden.length === 0) continue
      by ??= new Float64Array(length)
      for (const row of hidden) by[row] = stone.id
      left = without(left, hidden, length)
    }
    return by
  }
}

function hiddenRows(
  { maxSeq, match, unless }: Stone,
  stored: StoredBatch,
  rows: number[],
): number[] {
  const old = rows.filter((row) => stored.seqs[row]! <= maxSeq)
  let hidden = old.length === 0 ? old : match.rows(stored, old)
  for (const matcher of unless) {
    if (hidden.length === 0) break
    hidden = without(hidden, matcher.rows(stored, hidden), stored.batch.length)
  }
  return hidden
}

/** `rows` but for `others`, of a batch of so many. */
function without(rows: number[], others: number[], length: number): number[] {
  if (others.length === 0) return rows
  const isOther = new Uint8Array(length)
  for (const row of others) isOther[row] = 1
  return rows.filter((row) => isOther[row] === 0)
}
