// A LogQL query cut in two: what a stored filter can ask exactly, so that catalog, filters and patterns
// decide it as they do of every other query, and the stages that are left to a pipeline (pipeline.ts).
//
// The stored filter takes the stream selector and those of the stages that ask a record as it is stored:
// line filters until a stage makes another line, and conditions on labels until a stage makes labels.

import type { GroupField } from '../query/ask.ts'
import {
  allOf,
  type Bound,
  EVERYTHING,
  type Field,
  type Filter,
  fieldIs,
  levelIn,
  NOTHING,
  notOf,
  someOf,
  type TextTest,
  textIs,
} from '../query/filter.ts'
import { checkedRegex } from '../query/regex.ts'
import { LEVELS } from '../record.ts'
import { wholeRegex } from './label-matcher.ts'
import { labelField } from './labels.ts'
import { ERROR, ERROR_DETAILS } from './line-labels.ts'
import { listedValues } from './regex-list.ts'
import type { LabelFilter, LogQuery, Matcher, Stage } from './syntax.ts'

export interface Selection {
  filter: Filter
  /** Stages that the filter does not answer, in order. */
  rest: Stage[]
}

export function selectionOf({ matchers, stages }: LogQuery): Selection {
  const filters = matchers.map(matcherFilter)
  const rest: Stage[] = []
  let isLineStored = true
  let areLabelsStored = true
  for (const stage of stages) {
    let filter: Filter | null = null
    if (stage.kind === 'line' && isLineStored) filter = lineFilter(stage)
    if (stage.kind === 'label' && areLabelsStored) filter = labelFilter(stage.filter)
    if (filter) {
      filters.push(filter)
      continue
    }
    rest.push(stage)
    if (stage.kind === 'line_format' || stage.kind === 'unpack' || stage.kind === 'decolorize') {
      isLineStored = false
    }
    if (stage.kind !== 'line' && stage.kind !== 'line_format' && stage.kind !== 'decolorize') {
      areLabelsStored = false
    }
  }
  return { filter: allOf(filters), rest }
}

/** Null: an operator that no stored filter knows. */
function lineFilter({ op, texts }: Extract<Stage, { kind: 'line' }>): Filter | null {
  if (op === '|>' || op === '!>') return null
  const isRegex = op === '|~' || op === '!~'
  const tests = texts.map(
    (text): TextTest => (isRegex ? { is: 'regex', source: text } : { is: 'contains', text }),
  )
  const some = someOf(
    tests.map((test) =>
      test.is === 'contains' && test.text === '' ? EVERYTHING : textIs('message', test),
    ),
  )
  return op.startsWith('!') ? notOf(some) : some
}

/** Null where a value must be read as a duration or a size. */
function labelFilter(filter: LabelFilter): Filter | null {
  if (filter.kind === 'match') return matcherFilter(filter.matcher)
  if (filter.kind === 'compare') return compareFilter(filter)
  const of = filter.of.map(labelFilter)
  const stored = of.filter((one) => one !== null)
  if (stored.length < of.length) return null
  return filter.kind === 'and' ? allOf(stored) : someOf(stored)
}

/**
 * A number is what is wholly one. Loki lets through what is none, with an error that fails metric
 * queries; here it does not pass.
 */
function compareFilter({
  name,
  op,
  value,
  unit,
}: Extract<LabelFilter, { kind: 'compare' }>): Filter | null {
  const field = labelField(name)
  if (unit !== 'number' || field.in === 'level' || field.in === 'pattern') return null
  const numbers = (from: Bound | null, to: Bound | null): Filter =>
    fieldIs(field, { is: 'range', from, to })
  const bound = { value, isInside: op !== '>' && op !== '<' }
  switch (op) {
    case '>':
    case '>=':
      return numbers(bound, null)
    case '<':
    case '<=':
      return numbers(null, bound)
    case '==':
      return numbers(bound, bound)
    case '!=':
      return allOf([numbers(null, null), notOf(numbers(bound, bound))])
  }
}

/** The records of which a matcher holds. */
export function matcherFilter({ name, op, value }: Matcher): Filter {
  const isNegative = op === '!=' || op === '!~'
  const isRegex = op === '=~' || op === '!~'
  const filter = isRegex ? regexFilter(name, value) : equalFilter(name, value)
  return isNegative ? notOf(filter) : filter
}

function equalFilter(name: string, value: string): Filter {
  const field = storedField(name)
  if (field === null) return value === '' ? EVERYTHING : NOTHING
  if (field.in === 'level') return levelsThat((level) => level === value)
  return value === '' ? notOf(isThere(field)) : fieldIs(field, { is: 'equal', value })
}

function regexFilter(name: string, source: string): Filter {
  const field = storedField(name)
  const listed = listedValues(source)
  if (listed) {
    return field?.in === 'level'
      ? levelsThat((level) => listed.includes(level))
      : someOf([...new Set(listed)].map((value) => equalFilter(name, value)))
  }
  const whole = wholeRegex(source)
  const { test } = checkedRegex(whole)
  if (field === null) return test('') ? EVERYTHING : NOTHING
  if (field.in === 'level') return levelsThat(test)
  if (source === '.*') return EVERYTHING
  if (source === '.+') return isThere(field)
  const some = fieldIs(field, { is: 'regex', source: whole })
  return test('') ? someOf([some, notOf(isThere(field))]) : some
}

/** Null: no record has it, because only stages make it. */
function storedField(name: string): Exclude<GroupField, { in: 'pattern' }> | null {
  if (name === ERROR || name === ERROR_DETAILS) return null
  const field = labelField(name)
  return field.in === 'pattern' ? null : field
}

const levelsThat = (holds: (level: string) => boolean): Filter =>
  levelIn(LEVELS.reduce((mask, level, i) => mask | (Number(holds(level)) << i), 0))

/** Something that is not ''. */
const isThere = (field: Field): Filter =>
  allOf([fieldIs(field, { is: 'exists' }), notOf(fieldIs(field, { is: 'equal', value: '' }))])
