// The expression of a field of `| json a="b.c[0]"`: keys and indexes from the outside in.

import { err, ok, type Result } from '../result.ts'

/** A number is an index of an array. */
export type JsonPath = (string | number)[]

const SPACE = /[ \t\n]*/y
const FIELD = /[a-zA-Z_][a-zA-Z0-9_]*/y
const KEY = /\[[ \t\n]*"([^"\]]*)"?[ \t\n]*\]/y
const INDEX = /\[[ \t\n]*(\d+)[ \t\n]*\]/y
const DOT = /\./y

export function parseJsonPath(expression: string): Result<JsonPath> {
  const path: JsonPath = []
  let at = 0
  const take = (form: RegExp) => {
    form.lastIndex = at
    const found = form.exec(expression)
    if (found) at = form.lastIndex
    return found
  }
  take(SPACE)
  while (at < expression.length || path.length === 0) {
    const hasDot = path.length > 0 && take(DOT) !== null
    take(SPACE)
    const field = hasDot || path.length === 0 ? take(FIELD) : null
    const index = field || hasDot ? null : take(INDEX)
    const key = field || hasDot || index ? null : take(KEY)
    if (field) path.push(field[0])
    else if (index) path.push(Number(index[1]))
    else if (key) path.push(key[1]!)
    else return err('bad_query', faultOf(expression, at))
    take(SPACE)
  }
  return ok(path)
}

function faultOf(expression: string, at: number): string {
  const code = expression.codePointAt(at)
  if (code === undefined) return 'syntax error: unexpected $end'
  return `syntax error: unexpected ${String.fromCodePoint(code)} at character ${at + 1}`
}
