// What the catalog knows of one block beside its narrow row: enough to count, to draw, to list values
// and keys, and to say "not in here" without opening it. Every list is either complete or says that
// it is not: an answer taken from here is exact, or is not taken from here.
// How it is stored: detail-wire.ts.

import {
  type AttributeType,
  LEVELS,
  type RecordBatch,
  TEXT_COLUMNS,
  type TextColumn,
} from '../record.ts'
import { bug } from '../result.ts'
import { PATTERNS_MAX, patternId } from './pattern.ts'
import type { StoredBatch } from './stored.ts'

// Bounds keep a detail at a few KB, whatever the records hold: a query reads one for every block
// that is still in question.
const MINUTES_MAX = 1024
const VALUES_MAX = 64
const VALUE_CHARS_MAX = 4096
const KEYS_MAX = 512
const KEY_CHARS_MAX = 16 * 1024
/** Keys counted while building: records can bring a million, and the frequent ones are met early. */
const KEYS_COUNTED_MAX = 8 * KEYS_MAX

export interface BlockDetail {
  /** Ascending, those with a record; null where they are more than MINUTES_MAX. */
  minutes: MinuteCount[] | null
  /** Null where a column has too many values, or too long ones. */
  values: Record<TextColumn, ValueCounts | null>
  /** Attribute keys of records with their types, the most frequent first. */
  keys: KeyCount[]
  /** There are keys that are not listed. */
  hasMoreKeys: boolean
  /** The most frequent first. */
  patterns: PatternCount[]
  /** So many were kept at most: where they are fewer, what has none has none that was not kept. */
  patternsMax: number
  /** Records without a pattern, by level. */
  unpatterned: number[]
  /** All that is told of a pattern, of the records without one; older details do not tell. */
  patternless: PatternCount | undefined
  /** Records without a value of the column, also where it has too many; older details do not tell. */
  lacking: Record<LackingColumn, number> | undefined
}

/** In the order of the wire. */
export const LACKING_COLUMNS = [...TEXT_COLUMNS, 'severity_text', 'severity_number'] as const
type LackingColumn = (typeof LACKING_COLUMNS)[number]

export interface MinuteCount {
  /** Since 1970. A record belongs to the minute its time lies in. */
  minute: number
  levels: number[]
}

/** All values of a text column in the block. */
export interface ValueCounts {
  counts: Map<string, number>
  /** Records that have none. */
  absent: number
}

export interface KeyCount {
  key: string
  type: AttributeType
  records: number
}

export interface PatternCount {
  id: string
  records: number
  levels: number[]
  /** All its records' times lie in firstMs..lastMs: floor and ceiling. */
  firstMs: number
  lastMs: number
  /** The sequence number of its latest record. */
  seq: number
  /** Records by service, '' for none. Not where services are too many, nor in older details. */
  services: Map<string, number> | undefined
}

export const MINUTE_MS = 60_000

/** The detail of the records of one block; the batches have all their columns and chosen patterns. */
export async function buildDetail(
  parts: StoredBatch[],
  pause: () => Promise<void>,
): Promise<BlockDetail> {
  const minutes = minutesOf(parts)
  await pause()
  const values = {} as BlockDetail['values']
  const lacking = {
    severity_text: absentOf(parts, ({ severityText }) => severityText, null),
    severity_number: absentOf(parts, ({ severityNumber }) => severityNumber, 0),
  } as Record<LackingColumn, number>
  for (const column of TEXT_COLUMNS) {
    values[column] = valuesOf(parts, column)
    lacking[column] = values[column]?.absent ?? absentOf(parts, ({ text }) => text[column], null)
    await pause()
  }
  const { keys, hasMoreKeys } = await keysOf(parts, pause)
  const patterns = patternsOf(parts, values.service !== null)
  return { minutes, values, lacking, keys, hasMoreKeys, ...patterns }
}

const noLevels = () => new Array<number>(LEVELS.length).fill(0)

function minutesOf(parts: StoredBatch[]): MinuteCount[] | null {
  const counts = new Map<number, number[]>()
  for (const { batch } of parts) {
    for (let row = 0; row < batch.length; row++) {
      const minute = Math.floor(batch.timeMs[row]! / MINUTE_MS)
      let levels = counts.get(minute)
      if (!levels) {
        if (counts.size === MINUTES_MAX) return null
        levels = noLevels()
        counts.set(minute, levels)
      }
      levels[batch.level[row]!]!++
    }
  }
  return [...counts]
    .map(([minute, levels]) => ({ minute, levels }))
    .sort((a, b) => a.minute - b.minute)
}

