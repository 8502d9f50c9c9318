// Who asks, and what they may do. Two steps, because doors learn the app at different times:
// `authenticate` reads the headers, `accessFor` (or `scopeOf`) holds the caller to one app and role.
//
// 401: we do not know you. 403: we do, and you may not. Neither says whether another app exists.

import { Buffer } from 'node:buffer'
import { createHash, timingSafeEqual } from 'node:crypto'
import type { Env } from '../env.ts'
import { err, ok, type Result } from '../result.ts'
import { forgetApp, grantForKey, isKeyForm, tenantForApp } from '../tenant/keys.ts'
import type { Grant, Role, Tenant } from '../tenant/registry.ts'

/** What a request may do to one app. */
export interface Access {
  tenant: Tenant
  /** Goes with every shard call, which checks it again. Null: the owner, or RPC. */
  keyId: string | null
  role: Role | 'owner'
  /** The one workspace this caller writes and sees; null: all. */
  workspaceId: string | null
}

/** Who sent a request, before it is known what it is about. */
export interface Caller {
  /** Null: the owner, who sent ADMIN_KEY. */
  grant: Grant | null
  /** X-App-Id and X-Scope-OrgID as sent. They choose an app for the owner only, and must always agree. */
  appHeader: string | null
  orgHeader: string | null
}

export interface Need {
  need: Role
  /** The app that the path, a parameter or a body names; null: none does. */
  appId: string | null
}

/** Ours has 60; a foreign credential may be longer, and is not worth hashing. */
const KEY_CHARS_MAX = 512

/** What a deployment without its secret answers to everything but /health. */
export const NOT_CONFIGURED = err(
  'not_configured',
  'this deployment has no ADMIN_KEY: set it with `wrangler secret put ADMIN_KEY`, or in .dev.vars for a local run',
)

/** The caller by the headers alone. Without a configured ADMIN_KEY nobody is let in. */
export async function authenticate(
  env: Env,
  headers: Headers,
  nowMs: number,
): Promise<Result<Caller>> {
  const adminKey = env.ADMIN_KEY?.trim()
  if (!adminKey) {
    return NOT_CONFIGURED
  }
  const sent = sentKey(headers)
  if (!sent.ok) return sent
  const caller = (grant: Grant | null): Result<Caller> =>
    ok({
      grant,
      appHeader: headers.get('X-App-Id') || null,
      orgHeader: headers.get('X-Scope-OrgID') || null,
    })
  // A key of our own form is no ADMIN_KEY, unless the owner made it one: two digests saved a request.
  const mayBeOwner = !isKeyForm(sent.data) || isKeyForm(adminKey)
  if (mayBeOwner && isSameSecret(sent.data, adminKey)) return caller(null)
  const grant = await grantForKey(env, sent.data, nowMs)
  if (!grant.ok) return grant
  if (grant.data === null) return err('unauthorized', 'the key is unknown, expired or deleted')
  return caller(grant.data)
}

/**
 * The app_id this caller works on, if it may do what is needed there. Does not ask whether the
 * owner's app exists.
 */
export function scopeOf(caller: Caller, { need, appId }: Need): Result<string> {
  const { grant, appHeader, orgHeader } = caller
  const named = [appId || null, appHeader].filter((name) => name !== null)
  if (grant === null) {
    const app = named[0]
    if (app === undefined) {
      return err('bad_request', 'ADMIN_KEY opens every app: name one by app_id or X-App-Id')
    }
    const other = [...named, ...(orgHeader === null ? [] : [orgHeader])].find((x) => x !== app)
    if (other === undefined) return ok(app)
    return err('bad_request', `the request names two apps, ${quoted(app)} and ${quoted(other)}`)
  }
  const own = grant.tenant.appId
  const other = named.find((name) => name !== own)
  if (other !== undefined) {
    return err('forbidden', `this key is of app ${quoted(own)} and opens no other`)
  }
  if (orgHeader !== null && orgHeader !== own) {
    return err(
      'forbidden',
      `X-Scope-OrgID is ${quoted(orgHeader)}, but this key is of app ${quoted(own)}`,
    )
  }
  if (grant.role !== need && grant.role !== 'admin') {
    return err(
      'forbidden',
      `this key may ${grant.role}; the request needs a key with role ${need === 'admin' ? need : `${need} or admin`}`,
    )
  }
  return ok(own)
}

