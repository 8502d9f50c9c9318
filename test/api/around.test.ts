// Neighbours of a record, traces and forms of an answer, over HTTP: the same whether the records are
// unsealed, in blocks or in the archive, and over two shards.

import { beforeAll, describe, expect, it, vi } from 'vitest'
import { ADMIN_KEY, type App, dataOf, makeApp, makeKey, postLogs, request } from '../flow/client.ts'

const T = 1_720_000_000_000
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'

interface Shown {
  id: string
  timestamp: number
  time_unix_nano: string
  message: string
  service: string | null
  [member: string]: unknown
}

const get = (key: string, path: string, headers: Record<string, string> = {}) =>
  request(path, { headers: { 'X-API-Key': key, ...headers } })

async function refusal(key: string, path: string) {
  const response = await get(key, path)
  const { error } = (await response.json()) as { error: { code: string; message: string } }
  return { status: response.status, ...error }
}

async function flush(app: App, olderThan: string): Promise<void> {
  const headers = { 'X-API-Key': ADMIN_KEY }
  const query = `app_id=${app.appId}&older_than=${olderThan}`
  const started = await request(`/flush?${query}`, { method: 'POST', headers })
  const [job] = (await dataOf<{ jobs: { job_id: string }[] }>(started)).jobs
  await vi.waitFor(
    async () => {
      const found = await request(`/apps/${app.appId}/jobs/${job!.job_id}`, { headers })
      expect(await dataOf(found)).toMatchObject({ state: 'done' })
    },
    { timeout: 20_000, interval: 100 },
  )
}

/** 90 records over three services, a trace among them; every millisecond has three. */
function records(from: number, count: number) {
  return Array.from({ length: count }, (_, n) => {
    const i = from + n
    return {
      message: `m${i}`,
      timestamp: `${T + Math.floor(i / 3)}${String(i % 2).padStart(6, '0')}`,
      level: i === 40 || i === 55 ? 'error' : i % 10 === 7 ? 'warn' : 'info',
      ...(i % 3 < 2 && { service: ['api', 'web'][i % 3] }),
      ...(i % 5 === 0 && { trace_id: TRACE, span_id: 'b7ad6b7169203331' }),
      ...(i % 4 === 0 && { workspace_id: 'w1' }),
    }
  })
}

async function filled(appId: string): Promise<App & { bound: string }> {
  const app = await makeApp(appId, { shards: 2 })
  for (let from = 0; from < 90; from += 15) {
    expect((await postLogs(app.ingest, records(from, 15))).status).toBe(200)
  }
  return { ...app, bound: await makeKey(appId, { role: 'read', workspace_id: 'w1' }) }
}

const allOf = async (key: string, query = '') => {
  const path = `/logs?order=asc&limit=1000&${query}`
  return (await dataOf<{ logs: Shown[] }>(await get(key, path))).logs
}

interface Context {
  record: Shown
  scope: string
  before: Shown[]
  after: Shown[]
  more: { before: boolean; after: boolean }
  partial: boolean
}
const contextOf = async (key: string, id: string, query = '') =>
  dataOf<Context>(await get(key, `/logs/${id}/context?${query}`))

interface Trace {
  trace_id: string
  count: number
  records: Shown[]
  next_cursor: string | null
  services: object[]
  levels: Record<string, number>
  first_error: { id: string; message: string } | null
  started: number
  ended: number
  duration_ms: number
  partial: boolean
}
const traceOf = async (key: string, id: string, query = '') =>
  dataOf<Trace>(await get(key, `/traces/${id}?${query}`))

