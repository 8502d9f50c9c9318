// A query as text again: in one line, or over several as Loki's own formatter lays it out. Both are
// read back as the same tree, which Loki's are not always: it drops brackets between operators,
// alternatives of line filters and digits of sizes.

import { formatStage, goDuration, plain, selectorOf, unwrapParts } from './format-stages.ts'
import { formatDuration, quote } from './literals.ts'
import {
  type BinaryExpr,
  type Grouping,
  type LogQuery,
  type LogqlQuery,
  OPERATOR_RANKS,
  type RangeAggregation,
} from './syntax.ts'

/** The query in one line. A binary expression stands in brackets. */
export function formatLogql(query: LogqlQuery): string {
  switch (query.kind) {
    case 'log':
      return [selectorOf(query), ...query.stages.map(formatStage)].join(' ')
    case 'range': {
      const range = formatRange(query)
      return `${query.function}(${parameterOf(query)}${range})${groupingOf(query.grouping, ',')}`
    }
    case 'aggregation': {
      const of = formatLogql(query.of)
      return `${query.function}${groupingOf(query.grouping, ',')}(${parameterOf(query)}${of})`
    }
    case 'binary': {
      const right = formatLogql(query.right)
      return `(${formatLogql(query.left)} ${operatorOf(query, right, ',')} ${right})`
    }
    case 'number':
      return formatNumber(query.value)
    case 'vector': {
      const decimals = query.value < 1e21 ? query.value.toFixed(6) : ''
      return `vector(${Number(decimals) === query.value ? decimals : plain(query.value)})`
    }
    case 'label_replace': {
      const texts = [query.to, query.replacement, query.from, query.regex].map(quote)
      return `label_replace(${[formatLogql(query.of), ...texts].join(',')})`
    }
  }
}

const parameterOf = ({ parameter }: { parameter: number | null }): string =>
  parameter === null ? '' : `${plain(parameter)},`

function groupingOf(grouping: Grouping | null, comma: string): string {
  if (grouping === null) return ''
  return ` ${grouping.isWithout ? 'without' : 'by'} (${grouping.labels.join(comma)})`
}

function formatRange({ query, unwrap, rangeMs, offsetMs }: RangeAggregation): string {
  const stages = unwrap === null ? '' : ` ${unwrapParts(unwrap).join(' ')}`
  const offset = offsetMs === 0 ? '' : ` offset ${goDuration(offsetMs / 1000)}`
  return `${formatLogql(query)}${stages}[${formatDuration(rangeMs)}]${offset}`
}

/** The operator with what stands between it and its right side. */
function operatorOf({ op, isBool, matching, group }: BinaryExpr, right: string, comma: string) {
  const list = (labels: string[]) => ` (${labels.join(comma)})`
  let text = isBool ? `${op} bool` : op
  if (matching) text += ` ${matching.isIgnoring ? 'ignoring' : 'on'}${list(matching.labels)}`
  if (group) {
    // Brackets of the right side would be taken for labels.
    const hasList = group.labels.length > 0 || right.trimStart().startsWith('(')
    text += ` group_${group.side}${hasList ? list(group.labels) : ''}`
  }
  return text
}

/** As Go prints a float. What has no literal is the operation that makes it. */
function formatNumber(value: number): string {
  if (Number.isNaN(value)) return '(0 / 0)'
  if (!Number.isFinite(value)) return `(${value < 0 ? '-' : ''}1e308 * 10)`
  const size = Math.abs(value)
  if (size === 0 || (size >= 1e-4 && size < 1e6)) return plain(value)
  const [digits, exponent] = value.toExponential().split('e') as [string, string]
  return `${digits}e${exponent[0]}${exponent.slice(1).padStart(2, '0')}`
}

const LINE_CHARS_MAX = 100

/** The query as Loki's formatter lays it out: a part of more than 100 characters has several lines. */
export const prettyLogql = (query: LogqlQuery): string => pretty(query, 0)

const isLong = (query: LogqlQuery): boolean => formatLogql(query).length > LINE_CHARS_MAX
const indent = (level: number): string => '  '.repeat(level)

function pretty(query: LogqlQuery, level: number): string {
  if (!isLong(query)) return indent(level) + formatLogql(query)
  switch (query.kind) {
    case 'log':
      return prettyLog(query, level)
    case 'range': {
      const of = prettyRange(query, level + 1)
      return (
        called(query.function, [...parameters(query), of], level) + groupingOf(query.grouping, ', ')
      )
    }
    case 'aggregation': {
      const before = query.function + groupingOf(query.grouping, ', ')
      return called(before, [...parameters(query), pretty(query.of, level + 1)], level)
    }
    case 'binary':
      return prettyBinary(query, level)
    case 'label_replace': {
      const texts = [query.to, query.replacement, query.from, query.regex].map(quote)
      return called('label_replace', [pretty(query.of, level + 1), ...texts], level)
    }
    default:
      return indent(level) + formatLogql(query)
  }
}

const parameters = ({ parameter }: { parameter: number | null }): string[] =>
  parameter === null ? [] : [plain(parameter)]

/** Arguments one a line; those that are not indented yet are. */
function called(name: string, args: string[], level: number): string {
  const lines = args.map((one) => (one.startsWith(' ') ? one : indent(level + 1) + one))
  return `${indent(level)}${name}(\n${lines.join(',\n')}\n${indent(level)})`
}

function prettyLog(query: LogQuery, level: number): string {
  const lines = [indent(level) + selectorOf(query)]
  let filters: string[] = []
  const flush = () => {
    const row = filters.join(' ')
    for (const one of row.length > LINE_CHARS_MAX ? filters : row === '' ? [] : [row]) {
      lines.push(indent(level + 1) + one)
    }
    filters = []
  }
  for (const stage of query.stages) {
    if (stage.kind !== 'line') flush()
    if (stage.kind === 'line') filters.push(formatStage(stage))
    else lines.push(indent(level + 1) + formatStage(stage))
  }
  flush()
  return lines.join('\n')
}

function prettyRange(range: RangeAggregation, level: number): string {
  const lines = [pretty(range.query, level)]
  for (const part of range.unwrap ? unwrapParts(range.unwrap) : []) {
    lines.push(indent(level + 1) + part)
  }
  return `${lines.join('\n')} [${formatDuration(range.rangeMs)}]${prettyOffset(range.offsetMs)}`
}

/** Days have no sign. */
function prettyOffset(ms: number): string {
  if (ms === 0) return ''
  return ` offset ${ms < 0 ? goDuration(ms / 1000) : formatDuration(ms)}`
}

function prettyBinary(query: BinaryExpr, level: number): string {
  const right = prettySide(query, 'right', level + 1)
  const operator = operatorOf(query, right, ', ')
  return `${prettySide(query, 'left', level + 1)}\n${indent(level)}${operator}\n${right}`
}

/** Over several lines the brackets of the one-line form are gone: they are put where the ranks differ. */
function prettySide(query: BinaryExpr, side: 'left' | 'right', level: number): string {
  const of = query[side]
  if (of.kind !== 'binary' || !isLong(of)) return pretty(of, level)
  const rank = OPERATOR_RANKS[query.op]
  const goesFirst = side === (query.op === '^' ? 'right' : 'left')
  if (OPERATOR_RANKS[of.op] + (goesFirst ? 1 : 0) > rank) return pretty(of, level)
  return `${indent(level)}(\n${pretty(of, level + 1)}\n${indent(level)})`
}
