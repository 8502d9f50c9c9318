// Apps, their keys and their settings. Open to the owner, and to a key with role `admin` for its own
// app. The registry does the work; here bodies become its nouns and its nouns become answers.

import { Hono } from 'hono'
import * as z from 'zod'
import { SHARDS_MAX } from '../limits.ts'
import { err, ok, type Result } from '../result.ts'
import { forgetApp, forgetKey, makeKey } from '../tenant/keys.ts'
import type { App, Key } from '../tenant/registry.ts'
import { changeOf, SettingsBody, wireSettings } from '../tenant/settings.ts'
import { parseTime } from '../time.ts'
import { ask, enter, mapped, readBody, refOf } from './admin-door.ts'
import { answer, type HonoEnv } from './answer.ts'
import { authenticate } from './auth.ts'

const APP_ID = /^[a-z0-9][a-z0-9_-]{0,62}$/
const NAME_CHARS_MAX = 128
/** Of up to 3 bytes each, so that it fits the column that every record of the key carries it in. */
const WORKSPACE_CHARS_MAX = 256
const LOCATION_HINTS = [
  'wnam',
  'enam',
  'sam',
  'weur',
  'eeur',
  'apac',
  'apac-ne',
  'apac-se',
  'oc',
  'afr',
  'me',
] as const satisfies DurableObjectLocationHint[]

const name = z.string().trim().min(1).max(NAME_CHARS_MAX)
export const NewAppBody = z.strictObject({
  app_id: z.string().regex(APP_ID, `must match ${APP_ID.source}`),
  name: name.optional(),
  shards: z.int().min(1).max(SHARDS_MAX).default(1),
  location_hint: z.enum(LOCATION_HINTS).optional(),
})
export const NewKeyBody = z
  .strictObject({
    role: z.enum(['ingest', 'read', 'admin']),
    name: name.optional(),
    workspace_id: z
      .string()
      .min(1)
      .max(WORKSPACE_CHARS_MAX)
      .refine((id) => id.isWellFormed(), 'must be Unicode')
      .optional(),
    expires_at: z.union([z.string(), z.number()]).optional(),
  })
  .refine((key) => key.role !== 'admin' || key.workspace_id === undefined, {
    path: ['workspace_id'],
    error: 'an admin key is for the whole app: leave workspace_id out, or choose another role',
  })

export const adminRoutes = new Hono<HonoEnv>()

adminRoutes.post('/apps', async (c) => {
  const caller = await authenticate(c.env, c.req.raw.headers, Date.now())
  if (!caller.ok) return answer(c, caller)
  if (caller.data.grant !== null) {
    return answer(c, err('forbidden', 'only ADMIN_KEY makes apps'))
  }
  const body = await readBody(c, NewAppBody)
  if (!body.ok) return answer(c, body)
  const { app_id: appId, name, shards, location_hint } = body.data
  const made = await ask(c, (registry) =>
    registry.createApp({
      appId,
      name: name ?? null,
      shards,
      locationHint: location_hint ?? null,
    }),
  )
  forgetApp(appId)
  return answer(c, mapped(made, wireApp))
})

adminRoutes.get('/apps', async (c) => {
  const caller = await authenticate(c.env, c.req.raw.headers, Date.now())
  if (!caller.ok) return answer(c, caller)
  if (caller.data.grant === null) {
    const apps = await ask(c, (registry) => registry.listApps())
    return answer(
      c,
      mapped(apps, (all) => ({ apps: all.map(wireApp) })),
    )
  }
  const ref = refOf(caller.data, null)
  if (!ref.ok) return answer(c, ref)
  const app = await ask(c, (registry) => registry.getApp(ref.data))
  return answer(
    c,
    mapped(app, (own) => ({ apps: [wireApp(own)] })),
  )
})

adminRoutes.get('/apps/:app_id', async (c) => {
  const ref = await enter(c, c.req.param('app_id'))
  if (!ref.ok) return answer(c, ref)
  return answer(c, mapped(await ask(c, (registry) => registry.getApp(ref.data)), wireApp))
})

adminRoutes.delete('/apps/:app_id', async (c) => {
  const ref = await enter(c, c.req.param('app_id'))
  if (!ref.ok) return answer(c, ref)
  const { appId } = ref.data
  if (c.req.query('confirm') !== appId) {
    return answer(
      c,
      err(
        'bad_request',
        `this deletes all data and keys of the app: repeat it with ?confirm=${appId}`,
      ),
    )
  }
  const gone = await ask(c, (registry) => registry.deleteApp(ref.data))
  forgetApp(appId)
  return answer(
    c,
    mapped(gone, () => ({ app_id: appId, deleted: true })),
  )
})

