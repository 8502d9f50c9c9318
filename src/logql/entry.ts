// What a pipeline takes and gives: a line with its labels, in the three kinds that Loki tells apart.

export interface Own {
  /** The labels of its stream; labels.ts says which. */
  stream: ReadonlyMap<string, string>
  /** Its structured metadata, or of it what was asked for. */
  metadata: ReadonlyMap<string, string>
}

/** A line that passed. A label is in one of the three; none is ''. */
export interface Processed {
  line: string
  stream: Map<string, string>
  metadata: Map<string, string>
  /** What stages made: parsers, label_format; `__error__` and `__error_details__` too. */
  parsed: Map<string, string>
  /** The number that `unwrap` found; 0 where there is none to find. */
  value: number
}

/** Own labels that somebody reads, by name. */
export type Reads = ReadonlySet<string> | 'all'
