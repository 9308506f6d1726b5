"""The site activity in the database, where lines are merged before they are published.

Publishing counts the days that new lines can have changed, and no others.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from headcount.db import sql
from headcount.db.tombstones import KEY, Tombstones
from headcount.pipelines.site_activity import day_parts, line_store
from headcount.pipelines.site_activity.chat_table import Table, key
from headcount.pipelines.site_activity.day_parts import DUE, Day, union
from headcount.pipelines.site_activity.online import Online, Spans, of_sites
from headcount.values.zones import LocalDays

_NOBODY = 0  # the id of those who were erased, and do not count
_MANY = 16  # parts of a day, from which on they are joined
_AT_ONCE = 1_000_000  # messages to count


class Merger:
    """Brings tables into the store, whose codes are those of one collection of lines."""

    def __init__(self, db: sqlite3.Connection, days: LocalDays, erased: Tombstones | None = None):
        self._db, self._days, self._erased = db, days, erased
        self._sites, self._names = array("I"), array("I")  # ours for the codes of the tables
        self._has_gone = False  # whether some code is that of somebody who does not count

    def merge(self, table: Table, new_sites: list[str], new_names: list[str]) -> tuple[int, int]:
        """Within a transaction: add lines, sorted by id; returns how many were no copies, and how
        many are left out, for their sender was erased.

        `new_sites` and `new_names` are the texts of the codes that no table had before.
        """
        db = self._db
        found = self._erased.find_all(KEY, new_names) if self._erased else {}
        self._has_gone |= any(erased.name is None for erased in found.values())
        new_names = [found[text].name if text in found else text for text in new_names]
        for ours, name, texts in (
            (self._sites, "chat_site", new_sites),
            (self._names, "chat_name", new_names),
        ):
            ids = {None: _NOBODY} | sql.ids(db, name, (text for text in texts if text is not None))
            ours.extend([ids[text] for text in texts])
        table = table._replace(
            sites=np.frombuffer(self._sites, np.uint32)[table.sites],
            names=np.frombuffer(self._names, np.uint32)[table.names],
        )
        lines = table.lines
        if self._has_gone:
            table = table.rows(table.names != _NOBODY)
        texts = _texts(db, "chat_site"), _texts(db, "chat_name")
        new, displaced = line_store.merge(db, table, *texts)
        for site in displaced.tolist():
            db.execute("UPDATE chat_site SET stale = 1 WHERE id = ?", [site])
        stale = _stale(db)
        day_parts.add(db, self._days, new.rows(~np.isin(new.sites, stale)) if stale else new)
        return new.lines, lines - table.lines


def _texts(db: sqlite3.Connection, table: str):
    def texts(codes: list[int]) -> list[str]:
        known = sql.keys(db, table, codes)
        return [known[code] for code in codes]

    return texts


def _stale(db: sqlite3.Connection) -> list[int]:
    return [site for (site,) in db.execute("SELECT id FROM chat_site WHERE stale <> 0")]


class Publisher:
    """Brings the tables for queries up to date with the parts that are due."""

    def __init__(self, db: sqlite3.Connection, days: LocalDays):
        self._db, self._days = db, days

    def publish(self) -> None:
        """Within a transaction."""
        db = self._db
        self._renew_stale()
        due = db.execute(f"SELECT DISTINCT site, date FROM chat_part WHERE {DUE}").fetchall()
        sites = sorted({site for site, _ in due})
        texts = sql.keys(db, "chat_site", sites)
        online = Online(db, texts)
        changed = online.update()
        days = sorted({*due, *self._days_within(changed, sites)})
        for parts in self._read(days):
            self._count(parts, online, texts)
        self._total(sites, texts)
        db.execute("DELETE FROM chat_published")
        db.execute("INSERT INTO chat_published SELECT max(id) FROM chat_part HAVING max(id) > 0")

    def _renew_stale(self) -> None:
        """Cut the parts of sites anew from which lines have gone."""
        db, stale = self._db, _stale(self._db)
        for site, text in sql.keys(db, "chat_site", stale).items():
            db.execute("DELETE FROM chat_part WHERE site = ?", [site])
            db.execute(
                "UPDATE chat_site SET stale = 0, operators = NULL, visitors = NULL WHERE id = ?",
                [site],
            )
            for table in ("site_activity", "site_activity_by_day", "site_online_interval"):
                db.execute(f"DELETE FROM {table} WHERE site_id = ?", [text])
        if stale:
            for table in line_store.tables(db):
                day_parts.add(db, self._days, table.rows(np.isin(table.sites, stale)))

    def _days_within(self, spans: Spans, sites: list[int]) -> Iterator[tuple[int, str]]:
        """Days with messages in one of these spans."""
        if not len(spans.starts):
            return
        starts, ends = np.sort(spans.starts), np.sort(spans.ends)
        rows = of_sites(
            self._db,
            "SELECT site, date, min(since), max(until) FROM chat_part "
            "WHERE since IS NOT NULL AND site IN ({}) GROUP BY site, date",
            sites,
        )
        site, _, since, until = zip(*rows, strict=True) if rows else [()] * 4
        site = np.array(site, np.uint64)
        first, last = (key(site, np.array(times, np.uint64)) for times in (since, until))
        begun = np.searchsorted(starts, last, "right")
        over = np.searchsorted(ends, first, "right")
        for i in np.flatnonzero(begun > over).tolist():
            yield rows[i][:2]

    def _read(self, days: list[tuple[int, str]]) -> Iterator[list[Day]]:
        """Days with all their parts, some at a time."""
        parts, messages = [], 0
        for site, date in days:
            day = Day(self._db, site, date)
            parts.append(day)
            messages += len(day.times)
            if len(day.parts) > _MANY:
                day_parts.join(self._db, day)
            if messages > _AT_ONCE:
                yield parts
                parts, messages = [], 0
        yield parts

    def _count(self, days: list[Day], online: Online, texts: dict[int, str]) -> None:
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

    def _add_names(self, days: list[Day]) -> None:
        """Add who is new on these days to all who ever were."""
        new = defaultdict(list)
        for day in days:
            new[day.site] += [(part.operators, part.visitors) for part in day.parts if part.due]
        for site, names in new.items():
            before = self._db.execute(
                "SELECT operators, visitors FROM chat_site WHERE id = ?", [site]
            ).fetchone()
            names = (union([*sets]).serialize() for sets in zip(before, *names, strict=True))
            self._db.execute(
                "UPDATE chat_site SET operators = ?, visitors = ? WHERE id = ?", [*names, site]
            )

    def _total(self, sites: list[int], texts: dict[int, str]) -> None:
        for site in sites:
            names = self._db.execute(
                "SELECT operators, visitors FROM chat_site WHERE id = ?", [site]
            ).fetchone()
            self._db.execute(
                "INSERT INTO site_activity (site_id, messages, emails, operators, visitors) "
                "SELECT site_id, sum(messages), sum(emails), ?, ? FROM site_activity_by_day "
                "WHERE site_id = ? GROUP BY site_id "
                "ON CONFLICT (site_id) DO UPDATE SET "
                "messages = excluded.messages, emails = excluded.emails, "
                "operators = excluded.operators, visitors = excluded.visitors",
                [*(len(union([bitmap])) for bitmap in names), texts[site]],
            )
