"""What the browser shows only with --show-ids: ids of people, full paths, what may quote a line.

SQLite itself reads these columns as NULL, in people's own statements, too: see guard.py.
Names of editors in recent changes are public, and shown.
"""

from __future__ import annotations

import re

_ALL = None  # columns
_COLUMNS: dict[str, set[str] | None] = {
    "user": {"key"},
    "person": {"key"},
    "chat_name": {"key"},
    "chat_lines": {"columns"},  # lines, packed
    "origin": {"name", "path"},
    "run": {"message"},  # of a failure: it may name files, and quote lines
    "run_input": {"path"},
    "job_run": {"command", "message"},
    "erasure": _ALL,
    "tombstone": _ALL,
    "pragma_database_list": {"file"},
    "sqlite_stat4": _ALL,  # samples of indexes
}
# Columns that a join names in this way SQLite does not hide. (USING FTS begins no such join, and is
# in a statement of Datasette's.)
_JOIN = re.compile(r"\b(natural|using(?! fts))\b", re.IGNORECASE)
_COLUMN_LIST = re.compile(r"\A\s*select [\w\[\], ]+ from ")
_TABLE = re.compile(rf"\b(?:p[0-9]+_)?({'|'.join(_COLUMNS)})\b", re.IGNORECASE)
_OF_PROPERTY = re.compile(r"\Ap[0-9]+_")  # how names of its tables begin (db/properties.py)


def is_hidden(table: str, column: str) -> bool:
    """Whether values of a column are hidden."""
    columns = _COLUMNS.get(_OF_PROPERTY.sub("", table.lower()), ())
    return column != "" and (columns is _ALL or column.lower() in columns)


def has_them(table: str) -> bool:
    """Whether a table has columns that are hidden."""
    return _OF_PROPERTY.sub("", table) in _COLUMNS


def named(statement: str) -> str:
    """The statement with plain names of columns: one of NULL is called as it is written.

    Datasette writes [key], for KEY is a word of SQL.
    """
    return _COLUMN_LIST.sub(lambda match: match[0].replace("[key]", "key"), statement)


def refusal(statement: str) -> str | None:
    """Why a statement is refused that could tell what is hidden; None if it is not."""
    table = _TABLE.search(statement)
    if table and _JOIN.search(statement):
        return (
            f"{table[0]}: ids are hidden, so expected a join with ON, got NATURAL or USING; "
            "serve-db --show-ids shows them"
        )
    return None
