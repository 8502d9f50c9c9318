// Parameters -> Plan: the records to find, an order and a page. Pure: the time is an argument.
//
// A cursor carries what the first page fixed: each shard's highest sequence number, the range in
// absolute time, the order, and a hash of the filter. So later pages show exactly the same set,
// whatever arrives meanwhile, and a cursor pasted under another filter is refused.

import { createHash } from 'node:crypto'
import { QUERY_LIMIT_DEFAULT, QUERY_LIMIT_MAX } from '../limits.ts'
import type { Result } from '../result.ts'
import type { Time } from '../time.ts'
import { ALL_LEVELS, type Filter } from './filter.ts'
import { COUNT_PARAMETERS, PAGE_PARAMETERS, type ParameterName } from './parameter-table.ts'
import {
  BadParameter,
  type Given,
  type QueryScope,
  type RecordFilter,
  readChoice,
  readGiven,
  readScoped,
  readWhole,
  refusing,
} from './parameters.ts'

/** A record's place in the order of an answer: time, then shard, then sequence number. */
export interface Position {
  ms: number
  ns: number
  shard: number
  seq: number
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

/**
 * Parameters as the plan of a page. `app_id`, and parameters that only the door knows (`own`), are
 * left to it. A workspace the caller is bound to is one more condition, and asking for another is
 * `forbidden`.
 */
export function planQuery(
  parameters: Iterable<[string, string]>,
  scope: QueryScope,
  nowMs: number,
  own: readonly ParameterName[] = [],
  bounds: LimitBounds = PAGE_BOUNDS,
): Result<Plan> {
  return refusing(() => {
    const given = readGiven(parameters, [...PAGE_PARAMETERS, ...own])
    const plan = planOf(given, scope, nowMs, bounds)
    const cursor = given.get('cursor')
    return cursor === undefined ? plan : continued(plan, cursor)
  })
}

/** What a door takes as `limit`. */
export interface LimitBounds {
  max: number
  otherwise: number
}

const PAGE_BOUNDS = { max: QUERY_LIMIT_MAX, otherwise: QUERY_LIMIT_DEFAULT }

/** The plan of the page that a cursor of this plan asks for. Throws BadParameter on any other cursor. */
export const continued = (plan: Plan, cursor: string): Plan => ({
  ...plan,
  ...readCursor(cursor, plan.hash),
})

/** The same for what counts all records and has no page: `limit`, `order` and `cursor` are the door's own, if it has them. */
export function planAll(
  parameters: Iterable<[string, string]>,
  scope: QueryScope,
  nowMs: number,
  own: readonly ParameterName[] = [],
): Result<Plan> {
  return refusing(() => {
    const given = readGiven(parameters, [...COUNT_PARAMETERS, ...own])
    const paging = ['limit', 'order', 'cursor']
    return planOf(new Map([...given].filter(([name]) => !paging.includes(name))), scope, nowMs)
  })
}

function planOf(
  given: Given,
  scope: QueryScope,
  nowMs: number,
  bounds: LimitBounds = PAGE_BOUNDS,
): Plan {
  const records = readScoped(given, scope, nowMs)
  const order = readChoice(given, 'order', ['desc', 'asc'], 'desc')
  const range = [given.get('since') ?? null, given.get('until') ?? null]
  return {
    ...everythingOf(records),
    order,
    limit: readWhole(given, 'limit', { min: 1, ...bounds }),
    hash: hashOf([scope, records.filter, ...range, order]),
  }
}

/** A plan of the first page, newest first: what callers without parameters start from. */
export const everythingOf = (records: RecordFilter): Plan => ({
  ...records,
  order: 'desc',
  limit: QUERY_LIMIT_DEFAULT,
  hash: '',
  maxSeqs: [],
  after: null,
})

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

/** What of the plan the shard prunes by: whole milliseconds and levels. */
export function rangeOf(plan: Plan) {
  let minMs = plan.since?.ms ?? 0
  let maxMs = plan.until?.ms ?? Number.MAX_SAFE_INTEGER
  if (plan.after && plan.order === 'desc') maxMs = Math.min(maxMs, plan.after.ms + 1)
  if (plan.after && plan.order === 'asc') minMs = Math.max(minMs, plan.after.ms)
  return { minMs, maxMs, levelMask: levelsOf(plan.filter) }
}

/** The levels outside of which no record passes. */
function levelsOf(filter: Filter): number {
  switch (filter.kind) {
    case 'level':
      return filter.mask
    case 'and':
      return filter.of.reduce((mask, one) => mask & levelsOf(one), ALL_LEVELS)
    case 'or':
      return filter.of.reduce((mask, one) => mask | levelsOf(one), 0)
    default:
      return ALL_LEVELS
  }
}
