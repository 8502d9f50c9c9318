// When appends are written together, when they are refused, and that none is answered too early.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { GROUP_BYTES_TARGET, PENDING_BYTES_MAX } from '../../src/limits.ts'
import { err } from '../../src/result.ts'
import { GroupCommit } from '../../src/shard/commit.ts'
import type { Append } from '../../src/shard/store.ts'

const summary = { records: 1, minMs: 0, maxMs: 0, levels: [0, 0, 1, 0, 0, 0] }
const append = (id: number | null, bytes = 10): Append => ({
  segments: [{ bytes: new Uint8Array(bytes), rawBytes: bytes, summary }],
  batchId: id === null ? null : new Uint8Array(16).fill(id),
  notes: {},
})
/** A write with a segment of this size fails. */
const FAILING = 13

const STORED = { ok: true, data: { duplicate: false } }
const DUPLICATE = { ok: true, data: { duplicate: true } }
const FAILED = { ok: false, error: { code: 'unavailable' } }

/** A store that counts groups; `sync` waits until the test lets it go, or fails. */
function storeOf() {
  const groups: number[] = []
  const stored = new Set<string>()
  let waiting: PromiseWithResolvers<void>[] = []
  const commit = new GroupCommit({
    hasBatch: (id) => stored.has(String(id)),
    write: (group) => {
      groups.push(group.length)
      if (group.some(({ segments }) => segments[0]!.bytes.length === FAILING))
        throw new Error('full')
      for (const { batchId } of group) if (batchId) stored.add(String(batchId))
    },
    sync: () => {
      const wait = Promise.withResolvers<void>()
      waiting.push(wait)
      return wait.promise
    },
  })
  const letGo = async () => {
    for (let turn = 0; turn < 50; turn++) {
      for (const { resolve } of waiting) resolve()
      waiting = []
      await pause(2)
    }
  }
  const failSync = () => {
    for (const { reject } of waiting) reject(new Error('disk'))
    waiting = []
  }
  return { commit, groups, letGo, failSync }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** What a promise has come to by now: its value, or 'pending'. */
async function stateOf<T>(promise: Promise<T>): Promise<T | 'pending'> {
  await pause(0)
  return Promise.race([promise, Promise.resolve('pending' as const)])
}

// A failed commit is logged; here it is meant to fail.
const logged = vi.spyOn(console, 'error').mockImplementation(() => {})
beforeEach(() => {
  logged.mockClear()
})
afterEach(() => {
  for (const [text] of logged.mock.calls) expect(text).toBe('commit failed')
})

describe('GroupCommit', () => {
  it('writes the first at once and those that come meanwhile together', async () => {
    const { commit, groups, letGo } = storeOf()
    const results = [commit.append(append(1))]
    expect(groups).toEqual([1])
    for (let id = 2; id <= 64; id++) results.push(commit.append(append(id)))
    await letGo()
    expect((await Promise.all(results)).every(({ ok }) => ok)).toBe(true)
    expect(groups).toEqual([1, 63])
  })

  it('does not wait for more once a group is large', async () => {
    const { commit, groups, letGo } = storeOf()
    void commit.append(append(1))
    void commit.append(append(2, GROUP_BYTES_TARGET))
    await letGo()
    expect(groups).toEqual([1, 1])
  })

  it('stores a batch once: waiting, on its way and stored before', async () => {
    const { commit, groups, letGo } = storeOf()
    const first = commit.append(append(1))
    const retry = commit.append(append(1))
    await letGo()
    expect([await first, await retry, await commit.append(append(1))]).toEqual([
      { ok: true, data: { duplicate: false } },
      { ok: true, data: { duplicate: true } },
      { ok: true, data: { duplicate: true } },
    ])
    expect(groups).toEqual([1])
  })

  it('stores requests without an id each time', async () => {
    const { commit, groups, letGo } = storeOf()
    const results = [commit.append(append(null)), commit.append(append(null))]
    await letGo()
    await Promise.all(results)
    expect(groups).toEqual([1, 1])
  })

  it('answers 503 to all of a group that failed, and takes its retry', async () => {
    const { commit, letGo } = storeOf()
    const first = commit.append(append(1))
    const group = [commit.append(append(2, FAILING)), commit.append(append(3))]
    await letGo()
    expect(await first).toEqual(STORED)
    for (const failed of await Promise.all(group)) expect(failed).toMatchObject(FAILED)
    expect(logged).toHaveBeenCalledTimes(1)
    const retry = commit.append(append(2))
    await letGo()
    expect(await retry).toEqual(STORED)
  })
})

describe('an answer', () => {
  it('waits until the write is durable, also that of a retry', async () => {
    const { commit, letGo } = storeOf()
    const [first, retry] = [commit.append(append(1)), commit.append(append(1))]
    await pause(40)
    expect([await stateOf(first), await stateOf(retry)]).toEqual(['pending', 'pending'])
    await letGo()
    expect([await first, await retry]).toEqual([STORED, DUPLICATE])
  })

  it('waits for the sync of its own group, not of the one before', async () => {
    const { commit, groups, letGo, failSync } = storeOf()
    const first = commit.append(append(1))
    const second = commit.append(append(2, GROUP_BYTES_TARGET))
    failSync()
    await pause(40)
    expect(groups).toEqual([1, 1])
    expect(await first).toMatchObject(FAILED)
    expect(await stateOf(second)).toBe('pending')
    await letGo()
    expect(await second).toEqual(STORED)
  })

  it('is 503 when the sync fails', async () => {
    const { commit, failSync } = storeOf()
    const results = [commit.append(append(1)), commit.append(append(1))]
    failSync()
    for (const result of await Promise.all(results)) expect(result).toMatchObject(FAILED)
  })
})

describe('a retry that meets its first attempt', () => {
  it('waiting to be written shares its row', async () => {
    const { commit, groups, letGo } = storeOf()
    const results = [1, 2, 2, 3, 2].map((id) => commit.append(append(id)))
    await letGo()
    expect(await Promise.all(results)).toEqual([STORED, STORED, DUPLICATE, STORED, DUPLICATE])
    expect(groups).toEqual([1, 2])
  })

  it('shares its failure, and what comes after is written anew', async () => {
    const { commit, groups, letGo } = storeOf()
    const first = commit.append(append(1))
    const both = [commit.append(append(2, FAILING)), commit.append(append(2))]
    await letGo()
    expect(await first).toEqual(STORED)
    for (const failed of await Promise.all(both)) expect(failed).toMatchObject(FAILED)
    expect(groups).toEqual([1, 1])
    const again = commit.append(append(2))
    await letGo()
    expect(await again).toEqual(STORED)
  })
})

describe('bytes that wait', () => {
  const OVERLOADED = {
    ok: false,
    error: { code: 'overloaded', details: { max: PENDING_BYTES_MAX } },
  }

  it('up to the bound are taken, above it 503 at once, and later again', async () => {
    const { commit, letGo } = storeOf()
    const taken = [commit.append(append(1))]
    taken.push(commit.append(append(2, PENDING_BYTES_MAX - 100)))
    taken.push(commit.append(append(3, 100)))
    const refused = await stateOf(commit.append(append(4, 1)))
    expect(refused).toMatchObject(OVERLOADED)
    await letGo()
    for (const result of await Promise.all(taken)) expect(result).toEqual(STORED)
    const retry = commit.append(append(4, 1))
    await letGo()
    expect(await retry).toEqual(STORED)
  })

  it('of one request alone are taken, however many', async () => {
    const { commit, letGo } = storeOf()
    const taken = [commit.append(append(1)), commit.append(append(2, PENDING_BYTES_MAX + 1))]
    await letGo()
    for (const result of await Promise.all(taken)) expect(result).toEqual(STORED)
  })
})

describe('close', () => {
  it('answers all that wait and all that come, and writes none of them', async () => {
    const { commit, groups, letGo } = storeOf()
    const gone = err('not_found', 'this app has been deleted')
    void commit.append(append(1))
    const waiting = [
      commit.append(append(2)),
      commit.append(append(2)),
      commit.append(append(null)),
    ]
    commit.close(gone)
    for (const result of await Promise.all(waiting)) expect(result).toEqual(gone)
    expect(await stateOf(commit.append(append(3)))).toEqual(gone)
    await letGo()
    expect(groups).toEqual([1])
  })
})
