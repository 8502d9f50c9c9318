// `| status >= 500 and duration > 1s`: a filter over labels. A value that is no number keeps its line,
// with an error that says so; a number is never compared with a label that is absent.

import { ok, type Result } from '../result.ts'
import { numberFault, readNumber } from './go-numbers.ts'
import { LabelMatcher } from './label-matcher.ts'
import { ERROR, type LineLabels } from './line-labels.ts'
import type { RegexBudget } from './regex-budget.ts'
import type { Step } from './stage.ts'
import type { Comparison, LabelFilter } from './syntax.ts'

type Prepared =
  | { kind: 'and' | 'or'; of: Prepared[] }
  | { kind: 'match'; matcher: LabelMatcher }
  | Extract<LabelFilter, { kind: 'compare' }>

export class LabelFilterStage implements Step {
  readonly #labels: LineLabels
  readonly #filter: Prepared

  private constructor(labels: LineLabels, filter: Prepared) {
    this.#labels = labels
    this.#filter = filter
  }

  static prepare(
    labels: LineLabels,
    filter: LabelFilter,
    regexes: RegexBudget,
  ): Result<LabelFilterStage> {
    const prepared = prepareFilter(filter, regexes)
    return prepared.ok ? ok(new LabelFilterStage(labels, prepared.data)) : prepared
  }

  run(line: string): string | null {
    return passes(this.#filter, this.#labels) ? line : null
  }
}

function prepareFilter(filter: LabelFilter, regexes: RegexBudget): Result<Prepared> {
  if (filter.kind === 'compare') return ok(filter)
  if (filter.kind === 'match') {
    const matcher = LabelMatcher.prepare(filter.matcher, regexes)
    return matcher.ok ? ok({ kind: 'match', matcher: matcher.data }) : matcher
  }
  const of: Prepared[] = []
  for (const part of filter.of) {
    const prepared = prepareFilter(part, regexes)
    if (!prepared.ok) return prepared
    of.push(prepared.data)
  }
  return ok({ kind: filter.kind, of })
}

function passes(filter: Prepared, labels: LineLabels): boolean {
  if (filter.kind === 'match') return filter.matcher.test(textOf(filter.matcher.name, labels))
  if (filter.kind === 'compare') return compares(filter, labels)
  for (const part of filter.of) {
    if (passes(part, labels) !== (filter.kind === 'and')) return filter.kind === 'or'
  }
  return filter.kind === 'and'
}

const textOf = (name: string, labels: LineLabels): string =>
  name === ERROR ? labels.error : (labels.get(name) ?? '')

function compares(
  { name, op, value, unit }: Extract<LabelFilter, { kind: 'compare' }>,
  labels: LineLabels,
): boolean {
  const text = labels.get(name)
  if (text === undefined) return false
  const number = readNumber(text, unit)
  if (number !== null) return compare(number, op, value)
  // What came first tells more.
  if (labels.error === '') labels.fail('LabelFilterErr', numberFault(text, unit))
  return true
}

function compare(a: number, op: Comparison, b: number): boolean {
  switch (op) {
    case '==':
      return a === b
    case '!=':
      return a !== b
    case '>':
      return a > b
    case '>=':
      return a >= b
    case '<':
      return a < b
    case '<=':
      return a <= b
  }
}

/** The labels that a filter asks of. */
export function namesOfFilter(filter: LabelFilter): string[] {
  if (filter.kind === 'match') return [filter.matcher.name]
  return filter.kind === 'compare' ? [filter.name] : filter.of.flatMap(namesOfFilter)
}
