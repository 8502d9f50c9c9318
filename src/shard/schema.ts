// The tables of a shard and how they came to be: an append-only list, checked at every start.
// docs/storage.md describes each column.

const MIGRATIONS = [
  // 1: batches that are committed and not yet sealed, and the counts of what never became a row.
  // `wal` has no index beside its key: each would be one more billed row a commit. The BLOB comes
  // last, so that reading the columns before it touches one page a row.
  `create table wal (
     seq integer primary key,
     records integer not null,
     received_ms integer not null,
     min_ms integer not null,
     max_ms integer not null,
     levels text not null,
     notes text,
     batch_ids blob,
     bytes integer not null,
     segments blob not null
   );
   create table daily (
     day text not null,
     name text not null,
     count integer not null,
     primary key (day, name)
   ) without rowid`,
]

export function migrate(storage: DurableObjectStorage): void {
  storage.transactionSync(() => {
    const { sql } = storage
    sql.exec('create table if not exists meta (key text primary key, value) without rowid')
    const row = sql.exec("select value from meta where key = 'schema'").toArray()[0]
    const done = Number(row?.value ?? 0)
    if (done === MIGRATIONS.length) return
    for (const migration of MIGRATIONS.slice(done)) sql.exec(migration)
    sql.exec(
      "insert or replace into meta (key, value) values ('schema', cast(? as integer))",
      MIGRATIONS.length,
    )
  })
}
