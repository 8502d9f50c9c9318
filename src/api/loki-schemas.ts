// What Loki's doors take and answer, as schemas: schemas.ts says what they are for.

import * as z from 'zod'
import { named } from './schemas.ts'

const count = z.int().min(0)
const seconds = z.number().min(0)
const success = z.literal('success')
const warnings = z
  .array(z.string())
  .min(1)
  .optional()
  .describe('What the answer lacks. Beside queries this is not of Loki.')
const labels = z.record(z.string(), z.string())

/** PushRequest of Loki, in JSON. */
export const LokiPush = z
  .object({
    streams: z
      .array(
        z.object({
          stream: z.record(z.string(), z.string()).optional().describe('The labels.'),
          values: z
            .array(
              z.union([
                z.tuple([z.string(), z.string()]),
                z.tuple([z.string(), z.string(), z.record(z.string(), z.string())]),
              ]),
            )
            .optional()
            .describe('Nanoseconds since 1970, the line, and structured metadata.'),
        }),
      )
      .min(1),
  })
  .describe('What Loki’s shippers push.')
  .register(named, { id: 'LokiPush' })

const zeros = (...names: string[]) =>
  z.strictObject(Object.fromEntries(names.map((n) => [n, z.literal(0)])))

const Cache = zeros(
  'entriesFound',
  'entriesRequested',
  'entriesStored',
  'bytesReceived',
  'bytesSent',
  'requests',
  'downloadTime',
  'queryLengthServed',
).register(named, { id: 'LokiCacheStats' })

const Store = z
  .strictObject({
    totalChunksRef: count.describe('Blocks and unsealed rows.'),
    totalChunksDownloaded: count.describe('Of these, what was opened.'),
    chunksDownloadTime: z.literal(0),
    queryReferencedStructuredMetadata: z.literal(false),
    queryUsedV2Engine: z.literal(false),
    chunk: z.strictObject({
      headChunkBytes: z.literal(0),
      headChunkLines: z.literal(0),
      decompressedBytes: z.literal(0),
      decompressedLines: count.describe('Records looked at.'),
      compressedBytes: count.describe('Stored bytes of what was opened.'),
      totalDuplicates: z.literal(0),
      postFilterLines: count,
      headChunkStructuredMetadataBytes: z.literal(0),
      decompressedStructuredMetadataBytes: z.literal(0),
    }),
    chunkRefsFetchTime: z.literal(0),
    congestionControlLatency: z.literal(0),
    pipelineWrapperFilteredLines: z.literal(0),
    dataobj: zeros(
      'prePredicateDecompressedRows',
      'prePredicateDecompressedBytes',
      'prePredicateDecompressedStructuredMetadataBytes',
      'postPredicateRows',
      'postPredicateDecompressedBytes',
      'postPredicateStructuredMetadataBytes',
      'postFilterRows',
      'pagesScanned',
      'pagesDownloaded',
      'pagesDownloadedBytes',
      'pageBatches',
      'totalRowsAvailable',
      'totalPageDownloadTime',
    ),
  })
  .register(named, { id: 'LokiStoreStats' })

const Stats = z
  .strictObject({
    summary: z.strictObject({
      bytesProcessedPerSecond: count,
      linesProcessedPerSecond: count,
      totalBytesProcessed: count.describe('Stored bytes of what was opened.'),
      totalLinesProcessed: count.describe('Records looked at.'),
      execTime: seconds,
      queueTime: z.literal(0),
      subqueries: z.literal(0),
      totalEntriesReturned: count.describe('Lines, or points.'),
      splits: z.literal(0),
      shards: z.literal(0),
      totalPostFilterLines: count.describe('Lines of the answer.'),
      totalStructuredMetadataBytesProcessed: z.literal(0),
    }),
    querier: z.strictObject({ store: Store, querierExecTime: seconds }),
    ingester: z.strictObject({
      totalReached: z.literal(0),
      totalChunksMatched: z.literal(0),
      totalBatches: z.literal(0),
      totalLinesSent: z.literal(0),
      store: Store,
    }),
    cache: z.strictObject({
      chunk: Cache,
      index: Cache,
      result: Cache,
      statsResult: Cache,
      volumeResult: Cache,
      seriesResult: Cache,
      labelResult: Cache,
      instantMetricResult: Cache,
    }),
    index: z.strictObject({
      totalChunks: count,
      postFilterChunks: count.describe('Blocks that may hold a match.'),
      shardsDuration: z.literal(0),
      usedBloomFilters: z.boolean().describe('Whether a token filter ruled a block out.'),
      totalStreams: z.literal(0),
      chunkRefsLookupTime: z.literal(0),
      bloomFilterTime: z.literal(0),
    }),
  })
  .describe('What the query cost. What Loki has and this has not is 0.')
  .register(named, { id: 'LokiStats' })

