// Bodies made to cost much more than their bytes: in memory, or in time. Times are not asserted, for
// a busy machine fails them; what is, is that a million of what is nothing is taken as nothing.

import { describe, expect, it } from 'vitest'
import type { Arrival } from '../../src/ingest/map.ts'
import { decodeOtlpJson } from '../../src/ingest/otlp-json.ts'
import { decodeOtlpProtobuf } from '../../src/ingest/otlp-protobuf.ts'
import { ATTRIBUTES_MAX, REQUEST_BYTES_MAX, REQUEST_KEPT_BYTES_MAX } from '../../src/limits.ts'
import type { RecordBatch } from '../../src/record.ts'
import type { Result } from '../../src/result.ts'

const ARRIVAL: Arrival = { receivedMs: 1_800_000_000_000, workspaceId: null, requestId: null }
const decode = (body: Buffer) => decodeOtlpProtobuf(body, ARRIVAL)

function varint(value: number): Buffer {
  const bytes: number[] = []
  for (let rest = value; rest > 0 || bytes.length === 0; rest >>>= 7) {
    bytes.push((rest & 127) | (rest > 127 ? 128 : 0))
  }
  return Buffer.from(bytes)
}
function field(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([tag]), varint(content.length), content])
}
const text = (content: string | Buffer) => field(0x0a, Buffer.from(content))
const keyValue = (key: string, value: Buffer) =>
  Buffer.concat([field(0x0a, Buffer.from(key)), field(0x12, value)])
const request = (...records: Buffer[]) =>
  field(0x0a, field(0x12, ...records.map((record) => field(0x12, record))))
const many = <T>(count: number, make: (i: number) => T) =>
  Array.from({ length: count }, (_, i) => make(i))
const repeated = (hex: string, bytes: number) =>
  Buffer.alloc(bytes - (bytes % (hex.length / 2)), Buffer.from(hex, 'hex'))

describe('what would take more memory than an isolate has', () => {
  const refuses = (name: string, body: () => Buffer) =>
    it(name, () => {
      const bytes = body()
      expect(bytes.length).toBeLessThanOrEqual(REQUEST_BYTES_MAX)
      const error = { code: 'too_large', details: { max: REQUEST_KEPT_BYTES_MAX } }
      expect(decode(bytes)).toMatchObject({ ok: false, error })
    })
  const array = (bytes: number) => field(0x2a, field(0x0a, text(Buffer.alloc(bytes, 1))))

  refuses('arrays of texts that are all escapes', () => {
    const attributes = many(16, (i) => field(0x32, keyValue(`k${i}`, array(10_900))))
    return request(...many(118, () => Buffer.concat(attributes)))
  })
  refuses('bodies of them', () => request(...many(400, () => field(0x2a, array(43_600)))))
  refuses('resources of them', () => {
    const value = text(Buffer.alloc(43_500, 1))
    const logs = (i: number) => {
      const resource = field(0x0a, field(0x0a, keyValue(`k${i}`, value)))
      return field(0x0a, resource, field(0x12, field(0x12)))
    }
    return Buffer.concat(many(471, logs))
  })
  refuses('a schema URL that is repeated with every event name', () => {
    const records = many(3000, (i) => field(0x12, field(0x62, Buffer.from(`e${i}`))))
    return field(0x0a, field(0x12, ...records, field(0x1a, Buffer.alloc(60_000, 120))))
  })
  refuses('two million short attributes', () => {
    const attributes = many(26, (i) =>
      field(0x32, keyValue(String.fromCharCode(97 + i), text('zz'))),
    )
    const record = field(0x12, ...attributes)
    return field(0x0a, field(0x12, Buffer.alloc(record.length * 70_000, record)))
  })
  refuses('one record that would, before it is cut to its size', () => {
    // Each as long as an attribute may be.
    return request(Buffer.concat(many(1024, (i) => field(0x32, keyValue(`k${i}`, array(10_922))))))
  })
})

describe('what there are a million of', () => {
  const takes = (name: string, records: number, run: () => Result<RecordBatch>) =>
    it(name, () => {
      const result = run()
      expect(result.ok && result.data.length).toBe(records)
    })
  const SIZE = 2_000_000
  const inside = (hex: string, ...tags: number[]) =>
    tags.reduce((body, tag) => field(tag, body), repeated(hex, SIZE))

  const resources = repeated('0a00', SIZE)
  takes('empty resources', 0, () => decode(resources))
  const urls = repeated('0a031a0178', SIZE)
  takes('resources of a schema URL', 0, () => decode(urls))
  const scopes = inside('1200', 0x0a)
  takes('empty scopes', 0, () => decode(scopes))
  const attributes = inside('3200', 0x12, 0x12, 0x0a)
  takes('empty attributes', 1, () => decode(attributes))
  const ofResource = inside('0a00', 0x0a, 0x0a)
  takes('empty attributes of a resource', 0, () => decode(ofResource))
  const json = Buffer.from(`{"resourceLogs":[${'{},'.repeat(999_989)}{}]}`)
  takes('empty resources in JSON', 0, () => decodeOtlpJson(json, ARRIVAL))
})

describe('attributes past the last that is kept', () => {
  const kept = many(ATTRIBUTES_MAX, (i) => field(0x32, keyValue(`k${i}`, text('v'))))
  const cutBytes = (value: Buffer) => {
    const more = field(0x32, keyValue('more', value))
    const result = decode(request(Buffer.concat([...kept, more])))
    if (!result.ok) throw new Error(result.error.message)
    const [{ field: name, bytes }] = JSON.parse(result.data.cut[0]!)
    expect(name).toBe('attributes')
    return bytes
  }
  const counts = (name: string, value: Buffer, bytes: number) =>
    it(name, () => expect(cutBytes(value) - cutBytes(text(''))).toBe(bytes))

  counts('a text', text('ü'), 2)
  counts('a number', Buffer.from([0x18, 1]), 8)
  counts('an array', field(0x2a, field(0x0a, text('x'))), 5)

  it('one that runs past its end still refuses the body', () => {
    const bad = Buffer.from([0x32, 2, 0x0a, 5])
    expect(decode(request(Buffer.concat([...kept, bad])))).toMatchObject({ ok: false })
  })

  it('one that is too deep still refuses the record', () => {
    let deep = text('x')
    for (let i = 0; i < 100; i++) deep = field(0x2a, field(0x0a, deep))
    const more = field(0x32, keyValue('more', deep))
    const result = decode(request(Buffer.concat([...kept, more])))
    const rejected = [{ index: 0, field: 'attributes.more' }]
    expect(result).toMatchObject({ ok: true, data: { length: 0, rejected } })
  })
})
