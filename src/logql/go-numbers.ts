// Numbers, durations and sizes that stand in labels, as Go reads them, with Go's words for what is none.

import { parseBytes, parseGoSeconds, quote } from './literals.ts'

export type Unit = 'number' | 'duration' | 'bytes'

/** NaN is a number here: Go reads `NaN`. */
export function readNumber(text: string, unit: Unit): number | null {
  if (unit === 'number') return parseGoFloat(text)
  return unit === 'duration' ? parseGoSeconds(text) : parseBytes(text)
}

/** With `_` between two digits, as Go writes large numbers. */
const FLOAT = /^[+-]?(?:\d(?:_?\d)*(?:\.(?:\d(?:_?\d)*)?)?|\.\d(?:_?\d)*)(?:[eE][+-]?\d(?:_?\d)*)?$/
const HEX_FLOAT = /^([+-]?)0[xX]((?:_?[0-9a-fA-F])*)(?:\.([0-9a-fA-F_]*))?[pP]([+-]?\d{1,6})$/
const INFINITE = /^([+-]?)inf(?:inity)?$/i
/** Longer digits say nothing more. */
const FLOAT_CHARS_MAX = 1024

/** A number as strconv.ParseFloat reads it; null if it is none, or too large. */
export function parseGoFloat(text: string): number | null {
  if (text.length > FLOAT_CHARS_MAX) return null
  if (FLOAT.test(text)) {
    const value = Number(text.replaceAll('_', ''))
    return Number.isFinite(value) ? value : null
  }
  if (/^nan$/i.test(text)) return Number.NaN
  const infinite = INFINITE.exec(text)
  if (infinite) return infinite[1] === '-' ? -Infinity : Infinity
  return parseHexFloat(text)
}

function parseHexFloat(text: string): number | null {
  const parts = HEX_FLOAT.exec(text)
  if (!parts) return null
  const [, sign, whole = '', fraction = '', exponent] = parts
  const wholeDigits = whole.replaceAll('_', '')
  const fractionDigits = fraction.replaceAll('_', '')
  if (wholeDigits + fractionDigits === '') return null
  let value = 0
  for (const digit of wholeDigits + fractionDigits) value = value * 16 + Number.parseInt(digit, 16)
  value *= 2 ** (Number(exponent) - 4 * fractionDigits.length)
  if (!Number.isFinite(value)) return null
  return sign === '-' ? -value : value
}

/** Characters of a value that a message repeats. */
const SHOWN_CHARS_MAX = 1024

/** Why readNumber gave null. */
export function numberFault(value: string, unit: Unit): string {
  const text = value.slice(0, SHOWN_CHARS_MAX)
  if (unit === 'duration') return durationFault(text)
  if (unit === 'bytes') return bytesFault(text)
  return floatFault(text)
}

function floatFault(text: string): string {
  const why = FLOAT.test(text) ? 'value out of range' : 'invalid syntax'
  return `strconv.ParseFloat: parsing ${quote(text)}: ${why}`
}

function durationFault(text: string): string {
  let rest = text.replace(/^[+-]/, '')
  while (rest !== '') {
    const number = /^(?:\d+\.?\d*|\.\d+)/.exec(rest)
    if (!number) break
    rest = rest.slice(number[0].length)
    const unit = /^[^.\d]*/.exec(rest)![0]
    if (unit === '') return `time: missing unit in duration ${quoteBytes(text)}`
    if (!/^(?:ns|[uµμ]s|ms|s|m|h)$/.test(unit)) {
      return `time: unknown unit ${quoteBytes(unit)} in duration ${quoteBytes(text)}`
    }
    rest = rest.slice(unit.length)
  }
  return `time: invalid duration ${quoteBytes(text)}`
}

/** As package time of Go quotes: bytes that are not printable ASCII in hexadecimal. */
const quoteBytes = (text: string): string =>
  `"${text.replace(/["\\]|[^ -~]/gu, (char) =>
    char === '"' || char === '\\'
      ? `\\${char}`
      : [...new TextEncoder().encode(char)]
          .map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`)
          .join(''),
  )}"`

function bytesFault(text: string): string {
  const digits = /^[\d.,]*/.exec(text)![0]
  const number = digits.replaceAll(',', '')
  if (!FLOAT.test(number)) return floatFault(number)
  const unit = text.slice(digits.length).trim().toLowerCase()
  return /^(?:[kmgtpe]i?)?b?$/.test(unit) ? `too large: ${text}` : `unhandled size name: ${unit}`
}
