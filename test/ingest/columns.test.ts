// Attribute names of an app's own that fill columns, the same in every form records arrive in.

import { describe, expect, it } from 'vitest'
import { decodeLines, decodeRecords } from '../../src/ingest/lines.ts'
import type { Arrival } from '../../src/ingest/map.ts'
import { decodeOtlpJson } from '../../src/ingest/otlp-json.ts'
import { decodeOtlpProtobuf } from '../../src/ingest/otlp-protobuf.ts'
import { ATTRIBUTES_MAX } from '../../src/limits.ts'
import { type RecordView, recordView } from '../../src/match/view.ts'
import type { ColumnNames, RecordBatch, TextColumn } from '../../src/record.ts'
import type { Result } from '../../src/result.ts'
import { loadOracle } from '../oracle.ts'

const { ExportLogsServiceRequest: oracle } = await loadOracle()
const arrivalOf = (columns: ColumnNames): Arrival => ({
  receivedMs: 1_800_000_000_000,
  workspaceId: null,
  requestId: null,
  columns,
})
const bytesOf = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))

function onlyView(result: Result<RecordBatch>): RecordView {
  if (!result.ok) throw new Error(result.error.message)
  expect(result.data.length).toBe(1)
  return recordView(result.data, 0, 0, 0)
}

type Values = Record<string, string | number | boolean>
const pairs = (values: Values) =>
  Object.entries(values).map(([key, value]) => ({
    key,
    value:
      typeof value === 'string'
        ? { stringValue: value }
        : typeof value === 'number'
          ? { intValue: value }
          : { boolValue: value },
  }))
const request = (record: Values, resource: Values) => ({
  resourceLogs: [
    {
      resource: { attributes: pairs(resource) },
      scopeLogs: [{ logRecords: [{ attributes: pairs(record) }] }],
    },
  ],
})

const otlp = {
  'OTLP JSON': (record: Values, resource: Values, columns: ColumnNames) =>
    onlyView(decodeOtlpJson(bytesOf(request(record, resource)), arrivalOf(columns))),
  'OTLP protobuf': (record: Values, resource: Values, columns: ColumnNames) => {
    const bytes = oracle.encode(oracle.fromObject(request(record, resource))).finish()
    return onlyView(decodeOtlpProtobuf(bytes, arrivalOf(columns)))
  },
}
const lines = {
  'POST /logs': (record: Values, columns: ColumnNames) =>
    onlyView(decodeLines(bytesOf(record), 'json', 'shop', arrivalOf(columns))),
  NDJSON: (record: Values, columns: ColumnNames) =>
    onlyView(decodeLines(bytesOf(record), 'ndjson', 'shop', arrivalOf(columns))),
  RPC: (record: Values, columns: ColumnNames) =>
    onlyView(decodeRecords([record], 'shop', arrivalOf(columns))),
}
type Expected = Partial<Record<TextColumn, string | null>>

for (const [form, send] of Object.entries(otlp)) {
  describe(form, () => {
    const fills = (
      name: string,
      columns: ColumnNames,
      record: Values,
      resource: Values,
      expected: Expected,
    ) => it(name, () => expect(send(record, resource, columns)).toMatchObject(expected))
    const user: ColumnNames = { user_id: ['app.user', 'uid'] }

    fills('a record attribute', user, { 'app.user': 'a' }, {}, { user_id: 'a' })
    fills('a number', user, { uid: 7 }, {}, { user_id: '7' })
    fills('a resource attribute', user, {}, { uid: 'r' }, { user_id: 'r' })
    fills('the record first', user, { uid: 'a' }, { uid: 'r' }, { user_id: 'a' })
    fills('names in order', user, { uid: '2', 'app.user': '1' }, {}, { user_id: '1' })
    fills(
      'an earlier name of the resource',
      user,
      { uid: '2' },
      { 'app.user': '1' },
      { user_id: '1' },
    )
    fills('before the built-in names', user, { 'user.id': 'b', uid: 'a' }, {}, { user_id: 'a' })
    fills('not by an empty text', user, { 'user.id': 'b', uid: '' }, {}, { user_id: 'b' })
    fills('built-in names behind it', user, { 'user.id': 'b' }, {}, { user_id: 'b' })
    fills(
      'two columns by one name',
      { user_id: ['x'], project_id: ['x'] },
      { x: '1' },
      {},
      {
        user_id: '1',
        project_id: '1',
      },
    )
    fills(
      'beside the column a name fills for all',
      { user_id: ['tenant.id'] },
      { 'tenant.id': 't' },
      {},
      {
        user_id: 't',
        workspace_id: 't',
      },
    )
    fills(
      'the service before its resource',
      { service: ['app'] },
      { app: 's' },
      { 'service.name': 'r' },
      {
        service: 's',
      },
    )
    fills(
      'the service behind no unknown one',
      { service: ['app'] },
      {},
      {
        'service.name': 'unknown_service:node',
        app: 's',
      },
      { service: 's' },
    )
    fills(
      'the source before its parts',
      { source_location: ['at'] },
      { at: 'a.ts:1', 'code.file.path': 'b.ts' },
      {},
      { source_location: 'a.ts:1' },
    )
    fills('no other column', user, { uid: 'a' }, {}, { project_id: null, workspace_id: null })
    fills('nothing without the setting', {}, { uid: 'a' }, { uid: 'b' }, { user_id: null })

    it('leaves the attribute where it is', () => {
      expect(send({ uid: 'a' }, {}, user).metadata).toEqual({ attributes: { uid: 'a' } })
    })
  })
}

for (const [form, send] of Object.entries(lines)) {
  describe(form, () => {
    const user: ColumnNames = { user_id: ['uid'] }
    it('fills a column from an attribute', () => {
      expect(send({ uid: 7 }, user)).toMatchObject({ user_id: '7' })
    })
    it('takes the member that is the column first', () => {
      expect(send({ uid: 'a', user_id: 'b' }, user)).toMatchObject({ user_id: 'b' })
    })
    it('comes before the built-in names', () => {
      expect(send({ 'user.id': 'b', uid: 'a' }, user)).toMatchObject({ user_id: 'a' })
    })
  })
}

describe('an attribute of an own name', () => {
  const user: ColumnNames = { user_id: ['uid'] }
  it('fills its column also where the record has no room for it', () => {
    const many = Object.fromEntries(Array.from({ length: ATTRIBUTES_MAX }, (_, i) => [`k${i}`, i]))
    const view = otlp['OTLP JSON']({ ...many, uid: 'a' }, {}, user)
    expect(view.user_id).toBe('a')
    expect(view.metadata.attributes?.uid).toBeUndefined()
  })

  it('that comes twice counts as it came last', () => {
    const attributes = [...pairs({ uid: 'a' }), ...pairs({ uid: 'b' })]
    const body = { resourceLogs: [{ scopeLogs: [{ logRecords: [{ attributes }] }] }] }
    expect(onlyView(decodeOtlpJson(bytesOf(body), arrivalOf(user))).user_id).toBe('b')
  })

  it('does not outrank the workspace a key is bound to', () => {
    const arrival = { ...arrivalOf({ workspace_id: ['ws'] }), workspaceId: 'bound' }
    const decoded = decodeRecords([{ ws: 'other' }], 'shop', arrival)
    expect(onlyView(decoded).workspace_id).toBe('bound')
  })
})
