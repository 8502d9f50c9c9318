// The questions of questions.ts in LogQL, at Loki's API. A count is an instant query over all of the time,
// to whole minutes. A line filter finds a text also within words, so some answers are others.

import { between, expect, numbers, type Question } from './questions.ts'
import { MINUTE_MS, type Sent, type Tally } from './sent.ts'
import type { Answer, LokiSeries } from './targets.ts'

const ALL = '{service_name=~".+"}'

export function logqlQuestionsOf(sent: Sent): Question[] {
  return [...linesOf(sent), ...countsOf(sent), byLevelOf(sent), ...groupsOf(sent)]
}

/** Of few patterns: what they can answer alone. */
export const fewLogqlQuestionsOf = (sent: Sent): Question[] =>
  countsOf(sent)
    .filter(({ name }) => name.includes('gave up after'))
    .map((question) => ({ ...question, name: `few patterns, ${question.name}` }))

function rangeOf({ firstMs, lastMs }: Sent) {
  const startMs = firstMs - (firstMs % MINUTE_MS)
  const endMs = lastMs - (lastMs % MINUTE_MS) + MINUTE_MS
  return { startMs, endMs, over: `[${endMs - startMs}ms]` }
}

const nanos = (ms: number) => `${ms}000000`

function linesOf(sent: Sent): Question[] {
  const { startMs, endMs } = rangeOf(sent)
  const lines = (name: string, query: string, times: bigint[]): Question => ({
    ...{ name: `LogQL ${name}`, path: 'loki/api/v1/query_range', reach: 'few' },
    parameters: { query, start: nanos(startMs), end: nanos(endMs), limit: '100' },
    check({ result }) {
      const found = result!.flatMap(({ values }) => values!.map(([time]) => String(time)))
      expect(name, found.sort(), times.map(String).sort())
      return found.length
    },
  })
  const ofTrace = sent.middle.filter(
    ({ traceId }) => Buffer.from(traceId).toString('hex') === sent.trace.id,
  )
  return [
    lines('newest 100', ALL, sent.newest),
    lines(
      'newest 100 of status >= 500',
      `${ALL} | http_response_status_code >= 500`,
      sent.newestFailed,
    ),
    lines(
      'a trace id',
      `${ALL} | trace_id="${sent.trace.id}"`,
      ofTrace.map(({ timeNs }) => timeNs),
    ),
  ]
}

function instant(
  sent: Sent,
  name: string,
  query: string,
  check: (result: LokiSeries[], answer: Answer) => number,
): Question {
  const { endMs } = rangeOf(sent)
  return {
    ...{ name: `LogQL ${name}`, path: 'loki/api/v1/query', reach: 'all' },
    parameters: { query, time: nanos(endMs) },
    check: (answer) => check(answer.result!, answer),
  }
}

function countsOf(sent: Sent): Question[] {
  const { over } = rangeOf(sent)
  const count = (name: string, query: string, expected: number) =>
    instant(sent, name, `sum(count_over_time(${query} ${over}))`, (result) => {
      expect(name, Number(result[0]?.value?.[1]), expected)
      return expected
    })
  const found = (search: string) => sent.found.get(search)!
  return [
    count('count: everything', ALL, sent.records),
    count('count: |= "authenticated"', `${ALL} |= "authenticated"`, found('holdsDecided')),
    count('count: |= "gave up after"', `${ALL} |= "gave up after"`, found('holdsPhrase')),
    count('count: |= "200"', `${ALL} |= "200"`, found('holdsScanned')),
    count('count: |~ "took \\d+ ms$"', `${ALL} |~ "took \\\\d+ ms$"`, found('regex')),
    count('count: level and service', '{level="error", service_name="gateway"}', found('fields')),
    count('count: status >= 500', `${ALL} | http_response_status_code >= 500`, found('failed')),
    count(
      'count: regexp and its number > 100',
      `${ALL} |= "took" | regexp "took (?P<took>\\\\d+) ms$" | took > 100`,
      found('slow'),
    ),
  ]
}

function byLevelOf(sent: Sent): Question {
  const { startMs, endMs } = rangeOf(sent)
  const name = 'histogram by level'
  return {
    ...{ name: `LogQL ${name}`, path: 'loki/api/v1/query_range', reach: 'all' },
    parameters: {
      query: `sum by (level) (count_over_time(${ALL} [1m]))`,
      start: nanos(startMs + MINUTE_MS),
      end: nanos(endMs),
      step: '60',
    },
    check({ result }) {
      const found: Tally = new Map()
      for (const { metric, values } of result!) {
        for (const [seconds, count] of values!) {
          found.set(`${Number(seconds) * 1000 - MINUTE_MS} ${metric!.level}`, Number(count))
        }
      }
      expect(name, [...found].sort(), [...sent.minutesByLevel].sort())
      return sent.records
    },
  }
}

function groupsOf(sent: Sent): Question[] {
  const { over } = rangeOf(sent)
  const p95 = new Map([...sent.durations].map(([service, ms]) => [service, between(ms, 0.95)]))
  const topRoutes = `topk(10, sum by (http_route) (count_over_time(${ALL} ${over})))`
  const quantile = `quantile_over_time(0.95, ${ALL} | unwrap duration_ms ${over}) by (service_name)`
  return [
    instant(sent, 'top 10 routes by count', topRoutes, (result) => {
      const counts = result.map(({ value }) => Number(value![1])).sort((a, b) => b - a)
      expect('top routes', counts, numbers(sent.routes, 10))
      return sent.records
    }),
    instant(sent, 'p95 of duration_ms by service', quantile, (result) => {
      expect('services', result.length, p95.size)
      for (const { metric, value } of result) {
        const expected = p95.get(metric!.service_name!)!
        const off = Math.abs(Number(value![1]) - expected) / expected
        if (off > 0.01) throw new Error(`${metric!.service_name}: ${value![1]}, not ${expected}`)
      }
      return sent.records
    }),
  ]
}
