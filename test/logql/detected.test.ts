// Fields that lines have: where they are found, and what their values look like.

import { describe, expect, it } from 'vitest'
import { type DetectedField, FieldDetector } from '../../src/logql/detected.ts'

interface Given {
  line: string
  stream?: Record<string, string>
  metadata?: Record<string, string>
  parsed?: Record<string, string>
}

const mapOf = (labels: Record<string, string> = {}) => new Map(Object.entries(labels))

function detectorOf(entries: Given[], fieldsMax = 100): FieldDetector {
  const detector = FieldDetector.create(fieldsMax)
  if (!detector.ok) throw new Error(detector.error.message)
  for (const { line, stream, metadata, parsed } of entries) {
    const kinds = { stream: mapOf(stream), metadata: mapOf(metadata), parsed: mapOf(parsed) }
    detector.data.add({ line, ...kinds, value: 0 })
  }
  return detector.data
}

describe('fields', () => {
  const finds = (name: string, entries: Given[], fields: DetectedField[]) =>
    it(name, () => expect(detectorOf(entries).fields()).toEqual(fields))

  finds(
    'of metadata need no parser',
    [{ line: 'x', metadata: { a: 'b' } }],
    [{ label: 'a', type: 'string', cardinality: 1, parsers: null }],
  )
  finds(
    'of JSON have the keys that lead there',
    [{ line: '{"a b":{"c":1},"a_b_d":2}' }, { line: '{"a b":{"c":3}}' }],
    [
      { label: 'a_b_c', type: 'int', cardinality: 2, parsers: ['json'], jsonPath: ['a b', 'c'] },
      { label: 'a_b_d', type: 'int', cardinality: 1, parsers: ['json'], jsonPath: ['a_b_d'] },
    ],
  )
  finds(
    'of logfmt have their keys',
    [{ line: 'a=1 b="two words"' }],
    [
      { label: 'a', type: 'int', cardinality: 1, parsers: ['logfmt'] },
      { label: 'b', type: 'string', cardinality: 1, parsers: ['logfmt'] },
    ],
  )
  finds('of a line of words are none', [{ line: 'hello, world' }], [])
  finds(
    'that the stream has as well are extracted ones',
    [{ line: '{"level":"x"}', stream: { level: 'info' } }],
    [
      {
        label: 'level_extracted',
        type: 'string',
        cardinality: 1,
        parsers: ['json'],
        jsonPath: ['level'],
      },
    ],
  )
  finds(
    'of both parsers name both',
    [{ line: '{"a":1}' }, { line: 'a=2' }],
    [{ label: 'a', type: 'int', cardinality: 2, parsers: ['json', 'logfmt'], jsonPath: ['a'] }],
  )
  finds(
    'that stages made are there, errors are not',
    [{ line: 'no', parsed: { made: '5m', __error__: 'JSONParserErr' } }],
    [{ label: 'made', type: 'duration', cardinality: 1, parsers: ['logfmt'] }],
  )

  it('are so many at most, and all their values are known', () => {
    const detector = detectorOf([{ line: 'a=1 b=2' }, { line: 'a=3 c=4' }], 2)
    expect(detector.fields().map(({ label }) => label)).toEqual(['a', 'b'])
    expect(detector.values('a')).toEqual(['1', '3'])
    expect(detector.values('c')).toEqual([])
  })

  it('of a line that is deep are found without end', () => {
    const deep = `${'{"a":'.repeat(3000)}1${'}'.repeat(3000)}`
    expect(() => detectorOf([{ line: deep }]).fields()).not.toThrow()
  })
})

describe('the type of a value', () => {
  const isOf = (type: string, ...values: string[]) =>
    it(type, () => {
      for (const value of values) {
        const [field] = detectorOf([{ line: '-', metadata: { value } }]).fields()
        expect(field?.type, value).toBe(type)
      }
    })

  isOf('int', '0', '-12', '+5', '9223372036854775807')
  isOf('float', '1.5', '.5', '1e9', 'NaN', '-Inf', '9223372036854775808')
  isOf('boolean', 'true', 'False', 't')
  isOf('duration', '1.5s', '12ms', '1h30m', '-2us')
  isOf('bytes', '5 MB', '1.5GiB', '20k', '1,024')
  isOf('string', 'x', '5 apples', '1d', '0x10', 'yes', '10.0.0.1')
})
