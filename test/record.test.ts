import { describe, expect, it } from 'vitest'
import { emptyBatch, LEVELS, levelOf, levelOfWord, TEXT_COLUMNS } from '../src/record.ts'

describe('levelOf', () => {
  const yields = (number: number, text: string | null, level: string) =>
    it(`${number} ${text}`, () => expect(LEVELS[levelOf(number, text)]).toBe(level))

  yields(1, null, 'trace')
  yields(4, null, 'trace')
  yields(5, null, 'debug')
  yields(9, null, 'info')
  yields(12, null, 'info')
  yields(13, 'Error', 'warn')
  yields(17, null, 'error')
  yields(21, null, 'fatal')
  yields(24, null, 'fatal')
  yields(0, 'ERROR', 'error')
  yields(25, 'warning', 'warn')
  yields(-1, ' Crit ', 'fatal')
  yields(0, 'NOTE', 'info')
  yields(0, null, 'info')
})

describe('levelOfWord', () => {
  const names = (level: string, ...words: string[]) =>
    it(level, () => {
      for (const word of words) expect(LEVELS[levelOfWord(word)!]).toBe(level)
    })
  names('trace', 'trace', 'SILLY', 'Finest', 'TRACE3')
  names('debug', 'debug', 'verbose', 'fine', 'Debug2')
  names('info', 'info', 'Information', 'informational', 'log', 'NOTICE', 'http')
  names('warn', 'warn', 'WARNING', 'warn4')
  names('error', 'error', 'Err')
  names('fatal', 'fatal', 'panic', 'critical', 'crit', 'alert', 'emerg', 'emergency')
  it('no other word', () => expect(levelOfWord('constructor')).toBeUndefined())
})

it('an empty batch has every text column', () => {
  expect(Object.keys(emptyBatch(0).text)).toEqual([...TEXT_COLUMNS])
})
