// What Loki's index knows: the labels of streams, their values, the streams themselves, and how much
// lies in each. All of it is counted like everything else, by catalogs where they can.

import { AggregateCounter } from '../count/aggregate.ts'
import { Counting, HistogramCounter } from '../count/counting.ts'
import type { Env } from '../env.ts'
import { GROUPS_MAX } from '../limits.ts'
import { STREAM_LABELS } from '../logql/labels.ts'
import type { Buckets } from '../query/ask.ts'
import type { NamedField } from '../query/count-parameters.ts'
import { err, ok, type Result } from '../result.ts'
import { type Counts, readAggregate, readFacets, readFields } from './counts.ts'
import { readHoldings } from './holdings.ts'
import { lackOf } from './logql-asking.ts'
import { queryShards, readInto, type Told, toldOf } from './read.ts'
import { withShards } from './route.ts'
import { bothStats, nothingRead, type QueryStats } from './stats.ts'

/** What was found, what it lacks, in words, and what it cost. */
export type Found<T> = T & { warnings: string[]; stats: QueryStats }

function found<T>(data: T, { partial_reasons, stats }: Told): Result<Found<T>> {
  const warnings = lackOf(partial_reasons)
  return warnings.ok ? ok({ ...data, warnings: warnings.data, stats }) : warnings
}

/** Newest lines whose length stands for the size of all that match. */
const SAMPLED_LINES = 100

/** What the labels of streams come from: several may have one source. */
const SOURCES: { field: NamedField; labels: string[] }[] = []
for (const [label, field] of STREAM_LABELS) {
  const name = field.in === 'column' ? field.name : field.in
  const known = SOURCES.find((source) => source.field.name === name)
  if (known) known.labels.push(label)
  else SOURCES.push({ field: { name, field }, labels: [label] })
}

const sourceOf = (label: string) => SOURCES.find(({ labels }) => labels.includes(label))

/** The labels that some record has. */
export async function readLabelNames(
  env: Env,
  counts: Counts,
): Promise<Result<Found<{ labels: string[] }>>> {
  const answer = await readFields(env, counts, GROUPS_MAX)
  if (!answer.ok) return answer
  const { fields, ...told } = answer.data
  const columns = new Set(fields.filter(({ scope }) => scope === 'column').map(({ name }) => name))
  const sources = SOURCES.filter(({ field }) => columns.has(field.name))
  return found({ labels: sources.flatMap(({ labels }) => labels).sort() }, told)
}

export interface LabelValues {
  label: string
  values: string[]
  /** False: there are more. */
  isComplete: boolean
}

/** The values of these labels; what is no label of streams has none. */
export async function readLabelValues(
  env: Env,
  counts: Counts,
  labels: readonly string[],
): Promise<Result<Found<{ labels: LabelValues[] }>>> {
  const sources = SOURCES.filter((source) => source.labels.some((one) => labels.includes(one)))
  if (sources.length === 0) {
    return ok({ labels: labels.map(withoutValues), warnings: [], stats: nothingRead() })
  }
  const fields = sources.map(({ field }) => field)
  const answer = await readFacets(env, counts, { fields, limit: GROUPS_MAX })
  if (!answer.ok) return answer
  const { fields: facets, ...told } = answer.data
  const all = labels.map((label): LabelValues => {
    const source = sourceOf(label)
    const facet = facets.find(({ field }) => field === source?.field.name)
    if (!facet) return withoutValues(label)
    const values = facet.values.map(({ value }) => value).filter((value) => value !== '')
    return { label, values: values.sort(), isComplete: facet.is_complete }
  })
  return found({ labels: all }, told)
}

const withoutValues = (label: string): LabelValues => ({ label, values: [], isComplete: true })

export type LabelSet = Record<string, string>

/**
 * The sets of labels that records have. Catalogs tell the values of each source; only where several
 * vary, records are looked at for how they go together.
 */
