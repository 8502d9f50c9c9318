// Patterns of a shard: one row each, bounded, and gone with the last block that holds them.

import { runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import { patternId } from '../../src/block/pattern.ts'
import { sealBlocks } from '../../src/block/seal.ts'
import { storedSegment } from '../../src/block/stored.ts'
import { Catalog } from '../../src/shard/catalog.ts'
import { migrate } from '../../src/shard/schema.ts'
import { batchOf } from '../batches.ts'

const NOW = Date.parse('2026-03-10T12:00:00Z')
const pause = async () => {}

/** A catalog of its own, with room for so many patterns. */
function within(name: string, patternsMax: number, check: (shelf: Shelf) => Promise<void>) {
  return runInDurableObject(env.LOG_SHARD.getByName(`catalog-${name}`), (_shard, { storage }) => {
    migrate(storage)
    return check(new Shelf(storage, patternsMax))
  })
}

class Shelf {
  readonly catalog: Catalog
  readonly #storage: DurableObjectStorage
  #id = 0

  constructor(storage: DurableObjectStorage, patternsMax: number) {
    this.#storage = storage
    this.catalog = new Catalog(storage.sql, patternsMax)
  }

  /** Stores a block with one record a message; the rows written for patterns. */
  async put(day: string, ...messages: string[]): Promise<number> {
    const id = ++this.#id
    const batch = batchOf(messages.map((message) => ({ message })))
    const [sealed] = await sealBlocks([storedSegment(batch, 100 * id, NOW)], 0, pause)
    const block = { sealed: sealed!, day, receivedMs: NOW, compactions: 0 }
    const { row, rowsWritten } = this.#storage.transactionSync(() =>
      this.catalog.writeBlock(id, block, NOW),
    )
    this.catalog.apply({ added: [row] })
    return rowsWritten - 3 - sealed!.ids.length - sealed!.words.length
  }

  remove(id: number): void {
    this.catalog.deleteBlock(id)
    this.catalog.apply({ removed: [id] })
  }

  /** Texts with the days they were seen first and last. */
  get patterns(): string[] {
    return this.#storage.sql
      .exec('select text, first_day, last_day from pattern order by text')
      .toArray()
      .map(({ text, first_day, last_day }) => `${text} ${first_day} ${last_day}`)
  }
}

describe('a pattern', () => {
  it('costs a row when it is new, one on a later day, and else none', () =>
    within('rows', 100, async (shelf) => {
      expect(await shelf.put('2026-03-10', 'order 1 paid', 'order 2 paid', 'refund')).toBe(2)
      expect(await shelf.put('2026-03-10', 'order 3 paid')).toBe(0)
      expect(await shelf.put('2026-03-11', 'order 4 paid')).toBe(1)
      expect(await shelf.put('2026-03-11', 'order 5 paid')).toBe(0)
      // A block of an earlier day that is sealed or merged late.
      expect(await shelf.put('2026-03-10', 'order 6 paid', 'refund')).toBe(0)
      expect(shelf.patterns).toEqual([
        'order <_> paid 2026-03-10 2026-03-11',
        'refund 2026-03-10 2026-03-10',
      ])
    }))

  it('is known after a restart, and costs no row again', () =>
    within('restart', 100, async (shelf) => {
      await shelf.put('2026-03-10', 'order 1 paid')
      shelf.catalog.forgetPatterns()
      expect(await shelf.put('2026-03-10', 'order 2 paid')).toBe(0)
      expect(shelf.catalog.patternText(patternId('order <_> paid'))).toBe('order <_> paid')
      expect(shelf.catalog.patternText(patternId('refund'))).toBeNull()
    }))

  it('that was long unseen goes when there are too many', () =>
    within('bounded', 10, async (shelf) => {
      const words = [...'abcdefghij'].map((letter) => `quiet ${letter.repeat(3)}`)
      await shelf.put('2026-03-08', ...words.slice(0, 5))
      await shelf.put('2026-03-09', ...words.slice(5))
      await shelf.put('2026-03-10', words[0]!)
      expect(shelf.patterns.length).toBe(10)
      // Down to nine tenths, so two of eleven; both rows are counted.
      expect(await shelf.put('2026-03-10', 'news')).toBe(1 + 2)
      const left = shelf.patterns
      expect(left.length).toBe(9)
      expect(left.filter((text) => text.endsWith('2026-03-08')).length).toBe(2)
      expect(left).toContain('news 2026-03-10 2026-03-10')
      const gone = words.filter((word) => !left.some((text) => text.startsWith(word)))
      for (const text of gone) expect(shelf.catalog.patternText(patternId(text))).toBeNull()
      // What comes back is new.
      expect(await shelf.put('2026-03-11', gone[0]!)).toBe(1)
    }))

  it('goes with the last block that holds it', () =>
    within('swept', 100, async (shelf) => {
      await shelf.put('2026-03-10', 'order 1 paid', 'refund')
      await shelf.put('2026-03-10', 'order 2 paid', 'login')
      expect(await shelf.catalog.sweepPatterns(pause)).toBe(0)
      shelf.remove(1)
      expect(await shelf.catalog.sweepPatterns(pause)).toBe(1)
      expect(shelf.patterns.map((text) => text.split(' 2026')[0])).toEqual([
        'login',
        'order <_> paid',
      ])
      expect(shelf.catalog.patternText(patternId('refund'))).toBeNull()
      shelf.remove(2)
      await shelf.catalog.sweepPatterns(pause)
      expect(shelf.patterns).toEqual([])
    }))

  it('that a block brings during a sweep stays', () =>
    within('swept-meanwhile', 100, async (shelf) => {
      await shelf.put('2026-03-10', 'order 1 paid')
      await shelf.put('2026-03-10', 'login')
      shelf.remove(2)
      let pauses = 0
      await shelf.catalog.sweepPatterns(async () => {
        if (pauses++ === 0) await shelf.put('2026-03-10', 'login', 'news')
      })
      expect(shelf.patterns.map((text) => text.split(' ')[0])).toEqual(['login', 'news', 'order'])
    }))
})
