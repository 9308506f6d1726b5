"""What run-job logs: each start of a job in the ledger, what its command said in a file."""

from __future__ import annotations

import collections
import contextlib
import os
import sqlite3
from typing import NamedTuple

from headcount.errors import Failure
from headcount.io import output
from headcount.values import clock


class Outcome(NamedTuple):
    """How a run of a job has ended."""

    exit: int
    seconds: float
    attempts: int
    message: str  # the last that the command said

    @property
    def status(self) -> str:
        """65 is a success: some input was rejected, and that is told."""
        return "done" if self.exit in (0, 65) else "failed"


def begin(db: sqlite3.Connection, job: str, command: str, every: float | None) -> int:
    """Enter a start; returns its number. The caller holds the job's lock, so no other goes on."""
    db.execute(
        "UPDATE job_run SET status = 'aborted', ended_at = ?, message = 'killed' "
        "WHERE job = ? AND status = 'running'",
        [clock.now(), job],
    )
    return db.execute(
        "INSERT INTO job_run (job, command, every, status, started_at) "
        "VALUES (?, ?, ?, 'running', ?)",
        [job, command, every, clock.now()],
    ).lastrowid


def finish(db: sqlite3.Connection, number: int, outcome: Outcome) -> None:
    """Enter an end."""
    db.execute(
        "UPDATE job_run SET status = ?, exit = ?, ended_at = ?, seconds = ?, attempts = ?, "
        "message = ? WHERE id = ?",
        [
            outcome.status,
            outcome.exit,
            clock.now(),
            round(outcome.seconds, 3),
            outcome.attempts,
            outcome.message,
            number,
        ],
    )


_MOST = 1 << 20  # bytes of a file, before a run begins
_KEPT = 5  # older files: NAME.log.1 is the newest of them
_TAIL = 20  # lines
_LINE = 2000  # bytes of one


class JobLog:
    """Takes what a command says, and knows the last lines of it.

    A log that cannot be written is told once, in `problem`, and stops no job.
    """

    def __init__(self, path: str):
        self.path, self.problem = path, ""
        self._tail: collections.deque[bytes] = collections.deque(maxlen=_TAIL)
        self._rest = b""
        self._fd = -1
        try:
            os.makedirs(os.path.dirname(path) or ".", mode=0o700, exist_ok=True)
            _rotate(path)
            self._fd = output.open_private(path, os.O_APPEND)
        except OSError as error:
            self.problem = f"cannot write {path}: {error.strerror}"
        except Failure as failure:
            self.problem = str(failure)

    def note(self, text: str) -> None:
        """A line of our own, with the time."""
        self._write(f"{clock.now()} {text}\n".encode(errors="backslashreplace"))

    def take(self, data: bytes) -> None:
        """What the command said."""
        self._write(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-_LINE:]
        self._tail.extend(line[:_LINE] for line in lines)

    def tail(self) -> str:
        """Its last lines, each ended."""
        lines = [*self._tail, self._rest] if self._rest else self._tail
        return b"".join(line + b"\n" for line in lines).decode(errors="backslashreplace")

    def close(self) -> None:
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.close(self._fd)

    def _write(self, data: bytes) -> None:
        if self._fd >= 0 and not self.problem:
            try:
                output.write(self._fd, data, self.path)
            except Failure as failure:
                self.problem = str(failure)


def _rotate(path: str) -> None:
    if not os.path.exists(path) or os.path.getsize(path) < _MOST:
        return
    for number in range(_KEPT, 0, -1):
        older = f"{path}.{number - 1}" if number > 1 else path
        if os.path.exists(older):
            os.replace(older, f"{path}.{number}")
