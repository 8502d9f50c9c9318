// All regular expressions of one query together are bounded: they are run over each of its lines.

import { REGEX_CHARS_MAX, REGEX_SIZE_MAX } from '../limits.ts'
import { compileRegex, type Regex } from '../query/regex.ts'
import { err, type Result } from '../result.ts'

export class RegexBudget {
  #chars = 0
  #size = 0

  compile(source: string): Result<Regex> {
    this.#chars += source.length
    if (this.#chars > REGEX_CHARS_MAX) {
      const most = `${REGEX_CHARS_MAX} characters`
      return err('bad_query', `the regular expressions of a query have at most ${most} together`)
    }
    const regex = compileRegex(source)
    if (!regex.ok) return regex
    this.#size += regex.data.size
    if (this.#size > REGEX_SIZE_MAX) {
      const most = `${REGEX_SIZE_MAX} instructions`
      return err('bad_query', `the regular expressions of a query have at most ${most} together`)
    }
    return regex
  }
}
