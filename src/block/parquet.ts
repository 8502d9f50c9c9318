// A sealed block: one Parquet file, the same bytes in the shard's SQLite and in the owner's bucket,
// readable by anything that reads Parquet. docs/storage.md lists the columns.
//
// Rows are sorted by time, ties by sequence number, in row groups of at most GROUP_RECORDS_MAX. One
// column a schema column, the same in every block; the block's most frequent attribute keys have
// columns of their own whose name carries the type, so that the files of many blocks unite without a
// clash; every other attribute is in `attributes`, as JSON. Columns are encoded one by one with a
// pause between, because encoding is synchronous and shares its thread with a shard.

import { gunzipSync, gzipSync } from 'node:zlib'
import type { ColumnChunk, FileMetaData, RowGroup, SchemaElement } from 'hyparquet'
import { parquetMetadata } from 'hyparquet'
import { readColumn } from 'hyparquet/src/column.js'
import { DEFAULT_PARSERS } from 'hyparquet/src/convert.js'
import { getSchemaPath } from 'hyparquet/src/schema.js'
import { ByteWriter } from 'hyparquet-writer'
import { writeColumn } from 'hyparquet-writer/src/column.js'
import { encodeNestedValues } from 'hyparquet-writer/src/dremel.js'
import { writeMetadata } from 'hyparquet-writer/src/metadata.js'
import {
  type AttributeColumn,
  emptyBatch,
  LEVELS,
  type Level,
  TEXT_COLUMNS,
  type TextColumn,
} from '../record.ts'
import type { StoredBatch } from './stored.ts'

/** Grows when an older reader would misread; stands in the file's key-value metadata. */
export const BLOCK_VERSION = 1

/** Records of one row group: what a reader decodes at once. */
export const GROUP_RECORDS_MAX = 8192
const ATTRIBUTE_COLUMNS_MAX = 64
const ATTRIBUTE_NAME_BYTES_MAX = 128
const VERSION_KEY = 'worker-logs.version'
const MAGIC = 0x31524150
const PREFIX = { text: 'attr.', int: 'attr_int.', num: 'attr_num.', bool: 'attr_bool.' } as const
type ScalarType = keyof typeof PREFIX
const GZIP = { level: 6, chunkSize: 256 * 1024 }

/** What may be left out of a read. Time, sequence number and time received always come. */
export type ColumnName =
  | 'observed'
  | 'level'
  | 'severity'
  | 'message'
  | 'pattern'
  | 'body'
  | 'resource'
  | 'scope'
  | 'otel'
  | 'cut'
  | TextColumn

export interface Needed {
  columns: Set<ColumnName>
  /** Keys whose columns of every type are needed, and with them `attributesRest`. */
  attributes: string[]
}

/** A block opened for reading; nothing but its footer is decoded. */
export interface BlockFile {
  version: number
  groups: { records: number }[]
  bytes: Uint8Array
  metadata: FileMetaData
}

type Value = string | number | bigint | boolean | null

/** A value a row of the block, null where the record has none. */
interface Column {
  element: SchemaElement
  values: Value[]
}

/**
 * Encodes the records of all parts as one Parquet file. `pause` is awaited between columns; nothing
 * may change the parts meanwhile.
 */
export async function encodeBlock(
  parts: StoredBatch[],
  shard: number,
  pause: () => Promise<void>,
): Promise<Uint8Array> {
  const rows = sortedRows(parts)
  await pause()
  const columns: Column[] = []
  const attributes = attributeColumns(parts, rows)
  for (const column of [...schemaColumns(parts, rows, shard), ...attributes]) columns.push(column)
  await pause()
  const root: SchemaElement = { name: 'root', num_children: columns.length }
  const writer = new ByteWriter()
  writer.appendUint32(MAGIC)
  const groups: RowGroup[] = []
  for (let from = 0; from < rows.part.length; from += GROUP_RECORDS_MAX) {
    const to = Math.min(from + GROUP_RECORDS_MAX, rows.part.length)
    const chunks: ColumnChunk[] = []
    for (const { element, values } of columns) {
      chunks.push(encodeChunk(writer, root, element, values.slice(from, to)))
      await pause()
    }
    const sizes = chunks.map((chunk) => chunk.meta_data!.total_uncompressed_size)
    const bytes = sizes.reduce((sum, size) => sum + size, 0n)
    groups.push({ columns: chunks, total_byte_size: bytes, num_rows: BigInt(to - from) })
  }
  const metadata: FileMetaData = {
    version: 2,
    created_by: 'worker-logs',
    schema: [root, ...columns.map(({ element }) => element)],
    num_rows: BigInt(rows.part.length),
    row_groups: groups,
    key_value_metadata: [{ key: VERSION_KEY, value: String(BLOCK_VERSION) }],
    metadata_length: 0,
  }
  writeMetadata(writer, metadata)
  writer.appendUint32(MAGIC)
  return writer.getBytes().slice()
}

