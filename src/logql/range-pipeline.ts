// Samples of records that go through a pipeline, one after another.

import { Buffer } from 'node:buffer'
import type { Needed } from '../block/parquet.ts'
import type { StoredBatch } from '../block/stored.ts'
import { inOnePiece } from '../count/field-values.ts'
import { unixNano } from '../match/view.ts'
import type { Processed, Reads } from './entry.ts'
import { showLabels } from './label-sets.ts'
import { ERROR, PRESERVE_ERROR } from './line-labels.ts'
import { OwnReader } from './own.ts'
import type { Pipeline } from './pipeline.ts'
import { lineBytes, type SampleSource, type Samples } from './range-columns.ts'
import { type Naming, ownNames, type SeriesTable } from './range-series.ts'
import { Refusal } from './refusal.ts'
import type { Stage } from './syntax.ts'

/** What a sample of a record that passes is: 1, the bytes of its line, or what the pipeline unwrapped. */
export type Extraction = 'one' | 'bytes' | 'unwrapped'

/** A pipeline and what is made of its lines. */
export interface Extracting {
  pipeline: Pipeline
  stages: Stage[]
  naming: Naming
  extraction: Extraction
}

export class PipelineSource implements SampleSource {
  readonly needed: Needed
  readonly isSlow = true
  readonly #extracting: Extracting
  readonly #own: OwnReader
  readonly #changesLine: boolean
  readonly #series: SeriesTable
  readonly #known = new Map<string, number>()

  constructor(extracting: Extracting, series: SeriesTable) {
    const { stages } = extracting
    this.#extracting = extracting
    this.#own = new OwnReader(readsOf(extracting))
    this.#changesLine = stages.some(({ kind }) => LINE_MAKERS.has(kind))
    this.#series = series
    this.needed = this.#own.needed
  }

  read(stored: StoredBatch, rows: number[], intervals: Int32Array): Samples {
    const { pipeline, extraction } = this.#extracting
    const series = new Int32Array(rows.length).fill(-1)
    const values = extraction === 'one' ? null : new Float64Array(rows.length)
    const own = this.#own.read(stored, rows)
    const { batch, messages } = stored
    for (let i = 0; i < rows.length; i++) {
      if (intervals[i]! < 0) continue
      const row = rows[i]!
      const line = !pipeline.readsLine ? '' : messages ? messages.at(row) : batch.message[row]!
      const processed = pipeline.run(
        line,
        own[i]!,
        unixNano(batch.timeMs[row]!, batch.timeNs[row]!),
      )
      if (processed === null) continue
      refuseError(processed)
      if (values) {
        values[i] =
          extraction === 'unwrapped'
            ? processed.value
            : this.#changesLine
              ? Buffer.byteLength(processed.line)
              : lineBytes(stored, row)
      }
      series[i] = this.#seriesOf(processed)
    }
    return { series, values }
  }

  #seriesOf(processed: Processed): number {
    const pairs = labelsOf(processed, this.#extracting.naming)
    let key = ''
    for (const [name, value] of pairs) key += `${name}=${value.length}:${value}`
    let series = this.#known.get(key)
    if (series === undefined) {
      series = this.#series.numberOf(pairs)
      this.#known.set(inOnePiece(key), series)
    }
    return series
  }
}

/** Stages that may give another line on. */
const LINE_MAKERS = new Set<Stage['kind']>(['line_format', 'unpack', 'decolorize'])

/** Stages that make labels of whatever a line names. */
const makesAny = (stage: Stage): boolean =>
  stage.kind === 'unpack' ||
  ((stage.kind === 'json' || stage.kind === 'logfmt') && stage.fields.length === 0)

/** Where all labels count that a line may name, so does what each is named: own ones come first. */
function readsOf({ pipeline: { reads }, stages, naming }: Extracting): Reads {
  const isAll = reads === 'all' || (!('by' in naming) && stages.some(makesAny))
  return isAll ? 'all' : new Set([...reads, ...ownNames(naming)])
}

function labelsOf({ stream, metadata, parsed }: Processed, naming: Naming): [string, string][] {
  const pairs: [string, string][] = []
  if ('by' in naming) {
    for (const name of naming.by) {
      const value = parsed.get(name) ?? metadata.get(name) ?? stream.get(name) ?? ''
      if (value !== '') pairs.push([name, value])
    }
    return pairs
  }
  for (const [name, value] of stream) if (!naming.without.has(name)) pairs.push([name, value])
  for (const [name, value] of metadata) {
    if (naming.metadata.has(name) && !naming.without.has(name)) pairs.push([name, value])
  }
  for (const [name, value] of parsed) if (!naming.without.has(name)) pairs.push([name, value])
  return pairs
}

/** A line that a stage could not work on fails the query, unless the query asks for such lines. */
export function refuseError(
  { stream, metadata, parsed }: Processed,
  othersOf: () => Iterable<readonly [string, string]> = () => [],
): void {
  const error = parsed.get(ERROR)
  if (error === undefined || parsed.get(PRESERVE_ERROR) === 'true') return
  const labels = new Map([...othersOf(), ...stream, ...metadata, ...parsed])
  const all = [...labels].sort(([a], [b]) => (a < b ? -1 : 1))
  throw new Refusal(
    `pipeline error: '${error}' for series: '${showLabels(all)}'.\n` +
      `Use a label filter to intentionally skip this error. (e.g | __error__!="${error}").\n` +
      'To skip all potential errors you can match empty errors.(e.g __error__="")\n' +
      'The label filter can also be specified after unwrap. (e.g | unwrap latency | __error__="" )\n',
  )
}
