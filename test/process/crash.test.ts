// Whatever moment the machine dies in, nothing is lost, doubled, or back from the dead. A round is
// traffic, jobs and deletions, SIGKILL to the whole runtime in the midst of them, a start on the same
// state, and a look at everything.
//
// SEED=7 ROUNDS=200 npx vitest run --project node test/process/crash.test.ts, or
// npm run fuzz -- crash 7. The seed fixes what is sent and when; what the kill meets also depends on
// the machine, so a seed that failed may have to be run a few times.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { randomOf } from '../batches.ts'
import { type Client, clientOf, type FoundRecord } from './client.ts'
import { bundledInto, type Collector, startCollector } from './collector.ts'
import { type Batch, CrashApp, type Deletion } from './crash-app.ts'
import { localObjects } from './local-r2.ts'

const ROUNDS = Number(process.env.ROUNDS ?? 30)
const SEED = Number(process.env.SEED ?? 1)
/** Rounds of one app: reading all of it each time must stay cheap. */
const ROUNDS_PER_APP = 5
const KILL_AFTER_MS_MAX = 1200
const SETTLE_MS_MAX = 60_000
/** Batches that were answered and are sent again after a kill, about. */
const AGAIN = 10

describe('kill -9', () => {
  it(
    `in any job leaves exactly what was acknowledged, ${ROUNDS} rounds from seed ${SEED}`,
    async () => {
      const home = await mkdtemp(join(tmpdir(), 'worker-logs-crash-'))
      const collector = await startCollector(await bundledInto(home))
      try {
        await runRounds(collector)
      } finally {
        await collector.stop()
        await rm(home, { recursive: true, force: true })
      }
    },
    120_000 + ROUNDS * 30_000,
  )
})

async function runRounds(collector: Collector): Promise<void> {
  const client = clientOf(collector.url, collector.adminKey)
  const apps: CrashApp[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const random = randomOf(SEED * 1_000_003 + round)
    const run = new Round(collector, client, random)
    try {
      if (round % ROUNDS_PER_APP === 0) {
        const app = await client.makeApp(`crash-${round}`)
        apps.push(new CrashApp(app, random, Date.now() - 3_600_000))
      }
      const app = apps.at(-1)!
      await run.play(app)
      if (round % ROUNDS_PER_APP === ROUNDS_PER_APP - 1 || round === ROUNDS - 1) {
        await run.finish(app)
      }
      // And no later kill took anything from an earlier app.
      if (round === ROUNDS - 1) for (const app of apps) await run.finish(app)
    } catch (e) {
      const what = e instanceof Error ? e.message : String(e)
      const told = `seed ${SEED}, round ${round}: ${what}\n${run.story.join('\n')}\n${collector.output()}`
      throw new Error(told, { cause: e })
    }
  }
}

class Round {
  /** What was done, for whoever has to find out why it failed. */
  readonly story: string[] = []
  readonly #collector: Collector
  readonly #client: Client
  readonly #random: () => number
  #isDying = false

  constructor(collector: Collector, client: Client, random: () => number) {
    this.#collector = collector
    this.#client = client
    this.#random = random
  }

