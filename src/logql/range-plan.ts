// Range aggregations of an expression made ready to be read: which records, cut into which intervals,
// told apart by which labels, and what a catalog may count of them.

import { BUCKETS_MAX } from '../limits.ts'
import type { Ask } from '../query/ask.ts'
import type { Filter } from '../query/filter.ts'
import { err, ok, type Result } from '../result.ts'
import { readNumber } from './go-numbers.ts'
import type { LabelSets } from './label-sets.ts'
import { labelField } from './labels.ts'
import { ERROR, ERROR_DETAILS } from './line-labels.ts'
import { NO_TIME, type Pipeline, preparePipeline } from './pipeline.ts'
import { ColumnSource, type Convert, type SampleSource } from './range-columns.ts'
import { type Measuring, RangeCounter, type RangeSeries, seriesAt } from './range-count.ts'
import { type Extraction, PipelineSource, refuseError } from './range-pipeline.ts'
import type { NumberBounds } from './range-quantile.ts'
import { filterNames, type Naming, namingOf, ownNames, SeriesTable } from './range-series.ts'
import type { KindName } from './range-states.ts'
import { selectionOf } from './selection.ts'
import type {
  Grouping,
  Matcher,
  MetricExpr,
  RangeAggregation,
  RangeFunction,
  Stage,
  Unwrap,
  VectorAggregation,
} from './syntax.ts'
import type { RangeValues } from './vector.ts'
import { type Steps, type Windows, windowsOf } from './windows.ts'

export interface RangePlan {
  aggregation: RangeAggregation
  /** Of the records; the range of time is that of `windows`. */
  filter: Filter
  windows: Windows
  /** What catalogs may count instead; null: nothing. */
  ask: Extract<Ask, { kind: 'histogram' }> | null
  /** A fresh counter. Bounds are for tests. */
  counter(sets: LabelSets, bounds?: NumberBounds): RangeCounter
}

/** Different range aggregations of one query: each is a reading of its own. */
const RANGES_MAX = 16

/**
 * A plan for each range aggregation of an expression; the same plan for those that are the same. The
 * grouping of an aggregation around one is its own where that changes no number.
 */
export function planRanges(
  expr: MetricExpr,
  steps: Steps,
): Result<Map<RangeAggregation, RangePlan>> {
  const plans = new Map<RangeAggregation, RangePlan>()
  const known = new Map<string, RangePlan>()
  for (const { aggregation, pushed, named } of rangesOf(expr, { pushed: null, named: [] })) {
    const key = JSON.stringify([aggregation, pushed, named])
    let plan = known.get(key)
    if (!plan) {
      if (known.size === RANGES_MAX) {
        return err(
          'bad_query',
          `the query has more than ${RANGES_MAX} different range aggregations`,
        )
      }
      const planned = planRange({ aggregation, pushed, named }, steps)
      if (!planned.ok) return planned
      plan = planned.data
      known.set(key, plan)
    }
    plans.set(aggregation, plan)
  }
  return ok(plans)
}

/** What stands around a range aggregation. */
interface Around {
  pushed: Grouping | null
  /** Labels that are asked of its series: structured metadata is there only where it is named. */
  named: string[]
}

type Ranged = Around & { aggregation: RangeAggregation }

function* rangesOf(expr: MetricExpr, around: Around): Generator<Ranged> {
  const { named } = around
  switch (expr.kind) {
    case 'range':
      yield { aggregation: expr, ...around }
      break
    case 'aggregation':
      yield* rangesOf(expr.of, { pushed: pushedBy(expr), named: namedInside(expr, named) })
      break
    case 'label_replace':
      yield* rangesOf(expr.of, { pushed: null, named: [...named, expr.from] })
      break
    case 'binary': {
      const own = expr.matching && !expr.matching.isIgnoring ? expr.matching.labels : []
      const inside = { pushed: null, named: [...named, ...own, ...(expr.group?.labels ?? [])] }
      yield* rangesOf(expr.left, inside)
      yield* rangesOf(expr.right, inside)
    }
  }
}

