// The requests that Grafana makes of a Loki: those of its data source and of Logs Drilldown, with method,
// path, parameters and headers as they send them, and of each answer what they read.
//
// After Grafana's pkg/tsdb/loki (api.go, healthcheck.go) and public/app/plugins/datasource/loki
// (datasource.ts, LanguageProvider.ts) as they were in 2024 to 2026, and Logs Drilldown 2.5.1
// (services/datasource.ts, fields.ts, labels.ts, variables.ts).

import { beforeAll, describe, expect, it } from 'vitest'
import { type App, makeApp, postLogs, request } from '../flow/client.ts'

const HOUR_MS = 3_600_000
const NOW_MS = Date.now()
const FROM_MS = NOW_MS - HOUR_MS
const ns = (ms: number) => `${ms}000000`
/** Grafana's time ranges: of its data source in nanoseconds, of Logs Drilldown as dates. */
const RANGE = { start: ns(FROM_MS), end: ns(NOW_MS) }
const DATES = { start: new Date(FROM_MS).toISOString(), end: new Date(NOW_MS).toISOString() }

const DRILLDOWN = { 'X-Query-Tags': 'Source=grafana-lokiexplore-app' }
const EXPLORE = { 'X-Loki-Response-Encoding-Flags': 'categorize-labels' }
const MIXED = '| json | logfmt | drop __error__, __error_details__'

const RECORDS = Array.from({ length: 40 }, (_, i) => ({
  timestamp: FROM_MS + (i + 1) * 60_000 + 17,
  level: i % 4 === 0 ? 'error' : 'info',
  service: i % 2 === 0 ? 'api' : 'web',
  environment: 'prod',
  message:
    i % 2 === 0
      ? JSON.stringify({ method: i % 4 === 0 ? 'POST' : 'GET', status: 200 + i, took: `${i}ms` })
      : `method=GET status=${200 + i} took=${i}ms msg="item ${i}"`,
  trace_id: `${i}`.padStart(32, 'a'),
  host: `fra-${i % 3}`,
}))

type Labels = Record<string, string>
interface Stream {
  stream: Labels
  values: [string, string, { structuredMetadata?: Labels; parsed?: Labels }?][]
}
interface Matrix {
  metric: Labels
  values: [number, string][]
}
interface Vector {
  metric: Labels
  value: [number, string]
}
interface Answer<T> {
  status: string
  data: { resultType: string; encodingFlags?: string[]; result: T[]; stats: Labels }
}

