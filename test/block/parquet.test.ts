import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { parquetMetadata, parquetReadObjects } from 'hyparquet'
import { describe, expect, it } from 'vitest'
import { BLOCK_VERSION, GROUP_RECORDS_MAX, SCHEMA } from '../../src/block/layout.ts'
import { encodeBlock, openBlock, readGroup, readGroupSteps } from '../../src/block/parquet.ts'
import { choosePatterns } from '../../src/block/pattern.ts'
import { type StoredBatch, storedSegment } from '../../src/block/stored.ts'
import { recordView } from '../../src/match/view.ts'
import { type AttributeType, TEXT_COLUMNS } from '../../src/record.ts'
import { batchOf, type RecordSpec, randomOf } from '../batches.ts'

const SHARD = 3
const RECEIVED_MS = 1_720_000_000_000
const noPause = async () => {}

/** Parts of a block, numbered one after the other. */
function partsOf(...parts: RecordSpec[][]): StoredBatch[] {
  let seq = 1
  return parts.map((specs, i) => {
    const part = storedSegment(batchOf(specs), seq, RECEIVED_MS + i)
    seq += specs.length
    return part
  })
}

const encode = (parts: StoredBatch[]) => encodeBlock(parts, SHARD, noPause)

function readAll(bytes: Uint8Array): StoredBatch[] {
  const file = openBlock(bytes)
  return file.groups.map((_, group) => readGroup(file, group, 'all'))
}

/** All that is stored of each record, in order: what people see, and what only types tell. */
function recordsOf(parts: StoredBatch[]) {
  return parts.flatMap(({ batch, seqs, receivedMs, patterns }) =>
    Array.from(seqs, (seq, row) => ({
      view: recordView(batch, row, SHARD, seq),
      receivedMs: receivedMs[row],
      pattern: patterns?.[row] ?? null,
      types: typesOf(batch.attributes, batch.attributesRest[row] ?? null, row),
    })),
  )
}

/** The type of each attribute; in the JSON text of the rest a whole double has a point. */
function typesOf(
  columns: StoredBatch['batch']['attributes'],
  rest: string | null,
  row: number,
): Record<string, string> {
  const types: Record<string, string> = {}
  for (const { key, type, rows } of columns) if (rows.includes(row)) types[key] = type
  if (rest === null) return types
  JSON.parse(rest, function (this: unknown, key, value, context?: { source: string }) {
    if (key === '' || Array.isArray(this) || typeof this !== 'object') return value
    types[key] = jsonType(value, context?.source ?? '')
    return value
  })
  return types
}

function jsonType(value: unknown, source: string): AttributeType {
  if (typeof value === 'string') return 'text'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value !== 'number') return 'json'
  return /^-?\d+$/.test(source) ? 'int' : 'num'
}

const inOrder = (parts: StoredBatch[]) =>
  recordsOf(parts).sort((a, b) => {
    const [x, y] = [BigInt(a.view.time_unix_nano), BigInt(b.view.time_unix_nano)]
    return x < y
      ? -1
      : x > y
        ? 1
        : Number(a.view.id.split('-')[1]) - Number(b.view.id.split('-')[1])
  })

function randomSpecs(seed: number, count: number): RecordSpec[] {
  const random = randomOf(seed)
  const pick = <T>(values: T[]) => values[Math.floor(random() * values.length)]!
  return Array.from({ length: count }, () => ({
    ms: RECEIVED_MS + Math.floor(random() * 1e6),
    ns: pick([0, 456_789]),
    level: Math.floor(random() * 6),
    message: pick(['a', 'b', `m${random()}`, '', 'é\u0000\ufeff"\\', 'retry 5 of 7', '数据 😀']),
    text: random() < 0.5 ? { service: pick(['x', 'y']), trace_id: String(random()) } : {},
    attributes: {
      ...(random() < 0.5 && { code: pick([200, 500, 1.5]) }),
      ...(random() < 0.3 && { ok: random() < 0.5 }),
      ...(random() < 0.3 && { code: 'text', __proto__x: 'p' }),
    },
    ...(random() < 0.1 && { rest: '{"a":[1,null]}' }),
  }))
}

