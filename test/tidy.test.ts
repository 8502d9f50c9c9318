// The rules of layout that matter, as a test: who may import whom, where the clock and the network
// are, how long a function may grow, what we depend on. A rule nobody checks is a wish.

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
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
  query: [...NOUNS, 'block'],
  shard: [...NOUNS, 'block', 'query', 'env', 'type:tenant'],
  tenant: [...NOUNS, 'block', 'query', 'env', 'type:shard'],
  api: [...NOUNS, 'ingest', 'query', 'tenant', 'env', 'type:shard'],
}

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

const RUNTIME_DEPENDENCIES = ['hono', 'zod']
const DEVELOPMENT_DEPENDENCIES = [
  '@biomejs/biome',
  '@cloudflare/vitest-plugin',
  '@cloudflare/workers-types',
  '@opentelemetry/api',
  '@opentelemetry/exporter-logs-otlp-http',
  '@opentelemetry/exporter-logs-otlp-proto',
  '@opentelemetry/otlp-transformer',
  '@opentelemetry/resources',
  '@opentelemetry/sdk-logs',
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
    const users = sources.filter(({ text }) => text.includes("'cloudflare:workers'"))
    expect(
      users.map(({ name }) => name).filter((name) => !MAY_IMPORT_WORKERS.includes(name)),
    ).toEqual([])
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

  it('are those we decided on, at exact versions', () => {
    expect(Object.keys(manifest.dependencies).sort()).toEqual(RUNTIME_DEPENDENCIES)
    expect(Object.keys(manifest.devDependencies).sort()).toEqual(DEVELOPMENT_DEPENDENCIES)
    const versions = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })
    expect(versions.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(String(version)))).toEqual([])
  })

  it('name no registry, and a runtime for all five platforms', () => {
    expect(lock.includes('"resolved": "http')).toBe(false)
    expect(lock.match(/"node_modules\/@cloudflare\/workerd-/g)?.length).toBe(5)
  })
})

describe('git', () => {
  it('tracks no local state and no secret', () => {
    let files: string[]
    try {
      files = execFileSync('git', ['ls-files'], { cwd: ROOT, encoding: 'utf8' }).split('\n')
    } catch {
      // A copy without its history has nothing to track.
      return
    }
    const local = /(?:^|\/)(?:\.wrangler\/|\.dev\.vars$|node_modules\/|dist\/)/
    expect(files.filter((name) => local.test(name))).toEqual([])
  })
})

function importsOf({ name, text }: Source) {
  const form = /^(?:import|export)\s+(type\s)?[^'"]*?from\s+'(\.[^']+)'/gm
  return [...text.matchAll(form)].map(([, type, path]) => ({
    from: name,
    isType: type !== undefined,
    target: relative(join(ROOT, 'src'), resolve(ROOT, 'src', dirname(name), path!)).replaceAll(
      '\\',
      '/',
    ),
  }))
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

/** Reads the form the formatter gives: a body ends at the first line that is its opening's indent and `}`. */
function longFunctions({ name, lines }: Source): string[] {
  const start =
    /^(\s*)(?:export |default |async |static |private )*(?:function\b.*|(?:const \w+ = .*=>)|(?:[\w#]+\(.*\).*)|\w+\.(?:get|post|put|patch|delete|all|on|use)\(.*)\{$/
  return lines.flatMap((line, i) => {
    const match = start.exec(line)
    if (!match || /^\s*(?:if|for|while|switch|catch|else|return)\b/.test(line)) return []
    const end = lines.findIndex((other, j) => j > i && other.startsWith(`${match[1]}}`))
    const length = end - i + 1
    return length > FUNCTION_LINES_MAX ? [`${name}:${i + 1}: ${length} lines`] : []
  })
}
