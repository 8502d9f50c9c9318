// Whether a block may hold a match, as far as the catalog knows. Pure; `source` reads what lies in
// tables, and only when it is needed. How many match is catalog-count.ts.
//
// It holds to scan.ts: a block that holds a match is always 'open'. Where a filter or a list is not
// there, the answer is "maybe". In the tree each leaf becomes a clue (clue.ts), and what the clues say
// of the cells of the block (cells.ts) is put together (certain.ts).

import type { Filter } from '../query/filter.ts'
import type { RecordFilter } from '../query/parameters.ts'
import type { TextColumn } from '../record.ts'
import type { Tree } from './certain.ts'
import { type Clue, clueOf } from './clue.ts'
import { Facts, type Prepared, type PruneRow, type PruneSource } from './facts.ts'

/** What was decided of a block: to be opened, or the reason why not. */
export type Fate = 'open' | 'time' | 'values' | 'filter' | 'pattern'

export function preparePrune({ filter, since, until }: RecordFilter): Prepared {
  const columns = new Set<TextColumn>()
  const keys = new Set<string>()
  const leafOf = (clue: Clue): Tree<Clue> => {
    if (clue.column !== null) columns.add(clue.column)
    if (clue.key !== null) keys.add(clue.key)
    return { kind: 'leaf', leaf: clue }
  }
  const treeOf = (one: Filter): Tree<Clue> => {
    switch (one.kind) {
      case 'and':
      case 'or': {
        if (one.kind === 'and' && asksTwoValues(one.of)) return { kind: 'or', of: [] }
        const of = one.of.map(treeOf)
        return { kind: one.kind, of: of.sort((a, b) => costOf(a) - costOf(b)) }
      }
      case 'not':
        return { kind: 'not', of: treeOf(one.of) }
      default:
        return leafOf(clueOf(one))
    }
  }
  return { since, until, tree: treeOf(filter), columns: [...columns], keys: [...keys] }
}

/** A column of a record has one value. Where the catalog lists none of it, only this tells. */
function asksTwoValues(filters: Filter[]): boolean {
  const values = new Map<string, string>()
  return filters.some((one) => {
    const isAsked = one.kind === 'field' && one.field.in === 'column' && one.test.is === 'equal'
    if (!isAsked || one.test.is !== 'equal') return false
    const { name } = one.field
    const known = values.get(name)
    values.set(name, one.test.value)
    return known !== undefined && known !== one.test.value
  })
}

/** What is dear waits for what is cheap. */
function costOf(tree: Tree<Clue>): number {
  if (tree.kind === 'leaf') return tree.leaf.cost
  const members = tree.kind === 'not' ? [tree.of] : tree.of
  return members.reduce((most, one) => Math.max(most, costOf(one)), 0)
}

/** Whether a block has to be opened, or why it surely holds no match. */
export function prune(prepared: Prepared, row: PruneRow, source: PruneSource): Fate {
  const facts = new Facts(prepared, row, source)
  if (facts.place() === 'outside') return 'time'
  if (facts.holdsNone()) return 'values'
  if (facts.filtersMayRuleOut) {
    facts.askFilters()
    if (facts.holdsNone()) return 'filter'
  }
  if (!facts.detailMayRuleOut || !facts.readDetail()) return 'open'
  facts.askFilters()
  if (facts.holdsNone()) return 'values'
  for (const { cells, fate } of facts.partitions()) if (facts.holdsNone(cells)) return fate
  return 'open'
}
