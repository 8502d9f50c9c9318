// The numbers of a LogQL expression: each of its range aggregations is one reading of all shards, and
// then the whole is evaluated step by step.

import type { Env } from '../env.ts'
import { SERIES_POINTS_MAX } from '../limits.ts'
import { LabelSets } from '../logql/label-sets.ts'
import type { RangeSeries } from '../logql/range-count.ts'
import { planRanges, type RangePlan, valuesOf } from '../logql/range-plan.ts'
import { Refusal } from '../logql/refusal.ts'
import type { MetricExpr, RangeAggregation } from '../logql/syntax.ts'
import {
  Answer,
  type AnswerSeries,
  Evaluation,
  isSorted,
  type RangeValues,
} from '../logql/vector.ts'
import type { Steps } from '../logql/windows.ts'
import { everythingOf } from '../query/plan.ts'
import { err, ok, type Result } from '../result.ts'
import { type Asking, lackOf, visibleTo } from './logql-asking.ts'
import { readInto } from './read.ts'
import { withShards } from './route.ts'
import { Cancelled, Slices } from './slices.ts'
import { bothStats, nothingRead, type QueryStats } from './stats.ts'

export interface MetricAnswer {
  kind: 'scalar' | 'vector'
  /** Of a scalar one without labels. In order of labels, but as sorted where one step is sorted. */
  series: AnswerSeries[]
  stats: QueryStats
  /** What the answer lacks, and what of it is no exact number, in words. */
  warnings: string[]
}

export async function readMetric(
  env: Env,
  asking: Asking,
  expr: MetricExpr,
  steps: Steps,
): Promise<Result<MetricAnswer>> {
  if (steps.count > SERIES_POINTS_MAX) {
    const text =
      'exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter'
    return err('bad_query', text, { max: SERIES_POINTS_MAX })
  }
  const plans = planRanges(expr, steps)
  if (!plans.ok) return plans
  try {
    return await answerOf(env, asking, expr, { steps, plans: plans.data })
  } catch (e) {
    if (e instanceof Refusal) return { ok: false, error: e.failure }
    if (!(e instanceof Cancelled)) throw e
    return err('unavailable', 'the request was cancelled')
  }
}

interface Planned {
  steps: Steps
  /** Same plan, same reading. */
  plans: Map<RangeAggregation, RangePlan>
}

async function answerOf(
  env: Env,
  asking: Asking,
  expr: MetricExpr,
  { steps, plans }: Planned,
): Promise<Result<MetricAnswer>> {
  const sets = new LabelSets()
  const known = new Map<RangePlan, RangeSeries[]>()
  const rangeOf = (range: RangeAggregation): RangeValues => {
    const plan = plans.get(range)!
    return valuesOf(plan, sets, () => known.get(plan) ?? [])
  }
  // What is wrong with the expression itself is found out before anything is read.
  const evaluation = new Evaluation(expr, sets, rangeOf)
  let stats = nothingRead()
  const warnings = new Set<string>()
  for (const plan of new Set(plans.values())) {
    const read = await readRange(env, asking, plan, sets)
    if (!read.ok) return read
    known.set(plan, read.data.series)
    stats = { ...bothStats(stats, read.data.stats), ms: stats.ms + read.data.stats.ms }
    for (const warning of read.data.warnings) warnings.add(warning)
  }
  const answer = new Answer()
  const slices = new Slices(asking.options.signal)
  for (let step = 0; step < steps.count; step++) {
    answer.add(step, evaluation.at(step))
    await slices.yield()
  }
  return ok({
    kind: evaluation.isScalar ? 'scalar' : 'vector',
    series: answer.series(steps.count === 1 && isSorted(expr)),
    stats,
    warnings: [...warnings],
  })
}

interface RangeRead {
  series: RangeSeries[]
  stats: QueryStats
  warnings: string[]
}

const readRange = (
  env: Env,
  asking: Asking,
  plan: RangePlan,
  sets: LabelSets,
): Promise<Result<RangeRead>> =>
  withShards(env, asking.access, async (access) => {
    const counter = plan.counter(sets)
    const { since, until } = plan.windows
    const reading = {
      plan: everythingOf({ filter: visibleTo(asking, plan.filter), since, until }),
      ask: plan.ask,
      ...asking.options,
    }
    const read = await readInto(env, access, reading, counter)
    if (!read.ok) return read
    if (counter.failure) return { ok: false, error: counter.failure }
    const { reasons, toldStats } = read.data
    if (reasons.some(({ code }) => code === 'budget')) {
      return err(
        'bad_query',
        'the query would read more than one query may: narrow its time or its selector',
      )
    }
    const lack = lackOf(reasons)
    if (!lack.ok) return lack
    const error = counter.relativeError
    const estimated = `quantiles of so many numbers are estimated: each is off by at most ${((error ?? 0) * 100).toFixed(1)} % of it`
    return ok({
      series: counter.evaluated(),
      stats: toldStats,
      warnings: error === null ? lack.data : [...lack.data, estimated],
    })
  })
