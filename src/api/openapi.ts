// The operations as an OpenAPI 3.1 document. Schemas come from zod, which knows JSON Schema; what is put
// around them is here: paths, parameters, the envelope of answers, errors by status and code.

import * as z from 'zod'
import {
  ATTRIBUTE_PARAMETER,
  FILTER_PARAMETERS,
  type JsonSchema,
  PARAMETERS,
} from '../query/parameter-table.ts'
import { bug, type ErrorCode, httpStatus } from '../result.ts'
import { type DoorParameter, type Operation, TAGS } from './operation.ts'
import { OPERATIONS } from './operations.ts'
import { named, OtlpStatus } from './schemas.ts'

type Json = Record<string, unknown>

export interface OpenapiOperation extends Json {
  operationId: string
  tags: string[]
  summary: string
  description?: string
  parameters?: Json[]
  requestBody?: Json
  responses: Record<string, Json>
}

export interface OpenapiDocument extends Json {
  openapi: string
  info: Json
  paths: Record<string, Record<string, OpenapiOperation>>
  components: { schemas: Record<string, JsonSchema>; securitySchemes: Json }
}

/** Errors that come before any door: a bug, and a method that a path does not have. */
const OUT_OF_DOORS: ErrorCode[] = ['internal']

const SECURITY = [{ apiKey: [] }, { bearer: [] }, { basic: [] }]

export const openapiDocument = (version: string): OpenapiDocument => ({
  openapi: '3.1.0',
  info: {
    title: 'worker-logs',
    version,
    description:
      'An OpenTelemetry log backend. Answers are `{"ok":true,"data":…}` or `{"ok":false,"error":{"code","message","details"?}}`; OTLP and Loki’s doors answer in their own protocols. Every answer carries `X-Request-ID`. `HEAD` is answered as `GET`.',
    license: { name: 'MIT', identifier: 'MIT' },
  },
  servers: [{ url: '/' }],
  tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
  security: SECURITY,
  paths: pathsOf(OPERATIONS),
  components: {
    schemas: { ...namedSchemas(), RecordFilter: recordFilter() },
    securitySchemes: {
      apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
      bearer: { type: 'http', scheme: 'bearer' },
      basic: {
        type: 'http',
        scheme: 'basic',
        description: 'Any name, and the key as the password.',
      },
    },
  },
})

function pathsOf(operations: readonly Operation[]): OpenapiDocument['paths'] {
  const paths: OpenapiDocument['paths'] = {}
  for (const operation of operations) {
    const methods = paths[operation.path] ?? {}
    methods[operation.method] = operationOf(operation)
    paths[operation.path] = methods
  }
  return paths
}

function operationOf(operation: Operation): OpenapiOperation {
  const { id, tag, summary, description, needs, body, parameters, takesAttributes } = operation
  const all = [...parameters.map(parameterOf), ...(takesAttributes ? [attributes()] : [])]
  return {
    operationId: id,
    tags: [tag],
    summary,
    description: [description, needsText(needs)].filter((text) => text !== undefined).join('\n\n'),
    ...(needs === null && { security: [] }),
    ...(all.length > 0 && { parameters: all }),
    ...(body && { requestBody: bodyOf(id, body) }),
    ...(operation.takesForm && { requestBody: formOf(operation) }),
    responses: { ...successOf(operation), ...failuresOf(operation) },
    'x-codeSamples': [{ lang: 'Shell', source: curlOf(operation) }],
  }
}

const KEY_OF = {
  ingest: '$INGEST_KEY',
  read: '$READ_KEY',
  admin: '$ADMIN_KEY',
  ADMIN_KEY: '$ADMIN_KEY',
}

const LINE_CHARS = 80

const UPGRADE = [
  "-H 'Connection: Upgrade'",
  "-H 'Upgrade: websocket'",
  "-H 'Sec-WebSocket-Version: 13'",
  "-H 'Sec-WebSocket-Key: d29ya2VyLWxvZ3MtdGFpbA=='",
]

