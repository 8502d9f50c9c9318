// AnyValue in JSON, to the same Value as in protobuf: scalars as they are, arrays and maps as JSON
// text in the order of arrival. The depth of what JSON.parse gives is bounded (json.ts), so the walk
// may recurse.

import { utf8Bytes } from './cut.ts'
import { setDouble, setNull } from './otlp-value.ts'
import { newValue, type Value } from './value.ts'

/** A member of a wrong type or form, by its path. */
export class BadJson extends Error {
  readonly field: string
  constructor(field: string, message: string) {
    super(message)
    this.field = field
  }
}

export type Json = Record<string, unknown>

/** The member, by either of its names; null when it is left out. */
export function member(holder: Json, name: string, snakeName?: string): unknown {
  return holder[name] ?? (snakeName === undefined ? null : holder[snakeName]) ?? null
}

const NOTHING: Json = Object.freeze(Object.create(null))

/** The object at `path`; an empty one for null. */
export function object(value: unknown, path: string): Json {
  if (value === null) return NOTHING
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw new BadJson(path, 'must be an object')
  }
  return value as Json
}

/** Calls `each` with every entry of the array at `path`. An entry is no default: null is wrong. */
export function list(
  value: unknown,
  path: string,
  each: (entry: unknown, path: string) => void,
): void {
  if (value === null) return
  if (!Array.isArray(value)) throw new BadJson(path, 'must be an array')
  value.forEach((entry, i) => {
    const at = `${path}[${i}]`
    if (typeof entry !== 'object' || entry === null) throw new BadJson(at, 'must be an object')
    each(entry, at)
  })
}

export function readText(value: unknown, path: string): string {
  if (value === null) return ''
  if (typeof value !== 'string') throw new BadJson(path, 'must be a string')
  return value.toWellFormed()
}

export class AnyValueWalk {
  /** What `read` read last. */
  readonly value: Value = newValue()
  #parts: string[] = []
  #depth = 0

  /** Reads the array of KeyValue of `holder`, one call of `each` per attribute. */
  attributes(holder: Json, path: string, each: (name: string) => void): void {
    list(member(holder, 'attributes'), path, (entry, at) => {
      const attribute = entry as Json
      this.read(member(attribute, 'value'), `${at}.value`)
      each(readText(member(attribute, 'key'), `${at}.key`))
    })
  }

  /** Reads an AnyValue into `value`. True if it is a string, not only stored as one. */
  read(any: unknown, path: string): boolean {
    const { value } = this
    const found = this.#member(object(any, path))
    if (found === null) {
      setNull(value)
      return false
    }
    const [kind, content] = found
    if (kind === 'array' || kind === 'kvlist') {
      this.#parts = []
      this.#depth = 0
      value.message = kind === 'kvlist' ? mapMessage(content, path) : ''
      this.#writeContainer(kind, content, path, 1)
      value.type = 'json'
      value.text = this.#parts.join('')
      value.bytes = utf8Bytes(value.text)
      value.depth = this.#depth
      return false
    }
    readScalar(kind, content, `${path}.${kind}Value`, value)
    return kind === 'string'
  }

  /** The kind and content of the last member that is set, or null for an empty value. */
  #member(any: Json): [string, unknown] | null {
    let found: [string, unknown] | null = null
    for (const name in any) {
      const kind = KINDS.get(name)
      if (kind !== undefined && any[name] !== null) found = [kind, any[name]]
    }
    return found
  }

  #writeContainer(kind: string, content: unknown, path: string, level: number): void {
    if (level > this.#depth) this.#depth = level
    const isArray = kind === 'array'
    const at = `${path}.${kind}Value`
    const values = member(object(content, at), 'values')
    if (values !== null && !Array.isArray(values)) {
      throw new BadJson(`${at}.values`, 'must be an array')
    }
    this.#parts.push(isArray ? '[' : '{')
    const items: unknown[] = values ?? []
    items.forEach((item, i) => {
      const itemAt = `${at}.values[${i}]`
      if (i > 0) this.#parts.push(',')
      if (isArray) this.#write(item, itemAt, level + 1)
      else {
        if (item === null) throw new BadJson(itemAt, 'must be an object')
        const entry = object(item, itemAt)
        this.#parts.push(JSON.stringify(readText(member(entry, 'key'), `${itemAt}.key`)), ':')
        this.#write(member(entry, 'value'), `${itemAt}.value`, level + 1)
      }
    })
    this.#parts.push(isArray ? ']' : '}')
  }

  #write(any: unknown, path: string, level: number): void {
    const found = this.#member(object(any, path))
    if (found === null) {
      this.#parts.push('null')
      return
    }
    const [kind, content] = found
    if (kind === 'array' || kind === 'kvlist') {
      this.#writeContainer(kind, content, path, level)
      return
    }
    const { value } = this
    readScalar(kind, content, `${path}.${kind}Value`, value)
    if (value.type === 'text') this.#parts.push(JSON.stringify(value.text))
    else if (value.type === 'bool') this.#parts.push(String(value.number !== 0))
    else if (value.type === 'json') this.#parts.push(value.text)
    else this.#parts.push(String(value.number))
  }
}

