// One column of a row group as Parquet pages, by hand where hyparquet-writer takes a call a value:
// texts are joined and turned into UTF-8 at once, places and steps are packed from typed arrays. Page
// headers are hyparquet-writer's.
//
//   [dictionary page]  data page ...     a page: levels (length, RLE) · values, compressed as one
//
// A column is written as
//
//   a dictionary and places   where at most half of the values differ
//   steps                     of other integers and times (DELTA_BINARY_PACKED)
//   plain                     of other texts, doubles and booleans, and of integers too far apart

import { Buffer } from 'node:buffer'
import { crc32, gzipSync } from 'node:zlib'
import type { ColumnChunk, Encoding } from 'hyparquet'
import { ByteWriter } from 'hyparquet-writer'
import { writePageHeader } from 'hyparquet-writer/src/datapage.js'
import { bug } from '../result.ts'
import { encodeDelta, encodeHybrid, STEP_MAX } from './delta.ts'
import { type ColumnSpec, elementOf, GROUP_RECORDS_MAX, PAGE_BYTES_MAX } from './layout.ts'

/** The values of some rows; null where the record has none. */
export type ColumnValues =
  | { kind: 'text'; values: (string | null)[] }
  /** Texts given as a dictionary without repeats and a place in it for each row. */
  | { kind: 'places'; dictionary: string[]; places: Uint32Array }
  /** Milliseconds, negative for none, and the nanoseconds left; `ns` null where all are 0. */
  | { kind: 'time'; ms: number[]; ns: number[] | null }
  | { kind: 'int' | 'long' | 'num'; values: (number | null)[] }
  | { kind: 'bool'; values: (boolean | null)[] }
  /** No row has a value. */
  | { kind: 'none'; rows: number }

/** Raw bytes of a text page aimed at: the codec takes 10 ms for them, and nothing else runs meanwhile. */
const PAGE_BYTES_TARGET = 1024 * 1024
const GZIP_LEVEL = 2
/** A chunk this small does not repay the codec's start and its 20 bytes. */
const GZIP_BYTES_MIN = 256

const NOTHING = new Uint8Array()

interface Page {
  /** Rows, or entries of a dictionary. */
  values: number
  encoding: Encoding
  bytes: Uint8Array
}

/** A column chunk, encoded and compressed: the same bytes wherever it is written. */
export interface Chunk {
  rows: number
  isGzip: boolean
  encodings: Encoding[]
  /** The length of the dictionary page in `bytes`, which is the first; 0 for none. */
  dictionaryBytes: number
  rawBytes: number
  /** The least and the greatest value, for readers that skip by them; null where nobody would. */
  bounds: [bigint, bigint] | null
  bytes: Uint8Array[]
}

export function writeChunk(writer: ByteWriter, spec: ColumnSpec, chunk: Chunk): ColumnChunk {
  const start = writer.offset
  for (const bytes of chunk.bytes) writer.appendBytes(bytes)
  const { rows, isGzip, encodings, dictionaryBytes, rawBytes, bounds } = chunk
  return {
    file_offset: BigInt(start),
    meta_data: {
      type: elementOf(spec).type!,
      encodings,
      path_in_schema: [spec.name],
      codec: isGzip ? 'GZIP' : 'UNCOMPRESSED',
      num_values: BigInt(rows),
      total_uncompressed_size: BigInt(rawBytes),
      total_compressed_size: BigInt(writer.offset - start),
      data_page_offset: BigInt(start + dictionaryBytes),
      ...(dictionaryBytes > 0 && { dictionary_page_offset: BigInt(start) }),
      ...(bounds && { statistics: { min_value: bounds[0], max_value: bounds[1], null_count: 0n } }),
    },
  }
}

/** Encodes a column. Yields between pages, of which a column of long texts has several. */
export function* encodeChunk(spec: ColumnSpec, column: ColumnValues): Generator<void, Chunk> {
  const { rows, dictionary, pages, isDense } = encodeColumn(spec, column)
  const first = pages[0]!()
  const size = (dictionary?.bytes.length ?? 0) + first.bytes.length
  const isGzip = !isDense && (pages.length > 1 || size >= GZIP_BYTES_MIN)
  const encodings = new Set<Encoding>(spec.isRequired ? [] : ['RLE'])
  const bounds = spec.isRequired ? boundsOf(column) : null
  const chunk: Chunk = {
    rows,
    isGzip,
    encodings: [],
    dictionaryBytes: 0,
    rawBytes: 0,
    bounds,
    bytes: [],
  }
  const add = (page: Page, isDictionary: boolean) => {
    if (page.bytes.length > PAGE_BYTES_MAX) bug(`a page of ${page.bytes.length} bytes`)
    const packed = isGzip ? gzip(page.bytes) : page.bytes
    const header = headerOf(page, packed, isGzip, isDictionary)
    chunk.bytes.push(header, packed)
    chunk.rawBytes += header.length + page.bytes.length
    if (isDictionary) chunk.dictionaryBytes = header.length + packed.length
    encodings.add(page.encoding)
  }
  if (dictionary) add(dictionary, true)
  add(first, false)
  for (const page of pages.slice(1)) {
    yield
    add(page(), false)
  }
  chunk.encodings = [...encodings]
  return chunk
}

