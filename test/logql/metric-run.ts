// Metric queries over batches, without shards: each range aggregation's counter is fed with the rows
// that its filter lets through, and the expression is evaluated.

import { type BlockFile, readGroup } from '../../src/block/parquet.ts'
import type { StoredBatch } from '../../src/block/stored.ts'
import { LabelSets } from '../../src/logql/label-sets.ts'
import type { RangeSeries } from '../../src/logql/range-count.ts'
import { planRanges, type RangePlan, valuesOf } from '../../src/logql/range-plan.ts'
import type { NumberBounds } from '../../src/logql/range-quantile.ts'
import { Refusal } from '../../src/logql/refusal.ts'
import type { MetricExpr } from '../../src/logql/syntax.ts'
import { Answer, type AnswerSeries, Evaluation } from '../../src/logql/vector.ts'
import type { Steps } from '../../src/logql/windows.ts'
import { bothNeeded, Matcher } from '../../src/match/scan.ts'
import { ok, type Result } from '../../src/result.ts'

/** A batch, or a block of which only the needed columns are read. */
export interface Part {
  stored: StoredBatch
  file: BlockFile | null
  shard: number
}

export interface RunAnswer {
  isScalar: boolean
  series: AnswerSeries[]
  relativeError: number | null
}

export function runMetric(
  parts: Part[],
  expr: MetricExpr,
  steps: Steps,
  {
    pieceMax = Number.POSITIVE_INFINITY,
    bounds,
  }: { pieceMax?: number; bounds?: NumberBounds } = {},
): Result<RunAnswer> {
  const plans = planRanges(expr, steps)
  if (!plans.ok) return plans
  const sets = new LabelSets()
  const series = new Map<RangePlan, RangeSeries[]>()
  let relativeError: number | null = null
  for (const plan of new Set(plans.data.values())) {
    const counter = plan.counter(sets, bounds)
    for (const part of parts) {
      const matcher = new Matcher({ filter: plan.filter, ...plan.windows })
      const needed = bothNeeded(matcher.needed, counter.needed)
      const stored = part.file ? readGroup(part.file, 0, needed) : part.stored
      const rows = matcher.rows(stored, [...Array(stored.batch.length).keys()])
      for (let from = 0; from < rows.length; from += pieceMax) {
        counter.wanted(stored, rows.slice(from, from + pieceMax), part.shard)
      }
    }
    if (counter.failure) return { ok: false, error: counter.failure }
    series.set(plan, counter.evaluated())
    relativeError ??= counter.relativeError
  }
  try {
    const evaluation = new Evaluation(expr, sets, (range) => {
      const plan = plans.data.get(range)!
      return valuesOf(plan, sets, () => series.get(plan)!)
    })
    const answer = new Answer()
    for (let step = 0; step < steps.count; step++) answer.add(step, evaluation.at(step))
    return ok({ isScalar: evaluation.isScalar, series: answer.series(false), relativeError })
  } catch (e) {
    if (!(e instanceof Refusal)) throw e
    return { ok: false, error: e.failure }
  }
}
