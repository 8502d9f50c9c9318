// The values that a field has in the rows of a batch, for what counts and adds up. A name leads where
// it leads in a search (eval-field.ts): a record is counted under just the values that find it.
//
// Of an array each element is a value, once; an empty array and a map are their JSON. A number and the
// text that shows it are one value.

import type { Needed } from '../block/parquet.ts'
import { patternId, patternOf } from '../block/pattern.ts'
import type { StoredBatch } from '../block/stored.ts'
import { ELEMENTS_MAX } from '../limits.ts'
import { neededOf } from '../match/eval.ts'
import { mapOf, mapsOf } from '../match/eval-field.ts'
import { labelWalk } from '../match/label.ts'
import {
  ABSENT,
  follow,
  isDecimal,
  type Path,
  pathOf,
  type State,
  type ValueCheck,
} from '../match/value.ts'
import type { GroupField } from '../query/ask.ts'
import type { Field, FieldColumn } from '../query/filter.ts'
import { LEVELS, type RecordBatch } from '../record.ts'

export interface FieldValues {
  /** The distinct values. */
  values: string[]
  /** Of each row asked, in their order, the place of its value; -1 where it has none. */
  codes: Int32Array
  /** The other values of rows that have several, by the place of the row among those asked. */
  more: Map<number, number[]> | null
}

/** Numbers, and the place of each one's row among those asked. */
export interface FieldNumbers {
  at: number[]
  numbers: number[]
}

/** Rows of one slice of a slow reader: 2 MB of messages at worst, since longer ones have no pattern. */
export const SLOW_ROWS_MAX = 512

/** Called with the place of a row among those asked, and a value of any type that JSON has. */
type Take = (i: number, value: unknown) => void

/** Reads one field. What it learns of patterns and resources it keeps: make it once for many batches. */
export class FieldReader {
  readonly needed: Needed
  /** It takes a message or a body apart for a record. */
  readonly isSlow: boolean
  readonly #walk: (stored: StoredBatch, rows: number[], take: Take) => void
  /** The values at once, where that takes less than a walk. */
  readonly #read: ((stored: StoredBatch, rows: number[]) => FieldValues) | null = null

  constructor(field: GroupField) {
    this.isSlow = field.in === 'pattern' || field.in === 'body'
    if (field.in === 'level') {
      this.needed = { columns: new Set(['level']), attributes: [] }
      this.#walk = ({ batch: { level } }, rows, take) => {
        for (let i = 0; i < rows.length; i++) take(i, LEVELS[level[rows[i]!]!])
      }
      this.#read = levelValues
    } else if (field.in === 'pattern') {
      this.needed = PATTERNS_NEEDED
      this.#walk = patternIdWalk()
    } else {
      this.needed = neededOf({ kind: 'field', field, test: { is: 'exists' } })
      this.#walk = fieldWalk(field)
      const name = field.in === 'column' ? field.name : null
      if (name === 'severity_text') {
        this.#read = ({ batch }, rows) => textValues(batch.severityText, rows)
      } else if (name !== null && name !== 'severity_number') {
        this.#read = ({ batch }, rows) => textValues(batch.text[name], rows)
      }
    }
  }

  /** The values of these rows as text. */
  values(stored: StoredBatch, rows: number[]): FieldValues {
    if (this.#read) return this.#read(stored, rows)
    const found = new Values(rows.length)
    this.#walk(stored, rows, (i, value) => found.take(i, value))
    return found
  }

  /** The numbers of these rows; a text that is wholly a number is one. */
  numbers(stored: StoredBatch, rows: number[]): FieldNumbers {
    const found: FieldNumbers = { at: [], numbers: [] }
    const take: Take = (i, value) => {
      if (Array.isArray(value)) for (const element of value) take(i, element)
      const number =
        typeof value === 'string' && isDecimal(value) ? Number(value) : (value as number)
      if (!Number.isFinite(number)) return
      found.at.push(i)
      found.numbers.push(number)
    }
    this.#walk(stored, rows, take)
    return found
  }
}

class Values implements FieldValues {
  readonly values: string[] = []
  readonly codes: Int32Array
  more: Map<number, number[]> | null = null
  readonly #byText = new Map<string, number>()
  readonly #byNumber = new Map<number, number>()
  #lastText: string | null = null
  #lastCode = -1

  constructor(rows: number) {
    this.codes = new Int32Array(rows).fill(-1)
  }

