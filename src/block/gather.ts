// The records of a block in its order, column by column: what parquet.ts encodes. Parts come as they
// lay in the write-ahead rows or in older blocks; here they become one sequence, by time.

import { Buffer } from 'node:buffer'
import {
  type AttributeColumn,
  LEVELS,
  type RecordBatch,
  TEXT_COLUMNS,
  type TextColumn,
} from '../record.ts'
import type { ColumnValues } from './chunk-write.ts'
import {
  attributeSpec,
  type ColumnSpec,
  GROUP_RECORDS_MAX,
  SCHEMA,
  type ScalarType,
} from './layout.ts'
import type { StoredBatch } from './stored.ts'

const ATTRIBUTE_COLUMNS_MAX = 64
/** Longer names than this are no one's column: they go where a name is a value. */
const ATTRIBUTE_NAME_BYTES_MAX = 128
/** Raw bytes of a row group aimed at: a reader holds all of it at once. */
const GROUP_BYTES_TARGET = 16 * 1024 * 1024

/** Some records of the block: `from`..`to` (exclusive) of its order. */
export interface Range {
  from: number
  to: number
}

export interface BlockColumn extends ColumnSpec {
  /** A text column of the schema with the same value in every row of the block. */
  twin: TextColumn | null
  gather(range: Range): ColumnValues
}

/** Which row each record of the block was, of all parts one after the other. */
export type Order = Uint32Array

/** By time, and by sequence number among those of one time. */
export function orderOf(parts: StoredBatch[]): Order {
  const count = parts.reduce((sum, { batch }) => sum + batch.length, 0)
  const ms = new Float64Array(count)
  const ns = new Float64Array(count)
  const seqs = new Float64Array(count)
  let at = 0
  for (const { batch, seqs: own } of parts) {
    ms.set(batch.timeMs, at)
    ns.set(batch.timeNs, at)
    seqs.set(own, at)
    at += batch.length
  }
  const order = Array.from({ length: count }, (_, row) => row)
  order.sort((a, b) => ms[a]! - ms[b]! || ns[a]! - ns[b]! || seqs[a]! - seqs[b]!)
  return Uint32Array.from(order)
}

/** The row groups: of at most GROUP_RECORDS_MAX records and about GROUP_BYTES_TARGET. */
export function groupsOf(parts: StoredBatch[], order: Order): Range[] {
  const bytes = flat(parts.map(({ batch }) => ownBytes(batch)))
  const groups: Range[] = []
  let from = 0
  let held = 0
  for (let i = 0; i < order.length; i++) {
    const own = bytes[order[i]!]!
    if (i - from === GROUP_RECORDS_MAX || (i > from && held + own > GROUP_BYTES_TARGET)) {
      groups.push({ from, to: i })
      from = i
      held = 0
    }
    held += own
  }
  groups.push({ from, to: order.length })
  return groups
}

/** Bytes of each record, with those of a resource and scope at the first that names them. */
function ownBytes(batch: RecordBatch): number[] {
  const bytes = batch.bytes.slice()
  for (const { index, texts } of [
    { index: batch.resource, texts: batch.resources },
    { index: batch.scope, texts: batch.scopes },
  ]) {
    const isNamed = new Uint8Array(texts.length)
    for (let row = 0; row < index.length; row++) {
      const at = index[row]!
      if (isNamed[at] === 0) bytes[row]! += texts[at]!.length
      isNamed[at] = 1
    }
  }
  return bytes
}

/** Every column of the block: the schema's, then those of its most frequent attributes. */
export function columnsOf(parts: StoredBatch[], order: Order, shard: number): BlockColumn[] {
  const chosen = chosenAttributes(parts)
  const rests = restTexts(parts, new Set(chosen.flatMap(({ columns }) => columns)))
  const gatherers: Record<string, Gather> = {
    ...schemaGatherers(parts, order, shard),
    attributes: textOf(order, rests),
  }
  const places = placesOfRows(parts, order)
  const filled = filledRows(parts)
  return [
    ...SCHEMA.map((spec) => ({ ...spec, twin: null, gather: gatherers[spec.name]! })),
    ...chosen.map((attribute) => ({
      ...attributeSpec(attribute.key, attribute.type),
      twin: twinOf(attribute, parts, filled),
      gather: (range: Range) => attributeValues(attribute, places, range),
    })),
  ]
}

type Gather = (range: Range) => ColumnValues

/** One array of those of all parts, in the order that `Order` counts them. */
function flat<T>(columns: ArrayLike<T>[]): T[] {
  const arrays = columns.map((column) => (Array.isArray(column) ? column : Array.from(column)))
  return arrays.length === 1 ? arrays[0]! : ([] as T[]).concat(...arrays)
}

