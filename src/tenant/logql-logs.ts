// The lines of a LogQL query: pages of the records that its stored filter lets through, with what its
// pipeline makes of each. Where stages may drop a record, they stand before the page.

import type { Needed } from '../block/parquet.ts'
import type { StoredBatch } from '../block/stored.ts'
import type { Env } from '../env.ts'
import { PAGE_BYTES_MAX } from '../limits.ts'
import type { Own, Processed } from '../logql/entry.ts'
import { OwnReader, ownOf } from '../logql/own.ts'
import { type Pipeline, preparePipeline } from '../logql/pipeline.ts'
import { selectionOf } from '../logql/selection.ts'
import type { LogQuery } from '../logql/syntax.ts'
import type { Page, Sink } from '../match/merge.ts'
import { type RecordView, unixNano } from '../match/view.ts'
import { continued, everythingOf, type Plan } from '../query/plan.ts'
import { ok, type Result } from '../result.ts'
import type { Time } from '../time.ts'
import { type Asking, lackOf, visibleTo } from './logql-asking.ts'
import { readPage } from './read.ts'
import type { PartialReason } from './reader.ts'
import { withShards } from './route.ts'
import { bothStats, nothingRead, type QueryStats } from './stats.ts'

export interface LogqlRange {
  since: Time
  /** Exclusive. */
  until: Time
  direction: 'forward' | 'backward'
  /** Lines. */
  limit: number
}

export interface LogqlLine {
  /** Nanoseconds since 1970. */
  time: string
  id: string
  entry: Processed
}

export interface LogqlLogs {
  lines: LogqlLine[]
  stats: QueryStats
  /** What the answer lacks, in words. */
  warnings: string[]
}

export async function readLogql(
  env: Env,
  asking: Asking,
  query: LogQuery,
  range: LogqlRange,
): Promise<Result<LogqlLogs>> {
  const { filter, rest } = selectionOf(query)
  const pipeline = preparePipeline(rest, null)
  if (!pipeline.ok) return pipeline
  const { since, until, direction, limit } = range
  const plan: Plan = {
    ...everythingOf({ filter: visibleTo(asking, filter), since, until }),
    order: direction === 'forward' ? 'asc' : 'desc',
    limit,
  }
  return withShards(env, asking.access, (access) =>
    readLines(env, { ...asking, access }, plan, rest.length > 0 ? pipeline.data : null),
  )
}

/** Characters of the lines of one answer and their labels: what is left out is said in a warning. */
const ANSWER_CHARS_MAX = PAGE_BYTES_MAX

async function readLines(
  env: Env,
  { access, options }: Asking,
  plan: Plan,
  pipeline: Pipeline | null,
): Promise<Result<LogqlLogs>> {
  const logs: LogqlLogs = { lines: [], stats: nothingRead(), warnings: [] }
  let chars = 0
  let next: Plan | null = plan
  while (next !== null) {
    const sinkOf = (page: Page) => (pipeline ? new Piped(page, pipeline) : page)
    const read = await readPage(env, access, next, { ...options, goesPastGaps: true }, sinkOf)
    if (!read.ok) return read
    const { logs: records, next_cursor, partial_reasons, stats } = read.data
    const ms = logs.stats.ms + stats.ms
    logs.stats = { ...bothStats(logs.stats, stats), ms }
    let looked = 0
    while (looked < records.length && chars <= ANSWER_CHARS_MAX) {
      const line = lineOf(records[looked++]!, pipeline)
      if (!line) continue
      logs.lines.push(line)
      chars += charsOf(line.entry)
    }
    const lack = lackOf(partial_reasons)
    if (!lack.ok) return lack
    logs.warnings.push(...lack.data)
    const left = plan.limit - logs.lines.length
    const isAll = looked === records.length
    if (isAll && (next_cursor === null || left <= 0 || isSpent(partial_reasons))) break
    if (next_cursor === null || chars > ANSWER_CHARS_MAX) {
      logs.warnings.push(`the answer ends after ${logs.lines.length} lines: they are large`)
      break
    }
    next = { ...continued(plan, next_cursor), limit: left }
  }
  return ok(logs)
}

/** What a line takes, with labels that stages made of it. */
function charsOf({ line, stream, metadata, parsed }: Processed): number {
  let chars = line.length
  for (const labels of [stream, metadata, parsed]) {
    for (const [name, value] of labels) chars += name.length + value.length
  }
  return chars
}

function lineOf(record: RecordView, pipeline: Pipeline | null): LogqlLine | null {
  const { id, time_unix_nano: time, message } = record
  const own = ownOf(record)
  const entry = pipeline ? pipeline.run(message, own, time) : untouched(message, own)
  return entry && { id, time, entry }
}

const untouched = (line: string, { stream, metadata }: Own): Processed => ({
  line,
  stream: new Map(stream),
  metadata: new Map(metadata),
  parsed: new Map(),
  value: 0,
})

const isSpent = (reasons: PartialReason[]) => reasons.some(({ code }) => code === 'budget')

/** Rows that a pipeline is done with between two looks at the clock. */
const PIPED_ROWS_MAX = 256

/** A page of the records that a pipeline lets through. */
class Piped implements Sink {
  readonly needed: Needed
  readonly rowsMax = PIPED_ROWS_MAX
  readonly #page: Page
  readonly #pipeline: Pipeline
  readonly #reader: OwnReader

  constructor(page: Page, pipeline: Pipeline) {
    this.#page = page
    this.#pipeline = pipeline
    this.#reader = new OwnReader(pipeline.reads)
    this.needed = this.#reader.needed
  }

  mayHold(ms: number): boolean {
    return this.#page.mayHold(ms)
  }

  wanted(stored: StoredBatch, rows: number[], shard: number): number[] {
    const { batch, messages } = stored
    const open = rows.filter((row) => this.#page.mayHold(batch.timeMs[row]!))
    const own = this.#reader.read(stored, open)
    const passing = open.filter((row, i) => {
      const line = messages ? messages.at(row) : batch.message[row]!
      const time = unixNano(batch.timeMs[row]!, batch.timeNs[row]!)
      return this.#pipeline.run(line, own[i]!, time) !== null
    })
    return this.#page.wanted(stored, passing, shard)
  }

  add(stored: StoredBatch, rows: number[], shard: number): void {
    this.#page.add(stored, rows, shard)
  }

  absorb(): void {}
}