/** Where each row of the block comes from: the part and the row in it, in the block's order. */
interface Rows {
  part: Uint32Array
  row: Uint32Array
}

function sortedRows(parts: StoredBatch[]): Rows {
  const all: { part: number; row: number }[] = []
  for (const [part, { batch }] of parts.entries()) {
    for (let row = 0; row < batch.length; row++) all.push({ part, row })
  }
  all.sort((a, b) => {
    const [x, y] = [parts[a.part]!, parts[b.part]!]
    return (
      x.batch.timeMs[a.row]! - y.batch.timeMs[b.row]! ||
      x.batch.timeNs[a.row]! - y.batch.timeNs[b.row]! ||
      x.seqs[a.row]! - y.seqs[b.row]!
    )
  })
  return {
    part: Uint32Array.from(all, ({ part }) => part),
    row: Uint32Array.from(all, ({ row }) => row),
  }
}

const TEXT = { type: 'BYTE_ARRAY', converted_type: 'UTF8' } as const
const INT32 = { type: 'INT32' } as const
const INT64 = { type: 'INT64' } as const
const TIME = {
  type: 'INT64',
  logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'NANOS' },
} as const

function* schemaColumns(parts: StoredBatch[], rows: Rows, shard: number): Generator<Column> {
  const gather = <T>(pick: (part: StoredBatch) => ArrayLike<T>): T[] => {
    const columns = parts.map(pick)
    return Array.from(rows.part, (part, i) => columns[part]![rows.row[i]!]!)
  }
  const column = (name: string, type: object, values: Value[]): Column => ({
    element: { name, repetition_type: 'OPTIONAL', ...type },
    values,
  })
  const nanoseconds = (ms: number[], ns: number[]) =>
    ms.map((at, i) => (at < 0 ? null : BigInt(at) * 1_000_000n + BigInt(ns[i] ?? 0)))
  const ms = gather((p) => p.batch.timeMs)
  yield column(
    'timestamp',
    TIME,
    nanoseconds(
      ms,
      gather((p) => p.batch.timeNs),
    ),
  )
  const observed = gather((p) => p.batch.observedMs)
  yield column(
    'observed_time',
    TIME,
    nanoseconds(
      observed,
      gather((p) => p.batch.observedNs),
    ),
  )
  yield column(
    'received_time',
    TIME,
    nanoseconds(
      gather((p) => p.receivedMs),
      [],
    ),
  )
  yield column(
    'level',
    TEXT,
    gather((p) => p.batch.level).map((level) => LEVELS[level]!),
  )
  yield column(
    'severity_number',
    INT32,
    gather((p) => p.batch.severityNumber),
  )
  yield column(
    'severity_text',
    TEXT,
    gather((p) => p.batch.severityText),
  )
  for (const name of TEXT_COLUMNS)
    yield column(
      name,
      TEXT,
      gather((p) => p.batch.text[name]),
    )
  yield column(
    'message',
    TEXT,
    gather((p) => p.batch.message),
  )
  const none = (p: StoredBatch) => new Array<string | null>(p.batch.length).fill(null)
  yield column(
    'pattern',
    TEXT,
    gather((p) => p.patterns ?? none(p)),
  )
  yield column(
    'body',
    TEXT,
    gather((p) => p.batch.body),
  )
  const rests = restTexts(parts)
  yield column(
    'attributes',
    TEXT,
    Array.from(rows.part, (part, i) => rests[part]![rows.row[i]!]!),
  )
  yield column(
    'resource',
    TEXT,
    gather((p) => p.batch.resource.map((at) => p.batch.resources[at]!)),
  )
  yield column(
    'scope',
    TEXT,
    gather((p) => p.batch.scope.map((at) => p.batch.scopes[at]!)),
  )
  yield column(
    'otel',
    TEXT,
    gather((p) => p.batch.otel),
  )
  yield column(
    'cut',
    TEXT,
    gather((p) => p.batch.cut),
  )
  yield column('seq', INT64, gather((p) => p.seqs).map(BigInt))
  yield column('shard', INT32, new Array(rows.part.length).fill(shard))
}

const isScalar = (column: AttributeColumn) => column.type !== 'json'

