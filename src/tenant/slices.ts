// A scan gives way to others: in a local run it shares its thread with the shards, and a request that
// nobody waits for any more shall end.

import type { StoredBatch } from '../block/stored.ts'
import type { Sink } from '../match/merge.ts'

/** How long a scan may hold its thread. */
const SLICE_MS = 8
/** Characters of messages that a search for words reads between two looks at the clock. */
const SLICE_CHARS = 64 * 1024

/** Thrown out of a scan that nobody waits for; the Reader catches it. */
export class Cancelled extends Error {}

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

/** The rows that a sink needs whole of those offered: a slice at a time, where it takes long over them. */
export async function offer(
  sink: Sink,
  { stored, rows, shard }: { stored: StoredBatch; rows: number[]; shard: number },
  slices: Slices,
): Promise<number[]> {
  const { rowsMax = rows.length } = sink
  if (rows.length <= rowsMax) return sink.wanted(stored, rows, shard)
  const wanted: number[] = []
  for (let from = 0; from < rows.length; from += rowsMax) {
    for (const row of sink.wanted(stored, rows.slice(from, from + rowsMax), shard)) wanted.push(row)
    await slices.yield()
  }
  return wanted
}
