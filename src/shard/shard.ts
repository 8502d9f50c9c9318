// One tenant's shard. It owns its data alone and decides little: it stores bytes, numbers records,
// keeps the catalog, and gives out what a query may need. It parses no log.
//
// Single-threaded: a method without an await is a transaction, and the comments say where that
// matters. Its name is `<tenant id>-<shard number>` (tenant/route.ts).

import { DurableObject } from 'cloudflare:workers'
import type { Env } from '../env.ts'
import { CANDIDATE_BYTES_MAX } from '../limits.ts'
import { LEVELS } from '../record.ts'
import { err, ok, type Result } from '../result.ts'
import type { KeyCopy } from '../tenant/registry.ts'
import {
  type Candidate,
  type CandidatesReply,
  type CandidatesRequest,
  chooseCandidates,
} from './candidates.ts'
import { GroupCommit, type Stored } from './commit.ts'
import { type Append, BlockStore } from './store.ts'

/** Counts of refused requests reach the disk at most this often: a flood of bad ones must not cost a row each. */
const NOTES_FLUSH_MS = 10_000

/** Who calls: the id of the key, or null for the owner and for Workers of the account. */
export interface ShardCaller {
  keyId: string | null
}

export class LogShard extends DurableObject<Env> {
  #opened: BlockStore | null = null
  readonly #commit: GroupCommit
  readonly #tenantId: string
  /** The registry's live keys of this tenant as last heard; null: ask. */
  #keys: KeyCopy | null = null
  /** Set for good by `destroy`: this object has no tables any more. */
  #isDestroyed = false
  #notes: Record<string, number> = {}
  #notesTimer: ReturnType<typeof setTimeout> | null = null

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    this.#tenantId = (ctx.id.name ?? '').split('-')[0]!
    this.#commit = new GroupCommit({
      hasBatch: (id) => this.#store.hasBatch(id, Date.now()),
      write: (group) => this.#store.appendGroup(group, Date.now()),
      sync: () => this.#sync(),
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
    return this.#commit.append(append)
  }

  /**
   * What a query has to look at, in one synchronous step: the highest sequence number of this moment
   * and, in the query's order, the stored segments that may hold a match, with their bytes up to
   * `request.bytesMax`. `reply.next` goes on from there over the same set.
   */
  async candidates(
    caller: ShardCaller,
    request: CandidatesRequest,
  ): Promise<Result<CandidatesReply>> {
    const refused = await this.#refuse(caller)
    if (refused) return refused
    const bytesMax = Math.min(request.bytesMax, CANDIDATE_BYTES_MAX)
    const store = this.#store
    const chosen = chooseCandidates(store.wal, { ...request, bytesMax }, store.maxSeq)
    const candidates: Candidate[] = []
    for (const row of chosen.chosen) {
      const segments = store.readSegments(row.seq)
      if (segments) candidates.push({ ...row, segments })
    }
    const { considered, skipped, maxSeq, next } = chosen
    return ok({ maxSeq, considered, skipped, candidates, next })
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

  /** Takes a newer copy of the live keys: a key that is not in it is refused from here on. */
  async configure(copy: KeyCopy): Promise<void> {
    if (this.#keys === null || copy.version > this.#keys.version) this.#keys = copy
  }

  /** Deletes everything. Safe to repeat; every later call is refused by the registry's word. */
  async destroy(): Promise<void> {
    this.#isDestroyed = true
    this.#keys = null
    if (this.#notesTimer !== null) clearTimeout(this.#notesTimer)
    this.#commit.close(err('not_found', 'this app has been deleted'))
    await this.ctx.storage.deleteAll()
  }

  /** Opened by the first caller who may, so that an object nobody may use makes no tables. */
  get #store(): BlockStore {
    this.#opened ??= new BlockStore(this.ctx.storage, Date.now())
    return this.#opened
  }

  /** Why this caller may not, or null. Asks the registry when the key, or the whole copy, is unknown. */
  async #refuse(caller: ShardCaller): Promise<ReturnType<typeof err> | null> {
    if (this.#keys === null || !this.#knows(caller)) {
      const copy = await this.env.REGISTRY.getByName('registry').keyCopy(this.#tenantId)
      if (copy === null) this.#keys = null
      else await this.configure(copy)
    }
    if (this.#isDestroyed || this.#keys === null)
      return err('not_found', 'this app has been deleted')
    if (!this.#knows(caller)) return err('unauthorized', 'this key is not valid any more')
    return null
  }

  #knows(caller: ShardCaller): boolean {
    if (caller.keyId === null) return true
    const key = this.#keys?.keys.find((key) => key.keyId === caller.keyId)
    return key !== undefined && (key.expiresMs === null || key.expiresMs > Date.now())
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
