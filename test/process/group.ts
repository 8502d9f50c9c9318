// A program and all it starts, as one process group that ends as a whole.
//
// The group dies with its keeper, a shell that reads a pipe from the test. Whatever ends the test,
// SIGKILL included, closes the pipe, so nothing is left behind.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

const STOP_TIMEOUT_MS = 10_000
const REAP_TIMEOUT_MS = 2_000
const OUTPUT_CHARACTERS_MAX = 64 * 1024

// `cat` ends when the pipe from the test closes; `kill 0` is the whole group, this shell included.
const KEEPER = `exec 3<&0
(cat <&3 >/dev/null; kill -KILL 0) &
exec "$@" 3<&- </dev/null`

export interface Group {
  /** What it printed, both streams, the newest 64 K characters. */
  output(): string
  /** The exit code once its first process has ended: -1 by a signal, 127 where there is none. */
  readonly ended: Promise<number>
  hasEnded(): boolean
  /** SIGTERM, then SIGKILL to what is left. Resolves when no process of the group runs. */
  stop(): Promise<void>
  /** SIGKILL to all at once. Resolves when no process of the group runs. */
  kill9(): Promise<void>
}

export function startGroup(
  command: string[],
  options: { cwd: string; env: Record<string, string | undefined> },
): Group {
  const child = spawn('/bin/sh', ['-c', KEEPER, 'keeper', ...command], {
    ...options,
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const pid = child.pid
  if (pid === undefined) throw new Error('no process for /bin/sh')

  let output = ''
  const keep = (chunk: Buffer) => {
    output = (output + chunk).slice(-OUTPUT_CHARACTERS_MAX)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  // The pipe breaks when the group is killed; that is no failure of the test.
  child.stdin.on('error', () => {})

  let hasEnded = false
  const ended = once(child, 'exit').then(([code]) => {
    hasEnded = true
    return (code as number | null) ?? -1
  })
  // The keeper's `cat` outlives a program that ends by itself; its end of the pipe does not.
  ended.then(() => child.stdin.end())

  const killAll = async () => {
    signalGroup(pid, 'SIGKILL')
    await ended
    const deadlineMs = Date.now() + REAP_TIMEOUT_MS
    while ((await isAlive(pid)) && Date.now() < deadlineMs) await sleep(10)
  }
  return {
    output: () => output,
    ended,
    hasEnded: () => hasEnded,
    async stop() {
      signalGroup(pid, 'SIGTERM')
      await Promise.race([ended, sleep(STOP_TIMEOUT_MS, undefined, { ref: false })])
      await killAll()
    },
    kill9: killAll,
  }
}

/** False when the group has no process any more. */
function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-group, signal)
  } catch (e) {
    const { code } = e as NodeJS.ErrnoException
    // EPERM is what macOS answers for a group of the dead.
    if (code === 'ESRCH' || code === 'EPERM') return false
    throw e
  }
}

/**
 * Whether a process of the group still runs. Where process 1 reaps orphans late or never, the dead
 * stay in the group and signals still reach it; /proc tells them apart, where there is one.
 */
async function isAlive(group: number): Promise<boolean> {
  if (!signalGroup(group, 0)) return false
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name))
  if (pids.length === 0) return true
  const stats = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '')),
  )
  // "pid (name) state ppid pgrp ...", and a name may hold spaces and brackets.
  const rests = stats.map((stat) => stat.slice(stat.lastIndexOf(')') + 2).split(' '))
  return rests.some(([state, , pgrp]) => state !== 'Z' && pgrp === String(group))
}
