// An expression evaluated step by step, over ranges that were read: the series that have a value at a
// step, through aggregations and operators.

import { RE2JS } from 're2js'
import { compileRegex } from '../query/regex.ts'
import { type LabelSets, type Labels, labelValue, remembered, showLabels } from './label-sets.ts'
import { Refusal } from './refusal.ts'
import type { BinaryExpr, LabelReplace, MetricExpr, RangeAggregation } from './syntax.ts'
import { aggregating } from './vector-aggregation.ts'
import { isSetOp, matching, ofNumbers, withNumber } from './vector-binary.ts'

/** A series at one step. */
export interface Value {
  labels: Labels
  value: number
}

/** The series of a range aggregation that have a value at a step. Steps come in order. */
export type RangeValues = (step: number) => Iterable<Value>

/** A number at every step, or what series have a value at one. */
type Operand = { kind: 'scalar'; value: number } | { kind: 'vector'; at: (step: number) => Value[] }

/** Values of ranges at all steps together: each takes its time, at worst a microsecond. */
const VALUES_MAX = 10_000_000

export class Evaluation {
  readonly #sets: LabelSets
  readonly #rangeOf: (range: RangeAggregation) => RangeValues
  readonly #root: Operand
  #values = 0

  /** `rangeOf` gives what was read of a range aggregation of this very expression. */
  constructor(
    expr: MetricExpr,
    sets: LabelSets,
    rangeOf: (range: RangeAggregation) => RangeValues,
  ) {
    this.#sets = sets
    this.#rangeOf = rangeOf
    this.#root = this.#operand(expr)
  }

  get isScalar(): boolean {
    return this.#root.kind === 'scalar'
  }

