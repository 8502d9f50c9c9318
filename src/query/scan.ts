// Which records of a batch a filter lets through: column by column, each condition over the rows that
// the ones before it left, and messages last, because they are the dearest to read. Serves segments,
// blocks and what is deleted; later live tails.

import type { Needed } from '../block/parquet.ts'
import { phraseInPattern } from '../block/pattern.ts'
import { lowerBound } from '../block/segment.ts'
import type { StoredBatch } from '../block/stored.ts'
import type { RecordBatch } from '../record.ts'
import { wordsOf } from '../words.ts'
import type { Condition, Plan, Position, RecordFilter } from './plan.ts'

/** Patterns whose verdict one Matcher keeps: half a kilobyte each, and a block has 256. */
const VERDICTS_MAX = 10_000

type Verdict = 'every' | 'none' | 'look'
type WordsCondition = Extract<Condition, { kind: 'words' }>
type ColumnCondition = Exclude<Condition, WordsCondition>

/** Rows that pass, and rows of which only the message can tell. Both ascending. */
export interface Sieved {
  sure: number[]
  look: number[]
}

/** A filter made ready. What it learns of a pattern it keeps: make it once for many batches. */
export class Matcher {
  /** The columns it reads. Messages are not among them: `look` alone reads those. */
  readonly needed: Needed
  readonly readsMessages: boolean
  readonly #range: Pick<RecordFilter, 'since' | 'until'>
  readonly #conditions: ColumnCondition[]
  readonly #phrases: string[][]
  readonly #holds: (text: string) => boolean
  readonly #verdicts = new Map<string, Verdict>()

