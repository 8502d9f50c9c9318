// LogQL to tree: what is read, what is refused and with which words, and that no text takes long.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatLogql } from '../../src/logql/format.ts'
import { parseLogql, parseMatchers } from '../../src/logql/parse.ts'
import type { LabelFilter, LogqlQuery, RangeAggregation, Stage } from '../../src/logql/syntax.ts'

const fixture = (name: string) =>
  JSON.parse(readFileSync(join(import.meta.dirname, '../fixtures/logql', name), 'utf8'))

function parsed(text: string): LogqlQuery {
  const query = parseLogql(text)
  if (!query.ok) throw new Error(`${text}: ${query.error.message}`)
  return query.data
}

const APP = { name: 'a', op: '=', value: 'b' }

describe('a log query', () => {
  const stages = (text: string): Stage[] => {
    const query = parsed(`{a="b"} ${text}`)
    return query.kind === 'log' ? query.stages : []
  }

  it('has matchers', () => {
    const matchers = [
      APP,
      { name: 'c', op: '!=', value: '' },
      { name: 'd_1', op: '=~', value: 'x|y' },
      { name: 'rate', op: '!~', value: '\\d' },
      { name: 'größe', op: '=', value: 'a"b' },
    ]
    expect(parsed('{a="b", c!="",d_1=~"x|y", rate!~`\\d`, größe="a\\"b"}')).toEqual({
      kind: 'log',
      matchers,
      stages: [],
    })
  })

  it('may stand in brackets', () => {
    expect(parsed('( ({a="b"} | json) )')).toEqual(parsed('{a="b"} | json'))
  })

  it('has line filters; of excluded texts each is one', () => {
    expect(
      stages('|= "x" or "y" or `z` |~ "r" != "n" or "m"\n !~ "q" |> "<_>" !> "<_> u"'),
    ).toEqual([
      { kind: 'line', op: '|=', texts: ['x', 'y', 'z'] },
      { kind: 'line', op: '|~', texts: ['r'] },
      { kind: 'line', op: '!=', texts: ['n'] },
      { kind: 'line', op: '!=', texts: ['m'] },
      { kind: 'line', op: '!~', texts: ['q'] },
      { kind: 'line', op: '|>', texts: ['<_>'] },
      { kind: 'line', op: '!>', texts: ['<_> u'] },
    ])
  })

  it('has parsers', () => {
    const text =
      '| json | json a, b="c[0]" | logfmt | LOGFMT --strict --keep-empty a="b" | regexp "(?P<x>.)" | pattern `<y>` | unpack'
    expect(stages(text)).toEqual([
      { kind: 'json', fields: [] },
      {
        kind: 'json',
        fields: [
          { label: 'a', expression: 'a' },
          { label: 'b', expression: 'c[0]' },
        ],
      },
      { kind: 'logfmt', fields: [], isStrict: false, keepsEmpty: false },
      {
        kind: 'logfmt',
        fields: [{ label: 'a', expression: 'b' }],
        isStrict: true,
        keepsEmpty: true,
      },
      { kind: 'regexp', source: '(?P<x>.)' },
      { kind: 'pattern', pattern: '<y>' },
      { kind: 'unpack' },
    ])
  })

  it('has formats, and labels to keep and to drop', () => {
    const text =
      '| line_format "{{.x}}" | label_format a=b,c="{{.d}}" | decolorize | keep a, b="c" | drop d!~"e",f'
    expect(stages(text)).toEqual([
      { kind: 'line_format', template: '{{.x}}' },
      {
        kind: 'label_format',
        formats: [
          { to: 'a', label: 'b' },
          { to: 'c', template: '{{.d}}' },
        ],
      },
      { kind: 'decolorize' },
      { kind: 'keep', labels: ['a', { name: 'b', op: '=', value: 'c' }] },
      { kind: 'drop', labels: [{ name: 'd', op: '!~', value: 'e' }, 'f'] },
    ])
  })

  it('tells a filter of lines from one of labels', () => {
    expect(stages('| a != "x" != "line"')).toEqual([
      { kind: 'label', filter: { kind: 'match', matcher: { name: 'a', op: '!=', value: 'x' } } },
      { kind: 'line', op: '!=', texts: ['line'] },
    ])
    expect(stages('| drop a != "x" != "line"').map(({ kind }) => kind)).toEqual(['drop', 'line'])
  })

  it('may hold comments', () => {
    expect(stages('# "one\n|= "a # b" // two\n/* three\n | json */ | unpack # four')).toEqual([
      { kind: 'line', op: '|=', texts: ['a # b'] },
      { kind: 'unpack' },
    ])
  })
})

