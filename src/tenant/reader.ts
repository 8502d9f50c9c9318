// Brings the records of many shards that match a plan into a sink, best first, however they are
// stored: unsealed rows, blocks in a shard, blocks in the archive.
//
// A shard fixes its set with its first reply and sends the rest in later ones. Meanwhile rows are
// sealed, blocks merged and moved. So the reader keeps which sequence numbers of a shard it is done
// with, and takes from whatever it is sent only the others; an archived block that is gone is asked
// for again by its range. What can not be read is named in `reasons`, and the rest is read.

import { openBlock } from '../block/parquet.ts'
import type { Env } from '../env.ts'
import {
  CANDIDATE_BYTES_FIRST,
  CANDIDATE_BYTES_MAX,
  QUERY_BLOCKS_MAX,
  QUERY_BYTES_MAX,
  QUERY_ROWS_MAX,
} from '../limits.ts'
import { Hide } from '../match/hide.ts'
import type { Sink } from '../match/merge.ts'
import { type SeqRange, SeqRanges } from '../match/seq-ranges.ts'
import type { Ask } from '../query/ask.ts'
import { type Plan, rangeOf } from '../query/plan.ts'
import type { Tombstone } from '../query/tombstone.ts'
import type { Failure, Result } from '../result.ts'
import type { Candidate, CandidatesReply, CandidatesRequest } from '../shard/candidates.ts'
import { COLD_READS_MAX, ColdReads } from './cold-read.ts'
import { Explainer } from './explain.ts'
import { callShard, type ShardAccess } from './route.ts'
import { isUnreadable, type Pass, readable, type Scanned, Scanner } from './scanner.ts'
import { Cancelled, Slices } from './slices.ts'
import { nothingRead, type QueryStats } from './stats.ts'

/** What an answer lacks: what the budget left out, a shard that can not be heard, or stored records that can not be read. */
export type PartialReason =
  | { code: 'budget' }
  | { code: 'shard_unreachable'; shard: number }
  /** `block` is its first sequence number. */
  | { code: 'block_missing' | 'block_corrupt'; shard: number; block: number }

/** What is to be read. */
export interface Reading {
  plan: Plan
  shards: number[]
  /** Only these sequence numbers. */
  onlyRange: SeqRange | null
  /** What shards may count instead of sending, where their catalog can do so exactly; null: nothing. */
  ask: Ask | null
  /** Tells the fate of every row. */
  explain?: boolean
  /** Tells nothing of blocks: they hold records that the caller may not know of. */
  hidesBlocks?: boolean
  budget?: Budget
  /** Aborted when nobody waits for the answer any more. */
  signal?: AbortSignal
}

/** What one query may cost; once it is spent, the answer is partial. Not time: the platform's clock stands still while code runs. */
export interface Budget {
  /** Rows of a catalog that were opened, and their stored bytes. */
  blocks: number
  bytes: number
  /** Records looked at; one whose message is asked a dear question counts as several. */
  rows: number
}

export const QUERY_BUDGET: Budget = {
  blocks: QUERY_BLOCKS_MAX,
  bytes: QUERY_BYTES_MAX,
  rows: QUERY_ROWS_MAX,
}

/** What is left to scan of one shard, in the plan's order; what moved since its first reply stands before. */
interface Source extends Scanned {
  left: Candidate[]
  next: CandidatesReply['next']
  /** All it told of: a deletion stays true when the shard has carried it out. */
  tombstones: Map<number, Tombstone>
}

type SourcePass = Pass & { source: Source }

/** Candidates of one shard that are looked through for objects to read ahead. */
const LOOK_AHEAD = 16

export class Reader {
  readonly stats = nothingRead()
  readonly reasons: PartialReason[] = []
  /** Each shard's highest sequence number, as the plan or the first replies fix it. */
  readonly maxSeqs: (number | null)[]
  readonly #env: Env
  readonly #access: ShardAccess
  readonly #reading: Reading
  readonly #sink: Sink
  readonly #scanner: Scanner
  readonly #cold: ColdReads
  readonly #slices: Slices
  readonly #budget: Budget
  #sources: Source[] = []
  #objectsRead = 0
  /** Where the order of the answer begins. */
  #startMs = 0
  /**
   * Where the budget was spent, in the order of the answer: what lies before it was read whole; null:
   * everything was. Milliseconds since 1970.
   */
  frontierMs: number | null = null
  readonly explainer: Explainer | null

