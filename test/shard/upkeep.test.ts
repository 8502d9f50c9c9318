// What is to be done next with stored records, case by case, and over random lives of a shard.

import { describe, expect, it } from 'vitest'
import {
  BLOCK_RAW_BYTES_MAX,
  COMPACT_BLOCKS,
  COMPACT_BYTES_TARGET,
  COMPACT_RECORDS_MAX,
  COMPACTIONS_MAX,
  ROW_BYTES_MAX,
  SEAL_BYTES,
  SEAL_MS,
  SEAL_RECORDS,
  SEAL_ROWS,
  SEAL_RUN_BYTES_MAX,
  SMALL_BLOCK_BYTES,
  SMALL_BLOCK_RECORDS,
} from '../../src/limits.ts'
import type { BlockRow } from '../../src/shard/catalog.ts'
import {
  archiveDueMs,
  chooseArchive,
  chooseCompaction,
  chooseSeal,
  DAY_MS,
  expireDueMs,
  type HotWindow,
  lastSeqBefore,
  sealDueMs,
} from '../../src/shard/upkeep.ts'
import type { WalIndex } from '../../src/shard/wal-index.ts'
import { randomOf } from '../batches.ts'
import { blockOf, type WalRowSpec, walOf } from './rows.ts'

const DAY = Date.parse('2026-03-10T00:00:00Z')
const NOON = DAY + DAY_MS / 2
const NOTHING = new Set<number>()
const NO_ROWS = walOf([])

const at = (receivedMs: number): WalRowSpec => ({ receivedMs })
const times = <T>(n: number, value: T): T[] => Array.from({ length: n }, () => value)

describe('sealDueMs', () => {
  /** Rows hold ten records each: numbers 1, 11, 21 … */
  const isDue = (
    name: string,
    rows: WalRowSpec[],
    due: number | null,
    { poison = [] as number[], forcedSeq = 0 } = {},
  ) =>
    it(name, () => {
      const wal = walOf(rows.map((row) => ({ receivedMs: NOON, ...row })))
      expect(sealDueMs(wal, new Set(poison), forcedSeq)).toBe(due)
    })

  isDue('an empty wal never', [], null)
  isDue('ten minutes after the oldest', [at(NOON), at(NOON + 1)], NOON + SEAL_MS)
  isDue('at the end of the day', [at(DAY + DAY_MS - 1)], DAY + DAY_MS)
  isDue('at the end of the day of the oldest', [at(DAY - 1), at(NOON)], DAY)
  isDue('not for one row less than the bound', times(SEAL_ROWS - 1, {}), NOON + SEAL_MS)
  isDue('at once for as many rows', times(SEAL_ROWS, {}), 0)
  isDue('not for a record less', [{ records: 5 }, { records: SEAL_RECORDS - 6 }], NOON + SEAL_MS)
  isDue('at once for as many records', [{ records: 5 }, { records: SEAL_RECORDS - 5 }], 0)
  isDue('not for a byte less', [{ bytes: 9 }, { bytes: SEAL_BYTES - 10 }], NOON + SEAL_MS)
  isDue('at once for as many bytes', [{ bytes: 9 }, { bytes: SEAL_BYTES - 9 }], 0)
  isDue('not for a raw byte less', [{ rawBytes: BLOCK_RAW_BYTES_MAX - 1 }], NOON + SEAL_MS)
  isDue('at once for as many raw bytes', [{ rawBytes: BLOCK_RAW_BYTES_MAX }], 0)
  isDue('poison alone never', [{}, {}], null, { poison: [1, 11] })
  isDue('poison does not count', times(SEAL_ROWS, {}), NOON + SEAL_MS, { poison: [11] })
  isDue('poison has no age', [at(DAY), at(NOON)], NOON + SEAL_MS, { poison: [1] })
  isDue('at once where it is asked for', [{}], 0, { forcedSeq: 1 })
  isDue('at once where a row in part is asked for', [{}, {}], 0, { forcedSeq: 13 })
  isDue('not what came after the asking', [{}], NOON + SEAL_MS, { forcedSeq: 0 })
  isDue('asking does not unmake poison', [{}], null, { poison: [1], forcedSeq: 10 })
  isDue('behind poison', [{}, {}], NOON + SEAL_MS, { poison: [1], forcedSeq: 10 })
})

