// A message is a pattern and its variables: `retry <_> of <_> failed`. At sealing every message gets
// its pattern, and what a text condition decides of the pattern it decides of every record that has
// it, at once and without reading them.
//
// A variable is a word (words.ts) that holds a digit, or a word of only a-f joined by `-` or `:` to a
// variable: the groups of an id. Nothing else changes, so a pattern without a variable is the message
// itself, and each `<_>` of a pattern stands for exactly one word.

import { createHash } from 'node:crypto'
import { wordsOf } from '../words.ts'
import type { StoredBatch } from './stored.ts'

/** What stands for a variable. A message that holds it itself has no pattern. */
export const VARIABLE = '<_>'

/** Longer messages are dumps: their patterns would be as long and never come again. */
const MESSAGE_BYTES_MAX = 4096
const PATTERN_BYTES_MAX = 512
/** Kept of one block: each is an entry of the catalog. */
export const PATTERNS_MAX = 256

/** The pattern of a message, or null where it has none (design.md 7, "Patterns, exactly"). */
export function patternOf(message: string): string | null {
  if (message.length > MESSAGE_BYTES_MAX || message.includes(VARIABLE)) return null
  const words = new Variables(message)
  let start = -1
  let kinds = 0
  for (let i = 0; i < message.length; i++) {
    const c = message.charCodeAt(i)
    if (c >= 128) return patternOfUnicode(message)
    const kind = KINDS[c]!
    if (kind !== 0) {
      if (start < 0) start = i
      kinds |= kind
    } else if (start >= 0) {
      words.add(start, i, kinds)
      start = -1
      kinds = 0
    }
  }
  if (start >= 0) words.add(start, message.length, kinds)
  const pattern = words.replaced()
  return pattern.length <= PATTERN_BYTES_MAX ? pattern : null
}

// What a word has in it. A word of ID_LETTER alone may be part of an id.
const DIGIT = 1
const ID_LETTER = 2
const OTHER = 4

const KINDS = Uint8Array.from({ length: 128 }, (_, c) => {
  const text = String.fromCharCode(c)
  return /\d/.test(text) ? DIGIT : /[a-f]/i.test(text) ? ID_LETTER : /\w/.test(text) ? OTHER : 0
})

/** Tells which words of a text are variables, as they come. */
class Variables {
  readonly #text: string
  /** Start and end of each variable. */
  readonly #places: number[] = []
  /** The same of id letters, joined to each other, that a variable to come may be joined to. */
  #waiting: number[] = NONE
  #end = -2
  #isVariable = false

  constructor(text: string) {
    this.#text = text
  }

  add(start: number, end: number, kinds: number): void {
    const isJoined = this.#end === start - 1 && isJoint(this.#text.charCodeAt(start - 1))
    this.#end = end
    if (!isJoined && this.#waiting.length > 0) this.#waiting = NONE
    if (kinds & DIGIT) {
      if (this.#waiting.length > 0) {
        this.#places.push(...this.#waiting)
        this.#waiting = NONE
      }
      this.#places.push(start, end)
      this.#isVariable = true
    } else if (kinds !== ID_LETTER) {
      this.#waiting = NONE
      this.#isVariable = false
    } else if (isJoined && this.#isVariable) this.#places.push(start, end)
    else {
      this.#waiting = [...this.#waiting, start, end]
      this.#isVariable = false
    }
  }

  replaced(): string {
    const places = this.#places
    if (places.length === 0) return this.#text
    let pattern = ''
    let end = 0
    for (let i = 0; i < places.length; i += 2) {
      pattern += this.#text.slice(end, places[i]) + VARIABLE
      end = places[i + 1]!
    }
    return pattern + this.#text.slice(end)
  }
}

const NONE: number[] = []
const isJoint = (c: number) => c === 45 || c === 58

const RUN = /[\p{L}\p{M}\p{N}_]+/gu
const PIECE =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]|[^\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]+/gu
const HAS_DIGIT = /\p{N}/u
const ID_LETTERS = /^[a-f]+$/i

function patternOfUnicode(message: string): string | null {
  // Words are those of the NFC form: of another text no part could be kept as it is.
  if (message.normalize() !== message || Buffer.byteLength(message) > MESSAGE_BYTES_MAX) return null
  const words = new Variables(message)
  for (const run of message.matchAll(RUN)) {
    for (const piece of run[0].matchAll(PIECE)) {
      const start = run.index + piece.index
      const word = piece[0]
      const kind = HAS_DIGIT.test(word) ? DIGIT : ID_LETTERS.test(word) ? ID_LETTER : OTHER
      words.add(start, start + word.length, kind)
    }
  }
  const pattern = words.replaced()
  return Buffer.byteLength(pattern) <= PATTERN_BYTES_MAX ? pattern : null
}

/** Names a pattern in every block and shard: 64 bits of the SHA-256 of its UTF-8 text, for good. */
export function patternId(pattern: string): string {
  return createHash('sha256').update(pattern).digest('hex').slice(0, 16)
}

/**
 * Whether the records of a pattern hold a phrase: lower-cased words of `wordsOf`, next to each other.
 * `every` and `none` are certain; `look` is for what depends on the variables.
 */
export function phraseInPattern(pattern: string, phrase: string[]): 'every' | 'none' | 'look' {
  if (phrase.length === 0) return 'look'
  const words: (string | null)[] = []
  for (const [i, literal] of pattern.split(VARIABLE).entries()) {
    if (i > 0) words.push(null)
    words.push(...wordsOf(literal))
  }
  let found: 'none' | 'look' = 'none'
  for (let at = 0; at + phrase.length <= words.length; at++) {
    let isEvery = true
    const fits = phrase.every((wanted, i) => {
      const word = words[at + i]!
      if (word !== null) return word === wanted
      isEvery = false
      return HAS_DIGIT.test(wanted) || ID_LETTERS.test(wanted)
    })
    if (fits && isEvery) return 'every'
    if (fits) found = 'look'
  }
  return found
}

/** Fills `patterns` of the parts of one block: its PATTERNS_MAX most frequent, the others null. */
export function choosePatterns(parts: StoredBatch[]): void {
  const counts = new Map<string, number>()
  for (const part of parts) {
    const { batch } = part
    const known = part.patterns
    part.patterns = batch.message.map((message, row) => {
      const pattern = known?.[row] ?? (batch.body[row] === null ? patternOf(message) : null)
      if (pattern !== null) counts.set(pattern, (counts.get(pattern) ?? 0) + 1)
      return pattern
    })
  }
  if (counts.size <= PATTERNS_MAX) return
  const frequent = [...counts].sort((a, b) => b[1] - a[1]).slice(0, PATTERNS_MAX)
  const kept = new Set(frequent.map(([pattern]) => pattern))
  for (const part of parts) {
    part.patterns = part.patterns!.map((pattern) =>
      pattern !== null && kept.has(pattern) ? pattern : null,
    )
  }
}
