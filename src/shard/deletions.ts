// Deletions of a shard: from the tombstone that hides records in the same moment to the last rewritten
// block. A deletion someone asks for and a retention rule are the same thing here.
//
// The purge walks all blocks a tombstone may touch. What it hides whole is dropped by the catalog
// alone; what it hides in part is built again without. Unsealed rows are sealed first, and sealing
// leaves hidden records out. A tombstone ends once a walk that began after it has passed all blocks;
// one that met blocks it could not read comes back to them later, and the tombstone goes on hiding.
// Tombstones that come while a walk is under way have the next one. Blocks made during a walk were
// begun during it, so they are without what its tombstones hide; and a block that was begun before a
// tombstone is stored before the first step of its walk.

import { createHash } from 'node:crypto'
import { readObject } from '../archive/objects.ts'
import { recordsByCatalog } from '../prune/catalog-count.ts'
import type { Prepared, PruneSource } from '../prune/facts.ts'
import { preparePrune, prune } from '../prune/prune.ts'
import { EVERYTHING } from '../query/filter.ts'
import type { RecordFilter } from '../query/parameters.ts'
import { planFilter } from '../query/parameters.ts'
import type { Settings } from '../tenant/settings.ts'
import type { BlockRow } from './catalog.ts'
import type { Home } from './keeper.ts'
import { OBJECT_DELETES, type PendingObject, type StoredTombstone } from './ledger.ts'
import { DAY_MS, lastSeqBefore } from './upkeep.ts'

const ALL: RecordFilter = { filter: EVERYTHING, since: null, until: null }

/** A tombstone with its filters made ready for the catalog. */
interface Reach {
  tombstone: StoredTombstone
  match: Prepared
  unless: Prepared[]
}

interface Walk {
  /** The last tombstone when it began. */
  last: number
  reaches: Reach[]
  ids: number[]
  /** How many blocks it passes in all. */
  blocks: number
  at: number
  failures: Unread[]
  /** It has passed all blocks once, and comes back to those it could not read. */
  isReturn: boolean
}

/** A block that could not be read, and the tombstones that wait for it. */
interface Unread {
  id: number
  text: string
  touching: Reach[]
}

/** What the keeper does for a purge. */
interface Tools {
  /** Stores a block again without what tombstones hide. */
  rebuild(source: BlockRow, bytes: Uint8Array): Promise<void>
  removeObjects(objects: PendingObject[]): Promise<void>
  /** Whether it is the object of a block that is here still, and is to be put again. */
  isAwaited(object: PendingObject): boolean
}

/** Blocks looked at in the catalog alone, in one stretch: each may take a detail, 0.2 ms. */
const GLANCES_MAX = 64

export class Deletions {
  readonly #home: Home
  readonly #tools: Tools
  #walk: Walk | null = null

  constructor(home: Home, tools: Tools) {
    this.#home = home
    this.#tools = tools
  }

  /** Rewrites the next block, or ends what is done. Throws when a walk ended with blocks unread. */
  async step(): Promise<void> {
    const walk = this.#walkOfNow()
    const { catalog } = this.#home.store
    for (let glances = 0; walk.at < walk.ids.length; glances++) {
      if (glances === GLANCES_MAX) return pause()
      const block = catalog.get(walk.ids[walk.at]!)
      const source = block && catalog.sourceOf(block)
      const touching = source ? walk.reaches.filter((reach) => touches(reach, block, source)) : []
      if (!block || touching.length === 0) walk.at++
      else return this.#purge(block, touching, walk)
    }
    await this.#end(walk)
  }

