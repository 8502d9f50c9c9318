// Pushes made to cost much more than their bytes, and what becomes of valid ones that are damaged:
// never an exception. Times are not asserted, for a busy machine fails them.

import { describe, expect, it } from 'vitest'
import { randomOf } from '../../bench/random.ts'
import { decodeLokiJson } from '../../src/ingest/loki-json.ts'
import { decodeLokiProtobuf } from '../../src/ingest/loki-protobuf.ts'
import type { Arrival } from '../../src/ingest/map.ts'
import { uncompressSnappy } from '../../src/ingest/snappy.ts'
import { ATTRIBUTES_MAX, REQUEST_BYTES_MAX } from '../../src/limits.ts'
import { LOKI_FILES } from '../loki-files.ts'
import { encode, labelsText } from '../loki-push.ts'
import { type Element, snappyOf } from '../snappy-bytes.ts'
import { mutate } from '../wire.ts'

const ARRIVAL: Arrival = { receivedMs: 1_800_000_000_000, workspaceId: null, requestId: null }
const repeated = (hex: string, bytes: number) =>
  Buffer.alloc(bytes - (bytes % (hex.length / 2)), Buffer.from(hex, 'hex'))

/** Whether it was taken; throws only where the decoder does. */
function takes(body: Uint8Array, isJson: boolean): boolean {
  if (isJson) return decodeLokiJson(body, ARRIVAL).ok
  const plain = uncompressSnappy(body, REQUEST_BYTES_MAX)
  return plain.ok && decodeLokiProtobuf(plain.data, ARRIVAL).ok
}

describe('a valid body that is damaged', () => {
  for (const { file, body, contentType } of LOKI_FILES) {
    it(`${file}: refused or taken, and nothing thrown`, () => {
      const random = randomOf(20260101)
      const isJson = contentType.startsWith('application/json')
      expect(takes(body, isJson)).toBe(true)
      let refused = 0
      for (let i = 0; i < 2000; i++) {
        if (!takes(mutate(random, body, LOKI_FILES[i % LOKI_FILES.length]!.body), isJson)) refused++
      }
      expect(refused).toBeGreaterThan(500)
      expect(refused).toBeLessThan(2000)
    })
  }
})

describe('what there are a million of', () => {
  const decodes = (name: string, body: Uint8Array, records: number) =>
    it(name, () => {
      expect(body.length).toBeLessThanOrEqual(REQUEST_BYTES_MAX)
      const result = decodeLokiProtobuf(body, ARRIVAL)
      expect(result.ok && result.data.length).toBe(records)
    })
  const refuses = (name: string, body: Uint8Array, code: string) =>
    it(name, () => {
      expect(body.length).toBeLessThanOrEqual(REQUEST_BYTES_MAX)
      const error = { code }
      expect(decodeLokiProtobuf(body, ARRIVAL)).toMatchObject({ ok: false, error })
    })

  decodes('empty streams', repeated('0a00', REQUEST_BYTES_MAX), 0)
  decodes(
    'labels of a stream, each in place of the one before',
    streamOf(repeated('0a027b7d', 8e6)),
    0,
  )
  decodes('timestamps of an entry', streamOf(entryOf(repeated('0a00', 8e6))), 1)
  refuses('empty entries', streamOf(repeated('1200', 8e6)), 'too_large')
  refuses('entries with one letter', streamOf(repeated('1203120161', 8e6)), 'too_large')

  it('labels, of which as many are kept as a resource may have', () => {
    const labels = Object.fromEntries(Array.from({ length: 200_000 }, (_, i) => [`l${i}`, 'v']))
    const entries = [{ line: 'a' }]
    const body = encode({ streams: [{ labels: labelsText(labels), entries }] })
    const result = decodeLokiProtobuf(body, ARRIVAL)
    if (!result.ok) throw new Error(result.error.message)
    expect(Object.keys(JSON.parse(result.data.resources[0]!)).length).toBe(ATTRIBUTES_MAX)
    expect(result.data.cut[0]).toContain('"field":"resource"')
  })

  it('one label of all there is, and what is no label', () => {
    const long = 'x'.repeat(REQUEST_BYTES_MAX - 100)
    for (const labels of [
      `{a="${long}"}`,
      `{${long}="a"}`,
      `{a="${long}`,
      long,
      `{a="${'\\'.repeat(1e7)}`,
    ]) {
      const body = encode({ streams: [{ labels, entries: [{ line: 'a' }] }] })
      const result = decodeLokiProtobuf(body, ARRIVAL)
      expect(result.ok).toBe(labels.endsWith('}'))
      if (!result.ok) expect(result.error.message.length).toBeLessThan(300)
    }
  })

  it('metadata of one entry, of which as many are kept as a record may have', () => {
    const structuredMetadata = Array.from({ length: 100_000 }, (_, i) => ({
      name: `m${i}`,
      value: 'v',
    }))
    const body = encode({ streams: [{ entries: [{ line: 'a', structuredMetadata }] }] })
    const result = decodeLokiProtobuf(body, ARRIVAL)
    expect(result.ok && result.data.attributes.length).toBe(512)
    expect(result.ok && result.data.cut[0]).toContain('"field":"attributes"')
  })

  it('values of JSON', () => {
    const streams = Array.from({ length: 50_000 }, () => ({ stream: {}, values: [['1', '']] }))
    const result = decodeLokiJson(new TextEncoder().encode(JSON.stringify({ streams })), ARRIVAL)
    expect(result.ok && result.data.rejected.length).toBe(50_000)
  })
})

it('the densest snappy there is becomes what it says, or is refused by its header', () => {
  const run: Element = { offset: 1, length: 64, kind: 2 }
  const most = Math.floor(REQUEST_BYTES_MAX / 64) - 1
  const elements: Element[] = [{ literal: [97] }, ...new Array<Element>(most).fill(run)]
  const bytes = snappyOf(elements, most * 64 + 1)
  expect(bytes.length).toBeLessThan(REQUEST_BYTES_MAX / 21)
  const result = uncompressSnappy(bytes, REQUEST_BYTES_MAX)
  expect(result.ok && result.data.every((byte) => byte === 97)).toBe(true)
  expect(uncompressSnappy(bytes, REQUEST_BYTES_MAX / 2)).toMatchObject({
    ok: false,
    error: { code: 'too_large' },
  })
})

/** One stream with these fields. */
function streamOf(fields: Uint8Array): Uint8Array {
  return messageOf(0x0a, fields)
}
function entryOf(fields: Uint8Array): Uint8Array {
  return messageOf(0x12, fields)
}
function messageOf(tag: number, fields: Uint8Array): Uint8Array {
  const length: number[] = []
  for (let rest = fields.length; ; rest >>>= 7) {
    length.push((rest & 127) | (rest > 127 ? 128 : 0))
    if (rest <= 127) break
  }
  return Buffer.concat([Buffer.from([tag, ...length]), fields])
}
