// Counts out: over time, by value, by pattern, of numbers. All shards are asked; what their catalogs
// can not count exactly is scanned, and both are added up (count/counting.ts).

import { AggregateCounter, type GroupView } from '../count/aggregate.ts'
import {
  type Counter,
  Counting,
  FacetsCounter,
  type FacetView,
  HistogramCounter,
  type HistogramView,
} from '../count/counting.ts'
import { FieldsCounter, type FieldView } from '../count/counting-fields.ts'
import { PatternsCounter, type PatternView } from '../count/counting-patterns.ts'
import type { Env } from '../env.ts'
import { AGGREGATE_POINTS_MAX, BUCKETS_MAX } from '../limits.ts'
import type { AggregateFunction, Ask, Buckets } from '../query/ask.ts'
import { bucketsFor, type Cut } from '../query/buckets.ts'
import type {
  AggregateRequest,
  Compare,
  FacetsRequest,
  HistogramRequest,
  PatternsRequest,
} from '../query/count-parameters.ts'
import { inWorkspace } from '../query/filter.ts'
import { everythingOf, type Plan } from '../query/plan.ts'
import { err, ok, type Result } from '../result.ts'
import type { Extent } from '../shard/overview.ts'
import type { Time } from '../time.ts'
import { type QueryOptions, queryShards, readInto, type Told, toldOf } from './read.ts'
import { callShard, type ShardAccess, withShards } from './route.ts'

/** Whose records are counted, and which of them. */
export interface Counts {
  access: ShardAccess
  plan: Plan
  /** The one workspace the caller sees; null: all. */
  workspaceId: string | null
  options: QueryOptions
  nowMs: number
}

export type HistogramAnswer = HistogramView & {
  since: number
  until: number
  interval_ms: number
  by: string | null
} & Told

export async function readHistogram(
  env: Env,
  counts: Counts,
  { cut, by, limit }: HistogramRequest,
): Promise<Result<HistogramAnswer>> {
  const timed = await timedOf(env, counts, cut, BUCKETS_MAX)
  if (!timed.ok) return timed
  const { plan, buckets } = timed.data
  const ask = { kind: 'histogram', buckets, by: by?.field ?? null } as const
  return withShards(env, counts.access, async (access) => {
    const counter = new HistogramCounter(ask)
    const told = await count(env, { ...counts, access, plan }, ask, counter)
    if (!told.ok) return told
    const range = { since: plan.since.ms, until: plan.until.ms, interval_ms: buckets.stepMs }
    return ok({ ...range, by: by?.name ?? null, ...counter.view(limit), ...told.data })
  })
}

export type FacetsAnswer = { fields: FacetView[]; total: number } & Told

export const readFacets = (
  env: Env,
  counts: Counts,
  { fields, limit }: FacetsRequest,
): Promise<Result<FacetsAnswer>> =>
  withShards(env, counts.access, async (access) => {
    const ask = { kind: 'facets', fields: fields.map(({ field }) => field) } as const
    const counter = new FacetsCounter(ask)
    const told = await count(env, { ...counts, access }, ask, counter)
    if (!told.ok) return told
    const names = fields.map(({ name }) => name)
    return ok({ fields: counter.view(names, limit), total: counter.records, ...told.data })
  })

export type FieldsAnswer = {
  fields: FieldView[]
  distinct: number
  total: number
  is_complete: boolean
} & Told

export const readFields = (
  env: Env,
  counts: Counts,
  limit: number,
): Promise<Result<FieldsAnswer>> =>
  withShards(env, counts.access, async (access) => {
    const counter = new FieldsCounter()
    const told = await count(env, { ...counts, access }, { kind: 'fields' }, counter)
    if (!told.ok) return told
    return ok({
      fields: counter.view(limit),
      distinct: counter.size,
      total: counter.records,
      is_complete: counter.isComplete,
      ...told.data,
    })
  })

export type PatternsAnswer = {
  patterns: PatternView[]
  histogram: { since: number; interval_ms: number }
  distinct: number
  total: number
  /** Records without a pattern, and those of whose pattern the catalog knows nothing. */
  unpatterned: number
  /** Records of patterns that are not shown. */
  other: number
  is_complete: boolean
  /** The time before, and what was counted there. */
  compare?: { since: number; until: number; total: number; unpatterned: number } & Told
} & Told

