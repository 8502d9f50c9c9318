// What templates do to texts. Go counts bytes in `trunc`, `substr` and `len`, and characters when it
// aligns. A text that would become too long is refused before it is made.

import type { RE2JS } from 're2js'
import { REGEX_TEXT_CHARS_MAX } from '../limits.ts'
import { trimSpace } from './label-names.ts'
import { checkLength, TemplateError } from './template-values.ts'

const ENCODER = new TextEncoder()
const DECODER = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true })

export const byteLength = (text: string): number =>
  /^[\0-\x7f]*$/.test(text) ? text.length : ENCODER.encode(text).length

/** The bytes from start to end; a character cut in two becomes U+FFFD. */
export function sliceBytes(text: string, start: number, end: number): string {
  if (/^[\0-\x7f]*$/.test(text)) return text.slice(start, end)
  return DECODER.decode(ENCODER.encode(text).slice(start, end))
}

export function trunc(count: bigint, text: string): string {
  const length = BigInt(byteLength(text))
  if (count < 0n && length + count > 0n) {
    return sliceBytes(text, Number(length + count), Number(length))
  }
  return count >= 0n && length > count ? sliceBytes(text, 0, Number(count)) : text
}

export function substr(start: bigint, end: bigint, text: string): string {
  const length = BigInt(byteLength(text))
  const [from, to] =
    start < 0n ? [0n, end] : end < 0n || end > length ? [start, length] : [start, end]
  if (to < 0n || from > to || to > length) {
    throw new TemplateError(`runtime error: slice bounds out of range [${from}:${to}]`)
  }
  return sliceBytes(text, Number(from), Number(to))
}

/** The first `count` occurrences; all if it is negative. */
export function replace(text: string, old: string, by: string, count: bigint): string {
  if (count === 0n || old === by) return text
  const most = count < 0n ? Infinity : Number(count)
  // Between all characters, and at both ends.
  const pieces = old === '' ? ['', ...text] : text.split(old)
  const times = Math.min(pieces.length - 1 + (old === '' ? 1 : 0), most)
  checkLength(text.length + times * (by.length - old.length))
  let made = ''
  for (let i = 0; i < pieces.length; i++) {
    const isLast = i === pieces.length - 1
    made += pieces[i]
    if (old === '' ? i < times : !isLast) made += i < times ? by : old
  }
  return made
}

export function repeat(count: bigint, text: string): string {
  if (count < 0n) throw new TemplateError('strings: negative Repeat count')
  checkLength(Number(count) * text.length)
  return text === '' ? '' : text.repeat(Number(count))
}

export function indent(spaces: bigint, text: string): string {
  if (spaces < 0n) throw new TemplateError('strings: negative Repeat count')
  checkLength(text.length + text.split('\n').length * Number(spaces))
  const pad = ' '.repeat(Number(spaces))
  return pad + text.replaceAll('\n', `\n${pad}`)
}

export function align(side: 'left' | 'right', count: bigint, text: string): string {
  if (count < 0n) return text
  checkLength(Number(count))
  const chars = [...text]
  const missing = Number(count) - chars.length
  if (missing >= 0) {
    return side === 'left' ? text + ' '.repeat(missing) : ' '.repeat(missing) + text
  }
  return (side === 'left' ? chars.slice(0, missing) : chars.slice(-missing)).join('')
}

/** Go's strings.Trim: all characters of the set, at the chosen ends. */
export function trimSet(text: string, set: string, ends: 'both' | 'left' | 'right'): string {
  const chars = new Set(set)
  let from = 0
  let to = text.length
  while (ends !== 'right' && from < to) {
    const char = String.fromCodePoint(text.codePointAt(from)!)
    if (!chars.has(char)) break
    from += char.length
  }
  while (ends !== 'left' && to > from) {
    const isPair = to - from > 1 && text.codePointAt(to - 2)! > 0xffff
    const char = text.slice(to - (isPair ? 2 : 1), to)
    if (!chars.has(char)) break
    to -= char.length
  }
  return text.slice(from, to)
}

export const trim = trimSpace

