"""A database for reports: its connection, with the functions that their queries call."""

import contextlib
import sqlite3
from collections.abc import Iterator

from headcount.db import connection, properties
from headcount.reports import local_days, set_functions


@contextlib.contextmanager
def for_reading(path: str, whose: str = properties.DEFAULT) -> Iterator[sqlite3.Connection]:
    """As `db.connection.for_reading`, with the functions, about a property.

    Raises Failure 2 if there is no such property.
    """
    with connection.for_reading(path) as db:
        register(db)  # which empties the temporary schema
        properties.show(db, whose)
        yield db


def register(db: sqlite3.Connection) -> None:
    """Let the queries of a connection call the functions: of sets, of sketches, of local days."""
    set_functions.register(db)
    local_days.register(db)
