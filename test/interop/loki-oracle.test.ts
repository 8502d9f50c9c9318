// Loki itself beside the product: the same records pushed to both, the same queries asked of both, and the
// same answers expected of both, but for what is listed as a departure.

import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { clientOf } from '../process/client.ts'
import { type Collector, startCollector } from '../process/collector.ts'
import { type Loki, startLoki } from './loki.ts'
import { alike, ask, canonical, type LokiAnswer, push, type Target } from './loki-client.ts'
import {
  BAD_QUERIES,
  DEPARTURES,
  type Kind,
  LOG_QUERIES,
  METRIC_QUERIES,
  randomQueries,
  SORTED_QUERIES,
} from './loki-queries.ts'
import { lokiRecords, type PushRecord } from './loki-records.ts'
import { missing, titled } from './run.ts'

const SEED = Number(process.env.LOKI_SEED ?? 20_261_122)
const RANDOM_QUERIES = Number(process.env.LOKI_QUERIES ?? 300)
const HOUR_MS = 3_600_000
/** Whole hours, so that the same records lie the same in every run. */
const START_MS = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 2 * HOUR_MS
const ns = (ms: number) => `${ms}000000`

/**
 * A record has these labels here without having been pushed with them. Loki is given them by name, so
 * that both sides have the same streams and nothing has to be left out of a comparison.
 */
const withOurs = (stream: PushRecord['stream']) => ({
  ...stream,
  service: stream.service_name!,
  detected_level: stream.level!,
})

/** Loki's answer to these is empty, and that is what they are for; any other empty answer compares nothing. */
const EMPTY = new Set([
  '{service_name="nowhere"}',
  'avg_over_time({service_name="api"} | json | unwrap missing [10m])',
])

interface Case {
  kind: Kind
  query: string
}

