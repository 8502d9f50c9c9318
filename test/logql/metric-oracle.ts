// What metric queries say, worked out the plain way: at every step over every record, as objects, with
// nothing remembered. Slow, and with no word in common with src/logql but the tree of a query.

import type {
  BinaryExpr,
  BinaryOp,
  Grouping,
  LabelFilter,
  LogQuery,
  Matcher,
  MetricExpr,
  RangeAggregation,
  Stage,
} from '../../src/logql/syntax.ts'

export interface PlainRecord {
  /** Nanoseconds since 1970. */
  time: bigint
  /** Among records of one time. */
  order: number
  line: string
  stream: Record<string, string>
  metadata: Record<string, string>
}

export interface PlainSteps {
  start: bigint
  step: bigint
  count: number
}

type LabelMap = Record<string, string>
export interface PlainSeries {
  labels: LabelMap
  value: number
}
export type Plain = number | PlainSeries[]

/** The query has no answer. */
export class PlainError extends Error {}

const MS = 1_000_000n

/** The value of an expression at one step. */
export function plainAt(
  records: PlainRecord[],
  expr: MetricExpr,
  steps: PlainSteps,
  step: number,
  named: string[] = [],
): Plain {
  const at = (one: MetricExpr, names = named) => plainAt(records, one, steps, step, names)
  switch (expr.kind) {
    case 'number':
      return expr.value
    case 'vector':
      return [{ labels: {}, value: expr.value }]
    case 'range':
      return plainRange(records, expr, steps.start + BigInt(step) * steps.step, named)
    case 'aggregation': {
      const { function: name, grouping } = expr
      const groups = new Map<string, PlainSeries[]>()
      const names = grouping?.isWithout ? named : (grouping?.labels ?? [])
      for (const series of noNumber(at(expr.of, names))) {
        const key = keyOf(groupOf(series.labels, grouping ?? { isWithout: false, labels: [] }))
        groups.set(key, [...(groups.get(key) ?? []), series])
      }
      return [...groups].map(([key, all]) => {
        const values = all.map(({ value }) => value)
        return { labels: Object.fromEntries(JSON.parse(key)), value: aggregated(name, values) }
      })
    }
    case 'binary': {
      const { matching, group } = expr
      const names = [...named, ...(group?.labels ?? [])]
      if (matching && !matching.isIgnoring) names.push(...matching.labels)
      return plainBinary(expr, at(expr.left, names), at(expr.right, names))
    }
    case 'label_replace': {
      const found = new RegExp(`^(?:${expr.regex})$`)
      return noNumber(at(expr.of, [...named, expr.from])).map(({ labels, value }) => {
        const match = found.exec(labels[expr.from] ?? '')
        if (!match) return { labels, value }
        const text = expr.replacement.replace(/\$(\d)/g, (_, n) => match[Number(n)] ?? '')
        const { [expr.to]: _, ...others } = labels
        return { labels: text === '' ? others : { ...others, [expr.to]: text }, value }
      })
    }
  }
}

function noNumber(found: Plain): PlainSeries[] {
  if (typeof found === 'number') throw new PlainError('a number where series are wanted')
  return found
}

export const keyOf = (labels: LabelMap): string =>
  JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)))

function groupOf(labels: LabelMap, { isWithout, labels: names }: Grouping): LabelMap {
  return Object.fromEntries(
    Object.entries(labels).filter(([name]) => names.includes(name) !== isWithout),
  )
}

function aggregated(name: string, values: number[]): number {
  const sum = values.reduce((a, b) => a + b, 0)
  const mean = sum / values.length
  const variance =
    values.length === 1 ? 0 : values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length
  if (name === 'sum') return sum
  if (name === 'avg') return mean
  if (name === 'min') return Math.min(...values)
  if (name === 'max') return Math.max(...values)
  if (name === 'count') return values.length
  if (name === 'stdvar') return variance
  if (name === 'stddev') return Math.sqrt(variance)
  throw new Error(`the plain loop knows no ${name}`)
}