function gzip(bytes: Uint8Array): Uint8Array {
  // Room for what does not shrink: one call into the codec, and no more memory than that.
  return gzipSync(bytes, { level: GZIP_LEVEL, chunkSize: bytes.length + (bytes.length >> 8) + 64 })
}

function headerOf(page: Page, packed: Uint8Array, isGzip: boolean, isDictionary: boolean) {
  const { values: num_values, encoding } = page
  const level = { definition_level_encoding: 'RLE', repetition_level_encoding: 'RLE' } as const
  const writer = new ByteWriter(64)
  writePageHeader(writer, {
    type: isDictionary ? 'DICTIONARY_PAGE' : 'DATA_PAGE',
    uncompressed_page_size: page.bytes.length,
    compressed_page_size: packed.length,
    // What is compressed holds gzip's own.
    ...(!isGzip && { crc: crc32(packed) | 0 }),
    ...(isDictionary
      ? { dictionary_page_header: { num_values, encoding } }
      : { data_page_header: { num_values, encoding, ...level } }),
  })
  return writer.getBytes()
}

function boundsOf(column: ColumnValues): [bigint, bigint] | null {
  if (column.kind !== 'time' && column.kind !== 'long') return null
  const values = column.kind === 'time' ? column.ms : (column.values as number[])
  const ns = (row: number) => (column.kind === 'time' ? (column.ns?.[row] ?? 0) : 0)
  let least = 0
  let most = 0
  for (let row = 1; row < values.length; row++) {
    if (values[row]! < values[least]!) least = row
    else if (values[row] === values[least] && ns(row) < ns(least)) least = row
    if (values[row]! > values[most]!) most = row
    else if (values[row] === values[most] && ns(row) > ns(most)) most = row
  }
  const bound = (row: number) =>
    column.kind === 'time' ? nanoseconds(values[row]!, ns(row)) : BigInt(values[row]!)
  return [bound(least), bound(most)]
}

interface Encoded {
  rows: number
  dictionary: Page | null
  pages: (() => Page)[]
  /** Packed so that a codec finds nothing left to save. */
  isDense: boolean
}

function encodeColumn(spec: ColumnSpec, column: ColumnValues): Encoded {
  switch (column.kind) {
    case 'none':
      return onePage(column.rows, 'PLAIN', packLevels(null, column.rows))
    case 'places':
      return encodePlaces(spec, column.dictionary, column.places)
    case 'text':
      return encodeTexts(spec, column.values)
    case 'time':
      return encodeTimes(spec, column.ms, column.ns)
    case 'bool':
      return encodePlain(spec, column.values, plainBools)
    default:
      return encodeNumbers(spec, column.kind, column.values)
  }
}

function onePage(
  rows: number,
  encoding: Encoding,
  levels: Uint8Array,
  values: Uint8Array = NOTHING,
): Encoded {
  const page = { values: rows, encoding, bytes: Buffer.concat([levels, values]) }
  return {
    rows,
    dictionary: null,
    pages: [() => page],
    isDense: encoding === 'DELTA_BINARY_PACKED',
  }
}

function encodePlain<T>(
  spec: ColumnSpec,
  values: (T | null)[],
  encode: (values: T[]) => Uint8Array,
): Encoded {
  const levels = levelsOf(spec, values)
  return onePage(values.length, 'PLAIN', levels, encode(presentOf(values)))
}

const presentOf = <T>(values: (T | null)[]): T[] =>
  values.includes(null) ? values.filter((value) => value !== null) : (values as T[])

// Levels: which rows have a value, before the values of each page of an optional column.

// Filled and read within one call, never across a yield.
const levelsScratch = new Uint32Array(GROUP_RECORDS_MAX)
const placesScratch = new Uint32Array(GROUP_RECORDS_MAX)

function levelsOf(spec: ColumnSpec, values: unknown[]): Uint8Array {
  if (spec.isRequired) return NOTHING
  for (let row = 0; row < values.length; row++) levelsScratch[row] = values[row] === null ? 0 : 1
  return packLevels(levelsScratch, values.length)
}

