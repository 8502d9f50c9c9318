// From records to columns: the one writer every decoder feeds. A decoder calls `begin`, sets the
// fields it met, gives the attributes one by one, and `end` pushes the row: precedence (otlp.md
// section 4), levels, times and every bound of one record are applied here and nowhere else.
//
// A resource and a scope are worked out once, when they begin: their JSON text, the columns they
// fill, and their ranks, from which each record starts. A record attribute replaces what has the
// same or a higher rank, so the order of arrival does not matter.
//
// What is over a bound is cut and listed in the record's `cut`, never refused.

import {
  ATTRIBUTE_BYTES_MAX,
  ATTRIBUTE_COLUMNS_MAX,
  ATTRIBUTE_DEPTH_MAX,
  ATTRIBUTES_MAX,
  COLUMN_BYTES_MAX,
  CUT_ENTRIES_MAX,
  MESSAGE_BYTES_MAX,
  RECORD_BYTES_MAX,
  REQUEST_RECORDS_MAX,
} from '../limits.ts'
import {
  type AttributeColumn,
  type AttributeType,
  type ColumnNames,
  emptyBatch,
  levelOf,
  type RecordBatch,
  TEXT_COLUMNS,
} from '../record.ts'
import { Context } from './context.ts'
import { bytesOver, cutDepth, cutText, utf8Bytes } from './cut.ts'
import { type Key, Keys, LongKeys } from './keys.ts'
import { OtelTexts } from './otel.ts'
import { type Places, placesOf, slotOf, TABLE } from './precedence.ts'
import { Slots } from './slots.ts'
import { KeptBytes, TooLarge, tooManyRecords } from './too-large.ts'
import { cutValue, firstElement, jsonOf, objectText, textOf, type Value } from './value.ts'

/** What the door knows of a request beside its body. */
export interface Arrival {
  receivedMs: number
  /** Bound to the credential: overrides what any record says. */
  workspaceId: string | null
  /** The sender's X-Request-ID: of records at the REST door that have none. */
  requestId: string | null
  /** The app's own names for columns; absent: it has none. */
  columns?: ColumnNames
}

/** A text of fewer UTF-16 units is within ATTRIBUTE_BYTES_MAX whatever it holds. */
const ATTRIBUTE_UNITS_SAFE = Math.floor(ATTRIBUTE_BYTES_MAX / 3)
/** Column texts remembered with what was cut of them; one resource has a dozen at most. */
const LONG_TEXTS_MAX = 64
const COLUMN_UNITS_SAFE = Math.floor(COLUMN_BYTES_MAX / 3)
/** What a record takes apart from its texts: numbers, and a slot in every column. */
const RECORD_BYTES_BASE = 128
const ATTRIBUTE_BYTES_BASE = 8

const COLUMNS = TEXT_COLUMNS.length
const EVENT_TYPE = slotOf('event_type')
const SOURCE_LOCATION = slotOf('source_location')
const TRACE_ID = slotOf('trace_id')
const SPAN_ID = slotOf('span_id')
const WORKSPACE_ID = slotOf('workspace_id')
const CODE_FILE = slotOf('code_file')
const CODE_LINE = slotOf('code_line')
const EXCEPTION_TYPE = slotOf('exception_type')
const EXCEPTION_MESSAGE = slotOf('exception_message')

export class BatchWriter {
  readonly batch: RecordBatch
  readonly #arrival: Arrival
  readonly #columns: (string | null)[][]
  readonly #places: Places
  readonly #keys: Keys
  readonly #longKeys = new LongKeys()
  readonly #resources = new Map<string, number>()
  readonly #longTexts = new Map<string, { bytes: number; text: string }>()
  readonly #scopes = new Map<string, number>()

  #resource = new Context()
  #scope = new Context()
  #resourceIndex = -1
  #scopeIndex = -1
  #contextOtel = ''
  #newContextBytes = 0
  readonly #kept = new KeptBytes()
  /** The slots are still those of an earlier resource. */
  #isResourceNew = false
  readonly #slots: Slots

