// The settings of an app as its administrators meet them: over HTTP, with real shards behind.

import { exports } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import {
  ADMIN_KEY,
  dataOf,
  getLogs,
  type LogPage,
  makeApp,
  makeKey,
  messagesOf,
  postLogs,
  postOtlp,
  request,
} from '../flow/client.ts'

const DEFAULTS = {
  shards: 1,
  retention: [{ days: 30 }],
  hot_days: 3,
  hot_bytes: 2_000_000_000,
  columns: {},
}

async function settings(appId: string, change?: unknown, key = ADMIN_KEY) {
  const init: RequestInit = { headers: { 'X-API-Key': key } }
  if (change !== undefined) Object.assign(init, { method: 'PATCH', body: JSON.stringify(change) })
  const response = await request(`/apps/${appId}/settings`, init)
  const answer = (await response.json()) as {
    data: Record<string, unknown>
    error: { code: string; message: string; details?: Record<string, unknown> }
  }
  return { status: response.status, ...answer }
}

describe('the settings of an app', () => {
  it('are the defaults, and what is sent is merged into them', async () => {
    await makeApp('set')
    expect(await settings('set')).toMatchObject({ status: 200, data: DEFAULTS })
    const retention = [
      { filter: { level: 'debug' }, days: 3 },
      { filter: { event_type: 'audit' }, days: 400 },
    ]
    const changed = await settings('set', { retention })
    const expected = { ...DEFAULTS, retention: [...retention, { days: 30 }] }
    expect(changed.data).toEqual(expected)
    expect((await settings('set', { hot_days: 0 })).data).toEqual({ ...expected, hot_days: 0 })
    expect((await settings('set')).data).toEqual({ ...expected, hot_days: 0 })
  })

  it('may be sent back as they were answered', async () => {
    await makeApp('back', { shards: 2 })
    const change = { retention: [{ days: 5 }], columns: { user_id: ['uid'] }, hot_bytes: 64e6 }
    const { data } = await settings('back', change)
    expect(await settings('back', data)).toMatchObject({ status: 200, data })
  })

  it('are open to an admin key, the number of shards too', async () => {
    await makeApp('set-admin')
    const key = await makeKey('set-admin', { role: 'admin' })
    expect((await settings('set-admin', { shards: 2 }, key)).data).toMatchObject({ shards: 2 })
    expect((await settings('set-admin', undefined, key)).data).toMatchObject({ shards: 2 })
  })

  const refuses = (name: string, body: unknown, status: number, message: string) =>
    it(`refuse ${name}`, async () => {
      await request('/apps', {
        method: 'POST',
        headers: { 'X-API-Key': ADMIN_KEY },
        body: JSON.stringify({ app_id: 'strict', shards: 2 }),
      })
      expect(await settings('strict', body)).toMatchObject({
        status,
        error: { message: expect.stringContaining(message) },
      })
      expect((await settings('strict')).data).toEqual({ ...DEFAULTS, shards: 2 })
    })
  refuses('nothing', {}, 400, 'names no setting')
  refuses('a list', [], 400, 'expected object')
  refuses('a member nobody knows', { hot: 1 }, 400, '"hot"')
  refuses(
    'a number over its bound',
    { hot_days: 366 },
    400,
    'hot_days: Too big: expected number to be <=365',
  )
  refuses(
    'a rule that is wrong, by its place',
    { retention: [{ days: 1, filter: { level: 'debug' } }, { days: 0 }] },
    400,
    'retention.1.days',
  )
  refuses(
    'a filter that is wrong, by its place',
    { retention: [{ days: 1, filter: { x: 1 } }] },
    400,
    'retention.0.filter: unknown parameter "x"',
  )
  refuses('a column nobody knows', { columns: { x: ['a'] } }, 400, 'columns: no such column: x')
  refuses('fewer shards', { shards: 1 }, 409, 'has 2 shards')
  refuses('a good setting beside a bad one', { hot_days: 1, shards: 65 }, 400, 'shards')
})

describe('columns', () => {
  it('are filled by the attributes an app names, at every door', async () => {
    const { ingest, read } = await makeApp('columns')
    await postLogs(ingest, { message: 'before', uid: 'u0' })
    await settings('columns', { columns: { user_id: ['uid'], project_id: ['team'] } })

    const record = (message: string) => ({
      resourceLogs: [
        {
          resource: { attributes: [{ key: 'team', value: { stringValue: 't' } }] },
          scopeLogs: [
            {
              logRecords: [
                {
                  body: { stringValue: message },
                  attributes: [{ key: 'uid', value: { stringValue: 'u1' } }],
                },
              ],
            },
          ],
        },
      ],
    })
    await postOtlp(ingest, JSON.stringify(record('json')), { 'Content-Type': 'application/json' })
    await postLogs(ingest, { message: 'line', uid: 'u1', team: 't' })
    const { LoggerService } = exports as unknown as {
      LoggerService: { log(...args: unknown[]): Promise<{ ok: boolean }> }
    }
    const logged = await LoggerService.log('columns', 'info', 'rpc', { uid: 'u1', team: 't' })
    expect(logged.ok).toBe(true)

    const page = await dataOf<LogPage>(await getLogs(read, 'order=asc'))
    const shown = page.logs.map(({ message, user_id, project_id }) => [
      message,
      user_id,
      project_id,
    ])
    expect(shown.sort()).toEqual([
      ['before', null, null],
      ['json', 'u1', 't'],
      ['line', 'u1', 't'],
      ['rpc', 'u1', 't'],
    ])
    expect((await messagesOf(read, 'user_id=u1')).sort()).toEqual(['json', 'line', 'rpc'])
  })
})

describe('shards', () => {
  it('are raised while records go on coming, and none is lost from sight', async () => {
    const { ingest, read } = await makeApp('raised')
    const sent: string[] = []
    const post = async (message: string) => {
      await dataOf(await postLogs(ingest, { message }))
      sent.push(message)
    }
    for (const shards of [1, 2, 5]) {
      if (shards > 1) expect((await settings('raised', { shards })).data).toMatchObject({ shards })
      for (let i = 0; i < 8; i++) await post(`${shards}-${i}`)
      expect((await messagesOf(read)).sort()).toEqual([...sent].sort())
    }
    const ids = (await dataOf<LogPage>(await getLogs(read))).logs.map(({ id }) => id.split('-')[0])
    expect(new Set(ids).size).toBeGreaterThan(1)
  })
})
