// Which labels the stages of a query read, told from the query alone: parsers make those and no others,
// and of a record's own labels only those need to be read from the store.

import type { Reads } from './entry.ts'
import { namesOfFilter } from './label-filter.ts'
import { ERROR, ERROR_DETAILS, EXTRACTED, PRESERVE_ERROR } from './line-labels.ts'
import type { Stage, Unwrap } from './syntax.ts'
import { commandsOf, fieldsOf, parseTemplate } from './template-tree.ts'

export interface Using {
  /** What stages and the caller read; parsers make no others. */
  wanted: ReadonlySet<string> | 'all'
  /** What stages name: to read it, to make it, to keep or drop it. */
  named: ReadonlySet<string>
  /** Some template shows every label. */
  showsAll: boolean
  readsLine: boolean
}

export function usingOf(
  stages: Stage[],
  unwrap: Unwrap | null,
  outputs: ReadonlySet<string> | 'all',
): Using {
  const read = new Set<string>()
  const named = new Set<string>()
  let showsAll = false
  for (const stage of stages) {
    const names = namesReadBy(stage)
    if (names === 'all') showsAll = true
    else for (const name of names) read.add(name)
    for (const name of namesMadeBy(stage)) named.add(name)
  }
  if (unwrap) {
    read.add(unwrap.label)
    for (const name of unwrap.filters.flatMap(namesOfFilter)) read.add(name)
  }
  const wanted = outputs === 'all' || showsAll ? 'all' : withBases([...read, ...outputs])
  return {
    wanted,
    named: withBases([...read, ...named, ...(outputs === 'all' ? [] : outputs)]),
    showsAll,
    readsLine: stages.some((stage) => readsLine(stage, wanted)),
  }
}

/** With `x` for every `x_extracted`: a parser meets the key before it knows that own labels have it. */
function withBases(names: string[]): Set<string> {
  const all = new Set(names)
  for (const name of names) {
    if (name.endsWith(EXTRACTED)) all.add(name.slice(0, -EXTRACTED.length))
  }
  all.delete('')
  return all
}

function namesReadBy(stage: Stage): string[] | 'all' {
  switch (stage.kind) {
    case 'label':
      return namesOfFilter(stage.filter)
    case 'line_format':
      return namesOfTemplate(stage.template)
    case 'label_format': {
      const names: string[] = []
      for (const format of stage.formats) {
        const read = 'label' in format ? [format.label] : namesOfTemplate(format.template)
        if (read === 'all') return read
        names.push(...read)
      }
      return names
    }
    default:
      return []
  }
}

/** Of a template that is wrong nothing: it is refused when it is prepared. */
function namesOfTemplate(template: string): string[] | 'all' {
  const nodes = parseTemplate(template)
  if (!nodes.ok) return []
  const { names, showsAll } = fieldsOf(nodes.data)
  return showsAll ? 'all' : names
}

/** Names whose own label changes what the stage makes or leaves. */
function namesMadeBy(stage: Stage): string[] {
  switch (stage.kind) {
    case 'json':
    case 'logfmt':
      return stage.fields.map(({ label }) => label)
    case 'regexp':
      return [...stage.source.matchAll(/\(\?P?<([^>]+)>/g)].map((found) => found[1]!)
    case 'pattern':
      return [...stage.pattern.matchAll(/<([a-zA-Z_][a-zA-Z0-9_]*)>/g)]
        .map((found) => found[1]!)
        .filter((name) => name !== '_')
    case 'keep':
    case 'drop':
      return stage.labels.map((label) => (typeof label === 'string' ? label : label.name))
    default:
      return []
  }
}

function readsLine(stage: Stage, wanted: ReadonlySet<string> | 'all'): boolean {
  switch (stage.kind) {
    case 'line':
    case 'unpack':
      return true
    case 'json':
    case 'logfmt':
    case 'regexp':
    case 'pattern':
      return wanted === 'all' || wanted.size > 0
    case 'line_format':
      return usesLine(stage.template)
    case 'label_format':
      return stage.formats.some((format) => 'template' in format && usesLine(format.template))
    default:
      return false
  }
}

function usesLine(template: string): boolean {
  const nodes = parseTemplate(template)
  return (
    nodes.ok &&
    commandsOf(nodes.data).some(({ first, rest }) =>
      [first, ...rest].some((term) => term.kind === 'function' && term.name === '__line__'),
    )
  )
}

const ERRORS: ReadonlySet<string> = new Set([ERROR, ERROR_DETAILS, PRESERVE_ERROR])

export function readsOf({ named, showsAll }: Using): Reads {
  return showsAll ? 'all' : new Set([...named].filter((name) => !ERRORS.has(name)))
}
