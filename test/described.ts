// Holds answers to what /openapi.json says of them: the door, its status, its media type, and every
// member of the body. Tests that speak to doors go through it, so an answer that drifts from its
// description fails wherever it is met.

import { Validator } from '@cfworker/json-schema'
import { openapiDocument } from '../src/api/openapi.ts'

type Content = Record<string, { schema?: object }>
interface Described {
  path: string
  pattern: RegExp
  responses: Record<string, { content?: Content }>
}

const document = openapiDocument('0.0.0')
const { components } = document

/** Names without a variable first: /logs/count is no record. */
const DOORS: (Described & { method: string })[] = Object.entries(document.paths)
  .flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters = [], responses }]) => ({
      method,
      path,
      pattern: new RegExp(`^${path.replace(/\{(\w+)\}/g, (_, name) => formOf(name, parameters))}$`),
      responses: responses as Described['responses'],
    })),
  )
  .sort((a, b) => a.path.split('{').length - b.path.split('{').length)

function formOf(name: string, parameters: Record<string, unknown>[]): string {
  const { schema } = parameters.find((parameter) => parameter.name === name) ?? {}
  const { pattern } = (schema ?? {}) as { pattern?: string }
  if (pattern !== undefined) return pattern.replace(/^\^|\$$/g, '')
  // The one that may hold slashes.
  return name === 'key' ? '.+' : '[^/]+'
}

export function doorOf(method: string, path: string): Described | undefined {
  const wanted = method === 'HEAD' ? 'get' : method.toLowerCase()
  return DOORS.find((door) => door.method === wanted && door.pattern.test(path))
}

/** What a path that is no door may answer: that there is nothing, or not so. */
const NO_DOOR: Described['responses'] = Object.fromEntries(
  [404, 405, 500, 503].map((status) => [
    status,
    { content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } } },
  ]),
)

/** The same, of a path that is Loki's. */
const NO_LOKI_DOOR: Described['responses'] = Object.fromEntries(
  [404, 405, 500, 503].map((status) => [status, { content: { 'text/plain': {} } }]),
)

const validators = new Map<object, Validator>()

/** Whether a value is what a schema of the document says; the reasons why it is not. */
export function wrongIn(schema: object, value: unknown): string[] {
  let validator = validators.get(schema)
  if (!validator) {
    validator = new Validator({ ...schema, components }, '2020-12', false)
    validators.set(schema, validator)
  }
  const { valid, errors } = validator.validate(value)
  return valid ? [] : errors.map(({ instanceLocation, error }) => `${instanceLocation}: ${error}`)
}

/** Throws where an answer is not as it is described. Bodies that are no JSON are left alone. */
export async function checkDescribed(
  method: string,
  url: string,
  response: Response,
): Promise<void> {
  const { pathname } = new URL(url)
  const where = `${method} ${pathname}: ${response.status}`
  const door = doorOf(method, pathname)
  // OTLP answers another method in its own protocol.
  if (!door && /^(?:\/otlp)?\/v1\/logs$/.test(pathname)) return
  const none = pathname.startsWith('/loki/') ? NO_LOKI_DOOR : NO_DOOR
  const described = (door?.responses ?? none)[response.status]
  if (!described) throw new Error(`${where} is not described`)
  const media = (response.headers.get('content-type') ?? '').split(';', 1)[0]!
  const content = described.content ?? {}
  if ([101, 204].includes(response.status) && media === '' && response.body === null) return
  if (!(media in content)) throw new Error(`${where} as ${media || 'nothing'} is not described`)
  const { schema } = content[media]!
  if (media !== 'application/json' || !schema || method === 'HEAD') return
  const body: unknown = await response.clone().json()
  const wrong = wrongIn(schema, body)
  if (wrong.length > 0) {
    const told = JSON.stringify(body).slice(0, 2000)
    throw new Error(`${where} is not as described\n${wrong.join('\n')}\n${told}`)
  }
}