  async play(app: CrashApp): Promise<void> {
    await this.#beQuiet(app)
    const killAfterMs = this.#random() ** 2 * KILL_AFTER_MS_MAX
    const actors = [
      ...Array.from({ length: this.#below(6) + 1 }, () => this.#send(app)),
      ...(this.#below(3) === 0 ? [] : [this.#read(app, this.#below(2) === 0 ? 'asc' : 'desc')]),
      ...(this.#below(2) === 0 ? [this.#seal(app)] : []),
      this.#interfere(app, this.#random() * killAfterMs),
    ]
    // One that fails must not wait for the others, nor be thrown after the test.
    const failed = actors.map(async (actor) => {
      await actor
      await new Promise(() => {})
    })
    await Promise.race([sleep(killAfterMs), ...failed])
    this.#isDying = true
    this.#tell(`kill after ${Math.round(killAfterMs)} ms`)
    await Promise.all([this.#collector.kill9(), ...actors])
    await this.#collector.restart()
    this.#isDying = false
    await this.#sendAgain(app)
    await this.#check(app, [this.#below(2) === 0 ? 'asc' : 'desc'])
  }

  /** What is best changed while nothing is sent: a retry across a raise of the shards is stored twice. */
  async #beQuiet(app: CrashApp): Promise<void> {
    const path = `/apps/${app.app.appId}/settings`
    const { shards } = await this.#client.admin<{ shards: number }>('GET', path)
    const change = {
      ...(this.#below(3) === 0 && { shards: Math.min(4, shards + 1) }),
      hot_days: this.#below(3) === 0 ? 0 : 3,
    }
    this.#tell(`settings ${JSON.stringify(change)}`)
    await this.#client.admin('PATCH', path, change)
    if (change.shards !== undefined) app.raisedAt = app.tick()
  }

  /** Sends batches until it is killed or has sent its share. */
  async #send(app: CrashApp): Promise<void> {
    const isLarge = this.#below(3) === 0
    for (let left = isLarge ? 3000 : 400; left > 0 && !this.#isDying; ) {
      const batch = app.newBatch(2 + this.#below(isLarge ? 600 : 20))
      left -= batch.specs.length
      await this.#unlessKilled(() => this.#attempt(app, batch))
    }
  }

  /** Sends a batch until it is stored: what an exporter does with a 503. */
  async #attempt(app: CrashApp, batch: Batch): Promise<void> {
    for (;;) {
      const answer = await this.#client.sendOtlpJson(app.app, batch.body)
      const text = await answer.text()
      if (answer.status === 200) {
        batch.ackedAt = Math.min(batch.ackedAt, app.tick())
        expect(text).toBe('{}')
        return
      }
      if (answer.status !== 503) throw new Error(`${answer.status} to a batch: ${text}`)
      await sleep(100)
    }
  }

  async #read(app: CrashApp, order: 'asc' | 'desc'): Promise<void> {
    while (!this.#isDying) await this.#unlessKilled(() => this.#readOnce(app, order))
  }

  async #readOnce(app: CrashApp, order: 'asc' | 'desc'): Promise<FoundRecord[]> {
    const startedAt = app.tick()
    const found = await this.#client.findLogs(app.app, { order })
    this.#expectNone(app.faults(found, order, startedAt), `read ${order} from ${startedAt}`)
    return found
  }

  /** Seals what there is, over and over, so that there are small blocks to merge. */
  async #seal(app: CrashApp): Promise<void> {
    while (!this.#isDying) {
      await sleep(30 + this.#below(150))
      await this.#unlessKilled(() => this.#flush(app, '1h'))
    }
  }

  async #flush(app: CrashApp, olderThan?: string): Promise<string> {
    const body = { app_id: app.app.appId, ...(olderThan && { older_than: olderThan }) }
    const { jobs } = await this.#client.admin<{ jobs: { job_id: string }[] }>(
      'POST',
      '/flush',
      body,
    )
    return jobs[0]!.job_id
  }

  /** The event that the kill comes after: something that starts jobs. */
  async #interfere(app: CrashApp, afterMs: number): Promise<void> {
    await sleep(afterMs)
    const what = this.#below(8)
    await this.#unlessKilled(async () => {
      if (what < 3) await this.#flush(app)
      if (what >= 2 && what < 6) await this.#delete(app, app.newDeletion())
      if (what === 5) await this.#delete(app, app.newDeletion())
      if (what === 6) {
        const path = `/apps/${app.app.appId}/settings`
        await this.#client.admin('PATCH', path, { hot_days: 0 })
      }
    })
    this.#tell(`interfered (${what}) after ${Math.round(afterMs)} ms`)
  }

  async #delete(app: CrashApp, deletion: Deletion): Promise<void> {
    const { filter, untilMs } = deletion
    const isPrune = Object.keys(filter).length === 0
    const body = isPrune ? { before: untilMs } : { filter }
    const path = `/apps/${app.app.appId}/${isPrune ? 'prune' : 'delete'}`
    deletion.askedAt = app.tick()
    app.lostDeletions++
    const { job_id } = await this.#client.admin<{ job_id: string }>('POST', path, body)
    app.lostDeletions--
    deletion.ackedAt = app.tick()
    deletion.jobId = job_id
    this.#tell(`deleted ${JSON.stringify(body)} ${deletion.askedAt}..${deletion.ackedAt}`)
  }

  /** All that got no answer, and some that did: an answer may be lost on its way. In any order. */
  async #sendAgain(app: CrashApp): Promise<void> {
    const isOpen = ({ ackedAt }: { ackedAt: number }) => ackedAt === Number.POSITIVE_INFINITY
    const known = app.batches.filter(({ sentAt }) => sentAt > app.raisedAt)
    const share = AGAIN / Math.max(AGAIN, known.length)
    const batches = app.batches.filter(isOpen)
    const deletions = app.deletions.filter(isOpen)
    this.#tell(`again: ${batches.length} batches, ${deletions.length} deletions`)
    batches.push(...known.filter((batch) => !isOpen(batch) && this.#random() < share))
    const calls = [
      ...batches.map((batch) => () => this.#attempt(app, batch)),
      ...deletions.map((deletion) => () => this.#delete(app, deletion)),
    ]
    const keys = calls.map((call) => ({ call, key: this.#random() }))
    keys.sort((a, b) => a.key - b.key)
    await Promise.all(keys.map(({ call }) => call()))
  }

  /** Everything is shown that must be, and counted; nothing else is. */
  async #check(app: CrashApp, orders: ('asc' | 'desc')[]): Promise<void> {
    for (const order of orders) {
      app.settle(await this.#readOnce(app, order))
      // Again by what is settled now: of a batch all is there, or all is gone.
      const found = await this.#readOnce(app, order)
      expect(found.length, `records shown ${order}`).toBe(app.countOf(() => true))
    }
    const { countLogs } = this.#client
    expect(await countLogs(app.app), 'all counted').toBe(app.countOf(() => true))
    expect(await countLogs(app.app, { service: 'api' }), 'counted by service').toBe(
      app.countOf(({ service }) => service === 'api'),
    )
    expect(await countLogs(app.app, { level: 'error', q: 'refused' }), 'counted by words').toBe(
      app.countOf(({ severity, message }) => severity === 17 && message.includes('refused')),
    )
  }

  /** Flushes the app, waits for all its jobs, and compares what is left of them. */
  async finish(app: CrashApp): Promise<void> {
    const { appId } = app.app
    const deadlineMs = Date.now() + SETTLE_MS_MAX
    let deleted = 0
    for (const { jobId } of app.deletions) {
      deleted += await this.#untilDone(appId, jobId, deadlineMs)
    }
    await this.#untilDone(appId, await this.#flush(app), deadlineMs)
    await this.#untilIdle(appId, deadlineMs)
    await this.#check(app, ['asc', 'desc'])
    // Those of an attempt without an answer are in a job that nobody can name.
    if (app.lostDeletions === 0) expect(deleted, 'records of deletions').toBe(app.gone)
    else expect(deleted, 'records of deletions').toBeLessThanOrEqual(app.gone)

    const storage = await this.#client.admin<Storage>('GET', `/apps/${appId}/storage`)
    expect(storage.pending, 'pending').toEqual({ rows: 0, records: 0, bytes: 0 })
    expect(storage.warnings, 'warnings').toEqual([])
    expect(storage.records, 'records in storage').toBe(app.countOf(() => true))
    expect(storage.jobs.filter(({ error }) => error !== null)).toEqual([])
    await this.#compareArchive(appId, storage.pending_objects)
  }

  /** Waits for a job; its records. */
  async #untilDone(appId: string, jobId: string, deadlineMs: number): Promise<number> {
    for (;;) {
      const path = `/apps/${appId}/jobs/${jobId}`
      const job = await this.#client.admin<{ state: string; records: number }>('GET', path)
      if (job.state === 'done') return job.records
      if (Date.now() > deadlineMs) throw new Error(`not done: ${JSON.stringify(job)}`)
      await sleep(50)
    }
  }

  /** Until no job has work but that of another hour. */
  async #untilIdle(appId: string, deadlineMs: number): Promise<void> {
    for (;;) {
      const storage = await this.#client.admin<Storage>('GET', `/apps/${appId}/storage`)
      const soonMs = Date.now() + 60_000
      const busy = storage.jobs.filter(
        ({ next_run, error }) => error !== null || (next_run && Date.parse(next_run) < soonMs),
      )
      if (busy.length === 0 && storage.tombstones === 0) return
      if (Date.now() > deadlineMs) throw new Error(`never idle: ${JSON.stringify(storage)}`)
      await sleep(50)
    }
  }

  /** R2 holds what the archive lists, and else only what is noted to be removed. */
  async #compareArchive(appId: string, pendingObjects: number): Promise<void> {
    const { objects } = await this.#client.admin<{ objects: { key: string; bytes: number }[] }>(
      'GET',
      `/apps/${appId}/archive`,
    )
    const all = await localObjects(this.#collector.state)
    const lacking = objects.filter(({ key, bytes }) => all.get(key) !== bytes)
    expect(lacking, 'objects that R2 lacks').toEqual([])
    const own = [...all.keys()].filter((key) => key.startsWith(`${appId}/`))
    const orphans = own.length - objects.length
    expect(orphans, 'objects nobody will remove').toBeLessThanOrEqual(pendingObjects)
    this.#tell(`${appId}: ${objects.length} objects, ${orphans} of ${pendingObjects} orphans`)
  }

  /** Once it is being killed, whatever fails is no fault. */
  async #unlessKilled(act: () => Promise<unknown>): Promise<void> {
    try {
      await act()
    } catch (e) {
      if (!this.#isDying) throw e
    }
  }

  #expectNone(faults: string[], where: string): void {
    if (faults.length === 0) return
    throw new Error(`${where}: ${faults.length} faults\n${faults.slice(0, 20).join('\n')}`)
  }

  #below(n: number): number {
    return Math.floor(this.#random() * n)
  }

  #tell(text: string): void {
    this.story.push(text)
  }
}

interface Storage {
  records: number
  pending: { rows: number; records: number; bytes: number }
  pending_objects: number
  tombstones: number
  warnings: object[]
  jobs: { name: string; next_run: string | null; error: string | null }[]
}