/** Both steps at once, for a door that knows the app before it knows the caller. */
export async function authorize(env: Env, headers: Headers, need: Need): Promise<Result<Access>> {
  const nowMs = Date.now()
  const caller = await authenticate(env, headers, nowMs)
  return caller.ok ? accessFor(env, caller.data, { ...need, nowMs }) : caller
}

/** Whose records a query with this access is about (query/plan.ts). */
export const queryScopeOf = ({ tenant, workspaceId }: Access) => ({
  tenantId: tenant.tenantId,
  workspaceId,
})

/** The access of a caller to the one app it works on. */
export async function accessFor(
  env: Env,
  caller: Caller,
  { need, appId, nowMs }: Need & { nowMs: number },
): Promise<Result<Access>> {
  const scope = scopeOf(caller, { need, appId })
  if (!scope.ok) return scope
  if (caller.grant === null) {
    // An owner may just have made the app again elsewhere; that is rare, and asking costs little.
    forgetApp(scope.data)
    return ownerAccess(env, scope.data, nowMs)
  }
  const { tenant, keyId, role, workspaceId } = caller.grant
  return ok({ tenant, keyId, role, workspaceId })
}

/** Access for whoever needs no key: the owner, and Workers of the same account over RPC. */
export async function ownerAccess(env: Env, appId: string, nowMs: number): Promise<Result<Access>> {
  const tenant = await tenantForApp(env, appId, nowMs)
  if (!tenant.ok) return tenant
  if (tenant.data === null) return err('not_found', `there is no app ${quoted(appId)}`)
  return ok({ tenant: tenant.data, keyId: null, role: 'owner', workspaceId: null })
}

/** Refuses a key of one workspace where the answer is about the whole app. */
export function requireUnbound(access: Access): Result<Access> {
  if (access.workspaceId === null) return ok(access)
  return err(
    'forbidden',
    `this key is bound to workspace ${quoted(access.workspaceId)}, and the request is about the whole app`,
  )
}

/** The one key of a request, in any of the three forms that clients use. */
function sentKey(headers: Headers): Result<string> {
  const direct = headers.get('X-API-Key') || null
  const authorization = headers.get('Authorization') || null
  const carried = authorization === null ? null : keyOfAuthorization(authorization)
  // A scheme of someone else's (a proxy's, a signature) is no contradiction to X-API-Key.
  const key = direct ?? carried
  if (key === null) {
    return err(
      'unauthorized',
      authorization === null
        ? 'no key: send it as `X-API-Key: <key>`, `Authorization: Bearer <key>`, or the password of basic authentication'
        : 'Authorization carries no key: send `Bearer <key>`, or `Basic` with the key as password',
    )
  }
  if (direct !== null && carried !== null && direct !== carried) {
    return err('bad_request', 'X-API-Key and Authorization carry different keys: send one')
  }
  if (key.length > KEY_CHARS_MAX) return err('unauthorized', 'the key is unknown')
  return ok(key)
}

/** The key in `Bearer <key>` or `Basic base64(<any name>:<key>)`, else null. */
function keyOfAuthorization(value: string): string | null {
  const form = /^(bearer|basic) +(\S+)$/i.exec(value)
  if (form === null) return null
  const [, scheme = '', credential = ''] = form
  if (scheme.toLowerCase() === 'bearer') return credential
  const pair = Buffer.from(credential, 'base64').toString('utf8')
  const colon = pair.indexOf(':')
  return colon < 0 ? null : pair.slice(colon + 1) || null
}

/** In constant time whatever the lengths: digests are compared, not the texts. */
function isSameSecret(sent: string, secret: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(sent), digest(secret))
}

const quoted = (name: string) => JSON.stringify(name.slice(0, 64))
