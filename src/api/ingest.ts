// What every door of logs does with a request once it is known who sent it and in what form: content
// encoding, size, decoding, storage.

import type { Context } from 'hono'
import type { Arrival } from '../ingest/map.ts'
import { REQUEST_ID_CHARS_MAX } from '../limits.ts'
import type { RecordBatch, Rejected } from '../record.ts'
import { type Failure, ok, type Result } from '../result.ts'
import { batchIdOf, type RequestIdentity } from '../tenant/batch-id.ts'
import { appendRecords, noteRefused } from '../tenant/route.ts'
import type { HonoEnv } from './answer.ts'
import { type Access, authorize } from './auth.ts'
import { readBody, type Snappy } from './body.ts'

export interface Ingested {
  accepted: number
  rejected: Rejected[]
}

/** A form that records come in. */
export interface Form {
  door: RequestIdentity['door']
  /** Part of what makes a request the same again. */
  mediaType: string
  snappy?: Snappy
  decode: (body: Uint8Array, arrival: Arrival) => Result<RecordBatch>
}

export const ingestAccess = (c: Context<HonoEnv>, appId: string | null): Promise<Result<Access>> =>
  authorize(c.env, c.req.raw.headers, { need: 'ingest', appId })

/** From the content encoding to storage, the same for every format. */
export async function ingest(
  c: Context<HonoEnv>,
  access: Access,
  { door, mediaType, snappy, decode }: Form,
): Promise<Result<Ingested>> {
  const fail = (failure: Failure) => ({ ok: false as const, error: refused(c, access, failure) })
  const body = await readBody(c.req.raw, access.tenant.appId, snappy)
  if (!body.ok) return fail(body.error)
  const { bytes, release } = body.data
  try {
    const idempotencyKey = c.req.header('Idempotency-Key') || null
    if (idempotencyKey !== null && idempotencyKey.length > REQUEST_ID_CHARS_MAX) {
      const text = `Idempotency-Key is longer than ${REQUEST_ID_CHARS_MAX} characters`
      return fail({ code: 'bad_request', message: text })
    }
    const { workspaceId } = access
    const { columns } = access.tenant
    const requestId = door === 'lines' ? c.get('sentRequestId') : null
    const batch = decode(bytes, { receivedMs: Date.now(), workspaceId, requestId, columns })
    if (!batch.ok) return fail(batch.error)
    const identity = { door, mediaType, workspaceId, idempotencyKey, body: bytes }
    const batchId = batchIdOf(identity, batch.data)
    const stored = await appendRecords(c.env, access, batch.data, batchId)
    if (!stored.ok) return stored
    return ok({ accepted: batch.data.length, rejected: batch.data.rejected })
  } finally {
    release()
  }
}

/** Counts a refused request in the tenant's statistics, after the answer. */
export function refused(c: Context<HonoEnv>, access: Access, failure: Failure): Failure {
  c.executionCtx.waitUntil(noteRefused(c.env, access, { [`refused_request_${failure.code}`]: 1 }))
  return failure
}
