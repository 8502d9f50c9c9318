// What a reader of a tail missed, read from the store: a window of one shard's sequence numbers at a
// time, in their order.

import type { StoredBatch } from '../block/stored.ts'
import type { Env } from '../env.ts'
import { TAIL_WINDOW_CHARS_MAX } from '../limits.ts'
import { NOTHING_NEEDED, type Sink } from '../match/merge.ts'
import type { SeqRange } from '../match/seq-ranges.ts'
import { type TailFrame, writeLine } from '../match/tail-wire.ts'
import { recordView } from '../match/view.ts'
import type { RecordFilter } from '../query/parameters.ts'
import { everythingOf } from '../query/plan.ts'
import { ok, type Result } from '../result.ts'
import { type Budget, type PartialReason, Reader } from './reader.ts'
import type { ShardAccess } from './route.ts'

/** What a window holds. It may end early, for its bytes; `reasons` names what could not be read of it. */
export interface TailWindow {
  frame: TailFrame
  reasons: PartialReason[]
  /** Calls to the shard and the archive, about. */
  calls: number
}

/** The window is bound enough. */
const UNBOUND: Budget = { blocks: 1e9, bytes: 1e15, rows: 1e12 }

/** The records that match among these sequence numbers of one shard. */
export async function readWindow(
  env: Env,
  access: ShardAccess,
  { filter, shard, range }: { filter: RecordFilter; shard: number; range: SeqRange },
  signal: AbortSignal,
): Promise<Result<TailWindow>> {
  const window = new WindowSink(range)
  const plan = { ...everythingOf(filter), order: 'asc' as const }
  const asked = { plan, shards: [shard], onlyRange: range, ask: null, budget: UNBOUND, signal }
  const reader = new Reader(env, access, asked, window)
  const failure = await reader.run()
  if (failure) return { ok: false, error: failure }
  const { reasons, stats } = reader
  return ok({ frame: window.frame(), reasons, calls: 1 + stats.r2_reads })
}

interface Found {
  seq: number
  line: string
}

/** The first of the records found, by sequence number, as many as fit. */
class WindowSink implements Sink {
  readonly needed = NOTHING_NEEDED
  readonly #range: SeqRange
  /** Behind it records were left out. */
  #lastSeq: number
  #found: Found[] = []
  #chars = 0

  constructor(range: SeqRange) {
    this.#range = range
    this.#lastSeq = range.lastSeq
  }

  mayHold(): boolean {
    return true
  }

  wanted({ seqs }: StoredBatch, rows: number[]): number[] {
    return rows.filter((row) => seqs[row]! <= this.#lastSeq)
  }

  add({ batch, seqs }: StoredBatch, rows: number[], shard: number): void {
    for (const row of [...rows].sort((a, b) => seqs[a]! - seqs[b]!)) {
      const seq = seqs[row]!
      if (seq > this.#lastSeq) break
      const line = writeLine(seq, recordView(batch, row, shard, seq))
      this.#found.push({ seq, line })
      this.#chars += line.length
      if (this.#chars > TAIL_WINDOW_CHARS_MAX) this.#cut()
    }
  }

  absorb(): void {}

  frame(): TailFrame {
    const lines = this.#inOrder().map(({ line }) => line)
    return { afterSeq: this.#range.firstSeq - 1, lastSeq: this.#lastSeq, lines }
  }

  /** Leaves the last out until the rest fits; the first always stays. */
  #cut(): void {
    const found = this.#inOrder()
    while (found.length > 1 && this.#chars > TAIL_WINDOW_CHARS_MAX) {
      const { seq, line } = found.pop()!
      this.#chars -= line.length
      this.#lastSeq = seq - 1
    }
  }

  #inOrder(): Found[] {
    return this.#found.sort((a, b) => a.seq - b.seq)
  }
}
