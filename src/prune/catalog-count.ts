// How many records of a block match, and how many by what is asked for, where the catalog can tell
// exactly without the block: else null. The block is taken apart in one way after another, until in
// one every cell either matches whole or not at all, and belongs to one group. Pure, as prune.ts.

import { type BlockDetail, LACKING_COLUMNS, type PatternCount } from '../block/detail.ts'
import { pathOf } from '../match/value.ts'
import {
  type Ask,
  addToGroup,
  type Buckets,
  type Counted,
  emptyCounted,
  facetKey,
  fieldKey,
  type GroupField,
  type PatternSum,
  valueKey,
} from '../query/ask.ts'
import { LEVELS, TEXT_COLUMNS, type TextColumn } from '../record.ts'
import { type Cell, levelCells, onlyLevel, type Span, spanOf } from './cells.ts'
import { type Asked, Facts, type Prepared, type PruneRow, type PruneSource } from './facts.ts'

/** What is counted of the records of a block that match; null where the catalog can not tell. */
export function countByCatalog(
  prepared: Prepared,
  row: PruneRow,
  source: PruneSource,
  ask: Ask,
): Counted | null {
  const facts = factsOf(prepared, row, source)
  switch (ask.kind) {
    case 'count': {
      const records = recordsOf(facts)
      return records === null ? null : { ...emptyCounted(), records }
    }
    case 'histogram':
      return histogramOf(facts, ask)
    case 'facets':
      return facetsOf(facts, ask.fields)
    case 'fields':
      return fieldsOf(facts)
    case 'patterns':
      return patternsOf(facts, ask.buckets)
  }
}

/** How many records match, or null. */
export const recordsByCatalog = (
  prepared: Prepared,
  row: PruneRow,
  source: PruneSource,
): number | null => recordsOf(factsOf(prepared, row, source))

function factsOf(prepared: Prepared, row: PruneRow, source: PruneSource): Facts {
  const facts = new Facts(prepared, row, source)
  facts.askFilters()
  return facts
}

/** Adds the records of a cell that match; false where they belong to no one group. */
type Take = (cell: Cell) => boolean

/** Gives the cells that match to a fresh `take`, until one takes them all. */
function gathered<T>(facts: Facts, asked: Asked, start: () => { take: Take; found: T }): T | null {
  const all = (cells: Iterable<Cell>): { found: T } | null => {
    const { take, found } = start()
    for (const cell of cells) {
      const answer = facts.answer(cell)
      if (answer === 'some' || (answer === 'every' && !take(cell))) return null
    }
    return { found }
  }
  let whole = all(levelCells(facts))
  if (!whole && facts.detailMayDecide && facts.readDetail()) {
    whole = all(levelCells(facts))
    if (!whole) {
      for (const { cells } of facts.partitions(asked)) {
        whole = all(cells)
        if (whole) break
      }
    }
  }
  return whole?.found ?? null
}

function recordsOf(facts: Facts): number | null {
  const sum = gathered(facts, { columns: [], isByTime: false }, () => {
    const found = { records: 0 }
    return {
      found,
      take: ({ records }) => {
        found.records += records
        return true
      },
    }
  })
  return sum?.records ?? null
}

function histogramOf(
  facts: Facts,
  { buckets, by }: Extract<Ask, { kind: 'histogram' }>,
): Counted | null {
  return gathered(facts, { columns: columnsOf([by]), isByTime: true }, () => {
    const found = emptyCounted()
    const take: Take = (cell) => {
      const bucket = bucketOf(buckets, cell.span)
      if (bucket === 'outside') return true
      const value = by === null ? null : groupOf(facts, by, cell)
      if (bucket === 'cut' || value === undefined) return false
      found.records += cell.records
      addToGroup(found.groups, valueKey(value), bucket, cell.records)
      return true
    }
    return { found, take }
  })
}

/** The columns whose values the fields ask for. */
const columnsOf = (fields: (GroupField | null)[]): TextColumn[] =>
  TEXT_COLUMNS.filter((name) =>
    fields.some((field) => field?.in === 'column' && field.name === name),
  )

/** The bucket that holds all of a span. */
function bucketOf({ startMs, stepMs, count }: Buckets, { fromMs, end }: Span) {
  const lastMs = end.ns > 0 ? end.ms : end.ms - 1
  const first = Math.floor((fromMs - startMs) / stepMs)
  const last = Math.floor((lastMs - startMs) / stepMs)
  if (last < 0 || first >= count) return 'outside'
  return first === last ? first : 'cut'
}

/** What all records of a cell have in a field; null: nothing, undefined: they may differ. */
function groupOf(facts: Facts, field: GroupField, cell: Cell): string | null | undefined {
  switch (field.in) {
    case 'level': {
      const level = cell.level ?? onlyLevel(facts.levels)
      return level === null ? undefined : LEVELS[level]
    }
    case 'pattern':
      return patternValue(facts.detail, cell)
    case 'column': {
      if (cell.value && cell.value.column === field.name) return cell.value.value
      return facts.detail ? onlyValue(facts.detail, field.name, facts.records) : undefined
    }
    case 'attr':
      return facts.detail && lacksAttribute(facts.detail, field.name) ? null : undefined
    default:
      return undefined
  }
}

/** Of more patterns than a block keeps, records without one may have one. */
function patternValue(detail: BlockDetail | null, { pattern }: Cell): string | null | undefined {
  if (pattern === undefined || pattern !== null) return pattern?.id
  return detail && detail.patterns.length < detail.patternsMax ? null : undefined
}

