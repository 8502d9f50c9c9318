import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  decodeSegment,
  encodeSegment,
  encodeSegments,
  FORMAT_VERSION,
  packSegments,
  unpackSegments,
} from '../../src/block/segment.ts'
import { summarize } from '../../src/block/summary.ts'
import { ROW_BYTES_MAX, SEGMENT_RECORDS_MAX } from '../../src/limits.ts'
import type { RecordBatch } from '../../src/record.ts'
import { batchOf, type RecordSpec, randomOf } from '../batches.ts'

/** What a segment keeps: not the estimate of bytes, nor what was refused. */
function stored(batch: RecordBatch) {
  const { bytes, rejected, untimed, ...kept } = batch
  return kept
}

function randomSpecs(seed: number, count: number): RecordSpec[] {
  const random = randomOf(seed)
  const pick = <T>(values: T[]) => values[Math.floor(random() * values.length)]!
  return Array.from({ length: count }, () => ({
    ms: 1_720_000_000_000 + Math.floor(random() * 1e6),
    ns: pick([0, 456_789]),
    level: Math.floor(random() * 6),
    message: pick(['a', 'b', `m${random()}`, '', 'é\u0000\ufeff"\\']),
    text: random() < 0.5 ? { service: pick(['x', 'y']), trace_id: String(random()) } : {},
    attributes: {
      ...(random() < 0.5 && { code: pick([200, 500, 1.5]) }),
      ...(random() < 0.3 && { ok: random() < 0.5 }),
      ...(random() < 0.3 && { code: 'text', __proto__x: 'p' }),
    },
    ...(random() < 0.1 && { rest: '{"a":[1,null]}' }),
  }))
}

describe('encodeSegment', () => {
  const keeps = (name: string, specs: RecordSpec[]) =>
    it(`keeps ${name}`, () => {
      const batch = batchOf(specs)
      expect(stored(decodeSegment(encodeSegment(batch)))).toEqual(stored(batch))
    })

  keeps('one record', [{ message: 'hello' }])
  keeps('one record of nulls', [{}])
  keeps('values that repeat', [{ message: 'a' }, { message: 'a' }, { message: 'a' }])
  keeps('a column that is null but once', [{}, {}, { text: { user_id: 'u' } }, {}])
  const places = Array.from({ length: 9000 }, (_, i) => ({ message: `m${i % 4000}` }))
  keeps('a long dictionary', places)
  keeps(
    'values all different',
    places.map((_, i) => ({ message: `m${i}` })),
  )
  const twin = (user_id: string) => ({ text: { user_id }, attributes: { 'user.id': user_id } })
  keeps('an attribute that is a column', ['a', 'b', 'c', 'a'].map(twin))
  keeps('an attribute that is a column here and there', [{}, twin('a'), { text: { user_id: 'x' } }])
  keeps('a time far from the others', [{ ms: 0 }, { ms: 9_007_199_254_740 }])
  for (let seed = 1; seed <= 20; seed++)
    keeps(`random records, seed ${seed}`, randomSpecs(seed, 300))

  it('carries only the resources its own rows name', () => {
    const batch = batchOf(randomSpecs(1, 10))
    batch.resources = Array.from({ length: 10 }, (_, i) => `{"r":${i}}`)
    batch.resource = batch.resource.map((_, row) => row)
    const part = decodeSegment(encodeSegment(batch, 3, 5))
    expect(part.resources).toEqual(['{"r":3}', '{"r":4}'])
    expect(part.resource).toEqual([0, 1])
  })
})

describe('encodeSegments', () => {
  it('cuts at the bound of records and keeps the order', () => {
    const specs = randomSpecs(7, SEGMENT_RECORDS_MAX * 2 + 5)
    const segments = encodeSegments(batchOf(specs))
    expect(segments.map(({ summary }) => summary.records)).toEqual([
      SEGMENT_RECORDS_MAX,
      SEGMENT_RECORDS_MAX,
      5,
    ])
    const messages = segments.flatMap(({ bytes }) => decodeSegment(bytes).message)
    expect(messages).toEqual(specs.map(({ message }) => message))
  })

  it('halves what does not compress below the bound of a row', () => {
    const random = randomOf(3)
    const noise = () =>
      Array.from({ length: 200_000 }, () => String.fromCharCode(33 + random() * 90)).join('')
    const segments = encodeSegments(
      batchOf(Array.from({ length: 20 }, () => ({ message: noise() }))),
    )
    expect(segments.length).toBeGreaterThan(1)
    for (const { bytes } of segments) expect(bytes.length).toBeLessThan(ROW_BYTES_MAX)
    expect(segments.reduce((sum, { summary }) => sum + summary.records, 0)).toBe(20)
  })
})

describe('summarize', () => {
  it('has floor and ceiling of the times, and counts by level', () => {
    const batch = batchOf([
      { ms: 5, ns: 1, level: 0 },
      { ms: 3, level: 5 },
      { ms: 4, level: 5 },
    ])
    const summary = { records: 3, minMs: 3, maxMs: 6, levels: [1, 0, 0, 0, 0, 2] }
    expect(summarize(batch, 0, 3)).toEqual(summary)
  })
})

describe('packSegments', () => {
  it('gives back the same segments', () => {
    const segments = [Uint8Array.of(1, 2, 3), new Uint8Array(), Uint8Array.of(4)]
    expect(unpackSegments(packSegments(segments))).toEqual(segments)
  })
})

// A stored segment stays readable for good: one file a format version, made once, with UPDATE_FIXTURES=1.
describe('golden segments', () => {
  const folder = join(import.meta.dirname, '../fixtures/blocks')
  const golden = join(folder, `segment-v${FORMAT_VERSION}.bin`)
  if (process.env.UPDATE_FIXTURES && !existsSync(golden)) {
    const batch = batchOf(randomSpecs(42, 40))
    writeFileSync(golden, encodeSegment(batch))
    writeFileSync(golden.replace('.bin', '.json'), `${JSON.stringify(stored(batch))}\n`)
  }
  for (const name of readdirSync(folder).filter((name) => /^segment-v\d+\.bin$/.test(name))) {
    it(`${name} reads as it did when it was written`, () => {
      const batch = decodeSegment(readFileSync(join(folder, name)))
      const expected = JSON.parse(readFileSync(join(folder, name.replace('.bin', '.json')), 'utf8'))
      expect(stored(batch)).toEqual(expected)
    })
  }
})
