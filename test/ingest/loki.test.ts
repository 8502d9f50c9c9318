// Loki's push: both encodings to the same records, what its names fill, times, and what is refused.
// The bodies of real shippers are in test/fixtures/loki.

import type protobuf from 'protobufjs'
import { describe, expect, it } from 'vitest'
import { decodeLokiJson } from '../../src/ingest/loki-json.ts'
import { decodeLokiProtobuf, LOKI_TAGS } from '../../src/ingest/loki-protobuf.ts'
import type { Arrival } from '../../src/ingest/map.ts'
import { uncompressSnappy } from '../../src/ingest/snappy.ts'
import {
  COLUMN_BYTES_MAX,
  MESSAGE_BYTES_MAX,
  REQUEST_BYTES_MAX,
  REQUEST_RECORDS_MAX,
} from '../../src/limits.ts'
import { type RecordView, recordView } from '../../src/match/view.ts'
import type { RecordBatch } from '../../src/record.ts'
import type { Result } from '../../src/result.ts'
import { asRow, LOKI_FILES } from '../loki-files.ts'
import { encode, jsonOf, LOKI_ROOT, protobufOf, type Stream } from '../loki-push.ts'

const RECEIVED_MS = 1_800_000_000_000
const ARRIVAL: Arrival = { receivedMs: RECEIVED_MS, workspaceId: null, requestId: null }
const TIME = 1720000000123456789n
const bytesOf = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))

function views(result: Result<RecordBatch>): RecordView[] {
  if (!result.ok) throw new Error(result.error.message)
  return Array.from({ length: result.data.length }, (_, i) => recordView(result.data, i, 0, i))
}

/** The records of the streams, which both encodings must agree on. */
function push(streams: Stream[], arrival = ARRIVAL): RecordView[] {
  const fromJson = views(decodeLokiJson(bytesOf(jsonOf(streams)), arrival))
  expect(views(decodeLokiProtobuf(protobufOf(streams), arrival))).toEqual(fromJson)
  return fromJson
}

/** One record with these labels and this structured metadata. */
const pushOne = (
  labels: Record<string, string>,
  metadata: Record<string, string> = {},
  arrival = ARRIVAL,
): RecordView => push([{ labels, entries: [{ time: TIME, line: 'm', metadata }] }], arrival)[0]!

describe('the bodies of shippers', () => {
  for (const { file, sender, contentType, body, records } of LOKI_FILES) {
    it(`${sender}: ${file}`, () => {
      const isJson = contentType.startsWith('application/json')
      const plain = isJson ? { ok: true as const, data: body } : uncompressSnappy(body, 1 << 20)
      if (!plain.ok) throw new Error(plain.error.message)
      const found = views((isJson ? decodeLokiJson : decodeLokiProtobuf)(plain.data, ARRIVAL))
      // Streams of a batch come in any order.
      const order = (time: unknown) => records.findIndex((row) => row.time_unix_nano === time)
      found.sort((a, b) => order(a.time_unix_nano) - order(b.time_unix_nano))
      expect(found.map((record, i) => asRow(records[i] ?? {}, record))).toEqual(records)
    })
  }
})

