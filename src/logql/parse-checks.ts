// What must hold of a query that is well formed: each selector asks for something, and each regular
// expression is one.

import { compileRegex } from '../query/regex.ts'
import { formatStage } from './format-stages.ts'
import { wholeRegex } from './label-matcher.ts'
import { BadQuery } from './parse-tokens.ts'
import type { LabelFilter, LogQuery, LogqlQuery, Matcher, Stage } from './syntax.ts'

const ALL_MATCH_EMPTY =
  'queries require at least one regexp or equality matcher that does not have an empty-compatible value. For instance, app=~".*" does not meet this requirement, but app=~".+" will'

export function checkQuery(query: LogqlQuery): void {
  const open = [query]
  for (let one = open.pop(); one !== undefined; one = open.pop()) {
    if (one.kind === 'log') checkLogQuery(one)
    if (one.kind === 'range') {
      one.unwrap?.filters.forEach(checkLabelFilter)
      open.push(one.query)
    }
    if (one.kind === 'label_replace') {
      const source = `^(?:${one.regex})$`
      for (const each of [one.regex, source]) {
        checkRegex(each, 'parse error : invalid regex in label_replace:')
      }
    }
    if (one.kind === 'aggregation' || one.kind === 'label_replace') open.push(one.of)
    if (one.kind === 'binary') open.push(one.right, one.left)
  }
}

function checkLogQuery({ matchers, stages }: LogQuery): void {
  for (const one of matchers) checkMatcher(one)
  // One that all streams match would read all there is.
  if (matchers.every(matchesEmpty)) throw new BadQuery(`parse error : ${ALL_MATCH_EMPTY}`)
  for (const stage of stages) checkStage(stage)
}

function checkStage(stage: Stage): void {
  switch (stage.kind) {
    case 'line':
      if (stage.op !== '|~' && stage.op !== '!~') break
      for (const text of stage.texts) {
        checkRegex(text, `parse error : stage '${formatStage(stage)}' :`)
      }
      break
    case 'regexp':
      checkRegex(stage.source, 'parse error : invalid regexp parser:')
      break
    case 'label':
      checkLabelFilter(stage.filter)
      break
    case 'keep':
    case 'drop':
      for (const one of stage.labels) if (typeof one !== 'string') checkMatcher(one)
      break
  }
}

function checkLabelFilter(filter: LabelFilter): void {
  if (filter.kind === 'match') checkMatcher(filter.matcher)
  else if (filter.kind !== 'compare') filter.of.forEach(checkLabelFilter)
}

/** By itself as well: `a)(b` is none, although it is one in brackets. */
export function checkMatcher({ op, value }: Matcher): void {
  if (op === '=' || op === '!=') return
  checkRegex(value, 'parse error :')
  checkRegex(wholeRegex(value), 'parse error :')
}

function checkRegex(source: string, before: string): void {
  const regex = compileRegex(source)
  if (regex.ok) return
  const why = regex.error.message.replace(/^.* is not one of RE2: /s, 'error parsing regexp: ')
  throw new BadQuery(`${before} ${why}`)
}

function matchesEmpty({ op, value }: Matcher): boolean {
  if (op === '=' || op === '!=') return (value === '') === (op === '=')
  const regex = compileRegex(wholeRegex(value))
  return regex.ok && regex.data.test('') === (op === '=~')
}
