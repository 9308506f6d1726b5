"""Rows 1, 2, 18: processes killed or told to stop, at any system call and at any moment."""

import contextlib
import os
import random
import signal
import subprocess
import time

import pytest

from faults.databases import copy_db, differences, problems
from faults.pipelines import imported
from faults.tracing import WRITES, calls, need_strace, traced
from helpers.programs import BARE
from helpers.sessions import kill_session, members, session, sound
from helpers.thorough import IN_FULL

TIMES = 40 if IN_FULL else 2  # random moments


def mended(start, db):
    """Run again as if nothing had been, and hold it against the golden database."""
    imported(start.pipeline, db, *start.files[:2])
    assert differences(db, start.golden) == [] and problems(db) == []


@pytest.mark.sample(10)
@pytest.mark.fault(1)
def test_killed_at_a_system_call(start, db, injected, tmp_path):
    """Every one of the calls that write, one run for each of its numbers."""
    need_strace()
    log = tmp_path / "log"
    command = start.pipeline.command(db, start.files[1])
    assert traced(command, "-e", f"trace={WRITES}", log=log).returncode == 0
    points = [(call, n + 1) for call, most in calls(log, WRITES).items() for n in range(most)]
    assert len(points) > 20
    dice = random.Random(start.pipeline.name)
    for call, number in points if IN_FULL else dice.sample(points, 4):
        copy_db(start.one, db)
        kill = f"inject={call}:signal=KILL:when={number}"
        with injected(start.pipeline.name):
            done = traced(command, "-e", f"trace={call}", "-e", kill, log=log)
            if done.returncode in (0, 65):  # it was a process whose work was done
                assert differences(db, start.golden) == []
            elif not start.pipeline.keeps:
                committed = not differences(db, start.golden)
                assert committed or not differences(db, start.base)
            mended(start, db)


@pytest.mark.sample(12)
@pytest.mark.fault(1)
def test_killed_at_a_moment(start, db, injected):
    """All processes at once."""
    began = time.monotonic()
    imported(start.pipeline, db, start.files[1])
    seconds = time.monotonic() - began
    dice = random.Random(start.pipeline.name)
    for _ in range(TIMES):
        copy_db(start.one, db)
        with injected(start.pipeline.name):
            with session(*start.pipeline.command(db, start.files[1])) as process:
                time.sleep(dice.uniform(0, seconds))
                kill_session(process.pid)
            assert sound(db)
            whole = [] in (differences(db, golden) for golden in (start.base, start.golden))
            assert whole or start.pipeline.keeps
            mended(start, db)


@pytest.mark.sample(9)
@pytest.mark.fault(2)
def test_one_process_is_killed(start, db, injected):
    """The shell, a filter, a sink, a helper: whichever it was, nothing half-way is committed."""
    dice = random.Random(start.pipeline.name)
    for _ in range(TIMES):
        copy_db(start.one, db)
        with injected(start.pipeline.name):
            with session(*start.pipeline.command(db, start.files[1])) as process:
                time.sleep(dice.uniform(0.02, 0.4))
                alive = members(process.pid)
                if alive:
                    victim = dice.choice(alive)
                    with contextlib.suppress(ProcessLookupError):  # it has just ended
                        os.kill(victim.pid, signal.SIGKILL)
                status = process.wait(timeout=60)
                kill_session(process.pid)
            if status in (0, 65):
                assert differences(db, start.golden) == []
            mended(start, db)


@pytest.mark.sample(16)
@pytest.mark.fault(18)
@pytest.mark.parametrize("name", ["TERM", "INT", "HUP"])
def test_told_to_stop(name, start, db, injected):
    """Within two seconds, with a status that says so, and all or nothing is committed."""
    dice = random.Random(start.pipeline.name + name)
    for _ in range(max(1, TIMES // 4)):
        copy_db(start.one, db)
        with injected(start.pipeline.name):
            process = subprocess.Popen(
                start.pipeline.command(db, start.files[1]),
                env=BARE,
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            time.sleep(dice.uniform(0.05, 0.4))
            told = time.monotonic()
            process.send_signal(getattr(signal, f"SIG{name}"))
            said = process.communicate(timeout=30)[1]
            assert time.monotonic() - told < 2 or IN_FULL  # (of a machine that has time for it)
            assert b"Traceback" not in said
            if process.returncode == 0:
                assert differences(db, start.golden) == []
            mended(start, db)


@pytest.mark.sample(2)
@pytest.mark.fault(18)
def test_stopped_and_continued(start, db, injected):
    with injected(start.pipeline.name):
        with session(*start.pipeline.command(db, start.files[1])) as process:
            for _ in range(3):
                time.sleep(0.07)
                os.killpg(process.pid, signal.SIGSTOP)
                time.sleep(0.07)
                os.killpg(process.pid, signal.SIGCONT)
            assert process.wait(timeout=60) == 0
        assert differences(db, start.golden) == [] and problems(db) == []


@pytest.mark.fault(18)
def test_a_reader_that_goes_away(start, db, injected):
    """`import … | head -0` is quiet, and has imported all."""
    with injected(start.pipeline.name):
        reader, writer = os.pipe()
        os.close(reader)
        command = start.pipeline.command(db, start.files[1])
        done = subprocess.run(command, env=BARE, stdout=writer, stderr=subprocess.PIPE)
        os.close(writer)
        assert (done.returncode, done.stderr) == (0, b"")
        assert differences(db, start.golden) == []