describe('stored anywhere', () => {
  let app: Awaited<ReturnType<typeof filled>>
  beforeAll(async () => {
    app = await filled('around')
  }, 30_000)

  async function holds() {
    const all = await allOf(app.read)
    expect(all.length).toBe(90)
    await neighboursAreThose(all)
    await tracesAreWhole(all)
  }

  async function neighboursAreThose(all: Shown[]) {
    const kin = {
      all: () => true,
      service: (a: Shown, b: Shown) => a.service === b.service,
      trace: (a: Shown, b: Shown) => a.trace_id === b.trace_id,
    }
    for (const at of [0, 1, 30, 45, 89]) {
      const record = all[at]!
      for (const scope of ['all', 'service', 'trace'] as const) {
        if (scope === 'trace' && record.trace_id === null) continue
        const before = all.slice(0, at).filter((one) => kin[scope](one, record))
        const after = all.slice(at + 1).filter((one) => kin[scope](one, record))
        const found = await contextOf(app.read, record.id, `scope=${scope}&before=4&after=7`)
        expect(found, `${record.id} ${scope}`).toMatchObject({
          record,
          scope,
          before: before.slice(-4),
          after: after.slice(0, 7),
          more: { before: before.length > 4, after: after.length > 7 },
          partial: false,
        })
      }
    }
  }

  async function tracesAreWhole(all: Shown[]) {
    const own = all.filter(({ trace_id }) => trace_id === TRACE)
    const trace = await traceOf(app.read, TRACE)
    expect(trace.records).toEqual(own)
    const first = own[0]!
    const last = own.at(-1)!
    const service = (name: string | null) => {
      const its = own.filter((one) => one.service === name)
      const errors = its.filter(({ level }) => level === 'error').length
      const times = its.map(({ timestamp }) => timestamp)
      return {
        service: name,
        count: its.length,
        first: times[0],
        last: times.at(-1),
        errors,
      }
    }
    const ns = BigInt(last.time_unix_nano) - BigInt(first.time_unix_nano)
    const summary = {
      trace_id: TRACE,
      count: 18,
      levels: { trace: 0, debug: 0, info: 16, warn: 0, error: 2, fatal: 0 },
      other_services: 0,
      started: first.timestamp,
      ended: last.timestamp,
      started_unix_nano: first.time_unix_nano,
      ended_unix_nano: last.time_unix_nano,
      duration_ms: Number(ns) / 1e6,
      partial: false,
    }
    expect(trace).toMatchObject(summary)
    expect(trace.next_cursor).toBeNull()
    expect(trace.services).toHaveLength(3)
    for (const name of ['api', 'web', 'unknown_service'])
      expect(trace.services).toContainEqual(service(name))
    const error = own.find(({ level }) => level === 'error')!
    const { id, timestamp, time_unix_nano, level, service: of, message } = error
    expect(trace.first_error).toEqual({
      id,
      timestamp,
      time_unix_nano,
      level,
      service: of,
      message,
    })
    const paged: Shown[] = []
    for (let cursor = ''; ; ) {
      const page = await traceOf(app.read, TRACE, `limit=5${cursor && `&cursor=${cursor}`}`)
      expect(page).toMatchObject({ ...summary, services: trace.services })
      expect(page.first_error).toEqual(trace.first_error)
      paged.push(...page.records)
      if (page.next_cursor === null) break
      cursor = page.next_cursor
    }
    expect(paged).toEqual(own)
  }

  it('unsealed, neighbours and traces are those that GET /logs shows', holds)
  it('the same in blocks', async () => {
    await flush(app, '7d')
    await holds()
  })
  it('the same in the archive, with what came since beside it', async () => {
    await flush(app, '0s')
    await holds()
  })
})

