// All records that match, page by page over the set that the first page fixed, so that no more than
// one page is held. What can not be read is asked for again for a while; then the export ends with the
// failure, or, for who wants it so, goes past the gap and tells of it.

import type { Env } from '../env.ts'
import { EXPORT_PAGE_RECORDS } from '../limits.ts'
import type { RecordView } from '../match/view.ts'
import { continued, type Plan } from '../query/plan.ts'
import { err, ok, type Result } from '../result.ts'
import { type QueryAnswer, queryShards } from './read.ts'
import type { PartialReason } from './reader.ts'
import type { ShardAccess } from './route.ts'

/** Waits before a page is asked for again: a shard that restarts is back within seconds. */
const RETRY_MS = [250, 500, 1000, 2000]

export interface Export {
  /** `limit`: how many records at most. */
  plan: Plan
  /** Leaves out blocks that can not be read, instead of failing. */
  goesPastGaps: boolean
  /** Aborted when nobody wants the rest. */
  signal: AbortSignal
  pause: (ms: number) => Promise<void>
}

/** One step of an export: the next records, in order; `gaps`, what all steps so far had to leave out. */
export interface ExportStep {
  records: RecordView[]
  gaps: PartialReason[]
}

/** The steps of an export; a failure is the last. Nothing is read before a step is asked for. */
export async function* exportSteps(
  env: Env,
  access: ShardAccess,
  wanted: Export,
): AsyncGenerator<Result<ExportStep>, void> {
  const gaps: PartialReason[] = []
  let left = wanted.plan.limit
  let plan: Plan | null = wanted.plan
  while (plan !== null && left > 0) {
    const limit = Math.min(left, EXPORT_PAGE_RECORDS)
    const page: Result<QueryAnswer> = await readSurely(
      env,
      access,
      { ...plan, limit },
      wanted,
      gaps,
    )
    if (!page.ok) return yield page
    const { logs, next_cursor } = page.data
    left -= logs.length
    plan = next_cursor === null ? null : continued(plan, next_cursor)
    yield ok({ records: logs, gaps })
  }
}

/** One page that lacks nothing but what `gaps` lists; puts new gaps there where it may go past them. */
async function readSurely(
  env: Env,
  access: ShardAccess,
  plan: Plan,
  { goesPastGaps, signal, pause }: Export,
  gaps: PartialReason[],
): Promise<Result<QueryAnswer>> {
  for (let attempt = 0; ; attempt++) {
    const page = await queryShards(env, access, plan, { signal, goesPastGaps: true })
    const lacking = page.ok ? page.data.partial_reasons.filter((one) => isNews(one, gaps)) : []
    const isWhole = page.ok && lacking.length === 0
    if (isWhole || (!page.ok && !mayPass(page.error.code)) || signal.aborted) return page
    const waitMs = RETRY_MS[attempt]
    if (waitMs !== undefined) {
      await pause(waitMs)
      continue
    }
    if (!page.ok) return page
    if (!goesPastGaps || lacking.some(({ code }) => code === 'shard_unreachable')) {
      const text = 'some records can not be read; what the export holds so far is not all'
      return err('unavailable', text, { partial_reasons: lacking })
    }
    gaps.push(...lacking)
    return page
  }
}

/** A budget that is spent costs another page, and nothing of it is lacking. */
const isNews = (reason: PartialReason, gaps: PartialReason[]) =>
  reason.code !== 'budget' && !gaps.some((gap) => JSON.stringify(gap) === JSON.stringify(reason))

const mayPass = (code: string) => code === 'unavailable' || code === 'overloaded'
