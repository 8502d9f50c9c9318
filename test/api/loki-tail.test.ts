// GET /loki/api/v1/tail over HTTP: the frames of the socket, who may read what, and what is refused.

import { runInDurableObject } from 'cloudflare:test'
import { env as bound } from 'cloudflare:workers'
import { describe, expect, it, vi } from 'vitest'
import type { Env } from '../../src/env.ts'
import { ADMIN_KEY, makeApp, makeKey, postLogs, request } from '../flow/client.ts'
import { basic, formOf, refusal } from './loki-client.ts'

const env = bound as Env

const ask = (key: string, parameters: Record<string, string>, headers = {}) =>
  request(`/loki/api/v1/tail?${formOf(parameters)}`, {
    headers: { ...basic(key), Upgrade: 'websocket', ...headers },
  })

interface Frame {
  streams: { stream: Record<string, string>; values: [string, string, object?][] }[]
  dropped_entries?: unknown[]
  encodingFlags?: string[]
}

/** The lines of a tail as they come. */
async function open(key: string, parameters: Record<string, string>, headers = {}) {
  const response = await ask(key, parameters, headers)
  expect(response.status).toBe(101)
  const socket = response.webSocket!
  const frames: Frame[] = []
  let closed: { code: number; reason: string } | null = null
  socket.addEventListener('message', ({ data }) => {
    frames.push(JSON.parse(data as string))
  })
  socket.addEventListener('close', ({ code, reason }) => {
    closed = { code, reason }
  })
  socket.accept()
  const lines = () =>
    frames.flatMap(({ streams }) => streams.flatMap(({ values }) => values.map(([, line]) => line)))
  return {
    frames,
    until: (expected: string[]) => vi.waitFor(() => expect(lines()).toEqual(expected), 10_000),
    end: () =>
      vi.waitFor(() => {
        expect(closed).not.toBe(null)
        return closed
      }, 10_000),
    close: () => socket.close(1000),
  }
}

const send = async (key: string, ...logs: object[]) =>
  expect((await postLogs(key, logs)).status).toBe(200)

const socketsOf = async (appId: string) => {
  const found = await env.REGISTRY.getByName('registry').tenantForApp(appId)
  const shard = env.LOG_SHARD.getByName(`${found!.tenantId}-0`)
  return () => runInDurableObject(shard, (_, state) => state.getWebSockets().length)
}

const shop = '{service_name="shop"}'

describe('GET /loki/api/v1/tail', () => {
  it('sends the newest lines since its start, then what arrives, each once', async () => {
    const app = await makeApp('loki-tail')
    await send(app.ingest, { service: 'shop', message: 'old' }, { service: 'api', message: 'no' })
    await send(app.ingest, { service: 'shop', message: 'new' })
    const start = `${Date.now() - 60_000}000000`
    const tail = await open(app.read, { query: shop, start, limit: '1' })
    await tail.until(['new'])
    await send(app.ingest, { service: 'shop', message: 'a' }, { service: 'api', message: 'no' })
    await send(app.ingest, { service: 'shop', message: 'b' })
    await tail.until(['new', 'a', 'b'])
    const [{ stream, values }] = tail.frames.at(-1)!.streams as [Frame['streams'][number]]
    expect(stream).toMatchObject({ service_name: 'shop', level: 'info' })
    expect(values).toEqual([[expect.stringMatching(/^\d{19}$/), 'b']])
    tail.close()
  })

  it('runs the pipeline, and tells kinds of labels apart where that is asked for', async () => {
    const app = await makeApp('loki-tail-pipeline')
    const query = `${shop} | json | n > 1`
    const headers = { 'X-Loki-Response-Encoding-Flags': 'categorize-labels' }
    const tail = await open(app.read, { query }, headers)
    const messages = ['{"n":1}', '{"n":2}', 'three', '{"n":4}']
    await send(app.ingest, ...messages.map((message) => ({ service: 'shop', message })))
    await tail.until(['{"n":2}', '{"n":4}'])
    const [frame] = tail.frames
    expect(frame!.encodingFlags).toEqual(['categorize-labels'])
    expect(frame!.streams[0]!.values[0]![2]).toMatchObject({ parsed: { n: '2' } })
    tail.close()
  })

  it('shows a key of one workspace only that', async () => {
    const app = await makeApp('loki-tail-workspace')
    const key = await makeKey('loki-tail-workspace', { role: 'read', workspace_id: 'w1' })
    const tail = await open(key, { query: shop })
    const record = { service: 'shop' }
    await send(app.ingest, { ...record, message: 'theirs', workspace_id: 'w2' })
    await send(app.ingest, { ...record, message: 'ours', workspace_id: 'w1' })
    await tail.until(['ours'])
    tail.close()
  })

  it('ends with its key, and says so', async () => {
    const app = await makeApp('loki-tail-end')
    const tail = await open(app.read, { query: shop })
    const headers = { 'X-API-Key': ADMIN_KEY }
    const keys = (await (await request('/apps/loki-tail-end/keys', { headers })).json()) as {
      data: { keys: { key_id: string; role: string }[] }
    }
    const { key_id } = keys.data.keys.find(({ role }) => role === 'read')!
    await request(`/apps/loki-tail-end/keys/${key_id}`, { method: 'DELETE', headers })
    expect(await tail.end()).toEqual({ code: 1011, reason: expect.stringContaining('key') })
  })

  it('keeps no socket for a reader that is gone', async () => {
    const app = await makeApp('loki-tail-gone')
    const tail = await open(app.read, { query: shop })
    const sockets = await socketsOf('loki-tail-gone')
    expect(await sockets()).toBe(1)
    tail.close()
    await vi.waitFor(async () => expect(await sockets()).toBe(0))
  })

  it('tells a slow reader nothing it can not take: a burst, and then no more at once', async () => {
    const app = await makeApp('loki-tail-burst')
    const tail = await open(app.read, { query: shop })
    const message = 'x'.repeat(200_000)
    for (let i = 0; i < 8; i++) await send(app.ingest, { service: 'shop', message })
    await vi.waitFor(() => expect(tail.frames.length).toBeGreaterThan(0), 10_000)
    await new Promise((resolve) => setTimeout(resolve, 300))
    // A megabyte at once, and a quarter of one a second.
    expect(tail.frames.length).toBeLessThan(8)
    tail.close()
  })

  const refuses = (
    name: string,
    parameters: Record<string, string>,
    message: string,
    headers: Record<string, string> = {},
    status = 400,
  ) =>
    it(`refuses ${name}`, async () => {
      const app = await makeApp(`loki-tail-${name.replaceAll(/\W+/g, '-').toLowerCase()}`)
      expect(await refusal(ask(app.read, parameters, headers), status)).toContain(message)
    })

  refuses('numbers', { query: 'rate({a="b"}[1m])' }, 'log selector')
  refuses('what is no query', { query: '{a=' }, 'parse error')
  refuses('a long delay', { query: shop, delay_for: '6' }, "delay_for can't be greater than 5")
  refuses('what is no socket', { query: shop }, 'WebSocket', { Upgrade: '' })
  refuses('a wrong key', { query: shop }, 'key', basic('wrong'), 401)
})
