// The protobuf reader against protobufjs static code and a plain flatten, on random requests and
// mutations of them, from a seed that is printed when they differ. `FUZZ_SEED` and `FUZZ_CASES` set
// another seed and more cases.
//
// Where protobufjs differs from otlp.md, and what is done about it here:
// - It refuses texts that are no UTF-8; we keep them with U+FFFD (B8). Its reader gets our rule.
// - It keeps the members of a oneof that a later one replaced, so an array that comes again after
//   another member goes on with the old one, where protobuf starts anew. Such requests are left out.
// - The index into a string table counts as a member of AnyValue; to us it is absent (D12). A value
//   with it and another member is left out.
// - Tags and lengths may have 5 bytes; we take redundant ones up to ten (B5). A request that
//   only it refuses, in those words, is ours to take.
// - It skips a varint of any length; ours has ten bytes at most (B5). What only we refuse for that is
//   left out.
// - It reads entity references, we skip them whatever is inside: its reader does the same here.
// - It refuses more than 100 messages inside each other, we AnyValues (D20): none here are so deep.

import { createRequire } from 'node:module'
import { beforeAll, describe, expect, it } from 'vitest'
import { randomOf } from '../../bench/random.ts'
import { decodeOtlpProtobuf } from '../../src/ingest/otlp-protobuf.ts'
import { recordView } from '../../src/match/view.ts'
import { loadOracle, type Oracle } from '../oracle.ts'
import { flatten, type Row } from '../reference.ts'
import { mutate, randomRequest } from '../wire.ts'

const SEED = Number(process.env.FUZZ_SEED ?? 20260101)
const CASES = Number(process.env.FUZZ_CASES ?? 10_000)
const RECEIVED_MS = 1_800_000_000_000
const ARRIVAL = { receivedMs: RECEIVED_MS, workspaceId: null, requestId: null }
const ONLY_OURS = /varint of more than 10 bytes/
/** What protobufjs says of a varint that is longer than it has to be. */
const ONLY_THEIRS = /invalid (tag|size|varint)/

let oracle: Oracle

beforeAll(async () => {
  oracle = await loadOracle()
  oracle.EntityRef.decode = (reader, length) => reader.skip(length)
  const { Reader, BufferReader } = createRequire(import.meta.url)('protobufjs/minimal')
  const utf8 = new TextDecoder('utf-8', { ignoreBOM: true, fatal: false })
  for (const reader of [Reader, BufferReader]) {
    reader.prototype.stringVerify = function () {
      return utf8.decode(this.bytes())
    }
  }
})

type Verdict = 'same' | 'both refuse' | 'left out'

/** Throws when the two readers differ. */
function compare(bytes: Uint8Array): Verdict {
  const ours = decodeOtlpProtobuf(bytes, ARRIVAL)
  let rows: Row[]
  try {
    const request = oracle.ExportLogsServiceRequest.decode(bytes)
    if (hasAmbiguousValue(request)) return 'left out'
    rows = flatten(request)
  } catch (e) {
    if (!ours.ok) return 'both refuse'
    if (ONLY_THEIRS.test(String(e))) return 'left out'
    throw new Error(`only protobufjs refuses: ${e}`)
  }
  if (!ours.ok && ONLY_OURS.test(ours.error.message)) return 'left out'
  if (!ours.ok) throw new Error(`only we refuse: ${ours.error.message}`)
  expect(rows.length).toBe(ours.data.length)
  rows.forEach((row, i) => {
    expect(ourRow(ours.data, i)).toEqual(theirRow(row))
  })
  return 'same'
}

/** An AnyValue with members that the last one should have cleared, where that can be seen. */
function hasAmbiguousValue(message: unknown): boolean {
  if (Array.isArray(message)) return message.some(hasAmbiguousValue)
  if (typeof message !== 'object' || message === null || ArrayBuffer.isView(message)) return false
  const value = 'value' in message ? message.value : null
  if (typeof value === 'string' && /^(array|kvlist|stringValueStrindex)/.test(value)) {
    const members = Object.keys(message).filter((name) => name !== 'value')
    if (members.length > 1) return true
  }
  return Object.values(message).some(hasAmbiguousValue)
}

type Batch = Extract<ReturnType<typeof decodeOtlpProtobuf>, { ok: true }>['data']

function ourRow(batch: Batch, i: number) {
  const { metadata, id, timestamp, level, ...view } = recordView(batch, i, 0, i)
  const { scope = {}, otel = {}, attributes = {}, resource = {}, body } = metadata
  return {
    ...view,
    message: parsed(view.message, body),
    attributes: sorted(attributes),
    resource: sorted(resource),
    scope: { ...scope, attributes: sorted((scope.attributes as object) ?? {}) },
    body: sorted(body),
    otel,
  }
}

function theirRow(row: Row) {
  const { columns, scope, time_unix_nano, message, ...rest } = row
  const arrival = `${RECEIVED_MS}000000`
  const { name, version, schemaUrl, attributes } = scope
  return {
    ...rest,
    ...columns,
    time_unix_nano: time_unix_nano ?? row.observed_time_unix_nano ?? arrival,
    message: parsed(message, row.body),
    attributes: sorted(Object.fromEntries(row.attributes)),
    resource: sorted(Object.fromEntries(row.resource)),
    scope: {
      ...(name && { name }),
      ...(version && { version }),
      ...(schemaUrl && { schema_url: schemaUrl }),
      attributes: sorted(Object.fromEntries(attributes)),
    },
    body: sorted(row.body),
  }
}

/** Members in the order of their names, and of `__proto__` as one of them. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const names = Object.keys(value).sort()
  return names.map((name) => [name, sorted((value as Record<string, unknown>)[name])])
}

/** A message that is the body's JSON is compared as JSON: a map's order is not the same in both. */
function parsed(message: string, body: unknown): unknown {
  return typeof body === 'object' && /^[[{]/.test(message) ? sorted(JSON.parse(message)) : message
}

describe('decodeOtlpProtobuf against protobufjs', () => {
  it(`agrees on ${CASES} requests from seed ${SEED}`, { timeout: 120_000 }, () => {
    const random = randomOf(SEED)
    const verdicts: Record<Verdict, number> = { same: 0, 'both refuse': 0, 'left out': 0 }
    let other: Uint8Array = randomRequest(random)
    for (let i = 0; i < CASES; i++) {
      const request = randomRequest(random)
      const bytes = i % 4 === 0 ? request : mutate(random, request, other)
      other = request
      try {
        verdicts[compare(bytes)]++
      } catch (e) {
        const hex = Buffer.from(bytes).toString('hex')
        throw new Error(`seed ${SEED}, case ${i}, ${hex}\n${(e as Error).message}`, { cause: e })
      }
    }
    // A generator that makes only rubbish, or only what is left out, would prove nothing.
    expect(verdicts.same).toBeGreaterThan(CASES / 4)
    expect(verdicts['both refuse']).toBeGreaterThan(CASES / 10)
    expect(verdicts['left out']).toBeLessThan(CASES / 10)
  })
})
