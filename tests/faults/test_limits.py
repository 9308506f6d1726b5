"""Rows 19 to 21: too little memory, time, descriptors, processes, inodes."""

import os
import resource
import subprocess

import pytest

from faults.databases import copy_db, differences, problems
from faults.pipelines import attempt, imported
from faults.tracing import need_strace, traced
from helpers.programs import BARE
from helpers.thorough import IN_FULL, long


def limited(start, db, **limits):
    """An import under limits of the system."""

    def limit():
        for name, value in limits.items():
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))

    command = start.pipeline.command(db, start.files[1])
    return subprocess.run(
        command, env=BARE, capture_output=True, stdin=subprocess.DEVNULL, preexec_fn=limit
    )


def all_or_nothing(start, db, done):
    """Whatever the limit has done to an import; without one, it goes on."""
    if done.returncode in (0, 65):
        assert differences(db, start.golden) == []
    else:
        assert done.stderr
        assert start.pipeline.keeps or differences(db, start.base) == []
    imported(start.pipeline, db, *start.files[:2])
    assert differences(db, start.golden) == [] and problems(db) == []


@pytest.mark.sample(51)
@pytest.mark.fault(19)
@pytest.mark.parametrize("megabytes", range(20, 400, 20))
def test_memory(megabytes, start, db, injected):
    with injected(start.pipeline.name):
        all_or_nothing(start, db, limited(start, db, AS=megabytes << 20))


@pytest.mark.sample(8)
@pytest.mark.fault(20)
def test_a_slow_disk(start, db, injected, tmp_path):
    """Each sync takes a tenth of a second."""
    need_strace()
    slow = ["-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:delay_enter=100000"]
    with injected(start.pipeline.name):
        command = start.pipeline.command(db, start.files[1])
        assert traced(command, *slow, log=tmp_path / "log").returncode == 0
        assert differences(db, start.golden) == [] and problems(db) == []


@long
@pytest.mark.fault(20)
def test_little_of_a_processor(start, db, injected):
    """Behind others, who take all that there is."""
    busy = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(2)]
    try:
        with injected(start.pipeline.name):
            command = ["nice", "-n", "19", *start.pipeline.command(db, start.files[1])]
            done = subprocess.run(command, env=BARE, capture_output=True, timeout=240)
            assert done.returncode == 0 and differences(db, start.golden) == []
    finally:
        for process in busy:
            process.kill()
            process.wait()


@pytest.mark.sample(34)
@pytest.mark.fault(21)
@pytest.mark.parametrize("number", range(4, 24))
def test_descriptors(number, start, db, injected):
    with injected(start.pipeline.name):
        all_or_nothing(start, db, limited(start, db, NOFILE=number))


@pytest.mark.sample(12)
@pytest.mark.fault(21)
def test_inodes(start, tiny_disk, placed, injected):
    folder, _ = tiny_disk
    subprocess.run(["mount", "-o", "remount,size=24m,nr_inodes=60", folder], check=True)
    db = placed(folder)
    for left in range(8) if IN_FULL else (0, 3):
        with injected(start.pipeline.name):
            for i in range(os.statvfs(folder).f_favail - left):
                (folder / f"filler-{i}").touch()
            done = attempt(start.pipeline, db, start.files[1])
            assert done.returncode in (0, 74, 1), done.stderr
            assert b"Traceback" not in done.stderr
            for path in folder.glob("filler-*"):
                path.unlink()
            all_or_nothing(start, db, done)
            copy_db(start.one, db)


@pytest.mark.sample(12)
@pytest.mark.fault(21)
def test_processes(start, db, injected, tmp_path):
    """From the n-th on, none can be started any more; or only that one."""
    need_strace()
    forks = "clone,clone3,fork,vfork"
    for when in (f"{i}{more}" for i in range(1, 7) for more in ("", "+")) if IN_FULL else ["3"]:
        copy_db(start.one, db)
        fault = ["-e", f"trace={forks}", "-e", f"inject={forks}:error=EAGAIN:when={when}"]
        with injected(start.pipeline.name):
            command = start.pipeline.command(db, start.files[1])
            all_or_nothing(start, db, traced(command, *fault, log=tmp_path / "log"))
