// What is counted over HTTP, against loops over all records of GET /logs: while they are unsealed, in
// blocks, in the archive and after a deletion, over two shards; and for a key of one workspace.

import { beforeAll, describe, expect, it } from 'vitest'
import { patternOf } from '../../src/block/pattern.ts'
import {
  ADMIN_KEY,
  type App,
  dataOf,
  getLogs,
  type LogPage,
  makeApp,
  makeKey,
  postLogs,
  request,
} from './client.ts'

const T = 1_720_000_020_000
const MINUTE = 60_000

interface Log {
  id: string
  timestamp: number
  level: string
  service: string | null
  message: string
  workspace_id: string | null
  metadata: { attributes?: Record<string, unknown> }
  [member: string]: unknown
}

const get = async <T>(key: string, path: string): Promise<T> =>
  dataOf<T>(await request(path, { headers: { 'X-API-Key': key } }))

/** All records that a query finds. */
async function allOf(key: string, query = ''): Promise<Log[]> {
  const logs: Log[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const next: string = cursor === '' ? '' : `&cursor=${cursor}`
    const page: LogPage = await dataOf(await getLogs(key, `${query}&limit=1000${next}`))
    logs.push(...(page.logs as unknown as Log[]))
    cursor = page.next_cursor
  }
  return logs
}

async function post(path: string, body?: unknown): Promise<void> {
  const headers = { 'X-API-Key': ADMIN_KEY }
  const init = {
    method: 'POST',
    headers,
    ...(body !== undefined && { body: JSON.stringify(body) }),
  }
  const started = await dataOf<{ job_id?: string; jobs?: { job_id: string }[] }>(
    await request(path, init),
  )
  const id = started.job_id ?? started.jobs?.[0]?.job_id
  const appId = /apps\/(\w+)|app_id=(\w+)/.exec(path)!.slice(1).find(Boolean)
  for (let state = 'running'; state === 'running'; ) {
    await new Promise((resolve) => setTimeout(resolve, 100))
    const job = await request(`/apps/${appId}/jobs/${id}`, { headers })
    state = (await dataOf<{ state: string }>(job)).state
    expect(['running', 'done']).toContain(state)
  }
}

async function fill(app: App, parts: number[]): Promise<void> {
  for (const part of parts) {
    const logs = Array.from({ length: 60 }, (_, i) => ({
      message: [
        `user ${part * 60 + i} logged in`,
        'disk full',
        `GET /a/${i} took ${part} ms`,
        `only in part ${'abcdefgh'[part]}`,
      ][i % 4],
      level: ['info', 'error', 'warn'][i % 3],
      ...(i % 7 > 0 && { service: ['api', 'web', 'jobs'][(i + part) % 3] }),
      timestamp: T + part * 5 * MINUTE + ((i * 17) % 240) * 1000 + i,
      trace_id: (part * 60 + i).toString(16).padStart(32, 'a'),
      ...(i % 4 === 0 && { duration_ms: i * 1.5 + part }),
      ...(i % 8 === 1 && { duration_ms: String(i) }),
      ...(i % 5 === 0 && { workspace_id: 'w1' }),
      ...(i % 6 === 0 && { tags: ['x', `t${i % 4}`], user: { city: `c${i % 3}` } }),
      'http.route': `/r/${i % 5}`,
    }))
    expect((await postLogs(app.ingest, logs)).status).toBe(200)
  }
}

type Valued = (log: Log) => (string | null)[]
const attribute = (log: Log, key: string) => log.metadata.attributes?.[key]
const some = (value: unknown) => [value === undefined || value === null ? null : String(value)]
const FIELDS: Record<string, Valued> = {
  service: (log) => some(log.service),
  level: (log) => [log.level],
  trace_id: (log) => some(log.trace_id),
  workspace_id: (log) => some(log.workspace_id),
  'http.route': (log) => some(attribute(log, 'http.route')),
  duration_ms: (log) => some(attribute(log, 'duration_ms')),
  'user.city': (log) => some((attribute(log, 'user') as { city: string } | undefined)?.city),
  tags: (log) => [...new Set((attribute(log, 'tags') as string[] | undefined) ?? [null])],
  none: () => [null],
}

function tally(names: (string | null)[]): Map<string | null, number> {
  const counts = new Map<string | null, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return counts
}

const QUERIES = [
  '',
  'level=%3E%3Dwarn',
  'q=user',
  'service=api&q=-disk',
  'attr.http.route=/r/1',
  `since=${T + 61_000}&until=${T + 11 * MINUTE + 1234}`,
  `since=${T + MINUTE}&until=${T + 6 * MINUTE}&level=error`,
  'q=nothing',
]

