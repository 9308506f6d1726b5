"""What the database knows of metrics: which have a column, which others have come."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from headcount.cli.main import note
from headcount.pipelines.event_metrics.metric_values import value_of
from headcount.pipelines.event_metrics.record import Reader
from headcount.values import tsv

OWN, GENERATED = "own", "generated"

_MOST = 10_000  # to hold: names may be anything, and many
_TYPES = {
    int: "integer",
    float: "real",
    str: "text",
    bool: "boolean",
    type(None): "null",
    dict: "object",
    list: "array",
}
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Column(NamedTuple):
    """A metric with a column in event."""

    name: str
    column: str
    kind: str


def columns(db: sqlite3.Connection) -> list[Column]:
    """Those there are, in the order in which they came."""
    rows = db.execute("SELECT name, column_name, kind FROM metric_column ORDER BY rowid")
    return list(map(Column._make, rows))


def others(db: sqlite3.Connection) -> int:
    """How many events have other metrics."""
    query = "SELECT count(*) FROM event WHERE other_metrics IS NOT NULL"
    return db.execute(query).fetchone()[0]


def update(db: sqlite3.Connection, run_id: int, before: int) -> None:
    """Enter what a run has brought or changed; `before` it, so many events had other metrics."""
    brought = db.execute(
        "SELECT count(*) FROM event WHERE other_metrics IS NOT NULL AND run_id = ?", [run_id]
    ).fetchone()[0]
    if others(db) == before + brought:
        _enter(db, "run_id = ?", [run_id])
    else:  # an event has lost others than it got: who knows whether it was the first or the last
        db.execute("DELETE FROM metric")
        _enter(db, "true")


def _enter(db: sqlite3.Connection, which: str, values: Iterable = ()) -> None:
    seen: dict[tuple[str, str], list] = {}
    events = db.execute(
        f"SELECT recorded_date, other_metrics FROM event "
        f"WHERE other_metrics IS NOT NULL AND {which}",
        values,
    )
    for at, text in events:
        for name, raw in _decode(text).items():
            value = value_of(raw)
            extent = seen.setdefault((name, _TYPES[type(value)]), [at, at, 0])
            if at < extent[0]:
                extent[0] = at
            elif at > extent[1]:
                extent[1] = at
            extent[2] += 1
        if len(seen) > _MOST:
            _add(db, seen)
    _add(db, seen)


def _add(db: sqlite3.Connection, seen: dict[tuple[str, str], list]) -> None:
    db.executemany(
        "INSERT INTO metric (name, type, first_seen, last_seen, events) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (name, type) DO UPDATE SET "
        "first_seen = min(metric.first_seen, excluded.first_seen), "
        "last_seen = max(metric.last_seen, excluded.last_seen), "
        "events = metric.events + excluded.events",
        [(*key, *values) for key, values in seen.items()],
    )
    seen.clear()


_SHOWN = 20


class UnknownMetrics:
    """Collects the names that readers, each in a process of its own, come upon; and how many rows
    of each file have values that are not where metrics are."""

    def __init__(self, expected: set[str]):
        self._told = set(expected)
        self._names: set[str] = set()
        self._outside: Counter[str] = Counter()

    def new(self, reader: Reader, path: str) -> bytes:
        """The names that a reader has come upon since this was asked last, as rows; and one of a
        path and a number, if it has come upon values outside of metrics there."""
        new, outside = reader.unknown - self._told, reader.outside
        reader.unknown.clear()
        reader.outside = 0
        rows = [tsv.row(tsv.shown(path), outside)] if outside else []
        if new and len(self._told) <= _MOST:
            self._told |= new
            rows += map(tsv.row, sorted(new))
        return b"".join(rows)

    def take(self, rows: bytes) -> None:
        """Take in such rows."""
        for row in rows.decode().split("\n")[:-1]:
            name, *count = map(tsv.unescape, row.split("\t"))
            if count:
                self._outside[name] += int(*count)
            else:
                self._names.add(name)

    def warn(self, options, where: str, more: str) -> None:
        """One warning for each: `where` it is kept, and how to see `more` than are shown.

        And one for each file with values outside of metrics.
        """
        for path, count in self._outside.items():
            text = 'expected {"metrics": {name: value…}}, got other keys in'
            events = "1 event" if count == 1 else f"{count} events"
            note(f"{path}: event_metrics: {text} {events}: kept without these values", options)
        for name in sorted(self._names)[:_SHOWN]:
            note(f"unknown metric {name!r}: kept in {where}", options)
        if len(self._names) > _SHOWN:
            note(f"{len(self._names) - _SHOWN} more unknown metrics{more}", options)
