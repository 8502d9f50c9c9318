// What stages do to a line. The expected values are those of Loki 3.7.6's own pipeline for the same query
// and line, but where a test says otherwise.

import { describe, expect, it } from 'vitest'
import { parseLogql } from '../../src/logql/parse.ts'
import { type Pipeline, preparePipeline } from '../../src/logql/pipeline.ts'
import type { LogQuery, RangeAggregation } from '../../src/logql/syntax.ts'

const NONE: ReadonlySet<string> = new Set()
const TIME = '1700000000123456789'

function prepared(query: string, outputs: ReadonlySet<string> | 'all' = 'all'): Pipeline {
  const parsed = parseLogql(query)
  if (!parsed.ok) throw new Error(parsed.error.message)
  const range = parsed.data as LogQuery | RangeAggregation
  const [log, unwrap] = range.kind === 'log' ? [range, null] : [range.query, range.unwrap]
  const pipeline = preparePipeline(log.stages, unwrap, outputs)
  if (!pipeline.ok) throw new Error(pipeline.error.message)
  return pipeline.data
}

interface Own {
  stream?: Record<string, string>
  metadata?: Record<string, string>
}

function runOn(pipeline: Pipeline, line: string, { stream = {}, metadata = {} }: Own = {}) {
  const own = {
    stream: new Map(Object.entries(stream)),
    metadata: new Map(Object.entries(metadata)),
  }
  const made = pipeline.run(line, own, TIME)
  return (
    made && {
      line: made.line,
      stream: Object.fromEntries(made.stream),
      metadata: Object.fromEntries(made.metadata),
      parsed: Object.fromEntries(made.parsed),
      value: made.value,
    }
  )
}

const run = (stages: string, line: string, own: Own = {}) =>
  runOn(prepared(`{app="x"} ${stages}`), line, own)
/** The labels that stages made. */
const parsed = (stages: string, line: string, own: Own = {}) => run(stages, line, own)?.parsed
const passes = (stages: string, line: string, own: Own = {}) => run(stages, line, own) !== null
const fault = (stages: string): string => {
  try {
    prepared(`{app="x"} ${stages}`)
  } catch (e) {
    return (e as Error).message
  }
  return ''
}

describe('line filters', () => {
  it.each([
    ['|= "b.d"', false],
    ['|= "bob"', true],
    ['|= "Bob"', false],
    ['|= "nope" or "bob"', true],
    ['!= "nope"', true],
    ['!= "nope" or "bob"', false],
    ['|~ "b.b"', true],
    ['|~ "(?i)BOB"', true],
    ['|~ "^bob"', false],
    ['!~ "b.b" or "x"', false],
    ['|> "<_> - <_> [<_>"', true],
    ['|> "<_> - <_>"', true],
    ['|> "<_> - "', false],
    ['|> "127<_>"', true],
    ['|> "<_>127<_>"', false],
    ['|> "<_>.0<_>.0.1<_>"', false],
    ['|> ""', false],
    ['!> "<_> - <_>"', false],
  ])('%s', (stages, isPassing) => {
    expect(passes(stages, '127.0.0.1 - bob [10/Oct] 200')).toBe(isPassing)
  })

  it('an empty line fits an empty pattern alone', () => {
    expect(passes('|> ""', '')).toBe(true)
    expect(passes('|> "<_>"', '')).toBe(false)
  })
})

