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
/** Kept of one block: each is an entry of the catalog (docs/decisions/0013). */
export const PATTERNS_MAX = 1024

/** The pattern of a message, or null where it has none. */
export function patternOf(message: string): string | null {
  return findVariables(message) ? replaced(message) : null
}

// The variables of the message looked at last: start and end of each, in order. One array for all,
// because a message is looked at in a tenth of the time that making one takes.
const places = new Int32Array(MESSAGE_BYTES_MAX + 2)
let placeCount = 0

/** Fills `places`; false where the message has no pattern, whatever they are. */
function findVariables(message: string): boolean {
  if (message.length > MESSAGE_BYTES_MAX || message.includes(VARIABLE)) return false
  const words = new Words(message)
  let isAscii = true
  let start = -1
  let kinds = 0
  for (let i = 0; i < message.length; i++) {
    const c = message.charCodeAt(i)
    if (c >= 128) isAscii = false
    const kind = KINDS[c]! || kindOf(message, i)
    if ((kind & WORD) === 0 || (kind & ALONE) !== 0) {
      if (start >= 0) words.add(start, i, kinds)
      start = -1
      kinds = 0
    }
    if ((kind & WORD) !== 0) {
      if (start < 0) start = i
      kinds |= kind & WORD
      if ((kind & PAIR) !== 0) i++
      if ((kind & ALONE) !== 0) {
        words.add(start, i + 1, kinds)
        start = -1
        kinds = 0
      }
    }
  }
  if (start >= 0) words.add(start, message.length, kinds)
  // Words are those of the NFC form: of another text no part could be kept as it is.
  return (
    isAscii || (message.normalize() === message && Buffer.byteLength(message) <= MESSAGE_BYTES_MAX)
  )
}

function replaced(message: string): string | null {
  let pattern = ''
  let end = 0
  for (let i = 0; i < placeCount; i += 2) {
    pattern += message.slice(end, places[i]) + VARIABLE
    end = places[i + 1]!
  }
  pattern += message.slice(end)
  const isShort = pattern.length <= PATTERN_BYTES_MAX
  return isShort && Buffer.byteLength(pattern) <= PATTERN_BYTES_MAX ? pattern : null
}

// What a character is. A word of ID_LETTER alone may be part of an id.
const DIGIT = 1
const ID_LETTER = 2
const OTHER = 4
const WORD = DIGIT | ID_LETTER | OTHER
/** Between words. */
const GAP = 8
/** Of a script without spaces, where each character is a word (words.ts). */
const ALONE = 16
/** Two UTF-16 units. */
const PAIR = 32

/** By UTF-16 unit, as far as they were met; 0 for the others, and for halves of pairs. */
const KINDS = new Uint8Array(0x10000)

const IS_DIGIT = /^\p{N}$/u
const IS_WORD = /^[\p{L}\p{M}\p{N}_]$/u
const IS_ALONE =
  /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]$/u

function kindOf(text: string, at: number): number {
  const code = text.codePointAt(at)!
  const character = String.fromCodePoint(code)
  let kind = GAP
  if (IS_WORD.test(character)) {
    kind = IS_DIGIT.test(character) ? DIGIT : /[a-f]/i.test(character) ? ID_LETTER : OTHER
    if (IS_ALONE.test(character)) kind |= ALONE
  }
  if (code > 0xffff) return kind | PAIR
  // Half a pair alone says nothing of that half in a pair.
  if (code < 0xd800 || code > 0xdfff) KINDS[code] = kind
  return kind
}

/** Tells which words of a text are variables, as they come, and notes them in `places`. */
class Words {
  readonly #text: string
  #end = -2
  #isVariable = false
  /**
   * Where in `places`, past those that count, words of id letters end that are joined to each other:
   * a variable joined to the last makes them all variables.
   */
  #waitingEnd = 0

  constructor(text: string) {
    this.#text = text
    placeCount = 0
  }

