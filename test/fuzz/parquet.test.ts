// Blocks of random records: what goes in comes out, here and through hyparquet's reader; and a block
// with damage is refused or read within bounds, never a hang, by seed.
// SEED=7 ROUNDS=500 npm run fuzz for more.

import { gunzipSync } from 'node:zlib'
import { parquetReadObjects } from 'hyparquet'
import { describe, expect, it } from 'vitest'
import {
  attributeName,
  attributeOf,
  SCALAR_TYPES,
  type ScalarType,
} from '../../src/block/layout.ts'
import { encodeBlock, openBlock, readGroup } from '../../src/block/parquet.ts'
import { choosePatterns } from '../../src/block/pattern.ts'
import type { StoredBatch } from '../../src/block/stored.ts'
import { type RecordView, recordView } from '../../src/match/view.ts'
import { type AttributeColumn, emptyBatch, LEVELS, TEXT_COLUMNS } from '../../src/record.ts'
import { randomOf } from '../batches.ts'

const SEED = Number(process.env.SEED ?? 1)
const ROUNDS = Number(process.env.ROUNDS ?? 10)
/** Damages tried of each block. */
const DAMAGES = 60
const SHARD = 5
const SOON_MS = 10_000

interface Dice {
  below(n: number): number
  pick<T>(values: readonly T[]): T
  chance(share: number): boolean
}

function diceOf(seed: number): Dice {
  const random = randomOf(seed)
  const below = (n: number) => Math.floor(random() * n)
  return {
    below,
    pick: (values) => values[below(values.length)]!,
    chance: (share) => random() < share,
  }
}

const ALPHABETS = ['ab', 'abcdefghijklmnop 0123456789', 'é𝕏数\u0000"\\\n', '0123456789abcdef']
const KEYS = ['a', 'A', 'http.route', '__proto__', 'é', '', 'x\ty', 'k'.repeat(129), 'toString']

/** Texts of one column: few or many, short or long, of one script or several. */
function textsOf({ below, pick, chance }: Dice): () => string {
  const alphabet = [...pick(ALPHABETS)]
  const length = pick([0, 1, 3, 16, 200, 3000])
  const make = () => {
    const count = below(length + 1)
    return Array.from({ length: count }, () => pick(alphabet)).join('')
  }
  const few = Array.from({ length: 1 + below(40) }, make)
  return chance(0.6) ? () => pick(few) : make
}

function numbersOf({ below, pick, chance }: Dice, type: 'int' | 'num'): () => number {
  const max = pick([1, 2, 100, 2 ** 16, 2 ** 31, 2 ** 48, 2 ** 53 - 1])
  if (type === 'int') return () => (chance(0.3) ? -below(max) - 1 : below(max))
  const ends = [-0, 0, 5e-324, -1.7976931348623157e308, 1e21]
  return () => (chance(0.1) ? pick(ends) : below(max) / pick([1, 3, 1000]))
}

function partOf(dice: Dice, seq: number, length: number): StoredBatch {
  const { below, pick, chance } = dice
  const batch = emptyBatch(0)
  batch.length = length
  const fill = <T>(make: () => T): T[] => Array.from({ length }, make)
  const sparse = (share: number) => {
    const text = textsOf(dice)
    return fill(() => (chance(share) ? text() : null))
  }
  const spread = pick([0, 1, 1000, 1e7, 1e12])
  const start = 1e12 + below(1e9)
  const nanosecond = pick([() => 0, () => below(1e6)])
  batch.timeMs = fill(() => start + below(spread + 1))
  batch.timeNs = fill(nanosecond)
  batch.observedMs = fill(() => (chance(pick([0, 0.5, 1])) ? start + below(spread + 1) : -1))
  batch.observedNs = batch.observedMs.map((ms) => (ms < 0 ? 0 : nanosecond()))
  batch.level = fill(() => below(LEVELS.length))
  batch.severityNumber = fill(() => pick([0, 9, 17, -1, 2 ** 31 - 1, -(2 ** 31)]))
  batch.severityText = sparse(0.3)
  const share = pick([0, 0.1, 0.9, 1])
  for (const name of TEXT_COLUMNS) batch.text[name] = sparse(chance(0.5) ? share : 0)
  batch.message = fill(textsOf(dice))
  batch.body = fill(() => (chance(0.05) ? '{"b":[1]}' : null))
  batch.otel = fill(() => (chance(0.5) ? `{"flags":${below(3)}}` : null))
  batch.cut = fill(() => (chance(0.02) ? '[{"field":"body","bytes":9}]' : null))
  batch.resources = Array.from({ length: 1 + below(5) }, (_, i) => `{"r":${i % 3}}`)
  batch.resource = fill(() => below(batch.resources.length))
  batch.scopes = ['{}']
  batch.scope = fill(() => 0)
  batch.attributesRest = fill(() => (chance(0.05) ? '{"rest":[1,{"__proto__":2}]}' : null))
  batch.attributes = attributesOf(dice, length)
  batch.bytes = fill(() => 300)
  if (chance(0.3)) twin(batch.attributes, batch.text.user_id)
  const receivedMs = new Float64Array(length).fill(start + below(1000))
  const seqs = Float64Array.from({ length }, (_, row) => seq + row)
  return { batch, seqs, receivedMs, patterns: null }
}