/** Short intervals need a range that is short. */
const rangedIn = (path: string) =>
  path.includes('since=') ? path : `${path}&since=${T}&until=${T + 30 * MINUTE}`

interface Told {
  partial: boolean
  total: number
  stats: { blocks: { considered: number; opened: number } }
}

interface Histogram extends Told {
  since: number
  until: number
  interval_ms: number
  buckets: { time: number; count: number; values?: Record<string, number>; other?: number }[]
}

async function checkHistogram(key: string, query: string): Promise<void> {
  const logs = await allOf(key, query)
  for (const more of ['interval=1m', 'buckets=7', 'interval=2500&by=level', 'by=service&limit=1']) {
    const path = `/logs/histogram?${query}&${more}`
    const found = await get<Histogram>(key, more === 'buckets=7' ? path : rangedIn(path))
    const { buckets, interval_ms: step } = found
    expect(found.partial).toBe(false)
    expect(found.total, `${query} ${more}`).toBe(logs.length)
    expect(buckets.length > 0 && buckets[0]!.time <= found.since).toBe(true)
    expect(buckets.at(-1)!.time + step).toBeGreaterThanOrEqual(found.until)
    for (const [i, { time, count, values, other }] of buckets.entries()) {
      expect(time % step).toBe(0)
      if (i > 0) expect(time).toBe(buckets[i - 1]!.time + step)
      const own = logs.filter(({ timestamp }) => timestamp >= time && timestamp < time + step)
      expect(count, `${query} ${more} ${time}`).toBe(own.length)
      if (!more.includes('by=')) continue
      const by = FIELDS[more.includes('level') ? 'level' : 'service']!
      const expected = tally(own.flatMap(by))
      let sum = other!
      for (const [name, count] of Object.entries(values!)) {
        expect(count).toBe(expected.get(name === '' ? null : name))
        sum += count
      }
      expect(sum).toBe(own.length)
    }
  }
}

interface Facets extends Told {
  fields: {
    field: string
    values: { value: string; count: number; share: number }[]
    distinct: number
    missing: number
    other: number
  }[]
}

async function checkFacets(key: string, query: string): Promise<void> {
  const logs = await allOf(key, query)
  const names = Object.keys(FIELDS).join(',')
  const found = await get<Facets>(key, `/logs/facets?${query}&fields=${names}&limit=5`)
  expect([found.total, found.partial]).toEqual([logs.length, false])
  for (const { field, values, distinct, missing, other } of found.fields) {
    const expected = tally(logs.flatMap(FIELDS[field]!))
    const absent = expected.get(null) ?? 0
    expected.delete(null)
    const at = `${query} ${field}`
    expect([distinct, missing], at).toEqual([expected.size, absent])
    for (const { value, count, share } of values) {
      expect(count, `${at} ${value}`).toBe(expected.get(value))
      expect(share).toBeCloseTo(count / logs.length, 5)
    }
    const counts = [...expected.values()].sort((a, b) => b - a)
    expect(
      values.map(({ count }) => count),
      at,
    ).toEqual(counts.slice(0, 5))
    expect(other, at).toBe(counts.slice(5).reduce((sum, count) => sum + count, 0))
  }
}

interface Fields extends Told {
  fields: { name: string; scope: string; types: string[]; count: number; is_exact: boolean }[]
}

async function checkFields(key: string, query: string): Promise<void> {
  const logs = await allOf(key, query)
  const found = await get<Fields>(key, `/logs/fields?${query}&limit=1000`)
  expect(found.total).toBe(logs.length)
  for (const { name, scope, count, is_exact: isExact } of found.fields) {
    const own = logs.filter((log) =>
      scope === 'column' ? log[name] && log[name] !== 0 : attribute(log, name) !== undefined,
    )
    if (isExact) expect(count, `${query} ${name}`).toBe(own.length)
    else expect(count, `${query} ${name}`).toBeGreaterThanOrEqual(own.length)
  }
  if (logs.length > 0) expect(found.fields[0], query).toMatchObject({ name: 'level', share: 1 })
  const keys = new Set(logs.flatMap((log) => Object.keys(log.metadata.attributes ?? {})))
  const listed = found.fields.filter(({ scope }) => scope === 'attr').map(({ name }) => name)
  expect(listed.sort(), query).toEqual([...keys].sort())
  const types = found.fields.find(({ name }) => name === 'duration_ms')?.types ?? []
  if (logs.length > 200) expect(new Set(types).has('text')).toBe(true)
}

