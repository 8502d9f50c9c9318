// The batch id: what makes a retried request the same request. It is taken over the
// decompressed body, because some exporters compress each attempt anew.

import { createHash } from 'node:crypto'
import type { RecordBatch } from '../record.ts'

/** What of a request, beside its records, makes it the same request again. */
export interface RequestIdentity {
  door: 'otlp' | 'loki' | 'lines'
  mediaType: string
  workspaceId: string | null
  idempotencyKey: string | null
  body: Uint8Array
}

/**
 * 128 bits of SHA-256, or null for a request that can not be told from another like it: one without
 * an Idempotency-Key whose records have no time of their own, or that holds a single record timed
 * to the millisecond, which two servers may well send in the same one.
 */
export function batchIdOf(identity: RequestIdentity, batch: RecordBatch): Uint8Array | null {
  const { door, mediaType, workspaceId, idempotencyKey, body } = identity
  if (idempotencyKey === null) {
    if (door === 'lines' || batch.untimed > 0) return null
    const isFiner = batch.timeNs.some((ns) => ns !== 0)
    // Records that were refused make it no less the same request.
    if (batch.length + batch.rejected.length < 2 && !isFiner) return null
  }
  const hash = createHash('sha256')
  hash.update(JSON.stringify([door, mediaType, workspaceId, idempotencyKey]))
  hash.update(body)
  return new Uint8Array(hash.digest().subarray(0, 16))
}
