// Reading the archive when it is slow, fails, lies or lacks: every end is a value, none is tried for
// ever, and no more is under way at once than may be.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { encodeBlock } from '../../src/block/parquet.ts'
import { storedSegment } from '../../src/block/stored.ts'
import {
  COLD_FAILURES_MAX,
  COLD_READS_MAX,
  type ColdPatience,
  ColdReads,
} from '../../src/tenant/cold-read.ts'
import { batchOf } from '../batches.ts'

const PATIENCE: ColdPatience = { attemptMs: 20, pausesMs: [1, 1] }
const block = await encodeBlock([storedSegment(batchOf([{}, {}]), 1, 0)], 0, async () => {})
const object = { key: 'k', size: block.length }

/** What one read finds: bytes, nothing, an error, a body that breaks off, or no answer. */
type Find = Uint8Array | null | Error | 'breaks off' | 'never'

const never = () => new Promise<never>(() => {})

function bucketOf(finds: Find[]): R2Bucket {
  const get = async () => {
    const find = finds.length > 1 ? finds.shift()! : finds[0]!
    if (find instanceof Error) throw find
    if (find === 'never') return never()
    if (find === null) return null
    const body = async () => {
      if (find === 'breaks off') throw new Error('Network connection lost.')
      return find.slice().buffer
    }
    return { arrayBuffer: body }
  }
  return { get } as unknown as R2Bucket
}

// What fails is logged; here it is meant to.
const logged = vi.spyOn(console, 'error').mockImplementation(() => {})
beforeEach(() => {
  logged.mockClear()
})

describe('a read of the archive', () => {
  const ends = (name: string, finds: Find[], kind: string, reads: number) =>
    it(`${name}: ${kind} after ${reads}`, async () => {
      const cold = new ColdReads(bucketOf([...finds]), PATIENCE)
      const read = await cold.take(object)
      expect(read.kind).toBe(kind)
      if (read.kind === 'read') expect(read.file.groups).toMatchObject([{ records: 2 }])
      expect(cold.reads).toBe(reads)
      expect(logged).toHaveBeenCalledTimes(finds.slice(0, reads).filter(isFault).length)
    })
  const isFault = (find: Find) => find !== null && find !== block
  const failure = new Error('get: We encountered an internal error. (10001)')
  const flipped = block.slice()
  flipped.fill(0, block.length - 12)
  const garbage = new Uint8Array(block.length).fill(7)

  ends('that works', [block], 'read', 1)
  ends('of what is not there', [null], 'gone', 1)
  ends('that fails once', [failure, block], 'read', 2)
  ends('that fails twice', [failure, failure, block], 'read', 3)
  ends('that fails three times', [failure, failure, failure, block], 'failed', 3)
  ends('that fails, then finds nothing', [failure, null], 'gone', 2)
  ends('whose body breaks off once', ['breaks off', block], 'read', 2)
  ends('whose body breaks off each time', ['breaks off', 'breaks off', 'breaks off'], 'failed', 3)
  ends('that has no answer once', ['never', block], 'read', 2)
  ends('that has no answer', ['never', 'never', 'never'], 'failed', 3)
  ends('cut short once', [block.subarray(0, -1), block], 'read', 2)
  ends('cut short', [block.subarray(1), block.subarray(0, 8), new Uint8Array()], 'corrupt', 3)
  ends('of more bytes than were written', Array(3).fill(Uint8Array.of(...block, 0)), 'corrupt', 3)
  ends('of other bytes once', [garbage, block], 'read', 2)
  ends('of other bytes', [garbage, flipped, garbage], 'corrupt', 3)
  ends('of other bytes, then none', [garbage, failure, 'never'], 'failed', 3)

  it('is not tried any more when object after object failed', async () => {
    const cold = new ColdReads(bucketOf([failure]), PATIENCE)
    for (let i = 0; i < COLD_FAILURES_MAX + 5; i++) {
      expect(await cold.take({ ...object, key: `k${i}` })).toEqual({ kind: 'failed' })
    }
    expect(cold.reads).toBe(3 * COLD_FAILURES_MAX)
  })

  it('is tried on when some fail', async () => {
    const bad = [failure, failure, failure]
    const finds = Array.from({ length: 2 * COLD_FAILURES_MAX }, () => [...bad, block]).flat()
    const cold = new ColdReads(bucketOf(finds), PATIENCE)
    for (let i = 0; i < 2 * COLD_FAILURES_MAX; i++) {
      expect((await cold.take(object)).kind).toBe('failed')
      expect((await cold.take(object)).kind).toBe('read')
    }
  })

  it('without a bucket fails, and nothing is read', async () => {
    const cold = new ColdReads(undefined, PATIENCE)
    expect(await cold.take(object)).toEqual({ kind: 'failed' })
    expect(cold.reads).toBe(0)
  })
})

