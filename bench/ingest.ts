// Ingest over HTTP, the product against a row per log, in turns within one run:
//
//   node bench/ingest.ts [--quick] [512]
//
// A number runs the requests of that many records alone.
//
// Clients are saturating, so the time to an answer is that under full load, and depends on how
// many clients there are. A round ends when all its records are sealed: that is in its seconds, its
// CPU (of a target's workerd) and its rows. Bytes are the SQLite database's.

import { setTimeout as sleep } from 'node:timers/promises'
import { corpus } from './corpus.ts'
import { type Found, printGoals } from './goals.ts'
import { type Body, type Load, type Outcome, runLoad } from './load.ts'
import { fixed, isQuick, median, numbersGiven, quantile, sum, times, whole } from './numbers.ts'
import { printTable } from './table.ts'
import { type Door, startBaseline, startProduct, type Target } from './targets.ts'

interface Scenario {
  encoding: 'protobuf' | 'json'
  recordsPerRequest: number
  requests: number
  clients: number
}

/** Requests are no more than the product takes in TIME_MS or so: they cost time to make. */
const SHAPES = [
  { recordsPerRequest: 1, requests: 4000, clients: 64 },
  { recordsPerRequest: 16, requests: 2500, clients: 32 },
  { recordsPerRequest: 512, requests: 400, clients: 8 },
  // Few clients: above 32 MiB of decoded bodies in flight the product answers 503.
  { recordsPerRequest: 8192, requests: 24, clients: 3 },
]
const REQUESTS_SHARE = isQuick ? 0.4 : 1
const SCENARIOS: Scenario[] = SHAPES.filter(
  (shape) => numbersGiven.length === 0 || numbersGiven.includes(shape.recordsPerRequest),
).flatMap((shape) => {
  const requests = Math.ceil(shape.requests * REQUESTS_SHARE)
  return (['protobuf', 'json'] as const).map((encoding) => ({ ...shape, encoding, requests }))
})
const TIME_MS = isQuick ? 2000 : 3000
const ROUNDS = isQuick ? 1 : 5
/** Time for what the runtime still does by then; it counts as CPU of the round. */
const SETTLE_MS = 300

interface Measured {
  /** Until the last answer. */
  ackedPerSecond: number
  /** Until all is sealed, which is what can go on. */
  recordsPerSecond: number
  cpuPerMillion: number
  p50: number
  p99: number
  rowsPerRecord: number
  bytesPerRecord: number
}

async function main() {
  const targets = [await startProduct(), await startBaseline()]
  try {
    await warmUp(targets)
    const rows: string[][] = []
    const found: Found = {}
    for (const scenario of SCENARIOS) rows.push(...(await runScenario(targets, scenario, found)))
    printTable(HEADINGS, rows)
    printGoals(found)
  } finally {
    for (const target of targets) await target.stop()
  }
}

const HEADINGS = [
  ...['request', 'clients', 'target', 'records/s', 'acked/s', 'CPU s/M', 'ack p50 ms'],
  ...['ack p99 ms', 'rows/record', 'bytes/record'],
]

/**
 * Before anything is timed both targets meet both encodings, until their code is compiled for speed:
 * that takes some 100 requests of 512. Throws if one refuses.
 */
async function warmUp(targets: Target[]) {
  for (const target of targets) {
    const door = await target.openDoor('warm-up')
    for (const encoding of ['protobuf', 'json'] as const) {
      for (const [recordsPerRequest, requests] of [[512, 150] as const, [1, 400] as const]) {
        const shape = { encoding, recordsPerRequest, requests, clients: 4 }
        const load = { ...loadOf(shape, recordsPerRequest), timeMs: Number.POSITIVE_INFINITY }
        const { refused } = await runLoad(door, load)
        for (const status of refused.keys()) {
          throw new Error(`the ${target.name} answers ${status}\n${target.output()}`)
        }
      }
    }
    await door.settle()
  }
}

async function runScenario(
  targets: Target[],
  scenario: Scenario,
  found: Found,
): Promise<string[][]> {
  const name = `${scenario.encoding}-${scenario.recordsPerRequest}`
  const runs = await Promise.all(
    targets.map(async (target) => ({
      target,
      door: await target.openDoor(name),
      turns: [] as Turn[],
    })),
  )
  for (let round = 0; round < ROUNDS; round++) {
    const load = loadOf(scenario, 1000 + round)
    for (const { target, door, turns } of round % 2 === 0 ? runs : runs.toReversed()) {
      turns.push(await runTurn(target, door, load))
    }
  }
  const label = `${scenario.encoding} × ${scenario.recordsPerRequest}`
  const measured: Measured[] = []
  for (const { target, door, turns } of runs) {
    measured.push(await measure(door, turns))
    warnOfRefusals(`${label} ${target.name}`, turns)
  }
  const lead = (last: string) => [label, String(scenario.clients), last]
  const [product, baseline] = measured as [Measured, Measured]
  note(found, label, product, product.recordsPerSecond / baseline.recordsPerSecond)
  return [
    [...lead('product'), ...cells(product)],
    [...lead('baseline'), ...cells(baseline)],
    [...lead('ratio'), ...ratios(product, baseline)],
  ]
}

