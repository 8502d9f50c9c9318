// The records of a block in its order, column by column: what parquet.ts encodes. Parts come as they
// lay in the write-ahead rows or in older blocks; here they become one sequence, by time.

import { Buffer } from 'node:buffer'
import { type AttributeColumn, LEVELS, type RecordBatch, TEXT_COLUMNS } from '../record.ts'
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
  gather(range: Range): ColumnValues
}

/** Where each record of the block comes from: the part, and the row in it. */
export interface Order {
  part: Uint16Array
  row: Uint32Array
}

/** By time, and by sequence number among those of one time. */
export function orderOf(parts: StoredBatch[]): Order {
  const count = parts.reduce((sum, { batch }) => sum + batch.length, 0)
  const [ms, ns, seqs] = [0, 0, 0].map(() => new Float64Array(count)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ]
  const part = new Uint16Array(count)
  const row = new Uint32Array(count)
  let at = 0
  for (const [p, { batch, seqs: own }] of parts.entries()) {
    ms.set(batch.timeMs, at)
    ns.set(batch.timeNs, at)
    seqs.set(own, at)
    part.fill(p, at, at + batch.length)
    for (let r = 0; r < batch.length; r++) row[at++] = r
  }
  // An array, and not a typed one: its sort takes runs that are in order already as they are.
  const order = Array.from({ length: count }, (_, i) => i)
  order.sort((a, b) => ms[a]! - ms[b]! || ns[a]! - ns[b]! || seqs[a]! - seqs[b]!)
  return {
    part: Uint16Array.from(order, (i) => part[i]!),
    row: Uint32Array.from(order, (i) => row[i]!),
  }
}

/** The row groups: of at most GROUP_RECORDS_MAX records and about GROUP_BYTES_TARGET. */
export function groupsOf(parts: StoredBatch[], order: Order): Range[] {
  const groups: Range[] = []
  const count = order.row.length
  let from = 0
  let bytes = 0
  let named = new Set<string>()
  for (let i = 0; i < count; i++) {
    const { batch } = parts[order.part[i]!]!
    const row = order.row[i]!
    const own = batch.bytes[row]! + contextBytes(batch, row, named)
    if (i - from === GROUP_RECORDS_MAX || (i > from && bytes + own > GROUP_BYTES_TARGET)) {
      groups.push({ from, to: i })
      from = i
      bytes = 0
      named = new Set()
    }
    bytes += own
  }
  groups.push({ from, to: count })
  return groups
}

/** What a resource and scope add where no earlier record of the group has named them. */
function contextBytes(batch: RecordBatch, row: number, named: Set<string>): number {
  let bytes = 0
  for (const text of [batch.resources[batch.resource[row]!]!, batch.scopes[batch.scope[row]!]!]) {
    if (named.has(text)) continue
    named.add(text)
    bytes += text.length
  }
  return bytes
}

/** Every column of the block: the schema's, then those of its most frequent attributes. */
export function columnsOf(parts: StoredBatch[], order: Order, shard: number): BlockColumn[] {
  const gatherers = schemaGatherers(parts, order, shard)
  const chosen = chosenAttributes(parts)
  const rests = restTexts(parts, new Set(chosen.flatMap(({ columns }) => columns)))
  gatherers.attributes = (range) => ({ kind: 'text', values: pick(order, range, rests) })
  const positions = positionsOf(parts, order)
  return [
    ...SCHEMA.map((spec) => ({ ...spec, gather: gatherers[spec.name]! })),
    ...chosen.map(({ key, type, columns }) => ({
      ...attributeSpec(key, type),
      gather: (range: Range) => attributeValues(type, columns, positions, range),
    })),
  ]
}

type Gather = (range: Range) => ColumnValues

