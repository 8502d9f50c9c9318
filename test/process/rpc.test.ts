// The RPC door from a second Worker in a process of its own, as another team would use it.

import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { clientOf } from './client.ts'
import { type Collector, startCollector } from './collector.ts'

interface Answer {
  ok: boolean
  data: { accepted: number; rejected: { index: number }[]; logs: Record<string, unknown>[] }
  error: { code: string; message: string }
}

let collector: Collector
let consumer: Collector

beforeAll(async () => {
  collector = await startCollector()
  consumer = await startCollector({
    cwd: resolve(import.meta.dirname, '../fixtures/consumer'),
    // The two find each other through the folder that wrangler announces running Workers in.
    env: { WRANGLER_REGISTRY_PATH: join(collector.state, 'registry') },
  })
  const client = clientOf(collector.url, collector.adminKey)
  for (const appId of ['shop', 'other']) await client.makeApp(appId)
}, 180_000)

afterAll(async () => {
  await consumer?.stop()
  await collector?.stop()
})

const post = async (path: string, body?: unknown): Promise<Answer> => {
  const response = await fetch(consumer.url + path, { method: 'POST', body: JSON.stringify(body) })
  const text = await response.text()
  expect(text[0], text.slice(0, 500)).toBe('{')
  return JSON.parse(text)
}
const call = (binding: string, method: string, ...args: unknown[]) =>
  post('/', { binding, method, args })

describe('LoggerService', () => {
  it('log, logBatch and write store what query finds', async () => {
    const context = { route: '/a', code: 200, nested: { deep: [1, 2] }, user_id: 'u1' }
    expect(await call('LOGS', 'log', 'shop', 'warn', 'one', context)).toMatchObject({
      ok: true,
      data: { accepted: 1 },
    })
    await call('LOGS', 'logBatch', 'shop', [{ message: 'two' }, { message: 'three', level: 'err' }])
    await call('LOGS', 'write', 'shop', { message: 'four' })
    await call('LOGS', 'write', { app_id: 'shop', message: 'five' })
    await call('SHOP_LOGS', 'write', { message: 'six' })
    const found = await call('LOGS', 'query', 'shop', { order: 'asc', limit: 10 })
    expect(found.data.logs.map(({ message }) => message)).toEqual([
      ...['one', 'two', 'three', 'four', 'five', 'six'],
    ])
    expect(found.data.logs[0]).toMatchObject({
      level: 'warn',
      user_id: 'u1',
      metadata: { attributes: { route: '/a', code: 200, nested: { deep: [1, 2] } } },
    })
    const errors = await call('SHOP_LOGS', 'query', 'shop', { level: '>=error' })
    expect(errors.data.logs.map(({ message }) => message)).toEqual(['three'])
  })

  it('stores what JSON has no form for as text', async () => {
    expect(await post('/odd')).toMatchObject({ ok: true, data: { accepted: 1 } })
    const found = await call('LOGS', 'query', 'shop', { q: 'odd' })
    expect(found.data.logs[0]?.metadata).toMatchObject({
      attributes: {
        big: '9007199254740993',
        nan: 'NaN',
        when: '1970-01-01T00:00:00.000Z',
        error: { name: 'TypeError', message: 'broken' },
        map: { a: 1 },
      },
    })
  })

  const refuses = (
    name: string,
    code: string,
    binding: string,
    method: string,
    ...args: unknown[]
  ) =>
    it(`refuses ${name}`, async () => {
      const answer = await call(binding, method, ...args)
      expect(answer).toMatchObject({ ok: false, error: { code } })
    })

  refuses('an app that does not exist', 'not_found', 'LOGS', 'log', 'nobody', 'info', 'x')
  refuses('a query of an app that does not exist', 'not_found', 'LOGS', 'query', 'nobody', {})
  refuses('a record of no app', 'bad_request', 'LOGS', 'write', { message: 'x' })
  refuses('another app than the pinned one', 'forbidden', 'SHOP_LOGS', 'log', 'other', 'info', 'x')
  refuses('another app in a pinned record', 'forbidden', 'SHOP_LOGS', 'write', { app_id: 'other' })
  refuses('reading another app than the pinned one', 'forbidden', 'SHOP_LOGS', 'query', 'other', {})
  refuses('a batch that is none', 'bad_request', 'LOGS', 'logBatch', 'shop', 'text')
  refuses('a record that is none', 'bad_request', 'LOGS', 'write', 'shop', 'text')
  refuses('an unknown filter', 'bad_request', 'LOGS', 'query', 'shop', { sevrice: 'x' })

  it('stores a record that holds itself as deep as the bound, and says so', async () => {
    expect(await post('/cycle')).toMatchObject({ ok: true, data: { accepted: 1 } })
    const found = await call('LOGS', 'query', 'shop', { q: 'round' })
    expect(found.data.logs[0]?.metadata).toMatchObject({ cut: [{ field: 'attributes.self' }] })
  })
})