  /** A walk goes on with the tombstones it began with; one that only comes back waits for no new one. */
  #walkOfNow(): Walk {
    const { ledger, catalog } = this.#home.store
    const walk = this.#walk
    if (walk && (!walk.isReturn || walk.last === ledger.lastTombstone)) return walk
    const reaches = ledger.tombstones.map((tombstone) => ({
      tombstone,
      match: preparePrune(tombstone.match),
      unless: tombstone.unless.map(preparePrune),
    }))
    const ids = catalog.blocks.map((block) => block.id)
    this.#walk = {
      last: ledger.lastTombstone,
      reaches,
      ids,
      blocks: ids.length,
      at: 0,
      failures: [],
      isReturn: false,
    }
    return this.#walk
  }

  async #purge(block: BlockRow, touching: Reach[], walk: Walk): Promise<void> {
    const { store } = this.#home
    const whole = touching.find((reach) => this.#hidesWhole(reach, block))
    if (whole) {
      const removed = [{ tombstone: whole.tombstone.id, records: block.records }]
      store.replace({ wal: [], blocks: [block], added: [], removed }, Date.now())
      walk.at++
      return
    }
    try {
      const bytes = await this.#bytesOf(block)
      if (this.#home.isGone()) return
      await this.#tools.rebuild(block, bytes)
    } catch (e) {
      if (this.#home.isGone()) return
      const text = `block from record ${block.firstSeq}: ${e instanceof Error ? e.message : e}`
      walk.failures.push({ id: block.id, text, touching })
    }
    walk.at++
  }

  /** Whether all of a block's records are hidden, as the catalog alone knows. */
  #hidesWhole({ tombstone, match, unless }: Reach, block: BlockRow): boolean {
    if (block.lastSeq > tombstone.maxSeq) return false
    const source = this.#home.store.catalog.sourceOf(block)
    if (unless.some((spared) => prune(spared, block, source) === 'open')) return false
    return recordsByCatalog(match, block, source) === block.records
  }

  async #bytesOf(block: BlockRow): Promise<Uint8Array> {
    const { store, archive } = this.#home
    const bytes =
      block.key === null
        ? store.catalog.readBytes(block.id)
        : archive && (await readObject(archive, block.key, block.bytes))
    if (bytes) return bytes
    throw new Error(
      block.key === null ? 'its bytes are gone' : `${block.key} is not in the archive`,
    )
  }

  async #end(walk: Walk): Promise<void> {
    const { store } = this.#home
    const unremoved = await this.#removeReplaced()
    if (this.#home.isGone()) return
    const texts = new Set<string>()
    const held: Reach[] = []
    const done: StoredTombstone[] = []
    for (const reach of walk.reaches) {
      const { tombstone } = reach
      const unread = walk.failures.filter(({ touching }) => touching.includes(reach))
      const left = [...unread.map(({ text }) => text), ...this.#unsealed(tombstone)]
      if (tombstone.jobId !== null) left.push(...unremoved)
      for (const text of left) texts.add(text)
      if (left.length === 0) done.push(tombstone)
      else {
        held.push(reach)
        this.#saveTask(tombstone, { error: left.slice(0, 3).join('; ') })
      }
    }
    // All other blocks are done, and those made since were made without what is hidden.
    const ids = walk.failures.map(({ id }) => id)
    const back = { ...walk, reaches: held, ids, at: 0, failures: [], isReturn: true }
    this.#walk = held.length > 0 ? back : null
    if (done.some((tombstone) => this.#mayHaveRemoved(tombstone))) {
      await store.sweepPatterns(pause)
      if (this.#home.isGone()) return
    }
    for (const tombstone of done) {
      store.ledger.endTombstone(tombstone.id)
      const blocks = { blocksDone: walk.blocks, blocksTotal: walk.blocks }
      this.#saveTask(tombstone, { state: 'done', doneMs: Date.now(), error: null, ...blocks })
    }
    if (held.length > 0) throw new Error([...texts].slice(0, 3).join('; '))
  }

  /**
   * Removes the objects of blocks that were replaced, and what puts of them left that failed: before
   * that a deletion someone asked for is not done. What could not be removed, as texts.
   */
  async #removeReplaced(): Promise<string[]> {
    const unremoved = () =>
      [...this.#home.store.ledger.objects.values()].filter((object) => {
        const isRemoved = object.deletesLeft > 0 && object.deletesLeft < OBJECT_DELETES
        return !isRemoved && !this.#tools.isAwaited(object)
      })
    try {
      while (!this.#home.isGone() && unremoved().length > 0) {
        await this.#tools.removeObjects(unremoved())
      }
      return []
    } catch (e) {
      // R2 fails at times: the walk comes back, and nothing else waits for it meanwhile.
      const [first, ...others] = unremoved()
      const text = `${first?.key} could not be removed: ${e instanceof Error ? e.message : e}`
      return others.length === 0 ? [text] : [text, `and ${others.length} more objects`]
    }
  }

  /** Whether records were left out for it, before a restart too and by whatever job; of retention nobody counts. */
  #mayHaveRemoved({ jobId }: StoredTombstone): boolean {
    const task = jobId === null ? undefined : this.#home.store.ledger.tasks.get(jobId)
    return task === undefined || task.records > 0
  }

  /**
   * Rows of the wal that hold hidden records still; sealing takes them out, unless it fails. Rows that
   * can not be sealed can not expire either: they are for a person to look at.
   */
  #unsealed({ jobId, maxSeq }: StoredTombstone): string[] {
    const { wal, ledger } = this.#home.store
    const left: string[] = []
    for (let row = 0; row < wal.length; row++) {
      const seq = wal.seq[row]!
      if (seq > maxSeq) break
      const poison = ledger.poison.get(seq)
      if (poison && jobId === null) continue
      left.push(`unsealed row ${seq}: ${poison?.error ?? 'not sealed yet'}`)
    }
    return left
  }

  #saveTask(tombstone: StoredTombstone, change: object): void {
    const { ledger } = this.#home.store
    const task = tombstone.jobId === null ? undefined : ledger.tasks.get(tombstone.jobId)
    if (task) ledger.saveTask({ ...task, ...change })
  }

  /** How far the walk is, for those who ask for a deletion's progress. */
  get progress(): { done: number; total: number } | null {
    return this.#walk && { done: this.#walk.at, total: this.#walk.ids.length }
  }

  /**
   * Makes each retention rule the tombstone of today: its filter and none of the earlier rules',
   * received before the first day it keeps. A rule that touches nothing makes none. What the same rule
   * took on an earlier day is not looked at again, or every day would read the whole archive.
   */
  async expire({ retention }: Settings): Promise<void> {
    const { store } = this.#home
    const { ledger, catalog } = store
    const nowMs = Date.now()
    const today = Math.floor(nowMs / DAY_MS) * DAY_MS
    const filters = retention.map(({ filter }) => (filter === null ? ALL : planned(filter, nowMs)))
    // What is poison may be sealed one day, and is then looked at.
    const soundSeq = Math.min(Number.MAX_SAFE_INTEGER, ...ledger.poison.keys()) - 1
    const expired = store.expired
    const upTo: Record<string, number> = {}
    for (const [i, match] of filters.entries()) {
      const unless = filters.slice(0, i)
      const maxSeq = lastSeqBefore(catalog.blocks, store.wal, today - retention[i]!.days * DAY_MS)
      const rule = nameOf({ match, unless })
      const doneSeq = Math.min(expired.upTo[rule] ?? 0, soundSeq)
      upTo[rule] = Math.max(doneSeq, Math.min(maxSeq, soundSeq))
      // One that met what it could not read is still in force: the new one takes its place.
      const waiting = ledger.tombstones.find((one) => one.jobId === null && nameOf(one) === rule)
      const fromSeq = waiting?.fromSeq ?? doneSeq + 1
      if (maxSeq < fromSeq || maxSeq === waiting?.maxSeq) continue
      if (!(await this.#holdsAny(match, fromSeq, maxSeq))) continue
      if (waiting) ledger.endTombstone(waiting.id)
      ledger.addTombstone({ jobId: null, fromSeq, maxSeq, match, unless, nowMs })
    }
    if (this.#home.isGone()) return
    ledger.dropOldTasks(nowMs)
    store.expired = { day: new Date(today).toISOString().slice(0, 10), upTo }
  }

  /** Whether there may be matches among records of these numbers. */
  async #holdsAny(filter: RecordFilter, fromSeq: number, maxSeq: number): Promise<boolean> {
    const { catalog, wal, ledger } = this.#home.store
    const isUnsealed = (seq: number) => seq <= maxSeq && !ledger.poison.has(seq)
    if (wal.seq.subarray(0, wal.length).some(isUnsealed)) return true
    const match = preparePrune(filter)
    let glances = 0
    for (const block of [...catalog.blocks]) {
      if (block.lastSeq < fromSeq || block.firstSeq > maxSeq) continue
      if (prune(match, block, catalog.sourceOf(block)) === 'open') return true
      if (++glances % GLANCES_MAX > 0) continue
      await pause()
      if (this.#home.isGone()) return false
    }
    return false
  }
}

function touches({ tombstone, match }: Reach, block: BlockRow, source: PruneSource): boolean {
  if (block.firstSeq > tombstone.maxSeq || block.lastSeq < tombstone.fromSeq) return false
  return prune(match, block, source) === 'open'
}

const pause = () => new Promise<void>((resolve) => setTimeout(resolve, 0))

/** Names a rule, in few bytes, by all that decides what it takes but its days. */
const nameOf = ({ match, unless }: Pick<StoredTombstone, 'match' | 'unless'>) =>
  createHash('sha256').update(JSON.stringify({ match, unless })).digest('hex').slice(0, 32)

function planned(filter: NonNullable<Settings['retention'][number]['filter']>, nowMs: number) {
  const plan = planFilter(filter, nowMs)
  // It was checked when it was set: a filter we do not understand any more must delete nothing.
  if (!plan.ok) throw new Error(`a retention rule can not be read: ${plan.error.message}`)
  return plan.data
}
