"""Locks, by which each pipeline or job runs once at a time on a database."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator

from headcount.checkout import ROOT
from headcount.db import address
from headcount.errors import TRY_LATER, WRITE_FAILED, Failure

IMPORTS = ("import-", "merge-", "spark-")  # how the names of pipelines that import begin
_POLL = 0.05  # seconds


@contextlib.contextmanager
def held(name: str, db: str, wait: float, holder: str = "an import") -> Iterator[int]:
    """Hold the lock that imports of a pipeline take (lib/import.sh), or that of a job.

    Gives the lock's descriptor: whoever inherits it holds the lock, too.
    Raises Failure: 75 if another holds it for `wait` seconds, 74 if it cannot be written.
    """
    address.refuse(db)
    path = f"{os.path.realpath(db)}.{name}.lock"
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Failure(f"cannot write {path}: {error.strerror}", WRITE_FAILED) from None
    try:
        end = time.monotonic() + wait
        while not _locked(fd):
            if time.monotonic() >= end:
                raise Failure(f"{holder} holds {path}; waited {wait:g} s", TRY_LATER)
            time.sleep(_POLL)
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def all_imports_held(db: str, wait: float) -> Iterator[None]:
    """Hold the locks of all pipelines: no import runs meanwhile. Raises Failure as `held` does."""
    names = sorted(os.listdir(os.path.join(ROOT, "bin")))
    pipelines = [name for name in names if name.startswith(IMPORTS)]
    with contextlib.ExitStack() as stack:
        if address.is_url(db):
            from headcount.db.postgres import locks as postgres_locks  # few have one

            stack.enter_context(postgres_locks.held(db, pipelines, wait))
        else:
            for name in pipelines:
                stack.enter_context(held(name, db, wait))
        yield


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
