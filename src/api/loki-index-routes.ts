// How much there is: /loki/api/v1/index/stats, /index/volume, /index/volume_range, /patterns.

import { type Context, Hono } from 'hono'
import { SERIES_POINTS_MAX } from '../limits.ts'
import { STREAM_LABELS } from '../logql/labels.ts'
import { matcherFilter, selectionOf } from '../logql/selection.ts'
import type { Buckets } from '../query/ask.ts'
import { bucketsFor } from '../query/buckets.ts'
import { allOf, type Filter, NOTHING } from '../query/filter.ts'
import { BadParameter } from '../query/parameters.ts'
import { ok, type Result } from '../result.ts'
import type { Asking } from '../tenant/logql-asking.ts'
import { readIndexStats, readVolume, type Volume } from '../tenant/logql-labels.ts'
import { readPatternSeries } from '../tenant/logql-patterns.ts'
import type { HonoEnv } from './answer.ts'
import { lokiJson, lokiSuccess } from './loki-answer.ts'
import { addLokiDoor, countsOf, readLogQuery, readMatchers, readSelector } from './loki-door.ts'
import type { LokiParameters, Range } from './loki-parameters.ts'
import { matrixAnswer, type Series, vectorAnswer } from './loki-result.ts'

export const lokiIndexRoutes = new Hono<HonoEnv>()

addLokiDoor(
  lokiIndexRoutes,
  '/loki/api/v1/index/stats',
  (parameters) => ({
    range: parameters.range(),
    filter: readSelector('query', parameters.text('query')),
  }),
  async (c, asking, { range, filter }) => {
    const answer = await readIndexStats(c.env, countsOf(asking, filter, range))
    if (!answer.ok) return answer
    const { stats: _cost, warnings, ...stats } = answer.data
    return ok(lokiJson({ ...stats, ...(warnings.length > 0 && { warnings }) }))
  },
)

interface VolumeQuery {
  range: Range
  filter: Filter
  labels: string[] | null
  isByName: boolean
  limit: number
  stepMs: number | null
}

const VOLUMES_DEFAULT = 100

function readVolumeQuery(parameters: LokiParameters, stepOf: (range: Range) => number | null) {
  const range = parameters.range()
  const text = parameters.text('query')
  const targets = parameters.text('targetLabels').split(',').filter(Boolean)
  const matchers = text === '' ? [] : readMatchers('query', text)
  const filters = matchers.map(matcherFilter)
  const missing = targets.filter((target) => !matchers.some(({ name }) => name === target))
  const named = matchers.map(({ name }) => name)
  return {
    range,
    filter: allOf([...filters, ...missing.map(isThere)]),
    ...labelsOf(parameters, targets, named.length === 0 ? null : named),
    limit: limitOf(parameters),
    stepMs: stepOf(range),
  }
}

/** Records of streams with a label. */
const isThere = (name: string): Filter =>
  STREAM_LABELS.has(name) ? matcherFilter({ name, op: '=~', value: '.+' }) : NOTHING

/** Volumes are of the labels that are asked for, else of those of the selector, else of all. */
function labelsOf(parameters: LokiParameters, targets: string[], named: string[] | null) {
  const by = parameters.text('aggregateBy') || 'series'
  if (by !== 'series' && by !== 'labels') {
    throw new BadParameter('aggregateBy', 'invalid aggregation option')
  }
  const isByName = by === 'labels'
  if (targets.length > 0) return { labels: targets, isByName }
  return { labels: isByName ? null : named, isByName }
}

function limitOf(parameters: LokiParameters): number {
  const limit = parameters.whole('limit', VOLUMES_DEFAULT)
  if (limit < 0) throw new BadParameter('limit', 'limit must be a positive value')
  return limit || VOLUMES_DEFAULT
}

async function answerVolume(
  c: Context<HonoEnv>,
  asking: Asking,
  { range, filter, limit, stepMs, ...request }: VolumeQuery,
): Promise<Result<Response>> {
  const cut =
    stepMs === null
      ? null
      : bucketsFor(range.start, range.end, { intervalMs: stepMs }, SERIES_POINTS_MAX + 1)
  if (cut && !cut.ok) return cut
  const buckets = cut?.data ?? null
  const answer = await readVolume(c.env, countsOf(asking, filter, range), { ...request, buckets })
  if (!answer.ok) return answer
  const { volumes, stats, warnings } = answer.data
  const series = seriesOf(volumes, range, buckets, limit)
  const cost = { stats, warnings }
  // As Loki does, whatever was asked for.
  const isMatrix = series.some(({ points }) => points.length > 1)
  return ok(isMatrix ? matrixAnswer(series, cost) : vectorAnswer(series, cost))
}

/** So many, the largest first; a bucket without records has no point, and the time is that of its end. */
function seriesOf(
  volumes: Volume[],
  { end }: Range,
  buckets: Buckets | null,
  limit: number,
): Series[] {
  const endOf = (i: number) => {
    const bucketEnd = buckets ? buckets.startMs + (i + 1) * buckets.stepMs : end.ms
    return bucketEnd < end.ms ? bucketEnd - 1 : end.ms
  }
  const sized = volumes.map(({ labels, bytes }) => ({
    labels: Object.fromEntries(Object.entries(labels).sort()),
    sum: bytes.reduce((sum, n) => sum + n, 0),
    points: bytes.flatMap((value, i) => (value > 0 ? [{ ms: endOf(i), value }] : [])),
  }))
  return sized
    .filter(({ sum }) => sum > 0)
    .sort((a, b) => b.sum - a.sum || (nameOf(a) < nameOf(b) ? -1 : 1))
    .slice(0, limit)
    .map(({ labels, points }) => ({ labels, points }))
}

const nameOf = ({ labels }: { labels: object }) => JSON.stringify(labels)

addLokiDoor(
  lokiIndexRoutes,
  '/loki/api/v1/index/volume',
  (parameters) => readVolumeQuery(parameters, () => null),
  answerVolume,
)

addLokiDoor(
  lokiIndexRoutes,
  '/loki/api/v1/index/volume_range',
  (parameters) => readVolumeQuery(parameters, (range) => parameters.step(range)),
  answerVolume,
)

addLokiDoor(
  lokiIndexRoutes,
  '/loki/api/v1/patterns',
  (parameters) => {
    const range = parameters.range()
    // Loki's clients send more than a selector: the patterns of a pipeline are not asked for.
    const query = readLogQuery('query', parameters.text('query'))
    const { filter, rest } = selectionOf(query)
    if (rest.length > 0) {
      throw new BadParameter(
        'query',
        'patterns are of a stream selector and filters that need no parser',
        'bad_query',
      )
    }
    return { range, filter, stepMs: parameters.step(range) }
  },
  async (c, asking, { range, filter, stepMs }) => {
    const buckets = bucketsFor(
      range.start,
      range.end,
      { intervalMs: stepMs },
      SERIES_POINTS_MAX + 1,
    )
    if (!buckets.ok) return buckets
    const answer = await readPatternSeries(c.env, countsOf(asking, filter, range), buckets.data)
    if (!answer.ok) return answer
    const { series, warnings } = answer.data
    const { startMs } = buckets.data
    const data = series.map(({ pattern, level, records }) => ({
      pattern,
      ...(level !== null && { level }),
      samples: records.flatMap((count, i) =>
        count > 0 ? [[Math.floor((startMs + i * stepMs) / 1000), count]] : [],
      ),
    }))
    return ok(lokiSuccess(data, warnings))
  },
)
