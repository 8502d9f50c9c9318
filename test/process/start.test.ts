// `npm start` as a newcomer meets it, in a copy of the project without any state.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort } from './collector.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const copy = mkdtempSync(join(tmpdir(), 'worker-logs-start-'))
let port: number
let running: ChildProcess | undefined

beforeAll(async () => {
  for (const name of ['src', 'dev', 'package.json', 'tsconfig.json', 'wrangler.jsonc']) {
    cpSync(join(ROOT, name), join(copy, name), { recursive: true })
  }
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'), 'dir')
  port = await freePort()
})
afterAll(async () => {
  await stop()
  rmSync(copy, { recursive: true, force: true })
})

/** Starts it and gives what it printed, once it printed its last line or ended. */
async function start(): Promise<{ output: string; code: number | null }> {
  const child = spawn(process.execPath, ['--no-warnings', join(copy, 'dev/start.ts')], {
    cwd: copy,
    env: { ...process.env, PORT: String(port), CI: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running = child
  let output = ''
  return new Promise((resolve) => {
    const take = (chunk: Buffer) => {
      output += chunk
      if (output.includes('Ctrl+C')) resolve({ output, code: null })
    }
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    child.on('exit', (code) => resolve({ output, code }))
  })
}

async function stop(): Promise<void> {
  if (!running || running.exitCode !== null || running.signalCode !== null) return
  const ended = once(running, 'exit')
  running.kill('SIGINT')
  await ended
}

/** Runs a printed line as the shell would. */
async function paste(line: string): Promise<string> {
  const shell = spawn('/bin/sh', ['-c', line.replace(/^curl/, 'curl -s')])
  let output = ''
  shell.stdout.on('data', (chunk) => {
    output += chunk
  })
  await once(shell, 'close')
  return output
}

const curlLines = (output: string) => output.split('\n').filter((line) => line.startsWith('curl '))

describe('npm start', () => {
  it('makes a secret, an app and keys, and prints lines that work, also the second time', async () => {
    const first = await start()
    expect(first.output).not.toMatch(/warn|error|\bat .*:\d+:\d+/i)
    expect(first.output).toContain(`http://localhost:${port}/v1/logs`)
    const vars = readFileSync(join(copy, '.dev.vars'), 'utf8')
    expect(vars).toMatch(/^ADMIN_KEY=.{40,}$/m)
    const [log, find] = curlLines(first.output)
    expect(await paste(log!)).toContain('"accepted":1')
    expect(await paste(find!)).toContain('hello, logs')
    await stop()

    const second = await start()
    expect(curlLines(second.output)).toEqual([log, find])
    expect(await paste(find!)).toContain('hello, logs')
    expect(readFileSync(join(copy, '.dev.vars'), 'utf8')).toBe(vars)
    await stop()
  }, 180_000)

  it('respects a .dev.vars, and says how to add what is missing', async () => {
    writeFileSync(join(copy, '.dev.vars'), 'OTHER=1\n')
    const { output, code } = await start()
    expect(code).toBe(1)
    expect(output).toContain('.dev.vars has no ADMIN_KEY')
    expect(output).toMatch(/^ADMIN_KEY=\S+$/m)
    expect(readFileSync(join(copy, '.dev.vars'), 'utf8')).toBe('OTHER=1\n')
  }, 60_000)

  it('keeps local state out of git', () => {
    const ignored = readFileSync(join(ROOT, '.gitignore'), 'utf8').split('\n')
    expect(ignored).toEqual(expect.arrayContaining(['.wrangler/', '.dev.vars']))
    expect(existsSync(join(copy, '.wrangler', 'dev-keys.json'))).toBe(true)
  })
})
