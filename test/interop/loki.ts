// One run of the real Loki: all its parts in one process, with its data in a folder of its own.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../process/collector.ts'
import type { Group } from '../process/group.ts'
import { startProgram } from './run.ts'

const START_TIMEOUT_MS = 60_000

export interface Loki {
  url: string
  stop(): Promise<void>
  output(): string
}

/** Resolves when it says that it is ready. The configuration is written as JSON, which is YAML. */
export async function startLoki(): Promise<Loki> {
  const folder = await mkdtemp(join(tmpdir(), 'worker-logs-loki-'))
  const [port, grpcPort] = [await freePort(), await freePort()]
  const url = `http://127.0.0.1:${port}`
  const file = join(folder, 'config.yaml')
  await writeFile(file, JSON.stringify(configOf(folder, port, grpcPort)))
  const group = startProgram('loki', [`-config.file=${file}`], {})
  const stop = async () => {
    await group.kill9()
    await rm(folder, { recursive: true, force: true })
  }
  if (!(await isReady(url, group))) {
    await stop()
    throw new Error(`Loki did not start\n${group.output()}`)
  }
  return { url, stop, output: () => group.output() }
}

async function isReady(url: string, group: Group): Promise<boolean> {
  const deadlineMs = Date.now() + START_TIMEOUT_MS
  while (Date.now() < deadlineMs && !group.hasEnded()) {
    try {
      const answer = await fetch(`${url}/ready`, { signal: AbortSignal.timeout(5_000) })
      await answer.arrayBuffer()
      if (answer.ok) return true
    } catch {
      // It does not listen yet.
    }
    await sleep(200)
  }
  return false
}

function configOf(folder: string, port: number, grpcPort: number) {
  return {
    auth_enabled: false,
    analytics: { reporting_enabled: false },
    server: {
      http_listen_address: '127.0.0.1',
      http_listen_port: port,
      grpc_listen_address: '127.0.0.1',
      grpc_listen_port: grpcPort,
      log_level: 'error',
    },
    common: {
      instance_addr: '127.0.0.1',
      path_prefix: folder,
      replication_factor: 1,
      ring: { kvstore: { store: 'inmemory' } },
      storage: {
        filesystem: {
          chunks_directory: join(folder, 'chunks'),
          rules_directory: join(folder, 'rules'),
        },
      },
    },
    schema_config: {
      configs: [
        {
          from: '2020-10-24',
          store: 'tsdb',
          object_store: 'filesystem',
          schema: 'v13',
          index: { prefix: 'index_', period: '24h' },
        },
      ],
    },
    ingester: {
      lifecycler: { min_ready_duration: '0s', final_sleep: '0s' },
      // Chunks stay where they were pushed: what is flushed meanwhile is for a while not found.
      max_chunk_age: '1000h',
      chunk_idle_period: '1000h',
    },
    // Whatever was pushed is found at once, however old it says it is.
    querier: { query_ingesters_within: '0s' },
    // What is compared is the language: quantiles and the like of shards are estimates.
    query_range: { parallelise_shardable_queries: false },
    pattern_ingester: { enabled: true, lifecycler: { min_ready_duration: '0s' } },
    limits_config: {
      allow_structured_metadata: true,
      // What it would add by itself.
      discover_log_levels: false,
      discover_service_name: [],
      reject_old_samples: false,
      volume_enabled: true,
      max_label_names_per_series: 40,
      max_query_series: 10_000,
      max_entries_limit_per_query: 10_000,
      ingestion_rate_mb: 100,
      ingestion_burst_size_mb: 100,
      per_stream_rate_limit: '100MB',
      per_stream_rate_limit_burst: '100MB',
    },
  }
}
