import { env as bound } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import { adminRoutes } from '../../src/api/admin-routes.ts'
import type { Env } from '../../src/env.ts'
import { err } from '../../src/result.ts'
import { makeKey } from '../../src/tenant/keys.ts'
import { checkDescribed } from '../described.ts'

const env = bound as Env
const OWNER = 'test-admin-key'

interface Sent {
  /** In place of the deployment's. */
  env?: Env
  key?: string
  headers?: Record<string, string>
  body?: unknown
  /** Sent as it is, where `body` is made JSON. */
  raw?: BodyInit
}
type Answer = {
  ok: boolean
  // Whatever the door answers: each test says what it expects.
  data: Record<string, never>
  error: { code: string; message: string; details?: Record<string, unknown> }
}

async function send(line: string, sent: Sent = {}) {
  const { key = OWNER, headers = {}, body, raw } = sent
  const [method = '', path = ''] = line.split(' ')
  const init: RequestInit = { method, headers: { ...(key && { 'X-API-Key': key }), ...headers } }
  if (raw !== undefined) init.body = raw
  else if (body !== undefined) init.body = JSON.stringify(body)
  const url = `http://logs${path}`
  const response = await adminRoutes.fetch(new Request(url, init), sent.env ?? env)
  await checkDescribed(method, url, response)
  return {
    status: response.status,
    headers: response.headers,
    ...((await response.json()) as Answer),
  }
}

async function appNamed(app_id: string, more: object = {}) {
  const made = await send('POST /apps', { body: { app_id, ...more } })
  expect(made).toMatchObject({ status: 200, ok: true })
  return made.data
}
async function keyOf(app_id: string, body: object): Promise<Record<string, string>> {
  const made = await send(`POST /apps/${app_id}/keys`, { body })
  expect(made).toMatchObject({ status: 200, ok: true })
  return made.data
}
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

describe('POST /apps', () => {
  it('makes an app', async () => {
    expect(await appNamed('made', { name: 'Made', shards: 3, location_hint: 'weur' })).toEqual({
      app_id: 'made',
      name: 'Made',
      created_at: expect.stringMatching(ISO),
      shards: 3,
      location_hint: 'weur',
    })
    expect(await appNamed('bare')).toMatchObject({ name: null, shards: 1, location_hint: null })
  })

  it('takes JSON under the media type of curl -d', async () => {
    const made = await send('POST /apps', {
      raw: '{"app_id":"curled"}',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    })
    expect(made.status).toBe(200)
  })

  it('refuses a name that is taken', async () => {
    await appNamed('taken')
    const again = await send('POST /apps', { body: { app_id: 'taken' } })
    expect(again).toMatchObject({ status: 409, error: { code: 'conflict' } })
  })

  const refuses = (name: string, sent: Sent, status: number, code: string, message: string) =>
    it(`refuses ${name}`, async () => {
      expect(await send('POST /apps', sent)).toMatchObject({
        status,
        ok: false,
        error: { code, message: expect.stringContaining(message) },
      })
    })
  const bad = (name: string, body: unknown, message: string) =>
    refuses(name, { body }, 400, 'bad_request', message)

  bad('no app_id', {}, 'app_id')
  bad('an empty app_id', { app_id: '' }, 'app_id: must match')
  bad('capitals', { app_id: 'Shop' }, 'app_id: must match')
  bad('an app_id that begins with a dash', { app_id: '-a' }, 'app_id: must match')
  bad('an app_id of 64 characters', { app_id: 'a'.repeat(64) }, 'app_id: must match')
  bad('an app_id with a line break', { app_id: 'a\n' }, 'app_id: must match')
  bad('an app_id that is a number', { app_id: 1 }, 'app_id')
  bad('no shards', { app_id: 'x', shards: 0 }, 'shards')
  bad('65 shards', { app_id: 'x', shards: 65 }, 'shards')
  bad('half a shard', { app_id: 'x', shards: 1.5 }, 'shards')
  bad('shards as text', { app_id: 'x', shards: '2' }, 'shards')
  bad('a place that is none', { app_id: 'x', location_hint: 'moon' }, 'location_hint')
  bad('an empty name', { app_id: 'x', name: ' ' }, 'name')
  bad('a very long name', { app_id: 'x', name: 'n'.repeat(129) }, 'name')
  bad('a member we do not know', { app_id: 'x', shard: 2 }, '"shard"')
  bad('an array', [], 'object')
  bad('null', null, 'object')
  refuses('__proto__', { raw: '{"app_id":"x","__proto__":1}' }, 400, 'bad_request', '__proto__')
  refuses('no body', {}, 400, 'bad_json', 'not JSON')
  refuses('half a body', { raw: '{"app_id":' }, 400, 'bad_json', 'not JSON')
  refuses('bytes that are not UTF-8', { raw: new Uint8Array([34, 255, 34]) }, 400, 'bad_json', '')
  refuses('depth', { raw: '['.repeat(65_000) }, 400, 'bad_json', '')
  refuses('a body over the bound', { raw: ' '.repeat(65_537) }, 413, 'too_large', '65536')
  refuses(
    'a compressed body',
    { raw: 'x', headers: { 'Content-Encoding': 'gzip' } },
    415,
    'unsupported_encoding',
    'plain JSON',
  )
  refuses('no key', { key: '', body: { app_id: 'x' } }, 401, 'unauthorized', 'no key')
  refuses('an unknown key', { key: 'x', body: { app_id: 'x' } }, 401, 'unauthorized', 'unknown')

  it('is closed to every key of an app', async () => {
    await appNamed('maker')
    for (const role of ['ingest', 'read', 'admin']) {
      const { key = '' } = await keyOf('maker', { role })
      const answer = await send('POST /apps', { key, body: { app_id: 'never' } })
      expect(answer).toMatchObject({ status: 403, error: { code: 'forbidden' } })
    }
  })

  it('takes bounds in full', async () => {
    await appNamed('a'.repeat(63), { shards: 64, name: 'n'.repeat(128) })
    await appNamed('0_-')
  })
})

