// The words of a LogQL query, cut as Loki's own lexer cuts them: with Go's comments, strings and
// numbers, and function names that are labels where no bracket follows them.

import { parseBytes, parseDuration, parseDurationSeconds, parseRange, unquote } from './literals.ts'

export type TokenKind =
  | 'identifier'
  | 'string'
  | 'number'
  | 'duration'
  | 'bytes'
  | 'range'
  | 'flag'
  | 'function'
  | 'word'
  | 'operator'

export interface Token {
  kind: TokenKind
  /** As written; of words and functions in lower case. */
  text: string
  from: number
  to: number
  /** Of a string what it says. */
  string: string
  /** Of a number itself, of a size in bytes, of a duration in seconds, of a range in ms. */
  number: number
}

/** What is wrong with a query, thrown and caught within the parser: a Result per token would drown it. */
export class BadQuery extends Error {}

/** Every open bracket is some calls within another; a query in one line has one for each operator. */
const BRACKETS_DEPTH_MAX = 300
/** A query of so many is read in 50 ms. */
const TOKENS_MAX = 10_000

const WORDS = new Set(
  `by without bool unwrap offset on ignoring group_left group_right or and unless json regexp logfmt
  unpack pattern label_format line_format decolorize drop keep variants of`.split(/\s+/),
)
const FUNCTIONS = new Set(
  `rate rate_counter count_over_time bytes_rate bytes_over_time avg_over_time sum_over_time
  min_over_time max_over_time stdvar_over_time stddev_over_time quantile_over_time first_over_time
  last_over_time absent_over_time vector sum avg max min count stddev stdvar bottomk topk sort
  sort_desc label_replace approx_topk bytes duration duration_seconds ip`.split(/\s+/),
)
const NOT_SUPPORTED = new Set(['variants', 'rate_counter', 'approx_topk', 'ip'])

