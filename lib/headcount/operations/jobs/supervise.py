"""One command, watched: a fixed environment, a limit of time, its stderr read."""

from __future__ import annotations

import contextlib
import os
import pwd
import select
import signal
import subprocess
import time
from collections.abc import Callable, Sequence

from headcount.checkout import ROOT

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
TIMED_OUT = 124  # as timeout(1) has it
_GRACE = 10.0  # seconds from SIGTERM to SIGKILL
_READ = 64 << 10
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def environment(more: dict[str, str]) -> dict[str, str]:
    """What a command sees, whoever starts it: cron, a terminal, systemd. bin/ is on the PATH."""
    user = pwd.getpwuid(os.getuid())
    home = os.environ.get("HOME") or user.pw_dir
    fixed = {
        "PATH": f"{ROOT}/bin:{SYSTEM_PATH}",
        "HOME": home,
        "LOGNAME": user.pw_name,
        "USER": user.pw_name,
        "SHELL": "/bin/sh",
        "LC_ALL": "C.UTF-8",
    }
    return fixed | more


def run(
    command: Sequence[str],
    env: dict[str, str],
    timeout: float | None,
    take: Callable[[bytes], None],
    keep: Sequence[int] = (),
) -> int:
    """Run a command to its end; `take` gets what it says on stderr, `keep` stay open in it.

    Returns its exit status as a shell would; TIMED_OUT if it, and all that it had started, was
    ended for that.
    """
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=env,
            process_group=0,
            pass_fds=keep,
        )
    except OSError as error:
        take(f"{command[0]}: {error.strerror}\n".encode(errors="backslashreplace"))
        return 127 if isinstance(error, FileNotFoundError) else 126
    before = {
        number: signal.signal(number, lambda number, _frame: _signal(process, number))
        for number in _PASSED_ON
        if signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        in_time = _watch(process, timeout, take)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        process.stderr.close()
    if not in_time:
        return TIMED_OUT
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def _watch(process: subprocess.Popen, timeout: float | None, take: Callable[[bytes], None]) -> bool:
    """Whether it has ended in time."""
    end = time.monotonic() + timeout if timeout is not None else None
    in_time = True
    ended = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        for fd in (process.stderr.fileno(), ended):
            poll.register(fd, select.POLLIN)
        while True:
            wait = None if end is None else max(0.0, end - time.monotonic()) * 1000
            ready = {fd for fd, _ in poll.poll(wait)}
            if process.stderr.fileno() in ready:
                data = os.read(process.stderr.fileno(), _READ)
                if data:
                    take(data)
                else:
                    poll.unregister(process.stderr.fileno())
            elif ended in ready:  # and all it said was read; what it left behind may go on
                process.wait()
                return in_time
            elif not ready:
                _signal(process, signal.SIGTERM if in_time else signal.SIGKILL)
                in_time, end = False, time.monotonic() + _GRACE
    finally:
        os.close(ended)


def _signal(process: subprocess.Popen, number: int) -> None:
    """To all that the command has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
