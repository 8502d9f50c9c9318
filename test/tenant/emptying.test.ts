/// <reference types="@cloudflare/vitest-plugin/types" />
// What stays in the archive of an app that was deleted: nothing, whoever has its name by now.

import { evictDurableObject, runDurableObjectAlarm } from 'cloudflare:test'
import { env as bound } from 'cloudflare:workers'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { objectKey } from '../../src/block/object-key.ts'
import type { Env } from '../../src/env.ts'
import { type Fixture, must, newApp, registryNamed } from './registry-fixtures.ts'

const env = bound as Env
const bucket = env.ARCHIVE!
const MINUTE_MS = 60_000
/** The clock of all this is a day ahead, so that no alarm comes by itself. */
const START_MS = Date.now() + 1440 * MINUTE_MS
const owner = (appId: string) => ({ appId, tenantId: null })

afterEach(() => void vi.restoreAllMocks())

/** The bucket, with calls that fail as often as told, and all of them counted. */
function brokenBucket() {
  const broken = { failures: 0, calls: [] as string[], bucket: {} as R2Bucket }
  const call = <T>(name: string, work: () => Promise<T>): Promise<T> => {
    broken.calls.push(name)
    if (broken.failures-- > 0) return Promise.reject(new Error(`${name}: internal error (10001)`))
    return work()
  }
  broken.bucket = {
    list: (options: R2ListOptions) => call('list', () => bucket.list({ ...options, limit: 3 })),
    delete: (keys: string[]) => call('delete', () => bucket.delete(keys)),
  } as R2Bucket
  return broken
}

async function deletedApp(name: string, archive: R2Bucket, objects: number) {
  const fixture = await registryNamed(name, archive)
  must(await fixture.registry.createApp(newApp(name)))
  const { tenantId } = (await fixture.registry.tenantForApp(name))!
  await put(name, tenantId, objects)
  clockAt(START_MS)
  must(await fixture.registry.deleteApp(owner(name)))
  return { ...fixture, tenantId }
}

async function put(appId: string, tenantId: string, objects: number): Promise<string[]> {
  const keys = Array.from({ length: objects }, (_, i) =>
    objectKey({ appId, tenantId, day: '2026-01-02', shard: 0, firstSeq: i + 1, blockId: i }),
  )
  for (const key of keys) await bucket.put(key, 'x')
  return keys
}

const keysOf = async (appId: string) =>
  (await bucket.list({ prefix: `${appId}/` })).objects.map(({ key }) => key)

const runs = (name: string) => runDurableObjectAlarm(env.REGISTRY.getByName(name))
const rows = ({ inside }: Fixture, table: 'tenant' | 'emptying') =>
  inside((_, state) => state.storage.sql.exec(`SELECT * FROM ${table}`).toArray())

function clockAt(ms: number) {
  vi.spyOn(Date, 'now').mockReturnValue(ms)
}

