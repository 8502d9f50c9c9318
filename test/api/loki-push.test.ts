// Loki's push over HTTP in the real runtime: what is pushed is found by GET /logs, and failures are
// plain text with a status that shippers understand.

import { exports } from 'cloudflare:workers'
import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import { beforeAll, describe, expect, it } from 'vitest'
import { createApp } from '../../src/api/http.ts'
import { REQUEST_BYTES_MAX } from '../../src/limits.ts'
import { checkDescribed } from '../described.ts'
import {
  ADMIN_KEY,
  type App,
  dataOf,
  getLogs,
  type LogPage,
  makeApp,
  makeKey,
  messagesOf,
  postOtlp,
  request,
} from '../flow/client.ts'
import { asRow, LOKI_FILES } from '../loki-files.ts'
import { packed, varint } from '../snappy-bytes.ts'

const JSON_MEDIA = { 'content-type': 'application/json' }
const PROTOBUF = { 'content-type': 'application/x-protobuf' }
const PATH = '/loki/api/v1/push'
const TIME = 1720000000123456789n

function push(
  key: string,
  body: BodyInit,
  headers: Record<string, string> = JSON_MEDIA,
  path = PATH,
) {
  return request(path, { method: 'POST', headers: { 'X-API-Key': key, ...headers }, body })
}

const bodyOf = (...messages: string[]) =>
  JSON.stringify({
    streams: [
      {
        stream: { app: 'shop' },
        values: messages.map((message, i) => [String(TIME + BigInt(i)), message]),
      },
    ],
  })
/** The same in protobuf, by hand: protobufjs makes code, which this runtime refuses. */
const field = (tag: number, bytes: number[]) => [tag, ...varint(bytes.length), ...bytes]
const codes = (text: string) => [...new TextEncoder().encode(text)]
const protobufOf = (message: string) => {
  const seconds = [0x08, ...varint(Number(TIME / 1_000_000_000n))]
  const nanos = [0x10, ...varint(Number(TIME % 1_000_000_000n))]
  const entry = [...field(0x0a, [...seconds, ...nanos]), ...field(0x12, codes(message))]
  return Uint8Array.from(
    field(0x0a, [...field(0x0a, codes('{app="shop"}')), ...field(0x12, entry)]),
  )
}

async function expectText(response: Response, status: number, text: string | RegExp) {
  expect(response.status).toBe(status)
  expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8')
  const body = await response.text()
  if (typeof text === 'string') expect(body.trimEnd()).toBe(text)
  else expect(body).toMatch(text)
}

describe('the bodies of shippers', () => {
  for (const { file, sender, contentType, body, records } of LOKI_FILES) {
    it(`${sender}: ${file}`, async () => {
      const app = await makeApp(`shipper-${file.replace(/\W/g, '-')}`)
      const response = await push(app.ingest, body, { 'content-type': contentType })
      expect([response.status, await response.text()]).toEqual([204, ''])
      const { logs } = await dataOf<LogPage>(await getLogs(app.read, 'since=2024-07-01'))
      const found = records.map((row) => {
        const record = logs.find(({ time_unix_nano }) => time_unix_nano === row.time_unix_nano)
        return asRow(row, record as unknown as Parameters<typeof asRow>[1])
      })
      expect(logs.length).toBe(records.length)
      expect(found).toEqual(records)
    })
  }
})

describe('a coding', () => {
  const takes = (name: string, body: BodyInit, headers: Record<string, string>) =>
    it(`takes ${name}`, async () => {
      const app = await makeApp(`coding-${name.replace(/\W+/g, '-').toLowerCase()}`)
      expect((await push(app.ingest, body, headers)).status).toBe(204)
      expect(await messagesOf(app.read, 'since=2024-07-01')).toEqual(['a'])
    })
  const json = bodyOf('a')
  const coded = (coding: string) => ({ ...JSON_MEDIA, 'content-encoding': coding })

  takes('JSON', json, JSON_MEDIA)
  takes('JSON with a charset', json, { 'content-type': 'Application/JSON; charset=utf-8' })
  takes('JSON in gzip', gzipSync(json), coded('gzip'))
  takes('JSON in deflate without a frame, as Go makes it', deflateRawSync(json), coded('deflate'))
  takes('JSON in deflate with one', deflateSync(json), coded('deflate'))
  takes('JSON in snappy', packed(new TextEncoder().encode(json)), coded('snappy'))
  takes('protobuf', packed(protobufOf('a')), PROTOBUF)
  takes('protobuf that says it is in snappy', packed(protobufOf('a')), {
    ...PROTOBUF,
    'content-encoding': 'snappy',
  })
  takes('protobuf in gzip around snappy', gzipSync(packed(protobufOf('a'))), {
    ...PROTOBUF,
    'content-encoding': 'gzip',
  })
  takes('protobuf that does not say what it is', packed(protobufOf('a')), {})
})

