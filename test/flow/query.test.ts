// GET /logs as its users read it: filters, order, pages, refusals.

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
  request,
} from './client.ts'

const T = 1_720_000_000_000

describe('filters', () => {
  it('find what they say and nothing else', async () => {
    const app = await makeApp('filters')
    await postLogs(app.ingest, [
      {
        message: 'Connection reset by peer',
        level: 'warn',
        service: 'api',
        code: 200,
        timestamp: T,
      },
      {
        message: 'connection timeout',
        level: 'error',
        service: 'api',
        code: '200',
        timestamp: T + 1,
      },
      {
        message: 'reset at 10:30:15',
        level: 'fatal',
        service: 'web',
        user_id: 'u1',
        timestamp: T + 2,
      },
      { message: '数据库 连接失败', level: 'debug', trace_id: 'a'.repeat(32), timestamp: T + 3 },
      {
        message: 'connections',
        list: [1, { a: null }],
        level: 'trace',
        code: true,
        timestamp: T + 4,
      },
    ])
    const finds = async (query: string, rows: number[]) => {
      const page = await dataOf<LogPage>(await getLogs(app.read, `order=asc&${query}`))
      expect(
        page.logs.map(({ timestamp }) => Number(timestamp) - T),
        query,
      ).toEqual(rows)
    }
    await finds('level=warn', [0])
    await finds('level=WARNING,fatal', [0, 2])
    await finds('level=%3E%3Derror', [1, 2])
    await finds('service=api', [0, 1])
    await finds('service=API', [])
    await finds('user_id=u1', [2])
    await finds(`trace_id=${'A'.repeat(32)}`, [3])
    await finds('attr.code=200', [0, 1])
    await finds('attr.code=true', [4])
    await finds('attr.code=2', [])
    await finds('attr.list=%5B1,%7B%22a%22:null%7D%5D', [4])
    await finds('q=at+10:30', [2])
    await finds('q=connection', [0, 1])
    await finds('q=CONNECTION+reset', [0])
    await finds('q=%22reset+by+peer%22', [0])
    await finds('q=%22reset+peer%22', [])
    await finds('q=%E6%95%B0%E6%8D%AE', [3])
    await finds(`since=${T + 1}&until=${T + 3}`, [1, 2])
    await finds('since=2024-07-03T09:46:40.004Z', [4])
    await finds('service=api&level=error&q=timeout', [1])
  })

  it('prune by time and level without opening', async () => {
    const app = await makeApp('prunes')
    await postLogs(app.ingest, [{ message: 'old', timestamp: 1000 }])
    await postLogs(app.ingest, [{ message: 'new', level: 'error', timestamp: T }])
    const { logs, stats } = await dataOf<LogPage>(
      await getLogs(app.read, 'since=2020-01-01&level=info'),
    )
    expect(logs).toEqual([])
    expect(stats.blocks).toMatchObject({
      considered: 2,
      opened: 0,
      skipped: { time: 1, values: 1 },
    })
  })
})

describe('order and pages', () => {
  it('desc is the exact reverse of asc, ties included, and arrival decides within a request', async () => {
    const app = await makeApp('order')
    const times = [T, T + 5, T, T - 3, T + 5, T]
    for (const part of [times.slice(0, 4), times.slice(4)]) {
      await postLogs(
        app.ingest,
        part.map((timestamp, i) => ({ message: `${part.length}.${i}`, timestamp })),
      )
    }
    const asc = await messagesOf(app.read, 'order=asc')
    expect(asc).toEqual(['4.3', '4.0', '4.2', '2.1', '4.1', '2.0'])
    expect(await messagesOf(app.read, 'order=desc')).toEqual([...asc].reverse())
    for (const limit of [1, 2, 4]) {
      expect(await messagesOf(app.read, `order=asc&limit=${limit}`)).toEqual(asc)
      expect(await messagesOf(app.read, `limit=${limit}`)).toEqual([...asc].reverse())
    }
  })

  it('tells nanoseconds apart', async () => {
    const app = await makeApp('nanoseconds')
    const times = ['1720000000123456789', '1720000000123456788', '1720000000123456790']
    await postLogs(
      app.ingest,
      times.map((timestamp) => ({ message: timestamp.slice(-2), timestamp })),
    )
    expect(await messagesOf(app.read, 'order=asc')).toEqual(['88', '89', '90'])
    expect(await messagesOf(app.read, `since=${times[0]}`)).toEqual(['90', '89'])
    expect(await messagesOf(app.read, `until=${times[0]}`)).toEqual(['88'])
  })

  it('later pages show the set of the first, whatever arrives meanwhile', async () => {
    const app = await makeApp('fixed')
    const add = (name: string, timestamp: number) =>
      postLogs(app.ingest, { message: name, timestamp })
    for (let i = 0; i < 5; i++) await add(`old ${i}`, T + i * 10)
    const first = await dataOf<LogPage>(await getLogs(app.read, 'limit=2'))
    for (let i = 0; i < 5; i++) await add(`new ${i}`, T + i * 10 + 1)
    const rest = await messagesOf(app.read, `limit=2&cursor=${first.next_cursor}`).catch(() => [])
    expect(rest).toEqual([])
    const second = await dataOf<LogPage>(
      await getLogs(app.read, `limit=3&cursor=${first.next_cursor}`),
    )
    expect([...first.logs, ...second.logs].map(({ message }) => message)).toEqual([
      'old 4',
      'old 3',
      'old 2',
      'old 1',
      'old 0',
    ])
    expect(second.next_cursor).toBeNull()
  })

  it('spread over shards, all are found in one order', async () => {
    const app = await makeApp('spread', { shards: 5 })
    const sent: string[] = []
    for (let i = 0; i < 25; i++) {
      sent.push(`m${i}`)
      await postLogs(app.ingest, { message: `m${i}`, timestamp: T + i })
    }
    expect(await messagesOf(app.read, 'order=asc&limit=4')).toEqual(sent)
    const { logs } = await dataOf<LogPage>(await getLogs(app.read, 'limit=25'))
    expect(new Set(logs.map(({ id }) => id.split('-')[0])).size).toBeGreaterThan(1)
  })

  it('a page of very large records ends early and goes on', async () => {
    const app = await makeApp('large')
    const big = 'x'.repeat(250_000)
    for (let i = 0; i < 4; i++) {
      await postLogs(
        app.ingest,
        Array.from({ length: 20 }, (_, n) => ({ message: `${i}.${n} ${big}` })),
      )
    }
    const first = await dataOf<LogPage>(await getLogs(app.read, 'limit=1000'))
    expect(first.logs.length).toBeLessThan(80)
    expect(first.next_cursor).not.toBeNull()
    expect(new Set(await messagesOf(app.read, 'limit=1000')).size).toBe(80)
  })
})

