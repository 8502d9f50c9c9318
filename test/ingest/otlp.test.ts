// What the vectors do not reach: bounds and cutting, depth, precedence, the forms of JSON, the
// lies of protobuf. Most cases are JSON, which is readable; the fuzz tests hold both to each other.

import { describe, expect, it } from 'vitest'
import type { Arrival } from '../../src/ingest/map.ts'
import { decodeOtlpJson } from '../../src/ingest/otlp-json.ts'
import { decodeOtlpProtobuf } from '../../src/ingest/otlp-protobuf.ts'
import {
  ATTRIBUTE_BYTES_MAX,
  ATTRIBUTE_COLUMNS_MAX,
  ATTRIBUTES_MAX,
  COLUMN_BYTES_MAX,
  CUT_ENTRIES_MAX,
  MESSAGE_BYTES_MAX,
  RECORD_BYTES_MAX,
  REQUEST_RECORDS_MAX,
} from '../../src/limits.ts'
import { type RecordView, recordView } from '../../src/match/view.ts'
import type { RecordBatch } from '../../src/record.ts'
import type { Result } from '../../src/result.ts'

const ARRIVAL: Arrival = { receivedMs: 1_800_000_000_000, workspaceId: null, requestId: null }
const bytesOf = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))

function views(result: Result<RecordBatch>): RecordView[] {
  if (!result.ok) throw new Error(result.error.message)
  return Array.from({ length: result.data.length }, (_, i) => recordView(result.data, i, 0, i))
}

type Attributes = Record<string, object>
const pairs = (attributes: Attributes) =>
  Object.entries(attributes).map(([key, value]) => ({ key, value }))
const text = (stringValue: string) => ({ stringValue })

/** The records as they come back, all in one resource and scope. */
function send(records: object[], resource: Attributes = {}, arrival = ARRIVAL): RecordView[] {
  const request = {
    resourceLogs: [
      { resource: { attributes: pairs(resource) }, scopeLogs: [{ logRecords: records }] },
    ],
  }
  return views(decodeOtlpJson(bytesOf(request), arrival))
}
const sendOne = (record: object, resource: Attributes = {}) => send([record], resource)[0]!

