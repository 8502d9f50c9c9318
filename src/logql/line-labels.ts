// The labels of one line while stages work on it, by the rules of Loki: what stages make hides structured
// metadata, which hides the stream; the first value that a line gives a label stays; errors lie apart.

import { ATTRIBUTES_MAX } from '../limits.ts'
import type { Own, Processed } from './entry.ts'

/** Labels that stages alone make. */
export const ERROR = '__error__'
export const ERROR_DETAILS = '__error_details__'
/** Set beside an error that the query asks for by name: then it does not fail a metric query. */
export const PRESERVE_ERROR = '__preserve_error__'
/** What a parser adds to a name that the stream or the metadata have. */
export const EXTRACTED = '_extracted'

export type PipelineError =
  | 'JSONParserErr'
  | 'LogfmtParserErr'
  | 'LabelFilterErr'
  | 'SampleExtractionErr'
  | 'TemplateFormatErr'

/** Labels that parsers make of one line; a line of 100,000 keys must not take what a thousand lines take. */
export const PARSED_LABELS_MAX = ATTRIBUTES_MAX
export const TOO_MANY_LABELS = `the line has more than ${PARSED_LABELS_MAX} labels`

const NOTHING: ReadonlyMap<string, string> = new Map()

/** One object for all lines of a pipeline: `reset`, then the stages, then `finish`. */
export class LineLabels {
  error: PipelineError | '' = ''
  errorDetails = ''
  #stream = NOTHING
  #metadata = NOTHING
  /** Given away by `finish`, so made anew for each line that fills it. */
  #parsed = new Map<string, string>()
  /** Names taken from the stream. */
  readonly #deleted = new Set<string>()
  /** Names taken from the metadata. */
  readonly #gone = new Set<string>()
  /** Names that were made and deleted: no parser makes them again. */
  readonly #unmade = new Set<string>()
  /** Some label of the stream is deleted, or hidden by one that a stage made. */
  #isStreamHidden = false
  /** Some label was made with no text; it counts as absent in the end. */
  #hasEmpty = false
  /** Of the wanted names, those not made yet. */
  #missing = 0
  readonly #wanted: ReadonlySet<string> | 'all'

  /** `wanted`: the names that a stage or the caller reads; parsers make no others. */
  constructor(wanted: ReadonlySet<string> | 'all') {
    this.#wanted = wanted
  }

  reset(own: Own): void {
    this.error = ''
    this.errorDetails = ''
    this.#isStreamHidden = false
    this.#hasEmpty = false
    this.#stream = own.stream
    this.#metadata = own.metadata
    if (this.#parsed.size > 0) this.#parsed = new Map()
    if (this.#deleted.size > 0) this.#deleted.clear()
    if (this.#gone.size > 0) this.#gone.clear()
    if (this.#unmade.size > 0) this.#unmade.clear()
    this.#missing = this.#wanted === 'all' ? -1 : this.#wanted.size
  }

  /** Parsers have nothing to do: nobody reads a label, or all that are read are there. */
  get isComplete(): boolean {
    return this.#missing === 0
  }

  get isFull(): boolean {
    return this.#parsed.size >= PARSED_LABELS_MAX
  }

  wants(name: string): boolean {
    return this.#wanted === 'all' || this.#wanted.has(name)
  }

  /** Some name that starts so is wanted. */
  wantsPrefix(prefix: string): boolean {
    return this.#wanted === 'all' || [...this.#wanted].some((name) => name.startsWith(prefix))
  }

  /** The stream has it, deleted or not, or the metadata have it still. */
  ownHas(name: string): boolean {
    return this.#stream.has(name) || this.#metadataHas(name)
  }

  #metadataHas(name: string): boolean {
    return this.#metadata.has(name) && !this.#gone.has(name)
  }

  /** A stage made it already from this line, even if another deleted it. */
  wasMade(name: string): boolean {
    return this.#parsed.has(name) || this.#unmade.has(name)
  }

  get(name: string): string | undefined {
    const parsed = this.#parsed.get(name)
    if (parsed !== undefined) return parsed
    if (this.#metadataHas(name)) return this.#metadata.get(name)
    return this.#deleted.has(name) ? undefined : this.#stream.get(name)
  }

  /** A label that a stage made. */
  set(name: string, value: string): void {
    if (this.#metadata.has(name)) this.#gone.add(name)
    if (this.#missing > 0 && this.wants(name) && !this.wasMade(name)) this.#missing--
    if (value === '') this.#hasEmpty = true
    if (this.#stream.has(name)) this.#isStreamHidden = true
    this.#parsed.set(name, value)
  }

  delete(name: string): void {
    if (this.#parsed.delete(name)) this.#unmade.add(name)
    if (this.#metadata.has(name)) this.#gone.add(name)
    if (this.#stream.has(name)) this.#isStreamHidden = true
    this.#deleted.add(name)
  }

  fail(error: PipelineError, details: string): void {
    this.error = error
    this.errorDetails = details
  }

  /** The line is not of the parser's format. */
  failParsing(error: 'JSONParserErr' | 'LogfmtParserErr', details: string): void {
    this.error = error
    if (details !== '') this.errorDetails = details
    if (this.#wanted !== 'all' && this.#wanted.has(ERROR)) this.set(PRESERVE_ERROR, 'true')
  }

  /** All labels there are, errors apart. */
  *all(): Iterable<[string, string]> {
    for (const [name, value] of this.#stream) {
      if (!this.#hidesStream(name)) yield [name, value]
    }
    for (const [name, value] of this.#metadata) if (!this.#gone.has(name)) yield [name, value]
    yield* this.#parsed
  }

  #hidesStream(name: string): boolean {
    return this.#deleted.has(name) || this.#parsed.has(name)
  }

  /** The labels as they are now. Maps that no stage changed are the caller's own. */
  finish(line: string, value: number): Processed {
    const parsed = this.#parsed
    let stream = this.#stream as Map<string, string>
    let metadata = this.#metadata as Map<string, string>
    if (this.#gone.size > 0) {
      metadata = new Map([...metadata].filter(([name]) => !this.#gone.has(name)))
    }
    if (this.#isStreamHidden) {
      stream = new Map([...stream].filter(([name]) => !this.#hidesStream(name)))
    }
    const hasDetails =
      this.errorDetails !== '' &&
      (this.error !== '' || metadata.size > 0 || parsed.size > 0 || this.#deleted.size > 0)
    if (this.#hasEmpty) for (const [name, text] of parsed) if (text === '') parsed.delete(name)
    if (this.error !== '') parsed.set(ERROR, this.error)
    if (hasDetails) parsed.set(ERROR_DETAILS, this.errorDetails)
    this.#parsed = new Map()
    return { line, stream, metadata, parsed, value }
  }
}
