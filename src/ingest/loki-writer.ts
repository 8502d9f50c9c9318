// What the readers of Loki's push share. The labels of a stream become resource attributes, the
// structured metadata of an entry record attributes, its line the message; columns are filled from
// both as everywhere (precedence.ts), with Loki's names behind the others (loki-names.ts).
//
// A level is one that a label or a member of the metadata names. Nothing is guessed from the line,
// as Loki does: a word in a text is no level.

import { levelOfWord, type RecordBatch } from '../record.ts'
import { PINO_LEVELS } from './lines.ts'
import { LEVEL_RANKS, LOKI_TABLE, SEVERITY_NUMBER_NAMES } from './loki-names.ts'
import { type Arrival, BatchWriter } from './map.ts'
import { newValue } from './value.ts'

/** Times of 2^63 ns and more have no place in the stored form. */
const MS_END = 9_223_372_036_854
/** Numbers with fewer digits are of another unit: as nanoseconds they would lie before March 1973. */
const NS_FIRST_DIGITS = 18
const SEVERITY_NUMBER_MAX = 24

/** The level named by labels, or by the metadata of one entry. */
class NamedLevel {
  severityNumber = 0
  text = ''
  #rank = Number.POSITIVE_INFINITY
  /** Whether the text is one that names a level. */
  isLevel = false

  clear(): void {
    this.severityNumber = 0
    this.text = ''
    this.#rank = Number.POSITIVE_INFINITY
    this.isLevel = false
  }

  offer(name: string, text: string): void {
    const rank = LEVEL_RANKS.get(name)
    if (rank === undefined) {
      if (SEVERITY_NUMBER_NAMES.has(name)) this.#offerNumber(text)
      return
    }
    if (text === '') return
    const isLevel = PINO_LEVELS.includes(text) || levelOfWord(text) !== undefined
    // A word that names a level is better than one that does not, whatever their names.
    if (isLevel === this.isLevel ? rank > this.#rank : this.isLevel) return
    this.isLevel = isLevel
    this.#rank = rank
    this.text = text
  }

  #offerNumber(text: string): void {
    if (!/^\d{1,2}$/.test(text)) return
    const number = Number(text)
    if (number >= 1 && number <= SEVERITY_NUMBER_MAX) this.severityNumber = number
  }
}

export class LokiWriter {
  readonly #w: BatchWriter
  readonly #ofStream = new NamedLevel()
  readonly #ofEntry = new NamedLevel()
  readonly #value = newValue()
  /** What is wrong with the time of the entry; '' for nothing. */
  #badTime = ''

  constructor(arrival: Arrival) {
    this.#w = new BatchWriter(arrival, LOKI_TABLE)
  }

  get batch(): RecordBatch {
    return this.#w.batch
  }

  beginStream(): void {
    this.#w.beginResource()
    this.#ofStream.clear()
  }

  /** To be given before the entries of the stream. */
  label(name: string, text: string): void {
    this.#ofStream.offer(name, text)
    this.#w.resourceAttribute(name, this.#text(text))
  }

  /** Throws TooLarge, as do the methods below. */
  beginEntry(): void {
    this.#w.begin()
    this.#ofEntry.clear()
    this.#badTime = ''
  }

  /**
   * The time as digits of nanoseconds since 1970, or ms and nanoseconds. 0 is none, as in OTLP. What
   * can be no time of ours costs the entry, and no other.
   */
  timeDigits(sent: string): void {
    const digits = sent.replace(/^0+/, '')
    if (digits === '') return
    if (sent.startsWith('-')) this.#badTime = 'is before 1970'
    else if (digits.length < NS_FIRST_DIGITS) {
      this.#badTime = `${digits} is too few digits for nanoseconds since 1970`
    } else if (digits.length > 19) this.#badTime = 'is after 2262-04-11'
    else this.time(Number(digits.slice(0, -6)), Number(digits.slice(-6)))
  }

  time(ms: number, ns: number): void {
    if (ms < 0) this.#badTime = 'is before 1970'
    else if (ms >= MS_END) this.#badTime = 'is after 2262-04-11'
    else if (ms > 0 || ns > 0) {
      this.#w.timeMs = ms
      this.#w.timeNs = ns
    }
  }

  metadata(name: string, text: string): void {
    this.#ofEntry.offer(name, text)
    this.#w.attribute(name, this.#text(text))
  }

  endEntry(line: string): void {
    const w = this.#w
    if (this.#badTime !== '') {
      w.reject('timestamp', this.#badTime)
      return
    }
    w.bodyText(line)
    const { text } = this.#chosen()
    w.severityNumber = this.#ofEntry.severityNumber || this.#ofStream.severityNumber
    const pino = PINO_LEVELS.indexOf(text)
    if (pino < 0) w.severityText = text || null
    else if (w.severityNumber === 0) w.level = pino
    w.end()
  }

  /** The entry's own level, unless only the labels name one that is known. */
  #chosen(): NamedLevel {
    if (this.#ofEntry.isLevel) return this.#ofEntry
    if (this.#ofStream.isLevel || this.#ofEntry.text === '') return this.#ofStream
    return this.#ofEntry
  }

  #text(text: string) {
    const value = this.#value
    value.type = 'text'
    value.text = text
    return value
  }
}
