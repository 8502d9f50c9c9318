// Every example of docs/query.md: the records it shows are stored, and each search finds what it says.

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { choosePatterns } from '../../src/block/pattern.ts'
import { storedSegment } from '../../src/block/stored.ts'
import { decodeLines } from '../../src/ingest/lines.ts'
import { Evaluator } from '../../src/match/eval.ts'
import { parseSearch } from '../../src/query/search.ts'

const page = readFileSync(new URL('../../docs/query.md', import.meta.url), 'utf8')

const [, ndjson = ''] = /```ndjson\n([^`]*)```/.exec(page) ?? []
const arrival = { receivedMs: 1_720_000_000_000, workspaceId: null, requestId: null }
const decoded = decodeLines(Buffer.from(ndjson), 'ndjson', 'shop', arrival)
if (!decoded.ok) throw new Error(decoded.error.message)
const stored = storedSegment(decoded.data, 1, 0)
choosePatterns([stored])
const rows = Array.from({ length: stored.batch.length }, (_, row) => row)

/** Rows of the tables under a heading: what the first cell searches, and the two cells after it. */
const tables = (heading: string): string[][] =>
  [...page.matchAll(/^\| `(.+?)` \| (.*?) ?\| (.*?) ?\|$/gm)]
    .map(([, search = '', second = '', third = '']) => [search, second, third])
    .filter(([search]) => page.indexOf(`| \`${search}\` |`) > page.indexOf(heading))

const refusedFrom = page.indexOf('## What is refused')
const refused = tables('## What is refused')
const found = tables('# Searching').filter(
  ([search]) => page.indexOf(`| \`${search}\` |`) < refusedFrom,
)

describe('docs/query.md', () => {
  it('has examples', () => {
    expect(rows.length).toBe(8)
    expect(found.length).toBeGreaterThan(60)
    expect(refused.length).toBeGreaterThan(6)
  })

  for (const [search, numbers] of found) {
    it(`${search} finds ${numbers || 'none'}`, () => {
      const filter = parseSearch(search!)
      if (!filter.ok) throw new Error(filter.error.message)
      const passing = new Evaluator(filter.data).rows(stored, rows).map((row) => row + 1)
      expect(passing.join(' ')).toBe(numbers)
    })
  }

  for (const [search, column, because] of refused) {
    it(`${search} is refused`, () => {
      const filter = parseSearch(search!)
      expect(filter).toMatchObject({ ok: false, error: { details: { column: Number(column) } } })
      expect(filter.ok ? '' : filter.error.message).toContain(because)
    })
  }
})
