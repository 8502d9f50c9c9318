// The REST and RPC doors: records as people write them. One record, an array, `{"logs":[...]}` or
// NDJSON. A record names what it knows (`level`, `message`, `timestamp`, any column of the schema)
// and everything else it holds is an attribute, with the precedence of OTLP behind what is named.
//
// A record that is wrong is refused alone, by its index, and the others are stored: a typo in one
// line must not cost the other hundred. Members that are null count as left out, so that a record
// of GET /logs can be posted again.

import { ATTRIBUTES_MAX, REQUEST_RECORDS_MAX } from '../limits.ts'
import { LEVELS, levelOfWord, type RecordBatch, TEXT_COLUMNS } from '../record.ts'
import { err, ok, type Result } from '../result.ts'
import { parseTime } from '../time.ts'
import { parseJson } from './json.ts'
import { type Arrival, BatchWriter } from './map.ts'
import { plainValue } from './plain-value.ts'
import { slotOf, validId } from './precedence.ts'
import { TooLarge, tooManyRecords } from './too-large.ts'
import { newValue } from './value.ts'

/** A member that cannot be stored as what its name says: the record is refused. */
class BadMember extends Error {
  readonly field: string
  constructor(field: string, message: string) {
    super(message)
    this.field = field
  }
}

type Json = Record<string, unknown>

/** pino's numbers, by index into LEVELS. */
export const PINO_LEVELS = ['10', '20', '30', '40', '50', '60']
/** Members whose own members are attributes, in the order they are merged: later wins. */
const MERGED = ['context', 'metadata', 'attributes'] as const
/** Times of 2^63 ns and more have no place in the stored form. */
const MS_END = 9_223_372_036_854

const REQUEST_ID = slotOf('request_id')
const COLUMN_SLOTS = new Map<string, number>(TEXT_COLUMNS.map((name) => [name, slotOf(name)]))

/**
 * Decodes a body of the REST door. `json` is one record, an array of records, or an object whose
 * `logs` is an array; such an object may hold nothing else but `app_id`, because a member beside
 * `logs` looks as if it were meant for every record and would be lost. `ndjson` is a record a line,
 * blank lines skipped. A body that is no JSON is an error; a line that is none is refused by index.
 */
export function decodeLines(
  body: Uint8Array,
  format: 'json' | 'ndjson',
  appId: string,
  arrival: Arrival,
): Result<RecordBatch> {
  if (format === 'ndjson') return decodeNdjson(body, appId, arrival)
  const parsed = parseJson(body)
  if (!parsed.ok) return parsed
  const given = parsed.data
  if (Array.isArray(given)) return decodeRecords(given, appId, arrival)
  if (!isObject(given)) return err('bad_json', 'the body must be an object or an array of objects')
  // First, for the names of a record with a million members take a second to list.
  if (given.logs === undefined) return decodeRecords([given], appId, arrival)
  const others = Object.keys(given).filter((name) => name !== 'logs' && name !== 'app_id')
  if (!Array.isArray(given.logs)) {
    if (others.length > 0) return decodeRecords([given], appId, arrival)
    return err('bad_request', '"logs" must be an array')
  }
  if (others.length > 0) {
    const names = others.slice(0, 8).join(', ')
    return err('bad_request', `beside "logs" no other member is read: ${names}`, { members: names })
  }
  const appIdWrong = wrongAppId(given.app_id, appId)
  if (appIdWrong !== null) return err('forbidden', `app_id ${appIdWrong}`)
  return decodeRecords(given.logs, appId, arrival)
}

/** Decodes records that are values already, as an RPC call brings them. */
export function decodeRecords(
  values: unknown[],
  appId: string,
  arrival: Arrival,
): Result<RecordBatch> {
  if (values.length > REQUEST_RECORDS_MAX) return tooManyRecords()
  const door = new LineDoor(appId, arrival)
  try {
    for (const value of values) door.add(value)
  } catch (e) {
    if (e instanceof TooLarge) return e.answer
    throw e
  }
  return ok(door.w.batch)
}

function decodeNdjson(body: Uint8Array, appId: string, arrival: Arrival): Result<RecordBatch> {
  const door = new LineDoor(appId, arrival)
  try {
    let start = 0
    for (;;) {
      while (isSpace(body[start])) start++
      if (start >= body.length) break
      const newline = body.indexOf(10, start)
      const end = newline < 0 ? body.length : newline
      const parsed = parseJson(body.subarray(start, end))
      start = end
      if (parsed.ok) door.add(parsed.data)
      else if (parsed.error.code === 'too_large') return parsed
      else door.w.rejectUnread('line', parsed.error.message)
    }
  } catch (e) {
    if (e instanceof TooLarge) return e.answer
    throw e
  }
  return ok(door.w.batch)
}

