// What a catalog would hold of a few records, and filters as people write them.

import { type BlockDetail, buildDetail } from '../../src/block/detail.ts'
import { buildFilter, sliceOf } from '../../src/block/filter.ts'
import { choosePatterns, patternId } from '../../src/block/pattern.ts'
import { storedSegment } from '../../src/block/stored.ts'
import { summarize } from '../../src/block/summary.ts'
import { tokensOf } from '../../src/block/tokens.ts'
import type { PruneRow, PruneSource } from '../../src/prune/facts.ts'
import { EVERYTHING, type Filter } from '../../src/query/filter.ts'
import type { RecordFilter } from '../../src/query/parameters.ts'
import { parseSearch } from '../../src/query/search.ts'
import type { RecordBatch } from '../../src/record.ts'
import { batchOf, type RecordSpec } from '../batches.ts'

/** What a block may lack: `new` is what older details do not tell. */
export type Lacking = ('filters' | 'detail' | 'texts' | 'new')[]

export interface Catalog {
  row: PruneRow
  source: PruneSource
  /** What was read of it, in order. */
  read: string[]
}

const noPause = async () => {}

export async function catalogOf(
  records: RecordSpec[] | RecordBatch,
  lacking: Lacking = [],
): Promise<Catalog> {
  const part = storedSegment(Array.isArray(records) ? batchOf(records) : records, 1, 0)
  choosePatterns([part])
  const detail = await buildDetail([part], noPause)
  const tokens = await tokensOf([part], noPause)
  const slices = {
    ids: buildFilter(tokens.ids, 30, 1e5),
    words: buildFilter(tokens.words, 30, 1e5),
  }
  const texts = new Map(part.patterns!.map((text) => [text !== null && patternId(text), text]))
  const read: string[] = []
  const source: PruneSource = {
    filterSlice: (filter, hash) => {
      read.push(filter)
      if (lacking.includes('filters')) return null
      return slices[filter][sliceOf(hash, slices[filter].length)]!
    },
    detail: () => {
      read.push('detail')
      if (lacking.includes('detail')) return null
      return lacking.includes('new') ? olderDetail(detail) : detail
    },
    patternText: (id) => (lacking.includes('texts') ? null : (texts.get(id) ?? null)),
  }
  return { row: summarize(part.batch, 0, part.batch.length), source, read }
}

/** As blocks have it that were sealed before it told more. */
export const olderDetail = (detail: BlockDetail): BlockDetail => ({
  ...detail,
  lacking: undefined,
  patternless: undefined,
  patterns: detail.patterns.map((one) => ({ ...one, services: undefined })),
})

export interface Asked {
  where?: string | Filter
  since?: [ms: number, ns: number]
  until?: [ms: number, ns: number]
}

export const filterOf = ({ where = EVERYTHING, since, until }: Asked): RecordFilter => ({
  filter: typeof where === 'string' ? searched(where) : where,
  since: since ? { ms: since[0], ns: since[1] } : null,
  until: until ? { ms: until[0], ns: until[1] } : null,
})

function searched(q: string): Filter {
  const parsed = parseSearch(q)
  if (!parsed.ok) throw new Error(`${q}: ${parsed.error.message}`)
  return parsed.data
}

const MINUTE = 60_000

/** Three minutes, 120,000 ms to 240,001 ms: the last record has 5 ns. */
export const RECORDS: RecordSpec[] = [
  {
    ms: 2 * MINUTE,
    message: 'took 5 ms',
    text: { service: 'api', environment: 'production', trace_id: 'aa' },
    attributes: { code: 200, 'http.route': '/api/users', ok: true, name: 'ann lee' },
  },
  {
    ms: 2 * MINUTE + 10,
    level: 3,
    message: 'connection reset by peer',
    text: { service: 'web', environment: 'production', trace_id: 'bb' },
    attributes: { address: '10.1.2.3', other: 'from peers', ok: false },
    rest: '{"list":["x y",1],"nothing":null,"user":{"city":"oslo"}}',
  },
  {
    ms: 4 * MINUTE,
    ns: 5,
    level: 4,
    message: 'connection refused',
    text: { service: 'api', environment: 'production' },
    attributes: { ok: true },
  },
]
