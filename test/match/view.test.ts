import { describe, expect, it } from 'vitest'
import { recordView, unixNano } from '../../src/match/view.ts'
import { emptyBatch, type RecordBatch, TEXT_COLUMNS } from '../../src/record.ts'

/** A batch of one record with nothing in it but what is given. */
function batchOf(given: Partial<RecordBatch>): RecordBatch {
  const batch = emptyBatch(0)
  for (const name of TEXT_COLUMNS) batch.text[name].push(null)
  const one = { timeMs: [1], timeNs: [2], observedMs: [-1], observedNs: [0], level: [2] }
  const texts = { severityNumber: [0], severityText: [null], message: ['m'], body: [null] }
  const rest = { attributesRest: [null], resource: [0], scope: [0], otel: [null], cut: [null] }
  const contexts = { resources: ['{}'], scopes: ['{}'], bytes: [0], length: 1 }
  return { ...batch, ...one, ...texts, ...rest, ...contexts, ...given }
}

describe('recordView', () => {
  it('shows every member of a record in the order of the docs, absent ones as null', () => {
    const text = JSON.stringify(recordView(batchOf({}), 0, 3, 17))
    expect(text).toBe(
      '{"id":"3-17","timestamp":1,"time_unix_nano":"1000002","observed_time_unix_nano":null,' +
        '"level":"info","severity_number":0,"severity_text":null,"service":null,"environment":null,' +
        '"event_type":null,"message":"m","source_location":null,"trace_id":null,"span_id":null,' +
        '"request_id":null,"workspace_id":null,"project_id":null,"user_id":null,"version":null,' +
        '"instance_id":null,"metadata":{}}',
    )
  })

  it('shows metadata where there is some', () => {
    const batch = batchOf({
      observedMs: [5],
      attributes: [
        { key: 'a', type: 'int', rows: [0, 1], values: [1, 2] },
        { key: '__proto__', type: 'json', rows: [0], values: ['{"x":[1]}'] },
        { key: 'other', type: 'text', rows: [1], values: ['no'] },
      ],
      attributesRest: ['{"r":true}'],
      resources: ['{"service.name":"api"}'],
      scopes: ['{"name":"s"}'],
      body: ['{"b":1}'],
      otel: ['{"flags":1}'],
      cut: ['[{"field":"message","bytes":9}]'],
    })
    const { metadata, observed_time_unix_nano } = recordView(batch, 0, 0, 0)
    expect(observed_time_unix_nano).toBe('5000000')
    expect(JSON.stringify(metadata)).toBe(
      '{"attributes":{"a":1,"__proto__":{"x":[1]},"r":true},"resource":{"service.name":"api"},' +
        '"scope":{"name":"s"},"body":{"b":1},"otel":{"flags":1},"cut":[{"field":"message","bytes":9}]}',
    )
  })
})

describe('unixNano', () => {
  const yields = (ms: number, ns: number, text: string) =>
    it(text, () => expect(unixNano(ms, ns)).toBe(text))
  yields(0, 0, '0')
  yields(0, 1, '1')
  yields(1, 0, '1000000')
  yields(1_720_000_000_123, 456_789, '1720000000123456789')
  yields(9_223_372_036_854, 775_807, '9223372036854775807')
})
