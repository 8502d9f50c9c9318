// JSON from strangers. One look at the bytes before JSON.parse, which has no bounds of its own: it
// counts values and open brackets, and finds the integers that a double would round. Those are put
// in quotes, so that every digit of an int64 arrives; the text is copied only when there is one.

import { Buffer } from 'node:buffer'
import { JSON_DEPTH_MAX, JSON_VALUES_MAX } from '../limits.ts'
import { err, ok, type Result } from '../result.ts'

const QUOTE = 34
const COMMA = 44
const MINUS = 45
const DOT = 46
const ZERO = 48
const NINE = 57
const BACKSLASH = 92
const OPEN_ARRAY = 91
const OPEN_MAP = 123
/** Both closing brackets, with bit 5 set. */
const CLOSE = 125
const COLON = 58

/** Digits of 2^53 - 1, the largest integer of which every smaller one is exact too. */
const SAFE_DIGITS = String(Number.MAX_SAFE_INTEGER)

/**
 * Parses UTF-8 JSON. Integers beyond ±(2^53-1) come as texts of their digits. `too_large` when it
 * holds more values than JSON_VALUES_MAX; `bad_json` has the offset in bytes. What is no UTF-8
 * becomes U+FFFD.
 */
export function parseJson(body: Uint8Array): Result<unknown> {
  const bytes = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? body.subarray(3) : body
  const base = body.length - bytes.length
  const scan = scanJson(bytes)
  if (scan.values > JSON_VALUES_MAX) {
    const max = JSON_VALUES_MAX
    return err('too_large', `more than ${max} JSON values in one body`, { max })
  }
  if (scan.tooDeepAt >= 0) {
    const offset = scan.tooDeepAt + base
    const message = `more than ${JSON_DEPTH_MAX} brackets open at byte ${offset}`
    return err('bad_json', message, { offset, max: JSON_DEPTH_MAX })
  }
  try {
    return ok(JSON.parse(decodeUtf8(quoteIntegers(bytes, scan.long))))
  } catch (e) {
    if (!(e instanceof SyntaxError)) throw e
    const offset = findError(bytes) + base
    const what = offset >= body.length ? 'JSON ends too early' : 'not JSON'
    return err('bad_json', `${what} at byte ${offset}`, { offset })
  }
}

/** A BOM inside is a character like others; a leading one is gone before. */
const UTF8 = new TextDecoder('utf-8', { ignoreBOM: true, fatal: false })

function decodeUtf8(bytes: Uint8Array): string {
  const { buffer, byteOffset, byteLength } = bytes
  const view = new DataView(buffer, byteOffset, byteLength)
  let any = 0
  let i = 0
  for (; i + 4 <= byteLength; i += 4) any |= view.getInt32(i)
  for (; i < byteLength; i++) any |= bytes[i]!
  if ((any & 0x80808080) !== 0) return UTF8.decode(bytes)
  // ASCII, as most requests are: a copy of memory, several times as fast.
  return Buffer.from(buffer, byteOffset, byteLength).toString('latin1')
}

interface Scan {
  /** At least the values it would parse to. */
  values: number
  /** Where a bracket opens that is one too many; -1. */
  tooDeepAt: number
  /** Start and end of each integer that needs quotes, in pairs. */
  long: number[]
}

/** Looks at every byte once. Text that is no JSON gives numbers too, and fails in JSON.parse. */
function scanJson(bytes: Uint8Array): Scan {
  const scan: Scan = { values: 1, tooDeepAt: -1, long: [] }
  const end = bytes.length
  let depth = 0
  let before = 0
  let i = 0
  while (i < end) {
    const byte = bytes[i]!
    if (byte <= 32) {
      i++
      continue
    }
    if (byte === QUOTE) i = stringEnd(bytes, i + 1)
    else if (byte === MINUS || (byte >= ZERO && byte <= NINE)) i = scanNumber(bytes, i, scan.long)
    else {
      if (byte === COMMA) scan.values++
      else if (byte === OPEN_ARRAY || byte === OPEN_MAP) {
        scan.values++
        if (++depth > JSON_DEPTH_MAX && scan.tooDeepAt < 0) scan.tooDeepAt = i
      } else if ((byte | 32) === CLOSE) {
        depth--
        if (before === OPEN_ARRAY || before === OPEN_MAP) scan.values--
      }
      // A bare number as a name is no JSON, and must not become a text that is.
      else if (byte === COLON && before <= NINE && before !== QUOTE) scan.long.length = 0
      i++
    }
    before = byte
  }
  return scan
}

/** Where the string that began before `start` ends: behind its closing quote. */
function stringEnd(bytes: Uint8Array, start: number): number {
  let i = start
  for (; i < bytes.length; i++) {
    const byte = bytes[i]
    if (byte === QUOTE) return i + 1
    if (byte === BACKSLASH) i++
  }
  return i
}

