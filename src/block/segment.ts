// A segment: the stored form of records that are committed and not yet sealed into a block.
//
//   brotli( JSON { v: 1, n: records, received: ms, base: ms, ms: [...], ... } )
//
// Columns as JSON, because JSON.parse and JSON.stringify are the fastest typed codec a JavaScript
// runtime has; brotli at quality 1, because it takes half the time of gzip 1 and a tenth less room
// (docs/decisions/0003). A column is written in the least of:
//
//   (left out)        every value is null (text) or 0 (numbers)
//   value             every record has this one value
//   {d: [...], i: ''} a dictionary, where values repeat, and each record's place in it: one character
//                     a record, two where the dictionary is longer than DIGITS
//   {c: 'user_id'}    an attribute whose values are those of this text column
//   [...]             a value a record
//
// Times are offsets from the segment's lowest millisecond. `seq` is not inside: the shard numbers
// records when it stores them. FORMAT_VERSION grows when an older reader would misread, and every
// version stays readable for good (test/fixtures/blocks holds one of each).

import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib'
import { ROW_BYTES_MAX, SEGMENT_RAW_BYTES_TARGET, SEGMENT_RECORDS_MAX } from '../limits.ts'
import {
  type AttributeColumn,
  type AttributeType,
  emptyBatch,
  type RecordBatch,
  TEXT_COLUMNS,
  type TextColumn,
} from '../record.ts'
import { bug } from '../result.ts'
import { type BlockSummary, summarize } from './summary.ts'

export const FORMAT_VERSION = 1

// Large chunks: with the default of 16 KiB a segment takes several calls into the codec and a copy.
const CHUNK_BYTES = 64 * 1024
const BROTLI = { chunkSize: CHUNK_BYTES, params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }
const UNBROTLI = { chunkSize: 4 * CHUNK_BYTES }

export interface Segment {
  bytes: Uint8Array
  /** Of its records before encoding, about: what it takes to have it decoded. */
  rawBytes: number
  summary: BlockSummary
}

type Packed<T> = T | T[] | { d: T[]; i: string } | undefined
interface PackedAttribute {
  k: string
  t: AttributeType
  /** Rows that have a value; left out when all have one. */
  r?: number[]
  v: Packed<string | number | boolean> | { c: TextColumn }
}
interface Wire {
  v: number
  n: number
  received: number
  base: number
  ms: Packed<number>
  ns: Packed<number>
  /** Offset of the observed time from the record's own, null where there is none. */
  observed: Packed<number | null>
  observedNs: Packed<number>
  level: Packed<number>
  severity: Packed<number>
  severityText: Packed<string | null>
  /** null where the message is the JSON text of the body, which is stored once. */
  message: Packed<string | null>
  text: { [column in TextColumn]?: Packed<string | null> }
  body: Packed<string | null>
  attributes: PackedAttribute[]
  rest: Packed<string | null>
  resource: Packed<number>
  resources: string[]
  scope: Packed<number>
  scopes: string[]
  otel: Packed<string | null>
  cut: Packed<string | null>
}

/** Cuts a batch into segments of less than ROW_BYTES_MAX stored bytes each, in order. */
export function encodeSegments(batch: RecordBatch): Segment[] {
  const segments: Segment[] = []
  let from = 0
  let rawBytes = 0
  for (let row = 0; row < batch.length; row++) {
    const bytes = batch.bytes[row]!
    const isFull =
      row - from === SEGMENT_RECORDS_MAX ||
      (row > from && rawBytes + bytes > SEGMENT_RAW_BYTES_TARGET)
    if (isFull) {
      encodeRange(batch, from, row, segments)
      from = row
      rawBytes = 0
    }
    rawBytes += bytes
  }
  if (batch.length > from) encodeRange(batch, from, batch.length, segments)
  return segments
}

/** Encodes records `from`..`to`, in halves when they do not compress below the bound. */
function encodeRange(batch: RecordBatch, from: number, to: number, out: Segment[]): void {
  const bytes = encodeSegment(batch, from, to)
  if (bytes.length < ROW_BYTES_MAX) {
    let rawBytes = 0
    for (let row = from; row < to; row++) rawBytes += batch.bytes[row]!
    out.push({ bytes, rawBytes, summary: summarize(batch, from, to) })
    return
  }
  if (to - from === 1) bug(`one record takes ${bytes.length} bytes`)
  const middle = (from + to) >> 1
  encodeRange(batch, from, middle, out)
  encodeRange(batch, middle, to, out)
}

