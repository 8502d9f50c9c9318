// Labels, series, volumes, fields and patterns over HTTP, as Loki's index answers.

import { beforeAll, describe, expect, it } from 'vitest'
import { type App, makeApp, makeKey } from '../flow/client.ts'
import {
  bodyOf,
  dataOf,
  lokiGet,
  lokiPost,
  type Matrix,
  RANGE,
  refusal,
  START_MS,
  send,
  type Vector,
} from './loki-client.ts'

let app: App
let bound: string

beforeAll(async () => {
  app = await makeApp('loki-labels')
  bound = await makeKey('loki-labels', { role: 'read', workspace_id: 'w1' })
  // Every line has ten bytes.
  await send(
    app.ingest,
    { at: 0, message: 'took 10 ms', level: 'info', environment: 'prod', version: '7' },
    { at: 60, message: 'took 11 ms', level: 'info', environment: 'prod', sku: 'A-1' },
    { at: 61, message: 'took 12 ms', level: 'warn', environment: 'prod', sku: 'A-2' },
    { at: 120, message: 'a=1 b=2m  ', level: 'error', service: 'api', sku: '200' },
    { at: 180, message: '{"n":0.25}', level: 'error', service: 'api', workspace_id: 'w1' },
    { at: 181, message: '{"u":{"i":', level: 'info', service: null, workspace_id: 'w1' },
  )
})

const get = (path: string, parameters: Record<string, string | string[]> = {}, key = app.read) =>
  lokiGet(key, path, { ...RANGE, ...parameters })
const shop = { query: '{service_name="shop"}' }

describe('labels', () => {
  it('are those of streams that some record has', async () => {
    const all = ['detected_level', 'environment', 'level', 'service', 'service_name']
    const names = await dataOf<string[]>(get('labels'))
    expect(names).toEqual([...all, 'version', 'workspace_id'])
    expect(await dataOf(get('label'))).toEqual(names)
    expect(await dataOf(lokiPost(app.read, 'labels', RANGE))).toEqual(names)
    expect(await dataOf(get('labels', shop))).toEqual([...all, 'version'])
    expect(await dataOf(get('labels', {}, bound))).toEqual([
      ...all.filter((name) => name !== 'environment'),
      'workspace_id',
    ])
    const before = { start: '1000', end: '2000' }
    expect(await dataOf(get('labels', before))).toEqual([])
  })

  const has = (name: string, values: string[], parameters = {}, key?: string) =>
    it(`${name} has ${values.length} values`, async () => {
      expect(await dataOf(get(`label/${name}/values`, parameters, key ?? app.read))).toEqual(values)
    })
  has('service_name', ['api', 'shop', 'unknown_service'])
  has('level', ['error', 'info', 'warn'])
  has('detected_level', ['info', 'warn'], shop)
  has('sku', [])

  it('of a key of one workspace have its values alone', async () => {
    expect(await dataOf(get('label/service/values', {}, bound))).toEqual(['api', 'unknown_service'])
  })

  it('are asked for by a selector and nothing more', async () => {
    const more = get('labels', { query: '{service_name="shop"} |= "a"' })
    expect(await refusal(more, 400)).toBe('only label matchers are supported')
    const bad = get('label/level/values', { query: '{service_name' })
    expect(await refusal(bad, 400)).toContain('parse error')
  })
})

describe('series', () => {
  type Series = Record<string, string>[]
  const streams = (all: Series) =>
    all.map(({ service_name, level }) => `${service_name} ${level}`).sort()

  it('are the sets of labels that records have', async () => {
    const all = await dataOf<Series>(get('series'))
    expect(streams(all)).toEqual([
      'api error',
      'api error',
      'shop info',
      'shop info',
      'shop warn',
      'unknown_service info',
    ])
    expect(all).toContainEqual({
      service_name: 'shop',
      service: 'shop',
      level: 'info',
      detected_level: 'info',
      environment: 'prod',
      version: '7',
    })
    expect(await dataOf(get('series', { match: '{}' }))).toEqual(all)
  })

  it('of one varying label are made of its values', async () => {
    const match = '{service_name="shop", version!="7"}'
    const two = await dataOf<Series>(get('series', { 'match[]': match }))
    expect(streams(two)).toEqual(['shop info', 'shop warn'])
    const one = await dataOf<Series>(get('series', { match: '{version="7"}' }))
    expect(streams(one)).toEqual(['shop info'])
  })

  it('are of any of several selectors', async () => {
    const match = ['{version="7"}', '{level="warn"}']
    expect(streams(await dataOf(get('series', { match })))).toEqual(['shop info', 'shop warn'])
  })

  it('of a key of one workspace are its own', async () => {
    const own = await dataOf<Series>(get('series', {}, bound))
    expect(streams(own)).toEqual(['api error', 'unknown_service info'])
  })
})

