import { evictDurableObject, runDurableObjectAlarm } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe, expect, it, vi } from 'vitest'
import type { Env } from '../../src/env.ts'
import { KEYS_PER_APP_MAX } from '../../src/tenant/registry.ts'
import { type Fixture, must, newApp, newKey, registryNamed } from './registry-fixtures.ts'

const owner = (appId: string) => ({ appId, tenantId: null })
const stubOf = (name: string) => (env as Env).REGISTRY.getByName(name)
const count = ({ inside }: Fixture, table: 'tenant' | 'api_key' | 'owed') =>
  inside((_, state) => state.storage.sql.exec(`SELECT * FROM ${table}`).toArray().length)

describe('apps', () => {
  it('are made once, listed by name, and told apart by a random tenant id', async () => {
    const { registry } = await registryNamed('apps')
    const made = must(
      await registry.createApp({ appId: 'b', name: 'B', shards: 4, locationHint: 'weur' }),
    )
    must(await registry.createApp(newApp('a')))
    expect(must(await registry.listApps()).map((app) => app.appId)).toEqual(['a', 'b'])
    expect(must(await registry.getApp(owner('b')))).toEqual(made)
    const tenant = await registry.tenantForApp('b')
    expect(tenant).toEqual({
      tenantId: expect.stringMatching(/^[0-9a-f]{32}$/),
      appId: 'b',
      shards: 4,
      locationHint: 'weur',
      columns: {},
    })
  })

  it('refuses a name that is taken, and one that nobody has', async () => {
    const { registry } = await registryNamed('apps-refused')
    must(await registry.createApp(newApp('a')))
    expect(await registry.createApp(newApp('a'))).toMatchObject({ error: { code: 'conflict' } })
    const missing = { ok: false, error: { code: 'not_found' } }
    expect(await registry.getApp(owner('b'))).toMatchObject(missing)
    expect(await registry.deleteApp(owner('b'))).toMatchObject(missing)
    expect(await registry.listKeys(owner('b'))).toMatchObject(missing)
    expect(await registry.createKey(owner('b'), newKey())).toMatchObject(missing)
    expect(await registry.tenantForApp('b')).toBeNull()
    expect(await registry.keyCopy('no such tenant')).toBeNull()
  })

  it('survive an eviction', async () => {
    const { registry } = await registryNamed('apps-evicted')
    must(await registry.createApp(newApp('a')))
    await evictDurableObject(stubOf('apps-evicted'))
    expect(must(await registry.listApps())).toHaveLength(1)
  })
})

