// Message patterns of what matches: how many records each has, of which level and service, when. With
// a second counter of the time before, also what changed.

import { patternId } from '../block/pattern.ts'
import type { StoredBatch } from '../block/stored.ts'
import { GROUP_CELLS_MAX, GROUPS_MAX, PATTERN_SERVICES_MAX } from '../limits.ts'
import { addPattern, type Buckets, type Counted, type PatternSum } from '../query/ask.ts'
import { LEVELS } from '../record.ts'
import { bucketsOf, type Counter, shareOf } from './counting.ts'
import { FieldReader, inOnePiece, PATTERNS_NEEDED, patternValues } from './field-values.ts'

/** Services named of one pattern in an answer. */
const SERVICES_SHOWN = 10

export interface PatternView {
  id: string
  /** Null where only the id is known. */
  pattern: string | null
  count: number
  share: number
  levels: Record<string, number>
  services: Record<string, number>
  histogram: number[]
  first_seen: number
  last_seen: number
  sample_id: string
  change?: Change
  count_before?: number
}

type Change = 'new' | 'gone' | 'more' | 'less' | 'same'

/** What records were before, and how long that was compared to the time that is asked for. */
export interface Before {
  counter: PatternsCounter
  /** Length of the time that is asked for, divided by that of the time before. */
  ratio: number
}

export class PatternsCounter implements Counter {
  readonly needed = {
    columns: new Set([...PATTERNS_NEEDED.columns, 'level', 'service'] as const),
    attributes: [],
  }
  readonly isSlow = true
  records = 0
  /** Records without a pattern, and those of whose pattern the catalog knows nothing. */
  unpatterned = 0
  /** Records of patterns that found no place. */
  other = 0
  readonly sums = new Map<string, PatternSum>()
  readonly #buckets: Buckets
  readonly #sumsMax: number
  readonly #byText = new Map<string, PatternSum>()
  readonly #service = new FieldReader({ in: 'column', name: 'service' })

  constructor(buckets: Buckets) {
    this.#buckets = buckets
    this.#sumsMax = Math.min(GROUPS_MAX, Math.floor(GROUP_CELLS_MAX / buckets.count))
  }

  count(stored: StoredBatch, rows: number[], shard: number): void {
    const { batch, seqs } = stored
    const places = bucketsOf(this.#buckets, stored, rows)
    const { values, codes } = patternValues(stored, rows)
    this.records += rows.length
    // Not all values of the block's list are those of rows that are asked for.
    const sums: (PatternSum | null | undefined)[] = new Array(values.length)
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!
      const code = codes[i]!
      if (code < 0) {
        this.unpatterned++
        continue
      }
      let sum = sums[code]
      if (sum === undefined) {
        sum = this.#sumOf(values[code]!)
        sums[code] = sum
      }
      if (sum === null) {
        this.other++
        continue
      }
      sum.records++
      sum.levels[batch.level[row]!]!++
      if (places[i]! >= 0) sum.buckets[places[i]!]!++
      const ms = batch.timeMs[row]!
      if (ms < sum.firstMs) sum.firstMs = ms
      const ceiling = batch.timeNs[row] === 0 ? ms : ms + 1
      if (ceiling < sum.lastMs) continue
      sum.lastMs = ceiling
      sum.sample.shard = shard
      sum.sample.seq = seqs[row]!
    }
    this.#countServices(stored, rows, codes, sums)
  }

