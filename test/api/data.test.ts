// The doors about stored records, over HTTP, with real shards and a real bucket behind them.

import { env as bound } from 'cloudflare:workers'
import { describe, expect, it, vi } from 'vitest'
import { dataRoutes } from '../../src/api/data-routes.ts'
import type { Env } from '../../src/env.ts'
import {
  ADMIN_KEY,
  dataOf,
  makeApp,
  makeKey,
  messagesOf,
  postLogs,
  request,
} from '../flow/client.ts'

const env = bound as Env

interface Sent {
  key?: string
  body?: unknown
  /** Sent as it is, where `body` is made JSON. */
  raw?: string
  headers?: Record<string, string>
}
type Answer = {
  ok: boolean
  // Whatever the door answers: each test says what it expects.
  data: Record<string, never>
  error: { code: string; message: string; details?: Record<string, unknown> }
}

function fetchLine(line: string, { key = ADMIN_KEY, body, raw, headers }: Sent = {}) {
  const [method = '', path = ''] = line.split(' ')
  const init: RequestInit = { method, headers: { 'X-API-Key': key, ...headers } }
  if (raw !== undefined) init.body = raw
  else if (body !== undefined) init.body = JSON.stringify(body)
  return request(path, init)
}

async function send(line: string, sent: Sent = {}) {
  const response = await fetchLine(line, sent)
  return { status: response.status, ...((await response.json()) as Answer) }
}

/** An app with three records of these days ago, one an hour before the other. */
async function appWith(appId: string, shards: number, logs: Record<string, unknown>[]) {
  const app = await makeApp(appId, { shards })
  for (const log of logs) await dataOf(await postLogs(app.ingest, log))
  return app
}

async function doneJob(appId: string, jobId: string) {
  return vi.waitFor(
    async () => {
      const job = await send(`GET /apps/${appId}/jobs/${jobId}`)
      expect(job.data).toMatchObject({ state: 'done' })
      return job.data as Record<string, unknown>
    },
    { timeout: 20_000, interval: 50 },
  )
}

describe('every door', () => {
  const doors = [
    'POST /apps/APP/delete',
    'POST /apps/APP/prune',
    'GET /apps/APP/jobs/job_x',
    'GET /apps/APP/storage',
    'GET /apps/APP/archive',
    'GET /apps/APP/archive/APP/date=2026-01-02/0-0.parquet',
    'GET /apps/APP/settings',
    'PATCH /apps/APP/settings',
    'POST /flush?app_id=APP',
  ]

  it('is open to an admin of the app alone, and says to others nothing of other apps', async () => {
    const { read } = await makeApp('doors')
    await makeApp('doors-other')
    const bound = await makeKey('doors', { role: 'read', workspace_id: 'w' })
    const admin = await makeKey('doors', { role: 'admin' })
    const codeOf = async (door: string, app: string, key: string) => {
      const { status, error } = await send(door.replaceAll('APP', app), { key })
      return `${status} ${error?.code}`
    }
    for (const door of doors) {
      expect(await codeOf(door, 'doors', read), door).toBe('403 forbidden')
      expect(await codeOf(door, 'doors', bound), door).toBe('403 forbidden')
      expect(await codeOf(door, 'doors-other', admin), door).toBe('403 forbidden')
      expect(await codeOf(door, 'doors-none', admin), door).toBe('403 forbidden')
      expect(await codeOf(door, 'doors', 'nonsense'), door).toBe('401 unauthorized')
    }
  })

  it('says 404 to the owner where there is no such app', async () => {
    const bodies: Record<string, object> = {
      'POST /apps/none/delete': { filter: {} },
      'POST /apps/none/prune': { before: 1 },
      'PATCH /apps/none/settings': { hot_days: 1 },
    }
    for (const door of doors) {
      const line = door.replaceAll('APP', 'none')
      const { status, error } = await send(line, { body: bodies[line] })
      expect(`${status} ${error?.code} ${error?.message}`, door).toBe(
        '404 not_found there is no app "none"',
      )
    }
  })
})

