"""The ledger: what every import read, where each line went.

The session of a pipeline (pipelines/session.py) begins a run before anything is read, and enters a
failure; the sink calls `finish` in the transaction of the data.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
import stat
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from headcount import __version__
from headcount.cli import types
from headcount.db import locks, sql
from headcount.db import settings as db_settings
from headcount.errors import NO_INPUT, Failure
from headcount.filters.account import Account
from headcount.io.splits import is_url
from headcount.values import clock, zones
from headcount.values.tsv import shown

# In SQL: whether a run is one of an import, and not of a tool.
IS_IMPORT = "(" + " OR ".join(f"pipeline LIKE '{start}%'" for start in locks.IMPORTS) + ")"
# In SQL: jobs that should have run and have not.
OVERDUE = """
WITH latest AS (
    SELECT job, every, max(id) FROM job_run GROUP BY job
),
good AS (
    SELECT job, min(started_at) AS first, max(started_at) FILTER (WHERE status = 'done') AS success
    FROM job_run GROUP BY job
)
SELECT job, success AS last_success, every AS every_seconds
FROM latest JOIN good USING (job)
WHERE every > 0 AND unixepoch('now') - unixepoch(coalesce(success, first)) > every * 1.5
ORDER BY job
"""
_EDGE = 64 << 10
SKIPPED = "skipped: "  # how the message of a start begins that found another one running


class _Input(NamedTuple):
    """One input of a run. Only a regular file has a mark, and only a file has a size."""

    path: str
    size: int | None
    mark: str | None


def fingerprint(path: str, kind: str | None = None) -> str | None:
    """What tells that a file is the very same as before, and read as the same kind of input.

    None for what is no regular file.

    Device, inode, size and times change with every write; the hash of both ends is for the file
    systems whose times are coarse. A copy has another fingerprint, and is simply read again.
    """
    import hashlib  # slow to import, and only the start of a run needs it

    if not stat.S_ISREG(os.stat(path).st_mode):  # never open a FIFO twice
        return None
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        info = os.fstat(fd)
        start = end = os.pread(fd, _EDGE, 0)
        if info.st_size > _EDGE:
            end = os.pread(fd, _EDGE, info.st_size - _EDGE)
    finally:
        os.close(fd)
    digest = hashlib.sha256(start)
    digest.update(end)
    identity = (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
    digest.update(repr(identity if kind is None else (*identity, kind)).encode())
    return digest.hexdigest()


def begin(
    db: sqlite3.Connection,
    pipeline: str,
    settings: dict[str, str],
    paths: list[str],
    *,
    again: bool,
    kinds: Sequence[str] = (),
) -> tuple[int, list[str]]:
    """Enter a run; returns its number and the inputs to read.

    Files that a finished run has read, unchanged since, are skipped (unless `again`); if there are
    `kinds`, one for each path, only if they were read as the same kind. The caller
    holds the lock of its pipeline, so a run of that which still counts as running was killed.
    Raises Failure 78 if the database was made with other settings, 66 for a missing input.
    """
    db_settings.check(db, settings)
    db.execute(
        "UPDATE run SET status = 'aborted', ended_at = ?, message = 'killed' "
        "WHERE status = 'running' AND pipeline = ?",
        [clock.now(), pipeline],
    )
    run_id = db.execute(
        "INSERT INTO run (pipeline, version, zone_rules, status, started_at) "
        "VALUES (?, ?, ?, 'running', ?) RETURNING id",
        [pipeline, __version__, zones.rules_version(), clock.now()],
    ).fetchone()[0]
    inputs = [_input(*pair) for pair in dict(itertools.zip_longest(paths, kinds)).items()]
    marks = [] if again else [found.mark for found in inputs if found.mark is not None]
    known = _were_read(db, pipeline, marks)
    db.executemany(
        "INSERT INTO run_input (run_id, path, status, size, fingerprint) VALUES (?, ?, ?, ?, ?)",
        (
            # (the mark of what is skipped is that of a run before)
            [run_id, _text(path), "skipped", size, None]
            if mark in known
            else [run_id, _text(path), "read", size, mark]
            for path, size, mark in inputs
        ),
    )
    due = [found.path for found in inputs if found.mark not in known]
    if not due:
        finish(db, run_id, settings, Account(pipeline))
    return run_id, due


def _input(path: str, kind: str | None) -> _Input:
    """Raises Failure 66 for a file that is not there."""
    if path == "-" or is_url(path):
        return _Input(path, None, None)
    try:
        return _Input(path, os.stat(path).st_size, fingerprint(path, kind))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Failure(f"{shown(path)}: cannot open: {reason}", NO_INPUT) from None


def _text(path: str) -> str:
    """A path for the database; one whose bytes are no text, as Python would print it."""
    return path.encode(errors="backslashreplace").decode()


def _were_read(db: sqlite3.Connection, pipeline: str, marks: list[str]) -> set[str]:
    """Those of these fingerprints whose files a finished run of the pipeline has read."""
    query = (
        "SELECT fingerprint, run_id FROM run_input JOIN run ON run.id = run_id "
        "WHERE pipeline = ? AND run.status = 'done' AND run_input.status = 'read' AND fingerprint"
    )
    return set(sql.select(db, query, marks, [pipeline]))


def finish(
    db: sqlite3.Connection,
    run_id: int,
    settings: dict[str, str],
    account: Account,
) -> None:
    """Close a run within the transaction of its data.

    Raises Failure if lines are unaccounted for.
    """
    account.check()
    db_settings.enter(db, settings)
    enter_lines(db, run_id, account)
    db.execute("UPDATE run SET status = 'done', ended_at = ? WHERE id = ?", [clock.now(), run_id])
    db.executemany(
        "UPDATE run_input SET lines = ? WHERE run_id = ? AND path = ?",
        [(lines, run_id, _text(path)) for path, lines in account.inputs.items()],
    )
    enter_reasons(db, run_id, "run_reject", account.reasons)


def enter_reasons(
    db: sqlite3.Connection, run_id: int, table: str, reasons: Mapping[str, int]
) -> None:
    """Enter how many lines a run has rejected (run_reject) or left out (run_filter), and why."""
    number = {"run_reject": "rejects", "run_filter": "lines"}[table]
    db.executemany(
        f"INSERT INTO {table} VALUES (?, ?, ?) "
        f"ON CONFLICT (run_id, reason) DO UPDATE SET {number} = excluded.{number}",
        [(run_id, reason, count) for reason, count in reasons.items() if count],
    )


def forget_inputs(db: sqlite3.Connection, run_id: int) -> None:
    """Let no file of a run count as read: it has stopped before their ends."""
    db.execute("UPDATE run_input SET fingerprint = NULL WHERE run_id = ?", [run_id])


def enter_lines(db: sqlite3.Connection, run_id: int, account: Account) -> None:
    """Enter where a run's lines have gone so far."""
    db.execute(
        "UPDATE run SET lines = ?, kept = ?, filtered = ?, duplicate = ?, rejected = ?, "
        "unidentified = ? WHERE id = ?",
        [
            account.lines,
            account.kept,
            account.filtered,
            account.duplicate,
            account.rejected,
            account.unidentified,
            run_id,
        ],
    )