/** One value a key and record, as every decoder sees to. */
function attributesOf(dice: Dice, length: number): AttributeColumn[] {
  const { pick, chance, below } = dice
  const extra = Array.from({ length: pick([0, 3, 90]) }, (_, i) => `k${i}`)
  const columns: AttributeColumn[] = []
  for (const key of new Set([...KEYS, ...extra])) {
    const types = SCALAR_TYPES.filter(() => chance(0.4))
    if (chance(0.2)) types.push('json' as ScalarType)
    const own = types.map((type): AttributeColumn => ({ key, type, rows: [], values: [] }))
    const makers = own.map(({ type }) => valuesOf(dice, type))
    const share = pick([0.01, 0.5, 1])
    for (let row = 0; row < length; row++) {
      if (own.length === 0 || !chance(share)) continue
      const at = below(own.length)
      own[at]!.rows.push(row)
      own[at]!.values.push(makers[at]!())
    }
    columns.push(...own.filter(({ rows }) => rows.length > 0))
  }
  return columns
}

function valuesOf(dice: Dice, type: AttributeColumn['type']): () => string | number | boolean {
  if (type === 'text') return textsOf(dice)
  if (type === 'bool') return () => dice.chance(0.5)
  if (type === 'json') return () => dice.pick(['null', '[1,"x"]', '{"__proto__":{"a":1}}'])
  return numbersOf(dice, type)
}

function twin(attributes: AttributeColumn[], column: (string | null)[]): void {
  const rows = [...column.keys()].filter((row) => column[row] !== null)
  if (rows.length === 0) return
  attributes.push({ key: 'user.id', type: 'text', rows, values: rows.map((row) => column[row]!) })
}

function partsOf(dice: Dice): StoredBatch[] {
  let seq = 1 + dice.below(1e9)
  return Array.from({ length: 1 + dice.below(4) }, () => {
    const part = partOf(dice, seq, 1 + dice.below(dice.pick([1, 20, 400])))
    seq += part.batch.length + dice.below(50)
    return part
  })
}

const viewsOf = (parts: StoredBatch[]): Map<string, RecordView> =>
  new Map(
    parts.flatMap(({ batch, seqs }) =>
      Array.from(seqs, (seq, row) => {
        const view = recordView(batch, row, SHARD, seq)
        return [view.id, view] as const
      }),
    ),
  )

/** Compares by own members: `__proto__` is one here, and toEqual does not look at it. */
const textOf = (views: Map<string, RecordView>) =>
  [...views.values()].map((view) => JSON.stringify(sorted(view)))

function sorted(value: unknown): unknown {
  if (Object.is(value, -0)) return '-0'
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return members.map(([key, member]) => [key, sorted(member)])
}

async function checkForeign(bytes: Uint8Array, parts: StoredBatch[], read: StoredBatch) {
  const rows = await parquetReadObjects({
    file: bytes.slice().buffer,
    compressors: { GZIP: (packed) => gunzipSync(packed) },
    parsers: {
      timestampFromNanoseconds: (at) => at,
      stringFromBytes: (text) => Buffer.from(text).toString('utf8'),
    },
  })
  const columns = openBlock(bytes).names.flatMap((name) => {
    const found = attributeOf(name)
    const own = ({ key, type }: AttributeColumn) => key === found?.key && type === found?.type
    const column = read.batch.attributes.find(own)
    if (!found || !column) return []
    return [{ name, column, at: new Map(column.rows.map((row, i) => [row, i])) }]
  })
  expect(columns.length).toBe(read.batch.attributes.length)
  for (const [row, foreign] of rows.entries()) {
    expect(foreign.seq).toBe(BigInt(read.seqs[row]!))
    expect(foreign.message).toBe(read.batch.message[row])
    expect(foreign.timestamp % 1_000_000n).toBe(BigInt(read.batch.timeNs[row]!))
    for (const name of TEXT_COLUMNS) expect(foreign[name]).toBe(read.batch.text[name][row])
    for (const { name, column, at } of columns) {
      const value = column.values[at.get(row) ?? -1] ?? null
      const isLong = column.type === 'int' && value !== null
      const wanted = isLong ? BigInt(value) : value
      if (!Object.is(foreign[name], wanted))
        expect(foreign[name], `${name}, row ${row}`).toBe(wanted)
    }
  }
  expect(rows.length).toBe(parts.reduce((sum, { batch }) => sum + batch.length, 0))
}

