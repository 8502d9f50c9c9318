// The numbers to reach, each measured by one script, which prints those it knows with what it found.
// A ratio is against the baseline of the same run; times are of the machine that it ran on.

import { fixed, times } from './numbers.ts'
import { NAMES } from './questions.ts'
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
  scanTextHttp: atLeast(2e6, 'records/s', 'search of one text column, over HTTP'),
  scanPatternsHttp: atLeast(8e6, 'records/s', 'a word that patterns decide, over HTTP'),
  patternBlocks: atMost(0, 'blocks', 'opened to count a word that patterns decide'),
  needleBlocks: atMost(3, 'blocks', 'opened to find a trace id'),
  needleMs: atMost(50, 'ms', 'to find a trace id, pruning included'),
  histogramBlocks: atMost(0, 'blocks', 'opened for a histogram by level over whole minutes'),
  ackSlow: atMost(100, 'ms', 'ack p99 at 1,000 records/s while sealing and a full scan run'),
  ackFast: atMost(100, 'ms', 'ack p99 at 10,000 records/s while sealing and a full scan run'),
  smallQuery: atMost(100, 'ms', 'p99 of small queries while sealing and a full scan run'),
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

/** Of VictoriaLogs 1.26 on 2 cores, 1,048,576 records of 385 B: ms by question, measured once and noted. */
const VICTORIA_LOGS_MS: [name: string, ms: number][] = [
  [NAMES.scanned, 50],
  [NAMES.decided, 50],
  [NAMES.trace, 7],
  [NAMES.newest, 340],
  [NAMES.byLevel, 39],
  [NAMES.failed, 7],
  [NAMES.routes, 38],
  [NAMES.p95, 82],
]

/** A time of ours; `records` null where it does not grow with them. */
export interface Timed {
  name: string
  ms: number
  records: number | null
}

/** Beside the times that another program took for the same question, per million records. */
export function printOthers(ours: Timed[]): void {
  const rows = VICTORIA_LOGS_MS.flatMap(([name, theirMs]) => {
    const timed = ours.find((one) => one.name === name)
    if (!timed) return []
    const ms = timed.records === null ? timed.ms : (timed.ms * 1e6) / timed.records
    return [[name, fixed(ms, 1), String(theirMs), times(ms / theirMs)]]
  })
  if (rows.length === 0) return
  console.log('\nms per million records, VictoriaLogs as noted before and not of this run\n')
  printTable(['', 'ms', 'VictoriaLogs', 'ours : theirs'], rows)
}
