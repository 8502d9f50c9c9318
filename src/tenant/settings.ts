// What an app can set: its bounds, its defaults, and its form on the wire and in the registry. Every
// number has a bound here, and a text that says it.

import * as z from 'zod'
import {
  COLUMN_NAMES_MAX,
  HOT_BYTES_MAX,
  HOT_BYTES_MIN,
  HOT_DAYS_MAX,
  OWN_NAMES_MAX,
  RETENTION_DAYS_MAX,
  RETENTION_RULES_MAX,
  SHARDS_MAX,
} from '../limits.ts'
import { matchesEverything, planFilter } from '../query/parameters.ts'
import { type ColumnNames, TEXT_COLUMNS } from '../record.ts'
import { err, ok, type Result } from '../result.ts'

/** The parameters of GET /logs as members of an object, as they were sent. */
export type FilterObject = Record<string, string | number | boolean>

/** How long records are kept that this rule is the first to match; null matches all. */
export interface RetentionRule {
  filter: FilterObject | null
  /** Whole days after the UTC day they were received on. */
  days: number
}

export interface Settings {
  /** In order; the last, and only the last, has no filter. */
  retention: RetentionRule[]
  /** How long a block stays in the shard before it goes to the archive. */
  hotDays: number
  /** Bytes of blocks a shard holds before the oldest go to the archive earlier. */
  hotBytes: number
  columns: ColumnNames
}

/** Members that are there replace what was set; the others stay. */
export type SettingsChange = Partial<Settings> & { shards?: number }

/** The settings with the one that is not the shards' own. */
export interface AppSettings {
  shards: number
  settings: Settings
}

const DEFAULT_RULE: RetentionRule = { filter: null, days: 30 }

/** What an app has until it sets something else. */
export const DEFAULT_SETTINGS: Settings = {
  retention: [DEFAULT_RULE],
  hotDays: 3,
  hotBytes: 2_000_000_000,
  columns: {},
}

/** The settings of a registry row: those set at some time, over the defaults of today. */
export const settingsOf = (stored: string | null): Settings => ({
  ...DEFAULT_SETTINGS,
  ...(stored === null ? {} : (JSON.parse(stored) as Partial<Settings>)),
})

/** Ids come from the protocol's own fields, and an attribute must not replace them. */
const OWN_COLUMNS = TEXT_COLUMNS.filter((column) => column !== 'trace_id' && column !== 'span_id')
const NAME_CHARS_MAX = 128

const names = z.array(z.string().min(1).max(NAME_CHARS_MAX)).max(COLUMN_NAMES_MAX)
const columnsBody = z
  .strictObject(Object.fromEntries(OWN_COLUMNS.map((column) => [column, names.optional()])), {
    error: (issue) => {
      if (issue.code !== 'unrecognized_keys') return undefined
      const unknown = issue.keys.slice(0, 8).join(', ')
      return `no such column: ${unknown}; columns are ${OWN_COLUMNS.join(', ')}`
    },
  })
  .refine(
    (columns) =>
      Object.values(columns).reduce((n, list) => n + (list?.length ?? 0), 0) <= OWN_NAMES_MAX,
    `at most ${OWN_NAMES_MAX} attribute names in all`,
  )

/** A filter in a body: planFilter says what is wrong with it, and zod would drop a member called __proto__. */
export const filterBody = z.unknown().meta({ $ref: '#/components/schemas/RecordFilter' })

const ruleBody = z.strictObject({
  filter: filterBody.optional(),
  days: z.int().min(1).max(RETENTION_DAYS_MAX),
})

/** The body of PATCH /apps/:app_id/settings. */
export const SettingsBody = z
  .strictObject({
    shards: z.int().min(1).max(SHARDS_MAX).optional(),
    retention: z.array(ruleBody).max(RETENTION_RULES_MAX).optional(),
    hot_days: z.int().min(0).max(HOT_DAYS_MAX).optional(),
    hot_bytes: z.int().min(HOT_BYTES_MIN).max(HOT_BYTES_MAX).optional(),
    columns: columnsBody.optional(),
  })
  .refine((body) => Object.keys(body).length > 0, 'the body names no setting')

/** What a body asks for, its filters checked and its rules in their full form. */
export function changeOf(
  body: z.infer<typeof SettingsBody>,
  nowMs: number,
): Result<SettingsChange> {
  const change: SettingsChange = {}
  if (body.shards !== undefined) change.shards = body.shards
  if (body.hot_days !== undefined) change.hotDays = body.hot_days
  if (body.hot_bytes !== undefined) change.hotBytes = body.hot_bytes
  if (body.columns !== undefined) change.columns = body.columns as ColumnNames
  if (body.retention !== undefined) {
    const rules = rulesOf(body.retention, nowMs)
    if (!rules.ok) return rules
    change.retention = rules.data
  }
  return ok(change)
}

function rulesOf(sent: z.infer<typeof ruleBody>[], nowMs: number): Result<RetentionRule[]> {
  const rules: RetentionRule[] = []
  for (const [i, { filter, days }] of sent.entries()) {
    const isDefault = filter == null || isEmptyObject(filter) || isForAll(filter, nowMs)
    if (isDefault && i < sent.length - 1) {
      return refused(
        `retention.${i}`,
        'a rule without a filter is for all the rest: only the last may be one',
      )
    }
    if (!isDefault) {
      const wrong = wrongFilter(filter, nowMs)
      if (wrong !== null) return refused(`retention.${i}.filter`, wrong)
    }
    rules.push({ filter: isDefault ? null : (filter as FilterObject), days })
  }
  if (rules.at(-1)?.filter !== null) rules.push(DEFAULT_RULE)
  if (rules.length <= RETENTION_RULES_MAX) return ok(rules)
  return refused(
    'retention',
    `at most ${RETENTION_RULES_MAX} rules, and the last without a filter, for all the rest`,
  )
}

/** A filter that lets everything through, such as `q=*`, leaves nothing for the rules behind it. */
function isForAll(filter: unknown, nowMs: number): boolean {
  const plan = planFilter(filter, nowMs)
  return plan.ok && matchesEverything(plan.data)
}

/** Why a retention rule can not have this filter, or null. */
function wrongFilter(filter: unknown, nowMs: number): string | null {
  const plan = planFilter(filter, nowMs)
  if (!plan.ok) return plan.error.message
  if (!plan.data.since && !plan.data.until) return null
  return 'takes no since and no until: a rule is about a kind of records, and days about their age'
}

/** A member called __proto__ is one, and no filter: it must not make a rule for everything. */
const isEmptyObject = (value: unknown) =>
  typeof value === 'object' && value !== null && Reflect.ownKeys(value).length === 0

const refused = (path: string, message: string) =>
  err('bad_request', `${path}: ${message}`, { problems: [`${path}: ${message}`] })

/** As GET and PATCH answer them; what is answered may be sent again. */
export const wireSettings = ({ shards, settings }: AppSettings) => ({
  shards,
  retention: settings.retention.map(({ filter, days }) => ({
    ...(filter !== null && { filter }),
    days,
  })),
  hot_days: settings.hotDays,
  hot_bytes: settings.hotBytes,
  columns: settings.columns,
})