describe('a block', () => {
  const keeps = (name: string, ...parts: RecordSpec[][]) =>
    it(`keeps ${name}`, async () => {
      const stored = partsOf(...parts)
      choosePatterns(stored)
      const read = readAll(await encode(stored))
      expect(recordsOf(read)).toEqual(inOrder(stored))
    })

  keeps('one record', [{ message: 'hello' }])
  keeps('one record of nulls', [{}])
  keeps('the order of time, and of arrival among equals', [
    { ms: 5, message: 'third' },
    { ms: 3, ns: 2, message: 'second' },
    { ms: 3, ns: 1, message: 'first' },
    { ms: 5, message: 'fourth' },
  ])
  keeps('parts that interleave', [{ ms: 1 }, { ms: 3 }], [{ ms: 2 }, { ms: 4 }], [{ ms: 0 }])
  keeps('times decades apart', [{ ms: 0 }, { ms: 9_007_199_254_740 }, { ms: 1 }])
  keeps('times to the nanosecond', [
    { ms: 1_720_000_000_000, ns: 1 },
    { ms: 1_720_000_000_000, ns: 999_999 },
    { ms: 1_720_000_000_001, ns: 0 },
  ])
  keeps('the last time there is', [{ ms: 9_223_372_036_854, ns: 775_807 }])
  keeps('text of every width', [
    { message: 'é'.repeat(200) },
    { message: '\ufeffBOM' },
    { message: '😀\u0000\r\n' },
    { message: 'x'.repeat(300) },
    { message: '' },
  ])
  keeps(
    'a long dictionary',
    Array.from({ length: 8000 }, (_, i) => ({
      message: `message ${i % 3900} ${'x'.repeat(i % 9)}`,
    })),
  )
  keeps(
    'dictionaries of every width',
    Array.from({ length: 2050 }, (_, i) => ({
      text: { service: `s${i & 1}`, environment: `e${i & 3}`, user_id: `u${i % 17}` },
      attributes: { a: i % 129, b: `b${i % 1024}`, c: (i % 300) / 7 },
    })),
  )
  keeps('an attribute that is a column', [
    { text: { user_id: 'a' }, attributes: { 'user.id': 'a' } },
    { text: { user_id: 'b' }, attributes: { 'user.id': 'b' } },
    {},
  ])
  keeps('an attribute that is a column but once', [
    { text: { user_id: 'a' }, attributes: { 'user.id': 'a' } },
    { text: { user_id: 'b' } },
    { text: { user_id: 'c' }, attributes: { 'user.id': 'd' } },
  ])
  for (let seed = 1; seed <= 10; seed++) {
    keeps(`random records, seed ${seed}`, randomSpecs(seed, 300), randomSpecs(seed + 100, 100))
  }

  it('keeps every column of every kind', async () => {
    const parts = partsOf([{}, {}, {}])
    const { batch } = parts[0]!
    batch.observedMs = [-1, 1_720_000_000_123, 5]
    batch.observedNs = [0, 456, 7]
    batch.severityNumber = [0, 17, -3]
    batch.severityText = [null, 'ERR', '']
    batch.body = [null, '{"a":[1,{"b":null}]}', '12']
    batch.message = ['', '{"a":[1,{"b":null}]}', '12']
    batch.otel = ['{"flags":1}', null, null]
    batch.cut = [null, '[{"field":"body","bytes":300000}]', null]
    batch.resources = ['{}', '{"service.name":"a"}', '{"unused":1}']
    batch.resource = [1, 0, 1]
    batch.scopes = ['{"name":"lib"}', '{}']
    batch.scope = [0, 1, 0]
    for (const name of TEXT_COLUMNS) batch.text[name] = [name, null, '']
    expect(recordsOf(readAll(await encode(parts)))).toEqual(inOrder(parts))
  })

  it('names only resources and scopes that its records name', async () => {
    const parts = partsOf([{}, {}, {}])
    const { batch } = parts[0]!
    batch.resources = ['{"a":1}', '{"deleted":1}', '{"b":1}', '{"a":1}']
    batch.resource = [2, 3, 0]
    batch.scopes = ['{"deleted":1}', '{}']
    batch.scope = [1, 1, 1]
    const [read] = readAll(await encode(parts))
    expect(read!.batch.resources).toEqual(['{"b":1}', '{"a":1}'])
    expect(read!.batch.scopes).toEqual(['{}'])
  })

  it('gives each record its bytes, about', async () => {
    const read = readAll(await encode(partsOf([{ message: 'x'.repeat(5000) }, {}])))[0]!
    expect(read.batch.bytes[0]).toBeGreaterThan(5000)
    expect(read.batch.bytes[1]).toBeLessThan(1000)
  })

  it('survives text that is not well formed, as far as UTF-8 can tell it', async () => {
    const parts = partsOf([{ message: 'a\ud83d' }, { message: '\ude00b' }])
    const read = readAll(await encode(parts))[0]!
    expect(read.batch.message).toEqual(['a\ufffd', '\ufffdb'])
  })
})

