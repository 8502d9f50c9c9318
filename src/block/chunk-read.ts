// Reads one column of a row group back: what chunk-write.ts writes, and nothing else of Parquet. A
// page is decompressed into no more bytes than its header says and PAGE_BYTES_MAX allows, every count
// is held against the rows of the group, and gzip's own checksum covers levels and values; so damaged
// bytes throw, soon and without taking memory.
//
// Texts are cut out of one string for the whole page (texts.ts): a call into the runtime per text
// would take five times as long.

import { Buffer } from 'node:buffer'
import { crc32, gunzipSync } from 'node:zlib'
import { decodeDelta, decodeHybrid } from './delta.ts'
import { PAGE_BYTES_MAX } from './layout.ts'
import { TextPages, Texts } from './texts.ts'
import { ThriftReader } from './thrift.ts'

/** Where a column of a row group lies, from the footer. */
export interface ChunkPlace {
  start: number
  bytes: number
  isGzip: boolean
  isRequired: boolean
  rows: number
}

/** The values of the rows that have one, in order; with `places`, a dictionary for those. */
export interface Decoded<T> {
  rows: number
  /** 1 where a row has a value, 0 where not; null where all have. */
  levels: Uint8Array | null
  places: Uint16Array | null
  values: T[]
}

/** How the values of one kind are read: `count` of them from `at` to the end of `bytes`. */
interface Coder<T> {
  plain(bytes: Uint8Array, at: number, count: number): T[]
  /** DELTA_BINARY_PACKED, where values may be steps. */
  steps?(bytes: Uint8Array, at: number, count: number): T[]
}

// Parquet's numbers for what we write.
const PLAIN = 0
const DELTA_BINARY_PACKED = 5
const RLE_DICTIONARY = 8
const DATA_PAGE = 0
const DICTIONARY_PAGE = 2

export const readTexts = (file: Uint8Array, place: ChunkPlace): Decoded<string> =>
  decodeChunk(file, place, TEXTS)
/** The same, cut when somebody reads them. */
export function readTextsLazily(file: Uint8Array, place: ChunkPlace): Texts {
  const pages = new TextPages()
  const plain: Coder<number>['plain'] = (bytes, at, count) => pages.add(bytes, at, count)
  return new Texts(pages, spread(decodeChunk(file, place, { plain }), -1))
}
export const readLongs = (file: Uint8Array, place: ChunkPlace): Decoded<number> =>
  decodeChunk(file, place, LONGS)
export const readInts = (file: Uint8Array, place: ChunkPlace): Decoded<number> =>
  decodeChunk(file, place, INTS)
export const readDoubles = (file: Uint8Array, place: ChunkPlace): Decoded<number> =>
  decodeChunk(file, place, DOUBLES)
export const readBools = (file: Uint8Array, place: ChunkPlace): Decoded<boolean> =>
  decodeChunk(file, place, BOOLS)

/** Milliseconds, -1 for none, and the nanoseconds left of each row. */
export function readTimes(file: Uint8Array, place: ChunkPlace): { ms: number[]; ns: number[] } {
  const left: number[] = []
  const decoded = decodeChunk(file, place, timesInto(left))
  if (left.length !== decoded.values.length) throw new Error('times in several pages')
  return { ms: spread(decoded, -1), ns: spread({ ...decoded, values: left }, 0) }
}

/** A value a row, `none` where it has none. */
export function spread<T, N>({ rows, levels, places, values }: Decoded<T>, none: N): (T | N)[] {
  if (!levels && !places) return values
  const out = new Array<T | N>(rows)
  if (!levels) {
    for (let row = 0; row < rows; row++) out[row] = values[places![row]!]!
    return out
  }
  let at = 0
  for (let row = 0; row < rows; row++) {
    if (levels[row] === 0) out[row] = none
    else out[row] = places ? values[places[at++]!]! : values[at++]!
  }
  return out
}

/** The rows that have a value, and the values. */
export function sparse<T>({ rows, levels, places, values }: Decoded<T>) {
  const count = places?.length ?? values.length
  const at = new Array<number>(count)
  for (let row = 0, i = 0; row < rows; row++) if (!levels || levels[row] === 1) at[i++] = row
  if (!places) return { rows: at, values }
  const out = new Array<T>(count)
  for (let i = 0; i < count; i++) out[i] = values[places[i]!]!
  return { rows: at, values: out }
}

