"""duckdb_events.py DB FILE… - events into a database: DuckDB reads, executemany writes

The fastest way that needs no program of one's own but this. All cores.
"""

import sys

import duckdb
import event_db

_ROWS = 50_000  # at once

path, *files = sys.argv[1:]
metrics = "event_metrics::JSON->'metrics'"
values = ", ".join(f"(metrics->>'{name}')::BIGINT" for name in event_db.KNOWN)
nulls = ", ".join(f'"{name}": null' for name in event_db.KNOWN)
found = duckdb.connect().execute(
    f"""
    SELECT {", ".join(event_db.COLUMNS)}, {values},
        CASE WHEN len(list_filter(json_keys(metrics), lambda name: name NOT IN $known)) > 0
            THEN json_merge_patch(metrics, '{{{nulls}}}')::VARCHAR END
    FROM (
        SELECT *, nullif({metrics}, 'null') AS metrics
        FROM read_csv($files, delim = '\t', quote = '', header = true, union_by_name = true,
            types = {{id: 'BIGINT', first_dimension_id: 'BIGINT', second_dimension_id: 'BIGINT',
                recorded_date: 'VARCHAR', created_date: 'VARCHAR', event_metrics: 'VARCHAR'}})
    )
    """,
    {"files": files, "known": list(event_db.KNOWN)},
)
db = event_db.opened(path)
while rows := found.fetchmany(_ROWS):
    db.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
event_db.closed(db)
