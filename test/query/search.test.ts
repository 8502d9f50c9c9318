// The language: what a text means, what it refuses and where, and that a filter survives being
// written and read. SEED=7 ROUNDS=20000 for more.

import { describe, expect, it } from 'vitest'
import { type Filter, normalFilter } from '../../src/query/filter.ts'
import { parseSearch } from '../../src/query/search.ts'
import { formatSearch } from '../../src/query/search-text.ts'
import { randomOf } from '../batches.ts'
import { randomFilter, randomFrom, randomText } from './random-filter.ts'

const SEED = Number(process.env.SEED ?? 1)
const ROUNDS = Number(process.env.ROUNDS ?? 1500)

const filterOf = (text: string): Filter => {
  const filter = parseSearch(text)
  if (!filter.ok) throw new Error(filter.error.message)
  return filter.data
}

const phrase = (text: string) => ({ kind: 'text', in: 'message', test: { is: 'phrase', text } })
const glob = (...parts: string[]) => ({ kind: 'text', in: 'message', test: { is: 'glob', parts } })
const column = (name: string, value: string) => ({
  kind: 'field',
  field: { in: 'column', name },
  test: { is: 'equal', value },
})
const bare = (name: string, test: object) => ({ kind: 'field', field: { in: 'bare', name }, test })
const equal = (value: string) => ({ is: 'equal', value })
const and = (...of: object[]) => ({ kind: 'and', of })
const or = (...of: object[]) => ({ kind: 'or', of })
const not = (of: object) => ({ kind: 'not', of })
const level = (mask: number) => ({ kind: 'level', mask })
const everything = and()

