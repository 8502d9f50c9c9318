// Logs in: POST /v1/logs (OTLP, both encodings) and POST /logs (lines of JSON). Each checks in the
// order of otlp.md H27 - method, credentials, media type, and then as ingest.ts goes on - so that a
// request wrong in two ways gets the first answer.

import { type Context, Hono } from 'hono'
import { decodeLines } from '../ingest/lines.ts'
import { decodeOtlpJson } from '../ingest/otlp-json.ts'
import { decodeOtlpProtobuf } from '../ingest/otlp-protobuf.ts'
import { err, type Failure, ok, type Result } from '../result.ts'
import { answer, type HonoEnv } from './answer.ts'
import { type Ingested, ingest, ingestAccess, refused } from './ingest.ts'
import { mediaTypeOf, otlpFailure, otlpMediaOf, otlpSuccess } from './otlp-answer.ts'

/** The second is Loki's, where Collectors that leave it may still point. */
const OTLP_PATHS = ['/v1/logs', '/otlp/v1/logs']
export const isOtlpPath = (path: string) => OTLP_PATHS.includes(path)

export const ingestRoutes = new Hono<HonoEnv>()

for (const path of OTLP_PATHS) ingestRoutes.all(path, exportLogs)

async function exportLogs(c: Context<HonoEnv>): Promise<Response> {
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
  const result = await ingest(c, access.data, {
    door: 'otlp',
    mediaType: media,
    decode: media === 'application/json' ? decodeOtlpJson : decodeOtlpProtobuf,
  })
  return result.ok ? otlpSuccess(answerMedia, result.data.rejected) : fail(result.error)
}

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
  const result = await ingest(c, access.data, {
    door: 'lines',
    mediaType: format,
    decode: (body, arrival) => decodeLines(body, format, appId, arrival),
  })
  return answer(c, result.ok ? linesAnswer(result.data) : result)
})

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
