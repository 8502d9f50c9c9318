// Cutting what is over a bound. Bounds are in UTF-8 bytes and strings are UTF-16, so a text is
// measured only when three bytes a unit could put it over; a cut never splits a character.

import { Buffer } from 'node:buffer'
import { ATTRIBUTE_KEY_BYTES_MAX } from '../limits.ts'

const LONG_UNITS = 1024
const ENCODER = new TextEncoder()

/** The UTF-8 size of a text. */
export function utf8Bytes(text: string): number {
  // The runtime counts a long one several times as fast; a short one is not worth the call.
  if (text.length > LONG_UNITS) return Buffer.byteLength(text)
  let bytes = text.length
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) continue
    // A surrogate pair is two units and four bytes, so each half counts two.
    bytes += unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 1 : 2
  }
  return bytes
}

/** The UTF-8 size where it is over `max`, else 0. */
export function bytesOver(text: string, max: number): number {
  if (text.length * 3 <= max) return 0
  const bytes = utf8Bytes(text)
  return bytes > max ? bytes : 0
}

/** The longest start of the text that takes at most `max` bytes and ends between characters. */
export function cutText(text: string, max: number): string {
  // No longer start can fit, so a text of megabytes is not encoded whole.
  const start = text.length > max ? text.slice(0, max) : text
  const { read } = ENCODER.encodeInto(start, new Uint8Array(max))
  return text.slice(0, read)
}

/** A key over its bound with a hash of the whole at its end: two that differ behind the bound stay two. */
export function hashedKey(name: string): string {
  let hash = 0x811c9dc5
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
  const suffix = `~${(hash >>> 0).toString(16).padStart(8, '0')}`
  return cutText(name, ATTRIBUTE_KEY_BYTES_MAX - suffix.length) + suffix
}

/** The JSON text with every array or map that lies more than `max` deep replaced by null. */
export function cutDepth(json: string, max: number): string {
  let depth = 0
  let kept = ''
  let from = 0
  for (let i = 0; i < json.length; i++) {
    const c = json.charCodeAt(i)
    if (c === 34) {
      i++
      while (json.charCodeAt(i) !== 34) i += json.charCodeAt(i) === 92 ? 2 : 1
    } else if (c === 91 || c === 123) {
      if (++depth === max + 1) kept += `${json.slice(from, i)}null`
    } else if (c === 93 || c === 125) {
      if (depth-- === max + 1) from = i + 1
    }
  }
  return kept + json.slice(from)
}
