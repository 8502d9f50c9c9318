// The truth about apps and keys: one object for the whole deployment, transactional and listable.
// It sees no log and no key, only hashes. Workers ask it at most once a minute per key and isolate,
// shards when they miss a key.
//
// A change that shards must hear of is written first, together with a row in `owed` per shard, then
// told to all of them in parallel; a row goes when its shard has confirmed. What is left is told
// again by whoever repeats the request and by the alarm, whichever comes first. The alarm also
// empties the archive of deleted apps.

import { DurableObject } from 'cloudflare:workers'
import { Buffer } from 'node:buffer'
import type { Env } from '../env.ts'
import type { ColumnNames } from '../record.ts'
import { err, ok, type Result } from '../result.ts'
import { Emptying } from './emptying.ts'
import { type KeyRow, migrate, type TenantRow } from './registry-schema.ts'
import { shardStub } from './route.ts'
import { type AppSettings, type Settings, type SettingsChange, settingsOf } from './settings.ts'

export type Role = 'ingest' | 'read' | 'admin'

/** What the objects of an app are named by, and how many there are. */
export interface Tenant {
  tenantId: string
  appId: string
  shards: number
  locationHint: DurableObjectLocationHint | null
  /** Its own attribute names for columns; a Worker may hold them a minute long. */
  columns: ColumnNames
}

/** What one key may do. */
export interface Grant {
  keyId: string
  role: Role
  workspaceId: string | null
  expiresMs: number | null
  tenant: Tenant
}

/** What a shard knows of its tenant: settings and live keys. A copy with a lower version than the one held is older. */
export interface KeyCopy {
  version: number
  tenant: Tenant
  settings: Settings
  keys: { keyId: string; expiresMs: number | null }[]
}

export interface App {
  appId: string
  name: string | null
  shards: number
  locationHint: DurableObjectLocationHint | null
  createdMs: number
}
export type NewApp = Omit<App, 'createdMs'>

export interface Key {
  keyId: string
  role: Role
  name: string | null
  workspaceId: string | null
  prefix: string
  createdMs: number
  expiresMs: number | null
  /** YYYY-MM-DD in UTC; null: never. */
  lastUsedDay: string | null
}
export type NewKey = Omit<Key, 'keyId' | 'createdMs' | 'lastUsedDay'> & { hashHex: string }

/**
 * An app as a caller names it. `tenantId` is the one of the key that was checked, so that an admin
 * of a deleted app does not act on the next app of that name; null is the owner.
 */
export interface AppRef {
  appId: string
  tenantId: string | null
}

/** Live keys of an app: every shard holds a copy of the list, and a revocation sends it whole. */
export const KEYS_PER_APP_MAX = 1000
/** How long a revoked key's id is remembered, so that its DELETE can be repeated. */
const REVOKED_KEPT_MS = 30 * 86_400_000
/** A shard that takes longer counts as silent: someone waits for the answer. */
const SHARD_ANSWER_MS_MAX = 15_000
/** The alarm leaves what a request is telling right now alone for this long. */
const FIRST_RETRY_MS = 30_000
const RETRY_MS_MAX = 3_600_000
/** Tenants one alarm works off, of up to 64 shards each: an invocation has 10,000 calls. */
const TENANTS_PER_ALARM_MAX = 16
const ERROR_CHARS_MAX = 500

