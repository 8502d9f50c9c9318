// The programs that the tests drive, and how each is built. None is ours: programs/ holds only the
// small sources that call them, with every version pinned. Each is built once into a folder of the
// user's cache whose name ends in a hash of its sources and commands, and found there afterwards.
//
// What cannot be built (no Go, Java or Python here, or no way to fetch their packages) is said in
// print with the reason, and its tests are marked skipped; INTEROP_REQUIRED=1 makes that a failure.
// What was built and then misdelivers always fails.

import { createHash } from 'node:crypto'
import { cp, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { stripVTControlCharacters } from 'node:util'
import { startGroup } from '../process/group.ts'

const SOURCES = join(import.meta.dirname, 'programs')
const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'worker-logs/interop')

/**
 * Of logcli, the longest: 6 minutes on two cores, with nothing cached. With all builds CI takes no half
 * hour; what is not built by then is built faster next time, from what compilers keep.
 */
const BUILD_TIMEOUT_MS = 10 * 60_000
const ALL_BUILDS_TIMEOUT_MS = 14 * 60_000
const REASON_LINE_CHARACTERS_MAX = 240

interface Recipe {
  /** A folder of programs/, copied to where the commands run. Absent: they start in an empty one. */
  sources?: string
  /** Run in order, in the folder of the build; `go install` lays programs into its bin/. */
  build: string[][]
  /** What starts the program; `{}` is the folder, which was moved after the build. */
  run: string[]
}

const TELEMETRYGEN = 'github.com/open-telemetry/opentelemetry-collector-contrib/cmd/telemetrygen'

const RECIPES = {
  collector: {
    sources: 'collector',
    build: [
      ['go', 'install', 'go.opentelemetry.io/collector/cmd/builder@v0.160.0'],
      ['./bin/builder', '--config', 'builder.yaml', '--ldflags', '-s -w'],
      ['mv', 'otelcol-src/otelcol', 'otelcol'],
      ['rm', '-r', 'otelcol-src', 'bin'],
    ],
    run: ['{}/otelcol'],
  },
  telemetrygen: {
    build: [['go', 'install', `${TELEMETRYGEN}@v0.161.0`]],
    run: ['{}/bin/telemetrygen'],
  },
  go: {
    sources: 'go',
    build: [['go', 'build', '-mod=readonly', '-trimpath', '-o', 'program', '.']],
    run: ['{}/program'],
  },
  java: {
    sources: 'java',
    build: [
      ['mvn', '-B', '-q', 'dependency:copy-dependencies', '-DoutputDirectory=lib'],
      ['javac', '-encoding', 'UTF-8', '-d', 'classes', '-cp', 'lib/*', 'Main.java'],
    ],
    run: ['java', '-Dfile.encoding=UTF-8', '-cp', '{}/lib/*:{}/classes', 'Main'],
  },
  python: {
    sources: 'python',
    build: [
      ['python3', '-m', 'venv', 'venv'],
      ['venv/bin/python', '-m', 'pip', 'install', '-q', '-r', 'requirements.txt'],
    ],
    run: ['{}/venv/bin/python', '{}/main.py'],
  },
  // The last version that compresses each attempt anew, so that the bytes of a retry are others.
  'python-1.44': {
    sources: 'python',
    build: [
      ['python3', '-m', 'venv', 'venv'],
      ['venv/bin/python', '-m', 'pip', 'install', '-q', '-r', 'requirements-1.44.txt'],
    ],
    run: ['{}/venv/bin/python', '{}/main.py'],
  },
  // Loki's own client, and Loki itself, from one module: what the first compiles the second finds.
  logcli: {
    sources: 'loki',
    build: [goBuild('github.com/grafana/loki/v3/cmd/logcli')],
    run: ['{}/program'],
  },
  loki: {
    sources: 'loki',
    build: [goBuild('github.com/grafana/loki/v3/cmd/loki')],
    run: ['{}/program'],
  },
  // What apps push to Loki with, of npm and PyPI.
  'node-loki': {
    sources: 'node-loki',
    build: [['npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund']],
    run: ['node', '{}/main.js'],
  },
  'python-loki': {
    sources: 'python-loki',
    build: [
      ['python3', '-m', 'venv', 'venv'],
      ['venv/bin/python', '-m', 'pip', 'install', '-q', '-r', 'requirements.txt'],
    ],
    run: ['{}/venv/bin/python', '{}/main.py'],
  },
  // DuckDB and Arrow, which read the blocks of the archive.
  parquet: {
    sources: 'parquet',
    build: [
      ['python3', '-m', 'venv', 'venv'],
      ['venv/bin/python', '-m', 'pip', 'install', '-q', '-r', 'requirements.txt'],
    ],
    run: ['{}/venv/bin/python', '{}/main.py'],
  },
  // The package that Promtail was, of Loki's module. Last, because it takes as long as logcli.
  promtail: {
    sources: 'promtail',
    build: [goBuild('.')],
    run: ['{}/program'],
  },
} satisfies Record<string, Recipe>

