// What is known of one block while a filter is asked of it. Knowledge comes in steps, each dearer than
// the one before: the narrow row, the slices of the filters, the detail. What a step said of a leaf is
// kept until the next.

import type { BlockDetail } from '../block/detail.ts'
import { type Hash, mayContain } from '../block/filter.ts'
import type { BlockSummary } from '../block/summary.ts'
import type { TextColumn } from '../record.ts'
import type { Time } from '../time.ts'
import {
  type Cell,
  countOf,
  levelCells,
  minuteCells,
  patternCells,
  placeOf,
  type Span,
  spanOf,
  typeCells,
  valueCells,
} from './cells.ts'
import { type Certain, isEvery, isNone, type Tree } from './certain.ts'
import type { Answer, Clue, ClueSource } from './clue.ts'

/** Of a block's narrow row. */
export type PruneRow = Pick<BlockSummary, 'minMs' | 'maxMs' | 'levels'>

/** Asked in this order, each only when the ones before did not decide. The shard keeps what it read. */
export interface PruneSource {
  /** The slice that sliceOf names for this hash; null where the block has no such filter. */
  filterSlice(filter: 'ids' | 'words', hash: Hash): Uint8Array | null
  detail(): BlockDetail | null
  /** The text of a pattern; null where it is not known. */
  patternText(id: string): string | null
}

/** A filter with all that does not depend on a block: hashes, and what patterns said of it. */
export interface Prepared {
  since: Time | null
  until: Time | null
  tree: Tree<Clue>
  /** Columns whose values, and attributes whose types tell of a leaf. */
  columns: TextColumn[]
  keys: string[]
}

/** One way to take a block apart, and what it is called where it shows that nothing matches. */
export interface Partition {
  cells: Iterable<Cell>
  fate: 'time' | 'values' | 'pattern'
}

/** What is asked of the records that match, beside how many they are. */
export interface Asked {
  columns: TextColumn[]
  isByTime: boolean
}

const NOTHING_ASKED: Asked = { columns: [], isByTime: false }

export class Facts implements ClueSource {
  readonly span: Span
  readonly levels: number[]
  readonly records: number
  /** Null until it is read, and where there is none. */
  detail: BlockDetail | null = null
  readonly #prepared: Prepared
  readonly #source: PruneSource
  #asksFilters = false
  readonly #mayPass = new Map<Clue, boolean>()
  readonly #byDetail = new Map<Clue, Answer>()
  /** What the tree says of a level, where nothing else is known. */
  readonly #everyByLevel: (boolean | undefined)[] = []
  readonly #noneByLevel: (boolean | undefined)[] = []

