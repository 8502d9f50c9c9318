// Sealing and reading blocks, in this process: the work of the Sealer and of a query's scan, without
// storage and calls between them. The baseline is the same records as JSON lines in gzip, which is
// what an archive of logs mostly is. `node bench/seal.ts [--quick]`
//
// Every search is checked: it must find what a plain look at all messages finds.

import { gunzipSync, gzipSync } from 'node:zlib'
import { decodeDetail } from '../src/block/detail-wire.ts'
import { openBlock, readGroup } from '../src/block/parquet.ts'
import { sealBlocks } from '../src/block/seal.ts'
import type { SealedBlock } from '../src/block/sealed.ts'
import { decodeSegment, encodeSegments } from '../src/block/segment.ts'
import { type StoredBatch, storedSegment } from '../src/block/stored.ts'
import { decodeOtlpProtobuf } from '../src/ingest/otlp-protobuf.ts'
import { Matcher } from '../src/match/scan.ts'
import { recordView } from '../src/match/view.ts'
import { countByCatalog } from '../src/prune/catalog-count.ts'
import type { PruneSource } from '../src/prune/facts.ts'
import { preparePrune } from '../src/prune/prune.ts'
import { planFilter, type RecordFilter } from '../src/query/parameters.ts'
import { corpus } from './corpus.ts'
import { printGoals } from './goals.ts'
import { fixed, isQuick, median, sum, times, whole } from './numbers.ts'
import { printTable } from './table.ts'

const SEED = 1
const RECORDS = 8192
const BLOCKS = isQuick ? 6 : 24
const WARM_UP = 6
const SEAL_ROUNDS = 3
const ROUNDS = isQuick ? 5 : 15
const RECEIVED_MS = Date.UTC(2026, 10, 2)
/** As the Sealer: it gives way at the first pause after this long. */
const SLICE_MS = 8

type Segments = Uint8Array[]

/** The segments of each block's records, as the door makes them of requests of this many records. */
function* segmentsOf(recordsPerRequest: number, routes?: number): Generator<Segments> {
  const records = (WARM_UP + BLOCKS) * RECORDS
  const some = routes === undefined ? {} : { routes }
  let segments: Segments = []
  let held = 0
  for (const request of corpus({ seed: SEED, records, recordsPerRequest, ...some })) {
    const arrival = { receivedMs: RECEIVED_MS, workspaceId: null, requestId: null }
    const decoded = decodeOtlpProtobuf(request.protobuf, arrival)
    if (!decoded.ok) throw new Error(decoded.error.message)
    segments.push(...encodeSegments(decoded.data).map(({ bytes }) => bytes))
    held += request.records.length
    if (held < RECORDS) continue
    yield segments
    segments = []
    held = 0
  }
}

// Sealing.

interface Sealing {
  ms: number
  cpuMs: number
  /** How long nothing else on the thread could run, at most. */
  stretchMs: number
  blocks: SealedBlock[]
}

async function seal(segments: Segments, firstSeq: number): Promise<Sealing> {
  const cpu = process.cpuUsage()
  const startedMs = performance.now()
  let sliceMs = startedMs
  let stretchMs = 0
  const pause = async () => {
    const now = performance.now()
    stretchMs = Math.max(stretchMs, now - sliceMs)
    if (now - sliceMs >= SLICE_MS) sliceMs = now
  }
  const parts: StoredBatch[] = []
  let seq = firstSeq
  for (const bytes of segments) {
    const batch = decodeSegment(bytes)
    parts.push(storedSegment(batch, seq, RECEIVED_MS))
    seq += batch.length
    await pause()
  }
  const blocks = await sealBlocks(parts, 0, pause)
  await pause()
  const { user, system } = process.cpuUsage(cpu)
  const ms = performance.now() - startedMs
  return { ms, cpuMs: (user + system) / 1000, stretchMs, blocks }
}

/** Each block is sealed SEAL_ROUNDS times and its least times count: others use the machine too. */
async function sealAll(all: Segments[]): Promise<Sealing[]> {
  const best: Sealing[] = []
  for (let round = 0; round < SEAL_ROUNDS; round++) {
    for (const [i, segments] of all.entries()) {
      const sealing = await seal(segments, i * RECORDS + 1)
      const before = best[i] ?? sealing
      best[i] = {
        ms: Math.min(before.ms, sealing.ms),
        cpuMs: Math.min(before.cpuMs, sealing.cpuMs),
        stretchMs: Math.min(before.stretchMs, sealing.stretchMs),
        blocks: sealing.blocks,
      }
    }
  }
  return best.slice(WARM_UP)
}

const bytesPerRecord = (sealings: Sealing[], of: (block: SealedBlock) => number) =>
  sum(sealings.flatMap(({ blocks }) => blocks).map(of)) / (sealings.length * RECORDS)
const lengths = (slices: Uint8Array[]) => sum(slices.map((slice) => slice.length))
const filtersOf = (block: SealedBlock) => lengths(block.ids) + lengths(block.words)

