// The metric side of a query, from the grammar's tree. The grammar knows no ranks of operators, so a
// chain of them is read as a row and built again by Loki's ranks; and what Loki refuses after its
// grammar has agreed is refused here, in its words.

import type { TreeNode } from './parse-grammar.ts'
import {
  isNext,
  type LogRange,
  readLogRange,
  readNumber,
  take,
  type Words,
} from './parse-stages.ts'
import { BadQuery, placeOf, unexpected } from './parse-tokens.ts'
import {
  type BinaryExpr,
  type BinaryOp,
  type Grouping,
  type LogqlQuery,
  type MetricExpr,
  OPERATOR_RANKS,
  type RangeFunction,
  type VectorFunction,
} from './syntax.ts'

/** Words, and the one that a node of the grammar's tree begins or ends at. */
interface Query extends Words {
  tokenAt(place: number): number
}

type Modifier = Pick<BinaryExpr, 'isBool' | 'matching' | 'group'>
interface Operator extends Modifier {
  op: BinaryOp
}

/** Reads a node `Expr` or `MetricExpr`, which may stand for stages and selector alone. */
export function readExpr(node: TreeNode, w: Query): LogqlQuery {
  const operands: LogqlQuery[] = []
  const operators: Operator[] = []
  const reduce = () => {
    const right = operands.pop()!
    const left = operands.pop()!
    operands.push(combined(operators.pop()!, left, right))
  }
  for (const part of rowOf(node)) {
    if (part.name === 'BinOpModifier') {
      const operator = readOperator(part, w)
      const rank = OPERATOR_RANKS[operator.op]
      const isBefore = (op: BinaryOp) =>
        OPERATOR_RANKS[op] > rank || (OPERATOR_RANKS[op] === rank && op !== '^')
      while (operators.length > 0 && isBefore(operators.at(-1)!.op)) reduce()
      operators.push(operator)
    } else operands.push(readOperand(part, w))
  }
  while (operators.length > 0) reduce()
  return operands[0]!
}

/** Operands and, between them, modifiers of operators, in order. Brackets keep what they hold. */
function rowOf(node: TreeNode): TreeNode[] {
  const row: TreeNode[] = []
  const open = [node]
  for (let top = open.pop(); top !== undefined; top = open.pop()) {
    const child = top.firstChild
    if (top.name === 'BinOpExpr') {
      const [left, right] = top.getChildren('Expr')
      open.push(right!, top.getChild('BinOpModifier')!, left!)
    } else if (top.name === 'Expr' || child?.name === 'BinOpExpr') open.push(child!)
    else row.push(top.name === 'MetricExpr' ? child! : top)
  }
  return row
}

function readOperator(modifier: TreeNode, w: Query): Operator {
  goTo(modifier.prevSibling!, w)
  const operator: Operator = {
    op: w.tokens[w.at]!.text as BinaryOp,
    isBool: modifier.getChild('Bool') !== null,
    matching: null,
    group: null,
  }
  const [matched, grouped] = modifier.getChildren('GroupingLabels')
  const on = modifier.getChild('OnOrIgnoringModifier')
  if (on !== null) {
    const isIgnoring = on.getChild('Ignoring') !== null
    operator.matching = { isIgnoring, labels: readLabels(on.getChild('GroupingLabels'), w) }
  }
  const left = modifier.getChild('GroupLeft')
  if (left !== null || modifier.getChild('GroupRight') !== null) {
    operator.group = { side: left ? 'left' : 'right', labels: readLabels(grouped ?? matched, w) }
  }
  return operator
}

/** Sets the reader of words to where a node begins. */
function goTo(node: TreeNode, w: Query): void {
  w.at = w.tokenAt(node.from)
}

/** The names in brackets, commas between them. */
function readLabels(node: TreeNode | null | undefined, w: Query): string[] {
  const labels: string[] = []
  if (!node) return labels
  goTo(node, w)
  while (!isNext(w, '(')) w.at++
  w.at++
  while (!isNext(w, ')')) {
    if (labels.length > 0) {
      if (!isNext(w, ',')) throw unexpected(w.text, w.tokens, w.at)
      w.at++
    }
    labels.push(take(w, 'identifier').text)
  }
  return labels
}

function combined(operator: Operator, left: LogqlQuery, right: LogqlQuery): MetricExpr {
  const { op } = operator
  for (const [side, leg] of Object.entries({ left, right })) {
    if (leg.kind === 'log') {
      const type = leg.stages.length > 0 ? 'PipelineExpr' : 'MatchersExpr'
      throw refused(`unexpected type for ${side} leg of binary operation (${op}): *syntax.${type}`)
    }
    if (OPERATOR_RANKS[op] <= OPERATOR_RANKS.and && leg.kind === 'number') {
      const value = leg.value.toFixed(6)
      throw refused(
        `unexpected literal for ${side} leg of logical/set binary operation (${op}): ${value}`,
      )
    }
  }
  if (left.kind === 'number' && right.kind === 'number') {
    return { kind: 'number', value: computed(op, left.value, right.value) }
  }
  return { kind: 'binary', ...operator, left: left as MetricExpr, right: right as MetricExpr }
}

