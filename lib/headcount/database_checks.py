"""What doctor looks at around a database. Each check yields problems, with what to do about them.

The database itself is only read; what stands in its tables is check-data's to judge.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import re
import shutil
import stat
from collections.abc import Iterator

from headcount import backups, clock, postgres, store, zones
from headcount.cli import ROOT
from headcount.failure import Failure

_LEAST_FREE = 100 << 20  # bytes
_LARGE_WAL = 64 << 20  # bytes: SQLite writes it back at 4 MB, our streams at 128 MB at most
# File systems of other machines: locks and shared memory do not reach from one to the other.
_NETWORK = re.compile(
    r"nfs.*|cifs|smb.*|9p|afs|ceph|glusterfs|lustre|vboxsf|davfs|fuse\.(sshfs|s3fs|gcsfuse|rclone).*"
)


def kept_in(db: str) -> str:
    """The folder of the database, or, of one on a server, of what imports keep meanwhile."""
    if not postgres.is_url(db):
        return os.path.dirname(os.path.realpath(db))
    folder = postgres.cache()
    return folder if os.path.isdir(folder) else os.path.expanduser("~")


def disk_space(db: str) -> Iterator[tuple[str, str]]:
    """There is room for the database to be written anew"""
    folder = kept_in(db)
    size = os.path.getsize(db) if os.path.exists(db) else 0
    wanted = max(_LEAST_FREE, 2 * size)
    for place in dict.fromkeys([folder, os.environ.get("TMPDIR") or "/tmp"]):
        if not os.path.isdir(place):
            continue
        free = shutil.disk_usage(place).free
        if free < wanted:
            text = f"{place} has {free >> 20} MB left; {wanted >> 20} MB would be safe"
            yield text, "make room, or put the database (--db) on another disk"
        found = os.statvfs(place)
        if found.f_files and found.f_favail < 100:
            yield f"{place} has {found.f_favail} inodes left", "delete files there"


def permissions(db: str) -> Iterator[tuple[str, str]]:
    """Nobody else can read users or change numbers"""
    real = os.path.realpath(db)
    folder = os.path.dirname(real)
    private = [
        db,
        *glob.glob(f"{glob.escape(real)}-*"),
        *glob.glob(f"{glob.escape(folder)}/log/*.log*"),
    ]
    private += [str(backup.path) for backup in backups.all_in(backups.folder_of(db), db)]
    for path in private:
        if not os.path.exists(path):
            continue
        mode = stat.S_IMODE(os.stat(path).st_mode)
        if mode & 0o077:
            yield f"{path} may be opened by others ({mode:04o})", f"chmod 600 {path}"
    info = os.stat(folder)
    if info.st_mode & stat.S_IWOTH and not info.st_mode & stat.S_ISVTX:
        yield f"anybody may replace files in {folder}", f"chmod o-w {folder}"
    if os.path.exists(db) and os.stat(db).st_uid != os.getuid():
        advice = "run imports as its owner: otherwise what one of you makes the other cannot write"
        yield f"{db} belongs to another user", advice
    if not os.access(folder, os.W_OK | os.X_OK):
        yield f"you cannot write to {folder}", "run imports as its owner, or name another --db"


def locks(db: str) -> Iterator[tuple[str, str]]:
    """The database is on a disk of this machine, where locks hold"""
    folder = os.path.dirname(os.path.realpath(db))
    kind = _file_system(folder)
    if _NETWORK.fullmatch(kind):
        advice = "move the database to a local disk: SQLite's journal is not safe over a network"
        yield f"{folder} is on a network disk ({kind})", advice
    try:
        fd = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        finally:
            os.close(fd)
    except BlockingIOError:
        pass  # locks work
    except OSError as error:
        yield f"{folder} takes no locks: {error.strerror}", "move the database to a local disk"


def _file_system(folder: str) -> str:
    """Its type, as Linux calls it; nothing elsewhere."""
    best = ("", "")
    try:
        with open("/proc/self/mountinfo") as file:
            for line in file:
                left, _, right = line.partition(" - ")
                point = re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), left.split()[4])
                inside = folder == point or folder.startswith(point.rstrip("/") + "/")
                if inside and len(point) >= len(best[0]):
                    best = point, right.split()[0]
    except OSError:
        pass
    return best[1]


def time(db: str) -> Iterator[tuple[str, str]]:
    """The clock is not behind what has been written already"""
    now = clock.now()
    latest = [clock.at(int(os.stat(os.path.join(ROOT, "schema.sql")).st_mtime))]
    with _reading(db) as connection:
        if connection:
            rows = "SELECT max(started_at), max(ended_at) FROM"
            for table in ("run", "job_run"):
                latest += filter(None, connection.execute(f"{rows} {table}").fetchone())
    if max(latest) > now:
        advice = "set the clock (timedatectl set-ntp true); counts do not depend on it"
        yield f"it is {now}, but something was written at {max(latest)}", advice


def journal(db: str) -> Iterator[tuple[str, str]]:
    """No journal grows, or is without its database, and nothing is left of killed imports"""
    real = os.path.realpath(db)
    wal = f"{real}-wal"
    if os.path.exists(wal) and not os.path.exists(real):
        advice = "it would be played into the next database of that name: move it away"
        yield f"{wal} is there without {db}", advice
    elif os.path.exists(wal) and os.path.getsize(wal) > _LARGE_WAL:
        advice = "end the program that has been reading for so long (fuser names it)"
        yield f"{wal} has grown to {os.path.getsize(wal) >> 20} MB", advice
    for stage in glob.glob(f"{glob.escape(real)}.*.stage.*"):
        pipeline = stage.removeprefix(f"{real}.").partition(".stage.")[0]
        if not _held(f"{real}.{pipeline}.lock"):
            yield f"{stage} is left of a killed import", f"the next {pipeline} removes it"


def _held(path: str) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(fd)


def schema(db: str) -> Iterator[tuple[str, str]]:
    """The database is one of this version, and its days are cut by today's rules"""
    try:
        with _reading(db) as connection:
            if not connection:
                return
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version < store.SCHEMA_VERSION:
                text = f"{db} has schema {version}, here it is {store.SCHEMA_VERSION}"
                yield text, "the next import, of anything, brings it up to date"
                return
            last = "SELECT zone_rules FROM run WHERE status = 'done' ORDER BY id DESC LIMIT 1"
            rules = connection.execute(last).fetchone()
    except Failure as failure:
        yield str(failure), ""  # it says what to do
        return
    ours = zones.rules_version()
    if rules and rules[0] != ours:
        advice = "if your zone's have changed, import the events since then anew, with --replace"
        yield f"the last import cut days by zone rules {rules[0]}, now they are {ours}", advice


def _reading(db: str):
    """The database, or None if there is none yet."""
    there = postgres.has_tables(db) if postgres.is_url(db) else os.path.exists(db)
    return store.for_reading(db) if there else contextlib.nullcontext()


def checks_of(db: str) -> tuple:
    """Those of a file; or those of a server, which has files of its own to look after."""
    if postgres.is_url(db):
        return disk_space, time, schema
    return disk_space, permissions, locks, time, journal, schema
