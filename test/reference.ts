// A decoded ExportLogsServiceRequest flattened to row objects the plain way: what one writes first,
// with protobufjs messages in and an object a record out. The fuzz test holds our reader to it, and
// the decode benchmark measures against it. It knows no bounds of size.

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
type Attributes = Map<string, Json>
/** A message as protobufjs decodes it: members it did not meet are defaults of the prototype. */
// biome-ignore lint/suspicious/noExplicitAny: the generated classes have no types here.
type Message = any

export interface Row {
  time_unix_nano: string | null
  observed_time_unix_nano: string | null
  severity_number: number
  severity_text: string | null
  message: string
  columns: Record<string, string | null>
  attributes: Attributes
  resource: Attributes
  scope: { name: string; version: string; attributes: Attributes; schemaUrl: string }
  body: Json | undefined
  otel: Record<string, Json>
}

/** Every record of the request as a row, in order. */
export function flatten(request: Message): Row[] {
  const rows: Row[] = []
  for (const resourceLogs of request.resourceLogs) {
    const resource = attributesOf(resourceLogs.resource?.attributes)
    for (const scopeLogs of resourceLogs.scopeLogs) {
      const { name = '', version = '' } = scopeLogs.scope ?? {}
      const attributes = attributesOf(scopeLogs.scope?.attributes)
      const scope = { name, version, attributes, schemaUrl: scopeLogs.schemaUrl }
      for (const record of scopeLogs.logRecords) {
        rows.push(rowOf(record, resource, scope, resourceLogs, scopeLogs))
      }
    }
  }
  return rows
}

function rowOf(
  record: Message,
  resource: Attributes,
  scope: Row['scope'],
  resourceLogs: Message,
  scopeLogs: Message,
): Row {
  const attributes = attributesOf(record.attributes)
  const kind: string | undefined = record.body?.value
  const body = kind === undefined ? undefined : plain(record.body)
  const time = record.timeUnixNano
  const observed = record.observedTimeUnixNano
  const otel: Row['otel'] = {}
  const flags = record.flags & 255
  if (flags !== 0) otel.flags = flags
  const put = (name: string, value: number | string | undefined) => {
    if (value) otel[name] = value
  }
  put('dropped_attributes_count', record.droppedAttributesCount)
  put('resource_dropped_attributes_count', resourceLogs.resource?.droppedAttributesCount)
  put('resource_schema_url', resourceLogs.schemaUrl)
  put('scope_dropped_attributes_count', scopeLogs.scope?.droppedAttributesCount)
  put('scope_schema_url', scopeLogs.schemaUrl)
  put('event_name', record.eventName)
  if (time.high < 0) otel.time_unix_nano = nanos(time)
  const columns = columnsOf(record, attributes, resource)
  return {
    time_unix_nano: isKnown(time) ? nanos(time) : null,
    observed_time_unix_nano: isKnown(observed) ? nanos(observed) : null,
    severity_number: record.severityNumber,
    severity_text: record.severityText || null,
    message: messageOf(body, record.body, attributes, record.eventName),
    columns,
    attributes,
    resource,
    scope,
    body: kind === 'stringValue' || body === null ? undefined : body,
    otel,
  }
}

interface Long {
  low: number
  high: number
}

const isKnown = ({ low, high }: Long) => high > 0 || (high === 0 && low !== 0)
const nanos = ({ low, high }: Long) => String((BigInt(high >>> 0) << 32n) | BigInt(low >>> 0))

function attributesOf(pairs: Message[] | undefined): Attributes {
  const attributes: Attributes = new Map()
  for (const { key, value } of pairs ?? []) {
    attributes.set(key, value ? plain(value) : null)
  }
  return attributes
}

function plain(any: Message): Json {
  switch (any.value) {
    case 'stringValue':
      return any.stringValue
    case 'boolValue':
      return any.boolValue
    case 'intValue': {
      const int = any.intValue.toNumber()
      return Number.isSafeInteger(int) ? int : any.intValue.toString()
    }
    case 'doubleValue':
      return Number.isFinite(any.doubleValue) ? any.doubleValue + 0 : String(any.doubleValue)
    case 'arrayValue':
      return any.arrayValue.values.map(plain)
    case 'kvlistValue': {
      const map: { [key: string]: Json } = {}
      for (const { key, value } of any.kvlistValue.values) {
        const member = value ? plain(value) : null
        if (key !== '__proto__') map[key] = member
        else {
          const property = { value: member, enumerable: true, configurable: true, writable: true }
          Object.defineProperty(map, key, property)
        }
      }
      return map
    }
    case 'bytesValue':
      return Buffer.from(any.bytesValue).toString('base64')
    default:
      return null
  }
}

function messageOf(
  body: Json | undefined,
  any: Message,
  attributes: Attributes,
  eventName: string,
): string {
  if (typeof body === 'string' && body !== '') return body
  if (body !== undefined && body !== null && body !== '') {
    return memberText(any, 'message') || memberText(any, 'msg') || JSON.stringify(body)
  }
  const type = text(attributes.get('exception.type'))
  const message = text(attributes.get('exception.message'))
  return (type && message ? `${type}: ${message}` : type + message) || eventName
}

