// /loki/api/v1/query_range and /query over HTTP: lines and numbers as Loki writes them, and what is refused.

import { beforeAll, describe, expect, it } from 'vitest'
import { type App, makeApp, makeKey, postLogs, request } from '../flow/client.ts'
import {
  basic,
  bodyOf,
  dataOf,
  lokiGet,
  lokiPost,
  type Matrix,
  RANGE,
  refusal,
  START_MS,
  type Streams,
  send,
  type Vector,
} from './loki-client.ts'

let app: App

beforeAll(async () => {
  app = await makeApp('loki-query', {})
  await send(
    app.ingest,
    { at: 0, message: 'one', level: 'info', sku: 'A-1' },
    { at: 60, message: 'two', level: 'warn', sku: 'A-2', 'http.status': 500 },
    { at: 120, message: '{"user":"ann","took":"12ms"}', level: 'info', service: 'api' },
    { at: 180, message: 'four', level: 'error', workspace_id: 'w1' },
  )
  const precise = { timestamp: `${START_MS}000017`, service: 'clock', message: 'tick' }
  const later = { timestamp: `${START_MS}000018`, service: 'clock', message: 'tock' }
  expect((await postLogs(app.ingest, [precise, later])).status).toBe(200)
})

const range = (query: string, parameters: Record<string, string> = {}) =>
  lokiGet(app.read, 'query_range', { query, ...RANGE, ...parameters })
const linesOf = ({ result }: Streams) =>
  result.flatMap(({ values }) => values.map(([, line]) => line)).sort()

describe('lines', () => {
  it('stand under all their labels, newest first, with times in nanoseconds', async () => {
    const data = await dataOf<Streams>(range('{service_name="shop"} |= "two"'))
    expect(data.resultType).toBe('streams')
    expect(data.encodingFlags).toBe(undefined)
    expect(data.result).toEqual([
      {
        stream: expect.objectContaining({
          service_name: 'shop',
          service: 'shop',
          level: 'warn',
          detected_level: 'warn',
          sku: 'A-2',
          http_status: '500',
        }),
        values: [[`${START_MS + 60_000}000000`, 'two']],
      },
    ])
  })

  it('have their kinds of labels apart where that is asked for', async () => {
    const headers = { 'X-Loki-Response-Encoding-Flags': 'categorize-labels' }
    const parameters = { query: '{service_name="api"} | json', ...RANGE }
    const data = await dataOf<Streams>(lokiGet(app.read, 'query_range', parameters, headers))
    expect(data.encodingFlags).toEqual(['categorize-labels'])
    const [stream] = data.result
    expect(stream!.stream).toEqual({
      service_name: 'api',
      service: 'api',
      level: 'info',
      detected_level: 'info',
    })
    const [time, line, kinds] = stream!.values[0]!
    expect([time, line]).toEqual([`${START_MS + 120_000}000000`, '{"user":"ann","took":"12ms"}'])
    expect(kinds).toMatchObject({ parsed: { user: 'ann', took: '12ms' } })
  })

  it('are so many, from the end that is asked for', async () => {
    const few = (parameters: Record<string, string>) =>
      dataOf<Streams>(range('{service_name="shop"}', parameters)).then(linesOf)
    expect(await few({ limit: '1' })).toEqual(['four'])
    expect(await few({ limit: '1', direction: 'FORWARD' })).toEqual(['one'])
    expect(await few({ limit: '2', direction: 'backward' })).toEqual(['four', 'two'])
  })

  it('lie in the range to the nanosecond: its start is in it, its end is not', async () => {
    const between = (start: string, end: string) =>
      dataOf<Streams>(range('{service_name="clock"}', { start, end })).then(linesOf)
    expect(await between(`${START_MS}000017`, `${START_MS}000018`)).toEqual(['tick'])
    expect(await between(`${START_MS}000018`, `${START_MS}000019`)).toEqual(['tock'])
    expect(await between(`${START_MS / 1000}`, '2026-06-01T09:30:00.000000018Z')).toEqual(['tick'])
  })

  it('are told by their time where a stage makes something of it', async () => {
    const { result } = await dataOf<Streams>(
      range(
        '{service_name="clock"} | line_format "{{ __timestamp__ | unixEpochNanos }}" |= "00017"',
      ),
    )
    expect(result.flatMap(({ values }) => values)).toEqual([
      [`${START_MS}000017`, `${START_MS}000017`],
    ])
  })

  it('end with a warning where stages make them large', async () => {
    const many = Array.from({ length: 120 }, (_, i) => ({ at: 300 + i / 1000, service: 'large' }))
    await send(app.ingest, ...many.map((record) => ({ ...record, message: 'x' })))
    const query = '{service_name="large"} | label_format a=`{{ repeat 250000 "x" }}`'
    const response = await range(query, { limit: '5000' })
    const { warnings, data } = (await response.json()) as { warnings: string[]; data: Streams }
    expect(linesOf(data)).toHaveLength(68)
    expect(warnings).toEqual(['the answer ends after 68 lines: they are large'])
  })

  it('that no record has are an empty list', async () => {
    const data = await dataOf<Streams>(range('{service_name="nobody"}'))
    expect(data).toMatchObject({ resultType: 'streams', result: [] })
  })

  it('are found by a form, too, whose parameters go before those of the URL', async () => {
    const parameters = { query: '{service_name="shop"} |= "two"', ...RANGE }
    expect(linesOf(await dataOf(lokiPost(app.read, 'query_range', parameters)))).toEqual(['two'])
    const other = lokiPost(app.read, 'query_range?query=%7Ba%3D%22b%22%7D', parameters)
    expect(linesOf(await dataOf(other))).toEqual(['two'])
  })

  it('are chosen by what a template made of their time', async () => {
    const second = START_MS / 1000 + 60
    const made = '{service_name="shop"} | label_format at=`{{__timestamp__ | unixEpoch}}`'
    expect(linesOf(await dataOf<Streams>(range(`${made} | at <= ${second}`)))).toEqual([
      'one',
      'two',
    ])
    const line = '{service_name="shop"} | line_format "{{__timestamp__ | unixEpoch}}"'
    expect(linesOf(await dataOf<Streams>(range(`${line} |= "${second}"`)))).toEqual([`${second}`])
  })

  it('come with what they cost', async () => {
    const { stats } = await dataOf<Streams>(range('{service_name="shop"}'))
    expect(stats.summary).toMatchObject({ totalEntriesReturned: 3, totalPostFilterLines: 3 })
    expect(stats.summary.totalLinesProcessed).toBeGreaterThanOrEqual(3)
    expect(stats.summary.totalBytesProcessed).toBeGreaterThan(0)
  })
})