describe('keys', () => {
  it('grant what they were made for', async () => {
    const { registry } = await registryNamed('keys')
    must(await registry.createApp(newApp('a')))
    const key = newKey({ role: 'read', workspaceId: 'w1', name: 'n', expiresMs: Date.now() + 1e6 })
    const { keyId } = must(await registry.createKey(owner('a'), key))
    expect(await registry.grantForHash(key.hashHex)).toEqual({
      keyId,
      role: 'read',
      workspaceId: 'w1',
      expiresMs: key.expiresMs,
      tenant: await registry.tenantForApp('a'),
    })
  })

  it('are listed without a hash, and nothing in the tables holds the key', async () => {
    const { registry, inside } = await registryNamed('keys-listed')
    must(await registry.createApp(newApp('a')))
    const key = newKey()
    must(await registry.createKey(owner('a'), key))
    expect(JSON.stringify(must(await registry.listKeys(owner('a'))))).not.toContain(key.hashHex)
    const stored = await inside((_, state) =>
      JSON.stringify(state.storage.sql.exec('SELECT * FROM api_key').toArray()),
    )
    expect(stored).toContain(key.hashHex)
    expect(stored).toContain(key.prefix)
    expect(stored).not.toMatch(/wlk_ingest_[0-9A-Za-z]{7}/)
  })

  it('grant nothing when unknown or expired, and an expired one is still in the copy', async () => {
    const { registry } = await registryNamed('keys-expired')
    must(await registry.createApp(newApp('a')))
    const key = newKey({ expiresMs: Date.now() - 1 })
    must(await registry.createKey(owner('a'), key))
    expect(await registry.grantForHash(key.hashHex)).toBeNull()
    expect(await registry.grantForHash('00')).toBeNull()
    const tenant = (await registry.tenantForApp('a'))!
    expect((await registry.keyCopy(tenant.tenantId))?.keys).toHaveLength(1)
  })

  it('note the day of use with one row written a day', async () => {
    const { registry, inside } = await registryNamed('keys-used')
    must(await registry.createApp(newApp('a')))
    const key = newKey()
    must(await registry.createKey(owner('a'), key))
    expect(must(await registry.listKeys(owner('a')))[0]?.lastUsedDay).toBeNull()
    await registry.grantForHash(key.hashHex)
    const today = new Date().toISOString().slice(0, 10)
    expect(must(await registry.listKeys(owner('a')))[0]?.lastUsedDay).toBe(today)

    const total = () =>
      inside((_, s) => s.storage.sql.exec<{ n: number }>('SELECT total_changes() AS n').one().n)
    const before = await total()
    await registry.grantForHash(key.hashHex)
    expect(await total()).toBe(before)
    await inside((_, s) => s.storage.sql.exec("UPDATE api_key SET last_used_day = '2026-01-01'"))
    await registry.grantForHash(key.hashHex)
    expect(must(await registry.listKeys(owner('a')))[0]?.lastUsedDay).toBe(today)
  })

  it('raise the version of the copy with each change', async () => {
    const { registry } = await registryNamed('keys-version')
    must(await registry.createApp(newApp('a')))
    const { tenantId } = (await registry.tenantForApp('a'))!
    const version = async () => (await registry.keyCopy(tenantId))!.version
    const seen = [await version()]
    const first = must(await registry.createKey(owner('a'), newKey()))
    seen.push(await version())
    must(await registry.createKey(owner('a'), newKey()))
    seen.push(await version())
    must(await registry.deleteKey(owner('a'), first.keyId))
    seen.push(await version())
    expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b))
  })

  it('of one app are out of reach of another', async () => {
    const { registry } = await registryNamed('keys-apart')
    must(await registry.createApp(newApp('a')))
    must(await registry.createApp(newApp('b')))
    const { keyId } = must(await registry.createKey(owner('a'), newKey()))
    const missing = { error: { code: 'not_found' } }
    expect(await registry.getKey(owner('b'), keyId)).toMatchObject(missing)
    expect(await registry.deleteKey(owner('b'), keyId)).toMatchObject(missing)
    expect(must(await registry.listKeys(owner('b')))).toEqual([])
    expect(must(await registry.getKey(owner('a'), keyId)).keyId).toBe(keyId)
  })

  it('are bounded in number', async () => {
    const { registry, inside } = await registryNamed('keys-bounded')
    must(await registry.createApp(newApp('a')))
    const { tenantId } = (await registry.tenantForApp('a'))!
    await inside((_, state) =>
      state.storage.sql.exec(
        `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
         INSERT INTO api_key (key_id, tenant_id, role, prefix, created_ms)
         SELECT 'k' || i, ?, 'read', '', 0 FROM n`,
        KEYS_PER_APP_MAX,
        tenantId,
      ),
    )
    expect(await registry.createKey(owner('a'), newKey())).toMatchObject({
      error: { code: 'conflict', details: { max: KEYS_PER_APP_MAX } },
    })
  })
})

