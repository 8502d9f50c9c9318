// The records that Loki and we are both given: JSON, logfmt and plain lines, with what parsers stumble
// over, in streams that have the same labels on both sides.

import { randomOf } from '../batches.ts'

export interface PushRecord {
  stream: Record<string, string>
  timeNs: bigint
  line: string
  metadata: Record<string, string>
}

const RECORDS = 480
const SPAN_MS = 3_600_000

/**
 * One hour of records from `startMs` on, in order. None is at a whole millisecond, so that none is on
 * the edge of a window: of ours the beginning belongs to it, of Loki's the end.
 */
export function lokiRecords(seed: number, startMs: number): PushRecord[] {
  const random = randomOf(seed)
  const pick = <T>(values: readonly T[]) => values[Math.floor(random() * values.length)]!
  const context: Context = { random, pick, i: 0 }
  return Array.from({ length: RECORDS }, (_, i) => {
    context.i = i
    const make = pick(KINDS)
    const ms = startMs + Math.floor(((i + random() * 0.9) * SPAN_MS) / RECORDS)
    const timeNs = BigInt(ms) * 1_000_000n + BigInt(1 + Math.floor(random() * 999_998))
    return { timeNs, metadata: {}, ...make(context) }
  })
}

interface Context {
  random: () => number
  pick: <T>(values: readonly T[]) => T
  i: number
}

type Made = Pick<PushRecord, 'stream' | 'line'> & Partial<PushRecord>

const LEVELS = ['info', 'info', 'info', 'debug', 'warn', 'error'] as const
const STATUSES = [200, 200, 200, 201, 404, 500, 502, 503]
const METHODS = ['GET', 'GET', 'POST', 'DELETE']
const USERS = ['ann', 'bob', 'cy', "d'arcy"]

const KINDS: ((context: Context) => Made)[] = [
  json,
  json,
  json,
  logfmt,
  logfmt,
  plain,
  plain,
  withMetadata,
  packed,
  odd,
]

/** A line of JSON: nested, with an array, with a key that is a label of the stream as well. */
function json({ random, pick, i }: Context): Made {
  const level = pick(LEVELS)
  const status = pick(STATUSES)
  const latency = Math.round(random() * 5_000) / 1_000
  return {
    stream: { service_name: 'api', environment: pick(['prod', 'staging']), level },
    line: JSON.stringify({
      method: pick(METHODS),
      path: `/api/${pick(['users', 'orders'])}/${i % 17}`,
      status,
      latency,
      took: `${Math.round(latency * 1_000)}ms`,
      size: pick(['512B', '1.5KB', '2KiB', '3MB']),
      bytes: Math.floor(random() * 10_000),
      user: { name: pick(USERS), id: i % 5 },
      'trace-id': `t${i % 7}`,
      tags: pick([['a', 'b'], [], ['c']]),
      ok: status < 400,
      none: null,
      empty: '',
      // Also a label of the stream.
      level: pick(['inner', level]),
    }),
  }
}

function logfmt({ random, pick, i }: Context): Made {
  const took = (random() * 3_000).toFixed(1)
  const words = pick(['cache miss', 'cache hit', 'upstream timeout', 'retrying, "again"'])
  const extra = pick(['', ' flag', ' empty=', ' q="a=b c"', ' user.name=zoe', ' status=999'])
  return {
    stream: {
      service_name: 'web',
      environment: 'prod',
      version: pick(['1.2.0', '1.10.0']),
      level: pick(LEVELS),
    },
    line: `msg=${JSON.stringify(words)} status=${pick(STATUSES)} took=${took}ms size=${pick(['1kb', '20KB', '0.5MB'])} n=${i} user=${pick(['ann', 'bob', '""'])}${extra}`,
  }
}

function plain({ random, pick, i }: Context): Made {
  const ip = `10.0.${i % 3}.${Math.floor(random() * 20)}`
  return {
    stream: { service_name: 'nginx', level: pick(['info', 'error']) },
    line: `${ip} - ${pick(USERS)} "${pick(METHODS)} /p/${i % 9}?x=${i} HTTP/1.1" ${pick(STATUSES)} ${Math.floor(random() * 5_000)}`,
  }
}

/** What Loki calls structured metadata, among it numbers, durations and sizes. */
function withMetadata({ random, pick, i }: Context): Made {
  return {
    stream: { service_name: 'jobs', environment: pick(['prod', 'staging']), level: pick(LEVELS) },
    line: pick(['job done', 'job failed: timeout', 'job Started', `attempt=${i % 4} queue=mail`]),
    metadata: {
      attempt: String(i % 4),
      cost: (random() * 10).toFixed(2),
      ...(random() < 0.8 && { wait: `${Math.round(random() * 900)}ms` }),
      ...(random() < 0.5 && { heap: pick(['10MB', '1.5GB']) }),
      ...(random() < 0.7 && { owner: pick(USERS) }),
      ...(random() < 0.1 && { wait: 'soon' }),
    },
  }
}

function packed({ pick, i }: Context): Made {
  return {
    stream: { service_name: 'packed', level: pick(LEVELS) },
    line: JSON.stringify({
      _entry: `n=${i} inner line`,
      pod: `p-${i % 3}`,
      zone: pick(['a', 'b']),
    }),
  }
}

/** What parsers stumble over. */
function odd({ pick, i }: Context): Made {
  return {
    stream: { service_name: 'odd', environment: 'staging', level: pick(LEVELS) },
    line: pick([
      '{"broken": ',
      '{"a":"b"} behind',
      '[1,2,3]',
      '"text"',
      `\u001b[31mred\u001b[0m ${i}`,
      'żółw 数据 😀',
      'a=1 a=2 =x "quoted key"=1 b',
      'msg="not closed',
      '{"a.b":1,"a_b":2,"A":3,"0x":4,"":5}',
      `{"deep":{"er":{"est":${i}}},"n":1e3,"big":12345678901234567890,"f":1.50}`,
      'a\tb\\n c\nsecond line',
      `value=${pick(['12', '-1.5', 'NaN', '+Inf', '1e3', '0x10', 'x', '1_000'])} d=${pick(['5s', '1h30m', '2', 'x', '-3s'])} sz=${pick(['1kb', '5', 'x', '1 kb'])}`,
    ]),
  }
}