describe('json', () => {
  it('flattens objects, passes arrays and null over, and keeps numbers as sent', () => {
    const line =
      '{"a":1.0,"b":{"c":{"d e":"x"},"9z":true},"9":"n","list":[1,{"z":2}],"no":null,"big":12345678901234567890,"exp":1e3,"empty":""}'
    expect(parsed('| json', line)).toEqual({
      a: '1.0',
      b_c_d_e: 'x',
      b_9z: 'true',
      _9: 'n',
      big: '12345678901234567890',
      exp: '1e3',
    })
  })

  it('reads escapes, and writes space for what was no text', () => {
    const line = String.raw`{"a":"x\n\u00e9\ud83d\ude00\/","b":"bad\ud83d","fo\u006f":"k","c":"${'\ufffd'}"}`
    expect(parsed('| json', line)).toEqual({ a: 'x\né😀/', foo: 'k', c: ' ' })
  })

  it('the first of two values stays', () => {
    expect(parsed('| json', '{"a":1,"a":2}')).toEqual({ a: '1' })
    expect(parsed('| json | logfmt', '{"a":1}')).toEqual({ a: '1' })
  })

  it('adds _extracted to what the stream or metadata have', () => {
    const own = { stream: { a: 's', n_x: 's' }, metadata: { m: 't' } }
    expect(run('| json', '{"a":1,"m":2,"n":{"x":3},"o":4}', own)).toMatchObject({
      ...own,
      parsed: { a_extracted: '1', m_extracted: '2', n_x_extracted: '3', o: '4' },
    })
  })

  it.each([
    ['plain', {}, "Value looks like object, but can't find closing '}' symbol"],
    ['', {}, "Value looks like object, but can't find closing '}' symbol"],
    ['{', {}, 'Malformed JSON error'],
    ['[1]', {}, "Value looks like object, but can't find closing '}' symbol"],
    ['{"a":1,', { a: '1' }, "Value is array, but can't find closing ']' symbol"],
    ['{"a":1 "b":2}', { a: '1' }, "Value looks like object, but can't find closing '}' symbol"],
    ['{"a":1,"b":tru}', { a: '1' }, 'Unknown value type'],
    ['{"a":"x', {}, `Value is string, but can't find closing '"' symbol`],
    ['{"a":{"b":1}', { a_b: '1' }, "Value is array, but can't find closing ']' symbol"],
    ['{"a":[1,2}', {}, "Value is array, but can't find closing ']' symbol"],
  ])('what is before a fault stays: %s', (line, labels, why) => {
    expect(parsed('| json', line)).toEqual({
      ...labels,
      __error__: 'JSONParserErr',
      __error_details__: why,
    })
  })

  it('takes what follows the object for nothing', () => {
    expect(parsed('| json', ' {"a":1} and more')).toEqual({ a: '1' })
  })

  it('paths lead to values, the text of objects and arrays, or to nothing', () => {
    const line = '{"a":{"b":["x",{"c":"y"}],"d e":1},"n":null,"s":"t"}'
    const fields = String.raw`| json first="a.b[0]", deep="a.b[1].c", list="a.b", object="a", spaced="a[\"d e\"]", no="a.zz", n, s`
    expect(parsed(fields, line)).toEqual({
      first: 'x',
      deep: 'y',
      list: '["x",{"c":"y"}]',
      object: '{"b":["x",{"c":"y"}],"d e":1}',
      spaced: '1',
      s: 't',
    })
    expect(parsed('| json s', 'plain')).toEqual({ __error__: 'JSONParserErr' })
    expect(parsed('| json s', line, { stream: { s: 'own' } })).toEqual({ s_extracted: 't' })
  })

  it.each([
    ['| json x="a..b"', 'cannot parse expression [a..b]'],
    ['| json x="a[x]"', 'cannot parse expression [a[x]]'],
    ['| json x=""', 'cannot parse expression []'],
  ])('refuses %s', (stages, why) => {
    expect(fault(stages)).toContain(why)
  })
})

describe('logfmt', () => {
  const line = 'a=1 b="x y" c="q\\"r" d= e "f" g=h"i j==k a=2 9x=3'

  it('reads pairs, and leaves out what is wrong and what is empty', () => {
    expect(parsed('| logfmt', line)).toEqual({ a: '1', b: 'x y', c: 'q"r', _9x: '3' })
  })

  it('strict: stops at what is wrong, and says where', () => {
    expect(parsed('| logfmt --strict', line)).toEqual({
      a: '1',
      b: 'x y',
      c: 'q"r',
      __error__: 'LogfmtParserErr',
      __error_details__: `logfmt syntax error at pos 27 : unexpected '"'`,
    })
    expect(parsed('| logfmt --strict', 'é="x')).toEqual({
      __error__: 'LogfmtParserErr',
      __error_details__: 'logfmt syntax error at pos 6 : unterminated quoted value',
    })
  })

  it('fields: under the names asked for, the last value counts', () => {
    expect(parsed('| logfmt x="a", b, no="zz"', line)).toEqual({ x: '2', b: 'x y' })
    expect(parsed('| logfmt a', line, { stream: { a: 's' } })).toEqual({ a_extracted: '1' })
  })

  it('keep-empty: a value that is empty is there for numbers, and absent in the end', () => {
    expect(parsed('| logfmt --keep-empty | d > 1', line)).toMatchObject({
      __error__: 'LabelFilterErr',
    })
    expect(passes('| logfmt | d > 1', line)).toBe(false)
  })

  it('refuses an expression that is no key', () => {
    expect(fault('| logfmt x="a.b"')).toContain('cannot parse expression [a.b]: unexpected char .')
  })
})

