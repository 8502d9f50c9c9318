// Samples of records whose stages are all answered by the stored filter: labels are read a column at a
// time, and no object is made for a record.

import { Buffer } from 'node:buffer'
import type { Needed } from '../block/parquet.ts'
import type { StoredBatch } from '../block/stored.ts'
import { FieldReader, type FieldValues } from '../count/field-values.ts'
import { type LabelValue, labelWalk } from '../match/label.ts'
import { NOTHING_NEEDED } from '../match/merge.ts'
import { bothNeeded } from '../match/scan.ts'
import { labelField } from './labels.ts'
import type { SeriesTable } from './range-series.ts'

/** The samples of some rows, by their place among them. */
export interface Samples {
  /** The series of each row, -1 where it has no sample. */
  series: Int32Array
  /** Null: every sample is 1. */
  values: Float64Array | null
}

/** Where samples come from. */
export interface SampleSource {
  readonly needed: Needed
  /** It takes long over a record. */
  readonly isSlow: boolean
  /** Only rows whose interval is not -1 have samples. */
  read(stored: StoredBatch, rows: number[], intervals: Int32Array): Samples
}

/** The number that a label's text is; null: it is no sample. Refuses what is no number, and names its labels. */
export type Convert = (
  text: string,
  labelsOf: () => Iterable<readonly [string, string]>,
) => number | null

/** What the value of a sample is, where it is not 1. */
export type Measure =
  | { is: 'bytes' }
  /** `takesNumbers`: what is stored as a number is converted as it is. */
  | { is: 'label'; name: string; convert: Convert; takesNumbers: boolean }
  | null

export class ColumnSource implements SampleSource {
  readonly needed: Needed
  readonly isSlow = false
  readonly #fields: { names: string[]; reader: FieldReader }[]
  readonly #measure: Measure
  readonly #unwrapped: Unwrapped | null
  readonly #series: SeriesTable

  constructor(names: string[], measure: Measure, series: SeriesTable) {
    // `level` and `detected_level` are one field.
    const byField = Map.groupBy(names, (name) => JSON.stringify(labelField(name)))
    this.#fields = [...byField.values()].map((names) => ({
      names,
      reader: new FieldReader(labelField(names[0]!)),
    }))
    this.#measure = measure
    this.#unwrapped = measure?.is === 'label' ? new Unwrapped(measure) : null
    this.#series = series
    const readers = [...this.#fields.map(({ reader }) => reader), this.#unwrapped]
    this.needed = readers.reduce(
      (needed, reader) => (reader ? bothNeeded(needed, reader.needed) : needed),
      NOTHING_NEEDED,
    )
  }

  read(stored: StoredBatch, rows: number[], intervals: Int32Array): Samples {
    const fields = this.#fields.map(({ reader }) => reader.values(stored, rows))
    const bytes = this.#measure?.is === 'bytes' ? bytesOf(stored, rows, intervals) : null
    const groups = groupsOf(fields, rows.length)
    const pairsOf = (group: number) => this.#pairsOf(fields, groups.codesOf(group))
    const numbers = this.#unwrapped?.read(stored, rows, intervals, (i) => pairsOf(groups.of[i]!))
    const known = new Int32Array(groups.count).fill(-1)
    const series = new Int32Array(rows.length).fill(-1)
    for (let i = 0; i < rows.length; i++) {
      if (intervals[i]! < 0 || numbers?.isSample[i] === 0) continue
      const group = groups.of[i]!
      if (known[group]! < 0) known[group] = this.#series.numberOf(pairsOf(group))
      series[i] = known[group]!
    }
    return { series, values: numbers?.values ?? bytes }
  }

  #pairsOf(fields: FieldValues[], codes: number[]): [string, string][] {
    return this.#fields.flatMap(({ names }, f) => {
      const value = codes[f]! < 0 ? '' : fields[f]!.values[codes[f]!]!
      return names.map((name): [string, string] => [name, value])
    })
  }
}

/** Reads the numbers that a label has. */
class Unwrapped {
  readonly needed: Needed
  readonly #convert: Convert
  readonly #takesNumbers: boolean
  readonly #walk: (stored: StoredBatch, rows: number[], take: Take) => void