interface Patterns extends Told {
  unpatterned: number
  patterns: {
    id: string
    pattern: string
    count: number
    levels: Record<string, number>
    services: Record<string, number>
    histogram: number[]
    first_seen: number
    last_seen: number
    sample_id: string
    change?: string
    count_before?: number
  }[]
  compare?: Told
}

async function checkPatterns(key: string, query: string): Promise<void> {
  const logs = await allOf(key, query)
  const found = await get<Patterns>(key, `/logs/patterns?${query}&buckets=6`)
  expect([found.total, found.unpatterned, found.partial]).toEqual([logs.length, 0, false])
  const expected = tally(logs.map(({ message }) => patternOf(message)))
  expect(found.patterns.length, query).toBe(expected.size)
  for (const one of found.patterns) {
    const at = `${query} ${one.pattern}`
    const own = logs.filter(({ message }) => patternOf(message) === one.pattern)
    expect(one.count, at).toBe(own.length)
    expect(new Map(Object.entries(one.levels)), at).toEqual(tally(own.map((log) => log.level)))
    const services = tally(own.map((log) => log.service ?? ''))
    expect(new Map(Object.entries(one.services)), at).toEqual(services)
    expect(
      one.histogram.reduce((sum, count) => sum + count, 0),
      at,
    ).toBe(own.length)
    const times = own.map(({ timestamp }) => timestamp)
    expect([one.first_seen, one.last_seen]).toEqual([Math.min(...times), Math.max(...times)])
    expect(own.find(({ id }) => id === one.sample_id)?.timestamp, at).toBe(one.last_seen)
    if (query.includes('q=')) continue
    const path = `/logs/count?${query}&q=pattern:${one.id}`
    expect((await get<{ count: number }>(key, path)).count, at).toBe(one.count)
  }
}

interface Aggregate extends Told {
  groups: {
    by: Record<string, string | null>
    count: number
    points?: { time: number; count: number; p50?: number }[]
    [name: string]: unknown
  }[]
  without_value?: number
  is_exact: boolean
}

async function checkAggregate(key: string, query: string): Promise<void> {
  const logs = await allOf(key, query)
  const numbers = (log: Log) => {
    const value = attribute(log, 'duration_ms')
    return value === undefined ? [] : [Number(value)]
  }
  const numbered = logs.filter((log) => numbers(log).length > 0)
  const path = `/logs/aggregate?${query}&limit=100`
  const found = await get<Aggregate>(
    key,
    `${path}&value=duration_ms&by=service,level&fn=count,sum,avg,min,max,p50,p90`,
  )
  expect([found.total, found.without_value, found.is_exact]).toEqual([
    logs.length,
    logs.length - numbered.length,
    true,
  ])
  const groupOf = (log: Log) => JSON.stringify({ service: log.service, level: log.level })
  expect(found.groups.length).toBe(new Set(numbered.map(groupOf)).size)
  for (const group of found.groups) {
    const own = numbered.filter((log) => groupOf(log) === JSON.stringify(group.by))
    const sorted = own.flatMap(numbers).sort((a, b) => a - b)
    const sum = sorted.reduce((sum, number) => sum + number, 0)
    const quantile = (part: number) => {
      const place = (sorted.length - 1) * part
      const [low, high] = [sorted[Math.floor(place)]!, sorted[Math.ceil(place)]!]
      return low + (high - low) * (place % 1)
    }
    const { by: _, ...told } = group
    for (const [name, number] of Object.entries({
      count: sorted.length,
      sum,
      avg: sum / sorted.length,
      min: sorted[0],
      max: sorted.at(-1),
      p50: quantile(0.5),
      p90: quantile(0.9),
    })) {
      expect(told[name], `${query} ${name}`).toBeCloseTo(number!, 6)
    }
  }
  for (const by of ['', '&by=level', '&by=service,level', '&by=tags']) {
    const counted = await get<Aggregate>(key, rangedIn(`${path}${by}&interval=5m`))
    const sum = (numbers: number[]) => numbers.reduce((sum, number) => sum + number, 0)
    const ofTags = logs.flatMap(FIELDS.tags!).length
    expect(sum(counted.groups.map(({ count }) => count)), `${query} ${by}`).toBe(
      by === '&by=tags' ? ofTags : logs.length,
    )
    for (const { count, points } of counted.groups) {
      expect(sum(points!.map(({ count }) => count))).toBe(count)
    }
    const whole = await get<Aggregate>(key, `${path}${by}`)
    expect(whole.groups.map(({ by, count }) => [by, count])).toEqual(
      counted.groups.map(({ by, count }) => [by, count]),
    )
  }
}

const CHECKS = { checkHistogram, checkFacets, checkFields, checkPatterns, checkAggregate }

