import { describe, expect, it } from 'vitest'
import { buildFilter, type Hash, mayContain } from '../../src/block/filter.ts'
import { storedSegment } from '../../src/block/stored.ts'
import { idToken, stringsIn, tokensOf, valueTokens, wordToken } from '../../src/block/tokens.ts'
import type { RecordBatch } from '../../src/record.ts'
import { wordsOf } from '../../src/words.ts'
import { batchOf, type RecordSpec, randomOf } from '../batches.ts'

const noPause = async () => {}

/** Both filters of these records, so wide that they are right. */
async function filtersOf(batch: RecordBatch) {
  const { ids, words } = await tokensOf([storedSegment(batch, 1, 0)], noPause)
  const holdsIn = (slices: Uint8Array[]) => (hash: Hash) => mayContain(slices[0]!, hash)
  return {
    ids: holdsIn(buildFilter(ids, 40, 4000)),
    words: holdsIn(buildFilter(words, 40, 4000)),
  }
}

// Hashes of stored tokens: they never change.
describe('tokens', () => {
  const is = (name: string, { a }: Hash, stored: number) =>
    it(`${name} is this for good`, () => expect(a).toBe(stored))

  is('service:x', idToken('service', 'x'), 1725022484)
  is('environment:x', idToken('environment', 'x'), 3182041424)
  is('event_type:x', idToken('event_type', 'x'), 3733291675)
  is('source_location:x', idToken('source_location', 'x'), 169185282)
  is('trace_id:x', idToken('trace_id', 'x'), 1838691609)
  is('span_id:x', idToken('span_id', 'x'), 2135066206)
  is('request_id:x', idToken('request_id', 'x'), 3024757868)
  is('workspace_id:x', idToken('workspace_id', 'x'), 151527405)
  is('project_id:x', idToken('project_id', 'x'), 3457719847)
  is('user_id:x', idToken('user_id', 'x'), 2356606514)
  is('version:x', idToken('version', 'x'), 2879578604)
  is('instance_id:x', idToken('instance_id', 'x'), 1599661261)
  is('the word x', wordToken('x'), 762491029)
  is('the value x y', valueTokens('x y')[0]!, 2659000935)

  it('of one word are that word', () => {
    expect(valueTokens('(Été)')).toEqual([wordToken('été')])
  })

  it('of another value are the value as stored and its words', () => {
    expect(valueTokens('A.b').slice(1)).toEqual([wordToken('a'), wordToken('b')])
    expect(valueTokens('A.b')[0]).not.toEqual(valueTokens('a.b')[0])
    expect(valueTokens('--')).toHaveLength(1)
  })
})

describe('tokensOf: ids', () => {
  const spec: RecordSpec = { message: 'api', text: { service: 'api', user_id: '', trace_id: 'AB' } }
  const finds = (column: Parameters<typeof idToken>[0], value: string, is: boolean) =>
    it(`${is ? 'hold' : 'lack'} ${column}:${value}`, async () => {
      const { ids } = await filtersOf(batchOf([{}, spec, spec]))
      expect(ids(idToken(column, value))).toBe(is)
    })

  finds('service', 'api', true)
  finds('user_id', '', true)
  finds('trace_id', 'AB', true)
  finds('trace_id', 'ab', false)
  finds('environment', 'api', false)
})

describe('tokensOf: words', () => {
  const spec: RecordSpec = {
    message: 'From-Message ÉTÉ 接続',
    text: { source_location: 'src/from-column.ts:7' },
    attributes: { key_name: 'from.Attribute', number: 12345, bool: true },
    rest: '{"rest_key":"from rest","list":["from list",{"in_key":["from/deep"]}],"n":777}',
  }
  const batch = () => {
    const batch = batchOf([spec])
    batch.attributes.push({
      key: 'j',
      type: 'json',
      rows: [0],
      values: ['["from-json", 88, null]'],
    })
    batch.body[0] = '{"b":"from body"}'
    batch.otel[0] = '{"event_name":"from otel"}'
    batch.severityText[0] = 'from severity'
    batch.resources = ['{"r":"from-unused"}', '{"r":"from resource"}']
    batch.resource[0] = 1
    batch.scopes = ['{"name":"from scope"}']
    return batch
  }
  const holds = (name: string, tokens: Hash[], is = true) =>
    it(`${is ? 'hold' : 'lack'} ${name}`, async () => {
      const { words } = await filtersOf(batch())
      expect(tokens.map(words)).toEqual(tokens.map(() => is))
    })

  holds('the words of the message', ['from', 'message', 'été', '接', '続'].map(wordToken))
  holds('a column', valueTokens('src/from-column.ts:7'))
  holds('a text attribute', valueTokens('from.Attribute'))
  holds('an attribute without a column', valueTokens('from rest'))
  holds('an element of a list', valueTokens('from list'))
  holds('what lies deeper', valueTokens('from/deep'))
  holds('a string of a JSON attribute', valueTokens('from-json'))
  holds('the body', valueTokens('from body'))
  holds('otel', valueTokens('from otel'))
  holds('the text of the severity', valueTokens('from severity'))
  holds('the resource', valueTokens('from resource'))
  holds('the scope', valueTokens('from scope'))

  holds('a resource of no record', valueTokens('from-unused').slice(-1), false)
  holds('the message whole', valueTokens('From-Message ÉTÉ 接続').slice(0, 1), false)
  holds('keys', ['key_name', 'rest_key', 'in_key', 'b'].map(wordToken), false)
  holds('numbers and booleans', ['12345', '777', '88', 'true', 'null'].map(wordToken), false)

  it('are those of wordsOf, whatever the text', async () => {
    const random = randomOf(5)
    const alphabet = [
      'a',
      'B',
      '7',
      '_',
      ' ',
      '-',
      'é',
      'e\u0301',
      'İ',
      '\u212a',
      '接',
      'ก',
      '😀',
      '٣',
    ]
    for (let round = 0; round < 500; round++) {
      const text = Array.from(
        { length: 1 + Math.floor(random() * 12) },
        () => alphabet[Math.floor(random() * (random() < 0.5 ? 6 : alphabet.length))],
      ).join('')
      const inMessage = await tokensOf([storedSegment(batchOf([{ message: text }]), 1, 0)], noPause)
      const expected = new Set(
        [...wordsOf(text), 'svc'].map(wordToken).map(({ a, b }) => `${a} ${b}`),
      )
      const found = new Set<string>()
      inMessage.words.forEach(({ a, b }) => {
        found.add(`${a} ${b}`)
      })
      expect(found, JSON.stringify(text)).toEqual(expected)
    }
  })

  it('pause in long work', async () => {
    let pauses = 0
    const count = async () => {
      pauses++
    }
    const specs = Array.from({ length: 40 }, (_, i) => ({ message: `${i} `.repeat(20_000) }))
    await tokensOf([storedSegment(batchOf([{}]), 1, 0)], count)
    const least = pauses
    pauses = 0
    await tokensOf([storedSegment(batchOf(specs), 1, 0)], count)
    expect(pauses).toBeGreaterThan(least + 3)
  })
})

describe('stringsIn', () => {
  const finds = (json: string, strings: string[]) =>
    it(json, () => expect([...stringsIn(JSON.parse(json))]).toEqual(strings))

  finds('"a"', ['a'])
  finds('[1, true, null]', [])
  finds('{"a": ["b", {"c": "d"}], "__proto__": {"e": "f"}}', ['b', 'd', 'f'])
})
