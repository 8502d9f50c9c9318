// What is measured: the product and bench/rows-baseline, each in a workerd of its own. A door is one
// app of a target, so every scenario starts empty.

import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { clientOf } from '../test/process/client.ts'
import { startWorkerd } from './workerd.ts'

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
  /** Of its workerd since that started; NaN where there is no /proc. */
  cpuSeconds(): number
  /** The newest of what it printed. */
  output(): string
  stop(): Promise<void>
}

export async function startProduct(): Promise<Target> {
  const adminKey = `admin-${randomBytes(16).toString('hex')}`
  const { url, cpuSeconds, output, stop } = await startWorkerd(REPOSITORY, adminKey)
  const client = clientOf(url, adminKey)
  return {
    name: 'product',
    async openDoor(app) {
      const { ingestKey } = await client.makeApp(app)
      return {
        url: new URL('/v1/logs', url),
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
    output,
    stop,
  }
}

export async function startBaseline(): Promise<Target> {
  makeOtlpReader()
  const { url, cpuSeconds, output, stop } = await startWorkerd(BASELINE)
  return {
    name: 'baseline',
    async openDoor(app) {
      return {
        url: new URL(`/v1/logs?app=${app}`, url),
        headers: {},
        async storage() {
          const answer = await fetch(`${url}/stats?app=${app}`)
          return storageOf((await answer.json()) as Parameters<typeof storageOf>[0])
        },
      }
    },
    cpuSeconds,
    output,
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
