// Every example of docs/loki.md: the records it shows are stored, and each query finds what it says, answers
// what it says, or is refused.

import { beforeAll, describe, expect, it } from 'vitest'
import { type App, makeApp, postLogs, request } from '../flow/client.ts'

const { '../../docs/loki.md': page = '' } = import.meta.glob<string>('../../docs/loki.md', {
  query: '?raw',
  import: 'default',
  eager: true,
})
const [, ndjson = ''] = /```ndjson\n([^`]*)```/.exec(page) ?? []
/** A second apart, the last a minute ago. */
const LAST_MS = Math.floor(Date.now() / 1000) * 1000 - 60_000
const records = ndjson
  .trim()
  .split('\n')
  .map((line, i, all) => ({
    timestamp: LAST_MS - (all.length - 1 - i) * 1000,
    ...(JSON.parse(line) as object),
  }))

/** Rows of the tables under a heading or a bold word, to the next: cells, without their backquotes. */
function tableOf(name: string): string[][] {
  const from = page.indexOf(name)
  const rows = page.slice(from).match(/(?<=\n\n)\|(?:.*\n\|)*.*\n/)?.[0] ?? ''
  return rows
    .trim()
    .split('\n')
    .slice(2)
    .map((row) =>
      row
        .slice(1, -1)
        .split(/(?<!\\)\|/)
        .map((cell) =>
          cell
            .trim()
            .replaceAll('\\|', '|')
            .replace(/^`(.*)`$/, '$1'),
        ),
    )
}

const found = [...tableOf('**Streams and lines**'), ...tableOf('**Stages**')]
const answered = tableOf('**Metrics**')
const refused = tableOf('is refused with its name')

describe('docs/loki.md', () => {
  let app: App
  beforeAll(async () => {
    app = await makeApp('loki-docs')
    expect((await postLogs(app.ingest, records)).status).toBe(200)
  })

  const ask = (path: string, parameters: Record<string, string>) =>
    request(`/loki/api/v1/${path}?${new URLSearchParams(parameters)}`, {
      headers: { Authorization: `Basic ${btoa(`any:${app.read}`)}` },
    })

  it('has examples', () => {
    expect(records.length).toBe(6)
    expect(found.length).toBeGreaterThan(20)
    expect(answered.length).toBeGreaterThan(8)
    expect(refused.length).toBeGreaterThan(3)
  })

  it.each(found)('%s finds %s', async (query, numbers) => {
    const response = await ask('query_range', { query: query!, limit: '100', since: '1h' })
    const text = await response.text()
    expect(response.status, text).toBe(200)
    const { data } = JSON.parse(text) as { data: { result: { values: [string, string][] }[] } }
    const times = data.result.flatMap(({ values }) => values.map(([time]) => time))
    const lines = times.map(
      (time) => records.findIndex(({ timestamp }) => `${timestamp}000000` === time) + 1,
    )
    expect(lines.sort().join(' ')).toBe(numbers)
  })

  it.each(answered)('%s answers %s', async (query, expected) => {
    const response = await ask('query', { query: query!, time: `${LAST_MS + 1000}000000` })
    const text = await response.text()
    expect(response.status, text).toBe(200)
    const { data } = JSON.parse(text) as {
      data: { result: { metric: Record<string, string>; value: [number, string] }[] }
    }
    const series = data.result.map(({ metric, value }) => {
      const labels = Object.entries(metric).map(([name, of]) => `${name}="${of}"`)
      return `{${labels.join(', ')}} ${value[1]}`
    })
    expect(series.sort().join(', ')).toBe(expected)
  })

  it.each(refused)('%s is refused: %s', async (query, because) => {
    const response = await ask('query_range', { query: query!, since: '1h' })
    expect(response.status).toBe(400)
    expect(await response.text()).toContain(because)
  })
})
