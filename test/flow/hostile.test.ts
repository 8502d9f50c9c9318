// Bodies that mean harm: each is answered, below 500, and the Worker goes on serving.

import { gzipSync } from 'node:zlib'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type App, makeApp, messagesOf, postLogs, postOtlp, request } from './client.ts'

let app: App
beforeAll(async () => {
  app = await makeApp('hostile')
})
afterEach(async () => {
  const response = await request('/health')
  expect(response.status).toBe(200)
})

const varint = (value: number): number[] =>
  value > 127 ? [(value % 128) | 128, ...varint(Math.floor(value / 128))] : [value]
const field = (number: number, bytes: number[] | Uint8Array) => [
  ...varint((number << 3) | 2),
  ...varint(bytes.length),
  ...bytes,
]
/** The same for many bytes. */
function wrapped(number: number, inner: Uint8Array): Uint8Array<ArrayBuffer> {
  const head = [...varint((number << 3) | 2), ...varint(inner.length)]
  const all = new Uint8Array(head.length + inner.length)
  all.set(head)
  all.set(inner, head.length)
  return all
}
const text = (value: string) => new TextEncoder().encode(value)

describe('hostile bodies', () => {
  const answers = (
    name: string,
    type: string,
    body: () => BodyInit,
    status: number,
    headers = {},
  ) =>
    it(`${name}: ${status}`, async () => {
      const sent = { 'content-type': type, ...headers }
      const response = await postOtlp(app.ingest, body(), sent)
      const answer = new TextDecoder().decode(await response.arrayBuffer())
      expect(response.status, answer).toBe(status)
    })
  const json = 'application/json'
  const protobuf = 'application/x-protobuf'
  const gzip = { 'content-encoding': 'gzip' }

  answers(
    'a million attributes in JSON',
    json,
    () => {
      const pair = '{"key":"k","value":{"intValue":1}}'
      const pairs = Array.from({ length: 300_000 }, () => pair).join(',')
      return `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"attributes":[${pairs}]}]}]}]}`
    },
    413,
  )
  answers(
    'a million attributes in protobuf',
    protobuf,
    () => {
      // One record of a million empty attributes: 2 bytes each on the wire.
      const pairs = new Uint8Array(2_000_000).map((_, i) => (i % 2 === 0 ? 0x32 : 0))
      return gzipSync(wrapped(1, wrapped(2, wrapped(2, pairs))))
    },
    200,
    gzip,
  )
  answers(
    'as many different keys as fit',
    protobuf,
    () => {
      const records: number[][] = []
      for (let r = 0; r < 40; r++) {
        const pairs: number[] = []
        for (let i = 0; i < 1000; i++) pairs.push(...field(6, field(1, text(`key-${r}-${i}`))))
        records.push(field(2, pairs))
      }
      return Uint8Array.from(field(1, field(2, records.flat())))
    },
    200,
  )
  answers(
    'a length of 4 GiB',
    protobuf,
    () => Uint8Array.of(0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f),
    400,
  )
  answers('groups inside groups', protobuf, () => new Uint8Array(100_000).fill(0x0b), 400)
  answers('brackets inside brackets', json, () => '{"a":'.repeat(50_000), 400)
  answers('a million empty objects', json, () => `{"resourceLogs":[${'{},'.repeat(1e6)}{}]}`, 413)
  answers('a bomb', json, () => gzipSync(new Uint8Array(100 << 20)), 413, gzip)
  answers(
    'a bomb inside a bomb',
    protobuf,
    () => gzipSync(gzipSync(new Uint8Array(100 << 20))),
    400,
    gzip,
  )
  answers('21 MiB', json, () => new Uint8Array(21 << 20).fill(0x20), 413)
  answers('a megabyte of quotes', json, () => '"'.repeat(1 << 20), 400)
  answers('stacked codings', json, () => '{}', 415, { 'content-encoding': 'gzip, gzip' })

  it('says the bound in the text of a 413', async () => {
    const response = await postOtlp(app.ingest, new Uint8Array(21 << 20), { 'content-type': json })
    expect(((await response.json()) as { message: string }).message).toContain('20971520')
  })
})

