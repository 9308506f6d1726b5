"""The five imports as the fault matrix sees them: small inputs, a command, a database's content."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from pyroaring import BitMap

from conftest import BARE, BIN, run
from sessions import query


class Pipeline(NamedTuple):
    """`made` is what make-data is asked for; `kind` stands before files, `header` in each."""

    name: str
    made: tuple[str, ...]
    kind: tuple[str, ...] = ()
    header: bool = False
    strict: tuple[str, ...] = ()  # options that make it look at every line
    lenient: tuple[str, ...] = ("--max-rejects", "100%")
    keeps: bool = False  # what it has read, even if it fails

    def inputs(self, folder: Path, count: int = 3) -> list[Path]:
        """Different files, a bit of whose content is the same."""
        paths = []
        for seed in range(count):
            lines = run("make-data", *self.made, "--seed", seed + 1, check=0).stdout
            if paths and not self.header:  # each of which has its columns in another order
                lines += b"".join(paths[-1].read_bytes().splitlines(keepends=True)[-9:])
            paths.append(folder / f"{self.name}-{seed}.txt")
            paths[-1].write_bytes(lines)
        return paths

    def command(self, db: Path, *files: Path, bin: Path = BIN) -> list[str]:
        """An import of files."""
        words = [bin / self.name, "--quiet", "--db", db, *self.strict, *self.kind, *files]
        return list(map(str, words))


PIPELINES = [
    Pipeline("import-active-users", ("engagement", "--events", "300"), strict=("--validate",)),
    Pipeline("import-site-activity", ("chat", "--lines", "300", "--sites", "3"), keeps=True),
    Pipeline("import-recent-changes", ("recent-changes", "--events", "60"), lenient=(), keeps=True),
    Pipeline("import-comments", ("comments", "--comments", "120"), ("--info",)),
    Pipeline("import-event-metrics", ("event-metrics", "--count", "120"), header=True),
]


def imported(pipeline: Pipeline, db: Path, *files: Path, **options) -> subprocess.CompletedProcess:
    """An import that has to succeed."""
    done = attempt(pipeline, db, *files, **options)
    assert done.returncode == 0, done.stderr
    return done


def attempt(pipeline: Pipeline, db: Path, *files: Path, **options) -> subprocess.CompletedProcess:
    """An import, however it ends."""
    options = {"env": BARE, "capture_output": True, "stdin": subprocess.DEVNULL} | options
    return subprocess.run(pipeline.command(db, *files), **options)


def copy_db(source: Path, target: Path) -> Path:
    """A copy in the place of what is there, and of what SQLite keeps beside it."""
    for path in target.parent.glob(f"{target.name}*"):
        path.unlink()
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
    return target


# What a database holds, without numbers that only it gives, and times at which something was done.
_TABLES = {
    "active_user_table": "*",
    "site_activity": "*",
    "site_activity_by_day": "*",
    "site_online_interval": "*",
    "recent_change_raw": "id, timestamp, wiki, type, bot, user, event",
    "stream_extent": "*",
    "stream_gap": "topic, partition, first_offset, last_offset",
    "page": "*",
    "post": "*",
    "post_meta": "*",
    "comment": "comment_id, post_id, parent_id, created_at, up_likes, message",
    "waiting_text": "*",
    "event": "id, first_dimension_id, second_dimension_id, recorded_date, created_date, "
    "metric_one, metric_two, metric_n, other_metrics",
    "first_dimension": "*",
    "second_dimension": "*",
    "metric": "*",
    "metric_column": "*",
}


def content(db: Path) -> dict:
    """All that counts in a database; two that hold the same are equal."""
    if not os.path.exists(db) or not query(db, "SELECT 1 FROM sqlite_schema LIMIT 1"):
        return {table: [] for table in _TABLES} | {"sets": {}, "lines": 0}
    found = {
        table: sorted(query(db, f"SELECT {columns} FROM {table}"), key=repr)
        for table, columns in _TABLES.items()
    }
    if len(found["metric_column"]) == 3:  # as every database has
        found["metric_column"] = []
    names = dict(query(db, "SELECT id, key FROM user"))
    found["sets"] = {
        (day, signal): sorted(names[number] for number in BitMap.deserialize(users))
        for day, signal, users in query(db, "SELECT date, signal, users FROM active_day")
    }
    found["lines"] = query(db, "SELECT coalesce(sum(lines), 0) FROM chat_lines")[0][0]
    return found


def differences(db: Path, golden: dict) -> list[str]:
    """The tables whose content is not the golden one's."""
    found = content(db)
    return [table for table in golden if found[table] != golden[table]]


def problems(db: Path) -> list[str]:
    """What no fault may leave, once the import has been run again."""
    found = [row[0] for row in query(db, "PRAGMA integrity_check") if row[0] != "ok"]
    found += [path.name for path in db.parent.glob(f"{db.name}.*.stage*")]
    running = query(db, "SELECT id FROM run WHERE status = 'running'")
    found += [f"run {number} still counts as running" for (number,) in running]
    sums = "SELECT id FROM run WHERE status = 'done' AND "
    sums += "lines IS NOT kept + filtered + duplicate + rejected"
    return found + [f"lines of run {number} are lost" for (number,) in query(db, sums)]