  constructor({ name, convert, takesNumbers }: Extract<Measure, { is: 'label' }>) {
    const field = labelField(name)
    const reader = new FieldReader(field)
    this.needed = reader.needed
    this.#convert = convert
    this.#takesNumbers = takesNumbers
    this.#walk =
      field.in === 'label'
        ? labelIn(field.name)
        : (stored, rows, take) => {
            const { values, codes } = reader.values(stored, rows)
            for (let i = 0; i < codes.length; i++) if (codes[i]! >= 0) take(i, values[codes[i]!]!)
          }
  }

  /** A text is converted once, however many records of the batch have it. */
  read(
    stored: StoredBatch,
    rows: number[],
    intervals: Int32Array,
    pairsOf: (i: number) => [string, string][],
  ) {
    const values = new Float64Array(rows.length)
    const isSample = new Uint8Array(rows.length)
    const known = new Map<string, number | null>()
    const numberOf = (i: number, value: LabelValue): number | null => {
      if (typeof value === 'number' && this.#takesNumbers) return value
      const text = String(value)
      let number = known.get(text)
      if (number === undefined) {
        number = this.#convert(text, () => pairsOf(i))
        known.set(text, number)
      }
      return number
    }
    this.#walk(stored, rows, (i, value) => {
      if (intervals[i]! < 0) return
      const number = numberOf(i, value)
      if (number === null) return
      values[i] = number
      isSample[i] = 1
    })
    return { values, isSample }
  }
}

function labelIn(name: string) {
  const walk = labelWalk(name)
  return ({ batch }: StoredBatch, rows: number[], take: Take) => walk(batch, rows, take)
}

type Take = (i: number, value: LabelValue) => void

/** Bytes of each line as it was sent. */
function bytesOf(stored: StoredBatch, rows: number[], intervals: Int32Array): Float64Array {
  const bytes = new Float64Array(rows.length)
  for (let i = 0; i < rows.length; i++) {
    if (intervals[i]! >= 0) bytes[i] = lineBytes(stored, rows[i]!)
  }
  return bytes
}

/** In a block the length of a message is known without it. */
export const lineBytes = ({ batch, messages }: StoredBatch, row: number): number =>
  messages ? messages.bytesAt(row) : Buffer.byteLength(batch.message[row]!)

interface GroupsOfRows {
  /** The group of each row, from 0 on. */
  of: Int32Array
  count: number
  /** The code of each field that all rows of a group have. */
  codesOf(group: number): number[]
}

/** Places of pairs that a plain table may have; for more a map takes less. */
const TABLE_MAX = 1 << 16

/** Rows with the same value in every field: by the first field, then each group by the next one. */
function groupsOf(fields: FieldValues[], rows: number): GroupsOfRows {
  let of = new Int32Array(rows)
  let count = 1
  /** Of each field, what group of those before and which code a group has. */
  const origins: { parents: number[]; codes: number[] }[] = []
  for (const { values, codes } of fields) {
    const width = values.length + 1
    const table = count * width <= TABLE_MAX ? new Int32Array(count * width) : null
    const map = new Map<number, number>()
    const origin = { parents: [] as number[], codes: [] as number[] }
    const next = new Int32Array(rows)
    for (let i = 0; i < rows; i++) {
      // Codes begin at -1.
      const pair = of[i]! * width + codes[i]! + 1
      let group = (table ? table[pair]! : (map.get(pair) ?? 0)) - 1
      if (group < 0) {
        group = origin.parents.push(of[i]!) - 1
        origin.codes.push(codes[i]!)
        if (table) table[pair] = group + 1
        else map.set(pair, group + 1)
      }
      next[i] = group
    }
    of = next
    count = origin.parents.length
    origins.push(origin)
  }
  const codesOf = (group: number) => {
    const codes: number[] = []
    for (let f = origins.length - 1; f >= 0; f--) {
      codes.unshift(origins[f]!.codes[group]!)
      group = origins[f]!.parents[group]!
    }
    return codes
  }
  return { of, count, codesOf }
}
