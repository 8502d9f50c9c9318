// Questions over HTTP of an app that holds some hundred thousand records or a few million, all of them
// sealed: first hot, in a bare workerd; then in the archive, as `npm start` runs it, with R2 on this
// machine's disk:
//
//   node bench/search.ts [--quick] [--hot | --cold] [5000000]
//
// The number is how many records; 500,000 without one. Every answer is checked against what was sent
// (questions.ts). Beside the trace id stands a row per log with its index. What is printed stands in
// README.md as it is.

import { clientOf } from '../test/process/client.ts'
import { startCollector } from '../test/process/collector.ts'
import { corpus, type StreamOptions } from './corpus.ts'
import { type Found, printGoals, printOthers } from './goals.ts'
import { fewLogqlQuestionsOf, logqlQuestionsOf } from './logql-questions.ts'
import { fixed, isQuick, median, numbersGiven, quantile, whole } from './numbers.ts'
import { contextOf, fewQuestionsOf, NAMES, type Question, questionsOf } from './questions.ts'
import { sendAll } from './send.ts'
import { rareUserOf, Sent } from './sent.ts'
import { printTable } from './table.ts'
import {
  type Answer,
  type BaselineDoor,
  type Door,
  openProductDoor,
  type ProductDoor,
  startBaseline,
  startProduct,
} from './targets.ts'

const RECORDS = numbersGiven[0] ?? (isQuick ? 100_000 : 500_000)
/** Of the second app, whose messages have so few patterns that its blocks keep them all. */
const FEW_RECORDS = Math.min(RECORDS, 500_000)
const BASELINE_RECORDS = Math.min(RECORDS, 500_000)
const EXPORTED = Math.min(RECORDS, 200_000)
const PER_REQUEST = 8192
const SEED = 5
/** A question is asked so often, or at least thrice until its time is over. */
const REPEATS = isQuick ? 5 : 15
const REPEATS_MIN = 3
const TIME_MS = isQuick ? 1000 : 4000
const WARM_UP = 3
const HAS_HOT = !process.argv.includes('--cold')
const HAS_COLD = !process.argv.includes('--hot')

interface Asked {
  question: Question
  records: number
  found: number
  answer: Answer
  times: Times
}

interface Times {
  /** What the caller waited, ascending. */
  wallMs: number[]
  /** Of the whole product, a question; NaN where it is not known. */
  cpuMs: number
}

/** CPU seconds that were spent so far. */
type Cpu = () => number

interface Asking {
  door: ProductDoor
  cpu: Cpu
}

/** Sends a corpus, remembers what it was, and waits until the door has nothing left to do with it. */
async function fill(door: Door, records: number, options: StreamOptions): Promise<Sent> {
  const sent = new Sent(records, rareUserOf(options.seed))
  const requests = corpus({ ...options, records, recordsPerRequest: PER_REQUEST })
  await sendAll(door, requests, (request) => sent.note(request))
  await door.settle()
  return sent
}

/** Times of `run` after the first few; those of a slow one are fewer. */
async function timesOf(cpu: Cpu, run: () => Promise<void>): Promise<Times> {
  const wallMs: number[] = []
  for (let spentMs = 0, i = 0; i < WARM_UP && spentMs < TIME_MS / 4; i++) {
    const startedMs = performance.now()
    await run()
    spentMs += performance.now() - startedMs
  }
  const cpuBefore = cpu()
  for (let spentMs = 0; wallMs.length < REPEATS; ) {
    if (wallMs.length >= REPEATS_MIN && spentMs > TIME_MS) break
    const startedMs = performance.now()
    await run()
    const ms = performance.now() - startedMs
    wallMs.push(ms)
    spentMs += ms
  }
  const cpuMs = ((cpu() - cpuBefore) * 1000) / wallMs.length
  return { wallMs: wallMs.sort((a, b) => a - b), cpuMs }
}

async function ask({ door, cpu }: Asking, question: Question, records: number): Promise<Asked> {
  const { path, parameters } = question
  let answer: Answer | null = null
  const times = await timesOf(cpu, async () => {
    answer = await door.query(path, parameters)
  })
  return { question, records, found: question.check(answer!), answer: answer!, times }
}

async function askAll(asking: Asking, questions: Question[], sent: Sent): Promise<Asked[]> {
  const all: Asked[] = []
  for (const question of questions) all.push(await ask(asking, question, sent.records))
  return all
}

async function askCorpus(asking: Asking, sent: Sent): Promise<Asked[]> {
  const { middle, trace } = sent
  const { logs } = await asking.door.query('logs', { trace_id: trace.id })
  const time = String(middle[middle.length >> 1]!.timeNs)
  const { id } = logs!.find((log) => log.time_unix_nano === time)!
  const questions = [...questionsOf(sent), contextOf(sent, id), ...logqlQuestionsOf(sent)]
  return askAll(asking, questions, sent)
}

const HEADINGS = [
  ...['', 'found', 'blocks', 'opened', 'rows', 'bytes read'],
  ...['p50 ms', 'p95 ms', 'CPU ms', 'M records/s'],
]

function rowOf({ question, records, found, answer, times }: Asked): string[] {
  const { blocks, bytes, rows } = answer.stats
  const ms = median(times.wallMs)
  const speed = blocks.opened === 0 ? 'catalog' : fixed(records / ms / 1000, 2)
  return [
    question.name,
    whole(found),
    whole(blocks.considered),
    whole(blocks.opened),
    whole(rows),
    whole(bytes),
    ...shownTimes(times),
    question.reach === 'all' ? speed : '',
  ]
}

