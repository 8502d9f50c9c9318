// What pushes to Loki pushes to us, set up as its users do: Promtail, pino's and winston's transports,
// and the handler of Python's logging.

import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type App, type Client, clientOf, type FoundRecord } from '../process/client.ts'
import { type Collector, startCollector } from '../process/collector.ts'
import { startLosingProxy } from './proxy.ts'
import { TRACE_ID } from './records.ts'
import { missing, runProgram, startProgram, titled } from './run.ts'

// More than any of them sends in one request.
const BULK = 1_200

let collector: Collector
let client: Client
beforeAll(async () => {
  collector = await startCollector()
  client = clientOf(collector.url, collector.adminKey)
})
afterAll(() => collector?.stop())

const lokiEnv = (app: App, url = collector.url) => ({ LOKI_URL: url, LOKI_KEY: app.ingestKey })

/** By their messages, because what was logged in one millisecond has no order. */
function byMessage(found: FoundRecord[], messageOf = (record: FoundRecord) => record.message) {
  return new Map(found.map((record) => [messageOf(record), record]))
}
const levelsOf = (found: Map<string, FoundRecord>) =>
  Object.fromEntries([...found].map(([message, { level }]) => [message, level]))

describe.skipIf(missing('node-loki'))(titled('pino-loki', missing('node-loki')), () => {
  /** The line is pino's own, as JSON. */
  const messageOf = ({ message }: FoundRecord) => (JSON.parse(message) as { msg: string }).msg

  it('delivers records, by the level it says they have', async () => {
    const app = await client.makeApp('pino-loki')
    await runProgram('node-loki', ['pino-loki', 'records'], lokiEnv(app))
    const found = byMessage(await client.waitForLogs(app, 8), messageOf)
    expect(levelsOf(found)).toEqual({
      // pino-loki has no trace: 10 is debug to it.
      'level trace': 'debug',
      'level debug': 'debug',
      'level info': 'info',
      'level warn': 'warn',
      'level error': 'error',
      'level fatal': 'fatal',
      'zażółć gęślą jaźń 🚀\n\tat line two': 'error',
      'in a trace': 'warn',
    })
    const labels = { app: 'shop', env: 'staging', hostname: 'web-1' }
    for (const record of found.values()) {
      expect(record).toMatchObject({
        service: 'shop',
        environment: 'staging',
        instance_id: 'web-1',
      })
      expect(record.metadata.resource).toMatchObject(labels)
    }
    expect(found.get('in a trace')).toMatchObject({
      trace_id: TRACE_ID,
      severity_text: 'warning',
      metadata: { attributes: { trace_id: TRACE_ID, items: '3' } },
    })
  })

  it(`delivers ${BULK} records`, async () => {
    const app = await client.makeApp('pino-loki-bulk')
    await runProgram('node-loki', ['pino-loki', 'bulk', String(BULK)], lokiEnv(app))
    const found = byMessage(await client.waitForLogs(app, BULK), messageOf)
    expect([...found.keys()].sort()).toEqual(bulkMessages())
  })
})

const bulkMessages = () => Array.from({ length: BULK }, (_, i) => `bulk ${i}`).sort()

for (const form of ['json', 'protobuf'] as const) {
  const reason = missing('node-loki')
  describe.skipIf(reason)(titled(`winston-loki, ${form}`, reason), () => {
    /** The line is the message and the rest as JSON. */
    const messageOf = ({ message }: FoundRecord) => message.replace(/ (?:\{.*\})?$/, '')

    it('delivers records', async () => {
      const app = await client.makeApp(`winston-loki-${form}`)
      await runProgram('node-loki', [`winston-loki-${form}`, 'records'], lokiEnv(app))
      const found = byMessage(await client.waitForLogs(app, 9), messageOf)
      expect(levelsOf(found)).toEqual({
        'level silly': 'trace',
        'level debug': 'debug',
        'level verbose': 'debug',
        'level http': 'info',
        'level info': 'info',
        'level warn': 'warn',
        'level error': 'error',
        'zażółć gęślą jaźń 🚀\n\tat line two': 'error',
        'in a trace': 'warn',
      })
      for (const record of found.values()) {
        expect(record).toMatchObject({ service: 'shop', environment: 'staging' })
      }
      // In protobuf it leaves structured metadata out.
      const attributes = { level: 'warn', items: '3', trace_id: TRACE_ID }
      expect(found.get('in a trace')?.metadata.attributes).toEqual(
        form === 'json' ? attributes : undefined,
      )
      expect(found.get('in a trace')?.trace_id).toBe(form === 'json' ? TRACE_ID : null)
    })

    it(`delivers ${BULK} records`, async () => {
      const app = await client.makeApp(`winston-loki-${form}-bulk`)
      await runProgram('node-loki', [`winston-loki-${form}`, 'bulk', String(BULK)], lokiEnv(app))
      const found = byMessage(await client.waitForLogs(app, BULK), messageOf)
      expect([...found.keys()].sort()).toEqual(bulkMessages())
    })
  })
}

