// Parameters -> RecordFilter: what chooses records at every door, whether it comes from a URL, from a
// body or from an RPC object. Unknown names, names given twice and bad values are refused, so that a
// typo is not a wrong answer. parameter-table.ts names and describes them once.

import { FIELD_PARTS_MAX, QUERY_ATTRIBUTES_MAX, QUERY_TEXT_CHARS_MAX } from '../limits.ts'
import { LEVELS, levelOfWord } from '../record.ts'
import { err, ok, type Result } from '../result.ts'
import { parseTimeParameter, type Time } from '../time.ts'
import {
  ALL_LEVELS,
  allOf,
  attributeIs,
  columnIs,
  cutsOf,
  type Filter,
  inWorkspace,
  levelIn,
} from './filter.ts'
import { COLUMN_PARAMETERS, FILTER_PARAMETERS, type ParameterName } from './parameter-table.ts'
import { parseSearch } from './search.ts'

/** Which records: the filter lets them through, and the time lies in the range. */
export interface RecordFilter {
  filter: Filter
  /** Inclusive. */
  since: Time | null
  /** Exclusive. */
  until: Time | null
}

/** Whose records a query is about: a cursor of somebody else's is refused. */
export interface QueryScope {
  tenantId: string
  workspaceId: string | null
}

/** Parameters by name, each given once. */
export type Given = ReadonlyMap<string, string>

/** The one catch of parameters: below it read* functions throw, a Result per parameter would drown them. */
export function refusing<T>(read: () => T): Result<T> {
  try {
    return ok(read())
  } catch (e) {
    if (e instanceof BadParameter)
      return err(e.code, e.message, { parameter: e.parameter, ...e.details })
    throw e
  }
}

type BadCode = 'bad_request' | 'bad_query' | 'forbidden'

/** Thrown by what reads a parameter, under `refusing`. */
export class BadParameter extends Error {
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

/**
 * A filter in the body of a request: an object with the parameters that choose records as members,
 * numbers and booleans taken as their text. It is about all workspaces.
 */
export function planFilter(filter: unknown, nowMs: number): Result<RecordFilter> {
  return refusing(() => readRecordFilter(readGiven(membersOf(filter), FILTER_PARAMETERS), nowMs))
}

/** Whether no record can fail it. */
export const matchesEverything = ({ filter, since, until }: RecordFilter) =>
  until === null &&
  (since === null || (since.ms === 0 && since.ns === 0)) &&
  filter.kind === 'and' &&
  filter.of.length === 0

/** The parameters that are `known`, and attr.<name> at every door that chooses records. */
export function readGiven(
  parameters: Iterable<[string, string]>,
  known: readonly ParameterName[],
  choosesRecords = true,
): Given {
  const given = new Map<string, string>()
  for (const [name, value] of parameters) {
    const isKnown =
      (known as readonly string[]).includes(name) ||
      (choosesRecords && name.startsWith('attr.') && name.length > 5)
    if (!isKnown) {
      const names = choosesRecords ? [...known, 'attr.<name>'] : known
      throw new BadParameter(
        name,
        `unknown parameter ${quote(name)}; known are ${names.join(', ')}`,
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

/** The records that the parameters choose, of those that the caller may see. */
export function readScoped(given: Given, scope: QueryScope, nowMs: number): RecordFilter {
  const records = readRecordFilter(given, nowMs)
  return { ...records, filter: allOf([workspaceOf(scope, given), records.filter]) }
}

/** A caller bound to a workspace sees only it, and may not ask for another. */
function workspaceOf({ workspaceId }: QueryScope, given: Given): Filter {
  if (workspaceId !== null && (given.get('workspace_id') ?? workspaceId) !== workspaceId) {
    const text = `this key is bound to workspace ${quote(workspaceId)}`
    throw new BadParameter('workspace_id', text, 'forbidden')
  }
  return inWorkspace(workspaceId)
}

const readRecordFilter = (given: Given, nowMs: number): RecordFilter => ({
  filter: readFilter(given),
  ...readRange(given, nowMs),
})

function readRange(given: Given, nowMs: number): Pick<RecordFilter, 'since' | 'until'> {
  const since = readTime(given, 'since', nowMs)
  const until = readTime(given, 'until', nowMs)
  const isReversed = since && until && (until.ms - since.ms || until.ns - since.ns) < 0
  // A page that follows has the range of the first: a relative time has moved on since.
  if (isReversed && !given.has('cursor')) {
    const [from, to] = [quote(given.get('since')!), quote(given.get('until')!)]
    throw new BadParameter('until', `until ${to} is before since ${from}: nothing lies between`)
  }
  return { since, until }
}

function readFilter(given: Given): Filter {
  const filters: Filter[] = []
  const level = given.get('level')
  if (level !== undefined) filters.push(levelIn(readLevels(level)))
  for (const column of COLUMN_PARAMETERS) {
    const value = given.get(column)
    if (value === undefined) continue
    const isId = column === 'trace_id' || column === 'span_id'
    filters.push(columnIs(column, isId ? value.toLowerCase() : value))
  }
  filters.push(...readAttributes(given))
  const q = given.get('q')
  if (q !== undefined) filters.push(readSearch(q))
  return allOf(filters)
}

function readAttributes(given: Given): Filter[] {
  const attributes = [...given].filter(([name]) => name.startsWith('attr.')).sort()
  if (attributes.length > QUERY_ATTRIBUTES_MAX) {
    const text = `at most ${QUERY_ATTRIBUTES_MAX} attr. parameters, not ${attributes.length}`
    throw new BadParameter('attr.', text)
  }
  return attributes.map(([name, value]) => {
    const key = name.slice('attr.'.length)
    if (cutsOf(key) === null) {
      const text = `${quote(name)} has more than ${FIELD_PARTS_MAX} parts between dots`
      throw new BadParameter(name, text)
    }
    return attributeIs(key, value)
  })
}

function readSearch(q: string): Filter {
  const parsed = parseSearch(q)
  if (parsed.ok) return parsed.data
  throw new BadParameter('q', parsed.error.message, 'bad_query', parsed.error.details)
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

export function readTime(given: Given, name: string, nowMs: number): Time | null {
  const text = given.get(name)
  if (text === undefined) return null
  const time = parseTimeParameter(text, nowMs)
  if (!time.ok) throw new BadParameter(name, `${name}: ${time.error.message}`)
  return time.data
}

/** A whole number, or `otherwise` where the parameter is not given. */
export function readWhole(
  given: Given,
  name: string,
  { min, max, otherwise }: { min: number; max: number; otherwise: number },
): number {
  const text = given.get(name)
  if (text === undefined) return otherwise
  const number = /^\d{1,9}$/.test(text) ? Number(text) : -1
  if (number >= min && number <= max) return number
  const message = `${name} must be a whole number from ${min} to ${max}, not ${quote(text)}`
  throw new BadParameter(name, message)
}

/** One of a few words. */
export function readChoice<T extends string>(
  given: Given,
  name: string,
  choices: readonly T[],
  otherwise: T,
): T {
  const text = given.get(name)
  if (text === undefined) return otherwise
  const found = choices.find((choice) => choice === text)
  if (found !== undefined) return found
  const listed = choices.map((choice) => quote(choice)).join(' or ')
  throw new BadParameter(name, `${name} must be ${listed}, not ${quote(text)}`)
}

export const quote = (text: string) =>
  JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
