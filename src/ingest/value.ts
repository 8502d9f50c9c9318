// One attribute value or body on its way from a decoder to a column, and its bounds. Arrays and maps
// are JSON text from the start: nothing here looks inside them again.

import { ATTRIBUTE_BYTES_MAX, ATTRIBUTE_DEPTH_MAX } from '../limits.ts'
import type { AttributeType } from '../record.ts'
import { bytesOver, cutDepth, cutText, utf8Bytes } from './cut.ts'

/** Decoders fill one object again and again. */
export interface Value {
  type: AttributeType
  /** Of `text` and `json`. A decoder may keep only the first MESSAGE_BYTES_MAX bytes of JSON. */
  text: string
  /** Of `int` and `num`; 0 or 1 of `bool`. */
  number: number
  /** UTF-8 bytes of the whole JSON text. */
  bytes: number
  /** Arrays and maps inside each other: 1 for a flat one. */
  depth: number
  /** A map's `message`, else its `msg`, if it is a text. */
  message: string
}

export const newValue = (): Value => ({
  type: 'text',
  text: '',
  number: 0,
  bytes: 0,
  depth: 0,
  message: '',
})

/** The value as a column shows it; '' where it does not count. */
export function textOf(value: Value): string {
  switch (value.type) {
    case 'text':
      return value.text
    case 'int':
    case 'num':
      return String(value.number)
    case 'bool':
      return String(value.number !== 0)
    default:
      return firstElement(value.text)
  }
}

export function jsonOf(value: Value): string {
  return value.type === 'json'
    ? value.text
    : value.type === 'text'
      ? JSON.stringify(value.text)
      : textOf(value)
}

export function valueBytes(value: Value): number {
  if (value.type === 'json') return value.bytes
  return value.type === 'text' ? utf8Bytes(value.text) : textOf(value).length
}

/** Cuts a text or JSON value to its bounds in place; returns its bytes as sent, 0 if it fits. */
export function cutValue(value: Value): number {
  if (value.type === 'text') {
    const over = bytesOver(value.text, ATTRIBUTE_BYTES_MAX)
    if (over > 0) value.text = cutText(value.text, ATTRIBUTE_BYTES_MAX)
    return over
  }
  if (value.type !== 'json') return 0
  if (value.bytes > ATTRIBUTE_BYTES_MAX) {
    // Half a JSON text is no JSON: it is kept as a text.
    value.text = cutText(value.text, ATTRIBUTE_BYTES_MAX)
    value.type = 'text'
    return value.bytes
  }
  if (value.depth <= ATTRIBUTE_DEPTH_MAX) return 0
  value.text = cutDepth(value.text, ATTRIBUTE_DEPTH_MAX)
  return value.bytes
}

export function objectText(members: Map<string, string>): string {
  let text = ''
  for (const [key, json] of members)
    text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${json}`
  return `{${text}}`
}

/** The first element of an array, if it is a text, number or bool, as text; else ''. */
export function firstElement(json: string): string {
  if (!json.startsWith('[')) return ''
  let first: unknown
  try {
    first = JSON.parse(json)[0]
  } catch {
    // Only the start of a text over the bound is kept: it feeds no column.
    return ''
  }
  return typeof first === 'object' || first === undefined ? '' : String(first)
}
