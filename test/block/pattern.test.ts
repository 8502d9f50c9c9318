import { describe, expect, it } from 'vitest'
import {
  choosePatterns,
  choosePatternsInSteps,
  PATTERNS_MAX,
  patternId,
  patternOf,
  phraseInPattern,
} from '../../src/block/pattern.ts'
import { storedSegment } from '../../src/block/stored.ts'
import { wordTest } from '../../src/match/text.ts'
import { wordsOf } from '../../src/words.ts'
import { batchOf, type RecordSpec, randomOf } from '../batches.ts'

describe('patternOf', () => {
  const is = (message: string, pattern: string | null) =>
    it(`${JSON.stringify(message.slice(0, 60))} is ${JSON.stringify(pattern?.slice(0, 60) ?? null)}`, () =>
      expect(patternOf(message)).toBe(pattern))

  is('', '')
  is('Connection reset by peer', 'Connection reset by peer')
  is(
    'retrying sync of orders 4711, attempt 2 of 5 after connection reset by peer',
    'retrying sync of orders <_>, attempt <_> of <_> after connection reset by peer',
  )
  is('5', '<_>')
  is('user_17 x2y done', '<_> <_> done')
  is('GET /api/v2/users?id=5', 'GET /api/<_>/users?id=<_>')
  is('took 3.5ms', 'took <_>.<_>')
  is('at 2026-11-22T10:00:01.5Z', 'at <_>-<_>-<_>:<_>:<_>.<_>')
  is('a_b __ c', 'a_b __ c')

  // Letters of ids: only a-f, joined by - or : to a variable, over any number of their like.
  is('id 12345678-abcd-efab-cdef-123456789012', 'id <_>-<_>-<_>-<_>-<_>')
  is('id deadbeef-cafe-babe-feed-face00000000', 'id <_>-<_>-<_>-<_>-<_>')
  is('id DEAD-5', 'id <_>-<_>')
  is('bad-cafe-5 bad', '<_>-<_>-<_> bad')
  is('5-bad-cafe', '<_>-<_>-<_>')
  is('a:b:c:1', '<_>:<_>:<_>:<_>')
  is('00:1b:ac', '<_>:<_>:<_>')
  is('fe80::1', '<_>::<_>')
  is('abc::1', 'abc::<_>')
  is('abc: 1', 'abc: <_>')
  is('abc--1', 'abc--<_>')
  is('abc.1', 'abc.<_>')
  is('abc-xyz-1', 'abc-xyz-<_>')
  is('abc-1-xyz-abc', '<_>-<_>-xyz-abc')
  is('abc-dad', 'abc-dad')
  is('1-abg', '<_>-abg')
  is('1-ab_', '<_>-ab_')
  is('abc-', 'abc-')

  // Words beyond ASCII.
  is('Übung 5 für é1', 'Übung <_> für <_>')
  is('Kapitel Ⅷ', 'Kapitel <_>')
  is('数据库5连接', '数据库<_>连接')
  is('数据库12', '数据库<_>')
  is('ราคา ๕๐ บาท', 'ราคา <_><_> บาท')
  is('😀 took 5 😀', '😀 took <_> 😀')
  is('été-5', 'été-<_>')
  is('dad-５', '<_>-<_>')

  // None.
  is('a message with <_> in it', null)
  is('e\u0301te\u0301 5', null)
  is('x'.repeat(4097), null)
  is(`${'5'.repeat(4095)}é`, null)
  is(`${'5'.repeat(4094)}é`, '<_>')
  is(`${'5'.repeat(4096)}`, '<_>')
  is('x'.repeat(513), null)
  is('x'.repeat(512), 'x'.repeat(512))
  is('é'.repeat(257), null)
  is('é'.repeat(256), 'é'.repeat(256))
  is('1 '.repeat(129), null)
  is('<_ > < _>', '<_ > < _>')
})

