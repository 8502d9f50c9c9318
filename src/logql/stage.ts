// One stage of a pipeline, prepared: it takes a line, changes its labels, which it holds, and gives the
// line that the next stage sees.

export interface Step {
  /** Null: the entry does not pass. */
  run(line: string, timeNano: string): string | null
}
