// What a record must be: a tree of and, or and not over leaves that each ask one thing. The search
// language, parameters and LogQL all become this; prune.ts and eval.ts read nothing else. It
// is plain data: it travels over RPC, and deletions and settings keep it as JSON.
//
// The constructors give one form to what means the same: no `and` directly in an `and`, none of one
// member, at most one level leaf in each, no `not` of a `not`. EVERYTHING is the `and` of nothing.

import { FIELD_PARTS_MAX } from '../limits.ts'
import { LEVELS, TEXT_COLUMNS, type TextColumn } from '../record.ts'
import { unescapeSlashes } from './regex.ts'

export type Filter =
  | { kind: 'and'; of: Filter[] }
  | { kind: 'or'; of: Filter[] }
  | { kind: 'not'; of: Filter }
  | Leaf

export type Leaf =
  /** Bit i: LEVELS[i] may pass. */
  | { kind: 'level'; mask: number }
  | TextLeaf
  | { kind: 'field'; field: Field; test: ValueTest }
  /** The message's pattern has this id. */
  | { kind: 'pattern'; id: string }

/** Asks the message, or the message and every string of the record: `any:`. */
export interface TextLeaf {
  kind: 'text'
  in: 'message' | 'any'
  test: TextTest
}

export type TextTest =
  /** The words of `text` (words.ts) stand next to each other, in any case. */
  | { is: 'phrase'; text: string }
  /**
   * These parts follow each other in the text, in any case, whatever stands between. The first starts
   * where a word starts and the last ends where a word ends, unless they are empty. Two or more.
   */
  | { is: 'glob'; parts: string[] }
  | { is: 'regex'; source: string }
  /** `text` stands in it, case as stored, also within words. */
  | { is: 'contains'; text: string }

/** Asks one value; of an array, whether an element passes. */
export type ValueTest =
  /** Its text is this, case as stored: 200 and "200" are the same. */
  | { is: 'equal'; value: string }
  /** Its text is these parts with anything between them, case as stored. Two or more. */
  | { is: 'glob'; parts: string[] }
  | { is: 'regex'; source: string }
  /** It is a number, or text that is wholly a number, in this range. */
  | { is: 'range'; from: Bound | null; to: Bound | null }
  /** It is there. */
  | { is: 'exists' }

export interface Bound {
  value: number
  isInside: boolean
}

/** Columns that `severity_number:>=17` and the like may name beside the text columns. */
export const SEVERITY_COLUMNS = ['severity_number', 'severity_text'] as const
export type FieldColumn = TextColumn | (typeof SEVERITY_COLUMNS)[number]
export const FIELD_COLUMNS: readonly FieldColumn[] = [...TEXT_COLUMNS, ...SEVERITY_COLUMNS]

/** Scopes that a name can force. */
export const SCOPES = ['attr', 'resource', 'scope', 'body'] as const
export type Scope = (typeof SCOPES)[number]

export type Field =
  | { in: 'column'; name: FieldColumn }
  /** `bare`: the record's attribute, and where it has none the resource's. A name may be a path. */
  | { in: Scope | 'bare'; name: string }
  /**
   * What has this name as Loki's structured metadata (match/label.ts): of the record's attributes, else of
   * the resource's, of the scope's or of the body's members.
   */
  | { in: 'label'; name: string }

export const ALL_LEVELS = (1 << LEVELS.length) - 1
export const EVERYTHING: Filter = { kind: 'and', of: [] }
export const NOTHING: Filter = { kind: 'or', of: [] }

export const isEverything = (filter: Filter) => filter.kind === 'and' && filter.of.length === 0
export const isNothing = (filter: Filter) => filter.kind === 'or' && filter.of.length === 0

/** Records of which all of these hold. */
export const allOf = (filters: Filter[]): Filter => joined('and', filters)

/** Records of which one of these holds. */
export const someOf = (filters: Filter[]): Filter => joined('or', filters)

export function notOf(filter: Filter): Filter {
  if (isEverything(filter)) return NOTHING
  if (isNothing(filter)) return EVERYTHING
  if (filter.kind === 'not') return filter.of
  return filter.kind === 'level' ? levelIn(~filter.mask) : { kind: 'not', of: filter }
}

export function levelIn(mask: number): Filter {
  const known = mask & ALL_LEVELS
  if (known === ALL_LEVELS) return EVERYTHING
  return known === 0 ? NOTHING : { kind: 'level', mask: known }
}

export const fieldIs = (field: Field, test: ValueTest): Filter => ({ kind: 'field', field, test })

export const textIs = (where: TextLeaf['in'], test: TextTest): Filter => ({
  kind: 'text',
  in: where,
  test,
})

