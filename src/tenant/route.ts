// The only code that knows there is more than one shard.

import type { Env } from '../env.ts'
import type { Tenant } from './registry.ts'

/** The stub of one shard. Objects are named by the tenant's id, so a name made again meets no old data. */
export function shardStub(env: Env, tenant: Tenant, shard: number) {
  const options = tenant.locationHint === null ? {} : { locationHint: tenant.locationHint }
  return env.LOG_SHARD.getByName(`${tenant.tenantId}-${shard}`, options)
}
