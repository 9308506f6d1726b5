"""What doctor looks at: the machine, then what is around a database.

Each check yields problems, with what to do about them. The database itself is only read; what is
in its tables is check-data's to judge.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from headcount.checkout import ROOT
from headcount.db import address
from headcount.db import connection as database
from headcount.db.postgres import server
from headcount.errors import Failure
from headcount.operations import backups, crontab
from headcount.operations.jobs.supervise import SYSTEM_PATH
from headcount.values import clock, zones

_TOOLS = ("bash", "find", "flock", "mktemp", "readlink", "rm", "sed", "sort")
_BASH = (4, 4)  # which has inherit_errexit
_PYTHON = (3, 11)
_SQLITE = (3, 38)  # which has unixepoch
# Variables that change what bash or any program does before it has begun.
_MEDDLING = ("BASH_ENV", "ENV", "LD_PRELOAD", "LD_LIBRARY_PATH", "POSIXLY_CORRECT", "SHELLOPTS")
_SYSTEM_ZONES = Path("/usr/share/zoneinfo/tzdata.zi")


def interpreter(_db: str) -> Iterator[tuple[str, str]]:
    """Python and its packages are those of requirements.lock"""
    if sys.version_info < _PYTHON:
        yield f"Python {sys.version.split()[0]} is too old", "rm -rf .venv, then make set-up"
    for name, version in _locked().items():
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            installed = "missing"
        if installed != version:
            yield f"{name} is {installed}, and should be {version}", f"run make set-up in {ROOT}"


def _locked() -> dict[str, str]:
    """Of the section runtime, what is wanted on any machine."""
    text = Path(ROOT, "requirements.lock").read_text()
    section = text.split("# section: runtime\n", 1)[1].split("# section: ", 1)[0]
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+) \\", section, re.M))


def sqlite(_db: str) -> Iterator[tuple[str, str]]:
    """SQLite is new enough, and can search for words"""
    if sqlite3.sqlite_version_info < _SQLITE:
        yield (
            f"SQLite {sqlite3.sqlite_version} is too old",
            "use a Python with SQLite 3.38 or newer",
        )
    db = sqlite3.connect(":memory:")
    try:
        db.execute("CREATE VIRTUAL TABLE words USING fts5 (word)")
    except sqlite3.OperationalError:
        yield "SQLite has no FTS5", "use a Python whose SQLite has it, such as Debian's"
    finally:
        db.close()


def path(_db: str) -> Iterator[tuple[str, str]]:
    """The tools of the pipelines are on the PATH that cron has"""
    for tool in _TOOLS:
        if not shutil.which(tool, path=SYSTEM_PATH):
            package = "util-linux" if tool == "flock" else tool
            yield f"no {tool} on {SYSTEM_PATH}", f"install {package}"
    if bash := shutil.which("bash", path=SYSTEM_PATH):
        command = [bash, "-c", 'echo "${BASH_VERSINFO[*]:0:2}"']
        said = subprocess.run(command, capture_output=True, env={}).stdout.decode()
        if tuple(map(int, said.split())) < _BASH:
            yield f"{bash} is {said.strip().replace(' ', '.')}", "install bash 4.4 or newer"


def environment(_db: str) -> Iterator[tuple[str, str]]:
    """No variable meddles with the programs, and temporary files can be written"""
    for name in _MEDDLING:
        if os.environ.get(name):
            yield f"{name}={os.environ[name]} is set", f"unset {name}, or start with run-job"
    folder = os.environ.get("TMPDIR") or "/tmp"
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK | os.X_OK):
        yield f"cannot write temporary files to {folder}", "set TMPDIR to a folder of yours"


def locale(_db: str) -> Iterator[tuple[str, str]]:
    """The locale exists"""
    import locale

    try:
        locale.setlocale(locale.LC_ALL, "")
    except locale.Error:
        names = ("LC_ALL", "LANG", "LC_CTYPE")  # the last one Python may have set itself
        name = next((name for name in names if os.environ.get(name)), "LANG")
        advice = "numbers are right anyway, but tools may complain: set it to C.UTF-8"
        yield f"{name}={os.environ.get(name, '')} is not a locale of this machine", advice


def zone_data(_db: str) -> Iterator[tuple[str, str]]:
    """The rules of time zones are there, and as new as the machine's own"""
    ours = zones.rules_version()
    try:
        zones.find("America/Chicago")
    except ValueError:
        yield "the package tzdata has no zones", f"run make set-up in {ROOT}"
    try:
        head = _SYSTEM_ZONES.open().readline()
    except OSError:
        return
    if (match := re.match(r"# version (\d{4}[a-z]+)", head)) and match[1] > ours:
        advice = "update Headcount: days of zones that have changed may be cut otherwise"
        yield f"zone rules are of {ours}, the machine's of {match[1]}", advice


CHECKS = (interpreter, sqlite, path, environment, locale, zone_data)


_LEAST_FREE = 100 << 20  # bytes
_LARGE_WAL = 64 << 20  # bytes: SQLite writes it back at 4 MB, our streams at 128 MB at most
# File systems of other machines: locks and shared memory do not reach from one to the other.
_NETWORK = re.compile(
    r"nfs.*|cifs|smb.*|9p|afs|ceph|glusterfs|lustre|vboxsf|davfs|fuse\.(sshfs|s3fs|gcsfuse|rclone).*"
)


def kept_in(db: str) -> str:
    """The folder of the database, or, of one on a server, of what imports keep meanwhile."""
    if not address.is_url(db):
        return os.path.dirname(os.path.realpath(db))
    folder = address.cache()
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
        room = os.statvfs(place)
        if room.f_files and room.f_favail < 100:
            yield f"{place} has {room.f_favail} inodes left", "delete files there"


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
            if version < database.SCHEMA_VERSION:
                text = f"{db} has schema {version}, here it is {database.SCHEMA_VERSION}"
                yield text, "the next import, of anything, brings it up to date"
                return
            last = "SELECT zone_rules FROM run WHERE status = 'done' ORDER BY id DESC LIMIT 1"
            rules = connection.execute(last).fetchone()
    except Failure as failure:
        yield str(failure), ""  # it says what to do
        return
    ours = zones.rules_version()
    if rules and rules[0] != ours:
        advice = (
            "if your zone's have changed, import the events since then anew: those of the last "
            "days with --replace; older ones, with all others, into another --db"
        )
        yield f"the last import cut days by zone rules {rules[0]}, now they are {ours}", advice


def nights(path: str | None) -> Iterator[tuple[str, str]]:
    """What is wrong with the imports of a crontab: of a file, or the user's own."""
    for started in crontab.imports(crontab.read(path) or ""):
        if said := crontab.problem(started):
            where = path or "crontab -l"
            yield f"{where}, line {started.line}: {said}", "mend the line, or name another --db"


def _reading(db: str):
    """The database, or None if there is none yet."""
    there = server.has_tables(db) if address.is_url(db) else os.path.exists(db)
    return database.for_reading(db) if there else contextlib.nullcontext()


def checks_of(db: str) -> tuple:
    """Those of a file; or those of a server, which has files of its own to look after."""
    if address.is_url(db):
        return disk_space, time, schema
    return disk_space, permissions, locks, time, journal, schema
