// Which codec the pages of a block are compressed with (docs/decisions/0005): bytes a record, records
// a second to seal, to search the message and the pattern column, and to read whole. Blocks of 8,192
// records are built from the corpus as the Sealer does; their pages are then compressed anew with
// each codec, and its time is set in place of the product's own. Below, the same columns written and
// read by hyparquet alone. Times are CPU of the one thread, so that a busy machine measures nearly
// the same. `node bench/codecs.ts [--quick]`

import {
  brotliCompressSync,
  brotliDecompressSync,
  constants,
  gunzipSync,
  gzipSync,
  zstdCompressSync,
  zstdDecompressSync,
} from 'node:zlib'
import { type DecodedArray, parquetMetadata, parquetRead } from 'hyparquet'
import { parquetHeader } from 'hyparquet/src/column.js'
import { snappyUncompress } from 'hyparquet/src/snappy.js'
import { ByteWriter, ParquetWriter } from 'hyparquet-writer'
import { snappyCompress } from 'hyparquet-writer/src/snappy.js'
import {
  type BlockFile,
  encodeBlock,
  type Needed,
  openBlock,
  readGroup,
} from '../src/block/parquet.ts'
import { choosePatterns } from '../src/block/pattern.ts'
import { decodeSegment, encodeSegment } from '../src/block/segment.ts'
import { type StoredBatch, storedSegment } from '../src/block/stored.ts'
import { decodeOtlpProtobuf } from '../src/ingest/otlp-protobuf.ts'
import { corpus } from './corpus.ts'
import { printTable } from './table.ts'

const SEED = 1
const RECORDS = 8192
const BLOCKS = 4
const READS = 5
const WARM_UP = 3
const ROUNDS = process.argv.includes('--quick') ? 5 : 25

interface Codec {
  pack(raw: Uint8Array): Uint8Array
  unpack(packed: Uint8Array, rawBytes: number): Uint8Array
}

/** Room for what does not shrink, as chunk-write.ts has it. */
const room = (raw: Uint8Array) => ({ chunkSize: raw.length + (raw.length >> 8) + 64 })

const gzip = (level: number): Codec => ({
  pack: (raw) => gzipSync(raw, { level, ...room(raw) }),
  unpack: (packed, rawBytes) => gunzipSync(packed, { chunkSize: Math.max(64, rawBytes + 1) }),
})
const brotli = (quality: number): Codec => ({
  pack: (raw) =>
    brotliCompressSync(raw, {
      params: { [constants.BROTLI_PARAM_QUALITY]: quality },
      ...room(raw),
    }),
  unpack: (packed, rawBytes) =>
    brotliDecompressSync(packed, { chunkSize: Math.max(64, rawBytes + 1) }),
})
const zstd = (level: number): Codec => ({
  pack: (raw) =>
    zstdCompressSync(raw, { params: { [constants.ZSTD_c_compressionLevel]: level }, ...room(raw) }),
  unpack: (packed, rawBytes) =>
    zstdDecompressSync(packed, { chunkSize: Math.max(64, rawBytes + 1) }),
})
const CODECS: Record<string, Codec> = {
  uncompressed: { pack: (raw) => raw, unpack: (packed) => packed },
  snappy: {
    pack: snappyCompress,
    unpack(packed, rawBytes) {
      const raw = new Uint8Array(rawBytes)
      snappyUncompress(packed, raw)
      return raw
    },
  },
  'gzip 1': gzip(1),
  'gzip 2': gzip(2),
  'gzip 4': gzip(4),
  'gzip 6': gzip(6),
  'brotli 1': brotli(1),
  'brotli 4': brotli(4),
  'zstd 1': zstd(1),
  'zstd 3': zstd(3),
}

/** What chunk-write.ts uses: the times of the whole hold it. */
const OWN = 'gzip 2'

/** A block's parts, anew each time: they remember their patterns. */
function partsOf(segments: Uint8Array[]): StoredBatch[] {
  let seq = 1
  return segments.map((bytes) => {
    const part = storedSegment(decodeSegment(bytes), seq, 1_793_500_000_000 + seq)
    seq += part.batch.length
    return part
  })
}

function segmentsOf(seed: number): Uint8Array[] {
  const requests = corpus({ seed, records: RECORDS, recordsPerRequest: 512 })
  return [...requests].map(({ protobuf }) => {
    const arrival = { receivedMs: 0, workspaceId: null, requestId: null }
    const decoded = decodeOtlpProtobuf(protobuf, arrival)
    if (!decoded.ok) throw new Error(decoded.error.message)
    return encodeSegment(decoded.data)
  })
}

interface Page {
  column: string
  raw: Uint8Array
}

/** The pages of a block, decompressed. Chunks too small for a codec stay as they are. */
function pagesOf(file: BlockFile): { pages: Page[]; otherBytes: number } {
  const pages: Page[] = []
  let otherBytes = file.bytes.length
  for (const [at, column] of file.names.entries()) {
    const place = file.chunks[0]![at]!
    if (!place.isGzip) continue
    const view = new DataView(file.bytes.buffer, file.bytes.byteOffset + place.start, place.bytes)
    const reader = { view, offset: 0 }
    while (reader.offset < place.bytes) {
      const { compressed_page_size: size } = parquetHeader(reader)
      const start = place.start + reader.offset
      pages.push({ column, raw: gunzipSync(file.bytes.subarray(start, start + size)) })
      reader.offset += size
      otherBytes -= size
    }
  }
  return { pages, otherBytes }
}

const times = new Map<string, number[]>()

