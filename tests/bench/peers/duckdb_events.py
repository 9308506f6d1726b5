"""duckdb_events.py DB FILE… - events into a database: DuckDB reads, executemany writes

The fastest way that needs no program of one's own but this. All cores.
"""

import sys

import duckdb
import event_db

_ROWS = 50_000  # at once

path, *files = sys.argv[1:]
paths = [f"$.metrics.{name}" for name in event_db.KNOWN]
values = ", ".join(f"known[{i}]::BIGINT" for i in range(1, len(paths) + 1))
nulls = ", ".join(f'"{name}": null' for name in event_db.KNOWN)
found = duckdb.connect().execute(
    f"""
    SELECT {", ".join(event_db.COLUMNS)}, {values},
        CASE WHEN len(json_keys(event_metrics, '$.metrics')) > list_count(known)
            THEN json_merge_patch(event_metrics->'metrics', '{{{nulls}}}')::VARCHAR END
    FROM (
        SELECT *, json_extract_string(event_metrics, $paths) AS known
        FROM read_csv($files, delim = '\t', quote = '', header = true, union_by_name = true,
            types = {{id: 'BIGINT', first_dimension_id: 'BIGINT', second_dimension_id: 'BIGINT',
                recorded_date: 'VARCHAR', created_date: 'VARCHAR', event_metrics: 'VARCHAR'}})
    )
    """,
    {"files": files, "paths": paths},
)
db = event_db.opened(path)
while rows := found.fetchmany(_ROWS):
    db.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
event_db.closed(db)
