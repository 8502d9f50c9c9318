// The records that the Python, Java and Go program each send, in this order, as GET /logs must show
// them (otlp.md section 4). A record's time is FIRST_NS plus its place, so the order is of nanoseconds.

import { expect } from 'vitest'
import type { FoundRecord } from '../process/client.ts'

const FIRST_NS = 1720000000123456000n
const OBSERVED_AFTER_NS = 1_000_000_000n

/** For OTEL_RESOURCE_ATTRIBUTES; the SDKs add telemetry.sdk.* by themselves. */
export const RESOURCE = {
  'service.name': 'checkout',
  'service.version': '1.2.3',
  'deployment.environment.name': 'staging',
  'service.instance.id': 'checkout-1',
}

export const TRACE_ID = '0af7651916cd43dd8448eb211c80319c'
export const SPAN_ID = 'b7ad6b7169203331'

/** What of a record is not as in most: everything else is expected to be empty. */
interface Expected extends Partial<Omit<FoundRecord, 'metadata'>> {
  attributes?: Record<string, unknown>
  body?: unknown
  otel?: Record<string, unknown>
}

const EXPECTED: Expected[] = [
  { message: 'level trace', level: 'trace', severity_number: 1, severity_text: 'TRACE' },
  { message: 'level debug', level: 'debug', severity_number: 5, severity_text: 'DEBUG' },
  { message: 'level info' },
  { message: 'level warn', level: 'warn', severity_number: 13, severity_text: 'WARN' },
  { message: 'level error', level: 'error', severity_number: 17, severity_text: 'ERROR' },
  { message: 'level fatal', level: 'fatal', severity_number: 21, severity_text: 'FATAL' },
  { message: 'number 24', level: 'fatal', severity_number: 24, severity_text: 'EMERGENCY' },
  { message: 'no severity', severity_number: 0, severity_text: null },
  { message: 'number against text', level: 'warn', severity_number: 13, severity_text: 'Error' },
  {
    message: 'every kind of attribute',
    attributes: {
      text: 'plain',
      'text.empty': '',
      'text.unicode': 'zażółć 🚀',
      int: 42,
      'int.negative': -7,
      'int.zero': 0,
      'int.safe': 9007199254740991,
      // JSON numbers end at 2^53, so a larger integer is its digits (D11).
      'int.large': '9223372036854775807',
      num: 0.5,
      'num.whole': 3,
      'bool.true': true,
      'bool.false': false,
      texts: ['a', 'b'],
      ints: [1, 2, 3],
      map: { city: 'Gdańsk', nested: { n: 1 } },
      bytes: 'AAH+/w==',
    },
  },
  { message: 'from a map', body: { message: 'from a map', n: 1 } },
  { message: '["a",1,true]', body: ['a', 1, true] },
  { message: 'in a trace', trace_id: TRACE_ID, span_id: SPAN_ID, otel: { flags: 1 } },
  {
    message: 'order 17 placed',
    event_type: 'order.placed',
    otel: { event_name: 'order.placed' },
  },
  { message: 'zażółć gęślą jaźń 🚀\n\tat line two' },
  {
    message: 'TimeoutError: upstream took 30 s',
    level: 'error',
    severity_number: 17,
    severity_text: 'ERROR',
    attributes: { 'exception.type': 'TimeoutError', 'exception.message': 'upstream took 30 s' },
  },
  {
    message: 'attributes with columns',
    request_id: 'req-1',
    user_id: 'u-7',
    source_location: 'src/pay.go:17',
    workspace_id: 'w-1',
    project_id: 'p-1',
    attributes: {
      'http.request.header.x-request-id': ['req-1'],
      'user.id': 'u-7',
      'code.file.path': 'src/pay.go',
      'code.line.number': 17,
      'workspace.id': 'w-1',
      'project.id': 'p-1',
    },
  },
  { message: 'observed alone' },
]

export const SDK_RECORDS = EXPECTED.length

export interface Sdk {
  language: string
  scope: Record<string, unknown>
  /** The Go SDK says by which schema its resource is named. */
  hasSchema?: boolean
}

const SCOPE = { name: 'payments', version: '0.3.1' }
export const PYTHON: Sdk = {
  language: 'python',
  scope: { ...SCOPE, attributes: { team: 'core' } },
}
export const GO: Sdk = {
  language: 'go',
  scope: { ...SCOPE, attributes: { team: 'core' } },
  hasSchema: true,
}
export const JAVA: Sdk = { language: 'java', scope: SCOPE }

/** Record by record and member by member: what is not expected must not be there. */
export function expectSdkRecords(found: FoundRecord[], sdk: Sdk): void {
  expect(found.map((record) => record.message)).toEqual(EXPECTED.map((record) => record.message))
  for (const [i, record] of found.entries()) {
    expect(record).toEqual(sdkRecord(i, sdk))
  }
}

function sdkRecord(i: number, sdk: Sdk) {
  const { attributes, body, otel: own, ...columns } = EXPECTED[i] as Expected
  const schema = expect.stringMatching(/^https:.*\/schemas\/\d+\.\d+\.\d+$/)
  const otel = sdk.hasSchema ? { ...own, resource_schema_url: schema } : own
  const timeNs = FIRST_NS + BigInt(i)
  const isObservedAlone = columns.message === 'observed alone'
  const observedNs = isObservedAlone ? timeNs : timeNs + OBSERVED_AFTER_NS
  return {
    id: expect.stringMatching(/^0-\d+$/),
    timestamp: Number(timeNs / 1_000_000n),
    time_unix_nano: String(timeNs),
    observed_time_unix_nano: String(observedNs),
    level: 'info',
    severity_number: 9,
    severity_text: 'INFO',
    service: RESOURCE['service.name'],
    environment: RESOURCE['deployment.environment.name'],
    event_type: null,
    source_location: null,
    trace_id: null,
    span_id: null,
    request_id: null,
    workspace_id: null,
    project_id: null,
    user_id: null,
    version: RESOURCE['service.version'],
    instance_id: RESOURCE['service.instance.id'],
    ...columns,
    metadata: {
      ...(attributes && { attributes }),
      resource: {
        ...RESOURCE,
        'telemetry.sdk.language': sdk.language,
        'telemetry.sdk.name': 'opentelemetry',
        'telemetry.sdk.version': expect.stringMatching(/^\d+\.\d+/),
      },
      scope: sdk.scope,
      ...(body !== undefined && { body }),
      ...(otel && { otel }),
    },
  }
}

/** That `bulk 0` to `bulk count-1` are each there, in order, and exactly once. */
export function expectBulk(found: FoundRecord[], count: number): void {
  const seen = found.map((record) => `${record.message} ${record.metadata.attributes?.i}`)
  expect(seen).toEqual(Array.from({ length: count }, (_, i) => `bulk ${i} ${i}`))
}
