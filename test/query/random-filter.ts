// Random filters in their normal form, over names and values that are awkward to write.

import {
  FIELD_COLUMNS,
  type Field,
  type Filter,
  fieldIs,
  levelIn,
  type TextTest,
  textIs,
  type ValueTest,
} from '../../src/query/filter.ts'
import { wordsOf } from '../../src/words.ts'

export interface Random {
  below: (n: number) => number
  pick: <T>(values: readonly T[]) => T
}

export function randomFrom(random: () => number): Random {
  const below = (n: number) => Math.floor(random() * n)
  return { below, pick: (values) => values[below(values.length)]! }
}

const PIECES = [
  'a',
  'B',
  'é',
  'e\u0301',
  '数',
  '1',
  '7',
  '_',
  '-',
  '.',
  '/',
  ':',
  ' ',
  '"',
  '\\',
  '*',
  '(',
  ')',
  '[',
  ']',
  '{',
  '}',
  '<',
  '>',
  '=',
  '😀',
  '\ud800',
  '\n',
  'AND',
  'OR',
  'NOT',
  'TO',
  'attr.',
  '%',
  '&',
]

export const randomText = ({ below, pick }: Random, max = 5): string =>
  Array.from({ length: below(max + 1) }, () => pick(PIECES)).join('')

const REGEXES = [
  'a/b',
  '^x$',
  '\\d+ ms',
  '[/]',
  'a\\\\',
  '"q"',
  '(?i)Ab',
  'a b',
  ':',
  'x{2}',
  '\\\\/',
]

const textOf = (random: Random, is: (text: string) => boolean): string => {
  for (;;) {
    const text = randomText(random)
    if (is(text)) return text
  }
}

const partsOf = (random: Random): string[] =>
  Array.from({ length: 2 + random.below(2) }, () => randomText(random, 2))

export function randomTextTest(random: Random): TextTest {
  const { pick } = random
  return pick<() => TextTest>([
    () => ({ is: 'phrase', text: textOf(random, (text) => wordsOf(text).length > 0) }),
    () => ({ is: 'glob', parts: partsOf(random) }),
    () => ({ is: 'regex', source: pick(REGEXES) }),
  ])()
}

export function randomField(random: Random): Field {
  const { pick } = random
  const name = () =>
    pick([
      'code',
      'http.route',
      'x y',
      'a"b',
      'é',
      '1st',
      'attr.z',
      '-d',
      'k:v',
      'a\\',
      'body.q',
      'OR',
    ])
  return pick<() => Field>([
    () => ({ in: 'column', name: pick(FIELD_COLUMNS) }),
    () => ({ in: 'bare', name: pick([name(), 'service', randomName(random)]) }),
    () => ({
      in: pick(['attr', 'resource', 'scope', 'body'] as const),
      name: pick([name(), 'level', randomName(random)]),
    }),
  ])()
}

/** No name that means something else. */
const randomName = (random: Random) =>
  textOf(random, (text) => text !== '' && !/^(?:message|any|level|pattern|id)$/.test(text))

const NUMBERS = [0, -0, 1, -5, 1.5, 1e21, 1e-7, 2 ** 53, -1e300]

export function randomValueTest(random: Random, isId: boolean): ValueTest {
  const { pick, below } = random
  const bound = () => (below(4) === 0 ? null : { value: pick(NUMBERS), isInside: below(2) === 0 })
  const cased = (text: string) => (isId ? text.toLowerCase() : text)
  return pick<() => ValueTest>([
    () => ({ is: 'equal', value: cased(randomText(random)) }),
    () => ({ is: 'glob', parts: partsOf(random).map(cased) }),
    () => ({ is: 'regex', source: pick(REGEXES) }),
    () => ({ is: 'range', from: bound(), to: bound() }),
    () => ({ is: 'exists' }),
  ])()
}

export function randomFilter(random: Random, depth: number): Filter {
  const { below, pick } = random
  if (depth > 0 && below(2) === 0) {
    const members = () => Array.from({ length: below(4) }, () => randomFilter(random, depth - 1))
    return pick<() => Filter>([
      () => ({ kind: 'and', of: members() }),
      () => ({ kind: 'or', of: members() }),
      () => ({ kind: 'not', of: randomFilter(random, depth - 1) }),
      // Values of one field, as in a list.
      () => {
        const field = randomField(random)
        const isId = field.in === 'column' && /^(?:trace|span)_id$/.test(field.name)
        return {
          kind: 'or',
          of: Array.from({ length: 2 + below(2) }, () =>
            fieldIs(field, randomValueTest(random, isId)),
          ),
        }
      },
    ])()
  }
  return pick<() => Filter>([
    () => levelIn(below(64)),
    () => textIs(pick(['message', 'any'] as const), randomTextTest(random)),
    () => {
      const field = randomField(random)
      const isId =
        ['trace_id', 'span_id'].includes(field.name) && ['column', 'bare'].includes(field.in)
      return fieldIs(field, randomValueTest(random, isId))
    },
    () => ({ kind: 'pattern', id: pick(['0123456789abcdef', 'ffffffffffffffff']) }),
  ])()
}
