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

const RUN = /[\p{L}\p{M}\p{N}_]+/gu
const PIECE =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]|[^\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]+/gu
const DIGIT = /\p{N}/u
const ID_LETTERS = /^[a-f]+$/i

/** The pattern of a message, or null where it has none (design: "Patterns, exactly"). */
export function patternOf(message: string): string | null {
  if (message.length > MESSAGE_BYTES_MAX || message.includes(VARIABLE)) return null
  // Words are those of the NFC form: of another text no part could be kept as it is.
  if (message.normalize() !== message || Buffer.byteLength(message) > MESSAGE_BYTES_MAX) return null
  const words = placesOf(message)
  markVariables(words, message)
  let pattern = ''
  let end = 0
  for (const word of words) {
    if (!word.isVariable) continue
    pattern += message.slice(end, word.start) + VARIABLE
    end = word.end
  }
  pattern += message.slice(end)
  return Buffer.byteLength(pattern) > PATTERN_BYTES_MAX ? null : pattern
}

interface Word {
  start: number
  end: number
  isVariable: boolean
  isIdLetters: boolean
}

function placesOf(text: string): Word[] {
  const words: Word[] = []
  for (const run of text.matchAll(RUN)) {
    for (const piece of run[0].matchAll(PIECE)) {
      const start = run.index + piece.index
      words.push({
        start,
        end: start + piece[0].length,
        isVariable: DIGIT.test(piece[0]),
        isIdLetters: ID_LETTERS.test(piece[0]),
      })
    }
  }
  return words
}

function markVariables(words: Word[], text: string): void {
  const joins = (left: Word, right: Word) =>
    right.start === left.end + 1 && (text[left.end] === '-' || text[left.end] === ':')
  const spread = (from: Word, to: Word, isJoined: boolean) => {
    if (isJoined && from.isVariable && to.isIdLetters) to.isVariable = true
  }
  for (let i = 1; i < words.length; i++) {
    const [left, right] = [words[i - 1]!, words[i]!]
    spread(left, right, joins(left, right))
  }
  for (let i = words.length - 1; i > 0; i--) {
    const [left, right] = [words[i - 1]!, words[i]!]
    spread(right, left, joins(left, right))
  }
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
      return DIGIT.test(wanted) || ID_LETTERS.test(wanted)
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