describe('what is over a bound', () => {
  it('a message is cut between characters', () => {
    const { message, metadata } = sendOne({ body: text(`a${'ü'.repeat(MESSAGE_BYTES_MAX)}`) })
    expect(new TextEncoder().encode(message).length).toBe(MESSAGE_BYTES_MAX - 1)
    expect(message.endsWith('ü')).toBe(true)
    expect(metadata.cut).toEqual([{ field: 'message', bytes: MESSAGE_BYTES_MAX * 2 + 1 }])
  })

  it('a message of just the bound is not', () => {
    const { message, metadata } = sendOne({ body: text('x'.repeat(MESSAGE_BYTES_MAX)) })
    expect(message.length).toBe(MESSAGE_BYTES_MAX)
    expect(metadata.cut).toBeUndefined()
  })

  it('no half of a surrogate pair stays', () => {
    const { message } = sendOne({ body: text(`x${'🙂'.repeat(MESSAGE_BYTES_MAX / 4)}`) })
    expect(message.isWellFormed()).toBe(true)
    expect(new TextEncoder().encode(message).length).toBe(MESSAGE_BYTES_MAX - 3)
  })

  it('a body that is no string goes, and the start of its text stays as the message', () => {
    const values = pairs({ message: text('m'), a: text('x'.repeat(MESSAGE_BYTES_MAX)) })
    const { message, metadata } = sendOne({ body: { kvlistValue: { values } } })
    expect(message.startsWith('{"message":"m","a":"xxx')).toBe(true)
    expect(message.length).toBe(MESSAGE_BYTES_MAX)
    expect(metadata).toEqual({ cut: [{ field: 'body', bytes: MESSAGE_BYTES_MAX + 22 }] })
  })

  it('an attribute, as text and as JSON', () => {
    const long = 'x'.repeat(ATTRIBUTE_BYTES_MAX + 1)
    const arrayValue = { values: [text(long)] }
    const { metadata } = sendOne({ attributes: pairs({ a: text(long), b: { arrayValue } }) })
    expect(metadata.attributes?.a).toBe(long.slice(1))
    expect(metadata.attributes?.b).toBe(`["${long}`.slice(0, ATTRIBUTE_BYTES_MAX))
    expect(metadata.cut).toEqual([
      { field: 'attributes.a', bytes: long.length },
      { field: 'attributes.b', bytes: long.length + 4 },
    ])
  })

  it('a key', () => {
    const { metadata } = sendOne({ attributes: pairs({ ['k'.repeat(600)]: { intValue: 1 } }) })
    const key = 'k'.repeat(512)
    expect(metadata.attributes).toEqual({ [key]: 1 })
    expect(metadata.cut).toEqual([{ field: `attributes.${key}`, bytes: 600 }])
  })

  it('keys that are the same as far as they are kept', () => {
    const same = 'k'.repeat(600)
    const attributes = { [`${same}a`]: text('1'), [`${same}b`]: text('2') }
    const { metadata } = sendOne({ attributes: pairs(attributes) }, attributes)
    expect(Object.values(metadata.attributes!)).toEqual(['1', '2'])
    expect(Object.values(metadata.resource!)).toEqual(['1', '2'])
    const keys = Object.keys(metadata.attributes!)
    expect(keys).toEqual([same.slice(0, 512), expect.stringMatching(/^k{503}~[0-9a-f]{8}$/)])
    expect(Object.keys(metadata.resource!)).toEqual(keys)
    expect(metadata.cut).toEqual([
      { field: `attributes.${keys[0]}`, bytes: 601 },
      { field: `attributes.${keys[1]}`, bytes: 601 },
      { field: 'resource', bytes: 1204 },
    ])
  })

  it('a key of just the bound, and a longer one that starts with it', () => {
    const just = 'k'.repeat(512)
    const attributes = { [just]: text('1'), [`${just}b`]: text('2') }
    const { metadata } = sendOne({ attributes: pairs(attributes) })
    expect(Object.values(metadata.attributes!)).toEqual(['1', '2'])
  })

  it('of one long key twice the last value stays', () => {
    const entry = (value: string) => ({ key: 'k'.repeat(600), value: text(value) })
    const { metadata } = sendOne({ attributes: [entry('1'), entry('2')] })
    expect(metadata.attributes).toEqual({ ['k'.repeat(512)]: '2' })
  })

  it('the number of attributes', () => {
    const many = Array.from({ length: ATTRIBUTES_MAX + 2 }, (_, i) => [`k${i}`, text('v')])
    const [first, next] = send([
      { attributes: pairs(Object.fromEntries(many)) },
      { body: text('x') },
    ])
    expect(Object.keys(first!.metadata.attributes!)).toHaveLength(ATTRIBUTES_MAX)
    const bytes = many.reduce((sum, [key]) => sum + (key as string).length + 1, 0)
    expect(first!.metadata.cut).toEqual([{ field: 'attributes', bytes: expect.any(Number) }])
    expect(first!.metadata.cut![0]!.bytes).toBeGreaterThanOrEqual(bytes)
    expect(next!.metadata).toEqual({})
  })

  it('the whole record, by attributes', () => {
    const big = text('x'.repeat(60_000))
    const attributes = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`k${i}`, big]))
    const { metadata } = sendOne({ body: text('m'), attributes: pairs(attributes) })
    const kept = JSON.stringify(metadata.attributes).length
    expect(kept).toBeGreaterThan(RECORD_BYTES_MAX - 70_000)
    expect(kept).toBeLessThan(RECORD_BYTES_MAX)
    expect(metadata.cut).toEqual([{ field: 'attributes', bytes: 20 * 60_000 + 50 }])
  })

  it('no record under 1 MiB is', () => {
    const big = text('x'.repeat(60_000))
    const attributes = Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`k${i}`, big]))
    const { metadata } = sendOne({ body: text('m'), attributes: pairs(attributes) })
    expect(Object.keys(metadata.attributes!)).toHaveLength(16)
    expect(metadata.cut).toBeUndefined()
  })

  it('a column, while the attribute stays whole', () => {
    const long = 'x'.repeat(COLUMN_BYTES_MAX + 1)
    const found = sendOne({ attributes: pairs({ 'user.id': text(long) }) })
    expect(found.user_id).toBe(long.slice(1))
    expect(found.metadata).toEqual({
      attributes: { 'user.id': long },
      cut: [{ field: 'user_id', bytes: long.length }],
    })
  })

  it('a resource, in each of its records', () => {
    const big = text('x'.repeat(60_000))
    const resource = Object.fromEntries(Array.from({ length: 6 }, (_, i) => [`k${i}`, big]))
    const found = send([{}, {}], resource)
    for (const { metadata } of found) {
      expect(Object.keys(metadata.resource!)).toEqual(['k0', 'k1', 'k2', 'k3'])
      expect(metadata.cut).toEqual([{ field: 'resource', bytes: 6 * 60_002 }])
    }
  })

  it('the list of what was cut', () => {
    const big = text('x'.repeat(ATTRIBUTE_BYTES_MAX + 1))
    const many = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`k${i}`, big]))
    expect(sendOne({ attributes: pairs(many) }).metadata.cut).toHaveLength(CUT_ENTRIES_MAX)
  })

  it('too many keys for columns: the rest keeps its values', () => {
    const records = Array.from({ length: ATTRIBUTE_COLUMNS_MAX + 5 }, (_, i) => ({
      attributes: pairs({ [`k${i}`]: { intValue: i }, same: text('s') }),
    }))
    const found = send(records)
    found.forEach(({ metadata }, i) => {
      expect(metadata.attributes).toEqual({ [`k${i}`]: i, same: 's' })
    })
  })

  it('too many records', () => {
    const request = (count: number) =>
      bytesOf({
        resourceLogs: [{ scopeLogs: [{ logRecords: new Array(count).fill({}) }] }],
      })
    const error = { code: 'too_large', message: 'more than 100000 records in one request' }
    expect(decodeOtlpJson(request(REQUEST_RECORDS_MAX), ARRIVAL).ok).toBe(true)
    const refused = decodeOtlpJson(request(REQUEST_RECORDS_MAX + 1), ARRIVAL)
    expect(refused).toMatchObject({ ok: false, error })
  })
})

