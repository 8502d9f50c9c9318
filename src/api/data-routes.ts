// What administrators do with stored records: delete, flush, watch jobs, look at the storage, and take
// objects out of the archive. Open to the owner, and to a key with role `admin` for its own app.

import { type Context, Hono } from 'hono'
import * as z from 'zod'
import { EVERYTHING } from '../query/filter.ts'
import { matchesEverything, planFilter, type RecordFilter } from '../query/parameters.ts'
import { everythingOf } from '../query/plan.ts'
import { err, ok, type Result } from '../result.ts'
import { listArchive, openArchived, readHoldings } from '../tenant/holdings.ts'
import {
  deleteFromShards,
  flushAll,
  flushShards,
  readJob,
  type StartedJob,
} from '../tenant/jobs.ts'
import { askRegistry } from '../tenant/keys.ts'
import { type CountAnswer, countShards } from '../tenant/read.ts'
import { filterBody } from '../tenant/settings.ts'
import { parseTimeParameter } from '../time.ts'
import { mapped, readBody, shaped } from './admin-door.ts'
import { answer, type HonoEnv } from './answer.ts'
import { type Access, accessFor, authenticate, authorize, type Caller } from './auth.ts'

const time = z.union([z.string(), z.number()], 'must be a time: a text or a number')
export const DeleteBody = z.strictObject({
  filter: filterBody.optional(),
  dry_run: z.boolean().optional(),
  confirm: z.literal('all').optional(),
})
export const PruneBody = z.strictObject({
  before: time,
  dry_run: z.boolean().optional(),
  confirm: z.literal('all').optional(),
})
export const FlushBody = z.strictObject({
  app_id: z.string().min(1).optional(),
  older_than: time.optional(),
})

export const dataRoutes = new Hono<HonoEnv>()

dataRoutes.post('/apps/:app_id/delete', async (c) => {
  const access = await adminAccess(c, c.req.param('app_id'))
  if (!access.ok) return answer(c, access)
  const body = await readBody(c, DeleteBody)
  if (!body.ok) return answer(c, body)
  const { filter, dry_run = false, confirm } = body.data
  const nowMs = Date.now()
  const match = planFilter(filter, nowMs)
  if (!match.ok) return answer(c, match)
  if (!dry_run && confirm !== 'all' && spansEverything(match.data, nowMs)) {
    return answer(c, MATCHES_EVERYTHING)
  }
  return answer(c, await remove(c, access.data, match.data, dry_run))
})

dataRoutes.post('/apps/:app_id/prune', async (c) => {
  const access = await adminAccess(c, c.req.param('app_id'))
  if (!access.ok) return answer(c, access)
  const body = await readBody(c, PruneBody)
  if (!body.ok) return answer(c, body)
  const { before, dry_run = false, confirm } = body.data
  const nowMs = Date.now()
  const until = parseTimeParameter(String(before), nowMs)
  if (!until.ok) return answer(c, err('bad_request', `before: ${until.error.message}`))
  const match = { filter: EVERYTHING, since: null, until: until.data }
  if (!dry_run && confirm !== 'all' && spansEverything(match, nowMs)) {
    return answer(c, MATCHES_EVERYTHING)
  }
  return answer(c, await remove(c, access.data, match, dry_run))
})

dataRoutes.get('/apps/:app_id/jobs/:job_id', async (c) => {
  const access = await adminAccess(c, c.req.param('app_id'))
  if (!access.ok) return answer(c, access)
  const jobId = c.req.param('job_id')
  const job = await readJob(c.env, access.data, jobId)
  if (!job.ok) return answer(c, job)
  if (job.data !== null) return answer(c, ok(job.data))
  const named = JSON.stringify(jobId.slice(0, 64))
  return answer(c, err('not_found', `the app has no job ${named}; done ones are kept for 30 days`))
})

dataRoutes.get('/apps/:app_id/storage', async (c) => {
  const appId = c.req.param('app_id')
  const access = await adminAccess(c, appId)
  if (!access.ok) return answer(c, access)
  const held = await readHoldings(c.env, access.data)
  return answer(
    c,
    mapped(held, (storage) => ({ app_id: appId, ...storage })),
  )
})

dataRoutes.get('/apps/:app_id/archive', async (c) => {
  const access = await adminAccess(c, c.req.param('app_id'))
  if (!access.ok) return answer(c, access)
  return answer(c, await listArchive(c.env, access.data))
})

