// The records every benchmark uses: made from a seed, so two runs measure the same bytes. One
// record is what a web service logs: a message with variables (templates.ts), a severity, the ids
// of its trace, about 10 attributes of mixed types, and a resource of four. Tenants, users and
// routes are zipf-distributed. A trace has 8 records in up to three services; 12 traces are
// open at once, so neighbours in a request do not share their ids. Time only rises.

import { gzipSync } from 'node:zlib'
import { jsonRequest, protobufRequest } from './corpus-wire.ts'
import { type Random, randomOf, zipf } from './random.ts'
import { ENDINGS, MIDDLES, OPENINGS, type Template, type Trace } from './templates.ts'

export type AttributeValue =
  | { kind: 'text'; value: string }
  | { kind: 'int' | 'double'; value: number }
  | { kind: 'bool'; value: boolean }
export interface Attribute {
  key: string
  value: AttributeValue
}

export interface Resource {
  attributes: Attribute[]
  scopeName: string
  scopeVersion: string
}

export interface CorpusRecord {
  resource: Resource
  timeNs: bigint
  observedNs: bigint
  severityNumber: number
  severityText: string
  message: string
  eventName: string
  attributes: Attribute[]
  traceId: Uint8Array
  spanId: Uint8Array
}

/** One export request. Each form is encoded when it is read, and not kept. */
export interface CorpusRequest {
  records: CorpusRecord[]
  readonly protobuf: Uint8Array
  readonly json: Uint8Array
  readonly protobufGzip: Uint8Array
  readonly jsonGzip: Uint8Array
}

export interface CorpusOptions extends StreamOptions {
  /** In all; the last request may be shorter. */
  records: number
  recordsPerRequest: number
}

export interface StreamOptions {
  seed: number
  /** The time of the first record. Absent: always the same. */
  startMs?: number
  /** Between two records on average, in microseconds. Absent: 1,000 records/s. */
  gapUs?: number
  /**
   * How many of the routes there are. They stand in messages, so all of them make some 550 patterns
   * in 8,192 records, and two make fewer than the 256 that a block keeps.
   */
  routes?: number
}

/** Export requests of `recordsPerRequest` records, grouped by resource as a Collector does. */
export function* corpus(options: CorpusOptions): Generator<CorpusRequest> {
  const stream = recordStream(options)
  for (let made = 0; made < options.records; made += options.recordsPerRequest) {
    const size = Math.min(options.recordsPerRequest, options.records - made)
    yield requestOf(Array.from({ length: size }, () => stream()))
  }
}

function requestOf(records: CorpusRecord[]): CorpusRequest {
  const groups = new Map<Resource, CorpusRecord[]>()
  for (const record of records) {
    const group = groups.get(record.resource)
    if (group) group.push(record)
    else groups.set(record.resource, [record])
  }
  return {
    records,
    get protobuf() {
      return protobufRequest(groups)
    },
    get json() {
      return jsonRequest(groups)
    },
    get protobufGzip() {
      return gzipSync(protobufRequest(groups))
    },
    get jsonGzip() {
      return gzipSync(jsonRequest(groups))
    },
  }
}

const START_MS = Date.UTC(2026, 10, 1)
const RECORDS_PER_TRACE = 8
const TRACES_OPEN = 12
/** 1,000 records/s on average. */
const GAP_US_MEAN = 1000

/** Endless records of one seed. */
export function recordStream(options: StreamOptions): () => CorpusRecord {
  const { seed, startMs = START_MS, gapUs = GAP_US_MEAN, routes = ROUTES.length } = options
  const random = randomOf(seed)
  const newTrace = traceMaker(random, routes)
  const open = Array.from({ length: TRACES_OPEN }, newTrace)
  let timeUs = startMs * 1000
  return () => {
    const slot = random.below(TRACES_OPEN)
    let trace = open[slot]!
    if (trace.step === RECORDS_PER_TRACE) {
      trace = newTrace()
      open[slot] = trace
    }
    timeUs += Math.ceil(-Math.log(1 - random.fraction()) * gapUs)
    const timeNs = BigInt(timeUs) * 1000n + BigInt(random.below(1000))
    return nextRecord(random, trace, timeNs)
  }
}

