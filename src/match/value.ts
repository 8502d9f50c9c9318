// Whether a value passes a test of a field, and where in a map a field's name leads.

import { cutsOf, type ValueTest } from '../query/filter.ts'
import { checkedRegex } from '../query/regex.ts'

/** What is said of a field of one record. In order: an array passes if one of its elements does. */
export const ABSENT = 0
export const FAILS = 1
export const PASSES = 2
export type State = typeof ABSENT | typeof FAILS | typeof PASSES

/** A test of a value, by its type. */
export interface ValueCheck {
  text(text: string): boolean
  number(value: number): boolean
  /** Any value that JSON has. */
  json(value: unknown): boolean
}

export function valueCheck(test: ValueTest): ValueCheck {
  switch (test.is) {
    case 'equal':
      return equalCheck(test.value)
    case 'glob':
      return textCheck(remembered(wholeGlob(test.parts)))
    case 'regex':
      return textCheck(remembered(checkedRegex(test.source).test))
    case 'range':
      return rangeCheck(test)
    case 'exists':
      return { text: () => true, number: () => true, json: () => true }
  }
}

/** Arrays and maps are equal to their JSON, as they are shown. */
function equalCheck(wanted: string): ValueCheck {
  const json = (value: unknown): boolean =>
    typeof value === 'object' && value !== null
      ? (Array.isArray(value) && value.some(json)) || JSON.stringify(value) === wanted
      : String(value) === wanted
  return { text: (text) => text === wanted, number: (value) => String(value) === wanted, json }
}

function textCheck(holds: (text: string) => boolean): ValueCheck {
  const json = (value: unknown): boolean =>
    typeof value === 'object' && value !== null
      ? Array.isArray(value) && value.some(json)
      : holds(String(value))
  return { text: holds, number: (value) => holds(String(value)), json }
}

const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/
/** Longer texts are no numbers that anyone compares. */
const DECIMAL_CHARS_MAX = 64

/** Whether a text is wholly a number. */
export const isDecimal = (text: string) => text.length <= DECIMAL_CHARS_MAX && DECIMAL.test(text)

function rangeCheck({ from, to }: Extract<ValueTest, { is: 'range' }>): ValueCheck {
  const number = (value: number): boolean => {
    if (from && (from.isInside ? value < from.value : value <= from.value)) return false
    return !(to && (to.isInside ? value > to.value : value >= to.value))
  }
  const text = (text: string): boolean => isDecimal(text) && number(Number(text))
  const json = (value: unknown): boolean => {
    if (typeof value === 'number') return number(value)
    return typeof value === 'string' ? text(value) : Array.isArray(value) && value.some(json)
  }
  return { text, number, json }
}

/** Parts that make up the whole text with anything between them, case as stored. */
function wholeGlob(parts: string[]): (text: string) => boolean {
  const first = parts[0]!
  const last = parts.at(-1)!
  const middle = parts.slice(1, -1)
  return (text) => {
    const end = text.length - last.length
    if (!text.startsWith(first) || !text.endsWith(last)) return false
    let at = first.length
    for (const part of middle) {
      at = text.indexOf(part, at)
      if (at < 0) return false
      at += part.length
    }
    // The last must not begin before the others end.
    return at <= end
  }
}

/** Answers kept of one test: values of attributes come again. */
const REMEMBERED_MAX = 10_000
/** Longer values do not come again, and would be held. */
const REMEMBERED_CHARS_MAX = 256

/** The same test, asked once of a text that comes again. */
export function remembered(holds: (text: string) => boolean): (text: string) => boolean {
  const known = new Map<string, boolean>()
  return (text) => {
    if (text.length > REMEMBERED_CHARS_MAX) return holds(text)
    let answer = known.get(text)
    if (answer === undefined) {
      answer = holds(text)
      if (known.size === REMEMBERED_MAX) known.clear()
      known.set(text, answer)
    }
    return answer
  }
}

/** A field's name as a path into maps: each way to cut it, the longest first, with what is left. */
export interface Path {
  name: string
  /** Proper beginnings of the name that end before a dot. */
  beginnings: { key: string; rest: Path }[]
  /** Stands in every JSON text in which the path leads somewhere: a key's end. */
  hint: string
}

export function pathOf(name: string, known = new Map<string, Path>()): Path {
  const made = known.get(name)
  if (made) return made
  // Of a name with too many dots only the whole is a key.
  const cuts = cutsOf(name) ?? [name]
  const path: Path = {
    name,
    beginnings: [],
    hint: JSON.stringify(name.slice(name.lastIndexOf('.') + 1)).slice(1),
  }
  known.set(name, path)
  for (const key of cuts.slice(1)) {
    path.beginnings.push({ key, rest: pathOf(name.slice(key.length + 1), known) })
  }
  return path
}

/**
 * Follows a path into a JSON value. A key with dots wins over a path: of the keys that the name begins
 * with, the longest is followed and no other. Arrays on the way are followed into each element.
 */
export function follow(value: unknown, path: Path, check: ValueCheck): State {
  if (Array.isArray(value)) {
    let best: State = ABSENT
    for (const element of value) {
      const state = follow(element, path, check)
      if (state > best) best = state
      if (best === PASSES) break
    }
    return best
  }
  if (!isMap(value)) return ABSENT
  if (Object.hasOwn(value, path.name)) return check.json(value[path.name]) ? PASSES : FAILS
  for (const { key, rest } of path.beginnings) {
    const inner = Object.hasOwn(value, key) ? value[key] : null
    if (typeof inner === 'object' && inner !== null) return follow(inner, rest, check)
  }
  return ABSENT
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