describe('label filters', () => {
  /** `a & (b | c)`: with brackets around what is linked within another. */
  const shown = (filter: LabelFilter, isInner = false): string => {
    if (filter.kind === 'match') return filter.matcher.name
    if (filter.kind === 'compare')
      return `${filter.name}${filter.op}${filter.value}${filter.unit[0]}`
    const text = filter.of
      .map((one) => shown(one, true))
      .join(filter.kind === 'and' ? ' & ' : ' | ')
    return isInner ? `(${text})` : text
  }
  const reads = (text: string, expected: string) =>
    it(text, () => {
      const query = parsed(`{a="b"} | ${text.replace(/\b([a-z])\b(?! ?[=<>!])/g, '$1="1"')}`)
      const stage = query.kind === 'log' ? query.stages[0] : undefined
      expect(stage?.kind === 'label' && shown(stage.filter)).toBe(expected)
    })

  reads('a', 'a')
  reads('a and b and c', 'a & b & c')
  reads('a or b and c', 'a | (b & c)')
  reads('a and b or c', '(a & b) | c')
  reads('a or b or c and d', 'a | b | (c & d)')
  reads('(a or b) and c', '(a | b) & c')
  reads('((a))', 'a')
  reads('a, b or c', 'a & (b | c)')
  reads('a b or c', 'a & (b | c)')
  reads('a or b, c', 'a | (b & c)')
  reads('a and b c or d', 'a & (b & (c | d))')
  reads('(a)(b)', 'a & b')
  reads('a = 5', 'a==5n')
  reads('a == -1.5e3', 'a==-1500n')
  reads('a != +5', 'a!=5n')
  reads('a > 1m30s', 'a>90d')
  reads('a >= 250ms', 'a>=0.25d')
  reads('a < 1d', 'a<86400d')
  reads('a <= -1.5h', 'a<=-5400d')
  reads('a > 1.5KB', 'a>1500b')
  reads('a > 2MiB', 'a>2097152b')
  reads('a > 5M', 'a>5000000b')
  reads('a > 010', 'a>10n')
})

describe('a metric query', () => {
  it('has a function over a range', () => {
    expect(
      parsed(
        'quantile_over_time(0.9, {a="b"} | json | unwrap duration(x) | y > 1 | z="" [1h30m] offset -5m) by (c, d)',
      ),
    ).toEqual({
      kind: 'range',
      function: 'quantile_over_time',
      parameter: 0.9,
      query: { kind: 'log', matchers: [APP], stages: [{ kind: 'json', fields: [] }] },
      unwrap: {
        label: 'x',
        conversion: 'duration',
        filters: [
          { kind: 'compare', name: 'y', op: '>', value: 1, unit: 'number' },
          { kind: 'match', matcher: { name: 'z', op: '=', value: '' } },
        ],
      },
      rangeMs: 5_400_000,
      offsetMs: -300_000,
      grouping: { isWithout: false, labels: ['c', 'd'] },
    })
  })

  it('has its range and its brackets in many places', () => {
    const whole = parsed('sum_over_time({a="b"} | json | unwrap x | y="" [5m] offset 1h)')
    for (const text of [
      '({a="b"} | json | unwrap x | y="")[5m] offset 1h',
      '{a="b"}[5m] offset 1h | json | unwrap x | y=""',
      '({a="b"}[5m] offset 1h | json | unwrap x | y="")',
      '(({a="b"} | json | unwrap x | y="" [5m] offset 1h))',
    ]) {
      expect(parsed(`sum_over_time(${text})`)).toEqual(whole)
    }
  })

  it('converts what it unwraps', () => {
    for (const conversion of ['bytes', 'duration', 'duration_seconds'] as const) {
      const query = parsed(`rate({a="b"} | unwrap ${conversion}(bytes) [5m])`) as RangeAggregation
      expect(query.unwrap).toEqual({ label: 'bytes', conversion, filters: [] })
    }
  })

  it('has its grouping before or after', () => {
    const whole = parsed('sum by (c) (vector(1))')
    expect(whole).toMatchObject({ kind: 'aggregation', function: 'sum', parameter: null })
    expect(parsed('SUM(vector(1)) BY (c)')).toEqual(whole)
    expect(parsed('topk(3, vector(1)) without (c)')).toEqual(
      parsed('topk without (c) (3, vector(1))'),
    )
    expect(parsed('sum by () (vector(1))')).toMatchObject({ grouping: null })
    expect(parsed('sum without () (vector(1))')).toMatchObject({
      grouping: { isWithout: true, labels: [] },
    })
  })

  it('matches series', () => {
    expect(parsed('vector(1) / on (a) group_left (b, c) vector(2)')).toMatchObject({
      op: '/',
      isBool: false,
      matching: { isIgnoring: false, labels: ['a'] },
      group: { side: 'left', labels: ['b', 'c'] },
    })
    expect(parsed('vector(1) > bool ignoring (a) group_right vector(2)')).toMatchObject({
      op: '>',
      isBool: true,
      matching: { isIgnoring: true, labels: ['a'] },
      group: { side: 'right', labels: [] },
    })
    expect(parsed('vector(1) * on () group_left () (vector(2))')).toMatchObject({
      matching: { isIgnoring: false, labels: [] },
      group: { side: 'left', labels: [] },
      right: { kind: 'vector', value: 2 },
    })
    expect(parsed('vector(1) - 2')).toMatchObject({ op: '-', matching: null, group: null })
  })

  it('replaces labels', () => {
    expect(parsed('label_replace(vector(1), "to", "$1", "from", "(.*):")')).toEqual({
      kind: 'label_replace',
      of: { kind: 'vector', value: 1 },
      to: 'to',
      replacement: '$1',
      from: 'from',
      regex: '(.*):',
    })
  })

  it.each([
    ['v + v * v ^ v', '(v + (v * (v ^ v)))'],
    ['v * v + v', '((v * v) + v)'],
    ['v ^ v ^ v', '(v ^ (v ^ v))'],
    ['v - v - v', '((v - v) - v)'],
    ['v / v % v * v', '(((v / v) % v) * v)'],
    ['v or v and v unless v', '(v or ((v and v) unless v))'],
    ['v > v + v == v', '((v > (v + v)) == v)'],
    ['v and v > v or v', '((v and (v > v)) or v)'],
    ['(v + v) * (v - v)', '((v + v) * (v - v))'],
    ['sum(v + v * v) / v', '(sum((v + (v * v))) / v)'],
    ['-1 + 2 * 3 ^ 2', '17'],
    ['2 ^ 3 ^ 2', '512'],
    ['(1 + 2) * 3', '9'],
    ['5 > bool 3', '1'],
    ['-2 ^ 2', '4'],
    ['v + 1 + 2', '((v + 1) + 2)'],
    ['v + 1 * 2', '(v + 2)'],
    ['1 / 0', '(0 / 0)'],
    ['5 % 0', '(0 / 0)'],
  ])('%s', (text, expected) => {
    const query = parsed(text.replaceAll('v', 'vector(1)'))
    expect(formatLogql(query).replaceAll('vector(1.000000)', 'v')).toBe(expected)
  })
})