/** Records `from`..`to` (exclusive) of a batch as bytes. */
export function encodeSegment(batch: RecordBatch, from = 0, to = batch.length): Uint8Array {
  const n = to - from
  const own = <T>(column: T[]): T[] => part(column, from, to)
  const timeMs = own(batch.timeMs)
  const observedMs = own(batch.observedMs)
  let base = Number.POSITIVE_INFINITY
  for (const ms of timeMs) if (ms < base) base = ms
  const text: Wire['text'] = {}
  for (const column of TEXT_COLUMNS) text[column] = packText(own(batch.text[column]))
  const resource = packIndexed(own(batch.resource), batch.resources)
  const scope = packIndexed(own(batch.scope), batch.scopes)
  const wire: Wire = {
    v: FORMAT_VERSION,
    n,
    received: batch.receivedMs,
    base,
    ms: packNumbers(timeMs.map((ms) => ms - base)),
    ns: packNumbers(own(batch.timeNs)),
    observed: packText(observedMs.map((ms, i) => (ms < 0 ? null : ms - timeMs[i]!))),
    observedNs: packNumbers(own(batch.observedNs)),
    level: packNumbers(own(batch.level)),
    severity: packNumbers(own(batch.severityNumber)),
    severityText: packText(own(batch.severityText)),
    message: packText(messagesOf(own(batch.message), own(batch.body))),
    text,
    body: packText(own(batch.body)),
    attributes: packAttributes(batch, from, to),
    rest: packText(own(batch.attributesRest)),
    resource: resource.index,
    resources: resource.values,
    scope: scope.index,
    scopes: scope.values,
    otel: packText(own(batch.otel)),
    cut: packText(own(batch.cut)),
  }
  return brotliCompressSync(Buffer.from(JSON.stringify(wire)), BROTLI)
}

/** A message that its body tells is stored once: a scalar's text, or the JSON text itself. */
const messageOfBody = (body: string): string =>
  body.startsWith('"') ? (JSON.parse(body) as string) : body

function messagesOf(messages: string[], bodies: (string | null)[]): (string | null)[] {
  if (bodies.every((body) => body === null)) return messages
  return messages.map((message, row) => {
    const body = bodies[row]!
    return body !== null && messageOfBody(body) === message ? null : message
  })
}

function packNumbers(values: number[]): Packed<number> {
  const first = values[0]!
  if (!values.every((value) => value === first)) return values
  return first === 0 ? undefined : first
}

function packText<T extends string | number>(values: (T | null)[]): Packed<T | null> {
  const first = values[0]!
  if (first === null && values.every((value) => value === null)) return undefined
  return packDictionary(values)
}

/** Distinct values among the first rows from which on a dictionary is not tried. */
const TRIAL_ROWS = 64
const TRIAL_DISTINCT_MAX = 48

/** A constant, a dictionary where at most half the values differ, else the values as they are. */
function packDictionary<T>(values: T[]): Packed<T> {
  const n = values.length
  const first = values[0]!
  let same = 1
  while (same < n && values[same] === first) same++
  // A bare null would read as a column that is not there.
  if (same === n && first !== null) return first
  const index = new Map<T, number>()
  const places = new Uint16Array(n)
  const distinctMax = n >> 1
  let last: T | undefined
  let at: number | undefined
  for (let row = 0; row < n; row++) {
    const value = values[row]!
    // Records of one resource stand together, and hashing a text costs more than comparing two.
    if (value !== last || at === undefined) {
      at = index.get(value)
      last = value
    }
    if (at === undefined) {
      at = index.size
      const isHopeless = row < TRIAL_ROWS && at > TRIAL_DISTINCT_MAX
      if (at > distinctMax || isHopeless) return values
      index.set(value, at)
    }
    places[row] = at
  }
  return { d: [...index.keys()], i: textOfPlaces(places, index.size) }
}

// Places as printable ASCII without `"` and `\`, which JSON would escape: # to [ and ] to ~.
const FIRST = 35
const GAP = 92
const DIGITS = 91
const characterOf = (digit: number) => (digit + FIRST >= GAP ? digit + FIRST + 1 : digit + FIRST)
const digitOf = (character: number) => (character > GAP ? character - FIRST - 1 : character - FIRST)

function textOfPlaces(places: Uint16Array, size: number): string {
  const width = size <= DIGITS ? 1 : 2
  const text = Buffer.allocUnsafe(places.length * width)
  for (let row = 0, at = 0; row < places.length; row++) {
    const place = places[row]!
    if (width === 2) text[at++] = characterOf(Math.floor(place / DIGITS))
    text[at++] = characterOf(place % DIGITS)
  }
  return text.toString('latin1')
}

function valuesOfPlaces<T>(text: string, dictionary: T[]): T[] {
  const width = dictionary.length <= DIGITS ? 1 : 2
  const values = new Array<T>(text.length / width)
  for (let row = 0, at = 0; row < values.length; row++) {
    let place = digitOf(text.charCodeAt(at++))
    if (width === 2) place = place * DIGITS + digitOf(text.charCodeAt(at++))
    values[row] = dictionary[place]!
  }
  return values
}

/** Only the entries of `all` that these rows name: a slice must not carry the whole request's. */
function packIndexed(rows: number[], all: string[]) {
  const used = new Map<number, number>()
  const index = rows.map((at) => {
    let place = used.get(at)
    if (place === undefined) {
      place = used.size
      used.set(at, place)
    }
    return place
  })
  return { index: packNumbers(index), values: [...used.keys()].map((at) => all[at]!) }
}

