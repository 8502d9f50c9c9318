// Every row of the OTLP vectors against the decoders alone; test/flow sends the same rows through
// the Worker.

import { gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { decodeOtlpJson } from '../../src/ingest/otlp-json.ts'
import { decodeOtlpProtobuf } from '../../src/ingest/otlp-protobuf.ts'
import { recordView } from '../../src/match/view.ts'
import { VECTORS, vectorBody } from '../vector-files.ts'
import { compareRecords, type Vector } from '../vectors.ts'

const RECEIVED_MS = 1_800_000_000_000
const ARRIVAL = { receivedMs: RECEIVED_MS, workspaceId: null, requestId: null }

/** The body as decoders get it, or null where the coding is what is wrong with the row. */
function plainBody(vector: Vector): Uint8Array | null {
  const body = vectorBody(vector.file)
  if (vector.file.startsWith('hostile-gz-bomb')) return null
  try {
    if (vector.contentEncoding === 'gzip') return gunzipSync(body)
    if (vector.contentEncoding === 'deflate') return inflateSync(body)
    if (vector.contentEncoding === 'zstd') return zstdDecompressSync(body)
  } catch {
    return null
  }
  return body
}

describe('the OTLP vectors', () => {
  for (const vector of VECTORS) {
    const body = plainBody(vector)
    if (body === null) continue
    it(vector.file, () => {
      const decode = vector.contentType === 'application/json' ? decodeOtlpJson : decodeOtlpProtobuf
      const result = decode(body, ARRIVAL)
      if (!result.ok) {
        expect({ status: vector.status, error: result.error }).toMatchObject({
          status: expect.arrayContaining([result.error.code === 'too_large' ? 413 : 400]),
        })
        return
      }
      expect(vector.status).toContain(200)
      const batch = result.data
      const views = Array.from({ length: Math.min(batch.length, 100) }, (_, row) =>
        recordView(batch, row, 0, row),
      )
      expect(vector.records).toContain(batch.length)
      const seen = { ...vector, records: [views.length] }
      expect(compareRecords(seen, views, { fromMs: RECEIVED_MS, untilMs: RECEIVED_MS })).toEqual([])
    })
  }
})
