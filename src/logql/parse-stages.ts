// The log side of a query, read word after word: selector, stages, unwrap, range. The grammar has
// told before that the words stand in order; what it leaves open (how `and`, `or`, comma and blank
// bind between label filters) is decided here as Loki's parser does.

import { BadQuery, placeOf, type Token, type TokenKind, unexpected } from './parse-tokens.ts'
import type {
  Comparison,
  Extraction,
  LabelFilter,
  LabelFormat,
  LineOp,
  LogQuery,
  Matcher,
  Stage,
  Unwrap,
} from './syntax.ts'

/** Words of a query, and how far they are read. */
export interface Words {
  text: string
  tokens: Token[]
  at: number
}

export interface LogRange {
  query: LogQuery
  unwrap: Unwrap | null
  rangeMs: number
  offsetMs: number
}

const LINE_OP = /^(?:\|[=~>]|![=~>])$/
const MATCHER_OP = /^(?:=|!=|=~|!~)$/
const COMPARISON = /^(?:==?|!=|>=?|<=?)$/

const next = (w: Words): Token | undefined => w.tokens[w.at]
export const isNext = (w: Words, text: string): boolean =>
  next(w)?.text === text && next(w)?.kind !== 'string'

export function take(w: Words, kind: TokenKind): Token {
  const token = next(w)
  if (token?.kind !== kind) throw unexpected(w.text, w.tokens, w.at)
  w.at++
  return token
}

/** Whether the word was there; it is read if so. */
function takeIf(w: Words, text: string): boolean {
  if (!isNext(w, text)) return false
  w.at++
  return true
}

function takeText(w: Words, text: string): void {
  if (!takeIf(w, text)) throw unexpected(w.text, w.tokens, w.at)
}

/** Reads a selector and stages, range and unwrap with them, up to this word. */
export function readLogRange(w: Words, end: number): LogRange {
  const range: LogRange = {
    query: { kind: 'log', matchers: [], stages: [] },
    unwrap: null,
    rangeMs: 0,
    offsetMs: 0,
  }
  for (let token = next(w); token !== undefined && w.at < end; token = next(w)) {
    // Brackets around the whole mean nothing; those of label filters are read with these.
    if (token.text === '(' || token.text === ')') w.at++
    else if (token.text === '{') range.query.matchers = readSelector(w)
    else if (token.kind === 'range') {
      range.rangeMs = take(w, 'range').number
      if (takeIf(w, 'offset')) range.offsetMs = readOffset(w)
    } else if (isUnwrap(w)) range.unwrap = readUnwrap(w)
    else if (range.unwrap !== null) {
      takeText(w, '|')
      range.unwrap.filters.push(readLabelFilter(w))
    } else if (isLineFilter(w)) range.query.stages.push(...readLineFilter(w))
    else range.query.stages.push(readStage(w))
  }
  return range
}

const isUnwrap = (w: Words): boolean => isNext(w, '|') && isNext({ ...w, at: w.at + 1 }, 'unwrap')

function readOffset(w: Words): number {
  const token = take(w, 'duration')
  const ms = Math.round(token.number * 1000)
  if (ms / 1000 === token.number) return ms
  throw new BadQuery(`${placeOf(w.text, token.from)} an offset is of whole milliseconds`)
}

export function readSelector(w: Words): Matcher[] {
  const matchers: Matcher[] = []
  takeText(w, '{')
  if (takeIf(w, '}')) return matchers
  do matchers.push(readMatcher(w, take(w, 'identifier').text))
  while (takeIf(w, ','))
  takeText(w, '}')
  return matchers
}

function readMatcher(w: Words, name: string): Matcher {
  const op = take(w, 'operator').text
  if (!MATCHER_OP.test(op)) throw unexpected(w.text, w.tokens, w.at - 1)
  const value = take(w, 'string').string
  return { name, op: op as Matcher['op'], value }
}

function readStage(w: Words): Stage {
  takeText(w, '|')
  if (next(w)?.kind !== 'word') return { kind: 'label', filter: readLabelFilter(w) }
  const name = take(w, 'word').text
  switch (name) {
    case 'json':
      return { kind: name, fields: readExtractions(w) }
    case 'logfmt':
      return { kind: name, ...readFlags(w), fields: readExtractions(w) }
    case 'regexp':
      return { kind: name, source: take(w, 'string').string }
    case 'pattern':
      return { kind: name, pattern: take(w, 'string').string }
    case 'unpack':
    case 'decolorize':
      return { kind: name }
    case 'line_format':
      return { kind: name, template: take(w, 'string').string }
    case 'label_format':
      return { kind: name, formats: readFormats(w) }
    case 'keep':
    case 'drop':
      return { kind: name, labels: readLabels(w) }
    default:
      throw unexpected(w.text, w.tokens, w.at - 1)
  }
}

/** Whether the next words are one; `!=` alone may compare. */
export function isLineFilter(w: Words): boolean {
  return LINE_OP.test(next(w)?.text ?? '') && w.tokens[w.at + 1]?.kind === 'string'
}

/** `!= "a" or "b"` is two filters: neither may be in the line. */
export function readLineFilter(w: Words): Stage[] {
  const op = take(w, 'operator').text as LineOp
  const texts: string[] = []
  do texts.push(take(w, 'string').string)
  while (takeIf(w, 'or'))
  if (!op.startsWith('!')) return [{ kind: 'line', op, texts }]
  return texts.map((text) => ({ kind: 'line', op, texts: [text] }))
}