describe('GET /logs/:id/context', () => {
  let app: Awaited<ReturnType<typeof filled>>
  let all: Shown[]
  beforeAll(async () => {
    app = await filled('neighbours')
    all = await allOf(app.read)
  }, 30_000)

  it('has ten on each side of the same service unless told otherwise', async () => {
    const { before, after, scope } = await contextOf(app.read, all[45]!.id)
    expect([before.length, after.length, scope]).toEqual([10, 10, 'service'])
    const none = await contextOf(app.read, all[45]!.id, 'before=0&after=0')
    expect(none).toMatchObject({ before: [], after: [], record: all[45], partial: false })
  })

  it('is narrowed by what filters', async () => {
    const query = 'scope=all&q=level:error&before=500&after=500'
    const { before, after } = await contextOf(app.read, all[45]!.id, query)
    expect([...before, ...after].map(({ message }) => message)).toEqual(['m40', 'm55'])
  })

  it('of a bound key are its own', async () => {
    const own = all.filter(({ workspace_id }) => workspace_id === 'w1')
    const found = await contextOf(app.bound, own[5]!.id, 'scope=all&before=3&after=3')
    expect(found.before).toEqual(own.slice(2, 5))
    expect(found.after).toEqual(own.slice(6, 9))
    const other = all.find(({ workspace_id }) => workspace_id !== 'w1')!
    expect(await refusal(app.bound, `/logs/${other.id}/context`)).toMatchObject({ status: 404 })
  })

  it('goes out one record a line too', async () => {
    const path = `/logs/${all[45]!.id}/context?scope=all&before=1&after=1&format=ndjson`
    const lines = (await (await get(app.read, path)).text()).trim().split('\n')
    expect(lines.map((line) => JSON.parse(line))).toEqual(all.slice(44, 47))
  })

  const refuses = (query: string, status: number, text: string) =>
    it(`refuses ${query}`, async () => {
      const plain = all.find(({ trace_id }) => trace_id === null)!
      const path = `/logs/${plain.id}/context?${query}`
      const { status: found, message } = await refusal(app.read, path)
      expect([found, message]).toEqual([status, expect.stringContaining(text)])
    })
  refuses('scope=trace', 400, 'has no trace_id')
  refuses('scope=shard', 400, 'service')
  refuses('before=501', 400, 'from 0 to 500')
  refuses('after=-1', 400, 'from 0 to 500')
  refuses('limit=3', 400, 'limit')
  refuses('workspace=w1', 400, 'unknown parameter')
  it('is 404 for a record that is not there', async () => {
    expect(await refusal(app.read, '/logs/0-999999/context')).toMatchObject({ status: 404 })
  })
})

describe('GET /logs/:id', () => {
  let app: Awaited<ReturnType<typeof filled>>
  beforeAll(async () => {
    app = await filled('one')
  })

  it('takes no parameters of a search, and says what an id is like', async () => {
    expect(await refusal(app.read, '/logs/0-1?format=csv')).toMatchObject({
      status: 400,
      message: 'unknown parameter "format"; known are app_id',
    })
    expect(await refusal(app.read, '/logs/17')).toMatchObject({
      status: 404,
      message: expect.stringContaining('ids of records are like 0-17'),
    })
  })
})

describe('GET /traces/:trace_id', () => {
  let app: Awaited<ReturnType<typeof filled>>
  beforeAll(async () => {
    app = await filled('traces')
  }, 30_000)

  const takes = (pasted: string) =>
    it(`takes ${pasted}`, async () => {
      const { count, trace_id } = await traceOf(app.read, encodeURIComponent(pasted))
      expect([count, trace_id]).toEqual([18, TRACE])
    })
  takes(TRACE.toUpperCase())
  takes(` ${TRACE}\n`)
  takes('4bf92f35-77b3-4da6-a3ce-929d0e0e4736')
  takes(`00-${TRACE}-00f067aa0ba902b7-01`)

  it('is narrowed by time alone', async () => {
    const { count, records } = await traceOf(app.read, TRACE, `since=${T + 10}&until=${T + 20}`)
    expect(count).toBe(6)
    expect(records.length).toBe(6)
    for (const narrowing of ['level=error', 'attr.a=1', 'order=asc']) {
      expect(await refusal(app.read, `/traces/${TRACE}?${narrowing}`)).toMatchObject({
        status: 400,
        message: expect.stringContaining('a trace is shown whole: ask GET /logs?trace_id=…'),
      })
    }
    const { message } = await refusal(app.read, `/traces/${TRACE}?depth=2`)
    expect(message).toMatch(/^unknown parameter "depth"; known are app_id, .*explain$/)
  })

  it('of a bound key is what it may see', async () => {
    const { count, records } = await traceOf(app.bound, TRACE)
    expect(count).toBe(5)
    expect(new Set(records.map(({ workspace_id }) => workspace_id))).toEqual(new Set(['w1']))
  })

  it('goes out one record a line too, its cursor in a header', async () => {
    const response = await get(app.read, `/traces/${TRACE}?limit=4`, { Accept: 'text/csv' })
    expect((await response.text()).trim().split('\r\n')).toHaveLength(5)
    const cursor = response.headers.get('X-Next-Cursor')
    const { records } = await traceOf(app.read, TRACE, `limit=4&cursor=${cursor}`)
    expect(records.map(({ message }) => message)).toEqual(['m20', 'm25', 'm30', 'm35'])
  })

  it('is 404 for a trace that is not there, and 400 for what is no id', async () => {
    const unknown = await refusal(app.read, `/traces/${'c'.repeat(32)}`)
    expect(unknown).toMatchObject({ status: 404, code: 'not_found' })
    expect(await refusal(app.read, '/traces/order-17')).toMatchObject({
      status: 404,
      message: expect.stringContaining('32 hexadecimal digits'),
    })
    expect(await refusal(app.read, `/traces/${TRACE}?until=${T}`)).toMatchObject({
      status: 404,
      message: expect.stringContaining('between these times'),
    })
    expect(await refusal(app.read, `/traces/${'x'.repeat(129)}`)).toMatchObject({ status: 400 })
    expect(await refusal(app.read, '/traces/a%00b')).toMatchObject({ status: 400 })
    expect(await refusal(app.read, `/traces/${TRACE}?limit=5001`)).toMatchObject({ status: 400 })
    expect(await refusal(app.ingest, `/traces/${TRACE}`)).toMatchObject({ status: 403 })
  })
})

