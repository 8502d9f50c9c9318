// Loki's doors over sealed blocks: the same answers, and no block opened for what catalogs know.

import { beforeAll, describe, expect, it, vi } from 'vitest'
import { ADMIN_KEY, type App, makeApp, dataOf as plainDataOf, request } from '../flow/client.ts'
import {
  bodyOf,
  dataOf,
  lokiGet,
  type Matrix,
  RANGE,
  START_MS,
  type Streams,
  send,
  type Vector,
} from './loki-client.ts'

let app: App

beforeAll(async () => {
  app = await makeApp('loki-sealed')
  const records = Array.from({ length: 60 }, (_, i) => ({
    at: i * 10,
    message: `took ${i} ms`,
    level: ['info', 'warn'][i % 2],
    service: ['shop', 'api', 'web'][i % 3]!,
    environment: 'prod',
  }))
  await send(app.ingest, ...records)
  const headers = { 'X-API-Key': ADMIN_KEY }
  const started = await request(`/flush?app_id=${app.appId}&older_than=0s`, {
    method: 'POST',
    headers,
  })
  const [job] = (await plainDataOf<{ jobs: { job_id: string }[] }>(started)).jobs
  const state = async () => {
    const path = `/apps/${app.appId}/jobs/${job!.job_id}`
    return (await plainDataOf<{ state: string }>(await request(path, { headers }))).state
  }
  await vi.waitFor(async () => expect(await state()).toBe('done'), 20_000)
})

const get = (path: string, parameters: Record<string, string> = {}) =>
  lokiGet(app.read, path, { ...RANGE, ...parameters })
const openedBy = ({ stats }: { stats: object }) =>
  (stats as { querier: { store: Record<string, number> } }).querier.store.totalChunksDownloaded

describe('of blocks', () => {
  it('labels, values and series of one varying label are known', async () => {
    expect(await dataOf(get('labels'))).toContain('environment')
    expect(await dataOf(get('label/service_name/values'))).toEqual(['api', 'shop', 'web'])
    const series = await dataOf<object[]>(get('series', { match: '{service_name="shop"}' }))
    expect(series).toHaveLength(2)
    const all = await dataOf<object[]>(get('series'))
    expect(all).toHaveLength(6)
  })

  it('bytes are records times their average size', async () => {
    const stats = await bodyOf<Record<string, number>>(get('index/stats'))
    expect(stats).toMatchObject({ streams: 3, chunks: 1, entries: 60 })
    // A record is more than its line, which is about ten bytes.
    expect(stats.bytes).toBeGreaterThan(60 * 10)
    const query = '{service_name=~".+"}'
    const volume = await dataOf<Vector>(get('index/volume', { query }))
    const [first] = volume.result
    expect(Number(first!.value[1])).toBe(Math.round(stats.bytes! / 3))
    expect(openedBy(volume)).toBe(0)
    const over = await dataOf<Matrix & { stats: object }>(
      get('index/volume_range', { query, step: '1m', targetLabels: 'level' }),
    )
    expect(over.result[0]!.values).toHaveLength(10)
    expect(openedBy(over)).toBe(0)
  })

  it('counts over whole minutes open none, and lines open one', async () => {
    const query = 'sum by (level) (count_over_time({service_name=~".+"}[5m]))'
    const counts = await dataOf<Matrix & { stats: object }>(
      get('query_range', { query, step: '5m' }),
    )
    const minute = (n: number) => (START_MS + n * 60_000) / 1000
    expect(counts.result[0]).toEqual({
      metric: { level: 'info' },
      values: [
        [minute(5), '15'],
        [minute(10), '15'],
      ],
    })
    expect(openedBy(counts)).toBe(0)
    const lines = await dataOf<Streams>(get('query_range', { query: '{service_name="shop"}' }))
    expect(lines.stats.summary.totalEntriesReturned).toBe(20)
    expect(openedBy(lines)).toBe(1)
  })

  it('patterns are known', async () => {
    const query = '{service_name=~".+"}'
    const patterns = await dataOf<{ pattern: string; samples: [number, number][] }[]>(
      get('patterns', { query, step: '1h' }),
    )
    expect(patterns.map(({ pattern }) => pattern)).toEqual(['took <_> ms'])
    expect(patterns[0]!.samples.reduce((sum, [, count]) => sum + count, 0)).toBe(60)
  })
})
