// A segment: the stored form of records that are committed and not yet sealed into a block.
//
//   gzip( JSON { v: 1, n: records, received: ms, time: [ms base, ...], ... } )
//
// Columns as JSON, because JSON.parse and JSON.stringify are the fastest typed codec a JavaScript
// runtime has, and because anyone can read one with `gunzip`. A column is written in the least of:
//
//   (left out)         every value is null (text) or 0 (numbers)
//   value              every record has this one value
//   {d: [...], i: []}  a dictionary and an index a record, where values repeat
//   [...]              a value a record
//
// Times are offsets from the segment's lowest millisecond. `seq` is not inside: the shard numbers
// records when it stores them. FORMAT_VERSION grows when an older reader would misread, and every
// version stays readable for good (test/fixtures/blocks holds one of each).

import { gunzipSync, gzipSync } from 'node:zlib'
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

export interface Segment {
  bytes: Uint8Array
  summary: BlockSummary
}

type Packed<T> = T | T[] | { d: T[]; i: number[] } | undefined
interface PackedAttribute {
  k: string
  t: AttributeType
  /** Rows that have a value; left out when all have one. */
  r?: number[]
  v: Packed<string | number | boolean>
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
  message: Packed<string>
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
    out.push({ bytes, summary: summarize(batch, from, to) })
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
  const isWhole = n === batch.length
  const part = <T>(column: T[]): T[] => (isWhole ? column : column.slice(from, to))
  const timeMs = part(batch.timeMs)
  const observedMs = part(batch.observedMs)
  let base = Number.POSITIVE_INFINITY
  for (const ms of timeMs) if (ms < base) base = ms
  const text: Wire['text'] = {}
  for (const column of TEXT_COLUMNS) text[column] = packText(part(batch.text[column]))
  const resource = packIndexed(part(batch.resource), batch.resources)
  const scope = packIndexed(part(batch.scope), batch.scopes)
  const wire: Wire = {
    v: FORMAT_VERSION,
    n,
    received: batch.receivedMs,
    base,
    ms: packNumbers(timeMs.map((ms) => ms - base)),
    ns: packNumbers(part(batch.timeNs)),
    observed: packText(observedMs.map((ms, i) => (ms < 0 ? null : ms - timeMs[i]!))),
    observedNs: packNumbers(part(batch.observedNs)),
    level: packNumbers(part(batch.level)),
    severity: packNumbers(part(batch.severityNumber)),
    severityText: packText(part(batch.severityText)),
    message: packDictionary(part(batch.message)),
    text,
    body: packText(part(batch.body)),
    attributes: packAttributes(batch.attributes, from, to),
    rest: packText(part(batch.attributesRest)),
    resource: resource.index,
    resources: resource.values,
    scope: scope.index,
    scopes: scope.values,
    otel: packText(part(batch.otel)),
    cut: packText(part(batch.cut)),
  }
  return gzipSync(JSON.stringify(wire), { level: 1 })
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

/** A constant, a dictionary where at most half the values differ, else the values as they are. */
function packDictionary<T>(values: T[]): Packed<T> {
  const index = new Map<T, number>()
  const indexes = new Array<number>(values.length)
  const distinctMax = values.length >> 1
  for (let row = 0; row < values.length; row++) {
    const value = values[row]!
    let at = index.get(value)
    if (at === undefined) {
      at = index.size
      if (at > distinctMax) return values
      index.set(value, at)
    }
    indexes[row] = at
  }
  // A bare null would read as a column that is not there.
  if (index.size === 1 && values[0] !== null) return values[0] as T
  return { d: [...index.keys()], i: indexes }
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

function packAttributes(columns: AttributeColumn[], from: number, to: number): PackedAttribute[] {
  const packed: PackedAttribute[] = []
  for (const { key, type, rows, values } of columns) {
    const first = lowerBound(rows, from)
    const last = lowerBound(rows, to)
    if (first === last) continue
    const v = packDictionary(values.slice(first, last))
    if (last - first === to - from) packed.push({ k: key, t: type, v })
    else packed.push({ k: key, t: type, r: rows.slice(first, last).map((row) => row - from), v })
  }
  return packed
}

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
  const wire = JSON.parse(gunzipSync(bytes).toString('utf8')) as Wire
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
  batch.message = unpack(wire.message, n, '')
  for (const column of TEXT_COLUMNS) batch.text[column] = unpack(wire.text[column], n, null)
  batch.body = unpack(wire.body, n, null)
  batch.attributes = wire.attributes.map(({ k, t, r, v }) => {
    const rows = r ?? Array.from({ length: n }, (_, row) => row)
    return { key: k, type: t, rows, values: unpack(v, rows.length, '') }
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

function unpack<T>(packed: Packed<T>, n: number, missing: T): T[] {
  if (packed === undefined) return new Array<T>(n).fill(missing)
  if (Array.isArray(packed)) return packed
  if (typeof packed === 'object' && packed !== null) {
    const { d, i } = packed as { d: T[]; i: number[] }
    return i.map((at) => d[at]!)
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
