"""When sites are online, worked out from the statuses of their operators."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from headcount.pipelines.site_activity import record
from headcount.pipelines.site_activity.chat_table import KINDS, TIME_BITS, changes, intervals
from headcount.pipelines.site_activity.day_parts import DUE
from headcount.pipelines.site_activity.line_store import unpacked

_TIME_MASK = (np.uint64(1) << TIME_BITS) - np.uint64(1)


class Spans(NamedTuple):
    """From which key of site and time until before which."""

    starts: np.ndarray
    ends: np.ndarray


class Online:
    """When sites are online."""

    def __init__(self, db: sqlite3.Connection, texts: dict[int, str]):
        self._db, self._texts = db, texts
        self._spans = self._published()

    def at(self, keys: np.ndarray) -> np.ndarray:
        """Whether sites are online, by keys of site and time."""
        if not len(self._spans.starts):
            return np.zeros(len(keys), bool)
        span = np.searchsorted(self._spans.starts, keys, "right")
        return (span > 0) & (keys < self._spans.ends[span - 1])

    def update(self) -> Spans:
        """Bring site_online_interval in line with the statuses; returns the spans that differ."""
        due = f"SELECT DISTINCT site FROM chat_part WHERE {DUE} AND statuses IS NOT NULL"
        sites = [site for (site,) in self._db.execute(due)]
        old = self._spans
        touched = np.isin(old.starts >> TIME_BITS, sites)
        new = self._from_statuses(sites)
        gone = touched & ~_among(old, new)
        added = ~_among(new, old)
        self._db.executemany(
            "DELETE FROM site_online_interval WHERE site_id = ? AND online_from = ?",
            [row[:2] for row in self._rows(old.starts[gone], old.ends[gone])],
        )
        self._db.executemany(
            "INSERT INTO site_online_interval (site_id, online_from, online_until) "
            "VALUES (?, ?, ?)",
            self._rows(new.starts[added], new.ends[added]),
        )
        starts = np.concatenate([old.starts[~touched], new.starts])
        ends = np.concatenate([old.ends[~touched], new.ends])
        order = np.argsort(starts)
        self._spans = Spans(starts[order], ends[order])
        return Spans(
            np.concatenate([old.starts[gone], new.starts[added]]),
            np.concatenate([old.ends[gone], new.ends[added]]),
        )

    def _published(self) -> Spans:
        rows = of_sites(
            self._db,
            "SELECT chat_site.id, online_from, online_until FROM site_online_interval "
            "JOIN chat_site ON key = site_id WHERE chat_site.id IN ({})",
            list(self._texts),
        )
        spans = np.array(
            [
                (site << int(TIME_BITS) | since - record.FIRST, _end(site, until))
                for site, since, until in rows
            ],
            np.uint64,
        ).reshape(-1, 2)
        spans = spans[np.argsort(spans[:, 0])]
        return Spans(spans[:, 0], spans[:, 1])

    def _from_statuses(self, sites: list[int]) -> Spans:
        columns = [
            (np.full(len(times), site, np.uint32), names, times, kinds == KINDS[record.ONLINE])
            for site, statuses in of_sites(
                self._db,
                "SELECT site, statuses FROM chat_part WHERE statuses IS NOT NULL AND site IN ({})",
                sites,
            )
            for times, names, kinds in [unpacked(statuses)]
        ]
        if not columns:
            return Spans(np.empty(0, np.uint64), np.empty(0, np.uint64))
        return Spans(*intervals(*changes(*map(np.concatenate, zip(*columns, strict=True)))))

    def _rows(self, starts: np.ndarray, ends: np.ndarray) -> Iterator[tuple[str, int, int | None]]:
        sites = (starts >> TIME_BITS).tolist()
        since = ((starts & _TIME_MASK).astype(np.int64) + record.FIRST).tolist()
        until = ((ends & _TIME_MASK).astype(np.int64) + record.FIRST).tolist()
        open_ended = (ends >> TIME_BITS != starts >> TIME_BITS).tolist()
        for site, begin, end, is_open in zip(sites, since, until, open_ended, strict=True):
            yield self._texts[site], begin, None if is_open else end


def _end(site: int, until: int | None) -> int:
    """The key of an interval's end: of one without, where the next site begins."""
    if until is None:
        return site + 1 << int(TIME_BITS)
    return site << int(TIME_BITS) | until - record.FIRST


def _among(spans: Spans, others: Spans) -> np.ndarray:
    """Which spans are among the others. Both are sorted."""
    if not len(others.starts):
        return np.zeros(len(spans.starts), bool)
    place = np.minimum(np.searchsorted(others.starts, spans.starts), len(others.starts) - 1)
    return (others.starts[place] == spans.starts) & (others.ends[place] == spans.ends)


def of_sites(db: sqlite3.Connection, query: str, sites: list[int]) -> list[tuple]:
    """The rows of a query for some sites: numbers of ours, so they may stand in its text."""
    return db.execute(query.format(", ".join(map(str, sites)))).fetchall()
