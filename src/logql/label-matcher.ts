// One matcher `name="value"` asked of a label's value; what is absent has the value ''. Regular
// expressions match the whole value.

import type { Regex } from '../query/regex.ts'
import { err, ok, type Result } from '../result.ts'
import type { RegexBudget } from './regex-budget.ts'
import type { Matcher } from './syntax.ts'

/** As Loki matches the labels of streams: the whole value, a dot any character, line breaks included. */
export const wholeRegex = (source: string): string => `^(?s:${source})$`

export class LabelMatcher {
  readonly name: string
  readonly #value: string
  readonly #regex: Regex | null
  readonly #isNegated: boolean

  private constructor(matcher: Matcher, regex: Regex | null) {
    this.name = matcher.name
    this.#value = matcher.value
    this.#regex = regex
    this.#isNegated = matcher.op === '!=' || matcher.op === '!~'
  }

  /** `dotAll`: whether `.` is a line break too, as in keep and drop, but not in a label filter. */
  static prepare(matcher: Matcher, regexes: RegexBudget, dotAll: boolean): Result<LabelMatcher> {
    if (matcher.op === '=' || matcher.op === '!=') return ok(new LabelMatcher(matcher, null))
    // Alone first: a text that closes a group that it did not open would be another one inside.
    const own = regexes.compile(matcher.value)
    if (!own.ok) return err('bad_query', `label ${matcher.name}: ${own.error.message}`)
    const { value } = matcher
    const whole = regexes.compile(dotAll ? wholeRegex(value) : `^(?:${value})$`)
    return whole.ok ? ok(new LabelMatcher(matcher, whole.data)) : whole
  }

  test(value: string): boolean {
    const matches = this.#regex ? this.#regex.test(value) : value === this.#value
    return matches !== this.#isNegated
  }
}
