// Random records, and random metric queries over them whose every part finds something.

import type {
  Grouping,
  LabelFilter,
  LogQuery,
  Matcher,
  MetricExpr,
  RangeAggregation,
  RangeFunction,
  Stage,
  Unwrap,
  VectorFunction,
} from '../../src/logql/syntax.ts'
import type { Steps } from '../../src/logql/windows.ts'
import { LEVELS, type TextColumn } from '../../src/record.ts'
import type { RecordSpec } from '../batches.ts'
import type { Random } from '../query/random-filter.ts'
import type { PlainRecord } from './metric-oracle.ts'

/** A whole minute. */
export const START_MS = 1_720_000_020_000
const MINUTE = 60_000
/** Records lie in so much time. */
const LENGTH_MS = 4 * MINUTE

export function randomSpec({ below, pick }: Random): RecordSpec {
  const edge = START_MS + below(LENGTH_MS / 1000) * 1000
  const service = pick(['api', 'web', 'db', null])
  const environment = pick(['prod', 'dev', null])
  const trace_id = below(4) === 0 ? pick(['ab12', 'cd34']) : null
  const text = { service, environment, trace_id }
  return {
    ms: below(3) === 0 ? edge : edge + below(1000),
    ns: pick([0, 0, 1, 7, 500_000, 999_999]),
    level: below(LEVELS.length),
    message: randomLine({ below, pick }),
    text: Object.fromEntries(Object.entries(text).filter(([, value]) => value !== null)) as Partial<
      Record<TextColumn, string>
    >,
    attributes: {
      ...(below(2) === 0 && { user: pick(['ann', 'bob', 'cid']) }),
      ...(below(3) > 0 && { took: below(2) === 0 ? below(40) / 4 : below(100) }),
      ...(below(3) > 0 && { wait: pick(['12ms', '1.5s', '2m', '250ms']) }),
      ...(below(2) === 0 && { size: pick<string | number>([12, 13, '14', 'large']) }),
    },
  }
}

function randomLine({ below, pick }: Random): string {
  const status = pick([200, 404, 500])
  const ms = below(60) / 4
  switch (below(8)) {
    case 0:
      return 'timeout of connection'
    case 1:
      return 'Zeitüberschreitung 数据库'
    case 2:
      return '{"broken'
    case 3:
    case 4:
      return `kind=logfmt status=${status} ms=${ms} user=${pick(['ann', 'eve'])}`
    default:
      return JSON.stringify({
        status,
        ms,
        level: 'own',
        user: pick(['ann', 'eve']),
        http: { method: pick(['GET', 'PUT']), lasted: `${below(50)}ms` },
      })
  }
}

/** The record as the plain loop sees it. */
export function plainRecord(spec: RecordSpec, order: number): PlainRecord {
  const { service, environment, trace_id } = spec.text!
  const level = LEVELS[spec.level!]!
  const attributes = Object.entries(spec.attributes ?? {})
  return {
    time: BigInt(spec.ms!) * 1_000_000n + BigInt(spec.ns!),
    order,
    line: spec.message!,
    stream: {
      level,
      detected_level: level,
      ...(service && { service, service_name: service }),
      ...(environment && { environment }),
    },
    metadata: {
      ...Object.fromEntries(attributes.map(([key, value]) => [key, String(value)])),
      ...(trace_id && { trace_id }),
    },
  }
}

export function randomSteps({ below, pick }: Random): Steps {
  const count = pick([1, 1, 2, 5, 12])
  const stepMs = pick([500, 7000, 30_000, 60_000, 60_000, 61_000, 120_000])
  const ms = START_MS + pick([below(LENGTH_MS), MINUTE * below(6), 1000 * below(300)])
  return { start: { ms, ns: pick([0, 0, 0, 1, 999_999]) }, stepMs, count }
}

const GROUPS = ['level', 'detected_level', 'service_name', 'service', 'environment', 'none']
const FOUND = ['user', 'status', 'http_method', 'trace_id', 'took']

function randomGrouping({ below, pick }: Random, isParsed: boolean): Grouping {
  const names = isParsed || below(3) === 0 ? [...GROUPS, ...FOUND] : GROUPS
  const labels = Array.from({ length: below(3) }, () => pick(names))
  return { isWithout: below(4) === 0, labels: [...new Set(labels)] }
}

