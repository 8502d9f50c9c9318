// A LogQL query as a tree of plain data: what parse.ts makes of a text, format.ts writes again, and all
// else here reads. Names are those of Loki's documentation.

export type LogqlQuery = LogQuery | MetricExpr

/** `{a="b"} |= "c" | json`: a stream selector and a pipeline. */
export interface LogQuery {
  kind: 'log'
  matchers: Matcher[]
  stages: Stage[]
}

/** A label that is absent has the value ''. Regular expressions match the whole value. */
export interface Matcher {
  name: string
  op: '=' | '!=' | '=~' | '!~'
  value: string
}

export type Stage =
  /** The line holds one of the texts (`!`: none of them). */
  | { kind: 'line'; op: LineOp; texts: string[] }
  /** No `fields`: all that is there. */
  | { kind: 'json'; fields: Extraction[] }
  | { kind: 'logfmt'; fields: Extraction[]; isStrict: boolean; keepsEmpty: boolean }
  | { kind: 'regexp'; source: string }
  | { kind: 'pattern'; pattern: string }
  | { kind: 'unpack' }
  | { kind: 'label'; filter: LabelFilter }
  | { kind: 'line_format'; template: string }
  | { kind: 'label_format'; formats: LabelFormat[] }
  | { kind: 'decolorize' }
  | { kind: 'keep' | 'drop'; labels: (string | Matcher)[] }

export type LineOp = '|=' | '!=' | '|~' | '!~' | '|>' | '!>'

/** `json label="path.to[0]"`; of `json label` the expression is the label. */
export interface Extraction {
  label: string
  expression: string
}

export type LabelFormat = { to: string } & ({ label: string } | { template: string })

export type LabelFilter =
  | { kind: 'and' | 'or'; of: LabelFilter[] }
  | { kind: 'match'; matcher: Matcher }
  /** `value` in seconds for a duration, in bytes for bytes. */
  | {
      kind: 'compare'
      name: string
      op: Comparison
      value: number
      unit: 'number' | 'duration' | 'bytes'
    }

export type Comparison = '==' | '!=' | '>' | '>=' | '<' | '<='

export type MetricExpr =
  | RangeAggregation
  | VectorAggregation
  | BinaryExpr
  | { kind: 'number'; value: number }
  | { kind: 'vector'; value: number }
  | LabelReplace

export type RangeFunction =
  | 'count_over_time'
  | 'rate'
  | 'bytes_over_time'
  | 'bytes_rate'
  | 'sum_over_time'
  | 'avg_over_time'
  | 'min_over_time'
  | 'max_over_time'
  | 'quantile_over_time'
  | 'first_over_time'
  | 'last_over_time'
  | 'stddev_over_time'
  | 'stdvar_over_time'
  | 'absent_over_time'

/** `rate({…} | unwrap x [5m] offset 1h) by (y)`. */
export interface RangeAggregation {
  kind: 'range'
  function: RangeFunction
  /** Of quantile_over_time; null for all others. */
  parameter: number | null
  query: LogQuery
  unwrap: Unwrap | null
  rangeMs: number
  /** Positive: into the past. */
  offsetMs: number
  grouping: Grouping | null
}

/** `| unwrap duration(x) | x > 1`. */
export interface Unwrap {
  label: string
  conversion: 'duration' | 'duration_seconds' | 'bytes' | null
  filters: LabelFilter[]
}

export interface Grouping {
  isWithout: boolean
  labels: string[]
}

export type VectorFunction =
  | 'sum'
  | 'avg'
  | 'min'
  | 'max'
  | 'count'
  | 'stddev'
  | 'stdvar'
  | 'topk'
  | 'bottomk'
  | 'sort'
  | 'sort_desc'

/** `sum by (x) (…)`. */
export interface VectorAggregation {
  kind: 'aggregation'
  function: VectorFunction
  /** Of topk and bottomk; null for all others. */
  parameter: number | null
  of: MetricExpr
  /** Null: all series become one; of topk, bottomk and sort, all compete. */
  grouping: Grouping | null
}

export type BinaryOp = Comparison | '+' | '-' | '*' | '/' | '%' | '^' | 'and' | 'or' | 'unless'

/** The higher binds closer. Of one rank the left goes first, but the right of `^`. */
export const OPERATOR_RANKS: Readonly<Record<BinaryOp, number>> = {
  or: 1,
  and: 2,
  unless: 2,
  '==': 3,
  '!=': 3,
  '>': 3,
  '>=': 3,
  '<': 3,
  '<=': 3,
  '+': 4,
  '-': 4,
  '*': 5,
  '/': 5,
  '%': 5,
  '^': 6,
}

/** `a / on (x) b`. */
export interface BinaryExpr {
  kind: 'binary'
  op: BinaryOp
  left: MetricExpr
  right: MetricExpr
  /** Of comparisons: 0 and 1 instead of a filter. */
  isBool: boolean
  /** Null: series with the same labels. */
  matching: { isIgnoring: boolean; labels: string[] } | null
  /** Many series of the left (`group_left`) or right for one of the other side, with labels taken from it. */
  group: { side: 'left' | 'right'; labels: string[] } | null
}

/** `label_replace(of, to, replacement, from, regex)`. */
export interface LabelReplace {
  kind: 'label_replace'
  of: MetricExpr
  to: string
  replacement: string
  from: string
  regex: string
}
