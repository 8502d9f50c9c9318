// Random protobuf for the fuzz tests: requests that are valid, and as odd as validity allows. Fields
// in any order and more than once, unknown fields of every wire type, redundant varint bytes, known
// numbers with another wire type, values inside values.

import type { Random } from '../bench/random.ts'

const WORDS = [
  '',
  'a',
  'hello',
  'message',
  'msg',
  '__proto__',
  'zwölf',
  '日本',
  '\u0000',
  '"q"\\',
  '🙂',
]
const KEYS = [
  'service.name',
  'user.id',
  'trace_id',
  'span_id',
  'event.name',
  'code.file.path',
  'code.line.number',
  'exception.type',
  'exception.message',
  'faas.version',
  'tenant_id',
  'workspace_id',
  'k8s.pod.name',
  'environment',
  'http.request.header.x-request-id',
  'message',
  'msg',
  'k',
  '7',
  '__proto__',
]
const utf8 = (text: string) => [...new TextEncoder().encode(text)]

/** An ExportLogsServiceRequest. */
export function randomRequest(random: Random): Uint8Array {
  return Uint8Array.from(message(random, 3, [() => field(1, resourceLogs(random))]))
}

function resourceLogs(random: Random): number[] {
  return message(random, 5, [
    () => field(1, resource(random)),
    () => field(2, scopeLogs(random)),
    () => field(2, scopeLogs(random)),
    () => field(3, utf8(pick(random, WORDS))),
  ])
}

function resource(random: Random): number[] {
  return message(random, 5, [
    () => field(1, keyValue(random, 0)),
    () => field(1, keyValue(random, 0)),
    () => number(random, 2, random.below(3)),
  ])
}

function scopeLogs(random: Random): number[] {
  const scope = () =>
    message(random, 4, [
      () => field(1, utf8(pick(random, WORDS))),
      () => field(2, utf8(pick(random, WORDS))),
      () => field(3, keyValue(random, 0)),
      () => number(random, 4, random.below(3)),
    ])
  return message(random, 5, [
    () => field(1, scope()),
    () => field(2, logRecord(random)),
    () => field(2, logRecord(random)),
    () => field(2, logRecord(random)),
    () => field(3, utf8(pick(random, WORDS))),
  ])
}

function logRecord(random: Random): number[] {
  const id = () => [...random.bytes(pick(random, [8, 8, 16, 16, 0, 15]))]
  const time = () => {
    const bytes = [...random.bytes(8)]
    return random.below(4) === 0 ? bytes : [...bytes.slice(0, 7), 0x17]
  }
  return message(random, 14, [
    () => [...tag(1, 1), ...time()],
    () => [...tag(11, 1), ...time()],
    () => number(random, 2, random.below(26)),
    () => [...tag(2, 0), ...varint(BigInt.asUintN(64, -1n))],
    () => field(3, utf8(pick(random, ['INFO', 'Warning', 'fatal', '', 'odd']))),
    () => field(5, anyValue(random, 0)),
    () => field(6, keyValue(random, 0)),
    () => field(6, keyValue(random, 0)),
    () => field(6, keyValue(random, 0)),
    () => number(random, 7, random.below(300)),
    () => [...tag(8, 5), ...random.bytes(4)],
    () => field(9, id()),
    () => field(10, id()),
    () => field(12, utf8(pick(random, WORDS))),
  ])
}

function keyValue(random: Random, depth: number): number[] {
  const key = field(1, utf8(pick(random, KEYS)))
  const value = field(2, anyValue(random, depth))
  switch (random.below(12)) {
    case 0:
      return [...value, ...key]
    case 1:
      return key
    case 2:
      return [...key, ...value, ...field(2, anyValue(random, depth))]
    case 3:
      return [...key, ...unknown(random), ...value]
    default:
      return [...key, ...value]
  }
}

/** One member mostly, sometimes none or two. */
function anyValue(random: Random, depth: number): number[] {
  const count = pick(random, [1, 1, 1, 1, 1, 1, 0, 2])
  const bytes: number[] = []
  for (let i = 0; i < count; i++) bytes.push(...anyMember(random, depth))
  if (random.below(30) === 0) bytes.push(...unknown(random))
  return bytes
}

