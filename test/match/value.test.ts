// Where a field's name leads, and which values pass.

import { describe, expect, it } from 'vitest'
import { follow, PASSES, pathOf, valueCheck } from '../../src/match/value.ts'
import type { ValueTest } from '../../src/query/filter.ts'

describe('follow', () => {
  const leads = (name: string, json: string, to: string | null) =>
    it(`${name} in ${json}`, () => {
      const path = pathOf(name)
      const value = JSON.parse(json)
      const state = (test: ValueTest) => follow(value, path, valueCheck(test))
      expect(state({ is: 'exists' })).toBe(to === null ? 0 : PASSES)
      if (to !== null) expect(state({ is: 'equal', value: to })).toBe(PASSES)
      expect(state({ is: 'equal', value: 'another' })).toBe(to === null ? 0 : 1)
    })

  leads('a', '{"a":1}', '1')
  leads('a', '{"a":null}', 'null')
  leads('a.b', '{"a":{"b":1}}', '1')
  leads('a.b', '{"a.b":1,"a":{"b":2}}', '1')
  leads('a.b.c', '{"a.b":{"c":1},"a":{"b":{"c":2}}}', '1')
  leads('a.b.c', '{"a.b":{"x":1},"a":{"b":{"c":2}}}', null)
  leads('a.b.c', '{"a.b":5,"a":{"b":{"c":2}}}', '2')
  leads('a.b.c', '{"a":{"b.c":1}}', '1')
  leads('a.b', '{"a":[{"b":1},{"b":2},5,{}]}', '2')
  leads('a.b', '{"a":[[{"b":1}]]}', '1')
  leads('a.b', '{"a":"x"}', null)
  leads('a.b', '{"a":[]}', null)
  leads('a', '[{"a":1}]', '1')
  leads('a', '"a"', null)
  leads('a', 'null', null)
  leads('__proto__.x', '{"__proto__":{"x":1}}', '1')
  leads('toString', '{}', null)
  leads('a..b', '{"a.":{"b":1}}', '1')
  leads('.a', '{".a":1}', '1')
  leads(Array(40).fill('a').join('.'), `{"${Array(40).fill('a').join('.')}":1}`, '1')

  it('takes time in proportion to what it is given, however names and maps repeat', () => {
    const name = Array(32).fill('a').join('.')
    let value: unknown = { b: 1 }
    for (let i = 0; i < 32; i++) {
      value = Object.fromEntries(
        Array.from({ length: 32 }, (_, j) => [
          Array(j + 1)
            .fill('a')
            .join('.'),
          value,
        ]),
      )
    }
    const start = performance.now()
    follow(value, pathOf(name), valueCheck({ is: 'exists' }))
    expect(performance.now() - start).toBeLessThan(50)
  })
})

describe('valueCheck', () => {
  const passes = (test: ValueTest, yes: unknown[], no: unknown[]) =>
    it(JSON.stringify(test), () => {
      const check = valueCheck(test)
      for (const value of [...yes, ...no]) {
        const is = yes.includes(value)
        expect(check.json(value), JSON.stringify(value)).toBe(is)
        if (typeof value === 'string') expect(check.text(value), value).toBe(is)
        if (typeof value === 'number') expect(check.number(value), String(value)).toBe(is)
      }
    })

  passes({ is: 'equal', value: '200' }, [200, '200', ['x', 200]], ['200.0', 2000, [], {}, null])
  passes({ is: 'equal', value: 'true' }, [true, 'true', [true]], [false, 'TRUE'])
  passes({ is: 'equal', value: '["x"]' }, [['x'], '["x"]', [['x']]], [['x', 'y'], 'x'])
  passes({ is: 'equal', value: 'null' }, [null, 'null'], ['', 0])
  passes({ is: 'equal', value: '0' }, [0, -0, '0'], ['-0', ''])
  passes({ is: 'glob', parts: ['/api/', ''] }, ['/api/', '/api/x'], ['/API/x', 'x/api/', {}])
  passes({ is: 'glob', parts: ['ab', 'ba'] }, ['abba', 'abxba'], ['aba', 'ab', 'abbax'])
  passes({ is: 'glob', parts: ['a', 'b', 'b'] }, ['abb', 'axbxb'], ['ab', 'axb'])
  passes({ is: 'glob', parts: ['2', ''] }, [200, [5, 21]], [12, true])
  passes({ is: 'regex', source: '^\\d+$' }, [12, '12', ['a', 1]], ['a1', -1, { a: 1 }])
  const inside = (value: number) => ({ value, isInside: true })
  passes(
    { is: 'range', from: inside(5), to: { value: 9, isInside: false } },
    [5, '5', '5.0', '8e0', '+6', [100, 7]],
    [4, 9, '9', '', ' 5', '5 ', '0x6', 'NaN', '5ms', true, null, {}, [], `${'0'.repeat(80)}6`],
  )
  passes({ is: 'range', from: null, to: null }, [0, '1e999', -5], ['x', true, null])
  passes({ is: 'exists' }, [0, '', null, [], {}], [])
})
