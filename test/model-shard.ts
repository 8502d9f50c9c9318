// A shard as its readers see it, in memory: rows are sealed, blocks merged, archived and purged between
// any two calls. Objects that were replaced are gone at once, which is harsher than life. It answers by
// the contract of shard/candidates.ts alone, or by the very code of the shard.

import { decodeDetail } from '../src/block/detail-wire.ts'
import { sliceOf } from '../src/block/filter.ts'
import { sealBlocks } from '../src/block/seal.ts'
import type { SealedBlock } from '../src/block/sealed.ts'
import { encodeSegment, packSegments } from '../src/block/segment.ts'
import { keepRows, type StoredBatch, storedSegment } from '../src/block/stored.ts'
import { mergeSummaries, summarize } from '../src/block/summary.ts'
import { Hide } from '../src/match/hide.ts'
import { Matcher } from '../src/match/scan.ts'
import { emptyCounted } from '../src/query/ask.ts'
import type { RecordFilter } from '../src/query/parameters.ts'
import type { Tombstone } from '../src/query/tombstone.ts'
import type { RecordBatch } from '../src/record.ts'
import { ok, type Result } from '../src/result.ts'
import {
  type Candidate,
  type CandidatePlace,
  type CandidatesReply,
  type CandidatesRequest,
  chooseCandidates,
} from '../src/shard/candidates.ts'
import type { BlockRow } from '../src/shard/catalog.ts'
import { WalIndex } from '../src/shard/wal-index.ts'

/** A wal row (id 0) or a block. */
interface Row {
  id: number
  firstSeq: number
  lastSeq: number
  minMs: number
  maxMs: number
  parts: StoredBatch[]
  from: Candidate['from']
  sealed: SealedBlock | null
}

export class ModelShard {
  rows: Row[] = []
  tombstones: Tombstone[] = []
  maxSeq = 0
  readonly shard: number
  readonly archive: ModelArchive
  /** Rows in one reply. */
  rowsMax = Number.POSITIVE_INFINITY
  /** Wal rows and every other block are left out of a reply when they hold no match. */
  isPruning = false
  /** Answers as shard/candidates.ts does, with a catalog of its blocks. */
  isReal = false
  #lastId = 0

  constructor(shard: number, archive: ModelArchive) {
    this.shard = shard
    this.archive = archive
  }

  /** One wal row of these requests' batches. */
  append(...batches: RecordBatch[]): void {
    const firstSeq = this.maxSeq + 1
    const parts = batches.map((batch) => {
      const stored = storedSegment(batch, this.maxSeq + 1, batch.receivedMs)
      this.maxSeq += batch.length
      return stored
    })
    const bytes = packSegments(batches.map((batch) => encodeSegment(batch)))
    const from = { kind: 'segments', bytes, receivedMs: batches[0]!.receivedMs } as const
    const lastSeq = this.maxSeq
    this.rows.push({ ...summaryOf(parts), id: 0, firstSeq, lastSeq, parts, from, sealed: null })
  }

  /** Every record, the hidden ones too, in order of arrival. */
  records(): { stored: StoredBatch; row: number; seq: number }[] {
    return this.rows
      .flatMap(({ parts }) => parts)
      .flatMap((stored) => Array.from(stored.seqs, (seq, row) => ({ stored, row, seq })))
      .sort((a, b) => a.seq - b.seq)
  }

