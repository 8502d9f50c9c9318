// The description of the doors: it is OpenAPI 3.1, the routes and it are the same, and so are the
// parameters that a door takes. That answers are as described is checked wherever a test asks for one.

import { exports } from 'cloudflare:workers'
import { beforeAll, describe, expect, it } from 'vitest'
import { createApp } from '../../src/api/http.ts'
import { openapiDocument } from '../../src/api/openapi.ts'
import { checkDescribed, doorOf, wrongIn } from '../described.ts'
import { ADMIN_KEY, type App, makeApp, postLogs, request } from '../flow/client.ts'

const document = openapiDocument('0.0.0')
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
)

describe('the routes', () => {
  /** `/logs/:id{[0-9]+}` as `/logs/{id}`. */
  const templateOf = (path: string) => path.replace(/:(\w+)(?:\{.*?\})?(?=\/|$)/g, '{$1}')

  it('are the operations, and the other way round', () => {
    const routes = createApp()
      // Middleware is on every path; OTLP answers every method in its own protocol.
      .routes.filter(({ path }) => path !== '/*')
      .map(({ method, path }) => `${method === 'ALL' ? 'POST' : method} ${templateOf(path)}`)
    const described = operations.map(({ path, method }) => `${method.toUpperCase()} ${path}`)
    expect([...new Set(routes)].sort()).toEqual(described.sort())
  })
})

describe('the document', () => {
  it('is what GET /openapi.json answers, without a key', async () => {
    const response = await request('/openapi.json')
    expect(response.status).toBe(200)
    const { info, ...rest } = (await response.json()) as typeof document
    const { info: expected, ...others } = document
    expect(rest).toEqual(JSON.parse(JSON.stringify(others)))
    expect(info).toEqual({ ...expected, version: expect.stringMatching(/^\d+\.\d+\.\d+$/) })
  })

  it('refers to nothing that is not there, and to all that is', () => {
    const referred = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(
      ([, ref]) => ref!,
    )
    const known = Object.keys(document.components.schemas).map(
      (name) => `#/components/schemas/${name}`,
    )
    expect([...new Set(referred)].sort()).toEqual(known.sort())
  })

  it('declares every parameter of a path, and each once', () => {
    for (const { path, method, operation } of operations) {
      const parameters = (operation.parameters ?? []) as { name: string; in: string }[]
      const inPath = parameters.filter((one) => one.in === 'path').map(({ name }) => name)
      const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
      expect(inPath, `${method} ${path}`).toEqual(named)
      const keys = parameters.map(({ name, in: where }) => `${where} ${name}`)
      expect(new Set(keys).size, `${method} ${path}`).toBe(keys.length)
    }
  })

  it('names every operation, once', () => {
    const ids = operations.map(({ operation }) => operation.operationId)
    expect(new Set(ids).size).toBe(ids.length)
    expect(ids.every((id) => /^[a-z][A-Za-z]+$/.test(id))).toBe(true)
  })

  it('has examples of bodies that are as it says', () => {
    for (const { path, operation } of operations) {
      const { content = {} } = (operation.requestBody ?? {}) as {
        content?: Record<string, { schema?: object; example?: unknown }>
      }
      for (const { schema, example } of Object.values(content)) {
        if (schema) expect(wrongIn(schema, example), path).toEqual([])
      }
    }
  })
})

describe('the parameters of a door', () => {
  let app: App
  beforeAll(async () => {
    app = await makeApp('documented')
  })

  // A door names what it knows when it is given what it does not know.
  const readers = operations.filter(({ path }) => /^\/(?:logs|traces)/.test(path))
  for (const { path, method, operation } of readers) {
    if (method !== 'get') continue
    it(`${path}: those it knows are described, and no others`, async () => {
      await postLogs(app.ingest, { message: 'one' })
      const url = path.replace('{id}', '0-1').replace('{trace_id}', 'ab'.repeat(16))
      const response = await request(`${url}?nonsense=1`, { headers: { 'X-API-Key': app.read } })
      const { error } = (await response.json()) as { error: { message: string } }
      const [, known = ''] = /known are (.*)$/.exec(error.message) ?? []
      const described = (operation.parameters ?? [])
        .filter((one) => one.in === 'query')
        .map(({ name }) => (name === 'attributes' ? 'attr.<name>' : name))
      expect([...new Set(known.split(', '))].sort()).toEqual(described.sort())
    })
  }
})

