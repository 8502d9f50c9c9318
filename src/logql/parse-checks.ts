// What must hold of a query that is well formed: each selector asks for something, and each regular
// expression is one.

import { compileRegex, type Regex } from '../query/regex.ts'
import type { Result } from '../result.ts'
import { formatStage } from './format-stages.ts'
import { wholeRegex } from './label-matcher.ts'
import { BadQuery } from './parse-tokens.ts'
import { RegexBudget } from './regex-budget.ts'
import { listedValues } from './regex-list.ts'
import type { LabelFilter, LogQuery, LogqlQuery, Matcher, Stage } from './syntax.ts'

const ALL_MATCH_EMPTY =
  'queries require at least one regexp or equality matcher that does not have an empty-compatible value. For instance, app=~".*" does not meet this requirement, but app=~".+" will'

export function checkQuery(query: LogqlQuery): void {
  const open = [query]
  for (let one = open.pop(); one !== undefined; one = open.pop()) {
    if (one.kind === 'log') checkLogQuery(one)
    if (one.kind === 'range') {
      const regexes = new RegexBudget()
      for (const filter of one.unwrap?.filters ?? []) checkLabelFilter(filter, regexes)
      open.push(one.query)
    }
    if (one.kind === 'label_replace') {
      const source = `^(?:${one.regex})$`
      for (const each of [one.regex, source]) {
        checked(compileRegex(each), 'parse error : invalid regex in label_replace:')
      }
    }
    if (one.kind === 'aggregation' || one.kind === 'label_replace') open.push(one.of)
    if (one.kind === 'binary') open.push(one.right, one.left)
  }
}

function checkLogQuery({ matchers, stages }: LogQuery): void {
  // Each of them may run over every line.
  const regexes = new RegexBudget()
  checkMatchers(matchers, regexes)
  // One that all streams match would read all there is.
  if (matchers.every(matchesEmpty)) throw new BadQuery(`parse error : ${ALL_MATCH_EMPTY}`)
  for (const stage of stages) checkStage(stage, regexes)
}

function checkStage(stage: Stage, regexes: RegexBudget): void {
  switch (stage.kind) {
    case 'line':
      if (stage.op !== '|~' && stage.op !== '!~') break
      for (const text of stage.texts) {
        checked(regexes.compile(text), `parse error : stage '${formatStage(stage)}' :`)
      }
      break
    case 'regexp':
      checked(regexes.compile(stage.source), 'parse error : invalid regexp parser:')
      break
    case 'label':
      checkLabelFilter(stage.filter, regexes)
      break
    case 'keep':
    case 'drop':
      for (const one of stage.labels) if (typeof one !== 'string') checkMatcher(one, regexes)
      break
  }
}

function checkLabelFilter(filter: LabelFilter, regexes: RegexBudget): void {
  if (filter.kind === 'match') checkMatcher(filter.matcher, regexes)
  else if (filter.kind !== 'compare') for (const one of filter.of) checkLabelFilter(one, regexes)
}

export function checkMatchers(matchers: Matcher[], regexes = new RegexBudget()): void {
  for (const one of matchers) checkMatcher(one, regexes)
}

/** By itself as well: `a)(b` is none, although it is one in brackets. */
function checkMatcher({ op, value }: Matcher, regexes: RegexBudget): void {
  if (op === '=' || op === '!=' || listedValues(value)) return
  checked(regexes.compile(value), 'parse error :')
  checked(compileRegex(wholeRegex(value)), 'parse error :')
}

function checked(regex: Result<Regex>, before: string): void {
  if (regex.ok) return
  const why = regex.error.message.replace(/^.* is not one of RE2: /s, 'error parsing regexp: ')
  throw new BadQuery(`${before} ${why}`)
}

function matchesEmpty({ op, value }: Matcher): boolean {
  if (op === '=' || op === '!=') return (value === '') === (op === '=')
  const listed = listedValues(value)
  if (listed) return listed.includes('') === (op === '=~')
  const regex = compileRegex(wholeRegex(value))
  return regex.ok && regex.data.test('') === (op === '=~')
}
