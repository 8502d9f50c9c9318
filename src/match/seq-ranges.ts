// A set of sequence numbers as the fewest ranges: what a reader has scanned of a shard. Blocks move
// while it reads, and a record that it meets again in another block must not be shown twice.

/** Both ends included. */
export interface SeqRange {
  firstSeq: number
  lastSeq: number
}

export class SeqRanges {
  /** Ascending, and neither overlapping nor next to each other. */
  #ranges: SeqRange[] = []

  add({ firstSeq, lastSeq }: SeqRange): void {
    if (firstSeq > lastSeq) return
    const from = this.#ranges.findIndex((range) => range.lastSeq >= firstSeq - 1)
    if (from < 0) {
      this.#ranges.push({ firstSeq, lastSeq })
      return
    }
    let to = from
    let first = firstSeq
    let last = lastSeq
    for (let range = this.#ranges[to]; range && range.firstSeq <= last + 1; ) {
      first = Math.min(first, range.firstSeq)
      last = Math.max(last, range.lastSeq)
      range = this.#ranges[++to]
    }
    this.#ranges.splice(from, to - from, { firstSeq: first, lastSeq: last })
  }

  /** Whether any number of the range is in the set. */
  touches({ firstSeq, lastSeq }: SeqRange): boolean {
    return this.#ranges.some((range) => range.firstSeq <= lastSeq && range.lastSeq >= firstSeq)
  }

  has(seq: number): boolean {
    let low = 0
    let high = this.#ranges.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#ranges[middle]!.lastSeq < seq) low = middle + 1
      else high = middle
    }
    return low < this.#ranges.length && this.#ranges[low]!.firstSeq <= seq
  }
}
