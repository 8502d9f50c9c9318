// Which stored rows a query has to open, decided from what is known of them without opening any.
//
// In the query's order: newest first goes by a row's latest time, oldest first by its earliest, so
// that a reader who has a full page may stop at the first row that can hold nothing better.

import type { BlockSummary } from '../block/summary.ts'
import type { WalEntry } from './store.ts'

export interface CandidatesRequest {
  /** Only rows that may hold a time in minMs..maxMs (both included). */
  minMs: number
  maxMs: number
  /** Only rows that hold one of these levels (bit i for LEVELS[i]). */
  levelMask: number
  order: 'asc' | 'desc'
  /** Only records up to this sequence number: the set an earlier page fixed. null: all there are. */
  maxSeq: number | null
  /** Only the row that holds this record. */
  onlySeq: number | null
  /** Stored bytes in the reply, one row at least. */
  bytesMax: number
  /** `next` of the reply before. */
  after: CandidatePlace | null
}

/** A row's place in the query's order. */
export interface CandidatePlace {
  ms: number
  seq: number
}

export interface Candidate extends BlockSummary {
  seq: number
  receivedMs: number
  bytes: number
  /** Segments back to back (block/segment.ts). */
  segments: Uint8Array
}

export interface CandidatesReply {
  /** The set's highest sequence number; later pages ask for exactly this set. */
  maxSeq: number
  considered: number
  skipped: { time: number; values: number }
  candidates: Candidate[]
  next: CandidatePlace | null
}

/** The wal rows to read for one reply, in order. Pure. */
export function chooseCandidates(
  wal: readonly WalEntry[],
  request: CandidatesRequest,
  highestSeq: number,
) {
  const maxSeq = request.maxSeq ?? highestSeq
  const isDesc = request.order === 'desc'
  const skipped = { time: 0, values: 0 }
  let considered = 0
  const matching: WalEntry[] = []
  for (const entry of wal) {
    if (entry.seq > maxSeq) break
    const { onlySeq } = request
    if (onlySeq !== null && (onlySeq < entry.seq || onlySeq >= entry.seq + entry.records)) continue
    considered++
    if (entry.maxMs < request.minMs || entry.minMs > request.maxMs) skipped.time++
    else if (!entry.levels.some((n, level) => n > 0 && (request.levelMask >> level) & 1))
      skipped.values++
    else matching.push(entry)
  }
  const placeOf = (entry: WalEntry): CandidatePlace => ({
    ms: isDesc ? entry.maxMs : entry.minMs,
    seq: entry.seq,
  })
  const compare = (a: CandidatePlace, b: CandidatePlace) =>
    isDesc ? b.ms - a.ms || b.seq - a.seq : a.ms - b.ms || a.seq - b.seq
  matching.sort((a, b) => compare(placeOf(a), placeOf(b)))
  const { after } = request
  const left = after ? matching.filter((entry) => compare(placeOf(entry), after) > 0) : matching
  const entries: WalEntry[] = []
  let bytes = 0
  for (const entry of left) {
    if (entries.length > 0 && bytes + entry.bytes > request.bytesMax) break
    entries.push(entry)
    bytes += entry.bytes
  }
  const last = entries.at(-1)
  const next = last && entries.length < left.length ? placeOf(last) : null
  return { maxSeq, considered, skipped, entries, next }
}
