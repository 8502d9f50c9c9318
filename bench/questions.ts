// The questions that are asked of a corpus, and what each must answer, by what was sent (sent.ts).

import type { CorpusRecord } from './corpus.ts'
import { MINUTE_MS, type Sent, serviceOf, type Tally } from './sent.ts'
import type { Answer } from './targets.ts'

export interface Question {
  name: string
  path: string
  parameters: Record<string, string>
  /**
   * Of how many records the answer is: all of them are looked at, or what a catalog or a filter leaves
   * of them; or it ends early, or knows where to look.
   */
  reach: 'all' | 'few'
  /** What was found. Throws where it is not what was sent. */
  check(answer: Answer): number
}

/** Names that goals.ts and the comparisons know. */
export const NAMES = {
  newest: 'newest 100',
  trace: 'a trace id',
  scanned: 'count: a word of digits, 200',
  decided: 'count: a word, authenticated',
  failed: 'count: status >= 500',
  everything: 'count: everything',
  byLevel: 'histogram by level',
  routes: 'top 10 routes by count',
  p95: 'p95 of duration_ms by service',
} as const

/** Of a corpus whose messages have more patterns than a block keeps. */
export function questionsOf(sent: Sent): Question[] {
  return [...pagesOf(sent), ...countsOf(sent), ...seriesOf(sent), ...groupsOf(sent)]
}

/** Of one whose messages have few: its blocks keep them all, and catalogs can count by them. */
export function fewQuestionsOf(sent: Sent): Question[] {
  const few = 'few patterns, '
  return [
    ...countsOf(sent).filter(({ parameters: { q } }) =>
      ['decided', 'many', 'phrase'].some((name) => q === sent.searches[name]!.q),
    ),
    ...seriesOf(sent).filter(({ name }) => name.includes('authenticated')),
    patternsOf(sent),
  ].map((question) => ({ ...question, name: few + question.name }))
}

export function expect(what: string, found: unknown, expected: unknown): void {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)]
  if (a !== b) throw new Error(`${what}: ${a?.slice(0, 400)}, but ${b?.slice(0, 400)} was sent`)
}

const newestFirst = (times: bigint[]) => times.map(String).reverse()

function pagesOf(sent: Sent): Question[] {
  const { trace, middle } = sent
  const page = (name: string, parameters: Record<string, string>, times: bigint[]): Question => ({
    ...{ name, path: 'logs', parameters: { ...parameters, limit: '100' }, reach: 'few' },
    check({ logs }) {
      expect(
        name,
        logs!.map((log) => log.time_unix_nano),
        newestFirst(times),
      )
      return logs!.length
    },
  })
  const ofTrace = middle.filter(({ traceId }) => Buffer.from(traceId).toString('hex') === trace.id)
  const times = ofTrace.map(({ timeNs }) => timeNs)
  return [
    page(NAMES.newest, {}, sent.newest),
    page('newest 100 of status >= 500', { q: sent.searches.failed!.q! }, sent.newestFailed),
    page(NAMES.trace, { trace_id: trace.id }, times),
    {
      ...{
        name: 'GET /traces/:trace_id',
        path: `traces/${trace.id}`,
        parameters: {},
        reach: 'few',
      },
      check({ records }) {
        expect(
          'the trace',
          records!.map((log) => log.time_unix_nano),
          times.map(String),
        )
        return records!.length
      },
    },
  ]
}

/** The neighbours of the record in the middle, by its id. */
export function contextOf({ middle }: Sent, id: string): Question {
  const name = 'GET /logs/:id/context'
  const at = middle.length >> 1
  const isKin = (record: CorpusRecord) => serviceOf(record) === serviceOf(middle[at]!)
  const times = (records: CorpusRecord[]) => records.map(({ timeNs }) => String(timeNs))
  return {
    ...{ name, path: `logs/${id}/context`, parameters: {}, reach: 'few' },
    check({ before, after }) {
      const near = [
        middle.slice(0, at).filter(isKin).slice(-10),
        middle.slice(at + 1).filter(isKin),
      ]
      expect(
        name,
        before!.map((log) => log.time_unix_nano),
        times(near[0]!),
      )
      expect(
        name,
        after!.map((log) => log.time_unix_nano),
        times(near[1]!.slice(0, 10)),
      )
      return before!.length + after!.length
    },
  }
}

const COUNTED: Record<string, string> = {
  scanned: NAMES.scanned,
  decided: NAMES.decided,
  many: 'count: a word, completed',
  phrase: 'count: a phrase, "gave up after"',
  rare: 'count: a rare word, 4242',
  prefix: 'count: auth*',
  within: 'count: *cart*',
  regex: 'count: message:/took \\d+ ms$/',
  fieldRegex: 'count: a regex on http.route',
  failed: NAMES.failed,
  fields: 'count: level and service',
  not: 'count: level:>=warn -service -"phrase"',
  or: 'count: word OR "phrase" OR level',
  user: 'count: any:<a user id>',
}

