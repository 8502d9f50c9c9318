// Loki's push in JSON: `{"streams":[{"stream":{…},"values":[["<ns>","line",{…}]]}]}`, and its first
// form, `{"streams":[{"labels":"{…}","entries":[{"ts":"…","line":"…"}]}]}`. Which of them a stream is
// in is seen by its members, at both paths: Loki takes the wrong one there for nothing, and says 204.
//
// A wrong type refuses the whole body with the path to it. A time that is none of ours costs its
// entry alone, as it does at Loki.

import type { RecordBatch } from '../record.ts'
import { err, ok, type Result } from '../result.ts'
import { parseTime } from '../time.ts'
import { parseJson } from './json.ts'
import { BadLabels, readLabels } from './loki-labels.ts'
import { LokiWriter } from './loki-writer.ts'
import type { Arrival } from './map.ts'
import { BadJson, type Json, list, member, object, readText } from './otlp-json-value.ts'
import { TooLarge } from './too-large.ts'

const NO_STREAMS = 'holds no streams: at least one is needed'

/** Decodes a push. `bad_json` has `field`, the path to what is wrong. */
export function decodeLokiJson(body: Uint8Array, arrival: Arrival): Result<RecordBatch> {
  const parsed = parseJson(body)
  if (!parsed.ok) return parsed
  const to = new LokiWriter(arrival)
  try {
    const streams = member(object(parsed.data, ''), 'streams')
    if (streams === null || (Array.isArray(streams) && streams.length === 0)) {
      throw new BadJson('', NO_STREAMS)
    }
    list(streams, 'streams', (stream, path) => readStream(to, stream as Json, path))
    return ok(to.batch)
  } catch (e) {
    if (e instanceof TooLarge) return e.answer
    if (!(e instanceof BadJson)) throw e
    const message = `${e.field === '' ? 'the body' : e.field} ${e.message}`
    return err('bad_json', message, { field: e.field })
  }
}

function readStream(to: LokiWriter, stream: Json, path: string): void {
  to.beginStream()
  const labels = member(stream, 'stream')
  if (labels !== null) {
    eachMember(labels, `${path}.stream`, (name, value) => {
      const text = labelText(value)
      if (text !== '') to.label(name, text)
    })
  }
  const text = readText(member(stream, 'labels'), `${path}.labels`)
  if (text !== '') readLabelsText(to, text, `${path}.labels`)
  const values = member(stream, 'values')
  if (values !== null) {
    const at = `${path}.values`
    if (!Array.isArray(values)) throw new BadJson(at, 'must be an array')
    for (const [i, value] of values.entries()) {
      if (value !== null) readValue(to, value, `${at}[${i}]`)
    }
  }
  list(member(stream, 'entries'), `${path}.entries`, (entry, at) =>
    readEntry(to, object(entry, at), at),
  )
}

function readLabelsText(to: LokiWriter, text: string, path: string): void {
  try {
    readLabels(text, (name, value) => to.label(name, value))
  } catch (e) {
    if (e instanceof BadLabels) throw new BadJson(path, `are no labels: ${e.message}`)
    throw e
  }
}

/** A label as text whatever it is, as Loki takes it; null is none. */
function labelText(value: unknown): string {
  if (value === null) return ''
  return (typeof value === 'string' ? value : JSON.stringify(value)).toWellFormed()
}

/** `[time, line, metadata]`. */
function readValue(to: LokiWriter, value: unknown, path: string): void {
  if (!Array.isArray(value) || value.length === 0) {
    throw new BadJson(path, 'must be an array of a time, a line and, if there are any, metadata')
  }
  const [time, line = null, metadata = null] = value as unknown[]
  to.beginEntry()
  // A long integer is a text of its digits by now.
  const digits = Number.isSafeInteger(time) ? String(time) : time
  if (typeof digits !== 'string' || !/^-?\d+$/.test(digits)) {
    throw new BadJson(`${path}[0]`, 'must be nanoseconds since 1970, as a text of digits')
  }
  to.timeDigits(digits)
  readMetadata(to, metadata, `${path}[2]`)
  to.endEntry(readText(line, `${path}[1]`))
}

/** `{ts, line, structuredMetadata}` of the first form. */
function readEntry(to: LokiWriter, entry: Json, path: string): void {
  to.beginEntry()
  const ts = member(entry, 'ts')
  if (ts !== null) {
    const time = parseTime(readText(ts, `${path}.ts`))
    if (!time.ok) throw new BadJson(`${path}.ts`, time.error.message)
    to.time(time.data.ms, time.data.ns)
  }
  readMetadata(to, member(entry, 'structuredMetadata'), `${path}.structuredMetadata`)
  to.endEntry(readText(member(entry, 'line'), `${path}.line`))
}

function readMetadata(to: LokiWriter, metadata: unknown, path: string): void {
  if (metadata === null) return
  eachMember(metadata, path, (name, value) => {
    if (typeof value !== 'string') throw new BadJson(`${path}.${name}`, 'must be a string')
    to.metadata(name, value.toWellFormed())
  })
}

function eachMember(
  value: unknown,
  path: string,
  give: (name: string, member: unknown) => void,
): void {
  const holder = object(value, path)
  for (const name of Object.keys(holder)) give(name.toWellFormed(), holder[name])
}