/** The example as a command. Its parameters are written plainly, and curl encodes them. */
function curlOf({ method, example, needs, body, answer, takesForm }: Operation): string {
  const [path = '', query = ''] = example.split('?')
  const given = query === '' ? [] : query.split('&')
  const isGet = method === 'get'
  const isStream =
    answer.is === 'socket' || (answer.is === 'raw' && 'text/event-stream' in answer.media)
  const words = ['curl']
  if (isStream) words.push('-N')
  if (isGet && given.length > 0) words.push('-G')
  if (!isGet && !takesForm && (method !== 'post' || !body)) words.push(`-X ${method.toUpperCase()}`)
  const isApart = isGet || takesForm === true
  words.push(isApart || given.length === 0 ? `"$URL${path}"` : `"$URL${path}?${query}"`)
  if (needs !== null) words.push(`-H "X-API-Key: ${KEY_OF[needs]}"`)
  if (body?.media?.includes('application/x-protobuf')) {
    words.push("-H 'Content-Type: application/json'")
  }
  if (answer.is === 'socket') words.push(...UPGRADE)
  if (isApart) words.push(...given.map((parameter) => `--data-urlencode '${parameter}'`))
  if (body) words.push(`-d '${JSON.stringify(body.example)}'`)
  const line = words.join(' ')
  return line.length <= LINE_CHARS ? line : line.replaceAll(/ (?=-H|--data|-d )/g, ' \\\n  ')
}

function needsText(needs: Operation['needs']): string {
  if (needs === null) return 'Needs no key.'
  if (needs === 'ADMIN_KEY') return 'Needs `ADMIN_KEY`.'
  return needs === 'admin'
    ? 'Needs an `admin` key or `ADMIN_KEY`.'
    : `Needs a key with role \`${needs}\` or \`admin\`, or \`ADMIN_KEY\`.`
}

const parameterOf = ({
  name,
  in: where,
  isRequired,
  description,
  schema,
}: DoorParameter): Json => ({
  name,
  in: where,
  ...(isRequired && { required: true }),
  description,
  schema,
})

/** An object whose members are parameters of the URL: `attr.a=1&attr.b=2`. */
const attributes = (): Json => ({
  name: 'attributes',
  in: 'query',
  style: 'form',
  explode: true,
  ...ATTRIBUTE_PARAMETER,
})

function bodyOf(
  id: string,
  { schema, isOptional, example, media }: NonNullable<Operation['body']>,
): Json {
  const [main = 'application/json', ...others] = media ?? []
  return {
    required: isOptional !== true,
    content: {
      [main]: {
        schema: named.has(schema) ? schemaOf(schema) : { $ref: uri(bodyName(id)) },
        example,
      },
      ...Object.fromEntries(others.map((other) => [other, {}])),
    },
  }
}

/** Parameters as they stand in the URL, in a body. */
function formOf({ parameters, example }: Operation): Json {
  const inQuery = parameters.filter((one) => one.in === 'query')
  const properties = Object.fromEntries(
    inQuery.map(({ name, description, schema }) => [name, { ...schema, description }]),
  )
  const schema = { type: 'object', properties }
  const [, query = ''] = example.split('?')
  const given = query === '' ? [] : query.split('&')
  // A value may hold an equals sign: a selector has one.
  const form = Object.fromEntries(
    given.map((one) => [one.split('=', 1)[0]!, one.replace(/^.*?=/, '')]),
  )
  return {
    required: false,
    content: { 'application/x-www-form-urlencoded': { schema, example: form } },
  }
}

/** The answer by its status. */
function successOf({ answer }: Operation): Record<string, Json> {
  if (answer.is === 'nothing') return { 204: { description: answer.description } }
  if (answer.is === 'socket') return { 101: { description: answer.description } }
  if (answer.is === 'raw') {
    return { 200: { description: answer.description, content: contentOf(answer.media) } }
  }
  const schema = {
    type: 'object',
    properties: { ok: { const: true }, data: schemaOf(answer.schema) },
    required: ['ok', 'data'],
    additionalProperties: false,
  }
  const success = {
    description: 'The answer.',
    content: {
      'application/json': { schema },
      ...(answer.lines && { 'application/x-ndjson': RECORD_LINE, 'text/csv': {} }),
    },
    ...(answer.lines && { headers: LINE_HEADERS }),
  }
  return { 200: success }
}

