// Trees as text: what Loki's own formatter writes for the same queries, and that all of it is read
// back as the same tree.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatLogql, prettyLogql } from '../../src/logql/format.ts'
import { parseLogql } from '../../src/logql/parse.ts'
import type {
  BinaryExpr,
  LabelFilter,
  LogQuery,
  LogqlQuery,
  Matcher,
  MetricExpr,
  Stage,
} from '../../src/logql/syntax.ts'

const formatted: { query: string; line: string; pretty: string }[] = JSON.parse(
  readFileSync(join(import.meta.dirname, '../fixtures/logql/formatted.json'), 'utf8'),
)

function parsed(text: string): LogqlQuery {
  const query = parseLogql(text)
  if (!query.ok) throw new Error(`${text}: ${query.error.message}`)
  return query.data
}

/** Loki puts two blanks where no group follows the labels to match on. */
const withOneBlank = (text: string) => text.replace(/\) {2}(?=\S)/g, ') ')

describe('as Loki formats', () => {
  it.each(formatted)('$query', ({ query, line, pretty }) => {
    expect(formatLogql(parsed(query))).toBe(withOneBlank(line))
    expect(prettyLogql(parsed(query))).toBe(withOneBlank(pretty))
  })
})

describe('unlike Loki, what is written is what was read', () => {
  const writes = (text: string, line: string) =>
    it(text, () => {
      expect(formatLogql(parsed(text))).toBe(line)
      expect(parsed(line)).toEqual(parsed(text))
    })

  writes('{a="b"} | x > 5MiB', '{a="b"} | x>5.0MiB')
  writes('{a="b"} | x > 123456B', '{a="b"} | x>123456B')
  writes('{a="b"} | x =~ "a.c"', '{a="b"} | x=~"a.c"')
  writes('vector(1e-9)', 'vector(0.000000001)')
  writes('vector(1e300)', `vector(1${'0'.repeat(300)})`)
  writes('vector(1) * on() vector(2)', '(vector(1.000000) * on () vector(2.000000))')
  writes(
    'vector(1) * ignoring() group_left vector(2)',
    '(vector(1.000000) * ignoring () group_left vector(2.000000))',
  )
  writes(
    'vector(1) / on(a) group_left() (vector(2) + vector(3))',
    '(vector(1.000000) / on (a) group_left () (vector(2.000000) + vector(3.000000)))',
  )
  writes('1e308 * 10 * vector(1)', '((1e308 * 10) * vector(1.000000))')

  it('keeps brackets over several lines', () => {
    const long = `rate({app="${'x'.repeat(80)}"}[5m])`
    const text = prettyLogql(parsed(`(${long} + ${long}) * (${long} - ${long}) ^ 2`))
    expect(text.split('\n').map((line) => line.replace(long, 'long'))).toEqual([
      '  (',
      '      long',
      '    +',
      '      long',
      '  )',
      '*',
      '    (',
      '        long',
      '      -',
      '        long',
      '    )',
      '  ^',
      '    2',
    ])
  })

  it('keeps alternatives of a line filter over several lines', () => {
    const text = `{a="b"} |= "${'x'.repeat(60)}" or "y" |~ "${'z'.repeat(60)}" | json`
    expect(prettyLogql(parsed(text)).split('\n')).toEqual([
      '{a="b"}',
      `  |= "${'x'.repeat(60)}" or "y"`,
      `  |~ "${'z'.repeat(60)}"`,
      '  | json',
    ])
  })
})

const name = fc.constantFrom('a', 'b_1', '_c', 'rate', 'ip', 'größe')
const value = fc.string({ unit: 'binary', maxLength: 5 })
const number = fc
  .oneof(fc.nat(1000), fc.double({ noNaN: true, noDefaultInfinity: true }))
  .map((n) => n + 0)
