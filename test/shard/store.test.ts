// The bounds of what a shard stores, by a store of its own over an object's storage.

import { runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe, expect, it, type Mock, vi } from 'vitest'
import { DATABASE_BYTES_MAX, WAL_ROWS_MAX } from '../../src/limits.ts'
import { BlockStore } from '../../src/shard/store.ts'

const T = 1_720_000_000_000

/** Calls with a store whose database says to have so many bytes. */
function storeWith(
  name: string,
  bytes: number,
  check: (store: BlockStore, size: Mock<() => number>) => void,
) {
  return runInDurableObject(env.LOG_SHARD.getByName(name), (_shard, { storage }) => {
    const size = vi.spyOn(Object.getPrototypeOf(storage.sql), 'databaseSize', 'get')
    size.mockReturnValue(bytes)
    try {
      check(new BlockStore(storage, T), size)
    } finally {
      size.mockRestore()
    }
  })
}

describe('a store', () => {
  const isFull = (name: string, rows: number, bytes: number, is: boolean) =>
    it(`with ${name} is ${is ? 'full' : 'not full'}`, () =>
      storeWith(`store-${name}`, bytes, (store) => {
        store.wal.length = rows
        expect(store.isFull(T)).toBe(is)
      }))

  isFull('nothing', 0, 4096, false)
  isFull('one row less than the bound', WAL_ROWS_MAX - 1, 4096, false)
  isFull('as many rows as may be', WAL_ROWS_MAX, 4096, true)
  isFull('one byte less than the bound', 1, DATABASE_BYTES_MAX - 1, false)
  isFull('as many bytes as may be', 1, DATABASE_BYTES_MAX, true)

  it('asks for its size once a second at most', () =>
    storeWith('store-size', DATABASE_BYTES_MAX, (store, size) => {
      expect(store.isFull(T)).toBe(true)
      size.mockReturnValue(4096)
      expect([store.isFull(T + 999), store.isFull(T + 1000)]).toEqual([true, false])
      expect(size).toHaveBeenCalledTimes(2)
    }))
})
