// Open tails of one shard: what was just stored is decoded once for all of them, and each is sent the
// records that its filter lets through.
//
// A tail is one WebSocket of a Worker, and lives through hibernation: what it asked for lies in the
// socket's attachment. The Worker sends its subscription, as JSON; the shard answers a Result with the
// highest sequence number of that moment. Up to it the records are in the store, those behind it come
// as frames (match/tail-wire.ts), in order, each once they are durable. The Worker tells how many
// characters it took. What can not be sent - the Worker takes too little, or there is more than the
// shard can look through - is left out: the next frame then begins behind a gap, which the Worker sees
// and fills from the store. So nothing here is kept for a slow reader, and nothing is lost by it.
//
// Long work is cut by an estimate of it, not by the clock: on the platform that stands still meanwhile.

import { decodeSegment } from '../block/segment.ts'
import { type StoredBatch, storedSegment } from '../block/stored.ts'
import {
  TAIL_FRAME_CHARS,
  TAIL_QUEUE_BYTES_MAX,
  TAIL_UNTAKEN_CHARS_MAX,
  TAILS_MAX,
  TAILS_UNTAKEN_CHARS_MAX,
} from '../limits.ts'
import { Matcher } from '../match/scan.ts'
import { writeFrame, writeLine } from '../match/tail-wire.ts'
import { recordView } from '../match/view.ts'
import type { RecordFilter } from '../query/parameters.ts'
import { err, type Failure, ok, type Result } from '../result.ts'
import type { KeyCopy } from '../tenant/registry.ts'
import type { ShardCaller } from './shard.ts'
import type { Append } from './store.ts'

/** What a Worker asks of one shard, as the first message of its socket. */
export interface TailSubscription {
  caller: ShardCaller
  filter: RecordFilter
}

/** The answer. */
export interface TailWelcome {
  /** Up to it the records are in the store; what comes behind it is sent. */
  maxSeq: number
  /** The lowest sequence number that is still stored; maxSeq + 1 where there is none. */
  firstSeq: number
  /** When the key ends, and the tail with it. */
  expiresMs: number | null
}

/** What the shard lends its tails. */
export interface TailsHome {
  state: DurableObjectState
  shard(): number
  refuse(caller: ShardCaller): Promise<Result<never> | null>
  /** When a key ends; null: never. */
  expiresMs(keyId: string | null): number | null
  /** The sequence numbers stored. */
  stored(): { firstSeq: number; maxSeq: number }
}

/** What outlives hibernation. A filter too large for it is null: then the Worker has to come again. */
interface Attachment {
  keyId: string | null
  shards: number
  expiresMs: number | null
  filter: RecordFilter | null
}

interface Tail {
  socket: WebSocket
  keyId: string | null
  shards: number
  expiresMs: number | null
  filterText: string
  group: Group
  /** Up to where it was told; null: it woke, and nobody knows. */
  toldSeq: number | null
  toldMs: number
  /** Characters sent that the Worker has not taken yet. */
  untaken: number
}

/** Tails with the same filter: they share what is found. */
interface Group {
  matcher: Matcher
  tails: Set<Tail>
}

/** A segment that is durable, and was not shown yet. */
interface Shown {
  bytes: Uint8Array
  firstSeq: number
  lastSeq: number
  receivedMs: number
}

/** Of one WebSocket attachment: a platform limit. */
const ATTACHMENT_BYTES_MAX = 16_384
/** Where nothing matches, a tail is told how far it is no more often. */
const PROGRESS_MS = 1000
/** Work after which others get a turn, in characters that a search for words reads: some 5 ms. */
const TURN_COST = 512 * 1024
/** Making a record's text takes so much of a character more than reading it. */
const TEXT_COST = 8
const ROW_COST = 32
/** Sending one frame. */
const SEND_COST = 8192
const ROWS_AT_ONCE = 1024

const CLOSE_CODES: Partial<Record<Failure['code'], number>> = {
  unauthorized: 4401,
  not_found: 4404,
  conflict: 4409,
  too_many: 4429,
}
const CLOSE_RESTART = 1012
const CLOSE_TOO_SLOW = 1013

