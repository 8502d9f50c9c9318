// The door for other Workers of the account: a service binding to this entrypoint. They are trusted
// as the account is; `props.app_id` in the binding pins the tenant, and an argument must then agree.
//
// Every method answers a Result and never throws for what a caller can act on. Records take the way
// of POST /logs, with the same bounds.

import { WorkerEntrypoint } from 'cloudflare:workers'
import type { Env } from '../env.ts'
import { decodeRecords } from '../ingest/lines.ts'
import { planQuery } from '../query/plan.ts'
import type { Rejected } from '../record.ts'
import { BUG, err, ok, type Result } from '../result.ts'
import { type QueryAnswer, queryShards } from '../tenant/read.ts'
import { appendRecords } from '../tenant/route.ts'
import { type Access, ownerAccess, queryScopeOf } from './auth.ts'
import { linesAnswer } from './ingest-routes.ts'

/** A record as POST /logs takes it: `level`, `message`, any column by its name, anything else. */
export type LogInput = Record<string, unknown>
export interface Written {
  accepted: number
  rejected: Rejected[]
}

export class LoggerService extends WorkerEntrypoint<Env, { app_id?: string }> {
  /** Logs one line; `context` becomes attributes. */
  async log(
    appId: string,
    level: string,
    message: string,
    context?: Record<string, unknown>,
  ): Promise<Result<Written>> {
    return this.#write(appId, { level, message, ...(context && { context }) })
  }

  /** Logs many lines with one write; `rejected` names those that could not be stored, by index. */
  async logBatch(appId: string, logs: LogInput[]): Promise<Result<Written>> {
    if (!Array.isArray(logs)) return err('bad_request', 'logs must be an array of records')
    return this.#write(appId, logs)
  }

  /** `write(record)` takes the app from the binding's props, else from `record.app_id`. */
  async write(record: LogInput): Promise<Result<Written>>
  async write(appId: string, record: LogInput): Promise<Result<Written>>
  async write(first: string | LogInput, second?: LogInput): Promise<Result<Written>> {
    const record = typeof first === 'string' ? second : first
    if (typeof record !== 'object' || record === null || Array.isArray(record)) {
      return err('bad_request', 'the record must be an object')
    }
    const named = typeof first === 'string' ? first : (record.app_id ?? null)
    return this.#write(named, record)
  }

  /** One page of records: `filters` has the parameters of GET /logs as members. */
  async query(appId: string, filters: Record<string, unknown> = {}): Promise<Result<QueryAnswer>> {
    return guarded(() => this.#query(appId, filters))
  }

  async #query(appId: string, filters: Record<string, unknown>): Promise<Result<QueryAnswer>> {
    const nowMs = Date.now()
    const access = await this.#access(appId)
    if (!access.ok) return access
    const parameters = parametersOf(filters, access.data)
    if (!parameters.ok) return parameters
    const plan = planQuery(parameters.data, queryScopeOf(access.data), nowMs)
    return plan.ok ? queryShards(this.env, access.data, plan.data) : plan
  }

  #write(appId: unknown, value: LogInput | LogInput[]): Promise<Result<Written>> {
    return guarded(() => this.#writeValue(appId, value))
  }

  async #writeValue(appId: unknown, value: LogInput | LogInput[]): Promise<Result<Written>> {
    const access = await this.#access(appId)
    if (!access.ok) return access
    const { columns } = access.data.tenant
    const arrival = { receivedMs: Date.now(), workspaceId: null, requestId: null, columns }
    const values = Array.isArray(value) ? value : [value]
    const batch = decodeRecords(values, access.data.tenant.appId, arrival)
    if (!batch.ok) return batch
    const stored = await appendRecords(this.env, access.data, batch.data, null)
    if (!stored.ok) return stored
    return linesAnswer({ accepted: batch.data.length, rejected: batch.data.rejected })
  }

  async #access(appId: unknown): Promise<Result<Access>> {
    const pinned = this.ctx.props?.app_id ?? null
    const named = appId ?? pinned
    if (typeof named !== 'string' || named === '') {
      return err('bad_request', 'no app: bind with props.app_id, or name one by app_id')
    }
    if (pinned !== null && named !== pinned) {
      return err('forbidden', `this binding is pinned to app ${JSON.stringify(pinned)}`)
    }
    return ownerAccess(this.env, named, Date.now())
  }
}

/**
 * The edge where a bug becomes an answer: its text is fixed, its cause is in the log. An app that is
 * not found is looked for once more, because it may have been deleted and made again: by then this
 * isolate has forgotten the old one.
 */
async function guarded<T>(call: () => Promise<Result<T>>): Promise<Result<T>> {
  try {
    const first = await call()
    return !first.ok && first.error.code === 'not_found' ? await call() : first
  } catch (e) {
    console.error('rpc call failed', e)
    return BUG
  }
}

/** Filters as parameters: what is no text and no number would widen the answer without a word. */
function parametersOf(filters: unknown, access: Access): Result<[string, string][]> {
  const isPlain =
    typeof filters === 'object' &&
    filters !== null &&
    [Object.prototype, null].includes(Object.getPrototypeOf(filters))
  if (!isPlain)
    return err('bad_request', 'filters must be an object with the parameters of GET /logs')
  const parameters: [string, string][] = []
  for (const [name, value] of Object.entries(filters)) {
    if (!['string', 'number', 'boolean'].includes(typeof value)) {
      return err('bad_request', `filter ${JSON.stringify(name)} must be text or a number`)
    }
    const own = access.tenant.appId
    if (name === 'app_id' && value !== own) {
      return err('forbidden', `filter app_id names another app than ${JSON.stringify(own)}`)
    }
    parameters.push([name, String(value)])
  }
  return ok(parameters)
}
