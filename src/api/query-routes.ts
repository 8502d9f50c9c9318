// Logs out: GET /logs, GET /logs/count, GET /logs/:id, GET /stats/:app_id.

import { type Context, Hono } from 'hono'
import { planAll, planQuery } from '../query/plan.ts'
import { err, ok, type Result } from '../result.ts'
import { countShards, queryShards, readRecord } from '../tenant/read.ts'
import { readStats } from '../tenant/route.ts'
import { answer, type HonoEnv } from './answer.ts'
import { type Access, authorize, queryScopeOf, requireUnbound } from './auth.ts'

export const queryRoutes = new Hono<HonoEnv>()

queryRoutes.get('/logs', async (c) => {
  const access = await readAccess(c, c.req.query('app_id') ?? null)
  if (!access.ok) return answer(c, access)
  const scope = queryScopeOf(access.data)
  const plan = planQuery(new URL(c.req.url).searchParams, scope, Date.now())
  return answer(c, plan.ok ? await queryShards(c.env, access.data, plan.data) : plan)
})

queryRoutes.get('/logs/count', async (c) => {
  const access = await readAccess(c, c.req.query('app_id') ?? null)
  if (!access.ok) return answer(c, access)
  const scope = queryScopeOf(access.data)
  const plan = planAll(new URL(c.req.url).searchParams, scope, Date.now())
  return answer(c, plan.ok ? await countShards(c.env, access.data, plan.data) : plan)
})

queryRoutes.get('/logs/:id{[0-9]{1,3}-[0-9]{1,15}}', async (c) => {
  const access = await readAccess(c, c.req.query('app_id') ?? null)
  if (!access.ok) return answer(c, access)
  const id = c.req.param('id')
  const [shard = 0, seq = 0] = id.split('-').map(Number)
  const record = await readRecord(c.env, access.data, shard, seq)
  if (!record.ok) return answer(c, record)
  const { workspaceId } = access.data
  const isHidden = workspaceId !== null && record.data?.workspace_id !== workspaceId
  if (record.data === null || isHidden)
    return answer(c, err('not_found', `there is no record ${id}`))
  return answer(c, ok(record.data))
})

queryRoutes.get('/stats/:app_id', async (c) => {
  const appId = c.req.param('app_id')
  const access = await readAccess(c, appId)
  if (!access.ok) return answer(c, access)
  const unbound = requireUnbound(access.data)
  if (!unbound.ok) return answer(c, unbound)
  const stats = await readStats(c.env, unbound.data)
  return answer(c, stats.ok ? ok({ app_id: appId, ...stats.data }) : stats)
})

const readAccess = (c: Context<HonoEnv>, appId: string | null): Promise<Result<Access>> =>
  authorize(c.env, c.req.raw.headers, { need: 'read', appId })
