// Every benchmark, one after the other, each in a process of its own:
//
//   node bench/run.ts [--quick]

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const FLOWS = [
  'decode.ts',
  'seal.ts',
  'codecs.ts',
  'filters.ts',
  'ingest.ts',
  'search.ts',
  'cold.ts',
  'latency.ts',
  'tail.ts',
]

for (const flow of FLOWS) {
  console.log(`\n## ${flow}\n`)
  const script = join(import.meta.dirname, flow)
  const { status } = spawnSync(process.execPath, [script, ...process.argv.slice(2)], {
    stdio: 'inherit',
  })
  if (status !== 0) process.exitCode = 1
}