describe('the index', () => {
  it('tells how much a selector chooses', async () => {
    const stats = await bodyOf<Record<string, number>>(get('index/stats', shop))
    expect(stats).toEqual({ streams: 2, chunks: expect.any(Number), entries: 3, bytes: 30 })
    expect(stats.chunks).toBeGreaterThan(0)
    const all = await bodyOf<object>(get('index/stats', { query: '{level=~".+"}' }))
    expect(all).toMatchObject({ streams: 3, entries: 6 })
    const own = await bodyOf<object>(get('index/stats', {}, bound))
    expect(own).toEqual({ streams: 2, chunks: 0, entries: 2, bytes: 20 })
  })

  const volumes = async (parameters: Record<string, string>) => {
    const { resultType, result } = await dataOf<Vector>(get('index/volume', parameters))
    expect(resultType).toBe('vector')
    return result.map(({ metric, value: [, bytes] }) => [metric, bytes])
  }

  it('tells bytes by the labels of the selector, the most first', async () => {
    const query = '{service_name=~".+"}'
    expect(await volumes({ query })).toEqual([
      [{ service_name: 'shop' }, '30'],
      [{ service_name: 'api' }, '20'],
      [{ service_name: 'unknown_service' }, '10'],
    ])
    expect(await volumes({ query, limit: '1' })).toEqual([[{ service_name: 'shop' }, '30']])
  })

  it('tells them by other labels, of one or several', async () => {
    expect(await volumes({ ...shop, targetLabels: 'level' })).toEqual([
      [{ level: 'info' }, '20'],
      [{ level: 'warn' }, '10'],
    ])
    const targetLabels = 'service_name,level'
    expect(await volumes({ query: '{}', targetLabels })).toEqual([
      [{ service_name: 'api', level: 'error' }, '20'],
      [{ service_name: 'shop', level: 'info' }, '20'],
      [{ service_name: 'unknown_service', level: 'info' }, '10'],
      [{ service_name: 'shop', level: 'warn' }, '10'],
    ])
    expect(await volumes({ query: '{}', targetLabels: 'sku' })).toEqual([])
  })

  it('tells them of each label by itself', async () => {
    expect(await volumes({ ...shop, aggregateBy: 'labels' })).toEqual([
      [{ detected_level: '' }, '30'],
      [{ environment: '' }, '30'],
      [{ level: '' }, '30'],
      [{ service: '' }, '30'],
      [{ service_name: '' }, '30'],
      [{ version: '' }, '10'],
    ])
  })

  it('tells them over time, each with the end of its bucket', async () => {
    const parameters = { query: '{service_name=~".+"}', step: '1m' }
    const data = await dataOf<Matrix>(get('index/volume_range', parameters))
    expect(data.resultType).toBe('matrix')
    const end = (minute: number) => (START_MS + minute * 60_000 - 1) / 1000
    const [first, second] = data.result
    expect(first).toEqual({
      metric: { service_name: 'shop' },
      values: [
        [end(1), '10'],
        [end(2), '20'],
      ],
    })
    expect(second!.values).toEqual([
      [end(3), '10'],
      [end(4), '10'],
    ])
    const both = { ...parameters, targetLabels: 'service_name,level' }
    const several = await dataOf<Matrix>(get('index/volume_range', both))
    expect(several.result).toContainEqual({
      metric: { service_name: 'shop', level: 'info' },
      values: [
        [end(1), '10'],
        [end(2), '10'],
      ],
    })
  })

  it('refuses what it does not know', async () => {
    const by = get('index/volume', { ...shop, aggregateBy: 'name' })
    expect(await refusal(by, 400)).toBe('invalid aggregation option')
    expect(await refusal(get('index/volume', { ...shop, limit: '-1' }), 400)).toContain('limit')
    const pipeline = get('index/stats', { query: '{service_name="shop"} | json' })
    expect(await refusal(pipeline, 400)).toBe('only label matchers are supported')
  })
})