dataRoutes.get('/apps/:app_id/archive/:key{.+}', async (c) => {
  const access = await adminAccess(c, c.req.param('app_id'))
  if (!access.ok) return answer(c, access)
  const opened = await openArchived(c.env, access.data, c.req.param('key'))
  if (!opened.ok) return answer(c, opened)
  const object = opened.data
  const file = object.key.slice(object.key.lastIndexOf('/') + 1)
  return new Response(object.body, {
    headers: {
      'Content-Type': 'application/vnd.apache.parquet',
      'Content-Length': String(object.size),
      'Content-Disposition': `attachment; filename="${file}"`,
      ETag: object.httpEtag,
    },
  })
})

dataRoutes.post('/flush', async (c) => {
  const nowMs = Date.now()
  const caller = await authenticate(c.env, c.req.raw.headers, nowMs)
  if (!caller.ok) return answer(c, caller)
  const asked = await flushParameters(c)
  if (!asked.ok) return answer(c, asked)
  const appId = asked.data.app_id ?? null
  const access = isAboutAll(caller.data, appId)
    ? null
    : await accessFor(c.env, caller.data, { need: 'admin', appId, nowMs })
  if (access !== null && !access.ok) return answer(c, access)
  const olderThan = olderThanOf(asked.data.older_than, nowMs)
  if (!olderThan.ok) return answer(c, olderThan)
  if (access === null) {
    const tenants = await askRegistry(c.env, (registry) => registry.tenants())
    return answer(c, tenants.ok ? await flushAll(c.env, tenants.data, olderThan.data) : tenants)
  }
  const { appId: app_id } = access.data.tenant
  const job = await flushShards(c.env, access.data, olderThan.data)
  return answer(
    c,
    mapped(job, ({ job_id }) => ({ jobs: [{ app_id, job_id }] })),
  )
})

const adminAccess = (c: Context<HonoEnv>, appId: string): Promise<Result<Access>> =>
  authorize(c.env, c.req.raw.headers, { need: 'admin', appId })

/** Counts what a deletion would touch, or starts it. */
function remove(
  c: Context<HonoEnv>,
  access: Access,
  match: RecordFilter,
  isDryRun: boolean,
): Promise<Result<CountAnswer | StartedJob>> {
  return isDryRun
    ? countShards(c.env, access, everythingOf(match))
    : deleteFromShards(c.env, access, match)
}

/** Whether it matches all that is stored, an end that is not past being none. */
const spansEverything = (match: RecordFilter, nowMs: number) =>
  matchesEverything(match.until && match.until.ms >= nowMs ? { ...match, until: null } : match)

const MATCHES_EVERYTHING = err(
  'bad_request',
  'this matches every record of the app: if that is meant, repeat it with "confirm":"all"',
)

/** The owner who names no app means all of them. */
const isAboutAll = ({ grant, appHeader, orgHeader }: Caller, appId: string | null) =>
  grant === null && !appId && appHeader === null && orgHeader === null

/** Members of the body or parameters, each in one place. */
async function flushParameters(c: Context<HonoEnv>): Promise<Result<z.infer<typeof FlushBody>>> {
  const body = await readBody(c, FlushBody, true)
  if (!body.ok) return body
  const given: Record<string, unknown> = { ...body.data }
  for (const [name, value] of new URL(c.req.url).searchParams) {
    if (name in given) return err('bad_request', `${name} is given twice`)
    given[name] = value
  }
  return shaped(FlushBody, given)
}

/** A sender's clock may be a little ahead of ours. */
const CLOCK_AHEAD_MS_MAX = 60_000
/** A shard's clock may be too, and everything is to be flushed that it took until now. */
const SHARD_AHEAD_MS = 1000

function olderThanOf(sent: string | number | undefined, nowMs: number): Result<number> {
  if (sent === undefined) return ok(nowMs + SHARD_AHEAD_MS)
  const parsed = parseTimeParameter(String(sent), nowMs)
  if (!parsed.ok) return err('bad_request', `older_than: ${parsed.error.message}`)
  const { ms } = parsed.data
  if (ms <= nowMs + CLOCK_AHEAD_MS_MAX) return ok(ms)
  const iso = new Date(ms).toISOString()
  return err('bad_request', `older_than: ${iso} is in the future; leave it out for all there is`)
}
