// What this deployment says of itself: /openapi.json for programs, /docs for people. Neither needs a key,
// for there is no data in them.

import { Hono } from 'hono'
import packageJson from '../../package.json' with { type: 'json' }
import type { HonoEnv } from './answer.ts'
import { docsPage } from './docs-page.ts'
import { type OpenapiDocument, openapiDocument } from './openapi.ts'

export const docsRoutes = new Hono<HonoEnv>()

const CACHED = 'public, max-age=300'
/** The page needs no script, and runs none. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

let made: OpenapiDocument | null = null

/** Made when it is first asked for: it takes some 30 ms. */
function described(): OpenapiDocument {
  made ??= openapiDocument(packageJson.version)
  return made
}

docsRoutes.get('/openapi.json', (c) => {
  c.header('Cache-Control', CACHED)
  // Whatever shows or checks the document may run on another page.
  c.header('Access-Control-Allow-Origin', '*')
  return c.json(described())
})

docsRoutes.get('/docs', (c) => {
  c.header('Cache-Control', CACHED)
  c.header('Content-Security-Policy', POLICY)
  return c.html(docsPage(described(), new URL(c.req.url).origin))
})
