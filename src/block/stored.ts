// Records as a shard keeps them: a batch, with what only the shard knows of each record. Segments,
// hot and cold blocks all become this before anything looks at them.

import { type AttributeColumn, type RecordBatch, TEXT_COLUMNS } from '../record.ts'
import type { Texts } from './texts.ts'

/**
 * Every array has `batch.length` entries. Read from a block, `batch` may hold only the columns that
 * were asked for: the others are empty arrays.
 */
export interface StoredBatch {
  batch: RecordBatch
  /** The sequence number of each record in its shard. */
  seqs: Float64Array
  /** When the shard stored each record, ms. */
  receivedMs: Float64Array
  /** The pattern of each message, null where it has none; the whole is null where nobody computed it. */
  patterns: (string | null)[] | null
  /** The same as places in a short list, where a block has it so. */
  patternPlaces?: Places | null
  /** The messages, where they are not cut yet: `batch.message` cuts them all. */
  messages?: Texts
}

/** Values of a row as places in a list; 0 stands for none, and place 1 for the first. */
export interface Places {
  values: string[]
  places: Uint16Array
}

/** The batch of one segment, whose records the shard numbered from `firstSeq` on. */
export function storedSegment(
  batch: RecordBatch,
  firstSeq: number,
  receivedMs: number,
): StoredBatch {
  const seqs = new Float64Array(batch.length)
  for (let row = 0; row < batch.length; row++) seqs[row] = firstSeq + row
  return {
    batch,
    seqs,
    receivedMs: new Float64Array(batch.length).fill(receivedMs),
    patterns: null,
  }
}

/** Only these rows, ascending, of a batch that has all its columns. */
export function keepRows(stored: StoredBatch, rows: number[]): StoredBatch {
  const { batch, seqs, receivedMs, patterns } = stored
  if (rows.length === batch.length) return stored
  const pick = <T>(values: T[]): T[] => rows.map((row) => values[row]!)
  const text = { ...batch.text }
  for (const column of TEXT_COLUMNS) text[column] = pick(batch.text[column])
  const kept: RecordBatch = {
    ...batch,
    length: rows.length,
    timeMs: pick(batch.timeMs),
    timeNs: pick(batch.timeNs),
    observedMs: pick(batch.observedMs),
    observedNs: pick(batch.observedNs),
    level: pick(batch.level),
    severityNumber: pick(batch.severityNumber),
    severityText: pick(batch.severityText),
    message: pick(batch.message),
    text,
    body: pick(batch.body),
    attributes: keepAttributes(batch.attributes, rows),
    attributesRest: pick(batch.attributesRest),
    resource: pick(batch.resource),
    scope: pick(batch.scope),
    otel: pick(batch.otel),
    cut: pick(batch.cut),
    bytes: batch.bytes.length > 0 ? pick(batch.bytes) : [],
  }
  return {
    batch: kept,
    seqs: Float64Array.from(rows, (row) => seqs[row]!),
    receivedMs: Float64Array.from(rows, (row) => receivedMs[row]!),
    patterns: patterns && pick(patterns),
  }
}

/** Columns none of whose values is kept go: a deleted value must not stay behind. */
function keepAttributes(columns: AttributeColumn[], rows: number[]): AttributeColumn[] {
  const kept: AttributeColumn[] = []
  for (const column of columns) {
    const values: AttributeColumn['values'] = []
    const places: number[] = []
    let at = 0
    for (const [place, row] of rows.entries()) {
      while (at < column.rows.length && column.rows[at]! < row) at++
      if (column.rows[at] !== row) continue
      places.push(place)
      values.push(column.values[at]!)
    }
    if (places.length > 0) kept.push({ ...column, rows: places, values })
  }
  return kept
}

/** What a record takes apart from its texts, as where it was first mapped. */
const RECORD_BYTES_BASE = 128
const ATTRIBUTE_BYTES_BASE = 8

/** About the bytes of each record: neither segments nor blocks keep them. */
export function recordBytes(batch: RecordBatch): number[] {
  const bytes = new Array<number>(batch.length).fill(RECORD_BYTES_BASE)
  const add = (values: (string | null)[]) => {
    for (let row = 0; row < bytes.length; row++) bytes[row]! += values[row]?.length ?? 0
  }
  for (const name of TEXT_COLUMNS) add(batch.text[name])
  for (const values of [batch.message, batch.body, batch.attributesRest]) add(values)
  for (const { key, rows, values } of batch.attributes) {
    const base = key.length + ATTRIBUTE_BYTES_BASE
    for (let i = 0; i < rows.length; i++) {
      const value = values[i]!
      bytes[rows[i]!]! += typeof value === 'string' ? base + value.length : base + 8
    }
  }
  return bytes
}
