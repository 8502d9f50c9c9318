// What is measured, as processes of their own: the product and bench/rows-baseline, each under
// `wrangler dev` with fresh state. A door is one app of a target, so every scenario starts empty.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { clientOf } from '../test/process/client.ts'
import { startCollector } from '../test/process/collector.ts'

const REPOSITORY = resolve(import.meta.dirname, '..')
const BASELINE = join(import.meta.dirname, 'rows-baseline')

export interface Storage {
  rowsWritten: number
  databaseBytes: number
}

export interface Door {
  url: URL
  headers: Record<string, string>
  /** Rows written since the door was made, index rows included, and the size of the database. */
  storage(): Promise<Storage>
}

export interface Target {
  name: 'product' | 'baseline'
  openDoor(app: string): Promise<Door>
  /** Of all its workerd processes since they started; NaN where there is no /proc. */
  cpuSeconds(): number
  stop(): Promise<void>
}

export async function startProduct(): Promise<Target> {
  const { server, cpuSeconds, stop } = await startMeasured(REPOSITORY)
  const client = clientOf(server.url, server.adminKey)
  return {
    name: 'product',
    async openDoor(app) {
      const { ingestKey } = await client.makeApp(app)
      return {
        url: new URL('/v1/logs', server.url),
        headers: { authorization: `Bearer ${ingestKey}` },
        async storage() {
          const stats = await client.admin<{
            storage: { rows_written: number; database_bytes: number }
          }>('GET', `/stats/${app}`)
          return storageOf(stats.storage)
        },
      }
    },
    cpuSeconds,
    stop,
  }
}

export async function startBaseline(): Promise<Target> {
  makeOtlpReader()
  const { server, cpuSeconds, stop } = await startMeasured(BASELINE)
  return {
    name: 'baseline',
    async openDoor(app) {
      return {
        url: new URL(`/v1/logs?app=${app}`, server.url),
        headers: {},
        async storage() {
          const answer = await fetch(`${server.url}/stats?app=${app}`)
          return storageOf((await answer.json()) as Parameters<typeof storageOf>[0])
        },
      }
    },
    cpuSeconds,
    stop,
  }
}

const storageOf = (stats: { rows_written: number; database_bytes: number }): Storage => ({
  rowsWritten: stats.rows_written,
  databaseBytes: stats.database_bytes,
})

/** The baseline decodes with what most people would take: protobufjs static code. */
function makeOtlpReader() {
  const proto = join(REPOSITORY, 'proto')
  const service = readdirSync(proto, { recursive: true, encoding: 'utf8' }).find((file) =>
    file.endsWith('logs_service.proto'),
  )
  if (!service) throw new Error(`cannot find logs_service.proto under ${proto}`)
  const pbjs = join(REPOSITORY, 'node_modules/protobufjs-cli/bin/pbjs')
  execFileSync(process.execPath, [
    ...[pbjs, '-t', 'static-module', '-w', 'esm', '--no-comments', '--no-service'],
    ...['--no-create', '--no-encode', '--no-verify', '--no-convert', '-p', proto],
    ...['-o', join(BASELINE, 'otlp.js'), join(proto, service)],
  ])
}

/** Starts the Worker of `folder` as it is at this moment. */
async function startMeasured(folder: string) {
  const bundle = bundleOf(folder)
  const others = new Set(childrenOf(process.pid))
  // The bundle, not the sources: `wrangler dev` would start again whenever one of those is saved.
  const config = join(folder, 'wrangler.jsonc')
  const args = [join(bundle, 'worker.js'), '--no-bundle', '--config', config]
  const server = await startCollector({ cwd: folder, args })
  const own = childrenOf(process.pid).filter((pid) => !others.has(pid))
  return {
    server,
    cpuSeconds() {
      const workerds = own
        .flatMap(descendantsOf)
        .map(statOf)
        .filter((stat) => stat?.name === 'workerd')
      if (workerds.length === 0) return Number.NaN
      return workerds.reduce((sum, stat) => sum + stat!.cpuTicks, 0) / TICKS_PER_SECOND
    },
    async stop() {
      await server.stop()
      rmSync(bundle, { recursive: true, force: true })
    },
  }
}

/** A temporary folder with the Worker of `folder` as the one module worker.js. */
function bundleOf(folder: string): string {
  const out = mkdtempSync(join(tmpdir(), 'worker-logs-bench-'))
  const wrangler = join(REPOSITORY, 'node_modules/wrangler/bin/wrangler.js')
  execFileSync(process.execPath, [wrangler, 'deploy', '--dry-run', '--env=', '--outdir', out], {
    cwd: folder,
    env: { ...process.env, WRANGLER_SEND_METRICS: 'false' },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  return out
}

/** USER_HZ, which is 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

const childrenOf = (parent: number): number[] =>
  pids().filter((pid) => statOf(pid)?.parent === parent)
const descendantsOf = (pid: number): number[] => [pid, ...childrenOf(pid).flatMap(descendantsOf)]

const pids = (): number[] =>
  existsSync('/proc/self/stat') ? readdirSync('/proc').map(Number).filter(Boolean) : []

/** Undefined when the process has ended. */
function statOf(pid: number): { name: string; parent: number; cpuTicks: number } | undefined {
  try {
    // "pid (name) state ppid ...", utime and stime are the 14th and 15th; a name may hold spaces.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const rest = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return {
      name: stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')')),
      parent: Number(rest[1]),
      cpuTicks: Number(rest[11]) + Number(rest[12]),
    }
  } catch (e) {
    if (['ENOENT', 'ESRCH'].includes((e as NodeJS.ErrnoException).code ?? '')) return undefined
    throw e
  }
}
