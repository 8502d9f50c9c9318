// Runs the grammar over a query. It sees a skeleton: literals and names as the shortest of their kind,
// a selector, a label filter, a row of line filters as one of their kind, and nothing of what the
// grammar has no rule for although Loki does. So its limits (a list over 2000 characters may have 300
// items more) are far off, and its words are ours. The tree tells how the parts stand to each other;
// what they say is read from the words.

import { parser } from '@grafana/lezer-logql'
import {
  isLineFilter,
  readLabelFilter,
  readLabels,
  readLineFilter,
  readSelector,
} from './parse-stages.ts'
import { BadQuery, placeOf, type Token, unexpected } from './parse-tokens.ts'

export type TreeNode = ReturnType<typeof parser.parse>['topNode']

/** From 2500 on the grammar's tree is another: it is cut flat. */
const TREE_DEPTH_MAX = 2000
/** Each operand may be a search of its own, and their tree is walked from within itself. */
const OPERATORS_MAX = 200

/** Well below where the grammar gives up. */
const STAGES_MAX = 300

/** It stops at the first word that does not fit; else it would invent words to go on. */
const strict = parser.configure({ strict: true })

export interface Grammar {
  /** `Expr`: the whole query. */
  root: TreeNode
  /** The word a place of the skeleton stands for: the first there or after. */
  tokenAt(place: number): number
}

export function grammarOf(text: string, tokens: Token[]): Grammar {
  const skeleton = new Skeleton(text, tokens)
  const tokenAt = (place: number) => skeleton.tokenAt(place)
  let tree: ReturnType<typeof parser.parse>
  try {
    tree = strict.parse(skeleton.text)
  } catch (e) {
    const at = e instanceof SyntaxError ? /^No parse at (\d+)$/.exec(e.message) : null
    if (at === null) throw e
    const index = tokenAt(Number(at[1]))
    throw (index >= skeleton.end && skeleton.failure) || unexpected(text, tokens, index)
  }
  if (skeleton.failure) throw skeleton.failure
  let depth = 0
  let operators = 0
  tree.iterate({
    enter: ({ type, from, name }) => {
      if (type.isError) throw unexpected(text, tokens, tokenAt(from))
      if (++depth > TREE_DEPTH_MAX) throw new BadQuery('parse error : the query is nested too deep')
      if (name === 'BinOpModifier' && ++operators > OPERATORS_MAX) {
        throw new BadQuery(`parse error : more than ${OPERATORS_MAX} operators`)
      }
    },
    leave: () => {
      depth--
    },
  })
  return { root: tree.topNode.firstChild!, tokenAt }
}

const SHORTEST: Partial<Record<Token['kind'], string>> = {
  identifier: 'x',
  string: '""',
  number: '1',
  duration: '1s',
  bytes: '1B',
  range: '[1s]',
}

class Skeleton {
  text = ''
  /** What is wrong within a part that is one word here; the skeleton ends before it. */
  failure: BadQuery | null = null
  /** The word it ends before. */
  end: number
  readonly #starts: number[] = []
  readonly #indexes: number[] = []

  constructor(text: string, tokens: Token[]) {
    const words = { text, tokens, at: 0 }
    const hidden = hiddenOf(tokens)
    let stages = 0
    try {
      while (words.at < tokens.length) {
        const index = words.at
        const word = shortened(words)
        if (word.startsWith('{')) stages = 0
        if (word.startsWith('|') && ++stages > STAGES_MAX) {
          const place = placeOf(text, tokens[index]!.from)
          throw new BadQuery(`${place} more than ${STAGES_MAX} stages`)
        }
        if (!hidden.has(index)) this.#put(word, index)
      }
    } catch (e) {
      if (!(e instanceof BadQuery)) throw e
      this.failure = e
    }
    this.end = this.failure ? words.at : tokens.length
  }

  #put(word: string, index: number): void {
    this.#starts.push(this.text.length)
    this.#indexes.push(index)
    this.text += `${word} `
  }

  tokenAt(place: number): number {
    let low = 0
    let high = this.#starts.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#starts[middle]! < place) low = middle + 1
      else high = middle
    }
    return this.#indexes[low] ?? this.end
  }
}

/** Moves over the next part and tells what the grammar sees of it. */
function shortened(w: { text: string; tokens: Token[]; at: number }): string {
  const token = w.tokens[w.at]!
  const following = w.tokens[w.at + 1]
  if (token.text === '{') {
    readSelector(w)
    return '{x=""}'
  }
  if (isLineFilter(w)) {
    while (isLineFilter(w)) readLineFilter(w)
    return '|=""'
  }
  w.at++
  if (token.text === '|' && (following?.kind === 'identifier' || following?.text === '(')) {
    readLabelFilter(w)
    return '|x=1'
  }
  if (token.text === 'keep' || token.text === 'drop') {
    readLabels(w)
    return `${token.text} x`
  }
  return SHORTEST[token.kind] ?? token.text
}

/**
 * `… | unwrap x [5m] offset 1h` and `(… | unwrap x)[5m]` have no rule: hidden are every offset, which
 * stands behind its range, and the brackets around what a range is of.
 */
function hiddenOf(tokens: Token[]): Set<number> {
  const hidden = new Set<number>()
  const open: number[] = []
  let closed = -1
  for (const [i, { kind, text }] of tokens.entries()) {
    if (kind === 'operator' && text === '(') open.push(i)
    const opened = kind === 'operator' && text === ')' ? (open.pop() ?? -1) : -1
    if (kind === 'range' && closed > 0) {
      const before = tokens[closed - 1]!.text
      if (before === '(' || before === ',') hidden.add(i - 1).add(closed)
    }
    if (
      kind === 'range' &&
      tokens[i + 1]?.text === 'offset' &&
      tokens[i + 2]?.kind === 'duration'
    ) {
      hidden.add(i + 1).add(i + 2)
    }
    closed = opened
  }
  return hidden
}
