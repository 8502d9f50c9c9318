// Templates of line_format and label_format, prepared once and run over lines. What a template asks that
// does not fit a line's values is an error of that line, told as Go's text/template tells it.

import { RE2JS } from 're2js'
import { err, ok, type Result } from '../result.ts'
import type { RegexBudget } from './regex-budget.ts'
import {
  FUNCTIONS,
  type Param,
  REFUSED_FUNCTIONS,
  REGEX_FUNCTIONS,
  type TemplateFunction,
} from './template-functions.ts'
import { countMatches, replaceMatches } from './template-text.ts'
import {
  type Command,
  commandsOf,
  type Node,
  type Pipe,
  parseTemplate,
  type Term,
} from './template-tree.ts'
import {
  checkLength,
  Int,
  isTrue,
  Labels,
  Moment,
  print,
  TEMPLATE_CHARS_MAX,
  TemplateError,
  typeOf,
  type Value,
} from './template-values.ts'

/** What a template shows of a line. */
export interface Subject {
  line: string
  timeNano: string
  /** undefined where the line has no such label. */
  labelOf(name: string): string | undefined
  /** All labels. */
  labels(): ReadonlyMap<string, string>
}

/** Of all texts that one template makes of one line on the way. */
const HANDLED_CHARS_MAX = 4 * TEMPLATE_CHARS_MAX

export class Template {
  readonly #name: 'line' | 'label'
  readonly #source: string
  readonly #nodes: Node[]
  readonly #regexes: ReadonlyMap<Command, RE2JS>
  #subject: Subject | null = null
  #made = ''
  #handled = 0

  private constructor(
    name: 'line' | 'label',
    source: string,
    nodes: Node[],
    regexes: ReadonlyMap<Command, RE2JS>,
  ) {
    this.#name = name
    this.#source = source
    this.#nodes = nodes
    this.#regexes = regexes
  }

  static prepare(name: 'line' | 'label', source: string, budget: RegexBudget): Result<Template> {
    const nodes = parseTemplate(source)
    if (!nodes.ok) return err('bad_query', `template: ${name}:${nodes.error.message}`)
    const regexes = new Map<Command, RE2JS>()
    for (const command of commandsOf(nodes.data)) {
      for (const term of [command.first, ...command.rest]) {
        const fault = term.kind === 'function' ? faultOfFunction(term.name) : null
        if (fault) return err('bad_query', `template: ${name}:1: ${fault}`)
      }
      const { first, rest } = command
      if (first.kind !== 'function' || !REGEX_FUNCTIONS.has(first.name)) continue
      const [pattern] = rest
      if (pattern?.kind !== 'string') {
        const why = `${first.name} needs its regular expression as a quoted text`
        return err('bad_query', `template: ${name}:1: ${why}`)
      }
      const regex = budget.compile(pattern.value)
      if (!regex.ok) return regex
      regexes.set(command, RE2JS.compile(pattern.value))
    }
    return ok(new Template(name, source, nodes.data, regexes))
  }

  /** The name of the label that is all of it. */
  get onlyField(): string | null {
    const [node] = this.#nodes
    if (this.#nodes.length !== 1 || node?.kind !== 'action' || node.pipe.length !== 1) return null
    const { first, rest } = node.pipe[0]!
    return rest.length === 0 && first.kind === 'field' && first.names.length === 1
      ? first.names[0]!
      : null
  }

  run(subject: Subject): Result<string> {
    this.#subject = subject
    this.#made = ''
    this.#handled = 0
    try {
      this.#runNodes(this.#nodes)
      return ok(this.#made)
    } catch (e) {
      if (!(e instanceof TemplateError)) throw e
      return err('bad_query', e.message)
    }
  }

  #runNodes(nodes: Node[]): void {
    for (const node of nodes) {
      if (node.kind === 'text') this.#write(node.text)
      else if (node.kind === 'action') this.#write(print(this.#evaluate(node.pipe)))
      else this.#runNodes(isTrue(this.#evaluate(node.pipe)) ? node.body : node.otherwise)
    }
  }

  #write(text: string): void {
    this.#made += text
    checkLength(this.#made.length)
  }

  /** Short texts may still be made thousands of times. */
  #handle(chars: number): void {
    this.#handled += chars
    if (this.#handled <= HANDLED_CHARS_MAX) return
    throw new TemplateError(`its texts have more than ${HANDLED_CHARS_MAX} characters together`)
  }

  #evaluate(pipe: Pipe): Value {
    let value: Value | undefined
    for (const command of pipe) {
      value = this.#runCommand(command, value)
      if (typeof value === 'string') this.#handle(value.length)
    }
    return value!
  }

