// Batches for tests that are not about decoding: made of a few words a record, or at random by seed.

import { emptyBatch, INFO, type RecordBatch, TEXT_COLUMNS, type TextColumn } from '../src/record.ts'

export interface RecordSpec {
  ms?: number
  ns?: number
  level?: number
  message?: string
  text?: Partial<Record<TextColumn, string>>
  attributes?: Record<string, string | number | boolean>
  rest?: string
}

export function batchOf(specs: RecordSpec[], receivedMs = 1_720_000_000_000): RecordBatch {
  const batch = emptyBatch(receivedMs)
  batch.resources.push('{"service.name":"svc"}')
  batch.scopes.push('{}')
  for (const [row, spec] of specs.entries()) {
    batch.timeMs.push(spec.ms ?? receivedMs)
    batch.timeNs.push(spec.ns ?? 0)
    batch.observedMs.push(-1)
    batch.observedNs.push(0)
    batch.level.push(spec.level ?? INFO)
    batch.severityNumber.push(0)
    batch.severityText.push(null)
    batch.message.push(spec.message ?? '')
    for (const column of TEXT_COLUMNS) batch.text[column].push(spec.text?.[column] ?? null)
    batch.body.push(null)
    batch.attributesRest.push(spec.rest ?? null)
    batch.resource.push(0)
    batch.scope.push(0)
    batch.otel.push(null)
    batch.cut.push(null)
    batch.bytes.push(200 + (spec.message?.length ?? 0))
    for (const [key, value] of Object.entries(spec.attributes ?? {})) {
      addAttribute(batch, row, key, value)
    }
  }
  batch.length = specs.length
  return batch
}

function addAttribute(
  batch: RecordBatch,
  row: number,
  key: string,
  value: string | number | boolean,
): void {
  const type =
    typeof value === 'string'
      ? 'text'
      : typeof value === 'boolean'
        ? 'bool'
        : Number.isSafeInteger(value)
          ? 'int'
          : 'num'
  let column = batch.attributes.find((column) => column.key === key && column.type === type)
  if (!column) {
    column = { key, type, rows: [], values: [] }
    batch.attributes.push(column)
  }
  column.rows.push(row)
  column.values.push(value)
}

/** The same numbers for the same seed, each from 0 up to 1 (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