function nextRecord(random: Random, trace: Trace, timeNs: bigint): CorpusRecord {
  const template = templateOf(random, trace)
  const hop = trace.hops[Math.floor((trace.step * trace.hops.length) / RECORDS_PER_TRACE)]!
  trace.step++
  const attributes = traceAttributes(trace)
  attributes.push({ key: 'duration_ms', value: { kind: 'double', value: durationMs(random) } })
  const message = template.write(random, trace, attributes)
  if (template.severity >= 13) {
    attributes.push(text('code.file.path', template.file), int('code.line.number', template.line))
  }
  return {
    resource: hop.resource,
    timeNs,
    observedNs: timeNs + BigInt(20_000 + random.below(3_000_000)),
    severityNumber: template.severity,
    severityText: SEVERITY_TEXTS[(template.severity - 1) >> 2]!,
    message,
    eventName: template.event,
    attributes,
    traceId: trace.traceId,
    spanId: hop.spanId,
  }
}

const SEVERITY_TEXTS = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL']

/** The first record of a trace opens the request, the last closes it, the others are its work. */
function templateOf(random: Random, trace: Trace): Template {
  if (trace.step === 0) return OPENINGS[random.below(OPENINGS.length)]!
  if (trace.step < RECORDS_PER_TRACE - 1) return MIDDLES.pick(random)
  if (trace.status >= 500) return ENDINGS.failed
  if (trace.status >= 400) return ENDINGS.refused
  return durationMs(random) > 90 ? ENDINGS.slow : ENDINGS.done
}

function traceAttributes(trace: Trace): Attribute[] {
  return [
    text('http.request.method', trace.method),
    text('http.route', trace.route),
    text('request_id', trace.requestId),
    text('user.id', trace.userId),
    text('workspace_id', trace.workspaceId),
    text('project_id', trace.projectId),
    text('client.address', trace.clientAddress),
    { key: 'sampled', value: { kind: 'bool', value: trace.isSampled } },
  ]
}

const text = (key: string, value: string): Attribute => ({ key, value: { kind: 'text', value } })
const int = (key: string, value: number): Attribute => ({ key, value: { kind: 'int', value } })

/** Log-normal about 8 ms, to the microsecond. */
function durationMs(random: Random): number {
  return Math.round(Math.exp(2 + 1.2 * random.normal()) * 1000) / 1000
}

const SERVICES = ['gateway', 'api', 'billing', 'search', 'sync', 'mailer', 'auth', 'media']
const METHODS = ['GET', 'GET', 'GET', 'POST', 'POST', 'PUT', 'PATCH', 'DELETE']
const NOUNS = ['orders', 'users', 'invoices', 'files', 'sessions', 'reports', 'carts', 'teams']
const ROUTES = NOUNS.flatMap((noun) => [`/api/${noun}`, `/api/${noun}/:id`, `/api/${noun}/search`])
const STATUSES = [200, 200, 200, 200, 200, 200, 201, 201, 204, 301, 400, 401, 404, 404, 409, 503]

function traceMaker(random: Random, routes: number): () => Trace {
  const resources = SERVICES.map((service, i) => makeResources(random, service, 4 - (i >> 1)))
  const workspaceRank = zipf(400, 1.1)
  const userRank = zipf(800, 1.05)
  const routeRank = zipf(routes, 1.1)
  const serviceRank = zipf(SERVICES.length, 0.8)
  return () => {
    const workspace = workspaceRank(random)
    const user = userRank(random)
    const hops = [0, 1 + serviceRank(random), 1 + serviceRank(random)].map((service) => {
      const instances = resources[service % SERVICES.length]!
      return { resource: instances[random.below(instances.length)]!, spanId: random.bytes(8) }
    })
    return {
      step: 0,
      traceId: random.bytes(16),
      hops,
      method: METHODS[random.below(METHODS.length)]!,
      route: ROUTES[routeRank(random)]!,
      status: STATUSES[random.below(STATUSES.length)]!,
      requestId: Buffer.from(random.bytes(8)).toString('hex'),
      workspaceId: `ws_${1000 + workspace}`,
      projectId: `prj_${workspace}_${random.below(3)}`,
      userId: `u${workspace * 1000 + user}`,
      clientAddress: `10.${workspace % 256}.${user >> 8}.${user % 256}`,
      isSampled: random.below(10) === 0,
    }
  }
}

function makeResources(random: Random, service: string, instances: number): Resource[] {
  const version = `2.${random.below(30)}.${random.below(10)}`
  return Array.from({ length: instances }, (_, i) => ({
    attributes: [
      text('service.name', service),
      text('deployment.environment.name', i === 3 ? 'staging' : 'production'),
      text('service.version', version),
      text('service.instance.id', `${service}-${Buffer.from(random.bytes(5)).toString('hex')}`),
    ],
    scopeName: `@shop/${service}`,
    scopeVersion: version,
  }))
}