describe('apps', () => {
  it('are listed to the owner, its own alone to an admin, none to other keys', async () => {
    await appNamed('list-a')
    await appNamed('list-b')
    const all = await send('GET /apps')
    const ids = (all.data.apps as unknown as { app_id: string }[]).map((app) => app.app_id)
    expect(ids).toEqual([...ids].sort())
    expect(ids).toEqual(expect.arrayContaining(['list-a', 'list-b']))
    const { key: admin = '' } = await keyOf('list-a', { role: 'admin' })
    const own = await send('GET /apps', { key: admin })
    expect(own.data).toMatchObject({ apps: [{ app_id: 'list-a' }] })
    expect(own.data.apps).toHaveLength(1)
    const { key: reader = '' } = await keyOf('list-a', { role: 'read' })
    expect((await send('GET /apps', { key: reader })).status).toBe(403)
    const foreign = { key: admin, headers: { 'X-App-Id': 'list-b' } }
    expect((await send('GET /apps', foreign)).status).toBe(403)
  })

  it('are shown to the owner and their admin, and no one learns whether another is', async () => {
    const made = await appNamed('shown')
    await appNamed('shown-other')
    const { key = '' } = await keyOf('shown', { role: 'admin' })
    expect((await send('GET /apps/shown')).data).toEqual(made)
    expect((await send('GET /apps/shown', { key })).data).toEqual(made)
    expect((await send('GET /apps/nope')).status).toBe(404)
    const there = await send('GET /apps/shown-other', { key })
    const nowhere = await send('GET /apps/nope', { key })
    expect(there.status).toBe(403)
    expect([nowhere.status, nowhere.error]).toEqual([there.status, there.error])
  })

  it('are refused to the owner when a header names another', async () => {
    await appNamed('headed')
    const answer = await send('GET /apps/headed', { headers: { 'X-App-Id': 'other' } })
    expect(answer.status).toBe(400)
  })
})

