// The numbers to reach, each measured by one script, which prints those it knows with what it found.
// A ratio is against the baseline of the same run; times are of the machine that it ran on.

import { printTable } from './table.ts'

interface Goal {
  text: string
  /** What is good enough, and whether more of it is better. */
  reach: number
  isFloor: boolean
  unit: string
}

const atMost = (reach: number, unit: string, text: string): Goal => ({
  ...{ text, reach, unit },
  isFloor: false,
})
const atLeast = (reach: number, unit: string, text: string): Goal => ({
  ...{ text, reach, unit },
  isFloor: true,
})

const GOALS = {
  rowsAt512: atMost(0.01, 'rows', 'rows written per record, sealing included, 512 a request'),
  storedBytes: atMost(60, 'bytes', 'stored per record, catalog included'),
  ingestAt512: atLeast(6, '×', 'sustained ingest against a row per log, 512 a request'),
  ingestAt8192: atLeast(8, '×', 'the same, 8,192 a request'),
  cpuAt8192: atMost(10, 's', 'CPU per million records, sealing included, 8,192 a request'),
  decode: atLeast(2.5, '×', 'decoding protobuf against protobufjs and a flatten'),
  scanText: atLeast(2e6, 'records/s', 'search of one text column'),
  scanPatterns: atLeast(8e6, 'records/s', 'search of a word that patterns decide'),
  patternBlocks: atMost(0, 'blocks', 'opened to count a word that patterns decide'),
  needleBlocks: atMost(3, 'blocks', 'opened to find a trace id'),
  needleMs: atMost(50, 'ms', 'to find a trace id, pruning included'),
  levelBlocks: atMost(0, 'blocks', 'opened for the counts by level'),
  ackSlow: atMost(100, 'ms', 'ack p99 at 1,000 records/s while sealing and a full scan run'),
  ackFast: atMost(100, 'ms', 'ack p99 at 10,000 records/s while sealing and a full scan run'),
  stretch: atMost(50, 'ms', 'longest synchronous stretch of sealing'),
} satisfies Record<string, Goal>

export type Found = { [name in keyof typeof GOALS]?: number }

/** Goals of this run and what was found, each with `reached` or `missed`. */
export function printGoals(found: Found): void {
  const rows = Object.entries(GOALS).flatMap(([name, goal]) => {
    const value = found[name as keyof Found]
    if (value === undefined) return []
    const isReached = goal.isFloor ? value >= goal.reach : value <= goal.reach
    const reach = `${goal.isFloor ? '≥' : '≤'} ${shown(goal.reach)} ${goal.unit}`
    return [[goal.text, shown(value), reach, isReached ? 'reached' : 'missed']]
  })
  if (rows.length > 0) console.log()
  if (rows.length > 0) printTable(['to reach', 'found', 'target', ''], rows)
}

const shown = (value: number): string =>
  value >= 1000 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)))
