// Patterns: literal text with `<name>` and `<_>` between. `| pattern` makes labels of what stands there;
// `|>` and `!>` ask whether a line is so, and name nothing.

import { err, ok, type Result } from '../result.ts'
import { EXTRACTED, type LineLabels } from './line-labels.ts'
import type { Step } from './stage.ts'

/** Literals and captures, of which no two stand beside each other. */
type Part = { literal: string } | { capture: string }

const CAPTURE = /<([a-zA-Z_][a-zA-Z0-9_]*)>/g

function parsePattern(pattern: string): Result<Part[]> {
  const parts: Part[] = []
  let from = 0
  for (const found of pattern.matchAll(CAPTURE)) {
    const last = parts.at(-1)
    if (found.index > from) parts.push({ literal: pattern.slice(from, found.index) })
    else if (last && 'capture' in last) {
      const pair = `<${last.capture}>${found[0]}`
      return err('bad_query', `found consecutive capture '${pair}': invalid expression`)
    }
    parts.push({ capture: found[1]! })
    from = found.index + found[0].length
  }
  if (from < pattern.length) parts.push({ literal: pattern.slice(from) })
  return ok(parts)
}

export class PatternStage implements Step {
  readonly #labels: LineLabels
  readonly #parts: Part[]

  private constructor(labels: LineLabels, parts: Part[]) {
    this.#labels = labels
    this.#parts = parts
  }

  static prepare(labels: LineLabels, pattern: string): Result<PatternStage> {
    const invalid = (why: string) => err('bad_query', `invalid pattern parser: ${why}`)
    if (pattern === '') {
      const why = 'syntax error: unexpected $end, expecting IDENTIFIER or LITERAL'
      return invalid(`parse error at line 1, col 1: ${why}`)
    }
    const parts = parsePattern(pattern)
    if (!parts.ok) return invalid(parts.error.message)
    const names = capturesOf(parts.data)
    if (names.length === 0) return invalid('at least one capture is required')
    const twice = names.find((name, i) => names.indexOf(name) !== i)
    if (twice) return invalid(`duplicate capture name (${twice}): invalid expression`)
    return ok(new PatternStage(labels, parts.data))
  }

  run(line: string): string {
    if (this.#labels.isComplete || line === '') return line
    let at = 0
    let open = ''
    for (const part of this.#parts) {
      if ('capture' in part) {
        open = part.capture
        continue
      }
      const found =
        open === '' ? (line.startsWith(part.literal) ? 0 : -1) : line.indexOf(part.literal, at)
      if (found < 0) {
        // The capture before what is missing takes the rest of the line.
        this.#take(open, line.slice(at))
        return line
      }
      this.#take(open, line.slice(at, found))
      at = found + part.literal.length
      open = ''
    }
    this.#take(open, line.slice(at))
    return line
  }

  #take(capture: string, value: string): void {
    if (capture === '' || capture === '_') return
    const labels = this.#labels
    const label = labels.ownHas(capture) ? capture + EXTRACTED : capture
    if (labels.wants(label) && !labels.wasMade(label)) labels.set(label, value)
  }
}

const capturesOf = (parts: Part[]): string[] =>
  parts.flatMap((part) => ('capture' in part && part.capture !== '_' ? [part.capture] : []))

/** `|> "<_> took <_>"`: tells whether a line is so. What a capture stands for is never empty. */
export function preparePatternTest(pattern: string): Result<(line: string) => boolean> {
  const parts = parsePattern(pattern)
  if (!parts.ok) return parts
  const name = capturesOf(parts.data)[0]
  if (name) return err('bad_query', `named captures are not allowed: found '<${name}>'`)
  const literals = parts.data.map((part) => ('literal' in part ? part.literal : null))
  return ok((line) => holds(line, literals))
}

/** Null stands for a capture. */
function holds(line: string, literals: (string | null)[]): boolean {
  if (line === '' || literals.length === 0) return line === '' && literals.length === 0
  let at = 0
  for (let i = 0; i < literals.length; i++) {
    const literal = literals[i]!
    if (literal === null) continue
    const found = line.indexOf(literal, at)
    if (found < 0 || (i > 0 && found === at)) return false
    at = found + literal.length
  }
  return (literals.at(-1) === null) === at < line.length
}
