// The settings of an app: what a body may ask for, and how a change reaches the shards.

import { evictDurableObject, runDurableObjectAlarm } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import type { Env } from '../../src/env.ts'
import {
  changeOf,
  DEFAULT_SETTINGS,
  SettingsBody,
  settingsOf,
  wireSettings,
} from '../../src/tenant/settings.ts'
import { must, newApp, newKey, registryNamed } from './registry-fixtures.ts'

const NOW_MS = 1_800_000_000_000
const owner = (appId: string) => ({ appId, tenantId: null })

/** What the door makes of a body: the change, or the text of its refusal. */
function read(body: unknown) {
  const parsed = SettingsBody.safeParse(body)
  if (!parsed.success) return parsed.error.issues.map(({ message }) => message).join('; ')
  const change = changeOf(parsed.data, NOW_MS)
  return change.ok ? change.data : change.error.message
}

describe('a body', () => {
  const yields = (name: string, body: unknown, change: object) =>
    it(name, () => expect(read(body)).toEqual(change))
  const refuses = (name: string, body: unknown, text: string) =>
    it(`refuses ${name}`, () => {
      expect(read(body)).toEqual(expect.any(String))
      expect(read(body)).toContain(text)
    })

  yields('names one setting', { hot_days: 7 }, { hotDays: 7 })
  yields(
    'names all',
    { shards: 4, hot_bytes: 64_000_000, hot_days: 0, columns: {}, retention: [] },
    {
      shards: 4,
      hotBytes: 64_000_000,
      hotDays: 0,
      columns: {},
      retention: [{ filter: null, days: 30 }],
    },
  )
  yields(
    'has rules, and the last is for all the rest',
    { retention: [{ filter: { level: 'debug' }, days: 3 }, { days: 90 }] },
    {
      retention: [
        { filter: { level: 'debug' }, days: 3 },
        { filter: null, days: 90 },
      ],
    },
  )
  yields(
    'is given the default rule where it has none',
    { retention: [{ filter: { event_type: 'audit', 'attr.paid': true, 'attr.n': 1 }, days: 400 }] },
    {
      retention: [
        { filter: { event_type: 'audit', 'attr.paid': true, 'attr.n': 1 }, days: 400 },
        { filter: null, days: 30 },
      ],
    },
  )
  yields(
    'takes an empty filter as none',
    { retention: [{ filter: {}, days: 1 }] },
    {
      retention: [{ filter: null, days: 1 }],
    },
  )
  yields(
    'takes a filter that lets everything through as none',
    { retention: [{ filter: { q: '*' }, days: 1 }] },
    {
      retention: [{ filter: null, days: 1 }],
    },
  )
  refuses(
    'a rule behind one for everything',
    { retention: [{ filter: { q: '* OR timeout' }, days: 3 }, { days: 9 }] },
    'only the last may be one',
  )
  yields(
    'takes null for no filter',
    { retention: [{ filter: null, days: 1 }] },
    {
      retention: [{ filter: null, days: 1 }],
    },
  )
  yields(
    'takes bounds in full',
    { shards: 64, hot_days: 365, hot_bytes: 8e9, retention: [{ days: 3650 }] },
    {
      shards: 64,
      hotDays: 365,
      hotBytes: 8e9,
      retention: [{ filter: null, days: 3650 }],
    },
  )
  yields(
    'names attributes for columns',
    { columns: { user_id: ['app.user', 'uid'], service: [] } },
    {
      columns: { user_id: ['app.user', 'uid'], service: [] },
    },
  )

  refuses('nothing', {}, 'names no setting')
  refuses('a list', [], 'expected object')
  refuses('null', null, 'expected object')
  refuses('a member we do not know', { hot: 1 }, '"hot"')
  refuses('no shards', { shards: 0 }, '>=1')
  refuses('65 shards', { shards: 65 }, '<=64')
  refuses('half a shard', { shards: 1.5 }, 'int')
  refuses('days below none', { hot_days: -1 }, '>=0')
  refuses('too many hot days', { hot_days: 366 }, '<=365')
  refuses('part of a day', { hot_days: 0.5 }, 'int')
  refuses('too few hot bytes', { hot_bytes: 63_999_999 }, '>=64000000')
  refuses('too many hot bytes', { hot_bytes: 8_000_000_001 }, '<=8000000000')
  refuses('hot bytes as text', { hot_bytes: '64000000' }, 'expected number')
  refuses('a setting that is null', { hot_days: null }, 'expected number')

  const rules = (n: number) =>
    Array.from({ length: n }, () => ({ filter: { level: 'debug' }, days: 1 }))
  yields(
    'has 31 rules and the default',
    { retention: rules(31) },
    {
      retention: [...rules(31), { filter: null, days: 30 }],
    },
  )
  refuses(
    'a filter whose only member is no plain one',
    JSON.parse('{"retention":[{"filter":{"__proto__":"x"},"days":1}]}'),
    'unknown parameter "__proto__"',
  )
  refuses('33 rules', { retention: rules(33) }, '<=32')
  refuses('32 rules and no default', { retention: rules(32) }, 'at most 32 rules')
  refuses('no days', { retention: [{ filter: { level: 'debug' } }] }, 'expected number')
  refuses('a rule of no day', { retention: [{ days: 0 }] }, '>=1')
  refuses('a rule of 3651 days', { retention: [{ days: 3651 }] }, '<=3650')
  refuses('a rule with a member we do not know', { retention: [{ days: 1, keep: 1 }] }, '"keep"')
  refuses(
    'a default that is not the last',
    { retention: [{ days: 1 }, { days: 2 }] },
    'retention.0: a rule without a filter',
  )
  refuses('a filter that is a text', { retention: [{ filter: 'level:debug', days: 1 }] }, 'record')
  refuses('a filter that is a list', { retention: [{ filter: ['a'], days: 1 }] }, 'record')
  refuses(
    'a member of a filter that is a list',
    { retention: [{ filter: { level: ['debug'] }, days: 1 }] },
    'text or a number',
  )
  refuses(
    'a parameter nobody knows',
    { retention: [{ filter: { color: 'red' }, days: 1 }] },
    'retention.0.filter: unknown parameter "color"',
  )
  refuses(
    'a level nobody knows',
    { retention: [{ filter: { level: 'loud' }, days: 1 }] },
    '"loud" is no level',
  )
  refuses('a page in a filter', { retention: [{ filter: { limit: 5 }, days: 1 }] }, '"limit"')
  refuses('since in a filter', { retention: [{ filter: { since: '2h' }, days: 1 }] }, 'no since')
  refuses(
    'until in a filter',
    { retention: [{ filter: { level: 'debug', until: 1 }, days: 1 }] },
    'no until',
  )

  const names = (n: number) => Array.from({ length: n }, (_, i) => `n${i}`)
  refuses(
    'a column nobody knows',
    { columns: { color: ['a'] } },
    'no such column: color; columns are service,',
  )
  refuses('the trace id', { columns: { trace_id: ['a'] } }, 'no such column: trace_id')
  refuses('the span id', { columns: { span_id: ['a'] } }, 'no such column: span_id')
  refuses('a column that is a text', { columns: { user_id: 'uid' } }, 'expected array')
  refuses('nine names of a column', { columns: { user_id: names(9) } }, '<=8')
  refuses('an empty name', { columns: { user_id: [''] } }, '>=1')
  refuses('a long name', { columns: { user_id: ['n'.repeat(129)] } }, '<=128')
  const nine =
    'service environment event_type request_id workspace_id project_id user_id version instance_id'.split(
      ' ',
    )
  refuses(
    '65 names in all',
    { columns: Object.fromEntries(nine.map((column) => [column, names(8)])) },
    'at most 64',
  )
})

