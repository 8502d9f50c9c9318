// A block taken apart by what its catalog counts: by level; by minute and level; by pattern and level;
// by the values of one column; by the types of one attribute. Each way all records are in cells, each
// in one, and of a cell more is known than of the block.

import { type BlockDetail, MINUTE_MS, type PatternCount } from '../block/detail.ts'
import type { AttributeType, TextColumn } from '../record.ts'
import type { Time } from '../time.ts'

/** Every time of it is at or after `fromMs` and before `end`. */
export interface Span {
  fromMs: number
  end: Time
}

/** Records told apart by these alone. */
export interface Cell {
  records: number
  /** null: any of the block's levels. */
  level: number | null
  span: Span
  /** null: they have none; undefined: any. */
  pattern?: PatternCount | null
  value?: { column: TextColumn; value: string | null } | undefined
  type?: { key: string; type: AttributeType | null } | undefined
}

/** Of the narrow row. */
interface Block {
  span: Span
  levels: number[]
}

/** Of times in minMs..maxMs, floor and ceiling. */
export const spanOf = (minMs: number, maxMs: number): Span => ({
  fromMs: minMs,
  end: { ms: maxMs, ns: 1 },
})

const isBefore = (a: Time, b: Time) => a.ms < b.ms || (a.ms === b.ms && a.ns < b.ns)

function overlap(a: Span, fromMs: number, end: Time): Span {
  return { fromMs: Math.max(a.fromMs, fromMs), end: isBefore(end, a.end) ? end : a.end }
}

/** Where a span lies: all of it in the range, none of it, or the range ends within. */
export function placeOf(
  { since, until }: { since: Time | null; until: Time | null },
  { fromMs, end }: Span,
): 'inside' | 'outside' | 'cut' {
  if (!since && !until) return 'inside'
  const from = { ms: fromMs, ns: 0 }
  if (since && !isBefore(since, end)) return 'outside'
  if (until && !isBefore(from, until)) return 'outside'
  if (since && isBefore(from, since)) return 'cut'
  return until && isBefore(until, end) ? 'cut' : 'inside'
}

export const countOf = (levels: number[]): number => levels.reduce((sum, count) => sum + count, 0)

function* byLevel(levels: number[], rest: Omit<Cell, 'records' | 'level'>): Generator<Cell> {
  for (let level = 0; level < levels.length; level++) {
    const records = levels[level]!
    if (records > 0) yield { ...rest, records, level }
  }
}

export const levelCells = ({ span, levels }: Block): Iterable<Cell> => byLevel(levels, { span })

/** None where the minutes are too many. */
export function* minuteCells({ span }: Block, minutes: BlockDetail['minutes']): Generator<Cell> {
  for (const { minute, levels } of minutes ?? []) {
    const fromMs = minute * MINUTE_MS
    yield* byLevel(levels, { span: overlap(span, fromMs, { ms: fromMs + MINUTE_MS, ns: 0 }) })
  }
}

/**
 * Records without a pattern first: of those least is known. Where services are wanted, with the
 * service of patterns of which the levels or the services are one: the other is then known of each.
 */
export function* patternCells(
  { span }: Block,
  detail: BlockDetail,
  wantsServices: boolean,
): Generator<Cell> {
  // '' would stand for a value and for none.
  const hasServices = wantsServices && detail.values.service?.counts.has('') === false
  const nameOf = (service: string) => (service === '' ? null : service)
  if (!detail.patternless) yield* byLevel(detail.unpatterned, { span, pattern: null })
  // There are hundreds of them in every block: no generator for each, and no object spread.
  for (let i = detail.patternless ? -1 : 0; i < detail.patterns.length; i++) {
    const pattern = i < 0 ? null : detail.patterns[i]!
    const sum: PatternCount = pattern ?? detail.patternless!
    const { levels, records } = sum
    const span = spanOf(sum.firstMs, sum.lastMs)
    const services = hasServices ? sum.services : undefined
    const only = services && services.size > 1 ? levels.indexOf(records) : -1
    if (services && only >= 0) {
      for (const [service, records] of services) {
        const value = { column: 'service', value: nameOf(service) } as const
        yield { records, level: only, span, pattern, value, type: undefined }
      }
      continue
    }
    const [service] = services?.size === 1 ? services.keys() : []
    const value =
      service === undefined ? undefined : ({ column: 'service', value: nameOf(service) } as const)
    for (let level = 0; level < levels.length; level++) {
      const records = levels[level]!
      if (records > 0) yield { records, level, span, pattern, value, type: undefined }
    }
  }
}

/** None where the column has too many values. */
export function* valueCells(
  { span, levels }: Block,
  { values }: BlockDetail,
  column: TextColumn,
): Generator<Cell> {
  const known = values[column]
  if (known === null) return
  const rest = { span, level: onlyLevel(levels) }
  for (const [value, records] of known.counts) yield { ...rest, records, value: { column, value } }
  if (known.absent > 0) {
    yield { ...rest, records: known.absent, value: { column, value: null } }
  }
}

export function* typeCells(
  { span, levels }: Block,
  { keys }: BlockDetail,
  key: string,
): Generator<Cell> {
  const rest = { span, level: onlyLevel(levels) }
  let left = countOf(levels)
  for (const one of keys) {
    if (one.key !== key) continue
    left -= one.records
    yield { ...rest, records: one.records, type: { key, type: one.type } }
  }
  if (left > 0) yield { ...rest, records: left, type: { key, type: null } }
}

/** The level that all records have, or null. */
export function onlyLevel(levels: number[]): number | null {
  const level = levels.findIndex((count) => count > 0)
  return levels.every((count, i) => count === 0 || i === level) ? level : null
}