adminRoutes.get('/apps/:app_id/settings', async (c) => {
  const ref = await enter(c, c.req.param('app_id'))
  if (!ref.ok) return answer(c, ref)
  const settings = await ask(c, (registry) => registry.getSettings(ref.data))
  return answer(c, mapped(settings, wireSettings))
})

adminRoutes.patch('/apps/:app_id/settings', async (c) => {
  const ref = await enter(c, c.req.param('app_id'))
  if (!ref.ok) return answer(c, ref)
  const body = await readBody(c, SettingsBody)
  if (!body.ok) return answer(c, body)
  const change = changeOf(body.data, Date.now())
  if (!change.ok) return answer(c, change)
  const changed = await ask(c, (registry) => registry.updateSettings(ref.data, change.data))
  forgetApp(ref.data.appId)
  return answer(c, mapped(changed, wireSettings))
})

adminRoutes.post('/apps/:app_id/keys', async (c) => {
  const ref = await enter(c, c.req.param('app_id'))
  if (!ref.ok) return answer(c, ref)
  const body = await readBody(c, NewKeyBody)
  if (!body.ok) return answer(c, body)
  const { role, name, workspace_id, expires_at } = body.data
  const expiresMs = expiryOf(expires_at, Date.now())
  if (!expiresMs.ok) return answer(c, expiresMs)
  const { key, hashHex, prefix } = makeKey(role)
  const made = await ask(c, (registry) =>
    registry.createKey(ref.data, {
      role,
      name: name ?? null,
      workspaceId: workspace_id ?? null,
      prefix,
      expiresMs: expiresMs.data,
      hashHex,
    }),
  )
  // Without last_used, which a key that was made this moment has not.
  return answer(
    c,
    mapped(made, (stored) => {
      const { key_id, last_used: _, ...shown } = wireKey(stored)
      return { key_id, key, ...shown }
    }),
  )
})

adminRoutes.get('/apps/:app_id/keys', async (c) => {
  const ref = await enter(c, c.req.param('app_id'))
  if (!ref.ok) return answer(c, ref)
  const keys = await ask(c, (registry) => registry.listKeys(ref.data))
  return answer(
    c,
    mapped(keys, (all) => ({ keys: all.map(wireKey) })),
  )
})

adminRoutes.get('/apps/:app_id/keys/:key_id', async (c) => {
  const ref = await enter(c, c.req.param('app_id'))
  if (!ref.ok) return answer(c, ref)
  const keyId = c.req.param('key_id')
  return answer(c, mapped(await ask(c, (registry) => registry.getKey(ref.data, keyId)), wireKey))
})

adminRoutes.delete('/apps/:app_id/keys/:key_id', async (c) => {
  const ref = await enter(c, c.req.param('app_id'))
  if (!ref.ok) return answer(c, ref)
  const keyId = c.req.param('key_id')
  const gone = await ask(c, (registry) => registry.deleteKey(ref.data, keyId))
  forgetKey(keyId)
  return answer(
    c,
    mapped(gone, () => ({ key_id: keyId, deleted: true })),
  )
})

/** When a key ends, in ms; null: never. */
function expiryOf(sent: string | number | undefined, nowMs: number): Result<number | null> {
  if (sent === undefined) return ok(null)
  const time = parseTime(sent)
  if (!time.ok) return err(time.error.code, `expires_at: ${time.error.message}`)
  const { ms } = time.data
  return ms > nowMs ? ok(ms) : err('bad_request', `expires_at: ${iso(ms)} is not in the future`)
}

const wireApp = (app: App) => ({
  app_id: app.appId,
  name: app.name,
  created_at: iso(app.createdMs),
  shards: app.shards,
  location_hint: app.locationHint,
})

const wireKey = (key: Key) => ({
  key_id: key.keyId,
  role: key.role,
  name: key.name,
  workspace_id: key.workspaceId,
  prefix: key.prefix,
  created_at: iso(key.createdMs),
  last_used: key.lastUsedDay,
  expires_at: key.expiresMs === null ? null : iso(key.expiresMs),
})

const iso = (ms: number) => new Date(ms).toISOString()
