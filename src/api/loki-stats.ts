// The `stats` of Loki's answers: what a query cost, in its words. What Loki has and this has not is 0.

import { nothingRead, type QueryStats } from '../tenant/stats.ts'

const CACHE = {
  entriesFound: 0,
  entriesRequested: 0,
  entriesStored: 0,
  bytesReceived: 0,
  bytesSent: 0,
  requests: 0,
  downloadTime: 0,
  queryLengthServed: 0,
}

const CACHES = {
  chunk: CACHE,
  index: CACHE,
  result: CACHE,
  statsResult: CACHE,
  volumeResult: CACHE,
  seriesResult: CACHE,
  labelResult: CACHE,
  instantMetricResult: CACHE,
}

const DATAOBJ = {
  prePredicateDecompressedRows: 0,
  prePredicateDecompressedBytes: 0,
  prePredicateDecompressedStructuredMetadataBytes: 0,
  postPredicateRows: 0,
  postPredicateDecompressedBytes: 0,
  postPredicateStructuredMetadataBytes: 0,
  postFilterRows: 0,
  pagesScanned: 0,
  pagesDownloaded: 0,
  pagesDownloadedBytes: 0,
  pageBatches: 0,
  totalRowsAvailable: 0,
  totalPageDownloadTime: 0,
}

/** A block is a chunk; lines are records that were looked at, and bytes those of blocks as they are stored. */
const storeOf = ({ blocks, bytes, rows }: QueryStats, entries: number) => ({
  totalChunksRef: blocks.considered,
  totalChunksDownloaded: blocks.opened,
  chunksDownloadTime: 0,
  queryReferencedStructuredMetadata: false,
  queryUsedV2Engine: false,
  chunk: {
    headChunkBytes: 0,
    headChunkLines: 0,
    decompressedBytes: 0,
    decompressedLines: rows,
    compressedBytes: bytes,
    totalDuplicates: 0,
    postFilterLines: entries,
    headChunkStructuredMetadataBytes: 0,
    decompressedStructuredMetadataBytes: 0,
  },
  chunkRefsFetchTime: 0,
  congestionControlLatency: 0,
  pipelineWrapperFilteredLines: 0,
  dataobj: DATAOBJ,
})

/**
 * `entries` are those of the answer: lines of streams, or points of series. `lines` are of these the ones
 * that are records.
 */
export function lokiStats(
  stats: QueryStats,
  { entries, lines }: { entries: number; lines: number },
) {
  const { blocks, bytes, rows, ms } = stats
  const skipped = Object.values(blocks.skipped).reduce((sum, count) => sum + count, 0)
  const seconds = ms / 1000
  const aSecond = (count: number) => (ms === 0 ? 0 : Math.round(count / seconds))
  return {
    summary: {
      bytesProcessedPerSecond: aSecond(bytes),
      linesProcessedPerSecond: aSecond(rows),
      totalBytesProcessed: bytes,
      totalLinesProcessed: rows,
      execTime: seconds,
      queueTime: 0,
      subqueries: 0,
      totalEntriesReturned: entries,
      splits: 0,
      shards: 0,
      totalPostFilterLines: lines,
      totalStructuredMetadataBytesProcessed: 0,
    },
    querier: { store: storeOf(stats, lines), querierExecTime: seconds },
    ingester: {
      totalReached: 0,
      totalChunksMatched: 0,
      totalBatches: 0,
      totalLinesSent: 0,
      store: storeOf(nothingRead(), 0),
    },
    cache: CACHES,
    index: {
      totalChunks: blocks.considered,
      postFilterChunks: blocks.considered - skipped,
      shardsDuration: 0,
      usedBloomFilters: blocks.skipped.filter > 0,
      totalStreams: 0,
      chunkRefsLookupTime: 0,
      bloomFilterTime: 0,
    },
  }
}
