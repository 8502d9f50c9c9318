// The search language over HTTP: the same records are found unsealed, in blocks and in the archive, in
// one shard and in several; and what is refused names the column.

import { beforeAll, describe, expect, it } from 'vitest'
import { ADMIN_KEY, type App, dataOf, getLogs, makeApp, postLogs, request } from './client.ts'

const T = 1_720_000_000_000
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'

/** Found by their letter, which is the first word of the message. */
const RECORDS: Record<string, Record<string, unknown>> = {
  a: { level: 'error', service: 'api', message: 'upstream timeout after 30s', status: 504 },
  b: { level: 'warn', service: 'api', message: 'upstream timeout, retry 2 of 5', status: 502 },
  c: { level: 'warn', service: 'web', message: 'upstream timeout', status: 500 },
  d: { level: 'info', service: 'api', message: 'upstream timeout', status: 503 },
  e: { level: 'error', service: 'api', message: 'timeout upstream', status: 500 },
  f: { level: 'error', service: 'api', message: 'Upstream: Timeout!', status: '503' },
  g: { level: 'fatal', service: 'api', message: 'upstream timeout', status: 404 },
  h: { level: 'debug', service: 'web', message: 'GET /api/users/42 took 17 ms', duration_ms: 17 },
  i: { level: 'debug', service: 'web', message: 'GET /api/users/43 took 250 ms', duration_ms: 250 },
  j: { service: 'worker', message: 'job done', trace_id: TRACE, tags: ['slow', 'retry'] },
  k: { service: 'worker', message: '数据库连接失败', user: { id: 7, address: { city: 'Oslo' } } },
  l: { level: 'trace', message: 'été chaud', environment: 'staging', note: 'see the runbook' },
}

const recordOf = (
  [letter, { status, ...record }]: [string, Record<string, unknown>],
  i: number,
) => ({
  ...record,
  message: `${letter} ${record.message}`,
  timestamp: T + i * 60_000,
  ...(status !== undefined && { 'http.response.status_code': status }),
})

const search = (app: App, q: string, more = '') =>
  getLogs(app.read, `q=${encodeURIComponent(q)}${more}`)

async function flush(app: App, olderThan: string): Promise<void> {
  const headers = { 'X-API-Key': ADMIN_KEY }
  const query = `app_id=${app.appId}&older_than=${olderThan}`
  const started = await request(`/flush?${query}`, { method: 'POST', headers })
  for (const { job_id } of (await dataOf<{ jobs: { job_id: string }[] }>(started)).jobs) {
    const read = async () => {
      const path = `/apps/${app.appId}/jobs/${job_id}`
      return (await dataOf<{ state: string }>(await request(path, { headers }))).state
    }
    await expect.poll(read, { timeout: 20_000, interval: 100 }).toBe('done')
  }
}

/** The letters that each search finds. */
const FINDS: [q: string, letters: string, more?: string][] = [
  ['level:>=warn service:api "upstream timeout" -retry http.response.status_code:>=500', 'af'],
  ['*', 'abcdefghijkl'],
  ['timeout', 'abcdefg'],
  ['TIMEOUT -"upstream timeout"', 'e'],
  ['time*', 'abcdefg'],
  ['*meou*', 'abcdefg'],
  ['"upstream retry" OR "GET api"', 'hi'],
  ['(service:web OR service:worker) NOT level:debug', 'cjk'],
  ['service:(web OR worker) -level:debug', 'cjk'],
  ['http.response.status_code:503', 'df'],
  ['http.response.status_code:[500 TO 503}', 'bce'],
  ['duration_ms:>17', 'i'],
  ['duration_ms:*', 'hi'],
  ['level:(debug OR fatal)', 'ghi'],
  ['level:<debug', 'l'],
  ['-environment:* level:<info', 'hi'],
  ['tags:retry', 'j'],
  ['any:retry', 'bj'],
  [`any:${TRACE.toUpperCase()}`, 'j'],
  [`trace_id:${TRACE}`, 'j'],
  ['user.address.city:Oslo', 'k'],
  ['attr.user.id:7', 'k'],
  ['连接', 'k'],
  ['ÉTÉ', 'l'],
  ['note:*run*', 'l'],
  ['message:/took \\d{2} ms$/', 'h'],
  ['service:/^w/ -message:/(?i)JOB/', 'chik'],
  ['http.response.status_code:/^50[0-3]$/', 'bcdef'],
  ['nothing', ''],
  ['timeout', 'ab', `&level=>=warn&service=api&until=${T + 61_000}`],
  ['timeout', 'f', '&attr.http.response.status_code=503&level=error'],
]

