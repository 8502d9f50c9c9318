// Keys and apps as their users meet them: over HTTP alone.

import { exports } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import { checkDescribed } from '../described.ts'

const OWNER = 'test-admin-key'
const http = (exports as unknown as { default: Fetcher }).default

async function send(line: string, key: string, body?: unknown) {
  const [method = '', path = ''] = line.split(' ')
  const init: RequestInit = { method, headers: { 'X-API-Key': key } }
  if (body !== undefined) {
    init.body = JSON.stringify(body)
    init.headers = { ...init.headers, 'Content-Type': 'application/json' }
  }
  const url = `http://logs${path}`
  const response = await http.fetch(url, init)
  await checkDescribed(method, url, response)
  const { data, error } = (await response.json()) as {
    data: Record<string, string> & { logs: { message: string; workspace_id: string | null }[] }
    error?: { code: string }
  }
  return { status: response.status, headers: response.headers, data, code: error?.code }
}

async function appWithKeys(app_id: string, shards = 1) {
  await send('POST /apps', OWNER, { app_id, shards })
  const made = async (body: object) => (await send(`POST /apps/${app_id}/keys`, OWNER, body)).data
  return { ingest: await made({ role: 'ingest' }), read: await made({ role: 'read' }), made }
}
const messages = async (key: string, query = '') =>
  (await send(`GET /logs${query}`, key)).data.logs.map((log) => log.message)

describe('a key', () => {
  it('may do what its role says, to its own app', async () => {
    const { ingest, read } = await appWithKeys('roles')
    await appWithKeys('roles-other')
    expect((await send('POST /logs', ingest.key!, { message: 'one' })).status).toBe(200)
    expect(await messages(read.key!)).toEqual(['one'])
    expect((await send('GET /logs', ingest.key!)).status).toBe(403)
    expect((await send('POST /logs', read.key!, { message: 'two' })).status).toBe(403)
    expect((await send('GET /logs?app_id=roles-other', read.key!)).status).toBe(403)
    expect((await send('GET /logs?app_id=nope', read.key!)).status).toBe(403)
    expect(await messages(OWNER, '?app_id=roles')).toEqual(['one'])
    expect((await send('GET /logs', OWNER)).code).toBe('bad_request')
  })

  it('is refused from the moment its revocation is answered', async () => {
    const { ingest, read } = await appWithKeys('revoked', 2)
    expect((await send('POST /logs', ingest.key!, { message: 'one' })).status).toBe(200)
    expect(await messages(read.key!)).toEqual(['one'])
    expect((await send(`DELETE /apps/revoked/keys/${ingest.key_id}`, OWNER)).status).toBe(200)
    expect((await send('POST /logs', ingest.key!, { message: 'two' })).status).toBe(401)
    expect(await messages(read.key!)).toEqual(['one'])
  })

  it('of a workspace writes and reads that one alone', async () => {
    const { ingest, read, made } = await appWithKeys('bound')
    const bound = {
      ingest: (await made({ role: 'ingest', workspace_id: 'w1' })).key!,
      read: (await made({ role: 'read', workspace_id: 'w1' })).key!,
    }
    await send('POST /logs', ingest.key!, { message: 'theirs', workspace_id: 'w2' })
    await send('POST /logs', bound.ingest, { message: 'ours', workspace_id: 'w2' })
    expect(await messages(bound.read)).toEqual(['ours'])
    expect((await messages(read.key!, '?workspace_id=w2')).sort()).toEqual(['theirs'])
    expect((await send('GET /logs?workspace_id=w2', bound.read)).status).toBe(403)
    expect((await send('GET /stats/bound', bound.read)).status).toBe(403)
  })
})

describe('an app that is deleted and made again', () => {
  it('has none of the old data, and takes none of the old keys', async () => {
    const old = await appWithKeys('again')
    await send('POST /logs', old.ingest.key!, { message: 'old' })
    expect(await messages(OWNER, '?app_id=again')).toEqual(['old'])
    expect((await send('DELETE /apps/again?confirm=again', OWNER)).status).toBe(200)
    expect((await send('GET /logs?app_id=again', OWNER)).status).toBe(404)
    const { ingest, read } = await appWithKeys('again')
    expect(await messages(OWNER, '?app_id=again')).toEqual([])
    await send('POST /logs', ingest.key!, { message: 'new' })
    expect(await messages(read.key!)).toEqual(['new'])
    expect((await send('POST /logs', old.ingest.key!, { message: 'x' })).status).toBe(401)
    expect((await send('GET /logs', old.read.key!)).status).toBe(401)
  })
})

describe('the admin doors', () => {
  it('name the methods they have', async () => {
    const answer = await send('PUT /apps/any/keys/key_1', OWNER)
    expect(answer).toMatchObject({ status: 405, code: 'method_not_allowed' })
    expect(answer.headers.get('Allow')).toBe('GET, DELETE')
  })
})
