// How long requests and small queries wait for their answers at a steady rate, with nothing else going
// on and while a full scan runs in a loop; sealing goes on in both:
//
//   node bench/latency.ts [--quick]
//
// Both leave by the clock, not after the answer before, and their time counts from when they were due:
// an answer that is late makes the next ones late too, as it would in life.

import { Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { type CorpusRequest, corpus } from './corpus.ts'
import { type Found, printGoals } from './goals.ts'
import { type Body, post } from './load.ts'
import { fixed, isQuick, median, quantile, whole } from './numbers.ts'
import { sendAll } from './send.ts'
import { printTable } from './table.ts'
import { type ProductDoor, startProduct, type Target } from './targets.ts'

const HELD_RECORDS = isQuick ? 100_000 : 500_000
const SECONDS = isQuick ? 8 : 30
const SHAPES = [
  { perSecond: 1000, recordsPerRequest: 100 },
  { perSecond: 1000, recordsPerRequest: 512 },
  { perSecond: 10_000, recordsPerRequest: 100 },
  { perSecond: 10_000, recordsPerRequest: 512 },
]
type Shape = (typeof SHAPES)[number]
const SEED = 11
/** In every block and in many variables: no filter and no pattern decides it. */
const SCANNED = '200'
const SOCKETS = 64
/** Between two small queries: a trace id and the newest 100, in turns. */
const SMALL_GAP_MS = 200

interface Measured {
  /** Ascending. */
  ackMs: number[]
  refused: number
  /** Of the small queries, ascending. */
  traceMs: number[]
  newestMs: number[]
  /** Of each query that ended while requests were sent. */
  scanMs: number[]
  sealedBlocks: number
  cpuShare: number
}

/** Sends what is held from the start. The id of a trace in the middle of it. */
async function fill(door: ProductDoor): Promise<string> {
  let made = 0
  let traceId = ''
  const note = ({ records }: CorpusRequest) => {
    made += records.length
    if (traceId !== '' || made < HELD_RECORDS / 2) return
    traceId = Buffer.from(records[records.length >> 1]!.traceId).toString('hex')
  }
  const options = { seed: SEED, records: HELD_RECORDS, recordsPerRequest: 8192 }
  await sendAll(door, corpus(options), note)
  return traceId
}

async function main() {
  const product = await startProduct()
  try {
    const door = await product.openDoor('latency')
    const traceId = await fill(door)
    // 100 a request is compiled by now, whatever the first shape is.
    const warmUp = { perSecond: 5000, recordsPerRequest: 100 }
    await run(product, door, warmUp, { seed: SEED + 1, seconds: 4, isScanning: true, traceId })
    const rows: string[][] = []
    const found: Found = {}
    for (const [i, shape] of SHAPES.entries()) {
      const seed = SEED + 10 * (i + 1)
      const options = { seed, seconds: SECONDS, isScanning: false, traceId }
      const alone = await run(product, door, shape, options)
      const beside = { ...options, seed: seed + 1, isScanning: true }
      const scanned = await run(product, door, shape, beside)
      rows.push(rowOf(shape, 'alone', alone), rowOf(shape, 'with a full scan', scanned))
      const p99 = quantile(scanned.ackMs, 0.99)
      if (shape.perSecond === 1000) found.ackSlow = Math.max(found.ackSlow ?? 0, p99)
      else found.ackFast = Math.max(found.ackFast ?? 0, p99)
      const small = Math.max(quantile(scanned.traceMs, 0.99), quantile(scanned.newestMs, 0.99))
      found.smallQuery = Math.max(found.smallQuery ?? 0, small)
    }
    console.log(
      `latency: ${SECONDS} s each into a shard of ${whole(HELD_RECORDS)} records and more, ` +
        `the scan: a count of q=${SCANNED} over all of them; a small query every ${SMALL_GAP_MS} ms\n`,
    )
    printTable(
      [
        ...['records/s', 'a request', '', 'requests', 'refused', 'p50 ms', 'p99 ms', 'longest ms'],
        ...['trace id p50', 'p99', 'newest 100 p50', 'p99'],
        ...['blocks sealed', 'scans', 'scan ms', 'CPU'],
      ],
      rows,
    )
    printGoals(found)
  } finally {
    await product.stop()
  }
}

function rowOf(shape: Shape, name: string, measured: Measured): string[] {
  const { ackMs, refused, traceMs, newestMs, scanMs, sealedBlocks, cpuShare } = measured
  return [
    whole(shape.perSecond),
    whole(shape.recordsPerRequest),
    name,
    whole(ackMs.length),
    whole(refused),
    fixed(quantile(ackMs, 0.5), 1),
    fixed(quantile(ackMs, 0.99), 1),
    fixed(ackMs.at(-1) ?? Number.NaN, 1),
    ...[traceMs, newestMs].flatMap((ms) => [
      fixed(quantile(ms, 0.5), 1),
      fixed(quantile(ms, 0.99), 1),
    ]),
    whole(sealedBlocks),
    whole(scanMs.length),
    scanMs.length > 0 ? fixed(median(scanMs), 0) : '',
    `${fixed(100 * cpuShare, 0)} %`,
  ]
}

interface Run {
  seed: number
  seconds: number
  isScanning: boolean
  /** Of the trace that is asked for. */
  traceId: string
}

async function run(
  product: Target,
  door: ProductDoor,
  shape: Shape,
  { seed, seconds, isScanning, traceId }: Run,
): Promise<Measured> {
  const bodies = bodiesOf(shape, seed, seconds)
  const blocksBefore = await sealedBlocksOf(door)
  const cpuBefore = product.cpuSeconds()
  const startedMs = performance.now()
  const sending = sendByTheClock(door, shape, bodies)
  const scanMs: number[] = []
  const scanning = isScanning ? scanUntil(door, sending, scanMs) : Promise.resolve()
  const asking = askByTheClock(door, traceId, sending)
  const sent = await sending
  const cpuShare = (product.cpuSeconds() - cpuBefore) / ((performance.now() - startedMs) / 1000)
  const small = await asking
  await scanning
  await door.settle()
  return {
    ...sent,
    ...small,
    scanMs,
    cpuShare,
    sealedBlocks: (await sealedBlocksOf(door)) - blocksBefore,
  }
}

function bodiesOf({ perSecond, recordsPerRequest }: Shape, seed: number, seconds: number): Body[] {
  const records = perSecond * seconds
  return Array.from(corpus({ seed, records, recordsPerRequest }), (request) => ({
    records: request.records.length,
    bytes: request.protobufGzip,
  }))
}

const sealedBlocksOf = async (door: ProductDoor) =>
  (await door.holdings()).blocks.reduce((all, tier) => all + tier.blocks, 0)

async function sendByTheClock(
  door: ProductDoor,
  { perSecond, recordsPerRequest }: Shape,
  bodies: Body[],
): Promise<Pick<Measured, 'ackMs' | 'refused'>> {
  const agent = new Agent({ keepAlive: true, maxSockets: SOCKETS })
  const gapMs = (1000 * recordsPerRequest) / perSecond
  const ackMs: number[] = []
  let refused = 0
  const startedMs = performance.now()
  const answers: Promise<void>[] = []
  for (const [i, body] of bodies.entries()) {
    const dueMs = startedMs + i * gapMs
    const waitMs = dueMs - performance.now()
    if (waitMs > 0) await sleep(waitMs)
    answers.push(
      post(agent, door, 'application/x-protobuf', body.bytes).then((status) => {
        if (status === 200) ackMs.push(performance.now() - dueMs)
        else refused++
      }),
    )
  }
  await Promise.all(answers)
  agent.destroy()
  return { ackMs: ackMs.sort((a, b) => a - b), refused }
}

async function scanUntil(
  door: ProductDoor,
  end: Promise<unknown>,
  scanMs: number[],
): Promise<void> {
  const isOver = overAfter(end)
  while (!isOver()) {
    const startedMs = performance.now()
    await door.query('logs/count', { q: SCANNED })
    scanMs.push(performance.now() - startedMs)
  }
}

/** Small queries until the end, in turns. */
async function askByTheClock(
  door: ProductDoor,
  traceId: string,
  end: Promise<unknown>,
): Promise<Pick<Measured, 'traceMs' | 'newestMs'>> {
  const asked = { traceMs: [] as number[], newestMs: [] as number[] }
  const isOver = overAfter(end)
  const startedMs = performance.now()
  const answers: Promise<void>[] = []
  for (let i = 0; !isOver(); i++) {
    const dueMs = startedMs + i * SMALL_GAP_MS
    const waitMs = dueMs - performance.now()
    if (waitMs > 0) await sleep(waitMs)
    const [ms, query] =
      i % 2 === 0
        ? [asked.traceMs, door.query('logs', { trace_id: traceId })]
        : [asked.newestMs, door.query('logs', { limit: '100' })]
    answers.push(query.then(() => void ms.push(performance.now() - dueMs)))
  }
  await Promise.all(answers)
  for (const ms of Object.values(asked)) ms.sort((a, b) => a - b)
  return asked
}

/** Tells whether it has come. Its failure is for who waits for it. */
function overAfter(end: Promise<unknown>): () => boolean {
  let isOver = false
  const note = () => {
    isOver = true
  }
  end.then(note, note)
  return () => isOver
}

await main()
