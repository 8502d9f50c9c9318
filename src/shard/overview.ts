// What a shard tells of its storage: sums over the narrow rows in memory, no block is opened.

import { DATABASE_BYTES_MAX } from '../limits.ts'
import type { BlocksView, ShardStorage, UpkeepView } from './storage-view.ts'
import { type BlockStore, dayOf } from './store.ts'
import { DAY_MS, startOfDay } from './upkeep.ts'

const RECENT_DAYS = 30
/** From this share of what an object may hold, people are told. */
const NEARLY_FULL = 0.8

export function readStorage(
  store: BlockStore,
  about: {
    jobs: UpkeepView[]
    archive: ShardStorage['archive']
    startedMs: number
    nowMs: number
  },
): ShardStorage {
  const { wal, catalog, ledger } = store
  const tiers = new Map<string, BlocksView>()
  let oldestMs = Number.POSITIVE_INFINITY
  let newestMs = Number.NEGATIVE_INFINITY
  for (const block of catalog.blocks) {
    const tier = block.key === null ? 'hot' : 'cold'
    const name = `${tier} ${block.compactions}`
    const sum = tiers.get(name) ?? emptyTier(tier, block.compactions)
    tiers.set(name, sum)
    sum.blocks++
    sum.records += block.records
    sum.rawBytes += block.rawBytes
    sum.bytes += block.bytes
    oldestMs = Math.min(oldestMs, block.minMs)
    newestMs = Math.max(newestMs, block.maxMs)
  }
  const poison = { rows: 0, records: 0, bytes: 0 }
  for (let row = 0; row < wal.length; row++) {
    oldestMs = Math.min(oldestMs, wal.minMs[row]!)
    newestMs = Math.max(newestMs, wal.maxMs[row]!)
    if (!ledger.poison.has(wal.seq[row]!)) continue
    poison.rows++
    poison.records += wal.records[row]!
    poison.bytes += wal.bytes[row]!
  }
  const { rows_written: rowsWritten, database_bytes: databaseBytes } = store.usage
  const firstDay = dayOf(about.nowMs - (RECENT_DAYS - 1) * DAY_MS)
  const recent = store.days().filter(({ day, records }) => day >= firstDay && records > 0)
  return {
    blocks: [...tiers.values()],
    oldestMs: Number.isFinite(oldestMs) ? oldestMs : null,
    newestMs: Number.isFinite(newestMs) ? newestMs : null,
    pending: { rows: wal.length, records: wal.totalRecords, bytes: wal.totalBytes },
    poison,
    databaseBytes,
    startedMs: about.startedMs,
    rowsWritten,
    ...store.appended,
    recent: {
      records: recent.reduce((sum, { records }) => sum + records, 0),
      days: daysSince(recent[0]?.day, about.nowMs),
    },
    jobs: about.jobs,
    archive: about.archive,
    pendingObjects: ledger.objects.size,
    tombstones: ledger.tombstones.length,
    warnings: warningsOf(store, databaseBytes),
  }
}

/** Days from the first through today. */
const daysSince = (first: string | undefined, nowMs: number) =>
  first === undefined ? 0 : Math.floor((nowMs - startOfDay(first)) / DAY_MS) + 1

function warningsOf({ ledger }: BlockStore, databaseBytes: number): string[] {
  const warnings: string[] = []
  if (databaseBytes > NEARLY_FULL * DATABASE_BYTES_MAX) {
    const share = Math.round((100 * databaseBytes) / DATABASE_BYTES_MAX)
    warnings.push(
      `the shard holds ${share} % of what it may: archive more, keep less, or add shards`,
    )
  }
  for (const { seq, error } of ledger.poison.values()) {
    warnings.push(`the rows from record ${seq} can not be sealed: ${error}`)
  }
  return warnings
}

const emptyTier = (tier: BlocksView['tier'], level: number): BlocksView => ({
  tier,
  level,
  blocks: 0,
  records: 0,
  rawBytes: 0,
  bytes: 0,
})

/** Times of records, ms. */
export interface Extent {
  minMs: number
  maxMs: number
}

/** The time that records reach over by the catalog; hidden ones count until they are rewritten away. */
export function extentOf({ wal, catalog }: BlockStore): Extent | null {
  let minMs = Number.POSITIVE_INFINITY
  let maxMs = Number.NEGATIVE_INFINITY
  for (let row = 0; row < wal.length; row++) {
    minMs = Math.min(minMs, wal.minMs[row]!)
    maxMs = Math.max(maxMs, wal.maxMs[row]!)
  }
  for (const block of catalog.blocks) {
    minMs = Math.min(minMs, block.minMs)
    maxMs = Math.max(maxMs, block.maxMs)
  }
  return minMs <= maxMs ? { minMs, maxMs } : null
}
