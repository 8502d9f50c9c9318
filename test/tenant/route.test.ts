// Many shards as one: which takes a batch, what is done again when one is lost, and what an answer
// says that lacks one.

import { abortAllDurableObjects } from 'cloudflare:test'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { encodeSegments } from '../../src/block/segment.ts'
import { APPEND_BYTES_MAX } from '../../src/limits.ts'
import { EVERYTHING } from '../../src/query/filter.ts'
import { type Plan, planQuery } from '../../src/query/plan.ts'
import { type QueryAnswer, queryShards, readRecord } from '../../src/tenant/read.ts'
import { appendRecords, readStats, shardStub } from '../../src/tenant/route.ts'
import { batchOf, type RecordSpec } from '../batches.ts'
import { must } from './registry-fixtures.ts'
import { overloaded, type Shards, shardsOf } from './shard-fixtures.ts'

const T = 1_720_000_000_000
/** Believes in more shards than there are, so no shard calls it stale. */
const OWNER = { keyId: null, shards: 64 }
/** A batch id that belongs to a shard, when there are at most ten. */
const idFor = (shard: number, n = 1) => Uint8Array.of(0, 0, 0, shard, ...new Array(12).fill(n))

const append = (shards: Shards, records: RecordSpec[], batchId: Uint8Array | null) =>
  appendRecords(shards.env, shards.access, batchOf(records), batchId)

function planOf(shards: Shards, parameters: Record<string, string> = {}): Plan {
  const { tenantId } = shards.access.tenant
  return must(planQuery(Object.entries(parameters), { tenantId, workspaceId: null }, Date.now()))
}
const query = (shards: Shards, parameters: Record<string, string> = {}) =>
  queryShards(shards.env, shards.access, planOf(shards, parameters))

const messages = ({ logs }: QueryAnswer) => logs.map(({ message }) => message)
const stored = async (shards: Shards) => messages(must(await query(shards))).sort()
const count = (shards: Shards, call: string) => shards.calls.filter((text) => text === call).length

// A shard that is lost, or fails, is logged; here it is meant to be.
const logged = vi.spyOn(console, 'error').mockImplementation(() => {})
beforeEach(() => {
  logged.mockClear()
})
afterEach(() => {
  for (const [text] of logged.mock.calls)
    expect(text).toMatch(/^shard \d failed$|^shard 0 row 2 is corrupt$|^commit failed$/)
})

describe('a batch', () => {
  it('with an id goes to the shard it names, whole', async () => {
    const shards = await shardsOf('route-ids', 3)
    for (const [n, shard] of [0, 1, 2, 1].entries()) {
      must(await append(shards, [{ message: `${n}a` }, { message: `${n}b` }], idFor(shard, n + 1)))
    }
    expect(shards.calls).toEqual(['append 0', 'append 1', 'append 2', 'append 1'])
    expect((await stored(shards)).length).toBe(8)
  })

  it('with an id of any value goes to a shard there is', async () => {
    const shards = await shardsOf('route-high-id', 3)
    must(await append(shards, [{}], new Uint8Array(16).fill(255)))
    expect(shards.calls).toEqual([`append ${0xffffffff % 3}`])
  })

  it('that is stored in more bytes than a call takes is refused, and no shard is asked', async () => {
    const shards = await shardsOf('route-large', 1)
    // Base64 of noise is stored in about the bytes of the noise.
    const noise = Buffer.alloc(APPEND_BYTES_MAX + (1 << 20))
    for (let at = 0; at < noise.length; at += 65_536) {
      crypto.getRandomValues(noise.subarray(at, at + 65_536))
    }
    const records = Array.from({ length: 128 }, (_, i) => {
      const part = noise.length / 128
      return { message: noise.toString('base64', i * part, (i + 1) * part) }
    })
    expect(await append(shards, records, idFor(0))).toMatchObject({
      ok: false,
      error: { code: 'too_large', details: { max: APPEND_BYTES_MAX } },
    })
    expect(shards.calls).toEqual([])
  })

  it('without an id goes anywhere', async () => {
    const shards = await shardsOf('route-random', 2)
    for (let i = 0; i < 40; i++) must(await append(shards, [{}], null))
    expect(count(shards, 'append 0')).toBeGreaterThan(0)
    expect(count(shards, 'append 1')).toBeGreaterThan(0)
  })

  it('of nothing but refused records is counted and stored nowhere', async () => {
    const shards = await shardsOf('route-refused', 2)
    const rejected = [0, 1].map((index) => ({ index, field: 'body.kind', message: 'too deep' }))
    const batch = { ...batchOf([]), rejected }
    expect(await appendRecords(shards.env, shards.access, batch, null)).toMatchObject({ ok: true })
    expect(shards.calls).toEqual(['note 0'])
    const { days } = must(await readStats(shards.env, shards.access))
    expect(days).toMatchObject([{ records: 0, notes: { refused_record_body: 2 } }])
  })

  it('counts what was cut and refused with its records', async () => {
    const shards = await shardsOf('route-cut', 1)
    const cut = [JSON.stringify(['message', 'attributes.a'].map((field) => ({ field, bytes: 9 })))]
    const rejected = [{ index: 1, field: '', message: 'no line' }]
    const batch = { ...batchOf([{}]), cut, rejected }
    must(await appendRecords(shards.env, shards.access, batch, null))
    const { days } = must(await readStats(shards.env, shards.access))
    const notes = { refused_record_line: 1, cut_message: 1, cut_attributes: 1 }
    expect(days).toMatchObject([{ records: 1, notes }])
  })
})

