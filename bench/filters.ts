// The token filters and the detail of sealed blocks: how large, how often wrong, how long to make and
// to ask. Blocks hold 8,192 records of the corpus each, 64 (16 with --quick); the catalog that is
// asked has 610 of them, so some repeat, as 5 M records make. Times are CPU, that of the collector's
// threads included: a busy machine changes them less. `node bench/filters.ts [--quick]`

import { randomBytes } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'
import type { BlockDetail } from '../src/block/detail.ts'
import { decodeDetail } from '../src/block/detail-wire.ts'
import { mayContain, sliceOf } from '../src/block/filter.ts'
import { sealBlocks } from '../src/block/seal.ts'
import type { SealedBlock } from '../src/block/sealed.ts'
import { decodeSegment, encodeSegment } from '../src/block/segment.ts'
import { type StoredBatch, storedSegment } from '../src/block/stored.ts'
import { idToken, tokensOf, wordToken } from '../src/block/tokens.ts'
import { decodeOtlpProtobuf } from '../src/ingest/otlp-protobuf.ts'
import { countByCatalog } from '../src/prune/catalog-count.ts'
import type { PruneSource } from '../src/prune/facts.ts'
import { preparePrune, prune } from '../src/prune/prune.ts'
import { attributeIs, columnIs, type Filter, levelIn, textIs } from '../src/query/filter.ts'
import { corpus } from './corpus.ts'
import { printTable } from './table.ts'

const RECORDS = 8192
const BLOCKS = process.argv.includes('--quick') ? 16 : 64
const CATALOG_BLOCKS = 610
const QUESTIONS = 2000
const NEEDLES = 20
const COUNT = { kind: 'count' } as const

const noPause = async () => {}
/** CPU ms of this process so far. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!
const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
const lengthOf = (slices: Uint8Array[]) => slices.reduce((sum, slice) => sum + slice.length, 0)
const percent = (share: number) => `${(100 * share).toFixed(3)} %`

function* batches(): Generator<StoredBatch> {
  const arrival = { receivedMs: 0, workspaceId: null, requestId: null }
  const options = { seed: 1, records: BLOCKS * RECORDS, recordsPerRequest: RECORDS }
  let seq = 1
  for (const { protobuf } of corpus(options)) {
    const decoded = decodeOtlpProtobuf(protobuf, arrival)
    if (!decoded.ok) throw new Error(decoded.error.message)
    // As the Sealer gets them.
    yield storedSegment(decodeSegment(encodeSegment(decoded.data)), seq, 0)
    seq += RECORDS
  }
}

const blocks: SealedBlock[] = []
const tokenMs: number[] = []
const sealMs: number[] = []
const tokenCounts: { ids: number; words: number }[] = []
const traces: string[] = []
for (const batch of batches()) {
  const start = cpuMs()
  const tokens = await tokensOf([batch], noPause)
  const middle = cpuMs()
  blocks.push(...(await sealBlocks([batch], 0, noPause)))
  tokenMs.push(middle - start)
  sealMs.push(cpuMs() - middle)
  tokenCounts.push({ ids: tokens.ids.size, words: tokens.words.size })
  traces.push(batch.batch.text.trace_id[RECORDS / 2]!)
}

const blockBytes = mean(blocks.map(({ bytes }) => bytes.length))
const sizeRow = (name: string, bytes: number, more: string[]) => [
  name,
  `${(bytes / 1024).toFixed(1)} KiB`,
  (bytes / RECORDS).toFixed(2),
  percent(bytes / blockBytes),
  ...more,
]
/** The share of absent tokens that a filter takes for present. */
function wrongShare(filter: 'ids' | 'words'): number {
  let wrong = 0
  for (const block of blocks) {
    const slices = block[filter]
    for (let i = 0; i < QUESTIONS; i++) {
      const text = randomBytes(16).toString('hex')
      const token = filter === 'ids' ? idToken('trace_id', text) : wordToken(text)
      if (mayContain(slices[sliceOf(token, slices.length)]!, token)) wrong++
    }
  }
  return wrong / (QUESTIONS * blocks.length)
}
const filterRow = (filter: 'ids' | 'words') => {
  const bytes = mean(blocks.map((block) => lengthOf(block[filter])))
  const tokens = mean(tokenCounts.map((counts) => counts[filter]))
  const slices = mean(blocks.map((block) => block[filter].length))
  const bits = (bytes * 8) / tokens
  const more = [tokens.toFixed(0), bits.toFixed(1), slices.toFixed(1), percent(wrongShare(filter))]
  return sizeRow(filter, bytes, more)
}
printTable(
  ['a block', 'bytes', 'a record', 'of Parquet', 'tokens', 'bits each', 'rows', 'wrongly yes'],
  [
    sizeRow('Parquet', blockBytes, ['', '', '', '']),
    filterRow('ids'),
    filterRow('words'),
    sizeRow('detail', mean(blocks.map(({ detail }) => detail.length)), ['', '', '1', '']),
  ],
)
console.log(
  `\ntokens of a block: ${median(tokenMs).toFixed(1)} CPU ms, sealing it whole: ${median(sealMs).toFixed(1)} (medians)\n`,
)