describe('a body', () => {
  const refuses = (
    name: string,
    line: string,
    body: unknown,
    message: string,
    code = 'bad_request',
  ) =>
    it(`is refused: ${name}`, async () => {
      const made = await send('POST /apps', { body: { app_id: 'bodies' } })
      expect([200, 409]).toContain(made.status)
      expect(await send(`POST /apps/bodies/${line}`, { body })).toMatchObject({
        status: 400,
        error: { code, message: expect.stringContaining(message) },
      })
    })

  refuses('none', 'delete', undefined, 'not JSON', 'bad_json')
  refuses('no filter', 'delete', {}, 'filter must be an object')
  refuses(
    'a filter that is a text',
    'delete',
    { filter: 'level:debug' },
    'filter must be an object',
  )
  refuses('a filter that is a list', 'delete', { filter: [] }, 'filter must be an object')
  refuses(
    'a parameter nobody knows',
    'delete',
    { filter: { color: 'red' } },
    'unknown parameter "color"',
  )
  refuses('a page of a filter', 'delete', { filter: { limit: 1 } }, 'unknown parameter "limit"')
  refuses('an app in a filter', 'delete', { filter: { app_id: 'x' } }, 'unknown parameter "app_id"')
  refuses('a level that is a list', 'delete', { filter: { level: ['debug'] } }, 'must be text')
  refuses('a bad time', 'delete', { filter: { until: 'soon' } }, 'until')
  refuses('a bad q', 'delete', { filter: { q: '"a' } }, 'quote', 'bad_query')
  refuses(
    'a member nobody knows',
    'delete',
    { filter: { level: 'debug' }, dryrun: true },
    '"dryrun"',
  )
  refuses('a dry run that is no yes or no', 'delete', { filter: {}, dry_run: 1 }, 'dry_run')
  refuses('another confirmation', 'delete', { filter: {}, confirm: 'yes' }, 'confirm')
  refuses('everything', 'delete', { filter: {} }, '"confirm":"all"')
  refuses('every level', 'delete', { filter: { level: '>=trace' } }, '"confirm":"all"')
  refuses('since 1970', 'delete', { filter: { since: '1970-01-01' } }, '"confirm":"all"')
  refuses('until the future', 'delete', { filter: { until: '2999-01-01' } }, '"confirm":"all"')
  refuses('all there is by time', 'prune', { before: '0s' }, '"confirm":"all"')
  refuses('no time', 'prune', {}, 'before')
  refuses('a time that is none', 'prune', { before: 'x' }, 'before: "x" is no time')
  refuses('a time that is a list', 'prune', { before: [1] }, 'before: must be a time')
  refuses('a time before 1970', 'prune', { before: -1 }, 'before: "-1" is before 1970')
  refuses('a filter to prune by', 'prune', { before: 1, filter: {} }, '"filter"')
})

describe('a deletion', () => {
  const logs = [
    { level: 'debug', message: 'one', timestamp: '2026-01-01' },
    { level: 'info', message: 'two', timestamp: '2026-02-01' },
    { level: 'debug', message: 'three', timestamp: '2026-03-01' },
    { level: 'error', message: 'four', timestamp: '2026-04-01' },
  ]

  it('is counted first, hides at once, and says when it is done', async () => {
    const { read, ingest } = await appWith('deleting', 3, logs)
    const filter = { level: 'debug' }
    const dry = await send('POST /apps/deleting/delete', { body: { filter, dry_run: true } })
    expect(dry).toMatchObject({ status: 200, data: { count: 2, partial: false } })
    expect((await messagesOf(read)).sort()).toEqual(['four', 'one', 'three', 'two'])

    const started = await send('POST /apps/deleting/delete', { body: { filter } })
    expect(started).toMatchObject({ status: 200, data: { state: 'running' } })
    expect((await messagesOf(read)).sort()).toEqual(['four', 'two'])
    await dataOf(await postLogs(ingest, { level: 'debug', message: 'later' }))
    const job = await doneJob('deleting', started.data.job_id!)
    expect(job).toMatchObject({ kind: 'delete', records: 2, error: null })
    expect(Object.keys(job)).toEqual(
      'job_id kind state created_at done_at records blocks shards error'.split(' '),
    )
    expect((await messagesOf(read)).sort()).toEqual(['four', 'later', 'two'])

    const again = await send('POST /apps/deleting/delete', { body: { filter: { level: 'fatal' } } })
    expect(await doneJob('deleting', again.data.job_id!)).toMatchObject({ records: 0 })
  })

  it('of everything takes a word more', async () => {
    const { read } = await appWith('all', 2, logs)
    const body = { filter: {}, confirm: 'all' }
    const dry = await send('POST /apps/all/delete', { body: { ...body, dry_run: true } })
    expect(dry.data).toMatchObject({ count: 4 })
    const started = await send('POST /apps/all/delete', { body })
    expect(await messagesOf(read)).toEqual([])
    expect(await doneJob('all', started.data.job_id!)).toMatchObject({ records: 4 })
  })

  it('by time is what prune does', async () => {
    const { read } = await appWith('pruned', 1, logs)
    const body = { before: '2026-03-01' }
    const dry = await send('POST /apps/pruned/prune', { body: { ...body, dry_run: true } })
    expect(dry.data).toMatchObject({ count: 2 })
    const started = await send('POST /apps/pruned/prune', { body })
    expect((await messagesOf(read)).sort()).toEqual(['four', 'three'])
    expect(await doneJob('pruned', started.data.job_id!)).toMatchObject({ records: 2 })
    const everything = await send('POST /apps/pruned/prune', {
      body: { before: '2999-01-01', confirm: 'all' },
    })
    expect(everything.status).toBe(200)
    expect(await messagesOf(read)).toEqual([])
  })

  it('is open to an admin key of the app', async () => {
    await makeApp('own-admin')
    const key = await makeKey('own-admin', { role: 'admin' })
    const body = { filter: { service: 'x' } }
    const started = await send('POST /apps/own-admin/delete', { key, body })
    expect(started.status).toBe(200)
    expect(await send(`GET /apps/own-admin/jobs/${started.data.job_id}`, { key })).toMatchObject({
      status: 200,
    })
  })
})

