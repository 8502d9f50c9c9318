// Fills a door with a corpus, a request after the other: nothing here is timed. What the product
// refuses because it seals, it is sent again, as an exporter would.

import { setTimeout as sleep } from 'node:timers/promises'
import type { CorpusRequest } from './corpus.ts'
import type { Door } from './targets.ts'

const RETRY_MS = 250
const RETRIES_MAX = 240

/** Two requests are under way at once: one is made while the other is stored. */
export async function sendAll(
  door: Door,
  requests: Iterable<CorpusRequest>,
  note: (request: CorpusRequest) => void = () => {},
): Promise<void> {
  let last = Promise.resolve()
  for (const request of requests) {
    const body = request.protobuf
    await last
    last = send(door, body)
    // Its failure is the next turn's to hear of.
    last.catch(() => {})
    note(request)
  }
  await last
}

async function send(door: Door, body: Uint8Array): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const answer = await fetch(door.url, {
      method: 'POST',
      headers: { ...door.headers, 'content-type': 'application/x-protobuf' },
      body: new Uint8Array(body),
    })
    const text = await answer.text()
    if (answer.ok) return
    if (answer.status !== 503 || attempt === RETRIES_MAX) {
      throw new Error(`${door.url} answered ${answer.status} ${text}`)
    }
    await sleep(RETRY_MS)
  }
}
