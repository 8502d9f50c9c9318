// `| unpack`: the line that promtail packed. `_entry` is the line, all other strings are labels.

import {
  CLOSE_OBJECT,
  COLON,
  COMMA,
  labelText,
  MALFORMED_ARRAY,
  MALFORMED_ESCAPE,
  MALFORMED_JSON,
  MALFORMED_OBJECT,
  QUOTE,
  skipSpace,
  stringEnd,
  unescapeJson,
  ValueReader,
} from './json-text.ts'
import { sanitize } from './label-names.ts'
import { EXTRACTED, type LineLabels, PARSED_LABELS_MAX, TOO_MANY_LABELS } from './line-labels.ts'
import type { Step } from './stage.ts'

const ENTRY = '_entry'

export class UnpackStage implements Step {
  readonly #labels: LineLabels
  readonly #value = new ValueReader()
  readonly #unpacked = new Map<string, string>()
  #entry: string | null = null

  constructor(labels: LineLabels) {
    this.#labels = labels
  }

  run(line: string): string {
    const labels = this.#labels
    if (line === '' || labels.isComplete) return line
    if (line[0] !== '{') {
      labels.failParsing('JSONParserErr', 'expecting json object(6), but it is not')
      return line
    }
    this.#entry = null
    this.#unpacked.clear()
    this.#value.reset()
    const fault = this.#readObject(line)
    if (fault !== null) {
      labels.failParsing('JSONParserErr', fault)
      return line
    }
    if (this.#entry === null) return line
    for (const [name, value] of this.#unpacked) if (name !== '') labels.set(name, value)
    return this.#entry
  }

  #readObject(line: string): string | null {
    const end = line.length
    let at = skipSpace(line, 1, end)
    if (at >= end) return MALFORMED_JSON
    if (line.charCodeAt(at) === CLOSE_OBJECT) return null
    while (at < end) {
      const c = line.charCodeAt(at)
      if (c === CLOSE_OBJECT) return null
      if (c !== QUOTE) return MALFORMED_OBJECT
      const keyEnd = stringEnd(line, at + 1, end)
      if (keyEnd < 0) return MALFORMED_JSON
      const key = unescapeJson(line.slice(at + 1, keyEnd - 1))
      if (key === null) return MALFORMED_ESCAPE
      at = skipSpace(line, keyEnd, end)
      if (at >= end || line.charCodeAt(at) !== COLON) return MALFORMED_JSON
      const fault = this.#value.read(line, at + 1, end) ?? this.#take(key, line)
      if (fault !== null) return fault
      at = skipSpace(line, this.#value.after, end)
      if (at >= end) return MALFORMED_ARRAY
      const next = line.charCodeAt(at)
      if (next === CLOSE_OBJECT) return null
      if (next !== COMMA) return MALFORMED_OBJECT
      at = skipSpace(line, at + 1, end)
      if (at >= end) return MALFORMED_ARRAY
    }
    return MALFORMED_OBJECT
  }

  #take(key: string, line: string): string | null {
    const { kind, start, end } = this.#value
    if (kind !== 'string') return null
    const raw = line.slice(start, end)
    if (key === ENTRY) {
      this.#entry = unescapeJson(raw)
      return this.#entry === null ? MALFORMED_ESCAPE : null
    }
    const name = this.#labels.ownHas(key) ? key + EXTRACTED : key
    if (!this.#labels.wants(name) || this.#labels.wasMade(name)) return null
    if (this.#labels.isFull || this.#unpacked.size >= PARSED_LABELS_MAX) return TOO_MANY_LABELS
    this.#unpacked.set(sanitize(name), labelText(raw))
    return null
  }
}