  // The record between begin and end. Decoders set the public ones.

  /** Position in the whole request, refused ones counted; -1 before the first. */
  index = -1
  /** -1 where it has none. */
  timeMs = -1
  timeNs = 0
  observedMs = -1
  observedNs = 0
  /** A time of 2^63 ns or more, as sent; it counts as none. */
  timeUnknown = ''
  severityNumber = 0
  severityText: string | null = null
  /** Index into LEVELS where the sender named the level itself; -1: from the severity. */
  level = -1
  /** Lower-case hexadecimal, '' for none. */
  traceId = ''
  spanId = ''
  flags = 0
  droppedAttributes = 0
  eventName = ''

  #row = 0
  /** A value that filled a slot was taken back: slots are filled anew from what is kept. */
  #isTakenBack = false
  #message = ''
  #hasBody = false
  #body: string | null = null
  #attributes = 0
  #attributeBytes = 0
  #leftOutBytes = 0
  #rest: Map<string, string> | null = null
  #cuts: { field: string; bytes: number }[] = []

  readonly #otelTexts = new OtelTexts()

  constructor(arrival: Arrival, table: Places = TABLE) {
    this.batch = emptyBatch(arrival.receivedMs)
    this.#arrival = arrival
    this.#places = placesOf(arrival.columns, table)
    this.#keys = new Keys(this.#places.record)
    this.#slots = new Slots(this.#places.resource)
    this.#columns = TEXT_COLUMNS.map((name) => this.batch.text[name])
    this.beginResource()
    this.endResource(0, '')
  }

  // Resource and scope.

  /** Starts a resource and its first scope. Without attributes it is the unknown resource. */
  beginResource(): void {
    if (!this.#resource.isEmpty) this.#resource = new Context()
    this.#resourceIndex = -1
    this.#isResourceNew = true
    this.#slots.beginResource()
    this.beginScope()
  }

  beginScope(): void {
    if (!this.#scope.isEmpty) this.#scope = new Context()
    this.#scopeIndex = -1
  }

  resourceAttribute(name: string, value: Value): void {
    // First, because the other one may cut the value.
    this.#slots.offerOfResource(name, value)
    this.#resource.add(name, value)
  }

  scopeAttribute(name: string, value: Value): void {
    this.#scope.add(name, value)
  }

  /** To be called when all of the resource's attributes are in, and before its records. */
  endResource(droppedAttributes: number, schemaUrl: string): void {
    this.#resource.droppedAttributes = droppedAttributes
    this.#resource.schemaUrl = schemaUrl
  }

  /** The same for a scope. */
  endScope(name: string, version: string, droppedAttributes: number, schemaUrl: string): void {
    this.#scope.name = name
    this.#scope.version = version
    this.#scope.droppedAttributes = droppedAttributes
    this.#scope.schemaUrl = schemaUrl
  }

  /** Gives the resource and the scope their places in the batch, when their first record ends. */
  #placeContexts(): void {
    if (this.#resourceIndex < 0) {
      this.#resource.endResource()
      this.#resourceIndex = this.#place(this.batch.resources, this.#resources, this.#resource.text)
    }
    if (this.#scopeIndex < 0) {
      this.#scope.endScope()
      this.#contextOtel = this.#resource.otel + this.#scope.otel
      this.#scopeIndex = this.#place(this.batch.scopes, this.#scopes, this.#scope.text)
    }
  }

  #place(texts: string[], places: Map<string, number>, text: string): number {
    let place = places.get(text)
    if (place === undefined) {
      place = texts.push(text) - 1
      places.set(text, place)
      this.#newContextBytes += text.length
    }
    return place
  }

  // Records.

