// What a filter means, said the plain way: one record at a time, as people see it, with the runtime's
// own regular expressions. The oracle of the fuzz test: slow, and with no word in common with eval.ts
// but what a word and a pattern are.

import { patternId, patternOf } from '../../src/block/pattern.ts'
import type { RecordView } from '../../src/match/view.ts'
import type { Field, Filter, TextTest, ValueTest } from '../../src/query/filter.ts'
import { LEVELS } from '../../src/record.ts'
import { wordsOf } from '../../src/words.ts'

export function matches(filter: Filter, view: RecordView): boolean {
  switch (filter.kind) {
    case 'and':
      return filter.of.every((one) => matches(one, view))
    case 'or':
      return filter.of.some((one) => matches(one, view))
    case 'not':
      return !matches(filter.of, view)
    case 'level':
      return ((filter.mask >> LEVELS.indexOf(view.level)) & 1) === 1
    case 'pattern': {
      if (view.metadata.body !== undefined) return false
      const pattern = patternOf(view.message)
      return pattern !== null && patternId(pattern) === filter.id
    }
    case 'text':
      return (filter.in === 'any' ? everyText(view) : [view.message]).some((text) =>
        textPasses(filter.test, text),
      )
    case 'field': {
      const value = valuesOf(filter.field, view)
      return value.some((one) => passes(filter.test, one))
    }
  }
}

function everyText(view: RecordView): string[] {
  const { id, timestamp, time_unix_nano, observed_time_unix_nano, level, metadata, ...texts } = view
  const { cut, ...members } = metadata
  void [id, timestamp, time_unix_nano, observed_time_unix_nano, level, cut]
  return [...Object.values(texts), ...deepStrings(members)].filter(
    (text) => typeof text === 'string',
  )
}

const deepStrings = (value: unknown): string[] =>
  typeof value === 'string'
    ? [value]
    : typeof value === 'object' && value !== null
      ? Object.values(value).flatMap(deepStrings)
      : []

const fold = (text: string) => text.normalize('NFC').toLowerCase().replaceAll('ς', 'σ')
const quoted = (text: string) => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')

const UNSPACED =
  '\\p{sc=Han}\\p{sc=Hiragana}\\p{sc=Katakana}\\p{sc=Thai}\\p{sc=Lao}\\p{sc=Khmer}\\p{sc=Myanmar}'
const WORD = '\\p{L}\\p{M}\\p{N}_'
const EDGE = `(?:(?<![${WORD}])|(?![${WORD}])|(?<=[${UNSPACED}])|(?=[${UNSPACED}]))`

export function textPasses(test: TextTest, text: string): boolean {
  switch (test.is) {
    case 'phrase':
      // No word holds a space.
      return ` ${wordsOf(text).join(' ')} `.includes(` ${wordsOf(test.text).join(' ')} `)
    case 'glob': {
      const parts = test.parts.map((part) => quoted(fold(part)))
      const first = test.parts[0] === '' ? '' : EDGE
      const last = test.parts.at(-1) === '' ? '' : EDGE
      return new RegExp(`${first}${parts.join('.*?')}${last}`, 'su').test(fold(text))
    }
    case 'regex':
      return regexOf(test.source).test(text)
    case 'contains':
      return text.includes(test.text)
  }
}

/** RE2's syntax as the runtime's, for what the tests use. */
export function regexOf(source: string): RegExp {
  const isFolded = source.startsWith('(?i)')
  return new RegExp(isFolded ? source.slice(4) : source, isFolded ? 'iu' : 'u')
}

/** The values that a name has in a record: more than one where a path leads through an array. */
export function valuesOf(field: Field, view: RecordView): unknown[] {
  const { attributes, resource, scope, body } = view.metadata
  switch (field.in) {
    case 'column': {
      const value = view[field.name]
      return value === null || (field.name === 'severity_number' && value === 0) ? [] : [value]
    }
    case 'attr':
      return at(attributes, field.name)
    case 'bare': {
      const own = at(attributes, field.name)
      return own.length > 0 ? own : at(resource, field.name)
    }
    case 'resource':
      return at(resource, field.name)
    case 'scope': {
      const own = at(scope, field.name)
      return own.length > 0 ? own : at(scope?.attributes, field.name)
    }
    case 'body':
      return at(body, field.name)
    case 'label': {
      const { name, version, attributes: ofScope } = scope ?? {}
      const isMap = typeof body === 'object' && body !== null && !Array.isArray(body)
      for (const part of [
        attributes,
        resource,
        { scope_name: name, scope_version: version, ...(ofScope as object) },
        isMap ? { body } : {},
      ]) {
        const [first] = labelled(part, [])
          .filter(([keys]) => labelOf(keys.join('_')) === field.name)
          .map(([keys, value]) => [keys.join('.'), value] as const)
          .sort(([a], [b]) => (a < b ? -1 : 1))
        if (first) return [first[1]]
      }
      return []
    }
  }
}

const labelOf = (key: string) => key.replace(/[^a-z0-9_]/gi, '_').replace(/^(?=[0-9])/, '_')

/** What is not nothing in a map, with the keys that lead there. */
function labelled(value: unknown, keys: string[]): [string[], unknown][] {
  if (Array.isArray(value)) {
    const isFlat = value.every((one) => typeof one !== 'object' || one === null)
    const text = isFlat ? value.join(',') : JSON.stringify(value)
    return text === '' || value.length === 0 ? [] : [[keys, text]]
  }
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value).flatMap(([key, member]) => labelled(member, [...keys, key]))
  }
  return value === null || value === undefined || value === '' ? [] : [[keys, value]]
}

function at(value: unknown, name: string): unknown[] {
  if (Array.isArray(value)) return value.flatMap((one) => at(one, name))
  if (typeof value !== 'object' || value === null) return []
  const members = new Map(Object.entries(value))
  if (members.has(name)) return [members.get(name)]
  const keys = [...members.keys()].filter(
    (key) =>
      key !== '' &&
      name.startsWith(`${key}.`) &&
      typeof members.get(key) === 'object' &&
      members.get(key) !== null,
  )
  const longest = keys.sort((a, b) => b.length - a.length)[0]
  return longest === undefined ? [] : at(members.get(longest), name.slice(longest.length + 1))
}

function passes(test: ValueTest, value: unknown): boolean {
  if (test.is === 'exists') return true
  if (Array.isArray(value) && value.some((one) => passes(test, one))) return true
  const isPlain = typeof value !== 'object' || value === null
  const text = isPlain ? String(value) : JSON.stringify(value)
  switch (test.is) {
    case 'equal':
      return text === test.value
    case 'glob':
      return isPlain && new RegExp(`^${test.parts.map(quoted).join('.*')}$`, 'su').test(text)
    case 'regex':
      return isPlain && regexOf(test.source).test(text)
    case 'range': {
      const isNumber = typeof value === 'number'
      const isText =
        typeof value === 'string' && /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(value)
      if (!isNumber && !isText) return false
      const { from, to } = test
      const number = Number(value)
      const isAbove = !from || number > from.value || (from.isInside && number === from.value)
      return isAbove && (!to || number < to.value || (to.isInside && number === to.value))
    }
  }
}
