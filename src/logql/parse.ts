// LogQL text to tree. Four steps: words (parse-tokens.ts), how they stand to each other by the grammar
// of the package (parse-grammar.ts), what they mean (parse-stages.ts, parse-metric.ts), and what must
// hold beyond form (parse-checks.ts). What is not read as Loki reads it is refused, in its words where
// they are known.

import { err, ok, type Result } from '../result.ts'
import { checkMatchers, checkQuery } from './parse-checks.ts'
import { grammarOf } from './parse-grammar.ts'
import { readExpr } from './parse-metric.ts'
import { readSelector } from './parse-stages.ts'
import { BadQuery, tokenize, unexpected } from './parse-tokens.ts'
import type { LogqlQuery, Matcher } from './syntax.ts'

/** As in Loki: long queries are made by programs, of alternatives or names. */
const TEXT_CHARS_END = 131_072

/** Reads a query of logs or metrics. */
export function parseLogql(text: string): Result<LogqlQuery> {
  return caught(text, () => {
    const tokens = tokenize(text)
    const grammar = grammarOf(text, tokens)
    const query = readExpr(grammar.root, { text, tokens, at: 0, tokenAt: grammar.tokenAt })
    checkQuery(query)
    return query
  })
}

/** Reads a stream selector alone, which may be one that all streams match: `{}`. */
export function parseMatchers(text: string): Result<Matcher[]> {
  return caught(text, () => {
    const words = { text, tokens: tokenize(text), at: 0 }
    const matchers = readSelector(words)
    if (words.at < words.tokens.length) throw unexpected(text, words.tokens, words.at)
    checkMatchers(matchers)
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
