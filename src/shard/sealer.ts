// Builds blocks for one shard, beside it: an object of its own, because objects are what the platform
// spreads over threads, and encoding in the shard would hold its appends up. It stores nothing and
// decides nothing: the same request gives the same blocks, and one that is lost is sent again.

import { DurableObject } from 'cloudflare:workers'
import { openBlock, readGroup } from '../block/parquet.ts'
import { sealBlocks } from '../block/seal.ts'
import type { SealedBlock } from '../block/sealed.ts'
import { decodeSegment, unpackSegments } from '../block/segment.ts'
import { keepRows, recordBytes, type StoredBatch, storedSegment } from '../block/stored.ts'
import type { Env } from '../env.ts'
import { Hide } from '../match/hide.ts'
import type { Tombstone } from '../query/tombstone.ts'
import { err, ok, type Result } from '../result.ts'

export type BuildSource =
  /** A wal row: segments back to back, numbered from `seq` on, stored at `receivedMs`. */
  | { kind: 'segments'; seq: number; receivedMs: number; bytes: Uint8Array }
  /** A block's Parquet file. */
  | { kind: 'block'; bytes: Uint8Array }

export interface BuildRequest {
  shard: number
  sources: BuildSource[]
  /** Records these hide are left out. */
  tombstones: Tombstone[]
}

export interface Built {
  /** None when all is hidden. Their ranges of sequence numbers are disjoint, ascending. */
  blocks: SealedBlock[]
  /** How many records were left out, by the first tombstone that hides them. */
  removed: { tombstone: number; records: number }[]
}

/** How long building goes on before others on its thread may run: in a local run that is the shard. */
const SLICE_MS = 8

export class Sealer extends DurableObject<Env> {
  /**
   * The records of all sources as few blocks. `internal`: they can not be read or encoded, and trying
   * again will not help.
   */
  async build(request: BuildRequest): Promise<Result<Built>> {
    const pause = pauses()
    try {
      const removed = new Map<number, number>()
      const hide = new Hide(request.tombstones)
      const parts: StoredBatch[] = []
      for (const source of request.sources) {
        for await (const part of partsOf(source, pause)) {
          parts.push(withoutHidden(part, hide, removed))
        }
      }
      const blocks = await sealBlocks(parts, request.shard, pause)
      const counts = [...removed].map(([tombstone, records]) => ({ tombstone, records }))
      return ok({ blocks, removed: counts })
    } catch (e) {
      // Stored bytes that can not be read, or a record we can not encode: the shard keeps what it has.
      console.error('a block can not be built', e)
      return err('internal', e instanceof Error ? e.message : String(e))
    }
  }
}

async function* partsOf(
  source: BuildSource,
  pause: () => Promise<void>,
): AsyncGenerator<StoredBatch> {
  if (source.kind === 'segments') {
    let { seq } = source
    for (const bytes of unpackSegments(source.bytes)) {
      const batch = decodeSegment(bytes)
      batch.bytes = recordBytes(batch)
      yield storedSegment(batch, seq, source.receivedMs)
      seq += batch.length
      await pause()
    }
    return
  }
  const file = openBlock(source.bytes)
  for (let group = 0; group < file.groups.length; group++) {
    yield readGroup(file, group, 'all')
    await pause()
  }
}

function withoutHidden(part: StoredBatch, hide: Hide, removed: Map<number, number>): StoredBatch {
  const by = hide.hiddenBy(part)
  if (by === null) return part
  const rows: number[] = []
  for (let row = 0; row < part.batch.length; row++) {
    const tombstone = by[row]!
    if (tombstone === 0) rows.push(row)
    else removed.set(tombstone, (removed.get(tombstone) ?? 0) + 1)
  }
  return keepRows(part, rows)
}

/** Gives way when a slice is over. The platform's clock stands still meanwhile: there it never waits. */
function pauses(): () => Promise<void> {
  let startedMs = Date.now()
  return async () => {
    if (Date.now() - startedMs < SLICE_MS) return
    await new Promise((resolve) => setTimeout(resolve, 0))
    startedMs = Date.now()
  }
}
