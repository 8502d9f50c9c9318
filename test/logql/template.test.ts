// Templates over one line. The expected texts are those of Loki 3.7.6 for the same template and labels.

import { describe, expect, it } from 'vitest'
import { RegexBudget } from '../../src/logql/regex-budget.ts'
import { Template } from '../../src/logql/template.ts'

const LABELS = new Map(
  Object.entries({
    a: 'Hello World',
    n: '12',
    f: '3.75',
    d: '1m30s',
    b: '5KB',
    neg: '-7',
    u: 'héé wörld',
    ts: '1700000000',
    multi: 'x\ny\nz',
  }),
)

const SUBJECT = {
  line: 'the LINE é',
  timeNano: '1700000000123456789',
  labelOf: (name: string) => LABELS.get(name),
  labels: () => LABELS,
}

const prepare = (source: string) => Template.prepare('line', source, new RegexBudget())

/** What it makes, or why not. */
function run(source: string): string {
  const template = prepare(source)
  if (!template.ok) return `refused: ${template.error.message}`
  const made = template.data.run(SUBJECT)
  return made.ok ? made.data : `failed: ${made.error.message}`
}

const cases = (name: string, table: [source: string, made: string][]) =>
  describe(name, () => {
    it.each(table)('%s', (source, made) => expect(run(source)).toBe(made))
  })

cases('syntax', [
  ['{{.a}} and {{.nope}}!', 'Hello World and !'],
  ['{{- .a -}}  x  {{- .n }} {{- " y " -}}   z', 'Hello Worldx12 y z'],
  ['{{/* c */}}a{{- /* c */ -}} b', 'ab'],
  [
    '{{ "a\\tb\\"c" }}{{ `raw\\n` }}{{ 5 }}{{ 1.50 }}{{ true }}{{ 0x1F }}{{ 1e3 }}{{ -3 }}',
    'a\tb"craw\\n51.5true311000-3',
  ],
  ['{{ if eq .a "x" }}1{{ else if contains "W" .a }}2{{ else }}3{{ end }}', '2'],
  [
    '{{ if .nope }}x{{else}}y{{end}}{{ if and .a .n }}both{{end}}{{if not .nope}}not{{end}}',
    'ybothnot',
  ],
  ['{{ if .nope }}{{ if .a }}1{{end}}{{else}}{{ if .a }}2{{end}}{{end}}', '2'],
  ['{{ (.a | ToUpper) | printf "%s-%s" "x" }}', 'x-HELLO WORLD'],
  ['{{ and .a .nope }}|{{ or .nope "d" }}|{{ or "" 0 false }}|{{ and 1 2 }}', '|d|false|2'],
  ['{{ __line__ | len }} {{ __timestamp__ }}', '11 2023-11-14 22:13:20.123456789 +0000 UTC'],
])

cases('texts', [
  [
    '{{ .a | ToLower }}{{ToUpper .a}}{{lower .a}}{{upper .u}}',
    'hello worldHELLO WORLDhello worldHÉÉ WÖRLD',
  ],
  ['{{title "foo-bar baz_qux 9a élan"}}', 'Foo-Bar Baz_qux 9a Élan'],
  [
    '{{ Replace .a "l" "L" 1 }}|{{ replace "o" "0" .a }}|{{ Replace .a "" "-" 3 }}',
    'HeLlo World|Hell0 W0rld|-H-e-llo World',
  ],
  [
    '{{ Trim .a "Hd" }}|{{ TrimLeft .a "He" }}|{{ TrimRight .a "dl" }}|{{ TrimPrefix .a "Hel" }}|{{ TrimSuffix .a "rld" }}',
    'ello Worl|llo World|Hello Wor|lo World|Hello Wo',
  ],
  [
    '{{ trim "  x " }}|{{ trimAll "d" .a }}|{{ trimPrefix "H" .a }}|{{ .a | trimSuffix "d" }}',
    'x|Hello Worl|ello World|Hello Worl',
  ],
  [
    '{{ substr 0 5 .a }}|{{ substr 2 -1 .a }}|{{ substr -1 3 .a }}|{{ substr 3 100 .a }}',
    'Hello|llo World|Hel|lo World',
  ],
  ['{{ trunc 5 .a }}|{{ trunc -5 .a }}|{{ trunc 100 .a }}', 'Hello|World|Hello World'],
  ['{{ len .u }} {{ hasPrefix "He" .a }} {{ hasSuffix "x" .a }}', '12 true false'],
  [
    '{{ indent 2 .multi }}|{{ nindent 1 .multi }}|{{ repeat 3 .n }}',
    '  x\n  y\n  z|\n x\n y\n z|121212',
  ],
  [
    '{{ alignLeft 5 .a }}|{{ alignRight 5 .a }}|{{ alignLeft 13 .a }}|{{ alignRight 13 .a }}',
    'Hello|World|Hello World  |  Hello World',
  ],
  [
    `{{ regexReplaceAll "(o)( ?)" .a "\${2}x$1" }}|{{ regexReplaceAll "x*" .a "-" }}`,
    'Hell xoWxorld|-H-e-l-l-o- -W-o-r-l-d-',
  ],
  ['{{ regexReplaceAllLiteral "l" .a "$0" }}|{{ count "o" .a }}', 'He$0$0o Wor$0d|2'],
  ['{{ urlencode "a b&c=d/é" }}|{{ urldecode "a%20b+c%C3%A9" }}', 'a+b%26c%3Dd%2F%C3%A9|a b cé'],
  [
    '{{ b64enc .u }}|{{ b64dec "aGVsbG8=" }}|{{ b64dec "####" }}',
    'aMOpw6kgd8O2cmxk|hello|illegal base64 data at input byte 0',
  ],
  ['{{ default "x" .nope }}{{ .a | default "z" }}', 'xHello World'],
])

