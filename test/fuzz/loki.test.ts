// The reader of Loki's push against protobufjs and a plain walk, on random requests and mutations of
// them, from a seed that is printed when they differ; and the JSON of a request against its protobuf.
//
// Where protobufjs differs, and what is done about it here:
// - It refuses texts that are no UTF-8; we keep them with U+FFFD. Its reader gets our rule.
// - Tags and lengths may have 5 bytes; we take redundant ones up to ten. What only it refuses in those
//   words is ours to take, as what only we refuse for a varint of more than ten bytes is.
// - Nanoseconds beyond a second, and labels that are none, are beyond protobuf: Loki refuses them too.

import { createRequire } from 'node:module'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Random, randomOf } from '../../bench/random.ts'
import { decodeLokiJson } from '../../src/ingest/loki-json.ts'
import { readLabels } from '../../src/ingest/loki-labels.ts'
import { decodeLokiProtobuf } from '../../src/ingest/loki-protobuf.ts'
import { recordView } from '../../src/match/view.ts'
import type { RecordBatch } from '../../src/record.ts'
import { decode, jsonOf, protobufOf, type Stream } from '../loki-push.ts'
import { mutate } from '../wire.ts'

const SEED = Number(process.env.FUZZ_SEED ?? 20260101)
const CASES = Number(process.env.FUZZ_CASES ?? 5000)
const RECEIVED_MS = 1_800_000_000_000
const ARRIVAL = { receivedMs: RECEIVED_MS, workspaceId: null, requestId: null }
const ONLY_OURS = /varint of more than 10 bytes|nanoseconds of a second|are no labels/
const ONLY_THEIRS = /invalid (tag|size|varint)/
const NS_END = 9_223_372_036_854n * 1_000_000n

beforeAll(() => {
  const { Reader, BufferReader } = createRequire(import.meta.url)('protobufjs/minimal')
  const utf8 = new TextDecoder('utf-8', { ignoreBOM: true, fatal: false })
  for (const reader of [Reader, BufferReader]) {
    for (const name of ['string', 'stringVerify']) {
      reader.prototype[name] = function () {
        return utf8.decode(this.bytes())
      }
    }
  }
})

const pick = <T>(random: Random, choices: readonly T[]): T => choices[random.below(choices.length)]!
const NAMES = ['app', 'level', 'job', 'service_name', 'k', '__proto__', 'trace_id', 'pod', 'łódź']
const TEXTS = ['a', 'error', '"q"\\', 'zażółć 🚀', '\u0000\n', 'x'.repeat(70), '7', '']

const some = (random: Random) =>
  Object.fromEntries(
    Array.from({ length: random.below(4) }, () => [pick(random, NAMES), pick(random, TEXTS)]),
  )

function randomStreams(random: Random): Stream[] {
  return Array.from({ length: 1 + random.below(3) }, () => ({
    labels: some(random),
    entries: Array.from({ length: random.below(4) }, () => ({
      time: 1_720_000_000_000_000_000n + BigInt(random.below(2 ** 31)),
      line: pick(random, TEXTS),
      metadata: some(random),
    })),
  }))
}

interface Row {
  time: string
  line: string
  labels: Record<string, string>
  metadata: Record<string, string>
}

function theirRows(bytes: Uint8Array): Row[] {
  const rows: Row[] = []
  for (const { labels: text = '', entries = [] } of decode(bytes).streams ?? []) {
    const labels = new Map<string, string>()
    if (text !== '') readLabels(text, (name, value) => labels.set(name, value))
    for (const { timestamp, line = '', structuredMetadata = [] } of entries) {
      const seconds = BigInt(timestamp?.seconds?.toString() ?? 0)
      const time = seconds * 1_000_000_000n + BigInt(timestamp?.nanos ?? 0)
      if (time < 0n || time >= NS_END) continue
      rows.push({
        time: String(time === 0n ? BigInt(RECEIVED_MS) * 1_000_000n : time),
        line,
        labels: Object.fromEntries(labels),
        metadata: Object.fromEntries(
          structuredMetadata.map(({ name = '', value = '' }) => [name, value]),
        ),
      })
    }
  }
  return rows
}

const ourRows = (batch: RecordBatch): Row[] =>
  Array.from({ length: batch.length }, (_, i) => {
    const { time_unix_nano, message, metadata } = recordView(batch, i, 0, i)
    return {
      time: time_unix_nano,
      line: message,
      labels: (metadata.resource ?? {}) as Record<string, string>,
      metadata: (metadata.attributes ?? {}) as Record<string, string>,
    }
  })

type Verdict = 'same' | 'both refuse' | 'left out'

/** Throws when the two readers differ. */
function compare(bytes: Uint8Array): Verdict {
  const ours = decodeLokiProtobuf(bytes, ARRIVAL)
  let rows: Row[]
  try {
    rows = theirRows(bytes)
  } catch (e) {
    if (!ours.ok) return 'both refuse'
    if (ONLY_THEIRS.test(String(e))) return 'left out'
    throw new Error(`only protobufjs refuses: ${e}`)
  }
  if (!ours.ok && ONLY_OURS.test(ours.error.message)) return 'left out'
  if (!ours.ok && rows.length === 0 && /holds no streams/.test(ours.error.message)) return 'same'
  if (!ours.ok) throw new Error(`only we refuse: ${ours.error.message}`)
  expect(ourRows(ours.data)).toEqual(rows)
  return 'same'
}

describe('decodeLokiProtobuf against protobufjs', () => {
  it(`agrees on ${CASES} requests from seed ${SEED}`, { timeout: 120_000 }, () => {
    const random = randomOf(SEED)
    const verdicts: Record<Verdict, number> = { same: 0, 'both refuse': 0, 'left out': 0 }
    let other: Uint8Array = protobufOf(randomStreams(random))
    for (let i = 0; i < CASES; i++) {
      const request = protobufOf(randomStreams(random))
      const bytes = i % 4 === 0 ? request : mutate(random, request, other)
      other = request
      try {
        verdicts[compare(bytes)]++
      } catch (e) {
        const hex = Buffer.from(bytes).toString('hex')
        throw new Error(`seed ${SEED}, case ${i}, ${hex}\n${(e as Error).message}`, { cause: e })
      }
    }
    // A generator that makes only rubbish, or only what is left out, would prove nothing.
    expect(verdicts.same).toBeGreaterThan(CASES / 4)
    expect(verdicts['both refuse']).toBeGreaterThan(CASES / 10)
    expect(verdicts['left out']).toBeLessThan(CASES / 5)
  })
})

describe('a push in JSON', () => {
  it(`is the same as in protobuf, from seed ${SEED}`, () => {
    const random = randomOf(SEED)
    for (let i = 0; i < CASES / 5; i++) {
      const streams = randomStreams(random)
      const json = decodeLokiJson(
        new TextEncoder().encode(JSON.stringify(jsonOf(streams))),
        ARRIVAL,
      )
      expect(json).toEqual(decodeLokiProtobuf(protobufOf(streams), ARRIVAL))
    }
  })
})
