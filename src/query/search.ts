// The search language: text -> Filter. docs/query.md teaches it.
//
//   or      and { OR and }
//   and     unary { [AND] unary }
//   unary   (NOT | -) unary | ( or ) | [name:] value
//   value   "text" | text, with * | /regex/ | [1 TO 5] | >=5 | ( or ), whose terms are values of the name
//
// A value without a name asks the message, and is words or a text with stars. One pass over the text,
// by hand: every error names its column. search-text.ts writes a filter as text again.

import {
  QUERY_DEPTH_MAX,
  QUERY_TEXT_CHARS_MAX,
  QUERY_WORD_CHARS_MAX,
  QUERY_WORDS_MAX,
  REGEX_CHARS_MAX,
  REGEX_SIZE_MAX,
} from '../limits.ts'
import { LEVELS, levelOfWord } from '../record.ts'
import { bug, err, ok, type Result } from '../result.ts'
import { wordsOf } from '../words.ts'
import type { GroupField } from './ask.ts'
import {
  ALL_LEVELS,
  allOf,
  type Bound,
  cutsOf,
  EVERYTHING,
  type Field,
  type Filter,
  fieldIs,
  globOf,
  isColumn,
  levelIn,
  notOf,
  SCOPES,
  someOf,
  textIs,
  type ValueTest,
} from './filter.ts'
import { compileRegex, unescapeSlashes } from './regex.ts'
import { adviceFor, REFUSED_NAMES } from './search-advice.ts'

/** What a search text asks. Errors are `bad_query` with `details.column`, counted from 1. */
export function parseSearch(text: string): Result<Filter> {
  if (text.length > QUERY_TEXT_CHARS_MAX) {
    const message = `the search is longer than ${QUERY_TEXT_CHARS_MAX} characters`
    return err('bad_query', message, { column: QUERY_TEXT_CHARS_MAX + 1 })
  }
  const told = ({ column, message }: BadSearch) => `column ${column}: ${message}`
  return parsing(() => new Parser(text).parse(), told)
}

/** The field that a name stands for, as before a colon. A message is no field: it has a pattern. */
export const parseFieldName = (text: string): Result<GroupField> =>
  parsing(
    () => new Parser(`${text}:*`).parseFieldName(),
    ({ message }) => message,
  )

function parsing<T>(parse: () => T, told: (e: BadSearch) => string): Result<T> {
  try {
    return ok(parse())
  } catch (e) {
    // The one catch of the language: below it parse* and read* throw, a Result per term would drown them.
    if (e instanceof BadSearch) return err('bad_query', told(e), { column: e.column })
    throw e
  }
}

class BadSearch extends Error {
  readonly column: number
  constructor(message: string, at: number) {
    super(message)
    this.column = at + 1
  }
}

/** What a name stands for. */
type Target = Field | { in: 'message' } | { in: 'any' } | { in: 'level' } | { in: 'pattern' }

const MESSAGE: Target = { in: 'message' }

/** What a name without quotes is made of; any other character with a backslash before it. */
const NAME_START = /[\p{L}_@$]/u
const NAME_PART = /[\p{L}\p{M}\p{N}_.@$-]/u
const SPACE = /\s/
const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/
const PATTERN_ID = /^[0-9a-f]{16}$/
const KEYWORDS = ['AND', 'OR', 'NOT'] as const

const NOT_OPENED = 'a parenthesis is closed and was not opened'
const NOT_CLOSED = 'a parenthesis is opened and not closed'

/** Text without a name or quotes: parts between stars, escapes resolved. */
interface Run {
  parts: string[]
  /** As written. */
  raw: string
}

class Parser {
  readonly #text: string
  #at = 0
  #depth = 0
  /** Where the parentheses that are open stand. */
  readonly #open: number[] = []
  #words = 0
  #regexChars = 0
  #regexSize = 0

  constructor(text: string) {
    this.#text = text
  }

