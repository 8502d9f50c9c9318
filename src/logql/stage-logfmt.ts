// `| logfmt`: every pair becomes a label. `| logfmt a="b"`: those that are asked for, under the names
// they are asked under; each has a label then, '' where the line lacks it.

import { err, ok, type Result } from '../result.ts'
import { KeyTable, labelOf } from './label-names.ts'
import { EXTRACTED, type LineLabels, TOO_MANY_LABELS } from './line-labels.ts'
import { LogfmtReader } from './logfmt-text.ts'
import type { Step } from './stage.ts'
import type { Extraction } from './syntax.ts'

export class LogfmtStage implements Step {
  readonly #labels: LineLabels
  readonly #isStrict: boolean
  readonly #keepsEmpty: boolean
  readonly #keys: KeyTable
  readonly #reader = new LogfmtReader()

  constructor(labels: LineLabels, isStrict: boolean, keepsEmpty: boolean) {
    this.#labels = labels
    this.#isStrict = isStrict
    this.#keepsEmpty = keepsEmpty
    this.#keys = new KeyTable(labels)
  }

  run(line: string): string {
    const labels = this.#labels
    const reader = this.#reader
    if (labels.isComplete) return line
    reader.reset(line)
    while (!reader.isAtEnd) {
      if (!reader.next()) {
        if (this.#isStrict) break
        continue
      }
      if (reader.value === '' && !this.#keepsEmpty) continue
      const label = labelOf(this.#keys.nameOf(reader.key), labels)
      if (label === null) continue
      if (labels.isFull) {
        labels.failParsing('LogfmtParserErr', TOO_MANY_LABELS)
        return line
      }
      labels.set(label, reader.value.replaceAll('\ufffd', ' '))
      if (labels.isComplete) break
    }
    if (this.#isStrict && reader.error !== '') labels.failParsing('LogfmtParserErr', reader.error)
    return line
  }
}

export class LogfmtFieldsStage implements Step {
  readonly #labels: LineLabels
  readonly #isStrict: boolean
  readonly #keys: KeyTable
  readonly #reader = new LogfmtReader()
  /** Names of labels. */
  readonly #fields: string[]
  /** Sanitised key -> label. */
  readonly #labelOfKey = new Map<string, string>()

  private constructor(labels: LineLabels, fields: ReadonlyMap<string, string>, isStrict: boolean) {
    this.#labels = labels
    this.#isStrict = isStrict
    this.#keys = new KeyTable(labels)
    this.#fields = [...fields.keys()]
    for (const [label] of fields) this.#labelOfKey.set(label, label)
    for (const [label, key] of fields) this.#labelOfKey.set(key, label)
  }

  static prepare(labels: LineLabels, fields: Extraction[], isStrict: boolean): Result<Step> {
    const keys = new Map<string, string>()
    for (const { label, expression } of fields) {
      const key = parseKey(expression)
      if (!key.ok) {
        const why = `cannot parse expression [${expression}]: ${key.error.message}`
        return err('bad_query', why)
      }
      keys.set(label, key.data)
    }
    return ok(new LogfmtFieldsStage(labels, keys, isStrict))
  }

  run(line: string): string {
    const labels = this.#labels
    const reader = this.#reader
    if (labels.isComplete) return line
    for (const field of this.#fields) if (!labels.ownHas(field)) labels.set(field, '')
    reader.reset(line)
    while (!reader.isAtEnd) {
      if (!reader.next()) {
        if (this.#isStrict) break
        continue
      }
      const key = this.#keys.nameOf(reader.key).plain
      let label = this.#labelOfKey.get(key)
      // What an earlier stage made is not read again under another name.
      if (label === undefined || (!this.#fields.includes(key) && labels.wasMade(key))) continue
      if (labels.ownHas(label)) {
        label += EXTRACTED
        if (labels.wasMade(label) || !labels.wants(label)) break
      }
      labels.set(label, reader.value.includes('\ufffd') ? '' : reader.value)
    }
    if (this.#isStrict && reader.error !== '') labels.failParsing('LogfmtParserErr', reader.error)
    return line
  }
}

const SPACE = /[ \t\n]*/y
const KEY = /[a-zA-Z_][a-zA-Z0-9_]*/y
const QUOTED = /"([^"\]]*)["\]]?/y

/** The expression of a field: a key, or one in double quotes. */
function parseKey(expression: string): Result<string> {
  let at = 0
  const take = (form: RegExp) => {
    form.lastIndex = at
    const found = form.exec(expression)
    if (found) at = form.lastIndex
    return found
  }
  take(SPACE)
  const key = take(KEY)?.[0] ?? take(QUOTED)?.[1]
  take(SPACE)
  if (at < expression.length) {
    const char = String.fromCodePoint(expression.codePointAt(at)!)
    const isToken = /["a-zA-Z_]/.test(char)
    return err('bad_query', isToken ? 'more than one key' : `unexpected char ${char}`)
  }
  if (key === undefined) {
    return err('bad_query', 'syntax error: unexpected $end, expecting STRING or KEY')
  }
  return ok(key)
}
