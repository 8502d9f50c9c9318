// A request sent again, as exporters do when an answer is lost: stored once where it can be told
// from another like it, and every time where it can not.

import { deflateSync, gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { makeApp, makeKey, messagesOf, postOtlp, request } from './client.ts'

const JSON_MEDIA = { 'content-type': 'application/json' }
const requestOf = (records: object[]) =>
  JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords: records }] }] })
const recordOf = (text: string, time: object = {}) => ({ ...time, body: { stringValue: text } })

const FINE = { timeUnixNano: '1720000000123456789' }
const OBSERVED = { observedTimeUnixNano: '1720000000123456789' }
const COARSE = { timeUnixNano: '1720000000123000000' }

describe('the same OTLP request twice', () => {
  const stores = (name: string, records: object[], times: number) =>
    it(`${name}: stored ${times === 1 ? 'once' : 'twice'}`, async () => {
      const app = await makeApp(`retry-${name.replace(/\W+/g, '-')}`)
      for (let i = 0; i < 2; i++) {
        expect((await postOtlp(app.ingest, requestOf(records), JSON_MEDIA)).status).toBe(200)
      }
      expect((await messagesOf(app.read)).length).toBe(times * records.length)
    })

  stores('timed to the nanosecond', [recordOf('a', FINE)], 1)
  stores('observed to the nanosecond', [recordOf('a', OBSERVED)], 1)
  stores('two to the millisecond', [recordOf('a', COARSE), recordOf('b', COARSE)], 1)
  stores('one to the millisecond', [recordOf('a', COARSE)], 2)
  stores('untimed', [recordOf('a'), recordOf('b')], 2)
  stores('one of two untimed', [recordOf('a', FINE), recordOf('b')], 2)
})

describe('what makes it another request', () => {
  const BODY = requestOf([recordOf('a', FINE), recordOf('b', FINE)])

  it('not its compression', async () => {
    const app = await makeApp('retry-compressed')
    const sent: [BodyInit, string][] = [
      [BODY, 'identity'],
      [gzipSync(BODY, { level: 1 }), 'gzip'],
      [gzipSync(BODY, { level: 9 }), 'gzip'],
      [deflateSync(BODY), 'deflate'],
    ]
    for (const [body, coding] of sent) {
      const headers = { ...JSON_MEDIA, 'content-encoding': coding }
      expect((await postOtlp(app.ingest, body, headers)).status).toBe(200)
    }
    expect((await messagesOf(app.read)).length).toBe(2)
  })

  it('the workspace its key is bound to, and not the key', async () => {
    const app = await makeApp('retry-workspaces')
    for (const workspace_id of ['w1', 'w2', 'w1']) {
      const key = await makeKey(app.appId, { role: 'ingest', workspace_id })
      expect((await postOtlp(key, BODY, JSON_MEDIA)).status).toBe(200)
    }
    expect((await messagesOf(app.read, 'workspace_id=w1')).length).toBe(2)
    expect((await messagesOf(app.read, 'workspace_id=w2')).length).toBe(2)
  })

  it('its Idempotency-Key, at the door of lines too', async () => {
    const app = await makeApp('retry-keyed')
    for (const key of ['k1', 'k1', 'k2', '', '']) {
      const headers = { 'X-API-Key': app.ingest, 'Idempotency-Key': key }
      const init = { method: 'POST', headers, body: '{"message":"line"}' }
      expect((await request('/logs', init)).status).toBe(200)
    }
    expect((await messagesOf(app.read)).length).toBe(4)
  })

  it('is refused with a key that is too long', async () => {
    const app = await makeApp('retry-long-key')
    const headers = { ...JSON_MEDIA, 'Idempotency-Key': 'k'.repeat(129) }
    expect((await postOtlp(app.ingest, BODY, headers)).status).toBe(400)
    expect(await messagesOf(app.read)).toEqual([])
  })
})
