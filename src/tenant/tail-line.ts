// One shard of an open tail: how far its reader is, what came since, and the socket it comes by. A
// socket that is lost is opened again; what was missed meanwhile shows as a gap, and tenant/tail.ts
// reads it from the store.

import { readFrame, type TailFrame } from '../match/tail-wire.ts'
import type { RecordFilter } from '../query/parameters.ts'
import { err, type Failure, type Result } from '../result.ts'
import type { ShardCaller } from '../shard/shard.ts'
import type { TailSubscription, TailWelcome } from '../shard/tails.ts'

/** What a tail lends the lines of its shards. */
export interface TailHost {
  filter: RecordFilter
  /** Runs a call to a shard; a shard that can not be reached is a failure. */
  call<T>(
    shard: number,
    call: (stub: Fetcher, caller: ShardCaller) => Promise<Result<T>>,
  ): Promise<Result<T>>
  /** Whether so many characters more may wait in memory. If so, they count from now on. */
  admits(chars: number): boolean
  /** There is something new to look at. */
  changed(): void
  /** The line can not go on by itself: the key or the app ended, or there are more shards. */
  failed(failure: Failure): void
}

/** A frame of little says as much to the memory. */
const FRAME_CHARS = 64
/** The first pause before a socket is opened again, the longest, and the life after which it is the first again. */
const PAUSE_MS = 100
const PAUSE_MS_MAX = 5000
const STEADY_MS = 5000
const WELCOME_MS_MAX = 10_000
/** Characters taken that the shard is told of at once. */
const TOLD_CHARS = 64 * 1024

/** A frame that waits for its turn. */
export interface Waiting extends TailFrame {
  chars: number
}

export class TailLine {
  readonly shard: number
  /** All up to it was handed out, or passed over; null: not known before the first welcome. */
  doneSeq: number | null
  /** The highest sequence number heard of. */
  headSeq = 0
  /** The lowest that the store holds. */
  firstSeq = 0
  /** Sent by the shard, in order; gaps between them are to be read from the store. */
  readonly frames: Waiting[] = []
  /** Read from the store, and not handed out yet. */
  window: TailFrame | null = null
  isReading = false
  expiresMs: number | null = null
  readonly #host: TailHost
  #socket: WebSocket | null = null
  #isClosed = false
  #untold = 0
  #failures = 0

  constructor(host: TailHost, shard: number, doneSeq: number | null) {
    this.#host = host
    this.shard = shard
    this.doneSeq = doneSeq
  }

  /** Opens the socket; the shard's welcome is heeded once this resolves. */
  async open(): Promise<Failure | null> {
    const reply = await this.#host.call(this.shard, (stub, caller) => this.#subscribe(stub, caller))
    if (!reply.ok) return reply.error
    this.#host.changed()
    return null
  }

  /** Opens the socket again and again, with growing pauses, until it stands or there is no use. */
  async reopen(): Promise<void> {
    for (;;) {
      await pause(Math.min(PAUSE_MS * 2 ** this.#failures, PAUSE_MS_MAX) * (0.5 + Math.random()))
      if (this.#isClosed || this.#socket) return
      const failure = await this.open()
      if (failure === null || this.#isClosed) return
      this.#failures++
      if (!isSilence(failure)) {
        this.#host.failed(failure)
        return
      }
    }
  }

  close(): void {
    this.#isClosed = true
    this.#drop()
  }

  /** The first sequence number, exclusive, and the last that have to be read from the store; null: none. */
  gap(): { afterSeq: number; lastSeq: number } | null {
    if (this.doneSeq === null) return null
    const lastSeq = this.frames[0]?.afterSeq ?? this.headSeq
    return lastSeq > this.doneSeq ? { afterSeq: this.doneSeq, lastSeq } : null
  }

  async #subscribe(stub: Fetcher, caller: ShardCaller): Promise<Result<TailWelcome>> {
    const response = await stub.fetch('https://shard/tail', { headers: { Upgrade: 'websocket' } })
    const socket = response.webSocket
    if (!socket) return SILENCE
    if (this.#isClosed) {
      socket.accept()
      socket.close()
      return SILENCE
    }
    const openedMs = Date.now()
    const { promise, resolve } = Promise.withResolvers<Result<TailWelcome>>()
    this.#socket = socket
    let isWelcome = false
    socket.addEventListener('message', ({ data }) => {
      if (this.#socket !== socket || typeof data !== 'string') return
      if (!data.startsWith('{')) {
        this.#take(socket, data)
        return
      }
      const reply = JSON.parse(data) as Result<TailWelcome>
      if (reply.ok) this.#heed(reply.data)
      if (isWelcome && !reply.ok) {
        this.#drop()
        this.#host.failed(reply.error)
      }
      isWelcome = reply.ok
      resolve(reply)
    })
    const lost = () => {
      resolve(SILENCE)
      if (this.#socket !== socket) return
      this.#drop()
      if (!isWelcome || this.#isClosed) return
      this.#failures = Date.now() - openedMs < STEADY_MS ? this.#failures + 1 : 0
      void this.reopen()
    }
    socket.addEventListener('close', lost)
    socket.addEventListener('error', lost)
    socket.accept()
    const subscription: TailSubscription = { caller, filter: this.#host.filter }
    socket.send(JSON.stringify(subscription))
    const timer = setTimeout(() => resolve(SILENCE), WELCOME_MS_MAX)
    const reply = await promise
    clearTimeout(timer)
    if (!reply.ok && this.#socket === socket) this.#drop()
    return reply
  }

  #heed({ maxSeq, firstSeq, expiresMs }: TailWelcome): void {
    this.doneSeq ??= maxSeq
    this.headSeq = Math.max(this.headSeq, maxSeq)
    this.firstSeq = firstSeq
    this.expiresMs = expiresMs
    this.#untold = 0
  }

  #take(socket: WebSocket, text: string): void {
    this.#untold += text.length
    if (this.#untold >= TOLD_CHARS) {
      socket.send(String(this.#untold))
      this.#untold = 0
    }
    const frame = readFrame(text)
    this.headSeq = Math.max(this.headSeq, frame.lastSeq)
    const last = this.frames.at(-1)
    if (frame.lines.length === 0 && last?.lastSeq === frame.afterSeq) last.lastSeq = frame.lastSeq
    else {
      const chars = text.length + FRAME_CHARS
      // Else its place is a gap, which is read from the store when the reader is there.
      if (this.#host.admits(chars)) this.frames.push({ ...frame, chars })
    }
    this.#host.changed()
  }

  #drop(): void {
    const socket = this.#socket
    this.#socket = null
    try {
      socket?.close(1000, 'done')
    } catch {
      // It closed by itself.
    }
  }
}

const SILENCE = err('unavailable', 'the shard did not answer; retry in a second')

/** Whether a failure means the shard can not be heard, or takes no more, and not that the caller may not. */
export const isSilence = ({ code }: Failure) =>
  code === 'unavailable' || code === 'overloaded' || code === 'too_many'

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
