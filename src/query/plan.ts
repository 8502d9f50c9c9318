// text -> Plan. The parameters of GET /logs, whether they come from a URL or from an RPC object, as
// conditions that all must hold, a range of time, an order and a page. Pure: the time is an argument.
//
// A cursor carries what the first page fixed: each shard's highest sequence number, the range in
// absolute time, the order, and a hash of the filter. So later pages show exactly the same set,
// whatever arrives meanwhile, and a cursor pasted under another filter is refused.

import { createHash } from 'node:crypto'
import {
  QUERY_ATTRIBUTES_MAX,
  QUERY_LIMIT_DEFAULT,
  QUERY_LIMIT_MAX,
  QUERY_TEXT_CHARS_MAX,
  QUERY_WORDS_MAX,
} from '../limits.ts'
import { LEVELS, levelOfWord, TEXT_COLUMNS, type TextColumn } from '../record.ts'
import { err, ok, type Result } from '../result.ts'
import { parseTimeParameter, type Time } from '../time.ts'
import { wordsOf } from '../words.ts'

export type Condition =
  /** Bit i: LEVELS[i] may pass. */
  | { kind: 'level'; mask: number }
  /** Equal, case as stored. */
  | { kind: 'column'; column: TextColumn; value: string }
  /** A record attribute, equal as text: 200 finds the number and the string. */
  | { kind: 'attribute'; key: string; value: string }
  /** Each phrase is in the message: its words next to each other, any case. */
  | { kind: 'words'; phrases: string[][] }

/** A record's place in the order of an answer: time, then shard, then sequence number. */
export interface Position {
  ms: number
  ns: number
  shard: number
  seq: number
}

/** Which records: every condition holds, and the time lies in the range. */
export interface RecordFilter {
  filter: Condition[]
  /** Inclusive. */
  since: Time | null
  /** Exclusive. */
  until: Time | null
}

export interface Plan extends RecordFilter {
  order: 'asc' | 'desc'
  limit: number
  /** Names the filter, range as written and order; a cursor of another plan is refused. */
  hash: string
  /**
   * Each shard's highest sequence number, where an earlier page fixed it; null where that page could
   * not hear the shard. Shards beyond its end were made since and are not in the set; empty: no page
   * went before.
   */
  maxSeqs: (number | null)[]
  /** The last record of the page before. */
  after: Position | null
}

export const ALL_LEVELS = (1 << LEVELS.length) - 1

/** The columns that are parameters: `source_location` is found by `attr.` and words alone. */
const COLUMN_PARAMETERS = TEXT_COLUMNS.filter((column) => column !== 'source_location')
/** The parameters that choose records; attr.<name> beside them. */
const FILTER_PARAMETERS = ['level', ...COLUMN_PARAMETERS, 'q', 'since', 'until']
const COUNT_PARAMETERS = ['app_id', ...FILTER_PARAMETERS]
const PAGE_PARAMETERS = [...COUNT_PARAMETERS, 'limit', 'order', 'cursor']

/** Whose records a query is about: a cursor of somebody else's is refused. */
export interface QueryScope {
  tenantId: string
  workspaceId: string | null
}

/**
 * Parameters as a plan. Unknown names, names given twice and bad values are refused, so that a typo
 * is not a wrong answer. `app_id` is left to the door. A workspace the caller is bound to is one
 * more condition, and asking for another is `forbidden`.
 */
export function planQuery(
  parameters: Iterable<[string, string]>,
  scope: QueryScope,
  nowMs: number,
): Result<Plan> {
  return refusing(() => readPlan(readParameters(parameters, PAGE_PARAMETERS), scope, nowMs))
}

/** The same for GET /logs/count, which has no page: `limit`, `order` and `cursor` are refused. */
export function planCount(
  parameters: Iterable<[string, string]>,
  scope: QueryScope,
  nowMs: number,
): Result<Plan> {
  return refusing(() => readPlan(readParameters(parameters, COUNT_PARAMETERS), scope, nowMs))
}

/**
 * A filter in the body of a request: an object with the parameters that choose records as members,
 * numbers and booleans taken as their text. It is about all workspaces.
 */
export function planFilter(filter: unknown, nowMs: number): Result<RecordFilter> {
  return refusing(() => {
    const given = readParameters(membersOf(filter), FILTER_PARAMETERS)
    return readRecordFilter(given, nowMs)
  })
}

/** Whether no record can fail it. */
export const matchesEverything = ({ filter, since, until }: RecordFilter) =>
  until === null &&
  (since === null || (since.ms === 0 && since.ns === 0)) &&
  filter.every((condition) => condition.kind === 'level' && condition.mask === ALL_LEVELS)

/** The one catch in plan: below it read* functions throw, a Result per parameter would drown them. */
function refusing<T>(read: () => T): Result<T> {
  try {
    return ok(read())
  } catch (e) {
    if (e instanceof BadParameter)
      return err(e.code, e.message, { parameter: e.parameter, ...e.details })
    throw e
  }
}

type BadCode = 'bad_request' | 'bad_query' | 'forbidden'

