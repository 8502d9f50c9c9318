// `| json`: every string, number and boolean of an object becomes a label, those of objects inside it
// under the names of both. Arrays are passed over. Labels made before a fault stay.

import { JSON_DEPTH_MAX } from '../limits.ts'
import { labelText, TOO_DEEP, ValueReader } from './json-text.ts'
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

  constructor(labels: LineLabels) {
    this.#labels = labels
    this.#keys = new KeyTable(labels)
  }

  run(line: string): string {
    if (this.#labels.isComplete) return line
    this.#line = line
    this.#value.reset()
    const outcome = this.#readObject(0, line.length, this.#keys, 1)
    if (typeof outcome === 'string') this.#labels.failParsing('JSONParserErr', outcome)
    return line
  }

  #readObject(from: number, end: number, keys: KeyTable, depth: number): Outcome {
    return this.#value.readMembers(this.#line, from, end, (key) => this.#take(key, keys, depth))
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
