// Counts by value, in bounded memory: a table with a line of numbers for each value. The values met
// first are kept, and their counts are exact; what comes when the table is full is counted as others.

import { GROUP_CELLS_MAX, GROUP_CHARS_MAX, GROUPS_MAX } from '../limits.ts'
import { inOnePiece } from './field-values.ts'

/** Of records that lack the field. */
export const MISSING = 0
/** Of values that found no place. */
export const OTHERS = 1
const FIRST = 2

export class Groups {
  /** Numbers of a line. */
  readonly width: number
  /** False once a value found no place: there may be more frequent ones than those kept. */
  isComplete = true
  readonly #lines = new Map<string, number>()
  readonly #linesMax: number
  #chars = 0
  #counts: Float64Array

  constructor(width: number) {
    this.width = width
    this.#linesMax = Math.min(GROUPS_MAX, Math.floor(GROUP_CELLS_MAX / width))
    this.#counts = new Float64Array(16 * width)
  }

  /** The line of a value. */
  lineOf(value: string): number {
    const known = this.#lines.get(value)
    if (known !== undefined) return known
    const isFull =
      this.#lines.size === this.#linesMax || this.#chars + value.length > GROUP_CHARS_MAX
    if (isFull) {
      this.isComplete = false
      return OTHERS
    }
    const line = FIRST + this.#lines.size
    this.#lines.set(inOnePiece(value), line)
    this.#chars += value.length
    if ((line + 1) * this.width > this.#counts.length) {
      const counts = new Float64Array(this.#counts.length * 2)
      counts.set(this.#counts)
      this.#counts = counts
    }
    return line
  }

  add(line: number, at: number, records: number): void {
    this.#counts[line * this.width + at]! += records
  }

  /** The numbers of a line; read it before the next lineOf. */
  counts(line: number): Float64Array {
    return this.#counts.subarray(line * this.width, (line + 1) * this.width)
  }

  sum(line: number): number {
    let sum = 0
    for (const count of this.counts(line)) sum += count
    return sum
  }

  /** Values by their sums, the most frequent first; null stands for records without one. */
  *byCount(withMissing: boolean): Generator<{ value: string | null; line: number; count: number }> {
    const all = [...this.#lines].map(([value, line]) => ({ value, line, count: this.sum(line) }))
    const missing = { value: null, line: MISSING, count: this.sum(MISSING) }
    const listed = withMissing && missing.count > 0 ? [...all, missing] : all
    yield* listed.sort((a, b) => b.count - a.count || compareValues(a.value, b.value))
  }

  get size(): number {
    return this.#lines.size
  }
}

const compareValues = (a: string | null, b: string | null) => {
  if (a === null || b === null) return Number(a === null) - Number(b === null)
  return a < b ? -1 : Number(a > b)
}
