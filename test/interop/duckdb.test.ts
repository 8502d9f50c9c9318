// Blocks as DuckDB and Arrow read them: a folder like the archive's, with files that have different
// attributes, united by the names of their columns.

import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { attributeName, type ScalarType } from '../../src/block/layout.ts'
import { encodeBlock } from '../../src/block/parquet.ts'
import { choosePatterns } from '../../src/block/pattern.ts'
import { type StoredBatch, storedSegment } from '../../src/block/stored.ts'
import { recordView } from '../../src/match/view.ts'
import { TEXT_COLUMNS } from '../../src/record.ts'
import { batchOf, type RecordSpec, randomOf } from '../batches.ts'
import { missing, runProgram, titled } from './run.ts'

type Row = Record<string, string | number | boolean | null>
interface Found {
  types: Record<string, string>
  rows: Row[]
  arrow: Row[]
}

const RECEIVED_MS = Date.UTC(2026, 10, 1)
const TEXT = ['level', 'severity_text', 'message', 'pattern', 'body', 'attributes', 'otel', 'cut']

/** Values of all types, and columns that only some of the files have. */
function specsOf(seed: number, count: number): RecordSpec[] {
  const random = randomOf(seed)
  const pick = <T>(values: T[]) => values[Math.floor(random() * values.length)]!
  return Array.from({ length: count }, (_, i) => ({
    ms: RECEIVED_MS + Math.floor(random() * 1e7),
    ns: Math.floor(random() * 1e6),
    level: Math.floor(random() * 6),
    message: pick([
      `took ${i} ms`,
      'constant',
      '',
      'é 数据 😀\u0000"',
      'x'.repeat(200),
      `${random()}`,
    ]),
    text: {
      ...(random() < 0.9 && { service: pick(['api', 'web']) }),
      ...(random() < 0.5 && { trace_id: String(random()), user_id: `u${i % 40}` }),
    },
    attributes: {
      ...(random() < 0.7 && { 'http.route': pick(['/a', '/b/:id']) }),
      ...(random() < 0.5 && { code: pick([200, '200', 1.5, true, 2 ** 53 - 1, -(2 ** 40)]) }),
      ...(random() < 0.5 && { duration: random() * 1000 }),
      ...(random() < 0.2 && { [`only.in.${seed}`]: i }),
    },
    ...(random() < 0.1 && { rest: '{"list":[1,null,{"a":"b"}]}' }),
  }))
}

/** Blocks by the day they were received, as the archive names them. */
async function writeArchive(folder: string): Promise<Row[]> {
  const rows: Row[] = []
  let seq = 1
  for (const [i, size] of [1, 300, 9000, 40].entries()) {
    const date = `2026-11-0${1 + (i >> 1)}`
    const specs = specsOf(i, size)
    const parts = [specs.slice(0, size >> 1), specs.slice(size >> 1)].flatMap((own) => {
      if (own.length === 0) return []
      const part = storedSegment(batchOf(own), seq, RECEIVED_MS + (i >> 1) * 86_400_000)
      seq += own.length
      return [part]
    })
    for (const { batch } of parts) {
      batch.observedMs = batch.timeMs.map((ms, row) => (row % 3 === 0 ? -1 : ms + 1))
      batch.observedNs = batch.timeNs.map((ns, row) => (row % 3 === 0 ? 0 : ns))
      batch.severityNumber = batch.timeMs.map((_, row) => row % 25)
      batch.otel[0] = '{"flags":1}'
    }
    choosePatterns(parts)
    const bytes = await encodeBlock(parts, 0, async () => {})
    await mkdir(join(folder, 'shop', `date=${date}`), { recursive: true })
    await writeFile(join(folder, 'shop', `date=${date}`, `abc-0-${i}-g1.parquet`), bytes)
    rows.push(...parts.flatMap((part) => rowsOf(part, date)))
  }
  return rows
}

function rowsOf({ batch, seqs, receivedMs, patterns }: StoredBatch, date: string): Row[] {
  return Array.from(seqs, (seq, row) => {
    const view = recordView(batch, row, 0, seq)
    const attributes = batch.attributes.flatMap(({ key, type, rows, values }) => {
      const at = rows.indexOf(row)
      return at < 0 ? [] : [[attributeName(key, type as ScalarType), values[at]!]]
    })
    return {
      timestamp: view.time_unix_nano,
      observed_time: view.observed_time_unix_nano,
      received_time: `${receivedMs[row]}000000`,
      level: view.level,
      severity_number: view.severity_number,
      severity_text: null,
      ...Object.fromEntries(TEXT_COLUMNS.map((name) => [name, view[name]])),
      message: view.message,
      pattern: patterns![row]!,
      body: null,
      attributes: batch.attributesRest[row]!,
      resource: batch.resources[0]!,
      scope: '{}',
      otel: batch.otel[row]!,
      cut: null,
      seq,
      shard: 0,
      ...Object.fromEntries(attributes),
      date,
    }
  })
}

const without = (row: Row, name: string) =>
  Object.fromEntries(Object.entries(row).filter(([key, value]) => key !== name && value !== null))

const reason = missing('parquet')
describe.skipIf(reason)(titled('an archive, read by others', reason), () => {
  let folder: string
  let expected: Row[]
  let found: Found
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'worker-logs-parquet-'))
    expected = await writeArchive(join(folder, 'archive'))
    const out = join(folder, 'found.json')
    await runProgram('parquet', [join(folder, 'archive'), out], {})
    found = JSON.parse(await readFile(out, 'utf8'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it('DuckDB sees one table, each column with its type', () => {
    const attributes = Object.entries(found.types).filter(([name]) => /^attr[._]/.test(name))
    expect(Object.fromEntries(attributes)).toMatchObject({
      'attr.http.route': 'VARCHAR',
      'attr.code': 'VARCHAR',
      'attr_int.code': 'BIGINT',
      'attr_num.code': 'DOUBLE',
      'attr_bool.code': 'BOOLEAN',
      'attr_num.duration': 'DOUBLE',
      'attr_int.only.in.1': 'BIGINT',
      'attr_int.only.in.2': 'BIGINT',
    })
    const time = 'TIMESTAMPTZ_NS'
    const text = [...TEXT_COLUMNS, ...TEXT, 'resource', 'scope'].map((name) => [name, 'VARCHAR'])
    expect(found.types).toMatchObject({
      ...Object.fromEntries(text),
      timestamp: time,
      observed_time: time,
      received_time: time,
      severity_number: 'INTEGER',
      seq: 'BIGINT',
      shard: 'INTEGER',
      date: 'DATE',
    })
  })

  it('DuckDB finds every record as it was stored', () => {
    expect(found.rows.length).toBe(expected.length)
    const none = Object.fromEntries(Object.keys(found.types).map((name) => [name, null]))
    for (const [i, row] of found.rows.entries()) expect(row).toEqual({ ...none, ...expected[i] })
  })

  it('Arrow finds the same in every file, with its checksums', () => {
    const byPlace = (a: Row, b: Row) => Number(a.seq) - Number(b.seq)
    const rows = found.arrow.sort(byPlace).map((row) => without(row, ''))
    expect(rows).toEqual(expected.map((row) => without(row, 'date')))
  })
})