describe('refusals', () => {
  let app: App
  beforeAll(async () => {
    app = await makeApp('push-refused')
  })

  const refuses = (
    name: string,
    body: BodyInit,
    headers: Record<string, string>,
    status: number,
    text: string | RegExp,
  ) =>
    it(`${name}: ${status}`, async () => {
      await expectText(await push(app.ingest, body, headers), status, text)
    })

  refuses('half a body', '{"streams":[', JSON_MEDIA, 400, 'JSON ends too early at byte 12')
  refuses('no body', '', JSON_MEDIA, 400, 'JSON ends too early at byte 0')
  refuses('no streams', '{}', JSON_MEDIA, 400, 'the body holds no streams: at least one is needed')
  refuses('what is no snappy', 'abc', PROTOBUF, 400, /^the body is not valid snappy: /)
  refuses(
    'a bomb by its header',
    Uint8Array.from(varint(2 ** 31)),
    PROTOBUF,
    413,
    /2147483648 bytes/,
  )
  refuses(
    'a bomb in gzip',
    gzipSync(new Uint8Array(REQUEST_BYTES_MAX + 1)),
    { ...JSON_MEDIA, 'content-encoding': 'gzip' },
    413,
    /decompressed body is larger than/,
  )
  refuses(
    'another media type',
    bodyOf('a'),
    { 'content-type': 'text/plain' },
    415,
    'content-type must be application/json or application/x-protobuf, not "text/plain"',
  )
  refuses(
    'another coding',
    bodyOf('a'),
    { ...JSON_MEDIA, 'content-encoding': 'br' },
    415,
    /^content-encoding "br" is not supported; send identity, .*snappy$/,
  )
  refuses('an unknown key', bodyOf('a'), { 'X-API-Key': 'x' }, 401, /the key is unknown/)

  it('no key: 401, and how a key is sent', async () => {
    const response = await request(PATH, { method: 'POST', headers: JSON_MEDIA, body: bodyOf('a') })
    expect(response.headers.get('www-authenticate')).toMatch(/^Basic /)
    await expectText(response, 401, /^no key/)
  })

  it('a key that may only read: 403', async () => {
    await expectText(await push(app.read, bodyOf('a')), 403, /needs a key with role ingest/)
  })

  it('another tenant: 403', async () => {
    const headers = { ...JSON_MEDIA, 'X-Scope-OrgID': 'another' }
    await expectText(
      await push(app.ingest, bodyOf('a'), headers),
      403,
      /X-Scope-OrgID is "another"/,
    )
  })

  it('another method: 405', async () => {
    const { default: worker } = exports as unknown as { default: Fetcher }
    for (const path of [PATH, '/api/prom/push']) {
      const response = await worker.fetch(`http://logs.test${path}`, { method: 'GET' })
      expect(response.headers.get('allow')).toBe('POST')
      await expectText(response, 405, 'GET is not allowed here')
    }
  })

  it('a deployment without its secret: 503', async () => {
    for (const path of [PATH, '/api/prom/push']) {
      const sent = new Request(`http://logs.test${path}`, { method: 'POST', body: bodyOf('a') })
      const response = await createApp().fetch(sent, { ADMIN_KEY: '' })
      await checkDescribed('POST', sent.url, response)
      expect(response.headers.get('retry-after')).toBe('1')
      await expectText(response, 503, /has no ADMIN_KEY/)
    }
  })

  it('stored nothing', async () => {
    expect(await messagesOf(app.read, 'since=2024-07-01')).toEqual([])
  })

  it('entries whose times are none: 400, and the others are stored', async () => {
    const own = await makeApp('push-some-refused')
    const values = [
      ['1720000000', 'seconds'],
      [String(TIME), 'kept'],
      ['-1', 'before'],
    ]
    const response = await push(own.ingest, JSON.stringify({ streams: [{ values }] }))
    await expectText(
      response,
      400,
      '2 of 3 entries refused, the others are stored: ' +
        'entry 0, timestamp 1720000000 is too few digits for nanoseconds since 1970; ' +
        'entry 2, timestamp is before 1970',
    )
    expect(await messagesOf(own.read, 'since=2024-07-01')).toEqual(['kept'])
    const alone = JSON.stringify({ streams: [{ values: [['123', 'alone']] }] })
    await expectText(
      await push(own.ingest, alone),
      400,
      '1 of 1 entries refused: entry 0, timestamp 123 is too few digits for nanoseconds since 1970',
    )
  })
})