function pick<T>(order: Order, { from, to }: Range, values: T[]): T[] {
  const out = new Array<T>(to - from)
  for (let i = from; i < to; i++) out[i - from] = values[order[i]!]!
  return out
}

function textOf(order: Order, columns: (string | null)[][]): Gather {
  return (range) => {
    const values = flat(columns)
    if (values.every((value) => value === null))
      return { kind: 'none', rows: range.to - range.from }
    return { kind: 'text', values: pick(order, range, values) }
  }
}

function schemaGatherers(
  parts: StoredBatch[],
  order: Order,
  shard: number,
): Record<string, Gather> {
  const values =
    <T>(of: (part: StoredBatch) => ArrayLike<T>) =>
    (range: Range) =>
      pick(order, range, flat(parts.map(of)))
  const text = (of: (batch: RecordBatch) => (string | null)[]): Gather =>
    textOf(
      order,
      parts.map(({ batch }) => of(batch)),
    )
  const time = (of: (batch: RecordBatch) => { ms: number[]; ns: number[] }): Gather => {
    const ms = values(({ batch }) => of(batch).ms)
    const ns = values(({ batch }) => of(batch).ns)
    return (range) => ({ kind: 'time', ms: ms(range), ns: ns(range) })
  }
  const context = (of: (batch: RecordBatch) => { index: number[]; texts: string[] }): Gather => {
    const contexts = parts.map(({ batch }) => of(batch))
    return (range) => contextPlaces(order, range, contexts)
  }
  const receivedMs = values((part) => part.receivedMs)
  const severityNumber = values(({ batch }) => batch.severityNumber)
  const seqs = values((part) => part.seqs)
  return {
    timestamp: time((batch) => ({ ms: batch.timeMs, ns: batch.timeNs })),
    observed_time: time((batch) => ({ ms: batch.observedMs, ns: batch.observedNs })),
    received_time: (range) => ({ kind: 'time', ms: receivedMs(range), ns: null }),
    level: context((batch) => ({ index: batch.level, texts: [...LEVELS] })),
    severity_number: (range) => ({ kind: 'int', values: severityNumber(range) }),
    severity_text: text((batch) => batch.severityText),
    ...Object.fromEntries(TEXT_COLUMNS.map((name) => [name, text((batch) => batch.text[name])])),
    message: text((batch) => batch.message),
    pattern: textOf(
      order,
      parts.map(({ batch, patterns }) => patterns ?? new Array<null>(batch.length).fill(null)),
    ),
    body: text((batch) => batch.body),
    resource: context((batch) => ({ index: batch.resource, texts: batch.resources })),
    scope: context((batch) => ({ index: batch.scope, texts: batch.scopes })),
    otel: text((batch) => batch.otel),
    cut: text((batch) => batch.cut),
    seq: (range) => ({ kind: 'long', values: seqs(range) }),
    shard: ({ from, to }) => ({ kind: 'int', values: new Array<number>(to - from).fill(shard) }),
  }
}

/** Texts that parts hold by index, as one dictionary of those that the range names. */
function contextPlaces(
  order: Order,
  range: Range,
  contexts: { index: number[]; texts: string[] }[],
): ColumnValues {
  // Every text of every part has a number of its own, and the same text in two parts has two.
  const texts = contexts.flatMap((context) => context.texts)
  let before = 0
  const numbers = contexts.map(({ index, texts }) => {
    const first = before
    before += texts.length
    return first === 0 ? index : index.map((at) => first + at)
  })
  const placeOf = new Int32Array(texts.length).fill(-1)
  const all = new Map<string, number>()
  const named = pick(order, range, flat(numbers))
  const places = new Uint32Array(named.length)
  for (let row = 0; row < named.length; row++) {
    const number = named[row]!
    if (placeOf[number]! < 0) {
      const text = texts[number]!
      placeOf[number] = all.get(text) ?? all.size
      all.set(text, placeOf[number]!)
    }
    places[row] = placeOf[number]!
  }
  return { kind: 'places', dictionary: [...all.keys()], places }
}

/** For each part the place in the block of each of its rows. */
function placesOfRows(parts: StoredBatch[], order: Order): Uint32Array[] {
  const places = new Uint32Array(order.length)
  for (let i = 0; i < order.length; i++) places[order[i]!] = i
  let from = 0
  return parts.map(({ batch }) => {
    from += batch.length
    return places.subarray(from - batch.length, from)
  })
}

interface Chosen {
  key: string
  type: ScalarType
  /** The column of each part, undefined where it has none. */
  columns: (AttributeColumn | undefined)[]
  count: number
}