describe('what is detected', () => {
  it('are labels with how many values they have, but for ids', async () => {
    const { detectedLabels } = await bodyOf<{ detectedLabels: object[] }>(get('detected_labels'))
    expect(detectedLabels).toContainEqual({ label: 'level', cardinality: 3 })
    expect(detectedLabels).toContainEqual({ label: 'service_name', cardinality: 3 })
    // All its values are numbers.
    expect(detectedLabels).not.toContainEqual(expect.objectContaining({ label: 'version' }))
  })

  it('are fields of the newest lines', async () => {
    const query = '{service_name=~".+"}'
    const { fields, limit } = await bodyOf<{ fields: { label: string }[]; limit: number }>(
      get('detected_fields', { query }),
    )
    expect(limit).toBe(1000)
    const byLabel = new Map(fields.map((field) => [field.label, field]))
    expect(byLabel.get('sku')).toMatchObject({ cardinality: 3, parsers: null })
    expect(byLabel.get('n')).toEqual({
      label: 'n',
      type: 'float',
      cardinality: 1,
      parsers: ['json'],
      jsonPath: ['n'],
    })
    expect(byLabel.get('b')).toMatchObject({ type: 'duration', parsers: ['logfmt'] })
    expect(byLabel.get('a')).toMatchObject({ type: 'int' })
  })

  it('are no fields where there are no lines', async () => {
    expect(await bodyOf(get('detected_fields', { query: '{service_name="nobody"}' }))).toEqual({})
  })

  it('are the values of a field', async () => {
    const values = async (name: string, parameters = {}) => {
      const asked = { query: '{service_name=~".+"}', ...parameters }
      const body = await bodyOf<{ values?: string[] }>(get(`detected_field/${name}/values`, asked))
      return body.values?.sort()
    }
    expect(await values('sku')).toEqual(['200', 'A-1', 'A-2'])
    expect(await values('b')).toEqual(['2m'])
    expect(await values('nothing')).toBe(undefined)
    expect(await values('sku', { line_limit: '3' })).toEqual(['200'])
    expect(await values('sku', { limit: '1' })).toHaveLength(1)
  })

  it('is refused of numbers, and of too many lines', async () => {
    const metric = get('detected_fields', { query: 'rate({service_name="shop"}[1m])' })
    expect(await refusal(metric, 400)).toContain('log selector')
    const many = get('detected_fields', { ...shop, line_limit: '5001' })
    expect(await refusal(many, 400)).toContain('5001 > 5000')
  })
})

describe('patterns', () => {
  type Patterns = { pattern: string; level?: string; samples: [number, number][] }[]

  it('are counted over time', async () => {
    const patterns = await dataOf<Patterns>(get('patterns', { ...shop, step: '1m' }))
    const second = START_MS / 1000
    expect(patterns).toEqual([
      {
        pattern: 'took <_> ms',
        samples: [
          [second, 1],
          [second + 60, 2],
        ],
      },
    ])
    const warned = { query: '{service_name="shop"} | level="warn"', step: '1m' }
    expect(await dataOf<Patterns>(get('patterns', warned))).toEqual([
      { pattern: 'took <_> ms', level: 'warn', samples: [[second + 60, 1]] },
    ])
  })

  it('are not those that a pipeline makes', async () => {
    const query = '{service_name="shop"} | json | n > 1'
    expect(await refusal(get('patterns', { query }), 400)).toContain('parser')
  })

  it('of a key of one workspace are its own', async () => {
    const patterns = await dataOf<Patterns>(get('patterns', { query: '{level=~".+"}' }, bound))
    expect(patterns.map(({ pattern }) => pattern)).not.toContain('took <_> ms')
  })
})
