// Two operands of an expression: numbers, or the series that have a value at one step. Series of two
// sides belong together where their labels agree, as Prometheus matches them; like Loki, what is
// divided by 0 is no number, and not infinite.

import { type LabelSets, type Labels, labelValue } from './label-sets.ts'
import { Refusal } from './refusal.ts'
import type { BinaryExpr, BinaryOp, Comparison } from './syntax.ts'
import type { Value } from './vector.ts'
import { grouped } from './vector-aggregation.ts'

type SetOp = 'and' | 'or' | 'unless'
type Arithmetic = Exclude<BinaryOp, Comparison | SetOp>

const ARITHMETIC: Record<Arithmetic, (a: number, b: number) => number> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => (b === 0 ? Number.NaN : a / b),
  '%': (a, b) => (b === 0 ? Number.NaN : a % b),
  '^': power,
}

const COMPARISONS: Record<Comparison, (a: number, b: number) => boolean> = {
  '==': (a, b) => a === b,
  '!=': (a, b) => a !== b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
}

/** 1 to any power is 1, and -1 to an infinite one, as C and Go have it. */
function power(a: number, b: number): number {
  if (a === 1 || (a === -1 && Math.abs(b) === Number.POSITIVE_INFINITY)) return 1
  return a ** b
}

const isComparison = (op: BinaryOp): op is Comparison => Object.hasOwn(COMPARISONS, op)
export const isSetOp = (op: BinaryOp): op is SetOp => op === 'and' || op === 'or' || op === 'unless'

/** Two numbers make one: a comparison 0 or 1. */
export const ofNumbers = (op: BinaryOp, a: number, b: number): number =>
  isComparison(op) ? Number(COMPARISONS[op](a, b)) : ARITHMETIC[op as Arithmetic](a, b)

/** The value of two; null: the comparison fails, and filters. `kept` is that of the side that passes. */
function combined({ op, isBool }: BinaryExpr, a: number, b: number, kept: number): number | null {
  if (!isComparison(op) || isBool) return ofNumbers(op, a, b)
  return COMPARISONS[op](a, b) ? kept : null
}

/** Series and a number: each for itself, with all its labels. */
export function withNumber(
  expr: BinaryExpr,
  values: Value[],
  number: number,
  isNumberLeft: boolean,
): Value[] {
  return values.flatMap(({ labels, value }) => {
    const made = isNumberLeft
      ? combined(expr, number, value, value)
      : combined(expr, value, number, value)
    return made === null ? [] : [{ labels, value: made }]
  })
}

/** What the series of both sides make at one step. */
export function matching(
  expr: BinaryExpr,
  sets: LabelSets,
): (left: Value[], right: Value[]) => Value[] {
  const { op, matching } = expr
  const keyOf = grouped(sets, {
    isWithout: matching?.isIgnoring ?? true,
    labels: matching?.labels ?? [],
  })
  return isSetOp(op) ? setOperation(op, keyOf) : pairing(expr, sets, keyOf)
}

function setOperation(op: SetOp, keyOf: (labels: Labels) => Labels) {
  const keysOf = (values: Value[]) => new Set(values.map(({ labels }) => keyOf(labels)))
  return (left: Value[], right: Value[]): Value[] => {
    if (op === 'or') {
      const keys = keysOf(left)
      return [...left, ...right.filter(({ labels }) => !keys.has(keyOf(labels)))]
    }
    const keys = keysOf(right)
    return left.filter(({ labels }) => keys.has(keyOf(labels)) === (op === 'and'))
  }
}

const DUPLICATE = 'many-to-many matching not allowed: matching labels must be unique on one side'

function pairing(expr: BinaryExpr, sets: LabelSets, keyOf: (labels: Labels) => Labels) {
  const { group } = expr
  // Of the other side each series is alone.
  const isManyRight = group?.side === 'right'
  const labelsOf = resultLabels(expr, sets, keyOf)
  return (left: Value[], right: Value[]): Value[] => {
    const [many, ones] = isManyRight ? [right, left] : [left, right]
    const oneOf = new Map<Labels, Value>()
    for (const one of ones) {
      const key = keyOf(one.labels)
      if (oneOf.has(key)) {
        const side = isManyRight ? 'left' : 'right'
        throw new Refusal(`found duplicate series on the ${side} hand-side; ${DUPLICATE}`)
      }
      oneOf.set(key, one)
    }
    const results: Value[] = []
    const made = new Set<Labels>()
    for (const other of many) {
      const key = keyOf(other.labels)
      const one = oneOf.get(key)
      if (!one) continue
      const labels = labelsOf(other.labels, one.labels)
      // Of a series that is alone the key is taken once, of the others each result.
      const taken = group ? labels : key
      if (made.has(taken)) {
        throw new Refusal(
          group
            ? 'multiple matches for labels: grouping labels must ensure unique matches'
            : 'multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)',
        )
      }
      made.add(taken)
      const [a, b] = isManyRight ? [one.value, other.value] : [other.value, one.value]
      const value = combined(expr, a, b, a)
      if (value !== null) results.push({ labels, value })
    }
    return results
  }
}

/** The labels of what two series make: what they agree in; of many the many's, with some of the one's. */
function resultLabels(
  { group }: BinaryExpr,
  sets: LabelSets,
  keyOf: (labels: Labels) => Labels,
): (many: Labels, one: Labels) => Labels {
  if (!group) return keyOf
  const taken = new Set(group.labels)
  if (taken.size === 0) return (many) => many
  return (many, one) =>
    sets.of([
      ...many.pairs.filter(([name]) => !taken.has(name)),
      ...[...taken].map((name) => [name, labelValue(one, name)] as const),
    ])
}
