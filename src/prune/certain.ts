// What is certain of a filter where only some of its leaves are: of records told apart by nothing else,
// that none of them passes, that every one does, or neither.
//
// It asks a leaf no more than it needs: under a `not`, whether every record passes, else whether none
// does, and only until the answer is found. So what rules records out is read just where it can.

export type Tree<Leaf> =
  | { kind: 'and' | 'or'; of: Tree<Leaf>[] }
  | { kind: 'not'; of: Tree<Leaf> }
  | { kind: 'leaf'; leaf: Leaf }

/** What is certain of the leaves. False: not known. */
export interface Certain<Leaf> {
  isNone(leaf: Leaf): boolean
  isEvery(leaf: Leaf): boolean
}

/** Surely no record passes. */
export function isNone<Leaf>(tree: Tree<Leaf>, of: Certain<Leaf>): boolean {
  switch (tree.kind) {
    case 'and':
      return tree.of.some((one) => isNone(one, of))
    case 'or':
      return tree.of.every((one) => isNone(one, of))
    case 'not':
      return isEvery(tree.of, of)
    case 'leaf':
      return of.isNone(tree.leaf)
  }
}

/** Surely every record passes. */
export function isEvery<Leaf>(tree: Tree<Leaf>, of: Certain<Leaf>): boolean {
  switch (tree.kind) {
    case 'and':
      return tree.of.every((one) => isEvery(one, of))
    case 'or':
      return tree.of.some((one) => isEvery(one, of))
    case 'not':
      return isNone(tree.of, of)
    case 'leaf':
      return of.isEvery(tree.leaf)
  }
}
