// Every row of the OTLP vectors through the real Worker: posted to /v1/logs, read back at GET /logs.

import { describe, expect, it } from 'vitest'
import type { RecordView } from '../../src/match/view.ts'
import { HTTP_CASES, VECTORS, vectorBody } from '../vector-files.ts'
import { compareRecords } from '../vectors.ts'
import { dataOf, getLogs, makeApp, postOtlp, request } from './client.ts'

/** Records in the order they arrived, which is the order of their ids. */
async function storedRecords(key: string): Promise<RecordView[]> {
  const records: RecordView[] = []
  for (let cursor: string | null = ''; cursor !== null && records.length < 5000; ) {
    const query = `limit=1000&${cursor ? `cursor=${cursor}` : ''}`
    const page: { logs: RecordView[]; next_cursor: string | null } = await dataOf(
      await getLogs(key, query.replace(/&$/, '')),
    )
    records.push(...page.logs)
    cursor = page.next_cursor
  }
  return records.sort((a, b) => Number(a.id.split('-')[1]) - Number(b.id.split('-')[1]))
}

/** The message of a google.rpc.Status in either encoding; '' when there is none. */
function statusMessage(body: Uint8Array, contentType: string | null): string {
  if (contentType === 'application/json') {
    return (JSON.parse(new TextDecoder().decode(body)) as { message?: string }).message ?? ''
  }
  // 08 <code> 12 <length> <text>: the code is below 128, a length is one or two bytes.
  if (body[0] !== 0x08 || body[2] !== 0x12) return ''
  const isLong = body[3]! >= 0x80
  const start = isLong ? 5 : 4
  const length = isLong ? (body[3]! & 0x7f) + body[4]! * 128 : body[3]!
  return new TextDecoder().decode(body.subarray(start, start + length))
}

const appIdOf = (name: string) => `v-${name.replace(/\W+/g, '-').toLowerCase()}`.slice(0, 63)

describe('the OTLP vectors through the Worker', () => {
  for (const vector of VECTORS) {
    it(vector.file, async () => {
      const app = await makeApp(appIdOf(vector.file))
      const { contentType, contentEncoding } = vector
      const headers = {
        'content-type': contentType,
        ...(contentEncoding && { 'content-encoding': contentEncoding }),
      }
      const fromMs = Date.now()
      const response = await postOtlp(app.ingest, vectorBody(vector.file), headers)
      const untilMs = Date.now()
      const body = new Uint8Array(await response.arrayBuffer())
      expect(vector.status, new TextDecoder().decode(body)).toContain(response.status)
      expect(response.headers.get('content-type')).toBe(contentType)
      if (response.status !== 200) {
        expect(statusMessage(body, contentType)).not.toBe('')
        expect(await storedRecords(app.read)).toEqual([])
        return
      }
      const isLarge = vector.records[0]! > 5000
      const records = await storedRecords(app.read)
      const counts = { ...vector, records: isLarge ? [records.length] : vector.records }
      expect(compareRecords(counts, records, { fromMs, untilMs })).toEqual([])
      if (isLarge) {
        const stats = await request(`/stats/${app.appId}`, { headers: { 'X-API-Key': app.read } })
        const { days } = await dataOf<{ days: { records: number }[] }>(stats)
        expect(vector.records).toContain(days.reduce((sum, day) => sum + day.records, 0))
      }
    })
  }
})

describe('the HTTP cases', () => {
  for (const one of HTTP_CASES) {
    it(one.id, async () => {
      const app = await makeApp(appIdOf(one.id))
      const body = one.file ? vectorBody(one.file) : (one.bodyText ?? null)
      const sent = new Request(`http://logs.test${one.path ?? '/v1/logs'}`, {
        method: one.method ?? 'POST',
        headers: { ...one.headers, 'X-API-Key': app.ingest },
        ...(body !== null && {
          body: typeof body === 'string' ? new TextEncoder().encode(body) : body,
        }),
      })
      const response = await request(one.path ?? '/v1/logs', sent)
      const answer = new Uint8Array(await response.arrayBuffer())
      expect(one.status, new TextDecoder().decode(answer)).toContain(response.status)
      const contentType = response.headers.get('content-type')
      if (one.responseContentType) expect(contentType).toBe(one.responseContentType)
      if (one.responseJson)
        expect(JSON.parse(new TextDecoder().decode(answer))).toEqual(one.responseJson)
      if (one.responseHex !== undefined) {
        const hex = [...answer].map((byte) => byte.toString(16).padStart(2, '0')).join('')
        expect(hex).toBe(one.responseHex)
      }
      if (one.responseStatusMessage) expect(statusMessage(answer, contentType)).not.toBe('')
      if (response.status === 405) expect(response.headers.get('allow')).toBe('POST')
      if (one.records) expect(one.records).toContain((await storedRecords(app.read)).length)
    })
  }
})