const arrays = (depth: number, inner: object = text('x')): object =>
  depth === 0 ? inner : { arrayValue: { values: [arrays(depth - 1, inner)] } }
const nested = (depth: number, inner: unknown = 'x'): unknown =>
  depth === 0 ? inner : [nested(depth - 1, inner)]

describe('depth', () => {
  it('32 levels are kept, what is below them is null', () => {
    const found = sendOne({ body: arrays(33), attributes: pairs({ a: arrays(32), b: arrays(40) }) })
    expect(found.metadata.body).toEqual(nested(32, null))
    expect(found.metadata.attributes).toEqual({ a: nested(32), b: nested(32, null) })
    expect(found.metadata.cut).toEqual([
      { field: 'body', bytes: 69 },
      { field: 'attributes.b', bytes: 83 },
    ])
  })

  const array = (depth: number): number[] => {
    let any = [0x0a, 1, 0x78]
    for (let i = 0; i < depth; i++) any = delimited(0x2a, delimited(0x0a, any))
    return any
  }
  const delimited = (tag: number, bytes: number[]): number[] =>
    bytes.length < 128
      ? [tag, bytes.length, ...bytes]
      : [tag, (bytes.length & 127) | 128, bytes.length >> 7, ...bytes]
  const request = (...records: number[][]) =>
    Uint8Array.from(
      delimited(
        0x0a,
        delimited(
          0x12,
          records.flatMap((record) => delimited(0x12, record)),
        ),
      ),
    )

  it('a record of more than 100 is refused alone', () => {
    const attribute = delimited(0x32, [0x0a, 1, 0x6b, ...delimited(0x12, array(100))])
    const before = delimited(0x32, [0x0a, 1, 0x61, 0x12, 2, 0x18, 1])
    const good = delimited(0x2a, [0x0a, 1, 0x61])
    const bytes = request(good, [...before, ...attribute], good, delimited(0x2a, array(100)))
    const result = decodeOtlpProtobuf(bytes, ARRIVAL)
    expect(views(result).map(({ message, metadata }) => [message, metadata])).toEqual([
      ['a', {}],
      ['a', {}],
    ])
    expect(result.ok && result.data.rejected).toEqual([
      { index: 1, field: 'attributes.k', message: 'values more than 100 deep' },
      { index: 3, field: 'body', message: 'values more than 100 deep' },
    ])
  })

  it('of a resource, null stays in its place', () => {
    const attribute = [0x0a, 1, 0x6b, ...delimited(0x12, array(100))]
    const resource = delimited(0x0a, delimited(0x0a, attribute))
    const logs = delimited(0x12, delimited(0x12, []))
    const bytes = Uint8Array.from(delimited(0x0a, [...resource, ...logs]))
    const [record] = views(decodeOtlpProtobuf(bytes, ARRIVAL))
    expect(record?.metadata.resource).toEqual({ k: null })
    expect(record?.metadata.cut).toEqual([{ field: 'resource', bytes: attribute.length + 1 }])
  })

  it('99 are read, and cut', () => {
    const result = decodeOtlpProtobuf(request(delimited(0x2a, array(99))), ARRIVAL)
    expect(views(result)[0]?.metadata.body).toEqual(nested(32, null))
  })

  it('20 MB of empty elements end in a text within the bound', () => {
    const count = 3_000_000
    const length = (n: number) => [0, 7, 14, 21].map((s) => ((n >> s) & 127) | (s < 21 ? 128 : 0))
    const layers = [0x0a, 0x12, 0x12, 0x2a, 0x2a]
    const size = count * 2
    const bytes = new Uint8Array(size + layers.length * 5)
    layers.forEach((tag, i) => {
      bytes.set([tag, ...length(size + (layers.length - 1 - i) * 5)], i * 5)
    })
    for (let i = layers.length * 5; i < bytes.length; i += 2) bytes[i] = 0x0a
    const [record] = views(decodeOtlpProtobuf(bytes, ARRIVAL))
    expect(record?.message.length).toBe(MESSAGE_BYTES_MAX)
    expect(record?.metadata).toEqual({ cut: [{ field: 'body', bytes: count * 5 + 1 }] })
  })
})