  add(start: number, end: number, kinds: number): void {
    const isJoined = this.#end === start - 1 && isJoint(this.#text.charCodeAt(start - 1))
    this.#end = end
    const isIdLetters = kinds === ID_LETTER
    const isOfId = isIdLetters && isJoined && this.#isVariable
    this.#isVariable = (kinds & DIGIT) !== 0 || isOfId
    if (!isJoined || !(this.#isVariable || isIdLetters)) this.#waitingEnd = placeCount
    if (!this.#isVariable && !isIdLetters) return
    places[this.#waitingEnd++] = start
    places[this.#waitingEnd++] = end
    if (this.#isVariable) placeCount = this.#waitingEnd
  }
}

const isJoint = (c: number) => c === 45 || c === 58

const HAS_DIGIT = /\p{N}/u
const ID_LETTERS = /^[a-f]+$/

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

/** Stands for a variable where a pattern is searched: a text with it is not decided. */
const VARIABLE_MARK = '\0'

/**
 * Whether the messages of a pattern hold a text as it stands, also within words. `every` and `none` are
 * certain. A variable is a whole word, so of a text of several words the ones between its gaps stand in
 * the pattern themselves, unless a variable may be one of them.
 */
export function textInPattern(pattern: string, text: string): 'every' | 'none' | 'look' {
  const marked = pattern.replaceAll(VARIABLE, VARIABLE_MARK)
  if (text.includes(VARIABLE_MARK)) return 'look'
  if (marked.includes(text)) return 'every'
  if (!marked.includes(VARIABLE_MARK)) return 'none'
  const parts = /^([A-Za-z0-9_]*)([\x01-\x7f]*?)([A-Za-z0-9_]*)$/.exec(text)
  const [, first = '', inner = '', last = ''] = parts ?? []
  const mayBeVariable = (word: string) => /[0-9]/.test(word) || ID_LETTERS.test(word.toLowerCase())
  if (inner === '' || inner.match(/[A-Za-z0-9_]+/g)?.some(mayBeVariable)) return 'look'
  const starts = first === '' ? [''] : [first, VARIABLE_MARK]
  const ends = last === '' ? [''] : [last, VARIABLE_MARK]
  const isThere = starts.some((start) => ends.some((end) => marked.includes(start + inner + end)))
  return isThere ? 'look' : 'none'
}

/** Fills `patterns` of the parts of one block: its PATTERNS_MAX most frequent, the others null. */
export function choosePatterns(parts: StoredBatch[]): void {
  const steps = choosePatternsInSteps(parts)
  while (!steps.next().done);
}

/** Records of one step: under 5 ms, and long messages are not looked at. */
const STEP_RECORDS = 4096

/** The same, for a caller that shares its thread: yields now and then. */
export function* choosePatternsInSteps(parts: StoredBatch[]): Generator<void, void> {
  const tally = new Tally()
  const found: (Entry | null)[][] = []
  let looked = 0
  for (const { batch, patterns: known } of parts) {
    const entries = new Array<Entry | null>(batch.length)
    for (let row = 0; row < batch.length; row++) {
      if (++looked % STEP_RECORDS === 0) yield
      const pattern = known?.[row] ?? null
      if (pattern !== null) entries[row] = tally.add(pattern)
      else entries[row] = batch.body[row] === null ? tally.addMessage(batch.message[row]!) : null
    }
    found.push(entries)
  }
  const kept = new Set([...tally.entries].sort((a, b) => b.count - a.count).slice(0, PATTERNS_MAX))
  for (const entry of tally.entries) entry.isKept = kept.has(entry)
  for (const [p, entries] of found.entries()) {
    parts[p]!.patterns = entries.map((entry) => (entry?.isKept ? entry.text : null))
  }
}

interface Entry {
  text: string
  count: number
  isKept: boolean
}

/**
 * Counts patterns. The pattern of a message is looked up by a hash of what is not variable in it and
 * compared letter by letter: making its text for each record would take four times as long.
 */
class Tally {
  readonly entries: Entry[] = []
  readonly #byText = new Map<string, Entry>()
  /** The last one of each hash. */
  readonly #byHash = new Map<number, Entry>()

  add(text: string): Entry {
    let entry = this.#byText.get(text)
    if (entry === undefined) {
      entry = { text, count: 0, isKept: false }
      this.#byText.set(text, entry)
      this.entries.push(entry)
    }
    entry.count++
    return entry
  }

  addMessage(message: string): Entry | null {
    if (!findVariables(message)) return null
    const hash = hashOfFixed(message)
    const known = this.#byHash.get(hash)
    if (known !== undefined && isPatternOf(known.text, message)) {
      known.count++
      return known
    }
    const pattern = replaced(message)
    if (pattern === null) return null
    // In one piece: of the pieces it was made of, each letter would be looked for anew.
    const entry = this.add(JSON.parse(JSON.stringify(pattern)) as string)
    this.#byHash.set(hash, entry)
    return entry
  }
}

/** Of the message without its variables, which are in `places`. */
function hashOfFixed(message: string): number {
  let hash = placeCount
  let at = 0
  for (let i = 0; i <= placeCount; i += 2) {
    const end = i < placeCount ? places[i]! : message.length
    for (; at < end; at++) hash = (Math.imul(hash, 31) + message.charCodeAt(at)) | 0
    at = places[i + 1]!
  }
  return hash
}

/** Whether `pattern` is the message with its variables, which are in `places`, replaced. */
function isPatternOf(pattern: string, message: string): boolean {
  let at = 0
  let place = 0
  for (let i = 0; i <= placeCount; i += 2) {
    const end = i < placeCount ? places[i]! : message.length
    for (; at < end; at++) if (pattern.charCodeAt(place++) !== message.charCodeAt(at)) return false
    if (i === placeCount) break
    if (!pattern.startsWith(VARIABLE, place)) return false
    place += VARIABLE.length
    at = places[i + 1]!
  }
  return place === pattern.length
}
