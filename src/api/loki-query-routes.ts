// LogQL queries: /loki/api/v1/query_range, /query.

import { type Context, Hono } from 'hono'
import { parseLogql } from '../logql/parse.ts'
import type { LogQuery, LogqlQuery, MetricExpr } from '../logql/syntax.ts'
import type { Steps } from '../logql/windows.ts'
import { BadParameter } from '../query/parameters.ts'
import { ok, type Result } from '../result.ts'
import type { Asking } from '../tenant/logql-asking.ts'
import { type LogqlRange, readLogql } from '../tenant/logql-logs.ts'
import { type MetricAnswer, readMetric } from '../tenant/logql-metrics.ts'
import type { Time } from '../time.ts'
import type { HonoEnv } from './answer.ts'
import { addLokiDoor } from './loki-door.ts'
import type { LokiParameters, Range } from './loki-parameters.ts'
import {
  ENCODING_HEADER,
  isCategorized,
  matrixAnswer,
  type Series,
  scalarAnswer,
  streamsAnswer,
  vectorAnswer,
} from './loki-result.ts'

export const lokiQueryRoutes = new Hono<HonoEnv>()

addLokiDoor(
  lokiQueryRoutes,
  '/loki/api/v1/query_range',
  (parameters) => {
    const range = parameters.range()
    const stepMs = parameters.step(range)
    const direction = parameters.direction()
    const query = readQuery(parameters)
    // Of graphs Loki bounds points and series, and not their product.
    const limit = parameters.limit(query.kind === 'log')
    if (query.kind === 'log') parameters.refuseInterval()
    return { query, range, stepMs, direction, limit }
  },
  async (c, asking, { query, range, stepMs, direction, limit }) => {
    if (query.kind !== 'log') return answerMatrix(c, asking, query, { range, stepMs })
    const asked = { since: range.start, until: range.end, direction, limit }
    return answerLines(c, asking, query, asked)
  },
)

addLokiDoor(
  lokiQueryRoutes,
  '/loki/api/v1/query',
  (parameters) => {
    const time = parameters.time('time', { ms: parameters.nowMs, ns: 0 })
    parameters.direction()
    parameters.limit(false)
    const query = readQuery(parameters)
    if (query.kind !== 'log') return { query, time }
    const text =
      'log queries are not supported as an instant query type, please change your query to a range query type'
    throw new BadParameter('query', text, 'bad_query')
  },
  (c, asking, { query, time }) => answerInstant(c, asking, query, time),
)

function readQuery(parameters: LokiParameters): LogqlQuery {
  const query = parseLogql(parameters.text('query'))
  if (query.ok) return query.data
  throw new BadParameter('query', query.error.message, 'bad_query')
}

async function answerLines(
  c: Context<HonoEnv>,
  asking: Asking,
  query: LogQuery,
  range: LogqlRange,
): Promise<Result<Response>> {
  const logs = await readLogql(c.env, asking, query, range)
  if (!logs.ok) return logs
  const { lines, ...cost } = logs.data
  return ok(streamsAnswer(lines, isCategorized(c.req.header(ENCODING_HEADER)), cost))
}

async function answerMatrix(
  c: Context<HonoEnv>,
  asking: Asking,
  query: MetricExpr,
  { range, stepMs }: { range: Range; stepMs: number },
): Promise<Result<Response>> {
  const steps = stepsOf(range, stepMs)
  const answer = await readMetric(c.env, asking, query, steps)
  return answer.ok ? ok(matrixAnswer(seriesOf(answer.data, steps), answer.data)) : answer
}

/** As Loki cuts a range: the steps are multiples of their length, and reach over both of its ends. */
function stepsOf({ start, end }: Range, stepMs: number): Steps {
  const startMs = Math.floor(start.ms / stepMs) * stepMs
  const endMs = Math.ceil((end.ms + Math.sign(end.ns)) / stepMs) * stepMs
  return { start: { ms: startMs, ns: 0 }, stepMs, count: (endMs - startMs) / stepMs + 1 }
}

const seriesOf = ({ series }: MetricAnswer, { start, stepMs }: Steps): Series[] =>
  series.map(({ labels, points }) => ({
    labels,
    points: points.map(({ at, value }) => ({ ms: start.ms + at * stepMs, value })),
  }))

async function answerInstant(
  c: Context<HonoEnv>,
  asking: Asking,
  query: MetricExpr,
  start: Time,
): Promise<Result<Response>> {
  const steps = { start, stepMs: 1, count: 1 }
  const answer = await readMetric(c.env, asking, query, steps)
  if (!answer.ok) return answer
  const series = seriesOf(answer.data, steps)
  const point = series[0]?.points[0]
  const isScalar = answer.data.kind === 'scalar' && point !== undefined
  return ok(isScalar ? scalarAnswer(point, answer.data) : vectorAnswer(series, answer.data))
}
