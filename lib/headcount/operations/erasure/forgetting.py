"""Erasing a person from the database, pipeline by pipeline.

KEEP gives them random names, which mean nothing to anybody: every published total stays. RECOUNT
deletes what they did and counts what it touched anew.
"""

from __future__ import annotations

import sqlite3
import unicodedata
from collections.abc import Collection, Iterable

from headcount.db import ledger, properties, sql, tombstones
from headcount.db.tombstones import KEEP, RECOUNT, Tombstones
from headcount.operations.erasure import rows
from headcount.pipelines.active_users.days import people, publish, store
from headcount.pipelines.recent_changes import record
from headcount.pipelines.site_activity import line_store
from headcount.pipelines.site_activity.store import Publisher
from headcount.values import zones
from headcount.values.spellings import EXACT, FREE, Spellings, strings

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


def told(removed: dict[str, int]) -> str:
    """What was found and removed."""
    return ", ".join(f"{count} {what}" for what, count in removed.items()) or "nothing"


def forms(names: Iterable[str]) -> set[str]:
    """Names in all normal forms: each may be an id of its own."""
    names = set(names)
    return names | {unicodedata.normalize(form, name) for name in names for form in ("NFC", "NFD")}


class Forgetting:
    """Erases one person, step by step, within a transaction of the caller's, who holds all locks.

    `ids` are what the app's users, visitors, operators and logins may be called here.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        path: str,
        mode: str,
        user: str,
        ids: Collection[str],
        name: str | None = None,
        known: Tombstones | None = None,
    ):
        """`name`: the random one that they have already, if any; `known`: those of their ids."""
        self._db, self._path, self._mode, self._user = db, path, mode, user
        self._ids = sorted(forms(ids))
        self._name, self._known, self._is_known = name or tombstones.new_name(), known, bool(name)
        self._run = ledger.begin(db, "forget-user", {}, [], again=False)[0]
        self._others: dict[str, str] = {}  # the random name of each id
        self.other_days: list[str] = []  # pseudonyms that the database does not have, yet
        self._exact, self._free = Spellings(user, EXACT), Spellings(user, FREE)
        self.changes: list[Change] = []
        self.found: dict[str, int] = {}  # how much, by what it was
        self.is_free = False  # found where names are spelled freely
        self._erased: dict[str, int] = {}  # lines that imports had kept

    def erase(self) -> None:
        """All that the database knows of them; then imports know them by their tombstones."""
        self.active_users()
        self.site_activity()
        self.recent_changes()
        self.texts()
        self.ledgers()
        is_sketched = store.sketch_mode(self._db) == "instead"  # where nobody can be looked for
        if (self._is_known or is_sketched) and self._mode == RECOUNT and not self.found:
            self.count("tombstone", 1)  # from now on nothing of theirs counts
        if self.found:
            self.remember()
        self.certify()

    def active_users(self) -> None:
        """The app's user: the dictionary and the sets. A person is all devices that are theirs."""
        db = self._db
        logins = self._keys_of("person")
        if self._mode == KEEP:
            for key in self._keys_of("user"):
                self.count("user", store.rename(db, key, self._other(key)))
            for key in logins:
                self.count("person", people.rename(db, key, self._other(key)))
            return
        devices = set(self._ids)
        for _ in properties.each(db):
            devices.update(d for key in logins for d in people.devices_of(db, key))
        known = sql.select(db, "SELECT key, id FROM user WHERE key", sorted(devices))
        self.count("user", len(known))
        for key in known:
            self._other(key)
        for name, changes in publish.remove(db, devices, self._run).items():
            table = "active_user_table" if name == properties.DEFAULT else f"active users of {name}"
            self.changes += [(table, day, str(old), str(new)) for day, old, new in changes]
        for key in logins:
            self.count("person", people.remove(db, key, self._other(key)))

    def site_activity(self) -> None:
        """The visitor or operator of chats."""
        db = self._db
        known = sql.select(db, "SELECT key, id FROM chat_name WHERE key", self._ids)
        self.count("chat_name", len(known))
        for key, number in known.items():
            other = self._other(key)
            if self._mode == KEEP:
                db.execute("UPDATE chat_name SET key = ? WHERE id = ?", [other, number])
                continue
            before = _by_key(db, _SITES)
            removed = line_store.remove(db, number)
            self._erased[CHAT_LINES] = self._erased.get(CHAT_LINES, 0) + removed
            setting = "SELECT value FROM setting WHERE name = 'site-activity.tz'"
            zone = zones.find(db.execute(setting).fetchone()[0])
            Publisher(db, zones.LocalDays(zone)).publish()
            db.execute("DELETE FROM chat_name WHERE id = ?", [number])
            self._compare("site_activity", before, _by_key(db, _SITES))

    def recent_changes(self) -> None:
        """The editor of changes, and every mention in those of others."""
        db, table = self._db, "recent_change_raw"
        names = [self._user, self._name] if self._mode == RECOUNT else [self._user]
        own = {tombstones.editor(name) for name in forms(names)}
        users = db.execute(f"SELECT DISTINCT user FROM {table} WHERE user IS NOT NULL").fetchall()
        names = [name for (name,) in users if tombstones.editor(name) in own]
        for name in names:
            if self._mode == RECOUNT:
                of_them = f"FROM {table} WHERE user = ?"
                # So that they are not taken for new ones, should they come again.
                known = f"INSERT INTO recent_change_id SELECT id, pk {of_them}"
                db.execute(f"{known} ON CONFLICT DO NOTHING", [name])
                removed = db.execute(f"DELETE {of_them}", [name]).rowcount
                self._erased[CHANGES] = self._erased.get(CHANGES, 0) + removed
            else:
                update = f"UPDATE {table} SET user = ? WHERE user = ?"
                removed = db.execute(update, [self._name, name]).rowcount
            self.count("change", removed)

        def change(text: str) -> str:
            return self._free.replaced_in_json(text, self._name, record.FIELDS)

        mentions = rows.change(db, table, "event", "pk", change)
        self.count("mention in changes", mentions)
        self.is_free |= bool(names or mentions)
        if self.is_free:
            self._search("recent_change_search", "rebuild")

    def texts(self) -> None:
        """Every mention in messages of comments and in metrics: who wrote them is not kept."""
        free, name = self._free, self._name
        for table, key in (("comment", "pk"), ("waiting_text", "comment_id")):
            changed = rows.change(self._db, table, "message", key, lambda t: free.replaced(t, name))
            self.count("message", changed)
        if self.found.get("message"):
            self.is_free = True
            self._search("comment_search", "optimize")
        changed = rows.change(
            self._db, "event", "other_metrics", "id", lambda t: free.replaced_in_json(t, name)
        )
        self.count("metric", changed)

    def _search(self, table: str, command: str) -> None:
        if isinstance(self._db, sqlite3.Connection):  # a server has no search of ours
            self._db.execute(f"INSERT INTO {table} ({table}) VALUES (?)", [command])

    def ledgers(self) -> None:
        """Every mention in what runs and jobs have said."""
        for table, column in _LEDGERS:
            self._change(table, column)
        for _ in properties.each(self._db):
            self._change("origin", "path")

    def _change(self, table: str, column: str) -> None:
        changed = rows.change(
            self._db, table, column, "rowid", lambda t: self._exact.replaced(t, self._name)
        )
        self.count("message of the ledger", changed)

    def remember(self) -> None:
        """Leave tombstones, of these ids and of the name that was asked for."""
        ids = (self._user, *self._ids, *self.other_days)
        others: dict[str, str | None] = {each: self._other(each) for each in ids}
        others |= self._others
        if self._mode == RECOUNT:
            others = dict.fromkeys(others)
        tombstones.enter(self._db, self._path, self._mode, self._name, others, self._user)

    def certify(self) -> None:
        """Enter in the ledger what was done, but not of whom."""
        text = f"{self._mode}: {told(self.found)}"
        ledger.enter_reasons(self._db, self._run, "run_filter", self._erased)
        self._db.execute("UPDATE run SET message = ? WHERE id = ?", [text, self._run])

    def count(self, what: str, number: int) -> None:
        """Note that so much was found of something."""
        if number:
            self.found[what] = self.found.get(what, 0) + number

    def _keys_of(self, table: str) -> list[str]:
        """Those of the ids that a dictionary has."""
        return list(sql.select(self._db, f"SELECT key, id FROM {table} WHERE key", self._ids))

    def _other(self, key: str) -> str:
        """The random name for an id. (Two ids are two users: each has its own.)"""
        if key not in self._others:
            known = self._known.find(tombstones.KEY, key) if self._known else None
            name = known.name if known else None
            is_first = not self._others and not self._is_known
            self._others[key] = name or (self._name if is_first else tombstones.new_name())
        return self._others[key]

    def _compare(self, table: str, before: dict[str, str], after: dict[str, str]) -> None:
        for key in sorted(before.keys() | after.keys()):
            old, new = before.get(key, ""), after.get(key, "")
            if old != new:
                self.changes.append((table, key, old, new))


