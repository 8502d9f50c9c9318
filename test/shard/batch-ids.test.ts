import { describe, expect, it } from 'vitest'
import { BATCH_ID_MS } from '../../src/limits.ts'
import { BatchIds } from '../../src/shard/batch-ids.ts'

const idOf = (n: number) => {
  const id = new Uint8Array(16)
  new DataView(id.buffer).setUint32(0, Math.imul(n, 0x9e3779b1), true)
  new DataView(id.buffer).setUint32(12, n + 1, true)
  return id
}

describe('BatchIds', () => {
  it('knows what was added and nothing else, far past its first size', () => {
    const ids = new BatchIds()
    for (let n = 0; n < 20_000; n += 2) ids.add(idOf(n), 1)
    for (let n = 0; n < 20_000; n++) expect(ids.has(idOf(n))).toBe(n % 2 === 0)
  })

  it('tells ids apart that share their first word', () => {
    const ids = new BatchIds()
    const [a, b] = [idOf(1), idOf(1)]
    b[15] = 7
    ids.add(a, 1)
    expect([ids.has(a), ids.has(b)]).toEqual([true, false])
  })

  it('knows an id for ten minutes and forgets it after twenty', () => {
    const ids = new BatchIds()
    ids.add(idOf(1), 0)
    ids.add(idOf(2), BATCH_ID_MS)
    expect(ids.has(idOf(1))).toBe(true)
    ids.add(idOf(3), 2 * BATCH_ID_MS)
    expect([ids.has(idOf(1)), ids.has(idOf(2))]).toEqual([false, true])
  })

  it('forgets the oldest when there are too many', () => {
    const ids = new BatchIds(8)
    for (let n = 0; n < 9; n++) ids.add(idOf(n), 1)
    expect([ids.has(idOf(0)), ids.has(idOf(8))]).toEqual([false, true])
  })
})