describe('DELETE /apps/:app_id', () => {
  it('wants the name again', async () => {
    await appNamed('unsure')
    for (const query of ['', '?confirm=', '?confirm=true', '?confirm=unsur']) {
      const answer = await send(`DELETE /apps/unsure${query}`)
      expect(answer).toMatchObject({ status: 400, error: { code: 'bad_request' } })
      expect(answer.error.message).toContain('?confirm=unsure')
    }
    expect((await send('GET /apps/unsure')).status).toBe(200)
  })

  it('takes the app, its keys and its name away, and the next app of that name is another', async () => {
    await appNamed('gone')
    const { key = '', key_id } = await keyOf('gone', { role: 'admin' })
    const gone = await send('DELETE /apps/gone?confirm=gone')
    expect(gone).toMatchObject({ status: 200, data: { app_id: 'gone', deleted: true } })
    expect((await send('GET /apps/gone')).status).toBe(404)
    expect((await send('DELETE /apps/gone?confirm=gone')).status).toBe(404)
    expect((await send('GET /apps/gone', { key })).status).toBe(401)
    await appNamed('gone')
    expect((await send('GET /apps/gone', { key })).status).toBe(401)
    expect((await send(`GET /apps/gone/keys/${key_id}`)).status).toBe(404)
  })

  it('is open to the admin of the app, and to no other key', async () => {
    await appNamed('own')
    await appNamed('own-not')
    const { key: admin = '' } = await keyOf('own', { role: 'admin' })
    const { key: ingest = '' } = await keyOf('own', { role: 'ingest' })
    expect((await send('DELETE /apps/own?confirm=own', { key: ingest })).status).toBe(403)
    expect((await send('DELETE /apps/own-not?confirm=own-not', { key: admin })).status).toBe(403)
    expect((await send('DELETE /apps/own?confirm=own', { key: admin })).status).toBe(200)
    expect((await send('GET /apps/own')).status).toBe(404)
  })
})

describe('POST /apps/:app_id/keys', () => {
  it('shows the key this once', async () => {
    await appNamed('keyed')
    const made = await keyOf('keyed', { role: 'ingest', name: 'CI', workspace_id: 'w1' })
    const key = made.key ?? ''
    expect(made).toEqual({
      key_id: expect.stringMatching(/^key_[0-9a-f]{24}$/),
      key: expect.stringMatching(/^wlk_ingest_[0-9A-Za-z]{49}$/),
      role: 'ingest',
      name: 'CI',
      workspace_id: 'w1',
      prefix: key.slice(0, 17),
      created_at: expect.stringMatching(ISO),
      expires_at: null,
    })
    const { key: _, ...rest } = made
    const shown = { ...rest, last_used: null }
    expect((await send(`GET /apps/keyed/keys/${made.key_id}`)).data).toEqual(shown)
    expect((await send('GET /apps/keyed/keys')).data).toEqual({ keys: [shown] })
  })

  it('says the day a key was last used', async () => {
    await appNamed('used')
    const { key = '', key_id } = await keyOf('used', { role: 'admin' })
    await send('GET /apps/used', { key })
    const { data } = await send(`GET /apps/used/keys/${key_id}`)
    expect(data.last_used).toBe(new Date().toISOString().slice(0, 10))
  })

  const expires = (sent: string | number, ms: number) =>
    it(`takes ${sent} as the end of a key`, async () => {
      await send('POST /apps', { body: { app_id: 'ends' } })
      const { expires_at } = await keyOf('ends', { role: 'read', expires_at: sent })
      expect(expires_at).toBe(new Date(ms).toISOString())
    })
  expires('2100-01-02T03:04:05Z', Date.UTC(2100, 0, 2, 3, 4, 5))
  expires('2100-01-02T03:04:05.678', Date.UTC(2100, 0, 2, 3, 4, 5, 678))
  expires('2100-01-02T03:04:05+02:00', Date.UTC(2100, 0, 2, 1, 4, 5))
  expires(4_102_542_245, 4_102_542_245_000)
  expires(4_102_542_245_678, 4_102_542_245_678)

  const refuses = (name: string, body: unknown, message: string) =>
    it(`refuses ${name}`, async () => {
      await send('POST /apps', { body: { app_id: 'strict' } })
      expect(await send('POST /apps/strict/keys', { body })).toMatchObject({
        status: 400,
        error: { code: 'bad_request', message: expect.stringContaining(message) },
      })
    })
  refuses('no role', {}, 'role')
  refuses('a role that is none', { role: 'owner' }, 'role')
  refuses('an admin of one workspace', { role: 'admin', workspace_id: 'w' }, 'workspace_id')
  refuses('an empty workspace', { role: 'read', workspace_id: '' }, 'workspace_id')
  refuses('half a character', { role: 'read', workspace_id: '\ud800' }, 'workspace_id')
  refuses('another app', { role: 'read', app_id: 'mine' }, '"app_id"')
  refuses('a key of its own choice', { role: 'read', key: 'wlk' }, '"key"')
  refuses('an end in the past', { role: 'read', expires_at: '2020-01-01T00:00:00Z' }, 'future')
  refuses('an end before 1970', { role: 'read', expires_at: -1 }, 'expires_at')
  refuses('an end that is no time', { role: 'read', expires_at: 'soon' }, 'expires_at')
  refuses(
    'an end that is no day',
    { role: 'read', expires_at: '2100-02-30T00:00:00Z' },
    'expires_at',
  )
  refuses('an end beyond all time', { role: 'read', expires_at: 1e300 }, 'expires_at')

  it('is closed to keys that are no admin of that app, and to an app that is not', async () => {
    await appNamed('closed')
    await appNamed('closed-other')
    const { key: other = '' } = await keyOf('closed-other', { role: 'admin' })
    const { key: read = '' } = await keyOf('closed', { role: 'read' })
    const body = { role: 'admin' }
    expect((await send('POST /apps/closed/keys', { key: other, body })).status).toBe(403)
    expect((await send('POST /apps/closed/keys', { key: read, body })).status).toBe(403)
    expect((await send('POST /apps/nope/keys', { body })).status).toBe(404)
    expect((await send('GET /apps/closed/keys', { key: other })).status).toBe(403)
    expect((await send('GET /apps/closed/keys', { key: read })).status).toBe(403)
    expect((await send('GET /apps/nope/keys')).status).toBe(404)
  })
})

