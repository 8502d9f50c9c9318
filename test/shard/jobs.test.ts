// When a shard wakes and for what, and how long a job that failed waits.

import { describe, expect, it } from 'vitest'
import { firstDue, type JobName, type JobTimes, nextAlarmMs } from '../../src/shard/jobs.ts'
import { backOffMs } from '../../src/shard/ledger.ts'

const NOW = 1_720_000_000_000
const job = (name: JobName, dueMs: number | null, retryMs = 0): JobTimes => ({
  name,
  dueMs,
  retryMs,
})

describe('nextAlarmMs and firstDue', () => {
  const wakes = (name: string, jobs: JobTimes[], nextMs: number | null, first: JobName | null) =>
    it(name, () => {
      expect(nextAlarmMs(jobs)).toBe(nextMs)
      expect(firstDue(jobs, NOW)).toBe(first)
    })

  wakes('no jobs', [], null, null)
  wakes('nothing in sight', [job('seal', null), job('purge', null)], null, null)
  wakes('a failure alone is no reason', [job('seal', null, NOW)], null, null)
  wakes('at the earliest', [job('seal', NOW + 9), job('expire', NOW + 5)], NOW + 5, null)
  wakes('at once', [job('purge', 0)], 0, 'purge')
  wakes('what is due by now', [job('archive', NOW)], NOW, 'archive')
  wakes('a moment before', [job('archive', NOW + 1)], NOW + 1, null)
  wakes('in the order given', [job('seal', NOW - 1), job('purge', 0)], 0, 'seal')
  wakes('not before its pause is over', [job('seal', 0, NOW + 5)], NOW + 5, null)
  wakes('when its pause is over', [job('seal', 0, NOW)], NOW, 'seal')
  wakes('a pause hurries nobody', [job('seal', NOW + 5, NOW - 5)], NOW + 5, null)
  wakes('the others go on', [job('seal', 0, NOW + 5), job('expire', NOW)], NOW, 'expire')
})

describe('backOffMs', () => {
  const waits = (failures: number, ms: number) =>
    it(`after ${failures} failures waits ${ms} ms`, () => expect(backOffMs(failures)).toBe(ms))

  waits(1, 2000)
  waits(2, 4000)
  waits(5, 32_000)
  waits(11, 2_048_000)
  waits(12, 3_600_000)
  waits(1_000_000, 3_600_000)
})
