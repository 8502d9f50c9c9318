// What an app can set: its bounds, its defaults, and its form on the wire and in the registry.

import type { ColumnNames } from '../record.ts'

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

/** What an app has until it sets something else. */
export const DEFAULT_SETTINGS: Settings = {
  retention: [{ filter: null, days: 30 }],
  hotDays: 3,
  hotBytes: 2_000_000_000,
  columns: {},
}

/** The settings of a registry row: those set at some time, over the defaults of today. */
export const settingsOf = (stored: string | null): Settings => ({
  ...DEFAULT_SETTINGS,
  ...(stored === null ? {} : (JSON.parse(stored) as Partial<Settings>)),
})
