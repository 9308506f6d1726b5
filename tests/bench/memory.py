"""The memory of a program and of all that it starts, while it runs.

Counted are the pages that its processes have for themselves or share with each other: PSS, so a
page that two share counts half for each, without what is mapped from files, which belongs to the
page cache. Sampled every 20 ms, so it is not for taking times.
"""

import contextlib
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from bench import Failure
from bench.contenders import Contender

_PAUSE = 0.02
_OWN = ("Pss_Anon:", "Pss_Shmem:")


@dataclass(frozen=True)
class Peak:
    """Bytes: of all processes together, and of the largest one."""

    together: int
    largest: int


def peak(contender: Contender) -> Peak:
    """Run a program once; all that it starts stays in its session."""
    contender.ready()
    child = subprocess.Popen(
        contender.command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    together = largest = 0
    while child.poll() is None:
        sizes = [_own(process) for process in _session(child.pid)]
        together = max(together, sum(sizes))
        largest = max(largest, *sizes, 0)
        time.sleep(_PAUSE)
    if child.returncode != contender.status:
        raise Failure(f"{contender.name} ended with status {child.returncode}")
    return Peak(together, largest)


def _session(leader: int) -> list[Path]:
    """The directories of the session's processes; one may end while we look."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                if os.getsid(int(process.name)) == leader:
                    found.append(process)
    return found


def _own(process: Path) -> int:
    try:
        lines = (process / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith(_OWN)) * 1024