function decodeChunk<T>(file: Uint8Array, place: ChunkPlace, coder: Coder<T>): Decoded<T> {
  const end = place.start + place.bytes
  let at = place.start
  let dictionary: T[] | null = null
  const parts: Decoded<T>[] = []
  for (let rows = 0; rows < place.rows; ) {
    const header = readHeader(file, at, end)
    at = header.start + header.packedBytes
    const bytes = unpack(file.subarray(header.start, at), header, place.isGzip)
    if (header.type === DICTIONARY_PAGE) {
      if (dictionary || rows > 0) throw new Error(`a second dictionary before byte ${at}`)
      dictionary = coder.plain(bytes, 0, header.count)
      continue
    }
    if (header.count === 0 || header.count > place.rows - rows) {
      throw new Error(`${header.count} values before byte ${at}`)
    }
    parts.push(decodePage(bytes, header, place.isRequired, coder, dictionary))
    rows += header.count
  }
  return parts.length === 1 ? parts[0]! : joined(parts)
}

function joined<T>(parts: Decoded<T>[]): Decoded<T> {
  // Only texts have several pages, and those have no dictionary.
  if (parts.some(({ places }) => places)) throw new Error('a dictionary for several pages')
  const levels = parts.some((part) => part.levels)
    ? Buffer.concat(parts.map((part) => part.levels ?? new Uint8Array(part.rows).fill(1)))
    : null
  const rows = parts.reduce((sum, part) => sum + part.rows, 0)
  return { rows, levels, places: null, values: parts.flatMap(({ values }) => values) }
}

interface Header {
  type: number
  encoding: number
  count: number
  rawBytes: number
  packedBytes: number
  /** Of a page that is not compressed: gzip has its own. */
  crc: number
  /** Where the page's bytes begin. */
  start: number
}

function readHeader(file: Uint8Array, at: number, end: number): Header {
  const r = new ThriftReader(file, at, end)
  const header: Header = {
    type: -1,
    encoding: -1,
    count: -1,
    rawBytes: -1,
    packedBytes: -1,
    crc: 0,
    start: 0,
  }
  r.struct((id) => {
    if (id === 1) header.type = r.int()
    else if (id === 2) header.rawBytes = r.int()
    else if (id === 3) header.packedBytes = r.int()
    else if (id === 4) header.crc = r.int()
    else if (id === 5 || id === 7) {
      r.struct((id) => {
        if (id === 1) header.count = r.int()
        else if (id === 2) header.encoding = r.int()
        else r.skip()
      })
    } else r.skip()
  })
  header.start = r.at
  const { type, count, rawBytes, packedBytes } = header
  const isSound =
    (type === DATA_PAGE || type === DICTIONARY_PAGE) &&
    count >= 0 &&
    rawBytes >= 0 &&
    rawBytes <= PAGE_BYTES_MAX &&
    packedBytes >= 0 &&
    packedBytes <= end - r.at
  if (!isSound) throw new Error(`no page of ours at byte ${at}`)
  return header
}

function unpack(packed: Uint8Array, { rawBytes, crc }: Header, isGzip: boolean): Uint8Array {
  if (!isGzip && (crc32(packed) | 0) !== crc) throw new Error('a page with another checksum')
  // One byte more than is there, so that the codec sees the end in its first call. workerd still asks
  // for a second chunk where the first comes out full, and refuses it when the bound leaves no room.
  const chunkSize = Math.max(64, rawBytes + 1)
  const maxOutputLength = 2 * chunkSize
  const bytes = isGzip ? gunzipSync(packed, { chunkSize, maxOutputLength }) : packed
  if (bytes.length !== rawBytes) throw new Error(`a page of ${bytes.length} bytes, not ${rawBytes}`)
  return bytes
}