cases('numbers', [
  [
    '{{ add 1 2 3 }} {{ add .n 1 }} {{ sub .n 2 }} {{ mul .n 2 3 }} {{ div .neg 2 }} {{ mod .neg 4 }}',
    '6 13 10 72 -3 -3',
  ],
  ['{{ 9223372036854775807 | add 1 }} {{ mul 4611686018427387904 4 }}', '-9223372036854775808 0'],
  [
    '{{ addf 0.1 0.2 }} {{ subf 1 0.9 }} {{ mulf 1.1 1.1 }} {{ divf 2 3 }} {{ divf -2 3 }}',
    '0.3 0.1 1.21 0.6666666666666667 -0.6666666666666667',
  ],
  ['{{ max 1 .n 5 }} {{ min 1 .neg 5 }} {{ maxf .f 2 }} {{ minf .f 5 }}', '12 -7 3.75 3.75'],
  [
    '{{ ceil .f }} {{ floor -1.2 }} {{ round .f 1 }} {{ round 123.5555 3 }} {{ round 2.4 0 .3 }}',
    '4 -2 3.8 123.556 3',
  ],
  [
    '{{ int .f }} {{ int "0x1f" }} {{ int "010" }} {{ int "abc" }} {{ float64 "1e3" }}',
    '3 31 8 0 1000',
  ],
  [
    '{{ duration .d }} {{ duration_seconds "100ms" }} {{ bytes .b }} {{ bytes "1MiB" }}',
    '90 0.1 5000 1.048576e+06',
  ],
  [
    '{{ eq 1 1 }} {{ eq "a" "b" "a" }} {{ lt 1 2 }} {{ ge 1.5 1.5 }} {{ ne 1.5 2.5 }} {{lt "é" "z"}}',
    'true true true true true false',
  ],
])

cases('printf', [
  [
    '{{ printf "%s|%5s|%-5s|%q|%x|%.3s" .a .n .n .a .n .a }}',
    'Hello World|   12|12   |"Hello World"|3132|Hel',
  ],
  [
    '{{ printf "%d %5d %05d %x %o %b %c %+d" 42 42 42 255 8 5 65 5 }}',
    '42    42 00042 ff 10 101 A +5',
  ],
  [
    '{{ printf "%f %.2f %8.3f %e %g %08.2f" 3.14159 2.675 3.14159 31415.9 1e21 3.14159 }}',
    '3.141590 2.67    3.142 3.141590e+04 1e+21 00003.14',
  ],
  ['{{ printf "%.0f %.0f %.1f" 0.5 1.5 0.25 }}', '0 2 0.2'],
  [
    '{{ printf "%d" .a }}{{ printf "%s" 5 }}{{ printf "%v" }}{{ printf "%d" 1 2 }}',
    '%!d(string=Hello World)%!s(int=5)%!v(MISSING)1%!(EXTRA int=2)',
  ],
  ['{{ printf "%v %v %v %T" 1 2.5 true (add 1 2) }}', '1 2.5 true int64'],
])

cases('times', [
  [
    '{{ __timestamp__ | unixEpoch }} {{ unixEpochMillis __timestamp__ }} {{ unixEpochNanos __timestamp__ }}',
    '1700000000 1700000000123 1700000000123456789',
  ],
  ['{{ date "2006-01-02T15:04:05.000Z07:00" __timestamp__ }}', '2023-11-14T22:13:20.123Z'],
  [
    '{{ __timestamp__ | date "Mon Jan _2 03:04:05PM MST 06 002 .999" }}',
    'Tue Nov 14 10:13:20PM UTC 23 318 .123',
  ],
  ['{{ toDate "2006-01-02" "2021-11-02" | date "02/01/2006" }}', '02/11/2021'],
  [
    '{{ toDate "2006-01-02T15:04:05Z07:00" "2021-11-02T10:11:12.5+02:00" | unixEpoch }}',
    '1635840672',
  ],
  ['{{ toDate "2006-01-02" "2021-02-30" }}', '0001-01-01 00:00:00 +0000 UTC'],
  ['{{ unixToTime .ts }}', '2023-11-14 22:13:20 +0000 UTC'],
])

