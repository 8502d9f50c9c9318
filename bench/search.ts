// Queries over HTTP against a shard that holds a few hundred thousand records or a few million, all of
// them sealed and hot:
//
//   node bench/search.ts [--quick] [5000000]
//
// The number is how many records; 500,000 without one. Beside the needle stands a row per log with
// its index on trace_id. Counts are checked against what was sent; so is what the needle finds.

import { wordsOf } from '../src/words.ts'
import { type CorpusRecord, type CorpusRequest, corpus, type StreamOptions } from './corpus.ts'
import { type Found, printGoals } from './goals.ts'
import { fixed, isQuick, median, numbersGiven, whole } from './numbers.ts'
import { sendAll } from './send.ts'
import { printTable } from './table.ts'
import {
  type Answer,
  type BaselineDoor,
  type Door,
  type ProductDoor,
  startBaseline,
  startProduct,
} from './targets.ts'

const RECORDS = numbersGiven[0] ?? (isQuick ? 100_000 : 500_000)
/** Of the second app, whose messages have so few patterns that its blocks keep them all. */
const FEW_RECORDS = Math.min(RECORDS, 500_000)
const BASELINE_RECORDS = Math.min(RECORDS, 500_000)
const PER_REQUEST = 8192
const SEED = 5
const REPEATS = isQuick ? 5 : 15
const WARM_UP = 3
const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal']

/** Of the templates' own text: in the messages of one pattern each, or of many. */
const DECIDED = ['authenticated', 'completed', '"gave up after"']
/** A status, in every block: digits may stand in any variable, so all messages that have one are looked at. */
const SCANNED = '200'
/** A number few messages have: the filter of words leaves out most blocks. */
const RARE = '4242'

/** What was sent, to tell a right answer by. */
interface Sent {
  records: number
  byLevel: number[]
  byQuery: Map<string, number>
  /** A trace from the middle, and how many records it has. */
  trace: { id: string; records: number }
}

/** Sends a corpus and remembers what a query must find in it. */
async function fill(door: Door, records: number, options: StreamOptions): Promise<Sent> {
  const phrases = [...DECIDED, SCANNED, RARE].map((query) => ({ query, words: wordsOf(query) }))
  const sent: Sent = {
    records,
    byLevel: LEVELS.map(() => 0),
    byQuery: new Map(phrases.map(({ query }) => [query, 0])),
    trace: { id: '', records: 0 },
  }
  let made = 0
  const note = ({ records: some }: CorpusRequest) => {
    made += some.length
    if (sent.trace.id === '' && made >= records / 2) sent.trace = traceAmid(some)
    for (const record of some) {
      sent.byLevel[(record.severityNumber - 1) >> 2]!++
      const words = ` ${wordsOf(record.message).join(' ')} `
      for (const phrase of phrases) {
        if (!words.includes(` ${phrase.words.join(' ')} `)) continue
        sent.byQuery.set(phrase.query, sent.byQuery.get(phrase.query)! + 1)
      }
    }
  }
  await sendAll(door, corpus({ ...options, records, recordsPerRequest: PER_REQUEST }), note)
  await door.settle()
  return sent
}

/** Of the record in the middle. A trace takes some 100 records, so a request holds the whole of it. */
function traceAmid(records: CorpusRecord[]): Sent['trace'] {
  const ids = records.map(({ traceId }) => Buffer.from(traceId).toString('hex'))
  const id = ids[ids.length >> 1]!
  return { id, records: ids.filter((other) => other === id).length }
}

interface Measured {
  answer: Answer
  /** Median of what the answer says, and of what the caller waits. */
  ms: number
  wallMs: number
}

async function measure(query: () => Promise<Answer>): Promise<Measured> {
  const ms: number[] = []
  const wallMs: number[] = []
  let answer: Answer | null = null
  for (let i = -WARM_UP; i < REPEATS; i++) {
    const startedMs = performance.now()
    answer = await query()
    if (i < 0) continue
    wallMs.push(performance.now() - startedMs)
    ms.push(answer.stats.ms)
  }
  return { answer: answer!, ms: median(ms), wallMs: median(wallMs) }
}

function expectCount(what: string, found: number | undefined, expected: number): void {
  if (found !== expected) throw new Error(`${what} found ${found}, not ${expected}`)
}

function rowOf(name: string, records: number, measured: Measured): string[] {
  const { answer, ms, wallMs } = measured
  const { blocks, bytes } = answer.stats
  return [
    name,
    whole(records),
    whole(answer.count ?? answer.logs?.length ?? 0),
    whole(blocks.considered),
    whole(blocks.opened),
    whole(bytes),
    fixed(ms, 0),
    fixed(wallMs, 1),
    whole((records / wallMs) * 1000),
  ]
}

