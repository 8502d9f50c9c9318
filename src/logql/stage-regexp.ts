// `| regexp`: named groups become labels. The expression is RE2's, in time proportional to the line; the
// states without groups are far cheaper to follow, so a line that does not match is told by them.

import { RE2JS } from 're2js'
import { REGEX_TEXT_CHARS_MAX } from '../limits.ts'
import type { Regex } from '../query/regex.ts'
import { err, ok, type Result } from '../result.ts'
import { sanitize } from './label-names.ts'
import { EXTRACTED, type LineLabels } from './line-labels.ts'
import type { RegexBudget } from './regex-budget.ts'
import type { Step } from './stage.ts'

interface Group {
  index: number
  label: string
}

export class RegexpStage implements Step {
  readonly #labels: LineLabels
  readonly #groups: Group[]
  readonly #regex: Regex
  readonly #compiled: RE2JS

  private constructor(labels: LineLabels, regex: Regex, compiled: RE2JS, groups: Group[]) {
    this.#labels = labels
    this.#regex = regex
    this.#compiled = compiled
    this.#groups = groups
  }

  static prepare(labels: LineLabels, source: string, regexes: RegexBudget): Result<RegexpStage> {
    const invalid = (why: string) => err('bad_query', `invalid regexp parser: ${why}`)
    const regex = regexes.compile(source)
    if (!regex.ok) return invalid(regex.error.message)
    const compiled = RE2JS.compile(source)
    const groups = Object.entries(compiled.namedGroups()).map(([name, index]) => ({
      index,
      label: sanitize(name),
    }))
    if (groups.length === 0) return invalid('at least one named capture must be supplied')
    groups.sort((a, b) => a.index - b.index)
    return ok(new RegexpStage(labels, regex.data, compiled, groups))
  }

  run(line: string): string {
    const labels = this.#labels
    if (labels.isComplete || !this.#regex.test(line)) return line
    const matcher = this.#compiled.matcher(
      line.length > REGEX_TEXT_CHARS_MAX ? line.slice(0, REGEX_TEXT_CHARS_MAX) : line,
    )
    if (!matcher.find()) return line
    for (const { index, label: plain } of this.#groups) {
      if (plain === '') continue
      const label = labels.ownHas(plain) ? plain + EXTRACTED : plain
      if (labels.wants(label) && !labels.wasMade(label)) {
        labels.set(label, matcher.group(index) ?? '')
      }
    }
    return line
  }
}
