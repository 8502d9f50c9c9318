// Blocks that lie in the archive, read for one query: few at a time, ahead of the scan, and again when
// a read fails. Whatever R2 does, the answer is a value: what can not be read is named in the reply.

import { type BlockFile, openBlock } from '../block/parquet.ts'

/** An object as a shard names it. */
export interface ColdObject {
  key: string
  size: number
}

export type ColdRead =
  | { kind: 'read'; file: BlockFile }
  /** There is no such object: its block has moved, or was taken away. */
  | { kind: 'gone' }
  /** Not the bytes that were written, each time. */
  | { kind: 'corrupt' }
  /** No answer, each time; or no bucket. */
  | { kind: 'failed' }

/**
 * Reads of one query at once, and objects it holds: each may have 1.9 MB, and a Worker has six
 * connections that wait for an answer.
 */
export const COLD_READS_MAX = 4

/**
 * Objects that fail one after the other until R2 counts as down for this query: it would take half a
 * minute to find that out for each of a thousand.
 */
export const COLD_FAILURES_MAX = 4

/** How long to try. A stuck read is given up: the platform can not cancel one. */
export interface ColdPatience {
  attemptMs: number
  /** Before the second attempt, and before each that follows. */
  pausesMs: number[]
}
const PATIENCE: ColdPatience = { attemptMs: 10_000, pausesMs: [50, 250] }

export class ColdReads {
  /** Reads sent to R2: each is billed. */
  reads = 0
  readonly #archive: R2Bucket | undefined
  readonly #patience: ColdPatience
  /** Started and not yet taken. */
  readonly #started = new Map<string, Promise<ColdRead>>()
  #running = 0
  /** Objects that failed since the last that did not. */
  #failures = 0
  readonly #waiting: (() => void)[] = []
  #isClosed = false

  constructor(archive: R2Bucket | undefined, patience = PATIENCE) {
    this.#archive = archive
    this.#patience = patience
  }

  /** Starts reading what will be taken next, the first first, as far as there is room. */
  ahead(objects: ColdObject[]): void {
    for (const object of objects) {
      if (this.#started.size >= COLD_READS_MAX) return
      if (!this.#started.has(object.key)) this.#started.set(object.key, this.#read(object))
    }
  }

  async take(object: ColdObject): Promise<ColdRead> {
    const started = this.#started.get(object.key)
    this.#started.delete(object.key)
    return started ?? this.#read(object)
  }

  /** Nothing more is needed: what is under way is not tried again. */
  close(): void {
    this.#isClosed = true
  }

  async #read(object: ColdObject): Promise<ColdRead> {
    if (!this.#archive) return { kind: 'failed' }
    while (this.#running >= COLD_READS_MAX) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    this.#running++
    try {
      if (this.#failures >= COLD_FAILURES_MAX) return { kind: 'failed' }
      const read = await this.#readPatiently(this.#archive, object)
      this.#failures = read.kind === 'failed' ? this.#failures + 1 : 0
      return read
    } finally {
      this.#running--
      this.#waiting.shift()?.()
    }
  }

  async #readPatiently(archive: R2Bucket, object: ColdObject): Promise<ColdRead> {
    let read: ColdRead = { kind: 'failed' }
    for (const pauseMs of [0, ...this.#patience.pausesMs]) {
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs))
      if (this.#isClosed) break
      this.reads++
      read = await this.#attempt(archive, object)
      if (read.kind === 'read' || read.kind === 'gone') break
    }
    return read
  }

  async #attempt(archive: R2Bucket, { key, size }: ColdObject): Promise<ColdRead> {
    let timer: ReturnType<typeof setTimeout> | undefined
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), this.#patience.attemptMs)
    })
    let bytes: Uint8Array | null | 'late'
    try {
      bytes = await Promise.race([bytesOf(archive, key), late])
    } catch (e) {
      // R2 throws what its service answered, and a body that breaks off throws too.
      console.error(`reading ${key} failed`, e)
      return { kind: 'failed' }
    } finally {
      clearTimeout(timer)
    }
    if (bytes === null) return { kind: 'gone' }
    if (bytes === 'late') {
      console.error(`reading ${key} took longer than ${this.#patience.attemptMs} ms`)
      return { kind: 'failed' }
    }
    return fileOf(bytes, key, size)
  }
}

async function bytesOf(archive: R2Bucket, key: string): Promise<Uint8Array | null> {
  const object = await archive.get(key)
  return object && new Uint8Array(await object.arrayBuffer())
}

function fileOf(bytes: Uint8Array, key: string, size: number): ColdRead {
  if (bytes.length !== size) {
    console.error(`${key} has ${bytes.length} bytes, not the ${size} that were written`)
    return { kind: 'corrupt' }
  }
  try {
    return { kind: 'read', file: openBlock(bytes) }
  } catch (e) {
    // The bytes came from outside: whatever the reader throws, they are no block.
    console.error(`${key} can not be opened`, e)
    return { kind: 'corrupt' }
  }
}
