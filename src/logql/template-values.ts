// The values that templates work on, by Go's types: texts, booleans, integers of 64 bits, floats and
// times; how they print, compare and become numbers.

import { parseGoFloat } from './go-numbers.ts'

/** int and int64 are different types to Go: a function that takes one refuses the other. */
export class Int {
  readonly value: bigint
  readonly type: 'int' | 'int64'

  constructor(value: bigint, type: 'int' | 'int64') {
    this.value = BigInt.asIntN(64, value)
    this.type = type
  }
}

/** A moment, and how far its clock is from UTC. */
export class Moment {
  /** Since 1970. */
  readonly nano: bigint
  readonly offsetSeconds: number
  readonly zone: string

  constructor(nano: bigint, offsetSeconds = 0, zone = 'UTC') {
    this.nano = nano
    this.offsetSeconds = offsetSeconds
    this.zone = zone
  }
}

/** All labels: what `.` is. */
export class Labels {
  readonly all: ReadonlyMap<string, string>

  constructor(all: ReadonlyMap<string, string>) {
    this.all = all
  }
}

export type Value = string | boolean | number | Int | Moment | Labels | null

/** What a template cannot do with a line; caught where the template was run. */
export class TemplateError extends Error {}

/** Of what one template makes of one line, and of every text on the way: a line is as long at most. */
export const TEMPLATE_CHARS_MAX = 256 * 1024

/** Before a text is made: a template must not blow up a line. */
export function checkLength(chars: number): void {
  if (chars > TEMPLATE_CHARS_MAX) {
    throw new TemplateError(`the text is longer than ${TEMPLATE_CHARS_MAX} characters`)
  }
}

export function typeOf(value: Value): string {
  if (value === null) return 'nil'
  if (value instanceof Int) return value.type
  if (value instanceof Moment) return 'time.Time'
  if (value instanceof Labels) return 'map[string]string'
  if (typeof value === 'boolean') return 'bool'
  return typeof value === 'number' ? 'float64' : 'string'
}

/** What `if`, `and`, `or` and `not` take for true, and `default` for given. */
export function isTrue(value: Value): boolean {
  if (value === null) return false
  if (value instanceof Int) return value.value !== 0n
  if (value instanceof Labels) return value.all.size > 0
  if (typeof value === 'number') return value !== 0
  return value !== '' && value !== false
}

/** A float as Go's `%v`: the shortest, with an exponent below 1e-4 and from 1e6. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf'
  if (Object.is(value, -0)) return '-0'
  const [digits, exponent] = value.toExponential().split('e') as [string, string]
  const power = Number(exponent)
  return value !== 0 && (power < -4 || power >= 6)
    ? `${digits}e${exponentText(power)}`
    : String(value)
}

export const exponentText = (power: number): string =>
  `${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`

/** As a template prints a value, and `%v`. */
export function print(value: Value): string {
  if (typeof value === 'string') return value
  if (value === null) return '<no value>'
  if (value instanceof Int) return String(value.value)
  if (value instanceof Moment) return momentText(value)
  if (value instanceof Labels) {
    const names = [...value.all.keys()].sort()
    return `map[${names.map((name) => `${name}:${value.all.get(name)}`).join(' ')}]`
  }
  return typeof value === 'number' ? floatText(value) : String(value)
}

const NANO = 1_000_000_000n

/** Whole seconds since 1970, rounded down, and the rest. */
export function secondsOf(moment: Moment): { seconds: bigint; nano: bigint } {
  const nano = ((moment.nano % NANO) + NANO) % NANO
  return { seconds: (moment.nano - nano) / NANO, nano }
}

function momentText(moment: Moment): string {
  const { seconds, nano } = secondsOf(moment)
  const date = dateOf(seconds, moment.offsetSeconds)
  const fraction = nano === 0n ? '' : `.${String(nano).padStart(9, '0').replace(/0+$/, '')}`
  const two = (n: number) => String(n).padStart(2, '0')
  const day = `${String(date.getUTCFullYear()).padStart(4, '0')}-${two(date.getUTCMonth() + 1)}-${two(date.getUTCDate())}`
  const clock = `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}`
  return `${day} ${clock}${fraction} ${offsetText(moment.offsetSeconds)} ${moment.zone}`
}

export const dateOf = (seconds: bigint, offsetSeconds: number): Date =>
  new Date((Number(seconds) + offsetSeconds) * 1000)

export function offsetText(seconds: number, separator = ''): string {
  const minutes = Math.trunc(Math.abs(seconds) / 60)
  const two = (n: number) => String(n).padStart(2, '0')
  return `${seconds < 0 ? '-' : '+'}${two(Math.trunc(minutes / 60))}${separator}${two(minutes % 60)}`
}

/** As sprig's functions read any value; 0 for what is no number. */
export function toInt(value: Value): bigint {
  if (value instanceof Int) return value.value
  if (typeof value === 'boolean') return value ? 1n : 0n
  if (typeof value === 'number') return Number.isFinite(value) ? BigInt(Math.trunc(value)) : MIN_INT
  return typeof value === 'string' ? (parseInt64(value) ?? 0n) : 0n
}

const MIN_INT = -(2n ** 63n)

/** A text in Go's integer syntax, the base told by its prefix; of `12.7` the 12. */
function parseInt64(text: string): bigint | null {
  const decimal = /^([-+]?)(\d*)\.\d*$/.exec(text)
  const whole = decimal ? decimal[1]! + (decimal[2] || '0') : text
  const parts =
    /^([-+]?)(?:0[xX]((?:_?[0-9a-fA-F])+)|0[bB]((?:_?[01])+)|0[oO]?((?:_?[0-7])+)|(0|[1-9](?:_?\d)*))$/.exec(
      whole.length > 80 ? '' : whole,
    )
  if (!parts) return null
  const [, sign, hex, binary, octal, plain] = parts
  const digits = hex ?? binary ?? octal ?? plain!
  const prefix = hex ? '0x' : binary ? '0b' : octal ? '0o' : ''
  const value = BigInt(prefix + digits.replaceAll('_', '')) * (sign === '-' ? -1n : 1n)
  return value === BigInt.asIntN(64, value) ? value : null
}

export function toFloat(value: Value): number {
  if (value instanceof Int) return Number(value.value)
  if (typeof value === 'boolean') return value ? 1 : 0
  if (typeof value === 'number') return value
  return typeof value === 'string' ? (parseGoFloat(value) ?? 0) : 0
}