  constructor(filter: RecordFilter) {
    this.needed = neededOf(filter)
    this.#range = filter
    this.#conditions = filter.filter.filter((condition) => condition.kind !== 'words')
    this.#phrases = filter.filter.flatMap((condition) =>
      condition.kind === 'words' ? condition.phrases : [],
    )
    this.readsMessages = this.#phrases.length > 0
    this.#holds = wordTest(this.#phrases)
  }

  /** Those of `rows` that pass. */
  rows(stored: StoredBatch, rows: number[]): number[] {
    const { sure, look } = this.sieve(stored, rows)
    if (look.length === 0) return sure
    const found = this.look(stored, look)
    return sure.length === 0 ? found : [...sure, ...found].sort((a, b) => a - b)
  }

  /** All that can be said of `rows` without a message. */
  sieve(stored: StoredBatch, rows: number[]): Sieved {
    let left = rowsInTime(this.#range, stored.batch, rows)
    for (const condition of this.#conditions) {
      if (left.length === 0) break
      left = rowsOf(condition, stored.batch, left)
    }
    if (this.#phrases.length === 0) return { sure: left, look: [] }
    const { patterns } = stored
    return patterns === null ? { sure: [], look: left } : this.#byPattern(patterns, left)
  }

  /** Those of `rows` whose message holds the words. */
  look({ batch: { message } }: StoredBatch, rows: number[]): number[] {
    return rows.filter((row) => this.#holds(message[row]!))
  }

  #byPattern(patterns: (string | null)[], rows: number[]): Sieved {
    const sieved: Sieved = { sure: [], look: [] }
    // A batch has one string object a pattern, and a map finds its own keys three times as fast.
    const verdicts = new Map<string | null, Verdict>([[null, 'look']])
    for (const row of rows) {
      const pattern = patterns[row]!
      let verdict = verdicts.get(pattern)
      if (verdict === undefined) {
        verdict = this.#verdictOf(pattern as string)
        verdicts.set(pattern, verdict)
      }
      if (verdict === 'every') sieved.sure.push(row)
      else if (verdict === 'look') sieved.look.push(row)
    }
    return sieved
  }

  /** What a pattern says of all phrases together. */
  #verdictOf(pattern: string): Verdict {
    const known = this.#verdicts.get(pattern)
    if (known !== undefined) return known
    let verdict: Verdict = 'every'
    for (const phrase of this.#phrases) {
      const one = phraseInPattern(pattern, phrase)
      if (one !== 'every') verdict = one
      if (one === 'none') break
    }
    if (this.#verdicts.size >= VERDICTS_MAX) this.#verdicts.clear()
    this.#verdicts.set(pattern, verdict)
    return verdict
  }
}

/** The columns to read before a filter can be asked; messages apart, which patterns may spare. */
export function neededOf({ filter }: RecordFilter): Needed {
  const attributes: string[] = []
  const needed: Needed = { columns: new Set(), attributes }
  for (const condition of filter) {
    if (condition.kind === 'level') needed.columns.add('level')
    else if (condition.kind === 'column') needed.columns.add(condition.column)
    else if (condition.kind === 'attribute') attributes.push(condition.key)
    else needed.columns.add('pattern')
  }
  return needed
}

export const bothNeeded = (a: Needed, b: Needed): Needed => ({
  columns: new Set([...a.columns, ...b.columns]),
  attributes:
    a.attributes === 'all' || b.attributes === 'all'
      ? 'all'
      : [...new Set([...a.attributes, ...b.attributes])],
})

/**
 * The rows of the set a plan is about, ascending: those up to `maxSeq` that stand behind the page
 * before. The plan's filter is not asked.
 */
export function rowsInSet(
  { after, order }: Pick<Plan, 'after' | 'order'>,
  { batch, seqs }: StoredBatch,
  shard: number,
  maxSeq: number,
): number[] {
  const sign = order === 'asc' ? 1 : -1
  const rows: number[] = []
  for (let row = 0; row < batch.length; row++) {
    const seq = seqs[row]!
    // Rows of a block stand by time, so later ones may well belong to the set.
    if (seq > maxSeq) continue
    if (after) {
      const ms = batch.timeMs[row]!
      const order = ms - after.ms || batch.timeNs[row]! - after.ns || shard - after.shard
      if ((order || seq - after.seq) * sign <= 0) continue
    }
    rows.push(row)
  }
  return rows
}

/** Negative when `a` comes first in an answer with the oldest first. */
export const comparePositions = (a: Position, b: Position) =>
  a.ms - b.ms || a.ns - b.ns || a.shard - b.shard || a.seq - b.seq

function rowsInTime(
  { since, until }: Pick<RecordFilter, 'since' | 'until'>,
  { timeMs, timeNs }: RecordBatch,
  rows: number[],
): number[] {
  if (!since && !until) return rows
  return rows.filter((row) => {
    const ms = timeMs[row]!
    const ns = timeNs[row]!
    if (since && (ms < since.ms || (ms === since.ms && ns < since.ns))) return false
    return !(until && (ms > until.ms || (ms === until.ms && ns >= until.ns)))
  })
}

function rowsOf(condition: ColumnCondition, batch: RecordBatch, rows: number[]): number[] {
  switch (condition.kind) {
    case 'level':
      return rows.filter((row) => (condition.mask >> batch.level[row]!) & 1)
    case 'column': {
      const values = batch.text[condition.column]
      return rows.filter((row) => values[row] === condition.value)
    }
    case 'attribute':
      return rowsWithAttribute(condition.key, condition.value, batch, rows)
  }
}

function rowsWithAttribute(
  key: string,
  value: string,
  batch: RecordBatch,
  rows: number[],
): number[] {
  const columns = batch.attributes.filter((column) => column.key === key)
  const quotedKey = JSON.stringify(key)
  return rows.filter((row) => {
    for (const column of columns) {
      const at = lowerBound(column.rows, row)
      if (column.rows[at] !== row) continue
      const stored = column.values[at]!
      if (String(stored) === value) return true
      // Arrays and maps are shown as JSON.parse reads them, so they are found as they are shown.
      if (column.type === 'json' && textOf(JSON.parse(String(stored))) === value) return true
    }
    const rest = batch.attributesRest[row]
    // The text test first: parsing is dear, and the rest is rare.
    if (!rest?.includes(quotedKey)) return false
    const members = JSON.parse(rest) as Record<string, unknown>
    return Object.hasOwn(members, key) && textOf(members[key]) === value
  })
}

const textOf = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value))

const ASCII = /^[\0-\x7f]*$/

/**
 * A test whether a text holds every phrase: its words next to each other, in any case. A text that
 * lacks the letters of one is decided by a search; words are cut once, from those that are left.
 */
export function wordTest(phrases: string[][]): (text: string) => boolean {
  const ascii = phrases.map(([first]) => first!).filter((first) => ASCII.test(first))
  return (text) => {
    // Lower-casing outside ASCII may change letters that normalisation would also change.
    if (ascii.length > 0 && ASCII.test(text)) {
      const lower = text.toLowerCase()
      if (!ascii.every((first) => lower.includes(first))) return false
    }
    const all = wordsOf(text)
    return phrases.every((phrase) => holdsPhrase(all, phrase))
  }
}

function holdsPhrase(all: string[], phrase: string[]): boolean {
  const first = phrase[0]!
  for (let at = all.indexOf(first); at >= 0; at = all.indexOf(first, at + 1)) {
    if (phrase.every((word, i) => all[at + i] === word)) return true
  }
  return false
}
