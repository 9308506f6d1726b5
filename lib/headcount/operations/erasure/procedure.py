"""An erasure from its first lock to the last search; how it is lifted, or done again."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from headcount.db import address, connection, locks, properties, tombstones
from headcount.db import settings as db_settings
from headcount.db.tombstones import RECOUNT
from headcount.errors import NO_INPUT, TRY_LATER, USAGE, Failure
from headcount.operations import backups
from headcount.operations.erasure import files, forgetting, rows
from headcount.operations.erasure.certificate import Certificate
from headcount.operations.erasure.forgetting import Forgetting
from headcount.pipelines.active_users.days import store
from headcount.values.pseudonyms import Pseudonyms, key_id


def erase(options) -> Certificate:
    """Erase the person `options.id` from the database, `options.files`, and the logs.

    Raises Failure: 66 for a file that is not there, before anything is erased; 75 if an import or a
    reader is in the way, 78 for another key of pseudonyms, or none.
    """
    for path in options.files:
        if not os.path.isfile(path):
            raise Failure(f"{path}: no such file; nothing was erased", NO_INPUT)
        if any(os.path.samefile(path, other) for other in files.of_database(options.db)):
            raise Failure(f"{path} is the database, not rejects or a log", USAGE)
    found = Certificate(options.db, options.mode)
    with _all_held(options) as db:
        for stage in files.stages(options.db):
            shutil.rmtree(stage)
        if options.format == "json":  # else nobody sees the hashes, and backups are large
            found.before = {path: files.sha256(path) for path, _ in _files(options)}
        with connection.transaction(db):
            ids = _ids(db, options)
            known = tombstones.load(db, options.db)
            before = list(known.find_all(tombstones.KEY, ids).values()) if known else []
            name = before[0].erasure if before else None
            others = [each.name for each in before if each.name and options.mode == RECOUNT]
            everything = [*ids, *others]  # also what they were kept under
            job = Forgetting(db, options.db, options.mode, options.id, everything, name, known)
            job.other_days = _ids_of_other_days(db, options)
            job.erase()
            found.has_sketches_alone = store.sketch_mode(db) == "instead"
            tombstones.write_mirror(db, options.db)
        names = files.Names(ids)
        for path, kind in _files(options):
            if kind in ("log", "rejects"):
                job.count("line", files.remove_lines(path, names))
        if list(job.found) == ["line"]:  # of nothing in the database, but they are to stay away
            with connection.transaction(db):
                job.remember()
                tombstones.write_mirror(db, options.db)
        _scrub(db, options)
    found.removed, found.changes, found.has_bytes = job.found, job.changes, names.possible
    _search(found, options, names, job)
    return found


def _search(found: Certificate, options, names: files.Names, job: Forgetting) -> None:
    exact, free = names.exact, names.free
    pairs = list(zip(exact, free, strict=True))
    for one, other in pairs:
        if address.is_url(options.db):
            found.tables, left = rows.search_server(options.db, one, other, names.possible)
        else:
            with connection.for_reading(options.db) as db:
                found.tables, left = rows.search(db, one, other, names.possible)
        found.left += left
    found.after = [
        files.search(path, kind, names, is_free=job.is_free and kind in ("database", "journal"))
        for path, kind in _files(options)
    ]


def _files(options) -> list[tuple[str, str]]:
    """All that is searched, with what it is."""
    of_db = [
        (path, "database" if path == options.db else "journal")
        for path in files.of_database(options.db)
    ]
    given = [(path, "rejects") for path in options.files]
    logs = [(path, "log") for path in files.logs(options.db)]
    copies = []
    if not address.is_url(options.db):
        folder = Path(options.backups or backups.folder_of(options.db))
        copies = [(str(b.path), "backup") for b in backups.all_in(folder, options.db)]
    return [*of_db, *given, *logs, *copies]


@contextlib.contextmanager
def _all_held(options) -> Iterator[sqlite3.Connection]:
    with (
        locks.all_imports_held(options.db, options.wait),
        connection.for_import(options.db, options.wait, create=False) as db,
    ):
        db.execute("PRAGMA secure_delete = ON")
        yield db


def _ids(db: sqlite3.Connection, options) -> list[str]:
    """What the person may be called in the database. Raises Failure 78."""
    key = options.pseudonym_key
    for _ in properties.each(db):
        db_settings.check(db, {"pseudonym-key": key_id(key) if key else ""})
    if not key:
        return [options.id]
    if not _is_daily(db):
        return [options.id, Pseudonyms(key)(options.id)]
    return [options.id, *_of_days(options, _days(db))]


def _ids_of_other_days(db: sqlite3.Connection, options) -> list[str]:
    """What they may be called on days that the database does not have, a year before those that it
    has and ten years from now: where pseudonyms are of a day, each day has a tombstone."""
    known = _days(db)
    if not options.pseudonym_key or not _is_daily(db):
        return []
    today = datetime.now(UTC).date()
    first = min([date.fromisoformat(day) for day in known] + [today]) - timedelta(days=366)
    days = (first + timedelta(days=n) for n in range((today - first).days + 3660))
    return _of_days(options, [str(day) for day in days if str(day) not in known])


def _days(db: sqlite3.Connection) -> set[str]:
    days = "SELECT DISTINCT date FROM active_day"
    return {day for _ in properties.each(db) for (day,) in db.execute(days).fetchall()}


def _is_daily(db: sqlite3.Connection) -> bool:
    return any(store.setting(db, "pseudonyms") == "day" for _ in properties.each(db))


def _of_days(options, days: Iterable[str]) -> list[str]:
    name = Pseudonyms(options.pseudonym_key)
    return [name(f"{day} {options.id}") for day in sorted(days)]


def _scrub(db: sqlite3.Connection, options) -> None:
    if address.is_url(options.db):
        files.scrub_server(options.db, options.wait)
    elif not forgetting.scrub(db):
        text = f"erased, but a reader keeps old pages in {options.db}-wal"
        raise Failure(f"{text}: end it, and run this again", TRY_LATER)


def lift(options) -> int:
    """Let the person `options.lift` come back, for `options.reason`; how many erasures that were.

    Of `*` all, also where the key is lost: then nothing else can be done.
    """
    with _all_held(options) as db, connection.transaction(db):
        if options.lift == "*":
            lifted = [e["name"] for e in tombstones.all_of(db) if not e["lifted_at"]]
            tombstones.lift(db, lifted, options.reason)
        else:
            options.id = options.lift
            known = tombstones.load(db, options.db)
            ids = _ids(db, options)
            lifted = forgetting.lift(db, known, ids, options.reason) if known else []
        if lifted:
            tombstones.write_mirror(db, options.db)
    return len(lifted)


def erase_again(options) -> dict[str, int]:
    """Erase from a database, that was restored from an older backup, say, who had been erased.

    Returns what was found and removed.
    """
    removed: dict[str, int] = {}
    with _all_held(options) as db:
        with connection.transaction(db):
            tombstones.take_over(db, tombstones.missing_from(db, options.db))
            known = tombstones.load(db, options.db)
            modes = {e["name"]: e["mode"] for e in tombstones.all_of(db)}
            for user, name in (forgetting.erased_in(db, known) if known else {}).items():
                job = Forgetting(db, options.db, modes[name], user, [user], name, known)
                job.erase()
                for what, count in job.found.items():
                    removed[what] = removed.get(what, 0) + count
            tombstones.write_mirror(db, options.db)
        _scrub(db, options)
    return removed
