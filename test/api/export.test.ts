// GET /logs/export over HTTP: the same records as GET /logs, while others arrive and blocks are sealed.

import { env } from 'cloudflare:workers'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import {
  ADMIN_KEY,
  type App,
  dataOf,
  type LogPage,
  makeApp,
  makeKey,
  postLogs,
  request,
} from '../flow/client.ts'

const { ARCHIVE } = env as unknown as { ARCHIVE: R2Bucket }
const T = 1_720_000_000_000

const get = (key: string, path: string, headers: Record<string, string> = {}) =>
  request(path, { headers: { 'X-API-Key': key, ...headers } })

function records(from: number, count: number) {
  return Array.from({ length: count }, (_, n) => {
    const i = from + n
    return {
      message: `order ${i} ${['paid', 'shipped', 'lost'][i % 3]}`,
      timestamp: T + ((i * 7919) % 100_000),
      level: i % 50 === 0 ? 'error' : 'info',
      service: ['api', 'web'][i % 2],
      amount: i % 100,
      ...(i % 10 === 0 && { workspace_id: 'w1' }),
    }
  })
}

/** Every record that GET /logs shows, as the lines of an export are. */
async function paged(key: string, query: string): Promise<string[]> {
  const lines: string[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const path = `/logs?limit=1000&${query}${cursor && `&cursor=${cursor}`}`
    const page: LogPage = await dataOf<LogPage>(await get(key, path))
    expect(page.partial).toBe(false)
    lines.push(...page.logs.map((record) => JSON.stringify(record)))
    cursor = page.next_cursor
  }
  return lines
}

async function exported(key: string, query = ''): Promise<string[]> {
  const response = await get(key, `/logs/export?${query}`)
  expect(response.status).toBe(200)
  const lines = (await response.text()).split('\n')
  expect(lines.pop()).toBe('')
  return lines
}

const flush = (app: App, olderThan = '7d') =>
  request(`/flush?app_id=${app.appId}&older_than=${olderThan}`, {
    method: 'POST',
    headers: { 'X-API-Key': ADMIN_KEY },
  })

describe('more than fifty thousand records', () => {
  const COUNT = 51_200
  let app: App
  beforeAll(async () => {
    app = await makeApp('export-large', { shards: 2 })
    for (let from = 0; from < COUNT; from += 6_400) {
      expect((await postLogs(app.ingest, records(from, 6_400))).status).toBe(200)
    }
  }, 120_000)

  it('are exported as GET /logs pages them, unsealed and in blocks', async () => {
    const all = await paged(app.read, 'order=asc')
    expect(all.length).toBe(COUNT)
    expect(await exported(app.read, 'order=asc')).toEqual(all)
    expect(await exported(app.read)).toEqual([...all].reverse())
  }, 120_000)

  it('and are those of the start, while others arrive and blocks are made', async () => {
    const before = await paged(app.read, '')
    const response = await get(app.read, '/logs/export')
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    let pieces = 0
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      text += value
      if (pieces++ % 100 === 0) {
        expect((await postLogs(app.ingest, records(COUNT + pieces, 10))).status).toBe(200)
        expect((await flush(app)).status).toBe(200)
      }
    }
    expect(pieces).toBeGreaterThan(60)
    expect(text.trimEnd().split('\n')).toEqual(before)
  }, 120_000)
})

describe('an archive that lost an object', () => {
  const COUNT = 12_000
  let app: App
  beforeAll(async () => {
    app = await makeApp('export-loses')
    for (let from = 0; from < COUNT; from += 6_000) {
      const logs = records(from, 6_000).map((one, i) => ({ ...one, timestamp: T + from + i }))
      await postLogs(app.ingest, logs)
      expect((await flush(app, '0s')).status).toBe(200)
      await vi.waitFor(
        async () => {
          const { objects } = await ARCHIVE.list({ prefix: 'export-loses/' })
          expect(objects.length).toBe(1 + from / 6_000)
        },
        { timeout: 20_000, interval: 100 },
      )
    }
    const { objects } = await ARCHIVE.list({ prefix: 'export-loses/' })
    const oldest = objects.sort((a, b) => a.uploaded.getTime() - b.uploaded.getTime())[0]!
    await ARCHIVE.delete(oldest.key)
  }, 60_000)

  it('breaks an export off, which no client can take for whole', async () => {
    const response = await get(app.read, '/logs/export?limit=7000')
    expect(response.status).toBe(200)
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    const reading = (async () => {
      for (;;) {
        const { done, value } = await reader.read()
        if (done) return
        text += value
      }
    })()
    await expect(reading).rejects.toThrow()
    const lines = text.trimEnd().split('\n')
    expect(lines.length).toBe(5_001)
    expect(JSON.parse(lines.at(-1)!)).toMatchObject({
      error: { code: 'unavailable', details: { partial_reasons: [{ code: 'block_missing' }] } },
    })
  }, 60_000)

  it('is answered 503 where nothing was sent yet', async () => {
    const response = await get(app.read, '/logs/export?order=asc')
    expect(response.status).toBe(503)
    expect(await response.json()).toMatchObject({ ok: false, error: { code: 'unavailable' } })
  }, 60_000)

  it('is told of in the headers of a page, whose cursor offers it again', async () => {
    const response = await get(app.read, '/logs?order=asc&limit=2&format=csv')
    expect((await response.text()).split('\r\n').length).toBe(4)
    expect(response.headers.get('X-Partial')).toBe('true')
    const reason = { code: 'block_missing', shard: 0, block: 1 }
    expect(JSON.parse(response.headers.get('X-Partial-Reasons')!)).toEqual([reason])
    const cursor = response.headers.get('X-Next-Cursor')
    const again = await get(app.read, `/logs?order=asc&limit=2&cursor=${cursor}`)
    const page = await dataOf<LogPage>(again)
    expect(page.logs.map(({ timestamp }) => timestamp)).toEqual([T + 6_000, T + 6_001])
    expect(page.partial).toBe(true)
  })

  it('is told of in the last line of an export that may go past it', async () => {
    const lines = await exported(app.read, 'partial=allow')
    expect(lines.length).toBe(6_001)
    expect(JSON.parse(lines.at(-1)!).error.details.partial_reasons).toEqual([
      { code: 'block_missing', shard: 0, block: 1 },
    ])
  }, 60_000)
})