  #asked: Cell | null = null
  readonly #ofAsked: Certain<Clue> = {
    // The filters only rule out: asked after what is at hand, but for what they said before.
    isNone: (clue) =>
      this.#mayPass.get(clue) === false ||
      this.#ofCell(clue, this.#asked!) === 'none' ||
      !this.#passesFilters(clue),
    isEvery: (clue) => this.#ofCell(clue, this.#asked!) === 'every',
  }

  constructor(prepared: Prepared, row: PruneRow, source: PruneSource) {
    this.#prepared = prepared
    this.#source = source
    this.span = spanOf(row.minMs, row.maxMs)
    this.levels = row.levels
    this.records = countOf(row.levels)
  }

  /** From here on the filters are asked. */
  askFilters(): void {
    this.#asksFilters = true
    this.#forget()
  }

  /** False where the block has none. */
  readDetail(): boolean {
    this.detail ??= this.#source.detail()
    this.#forget()
    return this.detail !== null
  }

  /** The ways to take the block apart that may tell more than its levels do of what is asked. */
  *partitions({ columns, isByTime }: Asked = NOTHING_ASKED): Generator<Partition> {
    const { detail } = this
    if (detail === null) return
    const isTimed = isByTime || this.place() === 'cut'
    if (isTimed && detail.minutes !== null) {
      yield { cells: minuteCells(this, detail.minutes), fate: 'time' }
    }
    const all = new Set([...this.#prepared.columns, ...columns])
    for (const column of all) {
      if (detail.values[column] !== null) {
        yield { cells: valueCells(this, detail, column), fate: 'values' }
      }
    }
    for (const key of this.#prepared.keys) {
      yield { cells: typeCells(this, detail, key), fate: 'values' }
    }
    yield { cells: patternCells(this, detail, all.has('service')), fate: 'pattern' }
  }

  place(span = this.span) {
    return placeOf(this.#prepared, span)
  }

  /** How many of a cell's records match: none, every one, or it is not known. */
  answer(cell: Cell): Answer {
    const place = this.place(cell.span)
    if (place === 'outside') return 'none'
    if (place === 'inside' && this.#isEvery(cell)) return 'every'
    return this.#isNone(cell) ? 'none' : 'some'
  }

  /** Surely no record of these matches. */
  holdsNone(cells: Iterable<Cell> = levelCells(this)): boolean {
    for (const cell of cells) {
      if (this.place(cell.span) !== 'outside' && !this.#isNone(cell)) return false
    }
    return true
  }

  /** Whether the filters could say that nothing matches, if they ruled out all they tell of. */
  get filtersMayRuleOut(): boolean {
    const isTold = (clue: Clue) => clue.mayPass !== null
    return this.#couldBeNone(isTold, () => false)
  }

  /** The same of the detail, which may also say that everything matches. */
  get detailMayRuleOut(): boolean {
    const isTold = (clue: Clue) => clue.isInDetail
    return this.place() === 'cut' || this.#couldBeNone(isTold, isTold)
  }

  /** Whether the detail could say of all records whether they match, if it told all it can of each leaf. */
  get detailMayDecide(): boolean {
    const { tree } = this.#prepared
    const isTold = (clue: Clue) => clue.isInDetail
    for (const best of this.#atBest(isTold, isTold)) {
      if (!isNone(tree, best) && !isEvery(tree, best)) return false
    }
    return true
  }

  #couldBeNone(couldBeNone: (clue: Clue) => boolean, couldBeEvery: (clue: Clue) => boolean) {
    for (const best of this.#atBest(couldBeNone, couldBeEvery)) {
      if (!isNone(this.#prepared.tree, best)) return false
    }
    return true
  }

  /** What would be certain of each level if these leaves were told of. */
  *#atBest(
    couldBeNone: (clue: Clue) => boolean,
    couldBeEvery: (clue: Clue) => boolean,
  ): Generator<Certain<Clue>> {
    for (const cell of levelCells(this)) {
      const certain = this.#certain(cell)
      yield {
        isNone: (clue) => couldBeNone(clue) || certain.isNone(clue),
        isEvery: (clue) => couldBeEvery(clue) || certain.isEvery(clue),
      }
    }
  }

  mayHold(filter: 'ids' | 'words', token: Hash): boolean {
    const slice = this.#source.filterSlice(filter, token)
    return slice === null || mayContain(slice, token)
  }

  patternText(id: string): string | null {
    return this.#source.patternText(id)
  }

  #isNone(cell: Cell): boolean {
    const at = this.#keptAt(cell)
    if (at === null) return isNone(this.#prepared.tree, this.#certain(cell))
    this.#noneByLevel[at] ??= isNone(this.#prepared.tree, this.#certain(cell))
    return this.#noneByLevel[at]
  }

  #isEvery(cell: Cell): boolean {
    const at = this.#keptAt(cell)
    if (at === null) return isEvery(this.#prepared.tree, this.#certain(cell))
    this.#everyByLevel[at] ??= isEvery(this.#prepared.tree, this.#certain(cell))
    return this.#everyByLevel[at]
  }

  /** Of the minutes of a level the tree says the same, so it is kept there. */
  #keptAt({ pattern, value, type, level }: Cell): number | null {
    if (pattern !== undefined || value || type) return null
    return level ?? this.levels.length
  }

  #forget(): void {
    this.#noneByLevel.length = 0
    this.#everyByLevel.length = 0
  }

  /** Of this cell, until it is asked for another: there is one for all cells. */
  #certain(cell: Cell): Certain<Clue> {
    this.#asked = cell
    return this.#ofAsked
  }

  #passesFilters(clue: Clue): boolean {
    if (!this.#asksFilters || clue.mayPass === null) return true
    let known = this.#mayPass.get(clue)
    if (known === undefined) {
      known = clue.mayPass(this)
      this.#mayPass.set(clue, known)
    }
    return known
  }

  #ofCell(clue: Clue, { level, pattern, value, type }: Cell): Answer {
    if (clue.mask !== null) return this.#ofLevel(clue.mask, level)
    const { detail } = this
    if (detail === null) return 'some'
    let answer: Answer = 'some'
    if (pattern !== undefined) answer = clue.byPattern(pattern?.id ?? null, detail, this)
    if (answer === 'some' && value && value.column === clue.column) {
      answer = clue.byValue(value.value)
    }
    if (answer === 'some' && type && type.key === clue.key) {
      answer = clue.byType(type.type, detail, this)
    }
    return answer === 'some' ? this.#ofDetail(clue, detail) : answer
  }

  #ofLevel(mask: number, level: number | null): Answer {
    if (level !== null) return (mask >> level) & 1 ? 'every' : 'none'
    const passing = countOf(this.levels.filter((_, i) => (mask >> i) & 1))
    return passing === 0 ? 'none' : passing === this.records ? 'every' : 'some'
  }

  #ofDetail(clue: Clue, detail: BlockDetail): Answer {
    let known = this.#byDetail.get(clue)
    if (known === undefined) {
      known = clue.byDetail(detail, this.records, this)
      this.#byDetail.set(clue, known)
    }
    return known
  }
}