function decodePage<T>(
  bytes: Uint8Array,
  { count, encoding }: Header,
  isRequired: boolean,
  coder: Coder<T>,
  dictionary: T[] | null,
): Decoded<T> {
  const { levels, present, at } = isRequired
    ? { levels: null, present: count, at: 0 }
    : readLevels(bytes, count)
  const decoded = { rows: count, levels, places: null }
  switch (encoding) {
    case RLE_DICTIONARY: {
      const places = readPlaces(bytes, at, present, dictionary?.length ?? 0)
      return { ...decoded, places, values: dictionary! }
    }
    case PLAIN:
      return { ...decoded, values: coder.plain(bytes, at, present) }
    case DELTA_BINARY_PACKED:
      if (coder.steps) return { ...decoded, values: coder.steps(bytes, at, present) }
  }
  throw new Error(`values in unknown encoding ${encoding}`)
}

function readLevels(bytes: Uint8Array, count: number) {
  const at = 4 + uint32At(bytes, 0)
  if (at > bytes.length) throw new Error(`levels run past byte ${bytes.length}`)
  const levels = new Uint8Array(count)
  decodeHybrid(bytes, 4, at, 1, levels)
  let present = 0
  for (let row = 0; row < count; row++) present += levels[row]!
  return { levels: present === count ? null : levels, present, at }
}

function readPlaces(bytes: Uint8Array, at: number, count: number, size: number): Uint16Array {
  const places = new Uint16Array(count)
  decodeHybrid(bytes, at + 1, bytes.length, bytes[at] ?? 0, places)
  let most = 0
  for (let i = 0; i < count; i++) if (places[i]! > most) most = places[i]!
  if (most >= size) throw new Error(`place ${most} in a dictionary of ${size}`)
  return places
}

// Texts.

const TEXTS: Coder<string> = {
  plain(bytes, at, count) {
    const pages = new TextPages()
    return pages.add(bytes, at, count).map((place) => pages.cut(place))
  },
}

function uint32At(bytes: Uint8Array, at: number): number {
  if (at + 4 > bytes.length) throw new Error(`cut off at byte ${bytes.length}`)
  return (
    (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
  )
}

// Numbers.

const LONGS: Coder<number> = {
  plain: (bytes, at, count) => Array.from(longsAt(bytes, at, count), Number),
  steps(bytes, at, count) {
    const { first, steps } = decodeDelta(bytes, at, count)
    const values = new Array<number>(count)
    let value = Number(first)
    values[0] = value
    for (let i = 1; i < count; i++) {
      value += steps[i - 1]!
      values[i] = value
    }
    return values
  },
}
const INTS: Coder<number> = {
  plain: (bytes, at, count) => Array.from(new Int32Array(copied(bytes, at, count * 4))),
}
const DOUBLES: Coder<number> = {
  plain: (bytes, at, count) => Array.from(new Float64Array(copied(bytes, at, count * 8))),
}
const BOOLS: Coder<boolean> = {
  plain(bytes, at, count) {
    copied(bytes, at, (count + 7) >> 3)
    return Array.from({ length: count }, (_, i) => ((bytes[at + (i >> 3)]! >> (i & 7)) & 1) === 1)
  },
}

/** Gives milliseconds, and fills `left` with the nanoseconds left of each value: of one page. */
const timesInto = (left: number[]): Coder<number> => ({
  plain(bytes, at, count) {
    const values = longsAt(bytes, at, count)
    for (let i = 0; i < count; i++) left[i] = Number(values[i]! % 1_000_000n)
    return Array.from(values, (value) => Number(value / 1_000_000n))
  },
  steps(bytes, at, count) {
    const { first, steps } = decodeDelta(bytes, at, count)
    const values = new Array<number>(count)
    let ms = Number(first / 1_000_000n)
    let ns = Number(first % 1_000_000n)
    values[0] = ms
    left[0] = ns
    for (let i = 1; i < count; i++) {
      ns += steps[i - 1]!
      if (ns < 0 || ns >= 1e6) {
        const carried = Math.floor(ns / 1e6)
        ms += carried
        ns -= carried * 1e6
      }
      values[i] = ms
      left[i] = ns
    }
    return values
  },
})

const longsAt = (bytes: Uint8Array, at: number, count: number) =>
  new BigInt64Array(copied(bytes, at, count * 8))

/** A copy, because numbers of 4 and 8 bytes are read where their place is a multiple of that. */
function copied(bytes: Uint8Array, at: number, count: number): ArrayBuffer {
  if (at + count > bytes.length) throw new Error(`${count} bytes run past byte ${bytes.length}`)
  return new Uint8Array(bytes.subarray(at, at + count)).buffer
}
