// What the catalog can say of a block without opening it: that nothing in it matches, or exactly how
// many records do. Pure; `source` reads what lies in tables, and only when it is needed.
//
// Both hold to scan.ts: a block that holds a match is always 'open', and a count is exact or null.
// Where a filter or a list is not there, the answer is "maybe".

import {
  type BlockDetail,
  MINUTE_MS,
  type MinuteCount,
  type PatternCount,
} from '../block/detail.ts'
import { type Hash, mayContain } from '../block/filter.ts'
import { phraseInPattern } from '../block/pattern.ts'
import type { BlockSummary } from '../block/summary.ts'
import { idToken, stringsIn, valueTokens, wordToken } from '../block/tokens.ts'
import { type AttributeType, TEXT_COLUMNS, type TextColumn } from '../record.ts'
import type { Time } from '../time.ts'
import { wordsOf } from '../words.ts'
import { type Ask, type Counted, emptyCounted } from './ask.ts'
import { ALL_LEVELS, type Filter, type StoredCondition } from './filter.ts'
import type { RecordFilter } from './parameters.ts'

/** What was decided of a block: to be opened, or the reason why not. */
export type Fate = 'open' | 'time' | 'values' | 'filter' | 'pattern'

/** Of a block's narrow row. */
export type PruneRow = Pick<BlockSummary, 'minMs' | 'maxMs' | 'levels'>

/** Asked in this order, each only when the ones before did not decide. The shard keeps what it read. */
export interface PruneSource {
  /** The slice that sliceOf names for this hash; null where the block has no such filter. */
  filterSlice(filter: 'ids' | 'words', hash: Hash): Uint8Array | null
  detail(): BlockDetail | null
  /** The text of a pattern; null where it is not known. */
  patternText(id: string): string | null
}

type Verdict = 'every' | 'none' | 'look'

/** A filter with all that does not depend on a block: hashes, and what patterns said of it. */
export interface Prepared {
  since: Time | null
  until: Time | null
  levelMask: number
  columns: { column: TextColumn; value: string; token: Hash }[]
  attributes: PreparedAttribute[]
  phrases: string[][]
  /** Every word of the phrases, the longest first: it is the rarest. */
  words: Hash[]
  /** By pattern id: whether its records hold all phrases. An id means the same in every block. */
  verdicts: Map<string, Verdict>
  /** The filter asks nothing else. */
  isWhole: boolean
}

interface PreparedAttribute {
  key: string
  /** What must be in the words filter where the value is text. */
  asText: Hash[]
  /** Where the value reads as JSON, and so may be no text: the types it then has, and its strings. */
  asJson: { types: AttributeType[]; tokens: Hash[] } | null
}

export function preparePrune({ filter: tree, since, until }: RecordFilter): Prepared {
  const { conditions: filter, isWhole } = conditionsOf(tree)
  let levelMask = ALL_LEVELS
  const columns = new Map<string, Prepared['columns'][number]>()
  const attributes: PreparedAttribute[] = []
  const phrases: string[][] = []
  for (const condition of filter) {
    switch (condition.kind) {
      case 'level':
        levelMask &= condition.mask
        break
      case 'column': {
        const { column, value } = condition
        columns.set(`${column} ${value}`, { column, value, token: idToken(column, value) })
        break
      }
      case 'attribute':
        attributes.push(prepareAttribute(condition.key, condition.value))
        break
      case 'words':
        phrases.push(...condition.phrases)
    }
  }
  const words = [...new Set(phrases.flat())].sort((a, b) => b.length - a.length).map(wordToken)
  return {
    since,
    until,
    levelMask,
    columns: [...columns.values()],
    attributes,
    phrases,
    words,
    verdicts: new Map(),
    isWhole,
  }
}

function conditionsOf(filter: Filter): { conditions: StoredCondition[]; isWhole: boolean } {
  const conditions: StoredCondition[] = []
  let isWhole = true
  for (const one of filter.kind === 'and' ? filter.of : [filter]) {
    if (one.kind === 'level') conditions.push(one)
    else if (one.kind === 'text' && one.in === 'message' && one.test.is === 'phrase') {
      conditions.push({ kind: 'words', phrases: [wordsOf(one.test.text)] })
    } else if (one.kind === 'field' && one.field.in === 'column' && one.test.is === 'equal') {
      const column = one.field.name as TextColumn
      if (TEXT_COLUMNS.includes(column)) {
        conditions.push({ kind: 'column', column, value: one.test.value })
      } else isWhole = false
    } else isWhole = false
  }
  return { conditions, isWhole }
}

/**
 * The scan compares values as text, so `200` is also the number and `[1]` also the array: every way
 * to read the value as JSON is one more way to match. An equal JSON value holds equal strings.
 */
