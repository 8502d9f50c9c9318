// The records of a block in its order, column by column: what chunk-write.ts encodes. Parts come as
// they lay in the write-ahead rows or in older blocks; here they become one sequence.

import { LEVELS, type RecordBatch, TEXT_COLUMNS, type TextColumn } from '../record.ts'
import { type ChosenAttribute, chooseAttributes, restTexts, twinsOf } from './attribute-columns.ts'
import type { ColumnValues, Scalar } from './chunk-write.ts'
import { attributeSpec, type ColumnSpec, SCHEMA } from './layout.ts'
import type { Order, Range } from './order.ts'
import { type PartColumn, Places } from './places.ts'
import type { StoredBatch } from './stored.ts'

export interface BlockColumn extends ColumnSpec {
  /** A text column of the schema with the same value in every row of the block. */
  twin: TextColumn | null
  gather(range: Range): ColumnValues
}

type Gather = (range: Range) => ColumnValues

/** Every column of the block: the schema's, then those of its most frequent attributes. */
export function columnsOf(parts: StoredBatch[], order: Order, shard: number): BlockColumn[] {
  const chosen = chooseAttributes(parts)
  const twins = twinsOf(parts, chosen)
  const rows = new Rows(parts, order)
  const gatherers = schemaGatherers(parts, rows, restTexts(parts, chosen), shard)
  return [
    ...SCHEMA.map((spec) => ({ ...spec, twin: null, gather: gatherers[spec.name]! })),
    ...chosen.map((attribute, i) => ({
      ...attributeSpec(attribute.key, attribute.type),
      twin: twins[i]!,
      gather: attributeGatherer(rows, attribute),
    })),
  ]
}

/** The rows of all parts, one after the other, and the order they have in the block. */
class Rows {
  readonly #lengths: number[]
  readonly #order: Order

  constructor(parts: StoredBatch[], order: Order) {
    this.#lengths = parts.map(({ batch }) => batch.length)
    this.#order = order
  }

  /** The values of a column, null where a row has none. */
  values<T>(columns: PartColumn<T>[]): (range: Range) => (T | null)[] {
    return ({ from, to }) => {
      const all = this.#flat(columns)
      const out = new Array<T | null>(to - from)
      for (let i = from; i < to; i++) out[i - from] = all[this.#order[i]!]!
      return out
    }
  }

  #flat<T>(columns: PartColumn<T>[]): (T | null)[] {
    const all = new Array<T | null>(this.#order.length)
    let first = 0
    for (const [p, { rows, values }] of columns.entries()) {
      const length = this.#lengths[p]!
      if (rows) {
        all.fill(null, first, first + length)
        for (let i = 0; i < rows.length; i++) all[first + rows[i]!] = values[i]!
      } else for (let row = 0; row < length; row++) all[first + row] = values[row]!
      first += length
    }
    return all
  }

  /** A column as dictionary and places where it repeats, else as its values. */
  column<T extends string | number>(of: Scalar, columns: PartColumn<T>[]): Gather {
    const values = this.values(columns)
    let places: Places<T> | null | undefined
    return (range) => {
      if (places === undefined) places = this.#places(columns)
      if (places?.distinct.length === 0) return { kind: 'none', rows: range.to - range.from }
      if (!places) return { kind: 'values', of, values: values(range) }
      return { kind: 'places', of, ...places.range(this.#order, range.from, range.to) }
    }
  }

  #places<T>(columns: PartColumn<T>[]): Places<T> | null {
    const places = new Places<T>(this.#order.length)
    let first = 0
    for (const [p, column] of columns.entries()) {
      if (!places.add(column, first)) return null
      first += this.#lengths[p]!
    }
    return places
  }
}

function schemaGatherers(
  parts: StoredBatch[],
  rows: Rows,
  rests: (string | null)[][],
  shard: number,
): Record<string, Gather> {
  const dense = <T>(of: (part: StoredBatch) => ArrayLike<T | null>): PartColumn<T>[] =>
    parts.map((part) => ({ rows: null, values: of(part) }))
  const text = (of: (batch: RecordBatch) => (string | null)[]) =>
    rows.column<string>(
      'text',
      dense(({ batch }) => of(batch)),
    )
  /** Texts that a batch holds by index. */
  const named = (of: (batch: RecordBatch) => { index: number[]; texts: string[] }) =>
    rows.column<string>(
      'text',
      parts.map(({ batch }) => {
        const { index, texts } = of(batch)
        const values = index.map((at) => texts[at]!)
        return { rows: null, values, known: { distinct: texts, index } }
      }),
    )
  const time = (of: (batch: RecordBatch) => { ms: number[]; ns: number[] }): Gather => {
    const ms = rows.values(dense(({ batch }) => of(batch).ms))
    const ns = rows.values(dense(({ batch }) => of(batch).ns))
    return (range) => ({ kind: 'times', ms: ms(range) as number[], ns: ns(range) as number[] })
  }
  const number = (of: Scalar, pick: (part: StoredBatch) => ArrayLike<number>) =>
    rows.column<number>(of, dense(pick))
  return {
    timestamp: time((batch) => ({ ms: batch.timeMs, ns: batch.timeNs })),
    observed_time: time((batch) => ({ ms: batch.observedMs, ns: batch.observedNs })),
    received_time: number('ms', (part) => part.receivedMs),
    level: named((batch) => ({ index: batch.level, texts: [...LEVELS] })),
    severity_number: number('int', ({ batch }) => batch.severityNumber),
    severity_text: text((batch) => batch.severityText),
    ...Object.fromEntries(TEXT_COLUMNS.map((name) => [name, text((batch) => batch.text[name])])),
    message: text((batch) => batch.message),
    pattern: rows.column<string>(
      'text',
      dense(({ batch, patterns }) => patterns ?? new Array<null>(batch.length).fill(null)),
    ),
    body: text((batch) => batch.body),
    attributes: rows.column<string>(
      'text',
      rests.map((values) => ({ rows: null, values })),
    ),
    resource: named((batch) => ({ index: batch.resource, texts: batch.resources })),
    scope: named((batch) => ({ index: batch.scope, texts: batch.scopes })),
    otel: text((batch) => batch.otel),
    cut: text((batch) => batch.cut),
    seq: number('long', (part) => part.seqs),
    shard: ({ from, to }) => {
      return { kind: 'places', of: 'int', dictionary: [shard], places: new Int32Array(to - from) }
    },
  }
}

const NO_ROWS = { rows: [], values: [] }
const SCALAR_OF = { text: 'text', int: 'long', num: 'num' } as const

function attributeGatherer(rows: Rows, { type, columns }: ChosenAttribute): Gather {
  const own = columns.map((column) => column ?? NO_ROWS)
  if (type === 'bool') {
    const values = rows.values(own as PartColumn<boolean>[])
    return (range) => ({ kind: 'bools', values: values(range) })
  }
  if (own.some(({ values }) => values.some((value) => Object.is(value, -0)))) {
    // A dictionary would take it for 0.
    const values = rows.values(own as PartColumn<number>[])
    return (range) => ({ kind: 'values', of: SCALAR_OF[type], values: values(range) })
  }
  return rows.column(SCALAR_OF[type], own as PartColumn<string | number>[])
}