  #countServices(
    stored: StoredBatch,
    rows: number[],
    codes: Int32Array,
    sums: (PatternSum | null | undefined)[],
  ): void {
    const services = this.#service.values(stored, rows)
    const width = services.values.length + 1
    const counts = new Map<number, number>()
    for (let i = 0; i < rows.length; i++) {
      if (codes[i]! < 0) continue
      const place = codes[i]! * width + services.codes[i]! + 1
      counts.set(place, (counts.get(place) ?? 0) + 1)
    }
    for (const [place, records] of counts) {
      const sum = sums[Math.floor(place / width)]
      if (sum) addService(sum, services.values[(place % width) - 1] ?? '', records)
    }
  }

  absorb({ records, patterns }: Counted, shard: number): void {
    this.records += records
    for (const [id, counted] of patterns) {
      const sum = id === '' ? null : this.#sumOfId(id)
      if (id === '') this.unpatterned += counted.records
      else if (sum === null) this.other += counted.records
      else addPattern(sum, { ...counted, sample: { ...counted.sample, shard } }, addService)
    }
  }

  /** Records that have a pattern, with a place or without. */
  get patterned(): number {
    let records = this.other
    for (const sum of this.sums.values()) records += sum.records
    return records
  }

  #sumOf(text: string): PatternSum | null {
    const known = this.#byText.get(text)
    if (known !== undefined) return known
    const sum = this.#sumOfId(patternId(text))
    if (sum) sum.text ??= inOnePiece(text)
    // Patterns without a place are looked for again: their texts are not to be kept.
    if (sum) this.#byText.set(sum.text ?? text, sum)
    return sum
  }

  #sumOfId(id: string): PatternSum | null {
    const known = this.sums.get(id)
    if (known) return known
    if (this.sums.size >= this.#sumsMax) return null
    const sum: PatternSum = {
      records: 0,
      levels: LEVELS.map(() => 0),
      services: new Map(),
      buckets: new Array<number>(this.#buckets.count).fill(0),
      firstMs: Number.POSITIVE_INFINITY,
      lastMs: Number.NEGATIVE_INFINITY,
      text: null,
      sample: { shard: 0, seq: 0 },
    }
    this.sums.set(id, sum)
    return sum
  }

  /** So many patterns, the most frequent first; those that are new or gone before all others. */
  view(limit: number, before: Before | null): PatternView[] {
    const all = [...this.sums].map(([id, sum]) => this.#viewOf(id, sum, before))
    if (before) {
      for (const [id, sum] of before.counter.sums) {
        if (this.sums.has(id)) continue
        const buckets = new Array<number>(this.#buckets.count).fill(0)
        const gone = { ...sum, records: 0, levels: [], services: new Map(), buckets }
        all.push(this.#viewOf(id, gone, before))
      }
    }
    const rank = ({ change }: PatternView) => (change === 'new' ? 0 : change === 'gone' ? 1 : 2)
    const size = (view: PatternView) => view.count || (view.count_before ?? 0)
    return all
      .sort((a, b) => rank(a) - rank(b) || size(b) - size(a) || (a.id < b.id ? -1 : 1))
      .slice(0, limit)
  }

  #viewOf(id: string, sum: PatternSum, before: Before | null): PatternView {
    const { records, levels, services, sample } = sum
    const named = [...services].sort((a, b) => b[1] - a[1]).slice(0, SERVICES_SHOWN)
    const view: PatternView = {
      id,
      pattern: sum.text,
      count: records,
      share: shareOf(records, this.records),
      levels: Object.fromEntries(
        LEVELS.map((name, i) => [name, levels[i] ?? 0]).filter(([, count]) => count !== 0),
      ),
      services: Object.fromEntries(named),
      histogram: sum.buckets,
      first_seen: sum.firstMs,
      last_seen: sum.lastMs,
      sample_id: `${sample.shard}-${sample.seq}`,
    }
    if (!before) return view
    const count = before.counter.sums.get(id)?.records ?? 0
    return { ...view, change: changeOf(records, count, before.ratio), count_before: count }
  }
}

/** Differences that chance makes are none. */
const CHANGE_MIN = 10

/** Twice as many in the same time, or half, is a change. */
function changeOf(now: number, before: number, ratio: number): Change {
  if (before === 0) return 'new'
  if (now === 0) return 'gone'
  const expected = before * ratio
  if (Math.abs(now - expected) < CHANGE_MIN) return 'same'
  return now >= 2 * expected ? 'more' : now <= expected / 2 ? 'less' : 'same'
}

function addService(sum: PatternSum, service: string, records: number): void {
  const known = sum.services.get(service)
  if (known === undefined && sum.services.size === PATTERN_SERVICES_MAX) return
  sum.services.set(known === undefined ? inOnePiece(service) : service, (known ?? 0) + records)
}