function sealingRow(name: string, sealings: Sealing[]): string[] {
  const file = bytesPerRecord(sealings, (block) => block.bytes.length)
  const filters = bytesPerRecord(sealings, filtersOf)
  const detail = bytesPerRecord(sealings, (block) => block.detail.length)
  return [
    name,
    whole((RECORDS / median(sealings.map(({ ms }) => ms))) * 1000),
    fixed((median(sealings.map(({ cpuMs }) => cpuMs)) / RECORDS) * 1000, 2),
    fixed(median(sealings.map(({ stretchMs }) => stretchMs)), 1),
    fixed(longestOf(sealings), 1),
    ...[file, filters, detail, file + filters + detail].map((bytes) => fixed(bytes, 1)),
  ]
}

const longestOf = (sealings: Sealing[]) => Math.max(...sealings.map(({ stretchMs }) => stretchMs))

// The baseline.

interface Lines {
  ms: number
  cpuMs: number
  bytes: Uint8Array
}

function linesOf(segments: Segments, firstSeq: number): Lines {
  const cpu = process.cpuUsage()
  const startedMs = performance.now()
  const lines: string[] = []
  for (const bytes of segments) {
    const batch = decodeSegment(bytes)
    for (let row = 0; row < batch.length; row++) {
      lines.push(JSON.stringify(recordView(batch, row, 0, firstSeq + lines.length)))
    }
  }
  const bytes = gzipSync(lines.join('\n'))
  const { user, system } = process.cpuUsage(cpu)
  return { ms: performance.now() - startedMs, cpuMs: (user + system) / 1000, bytes }
}

function linesRow(all: Lines[]): string[] {
  const bytes = sum(all.map((one) => one.bytes.length)) / (all.length * RECORDS)
  return [
    'baseline: JSON lines, gzip 6',
    whole((RECORDS / median(all.map(({ ms }) => ms))) * 1000),
    fixed((median(all.map(({ cpuMs }) => cpuMs)) / RECORDS) * 1000, 2),
    ...[fixed(median(all.map(({ ms }) => ms)), 1), '', fixed(bytes, 1), '', '', fixed(bytes, 1)],
  ]
}

// Reading. One run of a subject is a query over all blocks; it gives how many records it found.

function filterOf(filter: Record<string, string>): RecordFilter {
  const planned = planFilter(filter, RECEIVED_MS)
  if (!planned.ok) throw new Error(planned.error.message)
  return planned.data
}

/** As tenant/scanner.ts scans: the columns that are asked about, messages where only they can tell. */
function search(blocks: SealedBlock[], filter: RecordFilter): number {
  const matcher = new Matcher(filter)
  let found = 0
  for (const { bytes } of blocks) {
    const file = openBlock(bytes)
    for (const group of file.groups.keys()) {
      const stored = readGroup(file, group, matcher.needed)
      const rows = Array.from(new Uint16Array(stored.batch.length).keys())
      const { sure, look } = matcher.sieve(stored, rows)
      found += sure.length
      if (look.length > 0) found += matcher.look(stored, look).length
    }
  }
  return found
}

const MESSAGES = { columns: new Set(['message'] as const), attributes: [] }
const PATTERNS = { columns: new Set(['pattern'] as const), attributes: [] }

/** How many texts there are; messages and patterns are decoded when they are read. */
function decode(
  blocks: SealedBlock[],
  needed: Parameters<typeof readGroup>[2],
  read: (stored: StoredBatch) => unknown[] | null,
): number {
  let rows = 0
  for (const { bytes } of blocks) {
    const file = openBlock(bytes)
    for (const group of file.groups.keys()) {
      rows += read(readGroup(file, group, needed))?.length ?? 0
    }
  }
  return rows
}

/** What the catalog counts without opening a block; throws where it can not. */
function count(blocks: SealedBlock[], texts: Map<string, string>, filter: RecordFilter): number {
  const prepared = preparePrune(filter)
  let found = 0
  for (const { summary, detail } of blocks) {
    const source: PruneSource = {
      filterSlice: () => null,
      detail: () => decodeDetail(detail),
      patternText: (id) => texts.get(id) ?? null,
    }
    const counted = countByCatalog(prepared, summary, source, { kind: 'count' })
    if (counted === null) throw new Error('the catalog can not count this')
    found += counted.records
  }
  return found
}

/** The text as it stands, in any line: less than a word search has to do. */
function grep(all: Uint8Array[], text: string): number {
  let found = 0
  for (const bytes of all) {
    const lines = gunzipSync(bytes).toString()
    for (let at = lines.indexOf(text); at >= 0; at = lines.indexOf(text, at + 1)) found++
  }
  return found
}

interface Subject {
  name: string
  run: () => number
  /** What it must find. */
  expected: number
}

function measureReading(subjects: Subject[]): Map<string, number> {
  const all = new Map(subjects.map(({ name }) => [name, [] as number[]]))
  for (let round = -2; round < ROUNDS; round++) {
    for (const { name, run, expected } of subjects) {
      const startedMs = performance.now()
      const found = run()
      const ms = performance.now() - startedMs
      if (found !== expected) throw new Error(`${name} found ${found}, not ${expected}`)
      if (round >= 0) all.get(name)!.push(ms)
    }
  }
  return new Map([...all].map(([name, ms]) => [name, median(ms)]))
}