describe('an object of a tenant', () => {
  it('is made where the app was made to be, by a name no other app has', () => {
    const made: unknown[] = []
    const LOG_SHARD = { getByName: (...args: unknown[]) => made.push(args) }
    const env = { LOG_SHARD } as unknown as Parameters<typeof shardStub>[0]
    const tenant = { tenantId: 'ab', appId: 'app', shards: 2, locationHint: null, columns: {} }
    shardStub(env, tenant, 1)
    shardStub(env, { ...tenant, locationHint: 'weur' }, 0)
    expect(made).toEqual([
      ['ab-1', {}],
      ['ab-0', { locationHint: 'weur' }],
    ])
  })
})

describe('an append whose shard is lost', () => {
  const UNAVAILABLE = {
    ok: false,
    error: { code: 'unavailable', details: { shard: 0, lost: true } },
  }

  it('before it was carried out is sent again, with an id', async () => {
    const shards = await shardsOf('lost-before', 1)
    shards.fates.set(0, ['lost before'])
    const answer = await append(shards, [{ message: 'a' }], idFor(0))
    expect(answer).toEqual({ ok: true, data: { duplicate: false } })
    expect(count(shards, 'append 0')).toBe(2)
    expect(await stored(shards)).toEqual(['a'])
  })

  it('after it was carried out is sent again and stored once, with an id', async () => {
    const shards = await shardsOf('lost-after', 1)
    shards.fates.set(0, ['lost after'])
    const answer = await append(shards, [{ message: 'a' }], idFor(0))
    expect(answer).toEqual({ ok: true, data: { duplicate: true } })
    expect(count(shards, 'append 0')).toBe(2)
    expect(await stored(shards)).toEqual(['a'])
  })

  it('twice is not sent a third time', async () => {
    const shards = await shardsOf('lost-twice', 1)
    shards.fates.set(0, ['lost before', 'lost before'])
    expect(await append(shards, [{}], idFor(0))).toMatchObject(UNAVAILABLE)
    expect(count(shards, 'append 0')).toBe(2)
    expect(await stored(shards)).toEqual([])
  })

  it('without an id is not sent again, or it could be stored twice', async () => {
    const shards = await shardsOf('lost-no-id', 1)
    shards.fates.set(0, ['lost after'])
    expect(await append(shards, [{ message: 'a' }], null)).toMatchObject(UNAVAILABLE)
    expect(count(shards, 'append 0')).toBe(1)
    expect(await stored(shards)).toEqual(['a'])
  })

  it('for having too much to do is left alone', async () => {
    const shards = await shardsOf('lost-overloaded', 1)
    shards.fates.set(0, [overloaded()])
    const answer = await append(shards, [{}], idFor(0))
    expect(answer).toMatchObject({ ok: false, error: { code: 'overloaded' } })
    expect(count(shards, 'append 0')).toBe(1)
  })

  it('for a bug of ours is no 503', async () => {
    const shards = await shardsOf('lost-bug', 1)
    shards.fates.set(0, [Object.assign(new Error('BUG: seq'), { remote: true })])
    await expect(append(shards, [{}], idFor(0))).rejects.toThrow('BUG: seq')
    expect(count(shards, 'append 0')).toBe(1)
  })

  for (const mark of ['retryable', 'durableObjectReset']) {
    it(`as the platform marks it, ${mark}, is sent again`, async () => {
      const shards = await shardsOf(`lost-${mark.toLowerCase()}`, 1)
      shards.fates.set(0, [Object.assign(new Error('reset'), { remote: true, [mark]: true })])
      must(await append(shards, [{}], idFor(0)))
      expect(count(shards, 'append 0')).toBe(2)
    })
  }

  it('by a restart of every object is answered, and nothing acknowledged is lost', async () => {
    const shards = await shardsOf('lost-restart', 2)
    must(await append(shards, [{ message: 'a' }], idFor(0)))
    must(await append(shards, [{ message: 'b' }], idFor(1)))
    await abortAllDurableObjects()
    expect(await append(shards, [{ message: 'a' }], idFor(0))).toMatchObject({
      data: { duplicate: true },
    })
    expect(await stored(shards)).toEqual(['a', 'b'])
  })
})

