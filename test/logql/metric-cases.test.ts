// Metric queries case by case: what each says of a few records, and what is refused with which words.

import { describe, expect, it } from 'vitest'
import { storedSegment } from '../../src/block/stored.ts'
import { parseLogql } from '../../src/logql/parse.ts'
import type { MetricExpr } from '../../src/logql/syntax.ts'
import { intervalOf, type Steps, windowsOf } from '../../src/logql/windows.ts'
import type { Result } from '../../src/result.ts'
import { batchOf, type RecordSpec } from '../batches.ts'
import { must } from '../tenant/model-world.ts'
import { type RunAnswer, runMetric } from './metric-run.ts'

const T = 1_720_000_020_000
const at = (seconds: number, message: string, rest: Omit<RecordSpec, 'ms' | 'message'> = {}) => ({
  ms: T + seconds * 1000,
  message,
  level: 2,
  text: { service: 'api' },
  ...rest,
})

const RECORDS: RecordSpec[] = [
  at(0, '{"status":200,"took":"10ms"}', { attributes: { size: 3, user: 'ann' } }),
  at(10, '{"status":500,"took":"1s"}', { level: 4, attributes: { size: 9, user: 'bob' } }),
  at(20, '{"broken', { text: { service: 'web' }, attributes: { size: 'many' } }),
  at(30, 'Zeitüberschreitung', { level: 4, text: { service: 'web' }, attributes: { size: 5 } }),
  at(59, 'no more', { attributes: { size: 'NaN' } }),
]

const once: Steps = { start: { ms: T + 60_000, ns: 0 }, stepMs: 1000, count: 1 }

function run(query: string, steps: Steps = once): Result<RunAnswer> {
  const stored = storedSegment(batchOf(RECORDS), 1, T)
  const expr = must(parseLogql(query)) as MetricExpr
  return runMetric([{ stored, file: null, shard: 0 }], expr, steps)
}

/** `{a="b"}` as `a=b`, and the values of all steps. */
function shown(found: Result<RunAnswer>): Record<string, number | number[]> {
  const { series } = must(found)
  return Object.fromEntries(
    series.map(({ labels, points }) => {
      const values = points.map(({ value }) => value)
      const name = Object.entries(labels).map(([name, value]) => `${name}=${value}`)
      return [name.join(' '), values.length === 1 ? values[0]! : values]
    }),
  )
}

const says = (query: string, expected: Record<string, number | number[]>, steps?: Steps) =>
  it(query, () => expect(shown(run(query, steps))).toEqual(expected))

const refuses = (query: string, text: RegExp) =>
  it(`not ${query}`, () => {
    const found = run(query)
    expect(found).toMatchObject({ ok: false, error: { code: 'bad_query' } })
    expect(!found.ok && found.error.message).toMatch(text)
  })

describe('series', () => {
  says('count_over_time({service_name="web"}[1m])', {
    'detected_level=info level=info service=web service_name=web': 1,
    'detected_level=error level=error service=web service_name=web': 1,
  })
  says('sum by (service) (count_over_time({service_name=~".+"}[1m]))', {
    'service=api': 3,
    'service=web': 2,
  })
  says('sum by (nothing) (count_over_time({service_name=~".+"}[1m]))', { '': 5 })
  says('sum without (level, detected_level, service) (rate({service_name="api"}[1m]))', {
    'service_name=api': 0.05,
  })
  // Structured metadata makes series only where the query names it.
  says('count(count_over_time({service_name="api"}[1m]))', { '': 2 })
  says('count(count_over_time({service_name="api"} | user=~"ann|bob" [1m]))', { '': 2 })
  says('max by (user) (count_over_time({service_name="api"}[1m]))', {
    '': 1,
    'user=ann': 1,
    'user=bob': 1,
  })
  says('sum(count_over_time({service_name="api"}[1m])) by (user)', {
    '': 1,
    'user=ann': 1,
    'user=bob': 1,
  })
  // What is unwrapped is no label; of a sum it is one, as in Loki.
  says('max by (size) (max_over_time({service_name="api"} | unwrap size [1m]))', { '': 9 })
  says('sum by (size) (sum_over_time({service_name="api"} | size!="NaN" | unwrap size [1m]))', {
    'size=3': 3,
    'size=9': 9,
  })
  it('are in order of their labels, or as sorted', () => {
    const names = (query: string) => Object.keys(shown(run(query)))
    const counts = 'sum by (service) (count_over_time({service_name=~".+"}[1m]))'
    expect(names(`topk(2, ${counts})`)).toEqual(['service=api', 'service=web'])
  })
})

