// Parameters as Loki reads them, and numbers as it writes them.

import { describe, expect, it } from 'vitest'
import { LokiParameters } from '../../src/api/loki-parameters.ts'
import { numberText } from '../../src/api/loki-result.ts'
import { BadParameter } from '../../src/query/parameters.ts'

const NOW_MS = 1_780_306_200_123
const given = (parameters: Record<string, string>) =>
  new LokiParameters(new URLSearchParams(parameters), NOW_MS)

describe('a time', () => {
  const reads = (text: string, ms: number, ns = 0) =>
    it(text, () =>
      expect(given({ start: text, end: '9e99' }).time('start', ZERO)).toEqual({ ms, ns }),
    )
  const ZERO = { ms: 0, ns: 0 }

  reads('1780306200', 1_780_306_200_000)
  reads('1780306200.5', 1_780_306_200_500)
  reads('1.780306200123e9', 1_780_306_200_123)
  reads('1780306200123456789', 1_780_306_200_123, 456_789)
  reads('17803062001', 17_803, 62_001)
  reads('2026-06-01T09:30:00Z', 1_780_306_200_000)
  reads('2026-06-01T11:30:00.123456789+02:00', 1_780_306_200_123, 456_789)
  reads('-5', 0)

  const refuses = (text: string) =>
    it(`is not ${text}`, () => {
      expect(() => given({ time: text }).time('time', ZERO)).toThrow(BadParameter)
    })
  refuses('yesterday')
  refuses('2026-06-01')
  refuses('2026-02-30T00:00:00Z')
  refuses('2026-06-01T09:30:00')
  refuses('99999999999999999999')
})

describe('a range', () => {
  const bounds = (parameters: Record<string, string>) => {
    const { start, end } = given(parameters).bounds()
    return [start.ms - NOW_MS, end.ms - NOW_MS]
  }

  it('is the last hour', () => expect(bounds({})).toEqual([-3_600_000, 0]))
  it('is as long as since says', () => expect(bounds({ since: '1h30m' })).toEqual([-5_400_000, 0]))
  it('begins before its end', () => {
    const end = `${NOW_MS - 1000}000000`
    expect(bounds({ end, since: '10s' })).toEqual([-11_000, -1000])
  })
  it('begins before now where its end is later', () => {
    const end = `${NOW_MS + 5000}000000`
    expect(bounds({ end, since: '10s' })).toEqual([-10_000, 5000])
  })
  it('is refused with a since that is no duration', () => {
    for (const since of ['1.5h', 'x', '10', '5s1m'])
      expect(() => bounds({ since })).toThrow('since')
  })
})

describe('a step', () => {
  const step = (parameters: Record<string, string>) => {
    const all = given(parameters)
    return all.step(all.range())
  }

  it('is a 250th of the range, in seconds, one at least', () => {
    expect(step({})).toBe(14_000)
    expect(step({ since: '1m' })).toBe(1000)
  })
  it('is seconds or a duration', () => {
    expect(step({ step: '15' })).toBe(15_000)
    expect(step({ step: '0.5' })).toBe(500)
    expect(step({ step: '1m30s' })).toBe(90_000)
  })
  it('is refused where it is nothing, or no number', () => {
    for (const text of ['0', '-1', 'x', '1e99', '0.0001']) {
      expect(() => step({ step: text }), text).toThrow(BadParameter)
    }
  })
  it('makes no more than 11,000 points', () => {
    expect(step({ step: '1', since: '11000s' })).toBe(1000)
    expect(() => step({ step: '1', since: '11001s' })).toThrow('11,000')
  })
})

describe('a number', () => {
  const writes = (value: number, text: string) =>
    it(text, () => expect(numberText(value)).toBe(text))

  writes(0, '0')
  writes(-0, '-0')
  writes(0.1, '0.1')
  writes(-12.5, '-12.5')
  writes(1e21, '1000000000000000000000')
  writes(-1.25e22, '-12500000000000000000000')
  writes(1e-7, '0.0000001')
  writes(-1.5e-9, '-0.0000000015')
  writes(Number.NaN, 'NaN')
  writes(Number.POSITIVE_INFINITY, '+Inf')
  writes(Number.NEGATIVE_INFINITY, '-Inf')
})