/** Builds a program of a module that go.mod names. */
function goBuild(path: string): string[] {
  return ['go', 'build', '-mod=readonly', '-ldflags', '-s -w', '-o', 'program', path]
}

export type ProgramName = keyof typeof RECIPES

/** The command that starts it, or why there is none. */
export type Program = { command: string[] } | { missing: string }
export type Programs = Record<ProgramName, Program>

/** One after the other, because each build takes all cores by itself. */
export async function buildPrograms(say: (line: string) => void): Promise<Programs> {
  const programs: Partial<Programs> = {}
  const deadlineMs = Date.now() + ALL_BUILDS_TIMEOUT_MS
  for (const name of Object.keys(RECIPES) as ProgramName[]) {
    const ownDeadlineMs = Math.min(deadlineMs, Date.now() + BUILD_TIMEOUT_MS)
    programs[name] = await buildProgram(name, ownDeadlineMs, say)
  }
  return programs as Programs
}

async function buildProgram(
  name: ProgramName,
  deadlineMs: number,
  say: (line: string) => void,
): Promise<Program> {
  const recipe: Recipe = RECIPES[name]
  const home = join(CACHE, `${name}-${await hashOf(recipe)}`)
  const program = { command: recipe.run.map((word) => word.replaceAll('{}', home)) }
  if (await exists(home)) return program

  say(`interop: building ${name} into ${home}`)
  const startMs = Date.now()
  const unfinished = `${home}.${process.pid}`
  try {
    await mkdir(unfinished, { recursive: true })
    if (recipe.sources) await cp(join(SOURCES, recipe.sources), unfinished, { recursive: true })
    await mkdir(join(unfinished, 'tmp'))
    for (const command of recipe.build) await runStep(command, unfinished, deadlineMs)
    await rm(join(unfinished, 'tmp'), { recursive: true })
    await rename(unfinished, home)
  } catch (e) {
    // A run beside this one may have finished first; its build is as good.
    if (await exists(home)) return program
    return { missing: e instanceof Error ? e.message : String(e) }
  } finally {
    await rm(unfinished, { recursive: true, force: true })
  }
  say(`interop: built ${name} in ${Math.round((Date.now() - startMs) / 1000)} s`)
  return program
}

async function runStep(command: string[], folder: string, deadlineMs: number): Promise<void> {
  const env = {
    ...process.env,
    GOBIN: join(folder, 'bin'),
    CGO_ENABLED: '0',
    // The Collector's builder leaves a folder there.
    TMPDIR: join(folder, 'tmp'),
    PIP_DISABLE_PIP_VERSION_CHECK: '1',
  }
  const group = startGroup(command, { cwd: folder, env })
  const late = new AbortController()
  const timeout = sleep(deadlineMs - Date.now(), 'late' as const, { signal: late.signal })
  const code = await Promise.race([group.ended, timeout.catch(() => 'late' as const)])
  late.abort()
  await group.kill9()
  if (code === 0) return
  const why = code === 'late' ? 'not done in time' : `exit ${code}`
  throw new Error(`\`${command.join(' ')}\`: ${why}\n${excerptOf(group.output())}`)
}

/** The first and last lines, because one program says the reason first and another last. */
function excerptOf(output: string): string {
  const lines = output.split('\n').map((line) => stripVTControlCharacters(line).trim())
  const said = lines.filter((line) => line !== '' && line !== '[ERROR]')
  const kept = said.length > 4 ? [...said.slice(0, 2), '...', ...said.slice(-2)] : said
  return kept.map((line) => `  ${line.slice(0, REASON_LINE_CHARACTERS_MAX)}`).join('\n')
}

/** Of all that decides what is built, so that a change of it builds anew. */
async function hashOf(recipe: Recipe): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([recipe, process.platform, process.arch]))
  if (recipe.sources) {
    const folder = join(SOURCES, recipe.sources)
    for (const name of (await readdir(folder)).sort()) {
      hash.update(`\0${name}\0`).update(await readFile(join(folder, name)))
    }
  }
  return hash.digest('hex').slice(0, 12)
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
