// A record's attributes as labels: names, texts, and which of several wins.

import { describe, expect, it } from 'vitest'
import { labelWalk, leavesOf } from '../../src/match/label.ts'
import { labelName } from '../../src/record.ts'
import { batchOf, type RecordSpec } from '../batches.ts'

const named = (key: string, name: string) =>
  it(`${key} is ${name}`, () => expect(labelName(key)).toBe(name))

describe('a name', () => {
  named('é😀x', '__x')
  named('http.response.status_code', 'http_response_status_code')
  named('a-b/c d', 'a_b_c_d')
  named('1st', '_1st')
  named('é', '_')
})

const leaf = (value: unknown, expected: unknown) =>
  it(`of ${JSON.stringify(value)} is ${JSON.stringify(expected)}`, () => {
    expect(leavesOf({ x: value }).map(({ name, value }) => [name, value])).toEqual(expected)
  })

describe('a text', () => {
  leaf('a', [['x', 'a']])
  leaf(1.5, [['x', 1.5]])
  leaf(false, [['x', false]])
  leaf({ y: { z: 1 }, 'a.b': 2 }, [
    ['x_y_z', 1],
    ['x_a_b', 2],
  ])
  leaf(['a', 1, null], [['x', 'a,1,']])
  leaf([{ a: 1 }], [['x', '[{"a":1}]']])
  for (const nothing of ['', null, [], {}, ['']]) leaf(nothing, [])
})

describe('of several keys with one name', () => {
  const shown = (
    spec: RecordSpec,
    resource: object,
    scope: object,
    body: object | null,
    name = 'a_b',
  ) => {
    const batch = batchOf([spec])
    batch.resources = [JSON.stringify(resource)]
    batch.scopes = [JSON.stringify(scope)]
    batch.body = [body && JSON.stringify(body)]
    const found: unknown[] = []
    labelWalk(name)(batch, [0], (i, value) => found.push(i, value))
    return found
  }
  const wins = (what: string, found: unknown[], value: unknown) =>
    it(`${what} wins`, () => expect(found).toEqual([0, value]))

  const three = { a_b: 'under', 'a.b': 'dot', 'a-b': 'dash' }
  wins('the first path in order', shown({ attributes: three }, {}, {}, null), 'dash')
  wins('also in a resource', shown({}, three, {}, null), 'dash')
  wins('also in a scope', shown({}, {}, { attributes: three }, null), 'dash')
  wins(
    'a path before a key',
    shown({ rest: '{"a":{"b":"path"},"a_b":"key"}' }, {}, {}, null),
    'path',
  )
  wins(
    'a column of its own or not',
    shown({ attributes: { a_b: 'column' }, rest: '{"a.b":"rest"}' }, {}, {}, null),
    'rest',
  )
  wins('an attribute', shown({ attributes: { a_b: 1 } }, { 'a.b': 2 }, {}, null), 1)
  wins('a resource', shown({}, { a_b: 2 }, { attributes: { 'a.b': 3 } }, null), 2)
  const scope = { name: 'lib', version: '1', attributes: { b: 3 } }
  wins('a scope', shown({}, {}, scope, { b: 4 }, 'b'), 3)
  wins('the name of a scope', shown({}, {}, scope, null, 'scope_name'), 'lib')
  wins('a body', shown({}, {}, {}, { b: { c: 4 } }, 'body_b_c'), 4)
  it('is none where what there is is empty', () => {
    expect(shown({ attributes: { a_b: '' } }, {}, {}, null)).toEqual([])
  })
})
