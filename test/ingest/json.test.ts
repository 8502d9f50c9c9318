import { describe, expect, it } from 'vitest'
import { parseJson } from '../../src/ingest/json.ts'
import { JSON_DEPTH_MAX, JSON_VALUES_MAX } from '../../src/limits.ts'

const bytesOf = (text: string) => new TextEncoder().encode(text)

describe('parseJson', () => {
  const yields = (text: string, value: unknown) =>
    it(text.slice(0, 60), () => expect(parseJson(bytesOf(text))).toEqual({ ok: true, data: value }))
  const refuses = (text: string, message: string, offset: number) =>
    it(`not ${text.slice(0, 60)}`, () => {
      const error = { code: 'bad_json', message, details: { offset } }
      expect(parseJson(bytesOf(text))).toMatchObject({ ok: false, error })
    })

  yields('{"a":[1,-2.5,1e3,true,null,"x"]}', { a: [1, -2.5, 1000, true, null, 'x'] })
  yields(' [ ] ', [])
  yields('\ufeff{}', {})
  yields('"\ufeffx"', '\ufeffx')
  yields('9007199254740991', 9007199254740991)
  yields('9007199254740992', '9007199254740992')
  yields('-9007199254740991', -9007199254740991)
  yields('[-9223372036854775808,1720000000123456789]', [
    '-9223372036854775808',
    '1720000000123456789',
  ])
  yields('{"ü":12345678901234567890}', { ü: '12345678901234567890' })
  yields('12345678901234567.5', 12345678901234568)
  yields('12345678901234567e0', 12345678901234568)
  yields(
    '"12345678901234567890 \\" 12345678901234567890"',
    '12345678901234567890 " 12345678901234567890',
  )
  yields('[1234567890123456,"\\\\",12345678901234567]', [
    1234567890123456,
    '\\',
    '12345678901234567',
  ])

  refuses('', 'JSON ends too early at byte 0', 0)
  refuses('{"a":', 'JSON ends too early at byte 5', 5)
  refuses('["a', 'JSON ends too early at byte 3', 3)
  refuses("{'a':1}", 'not JSON at byte 1', 1)
  refuses('[1,]', 'not JSON at byte 3', 3)
  refuses('[NaN]', 'not JSON at byte 1', 1)
  refuses('[nul]', 'not JSON at byte 4', 4)
  refuses('{} x', 'not JSON at byte 3', 3)
  refuses('{"ü" 1}', 'not JSON at byte 6', 6)
  refuses('\ufeff[x]', 'not JSON at byte 4', 4)
  refuses('[01]', 'not JSON at byte 1', 1)
  refuses('[012345678901234567]', 'not JSON at byte 1', 1)
  refuses('{12345678901234567:1}', 'not JSON at byte 1', 1)
  refuses('["\u0001"]', 'not JSON at byte 2', 2)
  refuses('["\\x"]', 'not JSON at byte 3', 3)

  it('keeps __proto__ as a member', () => {
    const parsed = parseJson(bytesOf('{"__proto__":{"a":1}}'))
    expect(parsed.ok && Object.keys(parsed.data as object)).toEqual(['__proto__'])
  })

  it('reads what is no UTF-8 as U+FFFD', () => {
    const bytes = Uint8Array.of(34, 0x61, 0xff, 34)
    expect(parseJson(bytes)).toEqual({ ok: true, data: 'a\ufffd' })
  })

  it('takes the deepest nesting, and refuses one more with the bound', () => {
    const nested = (depth: number) => bytesOf('['.repeat(depth) + ']'.repeat(depth))
    expect(parseJson(nested(JSON_DEPTH_MAX)).ok).toBe(true)
    const error = { code: 'bad_json', message: 'more than 160 brackets open at byte 160' }
    expect(parseJson(nested(JSON_DEPTH_MAX + 1))).toMatchObject({ ok: false, error })
    expect(parseJson(bytesOf('['.repeat(100_000)))).toMatchObject({ ok: false, error })
  })

  it('takes the most values, and refuses one more', () => {
    // The array is a value too.
    const most = bytesOf(`[${'{},'.repeat(JSON_VALUES_MAX - 2)}{}]`)
    expect(parseJson(most).ok).toBe(true)
    const more = bytesOf(`[${'{},'.repeat(JSON_VALUES_MAX - 1)}{}]`)
    const error = { code: 'too_large', message: 'more than 1000000 JSON values in one body' }
    expect(parseJson(more)).toMatchObject({ ok: false, error })
  })
})
