// Snappy made by hand, element by element, and what it must become. Its form is public
// (format_description.txt of Snappy); this knows nothing of the reader.

import type { Random } from '../bench/random.ts'

export type Element =
  | {
      literal: number[] /** Bytes of its length: 0 where the tag holds it. */
      size?: 0 | 1 | 2 | 3 | 4
    }
  | { offset: number; length: number; kind: 1 | 2 | 4 }

/** The longest literal whose length so many bytes hold. */
const SIZE_MAX = [60, 256, 65_536, 2 ** 24, 2 ** 32] as const

const little = (value: number, bytes: number) =>
  Array.from({ length: bytes }, (_, i) => Math.floor(value / 2 ** (8 * i)) % 256)

export function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128)
  return [...bytes, rest]
}

export function elementBytes(element: Element): number[] {
  if ('literal' in element) {
    const { literal, size = literal.length > 60 ? 4 : 0 } = element
    const length = literal.length - 1
    if (size === 0) return [length << 2, ...literal]
    return [(59 + size) << 2, ...little(length, size), ...literal]
  }
  const { offset, length, kind } = element
  if (kind === 1) return [((offset >> 8) << 5) | ((length - 4) << 2) | 1, offset & 255]
  return [((length - 1) << 2) | (kind === 2 ? 2 : 3), ...little(offset, kind)]
}

/** What the elements become, one byte after the other. */
export function expand(elements: Element[]): number[] {
  const out: number[] = []
  for (const element of elements) {
    if ('literal' in element) for (const byte of element.literal) out.push(byte)
    else for (let i = 0; i < element.length; i++) out.push(out[out.length - element.offset]!)
  }
  return out
}

export function snappyOf(
  elements: Element[],
  length = expand(elements).length,
): Uint8Array<ArrayBuffer> {
  return Uint8Array.from([...varint(length), ...elements.flatMap(elementBytes)])
}

/** A body in snappy as one literal, which is as valid as any. */
export function packed(body: Uint8Array): Uint8Array<ArrayBuffer> {
  const head = [...varint(body.length)]
  if (body.length > 0) head.push(63 << 2, ...little(body.length - 1, 4))
  const out = new Uint8Array(head.length + body.length)
  out.set(head)
  out.set(body, head.length)
  return out
}

/** Elements of every form, with copies that overlap what they write. */
export function randomElements(random: Random): Element[] {
  const { below } = random
  const elements: Element[] = []
  let out = 0
  for (let left = 1 + below(30); left > 0; left--) {
    if (out === 0 || below(5) < 2) {
      const length = 1 + below(below(5) === 0 ? 400 : 60)
      const literal = Array.from({ length }, () => below(256))
      const sizes = ([0, 1, 2, 3, 4] as const).filter((size) => length <= SIZE_MAX[size])
      const size = sizes[below(sizes.length)]!
      elements.push({ literal, size })
      out += length
      continue
    }
    const kind = ([1, 2, 4] as const)[below(3)]!
    const offset = 1 + below(Math.min(out, below(2) === 0 ? 8 : 2047))
    const length = kind === 1 ? 4 + below(8) : 1 + below(64)
    elements.push({ offset, length, kind })
    out += length
  }
  return elements
}