describe('the examples', () => {
  it('are answered as described, by a key that may', async () => {
    const app = await makeApp('shop')
    const keys = { $INGEST_KEY: app.ingest, $READ_KEY: app.read, $ADMIN_KEY: ADMIN_KEY }
    for (const { operation, method } of operations) {
      const [{ source }] = operation['x-codeSamples'] as [{ source: string }]
      const url = new URL(/"\$URL([^"]*)"/.exec(source)![1]!, 'http://logs.test')
      for (const [, name = '', value = ''] of source.matchAll(/--data-urlencode '(.*?)=(.*?)'/g)) {
        url.searchParams.set(name, value)
      }
      const body = / -d '(.*)'$/.exec(source)?.[1]
      const headers = new Headers()
      for (const [, name = '', value = ''] of source.matchAll(/-H ["'](.*?): (.*?)["']/g)) {
        headers.set(name, keys[value as keyof typeof keys] ?? value)
      }
      // What makes or ends the app is not to be done to the one that is asked.
      if (['deleteApp', 'createApp'].includes(operation.operationId)) continue
      const path = url.pathname + url.search
      const response = await request(path, {
        method: method.toUpperCase(),
        headers,
        ...(body !== undefined && { body }),
      })
      expect([101, 200, 204, 404], `${source}: ${response.status}`).toContain(response.status)
      await response.body?.cancel()
      response.webSocket?.accept()
      response.webSocket?.close(1000)
    }
  })
})

describe('an answer that is not as described', () => {
  const answer = (body: unknown, init: ResponseInit = {}) => Response.json(body, init)
  const throws = (name: string, path: string, response: Response, message: string) =>
    it(name, async () => {
      await expect(checkDescribed('GET', `http://x${path}`, response)).rejects.toThrow(message)
    })
  const up = { status: 'up', version: '1' }
  const missing = { code: 'not_found', message: 'none' }

  it('is told from one that is', async () => {
    await checkDescribed('GET', 'http://x/health', answer({ ok: true, data: up }))
    await checkDescribed(
      'GET',
      'http://x/x',
      answer({ ok: false, error: missing }, { status: 404 }),
    )
  })
  throws(
    'has a member too many',
    '/health',
    answer({ ok: true, data: { ...up, more: 1 } }),
    'not as described',
  )
  throws('lacks a member', '/health', answer({ ok: true, data: { status: 'up' } }), 'version')
  throws('has another status', '/health', answer({ ok: true, data: up }, { status: 201 }), '201')
  throws('has another media type', '/health', new Response('up'), 'text/plain')
  throws(
    'names a code that the door does not have',
    '/logs',
    answer({ ok: false, error: { code: 'too_large', message: '' } }, { status: 400 }),
    'not as described',
  )
  throws('is of a path that is no door', '/x', answer({ ok: true, data: up }), '200')

  it('is found by the door that has no variable', () => {
    expect(doorOf('GET', '/logs/count')?.path).toBe('/logs/count')
    expect(doorOf('GET', '/logs/0-1')?.path).toBe('/logs/{id}')
    expect(doorOf('HEAD', '/logs/0-1')?.path).toBe('/logs/{id}')
    expect(doorOf('GET', '/logs/counts')).toBe(undefined)
    expect(doorOf('GET', '/apps/a/archive/b/c=d/e.parquet')?.path).toBe(
      '/apps/{app_id}/archive/{key}',
    )
  })
})

describe('GET /docs', () => {
  it('is a page that needs nothing else', async () => {
    const response = await request('/docs')
    expect(response.status).toBe(200)
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'")
    const page = await response.text()
    for (const { path, operation } of operations) {
      expect(page).toContain(`id="${operation.operationId}"`)
      expect(page).toContain(`<code>${path}</code>`)
    }
    for (const name of Object.keys(document.components.schemas)) {
      expect(page).toContain(`id="schema-${name}"`)
    }
    expect(page).not.toMatch(/<script|<link|<img|@import|url\(|src=/)
    for (const [, target] of page.matchAll(/href="([^"]*)"/g)) {
      if (target!.startsWith('#')) expect(page).toContain(`id="${target!.slice(1)}"`)
      else expect(target).toBe('/openapi.json')
    }
    expect(page).toContain('export URL=http://logs.test')
  })

  it('and the document are not served by a deployment without its secret', async () => {
    const app = createApp()
    const { default: worker } = exports as unknown as { default: Fetcher }
    expect((await worker.fetch('http://logs.test/docs')).status).toBe(200)
    for (const path of ['/docs', '/openapi.json']) {
      const response = await app.fetch(new Request(`http://logs.test${path}`), { ADMIN_KEY: '' })
      await checkDescribed('GET', `http://logs.test${path}`, response)
      expect(response.status).toBe(503)
    }
  })
})
