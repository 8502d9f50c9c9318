// A program that reads a live tail with fetch and nothing else, as docs/api.md shows it: it keeps the
// id of the last event, and comes back with it.

import { setTimeout as sleep } from 'node:timers/promises'
import type { FoundRecord } from './client.ts'

export interface TailMessage {
  id: string | null
  event: string
  data: string
}

/** Events of one connection, until it ends. An event without data is one too: it may carry an id. */
export async function* messagesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<TailMessage> {
  let text = ''
  for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
    text += chunk
    const events = text.split('\n\n')
    text = events.pop()!
    for (const event of events) {
      const message: TailMessage = { id: null, event: 'message', data: '' }
      for (const line of event.split('\n')) {
        const [, name, value] = /^(\w+): (.*)$/.exec(line) ?? []
        if (name === 'id') message.id = value!
        if (name === 'event') message.event = value!
        if (name === 'data') message.data = value!
      }
      yield message
    }
  }
}

export class TailReader {
  readonly records: FoundRecord[] = []
  readonly dropped: { reason: string; shard: number; records: number | null }[] = []
  closed: { code: string } | null = null
  connections = 0
  lastId: string | null
  readonly #url: string
  readonly #key: string
  #abort = new AbortController()
  #isStopped = false
  #running: Promise<void> | null = null

  /** `url` is the whole of it, with the filter. */
  constructor(url: string, key: string, lastId: string | null = null) {
    this.#url = url
    this.#key = key
    this.lastId = lastId
  }

  /** Connects, and again whenever the line is cut. `delayMs` is waited before each record is taken. */
  start(delayMs: () => number = () => 0): this {
    this.#running = this.#run(delayMs)
    return this
  }

  /** Resolves once the first id is known. */
  async ready(): Promise<this> {
    while (this.lastId === null) await sleep(5)
    return this
  }

  /** Cuts the line, as a lost network would. */
  cut(): void {
    this.#abort.abort()
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#abort.abort()
    await this.#running
  }

  async #run(delayMs: () => number): Promise<void> {
    while (!this.#isStopped && this.closed === null) {
      this.#abort = new AbortController()
      try {
        await this.#read(this.#abort.signal, delayMs)
      } catch {
        // Cut by us, or by the collector's end: it comes back.
      }
      await sleep(20)
    }
  }

  async #read(signal: AbortSignal, delayMs: () => number): Promise<void> {
    const headers = {
      'x-api-key': this.#key,
      ...(this.lastId !== null && { 'last-event-id': this.lastId }),
    }
    const answer = await fetch(this.#url, { headers, signal })
    if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`)
    this.connections++
    for await (const { id, event, data } of messagesOf(answer.body!)) {
      const ms = delayMs()
      if (ms > 0) await sleep(ms)
      if (event === 'closed') this.closed = JSON.parse(data)
      else if (event === 'dropped') this.dropped.push(JSON.parse(data))
      else if (data !== '') this.records.push(JSON.parse(data))
      if (id !== null) this.lastId = id
    }
  }
}
