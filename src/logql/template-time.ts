// Times in templates: Go's layouts, in which `2006-01-02 15:04:05` is an example of the time to write or
// to read. All clocks are UTC, as those of a collector are.

import { quote } from './literals.ts'
import { dateOf, Moment, offsetText, secondsOf, TemplateError } from './template-values.ts'

const CHUNK =
  /January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|002|0[1-6]|2006|__2|_2(?!006)|2|15|[1345]|PM|pm|[-Z]07(?::00:00|0000|:00|00)?|[.,](?:0+|9+)(?!\d)/g

const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
]
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']

const two = (n: number) => String(n).padStart(2, '0')

/** Day of the year, from 1. */
const dayOfYear = (date: Date): number =>
  Math.floor((date.getTime() - Date.UTC(date.getUTCFullYear(), 0, 1)) / 86_400_000) + 1

/** In UTC. */
export function formatMoment(layout: string, moment: Moment): string {
  const { seconds, nano } = secondsOf(moment)
  const date = dateOf(seconds, 0)
  return layout.replace(CHUNK, (chunk) => formatChunk(chunk, date, nano))
}

function formatChunk(chunk: string, date: Date, nano: bigint): string {
  const hour = date.getUTCHours()
  const hour12 = hour % 12 === 0 ? 12 : hour % 12
  switch (chunk) {
    case '2006':
      return String(date.getUTCFullYear()).padStart(4, '0')
    case '06':
      return two(date.getUTCFullYear() % 100)
    case 'January':
      return MONTHS[date.getUTCMonth()]!
    case 'Jan':
      return MONTHS[date.getUTCMonth()]!.slice(0, 3)
    case '01':
      return two(date.getUTCMonth() + 1)
    case '1':
      return String(date.getUTCMonth() + 1)
    case 'Monday':
      return DAYS[date.getUTCDay()]!
    case 'Mon':
      return DAYS[date.getUTCDay()]!.slice(0, 3)
    case '02':
      return two(date.getUTCDate())
    case '_2':
      return String(date.getUTCDate()).padStart(2)
    case '2':
      return String(date.getUTCDate())
    case '002':
      return String(dayOfYear(date)).padStart(3, '0')
    case '__2':
      return String(dayOfYear(date)).padStart(3)
    case '15':
      return two(hour)
    case '03':
      return two(hour12)
    case '3':
      return String(hour12)
    case '04':
      return two(date.getUTCMinutes())
    case '4':
      return String(date.getUTCMinutes())
    case '05':
      return two(date.getUTCSeconds())
    case '5':
      return String(date.getUTCSeconds())
    case 'PM':
      return hour >= 12 ? 'PM' : 'AM'
    case 'pm':
      return hour >= 12 ? 'pm' : 'am'
    case 'MST':
      return 'UTC'
  }
  return chunk.startsWith('.') || chunk.startsWith(',') ? fraction(chunk, nano) : zone(chunk)
}

function fraction(chunk: string, nano: bigint): string {
  const digits = String(nano)
    .padStart(9, '0')
    .padEnd(chunk.length, '0')
    .slice(0, chunk.length - 1)
  if (chunk[1] === '0') return chunk[0] + digits
  const trimmed = digits.replace(/0+$/, '')
  return trimmed === '' ? '' : chunk[0] + trimmed
}

function zone(chunk: string): string {
  if (chunk.startsWith('Z')) return 'Z'
  return chunk.replace('-07', '+00')
}

/** Year 1: what Go gives for a text that does not fit. */
const ZERO = new Moment(-62_135_596_800_000_000_000n)

interface Parts {
  year: number
  month: number
  day: number
  dayOfYear: number | null
  hour: number
  isPm: boolean | null
  minute: number
  second: number
  nano: bigint
  offsetSeconds: number
  zone: string
}