const BLANK = /(?:[ \t\r\n]+|#[^\n]*|\/\/[^\n]*|\/\*[\s\S]*?\*\/)*/y
const IDENTIFIER = /[\p{L}_][\p{L}\p{Nd}_]*/uy
const NUMBER = /(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?/y
const OF_DURATION = /[\d.nuµmshdwy]+/y
const OF_BYTES = /[\d.BikKMGTP]+/y
const STRING = /"(?:[^"\\\n]|\\[\s\S])*"|`[^`]*`/y
const FLAG = /--(?:strict|keep-empty)(?![a-zA-Z-])/y
const OPERATOR = /\|[=~>]|[=!]~|[!=<>]=|!>|[|=<>{}(),+\-*/%^]/y
const CALLED = /[ \t\r\n]*(?:\(|(?:by|without)[ \t\r\n]*\()/iy

export function tokenize(text: string): Token[] {
  const tokens: Token[] = []
  let depth = 0
  let at = endOf(BLANK, text, 0)
  while (at < text.length) {
    const token = tokenAt(text, at)
    if (token.text === '(') depth++
    if (token.text === ')') depth--
    if (depth > BRACKETS_DEPTH_MAX) {
      throw new BadQuery(`${placeOf(text, at)} more than ${BRACKETS_DEPTH_MAX} open brackets`)
    }
    tokens.push(token)
    if (tokens.length > TOKENS_MAX) {
      throw new BadQuery(`${placeOf(text, at)} more than ${TOKENS_MAX} words`)
    }
    at = endOf(BLANK, text, token.to)
  }
  return tokens
}

function tokenAt(text: string, from: number): Token {
  const token = (kind: TokenKind, to: number, literal?: { string?: string; number?: number }) => ({
    kind,
    text: text.slice(from, to),
    from,
    to,
    string: literal?.string ?? '',
    number: literal?.number ?? 0,
  })
  const c = text[from]!
  if (c === '"' || c === '`') return token('string', ...stringAt(text, from))
  if (c === '[') return token('range', ...rangeAt(text, from))
  const nameEnd = endOf(IDENTIFIER, text, from)
  if (nameEnd > from) return nameToken(text, token('identifier', nameEnd))
  const numberEnd = endOf(NUMBER, text, from)
  if (numberEnd > from || c === '-') {
    const end = Math.max(numberEnd, from + 1)
    const durationEnd = endOf(OF_DURATION, text, end)
    const duration = text.slice(from, durationEnd)
    // Not `-0`, which is a minus and a number here.
    if (durationEnd > end && /[a-zµ]$/.test(duration) && parseDuration(duration) !== null) {
      return token('duration', durationEnd, { number: parseDurationSeconds(duration)! })
    }
  }
  if (numberEnd > from) {
    const bytesEnd = endOf(OF_BYTES, text, numberEnd)
    const bytes = bytesEnd > numberEnd ? parseBytes(text.slice(from, bytesEnd)) : null
    if (bytes !== null) return token('bytes', bytesEnd, { number: bytes })
    return token('number', numberEnd, { number: numberAt(text, from, numberEnd) })
  }
  const flagEnd = endOf(FLAG, text, from)
  if (flagEnd > from) return token('flag', flagEnd)
  const operatorEnd = endOf(OPERATOR, text, from)
  if (operatorEnd > from) return token('operator', operatorEnd)
  const what = c === "'" ? "'; a string stands in double quotes or backticks" : charAt(text, from)
  throw new BadQuery(`${placeOf(text, from)} syntax error: unexpected ${what}`)
}

function nameToken(text: string, token: Token): Token {
  const name = token.text.toLowerCase()
  if (FUNCTIONS.has(name)) {
    if (endOf(CALLED, text, token.to) === token.to) return token
    refuseUnsupported(text, token.from, name)
    return { ...token, kind: 'function', text: name }
  }
  if (!WORDS.has(name)) return token
  refuseUnsupported(text, token.from, name)
  return { ...token, kind: 'word', text: name }
}

function refuseUnsupported(text: string, at: number, name: string): void {
  if (NOT_SUPPORTED.has(name)) throw new BadQuery(`${placeOf(text, at)} ${name} is not supported`)
}

function stringAt(text: string, from: number): [number, { string: string }] {
  const to = endOf(STRING, text, from)
  if (to === from) throw new BadQuery(`${placeOf(text, from)} literal not terminated`)
  const string = unquote(text.slice(from, to))
  if (string === null) throw new BadQuery(`${placeOf(text, from)} invalid char escape`)
  return [to, { string }]
}

/** What stands in brackets is one word for Loki, and without blanks. */
function rangeAt(text: string, from: number): [number, { number: number }] {
  const end = text.indexOf(']', from)
  if (end < 0) throw new BadQuery(`${placeOf(text, from)} missing closing ']' in duration`)
  const duration = text.slice(from + 1, end)
  const ms = parseRange(duration)
  if (ms === null) {
    const shown = JSON.stringify(duration.slice(0, 50))
    throw new BadQuery(`${placeOf(text, from)} not a valid duration string: ${shown}`)
  }
  if (ms <= 0) throw new BadQuery(`${placeOf(text, from)} a range must be longer than 0`)
  return [end + 1, { number: ms }]
}

function numberAt(text: string, from: number, to: number): number {
  const number = Number(text.slice(from, to))
  const isCut = /[\p{L}_]/u.test(charAt(text, to))
  // Go takes it for an octal one.
  const isOctal = /^0\d*[89]\d*$/.test(text.slice(from, to))
  if (isCut || isOctal || !Number.isFinite(number)) {
    const shown = JSON.stringify(/[\p{L}\p{Nd}_.]+/uy.exec(text.slice(from, from + 50))?.[0])
    throw new BadQuery(`${placeOf(text, from)} unable to parse literal as a float: ${shown}`)
  }
  return number
}

/** `syntax error: unexpected …` at a token, or at the end of the query. */
export function unexpected(text: string, tokens: Token[], index: number): BadQuery {
  const token = tokens[index]
  const open = tokens.slice(0, index).findLast((one) => one.text === '{' || one.text === '}')
  const expected = expectedAfter(tokens[index - 1], open?.text === '{')
  return new BadQuery(
    `${placeOf(text, token?.from ?? text.length)} syntax error: unexpected ${nameOf(token)}${expected && `, expecting ${expected}`}`,
  )
}

const NAMES: Partial<Record<TokenKind, string>> = {
  identifier: 'IDENTIFIER',
  string: 'STRING',
  number: 'NUMBER',
  duration: 'DURATION',
  bytes: 'BYTES',
  range: 'RANGE',
  flag: 'FUNCTION_FLAG',
}

function nameOf(token: Token | undefined): string {
  if (token === undefined) return '$end'
  return NAMES[token.kind] ?? (token.kind === 'function' ? token.text.toUpperCase() : token.text)
}

/** What Loki says it expects, where one look back is enough to know. */
function expectedAfter(last: Token | undefined, isInSelector: boolean): string {
  if (last === undefined) return ''
  if (isInSelector) {
    if (last.kind === 'identifier') return '= or =~ or !~ or !='
    if (last.kind === 'string') return '} or ,'
    if (last.text === '{') return 'IDENTIFIER or }'
    return last.text === ',' ? 'IDENTIFIER' : 'STRING'
  }
  if (/^(?:\|[=~>]|!>)$/.test(last.text)) return 'STRING or ip'
  if (/^(?:line_format|regexp|pattern|=~)$/.test(last.text)) return 'STRING'
  if (/^(?:by|without|on|ignoring)$/.test(last.text)) return '('
  return last.text === 'offset' ? 'DURATION' : ''
}

export function placeOf(text: string, at: number): string {
  if (text.trim() === '') return 'parse error :'
  const before = text.slice(0, at).split('\n')
  return `parse error at line ${before.length}, col ${[...before.at(-1)!].length + 1}:`
}

const charAt = (text: string, at: number): string =>
  at < text.length ? String.fromCodePoint(text.codePointAt(at)!) : ''

/** Where a match that starts here ends; here, where there is none. */
function endOf(sticky: RegExp, text: string, from: number): number {
  sticky.lastIndex = from
  return sticky.test(text) ? sticky.lastIndex : from
}
