"""Parts of sites' local days (chat_part): what counting needs of the lines.

Each transaction adds a part for every site and day that it brings lines of; of many, one is made.
"""

from __future__ import annotations

import sqlite3
from array import array
from datetime import date
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from pyroaring import BitMap

from headcount.pipelines.site_activity import record
from headcount.pipelines.site_activity.chat_table import KINDS, ODD, Table, firsts
from headcount.pipelines.site_activity.line_store import packed, unpacked
from headcount.values.zones import DAY_SECONDS, LocalDays

# Which parts the tables for queries do not have yet.
DUE = "id > (SELECT coalesce(max(part), 0) FROM chat_published)"


def add(db: sqlite3.Connection, days: LocalDays, table: Table) -> None:
    """Add a part for each site and local day of the lines."""
    if not table.lines:
        return
    dates = _ordinals(days, table.times)
    first = int(dates.min())
    number = int(dates.max()) - first + 1  # of dates
    kinds = table.kinds % ODD
    statuses = kinds != KINDS[None]
    groups = (table.sites.astype(np.int64) * number + (dates - first)) << 1 | statuses
    # numpy sorts numbers of 16 bits ten times as fast, and there are seldom more groups
    order = np.argsort(groups.astype(np.min_scalar_type(groups.max())), kind="stable")
    groups, kinds = groups[order], kinds[order]
    times, names = table.times[order], table.names[order]
    begins = np.flatnonzero(firsts(groups)).tolist()
    rows = []
    for begin, end in pairwise([*begins, len(groups)]):
        group, statuses = divmod(int(groups[begin]), 2)
        site, day = divmod(group, number)
        columns = times[begin:end], names[begin:end], kinds[begin:end]
        half = _statuses(*columns) if statuses else _messages(*columns[:2])
        rows.append((site, date.fromordinal(first + day).isoformat(), *half))
    _insert(db, rows)


def _messages(times: np.ndarray, visitors: np.ndarray) -> tuple:
    """The columns of a part."""
    times = np.sort(times)
    return int(times[0]), int(times[-1]), _bitmap(visitors), packed(times), None, None


def _statuses(times: np.ndarray, names: np.ndarray, kinds: np.ndarray) -> tuple:
    return None, None, None, None, _bitmap(names), packed(times, names, kinds)


def _bitmap(names: np.ndarray) -> bytes:
    numbers = array("I")
    numbers.frombytes(names.astype(np.uint32).tobytes())
    return BitMap(numbers).serialize()


def _insert(db: sqlite3.Connection, rows: list[tuple]) -> None:
    db.executemany(
        "INSERT INTO chat_part "
        "(site, date, since, until, visitors, messages, operators, statuses) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        rows,
    )


def _ordinals(days: LocalDays, times: np.ndarray) -> np.ndarray:
    """The local date of each instant, as its ordinal."""
    seconds = times.astype(np.int64) + record.FIRST
    utc_days = seconds // DAY_SECONDS
    first = int(utc_days.min())
    starts, ordinals = [], []
    for day in np.flatnonzero(np.bincount(utc_days - first)).tolist():
        for start, local in days.pieces(first + day):
            starts.append(start)
            ordinals.append(local.toordinal())
    return np.array(ordinals)[np.searchsorted(starts, seconds, "right") - 1]


class Part(NamedTuple):
    """A row of chat_part."""

    id: int
    due: int
    operators: bytes | None
    statuses: bytes | None
    visitors: bytes | None
    messages: bytes | None


class Day:
    """A local day of a site, with all its parts."""

    def __init__(self, db: sqlite3.Connection, site: int, day: str):
        self.site, self.date = site, day
        rows = db.execute(
            f"SELECT id, {DUE}, operators, statuses, visitors, messages FROM chat_part "
            "WHERE site = ? AND date = ?",
            [site, day],
        )
        self.parts = [Part(*row) for row in rows]
        times = [unpacked(part.messages)[0] for part in self.parts if part.messages]
        self.times = np.concatenate(times) if times else np.empty(0, np.uint64)
        self.operators = len(union([part.operators for part in self.parts]))
        self.visitors = union([part.visitors for part in self.parts])


def join(db: sqlite3.Connection, day: Day) -> None:
    """Put few parts in place of a day's many."""
    db.executemany("DELETE FROM chat_part WHERE id = ?", [[part.id] for part in day.parts])
    rows = []
    if len(day.times):
        rows.append((day.site, day.date, *_messages(day.times, np.array(day.visitors))))
    statuses = [unpacked(part.statuses) for part in day.parts if part.statuses]
    if statuses:
        columns = map(np.concatenate, zip(*statuses, strict=True))
        rows.append((day.site, day.date, *_statuses(*columns)))
    _insert(db, rows)


def union(bitmaps: list[bytes | None]) -> BitMap:
    """Who is in any of these."""
    return BitMap.union(BitMap(), *(BitMap.deserialize(bitmap) for bitmap in bitmaps if bitmap))