const INTS = [
  0n,
  1n,
  300n,
  -1n,
  1n << 52n,
  (1n << 53n) - 1n,
  1n << 53n,
  (1n << 63n) - 1n,
  -(1n << 63n),
]

function anyMember(random: Random, depth: number): number[] {
  const items = (number: number, item: () => number[]) => {
    const list: number[] = []
    for (let i = random.below(4); i > 0; i--) list.push(...field(1, item()))
    return field(number, list)
  }
  switch (random.below(depth < 4 ? 9 : 6)) {
    case 0:
      return [...tag(2, 0), random.below(2)]
    case 1:
      return [...tag(3, 0), ...varint(BigInt.asUintN(64, pick(random, INTS)))]
    case 2:
      return [...tag(4, 1), ...random.bytes(8)]
    case 3:
      return field(7, [...random.bytes(random.below(5))])
    case 6:
      return items(5, () => anyValue(random, depth + 1))
    case 7:
    case 8:
      return items(6, () => keyValue(random, depth + 1))
    default:
      return field(1, utf8(pick(random, WORDS)))
  }
}

/** Some of the fields, in any order, an unknown one among them now and then. */
function message(random: Random, count: number, fields: (() => number[])[]): number[] {
  const bytes: number[] = []
  for (let i = random.below(count + 1); i > 0; i--) {
    bytes.push(...(random.below(25) === 0 ? unknown(random) : pick(random, fields)()))
  }
  return bytes
}

/** A field of a number nobody has, or a number somebody has with a wire type that it has not. */
function unknown(random: Random): number[] {
  const number = pick(random, [1, 2, 3, 4, 5, 9, 15, 1000, 536870911])
  switch (random.below(5)) {
    case 0:
      return [...tag(number, 5), ...random.bytes(4)]
    case 1:
      return [...tag(number + 20, 1), ...random.bytes(8)]
    case 2:
      return [...tag(number + 20, 0), ...varint(BigInt(random.below(1e6)))]
    case 3:
      return [...tag(number + 20, 3), ...tag(1, 0), 5, ...tag(number + 20, 4)]
    default:
      return field(number + 20, [...random.bytes(random.below(4))])
  }
}

function pick<T>(random: Random, from: readonly T[]): T {
  return from[random.below(from.length)]!
}

function varint(value: bigint): number[] {
  const bytes: number[] = []
  let left = value
  while (left > 127n) {
    bytes.push(Number(left & 127n) | 128)
    left >>= 7n
  }
  bytes.push(Number(left))
  return bytes
}

const tag = (number: number, type: number) =>
  varint(((BigInt(number) << 3n) | BigInt(type)) & 0xffffffffn)
const field = (number: number, bytes: number[]) => [
  ...tag(number, 2),
  ...varint(BigInt(bytes.length)),
  ...bytes,
]

/** A number, with redundant bytes now and then. */
function number(random: Random, field: number, value: number): number[] {
  const bytes = varint(BigInt(value))
  if (random.below(8) === 0) {
    bytes[bytes.length - 1]! |= 128
    bytes.push(0x80, 0)
  }
  return [...tag(field, 0), ...bytes]
}

/** The bytes with a few things wrong. */
export function mutate(random: Random, bytes: Uint8Array, other: Uint8Array): Uint8Array {
  let mutated = [...bytes]
  for (let i = random.below(3); i >= 0; i--) {
    const at = random.below(mutated.length + 1)
    const until = Math.min(mutated.length, at + random.below(12))
    switch (random.below(7)) {
      case 0:
        mutated[at] = (mutated[at] ?? 0) ^ (1 << random.below(8))
        break
      case 1:
        mutated[at] = pick(random, [0, 1, 2, 0x7f, 0x80, 0xff, random.below(256)])
        break
      case 2:
        mutated.splice(at, until - at)
        break
      case 3:
        mutated.splice(at, 0, ...random.bytes(1 + random.below(4)))
        break
      case 4:
        mutated.splice(at, 0, ...mutated.slice(at, until))
        break
      case 5:
        mutated = mutated.slice(0, at)
        break
      default: {
        const from = random.below(other.length + 1)
        mutated.splice(at, 0, ...other.slice(from, from + random.below(40)))
      }
    }
  }
  return Uint8Array.from(mutated)
}