interface PlainSample {
  labels: LabelMap
  value: number
  time: bigint
  order: number
}

function plainRange(
  records: PlainRecord[],
  range: RangeAggregation,
  at: bigint,
  named: string[],
): PlainSeries[] {
  const until = at - BigInt(range.offsetMs) * MS
  const since = until - BigInt(range.rangeMs) * MS
  const samples = records
    .filter(({ time }) => time >= since && time < until)
    .map((record) => sampleOf(record, range, named))
    .filter((sample) => sample !== null)
    .sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : a.order - b.order))
  if (range.function === 'absent_over_time') {
    return samples.length > 0 ? [] : [{ labels: absent(range.query.matchers), value: 1 }]
  }
  const groups = new Map<string, PlainSample[]>()
  for (const sample of samples) {
    const key = keyOf(sample.labels)
    groups.set(key, [...(groups.get(key) ?? []), sample])
  }
  return [...groups].map(([key, own]) => ({
    labels: Object.fromEntries(JSON.parse(key)),
    value: overTime(
      range,
      own.map(({ value }) => value),
    ),
  }))
}

function absent(matchers: Matcher[]): LabelMap {
  const labels: LabelMap = {}
  for (const { name, op, value } of matchers) if (op === '=') labels[name] = value
  return labels
}

function overTime(
  { function: name, parameter, rangeMs, unwrap }: RangeAggregation,
  values: number[],
): number {
  const seconds = rangeMs / 1000
  switch (name) {
    case 'count_over_time':
      return values.length
    case 'rate':
      return (unwrap ? aggregated('sum', values) : values.length) / seconds
    case 'bytes_rate':
      return aggregated('sum', values) / seconds
    case 'bytes_over_time':
      return aggregated('sum', values)
    case 'first_over_time':
      return values[0]!
    case 'last_over_time':
      return values.at(-1)!
    case 'quantile_over_time': {
      if (parameter! < 0) return Number.NEGATIVE_INFINITY
      if (parameter! > 1) return Number.POSITIVE_INFINITY
      const sorted = [...values].sort((a, b) => a - b)
      const place = parameter! * (sorted.length - 1)
      const low = sorted[Math.floor(place)]!
      const high = sorted[Math.ceil(place)]!
      return low + (high - low) * (place - Math.floor(place))
    }
    default:
      return aggregated(name.replace('_over_time', ''), values)
  }
}

/** The labels of a line while stages work on it. */
interface PlainLine {
  line: string
  stream: LabelMap
  metadata: LabelMap
  parsed: LabelMap
}

const labelIn = ({ stream, metadata, parsed }: PlainLine, name: string): string =>
  parsed[name] ?? metadata[name] ?? stream[name] ?? ''

function sampleOf(
  record: PlainRecord,
  range: RangeAggregation,
  named: string[],
): PlainSample | null {
  const { query, unwrap, function: name } = range
  const line: PlainLine = {
    line: record.line,
    stream: { ...record.stream },
    metadata: { ...record.metadata },
    parsed: {},
  }
  if (!query.matchers.every((matcher) => matches(matcher, labelIn(line, matcher.name)))) return null
  for (const stage of query.stages) if (!runStage(stage, line)) return null
  let value = 1
  if (name.startsWith('bytes')) value = new TextEncoder().encode(line.line).length
  if (unwrap) {
    const text = labelIn(line, unwrap.label)
    if (text === '') return null
    value = converted(text, unwrap.conversion)
    if (Number.isNaN(value)) line.parsed.__error__ = 'SampleExtractionErr'
    if (!unwrap.filters.every((filter) => passes(filter, line))) return null
  }
  const error = line.parsed.__error__
  if (error !== undefined) throw new PlainError(error)
  return { labels: seriesOf(line, range, named), value, time: record.time, order: record.order }
}

