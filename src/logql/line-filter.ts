// `|= "a" or "b"`: whether the line holds one of the texts, or of the expressions or patterns; `!` asks
// for none of them.

import { ok, type Result } from '../result.ts'
import type { RegexBudget } from './regex-budget.ts'
import type { Step } from './stage.ts'
import { preparePatternTest } from './stage-pattern.ts'
import type { LineOp } from './syntax.ts'

type Test = (line: string) => boolean

export class LineFilterStage implements Step {
  readonly #tests: Test[]
  readonly #isNegated: boolean

  private constructor(tests: Test[], isNegated: boolean) {
    this.#tests = tests
    this.#isNegated = isNegated
  }

  static prepare(op: LineOp, texts: string[], regexes: RegexBudget): Result<LineFilterStage> {
    const tests: Test[] = []
    for (const text of texts) {
      const test = prepareTest(op, text, regexes)
      if (!test.ok) return test
      tests.push(test.data)
    }
    return ok(new LineFilterStage(tests, op.startsWith('!')))
  }

  run(line: string): string | null {
    for (const test of this.#tests) if (test(line)) return this.#isNegated ? null : line
    return this.#isNegated ? line : null
  }
}

function prepareTest(op: LineOp, text: string, regexes: RegexBudget): Result<Test> {
  if (op === '|=' || op === '!=') return ok((line) => line.includes(text))
  if (op === '|>' || op === '!>') return preparePatternTest(text)
  const regex = regexes.compile(text)
  return regex.ok ? ok(regex.data.test) : regex
}