  /** Starts a record. Throws TooLarge, as do the methods below that add to it. */
  begin(): void {
    if (++this.index >= REQUEST_RECORDS_MAX) throw new TooLarge(tooManyRecords())
    if (this.#isResourceNew) this.#slots.endResource()
    this.#isResourceNew = false
    this.#row = this.batch.length
    this.timeMs = -1
    this.observedMs = -1
    this.timeUnknown = ''
    this.severityNumber = 0
    this.severityText = null
    this.level = -1
    this.traceId = ''
    this.spanId = ''
    this.flags = 0
    this.droppedAttributes = 0
    this.eventName = ''
    this.#slots.restart()
    this.#longKeys.clear()
    this.#isTakenBack = false
    this.#message = ''
    this.#hasBody = false
    this.#body = null
    this.#attributes = 0
    this.#attributeBytes = 0
    this.#leftOutBytes = 0
    this.#rest = null
    if (this.#cuts.length > 0) this.#cuts = []
  }

  /** Sets the time from the halves of unsigned nanoseconds; 0, and 2^63 or more, is none. */
  setTime(high: number, low: number): void {
    this.timeMs = msOf(high, low)
    this.timeNs = (high * 967296 + low) % 1e6
    this.timeUnknown = high >= 0x80000000 ? ((BigInt(high) << 32n) | BigInt(low)).toString() : ''
  }

  setObservedTime(high: number, low: number): void {
    this.observedMs = msOf(high, low)
    this.observedNs = (high * 967296 + low) % 1e6
  }

  /** Gives up the record: nothing of it stays but its entry in `rejected`. */
  reject(field: string, message: string): void {
    for (const column of this.batch.attributes) {
      if (column.rows.at(-1) === this.#row) dropLast(column)
    }
    this.rejectUnread(field, message, this.index)
  }

  /** Refuses what never became a record, such as a line that is no JSON. */
  rejectUnread(field: string, message: string, index = ++this.index): void {
    if (index >= REQUEST_RECORDS_MAX) throw new TooLarge(tooManyRecords())
    this.batch.rejected.push({ index, field, message })
  }

  /** Fills a column from a member that names it, before any attribute. */
  setColumn(slot: number, text: string): void {
    this.#slots.set(slot, text)
  }

  /** Whether something has filled the column so far. */
  hasColumn(slot: number): boolean {
    return this.#slots.texts[slot] !== ''
  }

  bodyText(text: string): void {
    this.#hasBody = text !== ''
    this.#body = null
    this.#message = text
  }

  /** A body that is not a string; an empty value is no body. */
  body(value: Value): void {
    this.#hasBody = value.type !== 'json' || value.text !== 'null'
    this.#body = null
    if (!this.#hasBody) return
    const text = value.type === 'text' ? value.text : jsonOf(value)
    this.#hasBody = text !== ''
    const bytes = value.type === 'json' ? value.bytes : utf8Bytes(text)
    if (bytes > MESSAGE_BYTES_MAX) {
      this.#message = cutText(text, MESSAGE_BYTES_MAX)
      this.#noteCut('body', bytes)
      return
    }
    const isDeep = value.type === 'json' && value.depth > ATTRIBUTE_DEPTH_MAX
    if (isDeep) this.#noteCut('body', bytes)
    this.#body = isDeep ? cutDepth(text, ATTRIBUTE_DEPTH_MAX) : jsonOf(value)
    this.#message = value.type !== 'json' ? text : value.message || this.#body
  }

  // Attributes.

  /** The key of that name in this batch; cut when it is too long. */
  key(sentName: string): Key {
    return this.#keys.get(sentName)
  }

  /** Whether the record has all the attributes it may have: a further one is left out. */
  get isFull(): boolean {
    return this.#attributes >= ATTRIBUTES_MAX
  }

  attribute(name: string, value: Value): void {
    if (this.isFull) {
      this.leaveOut(name, value)
      return
    }
    const key = this.key(name)
    switch (value.type) {
      case 'text':
        this.attributeText(key, value.text)
        return
      case 'int':
        this.attributeNumber(key, 'int', value.number)
        return
      case 'num':
        this.attributeNumber(key, 'num', value.number)
        return
      case 'bool':
        this.attributeBool(key, value.number !== 0)
        return
      default:
        this.#attributeJson(key, value)
    }
  }

  /** Counts an attribute that is not kept. It may still fill a column, as it would elsewhere. */
  leaveOut(name: string, value: Value): void {
    const places = this.#places.record.get(name)
    if (places !== undefined) this.#slots.offer(places, textOf(value))
    const { type, text, bytes } = value
    const valueBytes = type === 'text' ? utf8Bytes(text) : type === 'json' ? bytes : 8
    this.#leftOutBytes += utf8Bytes(name) + valueBytes
  }

  // For a decoder that knows the key and the type. Not to be called when the record is full.

  attributeText(key: Key, sent: string): void {
    let text = sent
    if (text.length > ATTRIBUTE_UNITS_SAFE) {
      const over = bytesOver(sent, ATTRIBUTE_BYTES_MAX)
      if (over > 0) {
        this.#noteCut(`attributes.${key.name}`, over)
        text = cutText(sent, ATTRIBUTE_BYTES_MAX)
      }
    }
    if (key.places.length > 0) this.#slots.offer(key.places, text)
    this.#put(key, 'text', text, text.length)
  }

  attributeNumber(key: Key, type: 'int' | 'num', number: number): void {
    if (key.places.length > 0) this.#slots.offer(key.places, String(number))
    this.#put(key, type, number, 8)
  }

  attributeBool(key: Key, bool: boolean): void {
    if (key.places.length > 0) this.#slots.offer(key.places, String(bool))
    this.#put(key, 'bool', bool, 1)
  }

  #attributeJson(key: Key, value: Value): void {
    if (key.places.length > 0) this.#slots.offer(key.places, firstElement(value.text))
    const sent = value.bytes
    const isCut = cutValue(value) > 0
    if (isCut) this.#noteCut(`attributes.${key.name}`, sent)
    this.#put(key, isCut && value.type === 'text' ? 'text' : 'json', value.text, value.text.length)
  }

  #put(key: Key, type: AttributeType, value: string | number | boolean, bytes: number): void {
    this.#attributes++
    this.#attributeBytes += key.name.length + bytes + ATTRIBUTE_BYTES_BASE
    this.#kept.check(this.#attributeBytes)
    if (key.cutBytes > 0) {
      const isTaken = this.key(key.name).seen === this.index
      const name = this.#longKeys.nameOf(key.name, key.hashedName, isTaken)
      this.#noteCut(`attributes.${name}`, key.cutBytes)
      this.#putRest(this.key(name), type, value)
      return
    }
    if (key.seen === this.index) this.#takeBack(key)
    const column = key.columns[type] ?? this.#column(key, type)
    if (column === null) {
      this.#putRest(key, type, value)
      return
    }
    key.seen = this.index
    key.column = column
    column.rows.push(this.#row)
    column.values.push(value)
  }

  #putRest(key: Key, type: AttributeType, value: string | number | boolean): void {
    if (key.seen === this.index) this.#takeBack(key)
    key.seen = this.index
    key.column = null
    this.#rest ??= new Map()
    this.#rest.set(key.name, type === 'json' ? (value as string) : JSON.stringify(value))
  }

  /** Removes the value this record already has for the key: the last one wins. */
  #takeBack(key: Key): void {
    if (key.places.length > 0) this.#isTakenBack = true
    if (key.column !== null) dropLast(key.column)
    else this.#rest?.delete(key.name)
  }

  /** Fills the columns anew from what is kept, after a value that had filled one was taken back. */
  #offerAgain(): void {
    this.#slots.restart()
    for (const key of this.#keys.ofSlots) {
      if (key.seen !== this.index) continue
      const { column } = key
      const kept = column === null ? `[${this.#rest?.get(key.name)}]` : String(column.values.at(-1))
      const isJson = column === null || column.type === 'json'
      this.#slots.offer(key.places, isJson ? firstElement(kept) : kept)
    }
  }