describe('the wire form', () => {
  it('of the defaults', () => {
    expect(wireSettings({ shards: 1, settings: settingsOf(null) })).toEqual({
      shards: 1,
      retention: [{ days: 30 }],
      hot_days: 3,
      hot_bytes: 2_000_000_000,
      columns: {},
    })
  })

  it('of any settings makes the same settings again', () => {
    const settings = {
      retention: [
        { filter: { level: 'debug', 'attr.n': 3 }, days: 3 },
        { filter: null, days: 7 },
      ],
      hotDays: 1,
      hotBytes: 64_000_000,
      columns: { user_id: ['uid'] },
    }
    expect(read(wireSettings({ shards: 2, settings }))).toEqual({ shards: 2, ...settings })
  })

  it('of what was stored before a setting was known has its default', () => {
    expect(settingsOf('{"hotDays":1}')).toEqual({ ...DEFAULT_SETTINGS, hotDays: 1 })
  })
})

describe('a change', () => {
  it('is merged, kept over an eviction, and given to keys and shards', async () => {
    const { registry } = await registryNamed('settings')
    must(await registry.createApp(newApp('a')))
    const key = newKey()
    must(await registry.createKey(owner('a'), key))
    expect(must(await registry.getSettings(owner('a')))).toEqual({
      shards: 1,
      settings: DEFAULT_SETTINGS,
    })
    must(await registry.updateSettings(owner('a'), { hotDays: 9 }))
    const columns = { user_id: ['uid'] }
    const changed = must(await registry.updateSettings(owner('a'), { columns }))
    expect(changed).toEqual({ shards: 1, settings: { ...DEFAULT_SETTINGS, hotDays: 9, columns } })
    await evictDurableObject((env as Env).REGISTRY.getByName('settings'))
    expect(must(await registry.getSettings(owner('a')))).toEqual(changed)
    const tenant = (await registry.tenantForApp('a'))!
    expect(tenant.columns).toEqual(columns)
    expect((await registry.grantForHash(key.hashHex))?.tenant).toEqual(tenant)
    expect((await registry.keyCopy(tenant.tenantId))?.settings).toEqual(changed.settings)
  })

  it('reaches every shard with a new version before it is answered, the added ones too', async () => {
    const { registry, shards, inside } = await registryNamed('settings-told')
    must(await registry.createApp(newApp('a', 2)))
    const { tenantId } = (await registry.tenantForApp('a'))!
    const { version } = (await registry.keyCopy(tenantId))!
    must(await registry.updateSettings(owner('a'), { shards: 4, hotDays: 1 }))
    const copy = (await registry.keyCopy(tenantId))!
    expect(copy).toMatchObject({
      version: version + 1,
      tenant: { shards: 4 },
      settings: { hotDays: 1 },
    })
    expect(shards.told).toEqual([0, 1, 2, 3].map((shard) => ({ shard, tenantId, copy })))
    expect(must(await registry.getApp(owner('a'))).shards).toBe(4)
    expect(
      await inside((_, state) => state.storage.sql.exec('SELECT * FROM owed').toArray()),
    ).toEqual([])
  })

  it('names the shards that did not confirm, stands all the same, and can be repeated', async () => {
    const { registry, shards, inside } = await registryNamed('settings-silent')
    must(await registry.createApp(newApp('a')))
    shards.silent = new Set([2])
    const change = { shards: 3, hotDays: 2 }
    const unconfirmed = { ok: false, error: { code: 'unavailable', details: { shards: [2] } } }
    expect(await registry.updateSettings(owner('a'), change)).toMatchObject(unconfirmed)
    expect(must(await registry.getSettings(owner('a')))).toMatchObject({
      shards: 3,
      settings: { hotDays: 2 },
    })
    expect(await registry.updateSettings(owner('a'), change)).toMatchObject(unconfirmed)
    shards.silent.clear()
    shards.told = []
    await inside((_, state) => state.storage.sql.exec('UPDATE owed SET next_ms = 0'))
    await runDurableObjectAlarm((env as Env).REGISTRY.getByName('settings-silent'))
    expect(shards.told).toMatchObject([{ shard: 2, copy: { settings: { hotDays: 2 } } }])
    must(await registry.updateSettings(owner('a'), change))
  })

  it('never lowers the shards', async () => {
    const { registry, shards } = await registryNamed('settings-fewer')
    must(await registry.createApp(newApp('a', 4)))
    expect(await registry.updateSettings(owner('a'), { shards: 3, hotDays: 1 })).toMatchObject({
      error: {
        code: 'conflict',
        message: expect.stringContaining('has 4 shards'),
        details: { shards: 4 },
      },
    })
    expect(must(await registry.getSettings(owner('a')))).toEqual({
      shards: 4,
      settings: DEFAULT_SETTINGS,
    })
    expect(shards.told).toEqual([])
  })

  it('of an app that is not there, or is another by now, is refused', async () => {
    const { registry } = await registryNamed('settings-missing')
    must(await registry.createApp(newApp('a')))
    const missing = { error: { code: 'not_found' } }
    const former = { appId: 'a', tenantId: 'f'.repeat(32) }
    for (const ref of [owner('b'), former]) {
      expect(await registry.updateSettings(ref, { hotDays: 1 })).toMatchObject(missing)
      expect(await registry.getSettings(ref)).toMatchObject(missing)
    }
  })
})
