"""Holes in a stream whose events are numbered one by one: what was missed, what fills it.

Of each part of a stream (topic and partition), stream_extent holds the first and the last offset
seen, and stream_gap the ranges between them that are missing, both ends included.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import pairwise

from headcount.values import clock

Range = tuple[int, int]  # from the first to the last offset, both included


def merged(ranges: Iterable[Range]) -> Iterator[Range]:
    """The fewest ranges that hold the same offsets, in order."""
    first = last = None
    for begin, end in sorted(ranges):
        if last is not None and begin <= last + 1:
            last = max(last, end)
            continue
        if last is not None:
            yield first, last
        first, last = begin, end
    if last is not None:
        yield first, last


def _ranges(offsets: list[int]) -> list[Range]:
    """The fewest ranges that hold these offsets, in order."""
    first, last = min(offsets), max(offsets)
    if last - first < len(offsets) == len(set(offsets)):  # of a stream without holes, all follow
        return [(first, last)]
    return list(merged((offset, offset) for offset in offsets))


def without(gap: Range, present: Iterable[Range]) -> list[Range]:
    """What is left of a gap once these ranges, in order, are present."""
    left = []
    first, last = gap
    for begin, end in present:
        if end < first or begin > last:
            continue
        if begin > first:
            left.append((first, begin - 1))
        first = end + 1
    if first <= last:
        left.append((first, last))
    return left


class Gaps:
    """Keeps the two tables true, within the transactions that bring the events."""

    def __init__(self, db: sqlite3.Connection):
        self._db = db
        self._extents: dict[tuple[str, int], Range] = {
            (topic, partition): (first, last)
            for topic, partition, first, last in db.execute(
                "SELECT topic, partition, first_offset, last_offset FROM stream_extent"
            )
        }

    def enter(self, topic: str, partition: int, offsets: list[int], near: str | None) -> None:
        """Enter that events with these offsets have come, in whatever order.

        `near` is the time of an event among them.
        """
        part = topic, partition
        came = _ranges(offsets)
        extent = self._extents.get(part)
        if extent and came[0][0] <= extent[1]:
            self._fill(part, came)
        whole = list(merged([*came, extent] if extent else came))
        missing = [(last + 1, first - 1) for (_, last), (first, _) in pairwise(whole)]
        self._add(part, missing, near, clock.now())
        grown = whole[0][0], whole[-1][1]
        if grown != extent:
            self._extents[part] = grown
            self._db.execute(
                "INSERT INTO stream_extent (topic, partition, first_offset, last_offset) "
                "VALUES (?, ?, ?, ?) ON CONFLICT (topic, partition) DO UPDATE SET "
                "first_offset = excluded.first_offset, last_offset = excluded.last_offset",
                [*part, *grown],
            )

    def _fill(self, part: tuple[str, int], came: list[Range]) -> None:
        gaps = self._db.execute(
            "SELECT first_offset, last_offset, near, noticed_at FROM stream_gap "
            "WHERE topic = ? AND partition = ? AND first_offset <= ? AND last_offset >= ?",
            [*part, came[-1][1], came[0][0]],
        ).fetchall()
        for first, last, *when in gaps:
            left = without((first, last), came)
            if left != [(first, last)]:
                self._db.execute(
                    "DELETE FROM stream_gap WHERE topic = ? AND partition = ? AND first_offset = ?",
                    [*part, first],
                )
                self._add(part, left, *when)

    def _add(self, part: tuple[str, int], gaps: list[Range], near: str | None, at: str) -> None:
        self._db.executemany(
            "INSERT INTO stream_gap "
            "(topic, partition, first_offset, last_offset, near, noticed_at) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            [(*part, *gap, near, at) for gap in gaps],
        )
