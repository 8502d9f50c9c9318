// What Loki's doors answer with: JSON of Loki's own form, and failures as plain text with a status.

import { type Failure, httpStatus } from '../result.ts'
import { RETRY_AFTER_SECONDS } from './answer.ts'

/** Whether a path is one of Loki's, so that failures there are plain text. */
export const isLokiPath = (path: string) => path.startsWith('/loki/') || path === '/ready'

/** A failure as Loki's clients read it: they show the text, and try again by the status. */
export function lokiFailure(failure: Failure): Response {
  const status = httpStatus(failure)
  const response = lokiText(failure.message, status)
  const { headers } = response
  if (status === 429 || status === 503) headers.set('Retry-After', RETRY_AFTER_SECONDS)
  // Loki's clients know a name and a password, and nothing else.
  if (status === 401) headers.set('WWW-Authenticate', 'Basic realm="worker-logs"')
  if (status === 405 && Array.isArray(failure.details?.allowed)) {
    headers.set('Allow', failure.details.allowed.join(', '))
  }
  return response
}

export const lokiText = (text: string, status = 200): Response =>
  new Response(text, {
    status,
    headers: {
      'Content-Type': 'text/plain; charset=utf-8',
      'X-Content-Type-Options': 'nosniff',
    },
  })

/** `{"status":"success","data":…}`, which most of Loki's doors answer. */
export const lokiSuccess = (data: unknown, warnings: string[] = []): Response =>
  lokiJson({ status: 'success', ...(warnings.length > 0 && { warnings }), data })

/** An answer without that envelope. */
export const lokiJson = (body: unknown, status = 200): Response =>
  new Response(JSON.stringify(body), {
    status,
    headers: { 'Content-Type': 'application/json; charset=UTF-8' },
  })
