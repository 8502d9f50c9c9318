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
  // 2: sealed blocks and what the jobs need. `block` is narrow and read whole at start; what is large
  // lies in tables of its own, keyed by the block's id, so that a question reads only what it needs.
  `create table block (
     id integer primary key,
     first_seq integer not null,
     last_seq integer not null,
     records integer not null,
     day text not null,
     received_ms integer not null,
     created_ms integer not null,
     compactions integer not null,
     min_ms integer not null,
     max_ms integer not null,
     levels text not null,
     raw_bytes integer not null,
     bytes integer not null,
     catalog_bytes integer not null,
     ids_slices integer not null,
     words_slices integer not null,
     r2_key text
   );
   create table block_data (id integer primary key, bytes blob not null);
   create table block_detail (id integer primary key, detail blob not null);
   create table block_filter (id integer primary key, bits blob not null);
   create table pattern (
     id text primary key,
     first_day text not null,
     last_day text not null,
     text text not null
   ) without rowid;
   create table received (day text primary key, levels text not null) without rowid;
   create table batch (id integer primary key, last_ms integer not null, ids blob not null);
   create table poison (seq integer primary key, at_ms integer not null, error text not null);
   create table tombstone (
     id integer primary key,
     job_id text,
     max_seq integer not null,
     created_ms integer not null,
     filters text not null
   );
   create table task (
     id text primary key,
     kind text not null,
     state text not null,
     created_ms integer not null,
     done_ms integer,
     max_seq integer not null,
     older_than_ms integer,
     records integer not null,
     blocks_done integer not null,
     blocks_total integer not null,
     error text
   ) without rowid;
   create table pending_object (
     key text primary key,
     next_ms integer not null,
     deletes_left integer not null,
     failures integer not null
   ) without rowid;
   create table job (
     name text primary key,
     last_ms integer not null,
     failures integer not null,
     retry_ms integer not null,
     error text
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
