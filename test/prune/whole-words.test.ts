import { describe, expect, it } from 'vitest'
import { wordToken } from '../../src/block/tokens.ts'
import { textTokens, valueTokensOf, wholeWords } from '../../src/prune/whole-words.ts'

describe('wholeWords', () => {
  const has = (part: string, words: string[], isStart = false, isEnd = false) =>
    it(`${JSON.stringify(part)} has ${words.join(', ') || 'none'}`, () =>
      expect(wholeWords(part, isStart, isEnd)).toEqual(words))

  has('', [])
  has('timeout', [])
  has('timeout', ['timeout'], true, true)
  has('timeout', [], true)
  has('timeout', [], false, true)
  has(' timeout ', ['timeout'])
  has('connection Reset by peer', ['reset', 'by'])
  has('connection reset by peer', ['connection', 'reset', 'by'], true)
  has('/api/users/', ['api', 'users'])
  has('a_b-c1:', ['c1'])
  // A mark or a letter may stand next to it that makes it another word.
  has(' é ', [])
  has(' e\u0301 ', [])
  has(' caf\u00e9 x ', ['x'])
  has(' \u0301x ', [])
})

describe('tokens', () => {
  const tokens = (...words: string[]) => words.map(wordToken)

  it('of expressions are those of their literals, the longest first', () => {
    const of = (source: string) => textTokens({ is: 'regex', source })
    expect(of('a by reset of')).toEqual(tokens('reset', 'by'))
    expect(of('a (by|of) b')).toEqual([])
    expect(of('a by? b')).toEqual([])
    expect(of('a b+ by c')).toEqual(tokens('by'))
  })
  it('in any case leave out what holds an s, which is also ſ', () => {
    expect(textTokens({ is: 'regex', source: '(?i)a stop or top b' })).toEqual(tokens('top', 'or'))
  })
  it('of a glob begin with the text or with a word', () => {
    expect(textTokens({ is: 'glob', parts: ['a top', 'x of', ''] })).toEqual(tokens('a'))
    expect(textTokens({ is: 'glob', parts: ['', 'x of', 'the end'] })).toEqual(tokens('end'))
  })
  it('of a value tell nothing where it may be no string', () => {
    const other = (...parts: string[]) => valueTokensOf({ is: 'glob', parts }).other
    expect(other('1.', '')).not.toBe(null)
    expect(other('', 'e-7')).not.toBe(null)
    expect(other('true', '')).not.toBe(null)
    expect(other('', '', 'null')).not.toBe(null)
    expect(other('/api/', '')).toBe(null)
  })
})
