// How a test file reaches its programs: start one, wait for it, find out why there is none.

import { tmpdir } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { inject } from 'vitest'
import { type Group, startGroup } from '../process/group.ts'
import type { ProgramName } from './programs.ts'
import { RESOURCE } from './records.ts'

const RUN_TIMEOUT_MS = 60_000

/** Why what needs these programs is skipped; empty when all of them are there. */
export function missing(...names: ProgramName[]): string {
  const reasons = names.flatMap((name) => {
    const program = inject('programs')[name]
    return 'missing' in program ? [`${name} is missing: ${program.missing.split('\n')[0]}`] : []
  })
  return reasons.join('; ')
}

/** The title of a test that needs them, with the reason where it is skipped. */
export function titled(title: string, reason: string): string {
  return reason ? `${title} (SKIPPED: ${reason})` : title
}

export function startProgram(
  name: ProgramName,
  args: string[],
  env: Record<string, string>,
): Group {
  const program = inject('programs')[name]
  if ('missing' in program) throw new Error(program.missing)
  // Of OTEL_* only what the test says: whoever runs it may be under observation too.
  const own = Object.entries(process.env).filter(([key]) => !key.startsWith('OTEL_'))
  return startGroup([...program.command, ...args], {
    cwd: tmpdir(),
    env: { ...Object.fromEntries(own), ...env },
  })
}

/** Resolves with what it printed. Throws unless it ends with 0 in time. */
export async function runProgram(
  name: ProgramName,
  args: string[],
  env: Record<string, string>,
): Promise<string> {
  const group = startProgram(name, args, env)
  const late = new AbortController()
  const timeout = sleep(RUN_TIMEOUT_MS, 'late', { signal: late.signal }).catch(() => 'late')
  const code = await Promise.race([group.ended, timeout])
  late.abort()
  await group.kill9()
  if (code !== 0) throw new Error(`${name} ${args.join(' ')}: ${code}\n${group.output()}`)
  return group.output()
}

/** What a user sets to point an SDK at an OTLP/HTTP endpoint with a key. */
export function otelEnv(
  endpoint: string,
  options: { key: string; compression: 'gzip' | 'none' },
): Record<string, string> {
  const resource = Object.entries(RESOURCE).map(([key, value]) => `${key}=${value}`)
  return {
    OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
    OTEL_EXPORTER_OTLP_HEADERS: `X-API-Key=${options.key}`,
    OTEL_EXPORTER_OTLP_COMPRESSION: options.compression,
    OTEL_RESOURCE_ATTRIBUTES: resource.join(','),
    OTEL_METRICS_EXPORTER: 'none',
    OTEL_TRACES_EXPORTER: 'none',
  }
}