describe('numbers', () => {
  it('over time are a matrix in steps that are multiples of their length', async () => {
    const query = 'sum by (level) (count_over_time({service_name="shop"}[1m]))'
    const start = `${START_MS / 1000 + 1}`
    const end = `${START_MS / 1000 + 239}`
    const data = await dataOf<Matrix>(range(query, { start, end, step: '60' }))
    expect(data.resultType).toBe('matrix')
    const second = START_MS / 1000
    // A window holds its beginning and not its end.
    expect(data.result).toEqual([
      { metric: { level: 'error' }, values: [[second + 240, '1']] },
      { metric: { level: 'info' }, values: [[second + 60, '1']] },
      { metric: { level: 'warn' }, values: [[second + 120, '1']] },
    ])
  })

  it('at one time are a vector, and of numbers alone a scalar', async () => {
    const at = (query: string) =>
      lokiGet(app.read, 'query', { query, time: `${START_MS + 600_000}000000` })
    const time = START_MS / 1000 + 600
    const vector = await dataOf<Vector>(at('sum(count_over_time({service_name="shop"}[1h]))'))
    expect(vector).toMatchObject({
      resultType: 'vector',
      result: [{ metric: {}, value: [time, '3'] }],
    })
    expect(await dataOf(at('vector(1)+vector(1)'))).toMatchObject({
      resultType: 'vector',
      result: [{ metric: {}, value: [time, '2'] }],
    })
    expect(await dataOf(at('1/4'))).toMatchObject({
      resultType: 'scalar',
      result: [time, '0.25'],
    })
  })

  it('of no record are an empty vector', async () => {
    const query = 'sum(count_over_time({service_name="nobody"}[5m]))'
    const data = await dataOf<Vector>(lokiGet(app.read, 'query', { query }))
    expect(data).toMatchObject({ resultType: 'vector', result: [] })
  })
})

describe('a key', () => {
  it('of one workspace finds its records alone, and learns nothing of blocks', async () => {
    const key = await makeKey('loki-query', { role: 'read', workspace_id: 'w1' })
    const query = '{service_name=~".+"}'
    const data = await dataOf<Streams>(lokiGet(key, 'query_range', { query, ...RANGE }))
    expect(linesOf(data)).toEqual(['four'])
    expect(data.stats.summary).toMatchObject({ totalBytesProcessed: 0, totalLinesProcessed: 0 })
    const all = { query: `sum(count_over_time(${query}[1h]))`, time: RANGE.end }
    const counted = await dataOf<Vector>(lokiGet(key, 'query', all))
    expect(counted.result[0]!.value[1]).toBe('1')
  })

  it('is the password of Basic, and X-Scope-OrgID must be its app', async () => {
    const query = { query: '{service_name="shop"}', ...RANGE }
    const ask = (headers: Record<string, string>) =>
      lokiGet(app.read, 'query_range', query, headers)
    expect((await ask({ 'X-Scope-OrgID': 'loki-query' })).status).toBe(200)
    expect(await refusal(ask({ 'X-Scope-OrgID': 'other' }), 403)).toContain('loki-query')
    expect(await refusal(ask(basic('wrong')), 401)).toContain('key')
    expect(await refusal(lokiGet(app.ingest, 'query_range', query), 403)).toContain('ingest')
    const none = await request('/loki/api/v1/query_range')
    expect(none.headers.get('www-authenticate')).toBe('Basic realm="worker-logs"')
    expect(await refusal(Promise.resolve(none), 401)).toContain('no key')
  })

  it('that is ADMIN_KEY names the app by X-Scope-OrgID', async () => {
    const query = { query: '{service_name="shop"}', ...RANGE }
    const ask = (headers: Record<string, string>) =>
      lokiGet('test-admin-key', 'query_range', query, headers)
    const data = await dataOf<Streams>(ask({ 'X-Scope-OrgID': 'loki-query' }))
    expect(linesOf(data)).toHaveLength(3)
    expect(await refusal(ask({}), 400)).toContain('app')
  })
})