describe('a stream and its entries', () => {
  it('labels are the resource, structured metadata the attributes, a line the message', () => {
    const labels = { app: 'shop', cluster: 'eu "1"' }
    const entries = [
      { time: TIME, line: 'a', metadata: { sku: 'A-1' } },
      { time: TIME - 1n, line: 'b\nzażółć 🚀' },
    ]
    const other = { labels: { job: 'cron' }, entries: [{ time: TIME, line: '' }] }
    const [a, b, c] = push([{ labels, entries }, other])
    expect(a).toMatchObject({
      message: 'a',
      time_unix_nano: '1720000000123456789',
      service: 'shop',
      level: 'info',
      severity_number: 0,
      severity_text: null,
      metadata: { resource: labels, attributes: { sku: 'A-1' } },
    })
    expect(b).toMatchObject({
      message: 'b\nzażółć 🚀',
      time_unix_nano: '1720000000123456788',
      metadata: { resource: labels },
    })
    expect(b!.metadata.attributes).toBeUndefined()
    expect(c).toMatchObject({
      message: '',
      service: 'cron',
      metadata: { resource: { job: 'cron' } },
    })
  })

  it('no labels are the unknown service', () => {
    expect(pushOne({})).toMatchObject({ service: 'unknown_service' })
  })

  it('an empty label is none, as at Loki', () => {
    const { metadata, service } = pushOne({ service_name: '', a: '', job: 'j' })
    expect([metadata.resource, service]).toEqual([{ job: 'j' }, 'j'])
  })

  it('names of prototypes are names like others', () => {
    const record = pushOne(JSON.parse('{"__proto__":"x","constructor":"y"}'))
    expect(Object.entries(record.metadata.resource!)).toEqual([
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ])
  })

  it('the workspace of a key overrides what is sent', () => {
    const { workspace_id } = pushOne(
      { workspace_id: 'a' },
      { workspace_id: 'b' },
      {
        ...ARRIVAL,
        workspaceId: 'bound',
      },
    )
    expect(workspace_id).toBe('bound')
  })

  it('names an app chose come before all', () => {
    const arrival = { ...ARRIVAL, columns: { service: ['team'], trace_id: ['tid'] } }
    const record = pushOne({ team: 't', service_name: 's', tid: 'no id' }, {}, arrival)
    expect(record).toMatchObject({ service: 't', trace_id: null })
  })
})

describe('columns', () => {
  const fills = (
    column: keyof RecordView,
    value: string,
    labels: Record<string, string>,
    metadata: Record<string, string> = {},
  ) =>
    it(`${column} ${value}: ${JSON.stringify(labels)} ${JSON.stringify(metadata)}`, () => {
      expect(pushOne(labels, metadata)[column]).toBe(value)
    })

  // The order of Loki's discovery: each alone, and each before the next.
  const DISCOVERED =
    'service_name service app application app_name name app_kubernetes_io_name container container_name k8s_container_name component workload job k8s_job_name'.split(
      ' ',
    )
  for (const [i, name] of DISCOVERED.entries()) {
    const behind = DISCOVERED.slice(i + 1).map((other) => [other, 'other'])
    fills('service', 'found', { ...Object.fromEntries(behind), [name]: 'found' })
  }
  fills('service', 'otel', { service_name: 'x', 'service.name': 'otel' })
  fills('service', 'meta', { job: 'fluent-bit' }, { service_name: 'meta' })
  fills('service', 'label', { service_name: 'label' }, { service_name: 'meta' })
  fills('service', 'fluent-bit', { job: 'fluent-bit' }, { name: 'x', app: 'y', container: 'z' })
  fills('service', 'known', { service_name: 'unknown_service', job: 'known' })
  fills('service', 'unknown_service:node', { service_name: 'unknown_service:node', other: 'x' })
  for (const name of ['env', 'environment', 'deployment_environment']) {
    fills('environment', 'prod', { [name]: 'prod' })
    fills('environment', 'prod', { env: 'other' }, { [name]: 'prod' })
  }
  fills('environment', 'a', { deployment_environment_name: 'a', environment: 'b', env: 'c' })
  fills('version', '1.2', { version: '1.2' })
  fills('version', '1.2', { service_version: '1.2', version: '3' })
  for (const name of 'instance_id service_instance_id pod instance hostname host'.split(' ')) {
    fills('instance_id', 'x-1', { [name]: 'x-1' })
    fills('instance_id', 'x-1', {}, { [name]: 'x-1' })
  }
  fills('instance_id', 'a', { pod: 'a', instance: 'ns/a:c', host: 'node' })
  const TRACE = '0af7651916cd43dd8448eb211c80319c'
  for (const name of ['trace_id', 'traceID', 'traceId']) {
    fills('trace_id', TRACE, {}, { [name]: TRACE.toUpperCase() })
    fills('trace_id', TRACE, { [name]: TRACE })
  }
  fills('trace_id', TRACE, { trace_id: 'none' }, { trace_id: '0', traceID: TRACE })
  fills('span_id', 'b7ad6b7169203331', { spanId: 'B7AD6B7169203331' })
  fills('user_id', 'u-1', {}, { user_id: 'u-1' })
  fills('request_id', 'r-1', {}, { request_id: 'r-1' })
  fills('event_type', 'paid', { event_name: 'paid' })
  fills('workspace_id', 'w', { tenant_id: 'w' })
  fills('source_location', 'a.go:7', {}, { code_file_path: 'a.go', code_line_number: '7' })

  it('a trace id of another length fills none, and stays', () => {
    const record = pushOne({}, { trace_id: 'abc' })
    expect(record).toMatchObject({ trace_id: null, metadata: { attributes: { trace_id: 'abc' } } })
  })

  it('these names mean nothing at other doors: the table of OTLP knows none of them', async () => {
    const { TABLE } = await import('../../src/ingest/precedence.ts')
    for (const name of ['service_name', 'app', 'job', 'env', 'pod', 'traceID']) {
      expect([name, TABLE.record.get(name), TABLE.resource.get(name)]).toEqual([
        name,
        undefined,
        undefined,
      ])
    }
  })
})

