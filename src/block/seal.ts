// Records to sealed blocks: the Parquet file, and all that the catalog will know of it. Pure, and the
// same parts give the same blocks, so work that was lost is done again.

import { ROW_BYTES_MAX } from '../limits.ts'
import type { RecordBatch } from '../record.ts'
import { bug } from '../result.ts'
import { buildDetail } from './detail.ts'
import { encodeDetail } from './detail-wire.ts'
import { buildFilter } from './filter.ts'
import { encodeBlock } from './parquet.ts'
import { choosePatternsInSteps, patternId } from './pattern.ts'
import type { SealedBlock } from './sealed.ts'
import { keepRows, recordBytes, type StoredBatch } from './stored.ts'
import { mergeSummaries, summarize } from './summary.ts'
import { type BlockTokens, tokensOf } from './tokens.ts'

/** Both filters together, of the Parquet file's bytes: they are read and paid for like the records. */
const FILTERS_SHARE = 0.1
/** Of that, what ids are sure of: a needle must open few of a thousand blocks, a word may open more. */
const IDS_SHARE = 0.6
// Bits a token, where there is room: bench/filters.ts shows what they give.
const IDS_BITS = 16
const WORDS_BITS = 12

/**
 * The records of all parts in as few blocks as ROW_BYTES_MAX allows, ascending, their ranges of
 * sequence numbers disjoint. Parts may be in any order and have interleaved numbers; they hold all
 * their columns, and stay as they are. `pause` is awaited wherever work may be cut.
 */
export async function sealBlocks(
  parts: StoredBatch[],
  shard: number,
  pause: () => Promise<void>,
): Promise<SealedBlock[]> {
  // Choosing patterns writes to its parts, and other halves have other frequent patterns.
  const own = parts.filter(({ batch }) => batch.length > 0).map((part) => ({ ...part }))
  if (own.length === 0) return []
  for (const _ of choosePatternsInSteps(own)) await pause()
  await pause()
  const bytes = await encodeBlock(own, shard, pause)
  if (bytes.length < ROW_BYTES_MAX) return [await sealedOf(own, bytes, pause)]
  const [low, high] = halve(parts)
  return [...(await sealBlocks(low, shard, pause)), ...(await sealBlocks(high, shard, pause))]
}

async function sealedOf(
  parts: StoredBatch[],
  bytes: Uint8Array,
  pause: () => Promise<void>,
): Promise<SealedBlock> {
  const detail = await buildDetail(parts, pause)
  const filters = filtersOf(await tokensOf(parts, pause), bytes.length)
  let firstSeq = Number.POSITIVE_INFINITY
  let lastSeq = 0
  for (const { seqs } of parts) {
    for (const seq of seqs) {
      if (seq < firstSeq) firstSeq = seq
      if (seq > lastSeq) lastSeq = seq
    }
  }
  return {
    bytes,
    summary: mergeSummaries(parts.map(({ batch }) => summarize(batch, 0, batch.length))),
    firstSeq,
    lastSeq,
    rawBytes: parts.reduce((sum, { batch }) => sum + rawBytesOf(batch), 0),
    detail: encodeDetail(detail),
    ...filters,
    patterns: patternsOf(parts),
  }
}

/** Both filters in their share of the block, each in what the other does not need. */
function filtersOf({ ids, words }: BlockTokens, blockBytes: number) {
  const bytesMax = Math.floor(blockBytes * FILTERS_SHARE)
  const wordsWanted = Math.ceil((words.size * WORDS_BITS) / 8)
  const idsMax = Math.max(bytesMax * IDS_SHARE, bytesMax - wordsWanted)
  const idSlices = buildFilter(ids, IDS_BITS, idsMax)
  const left = bytesMax - idSlices.reduce((sum, slice) => sum + slice.length, 0)
  return { ids: idSlices, words: buildFilter(words, WORDS_BITS, left) }
}

function patternsOf(parts: StoredBatch[]): SealedBlock['patterns'] {
  const texts = new Set<string>()
  for (const { patterns } of parts) {
    for (const text of patterns ?? []) if (text !== null) texts.add(text)
  }
  return [...texts].map((text) => ({ id: patternId(text), text }))
}

/** The lower and the upper half by sequence number. */
function halve(parts: StoredBatch[]): [StoredBatch[], StoredBatch[]] {
  const seqs = Float64Array.from(parts.flatMap((part) => [...part.seqs])).sort()
  if (seqs.length === 1) bug(`record ${seqs[0]} takes a block of more than ${ROW_BYTES_MAX} bytes`)
  const middle = seqs[seqs.length >> 1]!
  if (seqs[0] === middle) bug(`more than one record has the sequence number ${middle}`)
  const half = (isWanted: (seq: number) => boolean) =>
    parts.map((part) => {
      const rows: number[] = []
      for (const [row, seq] of part.seqs.entries()) if (isWanted(seq)) rows.push(row)
      return keepRows(part, rows)
    })
  return [half((seq) => seq < middle), half((seq) => seq >= middle)]
}

/** RecordBatch.bytes added up, or about that where a batch comes without them. */
const rawBytesOf = (batch: RecordBatch): number =>
  (batch.bytes.length > 0 ? batch.bytes : recordBytes(batch)).reduce((sum, bytes) => sum + bytes, 0)
