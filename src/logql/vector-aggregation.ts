// Aggregations over the series that have a value at one step: `sum by (x) (…)`, `topk(3, …)`.

import { type LabelSets, type Labels, remembered } from './label-sets.ts'
import type { Grouping, VectorAggregation, VectorFunction } from './syntax.ts'
import type { Value } from './vector.ts'

type Fold = Exclude<VectorFunction, 'topk' | 'bottomk' | 'sort' | 'sort_desc'>

const FOLDS: Record<Fold, (values: number[]) => number> = {
  sum: (values) => values.reduce((sum, value) => sum + value, 0),
  avg: (values) => values.reduce((sum, value) => sum + value, 0) / values.length,
  min: (values) =>
    values.reduce((min, value) => (value < min || Number.isNaN(min) ? value : min), Number.NaN),
  max: (values) =>
    values.reduce((max, value) => (value > max || Number.isNaN(max) ? value : max), Number.NaN),
  count: (values) => values.length,
  stddev: (values) => Math.sqrt(varianceOf(values)),
  stdvar: varianceOf,
}

/** Of one value it is 0, of an infinite one too. */
function varianceOf(values: number[]): number {
  if (values.length === 1) return 0
  const mean = FOLDS.avg(values)
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length
}

/** What an aggregation makes of the values of one step. */
export function aggregating(
  { function: name, parameter, grouping }: VectorAggregation,
  sets: LabelSets,
): (values: Value[]) => Value[] {
  const groupOf = grouped(sets, grouping ?? { isWithout: false, labels: [] })
  const isDescending = name === 'topk' || name === 'sort_desc'
  const ranks = isDescending || name === 'bottomk' || name === 'sort'
  return (values) => {
    const groups = Map.groupBy(values, ({ labels }) => groupOf(labels))
    if (ranks) {
      return [...groups.values()].flatMap((group) =>
        group
          .sort((a, b) => compareValues(a.value, b.value, isDescending))
          .slice(0, parameter ?? group.length),
      )
    }
    const fold = FOLDS[name as Fold]
    return [...groups].map(([labels, group]) => ({
      labels,
      value: fold(group.map(({ value }) => value)),
    }))
  }
}

/** What is no number comes last, whatever the order. */
function compareValues(a: number, b: number, isDescending: boolean): number {
  const [isNaNa, isNaNb] = [Number.isNaN(a), Number.isNaN(b)]
  if (isNaNa || isNaNb) return Number(isNaNa) - Number(isNaNb)
  // Infinities of one sign are no distance apart.
  const order = a < b ? -1 : Number(a > b)
  return isDescending ? -order : order
}

/** The labels that a grouping leaves. */
export function grouped(sets: LabelSets, { isWithout, labels }: Grouping): (of: Labels) => Labels {
  const names = new Set(labels)
  return remembered(({ pairs }) => sets.of(pairs.filter(([name]) => names.has(name) !== isWithout)))
}
