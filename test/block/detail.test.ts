import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type BlockDetail, buildDetail } from '../../src/block/detail.ts'
import { DETAIL_VERSION, decodeDetail, encodeDetail } from '../../src/block/detail-wire.ts'
import { choosePatterns, PATTERNS_MAX, patternId } from '../../src/block/pattern.ts'
import { storedSegment } from '../../src/block/stored.ts'
import type { TextColumn } from '../../src/record.ts'
import { batchOf, type RecordSpec } from '../batches.ts'

const MINUTE = 60_000
const noPause = async () => {}

/** The detail of these parts, numbered from 1 on. */
function detailOf(...parts: RecordSpec[][]): Promise<BlockDetail> {
  let seq = 1
  const stored = parts.map((specs) => {
    const part = storedSegment(batchOf(specs), seq, 0)
    seq += specs.length
    return part
  })
  choosePatterns(stored)
  return buildDetail(stored, noPause)
}

/** As JSON, with what is made when it is read. */
const plain = (detail: BlockDetail) => {
  const patterns = detail.patterns.map((one) => ({ ...one, services: one.services }))
  const listed = { ...detail, patterns }
  return JSON.parse(
    JSON.stringify(listed, (_, value) => (value instanceof Map ? [...value] : value)),
  ) as unknown
}

const times = <T>(n: number, make: (i: number) => T): T[] =>
  Array.from({ length: n }, (_, i) => make(i))

describe('buildDetail: minutes', () => {
  const gives = (name: string, specs: RecordSpec[], minutes: [number, number[]][] | null) =>
    it(name, async () => {
      const detail = await detailOf(specs)
      const expected = minutes?.map(([minute, levels]) => ({ minute, levels })) ?? null
      expect(detail.minutes).toEqual(expected)
    })

  gives(
    'count by level, ascending, and none that is empty',
    [
      { ms: 5 * MINUTE + 59_999, ns: 999_999, level: 4 },
      { ms: 5 * MINUTE, level: 4 },
      { ms: 2 * MINUTE, level: 0 },
      { ms: 6 * MINUTE, level: 5 },
    ],
    [
      [2, [1, 0, 0, 0, 0, 0]],
      [5, [0, 0, 0, 0, 2, 0]],
      [6, [0, 0, 0, 0, 0, 1]],
    ],
  )
  gives(
    'are 1,024',
    times(1024, (i) => ({ ms: i * MINUTE })),
    times(1024, (i) => [i, [0, 0, 1, 0, 0, 0]]),
  )
  gives(
    'are not there beyond',
    times(1025, (i) => ({ ms: i * MINUTE })),
    null,
  )
})

describe('buildDetail: values', () => {
  const gives = (
    name: string,
    values: (string | null)[],
    expected: { counts: [string, number][]; absent: number } | null,
    column: TextColumn = 'service',
  ) =>
    it(name, async () => {
      const specs = values.map((value) => (value === null ? {} : { text: { [column]: value } }))
      const found = (await detailOf(specs.slice(0, 3), specs.slice(3))).values[column]
      expect(found && { counts: [...found.counts], absent: found.absent }).toEqual(expected)
    })

  gives('count over all parts', ['a', null, 'b', 'a', null, 'a'], {
    counts: [
      ['a', 3],
      ['b', 1],
    ],
    absent: 2,
  })
  gives('of a column that is empty', [null, null], { counts: [], absent: 2 }, 'trace_id')
  gives('tell an empty text from none', ['', null], { counts: [['', 1]], absent: 1 })
  gives(
    'are 64',
    times(64, (i) => `v${i}`),
    { counts: times(64, (i) => [`v${i}`, 1]), absent: 0 },
  )
  gives(
    'are not there beyond',
    times(65, (i) => `v${i}`),
    null,
  )
  gives(
    'take 4 KB',
    times(4, (i) => `${i}`.repeat(1024)),
    {
      counts: times(4, (i) => [`${i}`.repeat(1024), 1]),
      absent: 0,
    },
  )
  gives('are not there beyond', [...times(4, (i) => `${i}`.repeat(1024)), 'x'], null)
})

describe('buildDetail: lacking', () => {
  it('counts records without a value, also of a column with too many', async () => {
    const specs = times(100, (i) => (i < 80 ? { text: { trace_id: `t${i}` } } : {}))
    const { lacking, values } = await detailOf(specs)
    expect(values.trace_id).toBe(null)
    expect(lacking).toMatchObject({ trace_id: 20, service: 100 })
  })
})