const db = new DatabaseSync(':memory:')
db.exec('create table block_filter (id integer primary key, bits blob not null)')
db.exec('create table block_detail (id integer primary key, detail blob not null)')
db.exec('create table pattern (id text primary key, text text not null) without rowid')
const insert = db.prepare('insert into block_filter values (?, ?)')
const insertDetail = db.prepare('insert into block_detail values (?, ?)')
const insertPattern = db.prepare('insert or ignore into pattern values (?, ?)')
const keyOf = (id: number, filter: 'ids' | 'words', slice: number) =>
  id * 128 + (filter === 'words' ? 64 : 0) + slice
for (let id = 0; id < CATALOG_BLOCKS; id++) {
  const block = blocks[id % blocks.length]!
  for (const filter of ['ids', 'words'] as const) {
    for (const [i, slice] of block[filter].entries()) insert.run(keyOf(id, filter, i), slice)
  }
  insertDetail.run(id, block.detail)
  for (const pattern of block.patterns) insertPattern.run(pattern.id, pattern.text)
}

const selectSlice = db.prepare('select bits from block_filter where id = ?')
const selectDetail = db.prepare('select detail from block_detail where id = ?')
const selectPattern = db.prepare('select text from pattern where id = ?')
function sourceOf(id: number): PruneSource {
  let detail: BlockDetail | null = null
  return {
    filterSlice: (filter, hash) => {
      const count = blocks[id % blocks.length]![filter].length
      if (count === 0) return null
      return selectSlice.get(keyOf(id, filter, sliceOf(hash, count)))!.bits as Uint8Array
    },
    detail: () => {
      detail ??= decodeDetail(selectDetail.get(id)!.detail as Uint8Array)
      return detail
    },
    patternText: (pattern) => String(selectPattern.get(pattern)!.text),
  }
}

/** Asks all blocks of the catalog; medians of several rounds. */
function ask(name: string, filterOf: (round: number) => Filter): string[] {
  const ms: number[] = []
  const opened: number[] = []
  const counted: number[] = []
  for (let round = 0; round < NEEDLES; round++) {
    const start = cpuMs()
    const prepared = preparePrune({ filter: filterOf(round), since: null, until: null })
    let open = 0
    let exact = 0
    for (let id = 0; id < CATALOG_BLOCKS; id++) {
      const { summary } = blocks[id % blocks.length]!
      const source = sourceOf(id)
      if (prune(prepared, summary, source) !== 'open') continue
      if (countByCatalog(prepared, summary, source, COUNT) === null) open++
      else exact++
    }
    ms.push(cpuMs() - start)
    opened.push(open)
    counted.push(exact)
  }
  return [name, median(ms).toFixed(1), mean(opened).toFixed(2), mean(counted).toFixed(2)]
}
const words = (text: string) => textIs('message', { is: 'phrase', text })
const copies = (CATALOG_BLOCKS / BLOCKS).toFixed(1)
printTable(
  [`asked of ${CATALOG_BLOCKS} blocks`, 'CPU ms', 'to open', 'counted'],
  [
    ask('a trace id that is in none', () => columnIs('trace_id', randomBytes(16).toString('hex'))),
    ask(`a trace id that is in one and its ${copies} copies`, (round) =>
      columnIs('trace_id', traces[round % traces.length]!),
    ),
    ask('a word that is in none', () => words(randomBytes(8).toString('hex'))),
    ask('an address that is no column', (round) =>
      attributeIs('client.address', `10.77.${round}.251`),
    ),
    ask('words that are in all, in this order in none', () => words('peer by')),
    ask('level error', () => levelIn(16)),
    ask('service billing', () => columnIs('service', 'billing')),
    ask('a phrase of letters', () => words('connection reset by peer')),
  ],
)
