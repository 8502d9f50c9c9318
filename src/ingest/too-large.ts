// What a request may not exceed as a whole. The writer throws as soon as it knows; decoders turn it
// into the answer.

import { REQUEST_KEPT_BYTES_MAX, REQUEST_RECORDS_MAX } from '../limits.ts'
import { err } from '../result.ts'

export class TooLarge extends Error {
  readonly answer: ReturnType<typeof err>
  constructor(answer: ReturnType<typeof err>) {
    super(answer.error.message)
    this.answer = answer
  }
}

export const tooManyRecords = () =>
  err('too_large', `more than ${REQUEST_RECORDS_MAX} records in one request`, {
    max: REQUEST_RECORDS_MAX,
  })

/** Memory of a record and of an attribute beside their texts, as measured: 270 and 38 bytes with short ones. */
const RECORD_BYTES = 270
const ATTRIBUTE_BYTES = 24

/** About how much memory the records of a request take. Throws TooLarge where it is too much. */
export class KeptBytes {
  #bytes = 0

  add(textBytes: number, attributes: number): void {
    this.#bytes += RECORD_BYTES + textBytes + attributes * ATTRIBUTE_BYTES
    this.check(0)
  }

  /** Whether so much more may be added. */
  check(more: number): void {
    if (this.#bytes + more <= REQUEST_KEPT_BYTES_MAX) return
    const max = REQUEST_KEPT_BYTES_MAX
    const message = `the records of one request take more than ${max} bytes of memory`
    throw new TooLarge(err('too_large', message, { max }))
  }
}
