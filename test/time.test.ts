import { describe, expect, it } from 'vitest'
import { parseTime, parseTimeParameter } from '../src/time.ts'

const MS = 1_720_000_000_123

describe('parseTime', () => {
  const yields = (value: string | number, ms: number, ns = 0) =>
    it(`${value}`, () => expect(parseTime(value)).toEqual({ ok: true, data: { ms, ns } }))
  const refuses = (value: string | number, message: string) =>
    it(`not ${value}`, () => {
      const error = { code: 'bad_request', message: expect.stringContaining(message) }
      expect(parseTime(value)).toMatchObject({ ok: false, error })
    })

  yields('2024-07-03T09:46:40.123Z', MS)
  yields('2024-07-03T09:46:40.123456789Z', MS, 456_789)
  yields('2024-07-03T09:46:40.1234567899Z', MS, 456_789)
  yields('2024-07-03T09:46:40.123', MS)
  yields('2024-07-03 09:46:40,123', MS)
  yields('2024-07-03t11:46:40.123+02:00', MS)
  yields('2024-07-03T04:16:40.123-0530', MS)
  yields('2024-07-03T11:46:40.123+02', MS)
  yields('2024-07-03T09:46Z', 1_720_000_000_000 - 40_000)
  yields('2024-07-03', 1_719_964_800_000)
  yields('2024-02-29', 1_709_164_800_000)
  yields('1970-01-01T00:00:00.000000001Z', 0, 1)
  yields('9999-12-31T23:59:59.999999999Z', 253_402_300_799_999, 999_999)
  yields(1_720_000_000, 1_720_000_000_000)
  yields(1_720_000_000.123, MS)
  yields('1720000000.123456789', MS, 456_789)
  yields('1720000000.', 1_720_000_000_000)
  yields(MS, MS)
  yields('1720000000123.4567', MS, 456_700)
  yields('1720000000123456', MS, 456_000)
  yields('1720000000123456.7', MS, 456_700)
  yields('1720000000123456789', MS, 456_789)
  yields('1720000000123456789.9', MS, 456_789)
  yields(0, 0)
  yields('0.000000001', 0, 1)
  yields(99_999_999_999, 99_999_999_999_000)
  // The last of each unit, which a double rounds up to the next, and leading zeros.
  yields('99999999999.999999999', 99_999_999_999_999, 999_999)
  yields('99999999999999.99', 99_999_999_999_999, 990_000)
  yields('99999999999999999', 99_999_999_999_999, 999_000)
  yields('99999999999999999.9', 99_999_999_999_999, 999_900)
  yields('100000000000000000', 100_000_000_000)
  yields('0000000001720000000', 1_720_000_000_000)
  yields(100_000_000_000, 100_000_000_000)
  yields(' 1720000000 ', 1_720_000_000_000)

  refuses('', 'is no time')
  refuses('yesterday', 'is no time')
  refuses('15m', 'is no time')
  refuses('2024-07', 'is no time')
  refuses('2024-7-3', 'is no time')
  refuses('2024-07-03T09', 'is no time')
  refuses('1e12', 'is no time')
  refuses(Number.NaN, 'is no time')
  refuses(1e300, 'is no time')
  refuses(-1, 'before 1970')
  refuses('-1720000000', 'before 1970')
  refuses('1969-12-31T23:59:59Z', 'before 1970')
  refuses('1970-01-01T00:00:00+01:00', 'before 1970')
  refuses('0070-01-01', 'before 1970')
  refuses('2026-02-30', 'does not exist')
  refuses('2023-02-29', 'does not exist')
  refuses('2100-02-29', 'does not exist')
  refuses('2024-13-01', 'does not exist')
  refuses('2024-04-31', 'does not exist')
  refuses('2024-00-10', 'does not exist')
  refuses('2024-07-03T24:00:00Z', 'does not exist')
  refuses('2024-07-03T23:60:00Z', 'does not exist')
  refuses('2024-07-03T23:59:60Z', 'does not exist')
  refuses('2024-07-03T00:00:00+24:00', 'does not exist')
  refuses('9'.repeat(30), 'after the year 9999')
  refuses('9'.repeat(100), `"${'9'.repeat(64)}…"`)
})

describe('parseTimeParameter', () => {
  const yields = (text: string, ms: number) =>
    it(text, () => expect(parseTimeParameter(text, MS)).toEqual({ ok: true, data: { ms, ns: 0 } }))
  const refuses = (text: string, message: string) =>
    it(`not ${text}`, () => {
      const error = { code: 'bad_request', message: expect.stringContaining(message) }
      expect(parseTimeParameter(text, MS)).toMatchObject({ ok: false, error })
    })

  yields('30s', MS - 30_000)
  yields('15m', MS - 900_000)
  yields('2h', MS - 7_200_000)
  yields('7d', MS - 604_800_000)
  yields('1w', MS - 604_800_000)
  yields('0s', MS)
  yields('2024-07-03', 1_719_964_800_000)
  yields('1720000000', 1_720_000_000_000)

  refuses('99999999d', 'before 1970')
  refuses('15 minutes', 'is no time')
  refuses('1.5h', 'is no time: write 15m, 2h or 7d for so long ago')
  refuses('now-1h', 'is no time: write 15m, 2h or 7d for so long ago')
  refuses('2026-02-30', 'does not exist')
  refuses('-5m', 'before 1970')
  refuses('2024-07-03T11:46:40 02:00', 'written %2B')
})