describe('levels', () => {
  const is = (
    level: string,
    text: string | null,
    labels: Record<string, string>,
    metadata: Record<string, string> = {},
  ) =>
    it(`${level}: ${JSON.stringify(labels)} ${JSON.stringify(metadata)}`, () => {
      const { level: found, severity_text } = pushOne(labels, metadata)
      expect([found, severity_text]).toEqual([level, text])
    })

  for (const name of [
    'level',
    'LEVEL',
    'Level',
    'severity',
    'SEVERITY',
    'Severity',
    'SeverityText',
    'severity_text',
    'lvl',
    'log.level',
    'log_level',
    'detected_level',
  ]) {
    is('error', 'error', { [name]: 'error' })
    is('error', 'err', {}, { [name]: 'err' })
  }
  is('warn', 'WARNING', { level: 'WARNING' })
  is('fatal', 'critical', { level: 'critical' })
  is('info', null, {})
  is('info', 'unknown', { detected_level: 'unknown' })
  is('info', 'notes', { level: 'notes' })
  is('error', 'error', { level: 'error', detected_level: 'info' })
  is('error', 'error', { level: 'notes', detected_level: 'error' })
  is('debug', 'debug', { level: 'error' }, { level: 'debug' })
  is('error', 'error', { level: 'error' }, { level: 'notes' })
  is('info', 'notes', { level: 'other' }, { level: 'notes' })
  is('warn', null, { level: '40' })
  is('info', '4', { level: '4' })
  is('error', 'oops', {}, { severity_number: '17', severity_text: 'oops' })
  is('error', null, { severity_number: '17', level: '20' })
  is('info', null, { severity_number: '25' })

  it('a word of the line is no level', () => {
    const [record] = push([{ labels: {}, entries: [{ time: TIME, line: 'level=error ERROR' }] }])
    expect(record).toMatchObject({ level: 'info', severity_text: null })
  })

  it('the level of a stream is that of every entry without its own', () => {
    const entries = [
      { time: TIME, line: 'a' },
      { time: TIME, line: 'b', metadata: { level: 'debug' } },
      { time: TIME, line: 'c' },
    ]
    const records = push([
      { labels: { level: 'error' }, entries },
      { labels: {}, entries: [{ time: TIME, line: 'd' }] },
    ])
    expect(records.map(({ level }) => level)).toEqual(['error', 'debug', 'error', 'info'])
  })
})

