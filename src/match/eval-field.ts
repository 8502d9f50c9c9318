// Conditions on one field, asked of the rows of a batch: a text column, an attribute wherever it lies,
// a member of the resource, the scope or the body.

import { lowerBound } from '../block/segment.ts'
import type { Field, FieldColumn, ValueTest } from '../query/filter.ts'
import type { AttributeColumn, RecordBatch } from '../record.ts'
import { labelWalk } from './label.ts'
import { freeStep, placesOf, RANK, type Step } from './step.ts'
import {
  ABSENT,
  FAILS,
  follow,
  PASSES,
  type Path,
  pathOf,
  type State,
  type ValueCheck,
  valueCheck,
} from './value.ts'

export function fieldStep(field: Field, test: ValueTest): Step {
  const check = valueCheck(test)
  if (field.in === 'column') {
    return freeStep(RANK.column, ({ batch }, rows) => columnRows(batch, rows, field.name, check))
  }
  if (field.in === 'label') return labelStep(field.name, check)
  const path = pathOf(field.name)
  const inTexts = textStates(
    field.in === 'scope' ? scopeState(path, check) : memberState(path, check),
  )
  return freeStep(RANK.member, ({ batch }, rows) => {
    switch (field.in) {
      case 'resource':
        return rows.filter((row) => inTexts(batch.resources[batch.resource[row]!]!) === PASSES)
      case 'scope':
        return rows.filter((row) => inTexts(batch.scopes[batch.scope[row]!]!) === PASSES)
      case 'body':
        return rows.filter((row) => stateIn(batch.body[row], path, check) === PASSES)
      default: {
        const states = attributeStates(batch, rows, path, check)
        const isBare = field.in === 'bare'
        return rows.filter((row, i) => {
          const state = states[i]
          if (state !== ABSENT || !isBare) return state === PASSES
          return inTexts(batch.resources[batch.resource[row]!]!) === PASSES
        })
      }
    }
  })
}

function labelStep(name: string, check: ValueCheck): Step {
  const walk = labelWalk(name)
  return freeStep(RANK.member, ({ batch }, rows) => {
    const passes = new Uint8Array(rows.length)
    walk(batch, rows, (i, value) => {
      const isPassing = typeof value === 'number' ? check.number(value) : check.text(String(value))
      if (isPassing) passes[i] = 1
    })
    return rows.filter((_, i) => passes[i] === 1)
  })
}

function columnRows(
  batch: RecordBatch,
  rows: number[],
  name: FieldColumn,
  check: ValueCheck,
): number[] {
  if (name === 'severity_number') {
    // 0 is none.
    return rows.filter((row) => {
      const number = batch.severityNumber[row]!
      return number !== 0 && check.number(number)
    })
  }
  const values = name === 'severity_text' ? batch.severityText : batch.text[name]
  return rows.filter((row) => {
    const value = values[row]!
    return value !== null && check.text(value)
  })
}

/** Texts of resources and scopes whose state one condition keeps: a batch has few. */
const TEXTS_MAX = 1000

function textStates(stateOf: (text: string) => State): (text: string) => State {
  const known = new Map<string, State>()
  let lastText = ''
  let lastState: State = ABSENT
  return (text) => {
    if (text === lastText && text !== '') return lastState
    let state = known.get(text)
    if (state === undefined) {
      state = stateOf(text)
      if (known.size === TEXTS_MAX) known.clear()
      known.set(text, state)
    }
    lastText = text
    lastState = state
    return state
  }
}

const memberState = (path: Path, check: ValueCheck) => (text: string) => stateIn(text, path, check)

/** Members of a scope, and where it has none of the name, its attributes. */
const scopeState = (path: Path, check: ValueCheck) => (text: string) => {
  if (!text.includes(path.hint)) return ABSENT
  const scope = JSON.parse(text)
  return follow(scope, path, check) || follow(scope.attributes, path, check)
}

