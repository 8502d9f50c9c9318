// Everything of one trace: a page of its records, and what all of them come to. Also what people paste
// as a trace id.

import type { Needed } from '../block/parquet.ts'
import type { StoredBatch } from '../block/stored.ts'
import { TRACE_SERVICES_MAX } from '../limits.ts'
import { Page, type Sink } from '../match/merge.ts'
import { comparePositions } from '../match/scan.ts'
import { unixNano } from '../match/view.ts'
import type { Plan, Position } from '../query/plan.ts'
import { LEVELS, type Level } from '../record.ts'
import { err, ok, type Result } from '../result.ts'

const ID_CHARS_MAX = 128

/** Forms that carry the 32 hexadecimal digits of a trace id, as the groups, joined. */
const FORMS = [
  /^([0-9a-f]{32})$/,
  // A traceparent.
  /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?$/,
  // As a UUID.
  /^([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})$/,
  // X-Ray.
  /^1-([0-9a-f]{8})-([0-9a-f]{24})$/,
]
/** Of 64 bits, as B3 allows: OpenTelemetry puts zeros before it. */
const SHORT = /^[0-9a-f]{16}$/

/** The id as it is stored, of what was pasted. A text of no known form is taken as it is. */
export function traceIdOf(pasted: string): Result<string> {
  const text = pasted.trim()
  if (text === '' || text.length > ID_CHARS_MAX || /[\p{Cc}\p{Cs}]/u.test(text)) {
    const message = `a trace id is 1 to ${ID_CHARS_MAX} printable characters`
    return err('bad_request', message, { parameter: 'trace_id' })
  }
  const lower = text.toLowerCase()
  for (const form of FORMS) {
    const digits = form.exec(lower)
    if (digits) return ok(digits.slice(1).join(''))
  }
  return ok(SHORT.test(lower) ? lower.padStart(32, '0') : text)
}

/** What all records of a trace come to. */
export interface TraceTotals {
  count: number
  /** By the first record of each, at most TRACE_SERVICES_MAX. null: records without a service. */
  services: TraceService[]
  /** Records of services beyond those. */
  other_services: number
  levels: Record<Level, number>
  /** The earliest record of level error or fatal. */
  first_error: TraceError | null
  /** Milliseconds since 1970; null: there is no record. */
  started: number | null
  ended: number | null
  started_unix_nano: string | null
  ended_unix_nano: string | null
  /** From the first record to the last. */
  duration_ms: number | null
}

export interface TraceService {
  service: string | null
  count: number
  first: number
  last: number
  /** Records of level error or fatal. */
  errors: number
}

export interface TraceError {
  id: string
  timestamp: number
  time_unix_nano: string
  level: Level
  service: string | null
  message: string
}

const ERROR = LEVELS.indexOf('error')
const NS_PER_MS = 1_000_000

/**
 * Takes a trace whole, whatever page is asked for: its plan must name no page before, and `after` is
 * where the page begins.
 */
export class TraceSink implements Sink {
  readonly needed: Needed = { columns: new Set(['level', 'service']), attributes: [] }
  readonly page: Page
  readonly #after: Position | null
  readonly #services = new Map<string | null, TraceService>()
  readonly #levels = LEVELS.map(() => 0)
  #count = 0
  #otherServices = 0
  #first: Position | null = null
  #last: Position | null = null
  #firstError: (TraceError & { at: Position }) | null = null

  constructor(plan: Plan) {
    this.page = new Page(plan)
    this.#after = plan.after
  }

  mayHold(): boolean {
    return true
  }

  wanted(stored: StoredBatch, rows: number[], shard: number): number[] {
    const behind: number[] = []
    for (const row of rows) {
      const at = positionOf(stored, row, shard)
      this.#take(stored.batch, row, at)
      if (this.#after === null || comparePositions(at, this.#after) > 0) behind.push(row)
    }
    return this.page.wanted(stored, behind, shard)
  }

  add(stored: StoredBatch, rows: number[], shard: number): void {
    this.page.add(stored, rows, shard)
  }

  absorb(): void {}

  totals(): TraceTotals {
    const first = this.#first
    const last = this.#last
    const services = [...this.#services.values()].sort((a, b) => a.first - b.first)
    const ns = first && last && (last.ms - first.ms) * NS_PER_MS + last.ns - first.ns
    let error: TraceError | null = null
    if (this.#firstError) {
      const { at: _, ...told } = this.#firstError
      error = told
    }
    return {
      count: this.#count,
      services,
      other_services: this.#otherServices,
      levels: Object.fromEntries(LEVELS.map((level, i) => [level, this.#levels[i]!])) as Record<
        Level,
        number
      >,
      first_error: error,
      started: first?.ms ?? null,
      ended: last?.ms ?? null,
      started_unix_nano: first && unixNano(first.ms, first.ns),
      ended_unix_nano: last && unixNano(last.ms, last.ns),
      duration_ms: ns === null ? null : ns / NS_PER_MS,
    }
  }

  #take(batch: StoredBatch['batch'], row: number, at: Position): void {
    const level = batch.level[row]!
    const service = batch.text.service[row] ?? null
    const isError = level >= ERROR
    this.#count++
    this.#levels[level]!++
    if (this.#first === null || comparePositions(at, this.#first) < 0) this.#first = at
    if (this.#last === null || comparePositions(at, this.#last) > 0) this.#last = at
    this.#countService(service, at.ms, isError)
    if (!isError) return
    if (this.#firstError && comparePositions(at, this.#firstError.at) > 0) return
    this.#firstError = {
      at,
      id: `${at.shard}-${at.seq}`,
      timestamp: at.ms,
      time_unix_nano: unixNano(at.ms, at.ns),
      level: LEVELS[level]!,
      service,
      message: batch.message[row]!,
    }
  }

  #countService(service: string | null, ms: number, isError: boolean): void {
    let known = this.#services.get(service)
    if (!known) {
      // Whoever sends may give every record of a trace a service of its own.
      if (this.#services.size >= TRACE_SERVICES_MAX) {
        this.#otherServices++
        return
      }
      known = { service, count: 0, first: ms, last: ms, errors: 0 }
      this.#services.set(service, known)
    }
    known.count++
    known.first = Math.min(known.first, ms)
    known.last = Math.max(known.last, ms)
    if (isError) known.errors++
  }
}

const positionOf = ({ batch, seqs }: StoredBatch, row: number, shard: number): Position => ({
  ms: batch.timeMs[row]!,
  ns: batch.timeNs[row]!,
  shard,
  seq: seqs[row]!,
})
