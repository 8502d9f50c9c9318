import { describe, expect, it } from 'vitest'
import { storedSegment } from '../../src/block/stored.ts'
import { TraceSink, traceIdOf } from '../../src/count/trace.ts'
import { TRACE_SERVICES_MAX } from '../../src/limits.ts'
import { EVERYTHING } from '../../src/query/filter.ts'
import { everythingOf } from '../../src/query/plan.ts'
import { batchOf, type RecordSpec } from '../batches.ts'

const ID = '4bf92f3577b34da6a3ce929d0e0e4736'

describe('traceIdOf', () => {
  const yields = (pasted: string, id: string) =>
    it(JSON.stringify(pasted), () => expect(traceIdOf(pasted)).toEqual({ ok: true, data: id }))
  const refuses = (name: string, pasted: string) =>
    it(`refuses ${name}`, () =>
      expect(traceIdOf(pasted)).toMatchObject({ ok: false, error: { code: 'bad_request' } }))

  yields(ID, ID)
  yields(ID.toUpperCase(), ID)
  yields(`  ${ID}\r\n`, ID)
  yields('4bf92f35-77b3-4da6-a3ce-929d0e0e4736', ID)
  yields('4BF92F35-77B3-4DA6-A3CE-929D0E0E4736', ID)
  yields(`00-${ID}-00f067aa0ba902b7-01`, ID)
  yields(`00-${ID}-00f067aa0ba902b7-00`, ID)
  yields(`cc-${ID}-00f067aa0ba902b7-01-what-comes-later`, ID)
  yields('1-4bf92f35-77b34da6a3ce929d0e0e4736', ID)
  yields('A3CE929D0E0E4736', `${'0'.repeat(16)}a3ce929d0e0e4736`)

  yields('Order-17', 'Order-17')
  yields('4bf92f3577b34da6a3ce929d0e0e473', '4bf92f3577b34da6a3ce929d0e0e473')
  yields(`00-${ID}-00f067aa0ba902b7`, `00-${ID}-00f067aa0ba902b7`)
  yields('4bf92f3577b34-da6a3ce-929d-0e0e-4736', '4bf92f3577b34-da6a3ce-929d-0e0e-4736')
  yields('x'.repeat(128), 'x'.repeat(128))
  refuses('129 characters', 'x'.repeat(129))
  refuses('nothing', '  ')
  refuses('a control character', 'a\0b')
  refuses('half a character', 'a\ud800')
})

describe('TraceSink', () => {
  const plan = { ...everythingOf({ filter: EVERYTHING, since: null, until: null }), limit: 2 }
  const asc = { ...plan, order: 'asc' as const }
  const T = 1_720_000_000_000

  /** A trace whose batches come in this order, of shards 0, 1, … */
  function sinkOf(batches: RecordSpec[][], after: typeof plan.after = null) {
    const sink = new TraceSink({ ...asc, after })
    for (const [shard, specs] of batches.entries()) {
      const stored = storedSegment(batchOf(specs), 1, T)
      const rows = specs.map((_, row) => row)
      sink.add(stored, sink.wanted(stored, rows, shard), shard)
    }
    return sink
  }

  const error = (ms: number, ns: number, message: string, service?: string): RecordSpec => ({
    ms: T + ms,
    ns,
    level: 4,
    message,
    ...(service && { text: { service } }),
  })

  it('of nothing is nothing', () => {
    expect(sinkOf([]).totals()).toEqual({
      count: 0,
      services: [],
      other_services: 0,
      levels: { trace: 0, debug: 0, info: 0, warn: 0, error: 0, fatal: 0 },
      first_error: null,
      started: null,
      ended: null,
      started_unix_nano: null,
      ended_unix_nano: null,
      duration_ms: null,
    })
  })

  it('finds the first error and both ends in whatever order batches come', () => {
    const late = [error(5, 7, 'late', 'b'), { ms: T + 9, ns: 5, level: 5, message: 'fatal' }]
    const early = [{ ms: T, ns: 3, text: { service: 'a' } }, error(5, 6, 'early', 'a')]
    const totals = sinkOf([late, early]).totals()
    expect(totals).toEqual(
      // The shards' numbers are part of the ids, the rest is the same.
      { ...sinkOf([early, late]).totals(), first_error: totals.first_error },
    )
    expect(totals).toMatchObject({
      count: 4,
      levels: { info: 1, error: 2, fatal: 1 },
      first_error: { id: '1-2', timestamp: T + 5, level: 'error', service: 'a', message: 'early' },
      started: T,
      ended: T + 9,
      started_unix_nano: `${T}000003`,
      ended_unix_nano: `${T + 9}000005`,
      duration_ms: 9.000002,
      services: [
        { service: 'a', count: 2, first: T, last: T + 5, errors: 1 },
        { service: 'b', count: 1, first: T + 5, last: T + 5, errors: 1 },
        { service: null, count: 1, first: T + 9, last: T + 9, errors: 1 },
      ],
    })
  })

  it('shows a page behind another, and the totals of all', () => {
    const specs = [0, 1, 2, 3, 4].map((ms) => ({ ms: T + ms, message: `m${ms}` }))
    const sink = sinkOf([specs], { ms: T + 1, ns: 0, shard: 0, seq: 2 })
    expect(sink.page.records().map(({ message }) => message)).toEqual(['m2', 'm3'])
    expect(sink.page.lastBeforeMore()).toEqual({ ms: T + 3, ns: 0, shard: 0, seq: 4 })
    expect(sink.totals().count).toBe(5)
  })

  it('tells a bounded number of services apart, and counts the rest', () => {
    const specs = Array.from({ length: TRACE_SERVICES_MAX + 5 }, (_, i) => ({
      ms: T + i,
      text: { service: `s${i}` },
    }))
    const totals = sinkOf([specs, specs.slice(0, 3)]).totals()
    expect(totals.services).toHaveLength(TRACE_SERVICES_MAX)
    expect(totals.services[0]).toMatchObject({ service: 's0', count: 2 })
    expect([totals.other_services, totals.count]).toEqual([5, TRACE_SERVICES_MAX + 8])
  })
})
