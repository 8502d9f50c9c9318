// Regular expressions of strangers: RE2's syntax by the package re2js, whose matching takes time in
// proportion to the text (docs/decisions/0009). What it leaves open is bounded here: how large an
// expression may become when its repetitions are written out, before that is done, and how much of a
// text it sees. Found is told from the source as well: which literal texts every match must hold.

import { RE2JS, RE2JSException } from 're2js'
import { REGEX_TEXT_CHARS_MAX } from '../limits.ts'
import { bug, err, ok, type Result } from '../result.ts'

/**
 * Largest estimate that is compiled at all: the estimate is up to five times too high, and without it
 * `(?:abc…){1000}` of a thousand characters takes 2 s and 115 MB.
 */
const ESTIMATE_MAX = 5000

export interface Regex {
  source: string
  /** Instructions: what a character costs at worst. */
  size: number
  /** Whether it matches somewhere in the text. */
  test(text: string): boolean
}

/** Compiles a source in RE2's syntax. The message says what is wrong with it. */
export function compileRegex(source: string): Result<Regex> {
  const { estimate, literals, isFolded } = readRegex(source)
  if (estimate > ESTIMATE_MAX) {
    return err(
      'bad_query',
      'the regular expression is too large when its repetitions are written out',
    )
  }
  try {
    const compiled = RE2JS.compile(source)
    const test = isFolded ? foldedTest(compiled, literals) : (text: string) => compiled.test(text)
    return ok({
      source,
      size: compiled.programSize(),
      test: (text) =>
        test(text.length > REGEX_TEXT_CHARS_MAX ? text.slice(0, REGEX_TEXT_CHARS_MAX) : text),
    })
  } catch (e) {
    if (!(e instanceof RE2JSException)) throw e
    const why = e.message.replace('error parsing regexp: ', '')
    return err('bad_query', `the regular expression is not one of RE2: ${why}`)
  }
}

/** The same for a source that was checked when it came. */
export function checkedRegex(source: string): Regex {
  const regex = compileRegex(source)
  return regex.ok ? regex.data : bug(`a filter holds a bad regular expression: ${source}`)
}

const ASCII = /^[\0-\x7f]*$/
/** Characters outside ASCII that an ASCII one is found in where case does not count: K, ſ and the like. */
const FOLDED = '[\\u0130\\u017f\\u037e\\u1fef\\u212a]'
/** Of a needle that is searched: at most so many steps a character of a text. */
const NEEDLE_CHARS_MAX = 32

/**
 * Matches every text that holds this ASCII text in some case, and few others. Twice as fast as to
 * lower-case the text, and it makes nothing.
 */
export const mayHold = (needle: string): RegExp =>
  new RegExp(`${needle.slice(0, NEEDLE_CHARS_MAX).replace(/[^a-z0-9_]/gi, '\\$&')}|${FOLDED}`, 'i')

/** re2js searches for literals itself, but not in any case: three times as fast on log messages. */
function foldedTest(compiled: RE2JS, literals: string[]): (text: string) => boolean {
  const needle = literals
    .filter((literal) => ASCII.test(literal))
    .reduce((longest, one) => (one.length > longest.length ? one : longest), '')
  const hint = mayHold(needle)
  return (text) => hint.test(text) && compiled.test(text)
}

/** `\/` as `/`: the slash is special only between slashes. */
export const unescapeSlashes = (source: string): string =>
  source.replace(/\\(.)/gs, (pair, c: string) => (c === '/' ? '/' : pair))

/** The source as it stands between slashes. */
export const escapeSlashes = (source: string): string =>
  source.replace(/\\.|\//gs, (one) => (one === '/' ? '\\/' : one))

export interface RegexShape {
  /** No fewer than the instructions it compiles to. */
  estimate: number
  /** Texts that stand in every match, in the case as written. */
  literals: string[]
  /** Literals match in any case. */
  isFolded: boolean
}

/**
 * Reads a source without compiling it. One pass. A source that is wrong gets a shape as well: the
 * compiler refuses it.
 */
export function readRegex(source: string): RegexShape {
  const flags = /^\(\?([a-zA-Z]+)\)/.exec(source)
  const reader = new ShapeReader(source, flags?.[0].length ?? 0)
  reader.read()
  return {
    estimate: reader.size + 4,
    literals: reader.literals.filter((literal) => literal !== ''),
    isFolded: flags?.[1]?.includes('i') ?? false,
  }
}

// Bounded, so that one that does not fit is not searched to the end each time.
const FLAGS = /\?(?:P?<[^>]{0,64}>|[a-zA-Z-]{0,16}:)/y
const DIRECTIVE = /\?[a-zA-Z-]{0,16}\)/y
const REPEAT = /\{(\d{1,9})(?:,(\d{0,9}))?\}/y
const CLASS_NAME = /\[:\^?[a-z]{1,16}:\]/y
const CODE = /[pPx]\{[^}]{0,64}\}|[pP].|x..|[0-7]{1,3}|./suy
const PLAIN_ESCAPE = /[^\p{L}\p{N}_]/u