describe('GET /logs/:id', () => {
  it('gives one record, and 404 for what is not there', async () => {
    const app = await makeApp('by-id')
    await postLogs(app.ingest, [{ message: 'a' }, { message: 'b' }])
    const { logs } = await dataOf<LogPage>(await getLogs(app.read))
    for (const log of logs) {
      const one = await request(`/logs/${log.id}`, { headers: { 'X-API-Key': app.read } })
      expect(await dataOf(one)).toEqual(log)
    }
    for (const id of ['0-3', '0-0', '7-1']) {
      const none = await request(`/logs/${id}`, { headers: { 'X-API-Key': app.read } })
      expect(none.status, id).toBe(404)
    }
  })
})

describe('GET /logs/:id by a key bound to a workspace', () => {
  it('gives its own records, and is 404 for those of others, of none, and for what is not there', async () => {
    const app = await makeApp('by-id-bound', { shards: 2 })
    const bound = await makeKey(app.appId, { role: 'read', workspace_id: 'w1' })
    for (const [i, workspace_id] of ['w1', 'w2', null, 'w1', 'W1'].entries()) {
      await postLogs(app.ingest, { message: `m${i}`, ...(workspace_id && { workspace_id }) })
    }
    const { logs } = await dataOf<LogPage>(await getLogs(app.read))
    expect(logs.length).toBe(5)
    const get = (id: string, key: string) =>
      request(`/logs/${id}`, { headers: { 'X-API-Key': key } })
    for (const log of logs) {
      expect(await dataOf(await get(log.id, app.read))).toEqual(log)
      const own = await get(log.id, bound)
      expect(own.status, `${log.workspace_id}`).toBe(log.workspace_id === 'w1' ? 200 : 404)
      // Nothing tells a hidden record from one that is not there.
      if (own.status === 404) {
        const missing = (await (await get('0-999', bound)).text()).replace('0-999', log.id)
        expect(await own.text()).toBe(missing)
      }
    }
    expect((await get(logs[0]!.id, app.ingest)).status).toBe(403)
    expect((await get(logs[0]!.id, 'nobody')).status).toBe(401)
    const other = await makeApp('by-id-other')
    expect((await get(logs[0]!.id, other.read)).status).toBe(404)
  })
})