function checkAll(name: string, keyOf: () => string) {
  for (const [door, check] of Object.entries(CHECKS)) {
    it(`${name}: ${door.slice(5).toLowerCase()}`, async () => {
      for (const query of QUERIES) await check(keyOf(), query)
    })
  }
}

describe('counts over HTTP are those of the records', () => {
  let app: App
  let bound: string
  beforeAll(async () => {
    app = await makeApp('counts', { shards: 2 })
    bound = await makeKey('counts', { role: 'read', workspace_id: 'w1' })
    await fill(app, [0, 1, 2])
  }, 30_000)

  checkAll('unsealed', () => app.read)

  describe('in blocks, with unsealed ones,', () => {
    beforeAll(async () => {
      await post('/flush?app_id=counts&older_than=7d')
      await fill(app, [3])
    }, 30_000)
    checkAll('all', () => app.read)
    checkAll('of a workspace', () => bound)
  })

  describe('in the archive, with deletions,', () => {
    beforeAll(async () => {
      await post('/flush?app_id=counts&older_than=0s')
      await post('/apps/counts/delete', { filter: { q: '"user 7" OR "user 52"' } })
      await post('/apps/counts/delete', { filter: { level: 'warn', until: T + 3 * MINUTE } })
      await fill(app, [4])
    }, 30_000)
    checkAll('all', () => app.read)
    checkAll('of a workspace', () => bound)
  })
})

describe('the catalog alone answers', () => {
  let app: App
  beforeAll(async () => {
    app = await makeApp('countsofcatalog', { shards: 2 })
    await fill(app, [0, 1])
    await post('/flush?app_id=countsofcatalog&older_than=7d')
  }, 30_000)

  const opens = (path: string) =>
    it(path, async () => {
      const { total, stats } = await get<Told>(app.read, path)
      expect([total, stats.blocks.opened]).toEqual([120, 0])
      expect(stats.blocks.considered).toBeGreaterThan(0)
    })

  opens('/logs/histogram')
  opens('/logs/histogram?by=level&interval=30d')
  opens(rangedIn('/logs/histogram?by=level&interval=1m'))
  opens('/logs/facets')
  opens('/logs/facets?fields=level,service,environment,pattern')
  opens('/logs/fields')
  opens('/logs/patterns')
  opens('/logs/aggregate')
  opens('/logs/aggregate?by=service')
  opens(rangedIn('/logs/aggregate?by=level&interval=5m'))
})

describe('what changed', () => {
  it('is marked against the time before', async () => {
    const app = await makeApp('changes')
    const at = (message: string, count: number, from: number) =>
      Array.from({ length: count }, (_, i) => ({ message, timestamp: from + i * 10 }))
    const logs = [
      ...at('steady', 20, T),
      ...at('steady', 21, T + MINUTE),
      ...at('was there', 3, T),
      ...at('came', 2, T + MINUTE),
      ...at('grew', 5, T),
      ...at('grew', 50, T + MINUTE),
      ...at('shrank', 50, T),
      ...at('shrank', 5, T + MINUTE),
    ]
    await postLogs(app.ingest, logs)
    const range = `since=${T + MINUTE}&until=${T + 2 * MINUTE}`
    const changes = (found: Patterns) =>
      found.patterns.map((one) => [one.pattern, one.change, one.count, one.count_before])
    const expected = [
      ['came', 'new', 2, 0],
      ['was there', 'gone', 0, 3],
      ['grew', 'more', 50, 5],
      ['steady', 'same', 21, 20],
      ['shrank', 'less', 5, 50],
    ]
    const by = (compare: string) =>
      get<Patterns>(app.read, `/logs/patterns?${range}&compare=${compare}`)
    const found = await by('1m')
    expect(changes(found)).toEqual(expected)
    expect([found.total, found.compare?.total]).toEqual([78, 78])
    expect(changes(await by(`${T}..${T + MINUTE}`))).toEqual(expected)
    // In a sixth of the time a sixth is as much.
    const short = await by(`${T - 5 * MINUTE}..${T + MINUTE}`)
    expect(changes(short).find(([pattern]) => pattern === 'steady')).toEqual([
      'steady',
      'more',
      21,
      20,
    ])
  })
})

describe('an app without records', () => {
  it('has empty answers', async () => {
    const { read } = await makeApp('nocounts')
    const told = { partial: false, total: 0 }
    expect(await get(read, '/logs/facets')).toMatchObject({
      ...told,
      fields: [{ field: 'service', values: [], distinct: 0, missing: 0, other: 0 }, {}, {}],
    })
    expect(await get(read, '/logs/histogram?by=level')).toMatchObject({ ...told, values: [] })
    expect(await get(read, '/logs/fields')).toMatchObject({ ...told, fields: [] })
    expect(await get(read, '/logs/patterns')).toMatchObject({ ...told, patterns: [] })
    expect(await get(read, '/logs/aggregate?interval=1h')).toMatchObject({ ...told, groups: [] })
  })
})

