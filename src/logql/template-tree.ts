// The text of a template as a tree: text, actions and `if`s. This is the part of Go's text/template
// that formats a line; what may repeat, name or call other parts (range, with, define, variables) is
// refused by name.

import { err, ok, type Result } from '../result.ts'
import { unquote } from './literals.ts'

export type Node =
  | { kind: 'text'; text: string }
  | { kind: 'action'; pipe: Pipe }
  | { kind: 'if'; pipe: Pipe; body: Node[]; otherwise: Node[] }

/** `a | b`: the value of each command is the last argument of the next. */
export type Pipe = Command[]
/** A function with its arguments, or one value. */
export interface Command {
  first: Term
  rest: Term[]
}
export type Term = { at: number; source: string } & (
  | { kind: 'field'; names: string[] }
  | { kind: 'function'; name: string }
  | { kind: 'string'; value: string }
  | { kind: 'number'; value: number | bigint }
  | { kind: 'boolean'; value: boolean }
  | { kind: 'dot' | 'nil' }
  | { kind: 'pipe'; pipe: Pipe }
)

interface Token {
  kind: 'space' | 'field' | 'word' | 'string' | 'number' | 'mark'
  text: string
  at: number
}

const REFUSED = new Set(['range', 'with', 'define', 'template', 'block', 'break', 'continue'])
/** Parentheses and ifs inside each other. */
const DEPTH_MAX = 32

class TemplateFault extends Error {}

export function parseTemplate(text: string): Result<Node[]> {
  try {
    return ok(new TreeReader(text).read())
  } catch (e) {
    if (!(e instanceof TemplateFault)) throw e
    return err('bad_query', e.message)
  }
}

/** Of the text after `{{`: a comment, or tokens until `}}`. */
const COMMENT = /(?:- )?\s*\/\*[\s\S]*?\*\/\s*(?:(?<= )-)?\}\}/y
const TOKEN =
  /(?<space>[ \t\r\n]+)|(?<field>\.[\p{L}_][\p{L}\p{Nd}_]*)|(?<word>[\p{L}_][\p{L}\p{Nd}_]*)|(?<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)|(?<number>[+-]?(?:\d|\.\d)[\p{L}\p{Nd}_.]*(?:(?<=[eEpP])[+-][\p{L}\p{Nd}_]*)?)|(?<mark>[|().])/uy

class TreeReader {
  readonly #text: string
  #at = 0
  #line = 1
  #tokens: Token[] = []
  #next = 0
  /** The text just read ends at an action, not at the end of the template. */
  #isInAction = false

  constructor(text: string) {
    this.#text = text
  }

  read(): Node[] {
    const { nodes, end } = this.#readNodes(0)
    if (end !== null) this.#fail(`unexpected {{${end}}}`)
    return nodes
  }