const contentOf = (media: Record<string, z.ZodType | null>): Json =>
  Object.fromEntries(
    Object.entries(media).map(([type, schema]) => [
      type,
      schema === null ? {} : { schema: schemaOf(schema) },
    ]),
  )

const RECORD_LINE = { schema: { $ref: '#/components/schemas/LogRecord' } }
/** What NDJSON and CSV have no place for. */
const LINE_HEADERS = {
  'X-Next-Cursor': {
    description: '`next_cursor`, where there is one.',
    schema: { type: 'string' },
  },
  'X-Partial': {
    description: '`true` where something is missing.',
    schema: { type: 'string', const: 'true' },
  },
  'X-Partial-Reasons': {
    description: '`partial_reasons` as JSON.',
    schema: { type: 'string' },
  },
}

/** Answers by status: each with the codes that it may name. */
function failuresOf({ errors, failsIn, failure }: Operation): Record<string, Json> {
  const byStatus = new Map<number, ErrorCode[]>()
  for (const code of new Set([...errors, ...OUT_OF_DOORS])) {
    const status = httpStatus({ code, message: '' })
    byStatus.set(status, [...(byStatus.get(status) ?? []), code])
  }
  const sorted = [...byStatus].sort(([a], [b]) => a - b)
  return Object.fromEntries(
    sorted.map(([status, codes]) => [
      status,
      {
        description: codes.map((code) => `\`${code}\``).join(', '),
        content: {
          ...failureContent(codes, failsIn),
          ...(failure && status === 400 && contentOf({ 'application/json': failure })),
        },
        ...(status === 503 && { headers: { 'Retry-After': RETRY_AFTER } }),
      },
    ]),
  )
}

function failureContent(codes: ErrorCode[], failsIn: Operation['failsIn']): Json {
  if (failsIn === 'text') return { 'text/plain': {} }
  if (failsIn === undefined) return { 'application/json': { schema: errorOf(codes) } }
  return { 'application/json': { schema: schemaOf(OtlpStatus) }, 'application/x-protobuf': {} }
}

const RETRY_AFTER = { description: 'Seconds to wait.', schema: { type: 'string' } }

const errorOf = (codes: ErrorCode[]): Json => ({
  $ref: '#/components/schemas/Error',
  properties: { error: { properties: { code: { enum: codes } } } },
})

/** A filter in a body: the parameters that choose records as members. */
const recordFilter = (): JsonSchema => {
  const value = { type: ['string', 'number', 'boolean'] }
  return {
    type: 'object',
    description: 'The parameters of GET /logs that choose records, as members.',
    properties: Object.fromEntries(
      FILTER_PARAMETERS.map((name) => [
        name,
        { ...value, description: PARAMETERS[name].description },
      ]),
    ),
    patternProperties: { '^attr\\..+$': value },
    additionalProperties: false,
  }
}

const uri = (id: string) => `#/components/schemas/${id}`

/** All schemas of answers, and of bodies in the form they are sent in. */
function namedSchemas(): Record<string, JsonSchema> {
  const bodies = z.registry<{ id: string }>()
  for (const { id, body } of OPERATIONS) {
    if (body && !named.has(body.schema)) bodies.add(body.schema, { id: bodyName(id) })
  }
  const answered = z.toJSONSchema(named, { uri, override: plain }).schemas
  const sent = z.toJSONSchema(bodies, { uri, io: 'input', override: plain }).schemas
  const all = Object.entries({ ...answered, ...sent })
  return Object.fromEntries(all.map(([id, schema]) => [id, bare(schema)]))
}

/** `CreateAppBody`. */
const bodyName = (operation: string) => `${operation[0]!.toUpperCase()}${operation.slice(1)}Body`

const schemaOf = (schema: z.ZodType): JsonSchema => ({
  $ref: uri(named.get(schema)?.id ?? bug('an answer has a schema without a name')),
})

/** The document says once what dialect its schemas are of, and names them by their place. */
function bare({ $schema: _dialect, $id: _place, ...schema }: JsonSchema): JsonSchema {
  return schema
}

/** zod writes down that an integer is a safe one, and the name of a member a text. */
function plain({ jsonSchema }: { jsonSchema: Json }): void {
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum
  if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum
  if (JSON.stringify(jsonSchema.propertyNames) === '{"type":"string"}')
    delete jsonSchema.propertyNames
}
