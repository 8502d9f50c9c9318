// What a month costs, by hand.

import { describe, expect, it } from 'vitest'
import { estimateCost, type Usage } from '../../src/tenant/costs.ts'

const NOTHING: Usage = {
  databaseBytes: 0,
  archive: { bytes: 0, records: 0, blocks: 0 },
  hot: { records: 0, blocks: 0 },
  hasArchive: true,
  seen: { rowsWritten: 0, records: 0, appends: 0 },
  recent: { records: 0, days: 0 },
}

describe('an estimate', () => {
  it('of nothing is nothing', () => {
    expect(estimateCost(NOTHING)).toEqual({
      currency: 'USD',
      month: 0,
      parts: {
        object_storage: 0,
        archive_storage: 0,
        rows_written: 0,
        requests: 0,
        archive_writes: 0,
      },
      from: {
        records_a_month: 0,
        rows_per_record: 0.01,
        records_per_request: 512,
        records_per_block: 8192,
        assumed: true,
      },
    })
  })

  it('takes storage as it is, and goes on from what was received and seen', () => {
    const usage: Usage = {
      databaseBytes: 2e9,
      archive: { bytes: 10e9, records: 20_000_000, blocks: 1000 },
      hot: { records: 1, blocks: 1 },
      hasArchive: true,
      seen: { rowsWritten: 5000, records: 1_000_000, appends: 2000 },
      recent: { records: 10_000_000, days: 3 },
    }
    const estimate = estimateCost(usage)
    expect(estimate.from).toEqual({
      records_a_month: 100_000_000,
      rows_per_record: 0.005,
      records_per_request: 500,
      records_per_block: 20_000,
      assumed: false,
    })
    expect(estimate.parts).toEqual({
      object_storage: 0.4,
      archive_storage: 0.15,
      // 500,000 rows; 200,000 requests; 5,000 objects.
      rows_written: 0.5,
      requests: 0.09,
      archive_writes: 0.0225,
    })
    expect(estimate.month).toBe(1.1625)
  })

  it('does not take one record and a deletion for a month of them', () => {
    const seen = { rowsWritten: 20, records: 1, appends: 1 }
    const recent = { records: 500_000, days: 1 }
    const estimate = estimateCost({ ...NOTHING, hot: { records: 1, blocks: 1 }, seen, recent })
    expect(estimate.from.assumed).toBe(true)
    expect(estimate.month).toBeLessThan(0.2)
  })

  it('counts no writes to an archive there is none of', () => {
    const usage = {
      ...NOTHING,
      hot: { records: 1000, blocks: 1 },
      seen: { rowsWritten: 100, records: 10_000, appends: 10 },
      recent: { records: 1e6, days: 30 },
    }
    expect(estimateCost(usage).parts.archive_writes).toBe(0.0045)
    expect(estimateCost({ ...usage, hasArchive: false }).parts.archive_writes).toBe(0)
  })
})