describe('regexp, pattern, unpack, decolorize', () => {
  const line = '127.0.0.1 - bob [10/Oct] "GET /x HTTP/1.0" 200 2326'

  it('named groups become labels; one that is not there is empty', () => {
    expect(parsed(String.raw`| regexp "(?P<ip>\\S+) - (?P<user>\\w+)(?P<no>zz)?"`, line)).toEqual({
      ip: '127.0.0.1',
      user: 'bob',
    })
    expect(parsed('| regexp "zzz(?P<a>.)"', line)).toEqual({})
    expect(parsed('| regexp "(?P<a>b.b)"', line, { metadata: { a: 'm' } })).toEqual({
      a_extracted: 'bob',
    })
  })

  it('captures of a pattern become labels, up to where the line is another', () => {
    const stages = String.raw`| pattern "<ip> - <user> [<_>] \"<method> <path> <_>\" <status> <size>"`
    expect(parsed(stages, line)).toEqual({
      ip: '127.0.0.1',
      user: 'bob',
      method: 'GET',
      path: '/x',
      status: '200',
      size: '2326',
    })
    expect(parsed('| pattern "127<rest>"', line)).toMatchObject({ rest: line.slice(3) })
    expect(parsed('| pattern "x<rest>"', line)).toEqual({})
    expect(parsed('| pattern "<a>] <b>zz<c>"', line)).toEqual({
      a: '127.0.0.1 - bob [10/Oct',
      b: '"GET /x HTTP/1.0" 200 2326',
    })
  })

  it('unpack takes the entry and the texts beside it', () => {
    const packed = '{"_entry":"the \\"line\\"","a":"1","n":5,"b c":"2"}'
    expect(run('| unpack', packed, { stream: { a: 's' } })).toMatchObject({
      line: 'the "line"',
      parsed: { a_extracted: '1', b_c: '2' },
    })
    expect(run('| unpack', '{"a":"1"}')).toMatchObject({ line: '{"a":"1"}', parsed: {} })
    expect(parsed('| unpack', 'x')).toMatchObject({ __error__: 'JSONParserErr' })
  })

  // Loki 3.7 filters before it decolorizes, whatever the order; its documentation says otherwise.
  it('stages run in the order in which they are written', () => {
    expect(run('| decolorize |= "red x"', '\x1b[31mred\x1b[0m x')?.line).toBe('red x')
  })

  it.each([
    ['| regexp "a"', 'at least one named capture must be supplied'],
    ['| regexp "(?P<a>x"', 'missing closing )'],
    ['| pattern "x"', 'at least one capture is required'],
    ['| pattern ""', 'unexpected $end, expecting IDENTIFIER or LITERAL'],
    ['| pattern "<a><b>"', "found consecutive capture '<a><b>': invalid expression"],
    ['| pattern "<a> <a>"', 'duplicate capture name (a): invalid expression'],
    ['|> "<a> <_>"', "named captures are not allowed: found '<a>'"],
    ['|~ "a("', 'missing closing )'],
    ['| x =~ "a("', 'missing closing )'],
    ['| x =~ "a)(b"', 'unexpected )'],
    ['| drop x =~ "a("', 'missing closing )'],
  ])('refuses %s', (stages, why) => {
    expect(fault(stages)).toContain(why)
  })
})

