// One column of a row group as Parquet pages, by hand where hyparquet-writer takes a call a value:
// texts are joined and turned into UTF-8 at once, places and steps are packed from typed arrays. Page
// headers and levels are hyparquet-writer's.
//
//   [dictionary page]  data page ...     a page: levels (length, RLE) · values, compressed as one
//
// A column is written as
//
//   a dictionary and places   where at most half of the values differ
//   lengths, then the texts   of other texts (DELTA_LENGTH_BYTE_ARRAY)
//   steps                     of other integers and times (DELTA_BINARY_PACKED)
//   plain                     of doubles, booleans, and integers too far apart

import { Buffer } from 'node:buffer'
import { gzipSync } from 'node:zlib'
import type { ColumnChunk, Encoding } from 'hyparquet'
import { ByteWriter } from 'hyparquet-writer'
import { writePageHeader } from 'hyparquet-writer/src/datapage.js'
import { writeRleBitPackedHybrid } from 'hyparquet-writer/src/encoding.js'
import { bug } from '../result.ts'
import { encodeDelta, STEP_MAX } from './delta.ts'
import { type ColumnSpec, elementOf, PAGE_BYTES_MAX } from './layout.ts'

/** The values of some rows; null where the record has none. */
export type ColumnValues =
  | { kind: 'text'; values: (string | null)[] }
  /** Texts given as a dictionary without repeats and a place in it for each row. */
  | { kind: 'places'; dictionary: string[]; places: Uint32Array }
  /** Milliseconds, negative for none, and the nanoseconds left; `ns` null where all are 0. */
  | { kind: 'time'; ms: number[]; ns: number[] | null }
  | { kind: 'int' | 'long' | 'num'; values: (number | null)[] }
  | { kind: 'bool'; values: (boolean | null)[] }

/** Raw bytes of a text page aimed at: gzip takes 20 ms for them, and nothing else runs meanwhile. */
const PAGE_BYTES_TARGET = 1024 * 1024
const GZIP = { level: 6, chunkSize: 256 * 1024 }
/** A chunk this small does not repay the codec's 20 bytes and its start. */
const GZIP_BYTES_MIN = 64

const NOTHING = new Uint8Array()

interface Page {
  /** Rows, or entries of a dictionary. */
  values: number
  encoding: Encoding
  bytes: Uint8Array
}

/** Writes one column chunk and returns its entry for the footer. Yields after each page. */
export function* writeChunk(
  writer: ByteWriter,
  spec: ColumnSpec,
  column: ColumnValues,
): Generator<void, ColumnChunk> {
  const rows = column.kind === 'places' ? column.places.length : rowsOf(column)
  const { dictionary, pages } = encodeColumn(spec, column, rows)
  const start = writer.offset
  let rawBytes = 0
  let codec: 'GZIP' | 'UNCOMPRESSED' = 'GZIP'
  const isSmall = (dictionary?.bytes.length ?? 0) + (pages[0]?.bytes.length ?? 0) < GZIP_BYTES_MIN
  if (isSmall && pages.length === 1) codec = 'UNCOMPRESSED'
  const write = (page: Page, isDictionary: boolean) => {
    if (page.bytes.length > PAGE_BYTES_MAX) bug(`a page of ${page.bytes.length} bytes`)
    const packed = codec === 'GZIP' ? gzipSync(page.bytes, GZIP) : page.bytes
    const from = writer.offset
    writeHeader(writer, page, packed.length, isDictionary)
    rawBytes += writer.offset - from + page.bytes.length
    writer.appendBytes(packed)
  }
  if (dictionary) write(dictionary, true)
  const firstPage = writer.offset
  for (const page of pages) {
    write(page, false)
    yield
  }
  const encodings = new Set<Encoding>(pages.map(({ encoding }) => encoding))
  if (dictionary) encodings.add('PLAIN')
  if (!spec.isRequired) encodings.add('RLE')
  return {
    file_offset: BigInt(start),
    meta_data: {
      type: elementOf(spec).type!,
      encodings: [...encodings],
      path_in_schema: [spec.name],
      codec,
      num_values: BigInt(rows),
      total_uncompressed_size: BigInt(rawBytes),
      total_compressed_size: BigInt(writer.offset - start),
      data_page_offset: BigInt(firstPage),
      ...(dictionary && { dictionary_page_offset: BigInt(start) }),
    },
  }
}

const rowsOf = (column: Exclude<ColumnValues, { kind: 'places' }>) =>
  column.kind === 'time' ? column.ms.length : column.values.length