function packAttributes(batch: RecordBatch, from: number, to: number): PackedAttribute[] {
  const packed: PackedAttribute[] = []
  for (const column of batch.attributes) {
    const { key, type, rows, values } = column
    const first = lowerBound(rows, from)
    const last = lowerBound(rows, to)
    if (first === last) continue
    const twin = type === 'text' ? twinOf(column, batch, first, last) : undefined
    const v = twin ? { c: twin } : packDictionary(part(values, first, last))
    if (last - first === to - from) packed.push({ k: key, t: type, v })
    else packed.push({ k: key, t: type, r: part(rows, first, last).map((row) => row - from), v })
  }
  return packed
}

/** The text column that has this attribute's values: most columns are filled from one attribute. */
function twinOf(
  { rows, values }: AttributeColumn,
  batch: RecordBatch,
  first: number,
  last: number,
): TextColumn | undefined {
  return TEXT_COLUMNS.find((name) => {
    const column = batch.text[name]
    for (let at = first; at < last; at++) if (column[rows[at]!] !== values[at]) return false
    return true
  })
}

const part = <T>(values: T[], from: number, to: number): T[] =>
  from === 0 && to === values.length ? values : values.slice(from, to)

/** The first place in ascending `rows` whose row is `row` or later. */
export function lowerBound(rows: number[], row: number): number {
  let low = 0
  let high = rows.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (rows[middle]! < row) low = middle + 1
    else high = middle
  }
  return low
}

/** The batch a segment holds. Bytes are our own: a fault in them throws. */
export function decodeSegment(bytes: Uint8Array): RecordBatch {
  const wire = JSON.parse(brotliDecompressSync(bytes, UNBROTLI).toString('utf8')) as Wire
  if (wire.v !== FORMAT_VERSION) bug(`segment of unknown version ${wire.v}`)
  const n = wire.n
  const batch = emptyBatch(wire.received)
  batch.length = n
  batch.timeMs = unpack(wire.ms, n, 0).map((offset) => wire.base + offset)
  batch.timeNs = unpack(wire.ns, n, 0)
  const observed = unpack(wire.observed, n, null)
  batch.observedMs = observed.map((at, row) => (at === null ? -1 : batch.timeMs[row]! + at))
  batch.observedNs = unpack(wire.observedNs, n, 0)
  batch.level = unpack(wire.level, n, 0)
  batch.severityNumber = unpack(wire.severity, n, 0)
  batch.severityText = unpack(wire.severityText, n, null)
  for (const column of TEXT_COLUMNS) batch.text[column] = unpack(wire.text[column], n, null)
  batch.body = unpack(wire.body, n, null)
  const messages = unpack<string | null>(wire.message, n, null)
  batch.message = messages.map((message, row) => message ?? messageOfBody(batch.body[row] ?? ''))
  // Nobody changes a decoded batch, so the columns that every record has share their rows.
  const everyRow: number[] = []
  for (let row = 0; row < n; row++) everyRow.push(row)
  batch.attributes = wire.attributes.map(({ k, t, r, v }) => {
    const rows = r ?? everyRow
    return { key: k, type: t, rows, values: valuesOf(v, rows, batch) }
  })
  batch.attributesRest = unpack(wire.rest, n, null)
  batch.resource = unpack(wire.resource, n, 0)
  batch.resources = wire.resources
  batch.scope = unpack(wire.scope, n, 0)
  batch.scopes = wire.scopes
  batch.otel = unpack(wire.otel, n, null)
  batch.cut = unpack(wire.cut, n, null)
  return batch
}

function valuesOf(
  packed: PackedAttribute['v'],
  rows: number[],
  batch: RecordBatch,
): AttributeColumn['values'] {
  if (typeof packed === 'object' && 'c' in packed) {
    const column = batch.text[packed.c] as string[]
    return rows.length === column.length ? column : rows.map((row) => column[row]!)
  }
  return unpack(packed, rows.length, '')
}

function unpack<T>(packed: Packed<T>, n: number, missing: T): T[] {
  if (packed === undefined) return new Array<T>(n).fill(missing)
  if (Array.isArray(packed)) return packed
  if (typeof packed === 'object' && packed !== null) {
    const { d, i } = packed as { d: T[]; i: string }
    return valuesOfPlaces(i, d)
  }
  return new Array<T>(n).fill(packed as T)
}

/** Segments back to back in one row, each after its length (u32, little endian). */
export function packSegments(segments: Uint8Array[]): Uint8Array {
  const packed = new Uint8Array(segments.reduce((sum, bytes) => sum + 4 + bytes.length, 0))
  const view = new DataView(packed.buffer)
  let at = 0
  for (const bytes of segments) {
    view.setUint32(at, bytes.length, true)
    packed.set(bytes, at + 4)
    at += 4 + bytes.length
  }
  return packed
}

export function unpackSegments(packed: Uint8Array): Uint8Array[] {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength)
  const segments: Uint8Array[] = []
  for (let at = 0; at < packed.length; ) {
    const end = at + 4 + view.getUint32(at, true)
    segments.push(packed.subarray(at + 4, end))
    at = end
  }
  return segments
}
