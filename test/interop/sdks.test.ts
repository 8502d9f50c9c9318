// The Python, Java and Go SDK with their own OTLP/HTTP exporters, set up as a user would, by
// environment variables alone.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type App, type Client, clientOf, type FoundRecord } from '../process/client.ts'
import { type Collector, startCollector } from '../process/collector.ts'
import type { ProgramName } from './programs.ts'
import {
  expectBulk,
  expectSdkRecords,
  GO,
  JAVA,
  PYTHON,
  SDK_RECORDS,
  type Sdk,
  SPAN_ID,
  TRACE_ID,
} from './records.ts'
import { missing, otelEnv, runProgram, titled } from './run.ts'

// More than two batches of an SDK (512), and less than its queue (2,048), which drops silently.
const BULK = 1_500

let collector: Collector
let client: Client
beforeAll(async () => {
  collector = await startCollector()
  client = clientOf(collector.url, collector.adminKey)
})
afterAll(() => collector?.stop())

async function send(name: ProgramName, app: App, args: string[], compression: 'gzip' | 'none') {
  await runProgram(name, args, otelEnv(collector.url, { key: app.ingestKey, compression }))
}

interface Delivery {
  name: ProgramName
  sdk: Sdk
  /** What its logging bridge made of the lines that the program logged, in order. */
  expectLines(lines: FoundRecord[]): void
}

function delivers({ name, sdk, expectLines }: Delivery) {
  const reason = missing(name)
  describe.skipIf(reason)(titled(`the ${name} SDK`, reason), () => {
    it('delivers records of every kind, and lines of its logging bridge', async () => {
      const app = await client.makeApp(`${name}-records`)
      const startMs = Date.now()
      await send(name, app, ['records'], 'gzip')
      const found = await client.waitForLogs(app, SDK_RECORDS + 1, { order: 'asc' })

      expectSdkRecords(found.slice(0, SDK_RECORDS), sdk)
      const lines = found.slice(SDK_RECORDS)
      for (const line of lines) {
        expect(line.timestamp).toBeGreaterThanOrEqual(startMs)
        expect(line.timestamp).toBeLessThanOrEqual(Date.now())
        expect(line).toMatchObject({ service: 'checkout', environment: 'staging' })
        expect(line.metadata.scope).toMatchObject({ name: 'shop.cart' })
      }
      expectLines(lines)
    })

    it(`delivers ${BULK} records in several requests, uncompressed`, async () => {
      const app = await client.makeApp(`${name}-bulk`)
      await send(name, app, ['bulk', String(BULK)], 'none')
      expectBulk(await client.waitForLogs(app, BULK, { order: 'asc' }), BULK)
    })
  })
}

const WARN = { level: 'warn', severity_number: 13, severity_text: 'WARN' }
const ERROR = { level: 'error', severity_number: 17, severity_text: 'ERROR' }
const TRACED = { trace_id: TRACE_ID, span_id: SPAN_ID }

delivers({
  name: 'python',
  sdk: PYTHON,
  expectLines(lines) {
    expect(lines).toMatchObject([
      {
        ...WARN,
        message: 'cart c-9 has 3 items',
        trace_id: null,
        source_location: expect.stringMatching(/\/main\.py:\d+$/),
        metadata: {
          attributes: { 'cart.id': 'c-9', items: 3, 'code.function.name': 'send_lines' },
        },
      },
      {
        ...TRACED,
        message: 'in a span',
        level: 'fatal',
        severity_number: 21,
        severity_text: 'FATAL',
      },
      {
        ...ERROR,
        message: 'cannot add',
        metadata: {
          attributes: {
            'exception.type': 'ValueError',
            'exception.message': 'no such item',
            'exception.stacktrace': expect.stringMatching(/^Traceback .*\n {2}File /),
          },
        },
      },
    ])
    expect(lines).toHaveLength(3)
  },
})

delivers({
  name: 'go',
  sdk: GO,
  expectLines(lines) {
    expect(lines).toMatchObject([
      {
        ...WARN,
        message: 'cart is full',
        trace_id: null,
        source_location: expect.stringMatching(/main\.go:\d+$/),
        metadata: {
          attributes: { 'cart.id': 'c-9', items: 3, http: { method: 'POST', status: 409 } },
        },
      },
      {
        ...ERROR,
        ...TRACED,
        message: 'in a span',
        metadata: { attributes: { 'exception.message': 'no such item' } },
      },
    ])
    expect(lines).toHaveLength(2)
  },
})

delivers({
  name: 'java',
  sdk: JAVA,
  expectLines(lines) {
    expect(lines).toMatchObject([
      {
        ...WARN,
        message: 'cart c-9 has 3 items',
        trace_id: null,
        request_id: 'req-2',
        metadata: { attributes: { items: 3, request_id: 'req-2' } },
      },
      {
        ...ERROR,
        ...TRACED,
        message: 'in a span',
        metadata: {
          attributes: {
            'exception.type': 'java.lang.IllegalStateException',
            'exception.message': 'no such item',
            'exception.stacktrace': expect.stringMatching(/^java\.lang\.\w+: .*\n\tat Main\./),
          },
        },
      },
    ])
    expect(lines).toHaveLength(2)
  },
})