const matcher: fc.Arbitrary<Matcher> = fc.oneof(
  fc.record({ name, op: fc.constantFrom('=', '!='), value }),
  fc.record({
    name,
    op: fc.constantFrom('=~', '!~'),
    value: fc.constantFrom('a|b', '`.+\\d"', ''),
  }),
)
const comparison = fc.constantFrom('==', '!=', '>', '>=', '<', '<=')
const compare = (unit: 'number' | 'duration' | 'bytes', of: fc.Arbitrary<number>) =>
  fc.record({
    kind: fc.constant('compare' as const),
    name,
    op: comparison,
    value: of,
    unit: fc.constant(unit),
  })
const oneFilter: fc.Arbitrary<LabelFilter> = fc.oneof(
  fc.record({ kind: fc.constant('match' as const), matcher }),
  compare('number', number),
  compare('bytes', fc.nat(2 ** 40)),
  compare(
    'duration',
    fc.integer({ min: -1e9, max: 1e9 }).map((ms) => ms / 1000 + 0),
  ),
)
/** As they are read: a row to the left is one. */
const labelFilter: fc.Arbitrary<LabelFilter> = fc.letrec((tie) => ({
  filter: fc.oneof(
    { depthSize: 'small' },
    oneFilter,
    fc
      .tuple(
        fc.constantFrom('and' as const, 'or' as const),
        fc.array(tie('filter'), { minLength: 2, maxLength: 3 }),
      )
      .map(([kind, of]) => {
        const [first, ...rest] = of as [LabelFilter, ...LabelFilter[]]
        return first.kind === kind
          ? { kind, of: [...first.of, ...rest] }
          : { kind, of: [first, ...rest] }
      }),
  ),
})).filter as fc.Arbitrary<LabelFilter>
const some = <T>(of: fc.Arbitrary<T>) => fc.array(of, { minLength: 1, maxLength: 3 })
const fields = fc.array(fc.record({ label: name, expression: value }), { maxLength: 2 })
const stage: fc.Arbitrary<Stage> = fc.oneof(
  fc.record({
    kind: fc.constant('line' as const),
    op: fc.constantFrom('|=', '|>'),
    texts: some(value),
  }),
  fc.record({
    kind: fc.constant('line' as const),
    op: fc.constantFrom('!=', '!>'),
    texts: fc.tuple(value),
  }),
  fc.record({ kind: fc.constant('json' as const), fields }),
  fc.record({
    kind: fc.constant('logfmt' as const),
    fields,
    isStrict: fc.boolean(),
    keepsEmpty: fc.boolean(),
  }),
  fc.constant({ kind: 'regexp' as const, source: '(?P<x>"\\d`)' }),
  fc.record({ kind: fc.constant('pattern' as const), pattern: value }),
  fc.record({ kind: fc.constantFrom('unpack' as const, 'decolorize' as const) }),
  fc.record({ kind: fc.constant('label' as const), filter: labelFilter }),
  fc.record({ kind: fc.constant('line_format' as const), template: value }),
  fc.record({
    kind: fc.constant('label_format' as const),
    formats: some(
      fc.oneof(fc.record({ to: name, label: name }), fc.record({ to: name, template: value })),
    ),
  }),
  fc.record({
    kind: fc.constantFrom('keep' as const, 'drop' as const),
    labels: some(fc.oneof(name, matcher)),
  }),
)
const logQuery: fc.Arbitrary<LogQuery> = fc.record({
  kind: fc.constant('log' as const),
  matchers: fc
    .array(matcher, { maxLength: 2 })
    .map((more) => [{ name: 'app', op: '=' as const, value: 'web' }, ...more]),
  stages: fc.array(stage, { maxLength: 4 }).filter((all) => !all.some(isMatcherWithNext)),
})
/** `keep a` and `!= "b"` behind it have no form of their own: Loki reads a matcher there, too. */
function isMatcherWithNext(one: Stage, i: number, all: Stage[]): boolean {
  const next = all[i + 1]
  const isBare =
    (one.kind === 'keep' || one.kind === 'drop') && typeof one.labels.at(-1) === 'string'
  return isBare && next?.kind === 'line' && next.op === '!='
}
const grouping = fc.record({ isWithout: fc.boolean(), labels: fc.array(name, { maxLength: 2 }) })
const rangeOf = {
  kind: fc.constant('range' as const),
  query: logQuery,
  rangeMs: fc.integer({ min: 1, max: 2 ** 40 }),
  offsetMs: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }).map((ms) => ms + 0),
}
const unwrap = fc.record({
  label: name,
  conversion: fc.constantFrom(
    null,
    'duration' as const,
    'duration_seconds' as const,
    'bytes' as const,
  ),
  filters: fc.array(labelFilter, { maxLength: 2 }),
})
const metric: fc.Arbitrary<MetricExpr> = fc.letrec((tie) => {
  const of = tie('expr') as fc.Arbitrary<MetricExpr>
  const vector = of.filter(({ kind }) => kind !== 'number')
  const binary = {
    kind: fc.constant('binary' as const),
    isBool: fc.boolean(),
    matching: fc.option(
      fc.record({ isIgnoring: fc.boolean(), labels: fc.array(name, { maxLength: 2 }) }),
    ),
    group: fc.option(
      fc.record({
        side: fc.constantFrom('left' as const, 'right' as const),
        labels: fc.array(name, { maxLength: 2 }),
      }),
    ),
  }
  return {
    expr: fc.oneof(
      { depthSize: 'small' },
      fc.record({ kind: fc.constant('vector' as const), value: number.map(Math.abs) }),
      fc.record({
        kind: fc.constant('number' as const),
        value: fc.oneof(number, fc.constantFrom(Number.NaN, Infinity, -Infinity)),
      }),
      fc.record({
        ...rangeOf,
        function: fc.constantFrom('rate' as const, 'bytes_rate' as const),
        parameter: fc.constant(null),
        unwrap: fc.constant(null),
        grouping: fc.constant(null),
      }),
      fc.record({
        ...rangeOf,
        function: fc.constant('quantile_over_time' as const),
        parameter: fc.double({ min: 0, max: 1, noNaN: true }).map((n) => n + 0),
        unwrap,
        grouping: fc.option(grouping),
      }),
      fc.record({
        kind: fc.constant('aggregation' as const),
        function: fc.constantFrom('sum' as const, 'stdvar' as const),
        parameter: fc.constant(null),
        of,
        grouping: fc.option(
          grouping.filter(({ isWithout, labels }) => isWithout || labels.length > 0),
        ),
      }),
      fc.record({
        kind: fc.constant('aggregation' as const),
        function: fc.constant('topk' as const),
        parameter: fc.integer({ min: 1, max: 9 }),
        of,
        grouping: fc.constant(null),
      }),
      fc.record({
        kind: fc.constant('label_replace' as const),
        of,
        to: value,
        replacement: value,
        from: value,
        regex: fc.constant('(a"|`)'),
      }),
      fc
        .record({
          ...binary,
          op: fc.constantFrom('+', '/', '^', '%', '==', '>=', 'and', 'or', 'unless'),
          left: vector,
          right: vector,
        })
        // A group without what is matched on has no form.
        .map((one) => ({ ...one, group: one.matching && one.group }) as BinaryExpr),
      fc
        .record({ ...binary, op: fc.constantFrom('-', '*', '<', '!='), left: of, right: vector })
        .map((one) => ({ ...one, group: one.matching && one.group }) as BinaryExpr),
    ),
  }
}).expr as fc.Arbitrary<MetricExpr>

describe('every tree', () => {
  it('is read back from one line and from several', () => {
    fc.assert(
      fc.property(fc.oneof(logQuery, metric), (query) => {
        expect(parsed(formatLogql(query))).toEqual(query)
        expect(parsed(prettyLogql(query))).toEqual(query)
      }),
      { numRuns: 1000 },
    )
  })
})