describe('attributes', () => {
  const read = async (...parts: RecordSpec[][]) => {
    const stored = partsOf(...parts)
    const bytes = await encode(stored)
    const records = readAll(bytes)
    expect(recordsOf(records).map(({ view, types }) => [view, types])).toEqual(
      inOrder(stored).map(({ view, types }) => [view, types]),
    )
    return openBlock(bytes).names.filter((name) => /^attr[._]/.test(name))
  }

  it('have a column each, whose name tells the type', async () => {
    const attributes = { 'http.route': '/a', status: 200, ratio: 0.5, ok: true }
    expect(await read([{ attributes }])).toEqual([
      'attr.http.route',
      'attr_int.status',
      'attr_num.ratio',
      'attr_bool.ok',
    ])
  })

  it('of one key and several types are several columns', async () => {
    const codes = ['200', 200, 200.5, true].map((code) => ({ attributes: { code } }))
    expect(await read(codes)).toEqual([
      'attr.code',
      'attr_int.code',
      'attr_num.code',
      'attr_bool.code',
    ])
  })

  it('beyond the 64 most frequent are JSON', async () => {
    const specs = Array.from({ length: 300 }, (_, i) => ({
      attributes: { [`k${i % 100}`]: i, ...(i % 100 >= 90 && { hot: 'x', [`h${i % 7}`]: 1.5 }) },
    }))
    const names = await read(specs)
    expect(names.length).toBe(64)
    expect(names).toContain('attr.hot')
  })

  it('of long names, of control characters and of names that differ by case are JSON', async () => {
    const attributes = {
      ['k'.repeat(128)]: 1,
      ['k'.repeat(129)]: 1,
      ['é'.repeat(65)]: 1,
      'a\nb': 1,
      'a\u0085b': 1,
      '': 1,
      User: 'x',
    }
    const names = await read([
      { attributes },
      { attributes: { user: 'y' } },
      { attributes: { user: 'z', USER: 1 } },
    ])
    expect(names).toEqual([`attr_int.${'k'.repeat(128)}`, 'attr_int.', 'attr.user'])
  })

  it('keep their type where they have no column', async () => {
    // Of a key that differs by case from a more frequent one.
    const values = [
      0,
      -0,
      1,
      -1,
      1.5,
      1e300,
      1e21,
      5e-324,
      2 ** 53 - 1,
      1 - 2 ** 53,
      true,
      'x',
      '1',
    ]
    const specs = values.map((value) => ({ attributes: { KEY: value, key: 1, Key: 'a' } }))
    const doubles = partsOf(specs)
    specs.splice(1, 1)
    for (const column of doubles[0]!.batch.attributes) {
      if (column.key === 'KEY' && column.type === 'int') column.type = 'num'
    }
    for (const parts of [partsOf(specs), doubles]) {
      const read = readAll(await encode(parts))
      expect(recordsOf(read)).toEqual(inOrder(parts))
    }
  })

  it('keep their value to the last bit', async () => {
    const numbers = [0, -0, 0.1, -1.5, 5e-324, 1.7976931348623157e308, 1e21, 2 ** 53]
    const integers = [0, -1, 2 ** 53 - 1, 1 - 2 ** 53, 200]
    const parts = partsOf(numbers.map((_, i) => ({ attributes: { int: integers[i % 5]! } })))
    parts[0]!.batch.attributes.push({
      key: 'num',
      type: 'num',
      rows: numbers.map((_, row) => row),
      values: numbers,
    })
    const [read] = readAll(await encode(parts))
    const values = (key: string) => read!.batch.attributes.find((c) => c.key === key)?.values
    expect(values('num')).toEqual(numbers)
    expect(values('int')).toEqual(numbers.map((_, i) => integers[i % 5]))
  })

  it('of a map, an array or null are JSON, beside what had no column before', async () => {
    const parts = partsOf([{ attributes: { map: 'x' }, rest: '{"__proto__":1,"b":[2]}' }, {}])
    const { attributes } = parts[0]!.batch
    attributes.push({ key: 'map', type: 'json', rows: [1], values: ['{"a":{"b":[1,null]}}'] })
    attributes.push({ key: '__proto__', type: 'json', rows: [1], values: ['[1]'] })
    attributes.push({ key: 'b', type: 'json', rows: [0], values: ['"hidden by the rest"'] })
    const read = readAll(await encode(parts))
    expect(recordsOf(read).map(({ view }) => view)).toEqual(
      recordsOf(parts).map(({ view }) => view),
    )
    expect(read[0]!.batch.attributesRest).toEqual([
      '{"b":"hidden by the rest","__proto__":1,"b":[2]}',
      '{"map":{"a":{"b":[1,null]}},"__proto__":[1]}',
    ])
  })

  it('named __proto__ have a column like any other', async () => {
    const specs = [{ attributes: JSON.parse('{"__proto__":"x"}') }, {}]
    expect(await read(specs)).toEqual(['attr.__proto__'])
  })
})

