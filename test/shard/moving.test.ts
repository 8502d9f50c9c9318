// A reader that follows `next` while rows are sealed, blocks merged and records deleted between any
// two replies: it sees every record of its set once. Random by seed, against the plain list of records.

import { describe, expect, it } from 'vitest'
import { EVERYTHING } from '../../src/query/filter.ts'
import {
  type CandidatesRequest,
  type Choice,
  chooseCandidates,
  type Holdings,
} from '../../src/shard/candidates.ts'
import { randomOf } from '../batches.ts'
import { blockOf, NO_SOURCE, walOf } from './rows.ts'

const SEEDS = 300
const TIME_MAX = 1000

interface Stored {
  seq: number
  ms: number
}

/** A wal row (id 0) or a block, with its records. */
interface Row {
  id: number
  records: Stored[]
}

class Model {
  readonly random: () => number
  /** By sequence number. */
  rows: Row[] = []
  maxSeq = 0
  deleted = new Set<number>()
  #lastId = 0

  constructor(seed: number) {
    this.random = randomOf(seed)
  }

  upTo(n: number): number {
    return Math.floor(this.random() * (n + 1))
  }

  append(): void {
    const around = this.upTo(TIME_MAX)
    const records = Array.from({ length: 1 + this.upTo(3) }, () => ({
      seq: ++this.maxSeq,
      ms: Math.max(0, around - this.upTo(60)),
    }))
    this.rows.push({ id: 0, records })
  }

