import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { decodeDetail } from '../../src/block/detail-wire.ts'
import { mayContain, sliceOf } from '../../src/block/filter.ts'
import { openBlock, readGroup } from '../../src/block/parquet.ts'
import { patternId } from '../../src/block/pattern.ts'
import { sealBlocks } from '../../src/block/seal.ts'
import type { SealedBlock } from '../../src/block/sealed.ts'
import { keepRows, type StoredBatch, storedSegment } from '../../src/block/stored.ts'
import { idToken, wordToken } from '../../src/block/tokens.ts'
import { ROW_BYTES_MAX } from '../../src/limits.ts'
import { recordView } from '../../src/match/view.ts'
import { batchOf, type RecordSpec } from '../batches.ts'

const SHARD = 3
const RECEIVED_MS = 1_720_000_000_000
const noPause = async () => {}

const times = <T>(n: number, make: (i: number) => T): T[] =>
  Array.from({ length: n }, (_, i) => make(i))
const partOf = (specs: RecordSpec[], firstSeq: number) =>
  storedSegment(batchOf(specs), firstSeq, RECEIVED_MS)
const partsOfBlock = (block: SealedBlock): StoredBatch[] => {
  const file = openBlock(block.bytes)
  return file.groups.map((_, group) => readGroup(file, group, 'all'))
}
const viewsOf = (parts: StoredBatch[]) =>
  parts
    .flatMap(({ batch, seqs }) =>
      [...seqs].map((seq, row) => ({ seq, view: recordView(batch, row, SHARD, seq) })),
    )
    .sort((a, b) => a.seq - b.seq)
    .map(({ view }) => view)
const seqsOf = (block: SealedBlock) =>
  partsOfBlock(block)
    .flatMap(({ seqs }) => [...seqs])
    .sort((a, b) => a - b)

/** Incompressible, so that its bytes are those of the block. */
const noise = (bytes: number) => randomBytes(bytes * 0.75).toString('base64')