/** The (key, type) pairs of the block that get a column, in order of first sight. */
function chosenAttributes(parts: StoredBatch[]): { key: string; type: ScalarType }[] {
  const counts = new Map<string, { key: string; type: ScalarType; count: number }>()
  for (const { batch } of parts) {
    for (const { key, type, rows } of batch.attributes) {
      if (type === 'json') continue
      if (Buffer.byteLength(key) > ATTRIBUTE_NAME_BYTES_MAX || /\p{Cc}/u.test(key)) continue
      const id = `${type} ${key}`
      const entry = counts.get(id)
      if (entry) entry.count += rows.length
      else counts.set(id, { key, type, count: rows.length })
    }
  }
  const byCount = [...counts.values()].sort((a, b) => b.count - a.count)
  // Readers that take names in any case would see one column twice: the most frequent spelling wins.
  const spelling = new Map<string, string>()
  const chosen = new Set<object>()
  for (const entry of byCount) {
    const lower = entry.key.toLowerCase()
    if ((spelling.get(lower) ?? entry.key) !== entry.key) continue
    spelling.set(lower, entry.key)
    if (chosen.size < ATTRIBUTE_COLUMNS_MAX) chosen.add(entry)
  }
  return [...counts.values()].filter((entry) => chosen.has(entry))
}

/** JSON text of each record's attributes that have no column, by part and row. */
function restTexts(parts: StoredBatch[]): (string | null)[][] {
  const chosen = new Set(chosenAttributes(parts).map(({ key, type }) => `${type} ${key}`))
  return parts.map(({ batch }) => {
    const rests = batch.attributesRest.slice()
    for (const column of batch.attributes) {
      if (isScalar(column) && chosen.has(`${column.type} ${column.key}`)) continue
      const name = JSON.stringify(column.key)
      for (const [i, row] of column.rows.entries()) {
        const member = `${name}:${jsonOf(column, column.values[i]!)}`
        const rest = rests[row] ?? null
        rests[row] = rest === null || rest === '{}' ? `{${member}}` : `{${member},${rest.slice(1)}`
      }
    }
    return rests
  })
}

/** Doubles that are whole keep a point, and zero its sign: in JSON they would read as integers. */
function jsonOf({ type }: AttributeColumn, value: string | number | boolean): string {
  if (type === 'json') return value as string
  if (Object.is(value, -0)) return '-0.0'
  const text = JSON.stringify(value)
  return type === 'num' && /^-?\d+$/.test(text) ? `${text}.0` : text
}

const ATTRIBUTE_ELEMENT = {
  text: TEXT,
  int: INT64,
  num: { type: 'DOUBLE' },
  bool: { type: 'BOOLEAN' },
} as const

function attributeColumns(parts: StoredBatch[], rows: Rows): Column[] {
  return chosenAttributes(parts).map(({ key, type }) => {
    const dense = parts.map(({ batch }) => {
      const values = new Array<Value>(batch.length).fill(null)
      const column = batch.attributes.find((column) => column.key === key && column.type === type)
      for (const [i, row] of (column?.rows ?? []).entries()) {
        const value = column!.values[i]!
        values[row] = type === 'int' ? BigInt(value) : value
      }
      return values
    })
    const element = {
      name: PREFIX[type] + key,
      repetition_type: 'OPTIONAL',
      ...ATTRIBUTE_ELEMENT[type],
    } as const
    return {
      element,
      values: Array.from(rows.part, (part, i) => dense[part]![rows.row[i]!]!),
    }
  })
}

function encodeChunk(
  writer: ByteWriter,
  root: SchemaElement,
  element: SchemaElement,
  values: Value[],
): ColumnChunk {
  const path = [root, element]
  const tree = path.map((element) => ({ element, children: [], count: 0, path: [element.name] }))
  const { chunk } = writeColumn({
    writer,
    column: {
      columnName: element.name,
      element,
      schemaPath: path,
      codec: 'GZIP',
      compressors: { GZIP: (bytes) => gzipSync(bytes, GZIP) },
      stats: false,
      pageSize: 0,
      columnIndex: false,
      offsetIndex: false,
    },
    pageData: encodeNestedValues(tree, values),
  })
  return chunk
}

/** Opens a block. Throws on anything that is not a block of ours. */
export function openBlock(bytes: Uint8Array): BlockFile {
  const metadata = parquetMetadata(bytes, { geoparquet: false })
  const stated = metadata.key_value_metadata?.find(({ key }) => key === VERSION_KEY)?.value
  if (Number(stated) !== BLOCK_VERSION) throw new Error(`block of unknown version ${stated}`)
  const groups = metadata.row_groups.map(({ num_rows }) => ({ records: Number(num_rows) }))
  return { version: BLOCK_VERSION, groups, bytes, metadata }
}