describe('chooseSeal', () => {
  const chooses = (name: string, rows: WalRowSpec[], places: number[], poison: number[] = []) =>
    it(name, () => {
      const wal = walOf(rows.map((row) => ({ receivedMs: NOON, ...row })))
      expect(chooseSeal(wal, new Set(poison))).toEqual(places)
    })

  chooses('nothing of nothing', [], [])
  chooses('all that is there', [{}, {}, {}], [0, 1, 2])
  chooses('of one day', [at(DAY - 2), at(DAY - 1), at(DAY)], [0, 1])
  chooses('of one day, whatever the clock did', [at(DAY), at(DAY - 1), at(DAY)], [0])
  chooses('the rows before poison', [{}, {}, {}], [0], [11])
  chooses('the rows behind poison', [{}, {}, {}], [2], [1, 11])
  it('a row that is poison no more alone, where its neighbours were sealed', () => {
    const wal = walOf([{}, {}, {}, {}])
    wal.remove([11])
    expect(chooseSeal(wal, NOTHING)).toEqual([0])
    expect(chooseSeal(wal, new Set([1]))).toEqual([1, 2])
  })
  chooses('nothing but poison', [{}, {}], [], [1, 11])
  chooses('up to the records of one block', times(3, { records: SEAL_RECORDS / 2 }), [0, 1])
  chooses('one row of too many records', times(2, { records: SEAL_RECORDS + 1 }), [0])
  chooses('up to the bytes of one block', times(3, { bytes: SEAL_RUN_BYTES_MAX / 2 }), [0, 1])
  chooses(
    'up to the raw bytes of one block',
    times(3, { rawBytes: BLOCK_RAW_BYTES_MAX / 2 }),
    [0, 1],
  )
  chooses('one row of too many raw bytes', times(2, { rawBytes: BLOCK_RAW_BYTES_MAX + 1 }), [0])
  chooses('one row of too many bytes', times(2, { bytes: SEAL_RUN_BYTES_MAX + 1 }), [0])
})

/**
 * Blocks by one letter each: a digit is a small hot block merged so often; `L` has too many bytes to
 * be small, `R` too many records, `C` is cold, `b` and `r` are just small by bytes and by records;
 * `|` begins the next day. Seven hundred records, 70 kB each, so that eight fit one block.
 */
function blocksOf(letters: string): BlockRow[] {
  const blocks: BlockRow[] = []
  let receivedMs = NOON
  for (const letter of letters) {
    if (letter === '|') receivedMs += DAY_MS
    else {
      const kinds: Record<string, Partial<BlockRow>> = {
        L: { bytes: SMALL_BLOCK_BYTES },
        R: { records: SMALL_BLOCK_RECORDS },
        C: { key: 'cold' },
        b: { bytes: SMALL_BLOCK_BYTES - 1 },
        r: { records: SMALL_BLOCK_RECORDS - 1 },
      }
      const kind = kinds[letter] ?? { compactions: Number(letter) }
      const id = blocks.length + 1
      const firstSeq = (blocks.at(-1)?.lastSeq ?? 0) + 1
      blocks.push(blockOf({ id, firstSeq, receivedMs, bytes: 70_000, records: 700, ...kind }))
    }
  }
  return blocks
}

