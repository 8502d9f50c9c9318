// Parameters of the doors that count: what they mean, and how they are refused.

import { describe, expect, it } from 'vitest'
import {
  readAggregate,
  readFacets,
  readFieldsLimit,
  readHistogram,
  readPatterns,
} from '../../src/query/count-parameters.ts'
import { parseFieldName } from '../../src/query/search.ts'
import type { Result } from '../../src/result.ts'

type Read = (parameters: [string, string][]) => Result<unknown>
const NOW = 1_720_000_000_000
const DOORS: Record<string, Read> = {
  histogram: readHistogram,
  facets: readFacets,
  fields: readFieldsLimit,
  patterns: (parameters) => readPatterns(parameters, NOW),
  aggregate: readAggregate,
}

const parametersIn = (query: string) => [...new URLSearchParams(query.replaceAll('+', '%2B'))]

const reads = (door: string, query: string, data: unknown) =>
  it(`${door}?${query}`, () => {
    expect(DOORS[door]!(parametersIn(query))).toEqual({ ok: true, data })
  })

const refuses = (door: string, query: string, parameter: string, message: string) =>
  it(`${door}?${query}`, () => {
    const read = DOORS[door]!(parametersIn(query))
    const error = { code: 'bad_request', message, details: { parameter } }
    expect(read).toEqual({ ok: false, error })
  })

const column = (name: string) => ({ name, field: { in: 'column', name } })

describe('what is asked', () => {
  reads('histogram', '', { cut: { buckets: 60 }, by: null, limit: 10 })
  reads('histogram', 'interval=5m&by=level&limit=3', {
    cut: { intervalMs: 300_000 },
    by: { name: 'level', field: { in: 'level' } },
    limit: 3,
  })
  reads('facets', '', {
    fields: [column('service'), { name: 'level', field: { in: 'level' } }, column('environment')],
    limit: 10,
  })
  reads('facets', 'fields=attr."a,b",http.route,body.x\\,y&limit=100', {
    fields: [
      { name: 'attr."a,b"', field: { in: 'attr', name: 'a,b' } },
      { name: 'http.route', field: { in: 'bare', name: 'http.route' } },
      { name: 'body.x\\,y', field: { in: 'body', name: 'x,y' } },
    ],
    limit: 100,
  })
  reads('fields', 'limit=1000', 1000)
  reads('patterns', '', { buckets: 24, limit: 50, compare: null })
  reads('patterns', 'compare=1h&since=2h&buckets=1&limit=500', {
    buckets: 1,
    limit: 500,
    compare: { lengthMs: 3_600_000 },
  })
  reads('patterns', 'compare=2h..1h', {
    buckets: 24,
    limit: 50,
    compare: {
      since: { ms: NOW - 7_200_000, ns: 0 },
      until: { ms: NOW - 3_600_000, ns: 0 },
    },
  })
  reads('aggregate', '', {
    value: null,
    by: [],
    functions: [{ name: 'count', is: 'count' }],
    intervalMs: null,
    limit: 10,
  })
  reads('aggregate', 'value=duration_ms&by=service,level&fn=max,p99.9,p0&interval=1m', {
    value: { name: 'duration_ms', field: { in: 'bare', name: 'duration_ms' } },
    by: [column('service'), { name: 'level', field: { in: 'level' } }],
    functions: [
      { name: 'max', is: 'max' },
      { name: 'p99.9', is: 'quantile', part: 99.9 / 100 },
      { name: 'p0', is: 'quantile', part: 0 },
    ],
    intervalMs: 60_000,
    limit: 10,
  })
})

