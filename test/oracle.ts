// The protobuf decoder of others: protobufjs static code, generated from proto/ when it is first
// asked for. It is the oracle of the fuzz test and the baseline of the decode benchmark.

import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs'
import { createRequire } from 'node:module'
import { promisify } from 'node:util'

const ROOT = new URL('../', import.meta.url)
const PROTO = new URL('proto/', ROOT)
const require = createRequire(import.meta.url)

/** protobufjs's own cursor. */
interface OracleReader {
  skip(length?: number): Record<string, unknown>
}

export interface OracleType {
  decode(bytes: Uint8Array): Record<string, unknown>
  encode(message: object): { finish(): Uint8Array }
  fromObject(json: object): object
}

export interface Oracle {
  ExportLogsServiceRequest: OracleType
  /** Set `decode` to read it otherwise. */
  EntityRef: { decode(reader: OracleReader, length?: number): object }
}

export const protoFiles = (): string[] =>
  readdirSync(PROTO, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.proto'))
    .sort()
    .map((name) => new URL(name, PROTO).pathname)

/** Generates the code into node_modules/.cache, once for each state of proto/. */
export async function loadOracle(): Promise<Oracle> {
  const files = protoFiles()
  const hash = createHash('sha256')
  for (const file of files) hash.update(readFileSync(file))
  const folder = new URL('node_modules/.cache/otlp-oracle/', ROOT)
  const target = new URL(`${hash.digest('hex').slice(0, 16)}.cjs`, folder).pathname
  if (!existsSync(target)) {
    mkdirSync(folder, { recursive: true })
    const { main } = require('protobufjs-cli/pbjs')
    const pathOption = ['-p', PROTO.pathname]
    const own = `${target}.${process.pid}`
    const options = ['-t', 'static-module', '-w', 'commonjs', '--no-comments', ...pathOption]
    await promisify(main)([...options, '-o', own, ...files])
    renameSync(own, target)
  }
  const { opentelemetry } = require(target)
  return {
    ExportLogsServiceRequest: opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest,
    EntityRef: opentelemetry.proto.common.v1.EntityRef,
  }
}
