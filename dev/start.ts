// `npm start`: the collector on this machine, with embedded storage, no network and no account.
//
// The first start writes `.dev.vars` with a random ADMIN_KEY and makes an app `default` with an
// ingest and a read key. Those two keys are shown once by the API, so they are kept here in
// `.wrangler/`, beside the data they open; both files stay out of git. Later starts print them again.

import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { parseEnv } from 'node:util'

const ROOT = resolve(import.meta.dirname, '..')
const VARS_FILE = join(ROOT, '.dev.vars')
const KEYS_FILE = join(ROOT, '.wrangler', 'dev-keys.json')
const WRANGLER = join(ROOT, 'node_modules/wrangler/bin/wrangler.js')
const APP = 'default'
/** Bundling and starting takes about 2 s on an idle machine. */
const START_MS_MAX = 90_000

// What a local run would look up on the network: three requests that only fail without one.
const QUIET = {
  CLOUDFLARE_CF_FETCH_ENABLED: 'false',
  WRANGLER_SEND_METRICS: 'false',
  WRANGLER_HIDE_BANNER: 'true',
  X_LOCAL_OBSERVABILITY: 'false',
  X_LOCAL_EXPLORER: 'false',
}

interface DevKeys {
  ingest: string
  read: string
}

const host = process.env.HOST ?? '127.0.0.1'
const port = readPort(process.env.PORT ?? '8787')
const adminKey = readAdminKey()
await assertPortIsFree()
const server = startServer()
const isLocal = ['127.0.0.1', 'localhost', '0.0.0.0', '::', '::1'].includes(host)
const url = `http://${isLocal ? 'localhost' : host}:${port}`
await untilHealthy()
const keys = (await savedKeys()) ?? (await makeKeys())
process.stdout.write(greeting(keys))

function readPort(text: string): number {
  const port = Number(text)
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port
  return fail(`PORT must be a number from 1 to 65535, not "${text}".`)
}

/** The ADMIN_KEY of .dev.vars. A file that is there belongs to the user and is never written. */
function readAdminKey(): string {
  if (!existsSync(VARS_FILE)) {
    const key = `admin_${randomBytes(32).toString('base64url')}`
    writeFileSync(VARS_FILE, `# Secrets of the local collector. Not for git.\nADMIN_KEY=${key}\n`, {
      mode: 0o600,
    })
    return key
  }
  const key = parseEnv(readFileSync(VARS_FILE, 'utf8')).ADMIN_KEY?.trim()
  if (key) return key
  return fail(
    `${VARS_FILE} has no ADMIN_KEY, and without one the collector answers 503 to everything.\n` +
      'Add this line to it, then start again:\n\n' +
      `ADMIN_KEY=admin_${randomBytes(32).toString('base64url')}`,
  )
}

/** wrangler would take another port without a word, and the printed lines would be wrong. */
async function assertPortIsFree(): Promise<void> {
  const probe = createServer()
  const error = await new Promise<NodeJS.ErrnoException | null>((resolve) => {
    probe.once('error', resolve)
    probe.listen(port, host, () => resolve(null))
  })
  await new Promise((resolve) => probe.close(resolve))
  if (error) {
    const reason = error.code === 'EADDRINUSE' ? 'something else listens there' : error.message
    fail(`Port ${port} of ${host} cannot be used: ${reason}. Choose another: PORT=8788 npm start`)
  }
}

function startServer(): ChildProcess {
  const args = ['--no-warnings', WRANGLER, 'dev', '--ip', host, '--port', String(port)]
  args.push('--inspector-port', '0', '--show-interactive-dev-session=false', '--log-level', 'error')
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    env: { ...process.env, ...QUIET },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) => process.exit(code ?? (signal ? 0 : 1)))
  return child
}

async function untilHealthy(): Promise<void> {
  const deadlineMs = Date.now() + START_MS_MAX
  while (Date.now() < deadlineMs) {
    try {
      const response = await fetch(`${url}/health`)
      if (response.ok) return
    } catch {
      // Refused: it does not listen yet.
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  server.kill()
  fail(`The collector did not answer on ${url} within ${START_MS_MAX / 1000} seconds.`)
}

/** The keys of an earlier start, if they still open the app. */
async function savedKeys(): Promise<DevKeys | null> {
  if (!existsSync(KEYS_FILE)) return null
  try {
    const keys = JSON.parse(readFileSync(KEYS_FILE, 'utf8')) as DevKeys
    const read = await fetch(`${url}/logs?limit=1`, { headers: { 'X-API-Key': keys.read } })
    const ingest = await fetch(`${url}/v1/logs`, {
      method: 'POST',
      headers: { 'X-API-Key': keys.ingest, 'content-type': 'application/json' },
      body: '{}',
    })
    return read.ok && ingest.ok ? keys : null
  } catch {
    // Not JSON any more: new keys replace it.
    return null
  }
}

async function makeKeys(): Promise<DevKeys> {
  const created = await post('/apps', { app_id: APP, name: 'Made by npm start' })
  if (created.status !== 409 && !created.ok) fail(await refusal('make the app', created))
  const keys = { ingest: await makeKey('ingest'), read: await makeKey('read') }
  mkdirSync(join(ROOT, '.wrangler'), { recursive: true })
  writeFileSync(KEYS_FILE, `${JSON.stringify(keys)}\n`, { mode: 0o600 })
  return keys
}

async function makeKey(role: 'ingest' | 'read'): Promise<string> {
  const response = await post(`/apps/${APP}/keys`, { role, name: 'npm start' })
  if (!response.ok) fail(await refusal(`make the ${role} key`, response))
  const { data } = (await response.json()) as { data: { key: string } }
  return data.key
}

function post(path: string, body: unknown): Promise<Response> {
  return fetch(url + path, {
    method: 'POST',
    headers: { 'X-API-Key': adminKey, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
}

async function refusal(what: string, response: Response): Promise<string> {
  server.kill()
  return `The collector could not ${what}: ${response.status} ${await response.text()}`
}

function greeting({ ingest, read }: DevKeys): string {
  return `worker-logs is listening on ${url}

OTLP endpoint  ${url}/v1/logs
Header         X-API-Key: ${ingest}
Grafana        a Loki data source: URL ${url}, basic authentication, any user, password ${read}

Log a line, then find it:

curl -X POST ${url}/logs -H 'X-API-Key: ${ingest}' -d '{"level":"info","service":"demo","message":"hello, logs"}'
curl '${url}/logs?q=hello' -H 'X-API-Key: ${read}'

The admin key is ADMIN_KEY in .dev.vars. Data and these keys stay in .wrangler/. Ctrl+C stops.
`
}

function fail(message: string): never {
  process.stderr.write(`${message}\n`)
  process.exit(1)
}