function seriesOf(
  line: PlainLine,
  { grouping, query, unwrap }: RangeAggregation,
  around: string[],
): LabelMap {
  const named = new Set([...around, ...namedIn(query, unwrap?.filters ?? [])])
  const all: LabelMap = { ...line.stream }
  for (const [name, value] of Object.entries(line.metadata)) {
    if (named.has(name) || (grouping && !grouping.isWithout)) all[name] = value
  }
  Object.assign(all, line.parsed)
  if (grouping && !grouping.isWithout) return groupOf(all, grouping)
  const dropped = [...(grouping?.labels ?? []), ...(unwrap ? [unwrap.label] : [])]
  return groupOf(all, { isWithout: true, labels: dropped })
}

function namedIn({ stages }: LogQuery, filters: LabelFilter[]): Set<string> {
  const text = JSON.stringify([stages.filter(({ kind }) => kind === 'label'), filters])
  return new Set([...text.matchAll(/"name":"(\w+)"/g)].map(([, name]) => name!))
}

function runStage(stage: Stage, line: PlainLine): boolean {
  switch (stage.kind) {
    case 'line': {
      const some = stage.texts.some((text) =>
        stage.op.endsWith('~') ? new RegExp(text, 's').test(line.line) : line.line.includes(text),
      )
      return some !== stage.op.startsWith('!')
    }
    case 'label':
      return passes(stage.filter, line)
    case 'json':
      parseJson(line)
      return true
    case 'logfmt':
      for (const [, key, value] of line.line.matchAll(/(\w+)=(\S+)/g)) extract(line, key!, value!)
      return true
    case 'line_format':
      line.line = stage.template.replace(/\{\{\.(\w+)\}\}/g, (_, name) => labelIn(line, name))
      return true
    case 'label_format':
      for (const format of stage.formats) {
        if (!('label' in format)) throw new Error('the plain loop renames only')
        const value = labelIn(line, format.label)
        for (const kind of ['stream', 'metadata', 'parsed'] as const) {
          delete line[kind][format.label]
          delete line[kind][format.to]
        }
        if (value !== '') line.parsed[format.to] = value
      }
      return true
    case 'drop':
      for (const kind of ['stream', 'metadata', 'parsed'] as const) {
        for (const label of stage.labels) delete line[kind][label as string]
      }
      return true
    default:
      throw new Error(`the plain loop knows no ${stage.kind}`)
  }
}

function parseJson(line: PlainLine): void {
  let value: Record<string, unknown>
  try {
    value = JSON.parse(line.line)
  } catch {
    line.parsed.__error__ = 'JSONParserErr'
    return
  }
  for (const [key, member] of Object.entries(value)) {
    if (typeof member !== 'object') extract(line, key, String(member))
    else {
      for (const [inner, one] of Object.entries(member as object)) {
        extract(line, `${key}_${inner}`, String(one))
      }
    }
  }
}

function extract(line: PlainLine, key: string, value: string): void {
  const isOwn = key in line.stream || key in line.metadata
  const name = isOwn ? `${key}_extracted` : key
  if (!(name in line.parsed) && value !== '') line.parsed[name] = value
}

function passes(filter: LabelFilter, line: PlainLine): boolean {
  switch (filter.kind) {
    case 'and':
      return filter.of.every((one) => passes(one, line))
    case 'or':
      return filter.of.some((one) => passes(one, line))
    case 'match':
      return matches(filter.matcher, labelIn(line, filter.matcher.name))
    case 'compare': {
      const text = labelIn(line, filter.name)
      if (text === '') return false
      const value = converted(text, filter.unit === 'duration' ? 'duration' : null)
      return compared(filter.op, value, filter.value)
    }
  }
}

function matches({ op, value }: Matcher, text: string): boolean {
  const is = op.endsWith('~') ? new RegExp(`^(?:${value})$`, 's').test(text) : text === value
  return is !== op.startsWith('!')
}

