// Records beyond a page: GET /logs/export, a record's neighbours, and everything of one trace.

import { type Context, Hono } from 'hono'
import { traceIdOf } from '../count/trace.ts'
import { CONTEXT_DEFAULT, CONTEXT_MAX, TRACE_LIMIT_DEFAULT, TRACE_LIMIT_MAX } from '../limits.ts'
import { PAGE_PARAMETERS, type ParameterName } from '../query/parameter-table.ts'
import {
  BadParameter,
  type Given,
  quote,
  readChoice,
  readGiven,
  readWhole,
  refusing,
} from '../query/parameters.ts'
import { planAll, planQuery } from '../query/plan.ts'
import { err, type Result } from '../result.ts'
import { CONTEXT_SCOPES, type ContextWish, readContext, readTrace } from '../tenant/around.ts'
import { exportSteps } from '../tenant/export.ts'
import { answer, type HonoEnv } from './answer.ts'
import { answerIn, FORMATS, formatOf, LINES } from './format.ts'
import {
  optionsOf,
  parametersOf,
  plainOptions,
  RECORD_ID,
  readAccess,
  readVisible,
} from './read-door.ts'
import { recordStream } from './record-stream.ts'

export const aroundRoutes = new Hono<HonoEnv>()

const EXPORT_FORMATS = ['ndjson', 'csv'] as const
/** An export has as many records as there are. */
const EXPORT_BOUNDS = { max: 999_999_999, otherwise: Number.MAX_SAFE_INTEGER }

aroundRoutes.get('/logs/export', async (c) => {
  const reader = await readAccess(c)
  if (!reader.ok) return answer(c, reader)
  const { access, scope } = reader.data
  const own: ParameterName[] = ['format', 'partial']
  const plan = planQuery(parametersOf(c), scope, Date.now(), own, EXPORT_BOUNDS)
  if (!plan.ok) return answer(c, plan)
  const format = formatOf(c, EXPORT_FORMATS)
  if (!format.ok) return answer(c, format)
  const lines = LINES[format.data]
  const partial = partialOf(c, lines.errorLine !== undefined)
  if (!partial.ok) return answer(c, partial)
  const unwanted = new AbortController()
  const steps = exportSteps(c.env, access, {
    plan: plan.data,
    goesPastGaps: partial.data === 'allow',
    signal: AbortSignal.any([c.req.raw.signal, unwanted.signal]),
    pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  })
  // The first step is read before the status goes out, so that what fails at once is an answer.
  const first = await steps.next()
  if (first.value && !first.value.ok) return answer(c, first.value)
  const body = recordStream(first.value?.data ?? { records: [], gaps: [] }, steps, lines, {
    onBroken: (e) => console.error(`export ${c.get('requestId')} is broken off`, e),
    onCancel: () => unwanted.abort(),
  })
  const name = `${access.tenant.appId}-${stamp(Date.now())}.${format.data}`
  c.header('Content-Type', lines.contentType)
  c.header('Content-Disposition', `attachment; filename="${name}"`)
  c.header('Vary', 'Accept', { append: true })
  return c.body(body)
})

/** Whether an export goes past what can not be read: only where its last line can tell of it. */
const partialOf = (c: Context<HonoEnv>, mayTell: boolean): Result<'refuse' | 'allow'> =>
  refusing(() => {
    const partial = readChoice(givenOf(c), 'partial', ['refuse', 'allow'] as const, 'refuse')
    if (partial === 'refuse' || mayTell) return partial
    const text = 'partial=allow needs format=ndjson: a CSV file has no place to say what it lacks'
    throw new BadParameter('partial', text)
  })

/** 20240703T094640Z. */
const stamp = (ms: number) => `${new Date(ms).toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`

