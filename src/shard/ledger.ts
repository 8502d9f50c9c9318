// What the shard owes: deletions in force and the jobs that people asked for, R2 objects under way,
// and how its own jobs fared. Small tables, held in memory; all that changes them is here.

import { type Filter, type StoredCondition, storedFilter } from '../query/filter.ts'
import type { RecordFilter } from '../query/parameters.ts'
import type { Tombstone } from '../query/tombstone.ts'
import type { JobView } from './storage-view.ts'

/** A job someone asked for, by the id the Worker made. */
export interface Task extends JobView {
  id: string
  /** It is about records up to this sequence number, those that were there when it was asked for. */
  maxSeq: number
  /** A flush archives what was received before; null for a deletion. */
  olderThanMs: number | null
}

export interface StoredTombstone extends Tombstone {
  /** The task it belongs to; null: a retention rule's. */
  jobId: string | null
  /** Records below have been looked at already, on an earlier day of the same rule. */
  fromSeq: number
}

export interface PendingObject {
  key: string
  nextMs: number
  /** How often it is still to be deleted; 0: it is being written. */
  deletesLeft: number
  failures: number
}

/** How a job of the shard's own fared at last. */
export interface JobRecord {
  lastMs: number
  failures: number
  retryMs: number
  error: string | null
}

/** A wal row that can not be sealed. */
export interface Poison {
  seq: number
  atMs: number
  error: string
}

/** `filters` of a tombstone's row. */
type StoredFilters = { match: StoredFilter; unless: StoredFilter[]; fromSeq: number }
type StoredFilter = Omit<RecordFilter, 'filter'> & { filter: Filter | StoredCondition[] }

const currentFilter = (stored: StoredFilter): RecordFilter => ({
  ...stored,
  filter: storedFilter(stored.filter),
})

/** How long a finished task can be asked for. */
const TASK_KEPT_MS = 30 * 86_400_000
/** An object is deleted twice, an hour apart: a put that was killed may still land. */
export const OBJECT_DELETES = 2
const DELETE_AGAIN_MS = 3_600_000
export const ERROR_CHARS_MAX = 500

export class Ledger {
  /** Rows written since the object started. */
  rowsWritten = 0
  readonly tombstones: StoredTombstone[] = []
  readonly tasks = new Map<string, Task>()
  readonly objects = new Map<string, PendingObject>()
  readonly jobs = new Map<string, JobRecord>()
  readonly poison = new Map<number, Poison>()
  /** The highest id a tombstone ever had here: whoever saw a lower one began before it. */
  lastTombstone = 0
  readonly #sql: SqlStorage

  constructor(sql: SqlStorage) {
    this.#sql = sql
    this.reload()
  }

  /** Reads all again, as after a transaction that did not commit. */
  reload(): void {
    this.tombstones.length = 0
    this.tasks.clear()
    this.objects.clear()
    this.jobs.clear()
    this.poison.clear()
    for (const row of this.#sql.exec<TombstoneRow>('select * from tombstone order by id')) {
      const { match, unless, fromSeq } = JSON.parse(row.filters) as StoredFilters
      this.tombstones.push({
        id: row.id,
        jobId: row.job_id,
        fromSeq,
        maxSeq: row.max_seq,
        match: currentFilter(match),
        unless: unless.map(currentFilter),
      })
    }
    for (const row of this.#sql.exec<TaskRow>('select * from task')) {
      this.tasks.set(row.id, taskOf(row))
    }
    for (const row of this.#sql.exec<ObjectRow>('select * from pending_object')) {
      const { key, next_ms: nextMs, deletes_left: deletesLeft, failures } = row
      this.objects.set(key, { key, nextMs, deletesLeft, failures })
    }
    for (const row of this.#sql.exec<JobRow>('select * from job')) {
      const { last_ms: lastMs, failures, retry_ms: retryMs, error } = row
      this.jobs.set(row.name, { lastMs, failures, retryMs, error })
    }
    for (const row of this.#sql.exec<PoisonRow>('select * from poison')) {
      this.poison.set(row.seq, { seq: row.seq, atMs: row.at_ms, error: row.error })
    }
    const last = this.#sql
      .exec<{ value: number }>("select value from meta where key = 'tombstone'")
      .toArray()[0]
    this.lastTombstone = Math.max(this.lastTombstone, Number(last?.value ?? 0))
  }

  /** The deletions in force, as far as those who leave hidden records out need them. */
  inForce(): Tombstone[] {
    return this.tombstones.map(({ id, maxSeq, match, unless }) => ({ id, maxSeq, match, unless }))
  }

  // Deletions. To be called in a transaction.

