// What to do next with the stored records: seal, merge, move to the archive, expire. Pure decisions
// over the narrow rows; keeper.ts carries them out.

import {
  BLOCK_RAW_BYTES_MAX,
  COMPACT_BLOCKS,
  COMPACT_BYTES_TARGET,
  COMPACT_RECORDS_MAX,
  COMPACTIONS_MAX,
  SEAL_BYTES,
  SEAL_MS,
  SEAL_RECORDS,
  SEAL_ROWS,
  SEAL_RUN_BYTES_MAX,
  SMALL_BLOCK_BYTES,
  SMALL_BLOCK_RECORDS,
} from '../limits.ts'
import type { BlockRow } from './catalog.ts'
import type { WalIndex } from './wal-index.ts'

export const DAY_MS = 86_400_000

const dayNumber = (ms: number) => Math.floor(ms / DAY_MS)
/** The first millisecond of a UTC day. */
export const startOfDay = (day: string) => Date.parse(`${day}T00:00:00Z`)

/** Whether a wal row can not be sealed and is left alone. */
type IsPoison = { has(seq: number): boolean }

/**
 * When the wal is to be sealed: at once where a bound is reached or rows up to `forcedSeq` are asked
 * for, else ten minutes after its oldest row or at the end of that row's UTC day. null: it is empty.
 */
export function sealDueMs(wal: WalIndex, poison: IsPoison, forcedSeq: number): number | null {
  let oldestMs: number | null = null
  let rows = 0
  let records = 0
  let bytes = 0
  let rawBytes = 0
  for (let row = 0; row < wal.length; row++) {
    const seq = wal.seq[row]!
    if (poison.has(seq)) continue
    if (seq <= forcedSeq) return 0
    oldestMs ??= wal.receivedMs[row]!
    rows++
    records += wal.records[row]!
    bytes += wal.bytes[row]!
    rawBytes += wal.rawBytes[row]!
    if (rows >= SEAL_ROWS || records >= SEAL_RECORDS || bytes >= SEAL_BYTES) return 0
    if (rawBytes >= BLOCK_RAW_BYTES_MAX) return 0
  }
  if (oldestMs === null) return null
  return Math.min(oldestMs + SEAL_MS, (dayNumber(oldestMs) + 1) * DAY_MS)
}

/**
 * The oldest rows that make one block, as places in the wal: received on one UTC day, and without a
 * gap in their numbers. In a gap lies poison, or what was sealed while a row before it was poison, and
 * the block's range must not reach over either.
 */
export function chooseSeal(wal: WalIndex, poison: IsPoison): number[] {
  const run: number[] = []
  let records = 0
  let bytes = 0
  let rawBytes = 0
  let nextSeq = 0
  for (let row = 0; row < wal.length; row++) {
    const seq = wal.seq[row]!
    if (run.length === 0 && poison.has(seq)) continue
    if (run.length > 0 && (poison.has(seq) || seq !== nextSeq)) break
    nextSeq = seq + wal.records[row]!
    const first = run[0]
    const isOfAnotherDay =
      first !== undefined && dayNumber(wal.receivedMs[row]!) !== dayNumber(wal.receivedMs[first]!)
    records += wal.records[row]!
    bytes += wal.bytes[row]!
    rawBytes += wal.rawBytes[row]!
    const isFull =
      records > SEAL_RECORDS || bytes > SEAL_RUN_BYTES_MAX || rawBytes > BLOCK_RAW_BYTES_MAX
    if (isOfAnotherDay || (isFull && run.length > 0)) break
    run.push(row)
  }
  return run
}

/** Hot, small, and not merged as often as a record may be. */
const isSmall = (block: BlockRow) =>
  block.key === null &&
  block.compactions < COMPACTIONS_MAX &&
  block.bytes < SMALL_BLOCK_BYTES &&
  block.records < SMALL_BLOCK_RECORDS

/**
 * Neighbours in sequence and day to be merged into one block, or null. Of a day that goes on, as many
 * as make a step of size; of a day that is over (`closedBeforeMs`), whatever is small. Blocks between
 * which a row is unsealed, because it is poison, are no neighbours.
 */
