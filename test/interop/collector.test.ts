// The OpenTelemetry Collector between the sender and the product: the otlp and file_log receivers,
// the batch processor and the otlp_http exporter (`otlphttp` until lately), as they come.

import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type App, type Client, clientOf, type FoundRecord } from '../process/client.ts'
import { type Collector, freePort, startCollector } from '../process/collector.ts'
import { type Otelcol, startOtelcol } from './otelcol.ts'
import { expectBulk, expectSdkRecords, GO, SDK_RECORDS } from './records.ts'
import { missing, otelEnv, runProgram, titled } from './run.ts'

/** Every way in which its exporter can send to us; the first is its default. */
const EXPORTS = {
  gzip: {},
  none: { compression: 'none' },
  zstd: { compression: 'zstd' },
  deflate: { compression: 'deflate' },
  zlib: { compression: 'zlib' },
  json: { encoding: 'json' },
}
type ExportName = keyof typeof EXPORTS
const EXPORT_NAMES = Object.keys(EXPORTS) as ExportName[]

const LINES = 1_500
const EVENTS = [
  { at: '2026-01-02T03:04:05.000000001Z', sev: 'error', msg: 'disk is full', disk: { free: 0 } },
  { at: '2026-01-02T03:04:05.000000002Z', sev: 'warn', msg: 'disk is nearly full', pct: 98.5 },
  { at: '2026-01-02T03:04:06.5Z', sev: 'info', msg: 'rotated', ok: true, files: ['a', 'b'] },
]

const reason = missing('collector')
describe.skipIf(reason)(titled('the OpenTelemetry Collector', reason), () => {
  let collector: Collector
  let client: Client
  let otelcol: Otelcol
  let folder: string
  let otlp: string
  const apps = {} as Record<ExportName, App>

  beforeAll(async () => {
    collector = await startCollector()
    client = clientOf(collector.url, collector.adminKey)
    for (const name of EXPORT_NAMES) apps[name] = await client.makeApp(`otelcol-${name}`)
    folder = await mkdtemp(join(tmpdir(), 'worker-logs-lines-'))
    await writeFile(join(folder, 'plain.log'), '')
    await writeFile(join(folder, 'events.jsonl'), '')
    const port = await freePort()
    otlp = `http://127.0.0.1:${port}`
    otelcol = await startOtelcol(configOf(collector.url, apps, folder, port))
  })
  afterAll(async () => {
    await otelcol?.stop()
    await collector?.stop()
    if (folder) await rm(folder, { recursive: true, force: true })
  })

  /** What the app of each export holds must be the same; returns it. */
  async function foundByAll(
    count: number,
    parameters: Record<string, string>,
  ): Promise<Record<ExportName, FoundRecord[]>> {
    const found = {} as Record<ExportName, FoundRecord[]>
    for (const name of EXPORT_NAMES) {
      found[name] = await client.waitForLogs(apps[name], count, { order: 'asc', ...parameters })
    }
    return found
  }

  it('delivers the lines of a file, through every compression and encoding', async () => {
    const lines = Array.from({ length: LINES }, (_, i) => `line ${i} of the file, żółw`)
    const startMs = Date.now()
    await appendFile(join(folder, 'plain.log'), `${lines.join('\n')}\n`)
    const found = await foundByAll(LINES, { 'attr.log.file.name': 'plain.log' })
    for (const name of EXPORT_NAMES) {
      expect(found[name].map((record) => record.message).sort(), name).toEqual([...lines].sort())
      for (const record of found[name]) {
        // The receiver knows when it read a line, and nothing of when or how grave it was.
        expect(record).toMatchObject({
          level: 'info',
          severity_number: 0,
          severity_text: null,
          service: 'files',
          trace_id: null,
          time_unix_nano: record.observed_time_unix_nano,
        })
        expect(record.timestamp).toBeGreaterThanOrEqual(startMs)
        expect(record.metadata.attributes).toEqual({ 'log.file.name': 'plain.log' })
        expect(record.metadata.resource).toEqual({ 'service.name': 'files' })
      }
    }
  })

  it('delivers what its operators parse out of JSON lines', async () => {
    const text = EVENTS.map((event) => `${JSON.stringify(event)}\n`).join('')
    await appendFile(join(folder, 'events.jsonl'), text)
    const found = await foundByAll(EVENTS.length, { service: 'events' })
    for (const name of EXPORT_NAMES) {
      expect(found[name], name).toMatchObject([
        {
          message: 'disk is full',
          level: 'error',
          severity_number: 17,
          severity_text: 'error',
          time_unix_nano: '1767323045000000001',
          timestamp: 1767323045000,
        },
        {
          message: 'disk is nearly full',
          level: 'warn',
          severity_number: 13,
          time_unix_nano: '1767323045000000002',
        },
        { message: 'rotated', level: 'info', time_unix_nano: '1767323046500000000' },
      ])
      const attributes = found[name].map((record) => record.metadata.attributes)
      expect(attributes, name).toEqual(
        EVENTS.map(({ at, sev, msg: _, ...rest }) => ({
          ...rest,
          at,
          sev,
          'log.file.name': 'events.jsonl',
        })),
      )
    }
  })

  const goReason = missing('go')
  it.skipIf(goReason)(
    titled('passes on what the Go SDK sends, losing nothing', goReason),
    async () => {
      await runProgram('go', ['records'], otelEnv(otlp, { key: 'none', compression: 'gzip' }))
      const found = await foundByAll(SDK_RECORDS + 2, { service: 'checkout' })
      for (const name of EXPORT_NAMES) {
        expect(found[name], name).toHaveLength(SDK_RECORDS + 2)
        expectSdkRecords(found[name].slice(0, SDK_RECORDS), GO)
      }
      const bulk = 1_200
      await runProgram(
        'go',
        ['bulk', `${bulk}`],
        otelEnv(otlp, { key: 'none', compression: 'none' }),
      )
      const inBulk = await foundByAll(bulk, { q: 'bulk' })
      for (const name of EXPORT_NAMES) expectBulk(inBulk[name], bulk)
    },
  )

  it('says nothing of errors', () => {
    const complaints = otelcol
      .output()
      .split('\n')
      .filter((line) => /\t(error|warn)\t/.test(line))
    expect(complaints).toEqual([])
  })
})