  addTombstone(tombstone: {
    jobId: string | null
    fromSeq: number
    maxSeq: number
    match: RecordFilter
    unless: RecordFilter[]
    nowMs: number
  }): void {
    const { jobId, fromSeq, maxSeq, match, unless, nowMs } = tombstone
    const id = ++this.lastTombstone
    this.#write("insert or replace into meta (key, value) values ('tombstone', ?)", id)
    this.#write(
      'insert into tombstone (id, job_id, max_seq, created_ms, filters) values (?, ?, ?, ?, ?)',
      id,
      jobId,
      maxSeq,
      nowMs,
      JSON.stringify({ match, unless, fromSeq }),
    )
    this.tombstones.push({ id, jobId, fromSeq, maxSeq, match, unless })
  }

  /** Its records are gone, and with them the text of its filter. */
  endTombstone(id: number): void {
    this.#write('delete from tombstone where id = ?', id)
    const at = this.tombstones.findIndex((tombstone) => tombstone.id === id)
    if (at >= 0) this.tombstones.splice(at, 1)
  }

  /** Adds what was left out to the tasks of the tombstones. */
  countRemoved(removed: { tombstone: number; records: number }[]): void {
    for (const { tombstone, records } of removed) {
      const { jobId } = this.tombstones.find(({ id }) => id === tombstone) ?? { jobId: null }
      const task = jobId === null ? undefined : this.tasks.get(jobId)
      if (task) this.saveTask({ ...task, records: task.records + records })
    }
  }

  // Tasks.

  saveTask(task: Task): void {
    this.#write(
      `insert or replace into task (id, kind, state, created_ms, done_ms, max_seq, older_than_ms,
         records, blocks_done, blocks_total, error) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      task.id,
      task.kind,
      task.state,
      task.createdMs,
      task.doneMs,
      task.maxSeq,
      task.olderThanMs,
      task.records,
      task.blocksDone,
      task.blocksTotal,
      task.error,
    )
    this.tasks.set(task.id, task)
  }

  dropOldTasks(nowMs: number): void {
    for (const task of [...this.tasks.values()]) {
      if (task.doneMs === null || task.doneMs > nowMs - TASK_KEPT_MS) continue
      this.#write('delete from task where id = ?', task.id)
      this.tasks.delete(task.id)
    }
  }

  // R2 objects.

  /** An object about to be written, so that a put that is never finished is found; or one to remove. */
  noteObject(key: string, nowMs: number, what: 'write' | 'remove'): void {
    this.#saveObject({
      key,
      nextMs: nowMs,
      deletesLeft: what === 'write' ? 0 : OBJECT_DELETES,
      failures: 0,
    })
  }

  /** The object was deleted, or could not be; it is again later, until it was twice. */
  noteDeleted(object: PendingObject, isDeleted: boolean, nowMs: number): void {
    if (!isDeleted) {
      const failures = object.failures + 1
      this.#saveObject({ ...object, failures, nextMs: nowMs + backOffMs(failures) })
    } else if (object.deletesLeft <= 1) this.dropObject(object.key)
    else {
      const deletesLeft = object.deletesLeft - 1
      this.#saveObject({ ...object, deletesLeft, failures: 0, nextMs: nowMs + DELETE_AGAIN_MS })
    }
  }

  dropObject(key: string): void {
    this.#write('delete from pending_object where key = ?', key)
    this.objects.delete(key)
  }

  #saveObject(object: PendingObject): void {
    this.#write(
      'insert or replace into pending_object (key, next_ms, deletes_left, failures) values (?, ?, ?, ?)',
      object.key,
      object.nextMs,
      object.deletesLeft,
      object.failures,
    )
    this.objects.set(object.key, object)
  }

  // The shard's own jobs.

  noteJob(name: string, error: string | null, nowMs: number): void {
    const failures = error === null ? 0 : (this.jobs.get(name)?.failures ?? 0) + 1
    const retryMs = error === null ? 0 : nowMs + backOffMs(failures)
    const record = { lastMs: nowMs, failures, retryMs, error: shortened(error) }
    this.#write(
      'insert or replace into job (name, last_ms, failures, retry_ms, error) values (?, ?, ?, ?, ?)',
      name,
      record.lastMs,
      record.failures,
      record.retryMs,
      record.error,
    )
    this.jobs.set(name, record)
  }

  notePoison(seq: number, error: string, nowMs: number): void {
    const text = shortened(error) ?? ''
    this.#write(
      'insert or replace into poison (seq, at_ms, error) values (?, ?, ?)',
      seq,
      nowMs,
      text,
    )
    this.poison.set(seq, { seq, atMs: nowMs, error: text })
  }

  /** It was sealed after all, or is to be tried again. */
  dropPoison(seq: number): void {
    if (!this.poison.delete(seq)) return
    this.#write('delete from poison where seq = ?', seq)
  }

  #write(text: string, ...bindings: (string | number | null)[]): void {
    this.rowsWritten += this.#sql.exec(text, ...bindings).rowsWritten
  }
}

const BACK_OFF_MS_MIN = 2000
const BACK_OFF_MS_MAX = 3_600_000

/** How long to wait after so many failures in a row. */
export const backOffMs = (failures: number) =>
  Math.min(BACK_OFF_MS_MAX, BACK_OFF_MS_MIN * 2 ** Math.min(failures - 1, 20))

const shortened = (error: string | null) => error?.slice(0, ERROR_CHARS_MAX) ?? null

type TombstoneRow = { id: number; job_id: string | null; max_seq: number; filters: string }
type TaskRow = {
  id: string
  kind: Task['kind']
  state: Task['state']
  created_ms: number
  done_ms: number | null
  max_seq: number
  older_than_ms: number | null
  records: number
  blocks_done: number
  blocks_total: number
  error: string | null
}
type ObjectRow = { key: string; next_ms: number; deletes_left: number; failures: number }
type JobRow = {
  name: string
  last_ms: number
  failures: number
  retry_ms: number
  error: string | null
}
type PoisonRow = { seq: number; at_ms: number; error: string }

const taskOf = (row: TaskRow): Task => ({
  id: row.id,
  kind: row.kind,
  state: row.state,
  createdMs: row.created_ms,
  doneMs: row.done_ms,
  maxSeq: row.max_seq,
  olderThanMs: row.older_than_ms,
  records: row.records,
  blocksDone: row.blocks_done,
  blocksTotal: row.blocks_total,
  error: row.error,
})