  /**
   * The rows from `at` on become one block, without what is deleted: seals wal rows, merges blocks,
   * purges one. Nothing happens when they moved while it was built.
   */
  async build(at: number, count: number): Promise<void> {
    this.rows.sort((a, b) => a.firstSeq - b.firstSeq)
    const sources = this.rows.slice(at, at + count)
    const parts = sources
      .flatMap(({ parts }) => parts)
      .map((part) => this.#withoutHidden(part))
      .filter(({ batch }) => batch.length > 0)
    const [sealed] = await sealBlocks(parts, this.shard, async () => {})
    const place = this.rows.indexOf(sources[0]!)
    if (!sources.every((source, i) => this.rows[place + i] === source)) return
    for (const { from } of sources)
      if (from.kind === 'object') this.archive.objects.delete(from.key)
    if (!sealed) {
      this.rows.splice(place, sources.length)
      return
    }
    const { bytes, firstSeq, lastSeq } = sealed
    const id = ++this.#lastId
    const from = { kind: 'block', bytes } as const
    const row = { ...summaryOf(parts), id, firstSeq, lastSeq, parts, from, sealed }
    this.rows.splice(place, sources.length, row)
  }

  /** A hot block goes to the archive. */
  freeze(at: number): void {
    const row = this.rows[at]
    if (row?.from.kind !== 'block') return
    const key = `app/${this.shard}-${row.firstSeq}-g${row.id}.parquet`
    this.archive.objects.set(key, row.from.bytes)
    row.from = { kind: 'object', key, size: row.from.bytes.length }
  }

  delete(match: RecordFilter, unless: RecordFilter[] = []): void {
    const id = this.tombstones.length + 1
    this.tombstones.push({ id, maxSeq: this.maxSeq, match, unless })
  }

  candidates(request: CandidatesRequest): Result<CandidatesReply> {
    return this.isReal ? this.#candidatesOfShard(request) : this.#candidatesByContract(request)
  }

  #candidatesOfShard(request: CandidatesRequest): Result<CandidatesReply> {
    const rows = [...this.rows].sort((a, b) => a.firstSeq - b.firstSeq)
    const wal = new WalIndex()
    const unsealed = rows.filter(({ id }) => id === 0)
    for (const { parts, firstSeq } of unsealed) {
      wal.push(
        firstSeq,
        { bytes: 1000, rawBytes: 4000 },
        mergeSummaries(parts.map(summaryOfPart)),
        0,
      )
    }
    const holdings = {
      wal,
      blocks: rows.filter(({ id }) => id > 0).map(blockRowOf),
      sourceOf: ({ id }: BlockRow) => sourceOf(rows.find((row) => row.id === id)!.sealed!),
      tombstones: this.tombstones,
      maxSeq: this.maxSeq,
    }
    const bytesMax = this.rowsMax * 1000
    const { chosen, ...reply } = chooseCandidates(holdings, { ...request, bytesMax })
    const candidates = chosen.map((one) =>
      one.kind === 'wal'
        ? { ...candidateOf(unsealed[one.row]!), isNew: false }
        : { ...candidateOf(rows.find(({ id }) => id === one.block.id)!), isNew: one.isNew },
    )
    return ok({ ...reply, candidates, tombstones: this.tombstones })
  }

  #candidatesByContract(request: CandidatesRequest): Result<CandidatesReply> {
    const { after, order } = request
    const maxSeq = request.maxSeq ?? this.maxSeq
    const inQuestion = this.rows.filter((row) => this.#isAsked(row, request, maxSeq))
    const place = (row: Row) => (order === 'desc' ? row.maxMs : row.minMs)
    const sign = order === 'desc' ? -1 : 1
    const compare = (a: [ms: number, seq: number], b: [ms: number, seq: number]) =>
      (a[0] - b[0] || a[1] - b[1]) * sign
    const knownBlock = after?.knownBlock ?? this.#lastId
    const isNew = (row: Row) => after !== null && row.id > after.lastBlock
    const moved = inQuestion.filter(isNew).sort((a, b) => a.id - b.id)
    const rest = inQuestion
      .filter((row) => row.id <= knownBlock)
      .filter((row) => !after || compare([place(row), row.firstSeq], [after.ms, after.seq]) > 0)
      .sort((a, b) => compare([place(a), a.firstSeq], [place(b), b.firstSeq]))

    const counted: CandidatesReply['counted'] = { ...emptyCounted(), ranges: [] }
    const chosen: Row[] = []
    let lastBlock = after?.lastBlock ?? 0
    let last: { ms: number; seq: number } | null = after
    let isOpen = true
    for (const row of [...moved, ...rest]) {
      const count =
        request.ask?.kind === 'count' && !isNew(row) ? this.#countOf(row, request, maxSeq) : null
      isOpen = count !== null || chosen.length < this.rowsMax
      if (!isOpen) break
      if (count === null) chosen.push(row)
      else {
        counted.records += count
        counted.ranges.push([row.firstSeq, row.lastSeq])
      }
      if (isNew(row)) lastBlock = row.id
      else {
        last = { ms: place(row), seq: row.firstSeq }
        lastBlock = this.#lastId
      }
    }
    if (isOpen) lastBlock = this.#lastId
    const next: CandidatePlace | null =
      isOpen || last === null ? null : { ...last, knownBlock, lastBlock }
    return ok({
      maxSeq,
      considered: after === null ? this.rows.length : 0,
      skipped: { time: 0, values: 0, filter: 0, pattern: 0 },
      candidates: chosen.map((row) => ({ ...candidateOf(row), isNew: isNew(row) })),
      counted,
      tombstones: this.tombstones,
      next,
      fates: [],
    })
  }

