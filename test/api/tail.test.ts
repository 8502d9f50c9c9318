// GET /logs/tail over HTTP: the form of the stream, who may read what, and what is refused.

import { runInDurableObject } from 'cloudflare:test'
import { env as bound } from 'cloudflare:workers'
import { describe, expect, it, vi } from 'vitest'
import type { Env } from '../../src/env.ts'
import { ADMIN_KEY, type App, makeApp, makeKey, postLogs, request } from '../flow/client.ts'

const env = bound as Env

const ask = (key: string, query = '', headers: Record<string, string> = {}) =>
  request(`/logs/tail?${query}`, { headers: { 'X-API-Key': key, ...headers } })

/** The text of a stream as it comes. */
function textOf(response: Response) {
  expect(response.status).toBe(200)
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  return {
    /** All that came so far, once it holds this. */
    until: async (part: string) => {
      while (!text.includes(part)) {
        const { done, value } = await reader.read()
        if (done) throw new Error(`the stream ended: ${text}`)
        text += value
      }
      return text
    },
    /** The rest, to its end. */
    end: async () => {
      for (let read = await reader.read(); !read.done; read = await reader.read()) {
        text += read.value
      }
      return text
    },
    cancel: () => reader.cancel(),
  }
}

const send = async (app: App, ...logs: object[]) =>
  expect((await postLogs(app.ingest, logs)).status).toBe(200)

describe('GET /logs/tail', () => {
  it('begins with an id, and sends each record with its own', async () => {
    const app = await makeApp('tail-form')
    await send(app, { message: 'before' })
    const response = await ask(app.read, 'level=warn')
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    expect(response.headers.get('cache-control')).toBe('no-store')
    const stream = textOf(response)
    expect(await stream.until('\n\n')).toBe('retry: 1000\nid: 1\n\n')
    await send(app, { message: 'no' }, { level: 'warn', message: 'two\nlines' })
    const text = await stream.until('two')
    const [, id, data] = /\n\nid: (.*)\ndata: (.*)\n\n$/.exec(text)!
    expect(id).toBe('3')
    const answer = await request('/logs/0-3', { headers: { 'X-API-Key': app.read } })
    expect(JSON.parse(data!)).toEqual(((await answer.json()) as { data: unknown }).data)
    await stream.cancel()
  })

  it('goes on behind after=, and behind Last-Event-ID before that', async () => {
    const app = await makeApp('tail-after')
    await send(app, { message: 'a' }, { message: 'b' }, { message: 'c' })
    const all = textOf(await ask(app.read, 'after=0'))
    expect((await all.until('"c"')).match(/^id: .*$/gm)).toEqual([
      'id: 0',
      'id: 1',
      'id: 2',
      'id: 3',
    ])
    const last = textOf(await ask(app.read, 'after=0', { 'Last-Event-ID': '2' }))
    expect((await last.until('"c"')).match(/^id: .*$/gm)).toEqual(['id: 2', 'id: 3'])
    await all.cancel()
    await last.cancel()
  })

  it('shows a key of one workspace only that', async () => {
    const app = await makeApp('tail-workspace')
    const key = await makeKey('tail-workspace', { role: 'read', workspace_id: 'w1' })
    const stream = textOf(await ask(key, 'after=0'))
    await send(
      app,
      { message: 'theirs', workspace_id: 'w2' },
      { message: 'nobody' },
      { message: 'ours', workspace_id: 'w1' },
    )
    const text = await stream.until('ours')
    expect(text).not.toMatch(/theirs|nobody/)
    await stream.cancel()
    expect((await ask(key, 'workspace_id=w2')).status).toBe(403)
  })

  it('tells of the end of its key, and ends', async () => {
    const app = await makeApp('tail-end')
    const stream = textOf(await ask(app.read))
    await stream.until('\n\n')
    const headers = { 'X-API-Key': ADMIN_KEY }
    const keys = (await (await request('/apps/tail-end/keys', { headers })).json()) as {
      data: { keys: { key_id: string; role: string }[] }
    }
    const { key_id } = keys.data.keys.find(({ role }) => role === 'read')!
    await request(`/apps/tail-end/keys/${key_id}`, { method: 'DELETE', headers })
    expect(await stream.end()).toMatch(
      /\n\nevent: closed\ndata: \{"code":"unauthorized","message":".*"\}\n\n$/,
    )
  })

  it('closes its sockets when the reader goes', async () => {
    const app = await makeApp('tail-gone-reader')
    const found = await env.REGISTRY.getByName('registry').tenantForApp(app.appId)
    const shard = env.LOG_SHARD.getByName(`${found!.tenantId}-0`)
    const sockets = () => runInDurableObject(shard, (_, state) => state.getWebSockets().length)
    const stream = textOf(await ask(app.read))
    await stream.until('\n\n')
    expect(await sockets()).toBe(1)
    await stream.cancel()
    await vi.waitFor(async () => expect(await sockets()).toBe(0))
  })

  it('keeps no socket for a HEAD, whose answer nobody reads', async () => {
    const app = await makeApp('tail-head')
    const found = await env.REGISTRY.getByName('registry').tenantForApp(app.appId)
    const shard = env.LOG_SHARD.getByName(`${found!.tenantId}-0`)
    const headers = { 'X-API-Key': app.read }
    const response = await request('/logs/tail', { method: 'HEAD', headers })
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    const sockets = () => runInDurableObject(shard, (_, state) => state.getWebSockets().length)
    await vi.waitFor(async () => expect(await sockets()).toBe(0))
  })

  const refuses = (
    name: string,
    query: string,
    status: number,
    headers: Record<string, string> = {},
  ) =>
    it(`refuses ${name}`, async () => {
      const app = await makeApp(`tail-${name.replaceAll(/\W+/g, '-').toLowerCase()}`)
      const response = await ask(app.read, query, headers)
      expect(response.status).toBe(status)
      expect(await response.json()).toMatchObject({ ok: false })
    })

  refuses('an id that is none', 'after=0-1', 400)
  refuses('an id of more shards', 'after=0.0', 400)
  refuses('an id beyond the last record', 'after=7', 400)
  refuses('a header that is no id', '', 400, { 'Last-Event-ID': 'abc' })
  refuses('a page', 'limit=10', 400)
  refuses('an order', 'order=asc', 400)
  refuses('a cursor', 'cursor=x', 400)
  refuses('a bad search', 'q=(', 400)
  refuses('another app', 'app_id=other', 403)

  it('refuses who may not read', async () => {
    const app = await makeApp('tail-ingest')
    expect((await ask(app.ingest)).status).toBe(403)
    expect((await request('/logs/tail')).status).toBe(401)
    expect((await ask(ADMIN_KEY)).status).toBe(400)
    expect((await ask(ADMIN_KEY, 'app_id=no-such-app')).status).toBe(404)
  })
})