/** Notes the CPU of this thread that one of `repeats` runs takes, ms. */
async function timed<T>(name: string, repeats: number, run: () => T): Promise<Awaited<T>> {
  const before = process.threadCpuUsage()
  let result = await run()
  for (let i = 1; i < repeats; i++) result = await run()
  const { user, system } = process.threadCpuUsage(before)
  const own = times.get(name) ?? []
  times.set(name, own)
  own.push((user + system) / 1000 / repeats)
  return result
}

/** The least of several runs would flatter, the mean suffers from what else the machine does. */
function median(name: string): number {
  const sorted = times.get(name)!.sort((a, b) => a - b)
  return sorted[sorted.length >> 1]!
}

type What = 'message' | 'pattern' | 'whole'
const WHATS: What[] = ['message', 'pattern', 'whole']
const NEEDED: Record<What, Needed | 'all'> = {
  message: { columns: new Set(['message']), attributes: [] },
  pattern: { columns: new Set(['pattern']), attributes: [] },
  whole: 'all',
}
/** What every read decodes. */
const ALWAYS = ['timestamp', 'received_time', 'seq']
const isIn = (what: What, column: string) =>
  what === 'whole' || column === what || ALWAYS.includes(column)

/** The columns of a block through hyparquet, without what gathers them from records. */
async function measureLibrary(block: Uint8Array): Promise<void> {
  const file = block.slice().buffer
  const metadata = parquetMetadata(file)
  const columns = new Map<string, DecodedArray>()
  const read = (names?: string[]) =>
    parquetRead({
      file,
      metadata,
      ...(names && { columns: names }),
      compressors: { GZIP: (packed) => gunzipSync(packed) },
      parsers: { timestampFromNanoseconds: (at) => at },
      onChunk: ({ columnName, columnData }) => columns.set(columnName, columnData),
    })
  await timed('library message', 1, () => read(['message', ...ALWAYS]))
  await timed('library whole', 1, () => read())
  const columnData = [...columns].map(([name, data]) => ({ name, data, offsetIndex: false }))
  const written = await timed('library write', 1, () => {
    const writer = new ByteWriter()
    const { schema } = metadata
    const compressors = { GZIP: CODECS[OWN]!.pack }
    const parquet = new ParquetWriter({
      writer,
      schema,
      codec: 'GZIP',
      compressors,
      statistics: false,
    })
    parquet.write({ columnData, rowGroupSize: RECORDS })
    parquet.finish()
    return writer.getBytes()
  })
  libraryBytes = written.length
}
let libraryBytes = 0

async function measure(segments: Uint8Array[], bytes: Map<string, number>): Promise<void> {
  const { parts, block } = await timed('seal', 1, async () => {
    const parts = partsOf(segments)
    choosePatterns(parts)
    return { parts, block: await encodeBlock(parts, 0, async () => {}) }
  })
  await timed('encode', 1, () => encodeBlock(parts, 0, async () => {}))
  await measureLibrary(block)
  const file = openBlock(block)
  for (const what of WHATS) await timed(what, READS, () => readGroup(file, 0, NEEDED[what]))
  const { pages, otherBytes } = pagesOf(file)
  for (const [name, codec] of Object.entries(CODECS)) {
    const packed = await timed(`${name} seal`, 1, () => pages.map(({ raw }) => codec.pack(raw)))
    for (const what of WHATS) {
      await timed(`${name} ${what}`, READS, () => {
        for (const [i, { column, raw }] of pages.entries()) {
          if (isIn(what, column)) codec.unpack(packed[i]!, raw.length)
        }
      })
    }
    const size = packed.reduce((sum, page) => sum + page.length, otherBytes)
    bytes.set(name, (bytes.get(name) ?? 0) + size)
  }
}

const sources = Array.from({ length: BLOCKS }, (_, i) => segmentsOf(SEED + i))
let bytes = new Map<string, number>()
for (let round = -WARM_UP; round < ROUNDS; round++) {
  if (round === 0) times.clear()
  bytes = new Map()
  for (const segments of sources) await measure(segments, bytes)
}

const perSecond = (name: string, what: What | 'seal') => {
  const ms = median(what) - median(`${OWN} ${what}`) + median(`${name} ${what}`)
  return Math.round((RECORDS / ms) * 1000).toLocaleString('en')
}
console.log(
  `codecs: ${BLOCKS} blocks of ${RECORDS} records from seed ${SEED}, CPU of one thread, median of ` +
    `${ROUNDS} rounds, Node ${process.version}\n`,
)
printTable(
  ['', 'B/record', 'pack ms', 'seal/s', 'message/s', 'pattern/s', 'whole/s'],
  Object.keys(CODECS).map((name) => [
    name,
    (bytes.get(name)! / BLOCKS / RECORDS).toFixed(1),
    median(`${name} seal`).toFixed(1),
    ...(['seal', 'message', 'pattern', 'whole'] as const).map((what) => perSecond(name, what)),
  ]),
)

const ms = (name: string) => median(name).toFixed(1)
console.log('\nthe same columns, ms a block\n')
printTable(
  ['', 'B/record', 'write', 'read message', 'read all'],
  [
    [
      'ours, from records to columns and back',
      (bytes.get(OWN)! / BLOCKS / RECORDS).toFixed(1),
      ms('encode'),
      ms('message'),
      ms('whole'),
    ],
    [
      'hyparquet, columns alone',
      (libraryBytes / RECORDS).toFixed(1),
      ms('library write'),
      ms('library message'),
      ms('library whole'),
    ],
  ],
)