  #runCommand(command: Command, last: Value | undefined): Value {
    const { first, rest } = command
    if (first.kind === 'function') return this.#call(first, command, last)
    if (rest.length > 0 || last !== undefined) {
      const name = first.kind === 'field' ? first.names.at(-1) : null
      const why = name
        ? `${name} is not a method but has arguments`
        : `can't give argument to non-function ${first.source}`
      this.#fail(first, why)
    }
    if (first.kind === 'nil') this.#fail(first, 'nil is not a command')
    return this.#valueOf(first)
  }

  #call(at: Term & { kind: 'function' }, command: Command, last: Value | undefined): Value {
    const { name } = at
    const { rest } = command
    if (name === 'and' || name === 'or') return this.#choose(at, name, rest, last)
    if (name === '__line__' || name === '__timestamp__') {
      if (rest.length > 0 || last !== undefined) this.#wrongCount(at, 0, rest.length + 1)
      return name === '__line__' ? this.#subject!.line : new Moment(BigInt(this.#subject!.timeNano))
    }
    const regex = this.#regexes.get(command)
    if (regex) return this.#callRegex(at, command, regex, last)
    const called = FUNCTIONS.get(name)!
    const given = rest.length + (last === undefined ? 0 : 1)
    const wanted = called.params.length
    if (called.rest === null ? given !== wanted : given < wanted) {
      this.#wrongCount(at, wanted, given, called.rest !== null)
    }
    const args = rest.map((term, i) => this.#argument(term, paramOf(called, i)))
    if (last !== undefined)
      args.push(this.#checked(rest.at(-1) ?? at, paramOf(called, given - 1), last))
    return this.#guarded(command, () => called.call(args))
  }

  #wrongCount(
    at: Term & { kind: 'function' },
    wanted: number,
    given: number,
    isLeast = false,
  ): never {
    const want = isLeast ? `at least ${wanted}` : `${wanted}`
    return this.#fail(at, `wrong number of args for ${at.name}: want ${want} got ${given}`)
  }

  #callRegex(
    at: Term & { kind: 'function' },
    command: Command,
    regex: RE2JS,
    last: Value | undefined,
  ): Value {
    const { rest } = command
    const wanted = REGEX_FUNCTIONS.get(at.name)!
    const given = rest.length + (last === undefined ? 0 : 1)
    if (given !== wanted) this.#wrongCount(at, wanted, given)
    const texts = rest.slice(1).map((term) => this.#argument(term, 'string') as string)
    if (last !== undefined) texts.push(this.#checked(rest.at(-1)!, 'string', last) as string)
    const [text = '', by = ''] = texts
    return this.#guarded(command, () =>
      at.name === 'count'
        ? new Int(BigInt(countMatches(regex, text)), 'int')
        : replaceMatches(regex, text, by, at.name === 'regexReplaceAllLiteral'),
    )
  }

  /** `and` gives the first that is false, `or` the first that is true, else the last. */
  #choose(
    at: Term & { kind: 'function' },
    name: 'and' | 'or',
    rest: Term[],
    last: Value | undefined,
  ): Value {
    if (rest.length === 0 && last === undefined) this.#wrongCount(at, 1, 0, true)
    let value: Value = last ?? null
    for (const term of rest) {
      value = this.#argument(term, 'any')
      if (isTrue(value) === (name === 'or')) return value
    }
    return last === undefined ? value : last
  }

  #guarded({ first, rest }: Command, call: () => Value): Value {
    try {
      return call()
    } catch (e) {
      if (!(e instanceof TemplateError)) throw e
      const source = [first, ...rest].map(sourceOf).join(' ')
      return this.#fail({ ...first, source }, `error calling ${first.source}: ${e.message}`)
    }
  }

  #argument(term: Term, param: Param): Value {
    if (term.kind === 'string' && param !== 'string' && param !== 'any') {
      this.#fail(term, `expected ${EXPECTED[param]}; found ${term.source}`)
    }
    if (term.kind === 'boolean' && param !== 'any') {
      this.#fail(term, `expected ${EXPECTED[param]}; found ${term.source}`)
    }
    if (term.kind === 'number') return this.#number(term, param)
    return this.#checked(term, param, this.#valueOf(term))
  }

  /** A number as written fits more types than one that was made. */
  #number(term: Term & { kind: 'number' }, param: Param): Value {
    const { value } = term
    if (param === 'float64') return Number(value)
    const isWhole = typeof value === 'bigint' || Number.isInteger(value)
    if (param === 'int' && isWhole) return new Int(BigInt(value), 'int')
    if (param === 'any') return typeof value === 'bigint' ? new Int(value, 'int') : value
    return this.#fail(term, `expected ${EXPECTED[param]}; found ${term.source}`)
  }

  #checked(at: Term, param: Param, value: Value): Value {
    const isRight = param === 'any' || typeOf(value) === (param === 'time' ? 'time.Time' : param)
    if (isRight) return value
    const wanted = param === 'time' ? 'time.Time' : param
    return this.#fail(at, `wrong type for value; expected ${wanted}; got ${typeOf(value)}`)
  }

  #valueOf(term: Term): Value {
    switch (term.kind) {
      case 'field':
        if (term.names.length > 1) {
          const at = term.at + term.names[0]!.length + 1
          this.#fail({ ...term, at }, `can't evaluate field ${term.names[1]} in type string`)
        }
        return this.#subject!.labelOf(term.names[0]!) ?? ''
      case 'string':
      case 'boolean':
        return term.value
      case 'number':
        return typeof term.value === 'bigint' ? new Int(term.value, 'int') : term.value
      case 'dot':
        return new Labels(this.#subject!.labels())
      case 'nil':
        return null
      case 'pipe':
        return this.#evaluate(term.pipe)
      case 'function':
        return this.#call(term, { first: term, rest: [] }, undefined)
    }
  }

  #fail(at: Term, why: string): never {
    const before = this.#source.slice(0, at.at)
    const line = before.split('\n').length
    const column = new TextEncoder().encode(before.slice(before.lastIndexOf('\n') + 1)).length
    const place = `${this.#name}:${line}:${column}`
    throw new TemplateError(
      `template: ${place}: executing "${this.#name}" at <${at.source}>: ${why}`,
    )
  }
}

const sourceOf = (term: Term): string => (term.kind === 'pipe' ? `(${term.source})` : term.source)

const EXPECTED: Readonly<Record<Param, string>> = {
  string: 'string',
  int: 'integer',
  float64: 'float',
  time: 'time.Time',
  any: 'value',
}

const paramOf = ({ params, rest }: TemplateFunction, index: number): Param =>
  params[index] ?? rest ?? 'any'

const SPECIAL = new Set(['and', 'or', '__line__', '__timestamp__', ...REGEX_FUNCTIONS.keys()])

function faultOfFunction(name: string): string | null {
  if (FUNCTIONS.has(name) || SPECIAL.has(name)) return null
  if (REFUSED_FUNCTIONS.has(name)) return `function "${name}" is not supported`
  return `function "${name}" not defined`
}