function note(found: Found, label: string, product: Measured, ratio: number) {
  if (label === 'protobuf × 512') {
    found.ingestAt512 = ratio
    found.rowsAt512 = product.rowsPerRecord
    found.storedBytes = product.bytesPerRecord
  } else if (label === 'protobuf × 8192') {
    found.ingestAt8192 = ratio
    found.cpuAt8192 = product.cpuPerMillion
  }
}

interface Turn extends Outcome {
  /** From the first request until all is sealed. */
  sealedSeconds: number
  cpuSeconds: number
  rowsWritten: number
}

async function runTurn(target: Target, door: Door, load: Load): Promise<Turn> {
  // Counters live in the object, which the runtime evicts when the other target's turn takes 10 s:
  // so they are read before and after, and reading them brings the object back.
  const { rowsWritten: rowsBefore } = await door.storage()
  const cpuBefore = target.cpuSeconds()
  const startedMs = performance.now()
  const outcome = await runLoad(door, load)
  await door.settle()
  const sealedSeconds = (performance.now() - startedMs) / 1000
  await sleep(SETTLE_MS)
  const cpuSeconds = target.cpuSeconds() - cpuBefore
  const { rowsWritten } = await door.storage()
  return { ...outcome, sealedSeconds, cpuSeconds, rowsWritten: rowsWritten - rowsBefore }
}

/** Bodies of one round; the seed makes them differ from those of every other round. */
function loadOf(scenario: Scenario, seed: number): Load {
  const { encoding, recordsPerRequest, requests, clients } = scenario
  const bodies: Body[] = []
  for (const request of corpus({
    seed: seed * 10 + SHAPES.findIndex((shape) => shape.recordsPerRequest === recordsPerRequest),
    records: recordsPerRequest * requests,
    recordsPerRequest,
  })) {
    const bytes = encoding === 'json' ? request.jsonGzip : request.protobufGzip
    bodies.push({ records: request.records.length, bytes })
  }
  const contentType = encoding === 'json' ? 'application/json' : 'application/x-protobuf'
  return { bodies, contentType, clients, timeMs: TIME_MS }
}

async function measure(door: Door, turns: Turn[]): Promise<Measured> {
  const { databaseBytes } = await door.storage()
  const records = sum(turns.map((turn) => turn.records))
  return {
    ackedPerSecond: median(turns.map((turn) => turn.records / turn.seconds)),
    recordsPerSecond: median(turns.map((turn) => turn.records / turn.sealedSeconds)),
    cpuPerMillion: median(turns.map((turn) => (turn.cpuSeconds / turn.records) * 1e6)),
    p50: median(turns.map((turn) => quantile(turn.ackMs, 0.5))),
    p99: median(turns.map((turn) => quantile(turn.ackMs, 0.99))),
    rowsPerRecord: sum(turns.map((turn) => turn.rowsWritten)) / records,
    bytesPerRecord: databaseBytes / records,
  }
}

function warnOfRefusals(label: string, outcomes: Outcome[]) {
  for (const [status, count] of outcomes.flatMap((outcome) => [...outcome.refused])) {
    console.log(`${label}: ${count} requests were answered ${status}, and are not counted`)
  }
}

const cells = (m: Measured): string[] => [
  whole(m.recordsPerSecond),
  whole(m.ackedPerSecond),
  fixed(m.cpuPerMillion, 1),
  fixed(m.p50, 1),
  fixed(m.p99, 1),
  m.rowsPerRecord.toPrecision(3),
  fixed(m.bytesPerRecord, 0),
]

/** How many times better the product is. */
const ratios = (product: Measured, baseline: Measured): string[] =>
  [
    product.recordsPerSecond / baseline.recordsPerSecond,
    product.ackedPerSecond / baseline.ackedPerSecond,
    baseline.cpuPerMillion / product.cpuPerMillion,
    baseline.p50 / product.p50,
    baseline.p99 / product.p99,
    baseline.rowsPerRecord / product.rowsPerRecord,
    baseline.bytesPerRecord / product.bytesPerRecord,
  ].map(times)

await main()
