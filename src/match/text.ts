// Whether a text holds what a search asks for: a phrase, parts with stars between, a regular
// expression. Phrases are compared by words (words.ts), the others by the text itself; but for
// regular expressions case never counts.

import { phraseInPattern, textInPattern, VARIABLE } from '../block/pattern.ts'
import type { TextTest } from '../query/filter.ts'
import { checkedRegex, mayHold } from '../query/regex.ts'
import { wordsOf } from '../words.ts'

export type Verdict = 'every' | 'none' | 'look'

/** A condition on a text, made ready. */
export interface TextCheck {
  holds(text: string): boolean
  /** What it says of all texts of a pattern (block/pattern.ts). */
  verdict(pattern: string): Verdict
  /** ASCII letters, lower-cased, that stand in every text that passes; '' where none are known. */
  hint: string
  /** What a character costs, in those of a search for words. */
  cost: number
}

export function textCheck(test: TextTest): TextCheck {
  switch (test.is) {
    case 'phrase':
      return phrasesCheck([wordsOf(test.text)])
    case 'glob':
      return { ...byText(globTest(test.parts)), hint: hintOf(test.parts.map(foldText)), cost: 1 }
    case 'contains': {
      const { text } = test
      return {
        holds: (one) => one.includes(text),
        verdict: (pattern) => textInPattern(pattern, text),
        // Strings of `any` are looked for in JSON, where these stand as they are.
        hint: longest(text.match(/[ !#-[\]-~]+/g) ?? []).toLowerCase(),
        cost: 1,
      }
    }
    case 'regex': {
      const regex = checkedRegex(test.source)
      return { ...byText(regex.test), hint: '', cost: Math.max(1, regex.size / 8) }
    }
  }
}

/** All of these phrases: one check cuts the words of a text once. */
export function phrasesCheck(phrases: string[][]): TextCheck {
  return {
    holds: wordTest(phrases),
    verdict: (pattern) => {
      let verdict: Verdict = 'every'
      for (const phrase of phrases) {
        const one = phraseInPattern(pattern, phrase)
        if (one !== 'every') verdict = one
        if (one === 'none') break
      }
      return verdict
    },
    hint: hintOf(phrases.flat()),
    cost: 1,
  }
}

/** A pattern without a variable is the message; of any other the texts tell. */
const byText = (holds: (text: string) => boolean): Pick<TextCheck, 'holds' | 'verdict'> => ({
  holds,
  verdict: (pattern) => (pattern.includes(VARIABLE) ? 'look' : holds(pattern) ? 'every' : 'none'),
})

const hintOf = (texts: string[]): string =>
  longest(texts.flatMap((text) => text.match(/[a-z0-9_]+/g) ?? []))

const longest = (texts: string[]): string =>
  texts.reduce((longest, text) => (text.length > longest.length ? text : longest), '')

const ASCII = /^[\0-\x7f]*$/

/** A text as it is compared where case does not count. */
export function foldText(text: string): string {
  if (ASCII.test(text)) return text.toLowerCase()
  // A final sigma is one by what follows it, which a part of a text does not know.
  return text.normalize().toLowerCase().replaceAll('ς', 'σ')
}

/** Parts that follow each other; TextTest says where the first starts and the last ends. */
function globTest(parts: string[]): (text: string) => boolean {
  const folded = parts.map(foldText)
  const first = folded[0]!
  const last = folded.at(-1)!
  const middle = folded.slice(1, -1)
  const hint = mayHold(longest(folded.filter((part) => ASCII.test(part))))
  return (text) => {
    if (!hint.test(text)) return false
    const all = foldText(text)
    let at = 0
    if (first !== '') {
      at = placeOf(all, first, 0, (found) => isWordEdge(all, found))
      if (at < 0) return false
      at += first.length
    }
    for (const part of middle) {
      at = all.indexOf(part, at)
      if (at < 0) return false
      at += part.length
    }
    return (
      last === '' || placeOf(all, last, at, (found) => isWordEdge(all, found + last.length)) >= 0
    )
  }
}

/** The first place of a part from `from` on that is right; -1 for none. */
function placeOf(text: string, part: string, from: number, isRight: (at: number) => boolean) {
  let at = text.indexOf(part, from)
  while (at >= 0 && !isRight(at)) at = text.indexOf(part, at + 1)
  return at
}

const WORD = /[\p{L}\p{M}\p{N}_]/u
const UNSPACED =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u

/** Whether a word may start or end between these two characters of a text. */
function isWordEdge(text: string, at: number): boolean {
  if (at === 0 || at === text.length) return true
  const next = String.fromCodePoint(text.codePointAt(at)!)
  const low = text.charCodeAt(at - 1)
  const isPair = low >= 0xdc00 && low < 0xe000 && at > 1
  const code = isPair ? text.codePointAt(at - 2)! : low
  const before = String.fromCodePoint(code > 0xffff ? code : low)
  if (!WORD.test(before) || !WORD.test(next)) return true
  return UNSPACED.test(before) || UNSPACED.test(next)
}

/**
 * A test whether a text holds every phrase: its words next to each other, in any case. A text that
 * lacks the letters of one is decided by a search; words are cut once, from those that are left.
 */
export function wordTest(phrases: string[][]): (text: string) => boolean {
  const needles = phrases.map((phrase) => longest(phrase.filter((word) => ASCII.test(word))))
  const hints = needles.filter((needle) => needle !== '').map(mayHold)
  return (text) => {
    for (const hint of hints) if (!hint.test(text)) return false
    const all = wordsAgain(text)
    return phrases.every((phrase) => holdsPhrase(all, phrase))
  }
}

let lastText = ''
let lastWords: string[] = []

/** The words of a text, cut once where many conditions ask the same text one after the other. */
function wordsAgain(text: string): string[] {
  if (text !== lastText) {
    lastWords = wordsOf(text)
    lastText = text
  }
  return lastWords
}

function holdsPhrase(all: string[], phrase: string[]): boolean {
  const first = phrase[0]!
  for (let at = all.indexOf(first); at >= 0; at = all.indexOf(first, at + 1)) {
    if (phrase.every((word, i) => all[at + i] === word)) return true
  }
  return false
}
