// What is measured: the product and bench/rows-baseline, each in a workerd of its own. A door is one
// app of a target, so every scenario starts empty.

import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { nothingRead, type QueryStats } from '../src/tenant/stats.ts'
import { type Client, clientOf } from '../test/process/client.ts'
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
  /** Rows written since its object was started, index rows included, and the size of the database. */
  storage(): Promise<Storage>
  /** Resolves once nothing is left to do with what was acknowledged: the product has sealed it all. */
  settle(): Promise<void>
}

interface Log {
  id: string
  trace_id: string | null
  time_unix_nano: string
}

export interface LokiSeries {
  metric?: Record<string, string>
  value?: [number, string]
  values?: [string | number, string][]
}

/** Of any door that answers a question, as far as it is looked at. */
export interface Answer {
  count?: number
  logs?: Log[]
  /** Of a trace, and around a record. */
  records?: Log[]
  before?: Log[]
  after?: Log[]
  total?: number
  buckets?: { time: number; count: number; values?: Record<string, number> }[]
  /** Facets have values, fields have counts. */
  fields?: { name?: string; count?: number; values?: { value: string; count: number }[] }[]
  groups?: { by: Record<string, string | null>; count: number; p95?: number }[]
  patterns?: { pattern: string | null; count: number }[]
  relative_error?: number
  /** Of Loki's API: streams, or series with their values. */
  result?: LokiSeries[]
  partial: boolean
  stats: QueryStats
}

/** What GET /apps/:app_id/storage tells, as far as it is used. */
export interface Holdings {
  records: number
  bytes: number
  blocks: { tier: 'hot' | 'cold'; blocks: number; records: number; bytes: number }[]
  pending: { records: number }
  database_bytes: number
  rows_written: number
}

export interface ProductDoor extends Door {
  /** With the key that reads. */
  readHeaders: Record<string, string>
  /** Any door that reads. Throws on an answer that is partial. */
  query(path: string, parameters: Record<string, string>): Promise<Answer>
  /** How many lines and bytes an export has. */
  export(parameters: Record<string, string>): Promise<{ lines: number; bytes: number }>
  holdings(): Promise<Holdings>
}

export interface Target<D extends Door = Door> {
  name: 'product' | 'baseline'
  openDoor(app: string): Promise<D>
  /** Of its workerd since that started; NaN where there is no /proc. */
  cpuSeconds(): number
  /** The newest of what it printed. */
  output(): string
  stop(): Promise<void>
}

export async function startProduct(): Promise<Target<ProductDoor>> {
  const adminKey = `admin-${randomBytes(16).toString('hex')}`
  const { url, cpuSeconds, output, stop } = await startWorkerd(REPOSITORY, adminKey)
  const client = clientOf(url, adminKey)
  const openDoor = (app: string) => openProductDoor(url, client, app)
  return { name: 'product', openDoor, cpuSeconds, output, stop }
}

/** A new app of a product that runs. */
export async function openProductDoor(
  url: string,
  client: Client,
  app: string,
): Promise<ProductDoor> {
  const { ingestKey, readKey } = await client.makeApp(app)
  return {
    url: new URL('/v1/logs', url),
    headers: { authorization: `Bearer ${ingestKey}` },
    readHeaders: { authorization: `Bearer ${readKey}` },
    async storage() {
      const { storage } = await client.admin<{ storage: Parameters<typeof storageOf>[0] }>(
        'GET',
        `/stats/${app}`,
      )
      return storageOf(storage)
    },
    async settle() {
      const { jobs } = await client.admin<{ jobs: { job_id: string }[] }>('POST', '/flush', {
        app_id: app,
      })
      const path = `/apps/${app}/jobs/${jobs[0]!.job_id}`
      for (;;) {
        const { state } = await client.admin<{ state: string }>('GET', path)
        if (state === 'done') return
        if (state !== 'running') throw new Error(`a flush of ${app} has ${state}`)
        await sleep(SETTLE_POLL_MS)
      }
    },
    async query(path, parameters) {
      const asked = `${url}/${path}?${new URLSearchParams(parameters)}`
      const ask = () => fetch(asked, { headers: { authorization: `Bearer ${readKey}` } })
      // A connection that was idle may be closed just when it is used again.
      const sent = await ask().catch(ask)
      const text = await sent.text()
      if (path.startsWith('loki/') && sent.ok) return lokiAnswer(text)
      const { data } = sent.ok ? (JSON.parse(text) as { data: Answer }) : { data: null }
      if (data === null || data.partial) throw new Error(`${path} answered ${sent.status} ${text}`)
      return data
    },
    async export(parameters) {
      const sent = await fetch(`${url}/logs/export?${new URLSearchParams(parameters)}`, {
        headers: { authorization: `Bearer ${readKey}` },
      })
      if (!sent.ok) throw new Error(`an export answered ${sent.status} ${await sent.text()}`)
      const size = { lines: 0, bytes: 0 }
      for await (const chunk of sent.body!) {
        size.bytes += chunk.length
        for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) size.lines++
      }
      return size
    },
    holdings: () => client.admin('GET', `/apps/${app}/storage`),
  }
}

interface LokiWire {
  warnings?: string[]
  data: {
    result: LokiSeries[]
    stats: {
      summary: { totalBytesProcessed: number; totalLinesProcessed: number }
      querier: { store: { totalChunksRef: number; totalChunksDownloaded: number } }
    }
  }
}

/** An answer of Loki's API, its stats told as those of all others. */
function lokiAnswer(text: string): Answer {
  const { warnings, data } = JSON.parse(text) as LokiWire
  // Quantiles of very many numbers are estimated, and checked as such; anything else is an answer that lacks something.
  if (warnings?.some((warning) => !warning.startsWith('quantiles'))) {
    throw new Error(`it warns: ${warnings}`)
  }
  const { summary, querier } = data.stats
  const { totalChunksRef: considered, totalChunksDownloaded: opened } = querier.store
  const stats = nothingRead()
  return {
    result: data.result,
    partial: false,
    stats: {
      ...stats,
      blocks: { ...stats.blocks, considered, opened },
      bytes: summary.totalBytesProcessed,
      rows: summary.totalLinesProcessed,
    },
  }
}

/** Each question is a request that the product works on, so not often. */
const SETTLE_POLL_MS = 50

export interface BaselineDoor extends Door {
  /** How many records of a trace there are. */
  trace(id: string): Promise<number>
}

export async function startBaseline(): Promise<Target<BaselineDoor>> {
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
        // A row is all there is to it.
        settle: async () => {},
        async trace(id) {
          const answer = await fetch(`${url}/logs?app=${app}&trace_id=${id}`)
          return ((await answer.json()) as { logs: unknown[] }).logs.length
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
