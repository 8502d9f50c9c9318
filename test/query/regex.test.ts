// Bounds on regular expressions, and what is known of one without compiling it.

import { RE2JS } from 're2js'
import { describe, expect, it } from 'vitest'
import { compileRegex, escapeSlashes, readRegex, unescapeSlashes } from '../../src/query/regex.ts'
import { randomOf } from '../batches.ts'
import { randomFrom } from './random-filter.ts'

const SEED = Number(process.env.SEED ?? 1)
const ROUNDS = Number(process.env.ROUNDS ?? 3000)

const PIECES = [
  'a',
  'b',
  'é',
  '😀',
  ' ',
  '.',
  '*',
  '+',
  '?',
  '|',
  '(',
  ')',
  '(?:',
  '(?P<n>',
  '(?i)',
  '\\012',
  '\\101',
  '(?i:',
  '[',
  ']',
  '[^',
  '^',
  '$',
  '{2}',
  '{0,3}',
  '{2,}',
  '{',
  '}',
  '\\d',
  '\\.',
  '\\n',
  '\\pL',
  '\\p{Greek}',
  '\\x41',
  '\\x{1F600}',
  '\\Q',
  '\\E',
  '\\b',
  '\\\\',
  '[a-z]',
  '[^\\]x]',
  '[[:alpha:]]',
  '[]a]',
  ',',
  '3',
  '/',
  '\\/',
  'abc',
]

describe('readRegex', () => {
  const knows = (source: string, literals: string[], isFolded = false) =>
    it(source, () => {
      const shape = readRegex(source)
      expect({ ...shape, estimate: 0 }).toEqual({ estimate: 0, literals, isFolded })
    })
  knows('abc', ['abc'])
  knows('ab*c', ['a', 'c'])
  knows('ab+c', ['ab', 'c'])
  knows('ab?', ['a'])
  knows('ab{0,2}c', ['a', 'c'])
  knows('ab{2}c', ['ab', 'c'])
  knows('a|b', [])
  knows('(a|b)c', ['c'])
  knows('x(ab)*y', ['x', 'y'])
  knows('upstream timeout after \\d+ ms', ['upstream timeout after ', ' ms'])
  knows('a\\.b', ['a.b'])
  knows('a\\d', ['a'])
  knows('^a.b$', ['a', 'b'])
  knows('[abc]d', ['d'])
  knows('\\Qa.b*\\Ec', ['a.b*c'])
  knows('\\Qa.b\\E*c', ['a.', 'c'])
  knows('(?i)abc', ['abc'], true)
  knows('a(?i)bc', [])
  knows('(?s)a.b', ['a', 'b'])
  knows('a😀?b', ['a', 'b'])
  // Octal: one character.
  knows('\\1234', ['4'])
  knows('(?i)a\\0123', ['a', '3'], true)
  knows('[[:alpha:]]a', ['a'])
  knows('[^\\]]a{', ['a{'])

  it(`never takes an expression for smaller than it is, ${ROUNDS} rounds from seed ${SEED}`, () => {
    let compiled = 0
    for (let round = 0; round < ROUNDS; round++) {
      const random = randomFrom(randomOf(SEED * 1_000_003 + round))
      const { below, pick } = random
      const source = Array.from({ length: 1 + below(10) }, () => pick(PIECES)).join('')
      const shape = readRegex(source)
      if (shape.estimate > 5000) continue
      let regex: RE2JS
      try {
        regex = RE2JS.compile(source)
      } catch {
        continue
      }
      compiled++
      expect(shape.estimate, source).toBeGreaterThanOrEqual(regex.programSize())
      for (let i = 0; i < 8; i++) {
        const text = Array.from({ length: below(8) }, () =>
          pick([
            'a',
            'b',
            'é',
            '😀',
            ' ',
            '.',
            'abc',
            'A',
            '3',
            '/',
            '\\',
            'x',
            ']',
            '{',
            '\n',
            'λ',
          ]),
        ).join('')
        const own = compileRegex(source)
        expect(own.ok && own.data.test(text), `${source} in ${text}`).toBe(regex.test(text))
        if (!regex.test(text)) continue
        for (const literal of shape.literals) {
          const has = shape.isFolded
            ? text.toLowerCase().includes(literal.toLowerCase())
            : text.includes(literal)
          expect(has, `${source} in ${text}`).toBe(true)
        }
      }
    }
    expect(compiled).toBeGreaterThan(ROUNDS / 8)
  })

  it('takes time in proportion to the source', () => {
    for (const piece of [...PIECES, '(?<', '(?P<', '[[:a', '\\p{', 'a{1']) {
      const source = piece.repeat(4096).slice(0, 4096)
      const times = Array.from({ length: 3 }, () => {
        const start = performance.now()
        readRegex(source)
        return performance.now() - start
      })
      expect(Math.min(...times), piece).toBeLessThan(20)
    }
  })
})

describe('compileRegex', () => {
  const refuses = (source: string, message: string) =>
    it(source.slice(0, 40), () => {
      const start = performance.now()
      const regex = compileRegex(source)
      expect(regex.ok ? '' : regex.error.message).toContain(message)
      expect(performance.now() - start).toBeLessThan(300)
    })
  refuses('(', 'missing closing )')
  refuses('a**', 'invalid nested repetition operator')
  refuses('(?=a)', 'invalid')
  refuses('(?<=a)b', 'invalid')
  refuses('\\1', 'invalid escape sequence')
  refuses(`(?:${'ab'.repeat(500)}){1000}`, 'too large')
  refuses('a{1000}'.repeat(140), 'too large')
  refuses('(?:a?b?){1000}'.repeat(70), 'too large')

  it('looks at the first 16,384 characters', () => {
    const regex = compileRegex('b')
    if (!regex.ok) throw new Error()
    expect(regex.data.test(`${'a'.repeat(16_383)}b`)).toBe(true)
    expect(regex.data.test(`${'a'.repeat(16_384)}b`)).toBe(false)
  })
})

describe('slashes', () => {
  const stand = (source: string, escaped: string) =>
    it(source, () => {
      expect(escapeSlashes(source)).toBe(escaped)
      expect(unescapeSlashes(escaped)).toBe(source)
    })
  stand('a/b', 'a\\/b')
  stand('a\\\\/', 'a\\\\\\/')
  stand('\\d', '\\d')
})
