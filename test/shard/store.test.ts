// What a shard stores, by a store of its own over an object's storage: all or nothing, the same after
// a restart, every row counted.

import { runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe, expect, it, type Mock, vi } from 'vitest'
import { patternId } from '../../src/block/pattern.ts'
import { sealBlocks } from '../../src/block/seal.ts'
import { storedSegment } from '../../src/block/stored.ts'
import { BATCH_ID_MS, DATABASE_BYTES_MAX } from '../../src/limits.ts'
import { EVERYTHING } from '../../src/query/filter.ts'
import type { NewBlock } from '../../src/shard/catalog.ts'
import type { Task } from '../../src/shard/ledger.ts'
import { BlockStore, dayOf, type Replacement } from '../../src/shard/store.ts'
import { batchOf, type RecordSpec } from '../batches.ts'
import { appendOf } from './open.ts'

const T = Date.parse('2026-03-10T12:00:00Z')
const DAY_MS = 86_400_000

/** Calls with the storage of an object that has opened none of its own. */
const within = (name: string, check: (storage: DurableObjectStorage) => unknown) =>
  runInDurableObject(env.LOG_SHARD.getByName(`store-${name}`), async (_shard, { storage }) => {
    await check(storage)
  })

describe('a store', () => {
  /** With a store whose database says to have so many bytes. */
  const withSize = (
    name: string,
    bytes: number,
    check: (store: BlockStore, size: Mock<() => number>) => void,
  ) =>
    within(name, (storage) => {
      const size = vi.spyOn(Object.getPrototypeOf(storage.sql), 'databaseSize', 'get')
      size.mockReturnValue(bytes)
      try {
        check(new BlockStore(storage, T), size)
      } finally {
        size.mockRestore()
      }
    })
  const isFull = (name: string, bytes: number, is: boolean) =>
    it(`with ${name} is ${is ? 'full' : 'not full'}`, () =>
      withSize(name, bytes, (store) => expect(store.isFull(T)).toBe(is)))

  isFull('nothing', 4096, false)
  isFull('one byte less than the bound', DATABASE_BYTES_MAX - 1, false)
  isFull('as many bytes as may be', DATABASE_BYTES_MAX, true)

  it('asks for its size once a second at most', () =>
    withSize('size', DATABASE_BYTES_MAX, (store, size) => {
      expect(store.isFull(T)).toBe(true)
      size.mockReturnValue(4096)
      expect([store.isFull(T + 999), store.isFull(T + 1000)]).toEqual([true, false])
      expect(size).toHaveBeenCalledTimes(2)
    }))
})

/** All rows of all tables, large values by their length. */
function tablesOf({ sql }: DurableObjectStorage) {
  const names = sql.exec<{ name: string }>(
    "select name from sqlite_master where type = 'table' and name not like '\\_%' escape '\\'",
  )
  return names.toArray().map(({ name }) => ({
    name,
    rows: sql
      .exec(`select * from ${name}`)
      .toArray()
      .map((row) => Object.entries(row).map(([key, value]) => [key, plain(value)])),
  }))
}

const plain = (value: unknown) =>
  value instanceof ArrayBuffer ? [...new Uint8Array(value)].slice(0, 64) : value

/** All that a store knows without its tables. */
function memoryOf(store: BlockStore) {
  const { wal, catalog, ledger } = store
  const rows = <K extends 'seq' | 'receivedMs' | 'records' | 'bytes' | 'levelMask'>(column: K) => [
    ...wal[column].subarray(0, wal.length),
  ]
  return {
    maxSeq: store.maxSeq,
    wal: [rows('seq'), rows('receivedMs'), rows('records'), rows('bytes'), rows('levelMask')],
    totals: [wal.totalBytes, wal.totalRecords],
    blocks: structuredClone(catalog.blocks),
    days: structuredClone(store.days()),
    tombstones: structuredClone(ledger.tombstones),
    tasks: [...ledger.tasks.values()],
    objects: [...ledger.objects.values()],
    poison: [...ledger.poison.values()],
    jobs: [...ledger.jobs.values()],
    patterns: ['order <_> paid', 'refund <_>'].map((text) => catalog.patternText(patternId(text))),
    ids: [1, 2, 3, 4, 5].map((n) => store.hasBatch(idOf(n), T + 60_000)),
  }
}

