// Parameters of Loki's doors, as Loki reads them: times in its forms, its defaults and bounds. Names it
// does not know are passed over, and of a name that is given twice the first counts.

import { SERIES_POINTS_MAX } from '../limits.ts'
import { parseRange } from '../logql/literals.ts'
import { BadParameter } from '../query/parameters.ts'
import { parseTime, type Time } from '../time.ts'

export const ENTRIES_DEFAULT = 100
/** Of one answer: each entry is held whole, with its labels. */
export const ENTRIES_MAX = 5000
const RANGE_DEFAULT_MS = 3_600_000
/** Steps of a range where none is given. */
const STEPS_DEFAULT = 250
const NS_MAX = 9_223_372_036_854_775_807n
const DELAY_SECONDS_MAX = 5

/** Inclusive and exclusive. */
export interface Range {
  start: Time
  end: Time
}

export type Direction = 'forward' | 'backward'

/** Times are read at one moment, which `nowMs` is. */
export class LokiParameters {
  readonly #given: URLSearchParams
  readonly nowMs: number

  constructor(given: URLSearchParams, nowMs: number) {
    this.#given = given
    this.nowMs = nowMs
  }

  /** '' where it is not given. */
  text(name: string): string {
    return this.#given.get(name) ?? ''
  }

  all(name: string): string[] {
    return this.#given.getAll(name)
  }

  time(name: string, otherwise: Time): Time {
    const text = this.text(name)
    return text === '' ? otherwise : readTime(name, text)
  }

  /** `since` counts from the end, or from now where the end is later. */
  bounds(): Range {
    const now: Time = { ms: this.nowMs, ns: 0 }
    const since = this.text('since')
    const length = since === '' ? RANGE_DEFAULT_MS : parseDuration(since)
    if (length === null) {
      const text = `could not parse 'since' parameter: not a valid duration string: ${quoted(since)}`
      throw new BadParameter('since', text)
    }
    const end = this.#bound('end', now)
    const from = isBefore(now, end) ? now : end
    const start = this.#bound('start', { ms: Math.max(0, from.ms - length), ns: from.ns })
    return { start, end }
  }

  #bound(name: 'start' | 'end', otherwise: Time): Time {
    const text = this.text(name)
    return text === '' ? otherwise : readTime(name, text, `could not parse '${name}' parameter: `)
  }

  /** The same, where the end must not be before the start. */
  range(): Range {
    const range = this.bounds()
    if (!isBefore(range.end, range.start)) return range
    throw new BadParameter('end', 'end timestamp must not be before or equal to start time')
  }

  /** Milliseconds of a step over a range. */
  step({ start, end }: Range): number {
    const text = this.text('step')
    const seconds = Math.floor((end.ms - start.ms) / 1000 / STEPS_DEFAULT)
    const step = text === '' ? Math.max(1, seconds) * 1000 : readStep('step', text)
    if (step < 1) {
      const text =
        'zero or negative query resolution step widths are not accepted. Try a positive integer'
      throw new BadParameter('step', text)
    }
    if (Math.floor((end.ms - start.ms) / step) > SERIES_POINTS_MAX) {
      const text =
        'exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter'
      throw new BadParameter('step', text)
    }
    return step
  }

  /** A distance that entries keep from each other. */
  refuseInterval(): void {
    const text = this.text('interval')
    if (text === '') return
    const interval = readStep('interval', text)
    if (interval < 0) throw new BadParameter('interval', 'interval must be >= 0')
    if (interval > 0) throw new BadParameter('interval', 'interval is not supported: leave it out')
  }

  /** Entries of an answer; `isBounded` where they are records. */
  limit(isBounded: boolean, name = 'limit', otherwise = ENTRIES_DEFAULT): number {
    const limit = this.whole(name, otherwise)
    if (limit <= 0) throw new BadParameter(name, 'limit must be a positive value')
    if (isBounded && limit > ENTRIES_MAX) {
      const text = `max entries limit per query exceeded, limit > max_entries_limit_per_query (${limit} > ${ENTRIES_MAX})`
      throw new BadParameter(name, text)
    }
    return limit
  }

  whole(name: string, otherwise: number): number {
    const text = this.text(name)
    if (text === '') return otherwise
    if (/^[+-]?\d{1,15}$/.test(text)) return Number(text)
    throw new BadParameter(name, `strconv.Atoi: parsing ${quoted(text)}: invalid syntax`)
  }

  direction(): Direction {
    const text = this.text('direction')
    const direction = text === '' ? 'backward' : text.toLowerCase()
    if (direction === 'forward' || direction === 'backward') return direction
    throw new BadParameter('direction', `invalid direction '${shortened(text)}'`)
  }

  /** Seconds that a tail waits for records that come late. */
  delay(): number {
    const seconds = this.whole('delay_for', 0)
    if (seconds <= DELAY_SECONDS_MAX) return Math.max(0, seconds)
    throw new BadParameter('delay_for', `delay_for can't be greater than ${DELAY_SECONDS_MAX}`)
  }
}

const isBefore = (a: Time, b: Time) => a.ms < b.ms || (a.ms === b.ms && a.ns < b.ns)

/** Nanoseconds, seconds where they are ten digits or fewer or have a point, or RFC 3339. */
function readTime(name: string, text: string, prefix = ''): Time {
  if (text.includes('.') && /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text)) {
    // Loki keeps milliseconds of what is written with a point.
    return { ms: Math.max(0, Math.round(Number(text) * 1000)), ns: 0 }
  }
  if (/^[+-]?\d+$/.test(text)) {
    const ns = BigInt(text) * (text.length <= 10 ? 1_000_000_000n : 1n)
    if (ns < 0n) return { ms: 0, ns: 0 }
    if (ns <= NS_MAX) return { ms: Number(ns / 1_000_000n), ns: Number(ns % 1_000_000n) }
    const why = `strconv.ParseInt: parsing ${quoted(text)}: value out of range`
    throw new BadParameter(name, `${prefix}${why}`)
  }
  const isDate = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:\d\d)$/.test(text)
  const time = isDate ? parseTime(text) : null
  if (time?.ok) return time.data
  const why = `strconv.ParseInt: parsing ${quoted(text)}: invalid syntax`
  throw new BadParameter(name, `${prefix}${why}`)
}

/** Milliseconds of a number of seconds, or of a duration. */
function readStep(name: string, text: string): number {
  const isNumber = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text)
  const ms = isNumber ? Math.trunc(Number(text) * 1000) : parseDuration(text)
  if (ms !== null && Number.isSafeInteger(ms)) return ms
  throw new BadParameter(name, `cannot parse ${quoted(text)} to a valid duration`)
}

/** Milliseconds of `1h30m`, as Prometheus writes durations: whole numbers, the largest unit first. */
const parseDuration = (text: string): number | null => (text === '0' ? 0 : parseRange(text))

const quoted = (text: string) => JSON.stringify(shortened(text))
const shortened = (text: string) => (text.length > 64 ? `${text.slice(0, 64)}…` : text)
