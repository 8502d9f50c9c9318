// Texts of one column of a row group that are cut out of their page only when somebody reads them. A
// question that most texts fail is asked of the whole page at once: a thousand texts are searched in
// the time it takes to cut a hundred.

import { Buffer, isAscii } from 'node:buffer'

const UTF8 = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true })
const NOT_ASCII = /[\x80-\xff]+/g

/** Texts of one page: place i lies in starts[i]..ends[i] of its bytes. */
interface TextPage {
  bytes: Uint8Array
  /** A character a byte. */
  latin1: string
  isAscii: boolean
  /** The place of its first text among those of all pages. */
  first: number
  starts: Uint32Array
  ends: Uint32Array
}

/** Collects the pages of a column while it is decoded, and names every text by a place. */
export class TextPages {
  readonly pages: TextPage[] = []
  /** Texts so far. */
  length = 0

  /** Takes `count` texts from `from` on, each after its length in four bytes. The places they have. */
  add(bytes: Uint8Array, from: number, count: number): number[] {
    if (count > (bytes.length - from) / 4) {
      throw new Error(`${count} texts in ${bytes.length} bytes`)
    }
    const starts = new Uint32Array(count)
    const ends = new Uint32Array(count)
    const places = new Array<number>(count)
    let at = from
    for (let i = 0; i < count; i++) {
      const start = at + 4
      at = start + uint32At(bytes, at)
      if (at > bytes.length) throw new Error(`a text runs past byte ${bytes.length}`)
      starts[i] = start
      ends[i] = at
      places[i] = this.length + i
    }
    const { buffer, byteOffset, byteLength } = bytes
    const latin1 = Buffer.from(buffer, byteOffset, byteLength).toString('latin1')
    // Lengths of 128 and more say no here, too: then each text is looked at by itself.
    const page = { bytes, latin1, isAscii: isAscii(bytes), first: this.length, starts, ends }
    this.pages.push(page)
    this.length += count
    return places
  }

  cut(place: number): string {
    const page = this.#pageOf(place)
    const start = page.starts[place - page.first]!
    const end = page.ends[place - page.first]!
    const isPlain = page.isAscii || isAsciiAt(page.bytes, start, end)
    return isPlain ? page.latin1.slice(start, end) : UTF8.decode(page.bytes.subarray(start, end))
  }

  bytesOf(place: number): number {
    const page = this.#pageOf(place)
    return page.ends[place - page.first]! - page.starts[place - page.first]!
  }

  /** 1 for each place whose text may hold `needle` (ASCII, lower-cased) in some case; text beyond ASCII always may. */
  mayHold(needle: string): Uint8Array {
    const marks = new Uint8Array(this.length)
    for (const page of this.pages) {
      markNeedle(page, needle, marks)
      if (!page.isAscii) markNotAscii(page, marks)
    }
    return marks
  }

  #pageOf(place: number): TextPage {
    let page = this.pages[0]!
    // A group has one page, or two.
    for (let i = 1; i < this.pages.length && this.pages[i]!.first <= place; i++) {
      page = this.pages[i]!
    }
    return page
  }
}

/** With fewer rows than one in so many, each is searched by itself sooner than the page. */
const FEW = 8

/** A text a row. */
export class Texts {
  /** Each row's place in the pages; -1: it has none. */
  readonly #places: ArrayLike<number>
  readonly #pages: TextPages
  #needle = ''
  #marks: Uint8Array = new Uint8Array(0)

  constructor(pages: TextPages, places: ArrayLike<number>) {
    this.#pages = pages
    this.#places = places
  }

  /** The text of a row, '' where it has none. */
  at(row: number): string {
    const place = this.#places[row]!
    return place < 0 ? '' : this.#pages.cut(place)
  }

  /** How long it is, in bytes. */
  bytesAt(row: number): number {
    const place = this.#places[row]!
    return place < 0 ? 0 : this.#pages.bytesOf(place)
  }

  all(): string[] {
    return Array.from({ length: this.#places.length }, (_, row) => this.at(row))
  }

  /** Those of `rows` whose text may hold `needle`, ASCII in lower case, in some case. */
  mayHold(rows: number[], needle: string): number[] {
    if (needle === '' || rows.length * FEW < this.#places.length) return rows
    if (needle !== this.#needle) {
      this.#marks = this.#pages.mayHold(needle)
      this.#needle = needle
    }
    return rows.filter((row) => {
      const place = this.#places[row]!
      return place >= 0 && this.#marks[place] === 1
    })
  }
}

/** Lower-casing keeps the place of every character here: none of Latin-1 becomes two. */
function markNeedle({ latin1, first, starts, ends }: TextPage, needle: string, marks: Uint8Array) {
  const lower = latin1.toLowerCase()
  let i = 0
  for (let at = lower.indexOf(needle); at >= 0; ) {
    while (i < ends.length && ends[i]! <= at) i++
    if (i === ends.length) return
    const isIn = at >= starts[i]! && at + needle.length <= ends[i]!
    if (isIn) marks[first + i] = 1
    at = lower.indexOf(needle, isIn ? ends[i]! : at + 1)
  }
}

function markNotAscii({ latin1, first, starts, ends }: TextPage, marks: Uint8Array) {
  let i = 0
  for (const { index, 0: run } of latin1.matchAll(NOT_ASCII)) {
    const to = index + run.length
    while (i < ends.length && ends[i]! <= index) i++
    // A run may begin in the length of a text and go on in it.
    for (let at = i; at < ends.length && starts[at]! < to; at++) {
      if (ends[at]! > Math.max(index, starts[at]!)) marks[first + at] = 1
    }
  }
}

function isAsciiAt(bytes: Uint8Array, from: number, to: number): boolean {
  let all = 0
  for (let at = from; at < to; at++) all |= bytes[at]!
  return all < 128
}

function uint32At(bytes: Uint8Array, at: number): number {
  if (at + 4 > bytes.length) throw new Error(`cut off at byte ${bytes.length}`)
  return (
    (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
  )
}
