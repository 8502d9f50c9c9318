// A column that repeats, as its distinct values and the place of each row's value among them: the form
// in which Parquet holds it, gathered from the columns of a block's parts.

/** The column of one part: a value a row, or of some `rows` alone. */
export interface PartColumn<T> {
  rows: number[] | null
  values: ArrayLike<T | null>
  /** Where the part itself holds distinct values and places: `values[i]` is `distinct[index[i]]`. */
  known?: { distinct: T[]; index: number[] }
}

/** Values of a part looked at before a column is taken for one that does not repeat. */
const TRIAL = 256
const TRIAL_DISTINCT_MAX = 192

/** The columns of all parts as one: distinct values, and the place of each row, -1 for none. */
export class Places<T> {
  readonly distinct: T[] = []
  readonly #index = new Map<T, number>()
  readonly #places: Int32Array
  readonly #distinctMax: number

  constructor(rows: number) {
    this.#places = new Int32Array(rows).fill(-1)
    this.#distinctMax = Math.max(1, rows >> 1)
  }

  /**
   * Adds a part's column, whose rows begin at `first`. False where the values differ too much, and
   * then nothing of this may be used.
   */
  add({ rows, values, known }: PartColumn<T>, first: number): boolean {
    const places = this.#places
    if (known) {
      const placeOf = known.distinct.map((value) => this.#placeOf(value))
      for (let i = 0; i < values.length; i++) places[first + i] = placeOf[known.index[i]!]!
      return this.distinct.length <= this.#distinctMax
    }
    const before = this.distinct.length
    let last: T | null = null
    let place = -1
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!
      // Neighbours are often equal, and hashing a text costs more than comparing two.
      if (value !== last) {
        place = value === null ? -1 : this.#placeOf(value)
        last = value
        const count = this.distinct.length
        const isHopeless = i < TRIAL && count - before > TRIAL_DISTINCT_MAX
        if (isHopeless || count > this.#distinctMax) return false
      }
      places[first + (rows ? rows[i]! : i)] = place
    }
    return true
  }

  #placeOf(value: T): number {
    let place = this.#index.get(value)
    if (place === undefined) {
      place = this.distinct.push(value) - 1
      this.#index.set(value, place)
    }
    return place
  }

  /**
   * The rows that `order` names from `from` to `to` (exclusive): their distinct values by first sight,
   * and each row's place among those.
   */
  range(order: Uint32Array, from: number, to: number): { dictionary: T[]; places: Int32Array } {
    const own = new Int32Array(this.distinct.length).fill(-1)
    const dictionary: T[] = []
    const places = new Int32Array(to - from)
    for (let i = from; i < to; i++) {
      const place = this.#places[order[i]!]!
      if (place >= 0 && own[place]! < 0) own[place] = dictionary.push(this.distinct[place]!) - 1
      places[i - from] = place < 0 ? -1 : own[place]!
    }
    return { dictionary, places }
  }
}
