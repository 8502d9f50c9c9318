// What a tenant costs a month, from list prices. Pure; docs/costs.md explains every line of it and says
// what is left out.

/** Dollars, Workers Paid, before anything that is included in the plan. */
const PRICES = {
  objectStorageGb: 0.2,
  archiveStorageGb: 0.015,
  rowsWrittenMillion: 1,
  workerRequestsMillion: 0.3,
  objectRequestsMillion: 0.15,
  archiveWritesMillion: 4.5,
}

/**
 * Used while the shards have seen little since they were started: one record and a deletion would make a
 * record cost twenty rows. What 512 records a request need.
 */
const ROWS_PER_RECORD_ASSUMED = 0.01
const RECORDS_PER_REQUEST_ASSUMED = 512
const RECORDS_PER_BLOCK_ASSUMED = 8192
const RECORDS_SEEN_MIN = 10_000
const MONTH_DAYS = 30
const GB = 1e9

/** Sums over all shards. */
export interface Usage {
  databaseBytes: number
  archive: { bytes: number; records: number; blocks: number }
  hot: { records: number; blocks: number }
  hasArchive: boolean
  /** Since the objects were started. */
  seen: { rowsWritten: number; records: number; appends: number }
  /** Records received in so many days up to today, 30 at most. */
  recent: { records: number; days: number }
}

export interface Estimate {
  currency: 'USD'
  month: number
  parts: {
    object_storage: number
    archive_storage: number
    rows_written: number
    requests: number
    archive_writes: number
  }
  /** What the parts were multiplied with. */
  from: {
    records_a_month: number
    rows_per_record: number
    records_per_request: number
    records_per_block: number
    /** The three above were taken as usual: too little was seen since the shards were started. */
    assumed: boolean
  }
}

export function estimateCost(usage: Usage): Estimate {
  const { recent, seen, archive, hot } = usage
  const records = recent.days === 0 ? 0 : (recent.records / recent.days) * MONTH_DAYS
  const tier = archive.blocks > 0 ? archive : hot
  const assumed = seen.records < RECORDS_SEEN_MIN || tier.blocks === 0
  const rowsPerRecord = assumed ? ROWS_PER_RECORD_ASSUMED : seen.rowsWritten / seen.records
  const recordsPerRequest = assumed ? RECORDS_PER_REQUEST_ASSUMED : seen.records / seen.appends
  const recordsPerBlock = assumed ? RECORDS_PER_BLOCK_ASSUMED : tier.records / tier.blocks
  const archived = usage.hasArchive ? records / recordsPerBlock : 0
  const requests = records / recordsPerRequest
  const parts = {
    object_storage: (usage.databaseBytes / GB) * PRICES.objectStorageGb,
    archive_storage: (archive.bytes / GB) * PRICES.archiveStorageGb,
    rows_written: millions(records * rowsPerRecord) * PRICES.rowsWrittenMillion,
    requests: millions(requests) * (PRICES.workerRequestsMillion + PRICES.objectRequestsMillion),
    archive_writes: millions(archived) * PRICES.archiveWritesMillion,
  }
  return {
    currency: 'USD',
    month: rounded(Object.values(parts).reduce((sum, part) => sum + part, 0)),
    parts: {
      object_storage: rounded(parts.object_storage),
      archive_storage: rounded(parts.archive_storage),
      rows_written: rounded(parts.rows_written),
      requests: rounded(parts.requests),
      archive_writes: rounded(parts.archive_writes),
    },
    from: {
      records_a_month: Math.round(records),
      rows_per_record: rounded(rowsPerRecord),
      records_per_request: rounded(recordsPerRequest),
      records_per_block: Math.round(recordsPerBlock),
      assumed,
    },
  }
}

const millions = (n: number) => n / 1e6
/** To a ten-thousandth of a cent. */
const rounded = (n: number) => Math.round(n * 1e6) / 1e6