function joined(kind: 'and' | 'or', filters: Filter[]): Filter {
  const isNeutral = kind === 'and' ? isEverything : isNothing
  const isFinal = kind === 'and' ? isNothing : isEverything
  const of: Filter[] = []
  let mask: number | null = null
  let levelAt = 0
  for (const filter of filters) {
    for (const one of filter.kind === kind ? filter.of : [filter]) {
      if (isNeutral(one)) continue
      if (isFinal(one)) return one
      if (one.kind !== 'level') of.push(one)
      else if (mask !== null) mask = kind === 'and' ? mask & one.mask : mask | one.mask
      else {
        mask = one.mask
        levelAt = of.length
      }
    }
  }
  if (mask !== null) {
    const level = levelIn(mask)
    if (isFinal(level)) return level
    if (!isNeutral(level)) of.splice(levelAt, 0, level)
  }
  return of.length === 1 ? of[0]! : { kind, of }
}

/** The form that the constructors give to any filter, however it was made. */
export function normalFilter(filter: Filter): Filter {
  switch (filter.kind) {
    case 'and':
      return allOf(filter.of.map(normalFilter))
    case 'or':
      return someOf(filter.of.map(normalFilter))
    case 'not':
      return notOf(normalFilter(filter.of))
    case 'level':
      return levelIn(filter.mask)
    case 'text':
      return isEveryText(filter.test)
        ? EVERYTHING
        : { ...filter, test: normalTest(filter.test) as TextTest }
    case 'field':
      return {
        kind: 'field',
        field: normalField(filter.field),
        test: normalTest(filter.test) as ValueTest,
      }
    case 'pattern':
      return filter
  }
}

const isEveryText = (test: TextTest) =>
  test.is === 'contains'
    ? test.text === ''
    : test.is === 'glob' && test.parts.every((part) => part === '')

function normalTest(test: TextTest | ValueTest): TextTest | ValueTest {
  switch (test.is) {
    case 'glob': {
      const parts = globOf(test.parts)
      return parts.every((part) => part === '') ? { is: 'exists' } : { is: 'glob', parts }
    }
    case 'regex':
      return { is: 'regex', source: unescapeSlashes(test.source) }
    case 'range':
      return { is: 'range', from: normalBound(test.from), to: normalBound(test.to) }
    default:
      return test
  }
}

/** -0 does not survive JSON. */
const normalBound = (bound: Bound | null): Bound | null =>
  bound && { value: bound.value + 0, isInside: bound.isInside }

/** Two stars next to each other are one. */
export const globOf = (parts: string[]): string[] =>
  parts.filter((part, i) => part !== '' || i === 0 || i === parts.length - 1)

const normalField = (field: Field): Field =>
  field.in === 'bare' && isColumn(field.name) ? { in: 'column', name: field.name } : field

export const isColumn = (name: string): name is FieldColumn =>
  (FIELD_COLUMNS as readonly string[]).includes(name)

/** The part of a name before each of its dots and the whole, the longest first; null where they are too many. */
export function cutsOf(name: string): string[] | null {
  const cuts = [name]
  for (let at = name.lastIndexOf('.'); at > 0; at = name.lastIndexOf('.', at - 1)) {
    cuts.push(name.slice(0, at))
  }
  return cuts.length > FIELD_PARTS_MAX ? null : cuts
}

/** What all of had to hold before there was a tree: deletions made then are still kept so. */
export type StoredCondition =
  | { kind: 'level'; mask: number }
  | { kind: 'column'; column: TextColumn; value: string }
  | { kind: 'attribute'; key: string; value: string }
  | { kind: 'words'; phrases: string[][] }

/** A filter as it is kept. */
export const storedFilter = (stored: Filter | StoredCondition[]): Filter =>
  Array.isArray(stored) ? allOf(stored.map(conditionFilter)) : stored

function conditionFilter(condition: StoredCondition): Filter {
  switch (condition.kind) {
    case 'level':
      return levelIn(condition.mask)
    case 'column':
      return columnIs(condition.column, condition.value)
    case 'attribute':
      return attributeIs(condition.key, condition.value)
    case 'words':
      return allOf(
        condition.phrases.map((words) =>
          textIs('message', { is: 'phrase', text: words.join(' ') }),
        ),
      )
  }
}

export const columnIs = (name: TextColumn, value: string): Filter =>
  fieldIs({ in: 'column', name }, { is: 'equal', value })

/** The records of one workspace; null: of all. What a key that is bound to one may see. */
export const inWorkspace = (workspaceId: string | null): Filter =>
  workspaceId === null ? EVERYTHING : columnIs('workspace_id', workspaceId)

export const attributeIs = (name: string, value: string): Filter =>
  fieldIs({ in: 'attr', name }, { is: 'equal', value })
