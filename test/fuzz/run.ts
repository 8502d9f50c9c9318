// The seeded fuzzers, for longer than `npm test` has time:
//
//   npm run fuzz [-- <name> [seed]]
//
// All of this folder, or one by the name of its file; `crash` is test/process/crash.test.ts, with 200
// kills. ROUNDS in the environment says how long, where a fuzzer counts in rounds.

import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'

const ROOT = resolve(import.meta.dirname, '../..')
const CRASH_ROUNDS = '200'
const SUFFIX = '.test.ts'

const [name, seed] = process.argv.slice(2)
const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith(SUFFIX))
  .map((file) => file.slice(0, -SUFFIX.length))

if (name !== undefined && name !== 'crash' && !names.includes(name)) {
  fail(`no fuzzer "${name}": there are ${[...names, 'crash'].join(', ')}`)
}
if (seed !== undefined && !/^\d{1,9}$/.test(seed)) {
  fail(`a seed is a whole number up to 999999999, not "${seed}"`)
}

const isCrash = name === 'crash'
const folder = isCrash ? 'test/process' : 'test/fuzz'
const files = name === undefined ? `${folder}/` : `${folder}/${name}${SUFFIX}`
const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs')
const { status } = spawnSync(
  process.execPath,
  ['--no-warnings', vitest, 'run', '--project', 'node', files],
  {
    cwd: ROOT,
    stdio: 'inherit',
    env: {
      ...(isCrash && { ROUNDS: CRASH_ROUNDS }),
      ...process.env,
      ...(seed !== undefined && { SEED: seed, FUZZ_SEED: seed }),
    },
  },
)
process.exitCode = status ?? 1

function fail(message: string): never {
  process.stderr.write(`${message}\n`)
  process.exit(1)
}
