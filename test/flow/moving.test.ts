// Readers over HTTP who page while records are sealed, merged, archived and deleted under them: page
// after page, each record of the first page's set once, in order.

import { describe, expect, it } from 'vitest'
import {
  ADMIN_KEY,
  type App,
  dataOf,
  getLogs,
  type LogPage,
  makeApp,
  postLogs,
  request,
} from './client.ts'

const T = 1_720_000_000_000
const headers = { 'X-API-Key': ADMIN_KEY }

interface Page extends LogPage {
  partial_reasons: object[]
}

async function startJob(path: string, body: object): Promise<string> {
  const answer = await request(path, { method: 'POST', headers, body: JSON.stringify(body) })
  const data = await dataOf<{ job_id?: string; jobs?: { job_id: string }[] }>(answer)
  return data.job_id ?? data.jobs![0]!.job_id
}

async function untilDone(app: App, jobId: string): Promise<void> {
  const read = async () => {
    const answer = await request(`/apps/${app.appId}/jobs/${jobId}`, { headers })
    return (await dataOf<{ state: string }>(answer)).state
  }
  await expect.poll(read, { timeout: 20_000, interval: 50 }).toBe('done')
}

const flush = async (app: App, older_than: string) =>
  untilDone(app, await startJob('/flush', { app_id: app.appId, older_than }))

/** Stores the records from..to-1, a second apart, every fifth of them for the deletion. */
async function send(app: App, from: number, to: number): Promise<void> {
  const logs = Array.from({ length: to - from }, (_, i) => ({
    message: `record ${from + i}`,
    timestamp: T + (from + i) * 1000,
    service: (from + i) % 5 === 0 ? 'victim' : 'api',
  }))
  expect((await postLogs(app.ingest, logs)).status).toBe(200)
}

const numbersOf = (page: Page) => page.logs.map(({ message }) => Number(message.split(' ')[1]))

/** All pages; `between` is awaited before each but the first. */
async function readPages(app: App, query: string, between: () => Promise<void>): Promise<number[]> {
  const shown: number[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    if (cursor !== '') await between()
    const answer = await getLogs(app.read, cursor === '' ? query : `${query}&cursor=${cursor}`)
    const page: Page = await dataOf<Page>(answer)
    expect(page.partial_reasons).toEqual([])
    shown.push(...numbersOf(page))
    cursor = page.next_cursor
  }
  return shown
}

describe('a reader who pages', () => {
  for (const order of ['asc', 'desc']) {
    it(`${order} sees each record once, whatever is done between two pages`, async () => {
      const app = await makeApp(`pages-${order}`, { shards: 2 })
      for (let part = 0; part < 10; part++) await send(app, part * 6, part * 6 + 6)
      const { appId } = app
      const filter = { service: 'victim' }
      const events = [
        () => flush(app, '7d'),
        () => send(app, 1000, 1010),
        () => flush(app, '7d'),
        () => flush(app, '0s'),
        async () => untilDone(app, await startJob(`/apps/${appId}/delete`, { filter })),
        () => flush(app, '0s'),
      ]
      const query = `order=${order}&service=api&limit=5`
      const shown = await readPages(app, query, async () => events.shift()?.())
      expect(events.length).toBe(0)
      const expected = Array.from({ length: 60 }, (_, i) => i).filter((i) => i % 5 !== 0)
      expect(shown).toEqual(order === 'asc' ? expected : expected.reverse())
    })
  }

  it('sees each record once while all of it goes on', async () => {
    const app = await makeApp('pages-meanwhile', { shards: 2 })
    for (let part = 0; part < 10; part++) await send(app, part * 12, part * 12 + 12)
    let isOver = false
    const jobs = (async () => {
      for (let n = 0; !isOver; n++) {
        await send(app, 1000 + n * 3, 1003 + n * 3)
        await flush(app, n % 3 === 2 ? '0s' : '7d')
      }
    })()
    const readers = ['asc', 'desc', 'asc', 'desc'].map(async (order) => {
      for (let n = 0; n < 3; n++) {
        const shown = await readPages(app, `order=${order}&limit=11`, async () => {})
        const sorted = shown.toSorted((a, b) => (order === 'asc' ? a - b : b - a))
        expect(shown).toEqual(sorted)
        expect(new Set(shown).size).toBe(shown.length)
        expect(shown.filter((i) => i < 1000).length).toBe(120)
      }
    })
    await Promise.all(readers).finally(() => {
      isOver = true
    })
    await jobs
  })
})
