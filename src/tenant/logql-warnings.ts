// What an answer lacks, in words: Loki's answers have no other place to say it.

import type { PartialReason } from './reader.ts'

const WARNINGS_MAX = 16

export function warningsOf(reasons: readonly PartialReason[]): string[] {
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