class BadParameter extends Error {
  readonly code: BadCode
  readonly parameter: string
  readonly details: Record<string, unknown>
  constructor(
    parameter: string,
    message: string,
    code: BadCode = 'bad_request',
    details: Record<string, unknown> = {},
  ) {
    super(message)
    this.parameter = parameter
    this.code = code
    this.details = details
  }
}

function readPlan(given: Map<string, string>, scope: QueryScope, nowMs: number): Plan {
  const records = readRecordFilter(given, nowMs)
  const filter = [...workspaceOf(scope, given), ...records.filter]
  const orderText = given.get('order') ?? 'desc'
  if (orderText !== 'asc' && orderText !== 'desc') {
    throw new BadParameter('order', `order must be "asc" or "desc", not ${quote(orderText)}`)
  }
  const plan: Plan = {
    ...records,
    filter,
    order: orderText,
    limit: readLimit(given.get('limit')),
    hash: hashOf([
      scope,
      filter,
      given.get('since') ?? null,
      given.get('until') ?? null,
      orderText,
    ]),
    maxSeqs: [],
    after: null,
  }
  const cursor = given.get('cursor')
  return cursor === undefined ? plan : { ...plan, ...readCursor(cursor, plan.hash) }
}

const readRecordFilter = (given: Map<string, string>, nowMs: number): RecordFilter => ({
  filter: readFilter(given),
  since: readTime(given, 'since', nowMs),
  until: readTime(given, 'until', nowMs),
})

function* membersOf(filter: unknown): Iterable<[string, string]> {
  if (typeof filter !== 'object' || filter === null || Array.isArray(filter)) {
    const text = 'filter must be an object with the parameters of GET /logs that choose records'
    throw new BadParameter('filter', text)
  }
  for (const [name, value] of Object.entries(filter)) {
    if (!['string', 'number', 'boolean'].includes(typeof value)) {
      throw new BadParameter(name, `${quote(name)} must be text or a number`)
    }
    yield [name, String(value)]
  }
}

function readParameters(
  parameters: Iterable<[string, string]>,
  known: string[],
): Map<string, string> {
  const given = new Map<string, string>()
  for (const [name, value] of parameters) {
    const isKnown = known.includes(name) || (name.startsWith('attr.') && name.length > 5)
    if (!isKnown) {
      throw new BadParameter(
        name,
        `unknown parameter ${quote(name)}; known are ${known.join(', ')}, attr.<name>`,
      )
    }
    if (given.has(name)) throw new BadParameter(name, `parameter ${quote(name)} is given twice`)
    if (value === '') throw new BadParameter(name, `parameter ${quote(name)} has no value`)
    if (value.length > QUERY_TEXT_CHARS_MAX) {
      throw new BadParameter(
        name,
        `parameter ${quote(name)} is longer than ${QUERY_TEXT_CHARS_MAX} characters`,
      )
    }
    given.set(name, value)
  }
  return given
}

/** A caller bound to a workspace sees only it, and may not ask for another. */
function workspaceOf({ workspaceId }: QueryScope, given: Map<string, string>): Condition[] {
  if (workspaceId === null) return []
  if ((given.get('workspace_id') ?? workspaceId) !== workspaceId) {
    const text = `this key is bound to workspace ${quote(workspaceId)}`
    throw new BadParameter('workspace_id', text, 'forbidden')
  }
  return [{ kind: 'column', column: 'workspace_id', value: workspaceId }]
}

function readFilter(given: Map<string, string>): Condition[] {
  const filter: Condition[] = []
  const level = given.get('level')
  if (level !== undefined) filter.push({ kind: 'level', mask: readLevels(level) })
  for (const column of COLUMN_PARAMETERS) {
    const value = given.get(column)
    if (value === undefined) continue
    const isId = column === 'trace_id' || column === 'span_id'
    filter.push({ kind: 'column', column, value: isId ? value.toLowerCase() : value })
  }
  const attributes = [...given].filter(([name]) => name.startsWith('attr.')).sort()
  if (attributes.length > QUERY_ATTRIBUTES_MAX) {
    throw new BadParameter(
      'attr.',
      `at most ${QUERY_ATTRIBUTES_MAX} attr. parameters, not ${attributes.length}`,
    )
  }
  for (const [name, value] of attributes) {
    filter.push({ kind: 'attribute', key: name.slice('attr.'.length), value })
  }
  const q = given.get('q')
  if (q !== undefined) filter.push(readWords(q))
  return filter
}

/** One level, a list by comma, or `>=level`; any word that names a level is taken. */
function readLevels(text: string): number {
  const levelAt = (word: string) => {
    const level = levelOfWord(word)
    if (level !== undefined) return level
    throw new BadParameter('level', `${quote(word)} is no level; levels are ${LEVELS.join(', ')}`)
  }
  if (text.startsWith('>=')) return ALL_LEVELS & ~((1 << levelAt(text.slice(2))) - 1)
  return text.split(',').reduce((mask, word) => mask | (1 << levelAt(word)), 0)
}

