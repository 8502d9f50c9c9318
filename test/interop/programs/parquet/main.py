# Reads a folder of Parquet as its owner would: with one line of DuckDB's SQL over all files, and file
# by file with Arrow, checksums verified. Writes what each found as JSON. Times are nanoseconds since
# 1970 as text, because JSON's readers would round them.
#
#   main.py FOLDER OUT     {"types": {column: type}, "rows": [{column: value}], "arrow": [...]}

import json
import pathlib
import sys

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

TIMES = ["timestamp", "observed_time", "received_time"]

folder, out = sys.argv[1:]
source = f"read_parquet('{folder}/**/*.parquet', hive_partitioning=true, union_by_name=true)"

described = duckdb.sql(f"describe select * from {source}").fetchall()
times = ", ".join(f"epoch_ns({name})::varchar as {name}" for name in TIMES)
found = duckdb.sql(
    f"select * replace ({times}, date::varchar as date) from {source} order by shard, seq"
)
rows = [dict(zip(found.columns, row)) for row in found.fetchall()]

arrow = []
for path in sorted(pathlib.Path(folder).glob("**/*.parquet")):
    table = pq.ParquetFile(path, page_checksum_verification=True).read()
    for name in TIMES:
        at = table.schema.get_field_index(name)
        assert table.schema.field(name).type == pa.timestamp("ns", tz="UTC"), name
        table = table.set_column(at, name, table.column(name).cast(pa.int64()).cast(pa.string()))
    arrow += table.to_pylist()

types = {name: type for name, type, *_ in described}
pathlib.Path(out).write_text(json.dumps({"types": types, "rows": rows, "arrow": arrow}))