export const trimPrefix = (text: string, prefix: string): string =>
  text.startsWith(prefix) ? text.slice(prefix.length) : text
export const trimSuffix = (text: string, suffix: string): string =>
  suffix !== '' && text.endsWith(suffix) ? text.slice(0, -suffix.length) : text

/** The first letter of each word as a capital. */
export const title = (text: string): string =>
  text.replace(/(^|[^\p{L}\p{Nd}_]|[\s])(\p{L})/gu, (all, before: string, letter: string) => {
    // Outside ASCII only space ends a word, as in Go.
    const ends = before === '' || before < '\x80' || /\s/u.test(before)
    return ends ? before + letter.toUpperCase() : all
  })

export function encodeBase64(text: string): string {
  let binary = ''
  for (const byte of ENCODER.encode(text)) binary += String.fromCharCode(byte)
  return btoa(binary)
}

/** Of a text that is no base64, what Go says about it. */
export function decodeBase64(text: string): string {
  const packed = text.replace(/[\r\n]/g, '')
  const wrong = /[^A-Za-z0-9+/]/.exec(packed)
  const isRight = packed.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(packed)
  if (!isRight) {
    return `illegal base64 data at input byte ${wrong ? wrong.index : packed.length - (packed.length % 4 || 0)}`
  }
  return DECODER.decode(Uint8Array.from(atob(packed), (char) => char.charCodeAt(0)))
}

/** As Go's url.QueryEscape: a space becomes `+`. */
export const encodeUrl = (text: string): string =>
  encodeURIComponent(text.toWellFormed())
    .replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+')

export function decodeUrl(text: string): string {
  const wrong = /%(?![0-9a-fA-F]{2}).{0,2}/su.exec(text)
  if (wrong) {
    throw new TemplateError(`invalid URL escape "${wrong[0]}"`)
  }
  const spaced = text.replaceAll('+', ' ')
  return spaced.replace(/(?:%[0-9a-fA-F]{2})+/g, (escapes) => {
    const bytes = new Uint8Array(escapes.length / 3)
    for (let i = 0; i < bytes.length; i++) {
      bytes[i] = Number.parseInt(escapes.slice(i * 3 + 1, i * 3 + 3), 16)
    }
    return DECODER.decode(bytes)
  })
}

/** Every match, as Go finds them: an empty one beside the match before it is none. */
function* matchesOf(regex: RE2JS, text: string) {
  const matcher = regex.matcher(text)
  let last = -1
  while (matcher.find()) {
    const start = matcher.start()
    const end = matcher.end()
    if (start === end && start === last) continue
    last = end
    yield { matcher, start, end }
  }
}

/** The part that a regular expression sees. */
const seenOf = (text: string): string =>
  text.length > REGEX_TEXT_CHARS_MAX ? text.slice(0, REGEX_TEXT_CHARS_MAX) : text

export function replaceMatches(regex: RE2JS, text: string, by: string, isLiteral: boolean): string {
  const seen = seenOf(text)
  const groups = regex.namedGroups()
  let made = ''
  let from = 0
  for (const { matcher, start, end } of matchesOf(regex, seen)) {
    const group = (name: string) => {
      const index = /^\d+$/.test(name) ? Number(name) : (groups[name] ?? -1)
      return index >= 0 && index <= matcher.groupCount() ? (matcher.group(index) ?? '') : ''
    }
    made += seen.slice(from, start) + (isLiteral ? by : expand(by, group))
    checkLength(made.length)
    from = end
  }
  return made + text.slice(from)
}

/** `$1`, `$name` and `${name}`; `$$` is `$`. */
const expand = (template: string, group: (name: string) => string): string =>
  template.replace(
    /\$(?:(\$)|([\p{L}\p{Nd}_]+)|\{([\p{L}\p{Nd}_]+)\})/gu,
    (_, dollar, name, braced) => dollar ?? group(name ?? braced),
  )

export function countMatches(regex: RE2JS, text: string): number {
  let count = 0
  for (const _ of matchesOf(regex, seenOf(text))) count++
  return count
}
