// What was sent, counted by plain code while it goes out, so that answers can be told right from wrong
// (questions.ts). It keeps few records: those in the middle, the newest, and every duration.

import { wordsOf } from '../src/words.ts'
import { type AttributeValue, type CorpusRecord, type CorpusRequest, corpus } from './corpus.ts'

export const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal']
export const MINUTE_MS = 60_000
const NEWEST = 100

/** Numbers by name. */
export type Tally = Map<string, number>

/** A record as searches see it. */
export interface Seen {
  record: CorpusRecord
  level: string
  service: string
  /** Of the message, in order, a space before and after each. */
  words: string
  attributes: Map<string, AttributeValue['value']>
}

export interface Search {
  /** Null: asked in LogQL alone. */
  q: string | null
  finds(seen: Seen): boolean
}

/** Of the templates' own text: in the messages of one pattern each, or of many. */
export const DECIDED = 'authenticated'
export const PHRASE = '"gave up after"'
/** A status, in every block: digits may stand in any variable, so all messages that have one are looked at. */
export const SCANNED = '200'

const statusOf = ({ attributes }: Seen) => Number(attributes.get('http.response.status_code') ?? 0)
export const FAILED = 'http.response.status_code:>=500'

/** Searches whose answers are counted. `user` is an id that few records have. */
export const searchesOf = (user: string): Record<string, Search> => ({
  decided: { q: DECIDED, finds: ({ words }) => words.includes(' authenticated ') },
  many: { q: 'completed', finds: ({ words }) => words.includes(' completed ') },
  phrase: { q: PHRASE, finds: ({ words }) => words.includes(' gave up after ') },
  scanned: { q: SCANNED, finds: ({ words }) => words.includes(' 200 ') },
  rare: { q: '4242', finds: ({ words }) => words.includes(' 4242 ') },
  prefix: { q: 'auth*', finds: ({ words }) => words.includes(' auth') },
  within: { q: '*cart*', finds: ({ record }) => /cart/i.test(record.message) },
  regex: {
    q: 'message:/took \\d+ ms$/',
    finds: ({ record }) => / took \d+ ms$/.test(record.message),
  },
  fieldRegex: {
    q: 'http.route:/^\\/api\\/(carts|teams)/',
    finds: ({ attributes }) => /^\/api\/(carts|teams)/.test(String(attributes.get('http.route'))),
  },
  failed: { q: FAILED, finds: (seen) => statusOf(seen) >= 500 },
  fields: {
    q: 'level:error service:gateway',
    finds: ({ level, service }) => level === 'error' && service === 'gateway',
  },
  not: {
    q: 'level:>=warn -service:gateway -"slow request"',
    finds: ({ level, service, words }) =>
      LEVELS.indexOf(level) >= 3 && service !== 'gateway' && !words.includes(' slow request '),
  },
  or: {
    q: 'declined OR "out of memory" OR level:fatal',
    finds: ({ level, words }) =>
      level === 'fatal' || words.includes(' declined ') || words.includes(' out of memory '),
  },
  holdsDecided: { q: null, finds: ({ record }) => record.message.includes(DECIDED) },
  holdsPhrase: { q: null, finds: ({ record }) => record.message.includes('gave up after') },
  holdsScanned: { q: null, finds: ({ record }) => record.message.includes(SCANNED) },
  slow: {
    q: null,
    finds: ({ record }) => Number(/took (\d+) ms$/.exec(record.message)?.[1] ?? 0) > 100,
  },
  user: {
    q: `any:${user}`,
    finds: ({ words, attributes }) =>
      attributes.get('user.id') === user || words.includes(` ${user} `),
  },
})

/** A user who came once in the first request of a corpus. */
export function rareUserOf(seed: number): string {
  const times: Tally = new Map()
  const [first] = corpus({ seed, records: 8192, recordsPerRequest: 8192 })
  for (const { attributes } of first!.records)
    add(times, String(attributeOf(attributes, 'user.id')))
  const [user] = [...times].reduce((a, b) => (b[1] < a[1] ? b : a))
  return user
}

export class Sent {
  records = 0
  readonly searches: Record<string, Search>
  /** By name of the search. */
  readonly found: Tally = new Map()
  readonly levels: Tally = new Map()
  readonly services: Tally = new Map()
  readonly routes: Tally = new Map()
  /** By minute and level, by minute, by minute and service: `${minute} ${value}`. */
  readonly minutesByLevel: Tally = new Map()
  readonly minutesOfWord: Tally = new Map()
  readonly minutesOfScanned: Tally = new Map()
  readonly durations = new Map<string, number[]>()
  readonly withStatus = { records: 0 }
  firstMs = Number.POSITIVE_INFINITY
  lastMs = 0
  /** Nanoseconds since 1970 of the newest, and of the newest failures, the newest last. */
  newest: bigint[] = []
  newestFailed: bigint[] = []
  /** The request in the middle, which holds whole traces. */
  middle: CorpusRecord[] = []
  readonly #middleAt: number

  constructor(records: number, user: string) {
    this.#middleAt = records / 2
    this.searches = searchesOf(user)
    for (const name of Object.keys(this.searches)) this.found.set(name, 0)
  }

  note({ records }: CorpusRequest): void {
    this.records += records.length
    if (this.middle.length === 0 && this.records >= this.#middleAt) this.middle = records
    for (const record of records) this.#count(record)
    this.newest = this.newest.slice(-NEWEST)
    this.newestFailed = this.newestFailed.slice(-NEWEST)
  }

  #count(record: CorpusRecord): void {
    const seen = seenOf(record)
    const { level, service, attributes } = seen
    const ms = Number(record.timeNs / 1_000_000n)
    const minute = ms - (ms % MINUTE_MS)
    add(this.levels, level)
    add(this.services, service)
    add(this.routes, String(attributes.get('http.route')))
    add(this.minutesByLevel, `${minute} ${level}`)
    for (const [name, { finds }] of Object.entries(this.searches)) {
      if (!finds(seen)) continue
      add(this.found, name)
      if (name === 'decided') add(this.minutesOfWord, `${minute}`)
      if (name === 'scanned') add(this.minutesOfScanned, `${minute} ${service}`)
      if (name === 'failed') this.newestFailed.push(record.timeNs)
    }
    if (statusOf(seen) > 0) this.withStatus.records++
    const durations = this.durations.get(service) ?? []
    this.durations.set(service, durations)
    durations.push(Number(attributes.get('duration_ms')))
    this.newest.push(record.timeNs)
    this.firstMs = Math.min(this.firstMs, ms)
    this.lastMs = Math.max(this.lastMs, ms)
  }

  /** The trace of the record in the middle, and how many records it has. */
  get trace(): { id: string; records: number } {
    const ids = this.middle.map(({ traceId }) => Buffer.from(traceId).toString('hex'))
    const id = ids[ids.length >> 1]!
    return { id, records: ids.filter((other) => other === id).length }
  }
}

export const serviceOf = ({ resource }: CorpusRecord): string =>
  String(attributeOf(resource.attributes, 'service.name'))

function seenOf(record: CorpusRecord): Seen {
  return {
    record,
    level: LEVELS[(record.severityNumber - 1) >> 2]!,
    service: serviceOf(record),
    words: ` ${wordsOf(record.message).join(' ')} `,
    attributes: new Map(record.attributes.map(({ key, value }) => [key, value.value])),
  }
}

const attributeOf = (attributes: CorpusRecord['attributes'], key: string) =>
  attributes.find((attribute) => attribute.key === key)?.value.value

function add(tally: Tally, name: string): void {
  tally.set(name, (tally.get(name) ?? 0) + 1)
}
