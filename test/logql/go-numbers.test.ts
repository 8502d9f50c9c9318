// Texts as strconv.ParseFloat of Go reads them, each as it answered.

import { describe, expect, it } from 'vitest'
import { parseGoFloat } from '../../src/logql/go-numbers.ts'

describe('parseGoFloat', () => {
  const reads = (text: string, value: number) =>
    it(`reads ${text}`, () => expect(parseGoFloat(text)).toBe(value))
  const refuses = (text: string) =>
    it(`refuses ${JSON.stringify(text)}`, () => expect(parseGoFloat(text)).toBe(null))

  reads('12', 12)
  reads('-1.5', -1.5)
  reads('+.5', 0.5)
  reads('5.', 5)
  reads('1e3', 1000)
  reads('1_000', 1000)
  reads('1_0.5_0', 10.5)
  reads('1e1_0', 1e10)
  reads('1_000e3', 1e6)
  reads('0x1p3', 8)
  reads('0x_1p3', 8)
  reads('NaN', Number.NaN)
  reads('+Inf', Number.POSITIVE_INFINITY)
  reads('-infinity', Number.NEGATIVE_INFINITY)

  refuses('')
  refuses('.')
  refuses('_1')
  refuses('1_')
  refuses('1__0')
  refuses('1._5')
  refuses('0x10')
  refuses('1e')
  refuses('1e999')
  refuses(' 1')
  refuses('12ms')
})