describe('times', () => {
  const timeOf = (time: unknown) => {
    const result = decodeLokiJson(
      bytesOf({
        streams: [
          {
            stream: {},
            values: [
              [time, 'a'],
              ['1720000000123456789', 'b'],
            ],
          },
        ],
      }),
      ARRIVAL,
    )
    if (!result.ok) throw new Error(result.error.message)
    return { batch: result.data, records: views(result) }
  }
  const is = (sent: unknown, nanos: string) =>
    it(`${JSON.stringify(sent)} is ${nanos}`, () =>
      expect(timeOf(sent).records[0]!.time_unix_nano).toBe(nanos))
  is('1720000000123456789', '1720000000123456789')
  is('0001720000000123456789', '1720000000123456789')
  is('100000000000000000', '100000000000000000')
  is('9223372036853999999', '9223372036853999999')
  is('0', `${RECEIVED_MS}000000`)

  it('a number that JSON would round keeps all its digits', () => {
    const body = '{"streams":[{"values":[[1720000000123456789,"a"]]}]}'
    const [record] = views(decodeLokiJson(new TextEncoder().encode(body), ARRIVAL))
    expect(record!.time_unix_nano).toBe('1720000000123456789')
  })

  const rejects = (sent: string, message: string) =>
    it(`${sent} costs its entry alone`, () => {
      const { batch, records } = timeOf(sent)
      expect(records.map((record) => record.message)).toEqual(['b'])
      expect(batch.rejected).toEqual([{ index: 0, field: 'timestamp', message }])
    })
  rejects('1720000000', '1720000000 is too few digits for nanoseconds since 1970')
  rejects('1720000000123456', '1720000000123456 is too few digits for nanoseconds since 1970')
  rejects('-1', 'is before 1970')
  rejects('9223372036854775808', 'is after 2262-04-11')
  rejects(`1${'0'.repeat(30)}`, 'is after 2262-04-11')

  const protobufTime = (timestamp: object | undefined) => {
    const entries = [{ timestamp, line: 'a' }]
    const result = decodeLokiProtobuf(encode({ streams: [{ labels: '{}', entries }] }), ARRIVAL)
    return result.ok
      ? (result.data.rejected[0]?.message ?? views(result)[0]!.time_unix_nano)
      : result
  }
  it('protobuf: to the nanosecond, none, before 1970 and after 2262', () => {
    expect(protobufTime({ seconds: 1, nanos: 999_999_999 })).toBe('1999999999')
    expect(protobufTime(undefined)).toBe(`${RECEIVED_MS}000000`)
    expect(protobufTime({ seconds: -1 })).toBe('is before 1970')
    expect(protobufTime({ seconds: 9_223_372_037 })).toBe('is after 2262-04-11')
    expect(protobufTime({ seconds: '9223372036854775807' })).toBe('is after 2262-04-11')
    expect(protobufTime({ seconds: '-9223372036854775808' })).toBe('is before 1970')
  })
  it('protobuf: nanoseconds that are none refuse the body', () => {
    for (const nanos of [-1, 1_000_000_000]) {
      const message = expect.stringContaining(`${nanos} nanoseconds of a second at byte `)
      expect(protobufTime({ seconds: 1, nanos })).toMatchObject({ error: { message } })
    }
  })
})