const match = (name: string, op: Matcher['op'], value: string): LabelFilter => ({
  kind: 'match',
  matcher: { name, op, value },
})
const NO_ERROR = match('__error__', '=', '')
const asks = (filter: LabelFilter): Stage => ({ kind: 'label', filter })

function randomQuery(random: Random, stages: Stage[]): LogQuery {
  const { below, pick } = random
  const matchers: Matcher[] = [
    { name: 'service_name', op: '=~', value: pick(['.+', '.*', 'api|web', 'db']) },
  ]
  if (below(3) === 0) matchers.push({ name: 'level', op: '!=', value: pick(LEVELS) })
  if (below(5) === 0) matchers.push({ name: 'user', op: '=', value: 'ann' })
  if (below(4) > 0) return { kind: 'log', matchers, stages }
  const filters: Stage[] = [
    { kind: 'line', op: pick(['|=', '!='] as const), texts: [pick(['t', 'status', 'ü'])] },
    asks(match('environment', pick(['=', '!='] as const), pick(['prod', '']))),
    asks({ kind: 'compare', name: 'took', op: '>', value: 5, unit: 'number' }),
    asks({ kind: 'compare', name: 'wait', op: '<=', value: 1.5, unit: 'duration' }),
  ]
  return { kind: 'log', matchers, stages: [pick(filters), ...stages] }
}

interface Parser {
  stages: Stage[]
  unwraps: Pick<Unwrap, 'label' | 'conversion'>[]
}

const OWN: Parser = {
  stages: [],
  unwraps: [
    { label: 'took', conversion: null },
    { label: 'took', conversion: null },
    { label: 'wait', conversion: 'duration' },
    { label: 'size', conversion: null },
  ],
}

function randomParser({ below, pick }: Random, fails: boolean): Parser {
  if (below(2) === 0) return OWN
  const isJson = below(3) > 0
  const stages: Stage[] = isJson
    ? [
        { kind: 'line', op: '|=', texts: ['{'] },
        { kind: 'json', fields: [] },
      ]
    : [
        { kind: 'line', op: '|=', texts: ['kind=logfmt'] },
        { kind: 'logfmt', fields: [], isStrict: false, keepsEmpty: false },
      ]
  if (!fails) stages.push(asks(NO_ERROR))
  const more: Stage[][] = [
    [],
    [asks({ kind: 'compare', name: 'status', op: '>=', value: 404, unit: 'number' })],
    [{ kind: 'line_format', template: '{{.status}} é {{.service_name}}' }],
    [{ kind: 'label_format', formats: [{ to: 'code', label: 'status' }] }],
    [{ kind: 'drop', labels: ['user', 'level', 'http_method'] }],
  ]
  return {
    stages: [...stages, ...pick(more)],
    unwraps: [
      { label: 'ms', conversion: null },
      { label: 'took', conversion: null },
      ...(isJson ? [{ label: 'http_lasted', conversion: 'duration' } as const] : []),
    ],
  }
}

const COUNTING: RangeFunction[] = ['count_over_time', 'rate', 'bytes_over_time', 'bytes_rate']
const MEASURING: RangeFunction[] = [
  ...(['sum', 'avg', 'min', 'max', 'quantile', 'first', 'last', 'stddev', 'stdvar'] as const).map(
    (name) => `${name}_over_time` as const,
  ),
  'rate',
]

/** `fails`: nothing is asked of errors, so that one line that is no JSON fails all. */
export function randomRange(random: Random, steps: Steps, fails = false): RangeAggregation {
  const { below, pick } = random
  const parser = randomParser(random, fails)
  const isMeasured = below(2) === 0
  const name =
    !fails && below(12) === 0 ? 'absent_over_time' : pick(isMeasured ? MEASURING : COUNTING)
  const unwrap = isMeasured && {
    ...pick(parser.unwraps),
    filters: below(12) === 0 ? [] : [NO_ERROR],
  }
  const isGrouped = isMeasured && name !== 'rate' && name !== 'absent_over_time'
  return {
    kind: 'range',
    function: name,
    parameter: name === 'quantile_over_time' ? pick([0, 0.5, 0.9, 0.99, 1, -1, 2]) : null,
    query: randomQuery(random, parser.stages),
    unwrap: unwrap || null,
    rangeMs: pick([steps.stepMs, 3 * steps.stepMs, 45_000, 60_000, 90_001, 300_000, 250]),
    offsetMs: pick([0, 0, 0, 30_000, -45_000, 61_001]),
    grouping:
      isGrouped && !fails && below(2) === 0
        ? randomGrouping(random, parser.stages.length > 0)
        : null,
  }
}