describe('a block of random records', () => {
  it(`is read as it was written, ${ROUNDS} rounds from seed ${SEED}`, async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const dice = diceOf(SEED * 1_000_003 + round)
      const parts = partsOf(dice)
      if (dice.chance(0.5)) choosePatterns(parts)
      const bytes = await encodeBlock(parts, SHARD, async () => {})
      const file = openBlock(bytes)
      const groups = file.groups.map((_, group) => readGroup(file, group, 'all'))
      const [expected, found] = [viewsOf(parts), viewsOf(groups)]
      const inOrder = new Map([...found.keys()].map((id) => [id, expected.get(id)!]))
      expect(textOf(found), `round ${round}`).toEqual(textOf(inOrder))
      expect(found.size).toBe(expected.size)
      if (groups.length === 1) await checkForeign(bytes, parts, groups[0]!)
      // A block of blocks, as compaction and purge make it, is as good as one of segments.
      const again = openBlock(await encodeBlock(groups, SHARD, async () => {}))
      const twice = again.groups.map((_, group) => readGroup(again, group, 'all'))
      expect(textOf(viewsOf(twice)), `round ${round} again`).toEqual(textOf(found))
    }
  })

  const damages = ROUNDS * DAMAGES
  it(`with damage is refused, or read within bounds, ${damages} from seed ${SEED}`, async () => {
    const outcome = { refused: 0, read: 0 }
    for (let round = 0; round < ROUNDS; round++) {
      const whole = await encodeBlock(
        partsOf(diceOf(SEED * 9_000_011 + round)),
        SHARD,
        async () => {},
      )
      for (let i = 0; i < DAMAGES; i++) {
        const told = `damage ${i} of round ${round}`
        const bytes = damaged(whole, diceOf(SEED * 7_000_003 + round * DAMAGES + i))
        const startMs = performance.now()
        outcome[readDamaged(bytes, told)]++
        expect(performance.now() - startMs, told).toBeLessThan(SOON_MS)
      }
    }
    expect(outcome.refused).toBeGreaterThan(damages / 4)
  })
})

function readDamaged(bytes: Uint8Array, told: string): 'refused' | 'read' {
  let groups: StoredBatch[]
  let records: number[]
  try {
    const file = openBlock(bytes)
    groups = file.groups.map((_, group) => readGroup(file, group, 'all'))
    records = file.groups.map(({ records }) => records)
  } catch (e) {
    expect(e, told).toBeInstanceOf(Error)
    return 'refused'
  }
  for (const [group, { batch, seqs }] of groups.entries()) {
    const lengths = [
      seqs,
      batch.timeMs,
      batch.timeNs,
      batch.message,
      batch.text.user_id,
      batch.level,
    ]
    for (const column of lengths) expect(column.length, told).toBe(records[group])
  }
  return 'read'
}

/** Bits turned, bytes cut out or put in, the end lost; often in the footer, where all is decided. */
function damaged(whole: Uint8Array, { below, pick, chance }: Dice): Uint8Array {
  const bytes = Buffer.from(whole)
  const footer = bytes.readUInt32LE(bytes.length - 8) + 8
  const place = () =>
    chance(0.6) ? bytes.length - 1 - below(Math.min(footer, bytes.length)) : below(bytes.length)
  switch (pick(['bits', 'bits', 'bytes', 'cut', 'insert', 'end'])) {
    case 'bits':
      for (let i = 0; i <= below(3); i++) bytes[place()]! ^= 1 << below(8)
      return bytes
    case 'bytes': {
      const at = place()
      bytes.fill(pick([0, 0xff, 0x7f, 0x80]), at, at + 1 + below(12))
      return bytes
    }
    case 'cut': {
      const at = place()
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + below(9))])
    }
    case 'insert': {
      const at = place()
      return Buffer.concat([
        bytes.subarray(0, at),
        Buffer.alloc(1 + below(9), 0x19),
        bytes.subarray(at),
      ])
    }
    default:
      return bytes.subarray(0, below(bytes.length))
  }
}

it('the name of a column tells its key and type', () => {
  for (const type of SCALAR_TYPES) {
    for (const key of [...KEYS, 'attr.x', 'attr_int.x']) {
      expect(attributeOf(attributeName(key, type))).toEqual({ key, type })
    }
  }
})
