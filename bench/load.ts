// A closed loop of clients: each sends a body, waits for the answer, sends the next. Bodies are
// made before, each is sent once (a repeated one would be known by its batch id), and the loop
// ends with the bodies or with the time, whichever comes first.

import { Agent, request } from 'node:http'
import type { Door } from './targets.ts'

export interface Body {
  records: number
  bytes: Uint8Array
}

export interface Load {
  bodies: Body[]
  contentType: 'application/x-protobuf' | 'application/json'
  clients: number
  timeMs: number
}

export interface Outcome {
  records: number
  seconds: number
  /** Time to the answer of every request that was accepted, ascending. */
  ackMs: number[]
  /** How many requests were answered with what other status. */
  refused: Map<number, number>
}

export async function runLoad(door: Door, load: Load): Promise<Outcome> {
  const agent = new Agent({ keepAlive: true, maxSockets: load.clients })
  const outcome: Outcome = { records: 0, seconds: 0, ackMs: [], refused: new Map() }
  const started = performance.now()
  let next = 0
  const client = async () => {
    while (next < load.bodies.length && performance.now() - started < load.timeMs) {
      const body = load.bodies[next++]!
      const sent = performance.now()
      const status = await post(agent, door, load.contentType, body.bytes)
      if (status === 200) {
        outcome.records += body.records
        outcome.ackMs.push(performance.now() - sent)
      } else outcome.refused.set(status, (outcome.refused.get(status) ?? 0) + 1)
    }
  }
  await Promise.all(Array.from({ length: load.clients }, client))
  outcome.seconds = (performance.now() - started) / 1000
  outcome.ackMs.sort((a, b) => a - b)
  agent.destroy()
  return outcome
}

export function post(
  agent: Agent,
  door: Door,
  contentType: string,
  body: Uint8Array,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = {
      ...door.headers,
      'content-type': contentType,
      'content-encoding': 'gzip',
      'content-length': body.length,
    }
    const sent = request(door.url, { method: 'POST', agent, headers }, (answer) => {
      answer.resume()
      answer.on('end', () => resolve(answer.statusCode ?? 0))
      answer.on('error', reject)
    })
    sent.on('error', reject)
    sent.end(body)
  })
}