/** What the search language will give a meaning: refused until it does, not searched as a word. */
const SYNTAX = /^(?:[-(]|.*[)*]$|\*|(?:AND|OR|NOT)$|[A-Za-z_][\w.]*:\S)/

/** Words and "phrases": each must be in the message. */
function readWords(q: string): Condition {
  const phrases = new Map<string, string[]>()
  let count = 0
  const bad = (message: string, at: number) =>
    new BadParameter('q', `${message} at column ${at + 1}`, 'bad_query', { column: at + 1 })
  const token = /"([^"]*)("?)|[^\s"]+/g
  for (const match of q.matchAll(token)) {
    const isPhrase = match[0].startsWith('"')
    if (isPhrase && match[2] === '') throw bad('a quote is opened and not closed', match.index)
    if (!isPhrase && SYNTAX.test(match[0])) {
      const text = `q takes words and "phrases" alone, not ${quote(match[0])}: put it in quotes to search its words`
      throw bad(text, match.index)
    }
    const words = wordsOf(match[1] ?? match[0])
    if (words.length === 0) throw bad(`${match[0]} holds no word`, match.index)
    count += words.length
    if (count > QUERY_WORDS_MAX) throw bad(`q has more than ${QUERY_WORDS_MAX} words`, match.index)
    phrases.set(words.join(' '), words)
  }
  if (phrases.size === 0) throw bad('q holds no word', 0)
  return { kind: 'words', phrases: [...phrases.values()] }
}

function readTime(given: Map<string, string>, name: 'since' | 'until', nowMs: number): Time | null {
  const text = given.get(name)
  if (text === undefined) return null
  const time = parseTimeParameter(text, nowMs)
  if (!time.ok) throw new BadParameter(name, `${name}: ${time.error.message}`)
  return time.data
}

function readLimit(text: string | undefined): number {
  if (text === undefined) return QUERY_LIMIT_DEFAULT
  const limit = /^\d{1,6}$/.test(text) ? Number(text) : 0
  if (limit >= 1 && limit <= QUERY_LIMIT_MAX) return limit
  throw new BadParameter(
    'limit',
    `limit must be a whole number from 1 to ${QUERY_LIMIT_MAX}, not ${quote(text)}`,
  )
}

interface CursorWire {
  v: 1
  h: string
  since: Time | null
  until: Time | null
  seqs: (number | null)[]
  after: Position | null
}

/** The cursor of the page that follows `after`, over the set that `maxSeqs` fixed. */
export function writeCursor(
  plan: Plan,
  maxSeqs: (number | null)[],
  after: Position | null,
): string {
  const wire: CursorWire = {
    v: 1,
    h: plan.hash,
    since: plan.since,
    until: plan.until,
    seqs: maxSeqs,
    after,
  }
  return Buffer.from(JSON.stringify(wire)).toString('base64url')
}

function readCursor(
  text: string,
  hash: string,
): Pick<Plan, 'since' | 'until' | 'maxSeqs' | 'after'> {
  const wire = parseCursor(text)
  if (wire === null)
    throw new BadParameter('cursor', 'the cursor is not one of ours, or was cut short')
  if (wire.h !== hash) {
    throw new BadParameter(
      'cursor',
      'the cursor belongs to another query: repeat the same parameters with it',
    )
  }
  return { since: wire.since, until: wire.until, maxSeqs: wire.seqs, after: wire.after }
}

function parseCursor(text: string): CursorWire | null {
  let wire: CursorWire
  try {
    wire = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'))
  } catch {
    // Anything that is not base64 of JSON: the caller says so.
    return null
  }
  const isNumber = (value: unknown): value is number => Number.isSafeInteger(value)
  const isTime = (time: Time | null) => time === null || (isNumber(time?.ms) && isNumber(time?.ns))
  const isOurs =
    typeof wire === 'object' &&
    wire !== null &&
    wire.v === 1 &&
    typeof wire.h === 'string' &&
    isTime(wire.since) &&
    isTime(wire.until) &&
    Array.isArray(wire.seqs) &&
    wire.seqs.length >= 1 &&
    wire.seqs.length <= 64 &&
    wire.seqs.every((seq) => seq === null || isNumber(seq)) &&
    (wire.after === null ||
      (isTime(wire.after) && isNumber(wire.after?.shard) && isNumber(wire.after?.seq)))
  return isOurs ? wire : null
}

const hashOf = (value: unknown) =>
  createHash('sha256').update(JSON.stringify(value)).digest('base64url').slice(0, 16)

const quote = (text: string) => JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)

/** What of the plan the shard prunes by: whole milliseconds and levels. */
export function rangeOf(plan: Plan) {
  let levelMask = ALL_LEVELS
  for (const condition of plan.filter) if (condition.kind === 'level') levelMask &= condition.mask
  let minMs = plan.since?.ms ?? 0
  let maxMs = plan.until?.ms ?? Number.MAX_SAFE_INTEGER
  if (plan.after && plan.order === 'desc') maxMs = Math.min(maxMs, plan.after.ms + 1)
  if (plan.after && plan.order === 'asc') minMs = Math.max(minMs, plan.after.ms)
  return { minMs, maxMs, levelMask }
}
