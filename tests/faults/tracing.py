"""System calls counted and made to fail, with strace."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from helpers.programs import BARE

# What changes files, or tells a server: after any a program may be stopped, and any may fail.
WRITES = "write,pwrite64,writev,sendto,fsync,fdatasync,ftruncate,rename,unlink,unlinkat,mkdir"


def need_strace() -> None:
    """Skips the test where there is none, or where it may not look on."""
    if not shutil.which("strace"):
        pytest.skip("no strace")
    done = subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], capture_output=True)
    if done.returncode:
        pytest.skip("strace may not trace here")


def traced(command: list[str], *options: str, log: Path, **more) -> subprocess.CompletedProcess:
    """Run a command under strace."""
    strace = ["strace", "-f", "--seccomp-bpf", "-qq", "-o", str(log), *options, "--"]
    return subprocess.run(
        [*strace, *command], env=BARE, capture_output=True, stdin=subprocess.DEVNULL, **more
    )


def calls(log: Path, names: str) -> dict[str, int]:
    """How often each was called by the process that called it most: that is what `when=` counts."""
    counts = Counter(re.findall(r"^(\d+) +(\w+)\(", log.read_text(errors="replace"), re.M))
    most: dict[str, int] = {}
    for (_, name), count in counts.items():
        if name in names.split(","):
            most[name] = max(most.get(name, 0), count)
    return most