/** The moment that a text tells by a layout. */
export function parseMoment(layout: string, text: string): Moment {
  const parts: Parts = {
    year: 0,
    month: 1,
    day: 1,
    dayOfYear: null,
    hour: 0,
    isPm: null,
    minute: 0,
    second: 0,
    nano: 0n,
    offsetSeconds: 0,
    zone: 'UTC',
  }
  let rest = text
  let from = 0
  for (const chunk of layout.matchAll(CHUNK)) {
    const left = skipLiteral(layout.slice(from, chunk.index), rest)
    const next = left === null ? null : readChunk(chunk[0], left, parts)
    if (next === null) return ZERO
    from = chunk.index + chunk[0].length
    rest = /^0?5$/.test(chunk[0]) ? readFraction(layout.slice(from), next, parts) : next
  }
  const left = skipLiteral(layout.slice(from), rest)
  return left === '' ? (momentOf(parts) ?? ZERO) : ZERO
}

/** What is left after the text between chunks, in which any number of spaces is as good as one. */
function skipLiteral(literal: string, text: string): string | null {
  let rest = text
  for (let i = 0; i < literal.length; i++) {
    if (literal[i] === ' ') {
      if (rest !== '' && rest[0] !== ' ') return null
      rest = rest.replace(/^ +/, '')
    } else if (rest[0] !== literal[i]) return null
    else rest = rest.slice(1)
  }
  return rest
}

/** A fraction of a second may stand in the text where the layout has none. */
function readFraction(layout: string, text: string, parts: Parts): string {
  if (/^[.,][09]/.test(layout)) return text
  const found = /^[.,](\d+)/.exec(text)
  if (!found) return text
  parts.nano = BigInt(found[1]!.slice(0, 9).padEnd(9, '0'))
  return text.slice(found[0].length)
}

const NUMBERS: Readonly<Record<string, [RegExp, (parts: Parts, value: number) => void, number]>> = {
  '2006': [/^\d{4}/, (parts, value) => (parts.year = value), 9999],
  '06': [/^\d\d/, (parts, value) => (parts.year = value + (value >= 69 ? 1900 : 2000)), 99],
  '01': [/^\d\d/, (parts, value) => (parts.month = value), 12],
  '1': [/^\d\d?/, (parts, value) => (parts.month = value), 12],
  '02': [/^\d\d/, (parts, value) => (parts.day = value), 31],
  '2': [/^\d\d?/, (parts, value) => (parts.day = value), 31],
  _2: [/^ ?\d\d?/, (parts, value) => (parts.day = value), 31],
  '002': [/^\d{3}/, (parts, value) => (parts.dayOfYear = value), 366],
  __2: [/^ {0,2}\d{1,3}/, (parts, value) => (parts.dayOfYear = value), 366],
  '15': [/^\d\d?/, (parts, value) => (parts.hour = value), 23],
  '03': [/^\d\d/, (parts, value) => (parts.hour = value), 12],
  '3': [/^\d\d?/, (parts, value) => (parts.hour = value), 12],
  '04': [/^\d\d/, (parts, value) => (parts.minute = value), 59],
  '4': [/^\d\d?/, (parts, value) => (parts.minute = value), 59],
  '05': [/^\d\d/, (parts, value) => (parts.second = value), 59],
  '5': [/^\d\d?/, (parts, value) => (parts.second = value), 59],
}

function readChunk(chunk: string, text: string, parts: Parts): string | null {
  const number = NUMBERS[chunk]
  if (number) {
    const [form, set, most] = number
    const found = form.exec(text)?.[0]
    if (found === undefined || Number(found) > most) return null
    set(parts, Number(found))
    return text.slice(found.length)
  }
  if (chunk.startsWith('.') || chunk.startsWith(',')) return readDigits(chunk, text, parts)
  const word = /^[A-Za-z]+/.exec(text)?.[0] ?? ''
  if (chunk === 'PM' || chunk === 'pm') {
    const half = text.slice(0, 2)
    const [am, pm] = chunk === 'PM' ? ['AM', 'PM'] : ['am', 'pm']
    if (half !== am && half !== pm) return null
    parts.isPm = half === pm
    return text.slice(2)
  }
  if (chunk === 'MST') return readZoneName(word, text, parts)
  if (/^[JM]/.test(chunk)) return readName(chunk, text, parts)
  return readOffset(chunk, text, parts)
}

