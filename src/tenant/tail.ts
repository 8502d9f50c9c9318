// A live tail over all shards of an app: every record that matches, once, in each shard's order of
// arrival, from a position on or from now.
//
// Each shard has a line (tail-line.ts): its frames come by a socket that is opened before anything is
// read from the store, so what is stored and what comes live overlap, and sequence numbers tell them
// apart. Wherever the frames leave a gap - a reader that comes back, a socket that was lost, a reader
// too slow for what would have to wait in memory - a window of the store is read and handed out in its
// place. What is passed over is told, never silent.
//
// The reader pulls: `next` gives what there is, and waits when there is nothing. So nothing is read
// ahead of a slow reader but one window a shard, and the bounded frames.

import type { Env } from '../env.ts'
import {
  TAIL_BEHIND_RECORDS_MAX,
  TAIL_CALLS_MAX,
  TAIL_FRAME_CHARS,
  TAIL_HEARTBEAT_MS,
  TAIL_READER_CHARS_MAX,
  TAIL_WINDOW_RECORDS,
} from '../limits.ts'
import { readLine, type TailFrame, writePosition } from '../match/tail-wire.ts'
import type { RecordFilter } from '../query/parameters.ts'
import { err, type Failure, ok, type Result } from '../result.ts'
import type { ShardCaller } from '../shard/shard.ts'
import { forgetApp, tenantForApp } from './keys.ts'
import type { PartialReason } from './reader.ts'
import { callShard, type ShardAccess, withShards } from './route.ts'
import { isSilence, pause, type TailHost, TailLine, type Waiting } from './tail-line.ts'
import { readWindow } from './tail-window.ts'

/** What a reader hears. `id` is where to go on. */
export type TailEvent =
  /** One record, as JSON of one line. */
  | { kind: 'record'; id: string; json: string }
  | { kind: 'dropped'; id: string; dropped: Dropped }
  /** Nothing new, and how far that is true. */
  | { kind: 'position'; id: string }
  /** The last: there is no use to come back. */
  | { kind: 'closed'; failure: Failure }

/** What the reader will not get. */
export interface Dropped {
  reason: 'too_far_behind' | 'gone' | 'block_missing' | 'block_corrupt'
  shard: number
  /** Sequence numbers passed over, matching or not; null: an unknown part of the block. */
  records: number | null
  /** The first sequence number of the block that can not be read. */
  block?: number
}

/** Windows read at once: each may hold TAIL_WINDOW_CHARS_MAX. */
const WINDOWS_AT_ONCE = 4
/** A block that can not be read is asked for so often, and then told. */
const WINDOW_TRIES = 3
/** A reader that stays behind is told so often, and not of every few records. */
const SLACK_RECORDS = 10_000
const PAUSE_MS = 200
const PAUSE_MS_MAX = 5000

/** Opens a tail behind `after`, or from now on. Fails as a query would; once it is open, it lives on. */
export async function openTail(
  env: Env,
  access: ShardAccess,
  filter: RecordFilter,
  after: number[] | null,
): Promise<Result<Tail>> {
  const fresh = after && after.length > access.tenant.shards ? await renewed(env, access) : null
  if (fresh && !fresh.ok) return fresh
  return withShards(env, fresh?.data ?? access, async (access) => {
    const { shards } = access.tenant
    if (after && after.length > shards) {
      const text = `after is a position in ${after.length} shards, and the app has ${shards}`
      return err('bad_request', text, { parameter: 'after' })
    }
    const tail = new Tail(env, access, filter, after)
    const failure = await tail.start()
    return failure === null ? ok(tail) : { ok: false, error: failure }
  })
}

/** The access with what the registry says of the app by now. */
async function renewed(env: Env, access: ShardAccess): Promise<Result<ShardAccess>> {
  const { appId, tenantId } = access.tenant
  forgetApp(appId)
  const tenant = await tenantForApp(env, appId, Date.now())
  if (!tenant.ok) return tenant
  if (tenant.data?.tenantId !== tenantId) return err('not_found', 'this app has been deleted')
  return ok({ ...access, tenant: tenant.data })
}

