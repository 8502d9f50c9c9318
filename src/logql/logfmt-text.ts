// logfmt as Loki's decoder reads it: `key=value`, `key="quoted \" value"` and bare keys, with anything
// that is no letter between them. A pair that is wrong is left out, up to the next space.

const QUOTE = 34
const EQUALS = 61
const BACKSLASH = 92
const SPACE = 32

export class LogfmtReader {
  key = ''
  value = ''
  /** Of the last pair that was wrong; '' if none was. */
  #fault = ''
  #faultAt = 0
  #line = ''
  #at = 0

  reset(line: string): void {
    this.#line = line
    this.#at = 0
    this.#fault = ''
  }

  /** Why the last wrong pair is wrong, as Loki says it; '' if all were right. */
  get error(): string {
    if (this.#fault === '') return ''
    const before = new TextEncoder().encode(this.#line.slice(0, this.#faultAt))
    return `logfmt syntax error at pos ${before.length + 1} : ${this.#fault}`
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#line.length
  }

  /** Reads the next pair; false if it is wrong, or there is none left. */
  next(): boolean {
    const line = this.#line
    const end = line.length
    this.key = ''
    this.value = ''
    let at = this.#at
    while (at < end && line.charCodeAt(at) <= SPACE) at++
    if (at >= end) {
      this.#at = end
      return false
    }
    const start = at
    for (; at < end; at++) {
      const c = line.charCodeAt(at)
      if (c <= SPACE || c === EQUALS || c === QUOTE) break
    }
    this.#at = at
    const c = at < end ? line.charCodeAt(at) : SPACE
    if (c === QUOTE) return this.#fail(`unexpected '"'`)
    this.key = line.slice(start, at)
    if (this.key.includes('\ufffd')) {
      this.#setError('invalid key')
      return c === EQUALS ? this.#skip() : false
    }
    if (c !== EQUALS) return true
    if (at === start) return this.#fail(`unexpected '='`)
    return this.#readValue(at + 1)
  }

  #readValue(from: number): boolean {
    const line = this.#line
    const end = line.length
    this.#at = from
    if (from >= end) return true
    if (line.charCodeAt(from) === QUOTE) return this.#readQuoted(from)
    let at = from
    for (; at < end; at++) {
      const c = line.charCodeAt(at)
      if (c <= SPACE) break
      if (c === EQUALS || c === QUOTE) {
        this.#at = at
        return this.#fail(`unexpected '${line[at]}'`)
      }
    }
    this.#at = at
    this.value = line.slice(from, at)
    return true
  }

  #readQuoted(from: number): boolean {
    const line = this.#line
    let hasEscapes = false
    let at = from + 1
    for (;;) {
      at = line.indexOf('"', at)
      if (at < 0) {
        this.#at = line.length
        this.#setError('unterminated quoted value')
        return false
      }
      let slashes = at - 1
      while (slashes > from && line.charCodeAt(slashes) === BACKSLASH) slashes--
      if ((at - slashes) % 2 === 1) break
      hasEscapes = true
      at++
    }
    this.#at = at + 1
    const raw = line.slice(from + 1, at)
    const text = hasEscapes || raw.includes('\\') ? unescapeLogfmt(raw) : raw
    if (text === null) {
      this.#setError('invalid quoted value')
      return false
    }
    this.value = text
    return true
  }

  #fail(why: string): false {
    this.key = ''
    this.#setError(why)
    return this.#skip()
  }

  #skip(): false {
    const line = this.#line
    while (this.#at < line.length && line.charCodeAt(this.#at) > SPACE) this.#at++
    return false
  }

  #setError(why: string): void {
    this.#fault = why
    this.#faultAt = this.#at
  }
}

const ESCAPE = /\\(?:u([0-9a-fA-F]{4})(?:\\u([dD][c-fC-F][0-9a-fA-F]{2}))?|(["\\/'bfnrt])?)/g
const LETTERS: Readonly<Record<string, string>> = {
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
}

/** Null where an escape is wrong. */
function unescapeLogfmt(raw: string): string | null {
  let isRight = true
  const text = raw.replace(ESCAPE, (_, first?: string, low?: string, letter?: string) => {
    if (letter !== undefined) return LETTERS[letter] ?? letter
    if (first === undefined) {
      isRight = false
      return ''
    }
    const code = Number.parseInt(first, 16)
    if (code < 0xd800 || code > 0xdfff) {
      return String.fromCharCode(code) + (low === undefined ? '' : '\ufffd')
    }
    if (low === undefined || code > 0xdbff) return low === undefined ? '\ufffd' : '\ufffd\ufffd'
    return String.fromCharCode(code, Number.parseInt(low, 16))
  })
  return isRight ? text : null
}