describe('precedence', () => {
  const column = (
    name: keyof RecordView,
    expected: string | null,
    record: Attributes,
    resource = {},
  ) =>
    it(`${name}: ${expected} of ${Object.keys({ ...record, ...resource })}`, () => {
      expect(sendOne({ attributes: pairs(record) }, resource)[name]).toBe(expected)
    })

  column('service', 'a', { 'service.name': text('a') }, { 'service.name': text('unknown_service') })
  column('service', 'f', {}, { 'service.name': text('unknown_service:x'), 'faas.name': text('f') })
  column('service', 'f', {}, { 'service.name': text(''), 'faas.name': text('f') })
  column('service', 'unknown_servicex', {}, { 'service.name': text('unknown_servicex') })
  column('user_id', 'a', { 'user.id': text('a') }, { 'user.id': text('r') })
  column('user_id', 'r', { 'user.id': text('') }, { 'user.id': text('r') })
  column('version', 'r', { version: text('a') }, { 'service.version': text('r') })
  column('instance_id', 'a', { instance_id: text('a') }, { 'host.id': text('r') })
  column('workspace_id', 'r', { tenant_id: text('a') }, { 'workspace.id': text('r') })
  column('request_id', '1', { 'request.id': { arrayValue: { values: [{ intValue: 1 }] } } })
  column('request_id', null, { 'request.id': { kvlistValue: { values: [] } } })
  column('request_id', null, { 'request.id': { arrayValue: { values: [{}] } } })
  column('user_id', 'true', { 'user.id': { boolValue: true } })
  column('user_id', '1.5', { 'user.id': { doubleValue: 1.5 } })
  column('trace_id', null, { trace_id: text('0'.repeat(32)) })
  column('source_location', 'f', { 'code.file.path': text('f') })
  column('source_location', 's', {
    source_location: text('s'),
    'code.line.number': { intValue: 1 },
  })

  it('the credential decides the workspace', () => {
    const arrival = { ...ARRIVAL, workspaceId: 'bound' }
    const [record] = send([{ attributes: pairs({ workspace_id: text('a') }) }], {}, arrival)
    expect(record?.workspace_id).toBe('bound')
    expect(record?.metadata.attributes).toEqual({ workspace_id: 'a' })
  })

  it('of two attributes with one key the last counts, whatever their types', () => {
    const twice = [...pairs({ 'user.id': text('a') }), ...pairs({ 'user.id': { intValue: 5 } })]
    const found = sendOne({ attributes: twice }, { 'user.id': text('r') })
    expect([found.user_id, found.metadata.attributes]).toEqual(['5', { 'user.id': 5 }])
    const last = [...twice, ...pairs({ 'user.id': { kvlistValue: { values: [] } } })]
    const map = sendOne({ attributes: last }, { 'user.id': text('r') })
    expect([map.user_id, map.metadata.attributes]).toEqual(['r', { 'user.id': {} }])
  })
})

