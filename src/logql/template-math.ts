// The arithmetic of templates: integers of 64 bits, and floats that are added and divided as decimals, so
// that 0.1 and 0.2 make 0.3.

import { Int, TemplateError, toFloat, toInt, type Value } from './template-values.ts'

const int64 = (value: bigint) => new Int(value, 'int64')

function divideInts(a: Value, b: Value, take: (a: bigint, b: bigint) => bigint): Int {
  const by = toInt(b)
  if (by === 0n) throw new TemplateError('runtime error: integer divide by zero')
  return int64(take(toInt(a), by))
}

export const add = (values: Value[]): Int =>
  int64(values.reduce((sum, one) => sum + toInt(one), 0n))
export const sub = (a: Value, b: Value): Int => int64(toInt(a) - toInt(b))
export const mul = ([first, ...rest]: Value[]): Int =>
  int64(
    rest.reduce((product, one) => BigInt.asIntN(64, product * toInt(one)), toInt(first ?? null)),
  )
export const div = (a: Value, b: Value): Int => divideInts(a, b, (x, y) => x / y)
export const mod = (a: Value, b: Value): Int => divideInts(a, b, (x, y) => x % y)
export const max = (values: Value[]): Int =>
  int64(values.map(toInt).reduce((most, one) => (one > most ? one : most)))
export const min = (values: Value[]): Int =>
  int64(values.map(toInt).reduce((least, one) => (one < least ? one : least)))
export const maxf = (values: Value[]): number => Math.max(...values.map(toFloat))
export const minf = (values: Value[]): number => Math.min(...values.map(toFloat))

/** `digits` times ten to the power of `exponent`. */
interface Decimal {
  digits: bigint
  exponent: number
}

function decimalOf(value: number): Decimal {
  if (!Number.isFinite(value)) {
    throw new TemplateError(`Cannot create a Decimal from ${Number.isNaN(value) ? 'NaN' : value}`)
  }
  const [mantissa, power] = value.toExponential().split('e') as [string, string]
  const [whole, fraction = ''] = mantissa.split('.') as [string, string?]
  return { digits: BigInt(whole + fraction), exponent: Number(power) - fraction.length }
}

const toNumber = ({ digits, exponent }: Decimal): number => Number(`${digits}e${exponent}`)

function aligned(a: Decimal, b: Decimal): [bigint, bigint, number] {
  const exponent = Math.min(a.exponent, b.exponent)
  const scale = ({ digits, exponent: from }: Decimal) => digits * 10n ** BigInt(from - exponent)
  return [scale(a), scale(b), exponent]
}

function plus(a: Decimal, b: Decimal): Decimal {
  const [x, y, exponent] = aligned(a, b)
  return { digits: x + y, exponent }
}

function minus(a: Decimal, b: Decimal): Decimal {
  return plus(a, { digits: -b.digits, exponent: b.exponent })
}

const times = (a: Decimal, b: Decimal): Decimal => ({
  digits: a.digits * b.digits,
  exponent: a.exponent + b.exponent,
})

const DIVISION_DECIMALS = 16

function over(a: Decimal, b: Decimal): Decimal {
  if (b.digits === 0n) throw new TemplateError('decimal division by 0')
  const [x, y] = aligned(a, b)
  const scaled = x * 10n ** BigInt(DIVISION_DECIMALS)
  const quotient = scaled / y
  const rest = scaled % y
  const size = (n: bigint) => (n < 0n ? -n : n)
  const away = size(rest) * 2n >= size(y) ? (x < 0n === y < 0n ? 1n : -1n) : 0n
  return { digits: quotient + away, exponent: -DIVISION_DECIMALS }
}

const inDecimals =
  (take: (a: Decimal, b: Decimal) => Decimal) =>
  ([first, ...rest]: Value[]): number =>
    toNumber(
      rest.reduce<Decimal>(
        (sum, one) => take(sum, decimalOf(toFloat(one))),
        decimalOf(toFloat(first ?? null)),
      ),
    )

export const addf = (values: Value[]): number => inDecimals(plus)([0, ...values])
export const subf = inDecimals(minus)
export const mulf = inDecimals(times)
export const divf = inDecimals(over)

/** `round a places`: half and more goes up; of `round a places on`, `on` and more. */
export function round(value: Value, places: bigint, on: number): number {
  const power = 10 ** Number(places)
  const digit = power * toFloat(value)
  const fraction = digit - Math.trunc(digit)
  return (fraction >= on ? Math.ceil(digit) : Math.floor(digit)) / power
}
