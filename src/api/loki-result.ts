// What a query found, as Loki writes it: streams of lines, a matrix, a vector or a scalar. Numbers are
// texts, times of lines are nanoseconds as text, and times of samples are seconds.

import type { Processed } from '../logql/entry.ts'
import type { QueryStats } from '../tenant/stats.ts'
import { lokiSuccess } from './loki-answer.ts'
import { lokiStats } from './loki-stats.ts'

type LabelSet = Record<string, string>

export interface Line {
  /** Nanoseconds since 1970. */
  time: string
  entry: Processed
}

export interface Series {
  labels: LabelSet
  points: { ms: number; value: number }[]
}

export interface Cost {
  stats: QueryStats
  warnings: string[]
}

/** Asks for structured metadata and parsed labels apart from those of the stream. */
export const ENCODING_HEADER = 'X-Loki-Response-Encoding-Flags'
const CATEGORIZE = 'categorize-labels'

export const isCategorized = (header: string | undefined): boolean =>
  (header ?? '').split(',').includes(CATEGORIZE)

export const flagsOf = (isCategorized: boolean) =>
  isCategorized ? { encodingFlags: [CATEGORIZE] } : {}

type Value = [time: string, line: string, labels?: object]

export interface Stream {
  stream: LabelSet
  values: Value[]
}

/** Lines by the set of their labels, in their order; sets in the order of their text. */
export function streamsOf(lines: readonly Line[], isCategorized: boolean): Stream[] {
  const streams = new Map<string, Stream>()
  for (const { time, entry } of lines) {
    const { stream, metadata, parsed } = entry
    const labels = isCategorized ? [...stream] : [...new Map([...stream, ...metadata, ...parsed])]
    labels.sort(([a], [b]) => (a < b ? -1 : 1))
    const key = JSON.stringify(labels)
    let found = streams.get(key)
    if (!found) {
      found = { stream: Object.fromEntries(labels), values: [] }
      streams.set(key, found)
    }
    found.values.push(isCategorized ? [time, entry.line, kindsOf(entry)] : [time, entry.line])
  }
  return [...streams].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, stream]) => stream)
}

const kindsOf = ({ metadata, parsed }: Processed) => ({
  ...(metadata.size > 0 && { structuredMetadata: Object.fromEntries(metadata) }),
  ...(parsed.size > 0 && { parsed: Object.fromEntries(parsed) }),
})

export function streamsAnswer(
  lines: readonly Line[],
  isCategorized: boolean,
  { stats, warnings }: Cost,
): Response {
  const data = {
    resultType: 'streams',
    ...flagsOf(isCategorized),
    result: streamsOf(lines, isCategorized),
    stats: lokiStats(stats, { entries: lines.length, lines: lines.length }),
  }
  return lokiSuccess(data, warnings)
}

export function matrixAnswer(series: readonly Series[], cost: Cost): Response {
  const result = series.map(({ labels, points }) => ({
    metric: labels,
    values: points.map(sampleOf),
  }))
  return sampled('matrix', result, series, cost)
}

/** Of each series its one point. */
export function vectorAnswer(series: readonly Series[], cost: Cost): Response {
  const result = series.flatMap(({ labels, points }) =>
    points.slice(0, 1).map((point) => ({ metric: labels, value: sampleOf(point) })),
  )
  return sampled('vector', result, series, cost)
}

export const scalarAnswer = (point: Series['points'][number], cost: Cost): Response =>
  sampled('scalar', sampleOf(point), [{ labels: {}, points: [point] }], cost)

function sampled(
  resultType: string,
  result: unknown,
  series: readonly Series[],
  { stats, warnings }: Cost,
): Response {
  const entries = series.reduce((sum, { points }) => sum + points.length, 0)
  const data = { resultType, result, stats: lokiStats(stats, { entries, lines: 0 }) }
  return lokiSuccess(data, warnings)
}

const sampleOf = ({ ms, value }: Series['points'][number]): [number, string] => [
  ms / 1000,
  numberText(value),
]

/** The shortest text that is read as the same number, without an exponent. */
export function numberText(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf'
  if (Object.is(value, -0)) return '-0'
  const text = String(value)
  const [, sign = '', whole = '', fraction = '', exponent] =
    /^(-?)(\d+)(?:\.(\d+))?e([+-]\d+)$/.exec(text) ?? []
  if (exponent === undefined) return text
  const digits = whole + fraction
  const point = whole.length + Number(exponent)
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`
  return `${sign}${digits.padEnd(point, '0')}`
}