describe('label filters', () => {
  const line = String.raw`n=5 f=1.5 d=1m30s b=5KB t=err x=5zb inf=inf q="\"\né"`
  it.each([
    ['n=5', true],
    ['n!=5', false],
    ['n>4.5', true],
    ['n<=5', true],
    ['f>=1.5', true],
    ['f<1.5', false],
    ['d>1m', true],
    ['d==90s', true],
    ['b>4KB', true],
    ['b=5000B', true],
    ['b>5KiB', false],
    ['inf>1', true],
    ['t="err"', true],
    ['t="er"', false],
    ['t=~"err|warn"', true],
    ['t=~"er"', false],
    ['t=~"er.+"', true],
    ['t!~"er."', false],
    ['missing=""', true],
    ['missing!=""', false],
    ['missing=~".*"', true],
    ['missing>0', false],
    ['missing!=0', false],
    ['n=5 and t="x"', false],
    ['n=5 or t="x"', true],
    ['n=6 or t="x" or d>1m', true],
    ['n=6 or t="err" and d>2m', false],
  ])('%s', (filter, isPassing) => {
    expect(passes(`| logfmt | ${filter}`, line)).toBe(isPassing)
  })

  it.each([
    ['x>5', 'strconv.ParseFloat: parsing "5zb": invalid syntax'],
    ['x>5KB', 'unhandled size name: zb'],
    ['x>5s', 'time: unknown unit "zb" in duration "5zb"'],
    ['n>5s', 'time: missing unit in duration "5"'],
    ['t>5s', 'time: invalid duration "err"'],
    ['q>5s', String.raw`time: invalid duration "\"\x0a\xc3\xa9"`],
    ['t>5KB', 'strconv.ParseFloat: parsing "": invalid syntax'],
  ])('a value that is no number keeps the line, with an error: %s', (filter, why) => {
    expect(parsed(`| logfmt | ${filter}`, line)).toMatchObject({
      __error__: 'LabelFilterErr',
      __error_details__: why,
    })
    expect(passes(`| logfmt | ${filter} | __error__=""`, line)).toBe(false)
  })

  it('the first error stays', () => {
    expect(parsed('| json | logfmt | x>5', 'x=a')).toMatchObject({ __error__: 'JSONParserErr' })
  })

  it('asks own labels too', () => {
    expect(passes('| a="b" | m>1', '', { stream: { a: 'b' }, metadata: { m: '2' } })).toBe(true)
  })

  // Loki 3.7 drops this line: it asks the filter of the label that logfmt made.
  it('a filter sees what the stage before it made', () => {
    const stages = '| logfmt | label_format t="{{.t | ToUpper}}" | t="ERR"'
    expect(parsed(stages, 't=err')).toEqual({ t: 'ERR' })
  })
})

describe('keep and drop', () => {
  const own = { stream: { a: 's', b: 's' }, metadata: { m: 't' } }
  const json = '| json '

  it('keep leaves what is named, or matches', () => {
    expect(run(`${json}| keep a, x`, '{"x":1,"y":2}', own)).toMatchObject({
      stream: { a: 's' },
      metadata: {},
      parsed: { x: '1' },
    })
    expect(run(`${json}| keep m="t", x="2"`, '{"x":1,"y":2}', own)).toMatchObject({
      stream: {},
      metadata: { m: 't' },
      parsed: {},
    })
  })

  it('drop takes what is named, or matches', () => {
    expect(run(`${json}| drop a, m, x`, '{"x":1,"y":2}', own)).toMatchObject({
      stream: { b: 's' },
      metadata: {},
      parsed: { y: '2' },
    })
    expect(parsed(`${json}| drop x=~"1", y="3"`, '{"x":1,"y":2}')).toEqual({ y: '2' })
  })

  it('what is dropped is not made again, and a label of the stream stays in the way', () => {
    expect(parsed('| json | drop x | json', '{"x":1,"y":2}')).toEqual({ y: '2' })
    expect(parsed('| drop a, m | json', '{"a":1,"m":2}', own)).toEqual({ a_extracted: '1', m: '2' })
  })

  it('errors are kept by keep, and dropped by name', () => {
    expect(parsed(`${json}| keep zz`, 'plain')).toMatchObject({ __error__: 'JSONParserErr' })
    expect(parsed(`${json}| drop __error__, __error_details__`, 'plain')).toEqual({})
    expect(parsed(`${json}| drop __error__`, 'plain')).toEqual({})
    expect(Object.keys(parsed(`${json}| drop __error__`, '{"a":1,') ?? {})).toEqual([
      'a',
      '__error_details__',
    ])
  })

  it('what came in is not changed', () => {
    const stream = new Map([['a', 's']])
    const metadata = new Map([['m', 't']])
    prepared('{app="x"} | drop a, m').run('', { stream, metadata }, TIME)
    expect([...stream, ...metadata]).toEqual([
      ['a', 's'],
      ['m', 't'],
    ])
  })
})

