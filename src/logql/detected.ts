// Fields that lines have beside the labels of their stream: structured metadata, what the query's stages
// made, and what a line holds that is JSON or logfmt. What their values look like is guessed from one
// value of each.

import { ok, type Result } from '../result.ts'
import type { Processed } from './entry.ts'
import { join } from './label-names.ts'
import { ERROR, ERROR_DETAILS } from './line-labels.ts'
import { parseBytes, parseGoSeconds } from './literals.ts'
import { NO_TIME, type Pipeline, preparePipeline } from './pipeline.ts'

export type FieldType = 'int' | 'float' | 'boolean' | 'duration' | 'bytes' | 'string'

export interface DetectedField {
  label: string
  type: FieldType
  cardinality: number
  /** Of a line; null: none is needed. */
  parsers: string[] | null
  /** Keys that lead to it in a line that is JSON. */
  jsonPath?: string[]
}

type Parser = 'json' | 'logfmt'

interface Field {
  type: FieldType
  values: Set<string>
  parsers: Parser[]
  jsonPath: string[] | null
}

/** Collects the fields of lines, so many at most. */
export class FieldDetector {
  readonly #fields = new Map<string, Field>()
  readonly #parsers: { name: Parser; pipeline: Pipeline }[]
  readonly #fieldsMax: number

  private constructor(parsers: { name: Parser; pipeline: Pipeline }[], fieldsMax: number) {
    this.#parsers = parsers
    this.#fieldsMax = fieldsMax
  }

  static create(fieldsMax: number): Result<FieldDetector> {
    const json = preparePipeline([{ kind: 'json', fields: [] }], null)
    if (!json.ok) return json
    const isLoose = { isStrict: false, keepsEmpty: false }
    const logfmt = preparePipeline([{ kind: 'logfmt', fields: [], ...isLoose }], null)
    if (!logfmt.ok) return logfmt
    const parsers = [
      { name: 'json', pipeline: json.data } as const,
      { name: 'logfmt', pipeline: logfmt.data } as const,
    ]
    return ok(new FieldDetector(parsers, fieldsMax))
  }

  add({ line, stream, metadata, parsed }: Processed): void {
    for (const [name, value] of metadata) this.#take(name, value, null)
    const found = this.#parse(line, stream)
    for (const [name, value] of parsed) if (!isError(name)) this.#take(name, value, found)
    for (const [name, value] of found?.labels ?? []) this.#take(name, value, found)
  }

  /** In no order. */
  fields(): DetectedField[] {
    return [...this.#fields].map(([label, { type, values, parsers, jsonPath }]) => ({
      label,
      type,
      cardinality: values.size,
      parsers: parsers.length === 0 ? null : parsers,
      ...(jsonPath && { jsonPath }),
    }))
  }

  /** The values of one field. */
  values(label: string): string[] {
    return [...(this.#fields.get(label)?.values ?? [])]
  }

  /** What a line holds: JSON if it is that, else logfmt. */
  #parse(line: string, stream: Map<string, string>): Parsed | null {
    for (const { name, pipeline } of this.#parsers) {
      const entry = pipeline.run(line, { stream, metadata: NONE }, NO_TIME)
      if (!entry || entry.parsed.has(ERROR)) continue
      return { parser: name, labels: entry.parsed, line }
    }
    return null
  }

  #take(name: string, value: string, found: Parsed | null): void {
    let field = this.#fields.get(name)
    if (!field) {
      if (this.#fields.size >= this.#fieldsMax) return
      field = { type: typeOf(value), values: new Set(), parsers: [], jsonPath: null }
      this.#fields.set(name, field)
    }
    field.values.add(value)
    if (!found) return
    if (!field.parsers.includes(found.parser)) field.parsers.push(found.parser)
    if (found.parser === 'json') field.jsonPath ??= pathTo(name, found.line)
  }
}

interface Parsed {
  parser: Parser
  labels: Map<string, string>
  line: string
}

const NONE: ReadonlyMap<string, string> = new Map()
const isError = (name: string) => name === ERROR || name === ERROR_DETAILS

/** Keys of a path: deeper ones are found by nobody. */
const PATH_MAX = 64

/** The keys of a JSON text that a parser names so; null: it is not of this line. */
function pathTo(label: string, line: string): string[] | null {
  const name = label.replace(/_extracted$/, '')
  const find = (value: unknown, prefix: string, path: string[]): string[] | null => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      return path.length > 0 && (prefix === label || prefix === name) ? path : null
    }
    for (const [key, member] of Object.entries(value)) {
      const own = join(prefix, key)
      if (!label.startsWith(own) || path.length === PATH_MAX) continue
      const found = find(member, own, [...path, key])
      if (found) return found
    }
    return null
  }
  return find(JSON.parse(line), '', [])
}

const FLOAT = /^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf|infinity|nan)$/i
const BOOLEAN = /^(?:[01tTfF]|true|True|TRUE|false|False|FALSE)$/
const INT_MAX = 9_223_372_036_854_775_807n

function typeOf(value: string): FieldType {
  if (/^[+-]?\d+$/.test(value) && value.length < 21 && BigInt(value.replace('+', '')) <= INT_MAX) {
    return 'int'
  }
  if (FLOAT.test(value)) return 'float'
  if (BOOLEAN.test(value)) return 'boolean'
  if (parseGoSeconds(value) !== null) return 'duration'
  if (parseBytes(value) !== null) return 'bytes'
  return 'string'
}
