// One matcher `name="value"` asked of a label's value; what is absent has the value ''. Regular
// expressions match the whole value.

import { compileRegex, type Regex } from '../query/regex.ts'
import { err, ok, type Result } from '../result.ts'
import type { RegexBudget } from './regex-budget.ts'
import { listedValues } from './regex-list.ts'
import type { Matcher } from './syntax.ts'

/** As Loki matches the labels of streams: the whole value, a dot any character, line breaks included. */
export const wholeRegex = (source: string): string => `^(?s:${source})$`

export class LabelMatcher {
  readonly name: string
  /** Those that match, where there is no regular expression. */
  readonly #values: ReadonlySet<string>
  readonly #regex: Regex | null
  readonly #isNegated: boolean

  private constructor(matcher: Matcher, values: string[], regex: Regex | null) {
    this.name = matcher.name
    this.#values = new Set(values)
    this.#regex = regex
    this.#isNegated = matcher.op === '!=' || matcher.op === '!~'
  }

  static prepare(matcher: Matcher, regexes: RegexBudget): Result<LabelMatcher> {
    if (matcher.op === '=' || matcher.op === '!=')
      return ok(new LabelMatcher(matcher, [matcher.value], null))
    const listed = listedValues(matcher.value)
    if (listed) return ok(new LabelMatcher(matcher, listed, null))
    // Alone first: a text that closes a group that it did not open would be another one inside.
    const own = compileRegex(matcher.value)
    if (!own.ok) return err('bad_query', `label ${matcher.name}: ${own.error.message}`)
    const whole = regexes.compile(wholeRegex(matcher.value))
    return whole.ok ? ok(new LabelMatcher(matcher, [], whole.data)) : whole
  }

  test(value: string): boolean {
    const matches = this.#regex ? this.#regex.test(value) : this.#values.has(value)
    return matches !== this.#isNegated
  }
}