  #fail(why: string): never {
    throw new TemplateFault(`${this.#line}: ${why}`)
  }

  /** Up to the `end` or `else` that belongs to none of them; null: the end of the text. */
  #readNodes(depth: number): { nodes: Node[]; end: 'end' | 'else' | null } {
    if (depth > DEPTH_MAX) this.#fail(`more than ${DEPTH_MAX} actions inside each other`)
    const nodes: Node[] = []
    for (;;) {
      const text = this.#readText()
      if (text !== '') nodes.push({ kind: 'text', text })
      if (!this.#isInAction) return { nodes, end: null }
      if (!this.#readTokens()) continue
      this.#skipSpace()
      const first = this.#peek()
      if (first.kind === 'word' && REFUSED.has(first.text)) {
        this.#fail(`{{${first.text}}} is not supported`)
      }
      if (first.kind === 'word' && (first.text === 'end' || first.text === 'else')) {
        this.#next++
        return { nodes, end: first.text }
      }
      if (first.kind === 'word' && first.text === 'if') {
        this.#next++
        nodes.push(this.#readIf(depth))
      } else nodes.push({ kind: 'action', pipe: this.#readPipe(depth, 'command') })
    }
  }

  #readIf(depth: number): Node {
    const pipe = this.#readPipe(depth, 'if')
    const body = this.#readNodes(depth + 1)
    if (body.end === null) this.#fail('unexpected EOF')
    if (body.end === 'end') {
      this.#expectDone('end')
      return { kind: 'if', pipe, body: body.nodes, otherwise: [] }
    }
    this.#skipSpace()
    if (this.#peek().text === 'if') {
      this.#next++
      // Its end is the end of this one as well.
      return { kind: 'if', pipe, body: body.nodes, otherwise: [this.#readIf(depth + 1)] }
    }
    this.#expectDone('else')
    const otherwise = this.#readNodes(depth + 1)
    if (otherwise.end === null) this.#fail('unexpected EOF')
    if (otherwise.end === 'else') this.#fail('expected end; found {{else}}')
    this.#expectDone('end')
    return { kind: 'if', pipe, body: body.nodes, otherwise: otherwise.nodes }
  }

  #expectDone(where: string): void {
    this.#skipSpace()
    const token = this.#peek()
    if (token.text !== '') this.#fail(`unexpected <${token.text}> in ${where}`)
  }

  /** Text up to the next action, without what its `{{- ` trims. */
  #readText(): string {
    const from = this.#at
    const open = this.#text.indexOf('{{', from)
    const end = open < 0 ? this.#text.length : open
    const text = this.#text.slice(from, end)
    this.#line += text.split('\n').length - 1
    this.#isInAction = open >= 0
    this.#at = open < 0 ? end : end + 2
    const isTrimmed = open >= 0 && /^-[ \t\r\n]/.test(this.#text.slice(end + 2, end + 4))
    return isTrimmed ? text.replace(/[ \t\r\n]+$/, '') : text
  }

  /** The tokens of one action; false for a comment. */
  #readTokens(): boolean {
    this.#tokens = []
    this.#next = 0
    COMMENT.lastIndex = this.#at
    const comment = COMMENT.exec(this.#text)
    if (comment) {
      this.#line += comment[0].split('\n').length - 1
      this.#at = COMMENT.lastIndex
      if (comment[0].endsWith('-}}')) this.#trimNext()
      return false
    }
    if (/^-[ \t\r\n]/.test(this.#text.slice(this.#at, this.#at + 2))) this.#at++
    for (;;) {
      const rest = this.#text.slice(this.#at, this.#at + 4)
      const isTrimming = /^[ \t\r\n]-\}\}/.test(rest)
      if (isTrimming || rest.startsWith('}}')) {
        this.#at += isTrimming ? 4 : 2
        if (isTrimming) this.#trimNext()
        return true
      }
      TOKEN.lastIndex = this.#at
      const found = TOKEN.exec(this.#text)
      if (!found) this.#failAt()
      const [kind] = Object.entries(found.groups!).find(([, text]) => text !== undefined)!
      this.#tokens.push({ kind: kind as Token['kind'], text: found[0], at: this.#at })
      this.#at = TOKEN.lastIndex
      this.#line += found[0].split('\n').length - 1
    }
  }

  #failAt(): never {
    const char = String.fromCodePoint(this.#text.codePointAt(this.#at) ?? 0)
    if (char === '\0') this.#fail('unclosed action')
    if (char === '"') this.#fail('unterminated quoted string')
    if (char === '`') this.#fail('unterminated raw quoted string')
    if (char === '$') this.#fail('variables ($) are not supported')
    if (char === "'") this.#fail("character constants (') are not supported")
    this.#fail(`unexpected ${JSON.stringify(char)} in command`)
  }

  #trimNext(): void {
    const space = /^[ \t\r\n]*/.exec(this.#text.slice(this.#at))![0]
    this.#line += space.split('\n').length - 1
    this.#at += space.length
  }

  #peek(): Token {
    return this.#tokens[this.#next] ?? { kind: 'mark', text: '', at: this.#at }
  }

  #skipSpace(): boolean {
    const isSpace = this.#peek().kind === 'space'
    if (isSpace) this.#next++
    return isSpace
  }

  /** Up to the end of the action, or to the parenthesis that closes it. */
  #readPipe(depth: number, where: string): Pipe {
    if (depth > DEPTH_MAX) this.#fail(`more than ${DEPTH_MAX} parentheses inside each other`)
    const pipe: Pipe = []
    for (;;) {
      this.#skipSpace()
      const command = this.#readCommand(depth)
      // Go lets a last `|` stand.
      if (!command && pipe.length > 0 && this.#peek().text !== '|') return pipe
      if (!command) this.#fail(`missing value for ${where}`)
      const { kind } = command.first
      if (pipe.length > 0 && kind !== 'function' && kind !== 'field' && kind !== 'pipe') {
        this.#fail(`non executable command in pipeline stage ${pipe.length + 1}`)
      }
      pipe.push(command)
      if (this.#peek().text !== '|') return pipe
      this.#next++
    }
  }

  #readCommand(depth: number): Command | null {
    const terms: Term[] = []
    let isApart = true
    for (;;) {
      const { text } = this.#peek()
      if (text === '' || text === '|' || text === ')') break
      if (!isApart) this.#fail(`unexpected <${text}> in operand`)
      terms.push(this.#readTerm(depth))
      isApart = this.#skipSpace()
    }
    const [first, ...rest] = terms
    return first ? { first, rest } : null
  }

  #readTerm(depth: number): Term {
    const { kind, text, at } = this.#peek()
    this.#next++
    if (kind === 'field') {
      const names = [text.slice(1)]
      while (this.#peek().kind === 'field') names.push(this.#tokens[this.#next++]!.text.slice(1))
      return { kind, names, at, source: `.${names.join('.')}` }
    }
    const place = { at, source: text }
    if (kind === 'word') {
      if (text === 'true' || text === 'false') {
        return { kind: 'boolean', value: text === 'true', ...place }
      }
      return text === 'nil' ? { kind: 'nil', ...place } : { kind: 'function', name: text, ...place }
    }
    if (kind === 'string') {
      const value = unquote(text)
      if (value === null) this.#fail(`invalid string ${text}`)
      return { kind, value, ...place }
    }
    if (kind === 'number') {
      const value = numberOf(text)
      if (value === null) this.#fail(`bad number syntax: ${JSON.stringify(text)}`)
      return { kind, value, ...place }
    }
    if (text === '.') return { kind: 'dot', ...place }
    const pipe = this.#readPipe(depth + 1, 'parenthesized pipeline')
    const end = this.#peek()
    if (end.text !== ')') this.#fail('unclosed left paren')
    this.#next++
    if (this.#peek().kind === 'field') this.#fail('a field of parentheses is not supported')
    return { kind: 'pipe', pipe, at, source: this.#text.slice(at + 1, end.at) }
  }
}

/** A bigint for what Go takes for an integer. */
function numberOf(text: string): number | bigint | null {
  if (/^[+-]?(?:0|[1-9](?:_?\d)*)$/.test(text)) return BigInt(text.replaceAll('_', ''))
  if (/^0[xX][0-9a-fA-F]+$/.test(text)) return BigInt(text)
  return /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(text) ? Number(text) : null
}

/** The names of all fields that a template shows or asks of; `.` alone shows every label. */
export function fieldsOf(nodes: Node[]): { names: string[]; showsAll: boolean } {
  const names: string[] = []
  let showsAll = false
  const ofPipe = (pipe: Pipe): void => {
    for (const { first, rest } of pipe) {
      for (const term of [first, ...rest]) {
        if (term.kind === 'field') names.push(...term.names)
        else if (term.kind === 'dot') showsAll = true
        else if (term.kind === 'pipe') ofPipe(term.pipe)
      }
    }
  }
  const ofNodes = (some: Node[]): void => {
    for (const node of some) {
      if (node.kind !== 'text') ofPipe(node.pipe)
      if (node.kind === 'if') {
        ofNodes(node.body)
        ofNodes(node.otherwise)
      }
    }
  }
  ofNodes(nodes)
  return { names, showsAll }
}

/** The names of all functions, with the arguments as written. */
export function commandsOf(nodes: Node[]): Command[] {
  const ofPipe = (pipe: Pipe): Command[] =>
    pipe.flatMap((command) => [
      command,
      ...[command.first, ...command.rest].flatMap((term) =>
        term.kind === 'pipe' ? ofPipe(term.pipe) : [],
      ),
    ])
  return nodes.flatMap((node) => {
    if (node.kind === 'text') return []
    const own = ofPipe(node.pipe)
    return node.kind === 'if'
      ? [...own, ...commandsOf(node.body), ...commandsOf(node.otherwise)]
      : own
  })
}
