// Which wal rows and blocks a query has to open, decided from what is known of them without opening any.
//
// In the query's order: newest first goes by a row's latest time, oldest first by its earliest, so
// that a reader who has a full page may stop at the first row that can hold nothing better.

import { countByCatalog } from '../prune/catalog-count.ts'
import type { Prepared, PruneSource } from '../prune/facts.ts'
import { type Fate, preparePrune, prune } from '../prune/prune.ts'
import { type Ask, addCounted, type Counted, emptyCounted } from '../query/ask.ts'
import type { RecordFilter } from '../query/parameters.ts'
import type { Tombstone } from '../query/tombstone.ts'
import type { BlockRow } from './catalog.ts'
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
  /** Stored bytes in the reply; one row at least, unless `mayBeEmpty`. */
  bytesMax: number
  /** Where the first row is over `bytesMax`, its place will do: of 64 shards a page needs few rows. */
  mayBeEmpty: boolean
  /** `next` of the reply before. */
  after: CandidatePlace | null
  /** Count instead of bringing, where the catalog can do so exactly; null: bring all. */
  ask: Ask | null
  /** Tell of the rows that are not brought. */
  explain: boolean
}

export type RowPlace = 'unsealed' | 'hot' | 'cold'

/** A row that is not brought, and why: ruled out, or counted. */
export interface RowFate {
  /** Its first sequence number. */
  seq: number
  records: number
  minMs: number
  maxMs: number
  place: RowPlace
  why: Exclude<Fate, 'open'> | 'counted'
}

/** Where a reply ended. */
export interface CandidatePlace {
  ms: number
  seq: number
  /** The newest block of the first reply: only up to it do blocks have a place in the order. */
  knownBlock: number
  /**
   * Blocks made since are brought first and once each, whatever their place: they hold what rows
   * behind it held. Up to this one they were.
   */
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
  from: /** Segments back to back (block/segment.ts) of a wal row, stored at `receivedMs`. */
    | { kind: 'segments'; bytes: Uint8Array; receivedMs: number }
    /** A Parquet file. */
    | { kind: 'block'; bytes: Uint8Array }
    /** A Parquet file in the archive, and how long it is. */
    | { kind: 'object'; key: string; size: number }
  /** Made since the first reply: it stands out of order, and holds rows that may have been brought already. */
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
  /** What the request asks of blocks that were counted, and the ranges of sequence numbers these blocks hold. */
  counted: Counted & { ranges: [first: number, last: number][] }
  /** Deletions in force that may touch what is brought. */
  tombstones: Tombstone[]
  next: CandidatePlace | null
  /** Where they are asked for; each row once, as far as was looked. */
  fates: RowFate[]
}

/** Rows of one reply: with small rows the bytes alone would allow a hundred thousand. */
export const CANDIDATES_MAX = 1024

/** Blocks asked about beyond their narrow row in one reply: each reads a filter slice or a detail. */
export const PRUNES_MAX = 512
/** Details read for one reply: each takes up to 0.5 ms, and the shard does nothing else meanwhile. */
const DETAILS_MAX = 64

/** What the shard has, as far as choosing needs it. */
export interface Holdings {
  wal: WalIndex
  /** By sequence number. */
  blocks: readonly BlockRow[]
  sourceOf(block: BlockRow): PruneSource
  tombstones: readonly Tombstone[]
  /** The highest sequence number given out. */
  maxSeq: number
}

/** One row to read: the place of a wal row, or a block. */
export type Chosen =
  | { kind: 'wal'; row: number }
  | { kind: 'block'; block: BlockRow; isNew: boolean }

/** What a reply is made of, but for the bytes. */
export type Choice = Omit<CandidatesReply, 'candidates' | 'tombstones'> & { chosen: Chosen[] }

/**
 * The rows to read for one reply: first the blocks made since the reply before, then wal rows and
 * blocks in the query's order, from where that reply ended. Reads of the catalog what is asked of it.
 */