export async function readSeries(
  env: Env,
  counts: Counts,
): Promise<Result<Found<{ series: LabelSet[] }>>> {
  const fields = SOURCES.map(({ field }) => field)
  const facets = await readFacets(env, counts, { fields, limit: GROUPS_MAX })
  if (!facets.ok) return facets
  const { fields: views, total, ...told } = facets.data
  if (total === 0) return found({ series: [] }, told)
  if (views.some(({ is_complete }) => !is_complete)) return tooManySeries()
  const valuesOf = ({ values, missing }: (typeof views)[number]): (string | null)[] => [
    ...values.map(({ value }) => value),
    ...(missing > 0 ? [null] : []),
  ]
  const constant = views.filter((view) => valuesOf(view).length === 1)
  const varied = views.filter((view) => valuesOf(view).length > 1)
  const base = labelsOf(constant.map((view) => [view.field, valuesOf(view)[0]!]))
  const [one, ...others] = varied
  if (!one) return found({ series: [base] }, told)
  if (others.length === 0) {
    const sets = valuesOf(one).map((value) => ({ ...base, ...labelsOf([[one.field, value]]) }))
    return found({ series: sets }, told)
  }
  const by = fields.filter(({ name }) => varied.some(({ field }) => field === name))
  const request = { value: null, by, functions: [], intervalMs: null, limit: GROUPS_MAX }
  const groups = await readAggregate(env, counts, request)
  if (!groups.ok) return groups
  if (!groups.data.is_complete) return tooManySeries()
  const sets = groups.data.groups.map((group) => ({
    ...base,
    ...labelsOf(Object.entries(group.by)),
  }))
  return found({ series: sets }, groups.data)
}

/** The labels that come from these sources. */
function labelsOf(values: [source: string, value: string | null][]): LabelSet {
  const labels: LabelSet = {}
  for (const [source, value] of values) {
    if (value === null || value === '') continue
    for (const label of SOURCES.find(({ field }) => field.name === source)?.labels ?? []) {
      labels[label] = value
    }
  }
  return labels
}

const tooManySeries = () =>
  err(
    'bad_query',
    `too many streams match, of ${GROUPS_MAX} at most: choose fewer by their labels, or fewer steps`,
  )

/** Sources that catalogs have all values of. */
const TELLING = ['service', 'level']

export interface IndexStats {
  /** At least: as many as there are services or levels. None is stored apart here, so none is counted. */
  streams: number
  /** Blocks and unsealed rows that may hold a match. */
  chunks: number
  entries: number
  /** Estimated: see recordBytes. */
  bytes: number
}

export async function readIndexStats(env: Env, counts: Counts): Promise<Result<Found<IndexStats>>> {
  const fields = SOURCES.map(({ field }) => field).filter(({ name }) => TELLING.includes(name))
  const facets = await readFacets(env, counts, { fields, limit: 1 })
  if (!facets.ok) return facets
  const { fields: views, total, ...told } = facets.data
  const bytes = await recordBytes(env, counts)
  if (!bytes.ok) return bytes
  const { considered, skipped } = told.stats.blocks
  const ruledOut = Object.values(skipped).reduce((sum, blocks) => sum + blocks, 0)
  const streams = Math.max(...views.map(({ distinct, missing }) => distinct + Number(missing > 0)))
  const counted = { chunks: considered - ruledOut, entries: total }
  return found({ streams, ...counted, bytes: Math.round(total * bytes.data) }, told)
}

/** How much is asked for. */
export interface VolumeRequest {
  /** Labels that are told apart; null: all of streams. */
  labels: string[] | null
  /** Of each label by itself, whatever its values. */
  isByName: boolean
  /** Null: all together. */
  buckets: Buckets | null
}

export interface Volume {
  labels: LabelSet
  /** By bucket. */
  bytes: number[]
}

