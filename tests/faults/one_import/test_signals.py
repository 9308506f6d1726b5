"""SIGTERM or SIGINT in each phase of an import."""

import contextlib
import fcntl
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from contextlib import closing

import pytest

from faults.one_import.common import (
    EXIT_WITHIN,
    KILLED,
    ROWS,
    SIGNALS,
    runs,
    sharing,
    tree_with,
    truth,
)
from helpers.events import event
from helpers.programs import BARE, ROOT, run
from helpers.sessions import (
    members,
    session,
    settle,
    sound,
    stages,
    wait_until,
)

PHASES = ["lock", "begin", "stage", "stage in processes", "load"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_the_stage_is_made(number, db, tmp_path):
    """By a disk so slow that the directory is there only after the signal."""
    slow, begun = tmp_path / "mktemp", tmp_path / "begun"
    slow.write_text(
        f"#!/bin/bash\ntrap '' INT TERM HUP\ntouch {begun}\nsleep 0.3\n/usr/bin/mktemp \"$@\"\n"
    )
    slow.chmod(0o755)
    env = BARE | {"PATH": f"{tmp_path}:{BARE['PATH']}"}
    with session("import-active-users", "--db", db, os.devnull, env=env) as process:
        wait_until(begun.exists)
        os.killpg(process.pid, number)
        process.communicate(timeout=10)
    assert process.returncode == (130 if number == signal.SIGINT else 143)
    assert not stages(db)


@pytest.mark.sample(12)
@pytest.mark.parametrize("number, target", SIGNALS, ids=lambda value: getattr(value, "name", value))
@pytest.mark.parametrize("phase", PHASES)
def test_a_signal_in_each_phase(phase, number, target, db, long_files):
    """Each phase is held up by the test, or long, so that the signal is sure to hit it."""
    before = truth(db)
    with contextlib.ExitStack() as stack:
        if phase == "lock":
            lock = stack.enter_context(open(f"{db}.import-active-users.lock", "a"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        writer = stack.enter_context(closing(sqlite3.connect(db, isolation_level=None)))
        if phase == "begin":
            writer.execute("BEGIN IMMEDIATE")
        options = ["--db", db, "--wait", 30]
        if phase == "stage in processes":
            process, *_ = stack.enter_context(sharing("import-active-users", *options, *long_files))
        else:
            process = stack.enter_context(
                session("import-active-users", *options, stdin=subprocess.PIPE)
            )
        if phase in ("stage", "load"):
            process.stdin.write(event(user="new"))
            process.stdin.flush()
            settle(process.pid, ROWS)
        if phase == "load":
            writer.execute("BEGIN IMMEDIATE")
            process.stdin.close()
            process.stdin = None
            wait_until(lambda: not any(ROWS in member.command for member in members(process.pid)))
            settle(process.pid, "upsert-rows")
        if phase in ("lock", "begin"):
            settle(process.pid, {"lock": "flock", "begin": "pipelines.session"}[phase])

        sent = time.monotonic()
        (os.kill if target == "bash" else os.killpg)(process.pid, number)
        if phase == "load":  # its last act is to enter the failure, for which it waits as long
            time.sleep(0.5)
            writer.execute("ROLLBACK")
        _, stderr = process.communicate(timeout=EXIT_WITHIN)
        assert time.monotonic() - sent < EXIT_WITHIN
        assert process.returncode in KILLED[number], stderr
        assert b"Traceback" not in stderr
        assert truth(db) == before and not stages(db)
        if phase not in ("lock", "begin"):
            assert runs(db) == ["done", "failed"]
        wait_until(lambda: not members(process.pid), EXIT_WITHIN)
    run("import-active-users", "--db", db, stdin=event(user="new"), check=0)
    assert truth(db)[0] == {"2019-12-31": 2}


@pytest.mark.sample(6)
@pytest.mark.parametrize("number, target", SIGNALS, ids=lambda value: getattr(value, "name", value))
def test_a_signal_at_any_moment(number, target, big, imported, golden, tmp_path):
    whole, seconds = golden
    before = truth(imported)
    for turn in range(4):
        folder = tmp_path / f"{turn}"
        folder.mkdir()
        db = shutil.copy(imported, folder / "a.db")
        with session("import-active-users", "--db", db, "--jobs", 3, big) as process:
            time.sleep(seconds * (turn + 0.5) / 4)
            sent = time.monotonic()
            (os.kill if target == "bash" else os.killpg)(process.pid, number)
            process.communicate(timeout=10)
            took = time.monotonic() - sent
        assert took < EXIT_WITHIN + seconds
        left = truth(db)
        assert left in (before, whole) and sound(db) and not stages(db)
        assert (process.returncode == 0) <= (left == whole)
        assert process.returncode != 65
        run("import-active-users", "--db", db, big, check=0)
        assert truth(db) == whole


@pytest.mark.parametrize("phase", ["make_stage", "enter_run"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_between_two_phases(number, phase, db, small, tmp_path):
    """When nothing traps it."""
    text = (ROOT / "lib" / "import.sh").read_text()
    call = f"\t{phase}\n"
    assert text.count(call) == 1
    text = text.replace(call, f"{call}\tkill -{number:d} $$\n")
    bin = tree_with(tmp_path / "tree", "lib/import.sh", text)
    shutil.copy(small, tmp_path / "other")
    done = run(bin / "import-active-users", "--db", db, tmp_path / "other")
    assert done.returncode in KILLED.get(number, {-number}) and done.stdout == b""
    assert not stages(db)
    assert runs(db) == ["done"] + (["failed"] if phase == "enter_run" else [])
