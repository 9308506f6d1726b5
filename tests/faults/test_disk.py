"""Rows 3 to 6: power cut, disk full, disk broken, disk read-only."""

import os
import random
import subprocess
import time

import pytest

from faults.databases import copy_db, differences, on_server, problems
from faults.pipelines import attempt, imported
from faults.tracing import calls, need_strace, traced
from helpers import postgres_server as server
from helpers.programs import BARE, run
from helpers.sessions import kill_session, session, sound
from helpers.thorough import IN_FULL

CUTS = 25 if IN_FULL else 1
POINTS = None if IN_FULL else 2


def fine_again(start, db):
    """The fault is over: the same import is as if nothing had been."""
    imported(start.pipeline, db, *start.files[:2])
    assert differences(db, start.golden) == [] and problems(db) == []


# ---- power


@pytest.mark.sample(9)
@pytest.mark.fault(3)
def test_power_is_cut(start, power, placed, injected):
    """What the import has called done is there; the rest comes with the next."""
    folder, cut, restart = power
    db = placed(folder)
    dice = random.Random(start.pipeline.name)
    for _ in range(CUTS):
        copy_db(start.one, db)
        os.sync()
        with injected(start.pipeline.name):
            with session(*start.pipeline.command(db, start.files[1])) as process:
                time.sleep(dice.uniform(0.1, 0.7))
                ended = process.poll()
                cut()
                kill_session(process.pid)
            restart()
            if ended == 0:
                assert differences(db, start.golden) == []
            elif not start.pipeline.keeps:
                assert [] in (differences(db, whole) for whole in (start.golden, start.base))
            fine_again(start, db)


# ---- no space


@pytest.mark.sample(12)
@pytest.mark.fault(4)
def test_disk_full_at_a_call(start, db, injected, tmp_path):
    """From any write on, none succeeds."""
    failing(start, db, injected, tmp_path, "pwrite64", "ENOSPC", {74})


@pytest.mark.sample(36)
@pytest.mark.fault(5)
@pytest.mark.parametrize("call", ["fsync,fdatasync", "pwrite64", "pread64"])
def test_disk_broken_at_a_call(call, start, db, injected, tmp_path):
    # where nothing can be read, it may not even begin
    failures = {74} if call != "pread64" else {1, 66, 74, 126, 127}
    failing(start, db, injected, tmp_path, call, "EIO", failures)


def failing(start, db, injected, tmp_path, call, error, statuses):
    need_strace()
    log = tmp_path / "log"
    command = start.pipeline.command(db, start.files[1])
    assert traced(command, "-e", f"trace={call}", log=log).returncode == 0
    most = max(calls(log, call).values(), default=0)
    points = range(1, most + 1)
    if not IN_FULL:
        points = random.Random(start.pipeline.name).sample(points, min(POINTS, most))
    for number in points:
        copy_db(start.one, db)
        fault = f"inject={call}:error={error}:when={number}+"
        with injected(start.pipeline.name):
            done = traced(command, "-e", f"trace={call}", "-e", fault, log=log)
            if done.returncode in (0, 65):  # writes that nothing depends on
                assert differences(db, start.golden) == []
            else:
                assert done.returncode in statuses, (number, done.returncode, done.stderr)
                library = b"cannot read file data" in done.stderr  # before any code of ours
                assert library or (b"Traceback" not in done.stderr and done.stderr)
            assert run("show-runs", "--db", db).returncode == 0  # others can be read meanwhile
            fine_again(start, db)


@pytest.mark.sample(3)
@pytest.mark.fault(4)
def test_a_disk_that_is_full(start, tiny_disk, placed, injected):
    """A real one: however much space is left, all is well when there is more."""
    folder, resize = tiny_disk
    resize("24m")
    db = placed(folder)
    sizes = range(0, 400 << 10, 8 << 10) if IN_FULL else (0, 100 << 10)
    for left in sizes:
        with injected(start.pipeline.name):
            free = os.statvfs(folder)
            filler = folder / "filler"
            filler.write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - left)))
            done = attempt(start.pipeline, db, start.files[1])
            assert done.returncode in (0, 1, 74), (left, done.stderr)
            assert b"Traceback" not in done.stderr and (done.stderr or done.returncode == 0)
            filler.unlink()
            assert sound(db)
    fine_again(start, db)


@pytest.mark.sample(2)
@pytest.mark.fault(4)
def test_output_that_cannot_be_written(start, db, injected):
    """What is imported is imported; that it could not be told has a status."""
    with injected(start.pipeline.name), open("/dev/full", "wb") as full:
        command = start.pipeline.command(db, start.files[1])
        done = subprocess.run(command, env=BARE, stdout=full, stderr=subprocess.PIPE)
        assert done.returncode in (0, 74) and b"Traceback" not in done.stderr
        assert differences(db, start.golden) == []


# ---- read-only


@pytest.mark.sample(6)
@pytest.mark.fault(6)
@pytest.mark.parametrize("what", ["database", "folder", "disk"])
def test_what_cannot_be_written(what, start, placed, tmp_path, unprivileged, injected, request):
    folder = tmp_path
    if what == "disk":
        folder, resize = request.getfixturevalue("tiny_disk")
        resize("24m")
    db = placed(folder)
    if what == "disk":
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    elif what == "folder":
        folder.chmod(0o500)
    elif on_server(db):
        server.may_write(db, False)
    else:
        db.chmod(0o400)
    try:
        with injected(start.pipeline.name):
            command = [*unprivileged, *start.pipeline.command(db, start.files[1])]
            done = subprocess.run(command, env=BARE, capture_output=True)
            assert done.returncode == 74 and b"cannot write" in done.stderr, done.stderr
            assert b"Traceback" not in done.stderr
            assert run("show-runs", "--db", db).returncode == 0
            if what != "disk":
                assert differences(db, start.base) == []
    finally:
        if what == "disk":
            subprocess.run(["mount", "-o", "remount,rw", folder], check=True)
        folder.chmod(0o700)
        if on_server(db):
            server.may_write(db, True)
        else:
            db.chmod(0o600)
    fine_again(start, db)
