// Loki itself beside the product: the same records pushed to both, the same queries asked of both, and the
// same answers expected of both, but for what is listed as a departure.

import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Client, clientOf } from '../process/client.ts'
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

const RANGE = { start: ns(START_MS), end: ns(START_MS + HOUR_MS) }
const API = '{service_name="api"}'

/** Other doors than those of queries. */
const DOORS: readonly { path: string; parameters: Record<string, string> }[] = [
  { path: 'labels', parameters: {} },
  { path: 'labels', parameters: { query: API } },
  { path: 'label/level/values', parameters: {} },
  { path: 'label/level/values', parameters: { query: '{service_name="nginx"}' } },
  { path: 'label/environment/values', parameters: { query: '{version=~".+"}' } },
  { path: 'series', parameters: { 'match[]': '{service_name=~".+"}' } },
  { path: 'series', parameters: { match: '{environment="staging", service_name=~"a.*"}' } },
  { path: 'detected_labels', parameters: {} },
  { path: 'detected_labels', parameters: { query: API } },
  { path: 'detected_fields', parameters: { query: API } },
  { path: 'detected_fields', parameters: { query: `${API} | json | status>=500` } },
  { path: 'detected_fields', parameters: { query: '{service_name="web"}' } },
  { path: 'detected_fields', parameters: { query: '{service_name="jobs"}' } },
  { path: 'detected_field/method/values', parameters: { query: API } },
  { path: 'detected_field/owner/values', parameters: { query: '{service_name="jobs"}' } },
]

const REFUSALS: readonly { path: string; parameters: Record<string, string> }[] = [
  { path: 'query_range', parameters: { query: '' } },
  { path: 'query_range', parameters: { query: API, limit: '0' } },
  { path: 'query_range', parameters: { query: API, limit: 'x' } },
  { path: 'query_range', parameters: { query: API, start: 'abc' } },
  { path: 'query_range', parameters: { query: API, direction: 'sideways' } },
  { path: 'query_range', parameters: { query: API, end: ns(START_MS - 1) } },
  { path: 'query_range', parameters: { query: `rate(${API}[5m])`, step: '0' } },
  { path: 'query_range', parameters: { query: `rate(${API}[5m])`, step: 'x' } },
  { path: 'query_range', parameters: { query: `rate(${API}[5m])`, step: '1ms' } },
  { path: 'query', parameters: { query: API } },
  { path: 'query', parameters: { query: '{service_name="api"' } },
]

const PAGES = ['forward', 'backward'].flatMap((direction) => [
  { direction, limit: '7', query: '{service_name=~".+"}' },
  { direction, limit: '5', query: `${API} | json | status>=500` },
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
    const client = clientOf(collector.url, collector.adminKey)
    const app = await client.makeApp('oracle')
    const basic = (key: string) => ({ authorization: `Basic ${btoa(`any:${key}`)}` })
    ours = {
      url: collector.url,
      readHeaders: basic(app.readKey),
      pushHeaders: basic(app.ingestKey),
    }
    theirs = { url: loki.url, readHeaders: {}, pushHeaders: {} }
    const records = lokiRecords(SEED, START_MS)
    // Two blocks, and what is not sealed yet.
    const part = Math.floor(records.length / 3)
    for (const from of [0, part, 2 * part]) {
      const to = from === 2 * part ? records.length : from + part
      await push(ours, records.slice(from, to), (stream) => stream)
      if (to < records.length) await seal(client, app.appId)
    }
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
    const { body } = await ask(ours, 'series', { 'match[]': ALL, ...RANGE })
    expect((body as { data: unknown[] }).data.length).toBeGreaterThan(20)
  })

  it.each(DOORS)('answers the same at $path $parameters', async ({ path, parameters }) => {
    const [our, their] = await Promise.all(
      [ours, theirs].map((target) => ask(target, path, { ...RANGE, ...parameters })),
    )
    expect(their!.status).toBe(200)
    expect(unordered(our!.body)).toEqual(unordered(their!.body))
  })

  it.each(REFUSALS)(
    'refuses in the same words: $path $parameters',
    async ({ path, parameters }) => {
      const [our, their] = await Promise.all(
        [ours, theirs].map((target) => ask(target, path, { ...RANGE, ...parameters })),
      )
      expect(their!.status).toBe(400)
      expect(our).toEqual(their)
    },
  )

  it.each(PAGES)('finds the same lines first: $direction $limit $query', async (parameters) => {
    const [our, their] = await Promise.all(
      [ours, theirs].map((target) => ask(target, 'query_range', { ...RANGE, ...parameters })),
    )
    expect(canonical(their!).length).toBe(Number(parameters.limit) + 1)
    expectSame(our!, their!)
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

/**
 * A list or an object of lists as JSON whose order is nobody's promise, less the field that only we
 * have, and the one that is always empty.
 */
function unordered(body: unknown): string[] {
  const { data, detectedLabels, fields, values } = body as Record<string, unknown[] | undefined>
  return (data ?? detectedLabels ?? fields ?? values ?? [])
    .map((one) =>
      JSON.stringify(typeof one === 'string' ? one : Object.entries(one as object).sort()),
    )
    .filter((text) => !/\["label","(?:severity_text|empty)"\]/.test(text))
    .sort()
}

async function seal(client: Client, appId: string): Promise<void> {
  const flushed = `/flush?app_id=${appId}&older_than=0s`
  const { jobs } = await client.admin<{ jobs: { job_id: string }[] }>('POST', flushed)
  for (const { job_id } of jobs) {
    let state = 'running'
    for (let tries = 0; state === 'running' && tries < 300; tries++) {
      await sleep(100)
      ;({ state } = await client.admin<{ state: string }>('GET', `/apps/${appId}/jobs/${job_id}`))
    }
    if (state !== 'done') throw new Error(`sealing is ${state}`)
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
