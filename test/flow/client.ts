// What a flow test asks of the Worker in its own runtime, over HTTP alone.

import { exports } from 'cloudflare:workers'
import { expect } from 'vitest'
import { checkDescribed } from '../described.ts'

export const ADMIN_KEY = 'test-admin-key'

export interface App {
  appId: string
  ingest: string
  read: string
}

/** Every answer is held to its description. */
export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  const { default: worker } = exports as unknown as { default: Fetcher }
  const url = `http://logs.test${path}`
  const response = await worker.fetch(url, init)
  await checkDescribed(init.method ?? 'GET', url, response)
  return response
}

export interface LogPage {
  logs: { id: string; message: string; [member: string]: unknown }[]
  next_cursor: string | null
  partial: boolean
  stats: {
    blocks: { considered: number; opened: number; skipped: { time: number; values: number } }
    rows: number
  }
}

export async function dataOf<T = Record<string, unknown>>(response: Response): Promise<T> {
  const answer = (await response.json()) as { ok: boolean; data: T }
  expect(answer, JSON.stringify(answer)).toMatchObject({ ok: true })
  return answer.data
}

export async function makeKey(appId: string, key: Record<string, unknown>): Promise<string> {
  const body = JSON.stringify(key)
  const headers = { 'X-API-Key': ADMIN_KEY }
  const made = await request(`/apps/${appId}/keys`, { method: 'POST', headers, body })
  return (await dataOf<{ key: string }>(made)).key
}

export async function makeApp(appId: string, settings: Record<string, unknown> = {}): Promise<App> {
  const body = JSON.stringify({ app_id: appId, ...settings })
  await dataOf(
    await request('/apps', { method: 'POST', headers: { 'X-API-Key': ADMIN_KEY }, body }),
  )
  return {
    appId,
    ingest: await makeKey(appId, { role: 'ingest' }),
    read: await makeKey(appId, { role: 'read' }),
  }
}

/** POST /logs with a value as JSON. */
export function postLogs(key: string, value: unknown, headers: Record<string, string> = {}) {
  const init = { method: 'POST', headers: { 'X-API-Key': key, ...headers } }
  return request('/logs', { ...init, body: JSON.stringify(value) })
}

export function postOtlp(key: string, body: BodyInit, headers: Record<string, string> = {}) {
  const init = { method: 'POST', headers: { 'X-API-Key': key, ...headers }, body }
  return request('/v1/logs', init)
}

export const getLogs = (key: string, query = '') =>
  request(`/logs?${query}`, { headers: { 'X-API-Key': key } })

/** Messages over all pages. */
export async function messagesOf(key: string, query = ''): Promise<string[]> {
  const messages: string[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page: LogPage = await dataOf<LogPage>(
      await getLogs(key, cursor ? `${query}&cursor=${cursor}` : query),
    )
    messages.push(...page.logs.map(({ message }) => message))
    cursor = page.next_cursor
  }
  return messages
}