export function chooseCompaction(
  blocks: readonly BlockRow[],
  wal: WalIndex,
  closedBeforeMs: number,
  leftAlone: { has(id: number): boolean },
): BlockRow[] | null {
  let run: BlockRow[] = []
  let bytes = 0
  let rawBytes = 0
  let records = 0
  for (let i = 0; i <= blocks.length; i++) {
    const block = blocks[i]
    const first = run[0]
    const isUsable = block !== undefined && isSmall(block) && !leftAlone.has(block.id)
    const isClosed = first !== undefined && first.receivedMs < closedBeforeMs
    const goesOn =
      isUsable &&
      first !== undefined &&
      block.day === first.day &&
      !hasRowBetween(wal, run.at(-1)!, block) &&
      (isClosed || block.compactions === first.compactions)
    const fits =
      goesOn &&
      bytes + block.bytes <= COMPACT_BYTES_TARGET &&
      rawBytes + block.rawBytes <= BLOCK_RAW_BYTES_MAX &&
      records + block.records <= COMPACT_RECORDS_MAX
    if (fits && (isClosed || run.length < COMPACT_BLOCKS)) {
      run.push(block)
      bytes += block.bytes
      rawBytes += block.rawBytes
      records += block.records
      continue
    }
    // Complete: a step of size, all that fits in one block, or the small rest of a day.
    const isComplete = run.length >= COMPACT_BLOCKS || (goesOn && !fits) || isClosed
    if (run.length > 1 && isComplete) return run
    run = isUsable ? [block] : []
    bytes = isUsable ? block.bytes : 0
    rawBytes = isUsable ? block.rawBytes : 0
    records = isUsable ? block.records : 0
  }
  return null
}

function hasRowBetween(wal: WalIndex, before: BlockRow, after: BlockRow): boolean {
  // Rows stand by number, and all but poison behind all blocks.
  for (let row = 0; row < wal.length && wal.seq[row]! < after.firstSeq; row++) {
    if (wal.seq[row]! > before.lastSeq) return true
  }
  return false
}

export interface HotWindow {
  hotDays: number
  hotBytes: number
  /** Someone asked for all that was received before to be archived, ms; 0: nobody. */
  flushBeforeMs: number
}

/**
 * When the next block is to move to the archive: 0 at once, null: none is here. Not by age before its
 * day is over: until then small ones are merged.
 */
export function archiveDueMs(blocks: readonly BlockRow[], window: HotWindow): number | null {
  let oldestMs: number | null = null
  let bytes = 0
  for (const block of blocks) {
    if (block.key !== null) continue
    bytes += block.bytes
    if (oldestMs === null || block.receivedMs < oldestMs) oldestMs = block.receivedMs
  }
  if (oldestMs === null) return null
  if (bytes > window.hotBytes || oldestMs < window.flushBeforeMs) return 0
  const endOfDayMs = (dayNumber(oldestMs) + 1) * DAY_MS
  return Math.max(oldestMs + window.hotDays * DAY_MS, endOfDayMs)
}

/** The next block to move, oldest first, or null. */
export function chooseArchive(
  blocks: readonly BlockRow[],
  window: HotWindow,
  nowMs: number,
): BlockRow | null {
  const dueMs = archiveDueMs(blocks, window)
  if (dueMs === null || dueMs > nowMs) return null
  let oldest: BlockRow | null = null
  for (const block of blocks) {
    if (block.key !== null) continue
    if (oldest === null || block.receivedMs < oldest.receivedMs) oldest = block
  }
  return oldest
}

/** The highest sequence number received before a moment that begins a UTC day; 0: none. */
export function lastSeqBefore(
  blocks: readonly BlockRow[],
  wal: WalIndex,
  beforeMs: number,
): number {
  let last = 0
  for (const block of blocks) {
    if (startOfDay(block.day) < beforeMs) last = Math.max(last, block.lastSeq)
  }
  for (let row = 0; row < wal.length; row++) {
    if (wal.receivedMs[row]! < beforeMs) {
      last = Math.max(last, wal.seq[row]! + wal.records[row]! - 1)
    }
  }
  return last
}

/**
 * When retention is to be looked at next: the first UTC day on which the shortest rule could touch
 * the oldest record, and never twice on a day. null: nothing is stored.
 */
export function expireDueMs(
  blocks: readonly BlockRow[],
  wal: WalIndex,
  shortestDays: number,
  lastDay: string,
): number | null {
  let oldestMs: number | null = null
  for (const block of blocks) {
    const ms = startOfDay(block.day)
    if (oldestMs === null || ms < oldestMs) oldestMs = ms
  }
  if (wal.length > 0) oldestMs = Math.min(oldestMs ?? Number.POSITIVE_INFINITY, wal.receivedMs[0]!)
  if (oldestMs === null) return null
  const firstMs = (dayNumber(oldestMs) + shortestDays + 1) * DAY_MS
  return lastDay === '' ? firstMs : Math.max(firstMs, startOfDay(lastDay) + DAY_MS)
}