describe('an answer that lacks a shard', () => {
  /** Three records, newest on shard 0. */
  async function spread(appId: string) {
    const shards = await shardsOf(appId, 3)
    for (const shard of [0, 1, 2]) {
      must(await append(shards, [{ message: `m${shard}`, ms: T - shard }], idFor(shard)))
    }
    return shards
  }
  const lacks = (...missing: number[]) => ({
    partial: true,
    partial_reasons: missing.map((shard) => ({ code: 'shard_unreachable', shard })),
  })
  const WHOLE = { partial: false, partial_reasons: [] }

  it('is none when all are there', async () => {
    const answer = must(await query(await spread('partial-none')))
    expect(answer).toMatchObject({ ...WHOLE, next_cursor: null })
    expect(messages(answer)).toEqual(['m0', 'm1', 'm2'])
  })

  for (const [why, fate] of [
    ['unreachable', 'lost before'],
    ['whose answer was lost', 'lost after'],
    ['overloaded', overloaded()],
  ] as const) {
    it(`says so: ${why}`, async () => {
      const shards = await spread(`partial-${why.replaceAll(' ', '-')}`)
      shards.fates.set(1, [fate])
      const answer = must(await query(shards))
      expect(answer).toMatchObject(lacks(1))
      expect(messages(answer)).toEqual(['m0', 'm2'])
    })
  }

  it('offers the same page again, over the set the others fixed', async () => {
    const shards = await spread('partial-again')
    shards.fates.set(1, ['lost before'])
    const { next_cursor } = must(await query(shards, { limit: '5' }))
    for (const shard of [0, 1, 2]) {
      must(await append(shards, [{ message: `late${shard}`, ms: T }], idFor(shard, 2)))
    }
    const again = must(await query(shards, { limit: '5', cursor: next_cursor! }))
    expect(again).toMatchObject({ ...WHOLE, next_cursor: null })
    expect(messages(again)).toEqual(['late1', 'm0', 'm1', 'm2'])
  })

  it('offers a later page again, not the first', async () => {
    const shards = await spread('partial-later')
    const first = must(await query(shards, { limit: '1' }))
    expect(messages(first)).toEqual(['m0'])
    shards.fates.set(1, ['lost before'])
    const lacking = must(await query(shards, { limit: '1', cursor: first.next_cursor! }))
    expect(lacking).toMatchObject(lacks(1))
    expect(messages(lacking)).toEqual(['m2'])
    const again = must(await query(shards, { limit: '1', cursor: lacking.next_cursor! }))
    expect(messages(again)).toEqual(['m1'])
    const last = must(await query(shards, { limit: '1', cursor: again.next_cursor! }))
    expect(messages(last)).toEqual(['m2'])
    expect(last.next_cursor).toBeNull()
  })

  it('offers the page again also when others follow it', async () => {
    const shards = await spread('partial-more')
    shards.fates.set(0, ['lost before'])
    const lacking = must(await query(shards, { limit: '1' }))
    expect(lacking).toMatchObject(lacks(0))
    expect(messages(lacking)).toEqual(['m1'])
    const again = must(await query(shards, { limit: '1', cursor: lacking.next_cursor! }))
    expect(messages(again)).toEqual(['m0'])
  })

  it('names each shard it lacks', async () => {
    const shards = await spread('partial-two')
    shards.fates.set(0, ['lost before']).set(2, ['lost before'])
    const answer = must(await query(shards))
    expect(answer).toMatchObject(lacks(0, 2))
    expect(messages(answer)).toEqual(['m1'])
  })

  it('is 503 when it lacks all', async () => {
    const shards = await spread('partial-all')
    for (const shard of [0, 1, 2]) shards.fates.set(shard, ['lost before'])
    expect(await query(shards)).toMatchObject({ ok: false, error: { code: 'unavailable' } })
  })

  it('is the refusal when they refuse', async () => {
    const shards = await spread('partial-refused')
    const access = { ...shards.access, keyId: 'nobody' }
    const answer = await queryShards(shards.env, access, planOf(shards))
    expect(answer).toMatchObject({ ok: false, error: { code: 'unauthorized' } })
  })

  it('is the refusal of that shard, not an answer without it', async () => {
    const shards = await spread('partial-gone')
    await shards.real(1).destroy()
    expect(await query(shards)).toMatchObject({ ok: false, error: { code: 'not_found' } })
  })

  it('is 503 for counts and for one record, which no other shard has', async () => {
    const shards = await spread('partial-one')
    shards.always.set(1, 'lost before')
    const UNAVAILABLE = { ok: false, error: { code: 'unavailable' } }
    expect(await readStats(shards.env, shards.access)).toMatchObject(UNAVAILABLE)
    expect(await readRecord(shards.env, shards.access, 1, 1)).toMatchObject(UNAVAILABLE)
    expect(await readRecord(shards.env, shards.access, 0, 1)).toMatchObject({ ok: true })
  })
})

