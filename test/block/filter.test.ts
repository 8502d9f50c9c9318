import { describe, expect, it } from 'vitest'
import {
  buildFilter,
  hashOf,
  mayContain,
  SLICE_BYTES,
  sliceOf,
  TokenSet,
} from '../../src/block/filter.ts'

const hashesOf = (texts: Iterable<string>) => [...texts].map((text) => hashOf(text, 1))
const textsOf = (n: number, prefix: string) => Array.from({ length: n }, (_, i) => `${prefix}${i}`)

function setOf(texts: string[]): TokenSet {
  const tokens = new TokenSet()
  for (const hash of hashesOf(texts)) tokens.add(hash)
  return tokens
}

const holds = (slices: Uint8Array[], text: string): boolean => {
  const hash = hashOf(text, 1)
  return mayContain(slices[sliceOf(hash, slices.length)]!, hash)
}

// The hash is in stored filters: it never changes.
describe('hashOf', () => {
  const gives = (text: string, seed: number, a: number, b: number) =>
    it(`${JSON.stringify(text)} with ${seed}`, () => expect(hashOf(text, seed)).toEqual({ a, b }))

  gives('', 0, 3382053039, 938687503)
  gives('a', 0, 3136576783, 3580398405)
  gives('a', 1, 3712315266, 4202800251)
  gives('986984feaccfa8834637c69fd6618491', 7, 4072733533, 3826166653)
  gives('李雷 Zoë', 7, 4185604822, 384568029)

  it('of a part is that of its text', () => {
    expect(hashOf('one two three', 3, 4, 7)).toEqual(hashOf('two', 3))
  })

  it('spreads: no two of 100,000 texts alike, each bit set in about half', () => {
    const hashes = hashesOf(textsOf(100_000, 'ws_'))
    expect(new Set(hashes.map(({ a, b }) => a * 2 ** 21 + (b >>> 11))).size).toBe(100_000)
    for (const half of ['a', 'b'] as const) {
      for (let bit = half === 'a' ? 0 : 1; bit < 32; bit++) {
        const set = hashes.filter((hash) => (hash[half] >>> bit) & 1).length
        expect(Math.abs(set - 50_000), `bit ${bit} of ${half}`).toBeLessThan(1000)
      }
    }
  })
})

describe('TokenSet', () => {
  it('holds each hash once, however many', () => {
    const tokens = setOf([...textsOf(20_000, 'a'), ...textsOf(20_000, 'a')])
    expect(tokens.size).toBe(20_000)
    const seen = new Set<string>()
    tokens.forEach(({ a, b }) => {
      seen.add(`${a} ${b}`)
    })
    expect(seen).toEqual(new Set(hashesOf(textsOf(20_000, 'a')).map(({ a, b }) => `${a} ${b}`)))
  })
})

describe('buildFilter', () => {
  it('is these bytes, for good', () => {
    const [slice, ...more] = buildFilter(setOf(['a', 'b', 'c']), 16, 1000)
    expect(more).toEqual([])
    expect(Buffer.from(slice!).toString('hex')).toBe('010d1d2cef0c985f25')
  })

  const builds = (n: number, bits: number, bytesMax: number, lengths: number[]) =>
    it(`${n} tokens of ${bits} bits in ${bytesMax} bytes: ${lengths.length} slices`, () => {
      const texts = textsOf(n, 'in ')
      const slices = buildFilter(setOf(texts), bits, bytesMax)
      expect(slices.map((slice) => slice.length)).toEqual(lengths)
      if (slices.length > 0) expect(texts.filter((text) => !holds(slices, text))).toEqual([])
    })
  const page = SLICE_BYTES

  builds(1, 16, 1000, [5])
  builds(100, 16, 1000, [203])
  builds(100, 16, 100, [100])
  builds(100, 16, 52, [52])
  builds(100, 16, 51, [])
  builds(100, 16, 2, [])
  builds(100, 16, 0, [])
  builds(100, 16, -1, [])
  builds(2026, 16, 1e6, [page - 1])
  builds(2500, 16, 1e6, [page])
  builds(2600, 16, 1e6, [page, page])
  builds(2600, 16, 2 * page - 1, [page])
  builds(6500, 16, 1e6, [page, page, page])
  builds(300_000, 16, 1e6, Array(64).fill(page))
  builds(600_000, 16, 1e6, [])

  it('of no tokens says no to all', () => {
    const slices = buildFilter(new TokenSet(), 16, 1000)
    expect(slices.map((slice) => slice.length)).toEqual([3])
    expect(textsOf(100, 'out ').filter((text) => holds(slices, text))).toEqual([])
  })

  const errs = (n: number, bits: number, shareMax: number) =>
    it(`of ${n} tokens with ${bits} bits is wrong in at most ${100 * shareMax} %`, () => {
      const slices = buildFilter(setOf(textsOf(n, 'in ')), bits, 1e6)
      const wrong = textsOf(100_000, 'out ').filter((text) => holds(slices, text)).length
      expect(wrong / 100_000).toBeLessThan(shareMax)
      // Nor is it twice as good as theory allows: then the count above counts something else.
      expect(wrong / 100_000).toBeGreaterThan(shareMax / 8)
    })

  errs(2000, 16, 0.001)
  errs(2000, 12, 0.006)
  errs(10_000, 16, 0.001)
  errs(100_000, 12, 0.006)
  errs(2000, 4, 0.2)
})

describe('mayContain', () => {
  it('says maybe to all of a slice of a later version', () => {
    const slices = buildFilter(setOf(['a']), 16, 1000)
    slices[0]![0] = 2
    expect(textsOf(100, 'out ').every((text) => holds(slices, text))).toBe(true)
  })
})

describe('sliceOf', () => {
  const names = (a: number, count: number, slice: number) =>
    it(`${a} of ${count}`, () => expect(sliceOf({ a, b: 1 }, count)).toBe(slice))

  names(0, 3, 0)
  names(2 ** 32 - 1, 1, 0)
  names(2 ** 32 - 1, 3, 2)
  names(2 ** 32 - 1, 64, 63)
  names(2 ** 31, 2, 1)
  names(2 ** 31 - 1, 2, 0)
})