describe('forms of GET /logs', () => {
  let app: Awaited<ReturnType<typeof filled>>
  let all: Shown[]
  beforeAll(async () => {
    app = await filled('formats')
    all = await allOf(app.read)
  }, 30_000)

  it('ndjson is a record a line, the cursor in a header', async () => {
    const found: Shown[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const path = `/logs?order=asc&limit=40&format=ndjson${cursor && `&cursor=${cursor}`}`
      const response = await get(app.read, path)
      expect(response.headers.get('Content-Type')).toBe('application/x-ndjson')
      expect(response.headers.get('X-Partial')).toBeNull()
      const lines = (await response.text()).split('\n')
      expect(lines.pop()).toBe('')
      found.push(...lines.map((line) => JSON.parse(line) as Shown))
      cursor = response.headers.get('X-Next-Cursor')
    }
    expect(found).toEqual(all)
  })

  it('csv has a header line, and as many lines as records', async () => {
    const response = await get(app.read, '/logs?format=csv&order=asc&limit=3')
    expect(response.headers.get('Content-Type')).toMatch(/^text\/csv; charset=utf-8/)
    const [header, ...lines] = (await response.text()).split('\r\n')
    expect(header!.split(',').slice(0, 3)).toEqual(['id', 'timestamp', 'time_unix_nano'])
    expect(lines.map((line) => line.split(',')[0])).toEqual([
      ...all.slice(0, 3).map(({ id }) => id),
      '',
    ])
  })

  const typeOf = async (path: string, accept?: string) => {
    const response = await get(app.read, path, accept === undefined ? {} : { Accept: accept })
    expect(response.status).toBe(200)
    await response.arrayBuffer()
    return response.headers.get('Content-Type')!.split(';')[0]
  }
  const chooses = (accept: string, type: string) =>
    it(`Accept: ${accept} is ${type}`, async () =>
      expect(await typeOf('/logs?limit=1', accept)).toBe(type))
  chooses('*/*', 'application/json')
  chooses('text/csv', 'text/csv')
  chooses('Application/X-NDJSON', 'application/x-ndjson')
  chooses('application/jsonl', 'application/x-ndjson')
  chooses('text/html,application/xml;q=0.9,*/*;q=0.8', 'application/json')
  chooses('text/csv;q=0.5, application/json', 'application/json')
  chooses('text/csv;q=0, application/x-ndjson;q=0.1', 'application/x-ndjson')
  chooses('image/png', 'application/json')

  it('format= wins over Accept, and one that is unknown is refused with the choices', async () => {
    expect(await typeOf('/logs?limit=1&format=csv', 'application/json')).toBe('text/csv')
    const { status, message } = await refusal(app.read, '/logs?format=xml')
    expect(status).toBe(400)
    for (const name of ['json', 'ndjson', 'csv']) expect(message).toContain(name)
  })

  it('errors are JSON', async () => {
    const response = await get(app.read, '/logs?limit=0&format=csv')
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ ok: false, error: { code: 'bad_request' } })
  })
})
