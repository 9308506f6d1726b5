"""Erasing a person from the database, pipeline by pipeline.

KEEP gives them a random name, which means nothing to anybody: every published total stays. RECOUNT
deletes what they did and counts what it touched anew.
"""

from __future__ import annotations

import json
import re
import secrets
import sqlite3
from collections.abc import Callable

from headcount.db import ledger, sql
from headcount.pipelines.active_users.days import people, publish, store
from headcount.pipelines.site_activity import line_store
from headcount.pipelines.site_activity.store import Publisher
from headcount.values import zones

KEEP, RECOUNT = "keep", "recount"

# How the ledger calls lines that were kept and are erased: check-data takes them into account.
CHAT_LINES, CHANGES = "erased chat lines", "erased recent changes"

# What changed: a table, a key in it, and the values before and after.
Change = tuple[str, str, str, str]

_SITES = "SELECT site_id, messages, emails, operators, visitors FROM site_activity"

# Where names may stand in the texts of the ledgers: in messages, commands and paths.
_LEDGERS = (
    ("run", "message"),
    ("run_input", "path"),
    ("job_run", "command"),
    ("job_run", "message"),
)


def new_name() -> str:
    """One that was never anybody's."""
    return f"forgotten-{secrets.token_hex(8)}"


def as_word(user: str) -> re.Pattern:
    """Where a name stands by itself in a text: "ann" is not in "annual"."""
    return re.compile(rf"(?<!\w){re.escape(user)}(?!\w)")


def erase(db: sqlite3.Connection, mode: str, user: str, app_user: str) -> Forgetting:
    """All that the database knows of a user, within a transaction of the caller's, who holds all
    pipelines' locks. `app_user`: what the app's users are called here, if not by their ids.
    """
    job = Forgetting(db, mode, user, app_user)
    job.active_users()
    job.site_activity()
    job.recent_changes()
    job.comments()
    job.ledgers()
    job.certify()
    return job


class Forgetting:
    """Erases one user, step by step."""

    def __init__(self, db: sqlite3.Connection, mode: str, user: str, app_user: str):
        self._db, self._mode, self._user, self._app_user = db, mode, user, app_user
        self._name = new_name()
        self._run = ledger.begin(db, "forget-user", {}, [], again=False)[0]
        self._word = as_word(user)
        self.changes: list[Change] = []
        self.found: dict[str, int] = {}  # how much, by what it was
        self._erased: dict[str, int] = {}  # lines that imports had kept

    def active_users(self) -> None:
        """The app's user: the dictionary and the sets. A person is all devices that are theirs."""
        db, user = self._db, self._app_user
        if self._mode == KEEP:
            self.count("user", store.rename(db, user, self._name))
            self.count("person", people.rename(db, user, self._name))
            return
        devices = {user, *people.devices_of(db, user)}
        known = sql.select(db, "SELECT key, id FROM user WHERE key", sorted(devices))
        self.count("user", len(known))
        for day, old, new in publish.remove(db, devices, self._run):
            self.changes.append(("active_user_table", day, str(old), str(new)))
        self.count("person", people.remove(db, user, self._name))

    def site_activity(self) -> None:
        """The visitor or operator of chats."""
        db = self._db
        known = sql.select(db, "SELECT key, id FROM chat_name WHERE key", [self._user])
        self.count("chat_name", len(known))
        for number in known.values():
            if self._mode == KEEP:
                db.execute("UPDATE chat_name SET key = ? WHERE id = ?", [self._name, number])
                continue
            before = _by_key(db, _SITES)
            self._erased[CHAT_LINES] = line_store.remove(db, number)
            setting = "SELECT value FROM setting WHERE name = 'site-activity.tz'"
            zone = zones.find(db.execute(setting).fetchone()[0])
            Publisher(db, zones.LocalDays(zone)).publish()
            db.execute("DELETE FROM chat_name WHERE id = ?", [number])
            self._compare("site_activity", before, _by_key(db, _SITES))

    def recent_changes(self) -> None:
        """The editor of changes, and every mention in those of others."""
        db = self._db
        if self._mode == RECOUNT:
            own = "FROM recent_change_raw WHERE user = ?"
            # So that they are not taken for new ones, should they come again.
            known = f"INSERT INTO recent_change_id SELECT id, pk {own} ON CONFLICT DO NOTHING"
            db.execute(known, [self._user])
            self._erased[CHANGES] = db.execute(f"DELETE {own}", [self._user]).rowcount
            self.count("change", self._erased[CHANGES])
        self.count("change", self._redact("recent_change_raw", "event", self._in_json, "pk"))
        self._redact("recent_change_raw", "user", self._in_text, "pk")
        if self.found.get("change"):
            self._search("recent_change_search", "rebuild")

    def comments(self) -> None:
        """Every mention in the messages of comments: who wrote them is not kept."""
        for table, key in (("comment", "pk"), ("waiting_text", "comment_id")):
            self.count("message", self._redact(table, "message", self._in_text, key))
        if self.found.get("message"):
            self._search("comment_search", "optimize")

    def _search(self, table: str, command: str) -> None:
        if isinstance(self._db, sqlite3.Connection):  # a server has no search of ours
            self._db.execute(f"INSERT INTO {table} ({table}) VALUES (?)", [command])

    def ledgers(self) -> None:
        """Every mention in what runs and jobs have said."""
        for table, column in _LEDGERS:
            self.count("message", self._redact(table, column, self._in_text, "rowid"))

    def certify(self) -> None:
        """Enter in the ledger what was done, but not of whom."""
        erased = ", ".join(f"{count} {what}" for what, count in self.found.items()) or "nothing"
        text = f"{self._mode}: {erased}"
        ledger.enter_reasons(self._db, self._run, "run_filter", self._erased)
        self._db.execute("UPDATE run SET message = ? WHERE id = ?", [text, self._run])

    def _redact(self, table: str, column: str, change: Callable[[str], str], key: str) -> int:
        rows = self._db.execute(
            f"SELECT {key}, {column} FROM {table} "
            f"WHERE instr({column}, ?) > 0 OR instr({column}, ?) > 0",
            [self._user, json.dumps(self._user)[1:-1]],
        ).fetchall()
        new = [(change(text), which) for which, text in rows]
        new = [row for row, (_, text) in zip(new, rows, strict=True) if row[0] != text]
        self._db.executemany(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", new)
        return len(new)

    def _in_text(self, text: str) -> str:
        return self._word.sub(self._name, text)

    def _in_json(self, text: str) -> str:
        changed = _mapped(json.loads(text), self._in_text)
        return json.dumps(changed, ensure_ascii=False, separators=(",", ":"))

    def count(self, what: str, number: int) -> None:
        """Note that so much was found of something."""
        if number:
            self.found[what] = self.found.get(what, 0) + number

    def _compare(self, table: str, before: dict[str, str], after: dict[str, str]) -> None:
        for key in sorted(before.keys() | after.keys()):
            old, new = before.get(key, ""), after.get(key, "")
            if old != new:
                self.changes.append((table, key, old, new))


def _mapped(value, change: Callable[[str], str]):
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_mapped(item, change) for item in value]
    if isinstance(value, dict):
        return {change(name): _mapped(item, change) for name, item in value.items()}
    return value


def _by_key(db: sqlite3.Connection, query: str) -> dict[str, str]:
    return {key: ",".join(map(str, values)) for key, *values in db.execute(query)}


def scrub(db: sqlite3.Connection) -> bool:
    """After the commit: leave nothing of it in free pages and in the journal.

    Returns whether that was possible: a reader that is in the middle of something prevents it.
    """
    db.execute("VACUUM")
    busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy
