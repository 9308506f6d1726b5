"""pandas_events.py DB FILE… - events into a database, as with pandas: read_csv, to_sql"""

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


path, *files = sys.argv[1:]
db = event_db.opened(path)
for file in files:
    events = pandas.read_csv(file, sep="\t")
    found = events.pop("event_metrics").apply(metrics)
    for name in event_db.KNOWN:
        events[name] = found.apply(lambda metrics, name=name: metrics.get(name)).astype("Int64")
    events["other_metrics"] = found.apply(others)
    events.to_sql("event", db, if_exists="append", index=False)
event_db.closed(db)
