// The functions of templates by name, with the types they take: those of Loki and the builtins of Go.
// A function that is left out is refused by its name before a line is formatted.

import { numberFault, readNumber } from './go-numbers.ts'
import * as math from './template-math.ts'
import { printf } from './template-printf.ts'
import * as text from './template-text.ts'
import { formatMoment, parseMoment, unixToTime } from './template-time.ts'
import {
  checkLength,
  Int,
  isTrue,
  Labels,
  Moment,
  print,
  secondsOf,
  TemplateError,
  toFloat,
  toInt,
  typeOf,
  type Value,
} from './template-values.ts'

export type Param = 'string' | 'int' | 'float64' | 'time' | 'any'

export interface TemplateFunction {
  params: Param[]
  /** Type of all further arguments; null: there are none. */
  rest: Param | null
  call(args: Value[]): Value
}

const of = (
  params: Param[],
  call: (...args: never[]) => Value,
  rest: Param | null = null,
): TemplateFunction => ({ params, rest, call: (args) => call(...(args as never[])) })

const int = (value: number | bigint) => new Int(BigInt(value), 'int')
const S: Param = 'string'
const ANY: Param = 'any'

type Texts = (a: string, b: string) => Value
const one = (call: (a: string) => Value) => of([S], call)
const twoTexts = (call: Texts) => of([S, S], call)
const counted = (call: (count: bigint, a: string) => Value) =>
  of(['int', S], (count: Int, a: string) => call(count.value, a))
const sums = (call: (values: Value[]) => Value, least: Param[] = []) =>
  of(least, (...values: Value[]) => call(values), ANY)

function measured(unit: 'duration' | 'bytes'): TemplateFunction {
  return one((value) => {
    const number = readNumber(value, unit)
    if (number === null) throw new TemplateError(`${numberFault(value, unit)}`)
    return number
  })
}

function dateText(layout: string, value: Value): string {
  if (value instanceof Moment) return formatMoment(layout, value)
  if (value instanceof Int) {
    return formatMoment(layout, new Moment(value.value * 1_000_000_000n))
  }
  throw new TemplateError(`a ${typeOf(value)} is no time`)
}

const upper = (value: string) => value.toUpperCase()
const lower = (value: string) => value.toLowerCase()
const duration = measured('duration')

/** Functions of Loki: its own, and those of sprig that it lists. */
const LOKI: Readonly<Record<string, TemplateFunction>> = {
  ToLower: one(lower),
  ToUpper: one(upper),
  lower: one(lower),
  upper: one(upper),
  title: one(text.title),
  Replace: of([S, S, S, 'int'], (value: string, old: string, by: string, count: Int) =>
    text.replace(value, old, by, count.value),
  ),
  replace: of([S, S, S], (old: string, by: string, value: string) =>
    text.replace(value, old, by, -1n),
  ),
  Trim: twoTexts((value, set) => text.trimSet(value, set, 'both')),
  TrimLeft: twoTexts((value, set) => text.trimSet(value, set, 'left')),
  TrimRight: twoTexts((value, set) => text.trimSet(value, set, 'right')),
  TrimPrefix: twoTexts(text.trimPrefix),
  TrimSuffix: twoTexts(text.trimSuffix),
  TrimSpace: one(text.trim),
  trim: one(text.trim),
  trimAll: twoTexts((set, value) => text.trimSet(value, set, 'both')),
  trimPrefix: twoTexts((prefix, value) => text.trimPrefix(value, prefix)),
  trimSuffix: twoTexts((suffix, value) => text.trimSuffix(value, suffix)),
  trunc: counted(text.trunc),
  substr: of(['int', 'int', S], (start: Int, end: Int, value: string) =>
    text.substr(start.value, end.value, value),
  ),
  contains: twoTexts((part, value) => value.includes(part)),
  hasPrefix: twoTexts((prefix, value) => value.startsWith(prefix)),
  hasSuffix: twoTexts((suffix, value) => value.endsWith(suffix)),
  indent: counted(text.indent),
  nindent: counted((spaces, value) => `\n${text.indent(spaces, value)}`),
  repeat: counted(text.repeat),
  alignLeft: counted((count, value) => text.align('left', count, value)),
  alignRight: counted((count, value) => text.align('right', count, value)),
  b64enc: one(text.encodeBase64),
  b64dec: one(text.decodeBase64),
  urlencode: one(text.encodeUrl),
  urldecode: one(text.decodeUrl),
  bytes: measured('bytes'),
  duration,
  duration_seconds: duration,
  default: of(
    [ANY],
    (fallback: Value, ...given: Value[]) => (isTrue(given[0] ?? null) ? given[0]! : fallback),
    ANY,
  ),
  int: of([ANY], (value: Value) => new Int(toInt(value), 'int')),
  float64: of([ANY], (value: Value) => toFloat(value)),
  add: sums(math.add),
  sub: of([ANY, ANY], math.sub),
  mul: sums(math.mul, [ANY]),
  div: of([ANY, ANY], math.div),
  mod: of([ANY, ANY], math.mod),
  addf: sums(math.addf),
  subf: sums(math.subf, [ANY]),
  mulf: sums(math.mulf, [ANY]),
  divf: sums(math.divf, [ANY]),
  max: sums(math.max, [ANY]),
  min: sums(math.min, [ANY]),
  maxf: sums(math.maxf, [ANY]),
  minf: sums(math.minf, [ANY]),
  ceil: of([ANY], (value: Value) => Math.ceil(toFloat(value))),
  floor: of([ANY], (value: Value) => Math.floor(toFloat(value))),
  round: of(
    [ANY, 'int'],
    (value: Value, places: Int, on?: number) => math.round(value, places.value, on ?? 0.5),
    'float64',
  ),
  date: of([S, ANY], dateText),
  toDate: twoTexts(parseMoment),
  unixToTime: one(unixToTime),
  unixEpoch: of(['time'], (moment: Moment) => String(secondsOf(moment).seconds)),
  unixEpochMillis: of(['time'], (moment: Moment) => {
    const { seconds, nano } = secondsOf(moment)
    return String(seconds * 1000n + nano / 1_000_000n)
  }),
  unixEpochNanos: of(['time'], (moment: Moment) => String(moment.nano)),
}

