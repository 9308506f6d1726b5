"""Processes that share the work: one dies, one stops, one fails."""

import gzip
import os
import signal
import subprocess

import pytest

from faults.one_import.common import (
    COUNTING,
    EXIT_WITHIN,
    PIPELINES,
    VICTIMS,
    has_read,
    runs,
    sharing,
    truth,
)
from helpers.events import NOON, event
from helpers.programs import BARE, BIN, run
from helpers.sessions import (
    kill_session,
    members,
    stages,
    wait_until,
)


@pytest.mark.sample(2)
@PIPELINES
@VICTIMS
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_one_of_the_processes_is_killed(number, victim, program, db, long_files):
    before = truth(db)
    options = ["--db", db] if program == "import-active-users" else []
    with sharing(program, *options, *long_files) as (process, parent, (first, second)):
        os.kill({"first": first, "second": second, "parent": parent}[victim], number)
        stdout, stderr = process.communicate(timeout=EXIT_WITHIN)
        wait_until(lambda: not members(process.pid), EXIT_WITHIN)
    assert stdout == b"" and b"Traceback" not in stderr
    assert process.returncode == (128 + number if victim == "parent" else 1)
    assert (victim == "parent") <= (b"a process of this program died" not in stderr)
    if program == "import-active-users":
        assert truth(db) == before and not stages(db)
        assert runs(db) == ["done", "failed"]


def test_ctrl_c_of_the_parent_alone(long_files, tmp_path):
    """It means the same as that of all: the last file is not read."""
    last = tmp_path / "last"
    last.write_bytes(event(micros=NOON + 9 * 86_400_000_000))
    with sharing("count-active-users", *long_files, last) as (process, parent, _):
        wait_until(lambda: has_read(process.pid, COUNTING) > 80_000_000)
        os.kill(parent, signal.SIGINT)
        stdout, stderr = process.communicate(timeout=EXIT_WITHIN)
        wait_until(lambda: not members(process.pid), EXIT_WITHIN)
    assert (process.returncode, stderr) == (130, b"")
    assert stdout.startswith(b"2019-12-31\t") and b"2020-01-09" not in stdout


@PIPELINES
@pytest.mark.parametrize("victim", [0, 1])
def test_ctrl_c_of_one_of_the_processes(victim, program, db, long_files, tmp_path):
    """It reads no more files; so that is no success."""
    before = truth(db)
    options = ["--db", db] if program == "import-active-users" else []
    last = [tmp_path / "one before the last", tmp_path / "last"]
    for path in last:
        path.write_bytes(event(user=path.name))
    files = [*long_files, *last]
    with sharing(program, *options, *files) as (process, _, workers):
        os.kill(workers[victim], signal.SIGINT)
        stdout, _ = process.communicate(timeout=20)
    assert process.returncode not in (0, 65), stdout
    assert stdout == b"" or (process.returncode == 130 and program == "count-active-users")
    assert truth(db) == before


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_nobody_works_on_for_a_killed_filter(packed, big, tmp_path):
    path = big
    if packed:
        path = tmp_path / "big.jsonl.gz"
        path.write_bytes(gzip.compress(big.read_bytes(), 1))
    with sharing("grep-events", "no such event", *[path] * 1000) as (process, parent, _):
        os.kill(parent, signal.SIGKILL)
        wait_until(lambda: not members(process.pid), EXIT_WITHIN)


def test_a_file_that_shrinks_while_it_is_read(big, tmp_path):
    """What is gone cannot be counted; what is left can, up to a line that is cut."""
    path = tmp_path / "events.jsonl"
    line = event(user="in what is left", micros=NOON - 10**12, pad=1000)
    path.write_bytes(line * (40_000_000 // len(line)))  # five pieces
    with sharing("count-active-users", *[big] * 100, path) as (process, *_):
        os.truncate(path, 12_000_000)  # its pieces are made, and come last
        stdout, stderr = process.communicate(timeout=10)
    assert stdout.startswith(b"2019-12-19\t1\n") and b"Traceback" not in stderr
    assert process.returncode == 65 and b"events.jsonl:" in stderr and b"truncated" in stderr


@pytest.mark.sample(2)
@PIPELINES
@pytest.mark.parametrize("damage", ["cut", "unreadable", "missing"])
def test_one_bad_file_among_many_fails_the_run(damage, program, db, unprivileged, tmp_path):
    """With the same message, whichever process has it."""
    before, messages = truth(db), set()
    paths = [tmp_path / f"{i}.jsonl.gz" for i in range(5)]
    bad = tmp_path / "bad.jsonl.gz"
    whole = gzip.compress(b"".join(event(user=f"user {i}") for i in range(2000)))
    for path in paths:
        path.write_bytes(whole)
    if damage != "missing":
        bad.write_bytes(whole[:-1000])
    if damage == "unreadable":
        bad.chmod(0)
    options = ["--db", db] if program == "import-active-users" else []
    for place in (0, 1, 2, 5):
        files = [*paths[:place], bad, *paths[place:]]
        command = [*unprivileged, BIN / program, *options, "--jobs", "3", *files]
        done = subprocess.run(command, capture_output=True, env=BARE, timeout=10)
        assert done.returncode == (1 if damage == "cut" else 66), done.stderr
        assert done.stdout == b""
        messages.add(done.stderr)
    assert truth(db) == before and not stages(db)
    (message,) = messages
    assert str(bad).encode() in message and b"Traceback" not in message


def test_head_stops_all_processes_quietly(big):
    script = '"$@" | head -n 1; echo "${PIPESTATUS[*]}"'
    command = ["bash", "-c", script, "bash", BIN / "grep-events", "user_engagement", "--jobs", "2"]
    process = subprocess.Popen(
        [*command, *[big] * 1000],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=BARE,
        start_new_session=True,
    )
    try:
        stdout, stderr = process.communicate(timeout=EXIT_WITHIN)
        assert not members(process.pid)
    finally:
        kill_session(process.pid)
    assert stdout.count(b"\n") == 2 and stdout.endswith(b"\n0 0\n") and stderr == b""


@pytest.mark.parametrize("program", ["parse-engagement", "count-active-users"])
def test_a_full_disk_behind_the_rejects_of_several_processes(program, two_files):
    two_files[1].write_bytes(event() + b'{"user_engagement"\n')
    done = run(program, "--jobs", 2, "--rejects", "/dev/full", *two_files, check=74)
    assert b"/dev/full" in done.stderr and b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr
    assert program == "parse-engagement" or done.stdout == b""
