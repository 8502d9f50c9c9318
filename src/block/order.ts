// In which order the records of a block lie, and which of them are one row group.

import type { RecordBatch } from '../record.ts'
import { GROUP_RECORDS_MAX } from './layout.ts'
import { recordBytes, type StoredBatch } from './stored.ts'

/** Raw bytes of a row group aimed at: a reader holds all of it at once. */
const GROUP_BYTES_TARGET = 16 * 1024 * 1024

/** Which row each record of the block was, of the rows of all parts one after the other. */
export type Order = Uint32Array

/** Some records of the block: `from`..`to` (exclusive) of its order. */
export interface Range {
  from: number
  to: number
}

/** By time, and by sequence number among those of one time. */
export function orderOf(parts: StoredBatch[]): Order {
  const count = parts.reduce((sum, { batch }) => sum + batch.length, 0)
  const ms = new Float64Array(count)
  const ns = new Float64Array(count)
  const seqs = new Float64Array(count)
  let at = 0
  for (const { batch, seqs: own } of parts) {
    ms.set(batch.timeMs, at)
    ns.set(batch.timeNs, at)
    seqs.set(own, at)
    at += batch.length
  }
  // An array, and not a typed one: its sort takes runs that are in order already as they are.
  const order = Array.from({ length: count }, (_, row) => row)
  order.sort((a, b) => ms[a]! - ms[b]! || ns[a]! - ns[b]! || seqs[a]! - seqs[b]!)
  return new Uint32Array(order)
}

/** The row groups: of at most GROUP_RECORDS_MAX records and about GROUP_BYTES_TARGET. */
export function groupsOf(parts: StoredBatch[], order: Order): Range[] {
  const bytes = parts.flatMap(({ batch }) => ownBytes(batch))
  const groups: Range[] = []
  let from = 0
  let held = 0
  for (let i = 0; i < order.length; i++) {
    const own = bytes[order[i]!]!
    if (i - from === GROUP_RECORDS_MAX || (i > from && held + own > GROUP_BYTES_TARGET)) {
      groups.push({ from, to: i })
      from = i
      held = 0
    }
    held += own
  }
  groups.push({ from, to: order.length })
  return groups
}

/** Bytes of each record, with those of a resource and scope at the first that names them. */
function ownBytes(batch: RecordBatch): number[] {
  const bytes = batch.bytes.length === batch.length ? batch.bytes.slice() : recordBytes(batch)
  for (const { index, texts } of [
    { index: batch.resource, texts: batch.resources },
    { index: batch.scope, texts: batch.scopes },
  ]) {
    const isNamed = new Uint8Array(texts.length)
    for (let row = 0; row < index.length; row++) {
      const at = index[row]!
      if (isNamed[at] === 0) bytes[row]! += texts[at]!.length
      isNamed[at] = 1
    }
  }
  return bytes
}
