import { env as bound } from 'cloudflare:workers'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  type Access,
  accessFor,
  authenticate,
  type Need,
  ownerAccess,
  requireUnbound,
} from '../../src/api/auth.ts'
import type { Env } from '../../src/env.ts'
import { askRegistry, makeKey } from '../../src/tenant/keys.ts'
import type { Role } from '../../src/tenant/registry.ts'

const env = bound as Env
const OWNER = 'test-admin-key'
const now = () => Date.now()

/** Makes a key of an app straight in the registry. */
async function keyOf(appId: string, role: Role, workspaceId: string | null = null) {
  const { key, hashHex, prefix } = makeKey(role)
  await askRegistry(env, (registry) =>
    registry.createKey(
      { appId, tenantId: null },
      { role, name: null, workspaceId, expiresMs: null, hashHex, prefix },
    ),
  )
  return key
}

const keys = { ingest: '', read: '', admin: '', bound: '' }
beforeAll(async () => {
  for (const appId of ['mine', 'other']) {
    await askRegistry(env, (registry) =>
      registry.createApp({ appId, name: null, shards: 1, locationHint: null }),
    )
  }
  keys.ingest = await keyOf('mine', 'ingest')
  keys.read = await keyOf('mine', 'read')
  keys.admin = await keyOf('mine', 'admin')
  keys.bound = await keyOf('mine', 'read', 'w1')
})

const basic = (name: string, password: string) => `Basic ${btoa(`${name}:${password}`)}`

describe('authenticate', () => {
  const knows = (name: string, headers: () => Record<string, string>, role: Role | 'owner') =>
    it(`takes ${name}`, async () => {
      const caller = await authenticate(env, new Headers(headers()), now())
      expect(caller.ok && (caller.data.grant?.role ?? 'owner')).toBe(role)
    })
  const refuses = (
    name: string,
    headers: () => Record<string, string>,
    code: string,
    message = '',
  ) =>
    it(`refuses ${name}`, async () => {
      const caller = await authenticate(env, new Headers(headers()), now())
      expect(caller).toMatchObject({
        ok: false,
        error: { code, message: expect.stringContaining(message) },
      })
      expect(JSON.stringify(caller)).not.toContain(keys.read.slice(10))
      expect(JSON.stringify(caller)).not.toContain(OWNER)
    })

  knows('X-API-Key', () => ({ 'X-API-Key': keys.ingest }), 'ingest')
  knows('Authorization: Bearer', () => ({ Authorization: `Bearer ${keys.read}` }), 'read')
  knows('bearer in any case', () => ({ Authorization: `bEARER  ${keys.read}` }), 'read')
  knows('Basic with a name', () => ({ Authorization: basic('mine', keys.read) }), 'read')
  knows('Basic without a name', () => ({ Authorization: basic('', keys.admin) }), 'admin')
  knows('ADMIN_KEY', () => ({ 'X-API-Key': OWNER }), 'owner')
  knows('ADMIN_KEY by Basic', () => ({ Authorization: basic('x', OWNER) }), 'owner')
  knows(
    'the same key twice',
    () => ({ 'X-API-Key': keys.read, Authorization: `Bearer ${keys.read}` }),
    'read',
  )
  knows(
    'X-API-Key beside a scheme that is not ours',
    () => ({ 'X-API-Key': keys.read, Authorization: 'Negotiate abc' }),
    'read',
  )

  refuses('no key', () => ({}), 'unauthorized', 'X-API-Key')
  refuses('an empty key', () => ({ 'X-API-Key': '' }), 'unauthorized', 'no key')
  refuses('an unknown key', () => ({ 'X-API-Key': makeKey('read').key }), 'unauthorized', 'unknown')
  refuses('a word', () => ({ 'X-API-Key': 'letmein' }), 'unauthorized', 'unknown')
  refuses('a prefix of ADMIN_KEY', () => ({ 'X-API-Key': OWNER.slice(0, -1) }), 'unauthorized')
  refuses('more than ADMIN_KEY', () => ({ 'X-API-Key': `${OWNER}x` }), 'unauthorized')
  refuses('a very long key', () => ({ 'X-API-Key': 'x'.repeat(100_000) }), 'unauthorized')
  refuses('another scheme', () => ({ Authorization: 'Digest x' }), 'unauthorized', 'Bearer')
  refuses('a bare key', () => ({ Authorization: keys.read }), 'unauthorized', 'Bearer')
  refuses('Bearer alone', () => ({ Authorization: 'Bearer ' }), 'unauthorized', 'Bearer')
  refuses('Basic without colon', () => ({ Authorization: `Basic ${btoa('x')}` }), 'unauthorized')
  refuses('Basic that is not base64', () => ({ Authorization: 'Basic %%%' }), 'unauthorized')
  refuses(
    'Basic with the key as name',
    () => ({ Authorization: basic(keys.read, '') }),
    'unauthorized',
  )
  refuses(
    'two different keys',
    () => ({ 'X-API-Key': keys.read, Authorization: `Bearer ${OWNER}` }),
    'bad_request',
    'different keys',
  )

  for (const ADMIN_KEY of [undefined, '', '  ']) {
    it(`lets nobody in while ADMIN_KEY is ${JSON.stringify(ADMIN_KEY)}`, async () => {
      const { ADMIN_KEY: _, ...rest } = env
      const closed = ADMIN_KEY === undefined ? rest : { ...rest, ADMIN_KEY }
      for (const key of [keys.admin, keys.ingest, ADMIN_KEY ?? '', 'undefined', ' ']) {
        const caller = await authenticate(closed, new Headers({ 'X-API-Key': key }), now())
        expect(caller).toMatchObject({ ok: false, error: { code: 'not_configured' } })
      }
    })
  }

  it('forgives a line break after ADMIN_KEY in the configuration', async () => {
    const caller = await authenticate(
      { ...env, ADMIN_KEY: `${OWNER}\n` },
      new Headers({ 'X-API-Key': OWNER }),
      now(),
    )
    expect(caller.ok).toBe(true)
  })
})

