// Which stored rows a query has to open, decided from what is known of them without opening any.
//
// In the query's order: newest first goes by a row's latest time, oldest first by its earliest, so
// that a reader who has a full page may stop at the first row that can hold nothing better.

import type { RecordFilter } from '../query/plan.ts'
import type { Tombstone } from '../query/tombstone.ts'
import type { WalIndex } from './wal-index.ts'

export interface CandidatesRequest {
  /** What is asked for: blocks that can not hold it are left out. */
  filter: RecordFilter
  /** Only rows that may hold a time in minMs..maxMs (both included). */
  minMs: number
  maxMs: number
  /** Only rows that hold one of these levels (bit i for LEVELS[i]). */
  levelMask: number
  order: 'asc' | 'desc'
  /** Only records up to this sequence number: the set an earlier page fixed. null: all there are. */
  maxSeq: number | null
  /** Only rows that reach into this range of sequence numbers, both included. */
  onlyRange: { firstSeq: number; lastSeq: number } | null
  /** Stored bytes in the reply, one row at least. */
  bytesMax: number
  /** `next` of the reply before. */
  after: CandidatePlace | null
  /** Count instead of bringing, where the catalog knows exactly how many records match. */
  counts: boolean
}

/** Where a reply ended. */
export interface CandidatePlace {
  ms: number
  seq: number
  /** Blocks made since are brought whatever their place: they hold what rows behind it held. */
  lastBlock: number
}

/** A row to open: a wal row, or a sealed block. */
export interface ChosenRow {
  /** Its first sequence number, and its last. */
  seq: number
  lastSeq: number
  minMs: number
  maxMs: number
  records: number
}

export interface Candidate extends ChosenRow {
  from:
    /** Segments back to back (block/segment.ts) of a wal row, stored at `receivedMs`. */
    | { kind: 'segments'; bytes: Uint8Array; receivedMs: number }
    /** A Parquet file. */
    | { kind: 'block'; bytes: Uint8Array }
    /** A Parquet file in the archive, and how long it is. */
    | { kind: 'object'; key: string; size: number }
  /** Made since the reply before: it stands out of order, and holds rows that may have been brought already. */
  isNew: boolean
}

export interface CandidatesReply {
  /** The set's highest sequence number; later pages ask for exactly this set. */
  maxSeq: number
  /** Of the whole set, in the first reply; 0 in later ones. */
  considered: number
  /** By time and level also of the whole set, in the first reply; the rest as far as was looked. */
  skipped: { time: number; values: number; filter: number; pattern: number }
  candidates: Candidate[]
  /** Records of blocks that were counted, and the ranges of sequence numbers these blocks hold. */
  counted: { records: number; ranges: [first: number, last: number][] }
  /** Deletions in force that may touch what is brought. */
  tombstones: Tombstone[]
  next: CandidatePlace | null
}

/** Rows of one reply: with small rows the bytes alone would allow a hundred thousand. */
export const CANDIDATES_MAX = 1024

/** The wal rows to read for one reply, in order. Pure, and one pass over the rows without a sort of all. */
export function chooseCandidates(wal: WalIndex, request: CandidatesRequest, highestSeq: number) {
  const maxSeq = request.maxSeq ?? highestSeq
  const isDesc = request.order === 'desc'
  const skipped = { time: 0, values: 0 }
  const best = new BestRows(wal, isDesc, request.after)
  let considered = 0
  const consider = (row: number) => {
    if (wal.seq[row]! > maxSeq) return
    considered++
    if (wal.maxMs[row]! < request.minMs || wal.minMs[row]! > request.maxMs) skipped.time++
    else if ((wal.levelMask[row]! & request.levelMask) === 0) skipped.values++
    else best.offer(row)
  }
  if (request.onlySeq !== null) {
    const row = wal.rowOf(request.onlySeq)
    if (row >= 0) consider(row)
  } else if (isDesc) {
    for (let row = wal.length - 1; row >= 0; row--) consider(row)
  } else {
    for (let row = 0; row < wal.length; row++) consider(row)
  }
  const rows = best.inOrder()
  const chosen: ChosenRow[] = []
  let bytes = 0
  for (const row of rows) {
    if (chosen.length > 0 && bytes + wal.bytes[row]! > request.bytesMax) break
    bytes += wal.bytes[row]!
    chosen.push({
      seq: wal.seq[row]!,
      minMs: wal.minMs[row]!,
      maxMs: wal.maxMs[row]!,
      records: wal.records[row]!,
    })
  }
  const last = chosen.at(-1)
  const hasMore = chosen.length < best.offered
  const next = last && hasMore ? { ms: isDesc ? last.maxMs : last.minMs, seq: last.seq } : null
  return { maxSeq, considered, skipped, chosen, next }
}

/**
 * The first CANDIDATES_MAX rows of those offered, in the query's order. Rows come about in that
 * order already, so nearly all that do not belong are told by one comparison with the worst kept.
 */
class BestRows {
  /** Rows that were offered and come after `after`. */
  offered = 0
  readonly #wal: WalIndex
  readonly #isDesc: boolean
  readonly #after: CandidatePlace | null
  #rows: number[] = []
  /** The worst row that can still be on the page, once there are enough. */
  #bound: CandidatePlace | null = null

  constructor(wal: WalIndex, isDesc: boolean, after: CandidatePlace | null) {
    this.#wal = wal
    this.#isDesc = isDesc
    this.#after = after
  }

  offer(row: number): void {
    const place = this.#placeOf(row)
    if (this.#after && this.#compare(place, this.#after) <= 0) return
    this.offered++
    if (this.#bound && this.#compare(place, this.#bound) > 0) return
    this.#rows.push(row)
    if (this.#rows.length === 2 * CANDIDATES_MAX) this.#cut()
  }

  inOrder(): number[] {
    this.#cut()
    return this.#rows
  }

  #cut(): void {
    this.#rows.sort((a, b) => this.#compare(this.#placeOf(a), this.#placeOf(b)))
    if (this.#rows.length > CANDIDATES_MAX) this.#rows.length = CANDIDATES_MAX
    if (this.#rows.length === CANDIDATES_MAX) this.#bound = this.#placeOf(this.#rows.at(-1)!)
  }

  #placeOf(row: number): CandidatePlace {
    const ms = this.#isDesc ? this.#wal.maxMs[row]! : this.#wal.minMs[row]!
    return { ms, seq: this.#wal.seq[row]! }
  }

  #compare(a: CandidatePlace, b: CandidatePlace): number {
    return this.#isDesc ? b.ms - a.ms || b.seq - a.seq : a.ms - b.ms || a.seq - b.seq
  }
}
