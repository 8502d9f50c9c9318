import { describe, expect, it } from 'vitest'
import { decodeLines, decodeRecords } from '../../src/ingest/lines.ts'
import type { Arrival } from '../../src/ingest/map.ts'
import { ATTRIBUTE_COLUMNS_MAX, ATTRIBUTES_MAX, REQUEST_RECORDS_MAX } from '../../src/limits.ts'
import { type RecordView, recordView } from '../../src/match/view.ts'
import type { RecordBatch } from '../../src/record.ts'
import type { Result } from '../../src/result.ts'

const RECEIVED_MS = 1_800_000_000_000
const ARRIVAL: Arrival = { receivedMs: RECEIVED_MS, workspaceId: null, requestId: null }
const bytesOf = (value: unknown) =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value))

function views(result: Result<RecordBatch>): RecordView[] {
  if (!result.ok) throw new Error(result.error.message)
  return Array.from({ length: result.data.length }, (_, i) => recordView(result.data, i, 0, i))
}

const decode = (value: unknown, arrival = ARRIVAL) =>
  decodeLines(bytesOf(value), 'json', 'shop', arrival)
const messages = (result: Result<RecordBatch>) => views(result).map(({ message }) => message)

/** The one record a body makes has at least these members. */
const yields = (name: string, record: unknown, expected: Record<string, unknown>) =>
  it(name, () => {
    const found = views(decode(record))
    expect(found).toHaveLength(1)
    expect(found[0]).toMatchObject(expected)
  })

/** The record is refused, and the one after it stored. */
const rejects = (name: string, record: unknown, field: string, message: string) =>
  it(name, () => {
    const result = decode([record, { message: 'next' }])
    expect(messages(result)).toEqual(['next'])
    const rejected = [{ index: 0, field, message: expect.stringContaining(message) }]
    expect(result).toMatchObject({ data: { rejected } })
  })

describe('the forms of a body', () => {
  const holds = (name: string, body: string, ...expected: string[]) =>
    it(name, () => expect(messages(decode(body))).toEqual(expected))
  const refuses = (name: string, body: string, code: string, message: string) =>
    it(name, () => {
      const error = { code, message: expect.stringContaining(message) }
      expect(decode(body)).toMatchObject({ ok: false, error })
    })

  holds('one record', '{"message":"a"}', 'a')
  holds('an array', '[{"message":"a"},{"message":"b"}]', 'a', 'b')
  holds('logs', '{"logs":[{"message":"a"},{"message":"b"}]}', 'a', 'b')
  holds('logs with the app of the key', '{"app_id":"shop","logs":[{"message":"a"}]}', 'a')
  holds('no records', '[]')
  holds('a record with a member logs that is no array', '{"message":"a","logs":3}', 'a')
  refuses('a member beside logs', '{"logs":[],"level":"x","a":1}', 'bad_request', 'level, a')
  refuses('logs that is no array', '{"logs":{}}', 'bad_request', '"logs" must be an array')
  refuses('another app beside logs', '{"app_id":"x","logs":[]}', 'forbidden', 'app_id')
  refuses('a number', '5', 'bad_json', 'must be an object')
  refuses('null', 'null', 'bad_json', 'must be an object')
  refuses('no JSON', '{"a"', 'bad_json', 'ends too early at byte 4')

  it('NDJSON: blank lines are skipped, bad ones refused by their index', () => {
    const body = '{"message":"a"}\r\n\n  \n{bad\n[1]\n{"message":"b"}'
    const result = decodeLines(bytesOf(body), 'ndjson', 'shop', ARRIVAL)
    expect(messages(result)).toEqual(['a', 'b'])
    const rejected = [
      { index: 1, field: 'line', message: 'not JSON at byte 1' },
      { index: 2, field: '', message: 'a record must be an object' },
    ]
    expect(result).toMatchObject({ data: { rejected } })
  })

  it('too many records', () => {
    const error = { code: 'too_large', message: 'more than 100000 records in one request' }
    const many = new Array(REQUEST_RECORDS_MAX + 1).fill({ message: 'a' })
    expect(decodeRecords(many, 'shop', ARRIVAL)).toMatchObject({ ok: false, error })
    const lines = bytesOf('{"a":1}\n'.repeat(REQUEST_RECORDS_MAX + 1))
    expect(decodeLines(lines, 'ndjson', 'shop', ARRIVAL)).toMatchObject({ ok: false, error })
  })
})