/** Null for rows without any value. */
function packLevels(levels: Uint32Array | null, rows: number): Uint8Array {
  const packed = encodeHybrid(levels ?? levelsScratch.fill(0, 0, rows), rows, 1)
  const bytes = new Uint8Array(4 + packed.length)
  writeLength(bytes, 0, packed.length)
  bytes.set(packed, 4)
  return bytes
}

function writeLength(bytes: Uint8Array, at: number, length: number): void {
  bytes[at] = length
  bytes[at + 1] = length >>> 8
  bytes[at + 2] = length >>> 16
  bytes[at + 3] = length >>> 24
}

// Dictionaries.

/** Values looked at before a column is taken for one that does not repeat. */
const TRIAL = 256
const TRIAL_DISTINCT_MAX = 192

/**
 * The distinct values, and in `placesScratch` the place of each of those that are there, in
 * `levelsScratch` which are. Null where more than half differ.
 */
function dictionaryOf<T>(values: (T | null)[]): { dictionary: T[]; count: number } | null {
  const index = new Map<T, number>()
  const distinctMax = Math.max(1, values.length >> 1)
  let count = 0
  let last: T | null = null
  let place = 0
  for (let row = 0; row < values.length; row++) {
    const value = values[row]!
    if (value === null) {
      levelsScratch[row] = 0
      continue
    }
    levelsScratch[row] = 1
    // Neighbours are often equal, and hashing a text costs more than comparing two.
    if (value !== last) {
      last = value
      const found = index.get(value)
      if (found === undefined) {
        place = index.size
        if (place >= distinctMax || (count < TRIAL && place >= TRIAL_DISTINCT_MAX)) return null
        index.set(value, place)
      } else place = found
    }
    placesScratch[count++] = place
  }
  return index.size > Math.max(1, count >> 1) ? null : { dictionary: [...index.keys()], count }
}

/** Dictionary and places as dictionaryOf left them; null where the dictionary is too large a page. */
function encodeDictionary<T>(
  spec: ColumnSpec,
  rows: number,
  found: { dictionary: T[]; count: number },
  encode: (values: T[]) => Uint8Array,
): Encoded | null {
  const levels = spec.isRequired ? NOTHING : packLevels(levelsScratch, rows)
  if (found.count === 0) return onePage(rows, 'PLAIN', levels)
  const places = packPlaces(placesScratch, found.count, found.dictionary.length)
  const bytes = encode(found.dictionary)
  if (bytes.length > PAGE_BYTES_TARGET) return null
  const dictionary = { values: found.dictionary.length, encoding: 'PLAIN', bytes } as const
  return { ...onePage(rows, 'RLE_DICTIONARY', levels, places), dictionary }
}

function packPlaces(places: Uint32Array, count: number, size: number): Uint8Array {
  const width = size < 2 ? 0 : 32 - Math.clz32(size - 1)
  const packed = encodeHybrid(places, count, width)
  const bytes = new Uint8Array(1 + packed.length)
  bytes[0] = width
  bytes.set(packed, 1)
  return bytes
}

function encodePlaces(spec: ColumnSpec, dictionary: string[], places: Uint32Array): Encoded {
  const rows = places.length
  levelsScratch.fill(1, 0, rows)
  placesScratch.set(places)
  return (
    encodeDictionary(spec, rows, { dictionary, count: rows }, plainTexts) ??
    textPages(
      spec,
      Array.from(places, (place) => dictionary[place]!),
    )
  )
}

// Texts.

function encodeTexts(spec: ColumnSpec, values: (string | null)[]): Encoded {
  const found = dictionaryOf(values)
  const encoded = found && encodeDictionary(spec, values.length, found, plainTexts)
  return encoded ?? textPages(spec, values)
}

/** Every text after its length in 4 bytes, little endian. */
function plainTexts(texts: string[]): Uint8Array {
  if (texts.length === 0) return NOTHING
  const bytes = Buffer.from(`\0\0\0\0${texts.join('\0\0\0\0')}`)
  const lengths = lengthsOf(texts, bytes.length - 4 * texts.length)
  if (!lengths) return plainTexts(texts.map((text) => text.toWellFormed()))
  let at = 0
  for (const length of lengths) {
    writeLength(bytes, at, length)
    at += 4 + length
  }
  return bytes
}

/** The UTF-8 length of each text, or null where a text is not well formed and they do not add up. */
function lengthsOf(texts: string[], bytes: number): number[] | null {
  let units = 0
  const lengths = new Array<number>(texts.length)
  for (let i = 0; i < texts.length; i++) {
    lengths[i] = texts[i]!.length
    units += texts[i]!.length
  }
  if (units === bytes) return lengths
  let sum = 0
  for (let i = 0; i < texts.length; i++) {
    lengths[i] = Buffer.byteLength(texts[i]!)
    sum += lengths[i]!
  }
  return sum === bytes ? lengths : null
}

