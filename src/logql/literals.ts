// Literals of LogQL as Loki reads and writes them, where Loki does as Go does: durations in Go's and
// in Prometheus' form, sizes as its humanize library reads them, strings in Go's quotes.

const NS_PER_MS = 1_000_000
/** Go keeps a duration as a signed number of ns in 64 bits: 292 years. */
const DURATION_MS_END = 2 ** 63 / NS_PER_MS

const GO_UNITS_NS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1000,
  µs: 1000,
  μs: 1000,
  ms: NS_PER_MS,
  s: 1000 * NS_PER_MS,
  m: 60_000 * NS_PER_MS,
  h: 3_600_000 * NS_PER_MS,
}
const GO_DURATION = /^[-+]?(?:0|(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/
const GO_PART = /(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)/g

/** Largest first, as Prometheus wants them in a duration. */
const UNITS_MS = [
  ['y', 31_536_000_000],
  ['w', 604_800_000],
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
] as const
const PROMETHEUS_DURATION =
  /^(?=\d)(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/

/** Whole milliseconds, and nanoseconds left, of one sign: as one number of ns a month is rounded. */
interface Span {
  ms: number
  ns: number
}

/**
 * Milliseconds of a duration in a query: whole numbers of y, w, d, h, m, s, ms in that order
 * (`1d12h`), or what Go reads (`1.5h`, `-10us`). Days, weeks and years have no fraction.
 */
export function parseDuration(text: string): number | null {
  const span = parseSpan(text)
  return span && span.ms + span.ns / NS_PER_MS
}

/** The same in seconds, rounded once: what a label filter compares with. */
export function parseDurationSeconds(text: string): number | null {
  const span = parseSpan(text)
  return span && secondsOf(span)
}

/**
 * Seconds of a duration in a log line or label: what Go's time.ParseDuration reads, so neither days
 * nor weeks nor years.
 */
export function parseGoSeconds(text: string): number | null {
  const span = parseGoSpan(text)
  return span && secondsOf(span)
}

const secondsOf = ({ ms, ns }: Span): number =>
  Math.trunc(ms / 1000) + ((ms % 1000) * NS_PER_MS + ns) / 1e9

function parseSpan(text: string): Span | null {
  const ms = parseRange(text)
  return ms === null ? parseGoSpan(text) : { ms, ns: 0 }
}

/** Milliseconds of what stands in brackets, `[1h30m]`: the first of the two forms alone. */
export function parseRange(text: string): number | null {
  const parts = PROMETHEUS_DURATION.exec(text)
  if (parts === null) return null
  const ms = UNITS_MS.reduce((sum, [, unitMs], i) => sum + Number(parts[i + 1] ?? 0) * unitMs, 0)
  return ms < DURATION_MS_END ? ms : null
}

function parseGoSpan(text: string): Span | null {
  if (!GO_DURATION.test(text)) return null
  let ms = 0
  let ns = 0
  for (const [, whole = '', decimals = '', unit = ''] of text.matchAll(GO_PART)) {
    const unitNs = GO_UNITS_NS[unit]!
    if (unitNs < NS_PER_MS) ns += Number(whole) * unitNs
    else ms += Number(whole) * (unitNs / NS_PER_MS)
    // What is less than a nanosecond is dropped.
    ns += Math.trunc(Number(`0.${decimals}`) * unitNs)
  }
  ms += Math.trunc(ns / NS_PER_MS)
  ns %= NS_PER_MS
  if (ms >= DURATION_MS_END) return null
  // Not -0 for zero.
  return text.startsWith('-') ? { ms: 0 - ms, ns: 0 - ns } : { ms, ns }
}

/** `5m`, `1h30m`: as Prometheus writes a duration; less than a millisecond is dropped. */
export function formatDuration(ms: number): string {
  let left = Math.trunc(Math.abs(ms))
  if (left === 0) return '0s'
  let text = ms < 0 ? '-' : ''
  for (const [unit, unitMs] of UNITS_MS) {
    // 90d is easier to read than 12w6d.
    const mustFit = unit === 'y' || unit === 'w'
    if (left < unitMs || (mustFit && left % unitMs !== 0)) continue
    text += `${Math.floor(left / unitMs)}${unit}`
    left %= unitMs
  }
  return text
}

const BYTES = /^([\d.,]+)\s*(?:([kmgtpe])(i?))?b?\s*$/i
const DECIMAL = /^(?:\d+(?:\.\d*)?|\.\d+)$/
const BYTES_END = 2 ** 64

/** Bytes of `20KB`, `5MiB`, `1.5 gb`, `1,024`: whole ones, a fraction is dropped. */
export function parseBytes(text: string): number | null {
  const parts = BYTES.exec(text)
  if (parts === null) return null
  const [, grouped, prefix, isBinary] = parts
  const digits = grouped!.replaceAll(',', '')
  if (!DECIMAL.test(digits)) return null
  const power = prefix ? 'kmgtpe'.indexOf(prefix.toLowerCase()) + 1 : 0
  const bytes = Number(digits) * (isBinary ? 1024 : 1000) ** power
  return bytes < BYTES_END ? Math.trunc(bytes) : null
}

const ENCODER = new TextEncoder()
const DECODER = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

const ESCAPES: Readonly<Record<string, number>> = {
  a: 7,
  b: 8,
  f: 12,
  n: 10,
  r: 13,
  t: 9,
  v: 11,
  '\\': 92,
  '"': 34,
}
const ESCAPE =
  /\\(?:([abfnrtv\\"])|x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))|\\|[^\\]{1,4096}/gu

/**
 * The text of a string in Go's double quotes or in backticks, quotes included. Null where Go refuses
 * it, and where its escaped bytes are no UTF-8, which no stored text can hold.
 */
export function unquote(text: string): string | null {
  const inner = text.slice(1, -1)
  if (text.length < 2) return null
  if (text.startsWith('`')) return text.endsWith('`') && !inner.includes('`') ? inner : null
  if (!/^"(?:[^"\\\n]|\\.)*"$/su.test(text)) return null
  if (!inner.includes('\\')) return inner
  const bytes: number[] = []
  for (const [piece, simple, hex, octal, short, long] of inner.matchAll(ESCAPE)) {
    const byte = simple ? ESCAPES[simple]! : Number.parseInt(hex ?? octal ?? '', hex ? 16 : 8)
    const code = Number.parseInt(short ?? long ?? '', 16)
    if (piece === '\\' || byte > 255 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
      return null
    }
    if (!Number.isNaN(byte)) bytes.push(byte)
    else bytes.push(...ENCODER.encode(Number.isNaN(code) ? piece : String.fromCodePoint(code)))
  }
  try {
    return DECODER.decode(new Uint8Array(bytes))
  } catch (e) {
    if (!(e instanceof TypeError)) throw e
    return null
  }
}

const LETTER_OF_CODE = new Map(Object.entries(ESCAPES).map(([letter, code]) => [code, letter]))
const UNPRINTABLE = /["\\]|[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu

/** In double quotes, as Go's strconv.Quote writes it. */
export const quote = (text: string): string => `"${text.replace(UNPRINTABLE, escapeOf)}"`

function escapeOf(char: string): string {
  const code = char.codePointAt(0)!
  const letter = LETTER_OF_CODE.get(code)
  if (letter !== undefined) return `\\${letter}`
  const hex = (digits: number) => code.toString(16).padStart(digits, '0')
  if (code < 0x20 || code === 0x7f) return `\\x${hex(2)}`
  return code < 0x10000 ? `\\u${hex(4)}` : `\\U${hex(8)}`
}
