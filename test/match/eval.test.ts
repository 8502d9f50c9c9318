// What an evaluation reads and decides: patterns spare messages, and the dear comes last. Whether it
// lets through what it should is test/fuzz/eval.test.ts.

import { describe, expect, it } from 'vitest'
import { patternId, patternOf } from '../../src/block/pattern.ts'
import { type StoredBatch, storedSegment } from '../../src/block/stored.ts'
import { Evaluator, neededOf } from '../../src/match/eval.ts'
import { bothNeeded } from '../../src/match/scan.ts'
import { parseSearch } from '../../src/query/search.ts'
import { batchOf } from '../batches.ts'

const filterOf = (text: string) => {
  const filter = parseSearch(text)
  if (!filter.ok) throw new Error(filter.error.message)
  return filter.data
}

const MESSAGES = ['user 17 in', 'disk full', 'user 18 in', 'ready']
const LEVELS = [2, 4, 4, 2]

/** Messages of which only those of `shown` may be looked at; some have no pattern. */
function storedOf({ lacks = [] as number[], shown = [] as number[] } = {}): StoredBatch {
  const specs = MESSAGES.map((message, row) => ({ message, level: LEVELS[row]! }))
  const stored = storedSegment(batchOf(specs), 1, 0)
  stored.patterns = MESSAGES.map((text, row) => (lacks.includes(row) ? null : patternOf(text)))
  stored.batch.message = new Proxy(MESSAGES, {
    get: (messages, row) => {
      if (shown.includes(Number(row))) return Reflect.get(messages, row)
      throw new Error(`message ${String(row)} was read`)
    },
  })
  return stored
}

describe('an evaluator', () => {
  const sieves = (text: string, sure: number[], look: number[], lacks: number[] = []) =>
    it(`${text}: sure of ${sure.join(' ') || 'none'}, looks at ${look.join(' ') || 'none'}`, () => {
      const evaluator = new Evaluator(filterOf(text))
      expect(evaluator.sieve(storedOf({ lacks }), [0, 1, 2, 3])).toEqual({ sure, look })
    })

  sieves('user', [0, 2], [])
  sieves('user', [0], [2], [2])
  sieves('-user', [1, 3], [])
  sieves('-user', [1, 3], [2], [2])
  sieves('17', [], [0, 2])
  sieves('-17', [1, 3], [0, 2])
  sieves('user 17', [], [0, 2])
  sieves('17 OR disk', [1], [0, 2])
  sieves('17 OR user', [0, 2], [])
  sieves('17 OR level:error', [1, 2], [0])
  sieves('17 level:error', [], [2])
  sieves('-(17 level:error)', [0, 1, 3], [2])
  sieves('17 nothing', [], [])
  sieves('nothing', [], [1, 3], [1, 3])
  sieves('use*', [], [0, 2])
  sieves('dis*', [1], [0, 2])
  sieves('message:/^ready$/', [3], [0, 2])
  sieves('user use*', [], [0, 2])
  sieves('any:user', [0, 2], [])
  sieves('any:17', [], [0, 2])
  sieves('any:svc', [0, 1, 2, 3], [])
  sieves(`pattern:${patternId('user <_> in')}`, [0, 2], [])
  sieves(`pattern:${patternId('user <_> in')}`, [0], [2], [2])
  sieves('*', [0, 1, 2, 3], [])
  sieves('-*', [], [])

  const reads = (text: string, shown: number[], passing: number[]) =>
    it(`${text}: reads ${shown.join(' ') || 'no message'}`, () =>
      expect(new Evaluator(filterOf(text)).rows(storedOf({ shown }), [0, 1, 2, 3])).toEqual(
        passing,
      ))

  reads('user', [], [0, 2])
  reads('17 level:error', [2], [])
  reads('(17 OR 18) level:error', [2], [2])
  reads('17 OR user', [], [0, 2])
  reads('-(17 level:error)', [2], [0, 1, 2, 3])
  reads('use* 17', [0, 2], [0])

  it('counts what a character of a message costs', () => {
    const costOf = (text: string) => new Evaluator(filterOf(text)).lookCost
    expect(costOf('level:warn')).toBe(0)
    expect(costOf('a b "c d"')).toBe(1)
    expect(costOf('a* b')).toBe(2)
    expect(costOf('message:/.{100}/')).toBeGreaterThan(10)
  })
})

describe('neededOf', () => {
  const needs = (text: string, columns: string[], attributes: string[] | 'all' = []) =>
    it(text, () => {
      const needed = neededOf(filterOf(text))
      expect([...needed.columns].sort()).toEqual(columns)
      expect(needed.attributes).toEqual(attributes)
    })

  needs('*', [])
  needs('level:warn -level:error', ['level'])
  needs('service:a OR trace_id:*', ['service', 'trace_id'])
  needs('severity_number:>=17 severity_text:x', ['severity'])
  needs('attr.code:200 attr.code:>5 a.b:x', ['resource'], ['code', 'a.b'])
  needs('resource.x:1 scope.name:y body.z:*', ['body', 'resource', 'scope'])
  needs('a "b c" -message:/x/', ['pattern'])
  needs('pattern:0123456789abcdef', ['body', 'pattern'])
  needs(
    'any:x',
    [
      ...'body environment event_type instance_id otel pattern project_id request_id resource scope service severity source_location span_id trace_id user_id version workspace_id'.split(
        ' ',
      ),
    ],
    'all',
  )

  it('of two is what either needs', () => {
    const both = bothNeeded(neededOf(filterOf('attr.a:1')), neededOf(filterOf('any:x')))
    expect(both.attributes).toBe('all')
    expect(both.columns.has('body')).toBe(true)
  })
})