/** Labels that an aggregation leaves are those that may be asked further out. */
function namedInside({ function: name, grouping }: VectorAggregation, named: string[]): string[] {
  const own = grouping && !grouping.isWithout ? grouping.labels : []
  if (name === 'topk' || name === 'bottomk' || name === 'sort' || name === 'sort_desc') {
    return [...named, ...own]
  }
  return grouping?.isWithout ? named : own
}

/** What may be summed up at once instead of first by series. */
const PUSHABLE: Partial<Record<VectorAggregation['function'], RangeFunction[]>> = {
  sum: ['count_over_time', 'rate', 'bytes_over_time', 'bytes_rate', 'sum_over_time'],
  min: ['min_over_time'],
  max: ['max_over_time'],
}

function pushedBy({ function: name, of, grouping }: VectorAggregation): Grouping | null {
  if (of.kind !== 'range' || !PUSHABLE[name]?.includes(of.function)) return null
  // The label that is unwrapped is none of the series; only of a sum Loki groups by it all the same.
  const isUnwrapped = of.unwrap !== null && grouping?.labels.includes(of.unwrap.label)
  if (isUnwrapped && !grouping?.isWithout && name !== 'sum') return null
  return grouping ?? { isWithout: false, labels: [] }
}

/** What is kept of samples, and what they are; `unwrap`: whether they are numbers of a label. */
const FUNCTIONS: Record<RangeFunction, { kind: KindName; unwrap: boolean | 'may' }> = {
  count_over_time: { kind: 'count', unwrap: false },
  rate: { kind: 'count', unwrap: 'may' },
  bytes_over_time: { kind: 'sum', unwrap: false },
  bytes_rate: { kind: 'sum', unwrap: false },
  sum_over_time: { kind: 'sum', unwrap: true },
  avg_over_time: { kind: 'avg', unwrap: true },
  min_over_time: { kind: 'min', unwrap: true },
  max_over_time: { kind: 'max', unwrap: true },
  quantile_over_time: { kind: 'quantile', unwrap: true },
  first_over_time: { kind: 'first', unwrap: true },
  last_over_time: { kind: 'last', unwrap: true },
  stddev_over_time: { kind: 'stddev', unwrap: true },
  stdvar_over_time: { kind: 'stdvar', unwrap: true },
  absent_over_time: { kind: 'count', unwrap: 'may' },
}

function planRange({ aggregation, pushed, named }: Ranged, steps: Steps): Result<RangePlan> {
  const { function: name, query, unwrap, rangeMs, offsetMs } = aggregation
  const { unwrap: takes } = FUNCTIONS[name]
  if (takes !== 'may' && takes !== (unwrap !== null)) {
    return err('bad_query', `invalid aggregation ${name} ${takes ? 'without' : 'with'} unwrap`)
  }
  const windows = windowsOf(rangeMs, offsetMs, steps)
  if (!windows.ok) return windows
  const naming = namingOf(aggregation, pushed, named)
  const { filter, rest } = selectionOf(query)
  const sourced = sourceOf(aggregation, rest, naming)
  if (!sourced.ok) return sourced
  const measuring = measuringOf(aggregation)
  const counts = rest.length === 0 && unwrap === null && measuring.kind === 'count'
  const ask = counts ? askOf(windows.data, naming) : null
  return ok({
    aggregation,
    filter,
    windows: windows.data,
    ask,
    counter: (sets, bounds) => {
      const series = new SeriesTable(sets)
      const source = sourced.data(series)
      const countedBy = ask ? ownNames(naming) : []
      return new RangeCounter(windows.data, measuring, source, series, countedBy, bounds)
    },
  })
}

function measuringOf({ function: name, unwrap, parameter, rangeMs }: RangeAggregation): Measuring {
  const isRate = name === 'rate' || name === 'bytes_rate'
  return {
    kind: name === 'rate' && unwrap ? 'sum' : FUNCTIONS[name].kind,
    part: parameter ?? 0,
    divisor: isRate ? rangeMs / 1000 : 1,
  }
}

