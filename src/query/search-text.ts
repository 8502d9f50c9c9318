// Filter -> text of the search language: what parseSearch reads as the same filter, in its normal
// form. For links, for the page's own search line, and for tests.

import { LEVELS } from '../record.ts'
import {
  ALL_LEVELS,
  type Bound,
  type Field,
  type Filter,
  isEverything,
  isNothing,
  normalFilter,
  SCOPES,
  type TextTest,
  type ValueTest,
} from './filter.ts'
import { escapeSlashes } from './regex.ts'

/** A text that finds the same records. */
export const formatSearch = (filter: Filter): string => write(normalFilter(filter))

function write(filter: Filter): string {
  if (isEverything(filter)) return '*'
  if (isNothing(filter)) return '-*'
  switch (filter.kind) {
    case 'and':
      return filter.of.map(writeMember).join(' ')
    case 'or':
      return writeList(filter.of) ?? filter.of.map(writeMember).join(' OR ')
    case 'not':
      return `-${writeMember(filter.of)}`
    case 'level':
      return writeLevels(filter.mask)
    case 'pattern':
      return `pattern:${filter.id}`
    case 'text':
      return writeText(filter.in, filter.test)
    case 'field':
      return `${writeName(filter.field)}:${writeValue(filter.test)}`
  }
}

function writeMember(filter: Filter): string {
  const text = write(filter)
  const isBare = isEverything(filter) || isNothing(filter)
  const isJoined = filter.kind === 'and' || filter.kind === 'or'
  return isJoined && !isBare && !isList(filter) ? `(${text})` : text
}

/** `service:(api OR web)` for values of one field. */
function writeList(filters: Filter[]): string | null {
  const [first] = filters
  if (first?.kind !== 'field') return null
  const name = writeName(first.field)
  const values: string[] = []
  for (const one of filters) {
    if (one.kind !== 'field' || writeName(one.field) !== name) return null
    const value = writeValue(one.test)
    // In a list a minus is a NOT.
    values.push(value.startsWith('-') ? `"${value}"` : value)
  }
  return `${name}:(${values.join(' OR ')})`
}

const isList = (filter: Filter) => filter.kind === 'or' && writeList(filter.of) !== null

function writeLevels(mask: number): string {
  const names = LEVELS.filter((_, i) => (mask >> i) & 1)
  if (names.length === 1) return `level:${names[0]}`
  const lowest = LEVELS.indexOf(names[0]!)
  if (mask === (ALL_LEVELS & (-1 << lowest))) return `level:>=${names[0]}`
  if (mask === (1 << names.length) - 1) return `level:<=${names.at(-1)}`
  return `level:(${names.join(' OR ')})`
}

function writeText(where: 'message' | 'any', test: TextTest): string {
  const name = where === 'any' ? 'any:' : ''
  switch (test.is) {
    case 'phrase':
      return name + (isPlainTerm(test.text) ? test.text : writeQuoted(test.text))
    case 'glob':
      return name + writeGlob(test.parts)
    case 'regex':
      return writeRegex(name, test.source)
    case 'contains':
      return writeRegex(name, test.text.replace(/[^\p{L}\p{M}\p{N}_ ]/gu, '\\$&'))
  }
}

const writeRegex = (name: string, source: string) =>
  `${name || 'message:'}/${escapeSlashes(source)}/`

function writeValue(test: ValueTest): string {
  switch (test.is) {
    case 'equal':
      return isPlainValue(test.value) ? test.value : writeQuoted(test.value)
    case 'glob':
      return writeGlob(test.parts)
    case 'regex':
      return `/${escapeSlashes(test.source)}/`
    case 'exists':
      return '*'
    case 'range':
      return writeRange(test.from, test.to)
  }
}

function writeRange(from: Bound | null, to: Bound | null): string {
  if (from && !to) return `>${from.isInside ? '=' : ''}${from.value}`
  if (to && !from) return `<${to.isInside ? '=' : ''}${to.value}`
  const open = !from || from.isInside ? '[' : '{'
  const close = !to || to.isInside ? ']' : '}'
  return `${open}${from?.value ?? '*'} TO ${to?.value ?? '*'}${close}`
}

const isKeyword = (text: string) => text === 'AND' || text === 'OR' || text === 'NOT'

const isPlainTerm = (text: string) =>
  /^[\p{L}\p{M}\p{N}_][\p{L}\p{M}\p{N}_.@/-]*$/u.test(text) && !isKeyword(text)

const isPlainValue = (text: string) =>
  /^[\p{L}\p{M}\p{N}_.@-][\p{L}\p{M}\p{N}_.@:/-]*$/u.test(text) && !isKeyword(text)

const writeQuoted = (text: string) => `"${text.replace(/["\\]/g, '\\$&')}"`

const writeGlob = (parts: string[]) =>
  parts.map((part) => part.replace(/[^\p{L}\p{M}\p{N}_.@]/gu, '\\$&')).join('*')

/** A field as it is named before a colon. */
export function writeName(field: Field): string {
  const { name } = field
  if (field.in === 'column') return name
  const isScoped = field.in !== 'bare'
  const isPlain = /^[\p{L}_@$][\p{L}\p{M}\p{N}_.@$-]*$/u.test(name)
  // Bare names that begin with a scope would be read as one.
  const isTaken = !isScoped && SCOPES.some((scope) => name.startsWith(`${scope}.`))
  const written = isPlain && !isTaken ? name : writeQuoted(name)
  return isScoped ? `${field.in}.${written}` : written
}
