// Which tokens of a block's words filter (block/tokens.ts) must be there where a text passes a test. A
// filter that has one of them not holds no such text. The filter has words, a glob or an expression
// only parts of a text: a part tells of a word just where the word has both its ends in it.

import type { Hash } from '../block/filter.ts'
import { stringsIn, valueTokens, wordToken } from '../block/tokens.ts'
import type { TextTest, ValueTest } from '../query/filter.ts'
import { readRegex } from '../query/regex.ts'
import type { AttributeType } from '../record.ts'
import { wordsOf } from '../words.ts'

/** Of a text that a phrase, glob or expression is searched in. The longest first: it is the rarest. */
export function textTokens(test: TextTest): Hash[] {
  switch (test.is) {
    case 'phrase':
      return tokensOf(wordsOf(test.text))
    case 'glob':
      return tokensOf(globWords(test.parts))
    case 'regex':
      return tokensOf(regexWords(test.source))
    case 'contains':
      return tokensOf(wholeWords(test.text, false, false))
  }
}

/** What a value must be to pass: a string with these tokens, or another JSON value. */
export interface ValueTokens {
  asText: Hash[]
  /** Where it may be no string: its types, and the strings in it. */
  other: { types: ReadonlySet<AttributeType>; tokens: Hash[] } | null
}

const OF_SCALARS: ReadonlySet<AttributeType> = new Set(['int', 'num', 'bool', 'json'])

export function valueTokensOf(test: ValueTest): ValueTokens {
  switch (test.is) {
    case 'equal':
      return equalTokens(test.value)
    case 'glob':
      return partTokens(globWords(test.parts))
    case 'regex':
      return partTokens(regexWords(test.source))
    case 'range':
      return { asText: [], other: { types: new Set(['int', 'num', 'json']), tokens: [] } }
    case 'exists':
      return { asText: [], other: { types: OF_SCALARS, tokens: [] } }
  }
}

/** `200` is also the number and `[1]` also the array; an equal JSON value holds equal strings. */
function equalTokens(value: string): ValueTokens {
  const asText = valueTokens(value)
  let parsed: unknown
  try {
    parsed = JSON.parse(value)
  } catch {
    // Not JSON: only a text is equal to it.
    return { asText, other: null }
  }
  // An element of an array may be the number.
  const types: AttributeType[] =
    typeof parsed === 'number'
      ? ['int', 'num', 'json']
      : typeof parsed === 'boolean'
        ? ['bool', 'json']
        : ['json']
  const tokens = [...stringsIn(parsed)].flatMap(valueTokens)
  return { asText, other: { types: new Set(types), tokens } }
}

/** A word that may stand in a number, `true`, `false` or `null`. */
const OF_NO_STRING = /^(?:[0-9]*e?[0-9]*|true|false|null|infinity|nan)$/

function partTokens(words: string[]): ValueTokens {
  const isOfString = words.some((word) => !OF_NO_STRING.test(word))
  return { asText: tokensOf(words), other: isOfString ? null : { types: OF_SCALARS, tokens: [] } }
}

/**
 * Of a label only what is equal to a text is told, by words that stand in no number: an array is its
 * elements with commas between them, and one with maps in it is its JSON.
 */
export const labelTokensOf = (test: ValueTest): Hash[] =>
  test.is === 'equal' && !/[[\]{}"\\]/.test(test.value)
    ? tokensOf(wordsOf(test.value).filter((word) => !OF_NO_STRING.test(word)))
    : []

const tokensOf = (words: string[]): Hash[] =>
  [...new Set(words)].sort((a, b) => b.length - a.length).map(wordToken)

/** The first part starts where a word starts and the last ends where one ends, or with the text. */
const globWords = (parts: string[]): string[] =>
  parts.flatMap((part, i) => wholeWords(part, i === 0, i === parts.length - 1))

function regexWords(source: string): string[] {
  const { literals, isFolded } = readRegex(source)
  const words = literals.flatMap((literal) => wholeWords(literal, false, false))
  // In any case `s` is also found in `ſ`, which no word takes for it.
  return isFolded ? words.filter((word) => !word.includes('s')) : words
}

/**
 * Words of ASCII that have an end of the text, or another character of ASCII, on both sides: what
 * follows the part there can not join them.
 */
export function wholeWords(part: string, isStart: boolean, isEnd: boolean): string[] {
  const words: string[] = []
  for (const { 0: word, index } of part.matchAll(/[A-Za-z0-9_]+/g)) {
    const end = index + word.length
    const hasStart = index > 0 ? part.charCodeAt(index - 1) < 128 : isStart
    const hasEnd = end < part.length ? part.charCodeAt(end) < 128 : isEnd
    if (hasStart && hasEnd) words.push(word.toLowerCase())
  }
  return words
}