function schemaGatherers(
  parts: StoredBatch[],
  order: Order,
  shard: number,
): Record<string, Gather> {
  type Pick<T> = (part: StoredBatch) => ArrayLike<T>
  const values = <T>(of: Pick<T>) => {
    const columns = parts.map(of)
    return (range: Range) => pick(order, range, columns)
  }
  const text = (of: Pick<string | null>): Gather => {
    const read = values(of)
    return (range) => ({ kind: 'text', values: read(range) })
  }
  const int = (kind: 'int' | 'long', of: Pick<number>): Gather => {
    const read = values(of)
    return (range) => ({ kind, values: read(range) })
  }
  const time = (ms: Pick<number>, ns: Pick<number>): Gather => {
    const [readMs, readNs] = [values(ms), values(ns)]
    return (range) => ({ kind: 'time', ms: readMs(range), ns: readNs(range) })
  }
  const receivedMs = values((p) => p.receivedMs)
  const context = (of: Pick<number>, texts: (part: StoredBatch) => string[]): Gather => {
    const [indexes, dictionaries] = [parts.map(of), parts.map(texts)]
    return (range) => placesOf(order, range, indexes, dictionaries)
  }
  return {
    timestamp: time(
      (p) => p.batch.timeMs,
      (p) => p.batch.timeNs,
    ),
    observed_time: time(
      (p) => p.batch.observedMs,
      (p) => p.batch.observedNs,
    ),
    received_time: (range) => ({ kind: 'time', ms: receivedMs(range), ns: null }),
    level: context(
      (p) => p.batch.level,
      () => [...LEVELS],
    ),
    severity_number: int('int', (p) => p.batch.severityNumber),
    severity_text: text((p) => p.batch.severityText),
    ...Object.fromEntries(TEXT_COLUMNS.map((name) => [name, text((p) => p.batch.text[name])])),
    message: text((p) => p.batch.message),
    pattern: text((p) => p.patterns ?? new Array<null>(p.batch.length).fill(null)),
    body: text((p) => p.batch.body),
    resource: context(
      (p) => p.batch.resource,
      (p) => p.batch.resources,
    ),
    scope: context(
      (p) => p.batch.scope,
      (p) => p.batch.scopes,
    ),
    otel: text((p) => p.batch.otel),
    cut: text((p) => p.batch.cut),
    seq: int('long', (p) => p.seqs),
    shard: ({ from, to }) => ({ kind: 'int', values: new Array(to - from).fill(shard) }),
  }
}

function pick<T>({ part, row }: Order, { from, to }: Range, columns: ArrayLike<T>[]): T[] {
  const values = new Array<T>(to - from)
  for (let i = from; i < to; i++) values[i - from] = columns[part[i]!]![row[i]!]!
  return values
}

/** Texts that parts hold by index, as one dictionary of those that the range names. */
function placesOf(
  { part, row }: Order,
  { from, to }: Range,
  indexes: ArrayLike<number>[],
  dictionaries: string[][],
): ColumnValues {
  const places = new Uint32Array(to - from)
  const all = new Map<string, number>()
  const known: (number | undefined)[][] = dictionaries.map(() => [])
  for (let i = from; i < to; i++) {
    const p = part[i]!
    const index = indexes[p]![row[i]!]!
    let place = known[p]![index]
    if (place === undefined) {
      const text = dictionaries[p]![index]!
      place = all.get(text) ?? all.size
      all.set(text, place)
      known[p]![index] = place
    }
    places[i - from] = place
  }
  return { kind: 'places', dictionary: [...all.keys()], places }
}

/** The place in the block of each row of each part. */
function positionsOf(parts: StoredBatch[], { part, row }: Order): Uint32Array[] {
  const positions = parts.map(({ batch }) => new Uint32Array(batch.length))
  for (let i = 0; i < part.length; i++) positions[part[i]!]![row[i]!] = i
  return positions
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

function attributeValues(
  type: ScalarType,
  columns: (AttributeColumn | undefined)[],
  positions: Uint32Array[],
  { from, to }: Range,
): ColumnValues {
  const out = new Array<string | number | boolean | null>(to - from).fill(null)
  for (const [p, column] of columns.entries()) {
    if (!column) continue
    const { rows, values } = column
    const position = positions[p]!
    for (let i = 0; i < rows.length; i++) {
      const at = position[rows[i]!]!
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
  if (Object.is(value, -0)) return '-0.0'
  const text = JSON.stringify(value)
  return type === 'num' && /^-?\d+$/.test(text) ? `${text}.0` : text
}