describe('what OTLP says beside', () => {
  it('is in otel, and schema URLs in scope too', () => {
    const request = {
      resourceLogs: [
        {
          resource: { droppedAttributesCount: 1 },
          schemaUrl: 'r',
          scopeLogs: [
            {
              scope: { name: 's', droppedAttributesCount: 2 },
              schemaUrl: 'u',
              logRecords: [
                { flags: 257, droppedAttributesCount: 3, eventName: 'e' },
                { timeUnixNano: '18446744073709551615', observedTimeUnixNano: '5' },
              ],
            },
          ],
        },
      ],
    }
    const shared = {
      resource_dropped_attributes_count: 1,
      resource_schema_url: 'r',
      scope_dropped_attributes_count: 2,
      scope_schema_url: 'u',
    }
    const [first, second] = views(decodeOtlpJson(bytesOf(request), ARRIVAL))
    expect(first!.metadata).toEqual({
      scope: { name: 's', schema_url: 'u' },
      otel: { flags: 1, dropped_attributes_count: 3, event_name: 'e', ...shared },
    })
    expect(second!.metadata.otel).toEqual({ time_unix_nano: '18446744073709551615', ...shared })
    expect(second!.time_unix_nano).toBe('5')
  })

  it('counts the records without a time', () => {
    const records = [{}, { timeUnixNano: '1' }, { observedTimeUnixNano: '1' }, { timeUnixNano: 0 }]
    const request = { resourceLogs: [{ scopeLogs: [{ logRecords: records }] }] }
    const result = decodeOtlpJson(bytesOf(request), ARRIVAL)
    expect(result.ok && result.data.untimed).toBe(2)
  })

  it('keeps equal resources once', () => {
    const logs = {
      resource: { attributes: pairs({ a: text('1') }) },
      scopeLogs: [{ logRecords: [{}] }],
    }
    const result = decodeOtlpJson(bytesOf({ resourceLogs: [logs, logs] }), ARRIVAL)
    expect(result.ok && result.data.resources).toEqual(['{"a":"1"}'])
  })
})

describe('JSON', () => {
  const refuses = (name: string, record: unknown, field: string, description: string) =>
    it(name, () => {
      const request = { resourceLogs: [{ scopeLogs: [{ logRecords: [{}, record] }] }] }
      const at = 'resourceLogs[0].scopeLogs[0].logRecords[1]'
      const error = {
        code: 'bad_json',
        message: `${at}${field} ${description}`,
        details: { field: `${at}${field}`, description },
      }
      expect(decodeOtlpJson(bytesOf(request), ARRIVAL)).toMatchObject({ ok: false, error })
    })
  const integer = 'must be an integer, as a number or a decimal text'

  refuses('a record that is no object', 5, '', 'must be an object')
  refuses('a record that is null', null, '', 'must be an object')
  refuses('a body that is a bare string', { body: 'x' }, '.body', 'must be an object')
  refuses('attributes that are an object', { attributes: {} }, '.attributes', 'must be an array')
  refuses('a fraction of a severity', { severityNumber: 1.5 }, '.severityNumber', integer)
  refuses('a bool of a severity', { severityNumber: true }, '.severityNumber', integer)
  refuses('an id that is a number', { traceId: 5 }, '.traceId', 'must be a string')
  refuses(
    'a text of a bool',
    { body: { boolValue: 'x' } },
    '.body.boolValue',
    'must be true or false',
  )
  refuses('no base64', { body: { bytesValue: '*' } }, '.body.bytesValue', 'must be base64')
  refuses(
    'an integer that no int64 holds',
    { body: { intValue: '9223372036854775808' } },
    '.body.intValue',
    'does not fit 64 bits',
  )
  refuses(
    'a value inside',
    { body: { arrayValue: { values: [{}, { intValue: 'x' }] } } },
    '.body.arrayValue.values[1].intValue',
    integer,
  )

  const body = (any: object, expected: unknown) =>
    it(JSON.stringify(any), () => {
      const { metadata, message } = sendOne({ body: any })
      expect(metadata.body ?? message).toEqual(expected)
    })
  body({ intValue: '12' }, 12)
  body({ intValue: 1e20 }, 1e20)
  body({ intValue: 1e300 }, 1e300)
  body({ int_value: '-5' }, -5)
  body({ doubleValue: '1.5e3' }, 1500)
  body({ doubleValue: '-Infinity' }, '-Infinity')
  body({ doubleValue: 7 }, 7)
  body({ bytesValue: 'AP8Q_w' }, 'AP8Q/w==')
  body({ stringValue: null, intValue: 3 }, 3)
  body({ arrayValue: {} }, [])
  body({ arrayValue: { values: null } }, [])

  it('the type of a number in columns', () => {
    const values = { i: { intValue: 3 }, d: { doubleValue: 3 }, b: { boolValue: true }, n: {} }
    const request = {
      resourceLogs: [{ scopeLogs: [{ logRecords: [{ attributes: pairs(values) }] }] }],
    }
    const result = decodeOtlpJson(bytesOf(request), ARRIVAL)
    expect(result.ok && result.data.attributes).toEqual([
      { key: 'i', type: 'int', rows: [0], values: [3] },
      { key: 'd', type: 'num', rows: [0], values: [3] },
      { key: 'b', type: 'bool', rows: [0], values: [true] },
      { key: 'n', type: 'json', rows: [0], values: ['null'] },
    ])
  })
})
