// What every fallible function here returns, and what goes out over HTTP and RPC unchanged: it is
// plain data, while a thrown class loses its type and fields on the way out of a Durable Object.
// A Failure is something the caller can act on. A bug is thrown, and stays a 500.

const HTTP_STATUS = {
  bad_request: 400,
  bad_query: 400,
  bad_protobuf: 400,
  bad_json: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  too_large: 413,
  unsupported_media: 415,
  unsupported_encoding: 415,
  too_many: 429,
  internal: 500,
  overloaded: 503,
  unavailable: 503,
  not_configured: 503,
} as const

export type ErrorCode = keyof typeof HTTP_STATUS
export interface Failure {
  code: ErrorCode
  message: string
  details?: Record<string, unknown>
}
export type Result<T> = { ok: true; data: T } | { ok: false; error: Failure }

export const ok = <T>(data: T): Result<T> => ({ ok: true, data })
export function err(
  code: ErrorCode,
  message: string,
  details?: Failure['details'],
): { ok: false; error: Failure } {
  return { ok: false, error: { code, message, ...(details && { details }) } }
}
export const httpStatus = (failure: Failure) => HTTP_STATUS[failure.code]

/** What the two edges answer for a bug: a fixed text, because the cause belongs in the log alone. */
export const BUG = err('internal', 'this is a bug in the collector; its log names the cause')

/** For a state the code itself ruled out. Only the two edges, app.onError and RPC, catch it. */
export function bug(message: string): never {
  throw new Error(`BUG: ${message}`)
}
