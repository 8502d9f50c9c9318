// Parameters of the doors that count, beside those that choose records (parameters.ts).

import {
  AGGREGATE_FIELDS_MAX,
  AGGREGATE_FUNCTIONS_MAX,
  BUCKETS_MAX,
  FACET_FIELDS_MAX,
  FIELDS_LIMIT_MAX,
  PATTERN_BUCKETS_MAX,
  PATTERNS_LIMIT_MAX,
  VALUES_LIMIT_MAX,
} from '../limits.ts'
import type { Result } from '../result.ts'
import { parseTimeParameter, type Time } from '../time.ts'
import type { AggregateFunction, GroupField } from './ask.ts'
import { type Cut, readInterval } from './buckets.ts'
import type { ParameterName } from './parameter-table.ts'
import { BadParameter, type Given, quote, readWhole, refusing } from './parameters.ts'
import { parseFieldName } from './search.ts'

/** A field, as the caller names it. */
export interface NamedField {
  name: string
  field: GroupField
}

export interface HistogramRequest {
  cut: Cut
  by: NamedField | null
  limit: number
}

export interface FacetsRequest {
  fields: NamedField[]
  limit: number
}

export interface PatternsRequest {
  buckets: number
  limit: number
  /** The time before that is compared. */
  compare: Compare | null
}

/** So long, ending at `since`; or from and to. */
export type Compare = { lengthMs: number } | { since: Time; until: Time }

export interface AggregateRequest {
  value: NamedField | null
  by: NamedField[]
  functions: AggregateFunction[]
  /** Null: all together. */
  intervalMs: number | null
  limit: number
}

export const HISTOGRAM_PARAMETERS: readonly ParameterName[] = ['interval', 'buckets', 'by', 'limit']
export const FACETS_PARAMETERS: readonly ParameterName[] = ['fields', 'limit']
export const FIELDS_PARAMETERS: readonly ParameterName[] = ['limit']
export const PATTERNS_PARAMETERS: readonly ParameterName[] = ['buckets', 'limit', 'compare']
export const AGGREGATE_PARAMETERS: readonly ParameterName[] = [
  'value',
  'by',
  'fn',
  'interval',
  'limit',
]

/** Parameters by name; that each is known and given once was seen to by the plan. */
type Parameters = Iterable<[string, string]>

const readLimit = (given: Given, max: number, otherwise: number) =>
  readWhole(given, 'limit', { min: 1, max, otherwise })

export const readHistogram = (parameters: Parameters): Result<HistogramRequest> =>
  refusing(() => {
    const given = new Map(parameters)
    const by = given.get('by')
    if (by === undefined && given.has('limit')) {
      throw new BadParameter('limit', 'limit is how many values of a field are shown: it needs by')
    }
    return {
      cut: readCut(given),
      by: by === undefined ? null : readField('by', by),
      limit: readLimit(given, VALUES_LIMIT_MAX, 10),
    }
  })

const BUCKETS_DEFAULT = 60

function readCut(given: Given): Cut {
  const buckets = readWhole(given, 'buckets', {
    min: 1,
    max: BUCKETS_MAX,
    otherwise: BUCKETS_DEFAULT,
  })
  const intervalMs = readLength(given, 'interval')
  if (intervalMs === null) return { buckets }
  if (given.has('buckets')) {
    throw new BadParameter('buckets', 'interval and buckets say the same: give one of them')
  }
  return { intervalMs }
}

function readLength(given: Given, name: string): number | null {
  const text = given.get(name)
  if (text === undefined) return null
  const ms = readInterval(text)
  if (ms !== null) return ms
  throw new BadParameter(name, `${name} must be like 30s, 5m, 1h or 1d, not ${quote(text)}`)
}

const FACETS_DEFAULT = 'service,level,environment'

export const readFacets = (parameters: Parameters): Result<FacetsRequest> =>
  refusing(() => {
    const given = new Map(parameters)
    const names = given.get('fields') ?? FACETS_DEFAULT
    return {
      fields: readFields('fields', names, FACET_FIELDS_MAX),
      limit: readLimit(given, VALUES_LIMIT_MAX, 10),
    }
  })

export const readFieldsLimit = (parameters: Parameters): Result<number> =>
  refusing(() => readLimit(new Map(parameters), FIELDS_LIMIT_MAX, 100))

