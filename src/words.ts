// What a word is, for filters, patterns, scan and query alike (a filter that splits otherwise than
// the query would hide records). Runs of letters, marks, numbers and `_` of the NFC form. Scripts
// written without spaces have no such runs, so there each character is a word, and a word of the
// reader is a phrase. Text is split first and then lower-cased: lower case can change what a
// character is made of (`İ` becomes two).

const RUN = /[\p{L}\p{M}\p{N}_]+/gu
const PIECE =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]|[^\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]+/gu
/** The characters of PIECE's scripts all lie here or above, so a run below has none. */
const UNSPACED_MIN = 0x0e00

/** The words of a text in order, lower-cased; `__` and the like are words too. */
export function wordsOf(text: string): string[] {
  const words: string[] = []
  let start = -1
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c >= 128) return wordsOfUnicode(text)
    if (isAsciiWord(c)) {
      if (start < 0) start = i
    } else if (start >= 0) {
      words.push(text.slice(start, i).toLowerCase())
      start = -1
    }
  }
  if (start >= 0) words.push(text.slice(start).toLowerCase())
  return words
}

/** Whether an ASCII character is part of a word. */
export function isAsciiWord(c: number): boolean {
  const letter = c | 32
  return (letter >= 97 && letter <= 122) || (c >= 48 && c <= 57) || c === 95
}

function wordsOfUnicode(text: string): string[] {
  const words: string[] = []
  for (const run of text.normalize('NFC').match(RUN) ?? []) {
    if (!hasUnspaced(run)) words.push(run.toLowerCase())
    else for (const piece of run.match(PIECE) ?? []) words.push(piece.toLowerCase())
  }
  return words
}

function hasUnspaced(run: string): boolean {
  for (let i = 0; i < run.length; i++) if (run.charCodeAt(i) >= UNSPACED_MIN) return true
  return false
}
