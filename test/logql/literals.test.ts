// Durations, sizes and strings of LogQL, with what Go's own functions answer for the same texts.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  formatDuration,
  parseBytes,
  parseDuration,
  parseDurationSeconds,
  parseGoSeconds,
  parseRange,
  quote,
  unquote,
} from '../../src/logql/literals.ts'

describe('parseDuration', () => {
  it.each([
    ['5m', 300_000],
    ['1h30m', 5_400_000],
    ['1.5s', 1500],
    ['1d', 86_400_000],
    ['1w', 604_800_000],
    ['1y', 31_536_000_000],
    ['1y2w3d4h5m6s7ms', 31_536_000_000 + 1_209_600_000 + 259_200_000 + 14_706_007],
    ['100ms', 100],
    ['10us', 0.01],
    ['10µs', 0.01],
    ['10μs', 0.01],
    ['1ns', 0.000001],
    ['.5s', 500],
    ['5.s', 5000],
    ['1m1h', 3_660_000],
    ['-5m', -300_000],
    ['+5m', 300_000],
    ['0', 0],
    ['0s', 0],
    ['1.9999999999s', 1999.999999],
  ])('%s', (text, ms) => {
    expect(parseDuration(text)).toBe(ms)
  })

  it.each([
    '',
    '5',
    'm',
    '5 m',
    '5M',
    '1.5d',
    '1d1.5h',
    '-1d',
    '1d1w',
    '.s',
    '1h-5m',
    '300y',
    '1e3s',
    '--5m',
  ])('refuses %j', (text) => {
    expect(parseDuration(text)).toBe(null)
  })
})

describe('parseRange', () => {
  it('reads whole units, the largest first', () => {
    expect(parseRange('1d12h')).toBe(129_600_000)
    for (const text of ['1.5h', '1m1h', '-5m', '10us', '0', '']) expect(parseRange(text)).toBe(null)
  })
})

describe('seconds', () => {
  it('are rounded once', () => {
    expect(parseDurationSeconds('123456789ns')).toBe(0.123456789)
    expect(parseDurationSeconds('1d')).toBe(86_400)
    expect(parseGoSeconds('1m1.1s')).toBe(61.1)
  })

  it('of a value in a log are of the units that Go knows', () => {
    expect(parseGoSeconds('-1.5h')).toBe(-5400)
    for (const text of ['1d', '1w', '1y', '', '5']) expect(parseGoSeconds(text)).toBe(null)
  })
})

describe('long texts', () => {
  it('are refused at once', () => {
    for (const text of ['1'.repeat(200_000), '1,'.repeat(100_000), '1m'.repeat(100_000)]) {
      const startMs = performance.now()
      for (const end of ['', 'x', ' x']) {
        parseDuration(text + end)
        parseGoSeconds(text + end)
        parseBytes(text + end)
      }
      expect(performance.now() - startMs).toBeLessThan(1000)
    }
  })
})

describe('formatDuration', () => {
  it.each([
    [300_000, '5m'],
    [5_400_000, '1h30m'],
    [86_400_000, '1d'],
    [90 * 86_400_000, '90d'],
    [604_800_000, '1w'],
    [31_536_000_000, '1y'],
    [1500, '1s500ms'],
    [0, '0s'],
    [-60_000, '-1m'],
  ])('%d', (ms, text) => {
    expect(formatDuration(ms)).toBe(text)
  })

  it('is read as the same', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 43 }), (ms) => {
        expect(parseDuration(formatDuration(ms))).toBe(ms)
      }),
    )
  })
})

describe('parseBytes', () => {
  it.each([
    ['20KB', 20_000],
    ['20kb', 20_000],
    ['5MiB', 5_242_880],
    ['1.5GB', 1_500_000_000],
    ['42', 42],
    ['42B', 42],
    ['42 b', 42],
    ['1.7B', 1],
    ['1,024 Ki', 1_048_576],
    ['3T', 3e12],
    ['1PiB', 2 ** 50],
    ['1E', 1e18],
    ['.5k', 500],
    [',5k ', 5000],
    ['5.k', 5000],
  ])('%s', (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes)
  })

  it.each(['', 'KB', '-1KB', '1.2.3KB', '1XB', '1ib', '17EiB', '.', ',', '1e3', '1 0', ' 1KB'])(
    'refuses %j',
    (text) => {
      expect(parseBytes(text)).toBe(null)
    },
  )
})

describe('unquote', () => {
  it.each([
    ['""', ''],
    ['"a b"', 'a b'],
    ['`a\\n"b"\n`', 'a\\n"b"\n'],
    ['"\\a\\b\\f\\n\\r\\t\\v\\\\\\""', '\x07\b\f\n\r\t\v\\"'],
    ['"\\x41\\102\\u0043\\U0001F600"', 'ABC😀'],
    ['"\\xe2\\x82\\xac"', '€'],
    ['"\\342\\202\\254 ü"', '€ ü'],
    ['"\\ufeffa"', '\ufeffa'],
  ])('%s', (text, value) => {
    expect(unquote(text)).toBe(value)
  })

  it.each([
    '',
    '"',
    'a',
    "'a'",
    '"a',
    '`a',
    '"a`',
    '`a`b`',
    '"a"b"',
    '"a\nb"',
    '"\\"',
    '"\\d"',
    '"\\\'"',
    '"\\x4"',
    '"\\400"',
    '"\\ud800"',
    '"\\U00110000"',
    '"\\xff"',
  ])('refuses %j', (text) => {
    expect(unquote(text)).toBe(null)
  })
})

describe('quote', () => {
  it.each([
    ['', '""'],
    ['a "b" \\ `c`', '"a \\"b\\" \\\\ `c`"'],
    ['\x07\b\f\n\r\t\v\x00\x7f', '"\\a\\b\\f\\n\\r\\t\\v\\x00\\x7f"'],
    ['ü 世 😀 é', '"ü 世 😀 é"'],
    ['\u00a0\u200b\u{e0001}', '"\\u00a0\\u200b\\U000e0001"'],
  ])('%j', (text, quoted) => {
    expect(quote(text)).toBe(quoted)
  })

  it('is undone by unquote', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(unquote(quote(text))).toBe(text)
      }),
    )
  })
})