export class Tail {
  readonly #env: Env
  #access: ShardAccess
  readonly #filter: RecordFilter
  readonly #host: TailHost
  readonly #abort = new AbortController()
  #lines: TailLine[]
  /** The line that is looked at first: each gets its turn. */
  #turn = 0
  /** Characters of frames that wait. */
  #waiting = 0
  #dropped: Dropped[] = []
  /** Blocks whose loss was told, by shard and first sequence number. */
  readonly #lost = new Set<string>()
  /** Records that a reader may be behind above the bound, once it was told of some. */
  #slack = 0
  #calls = 0
  #toldMs = 0
  #failure: Failure | null = null
  #isClosed = false
  #isRenewing = false
  #wake: () => void = () => {}

  constructor(env: Env, access: ShardAccess, filter: RecordFilter, after: number[] | null) {
    this.#env = env
    this.#access = access
    this.#filter = filter
    this.#host = {
      filter,
      call: (shard, call) => this.#call(shard, call),
      admits: (chars) => this.#admits(chars),
      changed: () => this.#wake(),
      failed: (failure) => void this.#failed(failure),
    }
    const { shards } = access.tenant
    const doneSeq = (shard: number) => (after === null ? null : (after[shard] ?? 0))
    this.#lines = Array.from(
      { length: shards },
      (_, shard) => new TailLine(this.#host, shard, doneSeq(shard)),
    )
  }

  /** Opens all sockets. A failure: the tail can not be, and is closed. */
  async start(): Promise<Failure | null> {
    const failures = await Promise.all(this.#lines.map((line) => line.open()))
    const failure = this.#refusal(failures)
    if (failure) this.close()
    else {
      for (const [shard, failed] of failures.entries()) {
        if (failed) void this.#lines[shard]!.reopen()
      }
    }
    this.#toldMs = Date.now()
    return failure
  }

  #refusal(failures: (Failure | null)[]): Failure | null {
    const hard = failures.find((failure) => failure && isHard(failure))
    if (hard) return hard
    const silence = failures.find((failure) => failure !== null) ?? null
    // From now on: of a silent shard nobody knows where now is.
    const isLive = this.#lines.some(({ doneSeq }) => doneSeq === null)
    if (silence && (isLive || failures.every((failure) => failure !== null))) return silence
    const ahead = this.#lines.find(({ doneSeq, headSeq }, i) => !failures[i] && doneSeq! > headSeq)
    if (!ahead) return null
    const { shard, doneSeq, headSeq } = ahead
    const message = `after is no position of this app: record ${doneSeq} of shard ${shard}, which has ${headSeq}`
    return err('bad_request', message, { parameter: 'after' }).error
  }

  /** Where a reader goes on that has all that was handed out. */
  get position(): string {
    return writePosition(this.#lines.map(({ doneSeq }) => doneSeq ?? 0))
  }

  /**
   * What there is, at once or as soon as there is something; null: the tail is over, and without a
   * `closed` before it the reader may come back. To be called again when it resolved.
   */
  async next(): Promise<TailEvent[] | null> {
    for (;;) {
      if (this.#isClosed) return null
      const nowMs = Date.now()
      const expiresMs = Math.min(...this.#lines.map((line) => line.expiresMs ?? Infinity))
      if (expiresMs <= nowMs) this.#failure ??= err('unauthorized', 'this key has expired').error
      if (this.#failure) {
        this.close()
        return [{ kind: 'closed', failure: this.#failure }]
      }
      // What wakes from here on is seen: no await until the wait below.
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      const events = this.#take()
      if (events.length === 0 && nowMs - this.#toldMs >= TAIL_HEARTBEAT_MS) {
        events.push({ kind: 'position', id: this.position })
      }
      if (events.length > 0) {
        this.#toldMs = nowMs
        return events
      }
      if (this.#calls > TAIL_CALLS_MAX) {
        this.close()
        return null
      }
      this.#readGaps()
      await within(Math.min(this.#toldMs + TAIL_HEARTBEAT_MS, expiresMs) - nowMs, woken)
    }
  }

  /** Closes all sockets, and stops reading. */
  close(): void {
    this.#isClosed = true
    this.#abort.abort()
    for (const line of this.#lines) line.close()
    this.#wake()
  }

  /** What can be handed out, up to about one frame. */
  #take(): TailEvent[] {
    const events: TailEvent[] = []
    this.#passOver()
    const id = this.position
    for (const dropped of this.#dropped) events.push({ kind: 'dropped', id, dropped })
    this.#dropped = []
    let chars = 0
    for (let looked = 0; looked < this.#lines.length && chars < TAIL_FRAME_CHARS; looked++) {
      const line = this.#lines[this.#turn]!
      for (let frame = this.#nextOf(line); frame; frame = this.#nextOf(line)) {
        chars += this.#hand(line, frame, events)
        if (chars >= TAIL_FRAME_CHARS) break
      }
      this.#turn = (this.#turn + 1) % this.#lines.length
    }
    return events
  }

  /** Takes the line's next frame out, if there is one without a gap before it. */
  #nextOf(line: TailLine): TailFrame | null {
    const { window, frames } = line
    if (line.doneSeq === null) return null
    if (window) {
      line.window = null
      return window
    }
    const [frame] = frames
    if (!frame || frame.afterSeq > line.doneSeq) return null
    this.#release(frames.splice(0, 1))
    return frame
  }

  #release(frames: Waiting[]): void {
    for (const { chars } of frames) this.#waiting -= chars
  }

  /** Hands a frame out, but for what the reader has already. The characters of it. */
  #hand(line: TailLine, frame: TailFrame, events: TailEvent[]): number {
    const others = this.#lines.map(({ doneSeq }) => doneSeq ?? 0)
    const before = others.slice(0, line.shard).map((seq) => `${seq}.`)
    const behind = others.slice(line.shard + 1).map((seq) => `.${seq}`)
    const [start, end] = [before.join(''), behind.join('')]
    let chars = 0
    for (const text of frame.lines) {
      const { seq, json } = readLine(text)
      if (seq <= line.doneSeq!) continue
      events.push({ kind: 'record', id: `${start}${seq}${end}`, json })
      chars += text.length
    }
    line.doneSeq = Math.max(line.doneSeq!, frame.lastSeq)
    return chars
  }

  /** Passes over what is not stored any more, and what is too far behind. */
  #passOver(): void {
    for (const line of this.#lines) {
      const { doneSeq, firstSeq } = line
      if (doneSeq === null || doneSeq >= firstSeq - 1) continue
      this.#passTo(line, firstSeq - 1, 'gone')
    }
    const behind = this.#lines.map((line) => Math.max(0, line.headSeq - (line.doneSeq ?? Infinity)))
    const sum = behind.reduce((sum, records) => sum + records, 0)
    if (sum <= TAIL_BEHIND_RECORDS_MAX + this.#slack) return
    const most = shareOf(behind, TAIL_BEHIND_RECORDS_MAX)
    this.#slack = SLACK_RECORDS
    for (const [shard, records] of behind.entries()) {
      const line = this.#lines[shard]!
      if (records > most) this.#passTo(line, line.headSeq - most, 'too_far_behind')
    }
  }

  #passTo(line: TailLine, seq: number, reason: 'gone' | 'too_far_behind'): void {
    this.#dropped.push({ reason, shard: line.shard, records: seq - line.doneSeq! })
    line.doneSeq = seq
    const kept = line.frames.findIndex((frame) => frame.lastSeq > seq)
    this.#release(line.frames.splice(0, kept < 0 ? line.frames.length : kept))
  }

  /** Starts reading what is missing between what was handed out and the frames. */
  #readGaps(): void {
    let reading = this.#lines.filter(({ isReading, window }) => isReading || window).length
    for (const line of this.#lines) {
      const gap = line.isReading || line.window ? null : line.gap()
      if (!gap || reading >= WINDOWS_AT_ONCE) continue
      reading++
      const lastSeq = Math.min(gap.lastSeq, gap.afterSeq + TAIL_WINDOW_RECORDS)
      void this.#read(line, { firstSeq: gap.afterSeq + 1, lastSeq })
    }
  }

  async #read(line: TailLine, range: { firstSeq: number; lastSeq: number }): Promise<void> {
    line.isReading = true
    for (let failures = 0; !this.#isClosed && !line.window; ) {
      const asked = { filter: this.#filter, shard: line.shard, range }
      const read = await readWindow(this.#env, this.#access, asked, this.#abort.signal)
      this.#calls += read.ok ? read.data.calls : 1
      if (!read.ok && isHard(read.error)) {
        await this.#failed(read.error)
        break
      }
      if (read.ok && this.#accepts(read.data.reasons, failures)) line.window = read.data.frame
      else await pause(Math.min(PAUSE_MS * 2 ** failures++, PAUSE_MS_MAX))
    }
    line.isReading = false
    this.#wake()
  }

  /** Whether a window may be handed out that lacks something: what stays unreadable is told once. */
  #accepts(reasons: PartialReason[], failures: number): boolean {
    const isLost = (reason: PartialReason) => this.#lost.has(JSON.stringify(reason))
    const open = reasons.filter((reason) => !isLost(reason))
    const isBlocks = open.every(({ code }) => code === 'block_missing' || code === 'block_corrupt')
    if (open.length > 0 && (!isBlocks || failures + 1 < WINDOW_TRIES)) return false
    for (const reason of open) {
      if (reason.code !== 'block_missing' && reason.code !== 'block_corrupt') continue
      const { code, shard, block } = reason
      this.#lost.add(JSON.stringify(reason))
      this.#dropped.push({ reason: code, shard, block, records: null })
    }
    return true
  }

  #call<T>(
    shard: number,
    call: (stub: Fetcher, caller: ShardCaller) => Promise<Result<T>>,
  ): Promise<Result<T>> {
    this.#calls++
    return callShard(this.#env, this.#access, shard, call)
  }

  #admits(chars: number): boolean {
    if (this.#waiting + chars > TAIL_READER_CHARS_MAX) return false
    this.#waiting += chars
    return true
  }

  /** What a line or a read can not go on with: more shards are taken in, anything else is the end. */
  async #failed(failure: Failure): Promise<void> {
    if (failure.details?.stale !== true) this.#failure = failure
    else if (!this.#isRenewing) {
      this.#isRenewing = true
      await this.#renew()
      this.#isRenewing = false
    }
    this.#wake()
  }

  /** Takes in what the registry says of the app by now: new shards begin with their first record. */
  async #renew(): Promise<void> {
    for (let attempt = 0; !this.#isClosed; attempt++) {
      const access = await renewed(this.#env, this.#access)
      this.#calls++
      if (access.ok) {
        this.#access = access.data
        break
      }
      if (!isSilence(access.error)) {
        this.#failure = access.error
        return
      }
      await pause(Math.min(PAUSE_MS * 2 ** attempt, PAUSE_MS_MAX))
    }
    if (this.#isClosed) return
    for (let shard = this.#lines.length; shard < this.#access.tenant.shards; shard++) {
      this.#lines.push(new TailLine(this.#host, shard, 0))
    }
    for (const line of this.#lines) void line.reopen()
  }
}

/** Whether it is no use to try again soon, or at all. A full shard says so before a tail begins. */
const isHard = (failure: Failure) => !isSilence(failure) || failure.code === 'too_many'

/** How much each may have, so that all together have no more than `most`. */
function shareOf(amounts: number[], most: number): number {
  let left = most
  const ascending = [...amounts].sort((a, b) => a - b)
  for (const [i, amount] of ascending.entries()) {
    const share = Math.floor(left / (ascending.length - i))
    if (amount > share) return share
    left -= amount
  }
  return Number.POSITIVE_INFINITY
}

async function within(ms: number, wanted: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, Math.max(0, ms))
  })
  await Promise.race([wanted, late])
  clearTimeout(timer)
}