describe('accessFor', () => {
  const access = async (headers: Record<string, string>, need: Need) => {
    const caller = await authenticate(env, new Headers(headers), now())
    if (!caller.ok) throw new Error(caller.error.message)
    return accessFor(env, caller.data, { ...need, nowMs: now() })
  }
  const grants = (
    name: string,
    headers: () => Record<string, string>,
    need: Need,
    expected: Partial<Access> & { app?: string },
  ) =>
    it(`grants ${name}`, async () => {
      const result = await access(headers(), need)
      const { app = 'mine', ...rest } = expected
      expect(result).toMatchObject({ ok: true, data: { tenant: { appId: app }, ...rest } })
    })
  const refuses = (
    name: string,
    headers: () => Record<string, string>,
    need: Need,
    code: string,
    message = '',
  ) =>
    it(`refuses ${name}`, async () => {
      expect(await access(headers(), need)).toMatchObject({
        ok: false,
        error: { code, message: expect.stringContaining(message) },
      })
    })
  const key =
    (role: keyof typeof keys, more: Record<string, string> = {}) =>
    () => ({
      'X-API-Key': keys[role],
      ...more,
    })
  const owner =
    (more: Record<string, string> = {}) =>
    () => ({ 'X-API-Key': OWNER, ...more })
  const ingest: Need = { need: 'ingest', appId: null }
  const read: Need = { need: 'read', appId: null }
  const admin: Need = { need: 'admin', appId: null }
  const hex = expect.stringMatching(/^key_/)

  grants('an ingest key writing', key('ingest'), ingest, { role: 'ingest', keyId: hex })
  grants('a read key reading', key('read'), read, { role: 'read', workspaceId: null })
  grants('an admin key writing', key('admin'), ingest, { role: 'admin' })
  grants('an admin key reading', key('admin'), read, { role: 'admin' })
  grants('an admin key administering', key('admin'), admin, { role: 'admin' })
  grants('a workspace key reading', key('bound'), read, { workspaceId: 'w1' })
  grants('a key whose app is named', key('read'), { need: 'read', appId: 'mine' }, {})
  grants('a key with an empty app_id', key('read'), { need: 'read', appId: '' }, {})
  grants('a key with its X-App-Id', key('read', { 'X-App-Id': 'mine' }), read, {})
  grants('a key with its X-Scope-OrgID', key('read', { 'X-Scope-OrgID': 'mine' }), read, {})

  refuses('an ingest key reading', key('ingest'), read, 'forbidden', 'may ingest')
  refuses('a read key writing', key('read'), ingest, 'forbidden', 'may read')
  refuses('a read key administering', key('read'), admin, 'forbidden', 'role admin')
  refuses('an ingest key administering', key('ingest'), admin, 'forbidden')
  refuses('a key at another app', key('admin'), { need: 'read', appId: 'other' }, 'forbidden')
  refuses('a key at no app', key('admin'), { need: 'read', appId: 'nope' }, 'forbidden')
  refuses('a key with a foreign X-App-Id', key('read', { 'X-App-Id': 'other' }), read, 'forbidden')
  refuses(
    'a key with a foreign X-App-Id beside its app_id',
    key('read', { 'X-App-Id': 'other' }),
    { need: 'read', appId: 'mine' },
    'forbidden',
  )
  refuses(
    'a key with a foreign X-Scope-OrgID',
    key('read', { 'X-Scope-OrgID': 'other' }),
    read,
    'forbidden',
    'X-Scope-OrgID',
  )

  const all = { role: 'owner', keyId: null, workspaceId: null } as const
  grants(
    'the owner an app by app_id',
    owner(),
    { need: 'admin', appId: 'other' },
    { app: 'other', ...all },
  )
  grants('the owner an app by header', owner({ 'X-App-Id': 'other' }), ingest, {
    app: 'other',
    ...all,
  })
  grants(
    'the owner an app named thrice',
    owner({ 'X-App-Id': 'mine', 'X-Scope-OrgID': 'mine' }),
    { need: 'read', appId: 'mine' },
    all,
  )
  refuses('the owner without an app', owner(), read, 'bad_request', 'app_id or X-App-Id')
  refuses(
    'the owner with an empty app',
    owner({ 'X-App-Id': '' }),
    { need: 'read', appId: '' },
    'bad_request',
  )
  refuses('the owner at no app', owner(), { need: 'read', appId: 'nope' }, 'not_found', '"nope"')
  refuses(
    'the owner with two apps',
    owner({ 'X-App-Id': 'other' }),
    { need: 'read', appId: 'mine' },
    'bad_request',
    'two apps',
  )
  refuses(
    'the owner with another X-Scope-OrgID',
    owner({ 'X-Scope-OrgID': 'other' }),
    { need: 'read', appId: 'mine' },
    'bad_request',
    'two apps',
  )
})

describe('what is about the whole app', () => {
  it('is refused to a key of one workspace, and open to others', async () => {
    const whole = await ownerAccess(env, 'mine', now())
    if (!whole.ok) throw new Error(whole.error.message)
    expect(requireUnbound(whole.data)).toEqual(whole)
    expect(requireUnbound({ ...whole.data, workspaceId: 'w1' })).toMatchObject({
      ok: false,
      error: { code: 'forbidden', message: expect.stringContaining('"w1"') },
    })
  })
})