describe('a record with more members than are kept', () => {
  const many = Object.fromEntries(
    Array.from({ length: ATTRIBUTES_MAX + 2 }, (_, i) => [`k${i}`, 'v']),
  )

  it('counts the others, and lets them fill their columns', () => {
    const [record] = views(decode({ ...many, 'user.id': 'u' }))
    expect(Object.keys(record!.metadata.attributes!)).toEqual(
      Object.keys(many).slice(0, ATTRIBUTES_MAX),
    )
    const sent = Object.keys(many).join('').length + Object.keys(many).length + 'user.idu'.length
    // What found no column counts as the JSON text it is kept as.
    const bytes = sent + 2 * (ATTRIBUTES_MAX - ATTRIBUTE_COLUMNS_MAX)
    expect(record!.metadata.cut).toEqual([{ field: 'attributes', bytes }])
    expect(record!.user_id).toBe('u')
  })

  it('takes the last value of one that came before', () => {
    const [record] = views(decode({ context: many, k0: 'w' }))
    expect(record!.metadata.attributes!.k0).toBe('w')
  })
})

describe('the level', () => {
  const is = (level: unknown, expected: string, text: string | null, more = {}) =>
    yields(
      `${JSON.stringify({ level, ...more })}`,
      { level, ...more },
      {
        level: expected,
        severity_text: text,
      },
    )

  is('error', 'error', 'error')
  is('WARNING', 'warn', 'WARNING')
  is('Silly', 'trace', 'Silly')
  is('odd', 'info', 'odd')
  is(10, 'trace', null)
  is(30, 'info', null)
  is(60, 'fatal', null)
  is('50', 'error', null)
  // Texts that Number would read, and pino never wrote.
  for (const text of ['0x1e', '1e1', ' 30', '30.0', '+30', '030']) is(text, 'info', text)
  is(35, 'info', '35')
  is(undefined, 'warn', 'Warn', { severity_text: 'Warn' })
  is('debug', 'error', 'debug', { severity_number: 17 })
  is('debug', 'debug', 'odd', { severity_number: 0, severity_text: 'odd' })
  rejects('an object', { level: {} }, 'level', 'must be one of')
  rejects('a severity number that is none', { severity_number: 1.5 }, 'severity_number', 'integer')
  rejects('a severity text that is none', { severity_text: 5 }, 'severity_text', 'string')
})

describe('the time', () => {
  const is = (name: string, record: object, nano: string) =>
    yields(name, record, { time_unix_nano: nano, timestamp: Number(nano.slice(0, -6)) })

  is('none', { message: 'a' }, `${RECEIVED_MS}000000`)
  is('ISO 8601', { timestamp: '2024-07-03T09:46:40.123456789Z' }, '1720000000123456789')
  is('seconds', { time: 1720000000 }, '1720000000000000000')
  is('null, and time', { timestamp: null, time: 1720000000123 }, '1720000000123000000')
  it('nanoseconds in JSON keep every digit', () => {
    const [record] = views(decode('{"time":1720000000123456789}'))
    expect(record?.time_unix_nano).toBe('1720000000123456789')
  })
  yields(
    'time beside timestamp stays an attribute',
    { timestamp: 1720000000, time: 5 },
    {
      metadata: { attributes: { time: 5 } },
    },
  )
  rejects('a bad one', { timestamp: 'soon' }, 'timestamp', '"soon" is no time')
  rejects('an impossible date', { time: '2026-02-30' }, 'time', 'does not exist')
  rejects('a negative one', { time: -5 }, 'time', 'before 1970')
  rejects('an object', { time: {} }, 'time', 'must be a text or a number')
  rejects('one past 2^63 ns', { time: '2300-01-01' }, 'time', 'after 2262')
})

describe('the message', () => {
  const is = (name: string, record: object, message: string, body?: unknown) =>
    it(name, () => {
      const [view] = views(decode(record))
      expect(view?.message).toBe(message)
      expect(view?.metadata.body).toEqual(body)
    })

  is('message', { message: 'a' }, 'a')
  is('msg', { msg: 'a' }, 'a')
  is('a number', { message: 5 }, '5', 5)
  is('an object', { message: { a: 1 } }, '{"a":1}', { a: 1 })
  is('an object with a message', { message: { msg: 'm', a: 1 } }, 'm', { msg: 'm', a: 1 })
  is('an exception', { 'exception.type': 'E', 'exception.message': 'x' }, 'E: x')
  is('none', { a: 1 }, '')
  yields(
    'msg beside message stays an attribute',
    { message: 'a', msg: 'b' },
    {
      metadata: { attributes: { msg: 'b' } },
    },
  )
})

