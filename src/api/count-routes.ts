// What is counted of the logs: GET /logs/histogram, /facets, /fields, /patterns, /aggregate.

import { Hono } from 'hono'
import type { Env } from '../env.ts'
import {
  AGGREGATE_PARAMETERS,
  FACETS_PARAMETERS,
  FIELDS_PARAMETERS,
  HISTOGRAM_PARAMETERS,
  PATTERNS_PARAMETERS,
  readAggregate as readAggregateRequest,
  readFacets as readFacetsRequest,
  readFieldsLimit,
  readHistogram as readHistogramRequest,
  readPatterns as readPatternsRequest,
} from '../query/count-parameters.ts'
import type { ParameterName } from '../query/parameter-table.ts'
import { planAll } from '../query/plan.ts'
import type { Result } from '../result.ts'
import {
  type Counts,
  readAggregate,
  readFacets,
  readFields,
  readHistogram,
  readPatterns,
} from '../tenant/counts.ts'
import { answer, type HonoEnv } from './answer.ts'
import { optionsOf, parametersOf, readAccess } from './read-door.ts'

export const countRoutes = new Hono<HonoEnv>()

interface Door<Request> {
  path: string
  /** Its parameters beside those that choose records. */
  parameters: readonly ParameterName[]
  read(parameters: Iterable<[string, string]>, nowMs: number): Result<Request>
  count(env: Env, counts: Counts, request: Request): Promise<Result<unknown>>
}

function addDoor<Request>({ path, parameters, read, count }: Door<Request>): void {
  countRoutes.get(path, async (c) => {
    const reader = await readAccess(c)
    if (!reader.ok) return answer(c, reader)
    const { access, scope } = reader.data
    const nowMs = Date.now()
    const plan = planAll(parametersOf(c), scope, nowMs, ['explain', ...parameters])
    if (!plan.ok) return answer(c, plan)
    const request = read(parametersOf(c), nowMs)
    if (!request.ok) return answer(c, request)
    const options = optionsOf(c, access)
    if (!options.ok) return answer(c, options)
    const { workspaceId } = scope
    const counts = { access, plan: plan.data, workspaceId, options: options.data, nowMs }
    return answer(c, await count(c.env, counts, request.data))
  })
}

addDoor({
  path: '/logs/histogram',
  parameters: HISTOGRAM_PARAMETERS,
  read: readHistogramRequest,
  count: readHistogram,
})
addDoor({
  path: '/logs/facets',
  parameters: FACETS_PARAMETERS,
  read: readFacetsRequest,
  count: readFacets,
})
addDoor({
  path: '/logs/fields',
  parameters: FIELDS_PARAMETERS,
  read: readFieldsLimit,
  count: readFields,
})
addDoor({
  path: '/logs/patterns',
  parameters: PATTERNS_PARAMETERS,
  read: readPatternsRequest,
  count: readPatterns,
})
addDoor({
  path: '/logs/aggregate',
  parameters: AGGREGATE_PARAMETERS,
  read: readAggregateRequest,
  count: readAggregate,
})
