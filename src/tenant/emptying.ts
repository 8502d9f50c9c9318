// The archive of deleted apps, emptied behind them by the registry's alarm. The name may have a new
// app by now, whose objects lie in the same folder: the start of an object's name tells whose it is.
//
// A shard may have been writing an object when it was destroyed, and R2 may still take it a while
// later. So the folder is walked until two walks fifteen minutes apart have found nothing.
//
// A walk goes page by page, and where it is is stored: it survives a restart, and an app with more
// objects than one alarm can delete.

import { folderOf, ownsKey } from '../block/object-key.ts'

/** Between two walks; also how long a put may be under way whose sender is gone. */
const WALKS_APART_MS = 15 * 60_000
/** Pages of up to 1,000 keys, two calls each, that one alarm works off. */
const PAGES_PER_STEP_MAX = 200
const RETRY_MS_MAX = 3_600_000
const ERROR_CHARS_MAX = 500

type Row = {
  tenant_id: string
  app_id: string
  /** Where the walk goes on; null: at the beginning. */
  cursor: string | null
  /** 1: this walk has found objects. */
  found: number
  /** When the walk before ended that found nothing; null: none did. */
  empty_ms: number | null
}

export class Emptying {
  readonly #sql: SqlStorage

  constructor(sql: SqlStorage) {
    this.#sql = sql
  }

  /** Notes that a tenant's objects are to go. Safe to repeat. */
  begin(tenantId: string, appId: string, nowMs: number): void {
    this.#sql.exec(
      `INSERT INTO emptying (tenant_id, app_id, found, attempts, next_ms) VALUES (?, ?, 0, 0, ?)
       ON CONFLICT (tenant_id) DO NOTHING`,
      tenantId,
      appId,
      nowMs,
    )
  }

  /**
   * Goes on with what is due, and calls `done` with each tenant whose part is empty for good. Never
   * throws for R2: what failed is due again later. Without a bucket there is nothing to empty.
   */
  async step(bucket: R2Bucket | undefined, done: (tenantId: string) => void): Promise<void> {
    const rows = this.#sql
      .exec<Row>('SELECT * FROM emptying WHERE next_ms <= ? ORDER BY next_ms', Date.now())
      .toArray()
    let pages = PAGES_PER_STEP_MAX
    for (const row of rows) {
      if (pages <= 0) return
      try {
        const isOver = bucket === undefined || (await this.#walk(bucket, row, () => pages-- > 0))
        if (!isOver) continue
        this.#sql.exec('DELETE FROM emptying WHERE tenant_id = ?', row.tenant_id)
        done(row.tenant_id)
      } catch (e) {
        // R2 failed, in whatever way: the walk begins again, for its cursor may be the reason.
        this.#retryLater(row, e)
      }
    }
  }

  /** Walks as far as it may. True when the tenant's part is empty for good. */
  async #walk(bucket: R2Bucket, row: Row, takesPage: () => boolean): Promise<boolean> {
    const tenant = { appId: row.app_id, tenantId: row.tenant_id }
    let { cursor } = row
    let found = row.found
    while (takesPage()) {
      const page = await bucket.list({
        prefix: folderOf(row.app_id),
        ...(cursor !== null && { cursor }),
      })
      const own = page.objects.map(({ key }) => key).filter((key) => ownsKey(tenant, key))
      if (own.length > 0) {
        found = 1
        await bucket.delete(own)
      }
      if (!page.truncated) return this.#endWalk(row, found === 1)
      cursor = page.cursor
      this.#sql.exec(
        'UPDATE emptying SET cursor = ?, found = ?, attempts = 0, error = NULL WHERE tenant_id = ?',
        cursor,
        found,
        row.tenant_id,
      )
    }
    return false
  }

  #endWalk(row: Row, hasFound: boolean): boolean {
    const nowMs = Date.now()
    const emptyMs = hasFound ? null : (row.empty_ms ?? nowMs)
    if (emptyMs !== null && nowMs - emptyMs >= WALKS_APART_MS) return true
    this.#sql.exec(
      `UPDATE emptying SET cursor = NULL, found = 0, empty_ms = ?, attempts = 0, error = NULL, next_ms = ?
       WHERE tenant_id = ?`,
      emptyMs,
      nowMs + WALKS_APART_MS,
      row.tenant_id,
    )
    return false
  }

  #retryLater(row: Row, cause: unknown): void {
    const text = cause instanceof Error ? cause.message : String(cause)
    console.error(`the archive of ${row.app_id} could not be emptied: ${text}`)
    this.#sql.exec(
      `UPDATE emptying SET cursor = NULL, attempts = attempts + 1, error = ?,
         next_ms = ? + min(?, 1000 * (1 << min(attempts + 1, 20)))
       WHERE tenant_id = ?`,
      text.slice(0, ERROR_CHARS_MAX),
      Date.now(),
      RETRY_MS_MAX,
      row.tenant_id,
    )
  }
}
