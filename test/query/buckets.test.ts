// How a range is cut: ends, lengths, and what is refused.

import { describe, expect, it } from 'vitest'
import { bucketsFor, type Cut, readInterval, writeInterval } from '../../src/query/buckets.ts'
import { randomOf } from '../batches.ts'

const at = (ms: number, ns = 0) => ({ ms, ns })
const HOUR = 3_600_000

describe('buckets', () => {
  const cuts = (
    name: string,
    [since, until]: [ReturnType<typeof at>, ReturnType<typeof at>],
    cut: Cut,
    expected: [startMs: number, stepMs: number, count: number],
  ) =>
    it(name, () => {
      const [startMs, stepMs, count] = expected
      const data = { startMs, stepMs, count }
      expect(bucketsFor(since, until, cut, 2000)).toEqual({ ok: true, data })
    })

  cuts('of a minute', [at(60_000), at(180_000)], { intervalMs: 60_000 }, [60_000, 60_000, 2])
  cuts('cut at both ends', [at(61_000), at(181_000)], { intervalMs: 60_000 }, [60_000, 60_000, 3])
  cuts('to a nanosecond more', [at(0), at(1000, 1)], { intervalMs: 1000 }, [0, 1000, 2])
  cuts('of nothing', [at(5000), at(5000)], { intervalMs: 1000 }, [5000, 1000, 0])
  cuts('of less than nothing', [at(5000), at(1000)], { buckets: 5 }, [5000, 1000, 0])
  cuts('of a nanosecond', [at(5000), at(5000, 1)], { buckets: 60 }, [5000, 1000, 1])
  cuts('an hour in 60', [at(0), at(HOUR)], { buckets: 60 }, [0, 60_000, 60])
  cuts('an hour in 59', [at(0), at(HOUR)], { buckets: 59 }, [0, 120_000, 30])
  cuts('an hour off the minute in 60', [at(1), at(HOUR + 1)], { buckets: 60 }, [0, 120_000, 31])
  cuts('a day in 24', [at(0), at(24 * HOUR)], { buckets: 24 }, [0, HOUR, 24])
  cuts('ten days in one', [at(0), at(240 * HOUR)], { buckets: 1 }, [0, 720 * HOUR, 1])
  cuts('8,000 years in 60', [at(0), at(253_402_300_800_000)], { buckets: 60 }, [
    0,
    134 * 365 * 24 * HOUR,
    60,
  ])

  it('hold the whole range, are as few as asked for, and end at multiples', () => {
    for (let seed = 1; seed <= 500; seed++) {
      const random = randomOf(seed)
      const since = at(Math.floor(random() * 1e12), Math.floor(random() * 2))
      const until = at(since.ms + 1 + Math.floor(10 ** (random() * 13)), Math.floor(random() * 2))
      const most = 1 + Math.floor(random() * 2000)
      const found = bucketsFor(since, until, { buckets: most }, 2000)
      if (!found.ok) throw new Error(found.error.message)
      const { startMs, stepMs, count } = found.data
      expect(count).toBeLessThanOrEqual(Math.max(most, 2))
      expect(startMs % stepMs).toBe(0)
      expect(startMs).toBeLessThanOrEqual(since.ms)
      expect(startMs + stepMs).toBeGreaterThan(since.ms)
      const lastMs = until.ns > 0 ? until.ms : until.ms - 1
      expect(startMs + count * stepMs).toBeGreaterThan(lastMs)
      expect(startMs + (count - 1) * stepMs).toBeLessThanOrEqual(lastMs)
    }
  })

  it('are refused when they are too many, with an interval that would do', () => {
    const refused = bucketsFor(at(0), at(24 * HOUR), { intervalMs: 1000 }, 2000)
    expect(refused).toEqual({
      ok: false,
      error: {
        code: 'bad_request',
        message:
          'interval 1s cuts the time from since to until into 86400 buckets, at most 2000: interval=1m would do',
        details: { parameter: 'interval', buckets: 86_400, max: 2000, fit: '1m' },
      },
    })
  })
})

describe('an interval', () => {
  const reads = (text: string, ms: number | null) =>
    it(JSON.stringify(text), () => {
      expect(readInterval(text)).toBe(ms)
    })

  reads('30s', 30_000)
  reads('5m', 300_000)
  reads('1h', HOUR)
  reads('7d', 168 * HOUR)
  reads('1w', 168 * HOUR)
  reads('250', 250)
  for (const text of [
    '',
    '0',
    '0s',
    '-1m',
    '1.5h',
    'm',
    '1 h',
    '1y',
    '9999999999999',
    '999999999999w',
  ])
    reads(text, null)

  it('is written as it is read', () => {
    expect([1500, 1000, 120_000, HOUR, 48 * HOUR, 1].map(writeInterval)).toEqual([
      '1500',
      '1s',
      '2m',
      '1h',
      '2d',
      '1',
    ])
  })
})
