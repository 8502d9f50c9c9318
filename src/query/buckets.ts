// How a range of time is cut into buckets: stretches of one length whose ends are multiples of it since
// 1970, so that the same records lie in the same bucket whenever they are asked for.

import { err, ok, type Result } from '../result.ts'
import type { Time } from '../time.ts'
import type { Buckets } from './ask.ts'

/** What is asked for: a length, or about how many. */
export type Cut = { intervalMs: number } | { buckets: number }

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const YEAR = 365 * DAY

/** Lengths that people think in. From a minute on they are whole minutes, which catalogs know. */
const NICE_MS = [
  ...[1, 2, 5, 10, 15, 30].map((n) => n * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
  ...[1, 2, 3, 6, 12].map((n) => n * HOUR),
  ...[1, 7, 30, 90].map((n) => n * DAY),
]

/** The shortest nice length that is no shorter. */
const niceFor = (ms: number): number =>
  NICE_MS.find((nice) => nice >= ms) ?? Math.max(1, Math.ceil(ms / YEAR)) * YEAR

const UNITS: [unit: string, ms: number][] = [
  ['d', DAY],
  ['h', HOUR],
  ['m', MINUTE],
  ['s', SECOND],
]

/** A length as it is written in a parameter. */
export function writeInterval(ms: number): string {
  const [unit, unitMs] = UNITS.find(([, unitMs]) => ms % unitMs === 0) ?? ['', 1]
  return `${ms / unitMs}${unit}`
}

/** `30s`, `5m`, `1h`, `7d`, `1w`, or a number of milliseconds; null for anything else. */
export function readInterval(text: string): number | null {
  const [, digits = '', unit = ''] = /^(\d{1,12})([smhdw]?)$/.exec(text) ?? []
  const unitMs = unit === 'w' ? 7 * DAY : (UNITS.find(([name]) => name === unit)?.[1] ?? 1)
  const ms = Number(digits) * unitMs
  return ms > 0 && Number.isSafeInteger(ms) ? ms : null
}

/**
 * The buckets of since..until (inclusive, exclusive), `max` of them at most. The first and the last
 * may reach beyond the range.
 */
export function bucketsFor(since: Time, until: Time, cut: Cut, max: number): Result<Buckets> {
  const lastMs = until.ns > 0 ? until.ms : until.ms - 1
  if (lastMs < since.ms) {
    const stepMs = 'intervalMs' in cut ? cut.intervalMs : niceFor(0)
    return ok({ startMs: Math.floor(since.ms / stepMs) * stepMs, stepMs, count: 0 })
  }
  const of = (stepMs: number): Buckets => {
    const first = Math.floor(since.ms / stepMs)
    return { startMs: first * stepMs, stepMs, count: Math.floor(lastMs / stepMs) - first + 1 }
  }
  const fitting = (count: number) => {
    let stepMs = niceFor((lastMs - since.ms + 1) / count)
    // Where the range begins within a bucket it may reach into one more.
    while (of(stepMs).count > Math.max(count, 2)) stepMs = niceFor(stepMs + 1)
    return of(stepMs)
  }
  if ('buckets' in cut) return ok(fitting(cut.buckets))
  const buckets = of(cut.intervalMs)
  if (buckets.count <= max) return ok(buckets)
  const fit = writeInterval(fitting(max).stepMs)
  const text = `interval ${writeInterval(cut.intervalMs)} cuts the time from since to until into ${buckets.count} buckets, at most ${max}: interval=${fit} would do`
  return err('bad_request', text, { parameter: 'interval', buckets: buckets.count, max, fit })
}
