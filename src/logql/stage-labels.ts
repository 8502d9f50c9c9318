// `| keep` and `| drop`: which labels stay. Errors are kept by every keep, and dropped by name.

import { ok, type Result } from '../result.ts'
import { LabelMatcher } from './label-matcher.ts'
import { ERROR, ERROR_DETAILS, type LineLabels, PRESERVE_ERROR } from './line-labels.ts'
import type { RegexBudget } from './regex-budget.ts'
import type { Step } from './stage.ts'
import type { Matcher } from './syntax.ts'

type Choice = string | LabelMatcher

export function prepareChoice(
  labels: LineLabels,
  kind: 'keep' | 'drop',
  choices: (string | Matcher)[],
  regexes: RegexBudget,
): Result<Step> {
  const prepared: Choice[] = []
  for (const choice of choices) {
    if (typeof choice === 'string') prepared.push(choice)
    else {
      const matcher = LabelMatcher.prepare(choice, regexes)
      if (!matcher.ok) return matcher
      prepared.push(matcher.data)
    }
  }
  return ok(kind === 'keep' ? new KeepStage(labels, prepared) : new DropStage(labels, prepared))
}

class KeepStage implements Step {
  readonly #labels: LineLabels
  readonly #choices: Choice[]

  constructor(labels: LineLabels, choices: Choice[]) {
    this.#labels = labels
    this.#choices = choices
  }

  run(line: string): string {
    if (this.#choices.length === 0) return line
    for (const [name, value] of [...this.#labels.all()]) {
      if (name !== PRESERVE_ERROR && !this.#keeps(name, value)) this.#labels.delete(name)
    }
    return line
  }

  #keeps(name: string, value: string): boolean {
    return this.#choices.some((choice) =>
      typeof choice === 'string' ? choice === name : choice.name === name && choice.test(value),
    )
  }
}

class DropStage implements Step {
  readonly #labels: LineLabels
  readonly #choices: Choice[]

  constructor(labels: LineLabels, choices: Choice[]) {
    this.#labels = labels
    this.#choices = choices
  }

  run(line: string): string {
    for (const choice of this.#choices) {
      if (typeof choice === 'string') this.#drop(choice, null)
      else this.#drop(choice.name, choice)
    }
    return line
  }

  #drop(name: string, matcher: LabelMatcher | null): void {
    const labels = this.#labels
    if (name === ERROR) {
      if (!matcher || matcher.test(labels.error)) labels.error = ''
    } else if (name === ERROR_DETAILS) {
      if (!matcher || matcher.test(labels.errorDetails)) labels.errorDetails = ''
    } else {
      const value = labels.get(name)
      if (matcher ? matcher.test(value ?? '') : value !== undefined) labels.delete(name)
    }
  }
}
