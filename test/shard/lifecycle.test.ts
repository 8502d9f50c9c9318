// The life of stored records in one shard: sealed, merged, moved to the archive, deleted, expired.
// Alarms are run by hand; what a reader of `candidates` finds is compared with what was appended.

import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe, expect, it, vi } from 'vitest'
import { encodeSegments } from '../../src/block/segment.ts'
import { BLOCK_RAW_BYTES_MAX } from '../../src/limits.ts'
import { levelIn, textIs } from '../../src/query/filter.ts'
import type { RecordFilter } from '../../src/query/parameters.ts'
import type { Result } from '../../src/result.ts'
import type { CandidatesReply, CandidatesRequest } from '../../src/shard/candidates.ts'
import type { JobView, ShardStorage } from '../../src/shard/storage-view.ts'
import { batchOf } from '../batches.ts'
import { makeApp } from '../flow/client.ts'
import { ALL, numberedOf, OWNER } from './open.ts'

/** The remote surface by its own types: the platform's turn a Result into never. */
interface Shard {
  append(caller: object, append: object): Promise<Result<unknown>>
  candidates(caller: object, request: CandidatesRequest): Promise<Result<CandidatesReply>>
  deleteRecords(caller: object, job: { jobId: string; match: RecordFilter }): Promise<Result<null>>
  flush(caller: object, job: { jobId: string; olderThanMs: number }): Promise<Result<null>>
  job(caller: object, jobId: string): Promise<Result<JobView | null>>
  storage(caller: object): Promise<Result<ShardStorage>>
}

async function shardOf(appId: string) {
  await makeApp(appId)
  const tenant = await env.REGISTRY.getByName('registry').tenantForApp(appId)
  const name = `${tenant!.tenantId}-0`
  const stub = env.LOG_SHARD.getByName(name)
  const shard = stub as unknown as Shard
  const must = async <T>(result: Promise<Result<T>>): Promise<T> => {
    const got = await result
    if (!got.ok) throw new Error(got.error.message)
    return got.data
  }
  return {
    append: (messages: string[], level = 2) =>
      must(
        shard.append(OWNER, {
          segments: encodeSegments(batchOf(messages.map((message) => ({ message, level })))),
          batchId: null,
          notes: {},
        }),
      ),
    /** Until a job is done: its alarm goes off by itself. */
    settle: (jobId: string) =>
      vi.waitFor(
        async () => {
          await runDurableObjectAlarm(stub)
          expect(await must(shard.job(OWNER, jobId))).toMatchObject({ state: 'done' })
        },
        { timeout: 20_000 },
      ),
    candidates: (request: Partial<CandidatesRequest> = {}) =>
      must(shard.candidates(OWNER, { ...ALL, ...request })),
    deleteRecords: (jobId: string, match: Partial<RecordFilter>) =>
      must(shard.deleteRecords(OWNER, { jobId, match: { ...ALL.filter, ...match } })),
    flush: (jobId: string) => must(shard.flush(OWNER, { jobId, olderThanMs: Date.now() + 1 })),
    job: (jobId: string) => must(shard.job(OWNER, jobId)),
    storage: () => must(shard.storage(OWNER)),
    inside: <T>(work: (sql: SqlStorage) => T) =>
      runInDurableObject(stub, (_, state) => work(state.storage.sql)),
  }
}

const kindsOf = (reply: CandidatesReply) => reply.candidates.map(({ from }) => from.kind)

