import { env as bound } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import type { Env } from '../../src/env.ts'
import {
  askRegistry,
  forgetApp,
  forgetKey,
  grantForKey,
  hashOf,
  isKeyForm,
  makeKey,
  tenantForApp,
} from '../../src/tenant/keys.ts'
import type { Grant, Role, Tenant } from '../../src/tenant/registry.ts'

describe('a key', () => {
  it('has a form of its own, and is shown by its first characters', () => {
    const { key, hashHex, prefix } = makeKey('read')
    expect(key).toMatch(/^wlk_read_[0-9A-Za-z]{49}$/)
    expect(isKeyForm(key)).toBe(true)
    expect(hashHex).toBe(hashOf(key))
    expect(hashHex).toMatch(/^[0-9a-f]{64}$/)
    expect(key.startsWith(prefix)).toBe(true)
    expect(prefix).toMatch(/^wlk_read_.{6}$/)
  })

  it('is another each time', () => {
    expect(new Set(Array.from({ length: 200 }, () => makeKey('ingest').key)).size).toBe(200)
  })

  const { key } = makeKey('ingest')
  const isNone = (name: string, text: string) =>
    it(`is not ${name}`, () => expect(isKeyForm(text)).toBe(false))
  isNone('nothing', '')
  isNone('a word', 'test-admin-key')
  isNone(
    'one with a character changed',
    key.replace(/.$/, (last) => (last === 'a' ? 'b' : 'a')),
  )
  isNone('one with another role', key.replace('ingest', 'admin'))
  isNone('one cut short', key.slice(0, -1))
  isNone('one with more', `${key}0`)
  isNone('one with a line break', `${key}\n`)
})

/** An env whose registry counts what it is asked and answers from two tables. */
function counting() {
  const grants = new Map<string, Grant>()
  const tenants = new Map<string, Tenant>()
  const asked = { grants: 0, tenants: 0 }
  const registry = {
    async grantForHash(hash: string) {
      asked.grants++
      return grants.get(hash) ?? null
    },
    async tenantForApp(appId: string) {
      asked.tenants++
      return tenants.get(appId) ?? null
    },
  }
  const env = { ...bound, REGISTRY: { getByName: () => registry } } as unknown as Env
  const add = (role: Role, over: Partial<Grant> = {}) => {
    const { key, hashHex } = makeKey(role)
    const tenant = { tenantId: 't', appId: 'a', shards: 1, locationHint: null, columns: {} }
    const grant = { keyId: key, role, workspaceId: null, expiresMs: null, tenant, ...over }
    grants.set(hashHex, grant)
    return { key, grant, revoke: () => grants.delete(hashHex) }
  }
  return { env, asked, add, tenants }
}

const NOW = 1_800_000_000_000

