// Export requests as bytes. The protobuf is written from its end to its front: a message is
// complete before its length has to be known, so no message is measured twice. Field numbers are
// those of proto/; corpus.ts never needs them.

import type { Attribute, CorpusRecord, Resource } from './corpus.ts'

type Groups = Map<Resource, CorpusRecord[]>

const BYTES_PER_RECORD_MAX = 4096

/** ExportLogsServiceRequest in protobuf. */
export function protobufRequest(groups: Groups): Uint8Array {
  let records = 1
  for (const group of groups.values()) records += group.length
  const w: Writer = { bytes: Buffer.allocUnsafe(records * BYTES_PER_RECORD_MAX), start: 0 }
  w.start = w.bytes.length
  for (const [resource, group] of [...groups].reverse()) {
    const end = w.start
    writeScopeLogs(w, resource, group)
    writeResource(w, resource)
    closeMessage(w, 1, end)
  }
  return new Uint8Array(w.bytes.subarray(w.start))
}

/** Bytes from `start` on are written; what comes next goes before them. */
interface Writer {
  bytes: Buffer
  start: number
}

const VARINT = 0
const FIXED64 = 1
const LENGTH = 2
const FIXED32 = 5

function writeResource(w: Writer, resource: Resource) {
  const end = w.start
  writeAttributes(w, 1, resource.attributes)
  closeMessage(w, 1, end)
}

function writeScopeLogs(w: Writer, resource: Resource, records: CorpusRecord[]) {
  const end = w.start
  for (let i = records.length - 1; i >= 0; i--) writeRecord(w, records[i]!)
  const scopeEnd = w.start
  writeText(w, 2, resource.scopeVersion)
  writeText(w, 1, resource.scopeName)
  closeMessage(w, 1, scopeEnd)
  closeMessage(w, 2, end)
}

function writeRecord(w: Writer, record: CorpusRecord) {
  const end = w.start
  writeText(w, 12, record.eventName)
  writeFixed64(w, 11, record.observedNs)
  writeBytes(w, 10, record.spanId)
  writeBytes(w, 9, record.traceId)
  w.start -= 4
  w.bytes.writeUInt32LE(1, w.start)
  writeTag(w, 8, FIXED32)
  writeAttributes(w, 6, record.attributes)
  const bodyEnd = w.start
  writeText(w, 1, record.message)
  closeMessage(w, 5, bodyEnd)
  writeText(w, 3, record.severityText)
  writeVarint(w, record.severityNumber)
  writeTag(w, 2, VARINT)
  writeFixed64(w, 1, record.timeNs)
  closeMessage(w, 2, end)
}

function writeAttributes(w: Writer, field: number, attributes: Attribute[]) {
  for (let i = attributes.length - 1; i >= 0; i--) {
    const { key, value } = attributes[i]!
    const end = w.start
    if (value.kind === 'text') writeText(w, 1, value.value)
    else if (value.kind === 'double') {
      w.start -= 8
      w.bytes.writeDoubleLE(value.value, w.start)
      writeTag(w, 4, FIXED64)
    } else {
      writeVarint(w, Number(value.value))
      writeTag(w, value.kind === 'bool' ? 2 : 3, VARINT)
    }
    closeMessage(w, 2, end)
    writeText(w, 1, key)
    closeMessage(w, field, end)
  }
}

/** Puts tag and length before the message that ends at `end`. */
function closeMessage(w: Writer, field: number, end: number) {
  writeVarint(w, end - w.start)
  writeTag(w, field, LENGTH)
}

function writeText(w: Writer, field: number, text: string) {
  const length = Buffer.byteLength(text)
  w.start -= length
  w.bytes.write(text, w.start, length)
  writeVarint(w, length)
  writeTag(w, field, LENGTH)
}

function writeBytes(w: Writer, field: number, bytes: Uint8Array) {
  w.start -= bytes.length
  w.bytes.set(bytes, w.start)
  writeVarint(w, bytes.length)
  writeTag(w, field, LENGTH)
}

function writeFixed64(w: Writer, field: number, value: bigint) {
  w.start -= 8
  w.bytes.writeBigUInt64LE(value, w.start)
  writeTag(w, field, FIXED64)
}

const writeTag = (w: Writer, field: number, wireType: number) =>
  writeVarint(w, (field << 3) | wireType)

/** A whole number below 2^35. */
function writeVarint(w: Writer, value: number) {
  let length = 1
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) length++
  w.start -= length
  let at = w.start
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) w.bytes[at++] = (rest % 128) | 128
  w.bytes[at] = rest
}

/** ExportLogsServiceRequest in JSON, as the Collector writes it: 64-bit integers are strings. */
export function jsonRequest(groups: Groups): Uint8Array {
  const resourceLogs = Array.from(groups, ([resource, records]) => ({
    resource: { attributes: resource.attributes.map(jsonAttribute) },
    scopeLogs: [
      {
        scope: { name: resource.scopeName, version: resource.scopeVersion },
        logRecords: records.map(jsonRecord),
      },
    ],
  }))
  return Buffer.from(JSON.stringify({ resourceLogs }))
}

const jsonRecord = (record: CorpusRecord) => ({
  timeUnixNano: `${record.timeNs}`,
  observedTimeUnixNano: `${record.observedNs}`,
  severityNumber: record.severityNumber,
  severityText: record.severityText,
  body: { stringValue: record.message },
  attributes: record.attributes.map(jsonAttribute),
  flags: 1,
  traceId: Buffer.from(record.traceId).toString('hex'),
  spanId: Buffer.from(record.spanId).toString('hex'),
  eventName: record.eventName,
})

function jsonAttribute({ key, value }: Attribute) {
  if (value.kind === 'text') return { key, value: { stringValue: value.value } }
  if (value.kind === 'int') return { key, value: { intValue: `${value.value}` } }
  if (value.kind === 'double') return { key, value: { doubleValue: value.value } }
  return { key, value: { boolValue: value.value } }
}