def unpublished(db: sqlite3.Connection, run_id: int) -> tuple[int, int]:
    """Lines and rejects of earlier runs of a run's pipeline that came after its last finished one.

    (For pipelines that keep what they have read even if a run fails.)
    """
    sums = db.execute(
        "SELECT coalesce(sum(lines), 0), coalesce(sum(rejected), 0) FROM run "
        "JOIN (SELECT id AS own, pipeline AS ours FROM run WHERE id = ?) AS this "
        "ON pipeline = ours WHERE id < own AND id > (SELECT coalesce(max(done.id), 0) "
        "FROM run AS done WHERE done.pipeline = ours AND done.status = 'done')",
        [run_id],
    )
    return sums.fetchone()


def refuse_rejects(
    rejected: int, lines: int, max_rejects: str, consequence: str, passed: int = 0
) -> None:
    """Raises Failure if more of the lines were rejected than `max_rejects` (N or N%) allows.

    Lines that a search `passed` over are not counted: they were not looked at.
    """
    lines -= passed
    if rejected > types.allowed(max_rejects, lines):
        which = "lines that were looked at" if passed else "lines"
        raise Failure(
            f"{rejected} of {lines} {which} were rejected, more than --max-rejects {max_rejects}: "
            f"{consequence}. See them with --rejects FILE, then mend them or allow them with a "
            "larger --max-rejects"
        )


def skip(db: sqlite3.Connection, pipeline: str, message: str) -> None:
    """Enter an import that came to nothing, for another one of its pipeline still runs."""
    now = clock.now()
    db.execute(
        "INSERT INTO run (pipeline, version, zone_rules, status, started_at, ended_at, message) "
        "VALUES (?, ?, ?, 'failed', ?, ?, ?)",
        [pipeline, __version__, zones.rules_version(), now, now, SKIPPED + message],
    )


def fail(db: sqlite3.Connection, run_id: int, message: str) -> None:
    """Enter that a run came to nothing."""
    db.execute(
        "UPDATE run SET status = 'failed', ended_at = ?, message = ? "
        "WHERE id = ? AND status = 'running'",
        [clock.now(), message, run_id],
    )
