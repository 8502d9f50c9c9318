// Records as their readers see them while they are unsealed, in blocks and in the archive: the same
// answers; counts without opening; and what is said when the archive lost something.

import { env } from 'cloudflare:workers'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  ADMIN_KEY,
  type App,
  dataOf,
  getLogs,
  type LogPage,
  makeApp,
  makeKey,
  postLogs,
  request,
} from './client.ts'

const T = 1_720_000_000_000
const { ARCHIVE } = env as unknown as { ARCHIVE: R2Bucket }

interface Answer extends LogPage {
  count: number
  partial_reasons: object[]
  stats: LogPage['stats'] & { r2_reads: number; bytes: number }
}

const get = (app: App, query: string) => getLogs(app.read, query).then((r) => dataOf<Answer>(r))
const countOf = (app: App, query: string) =>
  request(`/logs/count?${query}`, { headers: { 'X-API-Key': app.read } }).then((r) =>
    dataOf<Answer>(r),
  )

/** Seals what is there, archives what was received before, and waits until it is done. */
async function flush(app: App, olderThan: string): Promise<void> {
  const headers = { 'X-API-Key': ADMIN_KEY }
  const query = `app_id=${app.appId}&older_than=${olderThan}`
  const started = await request(`/flush?${query}`, { method: 'POST', headers })
  const [job] = (await dataOf<{ jobs: { job_id: string }[] }>(started)).jobs
  const read = async () => {
    const path = `/apps/${app.appId}/jobs/${job!.job_id}`
    return (await dataOf<{ state: string }>(await request(path, { headers }))).state
  }
  await expect.poll(read, { timeout: 20_000, interval: 100 }).toBe('done')
}

async function fill(app: App): Promise<void> {
  for (let part = 0; part < 3; part++) {
    const logs = Array.from({ length: 40 }, (_, i) => ({
      message: [`user ${i} logged in`, 'disk full', `GET /a/${i} took ${part} ms`, 'ready'][i % 4],
      level: ['info', 'error', 'warn'][i % 3],
      service: ['api', 'web'][i % 2],
      timestamp: T + ((part * 40 + i * 7) % 90) * 1000,
      trace_id: (part * 40 + i).toString(16).padStart(32, 'a'),
      ...(i % 4 === 0 && { code: i, list: [i, 'x'] }),
      ...(i % 5 === 0 && { workspace_id: 'w1' }),
    }))
    expect((await postLogs(app.ingest, logs)).status).toBe(200)
  }
}

const QUERIES = [
  '',
  'order=asc&limit=50',
  'limit=7',
  'q=user',
  'q=%22user+12%22',
  'q=full+disk&service=web',
  'service=api&level=%3E%3Dwarn',
  'attr.code=8',
  `trace_id=${(57).toString(16).padStart(32, 'a')}`,
  `since=${T + 20_000}&until=${T + 40_000}`,
  'q=nothing',
]
const forCount = (query: string) => query.replace(/&?(order|limit)=\w+/g, '').replace(/^&/, '')

/** All answers, without what says how they were found. */
async function answersOf(app: App) {
  const answers: unknown[] = []
  for (const query of QUERIES) {
    const { logs, partial } = await get(app, query)
    const { count } = await countOf(app, forCount(query))
    expect(partial, query).toBe(false)
    answers.push({ query, logs, count })
  }
  return answers
}

