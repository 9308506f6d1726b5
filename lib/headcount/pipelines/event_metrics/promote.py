"""A column for a metric that has been kept in other_metrics: its own, or a generated one."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator

import msgspec

from headcount.db.sql import quoted
from headcount.errors import USAGE, Failure
from headcount.pipelines.event_metrics import metric_values, record, registry
from headcount.pipelines.event_metrics.registry import GENERATED, OWN, Column
from headcount.pipelines.event_metrics.table import OTHERS

_MOST_COLUMNS = 400  # SQLite's limits: 500 parts of the view, 2,000 columns
_BATCH = 10_000  # events
_encode = msgspec.json.Encoder().encode
_decode_raw = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def promote(db: sqlite3.Connection, name: str, column: str, kind: str, *, new: bool) -> int:
    """Within a transaction: give a metric a column; returns how many events have a value.

    With a column of its own, values move there from other_metrics, and imports bring more; all
    must be integers. A generated one shows what is in other_metrics, of any type.
    Raises Failure 2 for a metric that no event has (unless `new`), for one with a column already,
    and for a column that cannot be; 1 for a value that is no integer.
    """
    present = {known_column.name: known_column for known_column in registry.columns(db)}
    if known := present.get(name):
        if known == Column(name, column, kind):
            return _valued(db, column)
        if not (known.kind == GENERATED and kind == OWN):
            raise Failure(f"metric {name!r} has the column {known.column!r} already", USAGE)
    elif not new and not _seen(db, name):
        raise Failure(
            f"no event has a metric {name!r}; see show-report unknown_metrics (or give --new)",
            USAGE,
        )
    if len(present) >= _MOST_COLUMNS:
        raise Failure(f"there are {len(present)} metrics with columns: no more can be had", USAGE)
    db.execute("DROP VIEW event_metric")
    if known:
        db.execute("DELETE FROM metric_column WHERE name = ?", [name])
        db.execute(f"ALTER TABLE event DROP COLUMN {quoted(known.column)}")
    _check_free(db, column)
    if kind == OWN:
        db.execute(f"ALTER TABLE event ADD COLUMN {quoted(column)} INTEGER")
        _move(db, name, column)
        db.execute("DELETE FROM metric WHERE name = ?", [name])
    else:
        db.execute(
            f"ALTER TABLE event ADD COLUMN {quoted(column)} "
            f"GENERATED ALWAYS AS (json_extract({OTHERS}, {_path(name)})) VIRTUAL"
        )
    db.execute("INSERT INTO metric_column VALUES (?, ?, ?)", [name, column, kind])
    _view(db)
    return _valued(db, column)


def _seen(db: sqlite3.Connection, name: str) -> bool:
    return bool(db.execute("SELECT 1 FROM metric WHERE name = ?", [name]).fetchone())


def _valued(db: sqlite3.Connection, column: str) -> int:
    return db.execute(f"SELECT count({quoted(column)}) FROM event").fetchone()[0]


def _check_free(db: sqlite3.Connection, column: str) -> None:
    quoted(column)
    for (present,) in db.execute("SELECT name FROM pragma_table_xinfo('event')"):
        if _folded(present) == _folded(column):
            text = f"event has a column {present!r} already: name another with --column"
            raise Failure(text, USAGE)


def _folded(name: str) -> str:
    """As SQLite compares names: only the case of ASCII makes no difference."""
    return re.sub("[A-Z]", lambda letter: letter[0].lower(), name)


def _path(name: str) -> str:
    """Where a metric is in other_metrics, as a text in SQL."""
    if _encode(name) != f'"{name}"'.encode():
        text = f"SQLite cannot look for {name!r} in JSON: give it a column of its own"
        raise Failure(f"{text}, without --generated", USAGE)
    path = '$."' + name.replace("'", "''") + '"'
    return f"'{path}'"


def _move(db: sqlite3.Connection, name: str, column: str) -> None:
    for batch in _batches(db, name):
        moved = []
        for ident, text in batch:
            values = _decode_raw(text)
            if name not in values:
                continue  # the text was a value's
            value = metric_values.value_of(values.pop(name))
            try:
                integer = metric_values.known(value)
            except ValueError:
                raise Failure(
                    f"metric {name!r} is no integer in event {ident}: {value!r:.40}. "
                    "Give it a column of any type with --generated"
                ) from None
            moved.append((integer, record.as_json(values), ident))
        db.executemany(f"UPDATE event SET {quoted(column)} = ?, {OTHERS} = ? WHERE id = ?", moved)


def _batches(db: sqlite3.Connection, name: str) -> Iterator[list[tuple[int, str]]]:
    """Events that may have a metric, and their other_metrics: some at a time, as they change."""
    query = (
        f"SELECT id, {OTHERS} FROM event WHERE {OTHERS} IS NOT NULL AND id >= ? "
        f"AND instr({OTHERS}, ?) ORDER BY id LIMIT {_BATCH}"
    )
    start, wanted = metric_values.LEAST, _encode(name).decode()
    while batch := db.execute(query, [start, wanted]).fetchall():
        yield batch
        start = batch[-1][0] + 1
        if start > metric_values.MOST:
            break


def _view(db: sqlite3.Connection) -> None:
    """event_metric: each event's value, or null, of each metric with a column."""
    parts = []
    for name, column, _ in registry.columns(db):
        text = "'" + name.replace("'", "''") + "'"
        parts.append(
            f"SELECT id AS event_id, recorded_date, {text} AS metric, {quoted(column)} AS value "
            "FROM event"
        )
    db.execute(f"CREATE VIEW event_metric AS {' UNION ALL '.join(parts)}")
