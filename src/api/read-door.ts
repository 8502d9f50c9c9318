// What every door that reads needs first: who asks, and whose records they see.

import type { Context } from 'hono'
import type { RecordView } from '../match/view.ts'
import type { QueryScope } from '../query/parameters.ts'
import { err, ok, type Result } from '../result.ts'
import { type QueryOptions, readRecord } from '../tenant/read.ts'
import type { HonoEnv } from './answer.ts'
import { type Access, authorize, queryScopeOf, requireUnbound } from './auth.ts'

/** A caller who may read, and the scope that bounds what is planned for them. */
export interface ReadAccess {
  access: Access
  scope: QueryScope
}

/** The app is the one that `app_id` names, unless the path does. */
export async function readAccess(
  c: Context<HonoEnv>,
  appId = c.req.query('app_id') ?? null,
): Promise<Result<ReadAccess>> {
  const access = await authorize(c.env, c.req.raw.headers, { need: 'read', appId })
  return access.ok ? ok({ access: access.data, scope: queryScopeOf(access.data) }) : access
}

/** How the query of a request is carried out. What is explained is not divided by workspace. */
export function optionsOf(c: Context<HonoEnv>, access: Access): Result<QueryOptions> {
  const text = c.req.query('explain') ?? 'false'
  if (text !== 'true' && text !== 'false') {
    const details = { parameter: 'explain' }
    return err('bad_request', 'explain must be "true" or "false"', details)
  }
  const options = plainOptions(c, access)
  if (text === 'false') return ok(options)
  const unbound = requireUnbound(access)
  return unbound.ok ? ok({ ...options, explain: true }) : unbound
}

/** The same at a door that explains nothing. */
export const plainOptions = (c: Context<HonoEnv>, access: Access): QueryOptions => ({
  signal: c.req.raw.signal,
  hidesBlocks: access.workspaceId !== null,
})

/** How a path names a record. */
export const RECORD_ID = ':id{[0-9]{1,3}-[0-9]{1,15}}'

/** The record of an id, if there is one that the caller may see. */
export async function readVisible(
  c: Context<HonoEnv>,
  access: Access,
  id: string,
): Promise<Result<RecordView>> {
  const [shard = 0, seq = 0] = id.split('-').map(Number)
  const record = await readRecord(c.env, access, shard, seq)
  if (!record.ok) return record
  const { workspaceId } = access
  const isHidden = workspaceId !== null && record.data?.workspace_id !== workspaceId
  if (record.data === null || isHidden) return err('not_found', `there is no record ${id}`)
  return ok(record.data)
}

/** The parameters of the URL, in order, as sent. */
export const parametersOf = (c: Context<HonoEnv>) => new URL(c.req.url).searchParams