describe('what a request holds', () => {
  it('twenty megabytes that do not compress are stored, whatever form the body has', async () => {
    const own = await makeApp('noise')
    const records: Uint8Array[] = []
    const noise = new Uint8Array(195_000)
    for (let i = 0; i < 100; i++) {
      for (let at = 0; at < noise.length; at += 65_000) {
        crypto.getRandomValues(noise.subarray(at, at + 65_000))
      }
      const value = wrapped(7, noise)
      records.push(wrapped(2, wrapped(5, value)))
    }
    const all = new Uint8Array(records.reduce((sum, { length }) => sum + length, 0))
    let at = 0
    for (const record of records) {
      all.set(record, at)
      at += record.length
    }
    const response = await postOtlp(own.ingest, wrapped(1, wrapped(2, all)), {
      'content-type': 'application/x-protobuf',
    })
    expect(response.status).toBe(200)
    expect((await messagesOf(own.read, 'limit=1000')).length).toBe(100)
  }, 60_000)

  it('a retry of a batch with a refused record is stored once', async () => {
    const own = await makeApp('refused-retry')
    const time = Uint8Array.of(0x09, 0, 0, 0x40, 0x1a, 0x3a, 0x7e, 0xde, 0x17)
    let deep: Uint8Array = Uint8Array.of(0x18, 1)
    for (let i = 0; i < 120; i++) deep = wrapped(5, wrapped(1, deep))
    const good = wrapped(2, Uint8Array.from([...time, ...field(5, field(1, text('good')))]))
    const bad = wrapped(2, Uint8Array.from([...time, ...wrapped(5, deep)]))
    const body = wrapped(1, wrapped(2, Uint8Array.from([...good, ...bad])))
    for (let i = 0; i < 2; i++) {
      const response = await postOtlp(own.ingest, body, {
        'content-type': 'application/x-protobuf',
      })
      expect(response.status).toBe(200)
      expect((await response.arrayBuffer()).byteLength).toBeGreaterThan(0)
    }
    expect(await messagesOf(own.read)).toEqual(['good'])
  })
})

describe('oversize records are cut and marked', () => {
  it('message, attribute, key and depth', async () => {
    const own = await makeApp('cut')
    const deep = (levels: number): unknown => (levels === 0 ? 'x' : [deep(levels - 1)])
    await postLogs(own.ingest, {
      message: 'm'.repeat(300_000),
      big: 'é'.repeat(40_000),
      deep: deep(40),
      ['k'.repeat(600)]: 1,
    })
    const response = await request('/logs', { headers: { 'X-API-Key': own.read } })
    const { data } = (await response.json()) as {
      data: {
        logs: {
          message: string
          metadata: { attributes: Record<string, unknown>; cut: { field: string; bytes: number }[] }
        }[]
      }
    }
    const { message, metadata } = data.logs[0]!
    expect(message.length).toBe(256 * 1024)
    expect((metadata.attributes.big as string).length).toBe(32 * 1024)
    expect(metadata.attributes).toHaveProperty('k'.repeat(512))
    const fields = metadata.cut.map(({ field: name }) => name)
    expect(fields).toEqual(
      expect.arrayContaining([
        'message',
        'attributes.big',
        'attributes.deep',
        `attributes.${'k'.repeat(512)}`,
      ]),
    )
    expect(metadata.cut.find(({ field: name }) => name === 'message')?.bytes).toBe(300_000)
    expect(metadata.cut.find(({ field: name }) => name === 'attributes.big')?.bytes).toBe(80_000)
  })

  it('fifty thousand records that share long resource names stay small', async () => {
    const own = await makeApp('amplified')
    const attributes = ['service.name', 'service.version', 'host.name', 'user.id'].map((key) => ({
      key,
      value: { stringValue: `${key}${'x'.repeat(60_000)}` },
    }))
    const logRecords = Array.from({ length: 50_000 }, () => ({}))
    const body = JSON.stringify({
      resourceLogs: [{ resource: { attributes }, scopeLogs: [{ logRecords }] }],
    })
    const response = await postOtlp(own.ingest, body, { 'content-type': 'application/json' })
    expect(response.status).toBe(200)
    const first = await request('/logs?limit=5', { headers: { 'X-API-Key': own.read } })
    expect(first.status).toBe(200)
    expect((await messagesOf(own.read, 'limit=1000&until=2000-01-01')).length).toBe(0)
  }, 20_000)
})