for (const [version, path] of [
  ['0', '/api/prom/push'],
  ['1', '/loki/api/v1/push'],
] as const) {
  const reason = missing('python-loki')
  describe.skipIf(reason)(titled(`python-logging-loki at ${path}`, reason), () => {
    it('delivers lines', async () => {
      const app = await client.makeApp(`python-loki-${version}`)
      const startMs = Date.now()
      await runProgram('python-loki', [version], lokiEnv(app))
      const found = await client.waitForLogs(app, 3, { order: 'asc' })
      for (const line of found) {
        expect(line.timestamp).toBeGreaterThanOrEqual(startMs)
        expect(line.timestamp).toBeLessThanOrEqual(Date.now())
        expect(line).toMatchObject({
          service: 'shop',
          environment: 'staging',
          metadata: { resource: { logger: 'shop.cart' } },
        })
      }
      expect(found).toMatchObject([
        { message: 'cart c-9 has 3 items', level: 'debug', severity_text: 'debug' },
        { message: 'zażółć "gęślą" jaźń 🚀\n\tat line two', level: 'warn' },
        { message: 'no stock', level: 'fatal', severity_text: 'critical', trace_id: TRACE_ID },
      ])
      expect(found).toHaveLength(3)
    })
  })
}

describe.skipIf(missing('promtail'))(titled('Promtail', missing('promtail')), () => {
  const STAGES = [
    {
      regex: { expression: '^(?P<time>\\S+) level=(?P<level>\\w+) .*?(?:trace=(?P<trace>\\w+))?$' },
    },
    { timestamp: { source: 'time', format: 'RFC3339Nano' } },
    { labels: { level: '' } },
    { structured_metadata: { trace_id: 'trace' } },
  ]

  /** Runs while a file is written, and until all its lines are there. */
  async function tail(app: App, url: string, lines: string[], until: () => Promise<unknown>) {
    const folder = await mkdtemp(join(tmpdir(), 'worker-logs-promtail-'))
    const file = join(folder, 'app.log')
    const config = join(folder, 'config.yaml')
    const labels = { job: 'varlogs', app: 'shop', env: 'staging', __path__: file }
    // JSON is YAML too.
    const settings = {
      server: { disable: true },
      positions: { filename: join(folder, 'positions') },
      clients: [
        {
          url: `${url}/loki/api/v1/push`,
          basic_auth: { username: 'any', password: app.ingestKey },
          tenant_id: app.appId,
          batchwait: '500ms',
          external_labels: { cluster: 'eu "1"' },
        },
      ],
      scrape_configs: [
        {
          job_name: 'a',
          static_configs: [{ targets: ['localhost'], labels }],
          pipeline_stages: STAGES,
        },
      ],
    }
    await writeFile(file, '')
    await writeFile(config, JSON.stringify(settings))
    const promtail = startProgram('promtail', [`-config.file=${config}`], {})
    try {
      for (const line of lines) await appendFile(file, `${line}\n`)
      await until()
    } finally {
      await promtail.kill9()
      await rm(folder, { recursive: true, force: true })
    }
  }

  it('delivers lines of a file', async () => {
    const app = await client.makeApp('promtail')
    const lines = [
      '2024-07-03T09:46:40.123456789Z level=warn stock is low',
      `2024-07-03T09:46:40.123456790Z level=error payment failed trace=${TRACE_ID}`,
      '2024-07-03T09:46:41Z level=info zażółć gęślą 🚀 "quoted"',
    ]
    await tail(app, collector.url, lines, () => client.waitForLogs(app, 3))
    const found = await client.findLogs(app, { order: 'asc' })
    expect(found).toMatchObject([
      { message: lines[0], level: 'warn', time_unix_nano: '1720000000123456789', trace_id: null },
      {
        message: lines[1],
        level: 'error',
        time_unix_nano: '1720000000123456790',
        trace_id: TRACE_ID,
        metadata: { attributes: { trace_id: TRACE_ID } },
      },
      { message: lines[2], level: 'info', time_unix_nano: '1720000001000000000' },
    ])
    for (const record of found) {
      expect(record).toMatchObject({
        service: 'shop',
        environment: 'staging',
        metadata: { resource: { job: 'varlogs', app: 'shop', cluster: 'eu "1"' } },
      })
    }
    expect(found).toHaveLength(3)
  })

  for (const lose of ['with 503', 'by a cut'] as const) {
    it(`an answer lost ${lose}: each line is there once`, async () => {
      const app = await client.makeApp(`promtail-${lose.replaceAll(' ', '-')}`)
      const lines = Array.from(
        { length: BULK },
        (_, i) => `2024-07-03T09:46:40.${String(i).padStart(9, '0')}Z level=info bulk ${i}`,
      )
      const proxy = await startLosingProxy(collector.url, lose)
      const isSettled = () => {
        const given = proxy.attempts.filter((attempt) => !attempt.isLost)
        return given.length > 0 && given.length * 2 === proxy.attempts.length
      }
      try {
        await tail(app, proxy.url, lines, async () => {
          await client.waitForLogs(app, BULK)
          await expect.poll(isSettled, { timeout: 20_000 }).toBe(true)
        })
      } finally {
        await proxy.close()
      }
      expect(proxy.attempts.map(({ status }) => status)).toEqual(proxy.attempts.map(() => 204))
      const found = await client.findLogs(app, { order: 'asc' })
      expect(found.map(({ message }) => message)).toEqual(lines)
    })
  }
})