/** Decided by the template's own text, and not: digits may stand in any variable. */
const DECIDED = 'authenticated'
const UNDECIDED = '5000'
const PHRASE = '"gave up after"'

async function main() {
  const large = [...segmentsOf(RECORDS)]
  const small = [...segmentsOf(512)]
  const few = [...segmentsOf(RECORDS, 2)]
  const ofLarge = await sealAll(large)
  const ofSmall = await sealAll(small)
  const blocks = ofLarge.flatMap((one) => one.blocks)
  const fewBlocks = (await sealAll(few)).flatMap((one) => one.blocks)
  const lines = large.map((segments) => linesOf(segments, 1)).slice(WARM_UP)
  console.log(
    `seal: ${BLOCKS} blocks of ${RECORDS} records from seed ${SEED}, medians of blocks, each the best ` +
      `of ${SEAL_ROUNDS}; Node ${process.version}\n`,
  )
  printTable(
    [
      ...['from requests of', 'records/s', 'CPU s/M', 'longest stretch ms', 'of all blocks'],
      ...['B/record: file', 'filters', 'detail', 'all'],
    ],
    [sealingRow('8,192', ofLarge), sealingRow('512', ofSmall), linesRow(lines)],
  )

  const subjects = subjectsOf(blocks, fewBlocks, { large, few, lines })
  const ms = measureReading(subjects)
  const perSecond = (name: string) => ((BLOCKS * RECORDS) / ms.get(name)!) * 1000
  const baseline = ms.get(GREP)!
  console.log(`\nreading all ${whole(BLOCKS * RECORDS)} records, median of ${ROUNDS} rounds\n`)
  printTable(
    ['', 'ms', 'records/s', 'times baseline', 'found'],
    subjects.map(({ name, expected }) => [
      name,
      fixed(ms.get(name)!, 1),
      whole(perSecond(name)),
      times(baseline / ms.get(name)!),
      whole(expected),
    ]),
  )
  printGoals({
    stretch: Math.max(longestOf(ofLarge), longestOf(ofSmall)),
    scanText: perSecond(SCAN),
    scanPatterns: perSecond(BY_PATTERN),
  })
}

const SCAN = `q=${UNDECIDED}: messages are looked through`
const BY_PATTERN = `q=${DECIDED}: patterns decide, the column is read`
const GREP = `baseline: ${UNDECIDED} in JSON lines, gzip`

function subjectsOf(
  blocks: SealedBlock[],
  fewBlocks: SealedBlock[],
  { large, few, lines }: { large: Segments[]; few: Segments[]; lines: Lines[] },
): Subject[] {
  const all = BLOCKS * RECORDS
  const texts = new Map(fewBlocks.flatMap(({ patterns }) => patterns).map((p) => [p.id, p.text]))
  const packed = lines.map(({ bytes }) => bytes)
  const found = (source: Segments[], filter: RecordFilter) => plainly(source.slice(WARM_UP), filter)
  const [scan, decided, phrase] = [UNDECIDED, DECIDED, PHRASE].map((q) => filterOf({ q }))
  const user = filterOf({ user_id: 'u0' })
  return [
    { name: SCAN, run: () => search(blocks, scan!), expected: found(large, scan!) },
    {
      name: `q=${PHRASE}: messages of rare patterns are`,
      run: () => search(blocks, phrase!),
      expected: found(large, phrase!),
    },
    { name: BY_PATTERN, run: () => search(fewBlocks, decided!), expected: found(few, decided!) },
    {
      name: `q=${DECIDED}: counted by the catalog`,
      run: () => count(fewBlocks, texts, decided!),
      expected: found(few, decided!),
    },
    { name: 'user_id=u0', run: () => search(blocks, user), expected: found(large, user) },
    {
      name: 'messages decoded',
      run: () => decode(blocks, MESSAGES, ({ batch }) => batch.message),
      expected: all,
    },
    {
      name: 'patterns decoded',
      run: () => decode(blocks, PATTERNS, ({ patterns }) => patterns),
      expected: all,
    },
    {
      name: 'all decoded',
      run: () => decode(blocks, 'all', ({ batch }) => batch.message),
      expected: all,
    },
    { name: GREP, run: () => grep(packed, UNDECIDED), expected: grep(packed, UNDECIDED) },
  ]
}

/** How many records match, asked of the segments, which know no patterns. */
function plainly(all: Segments[], filter: RecordFilter): number {
  const matcher = new Matcher(filter)
  let found = 0
  for (const bytes of all.flat()) {
    const stored = storedSegment(decodeSegment(bytes), 1, RECEIVED_MS)
    const rows = Array.from(new Uint16Array(stored.batch.length).keys())
    found += matcher.rows(stored, rows).length
  }
  return found
}

await main()