/** The value that a column has in all records of the block. */
function onlyValue(
  { values, lacking }: BlockDetail,
  name: string,
  records: number,
): string | null | undefined {
  const column = TEXT_COLUMNS.find((one) => one === name)
  if (column === undefined) return undefined
  const known = values[column]
  if ((known?.absent ?? lacking?.[column]) === records) return null
  return known?.counts.size === 1 && known.absent === 0 ? [...known.counts.keys()][0] : undefined
}

/** A name may also lead into a map. */
function lacksAttribute({ keys, hasMoreKeys }: BlockDetail, name: string): boolean {
  const names = new Set([name, ...pathOf(name).beginnings.map(({ key }) => key)])
  return !hasMoreKeys && !keys.some(({ key }) => names.has(key))
}

function facetsOf(facts: Facts, fields: GroupField[]): Counted | null {
  const counted = emptyCounted()
  const records = recordsOf(facts)
  if (records === null) return null
  counted.records = records
  for (const [at, field] of fields.entries()) {
    const found = gathered(facts, { columns: columnsOf([field]), isByTime: false }, () => {
      const groups: Counted['groups'] = new Map()
      const take: Take = (cell) => {
        const value = groupOf(facts, field, cell)
        if (value === undefined) return false
        addToGroup(groups, facetKey(at, value), 0, cell.records)
        return true
      }
      return { found: groups, take }
    })
    if (found === null) return null
    for (const [key, counts] of found) counted.groups.set(key, counts)
  }
  return counted
}

/** Only of all records of a block, or of none: the lists do not say which have a key. */
function fieldsOf(facts: Facts): Counted | null {
  const records = recordsOf(facts)
  if (records === 0) return emptyCounted()
  if (records !== facts.records || !facts.readDetail()) return null
  const { keys, hasMoreKeys, values, lacking } = facts.detail!
  if (hasMoreKeys) return null
  const counted: Counted = { ...emptyCounted(), records }
  for (const column of LACKING_COLUMNS) {
    const listed =
      column === 'severity_text' || column === 'severity_number' ? null : values[column]
    const absent = listed?.absent ?? lacking?.[column]
    if (absent === records) continue
    const known = column === 'severity_number' ? 'int' : 'text'
    const type = absent === undefined ? '?' : known
    addToGroup(counted.groups, fieldKey('column', type, column), 0, records - (absent ?? 0))
  }
  for (const { key, type, records } of keys) {
    addToGroup(counted.groups, fieldKey('attr', type, key), 0, records)
  }
  return counted
}

/**
 * By pattern, each of which matches whole or not at all. Its range of time, its services and its
 * latest record are told of all its records, so a part of them is not known.
 */
function patternsOf(facts: Facts, buckets: Buckets): Counted | null {
  if (facts.holdsNone()) return emptyCounted()
  if (!facts.readDetail()) return null
  const matching = new Map<PatternCount | null, number>()
  for (const { cells, fate } of facts.partitions()) {
    if (fate !== 'pattern') continue
    for (const { pattern = null, records, ...rest } of cells) {
      const answer = facts.answer({ ...rest, pattern, records })
      if (answer === 'some') return null
      matching.set(pattern, (matching.get(pattern) ?? 0) + (answer === 'every' ? records : 0))
    }
  }
  const counted = emptyCounted()
  for (const [pattern, records] of matching) {
    if (records === 0) continue
    const sum = sumOf(facts, pattern, buckets)
    if (sum?.records !== records) return null
    counted.records += records
    counted.patterns.set(pattern?.id ?? '', sum)
  }
  return counted
}

/** Null where its services are not known. */
function sumOf(facts: Facts, pattern: PatternCount | null, buckets: Buckets): PatternSum | null {
  const detail = facts.detail!
  const count = pattern ?? detail.patternless ?? looseCount(facts, detail)
  const { records, levels, firstMs, lastMs, seq } = count
  const only = onlyValue(detail, 'service', facts.records)
  const services = count.services ?? (only !== undefined && new Map([[only ?? '', records]]))
  if (!services) return null
  return {
    records,
    levels: [...levels],
    services: new Map(services),
    buckets: spread(records, buckets, spanOf(firstMs, lastMs)),
    firstMs,
    lastMs,
    text: pattern && facts.patternText(pattern.id),
    sample: { shard: -1, seq },
  }
}

/** Of records without a pattern older details tell no more than their levels. */
function looseCount(facts: Facts, { unpatterned: levels }: BlockDetail): PatternCount {
  const { fromMs, end } = facts.span
  const records = levels.reduce((sum, count) => sum + count, 0)
  const services = undefined
  return { id: '', records, levels, firstMs: fromMs, lastMs: end.ms, seq: -1, services }
}

/** Records by bucket, as if they came evenly over the span: whole numbers that add up over all of it. */
function spread(records: number, { startMs, stepMs, count }: Buckets, span: Span): number[] {
  const counts = new Array<number>(count).fill(0)
  const toMs = Math.max(span.end.ms, span.fromMs + 1)
  const before = (ms: number) => {
    const share = (ms - span.fromMs) / (toMs - span.fromMs)
    return Math.round(records * Math.min(1, Math.max(0, share)))
  }
  const first = Math.max(0, Math.floor((span.fromMs - startMs) / stepMs))
  const last = Math.min(count - 1, Math.floor((toMs - startMs) / stepMs))
  for (let at = first; at <= last; at++) {
    const from = startMs + at * stepMs
    counts[at] = before(from + stepMs) - before(from)
  }
  return counts
}
