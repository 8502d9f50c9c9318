// What makes a request the same request: each part of its identity alone, and when there is none.

import { describe, expect, it } from 'vitest'
import { batchIdOf, type RequestIdentity } from '../../src/tenant/batch-id.ts'
import { batchOf, type RecordSpec } from '../batches.ts'

const bytesOf = (text: string) => new TextEncoder().encode(text)
const OTLP: RequestIdentity = {
  door: 'otlp',
  mediaType: 'application/json',
  workspaceId: null,
  idempotencyKey: null,
  body: bytesOf('{"resourceLogs":[]}'),
}
const LINES: RequestIdentity = { ...OTLP, door: 'lines', mediaType: 'json' }

interface Records {
  records?: RecordSpec[]
  untimed?: number
  rejected?: number
}
const REFUSED = { index: 0, field: 'body', message: 'too deep' }

function idOf(
  identity: RequestIdentity,
  { records = [{}, {}], untimed = 0, rejected = 0 }: Records,
) {
  const refused = Array.from({ length: rejected }, () => REFUSED)
  const id = batchIdOf(identity, { ...batchOf(records), untimed, rejected: refused })
  return id === null ? null : Buffer.from(id).toString('hex')
}

describe('batchIdOf', () => {
  const differs = (name: string, change: Partial<RequestIdentity>, from = OTLP) =>
    it(`differs by ${name}`, () => {
      const [id, other] = [idOf(from, {}), idOf({ ...from, ...change }, {})]
      expect(id).toMatch(/^[0-9a-f]{32}$/)
      expect(other).toMatch(/^[0-9a-f]{32}$/)
      expect(other).not.toBe(id)
    })
  const KEYED = { ...LINES, idempotencyKey: 'k1' }

  differs('body', { body: bytesOf('{"resourceLogs":[ ]}') })
  differs('media type', { mediaType: 'application/x-protobuf' })
  differs('workspace', { workspaceId: 'w1' })
  differs('another workspace', { workspaceId: 'w2' }, { ...OTLP, workspaceId: 'w1' })
  differs('Idempotency-Key', { idempotencyKey: 'k1' })
  differs('another Idempotency-Key', { idempotencyKey: 'k2' }, KEYED)
  differs('door', { door: 'otlp' }, KEYED)
  differs(
    'which part a text is in',
    { workspaceId: 'k1', idempotencyKey: 'w1' },
    {
      ...OTLP,
      workspaceId: 'w1',
      idempotencyKey: 'k1',
    },
  )

  it('is the same for the same request, whatever array the body lies in', () => {
    const padded = bytesOf(`..${new TextDecoder().decode(OTLP.body)}..`).subarray(2, -2)
    expect(idOf({ ...OTLP, body: padded }, {})).toBe(idOf(OTLP, {}))
  })

  const has = (name: string, identity: RequestIdentity, records: Records) =>
    it(`has one: ${name}`, () => expect(idOf(identity, records)).not.toBeNull())
  const none = (name: string, identity: RequestIdentity, records: Records) =>
    it(`has none: ${name}`, () => expect(idOf(identity, records)).toBeNull())
  const keyed = (identity: RequestIdentity) => ({ ...identity, idempotencyKey: 'k' })

  has('two records, to the millisecond', OTLP, { records: [{}, {}] })
  has('one record, finer than a millisecond', OTLP, { records: [{ ns: 1 }] })
  has('one record and a refused one', OTLP, { records: [{}], rejected: 1 })
  has('nothing but two refused ones', OTLP, { records: [], rejected: 2 })
  has('a key, though untimed', keyed(OTLP), { untimed: 2 })
  has('a key, though one record', keyed(OTLP), { records: [{}] })
  has('a key, at the door of lines', keyed(LINES), { records: [{}], untimed: 1 })

  none('one record, to the millisecond', OTLP, { records: [{}] })
  none('one of two records is untimed', OTLP, { untimed: 1 })
  none('one finer record, but untimed', OTLP, { records: [{ ns: 1 }], untimed: 1 })
  none('one refused record alone', OTLP, { records: [], rejected: 1 })
  none('an empty request', OTLP, { records: [] })
  none('lines, however many and fine', LINES, { records: [{ ns: 1 }, { ns: 2 }] })
})
