"""Texts in SQL: names of the users' own, and scripts."""

import sqlite3
from collections.abc import Iterator

from headcount.failure import USAGE, Failure


def quoted(name: str) -> str:
    """A name as SQL has it, whatever it is. Raises Failure 2 for one that SQL cannot have."""
    if not name or "\0" in name:
        raise Failure(f"{name!r} cannot be a name in SQL", USAGE)
    return '"' + name.replace('"', '""') + '"'


def statements(script: str) -> Iterator[str]:
    """The statements of a script: executescript would commit the transaction we are in."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
