// A sealed block: one Parquet file, the same bytes in the shard's SQLite and in the owner's bucket,
// readable by anything that reads Parquet. docs/storage.md lists the columns.
//
// Rows are sorted by time, ties by sequence number, in row groups. One column a schema column, the
// same in every block; the block's most frequent attribute keys have columns of their own whose name
// carries the type, so that the files of many blocks unite without a clash; every other attribute is
// in `attributes`, as JSON. Columns are encoded one by one with a pause between, because encoding is
// synchronous and shares its thread with a shard.
//
//   gather.ts  parts to values      chunk-write.ts  values to pages      layout.ts  which columns
//                                   chunk-read.ts   pages to values      footer.ts  where they lie

import { Buffer } from 'node:buffer'
import { ByteWriter } from 'hyparquet-writer'
import {
  type AttributeColumn,
  emptyBatch,
  LEVELS,
  type Level,
  labelName,
  type RecordBatch,
  TEXT_COLUMNS,
} from '../record.ts'
import { bug } from '../result.ts'
import {
  type ChunkPlace,
  type Decoded,
  readBools,
  readDoubles,
  readInts,
  readLongs,
  readTexts,
  readTextsLazily,
  readTimes,
  sparse,
  spread,
} from './chunk-read.ts'
import { type Chunk, encodeChunk, writeChunk } from './chunk-write.ts'
import { type Footer, type Group, readFooter, writeFooter, writeMagic } from './footer.ts'
import { columnsOf } from './gather.ts'
import { attributeOf, type ColumnName, type ScalarType } from './layout.ts'
import { groupsOf, orderOf } from './order.ts'
import { type Places, recordBytes, type StoredBatch } from './stored.ts'

/**
 * Encodes the records of all parts as one Parquet file. `pause` is awaited between columns; nothing
 * may change the parts meanwhile.
 */
export async function encodeBlock(
  parts: StoredBatch[],
  shard: number,
  pause: () => Promise<void>,
): Promise<Uint8Array> {
  const order = orderOf(parts)
  if (order.length === 0) bug('a block of no records')
  await pause()
  const columns = columnsOf(parts, order, shard)
  await pause()
  const writer = new ByteWriter(256 * 1024)
  writeMagic(writer)
  const groups: Group[] = []
  for (const range of groupsOf(parts, order)) {
    const group: Group = { records: range.to - range.from, chunks: [] }
    const encoded = new Map<string, Chunk>()
    for (const column of columns) {
      let chunk = column.twin ? encoded.get(column.twin) : undefined
      if (!chunk) {
        const steps = encodeChunk(column, column.gather(range))
        let step = steps.next()
        for (; !step.done; step = steps.next()) await pause()
        chunk = step.value
        encoded.set(column.name, chunk)
        await pause()
      }
      group.chunks.push(writeChunk(writer, column, chunk))
    }
    groups.push(group)
  }
  writeFooter(writer, columns, groups)
  return writer.getBytes().slice()
}

export interface Needed {
  columns: Set<ColumnName>
  /** Keys whose columns of every type are needed, and with them `attributesRest`. */
  attributes: string[] | 'all'
  /** Names as Loki's labels: keys that have one of them are needed too, and maps of whose members one does. */
  labels?: string[]
}

/** A block opened for reading; nothing but its footer is decoded. */
export interface BlockFile extends Footer {
  bytes: Uint8Array
}

/** Opens a block. Throws on anything that is not a block of ours. */
export function openBlock(bytes: Uint8Array): BlockFile {
  return { ...readFooter(bytes), bytes }
}

/** Thrown by columns that are decoded when they are first read, of bytes that are damaged. */
export class DamagedBlock extends Error {}

/**
 * Decodes the columns of one row group that are needed; the others are empty arrays. Time, sequence
 * number, time received, pattern and message always come, unless all is needed when they are first
 * read. Throws on damaged bytes.
 */
export function readGroup(file: BlockFile, group: number, needed: Needed | 'all'): StoredBatch {
  const steps = readGroupSteps(file, group, needed)
  let step = steps.next()
  while (!step.done) step = steps.next()
  return step.value
}

/** The same, for a caller that shares its thread: yields between columns. */
export function* readGroupSteps(
  file: BlockFile,
  group: number,
  needed: Needed | 'all',
): Generator<void, StoredBatch> {
  const wants = (name: ColumnName) => needed === 'all' || needed.columns.has(name)
  const place = (name: string) => placeOf(file, group, name)
  const texts = (name: string) => readTexts(file.bytes, place(name))
  const columns: { place: ChunkPlace; texts: Decoded<string> }[] = []
  const text = (name: string) => spread(texts(name), null)
  const stored = lazyGroup(file, group)
  const { batch } = stored
  if (wants('observed')) {
    const observed = readTimes(file.bytes, place('observed_time'))
    batch.observedMs = observed.ms
    batch.observedNs = observed.ns
  }
  if (wants('level')) batch.level = levelsOf(texts('level'))
  if (wants('severity')) {
    batch.severityNumber = spread(readInts(file.bytes, place('severity_number')), 0)
    batch.severityText = text('severity_text')
  }
  yield
  for (const name of TEXT_COLUMNS) {
    if (!wants(name)) continue
    columns.push({ place: place(name), texts: texts(name) })
    batch.text[name] = spread(columns.at(-1)!.texts, null)
    yield
  }
  yield
  for (const name of ['body', 'otel', 'cut'] as const) if (wants(name)) batch[name] = text(name)
  if (wants('resource')) lazyResources(batch, () => indexed(texts('resource')))
  if (wants('scope')) [batch.scope, batch.scopes] = indexed(texts('scope'))
  yield
  const keys = neededKeys(needed)
  for (const [at, name] of file.names.entries()) {
    const attribute = attributeOf(name)
    if (!attribute || (keys && !keys(attribute.key))) continue
    const place = file.chunks[group]![at]!
    const twin = columns.find((column) => isSame(file.bytes, column.place, place))
    const { key, type } = attribute
    const column =
      twin && type === 'text'
        ? { key, type, ...sparse(twin.texts) }
        : readAttribute(file.bytes, place, attribute)
    if (column.rows.length > 0) batch.attributes.push(column)
    yield
  }
  if (keys !== NO_KEYS) lazily(batch, 'attributesRest', () => text('attributes'))
  if (needed !== 'all') return stored
  const { seqs, receivedMs, patterns } = stored
  const { timeMs, timeNs } = batch
  yield
  const { message } = batch
  yield
  const whole = { ...batch, receivedMs: receivedMs[0]!, timeMs, timeNs, message }
  whole.bytes = recordBytes(whole)
  return { batch: whole, seqs, receivedMs, patterns }
}