describe('line_format and label_format', () => {
  it('a template makes the line', () => {
    expect(run('| logfmt | line_format "{{.a}}-{{.b}}"', 'a=1')?.line).toBe('1-')
    expect(run('| line_format "{{__line__}}!"', 'x')?.line).toBe('x!')
    expect(run('| line_format "{{.nope}}"', 'x')?.line).toBe('')
    expect(run('| logfmt | line_format "{{.a}}" |= "7"', 'a=7')?.line).toBe('7')
  })

  it('a label gets another name, or a text', () => {
    const own = { stream: { a: 's' }, metadata: { m: 't' } }
    expect(run('| label_format x=a, y=m, z=no', '', own)).toMatchObject({
      stream: {},
      metadata: {},
      parsed: { x: 's', y: 't' },
    })
    expect(run('| label_format a="{{.a}}{{.m}}"', '', own)).toMatchObject({
      stream: {},
      parsed: { a: 'st' },
    })
  })

  it('templates of one stage do not see each other', () => {
    expect(parsed('| logfmt | label_format a="{{.a}}x", b="{{.a}}y"', 'a=1')).toEqual({
      a: '1x',
      b: '1y',
    })
  })

  it('what fails leaves the line, with an error', () => {
    expect(run('| logfmt | line_format "{{div .a 0}}"', 'a=1')).toMatchObject({
      line: 'a=1',
      parsed: {
        __error__: 'TemplateFormatErr',
        __error_details__:
          'template: line:1:2: executing "line" at <div .a 0>: error calling div: runtime error: integer divide by zero',
      },
    })
  })

  it.each([
    ['| label_format __error__="x"', '__error__ cannot be formatted'],
    ['| label_format a="1", a="2"', "multiple label name 'a' not allowed"],
    ['| label_format x="{{"', "invalid template for label 'x': template: label:1: unclosed action"],
    [
      '| line_format "{{nope}}"',
      'invalid line template: template: line:1: function "nope" not defined',
    ],
  ])('refuses %s', (stages, why) => {
    expect(fault(stages)).toContain(why)
  })
})

describe('unwrap', () => {
  const unwrapped = (unwrap: string, line: string) =>
    runOn(prepared(`sum_over_time({app="x"} | logfmt | unwrap ${unwrap} [5m])`), line)

  it.each([
    ['a', 'a=1.5', 1.5],
    ['a', 'a=-1e3', -1000],
    ['a', 'a=0x1p4', 16],
    ['duration(a)', 'a=1m30.5s', 90.5],
    ['duration_seconds(a)', 'a=100ms', 0.1],
    ['bytes(a)', 'a=5KiB', 5120],
    ['bytes(a)', 'a=2MB', 2_000_000],
  ])('%s of %s', (unwrap, line, value) => {
    expect(unwrapped(unwrap, line)?.value).toBe(value)
  })

  it('a line without the label, or with nothing in it, has no number', () => {
    expect(unwrapped('a', 'b=1')).toBeNull()
    expect(unwrapped('a', 'a= b=1')).toBeNull()
  })

  it.each([
    ['a', 'a=x', 'strconv.ParseFloat: parsing "x": invalid syntax'],
    ['a', 'a=1e999', 'strconv.ParseFloat: parsing "1e999": value out of range'],
    ['duration(a)', 'a=5', 'time: missing unit in duration "5"'],
    ['bytes(a)', 'a=5x', 'unhandled size name: x'],
  ])('%s of %s is an error that a filter can take', (unwrap, line, why) => {
    expect(unwrapped(unwrap, line)?.parsed).toMatchObject({
      __error__: 'SampleExtractionErr',
      __error_details__: why,
    })
    expect(unwrapped(`${unwrap} | __error__=""`, line)).toBeNull()
  })

  it('filters after it', () => {
    expect(unwrapped('a | b="1"', 'a=1 b=1')?.value).toBe(1)
    expect(unwrapped('a | b="1"', 'a=1 b=2')).toBeNull()
  })
})

describe('outputs', () => {
  const made = (stages: string, outputs: string[], line: string, own: Own = {}) =>
    runOn(prepared(`{app="x"} ${stages}`, new Set(outputs)), line, own)?.parsed

  it('parsers make what a stage or the caller reads, and no more', () => {
    const line = '{"a":1,"b":{"c":2,"d":3},"e":4}'
    expect(made('| json | e>1', ['b_c'], line)).toEqual({ b_c: '2', e: '4' })
    expect(made('| logfmt', ['b'], 'a=1 b=2 c=3')).toEqual({ b: '2' })
    expect(made('| json', ['a_extracted'], line, { stream: { a: 's' } })).toEqual({
      a_extracted: '1',
    })
    expect(made('| json', ['a'], line, { stream: { a: 's' } })).toEqual({})
  })

  it('faults after the last label that anybody reads are not seen', () => {
    expect(made('| json', ['a'], '{"a":1,')).toEqual({ a: '1' })
    expect(made('| json', [], 'plain')).toEqual({})
    expect(made('| json', ['b'], '{"a":1,')).toMatchObject({ __error__: 'JSONParserErr' })
  })

  it('an error that the query asks for by name does not fail it', () => {
    expect(made('| json | __error__!=""', ['a'], 'plain')).toMatchObject({
      __error__: 'JSONParserErr',
      __preserve_error__: 'true',
    })
    expect(made('| json', ['a'], 'plain')).not.toHaveProperty('__preserve_error__')
  })
})