  #column(key: Key, type: AttributeType): AttributeColumn | null {
    if (!key.isKept || this.batch.attributes.length >= ATTRIBUTE_COLUMNS_MAX) return null
    const column: AttributeColumn = { key: key.name, type, rows: [], values: [] }
    this.batch.attributes.push(column)
    key.columns[type] = column
    return column
  }

  #noteCut(field: string, bytes: number): void {
    if (this.#cuts.length < CUT_ENTRIES_MAX) this.#cuts.push({ field, bytes })
  }

  // The end of a record.

  /** Pushes the record. */
  end(): void {
    const b = this.batch
    this.#placeContexts()
    this.#endTime()
    b.severityNumber.push(this.severityNumber)
    b.severityText.push(
      this.severityText === null ? null : this.#column1k('severity_text', this.severityText),
    )
    b.level.push(this.level >= 0 ? this.level : levelOf(this.severityNumber, this.severityText))
    let bytes = RECORD_BYTES_BASE + this.#endColumns()
    const message = this.#endMessage()
    b.message.push(message)
    b.body.push(this.#body)
    const parts = this.#endAttributes(bytes, message, this.#body ?? '')
    bytes += parts
    const rest = this.#rest === null ? null : objectText(this.#rest)
    b.attributesRest.push(rest)
    b.resource.push(this.#resourceIndex)
    b.scope.push(this.#scopeIndex)
    const otelMade = this.#otelTexts.madeLength
    const otel = this.#endOtel()
    b.otel.push(otel)
    const otelBytes = this.#otelTexts.madeLength - otelMade
    if (this.#resource.isCut) this.#noteCut('resource', this.#resource.sentBytes)
    if (this.#scope.isCut) this.#noteCut('scope', this.#scope.sentBytes)
    const cut = this.#cuts.length === 0 ? null : JSON.stringify(this.#cuts)
    b.cut.push(cut)
    // Columns are left out: they share their texts with the resource, or with attributes.
    const own = parts - (message === this.#body ? message.length : 0)
    const more = (rest?.length ?? 0) + otelBytes + (cut?.length ?? 0) + this.#newContextBytes
    this.#kept.add(own + more, this.#attributes)
    b.bytes.push(bytes + this.#newContextBytes + (otel?.length ?? 0) + (cut?.length ?? 0))
    this.#newContextBytes = 0
    b.length++
  }

  #endTime(): void {
    const b = this.batch
    if (this.timeMs >= 0) {
      b.timeMs.push(this.timeMs)
      b.timeNs.push(this.timeNs)
    } else if (this.observedMs >= 0) {
      b.timeMs.push(this.observedMs)
      b.timeNs.push(this.observedNs)
    } else {
      b.timeMs.push(b.receivedMs)
      b.timeNs.push(0)
      b.untimed++
    }
    b.observedMs.push(this.observedMs)
    b.observedNs.push(this.observedMs >= 0 ? this.observedNs : 0)
  }

  /** Pushes the text columns and returns about how many bytes they take. */
  #endColumns(): number {
    const slots = this.#slots
    const { texts } = slots
    if (this.#isTakenBack) this.#offerAgain()
    slots.set(TRACE_ID, this.traceId)
    slots.set(SPAN_ID, this.spanId)
    slots.set(EVENT_TYPE, this.eventName)
    if (this.#arrival.workspaceId !== null) slots.set(WORKSPACE_ID, this.#arrival.workspaceId)
    const file = texts[CODE_FILE]!
    if (file !== '' && !slots.isChosen(SOURCE_LOCATION)) {
      const line = texts[CODE_LINE]
      slots.set(SOURCE_LOCATION, line === '' ? file : `${file}:${line}`)
    }
    let bytes = 0
    for (let i = 0; i < COLUMNS; i++) {
      let text = texts[i]!
      if (text.length > COLUMN_UNITS_SAFE) text = this.#column1k(TEXT_COLUMNS[i]!, text)
      bytes += text.length
      this.#columns[i]!.push(text === '' ? null : text)
    }
    return bytes
  }

  #column1k(name: string, text: string): string {
    // A resource's long text comes again with every record: it is measured and cut once.
    let known = this.#longTexts.get(text)
    if (known === undefined) {
      const bytes = bytesOver(text, COLUMN_BYTES_MAX)
      known = { bytes, text: bytes === 0 ? text : cutText(text, COLUMN_BYTES_MAX) }
      if (this.#longTexts.size >= LONG_TEXTS_MAX) this.#longTexts.clear()
      this.#longTexts.set(text, known)
    }
    if (known.bytes > 0) this.#noteCut(name, known.bytes)
    return known.text
  }

  #endMessage(): string {
    let message = this.#message
    if (!this.#hasBody) {
      const type = this.#slots.texts[EXCEPTION_TYPE]!
      const text = this.#slots.texts[EXCEPTION_MESSAGE]!
      message = type !== '' && text !== '' ? `${type}: ${text}` : type + text
      if (message === '') message = this.eventName
    }
    const over = bytesOver(message, MESSAGE_BYTES_MAX)
    if (over === 0) return message
    this.#noteCut('message', over)
    return cutText(message, MESSAGE_BYTES_MAX)
  }

  /**
   * Holds the record to its size, attributes left out from the newest column on. Returns about how
   * many bytes message, body and attributes take.
   */
  #endAttributes(columnBytes: number, message: string, body: string): number {
    const guess = this.#attributeBytes + message.length + body.length
    if (this.#leftOutBytes === 0 && (columnBytes + guess) * 3 <= RECORD_BYTES_MAX) return guess
    const columns = this.batch.attributes.filter((column) => column.rows.at(-1) === this.#row)
    const rest = [...(this.#rest ?? [])]
    const sizes = [
      ...columns.map(({ key, values }) => utf8Bytes(key) + sizeOf(values.at(-1)!)),
      ...rest.map(([key, text]) => utf8Bytes(key) + utf8Bytes(text)),
    ]
    let bytes = sizes.reduce((sum, size) => sum + size + ATTRIBUTE_BYTES_BASE, 0)
    const sent = sizes.reduce((sum, size) => sum + size, this.#leftOutBytes)
    let isCut = this.#leftOutBytes > 0
    const messageBytes = utf8Bytes(message)
    const texts = messageBytes + (body === message ? messageBytes : utf8Bytes(body))
    while (columnBytes + texts + bytes > RECORD_BYTES_MAX && sizes.length > 0) {
      isCut = true
      bytes -= sizes.pop()! + ATTRIBUTE_BYTES_BASE
      if (rest.length > 0) this.#rest!.delete(rest.pop()![0])
      else dropLast(columns.pop()!)
    }
    if (isCut) this.#noteCut('attributes', sent)
    if (this.#rest?.size === 0) this.#rest = null
    return texts + bytes
  }

  #endOtel(): string | null {
    let event = this.eventName
    if (event.length > COLUMN_UNITS_SAFE) event = this.#column1k('otel.event_name', event)
    const flags = this.flags & 255
    const { droppedAttributes: dropped, timeUnknown: time } = this
    return this.#otelTexts.textOf(flags, dropped, this.#contextOtel, event, time)
  }
}

/** 2^32 ns are 4294 ms and 967296 ns; -1 for no time. */
function msOf(high: number, low: number): number {
  if ((high === 0 && low === 0) || high >= 0x80000000) return -1
  return high * 4294 + Math.floor((high * 967296 + low) / 1e6)
}

function dropLast(column: AttributeColumn): void {
  column.rows.pop()
  column.values.pop()
}

function sizeOf(value: string | number | boolean): number {
  return typeof value === 'string' ? utf8Bytes(value) : 8
}