describe('JSON', () => {
  const decode = (body: unknown) =>
    decodeLokiJson(
      typeof body === 'string' ? new TextEncoder().encode(body) : bytesOf(body),
      ARRIVAL,
    )
  const takes = (name: string, stream: object, records: object[]) =>
    it(`takes ${name}`, () => {
      expect(views(decode({ streams: [stream] }))).toMatchObject(records)
    })
  const ns = String(TIME)

  takes('no values', { stream: { a: 'b' } }, [])
  takes('null for values, and among them', { stream: null, values: null }, [])
  takes('null for a value', { values: [null, [ns, 'a']] }, [{ message: 'a' }])
  takes('no line', { values: [[ns]] }, [{ message: '' }])
  takes('null for metadata', { values: [[ns, 'a', null]] }, [{ message: 'a' }])
  takes('more than three elements', { values: [[ns, 'a', {}, 1]] }, [{ message: 'a' }])
  takes('members it does not know', { values: [[ns, 'a']], hash: 7 }, [{ message: 'a' }])
  takes(
    'labels that are no texts, as texts',
    { stream: { a: 1, b: true, c: { d: 1 }, e: null }, values: [[ns, 'a']] },
    [{ metadata: { resource: { a: '1', b: 'true', c: '{"d":1}' } } }],
  )
  takes(
    'the first form',
    {
      labels: '{app="shop", level="warn"}',
      entries: [
        { ts: '2024-07-03T09:46:40.123456789Z', line: 'a', structuredMetadata: { k: 'v' } },
        { ts: '2024-07-03T11:46:40.123456789+02:00', line: 'b' },
      ],
    },
    [
      {
        message: 'a',
        service: 'shop',
        level: 'warn',
        time_unix_nano: ns,
        metadata: { attributes: { k: 'v' } },
      },
      { message: 'b', time_unix_nano: ns },
    ],
  )
  it('takes lone surrogates as U+FFFD', () => {
    const [record] = views(
      decode(`{"streams":[{"stream":{"\\ud800":"\\ud800"},"values":[["${ns}","\\ud800"]]}]}`),
    )
    expect(record).toMatchObject({
      message: '\ufffd',
      metadata: { resource: { '\ufffd': '\ufffd' } },
    })
  })

  const refuses = (name: string, body: unknown, message: string) =>
    it(`refuses ${name}`, () => {
      expect(decode(body)).toMatchObject({ ok: false, error: { code: 'bad_json', message } })
    })
  const ofStream = (stream: unknown) => ({ streams: [{ stream: {} }, stream] })
  const none = 'the body holds no streams: at least one is needed'
  refuses('an object without streams', {}, none)
  refuses('no streams', { streams: [] }, none)
  refuses('null', 'null', none)
  refuses('an array', [], 'the body must be an object')
  refuses('no body', '', 'JSON ends too early at byte 0')
  refuses('half a body', '{"streams":[{"va', 'JSON ends too early at byte 16')
  refuses('streams that are no array', { streams: {} }, 'streams must be an array')
  refuses('a stream that is none', { streams: [7] }, 'streams[0] must be an object')
  refuses('labels that are none', ofStream({ stream: 'x' }), 'streams[1].stream must be an object')
  refuses('values that are none', ofStream({ values: {} }), 'streams[1].values must be an array')
  const value = (...of: unknown[]) => ofStream({ values: [[ns, 'a'], of] })
  const nanoseconds = 'streams[1].values[1][0] must be nanoseconds since 1970, as a text of digits'
  refuses(
    'an empty value',
    value(),
    'streams[1].values[1] must be an array of a time, a line and, if there are any, metadata',
  )
  refuses('a time that is none', value('12x', 'a'), nanoseconds)
  refuses('an ISO time', value('2024-07-03T09:46:40Z', 'a'), nanoseconds)
  refuses('a time with a fraction', value(1.5, 'a'), nanoseconds)
  refuses('no time', value(null, 'a'), nanoseconds)
  refuses('a line that is none', value(ns, 5), 'streams[1].values[1][1] must be a string')
  refuses('metadata that is none', value(ns, 'a', []), 'streams[1].values[1][2] must be an object')
  refuses(
    'metadata that is no text',
    value(ns, 'a', { m: 1 }),
    'streams[1].values[1][2].m must be a string',
  )
  refuses(
    'labels of the first form that are none',
    ofStream({ labels: '{a=b}' }),
    'streams[1].labels are no labels: a string in quotes is expected at character 3 of "{a=b}"',
  )
  refuses(
    'a time of the first form that is none',
    ofStream({ entries: [{ ts: 'soon', line: 'a' }] }),
    'streams[1].entries[0].ts "soon" is no time: write ISO 8601, or seconds, ms, µs or ns since 1970',
  )
})

