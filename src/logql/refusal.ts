// Why a metric query gets no answer: thrown where that is found out, and a Result where the query is
// carried out.

import type { Failure } from '../result.ts'

export class Refusal extends Error {
  readonly failure: Failure

  constructor(message: string) {
    super(message)
    this.failure = { code: 'bad_query', message }
  }
}
