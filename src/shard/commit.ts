// Group commit: a billed row a request would make small requests dear, so requests that arrive
// together share one.
//
// When nothing is being written the first append is written at once. Those that arrive while it is
// on its way to disk, or within GROUP_COMMIT_MS of it, wait and are written together - but no longer
// once GROUP_BYTES_TARGET has gathered: such a row is paid for, and waiting would only slow a sender
// of large requests down. All of a group is stored, or none; each append learns the fate of its own.

import { GROUP_BYTES_TARGET, GROUP_COMMIT_MS, PENDING_BYTES_MAX } from '../limits.ts'
import { err, ok, type Result } from '../result.ts'
import type { Append } from './store.ts'

export interface Stored {
  /** True when the batch had been stored before: this request added nothing. */
  duplicate: boolean
}

interface Waiting {
  append: Append
  bytes: number
  settle: (result: Result<Stored>) => void
}

export interface CommitTo {
  hasBatch(id: Uint8Array): boolean
  /** Writes the group in one transaction; throws when nothing was written. */
  write(group: Append[]): void
  /** Resolves when what was written is durable. */
  sync(): Promise<void>
  /** Told of each group once it is durable, in order and before the next is written. Must not throw. */
  stored?(group: Append[]): void
}

export class GroupCommit {
  readonly #to: CommitTo
  #waiting: Waiting[] = []
  #waitingBytes = 0
  /** Batches on their way, by id: a retry that meets its first attempt shares its result. */
  readonly #underway = new Map<string, Promise<Result<Stored>>>()
  #isRunning = false
  /** Ends the pause after a commit. */
  #wake: () => void = () => {}
  #closed: Result<Stored> | null = null

  constructor(to: CommitTo) {
    this.#to = to
  }

  append(append: Append): Promise<Result<Stored>> {
    if (this.#closed) return Promise.resolve(this.#closed)
    const key = append.batchId === null ? null : keyOf(append.batchId)
    if (key !== null && append.batchId) {
      const first = this.#underway.get(key)
      if (first) return first.then((result) => (result.ok ? ok({ duplicate: true }) : result))
      if (this.#to.hasBatch(append.batchId)) return Promise.resolve(ok({ duplicate: true }))
    }
    const bytes = append.segments.reduce((sum, segment) => sum + segment.bytes.length, 0)
    if (this.#waitingBytes + bytes > PENDING_BYTES_MAX && this.#waitingBytes > 0) {
      const text = `the shard has ${this.#waitingBytes} bytes waiting to be written; retry in a second`
      return Promise.resolve(err('overloaded', text, { max: PENDING_BYTES_MAX }))
    }
    const { promise, resolve } = Promise.withResolvers<Result<Stored>>()
    this.#waiting.push({ append, bytes, settle: resolve })
    this.#waitingBytes += bytes
    if (key !== null) {
      this.#underway.set(key, promise)
      promise.finally(() => this.#underway.delete(key))
    }
    if (!this.#isRunning) void this.#run()
    else if (this.#waitingBytes >= GROUP_BYTES_TARGET) this.#wake()
    return promise
  }

  /** Answers all that wait, and all that come, with a failure: the tenant is gone. */
  close(failure: Result<Stored>): void {
    this.#closed = failure
    for (const waiting of this.#waiting) waiting.settle(failure)
    this.#waiting = []
    this.#waitingBytes = 0
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    while (this.#waiting.length > 0) {
      const group = this.#waiting
      this.#waiting = []
      this.#waitingBytes = 0
      const startedMs = Date.now()
      const result = await this.#commit(group.map((waiting) => waiting.append))
      for (const waiting of group) waiting.settle(result)
      if (this.#waitingBytes < GROUP_BYTES_TARGET) {
        await this.#pause(GROUP_COMMIT_MS - (Date.now() - startedMs))
      }
    }
    this.#isRunning = false
  }

  #pause(ms: number): Promise<void> {
    if (ms <= 0) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  async #commit(group: Append[]): Promise<Result<Stored>> {
    try {
      this.#to.write(group)
      await this.#to.sync()
      this.#to.stored?.(group)
      return ok({ duplicate: false })
    } catch (e) {
      // The database is full, or the platform could not write: the caller keeps the data and retries.
      console.error('commit failed', e)
      return err('unavailable', 'the records could not be stored; retry in a second')
    }
  }
}

const keyOf = (id: Uint8Array) => String.fromCharCode(...id)