  /** A few neighbours of one kind become one block, or two; some of their records may be deleted. */
  build(kind: 'seal' | 'merge' | 'purge'): void {
    const fits = (row: Row | undefined) => row && (row.id === 0) === (kind === 'seal')
    const from = this.upTo(this.rows.length - 1)
    let to = from
    while (fits(this.rows[to]) && to - from < (kind === 'purge' ? 1 : 1 + this.upTo(5))) to++
    const kept = this.rows
      .slice(from, to)
      .flatMap(({ records }) => records)
      .filter(({ seq }) => kind !== 'purge' || this.random() < 0.7 || !this.deleted.add(seq))
    const middle = this.random() < 0.2 ? kept.length >> 1 : kept.length
    const halves = [kept.slice(0, middle), kept.slice(middle)].filter(({ length }) => length > 0)
    const made = halves.map((records) => ({ id: ++this.#lastId, records }))
    if (to > from) this.rows.splice(from, to - from, ...made)
  }

  get holdings(): Holdings {
    const summaryOf = ({ records }: Row) => ({
      records: records.length,
      minMs: Math.min(...records.map(({ ms }) => ms)),
      maxMs: Math.max(...records.map(({ ms }) => ms)),
    })
    const rowsOfWal = this.rows.filter(({ id }) => id === 0)
    const wal = walOf([])
    for (const row of rowsOfWal) {
      const summary = { ...summaryOf(row), levels: [0, 0, row.records.length, 0, 0, 0] }
      wal.push(row.records[0]!.seq, { bytes: 100, rawBytes: 400 }, summary, 0)
    }
    const blocks = this.rows
      .filter(({ id }) => id > 0)
      .map((row) => {
        const [firstSeq, lastSeq] = [row.records[0]!.seq, row.records.at(-1)!.seq]
        const key = row.id % 3 === 0 ? 'cold' : null
        return blockOf({ id: row.id, ...summaryOf(row), firstSeq, lastSeq, key })
      })
    return { wal, blocks, sourceOf: () => NO_SOURCE, tombstones: [], maxSeq: this.maxSeq }
  }

  recordsOf(chosen: Choice['chosen'][number], { wal }: Holdings): Stored[] {
    const seq = chosen.kind === 'wal' ? wal.seq[chosen.row]! : chosen.block.firstSeq
    return this.rows.find(({ records }) => records[0]!.seq === seq)!.records
  }

  churn(): void {
    for (let change = this.upTo(4); change > 0; change--) {
      if (this.random() < 0.3) this.append()
      this.build(this.random() < 0.5 ? 'seal' : this.random() < 0.8 ? 'merge' : 'purge')
    }
  }
}

/** What a reader has of a shard: ranges it scanned, and each record it took. */
class ModelReader {
  readonly taken: Stored[] = []
  counted = 0
  readonly #ranges: [first: number, last: number][] = []
  readonly #blocks = new Set<number>()
  /** The last row or block that stood in the order. */
  #place: { ms: number; seq: number } | null = null

  take(choice: Choice, model: Model, holdings: Holdings, order: 'asc' | 'desc'): void {
    this.counted += choice.counted.records
    this.#ranges.push(...choice.counted.ranges)
    for (const row of choice.chosen) {
      const records = model.recordsOf(row, holdings)
      if (row.kind === 'block') {
        expect(this.#blocks.has(row.block.id), `block ${row.block.id} twice`).toBe(false)
        this.#blocks.add(row.block.id)
      }
      if (row.kind === 'wal' || !row.isNew) this.#follow(records, order)
      const isSeen = (seq: number) =>
        this.#ranges.some(([first, last]) => seq >= first && seq <= last)
      this.taken.push(...records.filter(({ seq }) => seq <= choice.maxSeq && !isSeen(seq)))
      this.#ranges.push([records[0]!.seq, records.at(-1)!.seq])
    }
  }

  #follow(records: Stored[], order: 'asc' | 'desc'): void {
    const times = records.map(({ ms }) => ms)
    const ms = order === 'asc' ? Math.min(...times) : Math.max(...times)
    const place = { ms, seq: records[0]!.seq }
    const sign = order === 'asc' ? 1 : -1
    const last = this.#place
    if (last) expect((place.ms - last.ms || place.seq - last.seq) * sign).toBeGreaterThan(0)
    this.#place = place
  }
}

describe('a reader of moving blocks', () => {
  const reads = (name: string, change: (model: Model) => Partial<CandidatesRequest>) =>
    it(name, () => {
      for (let seed = 1; seed <= SEEDS; seed++) {
        const model = new Model(seed)
        for (let i = model.upTo(60); i >= 0; i--) model.append()
        for (let i = model.upTo(20); i > 0; i--) model.build(model.upTo(1) ? 'seal' : 'merge')
        readAll(model, change(model), `seed ${seed}`)
      }
    })

  function readAll(model: Model, change: Partial<CandidatesRequest>, name: string) {
    const order = model.upTo(1) === 0 ? 'asc' : 'desc'
    const reader = new ModelReader()
    const before = model.rows.flatMap(({ records }) => records)
    let maxSeq: number | null = null
    let after: CandidatesRequest['after'] = null
    for (let replies = 0; replies === 0 || after !== null; replies++) {
      const bytesMax = 100 * model.upTo(12)
      const mayBeEmpty = after === null && model.upTo(1) === 0
      const request = {
        ...REQUEST,
        order,
        ...change,
        bytesMax,
        mayBeEmpty,
        maxSeq,
        after,
      } as const
      const { holdings } = model
      const choice: Choice = chooseCandidates(holdings, request)
      reader.take(choice, model, holdings, order)
      maxSeq = choice.maxSeq
      after = choice.next
      model.churn()
      expect(replies, name).toBeLessThan(1000)
    }
    const { minMs, maxMs, onlyRange } = { ...REQUEST, ...change }
    const isAsked = ({ seq, ms }: Stored) =>
      ms >= minMs &&
      ms <= maxMs &&
      (onlyRange === null || (seq >= onlyRange.firstSeq && seq <= onlyRange.lastSeq))
    const expected = before.filter(isAsked)
    const seqs = reader.taken.filter(isAsked).map(({ seq }) => seq)
    expect(new Set(seqs).size, name).toBe(seqs.length)
    if (change.ask) {
      // What was deleted on the way may have been counted before.
      const left = expected.filter(({ seq }) => !model.deleted.has(seq)).length
      expect(reader.counted + seqs.length, name).toBeGreaterThanOrEqual(left)
      expect(reader.counted + seqs.length, name).toBeLessThanOrEqual(expected.length)
      return
    }
    const taken = new Set(seqs)
    const missed = expected.filter(({ seq }) => !taken.has(seq) && !model.deleted.has(seq))
    expect(missed, name).toEqual([])
  }

  reads('sees every record once', () => ({}))
  reads('sees every record of a range of time once', (model) => {
    const minMs = model.upTo(TIME_MAX)
    return { minMs, maxMs: minMs + model.upTo(300) }
  })
  reads('sees every record of a range of numbers once', (model) => {
    const firstSeq = 1 + model.upTo(100)
    return { onlyRange: { firstSeq, lastSeq: firstSeq + model.upTo(50) } }
  })
  reads('counts or sees every record once', (model) => {
    const firstSeq = model.upTo(1) * model.upTo(50)
    return { ask: { kind: 'count' }, onlyRange: firstSeq === 0 ? null : { firstSeq, lastSeq: 100 } }
  })
})

const REQUEST: CandidatesRequest = {
  filter: { filter: EVERYTHING, since: null, until: null },
  minMs: 0,
  maxMs: TIME_MAX,
  levelMask: 63,
  order: 'asc',
  maxSeq: null,
  onlyRange: null,
  bytesMax: 0,
  mayBeEmpty: false,
  after: null,
  ask: null,
  explain: false,
}
