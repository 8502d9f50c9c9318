// GET /logs/tail: a live tail as server-sent events. tenant/tail.ts says what is sent; here it gets its
// form.
//
// Every event has an id, the position in all shards, and the first comes at once: whoever is cut off
// comes back with the last one and misses nothing.

import { Hono } from 'hono'
import { readPosition } from '../match/tail-wire.ts'
import { refusing } from '../query/parameters.ts'
import { planAll } from '../query/plan.ts'
import { openTail, type Tail, type TailEvent } from '../tenant/tail.ts'
import { answer, type HonoEnv } from './answer.ts'
import { parametersOf, readAccess } from './read-door.ts'

/** What a browser waits before it comes back. */
const RETRY_MS = 1000

export const tailRoutes = new Hono<HonoEnv>()

tailRoutes.get('/logs/tail', async (c) => {
  const reader = await readAccess(c)
  if (!reader.ok) return answer(c, reader)
  const { access, scope } = reader.data
  const plan = planAll(parametersOf(c), scope, Date.now(), ['after'])
  if (!plan.ok) return answer(c, plan)
  // A browser that comes back repeats the URL: what it saw last is in the header.
  const sent = c.req.header('Last-Event-ID') || c.req.query('after')
  const after = refusing(() => (sent === undefined ? null : readPosition(sent)))
  if (!after.ok) return answer(c, after)
  const { filter, since, until } = plan.data
  const tail = await openTail(c.env, access, { filter, since, until }, after.data)
  if (!tail.ok) return answer(c, tail)
  c.req.raw.signal.addEventListener('abort', () => tail.data.close())
  // Its body is thrown away unread, and nobody would ever close it.
  if (c.req.method === 'HEAD') tail.data.close()
  c.header('Content-Type', 'text/event-stream')
  c.header('Cache-Control', 'no-store')
  return c.body(streamOf(tail.data))
})

/** Asks the tail for more only when the reader took what there was. */
function streamOf(tail: Tail): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  const start = `retry: ${RETRY_MS}\nid: ${tail.position}\n\n`
  const source: UnderlyingSource<Uint8Array> = {
    start: (controller) => controller.enqueue(encoder.encode(start)),
    pull: async (controller) => {
      const events = await tail.next()
      if (events === null) controller.close()
      else controller.enqueue(encoder.encode(events.map(textOf).join('')))
    },
    cancel: () => tail.close(),
  }
  return new ReadableStream(source, { highWaterMark: 0 })
}

function textOf(event: TailEvent): string {
  switch (event.kind) {
    case 'record':
      return `id: ${event.id}\ndata: ${event.json}\n\n`
    case 'dropped':
      return `id: ${event.id}\nevent: dropped\ndata: ${JSON.stringify(event.dropped)}\n\n`
    case 'position':
      return `: still here\nid: ${event.id}\n\n`
    case 'closed': {
      const { code, message } = event.failure
      return `event: closed\ndata: ${JSON.stringify({ code, message })}\n\n`
    }
  }
}
