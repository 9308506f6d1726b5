"""The reader of an output goes away."""

import os
import signal
import subprocess

import pytest

from faults.one_import.common import (
    truth,
)
from helpers.events import NOON, event
from helpers.programs import BARE, BIN

MUCH = {
    "grep-events": (["user_engagement"], event() * 20_000),
    "parse-engagement": ([], event() * 50_000),
    "local-day": ([], b"%d\tann\n" % NOON * 100_000),
    "count-distinct": ([], b"".join(b"%d\t1\n" % i for i in range(200_000))),
    "count-active-users": ([], event() + event(micros=NOON + 86_400_000_000)),
    "import-active-users": (["--db", "b.db"], event() + event(micros=NOON + 86_400_000_000)),
    "show-report": ([], b""),
}


@pytest.mark.parametrize("program", MUCH)
def test_quiet_under_head(program, tmp_path):
    arguments, stdin = MUCH[program]
    (tmp_path / "input").write_bytes(stdin)
    script = '"$@" <input | head -n 1; echo "${PIPESTATUS[*]}"'
    done = subprocess.run(
        ["bash", "-c", script, "bash", BIN / program, *arguments],
        cwd=tmp_path,
        env=BARE,
        capture_output=True,
    )
    assert done.stderr == b""
    assert done.stdout.count(b"\n") == 2 and done.stdout.endswith(b"\n0 0\n")


@pytest.mark.parametrize("program", MUCH)
@pytest.mark.parametrize("option", [None, "--help", "--version"])
def test_quiet_where_nobody_reads(program, option, tmp_path):
    arguments, stdin = MUCH[program]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [BIN / program, *([option] if option else arguments)],
        input=stdin,
        stdout=write,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=BARE,
    )
    os.close(write)
    assert done.stderr == b"" and done.returncode in (0, -signal.SIGPIPE, 141)
    if program == "import-active-users" and not option:
        assert truth(tmp_path / "b.db")[0] == {"2019-12-31": 1, "2020-01-01": 1}