describe('windows', () => {
  const minuteEach10: Steps = { start: { ms: T + 10_000, ns: 0 }, stepMs: 10_000, count: 4 }
  // A record at the beginning is in, one at the end is not.
  says('sum(count_over_time({service_name=~".+"}[10s]))', { '': [1, 1, 1, 1] }, minuteEach10)
  says('sum(count_over_time({service_name=~".+"}[25s]))', { '': [1, 2, 2, 2] }, minuteEach10)
  says(
    'sum(count_over_time({service_name=~".+"}[5s]))',
    { '': 1 },
    {
      ...minuteEach10,
      start: { ms: T + 15_000, ns: 0 },
      stepMs: 60_000,
      count: 1,
    },
  )
  says(
    'sum(count_over_time({service_name=~".+"}[10s] offset -10s))',
    { '': [1, 1, 1] },
    minuteEach10,
  )

  it('have two intervals a step where the range is no whole number of steps', () => {
    const steps = { start: { ms: 1000, ns: 5 }, stepMs: 100, count: 3 }
    const windows = must(windowsOf(250, 0, steps))
    expect(windows).toMatchObject({ phaseMs: 50, width: 5, intervals: 9 })
    const places = [749, 750, 799, 800, 849, 850, 1199, 1200].map((ms) =>
      intervalOf(windows, ms, 5),
    )
    expect(places).toEqual([-1, 0, 0, 1, 1, 2, 8, -1])
    expect(intervalOf(windows, 750, 4)).toBe(-1)
    expect(intervalOf(windows, 1200, 4)).toBe(8)
  })

  it('leave gaps where the range is shorter than the step', () => {
    const steps = { start: { ms: 1000, ns: 0 }, stepMs: 100, count: 3 }
    const windows = must(windowsOf(30, 0, steps))
    const places = [969, 970, 999, 1000, 1069, 1070].map((ms) => intervalOf(windows, ms, 0))
    expect(places).toEqual([-1, 0, 0, -1, -1, 2])
  })
})

describe('functions', () => {
  const api = '{service_name="api"}'
  says(`bytes_over_time({service_name="web"} |= "Zeit" [1m])`, {
    'detected_level=error level=error service=web service_name=web': 19,
  })
  says(`sum(bytes_rate({service_name="web"} | line_format "é" [1m]))`, { '': 4 / 60 })
  says(`sum(sum_over_time({service_name=~".+"} | unwrap size | __error__="" | size < 9 [1m]))`, {
    '': 8,
  })
  says(`sum(rate(${api} | json | __error__="" | unwrap duration(took) [1m]))`, { '': 1.01 / 60 })
  says(`avg_over_time(${api} | size=~"[39]" | unwrap size [1m]) by (service)`, { 'service=api': 6 })
  says(`stddev_over_time(${api} | size=~"[39]" | unwrap size [1m]) by ()`, { '': 3 })
  says(`stdvar_over_time(${api} | size=~"[39]" | unwrap size [1m]) by ()`, { '': 9 })
  says(`quantile_over_time(0.25, ${api} | size=~"[39]" | unwrap size [1m]) by ()`, { '': 4.5 })
  says(`quantile_over_time(2, ${api} | size="3" | unwrap size [1m]) by ()`, {
    '': Number.POSITIVE_INFINITY,
  })
  says(`first_over_time(${api} | size=~"[39]" | unwrap size [1m]) by ()`, { '': 3 })
  says(`last_over_time(${api} | size=~"[39]" | unwrap size [1m]) by ()`, { '': 9 })
  // No number is the lowest, and none where there is another.
  says(`max_over_time(${api} | unwrap size [1m]) by ()`, { '': 9 })
  says(`min_over_time(${api} | unwrap size [1m]) by ()`, { '': 3 })
  says(`quantile_over_time(0, ${api} | unwrap size [1m]) by ()`, { '': Number.NaN })
  says(`quantile_over_time(0.5, ${api} | unwrap size [1m]) by ()`, { '': 3 })
  says('absent_over_time({service_name="db", level="info", user!="x"}[1m])', {
    'level=info service_name=db': 1,
  })
  says('absent_over_time({service_name="web"}[1m])', {})
})

describe('errors', () => {
  refuses(
    'rate({service_name=~".+"} | json [1m])',
    /^pipeline error: 'JSONParserErr' for series: '\{.*__error__="JSONParserErr".*service_name="web".*\}'\.\nUse a label filter to intentionally skip this error\. \(e\.g \| __error__!="JSONParserErr"\)\./,
  )
  refuses(
    'sum_over_time({service_name=~".+"} | unwrap size [1m])',
    /^pipeline error: 'SampleExtractionErr' for series: '\{.*size="many".*\}'/,
  )
  says('sum(count_over_time({service_name=~".+"} | json | __error__="" [1m]))', { '': 2 })
  // Nobody reads a label, so no line is parsed.
  says('sum(count_over_time({service_name=~".+"} | json [1m]))', { '': 5 })
  says('sum by (__error__) (count_over_time({service_name=~".+"} | json [1m]))', {
    '': 2,
    '__error__=JSONParserErr': 3,
  })
  says('sum(count_over_time({service_name=~".+"} | json | __error__="JSONParserErr" [1m]))', {
    '': 3,
  })
})