function prepareAttribute(key: string, value: string): PreparedAttribute {
  const asText = valueTokens(value)
  let parsed: unknown
  try {
    parsed = JSON.parse(value)
  } catch {
    // Not JSON: only a text is equal to it.
    return { key, asText, asJson: null }
  }
  const types: AttributeType[] =
    typeof parsed === 'number' ? ['int', 'num'] : typeof parsed === 'boolean' ? ['bool'] : ['json']
  return { key, asText, asJson: { types, tokens: [...stringsIn(parsed)].flatMap(valueTokens) } }
}

/** Whether a block has to be opened, or why it surely holds no match. */
export function prune(prepared: Prepared, row: PruneRow, source: PruneSource): Fate {
  if (isOutside(prepared, row.minMs, row.maxMs)) return 'time'
  if (countLevels(row.levels, prepared.levelMask) === 0) return 'values'
  if (!passesFilters(prepared, source)) return 'filter'
  const { columns, attributes, phrases } = prepared
  const isInside = covers(prepared, row.minMs, row.maxMs)
  if (isInside && columns.length + attributes.length + phrases.length === 0) return 'open'
  const detail = source.detail()
  return detail ? pruneByDetail(prepared, detail, source) : 'open'
}

/** No time of minMs..maxMs (floor and ceiling) is in the range. */
function isOutside({ since, until }: Prepared, minMs: number, maxMs: number): boolean {
  if (since && (maxMs < since.ms || (maxMs === since.ms && since.ns > 0))) return true
  return until !== null && (minMs > until.ms || (minMs === until.ms && until.ns === 0))
}

/** Every time of minMs..maxMs (floor and ceiling) is in the range. */
function covers({ since, until }: Prepared, minMs: number, maxMs: number): boolean {
  if (since && (minMs < since.ms || (minMs === since.ms && since.ns > 0))) return false
  return until === null || maxMs < until.ms || (maxMs === until.ms && until.ns > 0)
}

const countLevels = (levels: number[], mask: number): number =>
  levels.reduce((sum, count, level) => ((mask >> level) & 1 ? sum + count : sum), 0)

/** Whether a filter may hold a token. */
const testOf = (source: PruneSource, filter: 'ids' | 'words') => (hash: Hash) => {
  const slice = source.filterSlice(filter, hash)
  return slice === null || mayContain(slice, hash)
}

function passesFilters(prepared: Prepared, source: PruneSource): boolean {
  const isInIds = testOf(source, 'ids')
  const isInWords = testOf(source, 'words')
  return (
    prepared.columns.every(({ token }) => isInIds(token)) &&
    prepared.words.every(isInWords) &&
    prepared.attributes.every(
      ({ asText, asJson }) => asJson?.tokens.every(isInWords) || asText.every(isInWords),
    )
  )
}

function pruneByDetail(prepared: Prepared, detail: BlockDetail, source: PruneSource): Fate {
  if (!mayHoldMinute(prepared, detail)) return 'time'
  const { columns, attributes, phrases } = prepared
  const lacksValue = columns.some(
    ({ column, value }) => detail.values[column]?.counts.has(value) === false,
  )
  if (lacksValue || hasTwoValues(columns)) return 'values'
  if (!attributes.every((attribute) => mayHoldAttribute(attribute, detail, source))) return 'values'
  if (phrases.length === 0 || countLevels(detail.unpatterned, prepared.levelMask) > 0) return 'open'
  const mayHold = detail.patterns.some(
    (pattern) =>
      countLevels(pattern.levels, prepared.levelMask) > 0 &&
      !isOutside(prepared, pattern.firstMs, pattern.lastMs) &&
      verdictOf(prepared, pattern, source) !== 'none',
  )
  return mayHold ? 'open' : 'pattern'
}

/** Whether a minute that reaches into the range has a record of the levels. */
function mayHoldMinute(prepared: Prepared, { minutes }: BlockDetail): boolean {
  return (
    minutes === null ||
    minutes.some(
      (one) =>
        countLevels(one.levels, prepared.levelMask) > 0 && placeOf(prepared, one) !== 'outside',
    )
  )
}

/** Whether records have the key with a type that the value may be. */
function mayHoldAttribute(
  { key, asText, asJson }: PreparedAttribute,
  { keys, hasMoreKeys }: BlockDetail,
  source: PruneSource,
): boolean {
  if (hasMoreKeys) return true
  return keys.some((known) => {
    if (known.key !== key) return false
    if (known.type !== 'text') return asJson?.types.includes(known.type)
    // Of a value that is only text the filter was asked.
    return asJson === null || asText.every(testOf(source, 'words'))
  })
}

