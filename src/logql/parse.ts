// LogQL text to tree. Three steps: words (parse-tokens.ts), how they stand to each other by the
// grammar of the package (parse-grammar.ts), and what they mean (parse-stages.ts, parse-metric.ts).
// What Loki reads otherwise than we could is refused, and the errors are in its words where known.

import { compileRegex } from '../query/regex.ts'
import { err, ok, type Result } from '../result.ts'
import { treeOf } from './parse-grammar.ts'
import { readExpr } from './parse-metric.ts'
import { readSelector, wholeRegex } from './parse-stages.ts'
import { BadQuery, tokenize, unexpected } from './parse-tokens.ts'
import type { LogqlQuery, Matcher } from './syntax.ts'

/** As in Loki: long queries are made by programs, of alternatives or names. */
const TEXT_CHARS_END = 131_072

const ALL_MATCH_EMPTY =
  'queries require at least one regexp or equality matcher that does not have an empty-compatible value. For instance, app=~".*" does not meet this requirement, but app=~".+" will'

/** Reads a query of logs or metrics. What comes back is carried out without further checks of form. */
export function parseLogql(text: string): Result<LogqlQuery> {
  return caught(text, () => {
    const tokens = tokenize(text)
    // The grammar wants a matcher in every selector, and so does Loki in the end.
    const isEmpty = tokens.some(({ text }, i) => text === '{' && tokens[i + 1]?.text === '}')
    if (isEmpty) throw new BadQuery(`parse error : ${ALL_MATCH_EMPTY}`)
    const tree = treeOf(text, tokens)
    const query = readExpr(tree.topNode.firstChild!, { text, tokens, at: 0 })
    checkMatchers(query)
    return query
  })
}

/** Reads a stream selector alone, which may be one that all streams match: `{}`. */
export function parseMatchers(text: string): Result<Matcher[]> {
  return caught(text, () => {
    const words = { text, tokens: tokenize(text), at: 0 }
    const matchers = readSelector(words)
    if (words.at < words.tokens.length) throw unexpected(text, words.tokens, words.at)
    return matchers
  })
}

function caught<T>(text: string, read: () => T): Result<T> {
  if (text.length >= TEXT_CHARS_END) {
    const size = `${text.length} > ${TEXT_CHARS_END}`
    return err('bad_query', `parse error : input size too long (${size})`)
  }
  try {
    return ok(read())
  } catch (e) {
    if (e instanceof BadQuery) return err('bad_query', e.message)
    throw e
  }
}

/** Each selector must ask for something: one that all streams match reads all there is. */
function checkMatchers(query: LogqlQuery): void {
  const open = [query]
  for (let one = open.pop(); one !== undefined; one = open.pop()) {
    if (one.kind === 'log' && one.matchers.every(matchesEmpty)) {
      throw new BadQuery(`parse error : ${ALL_MATCH_EMPTY}`)
    }
    if (one.kind === 'range') open.push(one.query)
    if (one.kind === 'aggregation' || one.kind === 'label_replace') open.push(one.of)
    if (one.kind === 'binary') open.push(one.right, one.left)
  }
}

function matchesEmpty({ op, value }: Matcher): boolean {
  if (op === '=' || op === '!=') return (value === '') === (op === '=')
  const regex = compileRegex(wholeRegex(value))
  return regex.ok && regex.data.test('') === (op === '=~')
}