describe('refused', () => {
  it.each(fixture('refused.json') as { query: string; error: string }[])(
    'as Loki does: $query',
    ({ query, error }) => {
      expect(parseLogql(query)).toEqual({ ok: false, error: { code: 'bad_query', message: error } })
    },
  )

  const refuses = (text: string, message: string) =>
    it(text.slice(0, 60), () => {
      expect(parseLogql(text)).toEqual({ ok: false, error: { code: 'bad_query', message } })
    })
  const at = (line: number, column: number) => `parse error at line ${line}, col ${column}:`

  refuses('{a="b"} |= ip("1.2.3.4")', `${at(1, 12)} ip is not supported`)
  refuses('{a="b"}\n | x = ip("1.2.3.4")', `${at(2, 8)} ip is not supported`)
  refuses('rate_counter({a="b"} | unwrap x [5m])', `${at(1, 1)} rate_counter is not supported`)
  refuses('1 + approx_topk(1, vector(1))', `${at(1, 5)} approx_topk is not supported`)
  refuses('variants(vector(1)) of ({a="b"}[5m])', `${at(1, 1)} variants is not supported`)
  refuses('rate({a="b"}[0s])', `${at(1, 13)} a range must be longer than 0`)
  refuses('rate({a="b"}[1.5h])', `${at(1, 13)} not a valid duration string: "1.5h"`)
  refuses('rate({a="b"}[1m1h])', `${at(1, 13)} not a valid duration string: "1m1h"`)
  refuses('vector(08)', `${at(1, 8)} unable to parse literal as a float: "08"`)
  refuses('rate({a="b"}[ 5m ])', `${at(1, 13)} not a valid duration string: " 5m "`)
  refuses('rate({a="b"}[5m)', `${at(1, 13)} missing closing ']' in duration`)
  refuses('rate({a="b"}[5m] offset 10us)', `${at(1, 25)} an offset is of whole milliseconds`)
  refuses('{a="b"} | x > 0x1f', `${at(1, 15)} unable to parse literal as a float: "0x1f"`)
  refuses('{a="b"} | x > 1_000', `${at(1, 15)} unable to parse literal as a float: "1_000"`)
  refuses('{a="b"} | x > 1e999', `${at(1, 15)} unable to parse literal as a float: "1e999"`)
  refuses(
    "{a='b'}",
    `${at(1, 4)} syntax error: unexpected '; a string stands in double quotes or backticks`,
  )
  refuses('{a="\\xff"}', `${at(1, 4)} invalid char escape`)
  refuses('{a="b"}\n  | json\n  | "ü" ]', `${at(3, 9)} syntax error: unexpected ]`)
  refuses(
    '{a="b"} |~ "("',
    `parse error : stage '|~ "("' : error parsing regexp: missing closing ): \`(\``,
  )
  refuses('{a=~"x)(y"}', 'parse error : error parsing regexp: unexpected ): `x)(y`')
  refuses('{a="b"} | keep c=~"("', 'parse error : error parsing regexp: missing closing ): `(`')
  refuses(
    'rate({a="b"} | unwrap x | (y=1 or z=~"(") [5m])',
    'parse error : error parsing regexp: missing closing ): `(`',
  )
  refuses(
    'label_replace(vector(1), "a", "b", "c", "(")',
    'parse error : invalid regex in label_replace: error parsing regexp: missing closing ): `(`',
  )
  refuses(`{a="${'b'.repeat(131_072)}"}`, 'parse error : input size too long (131078 > 131072)')
})

