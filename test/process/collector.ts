// The product as a process of its own: `wrangler dev` on a free port of this machine, with fresh
// state in a temporary folder and a known admin key. Tests that need more than one isolate use it:
// programs of others, kill -9, a second Worker.
//
// Everything that is started is one process group, and the group dies with its keeper: a shell that
// reads a pipe from the test. Whatever ends the test, SIGKILL included, closes the pipe, so no
// workerd is left behind.

import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const REPOSITORY = resolve(import.meta.dirname, '../..')
const WRANGLER = join(REPOSITORY, 'node_modules/wrangler/bin/wrangler.js')

/** wrangler bundles, then workerd starts: about 2 s on an idle machine, far more on a shared one. */
const START_TIMEOUT_MS = 90_000
const STOP_TIMEOUT_MS = 10_000
const REAP_TIMEOUT_MS = 2_000
const OUTPUT_CHARACTERS_MAX = 64 * 1024

// `cat` ends when the pipe from the test closes; `kill 0` is the whole group, this shell included.
const KEEPER = `exec 3<&0
(cat <&3 >/dev/null; kill -KILL 0) &
exec "$@" 3<&- </dev/null`

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
  /** What wrangler and the Worker printed since the last start, the newest 64 K characters. */
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
    ...options.env,
  }

  let group: ChildProcess | undefined
  let output = ''
  const start = async () => {
    output = ''
    group = spawn('/bin/sh', ['-c', KEEPER, 'keeper', ...command], {
      cwd: options.cwd ?? REPOSITORY,
      env,
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    const keep = (chunk: Buffer) => {
      output = (output + chunk).slice(-OUTPUT_CHARACTERS_MAX)
    }
    group.stdout?.on('data', keep)
    group.stderr?.on('data', keep)
    // The pipe breaks when the group is killed; that is no failure of the test.
    group.stdin?.on('error', () => {})
    try {
      await healthy(url, group)
    } catch (e) {
      await killGroup(group, 'SIGKILL')
      throw new Error(`${e instanceof Error ? e.message : e}\n${output}`)
    }
  }
  const kill9 = async () => {
    if (group) await killGroup(group, 'SIGKILL')
    group = undefined
  }

  await start()
  return {
    url,
    port,
    adminKey,
    state,
    async stop() {
      if (group) await killGroup(group, 'SIGTERM')
      group = undefined
      if (options.state === undefined) await removeFolder(state)
    },
    kill9,
    async restart() {
      await kill9()
      await start()
    },
    output: () => output,
  }
}

async function healthy(url: string, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS
  while (Date.now() < deadline) {
    if (hasEnded(child)) throw new Error(`wrangler ended with ${child.exitCode}`)
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

/** Resolves when no process of the group is left. */
async function killGroup(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const pid = child.pid
  if (pid === undefined) return
  const closed = hasEnded(child) ? undefined : once(child, 'exit')
  signalGroup(pid, signal)
  // wrangler waits for open connections on SIGTERM; a test does not.
  const late = setTimeout(() => signalGroup(pid, 'SIGKILL'), STOP_TIMEOUT_MS)
  await closed
  clearTimeout(late)
  // The leader may end before workerd does, and would leave the port taken.
  signalGroup(pid, 'SIGKILL')
  const deadline = Date.now() + REAP_TIMEOUT_MS
  while ((await isAlive(pid)) && Date.now() < deadline) await sleep(10)
}

/**
 * Whether a process of the group still runs. Where process 1 reaps orphans late or never, the dead
 * stay in the group and signals still reach it; /proc tells them apart, where there is one.
 */
async function isAlive(group: number): Promise<boolean> {
  if (!signalGroup(group, 0)) return false
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name))
  if (pids.length === 0) return true
  const stats = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '')),
  )
  // "pid (name) state ppid pgrp ...", and a name may hold spaces and brackets.
  const rests = stats.map((stat) => stat.slice(stat.lastIndexOf(')') + 2).split(' '))
  return rests.some(([state, , pgrp]) => state !== 'Z' && pgrp === String(group))
}

/** False when the group has no process any more. */
function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-pid, signal)
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code === 'ESRCH') return false
    throw e
  }
}

const hasEnded = (child: ChildProcess) => child.exitCode !== null || child.signalCode !== null

async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
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
