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
    for (let n = 0; n < 20_000; n++) expect(ids.has(idOf(n), 1)).toBe(n % 2 === 0)
  })

  it('tells ids apart that share their first word', () => {
    const ids = new BatchIds()
    const [a, b] = [idOf(1), idOf(1)]
    b[15] = 7
    ids.add(a, 1)
    expect([ids.has(a, 1), ids.has(b, 1)]).toEqual([true, false])
  })

  it('knows an id for ten minutes and forgets it soon after, busy or idle', () => {
    for (const isBusy of [true, false]) {
      const ids = new BatchIds()
      const start = 1_720_000_000_000
      ids.add(idOf(0), start)
      for (let minute = 1; isBusy && minute <= 10; minute++)
        ids.add(idOf(minute), start + minute * 60_000)
      expect(ids.has(idOf(0), start + BATCH_ID_MS - 1)).toBe(true)
      expect(ids.has(idOf(0), start + BATCH_ID_MS * 1.25)).toBe(false)
      expect(ids.has(idOf(10), start + BATCH_ID_MS * 1.25)).toBe(isBusy)
      expect(ids.has(idOf(10), start + BATCH_ID_MS * 100)).toBe(false)
    }
  })

  it('forgets the oldest when there are too many', () => {
    const ids = new BatchIds(10)
    for (let n = 0; n < 11; n++) ids.add(idOf(n), 1)
    expect([ids.has(idOf(0), 1), ids.has(idOf(1), 1), ids.has(idOf(10), 1)]).toEqual([
      false,
      false,
      true,
    ])
  })
})