def lift(db: sqlite3.Connection, known: Tombstones, ids: Collection[str], reason: str) -> list[str]:
    """Within a transaction: somebody who was erased may come back; returns the erasures lifted.

    What was kept under their random names is theirs again, or it would be counted twice.
    """
    lifted = set()
    for key in sorted(forms(ids)):
        found = known.find(tombstones.KEY, key)
        if found is None:
            continue
        lifted.add(found.erasure)
        for table in ("user", "person", "chat_name") if found.name else ():
            update = f"UPDATE {table} SET key = ? WHERE key = ?"
            db.execute(update, [key, found.name])
    tombstones.lift(db, sorted(lifted), reason)
    return sorted(lifted)


def erased_in(db: sqlite3.Connection, known: Tombstones) -> dict[str, str]:
    """The ids in a database of those who were erased, each with the name of its erasure.

    (They come with a backup that was made before.)
    """
    found: dict[str, str] = {}
    for table in ("user", "person", "chat_name"):
        keys = (key for (key,) in db.execute(f"SELECT key FROM {table}").fetchall())
        hits = known.find_all(tombstones.KEY, keys)
        found |= {key: erased.erasure for key, erased in hits.items()}
    for name in rows.distinct(db, "recent_change_raw", "user"):
        if erased := known.find(tombstones.EDITOR, tombstones.editor(name)):
            found[name] = erased.erasure
    for table, column, plain in (
        ("recent_change_raw", "event", strings),
        ("comment", "message", str),
        ("waiting_text", "message", str),
        ("event", "other_metrics", strings),
    ):
        for text in rows.distinct(db, table, column):
            for name, erased in known.mentions(plain(text)).items():
                if erased.erasure not in found.values():
                    found[name] = erased.erasure
    return found


def _by_key(db: sqlite3.Connection, query: str) -> dict[str, str]:
    return {key: ",".join(map(str, values)) for key, *values in db.execute(query)}


def scrub(db: sqlite3.Connection) -> bool:
    """After the commit: leave nothing of it in free pages and in the journal.

    Returns whether that was possible: a reader that is in the middle of something prevents it.
    """
    db.execute("VACUUM")
    busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy
