// The shard's background work: one alarm, seven jobs. Each step of a job is one unit of work - a block
// sealed, merged, moved, rewritten - that ends in one transaction; killed at any point it is done
// again, and nothing was lost or doubled. A job that fails is recorded, waits and comes again, and the
// others go on meanwhile.
//
// Steps run one after the other. While one waits for the Sealer or for R2, appends and queries go on,
// and a deletion may come in force: what was built before it is stored all the same, because the walk
// of that deletion can only begin in a later step, and meets it then (deletions.ts).

import { DELETE_KEYS_MAX, deleteObjects, writeObject } from '../archive/objects.ts'
import { blockIdOf, objectKey } from '../block/object-key.ts'
import type { SealedBlock } from '../block/sealed.ts'
import { bug, err, type Result } from '../result.ts'
import type { KeyCopy } from '../tenant/registry.ts'
import type { Settings } from '../tenant/settings.ts'
import type { BlockRow, NewBlock } from './catalog.ts'
import { Deletions } from './deletions.ts'
import { firstDue, type JobName, type JobTimes, nextAlarmMs } from './jobs.ts'
import { ERROR_CHARS_MAX, type PendingObject, type Poison, type Task } from './ledger.ts'
import type { BuildRequest, BuildSource, Built } from './sealer.ts'
import type { UpkeepView } from './storage-view.ts'
import type { BlockStore } from './store.ts'
import {
  archiveDueMs,
  chooseArchive,
  chooseCompaction,
  chooseSeal,
  DAY_MS,
  expireDueMs,
  type HotWindow,
  sealDueMs,
} from './upkeep.ts'

/** What the shard lends its keeper. */
export interface Home {
  tenantId: string
  shard: number
  store: BlockStore
  archive: R2Bucket | null
  build(request: BuildRequest): Promise<Result<Built>>
  /** What the registry says of the tenant; null: it is gone. */
  copy(): Promise<KeyCopy | null>
  /** Whether the shard was destroyed: nothing may be touched any more. */
  isGone(): boolean
}

/** In this order: what bounds the memory first, what people wait for next. */
const JOBS: JobName[] = ['seal', 'purge', 'compact', 'archive', 'flush', 'expire', 'sweep']
/** One alarm works this long, and is then set again: the platform ends it after 15 minutes. */
const ALARM_MS = 5 * 60_000
/** Times in a row that the Sealer may be unreachable before what it was given is suspected. */
const SEALER_FAILURES = 3
/** A row that could not be sealed is tried again this much later: by then a newer version may run. */
const POISON_RETRY_MS = DAY_MS

export class Keeper {
  readonly #home: Home
  readonly #deletions: Deletions
  /** Blocks that could not be merged since this object started: one that is corrupt must not stop the others. */
  readonly #unmergeable = new Set<number>()
  /** As last heard, for the times of jobs; the work itself asks anew. */
  #settings: Settings | null = null