describe('parseSearch', () => {
  const means = (text: string, filter: object) =>
    it(text, () => expect(filterOf(text)).toEqual(filter))

  describe('terms', () => {
    means('timeout', phrase('timeout'))
    means('  up down ', and(phrase('up'), phrase('down')))
    means('"upstream timeout"', phrase('upstream timeout'))
    means('a-b', phrase('a-b'))
    means('10:30', phrase('10:30'))
    means('error: x', and(phrase('error:'), phrase('x')))
    means('(error:)', phrase('error:'))
    means('std::string', phrase('std::string'))
    means('/api/users', phrase('/api/users'))
    means('src/app.ts:42', phrase('src/app.ts:42'))
    means('[warn]', phrase('[warn]'))
    means('>=5', phrase('>=5'))
    means('a=b', phrase('a=b'))
    means('a->b', phrase('a->b'))
    means('x>y', phrase('x>y'))
    means('"a>=5"', phrase('a>=5'))
    means('"!a"', phrase('!a'))
    means('wow!', phrase('wow!'))
    means('"service:" api', and(phrase('service:'), phrase('api')))
    means('and or not', and(phrase('and'), phrase('or'), phrase('not')))
    means('time*', glob('time', ''))
    means('*meou*', glob('', 'meou', ''))
    means('a*b**c', glob('a', 'b', 'c'))
    means('a\\*b', phrase('a*b'))
    means('"a*b"', phrase('a*b'))
    means('foo\\ bar*', glob('foo bar', ''))
    means('\\AND', phrase('AND'))
    means('*', everything)
    means('f(x)', and(phrase('f'), phrase('x')))
    means('数据库', phrase('数据库'))
  })

  describe('logic', () => {
    means('a OR b c', or(phrase('a'), and(phrase('b'), phrase('c'))))
    means('a b OR c', or(and(phrase('a'), phrase('b')), phrase('c')))
    means('a AND b', and(phrase('a'), phrase('b')))
    means('a AND (b OR c)', and(phrase('a'), or(phrase('b'), phrase('c'))))
    means('-a', not(phrase('a')))
    means('NOT a b', and(not(phrase('a')), phrase('b')))
    means('NOT(a b)', not(and(phrase('a'), phrase('b'))))
    means('a AND NOT b', and(phrase('a'), not(phrase('b'))))
    means('--a', phrase('a'))
    means('-"a b"', not(phrase('a b')))
    means('-*', or())
    means('((a))', phrase('a'))
    means('(a b) c', and(phrase('a'), phrase('b'), phrase('c')))
    means('* a', phrase('a'))
    means('* OR a', everything)
  })

  describe('levels', () => {
    means('level:warn', level(8))
    means('level:Warning', level(8))
    means('level:>=warn', level(56))
    means('level:>warn', level(48))
    means('level:<warn', level(7))
    means('level:<=warn', level(15))
    means('level:(warn OR error)', level(24))
    means('level:[debug TO error}', level(14))
    means('level:[* TO info]', level(7))
    means('-level:warn', level(55))
    means('level:>=warn -level:fatal', level(24))
    means('level:*', everything)
    means('level:warn level:error', or())
    means('a level:warn b level:>=warn', and(phrase('a'), level(8), phrase('b')))
  })

  describe('fields', () => {
    means('service:api', column('service', 'api'))
    means('service:"api"', column('service', 'api'))
    means('"service":"api"', column('service', 'api'))
    means('service:""', column('service', ''))
    means('service:(api OR web)', or(column('service', 'api'), column('service', 'web')))
    means(
      'service:(api OR web) x',
      and(or(column('service', 'api'), column('service', 'web')), phrase('x')),
    )
    means('-service:(api OR web)', not(or(column('service', 'api'), column('service', 'web'))))
    means('service:a*', {
      kind: 'field',
      field: { in: 'column', name: 'service' },
      test: { is: 'glob', parts: ['a', ''] },
    })
    means('service:*', {
      kind: 'field',
      field: { in: 'column', name: 'service' },
      test: { is: 'exists' },
    })
    means('trace_id:ABcd', column('trace_id', 'abcd'))
    means('severity_number:>=17', {
      kind: 'field',
      field: { in: 'column', name: 'severity_number' },
      test: { is: 'range', from: { value: 17, isInside: true }, to: null },
    })
    means(
      'http.response.status_code:>=500',
      bare('http.response.status_code', {
        is: 'range',
        from: { value: 500, isInside: true },
        to: null,
      }),
    )
    means('http.route:"/api/users"', bare('http.route', equal('/api/users')))
    means('user-agent:x', bare('user-agent', equal('x')))
    means('a:b:c', bare('a', equal('b:c')))
    means('url:https://x.y/z', bare('url', equal('https://x.y/z')))
    means('a:10:30', bare('a', equal('10:30')))
    means('a:-5', bare('a', equal('-5')))
    means('a:(-5)', not(bare('a', equal('5'))))
    means('a:("-5")', bare('a', equal('-5')))
    means('a:(x:y)', bare('a', equal('x:y')))
    means(
      'a:(>=500 -503)',
      and(
        bare('a', { is: 'range', from: { value: 500, isInside: true }, to: null }),
        not(bare('a', equal('503'))),
      ),
    )
    means('"my key":x', bare('my key', equal('x')))
    means('my\\ key:x', bare('my key', equal('x')))
    means('attr.level:x', { kind: 'field', field: { in: 'attr', name: 'level' }, test: equal('x') })
    means('attr."my key":x', {
      kind: 'field',
      field: { in: 'attr', name: 'my key' },
      test: equal('x'),
    })
    means('"attr.x":y', bare('attr.x', equal('y')))
    means('resource.k8s.pod.name:x', {
      kind: 'field',
      field: { in: 'resource', name: 'k8s.pod.name' },
      test: equal('x'),
    })
    means('scope.name:x', { kind: 'field', field: { in: 'scope', name: 'name' }, test: equal('x') })
    means('body.user.id:7', {
      kind: 'field',
      field: { in: 'body', name: 'user.id' },
      test: equal('7'),
    })
    means('scope:x', bare('scope', equal('x')))
    means('été:x', bare('été', equal('x')))
    means('@t:x', bare('@t', equal('x')))
  })

  describe('numbers', () => {
    const range = (from: object | null, to: object | null) => bare('d', { is: 'range', from, to })
    const inside = (value: number) => ({ value, isInside: true })
    const outside = (value: number) => ({ value, isInside: false })
    means('d:[100 TO 500]', range(inside(100), inside(500)))
    means('d:{100 TO 500}', range(outside(100), outside(500)))
    means('d:[ -1.5  TO 1e3 }', range(inside(-1.5), outside(1000)))
    means('d:[* TO 5]', range(null, inside(5)))
    means('d:[* TO *]', range(null, null))
    means('d:>.5', range(outside(0.5), null))
    means('d:<-5', range(null, outside(-5)))
  })

  describe('message, any, pattern and regular expressions', () => {
    means('message:timeout', phrase('timeout'))
    means('message:"a b"', phrase('a b'))
    means('message:(a OR "b c")', or(phrase('a'), phrase('b c')))
    means('message:time*', glob('time', ''))
    means('message:*', everything)
    means('any:10.1.2.3', { kind: 'text', in: 'any', test: { is: 'phrase', text: '10.1.2.3' } })
    means(
      'any:(a* OR b)',
      or(
        { kind: 'text', in: 'any', test: { is: 'glob', parts: ['a', ''] } },
        { kind: 'text', in: 'any', test: { is: 'phrase', text: 'b' } },
      ),
    )
    means('pattern:0123456789ABCDEF', { kind: 'pattern', id: '0123456789abcdef' })
    means('a:/x y"[(]/ b', and(bare('a', { is: 'regex', source: 'x y"[(]' }), phrase('b')))
    means('message:/a\\/b|c d/', {
      kind: 'text',
      in: 'message',
      test: { is: 'regex', source: 'a/b|c d' },
    })
    means('a:/\\\\/', bare('a', { is: 'regex', source: '\\\\' }))
    means('(a:/x/)', bare('a', { is: 'regex', source: 'x' }))
  })
})