describe('a shard that answers in many replies', () => {
  const ROWS = 5

  /** A shard with a row a record, which gives one row a reply. */
  async function rowByRow(appId: string, count = 1) {
    const shards = await shardsOf(appId, count)
    for (let i = 0; i < ROWS; i++) {
      for (let shard = 0; shard < count; shard++) {
        const message = `${i}${'abc'[shard]}`
        must(await append(shards, [{ message, ms: T + i }], idFor(shard, i + 1)))
      }
    }
    shards.calls.length = 0
    shards.ask = async (_shard, request) => ({ ...request, bytesMax: 1 })
    return shards
  }

  it('is asked until the last, and the answer is whole', async () => {
    const shards = await rowByRow('replies')
    const answer = must(await query(shards, { order: 'asc' }))
    expect(messages(answer)).toEqual(['0a', '1a', '2a', '3a', '4a'])
    expect(answer).toMatchObject({ next_cursor: null, partial: false })
    expect(answer.stats).toMatchObject({ rows: ROWS, blocks: { considered: ROWS, opened: ROWS } })
    expect(count(shards, 'candidates 0')).toBe(ROWS)
  })

  it('and its like are merged in one order', async () => {
    const shards = await rowByRow('replies-merged', 3)
    const asc = messages(must(await query(shards, { order: 'asc' })))
    expect(asc.length).toBe(3 * ROWS)
    expect(asc).toEqual([...asc].sort())
    expect(messages(must(await query(shards)))).toEqual([...asc].reverse())
  })

  for (const order of ['asc', 'desc']) {
    it(`that holds what comes last is not opened for the first page: ${order}`, async () => {
      const shards = await shardsOf(`replies-disjoint-${order}`, 2)
      for (const shard of [0, 1]) {
        for (let i = 0; i < ROWS; i++) {
          const record = { message: `${shard}${i}`, ms: T + shard * 100 + i }
          must(await append(shards, [record], idFor(shard, i + 1)))
        }
      }
      shards.ask = async (_shard, request) => ({ ...request, bytesMax: 1 })
      const asc = [0, 1].flatMap((shard) => [0, 1, 2, 3, 4].map((i) => `${shard}${i}`))
      const expected = order === 'asc' ? asc : asc.reverse()
      const first = must(await query(shards, { order, limit: '2' }))
      expect(messages(first)).toEqual(expected.slice(0, 2))
      expect(first.stats.blocks.opened).toBe(3)
      const cursor = first.next_cursor!
      const rest = must(await query(shards, { order, limit: '10', cursor }))
      expect(messages(rest)).toEqual(expected.slice(2))
    })
  }

  it('is asked no further than the page needs', async () => {
    const shards = await rowByRow('replies-page')
    const answer = must(await query(shards, { limit: '1' }))
    expect(messages(answer)).toEqual(['4a'])
    expect(answer.next_cursor).not.toBeNull()
    expect(count(shards, 'candidates 0')).toBeLessThan(ROWS)
  })

  for (const order of ['asc', 'desc']) {
    it(`keeps the set of the first, whatever arrives between them: ${order}`, async () => {
      const shards = await rowByRow(`replies-set-${order}`)
      shards.ask = async (shard, request, nth) => {
        if (nth > 1 && nth <= ROWS) {
          const late = batchOf([{ message: 'late', ms: order === 'asc' ? T + 9 : T - 9 }])
          const segments = encodeSegments(late)
          must(await shards.real(shard).append(OWNER, { segments, batchId: null, notes: {} }))
        }
        return { ...request, bytesMax: 1 }
      }
      const answer = must(await query(shards, { order }))
      expect(messages(answer).sort()).toEqual(['0a', '1a', '2a', '3a', '4a'])
      expect(answer.next_cursor).toBeNull()
    })
  }

  it('and falls silent makes the answer partial, and the page is offered again', async () => {
    const shards = await rowByRow('replies-silent', 2)
    const ask = shards.ask
    shards.ask = async (shard, request, nth) => {
      if (shard === 1 && nth === 3) throw new Error('Network connection lost.')
      return ask(shard, request, nth)
    }
    const answer = must(await query(shards, { order: 'asc' }))
    expect(answer).toMatchObject({
      partial: true,
      partial_reasons: [{ code: 'shard_unreachable', shard: 1 }],
    })
    const again = must(await query(shards, { order: 'asc', cursor: answer.next_cursor! }))
    expect(again.logs.length).toBe(2 * ROWS)
    expect(again).toMatchObject({ partial: false, next_cursor: null })
  })

  it('has a share of the bytes: of four shards, rows of 450 kB come two at first', async () => {
    const shards = await shardsOf('replies-bytes', 4)
    const noise = () => {
      const bytes = new Uint8Array(225_000)
      for (let at = 0; at < bytes.length; at += 45_000) {
        crypto.getRandomValues(bytes.subarray(at, at + 45_000))
      }
      return Buffer.from(bytes).toString('base64')
    }
    for (let i = 0; i < 6; i++) {
      must(await append(shards, [{ message: noise() + noise(), ms: T + i }], idFor(2, i + 1)))
    }
    shards.calls.length = 0
    const lengths: number[] = []
    const real = shards.real(2)
    shards.ask = async (shard, request) => {
      const reply = must(await real.candidates(OWNER, request))
      if (shard === 2) lengths.push(reply.candidates.length)
      return request
    }
    const answer = must(await query(shards, { order: 'asc' }))
    expect(answer.logs.map(({ timestamp }) => timestamp - T)).toEqual([0, 1, 2, 3, 4, 5])
    expect(lengths).toEqual([2, 4])
  })
})