  take(i: number, value: unknown): void {
    if (typeof value === 'string') this.#add(i, this.#codeOf(value))
    else if (typeof value === 'number') this.#add(i, this.#codeOfNumber(value))
    else if (Array.isArray(value) && value.length > 0) {
      for (const element of value) this.take(i, element)
    } else {
      const isPlain = typeof value !== 'object' || value === null
      this.#add(i, this.#codeOf(isPlain ? String(value) : JSON.stringify(value)))
    }
  }

  #codeOf(text: string): number {
    if (text === this.#lastText) return this.#lastCode
    let code = this.#byText.get(text)
    if (code === undefined) {
      code = this.values.push(text) - 1
      this.#byText.set(text, code)
    }
    this.#lastText = text
    this.#lastCode = code
    return code
  }

  #codeOfNumber(value: number): number {
    let code = this.#byNumber.get(value)
    if (code === undefined) {
      code = this.#codeOf(String(value))
      this.#byNumber.set(value, code)
    }
    return code
  }

  #add(i: number, code: number): void {
    const first = this.codes[i]!
    if (first === -1) this.codes[i] = code
    else if (first !== code) {
      this.more ??= new Map()
      const others = this.more.get(i)
      if (!others) this.more.set(i, [code])
      else if (others.length < ELEMENTS_MAX - 1 && !others.includes(code)) others.push(code)
    }
  }
}

function levelValues({ batch: { level } }: StoredBatch, rows: number[]): FieldValues {
  const codes = new Int32Array(rows.length)
  for (let i = 0; i < rows.length; i++) codes[i] = level[rows[i]!]!
  return { values: [...LEVELS], codes, more: null }
}

function textValues(texts: (string | null)[], rows: number[]): FieldValues {
  const values: string[] = []
  const codes = new Int32Array(rows.length)
  const known = new Map<string | null, number>([[null, -1]])
  let last: string | null = null
  let lastCode = -1
  for (let i = 0; i < rows.length; i++) {
    const text = texts[rows[i]!]!
    if (text !== last) {
      const code: number = known.get(text) ?? values.push(text as string) - 1
      if (code === values.length - 1) known.set(text, code)
      last = text
      lastCode = code
    }
    codes[i] = lastCode
  }
  return { values, codes, more: null }
}

function fieldWalk(field: Field): (stored: StoredBatch, rows: number[], take: Take) => void {
  if (field.in === 'column') {
    return ({ batch }, rows, take) => walkColumn(batch, rows, field.name, take)
  }
  if (field.in === 'label') {
    const walk = labelWalk(field.name)
    return ({ batch }, rows, take) => walk(batch, rows, take)
  }
  const path = pathOf(field.name)
  const inText = valuesInText((value, check) =>
    field.in === 'scope'
      ? follow(value, path, check) || follow(Object(value).attributes, path, check)
      : follow(value, path, check),
  )
  const ofText = (text: string, i: number, take: Take) => {
    if (text.includes(path.hint)) for (const value of inText(text)) take(i, value)
  }
  return ({ batch }, rows, take) => {
    switch (field.in) {
      case 'resource':
        for (const [i, row] of rows.entries())
          ofText(batch.resources[batch.resource[row]!]!, i, take)
        break
      case 'scope':
        for (const [i, row] of rows.entries()) ofText(batch.scopes[batch.scope[row]!]!, i, take)
        break
      case 'body':
        for (const [i, row] of rows.entries()) followText(batch.body[row], path, i, take)
        break
      default: {
        const isThere = walkAttributes(batch, rows, path, take)
        if (field.in === 'attr') break
        for (const [i, row] of rows.entries()) {
          if (isThere[i] === 0) ofText(batch.resources[batch.resource[row]!]!, i, take)
        }
      }
    }
  }
}

function walkColumn(batch: RecordBatch, rows: number[], name: FieldColumn, take: Take): void {
  if (name === 'severity_number') {
    for (let i = 0; i < rows.length; i++) {
      const number = batch.severityNumber[rows[i]!]!
      // 0 is none.
      if (number !== 0) take(i, number)
    }
    return
  }
  const values = name === 'severity_text' ? batch.severityText : batch.text[name]
  for (let i = 0; i < rows.length; i++) {
    const value = values[rows[i]!]!
    if (value !== null) take(i, value)
  }
}

/** Texts of resources and scopes whose values one reader keeps: a batch has few. */
const TEXTS_MAX = 1000

/** The values that a walk finds in a JSON text, found once in a text that comes again. */
function valuesInText(
  walk: (value: unknown, check: ValueCheck) => State,
): (text: string) => unknown[] {
  const known = new Map<string, unknown[]>()
  return (text) => {
    let values = known.get(text)
    if (!values) {
      values = []
      walk(JSON.parse(text), collecting(values))
      if (known.size === TEXTS_MAX) known.clear()
      known.set(text, values)
    }
    return values
  }
}