const reason = missing('loki')
describe.skipIf(reason)(titled('Loki beside the product', reason), () => {
  let collector: Collector
  let loki: Loki
  let ours: Target
  let theirs: Target

  beforeAll(async () => {
    ;[collector, loki] = await Promise.all([startCollector(), startLoki()])
    const app = await clientOf(collector.url, collector.adminKey).makeApp('oracle')
    const basic = (key: string) => ({ authorization: `Basic ${btoa(`any:${key}`)}` })
    ours = {
      url: collector.url,
      readHeaders: basic(app.readKey),
      pushHeaders: basic(app.ingestKey),
    }
    theirs = { url: loki.url, readHeaders: {}, pushHeaders: {} }
    const records = lokiRecords(SEED, START_MS)
    await push(ours, records, (stream) => stream)
    await push(theirs, records, withOurs)
    // What it shows of itself is what was pushed: its index is written behind.
    for (let tries = 0; (await streamsOf(theirs)) === 0 && tries < 50; tries++) await sleep(100)
  })
  afterAll(async () => {
    await loki?.stop()
    await collector?.stop()
  })

  const streamsOf = async (target: Target) =>
    canonical(await ask(target, 'query_range', parametersOf({ kind: 'logs', query: ALL }))).length

  const ALL = '{service_name=~".+"}'

  async function both(one: Case): Promise<[LokiAnswer, LokiAnswer]> {
    const path = one.kind === 'instant' ? 'query' : 'query_range'
    const parameters = parametersOf(one)
    return Promise.all([ask(ours, path, parameters), ask(theirs, path, parameters)])
  }

  it('holds the same streams', async () => {
    const range = { start: ns(START_MS), end: ns(START_MS + HOUR_MS) }
    const answers = await Promise.all(
      [ours, theirs].map(async (target) => {
        const { body } = await ask(target, 'series', { 'match[]': ALL, ...range })
        const { data } = body as { data: Record<string, string>[] }
        return data.map((stream) => JSON.stringify(Object.entries(stream).sort())).sort()
      }),
    )
    expect(answers[0]!.length).toBeGreaterThan(20)
    expect(answers[0]).toEqual(answers[1])
  })

  const table: Case[] = [
    ...LOG_QUERIES.map((query) => ({ kind: 'logs' as const, query })),
    ...METRIC_QUERIES.map((query) => ({ kind: 'range' as const, query })),
    ...METRIC_QUERIES.map((query) => ({ kind: 'instant' as const, query })),
  ]
  it.each(table)('$kind $query', async (one) => {
    const [our, their] = await both(one)
    expect(their.status, String(their.body)).toBe(200)
    if (one.kind !== 'instant' && !EMPTY.has(one.query)) {
      expect(canonical(their).length).toBeGreaterThan(1)
    }
    expectSame(our, their)
  })

  it.each(DEPARTURES)('otherwise: $query, as $because', async ({ kind, query, theirs: same }) => {
    const [our, their] = await both({ kind, query })
    expect(their.status).toBe(200)
    expect(canonical(our)).not.toEqual(canonical(their))
    if (same === null) expect(our.status).toBe(400)
    else expectSame(our, (await both({ kind, query: same }))[1])
  })

  it.each(SORTED_QUERIES)('in its order: %s', async (query) => {
    const [our, their] = await both({ kind: 'instant', query })
    const values = (answer: LokiAnswer) =>
      canonical(answer, true).map((line) => line.slice(line.lastIndexOf(':')))
    expect(values(their).length).toBeGreaterThan(10)
    expect(values(our)).toEqual(values(their))
  })

  it('writes queries the same, but for quotes and blanks at the ends of lines', async () => {
    const written = async (target: Target, query: string) => {
      const { body } = await ask(target, 'format_query', { query })
      const { data } = body as { data: string }
      return data.replaceAll('`', '"').replace(/ +$/gm, '')
    }
    const { logs, metrics } = randomQueries(SEED, 100)
    for (const query of [...LOG_QUERIES, ...METRIC_QUERIES, ...logs, ...metrics]) {
      // Loki writes 1.0kB of it, which is less.
      if (query.includes('1KiB')) continue
      expect(await written(ours, query)).toBe(await written(theirs, query))
    }
  })

  it.each(BAD_QUERIES)('refuses %s', async (query) => {
    const [our, their] = await both({ kind: 'range', query })
    expect([our.status, their.status], String(our.body)).toEqual([400, 400])
    expect(typeof our.body).toBe('string')
  })

  it(`answers ${RANDOM_QUERIES} random queries of seed ${SEED} the same`, async () => {
    const { logs, metrics } = randomQueries(SEED, RANDOM_QUERIES)
    const cases: Case[] = [
      ...logs.map((query) => ({ kind: 'logs' as const, query })),
      ...metrics.map((query, i) => ({ kind: i % 3 === 0 ? 'instant' : 'range', query }) as const),
    ]
    const different: string[] = []
    let empty = 0
    for (const one of cases) {
      const [our, their] = await both(one)
      const [a, b] = alike(canonical(our), canonical(their))
      if (b.length === 1) empty++
      if (JSON.stringify(a) === JSON.stringify(b)) continue
      different.push(
        `${one.kind} ${one.query}\n${differenceOf(a, b)}\n${a.length > 1 ? '' : our.body}`,
      )
    }
    expect(different.join('\n\n')).toBe('')
    expect(empty).toBeLessThan(RANDOM_QUERIES / 3)
  }, 300_000)
})

function parametersOf({ kind, query }: Case): Record<string, string> {
  const end = ns(START_MS + HOUR_MS)
  switch (kind) {
    case 'logs':
      return { query, start: ns(START_MS), end, limit: '5000', direction: 'forward' }
    case 'range':
      return { query, start: ns(START_MS + 60_000), end, step: '300s' }
    case 'instant':
      return { query, time: ns(START_MS + HOUR_MS / 2) }
  }
}

function expectSame(our: LokiAnswer, their: LokiAnswer): void {
  const [ours, theirs] = alike(canonical(our), canonical(their))
  expect(ours, String(our.body)).toEqual(theirs)
}

/** The first lines that only one of two has. */
function differenceOf(ours: string[], theirs: string[]): string {
  const [our, their] = [new Set(ours), new Set(theirs)]
  const only = [
    ...ours
      .filter((line) => !their.has(line))
      .slice(0, 3)
      .map((line) => `  ours   ${line}`),
    ...theirs
      .filter((line) => !our.has(line))
      .slice(0, 3)
      .map((line) => `  theirs ${line}`),
  ]
  return only.join('\n')
}
