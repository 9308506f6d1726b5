"""The case of events with metrics: many files into a database."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

from bench import PEERS, PEERS_PYTHON
from bench.case import Case
from bench.contenders import Contender, ours, remove_database
from bench.data import Data
from bench.targets import AsFast

_METRICS = ("metric_one", "metric_two", "metric_n")
_TOTALS = [
    *("count(*)", "sum(id)", "count(DISTINCT substr(recorded_date, 1, 13))"),
    *(f"{what}({name})" for name in _METRICS for what in ("sum", "count")),
    *("count(other_metrics)", "sum(length(other_metrics))"),
]


def event_metrics(data: Data) -> Case:
    files = data.event_metrics()
    db = data.work / "events.db"
    same = {"ready": lambda: remove_database(db), "answer": _totals(db)}

    def peer(name: str, script: str, *options: str) -> Contender:
        command = [PEERS_PYTHON, PEERS / script, *options, db, *files]
        return Contender(name, list(map(str, command)), **same)

    return Case(
        "events with metrics, 24 files",
        [
            ours("import-event-metrics", "--quiet", "--db", db, *files, **same),
            peer("pandas by row", "pandas_events.py", "--by-row"),
            peer("pandas", "pandas_events.py"),
            peer("DuckDB", "duckdb_events.py"),
        ],
        [AsFast(8, "pandas by row"), AsFast(1.5, "DuckDB")],
    )


def _totals(db: Path) -> Callable[[str], str]:
    """What the database holds, whatever the program has printed."""

    def read(_: str) -> str:
        connection = sqlite3.connect(db)
        try:
            found = connection.execute(f"SELECT {', '.join(_TOTALS)} FROM event").fetchone()
            return "\n".join(map(str, found))
        finally:
            connection.close()

    return read
