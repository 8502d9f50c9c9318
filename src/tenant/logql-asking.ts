// What every reading in LogQL shares: who asks, what of it they may see, and what an answer lacks, in words:
// Loki's answers have no other place to say it.

import { allOf, type Filter, inWorkspace } from '../query/filter.ts'
import { err, ok, type Result } from '../result.ts'
import type { QueryOptions } from './read.ts'
import type { PartialReason } from './reader.ts'
import type { ShardAccess } from './route.ts'

/** Who asks, and how it is carried out. */
export interface Asking {
  access: ShardAccess
  /** The one workspace the caller sees; null: all. */
  workspaceId: string | null
  options: QueryOptions
  nowMs: number
}

/** A filter, and of it what the caller may see. */
export const visibleTo = ({ workspaceId }: Asking, filter: Filter): Filter =>
  allOf([filter, inWorkspace(workspaceId)])

/** What a partial answer lacks, as warnings; a shard that may answer in a second fails it. */
export function lackOf(reasons: PartialReason[]): Result<string[]> {
  const silent = reasons.find(({ code }) => code === 'shard_unreachable')
  if (!silent) return ok(warningsOf(reasons))
  return err('unavailable', 'a shard did not answer; retry in a second', { ...silent })
}

const WARNINGS_MAX = 16

function warningsOf(reasons: readonly PartialReason[]): string[] {
  const warnings = [...new Set(reasons.map(textOf))]
  const more = warnings.length - WARNINGS_MAX
  if (more <= 0) return warnings
  return [...warnings.slice(0, WARNINGS_MAX), `and ${more} more that can not be read`]
}

function textOf(reason: PartialReason): string {
  switch (reason.code) {
    case 'budget':
      return 'the answer is partial: more is stored than one query may read; choose a shorter time or fewer labels'
    case 'shard_unreachable':
      return `the answer is partial: shard ${reason.shard} did not answer`
    case 'block_missing':
    case 'block_corrupt':
      return `the answer is partial: block ${reason.block} of shard ${reason.shard} can not be read (${reason.code})`
  }
}
