// The message shapes of the corpus: 31 templates with variables, as a web shop's services would
// log them. `write` gives the message and may add attributes of its own. The weights of MIDDLES,
// with the openings and endings of every trace, give 2 % trace, 22 % debug, 63 % info,
// 11 % warn, 2.4 % error and 0.2 % fatal.

import type { Attribute, Resource } from './corpus.ts'
import { type Random, weighted } from './random.ts'

/** One request on its way through the services. */
export interface Trace {
  /** Records logged so far. */
  step: number
  traceId: Uint8Array
  hops: { resource: Resource; spanId: Uint8Array }[]
  method: string
  route: string
  status: number
  requestId: string
  userId: string
  workspaceId: string
  projectId: string
  clientAddress: string
  isSampled: boolean
}

export interface Template {
  severity: number
  event: string
  file: string
  line: number
  write: (random: Random, trace: Trace, attributes: Attribute[]) => string
}

const TRACE = 1
const DEBUG = 5
const INFO = 9
const WARN = 13
const ERROR = 17
const FATAL = 21

const hex = (random: Random, bytes: number) => Buffer.from(random.bytes(bytes)).toString('hex')
const ip = (random: Random) => `10.${random.below(4)}.${random.below(256)}.${random.below(256)}`
const oneOf = (random: Random, items: readonly string[]) => items[random.below(items.length)]!
const addInt = (attributes: Attribute[], key: string, value: number) =>
  attributes.push({ key, value: { kind: 'int', value } })
const addText = (attributes: Attribute[], key: string, value: string) =>
  attributes.push({ key, value: { kind: 'text', value } })
const addBool = (attributes: Attribute[], key: string, value: boolean) =>
  attributes.push({ key, value: { kind: 'bool', value } })
const pathOf = (trace: Trace, random: Random) =>
  trace.route.replace(':id', `${random.below(90000)}`)

const TABLES = ['orders', 'users', 'invoices', 'files', 'sessions', 'line_items']
const HOSTS = ['db-1', 'db-2', 'cache-1', 'search-1', 'queue-1']
const NAMES = ['Zoë', 'Ana', '李雷', 'Søren', 'Maria', 'Kofi', 'Дмитрий', 'Tom']

const http = { event: 'http.server.request', file: 'src/http/server.ts' }
const db = { event: 'db.query', file: 'src/db/pool.ts' }
const cache = { event: 'cache.lookup', file: 'src/cache/redis.ts' }
const job = { event: 'job.run', file: 'src/jobs/worker.ts' }
const auth = { event: 'auth.check', file: 'src/auth/session.ts' }
const shop = { event: 'shop.order', file: 'src/orders/checkout.ts' }

export const OPENINGS: readonly Template[] = [
  { ...http, severity: INFO, line: 41, write: (r, t) => `${t.method} ${pathOf(t, r)} started` },
  {
    ...http,
    severity: INFO,
    line: 44,
    write: (r, t) => `request received from ${t.clientAddress} for ${t.method} ${pathOf(t, r)}`,
  },
]

const status = (attributes: Attribute[], trace: Trace) =>
  addInt(attributes, 'http.response.status_code', trace.status)

export const ENDINGS: Record<'done' | 'slow' | 'refused' | 'failed', Template> = {
  done: {
    ...http,
    severity: INFO,
    line: 88,
    write: (r, t, a) => {
      status(a, t)
      const bytes = r.below(60000)
      addInt(a, 'http.response.body.size', bytes)
      return `${t.method} ${pathOf(t, r)} ${t.status} completed, ${bytes} bytes sent`
    },
  },
  slow: {
    ...http,
    severity: WARN,
    line: 93,
    write: (r, t, a) => {
      status(a, t)
      return `slow request: ${t.method} ${pathOf(t, r)} took ${90 + r.below(4000)} ms`
    },
  },
  refused: {
    ...http,
    severity: WARN,
    line: 101,
    write: (r, t, a) => {
      status(a, t)
      return `${t.method} ${pathOf(t, r)} refused with status ${t.status} for user ${t.userId}`
    },
  },
  failed: {
    ...http,
    severity: ERROR,
    line: 109,
    write: (r, t, a) => {
      status(a, t)
      addText(a, 'exception.type', 'UpstreamUnavailable')
      return `${t.method} ${pathOf(t, r)} failed: upstream ${oneOf(r, HOSTS)} answered 503 after ${r.below(5)} retries`
    },
  },
}

type Weighed = Template & { weight: number }