const UNITS: Record<string, number> = { ms: 0.001, s: 1, m: 60 }

function converted(text: string, conversion: string | null): number {
  if (conversion === null) return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  const [, number, unit] = /^(\d+(?:\.\d+)?)(ms|s|m)$/.exec(text) ?? []
  return number === undefined ? Number.NaN : Number(number) * UNITS[unit!]!
}

function compared(op: string, a: number, b: number): boolean {
  if (op === '==') return a === b
  if (op === '!=') return a !== b
  if (op === '>') return a > b
  if (op === '>=') return a >= b
  return op === '<' ? a < b : a <= b
}

const COMPARISONS = ['==', '!=', '>', '>=', '<', '<=']

function calculated(op: BinaryOp, a: number, b: number): number {
  if (COMPARISONS.includes(op)) return Number(compared(op, a, b))
  if (op === '+') return a + b
  if (op === '-') return a - b
  if (op === '*') return a * b
  if (op === '/') return b === 0 ? Number.NaN : a / b
  if (op === '%') return b === 0 ? Number.NaN : a % b
  return a ** b
}

function plainBinary(expr: BinaryExpr, left: Plain, right: Plain): Plain {
  const { op, isBool } = expr
  const filters = COMPARISONS.includes(op) && !isBool
  if (typeof left === 'number' && typeof right === 'number') return calculated(op, left, right)
  if (typeof left === 'number' || typeof right === 'number') {
    const [series, isLeft] =
      typeof left === 'number' ? [right as PlainSeries[], false] : [left, true]
    return series.flatMap(({ labels, value }) => {
      const [a, b] = isLeft ? [value, right as number] : [left as number, value]
      const made = calculated(op, a, b)
      if (filters) return made === 1 ? [{ labels, value }] : []
      return [{ labels, value: made }]
    })
  }
  const keyed = ({ labels }: PlainSeries) => {
    const { isIgnoring, labels: names } = expr.matching ?? { isIgnoring: true, labels: [] }
    return keyOf(groupOf(labels, { isWithout: isIgnoring, labels: names }))
  }
  const has = (all: PlainSeries[], one: PlainSeries) =>
    all.some((other) => keyed(other) === keyed(one))
  if (op === 'and') return left.filter((one) => has(right, one))
  if (op === 'unless') return left.filter((one) => !has(right, one))
  if (op === 'or') return [...left, ...right.filter((one) => !has(left, one))]
  return plainPairs(expr, left, right, keyed)
}

function plainPairs(
  { op, isBool, group }: BinaryExpr,
  left: PlainSeries[],
  right: PlainSeries[],
  keyed: (series: PlainSeries) => string,
): PlainSeries[] {
  const [many, ones] = group?.side === 'right' ? [right, left] : [left, right]
  const keys = ones.map(keyed)
  if (new Set(keys).size < keys.length) throw new PlainError('many-to-many')
  const made = many.flatMap((one) => {
    const other = ones.find((other) => keyed(other) === keyed(one))
    if (!other) return []
    const [a, b] = group?.side === 'right' ? [other.value, one.value] : [one.value, other.value]
    const result = calculated(op, a, b)
    const labels: LabelMap = group ? { ...one.labels } : Object.fromEntries(JSON.parse(keyed(one)))
    for (const name of group?.labels ?? []) {
      delete labels[name]
      if (other.labels[name] !== undefined) labels[name] = other.labels[name]
    }
    const isFiltered = COMPARISONS.includes(op) && !isBool
    return [
      { key: keyed(one), labels, value: isFiltered ? a : result, isOut: isFiltered && !result },
    ]
  })
  const taken = made.map(({ key, labels }) => (group ? keyOf(labels) : key))
  if (new Set(taken).size < taken.length) throw new PlainError('many-to-one')
  return made.filter(({ isOut }) => !isOut)
}
