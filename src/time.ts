// One parser for every time that a person or a sender writes (not OTLP, whose times have one form).
// Nanoseconds are kept digit by digit: no time goes through a double that could round it.

import { err, ok, type Result } from './result.ts'

/** Whole milliseconds since 1970, and the nanoseconds left: 0..999,999. */
export interface Time {
  ms: number
  ns: number
}

/** 9999-12-31T23:59:59.999Z, where ISO 8601 with four digits of year ends. */
const MS_MAX = 253_402_300_799_999
/**
 * The unit of a number is known by its size: with so many digits before the point, so many more make
 * ns. Counted as text, because a double rounds 99999999999999999 up to the next unit.
 */
const UNITS = [
  { digits: 11, more: 9 },
  { digits: 14, more: 6 },
  { digits: 17, more: 3 },
] as const
const RELATIVE_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const

const ISO =
  /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?(?:[Zz]|([+-])(\d\d)(?::?(\d\d))?)?)?$/
const FORMS = 'ISO 8601, or seconds, ms, µs or ns since 1970'
const DECIMAL = /^(\d+)(?:\.(\d*))?$/

/**
 * Reads ISO 8601 (a date, or date and time; without a zone it is UTC; nanoseconds at most, further
 * digits are dropped) or a number since 1970, also as a text: under 1e11 seconds (to the year 5138),
 * under 1e14 milliseconds (from March 1973), under 1e17 microseconds, else nanoseconds, with
 * decimals. Refused are a time before 1970 or after 9999, a date no calendar has, and :60.
 */
export function parseTime(value: string | number): Result<Time> {
  const text = String(value).trim()
  return timeIn(text) ?? wrong(text, `is no time: write ${FORMS}`)
}

/** The same for a parameter of a request, which may also be relative: `15m` is 15 minutes ago. */
export function parseTimeParameter(text: string, nowMs: number): Result<Time> {
  const relative = /^\s*(\d+)([smhdw])\s*$/.exec(text)
  if (relative === null) {
    const time = timeIn(text.trim())
    if (time !== null) return time
    if (/\d \d\d:?\d\d$/.test(text)) return wrong(text, 'is no time: a + in a URL is written %2B')
    return wrong(text, `is no time: write 15m, 2h or 7d for so long ago, ${FORMS}`)
  }
  const ms = nowMs - Number(relative[1]) * RELATIVE_MS[relative[2] as keyof typeof RELATIVE_MS]
  return ms < 0 ? wrong(text, 'is before 1970') : ok({ ms, ns: 0 })
}

/** Null where the text has none of the forms. */
function timeIn(text: string): Result<Time> | null {
  const decimal = DECIMAL.exec(text)
  if (decimal !== null) return numericTime(text, decimal[1]!, decimal[2] ?? '')
  if (/^-\d/.test(text)) return wrong(text, 'is before 1970')
  const iso = ISO.exec(text)
  return iso && isoTime(text, iso)
}

function wrong(text: string, why: string): Result<never> {
  const shown = text.length > 64 ? `${text.slice(0, 64)}…` : text
  return err('bad_request', `"${shown}" ${why}`)
}

function numericTime(text: string, whole: string, fraction: string): Result<Time> {
  const size = whole.replace(/^0+/, '').length
  const more = UNITS.find(({ digits }) => size <= digits)?.more ?? 0
  const ns = whole + fraction.slice(0, more).padEnd(more, '0')
  const ms = Number(ns.slice(0, -6))
  if (ms > MS_MAX) return wrong(text, 'is after the year 9999')
  return ok({ ms, ns: Number(ns.slice(-6)) })
}

function isoTime(text: string, iso: RegExpExecArray): Result<Time> {
  const [year, month, day, hour, minute, second] = iso.slice(1, 7).map((part) => Number(part ?? 0))
  const offset = Number(iso[9] ?? 0) * 60 + Number(iso[10] ?? 0)
  if (month! < 1 || month! > 12 || day! < 1 || day! > daysIn(year!, month!)) {
    return wrong(text, 'is a date that does not exist')
  }
  if (hour! > 23 || minute! > 59 || second! > 59 || offset > 1439 || Number(iso[10] ?? 0) > 59) {
    return wrong(text, 'is a time of day that does not exist')
  }
  const sign = iso[8] === '-' ? -1 : 1
  const fraction = (iso[7] ?? '').slice(0, 9).padEnd(9, '0')
  const ms =
    Date.UTC(year!, month! - 1, day!, hour, minute! - sign * offset, second) +
    Number(fraction.slice(0, 3))
  if (year! < 1900 || ms < 0) return wrong(text, 'is before 1970')
  if (ms > MS_MAX) return wrong(text, 'is after the year 9999')
  return ok({ ms, ns: Number(fraction.slice(3)) })
}

function daysIn(year: number, month: number): number {
  const isLeap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0
  if (month === 2) return isLeap ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}
