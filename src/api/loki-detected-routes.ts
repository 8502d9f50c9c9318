// Fields that newest lines have: /loki/api/v1/detected_fields, /detected_field/<name>/values.

import { type Context, Hono } from 'hono'
import { FieldDetector } from '../logql/detected.ts'
import type { LogQuery } from '../logql/syntax.ts'
import { ok, type Result } from '../result.ts'
import type { Asking } from '../tenant/logql-asking.ts'
import { readLogql } from '../tenant/logql-logs.ts'
import type { HonoEnv } from './answer.ts'
import { lokiJson } from './loki-answer.ts'
import { addLokiDoor, readLogQuery } from './loki-door.ts'
import { ENTRIES_DEFAULT, type LokiParameters, type Range } from './loki-parameters.ts'

export const lokiDetectedRoutes = new Hono<HonoEnv>()

const FIELDS_DEFAULT = 1000
/** Of one answer: each keeps its values. */
const FIELDS_MAX = 10_000

interface Request {
  query: LogQuery
  range: Range
  lines: number
  /** Fields, or values of one. */
  limit: number
}

function readRequest(parameters: LokiParameters): Request {
  const range = parameters.range()
  parameters.step(range)
  const limit = parameters.limit(
    false,
    parameters.text('limit') ? 'limit' : 'field_limit',
    FIELDS_DEFAULT,
  )
  return {
    range,
    lines: parameters.limit(true, 'line_limit', ENTRIES_DEFAULT),
    limit: Math.min(limit, FIELDS_MAX),
    query: readLogQuery('query', parameters.text('query')),
  }
}

async function detect(
  c: Context<HonoEnv>,
  asking: Asking,
  { query, range, lines: limit }: Request,
  fieldsMax: number,
): Promise<Result<{ detector: FieldDetector; warned: { warnings?: string[] } }>> {
  const detector = FieldDetector.create(fieldsMax)
  if (!detector.ok) return detector
  const { start: since, end: until } = range
  const asked = { since, until, direction: 'backward', limit } as const
  const logs = await readLogql(c.env, asking, query, asked)
  if (!logs.ok) return logs
  const { lines, warnings } = logs.data
  for (const { entry } of lines) detector.data.add(entry)
  return ok({ detector: detector.data, warned: warnings.length > 0 ? { warnings } : {} })
}

addLokiDoor(
  lokiDetectedRoutes,
  '/loki/api/v1/detected_fields',
  readRequest,
  async (c, asking, request) => {
    const found = await detect(c, asking, request, request.limit)
    if (!found.ok) return found
    const { detector, warned } = found.data
    const fields = detector.fields()
    return ok(lokiJson({ ...(fields.length > 0 && { fields, limit: request.limit }), ...warned }))
  },
)

addLokiDoor(
  lokiDetectedRoutes,
  '/loki/api/v1/detected_field/:name/values',
  (parameters, c) => ({ ...readRequest(parameters), name: c.req.param('name') ?? '' }),
  async (c, asking, request) => {
    const found = await detect(c, asking, request, FIELDS_MAX)
    if (!found.ok) return found
    const { detector, warned } = found.data
    const values = detector.values(request.name).slice(0, request.limit)
    return ok(lokiJson({ ...(values.length > 0 && { values, limit: request.limit }), ...warned }))
  },
)