describe('parseSearch refuses', () => {
  const refuses = (text: string, column: number, message: string | RegExp) =>
    it(JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text), () => {
      const result = parseSearch(text)
      expect(result).toMatchObject({ ok: false, error: { code: 'bad_query', details: { column } } })
      if (result.ok) return
      expect(result.error.message).toMatch(message)
    })

  refuses('', 1, 'empty')
  refuses('  ', 3, 'empty')
  refuses('a "b', 3, /^column 3: a quote is opened and not closed$/)
  refuses('"a"b', 4, 'a space is missing after the quote')
  refuses('a"b"', 2, 'a quote stands inside a term')
  refuses('a (b', 3, 'a parenthesis is opened and not closed')
  refuses('(', 1, 'a parenthesis is opened and not closed')
  refuses('a) b', 2, 'closed and was not opened')
  refuses(')', 1, 'closed and was not opened')
  refuses('a () b', 3, 'nothing stands between the parentheses')
  refuses('a OR', 5, 'OR needs something after it')
  refuses('(a OR ) b', 7, 'OR needs something after it')
  refuses('OR a', 1, 'OR needs something before it')
  refuses('a OR OR b', 6, /OR needs something/)
  refuses('AND a', 1, 'AND needs something before it')
  refuses('a AND', 6, 'AND needs something after it')
  refuses('a AND OR b', 7, 'OR needs something before it')
  refuses('a NOT', 6, 'NOT needs something after it')
  refuses('- a', 1, '"-" holds no word')
  refuses('a && b', 3, '&& holds no word: write AND')
  refuses('a || b', 3, 'write OR')
  refuses('a | count', 3, 'a search chooses records')
  refuses('! a', 1, 'write NOT')
  refuses('a !retry', 3, '! is no operator: write -retry')
  refuses('!level:debug', 1, 'write -level:debug')
  refuses('status >= 500', 8, 'without spaces, as in status:>=500')
  refuses('a != b', 3, 'without spaces')
  refuses('http.status>=500', 1, 'write http.status:>=500')
  refuses('status>500', 1, 'write status:>=500')
  refuses('level!=debug', 1, 'write -level:value')
  refuses('service: api', 1, 'at once behind the colon')
  refuses('(level:)', 2, 'at once behind the colon')
  refuses('*:*', 1, '* finds every record')
  refuses('_exists_:user_id', 1, 'name:* finds')
  refuses('@timestamp:>5', 1, 'since and until')
  refuses('message:/x/i', 12, 'flags stand in it, as in /(?i)…/')
  refuses('x \\', 3, 'a backslash stands before nothing')
  refuses('level:loud', 7, '"loud" is no level; levels are trace, debug')
  refuses('level:>=', 9, 'a comparison needs a value')
  refuses('level:[a TO warn]', 8, '"a" is no level')
  refuses('level:/x/', 7, 'level takes no regular expression')
  refuses('level:w*', 7, '"w*" is no level')
  refuses('code:>=abc', 8, '"abc" is no number')
  refuses('code:[1 TO x]', 12, '"x" is no number')
  refuses('code:>1e999', 7, 'is no number')
  refuses('code:[1 2]', 6, 'a range is written [100 TO 500]')
  refuses('code:[1 TO 2', 6, 'a range is written')
  refuses('code:[1 TO 2]x', 14, 'a space is missing')
  refuses('message:>5', 9, 'message takes no comparison')
  refuses('any:[1 TO 2]', 5, 'any takes no comparison')
  refuses('pattern:abc', 9, 'is no id of a pattern')
  refuses('id:0-7', 1, 'GET /logs/<id>')
  refuses('timestamp:>5', 1, 'since and until')
  refuses('attr."":x', 1, 'a field has no name')
  refuses(`${'a.'.repeat(40)}b:x`, 1, 'too many dots')
  refuses('https://example.com', 7, 'a regular expression is empty')
  refuses('path:/api/users', 11, 'a space is missing after the regular expression')
  refuses('path:/api', 6, 'is not closed')
  refuses('a:/(/', 3, 'not one of RE2: missing closing )')
  refuses('a:/(?=x)/', 3, 'not one of RE2')
  refuses('a:/(?:abcdefgh){1000}/', 3, 'too large')
  refuses('a:/.{200}/ b:/.{200}/ c:/.{200}/', 25, 'too large')
  refuses('x'.repeat(257), 1, 'longer than 256')
  refuses(`${'x'.repeat(257)}*`, 1, 'longer than 256')
  refuses('x '.repeat(65), 129, 'more than 64 words')
  refuses(`"${'x '.repeat(65)}"`, 1, 'more than 64 words')
  refuses(`${'('.repeat(33)}a${')'.repeat(33)}`, 33, 'more than 32')
  refuses(`${'NOT '.repeat(33)}a`, 132, 'more than 32')
  refuses(`${'-'.repeat(33)}a`, 34, 'more than 32')
  refuses('x'.repeat(4097), 4097, 'longer than 4096')
})

