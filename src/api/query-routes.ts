// Logs out: GET /logs, GET /logs/count, GET /logs/:id, GET /stats/:app_id.

import { Hono } from 'hono'
import { readGiven, refusing } from '../query/parameters.ts'
import { planAll, planQuery } from '../query/plan.ts'
import { ok } from '../result.ts'
import { countShards, queryShards } from '../tenant/read.ts'
import { readStats } from '../tenant/route.ts'
import { answer, type HonoEnv } from './answer.ts'
import { requireUnbound } from './auth.ts'
import { answerIn, FORMATS, formatOf } from './format.ts'
import { optionsOf, parametersOf, RECORD_ID, readAccess, readVisible } from './read-door.ts'

export const queryRoutes = new Hono<HonoEnv>()

queryRoutes.get('/logs', async (c) => {
  const reader = await readAccess(c)
  if (!reader.ok) return answer(c, reader)
  const { access, scope } = reader.data
  const plan = planQuery(parametersOf(c), scope, Date.now(), ['explain', 'format'])
  if (!plan.ok) return answer(c, plan)
  const format = formatOf(c, FORMATS)
  if (!format.ok) return answer(c, format)
  const options = optionsOf(c, access)
  if (!options.ok) return answer(c, options)
  const page = await queryShards(c.env, access, plan.data, options.data)
  return answerIn(c, format.data, page, ({ logs }) => logs)
})

queryRoutes.get('/logs/count', async (c) => {
  const reader = await readAccess(c)
  if (!reader.ok) return answer(c, reader)
  const { access, scope } = reader.data
  const plan = planAll(parametersOf(c), scope, Date.now(), ['explain'])
  if (!plan.ok) return answer(c, plan)
  const options = optionsOf(c, access)
  return answer(c, options.ok ? await countShards(c.env, access, plan.data, options.data) : options)
})

queryRoutes.get(`/logs/${RECORD_ID}`, async (c) => {
  const reader = await readAccess(c)
  if (!reader.ok) return answer(c, reader)
  const given = refusing(() => readGiven(parametersOf(c), ['app_id'], false))
  if (!given.ok) return answer(c, given)
  return answer(c, await readVisible(c, reader.data.access, c.req.param('id')))
})

queryRoutes.get('/stats/:app_id', async (c) => {
  const appId = c.req.param('app_id')
  const reader = await readAccess(c, appId)
  if (!reader.ok) return answer(c, reader)
  const unbound = requireUnbound(reader.data.access)
  if (!unbound.ok) return answer(c, unbound)
  const stats = await readStats(c.env, unbound.data)
  return answer(c, stats.ok ? ok({ app_id: appId, ...stats.data }) : stats)
})