function configOf(url: string, apps: Record<ExportName, App>, folder: string, port: number) {
  const exporters = Object.fromEntries(
    EXPORT_NAMES.map((name) => [
      `otlp_http/${name}`,
      {
        endpoint: url,
        headers: { 'X-API-Key': apps[name].ingestKey },
        ...EXPORTS[name],
      },
    ]),
  )
  return {
    receivers: {
      otlp: { protocols: { http: { endpoint: `127.0.0.1:${port}` } } },
      'file_log/plain': {
        include: [join(folder, 'plain.log')],
        start_at: 'beginning',
        resource: { 'service.name': 'files' },
      },
      'file_log/events': {
        include: [join(folder, 'events.jsonl')],
        start_at: 'beginning',
        resource: { 'service.name': 'events' },
        operators: [
          {
            type: 'json_parser',
            timestamp: {
              parse_from: 'attributes.at',
              layout_type: 'gotime',
              layout: '2006-01-02T15:04:05.999999999Z07:00',
            },
            severity: { parse_from: 'attributes.sev' },
          },
          { type: 'move', from: 'attributes.msg', to: 'body' },
        ],
      },
    },
    processors: { batch: {} },
    exporters,
    service: {
      // Its own metrics would listen on a fixed port.
      telemetry: { metrics: { level: 'none' } },
      pipelines: {
        logs: {
          receivers: ['otlp', 'file_log/plain', 'file_log/events'],
          processors: ['batch'],
          exporters: Object.keys(exporters),
        },
      },
    },
  }
}
