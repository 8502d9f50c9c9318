// Scans what one row of a shard's catalog holds, segments or a block, and hands what matches to a sink:
// only the columns that somebody needs, and of messages only those whose pattern does not decide.

import { type BlockFile, DamagedBlock, type Needed, readGroupSteps } from '../block/parquet.ts'
import { decodeSegment, unpackSegments } from '../block/segment.ts'
import { type StoredBatch, storedSegment } from '../block/stored.ts'
import type { Hide } from '../match/hide.ts'
import type { Sink } from '../match/merge.ts'
import { bothNeeded, Matcher, rowsInSet } from '../match/scan.ts'
import type { SeqRange, SeqRanges } from '../match/seq-ranges.ts'
import type { Sieved } from '../match/step.ts'
import type { Plan } from '../query/plan.ts'
import type { Candidate } from '../shard/candidates.ts'
import { Pace, piecesOf, type Slices } from './slices.ts'

/** One shard, as far as it was scanned. */
export interface Scanned {
  shard: number
  /** The set's highest sequence number. */
  maxSeq: number
  /** What was scanned or counted: it may be sent once more, in another block. */
  done: SeqRanges
  hide: Hide
}

/** One candidate being scanned. */
export interface Pass {
  source: Scanned
  candidate: Candidate
  /** Only these of its records. */
  only: SeqRange | null
  /** Some of its records were done before. */
  isPartly: boolean
}

export class Scanner {
  /** Records looked at. */
  rows = 0
  /** The same, those counted several times whose message was asked a dear question. */
  cost = 0
  readonly #plan: Plan
  readonly #sink: Sink
  readonly #slices: Slices
  readonly #matcher: Matcher
  readonly #sieving = new Pace()
  readonly #offering = new Pace()

  constructor(plan: Plan, sink: Sink, slices: Slices) {
    this.#plan = plan
    this.#sink = sink
    this.#slices = slices
    this.#matcher = new Matcher(plan)
  }

  async segments(pass: Pass, from: { bytes: Uint8Array; receivedMs: number }): Promise<void> {
    let firstSeq = pass.candidate.seq
    for (const bytes of readable(() => unpackSegments(from.bytes))) {
      const batch = readable(() => decodeSegment(bytes))
      const stored = storedSegment(batch, firstSeq, from.receivedMs)
      firstSeq += batch.length
      await this.#slices.yield()
      const rows = await this.#matching(pass, stored)
      const wanted = await this.#offer(stored, rows, pass.source.shard)
      this.#sink.add(stored, wanted, pass.source.shard)
      this.rows += batch.length
    }
  }

  /** Scans row groups, which stand by time, until the sink needs none that is left. */
  async block(pass: Pass, file: BlockFile): Promise<void> {
    const { shard, hide } = pass.source
    const isDesc = this.#plan.order === 'desc'
    const needed = bothNeeded(bothNeeded(this.#matcher.needed, hide.needed), this.#sink.needed)
    const groups = [...file.groups.keys()]
    for (const group of isDesc ? groups.reverse() : groups) {
      const stored = await this.#readGroup(file, group, needed)
      const { length } = stored.batch
      // The first was judged with its block.
      if (groups.length > 1 && !this.#mayHold(stored)) break
      await this.#slices.yield()
      const rows = await this.#matching(pass, stored)
      const wanted = await this.#offer(stored, rows, shard)
      if (wanted.length > 0) {
        this.#sink.add(await this.#readGroup(file, group, 'all'), wanted, shard)
      }
      this.rows += length
    }
  }

  /** Whether a row group may hold what is needed; its rows stand by time. */
  #mayHold({ batch: { timeMs, length } }: StoredBatch): boolean {
    return this.#sink.mayHold(timeMs[this.#plan.order === 'desc' ? length - 1 : 0]!)
  }

  async #readGroup(file: BlockFile, group: number, needed: Needed | 'all'): Promise<StoredBatch> {
    const steps = readGroupSteps(file, group, needed)
    let step = readable(() => steps.next())
    while (!step.done) {
      await this.#slices.yield()
      step = readable(() => steps.next())
    }
    return step.value
  }

  /** The rows of a batch that are in the set, match, were not done before and are not hidden. */
  async #matching(pass: Pass, stored: StoredBatch): Promise<number[]> {
    const { hide } = pass.source
    const { batch } = stored
    const rows = this.#rowsOf(pass, stored)
    const { sure: found, look } = await this.#sieve(stored, rows)
    const { lookCost } = this.#matcher
    this.cost += batch.length + look.length * Math.floor(lookCost)
    for (const piece of look.length > 0 ? piecesOf(stored, look, lookCost) : []) {
      for (const row of this.#matcher.look(stored, piece)) found.push(row)
      await this.#slices.yield()
    }
    if (!hide.readsMessages) return hide.visible(stored, found)
    const visible: number[] = []
    for (let from = 0; from < found.length; from += HIDE_ROWS) {
      visible.push(...hide.visible(stored, found.slice(from, from + HIDE_ROWS)))
      await this.#slices.yield()
    }
    return visible
  }

  /** The rows of a batch that are in the set and were not done before. */
  #rowsOf({ source, candidate, only, isPartly }: Pass, stored: StoredBatch): number[] {
    const { shard, maxSeq, done } = source
    const plan = this.#plan
    // As a rule it is all of them, and no sequence number has to be decoded to see it.
    let rows =
      candidate.lastSeq <= maxSeq && plan.after === null
        ? allRows(stored)
        : rowsInSet(plan, stored, shard, maxSeq)
    if (!only && !isPartly) return rows
    const { seqs } = stored
    if (only) {
      rows = rows.filter((row) => seqs[row]! >= only.firstSeq && seqs[row]! <= only.lastSeq)
    }
    return isPartly ? rows.filter((row) => !done.has(seqs[row]!)) : rows
  }

  async #sieve(stored: StoredBatch, rows: number[]): Promise<Sieved> {
    const sieved: Sieved = { sure: [], look: [] }
    await this.#slices.inPieces(rows, this.#sieving, this.#matcher.rowsAtOnce, (piece) => {
      const { sure, look } = this.#matcher.sieve(stored, piece)
      for (const row of sure) sieved.sure.push(row)
      for (const row of look) sieved.look.push(row)
    })
    return sieved
  }

  /** The rows that the sink needs whole. */
  async #offer(stored: StoredBatch, rows: number[], shard: number): Promise<number[]> {
    const { rowsMax } = this.#sink
    if (rowsMax === undefined) return this.#sink.wanted(stored, rows, shard)
    const wanted: number[] = []
    await this.#slices.inPieces(rows, this.#offering, rowsMax, (piece) => {
      for (const row of this.#sink.wanted(stored, piece, shard)) wanted.push(row)
    })
    return wanted
  }
}

function allRows({ batch: { length } }: StoredBatch): number[] {
  const rows = new Array<number>(length)
  for (let row = 0; row < length; row++) rows[row] = row
  return rows
}

class Unreadable extends Error {}

/** Whether an error says that stored bytes can not be read. */
export const isUnreadable = (e: unknown) => e instanceof Unreadable || e instanceof DamagedBlock

/** Runs a decoder over stored bytes: whatever it throws, they can not be read. */
export function readable<T>(decode: () => T): T {
  try {
    return decode()
  } catch (e) {
    throw new Unreadable('stored records can not be read', { cause: e })
  }
}

/** Rows asked of deletions that read messages, between two looks at the clock. */
const HIDE_ROWS = 256
