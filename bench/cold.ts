// A week of records in the archive: the product as `npm start` runs it, with R2 on this machine's
// disk, asked first while all is hot and then again when all is cold:
//
//   node bench/cold.ts [--quick] [1000000]
//
// The number is about how many records; 200,000 without one. What carries over to the platform are
// reads and bytes; the time a read takes there does not show here.

import { setTimeout as sleep } from 'node:timers/promises'
import { wordsOf } from '../src/words.ts'
import { clientOf } from '../test/process/client.ts'
import { startCollector } from '../test/process/collector.ts'
import { type CorpusRequest, corpus } from './corpus.ts'
import { fixed, isQuick, median, numbersGiven, times, whole } from './numbers.ts'
import { sendAll } from './send.ts'
import { printTable } from './table.ts'
import { type Answer, openProductDoor, type ProductDoor } from './targets.ts'

const PER_REQUEST = 8192
const REQUESTS = Math.ceil((numbersGiven[0] ?? (isQuick ? 80_000 : 200_000)) / PER_REQUEST)
const RECORDS = REQUESTS * PER_REQUEST
const SEED = 7
const REPEATS = isQuick ? 3 : 7
const DAY_MS = 86_400_000
const SPAN_MS = 6.9 * DAY_MS
const SCANNED = '200'

interface Question {
  name: string
  path: 'logs' | 'logs/count'
  parameters: Record<string, string>
}

interface Asked extends Question {
  found: number
  answer: Answer
  wallMs: number
}

async function ask(door: ProductDoor, question: Question): Promise<Asked> {
  const wallMs: number[] = []
  let answer: Answer | null = null
  for (let i = -1; i < REPEATS; i++) {
    const startedMs = performance.now()
    answer = await door.query(question.path, question.parameters)
    if (i >= 0) wallMs.push(performance.now() - startedMs)
  }
  const { count, logs } = answer!
  return { ...question, found: count ?? logs!.length, answer: answer!, wallMs: median(wallMs) }
}

async function untilSealed(door: ProductDoor): Promise<void> {
  while ((await door.holdings()).pending.records > 0) await sleep(100)
}

interface Sent {
  holdScanned: number
  traceId: string
}

async function fill(door: ProductDoor): Promise<Sent> {
  const startMs = Date.now() - SPAN_MS
  const gapUs = (SPAN_MS * 1000) / RECORDS
  const sent: Sent = { holdScanned: 0, traceId: '' }
  let made = 0
  const note = ({ records }: CorpusRequest) => {
    for (const { message, traceId } of records) {
      if (wordsOf(message).includes(SCANNED)) sent.holdScanned++
      if (++made === RECORDS >> 1) sent.traceId = Buffer.from(traceId).toString('hex')
    }
  }
  const options = { seed: SEED, records: RECORDS, recordsPerRequest: PER_REQUEST }
  await sendAll(door, corpus({ ...options, startMs, gapUs }), note)
  await untilSealed(door)
  return sent
}

function rowOf(hot: Asked, cold: Asked): string[] {
  const { blocks, bytes, r2_reads } = cold.answer.stats
  return [
    hot.name,
    whole(cold.found),
    whole(blocks.considered),
    whole(blocks.opened),
    whole(r2_reads),
    whole(bytes),
    fixed(cold.wallMs, 1),
    fixed(hot.wallMs, 1),
    times(cold.wallMs / hot.wallMs),
  ]
}

async function main() {
  const collector = await startCollector()
  try {
    const client = clientOf(collector.url, collector.adminKey)
    const door = await openProductDoor(collector.url, client, 'cold')
    const sent = await fill(door)
    const questions: Question[] = [
      { name: 'needle: trace_id', path: 'logs', parameters: { trace_id: sent.traceId } },
      count('a word that is looked for, since=7d', { q: SCANNED, since: '7d' }),
      count('the same, since=1d', { q: SCANNED, since: '1d' }),
      count('a level, since=7d', { level: 'error' }),
      { name: 'newest 100', path: 'logs', parameters: { limit: '100' } },
      { name: 'newest 100 errors', path: 'logs', parameters: { limit: '100', level: 'error' } },
    ]
    const hot: Asked[] = []
    for (const question of questions) hot.push(await ask(door, question))
    const flushedMs = performance.now()
    await door.settle()
    const seconds = (performance.now() - flushedMs) / 1000
    const { blocks } = await door.holdings()
    if (blocks.some(({ tier }) => tier === 'hot')) throw new Error('a block stayed hot')
    const cold: Asked[] = []
    for (const question of questions) cold.push(await ask(door, question))
    for (const [i, { name, found }] of cold.entries()) {
      if (found !== hot[i]!.found) throw new Error(`${name}: ${found} cold, ${hot[i]!.found} hot`)
    }
    if (cold[1]!.found !== sent.holdScanned) throw new Error(`not ${sent.holdScanned} were found`)
    const objects = blocks.reduce((all, tier) => all + tier.blocks, 0)
    const bytes = blocks.reduce((all, tier) => all + tier.bytes, 0)
    console.log(
      `cold: ${whole(RECORDS)} records of a week from seed ${SEED} in ${whole(objects)} objects of ` +
        `${whole(bytes)} bytes, moved there in ${fixed(seconds, 1)} s; median of ${REPEATS} queries\n`,
    )
    printTable(
      ['', 'found', 'blocks', 'opened', 'R2 reads', 'bytes', 'cold ms', 'hot ms', 'cold : hot'],
      hot.map((one, i) => rowOf(one, cold[i]!)),
    )
  } finally {
    await collector.stop()
  }
}

const count = (name: string, parameters: Record<string, string>): Question => ({
  name: `count: ${name}`,
  path: 'logs/count',
  parameters,
})

await main()
