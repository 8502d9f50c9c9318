// Patterns of messages over time, as Loki's clients ask for them.

import { Counting } from '../count/counting.ts'
import { PatternsCounter } from '../count/counting-patterns.ts'
import type { Env } from '../env.ts'
import { PATTERNS_LIMIT_MAX } from '../limits.ts'
import type { Buckets } from '../query/ask.ts'
import { ok, type Result } from '../result.ts'
import type { Counts } from './counts.ts'
import { lackOf } from './logql-asking.ts'
import { readInto } from './read.ts'
import { withShards } from './route.ts'

export interface PatternSeries {
  pattern: string
  /** Null: its records have several. */
  level: string | null
  /** By bucket. Where a catalog knows only a longer stretch, it is spread over it. */
  records: number[]
}

/** The most frequent patterns. */
export const readPatternSeries = (
  env: Env,
  counts: Counts,
  buckets: Buckets,
): Promise<Result<{ series: PatternSeries[]; warnings: string[] }>> =>
  withShards(env, counts.access, async (access) => {
    const { plan, options } = counts
    const ask = { kind: 'patterns', buckets } as const
    const counter = new PatternsCounter(buckets)
    const read = await readInto(env, access, { plan, ask, ...options }, new Counting(counter))
    if (!read.ok) return read
    const series: PatternSeries[] = []
    for (const { pattern, levels, histogram } of counter.view(PATTERNS_LIMIT_MAX, null)) {
      // Of some only the id is known: nobody could look for them.
      if (pattern === null) continue
      const [level, ...others] = Object.keys(levels)
      series.push({
        pattern,
        level: others.length === 0 ? (level ?? null) : null,
        records: histogram.map(Math.round),
      })
    }
    const warnings = lackOf(read.data.reasons)
    return warnings.ok ? ok({ series, warnings: warnings.data }) : warnings
  })
