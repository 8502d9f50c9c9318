// An answer that is lost on its way: the sender cannot know that its batch is stored, and sends it
// again. Each record must be there exactly once (design.md 6, the batch id).

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Client, clientOf } from '../process/client.ts'
import { type Collector, freePort, startCollector } from '../process/collector.ts'
import { startOtelcol } from './otelcol.ts'
import type { ProgramName } from './programs.ts'
import { type Attempt, type LosingProxy, startLosingProxy } from './proxy.ts'
import { expectBulk } from './records.ts'
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
    const logs = 1_000
    const port = await freePort()
    const attempts = await throughProxy('with 503', async (proxy) => {
      const otelcol = await startOtelcol({
        receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${port}` } } } },
        processors: { batch: {} },
        exporters: {
          otlp_http: { endpoint: proxy.url, headers: { 'X-API-Key': app.ingestKey } },
        },
        service: {
          telemetry: { metrics: { level: 'none' } },
          pipelines: {
            logs: { receivers: ['otlp'], processors: ['batch'], exporters: ['otlp_http'] },
          },
        },
      })
      try {
        await runProgram('telemetrygen', telemetrygenArgs(`127.0.0.1:${port}`, logs), {})
        await client.waitForLogs(app, logs)
        // The last answer is lost too, and what is in hand is sent again before the end.
        await waitUntil(() => proxy.attempts.length > 0 && isSettled(proxy.attempts))
      } finally {
        await otelcol.stop()
      }
    })
    expectEachTwice(attempts)
    const found = await client.findLogs(app)
    expect(found).toHaveLength(logs)
    expect(new Set(found.map((record) => record.time_unix_nano)).size).toBe(logs)
    for (const record of found) {
      expect(record).toMatchObject({
        message: 'from telemetrygen',
        level: 'error',
        severity_number: 18,
        severity_text: 'Bad',
        service: 'gen',
        trace_id: 'ae87dadd90e9935a4bc9660628efd569',
        span_id: '5828fa4960140870',
        metadata: { attributes: { code: 503, retried: true, route: '/pay' } },
      })
    }
  })
})

const isSettled = (attempts: Attempt[]) =>
  attempts.filter((attempt) => !attempt.isLost).length * 2 === attempts.length

async function waitUntil(isTrue: () => boolean): Promise<void> {
  const deadlineMs = Date.now() + 60_000
  while (!isTrue() && Date.now() < deadlineMs) {
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

function telemetrygenArgs(endpoint: string, logs: number): string[] {
  return [
    ...['logs', '--otlp-http', '--otlp-insecure', '--otlp-endpoint', endpoint],
    ...['--logs', String(logs), '--rate', '0', '--service', 'gen', '--body', 'from telemetrygen'],
    ...['--severity-number', '18', '--severity-text', 'Bad'],
    ...['--trace-id', 'ae87dadd90e9935a4bc9660628efd569', '--span-id', '5828fa4960140870'],
    ...['--telemetry-attributes', 'code=503', '--telemetry-attributes', 'retried=true'],
    ...['--telemetry-attributes', 'route="/pay"'],
  ]
}