describe('who sends', () => {
  it('by Basic, as shippers do, with any name and its tenant', async () => {
    const app = await makeApp('push-basic')
    const headers = {
      ...JSON_MEDIA,
      'X-Scope-OrgID': app.appId,
      authorization: `Basic ${btoa(`anyone:${app.ingest}`)}`,
    }
    const response = await request(PATH, { method: 'POST', headers, body: bodyOf('a') })
    expect(response.status).toBe(204)
    expect(await messagesOf(app.read, 'since=2024-07-01')).toEqual(['a'])
  })

  it('with ADMIN_KEY the app is the tenant of a header', async () => {
    const app = await makeApp('push-owner')
    const headers = { ...JSON_MEDIA, 'X-App-Id': app.appId }
    expect((await push(ADMIN_KEY, bodyOf('a'), headers)).status).toBe(204)
    expect(await messagesOf(app.read, 'since=2024-07-01')).toEqual(['a'])
  })

  it('a key of one workspace writes to it, whatever the labels say', async () => {
    const app = await makeApp('push-workspace')
    const key = await makeKey(app.appId, { role: 'ingest', workspace_id: 'w1' })
    const streams = [{ stream: { workspace_id: 'w2' }, values: [[String(TIME), 'a']] }]
    expect((await push(key, JSON.stringify({ streams }))).status).toBe(204)
    expect(await messagesOf(app.read, 'since=2024-07-01&workspace_id=w1')).toEqual(['a'])
    expect(await messagesOf(app.read, 'since=2024-07-01&workspace_id=w2')).toEqual([])
  })
})

describe('the same push twice', () => {
  const COARSE = JSON.stringify({ streams: [{ values: [['1720000000123000000', 'a']] }] })
  const UNTIMED = JSON.stringify({
    streams: [
      {
        values: [
          ['0', 'a'],
          ['0', 'b'],
        ],
      },
    ],
  })
  const stores = (
    name: string,
    body: BodyInit,
    stored: number,
    headers: Record<string, string> = JSON_MEDIA,
  ) =>
    it(`${name}: ${stored} stored`, async () => {
      const app = await makeApp(`push-twice-${name.replace(/\W+/g, '-')}`)
      for (let i = 0; i < 2; i++) expect((await push(app.ingest, body, headers)).status).toBe(204)
      expect((await messagesOf(app.read, 'since=2024-07-01')).length).toBe(stored)
    })

  stores('to the nanosecond', bodyOf('a'), 1)
  stores('two entries', bodyOf('a', 'b'), 2)
  stores('protobuf', packed(protobufOf('a')), 1, PROTOBUF)
  stores('one to the millisecond', COARSE, 2)
  stores('without times', UNTIMED, 4)
  stores('one to the millisecond, with a key', COARSE, 1, { ...JSON_MEDIA, 'Idempotency-Key': 'k' })

  it('is another push in another coding, and the same in another compression', async () => {
    const app = await makeApp('push-recoded')
    const zipped = { ...JSON_MEDIA, 'content-encoding': 'gzip' }
    expect((await push(app.ingest, bodyOf('a'))).status).toBe(204)
    expect((await push(app.ingest, gzipSync(bodyOf('a')), zipped)).status).toBe(204)
    expect((await messagesOf(app.read, 'since=2024-07-01')).length).toBe(1)
    expect((await push(app.ingest, packed(protobufOf('a')), PROTOBUF)).status).toBe(204)
    expect((await messagesOf(app.read, 'since=2024-07-01')).length).toBe(2)
  })
})

describe('other paths', () => {
  it('the first form at the first path, and either form at either', async () => {
    const app = await makeApp('push-first')
    const entry = (line: string) => ({ ts: '2024-07-03T09:46:40.5Z', line })
    const first = (line: string) =>
      JSON.stringify({ streams: [{ labels: '{app="shop"}', entries: [entry(line), entry(line)] }] })
    for (const [path, body] of [
      ['/api/prom/push', first('a')],
      ['/api/prom/push', bodyOf('b')],
      [PATH, first('c')],
    ] as const) {
      expect((await push(app.ingest, body, JSON_MEDIA, path)).status).toBe(204)
    }
    const messages = await messagesOf(app.read, 'since=2024-07-01&service=shop')
    expect(messages.sort()).toEqual(['a', 'a', 'b', 'c', 'c'])
  })

  it('OTLP at the path that Loki has for it, in its own protocol', async () => {
    const app = await makeApp('otlp-at-loki')
    const records = [{ timeUnixNano: String(TIME), body: { stringValue: 'a' } }]
    const body = JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords: records }] }] })
    const headers = { 'X-API-Key': app.ingest, ...JSON_MEDIA }
    const response = await request('/otlp/v1/logs', { method: 'POST', headers, body })
    expect([response.status, await response.json()]).toEqual([200, {}])
    // One that is sent again at the other path is the same request.
    expect((await postOtlp(app.ingest, body, JSON_MEDIA)).status).toBe(200)
    expect(await messagesOf(app.read, 'since=2024-07-01')).toEqual(['a'])
    const wrong = await request('/otlp/v1/logs', { method: 'POST', headers, body: '[' })
    expect([wrong.status, await wrong.json()]).toMatchObject([400, { code: 3 }])
    const other = await request('/otlp/v1/logs', { method: 'GET' })
    expect([other.status, other.headers.get('allow')]).toEqual([405, 'POST'])
  })
})
