// What a word is, for filters, patterns, scan and query alike (design: one function serves them all).
//
// NFC, then runs of letters, marks, numbers and `_`, split first and lower-cased after. Scripts that
// write no spaces have no runs to go by: there every character is a word, and a word is a phrase.

const WORD = /[\p{L}\p{M}\p{N}_]+/gu
const NO_SPACES =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u
const ASCII = /^[\0-\x7f]*$/
const ASCII_WORD = /[a-z0-9_]+/g

/** The words of a text in order, lower-cased; a word that occurs twice is there twice. */
export function wordsOf(text: string): string[] {
  // Nearly every log line: lower-casing ASCII moves no boundary, so one pass does.
  if (ASCII.test(text)) return text.toLowerCase().match(ASCII_WORD) ?? []
  const words: string[] = []
  for (const [run] of text.normalize('NFC').matchAll(WORD)) {
    if (NO_SPACES.test(run)) cutRun(run, words)
    else words.push(run.toLowerCase())
  }
  return words
}

/** Cuts the characters of scripts without spaces out of a run; what stands between them stays whole. */
function cutRun(run: string, words: string[]): void {
  let rest = ''
  for (const character of run) {
    if (!NO_SPACES.test(character)) {
      rest += character
      continue
    }
    if (rest !== '') words.push(rest.toLowerCase())
    rest = ''
    words.push(character)
  }
  if (rest !== '') words.push(rest.toLowerCase())
}
