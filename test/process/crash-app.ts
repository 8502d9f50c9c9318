// One app under the crash test: what was sent to it and answered, and so what it must show.
//
// Requests overlap, and a kill leaves some without an answer, so a deletion may or may not have
// reached a batch: one that was under way at the same time, or whose first attempt may have been
// stored. Either is right, but it must be all of the batch, and stay so. `settle` takes it from what
// is shown when nothing is under way any more.

import type { App, FoundRecord } from './client.ts'

export interface Spec {
  /** Names the record. */
  message: string
  service: string
  severity: number
  /** The attribute `victim`. */
  victim: string | null
  ms: number
}

export interface Batch {
  id: number
  specs: Spec[]
  /** What is sent, the same each time. */
  body: object
  /** The clock at its first attempt, and at its answer. */
  sentAt: number
  ackedAt: number
  /** Deletions that turned out to have reached it, or not. */
  reachedBy: Set<Deletion>
  sparedBy: Set<Deletion>
}

export interface Deletion {
  /** The body's filter; null: `prune`, all before `untilMs`. */
  filter: Record<string, string>
  untilMs: number
  hits(spec: Spec): boolean
  /** The clock at its last attempt, and at its answer. */
  askedAt: number
  ackedAt: number
  jobId: string
}

const SERVICES = ['api', 'web', 'billing', 'search', 'mail']
const PHRASES = ['order shipped', 'payment refused', 'disk almost full', 'user signed in', 'retry']
const VICTIMS = ['a', 'b', 'c']
const SEVERITIES = [5, 9, 9, 9, 13, 17]
const LEVEL_OF: Record<number, string> = { 5: 'debug', 9: 'info', 13: 'warn', 17: 'error' }
const NEVER = Number.POSITIVE_INFINITY

export class CrashApp {
  readonly app: App
  readonly batches: Batch[] = []
  readonly deletions: Deletion[] = []
  /** Attempts at deletions that got no answer. */
  lostDeletions = 0
  /** The clock when the app last got more shards: what was sent before must not be sent again. */
  raisedAt = 0
  readonly #random: () => number
  readonly #startMs: number
  /** Counts what happens, in order. */
  #clock = 0

  constructor(app: App, random: () => number, startMs: number) {
    this.app = app
    this.#random = random
    this.#startMs = startMs
  }

  tick(): number {
    return ++this.#clock
  }

  newBatch(records: number): Batch {
    const id = this.batches.length
    const service = this.#pick(SERVICES)
    const specs = Array.from({ length: records }, (_, i) => ({
      message: `b${id} i${i} ${this.#pick(PHRASES)}`,
      service,
      severity: this.#pick(SEVERITIES),
      victim: this.#random() < 0.2 ? this.#pick(VICTIMS) : null,
      ms: this.#startMs + id * 50 + Math.floor(this.#random() * 2000),
    }))
    const batch = {
      ...{ id, specs, body: otlpOf(service, specs), sentAt: this.tick(), ackedAt: NEVER },
      ...{ reachedBy: new Set<Deletion>(), sparedBy: new Set<Deletion>() },
    }
    this.batches.push(batch)
    return batch
  }

