// A stream's labels as protobuf and Loki's first JSON bring them: `{job="shop", env="prod"}`, in the
// form of Prometheus, with strings as Go writes them. Names are taken as they are, dots and all: what
// Loki would refuse there is nothing that we could not keep.

/** A text that is no set of labels. */
export class BadLabels extends Error {}

/** The escapes of one character, by the letter behind the backslash. */
const ESCAPES: Record<string, string> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  "'": "'",
  '"': '"',
}
const ESCAPE = /((?:\\x[0-9a-fA-F]{2}|\\[0-7]{3})+)|\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})|\\(.)/gs
const BYTE = /\\(?:x(..)|(...))/g
const CODE_POINT_MAX = 0x10ffff
const SHOWN_CHARS_MAX = 64

interface Cursor {
  text: string
  pos: number
}

/**
 * Gives every label in its order. One with an empty value is left out, as Loki does: to it that is
 * no label. Throws BadLabels; what came before was given.
 */
export function readLabels(text: string, give: (name: string, value: string) => void): void {
  const c: Cursor = { text, pos: 0 }
  skipSpace(c)
  // Prometheus may have a name there.
  while (c.pos < text.length && isNameCode(text.charCodeAt(c.pos))) c.pos++
  skipSpace(c)
  expect(c, '{')
  skipSpace(c)
  while (text[c.pos] !== '}') {
    const name = readName(c)
    skipSpace(c)
    expect(c, '=')
    skipSpace(c)
    const value = readString(c)
    if (value !== '') give(name, value)
    skipSpace(c)
    if (text[c.pos] !== '}') expect(c, ',')
    skipSpace(c)
  }
  c.pos++
  skipSpace(c)
  if (c.pos < text.length) throw wrong(c, 'the end')
}

function expect(c: Cursor, character: string): void {
  if (c.text[c.pos] !== character) throw wrong(c, character)
  c.pos++
}

function wrong({ text, pos }: Cursor, expected: string): BadLabels {
  const shown = text.length > SHOWN_CHARS_MAX ? `${text.slice(0, SHOWN_CHARS_MAX)}…` : text
  return new BadLabels(`${expected} is expected at character ${pos} of ${JSON.stringify(shown)}`)
}

function skipSpace(c: Cursor): void {
  while (c.pos < c.text.length && c.text.charCodeAt(c.pos) <= 32) c.pos++
}

/** Whether a character can be in a name that has no quotes: all but space and ``"'`{}=,!~``. */
const isNameCode = (code: number) => code > 32 && !NO_NAME.includes(code)
const NO_NAME = [...'"\'`{}=,!~'].map((character) => character.charCodeAt(0))

function readName(c: Cursor): string {
  const { text, pos } = c
  if (text[pos] === '"') return readString(c)
  while (c.pos < text.length && isNameCode(text.charCodeAt(c.pos))) c.pos++
  if (c.pos === pos) throw wrong(c, 'a name')
  return text.slice(pos, c.pos).toWellFormed()
}

/** A string in any of Go's quotes. */
function readString(c: Cursor): string {
  const { text, pos: start } = c
  const quote = text[start]
  if (quote !== '"' && quote !== "'" && quote !== '`') throw wrong(c, 'a string in quotes')
  let hasEscape = false
  for (c.pos++; text[c.pos] !== quote; c.pos++) {
    if (c.pos >= text.length) throw wrong(c, quote)
    if (text[c.pos] === '\\' && quote !== '`') {
      hasEscape = true
      c.pos++
    }
  }
  const inside = text.slice(start + 1, c.pos++)
  return (hasEscape ? unescaped(inside) : inside).toWellFormed()
}

function unescaped(text: string): string {
  return text.replace(
    ESCAPE,
    (all, bytes?: string, short?: string, long?: string, one?: string) => {
      if (bytes !== undefined) return textOfBytes(bytes)
      const code = short ?? long
      if (code === undefined) return ESCAPES[one!] ?? all
      const point = Number.parseInt(code, 16)
      return point > CODE_POINT_MAX ? '\ufffd' : String.fromCodePoint(point)
    },
  )
}

/** Bytes written one by one: Go does so with what is no UTF-8, but they may be. */
function textOfBytes(escapes: string): string {
  const bytes = [...escapes.matchAll(BYTE)].map(([, hex, octal]) =>
    hex === undefined ? Number.parseInt(octal!, 8) : Number.parseInt(hex, 16),
  )
  return new TextDecoder('utf-8', { ignoreBOM: true, fatal: false }).decode(Uint8Array.from(bytes))
}
