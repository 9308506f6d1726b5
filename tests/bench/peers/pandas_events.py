"""pandas_events.py [--by-row] DB FILE… - events into a database with pandas: read_csv, to_sql

Without --by-row, as its experts do, column by column.
"""

import json
import sys

import event_db
import pandas


def metrics(text: object) -> dict:
    found = json.loads(text) if isinstance(text, str) else None
    return (found and found.get("metrics")) or {}


def others(found: dict) -> str | None:
    unknown = {name: found[name] for name in sorted(found) if name not in event_db.KNOWN}
    return json.dumps(unknown, separators=(",", ":")) if unknown else None


by_row = sys.argv[1] == "--by-row"
path, *files = sys.argv[1 + by_row :]
db = event_db.opened(path)
for file in files:
    events = pandas.read_csv(file, sep="\t")
    if by_row:
        found = pandas.Series([metrics(row["event_metrics"]) for _, row in events.iterrows()])
        events = events.drop(columns="event_metrics")
    else:
        found = events.pop("event_metrics").apply(metrics)
    for name in event_db.KNOWN:
        values = found.apply(lambda metrics, name=name: metrics.get(name))
        events[name] = values.astype("Int64")
    events["other_metrics"] = found.apply(others)
    events.to_sql("event", db, if_exists="append", index=False)
event_db.closed(db)
