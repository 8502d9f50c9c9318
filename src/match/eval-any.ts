// `any:` asks the message and every string of a record: text columns, the severity's text, strings in
// attributes, body, resource, scope and `otel` at any depth. Keys and numbers are not asked. The same
// values as in the words filter of a block (block/tokens.ts).

import type { StoredBatch } from '../block/stored.ts'
import { stringsIn } from '../block/tokens.ts'
import { mayHold } from '../query/regex.ts'
import { TEXT_COLUMNS } from '../record.ts'
import { lookAt, RANK, type Sieved, type Step, sieveOf } from './step.ts'
import type { TextCheck } from './text.ts'

export function anyStep(check: TextCheck): Step {
  const byPattern = sieveOf(check)
  const values = new Values(check)
  return {
    isFree: false,
    rank: RANK.any,
    cost: check.cost,
    sieve: (stored, rows) => {
      const { sure, look } = byPattern(stored, rows)
      const passes = new Uint8Array(stored.batch.length)
      for (const row of sure) passes[row] = 1
      values.mark(
        stored,
        sure.length === 0 ? rows : rows.filter((row) => passes[row] === 0),
        passes,
      )
      const sieved: Sieved = { sure: [], look: look.filter((row) => passes[row] === 0) }
      sieved.sure = rows.filter((row) => passes[row] === 1)
      return sieved
    },
    look: (stored, rows) => lookAt(check, stored, rows),
  }
}

/** The strings of a record that are no message. */
class Values {
  readonly #holds: (text: string) => boolean
  readonly #holdsJson: (json: string) => boolean

  constructor({ holds, hint }: TextCheck) {
    this.#holds = holds
    // Letters and digits stand in JSON as they are.
    const inJson = mayHold(hint)
    this.#holdsJson = (json) => {
      if (!inJson.test(json)) return false
      for (const text of stringsIn(JSON.parse(json))) if (holds(text)) return true
      return false
    }
  }

  /** Sets to 1 what passes of `rows`. */
  mark({ batch }: StoredBatch, rows: number[], passes: Uint8Array): void {
    let left = rows
    const add = (passesAt: (row: number) => boolean) => {
      const before = left.length
      let found = 0
      for (const row of left) {
        if (!passesAt(row)) continue
        passes[row] = 1
        found++
      }
      if (found > 0) left = found === before ? [] : left.filter((row) => passes[row] === 0)
    }
    const addTexts = (texts: (string | null)[], holds: (text: string) => boolean) => {
      const holdsAgain = askedAgain(holds)
      add((row) => {
        const text = texts[row] ?? null
        return text !== null && holdsAgain(text)
      })
    }
    for (const column of TEXT_COLUMNS) addTexts(batch.text[column], this.#holds)
    addTexts(batch.severityText, this.#holds)
    for (const [places, texts] of [
      [batch.resource, batch.resources],
      [batch.scope, batch.scopes],
    ] as const) {
      const known: boolean[] = []
      add((row) => {
        const place = places[row]!
        known[place] ??= this.#holdsJson(texts[place]!)
        return known[place]
      })
    }
    for (const { type, rows, values } of batch.attributes) {
      if (left.length === 0) return
      if (type !== 'text' && type !== 'json') continue
      const holds = askedAgain(type === 'text' ? this.#holds : this.#holdsJson)
      // A row that is not asked may pass as well: what is said of it is not used.
      const isAsked = new Uint8Array(batch.length)
      for (const row of left) isAsked[row] = 1
      for (let i = 0; i < rows.length; i++) {
        if (isAsked[rows[i]!] === 1 && holds(values[i] as string)) passes[rows[i]!] = 1
      }
      left = left.filter((row) => passes[row] === 0)
    }
    addTexts(batch.attributesRest, this.#holdsJson)
    addTexts(batch.body, this.#holdsJson)
    addTexts(batch.otel, this.#holdsJson)
  }
}

/** Distinct values above which a column is taken for one of ids, which a map only makes slower. */
const AGAIN_MAX = 256

/** A test for the values of one column of a batch: those of a dictionary are asked once. */
function askedAgain(holds: (text: string) => boolean): (text: string) => boolean {
  const known = new Map<string, boolean>()
  let isOver = false
  return (text) => {
    if (isOver) return holds(text)
    let answer = known.get(text)
    if (answer !== undefined) return answer
    answer = holds(text)
    known.set(text, answer)
    isOver = known.size === AGAIN_MAX
    return answer
  }
}
