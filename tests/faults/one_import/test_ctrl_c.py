"""Ctrl-C as the end of the input."""

import gzip
import os
import signal
import subprocess
import sys
import time

import pytest

from faults.one_import.common import (
    COUNTING,
    EXIT_WITHIN,
    KILLED,
    has_read,
)
from helpers.events import NOON, event
from helpers.programs import BARE, BIN, ROOT
from helpers.sessions import (
    kill_session,
    members,
    session,
    settle,
    wait_until,
)


def test_the_writer_hears_of_ctrl_c_first():
    """It dies within a line; the filter sees the end of its input, and only then the signal."""
    with session("grep-events", "a", stdin=subprocess.PIPE) as process:
        process.stdin.write(b'"a"\n"a" and so')
        process.stdin.flush()
        assert process.stdout.readline() == b'"a"\n'
        process.stdin.close()
        time.sleep(0.03)
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == b""
        assert process.wait(5) == 130


def test_interrupted_count_of_a_growing_file(tmp_path):
    """As with `tail -F events.jsonl | count-active-users` and Ctrl-C."""
    events = tmp_path / "events.jsonl"
    events.write_bytes(b"".join(event(user=f"user {i}") for i in range(50)) + event()[:40])
    script = 'trap : INT; tail -n +1 -F "$2" 2>/dev/null | "$1"; echo "${PIPESTATUS[1]}" >&2'
    process = subprocess.Popen(
        ["bash", "-c", script, "bash", BIN / "count-active-users", events],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=BARE,
        start_new_session=True,
    )
    try:
        settle(process.pid, "tail", COUNTING)
        os.killpg(process.pid, signal.SIGINT)
        stdout, stderr = process.communicate(timeout=5)
    finally:
        kill_session(process.pid)
    assert stdout == b"2019-12-31\t50\n"
    assert stderr == b"130\n"


def copies(path, folder, number):
    """A file under so many names: of one name it would be read once."""
    paths = [folder / f"{i}" for i in range(number)]
    for copy in paths:
        os.link(path, copy)
    return paths


@pytest.mark.sample(2)
@pytest.mark.parametrize("target", ["bash", "group"])
@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_interrupted_count_of_a_file(packed, jobs, target, big, tmp_path):
    path = big
    if packed:
        path = tmp_path / "big.jsonl.gz"
        path.write_bytes(gzip.compress(big.read_bytes(), 0))
    last = tmp_path / "last"
    last.write_bytes(event(micros=NOON + 9 * 86_400_000_000))
    paths = copies(path, tmp_path, 100)
    with session("count-active-users", "--jobs", jobs, *paths, last) as process:
        wait_until(lambda: has_read(process.pid, COUNTING) > 400_000_000)
        (os.kill if target == "bash" else os.killpg)(process.pid, signal.SIGINT)
        stdout, stderr = process.communicate(timeout=EXIT_WITHIN)
    assert process.returncode == 130, stderr
    assert stderr == b""
    counts = dict(line.split(b"\t") for line in stdout.splitlines())
    assert b"2019-12-31" in counts and b"2020-01-09" not in counts
    assert all(0 < int(count) <= 500 for count in counts.values())


def test_interrupted_while_it_loads():
    """No traceback from what is not ready for Ctrl-C yet. (The interpreter's own start has one.)"""
    code = "import headcount; raise KeyboardInterrupt"
    done = subprocess.run([ROOT / "lib" / "python", "-c", code], capture_output=True, env=BARE)
    assert done.returncode in KILLED[signal.SIGINT] and done.stderr == b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP], ids=["int", "hup"])
@pytest.mark.parametrize("program", ["count-active-users", "grep-events", "import-active-users"])
def test_what_was_ignored_from_the_start_stays_so(program, number, tmp_path):
    """As of `nohup` and `… &` in a script: https://pubs.opengroup.org/onlinepubs/9699919799/ (2.11
    of the shell's language). The program reads on to the end."""
    words = {"grep-events": ["user_engagement"], "import-active-users": ["--db", "my.db"]}
    script = 'trap "" INT HUP; exec "$0" "$@"'
    process = subprocess.Popen(
        ["bash", "-c", script, BIN / program, *words.get(program, [])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=BARE,
        cwd=tmp_path,
        start_new_session=True,
    )
    try:
        process.stdin.write(event(user="ann"))
        process.stdin.flush()
        settle(process.pid, *([] if program == "grep-events" else [COUNTING]))
        for _ in range(3):
            for member in members(process.pid):
                os.kill(member.pid, number)
            time.sleep(0.1)
        stdout, stderr = process.communicate(event(user="ben"), timeout=60)
    finally:
        kill_session(process.pid)
    assert process.returncode == 0, stderr
    expected = {"grep-events": 2, "count-active-users": 1, "import-active-users": 1}
    assert len(stdout.splitlines()) == expected[program]
    assert program == "grep-events" or stdout.endswith(b"\t2\n")


def test_the_suite_has_signals_of_its_own():
    """Started by `nohup make test &`, say, what it starts hears of them all the same."""
    code = "import signal; print([signal.getsignal(n).name for n in (1, 3)], signal.getsignal(2))"
    start = 'trap "" INT HUP QUIT; exec "$0" "$@"'
    words = [sys.executable, ROOT / "tests" / "helpers" / "signals.py", sys.executable, "-c", code]
    done = subprocess.run(["bash", "-c", start, *words], capture_output=True, check=True)
    assert b"['SIG_DFL', 'SIG_DFL']" in done.stdout and b"default_int_handler" in done.stdout