class ShapeReader {
  literals: string[] = []
  /** The whole is a row of atoms: what one of them needs, all matches hold. */
  #isPlain = true
  /** Of what was read of the innermost open group, the last atom apart. */
  #before = 0
  #atom = 0
  readonly #open: number[] = []
  #run = ''
  /** Length of the last character of the run; 0 where the last atom is none. */
  #last = 0
  #at: number
  readonly #source: string

  constructor(source: string, from: number) {
    this.#source = source
    this.#at = from
  }

  get size(): number {
    return this.#open.reduce((sum, one) => sum + one, this.#before + this.#atom)
  }

  read(): void {
    while (this.#at < this.#source.length) {
      const c = String.fromCodePoint(this.#source.codePointAt(this.#at)!)
      this.#at += c.length
      if (c === '\\') this.#readEscape()
      else if (c === '[') this.#readClass()
      else if (c === '(') {
        if (this.#take(DIRECTIVE)) this.#isPlain = false
        else this.#openGroup()
      } else if (c === ')') this.#closeGroup()
      else if (c === '|') {
        if (this.#open.length === 0) this.#isPlain = false
        this.#endRun()
        this.#before += this.#atom + 2
        this.#atom = 0
      } else if (c === '*' || c === '+' || c === '?') this.#repeat(1, c !== '+')
      else if (c === '{') this.#readRepeat()
      else if (c === '.' || c === '^' || c === '$') this.#addAtom('')
      else this.#addAtom(c)
    }
    this.#endRun()
    if (!this.#isPlain) this.literals = []
  }

  #take(form: RegExp): RegExpExecArray | null {
    form.lastIndex = this.#at
    const found = form.exec(this.#source)
    if (found) this.#at = form.lastIndex
    return found
  }

  #addAtom(literal: string): void {
    this.#before += this.#atom
    this.#atom = 1
    if (literal === '') this.#endRun()
    else if (this.#open.length === 0) this.#run += literal
    this.#last = literal.length
  }

  #endRun(): void {
    this.literals.push(this.#run)
    this.#run = ''
    this.#last = 0
  }

  #openGroup(): void {
    this.#take(FLAGS)
    this.#endRun()
    this.#open.push(this.#before + this.#atom)
    this.#before = 0
    this.#atom = 0
  }

  #closeGroup(): void {
    this.#last = 0
    const inner = this.#before + this.#atom + 3
    this.#before = this.#open.pop() ?? 0
    this.#atom = inner
  }

  /** The last atom may be missing, or comes so often. */
  #repeat(times: number, mayBeMissing: boolean): void {
    if (this.#last > 0 && this.#open.length === 0 && mayBeMissing) {
      this.#run = this.#run.slice(0, -this.#last)
    }
    this.#endRun()
    this.#atom = (this.#atom + 2) * times
  }

  #readRepeat(): void {
    this.#at--
    const repeat = this.#take(REPEAT)
    if (!repeat) {
      this.#at++
      this.#addAtom('{')
      return
    }
    const least = Number(repeat[1])
    const most = repeat[2] ? Number(repeat[2]) : least + 1
    this.#repeat(Math.max(least, most, 1), least === 0)
  }

  #readEscape(): void {
    if (this.#source[this.#at] === 'Q') {
      const end = this.#source.indexOf('\\E', this.#at)
      const quoted = this.#source.slice(this.#at + 1, end < 0 ? undefined : end)
      for (const c of quoted) this.#addAtom(c)
      // What repeats nothing repeats the atom before it once more.
      if (quoted === '') this.#isPlain = false
      this.#at = end < 0 ? this.#source.length : end + 2
      return
    }
    const escaped = this.#take(CODE)?.[0] ?? ''
    this.#addAtom(PLAIN_ESCAPE.test(escaped) && escaped.length <= 2 ? escaped : '')
  }

  #readClass(): void {
    if (this.#source[this.#at] === '^') this.#at++
    if (this.#source[this.#at] === ']') this.#at++
    while (this.#at < this.#source.length && this.#source[this.#at] !== ']') {
      if (this.#take(CLASS_NAME)) continue
      if (this.#source[this.#at] === '\\') this.#at++
      this.#at++
    }
    this.#at++
    this.#addAtom('')
  }
}
