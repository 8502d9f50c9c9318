// A scan gives way to others: in a local run it shares its thread with the shards, and a request that
// nobody waits for any more shall end.

import type { StoredBatch } from '../block/stored.ts'

/** How long a scan may hold its thread. */
const SLICE_MS = 8
/** Characters of messages that a search for words reads between two looks at the clock. */
const SLICE_CHARS = 64 * 1024

/** Thrown out of a scan that nobody waits for; the Reader catches it. */
export class Cancelled extends Error {}

/** How many rows at once take no longer than a slice, as far as is known. */
export class Pace {
  rows = FIRST_ROWS
}

/** Of what nothing is known yet: a record may have 64 KiB in each of many attributes. */
const FIRST_ROWS = 32

export class Slices {
  #startedMs = Date.now()
  readonly #signal: AbortSignal | undefined

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal
  }

  /** To be awaited where others may run; waits only when the slice is over. */
  async yield(): Promise<void> {
    if (Date.now() - this.#startedMs < SLICE_MS) return
    await new Promise((resolve) => setTimeout(resolve, 0))
    this.#startedMs = Date.now()
    this.check()
  }

  /** Visits rows in pieces of at most `rowsMax`, and of fewer where more would take longer than a slice. */
  async inPieces(
    rows: number[],
    pace: Pace,
    rowsMax: number,
    visit: (piece: number[]) => void,
  ): Promise<void> {
    for (let from = 0; from < rows.length; ) {
      const count = Math.min(pace.rows, rowsMax, rows.length - from)
      const startedMs = Date.now()
      visit(count === rows.length ? rows : rows.slice(from, from + count))
      from += count
      const ms = Date.now() - startedMs
      if (ms > SLICE_MS) pace.rows = Math.max(1, count >> 1)
      else if (ms < SLICE_MS / 2 && count === pace.rows) pace.rows *= 2
      await this.yield()
    }
  }

  /** Ends the scan of a request that was cancelled. */
  check(): void {
    if (this.#signal?.aborted) throw new Cancelled('the request was cancelled')
  }
}

/** Rows in pieces that take about a slice each; `cost` is what a character takes, in those of a search for words. */
export function* piecesOf(
  { batch, messages }: StoredBatch,
  rows: number[],
  cost: number,
): Generator<number[]> {
  const charsAt = (row: number) => (messages ? messages.bytesAt(row) : batch.message[row]!.length)
  const charsMax = SLICE_CHARS / Math.max(1, cost)
  for (let from = 0; from < rows.length; ) {
    let to = from
    for (let chars = 0; to < rows.length && chars < charsMax; to++) {
      chars += charsAt(rows[to]!) + 32
    }
    yield rows.slice(from, to)
    from = to
  }
}
