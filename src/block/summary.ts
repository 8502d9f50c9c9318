// What may be answered of a batch without opening it: how many records, when, which levels.

import type { RecordBatch } from '../record.ts'
import { LEVELS } from '../record.ts'

export interface BlockSummary {
  records: number
  /** Every record's time lies in minMs..maxMs: floor and ceiling in whole milliseconds. */
  minMs: number
  maxMs: number
  /** Records by level, in the order of LEVELS. */
  levels: number[]
}

/** The summary of records `from` to `to` (exclusive) of a batch; at least one. */
export function summarize(batch: RecordBatch, from: number, to: number): BlockSummary {
  const levels = new Array<number>(LEVELS.length).fill(0)
  let minMs = Number.POSITIVE_INFINITY
  let maxMs = 0
  for (let row = from; row < to; row++) {
    const ms = batch.timeMs[row]!
    if (ms < minMs) minMs = ms
    const ceiling = batch.timeNs[row] === 0 ? ms : ms + 1
    if (ceiling > maxMs) maxMs = ceiling
    levels[batch.level[row]!]!++
  }
  return { records: to - from, minMs, maxMs, levels }
}

export function mergeSummaries(summaries: BlockSummary[]): BlockSummary {
  const levels = new Array<number>(LEVELS.length).fill(0)
  let records = 0
  let minMs = Number.POSITIVE_INFINITY
  let maxMs = 0
  for (const summary of summaries) {
    records += summary.records
    minMs = Math.min(minMs, summary.minMs)
    maxMs = Math.max(maxMs, summary.maxMs)
    for (let i = 0; i < levels.length; i++) levels[i]! += summary.levels[i]!
  }
  return { records, minMs, maxMs, levels }
}