describe('buildDetail: keys', () => {
  const gives = (
    name: string,
    specs: RecordSpec[],
    keys: [string, string, number][],
    hasMoreKeys = false,
  ) =>
    it(name, async () => {
      const detail = await detailOf(specs)
      expect(detail.keys.map(({ key, type, records }) => [key, type, records])).toEqual(keys)
      expect(detail.hasMoreKeys).toBe(hasMoreKeys)
    })
  const rest = (members: [string, unknown][]) => ({
    rest: JSON.stringify(Object.fromEntries(members)),
  })

  gives('none', [{}], [])
  gives(
    'by type, the most frequent first',
    [{ attributes: { a: 1 } }, { attributes: { a: 'x', b: 1 } }, { attributes: { a: 2 } }],
    [
      ['a', 'int', 2],
      ['a', 'text', 1],
      ['b', 'int', 1],
    ],
  )
  gives(
    'those that found no column',
    [
      rest([
        ['__proto__', 'x'],
        ['i', 1],
        ['n', 1.5],
        ['b', false],
        ['l', []],
        ['z', null],
      ]),
      { attributes: { i: 2 } },
    ],
    [
      ['i', 'int', 2],
      ['__proto__', 'text', 1],
      ['n', 'num', 1],
      ['b', 'bool', 1],
      ['l', 'json', 1],
      ['z', 'json', 1],
    ],
  )
  gives(
    '512',
    [rest(times(512, (i) => [`k${i}`, 1]))],
    times(512, (i) => [`k${i}`, 'int', 1]),
  )
  gives(
    'not more, and the most frequent',
    [rest(times(513, (i) => [`k${i}`, 1])), { attributes: { k512: 1 } }],
    [['k512', 'int', 2], ...times(511, (i): [string, string, number] => [`k${i}`, 'int', 1])],
    true,
  )
  gives(
    'in 16 KB',
    [rest(times(33, (i) => [`${i}`.padEnd(512), 1]))],
    times(32, (i) => [`${i}`.padEnd(512), 'int', 1]),
    true,
  )
  gives(
    'in bounded memory',
    [rest(times(5000, (i) => [`k${i}`, 1]))],
    times(512, (i) => [`k${i}`, 'int', 1]),
    true,
  )
})

describe('buildDetail: patterns', () => {
  it('count over all parts, with their range and their latest record', async () => {
    const { patterns, unpatterned } = await detailOf(
      [
        { message: 'took 5 ms', ms: 100, ns: 1, level: 2 },
        { message: 'done', ms: 300 },
        { message: '<_>', level: 5 },
      ],
      [
        { message: 'took 7 ms', ms: 90, ns: 5, level: 4 },
        { message: 'took 9 ms', ms: 95, level: 4 },
      ],
    )
    const none = (records: number) => ({ services: new Map([['', records]]) })
    const took = { records: 3, levels: [0, 0, 1, 0, 2, 0], firstMs: 90, lastMs: 101, ...none(3) }
    const done = { records: 1, levels: [0, 0, 1, 0, 0, 0], firstMs: 300, lastMs: 300, ...none(1) }
    expect(patterns).toEqual([
      { id: patternId('took <_> ms'), ...took, seq: 1 },
      { id: patternId('done'), ...done, seq: 2 },
    ])
    expect(unpatterned).toEqual([0, 0, 0, 0, 0, 1])
  })

  it('tell as much of records without one', async () => {
    const { patternless } = await detailOf([
      { message: 'a <_>', ms: 7, text: { service: 'api' } },
      { message: 'b <_>', ms: 9, ns: 1, level: 5, text: { service: 'api' } },
      { message: 'c <_>', ms: 8 },
      { message: 'done' },
    ])
    const range = { firstMs: 7, lastMs: 10, seq: 2 }
    const services = new Map([
      ['api', 2],
      ['', 1],
    ])
    const levels = [0, 0, 2, 0, 0, 1]
    expect(patternless).toEqual({ id: '', records: 3, levels, ...range, services })
    expect((await detailOf([{ message: 'done' }])).patternless).toBe(undefined)
  })

  it('count by service, unless there are too many', async () => {
    const services = async (count: number) => {
      const specs = times(count, (i) => ({
        message: 'm',
        text: { service: `s${i % (count - 1)}` },
      }))
      return (await detailOf(specs)).patterns[0]!.services
    }
    expect((await services(65))?.get('s0')).toBe(2)
    expect(await services(66)).toBe(undefined)
  })

  it('are none where nobody computed them', async () => {
    const part = storedSegment(batchOf([{ message: 'done' }]), 1, 0)
    const { patterns, unpatterned } = await buildDetail([part], noPause)
    expect({ patterns, unpatterned }).toEqual({ patterns: [], unpatterned: [0, 0, 1, 0, 0, 0] })
  })

  it('must have been chosen', async () => {
    const specs = times(PATTERNS_MAX + 1, () => ({ message: 'm' }))
    const part = storedSegment(batchOf(specs), 1, 0)
    part.patterns = specs.map((_, i) => `pattern ${i}`)
    await expect(buildDetail([part], noPause)).rejects.toThrow('1025 patterns')
  })
})