/** How many bytes there are by the values of labels, or by label: records times their average size. */
export async function readVolume(
  env: Env,
  counts: Counts,
  { labels, isByName, buckets }: VolumeRequest,
): Promise<Result<Found<{ volumes: Volume[] }>>> {
  const average = await recordBytes(env, counts)
  if (!average.ok) return average
  const wanted = (label: string) => labels === null || labels.includes(label)
  const sources = SOURCES.filter((source) => source.labels.some(wanted))
  const all = buckets ?? ALL_TIME
  const bytesOf = (records: Iterable<number>) =>
    Array.from(records, (count) => Math.round(count * average.data))
  const volumes: Volume[] = []
  if (!isByName) {
    const fields = sources.map(({ field }) => field)
    const groups = await countGroups(env, counts, fields, all)
    if (!groups.ok) return groups
    for (const { values, records } of groups.data.groups) {
      const named = Object.entries(labelsOf(values)).filter(([label]) => wanted(label))
      volumes.push({ labels: Object.fromEntries(named), bytes: bytesOf(records) })
    }
    return found({ volumes }, groups.data.told)
  }
  const told: Told = { partial: false, partial_reasons: [], stats: nothingRead() }
  for (const { field, labels: names } of sources) {
    const groups = await countGroups(env, counts, [field], all)
    if (!groups.ok) return groups
    told.partial_reasons.push(...groups.data.told.partial_reasons)
    told.stats = bothStats(told.stats, groups.data.told.stats)
    const sums = new Float64Array(all.count)
    for (const { values, records } of groups.data.groups) {
      if (!values[0]?.[1]) continue
      for (const [i, count] of records.entries()) sums[i]! += count
    }
    if (sums.every((sum) => sum === 0)) continue
    for (const label of names.filter(wanted)) {
      volumes.push({ labels: { [label]: '' }, bytes: bytesOf(sums) })
    }
  }
  return found({ volumes }, told)
}

/** One bucket that every record lies in. */
const ALL_TIME: Buckets = { startMs: 0, stepMs: Number.MAX_SAFE_INTEGER, count: 1 }

interface Group {
  values: [source: string, value: string | null][]
  /** By bucket. */
  records: ArrayLike<number> & Iterable<number> & { entries(): Iterable<[number, number]> }
}

/** Records by the values of fields. */
const countGroups = (
  env: Env,
  counts: Counts,
  by: NamedField[],
  buckets: Buckets,
): Promise<Result<{ groups: Group[]; told: Told }>> =>
  withShards(env, counts.access, async (access) => {
    const { plan, options } = counts
    const [first] = by
    if (by.length < 2) {
      const ask = { kind: 'histogram', buckets, by: first?.field ?? null } as const
      const counter = new HistogramCounter(ask)
      const read = await readInto(env, access, { plan, ask, ...options }, new Counting(counter))
      if (!read.ok) return read
      const told = toldOf(read.data)
      if (!first) return ok({ groups: [{ values: [], records: counter.totals }], told })
      if (!counter.groups.isComplete) return tooManySeries()
      const lines = counter.lines(GROUPS_MAX + 1)
      const groups = lines.map(({ value, counts }): Group => {
        return { values: [[first.name, value]], records: counts }
      })
      return ok({ groups, told })
    }
    const functions = [{ name: 'records', is: 'count' } as const]
    const counter = new AggregateCounter({ value: null, by, functions, buckets })
    const reading = { plan, ask: null, ...options }
    const read = await readInto(env, access, reading, new Counting(counter))
    if (!read.ok) return read
    if (!counter.isComplete) return tooManySeries()
    const groups = counter.view(GROUPS_MAX).map((group): Group => {
      const records = new Float64Array(buckets.count)
      for (const { time, records: count } of group.points ?? []) {
        records[Math.round((time - buckets.startMs) / buckets.stepMs)] = count ?? 0
      }
      return { values: Object.entries(group.by), records }
    })
    return ok({ groups, told: toldOf(read.data) })
  })

/**
 * The average size of a record. Of what is sealed the catalogs know it, as it was before it was encoded;
 * where nothing is, and for who may know of one workspace alone, it is that of the newest lines that match.
 */
async function recordBytes(env: Env, counts: Counts): Promise<Result<number>> {
  const { access, plan, options, workspaceId } = counts
  if (workspaceId === null) {
    const holdings = await readHoldings(env, access)
    if (!holdings.ok) return holdings
    const { records, pending, raw_bytes } = holdings.data
    const sealed = records - pending.records
    if (sealed > 0) return ok(raw_bytes / sealed)
  }
  const page = await queryShards(env, access, { ...plan, limit: SAMPLED_LINES }, options)
  if (!page.ok) return page
  const { logs } = page.data
  const bytes = logs.reduce((sum, { message }) => sum + Buffer.byteLength(message), 0)
  return ok(logs.length === 0 ? 0 : bytes / logs.length)
}