  newDeletion(): Deletion {
    const deletion = { ...this.#someFilter(), askedAt: this.tick(), ackedAt: NEVER, jobId: '' }
    this.deletions.push(deletion)
    return deletion
  }

  #someFilter(): Pick<Deletion, 'filter' | 'untilMs' | 'hits'> {
    const service = this.#pick(SERVICES)
    const victim = this.#pick(VICTIMS)
    // A share of what was sent so far, or all of it and some that comes.
    const untilMs = this.#startMs + Math.floor(this.#random() * 1.5 * this.batches.length) * 50
    const of = (filter: Record<string, string>, hits: (spec: Spec) => boolean, until = NEVER) => ({
      filter,
      untilMs: until,
      hits,
    })
    switch (Math.floor(this.#random() * 6)) {
      case 0:
        return of({ service }, (spec) => spec.service === service)
      case 1:
        return of({ q: 'refused' }, (spec) => spec.message.includes('refused'))
      case 2:
        return of({ level: 'error', service }, (spec) => {
          return spec.severity === 17 && spec.service === service
        })
      case 3:
        return of({}, (spec) => spec.ms < untilMs, untilMs)
      default:
        return of({ 'attr.victim': victim }, (spec) => spec.victim === victim)
    }
  }

  /** What is wrong with records that were read, beginning when the clock showed `startedAt`. */
  faults(found: FoundRecord[], order: 'asc' | 'desc', startedAt: number): string[] {
    const shown = new Map(found.map((record) => [record.message, record]))
    const faults: string[] = []
    if (shown.size < found.length) faults.push(`${found.length - shown.size} are shown twice`)
    if (new Set(found.map(({ id }) => id)).size < found.length) faults.push('ids are shown twice')
    let known = 0
    for (const batch of this.batches) {
      for (const spec of batch.specs) {
        const record = shown.get(spec.message)
        if (record) known++
        const where = `${spec.message} (sent ${batch.sentAt}, stored ${batch.ackedAt})`
        const isDue = batch.ackedAt < startedAt && this.#fateOf(batch, spec) === 'there'
        if (!record && isDue) faults.push(`lost: ${where}`)
        if (record && this.#isGone(batch, spec, startedAt)) faults.push(`undead: ${where}`)
        if (record && !isSame(record, spec)) faults.push(`altered: ${JSON.stringify(record)}`)
      }
    }
    if (known < shown.size) faults.push(`${shown.size - known} were never sent`)
    const sign = order === 'asc' ? 1 : -1
    const times = found.map((record) => BigInt(record.time_unix_nano) * BigInt(sign))
    if (times.some((time, i) => i > 0 && time < times[i - 1]!)) faults.push('not in order')
    return faults
  }

  /** Takes from what is shown how far deletions reached, now that nothing is under way. */
  settle(found: FoundRecord[]): void {
    const shown = new Set(found.map(({ message }) => message))
    for (const batch of this.batches) {
      const open = batch.specs.filter((spec) => this.#fateOf(batch, spec) === 'open')
      for (const deletion of open.length > 0 ? this.deletions : []) {
        const hit = open.filter((spec) => deletion.hits(spec))
        const isKnown = batch.sentAt > deletion.ackedAt || batch.sparedBy.has(deletion)
        if (hit.length === 0 || isKnown) continue
        const isSpared = hit.some(({ message }) => shown.has(message))
        batch[isSpared ? 'sparedBy' : 'reachedBy'].add(deletion)
      }
    }
  }

  /** How many records must be there, once all is settled. */
  countOf(passes: (spec: Spec) => boolean): number {
    let count = 0
    for (const batch of this.batches) {
      for (const spec of batch.specs) {
        if (passes(spec) && this.#fateOf(batch, spec) === 'there') count++
      }
    }
    return count
  }

  /** How many were deleted, once all is settled. */
  get gone(): number {
    const sent = this.batches.reduce((sum, { specs }) => sum + specs.length, 0)
    return sent - this.countOf(() => true)
  }

  #fateOf(batch: Batch, spec: Spec): 'there' | 'gone' | 'open' {
    if (this.#isGone(batch, spec, NEVER)) return 'gone'
    const isOpen = this.deletions.some(
      (deletion) =>
        batch.sentAt < deletion.ackedAt && !batch.sparedBy.has(deletion) && deletion.hits(spec),
    )
    return isOpen || batch.ackedAt === NEVER ? 'open' : 'there'
  }

  /** Whether a deletion that was answered before the clock showed `before` must have hidden it. */
  #isGone(batch: Batch, spec: Spec, before: number): boolean {
    return this.deletions.some(
      (deletion) =>
        deletion.ackedAt < before &&
        (batch.ackedAt < deletion.askedAt || batch.reachedBy.has(deletion)) &&
        deletion.hits(spec),
    )
  }

  #pick<T>(values: T[]): T {
    return values[Math.floor(this.#random() * values.length)]!
  }
}

const isSame = (record: FoundRecord, spec: Spec) =>
  record.service === spec.service &&
  record.level === LEVEL_OF[spec.severity] &&
  record.timestamp === spec.ms &&
  (record.metadata.attributes?.victim ?? null) === spec.victim

function otlpOf(service: string, specs: Spec[]): object {
  const logRecords = specs.map(({ message, severity, victim, ms }, i) => ({
    timeUnixNano: `${ms}${String(i).padStart(6, '0')}`,
    severityNumber: severity,
    body: { stringValue: message },
    attributes: [
      { key: 'row', value: { intValue: String(i) } },
      ...(victim === null ? [] : [{ key: 'victim', value: { stringValue: victim } }]),
    ],
  }))
  const resource = { attributes: [{ key: 'service.name', value: { stringValue: service } }] }
  return { resourceLogs: [{ resource, scopeLogs: [{ logRecords }] }] }
}
