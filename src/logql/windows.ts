// The time of a range aggregation cut into intervals, so that a record is added once however many
// windows it lies in. Step i has the window [start + i * step - offset - range, start + i * step - offset):
// it holds its beginning and not its end, so that windows of whole minutes are whole minutes.
//
// Ends of windows lie at one phase of the step and beginnings at another. Where the range is so many
// whole steps these are one: intervals are as long as a step. Else there are two a step:
//
//   windows     [-----------)               range = 2 steps and a bit
//                    [-----------)
//   intervals   |-|--|-|--|-|               window i is 5 of them, from 2i on
//
// Where the range is shorter than the step every second interval lies in no window.

import { err, ok, type Result } from '../result.ts'
import type { Time } from '../time.ts'

/** When an expression is evaluated: at start + i * stepMs. An instant query has one step. */
export interface Steps {
  start: Time
  stepMs: number
  count: number
}

export interface Windows {
  /** Where the first window begins. */
  since: Time
  /** Where the last one ends, exclusive. */
  until: Time
  stepMs: number
  /** Length of the first interval of each step, where a step has two; 0: it has one. */
  phaseMs: number
  /** Of all intervals. */
  intervals: number
  /** Intervals of one window. */
  width: number
}

/** Of one query, those between windows too: their places are whole numbers of 32 bits. */
const INTERVALS_MAX = 2 ** 30

export function windowsOf(rangeMs: number, offsetMs: number, steps: Steps): Result<Windows> {
  if (!Number.isSafeInteger(rangeMs) || rangeMs < 1 || !Number.isSafeInteger(offsetMs)) {
    return err(
      'bad_query',
      'a range and an offset are whole milliseconds here, and a range is at least one',
    )
  }
  const { start, count } = steps
  const stepMs = count === 1 ? rangeMs : steps.stepMs
  const end: Time = { ms: start.ms - offsetMs, ns: start.ns }
  const whole = Math.floor(rangeMs / stepMs)
  const phaseMs = rangeMs - whole * stepMs
  const width = phaseMs === 0 ? whole : 2 * whole + 1
  const intervals = width + (count - 1) * (phaseMs === 0 ? 1 : 2)
  if (intervals > INTERVALS_MAX) {
    return err(
      'bad_query',
      `a range of ${rangeMs} ms in steps of ${stepMs} ms is too long: take a longer step`,
    )
  }
  return ok({
    since: { ms: end.ms - rangeMs, ns: end.ns },
    until: { ms: end.ms + (count - 1) * stepMs, ns: end.ns },
    stepMs,
    phaseMs,
    intervals,
    width,
  })
}

/** The interval that a time lies in, -1 where no window holds it. */
export function intervalOf(windows: Windows, ms: number, ns: number): number {
  const { since, stepMs, phaseMs, intervals, width } = windows
  // Whole milliseconds decide, because steps and phases are of them.
  const sinceMs = ms - since.ms - (ns < since.ns ? 1 : 0)
  if (sinceMs < 0) return -1
  const step = Math.floor(sinceMs / stepMs)
  if (phaseMs === 0) return step < intervals ? step : -1
  const isFirst = sinceMs - step * stepMs < phaseMs
  if (width === 1 && !isFirst) return -1
  const interval = 2 * step + (isFirst ? 0 : 1)
  return interval < intervals ? interval : -1
}

/** The first interval of a step's window. */
export const firstInterval = ({ phaseMs }: Windows, step: number): number =>
  phaseMs === 0 ? step : 2 * step
