// What a text condition finds in a text, and what it says of a pattern.

import { describe, expect, it } from 'vitest'
import { patternOf } from '../../src/block/pattern.ts'
import { foldText, textCheck } from '../../src/match/text.ts'
import type { TextTest } from '../../src/query/filter.ts'
import { mayHold } from '../../src/query/regex.ts'

const glob = (text: string): TextTest => ({ is: 'glob', parts: text.split('*') })
const phrase = (text: string): TextTest => ({ is: 'phrase', text })
const regex = (source: string): TextTest => ({ is: 'regex', source })

describe('textCheck', () => {
  const finds = (name: string, test: TextTest, yes: string[], no: string[]) =>
    it(name, () => {
      const { holds, hint } = textCheck(test)
      for (const text of yes) {
        expect(holds(text), text).toBe(true)
        expect(text.toLowerCase()).toContain(hint)
      }
      for (const text of no) expect(holds(text), text).toBe(false)
    })

  finds(
    'a prefix',
    glob('time*'),
    ['Timeout', 'x time', 'a-time_1', '数time'],
    ['xtime', 'ti me', '1time', '_time'],
  )
  finds('an ending', glob('*out'), ['Timeout', 'OUT of', 'a_out-b'], ['outer', 'out1', 'ou t'])
  finds('a part', glob('*MEOU*'), ['timeout', 'meou'], ['meo u'])
  finds(
    'words apart',
    glob('get*orders'),
    ['GET /api/orders', 'get orders', 'getorders'],
    ['budget orders', 'GET /api/orders2', 'orders get'],
  )
  finds('parts in order', glob('*a*b*c*'), ['abc', 'xaxbxcx', 'aabbcc'], ['acb', 'ab', ''])
  finds('parts that are no words', glob('/api/*'), ['GET /api/users', '/API/'], ['api'])
  finds('an end that is no letter', glob('*:'), ['a:', 'a: b'], ['a'])
  finds('a letter in either form', glob('été*'), ['ÉTÉ', 'e\u0301te\u0301s'], ['ete', 'xété'])
  finds('a final sigma', glob('*οσ'), ['ΟΔΟΣ:Α', 'οδος', 'ΟΔΟΣ'], ['οσα'])
  finds('scripts without spaces', glob('据*'), ['数据库', '据'], ['数'])
  finds('pairs of surrogates', glob('𝒳*'), ['a 𝒳𝒴', '😀𝒳'], ['𝒴𝒳'])
  finds('only at a word', glob('a*'), ['ba a'], ['ba ba', 'ba'])
  finds(
    'a phrase',
    phrase('Upstream timeout'),
    ['upstream: TIMEOUT'],
    ['upstream the timeout', 'timeout upstream'],
  )
  finds('a regular expression', regex('ms$|^GET'), ['GET x', '5 ms'], ['get x', '5 ms.'])
  finds('one in any case', regex('(?i)Timeout \\d'), ['TIMEOUT 5', 'timeout 5'], ['timeout'])
  finds('one in any case beyond ASCII', regex('(?i)stop'), ['ſtop', 'STOP'], ['s top'])

  const says = (name: string, test: TextTest, message: string, verdict: string) =>
    it(`${name} of ${message}: ${verdict}`, () =>
      expect(textCheck(test).verdict(patternOf(message)!)).toBe(verdict))
  says('a phrase', phrase('user'), 'user 17 in', 'every')
  says('a phrase', phrase('17'), 'user 17 in', 'look')
  says('a phrase', phrase('out'), 'user 17 in', 'none')
  says('a part', glob('*use*'), 'user 17 in', 'look')
  says('a part', glob('*use*'), 'user in', 'every')
  says('a part', glob('*out*'), 'user in', 'none')
  says('a regular expression', regex('^user'), 'user 17 in', 'look')
  says('a regular expression', regex('^user in$'), 'user in', 'every')
})

describe('many conditions on one long text', () => {
  it('cut its words once', () => {
    const text = 'İ '.repeat(100_000)
    const checks = Array.from({ length: 60 }, (_, i) => textCheck(phrase(`w${i}`)))
    const start = performance.now()
    for (const { holds } of checks) expect(holds(text)).toBe(false)
    // To cut them for each takes 2.5 s.
    expect(performance.now() - start).toBeLessThan(1000)
    expect(textCheck(phrase('i\u0307')).holds(text)).toBe(true)
  })
})

describe('mayHold', () => {
  it('matches wherever case or form of a character could make an ASCII one', () => {
    for (let code = 128; code < 0x110000; code++) {
      if (code >= 0xd800 && code < 0xe000) continue
      const text = String.fromCodePoint(code)
      const folded = `${foldText(text)}${text.normalize().toLowerCase()}`
      for (const c of folded.match(/[\0-\x7f]/g) ?? []) {
        expect(mayHold(c).test(text), `${code.toString(16)} ${c}`).toBe(true)
      }
    }
  })
  it('takes any character as itself', () => {
    expect(mayHold('a.b*(').test('x A.B*( y')).toBe(true)
    expect(mayHold('a.b').test('axb')).toBe(false)
    expect(mayHold('').test('')).toBe(true)
    expect(mayHold(' \n-').test(' \n-')).toBe(true)
  })
})