function readName(chunk: string, text: string, parts: Parts): string | null {
  const isMonth = chunk.startsWith('J')
  const isShort = chunk.length === 3
  const names = (isMonth ? MONTHS : DAYS).map((name) => (isShort ? name.slice(0, 3) : name))
  const index = names.findIndex(
    (name) => text.slice(0, name.length).toLowerCase() === name.toLowerCase(),
  )
  if (index < 0) return null
  if (isMonth) parts.month = index + 1
  return text.slice(names[index]!.length)
}

function readDigits(chunk: string, text: string, parts: Parts): string | null {
  const isExact = chunk[1] === '0'
  const found = /^[.,](\d+)/.exec(text)
  if (!found) return isExact ? null : text
  const digits = isExact ? found[1]!.slice(0, chunk.length - 1) : found[1]!
  if (isExact && digits.length < chunk.length - 1) return null
  parts.nano = BigInt(digits.slice(0, 9).padEnd(9, '0'))
  return text.slice(1 + digits.length)
}

function readZoneName(word: string, text: string, parts: Parts): string | null {
  const zone = word.slice(0, 5)
  if (text.startsWith('UTC')) {
    parts.zone = 'UTC'
    return text.slice(3)
  }
  if (!/^[A-Z]{3,4}T?$/.test(zone)) return null
  parts.zone = zone
  return text.slice(zone.length)
}

function readOffset(chunk: string, text: string, parts: Parts): string | null {
  if (chunk.startsWith('Z') && text.startsWith('Z')) return text.slice(1)
  const form = chunk.slice(3)
  const forms: Readonly<Record<string, RegExp>> = {
    '': /^([+-])(\d\d)/,
    '00': /^([+-])(\d\d)(\d\d)/,
    ':00': /^([+-])(\d\d):(\d\d)/,
    '0000': /^([+-])(\d\d)(\d\d)(\d\d)/,
    ':00:00': /^([+-])(\d\d):(\d\d):(\d\d)/,
  }
  const found = forms[form]!.exec(text)
  if (!found) return null
  const [all, sign, hours, minutes = '0', seconds = '0'] = found
  if (Number(hours) > 24 || Number(minutes) > 60 || Number(seconds) > 60) return null
  const offset = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)
  parts.offsetSeconds = sign === '-' ? -offset : offset
  parts.zone = offset === 0 ? 'UTC' : offsetText(parts.offsetSeconds)
  return text.slice(all.length)
}

function momentOf(parts: Parts): Moment | null {
  const { year, month, minute, second, nano, offsetSeconds, zone } = parts
  const hour = parts.isPm === null ? parts.hour : (parts.hour % 12) + (parts.isPm ? 12 : 0)
  if (month < 1) return null
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, parts.day)
  if (parts.dayOfYear !== null) date.setUTCFullYear(year, 0, parts.dayOfYear)
  else if (date.getUTCDate() !== parts.day || parts.day < 1) return null
  date.setUTCHours(hour, minute, second)
  const seconds = BigInt(date.getTime() / 1000 - offsetSeconds)
  return new Moment(seconds * 1_000_000_000n + nano, offsetSeconds, zone)
}

/** Days, seconds, ms, µs or ns since 1970, by the number of digits. */
export function unixToTime(epoch: string): Moment {
  const unit = { 5: 86_400_000_000_000n, 10: 1_000_000_000n, 13: 1_000_000n, 16: 1000n, 19: 1n }[
    epoch.length
  ]
  const isNumber = /^[+-]?\d+$/.test(epoch)
  if (!unit || !isNumber) {
    const why = isNumber
      ? '%!w(<nil>)'
      : `strconv.ParseInt: parsing ${quote(epoch)}: invalid syntax`
    throw new TemplateError(`unable to parse time '${epoch}': ${why}`)
  }
  return new Moment(BigInt(epoch) * unit)
}
