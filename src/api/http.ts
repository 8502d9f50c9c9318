// The HTTP door: routes, the request id, and the answers no route gives. No logic about logs.

import { type Context, Hono } from 'hono'
import packageJson from '../../package.json' with { type: 'json' }
import { REQUEST_ID_CHARS_MAX } from '../limits.ts'
import { BUG, err, ok } from '../result.ts'
import { adminRoutes } from './admin-routes.ts'
import { answer, type HonoEnv } from './answer.ts'
import { aroundRoutes } from './around-routes.ts'
import { NOT_CONFIGURED } from './auth.ts'
import { countRoutes } from './count-routes.ts'
import { dataRoutes } from './data-routes.ts'
import { docsRoutes } from './docs-routes.ts'
import { ingestRoutes, isOtlpPath } from './ingest-routes.ts'
import { isLokiPath, lokiFailure } from './loki-answer.ts'
import { lokiDetectedRoutes } from './loki-detected-routes.ts'
import { lokiIndexRoutes } from './loki-index-routes.ts'
import { lokiLabelRoutes } from './loki-label-routes.ts'
import { isLokiPushPath, lokiPushRoutes } from './loki-push-routes.ts'
import { lokiQueryRoutes } from './loki-query-routes.ts'
import { lokiStatusRoutes } from './loki-status-routes.ts'
import { lokiTailRoutes } from './loki-tail-routes.ts'
import { otlpFailure, otlpMediaOf } from './otlp-answer.ts'
import { queryRoutes } from './query-routes.ts'
import { tailRoutes } from './tail-routes.ts'

export function createApp(): Hono<HonoEnv> {
  const app = new Hono<HonoEnv>()
  app.use(async (c, next) => {
    const sent = sentRequestId(c)
    c.set('sentRequestId', sent)
    c.set('requestId', sent ?? crypto.randomUUID())
    await next()
    c.header('X-Request-ID', c.get('requestId'))
  })
  app.get('/health', (c) => answer(c, ok({ status: 'up', version: packageJson.version })))
  app.use(async (c, next) => {
    // A deployment whose owner set no secret would otherwise be anyone's.
    if (c.env.ADMIN_KEY?.trim()) return next()
    return fail(c, NOT_CONFIGURED)
  })
  app.route('/', ingestRoutes)
  app.route('/', lokiPushRoutes)
  app.route('/', queryRoutes)
  app.route('/', tailRoutes)
  app.route('/', countRoutes)
  app.route('/', aroundRoutes)
  app.route('/', lokiQueryRoutes)
  app.route('/', lokiLabelRoutes)
  app.route('/', lokiIndexRoutes)
  app.route('/', lokiDetectedRoutes)
  app.route('/', lokiTailRoutes)
  app.route('/', lokiStatusRoutes)
  app.route('/', adminRoutes)
  app.route('/', dataRoutes)
  app.route('/', docsRoutes)
  app.notFound((c) => {
    const allowed = methodsOf(app, c.req.path)
    if (allowed.length === 0) return fail(c, err('not_found', nothingAt(c.req.path)))
    c.header('Allow', allowed.join(', '))
    return fail(c, err('method_not_allowed', `${c.req.method} is not allowed here`, { allowed }))
  })
  app.onError((e, c) => {
    console.error(`request ${c.get('requestId')} failed`, e)
    return fail(c, BUG)
  })
  return app
}

const nothingAt = (path: string) =>
  /^\/logs\/[^/]+(?:\/context)?$/.test(path)
    ? `there is nothing at ${path}: ids of records are like 0-17, and GET /docs lists every door`
    : `there is nothing at ${path}: GET /docs lists every door`

/** A failure in the protocol of the door it happened at. */
function fail(c: Context<HonoEnv>, failed: ReturnType<typeof err>): Response {
  const { path } = c.req
  if (isOtlpPath(path)) return otlpFailure(otlpMediaOf(c.req.raw), failed.error)
  if (isLokiPath(path) || isLokiPushPath(path)) return lokiFailure(failed.error)
  return answer(c, failed)
}

/** X-Request-ID as the sender gave it, when it is short and printable. */
function sentRequestId(c: Context): string | null {
  const id = c.req.header('X-Request-ID') ?? ''
  const isFit = id.length > 0 && id.length <= REQUEST_ID_CHARS_MAX && /^[\x20-\x7e]+$/.test(id)
  return isFit ? id : null
}

/** The methods that some route has for this path. */
function methodsOf(app: Hono<HonoEnv>, path: string): string[] {
  const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']
  return methods.filter((method) =>
    app.router.match(method, path)[0].some(([[, route]]) => route.method === method),
  )
}