describe('protobuf', () => {
  const refuses = (name: string, bytes: Uint8Array, message: string) =>
    it(`refuses ${name}`, () => {
      const error = { code: 'bad_protobuf', message }
      expect(decodeLokiProtobuf(bytes, ARRIVAL)).toMatchObject({ ok: false, error })
    })
  const hex = (digits: string) => Uint8Array.from(Buffer.from(digits.replaceAll(' ', ''), 'hex'))

  it('takes labels behind the entries they belong to', () => {
    const bytes = hex('0a 10 12 03 12 01 61 0a 09 7b 6a 6f 62 3d 22 62 22 7d')
    const [record] = views(decodeLokiProtobuf(bytes, ARRIVAL))
    expect(record).toMatchObject({ message: 'a', service: 'b' })
  })
  refuses('nothing', hex(''), 'the body holds no streams: at least one is needed')
  refuses('a length past the end', hex('0a 7f 12'), 'length 127 at byte 1 runs past 3')
  refuses('a stream cut off', hex('0a 05 12 09 12'), 'length 5 at byte 1 runs past 5')
  refuses(
    'an entry past its stream',
    hex('0a 04 12 09 12 00 00 00 00 00 00 00 00'),
    'length 9 at byte 3 runs past 6',
  )
  refuses(
    'labels that are none, by their stream',
    encode({ streams: [{ labels: '{a="b"}' }, { labels: '{a="b"' }] }),
    'the labels of stream 1 are no labels: , is expected at character 6 of "{a=\\"b\\""',
  )

  const wireTypes: Record<string, number> = { string: 2, int64: 0, int32: 0 }
  for (const [name, tags] of Object.entries(LOKI_TAGS)) {
    it(`reads ${name} by Loki's numbers`, () => {
      const fields = LOKI_ROOT.lookupType(name).resolveAll() as protobuf.Type
      const read = fields.fieldsArray.filter((field) => field.name in tags)
      const expected = read.map((field) => [
        field.name,
        (field.id << 3) | (field.resolvedType ? 2 : wireTypes[field.type]!),
      ])
      expect(tags).toEqual(Object.fromEntries(expected))
    })
  }
})

describe('bounds', () => {
  it('a line is cut, and says so', () => {
    const line = 'x'.repeat(MESSAGE_BYTES_MAX + 1)
    const [record] = push([{ labels: {}, entries: [{ time: TIME, line }] }])
    expect(record!.message.length).toBe(MESSAGE_BYTES_MAX)
    expect(record!.metadata.cut).toEqual([{ field: 'message', bytes: line.length }])
  })

  it('labels and metadata are cut like attributes of any door', () => {
    const long = 'y'.repeat(100_000)
    const record = pushOne({ a: long, app: 'z'.repeat(COLUMN_BYTES_MAX + 1) }, { b: long })
    expect(record.service!.length).toBe(COLUMN_BYTES_MAX)
    expect(record.metadata.cut!.map(({ field }) => field).sort()).toEqual([
      'attributes.b',
      'resource',
      'service',
    ])
  })

  it('more records than a request may have', () => {
    const values = Array.from({ length: REQUEST_RECORDS_MAX + 1 }, () => ({}))
    const bytes = encode({ streams: [{ labels: '{}', entries: values }] })
    expect(bytes.length).toBeLessThan(REQUEST_BYTES_MAX)
    const error = { code: 'too_large', details: { max: REQUEST_RECORDS_MAX } }
    expect(decodeLokiProtobuf(bytes, ARRIVAL)).toMatchObject({ ok: false, error })
  })
})