describe('reads', () => {
  const reads = (stages: string, outputs: ReadonlySet<string> | 'all' = 'all') => {
    const { reads } = prepared(`{app="x"} ${stages}`, outputs)
    return reads === 'all' ? reads : [...reads].sort()
  }

  it.each([
    ['|= "x"', []],
    ['| a="1" or b>2 and c="3"', ['a', 'b', 'c']],
    ['| json', []],
    ['| json | x_extracted="1"', ['x', 'x_extracted']],
    ['| json | __error__=""', []],
    ['| json a="b.c", d', ['a', 'd']],
    ['| regexp "(?P<r>x)(?P<s>y)"', ['r', 's']],
    ['| pattern "<p> <_> <q>"', ['p', 'q']],
    [
      '| line_format "{{if .a}}{{.b | upper}}{{else}}{{printf .c (len .d)}}{{end}}"',
      ['a', 'b', 'c', 'd'],
    ],
    ['| label_format x="{{.a}}", y=b', ['a', 'b']],
    ['| keep a, b="1" | drop c', ['a', 'b', 'c']],
  ])('%s', (stages, names) => {
    expect(reads(stages)).toEqual(names)
  })

  it('a template that shows all labels reads all', () => {
    expect(reads('| line_format "{{.}}"')).toBe('all')
  })

  it('what the caller reads is read, and what is unwrapped', () => {
    expect(reads('| json', new Set(['a_extracted']))).toEqual(['a', 'a_extracted'])
    const { reads: read } = prepared('sum_over_time({app="x"} | unwrap u | v="" [1m])', NONE)
    expect([...read].sort()).toEqual(['u', 'v'])
  })

  it.each([
    ['', false],
    ['| a="1"', false],
    ['|= "x"', true],
    ['| json', true],
    ['| line_format "{{.a}}"', false],
    ['| line_format "{{if .a}}{{len __line__}}{{end}}"', true],
    ['| label_format x="{{__line__}}"', true],
    ['| unpack', true],
  ])('the line: %s', (stages, isRead) => {
    expect(prepared(`{app="x"} ${stages}`).readsLine).toBe(isRead)
  })

  it('no line is read where nobody reads a label of it', () => {
    expect(prepared('{app="x"} | json', NONE).readsLine).toBe(false)
  })
})

describe('lines of strangers', () => {
  const KIB_256 = 256 * 1024
  const long = (text: string) => text.repeat(KIB_256 / text.length)
  const manyKeys = Array.from({ length: 20_000 }, (_, i) => `"k${i}":${i}`).join(',')

  it.each([
    ['objects that are never closed', long('{"a":')],
    ['objects in objects', `${'{"a":'.repeat(40_000)}1${'}'.repeat(40_000)}`],
    ['many keys', `{${manyKeys}}`],
    ['many pairs', manyKeys.replaceAll(':', '=').replaceAll(',', ' ').replaceAll('"', '')],
  ])('%s end in an error, or in few labels', (_, line) => {
    for (const stages of [
      '| json',
      '| logfmt',
      '| unpack',
      '| json x="a.a.a"',
      '| logfmt x="k1"',
    ]) {
      const labels = parsed(stages, line)!
      expect(Object.keys(labels).length).toBeLessThan(1100)
    }
  })

  it('a line of too many labels says so', () => {
    expect(parsed('| json', `{${manyKeys}}`)).toMatchObject({
      k0: '0',
      __error__: 'JSONParserErr',
      __error_details__: 'the line has more than 1024 labels',
    })
  })

  it('the label that is asked for is found behind many', () => {
    const pipeline = prepared('{app="x"} | json', new Set(['k19999']))
    expect(runOn(pipeline, `{${manyKeys}}`)?.parsed).toEqual({ k19999: '19999' })
  })

  it('regular expressions are bounded together', () => {
    expect(fault(`|~ "${'a'.repeat(300)}" |~ "${'b'.repeat(300)}"`)).toContain('500 instructions')
  })
})
