// GET /loki/api/v1/tail: a live tail as a WebSocket. First come the newest lines since `start`, then what
// arrives. The socket of the tail is open before the lines are read, so none is missed, and those that
// come by both ways are sent once.

import { type Context, Hono } from 'hono'
import { ownOf } from '../logql/own.ts'
import { type Pipeline, preparePipeline } from '../logql/pipeline.ts'
import { selectionOf } from '../logql/selection.ts'
import type { LogQuery } from '../logql/syntax.ts'
import type { RecordView } from '../match/view.ts'
import { refusing } from '../query/parameters.ts'
import { err, ok, type Result } from '../result.ts'
import { type Asking, visibleTo } from '../tenant/logql-asking.ts'
import { type LogqlLine, readLogql } from '../tenant/logql-logs.ts'
import { type Dropped, openTail, type Tail, type TailEvent } from '../tenant/tail.ts'
import type { Time } from '../time.ts'
import type { HonoEnv } from './answer.ts'
import { lokiFailure } from './loki-answer.ts'
import { enterLoki, readLogQuery } from './loki-door.ts'
import type { LokiParameters } from './loki-parameters.ts'
import { ENCODING_HEADER, flagsOf, isCategorized, type Line, streamsOf } from './loki-result.ts'

export const lokiTailRoutes = new Hono<HonoEnv>()

/** Lines of one message. */
const FRAME_LINES_MAX = 100
/**
 * The platform does not tell what a client took of a socket, so no client is sent faster than a person
 * reads; what comes faster waits in the tail, which tells what it leaves out.
 */
const CHARS_A_SECOND_MAX = 256 * 1024
const BURST_CHARS_MAX = 1024 * 1024
/** At worst a client takes nothing, and all lies in memory: one that is sent much for long is closed. */
const AHEAD_CHARS_MAX = 32 * 1024 * 1024
/** What every client that still reads is thought to take. */
const TAKEN_A_SECOND = 64 * 1024
/** Codes of the protocol: as asked, and with a reason. */
const NORMAL = 1000
const ENDED = 1011
/** Of a reason, as the protocol bounds it. */
const REASON_BYTES_MAX = 123

lokiTailRoutes.get('/loki/api/v1/tail', async (c) => {
  const entered = await enterLoki(c)
  if (!entered.ok) return lokiFailure(entered.error)
  const { asking, parameters } = entered.data
  const request = refusing(() => readRequest(parameters))
  if (!request.ok) return lokiFailure(request.error)
  if (c.req.header('Upgrade')?.toLowerCase() !== 'websocket') {
    const text = 'a tail is a WebSocket: send Upgrade: websocket'
    return lokiFailure(err('bad_request', text).error)
  }
  const opened = await openSocket(c, asking, request.data)
  return opened.ok ? opened.data : lokiFailure(opened.error)
})

interface TailRequest {
  query: LogQuery
  limit: number
  start: Time
}

function readRequest(parameters: LokiParameters): TailRequest {
  // Lines are sent as they arrive: there is nothing to wait for.
  parameters.delay()
  return {
    query: readLogQuery('query', parameters.text('query')),
    limit: parameters.limit(true),
    start: parameters.bounds().start,
  }
}

async function openSocket(
  c: Context<HonoEnv>,
  asking: Asking,
  { query, limit, start }: TailRequest,
): Promise<Result<Response>> {
  const { filter, rest } = selectionOf(query)
  const pipeline = preparePipeline(rest, null)
  if (!pipeline.ok) return pipeline
  const records = { filter: visibleTo(asking, filter), since: null, until: null }
  const tail = await openTail(c.env, asking.access, records, null)
  if (!tail.ok) return tail
  const until = { ms: Date.now() + 1, ns: 0 }
  const range = { since: start, until, direction: 'backward', limit } as const
  const logs = await readLogql(c.env, asking, query, range)
  if (!logs.ok) {
    tail.data.close()
    return logs
  }
  const { 0: client, 1: server } = new WebSocketPair()
  server.accept()
  const isCategories = isCategorized(c.req.header(ENCODING_HEADER))
  const sender = new Sender(server, tail.data, pipeline.data, isCategories)
  c.executionCtx.waitUntil(sender.run(logs.data.lines.reverse()))
  return ok(new Response(null, { status: 101, webSocket: client }))
}