function isSpace(byte: number | undefined): boolean {
  return byte === 10 || byte === 13 || byte === 32 || byte === 9
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What is wrong with a record's own app_id, or null: it cannot choose another tenant. */
function wrongAppId(given: unknown, appId: string): string | null {
  if (given === undefined || given === null || given === appId) return null
  return "is not the key's app"
}

class LineDoor {
  readonly w: BatchWriter
  readonly #appId: string
  readonly #arrival: Arrival
  readonly #value = newValue()

  constructor(appId: string, arrival: Arrival) {
    this.w = new BatchWriter(arrival)
    this.#appId = appId
    this.#arrival = arrival
  }

  /** Writes the record, or lists it as rejected. */
  add(record: unknown): void {
    this.w.begin()
    try {
      if (!isObject(record)) throw new BadMember('', 'a record must be an object')
      const names = Object.keys(record)
      if (names.length === 0) throw new BadMember('', 'the record is empty')
      this.#read(record, names)
      this.w.end()
    } catch (e) {
      if (!(e instanceof BadMember)) throw e
      this.w.reject(e.field, e.message)
    }
  }

  #read(record: Json, names: string[]): void {
    const appIdWrong = wrongAppId(record.app_id, this.#appId)
    if (appIdWrong !== null) throw new BadMember('app_id', appIdWrong)
    this.#readLevel(record)
    this.#readTime(record)
    this.#readMessage(record)
    const attributes = new Map<string, unknown>()
    for (const name of MERGED) {
      const holder = record[name] ?? null
      if (isObject(holder)) {
        for (const key of Object.keys(holder)) this.#collect(attributes, key, holder[key])
      } else if (holder !== null) this.#collect(attributes, name, holder)
    }
    for (const name of names) {
      const value = record[name] ?? null
      if (value !== null && this.#isAttribute(record, name, value)) {
        this.#collect(attributes, name, value)
      }
    }
    for (const [name, sent] of attributes) {
      plainValue(sent, this.#value)
      this.w.attribute(name.toWellFormed(), this.#value)
    }
    if (this.#arrival.requestId !== null && !this.w.hasColumn(REQUEST_ID)) {
      this.w.setColumn(REQUEST_ID, this.#arrival.requestId)
    }
  }

  /** Remembers no more attributes than a record may have, though it may send a million. */
  #collect(attributes: Map<string, unknown>, name: string, sent: unknown): void {
    if (attributes.size < ATTRIBUTES_MAX || attributes.has(name)) attributes.set(name, sent)
    else {
      plainValue(sent, this.#value)
      this.w.leaveOut(name.toWellFormed(), this.#value)
    }
  }

  /** Puts a member that names a column there. True if the member is to be kept as an attribute. */
  #isAttribute(record: Json, name: string, value: unknown): boolean {
    // Beside the member it stands for, the second name is one like any other.
    if (name === 'time') return (record.timestamp ?? null) !== null
    if (name === 'msg') return (record.message ?? null) !== null
    if (READ_MEMBERS.has(name)) return false
    const slot = COLUMN_SLOTS.get(name)
    if (slot === undefined || typeof value === 'object') return true
    let text = String(value).toWellFormed()
    if (name === 'trace_id' || name === 'span_id') {
      text = validId(text, name === 'trace_id' ? 32 : 16)
      if (text === '') return true
    }
    this.w.setColumn(slot, text)
    return false
  }

  #readLevel(record: Json): void {
    const level = record.level ?? null
    const number = record.severity_number ?? 0
    const text = record.severity_text ?? null
    if (!Number.isInteger(number)) throw new BadMember('severity_number', 'must be an integer')
    if (text !== null && typeof text !== 'string') {
      throw new BadMember('severity_text', 'must be a string')
    }
    if (level !== null && typeof level !== 'string' && typeof level !== 'number') {
      throw new BadMember('level', `must be one of ${LEVELS.join(', ')}, or a number 10 to 60`)
    }
    // A number, or its digits: what else Number would take is a text like others.
    const pino = PINO_LEVELS.indexOf(String(level))
    const word = pino < 0 && level !== null ? String(level) : null
    this.w.severityNumber = (number as number) | 0
    this.w.severityText = (text ?? word)?.toWellFormed() ?? null
    const isSpecified = (number as number) >= 1 && (number as number) <= 24
    if (isSpecified || level === null) return
    this.w.level = pino >= 0 ? pino : (levelOfWord(word!) ?? -1)
  }

  #readTime(record: Json): void {
    const field = (record.timestamp ?? null) !== null ? 'timestamp' : 'time'
    const given = record[field] ?? null
    if (given === null) return
    const value = given instanceof Date ? given.getTime() : given
    if (typeof value !== 'string' && typeof value !== 'number') {
      throw new BadMember(field, 'must be a text or a number')
    }
    const time = parseTime(value)
    if (!time.ok) throw new BadMember(field, time.error.message)
    if (time.data.ms >= MS_END) throw new BadMember(field, `"${value}" is after 2262-04-11`)
    this.w.timeMs = time.data.ms
    this.w.timeNs = time.data.ns
  }

  #readMessage(record: Json): void {
    const message = record.message ?? record.msg ?? null
    if (message === null) return
    if (typeof message === 'string') {
      this.w.bodyText(message.toWellFormed())
      return
    }
    plainValue(message, this.#value)
    const { message: text, msg } = message as Json
    this.#value.message =
      ([text, msg].find((part) => typeof part === 'string' && part !== '') as string) ?? ''
    this.w.body(this.#value)
  }
}

/** Members that are read as what they say, and never kept as attributes. */
const READ_MEMBERS: ReadonlySet<string> = new Set([
  'app_id',
  'level',
  'severity_number',
  'severity_text',
  'timestamp',
  'message',
  ...MERGED,
])
