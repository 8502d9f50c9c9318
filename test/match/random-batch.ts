// Random batches whose values are awkward to find: numbers and texts that look alike, attributes in
// columns and in maps, keys that are paths, bodies that are no text.

import { type AttributeType, labelName, type RecordBatch } from '../../src/record.ts'
import { batchOf, type RecordSpec } from '../batches.ts'
import type { Random } from '../query/random-filter.ts'

export const MESSAGES = [
  'Connection reset by peer',
  'reset-connection: Timeout after 30s',
  'GET /api/users/42 took 17 ms',
  'GET /api/users/43 took 9 ms',
  'timeout',
  'timeouts: 5',
  'ÉTÉ chaud, e\u0301te\u0301 froid',
  'ΟΔΟΣ:Α ΟΔΟΣ',
  'İstanbul STRASSE straße',
  '数据库连接失败 timeout',
  'holds <_> itself',
  'job 5f3a-b1c2 done',
  'a_b a-b ab',
  'ſtop',
  '{"k":"v"}',
  '',
]
export const TEXTS = [
  'api',
  'web',
  '200',
  '-0',
  '1.5',
  '1e3',
  'true',
  'null',
  'x y',
  'X Y',
  'timeout',
  '10.0.0.1',
  '/api/users',
  '["x","y"]',
  '{"a":"x y"}',
  'ΟΔΟΣ',
  'aba',
  'ab',
  '',
]
export const SCALARS = [200, -0, 0, 1.5, 1e21, 503, true, false]
export const JSONS: unknown[] = [
  null,
  [],
  ['x', 'y'],
  [200, '503'],
  { a: 'x y' },
  { city: 'api', zip: 503 },
  [{ city: 'web' }, { city: ['api', 200] }],
  { 'address.city': 'web', address: { city: 'api' } },
  { address: { city: { name: 'x' } } },
  { address: 5 },
  { 'address.city': 5, address: { city: { name: 'x' } } },
]
export const KEYS = [
  'code',
  'user',
  'user.address',
  'user.address.city',
  'http.route',
  '__proto__',
  'toString',
  'x"y',
  'e\u0301',
  '.a',
  'a.',
]
/** Of messages and values, cut anywhere. */
export const PARTS = [
  ...MESSAGES,
  ...TEXTS,
  ...[...MESSAGES, ...TEXTS].flatMap((text) => [
    text.slice(2, 9),
    text.slice(4),
    text.slice(1, -4),
  ]),
  'ion reset by',
  'Connection',
  'connection',
  ' ',
  '_>',
]
/** Names that records have as labels, and some that none has. */
export const LABELS = [
  ...KEYS.map(labelName),
  'user_address_city_name',
  'user_city',
  'name',
  'none',
  'scope_name',
  'scope_version',
  'body_a',
  'body_city',
  'body_code',
  'body_user_name',
]
export function randomBatch(random: Random): RecordBatch {
  const { below, pick } = random
  const some = <T>(values: readonly T[]): T[] =>
    Array.from({ length: 1 + below(5) }, () => pick(values))
  const [messages, texts, keys] = [some(MESSAGES), some(TEXTS), some(KEYS)]
  const scalars = [...texts, ...some(SCALARS)]
  const jsons = some(JSONS)
  const specs: RecordSpec[] = Array.from({ length: 1 + below(30) }, () => {
    const rest = own(
      keys.filter(() => below(3) === 0).map((key) => [key, pick([...jsons, ...scalars])]),
    )
    return {
      ms: 1000 + below(20),
      level: below(6),
      message: pick(messages),
      text: {
        ...(below(2) === 0 && { service: pick(texts) }),
        ...(below(3) === 0 && { version: pick(texts) }),
        ...(below(4) === 0 && { trace_id: pick(['ab', 'cd']) }),
      },
      ...(below(3) === 0 && { rest: JSON.stringify(rest) }),
    }
  })
  const batch = batchOf(specs)
  addAttributes(batch, random, keys, [...scalars, ...jsons])
  const maps = () => own(some(KEYS).map((key) => [key, pick([...TEXTS, ...SCALARS, ...JSONS])]))
  batch.resources = ['{}', JSON.stringify(maps()), JSON.stringify(maps())]
  batch.scopes = ['{}', JSON.stringify({ name: pick(TEXTS), attributes: maps() })]
  for (let row = 0; row < batch.length; row++) {
    batch.resource[row] = below(3)
    batch.scope[row] = below(2)
    batch.severityNumber[row] = pick([0, 9, 17])
    batch.severityText[row] = pick([null, 'NOTICE', 'x y'])
    if (below(5) === 0) batch.otel[row] = JSON.stringify({ event_name: pick(TEXTS), flags: 1 })
    if (below(6) === 0) {
      const body = pick<unknown>([maps(), [maps()], pick(JSONS), pick(MESSAGES)])
      batch.body[row] = JSON.stringify(body)
      batch.message[row] = typeof body === 'string' ? body : JSON.stringify(body)
    }
  }
  return batch
}

/** `__proto__` too: an object literal would lose it. */
const own = (members: [string, unknown][]): Record<string, unknown> => Object.fromEntries(members)

/** A record has a key once: in a column of its type, unless its rest has it. */
function addAttributes(
  batch: RecordBatch,
  { below, pick }: Random,
  keys: string[],
  values: unknown[],
) {
  for (let row = 0; row < batch.length; row++) {
    const rest = JSON.parse(batch.attributesRest[row] ?? '{}')
    for (const key of new Set(keys)) {
      if (below(2) === 0 || Object.hasOwn(rest, key)) continue
      const value = pick(values)
      const type = typeOf(value)
      let column = batch.attributes.find((one) => one.key === key && one.type === type)
      if (!column) {
        column = { key, type, rows: [], values: [] }
        batch.attributes.push(column)
      }
      column.rows.push(row)
      column.values.push(type === 'json' ? JSON.stringify(value) : (value as string))
    }
  }
}

function typeOf(value: unknown): AttributeType {
  if (typeof value === 'string') return 'text'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value !== 'number') return 'json'
  return Number.isSafeInteger(value) && !Object.is(value, -0) ? 'int' : 'num'
}