describe('a revocation', () => {
  it('reaches every shard before it is answered, and leaves nothing owed', async () => {
    const fixture = await registryNamed('revoke')
    const { registry, shards, inside } = fixture
    must(await registry.createApp(newApp('a', 3)))
    const key = newKey()
    const { keyId } = must(await registry.createKey(owner('a'), key))
    const kept = must(await registry.createKey(owner('a'), newKey()))
    expect(shards.told).toEqual([])
    must(await registry.deleteKey(owner('a'), keyId))
    const { tenantId } = (await registry.tenantForApp('a'))!
    const copy = await registry.keyCopy(tenantId)
    expect(copy?.keys).toEqual([{ keyId: kept.keyId, expiresMs: null }])
    expect(shards.told).toEqual([0, 1, 2].map((shard) => ({ shard, tenantId, copy })))
    expect(await registry.grantForHash(key.hashHex)).toBeNull()
    expect(await registry.getKey(owner('a'), keyId)).toMatchObject({ error: { code: 'not_found' } })
    expect(await count(fixture, 'owed')).toBe(0)
    expect(await inside((_, state) => state.storage.getAlarm())).toBeNull()
  })

  it('names the shards that did not confirm, refuses the key all the same, and can be repeated', async () => {
    const fixture = await registryNamed('revoke-silent')
    const { registry, shards } = fixture
    must(await registry.createApp(newApp('a', 4)))
    const key = newKey()
    const { keyId } = must(await registry.createKey(owner('a'), key))
    shards.silent = new Set([1, 3])
    const refused = { ok: false, error: { code: 'unavailable', details: { shards: [1, 3] } } }
    expect(await registry.deleteKey(owner('a'), keyId)).toMatchObject(refused)
    expect(await registry.grantForHash(key.hashHex)).toBeNull()
    expect(await registry.deleteKey(owner('a'), keyId)).toMatchObject(refused)
    shards.silent.clear()
    expect(await registry.deleteKey(owner('a'), keyId)).toEqual({ ok: true, data: { keyId } })
    expect(await count(fixture, 'owed')).toBe(0)
    expect(await registry.deleteKey(owner('a'), keyId)).toEqual({ ok: true, data: { keyId } })
    expect(await registry.deleteKey(owner('a'), 'key_none')).toMatchObject({
      error: { code: 'not_found' },
    })
  })

  it('does not wait forever for a shard that hangs', async () => {
    const { registry, shards } = await registryNamed('revoke-hangs')
    must(await registry.createApp(newApp('a', 2)))
    const { keyId } = must(await registry.createKey(owner('a'), newKey()))
    shards.before = (shard) => (shard === 1 ? new Promise(() => {}) : Promise.resolve())
    const real = globalThis.setTimeout
    const waits: (number | undefined)[] = []
    const hurried = (f: () => void, ms?: number) => {
      waits.push(ms)
      return real(f, 1)
    }
    const timer = vi.spyOn(globalThis, 'setTimeout').mockImplementation(hurried as typeof real)
    expect(await registry.deleteKey(owner('a'), keyId)).toMatchObject({
      error: { code: 'unavailable', details: { shards: [1] } },
    })
    expect(waits).toContain(15_000)
    timer.mockRestore()
  })

  it('is told again by the alarm, also after an eviction, with growing gaps', async () => {
    const fixture = await registryNamed('revoke-alarm')
    const { registry, shards, inside } = fixture
    must(await registry.createApp(newApp('a', 2)))
    const { keyId } = must(await registry.createKey(owner('a'), newKey()))
    shards.silent = new Set([1])
    await registry.deleteKey(owner('a'), keyId)
    const due = () =>
      inside((_, state) => {
        state.storage.sql.exec('UPDATE owed SET next_ms = 0')
        return state.storage.setAlarm(Date.now() + 1e6)
      })
    const owed = () =>
      inside((_, state) =>
        state.storage.sql
          .exec<{ attempts: number; next_ms: number; error: string }>('SELECT * FROM owed')
          .one(),
      )
    const gaps: number[] = []
    for (let i = 0; i < 3; i++) {
      await due()
      expect(await runDurableObjectAlarm(stubOf('revoke-alarm'))).toBe(true)
      const { next_ms, error } = await owed()
      gaps.push(next_ms - Date.now())
      expect(error).toBe('Network connection lost.')
    }
    expect((await owed()).attempts).toBe(4)
    expect(gaps[0]).toBeLessThan(gaps[1]!)
    expect(gaps[1]).toBeLessThan(gaps[2]!)
    expect(await inside((_, state) => state.storage.getAlarm())).toBe((await owed()).next_ms)

    await evictDurableObject(stubOf('revoke-alarm'))
    const again = await registryNamed('revoke-alarm')
    await due()
    await runDurableObjectAlarm(stubOf('revoke-alarm'))
    expect(again.shards.told.map(({ shard }) => shard)).toEqual([1])
    expect(await count(fixture, 'owed')).toBe(0)
    expect(await inside((_, state) => state.storage.getAlarm())).toBeNull()
  })

  it('that is 30 days old is forgotten with the next one', async () => {
    const { registry, inside } = await registryNamed('revoke-old')
    must(await registry.createApp(newApp('a')))
    const old = must(await registry.createKey(owner('a'), newKey()))
    const other = must(await registry.createKey(owner('a'), newKey()))
    must(await registry.deleteKey(owner('a'), old.keyId))
    await inside((_, s) =>
      s.storage.sql.exec('UPDATE api_key SET deleted_ms = 1 WHERE deleted_ms IS NOT NULL'),
    )
    must(await registry.deleteKey(owner('a'), other.keyId))
    expect(await registry.deleteKey(owner('a'), old.keyId)).toMatchObject({
      error: { code: 'not_found' },
    })
  })
})

