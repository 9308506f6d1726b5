"""Backups of a database: made while it is in use, compressed, restored to prove them, thinned out.

A backup is a gzip file `STEM-YYYYMMDDTHHMMSSZ.db.gz`. It gets that name after it has been restored
and checked; until then all is in a hidden folder beside it.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import os
import re
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from isal import igzip, isal_zlib

from headcount.db import connection
from headcount.errors import NO_INPUT, USAGE, WRITE_FAILED, Failure

_STAMP = "%Y%m%dT%H%M%SZ"
_CHUNK = 1 << 20
_LEVEL = 2  # of 0 to 3: 3 is 2 % smaller and takes twice as long

# What a backup is the one of, by unit.
_PERIODS = {
    "d": lambda day: day,
    "w": lambda day: day.isocalendar()[:2],
    "m": lambda day: (day.year, day.month),
    "y": lambda day: day.year,
}


class Backup(NamedTuple):
    """A file, and when it was made (UTC)."""

    made: datetime
    path: Path


def folder_of(db: str) -> Path:
    """Where backups go unless somebody says otherwise."""
    return Path(os.path.realpath(db)).parent / "backups"


def make(db: str, folder: Path) -> Path:
    """A new backup, verified. The caller holds the lock of backups of this database.

    Raises Failure: 66 if there is no database, 74 if the backup cannot be written, 1 if what is
    restored from it is not sound (then the database is not, and there is no new backup).
    """
    stem = Path(db).stem
    with _writing(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in folder.glob(f".{glob.escape(stem)}.partial.*"):  # by one that was killed
            shutil.rmtree(left)
        with tempfile.TemporaryDirectory(prefix=f".{stem}.partial.", dir=folder) as temporary:
            copy, packed = Path(temporary, "copy.db"), Path(temporary, "packed")
            _copy(db, copy)
            digest = _pack(copy, packed)
            copy.unlink()
            if unpack(packed, copy) != digest:
                raise Failure(f"{packed} does not hold what was written to it: no backup is kept")
            check(copy, db)
            return _name(packed, folder, stem)


def _copy(db: str, copy: Path) -> None:
    """One snapshot, whatever is written meanwhile: in a single step, SQLite starts it once."""
    with (
        connection.for_reading(db) as source,
        connection.errors(str(copy)),
        contextlib.closing(sqlite3.connect(copy)) as target,
    ):
        target.execute("PRAGMA synchronous = OFF")  # of no use after a power cut anyway
        source.backup(target)


def _pack(path: Path, packed: Path) -> bytes:
    """Compress a file; returns the hash of what it holds."""
    digest = hashlib.sha256()
    with open(path, "rb") as source, open(packed, "wb", opener=_private) as target:
        with igzip.IGzipFile(fileobj=target, mode="wb", compresslevel=_LEVEL) as archive:
            while chunk := source.read(_CHUNK):
                digest.update(chunk)
                archive.write(chunk)
        target.flush()
        os.fsync(target.fileno())
    return digest.digest()


def unpack(packed: Path, path: Path) -> bytes:
    """Restore a file; returns the hash of what it holds. Raises Failure 1 for a damaged archive."""
    digest = hashlib.sha256()
    try:
        with igzip.open(packed, "rb") as archive, open(path, "xb", opener=_private) as target:
            while chunk := archive.read(_CHUNK):
                digest.update(chunk)
                target.write(chunk)
            target.flush()
            os.fsync(target.fileno())
    except (EOFError, igzip.BadGzipFile, isal_zlib.error) as error:
        raise Failure(f"{packed}: a damaged backup: {error}; take another") from None
    return digest.digest()


def check(path: Path, name: str) -> None:
    """Raises Failure 1 unless this is a sound database, 78 if it is not one of ours."""
    try:
        with connection.for_reading(str(path)) as db:
            faults = [row[0] for row in db.execute("PRAGMA integrity_check(3)")]
    except Failure as failure:
        raise Failure(str(failure).replace(str(path), name), failure.status) from None
    if faults != ["ok"]:
        text = "; ".join(faults).replace("\n", " ")
        raise Failure(f"{name} is damaged: {text}: restore an older backup (backup-db --restore)")


def restore(packed: Path, db: str) -> None:
    """Put a backup in the place of a database that is not there any more.

    Raises Failure: 66 if there is no such backup, 1 if it is damaged, 2 if there is a database or
    what SQLite left of one, 74 if it cannot be written.
    """
    refuse_existing(db)
    target = Path(os.path.realpath(db))
    if not packed.is_file():
        raise Failure(f"no backup {packed}", NO_INPUT)
    with (
        _writing(target.parent),
        tempfile.TemporaryDirectory(
            prefix=f".{target.stem}.partial.", dir=target.parent
        ) as temporary,
    ):
        copy = Path(temporary, "copy.db")
        unpack(packed, copy)
        check(copy, str(packed))
        refuse_existing(db)
        try:
            _place(copy, target)
        except FileExistsError:  # an import has just made it
            refuse_existing(db)


def refuse_existing(db: str) -> None:
    """Raises Failure 2 where restoring would overwrite, or mix with, what is there.

    A journal without its database would be played into the next one of that name.
    """
    for path in (db, f"{db}-wal", f"{db}-journal"):
        if os.path.exists(path):
            text = f"{path} is there: move it away (with {db}-wal and -shm), then restore"
            raise Failure(text, USAGE)


def all_in(folder: Path, db: str) -> list[Backup]:
    """The backups of a database, the newest first."""
    name = re.compile(re.escape(Path(db).stem) + r"-(\d{8}T\d{6}Z)\.db\.gz")
    backups = []
    for path in folder.iterdir() if folder.is_dir() else ():
        if match := name.fullmatch(path.name):
            with contextlib.suppress(ValueError):  # a date that there is not
                made = datetime.strptime(match[1], _STAMP).replace(tzinfo=UTC)
                backups.append(Backup(made, path))
    return sorted(backups, reverse=True)


def thin_out(folder: Path, db: str, keep: dict[str, int], newest: Path) -> None:
    """Delete what no rule of `keep` wants, but never the newest, whatever the clock says.

    Raises Failure 74 where that cannot be done.
    """
    with _writing(folder):
        for backup in surplus(all_in(folder, db), keep):
            if backup.path != newest:
                backup.path.unlink()


def surplus(backups: list[Backup], keep: dict[str, int]) -> list[Backup]:
    """Those of `backups` (the newest first) that no rule keeps.

    A rule, such as 7 for d, keeps the last backup of each of the last 7 days (weeks: ISO 8601,
    months, years; UTC) that have any: so an outage costs none.
    """
    kept = set()
    for unit, count in keep.items():
        last = {}
        for backup in backups:
            last.setdefault(_PERIODS[unit](backup.made.date()), backup)
        kept |= set(list(last.values())[:count])
    return [backup for backup in backups if backup not in kept]


def _name(packed: Path, folder: Path, stem: str) -> Path:
    while True:
        path = folder / f"{stem}-{datetime.now(UTC).strftime(_STAMP)}.db.gz"
        try:
            _place(packed, path)
            return path
        except FileExistsError:
            time.sleep(0.1)


def _place(path: Path, target: Path) -> None:
    """Give a file its name, for good. Raises FileExistsError if another has it."""
    try:
        os.link(path, target)  # unlike a rename, never over another
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP):
            raise
        if target.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from None
        os.rename(path, target)  # a file system without links
    fd = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        name = error.filename or folder
        raise Failure(f"cannot write {name}: {error.strerror}", WRITE_FAILED) from None
