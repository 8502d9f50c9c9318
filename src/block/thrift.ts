// Reads Thrift's compact protocol, in which Parquet writes its footer and page headers. A cursor that
// never leaves its bytes: every length and count is checked against what is left, so damaged bytes
// end in an error, soon and without taking memory. (Writing is hyparquet-writer's.)

import { Buffer } from 'node:buffer'

/** Structs inside each other: Parquet's own go five deep. */
const DEPTH_MAX = 12

const STOP = 0
const TRUE = 1
const FALSE = 2
const BYTE = 3
const I16 = 4
const I32 = 5
const I64 = 6
const DOUBLE = 7
const BINARY = 8
const LIST = 9
const SET = 10
const STRUCT = 12

export class ThriftReader {
  /** The field that `struct` stands at. */
  id = 0
  #type = 0
  #depth = 0
  readonly #bytes: Uint8Array
  readonly #end: number
  at: number

  constructor(bytes: Uint8Array, at: number, end: number) {
    if (!(at >= 0 && at <= end && end <= bytes.length)) throw new Error(`no bytes at ${at}..${end}`)
    this.#bytes = bytes
    this.at = at
    this.#end = end
  }

  /** Calls `field` at each field, with its number in `id`; it must read the value or skip it. */
  struct(field: (id: number) => void): void {
    const outer = this.id
    this.id = 0
    if (++this.#depth > DEPTH_MAX) throw new Error('structs too deep')
    for (;;) {
      const byte = this.#byte()
      this.#type = byte & 15
      if (this.#type === STOP) break
      this.id = byte >> 4 === 0 ? this.int() : this.id + (byte >> 4)
      field(this.id)
    }
    this.#depth--
    this.id = outer
  }

  /** Calls `element` as often as the list says. */
  list(element: () => void): void {
    const byte = this.#byte()
    const size = byte >> 4 === 15 ? this.#varint() : byte >> 4
    if (size > this.#end - this.at) throw new Error(`a list of ${size} runs past ${this.#end}`)
    for (let i = 0; i < size; i++) {
      this.#type = byte & 15
      element()
    }
  }

  /** An integer of any width; exact to 2^53. */
  int(): number {
    const zigzag = this.#varint()
    return zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2
  }

  text(): string {
    const length = this.#varint()
    const start = this.at
    this.#pass(length)
    const { buffer, byteOffset } = this.#bytes
    return Buffer.from(buffer, byteOffset + start, length).toString('utf8')
  }

  skip(type = this.#type): void {
    switch (type) {
      case TRUE:
      case FALSE:
        return
      case BYTE:
        this.#pass(1)
        return
      case I16:
      case I32:
      case I64:
        this.#varint()
        return
      case DOUBLE:
        this.#pass(8)
        return
      case BINARY:
        this.#pass(this.#varint())
        return
      case LIST:
      case SET:
        this.list(() => this.skip(this.#type <= FALSE ? BYTE : this.#type))
        return
      case STRUCT:
        this.struct(() => this.skip())
        return
      default:
        throw new Error(`unknown Thrift type ${type} at byte ${this.at}`)
    }
  }

  #varint(): number {
    let value = 0
    let scale = 1
    for (let i = 0; i < 10; i++) {
      const byte = this.#byte()
      value += (byte & 127) * scale
      if (byte < 128) return value
      scale *= 128
    }
    throw new Error(`varint of more than 10 bytes before byte ${this.at}`)
  }

  #byte(): number {
    if (this.at >= this.#end) throw new Error(`cut off at byte ${this.#end}`)
    return this.#bytes[this.at++]!
  }

  #pass(count: number): void {
    if (count > this.#end - this.at) throw new Error(`${count} bytes run past ${this.#end}`)
    this.at += count
  }
}