const hasTwoValues = (columns: Prepared['columns']): boolean =>
  new Set(columns.map(({ column }) => column)).size < columns.length

/** Whether the records of a pattern hold every phrase. */
function verdictOf(prepared: Prepared, { id }: PatternCount, source: PruneSource): Verdict {
  const known = prepared.verdicts.get(id)
  if (known !== undefined) return known
  const text = source.patternText(id)
  if (text === null) return 'look'
  let verdict: Verdict = 'every'
  for (const phrase of prepared.phrases) {
    const one = phraseInPattern(text, phrase)
    if (one === 'none') verdict = 'none'
    else if (one === 'look' && verdict === 'every') verdict = 'look'
    if (verdict === 'none') break
  }
  prepared.verdicts.set(id, verdict)
  return verdict
}

/**
 * How many records of a block match, or null where that can not be told without opening it. Exact are
 * levels, with whole minutes or with words that the patterns decide, and one column's value. What
 * holds for all records of the block does not count as a condition.
 */
export function countByCatalog(
  prepared: Prepared,
  row: PruneRow,
  source: PruneSource,
  ask: Ask,
): Counted | null {
  const records = ask.kind === 'count' ? recordsByCatalog(prepared, row, source) : null
  return records === null ? null : { ...emptyCounted(), records }
}

export function recordsByCatalog(
  prepared: Prepared,
  row: PruneRow,
  source: PruneSource,
): number | null {
  if (isOutside(prepared, row.minMs, row.maxMs)) return 0
  const ofLevels = countLevels(row.levels, prepared.levelMask)
  if (ofLevels === 0) return 0
  if (!prepared.isWhole || prepared.attributes.length > 0) return null
  const isInside = covers(prepared, row.minMs, row.maxMs)
  const { columns, phrases } = prepared
  if (isInside && columns.length + phrases.length === 0) return ofLevels
  const detail = source.detail()
  if (!detail) return null
  const all = countLevels(row.levels, ALL_LEVELS)
  const ofColumns = countOfColumns(columns, detail, all)
  if (ofColumns === null || ofColumns === 0) return ofColumns
  if (ofColumns < all) {
    // Which records have the value is not known, so nothing else may choose among them.
    const isAlone = isInside && phrases.length === 0 && ofLevels === all
    return isAlone ? ofColumns : null
  }
  if (phrases.length > 0) return countByPatterns(prepared, detail, source)
  return countByMinutes(prepared, detail)
}

/** Records that pass the conditions on columns; null where that is not known. */
function countOfColumns(
  columns: Prepared['columns'],
  detail: BlockDetail,
  all: number,
): number | null {
  if (hasTwoValues(columns)) return 0
  let choosing = 0
  let count: number | null = all
  for (const { column, value } of columns) {
    const known = detail.values[column]
    const found = known === null ? null : (known.counts.get(value) ?? 0)
    if (found === 0) return 0
    if (found === all) continue
    choosing++
    count = found
  }
  return choosing < 2 ? count : null
}

function countByPatterns(
  prepared: Prepared,
  detail: BlockDetail,
  source: PruneSource,
): number | null {
  if (countLevels(detail.unpatterned, prepared.levelMask) > 0) return null
  let count = 0
  for (const pattern of detail.patterns) {
    const ofLevels = countLevels(pattern.levels, prepared.levelMask)
    if (ofLevels === 0 || isOutside(prepared, pattern.firstMs, pattern.lastMs)) continue
    const verdict = verdictOf(prepared, pattern, source)
    if (verdict === 'none') continue
    const isCertain = verdict === 'every' && covers(prepared, pattern.firstMs, pattern.lastMs)
    if (!isCertain) return null
    count += ofLevels
  }
  return count
}

function countByMinutes(prepared: Prepared, { minutes }: BlockDetail): number | null {
  if (minutes === null) return null
  let count = 0
  for (const one of minutes) {
    const ofLevels = countLevels(one.levels, prepared.levelMask)
    if (ofLevels === 0) continue
    const place = placeOf(prepared, one)
    if (place === 'cut') return null
    if (place === 'inside') count += ofLevels
  }
  return count
}

/** Where a minute lies: all of it in the range, none of it, or the range ends within. */
function placeOf({ since, until }: Prepared, { minute }: MinuteCount) {
  const from = minute * MINUTE_MS
  const to = from + MINUTE_MS
  if (since && to <= since.ms) return 'outside'
  if (until && (from > until.ms || (from === until.ms && until.ns === 0))) return 'outside'
  if (since && (from < since.ms || (from === since.ms && since.ns > 0))) return 'cut'
  return until === null || to <= until.ms ? 'inside' : 'cut'
}
