// `a|b\.c|d`: a regular expression that is a list of texts, which is what dashboards make of a choice of
// several values. Asked as texts it takes no regular expression, however many there are.

/** A longer list is a regular expression, and bounded as one. */
const VALUES_MAX = 1000

const LISTED = /^(?:[\w /:@%&=,;<>~"'!#|-]|\\[!-/:-@[-^`{-~])*$/
const PIECE = /\\?./g

/** The texts that the expression matches as a whole; null: it is no list. */
export function listedValues(source: string): string[] | null {
  if (!LISTED.test(source)) return null
  const values = ['']
  for (const [piece] of source.matchAll(PIECE)) {
    if (piece === '|') values.push('')
    else values[values.length - 1] += piece.startsWith('\\') ? piece.slice(1) : piece
  }
  return values.length > VALUES_MAX ? null : values
}