describe('a selector alone', () => {
  it('may match all streams', () => {
    expect(parseMatchers('{}')).toEqual({ ok: true, data: [] })
    expect(parseMatchers(' { a = "b" } ')).toEqual({ ok: true, data: [APP] })
    expect(parseMatchers('{a=~".*"}').ok).toBe(true)
  })

  it.each(['', '{', '{a}', '{a="b"} | json', '{a=~"("}', 'vector(1)', '{a="b"}{c="d"}'])(
    'refuses %j',
    (text) => {
      expect(parseMatchers(text)).toMatchObject({ ok: false, error: { code: 'bad_query' } })
    },
  )
})

describe('hostile texts', () => {
  const many = (text: string, count: number) => text.repeat(count)
  const within = (text: string) => {
    const startMs = performance.now()
    const query = parseLogql(text)
    expect(performance.now() - startMs).toBeLessThan(3000)
    return query
  }

  it.each([
    many('(', 65_000),
    many('{', 65_000),
    many('sum(', 15_000),
    many('-', 65_000),
    many('"', 65_001),
    many('`', 65_001),
    many('1+', 60_000),
    many('1m', 60_000),
    many('a ', 60_000),
    many('and ', 15_000),
    many('/*', 60_000),
    `{a="b"}${many('|x(', 9000)}`,
    `{a="b"}${many('|json', 1900)}`,
    `{a="b"}|a=1${many(',a=1', 1900)}`,
    `vector(1)${many('+vector(1)', 300)}`,
    `rate({a="b"}${many('[5m]', 5000)})`,
    `{a=~"${many('abc|', 20_000)}"}`,
    `sum by (${many('a,', 4000)}a) (vector(1))`,
  ])('are refused soon: %.20s', (text) => {
    expect(within(text)).toMatchObject({ ok: false, error: { code: 'bad_query' } })
  })

  it.each([
    `${many('(', 250)}vector(1)${many(')', 250)}`,
    `vector(1)${many('+vector(1)', 199)}`,
    `{a="b"${many(',a="b"', 1900)}}`,
    `{a="b"}${many('|="x"', 4000)}`,
    `{a="b"}|a=1${many(' or a=1', 1900)}`,
    `{a="b"}${many('|json', 300)}`,
  ])('are read soon, and their one-line form as well: %.20s', (text) => {
    const query = within(text)
    expect(query.ok).toBe(true)
    if (query.ok) expect(within(formatLogql(query.data))).toEqual(query)
  })

  it('made by random changes of good ones are read or refused, and read the same from one line', () => {
    const good = (fixture('formatted.json') as { query: string }[]).map(({ query }) => query)
    const pieces = good.flatMap((text) => text.match(/\w+|\s+|"[^"]*"|[^\w\s]/g) ?? [])
    const change = fc.record({
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      length: fc.nat(8),
      piece: fc.oneof(fc.constantFrom(...pieces), fc.string({ unit: 'binary', maxLength: 3 })),
    })
    fc.assert(
      fc.property(fc.constantFrom(...good), fc.array(change, { maxLength: 4 }), (text, changes) => {
        const changed = changes.reduce((one, { at, length, piece }) => {
          const from = Math.floor(at * one.length)
          return one.slice(0, from) + piece + one.slice(from + length)
        }, text)
        const query = within(changed)
        if (query.ok) expect(parseLogql(formatLogql(query.data))).toEqual(query)
        else expect(query.error.message).toMatch(/^parse error/)
      }),
      { numRuns: 500 },
    )
  })
})