  /** The values at a step. Steps come in order. */
  at(step: number): Value[] {
    return this.#root.kind === 'scalar'
      ? [{ labels: this.#sets.none, value: this.#root.value }]
      : this.#root.at(step)
  }

  #operand(expr: MetricExpr): Operand {
    switch (expr.kind) {
      case 'number':
        return { kind: 'scalar', value: expr.value }
      case 'vector': {
        const values = [{ labels: this.#sets.none, value: expr.value }]
        return { kind: 'vector', at: () => values }
      }
      case 'range':
        return { kind: 'vector', at: this.#range(this.#rangeOf(expr)) }
      case 'aggregation': {
        const of = this.#vector(expr.of, expr.function)
        const aggregate = aggregating(expr, this.#sets)
        return { kind: 'vector', at: (step) => aggregate(of(step)) }
      }
      case 'label_replace': {
        const of = this.#vector(expr.of, 'label_replace')
        const replace = replacing(expr, this.#sets)
        const replaced = ({ labels, value }: Value) => ({ labels: replace(labels), value })
        return { kind: 'vector', at: (step) => of(step).map(replaced) }
      }
      case 'binary':
        return this.#binary(expr)
    }
  }

  #vector(expr: MetricExpr, name: string): (step: number) => Value[] {
    const operand = this.#operand(expr)
    if (operand.kind === 'vector') return operand.at
    throw new Refusal(`${name} takes series, and no number`)
  }

  #binary(expr: BinaryExpr): Operand {
    const [left, right] = [this.#operand(expr.left), this.#operand(expr.right)]
    if (isSetOp(expr.op) && (left.kind === 'scalar' || right.kind === 'scalar')) {
      throw new Refusal(`unexpected literal for a leg of logical/set binary operation (${expr.op})`)
    }
    if (left.kind === 'vector' && right.kind === 'vector') {
      const match = matching(expr, this.#sets)
      return { kind: 'vector', at: (step) => match(left.at(step), right.at(step)) }
    }
    if (left.kind === 'scalar' && right.kind === 'scalar') {
      return { kind: 'scalar', value: ofNumbers(expr.op, left.value, right.value) }
    }
    if (left.kind === 'vector') {
      const { value } = right as Extract<Operand, { kind: 'scalar' }>
      return { kind: 'vector', at: (step) => withNumber(expr, left.at(step), value, false) }
    }
    const { at } = right as Extract<Operand, { kind: 'vector' }>
    return { kind: 'vector', at: (step) => withNumber(expr, at(step), left.value, true) }
  }

  #range(rangeAt: RangeValues): (step: number) => Value[] {
    return (step) => {
      const values = [...rangeAt(step)]
      this.#values += values.length
      if (this.#values <= VALUES_MAX) return values
      throw new Refusal(
        `the query evaluates more than ${VALUES_MAX} values of series: take fewer steps, or group by labels with fewer values`,
      )
    }
  }
}

/** Series of one answer: as many as a chart can show. */
export const SERIES_MAX = 500
/** Points of all its series: 32 B each, and as much as text. */
const POINTS_MAX = 500_000

export interface AnswerSeries {
  labels: Record<string, string>
  /** `at`: the place of the step. */
  points: { at: number; value: number }[]
}

/** Gathers the values of one step after another as series. */
export class Answer {
  readonly #series = new Map<Labels, AnswerSeries['points']>()
  #points = 0

  add(step: number, values: Value[]): void {
    this.#points += values.length
    if (this.#points > POINTS_MAX) {
      throw new Refusal(`the answer has more than ${POINTS_MAX} points: take a longer step`)
    }
    for (const { labels, value } of values) {
      let points = this.#series.get(labels)
      if (!points) {
        if (this.#series.size === SERIES_MAX) throw new Refusal(TOO_MANY)
        points = []
        this.#series.set(labels, points)
      }
      if (points.at(-1)?.at === step) {
        throw new Refusal(`two series of the answer have the labels ${showLabels(labels.pairs)}`)
      }
      points.push({ at: step, value })
    }
  }

  /** In order of their labels, or as they were added. */
  series(isInOrder: boolean): AnswerSeries[] {
    const all = [...this.#series]
    if (!isInOrder) all.sort(([a], [b]) => compareLabels(a, b))
    return all.map(([{ pairs }, points]) => ({ labels: Object.fromEntries(pairs), points }))
  }
}

const TOO_MANY = `maximum number of series (${SERIES_MAX}) reached for a single query; consider reducing query cardinality by adding more specific stream selectors, reducing the time range, or aggregating results with functions like sum(), count() or topk()`

function compareLabels({ pairs: a }: Labels, { pairs: b }: Labels): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    for (const part of [0, 1] as const) {
      if (a[i]![part] !== b[i]![part]) return a[i]![part] < b[i]![part] ? -1 : 1
    }
  }
  return a.length - b.length
}

/** Whether an instant answer has its series in order of value. */
export function isSorted(expr: MetricExpr): boolean {
  switch (expr.kind) {
    case 'aggregation':
      return expr.function === 'sort' || expr.function === 'sort_desc' || isSorted(expr.of)
    case 'binary':
      return isSorted(expr.left) || isSorted(expr.right)
    case 'label_replace':
      return isSorted(expr.of)
    default:
      return false
  }
}

/** Of one label: a label_replace around another may double it each time. */
const REPLACED_CHARS_MAX = 65_536

/** The labels with `to` made of what the expression finds in `from`. */
function replacing(
  { to, replacement, from, regex }: LabelReplace,
  sets: LabelSets,
): (labels: Labels) => Labels {
  const checked = compileRegex(regex)
  if (!checked.ok) throw new Refusal(`invalid regex in label_replace: ${checked.error.message}`)
  const compiled = RE2JS.compile(`^(?:${regex})$`)
  const groups: Record<string, number> = compiled.namedGroups()
  return remembered((labels) => {
    const matcher = compiled.matcher(labelValue(labels, from))
    if (!matcher.matches()) return labels
    // As Go expands: `$$` is `$`, a name is as long as it can be, and what is no group is nothing.
    const made = replacement.replace(
      /\$(?:\$|(\w+)|\{(\w+)\})/g,
      (whole, plain?: string, braced?: string) => {
        if (whole === '$$') return '$'
        const name = plain ?? braced!
        const group = /^\d+$/.test(name) ? Number(name) : groups[name]
        return group === undefined || group > matcher.groupCount()
          ? ''
          : (matcher.group(group) ?? '')
      },
    )
    if (made.length > REPLACED_CHARS_MAX) {
      throw new Refusal(`label_replace makes ${to} longer than ${REPLACED_CHARS_MAX} characters`)
    }
    return sets.of([...labels.pairs.filter(([name]) => name !== to), [to, made]])
  })
}
