"""The site activity in the database: merging lines into it, and publishing what follows from them.

What is merged is cut into parts, of a site on a local day: when its messages came, which statuses
there were, and who sent them. Publishing counts the days that new lines can have changed, and no
others.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from itertools import pairwise

import numpy as np
from pyroaring import BitMap

from headcount import chat, chat_lines, dictionary
from headcount.chat_lines import packed, unpacked
from headcount.chat_table import (
    KINDS,
    ODD,
    TIME_BITS,
    Table,
    changes,
    firsts,
    intervals,
    key,
)
from headcount.zones import DAY_SECONDS, LocalDays

_MANY = 16  # parts of a day, from which on they are joined
_AT_ONCE = 1_000_000  # messages to count
_DUE = "id > (SELECT coalesce(max(part), 0) FROM chat_published)"
_TIME_MASK = (np.uint64(1) << TIME_BITS) - np.uint64(1)


class Merger:
    """Brings tables into the store, whose codes are those of one collection of lines."""

    def __init__(self, db: sqlite3.Connection, days: LocalDays):
        self._db, self._days = db, days
        self._sites, self._names = array("I"), array("I")  # ours for the codes of the tables

    def merge(self, table: Table, new_sites: list[str], new_names: list[str]) -> int:
        """Within a transaction: add lines; returns how many were no copies.

        `new_sites` and `new_names` are the texts of the codes that no table had before.
        """
        db = self._db
        for ours, name, texts in (
            (self._sites, "chat_site", new_sites),
            (self._names, "chat_name", new_names),
        ):
            ids = dictionary.ids(db, name, texts)
            ours.extend([ids[text] for text in texts])
        table = table._replace(
            sites=np.frombuffer(self._sites, np.uint32)[table.sites],
            names=np.frombuffer(self._names, np.uint32)[table.names],
        )
        texts = _texts(db, "chat_site"), _texts(db, "chat_name")
        new, displaced = chat_lines.merge(db, table, *texts)
        for site in displaced.tolist():
            db.execute("UPDATE chat_site SET stale = 1 WHERE id = ?", [site])
        stale = _stale(db)
        add_parts(db, self._days, new.rows(~np.isin(new.sites, stale)) if stale else new)
        return new.lines


def _texts(db: sqlite3.Connection, table: str):
    def texts(codes: list[int]) -> list[str]:
        known = dictionary.keys(db, table, codes)
        return [known[code] for code in codes]

    return texts


def _stale(db: sqlite3.Connection) -> list[int]:
    return [site for (site,) in db.execute("SELECT id FROM chat_site WHERE stale")]


def add_parts(db: sqlite3.Connection, days: LocalDays, table: Table) -> None:
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
    _insert_parts(db, rows)


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


def _insert_parts(db: sqlite3.Connection, rows: list[tuple]) -> None:
    db.executemany(
        "INSERT INTO chat_part "
        "(site, date, since, until, visitors, messages, operators, statuses) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        rows,
    )


def _ordinals(days: LocalDays, times: np.ndarray) -> np.ndarray:
    """The local date of each instant, as its ordinal."""
    seconds = times.astype(np.int64) + chat.FIRST
    utc_days = seconds // DAY_SECONDS
    first = int(utc_days.min())
    starts, ordinals = [], []
    for day in np.flatnonzero(np.bincount(utc_days - first)).tolist():
        for start, local in days.pieces(first + day):
            starts.append(start)
            ordinals.append(local.toordinal())
    return np.array(ordinals)[np.searchsorted(starts, seconds, "right") - 1]


class Publisher:
    """Brings the tables for queries up to date with the parts that are due."""

    def __init__(self, db: sqlite3.Connection, days: LocalDays):
        self._db, self._days = db, days

    def publish(self) -> None:
        """Within a transaction."""
        db = self._db
        self._renew_stale()
        due = db.execute(f"SELECT DISTINCT site, date FROM chat_part WHERE {_DUE}").fetchall()
        sites = sorted({site for site, _ in due})
        texts = dictionary.keys(db, "chat_site", sites)
        online = _Online(db, texts)
        changed = online.update()
        days = sorted({*due, *self._days_within(changed, sites)})
        for some in self._read(days):
            self._count(some, online, texts)
        self._total(sites, texts)
        db.execute("DELETE FROM chat_published")
        db.execute("INSERT INTO chat_published SELECT max(id) FROM chat_part HAVING max(id)")

    def _renew_stale(self) -> None:
        """Cut the parts of sites anew from which lines have gone."""
        db, stale = self._db, _stale(self._db)
        for site, text in dictionary.keys(db, "chat_site", stale).items():
            db.execute("DELETE FROM chat_part WHERE site = ?", [site])
            db.execute(
                "UPDATE chat_site SET stale = 0, operators = NULL, visitors = NULL WHERE id = ?",
                [site],
            )
            for table in ("site_activity", "site_activity_by_day", "site_online_interval"):
                db.execute(f"DELETE FROM {table} WHERE site_id = ?", [text])
        if stale:
            for table in chat_lines.tables(db):
                add_parts(db, self._days, table.rows(np.isin(table.sites, stale)))

    def _days_within(self, spans: Spans, sites: list[int]) -> Iterator[tuple[int, str]]:
        """Days with messages in one of these spans."""
        if not len(spans.starts):
            return
        starts, ends = np.sort(spans.starts), np.sort(spans.ends)
        found = _of_sites(
            self._db,
            "SELECT site, date, min(since), max(until) FROM chat_part "
            "WHERE since IS NOT NULL AND site IN ({}) GROUP BY site, date",
            sites,
        )
        site, _, since, until = zip(*found, strict=True) if found else [()] * 4
        site = np.array(site, np.uint64)
        first, last = (key(site, np.array(times, np.uint64)) for times in (since, until))
        begun = np.searchsorted(starts, last, "right")
        over = np.searchsorted(ends, first, "right")
        for i in np.flatnonzero(begun > over).tolist():
            yield found[i][:2]

    def _read(self, days: list[tuple[int, str]]) -> Iterator[list[_Day]]:
        """Days with all their parts, some at a time."""
        some, messages = [], 0
        for site, day in days:
            parts = self._db.execute(
                f"SELECT id, {_DUE}, operators, statuses, visitors, messages FROM chat_part "
                "WHERE site = ? AND date = ?",
                [site, day],
            ).fetchall()
            some.append(_Day(site, day, parts))
            messages += len(some[-1].times)
            if len(parts) > _MANY:
                self._join(some[-1])
            if messages > _AT_ONCE:
                yield some
                some, messages = [], 0
        yield some

    def _join(self, day: _Day) -> None:
        """Put few parts in place of a day's many."""
        db = self._db
        db.executemany("DELETE FROM chat_part WHERE id = ?", [part[:1] for part in day.parts])
        rows = []
        if len(day.times):
            rows.append((day.site, day.date, *_messages(day.times, np.array(day.visitors))))
        statuses = [unpacked(part[3]) for part in day.parts if part[3]]
        if statuses:
            columns = map(np.concatenate, zip(*statuses, strict=True))
            rows.append((day.site, day.date, *_statuses(*columns)))
        _insert_parts(db, rows)

    def _count(self, days: list[_Day], online: _Online, texts: dict[int, str]) -> None:
        lengths = [len(day.times) for day in days]
        place = np.repeat(np.arange(len(days)), lengths)
        sites = np.repeat(np.array([day.site for day in days], np.uint64), lengths)
        times = np.concatenate([day.times for day in days]) if days else np.empty(0, np.uint64)
        chats = np.bincount(place[online.at(key(sites, times))], minlength=len(days)).tolist()
        self._db.executemany(
            "INSERT INTO site_activity_by_day "
            "(date, site_id, messages, emails, operators, visitors) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (site_id, date) DO UPDATE SET "
            "messages = excluded.messages, emails = excluded.emails, "
            "operators = excluded.operators, visitors = excluded.visitors",
            [
                (day.date, texts[day.site], n, len(day.times) - n, day.operators, len(day.visitors))
                for day, n in zip(days, chats, strict=True)
            ],
        )
        self._add_names(days)

    def _add_names(self, days: list[_Day]) -> None:
        """Add who is new on these days to all who ever were."""
        new = defaultdict(list)
        for day in days:
            for _, due, operators, _, visitors, _ in day.parts:
                if due:
                    new[day.site].append((operators, visitors))
        for site, parts in new.items():
            before = self._db.execute(
                "SELECT operators, visitors FROM chat_site WHERE id = ?", [site]
            ).fetchone()
            names = (_union([*column]).serialize() for column in zip(before, *parts, strict=True))
            self._db.execute(
                "UPDATE chat_site SET operators = ?, visitors = ? WHERE id = ?", [*names, site]
            )

    def _total(self, sites: list[int], texts: dict[int, str]) -> None:
        for site in sites:
            names = self._db.execute(
                "SELECT operators, visitors FROM chat_site WHERE id = ?", [site]
            ).fetchone()
            self._db.execute(
                "INSERT OR REPLACE INTO site_activity "
                "(site_id, messages, emails, operators, visitors) "
                "SELECT site_id, sum(messages), sum(emails), ?, ? FROM site_activity_by_day "
                "WHERE site_id = ? GROUP BY site_id",
                [*(len(_union([bitmap])) for bitmap in names), texts[site]],
            )


