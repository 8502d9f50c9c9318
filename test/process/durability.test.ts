// Nothing acknowledged is ever lost, nothing retried is stored twice: the collector is killed with
// SIGKILL at a random moment under load, started again, and asked for every record.
// ROUNDS=100 npx vitest run --project node test/process/durability.test.ts for the long run.

import { describe, expect, it } from 'vitest'
import { randomOf } from '../batches.ts'
import { type App, type Client, clientOf } from './client.ts'
import { type Collector, startCollector } from './collector.ts'

const ROUNDS = Number(process.env.ROUNDS ?? 3)
const SENDERS = 8
const SEED = Number(process.env.SEED ?? 1)

describe('kill -9', () => {
  it(
    `loses and doubles nothing over ${ROUNDS} rounds (seed ${SEED})`,
    async () => {
      const random = randomOf(SEED)
      const collector = await startCollector()
      try {
        const client = clientOf(collector.url, collector.adminKey)
        const rounds: { app: App; sent: Set<string> }[] = []
        for (let round = 0; round < ROUNDS; round++) {
          // An app a round: what one round stored is read back without the load of all before it.
          const app = await client.makeApp(`durable-${round}`)
          const sent = new Set<string>()
          const unanswered = await loadUntilKilled(collector, client, app, round, random, sent)
          await collector.restart()
          // What an exporter does: the requests whose answer was lost are sent again.
          for (const { messages, body } of unanswered) {
            expect((await client.sendOtlpJson(app, body)).status).toBe(200)
            for (const message of messages) sent.add(message)
          }
          rounds.push({ app, sent })
          await expectAll(client, app, sent)
        }
        // And no later kill took anything from an earlier round.
        for (const { app, sent } of rounds) await expectAll(client, app, sent)
      } finally {
        await collector.stop()
      }
    },
    120_000 + ROUNDS * 30_000,
  )
})

async function expectAll(client: Client, app: App, sent: Set<string>): Promise<void> {
  const stored = (await client.findLogs(app)).map(({ message }) => message)
  expect(stored.length, 'records stored, each once').toBe(new Set(stored).size)
  expect(new Set(stored)).toEqual(sent)
}

/** Requests that got no answer; the messages of those that did are added to `acknowledged`. */
async function loadUntilKilled(
  collector: Collector,
  client: Client,
  app: App,
  round: number,
  random: () => number,
  acknowledged: Set<string>,
) {
  const unanswered: { messages: string[]; body: unknown }[] = []
  let isKilled = false
  const senders = Array.from({ length: SENDERS }, async (_, sender) => {
    for (let n = 0; !isKilled; n++) {
      const count = 2 + Math.floor(random() * 50)
      const messages = Array.from({ length: count }, (_, i) => `r${round} s${sender} n${n} i${i}`)
      const body = otlpOf(messages)
      try {
        const response = await client.sendOtlpJson(app, body)
        expect(response.status).toBe(200)
        for (const message of messages) acknowledged.add(message)
      } catch (e) {
        if (!isKilled) throw e
        unanswered.push({ messages, body })
      }
    }
  })
  await new Promise((resolve) => setTimeout(resolve, 100 + random() * 900))
  isKilled = true
  await Promise.all([collector.kill9(), ...senders])
  return unanswered
}

function otlpOf(messages: string[]) {
  const logRecords = messages.map((message, i) => ({
    timeUnixNano: `17200000001234567${String(i).padStart(2, '0')}`,
    body: { stringValue: message },
  }))
  return { resourceLogs: [{ scopeLogs: [{ logRecords }] }] }
}
