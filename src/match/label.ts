// A record's attributes as Loki's structured metadata: every name is that of a label (record.ts), members
// of maps are joined to the name of their map by `_`, and of an array the text is its elements' with
// commas between them, or its JSON where there are maps in it.
//
// Several keys may come to one name. The record's attributes come before the resource's, these before
// the scope's (`scope_name`, `scope_version` and its attributes) and those before members of a body that
// is a map (`body_…`); among the keys of one of these the first in order of its path.

import { labelName, type RecordBatch } from '../record.ts'
import { placesOf } from './step.ts'

export type LabelValue = string | number | boolean

/** A value, the label it is under, and its keys joined by dots. */
export interface Leaf {
  name: string
  path: string
  value: LabelValue
}

const DEPTH_MAX = 64

/** Every value in a map. Nothing is none: null, '', an empty array or map. */
export function leavesOf(map: Record<string, unknown>): Leaf[] {
  const leaves: Leaf[] = []
  const walk = (value: unknown, keys: string, path: string, depth: number): void => {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      if (depth === DEPTH_MAX) return
      for (const [key, member] of Object.entries(value)) {
        const isTop = depth === 0
        walk(member, isTop ? key : `${keys}_${key}`, isTop ? key : `${path}.${key}`, depth + 1)
      }
      return
    }
    const leaf = leafValue(value)
    // Nobody can ask for a label without a name.
    if (leaf !== null && keys !== '') leaves.push({ name: labelName(keys), path, value: leaf })
  }
  walk(map, '', '', 0)
  return leaves
}

function leafValue(value: unknown): LabelValue | null {
  if (typeof value === 'number' || typeof value === 'boolean') return value
  if (typeof value === 'string') return value === '' ? null : value
  if (!Array.isArray(value) || value.length === 0) return null
  const isFlat = value.every((one) => typeof one !== 'object' || one === null)
  return isFlat ? value.join(',') || null : JSON.stringify(value)
}

/** The leaves of a scope. */
export function scopeLeaves(scope: Record<string, unknown>): Leaf[] {
  const { name, version, attributes } = scope
  return leavesOf({
    scope_name: name,
    scope_version: version,
    ...(attributes as Record<string, unknown> | undefined),
  })
}

/** The leaves of a body; of one that is no map none. */
export const bodyLeaves = (body: unknown): Leaf[] =>
  typeof body === 'object' && body !== null && !Array.isArray(body) ? leavesOf({ body }) : []

/** Called with the place of a row among those asked. */
type Take = (i: number, value: LabelValue) => void

/** Texts of resources, scopes and bodies whose leaf one reader keeps. */
const TEXTS_MAX = 1000

/** Reads the label of one name. What it learns of resources it keeps: make it once for many batches. */
export function labelWalk(name: string): (batch: RecordBatch, rows: number[], take: Take) => void {
  const hint = hintOf(name)
  const inResource = leafIn(hint, (text) => best(leavesOf(JSON.parse(text)), name))
  const inScope = leafIn(name.startsWith('scope_') ? '' : hint, (text) =>
    best(scopeLeaves(JSON.parse(text)), name),
  )
  const isOfBody = name.startsWith('body_')
  const inBody = leafIn(hintOf(name.slice('body_'.length)), (text) =>
    best(bodyLeaves(JSON.parse(text)), name),
  )
  const attributes = attributeWalk(name, hint)
  return (batch, rows, take) => {
    const isThere = attributes(batch, rows, take)
    // By place: a batch has few resources and scopes, and a text is dearer to look up.
    const ofResource: (LabelValue | null)[] = []
    const ofScope: (LabelValue | null)[] = []
    for (let i = 0; i < rows.length; i++) {
      if (isThere[i] === 1) continue
      const row = rows[i]!
      const resource = batch.resource[row]!
      let value = ofResource[resource]
      if (value === undefined) {
        value = inResource(batch.resources[resource]!)
        ofResource[resource] = value
      }
      if (value === null) {
        const scope = batch.scope[row]!
        value = ofScope[scope]
        if (value === undefined) {
          value = inScope(batch.scopes[scope]!)
          ofScope[scope] = value
        }
      }
      if (value === null && isOfBody) {
        const body = batch.body[row] ?? null
        if (body !== null) value = inBody(body)
      }
      if (value !== null) take(i, value)
    }
  }
}

/** Letters that stand in every JSON text with such a label: no escape touches them. */
const hintOf = (name: string): string =>
  name.split('_').reduce((longest, run) => (run.length > longest.length ? run : longest), '')

function best(leaves: Leaf[], name: string): LabelValue | null {
  let first: Leaf | null = null
  for (const leaf of leaves) {
    if (leaf.name === name && (first === null || leaf.path < first.path)) first = leaf
  }
  return first?.value ?? null
}

function leafIn(hint: string, find: (text: string) => LabelValue | null) {
  const known = new Map<string, LabelValue | null>()
  let lastText = ''
  let lastValue: LabelValue | null = null
  return (text: string): LabelValue | null => {
    if (text === lastText) return lastValue
    let value = known.get(text)
    if (value === undefined) {
      value = text !== '{}' && text.includes(hint) ? find(text) : null
      if (known.size === TEXTS_MAX) known.clear()
      known.set(text, value)
    }
    lastText = text
    lastValue = value
    return value
  }
}

/** Takes what the record's attributes have; which of `rows` have it. */
function attributeWalk(name: string, hint: string) {
  /** What a key is to the name: the whole, the map whose member may be, or nothing. */
  const kinds = new Map<string, 'whole' | 'map' | null>()
  const kindOf = (key: string) => {
    let kind = kinds.get(key)
    if (kind === undefined) {
      const own = labelName(key)
      kind = own === name ? 'whole' : name.startsWith(`${own}_`) ? 'map' : null
      if (kinds.size === TEXTS_MAX) kinds.clear()
      kinds.set(key, kind)
    }
    return kind
  }
  return (batch: RecordBatch, rows: number[], take: Take): Uint8Array => {
    const isThere = new Uint8Array(rows.length)
    const columns = batch.attributes.filter(({ key, type }) => {
      const kind = kindOf(key)
      return kind === 'whole' || (kind === 'map' && type === 'json')
    })
    const values = new Array<LabelValue>(rows.length)
    const paths = new Array<string>(rows.length)
    const offer = (i: number, path: string, value: LabelValue) => {
      if (isThere[i] === 1 && paths[i]! <= path) return
      isThere[i] = 1
      paths[i] = path
      values[i] = value
    }
    const offerLeaves = (i: number, map: Record<string, unknown>) => {
      for (const leaf of leavesOf(map)) if (leaf.name === name) offer(i, leaf.path, leaf.value)
    }
    const places = columns.length > 0 ? placesOf(rows, batch.length) : null
    for (const { key, type, rows: at, values: own } of columns) {
      for (let k = 0; k < at.length; k++) {
        const i = places![at[k]!]! - 1
        if (i < 0) continue
        const value = own[k]!
        if (type === 'json') offerLeaves(i, { [key]: JSON.parse(String(value)) })
        else if (value !== '') offer(i, key, value)
      }
    }
    const { attributesRest } = batch
    for (let i = 0; i < rows.length; i++) {
      const rest = attributesRest[rows[i]!]
      if (rest?.includes(hint)) offerLeaves(i, JSON.parse(rest))
      if (isThere[i] === 1) take(i, values[i]!)
    }
    return isThere
  }
}