function valuesOf(parts: StoredBatch[], column: TextColumn): ValueCounts | null {
  const counts = new Map<string, number>()
  let absent = 0
  let chars = 0
  for (const { batch } of parts) {
    for (const value of batch.text[column]) {
      if (value === null) {
        absent++
        continue
      }
      const count = counts.get(value)
      if (count === undefined) {
        chars += value.length
        if (counts.size === VALUES_MAX || chars > VALUE_CHARS_MAX) return null
      }
      counts.set(value, (count ?? 0) + 1)
    }
  }
  return { counts, absent }
}

function absentOf<T>(parts: StoredBatch[], valuesOf: (batch: RecordBatch) => T[], none: T): number {
  let count = 0
  for (const { batch } of parts) for (const value of valuesOf(batch)) if (value === none) count++
  return count
}

const PAUSE_CHARS = 256 * 1024

async function keysOf(
  parts: StoredBatch[],
  pause: () => Promise<void>,
): Promise<Pick<BlockDetail, 'keys' | 'hasMoreKeys'>> {
  const counts = new Map<string, KeyCount>()
  let hasMoreKeys = false
  const count = (key: string, type: AttributeType, records: number) => {
    const name = `${type} ${key}`
    const known = counts.get(name)
    if (known) known.records += records
    else if (counts.size < KEYS_COUNTED_MAX) counts.set(name, { key, type, records })
    else hasMoreKeys = true
  }
  for (const { batch } of parts) {
    for (const { key, type, rows } of batch.attributes) count(key, type, rows.length)
    let chars = 0
    for (const rest of batch.attributesRest) {
      if (rest === null) continue
      for (const [key, value] of Object.entries(JSON.parse(rest))) count(key, typeOf(value), 1)
      chars += rest.length
      if (chars < PAUSE_CHARS) continue
      chars = 0
      await pause()
    }
  }
  let chars = 0
  const all = [...counts.values()].sort((a, b) => b.records - a.records)
  const end = all.findIndex(({ key }, i) => {
    chars += key.length
    return i === KEYS_MAX || chars > KEY_CHARS_MAX
  })
  return end < 0 ? { keys: all, hasMoreKeys } : { keys: all.slice(0, end), hasMoreKeys: true }
}

/** The type of an attribute that found no column; a double that is whole reads as an integer there. */
export function typeOf(value: unknown): AttributeType {
  switch (typeof value) {
    case 'string':
      return 'text'
    case 'number':
      return Number.isSafeInteger(value) ? 'int' : 'num'
    case 'boolean':
      return 'bool'
    default:
      return 'json'
  }
}

function patternsOf(
  parts: StoredBatch[],
  hasServices: boolean,
): Pick<BlockDetail, 'patterns' | 'patternsMax' | 'unpatterned' | 'patternless'> {
  const counts = new Map<string | null, PatternCount>()
  for (const { batch, seqs, patterns } of parts) {
    for (let row = 0; row < batch.length; row++) {
      const pattern = patterns?.[row] ?? null
      const floor = batch.timeMs[row]!
      const ceiling = floor + (batch.timeNs[row] === 0 ? 0 : 1)
      let count = counts.get(pattern)
      if (!count) {
        const services = hasServices ? new Map<string, number>() : undefined
        const range = { firstMs: floor, lastMs: ceiling, seq: seqs[row]! }
        count = { id: '', records: 0, levels: noLevels(), ...range, services }
        counts.set(pattern, count)
      }
      count.records++
      count.levels[batch.level[row]!]!++
      if (count.services) {
        const service = batch.text.service[row] ?? ''
        count.services.set(service, (count.services.get(service) ?? 0) + 1)
      }
      if (floor < count.firstMs) count.firstMs = floor
      if (ceiling >= count.lastMs) {
        count.lastMs = ceiling
        count.seq = seqs[row]!
      }
    }
  }
  const patternless = counts.get(null)
  counts.delete(null)
  if (counts.size > PATTERNS_MAX) bug(`${counts.size} patterns in one block`)
  for (const [pattern, count] of counts) count.id = patternId(pattern!)
  return {
    patterns: [...counts.values()].sort((a, b) => b.records - a.records),
    patternsMax: PATTERNS_MAX,
    unpatterned: patternless?.levels ?? noLevels(),
    patternless,
  }
}
