// Logs out: GET /logs, GET /logs/count, GET /logs/:id, GET /stats/:app_id.

import { Hono } from 'hono'
import { planAll, planQuery } from '../query/plan.ts'
import { err, ok } from '../result.ts'
import { countShards, queryShards, readRecord } from '../tenant/read.ts'
import { readStats } from '../tenant/route.ts'
import { answer, type HonoEnv } from './answer.ts'
import { requireUnbound } from './auth.ts'
import { optionsOf, parametersOf, readAccess } from './read-door.ts'

export const queryRoutes = new Hono<HonoEnv>()

queryRoutes.get('/logs', async (c) => {
  const reader = await readAccess(c)
  if (!reader.ok) return answer(c, reader)
  const { access, scope } = reader.data
  const plan = planQuery(parametersOf(c), scope, Date.now(), ['explain'])
  if (!plan.ok) return answer(c, plan)
  const options = optionsOf(c, access)
  return answer(c, options.ok ? await queryShards(c.env, access, plan.data, options.data) : options)
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

queryRoutes.get('/logs/:id{[0-9]{1,3}-[0-9]{1,15}}', async (c) => {
  const reader = await readAccess(c)
  if (!reader.ok) return answer(c, reader)
  const id = c.req.param('id')
  const [shard = 0, seq = 0] = id.split('-').map(Number)
  const record = await readRecord(c.env, reader.data.access, shard, seq)
  if (!record.ok) return answer(c, record)
  const { workspaceId } = reader.data.access
  const isHidden = workspaceId !== null && record.data?.workspace_id !== workspaceId
  if (record.data === null || isHidden)
    return answer(c, err('not_found', `there is no record ${id}`))
  return answer(c, ok(record.data))
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