function writeHeader(writer: ByteWriter, page: Page, packedBytes: number, isDictionary: boolean) {
  const { values: num_values, encoding } = page
  const level = { definition_level_encoding: 'RLE', repetition_level_encoding: 'RLE' } as const
  writePageHeader(writer, {
    type: isDictionary ? 'DICTIONARY_PAGE' : 'DATA_PAGE',
    uncompressed_page_size: page.bytes.length,
    compressed_page_size: packedBytes,
    ...(isDictionary
      ? { dictionary_page_header: { num_values, encoding } }
      : { data_page_header: { num_values, encoding, ...level } }),
  })
}

interface Encoded {
  dictionary: Page | null
  pages: Page[]
}

function encodeColumn(spec: ColumnSpec, column: ColumnValues, rows: number): Encoded {
  const levels = levelsOf(spec, column)
  const one = (encoding: Encoding, bytes: Uint8Array, dictionary: Page | null = null): Encoded => ({
    dictionary,
    pages: [{ values: rows, encoding, bytes: Buffer.concat([levels, bytes]) }],
  })
  switch (column.kind) {
    case 'places': {
      const { dictionary, places } = column
      const bytes = plainTexts(dictionary)
      if (bytes.length > PAGE_BYTES_TARGET) {
        const values = Array.from(places, (place) => dictionary[place]!)
        return { dictionary: null, pages: textPages(spec, values) }
      }
      const page = { values: dictionary.length, encoding: 'PLAIN', bytes } as const
      return one('RLE_DICTIONARY', packPlaces(places, dictionary.length), page)
    }
    case 'text': {
      const present = column.values.filter((value) => value !== null)
      if (present.length === 0) return one('PLAIN', NOTHING)
      const found = dictionaryOf(present)
      const bytes = found && plainTexts(found.dictionary)
      if (!bytes || bytes.length > PAGE_BYTES_TARGET) {
        return { dictionary: null, pages: textPages(spec, column.values) }
      }
      const page = { values: found.dictionary.length, encoding: 'PLAIN', bytes } as const
      return one('RLE_DICTIONARY', packPlaces(found.places, found.dictionary.length), page)
    }
    case 'bool':
      return one('PLAIN', plainBools(column.values.filter((value) => value !== null)))
    case 'time': {
      if (column.ms.every((ms) => ms < 0)) return one('PLAIN', NOTHING)
      if (column.ns !== null) return one(...timeValues(column.ms, column.ns))
      const present = column.ms.filter((ms) => ms >= 0)
      const found = dictionaryOf(present)
      if (!found) return one(...timeValues(column.ms, new Array(rows).fill(0)))
      const bytes = bytesOf(BigInt64Array.from(found.dictionary, (ms) => BigInt(ms) * 1_000_000n))
      const page = { values: found.dictionary.length, encoding: 'PLAIN', bytes } as const
      return one('RLE_DICTIONARY', packPlaces(found.places, found.dictionary.length), page)
    }
    default: {
      const present = column.values.filter((value) => value !== null)
      if (present.length === 0) return one('PLAIN', NOTHING)
      // A dictionary would take -0 for 0.
      const found = present.some((value) => Object.is(value, -0)) ? null : dictionaryOf(present)
      if (!found) return one(...numbersOf(column.kind, present))
      const bytes = plainNumbers(column.kind, found.dictionary)
      const page = { values: found.dictionary.length, encoding: 'PLAIN', bytes } as const
      return one('RLE_DICTIONARY', packPlaces(found.places, found.dictionary.length), page)
    }
  }
}

// Levels: which rows have a value, before the values of each page of an optional column.

function levelsOf(spec: ColumnSpec, column: ColumnValues): Uint8Array {
  if (spec.isRequired) return NOTHING
  switch (column.kind) {
    case 'places':
      return packLevels(new Uint8Array(column.places.length).fill(1))
    case 'time':
      return packLevels(Uint8Array.from(column.ms, (ms) => (ms < 0 ? 0 : 1)))
    default: {
      const levels = new Uint8Array(column.values.length)
      for (let row = 0; row < levels.length; row++)
        levels[row] = column.values[row] === null ? 0 : 1
      return packLevels(levels)
    }
  }
}

function packLevels(levels: Uint8Array): Uint8Array {
  const writer = new ByteWriter()
  writer.appendUint32(0)
  writeRleBitPackedHybrid(writer, levels, 1)
  writer.view.setUint32(0, writer.offset - 4, true)
  return writer.getBytes()
}

// Dictionaries.

/** Values looked at before a column is taken for one that does not repeat. */
const TRIAL = 256
const TRIAL_DISTINCT_MAX = 192

/** The distinct values and each value's place among them; null where more than half differ. */
function dictionaryOf<T>(values: T[]): { dictionary: T[]; places: Uint32Array } | null {
  const index = new Map<T, number>()
  const places = new Uint32Array(values.length)
  const distinctMax = Math.max(1, values.length >> 1)
  let last: T | undefined
  let place = 0
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    // Neighbours are often equal, and hashing a text costs more than comparing two.
    if (value !== last || i === 0) {
      last = value
      const found = index.get(value)
      if (found === undefined) {
        place = index.size
        if (place >= distinctMax || (i < TRIAL && place >= TRIAL_DISTINCT_MAX)) return null
        index.set(value, place)
      } else place = found
    }
    places[i] = place
  }
  return { dictionary: [...index.keys()], places }
}