const idOf = (n: number) => new Uint8Array(16).fill(n)

async function blockOf(
  specs: RecordSpec[],
  firstSeq: number,
  receivedMs: number,
): Promise<NewBlock> {
  const [sealed] = await sealBlocks(
    [storedSegment(batchOf(specs, receivedMs), firstSeq, receivedMs)],
    0,
    async () => {},
  )
  return { sealed: sealed!, day: dayOf(receivedMs), receivedMs, compactions: 0 }
}

const ORDERS = [{ message: 'order 7 paid' }, { message: 'order 8 paid', level: 4 }]

/**
 * Five records: a block of two in the archive, and two wal rows. A deletion is about the first three,
 * and what replaces them all holds the others.
 */
async function filled(storage: DurableObjectStorage) {
  const store = new BlockStore(storage, T)
  store.appendGroup([appendOf(ORDERS, 1)], T)
  const block = await blockOf(ORDERS, 1, T)
  store.replace({ wal: [1], blocks: [], added: [block], removed: [] }, T)
  store.ledger.noteObject('k1', T, 'write')
  store.setPlace(1, 'k1')
  const notes = { cut_message: 2 }
  store.appendGroup([{ ...appendOf(['refund 3'], 2), notes }], T)
  store.appendGroup([appendOf(['order 9 paid', 'refund 4'], 3)], T)
  store.ledger.saveTask(TASK)
  const everything = { filter: EVERYTHING, since: null, until: null }
  storage.transactionSync(() =>
    store.ledger.addTombstone({
      jobId: 'job_1',
      fromSeq: 1,
      maxSeq: 3,
      match: everything,
      unless: [],
      nowMs: T,
    }),
  )
  store.ledger.notePoison(3, 'can not be read', T)
  const left = [{ message: 'order 9 paid' }, { message: 'refund 4' }]
  const replacement: Replacement = {
    wal: [3, 4],
    blocks: [...store.catalog.blocks],
    added: [await blockOf(left, 4, T)],
    removed: [{ tombstone: 1, records: 3 }],
  }
  return { store, replacement }
}

const TASK: Task = {
  id: 'job_1',
  kind: 'delete',
  state: 'running',
  createdMs: T,
  doneMs: null,
  maxSeq: 3,
  olderThanMs: null,
  records: 0,
  blocksDone: 0,
  blocksTotal: 0,
  error: null,
}

