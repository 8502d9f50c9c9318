// JSON text of nested protobuf values, written as bytes into one buffer that every value uses again.
// Strings are copied from the body without ever being a JS string, and a value that explodes (20 MB
// of empty elements is 50 MB of `null,`) stops being written at the bound it would be cut to, while
// its size is still counted.

import { Buffer } from 'node:buffer'
import { MESSAGE_BYTES_MAX } from '../limits.ts'

/** The largest text any caller keeps, a body, and a character that lies across its end. */
const KEPT_BYTES_MAX = MESSAGE_BYTES_MAX + 8
/** The longest text written as one piece. */
const SLACK = 1024

export interface JsonBytes {
  bytes: Uint8Array
  /** Bytes written; stops a little over KEPT_BYTES_MAX. */
  length: number
  /** Bytes the whole text takes. */
  total: number
}

/** The short escapes of JSON.stringify, by byte. */
const SHORT_ESCAPES: Record<number, string> = {
  8: '\\b',
  9: '\\t',
  10: '\\n',
  12: '\\f',
  13: '\\r',
  34: '\\"',
  92: '\\\\',
}
/** What stands for each byte in a JSON string; undefined for itself. */
const ESCAPES: (string | undefined)[] = Array.from({ length: 32 }, (_, byte) => {
  return SHORT_ESCAPES[byte] ?? `\\u${byte.toString(16).padStart(4, '0')}`
})
ESCAPES[34] = SHORT_ESCAPES[34]
ESCAPES[92] = SHORT_ESCAPES[92]

const UTF8 = new TextDecoder('utf-8', { ignoreBOM: true, fatal: false })

export const newJsonBytes = (): JsonBytes => ({
  bytes: new Uint8Array(4096),
  length: 0,
  total: 0,
})

export function clear(out: JsonBytes): void {
  out.length = 0
  out.total = 0
}

export function writeByte(out: JsonBytes, byte: number): void {
  out.total++
  if (out.length >= KEPT_BYTES_MAX) return
  if (out.length === out.bytes.length) grow(out, 1)
  out.bytes[out.length++] = byte
}

/** Writes text that is ASCII and needs no escape. */
export function writeAscii(out: JsonBytes, text: string): void {
  out.total += text.length
  if (out.length >= KEPT_BYTES_MAX) return
  if (out.length + text.length > out.bytes.length) grow(out, text.length)
  for (let i = 0; i < text.length; i++) out.bytes[out.length++] = text.charCodeAt(i)
}

/** Writes the UTF-8 text in `source` as a JSON string. */
export function writeString(out: JsonBytes, source: Uint8Array, start: number, end: number): void {
  writeByte(out, 34)
  if (out.length + end - start > out.bytes.length) grow(out, end - start)
  let i = start
  while (i < end && out.length < KEPT_BYTES_MAX) {
    const byte = source[i++]!
    if (byte < 32 || byte === 34 || byte === 92) writeAscii(out, ESCAPES[byte]!)
    else {
      if (out.length === out.bytes.length) grow(out, end - i)
      out.bytes[out.length++] = byte
      out.total++
    }
  }
  while (i < end) out.total += escapedBytes(source[i++]!)
  writeByte(out, 34)
}

function escapedBytes(byte: number): number {
  if (byte >= 32 && byte !== 34 && byte !== 92) return 1
  return ESCAPES[byte]!.length
}

/** The text written so far; what is no UTF-8 becomes U+FFFD. */
export function textFrom(out: JsonBytes): string {
  const { bytes, length } = out
  let any = 0
  for (let i = 0; i < length; i++) any |= bytes[i]!
  if (any < 128) return Buffer.from(bytes.buffer, 0, length).toString('latin1')
  return UTF8.decode(bytes.subarray(0, length))
}

function grow(out: JsonBytes, more: number): void {
  const room = Math.min(KEPT_BYTES_MAX + SLACK, out.length + more)
  const bytes = new Uint8Array(
    Math.max(room, Math.min(out.bytes.length * 2, KEPT_BYTES_MAX + SLACK)),
  )
  bytes.set(out.bytes.subarray(0, out.length))
  out.bytes = bytes
}
