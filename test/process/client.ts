// What a test asks of a running collector, over HTTP alone: an app with keys, logs in, logs out.

import { setTimeout as sleep } from 'node:timers/promises'

const PAGES_MAX = 1_000

export interface App {
  appId: string
  ingestKey: string
  readKey: string
}

/** One record as GET /logs shows it (docs/api.md). */
export interface FoundRecord {
  id: string
  timestamp: number
  time_unix_nano: string
  observed_time_unix_nano: string | null
  level: string
  severity_number: number
  severity_text: string | null
  service: string | null
  environment: string | null
  event_type: string | null
  message: string
  source_location: string | null
  trace_id: string | null
  span_id: string | null
  request_id: string | null
  workspace_id: string | null
  project_id: string | null
  user_id: string | null
  version: string | null
  instance_id: string | null
  metadata: {
    attributes?: Record<string, unknown>
    resource?: Record<string, unknown>
    scope?: { name?: string; version?: string; attributes?: Record<string, unknown> }
    body?: unknown
    otel?: Record<string, unknown>
    cut?: { field: string; bytes: number }[]
  }
}

export interface LogsPage {
  logs: FoundRecord[]
  next_cursor: string | null
  partial: boolean
  partial_reasons: { code: string }[]
}

export interface Client {
  /** Any request with the admin key. Answers `data`, or throws with what came instead. */
  admin<T>(method: string, path: string, body?: unknown): Promise<T>
  /** A new app with an ingest and a read key. */
  makeApp(appId: string): Promise<App>
  makeKey(
    appId: string,
    key: { role: string; name?: string; workspace_id?: string },
  ): Promise<string>
  /** POST /v1/logs with a request as OTLP/JSON; the answer as it is, for tests of refusals too. */
  sendOtlpJson(app: App, request: unknown): Promise<Response>
  /** Records of GET /logs over all pages. Throws on an answer that is partial, but for its budget. */
  findLogs(app: App, parameters?: Record<string, string>): Promise<FoundRecord[]>
  /** GET /logs/count. Throws on an answer that is partial. */
  countLogs(app: App, parameters?: Record<string, string>): Promise<number>
  /** findLogs, repeated until there are `count` records or more; what is there when time is up. */
  waitForLogs(app: App, count: number, parameters?: Record<string, string>): Promise<FoundRecord[]>
}

export function clientOf(url: string, adminKey: string): Client {
  const admin = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const answer = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    return dataOf<T>(`${method} ${path}`, answer)
  }

  const makeKey: Client['makeKey'] = async (appId, key) =>
    (await admin<{ key: string }>('POST', `/apps/${appId}/keys`, key)).key

  const findLogs: Client['findLogs'] = async (app, parameters = {}) => {
    const found: FoundRecord[] = []
    let cursor: string | null = null
    for (let page = 0; page < PAGES_MAX; page++) {
      const query = new URLSearchParams({ limit: '1000', ...parameters, ...(cursor && { cursor }) })
      const answer = await fetch(`${url}/logs?${query}`, {
        headers: { authorization: `Bearer ${app.readKey}` },
      })
      const data: LogsPage = await dataOf<LogsPage>(`GET /logs?${query}`, answer)
      const isWhole = data.partial_reasons.every((reason) => reason.code === 'budget')
      if (!isWhole) throw new Error(`partial: ${JSON.stringify(data.partial_reasons)}`)
      found.push(...data.logs)
      cursor = data.next_cursor
      if (cursor === null) return found
    }
    throw new Error(`more than ${PAGES_MAX} pages`)
  }

  return {
    admin,
    makeKey,
    async makeApp(appId) {
      await admin('POST', '/apps', { app_id: appId })
      return {
        appId,
        ingestKey: await makeKey(appId, { role: 'ingest' }),
        readKey: await makeKey(appId, { role: 'read' }),
      }
    },
    sendOtlpJson: (app, request) =>
      fetch(`${url}/v1/logs`, {
        method: 'POST',
        headers: { authorization: `Bearer ${app.ingestKey}`, 'content-type': 'application/json' },
        body: JSON.stringify(request),
      }),
    findLogs,
    async countLogs(app, parameters = {}) {
      const query = new URLSearchParams(parameters)
      const answer = await fetch(`${url}/logs/count?${query}`, {
        headers: { authorization: `Bearer ${app.readKey}` },
      })
      const data = await dataOf<{ count: number } & LogsPage>(`GET /logs/count?${query}`, answer)
      if (data.partial) throw new Error(`partial: ${JSON.stringify(data.partial_reasons)}`)
      return data.count
    },
    async waitForLogs(app, count, parameters) {
      // A record is visible as soon as it is acknowledged, so this waits for the sender alone.
      const deadline = Date.now() + 20_000
      for (;;) {
        const found = await findLogs(app, parameters)
        if (found.length >= count || Date.now() > deadline) return found
        await sleep(100)
      }
    },
  }
}

async function dataOf<T>(what: string, answer: Response): Promise<T> {
  const text = await answer.text()
  if (answer.ok) {
    const body = JSON.parse(text) as { ok: boolean; data: T }
    if (body.ok) return body.data
  }
  throw new Error(`${what} answered ${answer.status} ${text}`)
}