const shownTimes = ({ wallMs, cpuMs }: Times) => [
  fixed(median(wallMs), 1),
  fixed(quantile(wallMs, 0.95), 1),
  fixed(cpuMs, 0),
]

/** An export tells no stats: the clock and the lines are all there is. */
async function exportRow({ door, cpu }: Asking): Promise<string[]> {
  let size = { lines: 0, bytes: 0 }
  const times = await timesOf(cpu, async () => {
    size = await door.export({ limit: `${EXPORTED}` })
  })
  if (size.lines !== EXPORTED) throw new Error(`${size.lines} lines, not ${EXPORTED}`)
  const speed = fixed(EXPORTED / median(times.wallMs) / 1000, 3)
  const name = `export of ${whole(EXPORTED)}, NDJSON`
  return [name, whole(size.lines), '', '', '', '', ...shownTimes(times), speed]
}

/** The trace id by the index of a row per log. */
async function baselineRow(door: BaselineDoor, cpu: Cpu, sent: Sent): Promise<string[]> {
  const { id, records } = sent.trace
  const times = await timesOf(cpu, async () => {
    const found = await door.trace(id)
    if (found !== records) throw new Error(`the baseline found ${found}, not ${records}`)
  })
  const name = `baseline of ${whole(sent.records)}: a trace id, by its index`
  return [name, whole(records), '', '', '', '', ...shownTimes(times), '']
}

function goalsOf(all: Asked[], few: Asked[]): Found {
  const of = (name: string) => all.find(({ question }) => question.name === name)!
  const opened = ({ answer }: Asked) => answer.stats.blocks.opened
  const perSecond = (asked: Asked) => (asked.records / median(asked.times.wallMs)) * 1000
  const isDecided = ({ question }: Asked) => question.path === 'logs/count'
  return {
    needleBlocks: opened(of(NAMES.trace)),
    needleMs: median(of(NAMES.trace).times.wallMs),
    histogramBlocks: opened(of(NAMES.byLevel)),
    patternBlocks: Math.max(...few.filter(isDecided).map(opened)),
    scanTextHttp: perSecond(of(NAMES.scanned)),
    scanPatternsHttp: perSecond(of(NAMES.decided)),
  }
}

async function askHot(): Promise<void> {
  const product = await startProduct()
  const baseline = await startBaseline()
  try {
    const door = await product.openDoor('search')
    const startedMs = performance.now()
    const cpuBefore = product.cpuSeconds()
    const sent = await fill(door, RECORDS, { seed: SEED })
    const seconds = (performance.now() - startedMs) / 1000
    const cpu = ((product.cpuSeconds() - cpuBefore) / RECORDS) * 1e6
    const held = await door.holdings()
    const { rowsWritten } = await door.storage()
    const asking = { door, cpu: product.cpuSeconds }
    const all = await askCorpus(asking, sent)
    const rows = [...all.map(rowOf), await exportRow(asking)]
    const few = await product.openDoor('search-few')
    const fewSent = await fill(few, FEW_RECORDS, { seed: SEED, routes: 2 })
    const fewQuestions = [...fewQuestionsOf(fewSent), ...fewLogqlQuestionsOf(fewSent)]
    const fewAsked = await askAll({ ...asking, door: few }, fewQuestions, fewSent)
    rows.push(...fewAsked.map(rowOf))
    const rowPerLog = await baseline.openDoor('search')
    const rowSent = await fill(rowPerLog, BASELINE_RECORDS, { seed: SEED })
    rows.push(await baselineRow(rowPerLog, baseline.cpuSeconds, rowSent))
    console.log(
      `${whole(RECORDS)} records, all hot, ${whole(PER_REQUEST)} a request; few patterns: ` +
        `${whole(FEW_RECORDS)}. Taken and sealed in ${fixed(seconds, 0)} s with ` +
        `${fixed(cpu, 1)} CPU s per million; ${fixed(held.database_bytes / RECORDS, 1)} bytes a ` +
        `record in the database, ${fixed(held.bytes / RECORDS, 1)} of them Parquet; ` +
        `${(rowsWritten / RECORDS).toPrecision(2)} rows a record.\n`,
    )
    printTable(HEADINGS, rows)
    printGoals(goalsOf(all, fewAsked))
    printOthers(
      all.map(({ question, records, times }) => ({
        name: question.name,
        ms: median(times.wallMs),
        records: question.reach === 'all' ? records : null,
      })),
    )
  } finally {
    await product.stop()
    await baseline.stop()
  }
}

/** The same questions when all is in the archive. */
async function askCold(): Promise<void> {
  const collector = await startCollector()
  try {
    const client = clientOf(collector.url, collector.adminKey)
    const door = await openProductDoor(collector.url, client, 'search')
    // A flush seals and archives all.
    const sent = await fill(door, RECORDS, { seed: SEED })
    const { blocks } = await door.holdings()
    if (blocks.some(({ tier }) => tier === 'hot')) throw new Error('a block stayed hot')
    const asking = { door, cpu: () => Number.NaN }
    const all = await askCorpus(asking, sent)
    const objects = blocks.reduce((sum, tier) => sum + tier.blocks, 0)
    const bytes = blocks.reduce((sum, tier) => sum + tier.bytes, 0)
    const rows = all.map((asked) => [...rowOf(asked), whole(asked.answer.stats.r2_reads)])
    rows.push([...(await exportRow(asking)), ''])
    console.log(
      `\n${whole(RECORDS)} records, all in the archive: ${whole(objects)} objects of ` +
        `${whole(bytes)} bytes.\n`,
    )
    printTable([...HEADINGS, 'R2 reads'], rows)
  } finally {
    await collector.stop()
  }
}

if (HAS_HOT) await askHot()
if (HAS_COLD) await askCold()
