// Frames and positions of tails: what is written is read back, and positions that nobody wrote are
// refused.

import { describe, expect, it } from 'vitest'
import {
  readFrame,
  readLine,
  readPosition,
  writeFrame,
  writeLine,
  writePosition,
} from '../../src/match/tail-wire.ts'
import { refusing } from '../../src/query/parameters.ts'

describe('a frame', () => {
  it('is read as it was written', () => {
    const lines = [writeLine(8, { message: 'two\nlines' }), writeLine(12, { message: '\u2028 语' })]
    const frame = readFrame(writeFrame(7, 20, lines.join('\n')))
    expect(frame).toEqual({ afterSeq: 7, lastSeq: 20, lines })
    expect(frame.lines.map(readLine)).toEqual([
      { seq: 8, json: '{"message":"two\\nlines"}' },
      { seq: 12, json: '{"message":"\u2028 语"}' },
    ])
  })

  it('may be without a record', () => {
    expect(readFrame(writeFrame(7, 7, ''))).toEqual({ afterSeq: 7, lastSeq: 7, lines: [] })
  })
})

describe('a position', () => {
  const reads = (text: string, seqs: number[]) =>
    it(`${text} is read, and written again`, () => {
      expect(readPosition(text)).toEqual(seqs)
      expect(writePosition(seqs)).toBe(text)
    })
  const refuses = (text: string) =>
    it(`${JSON.stringify(text)} is refused`, () => {
      const refused = refusing(() => readPosition(text))
      expect(refused).toMatchObject({ ok: false, error: { details: { parameter: 'after' } } })
    })

  reads('0', [0])
  reads('12.0.55', [12, 0, 55])
  reads(Array(64).fill('9007199254740991').join('.'), Array(64).fill(Number.MAX_SAFE_INTEGER))

  refuses('')
  refuses('.')
  refuses('1.')
  refuses('-1')
  refuses('1e3')
  refuses('0-17')
  refuses('9007199254740992')
  refuses('99999999999999999')
  refuses(Array(65).fill('1').join('.'))
})