export class Tails {
  readonly #home: TailsHome
  /** null: not looked up since this object started. */
  #tails: Map<WebSocket, Tail> | null = null
  /** By filter as JSON. */
  readonly #groups = new Map<string, Group>()
  #queue: Shown[] = []
  #queueBytes = 0
  #isShowing = false
  #untaken = 0
  #cost = 0

  constructor(home: TailsHome) {
    this.#home = home
  }

  /** Takes a socket; it is a tail once its subscription came. */
  accept(): Response {
    const [client, server] = Object.values(new WebSocketPair()) as [WebSocket, WebSocket]
    this.#home.state.acceptWebSocket(server)
    return new Response(null, { status: 101, webSocket: client })
  }

  /** A message of the Worker: its subscription, or how many characters it took. */
  async receive(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    if (typeof message !== 'string') return
    if (message.startsWith('{')) return this.#subscribe(socket, JSON.parse(message))
    const tail = this.#open().get(socket)
    if (tail) this.#took(tail, Math.min(Number(message), tail.untaken))
  }

  /** The socket is gone. */
  forget(socket: WebSocket): void {
    const tail = this.#open().get(socket)
    if (!tail) return
    this.#took(tail, tail.untaken)
    this.#open().delete(socket)
    const { tails } = tail.group
    tails.delete(tail)
    if (tails.size === 0) this.#groups.delete(tail.filterText)
  }

