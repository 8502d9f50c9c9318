// One run of the OpenTelemetry Collector, with the configuration that a test gives.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Group } from '../process/group.ts'
import { startProgram } from './run.ts'

const START_TIMEOUT_MS = 30_000
const READY = 'Everything is ready'

export interface Otelcol {
  /** SIGTERM: it delivers what it holds, and ends. */
  stop(): Promise<void>
  output(): string
}

/** Resolves when it says that it is ready. The configuration is written as JSON, which is YAML. */
export async function startOtelcol(config: unknown): Promise<Otelcol> {
  const folder = await mkdtemp(join(tmpdir(), 'worker-logs-otelcol-'))
  const file = join(folder, 'config.yaml')
  await writeFile(file, JSON.stringify(config))
  const group = startProgram('collector', ['--config', file], {})
  const stop = async () => {
    await group.stop()
    await rm(folder, { recursive: true, force: true })
  }
  if (!(await isReady(group))) {
    await stop()
    throw new Error(`the Collector did not start\n${group.output()}`)
  }
  return { stop, output: () => group.output() }
}

async function isReady(group: Group): Promise<boolean> {
  const deadlineMs = Date.now() + START_TIMEOUT_MS
  while (Date.now() < deadlineMs && !group.hasEnded()) {
    if (group.output().includes(READY)) return true
    await sleep(50)
  }
  return false
}