export function chooseCandidates(holdings: Holdings, request: CandidatesRequest): Choice {
  const { wal, blocks } = holdings
  const { after } = request
  const maxSeq = request.maxSeq ?? holdings.maxSeq
  const fates = new Fates(request.explain, after === null)
  const walRows = walInQuestion(wal, request, maxSeq, fates)
  const inQuestion = blocksInQuestion(blocks, request, maxSeq, fates)
  const newestBlock = blocks.reduce((highest, { id }) => Math.max(highest, id), 0)
  const knownBlock = after?.knownBlock ?? newestBlock
  const filling = new Filling(holdings, request, { maxSeq, fates })

  let lastBlock = after?.lastBlock ?? newestBlock
  const made = inQuestion.chosen.filter(({ id }) => id > lastBlock)
  for (const block of made.sort((a, b) => a.id - b.id)) {
    if (!filling.offerBlock(block, true)) break
    lastBlock = block.id
  }
  let last: { ms: number; seq: number } | null = after
  if (filling.isOpen) {
    lastBlock = Math.max(lastBlock, newestBlock)
    const known = inQuestion.chosen.filter(({ id }) => id <= knownBlock)
    for (const { ms, seq, row, block } of inOrder(wal, walRows, known, request)) {
      if (!(block ? filling.offerBlock(block, false) : filling.offerWal(row))) {
        last ??= { ms, seq: request.order === 'desc' ? seq + 1 : seq - 1 }
        break
      }
      last = { ms, seq }
    }
  }
  const isEnd = filling.isOpen && walRows.offered === walRows.best.length
  const isFirst = after === null
  const narrow = { ...walRows.skipped }
  narrow.time += inQuestion.skipped.time
  narrow.values += inQuestion.skipped.values
  return {
    maxSeq,
    chosen: filling.chosen,
    considered: isFirst ? walRows.considered + inQuestion.considered : 0,
    skipped: {
      ...filling.skipped,
      time: (isFirst ? narrow.time : 0) + filling.skipped.time,
      values: (isFirst ? narrow.values : 0) + filling.skipped.values,
    },
    counted: { ...filling.counted, ranges: filling.ranges },
    fates: fates.list,
    next: isEnd || last === null ? null : { ms: last.ms, seq: last.seq, knownBlock, lastBlock },
  }
}

/** Notes what becomes of rows, where that is asked for. */
class Fates {
  readonly list: RowFate[] = []
  readonly #isAsked: boolean
  /** By time and level all rows are judged in the first reply, and again in each that follows. */
  readonly #isFirst: boolean

  constructor(isAsked: boolean, isFirst: boolean) {
    this.#isAsked = isAsked
    this.#isFirst = isFirst
  }

