// The same request in JSON and in protobuf makes the same batch, column by column: random requests
// in the JSON form, and their protobuf form as protobufjs encodes it.

import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { decodeOtlpJson } from '../../src/ingest/otlp-json.ts'
import { decodeOtlpProtobuf } from '../../src/ingest/otlp-protobuf.ts'
import { loadOracle, type Oracle } from '../oracle.ts'

const SEED = Number(process.env.FUZZ_SEED ?? 20260101)
const RUNS = Number(process.env.FUZZ_RUNS ?? 500)
const ARRIVAL = { receivedMs: 1_800_000_000_000, workspaceId: 'ws', requestId: null }

let oracle: Oracle
beforeAll(async () => {
  oracle = await loadOracle()
})

const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 12 }),
  fc.constantFrom('', '__proto__', 'message', '12', '"\\\n\u0000', '\ufeffbom'),
)
const key = fc.oneof(
  text,
  fc.constantFrom('service.name', 'user.id', 'trace_id', 'code.file.path', 'code.line.number', 'k'),
)
const int64 = fc.oneof(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), fc.bigInt(-9n, 9n)).map(String)
const double = fc.double().map((x) => (Number.isFinite(x) ? x : String(x)))
const base64 = fc.uint8Array({ maxLength: 5 }).map((bytes) => Buffer.from(bytes).toString('base64'))
const hex = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((b) => Buffer.from(b).toString('hex'))
const time = fc
  .oneof(fc.bigInt(0n, 2n ** 64n - 1n), fc.bigInt(0n, 3n), fc.constant(1720000000123456789n))
  .map(String)

const { any } = fc.letrec<{ any: object }>((tie) => ({
  any: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.record({ stringValue: text }),
    fc.record({ intValue: int64 }),
    fc.record({ doubleValue: double }),
    fc.record({ boolValue: fc.boolean() }),
    fc.record({ bytesValue: base64 }),
    fc.constant({}),
    fc.record({ arrayValue: fc.record({ values: fc.array(tie('any'), { maxLength: 4 }) }) }),
    fc.record({
      kvlistValue: fc.record({
        values: fc.array(fc.record({ key, value: tie('any') }), { maxLength: 4 }),
      }),
    }),
  ),
}))
const attributes = fc.array(fc.record({ key, value: any }), { maxLength: 6 })
const dropped = fc.nat({ max: 2 ** 32 - 1 })
const some = <T>(members: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(members, { requiredKeys: [] })

const record = some({
  timeUnixNano: time,
  observedTimeUnixNano: time,
  severityNumber: fc.integer({ min: -1, max: 26 }),
  severityText: text,
  body: any,
  attributes,
  droppedAttributesCount: dropped,
  flags: dropped,
  traceId: hex(16),
  spanId: hex(8),
  eventName: text,
})
const scopeLogs = some({
  scope: some({ name: text, version: text, attributes, droppedAttributesCount: dropped }),
  logRecords: fc.array(record, { maxLength: 4 }),
  schemaUrl: text,
})
const request = fc.record({
  resourceLogs: fc.array(
    some({
      resource: some({ attributes, droppedAttributesCount: dropped }),
      scopeLogs: fc.array(scopeLogs, { maxLength: 2 }),
      schemaUrl: text,
    }),
    { maxLength: 3 },
  ),
})

/** protobufjs reads bytes as base64, ids among them. */
function withBase64Ids(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withBase64Ids)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      name,
      name === 'traceId' || name === 'spanId'
        ? Buffer.from(member, 'hex').toString('base64')
        : withBase64Ids(member),
    ]),
  )
}

describe('a request in JSON and in protobuf', () => {
  it('makes the same batch', { timeout: 60_000 }, () => {
    const { ExportLogsServiceRequest } = oracle
    fc.assert(
      fc.property(request, (message) => {
        const json = new TextEncoder().encode(JSON.stringify(message))
        const encoded = ExportLogsServiceRequest.encode(
          ExportLogsServiceRequest.fromObject(withBase64Ids(message) as object),
        ).finish()
        expect(decodeOtlpJson(json, ARRIVAL)).toEqual(decodeOtlpProtobuf(encoded, ARRIVAL))
      }),
      { seed: SEED, numRuns: RUNS },
    )
  })
})