/** Sends what a tail gives, until one of the two ends. */
class Sender {
  readonly #socket: WebSocket
  readonly #tail: Tail
  readonly #pipeline: Pipeline
  readonly #isCategorized: boolean
  #isOpen = true
  /** Characters that a client may not have taken. */
  #aheadChars = 0
  /** Characters that may be sent at once. */
  #allowed = BURST_CHARS_MAX
  #allowedMs = Date.now()

  constructor(socket: WebSocket, tail: Tail, pipeline: Pipeline, isCategorized: boolean) {
    this.#socket = socket
    this.#tail = tail
    this.#pipeline = pipeline
    this.#isCategorized = isCategorized
    socket.addEventListener('close', () => this.#close(NORMAL, ''))
    socket.addEventListener('error', () => this.#close(ENDED, ''))
  }

  /** `stored` are lines that were there before the tail. */
  async run(stored: LogqlLine[]): Promise<void> {
    this.#sendLines(stored)
    const sent = new Set(stored.map(({ id }) => id))
    while (this.#isOpen) {
      await this.#pause()
      const events = await this.#tail.next()
      if (events === null || this.#aheadChars > AHEAD_CHARS_MAX) break
      this.#sendEvents(events, sent)
    }
    this.#close(ENDED, 'the tail ended: ask again')
  }

  #sendEvents(events: TailEvent[], sent: Set<string>): void {
    const lines: Line[] = []
    const dropped: Dropped[] = []
    for (const event of events) {
      if (event.kind === 'record') {
        const record = JSON.parse(event.json) as RecordView
        const line = sent.delete(record.id) ? null : this.#lineOf(record)
        if (line) lines.push(line)
      } else if (event.kind === 'dropped') dropped.push(event.dropped)
      // Proxies cut what is silent for long.
      else if (event.kind === 'position') this.#send({ streams: [] })
      else this.#close(ENDED, event.failure.message)
    }
    this.#sendLines(lines)
    if (dropped.length > 0) this.#send({ streams: [], dropped_entries: dropped.map(droppedEntry) })
  }

  #lineOf(record: RecordView): Line | null {
    const { message, time_unix_nano: time } = record
    const entry = this.#pipeline.run(message, ownOf(record), time)
    return entry && { time, entry }
  }

  #sendLines(lines: readonly Line[]): void {
    for (let i = 0; i < lines.length; i += FRAME_LINES_MAX) {
      const part = lines.slice(i, i + FRAME_LINES_MAX)
      // Each is a stream of its own, so that their order stays.
      const streams = part.flatMap((line) => streamsOf([line], this.#isCategorized))
      this.#send({ streams, ...flagsOf(this.#isCategorized) })
    }
  }

  #send(frame: object): void {
    if (!this.#isOpen) return
    const text = JSON.stringify(frame)
    this.#aheadChars += text.length
    this.#allowed -= text.length
    this.#socket.send(text)
  }

  /** Waits until as much may be sent again as was sent too much. */
  async #pause(): Promise<void> {
    const nowMs = Date.now()
    const seconds = (nowMs - this.#allowedMs) / 1000
    this.#allowed = Math.min(BURST_CHARS_MAX, this.#allowed + seconds * CHARS_A_SECOND_MAX)
    this.#aheadChars = Math.max(0, this.#aheadChars - seconds * TAKEN_A_SECOND)
    this.#allowedMs = nowMs
    if (this.#allowed >= 0) return
    const ms = (-this.#allowed / CHARS_A_SECOND_MAX) * 1000
    await new Promise((resolve) => setTimeout(resolve, ms))
  }

  #close(code: number, reason: string): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#tail.close()
    const bytes = Buffer.from(reason).subarray(0, REASON_BYTES_MAX)
    try {
      this.#socket.close(code, bytes.toString().replace(/\uFFFD+$/, ''))
    } catch {
      // The other side was faster.
    }
  }
}

/** Loki names an entry; here it is known how many records were passed over, and why. */
const droppedEntry = ({ reason, shard, records }: Dropped) => ({
  timestamp: `${Date.now()}000000`,
  labels: {
    reason,
    shard: String(shard),
    ...(records !== null && { records: String(records) }),
  },
})
