"""A database for reports: its connection, with the functions that their queries call."""

import contextlib
import sqlite3
from collections.abc import Iterator

from headcount.db import connection
from headcount.reports import local_days, set_functions


@contextlib.contextmanager
def for_reading(path: str) -> Iterator[sqlite3.Connection]:
    """As `db.connection.for_reading`, with the functions."""
    with connection.for_reading(path) as db:
        register(db)
        yield db


def register(db: sqlite3.Connection) -> None:
    """Let the queries of a connection call the functions: of sets, of sketches, of local days."""
    set_functions.register(db)
    local_days.register(db)