  /** These appends are durable, their last record has this sequence number; `receivedMs` is when they were stored. */
  show(appends: Append[], lastSeq: number, receivedMs: number): void {
    if (this.#open().size === 0) return
    const segments = appends.flatMap(({ segments }) => segments)
    let firstSeq = lastSeq + 1 - segments.reduce((sum, { summary }) => sum + summary.records, 0)
    for (const { bytes, summary } of segments) {
      const end = firstSeq + summary.records - 1
      this.#queue.push({ bytes, firstSeq, lastSeq: end, receivedMs })
      this.#queueBytes += bytes.length
      firstSeq = end + 1
    }
    if (this.#queueBytes > TAIL_QUEUE_BYTES_MAX) this.#skipTo(lastSeq)
    if (!this.#isShowing) void this.#showAll()
  }

  /** Closes what the keys and shards of the app by now do not allow any more. */
  heed(copy: KeyCopy): void {
    const live = new Set(copy.keys.map(({ keyId }) => keyId))
    for (const tail of [...this.#open().values()]) {
      if (tail.keyId !== null && !live.has(tail.keyId)) this.#end(tail, KEY_ENDED.error)
      else if (tail.shards < copy.tenant.shards) {
        const text = `the app has ${copy.tenant.shards} shards by now, not ${tail.shards}`
        this.#end(tail, err('conflict', text, { stale: true }).error)
      }
    }
  }

  /** Closes all: the app is gone. */
  close(failure: Failure): void {
    for (const tail of [...this.#open().values()]) this.#end(tail, failure)
    this.#queue = []
    this.#queueBytes = 0
  }

  async #subscribe(socket: WebSocket, { caller, filter }: TailSubscription): Promise<void> {
    const refused = await this.#home.refuse(caller)
    const isFull = this.#open().size >= TAILS_MAX
    const text = `the app has ${TAILS_MAX} open tails already; close one first`
    const failed = refused ?? (isFull ? err('too_many', text, { max: TAILS_MAX }) : null)
    if (failed) return refuse(socket, failed)
    // No await from here: what is stored behind this maxSeq is shown to this tail.
    const { firstSeq, maxSeq } = this.#home.stored()
    const { keyId, shards } = caller
    const expiresMs = this.#home.expiresMs(keyId)
    attach(socket, { keyId, shards, expiresMs, filter })
    this.#add(socket, { keyId, shards, expiresMs, filter }, maxSeq)
    socket.send(JSON.stringify(ok<TailWelcome>({ maxSeq, firstSeq, expiresMs })))
  }

  #open(): Map<WebSocket, Tail> {
    if (this.#tails) return this.#tails
    this.#tails = new Map()
    for (const socket of this.#home.state.getWebSockets()) {
      const attachment = socket.deserializeAttachment() as Attachment | null
      // Without one its subscription is still on the way.
      if (attachment?.filter) this.#add(socket, { ...attachment, filter: attachment.filter }, null)
      else if (attachment) socket.close(CLOSE_RESTART, 'the shard has woken; come again')
    }
    return this.#tails
  }

  #add(
    socket: WebSocket,
    { keyId, shards, expiresMs, filter }: Attachment & { filter: RecordFilter },
    toldSeq: number | null,
  ): void {
    const filterText = JSON.stringify(filter)
    const group = this.#groups.get(filterText) ?? { matcher: new Matcher(filter), tails: new Set() }
    this.#groups.set(filterText, group)
    const told = { toldSeq, toldMs: 0, untaken: 0 }
    const tail: Tail = { socket, keyId, shards, expiresMs, filterText, group, ...told }
    group.tails.add(tail)
    this.#tails?.set(socket, tail)
  }

  #end(tail: Tail, failure: Failure): void {
    this.forget(tail.socket)
    refuse(tail.socket, { ok: false, error: failure })
  }

  async #showAll(): Promise<void> {
    this.#isShowing = true
    for (let next = this.#queue.shift(); next; next = this.#queue.shift()) {
      this.#queueBytes -= next.bytes.length
      try {
        await this.#show(next)
      } catch (e) {
        // The Workers then read it from the store, and tell what is wrong with it.
        console.error(`records from ${next.firstSeq} on can not be shown to tails`, e)
        this.#leaveOut(next.lastSeq)
      }
    }
    this.#isShowing = false
  }

  /** Leaves out all that waits. */
  #skipTo(lastSeq: number): void {
    this.#queue = []
    this.#queueBytes = 0
    this.#leaveOut(lastSeq)
  }

  #leaveOut(lastSeq: number): void {
    for (const tail of [...this.#open().values()]) {
      if (tail.toldSeq === null || tail.toldSeq < lastSeq) this.#tellGap(tail, lastSeq)
    }
  }

  async #show({ bytes, firstSeq, lastSeq, receivedMs }: Shown): Promise<void> {
    const stored = storedSegment(decodeSegment(bytes), firstSeq, receivedMs)
    await this.#work(bytes.length)
    const shard = this.#home.shard()
    const lines = new Array<string | undefined>(stored.batch.length)
    for (const { matcher, tails } of [...this.#groups.values()]) {
      if (tails.size === 0) continue
      const rows = await this.#matching(matcher, stored)
      let chars = 0
      // What no tail could take at once is not even made.
      const made: number[] = []
      for (const row of rows) {
        if (chars > TAIL_UNTAKEN_CHARS_MAX) break
        const seq = firstSeq + row
        if (lines[row] === undefined) {
          lines[row] = writeLine(seq, recordView(stored.batch, row, shard, seq))
          await this.#work(lines[row].length * TEXT_COST)
        }
        chars += lines[row].length
        made.push(row)
      }
      const found = {
        portions: portionsOf(made, lines, firstSeq),
        isCut: made.length < rows.length,
      }
      // Tails that came meanwhile were told of a later record, and are passed over.
      for (const tail of [...tails]) {
        if (tails.has(tail)) this.#send(tail, found, { firstSeq, lastSeq })
        await this.#work(SEND_COST)
      }
    }
  }

  async #matching(matcher: Matcher, stored: StoredBatch): Promise<number[]> {
    const { message, length } = stored.batch
    const found: number[] = []
    const step = Math.min(ROWS_AT_ONCE, matcher.rowsAtOnce)
    for (let from = 0; from < length; from += step) {
      const rows = Array.from({ length: Math.min(step, length - from) }, (_, i) => from + i)
      const { sure, look } = matcher.sieve(stored, rows)
      await this.#work(rows.length * ROW_COST * (ROWS_AT_ONCE / step))
      for (const row of sure) found.push(row)
      for (let at = 0; at < look.length; ) {
        const piece: number[] = []
        let cost = 0
        while (at < look.length && cost < TURN_COST / 4) {
          const row = look[at++]!
          piece.push(row)
          cost += (message[row]!.length + ROW_COST) * Math.max(1, matcher.lookCost)
        }
        for (const row of matcher.look(stored, piece)) found.push(row)
        await this.#work(cost)
      }
    }
    return found.sort((a, b) => a - b)
  }