describe('grantForKey', () => {
  it('asks once a minute for a key that is known', async () => {
    const { env, asked, add } = counting()
    const { key, grant, revoke } = add('read')
    expect(await grantForKey(env, key, NOW)).toEqual({ ok: true, data: grant })
    revoke()
    expect(await grantForKey(env, key, NOW + 59_999)).toEqual({ ok: true, data: grant })
    expect(asked.grants).toBe(1)
    expect(await grantForKey(env, key, NOW + 60_000)).toEqual({ ok: true, data: null })
    expect(asked.grants).toBe(2)
  })

  it('asks for an admin key each time', async () => {
    const { env, add } = counting()
    const { key, revoke } = add('admin')
    expect(await grantForKey(env, key, NOW)).toMatchObject({ data: { role: 'admin' } })
    revoke()
    expect(await grantForKey(env, key, NOW)).toEqual({ ok: true, data: null })
  })

  it('remembers for five seconds that a key is unknown', async () => {
    const { env, asked } = counting()
    const { key } = makeKey('ingest')
    for (const ms of [0, 1, 4_999, 5_000]) {
      expect(await grantForKey(env, key, NOW + ms)).toEqual({ ok: true, data: null })
    }
    expect(asked.grants).toBe(2)
  })

  it('does not ask about what cannot be a key', async () => {
    const { env, asked } = counting()
    expect(await grantForKey(env, 'x', NOW)).toEqual({ ok: true, data: null })
    expect(asked.grants).toBe(0)
  })

  it('honours an expiry inside the minute', async () => {
    const { env, add } = counting()
    const { key } = add('ingest', { expiresMs: NOW + 10_000 })
    expect(await grantForKey(env, key, NOW)).toMatchObject({ data: { role: 'ingest' } })
    expect(await grantForKey(env, key, NOW + 9_999)).toMatchObject({ data: { role: 'ingest' } })
    expect(await grantForKey(env, key, NOW + 10_000)).toEqual({ ok: true, data: null })
  })

  it('keeps a known key through a flood of unknown ones', async () => {
    const { env, asked, add } = counting()
    const { key } = add('read')
    await grantForKey(env, key, NOW)
    for (let i = 0; i < 10_100; i++) await grantForKey(env, makeKey('read').key, NOW)
    const before = asked.grants
    await grantForKey(env, key, NOW)
    expect(asked.grants).toBe(before)
  })

  it('forgets the oldest of too many known keys', async () => {
    const { env, asked, add } = counting()
    const first = add('read')
    await grantForKey(env, first.key, NOW + 1)
    for (let i = 0; i < 10_000; i++) await grantForKey(env, add('read').key, NOW + 1)
    const before = asked.grants
    await grantForKey(env, first.key, NOW + 1)
    expect(asked.grants).toBe(before + 1)
  })

  it('forgets one key, or all of an app, when told', async () => {
    const { env, asked, add } = counting()
    const one = add('read')
    const two = add('read')
    const asks = async () => {
      const before = asked.grants
      await grantForKey(env, one.key, NOW)
      await grantForKey(env, two.key, NOW)
      return asked.grants - before
    }
    expect(await asks()).toBe(2)
    expect(await asks()).toBe(0)
    forgetKey(one.grant.keyId)
    expect(await asks()).toBe(1)
    forgetApp('a')
    expect(await asks()).toBe(2)
  })
})

describe('tenantForApp', () => {
  it('asks once a minute for an app that is, each time for one that is not', async () => {
    const { env, asked, tenants } = counting()
    const tenant = { tenantId: 't1', appId: 'mine', shards: 2, locationHint: null, columns: {} }
    expect(await tenantForApp(env, 'mine', NOW)).toEqual({ ok: true, data: null })
    tenants.set('mine', tenant)
    expect(await tenantForApp(env, 'mine', NOW)).toEqual({ ok: true, data: tenant })
    expect(await tenantForApp(env, 'mine', NOW + 59_999)).toEqual({ ok: true, data: tenant })
    expect(asked.tenants).toBe(2)
    forgetApp('mine')
    await tenantForApp(env, 'mine', NOW)
    expect(asked.tenants).toBe(3)
    await tenantForApp(env, 'mine', NOW + 60_000)
    expect(asked.tenants).toBe(4)
  })
})

describe('askRegistry', () => {
  const env = bound as Env
  const fails = (name: string, failed: object, code: string) =>
    it(`answers ${code} when the registry ${name}`, async () => {
      const error = Object.assign(new Error('x'), failed)
      expect(await askRegistry(env, () => Promise.reject(error))).toMatchObject({
        ok: false,
        error: { code },
      })
    })
  fails('has too much to do', { overloaded: true, retryable: true }, 'overloaded')
  fails('cannot be reached', { retryable: true }, 'unavailable')
  fails('restarts', { durableObjectReset: true }, 'unavailable')

  it('lets a bug through', async () => {
    await expect(askRegistry(env, () => Promise.reject(new Error('BUG: x')))).rejects.toThrow('BUG')
  })
})
