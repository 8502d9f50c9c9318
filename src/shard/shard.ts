// One tenant's shard. It owns its data alone and decides little: it stores bytes, numbers records,
// keeps the catalog, and gives out what a query may need. It parses no log.
//
// Single-threaded: a method without an await is a transaction, and the comments say where that
// matters. Its name is `<tenant id>-<shard number>` (tenant/route.ts).

import { DurableObject } from 'cloudflare:workers'
import type { Env } from '../env.ts'
import { CANDIDATE_BYTES_MAX, TOMBSTONES_MAX, WAL_BYTES_MAX } from '../limits.ts'
import type { RecordFilter } from '../query/parameters.ts'
import { LEVELS } from '../record.ts'
import { bug, err, ok, type Result } from '../result.ts'
import type { KeyCopy } from '../tenant/registry.ts'
import {
  type Candidate,
  type CandidatesReply,
  type CandidatesRequest,
  type Chosen,
  chooseCandidates,
} from './candidates.ts'
import { GroupCommit, type Stored } from './commit.ts'
import { Keeper } from './keeper.ts'
import type { Task } from './ledger.ts'
import { type Extent, extentOf, readStorage } from './overview.ts'
import type { Built } from './sealer.ts'
import type { ArchiveObject, JobView, ShardStorage } from './storage-view.ts'
import { type Append, BlockStore } from './store.ts'
import { Tails } from './tails.ts'

/** Counts of refused requests reach the disk at most this often: a flood of bad ones must not cost a row each. */
const NOTES_FLUSH_MS = 10_000
/** The alarm is set again this much later when storage itself or the registry failed. */
const ALARM_RETRY_MS = 30_000

/** Who calls: the id of the key, or null for the owner and for Workers of the account. */
export interface ShardCaller {
  keyId: string | null
  /** How many shards the caller believes there are: with fewer than there are it would miss records. */
  shards: number
}