  /** Sends what matches of a stretch. */
  #send(
    tail: Tail,
    { portions, isCut }: { portions: Portion[]; isCut: boolean },
    { firstSeq, lastSeq }: { firstSeq: number; lastSeq: number },
  ): void {
    if (tail.toldSeq !== null && tail.toldSeq >= lastSeq) return
    const nowMs = Date.now()
    if (tail.expiresMs !== null && tail.expiresMs <= nowMs) {
      this.#end(tail, KEY_ENDED.error)
      return
    }
    tail.toldSeq ??= firstSeq - 1
    if (portions.length === 0) {
      if (nowMs - tail.toldMs >= PROGRESS_MS) this.#tell(tail, tail.toldSeq, lastSeq, '')
      return
    }
    for (const [i, portion] of portions.entries()) {
      const chars = portion.lines.length
      const isOver =
        tail.untaken + chars > TAIL_UNTAKEN_CHARS_MAX ||
        this.#untaken + chars > TAILS_UNTAKEN_CHARS_MAX
      if (isOver) {
        this.#tellGap(tail, lastSeq)
        return
      }
      const end = i === portions.length - 1 && !isCut ? lastSeq : portion.lastSeq
      if (!this.#tell(tail, tail.toldSeq, end, portion.lines)) return
    }
    if (isCut) this.#tellGap(tail, lastSeq)
  }

  /** Tells a tail that there are records behind what it was told, to be read from the store. */
  #tellGap(tail: Tail, lastSeq: number): void {
    // One whose Worker takes nothing at all would be told for ever.
    if (tail.untaken > 2 * TAIL_UNTAKEN_CHARS_MAX) {
      this.forget(tail.socket)
      tail.socket.close(CLOSE_TOO_SLOW, 'too much was sent and not taken; come again')
    } else this.#tell(tail, lastSeq, lastSeq, '')
  }

  /** False when the socket is gone. */
  #tell(tail: Tail, afterSeq: number, lastSeq: number, lines: string): boolean {
    const text = writeFrame(afterSeq, lastSeq, lines)
    try {
      tail.socket.send(text)
    } catch {
      // Closed, and the event that says so is on its way.
      this.forget(tail.socket)
      return false
    }
    tail.toldSeq = lastSeq
    tail.toldMs = Date.now()
    tail.untaken += text.length
    this.#untaken += text.length
    return true
  }

  #took(tail: Tail, chars: number): void {
    tail.untaken -= chars
    this.#untaken -= chars
  }

  /** To be awaited after work of this cost: now and then it lets appends and queries run. */
  async #work(cost: number): Promise<void> {
    this.#cost += cost
    if (this.#cost < TURN_COST) return
    this.#cost = 0
    await new Promise((resolve) => setTimeout(resolve, 0))
  }
}

const KEY_ENDED = err('unauthorized', 'this key is not valid any more')

/** What one frame carries. */
interface Portion {
  lastSeq: number
  lines: string
}

/** The lines of these rows in portions of bounded size, made once for all tails that are sent them. */
function portionsOf(rows: number[], lines: (string | undefined)[], firstSeq: number): Portion[] {
  const portions: Portion[] = []
  for (const row of rows) {
    const line = lines[row]!
    const last = portions.at(-1)
    if (last && last.lines.length + line.length < TAIL_FRAME_CHARS) {
      last.lines += `\n${line}`
      last.lastSeq = firstSeq + row
    } else portions.push({ lastSeq: firstSeq + row, lines: line })
  }
  return portions
}

function attach(socket: WebSocket, attachment: Attachment): void {
  // At most two bytes a character, and a few for each member.
  const isFit = JSON.stringify(attachment.filter).length * 2 <= ATTACHMENT_BYTES_MAX - 512
  socket.serializeAttachment(isFit ? attachment : { ...attachment, filter: null })
}

/** Says why, and closes. */
function refuse(socket: WebSocket, failed: Result<never>): void {
  if (failed.ok) return
  try {
    socket.send(JSON.stringify(failed))
    socket.close(CLOSE_CODES[failed.error.code] ?? CLOSE_RESTART, failed.error.code)
  } catch {
    // It closed by itself.
  }
}