describe('row groups', () => {
  it('hold at most 8,192 records, in order over all of them', async () => {
    const specs = randomSpecs(5, GROUP_RECORDS_MAX * 2 + 5)
    const parts = partsOf(specs.slice(0, 9000), specs.slice(9000))
    const bytes = await encode(parts)
    expect(openBlock(bytes).groups.map(({ records }) => records)).toEqual([8192, 8192, 5])
    const seqs = readAll(bytes).flatMap((group) => Array.from(group.seqs))
    expect(seqs).toEqual(inOrder(parts).map(({ view }) => Number(view.id.split('-')[1])))
  })

  it('of long records hold fewer, and a column of long texts has several pages', async () => {
    const message = (i: number) => `${i} ${'xyz '.repeat(60_000)}`
    const parts = partsOf(Array.from({ length: 100 }, (_, i) => ({ ms: i, message: message(i) })))
    // Segments do not keep the bytes of a record.
    parts[0]!.batch.bytes = []
    const bytes = await encode(parts)
    const file = openBlock(bytes)
    expect(file.groups.length).toBe(2)
    const messages = readAll(bytes).flatMap(({ batch }) => batch.message)
    expect(messages.every((text, i) => text === message(i))).toBe(true)
  })

  it('count resources that the records name', async () => {
    const parts = partsOf(Array.from({ length: 100 }, (_, ms) => ({ ms })))
    const { batch } = parts[0]!
    batch.resources = batch.timeMs.map((ms) =>
      JSON.stringify({ name: `${ms} ${'r'.repeat(250_000)}` }),
    )
    batch.resource = batch.timeMs.map((ms) => ms)
    const bytes = await encode(parts)
    expect(openBlock(bytes).groups.length).toBeGreaterThan(1)
    expect(recordsOf(readAll(bytes))).toEqual(inOrder(parts))
  })
})