function packPlaces(places: Uint32Array, size: number): Uint8Array {
  const writer = new ByteWriter(64 + places.length * 2)
  const width = size < 2 ? 0 : 32 - Math.clz32(size - 1)
  writer.appendUint8(width)
  writeRleBitPackedHybrid(writer, places, width)
  return writer.getBytes()
}

// Texts.

/** Every text after its length in 4 bytes, little endian. */
function plainTexts(texts: string[]): Uint8Array {
  const bytes = Buffer.from(`\0\0\0\0${texts.join('\0\0\0\0')}`)
  const lengths = lengthsOf(texts, bytes.length - 4 * texts.length)
  if (!lengths) return plainTexts(texts.map((text) => text.toWellFormed()))
  let at = 0
  for (const length of lengths) {
    bytes.writeUInt32LE(length, at)
    at += 4 + length
  }
  return bytes
}

/** The UTF-8 length of each text, or null where a text is not well formed and they do not add up. */
function lengthsOf(texts: string[], bytes: number): number[] | null {
  const units = texts.map((text) => text.length)
  if (units.reduce((sum, length) => sum + length, 0) === bytes) return units
  const lengths = texts.map((text) => Buffer.byteLength(text))
  return lengths.reduce((sum, length) => sum + length, 0) === bytes ? lengths : null
}

/** Pages of about PAGE_BYTES_TARGET, or of one text that is longer. */
function textPages(spec: ColumnSpec, values: (string | null)[]): Page[] {
  const pages: Page[] = []
  let from = 0
  let units = 0
  for (let row = 0; row <= values.length; row++) {
    const length = values[row]?.length ?? 0
    const isFull = row > from && units + length > PAGE_BYTES_TARGET
    if (isFull || row === values.length) {
      pages.push(textPage(spec, values.slice(from, row)))
      from = row
      units = 0
    }
    units += length
  }
  return pages
}

function textPage(spec: ColumnSpec, values: (string | null)[]): Page {
  const texts = values.filter((value) => value !== null)
  const levels = levelsOf(spec, { kind: 'text', values })
  const bytes = Buffer.concat([levels, ...lengthsAndTexts(texts)])
  return { values: values.length, encoding: 'DELTA_LENGTH_BYTE_ARRAY', bytes }
}

function lengthsAndTexts(texts: string[]): Uint8Array[] {
  const bytes = Buffer.from(texts.join(''))
  const lengths = lengthsOf(texts, bytes.length)
  if (!lengths) return lengthsAndTexts(texts.map((text) => text.toWellFormed()))
  return [encodeSteps(lengths), bytes]
}

// Numbers.

function encodeSteps(values: number[]): Uint8Array {
  const steps = new Float64Array(Math.max(0, values.length - 1))
  for (let i = 0; i < steps.length; i++) steps[i] = values[i + 1]! - values[i]!
  return encodeDelta(BigInt(values[0] ?? 0), steps)
}

function timeValues(ms: number[], ns: number[]): [Encoding, Uint8Array] {
  const steps = new Float64Array(ms.length)
  let count = -1
  let lastMs = 0
  let lastNs = 0
  let first = 0n
  for (let row = 0; row < ms.length; row++) {
    if (ms[row]! < 0) continue
    if (count < 0) first = nanoseconds(ms[row]!, ns[row]!)
    else steps[count] = (ms[row]! - lastMs) * 1e6 + (ns[row]! - lastNs)
    lastMs = ms[row]!
    lastNs = ns[row]!
    count++
  }
  const taken = steps.subarray(0, Math.max(0, count))
  // Neighbours more than 26 days apart: few records, or a clock gone wild.
  if (taken.every((step) => Math.abs(step) < STEP_MAX)) {
    return ['DELTA_BINARY_PACKED', encodeDelta(first, taken)]
  }
  const values = ms.flatMap((at, row) => (at < 0 ? [] : [nanoseconds(at, ns[row]!)]))
  return ['PLAIN', bytesOf(BigInt64Array.from(values))]
}

const nanoseconds = (ms: number, ns: number) => BigInt(ms) * 1_000_000n + BigInt(ns)

function numbersOf(kind: 'int' | 'long' | 'num', values: number[]): [Encoding, Uint8Array] {
  const isNear = kind === 'long' && values.every((value) => Math.abs(value) < STEP_MAX / 2)
  if (isNear) return ['DELTA_BINARY_PACKED', encodeSteps(values)]
  return ['PLAIN', plainNumbers(kind, values)]
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