describe('a shard whose own code fails', () => {
  it('is a bug to the reader and no silence, and 503 to the sender, who keeps the data', async () => {
    const shards = await shardsOf('broken', 1)
    must(await append(shards, [{ message: 'a' }], idFor(0)))
    const rename = (from: string, to: string) =>
      shards.inside(0, (sql) => sql.exec(`alter table ${from} rename to ${to}`))
    await rename('wal', 'hidden')
    await expect(query(shards)).rejects.toThrow('wal')
    const refused = await append(shards, [{ message: 'b' }], idFor(0, 2))
    expect(refused).toMatchObject({ ok: false, error: { code: 'unavailable' } })
    await rename('hidden', 'wal')
    must(await append(shards, [{ message: 'b' }], idFor(0, 2)))
    expect(await stored(shards)).toEqual(['a', 'b'])
  })

  it('and a batch that can not be read is named, and the rest is shown', async () => {
    const shards = await shardsOf('corrupt', 1)
    for (const [n, message] of ['a', 'b', 'c'].entries()) {
      must(await append(shards, [{ message }], idFor(0, n + 1)))
    }
    await shards.inside(0, (sql) =>
      sql.exec("update wal set segments = x'04000000deadbeef' where seq = 2"),
    )
    const answer = must(await query(shards))
    expect(messages(answer).sort()).toEqual(['a', 'c'])
    expect(answer).toMatchObject({
      partial: true,
      partial_reasons: [{ code: 'block_corrupt', shard: 0, block: 2 }],
      next_cursor: expect.any(String),
    })
  })
})