const NO_KEYS = () => false

/** Which keys are needed; null: all. */
function neededKeys(needed: Needed | 'all'): ((key: string) => boolean) | null {
  if (needed === 'all' || needed.attributes === 'all') return null
  const keys = new Set(needed.attributes)
  const labels = new Set(needed.labels)
  if (labels.size === 0) return keys.size === 0 ? NO_KEYS : (key) => keys.has(key)
  return (key) => keys.has(key) || labels.has(labelName(key))
}

/** A group of which nothing is decoded: what every reader may need is when it is first read. */
function lazyGroup(file: BlockFile, group: number): StoredBatch {
  const place = (name: string) => placeOf(file, group, name)
  const batch = emptyBatch(0)
  batch.length = file.groups[group]!.records
  const stored = { batch } as StoredBatch
  let time: ReturnType<typeof readTimes> | null = null
  const times = () => {
    time ??= readTimes(file.bytes, place('timestamp'))
    return time
  }
  lazily(batch, 'timeMs', () => times().ms)
  lazily(batch, 'timeNs', () => times().ns)
  lazily(stored, 'messages', () => readTextsLazily(file.bytes, place('message')))
  lazily(batch, 'message', () => stored.messages!.all())
  lazily(
    stored,
    'receivedMs',
    () => new Float64Array(readTimes(file.bytes, place('received_time')).ms),
  )
  lazily(stored, 'seqs', () => new Float64Array(spread(readLongs(file.bytes, place('seq')), 0)))
  lazily(stored, 'patternPlaces', () => placesOf(readTexts(file.bytes, place('pattern'))))
  lazily(stored, 'patterns', () => spread(readTexts(file.bytes, place('pattern')), null))
  return stored
}

/** Of an attribute that has a column of its own, few records look further. */
function lazyResources(batch: RecordBatch, read: () => [number[], string[]]): void {
  let found: [number[], string[]] | null = null
  const both = () => {
    found ??= read()
    return found
  }
  lazily(batch, 'resource', () => both()[0])
  lazily(batch, 'resources', () => both()[1])
}

/** A member that is made when it is first read. */
function lazily<T extends object, K extends keyof T>(object: T, name: K, make: () => T[K]): void {
  const property = { configurable: true, enumerable: true }
  const get = () => {
    try {
      const value = make()
      Object.defineProperty(object, name, { ...property, writable: true, value })
      return value
    } catch (e) {
      throw new DamagedBlock(`${String(name)} can not be read`, { cause: e })
    }
  }
  Object.defineProperty(object, name, { ...property, get })
}

/** Null where the column has no dictionary. */
function placesOf({ rows, levels, places, values }: Decoded<string>): Places | null {
  if (!places) return null
  const all = new Uint16Array(rows)
  let at = 0
  for (let row = 0; row < rows; row++) {
    if (!levels || levels[row] === 1) all[row] = places[at++]! + 1
  }
  return { values, places: all }
}

function placeOf({ names, chunks }: BlockFile, group: number, name: string): ChunkPlace {
  const place = chunks[group]?.[names.indexOf(name)]
  if (!place) throw new Error(`no column ${name} in group ${group}`)
  return place
}

/** Whether two columns are the same, byte for byte: an attribute that fills a column is written twice. */
function isSame(file: Uint8Array, a: ChunkPlace, b: ChunkPlace): boolean {
  if (a.bytes !== b.bytes) return false
  const bytes = ({ start, bytes }: ChunkPlace) => file.subarray(start, start + bytes)
  return Buffer.compare(bytes(a), bytes(b)) === 0
}

function levelsOf(texts: Decoded<string>): number[] {
  const values = texts.values.map((text) => LEVELS.indexOf(text as Level))
  return spread({ ...texts, values }, 0)
}

/** The distinct texts, and each row's place among them. */
function indexed(texts: Decoded<string>): [number[], string[]] {
  if (texts.places && !texts.levels) return [Array.from(texts.places), texts.values]
  const index = new Map<string, number>()
  const rows = spread(texts, '').map((text) => {
    const place = index.get(text) ?? index.size
    index.set(text, place)
    return place
  })
  return [rows, [...index.keys()]]
}

function readAttribute(
  bytes: Uint8Array,
  place: ChunkPlace,
  { key, type }: { key: string; type: ScalarType },
): AttributeColumn {
  switch (type) {
    case 'text':
      return { key, type, ...sparse(readTexts(bytes, place)) }
    case 'int':
      return { key, type, ...sparse(readLongs(bytes, place)) }
    case 'num':
      return { key, type, ...sparse(readDoubles(bytes, place)) }
    case 'bool':
      return { key, type, ...sparse(readBools(bytes, place)) }
  }
}