describe('phraseInPattern', () => {
  const says = (pattern: string, phrase: string, answer: 'every' | 'none' | 'look') =>
    it(`${JSON.stringify(pattern)} asked for ${JSON.stringify(phrase)} says ${answer}`, () =>
      expect(phraseInPattern(pattern, wordsOf(phrase))).toBe(answer))

  says('retry of orders <_> failed', 'retry', 'every')
  says('retry of orders <_> failed', 'Orders', 'every')
  says('retry of orders <_> failed', 'retry of', 'every')
  says('retry of orders <_> failed', 'of retry', 'none')
  says('retry of orders <_> failed', 'timeout', 'none')
  says('retry of orders <_> failed', 'order', 'none')
  says('retry of orders <_> failed', '7', 'look')
  says('retry of orders <_> failed', 'orders 7', 'look')
  says('retry of orders <_> failed', 'retry 7', 'none')
  says('retry of orders <_> failed', 'orders failed', 'none')
  says('retry of orders <_> failed', 'orders 7 failed', 'look')
  says('retry of orders <_> failed', 'orders 7 8 failed', 'none')
  says('retry of orders <_> failed', 'cafe', 'look')
  says('retry of orders <_> failed', 'cafes', 'none')
  says('retry of orders <_> failed', '_', 'none')
  says('bad request <_>', 'bad', 'every')
  says('no variable', '7', 'none')
  says('no variable', 'cafe', 'none')
  says('no variable', 'no variable', 'every')
  says('', 'word', 'none')
  says('<_>', 'word', 'none')
  says('<_>', 'x7', 'look')
  says('a _ b <_>', '_', 'every')
  says('数据库<_>连接', '数据', 'every')
  says('数据库<_>连接', '库连', 'none')
  says('数据库<_>连接', '库5连', 'look')
  says('Straße <_>', 'STRASSE', 'none')
  says('İstanbul <_>', 'İstanbul', 'every')
})

// What is certain must hold for every message: messages of parts that meet in all ways, by seed.
describe('what a pattern decides', () => {
  const SEED = Number(process.env.SEED ?? 1)
  const ROUNDS = Number(process.env.ROUNDS ?? 20_000)
  const WORDS = [
    ...[
      'timeout',
      'Reset',
      'order',
      'a',
      'b',
      'abc',
      'DEAD',
      'fade',
      'bad',
      'cafe',
      'x_y',
      '_',
      '__',
    ],
    ...['5', '12', 'x7', '7x', '_5', 'a1', 'ab12', '0xff', '1e5', '٣', 'Ⅷ', 'ⅷ', '½', '²', '５'],
    ...['été', 'É', 'e\u0301', '\u0301', 'İ', 'ı', 'ß', 'ẞ', 'Σ', 'ς', 'ΑΣ', 'K', 'Å', 'ﬁ', 'ａ'],
    ...[
      '数',
      '据库',
      '数5据',
      'カナ',
      'ｶﾅ',
      'かな',
      'ไทย',
      '๕',
      'ราคา๕',
      'ລາວ',
      'ខ្មែរ',
      'မြန်',
      '한국어',
    ],
    ...['😀', '\u200d', '\u00ad', '\ud83d', '<', '>', '<_', '_>', '<_>', '\0', '١٢'],
    ...['𠀀', '𝕏a', '𝟘', 'a𝟙b', '\ud840', '\ud835', '\udc00', '𑁦', '👩‍🚀'],
  ]
  const JOINTS = [
    '',
    ' ',
    '-',
    ':',
    '-',
    ':',
    '.',
    '/',
    '_',
    ', ',
    '--',
    '=',
    '"',
    '\n',
    '，',
    '。',
  ]

  it(`holds for each record, ${ROUNDS} rounds from seed ${SEED}`, () => {
    const seen = { every: 0, none: 0, look: 0, null: 0 }
    for (let round = 0; round < ROUNDS; round++) {
      const random = randomOf(SEED * 1_000_003 + round)
      const pick = (values: string[]) => values[Math.floor(random() * values.length)]!
      let message = ''
      const count = Math.floor(random() * 8)
      for (let i = 0; i < count; i++) message += pick(WORDS) + pick(JOINTS)
      const pattern = patternOf(message)
      if (pattern === null) {
        seen.null++
        continue
      }
      const words = wordsOf(message)
      const others = wordsOf(`${pick(WORDS)} ${pick(WORDS)}${pick(WORDS)}`)
      const from = Math.floor(random() * words.length)
      const phrases = [
        words.slice(from, from + 1 + Math.floor(random() * 3)),
        others,
        others.slice(0, 1),
        [...words.slice(from, from + 1), ...others.slice(0, 1)],
        [words[Math.floor(random() * words.length)] ?? '5', words[from] ?? 'a'],
      ]
      for (const phrase of phrases) {
        if (phrase.length === 0) continue
        const answer = phraseInPattern(pattern, phrase)
        seen[answer]++
        const holds = wordTest([phrase])(message)
        const told = JSON.stringify({ round, message, pattern, phrase, answer, holds })
        if (answer === 'every') expect(holds, told).toBe(true)
        if (answer === 'none') expect(holds, told).toBe(false)
      }
    }
    // A test that decides nothing proves nothing.
    expect(Math.min(seen.every, seen.none, seen.look, seen.null)).toBeGreaterThan(ROUNDS / 50)
  })

  it('a pattern is its own message where nothing varies, and each <_> one word where it does', () => {
    for (let round = 0; round < 5000; round++) {
      const random = randomOf(SEED * 7_000_003 + round)
      const pick = (values: string[]) => values[Math.floor(random() * values.length)]!
      const message = Array.from({ length: 6 }, () => pick(WORDS) + pick(JOINTS)).join('')
      const pattern = patternOf(message)
      if (pattern === null) continue
      const literals = pattern.split('<_>')
      const fixed = literals.flatMap(wordsOf)
      expect(wordsOf(message).length, message).toBe(fixed.length + literals.length - 1)
      if (literals.length === 1) expect(pattern).toBe(message)
      expect(fixed.filter((word) => /\p{N}/u.test(word))).toEqual([])
    }
  })

  it('choosePatterns, which has a faster way, finds what patternOf does', () => {
    for (let round = 0; round < 40; round++) {
      const random = randomOf(SEED * 5_000_011 + round)
      const pick = (values: string[]) => values[Math.floor(random() * values.length)]!
      const templates = Array.from({ length: 60 }, () =>
        Array.from({ length: 5 }, () => [pick(WORDS), pick(JOINTS)]),
      )
      const messages = Array.from({ length: PATTERNS_MAX }, () =>
        templates[Math.floor(random() * templates.length)]!.map(
          ([word, joint]) => (/\p{N}/u.test(word!) ? pick(WORDS) : word!) + joint!,
        ).join(''),
      )
      const part = storedSegment(batchOf(messages.map((message) => ({ message }))), 1, 0)
      choosePatterns([part])
      expect(part.patterns).toEqual(messages.map(patternOf))
    }
  })

  it('a digit stays one in lower case, and nothing becomes a letter of ids', () => {
    for (let code = 0; code <= 0x10ffff; code++) {
      const text = String.fromCodePoint(code)
      const lower = text.toLowerCase()
      if (lower === text) continue
      if (/\p{N}/u.test(text)) expect(lower).toMatch(/\p{N}/u)
      else expect(lower).not.toMatch(/\p{N}/u)
      if (!/[A-F]/.test(text)) expect(lower).not.toMatch(/[a-f]/)
    }
  })
})