describe.each([1, 3])('a search over %i shards', (shards) => {
  let app: App

  beforeAll(async () => {
    app = await makeApp(`search-${shards}`, { shards })
    // A request each, so that shards have some each; and the second half after the first is sealed.
    for (const record of Object.entries(RECORDS).map(recordOf)) {
      expect((await postLogs(app.ingest, record)).status).toBe(200)
    }
  })

  const findsAll = async () => {
    for (const [q, letters, more = ''] of FINDS) {
      const { logs } = await dataOf<{ logs: { message: string }[] }>(
        await search(app, q, `&order=asc${more}`),
      )
      expect(logs.map(({ message }) => message[0]).join(''), `${q} ${more}`).toBe(letters)
      const counted = await request(`/logs/count?q=${encodeURIComponent(q)}${more}`, {
        headers: { 'X-API-Key': app.read },
      })
      expect(await dataOf(counted), `count of ${q} ${more}`).toMatchObject({
        count: letters.length,
        partial: false,
      })
    }
  }

  it('finds what is unsealed', findsAll)

  it('finds the same in blocks', async () => {
    await flush(app, '1d')
    await findsAll()
  })

  it('finds the same in the archive, and beside what came since', async () => {
    await flush(app, '0s')
    await findsAll()
    await postLogs(app.ingest, { message: 'm after it', timestamp: T + 3_600_000, level: 'warn' })
    const { logs } = await dataOf<{ logs: { message: string }[] }>(
      await search(app, 'after level:>=warn'),
    )
    expect(logs.map(({ message }) => message)).toEqual([
      'm after it',
      'a upstream timeout after 30s',
    ])
  })

  it('has pages', async () => {
    const seen: string[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const more: string = `&limit=2${cursor && `&cursor=${cursor}`}`
      const page = await dataOf<{ logs: { message: string }[]; next_cursor: string | null }>(
        await search(app, 'timeout (level:error OR level:warn)', more),
      )
      seen.push(...page.logs.map(({ message }) => message[0]!))
      cursor = page.next_cursor
    }
    expect(seen.join('')).toBe('fecba')
  })
})

describe('a search that can not be', () => {
  const refuses = (q: string, column: number, text: string) =>
    it(`${q.slice(0, 40)}: column ${column}`, async () => {
      const app = await makeApp(`search-bad-${Math.abs(hash(q))}`)
      for (const door of ['/logs', '/logs/count']) {
        const response = await request(`${door}?q=${encodeURIComponent(q)}`, {
          headers: { 'X-API-Key': app.read },
        })
        expect(response.status).toBe(400)
        expect(await response.json()).toMatchObject({
          ok: false,
          error: {
            code: 'bad_query',
            message: expect.stringContaining(text),
            details: { parameter: 'q', column },
          },
        })
      }
    })

  refuses('timeout "upstream', 9, 'quote')
  refuses('a (b OR c', 3, 'parenthesis')
  refuses('a OR', 5, 'column 5')
  refuses('level:loud', 7, '"loud"')
  refuses('status:>=many', 10, '"many"')
  refuses('message:/(/', 9, 'RE2')
  refuses(`${'('.repeat(40)}a${')'.repeat(40)}`, 33, 'more than 32')
})

/** A name for an app of its own. */
const hash = (text: string) =>
  [...text].reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) | 0, 7)