function countsOf(sent: Sent): Question[] {
  const path = 'logs/count'
  const searches = Object.entries(COUNTED).map(([search, name]): Question => {
    const expected = sent.found.get(search)!
    return {
      ...{ name, path, parameters: { q: sent.searches[search]!.q! }, reach: 'all' },
      check({ count }) {
        expect(name, count, expected)
        return count!
      },
    }
  })
  return [
    {
      ...{ name: NAMES.everything, path, parameters: {}, reach: 'all' },
      check({ count }) {
        expect(NAMES.everything, count, sent.records)
        return count!
      },
    },
    ...searches,
  ]
}

/** Histograms, a bucket a minute, over whole minutes. */
function seriesOf(sent: Sent): Question[] {
  const range = {
    since: `${sent.firstMs - (sent.firstMs % MINUTE_MS)}`,
    until: `${sent.lastMs - (sent.lastMs % MINUTE_MS) + MINUTE_MS}`,
  }
  const histogram = (
    name: string,
    parameters: Record<string, string>,
    expected: Tally,
  ): Question => ({
    ...{ name, path: 'logs/histogram', reach: 'all' },
    parameters: { ...range, interval: '1m', ...parameters },
    check({ buckets, total }) {
      const found: Tally = new Map()
      for (const { time, count, values } of buckets!) {
        if (!parameters.by && count > 0) found.set(`${time}`, count)
        for (const [value, n] of Object.entries(values ?? {})) found.set(`${time} ${value}`, n)
      }
      expect(name, [...found].sort(), [...expected].sort())
      return total!
    },
  })
  const { decided, scanned } = sent.searches
  return [
    histogram(NAMES.byLevel, { by: 'level' }, sent.minutesByLevel),
    histogram('histogram of a word, authenticated', { q: decided!.q! }, sent.minutesOfWord),
    histogram(
      'histogram by service of a word of digits, 200',
      { q: scanned!.q!, by: 'service' },
      sent.minutesOfScanned,
    ),
  ]
}

const byCount = (tally: Tally) => [...tally].sort((a, b) => b[1] - a[1])
export const numbers = (tally: Tally, limit: number) =>
  byCount(tally)
    .slice(0, limit)
    .map(([, n]) => n)

function groupsOf(sent: Sent): Question[] {
  const { services, levels, routes } = sent
  const facets = 'facets: service, level, http.route'
  return [
    {
      ...{ name: facets, path: 'logs/facets', reach: 'all' },
      parameters: { fields: 'service,level,http.route' },
      check({ fields, total }) {
        const found = fields!.map(({ values }) => values!.map(({ count }) => count))
        expect(
          facets,
          found,
          [services, levels, routes].map((tally) => numbers(tally, 10)),
        )
        return total!
      },
    },
    {
      ...{ name: NAMES.routes, path: 'logs/aggregate', reach: 'all' },
      parameters: { by: 'http.route', limit: '10' },
      check({ groups, total }) {
        expect(
          NAMES.routes,
          groups!.map(({ count }) => count),
          numbers(routes, 10),
        )
        return total!
      },
    },
    quantilesOf(sent),
    patternsOf(sent),
    {
      ...{ name: 'fields', path: 'logs/fields', parameters: {}, reach: 'all' },
      check({ fields, total }) {
        const found = fields!.find(({ name }) => name === 'http.response.status_code')
        expect('records with a status', found?.count, sent.withStatus.records)
        return total!
      },
    },
  ]
}

function patternsOf(sent: Sent): Question {
  return {
    ...{ name: 'patterns', path: 'logs/patterns', parameters: {}, reach: 'all' },
    check({ patterns, total }) {
      expect('patterns', total, sent.records)
      const found = patterns!.find(({ pattern }) => pattern?.includes('authenticated'))
      expect('records of a pattern', found?.count, sent.found.get('decided'))
      return total!
    },
  }
}

function quantilesOf({ durations }: Sent): Question {
  const exact = new Map([...durations].map(([service, ms]) => [service, between(ms, 0.95)]))
  return {
    ...{ name: NAMES.p95, path: 'logs/aggregate', reach: 'all' },
    parameters: { value: 'duration_ms', by: 'service', fn: 'p95' },
    check({ groups, total, relative_error: error = 0 }) {
      expect('services', groups!.length, exact.size)
      for (const { by, p95 } of groups!) {
        const expected = exact.get(by.service!)!
        const off = Math.abs(p95! - expected) / expected
        if (off > error + 0.0001) throw new Error(`p95 of ${by.service}: ${p95}, not ${expected}`)
      }
      return total!
    },
  }
}

/** A quantile, between two numbers in proportion. */
export function between(numbers: number[], share: number): number {
  const ascending = Float64Array.from(numbers).sort()
  const rank = share * (ascending.length - 1)
  const below = ascending[Math.floor(rank)]!
  return below + (rank % 1) * ((ascending[Math.ceil(rank)] ?? below) - below)
}
