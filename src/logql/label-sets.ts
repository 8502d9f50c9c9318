// The labels of series. Two with the same labels are one object, so that what is made of one - the
// group it belongs to, what it is matched by - is made once and not at every step.

import { quote } from './literals.ts'

/** Sorted by name; no value is ''. */
export interface Labels {
  readonly key: string
  readonly pairs: readonly (readonly [name: string, value: string])[]
}

type Pair = readonly [name: string, value: string]

const byName = ([a]: Pair, [b]: Pair) => (a < b ? -1 : Number(a > b))

export class LabelSets {
  readonly none: Labels
  readonly #known = new Map<string, Labels>()

  constructor() {
    this.none = this.of([])
  }

  /** Names are given once, in any order. Values of '' are no labels. */
  of(pairs: Iterable<Pair>): Labels {
    const sorted = [...pairs].filter(([, value]) => value !== '').sort(byName)
    const key = JSON.stringify(sorted)
    let labels = this.#known.get(key)
    if (!labels) {
      labels = { key, pairs: sorted }
      this.#known.set(key, labels)
    }
    return labels
  }
}

/** A function of labels that remembers what it made of each. */
export function remembered<T>(make: (labels: Labels) => T): (labels: Labels) => T {
  const known = new Map<Labels, T>()
  return (labels) => {
    let made = known.get(labels)
    if (made === undefined) {
      made = make(labels)
      known.set(labels, made)
    }
    return made
  }
}

export const labelValue = ({ pairs }: Labels, name: string): string =>
  pairs.find(([one]) => one === name)?.[1] ?? ''

/** `{a="b", c="d"}`, as it is shown to people. */
export const showLabels = (pairs: Iterable<Pair>): string =>
  `{${[...pairs].map(([name, value]) => `${name}=${quote(value)}`).join(', ')}}`