describe('readGroup', () => {
  it('decodes what is needed, and nothing else', async () => {
    const file = openBlock(await encode(partsOf(randomSpecs(3, 50))))
    const all = readGroup(file, 0, 'all')
    const some = readGroup(file, 0, { columns: new Set(['message', 'trace_id']), attributes: [] })
    expect(some.batch.message).toEqual(all.batch.message)
    expect(some.batch.text.trace_id).toEqual(all.batch.text.trace_id)
    expect(some.batch.timeMs).toEqual(all.batch.timeMs)
    expect([some.seqs, some.receivedMs]).toEqual([all.seqs, all.receivedMs])
    expect(some.batch.length).toBe(50)
    expect(some.patterns).toEqual(all.patterns)
    const { text, level, resource, scope, attributes, attributesRest, bytes } = some.batch
    for (const column of [
      text.service,
      level,
      resource,
      scope,
      attributes,
      attributesRest,
      bytes,
    ]) {
      expect(column).toEqual([])
    }
  })

  it('decodes an attribute in all its types, and the rest', async () => {
    const file = openBlock(await encode(partsOf(randomSpecs(3, 50))))
    const all = readGroup(file, 0, 'all')
    const some = readGroup(file, 0, { columns: new Set(), attributes: ['code', 'none'] })
    const codes = all.batch.attributes.filter(({ key }) => key === 'code')
    expect(codes.map(({ type }) => type).sort()).toEqual(['int', 'num', 'text'])
    expect(some.batch.attributes).toEqual(codes)
    expect(some.batch.attributesRest).toEqual(all.batch.attributesRest)
  })

  it('in steps gives the same, and yields between columns', async () => {
    const file = openBlock(await encode(partsOf(randomSpecs(3, 50))))
    const steps = readGroupSteps(file, 0, 'all')
    let count = 0
    let step = steps.next()
    for (; !step.done; step = steps.next()) count++
    expect(step.value).toEqual(readGroup(file, 0, 'all'))
    expect(count).toBeGreaterThan(TEXT_COLUMNS.length)
  })
})

describe('encodeBlock', () => {
  it('pauses between columns', async () => {
    let pauses = 0
    const pause = async () => {
      pauses++
    }
    await encodeBlock(partsOf(randomSpecs(1, 20)), SHARD, pause)
    expect(pauses).toBeGreaterThan(SCHEMA.length)
  })

  it('refuses a block of no records', async () => {
    await expect(encode([])).rejects.toThrow('no records')
  })
})

/** What a program that knows Parquet, and nothing of us, finds in the file. */
async function foreignRows(bytes: Uint8Array) {
  const copy = bytes.slice().buffer
  const rows = await parquetReadObjects({
    file: copy,
    compressors: { GZIP: (packed) => gunzipSync(packed) },
    parsers: {
      timestampFromNanoseconds: (at) => at,
      stringFromBytes: (text) => Buffer.from(text).toString('utf8'),
    },
  })
  return { rows, metadata: parquetMetadata(copy) }
}

describe('as Parquet', () => {
  it('every block has the same schema columns with the same types', async () => {
    const blocks = [partsOf([{}]), partsOf(randomSpecs(1, 500))]
    const schemas = await Promise.all(
      blocks.map(async (parts) => {
        const { metadata } = await foreignRows(await encode(parts))
        return metadata.schema.slice(1, 1 + SCHEMA.length)
      }),
    )
    expect(schemas[0]).toEqual(schemas[1])
    expect(schemas[0]!.map(({ name }) => name)).toEqual(SCHEMA.map(({ name }) => name))
  })

  for (const seed of [1, 2, 3]) {
    it(`reads record by record elsewhere, seed ${seed}`, async () => {
      const parts = partsOf(randomSpecs(seed, 700), randomSpecs(seed + 50, 9000))
      choosePatterns(parts)
      const bytes = await encode(parts)
      const { rows, metadata } = await foreignRows(bytes)
      expect(metadata.num_rows).toBe(9700n)
      const expected = inOrder(parts).map(({ view, receivedMs, pattern }) => ({
        ...Object.fromEntries(TEXT_COLUMNS.map((name) => [name, view[name]])),
        timestamp: BigInt(view.time_unix_nano),
        observed_time: null,
        received_time: BigInt(receivedMs!) * 1_000_000n,
        seq: BigInt(view.id.split('-')[1]!),
        shard: SHARD,
        level: view.level,
        severity_number: view.severity_number,
        message: view.message,
        pattern,
        resource: '{"service.name":"svc"}',
      }))
      expect(rows.length).toBe(expected.length)
      for (const [i, row] of rows.entries()) expect(row).toMatchObject(expected[i]!)
    })
  }
})