describe('one record', () => {
  it('is found by its number, in whichever segment and row', async () => {
    const shards = await shardsOf('record', 2)
    const segmentOf = (message: string) =>
      encodeSegments(batchOf([{ message: `${message}1` }, { message: `${message}2` }]))
    for (const [first, second] of ['ab', 'cd']) {
      const segments = [...segmentOf(first!), ...segmentOf(second!)]
      must(await shards.real(1).append(OWNER, { segments, batchId: null, notes: {} }))
    }
    const found = async (shard: number, seq: number) => {
      const record = must(await readRecord(shards.env, shards.access, shard, seq))
      return record && `${record.id} ${record.message}`
    }
    const all = ['a1', 'a2', 'b1', 'b2', 'c1', 'c2', 'd1', 'd2']
    for (const [i, message] of all.entries()) {
      expect(await found(1, i + 1)).toBe(`1-${i + 1} ${message}`)
    }
    for (const [shard, seq] of [
      [1, 0],
      [1, 9],
      [0, 1],
      [2, 1],
    ] as const) {
      expect(await found(shard, seq), `${shard}-${seq}`).toBeNull()
    }
  })
})

describe('a scan', () => {
  const ROWS = 20

  /** Turns of the event loop from the shard's reply to the answer, by a clock that steps so far. */
  async function turnsOf(appId: string, stepMs: number): Promise<number> {
    const shards = await shardsOf(appId, 1)
    const message = 'word '.repeat(14_000)
    const records = Array.from({ length: ROWS }, () => ({ message }))
    must(await append(shards, records, null))
    const plan = planOf(shards, { q: 'nothing' })
    let turns = 0
    let timer: ReturnType<typeof setTimeout>
    const turn = () => {
      turns++
      timer = setTimeout(turn, 0)
    }
    const reply = await shards.real(0).candidates(OWNER, {
      filter: { filter: EVERYTHING, since: null, until: null },
      minMs: 0,
      maxMs: Number.MAX_SAFE_INTEGER,
      levelMask: 63,
      order: 'desc',
      maxSeq: null,
      onlyRange: null,
      bytesMax: 1e6,
      mayBeEmpty: false,
      after: null,
      ask: null,
      explain: false,
    })
    const LOG_SHARD = { getByName: () => ({ candidates: async () => reply }) }
    const env = { ...shards.env, LOG_SHARD } as unknown as Shards['env']
    let nowMs = T
    const clock = vi.spyOn(Date, 'now').mockImplementation(() => {
      nowMs += stepMs
      return nowMs
    })
    turn()
    const answer = must(await queryShards(env, shards.access, plan))
    clearTimeout(timer!)
    clock.mockRestore()
    expect(answer.stats.rows).toBe(ROWS)
    return turns
  }

  it('gives way after each slice', async () => {
    expect(await turnsOf('slices', 10)).toBeGreaterThanOrEqual(ROWS)
  })

  it('does not while its slice lasts', async () => {
    expect(await turnsOf('no-slices', 0)).toBe(1)
  })
})
