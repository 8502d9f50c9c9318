import { describe, expect, it } from 'vitest'
import { wordsOf } from '../src/words.ts'

describe('wordsOf', () => {
  const yields = (text: string, ...words: string[]) =>
    it(JSON.stringify(text), () => expect(wordsOf(text)).toEqual(words))

  yields('')
  yields(' \t.,-')
  yields('Upstream timeout', 'upstream', 'timeout')
  yields('user_id=42;GET /api/v1?x', 'user_id', '42', 'get', 'api', 'v1', 'x')
  yields('__init__ _', '__init__', '_')
  yields("don't", 'don', 't')
  yields('last', 'last')
  yields('ÄRGER über Straße', 'ärger', 'über', 'straße')
  yields('cafe\u0301', 'café')
  yields('e\u0301tude Z\u0301', 'étude', 'ź')
  yields('İstanbul', 'i\u0307stanbul')
  yields('a²b ½', 'a²b', '½')
  yields('日本語', '日', '本', '語')
  yields('東京tower2', '東', '京', 'tower2')
  yields('ひらカナ', 'ひ', 'ら', 'カ', 'ナ')
  yields('ไทย', 'ไ', 'ท', 'ย')
  yields('한국어 로그', '한국어', '로그')
  yields('ошибка СЕТИ', 'ошибка', 'сети')
  yields('🙂 ok', 'ok')
  yields('𠮷x', '𠮷', 'x')
})
