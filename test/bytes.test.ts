import { describe, expect, it } from 'vitest'
import {
  BadBytes,
  type Reader,
  readDouble,
  readEnd,
  readerOf,
  readFixed64,
  readInt32,
  readTag,
  readText,
  readVarint64,
  skipField,
} from '../src/bytes.ts'

const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))

type Read = (r: Reader, end: number) => unknown

/** Reads from the second byte on, so that an offset is never right by chance. */
function run(read: Read, bytes: string, cut = 0): { value: unknown; left: number } {
  const r = readerOf(hex(`ff ${bytes}`))
  r.pos = 1
  const end = r.bytes.length - cut
  return { value: read(r, end), left: end - r.pos }
}

function form(read: Read) {
  const yields = (name: string, bytes: string, value: unknown) =>
    it(name, () => expect(run(read, bytes)).toEqual({ value, left: 0 }))
  const refuses = (name: string, bytes: string, message: string, cut = 0) =>
    it(name, () => {
      expect(() => run(read, bytes, cut)).toThrow(BadBytes)
      expect(() => run(read, bytes, cut)).toThrow(message)
    })
  return { yields, refuses }
}

describe('readVarint64', () => {
  const { yields, refuses } = form((r, end) => {
    readVarint64(r, end)
    return (BigInt(r.hi) << 32n) | BigInt(r.lo)
  })
  yields('one byte', '05', 5n)
  yields('two bytes', 'ac 02', 300n)
  yields('32 bits', 'ff ff ff ff 0f', 0xffffffffn)
  yields('33 bits', '80 80 80 80 10', 1n << 32n)
  yields('redundant bytes', '85 80 80 80 80 80 80 80 80 00', 5n)
  yields('64 bits', 'ff ff ff ff ff ff ff ff ff 01', (1n << 64n) - 1n)
  refuses(
    'eleven bytes',
    '80 80 80 80 80 80 80 80 80 80 01',
    'varint of more than 10 bytes at byte 1',
  )
  refuses('cut off', '80', 'varint cut off at byte 1')
  refuses('nothing', '', 'varint cut off at byte 1')
  refuses('cut off by its parent', '80 01', 'varint cut off at byte 1', 1)
})

describe('readInt32', () => {
  const { yields } = form(readInt32)
  yields('a negative number in ten bytes', 'ff ff ff ff ff ff ff ff ff 01', -1)
  yields('a small one', '11', 17)
})

describe('readTag', () => {
  const { yields, refuses } = form(readTag)
  yields('field 1, length', '0a', 0x0a)
  yields('field 1000, length', 'c2 3e', 8002)
  yields('redundant bytes', '8a 80 00', 0x0a)
  refuses('field number 0', '02', 'no field number at byte 1')
  refuses('a number over 29 bits', '8a 80 80 80 80 01', 'no field number at byte 1')
})

describe('readEnd', () => {
  const { yields, refuses } = form((r, end) => {
    r.pos = readEnd(r, end)
    return r.pos
  })
  yields('a length', '02 aa bb', 4)
  yields('a length of redundant bytes', '82 80 00 aa bb', 6)
  yields('an empty field', '00', 2)
  refuses('past the end', '7f 2a', 'length 127 at byte 1 runs past 3')
  refuses('past the parent alone', '02 aa bb', 'length 2 at byte 1 runs past 3', 1)
  refuses('4 GiB', 'ff ff ff ff 0f 2a', 'length 4294967295 at byte 1 runs past 7')
  refuses('2^63', '80 80 80 80 80 80 80 80 80 01', 'length 9223372036854776000 at byte 1')
})

describe('fixed values', () => {
  const fixed = form((r, end) => {
    readFixed64(r, end)
    return [r.hi, r.lo]
  })
  fixed.yields('both halves unsigned', 'fe ff ff ff ff ff ff ff', [0xffffffff, 0xfffffffe])
  fixed.refuses('seven bytes', '00 00 00 00 00 00 00', '64-bit value cut off at byte 1')
  const double = form(readDouble)
  double.yields('a double', '00 00 00 00 00 00 e0 bf', -0.5)
  double.refuses('cut off by its parent', '00 00 00 00 00 00 e0 bf', 'cut off at byte 1', 1)
})

describe('readText', () => {
  const { yields } = form(readText)
  yields('ASCII', '61 62 63 64 65', 'abcde')
  yields('nothing', '', '')
  yields('NUL', '61 00 62', 'a\0b')
  yields('two bytes at the end', '61 62 63 c3 bc', 'abcü')
  yields('a byte order mark', 'ef bb bf 61', '\ufeffa')
  yields('what is no UTF-8', '61 ff fe 62', 'a\ufffd\ufffdb')
  yields('a character cut off', '61 e2 82', 'a\ufffd')
})

describe('skipField', () => {
  const { yields, refuses } = form((r, end) => skipField(r, readTag(r, end), end))
  yields('a varint', '08 80 01', undefined)
  yields('64 bits', '09 01 02 03 04 05 06 07 08', undefined)
  yields('a length', '0a 01 ff', undefined)
  yields('32 bits', '0d 01 02 03 04', undefined)
  yields('a group', '0b 10 01 1b 1c 0c', undefined)
  refuses('a group not closed', '0b 10 01', 'group 1 not closed at byte 2')
  refuses('a group closed as another', '0b 14', 'group 1 closed as 2 before byte 3')
  refuses('an end without a group', '0c', 'wire type 4 before byte 2')
  refuses('wire type 6', '0e', 'wire type 6 before byte 2')
  refuses('wire type 7', '0f', 'wire type 7 before byte 2')
  refuses('101 groups', `${'0b'.repeat(101)}${'0c'.repeat(101)}`, 'groups more than 100 deep')
  yields('100 groups', `${'0b'.repeat(100)}${'0c'.repeat(100)}`, undefined)
})