describe('refusals', () => {
  const refuses = (query: string, status: number, text: string) =>
    it(`${query}: ${status}`, async () => {
      const app = await makeApp(`refuses-${query.replace(/\W+/g, '-').toLowerCase().slice(0, 40)}`)
      const response = await getLogs(app.read, query)
      expect(response.status).toBe(status)
      const { error } = (await response.json()) as { error: { message: string } }
      expect(error.message).toContain(text)
    })

  refuses('sevrice=api', 400, '"sevrice"')
  refuses('service=a&service=b', 400, 'twice')
  refuses('service=', 400, 'no value')
  refuses('level=loud', 400, '"loud"')
  refuses('limit=0', 400, '1 to 1000')
  refuses('limit=1001', 400, '1 to 1000')
  refuses('limit=ten', 400, '1 to 1000')
  refuses('order=up', 400, 'asc')
  refuses('since=yesterday', 400, 'since')
  refuses('since=-1', 400, 'since')
  refuses('cursor=abc', 400, 'cursor')
  refuses('q=%22open', 400, 'column 1')
  refuses('q=a+OR', 400, 'column 5')
  refuses('q=level:loud', 400, 'column 7')
  refuses('q=...', 400, 'no word')
  refuses('app_id=another', 403, 'opens no other')
  refuses('attr.=x', 400, 'unknown parameter')

  refuses(`q=${'w+'.repeat(65)}w`, 400, 'more than 64 words')

  it('a cursor of another app is refused', async () => {
    const [mine, theirs] = [await makeApp('cursor-mine'), await makeApp('cursor-theirs')]
    await postLogs(mine.ingest, [{ message: 'a' }, { message: 'b' }])
    const { next_cursor } = await dataOf<LogPage>(await getLogs(mine.read, 'limit=1'))
    expect((await getLogs(theirs.read, `limit=1&cursor=${next_cursor}`)).status).toBe(400)
  })

  it('a cursor under another filter is refused', async () => {
    const app = await makeApp('cursor-filter')
    await postLogs(app.ingest, [{ message: 'a' }, { message: 'b' }])
    const { next_cursor } = await dataOf<LogPage>(await getLogs(app.read, 'limit=1'))
    for (const query of ['level=info', 'order=asc', 'since=1h']) {
      expect((await getLogs(app.read, `${query}&cursor=${next_cursor}`)).status).toBe(400)
    }
  })
})

describe('workspaces', () => {
  it('a bound key writes and reads its workspace alone', async () => {
    const app = await makeApp('bound')
    const ingest = await makeKey('bound', { role: 'ingest', workspace_id: 'w1' })
    const read = await makeKey('bound', { role: 'read', workspace_id: 'w1' })
    await postLogs(ingest, {
      message: 'mine',
      workspace_id: 'w2',
      attributes: { 'workspace.id': 'w3' },
    })
    await postLogs(app.ingest, { message: 'theirs', workspace_id: 'w2' })
    expect(await messagesOf(read)).toEqual(['mine'])
    expect(await messagesOf(app.read, 'workspace_id=w1')).toEqual(['mine'])
    expect((await getLogs(read, 'workspace_id=w2')).status).toBe(403)
    const { logs } = await dataOf<LogPage>(await getLogs(app.read, 'workspace_id=w2'))
    const theirs = await request(`/logs/${logs[0]?.id}`, { headers: { 'X-API-Key': read } })
    expect(theirs.status).toBe(404)
    const stats = await request('/stats/bound', { headers: { 'X-API-Key': read } })
    expect(stats.status).toBe(403)
  })
})

describe('what a key of one workspace is told of blocks', () => {
  it('is the same whatever the other workspaces hold', async () => {
    const app = await makeApp('bound-stats')
    const bound = await makeKey(app.appId, { role: 'read', workspace_id: 'w1' })
    await postLogs(app.ingest, { message: 'mine', workspace_id: 'w1' })
    await postLogs(app.ingest, { message: 'secret', workspace_id: 'w2', trace_id: 'ab'.repeat(16) })
    await request(`/flush?app_id=${app.appId}&older_than=7d`, {
      method: 'POST',
      headers: { 'X-API-Key': ADMIN_KEY },
    })
    const nothing = {
      blocks: { considered: 0, skipped: { time: 0, values: 0, filter: 0, pattern: 0 }, opened: 0 },
      ...{ bytes: 0, rows: 0, r2_reads: 0, ms: expect.any(Number) },
    }
    const told = async (path: string) => {
      const answer = await request(path, { headers: { 'X-API-Key': bound } })
      return dataOf<{ stats: object; compare?: { stats: object } }>(answer)
    }
    for (const q of ['secret', 'nobody', 'trace_id:abababababababababababababababab']) {
      for (const door of ['', '/count', '/histogram', '/facets', '/fields', '/aggregate']) {
        expect((await told(`/logs${door}?q=${q}`)).stats, door).toEqual(nothing)
      }
      const { stats, compare } = await told(`/logs/patterns?q=${q}&since=1h&compare=1h`)
      expect([stats, compare?.stats]).toEqual([nothing, nothing])
      expect((await told(`/logs/0-1/context?scope=all&q=${q}`)).stats).toEqual(nothing)
    }
  })
})

describe('GET /stats/:app_id', () => {
  it('counts by day and level, and what was refused or cut', async () => {
    const app = await makeApp('counted')
    await postLogs(app.ingest, [
      { message: 'a', level: 'error' },
      { message: 'x'.repeat(300_000) },
      { message: 'b', timestamp: 'never' },
    ])
    await postLogs(app.ingest, 'no record')
    const read = async () => {
      const response = await request('/stats/counted', { headers: { 'X-API-Key': app.read } })
      return dataOf<{ days: { records: number; levels: object; notes: object }[] }>(response)
    }
    await expect
      .poll(async () => (await read()).days[0]?.notes)
      .toMatchObject({
        cut_message: 1,
        refused_record_timestamp: 1,
        refused_request_bad_json: 1,
      })
    expect((await read()).days).toMatchObject([
      { records: 2, levels: { error: 1, info: 1, warn: 0 } },
    ])
  })
})
