// What passes between a shard and the Worker of an open tail, and the position a reader comes back with.
//
// Of each stretch of sequence numbers a shard sends what matches as text, so that the Worker hands it
// on without parsing a record:
//
//   <after> <last>\n<seq> <record as JSON>\n<seq> <record as JSON> ...
//
// which says: of the records behind `after`, up to and with `last`, these match. A stretch that does
// not begin where the one before ended leaves a gap, which the Worker fills from the store.

import { SHARDS_MAX } from '../limits.ts'
import { BadParameter, quote } from '../query/parameters.ts'

export interface TailFrame {
  /** Exclusive. */
  afterSeq: number
  /** Inclusive. */
  lastSeq: number
  /** `<seq> <record as JSON>`, ascending. */
  lines: string[]
}

/** `lines` are joined by line feeds; empty: none. */
export const writeFrame = (afterSeq: number, lastSeq: number, lines: string) =>
  lines === '' ? `${afterSeq} ${lastSeq}` : `${afterSeq} ${lastSeq}\n${lines}`

export function readFrame(text: string): TailFrame {
  const [head = '', ...lines] = text.split('\n')
  const [afterSeq = Number.NaN, lastSeq = Number.NaN] = head.split(' ').map(Number)
  return { afterSeq, lastSeq, lines }
}

export const writeLine = (seq: number, record: unknown) => `${seq} ${JSON.stringify(record)}`

export function readLine(line: string): { seq: number; json: string } {
  const space = line.indexOf(' ')
  return { seq: Number(line.slice(0, space)), json: line.slice(space + 1) }
}

/** A position in all shards, the first shard first, as the id of an event: `12.0.55`. */
export const writePosition = (seqs: number[]) => seqs.join('.')

/** Shards behind its end did not exist when it was written. Throws BadParameter. */
export function readPosition(text: string): number[] {
  const parts = /^\d{1,16}(\.\d{1,16})*$/.test(text) ? text.split('.') : []
  const seqs = parts.map(Number)
  if (seqs.length > 0 && seqs.length <= SHARDS_MAX && seqs.every(Number.isSafeInteger)) return seqs
  const message = `after must be the id of an event of a tail, such as "12.0.55", not ${quote(text)}`
  throw new BadParameter('after', message)
}