const sample = z
  .tuple([z.number(), z.string()])
  .describe('Seconds since 1970, and the number as text.')
const line = z
  .union([
    z.tuple([z.string(), z.string()]),
    z.tuple([
      z.string(),
      z.string(),
      z.strictObject({ structuredMetadata: labels.optional(), parsed: labels.optional() }),
    ]),
  ])
  .describe('Nanoseconds since 1970, the line, and its labels where they are asked for apart.')

const Streams = z.array(z.strictObject({ stream: labels, values: z.array(line) }))

export const LokiResult = z
  .strictObject({
    status: success,
    warnings,
    data: z.discriminatedUnion('resultType', [
      z.strictObject({
        resultType: z.literal('streams'),
        encodingFlags: z.array(z.string()).optional(),
        result: Streams,
        stats: Stats,
      }),
      z.strictObject({
        resultType: z.literal('matrix'),
        result: z.array(z.strictObject({ metric: labels, values: z.array(sample) })),
        stats: Stats,
      }),
      z.strictObject({
        resultType: z.literal('vector'),
        result: z.array(z.strictObject({ metric: labels, value: sample })),
        stats: Stats,
      }),
      z.strictObject({ resultType: z.literal('scalar'), result: sample, stats: Stats }),
    ]),
  })
  .register(named, { id: 'LokiResult' })

export const LokiNames = z
  .strictObject({ status: success, warnings, data: z.array(z.string()) })
  .register(named, { id: 'LokiNames' })

export const LokiSeries = z
  .strictObject({ status: success, warnings, data: z.array(labels) })
  .register(named, { id: 'LokiSeries' })

export const LokiIndexStats = z
  .strictObject({
    streams: count.describe('At least: as many as there are services or levels.'),
    chunks: count.describe('Blocks and unsealed rows that may hold a match.'),
    entries: count,
    bytes: count.describe('Entries times the average size of one.'),
    warnings,
  })
  .register(named, { id: 'LokiIndexStats' })

export const LokiDetectedLabels = z
  .strictObject({
    detectedLabels: z.array(z.strictObject({ label: z.string(), cardinality: count })),
    warnings,
  })
  .register(named, { id: 'LokiDetectedLabels' })

export const LokiDetectedFields = z
  .strictObject({
    fields: z
      .array(
        z.strictObject({
          label: z.string(),
          type: z.enum(['int', 'float', 'boolean', 'duration', 'bytes', 'string']),
          cardinality: count,
          parsers: z
            .array(z.enum(['json', 'logfmt']))
            .nullable()
            .describe('Null: it is structured metadata.'),
          jsonPath: z.array(z.string()).optional(),
        }),
      )
      .optional(),
    limit: count.optional(),
    warnings,
  })
  .register(named, { id: 'LokiDetectedFields' })

export const LokiFieldValues = z
  .strictObject({ values: z.array(z.string()).optional(), limit: count.optional(), warnings })
  .register(named, { id: 'LokiFieldValues' })

export const LokiPatterns = z
  .strictObject({
    status: success,
    warnings,
    data: z.array(
      z.strictObject({
        pattern: z.string(),
        level: z.string().optional().describe('Where all its records have the same.'),
        samples: z.array(z.tuple([count, count])).describe('Seconds since 1970, and records.'),
      }),
    ),
  })
  .register(named, { id: 'LokiPatterns' })

export const LokiBuildInfo = z
  .strictObject({
    version: z.string().describe('Of the Loki whose doors these are like.'),
    revision: z.string().describe('What answers.'),
    branch: z.string(),
    buildUser: z.string(),
    buildDate: z.string(),
    goVersion: z.string(),
  })
  .register(named, { id: 'LokiBuildInfo' })

export const LokiDrilldownLimits = z
  .strictObject({
    limits: z.record(z.string(), z.union([z.boolean(), z.number(), z.string()])),
    pattern_ingester_enabled: z.boolean(),
    version: z.string(),
  })
  .register(named, { id: 'LokiDrilldownLimits' })

export const LokiFormatted = z
  .strictObject({ status: success, data: z.string() })
  .register(named, { id: 'LokiFormatted' })

export const LokiUnformatted = z
  .strictObject({ status: z.literal('invalid-query'), error: z.string() })
  .register(named, { id: 'LokiUnformatted' })