describe('operators', () => {
  const by = (labels: string) => `sum by (${labels}) (count_over_time({service_name=~".+"}[1m]))`
  says(`${by('service')} / 0`, { 'service=api': Number.NaN, 'service=web': Number.NaN })
  says(`${by('service')} > 2`, { 'service=api': 3 })
  says(`2 < ${by('service')}`, { 'service=api': 3 })
  says(`${by('service')} > bool 2`, { 'service=api': 1, 'service=web': 0 })
  says(`${by('service, level')} / on (service) group_left () ${by('service')}`, {
    'level=error service=api': 1 / 3,
    'level=info service=api': 2 / 3,
    'level=error service=web': 1 / 2,
    'level=info service=web': 1 / 2,
  })
  says(`${by('service')} * ignoring (level) group_right () ${by('service, level')}`, {
    'level=error service=api': 3,
    'level=info service=api': 6,
    'level=error service=web': 2,
    'level=info service=web': 2,
  })
  says(`${by('service')} and ${by('service')} > 2`, { 'service=api': 3 })
  says(`${by('service')} unless ${by('service')} > 2`, { 'service=web': 2 })
  says(`${by('service')} > 2 or vector(0)`, { '': 0, 'service=api': 3 })
  says(`(1 ^ (0 / 0)) * vector(2)`, { '': 2 })
  refuses(
    `${by('service')} / on (service) ${by('service, level')}`,
    /^found duplicate series on the right hand-side; ?many-to-many matching not allowed/,
  )
  refuses(
    `${by('service, level')} / on (service) ${by('service')}`,
    /^multiple matches for labels: many-to-one matching must be explicit/,
  )
  says(`label_replace(${by('service')}, "first", "<$1>$2$$", "service", "(.).*")`, {
    'first=<a>$ service=api': 3,
    'first=<w>$ service=web': 2,
  })
  const doubled = Array.from({ length: 30 }).reduce(
    (of: string) => `label_replace(${of}, "a", "$1$1", "a", "(.*)")`,
    'label_replace(vector(1), "a", "xxxx", "", "")',
  )
  refuses(doubled, /^label_replace makes a longer than 65536 characters$/)
  refuses(
    `label_replace(${by('service')}, "service", "", "service", ".*")`,
    /^two series of the answer have the labels \{\}/,
  )
  says(`sum(label_replace(${by('service')}, "service", "", "service", ".*"))`, { '': 5 })
  says(`stddev(${by('service')})`, { '': 0.5 })
  says(`topk(1, ${by('service')})`, { 'service=api': 3 })
  says(`bottomk(1, ${by('service, level')} > 1 or ${by('service')}) by (level)`, {
    'level=info service=api': 2,
    'service=web': 2,
  })
})

describe('quantiles of more numbers than are kept', () => {
  it('are off by no more than is told', () => {
    const specs = Array.from({ length: 5000 }, (_, i) =>
      at(i / 100, 'x', { attributes: { size: ((i * 7919) % 5000) / 10 - 100 } }),
    )
    const stored = storedSegment(batchOf(specs), 1, T)
    const parts = [{ stored, file: null, shard: 0 }]
    const steps = { start: { ms: T + 10_000, ns: 0 }, stepMs: 10_000, count: 5 }
    for (const part of [0, 0.1, 0.5, 0.99, 1]) {
      const query = `quantile_over_time(${part}, {service_name="api"} | unwrap size [30s]) by ()`
      const expr = must(parseLogql(query)) as MetricExpr
      const exact = must(runMetric(parts, expr, steps))
      const bounds = { numbers: 1000, bins: 600 }
      const estimated = must(runMetric(parts, expr, steps, { bounds }))
      expect(exact.relativeError).toBe(null)
      const error = estimated.relativeError!
      expect(error).toBeGreaterThan(0)
      expect(error).toBeLessThan(0.3)
      for (const [i, { value }] of exact.series[0]!.points.entries()) {
        const other = estimated.series[0]!.points[i]!.value
        // Between two numbers one of which is next to it.
        expect(Math.abs(other - value)).toBeLessThanOrEqual(error * (Math.abs(value) + 0.2) + 0.2)
      }
    }
  })
})