describe('deleting an app', () => {
  it('frees the name, refuses the keys and destroys every shard', async () => {
    const fixture = await registryNamed('delete')
    const { registry, shards } = fixture
    must(await registry.createApp(newApp('a', 2)))
    const key = newKey()
    must(await registry.createKey(owner('a'), key))
    const { tenantId } = (await registry.tenantForApp('a'))!
    expect(await registry.deleteApp(owner('a'))).toEqual({ ok: true, data: { appId: 'a' } })
    expect(shards.told).toEqual([0, 1].map((shard) => ({ shard, tenantId, copy: 'destroy' })))
    expect(await registry.grantForHash(key.hashHex)).toBeNull()
    expect(await registry.keyCopy(tenantId)).toBeNull()
    for (const table of ['tenant', 'api_key', 'owed'] as const) {
      expect(await count(fixture, table)).toBe(0)
    }
    must(await registry.createApp(newApp('a')))
    expect((await registry.tenantForApp('a'))?.tenantId).not.toBe(tenantId)
  })

  it('names the shards left, and repeating it goes on', async () => {
    const fixture = await registryNamed('delete-silent')
    const { registry, shards } = fixture
    must(await registry.createApp(newApp('a', 3)))
    shards.silent = new Set([2])
    const refused = { error: { code: 'unavailable', details: { shards: [2] } } }
    expect(await registry.deleteApp(owner('a'))).toMatchObject(refused)
    expect(await registry.tenantForApp('a')).toBeNull()
    expect(must(await registry.listApps())).toEqual([])
    expect(await registry.deleteApp(owner('a'))).toMatchObject(refused)
    shards.silent.clear()
    expect(await registry.deleteApp(owner('a'))).toEqual({ ok: true, data: { appId: 'a' } })
    expect(shards.told.map(({ shard }) => shard)).toEqual([0, 1, 2])
    expect(await count(fixture, 'tenant')).toBe(0)
    expect(await registry.deleteApp(owner('a'))).toMatchObject({ error: { code: 'not_found' } })
  })

  it('is finished by the alarm while the name has a new app, which it leaves alone', async () => {
    const fixture = await registryNamed('delete-alarm')
    const { registry, shards, inside } = fixture
    must(await registry.createApp(newApp('a')))
    const old = (await registry.tenantForApp('a'))!
    shards.silent = new Set([0])
    await registry.deleteApp(owner('a'))
    must(await registry.createApp(newApp('a')))
    const key = newKey()
    must(await registry.createKey(owner('a'), key))
    shards.silent.clear()
    await inside((_, state) => state.storage.sql.exec('UPDATE owed SET next_ms = 0'))
    await runDurableObjectAlarm(stubOf('delete-alarm'))
    expect(shards.told).toEqual([{ shard: 0, tenantId: old.tenantId, copy: 'destroy' }])
    expect(await count(fixture, 'tenant')).toBe(1)
    expect(await registry.grantForHash(key.hashHex)).not.toBeNull()
  })

  it('comes after a revocation that is under way, never before', async () => {
    const { registry, shards } = await registryNamed('delete-order')
    must(await registry.createApp(newApp('a')))
    const { keyId } = must(await registry.createKey(owner('a'), newKey()))
    shards.before = () => new Promise((resolve) => setTimeout(resolve, 50))
    const revoked = registry.deleteKey(owner('a'), keyId)
    const deleted = registry.deleteApp(owner('a'))
    must(await revoked)
    must(await deleted)
    expect(shards.told.at(-1)?.copy).toBe('destroy')
  })

  it('by its former admin does not touch the next app of that name', async () => {
    const { registry } = await registryNamed('delete-admin')
    must(await registry.createApp(newApp('a')))
    const { tenantId } = (await registry.tenantForApp('a'))!
    must(await registry.deleteApp({ appId: 'a', tenantId }))
    must(await registry.createApp(newApp('a')))
    const missing = { error: { code: 'not_found' } }
    const ref = { appId: 'a', tenantId }
    expect(await registry.deleteApp(ref)).toMatchObject(missing)
    expect(await registry.createKey(ref, newKey({ role: 'admin' }))).toMatchObject(missing)
    expect(await registry.getApp(ref)).toMatchObject(missing)
  })
})

describe('the alarm', () => {
  it('does not throw when storage fails, and comes again', async () => {
    const { inside } = await registryNamed('alarm-broken')
    const said = vi.spyOn(console, 'error').mockImplementation(() => {})
    await inside(async (registry, state) => {
      state.storage.sql.exec('ALTER TABLE owed RENAME TO hidden')
      await registry.alarm()
      expect(await state.storage.getAlarm()).toBeGreaterThan(Date.now())
    })
    expect(said).toHaveBeenCalledOnce()
    said.mockRestore()
  })
})

describe('the remote surface', () => {
  it('is these methods and no other', async () => {
    const { inside } = await registryNamed('surface')
    const names = await inside((registry) =>
      Object.getOwnPropertyNames(Object.getPrototypeOf(registry)),
    )
    expect(names.filter((name) => name !== 'constructor').sort()).toEqual(
      `alarm createApp createKey deleteApp deleteKey getApp getKey getSettings grantForHash keyCopy listApps listKeys tenantForApp tenants updateSettings`.split(
        ' ',
      ),
    )
  })
})
