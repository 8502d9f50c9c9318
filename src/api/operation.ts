// What is said of a door, in the words that all of them share.

import type * as z from 'zod'
import { PARAMETERS, type Parameter, type ParameterName } from '../query/parameter-table.ts'
import type { ErrorCode } from '../result.ts'

/** A parameter of a door, in the path, the query or a header. */
export interface DoorParameter extends Parameter {
  name: string
  in: 'path' | 'query' | 'header'
  isRequired?: boolean
}

export interface Operation {
  method: 'get' | 'post' | 'patch' | 'delete'
  /** With `{name}` for what varies. */
  path: string
  id: string
  tag: keyof typeof TAGS
  summary: string
  description?: string
  parameters: DoorParameter[]
  /** Takes attr.<name>. */
  takesAttributes?: boolean
  /** Takes its parameters as a form, too. */
  takesForm?: boolean
  body?: { schema: z.ZodType; isOptional?: boolean; example: unknown; media?: string[] }
  answer: Answer
  /** All codes that the door itself can answer with. */
  errors: ErrorCode[]
  /** What a failure is written in, where that is not `{ok: false, error}`. */
  failsIn?: 'otlp' | 'text'
  /** What 400 may also be, where failures are text. */
  failure?: z.ZodType
  /** What a key must be allowed; null: none is needed. */
  needs: 'ingest' | 'read' | 'admin' | 'ADMIN_KEY' | null
  /** The path of an example, with its parameters. */
  example: string
}

/** `data` is that of `{ok: true, data}`; `raw` is the answer itself; `nothing` is 204, `socket` 101. */
export type Answer =
  | { is: 'data'; schema: z.ZodType; lines?: true }
  | { is: 'nothing'; description: string }
  | { is: 'socket'; description: string }
  | { is: 'raw'; media: Record<string, z.ZodType | null>; description: string }

export const TAGS = {
  'Logs in': 'OTLP, plain JSON and Loki’s push. Success is answered once the records are durable.',
  'Logs out': 'Pages, single records and streams of records.',
  Loki: 'The API of Loki 3, for Grafana and logcli: docs/loki.md says what differs. The key is the password of `Basic`; `X-Scope-OrgID` may be left out.',
  Counts: 'Counts over time, by value, by pattern, of numbers; from the catalog where it is exact.',
  'Apps and keys': 'Open to `ADMIN_KEY`, and to an `admin` key for its own app.',
  'Stored data': 'Deletion, jobs, storage and the archive; open to the same.',
  'This deployment': 'Liveness and this description.',
} as const

export const KEYED: ErrorCode[] = [
  'unauthorized',
  'forbidden',
  'not_configured',
  'unavailable',
  'overloaded',
]
export const READ: ErrorCode[] = ['bad_request', 'bad_query', 'not_found', ...KEYED]
export const ADMIN: ErrorCode[] = ['bad_request', 'not_found', ...KEYED]
export const BODY: ErrorCode[] = ['bad_json', 'too_large', 'unsupported_encoding']
export const INGEST: ErrorCode[] = [
  'bad_request',
  'too_large',
  'unsupported_media',
  'unsupported_encoding',
  'not_found',
  ...KEYED,
]

/** Parameters of the table, some of which say something else at this door. */
export const ofTable = (
  names: readonly ParameterName[],
  own: Partial<Record<ParameterName, Parameter>> = {},
): DoorParameter[] =>
  names.map((name) => ({
    name,
    in: 'query',
    ...(own[name] ?? PARAMETERS[name]),
  }))

export const inPath = (name: string, description: string): DoorParameter => ({
  name,
  in: 'path',
  isRequired: true,
  description,
  schema: { type: 'string' },
})
export const inHeader = (name: string, described: Parameter): DoorParameter => ({
  name,
  in: 'header',
  ...described,
})
export const APP = inPath('app_id', 'The app.')
