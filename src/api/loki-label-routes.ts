// The labels of streams: /loki/api/v1/labels, /label/<name>/values, /series, /detected_labels.

import { type Context, Hono } from 'hono'
import { STREAM_LABELS } from '../logql/labels.ts'
import { EVERYTHING, someOf } from '../query/filter.ts'
import { ok } from '../result.ts'
import {
  type LabelValues,
  readLabelNames,
  readLabelValues,
  readSeries,
} from '../tenant/logql-labels.ts'
import type { HonoEnv } from './answer.ts'
import { lokiJson, lokiSuccess } from './loki-answer.ts'
import { addLokiDoor, countsOf, readSelector } from './loki-door.ts'
import type { LokiParameters } from './loki-parameters.ts'

export const lokiLabelRoutes = new Hono<HonoEnv>()

/** Records whose labels are asked for. */
const readSelection = (parameters: LokiParameters) => ({
  range: parameters.bounds(),
  filter: readSelector('query', parameters.text('query')),
})

for (const path of ['/loki/api/v1/labels', '/loki/api/v1/label']) {
  addLokiDoor(lokiLabelRoutes, path, readSelection, async (c, asking, { range, filter }) => {
    const answer = await readLabelNames(c.env, countsOf(asking, filter, range))
    if (!answer.ok) return answer
    return ok(lokiSuccess(answer.data.labels, answer.data.warnings))
  })
}

addLokiDoor(
  lokiLabelRoutes,
  '/loki/api/v1/label/:name/values',
  (parameters, c) => ({ ...readSelection(parameters), name: nameIn(c) }),
  async (c, asking, { range, filter, name }) => {
    const answer = await readLabelValues(c.env, countsOf(asking, filter, range), [name])
    if (!answer.ok) return answer
    const values = answer.data.labels.flatMap(({ values }) => values)
    return ok(lokiSuccess(values, lacksOf(answer.data)))
  },
)

const nameIn = (c: Context<HonoEnv>) => c.req.param('name') ?? ''

addLokiDoor(
  lokiLabelRoutes,
  '/loki/api/v1/series',
  (parameters) => {
    const given = [...parameters.all('match'), ...parameters.all('match[]')]
    const filters = given.map((text) => readSelector('match', text))
    return { range: parameters.bounds(), filter: given.length === 0 ? EVERYTHING : someOf(filters) }
  },
  async (c, asking, { range, filter }) => {
    const answer = await readSeries(c.env, countsOf(asking, filter, range))
    return answer.ok ? ok(lokiSuccess(answer.data.series, answer.data.warnings)) : answer
  },
)

addLokiDoor(
  lokiLabelRoutes,
  '/loki/api/v1/detected_labels',
  (parameters) => ({
    range: parameters.range(),
    filter: readSelector('query', parameters.text('query')),
  }),
  async (c, asking, { range, filter }) => {
    const names = [...STREAM_LABELS.keys()]
    const answer = await readLabelValues(c.env, countsOf(asking, filter, range), names)
    if (!answer.ok) return answer
    const shown = answer.data.labels.filter(({ values }) => values.length > 0 && !areIds(values))
    const detectedLabels = shown.map(({ label, values }) => ({ label, cardinality: values.length }))
    const warnings = lacksOf(answer.data)
    return ok(lokiJson({ detectedLabels, ...(warnings.length > 0 && { warnings }) }))
  },
)

/** What values of labels lack. */
function lacksOf({ labels, warnings }: { labels: LabelValues[]; warnings: string[] }): string[] {
  const cut = labels.filter(({ isComplete }) => !isComplete)
  const more = cut.map(
    ({ label, values }) => `${label} has more values than the ${values.length} here`,
  )
  return [...warnings, ...more]
}

/** Values that nobody would choose one of: numbers and UUIDs, but for 0 and 1 by themselves. */
function areIds(values: string[]): boolean {
  if (values.length <= 2 && values.every((value) => value === '0' || value === '1')) return false
  return values.every((value) => NUMBER.test(value) || UUID.test(value))
}

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i
const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i