function readFlags(w: Words): { isStrict: boolean; keepsEmpty: boolean } {
  const flags = new Set<string>()
  while (next(w)?.kind === 'flag') flags.add(take(w, 'flag').text)
  return { isStrict: flags.has('--strict'), keepsEmpty: flags.has('--keep-empty') }
}

function readExtractions(w: Words): Extraction[] {
  const fields: Extraction[] = []
  if (next(w)?.kind !== 'identifier') return fields
  do {
    const label = take(w, 'identifier').text
    fields.push({ label, expression: takeIf(w, '=') ? take(w, 'string').string : label })
  } while (takeIf(w, ','))
  return fields
}

function readFormats(w: Words): LabelFormat[] {
  const formats: LabelFormat[] = []
  do {
    const to = take(w, 'identifier').text
    takeText(w, '=')
    const isTemplate = next(w)?.kind === 'string'
    if (isTemplate) formats.push({ to, template: take(w, 'string').string })
    else formats.push({ to, label: take(w, 'identifier').text })
  } while (takeIf(w, ','))
  return formats
}

/** Labels to keep or to drop. */
export function readLabels(w: Words): (string | Matcher)[] {
  const labels: (string | Matcher)[] = []
  do {
    const name = take(w, 'identifier').text
    labels.push(MATCHER_OP.test(next(w)?.text ?? '') ? readMatcher(w, name) : name)
  } while (takeIf(w, ','))
  return labels
}

function readUnwrap(w: Words): Unwrap {
  takeText(w, '|')
  takeText(w, 'unwrap')
  if (next(w)?.kind === 'identifier') {
    return { label: take(w, 'identifier').text, conversion: null, filters: [] }
  }
  const conversion = take(w, 'function').text as NonNullable<Unwrap['conversion']>
  takeText(w, '(')
  const label = take(w, 'identifier').text
  takeText(w, ')')
  return { label, conversion, filters: [] }
}

/** What a comma links is nested, each in the one before. */
const FILTERS_DEPTH_MAX = 100

type Link = 'and' | 'or' | 'loose'

/**
 * Reads label filters and what links them. `and` binds closer than `or`. A comma or a blank links as
 * `and` does, but takes all that follows for its right side, whatever stands before it: it has no
 * rank in Loki's grammar.
 */
export function readLabelFilter(w: Words): LabelFilter {
  const filters: LabelFilter[] = []
  const links: Link[] = []
  const reduce = () => {
    const right = filters.pop()!
    const left = filters.pop()!
    filters.push(linked(links.pop() === 'or' ? 'or' : 'and', left, right))
  }
  for (;;) {
    filters.push(readOneFilter(w))
    const link = linkHere(w)
    const last = () => links.at(-1)
    if (link === 'or') while (last() === 'and' || last() === 'or') reduce()
    if (link === 'and') while (last() === 'and') reduce()
    if (link === null) break
    links.push(link)
    if (links.length > FILTERS_DEPTH_MAX) {
      const at = w.tokens[w.at - 1]!.from
      throw new BadQuery(`${placeOf(w.text, at)} more than ${FILTERS_DEPTH_MAX} filters in commas`)
    }
  }
  while (links.length > 0) reduce()
  return filters[0]!
}

function linkHere(w: Words): Link | null {
  if (takeIf(w, 'and')) return 'and'
  if (takeIf(w, 'or')) return 'or'
  if (takeIf(w, ',')) return 'loose'
  return next(w)?.kind === 'identifier' || isNext(w, '(') ? 'loose' : null
}

/** A row of one kind is one filter, where it is nested to the left. */
const linked = (kind: 'and' | 'or', left: LabelFilter, right: LabelFilter): LabelFilter =>
  left.kind === kind ? { kind, of: [...left.of, right] } : { kind, of: [left, right] }

function readOneFilter(w: Words): LabelFilter {
  if (takeIf(w, '(')) {
    const filter = readLabelFilter(w)
    takeText(w, ')')
    return filter
  }
  const name = take(w, 'identifier').text
  const following = w.tokens[w.at + 1]
  // A text is compared with = alone.
  if (isNext(w, '==') && following?.kind === 'string') throw unexpected(w.text, w.tokens, w.at + 1)
  const isText = following?.kind === 'string' || isNext(w, '=~') || isNext(w, '!~')
  if (isText) return { kind: 'match', matcher: readMatcher(w, name) }
  const written = take(w, 'operator').text
  if (!COMPARISON.test(written)) throw unexpected(w.text, w.tokens, w.at - 1)
  const op = (written === '=' ? '==' : written) as Comparison
  if (following?.kind === 'duration' || following?.kind === 'bytes') {
    const { kind, number: value } = take(w, following.kind)
    return { kind: 'compare', name, op, value, unit: kind as 'duration' | 'bytes' }
  }
  return { kind: 'compare', name, op, value: readNumber(w), unit: 'number' }
}

/** A number and the sign before it. */
export function readNumber(w: Words): number {
  const isNegative = isNext(w, '-')
  if (isNegative || isNext(w, '+')) w.at++
  const { number } = take(w, 'number')
  return isNegative ? -number : number
}
