// `| json`: every string, number and boolean of an object becomes a label, those of objects inside it
// under the names of both. Arrays are passed over. Labels made before a fault stay.

import { JSON_DEPTH_MAX } from '../limits.ts'
import {
  CLOSE_OBJECT,
  COLON,
  COMMA,
  labelText,
  MALFORMED_ARRAY,
  MALFORMED_ESCAPE,
  MALFORMED_JSON,
  MALFORMED_OBJECT,
  OPEN_OBJECT,
  QUOTE,
  skipSpace,
  stringEnd,
  TOO_DEEP,
  unescapeJson,
  ValueReader,
} from './json-text.ts'
import { KeyTable, labelOf } from './label-names.ts'
import { type LineLabels, TOO_MANY_LABELS } from './line-labels.ts'
import type { Step } from './stage.ts'

/** Not a fault: all that anybody reads is there. */
const COMPLETE = Symbol('complete')

type Outcome = string | typeof COMPLETE | null

export class JsonStage implements Step {
  readonly #labels: LineLabels
  readonly #keys: KeyTable
  readonly #value = new ValueReader()
  #line = ''
  #hasEscapes = false

  constructor(labels: LineLabels) {
    this.#labels = labels
    this.#keys = new KeyTable(labels)
  }

  run(line: string): string {
    if (this.#labels.isComplete) return line
    this.#line = line
    this.#hasEscapes = line.includes('\\')
    this.#value.reset()
    const outcome = this.#readObject(0, line.length, this.#keys, 1)
    if (typeof outcome === 'string') this.#labels.failParsing('JSONParserErr', outcome)
    return line
  }

  #readObject(from: number, end: number, keys: KeyTable, depth: number): Outcome {
    const line = this.#line
    let at = skipSpace(line, from, end)
    if (at >= end || line.charCodeAt(at) !== OPEN_OBJECT) return MALFORMED_OBJECT
    at = skipSpace(line, at + 1, end)
    if (at >= end) return MALFORMED_JSON
    if (line.charCodeAt(at) === CLOSE_OBJECT) return null
    while (at < end) {
      const c = line.charCodeAt(at)
      if (c === CLOSE_OBJECT) return null
      if (c !== QUOTE) return MALFORMED_OBJECT
      const keyEnd = stringEnd(line, at + 1, end)
      if (keyEnd < 0) return MALFORMED_JSON
      const raw = line.slice(at + 1, keyEnd - 1)
      const key = this.#hasEscapes ? unescapeJson(raw) : raw
      if (key === null) return MALFORMED_ESCAPE
      at = skipSpace(line, keyEnd, end)
      if (at >= end || line.charCodeAt(at) !== COLON) return MALFORMED_JSON
      const fault = this.#value.read(line, at + 1, end)
      if (fault !== null) return fault
      const { after } = this.#value
      const outcome = this.#take(key, keys, depth)
      if (outcome !== null) return outcome
      at = skipSpace(line, after, end)
      if (at >= end) return MALFORMED_ARRAY
      const next = line.charCodeAt(at)
      if (next === CLOSE_OBJECT) return null
      if (next !== COMMA) return MALFORMED_OBJECT
      at = skipSpace(line, at + 1, end)
      if (at >= end) return MALFORMED_ARRAY
    }
    return MALFORMED_OBJECT
  }

  /** The value that was just read becomes a label, or labels. */
  #take(key: string, keys: KeyTable, depth: number): Outcome {
    const value = this.#value
    const name = keys.nameOf(key)
    if (value.kind === 'object') {
      if (!name.wantsInside) return null
      if (depth >= JSON_DEPTH_MAX) return TOO_DEEP
      return this.#readObject(value.start, value.end, keys.insideOf(name), depth + 1)
    }
    if (value.kind !== 'array' && value.kind !== 'null') {
      const label = labelOf(name, this.#labels)
      if (label !== null) {
        if (this.#labels.isFull) return TOO_MANY_LABELS
        const raw = this.#line.slice(value.start, value.end)
        this.#labels.set(label, value.kind === 'string' ? labelText(raw) : raw)
      }
    }
    return this.#labels.isComplete ? COMPLETE : null
  }
}