describe('columns and attributes', () => {
  yields(
    'columns by name, scalars as text',
    { service: 'api', user_id: 5, version: true },
    {
      service: 'api',
      user_id: '5',
      version: 'true',
      metadata: {},
    },
  )
  yields(
    'a valid id in lower case',
    { trace_id: '5B8EFFF798038103D269B633813FC60C' },
    {
      trace_id: '5b8efff798038103d269b633813fc60c',
    },
  )
  yields(
    'an id that is none is kept',
    { trace_id: 'abc', span_id: '0'.repeat(16) },
    {
      trace_id: null,
      span_id: null,
      metadata: { attributes: { trace_id: 'abc', span_id: '0'.repeat(16) } },
    },
  )
  yields(
    'an object that names a column is kept',
    { service: { a: 1 } },
    {
      service: 'unknown_service',
      metadata: { attributes: { service: { a: 1 } } },
    },
  )
  yields(
    'a column before an attribute of its meaning',
    { user_id: 'a', 'user.id': 'b' },
    {
      user_id: 'a',
      metadata: { attributes: { 'user.id': 'b' } },
    },
  )
  yields(
    'an attribute fills a column',
    { 'user.id': 'b', 'code.file.path': 'x.ts', 'code.line.number': 3 },
    {
      user_id: 'b',
      source_location: 'x.ts:3',
    },
  )
  yields(
    'merged in order, later wins, maps stay maps',
    {
      a: 4,
      attributes: { a: 3, b: 3 },
      metadata: { a: 2, b: 2, c: 2 },
      context: { a: 1, b: 1, c: 1, d: { e: [1, null] } },
    },
    { metadata: { attributes: { a: 4, b: 3, c: 2, d: { e: [1, null] } } } },
  )
  yields(
    'a context that is no object is an attribute',
    { context: 'x' },
    {
      metadata: { attributes: { context: 'x' } },
    },
  )
  yields(
    'null is left out',
    { environment: null, x: null, message: 'a' },
    {
      environment: null,
      metadata: {},
    },
  )
  yields(
    'a half of a surrogate pair',
    { message: 'a\ud800', 'k\udc00': { x: '\ud800' } },
    {
      message: 'a\ufffd',
      metadata: { attributes: { 'k\ufffd': { x: '\ufffd' } } },
    },
  )
  it('__proto__ is a key like others', () => {
    const [record] = views(
      decode('{"__proto__":{"x":1},"context":{"__proto__":2,"constructor":3}}'),
    )
    expect(JSON.stringify(record?.metadata.attributes)).toBe(
      '{"__proto__":{"x":1},"constructor":3}',
    )
  })
  it('integers beyond 2^53 are texts', () => {
    const [record] = views(decode('{"n":9223372036854775807}'))
    expect(record?.metadata.attributes).toEqual({ n: '9223372036854775807' })
  })

  rejects('another app', { app_id: 'x', message: 'a' }, 'app_id', "is not the key's app")
  rejects('an empty object', {}, '', 'the record is empty')
  rejects('a number', 5, '', 'a record must be an object')
  rejects('an array', [], '', 'a record must be an object')
})

describe('what the door knows', () => {
  const arrival = { receivedMs: RECEIVED_MS, workspaceId: 'ws', requestId: 'req' }
  it('fills a request id that is not there, and overrides any workspace', () => {
    const body = [{ workspace_id: 'x' }, { request_id: 'own' }, { 'request.id': 'attribute' }]
    const found = views(decode(body, arrival))
    expect(found.map((record) => record.request_id)).toEqual(['req', 'own', 'attribute'])
    expect(found.map((record) => record.workspace_id)).toEqual(['ws', 'ws', 'ws'])
  })
})

describe('values of an RPC call', () => {
  const attribute = (name: string, value: unknown, expected: unknown) =>
    it(name, () => {
      const [record] = views(decodeRecords([{ message: 'm', x: value }], 'shop', ARRIVAL))
      expect(record?.metadata.attributes?.x).toEqual(expected)
    })

  attribute('a date', new Date(0), '1970-01-01T00:00:00.000Z')
  attribute('a big integer', 2n ** 70n, '1180591620717411303424')
  attribute('NaN', Number.NaN, 'NaN')
  attribute('bytes', Uint8Array.of(0, 255), 'AP8=')
  attribute('a map', new Map([['a', new Set([1, undefined])]]), { a: [1, null] })
  attribute('infinity inside', [Number.POSITIVE_INFINITY], ['Infinity'])
  it('an error', () => {
    const error = new TypeError('bad', { cause: 'why' })
    const [record] = views(decodeRecords([{ err: error }], 'shop', ARRIVAL))
    const shown = { name: 'TypeError', message: 'bad', cause: 'why' }
    expect(record?.metadata.attributes?.err).toMatchObject(shown)
  })
  it('an object that holds itself ends', () => {
    const loop: Record<string, unknown> = { a: 1 }
    loop.self = loop
    const [record] = views(decodeRecords([{ message: 'm', loop }], 'shop', ARRIVAL))
    expect(record?.metadata.cut?.[0]?.field).toBe('attributes.loop')
  })
})