/** Pages of about PAGE_BYTES_TARGET, or of one text that is longer. */
function textPages(spec: ColumnSpec, values: (string | null)[]): Encoded {
  const pages: (() => Page)[] = []
  let from = 0
  let units = 0
  for (let row = 0; row <= values.length; row++) {
    const length = values[row]?.length ?? 0
    if (row === values.length || (row > from && units + length > PAGE_BYTES_TARGET)) {
      const own = values.slice(from, row)
      pages.push(() => {
        const bytes = Buffer.concat([levelsOf(spec, own), plainTexts(presentOf(own))])
        return { values: own.length, encoding: 'PLAIN', bytes }
      })
      from = row
      units = 0
    }
    units += length
  }
  return { rows: values.length, dictionary: null, pages, isDense: false }
}

// Numbers.

function encodeTimes(spec: ColumnSpec, ms: number[], ns: number[] | null): Encoded {
  const known = ms.map((at) => (at < 0 ? null : at))
  if (known.every((at) => at === null)) return onePage(ms.length, 'PLAIN', levelsOf(spec, known))
  if (!ns) {
    const found = dictionaryOf(known)
    const encode = (values: number[]) =>
      bytesOf(BigInt64Array.from(values, (at) => nanoseconds(at, 0)))
    const encoded = found && encodeDictionary(spec, ms.length, found, encode)
    if (encoded) return encoded
  }
  const [encoding, bytes] = timeValues(ms, ns ?? new Array<number>(ms.length).fill(0))
  return onePage(ms.length, encoding, levelsOf(spec, known), bytes)
}

const nanoseconds = (ms: number, ns: number) => BigInt(ms) * 1_000_000n + BigInt(ns)

function timeValues(ms: number[], ns: number[]): [Encoding, Uint8Array] {
  const steps = new Float64Array(ms.length)
  let count = 0
  let first = 0n
  let isNear = true
  for (let row = 0, last = -1; row < ms.length; row++) {
    if (ms[row]! < 0) continue
    if (last < 0) first = nanoseconds(ms[row]!, ns[row]!)
    else {
      const step = (ms[row]! - ms[last]!) * 1e6 + (ns[row]! - ns[last]!)
      // Neighbours more than 26 days apart: few records, or a clock gone wild.
      if (Math.abs(step) >= STEP_MAX) isNear = false
      steps[count++] = step
    }
    last = row
  }
  if (isNear) return ['DELTA_BINARY_PACKED', encodeDelta(first, steps.subarray(0, count))]
  const values = ms.flatMap((at, row) => (at < 0 ? [] : [nanoseconds(at, ns[row]!)]))
  return ['PLAIN', bytesOf(BigInt64Array.from(values))]
}

function encodeNumbers(
  spec: ColumnSpec,
  kind: 'int' | 'long' | 'num',
  values: (number | null)[],
): Encoded {
  const plain = (present: number[]) => plainNumbers(kind, present)
  // A dictionary would take -0 for 0.
  const found = values.some((value) => Object.is(value, -0)) ? null : dictionaryOf(values)
  const encoded = found && encodeDictionary(spec, values.length, found, plain)
  if (encoded) return encoded
  const present = presentOf(values)
  const isNear = kind === 'long' && present.every((value) => Math.abs(value) < STEP_MAX / 2)
  if (!isNear) return encodePlain(spec, values, plain)
  const steps = new Float64Array(present.length - 1)
  for (let i = 0; i < steps.length; i++) steps[i] = present[i + 1]! - present[i]!
  const bytes = encodeDelta(BigInt(present[0]!), steps)
  return onePage(values.length, 'DELTA_BINARY_PACKED', levelsOf(spec, values), bytes)
}

function plainNumbers(kind: 'int' | 'long' | 'num', values: number[]): Uint8Array {
  if (kind === 'int') return bytesOf(Int32Array.from(values))
  if (kind === 'num') return bytesOf(Float64Array.from(values))
  return bytesOf(BigInt64Array.from(values, BigInt))
}

function plainBools(values: boolean[]): Uint8Array {
  const bytes = new Uint8Array((values.length + 7) >> 3)
  for (let i = 0; i < values.length; i++) if (values[i]) bytes[i >> 3]! |= 1 << (i & 7)
  return bytes
}

/** Every platform that runs this is little endian, as Parquet is. */
const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView<ArrayBuffer>) =>
  new Uint8Array(buffer, byteOffset, byteLength)
