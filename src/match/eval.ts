// Which records of a batch a filter lets through: column by column, each condition over the rows that
// the ones before it left open. A message is the dearest to read, so everything else comes first, and
// patterns decide what they can: `sieve` says of rows that they pass, or that only their messages can
// tell, and `look` reads those.
//
//   and   a chain        or   what one of them lets through        not   what is left over
//
// Rows come in any order and keep it.

import type { ColumnName } from '../block/layout.ts'
import type { Needed } from '../block/parquet.ts'
import { patternId, patternOf } from '../block/pattern.ts'
import type { StoredBatch } from '../block/stored.ts'
import type { Field, Filter, Leaf } from '../query/filter.ts'
import { TEXT_COLUMNS } from '../record.ts'
import { wordsOf } from '../words.ts'
import { anyStep } from './eval-any.ts'
import { fieldStep } from './eval-field.ts'
import {
  freeStep,
  inOrder,
  mark,
  messageStep,
  passing,
  RANK,
  type Sieved,
  type Step,
  without,
} from './step.ts'
import { phrasesCheck, textCheck } from './text.ts'
import { remembered } from './value.ts'

/** A filter made ready. What it learns of patterns and values it keeps: make it once for many batches. */
export class Evaluator {
  readonly needed: Needed
  readonly readsMessages: boolean
  /** What a character of a message costs in `look`, in those of a search for words. */
  readonly lookCost: number
  /** Rows to ask at once where a slice of time counts: strings at any depth, and expressions, are dear. */
  readonly rowsAtOnce: number
  readonly #step: Step

  constructor(filter: Filter) {
    this.needed = neededOf(filter)
    this.#step = stepOf(filter)
    this.readsMessages = !this.#step.isFree
    this.lookCost = this.#step.cost
    this.rowsAtOnce = isDear(filter) ? DEAR_ROWS : Number.POSITIVE_INFINITY
  }

