"""What run-job logs: each start of a job in the ledger, what its command said in a file."""

from __future__ import annotations

import collections
import contextlib
import os
import sqlite3
from typing import NamedTuple

from headcount.db import ledger
from headcount.errors import TRY_LATER, Failure
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


class Start(NamedTuple):
    """A start of a job: what, how often it should run (seconds), and when (UTC) it was."""

    job: str
    command: str
    every: float | None
    at: str


def begin(db: sqlite3.Connection, start: Start) -> int:
    """Enter a start; returns its number. The caller holds the job's lock, so no other goes on."""
    db.execute(
        "UPDATE job_run SET status = 'aborted', ended_at = ?, message = 'killed' "
        "WHERE job = ? AND status = 'running'",
        [clock.now(), start.job],
    )
    return _insert(db, start)


def skip(db: sqlite3.Connection, start: Start, message: str) -> None:
    """Enter a start that came to nothing, for the job of before still runs."""
    outcome = Outcome(TRY_LATER, 0.0, 0, f"{ledger.SKIPPED}{message}\n")
    finish(db, _insert(db, start), outcome)


def _insert(db: sqlite3.Connection, start: Start) -> int:
    return db.execute(
        "INSERT INTO job_run (job, command, every, status, started_at) "
        "VALUES (?, ?, ?, 'running', ?)",
        list(start),
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


_MOST = 1 << 20  # bytes of a file
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
        self._fd, self._room = -1, 0
        self._open()

    def _open(self) -> None:
        """Go on in the file, or in a new one where it is full."""
        self.close()
        try:
            os.makedirs(os.path.dirname(self.path) or ".", mode=0o700, exist_ok=True)
            _rotate(self.path)
            self._fd = output.open_private(self.path, os.O_APPEND)
            self._room = _MOST - os.fstat(self._fd).st_size
        except OSError as error:
            self.problem = f"cannot write {self.path}: {error.strerror}"
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
            self._fd = -1

    def _write(self, data: bytes) -> None:
        """Write on, in file after file; lines stay whole where they fit into one."""
        while data and self._fd >= 0 and not self.problem:
            part = data
            if len(data) > self._room:
                end = data.rfind(b"\n", 0, self._room) + 1
                part = data[: end or self._room]
            try:
                output.write(self._fd, part, self.path)
            except Failure as failure:
                self.problem = str(failure)
            data = data[len(part) :]
            self._room -= len(part)
            if data:
                self._open()


def _rotate(path: str) -> None:
    if not os.path.exists(path) or os.path.getsize(path) < _MOST - _LINE:
        return
    for number in range(_KEPT, 0, -1):
        older = f"{path}.{number - 1}" if number > 1 else path
        if os.path.exists(older):
            os.replace(older, f"{path}.{number}")