describe('the archive of a deleted app', () => {
  it('is empty once two walks fifteen minutes apart have found nothing, and then the app is forgotten', async () => {
    const app = await deletedApp('emptied', bucket, 5)
    expect(await rows(app, 'tenant')).toHaveLength(1)
    await runs('emptied')
    expect(await keysOf('emptied')).toEqual([])

    clockAt(START_MS + 16 * MINUTE_MS)
    await runs('emptied')
    expect(await rows(app, 'tenant')).toHaveLength(1)
    // A put that was under way when the shard was destroyed.
    await put('emptied', app.tenantId, 1)
    clockAt(START_MS + 32 * MINUTE_MS)
    await runs('emptied')
    expect(await keysOf('emptied')).toEqual([])
    clockAt(START_MS + 48 * MINUTE_MS)
    await runs('emptied')
    expect(await rows(app, 'tenant')).toHaveLength(1)
    clockAt(START_MS + 64 * MINUTE_MS)
    await runs('emptied')
    expect(await rows(app, 'tenant')).toEqual([])
    expect(await rows(app, 'emptying')).toEqual([])
    expect(await app.inside((_, state) => state.storage.getAlarm())).toBeNull()
  })

  it('keeps what a new app of the name has put there, and what lies in other folders', async () => {
    const app = await deletedApp('again', bucket, 2)
    must(await app.registry.createApp(newApp('again')))
    const next = (await app.registry.tenantForApp('again'))!
    const kept = await put('again', next.tenantId, 2)
    const other = await put('again-2', app.tenantId, 1)
    await runs('again')
    expect(await keysOf('again')).toEqual(kept)
    expect(await keysOf('again-2')).toEqual(other)
  })

  it('is walked page by page, on from where the walk before ended', async () => {
    const { bucket: paged, calls } = brokenBucket()
    const app = await deletedApp('paged', paged, 8)
    await runs('paged')
    expect(calls).toEqual(['list', 'delete', 'list', 'delete', 'list', 'delete'])
    expect(await keysOf('paged')).toEqual([])
    expect(await rows(app, 'emptying')).toMatchObject([{ cursor: null, found: 0, empty_ms: null }])
  })

  it('is tried again with growing gaps when R2 fails, also after an eviction', async () => {
    vi.spyOn(console, 'error').mockImplementation(() => {})
    const broken = brokenBucket()
    const app = await deletedApp('failing', broken.bucket, 2)
    let nowMs = START_MS
    const gaps: number[] = []
    for (let i = 0; i < 3; i++) {
      broken.failures = 1
      clockAt(nowMs)
      await runs('failing')
      const [row] = await rows(app, 'emptying')
      expect(row).toMatchObject({ attempts: i + 1, error: 'list: internal error (10001)' })
      gaps.push(Number(row?.next_ms) - nowMs)
      nowMs = Number(row?.next_ms)
    }
    expect(gaps).toEqual([2000, 4000, 8000])
    expect(await keysOf('failing')).toHaveLength(2)

    await evictDurableObject(env.REGISTRY.getByName('failing'))
    await registryNamed('failing', bucket)
    clockAt(nowMs)
    await runs('failing')
    expect(await keysOf('failing')).toEqual([])
  })

  it('holds up no other: shards are told though R2 fails', async () => {
    vi.spyOn(console, 'error').mockImplementation(() => {})
    const broken = brokenBucket()
    const { registry, shards, inside } = await deletedApp('holding', broken.bucket, 1)
    must(await registry.createApp(newApp('other')))
    shards.silent = new Set([0])
    await registry.deleteApp(owner('other'))
    shards.silent.clear()
    broken.failures = 10
    await inside((_, state) => state.storage.sql.exec('UPDATE owed SET next_ms = 0'))
    const before = shards.told.length
    await runs('holding')
    expect(shards.told.slice(before)).toMatchObject([{ copy: 'destroy' }])
  })

  it('is not asked for where there is none', async () => {
    const fixture = await registryNamed('bare')
    must(await fixture.registry.createApp(newApp('bare')))
    must(await fixture.registry.deleteApp(owner('bare')))
    expect(await rows(fixture, 'tenant')).toEqual([])
  })

  it('is left as it is when the deployment gave it up meanwhile', async () => {
    const app = await deletedApp('given-up', bucket, 1)
    await registryNamed('given-up')
    await runs('given-up')
    expect(await rows(app, 'tenant')).toEqual([])
    expect(await keysOf('given-up')).toHaveLength(1)
  })
})

describe('an app whose archive is being emptied', () => {
  it('is gone for those who ask, and its deletion is not repeated', async () => {
    const { registry } = await deletedApp('gone', bucket, 1)
    const missing = { error: { code: 'not_found' } }
    expect(await registry.getApp(owner('gone'))).toMatchObject(missing)
    expect(await registry.deleteApp(owner('gone'))).toMatchObject(missing)
    expect(await registry.tenants()).toEqual([])
  })
})
