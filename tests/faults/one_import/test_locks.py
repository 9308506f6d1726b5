"""Several imports at once, or a database that is locked."""

import fcntl
import os
import sqlite3
import subprocess
import time
from contextlib import closing

import pytest

from faults.one_import.common import (
    ROWS,
    runs,
    truth,
)
from helpers.events import NOON, event
from helpers.programs import BARE, BIN, run
from helpers.sessions import (
    query,
    session,
    settle,
    sound,
    stages,
)


def start_import(db, *files, wait=None):
    options = [] if wait is None else ["--wait", str(wait)]
    return subprocess.Popen(
        [BIN / "import-active-users", "--db", db, *options, *files],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=BARE,
    )


def finish_imports(processes):
    """Their statuses; each has a message where it gave up."""
    statuses = []
    for process in processes:
        _, stderr = process.communicate(timeout=60)
        statuses.append(process.returncode)
        assert process.returncode in (0, 75), stderr
        assert (process.returncode == 75) <= (b"another import holds" in stderr)
    return statuses


def three_files(tmp_path):
    files = []
    for i in range(3):
        files.append(tmp_path / f"{i}.jsonl")
        files[-1].write_bytes(
            b"".join(
                event(user=f"user {j}", micros=NOON + k * 86_400_000_000)
                for j in range(i * 50, i * 50 + 100)
                for k in range(2)
            )
        )
    return files


UNION = {"2019-12-31": 200, "2020-01-01": 200}


@pytest.mark.parametrize(
    "which", [(0, 0), (0, 1), (0, 1, 2, 0, 1, 2)], ids=["same", "different", "six"]
)
def test_imports_at_once(which, tmp_path):
    files = three_files(tmp_path)
    db = tmp_path / "a.db"
    statuses = finish_imports([start_import(db, files[i]) for i in which])
    assert set(statuses) == {0}
    assert runs(db) == ["done"] * len(which)
    read = query(db, "SELECT path, count(*) FROM run_input WHERE status = 'read' GROUP BY path")
    assert read == [(str(files[i]), 1) for i in sorted(set(which))], "each file is read once"
    run("import-active-users", "--db", db, *files, check=0)
    assert truth(db)[0] == UNION
    assert sound(db) and not stages(db)


def test_imports_at_once_that_do_not_wait(tmp_path):
    files = three_files(tmp_path)
    db = tmp_path / "a.db"
    statuses = finish_imports([start_import(db, files[i % 3], wait=0.05) for i in range(6)])
    assert 0 in statuses and 75 in statuses
    run("import-active-users", "--db", db, *files, check=0)
    assert truth(db)[0] == UNION
    assert "running" not in runs(db) and sound(db) and not stages(db)


def test_a_held_lock(db, tmp_path):
    (tmp_path / "new.jsonl").write_bytes(event(user="new"))
    with open(f"{db}.import-active-users.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        start = time.monotonic()
        done = run(
            "import-active-users", "--db", db, "--wait", 0.5, tmp_path / "new.jsonl", check=75
        )
        assert 0.4 < time.monotonic() - start < 2
        assert done.stdout == b"" and done.stderr.count(b"\n") == 1 and b".lock" in done.stderr
        assert runs(db) == ["done", "failed"]
    run("import-active-users", "--db", db, "--wait", 0.5, tmp_path / "new.jsonl", check=0)


@pytest.mark.parametrize("wait", ["abc", "-1", "", "1x"])
def test_a_bad_time_to_wait_is_a_usage_error(wait, db, small):
    done = run("import-active-users", "--db", db, "--wait", wait, small, check=2)
    assert b"--wait" in done.stderr


@pytest.mark.parametrize("statement", ["BEGIN EXCLUSIVE", "BEGIN IMMEDIATE"])
def test_a_locked_database(statement, db, tmp_path):
    (tmp_path / "new.jsonl").write_bytes(event(user="new"))
    before = truth(db)
    with closing(sqlite3.connect(db, isolation_level=None)) as other:
        other.execute(statement)
        start = time.monotonic()
        done = run(
            "import-active-users", "--db", db, "--wait", 0.5, tmp_path / "new.jsonl", check=75
        )
        assert 0.4 < time.monotonic() - start < 3
        assert done.stdout == b"" and b"locked" in done.stderr and b"Traceback" not in done.stderr
        report = run("show-report", "--db", db, "active_users", "--format", "tsv", check=0)
        assert b"2019-12-31\t1\t" in report.stdout, "readers do not wait for writers"
    assert truth(db) == before and not stages(db)
    run("import-active-users", "--db", db, tmp_path / "new.jsonl", check=0)
    assert truth(db)[0] == {"2019-12-31": 2}


def test_a_database_that_is_locked_when_it_comes_to_loading(db):
    before = truth(db)
    with session(
        "import-active-users", "--db", db, "--wait", 0.5, stdin=subprocess.PIPE
    ) as process:
        settle(process.pid, ROWS)
        with closing(sqlite3.connect(db, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            stdout, stderr = process.communicate(event(user="new"), timeout=10)
    assert process.returncode == 75 and stdout == b"" and b"locked" in stderr
    assert truth(db) == before and not stages(db)
    run("import-active-users", "--db", db, stdin=event(user="new"), check=0)
    assert truth(db)[0] == {"2019-12-31": 2}
    assert runs(db) == ["done", "aborted", "done"]


def test_a_writer_that_lets_go_in_time_is_waited_for(db, tmp_path):
    (tmp_path / "new.jsonl").write_bytes(event(user="new"))
    with closing(sqlite3.connect(db, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        process = start_import(db, tmp_path / "new.jsonl")
        time.sleep(0.7)
        other.execute("ROLLBACK")
    assert finish_imports([process]) == [0]
    assert truth(db)[0] == {"2019-12-31": 2}


def test_a_deleted_lock_file(db, tmp_path):
    (tmp_path / "new.jsonl").write_bytes(event(user="new"))
    os.close(os.open(f"{db}.import-active-users.lock", os.O_CREAT))
    os.unlink(f"{db}.import-active-users.lock")
    run("import-active-users", "--db", db, tmp_path / "new.jsonl", check=0)
    assert truth(db)[0] == {"2019-12-31": 2}
