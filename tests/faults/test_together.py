"""Rows 7 to 9: others who hold the database, import at the same time, or have not ended yet."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from faults.databases import content, differences, held, opened, problems
from faults.pipelines import PIPELINES, attempt, imported
from helpers.programs import BARE
from helpers.sessions import beside, query
from helpers.thorough import IN_FULL


def short(pipeline, seconds):
    """The pipeline, which waits so long for others."""
    return pipeline._replace(strict=(*pipeline.strict, "--wait", str(seconds)))


@pytest.mark.sample(18)
@pytest.mark.fault(7)
@pytest.mark.parametrize("mode", ["IMMEDIATE", "EXCLUSIVE"])
def test_locked_for_longer_than_it_waits(mode, start, db, injected):
    with injected(start.pipeline.name):
        with held(db, mode):
            began = time.monotonic()
            done = attempt(short(start.pipeline, 0.3), db, start.files[1])
            assert done.returncode == 75 and b"locked" in done.stderr, done.stderr
            assert 0.3 <= time.monotonic() - began < 20
        assert start.pipeline.keeps or differences(db, start.base) == []
        imported(start.pipeline, db, *start.files[:2])
        assert differences(db, start.golden) == [] and problems(db) == []


@pytest.mark.sample(12)
@pytest.mark.fault(7)
def test_locked_for_a_while(start, db, injected):
    with injected(start.pipeline.name):
        with held(db) as other:
            release = threading.Timer(1, other.execute, ["ROLLBACK"])
            release.start()
            imported(short(start.pipeline, 60), db, start.files[1])
            release.join()
        assert differences(db, start.golden) == [] and problems(db) == []


@pytest.mark.sample(2)
@pytest.mark.fault(7)
def test_a_reader_keeps_nobody_waiting(start, db, injected):
    with injected(start.pipeline.name), opened(db) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM run").fetchone()
        imported(short(start.pipeline, 1), db, start.files[1])
        assert differences(db, start.golden) == []


@pytest.mark.sample(12)
@pytest.mark.fault(8)
@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("count", [2, 4, 16] if IN_FULL else [3])
def test_many_at_once(count, same, start, db, injected):
    """Of the same files, and of different ones: none is counted twice."""
    files = [start.files[:2]] * count if same else [[start.files[i % 2]] for i in range(count)]
    with injected(start.pipeline.name, count):
        running = [
            subprocess.Popen(
                short(start.pipeline, 120).command(db, *some),
                env=BARE,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            for some in files
        ]
        said = [process.communicate()[1] for process in running]
        assert [process.returncode for process in running] == [0] * count, said
        assert differences(db, start.golden) == [] and problems(db) == []
        read = query(
            db,
            "SELECT count(*) FROM run_input JOIN run ON run.id = run_id WHERE run.status = 'done' "
            "AND run_input.status = 'read' AND fingerprint IS NOT NULL GROUP BY fingerprint",
        )
        assert all(times == (1,) for times in read) or start.pipeline.keeps


@pytest.mark.sample(8)
@pytest.mark.fault(8)
def test_another_pipeline_at_the_same_time(start, starts, db, injected):
    """They take turns at the database, and neither keeps the other out."""
    others = [other for other in PIPELINES if other.name != start.pipeline.name]
    with injected(start.pipeline.name, len(others) + 1):
        running = [
            subprocess.Popen(
                pipeline.command(db, *starts(pipeline).files[:2]),
                env=BARE,
                stdout=subprocess.DEVNULL,
            )
            for pipeline in [start.pipeline, *others]
        ]
        assert [process.wait() for process in running] == [0] * len(running)
        found = content(db)
        for pipeline in [start.pipeline, *others]:
            golden = starts(pipeline).golden
            empty = content(Path("/nowhere"))
            mine = [table for table in golden if golden[table] != empty[table]]
            assert mine and [table for table in mine if found[table] != golden[table]] == []
        assert problems(db) == []


@pytest.mark.sample(4)
@pytest.mark.fault(9)
def test_the_second_start_waits_or_says_so(start, db, injected):
    lock = f"{beside(db)}{start.pipeline.name}.lock"
    os.makedirs(os.path.dirname(lock), exist_ok=True)
    with injected(start.pipeline.name):
        holder = subprocess.Popen(
            ["flock", lock, "sh", "-c", "echo; exec sleep 60"], stdout=subprocess.PIPE
        )
        holder.stdout.readline()
        done = attempt(short(start.pipeline, 0.2), db, start.files[1])
        assert done.returncode == 75 and b"holds" in done.stderr
        subprocess.run(["pkill", "-P", str(holder.pid)], check=False)
        holder.send_signal(signal.SIGKILL)  # the kernel drops the lock of who was killed
        holder.wait()
        time.sleep(0.1)
        imported(short(start.pipeline, 5), db, start.files[1])
        assert differences(db, start.golden) == []


@pytest.mark.sample(4)
@pytest.mark.fault(9)
def test_the_lock_file_is_deleted(start, db, injected):
    """By somebody who tidies up, while an import runs: still none is counted twice."""
    command = short(start.pipeline, 60).command(db, *start.files[:2])
    with injected(start.pipeline.name):
        quiet = {"env": BARE, "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        first = subprocess.Popen(command, **quiet, stderr=subprocess.DEVNULL)
        time.sleep(0.1)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{beside(db)}{start.pipeline.name}.lock")
        second = subprocess.Popen(command, **quiet, stderr=subprocess.DEVNULL)
        assert first.wait() is not None and second.wait() is not None
        imported(start.pipeline, db, *start.files[:2])
        assert differences(db, start.golden) == [] and problems(db) == []