/** Builtins of Go; `and` and `or` look at no more arguments than they need, so they are not here. */
const GO: Readonly<Record<string, TemplateFunction>> = {
  not: of([ANY], (value: Value) => !isTrue(value)),
  len: of([ANY], (value: Value) => {
    if (typeof value === 'string') return int(text.byteLength(value))
    if (value instanceof Labels) return int(value.all.size)
    throw new TemplateError(`len of type ${typeOf(value)}`)
  }),
  eq: of(
    [ANY],
    (first: Value, ...rest: Value[]) => {
      if (rest.length === 0) throw new TemplateError('missing argument for comparison')
      return rest.some((other) => order('eq', first, other) === 0)
    },
    ANY,
  ),
  ne: of([ANY, ANY], (a: Value, b: Value) => order('ne', a, b) !== 0),
  lt: of([ANY, ANY], (a: Value, b: Value) => order('lt', a, b) < 0),
  le: of([ANY, ANY], (a: Value, b: Value) => order('le', a, b) <= 0),
  gt: of([ANY, ANY], (a: Value, b: Value) => order('gt', a, b) > 0),
  ge: of([ANY, ANY], (a: Value, b: Value) => order('ge', a, b) >= 0),
  print: sums((values) => joined(values)),
  println: sums((values) => `${values.map(print).join(' ')}\n`),
  printf: of([S], (format: string, ...values: Value[]) => printf(format, values), ANY),
  urlquery: sums((values) => text.encodeUrl(joined(values))),
}

export const FUNCTIONS: ReadonlyMap<string, TemplateFunction> = new Map([
  ...Object.entries(LOKI),
  ...Object.entries(GO),
])

/** Functions whose first argument is a regular expression; template.ts compiles it once. */
export const REGEX_FUNCTIONS: ReadonlyMap<string, number> = new Map([
  ['regexReplaceAll', 3],
  ['regexReplaceAllLiteral', 3],
  ['count', 2],
])

/** Functions that Loki has, and templates here have not. */
export const REFUSED_FUNCTIONS: ReadonlySet<string> = new Set([
  'now',
  'fromJson',
  'toDateInZone',
  'call',
  'html',
  'index',
  'slice',
  'js',
])

/** As Go's Sprint: a space between two of which neither is a text. */
function joined(values: Value[]): string {
  let made = ''
  values.forEach((value, i) => {
    const isApart = i > 0 && typeof value !== 'string' && typeof values[i - 1] !== 'string'
    made += (isApart ? ' ' : '') + print(value)
    checkLength(made.length)
  })
  return made
}

/** Below 0, 0 or above: only two of one kind compare. */
function order(name: string, a: Value, b: Value): number {
  const fail = (why: string): never => {
    throw new TemplateError(why)
  }
  const isEquality = name === 'eq' || name === 'ne'
  if (a instanceof Int && b instanceof Int) return rank(a.value, b.value)
  if (typeof a === 'string' && typeof b === 'string') return rank(a, b)
  if (typeof a === 'number' && typeof b === 'number') return rank(a, b)
  if (typeof a === 'boolean' && typeof b === 'boolean' && isEquality) return a === b ? 0 : 1
  if (a === null || b === null || typeof a === 'object' || typeof b === 'object') {
    const isBasic = (value: Value) =>
      value !== null && !(value instanceof Moment) && !(value instanceof Labels)
    if (!isBasic(a) || !isBasic(b)) return fail('invalid type for comparison')
  }
  if (typeof a === 'boolean' && !isEquality) return fail('invalid type for comparison')
  return fail(`incompatible types for comparison: ${typeOf(a)} and ${typeOf(b)}`)
}

function rank<T extends string | number | bigint>(a: T, b: T): number {
  if (typeof a === 'string' && typeof b === 'string') return a === b ? 0 : compareTexts(a, b)
  return a === b ? 0 : a < b ? -1 : a > b ? 1 : Number.NaN
}

/** By code points, which is the order of UTF-8. */
function compareTexts(a: string, b: string): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    if (a.charCodeAt(i) === b.charCodeAt(i)) continue
    return a.codePointAt(i)! < b.codePointAt(i)! ? -1 : 1
  }
  return a.length - b.length
}
