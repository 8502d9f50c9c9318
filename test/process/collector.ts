// The product as a process of its own: `wrangler dev` on a free port of this machine, with fresh
// state in a temporary folder and a known admin key. Tests that need more than one isolate use it:
// programs of others, kill -9, a second Worker.

import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { type Group, startGroup } from './group.ts'

const REPOSITORY = resolve(import.meta.dirname, '../..')
const WRANGLER = join(REPOSITORY, 'node_modules/wrangler/bin/wrangler.js')

/** wrangler bundles, then workerd starts: about 2 s on an idle machine, far more on a shared one. */
const START_TIMEOUT_MS = 90_000

// What a local run would look up on the network, or show to a person.
const QUIET = {
  CI: 'true',
  CLOUDFLARE_CF_FETCH_ENABLED: 'false',
  WRANGLER_SEND_METRICS: 'false',
  WRANGLER_HIDE_BANNER: 'true',
  X_LOCAL_OBSERVABILITY: 'false',
  X_LOCAL_EXPLORER: 'false',
}

export interface CollectorOptions {
  /** Where state lies. Absent: a new temporary folder, removed by stop(). */
  state?: string
  port?: number
  adminKey?: string
  /** More arguments of `wrangler dev`, for instance `-c` twice to run two Workers. */
  args?: string[]
  /** Where wrangler runs, so whose wrangler.jsonc it takes. Absent: this repository. */
  cwd?: string
  env?: Record<string, string>
}

export interface Collector {
  readonly url: string
  readonly port: number
  readonly adminKey: string
  readonly state: string
  /** Ends it gently, and with it its temporary state. May be called twice. */
  stop(): Promise<void>
  /** SIGKILL to the whole group at once, as a crash of the machine would. State stays. */
  kill9(): Promise<void>
  /** Starts it again on the same port and state, after kill9() or while it runs. */
  restart(): Promise<void>
  /** What wrangler and the Worker printed since the last start. */
  output(): string
}

/** Resolves once GET /health answers 200. Throws with the printed output if that never happens. */
export async function startCollector(options: CollectorOptions = {}): Promise<Collector> {
  const state = options.state ?? (await mkdtemp(join(tmpdir(), 'worker-logs-')))
  const port = options.port ?? (await freePort())
  const adminKey = options.adminKey ?? `admin-${randomBytes(16).toString('hex')}`
  const url = `http://127.0.0.1:${port}`

  const command = [
    ...[process.execPath, '--no-warnings', WRANGLER, 'dev', '--ip', '127.0.0.1'],
    ...['--port', String(port), '--inspector-port', '0', '--persist-to', state],
    ...['--var', `ADMIN_KEY:${adminKey}`, '--show-interactive-dev-session=false'],
    ...['--log-level', 'error', ...(options.args ?? [])],
  ]
  const env = {
    ...process.env,
    ...QUIET,
    // Else under the home folder, where runs side by side would meet.
    WRANGLER_REGISTRY_PATH: join(state, 'registry'),
    WRANGLER_LOG_PATH: join(state, 'logs'),
    // What a killed wrangler leaves there goes with the state.
    TMPDIR: join(state, 'tmp'),
    ...options.env,
  }

  const start = async () => {
    await mkdir(join(state, 'tmp'), { recursive: true })
    const group = startGroup(command, { cwd: options.cwd ?? REPOSITORY, env })
    try {
      await waitUntilHealthy(url, group)
    } catch (e) {
      await group.kill9()
      throw new Error(`${e instanceof Error ? e.message : e}\n${group.output()}`)
    }
    return group
  }
  const removeState = async () => {
    if (options.state !== undefined) return
    await rm(state, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  }

  let group: Group
  try {
    group = await start()
  } catch (e) {
    await removeState()
    throw e
  }
  return {
    url,
    port,
    adminKey,
    state,
    async stop() {
      await group.stop()
      await removeState()
    },
    kill9: () => group.kill9(),
    async restart() {
      await group.kill9()
      group = await start()
    },
    output: () => group.output(),
  }
}

/**
 * The options of a collector that is bundled once, into `folder`, and not again at each start: one
 * takes 2 s then where it takes 8.
 */
export async function bundledInto(folder: string): Promise<CollectorOptions> {
  const command = [WRANGLER, 'deploy', '--dry-run', '--env=', '--outdir', folder]
  await promisify(execFile)(process.execPath, ['--no-warnings', ...command], {
    cwd: REPOSITORY,
    env: { ...process.env, ...QUIET },
  })
  const settings = await readFile(join(REPOSITORY, 'wrangler.jsonc'), 'utf8')
  await writeFile(
    join(folder, 'wrangler.jsonc'),
    settings.replace('"main": "src/worker.ts"', '"main": "worker.js"'),
  )
  return { cwd: folder, args: ['--no-bundle'] }
}

async function waitUntilHealthy(url: string, group: Group): Promise<void> {
  const deadlineMs = Date.now() + START_TIMEOUT_MS
  while (Date.now() < deadlineMs) {
    if (group.hasEnded()) throw new Error(`wrangler ended with ${await group.ended}`)
    // Else it waits for someone to mend the source.
    if (group.output().includes('Build failed')) throw new Error('the Worker does not build')
    try {
      const answer = await fetch(`${url}/health`, { signal: AbortSignal.timeout(5_000) })
      await answer.arrayBuffer()
      if (answer.ok) return
    } catch {
      // Refused or cut off: it does not listen yet.
    }
    await sleep(100)
  }
  throw new Error(`${url}/health did not answer 200 within ${START_TIMEOUT_MS} ms`)
}

export async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