/** The (key, type) pairs that get a column of their own, in order of first sight. */
function chosenAttributes(parts: StoredBatch[]): Chosen[] {
  const all = new Map<string, Chosen>()
  for (const [p, { batch }] of parts.entries()) {
    for (const column of batch.attributes) {
      const { key, type, rows } = column
      if (type === 'json' || !isName(key)) continue
      let entry = all.get(`${type} ${key}`)
      if (!entry) {
        entry = { key, type, columns: new Array(parts.length), count: 0 }
        all.set(`${type} ${key}`, entry)
      }
      entry.columns[p] = column
      entry.count += rows.length
    }
  }
  // Readers that take names in any case would see one column twice: the most frequent spelling wins.
  const spellings = new Map<string, string>()
  const chosen = new Set<Chosen>()
  for (const entry of [...all.values()].sort((a, b) => b.count - a.count)) {
    const anyCase = entry.key.toLowerCase()
    const spelling = spellings.get(anyCase) ?? entry.key
    spellings.set(anyCase, spelling)
    if (spelling === entry.key && chosen.size < ATTRIBUTE_COLUMNS_MAX) chosen.add(entry)
  }
  return [...all.values()].filter((entry) => chosen.has(entry))
}

const isName = (key: string) =>
  key.length <= ATTRIBUTE_NAME_BYTES_MAX &&
  Buffer.byteLength(key) <= ATTRIBUTE_NAME_BYTES_MAX &&
  key.isWellFormed() &&
  !/\p{Cc}/u.test(key)

/** How many rows of each part have a value in each text column. */
function filledRows(parts: StoredBatch[]): Record<TextColumn, number[]> {
  const count = (values: (string | null)[]) =>
    values.reduce((sum, value) => (value === null ? sum : sum + 1), 0)
  const entries = TEXT_COLUMNS.map((name) => [
    name,
    parts.map(({ batch }) => count(batch.text[name])),
  ])
  return Object.fromEntries(entries)
}

/** The text column with the same values in every row: most are filled from one attribute. */
function twinOf(
  { type, columns }: Chosen,
  parts: StoredBatch[],
  filled: Record<TextColumn, number[]>,
): TextColumn | null {
  if (type !== 'text') return null
  const isTwin = (name: TextColumn) =>
    parts.every(({ batch }, p) => {
      const { rows, values } = columns[p] ?? NO_ROWS
      if (filled[name][p] !== rows.length) return false
      const texts = batch.text[name]
      return values.every((value, i) => value === texts[rows[i]!])
    })
  return TEXT_COLUMNS.find(isTwin) ?? null
}

const NO_ROWS = { rows: [], values: [] }

function attributeValues(
  { type, columns }: Chosen,
  places: Uint32Array[],
  { from, to }: Range,
): ColumnValues {
  const out = new Array<string | number | boolean | null>(to - from).fill(null)
  for (const [p, column] of columns.entries()) {
    if (!column) continue
    const { rows, values } = column
    const own = places[p]!
    for (let i = 0; i < rows.length; i++) {
      const at = own[rows[i]!]!
      if (at >= from && at < to) out[at - from] = values[i]!
    }
  }
  if (type === 'text') return { kind: 'text', values: out as (string | null)[] }
  if (type === 'bool') return { kind: 'bool', values: out as (boolean | null)[] }
  return { kind: type === 'int' ? 'long' : 'num', values: out as (number | null)[] }
}

/** JSON text of each record's attributes that have no column, by part and row. */
function restTexts(
  parts: StoredBatch[],
  chosen: Set<AttributeColumn | undefined>,
): (string | null)[][] {
  return parts.map(({ batch }) => {
    const others = batch.attributes.filter((column) => !chosen.has(column))
    if (others.length === 0) return batch.attributesRest
    const members = batch.attributesRest.map((rest) => (rest === null ? '' : rest.slice(1, -1)))
    // In front of the others: what stands last wins, as it does where a record is shown.
    for (const { key, type, rows, values } of others.reverse()) {
      const name = JSON.stringify(key)
      for (let i = 0; i < rows.length; i++) {
        const row = rows[i]!
        const member = `${name}:${jsonOf(type, values[i]!)}`
        members[row] = members[row] === '' ? member : `${member},${members[row]}`
      }
    }
    return members.map((text, row) =>
      text === '' && batch.attributesRest[row] === null ? null : `{${text}}`,
    )
  })
}

/** A double that is whole keeps its point, and zero its sign: in JSON they would read as integers. */
function jsonOf(type: AttributeColumn['type'], value: string | number | boolean): string {
  if (type === 'json') return value as string
  const text = JSON.stringify(value)
  if (type !== 'num') return text
  if (Object.is(value, -0)) return '-0.0'
  return /^-?\d+$/.test(text) ? `${text}.0` : text
}