const HEADINGS = [
  ...['', 'records', 'found', 'blocks', 'opened', 'bytes read', 'ms', 'wall ms', 'records/s'],
]

async function askCorpus(door: ProductDoor, sent: Sent, found: Found): Promise<string[][]> {
  const rows: string[][] = []
  const row = (name: string, measured: Measured) => rows.push(rowOf(name, sent.records, measured))

  const needle = await measure(() => door.query('logs', { trace_id: sent.trace.id }))
  expectCount('the needle', needle.answer.logs!.length, sent.trace.records)
  row('needle: trace_id', needle)
  found.needleBlocks = needle.answer.stats.blocks.opened
  found.needleMs = needle.wallMs

  let opened = 0
  const byLevel: Measured[] = []
  for (const [level, name] of LEVELS.entries()) {
    const counted = await measure(() => door.query('logs/count', { level: name }))
    expectCount(`level=${name}`, counted.answer.count, sent.byLevel[level]!)
    byLevel.push(counted)
    opened += counted.answer.stats.blocks.opened
  }
  row('count by level, each of six', byLevel[2]!)
  found.levelBlocks = opened

  for (const q of [SCANNED, RARE, DECIDED[0]!, DECIDED[2]!]) {
    const counted = await measure(() => door.query('logs/count', { q }))
    expectCount(`q=${q}`, counted.answer.count, sent.byQuery.get(q)!)
    row(`count: q=${q}`, counted)
  }
  const newest = await measure(() => door.query('logs', { limit: '100' }))
  expectCount('the newest', newest.answer.logs!.length, 100)
  row('newest 100', newest)
  return rows
}

async function askFew(door: ProductDoor, sent: Sent, found: Found): Promise<string[][]> {
  const rows: string[][] = []
  found.patternBlocks = 0
  for (const q of DECIDED) {
    const counted = await measure(() => door.query('logs/count', { q }))
    expectCount(`q=${q}`, counted.answer.count, sent.byQuery.get(q)!)
    rows.push(rowOf(`few patterns, count: q=${q}`, sent.records, counted))
    found.patternBlocks += counted.answer.stats.blocks.opened
  }
  return rows
}

async function askBaseline(door: BaselineDoor, sent: Sent): Promise<string[]> {
  const wallMs: number[] = []
  for (let i = -WARM_UP; i < REPEATS; i++) {
    const startedMs = performance.now()
    expectCount('the baseline', await door.trace(sent.trace.id), sent.trace.records)
    if (i >= 0) wallMs.push(performance.now() - startedMs)
  }
  const head = ['baseline: trace_id, by its index', whole(sent.records), whole(sent.trace.records)]
  return [...head, '', '', '', '', fixed(median(wallMs), 1), '']
}

async function main() {
  const found: Found = {}
  const product = await startProduct()
  const rows: string[][] = []
  try {
    const door = await product.openDoor('search')
    const startedMs = performance.now()
    const cpuBefore = product.cpuSeconds()
    const sent = await fill(door, RECORDS, { seed: SEED })
    const seconds = (performance.now() - startedMs) / 1000
    const cpu = ((product.cpuSeconds() - cpuBefore) / RECORDS) * 1e6
    const held = await door.holdings()
    const { rowsWritten } = await door.storage()
    console.log(
      `search: ${whole(RECORDS)} records from seed ${SEED}, ${whole(PER_REQUEST)} a request; taken ` +
        `and sealed in ${fixed(seconds, 0)} s with ${fixed(cpu, 1)} CPU s per million; ` +
        `${fixed(held.database_bytes / RECORDS, 1)} bytes a record in the database, ` +
        `${fixed(held.bytes / RECORDS, 1)} of them Parquet; ` +
        `${(rowsWritten / RECORDS).toPrecision(3)} rows a record. Median of ${REPEATS} queries.\n`,
    )
    rows.push(...(await askCorpus(door, sent, found)))
    const few = await product.openDoor('search-few')
    rows.push(
      ...(await askFew(few, await fill(few, FEW_RECORDS, { seed: SEED, routes: 2 }), found)),
    )
  } finally {
    await product.stop()
  }
  const baseline = await startBaseline()
  try {
    const door = await baseline.openDoor('search')
    rows.push(await askBaseline(door, await fill(door, BASELINE_RECORDS, { seed: SEED })))
  } finally {
    await baseline.stop()
  }
  printTable(HEADINGS, rows)
  printGoals(found)
}

await main()