  parse(): Filter {
    this.#skipSpace()
    if (this.#isAtEnd()) this.#fail('the search is empty: * finds every record')
    const filter = this.#parseOr(MESSAGE, false)
    if (!this.#isAtEnd()) this.#fail(NOT_OPENED)
    return filter
  }

  parseFieldName(): GroupField {
    const name = this.#readName()
    if (name === null || this.#at !== this.#text.length - 1) {
      this.#fail(`${quote(this.#text.slice(0, -2))} is no name of a field`, 0)
    }
    const target = this.#targetOf(name, 0)
    if (target.in !== 'message' && target.in !== 'any') return target
    this.#fail(`${target.in} is no field: messages are told apart by pattern`, 0)
  }

  /** `isList`: inside `name:( )`, where a colon is a character like others. */
  #parseOr(target: Target, isList: boolean): Filter {
    const any = [this.#parseAnd(target, isList)]
    while (this.#takeKeyword('OR')) any.push(this.#parseAnd(target, isList))
    return someOf(any)
  }

  #parseAnd(target: Target, isList: boolean): Filter {
    const all: Filter[] = []
    for (;;) {
      this.#skipSpace()
      const isOver = this.#isAtEnd() || this.#peek() === ')' || this.#isKeyword('OR')
      if (isOver && all.length > 0) return allOf(all)
      if (isOver) this.#failEmpty()
      if (this.#isKeyword('AND')) {
        if (all.length === 0) this.#fail('AND needs something before it')
        this.#takeKeyword('AND')
        this.#skipSpace()
        if (this.#isAtEnd() || this.#peek() === ')') this.#fail('AND needs something after it')
      }
      all.push(this.#parseUnary(target, isList))
    }
  }

  #failEmpty(): never {
    if (this.#isKeyword('OR')) this.#fail('OR needs something before it')
    if (/(?:^|[\s()])OR\s*$/.test(this.#text.slice(Math.max(0, this.#at - 64), this.#at))) {
      this.#fail('OR needs something after it')
    }
    const open = this.#open.at(-1)
    if (open === undefined) this.#fail(NOT_OPENED)
    this.#fail(this.#isAtEnd() ? NOT_CLOSED : 'nothing stands between the parentheses', open)
  }

  #parseUnary(target: Target, isList: boolean): Filter {
    this.#skipSpace()
    const isMinus = this.#peek() === '-' && !SPACE.test(this.#text[this.#at + 1] ?? ' ')
    if (isMinus) this.#at++
    if (isMinus || this.#takeKeyword('NOT')) {
      return this.#deeper(() => {
        this.#skipSpace()
        if (this.#isAtEnd() || this.#peek() === ')') {
          this.#fail(`${isMinus ? '-' : 'NOT'} needs something after it`)
        }
        return notOf(this.#parseUnary(target, isList))
      })
    }
    for (const keyword of ['AND', 'OR'] as const) {
      if (this.#isKeyword(keyword)) this.#fail(`${keyword} needs something before it`)
    }
    if (this.#peek() === '(') return this.#parseGroup(target, isList)
    return isList ? this.#parseValue(target) : this.#parseTerm()
  }

  #parseGroup(target: Target, isList: boolean): Filter {
    return this.#deeper(() => {
      const from = this.#at++
      this.#open.push(from)
      const filter = this.#parseOr(target, isList)
      if (this.#peek() !== ')') this.#fail(NOT_CLOSED, from)
      this.#at++
      this.#open.pop()
      return filter
    })
  }

  #deeper(parse: () => Filter): Filter {
    if (++this.#depth > QUERY_DEPTH_MAX) {
      this.#fail(`more than ${QUERY_DEPTH_MAX} parentheses and NOTs are open`)
    }
    const filter = parse()
    this.#depth--
    return filter
  }

  #parseTerm(): Filter {
    const from = this.#at
    const name = this.#readName()
    if (name === null) {
      this.#at = from
      return this.#parseBare()
    }
    const target = this.#targetOf(name, from)
    if (this.#peek() === '(') return this.#parseGroup(target, true)
    return this.#parseValue(target)
  }

  /** A value without a name: words, or a text with stars. Here slashes and the like are characters. */
  #parseBare(): Filter {
    const from = this.#at
    if (this.#peek() === '"') return this.#textFilter('message', this.#readQuoted(), from)
    const run = this.#readRun()
    const advice = adviceFor(run.raw)
    if (advice !== null) this.#fail(advice, from)
    return this.#textFilter('message', run, from)
  }

  /** The name before a colon, and null where there is none: then nothing is said of where this stands. */
  #readName(): { scope: string | null; name: string } | null {
    let name = ''
    let scope: string | null = null
    const from = this.#at
    for (let isFirst = true; ; isFirst = false) {
      const c = this.#character()
      if (c === '"') {
        const scoped = isFirst ? '' : name.slice(0, -1)
        const isName =
          isFirst || (isScope(scoped) && this.#text.slice(from, this.#at) === `${scoped}.`)
        if (!isName) return null
        name = this.#readQuotedText()
        scope = isFirst ? '' : scoped
        break
      }
      if (c === '\\') this.#at++
      else if (!(isFirst ? NAME_START : NAME_PART).test(c)) break
      const own = this.#character()
      name += own
      this.#at += own.length
    }
    const isName = this.#peek() === ':' && !/^[\s:)]?$/.test(this.#text[this.#at + 1] ?? '')
    if (!isName || this.#at === from) return null
    this.#at++
    if (scope !== null) return { scope: scope || null, name }
    const dot = name.indexOf('.')
    const prefix = name.slice(0, Math.max(dot, 0))
    return isScope(prefix) ? { scope: prefix, name: name.slice(dot + 1) } : { scope: null, name }
  }

  #targetOf({ scope, name }: { scope: string | null; name: string }, at: number): Target {
    if (name === '') this.#fail('a field has no name', at)
    if (cutsOf(name) === null) this.#fail('the name of a field has too many dots', at)
    if (isScope(scope)) return { in: scope, name }
    if (name === 'message' || name === 'any' || name === 'level' || name === 'pattern') {
      return { in: name }
    }
    if (isColumn(name)) return { in: 'column', name }
    const instead = REFUSED_NAMES.get(name)
    if (instead !== undefined) this.#fail(`${name} can not be searched: ${instead}`, at)
    return { in: 'bare', name }
  }

  #parseValue(target: Target): Filter {
    const from = this.#at
    const c = this.#peek()
    if (c === '[' || c === '{') return this.#rangeFilter(target, this.#readRange(), from)
    if (c === '>' || c === '<') return this.#rangeFilter(target, this.#readComparison(), from)
    if (c === '/') return this.#regexFilter(target, this.#readRegex(), from)
    const run = c === '"' ? this.#readQuoted() : this.#readRun()
    switch (target.in) {
      case 'message':
      case 'any':
        return this.#textFilter(target.in, run, from)
      case 'level':
        this.#count(1, from)
        return isStar(run) ? EVERYTHING : levelIn(1 << this.#levelOf(run, from))
      case 'pattern':
        return this.#patternFilter(run, from)
      default:
        this.#count(1, from)
        return fieldIs(target, valueTest(target, run))
    }
  }

  #textFilter(where: 'message' | 'any', { parts, raw }: Run, from: number): Filter {
    if (parts.length === 1) {
      const text = parts[0]!
      const words = wordsOf(text)
      if (words.length === 0) this.#fail(`${quote(raw)} holds no word`, from)
      this.#checkWords(words, from)
      this.#count(words.length, from)
      return textIs(where, { is: 'phrase', text })
    }
    this.#count(1, from)
    if (isStar({ parts, raw })) return EVERYTHING
    this.#checkWords(parts, from)
    return textIs(where, { is: 'glob', parts: globOf(parts) })
  }

  #checkWords(words: string[], from: number): void {
    if (words.every((word) => word.length <= QUERY_WORD_CHARS_MAX)) return
    this.#fail(`a word is longer than ${QUERY_WORD_CHARS_MAX} characters`, from)
  }