const failed = (place: string, why: string) => `failed: template: line:1:${place}: ${why}`
cases('what does not fit the line', [
  ['{{.a.b}}', failed('4', 'executing "line" at <.a.b>: can\'t evaluate field b in type string')],
  [
    '{{trim}}',
    failed('2', 'executing "line" at <trim>: wrong number of args for trim: want 1 got 0'),
  ],
  [
    '{{trunc .n .a}}',
    failed('8', 'executing "line" at <.n>: wrong type for value; expected int; got string'),
  ],
  ['{{substr 0 1.5 .a}}', failed('11', 'executing "line" at <1.5>: expected integer; found 1.5')],
  ['{{ToUpper 5}}', failed('10', 'executing "line" at <5>: expected string; found 5')],
  [
    '{{lt .n 5}}',
    failed(
      '2',
      'executing "line" at <lt .n 5>: error calling lt: incompatible types for comparison: string and int',
    ),
  ],
  [
    '{{substr 5 2 .a}}',
    failed(
      '2',
      'executing "line" at <substr 5 2 .a>: error calling substr: runtime error: slice bounds out of range [5:2]',
    ),
  ],
  [
    '{{duration "5"}}',
    failed(
      '2',
      'executing "line" at <duration "5">: error calling duration: time: missing unit in duration "5"',
    ),
  ],
])

describe('what is refused when it is prepared', () => {
  it.each([
    ['{{', 'unclosed action'],
    ['{{ .a }', 'unexpected "}" in command'],
    ['{{ }}', 'missing value for command'],
    ['{{ "abc }}', 'unterminated quoted string'],
    ['{{ if .a }}x', 'unexpected EOF'],
    ['{{ end }}', 'unexpected {{end}}'],
    ['{{ if }}x{{end}}', 'missing value for if'],
    ['{{ if .a }}x{{else}}y{{else}}z{{end}}', 'expected end; found {{else}}'],
    ['{{ .a | 5 }}', 'non executable command in pipeline stage 2'],
    ['{{ nope }}', 'function "nope" not defined'],
    ['{{ now }}', 'function "now" is not supported'],
    ['{{ .a | fromJson }}', 'function "fromJson" is not supported'],
    ['{{ range .a }}{{end}}', '{{range}} is not supported'],
    ['{{ with .a }}{{end}}', '{{with}} is not supported'],
    ['{{ $x := .a }}', 'variables ($) are not supported'],
    ['{{ regexReplaceAll .a .n "x" }}', 'needs its regular expression as a quoted text'],
    ['{{ count "a(" .n }}', 'missing closing )'],
    [`${'{{if .a}}'.repeat(40)}${'{{end}}'.repeat(40)}`, 'more than 32'],
    [`{{${'('.repeat(40)}.a${')'.repeat(40)}}}`, 'more than 32'],
  ])('%s', (source, why) => {
    const template = prepare(source)
    expect(template.ok ? 'prepared' : template.error.message).toContain(why)
  })
})

describe('a template does not blow up a line', () => {
  it.each([
    '{{ repeat 1000000000 .a }}',
    '{{ repeat 200000 "x" | repeat 200000 }}',
    '{{ indent 1000000 .multi }}',
    '{{ alignLeft 99999999 .a }}',
    '{{ printf "%99999999d" 1 }}',
    '{{ printf "%.99999999f" 1.5 }}',
    '{{ repeat 200000 "x" | replace "x" "0123456789" }}',
    '{{ repeat 200000 "x" | replace "" "0123456789" }}',
    '{{ regexReplaceAll "." (repeat 16000 "x") "0123456789012345678901234567890123456789" }}',
    '{{ repeat 200000 "x" }}{{ repeat 200000 "x" }}',
    '{{ print (repeat 200000 "x") (repeat 200000 "x") }}',
  ])('%s', (source) => {
    expect(run(source)).toContain('the text is longer than 262144 characters')
  })

  it('nor by making many on the way', () => {
    const of = (times: number) => '{{ len (repeat 200000 "x") }}'.repeat(times)
    expect(run(of(5))).toBe('200000'.repeat(5))
    expect(run(of(6))).toContain('its texts have more than 1048576 characters together')
  })
})