describe('chooseCompaction', () => {
  const { day: LAST } = blockOf({ id: 1, receivedMs: NOON })
  const merges = (
    name: string,
    letters: string,
    chosen: string | null,
    { isOver = false, leftAlone = [] as number[] } = {},
  ) =>
    it(`${name}: ${letters}`, () => {
      const blocks = blocksOf(letters)
      const today = Date.parse(`${blocks.at(-1)?.day ?? LAST}T00:00:00Z`)
      const run = chooseCompaction(
        blocks,
        NO_ROWS,
        isOver ? today + DAY_MS : today,
        new Set(leftAlone),
      )
      const marks = blocks.map((block) => (run?.includes(block) ? 'x' : '-')).join('')
      expect(run === null ? null : marks).toBe(chosen)
    })
  const over = { isOver: true }

  merges('nothing', '', null)
  merges('a step of size', '00000000', 'xxxxxxxx')
  merges('less than a step waits', '0000000', null)
  merges('a step and no more', '0000000000', 'xxxxxxxx--')
  merges('a later step of size', '200000000', '-xxxxxxxx')
  merges('the second step', '1111111100', 'xxxxxxxx--')
  merges('sizes are not mixed while a day goes on', '1110000011', null)
  merges('what was merged as often as may be stays', '2222222222', null)
  merges('large blocks stay', 'LLLLLLLLLRRRRRRRRR', null)
  merges('what fits one block, before it is a step', 'bbbbb', 'xxxx-')
  merges('the same by records', 'rrrrr', 'xxxx-')
  merges('a large one between', '0000L00000000', '-----xxxxxxxx')
  merges('a cold one between', '0000C0000', null)
  merges('the next day', '|0000|0000', 'xxxx----')
  merges('never across days', '0|0|0', null)
  merges('the rest of a day that is over', '210021|0', '-xxx---')
  merges('a rest of two sizes', '10', 'xx', over)
  merges('a rest of one', '0', null, over)
  merges('a rest of one between large ones', 'L0L0L', null, over)
  merges('more than a step, where it is over', '00000000000', 'xxxxxxxxxxx', over)
  merges('as much as fits, where it is over', 'bbbbbbb', 'xxxx---', over)
  merges('a cold one between, where it is over', '0C00', '--xx', over)
  merges('the day that is over before today', '00|00000000', 'xx--------')
  merges('one left alone parts its neighbours', '00000000', null, { leftAlone: [4] })
  merges('one left alone, where it is over', '000', '-xx', { ...over, leftAlone: [1] })

  it('an unsealed row between two parts them', () => {
    // Numbers 701 to 710: the second block is gone, and what was poison lies in its place.
    const blocks = blocksOf('0000').filter(({ id }) => id !== 2)
    const wal = walOf([{}], 701)
    const chosen = (rows: WalIndex) =>
      chooseCompaction(blocks, rows, NOON + DAY_MS, NOTHING)?.map(({ id }) => id)
    expect(chosen(NO_ROWS)).toEqual([1, 3, 4])
    expect(chosen(wal)).toEqual([3, 4])
    expect(chosen(walOf([{}], 2801))).toEqual([1, 3, 4])
  })

  it('fills a block to its bounds and not beyond', () => {
    const bytes = COMPACT_BYTES_TARGET / 5
    const records = COMPACT_RECORDS_MAX / 5
    for (const spec of [{ bytes }, { records }]) {
      const blocks = times(8, 0).map((_, i) => blockOf({ id: i + 1, receivedMs: NOON, ...spec }))
      expect(chooseCompaction(blocks, NO_ROWS, NOON + DAY_MS, NOTHING)?.length).toBe(5)
    }
  })
})

describe('archiveDueMs and chooseArchive', () => {
  const window: HotWindow = { hotDays: 3, hotBytes: 250, flushBeforeMs: 0 }
  const hot = (id: number, receivedMs: number) => blockOf({ id, receivedMs })
  const cold = (id: number, receivedMs: number) => blockOf({ id, receivedMs, key: `k${id}` })
  const moves = (
    name: string,
    blocks: BlockRow[],
    due: number | null,
    chosen: number | null,
    change: Partial<HotWindow> = {},
  ) =>
    it(name, () => {
      expect(archiveDueMs(blocks, { ...window, ...change })).toBe(due)
      const nowMs = due ?? NOON
      expect(chooseArchive(blocks, { ...window, ...change }, nowMs)?.id ?? null).toBe(chosen)
      if (due !== null && due > 0)
        expect(chooseArchive(blocks, { ...window, ...change }, due - 1)).toBe(null)
    })

  moves('nothing is here', [], null, null)
  moves('all is there already', [cold(1, NOON)], null, null)
  moves('by age, the oldest first', [hot(1, NOON + 1), hot(2, NOON)], NOON + 3 * DAY_MS, 2)
  moves('cold ones have no age', [cold(1, DAY), hot(2, NOON)], NOON + 3 * DAY_MS, 2)
  moves('after its day without a hot window', [hot(1, NOON)], DAY + DAY_MS, 1, { hotDays: 0 })
  moves('by size, the oldest first', [hot(1, NOON + 1), hot(2, NOON), hot(3, NOON + 2)], 0, 2)
  moves('not at the size', [hot(1, NOON), hot(2, NOON)], NOON + 3 * DAY_MS, 1, { hotBytes: 200 })
  moves('cold ones have no size', [cold(1, DAY), cold(2, DAY), hot(3, NOON)], NOON + 3 * DAY_MS, 3)
  moves('what a flush asks for', [hot(1, NOON), hot(2, NOON - 1)], 0, 2, { flushBeforeMs: NOON })
  moves('not what is younger', [hot(1, NOON)], NOON + 3 * DAY_MS, 1, { flushBeforeMs: NOON })
})

