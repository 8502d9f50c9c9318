// JSON as Loki's parser scans it: where values end in a text that may be cut or malformed, and what its
// strings say. Nothing is parsed that nobody asks for, and what comes before a fault still counts.

export const MALFORMED_OBJECT = "Value looks like object, but can't find closing '}' symbol"
export const MALFORMED_ARRAY = "Value is array, but can't find closing ']' symbol"
const MALFORMED_STRING = `Value is string, but can't find closing '"' symbol`
export const MALFORMED_JSON = 'Malformed JSON error'
export const MALFORMED_ESCAPE = 'Encountered an invalid escape sequence in a string'
export const TOO_DEEP = 'objects and arrays are too deep inside each other'
const UNKNOWN_VALUE = 'Unknown value type'

export const QUOTE = 34
export const COMMA = 44
export const COLON = 58
export const OPEN_ARRAY = 91
export const BACKSLASH = 92
export const CLOSE_ARRAY = 93
export const OPEN_OBJECT = 123
export const CLOSE_OBJECT = 125

/** Index of the next character that is not space, or `end`. */
export function skipSpace(text: string, from: number, end: number): number {
  let at = from
  while (at < end) {
    const c = text.charCodeAt(at)
    if (c !== 32 && c !== 10 && c !== 13 && c !== 9) break
    at++
  }
  return at
}

/** Index after the quote that closes the string whose text starts at `from`; -1: there is none. */
export function stringEnd(text: string, from: number, end: number): number {
  let at = from
  for (;;) {
    at = text.indexOf('"', at)
    if (at < 0 || at >= end) return -1
    let slashes = at - 1
    while (slashes >= from && text.charCodeAt(slashes) === BACKSLASH) slashes--
    at++
    if ((at - slashes) % 2 === 0) return at
  }
}

/**
 * Characters looked through for the ends of blocks in one line. Blocks inside each other are looked
 * through once for each: this is eight times the longest line, a few ms.
 */
const BLOCK_CHARS_MAX = 2 * 1024 * 1024

/** Index after the bracket that closes the one at `from`; -1: there is none. Only its own kind counts. */
function blockEnd(text: string, from: number, end: number): number {
  const opening = text.charCodeAt(from)
  const closing = opening === OPEN_OBJECT ? CLOSE_OBJECT : CLOSE_ARRAY
  let level = 0
  for (let at = from; at < end; at++) {
    const c = text.charCodeAt(at)
    if (c === QUOTE) {
      at = stringEnd(text, at + 1, end) - 1
      if (at < 0) return -1
    } else if (c === opening) level++
    else if (c === closing && --level === 0) return at + 1
  }
  return -1
}

export type ValueKind = 'string' | 'number' | 'boolean' | 'null' | 'object' | 'array'

/** Reads one value after another; `kind`, `start` and `end` are those of the last. */
export class ValueReader {
  kind: ValueKind = 'null'
  /** Of the value without its quotes. */
  start = 0
  end = 0
  /** Index after the value, quote included. */
  after = 0
  #left = BLOCK_CHARS_MAX

  /** Before the first value of a line. */
  reset(): void {
    this.#left = BLOCK_CHARS_MAX
  }