describe('an export', () => {
  let app: App
  let bound: string
  beforeAll(async () => {
    app = await makeApp('export-small', { shards: 2 })
    bound = await makeKey(app.appId, { role: 'read', workspace_id: 'w1' })
    for (let from = 0; from < 300; from += 100) await postLogs(app.ingest, records(from, 100))
  })

  it('is filtered, bounded and goes on behind a cursor like GET /logs', async () => {
    for (const query of ['q=paid', 'level=error&service=api', `since=${T + 30_000}&order=asc`]) {
      const all = await paged(app.read, query)
      expect(all.length).toBeGreaterThan(0)
      expect(await exported(app.read, query)).toEqual(all)
    }
    const all = await paged(app.read, '')
    expect(await exported(app.read, 'limit=7')).toEqual(all.slice(0, 7))
    const page = await dataOf<LogPage>(await get(app.read, '/logs?limit=50'))
    expect(await exported(app.read, `cursor=${page.next_cursor}`)).toEqual(all.slice(50))
    expect(await exported(app.read, 'q=nothing')).toEqual([])
  })

  it('by a bound key holds its workspace alone', async () => {
    const own = await exported(bound)
    expect(own.length).toBe(30)
    expect(own).toEqual(await paged(app.read, 'workspace_id=w1'))
    expect((await get(bound, '/logs/export?workspace_id=w2')).status).toBe(403)
  })

  it('is a file to save, in the form asked for', async () => {
    const forms: [string, Record<string, string>, string, RegExp][] = [
      [
        '',
        {},
        'application/x-ndjson',
        /^attachment; filename="export-small-\d{8}T\d{6}Z\.ndjson"$/,
      ],
      ['?format=csv', {}, 'text/csv', /\.csv"$/],
      ['', { Accept: 'text/csv' }, 'text/csv', /\.csv"$/],
      ['', { Accept: '*/*' }, 'application/x-ndjson', /\.ndjson"$/],
      ['?format=ndjson', { Accept: 'text/csv' }, 'application/x-ndjson', /\.ndjson"$/],
    ]
    for (const [query, headers, type, name] of forms) {
      const response = await get(app.read, `/logs/export${query}`, headers)
      expect(response.headers.get('Content-Type')!.split(';')[0]).toBe(type)
      expect(response.headers.get('Content-Disposition')).toMatch(name)
      const lines = (await response.text()).trim().split(/\r?\n/)
      expect(lines.length).toBe(type === 'text/csv' ? 301 : 300)
    }
    const empty = await get(app.read, '/logs/export?format=csv&q=nothing')
    expect((await empty.text()).split('\r\n')).toEqual([expect.stringMatching(/^id,/), ''])
  })

  const refuses = (query: string, status: number, text: string) =>
    it(`refuses ${query}`, async () => {
      const response = await get(app.read, `/logs/export?${query}`)
      const { error } = (await response.json()) as { error: { message: string } }
      expect([response.status, error.message]).toEqual([status, expect.stringContaining(text)])
    })
  refuses('format=json', 400, 'ndjson')
  refuses('limit=0', 400, 'limit')
  refuses('partial=yes', 400, 'allow')
  refuses('partial=allow&format=csv', 400, 'ndjson')
  refuses('colour=red', 400, 'unknown parameter')
  refuses('cursor=abc', 400, 'cursor')
  refuses('q=%28', 400, '')

  it('needs a key that may read', async () => {
    expect((await request('/logs/export')).status).toBe(401)
    expect((await get(app.ingest, '/logs/export')).status).toBe(403)
    expect((await request('/logs/export', { method: 'POST' })).status).toBe(405)
  })
})
