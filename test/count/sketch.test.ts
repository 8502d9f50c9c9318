// Sketches against sorted numbers, of many shapes and by seed.

import { describe, expect, it } from 'vitest'
import { quantilePlaces, Resolution, Sketch } from '../../src/count/sketch.ts'
import { randomOf } from '../batches.ts'

const SHAPES: Record<string, (random: () => number) => number> = {
  'even numbers': (random) => random() * 1000,
  'a long tail': (random) => 1 / (random() + 1e-6),
  'both signs': (random) => (random() - 0.5) * 1e6,
  'zeros and few others': (random) => (random() < 0.8 ? 0 : random() - 0.5),
  'whole numbers': (random) => Math.floor(random() * 20),
  'all sizes': (random) => (random() < 0.5 ? -1 : 1) * 10 ** (random() * 600 - 300),
  'the largest and the smallest': (random) =>
    random() < 0.5 ? Number.MAX_VALUE : Number.MIN_VALUE,
}

describe('a sketch', () => {
  for (const [name, shape] of Object.entries(SHAPES)) {
    it(`is near every one of the numbers: ${name}`, () => {
      for (let seed = 1; seed <= 60; seed++) {
        const random = randomOf(seed)
        const numbers = Array.from({ length: 1 + Math.floor(random() * 500) }, () => shape(random))
        const resolution = new Resolution()
        const sketch = new Sketch(resolution)
        let bins = 0
        for (const number of numbers) bins += sketch.add(number)
        expect(sketch.bins).toBe(bins)
        const halvings = seed % 4
        for (let i = 0; i < halvings; i++) {
          resolution.halve()
          sketch.coarsen()
        }
        const sorted = numbers.toSorted((a, b) => a - b)
        const found = sketch.at(sorted.map((_, place) => place))
        for (const [i, number] of sorted.entries()) {
          const off = Math.abs(found[i]! - number) / (Math.abs(number) || 1)
          // Of the smallest numbers a double itself is off by more.
          if (Math.abs(number) > 1e-300) {
            expect(off, `${number}`).toBeLessThanOrEqual(resolution.relativeError * 1.000001)
          }
        }
      }
    })
  }

  it('has half the bins after a halving, and twice the error', () => {
    const resolution = new Resolution()
    const sketch = new Sketch(resolution)
    for (let i = 1; i <= 10_000; i++) sketch.add(1000 + i)
    const before = sketch.bins
    resolution.halve()
    sketch.coarsen()
    expect(sketch.bins).toBeLessThanOrEqual(before / 2 + 1)
    expect(resolution.relativeError).toBeCloseTo(0.02, 4)
  })
})

describe('a quantile lies between', () => {
  const lies = (count: number, part: number, low: number, high: number, between: number) =>
    it(`p${part * 100} of ${count}: ${low} and ${high}`, () => {
      expect(quantilePlaces(count, part)).toEqual({ low, high, between })
    })

  lies(1, 0.5, 0, 0, 0)
  lies(2, 0.5, 0, 1, 0.5)
  lies(5, 0, 0, 1, 0)
  lies(5, 0.5, 2, 3, 0)
  lies(5, 1, 4, 4, 0)
  lies(5, 0.75, 3, 4, 0)
  lies(9, 0.9375, 7, 8, 0.5)
})
