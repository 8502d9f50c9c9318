import { describe, expect, it } from 'vitest'
import { GROUP_BYTES_TARGET } from '../../src/limits.ts'
import { GroupCommit } from '../../src/shard/commit.ts'
import type { Append } from '../../src/shard/store.ts'

const summary = { records: 1, minMs: 0, maxMs: 0, levels: [0, 0, 1, 0, 0, 0] }
const append = (id: number | null, bytes = 10): Append => ({
  segments: [{ bytes: new Uint8Array(bytes), summary }],
  batchId: id === null ? null : new Uint8Array(16).fill(id),
  notes: {},
})

/** A store that counts groups; `sync` waits until the test lets it go. */
function storeOf() {
  const groups: number[] = []
  const stored = new Set<string>()
  let release: (() => void)[] = []
  const commit = new GroupCommit({
    hasBatch: (id) => stored.has(String(id)),
    write: (group) => {
      if (group.some(({ segments }) => segments[0]!.bytes.length === 13)) throw new Error('full')
      groups.push(group.length)
      for (const { batchId } of group) if (batchId) stored.add(String(batchId))
    },
    sync: () => new Promise<void>((resolve) => release.push(resolve)),
  })
  const letGo = async () => {
    for (let turn = 0; turn < 50; turn++) {
      for (const resolve of release) resolve()
      release = []
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
  }
  return { commit, groups, letGo }
}

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
    const failed = await commit.append(append(1, 13))
    expect(failed).toMatchObject({ ok: false, error: { code: 'unavailable' } })
    const retry = commit.append(append(1))
    await letGo()
    expect(await retry).toEqual({ ok: true, data: { duplicate: false } })
  })
})
