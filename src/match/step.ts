// Parts of a filter made ready, and what they have in common: what is said of rows, and how sets of
// rows are joined. eval.ts puts them together.

import type { Places, StoredBatch } from '../block/stored.ts'
import type { Verdict } from './text.ts'

/** Rows that pass, and rows of which only the message can tell. */
export interface Sieved {
  sure: number[]
  look: number[]
}

/** Some part of a filter, made ready. */
export interface Step {
  /** It reads no message: nothing is left to look at. */
  isFree: boolean
  /** In an `and` or `or` the lower comes first. */
  rank: number
  /** What a character of a message costs, in those of a search for words. */
  cost: number
  sieve(stored: StoredBatch, rows: number[]): Sieved
  /** Those that pass of rows that `sieve` left to be looked at. */
  look(stored: StoredBatch, rows: number[]): number[]
}

/** The cheapest first. `any:` asks everything. */
export const RANK = { level: 0, column: 1, member: 2, tree: 3, message: 4, any: 5 } as const

/** Those of `rows` that pass. */
export function passing(step: Step, stored: StoredBatch, rows: number[]): number[] {
  const { sure, look } = step.sieve(stored, rows)
  if (look.length === 0) return sure
  const found = step.look(stored, look)
  if (sure.length === 0) return found
  if (found.length === 0) return sure
  const marks = new Uint8Array(stored.batch.length)
  mark(marks, sure)
  mark(marks, found)
  return rows.filter((row) => marks[row] === 1)
}

export function mark(marks: Uint8Array, rows: number[]): void {
  for (const row of rows) marks[row] = 1
}

/** Each row's place among `rows`, from 1. */
export function placesOf(rows: number[], length: number): Uint16Array | Uint32Array {
  const places = length < 0xffff ? new Uint16Array(length) : new Uint32Array(length)
  for (let i = 0; i < rows.length; i++) places[rows[i]!] = i + 1
  return places
}

/** `rows` but for `others`, of a batch of so many. */
export function without(rows: number[], others: number[], length: number): number[] {
  if (others.length === 0) return rows
  if (others.length === rows.length) return []
  const marks = new Uint8Array(length)
  mark(marks, others)
  return rows.filter((row) => marks[row] === 0)
}

/** The rows of a set in the order of `rows`. */
export function inOrder(
  rows: number[],
  set: number[],
  { batch: { length } }: StoredBatch,
): number[] {
  const marks = new Uint8Array(length)
  mark(marks, set)
  return rows.filter((row) => marks[row] === 1)
}

/** A condition that says of each row whether it passes, and reads no message. */
export const freeStep = (
  rank: number,
  rows: (stored: StoredBatch, rows: number[]) => number[],
): Step => ({
  isFree: true,
  rank,
  cost: 0,
  sieve: (stored, given) => ({ sure: rows(stored, given), look: [] }),
  look: () => [],
})

/** What is asked of a message, and what a pattern says of it. */
export interface MessageCheck {
  holds(message: string): boolean
  verdict(pattern: string): Verdict
  /** ASCII letters, lower-cased, that stand in every message that passes; '' where none are known. */
  hint: string
  cost: number
}

export function messageStep(check: MessageCheck): Step {
  const sieve = sieveOf(check)
  return {
    isFree: false,
    rank: RANK.message,
    cost: check.cost,
    sieve,
    look: (stored, rows) => lookAt(check, stored, rows),
  }
}

/** Those of `rows` whose message passes. */
export function lookAt(
  { holds, hint }: Pick<MessageCheck, 'holds' | 'hint'>,
  { batch, messages }: StoredBatch,
  rows: number[],
): number[] {
  if (messages) return messages.mayHold(rows, hint).filter((row) => holds(messages.at(row)))
  const { message } = batch
  return rows.filter((row) => holds(message[row]!))
}

/** Patterns whose verdict one condition keeps: half a kilobyte each, and a block has some hundred. */
const VERDICTS_MAX = 10_000

/** What patterns say of rows. What it learns of a pattern it keeps. */
export function sieveOf({ verdict }: Pick<MessageCheck, 'verdict'>): Step['sieve'] {
  const known = new Map<string, Verdict>()
  const verdictOf = (pattern: string): Verdict => {
    let one = known.get(pattern)
    if (one === undefined) {
      one = verdict(pattern)
      if (known.size >= VERDICTS_MAX) known.clear()
      known.set(pattern, one)
    }
    return one
  }
  return (stored, rows) => {
    const { patternPlaces } = stored
    if (patternPlaces) return byPlace(patternPlaces, patternPlaces.values.map(verdictOf), rows)
    const { patterns } = stored
    if (patterns === null) return { sure: [], look: rows }
    const sieved: Sieved = { sure: [], look: [] }
    // A batch has one string object a pattern, and a map finds its own keys three times as fast.
    const verdicts = new Map<string | null, Verdict>([[null, 'look']])
    for (const row of rows) {
      const pattern = patterns[row]!
      let one = verdicts.get(pattern)
      if (one === undefined) {
        one = verdictOf(pattern as string)
        verdicts.set(pattern, one)
      }
      if (one === 'every') sieved.sure.push(row)
      else if (one === 'look') sieved.look.push(row)
    }
    return sieved
  }
}

function byPlace({ places }: Places, verdicts: Verdict[], rows: number[]): Sieved {
  const sieved: Sieved = { sure: [], look: [] }
  const kinds = Uint8Array.from([LOOK, ...verdicts.map((one) => KIND[one])])
  for (const row of rows) {
    const kind = kinds[places[row]!]
    if (kind === EVERY) sieved.sure.push(row)
    else if (kind === LOOK) sieved.look.push(row)
  }
  return sieved
}

const EVERY = 1
const LOOK = 2
const KIND = { none: 0, every: EVERY, look: LOOK } as const
