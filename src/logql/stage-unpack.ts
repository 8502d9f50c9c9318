// `| unpack`: the line that promtail packed. `_entry` is the line, all other strings are labels.

import { labelText, MALFORMED_ESCAPE, unescapeJson, ValueReader } from './json-text.ts'
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
    const fault = this.#value.readMembers(line, 0, line.length, (key) => this.#take(key, line))
    if (fault !== null) {
      labels.failParsing('JSONParserErr', fault)
      return line
    }
    if (this.#entry === null) return line
    for (const [name, value] of this.#unpacked) if (name !== '') labels.set(name, value)
    return this.#entry
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
