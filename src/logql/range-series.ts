// The series of one range aggregation: which labels tell them apart, and a number for each. They are
// bounded, because whoever logs may make a label of anything.

import type { LabelSets, Labels } from './label-sets.ts'
import { STREAM_LABELS } from './labels.ts'
import { Refusal } from './refusal.ts'
import type { Grouping, LabelFilter, RangeAggregation, Stage } from './syntax.ts'

/** Of one aggregation; each has a window at every step. */
const COUNTED_SERIES_MAX = 10_000
/** Characters of all their labels: a value may have 64 KiB. */
const SERIES_CHARS_MAX = 4_000_000

export class SeriesTable {
  readonly labels: Labels[] = []
  readonly #sets: LabelSets
  readonly #numbers = new Map<Labels, number>()
  #chars = 0

  constructor(sets: LabelSets) {
    this.#sets = sets
  }

  /** The number of a series; names are given once. */
  numberOf(pairs: Iterable<readonly [string, string]>): number {
    const labels = this.#sets.of(pairs)
    const known = this.#numbers.get(labels)
    if (known !== undefined) return known
    this.#chars += labels.key.length
    if (this.labels.length === COUNTED_SERIES_MAX || this.#chars > SERIES_CHARS_MAX) {
      throw new Refusal(
        this.labels.length === COUNTED_SERIES_MAX
          ? `the query has more than ${COUNTED_SERIES_MAX} series inside: group by labels with fewer values, or select fewer streams`
          : `the labels of the series inside the query have more than ${SERIES_CHARS_MAX} characters: group by other labels`,
      )
    }
    const number = this.labels.push(labels) - 1
    this.#numbers.set(labels, number)
    return number
  }
}

/** The labels that tell series apart. */
export type Naming =
  | { by: string[] }
  /** All of the stream and of what stages made, and of structured metadata those that the query names. */
  | { without: ReadonlySet<string>; metadata: ReadonlySet<string> }

/**
 * `pushed`: the grouping of the aggregation around it, where it may come before; `named`: labels that
 * are asked of its series.
 */
export function namingOf(
  aggregation: RangeAggregation,
  pushed: Grouping | null,
  named: string[],
): Naming {
  if (aggregation.function === 'absent_over_time') return { by: [] }
  const grouping = aggregation.grouping ?? pushed
  if (grouping && !grouping.isWithout) return { by: [...new Set(grouping.labels)].sort() }
  const { unwrap, query } = aggregation
  const without = new Set(grouping?.labels)
  // It is the value, and would make a series of each.
  if (unwrap) without.add(unwrap.label)
  const filters = unwrap?.filters ?? []
  const asked = [...query.stages.flatMap(namesOf), ...filters.flatMap(filterNames)]
  const metadata = new Set([...named, ...asked])
  return { without, metadata }
}

/** The labels of a series where no stage makes any. */
export function ownNames(naming: Naming): string[] {
  if ('by' in naming) return naming.by
  const all = new Set([...STREAM_LABELS.keys(), ...naming.metadata])
  return [...all].filter((name) => !naming.without.has(name)).sort()
}

/** Labels that a stage asks or keeps. Those that a template shows are not among them. */
function namesOf(stage: Stage): string[] {
  switch (stage.kind) {
    case 'label':
      return filterNames(stage.filter)
    case 'keep':
      return stage.labels.map((label) => (typeof label === 'string' ? label : label.name))
    default:
      return []
  }
}

export function filterNames(filter: LabelFilter): string[] {
  switch (filter.kind) {
    case 'match':
      return [filter.matcher.name]
    case 'compare':
      return [filter.name]
    default:
      return filter.of.flatMap(filterNames)
  }
}