/** Catalogs count by one field, in buckets of whole milliseconds. */
function askOf({ since, stepMs, phaseMs, intervals }: Windows, naming: Naming): RangePlan['ask'] {
  const isEven = phaseMs === 0 && since.ns === 0 && since.ms >= 0 && intervals <= BUCKETS_MAX
  if (!isEven || !('by' in naming)) return null
  const fields = new Map(
    naming.by.map((name) => {
      const field = labelField(name)
      return [JSON.stringify(field), field]
    }),
  )
  const [by = null, ...others] = fields.values()
  // Of others catalogs know too little, and their texts may be long.
  if (others.length > 0 || by?.in === 'label') return null
  return { kind: 'histogram', buckets: { startMs: since.ms, stepMs, count: intervals }, by }
}

function sourceOf(
  { function: name, query, unwrap }: RangeAggregation,
  rest: Stage[],
  naming: Naming,
): Result<(series: SeriesTable) => SampleSource> {
  const isBytes = name === 'bytes_over_time' || name === 'bytes_rate'
  if (rest.length === 0 && (unwrap === null || asksItself(unwrap))) {
    const names = ownNames(naming)
    if (!unwrap) {
      return ok((series) => new ColumnSource(names, isBytes ? { is: 'bytes' } : null, series))
    }
    const alone = preparePipeline([], unwrap)
    if (!alone.ok) return alone
    const convert = converting(alone.data, unwrap)
    const takesNumbers = unwrap.conversion === null && asksErrors(unwrap)
    const measure = { is: 'label', name: unwrap.label, convert, takesNumbers } as const
    return ok((series) => new ColumnSource(names, measure, series))
  }
  const prepared = preparePipeline(rest, unwrap, 'by' in naming ? new Set(naming.by) : 'all')
  if (!prepared.ok) return prepared
  const extraction: Extraction = unwrap ? 'unwrapped' : isBytes ? 'bytes' : 'one'
  const extracting = { pipeline: prepared.data, stages: query.stages, naming, extraction }
  return ok((series) => new PipelineSource(extracting, series))
}

/** Its conditions ask nothing but the value and whether it is one. */
function asksItself({ label, filters }: Unwrap): boolean {
  const own = [label, ERROR, ERROR_DETAILS]
  return filters.flatMap(filterNames).every((name) => own.includes(name))
}

/** It has no conditions but that a value is none of an error. */
const asksErrors = ({ filters }: Unwrap): boolean =>
  filters.every(
    (filter) =>
      filter.kind === 'match' &&
      filter.matcher.name === ERROR &&
      filter.matcher.op === '=' &&
      filter.matcher.value === '',
  )

/** A value as a record's only label. What is a number, where nothing else is asked, needs no pipeline. */
function converting(pipeline: Pipeline, unwrap: Unwrap): Convert {
  const { label, conversion } = unwrap
  const unit = conversion === null || conversion === 'bytes' ? (conversion ?? 'number') : 'duration'
  const isPlain = asksErrors(unwrap)
  return (text, labelsOf) => {
    if (text === '') return null
    const number = isPlain ? readNumber(text, unit) : null
    if (number !== null) return number
    const own = { stream: new Map<string, string>(), metadata: new Map([[label, text]]) }
    const processed = pipeline.run('', own, NO_TIME)
    if (processed === null) return null
    refuseError(processed, labelsOf)
    return processed.value
  }
}

/** The values of a range aggregation at each step, of series that are there once it was read. */
export function valuesOf(
  { aggregation, windows }: RangePlan,
  sets: LabelSets,
  seriesOf: () => RangeSeries[],
): RangeValues {
  if (aggregation.function !== 'absent_over_time') {
    return (step) => seriesAt(windows, seriesOf(), step)
  }
  const absent = [{ labels: sets.of(absentLabels(aggregation.query.matchers)), value: 1 }]
  return (step) => (seriesAt(windows, seriesOf(), step).next().done ? absent : [])
}

/** The labels of what is absent: those that the selector says. */
function absentLabels(matchers: Matcher[]): [string, string][] {
  const labels = new Map<string, string>()
  const unsure = new Set<string>()
  for (const { name, op, value } of matchers) {
    if (op === '=' && !labels.has(name)) labels.set(name, value)
    else unsure.add(name)
  }
  return [...labels].filter(([name]) => !unsure.has(name))
}
