// An answer that is lost on its way: the sender cannot know that its batch is stored, and sends it
// again. Each record must be there exactly once (tenant/batch-id.ts).

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type App, type Client, clientOf, type FoundRecord } from '../process/client.ts'
import { type Collector, freePort, startCollector } from '../process/collector.ts'
import { startOtelcol } from './otelcol.ts'
import type { ProgramName } from './programs.ts'
import { type Attempt, type LosingProxy, startLosingProxy } from './proxy.ts'
import { expectBulk, SPAN_ID, TRACE_ID } from './records.ts'
import { missing, otelEnv, runProgram, titled } from './run.ts'

// Two requests of an SDK, whose batches are of 512.
const BULK = 700

let collector: Collector
let client: Client
beforeAll(async () => {
  collector = await startCollector()
  client = clientOf(collector.url, collector.adminKey)
})
afterAll(() => collector?.stop())

async function throughProxy(
  lose: 'with 503' | 'by a cut',
  send: (proxy: LosingProxy) => Promise<unknown>,
): Promise<Attempt[]> {
  const proxy = await startLosingProxy(collector.url, lose)
  try {
    await send(proxy)
  } finally {
    await proxy.close()
  }
  return proxy.attempts
}

/** Each content was answered 200 at every attempt, the first answer lost and the second not. */
function expectEachTwice(attempts: Attempt[]): void {
  expect(attempts.map((attempt) => attempt.status)).toEqual(attempts.map(() => 200))
  const contents = new Set(attempts.map((attempt) => attempt.contentSha256))
  for (const content of contents) {
    const own = attempts.filter((attempt) => attempt.contentSha256 === content)
    expect(own.map((attempt) => attempt.isLost)).toEqual([true, false])
  }
}

function storesOnce(
  name: ProgramName,
  lose: 'with 503' | 'by a cut',
  expectAttempts: (attempts: Attempt[]) => void = () => {},
) {
  const reason = missing(name)
  it.skipIf(reason)(titled(`${name}, answer lost ${lose}`, reason), async () => {
    const app = await client.makeApp(`${name}-${lose}`.replace(/[^a-z0-9]+/g, '-'))
    const attempts = await throughProxy(lose, (proxy) =>
      runProgram(
        name,
        ['bulk', String(BULK)],
        otelEnv(proxy.url, { key: app.ingestKey, compression: 'gzip' }),
      ),
    )
    expectEachTwice(attempts)
    expect(attempts).toHaveLength(4)
    expectAttempts(attempts)
    expectBulk(await client.findLogs(app, { order: 'asc' }), BULK)
  })
}

const bytesDiffer = (attempts: Attempt[]) =>
  expect(new Set(attempts.map((attempt) => attempt.sha256)).size).toBe(attempts.length)

describe('a batch whose answer was lost is stored once', () => {
  storesOnce('python', 'with 503')
  storesOnce('python-1.44', 'with 503', bytesDiffer)
  storesOnce('python-1.44', 'by a cut')
  storesOnce('java', 'with 503')
  storesOnce('go', 'with 503')

  const reason = missing('collector', 'telemetrygen')
  it.skipIf(reason)(titled('the Collector, fed by telemetrygen', reason), async () => {
    const app = await client.makeApp('otelcol-retry')
    const attempts = await throughProxy('with 503', (proxy) =>
      throughOtelcol(proxy.url, app, async (endpoint) => {
        await runProgram('telemetrygen', telemetrygenArgs(endpoint, { logs: 1_000, rate: 0 }), {})
        await client.waitForLogs(app, 1_000)
        // The last answer is lost too, and what is in hand is sent again before the end.
        await waitUntil(() => proxy.attempts.length > 0 && isSettled(proxy.attempts))
      }),
    )
    expectEachTwice(attempts)
    expectGenerated(await client.findLogs(app), 1_000)
  })
})

describe('a server that is killed while logs arrive', () => {
  const reason = missing('collector', 'telemetrygen')
  it.skipIf(reason)(titled('loses and doubles nothing of the Collector', reason), async () => {
    const app = await client.makeApp('otelcol-kill')
    await throughOtelcol(collector.url, app, async (endpoint) => {
      const args = telemetrygenArgs(endpoint, { logs: 2_000, rate: 500 })
      const generated = runProgram('telemetrygen', args, {})
      for (const count of [300, 900]) {
        await client.waitForLogs(app, count)
        await collector.kill9()
        await collector.restart()
      }
      await generated
      await client.waitForLogs(app, 2_000)
    })
    expectGenerated(await client.findLogs(app), 2_000)
  })
})

/** Calls `send` with the endpoint of a Collector that delivers to `url` as its defaults are. */
async function throughOtelcol(
  url: string,
  app: App,
  send: (endpoint: string) => Promise<void>,
): Promise<void> {
  const endpoint = `127.0.0.1:${await freePort()}`
  const otelcol = await startOtelcol({
    receivers: { otlp: { protocols: { http: { endpoint } } } },
    processors: { batch: {} },
    exporters: { otlp_http: { endpoint: url, headers: { 'X-API-Key': app.ingestKey } } },
    service: {
      telemetry: { metrics: { level: 'none' } },
      pipelines: {
        logs: { receivers: ['otlp'], processors: ['batch'], exporters: ['otlp_http'] },
      },
    },
  })
  try {
    await send(endpoint)
  } finally {
    await otelcol.stop()
  }
}

function telemetrygenArgs(endpoint: string, { logs, rate }: { logs: number; rate: number }) {
  return [
    ...['logs', '--otlp-http', '--otlp-insecure', '--otlp-endpoint', endpoint],
    ...['--logs', String(logs), '--rate', String(rate)],
    ...['--service', 'gen', '--body', 'from telemetrygen'],
    ...['--severity-number', '18', '--severity-text', 'Bad'],
    ...['--trace-id', TRACE_ID, '--span-id', SPAN_ID],
    ...['--telemetry-attributes', 'code=503', '--telemetry-attributes', 'retried=true'],
    ...['--telemetry-attributes', 'route="/pay"'],
  ]
}

/** Only the time tells its records apart. */
function expectGenerated(found: FoundRecord[], count: number): void {
  expect(found).toHaveLength(count)
  expect(new Set(found.map((record) => record.time_unix_nano)).size).toBe(count)
  for (const record of found) {
    expect(record).toMatchObject({
      message: 'from telemetrygen',
      level: 'error',
      severity_number: 18,
      severity_text: 'Bad',
      service: 'gen',
      trace_id: TRACE_ID,
      span_id: SPAN_ID,
      metadata: { attributes: { code: 503, retried: true, route: '/pay' } },
    })
  }
}

const isSettled = (attempts: Attempt[]) =>
  attempts.filter((attempt) => !attempt.isLost).length * 2 === attempts.length

async function waitUntil(isTrue: () => boolean): Promise<void> {
  const deadlineMs = Date.now() + 60_000
  while (!isTrue() && Date.now() < deadlineMs) {
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
