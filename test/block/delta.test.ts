// Both packings against hyparquet's readers, which know nothing of ours, and against damage.

import { deltaBinaryUnpack } from 'hyparquet/src/delta.js'
import { readRleBitPackedHybrid } from 'hyparquet/src/encoding.js'
import { describe, expect, it } from 'vitest'
import {
  decodeDelta,
  decodeHybrid,
  encodeDelta,
  encodeHybrid,
  STEP_MAX,
} from '../../src/block/delta.ts'
import { randomOf } from '../batches.ts'

const readerOf = (bytes: Uint8Array) => ({
  view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
  offset: 0,
})

describe('steps', () => {
  const packs = (name: string, first: bigint, steps: number[]) =>
    it(`pack ${name}`, () => {
      const bytes = encodeDelta(first, Float64Array.from(steps))
      const read = decodeDelta(bytes, 0, steps.length + 1)
      expect(read.first).toBe(first)
      expect(Array.from(read.steps)).toEqual(steps)
      expect(read.end).toBe(bytes.length)
      const values = new BigInt64Array(steps.length + 1)
      deltaBinaryUnpack(readerOf(bytes), values.length, values)
      let value = first
      const expected = [first, ...steps.map((step) => (value += BigInt(step)))]
      expect(Array.from(values)).toEqual(expected.map((value) => BigInt.asIntN(64, value)))
    })
  const random = randomOf(1)
  const many = (count: number, max: number) =>
    Array.from({ length: count }, () => Math.floor((random() * 2 - 1) * max))

  packs('one value', 5n, [])
  packs('nothing but zeros', -1n, new Array(300).fill(0))
  packs('the ends of 64 bits', 2n ** 63n - 1n, [-1, 1, 0])
  packs('the lower end', -(2n ** 63n), [1, -1])
  packs('the longest steps', 0n, [STEP_MAX - 1, 1 - STEP_MAX, STEP_MAX - 1])
  for (const count of [1, 31, 32, 33, 127, 128, 129, 1000])
    packs(`${count} steps`, 9n, many(count, 99))
  for (let bits = 1; bits <= 51; bits++) packs(`${bits} bits`, 7n, many(200, 2 ** bits))

  const refuses = (name: string, damage: (bytes: Uint8Array) => Uint8Array) =>
    it(`refuse ${name}`, () => {
      const bytes = encodeDelta(1n, Float64Array.from(many(300, 1000)))
      expect(() => decodeDelta(damage(bytes), 0, 301)).toThrow()
    })
  refuses('nothing', () => new Uint8Array())
  refuses('bytes cut off', (bytes) => bytes.slice(0, -1))
  refuses('another count', (bytes) => bytes.fill(1, 3, 4))
  refuses('other blocks', (bytes) => bytes.fill(64, 0, 1))
  refuses('values of 255 bits', (bytes) => bytes.fill(255, 7, 12))
})

describe('the hybrid', () => {
  const packs = (name: string, values: number[], width: number) =>
    it(`packs ${name}`, () => {
      const bytes = encodeHybrid(Uint32Array.from(values), values.length, width)
      const out = new Uint16Array(values.length)
      decodeHybrid(bytes, 0, bytes.length, width, out)
      expect(Array.from(out)).toEqual(values)
      const foreign = new Array<number>(values.length)
      readRleBitPackedHybrid(readerOf(bytes), width, foreign, bytes.length)
      expect(foreign).toEqual(values)
    })
  const random = randomOf(2)
  const below = (max: number) => Math.floor(random() * max)

  packs('nothing', [], 3)
  packs('one value', [1], 1)
  packs('values of no bits', new Array(100).fill(0), 0)
  for (let width = 1; width <= 13; width++) {
    const alone = Array.from({ length: 500 }, () => below(2 ** width))
    packs(`values of ${width} bits`, alone, width)
    const runs = Array.from({ length: 60 }, () => new Array(1 + below(60)).fill(below(2 ** width)))
    packs(`runs of ${width} bits`, runs.flat(), width)
    const mixed = Array.from({ length: 60 }, (_, i) =>
      i % 2 === 0 ? runs[i]! : alone.slice(i, i + below(20)),
    )
    packs(`runs among values of ${width} bits`, mixed.flat(), width)
  }

  const refuses = (name: string, bytes: number[], width: number, count: number) =>
    it(`refuses ${name}`, () => {
      const out = new Uint16Array(count)
      const given = Uint8Array.from(bytes)
      expect(() => decodeHybrid(given, 0, given.length, width, out)).toThrow()
    })
  refuses('nothing', [], 1, 1)
  refuses('a run of more than there is', [200, 1, 1], 1, 99)
  refuses('a run of nothing', [0, 1], 1, 1)
  refuses('a run without its value', [16], 1, 8)
  refuses('bits cut off', [3, 1], 2, 8)
  refuses('a length without end', [255, 255, 255, 255, 255, 255], 1, 8)
  refuses('values of 17 bits', [3, 1, 1, 1], 17, 1)
})
