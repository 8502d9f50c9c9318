// A Sealer that dies: of the moment, when it is asked again, or of what it was given, when that is
// found and left alone.

import { describe, expect, it, vi } from 'vitest'
import { hookedShard } from './hooked.ts'

vi.spyOn(console, 'error').mockImplementation(() => {})

describe('a Sealer', () => {
  it('that dies of one row again and again leaves that row and seals the others', async () => {
    const shard = await hookedShard('sealer-dies')
    for (const message of ['one', 'two', 'deadly', 'four']) await shard.append([message])
    shard.hooks.build = (request, real) => {
      const isDeadly = request.sources.some((one) => one.kind === 'segments' && one.seq === 3)
      return isDeadly ? Promise.reject(new Error('exceeded its memory')) : real()
    }
    // It has failed before, so the test need not wait for its back-off.
    await shard.restart((sql) =>
      sql.exec("insert into job (name, last_ms, failures, retry_ms) values ('seal', 1, 3, 1)"),
    )
    await shard.flush('job_1')
    await shard.settle('job_1')
    expect(await shard.job('job_1')).toMatchObject({ state: 'failed' })
    expect(await shard.storage()).toMatchObject({
      poison: { rows: 1, records: 1 },
      pending: { rows: 1 },
    })
    expect(await shard.messages()).toEqual(['one', 'two', 'deadly', 'four'])
  })

  it('that can not be reached is asked again, and no row is blamed', async () => {
    const shard = await hookedShard('sealer-away')
    await shard.append(['one', 'two'])
    let calls = 0
    shard.hooks.build = (_, real) =>
      ++calls < 3 ? Promise.reject(new Error('Network connection lost')) : real()
    await shard.flush('job_1')
    await shard.settle('job_1')
    expect(await shard.storage()).toMatchObject({ poison: { rows: 0 }, pending: { rows: 0 } })
    expect(await shard.messages()).toEqual(['one', 'two'])
  })
})
