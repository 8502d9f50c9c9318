// The registry's tables. A tenant (an app and the objects named by its id), its keys, what its shards
// are still owed (one row per shard that must hear of a change or be destroyed and has not confirmed
// it), and the archives of deleted apps that are being emptied (tenant/emptying.ts).
//
// A row of `tenant` with `deleted_ms` is an app that is gone for everyone: its name is free, its keys
// are refused, and the row stays only until the last of its shards is destroyed and its part of the
// archive is empty. A row of `api_key`
// with `deleted_ms` has lost its hash: it grants nothing, and stays so that a DELETE can be repeated.

/** Append-only: a database in the field has run a prefix of this list. */
export const MIGRATIONS: readonly string[] = [
  `CREATE TABLE tenant (
     tenant_id TEXT PRIMARY KEY,
     app_id TEXT NOT NULL,
     name TEXT,
     shards INTEGER NOT NULL,
     location_hint TEXT,
     created_ms INTEGER NOT NULL,
     version INTEGER NOT NULL,
     deleted_ms INTEGER
   ) STRICT, WITHOUT ROWID;
   CREATE UNIQUE INDEX tenant_live ON tenant (app_id) WHERE deleted_ms IS NULL;
   CREATE INDEX tenant_deleted ON tenant (app_id) WHERE deleted_ms IS NOT NULL;
   CREATE TABLE api_key (
     key_id TEXT PRIMARY KEY,
     tenant_id TEXT NOT NULL,
     hash TEXT,
     role TEXT NOT NULL,
     name TEXT,
     workspace_id TEXT,
     prefix TEXT NOT NULL,
     created_ms INTEGER NOT NULL,
     expires_ms INTEGER,
     last_used_day TEXT,
     deleted_ms INTEGER
   ) STRICT, WITHOUT ROWID;
   CREATE UNIQUE INDEX api_key_hash ON api_key (hash) WHERE hash IS NOT NULL;
   CREATE INDEX api_key_tenant ON api_key (tenant_id, created_ms);
   CREATE TABLE owed (
     tenant_id TEXT NOT NULL,
     shard INTEGER NOT NULL,
     version INTEGER NOT NULL,
     attempts INTEGER NOT NULL,
     next_ms INTEGER NOT NULL,
     error TEXT,
     PRIMARY KEY (tenant_id, shard)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX owed_next ON owed (next_ms);`,
  // JSON of what was set (tenant/settings.ts); null: nothing ever.
  `ALTER TABLE tenant ADD COLUMN settings TEXT;`,
  `CREATE TABLE emptying (
     tenant_id TEXT PRIMARY KEY,
     app_id TEXT NOT NULL,
     cursor TEXT,
     found INTEGER NOT NULL,
     empty_ms INTEGER,
     attempts INTEGER NOT NULL,
     next_ms INTEGER NOT NULL,
     error TEXT
   ) STRICT, WITHOUT ROWID;`,
]

/** Brings the database to the newest schema. All or nothing per step; cheap when there is none. */
export function migrate(storage: DurableObjectStorage, nowMs: number): void {
  const sql = storage.sql
  sql.exec(
    'CREATE TABLE IF NOT EXISTS migration (step INTEGER PRIMARY KEY, applied_ms INTEGER NOT NULL)',
  )
  const { done } = sql
    .exec<{ done: number }>('SELECT coalesce(max(step), 0) AS done FROM migration')
    .one()
  for (let step = done + 1; step <= MIGRATIONS.length; step++) {
    storage.transactionSync(() => {
      sql.exec(MIGRATIONS[step - 1]!)
      sql.exec('INSERT INTO migration (step, applied_ms) VALUES (?, ?)', step, nowMs)
    })
  }
}

/** Types, not interfaces: `exec<T>` wants an index signature. */
export type TenantRow = {
  tenant_id: string
  app_id: string
  name: string | null
  shards: number
  location_hint: DurableObjectLocationHint | null
  created_ms: number
  version: number
  deleted_ms: number | null
  settings: string | null
}
export type KeyRow = {
  key_id: string
  role: 'ingest' | 'read' | 'admin'
  name: string | null
  workspace_id: string | null
  prefix: string
  created_ms: number
  expires_ms: number | null
  last_used_day: string | null
  deleted_ms: number | null
}