describe('replace', () => {
  it('takes wal rows and blocks out and puts blocks in', () =>
    within('replaced', async (storage) => {
      const { store, replacement } = await filled(storage)
      store.replace(replacement, T + 1)
      expect(store.wal.length).toBe(0)
      expect(store.catalog.blocks).toMatchObject([{ id: 2, firstSeq: 4, lastSeq: 5, key: null }])
      expect(store.catalog.readBytes(2)).toEqual(replacement.added[0]!.sealed.bytes)
      expect(store.ledger.tasks.get('job_1')).toMatchObject({ records: 3 })
      expect([...store.ledger.objects.values()]).toMatchObject([{ key: 'k1', deletesLeft: 2 }])
      expect(store.ledger.poison.size).toBe(0)
      expect(memoryOf(new BlockStore(storage, T + 1))).toEqual(memoryOf(store))
      const kept = tablesOf(storage).flatMap(({ name, rows }) => (rows.length > 0 ? [name] : []))
      expect(kept).not.toContain('wal')
      const ids = storage.sql.exec('select id from block_filter').toArray()
      for (const { id } of ids) expect(Math.floor(Number(id) / 128)).toBe(2)
    }))

  const fails = (name: string, on: string) =>
    it(`changes nothing where ${name} can not be written`, () =>
      within(`failing-${name}`, async (storage) => {
        const { store, replacement } = await filled(storage)
        const before = { tables: tablesOf(storage), memory: memoryOf(store) }
        storage.sql.exec(`create trigger full ${on} begin select raise(abort, 'full'); end`)
        expect(() => store.replace(replacement, T + 1)).toThrow('full')
        storage.sql.exec('drop trigger full')
        expect(tablesOf(storage)).toEqual(before.tables)
        expect(memoryOf(store)).toEqual(before.memory)
        expect(memoryOf(new BlockStore(storage, T + 1))).toEqual(before.memory)
        store.replace(replacement, T + 1)
        expect(store.catalog.blocks).toMatchObject([{ id: 2, firstSeq: 4 }])
        expect(memoryOf(new BlockStore(storage, T + 1))).toEqual(memoryOf(store))
      }))

  fails('the wal', 'before delete on wal when old.seq = 4')
  fails('poison', 'before delete on poison')
  fails('a batch id', 'before insert on batch')
  fails('a count of the day', 'before insert on received')
  fails('a note of the day', 'before insert on daily')
  fails('an object', "before insert on pending_object when new.key = 'k1'")
  fails('a block', 'before insert on block')
  fails('its bytes', 'before insert on block_data')
  fails('its detail', 'before insert on block_detail')
  fails('a filter', 'before insert on block_filter')
  fails('a pattern', "before insert on pattern when new.text like 'refund%'")
  fails('a task', 'before insert on task')
  fails('what comes next', "before insert on meta when new.key = 'next'")

  it('changes nothing where a later block is no block', () =>
    within('no-block', async (storage) => {
      const { store, replacement } = await filled(storage)
      const before = { tables: tablesOf(storage), memory: memoryOf(store) }
      const [good] = replacement.added
      const bad = { ...good!, sealed: { ...good!.sealed, bytes: null as unknown as Uint8Array } }
      const added = [good!, bad]
      expect(() => store.replace({ ...replacement, added }, T + 1)).toThrow()
      expect({ tables: tablesOf(storage), memory: memoryOf(store) }).toEqual(before)
    }))

  it('never gives a number again, though nothing is left', () =>
    within('numbers', async (storage) => {
      const { store, replacement } = await filled(storage)
      store.replace(replacement, T)
      store.replace({ wal: [], blocks: [...store.catalog.blocks], added: [], removed: [] }, T)
      expect([store.wal.length, store.catalog.blocks.length]).toEqual([0, 0])
      const again = new BlockStore(storage, T)
      expect(again.maxSeq).toBe(5)
      again.appendGroup([appendOf(['refund 5'])], T)
      const added = [await blockOf([{ message: 'refund 5' }], 6, T)]
      again.replace({ wal: [6], blocks: [], added, removed: [] }, T)
      expect(again.catalog.blocks).toMatchObject([{ id: 3, firstSeq: 6 }])
    }))
})

