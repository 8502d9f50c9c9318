// What OTLP/HTTP answers with: ExportLogsServiceResponse and google.rpc.Status, each in the encoding
// of the request (otlp.md H5, H12-H18). Two messages of a few fields, so they are written by hand.

import { concatBytes } from '../bytes.ts'
import { ERROR_MESSAGE_BYTES_MAX } from '../limits.ts'
import type { Rejected } from '../record.ts'
import { type Failure, httpStatus } from '../result.ts'
import { RETRY_AFTER_SECONDS } from './answer.ts'

export type OtlpMedia = 'application/json' | 'application/x-protobuf'

/** The media type in lower case without its parameters (H3); '' when there is none. */
export function mediaTypeOf(request: Request): string {
  const value = request.headers.get('content-type') ?? ''
  return value.split(';', 1)[0]!.trim().toLowerCase()
}

/** What to answer in: the request's own encoding, and JSON when that is none we speak (H17). */
export const otlpMediaOf = (request: Request): OtlpMedia =>
  mediaTypeOf(request) === 'application/x-protobuf' ? 'application/x-protobuf' : 'application/json'

/** HTTP status to google.rpc.Code, as the Collector maps them; others are UNKNOWN. */
const RPC_CODE: Record<number, number> = {
  400: 3,
  401: 16,
  403: 7,
  404: 12,
  429: 8,
  502: 14,
  503: 14,
  504: 14,
}
const UNKNOWN = 2
const BAD_REQUEST = 'type.googleapis.com/google.rpc.BadRequest'

export function otlpSuccess(media: OtlpMedia, rejected: Rejected[]): Response {
  const count = rejected.length
  const message = count === 0 ? '' : shorten(rejectedText(rejected))
  if (media === 'application/json') {
    // int64 is a string in JSON; on full success partialSuccess must be unset (H13).
    const partial = { rejectedLogRecords: String(count), errorMessage: message }
    return respond(200, media, JSON.stringify(count === 0 ? {} : { partialSuccess: partial }))
  }
  const partial = concatBytes([varintField(1, count), textField(2, message)])
  return respond(200, media, count === 0 ? new Uint8Array() : bytesField(1, partial))
}

function rejectedText(rejected: Rejected[]): string {
  const shown = rejected
    .slice(0, 5)
    .map(({ index, field, message }) => `record ${index}, ${field}: ${message}`)
  const more = rejected.length > shown.length ? `; and ${rejected.length - shown.length} more` : ''
  return `${rejected.length} log records refused: ${shown.join('; ')}${more}`
}

export function otlpFailure(media: OtlpMedia, failure: Failure): Response {
  const status = httpStatus(failure)
  const code = RPC_CODE[status] ?? UNKNOWN
  const message = shorten(failure.message)
  const field = typeof failure.details?.field === 'string' ? failure.details.field : 'body'
  const isBadRequest = status === 400
  if (media === 'application/json') {
    const violation = { '@type': BAD_REQUEST, fieldViolations: [{ field, description: message }] }
    const details = isBadRequest ? { details: [violation] } : {}
    return respond(status, media, JSON.stringify({ code, message, ...details }))
  }
  const violation = concatBytes([textField(1, field), textField(2, message)])
  const any = concatBytes([textField(1, BAD_REQUEST), bytesField(2, bytesField(1, violation))])
  const parts = [varintField(1, code), textField(2, message)]
  return respond(status, media, concatBytes(isBadRequest ? [...parts, bytesField(3, any)] : parts))
}

function respond(status: number, media: OtlpMedia, body: string | Uint8Array): Response {
  const headers = new Headers({ 'content-type': media })
  if (status === 429 || status === 503) headers.set('retry-after', RETRY_AFTER_SECONDS)
  if (status === 401) headers.set('www-authenticate', 'Bearer realm="worker-logs"')
  if (status === 405) headers.set('allow', 'POST')
  return new Response(body, { status, headers })
}

const encoder = new TextEncoder()

function shorten(text: string): string {
  const bytes = encoder.encode(text)
  if (bytes.length <= ERROR_MESSAGE_BYTES_MAX) return text
  const cut = new TextDecoder().decode(bytes.subarray(0, ERROR_MESSAGE_BYTES_MAX - 6))
  return `${cut.replace(/�+$/, '')}…`
}

const varintField = (field: number, value: number) =>
  concatBytes([varint(field << 3), varint(value)])
const textField = (field: number, text: string) => bytesField(field, encoder.encode(text))
const bytesField = (field: number, bytes: Uint8Array) =>
  concatBytes([varint((field << 3) | 2), varint(bytes.length), bytes])

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128)
  return Uint8Array.from([...bytes, rest])
}
