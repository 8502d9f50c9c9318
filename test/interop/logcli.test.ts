// Loki's own client, logcli, with the product's address, any name, and a read key as password.

import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type App, clientOf } from '../process/client.ts'
import { type Collector, startCollector } from '../process/collector.ts'
import type { Group } from '../process/group.ts'
import { missing, startProgram, titled } from './run.ts'

const MINUTE_MS = 60_000
const LINES = 250
/** So long ago that `--since=3h` finds them and the hour that is the default does not. */
const START_MS = Math.floor(Date.now() / (10 * MINUTE_MS)) * 10 * MINUTE_MS - 150 * MINUTE_MS
const END_MS = START_MS + 30 * MINUTE_MS
const ENDED_TIMEOUT_MS = 60_000
const TAIL_TIMEOUT_MS = 30_000

/** A line every seven seconds; every fifth is an error of the worker. */
const RECORDS = Array.from({ length: LINES }, (_, i) => ({
  timestamp: START_MS + i * 7_000 + 1,
  level: i % 5 === 0 ? 'error' : 'info',
  service: i % 5 === 0 ? 'worker' : 'api',
  environment: 'prod',
  message: `line ${i} status=${i % 3 === 0 ? 500 : 200}`,
  'http.route': i % 2 === 0 ? '/even' : '/odd',
}))

const RANGE = ['--from', new Date(START_MS).toISOString(), '--to', new Date(END_MS).toISOString()]
const API = '{service_name="api"}'
const WORKER = '{service_name="worker"}'
const lineOf = (i: number) => RECORDS[i]!.message
const lines = (text: string) => text.split('\n').filter((line) => line !== '')

