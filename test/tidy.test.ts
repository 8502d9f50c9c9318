// The rules of layout that matter, as a test: who may import whom, where the clock and the network
// are, how long a function may grow, what we depend on. A rule nobody checks is a wish.

import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '..')
const NOUNS = ['record', 'result', 'limits', 'bytes', 'words', 'time']
const FUNCTION_LINES_MAX = 70
const FILE_LINES_MAX = 600

/** What the files of a folder may import, beside their own folder. `type:` is for types alone. */
const MAY_IMPORT: Record<string, string[]> = {
  ingest: NOUNS,
  block: NOUNS,
  archive: NOUNS,
  query: NOUNS,
  match: [...NOUNS, 'block', 'query'],
  prune: [...NOUNS, 'block', 'query', 'match'],
  count: [...NOUNS, 'block', 'query', 'match'],
  logql: [...NOUNS, 'block', 'query', 'match', 'count'],
  shard: [...NOUNS, 'block', 'query', 'match', 'prune', 'archive', 'env', 'type:tenant'],
  tenant: [...NOUNS, 'block', 'query', 'match', 'count', 'logql', 'archive', 'env', 'type:shard'],
  api: [...NOUNS, 'ingest', 'query', 'match', 'count', 'logql', 'tenant', 'env', 'type:shard'],
}

/** The files of src/ itself: the nouns, and what ties all together. */
const ROOT_FILES = [...NOUNS, 'env', 'worker']

const MAY_IMPORT_WORKERS = [
  'worker.ts',
  'api/rpc.ts',
  'shard/shard.ts',
  'shard/sealer.ts',
  'tenant/registry.ts',
]
const MAY_TOUCH_THE_WORLD = /^(?:api|shard|tenant)\/|^watch\/notify\.ts$/
const WORLD =
  /\b(?:Date\.now|new Date\(\)|performance\.now|Math\.random|getRandomValues|randomUUID|fetch)\b\(?/

const RUNTIME_DEPENDENCIES = [
  '@grafana/lezer-logql',
  '@lezer/lr',
  'hono',
  'hyparquet',
  'hyparquet-writer',
  're2js',
  'zod',
]
const DEVELOPMENT_DEPENDENCIES = [
  '@biomejs/biome',
  '@cfworker/json-schema',
  '@cloudflare/vitest-plugin',
  '@cloudflare/workers-types',
  '@opentelemetry/api',
  '@opentelemetry/exporter-logs-otlp-http',
  '@opentelemetry/exporter-logs-otlp-proto',
  '@opentelemetry/otlp-transformer',
  '@opentelemetry/resources',
  '@opentelemetry/sdk-logs',
  '@seriousme/openapi-schema-validator',
  '@types/node',
  'fast-check',
  'protobufjs',
  'protobufjs-cli',
  'typescript',
  'vitest',
  'wrangler',
]

interface Source {
  /** Relative to src/. */
  name: string
  text: string
  lines: string[]
}

function sourcesOf(folder: string): Source[] {
  const root = join(ROOT, folder)
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => {
      const text = readFileSync(join(root, name), 'utf8')
      return { name: name.replaceAll('\\', '/'), text, lines: text.split('\n') }
    })
}

const sources = sourcesOf('src')