const KINDS = new Map(
  ['string', 'bool', 'int', 'double', 'array', 'kvlist', 'bytes'].flatMap((kind) => [
    [`${kind}Value`, kind],
    [`${kind}_value`, kind],
  ]),
)

/** Lists of a map that may hold the message; wrong types are found by the walk that follows. */
function mapMessage(content: unknown, path: string): string {
  const found: Record<'message' | 'msg', string> = { message: '', msg: '' }
  const values = member(object(content, path), 'values')
  if (!Array.isArray(values)) return ''
  for (const entry of values) {
    const key = entry?.key
    if (key !== 'message' && key !== 'msg') continue
    const text = entry.value?.stringValue ?? entry.value?.string_value
    found[key as 'message' | 'msg'] = typeof text === 'string' ? text.toWellFormed() : ''
  }
  return found.message || found.msg
}

function readScalar(kind: string, content: unknown, path: string, value: Value): void {
  switch (kind) {
    case 'string':
      value.type = 'text'
      value.text = readText(content, path)
      return
    case 'bool':
      if (typeof content !== 'boolean') throw new BadJson(path, 'must be true or false')
      value.type = 'bool'
      value.number = content ? 1 : 0
      return
    case 'int':
      readInt(content, path, value)
      return
    case 'double':
      setDouble(readDouble(content, path), value)
      return
    default:
      value.type = 'text'
      value.text = readBase64(content, path)
  }
}

const INT64_MAX = 2n ** 63n - 1n
const INT64_MIN = -(2n ** 63n)

function readInt(content: unknown, path: string, value: Value): void {
  if (typeof content === 'number' && Number.isInteger(content)) {
    if (Number.isSafeInteger(content)) {
      value.type = 'int'
      value.number = content + 0
    } else setDouble(content, value)
    return
  }
  if (typeof content !== 'string' || !/^-?\d{1,400}$/.test(content)) {
    throw new BadJson(path, 'must be an integer, as a number or a decimal text')
  }
  const number = Number(content)
  if (Number.isSafeInteger(number)) {
    value.type = 'int'
    value.number = number + 0
    return
  }
  const int = BigInt(content)
  if (int >= INT64_MIN && int <= INT64_MAX) {
    value.type = 'text'
    value.text = int.toString()
  } else if (String(number) === content) {
    // What the OpenTelemetry JS exporter prints for a double without a fraction, 1e20 (J11).
    setDouble(number, value)
  } else throw new BadJson(path, 'does not fit 64 bits')
}

/** The numeric texts of the proto3 mapping, and its three words. */
const DOUBLE_TEXT = /^(-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|NaN|-?Infinity)$/

function readDouble(content: unknown, path: string): number {
  if (typeof content === 'number') return content
  if (typeof content === 'string' && DOUBLE_TEXT.test(content)) return Number(content)
  throw new BadJson(path, 'must be a number, a numeric text, NaN, Infinity or -Infinity')
}

/** Base64 of either alphabet, padded or not, as standard base64. */
function readBase64(content: unknown, path: string): string {
  const text = readText(content, path)
  const digits = text.replace(/=+$/, '').replaceAll('-', '+').replaceAll('_', '/')
  if (!/^[A-Za-z0-9+/]*$/.test(digits) || digits.length % 4 === 1) {
    throw new BadJson(path, 'must be base64')
  }
  return digits + '='.repeat((4 - (digits.length % 4)) % 4)
}
