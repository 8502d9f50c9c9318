// The entry: what the platform calls, and nothing else. The flows, as the files to read in order:
//
//   ingest   api/ingest-routes -> ingest/otlp-protobuf, otlp-json, lines, loki-* -> ingest/map
//            -> tenant/route -> block/segment -> shard/shard -> shard/commit -> shard/store
//   query    api/query-routes -> query/plan -> tenant/read -> tenant/reader -> shard/candidates
//            -> prune/prune; block/parquet -> match/scan -> match/hide -> match/merge, count
//   logql    api/loki-query-routes -> logql/parse -> logql/selection -> tenant/logql-logs -> logql/pipeline
//            or tenant/logql-metrics -> logql/range-plan -> logql/vector; both read as a query does
//   upkeep   shard/keeper -> shard/upkeep -> shard/sealer -> block/seal -> shard/store, archive/objects
//   delete   api/data-routes -> tenant/jobs -> shard/shard -> shard/deletions
//   tenants  api/auth -> tenant/keys -> tenant/registry -> tenant/settings; api/admin-routes

import { createApp } from './api/http.ts'
import type { Env } from './env.ts'

export { LoggerService } from './api/rpc.ts'
export { Sealer } from './shard/sealer.ts'
export { LogShard } from './shard/shard.ts'
export { Registry } from './tenant/registry.ts'

const app = createApp()

export default {
  fetch: (request, env, ctx) => app.fetch(request, env, ctx),
} satisfies ExportedHandler<Env>
