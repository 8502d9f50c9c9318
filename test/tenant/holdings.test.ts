// The storage of shards as one answer.

import { env as bound } from 'cloudflare:workers'
import { describe, expect, it, vi } from 'vitest'
import { objectKey } from '../../src/block/object-key.ts'
import type { Env } from '../../src/env.ts'
import type { ShardStorage } from '../../src/shard/storage-view.ts'
import { openArchived, storageAnswer } from '../../src/tenant/holdings.ts'
import type { Tenant } from '../../src/tenant/registry.ts'

const EMPTY: ShardStorage = {
  blocks: [],
  oldestMs: null,
  newestMs: null,
  pending: { rows: 0, records: 0, bytes: 0 },
  poison: { rows: 0, records: 0, bytes: 0 },
  databaseBytes: 4096,
  startedMs: 0,
  rowsWritten: 0,
  appends: 0,
  records: 0,
  recent: { records: 0, days: 0 },
  jobs: [],
  archive: 'none',
  pendingObjects: 0,
  tombstones: 0,
  warnings: [],
}

describe('the storage of shards', () => {
  it('that are empty', () => {
    const { estimate, ...answer } = storageAnswer([EMPTY])
    expect(estimate.month).toBe(0.000001)
    expect(answer).toEqual({
      records: 0,
      raw_bytes: 0,
      bytes: 0,
      ratio: null,
      oldest: null,
      newest: null,
      blocks: [],
      pending: { rows: 0, records: 0, bytes: 0 },
      poison: { rows: 0, records: 0, bytes: 0 },
      database_bytes: 4096,
      rows_written: 0,
      pending_objects: 0,
      tombstones: 0,
      archive: 'none',
      jobs: [],
      warnings: [],
      shards: [
        expect.objectContaining({
          shard: 0,
          started_at: '1970-01-01T00:00:00.000Z',
          database_bytes: 4096,
        }),
      ],
    })
  })

  it('is summed, by tier and level, with its shards beside it', () => {
    const tier = {
      tier: 'cold',
      level: 1,
      blocks: 1,
      records: 10,
      rawBytes: 900,
      bytes: 100,
    } as const
    const one: ShardStorage = {
      ...EMPTY,
      blocks: [tier, { ...tier, tier: 'hot', level: 0, records: 3, rawBytes: 100, bytes: 50 }],
      oldestMs: 5000,
      newestMs: 9000,
      pending: { rows: 2, records: 7, bytes: 70 },
      poison: { rows: 1, records: 1, bytes: 10 },
      jobs: [{ name: 'seal', lastRunMs: 1000, nextRunMs: null, error: 'no' }],
      archive: 'configured',
      pendingObjects: 1,
      tombstones: 2,
      warnings: ['full'],
    }
    const two: ShardStorage = { ...EMPTY, blocks: [tier], oldestMs: 4000, newestMs: 8000 }
    expect(storageAnswer([one, two])).toMatchObject({
      records: 30,
      raw_bytes: 1900,
      bytes: 250,
      ratio: 7.6,
      oldest: '1970-01-01T00:00:04.000Z',
      newest: '1970-01-01T00:00:09.000Z',
      blocks: [
        { tier: 'hot', level: 0, blocks: 1, records: 3, raw_bytes: 100, bytes: 50, ratio: 2 },
        { tier: 'cold', level: 1, blocks: 2, records: 20, raw_bytes: 1800, bytes: 200, ratio: 9 },
      ],
      pending: { rows: 2, records: 7, bytes: 70 },
      poison: { rows: 1, records: 1, bytes: 10 },
      archive: 'configured',
      pending_objects: 1,
      tombstones: 2,
      jobs: [
        {
          shard: 0,
          name: 'seal',
          last_run: '1970-01-01T00:00:01.000Z',
          next_run: null,
          error: 'no',
        },
      ],
      warnings: [{ shard: 0, message: 'full' }],
      shards: [
        { shard: 0, records: 20 },
        { shard: 1, records: 10, bytes: 100, blocks: [{ tier: 'cold', bytes: 100 }] },
      ],
    })
  })
})

describe('an object', () => {
  const tenant: Tenant = {
    tenantId: '0123456789abcdef0123456789abcdef',
    appId: 'shop',
    shards: 1,
    locationHint: null,
    columns: {},
  }
  const place = { ...tenant, day: '2026-01-02', shard: 3, firstSeq: 17, blockId: 5 }
  const key = objectKey(place)

  const opens = (archive: Partial<R2Bucket> | undefined, asked = key) =>
    openArchived(
      { ...(bound as Env), ARCHIVE: archive as R2Bucket },
      { tenant, keyId: null },
      asked,
    )

  it('of another tenant is not asked for', async () => {
    const get = vi.fn()
    const other = objectKey({ ...place, tenantId: 'f'.repeat(32) })
    expect(await opens({ get }, other)).toMatchObject({ error: { code: 'not_found' } })
    expect(get).not.toHaveBeenCalled()
  })

  it('that R2 does not bring is to be asked for again', async () => {
    const said = vi.spyOn(console, 'error').mockImplementation(() => {})
    const get = async () => Promise.reject(new Error('get: internal error (10001)'))
    expect(await opens({ get })).toMatchObject({ error: { code: 'unavailable' } })
    said.mockRestore()
  })

  it('that is gone, or was never there, is not found', async () => {
    expect(await opens({ get: async () => null } as unknown as R2Bucket)).toMatchObject({
      error: { code: 'not_found', message: expect.stringContaining('no such object') },
    })
    expect(await opens(undefined)).toMatchObject({
      error: { code: 'not_found', message: expect.stringContaining('has no archive') },
    })
  })
})
