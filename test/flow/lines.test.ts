// POST /logs: every form it takes, as read back through GET /logs.

import { deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { dataOf, getLogs, type LogPage, makeApp, messagesOf, postLogs, request } from './client.ts'

describe('POST /logs', () => {
  const takes = (name: string, body: BodyInit, type: string, messages: string[], headers = {}) =>
    it(`takes ${name}`, async () => {
      const app = await makeApp(`takes-${name.replace(/\W+/g, '-').toLowerCase()}`)
      const sent = { 'X-API-Key': app.ingest, 'content-type': type, ...headers }
      const response = await request('/logs', { method: 'POST', headers: sent, body })
      expect(await dataOf(response)).toEqual({ accepted: messages.length, rejected: [] })
      expect(await messagesOf(app.read, 'order=asc')).toEqual(messages)
    })

  takes('one record', '{"message":"a"}', 'application/json', ['a'])
  takes('msg for message', '{"msg":"a"}', 'application/json', ['a'])
  takes('logs in an object', '{"logs":[{"message":"a"},{"message":"b"}]}', 'application/json', [
    'a',
    'b',
  ])
  takes('an array', '[{"message":"a"},{"message":"b"}]', 'application/json', ['a', 'b'])
  takes('an empty array', '[]', 'application/json', [])
  takes('ndjson', '{"message":"a"}\n\n{"message":"b"}\r\n', 'application/x-ndjson', ['a', 'b'])
  takes('what curl calls a form', '{"message":"a"}', 'application/x-www-form-urlencoded', ['a'])
  takes('gzip', gzipSync('[{"message":"z"}]'), 'application/json', ['z'], {
    'content-encoding': 'gzip',
  })

  const frames = Buffer.concat([
    zstdCompressSync(Buffer.from('{"message":"a"}\n')),
    // A skippable frame (RFC 8878 3.1.2): four bytes of no concern.
    Uint8Array.of(0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4),
    zstdCompressSync(Buffer.from('{"message":"b"}\n')),
  ])
  const zstd = { 'content-encoding': 'zstd' }
  takes('zstd frame after frame', frames, 'application/x-ndjson', ['a', 'b'], zstd)
  const members = Buffer.concat([gzipSync('{"message":"a"}\n'), gzipSync('{"message":"b"}\n')])
  takes('gzip member after member', members, 'application/x-ndjson', ['a', 'b'], {
    'content-encoding': 'gzip',
  })

  it('maps members to columns and attributes', async () => {
    const app = await makeApp('members')
    await postLogs(
      app.ingest,
      {
        level: 'PANIC',
        message: 'm',
        time: '2024-07-03T09:46:40.123456789Z',
        service: 'api',
        environment: 'test',
        user_id: 7,
        trace_id: 'ABCDEF0123456789ABCDEF0123456789',
        context: { a: 1, b: { c: [true, null] } },
        metadata: { a: 2 },
        attributes: { a: 3 },
        extra: 'x',
      },
      { 'X-Request-ID': 'req-1' },
    )
    const { logs } = await dataOf<LogPage>(await getLogs(app.read))
    expect(logs[0]).toMatchObject({
      level: 'fatal',
      time_unix_nano: '1720000000123456789',
      timestamp: 1_720_000_000_123,
      service: 'api',
      environment: 'test',
      user_id: '7',
      trace_id: 'abcdef0123456789abcdef0123456789',
      request_id: 'req-1',
      metadata: { attributes: { a: 3, b: { c: [true, null] }, extra: 'x' } },
    })
  })

  it('a request id the collector made is nobody’s request id', async () => {
    const app = await makeApp('made-id')
    const response = await postLogs(app.ingest, { message: 'm' })
    expect(response.headers.get('X-Request-ID')).toMatch(/\S/)
    const { logs } = await dataOf<LogPage>(await getLogs(app.read))
    expect(logs[0]?.request_id).toBeNull()
  })

  it('says which records it could not store, and stores the others', async () => {
    const app = await makeApp('some-refused')
    const response = await postLogs(app.ingest, [
      { message: 'a' },
      { message: 'b', timestamp: 'soon' },
      'text',
      { message: 'c', app_id: 'another' },
      { message: 'd', app_id: 'some-refused' },
    ])
    const { accepted, rejected } = await dataOf<{
      accepted: number
      rejected: { index: number }[]
    }>(response)
    expect([accepted, rejected.map(({ index }) => index)]).toEqual([2, [1, 2, 3]])
    expect(await messagesOf(app.read, 'order=asc')).toEqual(['a', 'd'])
  })

  it('keeps every digit of an integer', async () => {
    const app = await makeApp('digits')
    const body = '{"message":"m","n":9007199254740993,"ok":9007199254740991}'
    await request('/logs', { method: 'POST', headers: { 'X-API-Key': app.ingest }, body })
    const { logs } = await dataOf<LogPage>(await getLogs(app.read))
    expect(logs[0]?.metadata).toMatchObject({
      attributes: { n: '9007199254740993', ok: 9007199254740991 },
    })
  })

  it('stores a repeated request once when it has an Idempotency-Key, twice without', async () => {
    const app = await makeApp('idempotent')
    for (let i = 0; i < 3; i++) {
      await postLogs(app.ingest, { message: 'once' }, { 'Idempotency-Key': 'k1' })
      await postLogs(app.ingest, { message: 'each' })
    }
    expect((await messagesOf(app.read)).sort()).toEqual(['each', 'each', 'each', 'once'])
  })
})

describe('refusals', () => {
  const refuses = (
    name: string,
    init: { body?: BodyInit; type?: string; headers?: object },
    status: number,
  ) =>
    it(`${name}: ${status}`, async () => {
      const app = await makeApp(`refused-${name.replace(/\W+/g, '-').toLowerCase()}`)
      const headers = {
        'X-API-Key': app.ingest,
        'content-type': init.type ?? 'application/json',
        ...init.headers,
      }
      const response = await request('/logs', {
        method: 'POST',
        headers,
        body: init.body ?? '{"message":"m"}',
      })
      expect(response.status).toBe(status)
      expect(await response.json()).toMatchObject({ ok: false })
      expect(await messagesOf(app.read)).toEqual([])
    })

  refuses('no JSON', { body: '{"message":' }, 400)
  refuses('a record that is text', { body: '"m"' }, 400)
  refuses('every record refused', { body: '[1,2]' }, 400)
  refuses('another app', { body: '{"message":"m","app_id":"another"}' }, 400)
  refuses('a media type we do not know', { type: 'application/xml' }, 415)
  refuses('a coding we do not know', { headers: { 'content-encoding': 'br' } }, 415)
  refuses('a body that is not its coding', { headers: { 'content-encoding': 'gzip' } }, 400)
  const record = Buffer.from('{"message":"m"}')
  const garbage = Buffer.from('garbage!')
  for (const [coding, body] of [
    ['zstd', zstdCompressSync(record)],
    ['deflate', deflateSync(record)],
    ['gzip', gzipSync(record)],
  ] as const) {
    const headers = { 'content-encoding': coding }
    refuses(`${coding} and more`, { body: Buffer.concat([body, garbage]), headers }, 400)
    refuses(`${coding} cut off`, { body: body.subarray(0, body.length - 5), headers }, 400)
    refuses(`${coding} of nothing`, { body: new Uint8Array(), headers }, 400)
  }
  for (const coding of ['constructor', '__proto__', 'toString']) {
    refuses(`coding ${coding}`, { headers: { 'content-encoding': coding } }, 415)
  }
  refuses('brackets without end', { body: '['.repeat(200_000) }, 400)
  refuses('a million values', { body: `[${'{},'.repeat(1_000_001)}{}]` }, 413)
  refuses(
    'a bomb',
    { body: gzipSync(new Uint8Array(64 << 20)), headers: { 'content-encoding': 'gzip' } },
    413,
  )
  refuses('too many records', { body: `[${'{"m":1},'.repeat(100_000)}{"m":1}]` }, 413)
  refuses('a long idempotency key', { headers: { 'Idempotency-Key': 'k'.repeat(129) } }, 400)
})
