// The shape of every answer outside OTLP and Loki: `{ok:true,data}` or `{ok:false,error}`, with the
// status its code stands for. The Hono types every route file shares are here too.

import type { Context } from 'hono'
import type { Env } from '../env.ts'
import { httpStatus, type Result } from '../result.ts'

export interface HonoEnv {
  Bindings: Env
  /** `requestId` is echoed as X-Request-ID; `sentRequestId` is null unless the sender gave it. */
  Variables: { requestId: string; sentRequestId: string | null }
}

/** Seconds a caller told 429 or 503 should wait: some exporters give up when it exceeds 10 s. */
export const RETRY_AFTER_SECONDS = '1'

export function answer<T>(c: Context<HonoEnv>, result: Result<T>): Response {
  if (result.ok) return c.json(result)
  const status = httpStatus(result.error)
  if (status === 429 || status === 503) c.header('Retry-After', RETRY_AFTER_SECONDS)
  if (status === 401) c.header('WWW-Authenticate', 'Bearer realm="worker-logs"')
  return c.json(result, status)
}
