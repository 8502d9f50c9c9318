// Texts cut when they are read: each is what was written, and a question asked of a whole page is
// never answered no where the text itself would say yes.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { openBlock, readGroup } from '../../src/block/parquet.ts'
import { sealBlocks } from '../../src/block/seal.ts'
import { storedSegment } from '../../src/block/stored.ts'
import { TextPages, Texts } from '../../src/block/texts.ts'
import { batchOf } from '../batches.ts'

/** Texts as a page has them: each after its length. */
function pageOf(texts: string[]): Uint8Array {
  const parts = texts.flatMap((text) => {
    const bytes = Buffer.from(text)
    const length = Buffer.alloc(4)
    length.writeUInt32LE(bytes.length)
    return [length, bytes]
  })
  return new Uint8Array(Buffer.concat(parts))
}

/** The texts over so many pages. */
function textsOf(pages: string[][]): Texts {
  const all = new TextPages()
  const places = pages.flatMap((texts) => all.add(pageOf(texts), 0, texts.length))
  return new Texts(all, places)
}

const lines = fc.array(
  fc.oneof(
    fc.string({ unit: fc.constantFrom('a', 'B', 'c', '1', ' ', 'é', '漢', 'K'), maxLength: 9 }),
    // A length of 97 is an `a`, and one of 128 and more is no ASCII.
    fc.integer({ min: 90, max: 300 }).map((n) => 'x'.repeat(n)),
  ),
  { minLength: 1, maxLength: 60 },
)

describe('texts of several pages', () => {
  it('are what was written', () =>
    fc.assert(
      fc.property(fc.array(lines, { minLength: 1, maxLength: 3 }), (pages) => {
        const texts = textsOf(pages)
        expect(texts.all()).toEqual(pages.flat())
        for (const [row, text] of pages.flat().entries()) {
          expect(texts.bytesAt(row)).toBe(Buffer.byteLength(text))
        }
      }),
    ))

  const needle = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '1', 'x'), minLength: 1 })
  it('that hold a needle in some case are all found, and of ASCII no others', () =>
    fc.assert(
      fc.property(fc.array(lines, { minLength: 1, maxLength: 3 }), needle, (pages, needle) => {
        const all = pages.flat()
        const rows = all.map((_, row) => row)
        const found = new Set(textsOf(pages).mayHold(rows, needle))
        for (const [row, text] of all.entries()) {
          const isAscii = /^[\0-\x7f]*$/.test(text)
          expect(found.has(row), `${row}: ${text}`).toBe(
            !isAscii || text.toLowerCase().includes(needle),
          )
        }
      }),
    ))

  it('are not found across two of them', () => {
    const texts = textsOf([['one two', 'three four', ...new Array(20).fill('')]])
    const rows = [...new Array(22).keys()]
    expect(texts.mayHold(rows, 'two')).toEqual([0])
    expect(texts.mayHold(rows, 'wothree')).toEqual([])
  })

  it('cut short are refused', () => {
    const page = pageOf(['one', 'two'])
    expect(() => new TextPages().add(page.subarray(0, page.length - 1), 0, 2)).toThrow('runs past')
    expect(() => new TextPages().add(page, 0, 4)).toThrow('4 texts')
  })
})

describe('messages of a block', () => {
  const reads = (name: string, messages: string[]) =>
    it(`are read one by one and together: ${name}`, async () => {
      const part = storedSegment(batchOf(messages.map((message, ms) => ({ ms, message }))), 1, 5)
      const [block] = await sealBlocks([part], 0, async () => {})
      const { messages: texts, batch } = readGroup(openBlock(block!.bytes), 0, {
        columns: new Set(),
        attributes: [],
      })
      expect(messages.map((_, row) => texts!.at(row))).toEqual(messages)
      expect(batch.message).toEqual(messages)
      const rows = messages.map((_, row) => row)
      expect(texts!.mayHold(rows, 'user')).toEqual(
        rows.filter((row) => /user/i.test(messages[row]!)),
      )
    })

  reads(
    'each another',
    Array.from({ length: 500 }, (_, i) => `User ${i} logged ${i % 3 ? 'in' : 'out'}`),
  )
  reads(
    'few, in a dictionary',
    Array.from({ length: 500 }, (_, i) => ['a user', 'nobody', ''][i % 3]!),
  )
  reads(
    'longer than 127',
    Array.from({ length: 50 }, (_, i) => `${'-'.repeat(100 + i)}${i % 2 ? 'USER' : ''}`),
  )
})
