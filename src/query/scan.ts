// Which records of a batch a plan lets through: column by column, each condition over the rows that
// the ones before it left. Serves segments, and later blocks and live tails.

import { lowerBound } from '../block/segment.ts'
import type { RecordBatch } from '../record.ts'
import { wordsOf } from '../words.ts'
import type { Condition, Plan, Position } from './plan.ts'

/**
 * The rows `from`..`to` (exclusive) that match, ascending. `shard` and `firstSeq` place them in the
 * order of the answer.
 */
export function scan(
  plan: Plan,
  batch: RecordBatch,
  shard: number,
  firstSeq: number,
  from = 0,
  to = batch.length,
): number[] {
  let rows = rowsInRange(plan, batch, shard, firstSeq, from, to)
  for (const condition of plan.filter) {
    if (rows.length === 0) return rows
    rows = rowsOf(condition, batch, rows)
  }
  return rows
}

function rowsInRange(
  plan: Plan,
  batch: RecordBatch,
  shard: number,
  firstSeq: number,
  from: number,
  to: number,
): number[] {
  const { since, until, after } = plan
  const maxSeq = plan.maxSeqs[shard] ?? Number.POSITIVE_INFINITY
  const sign = plan.order === 'asc' ? 1 : -1
  const rows: number[] = []
  for (let row = from; row < to; row++) {
    const ms = batch.timeMs[row]!
    const ns = batch.timeNs[row]!
    if (firstSeq + row > maxSeq) break
    if (since && (ms < since.ms || (ms === since.ms && ns < since.ns))) continue
    if (until && (ms > until.ms || (ms === until.ms && ns >= until.ns))) continue
    if (after) {
      const order =
        ms - after.ms || ns - after.ns || shard - after.shard || firstSeq + row - after.seq
      if (order * sign <= 0) continue
    }
    rows.push(row)
  }
  return rows
}

/** Negative when `a` comes first in an answer with the oldest first. */
export const comparePositions = (a: Position, b: Position) =>
  a.ms - b.ms || a.ns - b.ns || a.shard - b.shard || a.seq - b.seq

function rowsOf(condition: Condition, batch: RecordBatch, rows: number[]): number[] {
  switch (condition.kind) {
    case 'level':
      return rows.filter((row) => (condition.mask >> batch.level[row]!) & 1)
    case 'column': {
      const values = batch.text[condition.column]
      return rows.filter((row) => values[row] === condition.value)
    }
    case 'attribute':
      return rowsWithAttribute(condition.key, condition.value, batch, rows)
    case 'words': {
      const holds = wordTest(condition.phrases)
      return rows.filter((row) => holds(batch.message[row]!))
    }
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