/** A member of a map that is a string, and not only stored as one. */
function memberText(any: Message, name: string): string {
  if (any.value !== 'kvlistValue') return ''
  const found = any.kvlistValue.values.findLast(({ key }: Message) => key === name)
  return found?.value?.value === 'stringValue' ? found.value.stringValue : ''
}

/** The value as a column shows it; '' where it does not count. */
function text(value: Json | undefined): string {
  const first = Array.isArray(value) ? value[0] : value
  return typeof first === 'object' || first === undefined ? '' : String(first)
}

const K8S = ['deployment', 'statefulset', 'daemonset', 'cronjob', 'job', 'container']
const ATTRIBUTES = {
  environment: ['deployment.environment.name', 'deployment.environment', 'environment'],
  event_type: ['otel.event.name', 'event.name', 'event_type'],
  request_id: [
    'request_id',
    'request.id',
    'http.request.header.x-request-id',
    'cloudflare.ray_id',
    'http.request.header.cf-ray',
    'faas.invocation_id',
    'aws.request_id',
    'azure.service.request.id',
  ],
  user_id: ['user.id', 'enduser.id', 'user_id', 'enduser.pseudo.id'],
  version: ['service.version', 'version'],
  workspace_id: ['workspace_id', 'workspace.id'],
  tenant: ['tenant.id', 'tenant_id'],
  project_id: ['project_id', 'project.id'],
  code_file: ['code.file.path', 'code.filepath'],
  code_line: ['code.line.number', 'code.lineno'],
  instance_id: ['instance_id', 'cloudflare.durable_object.id'],
} as const
const RESOURCES = {
  service: [
    'faas.name',
    'cloudflare.script_name',
    ...K8S.map((kind) => `k8s.${kind}.name`),
    'container.name',
  ],
  environment: ['deployment.environment.name', 'deployment.environment'],
  user_id: ['user.id', 'enduser.id'],
  version: [
    'service.version',
    'faas.version',
    'cloudflare.script_version.id',
    'cf.worker.version.id',
    'vcs.ref.head.revision',
    'app.build_id',
  ],
  instance_id: [
    'cloudflare.durable_object.id',
    'service.instance.id',
    'faas.instance',
    'k8s.pod.uid',
    'k8s.pod.name',
    'container.id',
    'host.id',
    'host.name',
  ],
} as const

function columnsOf(record: Message, a: Attributes, r: Attributes): Row['columns'] {
  const first = (from: Attributes, names: readonly string[]): string => {
    for (const name of names) {
      const found = text(from.get(name))
      if (found !== '') return found
    }
    return ''
  }
  const sentService = text(r.get('service.name'))
  const isUnknown =
    sentService.startsWith('unknown_service') && /^unknown_service(:|$)/.test(sentService)
  const file = first(a, ATTRIBUTES.code_file)
  const line = first(a, ATTRIBUTES.code_line)
  const source =
    file === '' ? text(a.get('source_location')) : line === '' ? file : `${file}:${line}`
  return {
    service:
      (isUnknown ? '' : sentService) ||
      first(r, RESOURCES.service) ||
      text(a.get('service.name')) ||
      sentService ||
      'unknown_service',
    environment: first(r, RESOURCES.environment) || first(a, ATTRIBUTES.environment) || null,
    event_type: record.eventName || first(a, ATTRIBUTES.event_type) || null,
    source_location: source || null,
    trace_id: idOf(record.traceId, 16) || hexOf(a.get('trace_id'), HEX32) || null,
    span_id: idOf(record.spanId, 8) || hexOf(a.get('span_id'), HEX16) || null,
    request_id: first(a, ATTRIBUTES.request_id) || null,
    workspace_id:
      first(a, ATTRIBUTES.workspace_id) ||
      first(r, ATTRIBUTES.workspace_id) ||
      first(a, ATTRIBUTES.tenant) ||
      first(r, ATTRIBUTES.tenant) ||
      null,
    project_id: first(a, ATTRIBUTES.project_id) || first(r, ATTRIBUTES.project_id) || null,
    user_id: first(a, ATTRIBUTES.user_id) || first(r, RESOURCES.user_id) || null,
    version: first(r, RESOURCES.version) || first(a, ATTRIBUTES.version) || null,
    instance_id: first(a, ATTRIBUTES.instance_id) || first(r, RESOURCES.instance_id) || null,
  }
}

const HEX32 = /^(?!0+$)[0-9a-f]{32}$/i
const HEX16 = /^(?!0+$)[0-9a-f]{16}$/i
const ZEROS = '0'.repeat(32)

function idOf(bytes: Buffer, length: number): string {
  if (bytes.length !== length) return ''
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, length).toString('hex')
  return ZEROS.startsWith(hex) ? '' : hex
}

function hexOf(value: Json | undefined, form: RegExp): string {
  if (value === undefined) return ''
  const id = text(value)
  return form.test(id) ? id.toLowerCase() : ''
}
