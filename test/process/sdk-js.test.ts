// The real OpenTelemetry JavaScript SDK, both of its OTLP/HTTP log exporters, into the collector.

import { SeverityNumber } from '@opentelemetry/api'
import { OTLPLogExporter as JsonExporter } from '@opentelemetry/exporter-logs-otlp-http'
import { OTLPLogExporter as ProtobufExporter } from '@opentelemetry/exporter-logs-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type App, type Client, clientOf } from './client.ts'
import { type Collector, startCollector } from './collector.ts'

let collector: Collector
let client: Client
beforeAll(async () => {
  collector = await startCollector()
  client = clientOf(collector.url, collector.adminKey)
}, 120_000)
afterAll(() => collector?.stop())

const exporters = { 'http/json': JsonExporter, 'http/protobuf': ProtobufExporter }

describe('the OpenTelemetry JS SDK', () => {
  for (const [protocol, Exporter] of Object.entries(exporters)) {
    it(`delivers over ${protocol}`, async () => {
      const app: App = await client.makeApp(protocol.replace('/', '-'))
      const exporter = new Exporter({
        url: `${collector.url}/v1/logs`,
        headers: { 'x-api-key': app.ingestKey },
      })
      const provider = new LoggerProvider({
        resource: resourceFromAttributes({
          'service.name': 'checkout',
          'service.version': '1.2.3',
        }),
        processors: [new BatchLogRecordProcessor({ exporter })],
      })
      const logger = provider.getLogger('cart', '0.1')
      for (let i = 0; i < 100; i++) {
        logger.emit({
          severityNumber: SeverityNumber.WARN,
          severityText: 'WARN',
          body: `line ${i}`,
          attributes: { i, half: i + 0.5, even: i % 2 === 0, tags: ['a', 'b'], 'user.id': `u${i}` },
        })
      }
      await provider.shutdown()
      const found = await client.findLogs(app, { order: 'asc' })
      expect(found.map(({ message }) => message)).toEqual(
        Array.from({ length: 100 }, (_, i) => `line ${i}`),
      )
      for (const [i, record] of found.entries()) {
        expect(record).toMatchObject({
          level: 'warn',
          severity_number: 13,
          severity_text: 'WARN',
          service: 'checkout',
          version: '1.2.3',
          user_id: `u${i}`,
          metadata: {
            attributes: {
              i,
              half: i + 0.5,
              even: i % 2 === 0,
              tags: ['a', 'b'],
              'user.id': `u${i}`,
            },
            scope: { name: 'cart', version: '0.1' },
          },
        })
        expect(Math.abs(record.timestamp - Date.now())).toBeLessThan(60_000)
      }
    })
  }
})