describe('as Grafana asks', () => {
  let app: App
  beforeAll(async () => {
    app = await makeApp('grafana')
    expect((await postLogs(app.ingest, RECORDS)).status).toBe(200)
  })

  /** GET below /loki/api/v1 as Grafana's server sends it: with a name and the key as password. */
  async function get<T>(
    path: string,
    parameters: Record<string, string>,
    headers: Record<string, string> = {},
  ): Promise<T> {
    const response = await request(`/loki/api/v1/${path}?${new URLSearchParams(parameters)}`, {
      headers: {
        Authorization: `Basic ${btoa(`grafana:${app.read}`)}`,
        Accept: 'application/json',
        'Accept-Encoding': 'gzip',
        'User-Agent': 'Grafana/12.3.0',
        ...headers,
      },
    })
    const text = await response.text()
    expect(response.status, text).toBe(200)
    expect(response.headers.get('content-type')).toMatch(/^application\/json/)
    return JSON.parse(text) as T
  }

  const range = (query: string, more: Record<string, string> = {}) => ({
    query,
    direction: 'backward',
    limit: '1000',
    step: '60000ms',
    ...RANGE,
    ...more,
  })
  const matrix = async (query: string, headers = {}) =>
    (await get<Answer<Matrix>>('query_range', range(query), headers)).data
  const streams = async (query: string, headers = {}) =>
    (await get<Answer<Stream>>('query_range', range(query), headers)).data
  const sumOf = (series: Matrix[]) =>
    series.reduce(
      (sum, { values }) => sum + values.reduce((all, [, value]) => all + Number(value), 0),
      0,
    )

  describe('the data source', () => {
    it('is tested with a sum of numbers at four seconds since 1970', async () => {
      const parameters = { query: 'vector(1)+vector(1)', direction: 'backward', time: ns(4_000) }
      const { status, data } = await get<Answer<Vector>>('query', parameters)
      expect(status).toBe('success')
      expect(data.resultType).toBe('vector')
      expect(data.result).toEqual([{ metric: {}, value: [expect.any(Number), '2'] }])
    })

    it('asks which Loki it is', async () => {
      const { version } = await get<{ version: string }>('status/buildinfo', {})
      expect(version).toMatch(/^3\.\d+\.\d+$/)
    })

    it('has labels, and values of one, of all streams and of some', async () => {
      const labels = await get<{ data: string[] }>('labels', RANGE)
      expect(labels.data).toEqual([
        'detected_level',
        'environment',
        'level',
        'service',
        'service_name',
      ])
      const values = await get<{ data: string[] }>('label/service_name/values', RANGE)
      expect(values.data).toEqual(['api', 'web'])
      const query = '{level="error"}'
      const some = await get<{ data: string[] }>('label/service_name/values', { ...RANGE, query })
      expect(some.data).toEqual(['api'])
    })

    it('has series', async () => {
      const { data } = await get<{ data: Labels[] }>('series', {
        'match[]': '{service_name="web"}',
        ...RANGE,
      })
      expect(data).toEqual([
        {
          service_name: 'web',
          service: 'web',
          level: 'info',
          detected_level: 'info',
          environment: 'prod',
        },
      ])
    })

    it('is asked how much a query would read', async () => {
      const stats = await get('index/stats', { query: '{service_name="api"}', ...RANGE })
      expect(stats).toMatchObject({ entries: 20, streams: expect.any(Number) })
      expect(stats).toMatchObject({ bytes: expect.any(Number), chunks: expect.any(Number) })
    })

    it('shows lines in Explore, each label with its kind', async () => {
      const data = await streams('{service_name="api"} |= "POST" | json', EXPLORE)
      // Grafana's reader takes the result for what the members before it say.
      expect(Object.keys(data)).toEqual(['resultType', 'encodingFlags', 'result', 'stats'])
      expect(data).toMatchObject({ resultType: 'streams', encodingFlags: ['categorize-labels'] })
      expect(data.result).toHaveLength(1)
      const { stream, values } = data.result[0]!
      expect(stream).toEqual({
        service_name: 'api',
        service: 'api',
        level: 'error',
        detected_level: 'error',
        environment: 'prod',
      })
      expect(values).toHaveLength(10)
      const newest = RECORDS[36]!
      expect(values[0]).toEqual([
        ns(newest.timestamp),
        newest.message,
        {
          structuredMetadata: expect.objectContaining({ host: 'fra-0', trace_id: newest.trace_id }),
          parsed: { method: 'POST', status: '236', took: '36ms' },
        },
      ])
    })

    it('shows them without kinds where it does not ask for them', async () => {
      const { result } = await streams('{service_name="web"} | logfmt | status=201')
      expect(result).toHaveLength(1)
      expect(result[0]!.stream).toMatchObject({ status: '201', msg: 'item 1', host: 'fra-1' })
      expect(result[0]!.values).toEqual([[ns(RECORDS[1]!.timestamp), RECORDS[1]!.message]])
    })

    it('draws the volume of a query by level', async () => {
      const query = 'sum by (level, detected_level) (count_over_time({service_name=~".+"}[1m]))'
      const { resultType, result } = await matrix(query, { 'X-Query-Tags': 'Source=logvolhist' })
      expect(resultType).toBe('matrix')
      expect(result.map(({ metric }) => metric)).toEqual([
        { level: 'error', detected_level: 'error' },
        { level: 'info', detected_level: 'info' },
      ])
      expect(sumOf(result)).toBe(RECORDS.length)
    })

    it('draws the volume of one with stages', async () => {
      const { result } = await matrix(
        'sum by (level, detected_level) (count_over_time({service_name="api"} | json | status>=220 | drop __error__[1m]))',
      )
      expect(sumOf(result)).toBe(10)
    })

    it('looks for fields of a sample of lines', async () => {
      const found = await get<{ fields: { label: string }[]; limit: number }>('detected_fields', {
        ...RANGE,
        limit: '1000',
        query: '{service_name="api"}',
      })
      const fields = new Map(found.fields.map((field) => [field.label, field]))
      expect(fields.get('method')).toEqual({
        label: 'method',
        type: 'string',
        cardinality: 2,
        parsers: ['json'],
        jsonPath: ['method'],
      })
      expect(fields.get('took')).toMatchObject({ type: 'duration', parsers: ['json'] })
      expect(fields.get('status')).toMatchObject({ type: 'int', parsers: ['json'] })
      expect(fields.get('host')).toMatchObject({ type: 'string', cardinality: 3, parsers: null })
    })

    it('completes the values of a field', async () => {
      const { values } = await get<{ values: string[] }>('detected_field/method/values', {
        ...RANGE,
        limit: '1000',
        query: `{service_name="api"} ${MIXED}`,
      })
      expect([...values].sort()).toEqual(['GET', 'POST'])
    })

    it('shows what stood around a line, on both sides', async () => {
      const line = RECORDS[20]!
      const query = '{service_name="api",level="error"}'
      const hours = 2 * HOUR_MS
      const before = await get<Answer<Stream>>('query_range', {
        ...{ query, direction: 'backward', limit: '3', step: '60000ms' },
        ...{ start: ns(line.timestamp - hours), end: ns(line.timestamp) },
      })
      const after = await get<Answer<Stream>>('query_range', {
        ...{ query, direction: 'forward', limit: '3', step: '60000ms' },
        ...{ start: ns(line.timestamp), end: ns(line.timestamp + hours) },
      })
      const times = ({ data }: Answer<Stream>) =>
        data.result.flatMap(({ values }) => values.map(([time]) => time))
      const at = (...places: number[]) => places.map((i) => ns(RECORDS[i]!.timestamp)).sort()
      expect(times(before).sort()).toEqual(at(16, 12, 8))
      expect(times(after).sort()).toEqual(at(20, 24, 28))
    })

    it('runs a panel of a dashboard, a table and an alert', async () => {
      const rate = 'sum by (service_name) (rate({environment="prod"} [5m]))'
      expect((await matrix(rate)).result.map(({ metric }) => metric)).toEqual([
        { service_name: 'api' },
        { service_name: 'web' },
      ])
      const instant = await get<Answer<Vector>>('query', {
        query: 'topk(1, sum by (service_name) (count_over_time({level="info"} [1h])))',
        direction: 'backward',
        time: ns(NOW_MS),
      })
      expect(instant.data.result).toEqual([
        { metric: { service_name: 'web' }, value: [NOW_MS / 1000, '20'] },
      ])
    })

    it('tails', async () => {
      const response = await request(
        `/loki/api/v1/tail?${new URLSearchParams({ query: '{service_name="live"}' })}`,
        {
          headers: {
            Authorization: `Basic ${btoa(`grafana:${app.read}`)}`,
            Upgrade: 'websocket',
          },
        },
      )
      expect(response.status).toBe(101)
      const socket = response.webSocket!
      socket.accept()
      const message = new Promise<string>((resolve) => {
        socket.addEventListener('message', ({ data }) => resolve(data as string))
      })
      await postLogs(app.ingest, { service: 'live', message: 'hello' })
      const frame = JSON.parse(await message) as { streams: Stream[] }
      expect(frame.streams).toEqual([
        {
          stream: expect.objectContaining({ service_name: 'live', level: 'info' }),
          values: [[expect.stringMatching(/^\d{19}$/), 'hello']],
        },
      ])
      socket.close()
    })

    it('shows the text of a refusal', async () => {
      const asked = async (path: string, parameters: Record<string, string>, key = app.read) => {
        const response = await request(`/loki/api/v1/${path}?${new URLSearchParams(parameters)}`, {
          headers: { Authorization: `Basic ${btoa(`grafana:${key}`)}` },
        })
        return { status: response.status, text: await response.text() }
      }
      const bad = await asked('query_range', range('{service_name="api"'))
      expect(bad.status).toBe(400)
      expect(bad.text).toMatch(/^parse error/)
      expect(bad.text).not.toMatch(/^\{/)
      const narrow = await asked(
        'query_range',
        range('rate({service_name="api"}[1m])', { step: '1ms' }),
      )
      expect(narrow.status).toBe(400)
      expect(narrow.text).toContain('11,000 points')
      expect((await asked('labels', {}, 'wlk_read_wrong')).status).toBe(401)
      expect((await asked('labels', {}, app.ingest)).status).toBe(403)
    })
  })

  describe('Logs Drilldown', () => {
    it('asks what is allowed', async () => {
      const config = await get<{ limits: Record<string, unknown>; version: string }>(
        'drilldown-limits',
        {},
        { ...DRILLDOWN, 'X-Grafana-Cache': 'private, max-age=86400' },
      )
      expect(config).toMatchObject({ pattern_ingester_enabled: true, version: expect.any(String) })
      expect(config.limits).toMatchObject({
        discover_log_levels: true,
        max_entries_limit_per_query: expect.any(Number),
        max_query_series: 500,
        metric_aggregation_enabled: false,
        volume_enabled: true,
      })
    })

    it('lists labels, and services by their volume', async () => {
      const { data } = await get<{ data: string[] }>('labels', DATES, DRILLDOWN)
      expect(data).toContain('service_name')
      for (const targets of [{}, { targetLabels: 'service_name' }]) {
        const volume = await get<Answer<Vector>>(
          'index/volume',
          { ...DATES, ...targets, limit: '5000', query: '{service_name=~`.+`}' },
          DRILLDOWN,
        )
        const { result } = volume.data
        expect(
          result
            .map(({ metric }) => metric)
            .sort((a, b) => (a.service_name! < b.service_name! ? -1 : 1)),
        ).toEqual([{ service_name: 'api' }, { service_name: 'web' }])
        for (const { value } of result) expect(Number(value[1])).toBeGreaterThan(0)
      }
    })

    it('asks for shards of streams, and there are none', async () => {
      const query = '{service_name="api"}'
      const { data } = await get<{ data?: string[] }>('label/__stream_shard__/values', {
        ...RANGE,
        query,
      })
      expect(data ?? []).toEqual([])
      const one = '{service_name="api", __stream_shard__=""}'
      const { result } = await matrix(`sum by (detected_level) (count_over_time(${one} [1m]))`)
      expect(sumOf(result)).toBe(20)
    })

    it('shows each service: its volume by level, its lines', async () => {
      const { result } = await matrix(
        'sum by (detected_level) (count_over_time({ service_name="api" } [60s]))',
        DRILLDOWN,
      )
      expect(result.map(({ metric }) => metric)).toEqual([
        { detected_level: 'error' },
        { detected_level: 'info' },
      ])
      expect(sumOf(result)).toBe(20)
      const lines = await streams(`{service_name=\`web\` }  ${MIXED}`, { ...DRILLDOWN, ...EXPLORE })
      const values = lines.result.flatMap((stream) => stream.values)
      expect(values).toHaveLength(20)
      expect(values[0]![2]!.parsed).toMatchObject({ method: 'GET' })
    })

    it('shows one service: labels and fields that it has', async () => {
      const query = '{service_name=`api`}'
      const { detectedLabels } = await get<{
        detectedLabels: { label: string; cardinality: number }[]
      }>('detected_labels', { ...DATES, query }, DRILLDOWN)
      expect(detectedLabels).toContainEqual({ label: 'level', cardinality: 2 })
      expect(detectedLabels).toContainEqual({ label: 'environment', cardinality: 1 })
      const all = await get<{ detectedLabels: unknown[] }>('detected_labels', {
        ...DATES,
        query: '',
      })
      expect(all.detectedLabels).toContainEqual({ label: 'service_name', cardinality: 2 })
      const found = await get<{ fields: { label: string }[] }>(
        'detected_fields',
        { ...DATES, query: `${query}      ${MIXED}   ` },
        DRILLDOWN,
      )
      expect(found.fields.map(({ label }) => label)).toContain('took')
    })

    it('counts lines', async () => {
      const { data } = await get<Answer<Vector>>('query', {
        query: `sum(count_over_time({service_name=\`api\`}      ${MIXED}  [3600s]))`,
        direction: 'backward',
        time: ns(NOW_MS),
      })
      expect(data.result).toEqual([{ metric: {}, value: [NOW_MS / 1000, '20'] }])
    })

    it('breaks down by a label and by a level', async () => {
      const label = await matrix(
        'sum(count_over_time({service_name=`api` ,environment != ""}      [1m])) by (environment)',
      )
      expect(label.result.map(({ metric }) => metric)).toEqual([{ environment: 'prod' }])
      expect(sumOf(label.result)).toBe(20)
      const level = await matrix(
        'sum(count_over_time({service_name=`api`}  | detected_level != ""     [1m])) by (detected_level)',
      )
      expect(sumOf(level.result)).toBe(20)
    })

    it('breaks down by a field: counts, numbers, durations', async () => {
      const head = '{service_name=`api`}     | json | logfmt | drop __error__, __error_details__'
      const counts = await matrix(`sum by (method) (count_over_time(${head} | method!="" [1m]))`)
      expect(counts.result.map(({ metric }) => metric)).toEqual([
        { method: 'GET' },
        { method: 'POST' },
      ])
      expect(sumOf(counts.result)).toBe(20)
      const average = await matrix(
        `avg_over_time(${head} | status!="" | unwrap status | __error__="" [1h]) by ()`,
      )
      expect(average.result).toHaveLength(1)
      expect(Number(average.result[0]!.values.at(-1)![1])).toBeCloseTo(219, 0)
      const took = await matrix(
        `avg_over_time(${head} | took!="" | unwrap duration(took) | __error__="" [1h]) by ()`,
      )
      expect(Number(took.result[0]!.values.at(-1)![1])).toBeCloseTo(0.019, 3)
    })

    it('breaks down by structured metadata', async () => {
      const { result } = await matrix(
        'sum by (host) (count_over_time({service_name=`api`}  | host!=""    [1m]))',
      )
      expect(result.map(({ metric }) => metric.host)).toEqual(['fra-0', 'fra-1', 'fra-2'])
      const kept = await get<Answer<Vector>>('query', {
        query: 'sum by (host) (count_over_time({service_name=`api`} | keep host [3600s]))',
        direction: 'backward',
        time: ns(NOW_MS),
      })
      expect(kept.data.result).toHaveLength(3)
    })

    it('filters by what is clicked on', async () => {
      const count = async (query: string) =>
        (await streams(query)).result.flatMap(({ values }) => values).length
      const head = '{service_name=`api`}'
      expect(await count(`${head} | detected_level="error" `)).toBe(10)
      expect(await count(`${head} | detected_level="error" or detected_level="info" `)).toBe(20)
      expect(await count(`${head} | detected_level!="error" `)).toBe(10)
      expect(await count(`${head} | host="fra-0" | trace_id!="" `)).toBe(7)
      expect(await count(`${head} |~ \`(?i)post\` `)).toBe(10)
      expect(await count(`${head} |> \`<_>"method":"POST"<_>\` `)).toBe(10)
      expect(await count(`${head} ${MIXED} | method="POST" | status>=220 `)).toBe(5)
      const json = '| json method="method"  | drop __error__, __error_details__'
      expect(await count(`${head} ${json} | method="POST"`)).toBe(10)
      expect(await count(`${head} ${json} | line_format "{{.method}}" |= "GET"`)).toBe(10)
    })

    it('shows patterns, and filters by one', async () => {
      const { data } = await get<{ data: { pattern: string; samples: [number, number][] }[] }>(
        'patterns',
        { ...DATES, query: '{service_name=`web`}', step: '1m' },
        DRILLDOWN,
      )
      expect(data.length).toBeGreaterThan(0)
      const samples = data.flatMap((pattern) => pattern.samples)
      expect(samples.reduce((sum, [, count]) => sum + count, 0)).toBe(20)
      for (const [time] of samples) expect(time % 60).toBe(0)
      const lines = await streams(`{service_name=\`web\`}   |> \`${data[0]!.pattern}\` `)
      expect(lines.result.flatMap(({ values }) => values).length).toBeGreaterThan(0)
    })
  })
})
