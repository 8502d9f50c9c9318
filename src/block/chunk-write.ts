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

/** What a value is: `ms` whole milliseconds since 1970, `int` of 32 bits, `long` of 64. */
export type Scalar = 'text' | 'int' | 'long' | 'num' | 'ms'

/** The values of some rows. */
export type ColumnValues =
  /** Null where the row has none. */
  | { kind: 'values'; of: Scalar; values: (string | number | null)[] }
  /** Distinct values, and the place in them of each row's value, -1 where it has none. */
  | { kind: 'places'; of: Scalar; dictionary: (string | number)[]; places: Int32Array }
  /** Milliseconds, negative for none, and the nanoseconds left. */
  | { kind: 'times'; ms: number[]; ns: number[] }
  | { kind: 'bools'; values: (boolean | null)[] }
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

/** Of times and sequence numbers, which readers skip by. */
function boundsOf(column: ColumnValues): [bigint, bigint] | null {
  if (column.kind === 'times') {
    const { ms, ns } = column
    const isBefore = (a: number, b: number) =>
      ms[a]! < ms[b]! || (ms[a] === ms[b] && ns[a]! < ns[b]!)
    let least = 0
    let most = 0
    for (let row = 1; row < ms.length; row++) {
      if (isBefore(row, least)) least = row
      if (isBefore(most, row)) most = row
    }
    return [nanoseconds(ms[least]!, ns[least]!), nanoseconds(ms[most]!, ns[most]!)]
  }
  if (column.kind !== 'values' && column.kind !== 'places') return null
  if (column.of !== 'ms' && column.of !== 'long') return null
  let least = Number.POSITIVE_INFINITY
  let most = Number.NEGATIVE_INFINITY
  for (const value of column.kind === 'values' ? column.values : column.dictionary) {
    least = Math.min(least, value as number)
    most = Math.max(most, value as number)
  }
  const scale = column.of === 'ms' ? 1_000_000n : 1n
  return [BigInt(least) * scale, BigInt(most) * scale]
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
    case 'none': {
      const levels = packLevels(levelsScratch.fill(0, 0, column.rows), column.rows)
      return onePage(column.rows, 'PLAIN', levels)
    }
    case 'bools': {
      const levels = levelsOf(spec, column.values)
      return onePage(column.values.length, 'PLAIN', levels, plainBools(presentOf(column.values)))
    }
    case 'times':
      return encodeTimes(spec, column.ms, column.ns)
    case 'places':
      return encodePlaces(spec, column.of, column.dictionary, column.places)
    case 'values':
      return encodeValues(spec, column.of, column.values)
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

function packLevels(levels: Uint32Array, rows: number): Uint8Array {
  const packed = encodeHybrid(levels, rows, 1)
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

function encodePlaces(
  spec: ColumnSpec,
  of: Scalar,
  values: (string | number)[],
  places: Int32Array,
): Encoded {
  const rows = places.length
  let count = 0
  for (let row = 0; row < rows; row++) {
    const place = places[row]!
    levelsScratch[row] = place < 0 ? 0 : 1
    if (place >= 0) placesScratch[count++] = place
  }
  const levels = spec.isRequired ? NOTHING : packLevels(levelsScratch, rows)
  if (count === 0) return onePage(rows, 'PLAIN', levels)
  // Rare values, of which most are there once, and long ones are better off by themselves.
  const isRepeated = values.length <= Math.max(1, count >> 1)
  const bytes = isRepeated ? plain(of, values) : NOTHING
  if (!isRepeated || bytes.length > PAGE_BYTES_TARGET) {
    const spread = Array.from(places, (place) => (place < 0 ? null : values[place]!))
    return encodeValues(spec, of, spread)
  }
  const page: Page = { values: values.length, encoding: 'PLAIN', bytes }
  const packed = packPlaces(placesScratch, count, values.length)
  return { ...onePage(rows, 'RLE_DICTIONARY', levels, packed), dictionary: page }
}

function packPlaces(places: Uint32Array, count: number, size: number): Uint8Array {
  const width = size < 2 ? 0 : 32 - Math.clz32(size - 1)
  const packed = encodeHybrid(places, count, width)
  const bytes = new Uint8Array(1 + packed.length)
  bytes[0] = width
  bytes.set(packed, 1)
  return bytes
}

// Values.

function encodeValues(spec: ColumnSpec, of: Scalar, values: (string | number | null)[]): Encoded {
  if (of === 'text') return textPages(spec, values as (string | null)[])
  const levels = levelsOf(spec, values)
  const present = presentOf(values) as number[]
  if (present.length > 0 && (of === 'long' || of === 'ms')) {
    const scale = of === 'ms' ? 1e6 : 1
    const steps = stepsOf(present, scale)
    const first = BigInt(present[0]!) * BigInt(scale)
    const packed = steps && encodeDelta(first, steps)
    if (packed) return onePage(values.length, 'DELTA_BINARY_PACKED', levels, packed)
  }
  return onePage(values.length, 'PLAIN', levels, plain(of, present))
}

/** The steps from each number to the next, null where one is too far to be exact. */
function stepsOf(values: number[], scale: number): Float64Array | null {
  const steps = new Float64Array(values.length - 1)
  for (let i = 0; i < steps.length; i++) {
    // Exact as a difference, and as a product where that is small enough.
    const step = (values[i + 1]! - values[i]!) * scale
    if (!(Math.abs(step) < STEP_MAX)) return null
    steps[i] = step
  }
  return steps
}

function plain(of: Scalar, values: (string | number)[]): Uint8Array {
  switch (of) {
    case 'text':
      return plainTexts(values as string[])
    case 'int':
      return bytesOf(Int32Array.from(values as number[]))
    case 'num':
      return bytesOf(Float64Array.from(values as number[]))
    case 'long':
      return bytesOf(BigInt64Array.from(values as number[], BigInt))
    case 'ms':
      return bytesOf(BigInt64Array.from(values as number[], (ms) => nanoseconds(ms, 0)))
  }
}

function plainBools(values: boolean[]): Uint8Array {
  const bytes = new Uint8Array((values.length + 7) >> 3)
  for (let i = 0; i < values.length; i++) if (values[i]) bytes[i >> 3]! |= 1 << (i & 7)
  return bytes
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

// Times.

function encodeTimes(spec: ColumnSpec, ms: number[], ns: number[]): Encoded {
  const rows = ms.length
  const steps = new Float64Array(rows)
  let count = 0
  let first = -1
  let last = -1
  let isNear = true
  for (let row = 0; row < rows; row++) {
    levelsScratch[row] = ms[row]! < 0 ? 0 : 1
    if (ms[row]! < 0) continue
    if (last < 0) first = row
    else {
      const step = (ms[row]! - ms[last]!) * 1e6 + (ns[row]! - ns[last]!)
      // Neighbours more than 26 days apart: few records, or a clock gone wild.
      if (Math.abs(step) >= STEP_MAX) isNear = false
      steps[count++] = step
    }
    last = row
  }
  const levels = spec.isRequired ? NOTHING : packLevels(levelsScratch, rows)
  if (first < 0) return onePage(rows, 'PLAIN', levels)
  if (isNear) {
    const bytes = encodeDelta(nanoseconds(ms[first]!, ns[first]!), steps.subarray(0, count))
    return onePage(rows, 'DELTA_BINARY_PACKED', levels, bytes)
  }
  const values = ms.flatMap((at, row) => (at < 0 ? [] : [nanoseconds(at, ns[row]!)]))
  return onePage(rows, 'PLAIN', levels, bytesOf(BigInt64Array.from(values)))
}

const nanoseconds = (ms: number, ns: number) => BigInt(ms) * 1_000_000n + BigInt(ns)

/** Every platform that runs this is little endian, as Parquet is. */
const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView<ArrayBuffer>) =>
  new Uint8Array(buffer, byteOffset, byteLength)