export class LogShard extends DurableObject<Env> {
  #opened: { store: BlockStore; keeper: Keeper } | null = null
  readonly #commit: GroupCommit
  readonly #tails: Tails
  readonly #startedMs = Date.now()
  /** The registry's live keys of this tenant as last heard; null: ask. */
  #copy: KeyCopy | null = null
  /** Set for good by `destroy`: this object has no tables any more. */
  #isDestroyed = false
  #notes: Record<string, number> = {}
  #notesTimer: ReturnType<typeof setTimeout> | null = null
  /** When the alarm is set to go off; null: it is not set, or is running; undefined: not looked up yet. */
  #alarmMs: number | null | undefined
  #isAlarmRunning = false

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    this.#commit = new GroupCommit({
      hasBatch: (id) => this.#store.hasBatch(id, Date.now()),
      write: (group) => this.#store.appendGroup(group, Date.now()),
      sync: () => this.#sync(),
      stored: (group) => this.#tails.show(group, this.#store.maxSeq, Date.now()),
    })
    this.#tails = new Tails({
      state: ctx,
      shard: () => Number(this.#name.split('-')[1]),
      refuse: (caller) => this.#refuse(caller),
      expiresMs: (keyId) => this.#keyOf(keyId)?.expiresMs ?? null,
      stored: () => this.#store.span,
    })
  }

  /**
   * Stores the records of one request, all of them or none: durable, and seen by every later query,
   * once it resolves. A batch whose id was stored in the last ten minutes is answered the same and
   * stored once, so a caller may repeat an append that has one.
   */
  async append(caller: ShardCaller, append: Append): Promise<Result<Stored>> {
    const refused = await this.#refuse(caller)
    if (refused) return refused
    if (this.#store.isFull(Date.now())) {
      const details = this.#store.usage
      return err(
        'unavailable',
        'the storage of this shard is full: delete or archive old records',
        details,
      )
    }
    if (this.#store.wal.totalBytes >= WAL_BYTES_MAX) {
      await this.#arm()
      const text = `the shard has ${this.#store.wal.totalBytes} bytes that are not sealed yet; retry in a second`
      return err('overloaded', text, { max: WAL_BYTES_MAX })
    }
    const result = await this.#commit.append(append)
    // Of all jobs an append can only bring the seal forward; the others are asked when they change.
    if (this.#alarmMs === undefined) await this.#arm()
    else if (!this.#isDestroyed) this.#armAt(this.#keeper.sealMs())
    return result
  }

  /**
   * What a query has to look at, in one synchronous step: the highest sequence number of this moment
   * and, in the query's order, the wal rows and blocks that may hold a match, with the bytes of those
   * that lie here up to `request.bytesMax`. `reply.next` goes on from there over the same set.
   */
  async candidates(
    caller: ShardCaller,
    request: CandidatesRequest,
  ): Promise<Result<CandidatesReply>> {
    const refused = await this.#refuse(caller)
    if (refused) return refused
    const bytesMax = Math.min(request.bytesMax, CANDIDATE_BYTES_MAX)
    const { wal, catalog, ledger, maxSeq } = this.#store
    const holdings = {
      wal,
      blocks: catalog.blocks,
      sourceOf: catalog.sourceOf.bind(catalog),
      tombstones: ledger.tombstones,
      maxSeq,
    }
    const { chosen, ...reply } = chooseCandidates(holdings, { ...request, bytesMax })
    const tombstones = ledger.inForce()
    return ok({ ...reply, candidates: chosen.map((row) => this.#candidateOf(row)), tombstones })
  }

  #candidateOf(chosen: Chosen): Candidate {
    const { wal, catalog } = this.#store
    if (chosen.kind === 'wal') {
      const { row } = chosen
      const seq = wal.seq[row]!
      const records = wal.records[row]!
      const bytes = this.#store.readSegments(seq) ?? bug(`wal row ${seq} is gone`)
      return {
        seq,
        lastSeq: seq + records - 1,
        minMs: wal.minMs[row]!,
        maxMs: wal.maxMs[row]!,
        records,
        isNew: false,
        from: { kind: 'segments', bytes, receivedMs: wal.receivedMs[row]! },
      }
    }
    const { block, isNew } = chosen
    const { firstSeq: seq, lastSeq, minMs, maxMs, records } = block
    const from: Candidate['from'] =
      block.key === null
        ? { kind: 'block', bytes: catalog.readBytes(block.id) ?? bug(`block ${block.id} is gone`) }
        : { kind: 'object', key: block.key, size: block.bytes }
    return { seq, lastSeq, minMs, maxMs, records, isNew, from }
  }

  /** Counts by UTC day received and level, and what was refused or cut, by reason. */
  async stats(caller: ShardCaller) {
    const refused = await this.#refuse(caller)
    if (refused) return refused
    this.#flushNotes()
    const days = this.#store.days().map(({ day, records, levels, notes }) => ({
      day,
      records,
      levels: Object.fromEntries(LEVELS.map((level, i) => [level, levels[i]!])),
      notes,
    }))
    return ok({ days, storage: this.#store.usage })
  }

  /** Counts requests that were refused before there was anything to append. */
  async note(caller: ShardCaller, counts: Record<string, number>): Promise<void> {
    if (await this.#refuse(caller)) return
    for (const [name, count] of Object.entries(counts)) {
      this.#notes[name] = (this.#notes[name] ?? 0) + count
    }
    this.#notesTimer ??= setTimeout(() => this.#flushNotes(), NOTES_FLUSH_MS)
  }

  /**
   * Hides what a filter matches of all that is stored now; it is in force once this resolves, and the
   * records are rewritten away in the background. Repeating it with the same job id changes nothing.
   */
  async deleteRecords(
    caller: ShardCaller,
    { jobId, match }: { jobId: string; match: RecordFilter },
  ): Promise<Result<null>> {
    const refused = await this.#refuse(caller)
    if (refused) return refused
    const { ledger, maxSeq } = this.#store
    if (!ledger.tasks.has(jobId)) {
      if (ledger.tombstones.length >= TOMBSTONES_MAX) {
        const text = `${ledger.tombstones.length} deletions are in force already; wait for the first to be done`
        return err('overloaded', text, { max: TOMBSTONES_MAX })
      }
      const nowMs = Date.now()
      try {
        this.ctx.storage.transactionSync(() => {
          ledger.saveTask(newTask(jobId, { kind: 'delete', maxSeq, olderThanMs: null, nowMs }))
          ledger.addTombstone({ jobId, fromSeq: 1, maxSeq, match, unless: [], nowMs })
        })
      } catch (e) {
        // A repetition must not take it for done.
        ledger.reload()
        throw e
      }
      // One that waits to read a block again must not hold this one up.
      if (ledger.jobs.get('purge')?.error) ledger.noteJob('purge', null, nowMs)
      await this.#arm()
    }
    await this.#sync()
    return ok(null)
  }

  /** Seals all that is stored now, then archives what was received before `olderThanMs`. Repeatable. */
  async flush(
    caller: ShardCaller,
    { jobId, olderThanMs }: { jobId: string; olderThanMs: number },
  ): Promise<Result<null>> {
    const refused = await this.#refuse(caller)
    if (refused) return refused
    const { ledger, maxSeq } = this.#store
    if (!ledger.tasks.has(jobId)) {
      const nowMs = Date.now()
      ledger.saveTask(newTask(jobId, { kind: 'flush', maxSeq, olderThanMs, nowMs }))
      await this.#arm()
    }
    await this.#sync()
    return ok(null)
  }

  /** This shard's part of a job; null: it knows none of that id. */
  async job(caller: ShardCaller, jobId: string): Promise<Result<JobView | null>> {
    const refused = await this.#refuse(caller)
    if (refused) return refused
    const task = this.#store.ledger.tasks.get(jobId)
    if (!task) return ok(null)
    const { id: _, maxSeq: _seq, olderThanMs: _ms, ...view } = task
    if (task.state !== 'running') return ok(view)
    if (task.kind === 'flush') return ok({ ...view, error: this.#keeper.flushError() })
    const purged = this.#keeper.purged
    return ok(purged ? { ...view, blocksDone: purged.done, blocksTotal: purged.total } : view)
  }

  /** What lies where, and how the shard's own jobs fare. */
  async storage(caller: ShardCaller): Promise<Result<ShardStorage>> {
    const refused = await this.#refuse(caller)
    if (refused) return refused
    return ok(
      readStorage(this.#store, {
        jobs: this.#keeper.views(),
        archive: this.env.ARCHIVE ? 'configured' : 'none',
        startedMs: this.#startedMs,
        nowMs: Date.now(),
      }),
    )
  }

  /** The earliest and the latest time of what is stored, ms (floor and ceiling); null: nothing is. */
  async extent(caller: ShardCaller): Promise<Result<Extent | null>> {
    const refused = await this.#refuse(caller)
    return refused ?? ok(extentOf(this.#store))
  }

  /** The blocks that lie in the archive. */
  async archive(caller: ShardCaller): Promise<Result<{ objects: ArchiveObject[] }>> {
    const refused = await this.#refuse(caller)
    if (refused) return refused
    const objects: ArchiveObject[] = []
    for (const { key, bytes, records, day } of this.#store.catalog.blocks) {
      if (key !== null) objects.push({ key, bytes, records, day })
    }
    return ok({ objects })
  }

  /** Opens a tail: a WebSocket, which lives on while this object hibernates (tails.ts). */
  override fetch(): Response {
    return this.#tails.accept()
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    return this.#tails.receive(socket, message)
  }

  override webSocketClose(socket: WebSocket): void {
    this.#tails.forget(socket)
  }

  override webSocketError(socket: WebSocket): void {
    this.#tails.forget(socket)
  }

  /** Works off the jobs that are due and sets the alarm to the next. Never throws: after six times it would stop for good. */
  override async alarm(): Promise<void> {
    this.#alarmMs = null
    this.#isAlarmRunning = true
    try {
      await this.#keeper.run()
    } catch (e) {
      console.error('the alarm failed', e)
      // What failed is no job, so nothing else keeps the next run from coming at once.
      if (!this.#isDestroyed) await this.#setAlarm(Date.now() + ALARM_RETRY_MS)
      return
    } finally {
      this.#isAlarmRunning = false
    }
    if (!this.#isDestroyed) await this.#arm()
  }

  /** Takes a newer copy of the live keys and settings: a key that is not in it is refused from here on. */
  async configure(copy: KeyCopy): Promise<void> {
    if (this.#copy !== null && copy.version <= this.#copy.version) return
    this.#copy = copy
    this.#tails.heed(copy)
    this.#opened?.keeper.heed(copy.settings)
    if (this.#opened) await this.#arm()
  }

  /** Deletes everything. Safe to repeat; every later call is refused by the registry's word. */
  async destroy(): Promise<void> {
    this.#isDestroyed = true
    this.#copy = null
    if (this.#notesTimer !== null) clearTimeout(this.#notesTimer)
    const gone = err('not_found', 'this app has been deleted')
    this.#commit.close(gone)
    this.#tails.close(gone.error)
    await this.ctx.storage.deleteAlarm()
    await this.ctx.storage.deleteAll()
  }

  /** Opened by the first caller who may, so that an object nobody may use makes no tables. */
  #open(): { store: BlockStore; keeper: Keeper } {
    if (this.#opened) return this.#opened
    const store = new BlockStore(this.ctx.storage, Date.now())
    const name = this.ctx.id.name ?? store.name ?? bug('a shard without a name')
    if (store.name === null) store.name = name
    const [tenantId = '', shard = ''] = name.split('-')
    const keeper = new Keeper({
      tenantId,
      shard: Number(shard),
      store,
      archive: this.env.ARCHIVE ?? null,
      build: (request) => this.env.SEALER.getByName(name).build(request) as Promise<Result<Built>>,
      copy: async () => this.#copy ?? (await this.#hear()),
      isGone: () => this.#isDestroyed,
    })
    this.#opened = { store, keeper }
    if (this.#copy) keeper.heed(this.#copy.settings)
    return this.#opened
  }

  get #store(): BlockStore {
    return this.#open().store
  }

  get #keeper(): Keeper {
    return this.#open().keeper
  }

  /** Without a name from the platform, an alarm still knows it from the tables. */
  get #name(): string {
    return this.ctx.id.name ?? this.#opened?.store.name ?? ''
  }

  /** Sets the alarm to when the next job is due. */
  async #arm(): Promise<void> {
    this.#alarmMs ??= await this.ctx.storage.getAlarm()
    if (!this.#isDestroyed) this.#armAt(this.#keeper.nextMs())
  }

  /** Moves the alarm to an earlier time; a billed row, so never without need. */
  #armAt(ms: number | null): void {
    if (ms === null || this.#isAlarmRunning) return
    const atMs = Math.max(ms, Date.now())
    if (typeof this.#alarmMs === 'number' && this.#alarmMs <= atMs) return
    void this.#setAlarm(atMs)
  }

  #setAlarm(ms: number): Promise<void> {
    this.#alarmMs = ms
    this.#opened?.store.countAlarm()
    return this.ctx.storage.setAlarm(ms)
  }

  /** Asks the registry what it knows of this tenant by now. */
  async #hear(): Promise<KeyCopy | null> {
    const copy = await this.env.REGISTRY.getByName('registry').keyCopy(this.#name.split('-')[0]!)
    if (copy === null) this.#copy = null
    else await this.configure(copy)
    return this.#copy
  }

  /** Why this caller may not, or null. Asks the registry when the key, or the whole copy, is unknown. */
  async #refuse(caller: ShardCaller): Promise<ReturnType<typeof err> | null> {
    if (this.#copy === null || !this.#knows(caller)) await this.#hear()
    if (this.#isDestroyed || this.#copy === null)
      return err('not_found', 'this app has been deleted')
    if (!this.#knows(caller)) return err('unauthorized', 'this key is not valid any more')
    if (caller.shards >= this.#copy.tenant.shards) return null
    const text = `the app has ${this.#copy.tenant.shards} shards by now, not ${caller.shards}`
    return err('conflict', text, { stale: true })
  }

  #knows(caller: ShardCaller): boolean {
    if (caller.keyId === null) return true
    const key = this.#keyOf(caller.keyId)
    return key !== undefined && (key.expiresMs === null || key.expiresMs > Date.now())
  }

  #keyOf(keyId: string | null) {
    return this.#copy?.keys.find((key) => key.keyId === keyId)
  }

  /** Durable storage of all written so far. If the platform cannot say so, nothing in memory is to be believed. */
  async #sync(): Promise<void> {
    try {
      await this.ctx.storage.sync()
    } catch (e) {
      this.ctx.abort(`storage.sync failed: ${e}`)
      throw e
    }
  }

  #flushNotes(): void {
    if (this.#notesTimer !== null) clearTimeout(this.#notesTimer)
    this.#notesTimer = null
    if (this.#isDestroyed || Object.keys(this.#notes).length === 0) return
    this.#store.addNotes(this.#notes, Date.now())
    this.#notes = {}
  }
}

function newTask(
  id: string,
  {
    kind,
    maxSeq,
    olderThanMs,
    nowMs,
  }: Pick<Task, 'kind' | 'maxSeq' | 'olderThanMs'> & { nowMs: number },
): Task {
  return {
    id,
    kind,
    state: 'running',
    createdMs: nowMs,
    doneMs: null,
    maxSeq,
    olderThanMs,
    records: 0,
    blocksDone: 0,
    blocksTotal: 0,
    error: null,
  }
}
