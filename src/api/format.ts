// In which form records go out: JSON with all that belongs to the answer, or one record a line as
// NDJSON or CSV, and the rest of the answer in headers. Errors are JSON always.

import type { Context } from 'hono'
import { csvHeader, csvLine } from '../match/csv.ts'
import type { RecordView } from '../match/view.ts'
import { readChoice, refusing } from '../query/parameters.ts'
import type { Failure, Result } from '../result.ts'
import type { PartialReason } from '../tenant/reader.ts'
import { answer, type HonoEnv } from './answer.ts'
import { parametersOf } from './read-door.ts'

export const FORMATS = ['json', 'ndjson', 'csv'] as const
export type Format = (typeof FORMATS)[number]
/** The forms that are one record a line. */
export type LineFormat = Exclude<Format, 'json'>

const MEDIA: Record<string, Format> = {
  'application/json': 'json',
  'application/x-ndjson': 'ndjson',
  'application/ndjson': 'ndjson',
  'application/jsonl': 'ndjson',
  'application/x-jsonlines': 'ndjson',
  'text/csv': 'csv',
}

/** Reasons in one header: Workers and proxies refuse answers whose headers are long. */
const REASONS_MAX = 16

/** The format a request asks for: by `format=`, else by `Accept`, else the first of `choices`. */
export function formatOf<T extends Format>(
  c: Context<HonoEnv>,
  choices: readonly [T, ...T[]],
): Result<T> {
  const accepted = acceptedFormat(c.req.header('Accept') ?? '', choices)
  return refusing(() => readChoice(new Map(parametersOf(c)), 'format', choices, accepted))
}

/** The choice that an Accept header likes best; the first of them where it names none. */
function acceptedFormat<T extends Format>(accept: string, choices: readonly [T, ...T[]]): T {
  let best = choices[0]
  let bestQuality = 0
  for (const part of accept.toLowerCase().split(',')) {
    const [media = '', ...parameters] = part.split(';').map((text) => text.trim())
    const format = media === '*/*' ? choices[0] : MEDIA[media]
    const choice = choices.find((one) => one === format)
    const quality = qualityOf(parameters)
    if (choice === undefined || !(quality > bestQuality)) continue
    best = choice
    bestQuality = quality
  }
  return best
}

function qualityOf(parameters: string[]): number {
  const weight = parameters.find((text) => text.startsWith('q='))
  return weight === undefined ? 1 : Number(weight.slice(2))
}

/** How records become the text of a format. */
export interface Lines {
  header: string
  line(record: RecordView): string
  /** A last line that says what is lacking; a format without one can not. */
  errorLine?(failure: Failure): string
  contentType: string
}

export const LINES: Record<LineFormat, Lines> = {
  ndjson: {
    header: '',
    line: (record) => `${JSON.stringify(record)}\n`,
    errorLine: (error) => `${JSON.stringify({ error })}\n`,
    contentType: 'application/x-ndjson',
  },
  csv: {
    header: csvHeader(),
    line: csvLine,
    contentType: 'text/csv; charset=utf-8; header=present',
  },
}

/** What an answer with records tells beside them. */
interface Told {
  next_cursor?: string | null
  partial: boolean
  partial_reasons: PartialReason[]
}

/** Answers in the format asked for; `recordsOf` names the records of an answer that is no JSON. */
export function answerIn<T extends Told>(
  c: Context<HonoEnv>,
  format: Format,
  result: Result<T>,
  recordsOf: (data: T) => RecordView[],
): Response {
  c.header('Vary', 'Accept', { append: true })
  if (!result.ok || format === 'json') return answer(c, result)
  const { header, line, contentType } = LINES[format]
  const { next_cursor, partial, partial_reasons } = result.data
  c.header('Content-Type', contentType)
  if (next_cursor) c.header('X-Next-Cursor', next_cursor)
  if (partial) {
    c.header('X-Partial', 'true')
    c.header('X-Partial-Reasons', JSON.stringify(partial_reasons.slice(0, REASONS_MAX)))
  }
  return c.body(header + recordsOf(result.data).map(line).join(''))
}
