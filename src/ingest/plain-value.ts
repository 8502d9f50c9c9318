// Values of plain JSON and of RPC calls, to the same Value as OTLP's. An RPC call can bring what JSON
// cannot: dates, errors, maps, big integers, and objects that hold themselves. The text is written up
// to the size of a request and as deep as JSON may be, so such an object ends.

import { Buffer } from 'node:buffer'
import { JSON_DEPTH_MAX, REQUEST_BYTES_MAX } from '../limits.ts'
import { utf8Bytes } from './cut.ts'
import { setDouble } from './otlp-value.ts'
import type { Value } from './value.ts'

interface Writing {
  parts: string[]
  units: number
  depth: number
}

/** Puts a value into `value`. What JSON has no form for becomes a text, or null. */
export function plainValue(given: unknown, value: Value): void {
  const scalar = scalarOf(given)
  value.message = ''
  if (typeof scalar === 'string') {
    value.type = 'text'
    value.text = scalar
  } else if (typeof scalar === 'number') {
    if (Number.isSafeInteger(scalar)) {
      value.type = 'int'
      value.number = scalar + 0
    } else setDouble(scalar, value)
  } else if (typeof scalar === 'boolean') {
    value.type = 'bool'
    value.number = scalar ? 1 : 0
  } else {
    const out: Writing = { parts: [], units: 0, depth: 0 }
    write(out, scalar, 1)
    value.type = 'json'
    value.text = out.parts.join('')
    value.bytes = utf8Bytes(value.text)
    value.depth = out.depth
  }
}

/** The value with everything that is no container made a string, number, boolean or null. */
function scalarOf(given: unknown): string | number | boolean | null | object {
  switch (typeof given) {
    case 'string':
      return given.toWellFormed()
    case 'number':
    case 'boolean':
      return given
    case 'bigint':
      return String(given)
    case 'object':
      if (given instanceof Date) return Number.isNaN(given.getTime()) ? null : given.toISOString()
      if (given instanceof ArrayBuffer) return Buffer.from(given).toString('base64')
      if (ArrayBuffer.isView(given)) {
        return Buffer.from(given.buffer, given.byteOffset, given.byteLength).toString('base64')
      }
      return given
    default:
      return null
  }
}

function put(out: Writing, text: string): void {
  out.units += text.length
  out.parts.push(text)
}

function write(
  out: Writing,
  scalar: string | number | boolean | null | object,
  level: number,
): void {
  if (typeof scalar === 'number' && !Number.isFinite(scalar)) put(out, `"${scalar}"`)
  else if (typeof scalar !== 'object' || scalar === null) put(out, JSON.stringify(scalar))
  else {
    out.depth = Math.max(out.depth, level)
    if (level > JSON_DEPTH_MAX) put(out, 'null')
    else if (Array.isArray(scalar) || scalar instanceof Set) writeItems(out, scalar, level)
    else writeMembers(out, membersOf(scalar), level)
  }
}

function writeItems(out: Writing, items: Iterable<unknown>, level: number): void {
  put(out, '[')
  let isFirst = true
  for (const item of items) {
    if (out.units > REQUEST_BYTES_MAX) break
    if (!isFirst) put(out, ',')
    isFirst = false
    write(out, scalarOf(item), level + 1)
  }
  put(out, ']')
}

function writeMembers(out: Writing, members: Iterable<[unknown, unknown]>, level: number): void {
  put(out, '{')
  let isFirst = true
  for (const [name, member] of members) {
    if (member === undefined) continue
    if (out.units > REQUEST_BYTES_MAX) break
    put(out, `${isFirst ? '' : ','}${JSON.stringify(String(name).toWellFormed())}:`)
    isFirst = false
    write(out, scalarOf(member), level + 1)
  }
  put(out, '}')
}

function membersOf(given: object): Iterable<[unknown, unknown]> {
  if (given instanceof Map) return given
  const members = Object.entries(given)
  if (!(given instanceof Error)) return members
  // Not enumerable, and all that is of interest.
  const { name, message, stack, cause } = given
  const own: [string, unknown][] = Object.entries({ name, message, stack, cause })
  return [...own, ...members]
}