const reason = missing('logcli')
describe.skipIf(reason)(titled('logcli', reason), () => {
  let collector: Collector
  let app: App

  beforeAll(async () => {
    collector = await startCollector()
    app = await clientOf(collector.url, collector.adminKey).makeApp('logcli')
    await send(RECORDS)
  })
  afterAll(() => collector?.stop())

  async function send(records: object[]): Promise<void> {
    const answer = await fetch(`${collector.url}/logs`, {
      method: 'POST',
      headers: { 'X-API-Key': app.ingestKey, 'content-type': 'application/json' },
      body: JSON.stringify(records),
    })
    if (!answer.ok) throw new Error(`POST /logs answered ${answer.status} ${await answer.text()}`)
  }

  const start = (args: string[], password = app.readKey): Group =>
    startProgram(
      'logcli',
      [...args, '--addr', collector.url, '--username', 'anyone', '--password', password],
      { TZ: 'UTC' },
    )

  /** What it prints, and how it ends. */
  async function run(args: string[], password?: string): Promise<{ code: number; text: string }> {
    const group = start(args, password)
    const code = await Promise.race([group.ended, sleep(ENDED_TIMEOUT_MS, -2, { ref: false })])
    await group.kill9()
    return { code, text: group.output() }
  }

  async function printed(...args: string[]): Promise<string> {
    const { code, text } = await run(['-q', ...args])
    expect(code, text).toBe(0)
    return text
  }

  const json = async <T>(...args: string[]) => JSON.parse(await printed(...args)) as T

  it('labels', async () => {
    const names = ['detected_level', 'environment', 'level', 'service', 'service_name']
    expect(lines(await printed('labels', ...RANGE))).toEqual(names)
    expect(lines(await printed('labels', '--since=3h'))).toEqual(names)
    expect(lines(await printed('labels', 'service_name', ...RANGE))).toEqual(['api', 'worker'])
    expect(lines(await printed('labels', 'level', ...RANGE))).toEqual(['error', 'info'])
  })

  it('series', async () => {
    expect(lines(await printed('series', WORKER, ...RANGE))).toEqual([
      '{detected_level="error", environment="prod", level="error", service="worker", service_name="worker"}',
    ])
    expect(lines(await printed('series', '{environment="prod"}', ...RANGE))).toHaveLength(2)
    const analyzed = await printed('series', '--analyze-labels', '{}', ...RANGE)
    expect(analyzed).toMatch(/Total Streams: {2}2\nUnique Labels: {2}5\n/)
    expect(analyzed).toMatch(/service_name +2 +2/)
  })

  it('query: what it asks, the labels that all lines have, and each line with the others', async () => {
    const { code, text } = await run([
      'query',
      '--limit=2',
      '-z',
      'UTC',
      `${API} | drop http_route`,
      ...RANGE,
    ])
    expect(code, text).toBe(0)
    expect(text).toContain('/loki/api/v1/query_range?direction=BACKWARD')
    expect(text).toContain(
      'Common labels: {detected_level="info", environment="prod", level="info", service="api", service_name="api"',
    )
    const time = (i: number) => new Date(RECORDS[i]!.timestamp).toISOString().replace(/\.\d+/, '')
    expect(text).toContain(`${time(249)} {} ${lineOf(249)}\n${time(248)} {} ${lineOf(248)}\n`)
  })

  it('query in all pages, as text and as JSON, both ways', async () => {
    const api = RECORDS.filter(({ service }) => service === 'api').map(({ message }) => message)
    const all = ['query', API, '--limit=1000', '--batch=30', ...RANGE]
    expect(lines(await printed(...all, '-o', 'raw'))).toEqual([...api].reverse())
    expect(lines(await printed(...all, '-o', 'raw', '--forward'))).toEqual(api)
    const limited = ['query', API, '--limit=95', '--batch=30', '--forward', ...RANGE]
    expect(lines(await printed(...limited, '-o', 'raw'))).toEqual(api.slice(0, 95))
    const found = lines(await printed(...limited, '-o', 'jsonl', '-z', 'UTC')).map(
      (line) =>
        JSON.parse(line) as { labels: Record<string, string>; line: string; timestamp: string },
    )
    expect(found).toHaveLength(95)
    const first = RECORDS[1]!
    expect(found[0]).toMatchObject({ line: first.message, labels: { http_route: '/odd' } })
    expect(Date.parse(found[0]!.timestamp)).toBe(first.timestamp)
  })

  it('query by --since, and nothing in the hour that is the default', async () => {
    const recent = ['query', WORKER, '-o', 'raw', '--limit=1000']
    expect(lines(await printed(...recent))).toEqual([])
    expect(lines(await printed(...recent, '--since=3h'))).toHaveLength(50)
  })

  it('query with stages', async () => {
    const query = `${API} | logfmt | status="500" | http_route="/odd" |~ "line [0-9]{2} "`
    const expected = RECORDS.flatMap(({ service, message }, i) =>
      service === 'api' && i % 3 === 0 && i % 2 === 1 && i > 9 && i < 100 ? [message] : [],
    )
    expect(expected.length).toBeGreaterThan(10)
    expect(
      lines(await printed('query', query, '-o', 'raw', '--forward', '--limit=100', ...RANGE)),
    ).toEqual(expected)
    const format = `${API} | logfmt | line_format "{{.status}} {{.level}}"`
    expect(
      lines(await printed('query', format, '-o', 'raw', '--forward', '--limit=2', ...RANGE)),
    ).toEqual(['200 info', '200 info'])
  })

  type Labels = Record<string, string>
  it('query of a metric', async () => {
    const query = 'sum by (level) (count_over_time({environment="prod"}[10m]))'
    const series = await json<{ metric: Labels; values: [number, string][] }[]>(
      ...['query', query, '--step=600s', ...RANGE],
    )
    const counts = (level: string) =>
      [0, 1, 2, 3].flatMap((step) => {
        const end = START_MS + step * 10 * MINUTE_MS
        const count = RECORDS.filter(
          (record) =>
            record.level === level &&
            record.timestamp < end &&
            record.timestamp >= end - 10 * MINUTE_MS,
        ).length
        return count === 0 ? [] : [[end / 1000, String(count)]]
      })
    expect(series).toEqual(
      ['error', 'info'].map((level) => ({ metric: { level }, values: counts(level) })),
    )
  })

  it('instant-query', async () => {
    const at = ['--now', new Date(END_MS).toISOString()]
    const query = 'sum by (service_name) (count_over_time({environment="prod"} |= "500" [1h]))'
    const count = (service: string) =>
      RECORDS.filter((record) => record.service === service && record.message.endsWith('500'))
        .length
    expect(await json('instant-query', query, ...at)).toEqual([
      { metric: { service_name: 'api' }, value: [END_MS / 1000, String(count('api'))] },
      { metric: { service_name: 'worker' }, value: [END_MS / 1000, String(count('worker'))] },
    ])
    expect(await json('instant-query', 'vector(1)+vector(1)', ...at)).toEqual([
      { metric: {}, value: [END_MS / 1000, '2'] },
    ])
  })

  it('query --tail shows what arrives, and what is sent while it listens', async () => {
    const live = '{service_name="live"} |= "shown"'
    const group = start(['-q', 'query', live, '--tail', '-o', 'raw'])
    try {
      const expected: string[] = []
      // The first may be sent before it listens; from then on none is lost.
      for (let i = 0; i < 20 && lines(group.output()).length === 0; i++) {
        await send([{ service: 'live', message: `shown first ${i}` }])
        await sleep(500)
      }
      for (let i = 0; i < 5; i++) {
        await send([
          { service: 'live', message: `shown ${i}` },
          { service: 'live', message: `hidden ${i}` },
          { service: 'other', message: `shown elsewhere ${i}` },
        ])
        expected.push(`shown ${i}`)
      }
      const deadlineMs = Date.now() + TAIL_TIMEOUT_MS
      const seen = () => lines(group.output()).filter((line) => !line.includes('first'))
      while (seen().length < expected.length && Date.now() < deadlineMs) await sleep(100)
      expect(seen()).toEqual(expected)
    } finally {
      await group.kill9()
    }
  })

  it('stats', async () => {
    const text = await printed('stats', '{environment="prod"}', ...RANGE)
    expect(text).toMatch(
      /^\{\n {2}bytes: [\d.]+[kMG]?i?B\n {2}chunks: \d+\n {2}streams: \d+\n {2}entries: 250\n\}/,
    )
    const { text: told } = await run(['query', API, '--stats', '--limit=5', ...RANGE])
    expect(told).toMatch(/Summary\.TotalLinesProcessed\s+\d+/)
    expect(told).toMatch(/Summary\.ExecTime/)
  })

  it('volume, volume_range', async () => {
    const bytes = (service: string) =>
      RECORDS.filter((record) => record.service === service).reduce(
        (sum, { message }) => sum + message.length,
        0,
      )
    const volumes = await json<{ metric: Labels; value: [number, string] }[]>(
      ...['volume', '{service_name=~".+"}', ...RANGE],
    )
    expect(volumes.map(({ metric }) => metric)).toEqual([
      { service_name: 'api' },
      { service_name: 'worker' },
    ])
    // An estimate: at least the lines themselves, and not many times that.
    for (const { metric, value } of volumes) {
      expect(Number(value[1])).toBeGreaterThanOrEqual(bytes(metric.service_name!) / 2)
      expect(Number(value[1])).toBeLessThan(bytes(metric.service_name!) * 50)
    }
    const ranges = await json<{ metric: Labels; values: [number, string][] }[]>(
      ...['volume_range', '{service_name=~".+"}', '--targetLabels=level', '--step=10m', ...RANGE],
    )
    expect(ranges.map(({ metric }) => metric.level).sort()).toEqual(['error', 'info'])
    for (const { values } of ranges) expect(values.length).toBeGreaterThanOrEqual(3)
  })

  it('detected-fields', async () => {
    const text = await printed('detected-fields', API, ...RANGE)
    expect(text).toMatch(/label: status\t+type: int\t+cardinality: 2/)
    expect(text).toMatch(/label: http_route\t+type: string\t+cardinality: 2/)
  })

  it('says what is refused', async () => {
    const wrongKey = await run(['labels', ...RANGE], 'wlk_read_wrong')
    expect(wrongKey.code).toBe(1)
    expect(wrongKey.text).toContain('key')
    const badQuery = await run(['query', '{service_name="api"', ...RANGE])
    expect(badQuery.code).toBe(1)
    expect(badQuery.text).toContain('error response from server: parse error')
    const points = await run(['query', `rate(${API}[1m])`, '--step=1ms', ...RANGE])
    expect(points.code).toBe(1)
    expect(points.text).toContain('11,000 points')
  })
})