describe('layout', () => {
  it('every file is in a folder whose imports are ruled, or is one of the few above them', () => {
    expect(sources.flatMap(misplaced)).toEqual([])
  })

  it('every import is one the folder may make', () => {
    expect(sources.flatMap(badImports)).toEqual([])
  })

  it('the nouns import each other alone', () => {
    const bad = sources
      .filter(({ name }) => NOUNS.some((noun) => name === `${noun}.ts`))
      .flatMap(importsOf)
      .filter(({ target }) => !NOUNS.includes(target.replace(/\.ts$/, '')))
    expect(bad).toEqual([])
  })

  it('cloudflare:workers is imported where the platform needs it, and nowhere else', () => {
    const users = sources.filter(({ text }) => /['"`]cloudflare:workers/.test(text))
    expect(
      users.map(({ name }) => name).filter((name) => !MAY_IMPORT_WORKERS.includes(name)),
    ).toEqual([])
  })

  it('zod is imported as a namespace: its `z` brings half a megabyte that nobody asks for', () => {
    const whole = sources.filter(({ text }) =>
      /^import (?!type|\* as)[^;\n]* from 'zod'/m.test(text),
    )
    expect(whole.map(({ name }) => name)).toEqual([])
  })

  it('the clock, randomness and the network are handed down as values', () => {
    const users = sources.filter(({ name, lines }) => {
      const code = lines.filter((line) => !/^\s*(?:\/\/|\*|\/\*)/.test(line)).join('\n')
      return !MAY_TOUCH_THE_WORLD.test(name) && name !== 'worker.ts' && WORLD.test(code)
    })
    expect(users.map(({ name }) => name)).toEqual([])
  })

  it('no file is a barrel or a drawer', () => {
    const drawer = /(?:^|\/)(?:index|utils?|helpers?|common|shared|misc)\.ts$/
    expect(sources.map(({ name }) => name).filter((name) => drawer.test(name))).toEqual([])
  })
})

describe('form', () => {
  it('every source file opens with a comment', () => {
    const bare = sources.filter(({ lines }) => !lines[0]?.startsWith('//'))
    expect(bare.map(({ name }) => name)).toEqual([])
  })

  it(`no file is longer than ${FILE_LINES_MAX} lines`, () => {
    const long = sources.filter(({ lines }) => lines.length > FILE_LINES_MAX)
    expect(long.map(({ name, lines }) => `${name}: ${lines.length}`)).toEqual([])
  })

  it(`no function is longer than ${FUNCTION_LINES_MAX} lines`, () => {
    expect(sources.flatMap(longFunctions)).toEqual([])
  })

  it('no TODO without an issue', () => {
    const found = sources.flatMap(({ name, lines }) =>
      lines
        .filter((line) => /TODO(?!\(#\d+\))|FIXME|XXX/.test(line))
        .map((line) => `${name}: ${line.trim()}`),
    )
    expect(found).toEqual([])
  })
})

describe('dependencies', () => {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const lock = readFileSync(join(ROOT, 'package-lock.json'), 'utf8')
  const { packages } = JSON.parse(lock) as { packages: LockedPackages }

  it('are those we decided on, at exact versions', () => {
    expect(Object.keys(manifest.dependencies).sort()).toEqual(RUNTIME_DEPENDENCIES)
    expect(Object.keys(manifest.devDependencies).sort()).toEqual(DEVELOPMENT_DEPENDENCIES)
    const versions = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })
    expect(versions.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(String(version)))).toEqual([])
  })

  it('are all in the lock file, those of other platforms too: else npm ci breaks there', () => {
    expect(missingFrom(packages)).toEqual([])
  })

  it('name no registry, and a runtime for all five platforms', () => {
    expect(lock.includes('"resolved": "http')).toBe(false)
    expect(lock.match(/"node_modules\/@cloudflare\/workerd-/g)?.length).toBe(5)
  })
})

describe('git', () => {
  const files = trackedFiles()

  it('tracks no local state and no secret', () => {
    const local = /(?:^|\/)(?:\.wrangler\/|\.dev\.vars$|node_modules\/|dist\/)/
    expect(files.filter((name) => local.test(name))).toEqual([])
  })

  it('no source, document or setting names a place on a machine', () => {
    const own = files.filter((name) => !name.startsWith('test/fixtures/'))
    const found = own.flatMap((name) => {
      const text = existsSync(join(ROOT, name)) ? readFileSync(join(ROOT, name), 'utf8') : ''
      return text.includes('\0') ? [] : machinePaths(text).map((path) => `${name}: ${path}`)
    })
    expect(found).toEqual([])
  })
})

describe('these rules', () => {
  const body = (lines: number) => Array.from({ length: lines - 2 }, () => '    step()')
  const catches = (name: string, open: string[], close: string) =>
    it(`see a long function: ${name}`, () => {
      const indent = /^\s*/.exec(open[0]!)![0]
      const ofLength = (lines: number) => {
        const all = [...open, ...body(lines - open.length + 1), `${indent}${close}`]
        return longFunctions({ name: 'x.ts', text: all.join('\n'), lines: all })
      }
      expect(ofLength(FUNCTION_LINES_MAX)).toEqual([])
      expect(ofLength(FUNCTION_LINES_MAX + 1)).toEqual([`x.ts:1: ${FUNCTION_LINES_MAX + 1} lines`])
    })
  const imports = (name: string, text: string, bad: string[]) =>
    it(`see an import: ${name}`, () => {
      const source = { name: 'ingest/x.ts', text, lines: text.split('\n') }
      expect(badImports(source)).toEqual(bad.map((what) => `ingest/x.ts imports ${what}`))
    })

  catches('in one line', ['export async function f(a: A): B {'], '}')
  catches('parameters by line', ['async function f(', '  a: A,', '): B {'], '}')
  catches('a type by line', ['function f(', '  a: A,', '): Promise<', '  B', '> {'], '}')
  catches('a method', ['  override async alarm(): Promise<void> {'], '}')
  catches('a private method by line', ['  async #f(', '    a: A,', '  ): B {'], '}')
  catches('a generic method', ['  static f<A>(a: A): B {'], '}')
  catches('a getter', ['  get #store(): Store {'], '}')
  catches('an arrow', ['const f = async (a: A): B => {'], '}')
  catches('an arrow by line', ['export const f = (', '  a: A,', '): B => {'], '}')
  catches('a member', ['  fetch: async (request) => {'], '},')
  catches('a route', ["routes.on('POST', ['/a'], async (c) => {"], '})')
  catches('a route by line', ['routes.get(', "  '/a',", ') => {'], '})')

  imports('of a noun', "import { ok } from '../result.ts'", [])
  imports('of its own folder', "import { f } from './map.ts'", [])
  imports('of a package', "import { z } from 'zod'", [])
  imports('of another folder', "import { f } from '../shard/a.ts'", ['shard/a.ts'])
  imports('by line', "import {\n  f,\n} from '../shard/a.ts'", ['shard/a.ts'])
  imports('of types', "import type { A } from '../shard/a.ts'", ['shard/a.ts'])
  imports('passed on', "export * from '../shard/a.ts'", ['shard/a.ts'])
  imports('for its effect', "import '../shard/a.ts'", ['shard/a.ts'])
  imports('in other quotes', 'import { f } from "../shard/a.ts"', ['shard/a.ts'])
  imports('dynamic', "  const a = await import('../shard/a.ts')", ['shard/a.ts'])
  imports('dynamic, by line', "await import(\n  '../shard/a.ts',\n)", ['shard/a.ts'])
  imports('required', "const a = require('../shard/a.ts')", ['shard/a.ts'])
  imports('computed', 'await import(name)', ['a computed name'])
  imports('of what is outside', "import { f } from '../../test/a.ts'", ['../test/a.ts'])

  const isMisplaced = (name: string, is: boolean) =>
    it(`${is ? 'refuse' : 'take'} src/${name}`, () =>
      expect(misplaced({ name, text: '', lines: [] })).toEqual(is ? [name] : []))
  isMisplaced('ingest/a.ts', false)
  isMisplaced('worker.ts', false)
  isMisplaced('helpers/a.ts', true)
  isMisplaced('block/deep/a.ts', true)
  isMisplaced('extra.ts', true)

  it('see what a lock file lacks', () => {
    const locked: LockedPackages = {
      '': { dependencies: { a: '1' } },
      'node_modules/a': { version: '1', optionalDependencies: { b: '1', c: '1', d: '1' } },
      'node_modules/a/node_modules/b': { version: '1', optionalDependencies: { c: '1' } },
      'node_modules/c': { version: '1' },
      'node_modules/c/node_modules/d': { version: '1' },
    }
    expect(missingFrom(locked)).toEqual(['node_modules/a lacks d'])
    expect(missingFrom({ '': { optionalDependencies: { a: '1' } } })).toEqual([
      'package.json lacks a',
    ])
  })

  const names = (name: string, parts: string[], is: boolean) =>
    it(`${is ? 'see' : 'pass'} a place: ${name}`, () =>
      expect(machinePaths(`cd ${parts.join('/')}`).length).toBe(is ? 1 : 0))
  names('of a person', ['', 'home', 'me', 'logs'], true)
  names('of a person on a Mac', ['', 'Users', 'me'], true)
  names(
    'for a while',
    ['"', 'tmp', 'x"'].map((part) => part.replace('"', '')),
    true,
  )
  names('of a file', ['file:', '', '', 'home', 'me'], true)
  names('of this checkout', [ROOT, 'src'], true)
  names('in the repository', ['src', 'home', 'me'], false)
  names('in a URL', ['https:', '', 'example.com', 'home', 'me'], false)
  names('a program everyone has', ['#!', 'usr', 'bin', 'env'], false)
})

/** In the working tree; none in a copy without its history. */
function trackedFiles(): string[] {
  try {
    const files = execFileSync('git', ['ls-files', '-z'], { cwd: ROOT, encoding: 'utf8' })
    return files.split('\0').filter((name) => name !== '')
  } catch {
    // No git, or none here: there is nothing to track.
    return []
  }
}

/** Absolute paths of somebody's machine in a text. */
function machinePaths(text: string): string[] {
  const places =
    /(?:(?<![\w.:/~}-])|(?<=\bfile:\/\/))\/(?:home|root|Users|work|tmp|mnt|private|builds)\/[\w.-]+/g
  const windows = /\b[A-Z]:\\{1,2}(?:Users|Windows|Temp)\b/g
  const found: string[] = [...(text.match(places) ?? []), ...(text.match(windows) ?? [])]
  const here = [ROOT, homedir()].filter((path) => path.length > 1 && text.includes(`${path}/`))
  return found.length > 0 ? found : here
}

interface LockedPackage {
  version?: string
  dependencies?: Record<string, string>
  optionalDependencies?: Record<string, string>
}
type LockedPackages = Record<string, LockedPackage>

/** Packages that another needs, or may need on some platform, and that no folder above it holds. */
function missingFrom(packages: LockedPackages): string[] {
  return Object.entries(packages).flatMap(([place, { dependencies, optionalDependencies }]) =>
    Object.keys({ ...dependencies, ...optionalDependencies })
      .filter((name) => !foldersAbove(place).some((folder) => `${folder}${name}` in packages))
      .map((name) => `${place || 'package.json'} lacks ${name}`),
  )
}

/** Where a package looks for others: `node_modules/a/node_modules/`, `node_modules/`. */
function foldersAbove(place: string): string[] {
  const parts = place === '' ? [] : place.split(/\/?node_modules\//).slice(1)
  return Array.from({ length: parts.length + 1 }, (_, up) =>
    [...parts.slice(0, parts.length - up), ''].map((part) => `node_modules/${part}`).join('/'),
  )
}

function misplaced({ name }: Source): string[] {
  const [folder = '', ...rest] = name.split('/')
  const isRuled =
    rest.length === 0
      ? ROOT_FILES.includes(folder.replace(/\.ts$/, ''))
      : rest.length === 1 && Object.hasOwn(MAY_IMPORT, folder)
  return isRuled ? [] : [name]
}

/** The files an import names, in any form: a computed name is one that no rule can see. */
function importsOf({ name, text }: Source) {
  const from = /^[ \t]*(?:import|export)\s+(type\s)?[^'"`;]*?from\s+['"`](\.[^'"`]+)['"`]/gm
  const effect = /^[ \t]*import\s+()['"`](\.[^'"`]+)['"`]/gm
  const call = /\b(?:import|require)\s*\(()\s*['"`](\.[^'"`]+)['"`]/g
  const computed = /\b(?:(?:import|require)\s*\(\s*[^\s'"`]|createRequire\b)/.test(text)
  const found = [from, effect, call].flatMap((form) =>
    [...text.matchAll(form)].map(([, type, path]) => ({
      from: name,
      isType: Boolean(type),
      target: relative(join(ROOT, 'src'), resolve(ROOT, 'src', dirname(name), path!)).replaceAll(
        '\\',
        '/',
      ),
    })),
  )
  return computed ? [...found, { from: name, isType: false, target: 'a computed name' }] : found
}

function badImports(source: Source): string[] {
  const folder = source.name.split('/')[0]!
  const allowed = MAY_IMPORT[folder]
  if (!source.name.includes('/') || !allowed) return []
  return importsOf(source)
    .filter(({ isType, target }) => {
      const home = target.split('/')[0]!.replace(/\.ts$/, '')
      // The version shown at /health is the package's.
      if (home === folder || target === '../package.json') return false
      return !allowed.includes(home) && !(isType && allowed.includes(`type:${home}`))
    })
    .map(({ from, target }) => `${from} imports ${target}`)
}

const MODIFIERS = '(?:(?:export|default|async|static|private|protected|override|get|set) )*'
const FUNCTION = new RegExp(
  `^\\s*${MODIFIERS}(?:function\\b|[\\w#$]+(?:<.*>)?\\(|\\w+\\.(?:get|post|put|patch|delete|all|on|use)\\()`,
)
const CONTROL = /^\s*(?:if|for|while|switch|catch|else|return)\b/

/**
 * Reads the form the formatter gives: a signature over several lines ends at its opening's indent
 * with `)` or `>`, a body at the first line that is its opening's indent and `}`.
 */
function longFunctions({ name, lines }: Source): string[] {
  return lines.flatMap((line, i) => {
    if (!line.endsWith('{')) return []
    const indent = /^\s*/.exec(line)![0]
    const isOpening = (other: string) =>
      other.startsWith(indent) && /[^\s)>]/.test(other[indent.length] ?? ' ')
    let start = i
    while (start > 0 && !isOpening(lines[start]!)) start--
    const head = lines[start]!
    const isFunction = line.endsWith('=> {') || (FUNCTION.test(head) && !CONTROL.test(head))
    if (!isFunction) return []
    const end = lines.findIndex((other, j) => j > i && other.startsWith(`${indent}}`))
    const length = end - start + 1
    return length > FUNCTION_LINES_MAX ? [`${name}:${start + 1}: ${length} lines`] : []
  })
}
