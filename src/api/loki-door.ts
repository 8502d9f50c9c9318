// What Loki's doors share: who may enter, parameters in the URL or as a form, failures as plain text.

import type { Context, Hono } from 'hono'
import { parseLogql, parseMatchers } from '../logql/parse.ts'
import { matcherFilter } from '../logql/selection.ts'
import type { LogQuery, Matcher } from '../logql/syntax.ts'
import { allOf, EVERYTHING, type Filter } from '../query/filter.ts'
import { BadParameter, refusing } from '../query/parameters.ts'
import { everythingOf } from '../query/plan.ts'
import { err, ok, type Result } from '../result.ts'
import type { Counts } from '../tenant/counts.ts'
import { type Asking, visibleTo } from '../tenant/logql-asking.ts'
import { readAtMost } from './admin-door.ts'
import type { HonoEnv } from './answer.ts'
import { lokiFailure } from './loki-answer.ts'
import { LokiParameters, type Range } from './loki-parameters.ts'
import { plainOptions, readAccess } from './read-door.ts'

/** A selector of many values is long; nobody writes a longer one. */
const FORM_BYTES_MAX = 256 * 1024

export interface LokiRequest {
  asking: Asking
  parameters: LokiParameters
}

/**
 * A door that reads, by GET, and by POST with a form. `read` takes its parameters and may throw
 * BadParameter.
 */
export function addLokiDoor<T>(
  routes: Hono<HonoEnv>,
  path: string,
  read: (parameters: LokiParameters, c: Context<HonoEnv>) => T,
  answer: (c: Context<HonoEnv>, asking: Asking, request: T) => Promise<Result<Response>>,
): void {
  routes.on(['GET', 'POST'], path, async (c) => {
    const entered = await enterLoki(c)
    if (!entered.ok) return lokiFailure(entered.error)
    const { asking, parameters } = entered.data
    const request = refusing(() => read(parameters, c))
    if (!request.ok) return lokiFailure(request.error)
    const answered = await answer(c, asking, request.data)
    return answered.ok ? answered.data : lokiFailure(answered.error)
  })
}

/** Who asks, and their parameters. */
export async function enterLoki(c: Context<HonoEnv>): Promise<Result<LokiRequest>> {
  // The header that Loki's clients name a tenant with; a key opens its own app, whatever it says.
  const appId = c.req.query('app_id') ?? c.req.header('X-Scope-OrgID') ?? null
  const reader = await readAccess(c, appId)
  if (!reader.ok) return reader
  const { access } = reader.data
  const given = await parametersOf(c)
  if (!given.ok) return given
  const nowMs = Date.now()
  const { workspaceId } = access
  return ok({
    asking: { access, workspaceId, options: plainOptions(c, access), nowMs },
    parameters: new LokiParameters(given.data, nowMs),
  })
}

/** Parameters of a form go before those of the URL. */
async function parametersOf(c: Context<HonoEnv>): Promise<Result<URLSearchParams>> {
  const inUrl = new URL(c.req.url).searchParams
  if (c.req.method !== 'POST') return ok(inUrl)
  const media = (c.req.header('Content-Type') ?? '').split(';', 1)[0]!.trim().toLowerCase()
  if (media !== 'application/x-www-form-urlencoded') return ok(inUrl)
  const bytes = await readAtMost(c.req.raw.body, FORM_BYTES_MAX)
  if (bytes === null) {
    const text = `the form has more than ${FORM_BYTES_MAX} bytes`
    return err('too_large', text, { max: FORM_BYTES_MAX })
  }
  return ok(
    new URLSearchParams([...new URLSearchParams(new TextDecoder().decode(bytes)), ...inUrl]),
  )
}

/** The records of a range that a filter chooses, to be counted. */
export function countsOf(asking: Asking, filter: Filter, { start, end }: Range): Counts {
  const records = { filter: visibleTo(asking, filter), since: start, until: end }
  return { ...asking, plan: everythingOf(records) }
}

/** The records that a stream selector chooses; all, where there is none. */
export const readSelector = (parameter: string, text: string): Filter =>
  text === '' ? EVERYTHING : allOf(readMatchers(parameter, text).map(matcherFilter))

/** A stream selector and nothing behind it. */
export function readMatchers(parameter: string, text: string): Matcher[] {
  const matchers = parseMatchers(text)
  if (matchers.ok) return matchers.data
  const isMore = parseLogql(text).ok
  const message = isMore ? 'only label matchers are supported' : matchers.error.message
  throw new BadParameter(parameter, message, 'bad_query')
}

export function readLogQuery(parameter: string, text: string): LogQuery {
  const query = parseLogql(text)
  if (!query.ok) throw new BadParameter(parameter, query.error.message, 'bad_query')
  if (query.data.kind === 'log') return query.data
  throw new BadParameter(parameter, 'only log selector is supported', 'bad_query')
}