export const readPatterns = (parameters: Parameters, nowMs: number): Result<PatternsRequest> =>
  refusing(() => {
    const given = new Map(parameters)
    return {
      buckets: readWhole(given, 'buckets', { min: 1, max: PATTERN_BUCKETS_MAX, otherwise: 24 }),
      limit: readLimit(given, PATTERNS_LIMIT_MAX, 50),
      compare: readCompare(given, nowMs),
    }
  })

function readCompare(given: Given, nowMs: number): Compare | null {
  const text = given.get('compare')
  if (text === undefined) return null
  const lengthMs = readInterval(text)
  if (lengthMs !== null) {
    if (given.has('since')) return { lengthMs }
    throw new BadParameter('compare', `compare=${text} is the time before since: it needs since`)
  }
  const [from, to, ...others] = text.split('..')
  if (from === undefined || to === undefined || others.length > 0) {
    const message = `compare must be a length such as 1h, or since..until, not ${quote(text)}`
    throw new BadParameter('compare', message)
  }
  const timeOf = (part: string) => {
    const time = parseTimeParameter(part, nowMs)
    if (!time.ok) throw new BadParameter('compare', `compare: ${time.error.message}`)
    return time.data
  }
  const [since, until] = [timeOf(from), timeOf(to)]
  if (since.ms < until.ms || (since.ms === until.ms && since.ns < until.ns)) return { since, until }
  throw new BadParameter('compare', `compare ends before it begins: ${quote(text)}`)
}

const NUMBERS_DEFAULT = 'count,avg,min,max,p50,p95,p99'

export const readAggregate = (parameters: Parameters): Result<AggregateRequest> =>
  refusing(() => {
    const given = new Map(parameters)
    const value = given.get('value')
    const by = given.get('by')
    const fn = given.get('fn') ?? (value === undefined ? 'count' : NUMBERS_DEFAULT)
    const functions = readFunctions(fn)
    const needsValue = functions.find(({ is }) => is !== 'count')
    if (value === undefined && needsValue) {
      throw new BadParameter('fn', `${needsValue.name} is of numbers: it needs value`)
    }
    return {
      value: value === undefined ? null : readField('value', value),
      by: by === undefined ? [] : readFields('by', by, AGGREGATE_FIELDS_MAX),
      functions,
      intervalMs: readLength(given, 'interval'),
      limit: readLimit(given, VALUES_LIMIT_MAX, 10),
    }
  })

const FUNCTIONS = ['count', 'sum', 'avg', 'min', 'max'] as const

function readFunctions(text: string): AggregateFunction[] {
  const functions = text.split(',').map(functionOf)
  if (functions.length > AGGREGATE_FUNCTIONS_MAX) {
    const message = `fn names ${functions.length} functions, at most ${AGGREGATE_FUNCTIONS_MAX}`
    throw new BadParameter('fn', message)
  }
  refuseTwins('fn', functions)
  return functions
}

function functionOf(name: string): AggregateFunction {
  const is = FUNCTIONS.find((known) => known === name)
  if (is !== undefined) return { name, is }
  const percent = /^p(\d{1,3}(?:\.\d{1,6})?)$/.exec(name)?.[1]
  if (percent !== undefined && Number(percent) <= 100) {
    return { name, is: 'quantile', part: Number(percent) / 100 }
  }
  const message = `${quote(name)} is no function; known are ${FUNCTIONS.join(', ')} and p0 to p100, such as p95 or p99.9`
  throw new BadParameter('fn', message)
}

function readFields(parameter: string, text: string, max: number): NamedField[] {
  const fields = splitNames(text).map((name) => readField(parameter, name))
  if (fields.length > max) {
    throw new BadParameter(parameter, `${parameter} names ${fields.length} fields, at most ${max}`)
  }
  refuseTwins(parameter, fields)
  return fields
}

function refuseTwins(parameter: string, named: { name: string }[]): void {
  const twin = named.find(({ name }, i) => named.findIndex((other) => other.name === name) < i)
  if (twin) throw new BadParameter(parameter, `${parameter} names ${quote(twin.name)} twice`)
}

function readField(parameter: string, name: string): NamedField {
  if (name === '') throw new BadParameter(parameter, `${parameter} names a field without a name`)
  const field = parseFieldName(name)
  if (field.ok) return { name, field: field.data }
  throw new BadParameter(parameter, `${parameter}: ${field.error.message}`)
}

/** Names by comma, but for commas in quotes or behind a backslash. */
function splitNames(text: string): string[] {
  return text.match(/(?:"(?:\\[\s\S]|[^"\\])*"|\\[\s\S]|[^,])+|(?<=,|^)(?=,|$)/g) ?? ['']
}
