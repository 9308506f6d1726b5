"""The store of chat lines, each once: tables of lines in rows of chat_lines, sorted by id.

`hashes` are the ids' first numbers, 64 bits each in the machine's order, sorted; `columns` all
other columns, packed. New lines are compared with the hashes of the old ones; only where some are
equal, the columns are looked at. So a small import reads 8 bytes for each line there is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import msgspec
import numpy as np

from headcount.pipelines.site_activity.chat_table import (
    Table,
    Texts,
    first_copies,
    joined,
    sorted_by_id,
)

_FULL = 2_000_000  # lines in a row, at which no more are added to it
_MARKED = 24  # bits of a hash: with 2 million of them, one old hash in nine is looked at twice
_UNMARKED = np.uint64(64 - _MARKED)

_encode = msgspec.msgpack.encode
_decode = msgspec.msgpack.Decoder(list[tuple[int, str, str, bytes]]).decode


def packed(*columns: np.ndarray) -> bytes:
    """Columns of whole numbers, in as few bytes as each needs."""
    content = []
    for column in columns:
        low = int(column.min()) if len(column) else 0
        small = column - column.dtype.type(low)
        dtype = np.min_scalar_type(small.max()) if len(small) else np.dtype(np.uint8)
        content.append((low, column.dtype.str, dtype.str, small.astype(dtype).tobytes()))
    return _encode(content)


def unpacked(data: bytes) -> list[np.ndarray]:
    """The columns as they were."""
    return [
        np.frombuffer(small, narrow).astype(dtype) + np.dtype(dtype).type(low)
        for low, dtype, narrow, small in _decode(data)
    ]


def _insert(db: sqlite3.Connection, table: Table) -> None:
    """Add a row of lines that are sorted by id."""
    ids, *columns = table
    db.execute(
        "INSERT INTO chat_lines (lines, hashes, columns) VALUES (?, ?, ?)",
        [table.lines, ids[:, 0].tobytes(), packed(ids[:, 1], *columns)],
    )


def _table(hashes: bytes, columns: bytes) -> Table:
    second, *others = unpacked(columns)
    first = np.frombuffer(hashes, np.uint64)
    return Table(np.column_stack([first, second]), *others)


def tables(db: sqlite3.Connection) -> Iterator[Table]:
    """All lines that there are."""
    for (row,) in db.execute("SELECT id FROM chat_lines ORDER BY id").fetchall():
        yield _read(db, row)


def _read(db: sqlite3.Connection, row: int) -> Table:
    packed = db.execute("SELECT hashes, columns FROM chat_lines WHERE id = ?", [row])
    return _table(*packed.fetchone())


def merge(
    db: sqlite3.Connection, table: Table, sites: Texts, names: Texts
) -> tuple[Table, np.ndarray]:
    """Add lines, sorted by id; returns those that were kept, and the sites of those that gave way.

    An old line gives way to one of the same id that is earlier.
    """
    wanted = np.ascontiguousarray(table.ids[:, 0])
    marks = np.zeros(1 << _MARKED, bool)  # of the first bits of the wanted hashes
    marks[wanted >> _UNMARKED] = True
    places, candidates = [], []
    for row, hashes in db.execute("SELECT id, hashes FROM chat_lines"):
        shared = _shared(np.frombuffer(hashes, np.uint64), wanted, marks)
        if len(shared):
            places.append((row, shared))
    for row, shared in places:
        candidates.append(_read(db, row).rows(shared))
    whole = joined([*candidates, table])
    order = np.argsort(whole.ids[:, 0], kind="stable")  # quick, for each of them is sorted
    kept = first_copies(whole, sites, names, order)
    displaced, start = [np.empty(0, np.uint32)], 0
    for (row, shared), candidate in zip(places, candidates, strict=True):
        given_way = ~kept[start : start + len(shared)]
        start += len(shared)
        if given_way.any():
            displaced.append(candidate.sites[given_way])
            _delete(db, row, shared[given_way])
    new = table.rows(kept[start:])
    if new.lines:
        _insert(db, new)
        _join_small(db)
    return new, np.unique(np.concatenate(displaced))


def remove(db: sqlite3.Connection, name: int) -> int:
    """Delete the lines of a sender, and let their sites be counted anew; how many there were."""
    removed = 0
    for (row,) in db.execute("SELECT id FROM chat_lines ORDER BY id").fetchall():
        table = _read(db, row)
        places = np.flatnonzero(table.names == name)
        if len(places):
            for site in np.unique(table.sites[places]).tolist():
                db.execute("UPDATE chat_site SET stale = 1 WHERE id = ?", [site])
            _delete(db, row, places)
            removed += len(places)
    return removed


def _shared(hashes: np.ndarray, wanted: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """The places of those hashes that are wanted; `wanted` is sorted."""
    likely = np.flatnonzero(marks[hashes >> _UNMARKED])
    candidates = hashes[likely]
    place = np.minimum(np.searchsorted(wanted, candidates), len(wanted) - 1)
    return likely[wanted[place] == candidates]


def _delete(db: sqlite3.Connection, row: int, places: np.ndarray) -> None:
    table = _read(db, row)
    db.execute("DELETE FROM chat_lines WHERE id = ?", [row])
    stay = np.ones(table.lines, bool)
    stay[places] = False
    if stay.any():
        _insert(db, table.rows(stay))


def _join_small(db: sqlite3.Connection) -> None:
    """Keep the rows few: each new one is joined with those before it that are no larger."""
    while True:
        last = db.execute("SELECT id, lines FROM chat_lines ORDER BY id DESC LIMIT 2").fetchall()
        if len(last) < 2:
            return
        (new, lines), (old, before) = last
        if before > 2 * lines or before + lines > _FULL:
            return
        whole = sorted_by_id(joined([_read(db, old), _read(db, new)]))
        db.execute("DELETE FROM chat_lines WHERE id IN (?, ?)", [old, new])
        _insert(db, whole)
