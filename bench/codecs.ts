// Which codec the pages of a block are compressed with (docs/decisions/0005): bytes a record, records
// a second to seal, to search the message and the pattern column, and to read whole. Blocks of 8,192
// records are built from the corpus as the Sealer does; their pages are then compressed anew with
// each codec, and its time is set in place of the product's own. `node bench/codecs.ts [--quick]`

import {
  brotliCompressSync,
  brotliDecompressSync,
  constants,
  gunzipSync,
  gzipSync,
  zstdCompressSync,
  zstdDecompressSync,
} from 'node:zlib'
import { parquetHeader } from 'hyparquet/src/column.js'
import { snappyUncompress } from 'hyparquet/src/snappy.js'
import { snappyCompress } from 'hyparquet-writer/src/snappy.js'
import { type BlockFile, encodeBlock, openBlock, readGroup } from '../src/block/parquet.ts'
import { choosePatterns } from '../src/block/pattern.ts'
import { decodeSegment, encodeSegment } from '../src/block/segment.ts'
import { type StoredBatch, storedSegment } from '../src/block/stored.ts'
import { decodeOtlpProtobuf } from '../src/ingest/otlp-protobuf.ts'
import { corpus } from './corpus.ts'
import { printTable } from './table.ts'

const SEED = 1
const RECORDS = 8192
const BLOCKS = 4
const WARM_UP = 2
const ROUNDS = process.argv.includes('--quick') ? 3 : 15
const CHUNK = { chunkSize: 1024 * 1024 }

interface Codec {
  pack(raw: Uint8Array): Uint8Array
  unpack(packed: Uint8Array, rawBytes: number): Uint8Array
}

const gzip = (level: number): Codec => ({
  pack: (raw) => gzipSync(raw, { level, ...CHUNK }),
  unpack: (packed, rawBytes) => gunzipSync(packed, { chunkSize: Math.max(64, rawBytes + 1) }),
})
const brotli = (quality: number): Codec => ({
  pack: (raw) =>
    brotliCompressSync(raw, { params: { [constants.BROTLI_PARAM_QUALITY]: quality }, ...CHUNK }),
  unpack: (packed, rawBytes) =>
    brotliDecompressSync(packed, { chunkSize: Math.max(64, rawBytes + 1) }),
})
const zstd = (level: number): Codec => ({
  pack: (raw) =>
    zstdCompressSync(raw, { params: { [constants.ZSTD_c_compressionLevel]: level }, ...CHUNK }),
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
  'gzip 3': gzip(3),
  'gzip 4': gzip(4),
  'gzip 6': gzip(6),
  'gzip 9': gzip(9),
  'brotli 1': brotli(1),
  'brotli 4': brotli(4),
  'zstd 1': zstd(1),
  'zstd 3': zstd(3),
}

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

const now = () => performance.now()
const times = new Map<string, number[]>()
function note(name: string, ms: number): void {
  const own = times.get(name) ?? []
  times.set(name, own)
  own.push(ms)
}
const median = (name: string) =>
  times.get(name)!.sort((a, b) => a - b)[times.get(name)!.length >> 1]!

function measureCodec(name: string, codec: Codec, pages: Page[], isCounted: boolean): number {
  let start = now()
  const packed = pages.map(({ raw }) => codec.pack(raw))
  const packMs = now() - start
  const unpack = (wants: (column: string) => boolean) => {
    start = now()
    for (const [i, { column, raw }] of pages.entries()) {
      if (wants(column)) codec.unpack(packed[i]!, raw.length)
    }
    return now() - start
  }
  const always = ['timestamp', 'received_time', 'seq']
  const messageMs = unpack((column) => column === 'message' || always.includes(column))
  const patternMs = unpack((column) => column === 'pattern' || always.includes(column))
  const allMs = unpack(() => true)
  if (isCounted) {
    note(`${name} pack`, packMs)
    note(`${name} message`, messageMs)
    note(`${name} pattern`, patternMs)
    note(`${name} all`, allMs)
  }
  return packed.reduce((sum, bytes) => sum + bytes.length, 0)
}

const sources = Array.from({ length: BLOCKS }, (_, i) => segmentsOf(SEED + i))
const bytes = new Map<string, number>()
for (let round = -WARM_UP; round < ROUNDS; round++) {
  for (const segments of sources) {
    const start = now()
    const parts = partsOf(segments)
    choosePatterns(parts)
    const block = await encodeBlock(parts, 0, async () => {})
    const sealMs = now() - start
    const file = openBlock(block)
    const read = (columns: ('message' | 'pattern')[] | 'all') => {
      const start = now()
      readGroup(file, 0, columns === 'all' ? 'all' : { columns: new Set(columns), attributes: [] })
      return now() - start
    }
    const [messageMs, patternMs, allMs] = [read(['message']), read(['pattern']), read('all')]
    if (round >= 0) {
      note('seal', sealMs)
      note('message', messageMs)
      note('pattern', patternMs)
      note('all', allMs)
    }
    const { pages, otherBytes } = pagesOf(file)
    for (const [name, codec] of Object.entries(CODECS)) {
      const packed = measureCodec(name, codec, pages, round >= 0)
      if (round === 0) bytes.set(name, (bytes.get(name) ?? 0) + packed + otherBytes)
    }
  }
}

/** The level chunk-write.ts uses: what its times already hold. */
const OWN = 'gzip 6'
const perSecond = (ms: number) => Math.round((RECORDS / ms) * 1000).toLocaleString('en')
const instead = (name: string, what: string, ownWhat = what) =>
  median(what) - median(`${OWN} ${ownWhat}`) + median(`${name} ${ownWhat}`)
console.log(
  `codecs: ${BLOCKS} blocks of ${RECORDS} records from seed ${SEED}, median of ${ROUNDS} rounds, ` +
    `Node ${process.version}\n`,
)
printTable(
  ['', 'B/record', 'pack ms', 'seal/s', 'message/s', 'pattern/s', 'whole/s'],
  Object.keys(CODECS).map((name) => [
    name,
    (bytes.get(name)! / BLOCKS / RECORDS).toFixed(1),
    median(`${name} pack`).toFixed(1),
    perSecond(instead(name, 'seal', 'pack')),
    perSecond(instead(name, 'message')),
    perSecond(instead(name, 'pattern')),
    perSecond(instead(name, 'all')),
  ]),
)