/** Where the path leads in a JSON text, which is not parsed if it leads nowhere. */
const stateIn = (text: string | null | undefined, path: Path, check: ValueCheck): State =>
  text?.includes(path.hint) ? follow(JSON.parse(text), path, check) : ABSENT

/** What each of `rows` says of an attribute; a path is followed where no attribute has the whole name. */
function attributeStates(
  batch: RecordBatch,
  rows: number[],
  path: Path,
  check: ValueCheck,
): Uint8Array {
  const states = new Uint8Array(rows.length)
  const places = placesOf(rows, batch.length)
  for (const column of batch.attributes) {
    if (column.key === path.name) addStates(column, rows, places, states, check)
  }
  const maps = mapsOf(batch, path)
  const hasMaps = maps.some(({ columns }) => columns.length > 0)
  for (const [i, row] of rows.entries()) {
    if (states[i] !== ABSENT) continue
    const rest = batch.attributesRest[row]
    if (!hasMaps && !rest?.includes(path.hint)) continue
    const members: Record<string, unknown> = JSON.parse(rest ?? '{}')
    states[i] = Object.hasOwn(members, path.name)
      ? stateOf(check.json(members[path.name]))
      : stateInMaps(maps, row, members, check)
  }
  return states
}

const stateOf = (passes: boolean): State => (passes ? PASSES : FAILS)

function stateInMaps(
  maps: Maps,
  row: number,
  members: Record<string, unknown>,
  check: ValueCheck,
): State {
  const found = mapOf(maps, row, members)
  if (found === null) return ABSENT
  const { inner, rest } = found
  return typeof inner === 'string' ? stateIn(inner, rest, check) : follow(inner, rest, check)
}

/** The beginnings of a path, the longest first, each with the columns of attributes that may be its maps. */
export type Maps = { key: string; rest: Path; columns: AttributeColumn[] }[]

export const mapsOf = (batch: RecordBatch, path: Path): Maps =>
  path.beginnings.map(({ key, rest }) => ({
    key,
    rest,
    columns: batch.attributes.filter((column) => column.key === key && column.type === 'json'),
  }))

/**
 * The map or array that a path leads into: by the longest key that has one, wherever the attribute lies.
 * `inner` is its JSON text, or itself where it is one of `members`, the attributes without a column.
 */
export function mapOf(
  maps: Maps,
  row: number,
  members: Record<string, unknown>,
): { inner: string | object; rest: Path } | null {
  for (const { key, rest, columns } of maps) {
    for (const { rows, values } of columns) {
      const at = lowerBound(rows, row)
      const text = rows[at] === row ? String(values[at]) : 'null'
      // The text of null is no map.
      if (text !== 'null') return { inner: text, rest }
    }
    const inner = Object.hasOwn(members, key) ? members[key] : null
    if (typeof inner === 'object' && inner !== null) return { inner, rest }
  }
  return null
}

/** A column with many more values than there are rows to ask is searched, else walked through. */
const SEARCH_RATIO = 8

function addStates(
  column: AttributeColumn,
  rows: number[],
  places: Uint16Array | Uint32Array,
  states: Uint8Array,
  check: ValueCheck,
): void {
  const passes = checkOf(column, check)
  if (rows.length * SEARCH_RATIO < column.rows.length) {
    for (const [i, row] of rows.entries()) {
      const at = lowerBound(column.rows, row)
      if (column.rows[at] === row) states[i] = stateOf(passes(column.values[at]!))
    }
    return
  }
  for (let at = 0; at < column.rows.length; at++) {
    const place = places[column.rows[at]!]!
    if (place > 0) states[place - 1] = stateOf(passes(column.values[at]!))
  }
}

type Scalar = string | number | boolean

function checkOf({ type }: AttributeColumn, check: ValueCheck): (value: Scalar) => boolean {
  switch (type) {
    case 'text':
      return check.text as (value: Scalar) => boolean
    case 'int':
    case 'num':
      return check.number as (value: Scalar) => boolean
    case 'bool':
      return (value) => check.json(value)
    case 'json':
      return (value) => check.json(JSON.parse(String(value)))
  }
}