describe('patternId', () => {
  // Stored in catalogs and asked for by people: never to change.
  const is = (pattern: string, id: string) =>
    it(`of ${JSON.stringify(pattern)} is ${id}`, () => expect(patternId(pattern)).toBe(id))
  is('', 'e3b0c44298fc1c14')
  is('retry of orders <_> failed', 'deaa00a000606506')
  is('été 数据库<_>', 'e4c366a6b43207c1')
})

describe('choosePatterns', () => {
  const partsOf = (...parts: RecordSpec[][]) =>
    parts.map((specs, i) => storedSegment(batchOf(specs), 1 + i * 10_000, 0))
  const messages = (...texts: string[]) => texts.map((message) => ({ message }))

  it('gives each message its pattern', () => {
    const parts = partsOf(messages('a 1', 'b'), messages('a 2', 'a <_>'))
    choosePatterns(parts)
    expect(parts.map(({ patterns }) => patterns)).toEqual([
      ['a <_>', 'b'],
      ['a <_>', null],
    ])
  })

  it('gives none to a body that is no string', () => {
    const parts = partsOf(messages('{"a":1}', 'a 1'))
    parts[0]!.batch.body[0] = '{"a":1}'
    choosePatterns(parts)
    expect(parts[0]!.patterns).toEqual([null, 'a <_>'])
  })

  it(`keeps the ${PATTERNS_MAX} most frequent of all parts, the first seen among equals`, () => {
    const word = (i: number) => String.fromCodePoint(0x4e00 + i)
    const all = Array.from({ length: PATTERNS_MAX + 20 }, (_, i) => word(i))
    const rare = all.slice(0, 10)
    const parts = partsOf(messages(...all), messages(...all.filter((text) => !rare.includes(text))))
    choosePatterns(parts)
    const none = [...rare, ...all.slice(-10)]
    expect(parts[0]!.patterns).toEqual(all.map((text) => (none.includes(text) ? null : text)))
  })

  it('in steps does the same, and yields', () => {
    const specs = Array.from({ length: 10_000 }, (_, i) => ({ message: `a ${i} ${'xyz'[i % 3]}` }))
    const [whole, stepped] = [partsOf(specs, specs), partsOf(specs, specs)]
    choosePatterns(whole)
    expect([...choosePatternsInSteps(stepped)].length).toBe(4)
    expect(stepped).toEqual(whole)
  })

  it('takes patterns that an older block told, and looks again where it had none left', () => {
    const parts = partsOf(messages('a 1', 'b 2'))
    parts[0]!.patterns = ['told', null]
    choosePatterns(parts)
    expect(parts[0]!.patterns).toEqual(['told', 'b <_>'])
  })
})