describe('what is refused', () => {
  refuses(
    'histogram',
    'interval=abc',
    'interval',
    'interval must be like 30s, 5m, 1h or 1d, not "abc"',
  )
  refuses(
    'histogram',
    'interval=0s',
    'interval',
    'interval must be like 30s, 5m, 1h or 1d, not "0s"',
  )
  refuses(
    'histogram',
    'buckets=2001',
    'buckets',
    'buckets must be a whole number from 1 to 2000, not "2001"',
  )
  refuses(
    'histogram',
    'buckets=5&interval=1m',
    'buckets',
    'interval and buckets say the same: give one of them',
  )
  refuses(
    'histogram',
    'limit=5',
    'limit',
    'limit is how many values of a field are shown: it needs by',
  )
  refuses(
    'histogram',
    'by=level&limit=101',
    'limit',
    'limit must be a whole number from 1 to 100, not "101"',
  )
  refuses(
    'histogram',
    'by=message',
    'by',
    'by: message is no field: messages are told apart by pattern',
  )
  refuses(
    'histogram',
    'by=timestamp',
    'by',
    'by: timestamp can not be searched: use the parameters since and until',
  )
  refuses('histogram', 'by=a b', 'by', 'by: "a b" is no name of a field')
  refuses('histogram', 'by=a:b', 'by', 'by: "a:b" is no name of a field')
  refuses('histogram', 'by="a', 'by', 'by: a quote is opened and not closed')
  refuses('facets', 'fields=service,,level', 'fields', 'fields names a field without a name')
  refuses('facets', 'fields=service,level,service', 'fields', 'fields names "service" twice')
  refuses(
    'facets',
    `fields=${'abcdefghijk'.split('').join(',')}`,
    'fields',
    'fields names 11 fields, at most 10',
  )
  refuses('facets', 'limit=0', 'limit', 'limit must be a whole number from 1 to 100, not "0"')
  refuses(
    'fields',
    'limit=1001',
    'limit',
    'limit must be a whole number from 1 to 1000, not "1001"',
  )
  refuses('patterns', 'limit=501', 'limit', 'limit must be a whole number from 1 to 500, not "501"')
  refuses(
    'patterns',
    'buckets=201',
    'buckets',
    'buckets must be a whole number from 1 to 200, not "201"',
  )
  refuses(
    'patterns',
    'compare=1h',
    'compare',
    'compare=1h is the time before since: it needs since',
  )
  refuses(
    'patterns',
    'compare=x',
    'compare',
    'compare must be a length such as 1h, or since..until, not "x"',
  )
  refuses('patterns', 'compare=1h..2h', 'compare', 'compare ends before it begins: "1h..2h"')
  refuses(
    'patterns',
    'compare=1h..x',
    'compare',
    'compare: "x" is no time: write 15m, 2h or 7d for so long ago, ISO 8601, or seconds, ms, µs or ns since 1970',
  )
  refuses('aggregate', 'fn=avg', 'fn', 'avg is of numbers: it needs value')
  refuses(
    'aggregate',
    'value=n&fn=median',
    'fn',
    '"median" is no function; known are count, sum, avg, min, max and p0 to p100, such as p95 or p99.9',
  )
  refuses(
    'aggregate',
    'value=n&fn=p101',
    'fn',
    '"p101" is no function; known are count, sum, avg, min, max and p0 to p100, such as p95 or p99.9',
  )
  refuses('aggregate', 'value=n&fn=max,max', 'fn', 'fn names "max" twice')
  refuses(
    'aggregate',
    `value=n&fn=${Array.from({ length: 17 }, (_, i) => `p${i}`).join(',')}`,
    'fn',
    'fn names 17 functions, at most 16',
  )
  refuses('aggregate', 'by=a,b,c,d', 'by', 'by names 4 fields, at most 3')
})

describe('the name of a field', () => {
  const named = (text: string, field: unknown) =>
    it(text, () => {
      expect(parseFieldName(text)).toEqual({ ok: true, data: field })
    })

  named('service', { in: 'column', name: 'service' })
  named('severity_number', { in: 'column', name: 'severity_number' })
  named('level', { in: 'level' })
  named('pattern', { in: 'pattern' })
  named('http.route', { in: 'bare', name: 'http.route' })
  named('attr.service', { in: 'attr', name: 'service' })
  named('resource."a b"', { in: 'resource', name: 'a b' })
  named('"a:b"', { in: 'bare', name: 'a:b' })
  named('a\\:b', { in: 'bare', name: 'a:b' })
  named('body.user.id', { in: 'body', name: 'user.id' })
})
