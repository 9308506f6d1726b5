"""The locks of pipelines on a server of PostgreSQL, against all hosts: one import at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from headcount.db.postgres import server
from headcount.errors import TRY_LATER, Failure


@contextlib.contextmanager
def held(url: str, pipelines: list[str], wait: float) -> Iterator[None]:
    """Hold the locks of pipelines. Raises Failure 75 if another holds one for `wait` seconds."""
    with server.errors(url), server.connect(url) as connection:
        server.wait_for_locks(connection, wait)
        for pipeline in pipelines:
            try:
                connection.execute(
                    "SELECT pg_advisory_lock(%s, hashtext(%s || current_schema()))",
                    [server.LOCK, pipeline],
                )
            except Exception as error:
                if getattr(error, "sqlstate", None) == "55P03":
                    text = f"another import holds the lock of {pipeline}; waited {wait:g} s"
                    raise Failure(text, TRY_LATER) from None
                raise
        yield