describe('patterns that are not listed', () => {
  it('are in other', async () => {
    const app = await makeApp('pattern-others')
    await postLogs(
      app.ingest,
      ['one', 'one', 'one', 'two', 'two', 'three'].map((message) => ({ message })),
    )
    expect(await get(app.read, '/logs/patterns?limit=1')).toMatchObject({
      patterns: [{ pattern: 'one', count: 3 }],
      distinct: 3,
      other: 3,
      is_complete: true,
    })
  })
})

describe('a value that is no plain name', () => {
  it('is told as it is', async () => {
    const app = await makeApp('names')
    const logs = ['__proto__', 'constructor', '', 'a"b'].map((kind) => ({ kind, message: 'm' }))
    await postLogs(app.ingest, [...logs, { message: 'm' }])
    const { fields } = await get<Facets>(app.read, '/logs/facets?fields=kind')
    expect(fields[0]!.values.map(({ value }) => value)).toEqual([
      '',
      '__proto__',
      'a"b',
      'constructor',
    ])
    const path = '/logs/histogram?by=kind&interval=365d&since=1970-01-01'
    const { buckets } = await get<Histogram>(app.read, path)
    // Records without one and those whose value is empty have one name there.
    const values = new Map(Object.entries(buckets.at(-1)!.values!))
    expect(values).toEqual(
      new Map([
        ['__proto__', 1],
        ['constructor', 1],
        ['a"b', 1],
        ['', 2],
      ]),
    )
  })
})

describe('what is refused over HTTP', () => {
  let app: App
  let bound: string
  beforeAll(async () => {
    app = await makeApp('badcounts')
    bound = await makeKey('badcounts', { role: 'read', workspace_id: 'w1' })
  })

  const refuses = (path: string, status: number, details: object | undefined, key?: () => string) =>
    it(`${path} is ${status}`, async () => {
      const headers = { 'X-API-Key': key ? key() : app.read }
      const response = await request(path, { headers })
      expect(response.status).toBe(status)
      const answer = (await response.json()) as { error: { details?: object } }
      if (details) expect(answer.error.details).toMatchObject(details)
    })

  for (const door of ['histogram', 'facets', 'fields', 'patterns', 'aggregate']) {
    refuses(`/logs/${door}?limits=5`, 400, { parameter: 'limits' })
    refuses(`/logs/${door}?limit=5&limit=6`, 400, { parameter: 'limit' })
    refuses(`/logs/${door}?limit=`, 400, { parameter: 'limit' })
    refuses(`/logs/${door}?order=asc`, 400, { parameter: 'order' })
    refuses(`/logs/${door}?cursor=x`, 400, { parameter: 'cursor' })
    refuses(`/logs/${door}?q=%22a`, 400, { parameter: 'q', column: 1 })
    refuses(`/logs/${door}?since=soon`, 400, { parameter: 'since' })
    refuses(`/logs/${door}?workspace_id=w2`, 403, { parameter: 'workspace_id' }, () => bound)
    refuses(`/logs/${door}?explain=true`, 403, undefined, () => bound)
    refuses(`/logs/${door}`, 403, undefined, () => app.ingest)
    refuses(`/logs/${door}`, 401, undefined, () => '')
  }
  refuses('/logs/histogram?interval=1s&since=7d', 400, { parameter: 'interval', fit: '10m' })
  refuses('/logs/histogram?interval=1&since=1970-01-01', 400, { parameter: 'interval' })
  refuses('/logs/aggregate?interval=1m&since=1d&limit=100', 400, { parameter: 'limit', max: 13 })
  refuses('/logs/patterns?compare=1h', 400, { parameter: 'compare' })
  refuses('/logs/facets?fields=message', 400, { parameter: 'fields' })

  refuses(`/logs/histogram?since=${T}&until=${T - 1}`, 400, { parameter: 'until' })

  it('an end that is the beginning is no error, and nothing lies there', async () => {
    const range = `since=${T}&until=${T}`
    expect(await get(app.read, `/logs/histogram?${range}`)).toMatchObject({ buckets: [], total: 0 })
    expect(await get(app.read, `/logs/patterns?${range}`)).toMatchObject({ patterns: [] })
    expect(await get(app.read, `/logs/facets?${range}`)).toMatchObject({ total: 0 })
  })
})