  /** Null, or why there is no value. */
  read(text: string, from: number, end: number): string | null {
    const at = skipSpace(text, from, end)
    if (at >= end) return MALFORMED_JSON
    this.start = at
    const c = text.charCodeAt(at)
    if (c === QUOTE) {
      const after = stringEnd(text, at + 1, end)
      if (after < 0) return MALFORMED_STRING
      this.kind = 'string'
      this.start = at + 1
      this.end = after - 1
      this.after = after
      return null
    }
    if (c === OPEN_OBJECT || c === OPEN_ARRAY) {
      const after = blockEnd(text, at, end)
      this.#left -= (after < 0 ? end : after) - at
      if (this.#left < 0) return TOO_DEEP
      this.kind = c === OPEN_OBJECT ? 'object' : 'array'
      this.end = after
      this.after = after
      if (after >= 0) return null
      return c === OPEN_OBJECT ? MALFORMED_OBJECT : MALFORMED_ARRAY
    }
    this.end = tokenEnd(text, at, end)
    this.after = this.end
    return this.#readToken(text, c)
  }

  /**
   * Reads the members of the object at `from`. `take` gets the key of each when its value was read, and may
   * read what is inside; whatever it gives but null ends the walk, as a fault does, and is given back.
   */
  readMembers<Outcome>(
    text: string,
    from: number,
    end: number,
    take: (key: string) => Outcome | null,
  ): Outcome | string | null {
    let at = skipSpace(text, from, end)
    if (at >= end || text.charCodeAt(at) !== OPEN_OBJECT) return MALFORMED_OBJECT
    at = skipSpace(text, at + 1, end)
    if (at >= end) return MALFORMED_JSON
    if (text.charCodeAt(at) === CLOSE_OBJECT) return null
    while (at < end) {
      const c = text.charCodeAt(at)
      if (c === CLOSE_OBJECT) return null
      if (c !== QUOTE) return MALFORMED_OBJECT
      const keyEnd = stringEnd(text, at + 1, end)
      if (keyEnd < 0) return MALFORMED_JSON
      const key = unescapeJson(text.slice(at + 1, keyEnd - 1))
      if (key === null) return MALFORMED_ESCAPE
      at = skipSpace(text, keyEnd, end)
      if (at >= end || text.charCodeAt(at) !== COLON) return MALFORMED_JSON
      const fault = this.read(text, at + 1, end)
      if (fault !== null) return fault
      const { after } = this
      const outcome = take(key)
      if (outcome !== null) return outcome
      at = skipSpace(text, after, end)
      if (at >= end) return MALFORMED_ARRAY
      const next = text.charCodeAt(at)
      if (next === CLOSE_OBJECT) return null
      if (next !== COMMA) return MALFORMED_OBJECT
      at = skipSpace(text, at + 1, end)
      if (at >= end) return MALFORMED_ARRAY
    }
    return MALFORMED_OBJECT
  }

  #readToken(text: string, c: number): string | null {
    const length = this.end - this.start
    // A digit or a minus: what follows is not looked at.
    if ((c >= 48 && c <= 57) || c === 45) {
      this.kind = 'number'
      return length > 0 ? null : UNKNOWN_VALUE
    }
    if (length === 4 && text.startsWith('true', this.start)) this.kind = 'boolean'
    else if (length === 5 && text.startsWith('false', this.start)) this.kind = 'boolean'
    else if (length === 4 && text.startsWith('null', this.start)) this.kind = 'null'
    else return UNKNOWN_VALUE
    return null
  }
}

function tokenEnd(text: string, from: number, end: number): number {
  let at = from
  while (at < end) {
    const c = text.charCodeAt(at)
    if (c === COMMA || c === CLOSE_OBJECT || c === CLOSE_ARRAY) break
    if (c === 32 || c === 10 || c === 13 || c === 9) break
    at++
  }
  return at
}

const ESCAPED: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
}

/** The text of a string without its quotes; null where an escape is wrong. */
export function unescapeJson(raw: string): string | null {
  let backslash = raw.indexOf('\\')
  if (backslash < 0) return raw
  let text = ''
  let from = 0
  while (backslash >= 0) {
    text += raw.slice(from, backslash)
    const letter = raw[backslash + 1] ?? ''
    const plain = ESCAPED[letter]
    if (plain !== undefined) {
      text += plain
      from = backslash + 2
    } else {
      if (letter !== 'u') return null
      const first = codeAt(raw, backslash)
      if (first === null) return null
      from = backslash + 6
      if (first < 0xd800 || first > 0xdfff) text += String.fromCharCode(first)
      else {
        const second = codeAt(raw, from)
        if (second === null || second < 0xdc00) return null
        text += pairOf(first, second)
        from += 6
      }
    }
    backslash = raw.indexOf('\\', from)
  }
  return text + raw.slice(from)
}

/** The code of `\\u00e9`; null where there is no such escape. */
function codeAt(raw: string, at: number): number | null {
  if (raw.charCodeAt(at) !== BACKSLASH || at + 6 > raw.length) return null
  let code = 0
  for (let i = at + 2; i < at + 6; i++) {
    const c = raw.charCodeAt(i) | 32
    const digit = c >= 97 && c <= 102 ? c - 87 : c >= 48 && c <= 57 ? c - 48 : -1
    if (digit < 0) return null
    code = code * 16 + digit
  }
  return code
}

function pairOf(high: number, low: number): string {
  const code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)
  return code <= 0x10ffff ? String.fromCodePoint(code) : '\ufffd'
}

/** What a label keeps of a string: '' where an escape is wrong, and space for what was no UTF-8. */
export function labelText(raw: string): string {
  const text = unescapeJson(raw) ?? ''
  return text.includes('\ufffd') ? text.replaceAll('\ufffd', ' ') : text
}