class _Day:
    """A local day of a site, with all its parts."""

    def __init__(self, site: int, day: str, parts: list[tuple]):
        self.site, self.date, self.parts = site, day, parts
        times = [unpacked(part[5])[0] for part in parts if part[5]]
        self.times = np.concatenate(times) if times else np.empty(0, np.uint64)
        self.operators = len(_union([part[2] for part in parts]))
        self.visitors = _union([part[4] for part in parts])


def _union(bitmaps: list[bytes | None]) -> BitMap:
    return BitMap.union(BitMap(), *(BitMap.deserialize(one) for one in bitmaps if one))


class Spans:
    """From which key of site and time until before which, sorted."""

    def __init__(self, starts: np.ndarray, ends: np.ndarray):
        self.starts, self.ends = starts, ends


class _Online:
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
        due = f"SELECT DISTINCT site FROM chat_part WHERE {_DUE} AND statuses IS NOT NULL"
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
        found = _of_sites(
            self._db,
            "SELECT chat_site.id, online_from, online_until FROM site_online_interval "
            "JOIN chat_site ON key = site_id WHERE chat_site.id IN ({})",
            list(self._texts),
        )
        spans = np.array(
            [
                (site << int(TIME_BITS) | since - chat.FIRST, _end(site, until))
                for site, since, until in found
            ],
            np.uint64,
        ).reshape(-1, 2)
        spans = spans[np.argsort(spans[:, 0])]
        return Spans(spans[:, 0], spans[:, 1])

    def _from_statuses(self, sites: list[int]) -> Spans:
        columns = [
            (np.full(len(times), site, np.uint32), names, times, kinds == KINDS[chat.ONLINE])
            for site, statuses in _of_sites(
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
        since = ((starts & _TIME_MASK).astype(np.int64) + chat.FIRST).tolist()
        until = ((ends & _TIME_MASK).astype(np.int64) + chat.FIRST).tolist()
        open_ended = (ends >> TIME_BITS != starts >> TIME_BITS).tolist()
        for site, begin, end, is_open in zip(sites, since, until, open_ended, strict=True):
            yield self._texts[site], begin, None if is_open else end


def _end(site: int, until: int | None) -> int:
    """The key of an interval's end: of one without, where the next site begins."""
    if until is None:
        return site + 1 << int(TIME_BITS)
    return site << int(TIME_BITS) | until - chat.FIRST


def _among(some: Spans, others: Spans) -> np.ndarray:
    """Which spans are among the others. Both are sorted."""
    if not len(others.starts):
        return np.zeros(len(some.starts), bool)
    place = np.minimum(np.searchsorted(others.starts, some.starts), len(others.starts) - 1)
    return (others.starts[place] == some.starts) & (others.ends[place] == some.ends)


def _of_sites(db: sqlite3.Connection, query: str, sites: list[int]) -> list[tuple]:
    """The rows of a query for some sites: numbers of ours, so they may stand in its text."""
    return db.execute(query.format(", ".join(map(str, sites)))).fetchall()