describe('records that move', () => {
  let app: App
  let unsealed: unknown[]
  beforeAll(async () => {
    app = await makeApp('moves', { shards: 2 })
    await fill(app)
    unsealed = await answersOf(app)
  }, 30_000)

  it('are counted as they are found', () => {
    const [all, , , user] = unsealed as { count: number }[]
    expect([all!.count, user!.count]).toEqual([120, 30])
  })

  it('answer the same in blocks', async () => {
    await flush(app, '7d')
    expect(await answersOf(app)).toEqual(unsealed)
    expect((await get(app, '')).stats.r2_reads).toBe(0)
  })

  it('answer the same in the archive', async () => {
    await flush(app, '0s')
    expect(await answersOf(app)).toEqual(unsealed)
    expect((await get(app, '')).stats.r2_reads).toBeGreaterThan(0)
  })

  it('and others beside them', async () => {
    const late = { message: 'user 12 logged out', timestamp: T + 100_000 }
    expect((await postLogs(app.ingest, late)).status).toBe(200)
    const { logs, stats } = await get(app, 'q=%22user+12%22')
    expect(logs.map(({ message }) => message)).toEqual([
      'user 12 logged out',
      ...Array(3).fill('user 12 logged in'),
    ])
    expect(stats.r2_reads).toBeGreaterThan(0)
  })

  it('are counted by what catalogs know, and no block is opened', async () => {
    for (const query of ['', 'q=user', 'q=%22disk+full%22', 'level=error']) {
      const { count, stats } = await countOf(app, query)
      expect(count, query).toBeGreaterThan(0)
      // The one row that is not sealed yet is looked through, where it may match.
      expect(stats, query).toMatchObject({ r2_reads: 0 })
      expect(stats.blocks.opened, query).toBeLessThanOrEqual(1)
    }
  })

  it('are counted for a key of one workspace within it', async () => {
    const bound = await makeKey(app.appId, { role: 'read', workspace_id: 'w1' })
    const headers = { 'X-API-Key': bound }
    const counted = await dataOf<Answer>(await request('/logs/count', { headers }))
    expect(counted.count).toBe(24)
    const refused = await request('/logs/count?workspace_id=w2', { headers })
    expect(refused.status).toBe(403)
  })
})

describe('GET /logs/count', () => {
  const refuses = (query: string, status: number, text: string) =>
    it(`refuses ${query}: ${status}`, async () => {
      const app = await makeApp(`count-${query.replace(/\W+/g, '-').toLowerCase()}`)
      const headers = { 'X-API-Key': app.read }
      const response = await request(`/logs/count?${query}`, { headers })
      expect(response.status).toBe(status)
      expect(await response.text()).toContain(text)
    })

  refuses('limit=5', 400, 'unknown parameter')
  refuses('order=asc', 400, 'unknown parameter')
  refuses('cursor=x', 400, 'unknown parameter')
  refuses('sevrice=api', 400, 'unknown parameter')
  refuses('app_id=another', 403, 'opens no other')

  it('of a new app is 0', async () => {
    const app = await makeApp('count-none')
    expect(await countOf(app, '')).toMatchObject({ count: 0, partial: false, partial_reasons: [] })
    const headers = { 'X-API-Key': app.ingest }
    expect((await request('/logs/count', { headers })).status).toBe(403)
  })
})

describe('an archive that lost an object', () => {
  it('is said so: the page shows the rest, a record is 503, a count is exact', async () => {
    const app = await makeApp('loses')
    await fill(app)
    await flush(app, '0s')
    const { objects } = await ARCHIVE.list({ prefix: 'loses/' })
    expect(objects.length).toBe(1)
    const { key } = objects[0]!
    const bytes = await (await ARCHIVE.get(key))!.bytes()
    await ARCHIVE.delete(key)
    await postLogs(app.ingest, { message: 'hot' })

    const lacking = await get(app, '')
    expect(lacking.logs.map(({ message }) => message)).toEqual(['hot'])
    const missing = { code: 'block_missing', shard: 0, block: 1 }
    expect(lacking).toMatchObject({ partial: true, partial_reasons: [missing] })
    const one = await request('/logs/0-5', { headers: { 'X-API-Key': app.read } })
    expect(one.status).toBe(503)
    expect(await one.json()).toMatchObject({ error: { code: 'unavailable', details: missing } })
    expect(await countOf(app, 'q=user')).toMatchObject({ count: 30, partial: false })

    await ARCHIVE.put(key, bytes.subarray(0, 100))
    expect((await get(app, '')).partial_reasons).toEqual([{ ...missing, code: 'block_corrupt' }])
    await ARCHIVE.put(key, bytes)
    const { logs, partial } = await get(app, `limit=200&cursor=${lacking.next_cursor}`)
    expect([logs.length, partial]).toEqual([121, false])
  })
})
