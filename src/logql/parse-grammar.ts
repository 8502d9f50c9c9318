// Runs the grammar over a query. It sees a skeleton of the text: every word at its place, but literals
// and names as the shortest of their kind, and without what the grammar has no rule for although Loki
// does. The tree tells how the parts stand to each other; what they say is read from the words.

import { parser } from '@grafana/lezer-logql'
import { readLabelFilter } from './parse-stages.ts'
import { BadQuery, type Token, unexpected } from './parse-tokens.ts'

export type Tree = ReturnType<typeof parser.parse>
export type TreeNode = Tree['topNode']

/** From 2500 on the tree that the grammar makes is another: it is cut flat. */
const TREE_DEPTH_MAX = 2000

/** It stops at the first word that does not fit; else it would invent words to go on. */
const strict = parser.configure({ strict: true })

export function treeOf(text: string, tokens: Token[]): Tree {
  const tree = parsed(text, tokens)
  const cursor = tree.cursor()
  let depth = 0
  let deepest = 0
  do {
    if (cursor.type.isError) throw unexpected(text, tokens, indexFrom(tokens, cursor.from))
    while (cursor.firstChild()) depth++
    deepest = Math.max(deepest, depth)
    while (depth > 0 && !cursor.nextSibling()) {
      cursor.parent()
      depth--
    }
  } while (depth > 0)
  if (deepest > TREE_DEPTH_MAX) throw new BadQuery('parse error : the query is nested too deep')
  return tree
}

function parsed(text: string, tokens: Token[]): Tree {
  try {
    return strict.parse(skeletonOf(text, tokens))
  } catch (e) {
    const at = e instanceof SyntaxError ? /^No parse at (\d+)$/.exec(e.message) : null
    if (at === null) throw e
    throw unexpected(text, tokens, indexFrom(tokens, Number(at[1])))
  }
}

const indexFrom = (tokens: Token[], at: number): number => {
  const index = tokens.findIndex(({ from }) => from >= at)
  return index < 0 ? tokens.length : index
}

const SHORTEST: Partial<Record<Token['kind'], string>> = {
  identifier: 'x',
  string: '""',
  number: '1',
  duration: '1s',
  bytes: '1B',
  range: '[1s]',
}

function skeletonOf(text: string, tokens: Token[]): string {
  const hidden = new Set<Token>()
  for (const [i, token] of tokens.entries()) {
    if (token.kind === 'range') hideAround(tokens, i, hidden)
  }
  const commas = impliedCommas(text, tokens)
  let skeleton = ''
  const put = (at: number, word: string) => {
    skeleton += ' '.repeat(at - skeleton.length) + word
  }
  for (const [i, token] of tokens.entries()) {
    if (commas.has(i)) putComma(text, tokens, i, skeleton.length, put)
    if (!hidden.has(token)) put(token.from, SHORTEST[token.kind] ?? token.text)
  }
  put(text.length, '')
  return skeleton
}

/**
 * `… | unwrap x [5m] offset 1h` and `(… | unwrap x)[5m]` have no rule: hidden are every offset, which
 * stands behind its range, and the brackets around what a range is of.
 */
function hideAround(tokens: Token[], range: number, hidden: Set<Token>): void {
  const offset = tokens[range + 1]
  const duration = tokens[range + 2]
  if (offset?.text === 'offset' && duration?.kind === 'duration') hidden.add(offset).add(duration)
  const close = tokens[range - 1]
  if (close?.text !== ')') return
  let depth = 0
  for (let i = range - 1; i > 0; i--) {
    const token = tokens[i]!
    if (token.text === ')') depth++
    if (token.text === '(' && --depth === 0) {
      const before = tokens[i - 1]!.text
      if (before === '(' || before === ',') hidden.add(close).add(token)
      return
    }
  }
}

/** `a="b" c="d"`: a blank between label filters is a comma. */
function impliedCommas(text: string, tokens: Token[]): Set<number> {
  const blanks: number[] = []
  for (let i = 0; i < tokens.length - 1; i++) {
    const following = tokens[i + 1]!
    const isFilter = following.kind === 'identifier' || following.text === '('
    if (tokens[i]!.text !== '|' || !isFilter) continue
    const words = { text, tokens, at: i + 1 }
    readLabelFilter(words, blanks)
    i = words.at - 1
  }
  return new Set(blanks)
}

/** Where a string ends there is room, for its skeleton is shorter. */
function putComma(
  text: string,
  tokens: Token[],
  i: number,
  length: number,
  put: (at: number, word: string) => void,
): void {
  if (length >= tokens[i]!.from) throw unexpected(text, tokens, i)
  put(length, ',')
}