describe('what is refused', () => {
  const refuses = (
    name: string,
    path: string,
    parameters: Record<string, string>,
    message: string,
  ) =>
    it(name, async () => {
      expect(await refusal(lokiGet(app.read, path, parameters), 400)).toContain(message)
    })
  const query = '{service_name="shop"}'
  const metric = 'rate({service_name="shop"}[1m])'

  refuses('a query that is none', 'query_range', { query: '{service_name=' }, 'parse error')
  refuses('no query', 'query_range', {}, 'parse error')
  refuses('lines at one time', 'query', { query }, 'log queries are not supported as an instant')
  refuses(
    'too many lines',
    'query_range',
    { query, limit: '5001' },
    'max entries limit per query exceeded, limit > max_entries_limit_per_query (5001 > 5000)',
  )
  refuses('no lines', 'query_range', { query, limit: '0' }, 'limit must be a positive value')
  refuses('a limit that is no number', 'query_range', { query, limit: 'x' }, 'strconv.Atoi')
  refuses(
    'a start that is no time',
    'query_range',
    { query, start: 'yesterday' },
    "could not parse 'start' parameter",
  )
  refuses(
    'an end before the start',
    'query_range',
    { query, start: '20', end: '10' },
    'end timestamp must not be before or equal to start time',
  )
  refuses('a direction', 'query_range', { query, direction: 'up' }, "invalid direction 'up'")
  refuses('a step of nothing', 'query_range', { query: metric, step: '0' }, 'zero or negative')
  refuses(
    'a step too small',
    'query_range',
    { query: metric, step: '1s', since: '1d' },
    'exceeded maximum resolution of 11,000 points',
  )
  refuses('an interval', 'query_range', { query, interval: '5s' }, 'interval is not supported')

  it('is passed over where Loki does: names that nobody knows', async () => {
    const known = await range(query, { nonsense: '1', shards: 'x' })
    expect(known.status).toBe(200)
  })

  it('is told as text at a path that is no door, and by a method that is none', async () => {
    expect(await refusal(lokiGet(app.read, 'nothing'), 404)).toContain('/loki/api/v1/nothing')
    const answer = await request('/loki/api/v1/labels', { method: 'DELETE' })
    expect(answer.headers.get('allow')).toBe('GET, POST')
    expect(await refusal(Promise.resolve(answer), 405)).toContain('DELETE')
  })

  it('is a form that is too large', async () => {
    const form = { query, more: 'x'.repeat(300_000) }
    await refusal(lokiPost(app.read, 'query_range', form), 413)
  })
})

describe('/loki/api/v1/format_query', () => {
  it('writes a query again, and says what is wrong with one as JSON', async () => {
    const good = lokiGet(app.read, 'format_query', { query: '{a="b"}|="c"' })
    expect(await dataOf(good)).toBe('{a="b"} |= "c"')
    const bad = await lokiGet(app.read, 'format_query', { query: '{a=' })
    expect(bad.status).toBe(400)
    expect(await bad.json()).toEqual({
      status: 'invalid-query',
      error: expect.stringContaining('parse error'),
    })
  })
})

describe('what Grafana asks first', () => {
  it('is answered without a key', async () => {
    expect(await (await request('/ready')).text()).toBe('ready\n')
    const info = bodyOf<object>(request('/loki/api/v1/status/buildinfo'))
    expect(await info).toMatchObject({
      version: expect.stringMatching(/^3\./),
      revision: expect.stringContaining('worker-logs'),
    })
  })

  it('and its bounds with one', async () => {
    const answer = await bodyOf<object>(lokiGet(app.read, 'drilldown-limits'))
    expect(answer).toMatchObject({
      limits: { max_entries_limit_per_query: 5000, volume_enabled: true },
      pattern_ingester_enabled: true,
    })
    await refusal(request('/loki/api/v1/drilldown-limits'), 401)
  })
})