  /** Those of `rows` that pass. */
  rows(stored: StoredBatch, rows: number[]): number[] {
    return passing(this.#step, stored, rows)
  }

  /** All that can be said of `rows` without a message. */
  sieve(stored: StoredBatch, rows: number[]): Sieved {
    return this.#step.sieve(stored, rows)
  }

  /** Those that pass of rows that `sieve` left to be looked at. */
  look(stored: StoredBatch, rows: number[]): number[] {
    return this.#step.look(stored, rows)
  }
}

const DEAR_ROWS = 512

function isDear(filter: Filter): boolean {
  switch (filter.kind) {
    case 'and':
    case 'or':
      return filter.of.some(isDear)
    case 'not':
      return isDear(filter.of)
    case 'text':
      return filter.in === 'any'
    case 'field':
      return filter.test.is === 'regex'
    default:
      return false
  }
}

function stepOf(filter: Filter): Step {
  switch (filter.kind) {
    case 'and':
      return andStep(membersOf(filter.of))
    case 'or':
      return orStep(filter.of.map(stepOf))
    case 'not':
      return notStep(stepOf(filter.of))
    default:
      return leafStep(filter)
  }
}

/** Phrases that must all be in the message are one step: words of a message are cut once. */
function membersOf(filters: Filter[]): Step[] {
  const phrases: string[][] = []
  const steps: Step[] = []
  for (const one of filters) {
    const isPhrase = one.kind === 'text' && one.in === 'message' && one.test.is === 'phrase'
    if (isPhrase) phrases.push(wordsOf(one.test.is === 'phrase' ? one.test.text : ''))
    else steps.push(stepOf(one))
  }
  return phrases.length > 0 ? [...steps, messageStep(phrasesCheck(phrases))] : steps
}

const byRank = (steps: Step[]) => [...steps].sort((a, b) => a.rank - b.rank)
const costOf = (steps: Step[]) => steps.reduce((sum, { cost }) => sum + cost, 0)

function andStep(members: Step[]): Step {
  const free = byRank(members.filter((step) => step.isFree))
  const bound = byRank(members.filter((step) => !step.isFree))
  const [only] = bound
  return {
    isFree: bound.length === 0,
    rank: RANK.tree,
    cost: costOf(bound),
    sieve: (stored, rows) => {
      let sure = rows
      for (const step of free) {
        if (sure.length === 0) break
        sure = step.sieve(stored, sure).sure
      }
      let look: number[] = []
      for (const step of bound) {
        if (sure.length + look.length === 0) break
        const ofSure = step.sieve(stored, sure)
        const ofLook = look.length > 0 ? step.sieve(stored, look) : NO_ROWS
        sure = ofSure.sure
        // A row that one condition leaves open is open, unless another rules it out.
        look = [...ofSure.look, ...ofLook.sure, ...ofLook.look]
      }
      return {
        sure,
        look: look.length > 0 && bound.length > 1 ? inOrder(rows, look, stored) : look,
      }
    },
    look: (stored, rows) => {
      if (bound.length === 1) return only!.look(stored, rows)
      return bound.reduce((left, step) => passing(step, stored, left), rows)
    },
  }
}

const NO_ROWS: Sieved = { sure: [], look: [] }

function orStep(members: Step[]): Step {
  const steps = byRank([
    ...members.filter(({ isFree }) => isFree),
    ...members.filter((s) => !s.isFree),
  ])
  const bound = steps.filter((step) => !step.isFree)
  return {
    isFree: bound.length === 0,
    rank: RANK.tree,
    cost: costOf(bound),
    sieve: (stored, rows) => {
      const { length } = stored.batch
      const passes = new Uint8Array(length)
      const isOpen = new Uint8Array(length)
      let left = rows
      let hasOpen = false
      for (const step of steps) {
        if (left.length === 0) break
        const { sure, look } = step.sieve(stored, left)
        mark(passes, sure)
        mark(isOpen, look)
        hasOpen ||= look.length > 0
        left = without(left, sure, length)
      }
      return {
        sure: rows.filter((row) => passes[row] === 1),
        look: hasOpen ? left.filter((row) => isOpen[row] === 1) : [],
      }
    },
    // What the other members say is known: they did not let these rows through.
    look: (stored, rows) => {
      const passes = new Uint8Array(stored.batch.length)
      let left = rows
      for (const step of bound) {
        if (left.length === 0) break
        const found = passing(step, stored, left)
        mark(passes, found)
        left = without(left, found, stored.batch.length)
      }
      return rows.filter((row) => passes[row] === 1)
    },
  }
}

function notStep(step: Step): Step {
  return {
    isFree: step.isFree,
    rank: step.rank,
    cost: step.cost,
    sieve: (stored, rows) => {
      const { sure, look } = step.sieve(stored, rows)
      return {
        sure: without(without(rows, sure, stored.batch.length), look, stored.batch.length),
        look,
      }
    },
    look: (stored, rows) => without(rows, step.look(stored, rows), stored.batch.length),
  }
}

function leafStep(leaf: Leaf): Step {
  switch (leaf.kind) {
    case 'level': {
      const { mask } = leaf
      return freeStep(RANK.level, ({ batch: { level } }, rows) =>
        rows.filter((row) => (mask >> level[row]!) & 1),
      )
    }
    case 'field':
      return fieldStep(leaf.field, leaf.test)
    case 'text':
      return leaf.in === 'any' ? anyStep(textCheck(leaf.test)) : messageStep(textCheck(leaf.test))
    case 'pattern':
      return patternStep(leaf.id)
  }
}

/** Rows of a block whose pattern was not kept are asked by their message; a body is no message. */
function patternStep(id: string): Step {
  const isIt = remembered((pattern) => patternId(pattern) === id)
  const step = messageStep({
    holds: (message) => {
      const pattern = patternOf(message)
      return pattern !== null && isIt(pattern)
    },
    verdict: (pattern) => (isIt(pattern) ? 'every' : 'none'),
    hint: '',
    cost: 1,
  })
  return {
    ...step,
    sieve: (stored, rows) => {
      const { sure, look } = step.sieve(stored, rows)
      return { sure, look: look.filter((row) => stored.batch.body[row] === null) }
    },
  }
}

/** The columns to read before a filter can be asked; messages apart, which patterns may spare. */
export function neededOf(filter: Filter): Needed {
  const columns = new Set<ColumnName>()
  const keys = new Set<string>()
  const labels = new Set<string>()
  let isAll = false
  const walk = (one: Filter): void => {
    switch (one.kind) {
      case 'and':
      case 'or':
        for (const member of one.of) walk(member)
        break
      case 'not':
        walk(one.of)
        break
      case 'level':
        columns.add('level')
        break
      case 'pattern':
        columns.add('pattern').add('body')
        break
      case 'text':
        columns.add('pattern')
        if (one.in === 'any') {
          for (const name of ANY_COLUMNS) columns.add(name)
          isAll = true
        }
        break
      case 'field':
        if (one.field.in === 'label') {
          labels.add(one.field.name)
          for (const name of labelColumns(one.field.name)) columns.add(name)
        } else addField(one.field, columns, keys)
    }
  }
  walk(filter)
  return {
    columns,
    attributes: isAll ? 'all' : [...keys],
    ...(labels.size > 0 && { labels: [...labels] }),
  }
}

/** Where a label may be, beside the attributes. */
const labelColumns = (name: string): ColumnName[] =>
  name.startsWith('body_') ? ['resource', 'scope', 'body'] : ['resource', 'scope']

const ANY_COLUMNS: ColumnName[] = [...TEXT_COLUMNS, 'severity', 'body', 'otel', 'resource', 'scope']

function addField(
  field: Exclude<Field, { in: 'label' }>,
  columns: Set<ColumnName>,
  keys: Set<string>,
): void {
  switch (field.in) {
    case 'column': {
      const { name } = field
      columns.add(name === 'severity_number' || name === 'severity_text' ? 'severity' : name)
      break
    }
    case 'attr':
    case 'bare':
      // Blocks have maps and arrays in no column, so a path needs no other key.
      keys.add(field.name)
      if (field.in === 'bare') columns.add('resource')
      break
    default:
      columns.add(field.in)
  }
}