  wal(wal: WalIndex, row: number, why: RowFate['why']): void {
    if (!this.#isAsked || !this.#isFirst) return
    const records = wal.records[row]!
    const [minMs, maxMs] = [wal.minMs[row]!, wal.maxMs[row]!]
    this.list.push({ seq: wal.seq[row]!, records, minMs, maxMs, place: 'unsealed', why })
  }

  /** `isNarrow`: its row in memory was enough to tell. */
  block(block: BlockRow, why: RowFate['why'], isNarrow: boolean): void {
    if (!this.#isAsked || (isNarrow && !this.#isFirst)) return
    const { firstSeq: seq, records, minMs, maxMs, key } = block
    this.list.push({ seq, records, minMs, maxMs, place: key === null ? 'hot' : 'cold', why })
  }
}

/** Rows of one reply, taken until there are enough of them. */
class Filling {
  /** False once something was refused: the reply ends before it. */
  isOpen = true
  readonly chosen: Chosen[] = []
  readonly skipped = { time: 0, values: 0, filter: 0, pattern: 0 }
  readonly counted = emptyCounted()
  readonly ranges: [first: number, last: number][] = []
  readonly #holdings: Holdings
  readonly #request: CandidatesRequest
  readonly #maxSeq: number
  readonly #fates: Fates
  readonly #prepared: Prepared
  /** Tombstones that a count has to mind. */
  readonly #hiding: { maxSeq: number; match: Prepared }[]
  #bytes = 0
  #prunes = 0
  #details = 0

  constructor(
    holdings: Holdings,
    request: CandidatesRequest,
    { maxSeq, fates }: { maxSeq: number; fates: Fates },
  ) {
    this.#holdings = holdings
    this.#request = request
    this.#maxSeq = maxSeq
    this.#fates = fates
    this.#prepared = preparePrune(request.filter)
    const tombstones = request.ask ? holdings.tombstones : []
    this.#hiding = tombstones.map(({ maxSeq, match }) => ({ maxSeq, match: preparePrune(match) }))
  }

  /** False when the reply is full; the row is then the next reply's. */
  offerWal(row: number): boolean {
    return this.#take({ kind: 'wal', row }, this.#holdings.wal.bytes[row]!)
  }

  /** The same of a block, which may also turn out to hold nothing, or be counted. */
  offerBlock(block: BlockRow, isNew: boolean): boolean {
    if (this.#prunes === PRUNES_MAX || this.#details >= DETAILS_MAX) {
      this.isOpen = false
      return false
    }
    this.#prunes++
    const source = this.#sourceOf(block)
    const fate = prune(this.#prepared, block, source)
    if (fate !== 'open') {
      this.skipped[fate]++
      this.#fates.block(block, fate, false)
      return true
    }
    // What a new block holds may have been counted already, so it is looked into.
    const { ask } = this.#request
    const count = ask && !isNew ? this.#countOf(block, source, ask) : null
    if (count === null) {
      return this.#take({ kind: 'block', block, isNew }, block.key === null ? block.bytes : 0)
    }
    addCounted(this.counted, count)
    this.#fates.block(block, 'counted', false)
    this.ranges.push([block.firstSeq, block.lastSeq])
    return true
  }

  /** null: its records have to be looked at, or not all of them are asked for. */
  #countOf(block: BlockRow, source: PruneSource, ask: Ask): Counted | null {
    const { onlyRange } = this.#request
    const lastSeq = Math.min(this.#maxSeq, onlyRange?.lastSeq ?? this.#maxSeq)
    if (block.lastSeq > lastSeq || block.firstSeq < (onlyRange?.firstSeq ?? 0)) return null
    const isTouched = this.#hiding.some(
      ({ maxSeq, match }) => block.firstSeq <= maxSeq && prune(match, block, source) === 'open',
    )
    return isTouched ? null : countByCatalog(this.#prepared, block, source, ask)
  }

  #sourceOf(block: BlockRow): PruneSource {
    const source = this.#holdings.sourceOf(block)
    let isCounted = false
    const detail = () => {
      if (!isCounted) this.#details++
      isCounted = true
      return source.detail()
    }
    return { ...source, detail }
  }

  #take(chosen: Chosen, bytes: number): boolean {
    const { length } = this.chosen
    const { bytesMax, mayBeEmpty } = this.#request
    const isOver = (length > 0 || mayBeEmpty) && this.#bytes + bytes > bytesMax
    if (isOver || length === CANDIDATES_MAX) this.isOpen = false
    else {
      this.chosen.push(chosen)
      this.#bytes += bytes
    }
    return this.isOpen
  }
}

function walInQuestion(wal: WalIndex, request: CandidatesRequest, maxSeq: number, fates: Fates) {
  const isDesc = request.order === 'desc'
  const best = new BestRows(wal, isDesc, request.after)
  const skipped = { time: 0, values: 0 }
  let considered = 0
  const skip = (row: number, why: 'time' | 'values') => {
    skipped[why]++
    fates.wal(wal, row, why)
  }
  const consider = (row: number) => {
    const seq = wal.seq[row]!
    if (seq > maxSeq || !reaches(request, seq, seq + wal.records[row]! - 1)) return
    considered++
    if (wal.maxMs[row]! < request.minMs || wal.minMs[row]! > request.maxMs) skip(row, 'time')
    else if ((wal.levelMask[row]! & request.levelMask) === 0) skip(row, 'values')
    else best.offer(row)
  }
  if (isDesc) for (let row = wal.length - 1; row >= 0; row--) consider(row)
  else for (let row = 0; row < wal.length; row++) consider(row)
  return { best: best.inOrder(), offered: best.offered, considered, skipped }
}

function blocksInQuestion(
  blocks: readonly BlockRow[],
  request: CandidatesRequest,
  maxSeq: number,
  fates: Fates,
) {
  const skipped = { time: 0, values: 0 }
  const chosen: BlockRow[] = []
  let considered = 0
  for (const block of blocks) {
    if (block.firstSeq > maxSeq || !reaches(request, block.firstSeq, block.lastSeq)) continue
    considered++
    const skip = (why: 'time' | 'values') => {
      skipped[why]++
      fates.block(block, why, true)
    }
    if (block.maxMs < request.minMs || block.minMs > request.maxMs) skip('time')
    else if (!block.levels.some((n, i) => n > 0 && (request.levelMask >> i) & 1)) skip('values')
    else chosen.push(block)
  }
  return { chosen, considered, skipped }
}

const reaches = ({ onlyRange }: CandidatesRequest, firstSeq: number, lastSeq: number) =>
  onlyRange === null || (firstSeq <= onlyRange.lastSeq && lastSeq >= onlyRange.firstSeq)

interface Entry {
  ms: number
  seq: number
  /** A place in the wal, where it is no block. */
  row: number
  block: BlockRow | null
}

/** Wal rows, which stand in order, and blocks, which do not yet, in the query's order. */
function inOrder(
  wal: WalIndex,
  { best, offered }: { best: number[]; offered: number },
  blocks: BlockRow[],
  { order, after }: CandidatesRequest,
): Entry[] {
  const isDesc = order === 'desc'
  const entries: Entry[] = best.map((row) => ({
    ms: isDesc ? wal.maxMs[row]! : wal.minMs[row]!,
    seq: wal.seq[row]!,
    row,
    block: null,
  }))
  // Where there are more wal rows, they may stand anywhere after the last of these.
  const end = offered > best.length ? entries.at(-1) : undefined
  for (const block of blocks) {
    const place = { ms: isDesc ? block.maxMs : block.minMs, seq: block.firstSeq }
    if (after && comparePlaces(place, after, isDesc) <= 0) continue
    if (end && comparePlaces(place, end, isDesc) > 0) continue
    entries.push({ ...place, row: -1, block })
  }
  return entries.sort((a, b) => comparePlaces(a, b, isDesc))
}

type Place = { ms: number; seq: number }
const comparePlaces = (a: Place, b: Place, isDesc: boolean) =>
  isDesc ? b.ms - a.ms || b.seq - a.seq : a.ms - b.ms || a.seq - b.seq

/**
 * The first CANDIDATES_MAX rows of those offered, in the query's order. Rows come about in that
 * order already, so nearly all that do not belong are told by one comparison with the worst kept.
 */
class BestRows {
  /** Rows that were offered and come after `after`. */
  offered = 0
  readonly #wal: WalIndex
  readonly #isDesc: boolean
  readonly #after: Place | null
  #rows: number[] = []
  /** The worst row that can still be on the page, once there are enough. */
  #bound: Place | null = null

  constructor(wal: WalIndex, isDesc: boolean, after: Place | null) {
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

  #placeOf(row: number): Place {
    const ms = this.#isDesc ? this.#wal.maxMs[row]! : this.#wal.minMs[row]!
    return { ms, seq: this.#wal.seq[row]! }
  }

  #compare(a: Place, b: Place): number {
    return comparePlaces(a, b, this.#isDesc)
  }
}