export async function readPatterns(
  env: Env,
  counts: Counts,
  { buckets: most, limit, compare }: PatternsRequest,
): Promise<Result<PatternsAnswer>> {
  const timed = await timedOf(env, counts, { buckets: most }, most)
  if (!timed.ok) return timed
  const { plan, buckets } = timed.data
  return withShards(env, counts.access, async (access) => {
    const now = await countPatterns(env, { ...counts, access, plan }, buckets)
    if (!now.ok) return now
    const range = compare && rangeBefore(plan.since, compare)
    const before = range && (await countPatterns(env, { ...counts, access, plan: range }, null))
    if (before && !before.ok) return before
    const { counter, told } = now.data
    const ratio = range && lengthOf(plan) / lengthOf(range)
    const compared = before && ratio !== null && { counter: before.data.counter, ratio }
    const patterns = counter.view(limit, compared || null)
    const shown = patterns.reduce((sum, { count }) => sum + count, 0)
    return ok({
      patterns,
      histogram: { since: buckets.startMs, interval_ms: buckets.stepMs },
      distinct: counter.sums.size,
      total: counter.records,
      unpatterned: counter.unpatterned,
      other: counter.patterned - shown,
      is_complete: counter.other === 0,
      ...told,
      ...(before && {
        partial: told.partial || before.data.told.partial,
        compare: {
          since: range.since.ms,
          until: range.until.ms,
          total: before.data.counter.records,
          unpatterned: before.data.counter.unpatterned,
          ...before.data.told,
        },
      }),
    })
  })

  function rangeBefore(since: Time, compare: Compare): TimedPlan {
    if (!('lengthMs' in compare)) return { ...plan, ...compare }
    return {
      ...plan,
      since: { ...since, ms: Math.max(0, since.ms - compare.lengthMs) },
      until: since,
    }
  }
}

/** `buckets` null: when the records were is not asked. */
async function countPatterns(env: Env, counts: Counts, buckets: Buckets | null) {
  const ask = { kind: 'patterns', buckets: buckets ?? ALL_TIME } as const
  const counter = new PatternsCounter(ask.buckets)
  const told = await count(env, counts, ask, counter)
  return told.ok ? ok({ counter, told: told.data }) : told
}

/** One bucket that every record lies in. */
const ALL_TIME: Buckets = { startMs: 0, stepMs: Number.MAX_SAFE_INTEGER, count: 1 }

export type AggregateAnswer = {
  since?: number
  until?: number
  interval_ms?: number
  value: string | null
  groups: GroupView[]
  distinct: number
  total: number
  /** Records without a number, where numbers are asked for. */
  without_value?: number
  is_complete: boolean
  /** Whether percentiles are: of very many numbers they are estimated. */
  is_exact: boolean
  relative_error?: number
} & Told

export async function readAggregate(
  env: Env,
  counts: Counts,
  request: AggregateRequest,
): Promise<Result<AggregateAnswer>> {
  const { value, intervalMs, limit } = request
  const timed = intervalMs === null ? null : await timedOf(env, counts, { intervalMs }, BUCKETS_MAX)
  if (timed && !timed.ok) return timed
  const buckets = timed?.data.buckets ?? null
  const points = limit * (buckets?.count ?? 1)
  if (points > AGGREGATE_POINTS_MAX) {
    const most = Math.floor(AGGREGATE_POINTS_MAX / (buckets?.count ?? 1))
    const text = `${limit} groups of ${buckets?.count} buckets are more than ${AGGREGATE_POINTS_MAX} points: limit=${most} would do`
    return err('bad_request', text, { parameter: 'limit', max: most })
  }
  const plan = timed?.data.plan ?? counts.plan
  return withShards(env, counts.access, async (access) => {
    const asked = { ...counts, access, plan }
    const counted = isOfCatalog(request)
      ? await countGroups(env, asked, request, buckets)
      : await countNumbers(env, asked, request, buckets)
    if (!counted.ok) return counted
    return ok({
      ...(timed && {
        since: timed.data.plan.since.ms,
        until: timed.data.plan.until.ms,
        interval_ms: timed.data.buckets.stepMs,
      }),
      value: value?.name ?? null,
      ...counted.data,
    })
  })
}

type Aggregated = Omit<AggregateAnswer, 'value'>

/** Records by one field, or all of them: catalogs may know them. */
const isOfCatalog = ({ value, by }: AggregateRequest) => value === null && by.length < 2

async function countNumbers(
  env: Env,
  counts: Counts,
  { value, by, functions, limit }: AggregateRequest,
  buckets: Buckets | null,
): Promise<Result<Aggregated>> {
  const counter = new AggregateCounter({ value: value?.field ?? null, by, functions, buckets })
  const told = await count(env, counts, null, counter)
  if (!told.ok) return told
  const error = counter.relativeError
  return ok({
    groups: counter.view(limit),
    distinct: counter.size,
    total: counter.records,
    ...(value && { without_value: counter.withoutValue }),
    is_complete: counter.isComplete,
    is_exact: error === null,
    ...(error !== null && { relative_error: error }),
    ...told.data,
  })
}