describe('lastSeqBefore', () => {
  const blocks = [
    blockOf({ id: 1, receivedMs: DAY - 1 }),
    blockOf({ id: 2, receivedMs: DAY + DAY_MS - 1 }),
  ]
  const wal = walOf([at(DAY + DAY_MS - 1), at(DAY + DAY_MS)], 21)
  const isLast = (name: string, beforeMs: number, last: number) =>
    it(name, () => expect(lastSeqBefore(blocks, wal, beforeMs)).toBe(last))

  isLast('nothing is that old', DAY - DAY_MS, 0)
  isLast('the blocks of the days before', DAY, 10)
  isLast('blocks and rows', DAY + DAY_MS, 30)
  isLast('all', DAY + 2 * DAY_MS, 40)
  it('nothing is stored', () => expect(lastSeqBefore([], walOf([]), NOON)).toBe(0))
})

describe('expireDueMs', () => {
  const isDue = (
    name: string,
    { blocks = [] as number[], rows = [] as number[], lastDay = '' },
    due: number | null,
  ) =>
    it(name, () => {
      const stored = blocks.map((receivedMs, i) => blockOf({ id: i + 1, receivedMs }))
      expect(expireDueMs(stored, walOf(rows.map(at)), 3, lastDay)).toBe(due)
    })
  const FOUR_DAYS = DAY + 4 * DAY_MS

  isDue('nothing is stored', {}, null)
  isDue('three whole days after the day of a block', { blocks: [NOON] }, FOUR_DAYS)
  isDue('the same of a row', { rows: [NOON] }, FOUR_DAYS)
  isDue('the oldest block of all', { blocks: [NOON + DAY_MS, NOON] }, FOUR_DAYS)
  isDue('rows are older than blocks', { blocks: [NOON + DAY_MS], rows: [NOON] }, FOUR_DAYS)
  isDue('looked at long ago', { blocks: [NOON], lastDay: '2026-03-01' }, FOUR_DAYS)
  isDue('not twice a day', { blocks: [NOON], lastDay: '2026-03-14' }, FOUR_DAYS + DAY_MS)

  it('is due on the first day that has something to expire', () => {
    const blocks = [blockOf({ id: 1, receivedMs: NOON })]
    const due = expireDueMs(blocks, walOf([]), 3, '')!
    expect(lastSeqBefore(blocks, walOf([]), due - 3 * DAY_MS)).toBe(10)
    expect(lastSeqBefore(blocks, walOf([]), due - 4 * DAY_MS)).toBe(0)
  })
})

