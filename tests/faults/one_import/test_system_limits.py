"""Limits of the system: processes, descriptors, memory."""

import os
import subprocess

import pytest

from faults.one_import.common import (
    PIPELINES,
    ROWS,
    right_or_refused,
    tree_with_broken_rows,
    truth,
)
from helpers.programs import BARE, BIN, ROOT, run
from helpers.sessions import (
    stages,
)


@pytest.mark.parametrize("allowed", [0, 1])
def test_no_more_processes(allowed, two_files, tmp_path):
    """As under `ulimit -u`, which nobody can set for this alone."""
    breaks = f"""
left = [os.fork] * {allowed}
def fork():
    if not left:
        raise BlockingIOError(11, "Resource temporarily unavailable")
    return left.pop()()
os.fork = fork
"""
    bin = tree_with_broken_rows(tmp_path / "tree", breaks)
    done = run(bin / "count-active-users", "--jobs", 2, *two_files)
    right_or_refused(done, b"2019-12-31\t1000\n")


@pytest.mark.parametrize("descriptors", [8, 10, 12, 16, 64])
def test_few_descriptors_for_many_processes(descriptors, two_files):
    """Without lib/python: the shell needs descriptors, too."""
    python = [ROOT / ".venv" / "bin" / "python", "-I", "-X", "utf8"]
    command = [*python, "-m", ROWS, "count-active-users", "--jobs", "20", *two_files * 20]
    users = r"tr '\t' '\n' | grep '^user' | sort -u | wc -l"
    script = f'ulimit -n "$0"; "$@" | {users}; exit "${{PIPESTATUS[0]}}"'
    done = subprocess.run(
        ["bash", "-c", script, str(descriptors), *command], capture_output=True, env=BARE
    )
    if done.returncode:
        assert done.stderr.count(b"\n") == 1 and b"Traceback" not in done.stderr
    else:
        assert (done.stdout, done.stderr) == (b"1000\n", b"")


@pytest.mark.sample(4)
@PIPELINES
@pytest.mark.parametrize("long_first", [True, False])
def test_no_more_memory_in_a_process(program, long_first, db, small, tmp_path):
    """A line that is longer than the memory is no reason to guess."""
    before = truth(db)
    path = tmp_path / "long"
    path.touch()
    os.truncate(path, 400_000_000)  # zeros that need no disk
    files = [path, small] if long_first else [small, path]
    options = ["--db", db] if program == "import-active-users" else []
    script = 'ulimit -v 400000; exec "$@"'
    command = ["bash", "-c", script, "bash", BIN / program, *options, "--jobs", "2", *files]
    done = subprocess.run(command, capture_output=True, env=BARE, timeout=20)
    assert done.returncode == 1 and done.stdout == b""
    assert b"out of memory" in done.stderr and b"Traceback" not in done.stderr
    assert truth(db) == before and not stages(db)
