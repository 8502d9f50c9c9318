// When the shard wakes, and for what. A Durable Object has one alarm; the jobs share it. Pure: what is
// due is told from the state each time, so nothing has to be remembered across a restart but failures.

export type JobName = 'seal' | 'purge' | 'flush' | 'compact' | 'archive' | 'expire' | 'sweep'

export interface JobTimes {
  name: JobName
  /** When it has work, ms; null: none in sight. */
  dueMs: number | null
  /** Not before, after a failure; 0 when it did not fail. */
  retryMs: number
}

/** When to wake next, or null: nothing will be due until something is stored or asked. */
export function nextAlarmMs(jobs: JobTimes[]): number | null {
  let next: number | null = null
  for (const job of jobs) {
    if (job.dueMs === null) continue
    const atMs = Math.max(job.dueMs, job.retryMs)
    if (next === null || atMs < next) next = atMs
  }
  return next
}

/** The first job to run, in the order given, or null. One that failed lets the others pass. */
export function firstDue(jobs: JobTimes[], nowMs: number): JobName | null {
  const due = jobs.find((job) => job.dueMs !== null && Math.max(job.dueMs, job.retryMs) <= nowMs)
  return due?.name ?? null
}
