// What Grafana asks before it asks for logs: which Loki this is, whether it is up, what it allows.

import { Hono } from 'hono'
import packageJson from '../../package.json' with { type: 'json' }
import { GROUPS_MAX } from '../limits.ts'
import { prettyLogql } from '../logql/format.ts'
import { parseLogql } from '../logql/parse.ts'
import { SERIES_MAX } from '../logql/vector.ts'
import { ok } from '../result.ts'
import type { HonoEnv } from './answer.ts'
import { lokiJson, lokiText } from './loki-answer.ts'
import { addLokiDoor } from './loki-door.ts'
import { ENTRIES_MAX } from './loki-parameters.ts'

/** The Loki whose doors these are like: Grafana turns its features on by it. */
const LOKI_VERSION = '3.7.6'

export const lokiStatusRoutes = new Hono<HonoEnv>()

lokiStatusRoutes.get('/ready', () => lokiText('ready\n'))

lokiStatusRoutes.get('/loki/api/v1/status/buildinfo', () =>
  lokiJson({
    version: LOKI_VERSION,
    revision: `worker-logs ${packageJson.version}`,
    branch: '',
    buildUser: '',
    buildDate: '',
    goVersion: '',
  }),
)

addLokiDoor(
  lokiStatusRoutes,
  '/loki/api/v1/drilldown-limits',
  () => null,
  async () =>
    ok(
      lokiJson({
        // Of Loki's limits those that hold here; a time of 0 stands for no bound.
        limits: {
          discover_log_levels: true,
          max_entries_limit_per_query: ENTRIES_MAX,
          max_query_length: '0s',
          max_query_lookback: '0s',
          max_query_range: '0s',
          max_query_series: SERIES_MAX,
          metric_aggregation_enabled: false,
          pattern_persistence_enabled: false,
          volume_enabled: true,
          volume_max_series: GROUPS_MAX,
        },
        pattern_ingester_enabled: true,
        version: LOKI_VERSION,
      }),
    ),
)

addLokiDoor(
  lokiStatusRoutes,
  '/loki/api/v1/format_query',
  (parameters) => parameters.text('query'),
  async (_c, _asking, text) => {
    const query = parseLogql(text)
    // The one failure of Loki that is JSON.
    return ok(
      query.ok
        ? lokiJson({ status: 'success', data: prettyLogql(query.data) })
        : lokiJson({ status: 'invalid-query', error: query.error.message }, 400),
    )
  },
)