describe('reading ahead', () => {
  const objects = Array.from({ length: 9 }, (_, i) => ({ key: `k${i}`, size: block.length }))

  /** A bucket that answers one read after the other, when told to. */
  function heldBucket() {
    const waiting: { key: string; answer: () => void }[] = []
    const started: string[] = []
    const get = (key: string) =>
      new Promise((resolve) => {
        started.push(key)
        const found = { arrayBuffer: async () => block.slice().buffer }
        waiting.push({ key, answer: () => resolve(found) })
      })
    const answer = async () => {
      waiting.shift()?.answer()
      // A few turns for what follows from it.
      for (let i = 0; i < 20; i++) await Promise.resolve()
    }
    return { bucket: { get } as unknown as R2Bucket, started, answer }
  }

  it('starts as many as may be held, in order, and each once', async () => {
    const { bucket, started } = heldBucket()
    const cold = new ColdReads(bucket, { attemptMs: 60_000, pausesMs: [] })
    cold.ahead(objects)
    cold.ahead(objects)
    expect(started).toEqual(objects.slice(0, COLD_READS_MAX).map(({ key }) => key))
  })

  it('goes on when one is taken, and what was read ahead is not read again', async () => {
    const { bucket, started, answer } = heldBucket()
    const cold = new ColdReads(bucket, { attemptMs: 60_000, pausesMs: [] })
    cold.ahead(objects)
    const first = cold.take(objects[0]!)
    await answer()
    expect((await first).kind).toBe('read')
    cold.ahead(objects.slice(1))
    expect(started).toEqual(objects.slice(0, COLD_READS_MAX + 1).map(({ key }) => key))
    expect(cold.reads).toBe(COLD_READS_MAX + 1)
  })

  it('never has more under way, whatever else is taken', async () => {
    const { bucket, started, answer } = heldBucket()
    const cold = new ColdReads(bucket, { attemptMs: 60_000, pausesMs: [] })
    cold.ahead(objects)
    const others = [cold.take(objects[7]!), cold.take(objects[8]!)]
    await answer()
    expect(started.length).toBe(COLD_READS_MAX + 1)
    for (let i = 0; i < COLD_READS_MAX + 1; i++) await answer()
    for (const other of others) expect((await other).kind).toBe('read')
    expect(started.length).toBe(COLD_READS_MAX + 2)
  })

  it('that is closed tries nothing again', async () => {
    let reads = 0
    const get = async () => {
      reads++
      throw new Error('internal error')
    }
    const cold = new ColdReads({ get } as unknown as R2Bucket, { attemptMs: 20, pausesMs: [1, 1] })
    cold.ahead(objects.slice(0, 1))
    cold.close()
    expect((await cold.take(objects[0]!)).kind).toBe('failed')
    expect(reads).toBe(1)
  })

  afterEach(() => {
    vi.useRealTimers()
  })

  it('gives a stuck read up after ten seconds', async () => {
    vi.useFakeTimers()
    const cold = new ColdReads(bucketOf(['never', block]))
    let end = ''
    const read = cold.take(object).then(({ kind }) => {
      end = kind
    })
    await vi.advanceTimersByTimeAsync(9_999)
    expect([end, cold.reads]).toEqual(['', 1])
    await vi.advanceTimersByTimeAsync(1_000)
    await read
    expect([end, cold.reads]).toEqual(['read', 2])
  })
})
