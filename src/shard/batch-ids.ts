// Which batches were stored in the last ten minutes: a set of 128-bit ids in typed arrays, because a
// Set of a million strings takes 100 MB of an isolate's 128.
//
// Generations, each an open-addressing table of four 32-bit words an entry, young first. An id is
// added to the youngest; a quarter of the time later, or when that is full, a new one is begun and
// the oldest forgotten. So an id is known for ten to twelve and a half minutes, and for less only
// when more than BATCH_IDS_MAX arrive in that time: then the oldest go.

import { BATCH_ID_MS, BATCH_IDS_MAX } from '../limits.ts'

export const BATCH_ID_BYTES = 16
const WORDS = 4
const SLOTS_MIN = 1024

/** The youngest is still filling, so one more than divides the time. */
const GENERATIONS = 5

export class BatchIds {
  #tables = [new Table()]
  #youngestSinceMs = 0
  readonly #idsMax: number

  constructor(idsMax = BATCH_IDS_MAX) {
    this.#idsMax = idsMax
  }

  has(id: Uint8Array, nowMs: number): boolean {
    this.#age(nowMs)
    const words = wordsOfId(id)
    return this.#tables.some((table) => table.has(words))
  }

  add(id: Uint8Array, nowMs: number): void {
    this.#age(nowMs)
    if (this.#tables[0]!.size >= this.#idsMax / GENERATIONS) this.#begin(nowMs)
    this.#tables[0]!.add(wordsOfId(id))
  }

  /** Begins the generations that are due; after a long silence all are. */
  #age(nowMs: number): void {
    const step = BATCH_ID_MS / (GENERATIONS - 1)
    for (let i = 0; i < GENERATIONS && nowMs - this.#youngestSinceMs >= step; i++) {
      const isLongAgo = nowMs - this.#youngestSinceMs >= GENERATIONS * step
      this.#begin(isLongAgo ? nowMs : this.#youngestSinceMs + step)
      if (isLongAgo) this.#tables.length = 1
    }
  }

  #begin(sinceMs: number): void {
    this.#tables = [new Table(), ...this.#tables.slice(0, GENERATIONS - 1)]
    this.#youngestSinceMs = sinceMs
  }
}

class Table {
  size = 0
  #slots = new Uint32Array(SLOTS_MIN * WORDS)

  has(id: Uint32Array): boolean {
    const at = this.#find(id)
    return !isEmpty(this.#slots, at)
  }

  add(id: Uint32Array): void {
    if ((this.size + 1) * WORDS * 3 > this.#slots.length * 2) this.#grow()
    const at = this.#find(id)
    if (!isEmpty(this.#slots, at)) return
    this.#slots.set(id, at)
    this.size++
  }

  /** The slot of an id, or the empty one where it would go. Ids are hashes, so a word is the hash. */
  #find(id: Uint32Array): number {
    const slots = this.#slots
    const mask = slots.length / WORDS - 1
    for (let slot = id[0]! & mask; ; slot = (slot + 1) & mask) {
      const at = slot * WORDS
      if (isEmpty(slots, at)) return at
      let word = 0
      while (word < WORDS && slots[at + word] === id[word]) word++
      if (word === WORDS) return at
    }
  }

  #grow(): void {
    const before = this.#slots
    this.#slots = new Uint32Array(before.length * 2)
    for (let at = 0; at < before.length; at += WORDS) {
      if (isEmpty(before, at)) continue
      const id = before.subarray(at, at + WORDS)
      this.#slots.set(id, this.#find(id))
    }
  }
}

/** All zero marks an empty slot; the one id in 2^128 that is all zero is never remembered. */
function isEmpty(slots: Uint32Array, at: number): boolean {
  return (slots[at]! | slots[at + 1]! | slots[at + 2]! | slots[at + 3]!) === 0
}

function wordsOfId(id: Uint8Array): Uint32Array {
  // A copy, because a view of four-byte words needs an aligned start.
  return new Uint32Array(id.slice(0, BATCH_ID_BYTES).buffer)
}