describe('a life of seals and merges', () => {
  /** Blocks of four days, as the alarm makes them, and how often the records of each were rewritten. */
  class Life {
    blocks: BlockRow[] = []
    rewritten = 0
    readonly #rewrites = new Map<number, number>()
    readonly #random: () => number
    #lastId = 0
    #lastSeq = 0

    constructor(seed: number) {
      this.#random = randomOf(seed)
    }

    upTo(n: number): number {
      return 1 + Math.floor(this.#random() * n)
    }

    seal(receivedMs: number, records: number, bytes: number): void {
      this.#add({ receivedMs, records, bytes, firstSeq: this.#lastSeq + 1 }, 0)
      this.#lastSeq += records
    }

    /** Merges what is due; the number of blocks bounds how often something can be. */
    merge(closedBeforeMs: number): void {
      for (let turn = this.blocks.length; ; turn--) {
        const run = chooseCompaction(this.blocks, NO_ROWS, closedBeforeMs, NOTHING)
        if (run === null) return
        expect(turn).toBeGreaterThan(0)
        this.#replace(run)
      }
    }

    #replace(run: BlockRow[]): void {
      const [first] = run
      const at = this.blocks.indexOf(first!)
      expect(this.blocks.slice(at, at + run.length)).toEqual(run)
      expect(new Set(run.map(({ day, key }) => `${day} ${key}`)).size).toBe(1)
      const times = Math.max(...run.map(({ id }) => this.#rewrites.get(id)!)) + 1
      expect(times).toBeLessThanOrEqual(COMPACTIONS_MAX)
      const records = run.reduce((sum, block) => sum + block.records, 0)
      const bytes = Math.round(
        run.reduce((sum, block) => sum + block.bytes, 0) * (0.6 + this.#random() * 0.65),
      )
      this.rewritten += records
      this.blocks.splice(at, run.length)
      // What became too large for a row is split.
      const parts = bytes > ROW_BYTES_MAX ? 2 : 1
      for (let part = 0; part < parts; part++) {
        const firstSeq = first!.firstSeq + part * Math.ceil(records / 2)
        const share = { records: Math.ceil(records / parts), bytes: Math.ceil(bytes / parts) }
        const compactions = Math.max(...run.map((block) => block.compactions)) + 1
        this.#add({ receivedMs: run.at(-1)!.receivedMs, firstSeq, ...share, compactions }, times)
      }
    }

    #add(row: Partial<BlockRow>, times: number): void {
      const block = blockOf({ id: ++this.#lastId, ...row })
      this.#rewrites.set(block.id, times)
      this.blocks.push(block)
      this.blocks.sort((a, b) => a.firstSeq - b.firstSeq)
    }
  }

  const lives = (
    name: string,
    { sealsMax, recordsMax, bytesMax }: Record<'sealsMax' | 'recordsMax' | 'bytesMax', number>,
    check: (life: Life, seals: number) => void,
  ) =>
    it(name, () => {
      for (let seed = 1; seed <= 20; seed++) {
        const life = new Life(seed)
        let seals = 0
        for (let day = 0; day < 4; day++) {
          const count = life.upTo(sealsMax)
          seals += count
          for (let i = 0; i < count; i++) {
            const nowMs = DAY + day * DAY_MS + Math.floor((i * DAY_MS) / count)
            life.seal(nowMs, life.upTo(recordsMax), life.upTo(bytesMax))
            // A flush closes what was received so far; one block leaves for the archive now and then.
            const flushed = life.upTo(200) === 1 ? nowMs + 1 : 0
            life.merge(Math.max(DAY + day * DAY_MS, flushed))
            const oldest = life.blocks.find((block) => block.key === null)
            if (life.upTo(100) === 1 && oldest) oldest.key = 'cold'
          }
        }
        life.merge(DAY + 4 * DAY_MS)
        const all = life.blocks.reduce((sum, { records }) => sum + records, 0)
        expect(life.rewritten).toBeLessThanOrEqual(COMPACTIONS_MAX * all * 1.001)
        for (const [i, block] of life.blocks.entries()) {
          expect(block.firstSeq).toBeGreaterThan(life.blocks[i - 1]?.lastSeq ?? 0)
        }
        check(life, seals)
      }
    })

  /** Steps of size, full blocks, and a few that a day's end, a flush or the archive parts. */
  const isFew = ({ blocks }: Life, seals: number) => {
    const sum = (of: (block: BlockRow) => number) => blocks.reduce((n, block) => n + of(block), 0)
    const full =
      sum(({ bytes }) => bytes) / (COMPACT_BYTES_TARGET - SMALL_BLOCK_BYTES) +
      sum(({ records }) => records) / (COMPACT_RECORDS_MAX - SMALL_BLOCK_RECORDS)
    expect(blocks.length).toBeLessThan(40 + seals / COMPACT_BLOCKS ** 2 + 2 * full)
  }
  lives('of a quiet app', { sealsMax: 144, recordsMax: 60, bytesMax: 12_000 }, isFew)
  lives('of many small requests', { sealsMax: 1000, recordsMax: 300, bytesMax: 9000 }, isFew)
  lives('of any app', { sealsMax: 300, recordsMax: 8192, bytesMax: 1_500_000 }, () => {})
  lives('of blocks near the bounds', { sealsMax: 200, recordsMax: 4500, bytesMax: 450_000 }, isFew)

  it('a quiet day ends as three blocks', () => {
    const life = new Life(1)
    for (let i = 0; i < 144; i++) {
      life.seal(DAY + i * 600_000, 20, 3000)
      life.merge(DAY)
    }
    life.merge(DAY + DAY_MS)
    expect(life.blocks.length).toBe(3)
  })
})
