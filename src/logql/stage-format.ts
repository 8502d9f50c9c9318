// `| line_format` and `| label_format`: a template makes the line, or labels; a label may also get
// another name.

import { err, ok, type Result } from '../result.ts'
import { ERROR, ERROR_DETAILS, type LineLabels } from './line-labels.ts'
import type { RegexBudget } from './regex-budget.ts'
import type { Step } from './stage.ts'
import type { LabelFormat } from './syntax.ts'
import { type Subject, Template } from './template.ts'

class LineSubject implements Subject {
  line = ''
  timeNano = '0'
  /** Set while label_format runs several: none sees what another made. */
  snapshot: ReadonlyMap<string, string> | null = null
  readonly #labels: LineLabels

  constructor(labels: LineLabels) {
    this.#labels = labels
  }

  labelOf(name: string): string | undefined {
    if (this.snapshot) return this.snapshot.get(name)
    if (name === ERROR && this.#labels.error !== '') return this.#labels.error
    if (name === ERROR_DETAILS && this.#labels.errorDetails !== '') return this.#labels.errorDetails
    return this.#labels.get(name)
  }

  labels(): ReadonlyMap<string, string> {
    if (this.snapshot) return this.snapshot
    const all = new Map(this.#labels.all())
    if (this.#labels.error !== '') all.set(ERROR, this.#labels.error)
    if (this.#labels.errorDetails !== '') all.set(ERROR_DETAILS, this.#labels.errorDetails)
    return all
  }
}

export class LineFormatStage implements Step {
  readonly #labels: LineLabels
  readonly #template: Template
  readonly #onlyField: string | null
  readonly #subject: LineSubject

  private constructor(labels: LineLabels, template: Template) {
    this.#labels = labels
    this.#template = template
    this.#onlyField = template.onlyField
    this.#subject = new LineSubject(labels)
  }

  static prepare(
    labels: LineLabels,
    source: string,
    regexes: RegexBudget,
  ): Result<LineFormatStage> {
    const template = Template.prepare('line', source, regexes)
    if (!template.ok) return err('bad_query', `invalid line template: ${template.error.message}`)
    return ok(new LineFormatStage(labels, template.data))
  }

  run(line: string, timeNano: string): string {
    if (this.#onlyField !== null) return this.#labels.get(this.#onlyField) ?? ''
    this.#subject.line = line
    this.#subject.timeNano = timeNano
    const made = this.#template.run(this.#subject)
    if (made.ok) return made.data
    this.#labels.fail('TemplateFormatErr', made.error.message)
    return line
  }
}

type Prepared = { to: string } & ({ label: string } | { template: Template })

export class LabelFormatStage implements Step {
  readonly #labels: LineLabels
  readonly #formats: Prepared[]
  readonly #subject: LineSubject
  readonly #needsSnapshot: boolean

  private constructor(labels: LineLabels, formats: Prepared[]) {
    this.#labels = labels
    this.#formats = formats
    this.#subject = new LineSubject(labels)
    this.#needsSnapshot = formats.length > 1
  }

  static prepare(
    labels: LineLabels,
    formats: LabelFormat[],
    regexes: RegexBudget,
  ): Result<LabelFormatStage> {
    const prepared: Prepared[] = []
    const names = new Set<string>()
    for (const format of formats) {
      const { to } = format
      if (to === ERROR) return err('bad_query', `${ERROR} cannot be formatted`)
      if (names.has(to)) {
        const why = 'not allowed in a single format operation'
        return err('bad_query', `multiple label name '${to}' ${why}`)
      }
      names.add(to)
      if ('label' in format) prepared.push(format)
      else {
        const template = Template.prepare('label', format.template, regexes)
        if (!template.ok) {
          const why = `invalid template for label '${to}': ${template.error.message}`
          return err('bad_query', why)
        }
        prepared.push({ to, template: template.data })
      }
    }
    return ok(new LabelFormatStage(labels, prepared))
  }

  run(line: string, timeNano: string): string {
    const labels = this.#labels
    const subject = this.#subject
    subject.line = line
    subject.timeNano = timeNano
    subject.snapshot = null
    for (const format of this.#formats) {
      if ('label' in format) {
        const value = labels.get(format.label)
        if (value === undefined) continue
        labels.set(format.to, value)
        labels.delete(format.label)
        continue
      }
      if (this.#needsSnapshot) subject.snapshot ??= subject.labels()
      const made = format.template.run(subject)
      if (made.ok) labels.set(format.to, made.data)
      else labels.fail('TemplateFormatErr', made.error.message)
    }
    return line
  }
}