  constructor(env: Env, access: ShardAccess, reading: Reading, sink: Sink) {
    this.#env = env
    this.#access = access
    this.#reading = reading
    this.#sink = sink
    this.#cold = new ColdReads(env.ARCHIVE)
    this.#slices = new Slices(reading.signal)
    this.#scanner = new Scanner(reading.plan, sink, this.#slices)
    this.explainer = reading.explain ? new Explainer() : null
    this.#budget = reading.budget ?? QUERY_BUDGET
    const length = Math.max(...reading.shards) + 1
    this.maxSeqs = Array.from({ length }, (_, shard) => reading.plan.maxSeqs[shard] ?? null)
  }

  /** Of the stats, what the caller may know. */
  get toldStats(): QueryStats {
    return this.#reading.hidesBlocks ? { ...nothingRead(), ms: this.stats.ms } : this.stats
  }

  /** Reads until the sink needs no more. The failure when no answer can be given at all. */
  async run(): Promise<Failure | null> {
    const startedMs = Date.now()
    try {
      return (await this.#start()) ?? (await this.#readAll())
    } catch (e) {
      if (!(e instanceof Cancelled)) throw e
      return { code: 'unavailable', message: 'the request was cancelled' }
    } finally {
      this.#cold.close()
      this.stats.rows = this.#scanner.rows
      this.stats.r2_reads = this.#cold.reads
      this.stats.ms = Date.now() - startedMs
    }
  }

  /**
   * Of a partial answer: the time that was looked through whole, in milliseconds, `until` exclusive and
   * null where there is no end. null: some of every time may be missing.
   */
  get covered(): { since: number; until: number | null } | null {
    const { frontierMs, reasons } = this
    if (frontierMs === null || reasons.length > 1) return null
    const { order, since, until } = this.#reading.plan
    return order === 'desc'
      ? { since: frontierMs + 1, until: until?.ms ?? null }
      : { since: since?.ms ?? 0, until: frontierMs }
  }

  async #start(): Promise<Failure | null> {
    const { shards } = this.#reading
    const bytesMax = this.#shareOf(CANDIDATE_BYTES_FIRST)
    const replies = await Promise.all(
      shards.map((shard) =>
        this.#ask(shard, {
          bytesMax,
          maxSeq: this.maxSeqs[shard] ?? null,
          mayBeEmpty: shards.length > 1,
        }),
      ),
    )
    let silence: Failure | null = null
    for (const [i, reply] of replies.entries()) {
      const shard = shards[i]!
      if (!reply.ok && !isSilence(reply.error)) return reply.error
      if (reply.ok) this.#sources.push(this.#sourceOf(shard, reply.data))
      else {
        silence ??= reply.error
        this.reasons.push({ code: 'shard_unreachable', shard })
      }
    }
    this.#startMs = this.#beginningMs()
    return this.#sources.length === 0 ? silence : null
  }

  /** Where the order of the answer begins: with the first row, or where the page before ended. */
  #beginningMs(): number {
    const { after, order } = this.#reading.plan
    const sign = order === 'asc' ? 1 : -1
    const places = this.#sources.map((source) => this.#nextMs(source)).filter((ms) => ms !== null)
    if (places.length === 0) return 0
    const first = Math.min(...places.map((ms) => ms * sign))
    return (after ? Math.max(first, after.ms * sign) : first) * sign
  }

  /** The place of a source's next row in the order; null at its end. */
  #nextMs({ left: [candidate], next }: Source): number | null {
    if (candidate) return this.#placeMs(candidate)
    return next?.ms ?? null
  }

  #sourceOf(shard: number, reply: CandidatesReply): Source {
    const { maxSeq } = reply
    this.maxSeqs[shard] = maxSeq
    const source: Source = {
      shard,
      maxSeq,
      left: [],
      next: null,
      done: new SeqRanges(),
      tombstones: new Map(),
      hide: new Hide([]),
    }
    this.#take(source, reply)
    return source
  }

  #take(source: Source, reply: CandidatesReply): void {
    const { blocks } = this.stats
    blocks.considered += reply.considered
    for (const why of ['time', 'values', 'filter', 'pattern'] as const) {
      blocks.skipped[why] += reply.skipped[why]
    }
    source.left = reply.candidates
    source.next = reply.next
    this.#sink.absorb(reply.counted, source.shard)
    for (const [firstSeq, lastSeq] of reply.counted.ranges) source.done.add({ firstSeq, lastSeq })
    this.explainer?.skipped(source.shard, reply.fates)
    for (const candidate of reply.candidates)
      this.explainer?.sent(source.shard, candidate, 'unread')
    bury(source, reply.tombstones)
  }

  async #readAll(): Promise<Failure | null> {
    for (let source = this.#first(); source; source = this.#first()) {
      this.#slices.check()
      const candidate = source.left[0]
      const ms = candidate ? this.#placeMs(candidate) : source.next!.ms
      if (!candidate?.isNew && this.#isOver(ms)) break
      if (!this.#sink.mayHold(ms)) {
        // What moved stands out of order: behind it there may be better.
        if (!candidate?.isNew) break
        source.left.shift()
      } else if (candidate) {
        this.#readAhead(candidate)
        source.left.shift()
        const failure = await this.#scan(this.#passOf(source, candidate, this.#reading.onlyRange))
        if (failure) return failure
      } else {
        const failure = await this.#refill(source)
        if (failure) return failure
      }
    }
    return null
  }

  /** Whether the budget is spent. It lasts to the next millisecond at least, so that pages get on. */
  #isOver(ms: number): boolean {
    const { blocks, bytes, rows } = this.#budget
    const { stats } = this
    const isSpent =
      stats.blocks.opened >= blocks || stats.bytes >= bytes || this.#scanner.cost >= rows
    const sign = this.#reading.plan.order === 'asc' ? 1 : -1
    if (!isSpent || (ms - this.#startMs) * sign <= 0 || !this.#sink.mayHold(ms)) return false
    this.frontierMs = ms
    this.reasons.push({ code: 'budget' })
    return true
  }

  #passOf(source: Source, candidate: Candidate, only: SeqRange | null): SourcePass {
    return { source, candidate, only, isPartly: source.done.touches(rangeOfRow(candidate)) }
  }

  #placeMs({ minMs, maxMs }: Candidate): number {
    return this.#reading.plan.order === 'desc' ? maxMs : minMs
  }

  /** The source that goes on: one with what moved, else the one whose next row comes first. */
  #first(): Source | null {
    const sign = this.#reading.plan.order === 'asc' ? 1 : -1
    let best: Source | null = null
    let bestRank = Number.POSITIVE_INFINITY
    for (const source of this.#sources) {
      const [candidate] = source.left
      if (!candidate && !source.next) continue
      if (candidate?.isNew) return source
      const rank = (candidate ? this.#placeMs(candidate) : source.next!.ms) * sign
      if (best && rank >= bestRank) continue
      best = source
      bestRank = rank
    }
    return best
  }

  /**
   * Starts reading the objects that come next. One at first, twice as many with each that did not
   * suffice: a page is often full after the first, and each read is billed.
   */
  #readAhead(next: Candidate): void {
    const isCold = next.from.kind === 'object'
    const count = this.#objectsRead === 0 ? Number(isCold) : 2 ** this.#objectsRead
    if (count === 0) return
    const sign = this.#reading.plan.order === 'asc' ? 1 : -1
    const upcoming = this.#sources
      .flatMap(({ left }) => left.slice(0, LOOK_AHEAD))
      .filter(({ from }) => from.kind === 'object')
      .filter((candidate) => this.#sink.mayHold(this.#placeMs(candidate)))
      .sort((a, b) => (this.#placeMs(a) - this.#placeMs(b)) * sign)
    const first = isCold ? [next, ...upcoming.filter((other) => other !== next)] : upcoming
    const objects = first.map(({ from }) => from).filter((from) => from.kind === 'object')
    this.#cold.ahead(objects.slice(0, Math.min(count, COLD_READS_MAX)))
  }

  async #scan(pass: SourcePass, isAgain = false): Promise<Failure | null> {
    const { source, candidate } = pass
    const { from } = candidate
    try {
      if (from.kind === 'object') {
        const read = await this.#cold.take(from)
        this.#objectsRead++
        if (read.kind === 'gone' && !isAgain) return this.#askAgain(pass)
        if (read.kind !== 'read') {
          this.#lack(pass, read.kind === 'corrupt' ? 'block_corrupt' : 'block_missing')
          return null
        }
        await this.#scanner.block(pass, read.file)
      } else if (from.kind === 'block') {
        await this.#scanner.block(
          pass,
          readable(() => openBlock(from.bytes)),
        )
      } else await this.#scanner.segments(pass, from)
    } catch (e) {
      // Bytes that were stored and can not be read: the answer says so and shows the rest.
      if (!isUnreadable(e)) throw e
      console.error(`shard ${source.shard} row ${candidate.seq} is corrupt`, e)
      this.#lack(pass, 'block_corrupt')
    }
    this.stats.blocks.opened++
    this.explainer?.sent(source.shard, candidate, 'opened')
    this.stats.bytes += from.kind === 'object' ? from.size : from.bytes.length
    source.done.add(intersectionOf(rangeOfRow(candidate), pass.only))
    return null
  }

  #lack({ source, candidate }: Pass, code: 'block_missing' | 'block_corrupt'): void {
    this.reasons.push({ code, shard: source.shard, block: candidate.seq })
  }

  /** The object is gone, so its records are elsewhere: the shard knows where. */
  async #askAgain({ source, candidate, only }: SourcePass): Promise<Failure | null> {
    const range = intersectionOf(rangeOfRow(candidate), only)
    const { shard, maxSeq } = source
    const bytesMax = this.#shareOf(CANDIDATE_BYTES_FIRST)
    let after: CandidatesReply['next'] = null
    do {
      const changes = { bytesMax, maxSeq, after, onlyRange: range, ask: null }
      const reply: Result<CandidatesReply> = await this.#ask(shard, changes)
      if (!reply.ok) return this.#silenced(source, reply.error)
      bury(source, reply.data.tombstones)
      for (const moved of reply.data.candidates) {
        if (!this.#sink.mayHold(this.#placeMs(moved))) continue
        const failure = await this.#scan(this.#passOf(source, moved, range), true)
        if (failure) return failure
      }
      after = reply.data.next
    } while (after !== null)
    return null
  }

  /** Brings the source's next candidates, of the set its first reply fixed. */
  async #refill(source: Source): Promise<Failure | null> {
    const { shard, maxSeq, next } = source
    const bytesMax = this.#shareOf(CANDIDATE_BYTES_MAX)
    const reply = await this.#ask(shard, { bytesMax, maxSeq, after: next })
    if (!reply.ok) return this.#silenced(source, reply.error)
    this.#take(source, reply.data)
    return null
  }

  /** What a failure between two replies means: the rest of a silent shard is lacking. */
  #silenced(source: Source, failure: Failure): Failure | null {
    if (!isSilence(failure)) return failure
    source.left = []
    source.next = null
    this.reasons.push({ code: 'shard_unreachable', shard: source.shard })
    return null
  }

  #ask(
    shard: number,
    changes: Pick<CandidatesRequest, 'bytesMax' | 'maxSeq'> & Partial<CandidatesRequest>,
  ): Promise<Result<CandidatesReply>> {
    const { plan, onlyRange, ask } = this.#reading
    const { filter, since, until, order } = plan
    const request: CandidatesRequest = {
      filter: { filter, since, until },
      ...rangeOf(plan),
      order,
      onlyRange,
      ask,
      explain: this.explainer !== null,
      after: null,
      mayBeEmpty: false,
      ...changes,
    }
    return callShard(this.#env, this.#access, shard, (stub, caller) => {
      // The platform's types take a tuple apart.
      const reply: Promise<unknown> = stub.candidates(caller, request)
      return reply as Promise<Result<CandidatesReply>>
    })
  }

  /** One shard's part of the bytes that all shards together may have in a Worker's memory. */
  #shareOf(bytes: number): number {
    return Math.floor(bytes / this.#reading.shards.length)
  }
}

/** Takes over what a reply says is deleted. */
function bury(source: Source, tombstones: Tombstone[]): void {
  const before = source.tombstones.size
  for (const tombstone of tombstones) source.tombstones.set(tombstone.id, tombstone)
  if (source.tombstones.size > before) source.hide = new Hide(source.tombstones.values())
}

const rangeOfRow = ({ seq, lastSeq }: Candidate): SeqRange => ({ firstSeq: seq, lastSeq })

const intersectionOf = (range: SeqRange, only: SeqRange | null): SeqRange =>
  only === null
    ? range
    : {
        firstSeq: Math.max(range.firstSeq, only.firstSeq),
        lastSeq: Math.min(range.lastSeq, only.lastSeq),
      }

/** Whether a failure means the shard can not be heard, and not that the caller may not. */
const isSilence = (failure: Failure) =>
  failure.code === 'unavailable' || failure.code === 'overloaded'