const RICH: RecordSpec[] = times(40, (i) => ({
  ms: 1_720_000_000_000 + i * 7_000,
  ns: i % 3,
  level: i % 6,
  message: ['done', `took ${i} ms`, 'holds <_> itself', '数据库 ok'][i % 4]!,
  text: { service: `s${i % 5}`, trace_id: `t${i % 7}`, user_id: i % 2 === 0 ? 'Zoë' : '' },
  attributes: { __proto: 'x', [`k${i % 3}`]: i % 3 === 0 ? i : `${i}` },
  ...(i % 5 === 0 && { rest: '{"__proto__":[1],"é":true}' }),
}))

describe('encodeDetail and decodeDetail', () => {
  const keeps = (name: string, specs: RecordSpec[]) =>
    it(name, async () => {
      const detail = await detailOf(specs)
      expect(plain(decodeDetail(encodeDetail(detail)))).toEqual(plain(detail))
    })

  keeps('keep one record', [{}])
  keeps('keep all kinds', RICH)
  keeps(
    'keep what is over its bounds',
    times(1100, (i) => ({
      ms: i * MINUTE,
      message: `${'x'.repeat(1 + (i % 300))}`,
      text: { service: `s${i}`, trace_id: `t${i}` },
      attributes: { [`k${i}`]: 1 },
    })),
  )

  it('take a few KB at most', async () => {
    const text = (i: number) => `${i}`.padStart(8, 'v')
    const detail = await detailOf(
      times(8000, (i) => ({
        ms: (i % 1024) * MINUTE + i,
        level: i % 6,
        message: `${String.fromCharCode(97 + (i % 26)).repeat(8)} ${String.fromCharCode(97 + (Math.floor(i / 26) % 50)).repeat(9)}`,
        text: { service: text(i % 64), environment: text(i % 63), version: text(i % 62) },
        attributes: { [`key.of.some.length.${i % 512}`]: i },
      })),
    )
    expect(detail.patterns).toHaveLength(PATTERNS_MAX)
    expect(detail.keys).toHaveLength(512)
    expect(detail.minutes).toHaveLength(1024)
    expect(encodeDetail(detail).length).toBeLessThan(32_000)
  })

  it('refuse a version that is not ours', async () => {
    const { brotliCompressSync } = await import('node:zlib')
    const bytes = brotliCompressSync(Buffer.from('{"v":99}'))
    expect(() => decodeDetail(bytes)).toThrow('unknown version 99')
  })
})

// A stored detail stays readable for good: one file a version, and one a letter for what came later and
// older readers leave out, made once, with UPDATE_FIXTURES=1.
describe('golden details', async () => {
  const folder = join(import.meta.dirname, '../fixtures/blocks')
  const golden = join(folder, `detail-v${DETAIL_VERSION}c.bin`)
  if (process.env.UPDATE_FIXTURES && !existsSync(golden)) {
    const detail = await detailOf(RICH)
    writeFileSync(golden, encodeDetail(detail))
    writeFileSync(golden.replace('.bin', '.json'), `${JSON.stringify(plain(detail))}\n`)
  }
  for (const name of readdirSync(folder).filter((name) => /^detail-v\d+[bc]?\.bin$/.test(name))) {
    it(`${name} reads as it did when it was written`, () => {
      const detail = decodeDetail(readFileSync(join(folder, name)))
      const expected = JSON.parse(readFileSync(join(folder, name.replace('.bin', '.json')), 'utf8'))
      expect(plain(detail)).toEqual(expected)
    })
  }
  it('there is one of the version written', () => expect(existsSync(golden)).toBe(true))
})