aroundRoutes.get(`/logs/${RECORD_ID}/context`, async (c) => {
  const reader = await readAccess(c)
  if (!reader.ok) return answer(c, reader)
  const { access, scope } = reader.data
  const own: ParameterName[] = ['before', 'after', 'scope', 'format']
  const plan = planAll(parametersOf(c), scope, Date.now(), own)
  if (!plan.ok) return answer(c, plan)
  const wish = refusing(() => readWish(givenOf(c)))
  if (!wish.ok) return answer(c, wish)
  const format = formatOf(c, FORMATS)
  if (!format.ok) return answer(c, format)
  const record = await readVisible(c, access, c.req.param('id'))
  if (!record.ok) return answer(c, record)
  const options = plainOptions(c, access)
  const context = await readContext(c.env, access, plan.data, record.data, wish.data, options)
  return answerIn(c, format.data, context, ({ before, record, after }) => [
    ...before,
    record,
    ...after,
  ])
})

function readWish(given: Given): ContextWish {
  const bounds = { min: 0, max: CONTEXT_MAX, otherwise: CONTEXT_DEFAULT }
  return {
    before: readWhole(given, 'before', bounds),
    after: readWhole(given, 'after', bounds),
    scope: readChoice(given, 'scope', CONTEXT_SCOPES, 'service'),
  }
}

const TRACE_PARAMETERS: readonly ParameterName[] = [
  'app_id',
  'since',
  'until',
  'limit',
  'cursor',
  'format',
  'explain',
]
const TRACE_BOUNDS = { max: TRACE_LIMIT_MAX, otherwise: TRACE_LIMIT_DEFAULT }

aroundRoutes.get('/traces/:trace_id', async (c) => {
  const reader = await readAccess(c)
  if (!reader.ok) return answer(c, reader)
  const { access, scope } = reader.data
  const traceId = traceIdOf(c.req.param('trace_id'))
  if (!traceId.ok) return answer(c, traceId)
  const given = refusing(() => readTraceGiven(parametersOf(c)))
  if (!given.ok) return answer(c, given)
  const parameters = [...given.data, ['trace_id', traceId.data], ['order', 'asc']] as const
  const own: ParameterName[] = ['format', 'explain']
  const plan = planQuery(
    parameters.map(([name, text]) => [name, text]),
    scope,
    Date.now(),
    own,
    TRACE_BOUNDS,
  )
  if (!plan.ok) return answer(c, plan)
  const format = formatOf(c, FORMATS)
  if (!format.ok) return answer(c, format)
  const options = optionsOf(c, access)
  if (!options.ok) return answer(c, options)
  const trace = await readTrace(c.env, access, plan.data, traceId.data, options.data)
  if (trace.ok && trace.data.count === 0 && !trace.data.partial) {
    return answer(c, noTrace(traceId.data, plan.data))
  }
  return answerIn(c, format.data, trace, ({ records }) => records)
})

/** A trace is shown whole: what narrows it is GET /logs with `trace_id`. */
function readTraceGiven(parameters: URLSearchParams): Given {
  const narrowing = [...parameters.keys()].find(isNarrowing)
  if (narrowing === undefined) return readGiven(parameters, TRACE_PARAMETERS, false)
  const text = `a trace is shown whole: ask GET /logs?trace_id=… with ${quote(narrowing)}`
  throw new BadParameter(narrowing, text)
}

const isNarrowing = (name: string) =>
  name.startsWith('attr.') || (isIn(PAGE_PARAMETERS, name) && !isIn(TRACE_PARAMETERS, name))
const isIn = (names: readonly string[], name: string) => names.includes(name)

function noTrace(traceId: string, { since, until }: { since: unknown; until: unknown }) {
  const where = since || until ? ' between these times' : ''
  const form = /^[0-9a-f]{32}$/.test(traceId)
    ? ''
    : '; trace ids are 32 hexadecimal digits, also in a traceparent or as a UUID'
  return err('not_found', `no record${where} has the trace id ${quote(traceId)}${form}`)
}

/** The parameters that a plan has taken: none is given twice. */
const givenOf = (c: Context<HonoEnv>): Given => new Map(parametersOf(c))