describe('formatSearch', () => {
  const writes = (text: string, written = text) =>
    it(text, () => expect(formatSearch(filterOf(text))).toBe(written))
  writes('level:>=warn service:api "upstream timeout" -retry http.response.status_code:>=500')
  writes('(a OR b) -(c d) e*')
  writes('a b OR c', '(a b) OR c')
  writes('level:( info OR error )', 'level:(info OR error)')
  writes('service:(api OR web) x')
  writes('-service:(api OR web)')
  writes('duration_ms:[100 TO 500] d:{1 TO *] e:<=5', 'duration_ms:[100 TO 500] d:>1 e:<=5')
  writes('message:/a\\/b/ attr."my key":"x y"')
  writes('a AND NOT b', 'a -b')
  writes('-*')

  it(`is read as the same filter, ${ROUNDS} rounds from seed ${SEED}`, () => {
    let longest = 0
    for (let round = 0; round < ROUNDS; round++) {
      const random = randomFrom(randomOf(SEED * 1_000_003 + round))
      const filter = normalFilter(randomFilter(random, 4))
      expect(normalFilter(filter), `round ${round}`).toEqual(filter)
      expect(JSON.parse(JSON.stringify(filter))).toEqual(filter)
      const text = formatSearch(filter)
      const read = parseSearch(text)
      if (!read.ok && /more than 64|longer than|too large|too many dots/.test(read.error.message))
        continue
      expect(read, `round ${round}: ${text}`).toEqual({ ok: true, data: filter })
      longest = Math.max(longest, text.length)
    }
    expect(longest).toBeGreaterThan(200)
  })

  it(`is stable for any text that can be read, ${ROUNDS} rounds from seed ${SEED}`, () => {
    let readable = 0
    const words = [
      'a',
      'b*',
      '*c',
      '"d e"',
      'level:warn',
      'x:y',
      'x:>5',
      'x:[1 TO 2]',
      'x:/r/',
      '(',
      ')',
      'x:(',
      'AND',
      'OR',
      'NOT',
      '-',
      ' ',
      '  ',
      'service:',
      ':',
      '"',
      '/',
      '\\',
    ]
    for (let round = 0; round < ROUNDS * 2; round++) {
      const random = randomFrom(randomOf(SEED * 1_000_003 + round))
      const text =
        random.below(3) === 0
          ? randomText(random, 12)
          : Array.from(
              { length: random.below(9) },
              () => random.pick(words) + random.pick(['', ' ']),
            ).join('')
      const read = parseSearch(text)
      if (!read.ok) {
        const { column } = read.error.details as { column: number }
        expect(column, text).toBeGreaterThanOrEqual(1)
        expect(column, text).toBeLessThanOrEqual(text.length + 1)
        expect(read.error.message.startsWith(`column ${column}: `), text).toBe(true)
        continue
      }
      readable++
      const written = formatSearch(read.data)
      expect(parseSearch(written), `${text} -> ${written}`).toEqual(read)
      expect(formatSearch(read.data)).toBe(written)
    }
    expect(readable).toBeGreaterThan(ROUNDS / 4)
  })

  it('takes time in proportion to the text', () => {
    const texts = [
      '(',
      ')',
      'a',
      '"',
      '\\',
      'a:',
      '-',
      'NOT ',
      'a.',
      ' ',
      '*',
      'a:/',
      'a:[',
      '"a":',
      'attr."',
      'a OR ',
      '\ud83d\ude00',
      'attr.',
      'a*',
    ]
    for (const piece of texts) {
      const text = piece.repeat(5000).slice(0, 4096)
      const start = performance.now()
      for (let i = 0; i < 20; i++) parseSearch(text)
      expect((performance.now() - start) / 20, JSON.stringify(piece)).toBeLessThan(20)
    }
  })
})
