// Which tokens the two filters of a block hold, and which one a question has to ask for. Both ends
// are here, because a filter that cut otherwise than the question would hide records.
//
//   ids    the whole value of each text column, qualified by the column and as stored: for
//          `trace_id:…` and `service:api`.
//   words  the words (words.ts) of everything that `any:term` searches: the message, the text
//          columns, and every string in attributes, body, resource, scope, `otel` and the severity's
//          text, at any depth. A value that is not one word, like 10.1.2.3, is a token of its own
//          besides, as stored: its words alone are in nearly every block. Of the message only the
//          words. Keys, numbers and booleans are not here: a question whose value reads as one of
//          these can not be answered no by this filter (prune/prune.ts).

import { type RecordBatch, TEXT_COLUMNS, type TextColumn } from '../record.ts'
import { isAsciiWord, wordsOf } from '../words.ts'
import { type Hash, hashOf, TokenSet } from './filter.ts'
import type { StoredBatch } from './stored.ts'

/** Stable for good, like the hash: they are what tells the kinds apart. */
const SEED_OF_COLUMNS = 0x1d5
const SEED_OF_WORDS = 0x30bd5
const SEED_OF_VALUES = 0x7a1e5

const COLUMN_SEEDS = Object.fromEntries(
  TEXT_COLUMNS.map((column) => [column, hashOf(column, SEED_OF_COLUMNS).a]),
) as Record<TextColumn, number>

/** Of `ids`: the column has this value. */
export const idToken = (column: TextColumn, value: string): Hash =>
  hashOf(value, COLUMN_SEEDS[column])

/** Of `words`: a word as wordsOf cuts it. */
export const wordToken = (word: string): Hash => hashOf(word, SEED_OF_WORDS)

/** Of `words`: all that must be there where a string that is no message has this value. */
export function valueTokens(value: string): Hash[] {
  const words = wordsOf(value)
  const tokens = words.map(wordToken)
  return words.length === 1 ? tokens : [hashOf(value, SEED_OF_VALUES), ...tokens]
}

export interface BlockTokens {
  ids: TokenSet
  words: TokenSet
}

/** The tokens of a block; the batches have all their columns. */
export async function tokensOf(
  parts: StoredBatch[],
  pause: () => Promise<void>,
): Promise<BlockTokens> {
  const collector = new Collector(pause)
  for (const { batch } of parts) {
    for (const column of TEXT_COLUMNS) await collector.addColumn(column, batch.text[column])
    await collector.addMessages(batch.message)
    for (const { type, values } of batch.attributes) {
      if (type === 'text') await collector.addValues(values as string[])
      if (type === 'json') await collector.addJson(values as string[])
    }
    await collector.addValues(batch.severityText)
    for (const texts of jsonTextsOf(batch)) await collector.addJson(texts)
  }
  return collector
}

const jsonTextsOf = (batch: RecordBatch): (string | null)[][] => [
  batch.attributesRest,
  batch.body,
  batch.otel,
  used(batch.resource, batch.resources),
  used(batch.scope, batch.scopes),
]

/** Only the texts that a record names: what was deleted must not be found. */
const used = (rows: number[], texts: string[]): string[] =>
  [...new Set(rows)].map((at) => texts[at]!)

/** Characters looked at between two pauses: a few ms, also where every one is cut and hashed. */
const PAUSE_CHARS = 256 * 1024

class Collector implements BlockTokens {
  readonly ids = new TokenSet()
  readonly words = new TokenSet()
  /** Values whose words were added: an attribute often has those of a column. */
  readonly #seen = new Set<string>()
  readonly #pause: () => Promise<void>
  #charsLeft = PAUSE_CHARS

  constructor(pause: () => Promise<void>) {
    this.#pause = pause
  }

  async addColumn(column: TextColumn, values: (string | null)[]): Promise<void> {
    const seen = new Set<string>()
    let last: string | null = null
    for (const value of values) {
      // Neighbours are often equal, and comparing is cheaper than looking up.
      if (value === null || value === last || seen.has(value)) continue
      last = value
      seen.add(value)
      this.ids.add(idToken(column, value))
      this.#addValue(value)
      if (this.#isTired(value)) await this.#rest()
    }
    await this.#rest()
  }

  async addMessages(messages: string[]): Promise<void> {
    let last = ''
    for (const message of messages) {
      if (message === last) continue
      last = message
      addWords(this.words, message)
      if (this.#isTired(message)) await this.#rest()
    }
    await this.#rest()
  }

  async addValues(values: (string | null)[]): Promise<void> {
    let last: string | null = null
    for (const value of values) {
      if (value === null || value === last) continue
      last = value
      this.#addValue(value)
      if (this.#isTired(value)) await this.#rest()
    }
    await this.#rest()
  }

  async addJson(texts: (string | null)[]): Promise<void> {
    const seen = new Set<string>()
    for (const text of texts) {
      if (text === null || seen.has(text)) continue
      seen.add(text)
      for (const value of stringsIn(JSON.parse(text))) this.#addValue(value)
      if (this.#isTired(text)) await this.#rest()
    }
    await this.#rest()
  }

  #addValue(value: string): void {
    if (this.#seen.has(value)) return
    this.#seen.add(value)
    if (addWords(this.words, value) !== 1) this.words.add(hashOf(value, SEED_OF_VALUES))
  }

  #isTired(text: string): boolean {
    this.#charsLeft -= text.length
    return this.#charsLeft < 0
  }

  #rest(): Promise<void> {
    this.#charsLeft = PAUSE_CHARS
    return this.#pause()
  }
}

/** Every string in a JSON value, at any depth; keys are none. */
export function* stringsIn(value: unknown): Generator<string> {
  if (typeof value === 'string') yield value
  else if (typeof value === 'object' && value !== null) {
    for (const member of Object.values(value)) yield* stringsIn(member)
  }
}

/** Adds the words of a text and says how many they are. */
function addWords(tokens: TokenSet, text: string): number {
  // As wordsOf does, without a string a word: a third of the time of the whole. Up to the first
  // character outside ASCII the lower-cased text has the same places.
  const lower = text.toLowerCase()
  let count = 0
  let start = -1
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c >= 128) return addWordsOfUnicode(tokens, text)
    if (isAsciiWord(c)) {
      if (start < 0) start = i
    } else if (start >= 0) {
      tokens.add(hashOf(lower, SEED_OF_WORDS, start, i))
      count++
      start = -1
    }
  }
  if (start < 0) return count
  tokens.add(hashOf(lower, SEED_OF_WORDS, start, text.length))
  return count + 1
}

function addWordsOfUnicode(tokens: TokenSet, text: string): number {
  const words = wordsOf(text)
  for (const word of words) tokens.add(wordToken(word))
  return words.length
}