describe('a shard', () => {
  it('seals on a flush, archives, and shows the same records at every step', async () => {
    const shard = await shardOf('life-flush')
    const expected: [number, string][] = []
    for (let i = 0; i < 5; i++) {
      await shard.append([`order ${i} shipped`, `order ${i} paid`])
      expected.push([2 * i + 1, `order ${i} shipped`], [2 * i + 2, `order ${i} paid`])
    }
    const before = await shard.candidates()
    expect(new Set(kindsOf(before))).toEqual(new Set(['segments']))
    expect(await numberedOf(before)).toEqual(expected)

    await shard.flush('job_1')
    await shard.settle('job_1')
    const after = await shard.candidates()
    expect(kindsOf(after)).toEqual(['object'])
    expect(await numberedOf(after)).toEqual(expected)
    expect(await shard.job('job_1')).toMatchObject({ state: 'done', records: 10, error: null })
    const { blocks, pending } = await shard.storage()
    expect(blocks).toMatchObject([{ tier: 'cold', blocks: 1, records: 10 }])
    expect(pending).toEqual({ rows: 0, records: 0, bytes: 0 })

    await shard.append(['one more'])
    expect(await numberedOf(await shard.candidates())).toEqual([...expected, [11, 'one more']])
  })

  it('hides what is deleted at once, and then has it nowhere', async () => {
    const shard = await shardOf('life-delete')
    await shard.append(['keep the apple', 'drop the pear'])
    await shard.flush('job_1')
    await shard.settle('job_1')
    await shard.append(['drop the plum', 'keep the grape'])
    const words = textIs('message', { is: 'phrase', text: 'drop' })
    await shard.deleteRecords('job_2', { filter: words })
    expect((await shard.candidates()).tombstones).toMatchObject([{ maxSeq: 4 }])
    await shard.append(['drop this later one'])

    await shard.settle('job_2')
    const reply = await shard.candidates()
    expect(reply.tombstones).toEqual([])
    expect(await numberedOf(reply)).toEqual([
      [1, 'keep the apple'],
      [4, 'keep the grape'],
      [5, 'drop this later one'],
    ])
    expect(await shard.job('job_2')).toMatchObject({ state: 'done', records: 2, error: null })
    const texts = await shard.inside((sql) => sql.exec('select text from pattern').toArray())
    expect(texts.map(({ text }) => text)).not.toContain('drop the pear')
  })

  it('drops a block that is hidden whole by its catalog alone', async () => {
    const shard = await shardOf('life-whole')
    await shard.append(['a', 'b'], 1)
    await shard.flush('job_1')
    await shard.settle('job_1')
    await shard.append(['c'], 4)
    await shard.deleteRecords('job_2', { filter: levelIn(0b10) })
    await shard.settle('job_2')
    expect(await numberedOf(await shard.candidates())).toEqual([[3, 'c']])
    const listed = await env.ARCHIVE!.list({ prefix: 'life-whole/' })
    expect(listed.objects).toEqual([])
    expect(await shard.job('job_2')).toMatchObject({ state: 'done', records: 2 })
  })

  it('counts by the catalog what it can', async () => {
    const shard = await shardOf('life-count')
    await shard.append(['a', 'b'], 1)
    await shard.append(['c'], 4)
    await shard.flush('job_1')
    await shard.settle('job_1')
    const levels = { filter: levelIn(0b10000), since: null, until: null }
    const reply = await shard.candidates({
      ask: { kind: 'count' },
      levelMask: 0b10000,
      filter: levels,
    })
    expect(reply).toMatchObject({ candidates: [], counted: { records: 1, ranges: [[1, 3]] } })
  })

  it('seals records that compress a thousandfold in blocks that fit a memory', async () => {
    const shard = await shardOf('life-dense')
    const stack = 'at com.example.Shop.pay(Shop.java:123) '.repeat(6000)
    const messages = Array.from({ length: 40 }, (_, i) => `${i} ${stack}`)
    for (let i = 0; i < 4; i++) await shard.append(messages.slice(10 * i, 10 * i + 10))
    await shard.flush('job_1')
    await shard.settle('job_1')
    const { blocks } = await shard.storage()
    expect(blocks).toMatchObject([{ blocks: 1, records: 40 }])
    expect(blocks[0]!.rawBytes).toBeGreaterThan(9e6)

    const reply = await shard.candidates()
    expect(await numberedOf(reply)).toEqual(messages.map((message, i) => [i + 1, message]))
    for (let i = 0; i < 12; i++) await shard.append(messages.slice(0, 10))
    await shard.flush('job_2')
    await shard.settle('job_2')
    for (const { records, from } of (await shard.candidates()).candidates) {
      expect(records * stack.length).toBeLessThan(BLOCK_RAW_BYTES_MAX)
      expect(from.kind).toBe('object')
    }
  })

  it('merges the small blocks of a quiet app', async () => {
    const shard = await shardOf('life-merge')
    for (let i = 0; i < 8; i++) {
      await shard.append([`quiet ${i}`])
      await shard.inside((sql) => sql.exec('update wal set received_ms = received_ms'))
      await shard.flush(`job_${i}`)
      await shard.settle(`job_${i}`)
    }
    expect((await numberedOf(await shard.candidates())).length).toBe(8)
  })
})
