// The bindings of wrangler.jsonc, by name. The only file that names one.

import type { Sealer } from './shard/sealer.ts'
import type { LogShard } from './shard/shard.ts'
import type { Registry } from './tenant/registry.ts'

export interface Env {
  LOG_SHARD: DurableObjectNamespace<LogShard>
  SEALER: DurableObjectNamespace<Sealer>
  REGISTRY: DurableObjectNamespace<Registry>
  /** The owner's archive; absent in a deployment that wants none. */
  ARCHIVE?: R2Bucket
  /** The secret that may do all. Absent: every door but /health answers 503. */
  ADMIN_KEY?: string
}
