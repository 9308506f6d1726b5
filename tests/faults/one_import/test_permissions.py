"""Permissions: of what may not be read or written, of what is private."""

import os
import shutil
import sqlite3
import stat
import subprocess
from contextlib import closing

import pytest

from faults.one_import.common import (
    ROWS,
    truth,
)
from helpers.events import event
from helpers.programs import BARE, BIN, run
from helpers.sessions import (
    session,
    settle,
    stages,
)


@pytest.mark.parametrize("what", ["file", "directory", "both"])
def test_a_read_only_database(what, unprivileged, imported, small, tmp_path):
    folder = tmp_path / "shelf"
    folder.mkdir()
    db = shutil.copy(imported, folder / "a.db")
    events = tmp_path / "new.jsonl"
    events.write_bytes(event(user="new"))
    before = truth(db)
    if what in ("file", "both"):
        db.chmod(0o400)
    if what in ("directory", "both"):
        folder.chmod(0o500)
    try:
        done = subprocess.run(
            [*unprivileged, BIN / "import-active-users", "--db", db, events],
            capture_output=True,
            env=BARE,
        )
        report = subprocess.run(
            [*unprivileged, BIN / "show-report", "--db", db, "active_users", "--format", "tsv"],
            capture_output=True,
            env=BARE,
        )
    finally:
        folder.chmod(0o700)
    assert done.returncode == 74, done.stderr
    assert b"cannot write" in done.stderr and str(folder).encode() in done.stderr
    assert done.stdout == b"" and b"Traceback" not in done.stderr
    assert report.returncode == 0, report.stderr
    assert b"2019-12-31\t1\t" in report.stdout and report.stderr == b""
    assert truth(db) == before and not stages(db)


def test_a_database_that_may_not_be_read(unprivileged, imported, tmp_path):
    db = shutil.copy(imported, tmp_path / "a.db")
    db.chmod(0)
    done = subprocess.run(
        [*unprivileged, BIN / "show-report", "--db", db, "runs"], capture_output=True, env=BARE
    )
    assert done.returncode not in (0, 65) and done.stdout == b""
    assert b"cannot read" in done.stderr


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_what_holds_user_ids_is_private(tmp_path):
    db, rejects = tmp_path / "a.db", tmp_path / "rejects"
    lines = event() + b'{"event_name":"user_engagement"}\n'
    options = ["--db", db, "--rejects", rejects, "--max-rejects", "1"]
    with session("import-active-users", *options, stdin=subprocess.PIPE, umask=0) as process:
        process.stdin.write(lines)
        process.stdin.flush()
        settle(process.pid, ROWS)
        (stage,) = stages(db)
        assert mode(stage) == 0o700
        with closing(sqlite3.connect(db)) as reader:  # keeps the log of the database alive
            reader.execute("SELECT count(*) FROM run").fetchall()
            process.communicate(timeout=20)
            assert process.returncode == 65
            for path in (db, f"{db}-wal", f"{db}-shm", f"{db}.import-active-users.lock", rejects):
                assert mode(path) == 0o600, path
    assert sorted(path.name for path in tmp_path.iterdir() if "stage" in path.name) == []


def test_a_database_open_to_others_is_warned_of(db, small):
    db.chmod(0o666)
    done = run("import-active-users", "--db", db, small, check=0)
    assert b"others" in done.stderr
