// Loki's push in protobuf, logproto.PushRequest, out of its snappy already. Read in one pass straight
// to columns like OTLP's (otlp-protobuf.ts), with the same rules: fields in any order, a stream walked
// twice because its labels may follow its entries, a known field of another wire type skipped.

import {
  BadBytes,
  type Reader,
  readEnd,
  readerOf,
  readInt32,
  readTag,
  readText,
  readVarint64,
  skipField,
} from '../bytes.ts'
import type { RecordBatch } from '../record.ts'
import { err, ok, type Result } from '../result.ts'
import { BadLabels, readLabels } from './loki-labels.ts'
import { LokiWriter } from './loki-writer.ts'
import type { Arrival } from './map.ts'
import { TooLarge } from './too-large.ts'

/** The tag bytes the reader knows, by message and field: number << 3 | wire type. */
export const LOKI_TAGS = {
  PushRequest: { streams: 0x0a },
  StreamAdapter: { labels: 0x0a, entries: 0x12 },
  EntryAdapter: { timestamp: 0x0a, line: 0x12, structuredMetadata: 0x1a },
  LabelPairAdapter: { name: 0x0a, value: 0x12 },
  Timestamp: { seconds: 0x08, nanos: 0x10 },
} as const

const STREAM = LOKI_TAGS.StreamAdapter
const ENTRY = LOKI_TAGS.EntryAdapter
const PAIR = LOKI_TAGS.LabelPairAdapter
const TIMESTAMP = LOKI_TAGS.Timestamp
const NANOS_END = 1e9
/** No number of seconds beyond makes a time that can be kept, or a double that is exact. */
const SECONDS_END = 1e12

interface Decoder {
  r: Reader
  to: LokiWriter
  /** How many streams came before. */
  stream: number
  seconds: number
  nanos: number
}

/** Decodes a PushRequest. One bad byte refuses the whole body. */
export function decodeLokiProtobuf(body: Uint8Array, arrival: Arrival): Result<RecordBatch> {
  const to = new LokiWriter(arrival)
  const d: Decoder = { r: readerOf(body), to, stream: 0, seconds: 0, nanos: 0 }
  try {
    readRequest(d, body.length)
    if (d.stream > 0) return ok(to.batch)
    return err('bad_protobuf', 'the body holds no streams: at least one is needed')
  } catch (e) {
    if (e instanceof BadBytes) return err('bad_protobuf', e.message, { offset: e.offset })
    if (e instanceof TooLarge) return e.answer
    if (!(e instanceof BadLabels)) throw e
    return err('bad_protobuf', `the labels of stream ${d.stream} are no labels: ${e.message}`)
  }
}

function readRequest(d: Decoder, end: number): void {
  const { r } = d
  while (r.pos < end) {
    const tag = readTag(r, end)
    if (tag === LOKI_TAGS.PushRequest.streams) {
      readStream(d, readEnd(r, end))
      d.stream++
    } else skipField(r, tag, end)
  }
}

function readStream(d: Decoder, end: number): void {
  const { r, to } = d
  const start = r.pos
  let labels = ''
  while (r.pos < end) {
    const tag = readTag(r, end)
    if (tag === STREAM.labels) labels = readText(r, readEnd(r, end))
    else skipField(r, tag, end)
  }
  to.beginStream()
  if (labels !== '') readLabels(labels, (name, value) => to.label(name, value))
  r.pos = start
  while (r.pos < end) {
    const tag = readTag(r, end)
    if (tag === STREAM.entries) readEntry(d, readEnd(r, end))
    else skipField(r, tag, end)
  }
}

function readEntry(d: Decoder, end: number): void {
  const { r, to } = d
  let line = ''
  d.seconds = 0
  d.nanos = 0
  to.beginEntry()
  while (r.pos < end) {
    const tag = readTag(r, end)
    if (tag === ENTRY.timestamp) readTimestamp(d, readEnd(r, end))
    else if (tag === ENTRY.line) line = readText(r, readEnd(r, end))
    else if (tag === ENTRY.structuredMetadata) readPair(d, readEnd(r, end))
    else skipField(r, tag, end)
  }
  const { seconds, nanos } = d
  to.time(seconds * 1000 + Math.floor(nanos / 1e6), nanos % 1e6)
  to.endEntry(line)
}

function readTimestamp(d: Decoder, end: number): void {
  const { r } = d
  while (r.pos < end) {
    const tag = readTag(r, end)
    if (tag === TIMESTAMP.seconds) {
      readVarint64(r, end)
      const seconds = (r.hi | 0) * 4294967296 + r.lo
      d.seconds = Math.max(-SECONDS_END, Math.min(SECONDS_END, seconds))
    } else if (tag === TIMESTAMP.nanos) {
      const at = r.pos
      d.nanos = readInt32(r, end)
      if (d.nanos < 0 || d.nanos >= NANOS_END) {
        throw new BadBytes(`${d.nanos} nanoseconds of a second at byte ${at}`, at)
      }
    } else skipField(r, tag, end)
  }
}

function readPair(d: Decoder, end: number): void {
  const { r, to } = d
  let name = ''
  let value = ''
  while (r.pos < end) {
    const tag = readTag(r, end)
    if (tag === PAIR.name) name = readText(r, readEnd(r, end))
    else if (tag === PAIR.value) value = readText(r, readEnd(r, end))
    else skipField(r, tag, end)
  }
  to.metadata(name, value)
}