const FOLDS: VectorFunction[] = ['sum', 'sum', 'avg', 'min', 'max', 'count', 'stddev', 'stdvar']

export function randomExpr(random: Random, steps: Steps, depth = 2): MetricExpr {
  const { below, pick } = random
  const inner = () => randomExpr(random, steps, depth - 1)
  switch (depth === 0 ? below(2) : below(9)) {
    case 0:
      return randomRange(random, steps, depth === 2 && below(6) === 0)
    case 1:
    case 2:
    case 3:
      return randomAggregation(
        random,
        depth > 0 && below(4) === 0 ? inner() : randomRange(random, steps),
      )
    case 4:
      return {
        kind: 'label_replace',
        of: inner(),
        to: pick(['service_name', 'short']),
        replacement: pick(['<$1>', '$1$2', '']),
        from: pick(['service_name', 'level', 'none']),
        regex: pick(['(.).*', '(a|w)(.+)', '.*']),
      }
    case 5:
    case 6:
      return {
        ...PLAIN_BINARY,
        op: pick(['+', '-', '*', '/', '%', '^', '>', '<=', '!='] as const),
        left: below(3) === 0 ? { kind: 'number', value: pick([2.37, 10.11]) } : inner(),
        right: below(3) === 0 ? inner() : { kind: 'number', value: pick([2.37, 0, 1.13]) },
        isBool: below(2) === 0,
      }
    default:
      return randomPairs(random, steps)
  }
}

const PLAIN_BINARY = { kind: 'binary', isBool: false, matching: null, group: null } as const

function randomAggregation(random: Random, of: MetricExpr): MetricExpr {
  const grouping = random.below(4) === 0 ? null : randomGrouping(random, true)
  const name = random.pick(FOLDS)
  // Of a sum Loki groups by the label that is unwrapped, though no series has it.
  if (grouping && name === 'sum' && of.kind === 'range') {
    grouping.labels = grouping.labels.filter((label) => label !== of.unwrap?.label)
  }
  return { kind: 'aggregation', function: name, parameter: null, of, grouping }
}

/** Two sides of which one, as a rule, has each series once. */
function randomPairs(random: Random, steps: Steps): MetricExpr {
  const { below, pick } = random
  const by = (labels: string[], of: MetricExpr): MetricExpr => ({
    kind: 'aggregation',
    function: pick(['sum', 'max'] as const),
    parameter: null,
    of,
    grouping: { isWithout: false, labels },
  })
  const one = by(['service_name'], randomRange(random, steps))
  const many = by(['service_name', 'level'], randomRange(random, steps))
  const matching = { isIgnoring: below(2) === 0, labels: ['service_name'] }
  if (matching.isIgnoring) matching.labels = ['level']
  const op = pick(['+', '-', '*', '/', 'and', 'or', 'unless'] as const)
  if (op === 'and' || op === 'or' || op === 'unless') {
    return {
      ...PLAIN_BINARY,
      op,
      left: many,
      right: one,
      matching: below(3) === 0 ? null : matching,
    }
  }
  const side = pick(['left', 'right'] as const)
  const sides = side === 'left' ? { left: many, right: one } : { left: one, right: many }
  if (below(3) === 0)
    return {
      ...PLAIN_BINARY,
      op,
      left: one,
      right: by(['service_name'], randomRange(random, steps)),
    }
  const labels = below(2) === 0 ? [] : ['service_name']
  const group = below(6) === 0 ? null : { side, labels }
  return { ...PLAIN_BINARY, op, ...sides, matching, group }
}