/** A check that passes nothing, so that the walk goes to every value, and keeps them. */
function collecting(values: unknown[]): ValueCheck {
  const json = (value: unknown) => {
    values.push(value)
    return false
  }
  return { text: json, number: json, json }
}

/** Takes what lies where the path leads in a JSON text; false if it leads nowhere. */
function followText(text: string | null | undefined, path: Path, i: number, take: Take): boolean {
  return text?.includes(path.hint) ? followValue(JSON.parse(text), path, i, take) : false
}

function followValue(value: unknown, path: Path, i: number, take: Take): boolean {
  const values: unknown[] = []
  const isThere = follow(value, path, collecting(values)) !== ABSENT
  for (const value of values) take(i, value)
  return isThere
}

/** Which of `rows` have the attribute; a path is followed where no attribute has the whole name. */
function walkAttributes(batch: RecordBatch, rows: number[], path: Path, take: Take): Uint8Array {
  const isThere = new Uint8Array(rows.length)
  const places = new Int32Array(batch.length)
  for (let i = 0; i < rows.length; i++) places[rows[i]!] = i + 1
  for (const column of batch.attributes) {
    if (column.key !== path.name) continue
    const isJson = column.type === 'json'
    for (let at = 0; at < column.rows.length; at++) {
      const i = places[column.rows[at]!]! - 1
      if (i < 0) continue
      isThere[i] = 1
      const value = column.values[at]!
      take(i, isJson ? JSON.parse(String(value)) : value)
    }
  }
  const maps = mapsOf(batch, path)
  const hasMaps = maps.some(({ columns }) => columns.length > 0)
  for (const [i, row] of rows.entries()) {
    if (isThere[i] === 1) continue
    const rest = batch.attributesRest[row]
    if (!hasMaps && !rest?.includes(path.hint)) continue
    const members: Record<string, unknown> = JSON.parse(rest ?? '{}')
    if (Object.hasOwn(members, path.name)) {
      take(i, members[path.name])
      isThere[i] = 1
      continue
    }
    const found = mapOf(maps, row, members)
    if (found === null) continue
    const { inner, rest: innerPath } = found
    const leads =
      typeof inner === 'string'
        ? followText(inner, innerPath, i, take)
        : followValue(inner, innerPath, i, take)
    if (leads) isThere[i] = 1
  }
  return isThere
}

/** What `patternValues` reads; patterns and messages are decoded when they are read. */
export const PATTERNS_NEEDED: Needed = { columns: new Set(['body']), attributes: [] }

/** The pattern of each row's message, of those too whose pattern the block did not keep. */
export function patternValues(stored: StoredBatch, rows: number[]): FieldValues {
  const { batch, patternPlaces, messages } = stored
  const patterns = patternPlaces ? null : stored.patterns
  const codes = new Int32Array(rows.length)
  const values = patternPlaces ? [...patternPlaces.values] : []
  const known = new Map(values.map((value, code) => [value, code]))
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!
    codes[i] = patternPlaces ? patternPlaces.places[row]! - 1 : -1
    if (codes[i]! >= 0) continue
    let pattern = patterns?.[row] ?? null
    // A body is no message.
    if (pattern === null && batch.body[row] === null) {
      pattern = patternOf(messages ? messages.at(row) : batch.message[row]!)
    }
    if (pattern === null) continue
    let code = known.get(pattern)
    if (code === undefined) {
      code = values.push(pattern) - 1
      known.set(pattern, code)
    }
    codes[i] = code
  }
  return { values, codes, more: null }
}

/** Patterns whose id one reader keeps. */
const PATTERNS_MAX = 10_000

function patternIdWalk() {
  const known = new Map<string, string>()
  const idOf = (pattern: string): string => {
    let id = known.get(pattern)
    if (id === undefined) {
      id = patternId(pattern)
      if (known.size === PATTERNS_MAX) known.clear()
      known.set(inOnePiece(pattern), id)
    }
    return id
  }
  return (stored: StoredBatch, rows: number[], take: Take): void => {
    const { values, codes } = patternValues(stored, rows)
    const ids = values.map(idOf)
    for (let i = 0; i < codes.length; i++) if (codes[i]! >= 0) take(i, ids[codes[i]!])
  }
}

/** A copy that holds nothing of the page it was cut from, for what is kept longer than its batch. */
export const inOnePiece = (text: string): string => JSON.parse(JSON.stringify(text))
