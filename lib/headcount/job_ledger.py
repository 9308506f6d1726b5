"""The ledger of jobs: each start of a command of the crontab, and what became of it."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from headcount import clock


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