  #isAsked(row: Row, request: CandidatesRequest, maxSeq: number): boolean {
    const { onlyRange, minMs, maxMs, filter } = request
    if (row.firstSeq > maxSeq || row.maxMs < minMs || row.minMs > maxMs) return false
    if (onlyRange && row.firstSeq > onlyRange.lastSeq) return false
    if (onlyRange && row.lastSeq < onlyRange.firstSeq) return false
    return !this.isPruning || row.id % 2 === 1 || matches(row, filter) > 0
  }

  /** What a catalog could say of a block that lies in the set whole and holds nothing deleted. */
  #countOf(row: Row, { filter }: CandidatesRequest, maxSeq: number): number | null {
    if (row.id === 0 || row.lastSeq > maxSeq) return null
    const isTouched = row.parts.some((part) => new Hide(this.tombstones).hiddenBy(part) !== null)
    return isTouched ? null : matches(row, filter)
  }

  #withoutHidden(part: StoredBatch): StoredBatch {
    const by = new Hide(this.tombstones).hiddenBy(part)
    if (by === null) return part
    return keepRows(
      part,
      [...part.seqs.keys()].filter((row) => by[row] === 0),
    )
  }
}

function matches({ parts }: Row, filter: RecordFilter): number {
  const matcher = new Matcher(filter)
  const rows = ({ seqs }: StoredBatch) => [...seqs.keys()]
  return parts.reduce((sum, part) => sum + matcher.rows(part, rows(part)).length, 0)
}

function candidateOf(row: Row) {
  const { firstSeq: seq, lastSeq, minMs, maxMs, from } = row
  return { seq, lastSeq, minMs, maxMs, records: lastSeq - seq + 1, from }
}

const summaryOfPart = ({ batch }: StoredBatch) => summarize(batch, 0, batch.length)

function summaryOf(parts: StoredBatch[]) {
  const { minMs, maxMs } = mergeSummaries(parts.map(summaryOfPart))
  return { minMs, maxMs }
}

function blockRowOf({ id, sealed, from }: Row): BlockRow {
  const { firstSeq, lastSeq, summary, rawBytes, bytes, ids, words } = sealed!
  return {
    ...summary,
    id,
    firstSeq,
    lastSeq,
    day: '2024-01-01',
    receivedMs: 0,
    createdMs: 0,
    compactions: 0,
    rawBytes,
    bytes: bytes.length,
    catalogBytes: 0,
    idsSlices: ids.length,
    wordsSlices: words.length,
    key: from.kind === 'object' ? from.key : null,
  }
}

const sourceOf = ({ ids, words, detail, patterns }: SealedBlock) => ({
  filterSlice: (kind: 'ids' | 'words', hash: Parameters<typeof sliceOf>[0]) => {
    const slices = kind === 'ids' ? ids : words
    return slices.length === 0 ? null : slices[sliceOf(hash, slices.length)]!
  },
  detail: () => decodeDetail(detail),
  patternText: (id: string) => patterns.find((pattern) => pattern.id === id)?.text ?? null,
})

/** The bucket: what is in it, and what happens to a read. */
export class ModelArchive {
  readonly objects = new Map<string, Uint8Array>()
  /** Keys read, in order. */
  readonly reads: string[] = []
  /** Called before each read; it may throw, wait, or change what is there. */
  before: (key: string, nth: number) => Promise<void> = async () => {}

  get bucket(): R2Bucket {
    const get = async (key: string) => {
      this.reads.push(key)
      await this.before(key, this.reads.length)
      const bytes = this.objects.get(key)
      return bytes ? { arrayBuffer: async () => bytes.slice().buffer } : null
    }
    return { get } as unknown as R2Bucket
  }
}
