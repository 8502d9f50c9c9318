// `printf`, with the verbs that suit texts, booleans, integers, floats and times. What a verb cannot
// print is shown as Go shows it: `%!d(string=abc)`.

import { quote } from './literals.ts'
import {
  checkLength,
  exponentText,
  floatText,
  Int,
  Labels,
  Moment,
  print,
  TEMPLATE_CHARS_MAX,
  TemplateError,
  typeOf,
  type Value,
} from './template-values.ts'

const VERB = /%([+\-# 0]*)(\d*)(?:(\.)(\d*))?([a-zA-Z%])?/g

interface Flags {
  plus: boolean
  minus: boolean
  sharp: boolean
  space: boolean
  zero: boolean
  width: number
  precision: number | null
}

export function printf(format: string, values: Value[]): string {
  if (format.includes('*')) throw new TemplateError('printf: widths by * are not supported')
  let next = 0
  let length = format.length
  let text = format.replace(
    VERB,
    (_, marks: string, width: string, dot?: string, digits?: string, verb?: string) => {
      if (verb === undefined) return '%!(NOVERB)'
      if (verb === '%') return '%'
      if (next >= values.length) return `%!${verb}(MISSING)`
      const flags: Flags = {
        plus: marks.includes('+'),
        minus: marks.includes('-'),
        sharp: marks.includes('#'),
        space: marks.includes(' '),
        zero: marks.includes('0') && !marks.includes('-'),
        width: Math.min(Number(width), TEMPLATE_CHARS_MAX + 1),
        precision: dot === undefined ? null : Math.min(Number(digits), TEMPLATE_CHARS_MAX + 1),
      }
      const value = formatValue(verb, flags, values[next++]!)
      length += value.length
      checkLength(length)
      return value
    },
  )
  if (next < values.length) {
    const extra = values.slice(next).map((value) => `${typeOf(value)}=${print(value)}`)
    text += `%!(EXTRA ${extra.join(', ')})`
  }
  checkLength(text.length)
  return text
}

function formatValue(verb: string, flags: Flags, value: Value): string {
  checkLength(flags.width)
  checkLength(flags.precision ?? 0)
  const text = bodyOf(verb, flags, value)
  if (text === null) return `%!${verb}(${typeOf(value)}=${print(value)})`
  return text
}

function bodyOf(verb: string, flags: Flags, value: Value): string | null {
  if (verb === 'T') return pad(typeOf(value), flags, false)
  if (value instanceof Moment || value instanceof Labels || value === null) {
    return verb === 'v' || verb === 's' ? pad(print(value), flags, false) : null
  }
  if (typeof value === 'string') return textBody(verb, flags, value)
  if (typeof value === 'boolean') {
    return verb === 'v' || verb === 't' ? pad(String(value), flags, false) : null
  }
  if (value instanceof Int) return intBody(verb, flags, value.value)
  return typeof value === 'number' ? floatBody(verb, flags, value) : null
}

function textBody(verb: string, flags: Flags, value: string): string | null {
  const cut = flags.precision === null ? value : [...value].slice(0, flags.precision).join('')
  if (verb === 's' || verb === 'v') {
    return pad(verb === 'v' && flags.sharp ? quote(value) : cut, flags, flags.zero)
  }
  if (verb === 'q') {
    const isRaw = flags.sharp && !cut.includes('`') && !/[\0-\x08\x0a-\x1f\x7f\ufeff]/.test(cut)
    return pad(isRaw ? `\`${cut}\`` : quote(cut), flags, flags.zero)
  }
  if (verb !== 'x' && verb !== 'X') return null
  const bytes = new TextEncoder().encode(value).slice(0, flags.precision ?? undefined)
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0'))
  if (flags.sharp || flags.space) {
    const prefix = flags.sharp && hex.length > 0 ? '0x' : ''
    const spaced = flags.space ? hex.join(flags.sharp ? ' 0x' : ' ') : hex.join('')
    return pad(casedAs(verb, prefix + spaced), flags, flags.zero)
  }
  return pad(casedAs(verb, hex.join('')), flags, flags.zero)
}

const casedAs = (verb: string, text: string) => (verb === 'X' ? text.toUpperCase() : text)

const BASES: Readonly<Record<string, number>> = { b: 2, o: 8, O: 8, d: 10, v: 10, x: 16, X: 16 }

function intBody(verb: string, flags: Flags, value: bigint): string | null {
  if (verb === 'c' || verb === 'q' || verb === 'U') {
    const isRune = value >= 0n && value <= 0x10ffffn && !(value >= 0xd800n && value < 0xe000n)
    const rune = isRune ? String.fromCodePoint(Number(value)) : '\ufffd'
    if (verb === 'U')
      return pad(`U+${value.toString(16).toUpperCase().padStart(4, '0')}`, flags, false)
    return pad(verb === 'c' ? rune : `'${rune}'`, flags, false)
  }
  const base = BASES[verb]
  if (base === undefined) return null
  const size = value < 0n ? -value : value
  let digits = casedAs(verb, size.toString(base))
  if (flags.precision !== null) {
    digits = flags.precision === 0 && size === 0n ? '' : digits.padStart(flags.precision, '0')
  }
  const sign = value < 0n ? '-' : flags.plus ? '+' : flags.space ? ' ' : ''
  const prefix = prefixOf(verb, flags.sharp)
  if (flags.zero && flags.precision === null) {
    digits = digits.padStart(flags.width - sign.length, '0')
  }
  return pad(sign + prefix + digits, flags, false)
}

function prefixOf(verb: string, isSharp: boolean): string {
  if (verb === 'O') return '0o'
  if (!isSharp) return ''
  return ({ b: '0b', o: '0', x: '0x', X: '0X' } as Record<string, string>)[verb] ?? ''
}

/** Digits that JavaScript writes at most; Go writes more, all zeros or noise. */
const DECIMALS_MAX = 100

function floatBody(verb: string, flags: Flags, value: number): string | null {
  if (!'vgGeEfF'.includes(verb)) return null
  const isNumber = Number.isFinite(value)
  let text = isNumber ? finiteText(verb, flags, value) : floatText(value)
  if (!isNumber && value > 0 && !flags.plus) text = flags.space ? ' Inf' : '+Inf'
  else if (!text.startsWith('-') && !text.startsWith('+') && !Number.isNaN(value)) {
    text = (flags.plus ? '+' : flags.space ? ' ' : '') + text
  } else if (Number.isNaN(value) && flags.plus) text = `+${text}`
  if (!flags.zero || !isNumber) return pad(text, flags, false)
  const sign = /^[-+ ]/.exec(text)?.[0] ?? ''
  return sign + text.slice(sign.length).padStart(flags.width - sign.length, '0')
}

function finiteText(verb: string, { precision }: Flags, value: number): string {
  if (precision !== null && precision > DECIMALS_MAX) {
    throw new TemplateError(`printf: more than ${DECIMALS_MAX} decimals are not supported`)
  }
  if (verb === 'f' || verb === 'F') return fixed(value, precision ?? 6)
  if (verb === 'e' || verb === 'E') {
    const [digits, power] = exponential(value, precision ?? 6)
    return casedAsExponent(verb, `${digits}e${exponentText(Number(power))}`)
  }
  const text = precision === null ? floatText(value) : general(value, precision || 1)
  return casedAsExponent(verb, text)
}

const casedAsExponent = (verb: string, text: string) =>
  verb === 'E' || verb === 'G' ? text.toUpperCase() : text

/** Digits that show whether a float lies between two roundings, and not just near. */
const TIE_DIGITS = 30

/** toFixed, which rounds a half up where Go takes the even digit, and has an exponent from 1e21. */
function fixed(value: number, decimals: number): string {
  const size = Math.abs(value)
  const sign = value < 0 || Object.is(value, -0) ? '-' : ''
  if (size >= 1e21) return `${sign}${BigInt(size)}${decimals > 0 ? `.${'0'.repeat(decimals)}` : ''}`
  const exact = size.toFixed(Math.min(decimals + TIE_DIGITS, DECIMALS_MAX))
  return sign + halfToEven(exact, size.toFixed(decimals), decimals)
}

function exponential(value: number, decimals: number): [string, string] {
  const size = Math.abs(value)
  const exact = size.toExponential(Math.min(decimals + TIE_DIGITS, DECIMALS_MAX)).split('e')
  const [rounded, power] = size.toExponential(decimals).split('e') as [string, string]
  const isSame = exact[1] === power
  const digits = isSame ? halfToEven(exact[0]!, rounded, decimals) : rounded
  return [(value < 0 ? '-' : '') + digits, power]
}

/** `rounded`, or the cut digits where a half was rounded up to an odd digit. */
function halfToEven(exact: string, rounded: string, decimals: number): string {
  const end = exact.indexOf('.') + 1 + decimals
  if (!/^50*$/.test(exact.slice(end))) return rounded
  const cut = exact.slice(0, decimals === 0 ? end - 1 : end)
  return Number(cut.at(-1)) % 2 === 0 ? cut : rounded
}

/** `%.3g`: so many digits, zeros at the end left out. */
function general(value: number, digits: number): string {
  const [mantissa, power] = exponential(value, digits - 1)
  const trimmed = mantissa.includes('.') ? mantissa.replace(/\.?0+$/, '') : mantissa
  const exponent = Number(power)
  if (exponent < -4 || exponent >= digits) return `${trimmed}e${exponentText(exponent)}`
  const text = fixed(value, Math.max(0, digits - 1 - exponent))
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text
}

function pad(text: string, { width, minus }: Flags, zeros: boolean): string {
  const missing = width - [...text].length
  if (missing <= 0) return text
  if (minus) return text + ' '.repeat(missing)
  return (zeros ? '0' : ' ').repeat(missing) + text
}
