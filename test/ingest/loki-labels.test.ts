// The labels of a stream as a text: what Prometheus and Go write, and what is none.

import { describe, expect, it } from 'vitest'
import { readLabels } from '../../src/ingest/loki-labels.ts'

function labelsOf(text: string): [string, string][] {
  const labels: [string, string][] = []
  readLabels(text, (name, value) => labels.push([name, value]))
  return labels
}

describe('labels', () => {
  const reads = (text: string, ...labels: [string, string][]) =>
    it(text, () => expect(labelsOf(text)).toEqual(labels))

  reads('{}')
  reads(' { } ')
  reads('{a="b"}', ['a', 'b'])
  reads('{a="b", c="d"}', ['a', 'b'], ['c', 'd'])
  reads('{a="b",c="d",}', ['a', 'b'], ['c', 'd'])
  reads('{ a = "b" , c = "d" }', ['a', 'b'], ['c', 'd'])
  reads("{a='b\"c'}", ['a', 'b"c'])
  reads('{a=`b\\n"`}', ['a', 'b\\n"'])
  reads('metric{a="b"}', ['a', 'b'])
  reads('{"service.name"="x", b="y"}', ['service.name', 'x'], ['b', 'y'])
  reads('{service.name="x"}', ['service.name', 'x'])
  reads('{a="", b="c"}', ['b', 'c'])
  reads('{__proto__="x"}', ['__proto__', 'x'])
  reads('{a="}", b="{,="}', ['a', '}'], ['b', '{,='])
  reads('{a="zażółć 🚀"}', ['a', 'zażółć 🚀'])
  reads(String.raw`{a="\"\\\n\t\r\a\b\f\v"}`, ['a', '"\\\n\t\r\u0007\b\f\v'])
  reads(String.raw`{a="\u00e9\U0001F680"}`, ['a', 'é🚀'])
  reads(String.raw`{a="\xc3\xa9 \303\251 \x41"}`, ['a', 'é é A'])
  reads(String.raw`{a="\xff"}`, ['a', '\ufffd'])
  reads(String.raw`{a="\ud800 \UFFFFFFFF"}`, ['a', '\ufffd \ufffd'])
  reads(String.raw`{a="\q"}`, ['a', '\\q'])
})

describe('no labels', () => {
  const refuses = (text: string, message: string) =>
    it(text, () => {
      expect(() => labelsOf(text)).toThrow(`${message} of ${JSON.stringify(text)}`)
    })

  refuses('', '{ is expected at character 0')
  refuses('a', '{ is expected at character 1')
  refuses('{', 'a name is expected at character 1')
  refuses('{a}', '= is expected at character 2')
  refuses('{a=b}', 'a string in quotes is expected at character 3')
  refuses('{a=1}', 'a string in quotes is expected at character 3')
  refuses('{a=~"b"}', 'a string in quotes is expected at character 3')
  refuses('{a!="b"}', '= is expected at character 2')
  refuses('{a="b', '" is expected at character 5')
  refuses('{a="b\\"', '" is expected at character 7')
  refuses('{a="b" c="d"}', ', is expected at character 7')
  refuses('{a="b"} x', 'the end is expected at character 8')
  refuses('{="b"}', 'a name is expected at character 1')

  it('a long one is shown by its start', () => {
    expect(() => labelsOf(`{a="${'x'.repeat(100)}`)).toThrow(/ of "\{a=\\"x{60}…"$/)
  })
})