export class Registry extends DurableObject<Env> {
  readonly #sql = this.ctx.storage.sql
  /** The last telling of each tenant's shards: a `configure` never overtakes a later `destroy`. */
  readonly #telling = new Map<string, Promise<number[]>>()
  readonly #emptying = new Emptying(this.ctx.storage.sql)

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    migrate(ctx.storage, Date.now())
  }

  /**
   * The grant of the key with this SHA-256, or null: unknown, expired or deleted. Looking a hash up
   * leaks nothing by its time: it is no prefix of the secret. Notes the day of use, one row a day.
   */
  async grantForHash(hashHex: string): Promise<Grant | null> {
    const row = this.#sql
      .exec<TenantRow & KeyRow>(
        `SELECT k.key_id, k.role, k.workspace_id, k.expires_ms, k.last_used_day,
                t.tenant_id, t.app_id, t.shards, t.location_hint, t.settings
         FROM api_key k JOIN tenant t ON t.tenant_id = k.tenant_id
         WHERE k.hash = ? AND t.deleted_ms IS NULL`,
        hashHex,
      )
      .toArray()[0]
    const nowMs = Date.now()
    if (!row || (row.expires_ms !== null && row.expires_ms <= nowMs)) return null
    const day = new Date(nowMs).toISOString().slice(0, 10)
    if (row.last_used_day !== day) {
      this.#sql.exec('UPDATE api_key SET last_used_day = ? WHERE key_id = ?', day, row.key_id)
    }
    return {
      keyId: row.key_id,
      role: row.role,
      workspaceId: row.workspace_id,
      expiresMs: row.expires_ms,
      tenant: tenantOf(row),
    }
  }

  async tenantForApp(appId: string): Promise<Tenant | null> {
    const row = this.#live({ appId, tenantId: null })
    return row ? tenantOf(row) : null
  }

  /** Null: no such live tenant. Expired keys are in it, so that a shard need not ask about them. */
  async keyCopy(tenantId: string): Promise<KeyCopy | null> {
    const row = this.#tenant(tenantId)
    return row && row.deleted_ms === null ? this.#copy(row) : null
  }

  async createApp(app: NewApp): Promise<Result<App>> {
    if (this.#live({ appId: app.appId, tenantId: null })) {
      return err('conflict', `app ${JSON.stringify(app.appId)} exists already`)
    }
    const createdMs = Date.now()
    this.#sql.exec(
      `INSERT INTO tenant (tenant_id, app_id, name, shards, location_hint, created_ms, version)
       VALUES (?, ?, ?, ?, ?, ?, 1)`,
      randomHex(16),
      app.appId,
      app.name,
      app.shards,
      app.locationHint,
      createdMs,
    )
    return ok({ ...app, createdMs })
  }

  async listApps(): Promise<Result<App[]>> {
    const rows = this.#sql.exec<TenantRow>(
      'SELECT * FROM tenant WHERE deleted_ms IS NULL ORDER BY app_id',
    )
    return ok(rows.toArray().map(appOf))
  }

  async getApp(ref: AppRef): Promise<Result<App>> {
    const row = this.#live(ref)
    return row ? ok(appOf(row)) : noApp(ref)
  }

  /** Every live tenant. */
  async tenants(): Promise<Tenant[]> {
    const rows = this.#sql.exec<TenantRow>(
      'SELECT * FROM tenant WHERE deleted_ms IS NULL ORDER BY app_id',
    )
    return rows.toArray().map(tenantOf)
  }

  async getSettings(ref: AppRef): Promise<Result<AppSettings>> {
    const row = this.#live(ref)
    return row ? ok(appSettingsOf(row)) : noApp(ref)
  }

  /**
   * Changes what is named and leaves the rest. In force on every shard, the new ones among them, once
   * it is answered, or `unavailable` names those that have not confirmed: the alarm tells them again,
   * and so does repeating this.
   */
  async updateSettings(ref: AppRef, change: SettingsChange): Promise<Result<AppSettings>> {
    const row = this.#live(ref)
    if (!row) return noApp(ref)
    const { shards = row.shards, ...settings } = change
    if (shards < row.shards) {
      return err(
        'conflict',
        `the app has ${row.shards} shards, and their number is never lowered: each holds records`,
        { shards: row.shards },
      )
    }
    const stored: Partial<Settings> = row.settings === null ? {} : JSON.parse(row.settings)
    const nowMs = Date.now()
    this.ctx.storage.transactionSync(() => {
      this.#sql.exec(
        'UPDATE tenant SET shards = ?, settings = ?, version = version + 1 WHERE tenant_id = ?',
        shards,
        JSON.stringify({ ...stored, ...settings }),
        row.tenant_id,
      )
      this.#owe(row.tenant_id, nowMs)
    })
    this.#arm()
    const silent = await this.#tell(row.tenant_id)
    if (silent.length === 0) return this.getSettings(ref)
    return err(
      'unavailable',
      `the settings are stored, but shards ${silent.join(', ')} have not confirmed them and may still go by the old ones; repeat the request`,
      { shards: silent },
    )
  }

  /**
   * Frees the name and refuses the keys at once, then destroys every shard. `unavailable` names the
   * shards that are left: the alarm goes on with them, and so does repeating this. The archive is
   * emptied behind it, without anyone waiting.
   */
  async deleteApp(ref: AppRef): Promise<Result<{ appId: string }>> {
    const live = this.#live(ref)
    const tenantIds = live ? [live.tenant_id] : this.#pendingOf(ref)
    if (tenantIds.length === 0) return noApp(ref)
    if (live) {
      const nowMs = Date.now()
      this.ctx.storage.transactionSync(() => {
        this.#sql.exec(
          'UPDATE tenant SET deleted_ms = ?, version = version + 1 WHERE tenant_id = ?',
          nowMs,
          live.tenant_id,
        )
        this.#sql.exec('DELETE FROM api_key WHERE tenant_id = ?', live.tenant_id)
        this.#owe(live.tenant_id, nowMs)
      })
      this.#arm()
    }
    const silent = new Set((await Promise.all(tenantIds.map((id) => this.#tell(id)))).flat())
    if (silent.size === 0) return ok({ appId: ref.appId })
    const shards = [...silent].sort((a, b) => a - b)
    return err(
      'unavailable',
      `app ${JSON.stringify(ref.appId)} is deleted and its keys are refused, but the data of shards ${shards.join(', ')} is not gone yet; it is retried until it is, and repeating the request is safe`,
      { shards },
    )
  }

  /** Stores a key by its hash. No shard needs to hear of it: one that misses a key asks. */
  async createKey(ref: AppRef, key: NewKey): Promise<Result<Key>> {
    const tenant = this.#live(ref)
    if (!tenant) return noApp(ref)
    const { count } = this.#sql
      .exec<{ count: number }>(
        'SELECT count(*) AS count FROM api_key WHERE tenant_id = ? AND deleted_ms IS NULL',
        tenant.tenant_id,
      )
      .one()
    if (count >= KEYS_PER_APP_MAX) {
      return err('conflict', `the app has ${count} keys already: delete one first`, {
        max: KEYS_PER_APP_MAX,
      })
    }
    const { hashHex, ...shown } = key
    const stored: Key = {
      ...shown,
      keyId: `key_${randomHex(12)}`,
      createdMs: Date.now(),
      lastUsedDay: null,
    }
    this.ctx.storage.transactionSync(() => {
      this.#sql.exec(
        `INSERT INTO api_key (key_id, tenant_id, hash, role, name, workspace_id, prefix, created_ms, expires_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        stored.keyId,
        tenant.tenant_id,
        hashHex,
        stored.role,
        stored.name,
        stored.workspaceId,
        stored.prefix,
        stored.createdMs,
        stored.expiresMs,
      )
      this.#nextVersion(tenant.tenant_id)
    })
    return ok(stored)
  }

  async listKeys(ref: AppRef): Promise<Result<Key[]>> {
    const tenant = this.#live(ref)
    if (!tenant) return noApp(ref)
    const rows = this.#sql.exec<KeyRow>(
      `SELECT * FROM api_key WHERE tenant_id = ? AND deleted_ms IS NULL
       ORDER BY created_ms, key_id`,
      tenant.tenant_id,
    )
    return ok(rows.toArray().map(keyOf))
  }

  async getKey(ref: AppRef, keyId: string): Promise<Result<Key>> {
    const tenant = this.#live(ref)
    if (!tenant) return noApp(ref)
    const row = this.#key(tenant.tenant_id, keyId)
    return row && row.deleted_ms === null ? ok(keyOf(row)) : noKey(keyId)
  }

  /**
   * Revokes a key: gone here first, then every shard has confirmed it, or `unavailable` names those
   * that have not. They are told again by the alarm and by repeating this, which 30 days long is
   * answered like the first time.
   */
  async deleteKey(ref: AppRef, keyId: string): Promise<Result<{ keyId: string }>> {
    const tenant = this.#live(ref)
    if (!tenant) return noApp(ref)
    const key = this.#key(tenant.tenant_id, keyId)
    if (!key) return noKey(keyId)
    const nowMs = Date.now()
    this.ctx.storage.transactionSync(() => {
      if (key.deleted_ms === null) {
        this.#sql.exec(
          'UPDATE api_key SET hash = NULL, deleted_ms = ? WHERE key_id = ?',
          nowMs,
          keyId,
        )
        this.#nextVersion(tenant.tenant_id)
      }
      this.#sql.exec(
        'DELETE FROM api_key WHERE tenant_id = ? AND deleted_ms < ?',
        tenant.tenant_id,
        nowMs - REVOKED_KEPT_MS,
      )
      this.#owe(tenant.tenant_id, nowMs)
    })
    this.#arm()
    const shards = await this.#tell(tenant.tenant_id)
    if (shards.length === 0) return ok({ keyId })
    return err(
      'unavailable',
      `key ${keyId} is deleted, but shards ${shards.join(', ')} have not confirmed it and may still take it; repeat the request`,
      { shards },
    )
  }

  /** Tells shards what they are owed and empties archives, with back-off until nothing is left. */
  override async alarm(): Promise<void> {
    try {
      const due = this.#sql
        .exec<{ tenant_id: string }>(
          `SELECT tenant_id FROM owed WHERE next_ms <= ?
           GROUP BY tenant_id ORDER BY min(next_ms) LIMIT ?`,
          Date.now(),
          TENANTS_PER_ALARM_MAX,
        )
        .toArray()
      for (const { tenant_id } of due) await this.#tell(tenant_id)
      await this.#emptying.step(this.env.ARCHIVE, (tenantId) => this.#drop(tenantId))
      this.#arm()
    } catch (e) {
      // Storage failed. The platform gives up on an alarm that keeps throwing, so it never may.
      console.error(`registry alarm: ${textOf(e)}`)
      await this.ctx.storage.setAlarm(Date.now() + FIRST_RETRY_MS)
    }
  }

  /** Tells a tenant's shards all they are owed, after any earlier telling; the shards left silent. */
  async #tell(tenantId: string): Promise<number[]> {
    const earlier = this.#telling.get(tenantId) ?? Promise.resolve([])
    // An earlier failure was the earlier caller's to see.
    const mine = earlier.catch(() => []).then(() => this.#tellNow(tenantId))
    this.#telling.set(tenantId, mine)
    try {
      return await mine
    } finally {
      if (this.#telling.get(tenantId) === mine) this.#telling.delete(tenantId)
    }
  }

  async #tellNow(tenantId: string): Promise<number[]> {
    const row = this.#tenant(tenantId)
    if (!row) return []
    const shards = this.#sql
      .exec<{ shard: number }>(
        'SELECT shard FROM owed WHERE tenant_id = ? ORDER BY shard',
        tenantId,
      )
      .toArray()
      .map((owed) => owed.shard)
    const copy = row.deleted_ms === null ? this.#copy(row) : null
    const outcomes = await Promise.all(
      shards.map(async (shard) => ({ shard, error: await this.#tellShard(row, shard, copy) })),
    )
    this.ctx.storage.transactionSync(() => {
      for (const { shard, error } of outcomes) this.#note(row, shard, error)
      if (copy === null && outcomes.every(({ error }) => error === null)) {
        if (this.env.ARCHIVE) this.#emptying.begin(tenantId, row.app_id, Date.now())
        else this.#drop(tenantId)
      }
    })
    this.#arm()
    return outcomes.filter(({ error }) => error !== null).map(({ shard }) => shard)
  }

  /** Null when the shard has confirmed; else why not. */
  async #tellShard(row: TenantRow, shard: number, copy: KeyCopy | null): Promise<string | null> {
    try {
      const stub = shardStub(this.env, tenantOf(row), shard)
      await within(SHARD_ANSWER_MS_MAX, copy === null ? stub.destroy() : stub.configure(copy))
      return null
    } catch (e) {
      // Whatever kept a shard from confirming is the same to us: it is still owed.
      return textOf(e)
    }
  }

  /** A shard that confirmed an older version than it is owed by now stays owed. */
  #note(row: TenantRow, shard: number, error: string | null): void {
    if (error === null) {
      this.#sql.exec(
        'DELETE FROM owed WHERE tenant_id = ? AND shard = ? AND version <= ?',
        row.tenant_id,
        shard,
        row.version,
      )
      return
    }
    this.#sql.exec(
      `UPDATE owed SET attempts = attempts + 1, error = ?,
         next_ms = ? + min(?, 1000 * (1 << min(attempts + 1, 20)))
       WHERE tenant_id = ? AND shard = ?`,
      error.slice(0, ERROR_CHARS_MAX),
      Date.now(),
      RETRY_MS_MAX,
      row.tenant_id,
      shard,
    )
  }

  /** Notes that every shard of the tenant must hear of its present version. */
  #owe(tenantId: string, nowMs: number): void {
    this.#sql.exec(
      `WITH RECURSIVE n(shard) AS (SELECT 0 UNION ALL SELECT shard + 1 FROM n LIMIT 64)
       INSERT INTO owed (tenant_id, shard, version, attempts, next_ms)
       SELECT t.tenant_id, n.shard, t.version, 0, ?
       FROM tenant t JOIN n ON n.shard < t.shards WHERE t.tenant_id = ?
       ON CONFLICT (tenant_id, shard) DO UPDATE
       SET version = excluded.version, attempts = 0, next_ms = excluded.next_ms, error = NULL`,
      nowMs + FIRST_RETRY_MS,
      tenantId,
    )
  }

  /** The end of a deleted app. */
  #drop(tenantId: string): void {
    this.#sql.exec('DELETE FROM tenant WHERE tenant_id = ?', tenantId)
  }

  /** Sets the alarm to when the next thing is due. Not awaited: it commits with the writes before it. */
  #arm(): void {
    const { next_ms } = this.#sql
      .exec<{ next_ms: number | null }>(
        'SELECT min(next_ms) AS next_ms FROM (SELECT next_ms FROM owed UNION ALL SELECT next_ms FROM emptying)',
      )
      .one()
    if (next_ms === null) void this.ctx.storage.deleteAlarm()
    else void this.ctx.storage.setAlarm(next_ms)
  }

  #live(ref: AppRef): TenantRow | undefined {
    const row = this.#sql
      .exec<TenantRow>('SELECT * FROM tenant WHERE app_id = ? AND deleted_ms IS NULL', ref.appId)
      .toArray()[0]
    return ref.tenantId === null || ref.tenantId === row?.tenant_id ? row : undefined
  }

  /** Deleted apps of that name with shards left; only the owner still has a key to ask with. */
  #pendingOf(ref: AppRef): string[] {
    if (ref.tenantId !== null) return []
    return this.#sql
      .exec<{ tenant_id: string }>(
        `SELECT DISTINCT t.tenant_id FROM tenant t JOIN owed o ON o.tenant_id = t.tenant_id
         WHERE t.app_id = ? AND t.deleted_ms IS NOT NULL`,
        ref.appId,
      )
      .toArray()
      .map((row) => row.tenant_id)
  }

  #tenant(tenantId: string): TenantRow | undefined {
    return this.#sql
      .exec<TenantRow>('SELECT * FROM tenant WHERE tenant_id = ?', tenantId)
      .toArray()[0]
  }

  #key(tenantId: string, keyId: string): KeyRow | undefined {
    return this.#sql
      .exec<KeyRow>('SELECT * FROM api_key WHERE key_id = ? AND tenant_id = ?', keyId, tenantId)
      .toArray()[0]
  }

  #copy(row: TenantRow): KeyCopy {
    const keys = this.#sql
      .exec<KeyRow>(
        'SELECT key_id, expires_ms FROM api_key WHERE tenant_id = ? AND deleted_ms IS NULL',
        row.tenant_id,
      )
      .toArray()
    return {
      version: row.version,
      tenant: tenantOf(row),
      settings: settingsOf(row.settings),
      keys: keys.map((key) => ({ keyId: key.key_id, expiresMs: key.expires_ms })),
    }
  }

  #nextVersion(tenantId: string): void {
    this.#sql.exec('UPDATE tenant SET version = version + 1 WHERE tenant_id = ?', tenantId)
  }
}

const tenantOf = (row: TenantRow): Tenant => ({
  tenantId: row.tenant_id,
  appId: row.app_id,
  shards: row.shards,
  locationHint: row.location_hint,
  columns: settingsOf(row.settings).columns,
})

const appSettingsOf = (row: TenantRow): AppSettings => ({
  shards: row.shards,
  settings: settingsOf(row.settings),
})

const appOf = (row: TenantRow): App => ({
  appId: row.app_id,
  name: row.name,
  shards: row.shards,
  locationHint: row.location_hint,
  createdMs: row.created_ms,
})

const keyOf = (row: KeyRow): Key => ({
  keyId: row.key_id,
  role: row.role,
  name: row.name,
  workspaceId: row.workspace_id,
  prefix: row.prefix,
  createdMs: row.created_ms,
  expiresMs: row.expires_ms,
  lastUsedDay: row.last_used_day,
})

const noApp = (ref: AppRef) => err('not_found', `there is no app ${JSON.stringify(ref.appId)}`)
const noKey = (keyId: string) =>
  err('not_found', `the app has no key ${JSON.stringify(keyId.slice(0, 64))}`)

const textOf = (e: unknown) => (e instanceof Error ? e.message : String(e))

function randomHex(bytes: number): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))).toString('hex')
}

/** Rejects when `work` takes longer. The work itself goes on: it is repeatable, so that does no harm. */
async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