describe('DELETE /apps/:app_id/keys/:key_id', () => {
  it('ends the key at once, and may be repeated', async () => {
    await appNamed('ended')
    const { key = '', key_id } = await keyOf('ended', { role: 'admin' })
    expect((await send('GET /apps', { key })).status).toBe(200)
    for (let i = 0; i < 2; i++) {
      const gone = await send(`DELETE /apps/ended/keys/${key_id}`)
      expect(gone).toMatchObject({ status: 200, data: { key_id, deleted: true } })
    }
    expect((await send('GET /apps', { key })).status).toBe(401)
    expect((await send(`GET /apps/ended/keys/${key_id}`)).status).toBe(404)
    expect((await send('GET /apps/ended/keys')).data).toEqual({ keys: [] })
  })

  it('may be the last act of an admin key', async () => {
    await appNamed('quits')
    const { key = '', key_id } = await keyOf('quits', { role: 'admin' })
    expect((await send(`DELETE /apps/quits/keys/${key_id}`, { key })).status).toBe(200)
    expect((await send('GET /apps', { key })).status).toBe(401)
  })

  it('does not find a key of another app, or none', async () => {
    await appNamed('finds')
    await appNamed('finds-other')
    const { key_id } = await keyOf('finds-other', { role: 'read' })
    expect((await send(`DELETE /apps/finds/keys/${key_id}`)).status).toBe(404)
    expect((await send('DELETE /apps/finds/keys/key_0')).status).toBe(404)
    expect((await send(`GET /apps/finds-other/keys/${key_id}`)).status).toBe(200)
  })
})

describe('when something does not answer', () => {
  const broken = (registry: object) =>
    ({ ...env, REGISTRY: { getByName: () => registry } }) as unknown as Env

  it('a revocation names the shards, and says when to come again', async () => {
    const left = err('unavailable', 'not confirmed', { shards: [2] })
    const answer = await send('DELETE /apps/a/keys/key_1', {
      env: broken({ deleteKey: async () => left }),
    })
    expect(answer).toMatchObject({ status: 503, error: { details: { shards: [2] } } })
    expect(answer.headers.get('Retry-After')).toBe('1')
  })

  it('a registry that cannot be reached is 503, for keys too', async () => {
    const lost = async () => {
      throw Object.assign(new Error('Network connection lost.'), { retryable: true })
    }
    const env = broken({ grantForHash: lost, listApps: lost })
    expect((await send('GET /apps', { env })).status).toBe(503)
    expect((await send('GET /apps', { env, key: makeKey('admin').key })).status).toBe(503)
  })
})
