// What the stages of a query do to one line: it passes with its labels and its number, or not. All that
// may be wrong with a stage is found here, before the first line.

import { ok, type Result } from '../result.ts'
import type { Own, Processed, Reads } from './entry.ts'
import { numberFault, readNumber } from './go-numbers.ts'
import { LabelFilterStage } from './label-filter.ts'
import { LineFilterStage } from './line-filter.ts'
import { LineLabels } from './line-labels.ts'
import { readsOf, type Using, usingOf } from './pipeline-names.ts'
import { RegexBudget } from './regex-budget.ts'
import type { Step } from './stage.ts'
import { DecolorizeStage } from './stage-decolorize.ts'
import { LabelFormatStage, LineFormatStage } from './stage-format.ts'
import { JsonStage } from './stage-json.ts'
import { JsonFieldsStage } from './stage-json-fields.ts'
import { prepareChoice } from './stage-labels.ts'
import { LogfmtFieldsStage, LogfmtStage } from './stage-logfmt.ts'
import { PatternStage } from './stage-pattern.ts'
import { RegexpStage } from './stage-regexp.ts'
import { UnpackStage } from './stage-unpack.ts'
import type { Stage, Unwrap } from './syntax.ts'

/**
 * Prepares stages to be run over lines. `outputs` names the labels that the caller reads of the result;
 * parsers make no others that no stage reads. As in Loki that also decides which faults of a line are
 * seen: what is after the last label that anybody reads is not looked at, and with no label to read,
 * no line is parsed.
 */
export function preparePipeline(
  stages: Stage[],
  unwrap: Unwrap | null,
  outputs: ReadonlySet<string> | 'all' = 'all',
): Result<Pipeline> {
  const using = usingOf(stages, unwrap, outputs)
  const labels = new LineLabels(using.wanted)
  const regexes = new RegexBudget()
  const steps: Step[] = []
  for (const stage of stages) {
    const step = prepareStage(stage, labels, regexes)
    if (!step.ok) return step
    steps.push(step.data)
  }
  const filters: Step[] = []
  for (const filter of unwrap?.filters ?? []) {
    const step = LabelFilterStage.prepare(labels, filter, regexes)
    if (!step.ok) return step
    filters.push(step.data)
  }
  return ok(new Pipeline(labels, steps, unwrap, filters, using))
}

function prepareStage(stage: Stage, labels: LineLabels, regexes: RegexBudget): Result<Step> {
  switch (stage.kind) {
    case 'line':
      return LineFilterStage.prepare(stage.op, stage.texts, regexes)
    case 'json':
      return stage.fields.length === 0
        ? ok(new JsonStage(labels))
        : JsonFieldsStage.prepare(labels, stage.fields)
    case 'logfmt':
      return stage.fields.length === 0
        ? ok(new LogfmtStage(labels, stage.isStrict, stage.keepsEmpty))
        : LogfmtFieldsStage.prepare(labels, stage.fields, stage.isStrict)
    case 'regexp':
      return RegexpStage.prepare(labels, stage.source, regexes)
    case 'pattern':
      return PatternStage.prepare(labels, stage.pattern)
    case 'unpack':
      return ok(new UnpackStage(labels))
    case 'label':
      return LabelFilterStage.prepare(labels, stage.filter, regexes)
    case 'line_format':
      return LineFormatStage.prepare(labels, stage.template, regexes)
    case 'label_format':
      return LabelFormatStage.prepare(labels, stage.formats, regexes)
    case 'decolorize':
      return ok(new DecolorizeStage())
    case 'keep':
    case 'drop':
      return prepareChoice(labels, stage.kind, stage.labels, regexes)
  }
}

/** Where no stage is a template, nobody asks when a line was. */
export const NO_TIME = '0'

export class Pipeline {
  /** Own labels that decide whether a line passes, its number, or which labels stages make. */
  readonly reads: Reads
  /** Some stage looks at the line. */
  readonly readsLine: boolean
  readonly #labels: LineLabels
  readonly #steps: Step[]
  readonly #unwrap: Unwrap | null
  readonly #filters: Step[]

  constructor(
    labels: LineLabels,
    steps: Step[],
    unwrap: Unwrap | null,
    filters: Step[],
    using: Using,
  ) {
    this.#labels = labels
    this.#steps = steps
    this.#unwrap = unwrap
    this.#filters = filters
    this.reads = readsOf(using)
    this.readsLine = using.readsLine
  }

  /**
   * Null: the line does not pass, or has nothing to unwrap. Labels of the stream and metadata that no
   * stage changed come back as the maps that were given, so they are not to be written to.
   */
  run(line: string, own: Own, timeNano: string): Processed | null {
    const labels = this.#labels
    labels.reset(own)
    let made: string | null = line
    for (const step of this.#steps) {
      made = step.run(made, timeNano)
      if (made === null) return null
    }
    const value = this.#unwrap ? this.#number(this.#unwrap) : 0
    if (value === null) return null
    for (const filter of this.#filters) if (filter.run(made, timeNano) === null) return null
    return labels.finish(made, value)
  }

  #number({ label, conversion }: Unwrap): number | null {
    const text = this.#labels.get(label) ?? ''
    if (text === '') return null
    const unit = conversion === null ? 'number' : conversion === 'bytes' ? 'bytes' : 'duration'
    const value = readNumber(text, unit)
    if (value === null) this.#labels.fail('SampleExtractionErr', numberFault(text, unit))
    return value ?? 0
  }
}
