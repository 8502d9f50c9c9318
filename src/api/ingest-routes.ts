// Logs in: POST /v1/logs (OTLP, both encodings) and POST /logs (lines of JSON). Each checks in the
// order of otlp.md H27 - method, credentials, media type, content encoding, size, decoding, storage -
// so that a request wrong in two ways gets the first answer.

import { type Context, Hono } from 'hono'
import { decodeLines } from '../ingest/lines.ts'
import type { Arrival } from '../ingest/map.ts'
import { decodeOtlpJson } from '../ingest/otlp-json.ts'
import { decodeOtlpProtobuf } from '../ingest/otlp-protobuf.ts'
import { REQUEST_ID_CHARS_MAX } from '../limits.ts'
import type { RecordBatch, Rejected } from '../record.ts'
import { err, type Failure, ok, type Result } from '../result.ts'
import { batchIdOf } from '../tenant/batch-id.ts'
import { appendRecords, noteRefused } from '../tenant/route.ts'
import { answer, type HonoEnv } from './answer.ts'
import { type Access, authorize } from './auth.ts'
import { readBody } from './body.ts'
import { mediaTypeOf, otlpFailure, otlpMediaOf, otlpSuccess } from './otlp-answer.ts'

export const OTLP_PATH = '/v1/logs'

export const ingestRoutes = new Hono<HonoEnv>()

ingestRoutes.all(OTLP_PATH, async (c) => {
  const media = mediaTypeOf(c.req.raw)
  const answerMedia = otlpMediaOf(c.req.raw)
  const fail = (failure: Failure) => otlpFailure(answerMedia, failure)
  if (c.req.method !== 'POST') {
    return fail({
      code: 'method_not_allowed',
      message: `${c.req.method} is not allowed; POST logs here`,
    })
  }
  const access = await ingestAccess(c, null)
  if (!access.ok) return fail(access.error)
  if (media !== answerMedia) {
    const sent = media === '' ? 'none' : JSON.stringify(media.slice(0, 64))
    const text = `content-type must be application/x-protobuf or application/json, not ${sent}`
    return fail(refused(c, access.data, { code: 'unsupported_media', message: text }))
  }
  const result = await ingest(c, access.data, 'otlp', media, (body, arrival) =>
    media === 'application/json'
      ? decodeOtlpJson(body, arrival)
      : decodeOtlpProtobuf(body, arrival),
  )
  return result.ok ? otlpSuccess(answerMedia, result.data.rejected) : fail(result.error)
})

/** What curl and simple clients send when nobody said what it is: read as JSON. */
const JSON_MEDIA = new Set([
  '',
  'application/json',
  'text/plain',
  'application/x-www-form-urlencoded',
])
const NDJSON_MEDIA = new Set([
  'application/x-ndjson',
  'application/ndjson',
  'application/jsonl',
  'application/x-jsonlines',
])

ingestRoutes.on('POST', ['/logs', '/log'], async (c) => {
  const access = await ingestAccess(c, c.req.query('app_id') ?? null)
  if (!access.ok) return answer(c, access)
  const media = mediaTypeOf(c.req.raw)
  const isNdjson = NDJSON_MEDIA.has(media)
  if (!isNdjson && !JSON_MEDIA.has(media)) {
    const text = `content-type must be application/json or application/x-ndjson, not ${JSON.stringify(media.slice(0, 64))}`
    return answer(c, {
      ok: false,
      error: refused(c, access.data, { code: 'unsupported_media', message: text }),
    })
  }
  const { appId } = access.data.tenant
  const format = isNdjson ? 'ndjson' : 'json'
  const result = await ingest(c, access.data, 'lines', format, (body, arrival) =>
    decodeLines(body, format, appId, arrival),
  )
  return answer(c, result.ok ? linesAnswer(result.data) : result)
})

interface Ingested {
  accepted: number
  rejected: Rejected[]
}

/** Refused records that an answer lists; of a request that is wrong throughout, more is no help. */
const REJECTED_SHOWN_MAX = 1000

/** What POST /logs and the RPC door answer: a request of which nothing could be stored is refused. */
export function linesAnswer({ accepted, rejected }: Ingested): Result<Ingested> {
  const shown = rejected.slice(0, REJECTED_SHOWN_MAX)
  const answer = {
    accepted,
    rejected: shown,
    ...(shown.length < rejected.length && { rejected_not_shown: rejected.length - shown.length }),
  }
  if (accepted > 0 || rejected.length === 0) return ok(answer)
  const { index, field, message } = rejected[0]!
  const more = rejected.length > 1 ? `, and ${rejected.length - 1} more` : ''
  return err('bad_request', `record ${index}, ${field}: ${message}${more}`, answer)
}

const ingestAccess = (c: Context<HonoEnv>, appId: string | null): Promise<Result<Access>> =>
  authorize(c.env, c.req.raw.headers, { need: 'ingest', appId })

type Decode = (body: Uint8Array, arrival: Arrival) => Result<RecordBatch>

/** From the content encoding to storage, the same for every format. */
async function ingest(
  c: Context<HonoEnv>,
  access: Access,
  door: 'otlp' | 'lines',
  mediaType: string,
  decode: Decode,
): Promise<Result<Ingested>> {
  const fail = (failure: Failure) => ({ ok: false as const, error: refused(c, access, failure) })
  const body = await readBody(c.req.raw, access.tenant.appId)
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
function refused(c: Context<HonoEnv>, access: Access, failure: Failure): Failure {
  c.executionCtx.waitUntil(noteRefused(c.env, access, { [`refused_request_${failure.code}`]: 1 }))
  return failure
}