  constructor(home: Home) {
    this.#home = home
    this.#deletions = new Deletions(home, {
      rebuild: (source, bytes) => this.#rebuild(source, bytes),
      removeObjects: (objects) => this.#removeObjects(objects),
      isAwaited: (object) => this.#isAwaited(object),
    })
  }

  /** The app's settings as they are by now. */
  heed(settings: Settings): void {
    this.#settings = settings
  }

  /**
   * Works off what is due. Never throws for a job: a failure is in the ledger, and comes again. Throws
   * when the registry is not heard, or does not know the tenant: it then owes this shard its end.
   */
  async run(): Promise<void> {
    const startedMs = Date.now()
    const copy = await this.#home.copy()
    if (this.#home.isGone()) return
    if (copy === null) throw new Error('the registry does not know the app')
    this.heed(copy.settings)
    const done = new Set<JobName>()
    while (Date.now() - startedMs < ALARM_MS) {
      if (this.#home.isGone()) return
      const name = firstDue(this.#times(), Date.now())
      if (name === null) break
      try {
        await this.#step(name, copy)
        done.add(name)
      } catch (e) {
        if (this.#home.isGone()) return
        console.error(`job ${name} failed`, e)
        this.#home.store.ledger.noteJob(
          name,
          e instanceof Error ? e.message : String(e),
          Date.now(),
        )
        done.delete(name)
      }
    }
    if (this.#home.isGone()) return
    for (const name of done) this.#home.store.ledger.noteJob(name, null, Date.now())
  }

  /** When the shard has to wake, or null. */
  nextMs(): number | null {
    return nextAlarmMs(this.#times())
  }

  /** When the wal is to be sealed, or null. */
  sealMs(): number | null {
    const { wal, ledger } = this.#home.store
    const dueMs = sealDueMs(wal, ledger.poison, this.#forcedSeq())
    return dueMs === null ? null : Math.max(dueMs, ledger.jobs.get('seal')?.retryMs ?? 0)
  }

  /** How far a purge that is under way has come, in blocks looked at. */
  get purged() {
    return this.#deletions.progress
  }

  views(): UpkeepView[] {
    const { jobs } = this.#home.store.ledger
    return this.#times().map(({ name, dueMs, retryMs }) => ({
      name,
      lastRunMs: jobs.get(name)?.lastMs ?? null,
      nextRunMs: dueMs === null ? null : Math.max(dueMs, retryMs) || Date.now(),
      error: jobs.get(name)?.error ?? null,
    }))
  }

  #times(): JobTimes[] {
    const { ledger } = this.#home.store
    return JOBS.map((name) => ({
      name,
      dueMs: this.#dueMs(name),
      retryMs: ledger.jobs.get(name)?.retryMs ?? 0,
    }))
  }

  #dueMs(name: JobName): number | null {
    const { store } = this.#home
    const { blocks } = store.catalog
    switch (name) {
      case 'seal':
        return sealDueMs(store.wal, store.ledger.poison, this.#forcedSeq())
      case 'purge':
        return store.ledger.tombstones.length > 0 ? 0 : null
      case 'compact':
        return this.#chooseCompaction() ? 0 : null
      case 'archive':
        return this.#home.archive === null ? null : archiveDueMs(blocks, this.#window())
      case 'flush':
        return this.#flushes().some((task) => this.#isFlushed(task)) ? 0 : null
      case 'expire': {
        const days = (this.#settings?.retention ?? [{ days: 30 }]).map((rule) => rule.days)
        return expireDueMs(blocks, store.wal, Math.min(...days), store.expired.day)
      }
      case 'sweep':
        return this.#sweepMs()
    }
  }

  async #step(name: JobName, copy: KeyCopy): Promise<void> {
    switch (name) {
      case 'seal':
        return this.#seal()
      case 'purge':
        return this.#deletions.step()
      case 'compact':
        return this.#compact()
      case 'archive':
        return this.#archive(copy)
      case 'flush':
        return this.#endFlushes()
      case 'expire':
        return this.#deletions.expire(copy.settings)
      case 'sweep':
        return this.#sweep()
    }
  }

  /**
   * Has the Sealer build blocks without what tombstones hide. It may be unreachable, and the job comes
   * again; but one that keeps dying of these sources, of memory say, and answers without them, has
   * failed at them.
   */
  async #build(job: JobName, sources: BuildSource[]): Promise<Result<Built>> {
    const { store, shard, build, isGone } = this.#home
    const request = { shard, sources, tombstones: store.ledger.inForce() }
    try {
      return await build(request)
    } catch (e) {
      const failures = store.ledger.jobs.get(job)?.failures ?? 0
      if (isGone() || failures < SEALER_FAILURES) throw e
      await build({ ...request, sources: [] })
      return err('internal', `the Sealer dies of it: ${e instanceof Error ? e.message : e}`)
    }
  }

  // Seal.

  async #seal(): Promise<void> {
    const { store } = this.#home
    const { wal, ledger } = store
    const rows = chooseSeal(wal, ledger.poison).map((row) => ({
      seq: wal.seq[row]!,
      receivedMs: wal.receivedMs[row]!,
    }))
    await this.#sealRows(rows)
  }

  /** Rows that fail together are tried in halves; one that fails alone is poison and stays. */
  async #sealRows(rows: { seq: number; receivedMs: number }[]): Promise<void> {
    const { store } = this.#home
    const sources = rows.map(({ seq, receivedMs }): BuildSource => {
      const bytes = store.readSegments(seq) ?? bug(`wal row ${seq} is gone`)
      return { kind: 'segments', seq, receivedMs, bytes }
    })
    const built = await this.#build('seal', sources)
    if (this.#home.isGone()) return
    const nowMs = Date.now()
    if (!built.ok) {
      if (rows.length === 1) store.ledger.notePoison(rows[0]!.seq, built.error.message, nowMs)
      else {
        const middle = rows.length >> 1
        await this.#sealRows(rows.slice(0, middle))
        if (!this.#home.isGone()) await this.#sealRows(rows.slice(middle))
      }
      return
    }
    const receivedMs = rows.at(-1)!.receivedMs
    const added = built.data.blocks.map((sealed) => newBlock(sealed, receivedMs, 0))
    const { removed } = built.data
    store.replace({ wal: rows.map((row) => row.seq), blocks: [], added, removed }, nowMs)
  }

  /** Rows up to here are to be sealed whatever their number: a flush or a deletion waits for it. */
  #forcedSeq(): number {
    const { tombstones } = this.#home.store.ledger
    return Math.max(
      0,
      ...tombstones.map(({ maxSeq }) => maxSeq),
      ...this.#flushes().map(({ maxSeq }) => maxSeq),
    )
  }

  // Compact.

  async #compact(): Promise<void> {
    const { store } = this.#home
    const blocks = this.#chooseCompaction()
    if (!blocks) return
    const sources = blocks.map(({ id }): BuildSource => {
      const bytes = store.catalog.readBytes(id) ?? bug(`the bytes of block ${id} are gone`)
      return { kind: 'block', bytes }
    })
    const built = await this.#build('compact', sources)
    if (this.#home.isGone()) return
    if (!built.ok) {
      for (const { id } of blocks) this.#unmergeable.add(id)
      throw new Error(
        `blocks from record ${blocks[0]!.firstSeq} can not be merged: ${built.error.message}`,
      )
    }
    const receivedMs = Math.max(...blocks.map((block) => block.receivedMs))
    const compactions = Math.max(...blocks.map((block) => block.compactions)) + 1
    const added = built.data.blocks.map((sealed) => newBlock(sealed, receivedMs, compactions))
    store.replace({ wal: [], blocks, added, removed: built.data.removed }, Date.now())
  }

  #chooseCompaction(): BlockRow[] | null {
    const { catalog, wal } = this.#home.store
    return chooseCompaction(catalog.blocks, wal, this.#closedBeforeMs(), this.#unmergeable)
  }

  /** Before it, days are over: nothing small will join their blocks any more. */
  #closedBeforeMs(): number {
    const today = Math.floor(Date.now() / DAY_MS) * DAY_MS
    return Math.max(today, this.#window().flushBeforeMs)
  }

  /** One block without what tombstones hide; its place in the catalog, time and level stay. */
  async #rebuild(source: BlockRow, bytes: Uint8Array): Promise<void> {
    const { store } = this.#home
    const built = await this.#build('purge', [{ kind: 'block', bytes }])
    if (this.#home.isGone()) return
    if (!built.ok) throw new Error(built.error.message)
    const { receivedMs, compactions } = source
    const { blocks, removed } = built.data
    if (removed.length === 0) return
    const added = blocks.map((sealed) => newBlock(sealed, receivedMs, compactions))
    store.replace({ wal: [], blocks: [source], added, removed }, Date.now())
  }

  // Archive.

  #window(): HotWindow {
    const flushBeforeMs = Math.max(0, ...this.#flushes().map((task) => task.olderThanMs ?? 0))
    // Unknown settings move nothing: the alarm asks for them before it works.
    const { hotDays = 3650, hotBytes = Number.MAX_SAFE_INTEGER } = this.#settings ?? {}
    return { hotDays, hotBytes, flushBeforeMs }
  }

  async #archive({ tenant }: KeyCopy): Promise<void> {
    const { store, archive, shard, tenantId } = this.#home
    const block = chooseArchive(store.catalog.blocks, this.#window(), Date.now())
    if (!archive || !block) return
    const bytes = store.catalog.readBytes(block.id)
    if (!bytes) throw new Error(`the bytes of the block from record ${block.firstSeq} are gone`)
    const { day, firstSeq, id: blockId } = block
    const key = objectKey({ appId: tenant.appId, tenantId, day, shard, firstSeq, blockId })
    store.ledger.noteObject(key, Date.now(), 'write')
    await writeObject(archive, key, bytes)
    if (this.#home.isGone()) return
    store.setPlace(block.id, key)
    for (const task of this.#flushes()) {
      if (block.receivedMs >= (task.olderThanMs ?? 0)) continue
      const { records, blocksDone, blocksTotal } = task
      store.ledger.saveTask({
        ...task,
        records: records + block.records,
        blocksDone: blocksDone + 1,
        blocksTotal: Math.max(blocksTotal, blocksDone + 1),
      })
    }
  }

  // Flush.

  #flushes() {
    const { tasks } = this.#home.store.ledger
    return [...tasks.values()].filter((task) => task.kind === 'flush' && task.state === 'running')
  }

  /** Whether all that a flush asked for is done, as far as it can be. */
  #isFlushed({ maxSeq, olderThanMs }: Task): boolean {
    const { wal, ledger, catalog } = this.#home.store
    for (let row = 0; row < wal.length && wal.seq[row]! <= maxSeq; row++) {
      if (!ledger.poison.has(wal.seq[row]!)) return false
    }
    if (this.#home.archive === null) return true
    const beforeMs = olderThanMs ?? 0
    return !catalog.blocks.some(
      (block) => block.key === null && block.firstSeq <= maxSeq && block.receivedMs < beforeMs,
    )
  }

  /** What holds a flush up, or null. */
  flushError(): string | null {
    const { jobs } = this.#home.store.ledger
    return jobs.get('seal')?.error ?? jobs.get('archive')?.error ?? null
  }

  async #endFlushes(): Promise<void> {
    const { ledger } = this.#home.store
    for (const task of this.#flushes().filter((task) => this.#isFlushed(task))) {
      const stuck = [...ledger.poison.keys()].filter((seq) => seq <= task.maxSeq)
      const errors: string[] = []
      if (this.#home.archive === null) errors.push('no archive is configured: blocks stay here')
      if (stuck.length > 0) errors.push(`rows that can not be sealed: ${stuck.join(', ')}`)
      const state = stuck.length > 0 ? 'failed' : 'done'
      const error = errors.length > 0 ? errors.join('; ').slice(0, ERROR_CHARS_MAX) : null
      ledger.saveTask({ ...task, state, doneMs: Date.now(), error })
    }
  }

  // Sweep.

  #sweepMs(): number | null {
    const { objects, poison } = this.#home.store.ledger
    let dueMs: number | null = null
    if (this.#home.archive !== null) {
      for (const object of objects.values()) {
        if (!this.#isAwaited(object)) dueMs = Math.min(dueMs ?? object.nextMs, object.nextMs)
      }
    }
    for (const { atMs } of poison.values()) {
      dueMs = Math.min(dueMs ?? Number.POSITIVE_INFINITY, atMs + POISON_RETRY_MS)
    }
    return dueMs
  }

  /** Removes objects that nothing names any more, and lets poison be tried again. */
  async #sweep(): Promise<void> {
    const { store, archive } = this.#home
    const { ledger } = store
    for (const row of [...ledger.poison.values()]) this.#retryPoison(row)
    ledger.dropOldTasks(Date.now())
    const due = [...ledger.objects.values()].filter(
      (object) => object.nextMs <= Date.now() && !this.#isAwaited(object),
    )
    if (archive) await this.#removeObjects(due)
  }

  /** Deletes the first DELETE_KEYS_MAX of these objects in one call, but for those that a block names after all. */
  async #removeObjects(objects: PendingObject[]): Promise<void> {
    const { store, archive } = this.#home
    const { ledger } = store
    if (objects.length === 0) return
    if (archive === null) throw new Error('no archive is configured')
    const named = new Set(store.catalog.blocks.map((block) => block.key))
    const keys: string[] = []
    for (const { key, deletesLeft } of objects.slice(0, DELETE_KEYS_MAX)) {
      if (named.has(key)) ledger.dropObject(key)
      else keys.push(key)
      // A put that was begun and never finished: what it left, or may still leave, goes.
      if (!named.has(key) && deletesLeft === 0) ledger.noteObject(key, Date.now(), 'remove')
    }
    if (keys.length === 0) return
    try {
      await deleteObjects(archive, keys)
    } catch (e) {
      if (!this.#home.isGone()) for (const key of keys) this.#noteDeleted(key, false)
      throw e
    }
    if (!this.#home.isGone()) for (const key of keys) this.#noteDeleted(key, true)
  }

  /**
   * Whether a put is to be done again under this key, because the block is here still: a delete that is
   * late would take away what was archived by then.
   */
  #isAwaited({ key, deletesLeft }: PendingObject): boolean {
    return deletesLeft === 0 && this.#home.store.catalog.get(blockIdOf(key))?.key === null
  }

  #noteDeleted(key: string, isDeleted: boolean): void {
    const { ledger } = this.#home.store
    const object = ledger.objects.get(key)
    if (object) ledger.noteDeleted(object, isDeleted, Date.now())
  }

  #retryPoison({ seq, atMs }: Poison): void {
    if (atMs + POISON_RETRY_MS <= Date.now()) this.#home.store.ledger.dropPoison(seq)
  }
}

const newBlock = (sealed: SealedBlock, receivedMs: number, compactions: number): NewBlock => ({
  sealed,
  day: new Date(receivedMs).toISOString().slice(0, 10),
  receivedMs,
  compactions,
})
