// How long a record takes from its request to the readers of live tails, and what those cost the
// requests: nobody reads, one reader, 200 who see everything, and 200 whose filters, each its own, let
// nothing through:
//
//   node bench/tail.ts [--quick]
//
// Requests leave by the clock, and times count from when they were due, as in latency.ts. A record's
// way ends when the reader's process has it; all readers are one process, so with many it has to be
// read by turns, and that time counts too.

import { Agent, get, type IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { post } from './load.ts'
import { fixed, isQuick, quantile, whole } from './numbers.ts'
import { printTable } from './table.ts'
import { type ProductDoor, startProduct, type Target } from './targets.ts'

const SECONDS = isQuick ? 4 : 15
const REQUESTS_PER_SECOND = 10
const RECORDS_PER_REQUEST = 10
const READERS = 200
const SOCKETS = 64
/** How long the last records may take to all readers. */
const LATE_S_MAX = 20

const RUNS = [
  { name: 'nobody', readers: 0, query: () => '' },
  { name: 'one reader', readers: 1, query: () => '' },
  { name: `${READERS} readers`, readers: READERS, query: () => '' },
  { name: `${READERS} filters, no match`, readers: READERS, query: (i: number) => `q=never${i}` },
]
type Run = (typeof RUNS)[number]

interface Measured {
  /** Ascending. */
  ackMs: number[]
  refused: number
  wayMs: number[]
  /** Of the records that all readers were to see. */
  seenShare: number
  cpuShare: number
}

async function main() {
  const product = await startProduct()
  try {
    const door = await product.openDoor('tail')
    await measure(product, door, { name: 'warm-up', readers: 20, query: () => '' }, 3)
    const rows: string[][] = []
    for (const run of RUNS) rows.push(rowOf(run, await measure(product, door, run, SECONDS)))
    console.log(
      `tail: ${SECONDS} s each, ${REQUESTS_PER_SECOND} requests/s of ${RECORDS_PER_REQUEST} records\n`,
    )
    printTable(
      [
        ...['', 'requests', 'refused', 'ack p50 ms', 'ack p99 ms', 'to reader p50 ms'],
        ...['to reader p99 ms', 'seen', 'CPU'],
      ],
      rows,
    )
  } finally {
    await product.stop()
  }
}

function rowOf({ name }: Run, { ackMs, refused, wayMs, seenShare, cpuShare }: Measured): string[] {
  const isRead = wayMs.length > 0
  return [
    name,
    whole(ackMs.length),
    whole(refused),
    fixed(quantile(ackMs, 0.5), 1),
    fixed(quantile(ackMs, 0.99), 1),
    isRead ? fixed(quantile(wayMs, 0.5), 1) : '',
    isRead ? fixed(quantile(wayMs, 0.99), 1) : '',
    isRead ? `${fixed(100 * seenShare, 1)} %` : '',
    `${fixed(100 * cpuShare, 0)} %`,
  ]
}

async function measure(
  product: Target,
  door: ProductDoor,
  { readers, query }: Run,
  seconds: number,
): Promise<Measured> {
  const requests = seconds * REQUESTS_PER_SECOND
  const dueMs: number[] = []
  const wayMs: number[] = []
  let seen = 0
  const streams = await Promise.all(
    Array.from({ length: readers }, (_, i) =>
      openTail(door, query(i), (request, atMs) => {
        seen++
        wayMs.push(atMs - dueMs[request]!)
      }),
    ),
  )
  const cpuBefore = product.cpuSeconds()
  const startedMs = performance.now()
  const sent = await sendByTheClock(door, requests, dueMs)
  const cpuShare = (product.cpuSeconds() - cpuBefore) / ((performance.now() - startedMs) / 1000)
  const isSeen = () => seen >= readers * requests * RECORDS_PER_REQUEST
  for (let waits = 0; waits < LATE_S_MAX * 10 && !isSeen() && wayMs.length > 0; waits++) {
    await sleep(100)
  }
  // A local run notices that a reader is gone when it writes to it: the records of the next run do.
  for (const stream of streams) stream.destroy()
  const seenShare = seen / (readers * requests * RECORDS_PER_REQUEST)
  return { ...sent, wayMs: wayMs.sort((a, b) => a - b), seenShare, cpuShare }
}

/** A tail whose first bytes came; `heard` is called for each record with the number of its request. */
async function openTail(
  door: ProductDoor,
  query: string,
  heard: (request: number, atMs: number) => void,
): Promise<IncomingMessage> {
  const url = new URL(`/logs/tail?${query}`, door.url)
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    get(url, { headers: door.readHeaders, agent: new Agent() }, resolve).on('error', reject)
  })
  if (answer.statusCode !== 200) throw new Error(`${url} answered ${answer.statusCode}`)
  answer.setEncoding('utf8')
  const { promise, resolve } = Promise.withResolvers<void>()
  let rest = ''
  answer.on('data', (chunk: string) => {
    const atMs = performance.now()
    resolve()
    const lines = (rest + chunk).split('\n')
    rest = lines.pop()!
    for (const line of lines) {
      const request = /"message":"request (\d+) /.exec(line)?.[1]
      if (request !== undefined) heard(Number(request), atMs)
    }
  })
  // We end it ourselves.
  answer.on('error', () => {})
  await promise
  return answer
}

async function sendByTheClock(
  door: ProductDoor,
  requests: number,
  dueMs: number[],
): Promise<Pick<Measured, 'ackMs' | 'refused'>> {
  const agent = new Agent({ keepAlive: true, maxSockets: SOCKETS })
  const target = { ...door, url: new URL('/logs', door.url) }
  const ackMs: number[] = []
  let refused = 0
  const startedMs = performance.now()
  const answers: Promise<void>[] = []
  for (let request = 0; request < requests; request++) {
    const due = startedMs + (request * 1000) / REQUESTS_PER_SECOND
    dueMs[request] = due
    const logs = Array.from({ length: RECORDS_PER_REQUEST }, (_, i) => ({
      level: 'info',
      service: 'checkout',
      message: `request ${request} record ${i}: cart 4711 paid by card after 12 ms`,
      http: { route: '/api/cart', status: 200 },
    }))
    const body = gzipSync(JSON.stringify({ logs }))
    const waitMs = due - performance.now()
    if (waitMs > 0) await sleep(waitMs)
    answers.push(
      post(agent, target, 'application/json', body).then((status) => {
        if (status === 200) ackMs.push(performance.now() - due)
        else refused++
      }),
    )
  }
  await Promise.all(answers)
  agent.destroy()
  return { ackMs: ackMs.sort((a, b) => a - b), refused }
}

await main()