  #patternFilter({ parts, raw }: Run, from: number): Filter {
    this.#count(1, from)
    const id = parts.join('*').toLowerCase()
    if (PATTERN_ID.test(id)) return { kind: 'pattern', id }
    this.#fail(`${quote(raw)} is no id of a pattern, which has 16 digits 0-9 a-f`, from)
  }

  #regexFilter(target: Target, source: string, from: number): Filter {
    this.#count(1, from)
    if (target.in === 'level' || target.in === 'pattern') {
      this.#fail(`${target.in} takes no regular expression`, from)
    }
    this.#regexChars += source.length
    if (this.#regexChars > REGEX_CHARS_MAX) {
      this.#fail(`the regular expressions have more than ${REGEX_CHARS_MAX} characters`, from)
    }
    const regex = compileRegex(source)
    if (!regex.ok) this.#fail(regex.error.message, from)
    this.#regexSize += regex.data.size
    if (this.#regexSize > REGEX_SIZE_MAX) {
      const text = `the regular expressions are too large: ${this.#regexSize} steps, at most ${REGEX_SIZE_MAX}`
      this.#fail(text, from)
    }
    const test = { is: 'regex', source } as const
    return target.in === 'message' || target.in === 'any'
      ? textIs(target.in, test)
      : fieldIs(target, test)
  }

  #rangeFilter(target: Target, range: Range, from: number): Filter {
    this.#count(1, from)
    switch (target.in) {
      case 'message':
      case 'any':
      case 'pattern':
        return this.#fail(`${target.in} takes no comparison`, from)
      case 'level':
        return levelIn(this.#levelMask(range))
      default: {
        const [start, end] = [this.#boundOf(range.from), this.#boundOf(range.to)]
        return fieldIs(target, { is: 'range', from: start, to: end })
      }
    }
  }

  #boundOf(bound: RangeBound | null): Bound | null {
    if (bound === null) return null
    const value = DECIMAL.test(bound.text) ? Number(bound.text) + 0 : Number.NaN
    if (Number.isFinite(value)) return { value, isInside: bound.isInside }
    this.#fail(`${quote(bound.text)} is no number`, bound.at)
  }

  #levelMask({ from, to }: Range): number {
    let mask = ALL_LEVELS
    if (from) {
      const level = this.#levelOf({ parts: [from.text], raw: from.text }, from.at)
      mask &= -1 << (from.isInside ? level : level + 1)
    }
    if (to) {
      const level = this.#levelOf({ parts: [to.text], raw: to.text }, to.at)
      mask &= ~(-1 << (to.isInside ? level + 1 : level))
    }
    return mask
  }

  #levelOf({ parts, raw }: Run, at: number): number {
    const level = parts.length === 1 ? levelOfWord(parts[0]!) : undefined
    if (level !== undefined) return level
    this.#fail(`${quote(raw)} is no level; levels are ${LEVELS.join(', ')}`, at)
  }

  /** Up to a space, a parenthesis or the end. A quote must not stand in it. */
  #readRun(): Run {
    const parts = ['']
    const from = this.#at
    for (; !this.#isAtEnd(); this.#at++) {
      const c = this.#text[this.#at]!
      if (c === '(' || c === ')' || SPACE.test(c)) break
      if (c === '"')
        this.#fail('a quote stands inside a term: put a space or a backslash before it')
      if (c === '*') parts.push('')
      else if (c === '\\') {
        this.#at++
        if (this.#isAtEnd()) this.#fail('a backslash stands before nothing', this.#at - 1)
        parts[parts.length - 1] += this.#text[this.#at]!
      } else parts[parts.length - 1] += c
    }
    return { parts, raw: this.#text.slice(from, this.#at) }
  }

  #readQuoted(): Run {
    const from = this.#at
    const text = this.#readQuotedText()
    this.#checkEnd('quote')
    return { parts: [text], raw: this.#text.slice(from, this.#at) }
  }

  /** In quotes a backslash is itself, but before a quote or a backslash. */
  #readQuotedText(): string {
    const from = this.#at++
    let text = ''
    for (; !this.#isAtEnd(); this.#at++) {
      const c = this.#text[this.#at]!
      if (c === '"') {
        this.#at++
        return text
      }
      const next = this.#text[this.#at + 1]
      if (c === '\\' && (next === '"' || next === '\\')) {
        text += next
        this.#at++
      } else text += c
    }
    this.#fail('a quote is opened and not closed', from)
  }

  #readRegex(): string {
    const from = this.#at++
    for (; !this.#isAtEnd(); this.#at++) {
      const c = this.#text[this.#at]!
      if (c === '\\') this.#at++
      if (c !== '/') continue
      const source = this.#text.slice(from + 1, this.#at)
      this.#at++
      if (source === '') {
        this.#fail(
          'a regular expression is empty: a text that begins with a slash is put in quotes',
          from,
        )
      }
      this.#checkEnd('slash')
      return unescapeSlashes(source)
    }
    const text =
      'a regular expression is not closed: a text that begins with a slash is put in quotes'
    this.#fail(text, from)
  }

  #checkEnd(after: 'quote' | 'slash'): void {
    const c = this.#peek()
    if (c === '' || c === ')' || SPACE.test(c)) return
    const text =
      after === 'quote'
        ? 'a space is missing after the quote'
        : 'a space is missing after the regular expression: flags stand in it, as in /(?i)…/, and a text with slashes is put in quotes'
    this.#fail(text)
  }

  #readComparison(): Range {
    const isFrom = this.#text[this.#at++] === '>'
    const isInside = this.#peek() === '='
    if (isInside) this.#at++
    const at = this.#at
    const { raw } = this.#readRun()
    if (raw === '') this.#fail('a comparison needs a value', at)
    const bound = { text: raw, at, isInside }
    return isFrom ? { from: bound, to: null } : { from: null, to: bound }
  }

  #readRange(): Range {
    const opened = this.#at++
    const from = this.#readBound(opened, this.#text[opened] === '[')
    this.#skipSpace()
    if (!/^TO\s/.test(this.#text.slice(this.#at, this.#at + 3))) {
      this.#fail('a range is written [100 TO 500]', opened)
    }
    this.#at += 2
    const to = this.#readBound(opened, true)
    this.#skipSpace()
    const close = this.#peek()
    if (close !== ']' && close !== '}') this.#fail('a range is written [100 TO 500]', opened)
    this.#at++
    if (to) to.isInside = close === ']'
    const c = this.#peek()
    if (c !== '' && c !== ')' && !SPACE.test(c)) this.#fail('a space is missing after the range')
    return { from, to }
  }

  /** null for `*`, which is no bound. */
  #readBound(opened: number, isInside: boolean): RangeBound | null {
    this.#skipSpace()
    const at = this.#at
    while (!this.#isAtEnd() && !/[\s\]}()]/.test(this.#peek())) this.#at++
    const text = this.#text.slice(at, this.#at)
    if (text === '') this.#fail('a range is written [100 TO 500]', opened)
    return text === '*' ? null : { text, at, isInside }
  }

  #isKeyword(keyword: (typeof KEYWORDS)[number]): boolean {
    const end = this.#at + keyword.length
    return this.#text.startsWith(keyword, this.#at) && /^[\s()]?$/.test(this.#text[end] ?? '')
  }

  #takeKeyword(keyword: (typeof KEYWORDS)[number]): boolean {
    const is = this.#isKeyword(keyword)
    if (is) this.#at += keyword.length
    return is
  }

  #count(words: number, at: number): void {
    this.#words += words
    if (this.#words > QUERY_WORDS_MAX) {
      this.#fail(`the search has more than ${QUERY_WORDS_MAX} words and conditions`, at)
    }
  }

  #skipSpace(): void {
    while (!this.#isAtEnd() && SPACE.test(this.#text[this.#at]!)) this.#at++
  }

  #peek(): string {
    return this.#text[this.#at] ?? ''
  }

  /** The whole character that stands here: a pair of surrogates is one. */
  #character(): string {
    const code = this.#text.codePointAt(this.#at)
    return code === undefined ? '' : String.fromCodePoint(code)
  }

  #isAtEnd(): boolean {
    return this.#at >= this.#text.length
  }

  #fail(message: string, at = this.#at): never {
    throw new BadSearch(message, at)
  }
}

interface RangeBound {
  text: string
  at: number
  isInside: boolean
}

interface Range {
  from: RangeBound | null
  to: RangeBound | null
}

const isScope = (name: string | null): name is (typeof SCOPES)[number] =>
  (SCOPES as readonly (string | null)[]).includes(name)

const isStar = ({ parts }: Run) => parts.length > 1 && parts.every((part) => part === '')

function valueTest(field: Field, run: Run): ValueTest {
  if (isStar(run)) return { is: 'exists' }
  const isId = field.in === 'column' && (field.name === 'trace_id' || field.name === 'span_id')
  const parts = isId ? run.parts.map((part) => part.toLowerCase()) : run.parts
  return parts.length > 1
    ? { is: 'glob', parts: globOf(parts) }
    : { is: 'equal', value: parts[0] ?? bug('a run without a part') }
}

const quote = (text: string) => JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
