// Logs in, as Loki's shippers send them: POST /loki/api/v1/push, and its first path. Checks are in the
// order of the other doors (ingest-routes.ts), answers are Loki's: 204 without a body, or plain text.
//
// Of entries that can not be stored the others are, and the answer is 400 with the reasons: Loki does
// the same, and no shipper sends a 400 again.

import { type Context, Hono } from 'hono'
import { decodeLokiJson } from '../ingest/loki-json.ts'
import { decodeLokiProtobuf } from '../ingest/loki-protobuf.ts'
import type { Rejected } from '../record.ts'
import type { HonoEnv } from './answer.ts'
import { type Form, ingest, ingestAccess, refused } from './ingest.ts'
import { lokiFailure } from './loki-answer.ts'
import { mediaTypeOf } from './otlp-answer.ts'

const PATHS = ['/loki/api/v1/push', '/api/prom/push']
export const isLokiPushPath = (path: string) => PATHS.includes(path)

/** Refused entries that an answer names. */
const REJECTED_SHOWN_MAX = 5

const JSON_FORM: Form = {
  door: 'loki',
  mediaType: 'json',
  snappy: 'coding',
  decode: decodeLokiJson,
}
const PROTOBUF_FORM: Form = {
  door: 'loki',
  mediaType: 'protobuf',
  snappy: 'always',
  decode: decodeLokiProtobuf,
}

/** Loki takes all that is not JSON for protobuf; what says that it is something else is not. */
const FORMS = new Map<string, Form>([
  ['application/json', JSON_FORM],
  ['application/x-protobuf', PROTOBUF_FORM],
  ['application/protobuf', PROTOBUF_FORM],
  ['application/octet-stream', PROTOBUF_FORM],
  ['', PROTOBUF_FORM],
])

export const lokiPushRoutes = new Hono<HonoEnv>()

lokiPushRoutes.on('POST', PATHS, async (c: Context<HonoEnv>) => {
  const access = await ingestAccess(c, null)
  if (!access.ok) return lokiFailure(access.error)
  const media = mediaTypeOf(c.req.raw)
  const form = FORMS.get(media)
  if (form === undefined) {
    const sent = JSON.stringify(media.slice(0, 64))
    const message = `content-type must be application/json or application/x-protobuf, not ${sent}`
    return lokiFailure(refused(c, access.data, { code: 'unsupported_media', message }))
  }
  const result = await ingest(c, access.data, form)
  if (!result.ok) return lokiFailure(result.error)
  const { accepted, rejected } = result.data
  if (rejected.length === 0) return c.body(null, 204)
  return lokiFailure({ code: 'bad_request', message: rejectedText(accepted, rejected) })
})

function rejectedText(accepted: number, rejected: Rejected[]): string {
  const shown = rejected
    .slice(0, REJECTED_SHOWN_MAX)
    .map(({ index, field, message }) => `entry ${index}, ${field} ${message}`)
  const more = rejected.length > shown.length ? `; and ${rejected.length - shown.length} more` : ''
  const count = `${rejected.length} of ${accepted + rejected.length} entries refused`
  const rest = accepted > 0 ? ', the others are stored' : ''
  return `${count}${rest}: ${shown.join('; ')}${more}`
}