/** Returns where the number ends, and notes it if it is an integer that a double would round. */
function scanNumber(bytes: Uint8Array, start: number, long: number[]): number {
  const digits = bytes[start] === MINUS ? start + 1 : start
  let i = digits
  while (i < bytes.length && bytes[i]! >= ZERO && bytes[i]! <= NINE) i++
  const length = i - digits
  const next = bytes[i] ?? 0
  if (length >= SAFE_DIGITS.length && next !== DOT && (next | 32) !== 101) {
    // One with a leading zero is no JSON, and must not become a text that is.
    if (bytes[digits] !== ZERO && !isSafe(bytes, digits, length)) long.push(start, i)
    return i
  }
  while (i < bytes.length && isNumberByte(bytes[i]!)) i++
  return i
}

function isSafe(bytes: Uint8Array, start: number, length: number): boolean {
  if (length > SAFE_DIGITS.length) return false
  for (let i = 0; i < length; i++) {
    const difference = bytes[start + i]! - SAFE_DIGITS.charCodeAt(i)
    if (difference !== 0) return difference < 0
  }
  return true
}

/** Of a number that is no plain integer: digits, `.`, `e`, signs. */
function isNumberByte(byte: number): boolean {
  return (
    (byte >= ZERO && byte <= NINE) ||
    byte === DOT ||
    byte === MINUS ||
    byte === 43 ||
    (byte | 32) === 101
  )
}

function quoteIntegers(bytes: Uint8Array, long: number[]): Uint8Array {
  if (long.length === 0) return bytes
  const quoted = new Uint8Array(bytes.length + long.length)
  let from = 0
  let to = 0
  for (const at of long) {
    quoted.set(bytes.subarray(from, at), to)
    to += at - from
    quoted[to++] = QUOTE
    from = at
  }
  quoted.set(bytes.subarray(from), to)
  return quoted
}

/**
 * Where the text stops being JSON: the engine's own message names no place for short texts, and one
 * in UTF-16 units for the others. Runs after JSON.parse has failed, so depth is bounded already.
 */
function findError(bytes: Uint8Array): number {
  const at = { pos: 0 }
  if (!skipValue(bytes, at)) return at.pos
  skipSpace(bytes, at)
  return at.pos
}

interface Place {
  pos: number
}

function skipSpace(bytes: Uint8Array, at: Place): number {
  while (at.pos < bytes.length && [32, 9, 10, 13].includes(bytes[at.pos]!)) at.pos++
  return bytes[at.pos] ?? -1
}

/** Moves behind one value, or to the byte that is wrong and answers false. */
function skipValue(bytes: Uint8Array, at: Place): boolean {
  const byte = skipSpace(bytes, at)
  if (byte === OPEN_MAP) return skipMembers(bytes, at, 125, true)
  if (byte === OPEN_ARRAY) return skipMembers(bytes, at, 93, false)
  if (byte === QUOTE) return skipString(bytes, at)
  for (const word of ['true', 'false', 'null']) {
    if (byte === word.charCodeAt(0)) return skipWord(bytes, at, word)
  }
  return skipNumber(bytes, at)
}

function skipMembers(bytes: Uint8Array, at: Place, close: number, isMap: boolean): boolean {
  at.pos++
  if (skipSpace(bytes, at) === close) {
    at.pos++
    return true
  }
  for (;;) {
    if (isMap) {
      if (skipSpace(bytes, at) !== QUOTE || !skipString(bytes, at)) return false
      if (skipSpace(bytes, at) !== COLON) return false
      at.pos++
    }
    if (!skipValue(bytes, at)) return false
    const byte = skipSpace(bytes, at)
    if (byte !== COMMA && byte !== close) return false
    at.pos++
    if (byte === close) return true
  }
}

function skipString(bytes: Uint8Array, at: Place): boolean {
  at.pos++
  for (; at.pos < bytes.length; at.pos++) {
    const byte = bytes[at.pos]!
    if (byte < 32) return false
    if (byte === QUOTE) {
      at.pos++
      return true
    }
    if (byte === BACKSLASH) {
      at.pos++
      const escaped = bytes[at.pos] ?? 0
      if (escaped === 117) {
        for (let i = 0; i < 4; i++) if (!isHexDigit(bytes[++at.pos] ?? 0)) return false
      } else if (!ESCAPES.includes(escaped)) return false
    }
  }
  return false
}

/** What may follow a backslash: `"\\/bfnrt`. */
const ESCAPES = [34, 92, 47, 98, 102, 110, 114, 116]

function isHexDigit(byte: number): boolean {
  return (byte >= ZERO && byte <= NINE) || ((byte | 32) >= 97 && (byte | 32) <= 102)
}

function skipWord(bytes: Uint8Array, at: Place, word: string): boolean {
  for (let i = 0; i < word.length; i++, at.pos++) {
    if (bytes[at.pos] !== word.charCodeAt(i)) return false
  }
  return true
}

function skipNumber(bytes: Uint8Array, at: Place): boolean {
  const start = at.pos
  while (at.pos < bytes.length && isNumberByte(bytes[at.pos]!)) at.pos++
  const text = String.fromCharCode(...bytes.subarray(start, Math.min(at.pos, start + 1000)))
  if (at.pos - start > 1000 || /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(text)) return true
  at.pos = start
  return false
}