/** Decodes the columns of one row group that are needed; the others are empty arrays. */
export function readGroup(file: BlockFile, group: number, needed: Needed | 'all'): StoredBatch {
  const records = file.groups[group]!.records
  const wants = (name: ColumnName) => needed === 'all' || needed.columns.has(name)
  const read = <T>(name: string) => readValues(file, group, name) as T[]
  const text = (name: string) => read<string | null>(name)
  const milliseconds = (at: bigint | null) => (at === null ? -1 : Number(at / 1_000_000n))
  const nanoseconds = (at: bigint | null) => (at === null ? 0 : Number(at % 1_000_000n))
  const receivedMs = Float64Array.from(read<bigint>('received_time'), milliseconds)
  const batch = emptyBatch(receivedMs[0] ?? 0)
  batch.length = records
  const times = read<bigint>('timestamp')
  batch.timeMs = times.map(milliseconds)
  batch.timeNs = times.map(nanoseconds)
  if (wants('observed')) {
    const observed = read<bigint | null>('observed_time')
    batch.observedMs = observed.map(milliseconds)
    batch.observedNs = observed.map(nanoseconds)
  }
  if (wants('level')) batch.level = read<Level>('level').map((level) => LEVELS.indexOf(level))
  if (wants('severity')) {
    batch.severityNumber = read<number>('severity_number')
    batch.severityText = text('severity_text')
  }
  for (const name of TEXT_COLUMNS) if (wants(name)) batch.text[name] = text(name)
  if (wants('message')) batch.message = read<string>('message')
  if (wants('body')) batch.body = text('body')
  if (wants('resource')) [batch.resource, batch.resources] = indexed(read<string>('resource'))
  if (wants('scope')) [batch.scope, batch.scopes] = indexed(read<string>('scope'))
  if (wants('otel')) batch.otel = text('otel')
  if (wants('cut')) batch.cut = text('cut')
  batch.attributes = readAttributes(file, group, needed === 'all' ? null : needed.attributes)
  if (needed === 'all' || needed.attributes.length > 0) batch.attributesRest = text('attributes')
  batch.bytes = new Array(records).fill(0)
  return {
    batch,
    seqs: Float64Array.from(read<bigint>('seq'), Number),
    receivedMs,
    patterns: wants('pattern') ? text('pattern') : null,
  }
}

function indexed(values: string[]): [number[], string[]] {
  const places = new Map<string, number>()
  const index = values.map((value) => {
    if (!places.has(value)) places.set(value, places.size)
    return places.get(value)!
  })
  return [index, [...places.keys()]]
}

function readAttributes(file: BlockFile, group: number, keys: string[] | null): AttributeColumn[] {
  const columns: AttributeColumn[] = []
  for (const { name } of file.metadata.schema) {
    for (const [type, prefix] of Object.entries(PREFIX) as [ScalarType, string][]) {
      if (!name.startsWith(prefix)) continue
      const key = name.slice(prefix.length)
      if (keys !== null && !keys.includes(key)) continue
      const column: AttributeColumn = { key, type, rows: [], values: [] }
      for (const [row, value] of readValues(file, group, name).entries()) {
        if (value === null) continue
        column.rows.push(row)
        column.values.push(typeof value === 'bigint' ? Number(value) : value)
      }
      if (column.rows.length > 0) columns.push(column)
    }
  }
  return columns
}

const UTF8 = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true })
const PARSERS = {
  ...DEFAULT_PARSERS,
  stringFromBytes: (bytes: Uint8Array) => UTF8.decode(bytes),
  timestampFromNanoseconds: (at: bigint) => at,
}

function readValues(file: BlockFile, group: number, name: string): Value[] {
  const { bytes, metadata } = file
  const { columns, num_rows } = metadata.row_groups[group]!
  const place = columns.findIndex((column) => column.meta_data!.path_in_schema[0] === name)
  const meta = columns[place]!.meta_data!
  const start = Number(meta.dictionary_page_offset ?? meta.data_page_offset)
  const size = Number(meta.total_compressed_size)
  const schemaPath = getSchemaPath(metadata.schema, [name])
  const { data } = readColumn(
    { view: new DataView(bytes.buffer, bytes.byteOffset + start, size), offset: 0 },
    { groupStart: 0, selectStart: 0, selectEnd: Number(num_rows), groupRows: Number(num_rows) },
    {
      pathInSchema: [name],
      type: meta.type,
      element: schemaPath[1]!.element,
      schemaPath,
      codec: meta.codec,
      parsers: PARSERS,
      compressors: {
        GZIP: (bytes, length) => gunzipSync(bytes, { maxOutputLength: Math.max(1, length) }),
      },
    },
  )
  return data.flatMap((values) =>
    Array.from(values as ArrayLike<Value | undefined>, (v) => v ?? null),
  )
}