describe('openBlock', () => {
  const refuses = (name: string, bytes: () => Uint8Array | Promise<Uint8Array>, message: string) =>
    it(`refuses ${name}`, async () => {
      const given = await bytes()
      expect(() => openBlock(given)).toThrow(message)
    })
  const block = () => encode(partsOf(randomSpecs(1, 100)))
  const text = (text: string) => new TextEncoder().encode(text)

  refuses('nothing', () => new Uint8Array(), 'no Parquet file')
  refuses('another file', () => text('a log line, and then one more'), 'no Parquet file')
  refuses('a file cut off', async () => (await block()).slice(0, -9), 'no Parquet file')
  refuses('a footer longer than the file', () => text('PAR1\xff\xff\xff\x7fPAR1'), 'no bytes at')
  refuses('a footer of nothing', () => text('PAR1\0\0\0\0PAR1'), 'cut off')
  refuses(
    'another version',
    async () => {
      const bytes = await block()
      const at = Buffer.from(bytes).lastIndexOf('worker-logs.version')
      bytes[at + 'worker-logs.version'.length + 2] = 0x39
      return bytes
    },
    'unknown version 9',
  )
})

/** Every encoding of a column: far times, packed and plain numbers, several pages of long texts. */
function goldenParts(): StoredBatch[] {
  const random = randomOf(44)
  const far = [0, 9_223_372_036_854, RECEIVED_MS].map((ms) => ({ ms, ns: 1 }))
  const distinct = Array.from({ length: 50 }, (_, i) => ({
    message: i < 6 ? `${i} ${'long '.repeat(50_000)}` : `${i}`,
    attributes: { long: i * 2 ** 46, near: i * 1000, num: random() * 10, 'user.id': `u${i % 7}` },
    text: { user_id: `u${i % 7}` },
  }))
  const parts = partsOf(randomSpecs(42, 60), randomSpecs(43, 20), far, distinct)
  const { batch } = parts[3]!
  batch.observedMs = batch.timeMs.map((ms, row) => (row % 3 === 0 ? -1 : ms + row))
  batch.observedNs = batch.timeMs.map((_, row) => (row % 3 === 0 ? 0 : row))
  batch.severityNumber = batch.timeMs.map((_, row) => (row % 5) - 1)
  batch.otel = batch.timeMs.map((_, row) => (row % 2 === 0 ? '{"flags":1}' : null))
  batch.body[7] = '{"a":1}'
  batch.cut[7] = '[{"field":"body","bytes":300000}]'
  batch.resources.push('{"service.name":"other"}')
  batch.resource = batch.timeMs.map((_, row) => row % 2)
  choosePatterns(parts)
  return parts
}

// A stored block stays readable for good: one file a version, made once, with UPDATE_FIXTURES=1.
describe('golden blocks', async () => {
  const folder = join(import.meta.dirname, '../fixtures/blocks')
  const golden = join(folder, `block-v${BLOCK_VERSION}.parquet`)
  const hash = (text: string) => createHash('sha256').update(text).digest('hex')
  const text = (bytes: Uint8Array) =>
    JSON.stringify(recordsOf(readAll(bytes)), (_, value) =>
      typeof value === 'string' && value.length > 9999 ? hash(value) : value,
    )
  if (process.env.UPDATE_FIXTURES && !existsSync(golden)) {
    const parts = goldenParts()
    const bytes = await encode(parts)
    expect(recordsOf(readAll(bytes))).toEqual(inOrder(parts))
    writeFileSync(golden, bytes)
    writeFileSync(golden.replace('.parquet', '.json'), `${text(bytes)}\n`)
  }
  for (const name of readdirSync(folder).filter((name) => /^block-v\d+\.parquet$/.test(name))) {
    it(`${name} reads as it did when it was written`, () => {
      const json = readFileSync(join(folder, name.replace('.parquet', '.json')), 'utf8')
      const records = text(new Uint8Array(readFileSync(join(folder, name))))
      expect(JSON.parse(records)).toEqual(JSON.parse(json))
    })
  }
})
