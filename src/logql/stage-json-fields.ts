// `| json a="b.c[0]"`: the values that paths lead to, one label each, '' where a path leads to none.
// Objects and arrays are their text. The rest of the line is not looked at, and may be malformed.

import { JSON_DEPTH_MAX } from '../limits.ts'
import { err, ok, type Result } from '../result.ts'
import { type JsonPath, parseJsonPath } from './json-path.ts'
import {
  CLOSE_ARRAY,
  CLOSE_OBJECT,
  COLON,
  COMMA,
  labelText,
  OPEN_ARRAY,
  OPEN_OBJECT,
  QUOTE,
  skipSpace,
  stringEnd,
  unescapeJson,
  ValueReader,
} from './json-text.ts'
import { EXTRACTED, type LineLabels } from './line-labels.ts'
import type { Step } from './stage.ts'
import type { Extraction } from './syntax.ts'

/** A step of paths: what ends here, and where it goes on. */
interface Branch {
  labels: string[]
  keys: Map<string, Branch>
  indexes: Map<number, Branch>
}

const emptyBranch = (): Branch => ({ labels: [], keys: new Map(), indexes: new Map() })

export class JsonFieldsStage implements Step {
  readonly #labels: LineLabels
  readonly #fields: string[]
  readonly #root: Branch
  readonly #value = new ValueReader()
  readonly #found = new Set<string>()
  #line = ''

  private constructor(labels: LineLabels, paths: [string, JsonPath][]) {
    this.#labels = labels
    this.#fields = paths.map(([label]) => label)
    this.#root = emptyBranch()
    for (const [label, path] of paths) {
      let branch = this.#root
      for (const part of path) branch = branchOf(branch, part)
      branch.labels.push(label)
    }
  }

  static prepare(labels: LineLabels, fields: Extraction[]): Result<Step> {
    const paths: [string, JsonPath][] = []
    for (const { label, expression } of fields) {
      const path = parseJsonPath(expression)
      if (!path.ok) {
        return err('bad_query', `cannot parse expression [${expression}]: ${path.error.message}`)
      }
      if (path.data.length > JSON_DEPTH_MAX) {
        return err(
          'bad_query',
          `the json expression of ${label} has more than ${JSON_DEPTH_MAX} parts`,
        )
      }
      paths.push([label, path.data])
    }
    return ok(new JsonFieldsStage(labels, paths))
  }

  run(line: string): string {
    const labels = this.#labels
    if (line === '' || labels.isComplete) return line
    const first = line.charCodeAt(0)
    if (first !== QUOTE && first !== OPEN_OBJECT && first !== OPEN_ARRAY) {
      labels.failParsing('JSONParserErr', '')
      return line
    }
    this.#line = line
    this.#found.clear()
    this.#value.reset()
    if (first === OPEN_OBJECT) this.#readObject(0, line.length, this.#root)
    else if (first === OPEN_ARRAY) this.#readArray(0, line.length, this.#root)
    if (this.#found.size < this.#fields.length) {
      for (const field of this.#fields) if (labels.get(field) === undefined) labels.set(field, '')
    }
    return line
  }

  /** Reads as far as the object is well formed. */
  #readObject(from: number, end: number, branch: Branch): void {
    const line = this.#line
    let at = from + 1
    for (;;) {
      at = skipSpace(line, at, end)
      if (at >= end || line.charCodeAt(at) !== QUOTE) return
      const keyEnd = stringEnd(line, at + 1, end)
      if (keyEnd < 0) return
      const key = unescapeJson(line.slice(at + 1, keyEnd - 1))
      at = skipSpace(line, keyEnd, end)
      if (key === null || at >= end || line.charCodeAt(at) !== COLON) return
      const next = branch.keys.get(key)
      const after = this.#readValue(at + 1, end, next)
      if (after < 0) return
      at = skipSpace(line, after, end)
      const c = at < end ? line.charCodeAt(at) : CLOSE_OBJECT
      if (c !== COMMA || this.#found.size === this.#fields.length) return
      at++
    }
  }

  #readArray(from: number, end: number, branch: Branch): void {
    const line = this.#line
    let at = from + 1
    for (let i = 0; ; i++) {
      at = skipSpace(line, at, end)
      if (at >= end || line.charCodeAt(at) === CLOSE_ARRAY) return
      const after = this.#readValue(at, end, branch.indexes.get(i))
      if (after < 0) return
      at = skipSpace(line, after, end)
      const c = at < end ? line.charCodeAt(at) : CLOSE_ARRAY
      if (c !== COMMA || this.#found.size === this.#fields.length) return
      at++
    }
  }

  /** Index after the value; -1: there is none. */
  #readValue(from: number, end: number, branch: Branch | undefined): number {
    const value = this.#value
    const fault = value.read(this.#line, from, end)
    if (fault !== null) {
      const isAsked = branch?.labels.some((label) => !this.#found.has(label))
      if (isAsked) this.#labels.failParsing('JSONParserErr', fault)
      // What is inside an object that does not end may still be read.
      if (branch && value.kind === 'object' && value.end < 0) {
        this.#readObject(value.start, end, branch)
      }
      return -1
    }
    const { kind, start, end: valueEnd, after } = value
    if (branch === undefined) return after
    for (const label of branch.labels) this.#take(label)
    if (kind === 'object' && branch.keys.size > 0) this.#readObject(start, valueEnd, branch)
    else if (kind === 'array' && branch.indexes.size > 0) this.#readArray(start, valueEnd, branch)
    return after
  }

  #take(field: string): void {
    if (this.#found.has(field)) return
    this.#found.add(field)
    const { kind, start, end } = this.#value
    const raw = this.#line.slice(start, end)
    const label = this.#labels.ownHas(field) ? field + EXTRACTED : field
    if (kind === 'null') this.#labels.set(label, '')
    else this.#labels.set(label, kind === 'object' ? raw : labelText(raw))
  }
}

function branchOf(branch: Branch, part: string | number): Branch {
  const next =
    (typeof part === 'number' ? branch.indexes.get(part) : branch.keys.get(part)) ?? emptyBranch()
  if (typeof part === 'number') branch.indexes.set(part, next)
  else branch.keys.set(part, next)
  return next
}