describe('a row that is sealed', () => {
  it('leaves the counts of its days as they were', () =>
    within('days', (storage) => {
      const store = new BlockStore(storage, T)
      const notes = { cut_message: 2, refused_record_body: 1 }
      store.appendGroup([{ ...appendOf(ORDERS), notes }], T - DAY_MS)
      store.appendGroup([{ ...appendOf(ORDERS), notes }], T)
      store.addNotes({ cut_message: 5 }, T)
      store.appendGroup([appendOf(['a'])], T)
      const before = structuredClone(store.days())
      expect(before).toMatchObject([
        { day: '2026-03-09', records: 2, notes },
        { day: '2026-03-10', records: 3, notes: { ...notes, cut_message: 7 } },
      ])
      for (const wal of [[1, 3], [5]]) {
        store.replace({ wal, blocks: [], added: [], removed: [] }, T)
        expect(store.days()).toEqual(before)
        expect(new BlockStore(storage, T).days()).toEqual(before)
      }
    }))

  it('leaves its batch ids for ten minutes', () =>
    within('ids', (storage) => {
      const store = new BlockStore(storage, T)
      const knows = (nowMs: number) =>
        [1, 2, 3].map((n) => new BlockStore(storage, nowMs).hasBatch(idOf(n), nowMs))
      store.appendGroup([appendOf(['a'], 1), appendOf(['b'], 2)], T)
      store.appendGroup([appendOf(['c'], 3)], T + 60_000)
      store.replace({ wal: [1, 3], blocks: [], added: [], removed: [] }, T + 60_000)
      expect([1, 2, 3].map((n) => store.hasBatch(idOf(n), T + 60_000))).toEqual([true, true, true])
      expect(knows(T + 60_000)).toEqual([true, true, true])
      expect(knows(T + BATCH_ID_MS - 1)).toEqual([true, true, true])
      expect(knows(T + 60_000 + BATCH_ID_MS)).toEqual([false, false, false])
    }))

  it('leaves one row of them, which goes when a later row is sealed', () =>
    within('ids-rows', (storage) => {
      const store = new BlockStore(storage, T)
      const rows = () => storage.sql.exec('select length(ids) as bytes from batch').toArray()
      for (const [n, nowMs] of [T, T, T + BATCH_ID_MS].entries()) {
        store.appendGroup([appendOf(['a'], n + 1)], nowMs)
      }
      store.replace({ wal: [1, 2], blocks: [], added: [], removed: [] }, T)
      expect(rows()).toEqual([{ bytes: 32 }])
      store.replace({ wal: [3], blocks: [], added: [], removed: [] }, T + BATCH_ID_MS)
      expect(rows()).toEqual([{ bytes: 16 }])
    }))

  it('leaves none of a request that had none, and none that are too old', () =>
    within('ids-none', (storage) => {
      const store = new BlockStore(storage, T)
      store.appendGroup([appendOf(['a'])], T)
      store.appendGroup([appendOf(['b'], 1)], T - BATCH_ID_MS)
      store.replace({ wal: [1, 2], blocks: [], added: [], removed: [] }, T)
      expect(storage.sql.exec('select * from batch').toArray()).toEqual([])
    }))
})

describe('rows written', () => {
  it('are counted, all of them', () =>
    within('counted', async (storage) => {
      const proto = Object.getPrototypeOf(storage.sql) as SqlStorage
      const real = proto.exec
      const cursors: SqlStorageCursor<Record<string, SqlStorageValue>>[] = []
      const exec = vi.spyOn(proto, 'exec').mockImplementation(function (
        this: SqlStorage,
        ...args: Parameters<SqlStorage['exec']>
      ) {
        const cursor = Reflect.apply(real, this, args) as (typeof cursors)[number]
        cursors.push(cursor)
        return cursor
      } as SqlStorage['exec'])
      const made = new BlockStore(storage, T)
      let migrated = 0
      for (const cursor of cursors.splice(0)) migrated += cursor.rowsWritten
      const { store, replacement } = await filled(storage)
      store.replace(replacement, T + 1)
      store.name = 'a-0'
      store.expired = { day: '2026-03-10', upTo: {} }
      store.addNotes({ a: 1, b: 2 }, T)
      store.ledger.noteJob('seal', null, T)
      store.ledger.noteDeleted(store.ledger.objects.get('k1')!, true, T)
      store.ledger.endTombstone(1)
      store.replace({ wal: [], blocks: [...store.catalog.blocks], added: [], removed: [] }, T)
      await store.sweepPatterns(async () => {})
      exec.mockRestore()
      const written = cursors.reduce((sum, cursor) => sum + cursor.rowsWritten, 0)
      expect(migrated).toBeGreaterThan(0)
      expect(made.usage.rows_written).toBe(0)
      expect(store.usage.rows_written).toBe(written)
    }))
})