describe('a job', () => {
  it('nobody knows is not found', async () => {
    await makeApp('jobless')
    for (const id of ['nope', `job_${'0'.repeat(24)}01`, '%00']) {
      expect(await send(`GET /apps/jobless/jobs/${id}`)).toMatchObject({
        status: 404,
        error: { code: 'not_found', message: expect.stringContaining('no job') },
      })
    }
  })

  it('of another app is not found', async () => {
    await makeApp('jobs-a')
    await makeApp('jobs-b')
    const started = await send('POST /apps/jobs-a/delete', { body: { filter: { service: 'x' } } })
    expect((await send(`GET /apps/jobs-b/jobs/${started.data.job_id}`)).status).toBe(404)
  })
})

describe('the archive', () => {
  it('is filled by a flush, listed, and its objects are taken out as they are', async () => {
    await appWith('kept', 2, [{ message: 'a' }, { message: 'b' }])
    await appWith('kept-not', 1, [{ message: 'c' }])
    const flushed = await send('POST /flush', { body: { app_id: 'kept' } })
    const jobs = flushed.data.jobs as unknown as { app_id: string; job_id: string }[]
    expect(jobs).toEqual([{ app_id: 'kept', job_id: expect.any(String) }])
    await doneJob('kept', jobs[0]!.job_id)

    const { data } = await send('GET /apps/kept/archive')
    const objects = data.objects as unknown as { key: string; bytes: number; records: number }[]
    expect(objects.reduce((sum, { records }) => sum + records, 0)).toBe(2)
    for (const object of objects) {
      expect(object).toEqual({
        key: expect.stringMatching(
          /^kept\/date=\d{4}-\d\d-\d\d\/[0-9a-f]{8}-\d-\d+-g\d+\.parquet$/,
        ),
        bytes: expect.any(Number),
        records: expect.any(Number),
        day: new Date().toISOString().slice(0, 10),
        shard: expect.any(Number),
      })
      const taken = await fetchLine(`GET /apps/kept/archive/${object.key}`)
      const bytes = new Uint8Array(await taken.arrayBuffer())
      expect(bytes.length).toBe(object.bytes)
      expect(new TextDecoder().decode(bytes.subarray(0, 4))).toBe('PAR1')
      expect(Object.fromEntries(taken.headers)).toMatchObject({
        'content-type': 'application/vnd.apache.parquet',
        'content-length': String(object.bytes),
        'content-disposition': `attachment; filename="${object.key.split('/').at(-1)}"`,
        etag: expect.stringMatching(/^"/),
      })
      const other = await send(`GET /apps/kept-not/archive/${object.key}`)
      expect(other).toMatchObject({ status: 404, error: { code: 'not_found' } })
    }
    expect((await send('GET /apps/kept-not/archive')).data).toEqual({ objects: [] })
    const gone = await send(`GET /apps/kept/archive/${objects[0]!.key.replace('-g', '-g9')}`)
    expect(gone.status).toBe(404)
  })

  it('of a deleted app is emptied, and that of the next app of the name is not', async () => {
    const keysOf = async () =>
      (await env.ARCHIVE!.list({ prefix: 'reborn/' })).objects.map(({ key }) => key)
    const flushed = async (message: string) => {
      await appWith('reborn', 1, [{ message }])
      const { data } = await send('POST /flush?app_id=reborn')
      const [job] = data.jobs as unknown as { job_id: string }[]
      await doneJob('reborn', job!.job_id)
      return keysOf()
    }
    const old = await flushed('old')
    expect(old).toHaveLength(1)
    expect((await send('DELETE /apps/reborn?confirm=reborn')).status).toBe(200)
    await vi.waitFor(async () => expect(await keysOf()).toEqual([]), { timeout: 10_000 })
    const kept = await flushed('new')
    expect(kept).toHaveLength(1)
    expect((await send(`GET /apps/reborn/archive/${old[0]}`)).status).toBe(404)
  })

  it('says where there is none', async () => {
    await makeApp('bare')
    const { ARCHIVE: _, ...without } = env
    const path = 'http://logs/apps/bare/archive/bare/date=2026-01-02/00000000-0-1-g1.parquet'
    const asked = new Request(path, { headers: { 'X-API-Key': ADMIN_KEY } })
    const response = await dataRoutes.fetch(asked, without)
    expect(response.status).toBe(404)
    expect(await response.text()).toContain('has no archive')
  })
})

describe('POST /flush', () => {
  const jobsOf = async (line: string, sent: Sent = {}) => {
    const { status, data } = await send(line, sent)
    expect(status).toBe(200)
    return (data.jobs as unknown as { app_id: string }[]).map(({ app_id }) => app_id)
  }

  it('is about the app that is named, anywhere, or that of the key', async () => {
    await makeApp('flush-a')
    const key = await makeKey('flush-a', { role: 'admin' })
    expect(await jobsOf('POST /flush?app_id=flush-a')).toEqual(['flush-a'])
    expect(await jobsOf('POST /flush', { body: { app_id: 'flush-a' } })).toEqual(['flush-a'])
    expect(await jobsOf('POST /flush', { headers: { 'X-App-Id': 'flush-a' } })).toEqual(['flush-a'])
    expect(await jobsOf('POST /flush', { key })).toEqual(['flush-a'])
    expect(await jobsOf('POST /flush?older_than=2h', { key, body: {} })).toEqual(['flush-a'])
    const olderThan = Date.now() - 1000
    expect(await jobsOf('POST /flush', { key, body: { older_than: olderThan } })).toEqual([
      'flush-a',
    ])
  })

  it('is about all apps to an owner who names none', async () => {
    await makeApp('flush-b')
    await makeApp('flush-c')
    expect(await jobsOf('POST /flush')).toEqual(expect.arrayContaining(['flush-b', 'flush-c']))
  })

  const refuses = (name: string, line: string, sent: Sent, status: number, message: string) =>
    it(`refuses ${name}`, async () => {
      expect(await send(line, sent)).toMatchObject({
        status,
        error: { message: expect.stringContaining(message) },
      })
    })
  refuses('the future', 'POST /flush?older_than=2999-01-01', {}, 400, 'is in the future')
  refuses(
    'no time',
    'POST /flush',
    { body: { older_than: 'x' } },
    400,
    'older_than: "x" is no time',
  )
  refuses(
    'an app named twice',
    'POST /flush?app_id=a',
    { body: { app_id: 'a' } },
    400,
    'given twice',
  )
  refuses('a parameter named twice', 'POST /flush?app_id=a&app_id=a', {}, 400, 'given twice')
  refuses('a parameter nobody knows', 'POST /flush?app=a', {}, 400, '"app"')
  refuses('a member nobody knows', 'POST /flush', { body: { older: 1 } }, 400, '"older"')
  refuses('what is no JSON', 'POST /flush', { raw: '{' }, 400, 'not JSON')
  refuses('no such app', 'POST /flush?app_id=none', {}, 404, 'no app "none"')
  refuses(
    'X-Scope-OrgID alone',
    'POST /flush',
    { headers: { 'X-Scope-OrgID': 'a' } },
    400,
    'name one',
  )
})

describe('GET /apps/:app_id/storage', () => {
  it('shows what lies where', async () => {
    await appWith('stored', 2, [{ message: 'a' }, { message: 'b' }, { message: 'c' }])
    const before = await send('GET /apps/stored/storage')
    expect(before.data).toMatchObject({
      app_id: 'stored',
      records: 3,
      archive: 'configured',
      warnings: [],
      estimate: { currency: 'USD', from: { records_a_month: 90 } },
    })
    expect(before.data.shards).toHaveLength(2)
    const flushed = await send('POST /flush?app_id=stored')
    const [job] = flushed.data.jobs as unknown as { job_id: string }[]
    await doneJob('stored', job!.job_id)
    const { data } = await send('GET /apps/stored/storage')
    expect(data).toMatchObject({ records: 3, pending: { rows: 0, records: 0 } })
    const blocks = data.blocks as unknown as { tier: string; records: number }[]
    expect(blocks.map(({ tier }) => tier)).toEqual(blocks.map(() => 'cold'))
    expect(blocks.reduce((sum, { records }) => sum + records, 0)).toBe(3)
  })
})