const MIDDLE: readonly Weighed[] = [
  {
    ...db,
    severity: DEBUG,
    weight: 14,
    line: 52,
    write: (r, _, a) => {
      const rows = r.below(500)
      addInt(a, 'db.rows', rows)
      return `query on ${oneOf(r, TABLES)} returned ${rows} rows in ${r.below(40)} ms`
    },
  },
  {
    ...db,
    severity: TRACE,
    weight: 3,
    line: 58,
    write: (r) => `connection ${hex(r, 3)} taken from pool, ${r.below(20)} idle`,
  },
  {
    ...db,
    severity: INFO,
    weight: 4,
    line: 63,
    write: (r) => `transaction ${r.below(9_000_000)} committed on ${oneOf(r, HOSTS)}`,
  },
  {
    ...db,
    severity: WARN,
    weight: 2,
    line: 71,
    write: (r) => `lock wait of ${100 + r.below(900)} ms on table ${oneOf(r, TABLES)}`,
  },
  {
    ...db,
    severity: ERROR,
    weight: 0.8,
    line: 77,
    write: (r, _, a) => {
      addText(a, 'exception.type', 'QueryTimeout')
      return `query on ${oneOf(r, TABLES)} timed out after 5000 ms, connection ${hex(r, 3)} closed`
    },
  },
  {
    ...cache,
    severity: DEBUG,
    weight: 10,
    line: 30,
    write: (r, t, a) => {
      const isHit = r.below(4) > 0
      addBool(a, 'cache.hit', isHit)
      return `cache ${isHit ? 'hit' : 'miss'} for key session:${t.userId}`
    },
  },
  {
    ...cache,
    severity: INFO,
    weight: 5,
    line: 34,
    write: (r) => `stored ${r.below(30)} entries, ttl ${60 * (1 + r.below(10))} s`,
  },
  {
    ...cache,
    severity: WARN,
    weight: 1.5,
    line: 39,
    write: (r) => `cache node ${oneOf(r, HOSTS)} is at ${80 + r.below(20)} percent of its memory`,
  },
  {
    ...job,
    severity: INFO,
    weight: 8,
    line: 18,
    write: (r, _, a) => {
      addText(a, 'job.queue', oneOf(r, ['mail', 'export', 'thumbnails', 'sync']))
      return `job ${hex(r, 4)} finished, attempt ${1 + r.below(3)} of 5`
    },
  },
  {
    ...job,
    severity: INFO,
    weight: 5,
    line: 22,
    write: (r) => `job ${hex(r, 4)} queued with priority ${r.below(10)}`,
  },
  {
    ...job,
    severity: WARN,
    weight: 2.5,
    line: 27,
    write: (r, _, a) => {
      const attempt = 1 + r.below(5)
      addInt(a, 'retry.count', attempt)
      return `retrying sync of ${oneOf(r, TABLES)} ${r.below(90000)}, attempt ${attempt} of 5 after connection reset by peer`
    },
  },
  {
    ...job,
    severity: ERROR,
    weight: 0.7,
    line: 31,
    write: (r) =>
      `job ${hex(r, 4)} gave up after 5 attempts: ${oneOf(r, HOSTS)} refused connection`,
  },
  {
    ...job,
    severity: FATAL,
    weight: 0.2,
    line: 36,
    write: (r) => `worker ${r.below(16)} is out of memory at ${r.below(4000)} MB and stops`,
  },
  {
    ...auth,
    severity: INFO,
    weight: 8,
    line: 61,
    write: (_, t, a) => {
      addText(a, 'auth.method', 'session')
      return `user ${t.userId} authenticated for workspace ${t.workspaceId}`
    },
  },
  {
    ...auth,
    severity: DEBUG,
    weight: 4,
    line: 66,
    write: (r, t) => `token of ${t.userId} expires in ${r.below(3600)} seconds`,
  },
  {
    ...auth,
    severity: WARN,
    weight: 1.5,
    line: 73,
    write: (r, t) =>
      `invalid password for user ${t.userId} from ${ip(r)} port ${1024 + r.below(60000)}`,
  },
  {
    ...auth,
    severity: INFO,
    weight: 2,
    line: 79,
    write: (r) => `${oneOf(r, NAMES)} invited to the workspace by ${oneOf(r, NAMES)}`,
  },
  {
    ...shop,
    severity: INFO,
    weight: 9,
    line: 120,
    write: (r, _, a) => {
      const cents = r.below(50000)
      a.push({ key: 'order.total', value: { kind: 'double', value: cents / 100 } })
      return `order ${100000 + r.below(900000)} placed with ${1 + r.below(9)} items`
    },
  },
  {
    ...shop,
    severity: INFO,
    weight: 6,
    line: 131,
    write: (r) =>
      `reserved ${1 + r.below(9)} units of sku ${oneOf(r, ['AX', 'BT', 'CR'])}-${r.below(9999)}`,
  },
  {
    ...shop,
    severity: INFO,
    weight: 5,
    line: 140,
    write: (r) => `invoice INV-${100000 + r.below(900000)} sent to customer ${r.below(40000)}`,
  },
  {
    ...shop,
    severity: WARN,
    weight: 2,
    line: 152,
    write: (r) => `payment of ${r.below(900)}.${10 + r.below(90)} EUR needs a second confirmation`,
  },
  {
    ...shop,
    severity: ERROR,
    weight: 0.8,
    line: 160,
    write: (r, _, a) => {
      addText(a, 'exception.type', 'PaymentDeclined')
      return `payment for order ${100000 + r.below(900000)} declined: insufficient funds, code ${r.below(99)}`
    },
  },
  {
    event: 'mail.send',
    file: 'src/mail/smtp.ts',
    severity: INFO,
    weight: 4,
    line: 25,
    write: (r) => `mail ${hex(r, 5)} accepted by relay ${ip(r)} in ${r.below(900)} ms`,
  },
  {
    event: 'feature.flag',
    file: 'src/flags/evaluate.ts',
    severity: DEBUG,
    weight: 3,
    line: 12,
    write: (r) => `flag new-checkout is ${r.below(2) ? 'on' : 'off'} for bucket ${r.below(100)}`,
  },
  {
    event: 'search.index',
    file: 'src/search/index.ts',
    severity: INFO,
    weight: 4,
    line: 47,
    write: (r) => `indexed ${r.below(800)} documents into segment ${hex(r, 4)}`,
  },
]

export const MIDDLES = weighted<Template>(
  MIDDLE,
  MIDDLE.map((template) => template.weight),
)
