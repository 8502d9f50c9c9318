// A Worker in a bare workerd with fresh state, frozen as it is at this moment: wrangler bundles it
// and reads its configuration, but does not run it. `wrangler dev` would put a proxy, a workerd of
// its own, before it, at 1-2 ms of CPU a request that the platform does not have.
//
// Durable Objects, compatibility and one variable are what the benchmarks need; buckets and other
// bindings are left out.

import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { type Unstable_Config as Config, unstable_readConfig as readConfig } from 'wrangler'

const WRANGLER = resolve(import.meta.dirname, '../node_modules/wrangler/bin/wrangler.js')
/** That of the workerd that wrangler runs. */
const WORKERD: string = createRequire(createRequire(WRANGLER).resolve('miniflare'))(
  'workerd',
).default

/** USER_HZ, which is 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100
const OUTPUT_CHARACTERS_MAX = 4096

// So that what is to be done at exit is done then too.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => process.exit(1))
}

export interface Workerd {
  url: string
  /** Of all its threads since it started; NaN where there is no /proc. */
  cpuSeconds(): number
  /** What it and the Worker printed, the newest 4 K characters. */
  output(): string
  /** Ends it and removes its state. */
  stop(): Promise<void>
}

/** Starts the Worker whose wrangler.jsonc is in `folder`. Resolves once it listens. */
export async function startWorkerd(folder: string, adminKey = ''): Promise<Workerd> {
  const home = mkdtempSync(join(tmpdir(), 'worker-logs-bench-'))
  const removeHome = () => rmSync(home, { recursive: true, force: true })
  process.once('exit', removeHome)
  bundle(folder, home)
  const config = join(home, 'config.capnp')
  writeFileSync(
    config,
    capnpOf(readConfig({ config: join(folder, 'wrangler.jsonc') }), home, adminKey),
  )

  const child = spawn(WORKERD, ['serve', config, '--control-fd=3'], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  })
  let output = ''
  const keep = (chunk: Buffer) => {
    output = (output + chunk).slice(-OUTPUT_CHARACTERS_MAX)
  }
  child.stdout!.on('data', keep)
  child.stderr!.on('data', keep)
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  const ended = new Promise<void>((done) => child.once('exit', () => done()))
  const port = await Promise.race([
    portOf(child.stdio[3] as Readable),
    ended.then(() => Promise.reject(new Error(`workerd ended\n${output}`))),
  ])
  return {
    url: `http://127.0.0.1:${port}`,
    cpuSeconds: () => cpuSecondsOf(child.pid!),
    output: () => output,
    async stop() {
      kill()
      await ended
      removeHome()
    },
  }
}

/** Writes the Worker as the one module worker.js. */
function bundle(folder: string, out: string) {
  execFileSync(process.execPath, [WRANGLER, 'deploy', '--dry-run', '--env=', '--outdir', out], {
    cwd: folder,
    env: { ...process.env, WRANGLER_SEND_METRICS: 'false' },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
}

function capnpOf(config: Config, home: string, adminKey: string): string {
  const text = JSON.stringify
  const objects = config.durable_objects.bindings
  const namespaces = objects.map(
    ({ class_name: name }) =>
      `(className = ${text(name)}, uniqueKey = ${text(name)}, enableSql = true)`,
  )
  const bindings = objects.map(
    (binding) =>
      `(name = ${text(binding.name)}, durableObjectNamespace = ${text(binding.class_name)})`,
  )
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "worker", worker = (
      modules = [(name = "worker.js", esModule = embed "worker.js")],
      compatibilityDate = ${text(config.compatibility_date)},
      compatibilityFlags = ${text(config.compatibility_flags)},
      bindings = [
        (name = "ADMIN_KEY", text = ${text(adminKey)}),
        ${bindings.join(',\n        ')},
      ],
      durableObjectNamespaces = [
        ${namespaces.join(',\n        ')},
      ],
      durableObjectStorage = (localDisk = "state"),
    )),
    (name = "state", disk = (path = ${text(mkdtempSync(join(home, 'state-')))}, writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "worker")],
);
`
}

/** workerd chooses a free port and says which: {"event":"listen","socket":"http","port":8080}. */
async function portOf(control: Readable): Promise<number> {
  for await (const line of createInterface(control)) {
    const said = JSON.parse(line) as { event: string; socket?: string; port: number }
    if (said.event === 'listen' && said.socket === 'http') return said.port
  }
  throw new Error('workerd does not listen')
}

function cpuSecondsOf(pid: number): number {
  const file = `/proc/${pid}/stat`
  if (!existsSync(file)) return Number.NaN
  // "pid (name) state ppid ...", utime and stime are the 14th and 15th; a name may hold spaces.
  const stat = readFileSync(file, 'latin1')
  const rest = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(rest[11]) + Number(rest[12])) / TICKS_PER_SECOND
}