/** Two numbers are one, as Loki has it: a comparison is 0 or 1, a division by 0 is no number. */
function computed(op: BinaryOp, left: number, right: number): number {
  switch (op) {
    case '+':
      return left + right
    case '-':
      return left - right
    case '*':
      return left * right
    case '/':
      return right === 0 ? Number.NaN : left / right
    case '%':
      return right === 0 ? Number.NaN : left % right
    case '^':
      return left === 1 ? 1 : left ** right
    case '==':
      return Number(left === right)
    case '!=':
      return Number(left !== right)
    case '>':
      return Number(left > right)
    case '>=':
      return Number(left >= right)
    case '<':
      return Number(left < right)
    default:
      return Number(left <= right)
  }
}

const refused = (why: string): BadQuery => new BadQuery(`parse error : ${why}`)

function readOperand(node: TreeNode, w: Query): LogqlQuery {
  goTo(node, w)
  switch (node.name) {
    case 'LogExpr':
      return readLogRange(w, w.tokenAt(node.to)).query
    case 'RangeAggregationExpr':
      return readRange(node, w)
    case 'VectorAggregationExpr':
      return readAggregation(node, w)
    case 'LiteralExpr':
      return { kind: 'number', value: readNumber(w) }
    case 'VectorExpr':
      w.at += 2
      return { kind: 'vector', value: take(w, 'number').number }
    case 'LabelReplaceExpr':
      return readLabelReplace(node, w)
    case 'MetricExpr':
      return readExpr(node, w)
    default:
      throw new BadQuery(
        `${placeOf(w.text, w.tokens[w.at]!.from)} ${w.tokens[w.at]!.text} is not supported`,
      )
  }
}

/** The number before the comma, as it is written. */
function readParameter(node: TreeNode, w: Query): { text: string; value: number } | null {
  const parameter = node.getChild('Number')
  if (parameter === null) return null
  goTo(parameter, w)
  const { text, number } = take(w, 'number')
  return { text, value: number }
}

function readGrouping(node: TreeNode, w: Query): Grouping | null {
  const grouping = node.getChild('Grouping')
  if (grouping === null) return null
  return { isWithout: grouping.getChild('Without') !== null, labels: readLabels(grouping, w) }
}

function readRange(node: TreeNode, w: Query): MetricExpr {
  const name = w.tokens[w.at]!.text as RangeFunction
  const parameter = readParameter(node, w)
  const grouping = readGrouping(node, w)
  const range = node.getChild('LogRangeExpr')!
  goTo(range, w)
  const read = readLogRange(w, w.tokenAt(range.to))
  checkRange(name, parameter?.text ?? null, read, grouping)
  return { kind: 'range', function: name, parameter: parameter?.value ?? null, ...read, grouping }
}

const GROUPED = /^(?:avg|stddev|stdvar|quantile|max|min|first|last)_over_time$/
const UNWRAPPED = /^(?:sum_over_time|rate|absent_over_time)$/
const PLAIN = /^(?:bytes_over_time|bytes_rate|count_over_time|rate|absent_over_time)$/

function checkRange(
  name: RangeFunction,
  parameter: string | null,
  { unwrap }: LogRange,
  grouping: Grouping | null,
): void {
  const isQuantile = name === 'quantile_over_time'
  if (parameter !== null && !isQuantile) {
    throw refused(`parameter ${parameter} not supported for operation ${name}`)
  }
  if (parameter === null && isQuantile) throw refused(`parameter required for operation ${name}`)
  if (grouping !== null && !GROUPED.test(name)) {
    throw refused(`grouping not allowed for ${name} aggregation`)
  }
  if (unwrap !== null && !GROUPED.test(name) && !UNWRAPPED.test(name)) {
    throw refused(`invalid aggregation ${name} with unwrap`)
  }
  if (unwrap === null && !PLAIN.test(name)) {
    throw refused(`invalid aggregation ${name} without unwrap`)
  }
}

function readAggregation(node: TreeNode, w: Query): MetricExpr {
  const name = w.tokens[w.at]!.text as VectorFunction
  const parameter = readParameter(node, w)
  if (name === 'topk' || name === 'bottomk') {
    if (parameter === null) throw refused(`parameter required for operation ${name}`)
    const { text } = parameter
    if (!/^\d{1,15}$/.test(text)) throw refused(`invalid parameter ${name}(${text},`)
    if (Number(text) === 0) {
      throw refused(`invalid parameter (must be greater than 0) ${name}(${text}`)
    }
  } else if (parameter !== null) {
    throw refused(`unsupported parameter for operation ${name}(${parameter.text},`)
  }
  const read = readGrouping(node, w)
  // By no labels: all become one, as without any grouping.
  const grouping = read && (read.isWithout || read.labels.length > 0) ? read : null
  if (grouping !== null && grouping.labels.length > 0 && name.startsWith('sort')) {
    throw refused("sort and sort_desc doesn't allow grouping by ")
  }
  const of = readMetric(node.getChild('MetricExpr')!, w)
  return { kind: 'aggregation', function: name, parameter: parameter?.value ?? null, of, grouping }
}

function readMetric(node: TreeNode, w: Query): MetricExpr {
  const expr = readExpr(node, w)
  if (expr.kind !== 'log') return expr
  goTo(node, w)
  throw unexpected(w.text, w.tokens, w.at)
}

function readLabelReplace(node: TreeNode, w: Query): MetricExpr {
  const of = readMetric(node.getChild('MetricExpr')!, w)
  const [to, replacement, from, regex] = node.getChildren('String').map((string) => {
    goTo(string, w)
    return take(w, 'string').string
  })
  return {
    kind: 'label_replace',
    of,
    to: to!,
    replacement: replacement!,
    from: from!,
    regex: regex!,
  }
}
