// What a query cost: blocks that it looked at and ruled out, and what it read of the others.

export interface QueryStats {
  blocks: {
    considered: number
    skipped: { time: number; values: number; filter: number; pattern: number }
    opened: number
  }
  bytes: number
  rows: number
  r2_reads: number
  ms: number
}

export const nothingRead = (): QueryStats => ({
  blocks: { considered: 0, skipped: { time: 0, values: 0, filter: 0, pattern: 0 }, opened: 0 },
  bytes: 0,
  rows: 0,
  r2_reads: 0,
  ms: 0,
})

/** Of two queries that were done at the same time. */
export function bothStats(a: QueryStats, b: QueryStats): QueryStats {
  const skipped = { ...a.blocks.skipped }
  for (const why of ['time', 'values', 'filter', 'pattern'] as const) {
    skipped[why] += b.blocks.skipped[why]
  }
  return {
    blocks: {
      considered: a.blocks.considered + b.blocks.considered,
      skipped,
      opened: a.blocks.opened + b.blocks.opened,
    },
    bytes: a.bytes + b.bytes,
    rows: a.rows + b.rows,
    r2_reads: a.r2_reads + b.r2_reads,
    ms: Math.max(a.ms, b.ms),
  }
}