describe('sealBlocks', () => {
  it('of nothing is nothing', async () => {
    expect(await sealBlocks([], SHARD, noPause)).toEqual([])
    expect(await sealBlocks([partOf([], 1)], SHARD, noPause)).toEqual([])
  })

  it('makes one block of what fits one, in order of no part', async () => {
    const specs = (prefix: string) =>
      times(5, (i) => ({
        ms: RECEIVED_MS - i * 1000,
        ns: i,
        level: i,
        message: `${prefix} took ${i} ms`,
        text: { service: prefix, trace_id: `trace-${prefix}-${i}` },
        attributes: { prefix, i },
      }))
    const parts = [partOf(specs('late'), 11), partOf([], 11), partOf(specs('early'), 1)]
    const before = viewsOf(parts)
    const [block, ...more] = await sealBlocks(parts, SHARD, noPause)
    expect(more).toEqual([])
    expect(viewsOf(partsOfBlock(block!))).toEqual(before)
    expect(parts.map(({ patterns }) => patterns)).toEqual([null, null, null])
    expect(block).toMatchObject({
      firstSeq: 1,
      lastSeq: 15,
      summary: {
        records: 10,
        minMs: RECEIVED_MS - 4000,
        maxMs: RECEIVED_MS,
        levels: [2, 2, 2, 2, 2, 0],
      },
      rawBytes: parts.flatMap(({ batch }) => batch.bytes).reduce((sum, bytes) => sum + bytes),
    })
    const texts = ['late took <_> ms', 'early took <_> ms']
    expect(block!.patterns).toEqual(texts.map((text) => ({ id: patternId(text), text })))
    const detail = decodeDetail(block!.detail)
    expect(detail.patterns.map(({ id }) => id)).toEqual(texts.map(patternId))
    expect(detail.values.service?.counts.get('late')).toBe(5)
    const ids = block!.ids
    const token = idToken('trace_id', 'trace-early-3')
    expect(mayContain(ids[sliceOf(token, ids.length)]!, token)).toBe(true)
    const word = wordToken('early')
    expect(mayContain(block!.words[sliceOf(word, block!.words.length)]!, word)).toBe(true)
  })

  it('makes blocks under the bound of a row, their numbers apart, of parts that interleave', async () => {
    // Numbers of even and odd rows are in different parts, and times run against the numbers.
    const all = partOf(
      times(60, (i) => ({
        ms: RECEIVED_MS - i,
        message: noise(100_000),
        text: { user_id: `${i}` },
      })),
      1,
    )
    const odd = times(30, (i) => 2 * i + 1)
    const even = times(30, (i) => 2 * i)
    const parts = [keepRows(all, odd), keepRows(all, even)]
    const blocks = await sealBlocks(parts, SHARD, noPause)
    expect(blocks.length).toBeGreaterThan(2)
    expect(blocks.flatMap(seqsOf)).toEqual(times(60, (i) => i + 1))
    for (const block of blocks) {
      const seqs = seqsOf(block)
      expect(block.bytes.length).toBeLessThan(ROW_BYTES_MAX)
      expect([block.firstSeq, block.lastSeq]).toEqual([seqs[0], seqs.at(-1)])
      expect(block.summary.records).toBe(seqs.length)
      expect(decodeDetail(block.detail).values.user_id!.counts.size).toBe(seqs.length)
    }
    expect(viewsOf(blocks.flatMap(partsOfBlock))).toEqual(viewsOf([all]))
  })

  it('throws where one record is too large, or two have one number', async () => {
    const large = partOf([{ message: noise(3_000_000) }], 1)
    await expect(sealBlocks([large], SHARD, noPause)).rejects.toThrow('record 1 takes')
    const twice = [large, partOf([{ message: noise(10) }], 1)]
    await expect(sealBlocks(twice, SHARD, noPause)).rejects.toThrow('sequence number 1')
  })

  it('makes the same of a block that was read as of its segments', async () => {
    const specs = times(300, (i) => ({
      message: `${i % 7} of ${i}`,
      text: { trace_id: `${i}` },
      attributes: { a: i % 2 === 0 ? i : 'x y' },
      rest: '{"deep":["er"]}',
    }))
    const [first] = await sealBlocks([partOf(specs, 1)], SHARD, noPause)
    const [second] = await sealBlocks(partsOfBlock(first!), SHARD, noPause)
    const { rawBytes, ...rest } = second!
    expect({ ...rest, rawBytes: first!.rawBytes }).toEqual(first)
    // A block has no bytes of its records, so they are estimated.
    expect(rawBytes / first!.rawBytes).toBeGreaterThan(0.5)
    expect(rawBytes / first!.rawBytes).toBeLessThan(2)
  })

  it('gives filters a tenth of the block, and most of it to ids where that is short', async () => {
    // Nothing but ids and words: the Parquet file is hardly longer than they are.
    const specs = times(2000, () => ({
      message: times(6, () => noise(8)).join(' '),
      text: { trace_id: noise(8), span_id: noise(8), request_id: noise(8) },
    }))
    const [block] = await sealBlocks([partOf(specs, 1)], SHARD, noPause)
    const bytesOf = (slices: Uint8Array[]) => slices.reduce((sum, { length }) => sum + length, 0)
    const { bytes, ids, words } = block!
    expect(bytesOf(ids)).toBeGreaterThan(0)
    expect(bytesOf(ids) + bytesOf(words)).toBeLessThanOrEqual(bytes.length / 10)
    expect(words).toEqual([])
  })

  it('pauses between steps', async () => {
    let pauses = 0
    await sealBlocks(
      [
        partOf(
          times(10, () => ({ message: 'm' })),
          1,
        ),
      ],
      SHARD,
      async () => {
        pauses++
      },
    )
    expect(pauses).toBeGreaterThan(30)
  })
})
