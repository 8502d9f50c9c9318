// Logs out: GET /logs, GET /logs/:id, GET /stats/:app_id.

import { type Context, Hono } from 'hono'
import { type Plan, planQuery } from '../query/plan.ts'
import { err, ok, type Result } from '../result.ts'
import { queryShards, readRecord, readStats } from '../tenant/route.ts'
import { answer, type HonoEnv } from './answer.ts'
import { type Access, accessFor, authenticate, requireUnbound } from './auth.ts'

export const queryRoutes = new Hono<HonoEnv>()

queryRoutes.get('/logs', async (c) => {
  const access = await readAccess(c, c.req.query('app_id') ?? null)
  if (!access.ok) return answer(c, access)
  const plan = planQuery(new URL(c.req.url).searchParams, Date.now())
  if (!plan.ok) return answer(c, plan)
  const bound = bindToWorkspace(plan.data, access.data)
  return answer(c, bound.ok ? await queryShards(c.env, access.data, bound.data) : bound)
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

/** A caller bound to a workspace sees only it, and may not ask for another. */
export function bindToWorkspace(plan: Plan, access: Access): Result<Plan> {
  const { workspaceId } = access
  if (workspaceId === null) return ok(plan)
  for (const condition of plan.filter) {
    const isOther =
      condition.kind === 'column' &&
      condition.column === 'workspace_id' &&
      condition.value !== workspaceId
    if (isOther)
      return err('forbidden', `this key is bound to workspace ${JSON.stringify(workspaceId)}`)
  }
  const own = { kind: 'column', column: 'workspace_id', value: workspaceId } as const
  return ok({ ...plan, filter: [own, ...plan.filter] })
}

async function readAccess(c: Context<HonoEnv>, appId: string | null): Promise<Result<Access>> {
  const nowMs = Date.now()
  const caller = await authenticate(c.env, c.req.raw.headers, nowMs)
  if (!caller.ok) return caller
  return accessFor(c.env, caller.data, { need: 'read', appId, nowMs })
}