async function countGroups(
  env: Env,
  counts: Counts,
  { by, functions, limit }: AggregateRequest,
  buckets: Buckets | null,
): Promise<Result<Aggregated>> {
  const [field] = by
  const all = buckets ?? ALL_TIME
  const ask = { kind: 'histogram', buckets: all, by: field?.field ?? null } as const
  const counter = new HistogramCounter(ask)
  const told = await count(env, counts, ask, counter)
  if (!told.ok) return told
  const { total } = counter.view(1)
  const lines = field
    ? counter.lines(limit)
    : [{ value: null, count: total, counts: counter.totals }].filter(({ count }) => count > 0)
  const groups = lines.map(({ value, count, counts }) => ({
    by: Object.fromEntries(by.map(({ name }) => [name, value])),
    count,
    ...(buckets && { points: pointsOf(buckets, counts, functions) }),
  }))
  const { size, isComplete } = counter.groups
  const hasMissing = field !== undefined && counter.missing > 0
  const distinct = field ? size + Number(hasMissing) : lines.length
  const made = { is_complete: isComplete, is_exact: true }
  return ok({ groups, distinct, total, ...made, ...told.data })
}

/** The buckets that have records. */
function pointsOf(
  { startMs, stepMs }: Buckets,
  counts: Float64Array,
  functions: AggregateFunction[],
) {
  const points: NonNullable<GroupView['points']> = []
  for (const [i, count] of counts.entries()) {
    if (count === 0) continue
    const numbers = Object.fromEntries(functions.map(({ name }) => [name, count]))
    points.push({ time: startMs + i * stepMs, ...numbers })
  }
  return points
}

/** Brings all records of a plan to a counter, or what catalogs counted of them. */
async function count(
  env: Env,
  { access, plan, options }: Counts,
  ask: Ask | null,
  counter: Counter,
): Promise<Result<Told>> {
  const read = await readInto(env, access, { plan, ask, ...options }, new Counting(counter))
  return read.ok ? ok(toldOf(read.data)) : read
}

type TimedPlan = Plan & { since: Time; until: Time }

const lengthOf = ({ since, until }: TimedPlan): number => Math.max(1, until.ms - since.ms)

/**
 * The plan with both ends of its time, and that time cut. Where no end is asked for it is now, or the
 * latest record if that is later; where no beginning is, the earliest record.
 */
async function timedOf(
  env: Env,
  counts: Counts,
  cut: Cut,
  max: number,
): Promise<Result<{ plan: TimedPlan; buckets: Buckets }>> {
  const { plan, nowMs } = counts
  let { since, until } = plan
  if (since === null || until === null) {
    const extent = await extentOf(env, counts)
    if (!extent.ok) return extent
    until ??= { ms: Math.max(nowMs, (extent.data?.maxMs ?? 0) + 1), ns: 0 }
    since ??= { ms: Math.min(extent.data?.minMs ?? until.ms, until.ms), ns: 0 }
  }
  const buckets = bucketsFor(since, until, cut, max)
  if (!buckets.ok) return buckets
  return ok({ plan: { ...plan, since, until }, buckets: buckets.data })
}

/** The time that all records reach over which the caller may see. */
const extentOf = (env: Env, counts: Counts): Promise<Result<Extent | null>> =>
  counts.workspaceId === null
    ? withShards(env, counts.access, (access) => extentOfShards(env, access))
    : extentOfWorkspace(env, counts, counts.workspaceId)

async function extentOfShards(env: Env, access: ShardAccess): Promise<Result<Extent | null>> {
  const shards = Array.from({ length: access.tenant.shards }, (_, shard) => shard)
  const replies = await Promise.all(
    shards.map((shard) => callShard(env, access, shard, (stub, caller) => stub.extent(caller))),
  )
  let all: Extent | null = null
  let silence: Result<null> | null = null
  let heard = 0
  for (const reply of replies) {
    if (!reply.ok) {
      const { code } = reply.error
      if (code !== 'unavailable' && code !== 'overloaded') return reply
      // The reading names the shard that is silent.
      silence = reply
      continue
    }
    heard++
    const { data } = reply
    if (data && all) {
      all = { minMs: Math.min(all.minMs, data.minMs), maxMs: Math.max(all.maxMs, data.maxMs) }
    } else all ??= data
  }
  return heard === 0 && silence ? silence : ok(all)
}

/** Catalogs tell of all workspaces, so the records themselves are asked. */
async function extentOfWorkspace(
  env: Env,
  { access, options: { signal } }: Counts,
  workspaceId: string,
): Promise<Result<Extent | null>> {
  const times: number[] = []
  for (const order of ['asc', 'desc'] as const) {
    const filter = inWorkspace(workspaceId)
    const plan = { ...everythingOf({ filter, since: null, until: null }), order, limit: 1 }
    const page = await queryShards(env, access, plan, signal ? { signal } : {})
    if (!page.ok) return page
    const [record] = page.data.logs
    if (!record && page.data.next_cursor !== null) {
      const text = 'the time of the records could not be found out: give since and until'
      return err('bad_request', text, { parameter: 'since' })
    }
    if (record) times.push(record.timestamp)
  }
  const [minMs, maxMs = minMs] = times
  // To the millisecond above: a record has nanoseconds too.
  return ok(minMs === undefined ? null : { minMs, maxMs: maxMs! + 1 })
}
