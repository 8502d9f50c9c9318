// What a shard owes: it is the same after a restart, and it ends.

import { runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import { storedSegment } from '../../src/block/stored.ts'
import { Hide } from '../../src/match/hide.ts'
import { allOf, columnIs, EVERYTHING, levelIn, textIs } from '../../src/query/filter.ts'
import { Ledger, type Task } from '../../src/shard/ledger.ts'
import { migrate } from '../../src/shard/schema.ts'
import { batchOf } from '../batches.ts'

const T = 1_720_000_000_000
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const ALL_RECORDS = { filter: EVERYTHING, since: null, until: null }

const within = (name: string, check: (ledger: Ledger, again: () => Ledger) => void) =>
  runInDurableObject(env.LOG_SHARD.getByName(`ledger-${name}`), (_shard, { storage }) => {
    migrate(storage)
    check(new Ledger(storage.sql), () => new Ledger(storage.sql))
  })

const contentOf = (ledger: Ledger) => ({
  tombstones: ledger.tombstones,
  tasks: ledger.tasks,
  objects: ledger.objects,
  jobs: ledger.jobs,
  poison: ledger.poison,
  lastTombstone: ledger.lastTombstone,
})

const taskOf = (id: string, change: Partial<Task> = {}): Task => ({
  id,
  kind: 'delete',
  state: 'running',
  createdMs: T,
  doneMs: null,
  maxSeq: 9,
  olderThanMs: null,
  records: 0,
  blocksDone: 0,
  blocksTotal: 0,
  error: null,
  ...change,
})

const tombstone = (jobId: string | null) => ({
  jobId,
  fromSeq: 1,
  maxSeq: 9,
  match: ALL_RECORDS,
  unless: [],
  nowMs: T,
})

describe('the ledger', () => {
  it('is the same after a restart', () =>
    within('restart', (ledger, again) => {
      ledger.saveTask(taskOf('job_1', { kind: 'flush', olderThanMs: T, error: 'late' }))
      ledger.addTombstone(tombstone('job_1'))
      ledger.addTombstone({ ...tombstone(null), fromSeq: 5, unless: [ALL_RECORDS] })
      ledger.noteObject('a', T, 'write')
      ledger.noteObject('b', T, 'remove')
      ledger.noteJob('seal', 'x'.repeat(1000), T)
      ledger.noteJob('purge', null, T)
      ledger.notePoison(4, 'bad', T)
      expect(contentOf(again())).toEqual(contentOf(ledger))
      expect(ledger.jobs.get('seal')!.error!.length).toBe(500)
      ledger.endTombstone(1)
      ledger.dropObject('a')
      ledger.dropPoison(4)
      ledger.dropPoison(5)
      expect(contentOf(again())).toEqual(contentOf(ledger))
    }))

  it('reads deletions that were stored as a list of conditions, which then hide', () =>
    runInDurableObject(env.LOG_SHARD.getByName('ledger-lists'), (_shard, { storage }) => {
      migrate(storage)
      const stored = {
        match: {
          filter: [
            { kind: 'column', column: 'service', value: 'api' },
            { kind: 'words', phrases: [['disk', 'full']] },
          ],
          since: null,
          until: { ms: T, ns: 0 },
        },
        unless: [{ filter: [{ kind: 'level', mask: 1 << 5 }], since: null, until: null }],
        fromSeq: 3,
      }
      storage.sql.exec(
        "insert into tombstone (id, job_id, max_seq, created_ms, filters) values (7, 'job_1', 9, 0, ?)",
        JSON.stringify(stored),
      )
      const [tombstone] = new Ledger(storage.sql).tombstones
      const disk = textIs('message', { is: 'phrase', text: 'disk full' })
      expect(tombstone).toEqual({
        id: 7,
        jobId: 'job_1',
        fromSeq: 3,
        maxSeq: 9,
        match: {
          filter: allOf([columnIs('service', 'api'), disk]),
          since: null,
          until: { ms: T, ns: 0 },
        },
        unless: [{ filter: levelIn(1 << 5), since: null, until: null }],
      })
      const hit = { ms: T - 1, level: 4, message: 'Disk full!', text: { service: 'api' } }
      const spared = [
        { ...hit, level: 5 },
        { ...hit, ms: T },
        { ...hit, text: { service: 'web' } },
        { ...hit, message: 'full disk' },
      ]
      const batch = storedSegment(batchOf([hit, ...spared]), 1, 0)
      expect([...new Hide([tombstone!]).hiddenBy(batch)!]).toEqual([7, 0, 0, 0, 0])
    }))

  it('gives no number of a tombstone again', () =>
    within('numbers', (ledger, again) => {
      ledger.addTombstone(tombstone(null))
      ledger.addTombstone(tombstone(null))
      ledger.endTombstone(1)
      ledger.endTombstone(2)
      expect(again().lastTombstone).toBe(2)
      again().addTombstone(tombstone(null))
      expect(again().tombstones.map(({ id }) => id)).toEqual([3])
    }))

  it('counts what was left out for the task it belongs to, and for no other', () =>
    within('counts', (ledger, again) => {
      ledger.saveTask(taskOf('job_1'))
      ledger.addTombstone(tombstone('job_1'))
      ledger.addTombstone(tombstone(null))
      ledger.addTombstone(tombstone('job_gone'))
      const removed = [1, 2, 3, 4].map((tombstone) => ({ tombstone, records: 7 }))
      ledger.countRemoved(removed)
      ledger.countRemoved(removed.slice(0, 1))
      expect(again().tasks.get('job_1')).toMatchObject({ records: 14 })
      expect(again().tasks.size).toBe(1)
    }))

  it('forgets a task thirty days after it was done', () =>
    within('tasks', (ledger, again) => {
      ledger.saveTask(taskOf('running'))
      ledger.saveTask(taskOf('old', { state: 'done', doneMs: T }))
      ledger.saveTask(taskOf('young', { state: 'failed', doneMs: T + 1 }))
      ledger.dropOldTasks(T + 30 * DAY_MS)
      expect([...again().tasks.keys()].sort()).toEqual(['running', 'young'])
    }))

  it('has an object deleted twice, an hour apart, and waits when it can not be', () =>
    within('objects', (ledger) => {
      const note = (isDeleted: boolean, nowMs: number) => {
        ledger.noteDeleted(ledger.objects.get('a')!, isDeleted, nowMs)
        const { nextMs, deletesLeft } = ledger.objects.get('a') ?? { nextMs: null, deletesLeft: 0 }
        return [nextMs, deletesLeft]
      }
      ledger.noteObject('a', T, 'remove')
      expect(note(false, T)).toEqual([T + 2000, 2])
      expect(note(false, T + 2000)).toEqual([T + 6000, 2])
      expect(note(true, T + 6000)).toEqual([T + 6000 + HOUR_MS, 1])
      expect(note(false, T + 9 * HOUR_MS)).toEqual([T + 9 * HOUR_MS + 2000, 1])
      expect(note(true, T + 10 * HOUR_MS)).toEqual([null, 0])
    }))

  it('has a job wait longer with each failure in a row, and starts over', () =>
    within('jobs', (ledger, again) => {
      const retryMs = (error: string | null) => {
        ledger.noteJob('seal', error, T)
        return again().jobs.get('seal')!.retryMs
      }
      expect(['a', 'b', null, 'c'].map(retryMs)).toEqual([T + 2000, T + 4000, 0, T + 2000])
    }))
})
