// Snappy against what its elements must become, and against bodies that lie.

import { describe, expect, it } from 'vitest'
import { randomOf } from '../../bench/random.ts'
import { uncompressSnappy } from '../../src/ingest/snappy.ts'
import { REQUEST_BYTES_MAX } from '../../src/limits.ts'
import { type Element, expand, packed, randomElements, snappyOf, varint } from '../snappy-bytes.ts'
import { mutate } from '../wire.ts'

const uncompress = (bytes: Uint8Array) => uncompressSnappy(bytes, REQUEST_BYTES_MAX)
const codes = (text: string) => [...new TextEncoder().encode(text)]

describe('what is valid', () => {
  const yields = (name: string, elements: Element[], text: string) =>
    it(name, () => {
      const result = uncompress(snappyOf(elements))
      expect(result.ok && new TextDecoder().decode(result.data)).toBe(text)
    })

  yields('nothing', [], '')
  yields('a literal', [{ literal: codes('abc') }], 'abc')
  for (const size of [1, 2, 3, 4] as const) {
    yields(`a literal with its length in ${size} bytes`, [{ literal: codes('abc'), size }], 'abc')
  }
  yields('a literal of 60', [{ literal: codes('x'.repeat(60)) }], 'x'.repeat(60))
  yields('a literal of 61', [{ literal: codes('x'.repeat(61)), size: 1 }], 'x'.repeat(61))
  for (const kind of [1, 2, 4] as const) {
    const copy = { offset: 3, length: 4, kind }
    yields(`a copy of kind ${kind}`, [{ literal: codes('abcd') }, copy], 'abcdbcdb')
  }
  const far = 'y'.repeat(1500)
  yields(
    'a copy whose offset has high bits in its tag',
    [{ literal: codes(`ab${far}`) }, { offset: 1502, length: 4, kind: 1 }],
    `ab${far}abyy`,
  )
  yields(
    'a run, copied from itself',
    [{ literal: codes('z') }, { offset: 1, length: 64, kind: 2 }],
    'z'.repeat(65),
  )

  it('a length with redundant bytes, as protobuf has them too', () => {
    const result = uncompress(Uint8Array.of(0x81, 0x00, 0x00, 0x61))
    expect(result).toEqual({ ok: true, data: Uint8Array.of(0x61) })
  })

  it('random elements of every form', () => {
    const random = randomOf(20260101)
    for (let i = 0; i < 2000; i++) {
      const elements = randomElements(random)
      const result = uncompress(snappyOf(elements))
      expect(result.ok && [...result.data]).toEqual(expand(elements))
    }
  })
})

describe('what is not', () => {
  const refuses = (name: string, bytes: Uint8Array | number[], message: string) =>
    it(name, () => {
      const error = { code: 'bad_protobuf', message: `the body is not valid snappy: ${message}` }
      expect(uncompress(Uint8Array.from(bytes))).toMatchObject({ ok: false, error })
    })

  refuses('no body', [], 'its length is cut off')
  refuses('a length cut off', [0x80], 'its length is cut off')
  refuses(
    'a length over 32 bits',
    [0xff, 0xff, 0xff, 0xff, 0x1f],
    'its length is more than 32 bits',
  )
  refuses(
    'a length of six bytes',
    [0x80, 0x80, 0x80, 0x80, 0x80, 0x00],
    'its length is more than 32 bits',
  )
  refuses('no elements', [3], '1 bytes cannot become 3')
  refuses('fewer bytes than said', [5, 4, 97, 98], 'it ends after 2 of 5 bytes')
  refuses('a literal past the end', [4, 12, 97, 98], 'too long a literal at byte 1')
  refuses('a literal longer than said', [1, 4, 97, 98], 'too long a literal at byte 1')
  // The length that made the library of others go backwards.
  refuses(
    'a literal of 2^32 bytes',
    [4, 0xfc, 0xff, 0xff, 0xff, 0xff, 97],
    'too long a literal at byte 1',
  )
  refuses(
    'a literal of 2^31 bytes',
    [4, 0xfc, 0xff, 0xff, 0xff, 0x7f, 97],
    'too long a literal at byte 1',
  )
  refuses('a length of a literal cut off', [4, 0xf4, 1], 'an element is cut off at byte 3')
  refuses('a copy cut off', [9, 0, 97, 0x1e, 1], 'an element is cut off at byte 5')
  refuses(
    'a copy from 0 back',
    [5, 0, 97, 0x01, 0x00],
    'a copy from 0 bytes back at byte 3, with 1 bytes out',
  )
  refuses(
    'a copy from before the start',
    [5, 0, 97, 0x01, 0x02],
    'a copy from 2 bytes back at byte 3, with 1 bytes out',
  )
  refuses('a copy longer than said', [3, 0, 97, 0x01, 0x01], 'too long a copy at byte 3')
  refuses('bytes behind the end', [1, 0, 97, 0, 98], 'too long a literal at byte 3')
  refuses(
    'JSON',
    codes('{"streams":[]}'),
    'a copy from 29811 bytes back at byte 1, with 0 bytes out',
  )

  it('a bomb by its header, before there is room for it', () => {
    const max = REQUEST_BYTES_MAX
    const bomb = Uint8Array.from([...varint(2 ** 32 - 1), 0, 97])
    const message = `the body is of ${2 ** 32 - 1} bytes by its snappy header; the most is ${max}`
    expect(uncompress(bomb)).toMatchObject({ ok: false, error: { code: 'too_large', message } })
  })

  it('any mutation of a valid body, without ever throwing', () => {
    const random = randomOf(7)
    let other: Uint8Array = snappyOf(randomElements(random))
    let refused = 0
    for (let i = 0; i < 5000; i++) {
      const valid = snappyOf(randomElements(random))
      const result = uncompress(mutate(random, valid, other))
      if (!result.ok) refused++
      other = valid
    }
    expect(refused).toBeGreaterThan(2000)
  })
})

it('a body as one literal is what it was', () => {
  const body = Uint8Array.from({ length: 100_000 }, (_, i) => i % 251)
  expect(uncompress(packed(body))).toEqual({ ok: true, data: body })
  expect(uncompress(packed(new Uint8Array()))).toEqual({ ok: true, data: new Uint8Array() })
})
