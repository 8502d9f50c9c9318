// What is counted of the records that match, and the counts. Both are plain data: an ask travels to
// the shards, whose catalogs answer it for every block where they can be exact, and what they counted
// comes back and is added to what the scan counts in the rest.

import type { AttributeType } from '../record.ts'
import type { Field } from './filter.ts'

/** Stretches of time of one length: bucket i is startMs + i * stepMs, inclusive, to the next, exclusive. */
export interface Buckets {
  startMs: number
  stepMs: number
  count: number
}

/** What records are grouped by. */
export type GroupField = Field | { in: 'level' } | { in: 'pattern' }

export type Ask =
  | { kind: 'count' }
  /** By value of `by` (null: all together) and bucket. What lies in no bucket is not counted. */
  | { kind: 'histogram'; buckets: Buckets; by: GroupField | null }
  /** By value of each field. */
  | { kind: 'facets'; fields: GroupField[] }
  /** Attribute keys and columns, with their types. */
  | { kind: 'fields' }
  | { kind: 'patterns'; buckets: Buckets }

/** What is made of numbers. `part` of a percentile is 0 to 1. */
export type AggregateFunction =
  | { name: string; is: 'count' | 'sum' | 'avg' | 'min' | 'max' }
  | { name: string; is: 'quantile'; part: number }

/** Counts of some records. Those of others can be added: no record is in two. */
export interface Counted {
  /** The records themselves. */
  records: number
  /**
   * By group, which valueKey, facetKey or fieldKey names; a number for each bucket, one where there are none. `count` has no
   * groups, a histogram one a value, facets one a field and value, fields one a key and type.
   */
  groups: Map<string, number[]>
  /**
   * By pattern id, where patterns are asked for. Catalogs count under '' what has no pattern, or one that
   * is not among those a block keeps, and give samples without a shard (-1).
   */
  patterns: Map<string, PatternSum>
}

/** All that is told of one message pattern. */
export interface PatternSum {
  records: number
  /** By level, as LEVELS. */
  levels: number[]
  /** By service; '' stands for records without one. */
  services: Map<string, number>
  /** By bucket. What the catalog knows only for a longer stretch is spread evenly over it. */
  buckets: number[]
  firstMs: number
  lastMs: number
  /** Its text; null where only the id is known yet. */
  text: string | null
  /** Its latest record. */
  sample: { shard: number; seq: number }
}

/** A value as a group's name; `null`: the record has none. */
export const valueKey = (value: string | null): string => (value === null ? '-' : `=${value}`)

/** The value that valueKey named. */
export const keyValue = (key: string): string | null => (key === '-' ? null : key.slice(1))

/** Of facets: the place of the field in the ask, and the value. */
export const facetKey = (field: number, value: string | null): string =>
  `${field} ${valueKey(value)}`

export function readFacetKey(key: string): { field: number; value: string | null } {
  const space = key.indexOf(' ')
  return { field: Number(key.slice(0, space)), value: keyValue(key.slice(space + 1)) }
}

/**
 * What a field holds. `?`: a column with more values than the catalog lists. How many records have one
 * is not known there, so all records of the block are counted under it: an upper bound.
 */
export type FieldType = AttributeType | '?'

/** Of fields: a column or an attribute, and what it holds. */
export const fieldKey = (scope: 'column' | 'attr', type: FieldType, name: string): string =>
  `${scope} ${type} ${name}`

export function readFieldKey(key: string) {
  const [scope, type] = key.split(' ', 2) as ['column' | 'attr', FieldType]
  return { scope, type, name: key.slice(scope.length + type.length + 2) }
}

export const emptyCounted = (): Counted => ({ records: 0, groups: new Map(), patterns: new Map() })

/** Adds to the count of a group. */
export function addToGroup(
  groups: Counted['groups'],
  key: string,
  at: number,
  records: number,
): void {
  let counts = groups.get(key)
  if (!counts) {
    counts = []
    groups.set(key, counts)
  }
  while (counts.length <= at) counts.push(0)
  counts[at]! += records
}

/** Adds other records' counts. */
export function addCounted(to: Counted, other: Counted): void {
  to.records += other.records
  for (const [key, counts] of other.groups) {
    for (const [at, records] of counts.entries()) addToGroup(to.groups, key, at, records)
  }
  for (const [id, sum] of other.patterns) {
    const known = to.patterns.get(id)
    if (known) addPattern(known, sum)
    else to.patterns.set(id, structuredClone(sum))
  }
}

/** Adds other records of the same pattern; `addService` may bound how many services are told apart. */
export function addPattern(
  to: PatternSum,
  other: PatternSum,
  addService: (to: PatternSum, service: string, records: number) => void = addAnyService,
): void {
  to.records += other.records
  for (const [i, records] of other.levels.entries()) to.levels[i]! += records
  for (const [service, records] of other.services) addService(to, service, records)
  for (const [i, records] of other.buckets.entries()) {
    to.buckets[i] = (to.buckets[i] ?? 0) + records
  }
  to.firstMs = Math.min(to.firstMs, other.firstMs)
  to.text ??= other.text
  if (other.lastMs < to.lastMs) return
  to.lastMs = other.lastMs
  to.sample = other.sample
}

function addAnyService({ services }: PatternSum, service: string, records: number): void {
  services.set(service, (services.get(service) ?? 0) + records)
}
